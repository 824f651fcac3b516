"""Run PhaseNet-DAS over strips of channels: nothing is computed twice, in little memory.

Each layer keeps the last rows of its input until the next strip comes, so that the scores equal those of one
pass over all rows. The decoder computes the core and its margin only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from phasenet_das.models.phasenet_das import Pair, PhaseNetDAS, compress

Region = tuple[Pair, Pair]
"""First channel and the one behind the last, first sample and the one behind the last."""

_CACHED_SAMPLES = 2**16  # of one channel or more, that stay in a processor's cache and occupy its threads


class StripNetwork:
    """PhaseNet-DAS as it scores recordings, in float32 or bfloat16.

    A transposed convolution without overlap is a product of matrices, which is several times as fast.
    """

    def __init__(self, model: PhaseNetDAS, device: torch.device, *, bfloat16: bool = False) -> None:
        self.model = model.fused().to(device)
        # In float32: a score near 1 lies close to it.
        self._head = _Spread(self.model.head.get_submodule("layer"))
        self._dtype = torch.bfloat16 if bfloat16 else torch.float32
        self.model.to(self._dtype)
        self._up = [_Spread(up.get_submodule("conv")) for up in self.model.up]

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
                for part in strip.split(max(1, _CACHED_SAMPLES // strip.shape[1])):
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
        regions = [*(_grow(core, margin, shape) for margin in model.margins), ((0, shape[0]), (0, shape[1]))]
        then: _Sink = _Cut(core, regions[0], cell[0], _Head(self._head, give))
        skips = []
        for level in range(levels - 1):
            skips.append(_Rows(0))
            block = _Layer.of_block(model.decoder[level], [then])
            up = _Up(self._up[level], skips[level], block)
            then = _Cut(regions[level], regions[level + 1], cell[level + 1], up)
        outputs = [then]
        for level in reversed(range(levels)):
            for part in reversed(list(model.encoder[level].children())):
                outputs = [_Layer.of_block(part, outputs)]
            down = _Layer([model.down[level].get_submodule("conv")], outputs)
            if level:
                outputs = [_Cut(regions[level - 1], regions[-1], cell[level - 1], skips[level - 1]), down]
        return down


class _Sink(Protocol):
    """Takes rows, a strip at a time."""

    def push(self, new: Tensor, old: Tensor | None = None) -> None:
        """Take `new`, or the sum of both, shape (1, feature, row, time)."""
        ...

    def end(self) -> None:
        """Learn that these were all."""
        ...


class _Rows:
    """Rows that wait, in one array whose space is used again."""

    def __init__(self, zeros: int) -> None:
        self._array: Tensor | None = None
        self._first, self._end = 0, zeros

    def __len__(self) -> int:
        return self._end - self._first

    def push(self, new: Tensor, old: Tensor | None = None, dtype: torch.dtype | None = None) -> None:
        target = self.space(new.shape[2], new, dtype=dtype)
        if old is None:
            target.copy_(new)
        else:
            torch.add(new, old, out=target)

    def end(self) -> None:
        """Do nothing: whoever takes the rows knows."""

    def space(self, count: int, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Make room for some more rows, and count them as there."""
        if self._array is None or self._end + count > self._array.shape[2]:
            self._move(count, like, dtype or like.dtype)
        assert self._array is not None  # noqa: S101 - just made
        self._end += count
        return self._array[:, :, self._end - count : self._end]

    def head(self, count: int) -> Tensor:
        """Return the first rows."""
        assert self._array is not None  # noqa: S101 - there are some
        return self._array[:, :, self._first : self._first + count]

    def drop(self, count: int) -> None:
        """Forget the first rows."""
        self._first += count

    def _move(self, count: int, like: Tensor, dtype: torch.dtype) -> None:
        kept = len(self)
        shape = (1, like.shape[1], 2 * (kept + count), like.shape[3])
        if self._array is None:
            waiting = like.new_zeros((1, like.shape[1], kept, like.shape[3]))
        else:
            waiting = self.head(kept) if self._first >= kept else self.head(kept).clone()
        if self._array is None or shape[2] > self._array.shape[2]:
            self._array = torch.empty(
                shape, dtype=dtype, device=like.device, memory_format=torch.channels_last
            )
        self._array[:, :, :kept] = waiting
        self._first, self._end = 0, kept


