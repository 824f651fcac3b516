"""How each architecture scores a recording: channel by channel, in tiles, or in fixed windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, overload

import numpy as np
import torch
from torch import Tensor

from phasenet_das.models.eqnet import EQNet
from phasenet_das.models.phasenet import PhaseNet
from phasenet_das.models.phasenet_das import PhaseNetDAS
from phasenet_das.models.weights import Weights
from phasenet_das.picking.assemble import ScoredBlock
from phasenet_das.picking.layout import Section, split_sections
from phasenet_das.picking.normalization import (
    MovingScale,
    Per,
    moving_scale,
    normalization_block,
    normalization_halo,
)
from phasenet_das.picking.prepared import Prepared
from phasenet_das.picking.tiles import Span, plan_spans, score_tiles
from phasenet_das.picking.windows import Part, picture_scores, window_scores

PHASES = ("N", "P", "S")
_BLOCK_SAMPLES = 4_000_000
_TILE_AREA = 32_000_000
_PICTURE_CHANNELS, _PICTURE_WINDOWS = 1024, 8


class Scorer(Protocol):
    """Turns a prepared recording into scored blocks."""

    device: torch.device

    @property
    def reach(self) -> Reach:
        """What the scores of a sample depend on."""
        ...

    def ready(self, prepared: Prepared) -> ReadyPiece:
        """Do what comes before the network: average, resample, measure amplitudes."""
        ...

    def blocks(self, piece: ReadyPiece, *, context: int) -> Iterator[ScoredBlock]:
        """Score the core of a piece a block at a time, so that memory does not grow with it."""
        ...


@dataclass(frozen=True)
class Reach:
    """The neighbourhood on which the scores of a sample depend; beyond it nothing shows.

    Attributes
    ----------
    time : int
        Samples on each side, at the network's rate.
    block : int
        Pieces begin and end at absolute multiples of this many samples, or with the record.
    channels : int or None
        Positions along the cable on each side; None when all channels are needed.
    stride : int
        Cores in channels begin and end at multiples of this many positions.
    """

    time: int
    block: int
    channels: int | None
    stride: int


@dataclass(frozen=True)
class ReadyPiece:
    """A piece of a record ready for the network.

    Attributes
    ----------
    prepared : Prepared
        Where it lies.
    data : numpy.ndarray, shape (row, span), float32
        Its samples at the network's rate.
    missing : numpy.ndarray, shape (row, span), bool, or None
        Samples that rest on no data.
    scale : MovingScale or None
        Offset and amplitude of each row, for networks that do not standardise their windows.
    """

    prepared: Prepared
    data: np.ndarray
    missing: np.ndarray | None
    scale: MovingScale | None = None

    @classmethod
    def of(cls, prepared: Prepared) -> ReadyPiece:
        """Average and resample a piece."""
        return cls(prepared, prepared.all_data(), prepared.missing_rows(0, len(prepared.count)))

    def tile(self, section: Section, channel: Span, time: Span) -> np.ndarray:
        """Normalise the samples of a tile.

        Returns (channel, time) float32.
        """
        assert self.scale is not None  # noqa: S101 - made by the scorer that cuts tiles
        tile = np.zeros((channel.end - channel.start, time.end - time.start), np.float32)
        part = section.between(channel.start, channel.end)
        rows, start = section.rows[part], self.prepared.first_index
        if len(rows) == 0:
            return tile
        first, end = max(time.start, start), min(time.end, start + self.data.shape[1])
        inside, alike = slice(first - start, end - start), slice(rows[0], rows[-1] + 1)
        values = self.scale.apply(self.data[alike, inside], first, alike)
        if self.missing is not None:
            values[self.missing[alike, inside]] = 0
        lead = first - time.start
        tile[section.positions[part] - channel.start, lead : lead + values.shape[1]] = values
        return tile


def make_scorer(weights: Weights, device: torch.device) -> Scorer:
    """Choose how the network of these weights scores recordings."""
    model = weights.model
    if isinstance(model, PhaseNetDAS):
        return TileScorer(weights, model, device)
    if isinstance(model, EQNet):
        return WindowScorer(weights, model, device)
    assert isinstance(model, PhaseNet)  # noqa: S101 - the zoo knows no other
    return ChannelScorer(weights, model, device)


class ChannelScorer:
    """PhaseNet: each channel on its own, in windows of one absolute grid."""

    def __init__(self, weights: Weights, model: PhaseNet, device: torch.device) -> None:
        self._weights, self.device = weights, device
        self._fused = model.fused().to(device)
        self._order = _class_order(weights)

    @property
    def reach(self) -> Reach:
        """A window to each side, on the channel itself."""
        return Reach(self._weights.window_samples, 1, 0, 1)

    def ready(self, prepared: Prepared) -> ReadyPiece:
        """Average and resample; see :class:`Scorer`."""
        return ReadyPiece.of(prepared)

    def blocks(self, piece: ReadyPiece, *, context: int) -> Iterator[ScoredBlock]:
        """Score some channels at a time, each over the whole piece; see :class:`Scorer`."""
        prepared = piece.prepared
        size = prepared.rows_within(_BLOCK_SAMPLES)
        network = self._network(prepared.settings.component)
        (low, high), samples = prepared.core, prepared.grid.num_samples
        part = Part(samples, prepared.span[0], (max(0, low - context), min(samples, high + context)))
        for first in range(*prepared.core_rows, size):
            end = min(first + size, prepared.core_rows[1])
            gone = None if piece.missing is None else piece.missing[first:end]
            data = np.ascontiguousarray(piece.data[first:end])
            with torch.inference_mode():
                scores = window_scores(
                    torch.from_numpy(data).to(self.device),
                    network,
                    window=self._weights.window_samples,
                    normalization=self._weights.normalization,
                    first_index=prepared.grid.first_index,
                    batch_size=prepared.settings.batch_size,
                    part=part,
                    missing=None if gone is None else torch.from_numpy(gone).to(self.device),
                )[self._order].cpu().numpy()  # fmt: skip
            start = part.wanted[0]
            yield _block(prepared, scores, (first, end), start, (low - start, high - start))

    def _network(self, component: str) -> Callable[[Tensor], Tensor]:
        """Feed each fibre channel to the components that the settings name."""
        order = self._weights.component_order
        if component == "all" or len(order) == 1:
            return lambda x: self._fused(x.expand(-1, len(order), -1))
        position = order.index(component)

        def one_component(x: Tensor) -> Tensor:
            full = x.new_zeros((x.shape[0], len(order), x.shape[-1]))
            full[:, position] = x[:, 0]
            logits: Tensor = self._fused(full)
            return logits

        return one_component


class TileScorer:
    """PhaseNet-DAS: tiles whose cores equal the whole.

    Attributes
    ----------
    tile : tuple of int
        Channels and samples of a tile. It grows in time where the cable is shorter than its channels.
    batch_size : int
        Tiles a forward pass; changes speed and memory only.
    """

    def __init__(self, weights: Weights, model: PhaseNetDAS, device: torch.device) -> None:
        self._weights, self.device = weights, device
        self._stride, self._halo = model.stride, model.halo
        self._fused = model.fused().to(device)
        self._order = _class_order(weights)
        self.tile = _best_tile(self._halo, self._stride)
        self.batch_size = 1

    @property
    def reach(self) -> Reach:
        """The network's halo, and in time the normalisation's."""
        own, block = self._own_dt(), normalization_block(*self._own_dt())
        return Reach(
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

    def ready(self, prepared: Prepared) -> ReadyPiece:
        """Average, resample and measure amplitudes; see :class:`Scorer`."""
        piece = ReadyPiece.of(prepared)
        dt_s, window_s = self._own_dt()
        scale = moving_scale(
            piece.data,
            dt_s,
            first_index=prepared.first_index,
            window_s=window_s,
            per=self._per,
            missing=piece.missing,
        )
        return replace(piece, scale=scale)

    def blocks(self, piece: ReadyPiece, *, context: int) -> Iterator[ScoredBlock]:
        """Score a tile at a time; see :class:`Scorer`."""
        prepared = piece.prepared
        for section in split_sections(prepared.cable, self._halo[0], prepared.rows):
            yield from self._section(piece, section, context)

    def _section(self, piece: ReadyPiece, section: Section, context: int) -> Iterator[ScoredBlock]:
        prepared, samples = piece.prepared, piece.prepared.grid.num_samples
        origin, (low, high) = prepared.grid.first_index, prepared.core
        wanted = section.inside(*prepared.core_rows)
        if len(wanted) == 0:
            return
        count = int(wanted[-1] - wanted[0]) + 1
        channels = self._spans(0, (int(wanted[0]), count), section.extent, self.tile[0], 0)
        tallest = max(span.end - span.start for span in channels)
        longest = self.tile[1] * max(1, self.tile[0] // tallest)
        times = self._spans(1, (origin + low, high - low), (origin, samples), longest, context)

        def read(channel: Span, time: Span) -> np.ndarray:
            return piece.tile(section, channel, time)

        tiles = score_tiles(
            read, self._network, channels, times, device=self.device, batch_size=self.batch_size
        )
        for channel, time, scores in tiles:
            part = section.between(channel.core_start, channel.core_end)
            if part.start == part.stop:
                continue
            first = max(time.scored_start, origin)
            kept_time = slice(
                first - time.scored_start, min(time.scored_end, origin + samples) - time.scored_start
            )
            kept = _take(scores, self._order, section.positions[part] - channel.scored_start)[..., kept_time]
            rows = section.rows[part]
            core = (time.core_start - first, time.core_end - first)
            yield _block(prepared, kept, (int(rows[0]), int(rows[-1]) + 1), first - origin, core)

    def _network(self, data: Tensor, core: tuple[tuple[int, int], tuple[int, int]]) -> Tensor:
        logits: Tensor = self._fused(data, core)
        return logits

    def _spans(
        self, axis: int, wanted: tuple[int, int], record: tuple[int, int], tile: int, context: int
    ) -> list[Span]:
        stride, halo = self._stride[axis], self._halo[axis]
        tile = max(tile, self._smallest(axis, context))
        return plan_spans(*wanted, tile=tile, halo=halo, stride=stride, context=context, record=record)

    def _smallest(self, axis: int, context: int) -> int:
        """Give the length of a tile whose core is half of it."""
        return 4 * (self._halo[axis] + -(-context // self._stride[axis]) * self._stride[axis])


class WindowScorer:
    """EQNet: windows of one absolute grid, for it normalises and pads inside of each."""

    def __init__(self, weights: Weights, model: EQNet, device: torch.device) -> None:
        self._weights, self.device = weights, device
        self._min_samples = model.min_samples
        self._fused = model.fused().to(device)
        self._order = _class_order(weights)

    @property
    def reach(self) -> Reach:
        """A window to each side, and all channels."""
        return Reach(self._weights.window_samples, 1, None, 1)

    def ready(self, prepared: Prepared) -> ReadyPiece:
        """Average and resample; see :class:`Scorer`."""
        return ReadyPiece.of(prepared)

    def blocks(self, piece: ReadyPiece, *, context: int) -> Iterator[ScoredBlock]:
        """Score the whole cable some windows at a time; see :class:`Scorer`."""
        prepared = piece.prepared
        samples, (begin, end) = prepared.grid.num_samples, prepared.core
        size = _PICTURE_WINDOWS * self._weights.window_samples
        for section in split_sections(prepared.cable, _PICTURE_CHANNELS, prepared.rows):
            picture, gone = _picture(section, piece.data), _picture(section, piece.missing)
            rows = (int(section.rows[0]), int(section.rows[-1]) + 1)
            for start in range(begin, end, size):
                stop = min(end, start + size)
                low, high = max(0, start - context), min(samples, stop + context)
                scores = picture_scores(
                    picture,
                    self._score,
                    window=(_PICTURE_CHANNELS, self._weights.window_samples),
                    first_index=(section.extent[0], prepared.grid.first_index),
                    part=Part(samples, prepared.span[0], (low, high)),
                    missing=gone,
                )
                kept = _take(scores, self._order, section.positions - section.extent[0])
                yield _block(prepared, kept, rows, low, (start - low, stop - low))

    def _score(self, window: Tensor) -> Tensor:
        """Probabilities of a window, shape (channel, time); a short one is padded with zeros."""
        lacking = max(0, self._min_samples - window.shape[-1])
        padded = torch.nn.functional.pad(window, (0, lacking))[None, None].to(self.device)
        with torch.inference_mode():
            scores = torch.softmax(self._fused(padded), dim=1)[0].cpu()
        return scores[..., : window.shape[-1]]


@overload
def _picture(section: Section, values: np.ndarray) -> Tensor: ...
@overload
def _picture(section: Section, values: np.ndarray | None) -> Tensor | None: ...
def _picture(section: Section, values: np.ndarray | None) -> Tensor | None:
    """Lay rows out along the cable, holes being zero."""
    if values is None:
        return None
    first, count = section.extent
    out = np.zeros((count, values.shape[1]), values.dtype)
    out[section.positions - first] = values[section.rows]
    return torch.from_numpy(out)


def _take(scores: np.ndarray, classes: list[int], positions: np.ndarray) -> np.ndarray:
    """Choose classes and positions, as a view where these are in order and without holes."""
    if classes == sorted(classes) and positions[-1] - positions[0] == len(positions) - 1:
        return scores[:, positions[0] : positions[-1] + 1]
    return scores[np.asarray(classes)[:, None], positions]


def _best_tile(halo: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int]:
    """Give the tile of the largest core for its area: as long in halos one way as the other."""
    margin = halo[0] + stride[0], halo[1] + stride[1]
    samples = int((_TILE_AREA * margin[1] / margin[0]) ** 0.5) // stride[1] * stride[1]
    return _TILE_AREA // samples // stride[0] * stride[0], samples


def _class_order(weights: Weights) -> list[int]:
    return [weights.phases.index(phase) for phase in PHASES]


def _block(
    prepared: Prepared, scores: np.ndarray, rows: tuple[int, int], first: int, core: tuple[int, int]
) -> ScoredBlock:
    """Give the scores of rows back to the channels that these average."""
    channels = prepared.channels(*rows)
    missing = prepared.missing(channels, first, first + scores.shape[-1])
    group = prepared.group[channels] - rows[0]
    return ScoredBlock(scores, prepared.grid, first, core, channels, group, missing)
