"""Forms of a question."""

import pytest

from retrieval.rewriting import AsAsked, WithoutCourtesy


@pytest.mark.parametrize(
    ("asked", "bare"),
    [
        ("Can you please tell me how many days of leave I get?", "how many days of leave I get?"),
        ("Hi, could you show me the rules for travel, thanks in advance!", "the rules for travel"),
        ("I'd like to know who signs the contract", "who signs the contract"),
        ("Please explain to us what ERR_CONN_42 means", "what ERR_CONN_42 means"),
    ],
)
async def test_courtesy_is_left_out_of_a_second_form(asked, bare):
    assert await WithoutCourtesy().rewrite(asked) == (asked, bare)


@pytest.mark.parametrize(
    "asked",
    ["How many days of leave do I get?", "please", "tell me", "Wie viel Urlaub habe ich, bitte?", "", " " * 9_999],
)
async def test_other_questions_have_one_form(asked):
    assert await WithoutCourtesy().rewrite(asked) == (asked,)
    assert await AsAsked().rewrite(asked) == (asked,)
