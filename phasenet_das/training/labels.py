"""From picks after association to labels: completed along the cable, each with a confidence.

Association says which picks belong to an event, and as which phase. Along a cable the arrivals of an event
lie on a smooth curve, a front. All fronts of a cable together tell which is P and which is S. Picks that
leave their front are no labels, and channels between picks get labels of their own.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from phasenet_das.evaluate.picks import TOLERANCE_S
from phasenet_das.matching import match_picks, time_ns
from phasenet_das.tables import PICK_COLUMNS, conform
from phasenet_das.tables.columns import associated_phase
from phasenet_das.tables.ids import make_pick_ids
from phasenet_das.training.fronts import find_fronts, name_fronts
from phasenet_das.training.lateness import without_lateness
from phasenet_das.training.moveout import fit_moveout, mean_nearby
from phasenet_das.training.sample import PHASES

PICKED, INTERPOLATED, EXTRAPOLATED = "picked", "interpolated", "extrapolated"
"""Values of ``label_kind``; a pick that is no label has an empty one."""

_ROUGHNESS_S = 0.02  # by which true arrivals leave a smooth curve: delays of the ground below each channel
_ALONE = 0.5  # confidence of a pick that no line supports, and factor for one that another network lacks
_MIN_TRUST = 0.5  # a channel without a pick gets a label where the line is trusted so far
_FEWEST, _FEWEST_SHARE = 8, 0.1  # labels of a phase, or share of the few channels of a short cable
_COHERENT_CHANNELS, _COHERENT_S, _COHERENT_PICKS = 10, 0.5, 4
_BEFORE_P_S = 0.3  # picks from here on to the end of its coda belong to an event
_CODA_S = (2.0, 15.0)  # coda lasts as long as S-P, within these limits


def complete_labels(
    picks: pd.DataFrame,
    channel_index: np.ndarray,
    *,
    half_width: int,
    sigma_s: float,
    agreeing: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Turn the picks of a cable into labels.

    Picks of any name that follow one curve are one front, and a front has one name
    (:func:`phasenet_das.training.fronts.name_fronts`): a pair of fronts is an event. A robust local line is
    laid along each front. Picks of low scores are late, and are moved by the lateness that many fronts tell
    (:func:`phasenet_das.training.lateness.without_lateness`). Picks far from the line are dropped. Those near
    it move towards it, the more the more they scatter. Channels between them, and a few beyond the last, get
    labels where the line is certain enough. The confidence of a label is the mean score of the picks nearby,
    times the trust in the line, times the certainty of the name.

    Parameters
    ----------
    picks : pandas.DataFrame
        Picks of one cable after association, of any score. A pick without a score counts as certain.
    channel_index : numpy.ndarray, shape (channel,), int
        Channels in their order along the cable.
    half_width : int
        Reach of the line to each side, channels; 0 leaves picks and their names as they are.
    sigma_s : float
        Standard deviation of a label in time, s. A label with a standard error this large has a confidence
        of a half. Picks three times as far from the line are dropped.
    agreeing : pandas.DataFrame, optional
        Picks of another network after association. Picks that it lacks count half.

    Returns
    -------
    pandas.DataFrame
        Labels, and picks that may be arrivals of unknown events (``event_index`` -1); picks that no
        neighbour shares, and picks in the coda of an event, are left out. Pairs of fronts that the associator
        did not see have event numbers above its own. Columns of picks and ``label_confidence``,
        ``label_kind``.
    """
    row = pd.Index(channel_index).get_indexer(pd.Index(picks["channel_index"]))
    place = _places(channel_index, half_width)
    table = picks.assign(
        row=place[row], phase_type=associated_phase(picks), phase_score=picks["phase_score"].fillna(1.0)
    )
    table = table[row >= 0].reset_index(drop=True)
    table["seconds"] = (time_ns(table["phase_time"]) - _origin_ns(picks)) * 1e-9
    table["certainty"], event = 1.0, table["event_index"]
    fewest = min(_FEWEST, int(np.ceil(_FEWEST_SHARE * len(place))))
    if half_width:
        table = _with_fronts(table, int(place.max(initial=-1)) + 1, half_width, sigma_s, fewest)
    kept = table["event_index"] >= 0
    if half_width and kept.any():
        on_time = without_lateness(table[kept], half_width=half_width, sigma_s=sigma_s)
        table.loc[kept, "seconds"] = on_time
    weight = table["phase_score"].to_numpy(np.float64) * table["certainty"]
    if agreeing is not None:
        weight = np.where(_found_by(table, agreeing), weight, _ALONE * weight)
    labels = _labels(table.assign(weight=weight)[kept], place, half_width, sigma_s, fewest)
    taught = set(labels["event_index"])
    unknown = ((event >= 0) | kept) & ~event.isin(taught) & ~table["event_index"].isin(taught)
    rest = table[~kept & ~unknown]
    rest = rest[coherent(rest["row"].to_numpy(), rest["seconds"].to_numpy(), len(place))]
    rest = pd.concat([rest[~_explained(rest, labels)], table[unknown]])
    rest = rest.assign(event_index=-1, label_confidence=0.0, label_kind="")
    both = pd.concat([labels, rest], ignore_index=True)
    return _as_picks(
        both, picks, np.asarray(channel_index)[np.searchsorted(place, both["row"].to_numpy(int))]
    )


