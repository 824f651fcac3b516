"""Assign picks to events, and build the tables and the summary that `associate` returns."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gamma.acceptance import describe_rules
from gamma.correlation import Correlation
from gamma.domain import Domain, describe_domain
from gamma.likelihood import PickSeries
from gamma.mixture import Events
from gamma.picks import Observations
from gamma.quality import MOST_UNCERTAIN_KM, QUALITY_RULES, quality_classes
from gamma.uncertainty import Location, azimuthal_gaps, ellipses

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_SPREADS = [
    "time_uncertainty_s", "horizontal_uncertainty_km", "depth_uncertainty_km",
    "source_distance_uncertainty_km", "ellipse_major_km", "ellipse_minor_km", "ellipse_azimuth_deg",
]  # fmt: skip
_PLACES = [
    "longitude", "latitude", "depth_km", "horizontal_uncertainty_km", "depth_uncertainty_km", "x_km", "y_km",
    "z_km", "ellipse_major_km", "ellipse_minor_km", "ellipse_azimuth_deg", "azimuthal_gap_deg",
    "mirror_longitude", "mirror_latitude", "mirror_x_km", "mirror_y_km", "mirror_depth_km",
]  # fmt: skip
_KNOWN_AZIMUTH_DEG = 45.0
_SAME_ARRIVAL_S = 5.0
_SAME_TIME = 0.5  # of a pick uncertainty
_FEW_EVENTS = 5
_LEAST_RESIDUAL = 0.3
_TYPICAL = 1.2
_REASONS = [
    "",
    "no event explains it",
    "no event explains it, and it lines up with no neighbouring channels",
    "as probable as noise: its association score is below min_association_score",
    "near an event's arrival, but another pick of this receiver and phase fits it better",
    "near an event's arrival, but its residual is too large",
]
UNEXPLAINED = (1, 2, 3)
"""Places in `_REASONS` of picks that no arrival of an event accounts for."""


@dataclass(frozen=True)
class FittedEvents:
    """Events fitted on all picks one by one, sorted by origin time, and the pairs of pick and event."""

    events: Events
    member: I64  # (events,), place in the list of first guesses
    row: I64  # (pairs,), of `picks`
    event: I64
    posterior: F64
    residual_s: F64
    near: I64  # picks within reach of some event's predicted arrivals
    location: Location
    odds: F64  # (events,)
    correlation: Correlation
    converged: bool
    picks: PickSeries
    bounds: list[list[tuple[float, str]]]  # the log of the bound, batch by batch
    dropped: Counter[str]


@dataclass(frozen=True)
class Assignment:
    """Each pick's event (-1: none), posterior and residual (NaN: none), and why it has none (`REASONS`).

    `receiver_phase` is that as which the event took the pick, and for picks without event that of their name.
    """

    event: I64
    receiver_phase: I64
    score: F64
    residual_s: F64
    reason: I64


@dataclass(frozen=True)
class Mirrors:
    """A second place that explains an event's picks about as well; NaN where there is none."""

    hypocentre: F64  # (events, 4)
    loss: F64  # (events,), how much (nat) it explains the picks worse


@dataclass(frozen=True)
class Look:
    """One search for events among picks: the events, each pick's event, and the history of the rounds.

    `magnitudes` holds columns of the event table, none unless amplitudes are used.
    """

    domain: Domain
    observations: Observations
    fitted: FittedEvents
    assignment: Assignment
    mirrors: Mirrors
    magnitudes: dict[str, F64]
    history: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.fitted.events)

    @property
    def left(self) -> I64:
        """Picks (numbers in `observations`) for a later look.

        They have no event, and are not the second name of an arrival that an event has.
        """
        time, receiver = self.observations.time_s, self.observations.receiver_phase >> 1
        order = np.lexsort((time, receiver))
        taken = self.assignment.event[order] >= 0
        within_s = _SAME_TIME * self.domain.config.pick_uncertainty_s
        beside = np.zeros(len(order), dtype=bool)
        for step in (1, -1):
            same = np.roll(receiver[order], step) == receiver[order]
            same &= np.abs(np.roll(time[order], step) - time[order]) <= within_s
            beside[order] |= same & np.roll(taken, step)
        return np.flatnonzero((self.assignment.event < 0) & ~beside)


