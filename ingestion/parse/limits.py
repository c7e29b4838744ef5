"""What one document may cost (invariant I14). A document over a limit fails alone, with a sentence for its owner."""

from dataclasses import dataclass

MEBIBYTE = 1 << 20
# Below this no ratio is too much: a page of zeros shrinks a thousandfold.
SMALL_BYTES = 10 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one parse. The first four hold for every format; the rest bound what a small file can unfold into.

    max_pages: a long handbook has about 1,000; past this a file is a library and should be split.
    max_text_chars: about 3,000 printed pages, or 10,000 chunks of one document.
    max_seconds: wall clock of one job, enforced by the parent, which kills the child.
    max_memory_bytes: address space of a child (RLIMIT_AS); libraries alone map about a third of it.
    max_members: entries of a container, with those of containers inside it; real office files have hundreds.
    max_expanded_bytes: sum of the unpacked sizes, those that a zip container declares and those that are found.
    max_ratio: unpacked to packed size of a container over `SMALL_BYTES` unpacked; office XML reaches about 100.
    max_depth: mail inside mail, archives inside archives.
    """

    max_pages: int = 5_000
    max_text_chars: int = 10_000_000
    max_seconds: float = 120.0
    max_memory_bytes: int = 2048 * MEBIBYTE
    max_members: int = 20_000
    max_expanded_bytes: int = 512 * MEBIBYTE
    max_ratio: int = 300
    max_depth: int = 5
