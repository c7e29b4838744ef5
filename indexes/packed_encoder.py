"""The layers of BERT and its family (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) for inference on the CPU.

What transformers does is the same, for every use of such a model, in 40 steps a layer, most of which take turns with
the other threads of the process. Here a layer has 15: queries, keys and values are one product, an activation is part
of the product before it, and padding is left out of all but attention. Measured beside `pack_linears` alone, MiniLM:
0.8 of the time for a query, 0.6 for eight together; with products in bfloat16 0.5 and 0.4 (`bench/embedding.py`).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions
from transformers.models.bert.modeling_bert import BertEncoder
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder
from transformers.models.roberta.modeling_roberta import RobertaEncoder
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaEncoder

from indexes.packed_linear import PackedLinear, available, pack_linears, product_dtype
from indexes.torch_passes import Precision

_FAMILY = (BertEncoder, RobertaEncoder, XLMRobertaEncoder, MPNetEncoder)
_ROW_STEP = 16  # oneDNN makes code for each number of rows: fewer numbers, and whole blocks of them


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
        self._layers = [_Layer(layer, encoder.config.num_attention_heads, dtype) for layer in encoder.layer]
        encoder.layer = nn.ModuleList()  # whose weights are not needed any more
        self._positions = encoder if isinstance(encoder, MPNetEncoder) else None
        self._dtype = dtype

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: object
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        """`hidden_states` (texts, tokens, width) to the same; `attention_mask` as transformers makes it."""
        grid = _Grid(hidden_states, attention_mask)
        mask = grid.held if self._positions is None else self._biased(grid, hidden_states)
        rows = grid.rows_of(hidden_states.flatten(0, 1))
        for layer in self._layers:
            rows = layer.read(rows, grid, mask)
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=grid.spread(rows))

    def _biased(self, grid: "_Grid", hidden: Tensor) -> Tensor:
        """What MPNet adds to scores by the distance of tokens; nothing is seen where there is no token."""
        assert self._positions is not None
        bias: Tensor = self._positions.compute_position_bias(hidden)  # type: ignore[no-untyped-call]
        return (bias if grid.held is None else bias.masked_fill(~grid.held, -torch.inf)).to(self._dtype)


class _Grid:
    """Which places of (texts, tokens) hold a token, and in which row of a matrix without padding it is."""

    def __init__(self, hidden: Tensor, mask: Tensor | None) -> None:
        """`mask` (texts, 1, tokens, tokens): of truth values, or of what is added to scores; None where all hold."""
        self._texts, self._length = hidden.shape[:2]
        self._count = self._texts * self._length
        self.held: Tensor | None = None  # (texts, 1, 1, tokens)
        self._tokens = self._rows = None
        if mask is not None:
            held = mask[:, 0, 0] if mask.dtype == torch.bool else mask[:, 0, 0] == 0
            self.held = held[:, None, None]
            tokens = held.flatten().nonzero().flatten()
            self._rows = torch.zeros(self._count, dtype=torch.long).scatter_(0, tokens, torch.arange(len(tokens)))
            self._count = len(tokens)
            self._tokens = pad(tokens, (0, -self._count % _ROW_STEP))

    def rows_of(self, places: Tensor) -> Tensor:
        """(texts * tokens, width) to (rows, width)."""
        if self._tokens is not None:
            return places.index_select(0, self._tokens)
        return pad(places, (0, 0, 0, -self._count % _ROW_STEP))

    def spread(self, rows: Tensor) -> Tensor:
        """(rows, width) to (texts, tokens, width); what is in places without a token means nothing."""
        places = rows[: self._count] if self._rows is None else rows.index_select(0, self._rows)
        return places.view(self._texts, self._length, -1)


class _Layer:
    def __init__(self, layer: Any, heads: int, dtype: torch.dtype) -> None:  # noqa: ANN401 - of one of _FAMILY
        attention = layer.attention
        if hasattr(attention, "attn"):  # MPNet
            inner = attention.attn
            inputs, out, norm = (inner.q, inner.k, inner.v), inner.o, attention.LayerNorm
        else:
            inner, after = attention.self, attention.output
            inputs, out, norm = (inner.query, inner.key, inner.value), after.dense, after.LayerNorm
        weight, bias = (torch.cat([getattr(linear, part) for linear in inputs]) for part in ("weight", "bias"))
        up, down = layer.intermediate.dense, layer.output.dense
        self._heads = heads
        self._inputs = PackedLinear(weight, bias, dtype)
        self._out = PackedLinear(out.weight, out.bias, dtype)
        self._norm: nn.LayerNorm = norm
        self._up = PackedLinear(up.weight, up.bias, dtype, "gelu")
        self._down = PackedLinear(down.weight, down.bias, dtype)
        self._last_norm: nn.LayerNorm = layer.output.LayerNorm

    def read(self, rows: Tensor, grid: _Grid, mask: Tensor | None) -> Tensor:
        """(rows, width) to the same. `mask` is added to scores of attention, or says where they count."""
        rows = self._norm(self._out(self._attend(rows, grid, mask)) + rows)
        last: Tensor = self._last_norm(self._down(self._up(rows)) + rows)
        return last

    def _attend(self, rows: Tensor, grid: _Grid, mask: Tensor | None) -> Tensor:
        made = grid.spread(self._inputs(rows))
        query, key, value = made.view(*made.shape[:2], 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return grid.rows_of(seen.transpose(1, 2).flatten(2).flatten(0, 1))


def _packable(module: Any) -> bool:  # noqa: ANN401 - whatever a model has
    if type(module) not in _FAMILY:
        return False
    return module.config.hidden_act == "gelu" and not getattr(module.config, "is_decoder", False)
