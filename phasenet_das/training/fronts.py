"""Wave fronts along a cable, and their names: picks of any phase that follow one curve are one front.

A network of single channels may give one front both names, or the wrong one. Fronts together say more.
The P of an event comes before its S, and the associator has seen many pairs of both.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from phasenet_das.training.moveout import fit_moveout

NAMED = ["front", "phase_type", "event_index", "certainty"]
"""Columns of the table of named fronts."""

_TOLERANCE = 3.0  # label widths: curves and picks this near are one front
_LINKED_CHANNELS, _LINKED = 10, 3.0  # channels and label widths between picks of one front
_PLACES, _PAIRS = 512, 8192  # along the cable, at which curves are compared; so many pairs at once
_LONGEST = (0.9, 1.5)  # S-P time: quantile of the events of the associator, and its multiple
_ALIKE = 0.3  # picks of a front to those of the largest one around it: smaller ones are its fragments
_NAMES_RIGHT, _NAMES_WEIGHT = 0.9, 2.0  # prior of the share of right names, and its weight in fronts
_ORDER, _OF_EVENT = 1.0, 1.0  # evidence, in log odds: one front after another, an event of the associator
_AMPLITUDE = 0.5  # and an S that is ten times as large as its P


def find_fronts(
    table: pd.DataFrame, num_places: int, *, half_width: int, sigma_s: float, fewest: int
) -> np.ndarray:
    """Give the number of the front (pick,) that each pick follows; -1 for none.

    `table` has a row for each pick: ``row`` (place along the cable), ``seconds``, ``phase_type``,
    ``phase_score``, ``event_index``. Curves are laid through the phases of each event, then through at least
    `fewest` rejected picks that line up. Curves within three label widths are one front. Picks of any name
    and score follow the front that is nearest, within three label widths.
    """
    following = _Following(table, num_places, half_width, _TOLERANCE * sigma_s)
    kept = (table["event_index"] >= 0).to_numpy()
    for place in table[kept].groupby(["event_index", "phase_type"], sort=True).indices.values():
        following.lay(np.flatnonzero(kept)[place])
    weakest = table.loc[kept, "phase_score"].min()
    strong = np.flatnonzero((following.curve < 0) & (table["phase_score"] >= weakest).to_numpy())
    line = _lines_of(table.iloc[strong], sigma_s)
    for place in pd.Series(strong).groupby(line).indices.values():
        if len(place) >= fewest:
            following.lay(strong[place])
    if not following.curves:
        return following.curve
    front = _merged(np.stack(following.curves), _TOLERANCE * sigma_s)[following.curve]
    found = np.unique(front[following.curve >= 0])
    return np.where(following.curve >= 0, np.searchsorted(found, front), -1)


class _Following:
    """Curves through groups of picks, and the nearest curve of each pick, -1 where none is within reach."""

    def __init__(self, table: pd.DataFrame, num_places: int, half_width: int, reach_s: float) -> None:
        self.row, self.seconds = table["row"].to_numpy(np.int64), table["seconds"].to_numpy(np.float64)
        self.score = table["phase_score"].to_numpy(np.float64)
        self.num_places, self.half_width, self.reach_s = num_places, half_width, reach_s
        self.order = np.argsort(self.seconds, kind="stable")
        self.sorted_s = self.seconds[self.order]
        self.curve, self.off = np.full(len(table), -1), np.full(len(table), reach_s)
        self.curves: list[np.ndarray] = []

    def lay(self, picks: np.ndarray) -> None:
        """Lay a curve through picks (pick,), given by number, and let all picks near it follow it."""
        best = picks[np.argsort(self.score[picks], kind="stable")]
        times = np.full(self.num_places, np.nan)
        times[self.row[best]] = self.seconds[best]
        line = fit_moveout(times, half_width=self.half_width, max_residual=self.reach_s).time
        curve = line if np.isfinite(line).any() else times
        limits = np.nanmin(curve) - self.reach_s, np.nanmax(curve) + self.reach_s
        near = self.order[slice(*np.searchsorted(self.sorted_s, limits))]
        off = np.abs(self.seconds[near] - curve[self.row[near]])
        closer = off < self.off[near]
        self.curve[near[closer]], self.off[near[closer]] = len(self.curves), off[closer]
        self.curves.append(curve[_grid(self.num_places)])


def _grid(num_places: int) -> np.ndarray:
    """Places along the cable at which curves are compared."""
    return np.unique(np.linspace(0, num_places - 1, min(num_places, _PLACES)).round().astype(int))


def _lines_of(picks: pd.DataFrame, sigma_s: float) -> np.ndarray:
    """Give the number of the line (pick,) of picks that neighbours on the cable link."""
    seconds = picks["seconds"].to_numpy(np.float64)
    since, reach = seconds - seconds.min(initial=np.inf), _LINKED * sigma_s
    stride = since.max(initial=0.0) + 4.0 * reach
    key = picks["row"].to_numpy(np.int64) * stride + since
    order = np.argsort(key, kind="stable")
    key = key[order]
    links = [np.empty((2, 0), np.int64)]
    for step in range(1, _LINKED_CHANNELS + 1):
        first = np.searchsorted(key, key + step * stride - reach)
        last = np.searchsorted(key, key + step * stride + reach, side="right") - 1
        linked = np.flatnonzero(last >= first)
        links += [np.stack([linked, end[linked]]) for end in (first, last)]
    line = np.empty(len(picks), np.int64)
    one, other = np.concatenate(links, axis=1)
    line[order] = _components(one, other, len(picks))
    return line


def _components(one: np.ndarray, other: np.ndarray, number: int) -> np.ndarray:
    """Give the number of the component (node,) that links between nodes make."""
    graph = csr_matrix((np.ones(len(one), bool), (one, other)), shape=(number, number))
    components: np.ndarray = connected_components(graph, directed=False)[1]
    return components


def _merged(curves: np.ndarray, reach_s: float) -> np.ndarray:
    """Give the number of the front (curve,) of curves (curve, place): those that coincide are one."""
    one, other, delay = _delays(curves, reach_s)
    same = delay <= reach_s
    return _components(one[same], other[same], len(curves))


def _delays(curves: np.ndarray, reach_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the pairs of curves (curve, place) that come within a time: the earlier, the later, the delay.

    Each (pair,). The delay is a median over the places that both have, without sign: curves that cross are
    not one. Curves that share less than half of the places of the shorter one are no pair.
    """
    first, last = (limit.reduce(curves, axis=1) for limit in (np.fmin, np.fmax))
    order = np.argsort(first, kind="stable")
    beyond = np.searchsorted(first[order], last[order] + reach_s, side="right")
    count = beyond - np.arange(len(order)) - 1
    one = np.repeat(np.arange(len(order)), count)
    other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
    blocks = np.split(np.stack([order[one], order[other]]), range(_PAIRS, len(one), _PAIRS), axis=1)
    earlier, later, delay = zip(*(_ordered(curves, *block) for block in blocks), strict=True)
    return np.concatenate(earlier), np.concatenate(later), np.concatenate(delay)


