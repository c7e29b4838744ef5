"""From pieces to canonical text. All normalising happens here, before an offset is counted."""

import re
import unicodedata
from collections.abc import Sequence

from indexes.errors import DocumentError
from indexes.model import Block, BlockKind, CanonicalText, LineBox, around
from ingestion.parse.draft import Draft, Piece
from ingestion.parse.limits import Limits

MAX_SECTION_CHARS = 200

# Control characters carry no text (tab and newline apart); a lone surrogate cannot be written as UTF-8; a soft hyphen
# or a byte order mark inside a text only hides words from a search.
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u00ad\ufeff\ufffe\uffff]")
_NEWLINES = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n\s*\n")
_TRAILING = re.compile(r"[^\S\n]+$", re.MULTILINE)


def normalise(text: str, kind: BlockKind) -> str:
    """`text` in NFC with plain newlines and single spaces; code keeps its spaces. No blank line stays but in code."""
    text = unicodedata.normalize("NFC", _UNWANTED.sub("", _NEWLINES.sub("\n", text)))
    if kind is BlockKind.CODE:
        return _TRAILING.sub("", text).strip("\n")
    lines = (line.strip() for line in _BLANK_LINES.sub("\n", _SPACES.sub(" ", text)).split("\n"))
    return "\n".join(lines).strip()


def assemble(draft: Draft, media_type: str, limits: Limits) -> CanonicalText:
    """Join the pieces of `draft` and note where each came to lie.

    Raises DocumentError `too_large` past `limits.max_text_chars`, and `empty_file` when no piece has any text.
    """
    writer = _Writer(limits)
    for piece in draft.pieces:
        writer.add(piece)
    if not writer.blocks:
        raise DocumentError("This file holds no text. Upload a version that has some.", code="empty_file")
    warnings, metadata = draft.warnings, dict(draft.metadata)
    if draft.hidden:
        warnings += (f"There is text {draft.hidden} that a reader does not see; it is searchable like the rest.",)
        metadata["hidden_text"] = True
    title = normalise(draft.title or "", BlockKind.HEADING).replace("\n", " ") or writer.first_heading
    return CanonicalText(
        text="".join(writer.parts),
        blocks=tuple(writer.blocks),
        media_type=media_type,
        title=title[:500] if title else None,
        metadata=metadata,
        warnings=warnings,
    )


def _lines(piece: Piece, text: str) -> Sequence[LineBox]:
    """The lines of `piece` in its normalised `text`: all in one where that is not what the piece has."""
    if not piece.lines or text == piece.text:
        return piece.lines
    return (LineBox(0, around(line.box for line in piece.lines)),)


class _Writer:
    """The text so far, its blocks, and the headings that are open."""

    def __init__(self, limits: Limits) -> None:
        self.parts: list[str] = []
        self.blocks: list[Block] = []
        self.first_heading: str | None = None
        self._limits = limits
        self._length = 0
        self._open: list[tuple[int, str]] = []

    def add(self, piece: Piece) -> None:
        text = normalise(piece.text, piece.kind)
        if piece.kind is BlockKind.HEADING:
            text = text.replace("\n", " ")
            self._enter(piece.level, text)
        if not text.strip():
            return
        self._append(self._separator(piece.kind))
        start = self._length
        self._append(text)
        section = tuple(title for _, title in self._open)
        lines = tuple(LineBox(start + line.start, line.box) for line in _lines(piece, text))
        self.blocks.append(Block(start, self._length, piece.kind, piece.page, section, lines))

    def _enter(self, level: int, text: str) -> None:
        self.first_heading = self.first_heading or text
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        if text:
            self._open.append((level, text[:MAX_SECTION_CHARS]))

    def _separator(self, kind: BlockKind) -> str:
        if not self.blocks:
            return ""
        same_list = kind is BlockKind.LIST_ITEM and self.blocks[-1].kind is BlockKind.LIST_ITEM
        return "\n" if same_list else "\n\n"

    def _append(self, text: str) -> None:
        self.parts.append(text)
        self._length += len(text)
        if self._length > self._limits.max_text_chars:
            raise DocumentError(
                f"This file holds more than {self._limits.max_text_chars:,} characters of text. "
                "Split it into smaller files and upload those.",
                code="too_large",
            )
