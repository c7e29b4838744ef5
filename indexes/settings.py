"""Settings of what is stored: the catalog, the blobs, the embedding models."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    """A part of the settings: frozen, and with no room for misspelt names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CatalogSettings(Section):
    """The relational database that is the truth of everything but bytes and vectors."""

    url: SecretStr | None = Field(
        None,
        description="Database URL, `postgresql://user:password@host/name`. Empty: SQLite under the home directory, "
        "which serves one machine.",
    )
    pool_size: int = Field(8, ge=1, le=200, description="Connections a process keeps open for reading.")


class BlobSettings(Section):
    """Where uploaded bytes and canonical texts are kept."""

    url: str | None = Field(
        None, description="`s3://bucket/prefix`, or a directory. Empty: `blobs` under the home directory."
    )
    endpoint: str | None = Field(None, description="Endpoint of an S3-compatible service other than AWS.")
    region: str | None = Field(None, description="Region of the bucket.")
    access_key_id: SecretStr | None = Field(None, description="Empty: the environment's AWS credentials.")
    secret_access_key: SecretStr | None = Field(None, description="Empty: the environment's AWS credentials.")


class EmbeddingSettings(Section):
    """The embedding model of new stores, and how models are run."""

    model: str = Field("all-MiniLM-L6-v2", description="Name of the model that new stores use, or a path.")
    models: dict[str, Path] = Field(
        default_factory=dict, description="More models: name to folder, in the layout of sentence-transformers."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where models run; auto takes CUDA if it is there."
    )
    threads: int = Field(
        0, ge=0, le=256, description="Forward passes at once on the CPU, one thread each. 0: one per core."
    )
    precision: Literal["auto", "float32"] = Field(
        "auto",
        description="How the CPU multiplies. auto: in bfloat16 where it has instructions for that, twice as fast, with "
        "vectors of a cosine of .9999 to those of float32. float32: vectors are alike on every machine.",
    )
    prices: dict[str, float] = Field(
        default_factory=dict,
        description="What a million tokens cost by model, in your currency, for plans of builds. Left out: nothing.",
    )
    url: str | tuple[str, ...] | None = Field(
        None,
        description="Where `citewell retrieval` runs the models, a reranker too: `unix:///path` or `http://host:port`. "
        "Of several, in a list, the least busy is asked, and another where it fails. Empty: they are run in this "
        "process.",
    )
    secret: SecretStr | None = Field(None, description="The secret it asks for. Empty: what `secret_file` holds.")
    secret_file: Path | None = Field(None, description="Empty: `retrieval.key` under the home directory.")
    timeout_s: float = Field(
        600, gt=0, le=3600, description="How long one call may take there, its wait in line included."
    )

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses, always as several; none where the models are run here."""
        return (self.url,) if isinstance(self.url, str) else self.url or ()
