"""Elements of the page: chapters of text, pictures and tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MISSING: Final = "\N{EN DASH}"
NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_DPI: Final = 150


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, with what it shows."""

    source: str
    width: int
    height: int
    caption: str
    alternative: str


@dataclass(frozen=True)
class Table:
    """A table; the columns named in `text` are words, the others numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: AbstractSet[str]
    note: str = ""
    wrapped: bool = True


@dataclass(frozen=True)
class Chapter:
    """A chapter of the report: words, plots and tables in that order."""

    title: str
    text: Sequence[str] = ()
    plots: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    listing: Sequence[str] = ()
    code: Mapping[str, str] = field(default_factory=dict)


def draw(
    plot: Callable[[Axes], object], size: tuple[float, float], caption: str, alternative: str
) -> Picture:
    """Draw on a figure of its own, which pyplot does not know, and keep it as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    plot(figure.add_subplot())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Picture(source, round(size[0] * 96), round(size[1] * 96), caption, alternative)
