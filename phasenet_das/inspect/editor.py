"""A pick table that a person corrects: choose, move, add, delete, undo, save. Draws nothing."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from phasenet_das.errors import TableError
from phasenet_das.inspect.shapes import Area, Moveout
from phasenet_das.tables import PICK_COLUMNS, conform, make_pick_ids, write_table
from phasenet_das.tables.columns import associated_phase, plain_times
from phasenet_das.tables.files import fill_text

EDIT_COLUMNS = {"edited": "str", "edited_by": "str", "edited_at": "datetime64[ns, UTC]"}
_OTHER_PHASE = {"P": "S", "S": "P"}
_BY_HAND_SCORE = 1.0


class PickEditor:
    """Corrections of a pick table, each of which can be taken back.

    All corrections take many picks at once. A correction of no pick does nothing.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table; it is copied.
    station_id : str, optional
        Cable that new picks belong to; that of the table when it has only one.
    min_score : float, optional
        Picks below are hidden, and are not saved.
    edited_by : str, optional
        Who corrects; the name of the account otherwise.
    associated : bool, optional
        Whether the picks come from an association, so that those of event -1 are no labels. By default, they
        do when a pick belongs to an event, or was rejected before.

    Attributes
    ----------
    picks : pandas.DataFrame
        The table as it is now, with the columns ``edited`` (empty, ``moved``, ``added``, ``swapped``,
        ``kept`` or ``rejected``), ``edited_by`` and ``edited_at`` (UTC) of the last correction of each pick.
    min_score : float
        The threshold.
    event_index : int or None
        Event that added and kept picks join; the one of most picks when None.
    associated : bool
        As given, or as found in the given table. Corrections do not change it.
    """

    def __init__(
        self,
        picks: pd.DataFrame,
        station_id: str | None = None,
        min_score: float = 0.0,
        edited_by: str | None = None,
        associated: bool | None = None,
    ) -> None:
        self.picks = _with_edits(picks)
        if associated is None:
            had_event = (self.picks["event_index"] >= 0) | (self.picks["edited"] == "rejected")
            associated = bool(had_event.any())
        self.associated = associated
        names = self.picks["station_id"].unique()
        if station_id is None and len(names) > 1:
            raise TableError(
                f"picks of {len(names)} cables: say station_id=, one of {', '.join(map(str, names))}."
            )
        self.station_id = station_id or (str(names[0]) if len(names) else "")
        self.min_score = min_score
        self.edited_by = getpass.getuser() if edited_by is None else edited_by
        self.event_index: int | None = None
        self._given = self.picks["pick_id"].to_numpy()
        self._history: list[pd.DataFrame] = []
        self._undone: list[pd.DataFrame] = []

    @property
    def visible(self) -> pd.DataFrame:
        """Picks of the cable at or above the threshold."""
        return self.picks[self._is_visible()]

    @property
    def num_edits(self) -> int:
        """Corrections that can be taken back."""
        return len(self._history)

    def choose(self, shape: Moveout | Area, phase: str | None = None, within_s: float = 0.2) -> np.ndarray:
        """Find the visible picks inside an area or near a line.

        Parameters
        ----------
        phase : str, optional
            Only this phase.
        within_s : float, optional
            Largest difference from a line, s.

        Returns
        -------
        numpy.ndarray, shape (pick,), int64
            Their ``pick_id``.
        """
        table = self.visible
        if phase is not None:
            table = table[associated_phase(table) == phase]
        inside = shape.holds(table["channel_index"].to_numpy(), plain_times(table["phase_time"]), within_s)
        return table["pick_id"].to_numpy()[inside]

    def nearest(
        self,
        channel: float,
        time: np.datetime64,
        *,
        max_channels: float,
        max_s: float,
        phase: str | None = None,
    ) -> int | None:
        """Find the visible pick next to a place.

        Parameters
        ----------
        time : numpy.datetime64
            UTC.
        max_channels, max_s : float
            How far it may be, in channels and s; also what distances are measured in.
        phase : str, optional
            Only this phase.

        Returns
        -------
        int or None
            Its ``pick_id``; None when there is none near enough.
        """
        table = self.visible
        if phase is not None:
            table = table[associated_phase(table) == phase]
        along = (table["channel_index"] - channel).abs().to_numpy(np.float64) / max_channels
        late = (plain_times(table["phase_time"]) - time.astype("datetime64[ns]")) / np.timedelta64(1, "s")
        distance = np.maximum(along, np.abs(late) / max_s)
        if not len(distance) or distance.min() > 1:
            return None
        return int(table["pick_id"].iloc[int(distance.argmin())])

    def add(self, channel: npt.ArrayLike, time: Any, phase: str) -> np.ndarray:  # noqa: ANN401
        """Add picks of score 1; where a channel has one of this phase at this very time, that one stays.

        Parameters
        ----------
        channel : int, or numpy.ndarray of shape (pick,)
            Channel numbers.
        time : numpy.datetime64 or pandas.Timestamp, or an array of shape (pick,)
            UTC.
        phase : str
            ``P`` or ``S``.

        Returns
        -------
        numpy.ndarray, shape (pick,), int64
            Their ``pick_id``.

        Raises
        ------
        TableError
            The phase is neither P nor S.
        """
        if phase not in _OTHER_PHASE:
            raise TableError(f"phase '{phase}': expected 'P' or 'S'.")
        channels = np.atleast_1d(np.asarray(channel, np.int64))
        moments = _utc(time, len(channels))
        names = make_pick_ids(self.station_id, channels, np.full(len(channels), phase), moments.asi8)
        new = ~np.isin(names, self.picks["pick_id"].to_numpy())
        if new.any():
            self._correct(lambda table: self._append(table, names[new], channels[new], moments[new], phase))
        return names

    def move(self, pick_ids: npt.ArrayLike, time: Any) -> None:  # noqa: ANN401
        """Give picks other times; they keep their identifiers, and lose their residuals.

        Parameters
        ----------
        pick_ids : int, or numpy.ndarray of shape (pick,)
            What to move.
        time : numpy.datetime64 or pandas.Timestamp, or an array of shape (pick,)
            UTC.

        Raises
        ------
        TableError
            There is no such pick.
        """
        names = np.atleast_1d(np.asarray(pick_ids, np.int64))
        moments, order = _utc(time, len(names)), np.argsort(names)

        def change(table: pd.DataFrame) -> pd.DataFrame:
            rows = self._rows(names)
            found = order[np.searchsorted(names, table["pick_id"].to_numpy()[rows], sorter=order)]
            added = (table["edited"] == "added").to_numpy()[rows]
            table.loc[rows, "phase_time"] = moments[found]
            table.loc[rows, "travel_time_residual_s"] = np.nan
            return self._sign(table, rows, np.where(added, "added", "moved"))

        self._correct(change, names)

    def move_to(self, line: Moveout, pick_ids: np.ndarray) -> None:
        """Move picks (pick,) to a line; those beyond its ends stay.

        Raises
        ------
        TableError
            There is no such pick.
        """
        own = self.picks.iloc[self._rows(pick_ids)]
        times = line.at(own["channel_index"].to_numpy())
        crossed = ~np.isnat(times)
        self.move(own["pick_id"].to_numpy()[crossed], times[crossed])

    def add_along(self, line: Moveout, channels: np.ndarray, phase: str, within_s: float = 0.2) -> np.ndarray:
        """Add a pick where the line crosses a channel that has no visible pick of the phase near the line.

        Parameters
        ----------
        channels : numpy.ndarray, shape (channel,), int
            Channels of the recording.
        within_s : float, optional
            A pick at most this far from the line is near, s.

        Returns
        -------
        numpy.ndarray, shape (pick,), int64
            ``pick_id`` of the new picks.

        Raises
        ------
        TableError
            The phase is neither P nor S.
        """
        near = self.picks["pick_id"].isin(self.choose(line, phase, within_s))
        free = np.setdiff1d(channels, self.picks.loc[near, "channel_index"].to_numpy())
        times = line.at(free)
        crossed = ~np.isnat(times)
        return self.add(free[crossed], times[crossed], phase)

    def delete(self, pick_ids: npt.ArrayLike) -> None:
        """Take picks (pick,) out of the table.

        Raises
        ------
        TableError
            There is no such pick.
        """
        self._correct(
            lambda table: table.drop(table.index[self._rows(pick_ids)]).reset_index(drop=True), pick_ids
        )

    def judge(self, pick_ids: npt.ArrayLike, *, keep: bool) -> None:
        """Say that picks (pick,) belong to an event, or to none, against what the associator found.

        Parameters
        ----------
        keep : bool
            True for a label; False for a pick that is wrong but should be remembered as such.

        Raises
        ------
        TableError
            There is no such pick.
        """

        def change(table: pd.DataFrame) -> pd.DataFrame:
            rows = self._rows(pick_ids)
            table.loc[rows, "event_index"] = self._joined_event() if keep else -1
            return self._sign(table, rows, "kept" if keep else "rejected")

        self._correct(change, pick_ids)

    def reject_event(self, event_index: int) -> None:
        """Reject all picks of an event on the cable, also the hidden ones."""
        own = (self.picks["station_id"] == self.station_id) & (self.picks["event_index"] == event_index)
        self.judge(self.picks.loc[own, "pick_id"].to_numpy(), keep=False)

    def swap(self, pick_ids: npt.ArrayLike) -> None:
        """Make S of P picks (pick,), and P of S picks.

        Raises
        ------
        TableError
            There is no such pick.
        """

        def change(table: pd.DataFrame) -> pd.DataFrame:
            rows = self._rows(pick_ids)
            for name in {"phase_type", "associated_phase"} & set(table.columns):
                phase = table.loc[rows, name]
                table.loc[rows, name] = phase.map(_OTHER_PHASE).fillna(phase)
            table.loc[rows, "travel_time_residual_s"] = np.nan
            return self._sign(table, rows, "swapped")

        self._correct(change, pick_ids)

    def undo(self) -> bool:
        """Take the last correction back.

        Returns
        -------
        bool
            False when there is none.
        """
        return self._step(self._history, self._undone)

    def redo(self) -> bool:
        """Make the correction again that was taken back last.

        Returns
        -------
        bool
            False when there is none, or another correction came after it.
        """
        return self._step(self._undone, self._history)

    def labels(self) -> pd.DataFrame:
        """Return what is to be learned: the visible picks, by channel and time.

        Returns
        -------
        pandas.DataFrame
            A pick table. Where the given table was not associated, all picks but the rejected ones become
            those of event 0, as labels must; otherwise those of event -1 stay as they are.
        """
        table = self.visible.sort_values(["channel_index", "phase_time", "phase_type"], ignore_index=True)
        if not self.associated:
            table["event_index"] = np.where(table["edited"] == "rejected", -1, 0)
        return table

    def save(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> Path:
        """Write the labels as a pick table, whole or not at all.

        Parameters
        ----------
        path : str or pathlib.Path
            Ends in ``.parquet`` or ``.csv``.

        Raises
        ------
        TableError
            The ending is neither.
        """
        counts = self.picks["edited"].value_counts().drop("", errors="ignore")
        facts = {
            **(metadata or {}),
            "associated": self.associated,
            "min_score": self.min_score,
            "edited": {str(k): int(v) for k, v in counts.items()},
            "deleted": int((~np.isin(self._given, self.picks["pick_id"].to_numpy())).sum()),
        }
        return write_table(self.labels(), path, facts)

    def _is_visible(self) -> np.ndarray:
        own = (self.picks["station_id"] == self.station_id).to_numpy()
        return own & (self.picks["phase_score"].to_numpy() >= self.min_score)

    def _correct(
        self, change: Callable[[pd.DataFrame], pd.DataFrame], pick_ids: npt.ArrayLike | None = None
    ) -> None:
        """Change the table, and remember it as it was: both share what did not change."""
        if pick_ids is not None and not np.size(pick_ids):
            return
        before, changed = self.picks, change(self.picks.copy(deep=False))
        self._history.append(before)
        self._undone.clear()
        self.picks = changed

    def _step(self, taken: list[pd.DataFrame], given: list[pd.DataFrame]) -> bool:
        if not taken:
            return False
        given.append(self.picks)
        self.picks = taken.pop()
        return True

    def _sign(self, table: pd.DataFrame, rows: np.ndarray, edited: str | np.ndarray) -> pd.DataFrame:
        table.loc[rows, "edited"] = edited
        table.loc[rows, "edited_by"] = self.edited_by
        table.loc[rows, "edited_at"] = pd.Timestamp.now("UTC").as_unit("ns")
        return table

    def _append(
        self,
        table: pd.DataFrame,
        names: np.ndarray,
        channels: np.ndarray,
        moments: pd.DatetimeIndex,
        phase: str,
    ) -> pd.DataFrame:
        values: dict[str, Any] = dict.fromkeys(PICK_COLUMNS, np.nan)
        values |= {
            "pick_id": names, "station_id": self.station_id, "channel_index": channels, "phase_time": moments,
            "phase_type": phase, "phase_score": _BY_HAND_SCORE, "event_index": self._joined_event(),
            "distance_m": self._distances_m(channels),
        }  # fmt: skip
        new = self._sign(_with_edits(pd.DataFrame(values)), np.arange(len(names)), "added")
        return pd.concat([table, new], ignore_index=True)

    def _rows(self, pick_ids: npt.ArrayLike) -> np.ndarray:
        """Find the rows of picks (pick,); the index of the table counts them."""
        names = np.atleast_1d(np.asarray(pick_ids, np.int64))
        known = self.picks["pick_id"].to_numpy()
        lost = names[~np.isin(names, known)]
        if len(lost):
            raise TableError(f"no pick {lost[0]} in the table.")
        return np.flatnonzero(np.isin(known, names))

    def _joined_event(self) -> int:
        """Event of new and kept picks, which are labels: the chosen one, else that of most picks, else 0."""
        if self.event_index is not None:
            return self.event_index
        known = self.picks.loc[self.picks["event_index"] >= 0, "event_index"]
        return int(known.mode().iloc[0]) if len(known) else 0

    def _distances_m(self, channels: np.ndarray) -> np.ndarray:
        own = self.picks[self.picks["station_id"] == self.station_id].drop_duplicates("channel_index")
        return own.set_index("channel_index")["distance_m"].reindex(channels).to_numpy()


def _with_edits(picks: pd.DataFrame) -> pd.DataFrame:
    """Give a pick table the columns of corrections, where it lacks them."""
    table = picks.copy(deep=False)
    for name in ("edited", "edited_by"):
        table[name] = fill_text(picks[name]) if name in picks.columns else ""
    if "edited_at" not in picks.columns:
        table["edited_at"] = pd.NaT
    return conform(table, PICK_COLUMNS | EDIT_COLUMNS, "picks").reset_index(drop=True)


def _utc(time: Any, count: int) -> pd.DatetimeIndex:  # noqa: ANN401 - one time or an array of them
    """Read one time, or one for each pick, as UTC."""
    moments = pd.DatetimeIndex(pd.to_datetime(np.atleast_1d(time) if np.ndim(time) else [time], utc=True))
    return moments.as_unit("ns").repeat(1 if len(moments) == count else count)
