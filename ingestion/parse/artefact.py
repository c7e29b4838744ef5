"""A canonical text as bytes, and back, without loss: what the blob store keeps and parser children send."""

from collections.abc import Sequence
from typing import Any

import orjson

from indexes.model import Block, BlockKind, CanonicalText, LineBox


def dumps(canonical: CanonicalText) -> bytes:
    """`canonical` as one JSON object in UTF-8. Sections are stored once and referred to by number."""
    sections: dict[tuple[str, ...], int] = {}
    blocks = []
    for block in canonical.blocks:
        section = sections.setdefault(block.section, len(sections))
        lines = [number for line in block.lines for number in (line.start, *line.box)]
        blocks.append((block.start, block.end, block.kind, block.page, section, lines))
    return orjson.dumps(
        {
            "text": canonical.text,
            "media_type": canonical.media_type,
            "title": canonical.title,
            "metadata": dict(canonical.metadata),
            "warnings": canonical.warnings,
            "sections": list(sections),
            "blocks": blocks,
        }
    )


def loads(data: bytes) -> CanonicalText:
    """The canonical text that `dumps` wrote as `data`."""
    return restore(orjson.loads(data))


def restore(fields: dict[str, Any]) -> CanonicalText:
    """The canonical text that `fields`, already read from JSON, stand for."""
    sections = [tuple(section) for section in fields["sections"]]
    return CanonicalText(
        text=fields["text"],
        blocks=tuple(
            Block(start, end, BlockKind(kind), page, sections[section], _lines(start, lines or ()))
            for start, end, kind, page, section, lines in fields["blocks"]
        ),
        media_type=fields["media_type"],
        title=fields["title"],
        metadata=fields["metadata"],
        warnings=tuple(fields["warnings"]),
    )


def _lines(start: int, numbers: Sequence[Any]) -> tuple[LineBox, ...]:
    """Five numbers a line: its start and its box. Texts parsed before `citewell-parse/3` have one box a block."""
    if len(numbers) == 4:
        numbers = (start, *numbers)
    return tuple(LineBox(numbers[at], tuple(numbers[at + 1 : at + 5])) for at in range(0, len(numbers), 5))
