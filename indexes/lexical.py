"""Text to the terms that BM25 compares: one analyser for documents and queries, named by the manifest.

Terms are words, lower case, without stop words, stemmed by language; a letter or digit run is a word, so `INV-2231`
gives `inv` and `2231`, and `ERR_CONN_42` three terms. Scripts written without spaces give overlapping pairs of
characters. (BM25: Robertson and Zaragoza 2009; the weights and the 32-bit hashes of terms are Qdrant's.)

Qdrant's `multilingual` tokenizer is not used: it drops numbers (`INV-2231` keeps only `inv`), and it cuts the same
Chinese or Japanese word in different ways depending on the text around it, so that queries miss documents.
"""

import re
import unicodedata

from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet, TokenizerType

from indexes.errors import InvalidRequest
from indexes.manifest import LexicalSpec
from indexes.model import SparseVector

NEUTRAL = "none"  # no stop words, no stemming: for stores that mix languages
LANGUAGES = (
    *("arabic", "azerbaijani", "basque", "bengali", "catalan", "chinese", "danish", "dutch", "english", "finnish"),
    *("french", "german", "greek", "hebrew", "hinglish", "hungarian", "indonesian", "italian", "japanese", "kazakh"),
    *("nepali", "norwegian", "portuguese", "romanian", "russian", "slovene", "spanish", "swedish", "tajik", "turkish"),
    NEUTRAL,
)

# Thai, Lao, Burmese, Khmer; kana and Han with their extensions; Hangul, whose particles stick to the word.
_UNSPACED = re.compile(
    "[\u0e01-\u0edf\u1000-\u109f\u1780-\u17df\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U000323af]+"
)


class Analyser:
    """Makes sparse vectors by one `LexicalSpec`. Safe from any thread; the same text gives the same vector for ever.

    Raises InvalidRequest for a language or a number that BM25 does not know.
    """

    def __init__(self, spec: LexicalSpec) -> None:
        if spec.language not in LANGUAGES:
            raise InvalidRequest(
                f"There is no lexical analysis for {spec.language!r}. Use one of: {', '.join(LANGUAGES)}.",
                param="lexical.language",
            )
        neutral = spec.language == NEUTRAL
        try:
            config = Bm25Config(
                k=spec.k,
                b=spec.b,
                avg_len=spec.average_length,
                tokenizer=TokenizerType.Word,
                language=None if neutral else spec.language,
                stopwords=StopwordsSet() if neutral else None,
                stemmer=DisabledStemmer() if neutral else None,
            )
            self._bm25 = Bm25(config)
        except ValueError as error:
            raise InvalidRequest(f"These lexical settings cannot be used: {error}.", param="lexical") from error

    def document(self, text: str) -> SparseVector:
        """The terms of a chunk, each with its saturated, length-normalised frequency."""
        terms = self._bm25.embed_document(_spaced(text))
        return SparseVector(tuple(terms.indices), tuple(terms.values))

    def query(self, text: str) -> SparseVector:
        """The distinct terms of a query, each with weight 1; none where the text has only stop words."""
        terms = self._bm25.embed_query(_spaced(text))
        return SparseVector(tuple(terms.indices), tuple(terms.values))


def _spaced(text: str) -> str:
    """One form for letters that PDF files spell in several ways (NFKC), and pairs where a script has no spaces."""
    return _UNSPACED.sub(_pairs, unicodedata.normalize("NFKC", text))


def _pairs(run: re.Match[str]) -> str:
    letters = run.group()
    pairs = [letters[i : i + 2] for i in range(len(letters) - 1)]
    return f" {' '.join(pairs or [letters])} "
