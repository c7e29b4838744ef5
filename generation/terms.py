"""Words as they are compared: the same way on both sides, in any script, cheap enough for every candidate sentence."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

# `\w` leaves out the vowel signs of Indic scripts, so a word is what is neither space nor punctuation.
_WORD = re.compile(r"[^\s!-/:-@\[-`{-~\u00a0-\u00bf\u00d7\u2000-\u206f\u3000-\u303f\uff00-\uff0f\uff1a-\uff20،؛؟۔।॥]+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
_STEM = 6  # letters: enough to tell words apart, few enough to join produce, producing and production


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STOP_WORDS = _words(
    "a about an and any are as at be been being but by can could did do does for from get had has have he her his "
    "how i if in into is it its many me much my name of on one or our she should so some tell than that the their "
    "them then there these they this those to us use used was we were what when where which who whom whose why "
    "will with would you your s t"
)


def terms(text: str) -> list[str]:
    """The words of `text` that carry meaning, in order, case folded and cut to a stem.

    Scripts written without spaces give pairs of neighbouring characters instead of words.
    """
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if unspaced := _UNSPACED.search(word):
            found.extend(_pairs(unspaced[0]))
        elif word not in _STOP_WORDS:
            found.append(_stem(word))
    return found


def _pairs(run: str) -> Iterable[str]:
    return [run] if len(run) == 1 else [run[at : at + 2] for at in range(len(run) - 1)]


def _stem(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word if word[0].isdigit() else word[:_STEM]


class Rarity:
    """How much each term tells: the inverse document frequency over a handful of sentences.

    A term that none of them has weighs most, so that a question about something else cannot reach a high coverage.
    """

    def __init__(self, documents: Sequence[Collection[str]]) -> None:
        self._count = len(documents)
        self._found_in = Counter(term for document in documents for term in set(document))

    def __getitem__(self, term: str) -> float:
        found_in = self._found_in[term]
        return math.log1p((self._count - found_in + 0.5) / (found_in + 0.5))

    def coverage(self, wanted: Collection[str], found: Collection[str]) -> float:
        """The weighted share, 0..1, of the wanted terms that were found; 0 where nothing is wanted."""
        total = sum(self[term] for term in wanted)
        return sum(self[term] for term in wanted if term in found) / total if total else 0.0
