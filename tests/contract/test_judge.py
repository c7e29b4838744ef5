"""A judge of its own between an answer and its verdicts: a cross-encoder on disk, a server, and none that answers."""

from pathlib import Path

import pytest

from generation.answering import Answering
from generation.model import Answer, Answered, Question, Verdict
from generation.scripted_llm import Reply, scripted_llm
from generation.settings import GenerationSettings, LlmSettings
from indexes.model import Chunk, Hit, Scores, Span
from indexes.rerankers.opening import open_reranker
from indexes.rerankers.scripted_server import scripted_rerank_server
from indexes.rerankers.settings import CrossEncoderSettings, RerankServerSettings, RerankSettings
from indexes.settings import EmbeddingSettings

TEXT = "The gate opens early. It closes late in the evening, when the guards go home."
CLAIM = "Guards leave at night after it closes."


async def judged(settings: RerankSettings) -> Answer:
    chunk = Chunk("c", "r", Span(5, 5 + len(TEXT), 0, 0), TEXT)
    hits = [Hit(chunk, Scores(0.5, dense=0.8), "vs", "ixv", "f", "gate.md", "gate.md", {})]
    judge = await open_reranker(settings, EmbeddingSettings(), Path("unused"))
    assert judge is not None
    try:
        async with scripted_llm(Reply([CLAIM[:-1], " [1]."])) as llm:
            server = LlmSettings(name="m", base_url=llm.base_url, model="m", citations="markers")
            async with Answering.open(GenerationSettings(llms=(server,)), judge=judge) as answering:
                *_, last = [event async for event in answering.answer("m", Question("When does it close?"), hits)]
    finally:
        await judge.close()
    assert isinstance(last, Answered)
    assert not last.answer.fallback
    assert len(last.answer.citations) == 1
    return last.answer


async def test_a_model_of_inference_says_how_surely_the_claim_follows(tiny_inference: Path) -> None:
    from sentence_transformers import CrossEncoder

    answer = await judged(CrossEncoderSettings(model=str(tiny_inference), device="cpu", precision="float32"))
    (sentence,) = answer.sentences
    model = CrossEncoder(str(tiny_inference), device="cpu")
    (classes,) = model.predict([(answer.citations[0].quote, CLAIM)], apply_softmax=True)
    assert sentence.score == pytest.approx(float(classes[2]), abs=1e-3)


async def test_a_cross_encoder_on_disk_gives_the_score_of_each_sentence(tiny_cross_encoder: Path) -> None:
    from sentence_transformers import CrossEncoder

    answer = await judged(CrossEncoderSettings(model=str(tiny_cross_encoder), device="cpu", precision="float32"))
    (sentence,) = answer.sentences
    (expected,) = CrossEncoder(str(tiny_cross_encoder), device="cpu").predict([(CLAIM, answer.citations[0].quote)])
    assert sentence.score == pytest.approx(float(expected), abs=1e-3)


@pytest.mark.parametrize(("share", "verdict"), [(0.9, "supported"), (0.5, "partly"), (0.1, "unsupported")])
async def test_a_server_decides_between_the_bars(share: float, verdict: str) -> None:
    with scripted_rerank_server(lambda _, text: share if "guards" in text else 0.0) as server:
        answer = await judged(RerankServerSettings(url=f"{server.url}/v1", model="judge"))
        assert {request["query"] for request in server.requests} == {CLAIM[:-1], CLAIM}
    (sentence,) = answer.sentences
    assert sentence.verdict is Verdict(verdict)
    assert sentence.score == pytest.approx(share)
    assert answer.citations[0].quote == "It closes late in the evening, when the guards go home."


async def test_where_the_judge_fails_words_decide() -> None:
    with scripted_rerank_server(lambda *_: 0.9) as server:
        server.status = 500
        answer = await judged(RerankServerSettings(url=f"{server.url}/v1", model="judge"))
    (sentence,) = answer.sentences
    assert server.requests
    assert sentence.verdict is not Verdict.SUPPORTED
    assert 0 < sentence.score < 0.9
