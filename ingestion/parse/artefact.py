"""A canonical text as bytes, and back, without loss: what the blob store keeps and parser children send."""

from typing import Any

import orjson

from indexes.model import Block, BlockKind, CanonicalText


def dumps(canonical: CanonicalText) -> bytes:
    """`canonical` as one JSON object in UTF-8. Sections are stored once and referred to by number."""
    sections: dict[tuple[str, ...], int] = {}
    blocks = [
        (block.start, block.end, block.kind, block.page, sections.setdefault(block.section, len(sections)), block.box)
        for block in canonical.blocks
    ]
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
            Block(start, end, BlockKind(kind), page, sections[section], tuple(box) if box else None)
            for start, end, kind, page, section, box in fields["blocks"]
        ),
        media_type=fields["media_type"],
        title=fields["title"],
        metadata=fields["metadata"],
        warnings=tuple(fields["warnings"]),
    )
