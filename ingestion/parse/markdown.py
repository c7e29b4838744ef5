"""Markdown (CommonMark with tables), with front matter and the tags of site generators."""

import re
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import accumulate
from pathlib import Path
from typing import Any

from lxml import etree, html
from markdown_it import MarkdownIt
from markdown_it.token import Token

from indexes.model import AttributeValue, BlockKind
from ingestion.parse.draft import Draft, Piece, attributes, heading
from ingestion.parse.encoding import decode
from ingestion.parse.limits import Limits
from ingestion.parse.tables import table

_FRONT_MATTER = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\n(.*?\n)?\1[ \t]*(?:\n|\Z)", re.DOTALL)
# Hugo's `{{< name >}}` and `{{% name %}}`, Jekyll's and Liquid's `{% name %}`: the tags go, what they enclose stays.
_COMMENT = re.compile(r"\{\{([<%])\s*comment\s*[>%]\}\}.*?\{\{\1\s*/\s*comment\s*[>%]\}\}", re.DOTALL)
_TAG = re.compile(r"\{\{[<%][^{}]*[>%]\}\}|\{%[^{}]*%\}", re.DOTALL)
_TAG_TITLE = re.compile(r"""\b(?:title|header|caption|text)\s*=\s*"([^"]+)\"|\{\{[<%]\s*tab\s+"?([^"%>=]+?)"?\s*[>%]""")
# Each length of backticks that is never closed costs a look at all that follows: hence a bound.
_CODE_SPAN = re.compile(r"(?<![`\\])(`{1,8})(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
# `{#anchor}` and `{.class}` after what they belong to; GitHub's mark of a note.
_ATTRIBUTES = re.compile(r"\s*\{[#.:][^{}\n]*\}\s*$|^\[![A-Z]+\]\s*", re.MULTILINE)


def parse(path: Path, limits: Limits) -> Draft:
    """Headings, paragraphs, list items, tables and whole code blocks; front matter becomes title and metadata."""
    text = decode(path.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")
    stated, body = _front_matter(text)
    body = _outside_code(_TAG, _tag_text, _outside_code(_COMMENT, lambda _: "", body))
    tokens = _markdown().parse(body)
    title = _words(stated.get("title"))
    pieces = [heading(title, 1), *_pieces(tokens)] if title else list(_pieces(tokens))
    return Draft(pieces, title, _metadata(stated))


def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _front_matter(text: str) -> tuple[dict[str, Any], str]:
    """What `text` states of itself before it begins, and the rest. Without a mapping, all is text, rules and words."""
    import tomllib

    import yaml

    matter = _FRONT_MATTER.match(text)
    if matter is None:
        return {}, text
    try:
        stated = tomllib.loads(matter[2] or "") if matter[1] == "+++" else _yaml(matter[2] or "")
    except (ValueError, RecursionError, yaml.YAMLError):
        stated = None
    if not isinstance(stated, dict):
        return {}, text
    return {str(key).lower(): value for key, value in stated.items()}, text[matter.end() :]


def _yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except ValueError:  # There is no 31 February: then everything is read as words.
        return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes strings, lists and mappings only


def _metadata(stated: dict[str, Any]) -> dict[str, AttributeValue]:
    return attributes(
        author=_words(stated.get("author") or stated.get("authors")),
        description=_words(stated.get("description")),
        created=_words(stated.get("date")),
        keywords=_words(stated.get("keywords") or stated.get("tags")),
        language=_words(stated.get("lang") or stated.get("language")),
    )


def _words(value: object) -> str:
    """A scalar, or a list of scalars, as text. Deeper values are left out: YAML folds a great deal into few bytes."""
    match value:
        case str() | int() | float() | date():
            return str(value)
        case list():
            return ", ".join(str(each) for each in value[:50] if isinstance(each, str | int | float))
        case _:
            return ""


def _outside_code(pattern: re.Pattern[str], words: Callable[[re.Match[str]], str], text: str) -> str:
    """`text` with the `words` of what `pattern` finds in its place; code that shows such things keeps them."""
    if not pattern.search(text):
        return text
    bounds = _code(text)
    return pattern.sub(lambda found: found.group() if bisect(bounds, found.start()) % 2 else words(found), text)


def _code(text: str) -> list[int]:
    """Where code begins and ends in `text`, by turns: its fences, indented blocks and code spans."""
    lines = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    bounds: list[int] = []
    searched = 0
    for token in _markdown().disable("inline").parse(text):
        start, end = (lines[line] for line in token.map or (0, 0))
        if token.type in ("fence", "code_block"):
            bounds += start, end
        elif token.type == "inline" and start >= searched:  # The cells of a row are all of the same line.
            bounds += (bound for span in _CODE_SPAN.finditer(text, start, end) for bound in span.span())
            searched = end
    return bounds


def _tag_text(tag: re.Match[str]) -> str:
    """The words that a tag shows a reader: the label of a tab, the title of a note."""
    title = _TAG_TITLE.search(tag.group())
    words = (title[1] or title[2]) if title else ""
    stands_alone = words and tag.string[max(tag.start() - 1, 0) : tag.start()] in ("", "\n")
    return f"{words}\n\n" if stands_alone else words


def _pieces(tokens: Sequence[Token]) -> Iterator[Piece]:
    kind = BlockKind.PARAGRAPH
    lists = 0
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        match token.type:
            case "heading_open":
                yield heading(_inline(tokens[at]), int(token.tag[1]))
            case "list_item_open":
                lists += 1
            case "list_item_close":
                lists -= 1
            case "table_open":
                end = next(i for i in range(at, len(tokens)) if tokens[i].type == "table_close")
                yield from table(_rows(tokens[at:end]))
                at = end
            case "fence" | "code_block":
                yield Piece(token.content, BlockKind.CODE)
            case "html_block":
                yield Piece(_stripped(token.content))
            case "inline" if tokens[at - 2].type != "heading_open":
                kind = BlockKind.LIST_ITEM if lists else BlockKind.PARAGRAPH
                yield Piece(_inline(token), kind)
            case _:
                pass


def _rows(tokens: Sequence[Token]) -> Iterator[list[str]]:
    row: list[str] = []
    for token in tokens:
        if token.type == "tr_open":
            row = []
        elif token.type == "inline":
            row.append(_inline(token))
        elif token.type == "tr_close":
            yield row


def _inline(token: Token) -> str:
    """The text that a reader sees: of links and pictures, their words."""
    parts = []
    for each in token.children or ():
        if each.type == "softbreak":
            parts.append(" ")
        elif each.type == "hardbreak":
            parts.append("\n")
        elif each.type == "image":
            parts.append(_inline(each))
        elif each.type in ("text", "code_inline"):
            parts.append(each.content)
        elif each.type == "html_inline" and each.content.lower().startswith("<br"):
            parts.append("\n")
    return _ATTRIBUTES.sub("", "".join(parts))


def _stripped(markup: str) -> str:
    """The text of a block of raw HTML."""
    try:
        root = html.fragment_fromstring(markup, create_parent="div")
    except etree.ParserError:
        return ""
    etree.strip_elements(root, "script", "style", etree.Comment, with_tail=False)
    return str(root.text_content())
