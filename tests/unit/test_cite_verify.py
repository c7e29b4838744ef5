import pytest

from generation.cite import narrow
from generation.model import Verdict
from generation.verify import verify

EVIDENCE = "Full-time staff get 25 days of paid leave a year. Unused days may not be carried over to March in Berlin."


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("full-time staff get 25 days of paid leave", Verdict.SUPPORTED),
        ("Staff get twenty-five days of paid leave each year.", Verdict.UNSUPPORTED),  # "twenty" is not there
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


def test_numbers_are_the_same_however_they_are_grouped_or_spelt() -> None:
    assert verify("It costs 1200 euros for three people.", "For 3 people it costs 1,200 euros.").verdict is (
        Verdict.SUPPORTED
    )


def test_evidence_is_narrowed_to_the_sentences_that_carry_the_claim() -> None:
    text = "The office is in Berlin. Leave is 25 days. It is paid in March. Dogs are welcome."
    start, end = narrow("Leave of 25 days", text)
    assert text[start:end] == "Leave is 25 days."
    start, end = narrow("25 days of leave, paid in March", text)
    assert text[start:end] == "Leave is 25 days. It is paid in March."
    assert narrow("nothing of the kind", text) == (0, len("The office is in Berlin."))
