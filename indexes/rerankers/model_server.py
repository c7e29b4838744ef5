"""A reranker that a model server runs: vLLM's `/v1/rerank`, or `/rerank` of text-embeddings-inference."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import orjson

from indexes.errors import Overloaded, Unavailable
from indexes.model import Vector
from indexes.refusals import no_answer, refusal
from indexes.reranker import RerankerSpec
from indexes.rerankers.settings import RerankServerSettings

_MOST_WAITING = 256  # requests


class ServerReranker:
    """For one event loop. Batches of several callers are the server's business."""

    tokenizer = None

    def __init__(self, settings: RerankServerSettings) -> None:
        key = settings.api_key
        self.spec = RerankerSpec(settings.model)
        self._settings = settings
        self._waiting = 0
        self._places = asyncio.Semaphore(settings.max_concurrency)
        self._http = httpx.AsyncClient(
            base_url=settings.url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            timeout=httpx.Timeout(settings.timeout_s, connect=settings.connect_timeout_s),
            trust_env=False,  # a proxy for the outside world must not see the passages
        )

    async def scores(self, query: str, texts: Sequence[str]) -> Vector:
        """As `SharedReranker.scores`. Also raises InvalidRequest where the server refuses what is asked."""
        batch = self._settings.batch
        parts = [texts[first : first + batch] for first in range(0, len(texts), batch)]
        # A group, so that when one part fails or the caller goes away the others end as well.
        try:
            async with asyncio.TaskGroup() as group:
                scored = [group.create_task(self._scores(query, part)) for part in parts]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return np.concatenate([task.result() for task in scored] or [np.empty(0, np.float32)])

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _scores(self, query: str, texts: Sequence[str]) -> Vector:
        if self._waiting >= _MOST_WAITING:
            raise Overloaded(f"{self._waiting} requests are waiting for {self.spec.name}. Try again in a moment.")
        self._waiting += 1
        try:
            async with self._places:
                reply = await self._http.post("rerank", json=self._body(query, texts))
        except httpx.HTTPError as error:
            raise no_answer(self.spec.name, error) from error
        finally:
            self._waiting -= 1
        if not reply.is_success:
            raise refusal(self.spec.name, reply)
        return self._within_0_and_1(self._read(reply.content, len(texts)))

    def _body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        if self._settings.protocol == "tei":
            return {"query": query, "texts": list(texts), "raw_scores": self._settings.logits, "truncate": True}
        documents = {"query": query, "documents": list(texts), "top_n": len(texts)}
        return {"model": self._settings.model, **documents, "truncate_prompt_tokens": -1}  # -1: at the model's limit

    def _read(self, content: bytes, count: int) -> Vector:
        """The scores in the order of the texts: servers answer best first."""
        scores = np.full(count, np.nan, dtype=np.float32)
        try:
            data = orjson.loads(content)
            rows = data if self._settings.protocol == "tei" else data["results"]
            for row in rows:
                scores[row["index"]] = row["score" if self._settings.protocol == "tei" else "relevance_score"]
        except (orjson.JSONDecodeError, LookupError, TypeError, ValueError) as error:
            raise self._nonsense() from error
        if len(rows) != count or not np.isfinite(scores).all():
            raise self._nonsense()
        return scores

    def _within_0_and_1(self, scores: Vector) -> Vector:
        if self._settings.logits:
            return np.asarray(1 / (1 + np.exp(-scores.astype(np.float64))), dtype=np.float32)
        if scores.size and not 0 <= scores.min() <= scores.max() <= 1:
            raise Unavailable(f"The scores of {self.spec.name} are not within 0..1: set `rerank.logits` to true.")
        return scores

    def _nonsense(self) -> Unavailable:
        return Unavailable(
            f"{self.spec.name} at {self._settings.url} did not answer with a score for each text. Check "
            "`rerank.url` and `rerank.protocol`."
        )
