"""What the owner of a document is told of passages in it that give orders to a language model."""

from collections.abc import Sequence

from indexes.model import Chunk
from indexes.orders import SUSPICIOUS

_SHOWN_CHARS = 80


def of_orders(chunks: Sequence[Chunk]) -> list[str]:
    """A warning that counts the passages and shows the worst of them; none where there are none."""
    suspects = [chunk for chunk in chunks if (chunk.orders or 0.0) >= SUSPICIOUS]
    if not suspects:
        return []
    worst = max(suspects, key=lambda chunk: chunk.orders or 0.0)
    count = "1 passage reads" if len(suspects) == 1 else f"{len(suspects)} passages read"
    page = f" on page {worst.span.page_start}" if worst.span.page_start else ""
    return [
        f"{count} as if orders were given to a language model, most of all{page}: “{_start(worst.text)}”. Look whether "
        "they belong there: unless the store allows it (`citewell.orders` in its metadata), answers do not quote them."
    ]


def _start(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _SHOWN_CHARS else plain[: _SHOWN_CHARS - 1] + "…"
