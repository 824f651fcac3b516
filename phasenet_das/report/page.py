"""One HTML file that tells what was found, to somebody who was not there."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from phasenet_das.catalog.quality import (
    FLAG_MEANINGS,
    depth_known,
    describe_event,
    located,
)
from phasenet_das.tables import (
    CHANNEL_COLUMNS,
    COVERAGE_COLUMNS,
    EVENT_COLUMNS,
    PICK_COLUMNS,
    atomic_path,
    conform,
)
from phasenet_das.text import coordinates, decimals, duration, number, plus_minus, records

if TYPE_CHECKING:
    from dascore import Patch
    from matplotlib.axes import Axes


_MAX_EVENT_ROWS: Final = 200
_MAX_LISTED: Final = 100
_DPI: Final = 150
_MISSING: Final = "\N{EN DASH}"
_JOINED: Final = "\N{NO-BREAK SPACE}"
_EVENT_TEXT: Final = frozenset({"Time (UTC)", "Position", "Depth", "Distance", "Remarks"})


@dataclass(frozen=True)
class _Plot:
    """A picture as a data URI, with what it shows."""

    source: str
    width: int
    height: int
    caption: str
    alternative: str


@dataclass(frozen=True)
class _Table:
    """A table; the columns named in `text` are words, the others numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: AbstractSet[str]
    note: str = ""
    wrapped: bool = True


