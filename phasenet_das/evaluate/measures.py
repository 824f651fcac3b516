"""Measures of a catalog that need no truth: picks that associate, differential times, events by stage.

They are those of Zhu et al. (2023, doi:10.1038/s41467-023-43355-3), whose values stand beside them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from phasenet_das.errors import DataFormatError, SamplingError, TableError
from phasenet_das.evaluate.waveforms import (
    CorrelationWindow,
    sample_differential_times,
    summarize_differential_times,
)
from phasenet_das.io.recording import Recording
from phasenet_das.tables import read_catalog, read_picks
from phasenet_das.tables.columns import associated_phase, renamed
from phasenet_das.text import json_records

log = logging.getLogger(__name__)

PAPER: Final[dict[str, Any]] = {
    "doi": "10.1038/s41467-023-43355-3",
    "share_associated": {"PhaseNet": [0.59, 0.69], "PhaseNet-DAS": [0.89, 0.92]},
    "differential_times": {"P": {"mean_s": 0.001, "std_s": 0.06}, "S": {"mean_s": 0.005, "std_s": 0.25}},
}
"""The values of the paper. Its spread of differential times is their standard deviation."""

START: Final = "start"
"""The stage that picks with the weights from which the first training starts."""

_UNKNOWN = "\N{EN DASH}"
_FEW_PAIRS = 30
_FEWEST_KEPT, _MOST_SCATTER = 0.95, 1.1
_TIME_MEASURES = {"mean_s": "mean", "std_s": "spread"}


@dataclass(frozen=True)
class MeasuredStage:
    """A pick table after association, and the recordings that it was picked on.

    Attributes
    ----------
    name, picker : str
        Stage of the run, and its network. Both are for people.
    picks, events : pandas.DataFrame
        Tables after association. Events are counted, by ``quality`` where they have it.
    recordings : sequence of phasenet_das.io.Recording
        Without recordings, no differential times are measured.
    before : str
        Stage of the same recordings that this one is compared with; empty for none.
    makes_catalog : bool
        Whether its events are the catalog.
    """

    name: str
    picker: str
    picks: pd.DataFrame
    events: pd.DataFrame
    recordings: Sequence[Recording] = ()
    before: str = ""
    makes_catalog: bool = False

    @property
    def title(self) -> str:
        """Stage and picker."""
        return f"{self.name}: {self.picker}" if self.picker else self.name


def read_stage(
    name: str, path: Path, recordings: Sequence[Recording] = (), before: str = ""
) -> MeasuredStage:
    """Read a folder that `associate` wrote, or a pick table after association."""
    if path.is_dir():
        events, picks = read_catalog(path)
    else:
        picks = read_picks(path)
        known = picks.loc[picks["event_index"] >= 0, "event_index"].drop_duplicates()
        events = known.to_frame()
    return MeasuredStage(name, "", picks, events, recordings, before)


def measure_catalog(
    stages: Iterable[MeasuredStage], window: CorrelationWindow | None = None, *, seed: int = 0
) -> dict[str, Any]:
    """Measure the stages of a run, compare them, and judge the one that makes the catalog.

    Parameters
    ----------
    stages : iterable of MeasuredStage
        In the order of the run. One stage is held in memory at a time. The last one makes the catalog, unless
        another says so.
    window : CorrelationWindow, optional
        Window of the cross-correlation.
    seed : int
        Seed by which pairs of picks are drawn.

    Returns
    -------
    dict
        For JSON: ``stages`` (a dict for each stage), ``catalog`` (the name of its stage), ``paper``
        (:data:`PAPER`), ``verdicts`` (a dict for each stage and the one before: :func:`improves`),
        ``judgements`` (sentences on the catalog, its measures, and the training).

    Raises
    ------
    TableError
        There is no stage, or the picks of a stage have not been associated.
    """
    measured: dict[str, dict[str, Any]] = {}
    pairs, catalog = [], ""
    for stage in stages:
        measured[stage.name] = _measure(stage, window, seed)
        pairs += [(stage.name, stage.before)] if stage.before in measured else []
        catalog = stage.name if stage.makes_catalog else catalog
    if not measured:
        raise TableError("no pick table was given to measure. Expected one for each stage.")
    catalog = catalog or next(reversed(measured))
    verdicts = [_verdict(measured[new], measured[old]) for new, old in pairs]
    told = [*_judgements(measured, catalog), *_tell_verdicts(verdicts, measured[catalog])]
    told += _tell_training(measured, catalog)
    return {
        "stages": list(measured.values()),
        "catalog": catalog,
        "paper": PAPER,
        "verdicts": verdicts,
        "judgements": told,
    }


def improves(new: Mapping[str, Any], old: Mapping[str, Any]) -> tuple[bool, str]:
    """Decide without truth whether a stage is better than another one of the same recordings.

    A stage is better when a larger share of its picks associates, at least 95 % as many picks associate, and
    its differential times scatter at most 10 % more. Times of a phase count where 30 pairs of each stage
    have similar waveforms.

    Parameters
    ----------
    new, old : mapping
        Measures of two stages, from ``stages`` of :func:`measure_catalog`.

    Returns
    -------
    bool
        Whether `new` is better.
    str
        The same in a sentence, with the figures that decide.
    """
    found, known = new["picks"][-1], old["picks"][-1]
    facts = [
        (
            (found["share"] or 0.0) > (known["share"] or 0.0),
            f"{_tenths(found['share'])} of its picks associate instead of {_tenths(known['share'])}",
        ),
        (
            found["num_associated"] >= _FEWEST_KEPT * known["num_associated"],
            f"{found['num_associated']:,} picks associate instead of {known['num_associated']:,}",
        ),
    ]
    for phase, (mine, other) in _judged_times(new, old):
        text = f"{phase} times scatter by {_ms(mine, 'std_s')} instead of {_ms(other, 'std_s')}"
        facts.append((mine["std_s"] <= _MOST_SCATTER * other["std_s"], text))
    better = all(holds for holds, _ in facts)
    word = "better" if better else "worse"
    reasons = ", ".join(text for holds, text in facts if holds == better)
    return better, f"The {_picker(new)} is {word} than the {_picker(old)}: {reasons}."


def _judged_times(*stages: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Find the phases of which every stage has differential times enough."""
    for phase in PAPER["differential_times"]:
        times = [_of_phase(one, phase) for one in stages]
        if min(row.get("num_kept", 0) for row in times) >= _FEW_PAIRS:
            yield phase, times


