"""The layers of BERT and its family (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) for inference on the CPU.

What transformers does is the same, for every use of such a model, in 40 steps a layer. Here a layer has 15: queries,
keys and values are one product, an activation is part of the product before it, and padding is left out of all but
attention. All layers are one call that holds no GIL, where each step would wait for it and the other threads of the
process for each step. What it gains is in `retrieval/README.md`.
"""

import logging
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad, scaled_dot_product_attention
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions
from transformers.models.bert.modeling_bert import BertEncoder
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder
from transformers.models.roberta.modeling_roberta import RobertaEncoder
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaEncoder

from indexes.packed_linear import available, pack_linears, packed, product_dtype
from indexes.torch_passes import Precision

log = logging.getLogger(__name__)

_FAMILY = (BertEncoder, RobertaEncoder, XLMRobertaEncoder, MPNetEncoder)


def pack(model: nn.Module, precision: Precision) -> None:
    """Replaces the encoders and linear layers below `model`. Does nothing where this build of torch lacks oneDNN."""
    if not available():
        return
    dtype = product_dtype(precision)
    with torch.inference_mode():
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if _packable(child):
                    setattr(parent, name, PackedEncoder(child, dtype))
        pack_linears(model, dtype)


class PackedEncoder(nn.Module):
    """In the place of an encoder of transformers."""

    def __init__(self, encoder: Any, dtype: torch.dtype) -> None:  # noqa: ANN401 - one of _FAMILY
        super().__init__()
        self._layers = [_layer(layer, dtype) for layer in encoder.layer]
        encoder.layer = nn.ModuleList()  # whose weights are not needed any more
        self._positions = encoder if isinstance(encoder, MPNetEncoder) else None
        self._heads: int = encoder.config.num_attention_heads
        self._eps: float = encoder.config.layer_norm_eps
        self._dtype = dtype

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: object
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        """`hidden_states` (texts, tokens, width) to the same; `attention_mask` as transformers makes it."""
        held = None
        if attention_mask is not None:  # (texts, 1, tokens, tokens) of truth values, or of what is added to scores
            seen = attention_mask[:, 0, 0]
            held = seen if seen.dtype == torch.bool else seen == 0
        mask = None if held is None else held[:, None, None]
        if self._positions is not None:
            mask = self._biased(hidden_states, mask)
        read = _compiled()(hidden_states, held, mask, self._layers, self._heads, self._eps, self._dtype)
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=read)

    def _biased(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """What MPNet adds to scores by the distance of tokens; nothing is seen where there is no token."""
        assert self._positions is not None
        bias: Tensor = self._positions.compute_position_bias(hidden)  # type: ignore[no-untyped-call]
        return (bias if mask is None else bias.masked_fill(~mask, -torch.inf)).to(self._dtype)


class _Layer(NamedTuple):
    """What one layer multiplies with and adds; weights of products are `packed`."""

    inputs: Tensor
    inputs_bias: Tensor
    out: Tensor
    out_bias: Tensor
    norm: Tensor
    norm_bias: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor
    last_norm: Tensor
    last_norm_bias: Tensor


def _layer(layer: Any, dtype: torch.dtype) -> _Layer:  # noqa: ANN401 - of one of _FAMILY
    attention = layer.attention
    if hasattr(attention, "attn"):  # MPNet
        inner = attention.attn
        inputs, out, norm = (inner.q, inner.k, inner.v), inner.o, attention.LayerNorm
    else:
        inner, after = attention.self, attention.output
        inputs, out, norm = (inner.query, inner.key, inner.value), after.dense, after.LayerNorm
    weight, bias = (torch.cat([getattr(linear, part) for linear in inputs]) for part in ("weight", "bias"))
    up, down, last_norm = layer.intermediate.dense, layer.output.dense, layer.output.LayerNorm
    products = [(weight, bias), (out.weight, out.bias), (up.weight, up.bias), (down.weight, down.bias)]
    packs = [(packed(weight, dtype), bias.detach().to(dtype)) for weight, bias in products]
    norms = [(one.weight.detach(), one.bias.detach()) for one in (norm, last_norm)]
    return _Layer(*packs[0], *packs[1], *norms[0], *packs[2], *packs[3], *norms[1])


def _read(
    hidden: Tensor,
    held: Tensor | None,
    mask: Tensor | None,
    layers: list[_Layer],
    heads: int,
    eps: float,
    dtype: torch.dtype,
) -> Tensor:
    """`hidden` (texts, tokens, width) to the same.

    `held` (texts, tokens) says where tokens are, None that they are everywhere; `mask` is added to scores of attention,
    or says where they count. What comes out in places without a token means nothing.
    """
    texts, length, width = hidden.shape
    numbers = torch.arange(texts * length)
    tokens = numbers if held is None else held.flatten().nonzero().flatten()  # where each row without padding was
    rows_of = torch.zeros_like(numbers).scatter_(0, tokens, numbers[: len(tokens)])  # and which row a place became
    # oneDNN makes code for each number of rows: fewer numbers, and whole blocks of them.
    tokens = pad(tokens, [0, -len(tokens) % 16])
    rows = hidden.flatten(0, 1).index_select(0, tokens)
    for layer in layers:
        inputs = torch.ops.mkldnn._linear_pointwise(rows.to(dtype), layer.inputs, layer.inputs_bias, "none", [], "none")
        places = inputs.index_select(0, rows_of).view(texts, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(places[0], places[1], places[2], attn_mask=mask)
        seen = seen.transpose(1, 2).reshape(texts * length, width).index_select(0, tokens)
        out = torch.ops.mkldnn._linear_pointwise(seen, layer.out, layer.out_bias, "none", [], "none")
        rows = layer_norm(out + rows, [width], layer.norm, layer.norm_bias, eps)
        up = torch.ops.mkldnn._linear_pointwise(rows.to(dtype), layer.up, layer.up_bias, "gelu", [], "none")
        down = torch.ops.mkldnn._linear_pointwise(up, layer.down, layer.down_bias, "none", [], "none")
        rows = layer_norm(down + rows, [width], layer.last_norm, layer.last_norm_bias, eps)
    return rows.index_select(0, rows_of).view(texts, length, width)


@cache
def _compiled() -> Callable[..., Tensor]:
    """`_read` as one call without the GIL, or as it is where this torch cannot do that any more."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # nothing that torch has instead needs no C++ compiler
            compiled: Callable[..., Tensor] = torch.jit.script(_read)
    except Exception as error:  # noqa: BLE001 - whatever a coming torch raises, the function does the same without it
        log.warning("encoders run uncompiled, which is slower beside other work: %s", error)
        return _read
    return compiled


def _packable(module: Any) -> bool:  # noqa: ANN401 - whatever a model has
    if type(module) not in _FAMILY:
        return False
    # Its layers give neither their states nor their attentions away, which some poolings read.
    unlike = ("is_decoder", "output_hidden_states", "output_attentions")
    return module.config.hidden_act == "gelu" and not any(getattr(module.config, name, False) for name in unlike)
