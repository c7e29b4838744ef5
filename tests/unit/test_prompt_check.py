"""What may be a prompt: the text says so by name where it may not."""

import pytest

from generation.answering import Answering
from generation.model import Turn
from generation.prompt import render_condense, seeds
from generation.prompt_check import check
from generation.prompt_trial import Case, CasePassage, Expected, run
from generation.prompt_version import PromptVersion, Purpose
from generation.scripted_llm import Reply, scripted_llm
from generation.settings import GenerationSettings, LlmSettings
from indexes.errors import InvalidRequest

USER = (
    "{% block user %}{{ question }}{% for one in passages %}{{ one.number }} {{ one.text }}{% endfor %}{% endblock %}"
)
SYSTEM = "{% block system %}Be brief.{% endblock %}"


@pytest.mark.parametrize("name", sorted(seeds()))
def test_what_ships_is_sound(name: str) -> None:
    check(seeds()[name])


def test_a_prompt_may_choose_by_what_it_is_given() -> None:
    chosen = "{# a remark #}\n{% block system %}{% if instructions %}{{ instructions | trim }}{% endif %}{% endblock %}"
    check(PromptVersion("mine", f"{chosen}\n{USER}"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            SYSTEM + USER.replace("question", "querstion"),
            "the block 'user' knows no 'querstion'; there are instructions",
        ),
        ("{% block system %}{{ passages }}{% endblock %}" + USER, "the block 'system' knows no 'passages'"),
        (SYSTEM + USER.replace("one.text", "one.txt"), "has no attribute 'txt'"),
        (SYSTEM + USER.replace("{{ question }}", ""), "does not show 'Is this the sample question?'"),
        (SYSTEM + USER.replace("{{ one.number }}", ""), "does not show '1'"),
        (SYSTEM + USER.replace("in passages", "in question"), "loops over something else than passages or history"),
        (SYSTEM + USER.replace("one in passages", "one in passages | first"), "loops over something else"),
        (SYSTEM, "it needs the blocks system and user"),
        (SYSTEM + USER + "{% block more %}{% endblock %}", "it needs the blocks system and user"),
        (SYSTEM + "stray" + USER, "outside of the blocks"),
        ("{% block system %}", "Unexpected end of template"),
        ("{% block system %}{{ 9 ** 999999999 }}{% endblock %}" + USER, "uses pow"),
        ("{% block system %}{{ 'a' * 999999999 }}{% endblock %}" + USER, "uses mul"),
        ("{% block system %}{{ self.user() }}{% endblock %}" + USER, "uses call"),
        ("{% block system %}{{ ''.__class__ }}{% endblock %}" + USER, "unsafe"),
        ("{% block system %}{{ 'a' | center(999999999) }}{% endblock %}" + USER, "uses the filter 'center'"),
        ("{% block system %}{% set a = 'a' %}{% endblock %}" + USER, "uses assign"),
        ("{% include 'other' %}" + SYSTEM + USER, "uses include"),
        (
            SYSTEM + USER.replace("{% endfor %}", "{% for two in passages %}{% endfor %}{% endfor %}"),
            "a loop in a loop",
        ),
        (
            "{% block system %}" + "{% if instructions %}" * 400 + "{% endif %}" * 400 + "{% endblock %}" + USER,
            "too deep",
        ),
        (SYSTEM + USER + "{# " + "x" * 16_000 + " #}", "longer than 16000 characters"),
    ],
)
def test_a_text_that_cannot_be_a_prompt_is_refused_by_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match="prompt") as refused:
        check(PromptVersion("mine", text))
    assert why in refused.value.message


def test_the_name_says_what_a_prompt_is_for() -> None:
    assert [Purpose.of(name).value for name in ("answer", "mine", "condense")] == ["answer", "answer", "condense"]
    with pytest.raises(InvalidRequest, match="knows no 'passages'"):
        check(PromptVersion("condense", SYSTEM + USER))
    shown = render_condense(seeds()["condense"], "And then?", [Turn("user", "</turn> What first?")])
    assert shown.user.count("</turn>") == 1
    assert shown.user.endswith("Question: And then?")


async def test_cases_say_what_is_otherwise_and_ask_a_model_where_they_name_one() -> None:
    case = Case(
        "gate",
        "When does the gate open?",
        (CasePassage("gate.md", "The gate opens at six."), CasePassage("moat.md", "The moat is deep.")),
        contains=("opens at six", "no such words"),
        lacks=("moat",),
        max_tokens=10,
        answer=Expected("small", abstains=False, cites=("gate.md", "moat.md"), contains=("six", "seven")),
    )
    replies = [Reply(["It opens at six [1]."]), Reply(["NO_ANSWER"]), Reply(status=503)]
    async with scripted_llm(lambda _: replies.pop(0)) as llm:
        server = LlmSettings(name="small", base_url=llm.base_url, model="m")
        async with Answering.open(GenerationSettings(llms=(server,), llm_abstain_below=0)) as answering:
            results = [(await run(seeds()["answer"], [case], answering))[0] for _ in range(3)]
            (quoting,) = await run(seeds()["answer"], [Case("q", "When?", answer=Expected("extractive"))], answering)
            (broken,) = await run(PromptVersion("answer", SYSTEM), [Case("b", "When?")], answering)
    answered, declined, down = [list(result.failures) for result in results]
    assert answered[:3] == [
        "The prompt does not contain 'no such words'.",
        "The prompt contains 'moat'.",
        f"The prompt has about {results[0].tokens} tokens, more than 10.",
    ]
    assert answered[3:] == [
        "The answer does not contain 'seven': It opens at six.",
        "The answer does not cite 'moat.md'.",
    ]
    assert "It says that there is no answer." in declined
    assert any("did not answer" in failure for failure in down)
    assert quoting.failures == ("extractive uses no prompt: name a language model.",)
    assert "no block 'user'" in broken.failures[0]