def assign(domain: Domain, fitted: FittedEvents, run: I64) -> Assignment:
    """Give each pick to its most probable event, one pick per event, receiver and phase, and no S before P.

    `run` (picks,): the run of aligned picks that each pick belongs to, -1 for none.
    """
    picks = fitted.picks
    kept, duplicate = _best_pairs(domain, fitted)
    pick, taken = picks.pick[fitted.row[kept]], picks.receiver_phase[fitted.row[kept]]
    event = np.full(len(picks), -1, dtype=np.int64)
    receiver_phase = picks.receiver_phase[picks.named].copy()
    score, residual = np.full(len(picks), np.nan), np.full(len(picks), np.nan)
    event[pick], receiver_phase[pick] = fitted.event[kept], taken
    score[pick], residual[pick] = fitted.posterior[kept], fitted.residual_s[kept]
    _give_names_back(fitted, event, receiver_phase, residual, domain.config.pick_uncertainty_s)
    reason = _reasons(fitted, event, receiver_phase, run, duplicate)
    return Assignment(event, receiver_phase, score, residual, reason)


def _best_pairs(domain: Domain, fitted: FittedEvents) -> tuple[I64, Mask]:
    """Choose one pair for each pick and for each event, receiver and phase; also mark the picks that lose."""
    picks = fitted.picks
    pick = picks.pick[fitted.row]
    order = np.lexsort((fitted.row, fitted.event, -fitted.posterior, pick))
    order = order[np.unique(pick[order], return_index=True)[1]]
    order = order[fitted.posterior[order] >= domain.config.min_association_score]
    seat = fitted.event[order] * len(picks.template.receiver_phase_weight)
    seat += picks.receiver_phase[fitted.row[order]]
    ranked = order[np.lexsort((pick[order], -fitted.posterior[order], seat))]
    kept = ranked[np.unique(np.sort(seat), return_index=True)[1]]
    kept = kept[~_out_of_order(fitted, kept)]
    duplicate = np.zeros(len(picks), dtype=bool)
    duplicate[pick[ranked]] = True
    duplicate[pick[kept]] = False
    return kept, duplicate


def _give_names_back(
    fitted: FittedEvents, event: I64, receiver_phase: I64, residual: F64, within_s: float
) -> None:
    """Exchange two picks of a receiver, P and S of two events at one time, that were taken crosswise.

    Exchanges after which an S would come before P of its event are left out.
    """
    picks = fitted.picks
    named, time = picks.receiver_phase[picks.named], picks.time_s[picks.named]
    renamed = np.flatnonzero((event >= 0) & (receiver_phase != named))
    renamed = renamed[np.lexsort((time[renamed], named[renamed] >> 1))]
    a, b = renamed[:-1], renamed[1:]
    crossed = (named[a] ^ named[b] == 1) & (time[b] - time[a] <= within_s)
    crossed[1:] &= ~crossed[:-1]
    while crossed.any():
        a, b = a[crossed], b[crossed]
        new_event, new_phase = event.copy(), receiver_phase.copy()
        new_event[a], new_event[b] = event[b], event[a]
        new_phase[a], new_phase[b] = named[a], named[b]
        wrong = np.zeros(len(event), dtype=bool)
        wrong[np.concatenate(_s_before_p(new_event, new_phase, time))] = True
        crossed = ~(wrong[a] | wrong[b])
        if crossed.all():
            wait = time[b] - time[a]
            residual[a], residual[b] = residual[b] - wait, residual[a] + wait
            event[:], receiver_phase[:] = new_event, new_phase
            return


