"""Documents beside this file and the blocks they become, one a line. `GOLDEN=write pytest …` writes them anew."""

import json
import os
from pathlib import Path

import pytest

from indexes.model import CanonicalText
from ingestion.parse import parse

HERE = Path(__file__).parent
DOCUMENTS = sorted(path for path in HERE.iterdir() if path.suffix not in (".py", ".expected") and path.is_file())


def shown(canonical: CanonicalText) -> str:
    head = {"title": canonical.title, "metadata": dict(canonical.metadata)}
    lines = [json.dumps(head, ensure_ascii=False)]
    for block in canonical.blocks:
        where = " > ".join(block.section)
        lines.append(
            f"{block.kind} [{where}] {json.dumps(canonical.text[block.start : block.end], ensure_ascii=False)}"
        )
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_becomes_the_expected_blocks(path: Path) -> None:
    expected = path.with_name(path.name + ".expected")
    result = shown(parse(path, path.name))
    if os.environ.get("GOLDEN") == "write":
        expected.write_text(result, encoding="utf-8")
    assert result == expected.read_text(encoding="utf-8")
