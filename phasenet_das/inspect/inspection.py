"""Recordings and their picks while a person corrects them: the place shown, the choice, the actions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pandas as pd

from phasenet_das.errors import ConfigError, TableError
from phasenet_das.inspect.editor import PickEditor
from phasenet_das.inspect.screen import Screen
from phasenet_das.inspect.shapes import Area, Moveout
from phasenet_das.inspect.snap import neighbour_lags, onset_lags
from phasenet_das.inspect.stops import AROUND_S, Stop, make_stops
from phasenet_das.io.read import load_patch
from phasenet_das.plot.overlay import picks_inside, picks_of_cable
from phasenet_das.tables import read_metadata
from phasenet_das.tables.columns import associated_phase, plain_times

if TYPE_CHECKING:
    import xarray as xr
    from dascore import Patch

    from phasenet_das.config import DataSettings
    from phasenet_das.picking import Picker

_NEIGHBOURS: Final = 10  # picks on each side that make the mean waveform
KEYS: Final = {
    "m": "to line", "n": "add along line", "o": "snap to onset", "c": "snap to neighbours", "d": "delete",
    "r": "reject", "k": "keep", "x": "swap P and S", "e": "reject event", "z": "undo", "y": "redo",
}  # fmt: skip
_CORRELATED_S: Final = 0.5  # of the waveform on each side of a pick, at least


class Inspection:
    """Places in recordings, one after another, with what is chosen there.

    Parameters
    ----------
    source : path, dascore.Patch, or a sequence of them
        Recordings of one cable, as for :func:`phasenet_das.io.open_archive`.
    picks : pandas.DataFrame
        Pick table; it is not changed. With events, each place is an event; otherwise a piece of a recording.
    picker : Picker, optional
        Network whose scores can be shown.
    data : DataSettings, optional
        What the files do not say.
    min_score : float, optional
        Picks below are hidden, and are not saved.
    save_to : str or pathlib.Path, optional
        Pick table that is written after each action.
    edited_by : str, optional
        Who corrects; the name of the account otherwise.
    around_s : float, optional
        Time shown before the first and after the last pick of an event, s.
    bandpass_hz : tuple of float, optional
        Filter of the waveforms that are shown and snapped to, Hz.

    Attributes
    ----------
    editor : PickEditor
        The corrected table.
    stops : list of Stop
        The places.
    number : int
        The place shown.
    chosen : numpy.ndarray, shape (pick,), int64
        ``pick_id`` of the chosen picks.
    within_s : float
        Reach of a line and of the actions that snap, s.
    phase : str
        Phase of the picks that are added.

    Raises
    ------
    TableError
        The recordings are of several cables, or all picks are of other cables.
    """

    def __init__(
        self,
        source: Any,  # noqa: ANN401 - paths or objects that hold DAS data
        picks: pd.DataFrame,
        *,
        picker: Picker | None = None,
        data: DataSettings | None = None,
        min_score: float = 0.0,
        save_to: str | Path | None = None,
        edited_by: str | None = None,
        around_s: float = AROUND_S,
        bandpass_hz: tuple[float, float] | None = None,
    ) -> None:
        from phasenet_das.io import open_archive

        recordings = open_archive(source, data).recordings
        cables = sorted({one.station_id for one in recordings})
        if len(cables) > 1:
            raise TableError(
                f"recordings of {len(cables)} cables ({', '.join(cables)}): inspect one of them."
            )
        own = picks_of_cable(picks, cables[0])
        associated = _saved_association(picks, save_to)
        self.editor = PickEditor(own, cables[0], min_score, edited_by, associated)
        self.stops = make_stops(recordings, self.editor.picks, around_s, associated=self.editor.associated)
        self.save_to, self._picker, self._bandpass_hz = save_to, picker, bandpass_hz
        self.within_s, self.phase, self.number = 0.2, "P", 0
        self.line: Moveout | None = None
        self.open(0)

    @property
    def stop(self) -> Stop:
        """The place shown."""
        return self.stops[self.number]

    @property
    def has_network(self) -> bool:
        """Whether scores can be shown."""
        return self._picker is not None

    def open(self, number: int) -> None:
        """Load a place by its number; a number beyond the last or the first is that one."""
        self.number = min(max(number, 0), len(self.stops) - 1)
        self.patch: Patch = _filtered(load_patch(self.stop.recording), self._bandpass_hz)
        self.screen = Screen(self.patch)
        self.editor.event_index = self.stop.event_index
        self.scores: xr.DataArray | None = None
        self.choose(None)

    def shown(self) -> pd.DataFrame:
        """Visible picks inside the place shown."""
        return picks_inside(self.editor.visible, "", self.screen.channels, self.screen.times)

    def choose(self, shape: Moveout | Area | None, phase: str | None = None) -> int:
        """Choose the picks inside an area or near a line, or none; returns how many."""
        self.line = shape if isinstance(shape, Moveout) else None
        self.chosen = np.empty(0, np.int64)
        if shape is not None:
            self.chosen = self.editor.choose(shape, phase, self.within_s)
        return len(self.chosen)

    def compute_scores(self, stop: Stop | None = None) -> xr.DataArray:
        """Compute the scores of a place, that shown by default, at the fastest rate that the network uses.

        Raises
        ------
        ConfigError
            No network was given.
        """
        if self._picker is None:
            raise ConfigError("scores: no network was given. Give one: picker=, or --weights NAME.")
        found = self._picker.annotate(load_patch((stop or self.stop).recording))
        return found[0]

    def act(self, action: str) -> str:
        """Correct what is chosen, save, and say in words what was done.

        Parameters
        ----------
        action : str
            A key of ``Inspection.actions``.

        Raises
        ------
        ConfigError
            There is no such action, nothing is chosen, or the action needs a line.
        """
        if action not in self.actions:
            raise ConfigError(f"action '{action}': expected {', '.join(self.actions)}.")
        said = self.actions[action](self)
        known = self.editor.picks["pick_id"].to_numpy()
        self.chosen = self.chosen[np.isin(self.chosen, known)]
        self.save()
        return said

    def save(self) -> None:
        """Write the labels where they belong, if a place was given."""
        if self.save_to is not None:
            self.editor.save(self.save_to, {"source": self.stop.recording.station_id})

    def _delete(self) -> str:
        count = len(self._some())
        self.editor.delete(self.chosen)
        return f"{count:,} picks deleted"

    def _reject(self) -> str:
        self.editor.judge(self._some(), keep=False)
        return f"{len(self.chosen):,} picks rejected"

    def _keep(self) -> str:
        self.editor.judge(self._some(), keep=True)
        return f"{len(self.chosen):,} picks kept"

    def _swap(self) -> str:
        self.editor.swap(self._some())
        return f"P and S swapped on {len(self.chosen):,} picks"

    def _to_line(self) -> str:
        self.editor.move_to(self._line(), self._some())
        return f"{len(self.chosen):,} picks moved to the line"

    def _add_along(self) -> str:
        new = self.editor.add_along(self._line(), self.screen.channels, self.phase, self.within_s)
        self.chosen = np.union1d(self.chosen, new)
        return f"{len(new):,} {self.phase} picks added along the line"

    def _reject_event(self) -> str:
        event = self.editor.event_index
        if event is None:
            raise ConfigError("reject event: no event is shown here. Choose picks, and reject those.")
        count = int((self.editor.picks["event_index"] == event).sum())
        self.editor.reject_event(event)
        return f"event {event + 1} rejected, {count:,} picks"

    def _to_onset(self) -> str:
        own, rows, samples = self._place(self._some())
        lags = onset_lags(self.screen.data, rows, samples, max(self._samples(self.within_s), 2))
        return self._shift(own, lags, "onset")

    def _to_neighbours(self) -> str:
        own, rows, samples = self._place(self._some())
        lags = np.zeros(len(own))
        reach = max(self._samples(self.within_s), 1)
        half = max(self._samples(_CORRELATED_S), 2 * reach)
        for group in own.groupby([own["event_index"], associated_phase(own)]).indices.values():
            lags[group] = neighbour_lags(
                self.screen.data, rows[group], samples[group], half=half, reach=reach, neighbours=_NEIGHBOURS
            )
        return self._shift(own, lags, "neighbours")

    def _undo(self) -> str:
        return "last action taken back" if self.editor.undo() else "nothing to take back"

    def _redo(self) -> str:
        return "action made again" if self.editor.redo() else "nothing to make again"

    def _some(self) -> np.ndarray:
        if not len(self.chosen):
            raise ConfigError("no pick is chosen. Draw a box, a lasso or a line first.")
        return self.chosen

    def _line(self) -> Moveout:
        if self.line is None:
            raise ConfigError("there is no line. Draw one through the arrivals first.")
        return self.line

    def _samples(self, seconds: float) -> int:
        return round(seconds / float(self.screen.seconds[1]))

    def _place(self, pick_ids: np.ndarray) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        """Find picks in the record, in the order of the cable: table, rows and samples (pick,)."""
        shown = self.shown()
        own = shown[shown["pick_id"].isin(pick_ids) & shown["channel_index"].isin(self.screen.channels)]
        own = own.sort_values(["channel_index", "phase_time"], ignore_index=True)
        seconds = self.screen.seconds_of(plain_times(own["phase_time"]))
        samples = np.rint(seconds / self.screen.seconds[1]).astype(np.int64)
        return own, self.screen.rows_of(own["channel_index"].to_numpy()), samples

    def _shift(self, own: pd.DataFrame, lags: np.ndarray, target: str) -> str:
        moved = lags != 0
        late = pd.to_timedelta(
            np.rint(lags * float(self.screen.seconds[1]) * 1e9).astype(np.int64), unit="ns"
        )
        self.editor.move(own["pick_id"].to_numpy()[moved], (own["phase_time"] + late).to_numpy()[moved])
        return f"{int(moved.sum()):,} of {len(own):,} picks snapped to the {target}"

    actions: ClassVar[dict[str, Callable[[Inspection], str]]] = {
        "delete": _delete,
        "reject": _reject,
        "keep": _keep,
        "swap P and S": _swap,
        "to line": _to_line,
        "add along line": _add_along,
        "snap to onset": _to_onset,
        "snap to neighbours": _to_neighbours,
        "reject event": _reject_event,
        "undo": _undo,
        "redo": _redo,
    }


def _saved_association(picks: pd.DataFrame, save_to: str | Path | None) -> bool | None:
    """Read whether the picks of an earlier inspection were associated; None where nothing says so."""
    if save_to is None or "edited" not in picks.columns or not Path(save_to).exists():
        return None
    said: bool | None = read_metadata(save_to).get("associated")
    return said


def _filtered(patch: Patch, bandpass_hz: tuple[float, float] | None) -> Patch:
    """Filter the samples that are shown; missing samples are bridged for the filter."""
    if bandpass_hz is None:
        return patch
    from phasenet_das.io import get_data, get_dt_s
    from phasenet_das.picking.filters import bandpass
    from phasenet_das.picking.preprocess import fill_gaps

    filled, missing = fill_gaps(get_data(patch))
    data = bandpass(filled, get_dt_s(patch), *bandpass_hz)
    if missing is not None:
        data[missing] = np.nan
    filtered: Patch = patch.update(data=data if patch.dims[-1] == "time" else data.T)
    return filtered
