"""What every model that torch runs in this process has in common: its device, its threads, its batches.

torch takes seconds to import, so it is imported by `prepare`, not by this module.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Literal

from indexes.errors import SettingsError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32"]

# Padded tokens of one forward pass. CPU: from 700 to 4,500 the rate is the same within 4 %, at 400 a tenth lower; and a
# smaller pass is padded less and holds less memory. CUDA: enough to fill the device, not measured.
PASS_TOKENS = {"cpu": 1_024, "cuda": 16_384}


def prepare(device: Device, setting: str) -> Literal["cpu", "cuda"]:
    """Import torch, set up to run offline and in bounded memory, and say where a model goes: auto takes CUDA if it is
    there. On the CPU torch is left one thread for each pass, in the whole process.

    Raises SettingsError, naming `setting`, where CUDA is asked for and there is none.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"  # these are read once, when the libraries are imported
    # oneDNN keeps what it compiled for each shape of a batch. Bounded, the process stays at 0.8 GB, and not at 1.9,
    # after a few hundred documents; 16 are too few for questions of some lengths in two threads.
    for cache in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(cache, "64")
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError(f"`{setting}` is cuda, but torch finds no CUDA device: set it to auto or cpu.")
    if device != "cpu" and torch.cuda.is_available():
        return "cuda"
    torch.set_num_threads(1)
    return "cpu"


def passes(device: str, threads: int) -> int:
    """How many forward passes run at once: on the CPU `threads`, 0 for one per core; on CUDA one."""
    if device != "cpu":
        return 1
    return threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def by_length(counts: Sequence[int], pass_tokens: int) -> Iterator[list[int]]:
    """Positions of texts of like length, longest first, so that little is padded and memory peaks at once.

    `counts` are the tokens of each text; a pass holds `pass_tokens` with its padding, or one text.
    """
    batch: list[int] = []
    for position in sorted(range(len(counts)), key=counts.__getitem__, reverse=True):
        if batch and (len(batch) + 1) * counts[batch[0]] > pass_tokens:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
