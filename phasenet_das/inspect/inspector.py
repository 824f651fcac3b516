"""An interactive figure of a record and its picks, for notebooks and scripts.

The record is drawn from the samples in view, reduced to the pixels of the axes, each time the view changes:
zooming in shows more, and a record of thousands of channels stays quick. Views seen lately are kept as
pixels, and a click on another channel leaves the section and its picks alone. Works on every interactive
backend of matplotlib; in a notebook, say ``%matplotlib widget``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.image import AxesImage

from phasenet_das.errors import ConfigError
from phasenet_das.inspect.controls import MODES, make_controls
from phasenet_das.inspect.inspection import KEYS, Inspection
from phasenet_das.inspect.shapes import Area, Moveout
from phasenet_das.plot.overlay import draw_picks
from phasenet_das.plot.style import (
    EVENT,
    INK,
    MISSING,
    PHASE_COLORS,
    amplitude_colormap,
    finish,
    legend,
    phase_color,
    size_inches,
    utc_text,
)
from phasenet_das.tables.columns import associated_phase, plain_times

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.backend_bases import Event, KeyEvent, MouseEvent
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


_REACH_POINTS: Final = 8.0  # how near a click must be to a pick
_PIXELS_PER_INCH: Final = 120
_TRACE_POINTS: Final = 4000


class _LateImage(AxesImage):
    """An image that is made just before it is drawn: a zoom sets one axis after the other."""

    prepare: Callable[[], None] | None = None

    def draw(self, renderer: Any) -> None:  # noqa: ANN401 - of any backend
        if self.prepare is not None:
            self.prepare()
        super().draw(renderer)


class PickInspector:
    """A record with its picks above, one channel with its scores below.

    A click on the section shows that channel. What else a click does is the ``mode``: ``look``, ``add P``,
    ``add S``, ``move`` (the nearest pick of the shown channel comes to the click), ``delete``, ``reject`` and
    ``keep`` (say that the nearest pick belongs to no event, or to one). With ``line``, clicks are points of a
    line, and picks of ``inspection.phase`` near it are chosen. With ``box`` and ``lasso``, a drag chooses
    picks. :meth:`act` corrects what is chosen. Clicks while the toolbar pans or zooms do nothing.

    Parameters
    ----------
    source : path, dascore.Patch, or a sequence of them
        Recordings of one cable.
    picks : pandas.DataFrame
        Pick table; it is not changed. With events, each event is a place to look at.
    scores : xarray.DataArray, dims (phase, channel, time), optional
        From :meth:`phasenet_das.Picker.annotate`, drawn under the waveform.
    figure : matplotlib.figure.Figure, optional
        Where to draw; a new pyplot figure otherwise.
    power : float, optional
        Exponent of the amplitude, as in :func:`phasenet_das.plot.section`.
    **options
        As for :class:`Inspection`, such as ``save_to`` and ``picker``.

    Attributes
    ----------
    inspection : Inspection
        The places, and what is chosen.
    editor : PickEditor
        The corrected table.
    mode : str
        What a click does, one of ``MODES``.
    channel : int
        The channel shown below.

    Raises
    ------
    TableError
        The record has no name and the picks are of several cables, or all picks are of other cables.
    """

    def __init__(
        self,
        source: Any,  # noqa: ANN401 - paths or objects that hold DAS data
        picks: pd.DataFrame,
        scores: xr.DataArray | None = None,
        *,
        figure: Figure | None = None,
        power: float = 0.8,
        **options: Any,  # noqa: ANN401 - of Inspection
    ) -> None:
        self.inspection = Inspection(source, picks, **options)
        self.editor = self.inspection.editor
        self._scores, self._power, self._mode = scores, power, "look"
        self._points: list[tuple[float, float]] = []
        self.channel = self._middle_channel()
        self.figure = figure if figure is not None else _new_figure()
        top, middle, bottom = self.figure.subplots(3, 1, height_ratios=(5, 1.6, 1))
        self.section, self.trace, self.score = top, middle, bottom
        self.trace.sharex(self.score)
        self._view_changed = False
        self._start()

    @property
    def mode(self) -> str:
        """What a click does."""
        return self._mode

    @mode.setter
    def mode(self, value: str) -> None:
        if value not in MODES:
            raise ConfigError(f"mode '{value}': expected {', '.join(MODES)}.")
        self._mode, self._points = value, []
        self._box.set_active(value == "box")
        self._lasso.set_active(value == "lasso")

    @property
    def seconds(self) -> np.ndarray:
        """Times of the samples in s after the first, shape (time,)."""
        return self.inspection.screen.seconds

    def open(self, number: int) -> None:
        """Show a place by its number; a number beyond the last or the first is that one."""
        self.inspection.open(number)
        self._points, self._scores, self.channel = [], None, self._middle_channel()
        self._show_place()
        self.refresh()

    def act(self, action: str) -> str:
        """Correct what is chosen, and say in words what was done: see :meth:`Inspection.act`."""
        said = self.inspection.act(action)
        self.refresh()
        return said

    def choose(self, shape: Moveout | Area | None) -> int:
        """Choose picks: those of ``inspection.phase`` near a line, or all inside an area."""
        phase = self.inspection.phase if isinstance(shape, Moveout) else None
        count = self.inspection.choose(shape, phase)
        self.refresh()
        return count

    def show_scores(self) -> None:
        """Compute the scores of the place with the network, and draw them."""
        self._scores = self.inspection.compute_scores()
        self._draw_channel()
        self.figure.canvas.draw_idle()

    def set_min_score(self, value: float) -> None:
        """Hide the picks below a score.

        Parameters
        ----------
        value : float
            From 0 to 1.
        """
        self.editor.min_score = float(value)
        self.refresh()

    def show_channel(self, channel: float) -> None:
        """Show the channel of the record that is nearest to a number."""
        self.channel = self.inspection.screen.nearest_channel(channel)
        self._draw_channel()
        self.figure.canvas.draw_idle()

    def zoom(self, channels: tuple[float, float], seconds: tuple[float, float]) -> None:
        """Show a part of the record.

        Parameters
        ----------
        channels : tuple of float
            First and last channel.
        seconds : tuple of float
            From and to, s after the first sample.
        """
        self.section.set(xlim=channels, ylim=(seconds[1], seconds[0]))
        self._show_view()
        self.figure.canvas.draw_idle()

    def click(self, channel: float, second: float) -> None:
        """Do what a click on the section does.

        Parameters
        ----------
        second : float
            s after the first sample.
        """
        if self._mode == "look":
            self.show_channel(channel)
        elif self._mode.startswith("add"):
            self.channel = self.inspection.screen.nearest_channel(channel)
            self.editor.add(self.channel, self._moment(second), self._mode[-1])
            self._corrected()
        elif self._mode == "line":
            self._points.append((channel, second))
            if len({at for at, _ in self._points}) > 1:
                channels, seconds = np.array(self._points).T
                self.choose(Moveout(channels, self.inspection.screen.moments(seconds)))
            self._draw_line()
        elif self._mode in ("box", "lasso"):
            return
        else:
            self._correct(channel, second)

    def refresh(self) -> None:
        """Draw picks, waveform and scores anew."""
        for artist in [*self.section.collections]:
            artist.remove()
        shown = self.inspection.shown()
        draw_picks(self.section, shown, self._place, size=9.0)
        self._draw_chosen(shown[shown["pick_id"].isin(self.inspection.chosen)])
        box = legend(self.section, loc="upper right", markerscale=1.6, handletextpad=0.3)
        if box is not None:
            box.set_zorder(8)
        self._draw_channel()
        self.figure.canvas.draw_idle()

    def undo(self) -> None:
        """Take the last correction back."""
        self.act("undo")

    def widgets(self, save_to: str = "labels.parquet") -> Any:  # noqa: ANN401 - a type of an optional package
        """Make the controls of a notebook: threshold, mode, channel, undo and save.

        Parameters
        ----------
        save_to : str, optional
            Where the button saves the labels; can be edited in the notebook.

        Returns
        -------
        ipywidgets.VBox
            Controls; show the figure beside them with ``%matplotlib widget``.

        Raises
        ------
        MissingPackageError
            ipywidgets is not installed.
        """
        return make_controls(self, save_to)

    def _start(self) -> None:
        from matplotlib.colors import Normalize

        self._image = _LateImage(self.section, cmap=amplitude_colormap(), norm=Normalize(-1, 1), zorder=1)
        self._image.prepare = self._show_changed_view
        self._image.set_data(np.zeros((2, 2)))
        self._image.set_clip_path(self.section.patch)
        self.section.add_image(self._image)
        self.section.set_facecolor(MISSING)
        finish(self.section)
        self._shown = self.section.axvline(self.channel, color=EVENT, linewidth=0.8, zorder=6)
        (self._line,) = self.section.plot([], [], color=EVENT, marker="o", markerfacecolor="white", zorder=7)
        self._start_choice()
        self._start_channel()
        self._show_place()
        for name in ("xlim_changed", "ylim_changed"):
            self.section.callbacks.connect(name, self._on_view)
        self.figure.canvas.mpl_connect("button_press_event", self._on_click)
        self._start_keys()
        self.refresh()
        self.figure.canvas.draw()
        self.figure.set_layout_engine("none")  # laid out once: each click would pay for it again

    def _start_keys(self) -> None:
        """Let keys be actions; those of matplotlib would save or zoom."""
        manager = self.figure.canvas.manager
        if manager is not None and manager.key_press_handler_id is not None:
            self.figure.canvas.mpl_disconnect(manager.key_press_handler_id)
        self.figure.canvas.mpl_connect("key_press_event", self._on_key)

    def _start_choice(self) -> None:
        """Make the box and the lasso, which only their modes let work."""
        from matplotlib.widgets import LassoSelector, RectangleSelector

        self._box = RectangleSelector(self.section, self._on_box, useblit=False)
        self._lasso = LassoSelector(self.section, self._on_lasso, useblit=False)
        self._box.set_active(False)
        self._lasso.set_active(False)

    def _show_place(self) -> None:
        """Show the whole record of a place."""
        screen = self.inspection.screen
        first, last = screen.channels.min() - 0.5, screen.channels.max() + 0.5
        self.section.set(xlim=(first, last), ylim=(screen.seconds[-1], screen.seconds[0]))
        self.section.set(xlabel="Channel", ylabel=f"Time since {utc_text(screen.times[0])} (s)")
        self.section.set_title(self.inspection.stop.name, loc="left", fontsize=9, parse_math=False)
        self._show_view()

    def _start_channel(self) -> None:
        """Make what shows one channel; later only its contents change."""
        unit = self.inspection.screen.unit
        (self._wave,) = self.trace.plot([], [], color=INK, linewidth=0.6)
        name = f"Amplitude\n({unit})" if unit != "unknown" else "Amplitude"
        self.trace.set_ylabel(name, parse_math=False)
        self.trace.tick_params(labelbottom=False)
        self._threshold = self.score.axhline(0.0, color=EVENT, linewidth=0.8, linestyle="--")
        self._score_lines = {
            phase: self.score.plot([], [], color=color, linewidth=1.0, label=phase)[0]
            for phase, color in PHASE_COLORS.items()
        }
        self._arrivals: list[Line2D] = []
        self.score.set(ylim=(0, 1), xlabel="Time (s)", ylabel="Score")
        finish(self.trace)
        finish(self.score)

    def _middle_channel(self) -> int:
        channels = self.inspection.screen.channels
        return int(channels[len(channels) // 2])

    def _moment(self, second: float) -> np.datetime64:
        moment: np.datetime64 = self.inspection.screen.moments(np.array([second]))[0]
        return moment

    def _place(self, channel: Any, moment: np.ndarray) -> tuple[Any, np.ndarray]:  # noqa: ANN401
        return channel, self.inspection.screen.seconds_of(moment)

    def _show_view(self) -> None:
        self._view_changed = False
        self._draw_image()
        self._draw_channel()

    def _show_changed_view(self) -> None:
        if self._view_changed:
            self._show_view()

    def _draw_image(self) -> None:
        width, height = (max(int(inches * _PIXELS_PER_INCH), 50) for inches in size_inches(self.section))
        view = self.inspection.screen.view(self.section.get_xlim(), self.section.get_ylim(), width, height)
        if view is None:
            return
        raster, half = view.raster, view.raster.channel_step / 2
        self._image.set_data((np.sign(raster.image) * np.abs(raster.image) ** self._power).T)
        limits = (raster.first_channel - half, raster.last_channel + half, view.last_s, view.first_s)
        self._image.set_extent(limits)

    def _draw_chosen(self, chosen: pd.DataFrame) -> None:
        where = self._place(chosen["channel_index"], plain_times(chosen["phase_time"]))
        self.section.scatter(*where, s=22.0, facecolors="none", edgecolors=EVENT, linewidths=0.9, zorder=7)

    def _draw_line(self) -> None:
        self._line.set_data(*np.array(sorted(self._points)).reshape(-1, 2).T)
        self.figure.canvas.draw_idle()

    def _draw_channel(self) -> None:
        screen, limits = self.inspection.screen, self.section.get_ylim()
        seconds = screen.seconds[screen.samples_in(limits)]
        self._shown.set_xdata([self.channel, self.channel])
        self._wave.set_data(*screen.trace(self.channel, limits, _TRACE_POINTS))
        self.trace.relim()
        self.trace.autoscale_view(scalex=False)
        self.trace.set_title(f"Channel {self.channel}", loc="left", fontsize=9)
        self._draw_arrivals()
        self._threshold.set_ydata([self.editor.min_score] * 2)
        self._draw_scores()
        if len(seconds):
            self.score.set_xlim(seconds[0], seconds[-1])

    def _draw_arrivals(self) -> None:
        """Mark the picks of the channel: a full line when kept, dotted when rejected."""
        for line in self._arrivals:
            line.remove()
        own = self.editor.visible[self.editor.visible["channel_index"] == self.channel]
        _, when = self._place(own, plain_times(own["phase_time"]))
        kept = own["event_index"].to_numpy() >= 0
        self._arrivals = [
            ax.axvline(second, color=phase_color(str(phase)), linestyle="-" if solid else ":", linewidth=1.2)
            for second, phase, solid in zip(when, associated_phase(own), kept, strict=True)
            for ax in (self.trace, self.score)
        ]

    def _draw_scores(self) -> None:
        if self._scores is None:
            return
        name = "channel_index" if "channel_index" in self._scores.coords else "channel"
        row = np.flatnonzero(self._scores.coords[name].to_numpy() == self.channel)
        when = self.inspection.screen.seconds_of(self._scores.coords["time"].to_numpy())
        for phase, line in self._score_lines.items():
            one = self._scores.sel(phase=phase)
            line.set_data((when, one[int(row[0])].to_numpy()) if len(row) else ([], []))

    def _reach(self) -> tuple[float, float]:
        """Channels and seconds that a click may be off."""
        width, height = size_inches(self.section)
        channels = np.ptp(self.section.get_xlim()) / (width * 72) * _REACH_POINTS
        return max(float(channels), 0.5), float(
            np.ptp(self.section.get_ylim()) / (height * 72) * _REACH_POINTS
        )

    def _correct(self, channel: float, second: float) -> None:
        reach = self._reach()
        if self._mode == "move":  # along the shown channel, however far
            own, everywhere = self.channel, float(self.seconds[-1]) + 1.0
            found = self.editor.nearest(own, self._moment(second), max_channels=0.5, max_s=everywhere)
            if found is not None:
                self.editor.move(found, self._moment(second))
        else:
            found = self.editor.nearest(channel, self._moment(second), max_channels=reach[0], max_s=reach[1])
            if found is None:
                return
            if self._mode == "delete":
                self.editor.delete(found)
            else:
                self.editor.judge(found, keep=self._mode == "keep")
        self._corrected()

    def _corrected(self) -> None:
        self.inspection.save()
        self.refresh()

    def _on_box(self, one: Any, other: Any) -> None:  # noqa: ANN401 - mouse events
        early, late = self.inspection.screen.moments(np.array([one.ydata, other.ydata]))
        self.choose(Area.box((one.xdata, other.xdata), (early, late)))

    def _on_lasso(self, corners: list[tuple[float, float]]) -> None:
        if len(corners) > 2:
            channels, seconds = np.array(corners).T
            self.choose(Area(channels, self.inspection.screen.moments(seconds)))

    def _on_key(self, event: Event) -> None:
        pressed: KeyEvent = event  # type: ignore[assignment]
        if pressed.key in KEYS:
            try:
                answer = self.act(KEYS[pressed.key])
            except ConfigError as error:
                answer = str(error)
            self.figure.suptitle(answer, fontsize=9, parse_math=False)

    def _on_view(self, _: object) -> None:
        self._view_changed = True  # drawn once both axes have their limits

    def _on_click(self, event: Event) -> None:
        mouse: MouseEvent = event  # type: ignore[assignment]
        toolbar = getattr(self.figure.canvas, "toolbar", None)
        if mouse.xdata is None or mouse.ydata is None or str(getattr(toolbar, "mode", "")):
            return
        if mouse.inaxes is self.section:
            self.click(mouse.xdata, mouse.ydata)
        elif mouse.inaxes in (self.trace, self.score):
            if self._mode == "look":
                return
            self.click(self.channel, mouse.xdata)


def _new_figure() -> Figure:
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(9.5, 8.5), layout="constrained")
