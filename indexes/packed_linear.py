"""Linear layers for the CPU with weights laid out once for oneDNN.

torch multiplies float32 matrices by MKL, which takes its AVX2 path on CPUs that are not Intel's even where they have
AVX-512; oneDNN, which torch carries as well, does not. Measured on an AMD EPYC of 2 cores, MiniLM: 1.8 to 2 times the
tokens a second, results equal to 2e-7. Where the CPU multiplies bfloat16, that takes half the time again
(`bench/embedding.py`).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from indexes.torch_passes import Precision

Activation = Literal["none", "gelu"]


def available() -> bool:
    """Whether this build of torch carries oneDNN."""
    return hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product_dtype(precision: Precision) -> torch.dtype:
    """In what matrices are multiplied. auto: bfloat16 where the CPU has instructions for it, summed in float32."""
    # Without them it is emulated, five times slower than float32.
    able = torch.cpu.get_capabilities()
    fast = able.get("avx512_bf16") or able.get("amx_bf16")
    return torch.bfloat16 if precision == "auto" and fast else torch.float32


class PackedLinear(nn.Module):
    """A linear layer for inference, by oneDNN, with the activation that follows it."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, activation: Activation = "none"
    ) -> None:
        """`weight` is (out, in), `bias` (out,)."""
        super().__init__()
        self.dtype = dtype
        self.activation = activation
        self.bias = None if bias is None else bias.detach().to(dtype)
        # Not a parameter: the blocked layout is opaque, and must neither be saved nor moved to another device.
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().to(dtype))

    def forward(self, rows: Tensor) -> Tensor:
        """(..., in) of any float type to (..., out) of `dtype`."""
        packed: Tensor = torch.ops.mkldnn._linear_pointwise(
            rows.to(self.dtype), self.weight, self.bias, self.activation, [], "none"
        )
        return packed


class _Float32Linear(PackedLinear):
    """In the place of an `nn.Linear`, whose results have the type of its weights."""

    def forward(self, rows: Tensor) -> Tensor:
        return super().forward(rows).float()


def pack_linears(model: nn.Module, dtype: torch.dtype) -> None:
    """Replaces every float32 `nn.Linear` below `model`."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child.weight.dtype == torch.float32:
                setattr(parent, name, _Float32Linear(child.weight, child.bias, dtype))
