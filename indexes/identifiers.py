"""Names made of parts that mean something only as a whole: `INV-2231`, `v1.2.3`, `C++`, `src/app/main.py`."""

import re
from collections.abc import Iterator

_JOINED = re.compile(
    r"""
    (?<! [^\W_] )  # from the first letter of a word only, or a long word takes steps by the square of its length
    (?: [^\W_]++ (?: [-\u2010_./:@\\+#]+ [^\W_]+ )+ [+#]{0,2}  # INV-2231, snake_case, 10.0.0.1, node.js, a@b.org
      | [^\W_]++ [+#]{1,2} (?! [\w+#] ) )                      # C++, C#
    """,
    re.VERBOSE,
)
_BETWEEN_NAMES = re.compile(r"[/:@\\]+")
_VERSION = re.compile(r"v(?=\d)")


def identifiers(text: str) -> Iterator[str]:
    """Each in one spelling, as often as it stands in `text` (NFKC): lower case, `1.2.3` for `v1.2.3`.

    Paths, addresses and the like give their own names as well: `src/main.py` gives `src/main.py` and `main.py`.
    Hyphenated words are among them: telling those apart by rules was measured to find less (SciFact).
    """
    for match in _JOINED.finditer(text):
        whole = match.group().casefold().replace("\u2010", "-")
        names = {whole, *(name for name in _BETWEEN_NAMES.split(whole) if _JOINED.fullmatch(name))}
        yield from sorted(_VERSION.sub("", name, 1) if _VERSION.match(name) else name for name in names)
