"""XML of any vocabulary (JATS, DocBook, DITA, records): headings, paragraphs, tables, records of fields."""

from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from indexes.model import BlockKind
from ingestion.parse.container import parse_xml
from ingestion.parse.draft import Draft, Piece, heading
from ingestion.parse.limits import Limits
from ingestion.parse.markup import local
from ingestion.parse.tables import table

_TITLES = frozenset(("title", "article-title", "heading", "head"))
_ITEMS = frozenset(("list-item", "listitem", "li", "item"))
# What no reader of a page sees, and what JATS says about the journal, not in the article.
_LEFT_OUT = frozenset(
    [
        "style",
        "script",
        "journal-meta",
        "article-id",
        "article-categories",
        "permissions",
        "pub-date",
        "history",
        "counts",
        "custom-meta-group",
        "volume",
        "elocation-id",
        "contrib-id",
    ]
)
_CODE = frozenset(("programlisting", "codeblock", "code", "screen", "preformat", "pre"))


def parse(path: Path, limits: Limits) -> Draft:
    """Blocks in document order. A broken document is read as far as it can be repaired."""
    root = parse_xml(path.read_bytes(), recover=True)
    return Draft(() if root is None else list(_blocks(root, 1, BlockKind.PARAGRAPH)))


def _blocks(element: etree._Element, level: int, kind: BlockKind) -> Iterator[Piece]:
    name = local(element)
    if name in _LEFT_OUT:
        return
    if name in _TITLES:
        yield heading(_flat(element), level)
    elif name == "table":
        yield from table([_flat(cell) for cell in row] for row in element.iter("{*}tr", "{*}row"))
    elif name in _CODE:
        yield Piece("".join(element.itertext()), BlockKind.CODE)
    elif _is_mixed(element) or not len(element):
        yield Piece(_flat(element), BlockKind.LIST_ITEM if name in _ITEMS else kind)
    elif len(element) > 1 and all(not len(part) and local(part) not in _TITLES for part in element):
        fields = ((local(part), _flat(part)) for part in element if local(part) not in _LEFT_OUT)
        yield Piece("\n".join(f"{field}: {text}" for field, text in fields if text), kind)
    else:
        inner = level + any(local(part) in _TITLES for part in element)
        for part in element:
            is_title = local(part) in _TITLES
            yield from _blocks(part, level if is_title else inner, BlockKind.LIST_ITEM if name in _ITEMS else kind)


def _is_mixed(element: etree._Element) -> bool:
    """Whether text stands between the children: then they are words of a paragraph, not blocks."""
    return bool((element.text or "").strip()) or any((part.tail or "").strip() for part in element)


def _flat(element: etree._Element) -> str:
    return " ".join("".join(map(str, element.itertext())).split())
