"""Linear layers for the CPU with weights laid out once for oneDNN.

torch multiplies float32 matrices by MKL, which takes its AVX2 path on CPUs that are not Intel's even where they have
AVX-512; oneDNN, which torch carries as well, does not. Measured on an AMD EPYC of 2 cores, MiniLM: 1.8 to 2 times the
tokens a second, 0.6 times the time of one query, results equal to 2e-7 (`bench/embedding.py`). Both stay float32.
"""

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """An `nn.Linear` for inference, by oneDNN."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.bias = linear.bias
        # Not a parameter: the blocked layout is opaque, and must neither be saved nor moved to another device.
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())

    def forward(self, rows: Tensor) -> Tensor:
        """As `nn.Linear.forward`: (..., in) to (..., out)."""
        packed: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")
        return packed


def pack_linears(model: nn.Module) -> None:
    """Replaces every float32 `nn.Linear` below `model`. Does nothing where this build of torch lacks oneDNN."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return
    with torch.inference_mode():
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is nn.Linear and child.weight.dtype == torch.float32:
                    setattr(parent, name, PackedLinear(child))
