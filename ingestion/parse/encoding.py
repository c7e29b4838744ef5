"""Bytes of unknown encoding to text."""

import codecs
import re

from ingestion.parse.guess import guess

_MARKS = (  # The UTF-32 mark begins with that of UTF-16, so it is asked for first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w-]+)""", re.IGNORECASE
)


def decode(data: bytes) -> str:
    """`data` as text: by its byte order mark, as UTF-8, by its pattern of zero bytes, or by a guess. Never fails."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(_unmarked(data) or guess(data), errors="replace")
    if "\0" in text and (wide := _unmarked(data)):
        return data.decode(wide, errors="replace")
    return text


def decode_markup(data: bytes) -> str:
    """As `decode`, but what HTML or XML declares comes first, unless there is a byte order mark."""
    if not data.startswith(tuple(mark for mark, _ in _MARKS)) and (declared := _DECLARED.search(data[:4096])):
        try:
            return data.decode((declared[1] or declared[2]).decode("ascii"))
        except (LookupError, UnicodeError):
            pass  # A declaration can be wrong, as when UTF-8 is saved under a template for Latin-1.
    return decode(data)


def _unmarked(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: mostly Latin text leaves zero bytes at regular places."""
    sample = data[: 4 * 256]
    zeros = [sample[offset::4].count(0) * 4 / max(len(sample), 1) for offset in range(4)]
    match [share > 0.5 for share in zeros]:
        case [False, True, True, True]:
            return "utf-32-le"
        case [True, True, True, False]:
            return "utf-32-be"
        case [False, True, False, True]:
            return "utf-16-le"
        case [True, False, True, False]:
            return "utf-16-be"
    return None
