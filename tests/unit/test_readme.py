"""README tells the truth about settings and files."""

import os
import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from api.settings import Loaded, Settings
from generation.settings import LlmSettings
from indexes.engines.settings import FaissEngineSettings, QdrantServerEngineSettings, RemoteEngineSettings
from indexes.rerankers.settings import CrossEncoderSettings, MaxSimSettings, RerankServerSettings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
BEGIN, END = re.compile(r"<!-- settings: .* -->\n"), "<!-- end of settings -->"


def table() -> str:
    rows = ["| setting | default | what it is for |", "|---|---|---|"]
    for knob in Loaded(Settings(home=Path("~/.local/share/citewell")), {}).knobs():
        if knob.name == "home":
            continue
        rows.append(row(knob.name, knob.value, knob.description))
    for prefix, model in (
        ("engine", QdrantServerEngineSettings),
        ("engine", RemoteEngineSettings),
        ("engine", FaissEngineSettings),
        ("rerank", MaxSimSettings),
        ("rerank", CrossEncoderSettings),
        ("rerank", RerankServerSettings),
        ("generation.llms[]", LlmSettings),
    ):
        for name, field in model.model_fields.items():
            default = None if field.default is PydanticUndefined else field.default
            rows.append(row(f"{prefix}.{name}", default, field.description or ""))
    return "\n".join(rows) + "\n"


def row(name: str, value: object, description: str) -> str:
    shown = "" if value in (None, "", [], {}) else f"`{value}`"
    return f"| `{name}` | {shown} | {description.replace('|', '/')} |"


def test_every_setting_is_in_the_table_with_its_default() -> None:
    text = README.read_text()
    begin = BEGIN.search(text)
    assert begin is not None
    head, tail = text[: begin.end()], text[text.index(END) :]
    if os.environ.get("GOLDEN") == "write":
        README.write_text(head + table() + tail)
    assert README.read_text() == head + table() + tail


def test_every_path_it_names_is_there() -> None:
    paths = re.findall(r"`([a-z_]+/[a-z_/]*(?:\.[a-z]+)?)`", README.read_text())
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
