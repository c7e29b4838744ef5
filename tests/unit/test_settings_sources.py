"""Settings: which source wins, how a wrong one is refused, and what is told of where they came from."""

import re
from pathlib import Path

import pytest
import yaml

from api.settings import Loaded, Settings, load
from indexes.errors import SettingsError


def _load(directory: Path, toml: str = "", environ: dict[str, str] | None = None, **flags: object) -> Loaded:
    (directory / "citewell.toml").write_text(toml)
    return load({name.replace("__", "."): value for name, value in flags.items()}, environ or {}, directory)


def test_the_stronger_source_wins_knob_by_knob(tmp_path: Path) -> None:
    loaded = _load(
        tmp_path,
        "[server]\nport = 1\nhost = '::1'\ndrain_s = 2\n[embedding.models]\na = '/a'",
        {"CITEWELL_SERVER__PORT": "2", "CITEWELL_SERVER__HOST": "0.0.0.0", "CITEWELL_EMBEDDING__MODELS": '{"B": "/b"}'},
        server__port=3,
        server__drain_s=None,
    )
    server = loaded.settings.server
    assert (server.port, server.host, server.drain_s) == (3, "0.0.0.0", 2)
    assert loaded.settings.embedding.models == {"a": Path("/a"), "B": Path("/b")}
    sources = {knob.name: knob.source for knob in loaded.knobs()}
    assert sources["server.port"] == "command line"
    assert sources["server.host"] == "environment variable CITEWELL_SERVER__HOST"
    assert sources["server.drain_s"] == str(tmp_path / "citewell.toml")
    assert sources["worker.parsers"] == "default"


@pytest.mark.parametrize(
    ("toml", "environ", "says"),
    [
        ("[server]\nport = 'http'", {}, ["server.port = 'http'", "citewell.toml", "valid integer"]),
        ("", {"CITEWELL_SERVER__PORT": "70000"}, ["server.port = '70000'", "CITEWELL_SERVER__PORT", "65535"]),
        ("[server]\nprot = 1", {}, ["server.prot", "is no setting", "Did you mean server.port?"]),
        ("", {"CITEWELL_WORKERS": "3"}, ["workers (environment variable CITEWELL_WORKERS) is no setting"]),
        ("[engine]\nkind = 'lance'", {}, ["engine", "'qdrant_edge'"]),
        ("[engine]\nkind = 'qdrant_server'", {}, ["engine.url must be set"]),
        ("[engine]\nkind = 'exact'\nopen_shards = 3", {}, ["engine.open_shards", "is no setting"]),
        ("[catalog]\nurl = 7", {}, ["catalog.url = ***", "valid string"]),
        ("[[generation.llms]]\nname = 'a'\nmodel = 'm'\nbase_url = 'ftp://x'", {}, ["generation.llms[0].base_url"]),
        ("", {"CITEWELL_GENERATION__LLMS": "[{"}, ["CITEWELL_GENERATION__LLMS is not valid JSON"]),
        ("server = [", {}, ["is not valid TOML"]),
        ("", {"CITEWELL_CONFIG": "gone.toml"}, ["CITEWELL_CONFIG", "gone.toml", "No such file"]),
    ],
)
def test_what_is_wrong_is_refused_by_name(tmp_path: Path, toml: str, environ: dict[str, str], says: list[str]) -> None:
    with pytest.raises(SettingsError) as refusal:
        _load(tmp_path, toml, environ)
    for part in says:
        assert part in refusal.value.message, refusal.value.message


def test_a_knob_of_the_default_engine_needs_no_kind(tmp_path: Path) -> None:
    assert _load(tmp_path, environ={"CITEWELL_ENGINE__OPEN_SHARDS": "3"}).settings.engine.kind == "qdrant_edge"


def test_secrets_are_masked(tmp_path: Path) -> None:
    loaded = _load(
        tmp_path,
        "[[generation.llms]]\nname = 'a'\nmodel = 'm'\nbase_url = 'http://x'\napi_key = 'hunter2'",
        {"CITEWELL_CATALOG__URL": "postgresql://u:hunter2@h/d"},
    )
    assert "hunter2" not in str(loaded.knobs())
    assert loaded.settings.catalog.url is not None


def test_what_a_cluster_sets_beside_a_service_of_this_name_is_let_be(tmp_path: Path) -> None:
    cluster = {
        "CITEWELL_PORT": "tcp://10.0.0.1:80",
        "CITEWELL_SERVICE_HOST": "10.0.0.1",
        "CITEWELL_PORT_80_TCP_ADDR": "x",
    }
    assert _load(tmp_path, environ=cluster).settings == Settings()


def test_every_knob_says_what_it_is_for() -> None:
    assert [
        knob.name for knob in Loaded(Settings(), {}).knobs() if not knob.description and knob.name != "engine.kind"
    ] == []


def test_the_compose_file_sets_what_can_be_set() -> None:
    compose = yaml.safe_load((Path(__file__).parents[2] / "compose.yaml").read_text())
    for role in ("api", "worker"):
        environment = {
            name: re.sub(r"\$\{[^}]*}", "x", value) for name, value in compose["services"][role]["environment"].items()
        }
        settings = load(environ=environment, directory=Path("/nowhere")).settings
        assert (settings.engine.kind, settings.worker.embedded, settings.generation.llms[0].name) == (
            "qdrant_server",
            False,
            "llm",
        )
