"""Words of a text as numbered terms, by the languages of a store: the second analysis of `indexes/lexical.py`."""

import re
import zlib
from collections import Counter
from collections.abc import Sequence

from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet, TokenizerType

from indexes.identifiers import identifiers

# With this saturation, and no regard to length, BM25's weights say how often a term stands in a text.
_K = 1000.0
# Words of these scripts are analysed by this language, unless the store has one of `languages`.
_SCRIPTS = (
    ("russian", "\u0400-\u052f", ("russian", "kazakh", "tajik")),
    ("arabic", "\u0600-\u06ff\u0750-\u077f", ("arabic",)),
    ("greek", "\u0370-\u03ff\u1f00-\u1fff", ("greek",)),
    ("hebrew", "\u0590-\u05ff", ("hebrew",)),
)
_NAMES = 1 << 31  # terms of identifiers; those of words are below


class Terms:
    """The terms of documents and queries. Safe from any thread."""

    def __init__(self, languages: Sequence[str | None]) -> None:
        """`None` has no stop words and no stems."""
        self._stemming = [_engine(language) for language in languages]
        self._stopping = [_engine(language, stems=False) for language in languages]
        self._scripts = [
            (re.compile(f"[{letters}]+"), _engine(language))
            for language, letters, spoken in _SCRIPTS
            if None not in languages and not set(spoken) & set(languages)
        ]

    def of_document(self, text: str) -> Counter[int]:
        """How often each term stands in a text."""
        return self._words(text, self._languages(text)[:1])

    def of_query(self, text: str) -> Counter[int]:
        """As `of_document`, by every language that the text may be in: few words may not tell."""
        return self._words(text, self._languages(text))

    def _words(self, text: str, languages: Sequence[Bm25]) -> Counter[int]:
        found: Counter[int] = Counter()
        if not text.isascii():
            for script, language in self._scripts:
                found |= _counted(language, " ".join(script.findall(text)))
                text = script.sub(" ", text)
        for language in languages:
            found |= _counted(language, text)
        return found

    def _languages(self, text: str) -> list[Bm25]:
        """Those whose stop words leave the fewest words, in the order of the store's languages."""
        if len(self._stemming) == 1:
            return self._stemming
        left = [_counted(stopping, text).total() for stopping in self._stopping]
        return [stemming for stemming, words in zip(self._stemming, left, strict=True) if words == min(left)]


def of_names(text: str) -> Counter[int]:
    """How often each identifier stands in a text, as terms that no word has."""
    return Counter(_NAMES | zlib.crc32(name.encode()) for name in identifiers(text))


def _engine(language: str | None, *, stems: bool = True) -> Bm25:
    return Bm25(
        Bm25Config(
            k=_K,
            b=0.0,
            tokenizer=TokenizerType.Word,
            language=language,
            stopwords=None if language else StopwordsSet(),
            stemmer=None if language and stems else DisabledStemmer(),
        )
    )


def _counted(engine: Bm25, text: str) -> Counter[int]:
    terms = engine.embed_document(text)
    return Counter(
        {index: round(_K * value / (_K + 1 - value)) for index, value in zip(terms.indices, terms.values, strict=True)}
    )
