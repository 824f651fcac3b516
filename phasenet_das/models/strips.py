"""Run PhaseNet-DAS over strips of channels: nothing is computed twice, in little memory.

Each layer keeps the last rows of its input until the next strip comes, so that the scores equal those of one
pass over all rows. The decoder computes the core and its margin only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from phasenet_das.models.phasenet_das import Pair, PhaseNetDAS, compress

Region = tuple[Pair, Pair]
"""First channel and the one behind the last, first sample and the one behind the last."""

_CACHED = 2**18  # numbers that stay in a processor's cache, and occupy its threads
_LARGEST = 80.0  # its exponential is a float32, and probabilities beside it are 0


class StripNetwork:
    """PhaseNet-DAS as it scores recordings, in float32 or bfloat16.

    A transposed convolution without overlap is a product of matrices, which is several times as fast.
    """

    def __init__(self, model: PhaseNetDAS, device: torch.device, *, bfloat16: bool = False) -> None:
        self.model = model.fused().to(device)
        # In float32: a score near 1 lies close to it. Only differences to the first class count.
        weight, bias = _kernel(self.model.head.get_submodule("layer"))
        self._head = _Spread(weight[:, 1:] - weight[:, :1], (bias[1:] - bias[:1])[:, None, None])
        self._dtype = torch.bfloat16 if bfloat16 else torch.float32
        self.model.to(self._dtype)
        up = [_kernel(up.get_submodule("conv")) for up in self.model.up]
        self._up = [_Spread(weight.permute(0, 2, 3, 1), bias) for weight, bias in up]

    def __call__(self, strips: Iterable[Tensor], shape: Pair, core: Region) -> Iterator[Tensor]:
        """Score the core of a tile, strip by strip.

        `strips` (channel, time) float32, together all rows of the tile; `shape` is the tile's, `core` within
        it, all in multiples of the stride. Yields the probabilities of the core's next channels, (3, channel,
        time) float32.
        """
        scores: list[Tensor] = []
        first = self._layers(shape, core, scores.append)
        for strip in strips:
            with torch.inference_mode():
                for part in strip.split(max(1, _CACHED // (4 * strip.shape[1]))):
                    x = compress(part) if self.model.compresses else part
                    first.rows.push(x[None, None], dtype=self._dtype)
                first.compute()
            yield from scores
            scores.clear()
        with torch.inference_mode():
            first.end()
        yield from scores

    def _layers(self, shape: Pair, core: Region, give: Callable[[Tensor], None]) -> _Layer:
        """Connect the layers, from the last to the first."""
        model, cell, levels = self.model, self.model.cell, len(self.model.encoder)
        whole = ((0, shape[0]), (0, shape[1]))
        regions = [*(_grow(core, margin, shape) for margin in model.margins), whole]
        downs = [down.get_submodule("conv") for down in model.down]
        maps = [_Rows(_reach(down)) for down in downs]  # the inputs of each level of the encoder
        then: _Sink = _Cut(core, regions[0], cell[0], _Head(self._head, give))
        for level in range(levels - 1):
            block = _Layer.of_block(model.decoder[level], then)
            skip = _Skip(maps[level + 1], *_cells(regions[level], whole, cell[level]))
            up = _Up(self._up[level], skip, block)
            then = _Cut(regions[level], regions[level + 1], cell[level + 1], up)
        for level in reversed(range(levels)):
            for part in reversed(list(model.encoder[level].children())):
                then = _Layer.of_block(part, then)
            then = stem = _Layer([downs[level]], then, rows=maps[level])
        return stem


class _Sink(Protocol):
    """Takes rows, a strip at a time."""

    def push(self, new: Tensor, old: Tensor | None = None) -> None:
        """Take `new`, or the sum of both, shape (1, feature, row, time)."""
        ...

    def end(self) -> None:
        """Learn that these were all."""
        ...


class _Rows:
    """Rows of a map that wait, in one array whose space is used again; zeros lie before the first."""

    def __init__(self, zeros: int) -> None:
        self._array: Tensor | None = None
        self._origin = self._first = -zeros  # of the array, and of the rows that its layer still takes
        self._end = 0
        self.late: int | None = None  # first row that the decoder still takes

    def __len__(self) -> int:
        return self._end - self._first

    def push(self, new: Tensor, old: Tensor | None = None, dtype: torch.dtype | None = None) -> None:
        target = self.space(new.shape[2], new, dtype=dtype)
        if old is None:
            target.copy_(new)
        else:
            torch.add(new, old, out=target)

    def space(self, count: int, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Make room for some more rows, and count them as there."""
        if self._array is None or self._end + count - self._origin > self._array.shape[2]:
            self._move(count, like, dtype or like.dtype)
        self._end += count
        return self.rows(self._end - count, count)

    def rows(self, first: int, count: int) -> Tensor:
        """Return some rows by their number in the map."""
        assert self._array is not None  # noqa: S101 - there are some
        return self._array[:, :, first - self._origin : first - self._origin + count]

    def head(self, count: int) -> Tensor:
        """Return the first rows."""
        return self.rows(self._first, count)

    def drop(self, count: int) -> None:
        """Forget the first rows."""
        self._first += count

    def _move(self, count: int, like: Tensor, dtype: torch.dtype) -> None:
        first = self._first if self.late is None else min(self._first, self.late)
        kept = self._end - first
        shape = (1, like.shape[1], 2 * (kept + count), like.shape[3])
        if self._array is None:
            waiting = like.new_zeros((1, like.shape[1], kept, like.shape[3]))
        else:
            waiting = self.rows(first, kept)
            waiting = waiting if first - self._origin >= kept else waiting.clone()
        if self._array is None or shape[2] > self._array.shape[2]:
            self._array = torch.empty(
                shape, dtype=dtype, device=like.device, memory_format=torch.channels_last
            )
        self._array[:, :, :kept] = waiting
        self._origin = first


