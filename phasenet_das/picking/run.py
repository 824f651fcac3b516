"""Pick recordings chunk by chunk: read ahead, fill chunks, and keep them in a store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
import torch

from phasenet_das.config import ContinuousSettings, PickSettings
from phasenet_das.errors import ConfigError, PhaseNetDASError
from phasenet_das.io.patch import UNKNOWN_UNIT
from phasenet_das.io.recording import Recording
from phasenet_das.models.weights import Weights
from phasenet_das.picking.chunks import Chunk
from phasenet_das.picking.multirate import choose_rate_passes, range_margin_s, warn_outside_training
from phasenet_das.picking.networks import Scorer
from phasenet_das.picking.peaks import add_pick_probability, pick_table, score_picks
from phasenet_das.picking.plan import ChunkPlan, ChunkSize
from phasenet_das.picking.prefetch import prefetch, side_by_side
from phasenet_das.picking.progress import Progress, StageTimes
from phasenet_das.picking.request import Range
from phasenet_das.picking.store import FAINT, ChunkKeys, Store, StoredChunk
from phasenet_das.tables import COVERAGE_COLUMNS, empty_picks
from phasenet_das.tables.columns import below_scores
from phasenet_das.tables.coverage import ChunkInfo, clip_coverage, clip_info, coverage_table, left_out_row
from phasenet_das.tables.provenance import one_or_mixed

log = logging.getLogger(__name__)

_SIDE_BY_SIDE = 2  # chunks in memory at a time
_SHORT = 25_000_000  # samples of a recording that is read once for all rates and ranges of channels

Submit = Callable[[Iterator[Chunk], Store, StageTimes], Iterator[StoredChunk]]
"""Picks chunks somewhere, and keeps them in the store."""


@dataclass(frozen=True)
class ChunkPicker:
    """A network and how to pick with it: the steps that fill a chunk."""

    weights: Weights
    scorer: Scorer
    settings: PickSettings
    own_station_id: str | None = None

    def plans(
        self, recording: Recording, size: ChunkSize, wanted: Range | None = None, number: int = 0
    ) -> list[ChunkPlan]:
        """Plan how a recording is picked, in every rate pass."""
        passes = choose_rate_passes(recording, self.settings, self.weights)
        warn_outside_training(recording, passes[0].settings, self.weights)
        return [
            ChunkPlan(
                recording,
                one,
                sampling_rate_hz=self.weights.sampling_rate_hz,
                field=self.scorer.field,
                size=size,
                wanted=wanted,
                margin_s=self.margin_s,
                number=number,
            )
            for one in passes
        ]

    @property
    def margin_s(self) -> float:
        """Time beyond a range that is picked to join the picks of an arrival, s."""
        return range_margin_s(self.settings, self.weights)

    def station_id(self, recording: Recording) -> str:
        """Name the cable of a recording."""
        return self.own_station_id or recording.station_id or "DAS"

    def load(self, chunk: Chunk) -> Chunk:
        """Read the samples of a chunk."""
        chunk.load()
        return chunk

    def prepare(self, chunk: Chunk) -> Chunk:
        """Preprocess a chunk, and measure its amplitudes for the network."""
        chunk.preprocess(self.station_id(chunk.plan.recording))
        self.scorer.normalise(chunk)
        return chunk

    def score(self, chunk: Chunk) -> Chunk:
        """Score a chunk with the network, and find the peaks."""
        plan, thresholds = chunk.plan, self.settings.listed_down_to()
        tables = [
            score_picks(scores, thresholds, plan.separation)
            for scores in self.scorer.scores(chunk, context=plan.peak_context)
        ]
        chunk.peaks = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
        return chunk

    def finish(self, chunk: Chunk) -> Chunk:
        """Measure amplitudes, keep the picks of the core, and forget the samples."""
        chunk.picks = self._table(chunk)
        chunk.clear()
        return chunk

    def pick(self, chunk: Chunk) -> Chunk:
        """Pick a chunk, one step after the other."""
        return self.finish(self.score(self.prepare(self.load(chunk))))

    def _table(self, chunk: Chunk) -> pd.DataFrame:
        plan, recording, picks = chunk.plan, chunk.plan.recording, chunk.peaks
        assert picks is not None  # noqa: S101 - scored before
        if picks.empty:
            return empty_picks()
        thresholds = self.settings.thresholds()
        picks["phase_amplitude"] = chunk.amplitudes(picks, below_scores(picks, thresholds).to_numpy())
        channels = recording.channel_index[chunk.context.positions]
        inside = plan.wanted.holds_channels(channels)[picks["row"].to_numpy()]
        picks = picks[inside & (picks["peak_sample"] < plan.grid.first_index + chunk.core[1]).to_numpy()]
        distances = recording.distance_m[chunk.context.positions]
        table = pick_table(picks, self.station_id(recording), channels, distances)
        if self.weights.calibration is not None:
            table = add_pick_probability(table, self.weights.calibration, plan.grid.dt_s)
        if self.settings.faint_score is not None:
            table[FAINT] = below_scores(table, thresholds)
        return table


class _Reader:
    """Reads the samples of chunks, those of a short recording once."""

    def __init__(self) -> None:
        self.turn = Lock()
        self._recording: Recording | None = None
        self._samples: np.ndarray | None = None  # (channel, time) float32, of the short recording

    def read(self, chunk: Chunk) -> Chunk:
        """Load a chunk."""
        plan, recording = chunk.plan, chunk.plan.recording
        if recording.num_samples * recording.num_channels > _SHORT or plan.wanted != Range():
            chunk.load()
            return chunk
        if recording is not self._recording or recording.failures:  # files that failed are read again
            self._recording, self._samples = recording, recording.load()
        chunk.load(self._samples)
        return chunk

    def forget(self) -> None:
        """Free the samples."""
        self._recording = self._samples = None


@dataclass(frozen=True)
class PickRun:
    """How recordings are picked: with which network, how much at a time, and in which range."""

    picker: ChunkPicker
    size: ChunkSize
    keys: ChunkKeys
    wanted: Range = field(default_factory=Range)  # times and channels
    strict: bool = False  # raise at the first recording that cannot be picked, and at the first bad channel
    reader: _Reader = field(default_factory=_Reader, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        picker: ChunkPicker,
        settings: ContinuousSettings | None = None,
        *,
        wanted: Range | None = None,
        strict: bool = False,
    ) -> PickRun:
        """Make a run from settings."""
        choice = settings or ContinuousSettings()
        size = ChunkSize(choice.chunk_samples, choice.chunk_channels, choice.chunk_s)
        return cls(picker, size, ChunkKeys(picker.weights, picker.own_station_id), wanted or Range(), strict)

    def plans(self, recordings: Sequence[Recording]) -> tuple[dict[tuple[int, int], ChunkPlan], pd.DataFrame]:
        """Plan the recordings of the range that can be picked; list the others as rows of coverage."""
        plans: dict[tuple[int, int], ChunkPlan] = {}
        rows, first = [], None
        margin_ns = (self.picker.margin_s + 1.0) * 1e9
        for number, recording in enumerate(recordings):
            if not self.wanted.meets(recording.start_ns - margin_ns, recording.end_ns + margin_ns):
                continue
            try:
                found = self.picker.plans(recording, self.size, self.wanted, number)
            except PhaseNetDASError as error:
                if self.strict:
                    raise
                first = first or error
                log.error("%s is left out: %s", recording.name, error)
                rows.append(_unpicked(recording, str(error)))
            else:
                plans |= {plan.place: plan for plan in found if not plan.is_empty}
        if not plans:
            raise first or self._nothing(recordings)
        return plans, pd.DataFrame(rows, columns=list(COVERAGE_COLUMNS))

    def pick_here(self, todo: Iterator[Chunk], store: Store, times: StageTimes) -> Iterator[StoredChunk]:
        """Pick chunks in this process.

        A CPU picks two chunks side by side. A GPU, and a CPU with one thread, score one while the next is
        read and prepared. Where the network runs on a GPU, reading and preparing also overlap, for one more
        chunk in memory.
        """
        if self.picker.scorer.device.type == "cpu" and torch.get_num_threads() > 1:
            for chunk, own in side_by_side(partial(self._pick, store), todo, _SIDE_BY_SIDE):
                times.add(own)
                yield chunk
            return
        loaded: Iterable[Chunk] = map(times.timed("read", self.reader.read), todo)
        if self.picker.scorer.device.type != "cpu":
            loaded = prefetch(loaded)
        for ready in prefetch(map(times.timed("prepare", self.picker.prepare), loaded)):
            yield self._finish(ready, store, times)

    def _pick(self, store: Store, chunk: Chunk) -> tuple[StoredChunk, StageTimes]:
        """Pick a chunk in a thread; readers of files take turns."""
        times = StageTimes()
        with self.reader.turn:
            times.timed("read", self.reader.read)(chunk)
        times.timed("prepare", self.picker.prepare)(chunk)
        return self._finish(chunk, store, times), times

    def _finish(self, chunk: Chunk, store: Store, times: StageTimes) -> StoredChunk:
        """Score a prepared chunk, and keep its picks."""

        def keep(scored: Chunk) -> StoredChunk:
            return store.write(self.picker.finish(scored))

        times.samples += (chunk.core[1] - chunk.core[0]) * (chunk.rows[1] - chunk.rows[0])
        times.timed("network", self.picker.score)(chunk)
        return times.timed("picks", keep)(chunk)

    def _nothing(self, recordings: Sequence[Recording]) -> PhaseNetDASError:
        channels = self.wanted.channels
        if channels is not None and not any(
            self.wanted.holds_channels(one.channel_index).any() for one in recordings
        ):
            low = min((int(one.channel_index.min()) for one in recordings), default=0)
            high = max((int(one.channel_index.max()) for one in recordings), default=0)
            return ConfigError(
                f"pick: no channel in the range {channels[0]}:{channels[1]}. The recordings have "
                f"{low} to {high}."
            )
        start = min(one.start_time for one in recordings)
        end = max(one.end_time for one in recordings)
        return ConfigError(
            f"pick: no recording in this range of time. The recordings run from {start} to {end}."
        )


@dataclass
class PickedChunks:
    """The chunks of a run."""

    chunks: list[StoredChunk]
    left_out: pd.DataFrame  # coverage rows of recordings that cannot be picked
    wanted: Range = field(default_factory=Range)  # times and channels
    reused: int = 0  # chunks that an earlier run left
    times: StageTimes = field(default_factory=StageTimes)  # time spent in each step

    @property
    def infos(self) -> list[ChunkInfo]:
        """What was examined, chunk by chunk."""
        return [chunk.info for chunk in self.chunks]

    @property
    def amplitude_unit(self) -> str:
        """Unit of the amplitudes of all recordings."""
        return one_or_mixed(info.unit for info in self.infos) or UNKNOWN_UNIT

    def coverage(self, further: Iterable[pd.DataFrame] = ()) -> pd.DataFrame:
        """Make the coverage table of the range."""
        limits = self.wanted.start_ns, self.wanted.end_ns
        clipped = (clip_info(info, *limits) for info in self.infos if info.rate_pass == 0)
        tables = [clip_coverage(table, *limits) for table in (self.left_out, *further)]
        return coverage_table([info for info in clipped if info is not None], tables)


def pick_chunks(
    run: PickRun,
    recordings: Sequence[Recording],
    store: Store,
    *,
    resume: bool = True,
    submit: Submit | None = None,
    progress: bool = False,
) -> PickedChunks:
    """Pick all chunks of some recordings that are not in the store."""
    plans, left_out = run.plans(recordings)
    store.sweep()
    found = PickedChunks([], left_out, run.wanted)
    with Progress(plans.values(), shown=progress) as bar:

        def done(chunk: StoredChunk, *, reused: bool) -> None:
            found.chunks.append(chunk)
            found.reused += reused
            if run.strict:
                _check(chunk.info)
            bar.advance(chunk, reused=reused)

        def todo() -> Iterator[Chunk]:
            for plan in plans.values():
                for chunk in (Chunk(plan, *core) for core in plan.cores()):
                    chunk.key = run.keys.key(chunk)
                    there = store.find(chunk.key) if resume else None
                    if there is None or there.info.failures:  # files that failed are read again
                        store.discard(chunk.key)  # else a worker would find it done
                        yield chunk
                    else:
                        done(there, reused=True)

        for chunk in (submit or run.pick_here)(todo(), store, found.times):
            done(chunk, reused=False)
    run.reader.forget()
    log.info(
        "%d chunks picked, %d reused. Time: %s", len(found.chunks) - found.reused, found.reused, found.times
    )
    return found


def _unpicked(recording: Recording, reason: str) -> dict[str, Any]:
    files = recording.inputs()
    return left_out_row(
        reason,
        station_id=recording.station_id,
        span_ns=(recording.start_ns, recording.end_ns),
        source=files[0][0] if files else "",
    )


def _check(info: ChunkInfo) -> None:
    """Stop at a problem of a chunk."""
    wrong = [f"{len(info.dead)} run(s) of dead channels, first {info.dead[0][:2]}"] if info.dead else []
    wrong += [f"{one.kind} channels {one.channels[0][0]}-{one.channels[0][1]}" for one in info.issues]
    if wrong:
        start = pd.Timestamp(info.start_ns, tz="UTC").isoformat()
        raise PhaseNetDASError(
            f"{info.station_id} from {start} on: {'; '.join(wrong[:5])}. Take the channels out of the "
            "range, or leave --strict off: they are then named in the coverage table."
        )
