"""Embedding models of sentence-transformers, on the CPU or on CUDA.

The library takes six seconds to import, so it is imported by `load`, not by this module.

On the CPU each forward pass has one thread, and several passes run at once. One pass on all cores, torch's default,
waits in every layer for the slowest of its threads: beside other work on the same cores, such as a worker that parses,
it was measured to embed at a quarter of the rate and to take 20 times as long for a query. On an idle machine a query
is 0.6 ms slower this way.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from indexes.embedders.tokenizer import FolderTokenizer
from indexes.embedders.weights import Weights
from indexes.errors import SettingsError, Unavailable
from indexes.model import Vector
from indexes.torch_passes import PASS_TOKENS, Device, Precision, by_length, passes, prepare

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Made = TypeVar("Made")


class SentenceTransformerEmbedder:
    """A loaded sentence-transformers model. Texts longer than the model reads are cut at its limit."""

    def __init__(self, weights: Weights, model: "SentenceTransformer", passes: int) -> None:
        """Call `load` instead. `passes` is how many forward passes run at once, `batch_tokens` what suits each."""
        self.spec = weights.spec
        self.tokenizer = FolderTokenizer(weights.folder)
        self.passes = passes
        self.batch_tokens = PASS_TOKENS[model.device.type]
        self._model = model
        self._pool = ThreadPoolExecutor(passes, thread_name_prefix="forward")
        self._tokenizing = threading.Lock()  # the tokenizer inside the model is not safe in two threads

    @classmethod
    def load(
        cls,
        weights: Weights,
        *,
        device: Device = "auto",
        threads: int = 0,
        precision: Precision = "auto",
        setting: str = "embedding.device",
    ) -> "SentenceTransformerEmbedder":
        """Loads and warms up the model: about 7 s the first time in a process, 0.5 s after that.

        `threads` is how many forward passes run at once on the CPU, 0 for one per core; torch is left one thread for
        each, in the whole process. `precision` is that of products of matrices there: auto takes bfloat16 where the CPU
        has instructions for it, whose vectors have a cosine of .9999 to those of float32; CUDA has float32 always.

        Raises SettingsError where the model or the device, which `setting` names, cannot be
        used.
        """
        model = _load(weights, device, precision, setting)
        embedder = cls(weights, model, passes(model.device.type, threads))
        width = embedder._forward(["The first pass allocates what later ones reuse."]).shape[1]
        if width != weights.spec.dimension:
            raise SettingsError(
                f"The model in {weights.folder} makes {width} dimensions where its files say {weights.spec.dimension}."
            )
        return embedder

    def embed_documents(self, texts: Sequence[str]) -> Vector:
        """Shape (len(texts), dimension), rows of length 1, in the order of `texts`. Raises Unavailable.

        What fits into one forward pass is one, so that callers in several threads share the cores.
        """
        return self._embed([self.spec.document_prefix + text for text in texts])

    def embed_queries(self, texts: Sequence[str]) -> Vector:
        """As `embed_documents`, with the query prefix."""
        return self._embed([self.spec.query_prefix + text for text in texts])

    def _embed(self, texts: list[str]) -> Vector:
        vectors = np.empty((len(texts), self.spec.dimension), dtype=np.float32)
        counts = [min(count, self.spec.max_tokens) for count in self.tokenizer.counts(texts)]
        batches = list(by_length(counts, self.batch_tokens))
        run = map if len(batches) == 1 else self._pool.map
        for batch, rows in zip(
            batches, run(self._forward, [[texts[i] for i in batch] for batch in batches]), strict=True
        ):
            vectors[batch] = rows
        return vectors

    def token_vectors(self, texts: list[str]) -> list[Vector]:
        """Of each text the vectors of its tokens without those that frame it, shape (tokens, width), rows of length 1.

        One forward pass, whatever the number of texts; no prefix is added. Raises Unavailable.
        """
        import torch

        def read(made: dict[str, Any]) -> list[Vector]:
            rows = torch.nn.functional.normalize(made["token_embeddings"], dim=2).cpu().numpy()
            frame = np.isin(made["input_ids"].cpu().numpy(), _frame(self._model.tokenizer))
            return [of_text[~left_out] for of_text, left_out in zip(rows, frame, strict=True)]

        return self._pass(texts, read)

    def _forward(self, texts: list[str]) -> Vector:
        import torch

        def read(made: dict[str, Any]) -> Vector:
            vectors: Vector = torch.nn.functional.normalize(made["sentence_embedding"], dim=1).cpu().numpy()
            return vectors

        return self._pass(texts, read)

    def _pass(self, texts: list[str], read: Callable[[dict[str, Any]], Made]) -> Made:
        """What `read` makes of the model's outputs for the texts."""
        # Not `encode`: its checks cost a query a third of its time.
        import torch

        with self._tokenizing:
            features = self._model.preprocess(texts)
        try:
            with torch.inference_mode():
                here = {k: v.to(self._model.device) if isinstance(v, torch.Tensor) else v for k, v in features.items()}
                return read(self._model.forward(here))
        except RuntimeError as error:  # torch's own, out of memory among them
            raise Unavailable(f"The embedding model {self.spec.name} failed on {len(texts)} texts: {error}") from error


def _frame(tokenizer: Any) -> list[int]:  # noqa: ANN401 - of transformers
    """What a tokenizer puts around and behind texts. An unknown token is a token of the text."""
    kinds = ("cls", "sep", "pad", "mask", "bos", "eos")
    return [number for kind in kinds if (number := getattr(tokenizer, f"{kind}_token_id", None)) is not None]


def _load(weights: Weights, device: Device, precision: Precision, setting: str) -> "SentenceTransformer":
    chosen = prepare(device, setting)
    import torch
    from sentence_transformers import SentenceTransformer

    from indexes.packed_encoder import pack

    try:
        model = SentenceTransformer(
            str(weights.folder), device=chosen, local_files_only=True, model_kwargs={"dtype": torch.float32}
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise SettingsError(f"The model in {weights.folder} cannot be loaded: {error}") from error
    if chosen == "cpu":
        pack(model, precision)
    return model.eval()
