"""A record with its picks as one SVG: a WebP image of the waveforms, and marks that stay sharp."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from phasenet_das.plot.overlay import picks_inside
from phasenet_das.plot.raster import rasterise
from phasenet_das.tables.columns import associated_phase, grouped, plain_times, renamed

if TYPE_CHECKING:
    from dascore import Patch


WIDTH: Final = 880  # of the panels, px
_HEIGHT, _RESIDUAL_HEIGHT = 430, 96
_MAX_CHANNELS, _MAX_TIMES = 800, 1000  # of the image of the waveforms, pixels
_QUALITY: Final = 25  # of WebP: a record is noise, finer grades only grow the page
_POWER: Final = 0.8  # of the amplitude, below 1: brings out weak arrivals beside strong ones
_MAX_MARKS: Final = 1000  # of a kind in a panel
_MAX_LINE_POINTS: Final = 120
_ROOM: Final = 1.15  # of the residual panel, above the largest

# Each mark is drawn from its place, in px, so that it keeps its size in a zoom.
GLYPHS: Final[Mapping[str, str]] = {
    "rejected-P": "m-3-3l6 6m0-6l-6 6",
    "rejected-S": "m-3.6 0h7.2m-3.6-3.6v7.2",
    "kept-P": "m0-2.5a2.5 2.5 0 1 1-.01 0z",
    "kept-S": "m0-3l3 3-3 3-3-3z",
    "group": "m0-4.2l4 7.2h-8z",
    "renamed": "m0-5a5 5 0 1 1-.1 0z",
}

LEGEND: Final = [
    (kind, GLYPHS[kind], words)
    for kind, words in (
        ("kept-P", "P, kept"),
        ("kept-S", "S, kept"),
        ("rejected-P", "P, rejected"),
        ("rejected-S", "S, rejected"),
        ("renamed", "taken by its event for the other phase"),
        ("group", "in line, but of no event (group G1, G2, ...)"),
    )
]


class Tick(NamedTuple):
    """A tick at `at` px, with its words."""

    at: float
    text: str


class Tag(NamedTuple):
    """A word beside a place of a panel, in px."""

    kind: str
    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Panel:
    """Marks, lines and an image over a range of channels, in px from the upper left corner."""

    kind: str
    height: int
    limits: tuple[float, float]  # of its axis, at the top and at the bottom
    name: str
    marks: Mapping[str, str]
    lines: Sequence[str] = ()
    tags: Sequence[Tag] = ()
    image: str = ""

    @property
    def ticks(self) -> list[Tick]:
        """Where its axis has numbers."""
        return axis_ticks(*self.limits, self.height, 60 if self.height > 200 else 24)


@dataclass(frozen=True)
class SectionFigure:
    """Panels above each other that share the channels."""

    panels: Sequence[Panel]
    channels: tuple[float, float]
    distance: tuple[float, float] | None  # along the fibre, m, where it grows evenly
    alternative: str
    num_kept: int
    num_rejected: int
    step: int  # every n-th mark of the most frequent kind is drawn

    @property
    def ticks(self) -> list[Tick]:
        """Where the axis of channels has numbers."""
        return axis_ticks(*self.channels, WIDTH, 90)

    @property
    def distance_ticks(self) -> list[Tick]:
        """Where the axis of distance has numbers, in km."""
        if self.distance is None:
            return []
        return axis_ticks(self.distance[0] / 1000, self.distance[1] / 1000, WIDTH, 90)


def axis_ticks(first: float, last: float, length: float, spacing: float) -> list[Tick]:
    """Choose round numbers on an axis of some px, about `spacing` px or more apart."""
    low, high = sorted((first, last))
    least = (high - low) * spacing / length
    power = 10.0 ** np.floor(np.log10(least))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)
    numbers = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    return [Tick(round((n - first) / (last - first) * length, 2), f"{n + 0.0:.10g}") for n in numbers]


def section_figure(
    picks: pd.DataFrame, patch: Patch | None, reference: pd.Timestamp, since: str, alternative: str
) -> SectionFigure:
    """Draw a record and the picks in it; the picks alone where there is no record.

    `reference`: the time from which seconds count, `since`: its name.
    """
    if patch is None:
        view, shown, image = _View.of_picks(picks, reference), picks, ""
    else:
        from phasenet_das.io import get_station_id

        view, image = _View.of_patch(patch, reference), _image(patch)
        shown = picks_inside(picks, get_station_id(patch), view.numbers, view.times)
    shown = shown.sort_values("channel_index", kind="stable")
    y = view.y(view.seconds(shown))
    predicted = list(_predicted(shown, view))
    record = Panel(
        kind="record",
        height=_HEIGHT,
        limits=view.limits,
        name=f"Seconds after {since}",
        marks=_marks(shown, view.x(shown), y),
        lines=[line for _, line in predicted],
        tags=[*(tag for tag, _ in predicted), *_group_tags(shown, view.x(shown), y)],
        image=image,
    )
    kept = int((shown["event_index"] >= 0).sum())
    panels = [record, *_residual_panel(shown, view)]
    step = _step(int(pd.Series(_kinds(shown)).value_counts().max())) if len(shown) else 1
    return SectionFigure(panels, view.channels, view.distance, alternative, kept, len(shown) - kept, step)


@dataclass(frozen=True)
class _View:
    """The channels and seconds that a figure shows."""

    channels: tuple[float, float]
    limits: tuple[float, float]
    numbers: np.ndarray
    times: np.ndarray
    reference: np.datetime64
    distance: tuple[float, float] | None = None

    @classmethod
    def of_patch(cls, patch: Patch, reference: pd.Timestamp) -> _View:
        from phasenet_das.io import get_channel_index, get_distance_m, get_times

        numbers, times, start = get_channel_index(patch), get_times(patch), _plain(reference)
        first, last = (times[[0, -1]] - start) / np.timedelta64(1, "s")
        distance = _even_distance(numbers, get_distance_m(patch))
        return cls(_edges(numbers), (float(first), float(last)), numbers, times, start, distance)

    @classmethod
    def of_picks(cls, picks: pd.DataFrame, reference: pd.Timestamp) -> _View:
        numbers, times = picks["channel_index"].to_numpy(), plain_times(picks["phase_time"])
        seconds = (times - _plain(reference)) / np.timedelta64(1, "s")
        limits = (float(seconds.min()) - 1, float(seconds.max()) + 1)
        return cls(_edges(numbers), limits, numbers, times, _plain(reference))

    def seconds(self, picks: pd.DataFrame) -> np.ndarray:
        since: np.ndarray = (plain_times(picks["phase_time"]) - self.reference) / np.timedelta64(1, "s")
        return since

    def x(self, picks: pd.DataFrame) -> np.ndarray:
        px: np.ndarray = _between(picks["channel_index"].to_numpy(dtype=float), self.channels) * WIDTH
        return px

    def y(self, seconds: np.ndarray) -> np.ndarray:
        px: np.ndarray = _between(seconds, self.limits) * _HEIGHT
        return px


def _between(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    share: np.ndarray = (values - limits[0]) / (limits[1] - limits[0])
    return share


def _plain(time: pd.Timestamp) -> np.datetime64:
    return time.tz_convert(None).to_datetime64().astype("datetime64[ns]")


def _edges(numbers: np.ndarray) -> tuple[float, float]:
    """Give the outer edges of the first and the last channel."""
    unique = np.unique(numbers)
    half = float(np.diff(unique).min()) / 2 if len(unique) > 1 else 0.5
    return float(unique[0]) - half, float(unique[-1]) + half


def _even_distance(numbers: np.ndarray, distance_m: np.ndarray) -> tuple[float, float] | None:
    """Give the distances at the edges, where they follow the channel numbers in a straight line."""
    if len(numbers) < 2 or not np.isfinite(distance_m).all():
        return None
    slope, start = np.polyfit(numbers, distance_m, 1)
    error = np.abs(slope * numbers + start - distance_m).max()
    first, last = (float(slope * edge + start) for edge in _edges(numbers))
    return (first, last) if slope > 0 and error <= 0.01 * (last - first) else None


def _image(patch: Patch) -> str:
    """Keep the waveforms as a WebP image: time downward, each channel scaled to itself."""
    from PIL import Image

    from phasenet_das.io import get_channel_index, get_channel_status, get_data
    from phasenet_das.plot.style import amplitude_colormap

    dead = get_channel_status(patch) == "dead"
    raster = rasterise(get_data(patch), get_channel_index(patch), dead, _MAX_CHANNELS, _MAX_TIMES).image.T
    shades = np.sign(raster) * np.abs(raster) ** _POWER
    colors = amplitude_colormap()(np.ma.masked_invalid(shades.clip(-1, 1) / 2 + 0.5), bytes=True)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(colors[..., :3])).save(buffer, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _marks(picks: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> dict[str, str]:
    """Write the marks of each kind as one path; of very many every n-th."""
    kinds, swapped = _kinds(picks), renamed(picks).to_numpy()
    rows = {name: np.flatnonzero(swapped if name == "renamed" else kinds == name) for name in GLYPHS}
    thinned = {name: found[:: _step(len(found))] for name, found in rows.items() if len(found)}
    return {
        name: "".join(f"M{x[row]:.1f} {y[row]:.2f}{GLYPHS[name]}" for row in found)
        for name, found in thinned.items()
    }


def _step(count: int) -> int:
    """Tell how many marks of a kind stand for each one that is drawn."""
    return -(-count // _MAX_MARKS)


def _kinds(picks: pd.DataFrame) -> np.ndarray:
    """Name the mark of each pick; where nothing was judged, all count as kept."""
    kept, alone = (picks["event_index"] >= 0).to_numpy(), grouped(picks).to_numpy()
    fate = np.where(kept | ~(kept | alone).any(), "kept-", "rejected-").astype(object)
    kinds: np.ndarray = np.where(alone, "group", fate + associated_phase(picks).to_numpy(dtype=object))
    return kinds


def _predicted(picks: pd.DataFrame, view: _View) -> Iterator[tuple[Tag, str]]:
    """Write the arrivals that each event predicts as lines, and name them at their first channel."""
    known = picks[(picks["event_index"] >= 0) & picks["travel_time_residual_s"].notna()]
    several = known["event_index"].nunique() > 1
    for (_, phase), group in known.groupby(["event_index", associated_phase(known)], observed=True):
        one = group.drop_duplicates("channel_index")
        rows = np.unique(np.linspace(0, len(one) - 1, min(len(one), _MAX_LINE_POINTS)).round().astype(int))
        one = one.iloc[rows]
        x, y = view.x(one), view.y(view.seconds(one) - one["travel_time_residual_s"].to_numpy(dtype=float))
        name = f"{int(group['event_index'].iloc[0]) + 1} {phase}" if several else str(phase)
        yield (
            Tag(f"phase-{phase}", round(x[0], 1), round(y[0], 1), name),
            " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)),
        )


def _group_tags(picks: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> list[Tag]:
    """Write the number of each group without a location at its first channel."""
    alone = np.flatnonzero(grouped(picks))
    if not len(alone):
        return []
    _, first = np.unique(picks["group_index"].to_numpy()[alone], return_index=True)
    return [
        Tag("group", round(x[row], 1), round(y[row], 1), f"G{picks['group_index'].iloc[row] + 1}")
        for row in alone[first]
    ]


def _residual_panel(picks: pd.DataFrame, view: _View) -> Iterator[Panel]:
    """Draw how late each kept pick is against its prediction; nothing where no residual is known."""
    kept = picks[(picks["event_index"] >= 0) & picks["travel_time_residual_s"].notna()]
    if kept.empty:
        return
    late = kept["travel_time_residual_s"].to_numpy(dtype=float)
    most = _ROOM * max(float(np.abs(late).max()), 1e-3)
    y = _between(late, (most, -most)) * _RESIDUAL_HEIGHT
    yield Panel(
        kind="residual",
        height=_RESIDUAL_HEIGHT,
        limits=(most, -most),
        name="Residual (s)",
        marks={name: path for name, path in _marks(kept, view.x(kept), y).items() if name != "renamed"},
    )
