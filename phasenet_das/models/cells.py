"""Convolutions over cells of channels and samples, as products of matrices in training on a CPU.

oneDNN 3.12 computes the wrong gradient of a transposed convolution to 16 features in cells of 2 x 4, in
bfloat16 on a CPU with AMX. A product of matrices is right, and as fast.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_WORD = 4  # numbers in bfloat16 that are copied as one integer


class CellConv2d(nn.Conv2d):
    """A strided convolution; in training, one of step 1 over cells whose channels and samples are features.

    oneDNN takes six times as long for the gradient of a strided kernel over one map.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `x` (batch, feature, channel, time)."""
        high, wide = self.stride
        if x.requires_grad or wide != _WORD or not _trains_in_bfloat16(x):
            return super().forward(x)
        pads = int(self.padding[0]), int(self.padding[1])
        reach = [-(-pad // step) for pad, step in zip(pads, self.stride, strict=True)]
        rows, columns = (
            cells * step - pad for cells, step, pad in zip(reach, self.stride, pads, strict=True)
        )
        weight = functional.pad(self.weight, (columns, columns, rows, rows))
        weight = weight.unflatten(3, (-1, wide)).unflatten(2, (-1, high)).permute(0, 1, 3, 5, 2, 4)
        words = x.to(torch.bfloat16, memory_format=torch.contiguous_format).view(torch.int64)
        cells = (
            words.unflatten(2, (-1, high)).permute(0, 2, 4, 1, 3).flatten(3).contiguous().view(torch.bfloat16)
        )
        return functional.conv2d(cells.permute(0, 3, 1, 2), weight.flatten(1, 3), self.bias, padding=reach)


class CellConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution whose kernel is its stride: each cell gives the values of its own places."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Spread `x` (batch, feature, channel, time)."""
        if not _trains_in_bfloat16(x):
            return super().forward(x, output_size)
        high, wide = self.stride
        few = wide == _WORD and self.out_channels < _WORD  # such maps are faster one by one
        order = (1, 2, 3, 0) if few else (2, 3, 1, 0)
        weight = self.weight.permute(order).reshape(-1, self.in_channels, 1, 1)
        bias = None
        if self.bias is not None:
            bias = self.bias.repeat_interleave(high * wide) if few else self.bias.repeat(high * wide)
        y = functional.conv2d(x, weight, bias).permute(0, 2, 3, 1).contiguous()
        if few:
            planes: Tensor = _Planes.apply(y, high)  # type: ignore[no-untyped-call]
            return planes
        y = y.unflatten(3, (high, -1)).transpose(2, 3)
        return y.flatten(1, 2).unflatten(3, (wide, -1)).flatten(2, 3).permute(0, 3, 1, 2)


class _Planes(torch.autograd.Function):
    """Maps (batch, feature, channel, time) of cells (batch, row, column, places of each feature)."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, high: int) -> Tensor:  # noqa: ANN401 - torch's, without a public type
        ctx.high = high
        words = y.view(torch.int64).unflatten(3, (-1, high)).permute(0, 3, 1, 4, 2)
        return words.flatten(2, 3).contiguous().view(torch.bfloat16)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        words = upstream.contiguous().view(torch.int64).unflatten(2, (-1, ctx.high))
        places = [words[:, feature, :, row] for feature in range(words.shape[1]) for row in range(ctx.high)]
        return torch.stack(places, dim=3).view(torch.bfloat16), None


def _trains_in_bfloat16(x: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )
