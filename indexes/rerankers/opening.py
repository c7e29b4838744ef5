"""The reranker that the settings name."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from indexes.embedders.tokenizer import FolderTokenizer
from indexes.remote.endpoint import Endpoint
from indexes.reranker import Reranker, RerankerSpec, SharedReranker
from indexes.rerankers.loading import LoadingReranker
from indexes.rerankers.remote import RemoteReranker
from indexes.rerankers.settings import (
    CrossEncoderSettings,
    MaxSimSettings,
    NoRerankSettings,
    RerankServerSettings,
    RerankSettings,
)
from indexes.settings import EmbeddingSettings


async def open_reranker(
    settings: RerankSettings, embedding: EmbeddingSettings, cache: Path, endpoints: Sequence[Endpoint] = ()
) -> SharedReranker | None:
    """The reranker, whose model is loaded meanwhile; None where there is to be none.

    With `endpoints` a model that would be loaded here runs there. Its libraries are imported only here, because they
    take seconds. Raises SettingsError or NotFound where there is no such model.
    """
    match settings:
        case NoRerankSettings():
            return None
        case RerankServerSettings():
            from indexes.rerankers.model_server import ServerReranker

            return ServerReranker(settings)
        case CrossEncoderSettings():
            from indexes.rerankers.cross_encoder import CrossEncoderReranker
            from indexes.rerankers.weights import find

            found = await asyncio.to_thread(find, settings.model, settings.sha256)
            cross_encoder = partial(
                CrossEncoderReranker.load,
                found,
                device=settings.device,
                threads=settings.threads,
                precision=settings.precision,
            )
            return _here_or_there(found.spec, found.folder, cross_encoder, endpoints)
        case MaxSimSettings():
            from indexes.embedders.weights import resolve
            from indexes.rerankers.maxsim import MaxSimReranker, maxsim_spec

            weights = await asyncio.to_thread(resolve, settings.model, embedding.models, cache)
            maxsim = partial(
                MaxSimReranker.load,
                weights,
                device=settings.device,
                threads=settings.threads,
                precision=settings.precision,
            )
            return _here_or_there(maxsim_spec(weights.spec), weights.folder, maxsim, endpoints)


def _here_or_there(
    spec: RerankerSpec, folder: Path, load: Callable[[], Reranker], endpoints: Sequence[Endpoint]
) -> SharedReranker:
    tokenizer = FolderTokenizer(folder)
    if endpoints:
        return RemoteReranker(endpoints, spec, tokenizer)
    return LoadingReranker(spec, tokenizer, load)