class _Skip:
    """Rows of a map of the encoder, of which its next level takes all, and the decoder later takes some."""

    def __init__(self, waiting: _Rows, rows: Pair, columns: slice) -> None:
        self._waiting, self._end, self._columns = waiting, rows[1], columns
        waiting.late = rows[0]

    def take(self, count: int) -> Tensor:
        """Return the next rows; the next strip may move them."""
        first = self._waiting.late
        assert first is not None  # noqa: S101 - there are some
        self._waiting.late = None if first + count >= self._end else first + count
        return self._waiting.rows(first, count)[..., self._columns]


class _Layer:
    """Convolutions and a ReLU over strips; the first sees neighbours, a block adds its input."""

    def __init__(
        self, layers: Sequence[nn.Module], then: _Sink, *, rows: _Rows | None = None, residual: bool = False
    ) -> None:
        self._convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        self._then, self._residual, first = then, residual, self._convolutions[0]
        self._kernel, self._stride, self._reach = first.kernel_size[0], first.stride[0], _reach(first)
        self.rows = _Rows(self._reach) if rows is None else rows

    @classmethod
    def of_block(cls, block: nn.Module, then: _Sink) -> _Layer:
        """Make the layer of a residual block."""
        names = ("depthwise", "dense.conv") if isinstance(block.depthwise, nn.Module) else ("dense.conv",)
        return cls([block.get_submodule(name) for name in names], then, residual=True)

    def push(self, new: Tensor, old: Tensor | None = None) -> None:
        self.rows.push(new, old)
        self.compute()

    def end(self) -> None:
        if self._reach:
            last = self.rows.head(1)
            self.rows.space(self._reach, last).zero_()
        self.compute()
        self._then.end()

    def compute(self) -> None:
        """Pass on the rows whose inputs are there."""
        count = (len(self.rows) - self._kernel) // self._stride + 1
        if count < 1:
            return
        x = self.rows.head((count - 1) * self._stride + self._kernel)
        y = x
        for one in self._convolutions[:-1]:
            y = nn.functional.conv2d(y, one.weight, one.bias, one.stride, _padding(one), groups=one.groups)
        y = _conv_relu(y, self._convolutions[-1])
        old = x[:, :, self._reach : self._reach + count] if self._residual else None
        self._then.push(y, old)
        self.rows.drop(count * self._stride)


def _reach(layer: nn.Module) -> int:
    """Give the rows before and behind its own that a convolution sees."""
    assert isinstance(layer, nn.Conv2d)  # noqa: S101 - all of the encoder
    return int(layer.padding[0])


def _padding(layer: nn.Conv2d) -> Pair:
    """Give the padding in time; the rows beyond are there."""
    return 0, int(layer.padding[1])


def _onednn_takes(dtype: torch.dtype) -> bool:
    """Tell whether oneDNN convolves on this processor: it refuses bfloat16 where AVX-512 is missing."""
    if not torch.backends.mkldnn.is_available():
        return False
    return dtype != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001


def _conv_relu(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """Convolve, and take the positive part: in one pass over memory where oneDNN can."""
    padding, weight, bias = _padding(layer), layer.weight, layer.bias
    if x.device.type == "cpu" and _onednn_takes(x.dtype):
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001 - as torch's compiler calls it
            x, weight, bias, padding, layer.stride, (1, 1), layer.groups, "relu", [], ""
        )
        return out
    return nn.functional.conv2d(x, weight, bias, layer.stride, padding, groups=layer.groups).relu_()