def _ordered(
    curves: np.ndarray, one: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put pairs of curves in the order of their times, without those that share too few places."""
    known = np.isfinite(curves)
    shared, places = (known[one] & known[other]).sum(axis=1), known.sum(axis=1)
    enough = shared >= np.maximum(1, 0.5 * np.minimum(places[one], places[other]))
    one, other = one[enough], other[enough]
    apart = curves[other] - curves[one]
    later = _median(apart) >= 0
    return np.where(later, one, other), np.where(later, other, one), _median(np.abs(apart))


def name_fronts(table: pd.DataFrame, num_places: int) -> pd.DataFrame:
    """Say which fronts are the P and the S of one event.

    `table` as for :func:`find_fronts`, with ``phase_amplitude`` and ``front``. Evidence for a pair of fronts
    is: the names of their picks, an event of the associator, a larger S, and the order. Names are worth as
    much as they agree with the order where two fronts stand alone. Each front is in one pair at most, and
    the pairs are those with the most evidence in all, counted by picks. At least one of the two holds picks
    of an event. Fronts that are small beside a larger one are its fragments, and in a pair only if an event
    has it.

    Returns a table of ``NAMED``, two rows for a pair; ``certainty`` is 0.5 to 1. Fronts without a partner
    are not in it.
    """
    picks = table[table["front"] >= 0]
    curves = _curves_of(picks, num_places)
    told = _told_pairs(picks)
    delays = _median(curves[told["S"]] - curves[told["P"]])
    told, delays = told[delays > 0], delays[delays > 0]
    if not len(told):
        return pd.DataFrame(columns=NAMED)
    quantile, multiple = _LONGEST
    reach_s = multiple * float(np.quantile(delays, quantile))
    one, other, delay = _delays(curves, max(reach_s, delays.max()))
    size = np.bincount(picks["front"])
    of_event = pd.MultiIndex.from_arrays([one, other]).isin(pd.MultiIndex.from_frame(told[["P", "S"]]))
    largest = size.copy()
    for first, second in ((one, other), (other, one)):
        np.maximum.at(largest, first, size[second])
    alike = np.minimum(size[one], size[other]) >= _ALIKE * np.maximum(largest[one], largest[other])
    possible = of_event | (alike & (delay <= reach_s))
    one, other, of_event = one[possible], other[possible], of_event[possible]
    lean, loud = _lean(picks), _loudness(picks)
    known = np.zeros(len(curves), bool)
    known[picks.loc[picks["event_index"] >= 0, "front"]] = True
    evidence = np.where(
        known[one] | known[other],
        _ORDER
        + _OF_EVENT * of_event
        + _worth_of_names(one, other, lean) * (lean[one] - lean[other])
        + _AMPLITUDE * np.clip(np.nan_to_num(loud[other] - loud[one]), -1, 1),
        0.0,
    )
    chosen = _best_pairs(one, other, evidence * np.minimum(size[one], size[other]), len(curves))
    return _named(picks, one[chosen], other[chosen], evidence[chosen])


def _curves_of(picks: pd.DataFrame, num_places: int) -> np.ndarray:
    """Interpolate the times (front, place) of the picks of each front, between its first and last."""
    grid = _grid(num_places)
    ordered = picks.sort_values(["front", "row"], kind="stable")
    curves = [
        np.interp(grid, group["row"], group["seconds"], left=np.nan, right=np.nan)
        for _, group in ordered.groupby("front", sort=True)
    ]
    return np.stack(curves) if curves else np.empty((0, len(grid)))


def _median(values: np.ndarray) -> np.ndarray:
    """Median (pair,) over places, NaN without any."""
    known = np.isfinite(values).any(axis=1)
    median = np.full(len(values), np.nan)
    median[known] = np.nanmedian(values[known], axis=1)
    return median


def _told_pairs(picks: pd.DataFrame) -> pd.DataFrame:
    """Give for each event of the associator the fronts of most of its P and of its S; columns P, S."""
    kept = picks[picks["event_index"] >= 0]
    count = kept.groupby(["event_index", "phase_type", "front"]).size().sort_values(kind="stable")
    most = count.reset_index("front").groupby(["event_index", "phase_type"])["front"].last()
    return most.unstack().reindex(columns=["P", "S"]).dropna().astype(int)


def _lean(picks: pd.DataFrame) -> np.ndarray:
    """Say how a front (front,) is named by its picks: 1 all P, -1 all S, weighted by score."""
    total = picks.groupby(["front", "phase_type"])["phase_score"].sum().unstack().fillna(0.0)
    p, s = total.reindex(columns=["P", "S"], fill_value=0.0).to_numpy().T
    lean: np.ndarray = (p - s) / np.maximum(p + s, 1e-9)
    return lean


def _loudness(picks: pd.DataFrame) -> np.ndarray:
    """Median amplitude (front,) in powers of ten; NaN where it is unknown."""
    amplitude = picks.groupby("front")["phase_amplitude"].median().to_numpy(np.float64)
    loudness: np.ndarray = np.log10(np.where(amplitude > 0, amplitude, np.nan))
    return loudness


def _worth_of_names(one: np.ndarray, other: np.ndarray, lean: np.ndarray) -> float:
    """Give the log odds of a right name, from pairs (pair,) of fronts that have no other partner."""
    partners = np.bincount(np.concatenate([one, other]), minlength=len(lean))
    alone = (partners[one] == 1) & (partners[other] == 1)
    agree = 0.5 * (2.0 + lean[one[alone]] - lean[other[alone]]).sum()
    right = (_NAMES_RIGHT * _NAMES_WEIGHT + agree) / (_NAMES_WEIGHT + 2 * alone.sum())
    return max(0.0, float(np.log(right / (1.0 - right))))


def _best_pairs(one: np.ndarray, other: np.ndarray, weight: np.ndarray, number: int) -> np.ndarray:
    """Choose the pairs, each of `number` fronts in one at most, whose weights add up to the most."""
    useful = np.flatnonzero(weight > 0)
    if not len(useful):
        return useful
    ends = np.concatenate([one[useful], other[useful]])
    pair = np.tile(np.arange(len(useful)), 2)
    in_pair = csr_matrix((np.ones(len(ends)), (ends, pair)), shape=(number, len(useful)))
    found = milp(
        -weight[useful],
        integrality=np.ones(len(useful)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(in_pair, ub=np.ones(number)),
    )
    return useful[found.x > 0.5]


def _named(picks: pd.DataFrame, p: np.ndarray, s: np.ndarray, evidence: np.ndarray) -> pd.DataFrame:
    """Lay out pairs of fronts. Each keeps the event that has most picks on it, or gets a new number."""
    pair = pd.Series(np.tile(np.arange(len(p)), 2), index=np.concatenate([p, s]))
    kept = picks[picks["event_index"] >= 0].assign(pair=picks["front"].map(pair))
    held = kept.groupby(["pair", "event_index"], as_index=False).size()
    held = held.sort_values("size", ascending=False, kind="stable")
    first = held.drop_duplicates("event_index").drop_duplicates("pair").set_index("pair")["event_index"]
    fresh = np.arange(len(p)) + int(picks["event_index"].max()) + 1
    event = first.reindex(range(len(p))).fillna(pd.Series(fresh)).to_numpy(int)
    certainty = 1.0 / (1.0 + np.exp(-evidence))
    tables = [
        pd.DataFrame({"front": front, "phase_type": name, "event_index": event, "certainty": certainty})
        for name, front in (("P", p), ("S", s))
    ]
    return pd.concat(tables, ignore_index=True)
