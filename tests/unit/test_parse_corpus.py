"""Real documents of a folder beside the checkout, where it exists: each ends as text or with the right code."""

import csv
from pathlib import Path

import pytest

from indexes.errors import DocumentError
from ingestion.parse import parse

DOCUMENTS = Path(__file__).parents[3] / "shared" / "data" / "docs"
CODES = {"encrypted_file", "empty_file", "unsupported_file", "invalid_file", "no_text_layer"}

pytestmark = pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the shared documents are not here")


def outcome(path: Path) -> str:
    try:
        canonical = parse(path, path.name)
    except DocumentError as error:
        assert error.code in CODES
        assert error.message.endswith(".")
        return error.code
    canonical.text.encode("utf-8")
    return "text"


def test_ordinary_documents_give_text_and_hostile_ones_what_is_expected() -> None:
    with (DOCUMENTS / "manifest.tsv").open(encoding="utf-8") as file:
        entries = list(csv.DictReader(file, delimiter="\t"))
    # Slides go through a library that takes seconds to import: they are read in a child elsewhere.
    outcomes = {entry["file"]: outcome(DOCUMENTS / entry["file"]) for entry in entries if entry["type"] != "pptx"}
    for entry in entries:
        found = outcomes.get(entry["file"], "text")
        picture = entry["type"] in ("jpg", "heic") or "image-only" in entry["special"]
        if picture:
            assert found == "no_text_layer", entry["file"]
        elif entry["file"].startswith("good/"):
            assert found == "text", entry["file"]
        elif "encrypted (password" in entry["expected"] or entry["expected"].startswith("refuse: encrypted"):
            assert found == "encrypted_file" or entry["type"] == "pptx", entry["file"]
        elif entry["expected"] in ("text", "text; never run", "no fetch", "detect by content"):
            assert found in ("text", "invalid_file"), entry["file"]
