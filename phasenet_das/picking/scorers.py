"""How each architecture scores a recording: channel by channel, in tiles, or in fixed windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from phasenet_das.models.eqnet import EQNet
from phasenet_das.models.phasenet import PhaseNet
from phasenet_das.models.phasenet_das import PhaseNetDAS
from phasenet_das.models.zoo import Weights
from phasenet_das.picking.assemble import ScoredBlock
from phasenet_das.picking.layout import Section, split_sections
from phasenet_das.picking.normalization import MovingScale, moving_scale
from phasenet_das.picking.prepared import Prepared
from phasenet_das.picking.tiles import Span, plan_spans, score_tiles
from phasenet_das.picking.windows import picture_scores, window_scores

__all__ = ["PHASES", "ChannelScorer", "Scorer", "TileScorer", "WindowScorer", "make_scorer"]

PHASES = ("N", "P", "S")
_BLOCK_SAMPLES = 4_000_000
_TILE_CHANNELS, _TILE_SAMPLES = 640, 13056
_PICTURE_CHANNELS, _PICTURE_WINDOWS = 1024, 8


class Scorer(Protocol):
    """Turns a prepared recording into scored blocks."""

    def blocks(self, prepared: Prepared, *, context: int, progress: bool = False) -> Iterator[ScoredBlock]:
        """Score the recording a block at a time, so that memory does not grow with it.

        Parameters
        ----------
        prepared : Prepared
            The recording.
        context : int
            Samples of score wanted on each side of a block's core, to tell peaks near its ends.
        progress : bool
            Show a progress bar.

        Yields
        ------
        ScoredBlock
            Their cores cover all channels and samples once.
        """
        ...


def make_scorer(weights: Weights, device: torch.device) -> Scorer:
    """Choose how the network of these weights scores recordings.

    Parameters
    ----------
    weights : Weights
        The network.
    device : torch.device
        Where it is to run.

    Returns
    -------
    Scorer
        Holds a copy of the network made for inference.
    """
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
        self._weights, self._device = weights, device
        self._fused = model.fused().to(device)
        self._order = _class_order(weights)

    def blocks(
        self,
        prepared: Prepared,
        *,
        context: int,  # noqa: ARG002 - each block holds whole channels
        progress: bool = False,
    ) -> Iterator[ScoredBlock]:
        """Score some channels at a time, each over the whole recording; see :class:`Scorer`."""
        rows, samples = len(prepared.count), prepared.grid.num_samples
        size = prepared.rows_within(_BLOCK_SAMPLES)
        network = self._network(prepared.settings.component)
        for first in tqdm(range(0, rows, size), desc="picking", unit="block", disable=not progress):
            end = min(first + size, rows)
            with torch.inference_mode():
                scores = window_scores(
                    torch.from_numpy(prepared.data(first, end)).to(self._device),
                    network,
                    window=self._weights.window_samples,
                    normalization=self._weights.normalization,
                    first_index=prepared.grid.first_index,
                    batch_size=prepared.settings.batch_size,
                )[self._order].cpu().numpy()  # fmt: skip
            yield _block(prepared, scores, (first, end), 0, (0, samples))

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
        self._weights, self._device = weights, device
        self._stride, self._halo = model.stride, model.halo
        self._fused = model.fused().to(device)
        self._order = _class_order(weights)
        self.tile = (_TILE_CHANNELS, _TILE_SAMPLES)
        self.batch_size = 1

    def blocks(self, prepared: Prepared, *, context: int, progress: bool = False) -> Iterator[ScoredBlock]:
        """Score a tile at a time; see :class:`Scorer`."""
        data = prepared.all_data()
        dt_s = 1 / self._weights.sampling_rate_hz  # the network's own time axis
        scale = moving_scale(
            data,
            dt_s,
            first_index=prepared.grid.first_index,
            window_s=self._weights.window_samples * dt_s,
            per="array" if self._weights.normalization == "moving-array" else "channel",
        )
        for section in split_sections(prepared.number, self._halo[0]):
            yield from self._section(prepared, data, scale, section, context, progress)

    def _section(
        self,
        prepared: Prepared,
        data: np.ndarray,
        scale: MovingScale,
        section: Section,
        context: int,
        progress: bool,
    ) -> Iterator[ScoredBlock]:
        origin, samples = prepared.grid.first_index, prepared.grid.num_samples
        channels = self._spans(0, *section.extent, self.tile[0], 0)
        tallest = max(span.end - span.start for span in channels)
        longest = self.tile[1] * max(1, self.tile[0] // tallest)
        times = self._spans(1, origin, samples, longest, context)

        def read(channel: Span, time: Span) -> np.ndarray:
            tile = np.zeros((channel.end - channel.start, time.end - time.start), np.float32)
            part = section.between(channel.start, channel.end)
            rows, first = section.rows[part], max(time.start, origin)
            if len(rows) == 0:
                return tile
            inside = slice(first - origin, min(time.end, origin + samples) - origin)
            alike = slice(rows[0], rows[-1] + 1)
            values = scale.apply(data[alike, inside], first, alike)
            lead = first - time.start
            tile[section.positions[part] - channel.start, lead : lead + values.shape[1]] = values
            return tile

        tiles = score_tiles(
            read, self._network, channels, times, device=self._device, batch_size=self.batch_size
        )
        total = len(channels) * len(times)
        for channel, time, scores in tqdm(tiles, "picking", total, unit="tile", disable=not progress):
            part = section.between(channel.core_start, channel.core_end)
            if part.start == part.stop:
                continue
            first = max(time.scored_start, origin)
            wanted = slice(
                first - time.scored_start, min(time.scored_end, origin + samples) - time.scored_start
            )
            positions = section.positions[part] - channel.scored_start
            kept = scores[np.asarray(self._order)[:, None], positions][..., wanted]
            rows = section.rows[part]
            core = (time.core_start - first, time.core_end - first)
            yield _block(prepared, kept, (int(rows[0]), int(rows[-1]) + 1), first - origin, core)

    def _network(self, data: Tensor, core: tuple[tuple[int, int], tuple[int, int]]) -> Tensor:
        logits: Tensor = self._fused(data, core)
        return logits

    def _spans(self, axis: int, first: int, count: int, tile: int, context: int) -> list[Span]:
        stride, halo = self._stride[axis], self._halo[axis]
        tile = max(tile, self._smallest(axis, context))
        return plan_spans(first, count, tile=tile, halo=halo, stride=stride, context=context)

    def _smallest(self, axis: int, context: int) -> int:
        """Give the length of a tile whose core is half of it."""
        return 4 * (self._halo[axis] + -(-context // self._stride[axis]) * self._stride[axis])


class WindowScorer:
    """EQNet: windows of one absolute grid, for it normalises and pads inside of each."""

    def __init__(self, weights: Weights, model: EQNet, device: torch.device) -> None:
        self._weights, self._device = weights, device
        self._min_samples = model.min_samples
        self._fused = model.fused().to(device)
        self._order = _class_order(weights)

    def blocks(self, prepared: Prepared, *, context: int, progress: bool = False) -> Iterator[ScoredBlock]:
        """Score the whole cable some windows at a time; see :class:`Scorer`."""
        data, samples = prepared.all_data(), prepared.grid.num_samples
        size = _PICTURE_WINDOWS * self._weights.window_samples
        for section in split_sections(prepared.number, _PICTURE_CHANNELS):
            first, count = section.extent
            picture = np.zeros((count, samples), np.float32)
            picture[section.positions - first] = data[section.rows]
            tensor = torch.from_numpy(picture)
            rows = (int(section.rows[0]), int(section.rows[-1]) + 1)
            starts = range(0, samples, size)
            for start in tqdm(starts, desc="picking", unit="block", disable=not progress):
                low, high = max(0, start - context), min(samples, start + size + context)
                scores = picture_scores(
                    tensor,
                    self._score,
                    window=(_PICTURE_CHANNELS, self._weights.window_samples),
                    first_index=(first, prepared.grid.first_index),
                    span=(low, high),
                )
                kept = scores[np.asarray(self._order)[:, None], section.positions - first]
                core = (start - low, min(samples, start + size) - low)
                yield _block(prepared, kept, rows, low, core)

    def _score(self, window: Tensor) -> Tensor:
        """Probabilities of a window, shape (channel, time); a short one is padded with zeros."""
        lacking = max(0, self._min_samples - window.shape[-1])
        padded = torch.nn.functional.pad(window, (0, lacking))[None, None].to(self._device)
        with torch.inference_mode():
            scores = torch.softmax(self._fused(padded), dim=1)[0].cpu()
        return scores[..., : window.shape[-1]]


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
