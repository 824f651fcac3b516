"""Picks against truth: precision, recall, F1 and residuals, by phase, signal-to-noise ratio and distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.errors import TableError
from phasenet_das.evaluate.intervals import bootstrap_ratios, interval
from phasenet_das.matching import match_picks, nearest_item, time_ns
from phasenet_das.tables.columns import with_event_phase

TOLERANCE_S: Mapping[str, float] = {"P": 0.1, "S": 0.2}
"""Largest time error of a right pick, s, unless said otherwise."""

_PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class PickEvaluation:
    """How well picks meet the truth.

    Attributes
    ----------
    table : pandas.DataFrame
        A row for each phase (``bin_by`` empty), and for each phase and bin. Columns: ``phase, bin_by,
        bin_low, bin_high, num_truth, num_picks, num_matched, precision, recall, f1``, residuals (pick less
        truth) ``bias_s`` (mean), ``std_s, mae_s, p05_s ... p95_s``, and 95 % intervals ``*_low, *_high``.
        Bins are of the truth: a false pick belongs to none, so that they have recall but no precision.
    pairs : pandas.DataFrame
        Matched pairs that count: ``truth_row, pick_row, residual_s, phase``.
    num_ignored : int
        True picks outside the examined spans; neither they nor the picks they match count.
    tolerance_s : dict
        Largest time error of each phase, s.
    """

    table: pd.DataFrame
    pairs: pd.DataFrame
    num_ignored: int
    tolerance_s: dict[str, float]


def evaluate_picks(
    picks: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    tolerance_s: Mapping[str, float] = TOLERANCE_S,
    coverage: pd.DataFrame | None = None,
    bins: Mapping[str, Sequence[float]] | None = None,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> PickEvaluation:
    """Hold picks against true picks.

    Every true pick counts, however weak, and of whatever source (earthquake, blast, distant): the tables by
    signal-to-noise ratio tell what was within reach. Matching is that of :func:`match_picks`. Intervals come
    from drawing events anew (not channels, whose errors go together); a false pick goes with the event whose
    true pick on that cable is nearest in time.

    Parameters
    ----------
    truth : pandas.DataFrame
        Pick table of the truth; ``event_index`` names the event of each.
    tolerance_s : mapping of str to float
        Largest time error of each phase, s.
    coverage : pandas.DataFrame, optional
        What was examined (``COVERAGE_COLUMNS``); all of it when left out.
    bins : mapping of str to sequence of float, optional
        Edges by column of `truth`, such as ``{"snr_db": range(-20, 50, 5)}``; bins are half open.
    num_bootstrap : int
        Draws for the intervals; 0 for none.
    seed : int
        Seed of the draws.

    Raises
    ------
    ConfigError
        A phase of the truth has no tolerance.
    TableError
        A column is missing, no cable of the picks or of the coverage is one of the truth, or intervals are
        asked for and true picks have no event.
    """
    bins = bins or {}
    _check_columns(truth, bins, num_bootstrap)
    _check_cables(picks, truth, "picks")
    if coverage is not None:
        _check_cables(coverage[coverage["status"] == "examined"], truth, "coverage")
    picks, truth = with_event_phase(picks), with_event_phase(truth)
    pairs = match_picks(picks, truth, tolerance_s)
    counted = np.ones(len(truth), bool) if coverage is None else covered(truth, coverage)
    pick_counted = np.ones(len(picks), bool)
    pick_counted[pairs["pick_row"].to_numpy()] = counted[pairs["truth_row"].to_numpy()]
    pairs = pairs[counted[pairs["truth_row"].to_numpy()]].reset_index(drop=True)
    pairs["phase"] = truth["phase_type"].to_numpy()[pairs["truth_row"]]
    units, num_units = _units(truth, picks, pairs)
    rows = [
        row
        for phase in tolerance_s
        for row in _phase_rows(
            _Tally(phase, picks, truth, pairs, counted, pick_counted, units, num_units),
            bins,
            num_bootstrap,
            seed,
        )
    ]
    return PickEvaluation(pd.DataFrame(rows), pairs, int((~counted).sum()), dict(tolerance_s))


def _check_columns(truth: pd.DataFrame, bins: Mapping[str, Sequence[float]], num_bootstrap: int) -> None:
    missing = [name for name in bins if name not in truth.columns]
    if missing:
        raise TableError(f"truth: missing column(s) {', '.join(missing)} to bin by.")
    if num_bootstrap and ("event_index" not in truth.columns or (truth["event_index"] < 0).any()):
        raise TableError(
            "truth: true picks without event_index, which intervals are drawn by. Give each pick its event, "
            "or say num_bootstrap=0."
        )


def _check_cables(table: pd.DataFrame, truth: pd.DataFrame, name: str) -> None:
    """Refuse a table that shares no cable with the truth."""
    if not {"station_id"} <= set(table.columns) & set(truth.columns):
        return
    found, true = (sorted(one["station_id"].astype(str).unique()) for one in (table, truth))
    if found and true and not set(found) & set(true):
        raise TableError(
            f"{name}: found cable(s) {', '.join(found[:5])}, but the truth is of {', '.join(true[:5])}. Give "
            "tables of one cable, or name both alike (--station-id)."
        )


def covered(truth: pd.DataFrame, coverage: pd.DataFrame) -> np.ndarray:
    """Say which true picks lie within what was examined.

    Returns (row of truth,) bool.
    """
    times, channel = time_ns(truth["phase_time"]), truth["channel_index"].to_numpy()
    station = truth["station_id"].astype(str).to_numpy()
    inside = np.zeros(len(truth), bool)
    examined = coverage[coverage["status"] == "examined"]
    for (name, first, last), spans in examined.groupby(["station_id", "first_channel", "last_channel"]):
        begin, end = (np.sort(time_ns(spans[column])) for column in ("start", "end"))
        # Within a span: more spans have begun than have ended.
        within = np.searchsorted(begin, times, "right") > np.searchsorted(end, times, "right")
        inside |= within & (station == str(name)) & (channel >= first) & (channel <= last)
    return inside


def _units(
    truth: pd.DataFrame, picks: pd.DataFrame, pairs: pd.DataFrame
) -> tuple[dict[str, np.ndarray], int]:
    """Give the number of each true pick's event, and of each pick's (a false one: the nearest in time)."""
    if "event_index" not in truth.columns:
        return {"truth": np.zeros(len(truth), np.int64), "picks": np.zeros(len(picks), np.int64)}, 1
    events, of_truth = np.unique(truth["event_index"].to_numpy(), return_inverse=True)
    names = pd.factorize(pd.concat([truth["station_id"], picks["station_id"]]).astype(str))[0].astype(
        np.int64
    )
    nearest = nearest_item(
        names[: len(truth)], time_ns(truth["phase_time"]), names[len(truth) :], time_ns(picks["phase_time"])
    )
    of_picks = np.append(of_truth, len(events))[nearest]  # cables without truth make one more unit
    of_picks[pairs["pick_row"].to_numpy()] = of_truth[pairs["truth_row"].to_numpy()]
    return {"truth": of_truth, "picks": of_picks}, len(events) + int((nearest < 0).any())


class _Tally:
    """What counts of one phase: true picks, picks, pairs, and the event of each."""

    def __init__(
        self,
        phase: str,
        picks: pd.DataFrame,
        truth: pd.DataFrame,
        pairs: pd.DataFrame,
        counted: np.ndarray,
        pick_counted: np.ndarray,
        units: dict[str, np.ndarray],
        num_units: int,
    ) -> None:
        self.phase, self.num_units = phase, num_units
        of_truth = (truth["phase_type"] == phase).to_numpy() & counted
        of_picks = (picks["phase_type"] == phase).to_numpy() & pick_counted
        mine = pairs[(pairs["phase"] == phase).to_numpy()]
        self.truth = truth[of_truth]
        self.truth_unit, self.pick_unit = units["truth"][of_truth], units["picks"][of_picks]
        place = np.cumsum(of_truth) - 1
        self.pair_place = place[mine["truth_row"].to_numpy()]
        self.residual_s = mine["residual_s"].to_numpy()
        self.pair_unit = self.truth_unit[self.pair_place]

    def count(self, unit: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Sum by event."""
        return np.bincount(unit, weights, minlength=self.num_units).astype(np.float64)


