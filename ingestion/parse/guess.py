"""Which encoding bytes are in that do not say it and are not UTF-8.

The library tells scripts apart. Between the code pages of Latin script it cannot (`não` is as fine as `năo` to it), so
these are told apart by the letters that languages write beyond ASCII.
"""

import re
import unicodedata
from collections import Counter
from itertools import pairwise

SAMPLE_BYTES = 1 << 14
# What is known of the characters beyond ASCII by this share is Latin, whatever else it could be.
LATIN_SHARE = 0.9
# Of the characters beyond ASCII in what is taken for UTF-8, this share may be broken.
BROKEN_SHARE = 0.1

_WESTERN = (
    "àâæçèéêëîïôœùûüÿ",  # French
    "äöüß",  # German
    "ãâáàçéêíóôõúüªº",  # Portuguese
    "áéíñóúü¿¡ªº",  # Spanish
    "àèéìòùª°º",  # Italian
    "àçèéíïòóúü·",  # Catalan
    "åäöé",  # Swedish, Finnish
    "åæøéóòô",  # Danish, Norwegian
    "áðéíóúýþæö",  # Icelandic
    "áèéëïíóöúü",  # Dutch
    "áéíóúàèìòùâêîôû",  # Irish, Gaelic, Welsh
)
_CENTRAL = (
    "áčďéěíňóřšťúůýž",  # Czech
    "áäčďéíĺľňóôŕšťúýž",  # Slovak
    "ąćęłńóśźż",  # Polish
    "áéíóöőúüű",  # Hungarian
    "čćđšž",  # Croatian, Slovene, Bosnian
    "ăâîşţ",  # Romanian
    "çëâêô",  # Albanian
)
_TURKISH = ("çğıİöşüâîû",)
_BALTIC = ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž")  # Lithuanian, Latvian, Estonian
# The pages of Windows first: of equals, the first is taken.
_ALPHABETS = {
    "cp1252": _WESTERN,
    "cp1250": _CENTRAL,
    "cp1254": _TURKISH,
    "cp1257": _BALTIC,
    "iso8859_2": _CENTRAL,
    "cp850": _WESTERN,
    "cp852": _CENTRAL,
    "mac_roman": _WESTERN,
}
_SIGNS = frozenset("\xa0“”„‘’‚–—…•«»§°±·×÷€£©®™")


def guess(data: bytes) -> str:
    """Python's name of an encoding for `data`, some of which is beyond ASCII. Some bytes may mean nothing in it."""
    if _is_damaged_utf8(data):
        return "utf-8"
    sample = _sample(data)
    fits = {encoding: _fit(sample[:SAMPLE_BYTES], encoding) for encoding in _ALPHABETS}
    latin = max(fits, key=fits.__getitem__)
    if fits[latin] < LATIN_SHARE:
        from charset_normalizer import from_bytes

        best = from_bytes(sample).best()
        if best is not None and not _is_latin(str(best)):
            return best.encoding
    return latin


def _is_damaged_utf8(data: bytes) -> bool:
    text = data.decode("utf-8", errors="replace")
    return text.count("\ufffd") < BROKEN_SHARE * len(_beyond_ascii(text))


def _sample(data: bytes) -> bytes:
    """The first lines that are more than ASCII, from where they are. Half a character at an end would rule its encoding
    out, so no line is cut.
    """
    lines, size = [], 0
    for line in data.splitlines():
        if size < SAMPLE_BYTES and not line.isascii():
            lines.append(line)
            size += len(line)
    return b"\n".join(lines).lstrip(bytes(range(0x80)))


def _beyond_ascii(text: str) -> str:
    return re.sub(r"[\0-\x7f]+", "", text)


def _is_latin(text: str) -> bool:
    """Whether most of the letters beyond ASCII are, save for modifiers, which stand alone in what was read wrongly."""
    letters = [char for char in _beyond_ascii(text) if unicodedata.category(char) in ("Lu", "Ll", "Lt", "Lo")]
    return 2 * sum(unicodedata.name(char, "").startswith("LATIN") for char in letters) >= len(letters)


def _fit(sample: bytes, encoding: str) -> float:
    """The share of what is beyond ASCII that a language of `encoding` has letters or signs for.

    Letters of its other languages, as in names, count half, and a capital inside a word nothing.
    """
    text = sample.decode(encoding, errors="replace")
    found = Counter(
        "" if char.isupper() and before.islower() else char for before, char in pairwise(f" {text}") if char > "\x7f"
    )
    alphabets = [{*letters, *letters.upper(), *_SIGNS} for letters in _ALPHABETS[encoding]]
    either = sum(found[char] for char in set().union(*alphabets))
    return (max(sum(found[char] for char in alphabet) for alphabet in alphabets) + either) / (2 * found.total())
