"""The steps by which a shard becomes rows of the pick table: load, prepare, score, finish."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from phasenet_das.config import PickSettings
from phasenet_das.errors import ConfigError
from phasenet_das.io.recording import Recording
from phasenet_das.models.weights import Weights
from phasenet_das.picking.assemble import block_picks, pick_amplitudes, pick_table, state_reliability
from phasenet_das.picking.findings import ShardFacts, describe_shard
from phasenet_das.picking.quality import screen
from phasenet_das.picking.scales import scale_settings, warn_outside_training
from phasenet_das.picking.scorers import ReadyPiece, Scorer
from phasenet_das.picking.shards import RecordPlan, Shard, ShardSize, Window
from phasenet_das.tables import empty_picks


@dataclass(frozen=True)
class LoadedShard:
    """A shard and its samples.

    Attributes
    ----------
    plan, shard, window : RecordPlan, Shard, Window
        Where it lies.
    data : numpy.ndarray, shape (channel, time), float32
        As read.
    """

    plan: RecordPlan
    shard: Shard
    window: Window
    data: np.ndarray


@dataclass(frozen=True)
class ReadyShard:
    """A shard ready for the network.

    Attributes
    ----------
    plan, shard, window : RecordPlan, Shard, Window
        Where it lies.
    piece : ReadyPiece
        Conditioned, resampled samples.
    facts : ShardFacts
        What was found wrong.
    """

    plan: RecordPlan
    shard: Shard
    window: Window
    piece: ReadyPiece
    facts: ShardFacts


@dataclass(frozen=True)
class ScoredShard:
    """A shard whose picks are found.

    Attributes
    ----------
    ready : ReadyShard
        The shard.
    picks : pandas.DataFrame
        Rows of :func:`phasenet_das.picking.assemble.block_picks`, with those a little beyond the core.
    """

    ready: ReadyShard
    picks: pd.DataFrame


@dataclass(frozen=True)
class PickedShard:
    """The picks of the core of a shard.

    Attributes
    ----------
    shard : Shard
        The shard.
    picks : pandas.DataFrame
        Rows of the pick table, sorted by time, channel and phase.
    facts : ShardFacts
        What was examined.
    """

    shard: Shard
    picks: pd.DataFrame
    facts: ShardFacts


class ShardPicker:
    """A network and how to pick with it.

    Attributes
    ----------
    weights, settings, own_station_id
        The parameters.
    """

    def __init__(
        self, weights: Weights, scorer: Scorer, settings: PickSettings, station_id: str | None = None
    ) -> None:
        self.weights, self.settings = weights, settings
        self._scorer, self.own_station_id = scorer, station_id

    @property
    def fast_network(self) -> bool:
        """Whether reading and preparing may take longer than the network."""
        return self._scorer.device.type != "cpu"

    def plans(self, record: Recording, size: ShardSize) -> list[RecordPlan]:
        """Plan how a record is picked, at every scale."""
        scales = scale_settings(record, self.settings, self.weights)
        warn_outside_training(record, scales[0].settings, self.weights)
        return [
            RecordPlan(
                record,
                scale.settings,
                sampling_rate_hz=self.weights.sampling_rate_hz,
                reach=self._scorer.reach,
                size=size,
                scale=number,
                share=scale.share,
            )
            for number, scale in enumerate(scales)
        ]

    def station_id(self, record: Recording) -> str:
        """Name the cable of a record."""
        station = self.own_station_id or record.station_id
        if not station:
            raise ConfigError("pick: the recording does not name its cable; say station_id= (--station-id).")
        return station

    def load(self, plan: RecordPlan, shard: Shard) -> LoadedShard:
        """Read what a shard needs."""
        window = plan.window(shard)
        data = plan.record.load(window.channels, slice(*window.source))
        if data.shape[0] != len(window.positions):
            data = data[window.positions - window.channels.start]
        return LoadedShard(plan, shard, window, data)

    def prepare(self, loaded: LoadedShard) -> ReadyShard:
        """Screen, condition and resample a shard, and measure its amplitudes."""
        plan, shard, window = loaded.plan, loaded.shard, loaded.window
        screened = screen(loaded.data, window.source[0], plan.quality)
        prepared = plan.prepare(shard, window, screened)
        station = self.station_id(plan.record)
        facts = describe_shard(plan, shard, window, screened, station, prepared.source.unit)
        return ReadyShard(plan, shard, window, self._scorer.ready(prepared), facts)

    def score(self, ready: ReadyShard) -> ScoredShard:
        """Let the network score a shard, and find the peaks."""
        plan = ready.plan
        parts = [
            block_picks(block, self.settings.thresholds(), plan.separation)
            for block in self._scorer.blocks(ready.piece, context=plan.context)
        ]
        return ScoredShard(ready, pd.concat(parts, ignore_index=True) if parts else pd.DataFrame())

    def finish(self, scored: ScoredShard) -> PickedShard:
        """Measure amplitudes and keep the picks of the core."""
        ready, picks = scored.ready, scored.picks
        plan, record, prepared = ready.plan, ready.plan.record, ready.piece.prepared
        if picks.empty:
            return PickedShard(ready.shard, empty_picks(), ready.facts)
        picks["phase_amplitude"] = pick_amplitudes(
            picks,
            prepared.source.data,
            plan.source_grid,
            first=prepared.source_first,
            missing=prepared.source.missing,
        )
        end = plan.grid.first_index + ready.shard.core[1]
        picks = picks[picks["peak_sample"] < end]
        positions = ready.window.positions
        table = pick_table(
            picks,
            self.station_id(record),
            record.channel_index[positions],
            record.distance_m[positions],
        )
        if self.weights.calibration is not None:
            table = state_reliability(table, self.weights.calibration, plan.grid.dt_s)
        return PickedShard(ready.shard, table, ready.facts)

    def pick(self, plan: RecordPlan, shard: Shard) -> PickedShard:
        """Pick a shard, one step after the other."""
        return self.finish(self.score(self.prepare(self.load(plan, shard))))
