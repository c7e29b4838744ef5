"""From settings to a reranker: here, in `citewell retrieval`, or none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.settings import load
from indexes.engines.exact_index import ExactEngine
from indexes.errors import NotFound, SettingsError
from indexes.reranker import SharedReranker
from indexes.rerankers.opening import open_reranker
from indexes.rerankers.remote import RemoteReranker
from indexes.rerankers.settings import CrossEncoderSettings, MaxSimSettings, NoRerankSettings
from indexes.settings import EmbeddingSettings


async def test_a_model_runs_here_or_where_the_endpoint_is(
    tiny_cross_encoder: Path, tmp_path: Path, serve_engine: Callable[..., Any]
) -> None:
    settings = CrossEncoderSettings(model=str(tiny_cross_encoder), device="cpu")
    here = await open_reranker(settings, EmbeddingSettings(), tmp_path)
    assert here is not None
    there = await open_reranker(settings, EmbeddingSettings(), tmp_path, [serve_engine(ExactEngine()).endpoint])
    assert isinstance(there, RemoteReranker)
    assert there.spec == here.spec
    assert (await here.scores("question", ["a text", "another"])).shape == (2,)
    with pytest.raises(SettingsError):  # that process was given no reranker
        await there.scores("question", ["a text"])
    for reranker in (here, there):
        await reranker.close()


async def test_late_interaction_is_named_after_its_model(tmp_path: Path, serve_engine: Callable[..., Any]) -> None:
    endpoint = serve_engine(ExactEngine()).endpoint
    there: SharedReranker | None = await open_reranker(MaxSimSettings(), EmbeddingSettings(), tmp_path, [endpoint])
    assert there is not None
    assert there.spec.name == "maxsim-all-MiniLM-L6-v2"
    await there.close()
    with pytest.raises(NotFound, match="missing"):
        await open_reranker(MaxSimSettings(model="missing"), EmbeddingSettings(), tmp_path)


async def test_none_is_the_default(tmp_path: Path) -> None:
    settings = load(environ={}, directory=tmp_path).settings
    assert isinstance(settings.rerank, NoRerankSettings)
    assert await open_reranker(settings.rerank, settings.embedding, tmp_path) is None


def test_a_wrong_setting_is_refused_by_name(tmp_path: Path) -> None:
    for environment, said in (
        ({"CITEWELL_RERANK__KIND": "crossencoder"}, "rerank"),
        ({"CITEWELL_RERANK__KIND": "cross_encoder"}, r"rerank\.model must be set"),
        ({"CITEWELL_RERANK__KIND": "maxsim", "CITEWELL_RERANK__CANDIDATES": "0"}, r"rerank\.candidates = '0'"),
        ({"CITEWELL_RERANK__CANDIDATES": "10"}, r"rerank\.candidates"),
    ):
        with pytest.raises(SettingsError, match=said):
            load(environ=environment, directory=tmp_path)
    chosen = {"CITEWELL_RERANK__KIND": "maxsim", "CITEWELL_RERANK__CANDIDATES": "20"}
    assert load(environ=chosen, directory=tmp_path).settings.rerank == MaxSimSettings(candidates=20)
