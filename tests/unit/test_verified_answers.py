from collections.abc import AsyncGenerator, Sequence

from generation.cite import holds
from generation.draft import Draft
from generation.markers import Marker
from generation.model import (
    AbstainReason,
    Answer,
    Answered,
    AnswerEvent,
    CitationAdded,
    Passage,
    Question,
    SupportPolicy,
    TextDelta,
    Verdict,
)
from generation.support import AlignmentJudge
from generation.verified import VerifiedAnswerer
from generation.verify import Verifier
from indexes.errors import Overloaded, Unavailable
from indexes.model import Chunk, Hit, Scores, Span

TEXT = "The office is closed on Sundays. Full-time staff get 25 days of leave a year. Dogs are welcome."
CHUNK = Chunk("c", "r", Span(100, 100 + len(TEXT), 0, 0), TEXT)
PASSAGES = (Passage(1, Hit(CHUNK, Scores(0.5, dense=0.8), "vs", "ixv", "f", "hr.md", "hr.md", {})),)
TRUE, FALSE, ALSO_TRUE = "Staff get 25 days of leave a year.", " Staff get 30 days of leave.", " Dogs are welcome."


class Model:
    """Says its answers in turn, each sentence citing the passage."""

    name = "model"

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self._answers = list(answers)
        self.asked: list[Question] = []

    async def answer(self, question: Question, passages: Sequence[Passage]) -> AsyncGenerator[AnswerEvent, None]:
        self.asked.append(question)
        draft = Draft(passages)
        for sentence in self._answers.pop(0):
            for part in (sentence, Marker((1,))):
                for event in draft.add(part):
                    yield event
        yield Answered(Answer(draft.text, self.name, tuple(draft.citations), draft.sentences(), confidence=0.8))


async def ask(model: Model, policy: SupportPolicy, verifier: Verifier | None = None) -> Answer:
    """The answer, after a check that what was streamed is what it says and that every quote holds."""
    answerer = VerifiedAnswerer(model, verifier or Verifier(AlignmentJudge()), SupportPolicy.FLAG)
    events = [event async for event in answerer.answer(Question("?", unsupported=policy), PASSAGES)]
    assert isinstance(events[-1], Answered)
    answer = events[-1].answer
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == answer.text
    assert tuple(event.citation for event in events if isinstance(event, CitationAdded)) == answer.citations
    for sentence in answer.sentences:
        for citation in (answer.citations[at] for at in sentence.citations):
            assert holds(citation)
            assert sentence.start <= citation.answer_start < citation.index <= sentence.end
    return answer


async def test_sentences_are_flagged_and_cited_by_the_sentence_that_carries_them() -> None:
    answer = await ask(Model((TRUE, FALSE)), SupportPolicy.FLAG)
    assert [one.verdict for one in answer.sentences] == [Verdict.SUPPORTED, Verdict.UNSUPPORTED]
    assert answer.citations[0].quote == "Full-time staff get 25 days of leave a year."
    assert answer.citations[0].source_start == 100 + TEXT.index("Full")
    assert answer.confidence < 0.8


async def test_what_does_not_stand_is_dropped_and_the_rest_keeps_its_places() -> None:
    answer = await ask(Model((TRUE, FALSE, ALSO_TRUE)), SupportPolicy.DROP)
    assert answer.text == TRUE + ALSO_TRUE
    assert [answer.text[one.answer_start : one.answer_end].strip() for one in answer.citations] == [
        TRUE,
        ALSO_TRUE.strip(),
    ]


async def test_an_answer_of_which_nothing_stands_is_none() -> None:
    answer = await ask(Model((FALSE,)), SupportPolicy.DROP)
    assert answer.abstain_reason is AbstainReason.UNSUPPORTED
    assert "hr.md" in answer.text


async def test_a_model_is_asked_once_more_and_the_better_answer_is_given() -> None:
    model = Model((TRUE, FALSE), (TRUE, ALSO_TRUE))
    answer = await ask(model, SupportPolicy.REGENERATE)
    assert answer.text == TRUE + ALSO_TRUE
    assert FALSE.strip() in (model.asked[1].instructions or "")
    worse = await ask(Model((TRUE, FALSE), (FALSE,)), SupportPolicy.REGENERATE)
    assert worse.text == TRUE + FALSE


class OnceOnly(Model):
    """Has no second answer to give."""

    async def answer(self, question: Question, passages: Sequence[Passage]) -> AsyncGenerator[AnswerEvent, None]:
        if self.asked:
            raise Overloaded("It is busy.")
        async for event in super().answer(question, passages):
            yield event


async def test_the_first_answer_is_given_where_a_second_cannot_be_had() -> None:
    answer = await ask(OnceOnly((TRUE, FALSE)), SupportPolicy.REGENERATE)
    assert [one.verdict for one in answer.sentences] == [Verdict.SUPPORTED, Verdict.UNSUPPORTED]


async def test_a_marker_on_a_line_of_its_own_is_for_the_sentence_above() -> None:
    answer = await ask(Model((TRUE + "\n",)), SupportPolicy.DROP)
    assert (answer.text, answer.sentences[0].verdict) == (TRUE, Verdict.SUPPORTED)


class Away:
    """A judge out of reach."""

    async def support(self, claim: str, texts: Sequence[str]) -> Sequence[float]:
        raise Unavailable("It is away.")


async def test_without_its_judge_an_answer_is_verified_by_words() -> None:
    answer = await ask(Model((TRUE, FALSE)), SupportPolicy.FLAG, Verifier(Away()))
    assert [one.verdict for one in answer.sentences] == [Verdict.SUPPORTED, Verdict.UNSUPPORTED]
