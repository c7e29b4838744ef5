"""Text to the terms that BM25 compares: one analyser for documents and queries, named by the manifest.

Terms are words, lower case, without stop words, stemmed by language; a letter or digit run is a word, so `INV-2231`
gives `inv` and `2231`, and `ERR_CONN_42` three terms. Scripts written without spaces give overlapping pairs of
characters. (BM25: Robertson and Zaragoza 2009; stop words, stems and the 32-bit hashes of words are Qdrant's.)

There are two analyses, and a manifest names its own for ever. The second, `words-2`, adds what the first lacks:

- each identifier as one more term, so that `v1.2.3` is not `v3.2.1` (`indexes/identifiers.py`);
- words of another script than the language's are analysed by the usual language of that script;
- several languages, `english+german`: each text is analysed by the one whose stop words it has most of.

Qdrant's `multilingual` tokenizer is not used: it drops numbers (`INV-2231` keeps only `inv`), and it cuts the same
Chinese or Japanese word in different ways depending on the text around it, so that queries miss documents.
"""

import re
import unicodedata

from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet, TokenizerType

from indexes.errors import InvalidRequest
from indexes.manifest import LexicalSpec
from indexes.model import SparseVector
from indexes.words import Terms, of_names

WORDS_2 = "words-2"
NEUTRAL = "none"  # no stop words, no stemming: for stores that mix languages
LANGUAGES = (
    *("arabic", "azerbaijani", "basque", "bengali", "catalan", "chinese", "danish", "dutch", "english", "finnish"),
    *("french", "german", "greek", "hebrew", "hindi", "hinglish", "hungarian", "indonesian", "italian", "japanese"),
    *("kazakh", "nepali", "norwegian", "portuguese", "romanian", "russian", "slovene", "spanish", "swedish"),
    *("tajik", "turkish"),
    NEUTRAL,
)
# The engine knows no Hindi. Words as they are find as much on XQuAD as with the stop words and stems of Nepali
# (nDCG@10 .943 and .945); vowel signs left out, as Lucene does, find less (.937).
_UNSTEMMED = (NEUTRAL, "hindi")

# Thai, Lao, Burmese, Khmer; kana and Han with their extensions; Hangul, whose particles stick to the word.
_UNSPACED = re.compile(
    "[\u0e01-\u0edf\u1000-\u109f\u1780-\u17df\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U000323af]+"
)


class Analyser:
    """Makes sparse vectors by one `LexicalSpec`. Safe from any thread; the same text gives the same vector for ever.

    Raises InvalidRequest for a language or a number that BM25 does not know.
    """

    def __init__(self, spec: LexicalSpec) -> None:
        languages = _languages(spec)
        neutral = languages[0] is None
        try:
            self._bm25 = Bm25(
                Bm25Config(
                    k=spec.k,
                    b=spec.b,
                    avg_len=spec.average_length,
                    tokenizer=TokenizerType.Word,
                    language=languages[0],
                    stopwords=StopwordsSet() if neutral else None,
                    stemmer=DisabledStemmer() if neutral else None,
                )
            )
        except ValueError as error:
            raise InvalidRequest(f"These lexical settings cannot be used: {error}.", param="lexical") from error
        self._spec = spec  # whose numbers the engine has accepted
        self._terms = Terms(languages) if spec.analysis else None

    def document(self, text: str) -> SparseVector:
        """The terms of a chunk, each with its saturated, length-normalised frequency."""
        spaced = _spaced(text)
        if self._terms is None:
            first = self._bm25.embed_document(spaced)
            return SparseVector(tuple(first.indices), tuple(first.values))
        words = self._terms.of_document(spaced)
        spec = self._spec
        # Identifiers do not make a text longer: their parts have been counted.
        saturation = spec.k * (1 - spec.b + spec.b * words.total() / spec.average_length)
        counts = words + of_names(spaced)
        return SparseVector(
            tuple(counts), tuple(count * (spec.k + 1) / (count + saturation) for count in counts.values())
        )

    def query(self, text: str) -> SparseVector:
        """The distinct terms of a query, each with weight 1; none where the text has only stop words."""
        spaced = _spaced(text)
        if self._terms is None:
            first = self._bm25.embed_query(spaced)
            return SparseVector(tuple(first.indices), tuple(first.values))
        terms = tuple(self._terms.of_query(spaced) + of_names(spaced))
        return SparseVector(terms, (1.0,) * len(terms))


def _languages(spec: LexicalSpec) -> list[str | None]:
    names = spec.language.split("+") if spec.analysis else [spec.language]
    for name in names:
        if name not in LANGUAGES:
            raise InvalidRequest(
                f"There is no lexical analysis for {name!r}. Use one of: {', '.join(LANGUAGES)}.",
                param="lexical.language",
            )
    if spec.analysis not in (None, WORDS_2):
        raise InvalidRequest(
            f"There is no lexical analysis {spec.analysis!r}. Use {WORDS_2}.", param="lexical.analysis"
        )
    return [None if name in _UNSTEMMED else name for name in dict.fromkeys(names)]


def _spaced(text: str) -> str:
    """One form for letters that PDF files spell in several ways (NFKC), and pairs where a script has no spaces."""
    return _UNSPACED.sub(_pairs, unicodedata.normalize("NFKC", text))


def _pairs(run: re.Match[str]) -> str:
    letters = run.group()
    pairs = [letters[i : i + 2] for i in range(len(letters) - 1)]
    return f" {' '.join(pairs or [letters])} "
