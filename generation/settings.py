"""Settings of generation: which language models there are, and what an answer may cost."""

from pathlib import Path

from pydantic import Field, SecretStr

from generation.model import SupportPolicy
from indexes.rerankers.settings import NoRerankSettings, RerankSettings
from indexes.settings import Section


class LlmSettings(Section):
    """One OpenAI-compatible chat server (vLLM), used as one answerer."""

    name: str = Field(pattern=r"^[\w.:/-]+$", description="What callers put in `model`. Not `extractive`, and no `@`.")
    base_url: str = Field(pattern=r"^https?://", description="Up to and with `/v1`, as the OpenAI client takes it.")
    model: str = Field(description="The name under which the server serves the model.")
    api_key: SecretStr | None = Field(None, description="Sent as a bearer token. Empty: none is sent.")
    context_tokens: int = Field(
        8192, ge=512, description="The model's context: passages are cut so that prompt and answer fit in it."
    )
    tokenizer: Path | None = Field(
        None, description="Folder with the model's `tokenizer.json`, to count tokens with. Empty: they are estimated."
    )
    max_output_tokens: int = Field(1024, ge=16, description="Longest answer, where the caller does not ask for less.")
    temperature: float = Field(0.0, ge=0, le=2, description="0 repeats itself: the same documents, the same answer.")
    connect_timeout_s: float = Field(5.0, gt=0, description="A server that takes no connection in this time is down.")
    read_timeout_s: float = Field(
        60.0, gt=0, description="Longest silence, the wait for the first token of a long prompt included."
    )
    max_concurrency: int = Field(
        64, ge=1, description="Answers at once; more are refused with 429 instead of queueing inside the server."
    )


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
        description="In place of `abstain_below`: the share of extractive answers that shall be to questions which the "
        "documents answer, if they answer half of all. A store sets its own by metadata `citewell.answer_precision`.",
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
        description="A cross-encoder that says whether a text supports a claim, set as a reranker is. `none`: words "
        "and embeddings decide.",
    )
    fallback_to_extractive: bool = Field(
        True, description="When a language model does not answer, quote the documents instead, and say so."
    )
