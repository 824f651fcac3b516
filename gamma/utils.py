"""Drop-in for scripts written for AI4EPS/GaMMA (GMMA): ``from gamma.utils import association``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gamma.associate import AssociationResult, associate
from gamma.config import AssociationConfig, Layer
from gamma.errors import ConfigError, PickError, StationError, nearest_name

__all__ = ["association"]

F64 = npt.NDArray[np.float64]

logger = logging.getLogger("gamma")

_DIMS = ("x(km)", "y(km)", "z(km)")
_USED = {
    "dims", "x(km)", "y(km)", "z(km)", "vel", "eikonal", "use_amplitude", "method", "bfgs_bounds", "ncpu",
    "min_picks_per_eq", "min_p_picks_per_eq", "min_s_picks_per_eq", "min_stations", "max_sigma11",
}  # fmt: skip
_NOT_NEEDED = {
    "oversample_factor", "use_dbscan", "dbscan_eps", "dbscan_min_samples", "dbscan_min_cluster_size",
    "dbscan_max_time_space_ratio", "covariance_prior", "initial_points", "use_residual",
}  # fmt: skip
_AMPLITUDE_LIMITS = {"max_sigma12", "max_sigma22"}
_METHODS = ("BGMM", "GMM")
_ARGUMENTS = ("picks", "stations", "config", "event_idx0", "method", "pbar")
_MAX_NAMES = 5


def association(
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    config: dict[str, Any],
    event_idx0: int = 0,
    method: str = "BGMM",
    **kwargs: Any,  # noqa: ANN401 - the callers' own
) -> tuple[list[dict[str, Any]], list[tuple[Any, int, float]]]:
    """Associate picks as AI4EPS/GaMMA does, with the same tables in and out.

    Parameters
    ----------
    picks : pandas.DataFrame
        ``id, timestamp, type, prob`` and, with ``use_amplitude``, ``amp`` (m/s).
    stations : pandas.DataFrame
        ``id, x(km), y(km), z(km)``, z down; z may be missing only when the config's ``dims`` lack it.
    config : dict
        GaMMA's keys. Those of its own method (``use_dbscan``, ``oversample_factor``, ``covariance_prior`` and
        the like) are accepted and not needed; unknown ones are refused.
    event_idx0 : int
        Index of the first event.
    method : str
        ``BGMM`` or ``GMM``; both mean the mixture of this package.
    **kwargs
        ``pbar``, which older scripts pass, has no effect; others are refused.

    Returns
    -------
    events : list of dict
        ``time, magnitude`` (NaN when not computed), ``sigma_time, sigma_amp, cov_time_amp, gamma_score,
        num_picks, num_p_picks, num_s_picks, event_index, x(km), y(km), z(km)``; by origin time.
    assignments : list of (pick index, event index, score)
        The pick's label in ``picks.index``; the score is that pick's own posterior.

    Raises
    ------
    ConfigError, PickError, StationError
        An argument, key or column is unknown or missing.

    Notes
    -----
    Picks that cannot be used, events that ``max_sigma11`` cuts and limits that have no effect are counted in
    warnings of the logger ``gamma``.
    """
    _refuse_arguments(kwargs)
    _check(config, method)
    names = {"id": "station_id", "timestamp": "phase_time", "type": "phase_type"}
    optional = {"prob": "phase_score", "amp": "phase_amplitude"}
    table = _rename(picks, names | {old: new for old, new in optional.items() if old in picks}, PickError)
    if "z(km)" not in config.get("dims", _DIMS) and "z(km)" not in stations.columns:
        stations = stations.assign(**{"z(km)": 0.0})
    receivers = _rename(
        stations, {"id": "station_id", "x(km)": "x_km", "y(km)": "y_km", "z(km)": "z_km"}, StationError
    )
    result = associate(table, receivers, _settings(config), workers=int(config.get("ncpu") or 1))
    _warn_of_picks(result.summary)
    return _as_lists(result, config, event_idx0)


def _refuse_arguments(given: dict[str, Any]) -> None:
    unknown = [name for name in given if name not in _ARGUMENTS]
    if unknown:
        hints = [f"unknown argument '{name}'.{nearest_name(name, _ARGUMENTS)}" for name in unknown]
        raise ConfigError("association: " + " ".join(hints))


def _check(config: dict[str, Any], method: str) -> None:
    known = _USED | _NOT_NEEDED | _AMPLITUDE_LIMITS
    unknown = [key for key in config if key not in known]
    if unknown:
        hints = [f"unknown key '{key}'.{nearest_name(key, known)}" for key in unknown]
        raise ConfigError("config: " + " ".join(hints))
    for name in (method, config.get("method", method)):
        if name not in _METHODS:
            raise ConfigError(f"method: expected one of {', '.join(_METHODS)}, found {name!r}.")
    if "vel" not in config and not config.get("eikonal"):
        raise ConfigError("config: give velocities, vel = {'p': 6.0, 's': 3.43} in km/s, or eikonal.")
    ignored = sorted(_NOT_NEEDED & set(config))
    if ignored:
        logger.info("settings of another method, not needed here: %s", ", ".join(ignored))
    limits = sorted(_AMPLITUDE_LIMITS & set(config))
    if limits and config.get("use_amplitude"):
        logger.warning(
            "%s: no effect here. Amplitudes weigh which pick belongs to which event, and cut none",
            ", ".join(limits),
        )


def _warn_of_picks(summary: dict[str, Any]) -> None:
    """Say which picks could not be used."""
    unknown = summary["unknown_receivers"]
    if unknown:
        names = [f"{name} ({count})" for name, count in list(unknown.items())[:_MAX_NAMES]]
        logger.warning(
            "%d picks of stations that are not in the station table: %s%s",
            sum(unknown.values()),
            ", ".join(names),
            " ..." if len(unknown) > _MAX_NAMES else "",
        )
    for reason, count in summary["left_out"].items():
        if reason != "unknown station":
            logger.warning("%d picks left out: %s", count, reason)


def _rename(table: pd.DataFrame, names: dict[str, str], error: type[ValueError]) -> pd.DataFrame:
    missing = [name for name in names if name not in table.columns]
    if missing:
        hints = " ".join(f"'{name}':{nearest_name(name, map(str, table.columns))}" for name in missing)
        raise error(f"missing column(s) {', '.join(missing)}. {hints}")
    return table[list(names)].rename(columns=names)


def _settings(config: dict[str, Any]) -> AssociationConfig:
    """Translate GaMMA's settings."""
    limits = _limits(config)
    values: dict[str, Any] = {
        "min_picks": config.get("min_picks_per_eq"),
        "min_p_picks": config.get("min_p_picks_per_eq"),
        "min_s_picks": config.get("min_s_picks_per_eq"),
        "min_stations": config.get("min_stations"),
        "use_amplitude": bool(config.get("use_amplitude", False)),
        "x_range_km": limits.get("x(km)"),
        "y_range_km": limits.get("y(km)"),
    }
    values["amplitude_unit"] = "m/s" if values["use_amplitude"] else None
    if "z(km)" in limits:
        values["depth_range_km"] = limits["z(km)"]
    if config.get("eikonal"):
        _require(config["eikonal"], ("vel",), "eikonal")
        values["layers"] = _layers(config["eikonal"]["vel"])
    else:
        values["vp_km_s"], values["vs_km_s"] = _two_velocities(config["vel"])
    if values["min_picks"] == 0:
        values["min_picks"] = None
    return AssociationConfig(**values)


