"""How each architecture scores a recording: channel by channel, in tiles, or in fixed windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from sys import maxsize
from typing import Protocol, overload

import numpy as np
import torch
from torch import Tensor, nn

from phasenet_das.config import PickSettings
from phasenet_das.models.eqnet import EQNet
from phasenet_das.models.phasenet import PhaseNet
from phasenet_das.models.phasenet_das import PhaseNetDAS
from phasenet_das.models.precision import multiply_in
from phasenet_das.models.strips import StripNetwork
from phasenet_das.models.weights import Weights
from phasenet_das.picking.chunks import Chunk
from phasenet_das.picking.normalization import Per, moving_scale, normalization_block, normalization_halo
from phasenet_das.picking.peaks import Scores
from phasenet_das.picking.plan import ReceptiveField
from phasenet_das.picking.tiles import ChannelRun, Tile, cut_tiles, split_channels
from phasenet_das.picking.windows import WindowRange, picture_scores, window_scores

PHASES = ("N", "P", "S")
_BLOCK_SAMPLES = 4_000_000
_LONGEST = 2**18  # samples of a tile
_STRIP = (1_500_000, 32_000_000)  # samples of a strip that fit a CPU's and a GPU's cache and memory
_SEEN_ROWS = 80  # rows of the samples that PhaseNet-DAS is trained on: a cable of fewer is seen mirrored
_PICTURE_CHANNELS, _PICTURE_WINDOWS = 1024, 8


class Scorer(Protocol):
    """A network that turns a preprocessed chunk into scores."""

    device: torch.device

    @property
    def field(self) -> ReceptiveField:
        """The neighbourhood on which the scores of a sample depend."""
        ...

    def normalise(self, chunk: Chunk) -> None:
        """Do on a CPU, ahead of time, whatever comes before the network."""
        ...

    def scores(self, chunk: Chunk, *, context: int) -> Iterator[Scores]:
        """Score the core of a chunk in steps, so that memory does not grow with it."""
        ...


def make_scorer(weights: Weights, device: torch.device) -> Scorer:
    """Choose how the network of these weights scores recordings."""
    model = weights.model
    if isinstance(model, PhaseNetDAS):
        return TileScorer(weights, model, device)
    if isinstance(model, EQNet):
        return WindowScorer(weights, model, device)
    assert isinstance(model, PhaseNet)  # noqa: S101 - no other takes windows
    return ChannelScorer(weights, model, device)


class ChannelScorer:
    """PhaseNet: each channel on its own, in windows of one absolute grid."""

    def __init__(self, weights: Weights, model: PhaseNet, device: torch.device) -> None:
        self._weights, self.device = weights, device
        self._fused = model.fused().to(device)
        self._order = _class_order(weights)

    @property
    def field(self) -> ReceptiveField:
        """A window to each side, on the channel itself."""
        return ReceptiveField(self._weights.window_samples, 1, 0, 1)

    def normalise(self, chunk: Chunk) -> None:
        """Do nothing: windows are normalised as they are scored."""

    def scores(self, chunk: Chunk, *, context: int) -> Iterator[Scores]:
        """Score some channels at a time, each over the whole chunk; see :class:`Scorer`."""
        size = chunk.rows_within(_BLOCK_SAMPLES)
        network = self._network(chunk.plan.settings)
        (low, high), samples = chunk.scored, chunk.plan.grid.num_samples
        around = max(0, low - context), min(samples, high + context)
        wanted = WindowRange(samples, chunk.context.span[0], around)
        for first in range(*chunk.core_rows, size):
            end = min(first + size, chunk.core_rows[1])
            gone = None if chunk.missing is None else chunk.missing[first:end]
            data = np.ascontiguousarray(_rows(chunk)[first:end])
            with torch.inference_mode():
                scores = window_scores(
                    torch.from_numpy(data).to(self.device),
                    network,
                    window=self._weights.window_samples,
                    normalization=self._weights.normalization,
                    first_index=chunk.plan.grid.first_index,
                    batch_size=chunk.plan.settings.batch_size,
                    within=wanted,
                    missing=None if gone is None else torch.from_numpy(gone).to(self.device),
                )[self._order].cpu().numpy()  # fmt: skip
            start = wanted.wanted[0]
            yield _scores(chunk, scores, (first, end), start, (low - start, high - start))

    def _network(self, settings: PickSettings) -> Callable[[Tensor], Tensor]:
        """Feed each fibre channel to the components that the settings name."""
        order = self._weights.component_order
        logits = _logits(self._fused, settings, self.device)
        if settings.component == "all" or len(order) == 1:
            return lambda x: logits(x.expand(-1, len(order), -1))
        position = order.index(settings.component)

        def one_component(x: Tensor) -> Tensor:
            full = x.new_zeros((x.shape[0], len(order), x.shape[-1]))
            full[:, position] = x[:, 0]
            return logits(full)

        return one_component


class TileScorer:
    """PhaseNet-DAS: strips of channels, over tiles of time whose cores equal the whole.

    Attributes
    ----------
    strip : int
        Samples that the network takes at a time, all channels together; changes speed and memory only.
    """

    def __init__(self, weights: Weights, model: PhaseNetDAS, device: torch.device) -> None:
        self._weights, self._model, self.device = weights, model, device
        self._stride, self._halo = model.stride, model.halo
        self._order = _class_order(weights)
        self.strip = _STRIP[device.type == "cuda"]
        self._network = cache(partial(StripNetwork, model, device))

    @property
    def field(self) -> ReceptiveField:
        """The network's halo, and in time the normalisation's."""
        own, block = self._own_dt(), normalization_block(*self._own_dt())
        return ReceptiveField(
            self._halo[1] + 2 * self._stride[1] + normalization_halo(*own),
            block,
            None if self._per == "array" else self._halo[0] + self._stride[0],
            self._stride[0],
        )

    @property
    def _per(self) -> Per:
        return "array" if self._weights.normalization == "moving-array" else "channel"

    def _own_dt(self) -> tuple[float, float]:
        """Interval and window of the normalisation, on the network's own time axis, s."""
        dt_s = 1 / self._weights.sampling_rate_hz
        return dt_s, self._weights.window_samples * dt_s

    def normalise(self, chunk: Chunk) -> None:
        """Measure the offset and amplitude of each row along time."""
        dt_s, window_s = self._own_dt()
        chunk.scale = moving_scale(
            _rows(chunk),
            dt_s,
            first_index=chunk.first_index,
            window_s=window_s,
            per=self._per,
            missing=chunk.missing,
        )

    def scores(self, chunk: Chunk, *, context: int) -> Iterator[Scores]:
        """Score a strip at a time; see :class:`Scorer`."""
        for run in split_channels(chunk.plan.cable, self._halo[0], chunk.context.rows):
            copies = -(-min(_SEEN_ROWS, self._halo[0]) // run.extent[1])
            seen = run.mirrored(copies) if copies > 1 else run
            wanted = seen.inside(*chunk.core_rows)
            if len(wanted):
                count = int(wanted[-1] - wanted[0]) + 1
                (channels,) = self._tiles(0, (int(wanted[0]), count), seen.extent)
                for time in self._times(chunk, context):
                    yield from self._tile(chunk, seen, channels, time, copies)

    def _times(self, chunk: Chunk, context: int) -> list[Tile]:
        grid, (low, high), context = (
            chunk.plan.grid,
            chunk.scored,
            -(-context // self._stride[1]) * self._stride[1],
        )
        wanted, recording = (grid.first_index + low, high - low), (grid.first_index, grid.num_samples)
        return self._tiles(1, wanted, recording, self._longest(context), context)

    def _longest(self, context: int) -> int:
        """Give the length of a tile; at least half of it is core."""
        return max(_LONGEST, 4 * (self._halo[1] + context))

    def _tile(
        self, chunk: Chunk, run: ChannelRun, channels: Tile, time: Tile, copies: int
    ) -> Iterator[Scores]:
        """Score all channels of a tile."""
        grid, position = chunk.plan.grid, channels.scored_start
        first = max(time.scored_start, grid.first_index)
        end = min(time.scored_end, grid.first_index + grid.num_samples)
        kept_time = slice(first - time.scored_start, end - time.scored_start)
        core = (time.core_start - first, time.core_end - first)
        for scores in self._strips(chunk, run, channels, time, whole=copies > 1):
            low, position = position, position + scores.shape[1]
            part = run.between(max(low, channels.core_start), min(position, channels.core_end))
            if part.start >= part.stop:
                continue
            place, rows = run.positions[part] - low, run.rows[part]
            if copies > 1:  # a part of the core may lie between rows that are not of it
                wanted = np.flatnonzero((rows >= chunk.core_rows[0]) & (rows < chunk.core_rows[1]))
                wanted = wanted[np.argsort(rows[wanted], kind="stable")]
                place, rows = place[wanted], rows[wanted]
            kept = _take(scores.cpu().numpy(), self._order, place)[..., kept_time]
            kept = kept.reshape(len(kept), -1, copies, kept.shape[-1]).mean(axis=2) if copies > 1 else kept
            yield _scores(chunk, kept, (int(rows[0]), int(rows[-1]) + 1), first - grid.first_index, core)

    def _strips(
        self, chunk: Chunk, run: ChannelRun, channels: Tile, time: Tile, *, whole: bool
    ) -> Iterator[Tensor]:
        """Feed a tile to the network; `whole` puts its scores together."""
        step = self._stride[0]
        high = step * max(1, self.strip // (step * time.length))
        strips = (
            torch.from_numpy(_strip(chunk, run, (low, min(low + high, channels.end)), time)).to(self.device)
            for low in range(channels.start, channels.end, high)
        )
        network = self._network(bfloat16=chunk.plan.settings.precision == "bfloat16")
        scores = network(strips, (channels.length, time.length), (channels.local, time.local))
        return iter([torch.cat(list(scores), dim=1)]) if whole else scores

    def _tiles(
        self,
        axis: int,
        wanted: tuple[int, int],
        recording: tuple[int, int],
        tile: int = maxsize,
        context: int = 0,
    ) -> list[Tile]:
        stride, halo = self._stride[axis], self._halo[axis]
        return cut_tiles(*wanted, tile=tile, halo=halo, stride=stride, context=context, recording=recording)


class WindowScorer:
    """EQNet: windows of one absolute grid, for it normalises and pads inside of each."""

    def __init__(self, weights: Weights, model: EQNet, device: torch.device) -> None:
        self._weights, self.device = weights, device
        self._min_samples = model.min_samples
        self._fused = model.fused().to(device)
        self._order = _class_order(weights)

    @property
    def field(self) -> ReceptiveField:
        """A window to each side, and all channels."""
        return ReceptiveField(self._weights.window_samples, 1, None, 1)

    def normalise(self, chunk: Chunk) -> None:
        """Do nothing: windows are normalised as they are scored."""

    def scores(self, chunk: Chunk, *, context: int) -> Iterator[Scores]:
        """Score the whole cable some windows at a time; see :class:`Scorer`."""
        samples, (begin, end) = chunk.plan.grid.num_samples, chunk.scored
        size = _PICTURE_WINDOWS * self._weights.window_samples
        for run in split_channels(chunk.plan.cable, _PICTURE_CHANNELS, chunk.context.rows):
            wanted = run.inside(*chunk.core_rows)
            if len(wanted) == 0:
                continue
            score = partial(self._score, _logits(self._fused, chunk.plan.settings, self.device))
            picture, gone = _picture(run, _rows(chunk)), _picture(run, chunk.missing)
            first_row = max(int(run.rows[0]), chunk.core_rows[0])
            rows = (first_row, first_row + len(wanted))
            for start in range(begin, end, size):
                stop = min(end, start + size)
                low, high = max(0, start - context), min(samples, stop + context)
                scores = picture_scores(
                    picture,
                    score,
                    window=(_PICTURE_CHANNELS, self._weights.window_samples),
                    first_index=(run.extent[0], chunk.plan.grid.first_index),
                    within=WindowRange(samples, chunk.context.span[0], (low, high)),
                    missing=gone,
                )
                kept = _take(scores, self._order, wanted - run.extent[0])
                yield _scores(chunk, kept, rows, low, (start - low, stop - low))

    def _score(self, logits: Callable[..., Tensor], window: Tensor) -> Tensor:
        """Probabilities of a window, shape (channel, time); a short one is padded with zeros."""
        lacking = max(0, self._min_samples - window.shape[-1])
        padded = torch.nn.functional.pad(window, (0, lacking))[None, None].to(self.device)
        with torch.inference_mode():
            scores = torch.softmax(logits(padded), dim=1)[0].cpu()
        return scores[..., : window.shape[-1]]


def _logits(network: nn.Module, settings: PickSettings, device: torch.device) -> Callable[..., Tensor]:
    """Return the network as it runs in the precision of the settings; its logits are float32."""

    def logits(*given: object) -> Tensor:
        with multiply_in(settings.precision, device):
            out: Tensor = network(*given)
        return out.float()

    return logits


@overload
def _picture(run: ChannelRun, values: np.ndarray) -> Tensor: ...
@overload
def _picture(run: ChannelRun, values: np.ndarray | None) -> Tensor | None: ...
def _picture(run: ChannelRun, values: np.ndarray | None) -> Tensor | None:
    """Lay rows out along the cable, holes being zero."""
    if values is None:
        return None
    first, count = run.extent
    out = np.zeros((count, values.shape[1]), values.dtype)
    out[run.positions - first] = values[run.rows]
    return torch.from_numpy(out)


def _take(scores: np.ndarray, classes: list[int], positions: np.ndarray) -> np.ndarray:
    """Choose classes and positions, as a view where these are in order and without holes."""
    if classes == sorted(classes) and positions[-1] - positions[0] == len(positions) - 1:
        return scores[:, positions[0] : positions[-1] + 1]
    return scores[np.asarray(classes)[:, None], positions]


def _class_order(weights: Weights) -> list[int]:
    return [weights.phases.index(phase) for phase in PHASES]


def _rows(chunk: Chunk) -> np.ndarray:
    assert chunk.data is not None  # noqa: S101 - preprocessed before
    return chunk.data


def _strip(chunk: Chunk, run: ChannelRun, channels: tuple[int, int], time: Tile) -> np.ndarray:
    """Normalise the samples of some channels of a tile, shape (channel, time), float32."""
    assert chunk.scale is not None  # noqa: S101 - measured before
    tile = np.zeros((channels[1] - channels[0], time.length), np.float32)
    part = run.between(*channels)
    rows, start, data = run.rows[part], chunk.first_index, _rows(chunk)
    if len(rows) == 0:
        return tile
    first, end = max(time.start, start), min(time.end, start + data.shape[1])
    inside, alike = slice(first - start, end - start), slice(rows.min(), rows.max() + 1)
    places, lead = run.positions[part] - channels[0], first - time.start
    target = tile[places[0] : places[-1] + 1, lead : lead + end - first]
    no_holes = places[-1] - places[0] == rows[-1] - rows[0] == len(rows) - 1
    values = chunk.scale.apply(data[alike, inside], first, alike, target if no_holes else None)
    if chunk.missing is not None:
        values[chunk.missing[alike, inside]] = 0
    if not no_holes:
        target[places - places[0]] = values[rows - alike.start]
    return tile


def _scores(
    chunk: Chunk, scores: np.ndarray, rows: tuple[int, int], first: int, core: tuple[int, int]
) -> Scores:
    """Return the scores of rows to the channels that these average."""
    channels = chunk.channels_of(*rows)
    missing = chunk.missing_at(channels, first, first + scores.shape[-1])
    return Scores(scores, chunk.plan.grid, first, core, channels, chunk.group[channels] - rows[0], missing)
