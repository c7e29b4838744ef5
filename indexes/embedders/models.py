"""The embedding models of a process: each loaded once, when it is first needed, and shared by all callers."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from indexes.embedder import SharedEmbedder, Tokenizer
from indexes.embedders.batching import BatchingEmbedder
from indexes.embedders.hashing import HashingEmbedder, WordTokenizer
from indexes.embedders.remote import RemoteEmbedder
from indexes.embedders.tokenizer import FolderTokenizer
from indexes.embedders.weights import Weights, known, resolve
from indexes.errors import ManifestMismatch, NotFound
from indexes.manifest import EmbeddingSpec, Manifest
from indexes.remote.endpoint import Endpoint
from indexes.settings import EmbeddingSettings

HASHING = HashingEmbedder().spec.name


class Models:
    """Finds models by name or by the spec of a manifest.

    With `endpoints` they run there; what they are, and how they count text, is still read from their files here.
    """

    def __init__(self, settings: EmbeddingSettings, cache: Path, endpoints: Sequence[Endpoint] = ()) -> None:
        self._settings = settings
        self._cache = cache
        self._endpoints = endpoints
        self._resolving = asyncio.Lock()
        self._resolved: dict[str, Weights] = {}
        self._loading: dict[str, asyncio.Task[SharedEmbedder]] = {}

    @property
    def names(self) -> list[str]:
        """The models that can be asked for, the one of new stores first."""
        others = [name for name in known(self._settings.models) if name != self._settings.model]
        return [self._settings.model, *others]

    @property
    def ready(self) -> bool:
        """Whether the model of new stores is loaded."""
        task = self._loading.get(self._settings.model)
        return task is not None and task.done() and not task.cancelled() and task.exception() is None

    async def load_default(self) -> None:
        """Load the model of new stores. Raises what loading raises."""
        await self._embedder(self._settings.model)

    async def default_spec(self) -> EmbeddingSpec:
        """What the model of new stores is."""
        return await self._spec(self._settings.model)

    async def spec(self, name: str) -> EmbeddingSpec:
        """What the model of that name is, for a request; it is not loaded. Raises NotFound."""
        self._check(name, param="embedding_model")
        return await self._spec(name)

    async def named(self, name: str) -> SharedEmbedder:
        """The model of that name, for a request. Raises NotFound."""
        self._check(name, param="model")
        return await self._embedder(name)

    async def embedder(self, spec: EmbeddingSpec) -> SharedEmbedder:
        """The model that made an index version.

        Raises NotFound where none of its name is configured any more, SettingsError where it cannot be used, and
        ManifestMismatch where the one installed is another (I6).
        """
        if await self._spec(spec.name) != spec:
            raise ManifestMismatch(
                f"The embedding model '{spec.name}' is not the one that built this index version: its weights, "
                "revision or prefixes differ. Restore it, or build a new version with the new one."
            )
        return await self._embedder(spec.name)

    async def tokenizer_folder(self, manifest: Manifest) -> Path | None:
        """Where the files of the model lie that counts tokens; None for one that has none. It need not be loaded."""
        name = manifest.chunking.tokenizer or manifest.embedding.name
        await self._spec(name)
        return None if name == HASHING else self._resolved[name].folder

    async def close(self) -> None:
        """Stop every model."""
        tasks, self._loading = self._loading, {}
        for task in tasks.values():
            task.cancel()
        for ended in await asyncio.gather(*tasks.values(), return_exceptions=True):
            if not isinstance(ended, BaseException):
                await ended.close()

    def _check(self, name: str, param: str) -> None:
        if name not in self.names:
            raise NotFound(
                f"There is no embedding model '{name}'. Known: {', '.join(self.names)}.",
                code="model_not_found",
                param=param,
            )

    async def _spec(self, name: str) -> EmbeddingSpec:
        if name == HASHING:
            return HashingEmbedder().spec
        async with self._resolving:
            if name not in self._resolved:
                self._resolved[name] = await asyncio.to_thread(resolve, name, self._settings.models, self._cache)
        return self._resolved[name].spec

    async def _embedder(self, name: str) -> SharedEmbedder:
        if name not in self._loading:
            self._loading[name] = asyncio.create_task(self._load(name))
        try:
            # Shielded: a caller that goes away must not take the model from the others.
            return await asyncio.shield(self._loading[name])
        except Exception:
            self._loading.pop(name, None)
            raise

    async def _load(self, name: str) -> SharedEmbedder:
        spec = await self._spec(name)
        if self._endpoints:
            return RemoteEmbedder(self._endpoints, spec, self._tokenizer(name))
        if name == HASHING:
            return BatchingEmbedder(HashingEmbedder())
        from indexes.embedders.sentence_transformer import SentenceTransformerEmbedder

        settings = self._settings
        load = partial(
            SentenceTransformerEmbedder.load,
            device=settings.device,
            threads=settings.threads,
            precision=settings.precision,
        )
        loaded = await asyncio.to_thread(load, self._resolved[name])
        return BatchingEmbedder(loaded, slices_at_once=loaded.passes, slice_tokens=loaded.batch_tokens)

    def _tokenizer(self, name: str) -> Tokenizer:
        return WordTokenizer() if name == HASHING else FolderTokenizer(self._resolved[name].folder)
