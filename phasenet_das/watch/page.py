"""The status page: the last hour of a watch, for the person on duty."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from phasenet_das.catalog.quality import describe_event
from phasenet_das.plot import PHASE_COLORS, timeline
from phasenet_das.plot.style import date_numbers, date_ticks, finish, legend
from phasenet_das.report.elements import MISSING
from phasenet_das.tables import empty_picks, read_picks
from phasenet_das.tables.columns import associated_phase
from phasenet_das.text import duration, number, records
from phasenet_das.watch.events import read_recent_events
from phasenet_das.watch.health import Health, version_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPAN: Final = pd.Timedelta(hours=1)
_FRESH_S: Final = 5.0
_MAX_ROWS: Final = 50
_WIDTH_IN: Final = 11.0
_UNSEEN: Final = "#d9d9d9"


@dataclass(frozen=True)
class _Plot:
    source: str
    width: int
    height: int
    caption: str


@dataclass(frozen=True)
class _Table:
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    nothing: str


@dataclass(frozen=True)
class _Hour:
    """What the tables of a watch hold of a span of time."""

    start: pd.Timestamp
    end: pd.Timestamp
    picks: pd.DataFrame
    events: pd.DataFrame
    coverage: pd.DataFrame


class StatusPage:
    """Makes the page, at most every few seconds, whoever asks."""

    def __init__(self, health: Health) -> None:
        self._health, self._lock = health, threading.Lock()
        self._made_s, self._html = -np.inf, ""

    def html(self, now_s: float) -> str:
        """Return the page at a time, s since 1970."""
        with self._lock:
            if now_s - self._made_s > _FRESH_S:
                self._html, self._made_s = _page(self._health, now_s), now_s
            return self._html


def _page(health: Health, now_s: float) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader("phasenet_das.watch"), jinja2.PackageLoader("phasenet_das.report")]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    hour, lags = _last_hour(health, now_s), health.lags(now_s)
    return environment.get_template("status.html.j2").render(
        title=f"Watch of {', '.join(lags) or 'a cable without data yet'}",
        time=f"{pd.Timestamp(now_s, unit='s'):%Y-%m-%d %H:%M:%S}",
        refresh_s=health.limits.refresh_s,
        alarms=health.alarms(now_s),
        running=_running(health),
        headline=_headline(health, hour, now_s),
        plots=_plots(hour),
        tables=[_event_table(hour), _coverage_table(hour)],
    )


def _last_hour(health: Health, now_s: float) -> _Hour:
    """Load the last hour by the clock, or by the data when they are older."""
    newest = max(health.ends().values(), default=now_s)
    end = pd.Timestamp(now_s if now_s - newest < _SPAN.total_seconds() else newest, unit="s", tz="UTC")
    start = end - _SPAN
    events, coverage = read_recent_events(health.output), health.coverage()
    known = coverage[coverage["start"].notna() & (coverage["end"] > start) & (coverage["start"] < end)]
    return _Hour(
        start,
        end,
        _with_events(health, health.picks(start.timestamp(), end.timestamp())),
        events[(events["time"] >= start) & (events["time"] < end)],
        known.assign(
            start=known["start"].where(known["start"] > start, start),
            end=known["end"].where(known["end"] < end, end),
        ),
    )


def _with_events(health: Health, picks: pd.DataFrame) -> pd.DataFrame:
    """Mark the picks of events: the tables of the days know none."""
    paths = [health.output / name for name in ("picks.parquet", "recent_picks.parquet")]
    taken = np.concatenate([_ids_of_events(*version_of(path)) for path in paths])
    return picks.assign(event_index=np.where(picks["pick_id"].isin(taken), 0, -1))


@lru_cache(maxsize=2)
def _ids_of_events(path: Path, mtime_ns: int) -> np.ndarray:
    """Return the ids of the picks of a table that have an event: (pick,) int64."""
    picks = read_picks(path) if mtime_ns else empty_picks()
    ids: np.ndarray = picks.loc[picks["event_index"] >= 0, "pick_id"].to_numpy(np.int64)
    return ids


def _running(health: Health) -> str:
    if health.waiting:
        return f"{health.waiting:,} new files are being picked."
    speed = f" The last pass picked {health.speed:.1f} s of data a second." if health.passes else ""
    began = f"{pd.Timestamp(health.started_s, unit='s'):%Y-%m-%d %H:%M}"
    return f"Files picked since {began} UTC: {health.files:,}.{speed}"


def _headline(health: Health, hour: _Hour, now_s: float) -> list[tuple[str, str]]:
    lags, dead = health.lags(now_s), health.dead_channels()
    cables = [(duration(lag, 2), f"behind the clock ({name})") for name, lag in lags.items()]
    age = now_s - health.arrived_s
    kept = int((hour.picks["event_index"] >= 0).sum())
    return [
        *cables,
        (number(age, ".0f", MISSING) + " s" * bool(np.isfinite(age)), "since the last file"),
        (f"{len(hour.events):,}", "event in this hour" if len(hour.events) == 1 else "events in this hour"),
        (f"{kept:,}", f"of {len(hour.picks):,} picks in events"),
        (f"{health.picks_per_minute(now_s):,.0f}", "picks a minute (last 10 minutes)"),
        (f"{sum(dead.values()):,}", "dead channels now"),
    ]


def _plots(hour: _Hour) -> list[_Plot]:
    cables = sorted({*hour.picks["station_id"], *hour.coverage["station_id"]})
    span = f"{hour.start:%Y-%m-%d %H:%M} to {hour.end:%H:%M} UTC"
    plots = [
        _draw(
            partial(_section, cable=name, hour=hour),
            4.2,
            f"{name}, {span}. Filled points are picks of events, pale ones are others. Triangles are origin "
            "times. Grey time was not picked.",
        )
        for name in cables
    ]
    caption = "Picks in bins of time, events as lines, and coverage in the strip below: green was picked."
    picked = hour.coverage[hour.coverage["status"] == "examined"]
    return [
        *plots,
        _draw(lambda ax: timeline(hour.events, hour.picks, picked, ax=ax), 2.6, caption),
    ]


def _section(ax: Axes, *, cable: str, hour: _Hour) -> None:
    """Draw picks over time and channel; `ax` gets the whole hour."""
    first, last = date_numbers(np.array([hour.start.to_datetime64(), hour.end.to_datetime64()]))
    ax.axvspan(first, last, color=_UNSEEN, linewidth=0)
    seen = hour.coverage[(hour.coverage["station_id"] == cable) & (hour.coverage["status"] == "examined")]
    for start, end in zip(_dates(seen["start"]), _dates(seen["end"]), strict=True):
        ax.axvspan(start, end, color="white", linewidth=0)
    picks = hour.picks[hour.picks["station_id"] == cable]
    for phase, of_phase in picks.groupby(associated_phase(picks), observed=True):
        for kept, group in of_phase.groupby(of_phase["event_index"] >= 0):
            color, label = PHASE_COLORS.get(str(phase), "#444444"), f"{phase} of events" if kept else None
            ax.scatter(
                _dates(group["phase_time"]),
                group["channel_index"],
                s=5 if kept else 3,
                color=color,
                alpha=0.9 if kept else 0.25,
                linewidths=0,
                label=label,
            )
    times = _dates(hour.events["time"])
    ax.plot(
        times, np.ones(len(times)), "v", color="#c2185b", transform=ax.get_xaxis_transform(), clip_on=False
    )
    ax.set_xlim(first, last)
    ax.set(xlabel="Time (UTC)", ylabel="Channel")
    date_ticks(ax.xaxis)
    legend(ax, loc="lower right", bbox_to_anchor=(1.0, 1.02), ncols=2, frameon=False, markerscale=2.0)
    finish(ax)


def _dates(times: pd.Series) -> np.ndarray:
    return date_numbers(times.dt.tz_localize(None).to_numpy())


def _draw(plot: Callable[[Axes], object], height_in: float, caption: str) -> _Plot:
    """Draw a picture: an hour of picks is too much for a diagram of lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    plot(figure.add_subplot())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return _Plot(source, round(_WIDTH_IN * 96), round(height_in * 96), caption)