def _places(channel_index: np.ndarray, half_width: int) -> np.ndarray:
    """Place each channel (channel,) along the cable: missing channels leave gaps that no line crosses."""
    if len(channel_index) < 2:
        return np.zeros(len(channel_index), np.int64)
    step = np.abs(np.diff(np.asarray(channel_index, np.int64)))
    usual = max(float(np.median(step)), 1.0)
    gap = 2 * half_width + _COHERENT_CHANNELS + 1
    places = np.cumsum(np.clip(np.rint(step / usual), 1, gap)).astype(np.int64)
    return np.concatenate([np.zeros(1, np.int64), places])


def _origin_ns(picks: pd.DataFrame) -> int:
    return int(time_ns(picks["phase_time"]).min()) if len(picks) else 0


def _found_by(table: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Mark the picks (pick,) that another network has too, in an event and as the same phase."""
    kept = other[other["event_index"] >= 0]
    kept = kept.assign(phase_type=associated_phase(kept)).reset_index(drop=True)
    found = np.zeros(len(table), bool)
    found[match_picks(table, kept, TOLERANCE_S)["pick_row"]] = True
    return found


def _with_fronts(
    table: pd.DataFrame, num_places: int, half_width: int, sigma_s: float, fewest: int
) -> pd.DataFrame:
    """Give picks the phase and the event of the front that they follow, and the certainty of its name."""
    table = table.assign(
        front=find_fronts(table, num_places, half_width=half_width, sigma_s=sigma_s, fewest=fewest)
    )
    named = table.drop(columns=["phase_type", "event_index", "certainty"]).merge(
        name_fronts(table, num_places), on="front", how="left"
    )
    return named.assign(
        event_index=named["event_index"].fillna(-1).astype(np.int64),
        phase_type=named["phase_type"].fillna(table["phase_type"]),
        certainty=named["certainty"].fillna(1.0),
    )


def _labels(
    kept: pd.DataFrame, place: np.ndarray, half_width: int, sigma_s: float, fewest: int
) -> pd.DataFrame:
    """Complete the phases of each event; columns row, seconds, phase_type, event_index, label_*."""
    kept = kept.sort_values("phase_score", kind="stable")
    found = []
    for _, group in kept.groupby(["event_index", "phase_type"], sort=True):
        times, sure = np.full((2, int(place.max(initial=-1)) + 1), np.nan)
        times[group["row"]], sure[group["row"]] = group["seconds"], group["weight"]
        part = _completed(times, sure, half_width, sigma_s)
        found.append(part.assign(**{name: group[name].iloc[0] for name in ("event_index", "phase_type")}))
    if not found:
        return pd.DataFrame(columns=[*_LABEL_COLUMNS, "event_index", "phase_type"])
    labels = pd.concat(found, ignore_index=True)
    labels = labels[labels["row"].isin(place)]
    count = labels.groupby(["event_index", "phase_type"]).size().unstack(fill_value=0)
    count = count.reindex(columns=list(PHASES), fill_value=0)
    taught = count.index[(count >= fewest).all(axis=1)]
    return labels[labels["event_index"].isin(taught)].reset_index(drop=True)


_LABEL_COLUMNS = ["row", "seconds", "label_confidence", "label_kind"]


def _completed(times: np.ndarray, sure: np.ndarray, half_width: int, sigma_s: float) -> pd.DataFrame:
    """Complete one phase of one event, from times and weights (channel,)."""
    has = np.isfinite(times)
    if not half_width:
        return _rows(has, times, sure, np.full(len(times), PICKED, object))
    line = fit_moveout(times, half_width=half_width, max_residual=3.0 * sigma_s)
    told = np.isfinite(line.time)
    trust = 1.0 / (1.0 + (line.error / sigma_s) ** 2)
    near = has & told & (np.abs(times - line.time) <= 3.0 * sigma_s)
    stays = np.minimum(1.0, (_ROUGHNESS_S / np.maximum(line.spread, 1e-9)) ** 2)
    value = np.where(near, line.time + stays * (times - line.time), np.where(told, line.time, times))
    around = mean_nearby(sure, half_width)
    confidence = np.where(told, trust * around, _ALONE * sure)
    label = near | (told & (trust >= _MIN_TRUST)) | (has & ~told)
    return _rows(label, value, confidence, _kinds(has & (near | ~told)))


def _rows(label: np.ndarray, value: np.ndarray, confidence: np.ndarray, kind: np.ndarray) -> pd.DataFrame:
    row = np.flatnonzero(label)
    return pd.DataFrame(dict(zip(_LABEL_COLUMNS, (row, value[row], confidence[row], kind[row]), strict=True)))


def _kinds(picked: np.ndarray) -> np.ndarray:
    """Name how the label of each channel (channel,) is made: of a pick, between picks or beyond the last."""
    known = np.flatnonzero(picked)
    place = np.arange(len(picked))
    kind = np.full(len(picked), INTERPOLATED, object)
    if len(known):
        kind[(place < known[0]) | (place > known[-1])] = EXTRAPOLATED
    kind[picked] = PICKED
    return kind


def coherent(row: np.ndarray, seconds: np.ndarray, num_channels: int) -> np.ndarray:
    """Mark the picks (pick,) that enough channels nearby share: an arrival, not the noise of one channel."""
    since = seconds - seconds.min(initial=0.0)
    stride = since.max(initial=0.0) + 4.0 * _COHERENT_S
    key = row * stride + since
    ordered = np.sort(key)
    channels = np.zeros(len(row), np.int64)
    for step in range(-_COHERENT_CHANNELS, _COHERENT_CHANNELS + 1):
        low = np.searchsorted(ordered, key + step * stride - _COHERENT_S)
        channels += np.searchsorted(ordered, key + step * stride + _COHERENT_S, side="right") > low
    marked: np.ndarray = channels >= min(_COHERENT_PICKS, num_channels)
    return marked


def _explained(rest: pd.DataFrame, labels: pd.DataFrame) -> np.ndarray:
    """Mark the picks (pick,) that lie between the P of a labelled event and the end of its coda."""
    explained = np.zeros(len(rest), bool)
    row, seconds = rest["row"].to_numpy(), rest["seconds"].to_numpy()
    for _, event in labels.groupby("event_index", sort=True):
        p, s = (np.interp(row, *_known(event[event["phase_type"] == phase])) for phase in PHASES)
        explained |= (seconds >= p - _BEFORE_P_S) & (seconds <= s + np.clip(s - p, *_CODA_S))
    return explained


def _known(phase: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    ordered = phase.sort_values("row")
    return ordered["row"].to_numpy(float), ordered["seconds"].to_numpy(float)


def _as_picks(labels: pd.DataFrame, picks: pd.DataFrame, channel: np.ndarray) -> pd.DataFrame:
    """Give labels (label,) on channels the columns of picks. Score and amplitude are unknown."""
    ns = _origin_ns(picks) + np.rint(labels["seconds"].to_numpy(float) * 1e9).astype(np.int64)
    phase = labels["phase_type"].to_numpy(str)
    station = str(picks["station_id"].iloc[0]) if len(picks) else ""
    table = labels.assign(
        pick_id=make_pick_ids(station, channel, phase, ns // 1_000_000),
        station_id=station,
        channel_index=channel,
        phase_time=pd.to_datetime(ns, unit="ns", utc=True),
    )
    unknown = [name for name in PICK_COLUMNS if name not in table.columns]
    table = conform(table.assign(**dict.fromkeys(unknown, np.nan)), PICK_COLUMNS, "labels")
    table["label_confidence"] = table["label_confidence"].astype(np.float32)
    return table[[*PICK_COLUMNS, "label_confidence", "label_kind"]]


def arrivals_of_picks(
    picks: pd.DataFrame, channel_index: np.ndarray, begin_time: np.datetime64, dt_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort the labels of one cable by event, phase (as which the event took them) and channel.

    `channel_index` (channel,) int. Returns `arrivals` (event, 2, channel) float64, their `confidence`
    (event, 2, channel) float32, `rejected` (layer, channel) float64.
    """
    row = pd.Index(channel_index).get_indexer(pd.Index(picks["channel_index"]))
    phase = (
        associated_phase(picks).map({name: code for code, name in enumerate(PHASES)}).fillna(-1).to_numpy(int)
    )
    table = picks.assign(row=row, phase=phase)
    if "label_confidence" not in table.columns:
        table["label_confidence"] = 1.0
    table = table[(row >= 0) & (phase >= 0)].sort_values(["label_confidence", "phase_score"])
    since = table["phase_time"].dt.tz_convert(None).dt.as_unit("ns").to_numpy() - begin_time
    sample = since.astype("timedelta64[ns]").astype(np.int64) * 1e-9 / dt_s
    kept = table["event_index"].to_numpy() >= 0
    events, number = np.unique(table["event_index"].to_numpy()[kept], return_inverse=True)
    shape = (len(events), len(PHASES), len(channel_index))
    arrivals, confidence = np.full(shape, np.nan), np.ones(shape, np.float32)
    place = (number, table["phase"].to_numpy()[kept], table["row"].to_numpy()[kept])
    arrivals[place], confidence[place] = sample[kept], table["label_confidence"].to_numpy()[kept]
    others = table[~kept]
    layer = others.groupby("row").cumcount().to_numpy()
    rejected = np.full((int(layer.max(initial=-1)) + 1, len(channel_index)), np.nan)
    rejected[layer, others["row"].to_numpy()] = sample[~kept]
    return arrivals, confidence, rejected
