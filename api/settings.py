"""All settings of the service, and where each one came from.

Sources, the later the stronger: defaults, `citewell.toml` (in the working directory, or where `CITEWELL_CONFIG` says),
environment variables `CITEWELL_<SECTION>__<KNOB>`, command line. What is wrong or unknown is refused by name.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator

from api.validation import dotted, locate, requirement
from generation.settings import GenerationSettings
from indexes.engines.settings import EngineSettings, FaissEngineSettings, QdrantEdgeEngineSettings
from indexes.errors import SettingsError
from indexes.rerankers.settings import NoRerankSettings, RerankSettings
from indexes.settings import BlobSettings, CatalogSettings, EmbeddingSettings, Section
from ingestion.settings import QueueSettings, WorkerSettings
from retrieval.settings import SearchSettings

MEBIBYTE = 1 << 20
PREFIX = "CITEWELL_"
CONFIG_FILE = "citewell.toml"
# What the command line reads as a client, and where the file is: no knobs of the service.
_CLIENT_VARIABLES = frozenset({"CITEWELL_CONFIG", "CITEWELL_API_KEY", "CITEWELL_BASE_URL"})
# Kubernetes sets these in every pod beside a service that is called citewell.
_KUBERNETES = re.compile(r"CITEWELL_(SERVICE_(HOST|PORT)\w*|PORT(_\d+_\w+)?)")
_SECRET = re.compile(r"key|secret|password|token|url", re.IGNORECASE)

Place = tuple[str, ...]


class ServerSettings(Section):
    """The HTTP server."""

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for all of this machine's.")
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    max_upload_bytes: int = Field(512 * MEBIBYTE, ge=1, description="The largest file that can be uploaded.")
    min_free_bytes: int = Field(
        256 * MEBIBYTE, ge=0, description="Uploads are refused while the disk of the home has less left than this."
    )
    max_uploads: int = Field(32, ge=1, le=10_000, description="Uploads at once; more are refused with 429.")
    stall_s: float = Field(
        30, gt=0, le=3600, description="How long a client may neither send nor take anything before it is cut off."
    )
    max_json_bytes: int = Field(16 * MEBIBYTE, ge=1024, description="The largest body of any other request.")
    max_concurrent_requests: int = Field(
        64, ge=1, le=10_000, description="Searches and answers at once; more are refused with 429."
    )
    max_event_streams: int = Field(
        128, ge=1, le=10_000, description="Clients that follow the ingestion of a store at once."
    )
    drain_s: int = Field(8, ge=0, le=300, description="How long requests may go on after a stop was asked for.")


class NoEngineSettings(Section):
    """No vectors: the process runs the models alone, one beside another."""

    kind: Literal["none"] = "none"


class RetrievalSettings(Section):
    """The process `citewell retrieval`. The others reach it by `engine.kind = "remote"` and `embedding.url`."""

    socket: Path | None = Field(None, description="Unix socket to listen on. Empty: `retrieval.sock` under the home.")
    host: str | None = Field(None, description="Address to listen on by HTTP instead. It is not encrypted.")
    port: int = Field(8081, ge=0, le=65_535, description="Port to listen on where `host` is set.")
    secret: SecretStr | None = Field(None, description="What callers must know. Empty: what `secret_file` holds.")
    secret_file: Path | None = Field(None, description="Empty: `retrieval.key` under the home, made if it is missing.")
    engine: QdrantEdgeEngineSettings | FaissEngineSettings | NoEngineSettings = Field(
        default_factory=QdrantEdgeEngineSettings,
        discriminator="kind",
        description="The engine that it owns: `qdrant_edge`, or `faiss` in front of it, as `engine`; or `none`, where "
        "it runs the models alone.",
    )
    max_reads: int = Field(256, ge=1, le=10_000, description="Searches at once; more are refused with 429.")
    max_writes: int = Field(64, ge=1, le=1000, description="Writes at once, each up to 10 MB; more have to wait.")
    max_embeddings: int = Field(256, ge=1, le=10_000, description="Calls at once for vectors of texts.")
    max_reranks: int = Field(256, ge=1, le=10_000, description="Calls at once for scores of texts.")
    threads: int = Field(16, ge=1, le=256, description="Threads for reads, and as many for writes.")

    @field_validator("engine", mode="before")
    @classmethod
    def _owned(cls, engine: object) -> object:
        """Its kind may be left out, as that of `engine` itself."""
        return {"kind": "qdrant_edge", **engine} if isinstance(engine, dict) else engine


class Settings(Section):
    """Everything that can be set."""

    home: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("citewell"),
        description="Directory of all data. Empty: the platform's directory for user data.",
    )
    server: ServerSettings = Field(default_factory=ServerSettings)
    catalog: CatalogSettings = Field(default_factory=CatalogSettings)
    blobs: BlobSettings = Field(default_factory=BlobSettings)
    engine: EngineSettings = Field(default_factory=QdrantEdgeEngineSettings)
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    queue: QueueSettings = Field(default_factory=QueueSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    search: SearchSettings = Field(default_factory=SearchSettings)
    rerank: RerankSettings = Field(default_factory=NoRerankSettings)
    retrieval: RetrievalSettings = Field(default_factory=RetrievalSettings)
    generation: GenerationSettings = Field(default_factory=GenerationSettings)

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting in force. `value` is JSON data with secrets masked; `source` says where it was set."""

    name: str
    value: Any
    source: str
    description: str


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    source: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for each path that was set the source that set it."""

    settings: Settings
    sources: Mapping[Place, str]

    def knobs(self) -> list[Knob]:
        """Every setting in force, in the order of the sections."""
        return list(_knobs(self.settings, (), self.sources))


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Loaded:
    """Read all sources. `flags` maps names such as `server.port` to values from the command line; None is not given.

    Raises SettingsError, which names the setting, its value, where it was set and what is allowed.
    """
    environ = os.environ if environ is None else environ
    given: dict[Place, _Given] = {
        **_from_file(environ, directory or Path.cwd()),
        **_from_environment(environ),
        **{
            tuple(name.split(".")): _Given(value, "command line")
            for name, value in (flags or {}).items()
            if value is not None
        },
    }
    nested = _nested(given)
    try:
        settings = Settings.model_validate(nested)
    except ValidationError as error:
        raise SettingsError(_refusal(error, nested, given)) from error
    return Loaded(settings, {path: setting.source for path, setting in given.items()})


def _from_file(environ: Mapping[str, str], directory: Path) -> dict[Place, _Given]:
    named = environ.get("CITEWELL_CONFIG")
    path = directory / (named or CONFIG_FILE)
    if not named and not path.is_file():
        return {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"CITEWELL_CONFIG names {path}, which cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error
    return dict(_flat(data, (), str(path)))


def _from_environment(environ: Mapping[str, str]) -> dict[Place, _Given]:
    given: dict[Place, _Given] = {}
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in _CLIENT_VARIABLES or _KUBERNETES.fullmatch(name):
            continue
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        given |= dict(_flat(_json(name, text), path, f"environment variable {name}"))
    return given


def _json(name: str, text: str) -> object:
    # Only lists and tables need JSON: numbers and booleans are read from plain text by their type.
    if not text.startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise SettingsError(f"The environment variable {name} is not valid JSON: {error}.") from error


def _flat(value: object, path: Place, source: str) -> Iterator[tuple[Place, _Given]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(part, (*path, str(name)), source)
    else:
        yield path, _Given(value, source)


def _nested(given: Mapping[Place, _Given]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path, setting in given.items():
        *sections, name = path
        here = root
        for section in sections:
            here = here.setdefault(section, {}) if isinstance(here.get(section, {}), dict) else {}
        here[name] = setting.value
    for section, kind in (("engine", "qdrant_edge"), ("rerank", "none")):
        chosen = root.setdefault(section, {})
        if isinstance(chosen, dict):
            chosen.setdefault("kind", kind)
    return root


def _refusal(error: ValidationError, nested: Mapping[str, Any], given: Mapping[Place, _Given]) -> str:
    sentences = []
    for finding in error.errors():
        missing = finding["type"] == "missing"
        path = locate(list(finding["loc"]), nested, missing=missing)
        name = dotted(path)
        source = _source(tuple(map(str, path)), {place: setting.source for place, setting in given.items()})
        if missing:
            sentences.append(f"{name} must be set.")
        elif finding["type"] == "extra_forbidden":
            sentences.append(f"{name} ({source}) is no setting.{_nearest(name)}")
        else:
            shown = "***" if _SECRET.search(str(path[-1])) else repr(finding["input"])
            sentences.append(f"{name} = {shown} ({source}) {requirement(finding['msg'])}.")
    return "\n".join(sentences)


def _nearest(name: str) -> str:
    known = [knob.name for knob in Loaded(Settings(), {}).knobs()]
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean {found[0]}?" if found else " `citewell config` lists all settings."


def _source(path: Place, sources: Mapping[Place, str]) -> str:
    """Who set `path`, a part of it, or a whole that holds it; the strongest of them, and `default` if nobody did."""
    related = [source for place, source in sources.items() if place[: len(path)] == path or path[: len(place)] == place]
    return related[-1] if related else "default"


def _knobs(section: Section, path: Place, sources: Mapping[Place, str]) -> Iterator[Knob]:
    masked = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        value, place = getattr(section, name), (*path, name)
        if isinstance(value, Section):
            yield from _knobs(value, place, sources)
        else:
            yield Knob(".".join(place), masked[name], _source(place, sources), field.description or "")
