"""Settings of rerankers: one model each, told apart by `kind`."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from indexes.settings import Section


class NoRerankSettings(Section):
    """Hits stay in fused order."""

    kind: Literal["none"] = Field(
        "none",
        description="How the best hits are put in a better order: `none`, `maxsim`, `cross_encoder` or `server`.",
    )


class _Reranked(Section):
    kind: str
    budget_s: float = Field(
        1.0, gt=0, le=60, description="How long a search waits for it; what is not reranked by then stays behind."
    )


class _Local(_Reranked):
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where it runs; auto takes CUDA if it is there.")
    threads: int = Field(
        0, ge=0, le=256, description="Forward passes at once on the CPU, one thread each. 0: one per core."
    )
    precision: Literal["auto", "float32"] = Field(
        "auto", description="How the CPU multiplies. auto: in bfloat16 where it has instructions for that."
    )


class MaxSimSettings(_Local):
    """Token vectors of an embedding model, each of the question with each of the text: needs no further weights."""

    kind: Literal["maxsim"] = "maxsim"
    model: str = Field("all-MiniLM-L6-v2", description="The embedding model whose token vectors are compared.")
    # Measured by bench/rerank.py: 10 gain .0286 of nDCG@10 on SciFact, 30 gain .0308 for three times the time.
    candidates: int = Field(10, ge=1, le=200, description="How many of the best hits are reranked.")


class CrossEncoderSettings(_Local):
    """A cross-encoder of sentence-transformers."""

    kind: Literal["cross_encoder"] = "cross_encoder"
    model: str = Field(description="Folder of the model, or its name on the hub if it is in the cache already.")
    sha256: str | None = Field(None, description="If given, the SHA-256 that its weights must have.")
    candidates: int = Field(30, ge=1, le=200, description="How many of the best hits are reranked.")


class RerankServerSettings(_Reranked):
    """A model server: vLLM, or another that speaks Jina's and Cohere's protocol, or text-embeddings-inference."""

    kind: Literal["server"] = "server"
    url: str = Field(
        description="What `/rerank` is put after: `http://host:8000/v1` of vLLM, `http://host:8080` of TEI."
    )
    protocol: Literal["vllm", "tei"] = Field("vllm", description="`tei` for text-embeddings-inference.")
    model: str = Field(description="Name of the model, as the server knows it.")
    api_key: SecretStr | None = Field(None, description="API key, if the server asks for one.")
    logits: bool = Field(False, description="Whether its scores are logits, not within 0..1.")
    candidates: int = Field(30, ge=1, le=200, description="How many of the best hits are reranked.")
    batch: int = Field(32, ge=1, le=1000, description="Texts in one request; TEI refuses more than 32 by default.")
    max_concurrency: int = Field(8, ge=1, le=1000, description="Requests at once; more have to wait.")
    connect_timeout_s: float = Field(2, gt=0, le=60, description="How long connecting may take.")
    timeout_s: float = Field(30, gt=0, le=600, description="How long one request may take.")


RerankSettings = Annotated[
    NoRerankSettings | MaxSimSettings | CrossEncoderSettings | RerankServerSettings, Field(discriminator="kind")
]
