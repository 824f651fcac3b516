"""Picks against control points: arrivals read by eye on some channels of a record."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.errors import TableError

_COLUMNS = ("phase", "channel", "time_s_from_file_start", "uncertainty_s")


def interpolate_control_points(points: pd.DataFrame) -> pd.DataFrame:
    """Interpolate control points to every channel between the first and the last, never beyond.

    Parameters
    ----------
    points : pandas.DataFrame
        Columns ``phase, channel`` (row of the record), ``time_s_from_file_start``,
        ``uncertainty_s``.

    Returns
    -------
    pandas.DataFrame
        Columns ``phase, channel, time_s, uncertainty_s``, a row for each phase and channel.

    Raises
    ------
    TableError
        A column is missing.
    """
    missing = [name for name in _COLUMNS if name not in points.columns]
    if missing:
        raise TableError(
            f"control points: missing column(s) {', '.join(missing)}; expected {', '.join(_COLUMNS)}."
        )
    parts = []
    for phase, group in points.sort_values("channel").groupby("phase"):
        channel = np.arange(group["channel"].iloc[0], group["channel"].iloc[-1] + 1)
        columns = {
            name: np.interp(channel, group["channel"], group[source])
            for name, source in (("time_s", "time_s_from_file_start"), ("uncertainty_s", "uncertainty_s"))
        }
        parts.append(pd.DataFrame({"phase": phase, "channel": channel, **columns}))
    return pd.concat(parts, ignore_index=True)


def compare_with_control_points(
    picks: pd.DataFrame,
    points: pd.DataFrame,
    start_time: pd.Timestamp,
    *,
    first_channel: int = 0,
    tolerance: float = 3.0,
) -> pd.DataFrame:
    """Say how well picks meet control points.

    Parameters
    ----------
    picks : pandas.DataFrame
        A pick table.
    points : pandas.DataFrame
        Control points of the record, as for :func:`interpolate_control_points`.
    start_time : pandas.Timestamp
        Time of the record's first sample, UTC.
    first_channel : int
        Channel number of the record's first row.
    tolerance : float
        How many of the points' own uncertainties a pick may be off.

    Returns
    -------
    pandas.DataFrame
        A row for each phase: ``phase, num_channels`` (with a control point), ``share_right``
        (channels with a pick within tolerance), ``share_picked`` (with any pick of the phase),
        ``num_false`` (picks of the phase outside tolerance on those channels), ``median_residual_s``
        and ``spread_s`` (median absolute deviation times 1.4826) of each channel's nearest pick
        within tolerance.
    """
    truth = interpolate_control_points(points)
    seconds = (picks["phase_time"] - start_time).dt.total_seconds()
    found = pd.DataFrame(
        {"phase": picks["phase_type"], "channel": picks["channel_index"] - first_channel, "seconds": seconds}
    )
    rows = [_phase_row(phase, group, found, tolerance) for phase, group in truth.groupby("phase")]
    return pd.DataFrame(rows)


def _phase_row(phase: Any, truth: pd.DataFrame, found: pd.DataFrame, tolerance: float) -> dict[str, Any]:  # noqa: ANN401
    pairs = truth.merge(found[found["phase"] == phase], on=["phase", "channel"], how="inner")
    residual = pairs["seconds"] - pairs["time_s"]
    right = residual.abs() <= tolerance * pairs["uncertainty_s"]
    nearest = residual[right].groupby(pairs["channel"]).agg(lambda values: values.iloc[values.abs().argmin()])
    median = float(nearest.median()) if len(nearest) else np.nan
    return {
        "phase": phase,
        "num_channels": len(truth),
        "share_right": len(nearest) / len(truth),
        "share_picked": pairs["channel"].nunique() / len(truth),
        "num_false": int((~right).sum()),
        "median_residual_s": median,
        "spread_s": float(1.4826 * (nearest - median).abs().median()) if len(nearest) else np.nan,
    }
