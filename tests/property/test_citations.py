"""I10 and the stream, for any passages and anything that a language model may write."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from generation.draft import Draft
from generation.extractive import ExtractiveAnswerer
from generation.markers import MarkerReader
from generation.model import Answered, AnswerEvent, Citation, CitationAdded, Passage, Question, TextDelta
from generation.settings import GenerationSettings
from indexes.model import Chunk, Hit, Scores, Span

BITS = [
    "Leave is 25 days. ",
    "It is paid",
    " [1]",
    "[2, 9]",
    "【3】",
    " `x[1]` ",
    "\n\n",
    "| a | b |",
    "- item\n",
    "？",
    "。",
    "Ünï 😀 ",
    ":",
]
TEXTS = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(BITS), max_size=12).map("".join))


@st.composite
def passages(draw: st.DrawFn) -> list[Passage]:
    found = []
    for number, text in enumerate(draw(st.lists(TEXTS.filter(str.strip), max_size=4)), start=1):
        start = draw(st.integers(0, 1000))
        chunk = Chunk(f"c{number}", f"r{draw(st.integers(1, 2))}", Span(start, start + len(text), 0, 0), text)
        scores = Scores(0.5, dense=draw(st.none() | st.floats(-1, 1)))
        found.append(Passage(number, Hit(chunk, scores, "vs", "ixv", "f", "name", "name", {})))
    return found


def check(events: Sequence[AnswerEvent]) -> tuple[str, list[Citation]]:
    text, citations = "", list[Citation]()
    for event in events:
        match event:
            case TextDelta(more):
                text += more
            case CitationAdded(citation):
                chunk = citation.passage.hit.chunk
                start, end = citation.source_start - chunk.span.start, citation.source_end - chunk.span.start
                assert start >= 0
                assert chunk.text[start:end] == citation.quote != ""
                assert citation.index == len(text)
                assert 0 <= citation.answer_start <= citation.answer_end <= len(text)
                citations.append(citation)
    return text, citations


@settings(deadline=None)
@given(passages(), st.lists(TEXTS, max_size=6))
def test_whatever_a_model_writes_its_citations_hold(found: list[Passage], pieces: list[str]) -> None:
    draft, reader = Draft(found), MarkerReader()
    parts = [part for piece in pieces for part in reader.feed(piece)] + reader.finish()
    text, citations = check([event for part in parts for event in draft.add(part)])
    assert (draft.text, draft.citations) == (text, citations)
    for sentence in draft.sentences():
        assert text[sentence.start : sentence.end].strip()
        assert all(0 <= at < len(citations) for at in sentence.citations)


@settings(deadline=None)
@given(passages(), TEXTS, st.sampled_from([0.0, 0.4]))
async def test_whatever_is_asked_extractive_citations_hold(found: list[Passage], question: str, bar: float) -> None:
    answerer = ExtractiveAnswerer(GenerationSettings(abstain_below=bar))
    *events, last = [event async for event in answerer.answer(Question(question), found)]
    assert isinstance(last, Answered)
    assert (last.answer.text, list(last.answer.citations)) == check(events)
