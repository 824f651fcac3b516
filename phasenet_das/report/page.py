"""One HTML file that tells what was found, to somebody who was not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phasenet_das.catalog.quality import describe_event
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
    provenance_chapter,
    scores_chapter,
    skipped_chapter,
    training_chapter,
)
from phasenet_das.tables import (
    CHANNEL_COLUMNS,
    COVERAGE_COLUMNS,
    EVENT_COLUMNS,
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
    sections: Sequence[tuple[str, Patch]] = (),
    trainings: Sequence[Training] = (),
    evaluation: Mapping[str, Any] | None = None,
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
    sections : sequence of (str, dascore.Patch), optional
        Records to draw with their picks, each with a heading.
    trainings : sequence of Training, optional
        The trainings of the network that picked.
    evaluation : mapping, optional
        Scores of picks and events, as ``phasenet-das evaluate --json`` writes them.
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
    facts = dict(provenance or {})
    stored = facts.pop("settings", None)
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own style must not change the report
        chapters = [
            scores_chapter(evaluation),
            events_chapter(events),
            *(section_chapter(heading, patch, events, picks) for heading, patch in sections),
            picks_chapter(picks),
            map_chapter(events, channels),
            time_chapter(events, picks, coverage),
            magnitude_chapter(events),
            *(training_chapter(training) for training in trainings),
            skipped_chapter(coverage, left_out),
            provenance_chapter(settings if settings is not None else stored, facts),
        ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("phasenet_das.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html.j2").render(
        title=title,
        summary=_summary(events, picks),
        created=created,
        headline=_headline(events, picks, coverage),
        chapters=[chapter for chapter in chapters if chapter is not None],
        version=facts.get("version", ""),
    )
    path = Path(path)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _summary(events: pd.DataFrame, picks: pd.DataFrame) -> str:
    """Say in a sentence or two what was found."""
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
    events: pd.DataFrame, picks: pd.DataFrame, coverage: pd.DataFrame | None
) -> list[tuple[str, str]]:
    """Numbers for the top of the page, each with what it counts."""
    kept = picks["event_index"] >= 0
    numbers = [
        (f"{len(events):,}", "event" if len(events) == 1 else "events"),
        (f"{sum(located(event) for event in records(events)):,}", "with a position"),
        (f"{int(kept.sum()):,}", f"of {len(picks):,} picks kept"),
    ]
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
