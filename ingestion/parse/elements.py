"""`unstructured`, kept to what it is good at here: slides and HTML, by structure alone.

It also guesses titles from English grammar, with a spaCy model that it downloads when it is missing, and reports its
use over the network. Neither happens: its grammar is replaced by white space before the rest of it is imported. So
there is no model to download, no language is favoured, and a paragraph costs microseconds instead of milliseconds.
"""

import os
from collections.abc import Iterable, Iterator
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from lxml import html

from indexes.model import BlockKind
from ingestion.parse.draft import Piece, heading, table

if TYPE_CHECKING:
    from unstructured.documents.elements import Element

_KINDS = {"ListItem": BlockKind.LIST_ITEM, "CodeSnippet": BlockKind.CODE}
_LEFT_OUT = frozenset(("PageBreak", "PageNumber", "Header", "Footer"))


@cache
def library() -> ModuleType:
    """The `unstructured` package, silenced. Takes about 2 s at the first call and 120 MB."""
    os.environ |= {"DO_NOT_TRACK": "1", "UNSTRUCTURED_DISABLE_NOTICE": "1"}
    import unstructured
    import unstructured.nlp.tokenize as grammar

    grammar.sent_tokenize = lambda text: [text]
    grammar.word_tokenize = str.split
    grammar.pos_tag = lambda _: []
    return unstructured  # type: ignore[no-any-return]


def pieces(elements: Iterable["Element"]) -> Iterator[Piece]:
    """The elements as pieces: titles with their depth, tables row by row."""
    for element in elements:
        page = element.metadata.page_number
        category = type(element).__name__
        if category in _LEFT_OUT:
            continue
        if category == "Table" and element.metadata.text_as_html:
            yield table(rows(element.metadata.text_as_html), page)
        elif category == "Title":
            yield heading(element.text, (element.metadata.category_depth or 0) + 1, page)
        else:
            yield Piece(element.text, _KINDS.get(category, BlockKind.PARAGRAPH), page=page)


def rows(markup: str) -> Iterator[list[str]]:
    """The cells of the HTML table in `markup`."""
    for row in html.fromstring(markup).iter("tr"):
        yield [cell.text_content() for cell in row if cell.tag in ("td", "th")]