def _verdict(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    better, text = improves(new, old)
    return {"stage": new["stage"], "before": old["stage"], "better": better, "text": text}


def _picker(stage: Mapping[str, Any]) -> str:
    return str(stage["picker"] or stage["stage"])


def _measure(stage: MeasuredStage, window: CorrelationWindow | None, seed: int) -> dict[str, Any]:
    picks, events = stage.picks, stage.events
    kept = picks["event_index"] >= 0
    if len(picks) and not kept.any() and "reason" not in picks.columns:
        raise TableError(
            f"{stage.title}: no pick has an event, expected picks after association. Run phasenet-das "
            "associate, and measure its folder."
        )
    found = {
        "stage": stage.name,
        "picker": stage.picker,
        "num_events": len(events),
        "classes": _classes(events),
        "picks": [_associated(picks, phase) for phase in ("P", "S", "all")],
        "renamed": _renamed(picks[kept]),
        "groups": _groups(picks),
    }
    return found | _differential_times(stage, window, seed)


def _classes(events: pd.DataFrame) -> dict[str, int] | None:
    """Count events by class of quality; None where association does not say."""
    if "quality" not in events.columns:
        return None
    classes = {name: int((events["quality"] == name).sum()) for name in "ABCD"}
    return classes if any(classes.values()) else None


def _associated(picks: pd.DataFrame, phase: str) -> dict[str, Any]:
    """Count the picks of a phase, or "all", that have an event."""
    mine = picks if phase == "all" else picks[associated_phase(picks) == phase]
    number = int((mine["event_index"] >= 0).sum())
    return {"phase": phase, "num_picks": len(mine), "num_associated": number, **_share(number, len(mine))}


def _renamed(kept: pd.DataFrame) -> dict[str, Any] | None:
    """Count the picks that association took for the other phase; None where it does not say."""
    if "associated_phase" not in kept.columns:
        return None
    number = int(renamed(kept).sum())
    return {"num_picks": number, **_share(number, len(kept))}


def _groups(picks: pd.DataFrame) -> dict[str, Any] | None:
    """Count coherent groups without an event, and their picks; None where association does not say."""
    if "group_index" not in picks.columns:
        return None
    index = picks.loc[picks["group_index"] >= 0, "group_index"]
    return {"num_groups": index.nunique(), "num_picks": len(index), **_share(len(index), len(picks))}


def _share(number: int, total: int) -> dict[str, float | None]:
    return {"share": number / total if total else None}


def _differential_times(stage: MeasuredStage, window: CorrelationWindow | None, seed: int) -> dict[str, Any]:
    """Sum up differential times, or say why there are none."""
    if not stage.recordings:
        return {"differential_times": [], "not_compared": "no recordings were given"}
    try:
        pairs = sample_differential_times(stage.recordings, stage.picks, window, seed=seed)
    except (DataFormatError, SamplingError, TableError) as error:
        log.warning("%s: no differential times: %s", stage.title, error)
        return {"differential_times": [], "not_compared": str(error)}
    return {"differential_times": json_records(summarize_differential_times(pairs)), "not_compared": ""}


def measures_table(measures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Lay out measures as words: a row for each measure, a column for each stage, and the paper's values.

    Parameters
    ----------
    measures : mapping
        Those of :func:`measure_catalog`, or read from ``measures.json``.

    Returns
    -------
    header : list of str
        Names of the columns.
    rows : list of list of str
        Rows that are unknown for all stages are left out.
    """
    stages, paper = measures["stages"], measures["paper"]
    shares = ", ".join(f"{name} {_range(*limits)}" for name, limits in paper["share_associated"].items())
    rows = [["Events", *(f"{one['num_events']:,}" for one in stages), _UNKNOWN]]
    rows.append(["Events of class A, B, C, D", *map(_class_text, stages), _UNKNOWN])
    for place, name in enumerate(("P picks", "S picks", "All picks")):
        rows.append([f"{name} that associate", *(_part(one["picks"][place]) for one in stages), shares])
    for phase, known in paper["differential_times"].items():
        times = [_of_phase(one, phase) for one in stages]
        rows.append([f"{phase} pairs with similar waveforms", *map(_similar_text, times), _UNKNOWN])
        for column, name in _TIME_MEASURES.items():
            texts = [_ms(row, column) for row in (*times, known)]
            rows.append([f"{phase} differential times, {name}", *texts])
    rows.append(["Picks taken for the other phase", *(_part(one["renamed"]) for one in stages), _UNKNOWN])
    rows.append(["Picks in groups without an event", *map(_group_text, stages), _UNKNOWN])
    header = ["Measure", *(f"{one['stage']}: {one['picker']}".removesuffix(": ") for one in stages), "Paper"]
    return header, [row for row in rows if set(row[1:-1]) != {_UNKNOWN}]


def _range(low: float, high: float) -> str:
    return f"{100 * low:.0f}-{100 * high:.0f} %"


def _percent(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{100 * share:.0f} %"


def _tenths(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{100 * share:.1f} %"


def _part(count: Mapping[str, Any] | None) -> str:
    """Write a share, and what it is a share of, where that is known."""
    if count is None:
        return _UNKNOWN
    of = f" of {count['num_picks']:,}" if "num_associated" in count else f" ({count['num_picks']:,})"
    return _UNKNOWN if count["share"] is None else _percent(count["share"]) + of


def _class_text(stage: Mapping[str, Any]) -> str:
    return _UNKNOWN if stage["classes"] is None else ", ".join(map(str, stage["classes"].values()))


def _group_text(stage: Mapping[str, Any]) -> str:
    groups = stage["groups"]
    return _UNKNOWN if groups is None else f"{_part(groups)} in {groups['num_groups']:,}"


def _of_phase(stage: Mapping[str, Any], phase: str) -> Mapping[str, Any]:
    """Find the differential times of a phase; empty where none was compared."""
    return next((row for row in stage["differential_times"] if row["phase"] == phase), {})


def _similar_text(times: Mapping[str, Any]) -> str:
    pairs = times.get("num_pairs")
    return f"{_percent(times['num_kept'] / pairs)} of {pairs:,}" if pairs else _UNKNOWN


def _ms(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    return _UNKNOWN if value is None else f"{1e3 * value:.{0 if abs(value) >= 0.01 else 1}f} ms"


def _judgements(stages: Mapping[str, Mapping[str, Any]], catalog: str) -> Iterator[str]:
    """One sentence for each measure of the catalog's stage, and its events beside those of the first."""
    last = stages[catalog]
    yield _judge_events(next(iter(stages.values())), last)
    yield _judge_associated(last["picks"][-1])
    if not last["differential_times"]:
        yield f"Picks were not compared with waveforms: {last['not_compared']}"
    for phase in PAPER["differential_times"]:
        if _of_phase(last, phase):
            yield _judge_times(phase, _of_phase(last, phase))
    if last["renamed"] is not None and last["renamed"]["share"] is not None:
        yield _judge_renamed(last["renamed"]["share"])
    if last["groups"] is not None:
        yield _judge_groups(last["groups"])


def _judge_events(first: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    text = f"The catalog has {_count(last['num_events'], 'event')}"
    if last["classes"] is not None:
        text += f", {last['classes']['A'] + last['classes']['B']:,} of them of class A or B"
    if first is not last:
        text += f". The first stage ({_picker(first)}) had {first['num_events']:,}"
    return f"{text}."


def _tell_verdicts(verdicts: Iterable[Mapping[str, Any]], catalog: Mapping[str, Any]) -> Iterator[str]:
    """Tell which stage is better than the one before, and which made the catalog where one is not."""
    for verdict in verdicts:
        ends = verdict["before"] == catalog["stage"]
        yield verdict["text"] + (f" The {_picker(catalog)} makes the catalog." if ends else "")


def _tell_training(stages: Mapping[str, Mapping[str, Any]], catalog: str) -> Iterator[str]:
    """Tell what the training added to the weights that it started from, beside the first stage."""
    if START not in stages:
        return
    student, start = stages[catalog], stages[START]
    order = [student, start, next(iter(stages.values()))]
    shares = [f"{_percent(one['picks'][-1]['share'])} of the picks of the {_picker(one)}" for one in order]
    yield f"Training: {', '.join([f'{shares[0]} associate', *shares[1:]])}."
    figures = [_series(f"{one['num_events']:,}" for one in order) + " events"]
    for phase, times in _judged_times(*order):
        figures.append(f"{phase} times scatter by {_series(_ms(row, 'std_s') for row in times)}")
    changed = "helped" if improves(student, start)[0] else "did not help"
    changed = "changed little" if _are_alike(student, start) else changed
    yield f"In the same order: {', '.join(figures)}. By these measures, training {changed}."


def _are_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether shares, numbers and spreads of two stages agree within some per cent."""
    pairs = [(one["num_events"], other["num_events"], 0.02)]
    mine, others = one["picks"][-1], other["picks"][-1]
    pairs.append((mine["num_associated"], others["num_associated"], 0.02))
    pairs.append((mine["share"] or 0.0, others["share"] or 0.0, 0.01))
    pairs += [(a["std_s"], b["std_s"], 0.05) for _, (a, b) in _judged_times(one, other)]
    return all(abs(a - b) <= limit * max(a, b) for a, b, limit in pairs)


def _series(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"


def _judge_associated(all_picks: Mapping[str, Any]) -> str:
    share, known = all_picks["share"], PAPER["share_associated"]
    if share is None:
        return "There are no picks."
    text = f"{_percent(share)} of the picks associate"
    single, array = (f"{name} in the paper ({_range(*known[name])})" for name in ("PhaseNet", "PhaseNet-DAS"))
    if share >= known["PhaseNet-DAS"][0]:
        return f"{text}, as many as those of {array}."
    if share > known["PhaseNet"][1]:
        return f"{text}, more than those of {single} and fewer than those of {array}."
    if share >= known["PhaseNet"][0]:
        return f"{text}, as many as those of {single}: expect false picks."
    return f"{text}, fewer than those of {single}: expect false picks, or earthquakes without an event."


def _judge_times(phase: str, times: Mapping[str, Any]) -> str:
    known, number, pairs = PAPER["differential_times"][phase], times["num_kept"], times["num_pairs"]
    if number < _FEW_PAIRS:
        return f"{phase} times cannot be judged: {number:,} of {pairs:,} pairs have similar waveforms."
    found, column = f"{phase} times follow the waveforms as closely as in the paper", "std_s"
    if times["std_s"] > known["std_s"]:
        found = f"{phase} times scatter more than in the paper"
    elif abs(times["mean_s"]) > max(known["mean_s"], 2 * times["std_s"] / number**0.5):
        found, column = f"{phase} times drift along the cable against the waveforms", "mean_s"
    measure = f"{_TIME_MEASURES[column]} {_ms(times, column)} (paper: {_ms(known, column)})"
    share = _percent(number / pairs)
    return f"{found}: {measure} on the {share} of the pairs that have similar waveforms."


def _judge_renamed(share: float) -> str:
    text = f"Association took {_percent(share)} of the picks of events for the other phase."
    return text + (" The picker confuses P and S." if share > 0.1 else " The picker tells P from S.")


def _judge_groups(groups: Mapping[str, Any]) -> str:
    if not groups["num_groups"]:
        return "No group of picks in line along the cable is without an event."
    return (
        f"{_count(groups['num_groups'], 'group')} of picks in line along the cable without an event: "
        "look there for missed earthquakes."
    )


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" + ("" if number == 1 else "s")
