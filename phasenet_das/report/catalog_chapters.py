"""Chapters on the events and picks of a catalog."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from phasenet_das.catalog.quality import FLAG_MEANINGS, describe_event, quality_rules
from phasenet_das.report.elements import MISSING, NO_BREAK, Chapter, Table, draw
from phasenet_das.tables.columns import depth_known, grouped, located, renamed
from phasenet_das.text import coordinates, decimals, duration, number, plus_minus, records

if TYPE_CHECKING:
    from dascore import Patch


_MAX_EVENT_ROWS: Final = 200
_EVENT_TEXT: Final = frozenset({"Class", "Time (UTC)", "Position", "Depth", "Distance", "Remarks"})
_ALWAYS: Final = frozenset({"Magnitude"})  # a column without any value would else be dropped


def events_chapter(events: pd.DataFrame, no_magnitude: str) -> Chapter:
    """List the events with classes and uncertainties, and explain classes and flags.

    `no_magnitude`: why there is no magnitude at all, if there is none.
    """
    if events.empty:
        return Chapter("Events", text=["No event was found."])
    shown = events
    note = ""
    if len(events) > _MAX_EVENT_ROWS:
        shown = events.nlargest(_MAX_EVENT_ROWS, "num_picks").sort_values("time")
        note = f"The {_MAX_EVENT_ROWS} events with most picks of {len(events):,}; the catalog files hold all."
    table = pd.DataFrame([_event_row(event) for event in records(shown)])
    table = table.loc[:, (table != MISSING).any() | table.columns.isin(_ALWAYS)]
    rows = [list(row) for row in table.to_numpy()]
    made = Table(list(table.columns), rows, _EVENT_TEXT, note, wrapped=False)
    sized = _column(shown, "magnitude").notna().any()
    text = [_explain_columns(shown), *([] if sized else [no_magnitude])]
    return Chapter("Events", text, tables=[made], listing=_explain_classes_and_flags(shown))


def _explain_columns(events: pd.DataFrame) -> str:
    sentences = [
        "Uncertainties are one standard deviation.",
        "That of a position is the long half-axis of the 68 % ellipse.",
        "Distance is from the nearest channel to the source. Depth is below sea level.",
        "RMS is of the residuals, observed less predicted arrival times.",
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


def _magnitude(event: dict[str, Any]) -> str:
    spread = number(event.get("magnitude_uncertainty", np.nan), ".1f")
    value = number(event.get("magnitude", np.nan), ".1f", MISSING)
    return f"{value}{NO_BREAK}±{NO_BREAK}{spread}" if spread else value


def _column(events: pd.DataFrame, name: str) -> pd.Series:
    """Give an optional column of numbers; NaN where the table lacks it."""
    return events[name] if name in events.columns else pd.Series(np.nan, events.index)


def _event_row(event: dict[str, Any]) -> dict[str, str]:
    position = MISSING
    if located(event):
        spread = event["horizontal_uncertainty_km"]
        position = coordinates(event["longitude"], event["latitude"], spread).replace(" ", NO_BREAK)
        position += f" {_spread(spread, 'km')}"
    depth = (
        _measure(event["depth_km"], event["depth_uncertainty_km"], "km") if depth_known(event) else MISSING
    )
    return {
        "#": f"{event['event_index']}",
        "Class": event["quality"] or MISSING,
        "Time (UTC)": f"{_event_time(event)} {_spread(event['time_uncertainty_s'], 's')}",
        "Position": position,
        "Depth": depth,
        "Distance": _measure(event["source_distance_km"], event["source_distance_uncertainty_km"], "km"),
        "Remarks": event["location_quality"].replace(";", "\n") or MISSING,
        "Magnitude": _magnitude(event),
        "P / S picks": f"{event['num_p_picks']:,} / {event['num_s_picks']:,}",
        "Renamed": f"{event['num_renamed']:,}" if event["num_renamed"] else MISSING,
        "Channels": f"{event['num_channels']:,}",
        "RMS (s)": number(event["residual_rms_s"], ".3f", MISSING),
        "Gap (°)": number(event["azimuthal_gap_deg"], ".0f", MISSING),
    }


def section_chapter(heading: str, patch: Patch, events: pd.DataFrame, picks: pd.DataFrame) -> Chapter:
    """Show a record with its picks, the predicted arrivals and their residuals along the cable."""
    from phasenet_das import plot
    from phasenet_das.io import get_channel_index, get_station_id, get_times, get_unit
    from phasenet_das.plot.overlay import picks_inside

    times = get_times(patch)
    inside = picks_inside(picks, get_station_id(patch), get_channel_index(patch), times)
    kept = inside[inside["event_index"] >= 0]
    found = events[events["event_index"].isin(kept["event_index"].unique())]
    text = [f"{_event_name(event)}: {describe_event(event)}." for event in records(found)]
    if found.empty:
        text.append("No event is seen in this record.")
    alone = inside.loc[grouped(inside), "group_index"] if grouped(inside).any() else pd.Series(dtype="int64")
    text += [f"Group {index}: {count:,} picks in line that no event takes." for index, count in _count(alone)]
    plots = [
        draw(
            lambda ax: plot.section(patch, inside, ax=ax, moveout=True, title=get_station_id(patch)),
            (9.0, 5.8),
            f"{len(get_channel_index(patch)):,} channels (unit: {get_unit(patch)}), each scaled to itself: "
            "dark is strong, whatever its sign. Filled points are picks that belong to an event, hollow ones "
            "were rejected. Their colour is the phase as which they were taken. A ring marks a pick that its "
            "event took for the other phase. A triangle is a pick of a group without a location. The black "
            "line is the arrival that the located event predicts. Plain grey is missing data.",
            f"Section {heading} with {len(kept)} kept and {len(inside) - len(kept)} rejected picks",
        )
    ]
    if len(kept):
        plots.append(
            draw(
                lambda ax: plot.residuals(kept, ax=ax),
                (9.0, 2.6),
                "How late (above zero) or early each pick is against the prediction. A slow drift along the "
                "cable is ground that the velocity model does not know.",
                "Residuals along the cable",
            )
        )
    return Chapter(heading, text=text, plots=plots)


def _event_name(event: dict[str, Any]) -> str:
    quality = f" (class {event['quality']})" if event["quality"] else ""
    return f"Event {event['event_index']}{quality}"


def _count(groups: pd.Series) -> list[tuple[int, int]]:
    counts = groups.value_counts().sort_index()
    return [(int(index), int(count)) for index, count in zip(counts.index, counts, strict=True)]


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
    counts = pd.crosstab(fate, picks["phase_type"])
    counts["all"] = counts.sum(axis=1)
    counts = counts.sort_values("all", ascending=False, kind="stable")
    counts = counts.loc[sorted(counts.index, key=lambda name: name != "kept")]
    median = picks["phase_score"].astype(float).groupby(fate).median()
    header = ["What became of the picks", *(str(name) for name in counts.columns), "share", "median score"]
    rows = [
        [
            str(name) if name == "kept" else f"rejected: {name}",
            *(f"{count:,}" for count in row),
            f"{row.iloc[-1] / len(picks):.1%}",
            f"{median[str(name)]:.2f}",
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
            lambda ax: plot.map_view(events, channels, ax=ax),
            (6.4, 6.4),
            "Receivers and events, in kilometres, with a marker for each class. Class D is not drawn. An "
            "ellipse is a known uncertainty. An arrow points to a distant event and has its distance. An "
            "event of unknown direction lies somewhere on the circle, whose band is its uncertainty.",
            "Map",
        )
    ]
    if any(_in_depth_section(event) for event in records(events)):
        plots.append(
            draw(
                lambda ax: plot.depth_section(events, channels, ax=ax),
                (9.0, 3.6),
                "Depths, seen towards the north.",
                "Depth section",
            )
        )
        plots.append(
            draw(
                lambda ax: plot.depth_section(events, channels, azimuth_deg=0.0, ax=ax),
                (9.0, 3.6),
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
        caption += " Below, what was examined (green) and what was not (grey)."
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


def _measure(value: float, uncertainty: float, unit: str) -> str:
    if not np.isfinite(value):
        return MISSING
    return f"{value:.{decimals(uncertainty)}f}{NO_BREAK}{_spread(uncertainty, unit) or unit}"


def _spread(uncertainty: float, unit: str) -> str:
    """Write an uncertainty that a line break does not tear apart."""
    return plus_minus(uncertainty, unit)[1:].replace(" ", NO_BREAK) if np.isfinite(uncertainty) else ""


def _span(coverage: pd.DataFrame) -> str:
    known = coverage[coverage["num_channels"] > 0]
    return f"{known['first_channel'].min()} to {known['last_channel'].max()}" if len(known) else MISSING
