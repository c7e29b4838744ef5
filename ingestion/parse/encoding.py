"""Bytes of unknown encoding to text."""

import codecs
import re

import webencodings

from ingestion.parse.guess import guess

_MARKS = (  # The UTF-32 mark begins with that of UTF-16, so it is asked for first. XML's is its first two characters.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    ("<?".encode("utf-16-le"), "utf-16-le"),
    ("<?".encode("utf-16-be"), "utf-16-be"),
)
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w:.-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w:.-]+)""",
    re.IGNORECASE,
)
_BY_TEMPLATE = "cp1252"


def decode(data: bytes, label: str | None = None) -> str:
    """`data` as text: by its byte order mark, its `label`, as UTF-8, by its pattern of zero bytes, or by a guess.

    Never fails. A label means what browsers take it for: Latin-1 is windows-1252. One that is unknown, or that the
    bytes belie, counts for nothing.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    declared = _codec(label)
    # Programs that write UTF-8 leave the label of their template or their default, which is mostly this one.
    for encoding in ("utf-8", declared) if declared == _BY_TEMPLATE else (declared, "utf-8"):
        try:
            text = data.decode(encoding)
        except (LookupError, ValueError):
            continue
        wide = _unmarked(data) if encoding == "utf-8" and "\0" in text else None
        return data.decode(wide, errors="replace") if wide else text
    return data.decode(_unmarked(data) or guess(data), errors="replace")


def decode_markup(data: bytes) -> str:
    """As `decode`, with the label that HTML or XML declares."""
    declared = _DECLARED.search(data[:4096])
    label = (declared[1] or declared[2]).decode("ascii") if declared else None
    # In UTF-16 the label could not have been found. .NET writes such XML.
    return decode(data, None if _codec(label).startswith(("utf-16", "utf-32")) else label)


def _codec(label: str | None) -> str:
    """Python's name of the encoding that `label` stands for by the Encoding Standard (section 4.2), if it is there."""
    known = webencodings.lookup(label or "utf-8")
    if known is None or known.name == "replacement":  # The standard refuses some of the old ones; Python reads them.
        return label or ""
    return str(known.codec_info.name)


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