@dataclass(frozen=True)
class _Part:
    """A chapter of the report: words, plots and tables in that order."""

    title: str
    text: Sequence[str] = ()
    plots: Sequence[_Plot] = ()
    tables: Sequence[_Table] = ()
    listing: Sequence[str] = ()
    code: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """A training that the catalog rests on.

    Attributes
    ----------
    title : str
        Heading.
    text : str
        What it was trained on.
    log, validation : pandas.DataFrame
        Its course: ``step, loss``, and ``step, loss, p_f1, s_f1`` (None where nothing was kept from it).
    """

    title: str
    text: str
    log: pd.DataFrame
    validation: pd.DataFrame | None = None


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
    path : str or pathlib.Path
        The file to write, whole or not at all.
    events : pandas.DataFrame
        Event table.
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
        Scores of picks and events, as :func:`phasenet_das.pipeline.scores.evaluate_run` gives them.
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

    Returns
    -------
    pathlib.Path
        The file written.

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
        parts = [
            _evaluation_part(evaluation),
            _events_part(events),
            *(_section_part(heading, patch, events, picks) for heading, patch in sections),
            _picks_part(picks),
            _place_part(events, channels),
            _time_part(events, picks, coverage),
            _magnitude_part(events),
            *(_training_part(training) for training in trainings),
            _left_out_part(coverage, left_out),
            _provenance_part(settings if settings is not None else stored, facts),
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
        parts=[part for part in parts if part is not None],
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


def _events_part(events: pd.DataFrame) -> _Part:
    if events.empty:
        return _Part("Events", text=["No event was found."])
    shown = events
    note = ""
    if len(events) > _MAX_EVENT_ROWS:
        shown = events.nlargest(_MAX_EVENT_ROWS, "num_picks").sort_values("time")
        note = f"The {_MAX_EVENT_ROWS} events with most picks of {len(events):,}; the catalog files hold all."
    table = pd.DataFrame([_event_row(event) for event in records(shown)])
    table = table.loc[:, (table != _MISSING).any()]
    flags = sorted({flag for text in shown["location_quality"] for flag in text.split(";") if flag})
    meanings = [f"{flag}: {FLAG_MEANINGS.get(flag, 'see the documentation')}." for flag in flags]
    text = (
        "Uncertainties are one standard deviation; of a position, the long half-axis of the 68 % ellipse. "
        "Distance is from the nearest channel to the source; depth is below sea level. RMS "
        "is of the residuals, observed less predicted arrival times."
    )
    rows = [list(row) for row in table.to_numpy()]
    made = _Table(list(table.columns), rows, _EVENT_TEXT, note, wrapped=False)
    return _Part("Events", [text], tables=[made], listing=meanings)


def _event_row(event: dict[str, Any]) -> dict[str, str]:
    position = _MISSING
    if located(event):
        spread = event["horizontal_uncertainty_km"]
        position = coordinates(event["longitude"], event["latitude"], spread).replace(" ", _JOINED)
        position += f" {_spread(spread, 'km')}"
    depth = (
        _measure(event["depth_km"], event["depth_uncertainty_km"], "km") if depth_known(event) else _MISSING
    )
    return {
        "#": f"{event['event_index']}",
        "Time (UTC)": f"{_event_time(event)} {_spread(event['time_uncertainty_s'], 's')}",
        "Position": position,
        "Depth": depth,
        "Distance": _measure(event["source_distance_km"], event["source_distance_uncertainty_km"], "km"),
        "Remarks": event["location_quality"].replace(";", "\n") or _MISSING,
        "Magnitude": number(event.get("magnitude", np.nan), ".1f", _MISSING),
        "P / S picks": f"{event['num_p_picks']:,} / {event['num_s_picks']:,}",
        "Channels": f"{event['num_channels']:,}",
        "RMS (s)": number(event["residual_rms_s"], ".3f", _MISSING),
        "Gap (°)": number(event["azimuthal_gap_deg"], ".0f", _MISSING),
    }


def _section_part(heading: str, patch: Patch, events: pd.DataFrame, picks: pd.DataFrame) -> _Part:
    """Show a record with its picks, the predicted arrivals and their residuals along the cable."""
    from phasenet_das import plot
    from phasenet_das.io import get_channel_index, get_station_id, get_times, get_unit
    from phasenet_das.plot.overlay import picks_inside

    times = get_times(patch)
    inside = picks_inside(picks, get_station_id(patch), get_channel_index(patch), times)
    kept = inside[inside["event_index"] >= 0]
    found = events[events["event_index"].isin(kept["event_index"].unique())]
    text = [f"Event {event['event_index']}: {describe_event(event)}." for event in records(found)]
    if found.empty:
        text.append("No event is seen in this record.")
    plots = [
        _draw(
            lambda ax: plot.section(patch, inside, ax=ax, moveout=True, title=get_station_id(patch)),
            (9.0, 5.8),
            f"{len(get_channel_index(patch)):,} channels (unit: {get_unit(patch)}), each scaled to itself: "
            "dark is strong, whatever its sign. Filled points are picks that belong to an event, hollow ones "
            "were rejected; the black line is when the event as located predicts the arrival. Plain grey is "
            "missing data.",
            f"Section {heading} with {len(kept)} kept and {len(inside) - len(kept)} rejected picks",
        )
    ]
    if len(kept):
        plots.append(
            _draw(
                lambda ax: plot.residuals(kept, ax=ax),
                (9.0, 2.6),
                "How late (above zero) or early each pick is against the prediction. A slow drift along the "
                "cable is ground that the velocity model does not know.",
                "Residuals along the cable",
            )
        )
    return _Part(heading, text=text, plots=plots)


def _picks_part(picks: pd.DataFrame) -> _Part:
    """Count kept and rejected picks by phase and by reason."""
    from phasenet_das import plot

    if picks.empty:
        return _Part("Picks, kept and rejected", text=["There are no picks."])
    kept = picks["event_index"] >= 0
    reason = (
        picks["reason"].fillna("").astype(str) if "reason" in picks.columns else pd.Series("", picks.index)
    )
    fate = reason.where(reason != "", "not part of an event").where(~kept, "kept")
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
    histogram = _draw(
        lambda ax: plot.score_histogram(picks, ax=ax),
        (9.0, 2.8),
        "How sure the network was of the picks that were kept (upward) and rejected (downward).",
        "Histogram of pick scores",
    )
    return _Part("Picks, kept and rejected", plots=[histogram], tables=[_Table(header, rows, {header[0]})])


def _place_part(events: pd.DataFrame, channels: pd.DataFrame | None) -> _Part | None:
    from phasenet_das import plot

    if events.empty and channels is None:
        return None
    plots = [
        _draw(
            lambda ax: plot.map_view(events, channels, ax=ax),
            (6.4, 6.4),
            "Receivers and events, in kilometres. An event whose direction is unknown lies somewhere on the "
            "circle; the band is its uncertainty (one standard deviation).",
            "Map",
        )
    ]
    if any(located(event) and depth_known(event) for event in records(events)):
        plots.append(
            _draw(
                lambda ax: plot.depth_section(events, channels, ax=ax),
                (9.0, 3.6),
                "Depths, seen towards the north.",
                "Depth section",
            )
        )
        plots.append(
            _draw(
                lambda ax: plot.depth_section(events, channels, azimuth_deg=0.0, ax=ax),
                (9.0, 3.6),
                "Depths, seen towards the west: north is to the right.",
                "Depth section from south to north",
            )
        )
    return _Part("Where", plots=plots)


def _time_part(events: pd.DataFrame, picks: pd.DataFrame, coverage: pd.DataFrame | None) -> _Part:
    from phasenet_das import plot

    caption = "Picks over time, with the origin times of the events."
    if coverage is not None:
        caption += " Below, what was examined (green) and what was not (grey)."
    drawn = _draw(lambda ax: plot.timeline(events, picks, coverage, ax=ax), (9.0, 3.0), caption, "Timeline")
    if coverage is None:
        return _Part("When", plots=[drawn])
    rows = []
    for (station, status), group in coverage.groupby(["station_id", "status"], observed=True):
        seconds = float((group["end"] - group["start"]).dt.total_seconds().sum())
        length = duration(seconds) if seconds else _MISSING
        rows.append([str(station), str(status), f"{len(group):,}", length, _span(group)])
    table = _Table(
        ["Cable or station", "Status", "Spans", "Duration", "Channels"], rows, {"Cable or station", "Status"}
    )
    return _Part("When", plots=[drawn], tables=[table])


def _magnitude_part(events: pd.DataFrame) -> _Part | None:
    """Show how many events there are of each magnitude, where magnitudes were computed."""
    if "magnitude" not in events.columns or not events["magnitude"].notna().any():
        return None
    from phasenet_das import plot

    drawn = _draw(
        lambda ax: plot.magnitude_frequency(events["magnitude"], ax=ax),
        (6.4, 3.6),
        "Events in each tenth of a magnitude (bars), and of each magnitude and above (points). Where the "
        "points bend down to the left, smaller events were missed.",
        "Magnitudes and frequencies",
    )
    known = int(events["magnitude"].notna().sum())
    return _Part("Magnitudes", [f"{known:,} of {len(events):,} events have a magnitude."], [drawn])


def _training_part(training: Training) -> _Part:
    """Show the course of a training."""
    from phasenet_das import plot

    drawn = _draw(
        lambda ax: plot.training_curves(training.log, training.validation, ax=ax),
        (9.0, 3.6),
        "Loss over the steps; and, where there were enough events to spare some, loss and F1 "
        "of the picks on those.",
        training.title,
    )
    return _Part(training.title, [training.text], [drawn])


def _evaluation_part(evaluation: Mapping[str, Any] | None) -> _Part | None:
    """Lay out how picks and events compare with what is known."""
    if evaluation is None:
        return None
    text, tables = [], []
    if "picks" in evaluation:
        limits = next(iter(evaluation["picks"].values()))["tolerance_s"]
        text.append(
            "Picks against all true first arrivals, however weak: right within "
            + ", ".join(f"{value:g} s ({phase})" for phase, value in limits.items())
            + ". Precision: share of picks that are right; recall: share of arrivals that were picked; F1: "
            "their harmonic mean."
        )
        tables.append(_pick_scores(evaluation["picks"]))
    if "events" in evaluation:
        found = evaluation["events"]
        row = found["scores"]
        text.append(
            f"{row['num_matched']:,} of {row['num_reference']:,} events of the reference were found (within "
            f"{found['time_tolerance_s']:g} s and {found['distance_tolerance_km']:g} km); of the "
            f"{row['num_events']:,} events of the catalog {row['num_events'] - row['num_matched']:,} are not "
            f"in the reference.{_above(evaluation)}"
        )
        tables += [_event_errors(found["errors"]), *_by_magnitude(found["by_magnitude"])]
    return _Part("Against what is known", text, tables=tables)


def _above(evaluation: Mapping[str, Any]) -> str:
    above = evaluation.get("events_above")
    if not above:
        return ""
    return (
        f" Of magnitude {above['min_magnitude']:g} and above: {above['found']:,} of {above['reference']:,}."
    )


def _pick_scores(stages: Mapping[str, Any]) -> _Table:
    rows = [
        [
            name,
            row["phase"],
            f"{row['num_picks']:,}",
            f"{row['num_truth']:,}",
            *(
                number(_nan(row[key]), ".3f", _MISSING)
                for key in ("precision", "recall", "f1", "bias_s", "std_s")
            ),
        ]
        for name, found in stages.items()
        for row in found["scores"]
        if not row["bin_by"]
    ]
    header = ["Picks of", "Phase", "Picks", "True", "Precision", "Recall", "F1", "Bias (s)", "Std (s)"]
    return _Table(header, rows, {"Picks of", "Phase"})


def _event_errors(errors: Sequence[Mapping[str, Any]]) -> _Table:
    rows = [
        [re.sub(r" (s|km)$", r" (\1)", str(row["quantity"]).replace("_", " ")), f"{row['num']:,}"]
        + [number(_nan(row[key]), ".2f", _MISSING) for key in ("median", "p05", "p95")]
        for row in errors
    ]
    return _Table(
        ["Error of events found", "Number", "Median", "5 %", "95 %"], rows, {"Error of events found"}
    )


def _by_magnitude(bins: Sequence[Mapping[str, Any]]) -> list[_Table]:
    if not bins:
        return []
    rows = [
        [
            f"{row['magnitude_low']:g} to {row['magnitude_high']:g}",
            f"{row['num_reference']:,}",
            f"{row['num_matched']:,}",
            number(_nan(row["recall"]), ".2f", _MISSING),
        ]
        for row in bins
    ]
    return [
        _Table(
            ["Magnitude of the reference", "Events", "Found", "Share"], rows, {"Magnitude of the reference"}
        )
    ]


def _nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _left_out_part(coverage: pd.DataFrame | None, left_out: Sequence[tuple[str, str]]) -> _Part:
    rows = [[what, why] for what, why in left_out]
    if coverage is not None:
        rows += [
            [_span_name(span), span["reason"] or span["status"]]
            for span in records(coverage[(coverage["status"] != "examined") | (coverage["reason"] != "")])
        ]
    if not rows:
        return _Part("Left out", text=["Nothing was left out."])
    note = f"{len(rows) - _MAX_LISTED:,} more are in the coverage table." if len(rows) > _MAX_LISTED else ""
    return _Part("Left out", tables=[_Table(["What", "Why"], rows[:_MAX_LISTED], {"What", "Why"}, note)])


def _provenance_part(settings: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> _Part | None:
    """Everything that is needed to make the same catalog again."""
    import yaml

    if not settings and not facts:
        return None
    plain = [
        [str(name).replace("_", " "), _MISSING if value is None else str(value)]
        for name, value in facts.items()
        if not isinstance(value, Mapping | list | tuple)
    ]
    inputs = facts.get("inputs") or {}
    tables = [_Table(["Made with", "Value"], plain, {"Made with", "Value"})] if plain else []
    if isinstance(inputs, Mapping) and inputs:
        rows = [[str(name), str(value)] for name, value in sorted(inputs.items())]
        tables.append(_Table(["Input file", "Hash"], rows, {"Input file", "Hash"}))
    code = {}
    if settings:
        code["Settings"] = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
    other = {
        str(name): value
        for name, value in facts.items()
        if isinstance(value, Mapping | list | tuple) and name != "inputs"
    }
    if other:
        code["Further facts"] = yaml.safe_dump(other, sort_keys=False, allow_unicode=True)
    return _Part("How it was made", tables=tables, code=code)


def _draw(draw: Callable[[Axes], object], size: tuple[float, float], caption: str, alternative: str) -> _Plot:
    """Draw on a figure of its own, which pyplot does not know, and keep it as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.add_subplot())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return _Plot(source, round(size[0] * 96), round(size[1] * 96), caption, alternative)


def _event_time(event: dict[str, Any]) -> str:
    return describe_event(event).split(" UTC")[0].replace(" ", _JOINED)


def _measure(value: float, uncertainty: float, unit: str) -> str:
    if not np.isfinite(value):
        return _MISSING
    return f"{value:.{decimals(uncertainty)}f}{_JOINED}{_spread(uncertainty, unit) or unit}"


def _spread(uncertainty: float, unit: str) -> str:
    """Write an uncertainty that a line break does not tear apart."""
    return plus_minus(uncertainty, unit)[1:].replace(" ", _JOINED) if np.isfinite(uncertainty) else ""


def _compact(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _span_name(span: dict[str, Any]) -> str:
    """Name a span of the coverage table by its file, cable and time, as far as they are known."""
    parts = [Path(span["source"]).name, span["station_id"]]
    if not pd.isna(span["start"]):
        parts.append(f"{_clock(span['start'])} to {_clock(span['end'])} UTC")
    return ", ".join(part for part in parts if part)


def _clock(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"


def _span(coverage: pd.DataFrame) -> str:
    known = coverage[coverage["num_channels"] > 0]
    return f"{known['first_channel'].min()} to {known['last_channel'].max()}" if len(known) else _MISSING
