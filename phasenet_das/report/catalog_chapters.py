"""Chapters on the events and picks of a catalog."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from phasenet_das.catalog.quality import FLAG_MEANINGS, describe_event, explain_flags, quality_rules
from phasenet_das.report.elements import (
    MISSING,
    NO_BREAK,
    Cell,
    Chapter,
    EventRow,
    EventTable,
    Section,
    Table,
    draw,
)
from phasenet_das.report.section_figure import SectionFigure, section_figure
from phasenet_das.tables.columns import associated_phase, depth_known, grouped, located, renamed
from phasenet_das.text import coordinates, decimals, duration, number, plus_minus, records

if TYPE_CHECKING:
    from dascore import Patch


_MAX_EVENT_ROWS: Final = 200
_EVENT_TEXT: Final = frozenset({"Class", "Time (UTC)", "Position", "Remarks"})
_MAP_CAPTION: Final = (
    "Click an event to see its section. An ellipse is its uncertainty (68 %). Events of class D have no "
    "point. An arrow points to a distant event. An event of unknown direction lies somewhere on its circle."
)
_ALWAYS: Final = frozenset({"Class", "Magnitude"})  # a column without any value would else be dropped


def events_chapter(
    events: pd.DataFrame, no_magnitude: str, ranks: Mapping[int, int], with_section: AbstractSet[int]
) -> Chapter:
    """List the events with classes and uncertainties, and explain classes and flags.

    `no_magnitude`: why there is no magnitude at all, if there is none. `with_section`: events with a section.
    """
    if events.empty:
        return Chapter("Events", text=["No event was found."])
    shown = events
    note = ""
    if len(events) > _MAX_EVENT_ROWS:
        shown = events.nlargest(_MAX_EVENT_ROWS, "num_picks").sort_values("time")
        note = f"The {_MAX_EVENT_ROWS} events with most picks of {len(events):,}. The catalog files hold all."
    rows = [_event_cells(event) for event in records(shown)]
    names = [name for name in rows[0] if name in _ALWAYS or any(row[name].value != MISSING for row in rows)]
    made = [
        EventRow(
            number=event["event_index"] + 1,
            cells=[row[name] for name in names],
            rank=ranks[event["event_index"]],
            num_picks=event["num_picks"],
            has_section=event["event_index"] in with_section,
            on_map=on_map(event),
        )
        for event, row in zip(records(shown), rows, strict=True)
    ]
    table = EventTable([("#", False), *((name, name in _EVENT_TEXT) for name in names)], made, note)
    sized = _column(shown, "magnitude").notna().any()
    text = [_explain_columns(shown), *([] if sized else [no_magnitude])]
    return Chapter("Events", text, listing=_explain_classes_and_flags(shown), events=table)


def worst_first(events: pd.DataFrame) -> dict[int, int]:
    """Rank events by ``event_index``: 1 is the worst by class, then by residuals."""
    ordered = events.sort_values(
        ["quality", "residual_rms_s"], ascending=[False, False], kind="stable", na_position="last"
    )
    return {int(index): rank for rank, index in enumerate(ordered["event_index"], start=1)}


def on_map(event: Mapping[str, Any]) -> bool:
    """Whether the event has a point on the map."""
    return located(event) and event["quality"] != "D"


def _explain_columns(events: pd.DataFrame) -> str:
    sentences = [
        "Uncertainties are one standard deviation.",
        "That of a position is the long half-axis of the 68 % ellipse.",
        "Distance is from the nearest channel to the source. Depth is below sea level.",
        "RMS is of the residuals, observed less predicted arrival times.",
        "Event 1 has event_index 0 in the tables.",
    ]
    if events["num_renamed"].any():
        sentences.append("Renamed picks were taken for the other phase.")
    if events["time_uncertainty_s"].isna().any() or events["source_distance_uncertainty_km"].isna().any():
        sentences.append("A number of unknown uncertainty is rounded to the kilometre or second.")
    return " ".join(sentences)


def _explain_classes_and_flags(events: pd.DataFrame) -> list[str]:
    rules = quality_rules() if events["quality"].ne("").any() else {}
    flags = sorted({flag for text in events["location_quality"] for flag in text.split(";") if flag})
    return [
        *(f"Class {name}: {rule}" for name, rule in rules.items()),
        *(f"{flag}: {FLAG_MEANINGS.get(flag, 'see the documentation')}." for flag in flags),
    ]


def _magnitude(event: dict[str, Any]) -> Cell:
    spread = number(event.get("magnitude_uncertainty", np.nan), ".1f")
    value = number(event.get("magnitude", np.nan), ".1f", MISSING)
    return Cell(value, f"±{NO_BREAK}{spread}" if spread else "")


def _column(events: pd.DataFrame, name: str) -> pd.Series:
    """Give an optional column of numbers; NaN where the table lacks it."""
    return events[name] if name in events.columns else pd.Series(np.nan, events.index)


def _event_cells(event: dict[str, Any]) -> dict[str, Cell]:
    position = Cell(MISSING)
    if located(event):
        spread = event["horizontal_uncertainty_km"]
        where = coordinates(event["longitude"], event["latitude"], spread).replace(" ", NO_BREAK)
        position = Cell(where, _spread(spread, "km"))
    renamed_picks = f"{event['num_renamed']:,}" if event["num_renamed"] else MISSING
    depth = event["depth_km"] if depth_known(event) else np.nan
    return {
        "Class": Cell(event["quality"] or MISSING),
        "Time (UTC)": Cell(_event_time(event), _spread(event["time_uncertainty_s"], "s")),
        "Magnitude": _magnitude(event),
        "Position": position,
        "Depth": _measure(depth, event["depth_uncertainty_km"], "km"),
        "Distance": _measure(event["source_distance_km"], event["source_distance_uncertainty_km"], "km"),
        "P / S picks": Cell(f"{event['num_p_picks']:,} / {event['num_s_picks']:,}"),
        "Renamed": Cell(renamed_picks),
        "Channels": Cell(f"{event['num_channels']:,}"),
        "RMS (s)": Cell(number(event["residual_rms_s"], ".3f", MISSING)),
        "Gap (°)": Cell(number(event["azimuthal_gap_deg"], ".0f", MISSING)),
        "Remarks": Cell(event["location_quality"].replace(";", ", ") or MISSING),
    }


def event_section(event: dict[str, Any], rank: int, patch: Patch, picks: pd.DataFrame) -> Section:
    """Show the record of an event with its picks, the predicted arrivals and their residuals."""
    count = event["event_index"] + 1
    heading = f"Event {count}" + (f", class {event['quality']}" if event["quality"] else "")
    figure = section_figure(picks, patch, event["time"], "the origin time", f"Section of event {count}")
    text = [
        f"{describe_event(event)}.",
        _counted(figure, patch),
        *(f"{flag[:1].upper()}{flag[1:]}." for flag in explain_flags(event["location_quality"])),
    ]
    return Section(
        anchor=f"event-{count}",
        heading=heading,
        text=text,
        figure=figure,
        number=count,
        rank=rank,
        num_picks=event["num_picks"],
        on_map=on_map(event),
        event_id=event["event_id"],
    )


def record_section(number: int, heading: str, patch: Patch, picks: pd.DataFrame) -> Section:
    """Show a record that is of no event in particular."""
    from phasenet_das.io import get_times

    start = pd.Timestamp(get_times(patch)[0], tz="UTC")
    figure = section_figure(picks, patch, start, f"{start:%Y-%m-%d %H:%M:%S} UTC", f"Section {heading}")
    return Section(f"record-{number}", heading, [_counted(figure, patch)], figure)


def _counted(figure: SectionFigure, patch: Patch) -> str:
    from phasenet_das.io import get_channel_index, get_station_id, get_unit

    channels = f"{len(get_channel_index(patch)):,} channels of {get_station_id(patch)}"
    counts = f"{figure.num_kept:,} kept and {figure.num_rejected:,} rejected picks"
    thinned = f" Of many picks, one of {figure.step} is drawn." if figure.step > 1 else ""
    return f"The section has {counts} on {channels} (unit: {get_unit(patch)}).{thinned}"


def picks_chapter(picks: pd.DataFrame) -> Chapter:
    """Count kept and rejected picks by phase and by reason."""
    from phasenet_das import plot

    if picks.empty:
        return Chapter("Picks, kept and rejected", text=["There are no picks."])
    kept = picks["event_index"] >= 0
    reason = (
        picks["reason"].fillna("").astype(str) if "reason" in picks.columns else pd.Series("", picks.index)
    )
    fate = reason.where(reason != "", "not part of an event").mask(
        grouped(picks), "in a group without location"
    )
    fate = fate.mask(kept, "kept")
    counts = pd.crosstab(fate, associated_phase(picks))
    counts["all"] = counts.sum(axis=1)
    counts = counts.sort_values("all", ascending=False, kind="stable")
    counts = counts.loc[sorted(counts.index, key=lambda name: name != "kept")]
    median = picks["phase_score"].astype(float).groupby(fate).median()
    header = ["Fate of the picks", *(str(name) for name in counts.columns), "share", "median score"]
    rows = [
        [
            str(name) if name == "kept" else f"rejected: {name}",
            *(f"{count:,}" for count in row),
            f"{row.iloc[-1] / len(picks):.1%}",
            number(median[str(name)], ".2f", MISSING),
        ]
        for name, row in counts.iterrows()
    ]
    histogram = draw(
        lambda ax: plot.score_histogram(picks, ax=ax),
        (9.0, 2.8),
        "How sure the network was of the picks that were kept (upward) and rejected (downward).",
        "Histogram of pick scores",
    )
    swapped = int(renamed(picks).sum())
    text = [f"Events took {swapped:,} of {int(kept.sum()):,} picks for the other phase than the picker."]
    table = Table(header, rows, {header[0]})
    return Chapter("Picks, kept and rejected", text if swapped else [], [histogram], [table])


def map_chapter(events: pd.DataFrame, channels: pd.DataFrame | None) -> Chapter | None:
    """Draw a map of receivers and events, and their depths."""
    from phasenet_das import plot

    if events.empty and channels is None:
        return None
    plots = [
        draw(
            lambda ax: plot.map_view(events, channels, linked=True, ax=ax),
            (6.3, 6.5),
            _MAP_CAPTION,
            f"Map of {'' if channels is None else 'the receivers and of '}"
            f"{sum(map(on_map, records(events))):,} events",
        )
    ]
    if any(_in_depth_section(event) for event in records(events)):
        plots.append(
            draw(
                lambda ax: plot.depth_section(events, channels, ax=ax),
                (5.7, 2.95),
                "Depths, seen towards the north.",
                "Depth section",
            )
        )
        plots.append(
            draw(
                lambda ax: plot.depth_section(events, channels, azimuth_deg=0.0, ax=ax),
                (5.7, 2.95),
                "Depths, seen towards the west: north is to the right.",
                "Depth section from south to north",
            )
        )
    return Chapter("Where", plots=plots)


def _in_depth_section(event: dict[str, Any]) -> bool:
    return located(event) and depth_known(event) and event["quality"] != "D"


def time_chapter(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    coverage: pd.DataFrame | None,
    groups: pd.DataFrame | None = None,
) -> Chapter:
    """Draw picks over time, and sum up the time that was examined."""
    from phasenet_das import plot

    caption = "Picks over time, with the origin times of the events and the groups without a location."
    if coverage is not None:
        caption += " Below, the examined times (green) and the rest (grey)."
    drawn = draw(
        lambda ax: plot.timeline(events, picks, coverage, groups, ax=ax), (9.0, 3.0), caption, "Timeline"
    )
    if coverage is None:
        return Chapter("When", plots=[drawn])
    rows = []
    for (station, status), group in coverage.groupby(["station_id", "status"], observed=True):
        seconds = float((group["end"] - group["start"]).dt.total_seconds().sum())
        length = duration(seconds) if seconds else MISSING
        rows.append([str(station), str(status), f"{len(group):,}", length, _span(group)])
    table = Table(
        ["Cable or station", "Status", "Spans", "Duration", "Channels"], rows, {"Cable or station", "Status"}
    )
    return Chapter("When", plots=[drawn], tables=[table])


def magnitude_chapter(events: pd.DataFrame, facts: Mapping[str, Any]) -> Chapter | None:
    """Show how many events there are of each magnitude, where magnitudes were computed."""
    if not _column(events, "magnitude").notna().any():
        return None
    from phasenet_das import plot

    drawn = draw(
        lambda ax: plot.magnitude_frequency(events["magnitude"], ax=ax),
        (6.4, 3.6),
        "Events in each tenth of a magnitude (bars), and of each magnitude and above (points). Where the "
        "points bend down to the left, smaller events were missed.",
        "Magnitudes and frequencies",
    )
    return Chapter("Magnitudes", _about_magnitudes(events, facts), [drawn])


def _about_magnitudes(events: pd.DataFrame, facts: Mapping[str, Any]) -> list[str]:
    """Name the scale and its uncertainty, and say why an event has no magnitude."""
    known, scale = int(events["magnitude"].notna().sum()), facts.get("magnitude_scale")
    text = [f"{known:,} of {len(events):,} events have a magnitude."]
    if scale is None:
        return text
    measured = "peaks of the records" if facts.get("magnitude_amplitudes") == "records" else "the pick table"
    text.append(f"Scale: {Path(scale).name}, with the amplitudes of {measured}.")
    spread = _column(events, "magnitude_uncertainty").median()
    if np.isfinite(spread):
        text.append(f"Each magnitude is uncertain by {spread:.1f} (one standard deviation).")
    else:
        text.append("The error of the magnitudes is not known, because one event calibrated the scale.")
    if known < len(events):
        text.append(
            "Events without one have no distance, no amplitude that is clear of noise and of other events, "
            "or none on a channel of the scale."
        )
    return text


def _event_time(event: dict[str, Any]) -> str:
    return describe_event(event).split(" UTC")[0].replace(" ", NO_BREAK)


def _measure(value: float, uncertainty: float, unit: str) -> Cell:
    if not np.isfinite(value):
        return Cell(MISSING)
    rounded = f"{value:.{decimals(uncertainty)}f}"
    spread = _spread(uncertainty, unit)
    return Cell(rounded, spread) if spread else Cell(f"{rounded}{NO_BREAK}{unit}")


def _spread(uncertainty: float, unit: str) -> str:
    """Write an uncertainty that a line break does not tear apart."""
    return plus_minus(uncertainty, unit)[1:].replace(" ", NO_BREAK) if np.isfinite(uncertainty) else ""


def _span(coverage: pd.DataFrame) -> str:
    known = coverage[coverage["num_channels"] > 0]
    return f"{known['first_channel'].min()} to {known['last_channel'].max()}" if len(known) else MISSING
