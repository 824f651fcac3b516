"""Elements of the page: chapters of text, pictures and tables."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from phasenet_das.report.section_figure import SectionFigure


MISSING: Final = "\N{EN DASH}"
NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_NOT_FOR_A_PAGE: Final = re.compile(
    r"^.*?(?=<svg )|<metadata>.*?</metadata>| xmlns(:\w+)?=\"[^\"]*\"| id=\"[\w.]+_\d+\"", re.DOTALL
)  # prologue, metadata, and ids that are no target


@dataclass(frozen=True)
class Picture:
    """A diagram as SVG in the page, with what it shows."""

    svg: Markup
    width: int
    caption: str
    alternative: str


@dataclass(frozen=True)
class Table:
    """A table; the columns named in `text` are words, the others numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: AbstractSet[str]
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of the event table: a value, and its uncertainty or more words below it."""

    value: str
    below: str = ""


@dataclass(frozen=True)
class EventRow:
    """A row of the event table; `rank` and `num_picks` order it, worst and largest first."""

    number: int
    cells: Sequence[Cell]
    rank: int
    num_picks: int
    has_section: bool
    on_map: bool


@dataclass(frozen=True)
class EventTable:
    """The table of events, whose rows lead to sections and to the map."""

    header: Sequence[tuple[str, bool]]  # and whether it has words
    rows: Sequence[EventRow]
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A record with its picks: of an event (`number` 1, 2, ...), of a group, or of neither (0)."""

    anchor: str
    heading: str
    text: Sequence[str]
    figure: SectionFigure
    number: int = 0
    rank: int = 0
    num_picks: int = 0
    on_map: bool = False
    event_id: str = ""


@dataclass(frozen=True)
class Chapter:
    """A chapter of the report: words, plots, tables and sections in that order."""

    title: str
    text: Sequence[str] = ()
    plots: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    listing: Sequence[str] = ()
    code: Mapping[str, str] = field(default_factory=dict)
    events: EventTable | None = None
    sections: Sequence[Section] = ()
    folded: bool = False


def draw(
    plot: Callable[[Axes], object], size: tuple[float, float], caption: str, alternative: str
) -> Picture:
    """Draw on a figure of its own, which pyplot does not know, and keep it as SVG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasSVG(figure)
    plot(figure.add_subplot())
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": alternative, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = _NOT_FOR_A_PAGE.sub("", buffer.getvalue())
    return Picture(Markup(svg), round(size[0] * 96), caption, alternative)  # noqa: S704 - matplotlib escapes
