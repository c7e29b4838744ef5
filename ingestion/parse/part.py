"""A file inside a mail or an archive."""

import re
import unicodedata
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

MAX_NAME_CHARS = 400  # With the key of its parent before it, a part's key has room for 512.
MAX_SEGMENT_CHARS = 120


@dataclass(frozen=True, slots=True)
class Part:
    """`open` gives its bytes, good until the next part is asked for; if `refusing_damage` refuses it, it alone is lost.

    `name` is as `clean_name` returns it. `size_bytes` is what the container says, if it does.
    """

    name: str
    open: Callable[[], IO[bytes]]
    size_bytes: int | None = None


Parts = Generator[Part, None, None]


def clean_name(name: str) -> str:
    """`name` as a relative path that is safe to show: no `..`, no drive, no control or direction characters."""
    segments = (_clean(segment) for segment in re.split(r"[/\\]", unicodedata.normalize("NFC", name)))
    kept = [segment for segment in segments if segment and not re.fullmatch("[A-Za-z]:", segment)]
    while len(kept) > 1 and len("/".join(kept)) > MAX_NAME_CHARS:
        del kept[0]
    return "/".join(kept) or "unnamed"


def _clean(segment: str) -> str:
    """Without the characters that Unicode calls "other": control, format, private, lone surrogates."""
    shown = "".join(char for char in segment if unicodedata.category(char)[0] != "C").strip()
    shown = "" if set(shown) <= {"."} else shown
    if len(shown) <= MAX_SEGMENT_CHARS:
        return shown
    suffix = PurePosixPath(shown).suffix[:20]
    return shown[: MAX_SEGMENT_CHARS - len(suffix)] + suffix


def numbered(name: str, number: int) -> str:
    """`name` for the `number`th part of that name: `a/b.txt` is `a/b (2).txt`."""
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
