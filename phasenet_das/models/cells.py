"""Convolutions over cells of channels and samples, as products of matrices in training on a CPU.

oneDNN 3.12 computes the wrong gradient of a transposed convolution to 16 features in cells of 2 x 4, in
bfloat16 on a CPU with AMX. A product of matrices is right, and as fast.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class CellConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution whose kernel is its stride: each cell gives the values of its own places."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Spread `x` (batch, feature, row, time)."""
        if not _trains_in_bfloat16(x):
            return super().forward(x, output_size)
        high, wide = self.stride
        weight = self.weight.permute(2, 3, 1, 0).flatten(0, 2)
        bias = None if self.bias is None else self.bias.repeat(high * wide)
        y = functional.linear(x.permute(0, 2, 3, 1), weight, bias).unflatten(3, (high, -1)).transpose(2, 3)
        return y.flatten(1, 2).unflatten(3, (wide, -1)).flatten(2, 3).permute(0, 3, 1, 2)


def _trains_in_bfloat16(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )
