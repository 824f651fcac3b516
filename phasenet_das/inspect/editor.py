"""A pick table that a person corrects: choose, move, add, delete, undo, save. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.errors import TableError
from phasenet_das.tables import PICK_COLUMNS, conform, make_pick_ids, write_table

_BY_HAND_SCORE = 1.0


class PickEditor:
    """Corrections of a pick table, each of which can be taken back.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table; it is copied.
    station_id : str, optional
        Cable that new picks belong to; that of the table when it has only one.
    min_score : float, optional
        Picks below are hidden, and are not saved.

    Attributes
    ----------
    picks : pandas.DataFrame
        The table as it is now, with a column ``edited``: empty, ``moved``, ``added``, ``kept`` or
        ``rejected``.
    min_score : float
        The threshold.
    """

    def __init__(self, picks: pd.DataFrame, station_id: str | None = None, min_score: float = 0.0) -> None:
        self.picks = conform(picks, PICK_COLUMNS, "picks")
        if "edited" not in self.picks.columns:
            self.picks["edited"] = ""
        names = self.picks["station_id"].unique()
        if station_id is None and len(names) > 1:
            raise TableError(
                f"picks of {len(names)} cables: say station_id=, one of {', '.join(map(str, names))}."
            )
        self.station_id = station_id or (str(names[0]) if len(names) else "")
        self.min_score = min_score
        self._history: list[pd.DataFrame] = []

    @property
    def visible(self) -> pd.DataFrame:
        """Picks of the cable at or above the threshold."""
        own = self.picks["station_id"] == self.station_id
        return self.picks[own & (self.picks["phase_score"] >= self.min_score)]

    @property
    def num_edits(self) -> int:
        """Corrections that can be taken back."""
        return len(self._history)

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
            table = table[table["phase_type"] == phase]
        along = (table["channel_index"] - channel).abs().to_numpy(np.float64) / max_channels
        late = table["phase_time"].dt.tz_localize(None).to_numpy() - time.astype("datetime64[ns]")
        distance = np.maximum(along, np.abs(late / np.timedelta64(1, "ns")) / (max_s * 1e9))
        if not len(distance) or distance.min() > 1:
            return None
        return int(table["pick_id"].iloc[int(distance.argmin())])

    def add(self, channel: int, time: np.datetime64 | pd.Timestamp, phase: str) -> int:
        """Add a pick of score 1; where the channel has one of this phase at this very time, that one stays.

        Parameters
        ----------
        time : numpy.datetime64 or pandas.Timestamp
            UTC.
        phase : str
            ``P`` or ``S``.

        Returns
        -------
        int
            Its ``pick_id``.

        Raises
        ------
        TableError
            The phase is neither P nor S.
        """
        if phase not in {"P", "S"}:
            raise TableError(f"phase '{phase}': expected 'P' or 'S'.")
        moment = _utc(time)
        name = int(
            make_pick_ids(self.station_id, np.array([channel]), np.array([phase]), np.array([moment.value]))[
                0
            ]
        )
        if (self.picks["pick_id"] == name).any():
            return name
        row: dict[str, Any] = dict.fromkeys(PICK_COLUMNS, np.nan)
        row |= {
            "pick_id": name, "station_id": self.station_id, "channel_index": channel, "phase_time": moment,
            "phase_type": phase, "phase_score": _BY_HAND_SCORE, "event_index": self._common_event(),
            "distance_m": self._distance_m(channel),
        }  # fmt: skip
        self._remember()
        new = conform(pd.DataFrame([row]), PICK_COLUMNS)
        new["edited"] = "added"
        self.picks = pd.concat([self.picks, new], ignore_index=True)
        return name

    def move(self, pick_id: int, time: np.datetime64 | pd.Timestamp) -> None:
        """Give a pick another time; it keeps its identifier, and loses its residual.

        Parameters
        ----------
        time : numpy.datetime64 or pandas.Timestamp
            UTC.

        Raises
        ------
        TableError
            There is no such pick.
        """
        row = self._row(pick_id)
        self._remember()
        self.picks.loc[row, "phase_time"] = _utc(time)
        self.picks.loc[row, "travel_time_residual_s"] = np.nan
        self.picks.loc[row, "edited"] = "added" if self.picks.loc[row, "edited"] == "added" else "moved"

    def delete(self, pick_id: int) -> None:
        """Take a pick out of the table.

        Raises
        ------
        TableError
            There is no such pick.
        """
        row = self._row(pick_id)
        self._remember()
        self.picks = self.picks.drop(index=row).reset_index(drop=True)

    def judge(self, pick_id: int, *, keep: bool) -> None:
        """Say that a pick belongs to an event, or to none, against what the associator found.

        Parameters
        ----------
        keep : bool
            True for a label; False for a pick that is wrong but should be remembered as such.

        Raises
        ------
        TableError
            There is no such pick.
        """
        row = self._row(pick_id)
        self._remember()
        self.picks.loc[row, "event_index"] = max(self._common_event(), 0) if keep else -1
        self.picks.loc[row, "edited"] = "kept" if keep else "rejected"

    def undo(self) -> bool:
        """Take the last correction back.

        Returns
        -------
        bool
            False when there is none.
        """
        if not self._history:
            return False
        self.picks = self._history.pop()
        return True

    def labels(self) -> pd.DataFrame:
        """Return what is to be learned: the visible picks, by channel and time.

        Returns
        -------
        pandas.DataFrame
            A pick table. Where nothing in the table belongs to an event, all picks become those of event 0,
            as labels must; otherwise those of event -1 stay rejected.
        """
        table = self.visible.sort_values(["channel_index", "phase_time", "phase_type"], ignore_index=True)
        if len(table) and (table["event_index"] < 0).all():
            table["event_index"] = 0
        return table

    def save(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> Path:
        """Write the labels as a pick table.

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
            "min_score": self.min_score,
            "edited": {str(k): int(v) for k, v in counts.items()},
        }
        return write_table(self.labels(), path, facts)

    def _row(self, pick_id: int) -> int:
        rows = self.picks.index[self.picks["pick_id"] == pick_id]
        if not len(rows):
            raise TableError(f"no pick {pick_id} in the table.")
        return int(rows[0])

    def _remember(self) -> None:
        self._history.append(self.picks.copy())

    def _common_event(self) -> int:
        """Find the event that most picks belong to; -1 when nothing is associated."""
        known = self.picks.loc[self.picks["event_index"] >= 0, "event_index"]
        return int(known.mode().iloc[0]) if len(known) else -1

    def _distance_m(self, channel: int) -> float:
        own = self.picks[
            (self.picks["station_id"] == self.station_id) & (self.picks["channel_index"] == channel)
        ]
        return float(own["distance_m"].iloc[0]) if len(own) else np.nan


def _utc(time: np.datetime64 | pd.Timestamp) -> pd.Timestamp:
    moment = pd.Timestamp(time)
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    return moment.as_unit("ns")
