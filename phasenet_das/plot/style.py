"""Colours and axes that all figures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axes._secondary_axes import SecondaryAxis
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap
    from matplotlib.legend import Legend


AnyAxes = TypeVar("AnyAxes", "Axes", "SecondaryAxis")

# Dark blue and bright orange: apart in hue for every kind of colour vision, and in lightness (L* 35, 71).
PHASE_COLORS: Final = {"P": "#0a4fb4", "S": "#ff9100"}
OTHER_COLOR: Final = "#7a3e9d"
INK: Final = "#222222"
MUTED: Final = "#767676"
MISSING: Final = "#c9c9c9"
CABLE: Final = "#333333"
EVENT: Final = "#c2185b"
GROUP: Final = "#00796b"  # picks in line that belong to no event
LABEL_SIZE: Final = 9
TICK_SIZE: Final = 8


def phase_color(phase: str) -> str:
    """Return the colour of a phase."""
    return PHASE_COLORS.get(phase, OTHER_COLOR)


def new_axes(ax: Axes | None, figsize: tuple[float, float]) -> Axes:
    """Return the axes given, or those of a new pyplot figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    made: Axes = plt.subplots(figsize=figsize, layout="constrained")[1]
    return made


def size_inches(ax: Axes) -> tuple[float, float]:
    """Return the width and height of an axes."""
    figure = ax.get_figure(root=True)
    dpi = figure.dpi if figure is not None else 100.0
    box = ax.get_window_extent()
    return box.width / dpi, box.height / dpi


def heading(ax: Axes, text: str) -> None:
    """Write a heading at the upper left. Its text is literal, so ``$`` begins no formula."""
    ax.set_title(text, loc="left", fontsize=LABEL_SIZE + 1, color=INK, parse_math=False)


def date_numbers(moments: np.ndarray) -> np.ndarray:
    """Turn times into the numbers of a matplotlib date axis."""
    from matplotlib import dates

    numbers: np.ndarray = dates.date2num(moments)  # type: ignore[no-untyped-call]
    return numbers


def date_ticks(axis: Axis) -> None:
    """Label an axis of dates with no more than is needed to read it."""
    from matplotlib import dates

    locator = dates.AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axis.set_major_locator(locator)
    axis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def finish(ax: AnyAxes, *, grid: bool = False) -> AnyAxes:
    """Give an axes the common look: small labels, thin spines."""
    ax.tick_params(which="both", labelsize=TICK_SIZE, width=0.6, color=INK, labelcolor=INK)
    ax.tick_params(length=3)
    for name in ("xaxis", "yaxis"):
        axis = getattr(ax, name)
        axis.label.set(fontsize=LABEL_SIZE, color=INK)
        axis.get_offset_text().set(fontsize=TICK_SIZE, color=INK)
    for spine in ax.spines.values():
        spine.set(linewidth=0.6, edgecolor=INK)
    if grid:
        ax.grid(visible=True, linewidth=0.4, color="#dddddd", zorder=0)
        ax.set_axisbelow(True)
    return ax


def legend(ax: Axes, **options: Any) -> Legend | None:  # noqa: ANN401 - options of Axes.legend
    """Draw a legend when something has a label. Labels are literal, so ``$`` begins no formula."""
    if not ax.get_legend_handles_labels()[1]:
        return None
    box = ax.legend(fontsize=TICK_SIZE, framealpha=0.92, edgecolor="#bbbbbb", borderpad=0.4, **options)
    box.get_frame().set_linewidth(0.5)
    for text in box.get_texts():
        text.set_parse_math(False)
    return box


def legend_below(ax: Axes) -> None:
    """Draw a legend under the axes, where it hides no data, in as few rows as fit."""
    lower = -0.46 / max(size_inches(ax)[1], 0.5)  # room for tick labels and the axis label, in inches
    longest = max((len(label) for label in ax.get_legend_handles_labels()[1]), default=1)
    figure = ax.get_figure(root=True)
    width = figure.get_figwidth() if figure is not None else 6.0
    columns = max(int(width / (0.06 * longest + 0.45)), 1)  # inches of a letter, of a handle
    box = legend(
        ax, loc="upper center", bbox_to_anchor=(0.5, lower), ncols=columns, markerscale=1.8,
        handletextpad=0.6, columnspacing=1.4, frameon=False, borderaxespad=0,
    )  # fmt: skip
    if box is not None:
        box.set_zorder(7)


def utc_text(time: np.datetime64) -> str:
    """Write a time as people read it."""
    text = str(time.astype("datetime64[ms]")).replace("T", " ")
    return f"{text.removesuffix('.000')} UTC"


def amplitude_colormap() -> Colormap:
    """Return the diverging map of a seismic image: near white at zero, muted so that picks stand out."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = ["#30363d", "#8d949b", "#f7f6f3", "#b39b85", "#59402b"]
    return LinearSegmentedColormap.from_list("amplitude", stops).with_extremes(bad=MISSING)
