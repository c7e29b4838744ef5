"""Cross-encoders of sentence-transformers, on the CPU or on CUDA, in float32.

As the embedder does, and for its reasons (`embedders/sentence_transformer.py`): the library is imported by `load`, a
forward pass on the CPU has one thread, and several run at once where several callers ask.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from indexes.embedders.tokenizer import FolderTokenizer
from indexes.errors import SettingsError, Unavailable
from indexes.model import Vector
from indexes.reranker import Pair
from indexes.rerankers.weights import CrossEncoderWeights
from indexes.torch_passes import PASS_TOKENS, Device, Precision, by_length, passes, prepare

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


class CrossEncoderReranker:
    """A loaded cross-encoder. Its logits are mapped to 0..1 by the logistic function, or by the softmax where it tells
    classes of inference apart, whatever activation it names.
    """

    def __init__(self, weights: CrossEncoderWeights, model: "CrossEncoder", passes: int) -> None:
        """Call `load` instead."""
        self.spec = weights.spec
        self.tokenizer = FolderTokenizer(weights.folder)
        self.passes = passes
        self.pass_tokens = PASS_TOKENS[model.device.type]
        self._model = model
        self._entailment = weights.entailment
        self._prompt = model.prompts.get(model.default_prompt_name) if model.default_prompt_name else None
        self._tokenizing = threading.Lock()  # the tokenizer inside the model is not safe in two threads

    @classmethod
    def load(
        cls, weights: CrossEncoderWeights, *, device: Device = "auto", threads: int = 0, precision: Precision = "auto"
    ) -> "CrossEncoderReranker":
        """Loads and warms up the model: about 7 s the first time in a process.

        `threads` is how many forward passes run at once on the CPU, 0 for one per core; `precision` is that of products
        of matrices there. Raises SettingsError where the model or the device cannot be used.
        """
        model = _load(weights, device, precision)
        reranker = cls(weights, model, passes(model.device.type, threads))
        reranker.scores([Pair("The first pass", "allocates what later ones reuse.")])
        return reranker

    def scores(self, pairs: Sequence[Pair]) -> Vector:
        """Shape (len(pairs),), each 0..1, in the order of `pairs`. Raises Unavailable."""
        scores = np.empty(len(pairs), dtype=np.float32)
        queries, texts = ([pair[side] for pair in pairs] for side in (0, 1))
        sides = zip(self.tokenizer.counts(queries), self.tokenizer.counts(texts), strict=True)
        counts = [min(sum(both), self._model.max_seq_length or sum(both)) for both in sides]
        for batch in by_length(counts, self.pass_tokens):
            scores[batch] = self._forward([pairs[position] for position in batch])
        return scores

    def _forward(self, pairs: list[Pair]) -> Vector:
        # Not `predict`: it tokenises and computes in one call, of which only the second half is safe in two threads.
        import torch

        with self._tokenizing:
            features = self._model.preprocess([self._read(pair) for pair in pairs], prompt=self._prompt)
        try:
            with torch.inference_mode():
                here = {k: v.to(self._model.device) if isinstance(v, torch.Tensor) else v for k, v in features.items()}
                logits = self._model(here)["scores"].float().reshape(len(pairs), -1)
                if self._entailment is None:
                    shares = torch.sigmoid(logits)[:, 0]
                else:
                    shares = torch.softmax(logits, dim=1)[:, self._entailment]
                scores: Vector = shares.cpu().numpy()
        except RuntimeError as error:  # torch's own, out of memory among them
            raise Unavailable(f"The reranker {self.spec.name} failed on {len(pairs)} texts: {error}") from error
        return scores

    def _read(self, pair: Pair) -> tuple[str, str]:
        """Inference goes from the text to what is said of it; whoever ranks reads the question first."""
        return (pair.query, pair.text) if self._entailment is None else (pair.text, pair.query)


def _load(weights: CrossEncoderWeights, device: Device, precision: Precision) -> "CrossEncoder":
    chosen = prepare(device, "rerank.device")
    import torch
    from sentence_transformers import CrossEncoder

    from indexes.packed_encoder import pack

    try:
        model = CrossEncoder(
            str(weights.folder), device=chosen, local_files_only=True, model_kwargs={"dtype": torch.float32}
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise SettingsError(f"The model in {weights.folder} cannot be loaded: {error}") from error
    if chosen == "cpu":
        pack(model, precision)
    return model.eval()
