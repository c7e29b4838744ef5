"""Which texts a query can find by its terms."""

import pytest

from indexes.errors import InvalidRequest
from indexes.lexical import LANGUAGES, Analyser
from indexes.manifest import LexicalSpec


def shared(document, query, language="english"):
    """(terms of the query that the document has, terms of the query)."""
    analyser = Analyser(LexicalSpec(language=language))
    asked = set(analyser.query(query).indices)
    return len(asked & set(analyser.document(document).indices)), len(asked)


@pytest.mark.parametrize(
    ("document", "query", "terms"),
    [
        ("Invoice INV-2231 is overdue", "inv-2231", 2),
        ("raises ERR_CONN_42 at start", "ERR_CONN_42", 3),
        ("the dogs were running", "dog runs", 2),
        ("the ﬁle in full width: ＡＢＣ", "file abc", 2),
        ("私は東京に住んでいます", "東京", 1),
        ("东京大学图书馆2024年", "大学 2024", 2),
        ("문서를 검색합니다", "문서", 1),
        ("สวัสดีชาวโลก", "ชาวโลก", 5),
    ],
)
def test_a_query_finds_words_numbers_identifiers_and_unspaced_scripts(document, query, terms):
    assert shared(document, query) == (terms, terms)


def test_other_identifiers_share_only_their_common_part():
    assert shared("INV-2232", "INV-2231") == (1, 2)


def test_stop_words_and_punctuation_give_no_terms_unless_the_language_is_none():
    assert shared("to be or not to be", "to be!")[1] == 0
    assert shared("to be or not to be", "to be!", language="none") == (2, 2)


def test_documents_weigh_frequent_terms_more_and_queries_all_the_same():
    analyser = Analyser(LexicalSpec())
    once, twice = analyser.document("apple pear"), analyser.document("apple apple pear")
    assert max(twice.values) > max(once.values)
    assert set(analyser.query("apple apple pear").values) == {1.0}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_listed_language_works(language):
    assert shared("1984", "1984", language) == (1, 1)


@pytest.mark.parametrize("spec", [LexicalSpec(language="klingon"), LexicalSpec(b=2.0), LexicalSpec(average_length=0)])
def test_what_bm25_cannot_do_is_refused(spec):
    with pytest.raises(InvalidRequest) as refused:
        Analyser(spec)
    assert refused.value.param and refused.value.param.startswith("lexical")


def test_an_unknown_language_is_answered_with_those_that_work():
    with pytest.raises(InvalidRequest, match=r"'klingon'.*english.*none"):
        Analyser(LexicalSpec(language="klingon"))
