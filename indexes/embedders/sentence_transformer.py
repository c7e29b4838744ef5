"""Embedding models of sentence-transformers, on the CPU or on CUDA, in float32.

The library takes six seconds to import, so it is imported by `load`, not by this module.

On the CPU each forward pass has one thread, and several passes run at once. One pass on all cores, torch's default,
waits in every layer for the slowest of its threads: beside other work on the same cores, such as a worker that parses,
it was measured to embed at a quarter of the rate and to take 20 times as long for a query. On an idle machine a query
is 0.6 ms slower this way (5.8 ms, not 5.2).
"""

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import numpy as np

from indexes.embedders.tokenizer import FolderTokenizer
from indexes.embedders.weights import Weights
from indexes.errors import SettingsError, Unavailable
from indexes.model import Vector

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Device = Literal["auto", "cpu", "cuda"]

# Padded tokens of one forward pass. CPU: the rate is flat from 800 to 4,000 and falls by a quarter at 8,000, where the
# activations leave the cache. CUDA: enough to fill the device, not measured.
_BATCH_TOKENS = {"cpu": 1_024, "cuda": 16_384}


class SentenceTransformerEmbedder:
    """A loaded sentence-transformers model. Texts longer than the model reads are cut at its limit."""

    def __init__(self, weights: Weights, model: "SentenceTransformer", passes: int) -> None:
        """Call `load` instead. `passes` is how many forward passes run at once."""
        self.spec = weights.spec
        self.tokenizer = FolderTokenizer(weights.folder)
        self._model = model
        self.batch_tokens = _BATCH_TOKENS[model.device.type]
        self.passes = passes
        self._pool = ThreadPoolExecutor(passes, thread_name_prefix="forward")
        self._tokenizing = threading.Lock()  # the tokenizer inside the model is not safe in two threads

    @classmethod
    def load(cls, weights: Weights, *, device: Device = "auto", threads: int = 0) -> "SentenceTransformerEmbedder":
        """Loads and warms up the model: about 7 s the first time in a process, 0.5 s after that.

        `threads` is how many forward passes run at once on the CPU, 0 for one per core; torch is left one thread for
        each, in the whole process. Raises SettingsError where the model or the device cannot be used.
        """
        model = _load(weights, device)
        embedder = cls(weights, model, passes=(threads or _cores()) if model.device.type == "cpu" else 1)
        width = embedder._forward(["The first pass allocates what later ones reuse."]).shape[1]
        if width != weights.spec.dimension:
            raise SettingsError(
                f"The model in {weights.folder} makes {width} dimensions where its files say {weights.spec.dimension}."
            )
        return embedder

    def embed_documents(self, texts: Sequence[str]) -> Vector:
        """Shape (len(texts), dimension), rows of length 1, in the order of `texts`. Raises Unavailable."""
        return self._embed([self.spec.document_prefix + text for text in texts])

    def embed_queries(self, texts: Sequence[str]) -> Vector:
        """As `embed_documents`, with the query prefix."""
        return self._embed([self.spec.query_prefix + text for text in texts])

    def _embed(self, texts: list[str]) -> Vector:
        vectors = np.empty((len(texts), self.spec.dimension), dtype=np.float32)
        batches = list(self._batches(texts))
        run = map if len(batches) == 1 else self._pool.map
        for batch, rows in zip(
            batches, run(self._forward, [[texts[i] for i in batch] for batch in batches]), strict=True
        ):
            vectors[batch] = rows
        return vectors

    def _batches(self, texts: list[str]) -> Iterator[list[int]]:
        """Positions of texts of like length, longest first, so that little is padded and memory peaks at once."""
        reads = self.spec.max_tokens
        counts = [min(count, reads) for count in self.tokenizer.counts(texts)]
        batch: list[int] = []
        for position in sorted(range(len(texts)), key=counts.__getitem__, reverse=True):
            if batch and (len(batch) + 1) * counts[batch[0]] > self.batch_tokens:
                yield batch
                batch = []
            batch.append(position)
        if batch:
            yield batch

    def _forward(self, texts: list[str]) -> Vector:
        # Not `encode`: its checks cost a query a third of its time.
        import torch

        with self._tokenizing:
            features = self._model.preprocess(texts)
        try:
            with torch.inference_mode():
                here = {k: v.to(self._model.device) if isinstance(v, torch.Tensor) else v for k, v in features.items()}
                rows = self._model.forward(here)["sentence_embedding"]
                vectors: Vector = torch.nn.functional.normalize(rows, dim=1).cpu().numpy()
        except RuntimeError as error:  # torch's own, out of memory among them
            raise Unavailable(f"The embedding model {self.spec.name} failed on {len(texts)} texts: {error}") from error
        return vectors


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load(weights: Weights, device: Device) -> "SentenceTransformer":
    os.environ["HF_HUB_OFFLINE"] = "1"  # these are read once, when the libraries are imported
    # oneDNN keeps what it compiled for each shape of a batch. Bounded, the process stays at 0.8 GB, and not at 1.9,
    # after a few hundred documents, at the same rate.
    for cache in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(cache, "16")
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    from indexes.embedders.packed_linear import pack_linears

    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("`embedding.device` is cuda, but torch finds no CUDA device: set it to auto or cpu.")
    chosen = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = SentenceTransformer(
            str(weights.folder), device=chosen, local_files_only=True, model_kwargs={"dtype": torch.float32}
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise SettingsError(f"The model in {weights.folder} cannot be loaded: {error}") from error
    if chosen == "cpu":
        torch.set_num_threads(1)
        pack_linears(model)
    return model.eval()
