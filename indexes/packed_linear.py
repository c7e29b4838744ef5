"""Linear layers for the CPU with weights laid out once for oneDNN.

torch multiplies float32 matrices by MKL, which takes its AVX2 path on CPUs that are not Intel's even where they have
AVX-512; oneDNN, which torch carries as well, does not. Measured on an AMD EPYC of 2 cores, MiniLM: 1.8 to 2 times the
tokens a second, results equal to 2e-7. Where the CPU multiplies bfloat16, that takes half the time again.
"""

import torch
from torch import Tensor, nn

from indexes.torch_passes import Precision


def available() -> bool:
    """Whether this build of torch carries oneDNN."""
    return hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product_dtype(precision: Precision) -> torch.dtype:
    """In what matrices are multiplied. auto: bfloat16 where the CPU has instructions for it, summed in float32."""
    # Without them it is emulated, five times slower than float32.
    able = torch.cpu.get_capabilities()
    fast = able.get("avx512_bf16") or able.get("amx_bf16")
    return torch.bfloat16 if precision == "auto" and fast else torch.float32


def packed(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight of a linear layer, (out, in), in a blocked layout that is opaque: it cannot be saved nor moved."""
    laid_out: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach().to(dtype))
    return laid_out


class PackedLinear(nn.Module):
    """An `nn.Linear` of float32 for inference, by oneDNN."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype
        self.bias = None if linear.bias is None else linear.bias.detach().to(dtype)
        self.weight = packed(linear.weight, dtype)

    def forward(self, rows: Tensor) -> Tensor:
        """As `nn.Linear.forward`: (..., in) to (..., out)."""
        given = rows.to(self._dtype)
        made: Tensor = torch.ops.mkldnn._linear_pointwise(given, self.weight, self.bias, "none", [], "")
        return made.float()


def pack_linears(model: nn.Module, dtype: torch.dtype) -> None:
    """Replaces every float32 `nn.Linear` below `model`."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child.weight.dtype == torch.float32:
                setattr(parent, name, PackedLinear(child, dtype))
