"""One-to-one matching, nearest first: of picks with true picks, of events with those of another catalog."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from phasenet_das.errors import ConfigError, TableError

_PLACE = ("longitude", "latitude", "depth_km", "magnitude", "source_distance_km")
_KEYS = ("station_id", "channel_index", "phase_type", "phase_time")


def time_ns(times: pd.Series) -> np.ndarray:
    """Give times as integers."""
    return times.dt.as_unit("ns").astype("int64").to_numpy()


def count_before(
    group: np.ndarray, value: np.ndarray, query_group: np.ndarray, query: np.ndarray, *, equal: bool
) -> np.ndarray:
    """Count the items that come before each query when all are ordered by group, then value.

    This is ``numpy.searchsorted`` within groups, whatever the span of the values.

    `group` and `value` (item,) int64, `query_group` and `query` (query,) int64. Returns (query,)
    int64.
    """
    kind = np.concatenate([np.ones(len(value), np.int8), np.full(len(query), 2 if equal else 0, np.int8)])
    values, groups = np.concatenate([value, query]), np.concatenate([group, query_group])
    order = np.lexsort((kind, values, groups))
    passed = np.empty(len(order), np.int64)
    passed[order] = np.cumsum(kind[order] == 1)
    return passed[len(value) :]


def candidate_pairs(
    group_a: np.ndarray, time_a: np.ndarray, group_b: np.ndarray, time_b: np.ndarray, tolerance: int
) -> tuple[np.ndarray, np.ndarray]:
    """List all pairs of one group whose times differ by no more than a tolerance.

    `group_a` and `time_a` (a,) int64, `group_b` and `time_b` (b,) int64. Returns (pair,) int64.
    """
    order = np.lexsort((time_b, group_b))
    low = count_before(group_b, time_b, group_a, time_a - tolerance, equal=False)
    count = count_before(group_b, time_b, group_a, time_a + tolerance, equal=True) - low
    a = np.repeat(np.arange(len(time_a)), count)
    within = np.arange(len(a)) - np.repeat(np.cumsum(count) - count, count)
    return a, order[np.repeat(low, count) + within]


def nearest_first(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Choose pairs one to one: the cheapest of all, then the cheapest of those still free, and so on.

    Pairs of equal cost are taken in the order of their indices, `a` before `b`. Every round takes all
    pairs that are the cheapest of both their members, which gives the same pairs as one at a time.

    `a` and `b` (pair,) int64, `cost` (pair,).
    """
    order = np.lexsort((b, a, cost))
    a, b = a[order], b[order]
    free = np.arange(len(order))
    chosen = []
    while len(free):
        best_a, best_b = (_first_place(member[free], free) for member in (a, b))
        take = (best_a == free) & (best_b == free)
        chosen.append(free[take])
        used_a, used_b = (np.isin(member[free], member[free[take]]) for member in (a, b))
        free = free[~(used_a | used_b)]
    return np.sort(order[np.concatenate(chosen)]) if chosen else np.empty(0, np.int64)


def _first_place(member: np.ndarray, place: np.ndarray) -> np.ndarray:
    """First place at which each member occurs; places rise."""
    _, first, inverse = np.unique(member, return_index=True, return_inverse=True)
    return place[first[inverse]]


def nearest_item(
    group: np.ndarray, value: np.ndarray, query_group: np.ndarray, query: np.ndarray
) -> np.ndarray:
    """Find the item of the same group that is nearest to each query; the earlier of two equally near.

    `group` and `value` (item,) int64, `query_group` and `query` (query,) int64. Returns (query,)
    int64.
    """
    if not len(value):
        return np.full(len(query), -1, np.int64)
    order = np.lexsort((value, group))
    after = count_before(group, value, query_group, query, equal=False)
    sides = []
    for place in (after - 1, after):
        item = order[np.clip(place, 0, len(order) - 1)]
        good = (place >= 0) & (place < len(order)) & (group[item] == query_group)
        sides.append((item, np.where(good, np.abs(value[item] - query), np.iinfo(np.int64).max)))
    (left, left_gap), (right, right_gap) = sides
    nearest = np.where(left_gap <= right_gap, left, right)
    return np.where(np.minimum(left_gap, right_gap) == np.iinfo(np.int64).max, -1, nearest)