def _kernel(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the weight, (input, output, high, wide), and the bias of a transposed convolution."""
    assert isinstance(layer, nn.ConvTranspose2d)  # noqa: S101 - the only one
    assert layer.bias is not None  # noqa: S101 - folded
    return layer.weight.detach(), layer.bias.detach()


class _Spread:
    """A transposed convolution whose kernel is its stride: each cell gives the values of its own places."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.places = weight.shape[1:]
        self._weight, self._bias = weight.flatten(1).contiguous(), bias.expand(self.places).flatten()

    def __call__(self, x: Tensor) -> Tensor:
        """Return the values of cells, (row, time, *places); `x` is (1, feature, row, time)."""
        cells = x[0].permute(1, 2, 0)
        y = torch.addmm(self._bias, cells.reshape(-1, cells.shape[-1]), self._weight)
        return y.view(*cells.shape[:2], *self.places)

    def sums(self, new: Tensor, old: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
        """Sum some rows at a time, so that the values of their cells stay in a processor's cache."""
        rows, size = new.shape[2], new.shape[3] * self.places.numel()
        step = max(1, _CACHED // size) if new.device.type == "cpu" else rows
        for first in range(0, rows, step):
            part = slice(first, min(first + step, rows))
            yield part, new[:, :, part] if old is None else new[:, :, part] + old[:, :, part]


class _Up:
    """A finer map of the decoder: what a coarser map spreads, and the encoder's map of that level."""

    def __init__(self, spread: _Spread, skip: _Skip, block: _Layer) -> None:
        self._spread, self._skip, self._block = spread, skip, block

    def push(self, new: Tensor, old: Tensor | None = None) -> None:
        high, wide, _ = self._spread.places
        rows, columns = new.shape[2:]
        skip = self._skip.take(rows * high)
        target = self._block.rows.space(rows * high, skip)
        finer, out = (
            map_[0].permute(1, 2, 0).view(rows, high, columns, wide, -1).transpose(1, 2)
            for map_ in (skip, target)
        )
        for part, x in self._spread.sums(new, old):
            torch.add(self._spread(x).relu_(), finer[part], out=out[part])
        self._block.compute()

    def end(self) -> None:
        self._block.end()


class _Head:
    """The last layer: probabilities of the classes at each channel and sample."""

    def __init__(self, spread: _Spread, give: Callable[[Tensor], None]) -> None:
        self._spread, self._give = spread, give

    def push(self, new: Tensor, old: Tensor | None = None) -> None:
        classes, high, wide = self._spread.places
        rows, columns = new.shape[2:]
        scores = torch.empty((1 + classes, rows, high, columns, wide), device=new.device)
        for part, x in self._spread.sums(new, old):
            first, others = scores[0, part], scores[1:, part]
            ratios = self._spread(x.float()).clamp_max_(_LARGEST).exp_()  # to the first class
            _copy_cells(ratios.permute(2, 0, 3, 1, 4), others)
            torch.add(others[0], others[1], out=first).add_(1).reciprocal_()
            others.mul_(first)
        self._give(scores.view(len(scores), rows * high, columns * wide))

    def end(self) -> None:
        """Do nothing: all has been given."""


def _copy_cells(values: Tensor, target: Tensor) -> None:
    """Copy (..., 4) values; on a CPU as one number each, which is five times as fast."""
    if target.device.type == "cpu" and target.shape[-1] == 4:
        np.copyto(target.numpy().view(np.complex128), values.numpy().view(np.complex128))
    else:
        target.copy_(values)


class _Cut:
    """Pass on a part of a map: the cells of `wanted`, where the map begins as `region` does."""

    def __init__(self, wanted: Region, region: Region, cell: Pair, then: _Sink) -> None:
        (self._first, self._end), self._columns = _cells(wanted, region, cell)
        self._then = then

    def push(self, new: Tensor, old: Tensor | None = None) -> None:
        part = (..., slice(max(0, self._first), max(0, self._end)), self._columns)
        self._first, self._end = self._first - new.shape[2], self._end - new.shape[2]
        if part[1].start < min(part[1].stop, new.shape[2]):
            self._then.push(new[part], None if old is None else old[part])

    def end(self) -> None:
        self._then.end()


def _cells(wanted: Region, region: Region, cell: Pair) -> tuple[Pair, slice]:
    """Give the rows and columns of `wanted` in a map that begins as `region` does."""
    rows, columns = (
        ((low - start) // size, (high - start) // size)
        for (low, high), (start, _), size in zip(wanted, region, cell, strict=True)
    )
    return rows, slice(*columns)


def _grow(core: Region, margin: Pair, shape: Pair) -> Region:
    first, second = (
        (max(0, core[axis][0] - margin[axis]), min(shape[axis], core[axis][1] + margin[axis]))
        for axis in range(2)
    )
    return first, second
