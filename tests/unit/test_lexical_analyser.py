"""Which texts a query can find by its terms."""

import pytest

from indexes.embedders.hashing import HashingEmbedder
from indexes.errors import InvalidRequest
from indexes.identifiers import identifiers
from indexes.lexical import LANGUAGES, WORDS_2, Analyser
from indexes.manifest import Chunking, LexicalSpec, Manifest


def shared(document, query, language="english", analysis=None):
    """(terms of the query that the document has, terms of the query)."""
    analyser = Analyser(LexicalSpec(language=language, analysis=analysis))
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


def test_manifests_from_before_keep_their_hash_and_their_analysis():
    old = Manifest("plain-1", "sentence-1", Chunking(32, 0), HashingEmbedder(64).spec)
    assert "analysis" not in old.to_json()["lexical"]
    assert Manifest.from_json(old.to_json()).hash == old.hash
    assert shared("v3.2.1", "v1.2.3") == (1, 3)
    terms = Analyser(LexicalSpec()).document("INV-2231 of the dogs")
    assert set(terms.indices) == {31190794, 1163057303, 1312749093}
    assert terms.values == pytest.approx([1.6652867794036865] * 3)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See INV-2231, ERR_CONN_42 and (v1.2.3).", ["inv-2231", "err_conn_42", "1.2.3"]),
        ("C++ or C#, not c; +1 and a # b", ["c++", "c#"]),
        ("C:\\app\\main.py", ["c:\\app\\main.py", "main.py"]),
        ("mail jane.doe@example.com.", ["example.com", "jane.doe", "jane.doe@example.com"]),
        ("non\u2010breaking", ["non-breaking"]),
        ("plain words: none, at all... -- here/", []),
    ],
)
def test_identifiers_in_a_text(text, found):
    assert list(identifiers(text)) == found


def test_in_the_second_analysis_an_identifier_is_a_term_of_its_own():
    assert shared("v1.2.3", "1.2.3", analysis=WORDS_2)[0] == 3  # 2, 3, and the version
    assert shared("1.2.3", "1.2.3", analysis=WORDS_2) == (4, 4)
    assert shared("3.2.1", "1.2.3", analysis=WORDS_2) == (3, 4)
    assert shared("see /etc/app/main.conf", "main.conf", analysis=WORDS_2) == (3, 3)


def test_words_weigh_the_same_in_both_analyses():
    text = "The dogs were running after apple, apple and pear"
    first, second = (Analyser(LexicalSpec(analysis=analysis)).document(text) for analysis in (None, WORDS_2))
    weights = dict(zip(first.indices, first.values, strict=True))
    assert dict(zip(second.indices, second.values, strict=True)) == pytest.approx(weights)


@pytest.mark.parametrize(("document", "query"), [("большие собаки", "собака"), ("الكتاب", "كتاب"), ("ΣΠΙΤΙΑ", "σπίτι")])
def test_words_of_another_script_are_stemmed_by_its_language(document, query):
    assert shared(document, query) == (0, 1)
    assert shared(document, query, analysis=WORDS_2) == (1, 1)
    assert shared(document, query, "none", analysis=WORDS_2) == (0, 1)


def test_several_languages_each_by_its_stop_words():
    both = "english+german"
    assert shared("die Kündigungen sind in der Akte", "Wo ist die Kündigung?", both, WORDS_2)[0] == 1
    assert shared("the dogs were running", "what runs with the dog", both, WORDS_2)[0] == 2
    assert shared("die Kündigungen sind in der Akte", "Kündigung", both, WORDS_2)[0] == 1  # which language is not said


@pytest.mark.parametrize("spec", [LexicalSpec("english+german"), LexicalSpec("german+x", analysis=WORDS_2)])
def test_languages_that_an_analysis_lacks_are_refused(spec):
    with pytest.raises(InvalidRequest, match="no lexical analysis"):
        Analyser(spec)


def test_an_unknown_analysis_is_refused():
    with pytest.raises(InvalidRequest, match=WORDS_2):
        Analyser(LexicalSpec(analysis="words-9"))
