"""One HTML file that tells what was found, to somebody who was not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from phasenet_das.catalog.quality import count_classes, describe_event
from phasenet_das.report.catalog_chapters import (
    event_section,
    events_chapter,
    magnitude_chapter,
    map_chapter,
    picks_chapter,
    record_section,
    time_chapter,
    worst_first,
)
from phasenet_das.report.elements import Chapter
from phasenet_das.report.run_chapters import (
    Training,
    measures_chapter,
    provenance_chapter,
    scores_chapter,
    skipped_chapter,
    training_chapter,
)
from phasenet_das.report.section_figure import LEGEND, WIDTH
from phasenet_das.report.trust_chapters import (
    about_association,
    count_groups,
    groups_chapter,
    rules_chapter,
)
from phasenet_das.tables import (
    CHANNEL_COLUMNS,
    COVERAGE_COLUMNS,
    EVENT_COLUMNS,
    GROUP_COLUMNS,
    PICK_COLUMNS,
    atomic_path,
    conform,
)
from phasenet_das.tables.columns import associated_phase, located
from phasenet_das.text import duration, records

if TYPE_CHECKING:
    from dascore import Patch

_OPEN_SECTIONS: Final = 6


def write_report(
    path: str | Path,
    *,
    events: pd.DataFrame,
    picks: pd.DataFrame,
    channels: pd.DataFrame | None = None,
    coverage: pd.DataFrame | None = None,
    groups: pd.DataFrame | None = None,
    association: Mapping[str, Any] | None = None,
    event_records: Iterable[tuple[int, Patch]] = (),
    sections: Sequence[tuple[str, Patch]] = (),
    group_records: Mapping[int, Patch] | None = None,
    trainings: Sequence[Training] = (),
    evaluation: Mapping[str, Any] | None = None,
    measures: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    left_out: Iterable[tuple[str, str]] = (),
    facts: Sequence[tuple[str, str]] = (),
    quakeml: str | None = None,
    title: str = "Earthquake catalog",
    created: str | None = None,
) -> Path:
    """Write a self-contained HTML report of a catalog: one file that needs no network.

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
    event_records : iterable of (int, dascore.Patch), optional
        Records around events, each with its ``event_index``. One record at a time is held in memory.
    sections : sequence of (str, dascore.Patch), optional
        Further records to draw with their picks, each with a heading.
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
    left_out : iterable of (str, str), optional
        What was left out, and why. It is read after the records.
    facts : sequence of (str, str), optional
        Further facts for the top of the page, each with its name.
    quakeml : str, optional
        Address of the QuakeML file, seen from the page.
    title : str, optional
        Heading.
    created : str, optional
        When the report was made; not written otherwise.

    Raises
    ------
    TableError
        A table lacks a column or holds a value that does not fit.
    """
    import matplotlib as mpl

    events = conform(events, EVENT_COLUMNS, "events").sort_values("time", kind="stable", ignore_index=True)
    picks = conform(picks, PICK_COLUMNS, "picks")
    channels = None if channels is None else conform(channels, CHANNEL_COLUMNS, "channels")
    coverage = None if coverage is None else conform(coverage, COVERAGE_COLUMNS, "coverage")
    groups = None if groups is None else conform(groups, GROUP_COLUMNS, "groups")
    made_with = dict(provenance or {})
    stored = made_with.pop("settings", None)
    stated = settings if settings is not None else stored
    ranks = worst_first(events)
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own style must not change the report
        drawn = [
            event_section(event, ranks[index], patch, picks)
            for index, patch in event_records
            for event in records(events[events["event_index"] == index])
        ]
        others = [
            record_section(count, heading, patch, picks)
            for count, (heading, patch) in enumerate(sections, start=1)
        ]
        found = [
            map_chapter(events, channels),
            events_chapter(
                events, _no_magnitude(stated, made_with), ranks, {one.number - 1 for one in drawn}
            ),
            Chapter("Sections", _about_sections(events, len(drawn)), sections=drawn) if drawn else None,
            Chapter("Records", sections=others) if others else None,
            groups_chapter(groups, picks, group_records or {}),
            time_chapter(events, picks, coverage, groups),
            measures_chapter(measures),
            scores_chapter(evaluation),
            picks_chapter(picks),
            magnitude_chapter(events, made_with),
            rules_chapter(association),
            *(training_chapter(training) for training in trainings),
            skipped_chapter(coverage, list(left_out)),
            provenance_chapter(stated, made_with),
        ]
    chapters = [chapter for chapter in found if chapter is not None]
    words = {
        "title": title,
        "summary": _summary(events, picks, groups),
        "headline": _headline(events, picks, coverage, groups),
        "facts": [
            *_about_recording(coverage),
            *about_association(association),
            *_about_training(measures, trainings),
            *facts,
            *([("Made", created)] if created else []),
        ],
        "quakeml": quakeml,
        "version": made_with.get("version", ""),
    }
    with atomic_path(path) as temporary:
        temporary.write_text(_render(chapters, **words), encoding="utf-8")
    return Path(path)


def _render(chapters: Sequence[Chapter], **words: object) -> str:
    """Fill the template."""
    import jinja2

    loader = jinja2.PackageLoader("phasenet_das.report")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("report.html.j2").render(
        chapters=chapters,
        legend=LEGEND,
        legend_in=next((chapter.title for chapter in chapters if chapter.sections), ""),
        open_sections=_OPEN_SECTIONS,
        width=WIDTH,
        **words,
    )


def _about_sections(events: pd.DataFrame, drawn: int) -> list[str]:
    """Say which events have a section, and how a section is drawn."""
    shown = "Every event has" if drawn == len(events) else f"{drawn:,} of {len(events):,} events have"
    opened = f" {_OPEN_SECTIONS} are open. Click the others." if drawn > _OPEN_SECTIONS else ""
    meaning = (
        "Each channel is scaled to itself. Dark is strong, whatever its sign. Plain grey is missing data. "
        "Below are the residuals, late above zero. A slow drift along the cable is ground that the velocity "
        "model does not know."
    )
    return [f"{shown} a section.{opened} {meaning}"]


def _about_recording(coverage: pd.DataFrame | None) -> list[tuple[str, str]]:
    """Say in plain words what was examined."""
    if coverage is None:
        return []
    seen = coverage[(coverage["status"] == "examined") & coverage["start"].notna()]
    if seen.empty:
        return []
    start, end = seen["start"].min(), seen["end"].max()
    cables = ", ".join(sorted(seen["station_id"].astype(str).unique()))
    length = duration((end - start).total_seconds())
    day = "%H:%M:%S" if start.date() == end.date() else "%Y-%m-%d %H:%M:%S"
    return [("Recording", f"{cables}, {length}: {start:%Y-%m-%d %H:%M:%S} to {end.strftime(day)} UTC.")]


def _about_training(
    measures: Mapping[str, Any] | None, trainings: Sequence[Training]
) -> list[tuple[str, str]]:
    """Judge the training by measures of the catalog, or by its validation without them."""
    found = [text for text in (measures or {}).get("judgements", []) if "raining" in text]
    if not found:
        found = [one.summary.outcome() for one in trainings if one.summary is not None]
    text = " ".join(filter(None, found)).removeprefix("Training: ")
    return [("Training", text)] if text else []


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
        found, explain = f"One event was found: {describe_event(records(events)[0])}.", "It explains"
    else:
        first, last = (f"{time:%Y-%m-%d %H:%M:%S}" for time in (events["time"].min(), events["time"].max()))
        found, explain = f"{len(events):,} events were found between {first} and {last} UTC.", "They explain"
    return f"{found} {explain} {kept:,} of {len(picks):,} picks."


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
        of_phase = associated_phase(picks) == phase
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