def match_picks(picks: pd.DataFrame, truth: pd.DataFrame, tolerance_s: Mapping[str, float]) -> pd.DataFrame:
    """Match picks with true picks one to one, on the same channel and of the same phase.

    Rule: nearest first. Of all pairs within tolerance the one closest in time is matched, then the
    closest of those whose members are still free, and so on. Ties go to the earlier true pick, then to
    the earlier pick, the better score, the smaller ``pick_id``. A smaller tolerance therefore gives a
    subset of the pairs of a larger one, and the order of rows does not matter.

    Parameters
    ----------
    picks, truth : pandas.DataFrame
        Pick tables: ``station_id, channel_index, phase_type, phase_time`` (and ``phase_score``,
        ``pick_id`` for ties, where present).
    tolerance_s : mapping of str to float
        Largest time difference of each phase, in s; inclusive.

    Returns
    -------
    pandas.DataFrame
        Columns ``truth_row, pick_row`` (positions in the tables, int64) and ``residual_s``
        (pick less truth, float64); a row for each pair, in the order of `truth`.

    Raises
    ------
    ConfigError
        A phase of the truth has no tolerance, or a tolerance is negative.
    TableError
        A column is missing, or a row has no time.
    """
    _check(picks, truth, tolerance_s)
    phases = list(tolerance_s)
    group_truth, group_pick = _groups(truth, picks, phases)
    truth_order = _canonical_order(truth, group_truth)
    pick_order = _canonical_order(picks[picks["phase_type"].isin(phases).to_numpy()], group_pick)
    known = np.flatnonzero(picks["phase_type"].isin(phases).to_numpy())[pick_order]
    times, pick_times = time_ns(truth["phase_time"])[truth_order], time_ns(picks["phase_time"])[known]
    largest = round(max(tolerance_s.values()) * 1e9)
    a, b = candidate_pairs(group_truth[truth_order], times, group_pick[pick_order], pick_times, largest)
    limit = truth["phase_type"].map(dict(tolerance_s)).to_numpy(np.float64)[truth_order]
    gap = np.abs(pick_times[b] - times[a])
    near = gap <= np.rint(limit[a] * 1e9)
    a, b = a[near], b[near]
    chosen = nearest_first(a, b, gap[near])
    a, b = a[chosen], b[chosen]
    pairs = pd.DataFrame(
        {
            "truth_row": truth_order[a],
            "pick_row": known[b],
            "residual_s": (pick_times[b] - times[a]) * 1e-9,
        }
    )
    return pairs.sort_values("truth_row", ignore_index=True)


def _check(picks: pd.DataFrame, truth: pd.DataFrame, tolerance_s: Mapping[str, float]) -> None:
    for name, table in (("picks", picks), ("truth", truth)):
        missing = [column for column in _KEYS if column not in table.columns]
        if missing:
            raise TableError(f"{name}: missing column(s) {', '.join(missing)}. Expected {', '.join(_KEYS)}.")
        refuse_untimed(table["phase_time"], name)
    without = sorted(set(truth["phase_type"].unique()) - set(tolerance_s))
    if without or not tolerance_s:
        raise ConfigError(
            f"tolerance_s: no tolerance for phase(s) {', '.join(without) or 'P, S'} of the truth, found "
            f"{dict(tolerance_s)}. Give one for each phase, or leave the phase out of the truth."
        )
    negative = {phase: value for phase, value in tolerance_s.items() if not value >= 0}
    if negative:
        raise ConfigError(f"tolerance_s: found {negative}, expected seconds of 0 or more.")


