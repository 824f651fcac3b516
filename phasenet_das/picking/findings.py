"""What was examined of a shard and what was found wrong in it, in a form that can be written and merged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.picking.quality import KINDS

if TYPE_CHECKING:
    from phasenet_das.picking.quality import Screened
    from phasenet_das.picking.shards import RecordPlan, Shard, Window


Runs = tuple[tuple[int, int, int], ...]

_MANY_SPANS = 20
_COARSE_NS = 60_000_000_000


@dataclass(frozen=True)
class Finding:
    """Something wrong with some channels over some time.

    Attributes
    ----------
    kind : str
        One of ``phasenet_das.picking.quality.KINDS``.
    start_ns, end_ns : int
        Span, ns since 1970, half open.
    channels : tuple of (int, int, int)
        Runs of channels: first and last number, and how many.
    """

    kind: str
    start_ns: int
    end_ns: int
    channels: Runs


@dataclass(frozen=True)
class ShardFacts:
    """What was examined by a shard.

    Attributes
    ----------
    station_id : str
        Name of the cable.
    start_ns, end_ns : int
        Time of its core, ns since 1970, half open.
    first_channel, last_channel : int
        Smallest and largest channel number.
    num_channels : int
        Channels of the core.
    record_channels : int
        Channels of the whole record.
    dead : tuple of (int, int, int)
        Runs of channels that are dead throughout, as in :class:`Finding`.
    unit : str
        Unit of the amplitudes.
    sources : tuple of str
        First and last file behind the core.
    findings : tuple of Finding
        What was wrong.
    failures : dict of str to str
        Files that could not be read, of those loaded, and why.
    scale : int
        Number of the scale at which the network saw it, the fastest 0.
    slowness : float
        True seconds in one of the network's.
    share : float
        Of the work on the record that this scale is.
    """

    station_id: str
    start_ns: int
    end_ns: int
    first_channel: int
    last_channel: int
    num_channels: int
    record_channels: int
    dead: Runs
    unit: str
    sources: tuple[str, ...]
    findings: tuple[Finding, ...]
    failures: dict[str, str]
    scale: int
    slowness: float
    share: float

    def to_json(self) -> dict[str, Any]:
        """Give the facts as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ShardFacts:
        """Restore the facts from what :meth:`to_json` gave."""
        findings = tuple(
            Finding(one["kind"], one["start_ns"], one["end_ns"], _runs_of(one["channels"]))
            for one in values["findings"]
        )
        rest = {"dead": _runs_of(values["dead"]), "sources": tuple(values["sources"]), "findings": findings}
        return cls(**{**values, **rest})


def describe_shard(
    plan: RecordPlan, shard: Shard, window: Window, screened: Screened, station_id: str, unit: str
) -> ShardFacts:
    """Collect what was examined by a shard, and what was found wrong."""
    record, (first, end) = plan.record, plan.core_source(shard)
    mine = np.isin(window.positions, plan.core_channels(shard))
    numbers = record.channel_index[window.positions[mine]].astype(np.int64)
    order = np.argsort(numbers)
    flags, numbers = screened.flags[:, mine][:, order], numbers[order]
    ends = np.append(screened.edges[1:], window.source[1])
    touching = (screened.edges < end) & (ends > first)
    files = [path for path, _ in record.inputs(slice(first, end))]
    seen = {path for path, _ in record.inputs(slice(*window.source))}
    dead = flags[0][:, touching].all(axis=1)
    return ShardFacts(
        station_id=station_id,
        start_ns=_time_ns(plan, first),
        end_ns=_time_ns(plan, end),
        first_channel=int(numbers[0]),
        last_channel=int(numbers[-1]),
        num_channels=len(numbers),
        record_channels=len(record.channel_index),
        dead=_runs(numbers, dead),
        unit=unit,
        sources=tuple(dict.fromkeys((*files[:1], *files[-1:]))),
        findings=tuple(
            _findings(plan, flags & ~(dead[:, None]), screened.edges, ends, (first, end), numbers)
        ),
        failures={path: reason for path, reason in record.failures.items() if path in seen},
        scale=plan.scale,
        slowness=plan.slowness,
        share=plan.share,
    )


def dead_throughout(facts: Sequence[ShardFacts], channel_index: np.ndarray) -> list[int]:
    """Name the channels of a record that hold one value throughout.

    `channel_index` (channel,) int.
    """
    alive: set[int] = set()
    dead: set[int] = set()
    for one in facts:
        here = {number for first, last, _ in one.dead for number in range(first, last + 1)}
        alive |= set(range(one.first_channel, one.last_channel + 1)) - here
        dead |= here
    return sorted((dead - alive) & set(channel_index.tolist()))


def _findings(
    plan: RecordPlan,
    flags: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    core: tuple[int, int],
    numbers: np.ndarray,
) -> Iterator[Finding]:
    """Join blocks in which the same channels are wrong; a block belongs to the shard in which it begins."""
    mine = (starts >= core[0]) & (starts < core[1])
    starts, ends = starts[mine], ends[mine]
    for kind, flag in zip(KINDS, flags[..., mine], strict=True):
        if not flag.any():
            continue
        changes = np.nonzero((flag[:, 1:] != flag[:, :-1]).any(axis=0))[0] + 1
        if len(changes) > _MANY_SPANS:
            minute = np.array([_time_ns(plan, int(start)) // _COARSE_NS for start in starts])
            changes = np.nonzero(np.diff(minute))[0] + 1
        for block in np.split(np.arange(len(starts)), changes):
            wrong = flag[:, block].any(axis=1)
            if wrong.any():
                span = _time_ns(plan, int(starts[block[0]])), _time_ns(plan, int(ends[block[-1]]))
                yield Finding(kind, *span, _runs(numbers, wrong))


def _time_ns(plan: RecordPlan, sample: int) -> int:
    return int(plan.source_grid.times_ns(np.array(sample)))


def _runs(numbers: np.ndarray, chosen: np.ndarray) -> Runs:
    """Join neighbouring chosen channels to runs, first and last number."""
    edges = np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]]))
    first, last = np.nonzero(edges == 1)[0], np.nonzero(edges == -1)[0] - 1
    ends = zip(first.tolist(), last.tolist(), strict=True)
    return tuple((int(numbers[i]), int(numbers[j]), j - i + 1) for i, j in ends)


def _runs_of(values: Sequence[Sequence[int]]) -> Runs:
    return tuple((int(first), int(last), int(count)) for first, last, count in values)
