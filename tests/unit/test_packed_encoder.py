"""Encoders for the CPU against those of transformers, with random weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from indexes import packed_encoder
from indexes.packed_encoder import PackedEncoder, pack
from indexes.torch_passes import Precision

SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 80,
}
FAMILY = [
    (BertConfig, BertModel),
    (RobertaConfig, RobertaModel),
    (XLMRobertaConfig, XLMRobertaModel),
    (MPNetConfig, MPNetModel),
]
LENGTHS = [(7,), (1,), (16, 16), (40, 3, 17), (5, 1, 1, 60)]


def made(config: Any, model: Any, **more: Any) -> PreTrainedModel:
    torch.manual_seed(11)
    one: PreTrainedModel = model(config(**SIZES, **more)).eval()
    for weights in one.parameters():  # as they come they are so small that hardly anything depends on a token
        weights.data.normal_(0, 0.2)
    return one


def read(model: PreTrainedModel, lengths: tuple[int, ...]) -> torch.Tensor:
    """The vectors of the tokens of texts with so many, (tokens, width)."""
    ids = torch.randint(5, 60, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(3))
    held = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    with torch.inference_mode():
        rows = model(input_ids=ids, attention_mask=held.long()).last_hidden_state
    return rows[held]


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize(("config", "model"), FAMILY, ids=lambda of: of.__name__)
def test_tokens_have_the_vectors_that_transformers_gives_them(
    config: Any, model: Any, lengths: tuple[int, ...]
) -> None:
    plain, packed = made(config, model), made(config, model)
    pack(packed, "float32")
    assert isinstance(packed.encoder, PackedEncoder)
    torch.testing.assert_close(read(packed, lengths), read(plain, lengths), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(("config", "model"), FAMILY, ids=lambda of: of.__name__)
def test_what_the_cpu_multiplies_faster_is_near(config: Any, model: Any) -> None:
    plain, packed = made(config, model), made(config, model)
    pack(packed, "auto")
    cosines = torch.cosine_similarity(read(packed, (40, 3, 17)), read(plain, (40, 3, 17)))
    assert cosines.min() > 0.999


OTHERS = [{"hidden_act": "relu"}, {"is_decoder": True}, {"output_hidden_states": True}, {"output_attentions": True}]


@pytest.mark.parametrize("more", OTHERS, ids=str)
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_another_kind_of_encoder_is_left_as_it_is(more: dict[str, Any], precision: Precision) -> None:
    plain, packed = made(BertConfig, BertModel, **more), made(BertConfig, BertModel, **more)
    pack(packed, precision)
    assert not isinstance(packed.encoder, PackedEncoder)
    assert torch.cosine_similarity(read(packed, (9, 4)), read(plain, (9, 4))).min() > 0.999


def test_nothing_changes_without_onednn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("indexes.packed_encoder.available", lambda: False)
    model = made(BertConfig, BertModel)
    pack(model, "auto")
    model.save_pretrained(tmp_path)  # which a packed model cannot do
    assert not isinstance(model.encoder, PackedEncoder)


def test_this_torch_compiles_the_layers() -> None:
    assert packed_encoder._compiled() is not packed_encoder._read


def test_layers_that_are_not_compiled_make_the_same_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(BertConfig, BertModel)
    pack(model, "float32")
    compiled = read(model, (40, 3, 17))
    monkeypatch.setattr(packed_encoder, "_compiled", lambda: packed_encoder._read)
    torch.testing.assert_close(read(model, (40, 3, 17)), compiled)
