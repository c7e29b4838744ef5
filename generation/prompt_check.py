"""What a template must be before it is kept as a prompt: all that it does is put its variables into text.

The sandbox keeps a template from the rest of the process, and not from using up its time and memory. So a prompt may
use a small part of Jinja only: no calls, no arithmetic, nothing that joins texts, no loop in a loop.
"""

from collections.abc import Iterator

from jinja2 import TemplateError, meta, nodes

from generation.model import Turn
from generation.prompt import ROLES, PromptPassage, Rendered, environment, render, render_condense
from generation.prompt_version import PromptVersion, Purpose
from indexes.errors import InvalidRequest

MAX_CHARS = 16_000
"""Of a template: about 4000 tokens, which is more than a prompt of many examples needs."""
_VARIABLES = {
    (Purpose.ANSWER, "system"): ("instructions", "no_answer"),
    (Purpose.ANSWER, "user"): ("instructions", "no_answer", "passages", "question"),
    (Purpose.CONDENSE, "system"): (),
    (Purpose.CONDENSE, "user"): ("history", "question"),
}
_STATEMENTS = (nodes.Block, nodes.Output, nodes.TemplateData, nodes.For, nodes.If)
_VALUES = (nodes.Name, nodes.Const, nodes.Getattr, nodes.CondExpr, nodes.Filter, nodes.Test)
_LOGIC = (nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not)
_LISTS = ("passages", "history")  # of a text, a loop would write its body once for every letter
_FILTERS = frozenset(("capitalize", "default", "first", "last", "length", "lower", "title", "trim", "upper"))
_QUESTION = "Is this the sample question?"
_PASSAGES = (PromptPassage(1, "one.md", "The first sample passage."), PromptPassage(2, "two.md", "A second one."))
_HISTORY = (Turn("user", "An earlier sample question?"), Turn("assistant", "An earlier sample answer."))


def check(prompt: PromptVersion) -> None:
    """Raises InvalidRequest where the template cannot be kept: the message names what is wrong in it."""
    if len(prompt.text) > MAX_CHARS:
        raise _wrong(f"it is longer than {MAX_CHARS} characters")
    try:
        template = environment().parse(prompt.text)
        _check_syntax(template)
        _check_variables(template, Purpose.of(prompt.name))
    except (TemplateError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).rstrip(".")
        raise _wrong(why) from error
    for sample, shown in _samples(prompt):
        if missing := [one for one in shown if one not in sample.user]:
            raise _wrong(f"the block 'user' does not show {missing[0]!r}, which stands for what it is given")


def _check_syntax(template: nodes.Template) -> None:
    for node in template.body:
        _walk(node, in_loop=False)
        if isinstance(node, nodes.Output) and any(not _is_space(part) for part in node.nodes):
            raise TemplateError(f"line {node.lineno} is outside of the blocks, where nothing is ever shown")
    if sorted(block.name for block in template.find_all(nodes.Block)) != sorted(ROLES):
        raise TemplateError(f"it needs the blocks {' and '.join(ROLES)}, and no others")


def _is_space(node: nodes.Expr) -> bool:
    return isinstance(node, nodes.TemplateData) and not node.data.strip()


def _walk(node: nodes.Node, *, in_loop: bool) -> None:
    if not isinstance(node, (*_STATEMENTS, *_VALUES, *_LOGIC)):
        raise TemplateError(f"line {node.lineno} uses {type(node).__name__.lower()}, which prompts may not use")
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        known = ", ".join(sorted(_FILTERS))
        raise TemplateError(f"line {node.lineno} uses the filter {node.name!r}; there are {known}")
    if isinstance(node, nodes.For):
        if in_loop or node.recursive:
            raise TemplateError(f"line {node.lineno} has a loop in a loop, which prompts may not have")
        if not (isinstance(node.iter, nodes.Name) and node.iter.name in _LISTS):
            raise TemplateError(f"line {node.lineno} loops over something else than {' or '.join(_LISTS)}")
        in_loop = True
    for child in node.iter_child_nodes():
        _walk(child, in_loop=in_loop)


def _check_variables(template: nodes.Template, purpose: Purpose) -> None:
    for block in template.find_all(nodes.Block):
        known = _VARIABLES[purpose, block.name]
        alone = nodes.Template(block.body, lineno=block.lineno)
        alone.set_environment(environment())
        if unknown := sorted(meta.find_undeclared_variables(alone) - set(known)):
            there = f"there are {', '.join(known)}" if known else "it has none"
            raise TemplateError(f"the block {block.name!r} knows no {', '.join(map(repr, unknown))}; {there}")


def _samples(prompt: PromptVersion) -> Iterator[tuple[Rendered, tuple[str, ...]]]:
    """The prompt as it will be rendered, each time with what must be seen in it."""
    if Purpose.of(prompt.name) is Purpose.CONDENSE:
        yield render_condense(prompt, _QUESTION, _HISTORY), (_QUESTION, *(turn.text for turn in _HISTORY))
        return
    yield render(prompt, _QUESTION, ()), (_QUESTION,)
    passages = tuple(shown for one in _PASSAGES for shown in (str(one.number), one.text))
    yield render(prompt, _QUESTION, _PASSAGES, "Sample instructions."), (_QUESTION, *passages)


def _wrong(why: str) -> InvalidRequest:
    return InvalidRequest(f"This text cannot be a prompt: {why}.", code="invalid_prompt", param="text")