def _phase_rows(
    tally: _Tally, bins: Mapping[str, Sequence[float]], num_bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Make the row of a phase and those of its bins, drawing events once for all of them."""
    everything = np.ones(len(tally.truth), bool)
    cuts: list[tuple[dict[str, Any], np.ndarray]] = [
        ({"phase": tally.phase, "bin_by": "", "bin_low": np.nan, "bin_high": np.nan}, everything)
    ]
    for column, edges in bins.items():
        values = tally.truth[column].to_numpy(np.float64)
        for low, high in pairwise(edges):
            name = {"phase": tally.phase, "bin_by": column, "bin_low": low, "bin_high": high}
            cuts.append((name, (values >= low) & (values < high)))
    rows = [name | _scores(tally, inside, whole=not name["bin_by"]) for name, inside in cuts]
    draws = _draws(tally, [inside for _, inside in cuts], num_bootstrap, seed)
    for measure, values in draws.items():
        lower, upper = interval(values)
        for position, row in enumerate(rows[: values.shape[1]]):
            row[f"{measure}_low"], row[f"{measure}_high"] = float(lower[position]), float(upper[position])
    return rows


def _scores(tally: _Tally, inside: np.ndarray, *, whole: bool) -> dict[str, Any]:
    residual = tally.residual_s[inside[tally.pair_place]]
    num_truth, num_picks = int(inside.sum()), len(tally.pick_unit)
    recall = len(residual) / num_truth if num_truth else np.nan
    precision = len(residual) / num_picks if whole and num_picks else np.nan
    row = {
        "num_truth": num_truth,
        "num_picks": num_picks if whole else -1,
        "num_matched": len(residual),
        "precision": precision,
        "recall": recall,
        "f1": 2 * len(residual) / (num_truth + num_picks) if whole and num_truth + num_picks else np.nan,
        "bias_s": float(residual.mean()) if len(residual) else np.nan,
        "std_s": float(residual.std()) if len(residual) else np.nan,
        "mae_s": float(np.abs(residual).mean()) if len(residual) else np.nan,
    }
    points = np.percentile(residual, _PERCENTILES) if len(residual) else np.full(len(_PERCENTILES), np.nan)
    return row | {f"p{n:02d}_s": float(value) for n, value in zip(_PERCENTILES, points, strict=True)}


def _draws(tally: _Tally, cuts: list[np.ndarray], num_draws: int, seed: int) -> dict[str, np.ndarray]:
    """Draw recall and bias of every cut, precision and F1 of the first."""
    if not num_draws:
        return {}
    of_truth = np.stack([tally.count(tally.truth_unit[inside]) for inside in cuts])
    paired = [inside[tally.pair_place] for inside in cuts]
    of_pairs = np.stack([tally.count(tally.pair_unit[inside]) for inside in paired])
    sums = np.stack([tally.count(tally.pair_unit[inside], tally.residual_s[inside]) for inside in paired])
    of_picks = tally.count(tally.pick_unit)[None]
    above = np.concatenate([of_pairs, sums, of_pairs[:1], 2 * of_pairs[:1]])
    below = np.concatenate([of_truth, of_pairs, of_picks, of_truth[:1] + of_picks])
    drawn = bootstrap_ratios(above, below, num_draws=num_draws, seed=seed)
    recall, bias, precision, f1 = np.split(drawn, np.cumsum([len(cuts), len(cuts), 1]), axis=1)
    return {"recall": recall, "bias_s": bias, "precision": precision, "f1": f1}


def scores_by_tolerance(
    picks: pd.DataFrame,
    truth: pd.DataFrame,
    tolerances_s: Sequence[float],
    *,
    coverage: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Give precision, recall and F1 at several tolerances.

    Parameters
    ----------
    tolerances_s : sequence of float
        Largest time errors, s, for P and S alike.

    Returns
    -------
    pandas.DataFrame
        Columns ``phase, tolerance_s, precision, recall, f1``.
    """
    parts = [
        evaluate_picks(
            picks,
            truth,
            tolerance_s=dict.fromkeys(TOLERANCE_S, tolerance),
            coverage=coverage,
            num_bootstrap=0,
        ).table.assign(tolerance_s=tolerance)
        for tolerance in tolerances_s
    ]
    columns = ["phase", "tolerance_s", "precision", "recall", "f1"]
    return pd.concat(parts, ignore_index=True)[columns].sort_values(
        ["phase", "tolerance_s"], ignore_index=True
    )
