"""Markdown: what is text of the document, and what only steers the program that makes pages of it."""

from pathlib import Path

import pytest

from ingestion.parse import Limits, markdown
from ingestion.parse.draft import Draft


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def read(path: Path, text: str) -> Draft:
    path.write_text(text, encoding="utf-8")
    return markdown.parse(path, Limits())


def shown(draft: Draft) -> list[str]:
    return [piece.text.strip() for piece in draft.pieces]


def test_only_a_mapping_between_rules_is_front_matter(path: Path) -> None:
    stated = read(path, "---\ntitle: Leave\n---\n\nThirty days.\n")
    assert (stated.title, shown(stated)) == ("Leave", ["Leave", "Thirty days."])
    for words in ("The first section says this: very important.\nAnd one more line.", "Alone.", "- a list", "a: b: c"):
        text = read(path, f"---\n{words}\n---\n\nThirty days.\n")
        assert text.title == ""
        assert shown(text) == [words.replace("\n", " ").removeprefix("- "), "Thirty days."]
    assert shown(read(path, "+++\nThirty days.\n+++\n")) == ["+++ Thirty days. +++"]


@pytest.mark.parametrize("tag", ["{% for x in xs %}", '{{< ref "a.md" >}}', "{{< comment >}}x{{< /comment >}}"])
def test_tags_go_from_text_and_stay_in_code(path: Path, tag: str) -> None:
    blocks = [f"```jinja\n{tag}\n```", f"- item\n\n  ~~~\n  {tag}\n  ~~~", f"> ```\n> {tag}\n> ```", f"    {tag}"]
    draft = read(path, f"{tag}\n\nGo{tag} on.\n\n" + "\n\nThen:\n\n".join(blocks))
    assert shown(draft) == ["Go on.", tag, "Then:", "item", tag, "Then:", tag, "Then:", tag]
    assert shown(read(path, f"Write `{tag}` or\n``a ` {tag}`` {tag}here.")) == [f"Write {tag} or a ` {tag} here."]
    assert shown(read(path, f"| a | b |\n|---|---|\n| `{tag}` | {tag}c |")) == [f"a | b\n{tag} | c"]
    assert shown(read(path, f"[words]({tag}) \\` {tag} `code`")) == ["words `  code"], "an escape opens no code"


def test_a_comment_goes_with_the_code_in_it(path: Path) -> None:
    assert shown(read(path, "A\n\n{{< comment >}}\n```\ncode\n```\n{{< /comment >}}\n\nB")) == ["A", "B"]
