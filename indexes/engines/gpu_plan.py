"""Which main parts lie in the memory of a GPU, and in what form: a pure function of their sizes and of the budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

EXACT_BYTES = 4 << 30
"""Of half-precision vectors compared for each batch of questions: 2 ms at 2 TB/s. A larger part is searched
approximately, although it may fit."""

_LINKS = 64  # of a vector in a CAGRA graph, 4 bytes each
_PQ_PART = 4  # dimensions that share a byte in IVF-PQ: 1/8 of half precision; results are compared again in full


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


def bytes_on_device(placement: Placement, rows: int, dimension: int) -> int:
    """About what a part takes there."""
    match placement:
        case Placement.EXACT:
            return 2 * rows * dimension
        case Placement.CAGRA:
            return rows * (4 * dimension + 4 * _LINKS)
        case Placement.IVF_PQ:
            return rows * (dimension // _PQ_PART + 8)
        case Placement.CPU:
            return 0


def placements(candidates: Sequence[Candidate], budget_bytes: int, *, cuvs: bool) -> dict[str, Placement]:
    """Where each version is searched. Those searched last choose first; what finds no room stays on the CPU."""
    placed, left = {}, budget_bytes
    for one in sorted(candidates, key=lambda each: -each.used_s):
        exact = bytes_on_device(Placement.EXACT, one.rows, one.dimension)
        wanted = [Placement.EXACT] if exact <= EXACT_BYTES else [Placement.CAGRA] if cuvs else []
        forms = [*wanted, Placement.IVF_PQ]
        form = next((form for form in forms if bytes_on_device(form, one.rows, one.dimension) <= left), Placement.CPU)
        placed[one.version_id] = form
        left -= bytes_on_device(form, one.rows, one.dimension)
    return placed