def _out_of_order(fitted: FittedEvents, kept: I64) -> Mask:
    """Mark the less probable of P and S (kept,) where S does not come after P of its event and receiver."""
    row = fitted.row[kept]
    p, s = _s_before_p(fitted.event[kept], fitted.picks.receiver_phase[row], fitted.picks.time_s[row])
    out = np.zeros(len(kept), dtype=bool)
    out[np.where(fitted.posterior[kept[p]] >= fitted.posterior[kept[s]], s, p)] = True
    return out


def _s_before_p(event: I64, receiver_phase: I64, time_s: F64) -> tuple[I64, I64]:
    """Find the P and the S picks of an event and receiver of which S does not come after P."""
    order = np.lexsort((receiver_phase, event))
    p, s = order[:-1], order[1:]
    pair = (event[p] >= 0) & (event[p] == event[s])
    pair &= (receiver_phase[p] & 1 == 0) & (receiver_phase[s] == receiver_phase[p] + 1)
    wrong = pair & (time_s[s] <= time_s[p])
    return p[wrong], s[wrong]


def _reasons(fitted: FittedEvents, event: I64, receiver_phase: I64, run: I64, duplicate: Mask) -> I64:
    """Code (place in `_REASONS`) of why each pick has no event."""
    picks = fitted.picks
    codes = np.where(event >= 0, 0, 1)
    codes[(codes == 1) & (run < 0)] = 2
    near = np.zeros(len(codes), dtype=bool)
    near[picks.pick[fitted.near]] = True
    taken = _seat_taken(picks.time_s[picks.named], receiver_phase, event)
    codes[(codes > 0) & near] = np.where(taken, 4, 5)[(codes > 0) & near]
    codes[(codes > 0) & (picks.claimed(fitted.row, fitted.posterior) > 0.1)] = 3
    codes[(codes > 0) & duplicate] = 4
    return codes


def _seat_taken(time_s: F64, receiver_phase: I64, event: I64) -> Mask:
    """Mark picks with an associated pick of the same receiver and phase within a few seconds."""
    order = np.lexsort((time_s, receiver_phase))
    receiver_phase, time = receiver_phase[order], time_s[order]
    taken = event[order] >= 0
    near = (receiver_phase[1:] == receiver_phase[:-1]) & (np.diff(time) < _SAME_ARRIVAL_S)
    out = np.zeros(len(order), dtype=bool)
    out[order[1:]] |= taken[:-1] & near
    out[order[:-1]] |= taken[1:] & near
    return out


def typical_residual_s(look: Look) -> float:
    """Median over events of the rms of residuals on cables; the expected one where there are few events."""
    domain, given = look.domain, look.assignment
    mine = given.event >= 0
    mine[mine] = domain.receivers.cable[given.receiver_phase[mine] >> 1] >= 0
    number = np.bincount(given.event[mine], minlength=len(look))
    square = np.bincount(given.event[mine], given.residual_s[mine] ** 2, minlength=len(look))
    rms = np.sqrt(square[number > 0] / number[number > 0])
    if len(rms) < _FEW_EVENTS:
        return domain.residual_s
    least, most = _LEAST_RESIDUAL * domain.config.pick_uncertainty_s, domain.residual_s
    return float(np.clip(_TYPICAL * np.median(rms), least, most))


def join_looks(looks: list[Look]) -> tuple[pd.DataFrame, Assignment]:
    """Put the events of all looks together by origin time, and the events of the picks.

    Each look but the first saw the picks that the look before left free.
    """
    tables = [_describe_events(look) for look in looks]
    table = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    order = np.argsort(table["time"].astype("int64").to_numpy(), kind="stable")
    number = np.append(np.argsort(order, kind="stable"), -1)  # the last for picks of no event
    joined = replace(looks[0].assignment, event=number[looks[0].assignment.event])
    free, first = np.arange(len(joined.event)), len(looks[0])
    for before, look in pairwise(looks):
        free, found = free[before.left], look.assignment
        joined.event[free] = number[np.where(found.event >= 0, found.event + first, -1)]
        joined.score[free], joined.residual_s[free] = found.score, found.residual_s
        joined.reason[free], joined.receiver_phase[free] = found.reason, found.receiver_phase
        first += len(look)
    return table.iloc[order].reset_index(drop=True).assign(event_index=np.arange(len(table))), joined


