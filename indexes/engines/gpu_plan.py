"""Which main parts lie in the memory of a GPU, and in what form: a pure function of their sizes and of the budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

EXACT_BYTES = 4 << 30
"""Of half-precision vectors compared for each batch of questions: 2 ms at 2 TB/s. A larger part is searched
approximately, although it may fit."""

SCRATCH_BYTES = 384 << 20
"""Each part has room of its own to work in, so that one is built while others are searched. 64 questions compared with
half a million rows twice at once, as FAISS does, take 256 MiB."""

_LINKS = 64  # of a vector in a CAGRA graph, 4 bytes each
_CODE_BYTES = (96, 64, 56, 48, 40, 32, 28, 24, 20, 16, 12, 8, 4, 3, 2, 1)  # that FAISS's IVF-PQ can have
_BYTE_DIMENSIONS = 4  # that share a byte of a code at least


class Placement(StrEnum):
    """A form on the device, or none."""

    EXACT = "exact, half precision"
    CAGRA = "CAGRA"
    IVF_PQ = "IVF-PQ"
    CPU = "CPU"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A main part, and when it was last searched (monotonic seconds)."""

    version_id: str
    rows: int
    dimension: int
    used_s: float


def code_bytes(dimension: int) -> int:
    """Of a vector in IVF-PQ: as many as divide the dimension, 1/8 of half precision at most."""
    return next((width for width in _CODE_BYTES if dimension % width == 0 and width * _BYTE_DIMENSIONS <= dimension), 1)


def bytes_on_device(placement: Placement, rows: int, dimension: int) -> int:
    """About what a part takes there."""
    match placement:
        case Placement.EXACT:
            return SCRATCH_BYTES + 2 * rows * dimension
        case Placement.CAGRA:
            return SCRATCH_BYTES + rows * (4 * dimension + 4 * _LINKS)
        case Placement.IVF_PQ:
            return SCRATCH_BYTES + rows * (code_bytes(dimension) + 8)
        case Placement.CPU:
            return 0


def placements(candidates: Sequence[Candidate], budget_bytes: int, *, cuvs: bool) -> dict[str, Placement]:
    """Where each version is searched. Those searched last choose first; what finds no room stays on the CPU."""
    placed, left = {}, budget_bytes
    for one in sorted(candidates, key=lambda each: -each.used_s):
        exact = 2 * one.rows * one.dimension <= EXACT_BYTES
        wanted = [Placement.EXACT] if exact else [Placement.CAGRA] if cuvs else []
        forms = [*wanted, Placement.IVF_PQ]
        form = next((form for form in forms if bytes_on_device(form, one.rows, one.dimension) <= left), Placement.CPU)
        placed[one.version_id] = form
        left -= bytes_on_device(form, one.rows, one.dimension)
    return placed
