"""One HTML file that tells what was found, to somebody who was not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phasenet_das.catalog.quality import count_classes, describe_event
from phasenet_das.report.catalog_chapters import (
    events_chapter,
    magnitude_chapter,
    map_chapter,
    picks_chapter,
    section_chapter,
    time_chapter,
)
from phasenet_das.report.run_chapters import (
    Training,
    measures_chapter,
    provenance_chapter,
    scores_chapter,
    skipped_chapter,
    training_chapter,
)
from phasenet_das.report.trust_chapters import count_groups, groups_chapter, rules_chapter
from phasenet_das.tables import (
    CHANNEL_COLUMNS,
    COVERAGE_COLUMNS,
    EVENT_COLUMNS,
    GROUP_COLUMNS,
    PICK_COLUMNS,
    atomic_path,
    conform,
)
from phasenet_das.tables.columns import located
from phasenet_das.text import records

if TYPE_CHECKING:
    from dascore import Patch


def write_report(
    path: str | Path,
    *,
    events: pd.DataFrame,
    picks: pd.DataFrame,
    channels: pd.DataFrame | None = None,
    coverage: pd.DataFrame | None = None,
    groups: pd.DataFrame | None = None,
    association: Mapping[str, Any] | None = None,
    sections: Sequence[tuple[str, Patch]] = (),
    group_records: Mapping[int, Patch] | None = None,
    trainings: Sequence[Training] = (),
    evaluation: Mapping[str, Any] | None = None,
    measures: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    left_out: Sequence[tuple[str, str]] = (),
    title: str = "Earthquake catalog",
    created: str | None = None,
) -> Path:
    """Write a self-contained HTML report of a catalog: no scripts, no network.

    Equal arguments give an equal file.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table after association; a column ``reason`` says why a pick was rejected.
    channels : pandas.DataFrame, optional
        Channel table, for the map.
    coverage : pandas.DataFrame, optional
        Coverage table: what was examined and what was skipped.
    groups : pandas.DataFrame, optional
        Groups of picks without a location, as :func:`phasenet_das.tables.read_groups` returns them.
    association : mapping, optional
        The summary of the association: its velocity and its rules.
    sections : sequence of (str, dascore.Patch), optional
        Records to draw with their picks, each with a heading.
    group_records : mapping of int to dascore.Patch, optional
        Records around groups by ``group_index``; of the largest groups without one only the picks are drawn.
    trainings : sequence of Training, optional
        The trainings of the network that picked.
    evaluation : mapping, optional
        Scores of picks and events, as ``phasenet-das evaluate --json`` writes them.
    measures : mapping, optional
        Measures that need no truth, as ``phasenet-das evaluate --label-free --json`` writes them.
    settings : mapping, optional
        The effective settings; those inside `provenance` when left out.
    provenance : mapping, optional
        Versions, weights and hashes of the inputs, as in the metadata of a table.
    left_out : sequence of (str, str), optional
        What was left out, and why.
    title : str, optional
        Heading.
    created : str, optional
        When the report was made; not written otherwise.

    Raises
    ------
    TableError
        A table lacks a column or holds a value that does not fit.
    """
    import jinja2
    import matplotlib as mpl

    events = conform(events, EVENT_COLUMNS, "events").sort_values("time", kind="stable", ignore_index=True)
    picks = conform(picks, PICK_COLUMNS, "picks")
    channels = None if channels is None else conform(channels, CHANNEL_COLUMNS, "channels")
    coverage = None if coverage is None else conform(coverage, COVERAGE_COLUMNS, "coverage")
    groups = None if groups is None else conform(groups, GROUP_COLUMNS, "groups")
    facts = dict(provenance or {})
    stored = facts.pop("settings", None)
    stated = settings if settings is not None else stored
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own style must not change the report
        chapters = [
            scores_chapter(evaluation),
            measures_chapter(measures),
            events_chapter(events, _no_magnitude(stated, facts)),
            rules_chapter(association),
            *(section_chapter(heading, patch, events, picks) for heading, patch in sections),
            groups_chapter(groups, picks, group_records or {}),
            picks_chapter(picks),
            map_chapter(events, channels),
            time_chapter(events, picks, coverage, groups),
            magnitude_chapter(events, facts),
            *(training_chapter(training) for training in trainings),
            skipped_chapter(coverage, left_out),
            provenance_chapter(stated, facts),
        ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("phasenet_das.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html.j2").render(
        title=title,
        summary=_summary(events, picks, groups),
        created=created,
        headline=_headline(events, picks, coverage, groups),
        chapters=[chapter for chapter in chapters if chapter is not None],
        version=facts.get("version", ""),
    )
    path = Path(path)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _no_magnitude(settings: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> str:
    """Say why no event has a magnitude."""
    report = (settings or {}).get("report") or {}
    if report.get("magnitude_scale") or facts.get("magnitude_scale"):
        return (
            "No event has a magnitude, because none has a distance and an amplitude on a channel of the "
            "magnitude scale, clear of noise and of other events."
        )
    return (
        "No event has a magnitude, because no magnitude scale was stated. One event of known magnitude "
        "calibrates it: phasenet-das magnitude calibrate."
    )


def _summary(events: pd.DataFrame, picks: pd.DataFrame, groups: pd.DataFrame | None) -> str:
    """Count the events by class, and say in a sentence or two what was found."""
    classes = count_classes(events)
    counted = f"{len(events):,} event{'' if len(events) == 1 else 's'}: {classes}." if classes else ""
    alone = f"{count_groups(len(groups))}." if groups is not None and len(groups) else ""
    return " ".join(filter(None, [counted, alone, _found(events, picks)]))


def _found(events: pd.DataFrame, picks: pd.DataFrame) -> str:
    kept = int((picks["event_index"] >= 0).sum())
    if events.empty:
        return f"No event was found: none of the {len(picks):,} picks fit together."
    if len(events) == 1:
        found = f"One event was found: {describe_event(records(events)[0])}."
    else:
        first, last = (f"{time:%Y-%m-%d %H:%M:%S}" for time in (events["time"].min(), events["time"].max()))
        found = f"{len(events):,} events were found between {first} and {last} UTC."
    return f"{found} They explain {kept:,} of {len(picks):,} picks.".replace(
        "They explain", "It explains" if len(events) == 1 else "They explain"
    )


def _headline(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    coverage: pd.DataFrame | None,
    groups: pd.DataFrame | None,
) -> list[tuple[str, str]]:
    """Numbers for the top of the page, each with what it counts."""
    kept = picks["event_index"] >= 0
    numbers = [(f"{len(events):,}", "event" if len(events) == 1 else "events")]
    if events["quality"].ne("").any():
        numbers.append((f"{events['quality'].isin(['A', 'B']).sum():,}", "of class A or B"))
    numbers.append((f"{sum(located(event) for event in records(events)):,}", "with a position"))
    if groups is not None:
        numbers.append((f"{len(groups):,}", count_groups(len(groups)).split(" ", 1)[1]))
    numbers.append((f"{int(kept.sum()):,}", f"of {len(picks):,} picks kept"))
    for phase in ("P", "S"):
        of_phase = picks["phase_type"] == phase
        numbers.append((f"{int((kept & of_phase).sum()):,}", f"{phase} kept of {int(of_phase.sum()):,}"))
    if coverage is not None:
        examined = coverage[coverage["status"] == "examined"]
        seconds = (examined["end"] - examined["start"]).dt.total_seconds()
        hours = float((seconds * examined["num_channels"]).sum()) / 3600
        numbers.append((_compact(hours), "channel-hours examined"))
    else:
        receivers = picks[["station_id", "channel_index"]].drop_duplicates()
        numbers.append((f"{len(receivers):,}", "channels with picks"))
    return numbers


def _compact(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