def _groups(truth: pd.DataFrame, picks: pd.DataFrame, phases: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Give every (station, channel, phase) one number in both tables; other phases are left out."""
    both = pd.concat(
        [table.loc[table["phase_type"].isin(phases).to_numpy(), list(_KEYS[:3])] for table in (truth, picks)],
        ignore_index=True,
    )
    station = pd.factorize(both["station_id"].astype(str), sort=True)[0]
    phase = both["phase_type"].map({name: code for code, name in enumerate(phases)}).to_numpy(np.int64)
    channel = both["channel_index"].to_numpy(np.int64)
    width = int(channel.max() - channel.min()) + 1 if len(channel) else 1
    code = (station.astype(np.int64) * len(phases) + phase) * width + channel - channel.min(initial=0)
    return code[: len(truth)], code[len(truth) :]


def _canonical_order(table: pd.DataFrame, group: np.ndarray) -> np.ndarray:
    """Order of rows that does not depend on how the table came."""
    ties = [
        sign * table[name].to_numpy()
        for name, sign in (("pick_id", 1), ("phase_score", -1))
        if name in table.columns
    ]
    return np.lexsort((*ties, group, time_ns(table["phase_time"])))


def match_events(
    events: pd.DataFrame, reference: pd.DataFrame, *, time_tolerance_s: float, distance_tolerance_km: float
) -> pd.DataFrame:
    """Match events one to one, in time and space.

    A pair is possible when its origin times differ by no more than `time_tolerance_s`, and its epicentres by
    no more than `distance_tolerance_km`. Where one of them has no epicentre, their ``source_distance_km``
    must agree as closely; where that is not known either, time alone decides. Of the possible pairs the one
    of the smallest misfit, (Δt / tolerance)² + (Δx / tolerance)², is matched first, then the smallest of
    those still free; an unknown Δx counts as the tolerance, so that what is placed goes first.

    Parameters
    ----------
    events, reference : pandas.DataFrame
        ``time`` and, where known, ``longitude, latitude, depth_km, magnitude, source_distance_km``.
    time_tolerance_s : float
        Largest difference of origin times, s.
    distance_tolerance_km : float
        Largest distance, km.

    Returns
    -------
    pandas.DataFrame
        Columns ``event_row, reference_row`` (positions), ``time_s, epicentre_km, depth_km,
        source_distance_km, magnitude``: errors, NaN where unknown. Ordered by the reference's row.

    Raises
    ------
    ConfigError
        A tolerance is not positive.
    TableError
        A table has no column ``time``, or a row has no time.
    """
    if not (time_tolerance_s > 0 and distance_tolerance_km > 0):
        raise ConfigError(
            f"tolerances: found {time_tolerance_s} s and {distance_tolerance_km} km, expected positive ones."
        )
    one, other = event_places(events, "events"), event_places(reference, "reference")
    order, other_order = (np.lexsort((t["longitude"], t["time"])) for t in (one, other))
    one, other = one.iloc[order], other.iloc[other_order]
    group = [np.zeros(len(table), np.int64) for table in (one, other)]
    b, a = candidate_pairs(
        group[1], time_ns(other["time"]), group[0], time_ns(one["time"]), round(time_tolerance_s * 1e9)
    )
    errors = _errors(one.iloc[a], other.iloc[b])
    apart = errors["epicentre_km"].fillna(errors["source_distance_km"].abs()).to_numpy()
    possible = ~(apart > distance_tolerance_km)
    a, b, apart, errors = a[possible], b[possible], apart[possible], errors[possible]
    misfit = (errors["time_s"].to_numpy() / time_tolerance_s) ** 2
    misfit = misfit + np.where(np.isnan(apart), 1.0, (apart / distance_tolerance_km) ** 2)
    chosen = nearest_first(b, a, misfit)
    pairs = errors.iloc[chosen].reset_index(drop=True)
    pairs.insert(0, "event_row", order[a[chosen]])
    pairs.insert(1, "reference_row", other_order[b[chosen]])
    return pairs.sort_values("reference_row", ignore_index=True)


def refuse_untimed(times: pd.Series, name: str) -> None:
    """Refuse rows without a time, which match nothing and everything."""
    unknown = int(times.isna().sum())
    if unknown:
        raise TableError(
            f"{name}: {unknown} of {len(times)} rows have no {times.name}. Leave these rows out."
        )


def event_places(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Take time, place and magnitude of events; a column that is not there is NaN."""
    if "time" not in table.columns:
        raise TableError(f"{name}: missing column time. Found {', '.join(map(str, table.columns))}.")
    refuse_untimed(table["time"], name)
    columns = {"time": table["time"].array}
    for column in _PLACE:
        known = column in table.columns
        columns[column] = table[column].to_numpy(np.float64) if known else np.full(len(table), np.nan)
    return pd.DataFrame(columns)


def _errors(events: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    out = {
        "time_s": (time_ns(events["time"]) - time_ns(reference["time"])) * 1e-9,
        "epicentre_km": geodesic_km(events, reference),
    }
    for name in ("depth_km", "source_distance_km", "magnitude"):
        out[name] = events[name].to_numpy() - reference[name].to_numpy()
    return pd.DataFrame(out)


def geodesic_km(one: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Distance along the ground, row by row; NaN where a position is not known."""
    from pyproj import Geod

    place = [t[c].to_numpy(np.float64) for t in (one, other) for c in ("longitude", "latitude")]
    known = np.isfinite(place).all(axis=0)
    distance = np.full(len(one), np.nan)
    if known.any():
        lon_1, lat_1, lon_2, lat_2 = (part[known] for part in place)
        distance[known] = np.asarray(Geod(ellps="WGS84").inv(lon_1, lat_1, lon_2, lat_2)[2]) / 1e3
    return distance
