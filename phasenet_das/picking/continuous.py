"""Continuous recordings to parts of one pick table: planned in shards, picked where they are not yet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from phasenet_das.config import ContinuousSettings
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io.recording import Recording
from phasenet_das.picking.coverage import coverage_table, left_out_row
from phasenet_das.picking.findings import ShardFacts
from phasenet_das.picking.parts import PartStore, ShardKeys, StoredPart
from phasenet_das.picking.pipeline import StageTimes, run_pipeline
from phasenet_das.picking.progress import Progress
from phasenet_das.picking.shards import RecordPlan, Shard, ShardSize
from phasenet_das.picking.work import PickedShard, ShardPicker
from phasenet_das.tables import COVERAGE_COLUMNS

log = logging.getLogger(__name__)

Submit = Callable[[Iterator["Todo"], PartStore, StageTimes], Iterator[StoredPart]]


@dataclass(frozen=True)
class Todo:
    """A shard that is not picked yet.

    Attributes
    ----------
    place : tuple of int
        Number of its record among those given, and of the scale.
    plan, shard : RecordPlan, Shard
        Where it lies.
    key : str
        Name of its part.
    """

    place: tuple[int, int]
    plan: RecordPlan
    shard: Shard
    key: str


@dataclass
class PickedParts:
    """The parts of a run.

    Attributes
    ----------
    parts : list of StoredPart
        Of all shards.
    left_out : pandas.DataFrame
        Coverage rows of records that cannot be picked.
    reused : int
        Parts that were there before.
    times : StageTimes
        What the time went into.
    """

    parts: list[StoredPart]
    left_out: pd.DataFrame
    reused: int = 0
    times: StageTimes = field(default_factory=StageTimes)

    @property
    def facts(self) -> list[ShardFacts]:
        """What was examined, shard by shard."""
        return [part.facts for part in self.parts]

    @property
    def amplitude_unit(self) -> str:
        """Unit of the amplitudes of all records."""
        units = sorted({part.facts.unit for part in self.parts})
        return units[0] if len(units) == 1 else "mixed: " + ", ".join(units)

    def coverage(self, further: Iterable[pd.DataFrame] = ()) -> pd.DataFrame:
        """Make the coverage table."""
        once = [facts for facts in self.facts if facts.scale == 0]
        return coverage_table(once, [self.left_out, *further])


@dataclass(frozen=True)
class ContinuousRun:
    """How continuous recordings are picked.

    Attributes
    ----------
    picker : ShardPicker
        The network and how to pick with it.
    size : ShardSize
        How much at a time.
    keys : ShardKeys
        Names of shards.
    strict : bool
        Raise at the first record that cannot be picked, and at the first bad channel.
    """

    picker: ShardPicker
    size: ShardSize
    keys: ShardKeys
    strict: bool = False

    @classmethod
    def of(
        cls,
        picker: ShardPicker,
        settings: ContinuousSettings | None = None,
        *,
        strict: bool = False,
    ) -> ContinuousRun:
        """Make a run of settings."""
        choice = settings or ContinuousSettings()
        size = ShardSize(choice.shard_samples, choice.shard_channels, choice.shard_s)
        return cls(picker, size, ShardKeys(picker.weights, picker.own_station_id), strict)

    def plans(self, records: Sequence[Recording]) -> tuple[dict[tuple[int, int], RecordPlan], pd.DataFrame]:
        """Plan the records that can be picked."""
        plans: dict[tuple[int, int], RecordPlan] = {}
        rows, first = [], None
        for number, record in enumerate(records):
            try:
                self.picker.station_id(record)
                plans |= {(number, plan.scale): plan for plan in self.picker.plans(record, self.size)}
            except PhaseNetDASError as error:
                if self.strict:
                    raise
                first = first or error
                log.error("%s is left out: %s", record.name, error)
                rows.append(_unpicked(record, str(error)))
        if first is not None and not plans:
            raise first
        return plans, pd.DataFrame(rows, columns=list(COVERAGE_COLUMNS))

    def pick_here(self, todo: Iterator[Todo], store: PartStore, times: StageTimes) -> Iterator[StoredPart]:
        """Pick shards in this process."""
        names: list[str] = []

        def work() -> Iterator[tuple[RecordPlan, Shard]]:
            for one in todo:
                names.append(one.key)
                yield one.plan, one.shard

        def keep(picked: PickedShard) -> StoredPart:
            return store.write(names.pop(0), picked)

        yield from run_pipeline(self.picker, work(), keep, times)


def pick_parts(
    run: ContinuousRun,
    records: Sequence[Recording],
    store: PartStore,
    *,
    resume: bool = True,
    submit: Submit | None = None,
    progress: bool = False,
) -> PickedParts:
    """Pick all shards of some records that are not picked yet."""
    plans, left_out = run.plans(records)
    store.sweep()
    found = PickedParts([], left_out)
    with Progress(plans.values(), shown=progress) as bar:

        def done(part: StoredPart, *, reused: bool) -> None:
            found.parts.append(part)
            found.reused += reused
            if run.strict:
                _check(part.facts)
            bar.advance(part, reused=reused)

        def todo() -> Iterator[Todo]:
            for place, plan in plans.items():
                for shard in plan.shards():
                    key = run.keys.key(plan, shard)
                    part = store.find(key) if resume else None
                    if part is None or part.facts.failures:  # what could not be read is tried again
                        store.discard(key)  # else a worker would find it done
                        yield Todo(place, plan, shard, key)
                    else:
                        done(part, reused=True)

        for part in (submit or run.pick_here)(todo(), store, found.times):
            done(part, reused=False)
    log.info(
        "%d shards picked, %d were there; time: %s",
        len(found.parts) - found.reused,
        found.reused,
        found.times,
    )
    return found


def _unpicked(record: Recording, reason: str) -> dict[str, Any]:
    end_ns = record.end_ns
    files = record.inputs()
    return left_out_row(
        reason,
        station_id=record.station_id,
        span_ns=(record.start_ns, end_ns),
        source=files[0][0] if files else "",
    )


def _check(facts: ShardFacts) -> None:
    """Stop at what is wrong with a shard."""
    wrong = [f"{len(facts.dead)} run(s) of dead channels, first {facts.dead[0][:2]}"] if facts.dead else []
    wrong += [f"{one.kind} channels {one.channels[0][0]}-{one.channels[0][1]}" for one in facts.findings]
    if wrong:
        start = pd.Timestamp(facts.start_ns, tz="UTC").isoformat()
        raise PhaseNetDASError(
            f"{facts.station_id} from {start} on: {'; '.join(wrong[:5])}. Take the channels out of the "
            "range, or leave --strict off: they are then named in the coverage table."
        )
