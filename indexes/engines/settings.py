"""Settings of the vector engines: one model each, told apart by `kind`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from indexes.settings import Section


class ExactEngineSettings(Section):
    """Everything in memory, compared with everything: the reference. For tests and a few thousand chunks."""

    kind: Literal["exact"] = "exact"


class QdrantEdgeEngineSettings(Section):
    """Qdrant's engine inside this process, one directory per index version. One process owns the directory."""

    kind: Literal["qdrant_edge"] = Field("qdrant_edge", description="Which engine this is.")
    root: Path | None = Field(None, description="Directory of the vectors. Empty: `vectors` under the home directory.")
    open_shards: int = Field(
        64,
        ge=1,
        le=4096,
        description="Index versions kept open at once. Each costs about 10 MB of page cache when empty, one file "
        "descriptor and `search_threads` threads; the one used longest ago is closed, and opened again when it is "
        "asked for (about 20 ms when empty, 20 ms more per 1000 chunks).",
    )
    search_threads: int = Field(2, ge=1, le=64, description="Threads that search the segments of one index version.")
    optimise_after: int = Field(
        10_000,
        ge=1000,
        description="New or deleted chunks after which the graph of an index version is built anew, or a quarter of "
        "the version if that is more. Until then new chunks are compared one by one, about 0.1 ms per 1000.",
    )
    optimise_threads: int = Field(
        1, ge=1, le=64, description="Threads that build a graph, in a process of low priority beside the service."
    )


class QdrantServerEngineSettings(Section):
    """A Qdrant server or cluster, one collection per index version."""

    kind: Literal["qdrant_server"] = "qdrant_server"
    url: str = Field(description="Base URL, `http://host:6333`.")
    api_key: SecretStr | None = Field(None, description="API key, if the server asks for one.")
    timeout_s: int = Field(30, ge=1, le=600, description="How long one call may take before it counts as failed.")
    prefix: str = Field("", description="Put before the names of collections, so that installations share a cluster.")
    shards: int = Field(1, ge=1, le=1024, description="Shards of a new collection: more spread it over more nodes.")
    replicas: int = Field(1, ge=1, le=16, description="Copies of each shard: 2 or more survive the loss of a node.")


class RemoteEngineSettings(Section):
    """The engine of `citewell retrieval`, which several processes share."""

    kind: Literal["remote"] = "remote"
    url: str = Field(description="Where it listens: `unix:///path` or `http://host:port`.")
    secret: SecretStr | None = Field(None, description="The secret it asks for. Empty: what `secret_file` holds.")
    secret_file: Path | None = Field(None, description="Empty: `retrieval.key` under the home directory.")
    timeout_s: float = Field(30, gt=0, le=600, description="How long one call may take before it counts as failed.")


class FaissEngineSettings(Section):
    """Dense search in memory by FAISS, beside an engine that keeps the points and does everything else."""

    kind: Literal["faiss"] = "faiss"
    inner: QdrantEdgeEngineSettings | QdrantServerEngineSettings | RemoteEngineSettings = Field(
        default_factory=lambda: QdrantEdgeEngineSettings(),
        discriminator="kind",
        description="The engine that keeps the points. This process must be the only one that writes to it.",
    )
    root: Path | None = Field(None, description="Directory of the indexes. Empty: `faiss` under the home directory.")
    open_versions: int = Field(
        64,
        ge=1,
        le=4096,
        description="Index versions kept in memory at once, about 1.6 kB a chunk at 384 dimensions; the one used "
        "longest ago is given up, and loaded again when it is searched.",
    )
    merge_after: int = Field(
        4_000,
        ge=1,
        description="New chunks after which the main part of an index is built anew or added to, or 1/32 of the "
        "version if that is more. Until then they are compared one by one, about 0.1 ms per 1000.",
    )
    merge_threads: int = Field(1, ge=1, le=64, description="Threads of low priority that build.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where main parts are searched: `cuda` refuses to start without a GPU, `auto` does not."
    )
    device_memory_mb: int = Field(
        4_096,
        ge=1,
        description="What the indexes may take of the GPU's memory, each 384 MB besides its vectors; the rest is "
        "searched on the CPU.",
    )

    @field_validator("inner", mode="before")
    @classmethod
    def _embedded(cls, inner: object) -> object:
        """Its kind may be left out, as that of `engine` itself."""
        return {"kind": "qdrant_edge", **inner} if isinstance(inner, dict) else inner


EngineSettings = Annotated[
    ExactEngineSettings
    | QdrantEdgeEngineSettings
    | QdrantServerEngineSettings
    | RemoteEngineSettings
    | FaissEngineSettings,
    Field(discriminator="kind"),
]
