"""What engineers do with index versions before they can be promoted: plan one, begin its build."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession

from indexes.catalog import builds, idempotency, stores, versions
from indexes.catalog.chunks import Extent, extent, sample
from indexes.catalog.database import Database
from indexes.catalog.history import Because
from indexes.catalog.idempotency import Idempotency
from indexes.catalog.tables import IndexVersion, VersionState
from indexes.context import HEADINGS_1
from indexes.embedders.models import Models
from indexes.errors import Conflict
from indexes.lexical import Analyser
from indexes.manifest import AnnSpec, Chunking, LexicalSpec, Manifest
from ingestion.chunk import check, fit

_SAMPLE = 32


_CONTEXTS = {HEADINGS_1: HEADINGS_1, "none": None}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a new version should have; what is None is taken from the live one. No `context` at all is "none"."""

    embedding_model: str | None = None
    chunking: Chunking | None = None
    lexical: LexicalSpec | None = None
    ann: AnnSpec | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a build would do. `chunks`, `tokens` and `bytes` are estimates where the text is cut anew.

    `seconds` is how long it would take one worker at the present setting of `worker.build_share`, from the speed of the
    model on a sample; `cost` is in the currency of `embedding.prices`.
    """

    manifest: Manifest
    files: int
    chunks: int
    embedded: int
    reused: int
    tokens: int
    bytes: int
    seconds: float
    cost: float
    estimated: bool


@dataclass(frozen=True, slots=True)
class Reindexer:
    """Plans and begins builds. `prices` are of a million tokens, by model."""

    database: Database
    models: Models
    build_share: float
    prices: Mapping[str, float]

    async def plan(self, project: str, store_id: str, wanted: Wanted) -> Plan:
        """What a build would do; nothing is begun. Raises NotFound and InvalidRequest as `begin` does."""
        async with self.database.read() as session:
            await stores.get(session, project, store_id)
            live = versions.opened_as(await versions.live(session, store_id)).manifest
            kept = [one.manifest for one in await versions.kept(session, store_id)]
            now = await extent(session, store_id, live.cut)
            texts = await sample(session, store_id, live.cut, _SAMPLE)
        manifest = await self._manifest(live, wanted)
        same_cut = manifest.cut == live.cut
        chunks = now.chunks if same_cut else _recut(now, manifest.chunking)
        like = (manifest.embedding, manifest.cut, manifest.context)
        has_vectors = any((one.embedding, one.cut, one.context) == like for one in kept)
        embedded = 0 if has_vectors else chunks
        tokens = 0 if has_vectors else now.tokens
        return Plan(
            manifest=manifest,
            files=now.files,
            chunks=chunks,
            embedded=embedded,
            reused=chunks - embedded,
            tokens=tokens,
            bytes=chunks * manifest.bytes_per_chunk,
            seconds=await self._seconds(manifest, texts, embedded) if embedded else 0.0,
            cost=tokens / 1e6 * self.prices.get(manifest.embedding.name, 0.0),
            estimated=not same_cut,
        )

    async def begin(
        self, project: str, store_id: str, wanted: Wanted, because: Because, request: Idempotency | None = None
    ) -> IndexVersion:
        """Begin a build: the version as it is made.

        Raises NotFound for an unknown model, InvalidRequest for a chunking that makes no sense, and Conflict where the
        store is being rebuilt already or has such a version.
        """
        async with self.database.read() as session:
            await stores.get(session, project, store_id)
            live = versions.opened_as(await versions.live(session, store_id)).manifest
        manifest = await self._manifest(live, wanted)
        async with self.database.write() as session:
            known = await idempotency.earlier(session, project, request)
            if known is not None:
                return await versions.get(session, store_id, known)
            await _no_other(session, store_id, manifest)
            version = await builds.create(session, store_id, manifest, because)
            idempotency.remember(session, project, request, version.id)
            return version

    async def _manifest(self, live: Manifest, wanted: Wanted) -> Manifest:
        if wanted.lexical is not None:
            Analyser(wanted.lexical)  # raises InvalidRequest for what it cannot do, before anything is built by it
        name = wanted.embedding_model or live.embedding.name
        embedding = live.embedding if name == live.embedding.name else await self.models.spec(name)
        if wanted.chunking is not None:
            check(wanted.chunking)
            chunking = fit(wanted.chunking, embedding.max_tokens)
        elif embedding == live.embedding:
            chunking = live.chunking
        elif embedding.max_tokens >= live.chunking.max_tokens:
            # The very chunks of the live version: they can be compared one by one, and nothing is cut anew.
            chunking = replace(live.chunking, tokenizer=live.chunking.tokenizer or live.embedding.name)
        else:
            chunking = fit(replace(live.chunking, tokenizer=None), embedding.max_tokens)
        return replace(
            live,
            embedding=embedding,
            chunking=chunking,
            lexical=wanted.lexical or live.lexical,
            ann=wanted.ann or live.ann,
            context=live.context if wanted.context is None else _CONTEXTS[wanted.context],
        )

    async def _seconds(self, manifest: Manifest, texts: list[str], chunks: int) -> float:
        if not texts:
            return 0.0
        embedder = await self.models.embedder(manifest.embedding)
        await embedder.documents(texts[:2])  # the first pass is slower
        began = time.perf_counter()
        await embedder.documents(texts)
        return (time.perf_counter() - began) / len(texts) * chunks / self.build_share


async def _no_other(session: AsyncSession, store_id: str, manifest: Manifest) -> None:
    await versions.alone(session, store_id)
    for other in await versions.rows(session, store_id, versions.KEPT):
        if other.manifest_hash == manifest.hash:
            raise Conflict(
                f"The index version '{other.id}' has this very manifest, and is {other.state.value}.",
                code="version_exists",
            )
        if other.state == VersionState.BUILDING:
            raise Conflict(
                f"The index version '{other.id}' is being built. Wait until it is ready, or cancel it.",
                code="build_in_progress",
            )


def _recut(now: Extent, chunking: Chunking) -> int:
    """About how many chunks there will be: as full as they can be, and at least one a document."""
    return max(now.files, math.ceil(now.tokens / max(1, chunking.max_tokens - chunking.overlap_tokens)))