def _event_table(hour: _Hour) -> _Table:
    newest = hour.events.sort_values("time", ascending=False).head(_MAX_ROWS)
    rows = [
        [
            str(event["event_id"]),
            event["quality"] or MISSING,
            describe_event(event),
            number(event.get("magnitude", np.nan), ".1f", MISSING),
            f"{event['num_p_picks']:,} / {event['num_s_picks']:,}",
        ]
        for event in records(newest)
    ]
    header = ["Id", "Class", "Event", "Magnitude", "P / S picks"]
    return _Table("Events of this hour, newest first", header, rows, "No event.")


def _coverage_table(hour: _Hour) -> _Table:
    found = hour.coverage[(hour.coverage["status"] != "examined") | (hour.coverage["reason"] != "")]
    newest = found.sort_values("end", ascending=False).head(_MAX_ROWS)
    rows = [
        [
            row["station_id"],
            f"{row['start']:%H:%M:%S}",
            f"{row['end']:%H:%M:%S}",
            f"{row['num_channels']:,}" if row["num_channels"] else MISSING,
            row["status"],
            row["reason"],
        ]
        for row in records(newest)
    ]
    header = ["Cable", "From", "To", "Channels", "Status", "Reason"]
    return _Table("Gaps and bad channels of this hour", header, rows, "Everything was picked.")
