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