class _Layer:
    """Convolutions and a ReLU over strips; the first sees neighbours, a block adds its input."""

    def __init__(self, layers: Sequence[nn.Module], then: Sequence[_Sink], *, residual: bool = False) -> None:
        self._convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        self._then, self._residual, first = then, residual, self._convolutions[0]
        self._kernel, self._stride, self._reach = first.kernel_size[0], first.stride[0], int(first.padding[0])
        self.rows = _Rows(self._reach)

    @classmethod
    def of_block(cls, block: nn.Module, then: Sequence[_Sink]) -> _Layer:
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
        for sink in self._then:
            sink.end()

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
        for sink in self._then:
            sink.push(y, old)
        self.rows.drop(count * self._stride)


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


class _Spread:
    """A transposed convolution whose kernel is its stride: each cell gives the values of its own places."""

    def __init__(self, layer: nn.Module) -> None:
        assert isinstance(layer, nn.ConvTranspose2d)  # noqa: S101 - the only one
        self.outputs, self.high, self.wide = layer.out_channels, layer.kernel_size[0], layer.kernel_size[1]
        assert layer.bias is not None  # noqa: S101 - folded
        self._weight = layer.weight.permute(0, 2, 3, 1).flatten(1).contiguous()
        self._bias = layer.bias.repeat(self.high * self.wide)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the values of cells, (row, time, high, wide, output); `x` is (1, feature, row, time)."""
        cells = x[0].permute(1, 2, 0)
        y = torch.addmm(self._bias, cells.reshape(-1, cells.shape[-1]), self._weight)
        return y.view(*cells.shape[:2], self.high, self.wide, self.outputs)


class _Up:
    """A finer map of the decoder: what a coarser map spreads, and the encoder's map of that level."""

    def __init__(self, spread: _Spread, skip: _Rows, block: _Layer) -> None:
        self._spread, self._skip, self._block = spread, skip, block

    def push(self, new: Tensor, old: Tensor | None = None) -> None:
        y = self._spread(new if old is None else new + old).relu_()
        rows, columns, high, wide, _ = y.shape
        skip = self._skip.head(rows * high)
        target = self._block.rows.space(rows * high, skip)
        old_cells, out = (
            map_[0].permute(1, 2, 0).view(rows, high, columns, wide, -1).transpose(1, 2)
            for map_ in (skip, target)
        )
        torch.add(y, old_cells, out=out)
        self._skip.drop(rows * high)
        self._block.compute()

    def end(self) -> None:
        self._block.end()


class _Head:
    """The last layer: probabilities of the classes at each channel and sample."""

    def __init__(self, spread: _Spread, give: Callable[[Tensor], None]) -> None:
        self._spread, self._give = spread, give

    def push(self, new: Tensor, old: Tensor | None = None) -> None:
        high, wide = self._spread.high, self._spread.wide
        rows, columns = new.shape[2:]
        scores = torch.empty((self._spread.outputs, rows * high, columns * wide), device=new.device)
        step = max(1, _CACHED_SAMPLES // (high * columns * wide)) if new.device.type == "cpu" else rows
        for first in range(0, rows, step):
            cells = slice(first, first + step)
            x = new[:, :, cells] if old is None else new[:, :, cells] + old[:, :, cells]
            part = scores[:, first * high : (first + step) * high]
            places = part.view(len(scores), -1, high, columns, wide)
            places.copy_(self._spread(x.float()).permute(4, 0, 2, 1, 3))
            part.sub_(part.amax(dim=0)).exp_().div_(part.sum(dim=0))
        self._give(scores)

    def end(self) -> None:
        """Do nothing: all has been given."""


class _Cut:
    """Pass on a part of a map: the cells of `wanted`, where the map begins as `region` does."""

    def __init__(self, wanted: Region, region: Region, cell: Pair, then: _Sink) -> None:
        (self._first, self._end), (first, end) = (
            ((low - start) // size, (high - start) // size)
            for (low, high), (start, _), size in zip(wanted, region, cell, strict=True)
        )
        self._columns, self._then = slice(first, end), then

    def push(self, new: Tensor, old: Tensor | None = None) -> None:
        part = (..., slice(max(0, self._first), max(0, self._end)), self._columns)
        self._first, self._end = self._first - new.shape[2], self._end - new.shape[2]
        if part[1].start < min(part[1].stop, new.shape[2]):
            self._then.push(new[part], None if old is None else old[part])

    def end(self) -> None:
        self._then.end()


def _grow(core: Region, margin: Pair, shape: Pair) -> Region:
    first, second = (
        (max(0, core[axis][0] - margin[axis]), min(shape[axis], core[axis][1] + margin[axis]))
        for axis in range(2)
    )
    return first, second