def picks_table(
    picks: pd.DataFrame, observations: Observations, assignment: Assignment, group: I64
) -> pd.DataFrame:
    """Add event, score, residual, phase, reason and group to the picks given, same rows, same order.

    `group` (used picks,): number of the group without a location, -1 for none.
    """
    out = picks.copy()
    rows, size = observations.row, observations.num_rows
    out["event_index"] = _spread(size, rows, assignment.event, -1).astype(np.int64)
    out["association_score"] = _spread(size, rows, assignment.score, np.nan).astype(np.float32)
    out["travel_time_residual_s"] = _spread(size, rows, assignment.residual_s, np.nan).astype(np.float32)
    codes = np.zeros(size, dtype=np.int64)
    codes[rows] = assignment.reason
    for code, where in enumerate(observations.excluded.values(), start=len(_REASONS)):
        codes[where] = code
    texts = np.array([*_REASONS, *observations.excluded], dtype=object)
    out["reason"] = pd.array(texts[codes], dtype="str")
    phase = np.full(size, "", dtype=object)
    given = assignment.event >= 0
    phase[rows[given]] = np.array(["P", "S"], dtype=object)[assignment.receiver_phase[given] & 1]
    out["group_index"] = _spread(size, rows, group, -1).astype(np.int64)
    out["associated_phase"] = pd.array(phase, dtype="str")
    return out


def _spread(size: int, rows: I64, values: npt.NDArray[Any], fill: float) -> F64:
    out = np.full(size, fill, dtype=np.float64)
    out[rows] = values
    return out


def _describe_events(look: Look) -> pd.DataFrame:
    """Describe every event."""
    domain = look.domain
    fitted, assignment, mirrors = look.fitted, look.assignment, look.mirrors
    hypocentre, location = _to_decimetres(fitted.events.hypocentre), fitted.location
    given = assignment.event >= 0
    event, receiver_phase = assignment.event[given], assignment.receiver_phase[given]
    renamed = receiver_phase != look.observations.receiver_phase[given]
    counts = _counts(domain, len(hypocentre), event, receiver_phase)
    square = np.bincount(event, assignment.residual_s[given] ** 2, minlength=len(hypocentre))
    time_ns = look.observations.reference_ns + np.round(hypocentre[:, 0] * 1e9).astype(np.int64)
    major, minor, azimuth = ellipses(location.covariance)
    full, deep = domain.mode == "full", domain.mode != "point"
    blank = np.full(len(hypocentre), np.nan)
    longitude, latitude = domain.receivers.frame.to_geographic(hypocentre[:, 1], hypocentre[:, 2])
    depth_error = np.sqrt(np.maximum(location.covariance[:, 3, 3], 0.0))
    gap = azimuthal_gaps(event, receiver_phase >> 1, hypocentre, domain.receivers.xyz_km)
    columns: dict[str, Any] = {
        "event_index": np.arange(len(hypocentre), dtype=np.int64),
        "event_id": pd.array(_event_ids(time_ns, hypocentre), dtype="str"),
        "time": pd.to_datetime(time_ns, utc=True).as_unit("ns"),
        "time_uncertainty_s": np.sqrt(np.maximum(location.covariance[:, 0, 0], 0.0)),
        "longitude": longitude if full else blank,
        "latitude": latitude if full else blank,
        "depth_km": hypocentre[:, 3] if deep else blank,
        "horizontal_uncertainty_km": major if full else blank,
        "depth_uncertainty_km": depth_error if deep else blank,
        "source_distance_km": location.distance_km,
        "source_distance_uncertainty_km": location.distance_uncertainty_km,
        **counts,
        "num_renamed": np.bincount(event[renamed], minlength=len(hypocentre)).astype(np.int64),
        "residual_rms_s": np.sqrt(square / np.maximum(counts["num_picks"], 1)),
        "azimuthal_gap_deg": gap if full else blank,
        "location_quality": pd.array(_flags(domain, fitted, mirrors), dtype="str"),
    }
    if full:
        columns |= {"x_km": hypocentre[:, 1], "y_km": hypocentre[:, 2], "z_km": hypocentre[:, 3]}
        columns |= {"ellipse_major_km": major, "ellipse_minor_km": minor, "ellipse_azimuth_deg": azimuth}
        if domain.receivers.num_cables:
            columns |= _mirror_columns(domain, mirrors)
    columns["log_odds"] = fitted.odds
    table = pd.DataFrame(columns | look.magnitudes)
    beyond = domain.on_edge(fitted.events.hypocentre[:, 1:], top=False)
    if domain.inner is not None:  # the floor of the ring says nothing of the distance
        beyond = domain.on_wall(fitted.events.hypocentre[:, 1:])
    table.loc[beyond, table.columns.intersection(_SPREADS)] = np.nan
    if full:
        _forget_places(domain, table)
    table["quality"] = pd.array(quality_classes(table, domain.config.pick_uncertainty_s), dtype="str")
    return table


