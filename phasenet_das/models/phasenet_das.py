"""PhaseNet-DAS: a lean 2-D U-Net over (channel, time) whose tiles equal the whole.

Nothing inside looks at the whole tile: batch norm uses running statistics, and every output depends
on a bounded neighbourhood, the declared halo. The stem goes at once to an eighth of the positions, where
convolutions are cheap; the last layer gives each of its cells the scores of its own channels and samples.
Design: U-Net (Ronneberger et al., 2015, doi:10.1007/978-3-319-24574-4_28) with summed skip connections and
residual blocks; its task is that of PhaseNet-DAS (Zhu et al., 2023, doi:10.1038/s41467-023-43355-3).
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from phasenet_das.errors import ConfigError, DataFormatError
from phasenet_das.models.cells import CellConv2d, CellConvTranspose2d
from phasenet_das.models.precision import InFloat32

Pair = tuple[int, int]

_STEM_OVERLAP = (1, 4)
_CLASSES = 3


class PhaseNetDAS(nn.Module):
    """A 2-D U-Net that gives every channel and sample the scores of noise, P and S.

    Parameters
    ----------
    widths : sequence of int
        Features of each level, finest first.
    strides : sequence of (int, int)
        Step in channel and time by which each level is coarser than the one before (the first: than
        the input); even numbers, or 1.
    kernels : sequence of (int, int)
        Kernel of the blocks of each level, channel and time; odd numbers.
    depths : sequence of int
        Residual blocks of the encoder at each level; the decoder has one at each but the coarsest.
    separable : bool
        Blocks of a depthwise and a pointwise convolution instead of one dense convolution.
    compress : bool
        Take the inverse hyperbolic sine of the amplitudes first: as they are up to the noise, logarithmic
        beyond, so that strong events do not drown the statistics of the batch norms.

    Attributes
    ----------
    stride : tuple of int
        Total step in channel and time: inputs are multiples of it.
    halo : tuple of int
        Channels and samples on each side, multiples of `stride`, on which outputs of a core whose
        bounds are multiples of `stride` depend.
    model_args : dict
        The constructor's arguments, for ``config.json``.

    Raises
    ------
    ConfigError
        The arguments differ in length, a stride is odd, or a kernel is even.
    """

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 64, 128),
        strides: Sequence[Sequence[int]] = ((2, 4), (2, 4), (2, 4), (2, 4)),
        kernels: Sequence[Sequence[int]] = ((3, 3), (3, 5), (3, 5), (3, 5)),
        depths: Sequence[int] = (1, 2, 2, 2),
        separable: bool = False,
        compress: bool = True,
    ) -> None:
        super().__init__()
        step, size = [_pair(stride) for stride in strides], [_pair(kernel) for kernel in kernels]
        _check(widths, step, size, depths)
        self.model_args: dict[str, Any] = {
            "widths": list(widths),
            "strides": [list(stride) for stride in step],
            "kernels": [list(kernel) for kernel in size],
            "depths": list(depths),
            "separable": separable,
            "compress": compress,
        }
        self.compresses = compress
        self.cell = _cumulative(step)
        self.stride = self.cell[-1]
        self.halo = _halo(step, size, depths)
        self.margins = _decoder_margins(self.cell, size)
        inputs = [1, *widths[:-1]]
        self.down = nn.ModuleList(
            _ConvNorm(inputs[i], widths[i], step[i], _overlap(step[i], i)) for i in range(len(widths))
        )
        self.encoder = nn.ModuleList(
            nn.Sequential(*(_Block(width, kernel, separable=separable) for _ in range(depth)))
            for width, kernel, depth in zip(widths, size, depths, strict=True)
        )
        self.up = nn.ModuleList(
            _UpNorm(coarse, fine, step[i + 1]) for i, (fine, coarse) in enumerate(itertools.pairwise(widths))
        )
        self.decoder = nn.ModuleList(
            _Block(width, kernel, separable=separable)
            for width, kernel in zip(widths[:-1], size[:-1], strict=True)
        )
        self.head = CellConvTranspose2d(widths[0], _CLASSES, step[0], step[0])

    def forward(self, data: Tensor) -> Tensor:
        """Compute the logits of noise, P and S.

        Parameters
        ----------
        data : torch.Tensor, shape (batch, 1, channel, time), float32
            Normalised amplitudes; both lengths are multiples of `stride`.

        Returns
        -------
        torch.Tensor, shape (batch, 3, channel, time), float32
            Softmax over the second axis gives probabilities.

        Raises
        ------
        DataFormatError
            A length is no multiple of `stride`.
        """
        shape = (data.shape[-2], data.shape[-1])
        if shape[0] % self.stride[0] or shape[1] % self.stride[1]:
            raise DataFormatError(
                f"a tile of {shape[0]} channels x {shape[1]} samples: expected multiples of {self.stride}."
            )
        skips, x = [], compress(data) if self.compresses else data
        for down, blocks in zip(self.down, self.encoder, strict=True):
            x = blocks(down(x))
            skips.append(x)
        x = skips.pop()
        for up, block in zip(reversed(self.up), reversed(self.decoder), strict=True):
            x = block(_add(up(x), skips.pop()))
        logits: Tensor = self.head(x)
        return logits

    def fused(self) -> PhaseNetDAS:
        """Copy the network for inference: batch norms folded, weights laid out channels last.

        Returns
        -------
        PhaseNetDAS
            In evaluation mode; the same function to rounding.
        """
        model = copy.deepcopy(self).eval()
        for module in model.modules():
            if isinstance(module, _ConvNorm | _UpNorm):
                module.fold()
        model.head = InFloat32(model.head)  # type: ignore[assignment]
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class _ConvNorm(nn.Module):
    """Strided convolution that overlaps its neighbours evenly, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: Pair, overlap: Pair) -> None:
        super().__init__()
        kernel = (stride[0] + 2 * overlap[0], stride[1] + 2 * overlap[1])
        self.conv: nn.Conv2d | nn.ConvTranspose2d = (CellConv2d if inputs == 1 else nn.Conv2d)(
            inputs, outputs, kernel, stride, overlap, bias=False
        )
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu_(self.norm(self.conv(x)))

    def fold(self) -> None:
        transposed = isinstance(self.conv, nn.ConvTranspose2d)
        self.conv = fuse_conv_bn_eval(self.conv, self.norm, transpose=transposed)  # type: ignore[arg-type]
        self.norm = nn.Identity()


