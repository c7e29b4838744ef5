from collections.abc import Sequence

import pytest

from generation.cite import narrow
from generation.facts import dates, numbers
from generation.model import Verdict
from generation.support import AlignmentJudge
from generation.verify import Verifier, verify

EVIDENCE = "Full-time staff get 25 days of paid leave a year. Unused days may not be carried over to March in Berlin."


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("full-time staff get 25 days of paid leave", Verdict.SUPPORTED),
        ("Full-time staff get twenty-five days of paid leave a year.", Verdict.SUPPORTED),
        ("Unused days may not be carried over to May 1 in Berlin.", Verdict.UNSUPPORTED),
        ("Paid leave is 25 days a year for full-time staff.", Verdict.SUPPORTED),
        ("Full-time staff get 30 days of paid leave a year.", Verdict.UNSUPPORTED),
        ("Full-time staff do not get 25 days of paid leave a year.", Verdict.UNSUPPORTED),
        ("Unused days may be carried over to March.", Verdict.PARTLY),
        ("Unused days in Munich may not be carried over to March.", Verdict.PARTLY),
        ("Paid leave is generous, flexible and popular.", Verdict.PARTLY),
        ("The canteen opens at noon.", Verdict.UNSUPPORTED),
        ("…", Verdict.UNVERIFIABLE),
    ],
)
def test_a_claim_is_held_against_its_evidence_in_stages(claim: str, verdict: Verdict) -> None:
    assert verify(claim, EVIDENCE).verdict is verdict


def test_facts_are_the_same_however_they_are_written() -> None:
    assert numbers("1. For 1,200 euros, thirty-one of 3") == numbers("1200 for 31 of three") == {"1200", "31", "3"}
    assert dates("On Mondays in Sept.") == dates("Monday, 3 September")
    assert dates("It may rain on 3 May, or in May 2020") == {"May"}


def test_evidence_is_narrowed_to_the_sentences_that_carry_the_claim() -> None:
    text = "The office is in Berlin. Leave is 25 days. It is paid in March. Dogs are welcome."
    start, end = narrow("Leave of 25 days", text)
    assert text[start:end] == "Leave is 25 days."
    start, end = narrow("25 days of leave, paid in March", text)
    assert text[start:end] == "Leave is 25 days. It is paid in March."
    assert narrow("nothing of the kind", text) == (0, len("The office is in Berlin."))


class Paraphrase:
    """A judge that knows what one claim means."""

    async def support(self, claim: str, texts: Sequence[str]) -> Sequence[float]:
        return [0.9 if "closes at noon" in text else 0.0 for text in texts]


async def test_a_judge_finds_the_sentence_and_facts_overrule_it() -> None:
    text = "The office is in Berlin. On Sundays it closes at noon. Dogs are welcome."
    verifier = Verifier(Paraphrase())
    grounds = await verifier.ground("One cannot get in after lunch, no matter what", text)
    assert text[grounds.start : grounds.end] == "On Sundays it closes at noon."
    assert grounds.finding.verdict is Verdict.UNSUPPORTED  # it denies, and the text does not
    assert (await verifier.check("The doors shut after lunch", text)).verdict is Verdict.SUPPORTED
    assert (await verifier.check("The doors shut at 13", text)).verdict is Verdict.UNSUPPORTED
    assert (await verifier.check("The doors in Munich shut", text)).verdict is Verdict.PARTLY
    assert (await verifier.check("The doors in Munich shut", text, context="munich.md")).verdict is Verdict.SUPPORTED


async def test_neighbours_are_quoted_where_they_add_to_the_support() -> None:
    text = "The office is in Berlin. Leave is 25 days. It is paid in March. Dogs are welcome."
    verifier = Verifier(AlignmentJudge())
    for claim, expected in (
        ("Leave is 25 days", "Leave is 25 days."),
        ("Leave is 25 days, paid in March", "Leave is 25 days. It is paid in March."),
    ):
        grounds = await verifier.ground(claim, text)
        assert text[grounds.start : grounds.end] == expected