def _forget_places(domain: Domain, table: pd.DataFrame) -> None:
    """Take the place from events too far away to have one; distance and, if known, azimuth stay."""
    distance = table["source_distance_km"].to_numpy()
    distant = table["location_quality"].str.contains("distant").to_numpy(bool)
    middle = np.median(domain.receivers.xyz_km, axis=0)
    x, y = (table[name].to_numpy() - middle[axis] for axis, name in enumerate(("x_km", "y_km")))
    across = np.hypot(x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        turn = np.degrees(table["ellipse_major_km"].to_numpy() / np.maximum(across, distance))
    one_way = ~table["location_quality"].str.contains("mirror-ambiguous").to_numpy(bool)
    known = one_way & (turn < _KNOWN_AZIMUTH_DEG)
    table["back_azimuth_deg"] = np.where(known, np.degrees(np.arctan2(x, y)) % 360.0, np.nan)
    table.loc[distant, table.columns.intersection(_PLACES)] = np.nan


def _to_decimetres(hypocentre: F64) -> F64:
    """Round places to 0.1 m; what the box stops a hair short of its edge lies on the edge."""
    return np.column_stack([hypocentre[:, 0], np.round(hypocentre[:, 1:], 4) + 0.0])


def _counts(domain: Domain, num_events: int, event: I64, receiver_phase: I64) -> dict[str, I64]:
    shear = (receiver_phase & 1) == 1
    receivers = np.unique(event * len(domain.receivers) + (receiver_phase >> 1)) // len(domain.receivers)
    return {
        "num_picks": np.bincount(event, minlength=num_events).astype(np.int64),
        "num_p_picks": np.bincount(event[~shear], minlength=num_events).astype(np.int64),
        "num_s_picks": np.bincount(event[shear], minlength=num_events).astype(np.int64),
        "num_channels": np.bincount(receivers, minlength=num_events).astype(np.int64),
    }


def _mirror_columns(domain: Domain, mirrors: Mirrors) -> dict[str, F64]:
    longitude, latitude = domain.receivers.frame.to_geographic(
        mirrors.hypocentre[:, 1], mirrors.hypocentre[:, 2]
    )
    return {
        "mirror_longitude": longitude,
        "mirror_latitude": latitude,
        "mirror_x_km": mirrors.hypocentre[:, 1],
        "mirror_y_km": mirrors.hypocentre[:, 2],
        "mirror_depth_km": mirrors.hypocentre[:, 3],
        "mirror_log_odds": -mirrors.loss,
    }


def _flags(domain: Domain, fitted: FittedEvents, mirrors: Mirrors) -> list[str]:
    place = fitted.events.hypocentre[:, 1:]
    depth_range = float(domain.upper_km[2] - domain.lower_km[2])
    depth_error = np.sqrt(np.maximum(fitted.location.covariance[:, 3, 3], 0.0))
    major = ellipses(fitted.location.covariance)[0]
    edge = domain.on_edge(place)
    far = domain.outside(place) & (edge | (major > MOST_UNCERTAIN_KM))
    flags = {
        "distant": far,
        "at-boundary": edge & ~far,
        "mirror-ambiguous": np.isfinite(mirrors.loss) & (domain.mode == "full"),
        "azimuth-unconstrained": np.full(len(place), domain.mode != "full"),
        "depth-unconstrained": (depth_error > depth_range / 4.0) & (domain.mode != "point"),
        "velocity-assumed": np.full(
            len(place), domain.ground is not None and domain.ground.status == "assumed"
        ),
        "geometry-unknown": np.full(len(place), not domain.receivers.geometry_known),
    }
    return [";".join(name for name, mask in flags.items() if mask[i]) for i in range(len(place))]


def _event_ids(time_ns: I64, hypocentre: F64) -> list[str]:
    """Name events by origin time and a short hash of their place, so that equal inputs give equal names."""
    stamps = pd.to_datetime(time_ns, utc=True).strftime("%Y%m%dT%H%M%S%f").str[:-3]
    places = np.round(hypocentre[:, 1:], 2) + 0.0
    return [
        f"ev{stamp}-{hashlib.sha256(f'{ms}{place.tolist()}'.encode()).hexdigest()[:6]}"
        for stamp, ms, place in zip(stamps, time_ns // 10**6, places, strict=True)
    ]


def summarise(
    domain: Domain,
    looks: list[Look],
    picks: pd.DataFrame,
    events: pd.DataFrame,
    groups: pd.DataFrame,
    *,
    explain: bool,
) -> dict[str, Any]:
    """Count what was used, excluded and dropped, and list the settings in use.

    Settings and rounds are those of the first look. `picks`: the pick table with reasons.
    """
    observations, fitted, history = looks[0].observations, looks[0].fitted, looks[0].history
    settings = describe_domain(domain)
    shares = fitted.correlation.independent_share
    settings["effective_observations_per_100_channels"] = [round(100.0 * float(share), 2) for share in shares]
    summary: dict[str, Any] = {
        "picks": observations.num_rows,
        "picks_used": len(observations),
        "picks_associated": int((picks["event_index"] >= 0).sum()),
        "events": sum(map(len, looks)),
        "events_on_second_look": sum(map(len, looks[1:])),
        "classes": {name: int((events["quality"] == name).sum()) for name in QUALITY_RULES},
        "groups": len(groups),
        "rules": describe_rules(domain),
        "converged": fitted.converged,
        "left_out": {text: len(where) for text, where in observations.excluded.items()},
        "unknown_receivers": observations.unknown_receivers,
        "seeds": [entry["seeds"] for entry in history],
        "events_dropped": _add([entry["dropped"] for entry in history] + [dict(fitted.dropped)]),
        "settings": settings,
        "reasons": picks.loc[picks["reason"] != "", "reason"].value_counts().sort_index().to_dict(),
    }
    if explain:
        summary["rounds"] = [*history, {"events": len(fitted.events), "bounds": fitted.bounds}]
    return summary


def _add(counts: list[dict[str, int]]) -> dict[str, int]:
    names = sorted({name for entry in counts for name in entry})
    return {name: sum(entry.get(name, 0) for entry in counts) for name in names}
