"""What follows from stations and settings: search box, seed grid, cells, windows, thresholds."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gamma.config import AssociationConfig
from gamma.initial import CableCells, SeedGrid, make_cells
from gamma.receivers import Mode, Receivers
from gamma.travel_time import TravelTimeModel, make_model
from gamma.velocity import VelocityEstimate

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

logger = logging.getLogger("gamma")

_TARGET_NODES = 1500
_MARGIN_KM = 50.0
_MIN_EFFECTIVE_PICKS = 5.0
_MAX_SIGMA_RATIO = 6.0
_SEED_DEPTHS = (0.15, 0.5)
_EDGE_KM = 0.05
_NEAR_WALL = 0.1  # of an uncertainty
_MOST_VELOCITY_ERROR = 0.2
_FAR_KM = 300.0
_RING_STEP = 0.08
_RING_NODES = 48
_RING_DEPTH_KM = 10.0
_WRONG_NAMES = 0.1
UNKNOWN_GROUND = 2.0
"""Residuals of events on ground that no event has told of, to pick errors."""


@dataclass(frozen=True)
class Domain:
    """Everything derived from stations and settings."""

    config: AssociationConfig
    receivers: Receivers  # flattened to a line or a point when they cannot resolve more
    mode: Mode
    model: TravelTimeModel
    cells: CableCells
    grid: SeedGrid
    lower_km: F64  # (3,), search box; equal limits fix a coordinate
    upper_km: F64
    min_effective_picks: float  # fewest independent picks of an event
    min_p_picks: int
    min_s_picks: int
    ground: VelocityEstimate | None  # where the settings state no velocity
    residual_s: float  # expected rms of an event's residuals on cables
    inner: tuple[F64, F64] | None  # the search box about which this is the ring
    beyond: Domain | None  # the ring about a search box that the settings do not state
    last: bool = False  # whether nothing is sought after this look

    @property
    def resolution_km(self) -> float:
        """Extents below this are lost in the pick errors."""
        return 3.0 * self.model.slowest_km_s[1] * self.config.pick_uncertainty_s

    @property
    def max_sigma_s(self) -> float:
        """Largest scale of an event's residuals: pick errors, and half the longest path's velocity error."""
        config = self.config
        velocity = 0.5 * config.velocity_error * self.grid.reach_s
        return float(np.hypot(_MAX_SIGMA_RATIO * config.pick_uncertainty_s, velocity))

    def on_wall(self, place_km: F64, spread_km: F64 | None = None) -> npt.NDArray[np.bool_]:
        """Tell places (n, 3) on the sides of the search box.

        With uncertainties `spread_km` (n, 3), also those so near that the wall may have stopped them: steps
        towards a wall halve the way, and end when the way is small beside the uncertainty.
        """
        level = place_km.copy()
        level[:, 2] = 0.5 * (self.lower_km[2] + self.upper_km[2])
        if spread_km is not None:
            outwards = np.where(level > 0.5 * (self.lower_km + self.upper_km), 1.0, -1.0)
            level[:, :2] += (outwards * _NEAR_WALL * spread_km)[:, :2]
        return self.on_edge(level)

    def outside(self, place_km: F64) -> npt.NDArray[np.bool_]:
        """Tell places (n, 3) of a ring that lie outside the search box in it."""
        if self.inner is None:
            return np.zeros(len(place_km), dtype=bool)
        lower, upper = self.inner
        across = place_km[:, :2]
        return np.asarray(((across < lower[:2]) | (across > upper[:2])).any(axis=1))

    @property
    def num_alone(self) -> int:
        """Number of receivers that belong to no cable."""
        return int((self.receivers.cable < 0).sum())

    @property
    def wrong_name_share(self) -> F64:
        """Share of the picks (receivers,) with the wrong name, before anything is known.

        The name of a seismometer's pick stands: it has no neighbours to tell otherwise.
        """
        if self.mode == "point":  # nothing but the names tells P from S
            return np.zeros(len(self.receivers))
        return np.where(self.receivers.cable >= 0, _WRONG_NAMES, 0.0)

    @property
    def reach_s(self) -> float:
        """How long after its origin an event can be picked, windows included."""
        return self.grid.reach_s + 2.0 * self.grid.window_s

    def on_edge(self, place_km: F64, *, top: bool = True) -> npt.NDArray[np.bool_]:
        """Tell places (n, 3) on the edge of the search box."""
        free = self.upper_km > self.lower_km
        low = (place_km <= self.lower_km + _EDGE_KM) & free
        high = (place_km >= self.upper_km - _EDGE_KM) & free
        low[:, 2] &= top
        if self.mode != "full":
            low[:, 0] = False  # distance zero is a place, not an edge
        return np.asarray((low | high).any(axis=1))


def make_domain(
    receivers: Receivers, config: AssociationConfig, ground: VelocityEstimate | None = None
) -> Domain:
    """Derive search box, grid and cells from the receivers' extent and the velocities.

    Where the settings state no box, `beyond` is a domain of the ring about it.
    """
    if ground is not None:
        error = min(ground.relative_uncertainty, _MOST_VELOCITY_ERROR)
        config = config.model_copy(update={"layers": ground.layers, "velocity_uncertainty": error})
    slowest = config.slowest_s_velocity_km_s
    mode = receivers.mode(3.0 * slowest * config.pick_uncertainty_s)
    if mode == "full" and not config.receivers_below_sea_level:
        receivers.refuse_all_underground()
    receivers = _flatten(receivers, mode)
    domain = _domain_in(receivers, config, mode, _search_box(receivers, config, mode), ground)
    logger.info("settings used: %s", describe_domain(domain))
    if mode != "full" or config.x_range_km is not None or config.max_distance_km is not None:
        return domain
    far = _box_about(receivers, config, _FAR_KM)
    return replace(domain, beyond=_domain_in(receivers, config, mode, far, ground, inner=domain))


def _domain_in(
    receivers: Receivers,
    config: AssociationConfig,
    mode: Mode,
    box: tuple[F64, F64],
    ground: VelocityEstimate | None,
    inner: Domain | None = None,
) -> Domain:
    lower, upper = box
    model = make_model(config, receivers.xyz_km, lower, upper)
    cells = make_cells(receivers, 1.5 * config.slowest_s_velocity_km_s * config.pick_uncertainty_s)
    both = 1 if mode == "point" else 0
    if inner is None:
        grid = _seed_grid(receivers, cells, model, lower, upper, config)
    else:
        grid = _ring_grid(receivers, cells, model, inner, config)
    return Domain(
        config=config,
        receivers=receivers,
        mode=mode,
        model=model,
        cells=cells,
        grid=grid,
        lower_km=lower,
        upper_km=upper,
        min_effective_picks=_MIN_EFFECTIVE_PICKS if config.min_picks is None else 0.0,
        min_p_picks=both if config.min_p_picks is None else config.min_p_picks,
        min_s_picks=both if config.min_s_picks is None else config.min_s_picks,
        ground=ground,
        residual_s=(1.0 if inner is None else UNKNOWN_GROUND) * config.pick_uncertainty_s,
        inner=None if inner is None else (inner.lower_km, inner.upper_km),
        beyond=None,
    )


def _flatten(receivers: Receivers, mode: Mode) -> Receivers:
    """Drop the coordinates that cannot be resolved."""
    if mode == "full":
        return receivers
    flat = receivers.xyz_km.copy()
    flat[:, :2] = 0.0
    flat[:, 2] = flat[:, 2] if mode == "vertical" else 0.0
    return replace(receivers, xyz_km=flat)


def describe_domain(domain: Domain) -> dict[str, Any]:
    """List the settings in use, those derived from the geometry among them."""
    cables = domain.cells.size > 1
    return {
        "geometry": domain.mode if domain.receivers.geometry_known else "unknown (a point)",
        "receivers": len(domain.receivers),
        "cables": domain.receivers.num_cables,
        "aperture_km": round(domain.receivers.horizontal_aperture_km, 3),
        "resolution_km": round(domain.resolution_km, 3),
        "search_box_lower_km": [round(float(value), 3) for value in domain.lower_km],
        "search_box_upper_km": [round(float(value), 3) for value in domain.upper_km],
        "seed_nodes": len(domain.grid.nodes_km),
        "seed_spacing_km": round(domain.grid.spacing_km, 3),
        "seed_window_s": round(domain.grid.window_s, 3),
        "seed_separation_s": round(domain.grid.separation_s, 3),
        "longest_travel_time_s": round(domain.grid.reach_s, 3),
        "cable_cells": int(cables.sum()),
        "channels_per_cell": int(np.median(domain.cells.size[cables])) if cables.any() else 0,
        "max_residual_scale_s": round(domain.max_sigma_s, 3),
        "min_effective_picks": domain.min_effective_picks,
        "min_picks": domain.config.min_picks or 0,
        "min_p_picks": domain.min_p_picks,
        "min_s_picks": domain.min_s_picks,
        "min_stations": domain.config.min_stations or 0,
        "min_log_odds": domain.config.min_log_odds,
        "min_association_score": domain.config.min_association_score,
    }


def _search_box(receivers: Receivers, config: AssociationConfig, mode: Mode) -> tuple[F64, F64]:
    lower, upper = np.zeros(3), np.zeros(3)
    lower[2], upper[2] = config.depth_range_km
    if mode != "full":
        upper[0] = config.max_distance_km or _FAR_KM
        if mode == "point":
            lower[2] = upper[2] = 0.0
        return lower, upper
    margin = config.max_distance_km or max(_MARGIN_KM, receivers.horizontal_aperture_km)
    lower, upper = _box_about(receivers, config, margin)
    if config.x_range_km is not None and config.y_range_km is not None:
        (lower[0], upper[0]), (lower[1], upper[1]) = config.x_range_km, config.y_range_km
    return lower, upper


def _box_about(receivers: Receivers, config: AssociationConfig, margin_km: float) -> tuple[F64, F64]:
    across = receivers.xyz_km[:, :2]
    shallow, deep = config.depth_range_km
    lower = np.array([*(across.min(axis=0) - margin_km), shallow])
    return lower, np.array([*(across.max(axis=0) + margin_km), deep])


def _ring_grid(
    receivers: Receivers,
    cells: CableCells,
    model: TravelTimeModel,
    inner: Domain,
    config: AssociationConfig,
) -> SeedGrid:
    """Nodes on circles about the receivers, from inside the inner box outwards."""
    middle = 0.5 * (inner.lower_km + inner.upper_km)
    first = 0.8 * float(np.min(inner.upper_km[:2] - middle[:2]))
    number = int(np.ceil(np.log((_FAR_KM + first) / first) / _RING_STEP))
    radius, azimuth = np.meshgrid(
        first * np.exp(_RING_STEP * np.arange(number)), 2.0 * np.pi * np.arange(_RING_NODES) / _RING_NODES
    )
    depth = np.full(radius.shape, min(max(_RING_DEPTH_KM, inner.lower_km[2]), inner.upper_km[2]))
    nodes = np.stack(
        [middle[0] + radius * np.sin(azimuth), middle[1] + radius * np.cos(azimuth), depth], axis=-1
    ).reshape(-1, 3)
    return _grid_of(receivers, cells, model, nodes, _RING_STEP * first, config)


def _seed_grid(
    receivers: Receivers,
    cells: CableCells,
    model: TravelTimeModel,
    lower: F64,
    upper: F64,
    config: AssociationConfig,
) -> SeedGrid:
    sides = upper - lower
    depths = lower[2] + float(sides[2]) * np.array(_SEED_DEPTHS if sides[2] > 0 else (0.0,))
    area = float(sides[0] * sides[1])
    spacing = max(float(sides[0]) / 120.0, 1.0)
    if area > 0:
        spacing = float(np.sqrt(area * len(depths) / _TARGET_NODES))
    axes = [
        low + np.arange(spacing / 2.0, max(side, spacing), spacing)
        for side, low in zip(sides, lower, strict=True)
    ]
    axes = [
        axis if side > 0 else lower[i : i + 1] for i, (axis, side) in enumerate(zip(axes, sides, strict=True))
    ]
    nodes = np.stack(np.meshgrid(axes[0], axes[1], depths, indexing="ij"), axis=-1).reshape(-1, 3)
    return _grid_of(receivers, cells, model, nodes, spacing, config)


def _grid_of(
    receivers: Receivers,
    cells: CableCells,
    model: TravelTimeModel,
    nodes: F64,
    spacing: float,
    config: AssociationConfig,
) -> SeedGrid:
    place = np.repeat(receivers.xyz_km[cells.representative], 2, axis=0)
    phase = np.arange(len(place)) & 1
    table = model.times(nodes[:, None, :], place[None], np.broadcast_to(phase, (len(nodes), len(phase))))
    window = spacing / model.slowest_km_s[1] + 2.0 * config.pick_uncertainty_s
    return SeedGrid(nodes, table, float(window), float(max(3.0 * window, 5.0)), spacing)