def _limits(config: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Search box, from the coordinates' own keys or else from bfgs_bounds; a depth left out is zero."""
    limits = {name: (float(config[name][0]), float(config[name][1])) for name in _DIMS if name in config}
    for name, bound in zip(config.get("dims", _DIMS), config.get("bfgs_bounds") or (), strict=False):
        if name not in limits and None not in bound:
            limits[name] = (float(bound[0]), float(bound[1]))
    if "z(km)" not in config.get("dims", _DIMS):
        limits["z(km)"] = (0.0, 0.0)
    return limits


def _require(values: object, keys: tuple[str, ...], where: str) -> None:
    """Refuse what is no dictionary of these keys."""
    wanted = ", ".join(f"'{key}'" for key in keys)
    if not isinstance(values, Mapping):
        raise ConfigError(f"config: {where}: expected a dictionary with {wanted}, found {values!r}.")
    missing = ", ".join(f"'{key}'" for key in keys if key not in values)
    if missing:
        found = ", ".join(f"'{key}'" for key in values) or "nothing"
        raise ConfigError(f"config: {where}: missing {missing}, found {found}. Expected {wanted}.")


def _numbers(values: Mapping[str, Any], keys: tuple[str, ...], where: str) -> list[F64]:
    """Give the numbers (km, km/s) under each key, flat."""
    _require(values, keys, where)
    out = []
    for key in keys:
        try:
            numbers = np.ravel(np.asarray(values[key], dtype=np.float64))
        except (TypeError, ValueError):
            numbers = np.array([np.nan])
        if not np.isfinite(numbers).all():
            raise ConfigError(f"config: {where}: '{key}' must hold finite numbers, found {values[key]!r}.")
        out.append(numbers)
    return out


def _two_velocities(velocity: dict[str, Any]) -> tuple[float, float]:
    p, s = _numbers(velocity, ("p", "s"), "vel")
    if p.size != 1 or s.size != 1:
        raise ConfigError(
            f"config: vel: expected one velocity (km/s) for 'p' and one for 's', found {p.size} and "
            f"{s.size}. Several, with their depths, go into eikonal: vel, as lists z, p and s."
        )
    return float(p[0]), float(s[0])


def _layers(velocity: dict[str, Any]) -> tuple[Layer, ...]:
    """Layers from GaMMA's nodes: between two nodes the velocity of the upper one holds.

    Of several nodes of one depth, a step, the last stands for what lies below.
    """
    z, p, s = _numbers(velocity, ("z", "p", "s"), "eikonal: vel")
    if not 0 < z.size == p.size == s.size:
        raise ConfigError(
            "config: eikonal: vel: expected lists of one length for z, p and s, one value for each node, "
            f"found {z.size} z, {p.size} p and {s.size} s."
        )
    if (np.diff(z) < 0).any():
        raise ConfigError(
            f"config: eikonal: vel: z must increase downwards, found {z.tolist()}. Sort the nodes, each with "
            "its p and s."
        )
    keep = np.append(np.diff(z) > 0, True)
    return tuple(
        Layer(depth_km=float(a), vp_km_s=float(b), vs_km_s=float(c))
        for a, b, c in zip(z[keep], p[keep], s[keep], strict=True)
    )


def _as_lists(
    result: AssociationResult, config: dict[str, Any], event_idx0: int
) -> tuple[list[dict[str, Any]], list[tuple[Any, int, float]]]:
    given = result.picks[result.picks["event_index"] >= 0]
    score = given.groupby("event_index")["association_score"].sum()
    spread = given.groupby("event_index")["travel_time_residual_s"].std(ddof=0).fillna(0.0)
    events: list[dict[str, Any]] = []
    number: dict[int, int] = {}
    for row in result.events.to_dict("records"):
        index = int(row["event_index"])
        sigma_time = float(spread.get(index, np.nan))
        if sigma_time > (config.get("max_sigma11") or np.inf):
            continue
        number[index] = event_idx0 + len(events)
        events.append(
            {
                "time": row["time"].tz_localize(None).isoformat(timespec="milliseconds"),
                "magnitude": float(row.get("magnitude", np.nan)),
                "sigma_time": sigma_time,
                "sigma_amp": float(row.get("magnitude_uncertainty", np.nan)),
                "cov_time_amp": np.nan,
                "gamma_score": float(score.get(index, 0.0)),
                "num_picks": int(row["num_picks"]),
                "num_p_picks": int(row["num_p_picks"]),
                "num_s_picks": int(row["num_s_picks"]),
                "event_index": number[index],
                **{name: float(row.get(f"{name[0]}_km", np.nan)) for name in _DIMS},
            }
        )
    columns = (given.index, given["event_index"], given["association_score"])
    cut = len(result.events) - len(events)
    if cut:
        logger.warning(
            "max_sigma11=%g s cuts %d of %d events: the residuals of their picks scatter more",
            config["max_sigma11"],
            cut,
            len(result.events),
        )
    assignments = [
        (i, number[int(e)], float(s)) for i, e, s in zip(*columns, strict=True) if int(e) in number
    ]
    return events, assignments
