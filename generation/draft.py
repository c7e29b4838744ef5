"""An answer in the making: text and markers go in, events and the finished sentences come out."""

from collections.abc import Iterator, Sequence

from generation.cite import narrow, quote
from generation.markers import Marker
from generation.model import Citation, CitationAdded, Passage, Sentence, TextDelta, Verdict
from generation.terms import terms
from generation.verify import verify
from indexes.sentences import sentences


class Draft:
    """What a language model has written so far, its markers turned into verified citations.

    A marker cites for the claim before it: the sentence, or as much of it as follows the marker before. `dropped`
    counts numbers that stand for no passage or for no claim.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = {passage.number: passage for passage in passages}
        self._claim_end = 0
        self._claim_start = 0
        self.text = ""
        self.citations: list[Citation] = []
        self.dropped = 0

    def add(self, part: str | Marker) -> Iterator[TextDelta | CitationAdded]:
        """More text, or a marker at the end of the text so far."""
        if isinstance(part, Marker):
            yield from self._cite(part)
            return
        text = part if self.text else part.lstrip()
        if text:
            self.text += text
            yield TextDelta(text)

    def sentences(self) -> tuple[Sentence, ...]:
        """Every sentence with the verdict of all that it cites together.

        A sentence that cites nothing is unverifiable: finding it support that the reader is not shown would prove
        nothing to the reader.
        """
        spans = sentences(self.text)
        nexts = [*(start for start, _ in spans), len(self.text)][1:]
        return tuple(self._judged(start, end, until) for (start, end), until in zip(spans, nexts, strict=True))

    def _cite(self, marker: Marker) -> Iterator[CitationAdded]:
        start = self._claim()
        claim = self.text[start:]
        for number in marker.numbers:
            passage = self._passages.get(number)
            if passage is None or not terms(claim):
                self.dropped += 1
                continue
            if any(each.passage is passage and each.answer_start == start for each in self.citations):
                continue
            from_, to = narrow(claim, passage.hit.chunk.text)
            finding = verify(claim, passage.hit.chunk.text[from_:to])
            end = len(self.text.rstrip())  # a marker on a line of its own is for the sentence above
            cited = quote(passage, from_, to, (start, end), finding.score, finding.verdict, len(self.text))
            self.citations.append(cited)
            yield CitationAdded(cited)
        self._claim_start, self._claim_end = start, len(self.text)

    def _claim(self) -> int:
        """Where the claim begins that a marker at the end of the text is for."""
        if self._claim_end == len(self.text):
            return self._claim_start
        spans = sentences(self.text)
        start = spans[-1][0] if spans else 0
        return max(start, self._claim_end) if terms(self.text[max(start, self._claim_end) :]) else start

    def _judged(self, start: int, end: int, until: int) -> Sentence:
        """A sentence with the citations whose markers come before the next one, which begins at `until`."""
        own = tuple(at for at, cited in enumerate(self.citations) if start < cited.index <= until)
        if not own:
            return Sentence(start, end, Verdict.UNVERIFIABLE, 0.0)
        finding = verify(self.text[start:end], "\n".join(self.citations[at].quote for at in own))
        return Sentence(start, end, finding.verdict, finding.score, own)
