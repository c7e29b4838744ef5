"""Settings of ingestion: the queue and the workers."""

from typing import Literal

from pydantic import Field, SecretStr

from indexes.settings import Section


class QueueSettings(Section):
    """What wakes workers. The catalog is the truth of work, so losing the queue loses nothing."""

    url: SecretStr | None = Field(
        None, description="`redis://` or `unix://` URL of a Valkey or Redis. Empty: one is run as a child process."
    )


class WorkerSettings(Section):
    """How a worker works."""

    embedded: bool = Field(True, description="Whether `citewell serve` works too. Off where `citewell worker` runs.")
    concurrency: int = Field(16, ge=1, le=256, description="Documents in work at once; they share embedding batches.")
    parsers: int = Field(2, ge=1, le=64, description="Parser child processes. More than cores is no faster.")
    lease_s: float = Field(30, ge=2, le=3600, description="How long after a worker's death its work is taken over.")
    max_attempts: int = Field(5, ge=1, le=100, description="Attempts before a document is parked as failed.")
    outage_attempts: int = Field(
        60, ge=1, le=10_000, description="Attempts while a part that the work needs does not answer: about an hour."
    )
    retry_delay_s: float = Field(
        2, ge=0, le=3600, description="Wait before the second attempt; doubles with each of the next five."
    )
    reconcile_s: float = Field(2, gt=0, le=3600, description="How often work whose wake-up was lost is looked for.")
    parse_s: float = Field(120, gt=0, le=3600, description="How long reading one document may take.")
    parse_memory_mb: int = Field(2048, ge=512, description="Address space of a parser child, libraries included.")
    parse_pages: int = Field(5000, ge=1, description="The most pages of one document.")
    ocr: Literal["auto", "off"] = Field(
        "auto", description="`auto` reads pictures of text where Tesseract is on the PATH of the worker."
    )
    ocr_languages: str = Field(
        "eng",
        pattern=r"^\w[\w/+]*$",
        description="Tesseract's models, joined by `+`, as `tesseract --list-langs` names them.",
    )
    chunker: Literal["sentence-1", "llama-index-sentence-1"] = Field(
        "sentence-1", description="How new stores cut text: by our own chunker, or by llama-index's sentence splitter."
    )
    build_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="The part of the time that a worker may spend on building index versions; it rests in between, so "
        "that searches stay fast.",
    )
    retention_h: float = Field(
        168,
        ge=0,
        description="How long an index version that was live is kept, and kept current, to go back to.",
    )
    batch_chunks: int = Field(128, ge=1, le=4096, description="Chunks of a document embedded and stored at a time.")