class _UpNorm(_ConvNorm):
    """Transposed convolution without overlap, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: Pair) -> None:
        super().__init__(inputs, outputs, (1, 1), (0, 0))
        self.conv = CellConvTranspose2d(inputs, outputs, stride, stride, bias=False)


class _Block(nn.Module):
    """Residual block: x + ReLU(batch norm(convolution(x)))."""

    def __init__(self, width: int, kernel: Pair, *, separable: bool) -> None:
        super().__init__()
        reach = (kernel[0] // 2, kernel[1] // 2)
        self.depthwise = nn.Conv2d(width, width, kernel, padding=reach, groups=width) if separable else None
        self.dense = _ConvNorm(width, width, (1, 1), (0, 0) if separable else reach)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dense(x if self.depthwise is None else self.depthwise(x))
        return _add(y, x)


def compress(data: Tensor) -> Tensor:
    """Give the inverse hyperbolic sine; torch's own takes a tenth of a step of training on a CPU."""
    if data.requires_grad:
        return torch.asinh(data)
    return data.square().add_(1).sqrt_().add_(data.abs()).log_().copysign_(data)


def _add(new: Tensor, old: Tensor) -> Tensor:
    """Sum two maps, into the new one where no gradient needs it: fresh memory costs more than the sum."""
    return new + old if torch.is_grad_enabled() else new.add_(old)


def _pair(values: Sequence[int]) -> Pair:
    if len(values) != 2:
        raise ConfigError(f"found {list(values)}, expected two numbers: channel and time.")
    return int(values[0]), int(values[1])


def _check(widths: Sequence[int], strides: list[Pair], kernels: list[Pair], depths: Sequence[int]) -> None:
    lengths = {len(widths), len(strides), len(kernels), len(depths)}
    if len(lengths) != 1 or not widths:
        raise ConfigError("PhaseNetDAS: widths, strides, kernels and depths need one value for each level.")
    if any(value != 1 and value % 2 for stride in strides for value in stride):
        raise ConfigError(f"PhaseNetDAS: strides {strides}. Expected even numbers, or 1.")
    if any(value % 2 == 0 for kernel in kernels for value in kernel):
        raise ConfigError(f"PhaseNetDAS: kernels {kernels}. Expected odd numbers.")


def _overlap(stride: Pair, level: int) -> Pair:
    """Reach of a strided convolution beyond its cell, on each side."""
    return _STEM_OVERLAP if level == 0 else (stride[0] // 2, stride[1] // 2)


def _cumulative(strides: list[Pair]) -> list[Pair]:
    """Channels and samples of the input in one cell of each level."""
    return list(itertools.accumulate(strides, lambda cell, step: (cell[0] * step[0], cell[1] * step[1])))


def _halo(strides: list[Pair], kernels: list[Pair], depths: Sequence[int]) -> Pair:
    """Sum the reach of the encoder and the margin of the decoder, rounded up to the total stride."""
    cells = _cumulative(strides)
    reach = list(_decoder_margins(cells, kernels)[-1]) if len(cells) > 1 else [0, 0]
    finer = (1, 1)
    for level, (cell, kernel, depth) in enumerate(zip(cells, kernels, depths, strict=True)):
        overlap = _overlap(strides[level], level)
        for axis in range(2):
            reach[axis] += overlap[axis] * finer[axis] + depth * (kernel[axis] // 2) * cell[axis]
        finer = cell
    return _round_up(reach[0], finer[0]), _round_up(reach[1], finer[1])


def _decoder_margins(cells: list[Pair], kernels: list[Pair]) -> list[Pair]:
    """Margin around the core that the decoder must see at each level, whole cells of the next coarser one."""
    margins: list[Pair] = []
    inner = (0, 0)
    for level, kernel in enumerate(kernels[:-1]):
        grown = [
            _round_up(inner[i] + (kernel[i] // 2) * cells[level][i], cells[level + 1][i]) for i in range(2)
        ]
        inner = (grown[0], grown[1])
        margins.append(inner)
    return margins


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
