from collections.abc import Sequence

import numpy as np

from generation.candidates import candidates
from generation.extractive import ExtractiveAnswerer
from generation.model import AbstainReason, Answer, Answered, Passage, Question
from generation.settings import GenerationSettings
from indexes.model import Chunk, Hit, Scores, Span, Vector

LEAVE = """Leave

Full-time staff get 25 days of paid leave a year. It is granted in full hours.

How many days can be carried over?

Up to five days can be carried over to March. For more information, see the handbook.

To ask for leave, do this:

1. Open the portal.
2. Choose the days.

Years | Days of leave
0-5 | 25
6-10 | 28"""


def passage(text: str, *, number: int = 1, dense: float | None = 0.7, start: int = 0, key: str = "hr.md") -> Passage:
    chunk = Chunk(f"{key}-{number}", key, Span(start, start + len(text), 0, 0, 2, 2), text)
    return Passage(number, Hit(chunk, Scores(0.5, dense=dense), "vs", "ixv", key, key, key, {}))


async def ask(question: str, *passages: Passage, **settings: object) -> Answer:
    answerer = ExtractiveAnswerer(GenerationSettings.model_validate(settings))
    events = [event async for event in answerer.answer(Question(question), passages)]
    assert isinstance(events[-1], Answered)
    return events[-1].answer


async def test_the_sentence_that_answers_is_quoted_with_its_place() -> None:
    answer = await ask("How many days of paid leave do staff get?", passage(LEAVE, start=100), max_sentences=1)
    assert answer.text == "Full-time staff get 25 days of paid leave a year."
    (citation,) = answer.citations
    assert citation.quote == answer.text
    assert LEAVE[citation.source_start - 100 : citation.source_end - 100] == citation.quote
    assert (citation.page, citation.index) == (2, len(answer.text))


async def test_questions_headings_and_signposts_are_no_answers() -> None:
    answer = await ask("How many days can be carried over?", passage(LEAVE))
    quotes = [citation.quote for citation in answer.citations]
    assert "Up to five days can be carried over to March." in quotes
    assert not any("?" in quote or "see the handbook" in quote or quote == "Leave" for quote in quotes)


async def test_a_list_comes_with_the_line_that_leads_to_it() -> None:
    answer = await ask("How do I ask for leave?", passage(LEAVE), max_sentences=1)
    assert answer.citations[0].quote == "To ask for leave, do this:\n\n1. Open the portal.\n2. Choose the days."
    assert answer.text == "To ask for leave, do this:\n1. Open the portal.\n2. Choose the days."


async def test_a_row_of_a_table_comes_with_its_header() -> None:
    answer = await ask("How many days of leave after 6-10 years?", passage(LEAVE), max_sentences=1)
    assert [citation.quote for citation in answer.citations] == ["Years | Days of leave", "6-10 | 28"]
    assert answer.text == "Years | Days of leave\n6-10 | 28"


async def test_a_dangling_sentence_brings_the_one_before_it() -> None:
    text = "The badge opens all doors. It must be worn at the reception desk on Mondays."
    answer = await ask("When must it be worn at the reception desk?", passage(text), max_sentences=1)
    assert answer.text == text


async def test_the_same_sentence_is_not_said_twice() -> None:
    sentence = "The office is closed on Sundays and holidays."
    copies = (passage(sentence), passage(sentence, number=2, key="copy.md", dense=0.69))
    assert (await ask("When is the office closed?", *copies)).text == sentence
    overlap = passage(sentence, number=2, dense=0.69)
    assert len(candidates([passage(sentence), overlap])) == 1


async def test_it_abstains_with_the_reason_and_the_nearest_documents() -> None:
    nothing = await ask("Who is the king?")
    assert (nothing.abstained, nothing.abstain_reason, nothing.confidence) == (True, AbstainReason.NO_HITS, 0.0)
    far = await ask("Who won the world cup?", passage(LEAVE, dense=0.05))
    assert (far.abstained, far.abstain_reason, far.citations) == (True, AbstainReason.LOW_CONFIDENCE, ())
    assert "hr.md" in far.text
    assert far.confidence < 0.1


async def test_words_alone_decide_where_there_is_no_cosine() -> None:
    question = "How many days of paid leave do staff get?"
    assert not (await ask(question, passage(LEAVE, dense=None))).abstained
    assert (await ask("Who won the world cup?", passage(LEAVE, dense=None))).abstained


async def test_meaning_decides_between_sentences_that_words_cannot_tell_apart() -> None:
    async def embed(texts: Sequence[str]) -> Vector:
        rows = [[1.0, 0.0] if "Rex" in text or text.endswith("?") else [0.0, 1.0] for text in texts]
        return np.array(rows, np.float32)

    text = "Tom answers the phone at noon. Rex answers the phone at noon in the lobby."
    answerer = ExtractiveAnswerer(GenerationSettings(max_sentences=1), embed)
    events = [event async for event in answerer.answer(Question("Who is on the line?"), [passage(text)])]
    assert isinstance(events[-1], Answered)
    assert events[-1].answer.text.startswith("Rex")
