"""Settings of generation: which language models there are, and what an answer may cost."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from generation.model import OrdersPolicy, SupportPolicy
from indexes.rerankers.settings import NoRerankSettings, RerankSettings
from indexes.settings import Section

CitationMode = Literal["json", "markers"]
Url = Annotated[str, Field(pattern=r"^https?://")]


class LlmSettings(Section):
    """One model on OpenAI-compatible chat servers (vLLM), used as one answerer."""

    name: str = Field(pattern=r"^[\w.:/-]+$", description="What callers put in `model`. Not `extractive`, and no `@`.")
    base_url: Url | Annotated[tuple[Url, ...], Field(min_length=1)] = Field(
        description="Up to and with `/v1`, as the OpenAI client takes it; a list where several servers have the model: "
        "the least busy healthy one is asked, and another where it does not answer."
    )
    model: str = Field(description="The name under which the server serves the model.")
    profile: str = Field(
        "", description="A model of the same family, where `model` does not tell (`generation/profiles.toml`)."
    )
    citations: CitationMode | None = Field(
        None,
        description="`json`: the server is made to cite only passages that are there (structured output); `markers`: "
        "the model writes `[1]`. Empty: by the model's profile, mostly `json`.",
    )
    api_key: SecretStr | None = Field(None, description="Sent as a bearer token. Empty: none is sent.")
    context_tokens: int | None = Field(
        None,
        ge=512,
        description="The server's context: passages are cut so that prompt and answer fit in it. Empty: by the "
        "model's profile, 8192 for an unknown one.",
    )
    tokenizer: Path | None = Field(
        None, description="Folder with the model's `tokenizer.json`, to count tokens with. Empty: they are estimated."
    )
    max_output_tokens: int = Field(1024, ge=16, description="Longest answer, where the caller does not ask for less.")
    temperature: float = Field(0.0, ge=0, le=2, description="0 repeats itself: the same documents, the same answer.")
    connect_timeout_s: float = Field(5.0, gt=0, description="A server that takes no connection in this time is down.")
    first_token_timeout_s: float = Field(60.0, gt=0, description="Longest wait for the first token of a long prompt.")
    read_timeout_s: float = Field(20.0, gt=0, description="Longest silence between tokens.")
    rest_s: float = Field(10.0, ge=0, description="How long a server that failed is left out, if there is another.")
    tokens_per_day: int | None = Field(
        None,
        ge=0,
        description="Tokens that it may read and write in a day (UTC), for all who ask. Beyond, documents are quoted, "
        "and the answer says why (`fallback`). Empty: any number.",
    )
    max_concurrency: int = Field(
        64,
        ge=1,
        description="Answers at once on each server; more are refused with 429 instead of queueing inside it.",
    )

    @property
    def base_urls(self) -> tuple[str, ...]:
        """All servers."""
        return (self.base_url,) if isinstance(self.base_url, str) else self.base_url


class GenerationSettings(Section):
    """How answers are made."""

    default_answerer: str = Field("extractive", description="Who answers where the caller names no model.")
    llms: tuple[LlmSettings, ...] = Field((), description="The language models. None is needed.")
    max_passages: int = Field(8, ge=1, le=50, description="Best passages that an answer is made from.")
    max_sentences: int = Field(
        4, ge=1, le=20, description="Sentences in an extractive answer; sentences that explain one of them come on top."
    )
    embedded_sentences: int = Field(
        24, ge=0, le=256, description="Sentences compared with the question by embedding: about 5 ms each on a CPU."
    )
    abstain_below: float = Field(
        0.4, ge=0, le=1, description="Confidence under which the extractive answerer says that it found no answer."
    )
    answer_precision: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="In place of `abstain_below` and `llm_abstain_below`: the share of answers that shall be to "
        "questions which the documents answer, if they answer half of all. A store's metadata "
        "`citewell.answer_precision` goes first.",
    )
    llm_abstain_below: float = Field(
        0.1, ge=0, le=1, description="Confidence in the passages under which a language model is not even asked."
    )
    unsupported: SupportPolicy = Field(
        SupportPolicy.FLAG,
        description="What becomes of sentences of a language model that their citations do not bear out: `flag` marks "
        "them, `drop` leaves them out, `regenerate` asks once more. The last two send nothing before all is checked.",
    )
    judge: RerankSettings = Field(
        NoRerankSettings(),
        description="A cross-encoder that says whether a text supports a claim, set as a reranker is; one for natural "
        "language inference may be. `none`: words and embeddings decide.",
    )
    orders: OrdersPolicy = Field(
        OrdersPolicy.FLAG,
        description="Passages that give orders to a model: `flag` names them in the answer, and quotes are not taken "
        "from them; `exclude` leaves them out; `allow` does not look. A store's metadata `citewell.orders` goes first.",
    )
    fallback_to_extractive: bool = Field(
        True, description="When a language model does not answer, quote the documents instead, and say so."
    )
