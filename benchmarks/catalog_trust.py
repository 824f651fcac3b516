"""Judge the catalogs that a user gets who states little: `python benchmarks/catalog_trust.py --cache DIR`.

Five simulated cables are picked with the bundled network. Their picks are associated three times: with
nothing stated but the channel table, with three coarse layers, and with the true layers. A listed event is
right when a true one lies within 3 s and 15 km of it (or of its mirror image). A true event is clearly seen
when P and S reach 0 dB on half of the channels or more. Recordings and picks are kept in the cache folder.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from gamma import AssociationConfig  # noqa: E402
from phasenet_das.catalog import associate  # noqa: E402
from phasenet_das.evaluate import match_events  # noqa: E402
from phasenet_das.picking import load_picker  # noqa: E402
from phasenet_das.simulate import SimulationConfig, scenario, simulate  # noqa: E402
from phasenet_das.tables import read_channels, read_events, read_picks, write_table  # noqa: E402

CABLES: dict[str, tuple[str, dict[str, Any]]] = {
    "swarm": (
        "swarm",
        {
            "cable": {"num_channels": 240, "dx_m": 12.0, "gauge_length_m": 10.0, "azimuth_deg": 70.0},
            "sources": {"distant_per_hour": 3.0},
        },
    ),
    "demo-like": (
        "demo",
        {
            "cable": {"num_channels": 300, "dx_m": 20.0, "gauge_length_m": 16.0, "azimuth_deg": 140.0},
            "sources": {"events_per_hour": 90.0, "distance_max_km": 22.0},
        },
    ),
    "slow ground": (
        "demo",
        {
            "cable": {"num_channels": 200, "dx_m": 25.0, "gauge_length_m": 20.0, "elevation_m": 50.0},
            "earth": {
                "layer_top_km": (-10.0, 0.5, 1.5, 4.0, 8.0),
                "vp_km_s": (2.2, 2.9, 3.8, 4.9, 5.8),
                "vs_km_s": (0.95, 1.4, 2.0, 2.75, 3.35),
            },
            "sources": {"events_per_hour": 60.0, "distance_max_km": 25.0, "distant_per_hour": 0.0},
        },
    ),
    "crystalline": (
        "demo",
        {
            "cable": {"num_channels": 400, "dx_m": 25.0, "gauge_length_m": 20.0, "num_bends": 3},
            "earth": {
                "layer_top_km": (-10.0, 2.0, 12.0, 25.0),
                "vp_km_s": (5.6, 6.0, 6.4, 7.2),
                "vs_km_s": (3.25, 3.48, 3.7, 4.1),
                "kappa_s": 0.01,
            },
            "sources": {"events_per_hour": 120.0, "distance_max_km": 35.0, "blasts_per_hour": 0.0},
        },
    ),
    "coast": (
        "offshore",
        {
            "cable": {"num_channels": 500, "azimuth_deg": 95.0},
            "sources": {"events_per_hour": 90.0, "distance_max_km": 45.0},
        },
    ),
}
COARSE_TOPS_KM = (-10.0, 1.0, 6.0)
DURATION_S = 1800.0
SWARM_S = 600.0  # an event every 7 s


def settings_of(name: str, duration_s: float) -> SimulationConfig:
    """Give the settings of a cable's recording."""
    base, changes = CABLES[name]
    duration_s = min(duration_s, SWARM_S) if name == "swarm" else duration_s
    return scenario(base, duration_s=duration_s, file_length_s=60.0, **changes)


def prepare(name: str, seed: int, cache: Path, duration_s: float) -> Path:
    """Make a cable's recording and pick it, unless it is in the cache; the samples are not kept."""
    folder = cache / f"{name.replace(' ', '-')}-{seed}-{duration_s:.0f}"
    if not (folder / "picks.parquet").exists():
        made = simulate(settings_of(name, duration_s), folder, seed=seed, workers=2)
        picker = load_picker()
        write_table(picker.pick(folder / "data", station_id="SIM"), folder / "picks.parquet")
        for path in made.files:
            path.unlink()
    return folder


def layers_of(config: SimulationConfig) -> tuple[dict[str, float], ...]:
    """Give the layers of a simulation as the association takes them."""
    earth = config.earth
    return tuple(
        {"depth_km": top, "vp_km_s": vp, "vs_km_s": vs}
        for top, vp, vs in zip(earth.layer_top_km, earth.vp_km_s, earth.vs_km_s, strict=True)
    )


def coarse_layers(config: SimulationConfig) -> tuple[dict[str, float], ...]:
    """Give three layers as somebody states who knows the ground roughly: means, rounded to 0.2 km/s."""
    tops = np.array([*config.earth.layer_top_km[1:], np.inf])
    bounds = (-1.0, *COARSE_TOPS_KM[1:], 15.0)
    out = []
    for top, upper, lower in zip(COARSE_TOPS_KM, bounds[:-1], bounds[1:], strict=True):
        depth = np.linspace(upper, lower, 200)
        layer = np.searchsorted(tops, depth, side="right")
        vp, vs = (
            round(5.0 / float(np.mean(1.0 / np.array(speed)[layer]))) / 5.0
            for speed in (config.earth.vp_km_s, config.earth.vs_km_s)
        )
        out.append({"depth_km": top, "vp_km_s": vp, "vs_km_s": vs})
    return tuple(out)


def clearly_seen(truth: pd.DataFrame, picks: pd.DataFrame, num_channels: int) -> np.ndarray:
    """Mark the true events (event,) whose P and S reach 0 dB on half of the channels."""
    loud = picks[picks["snr_db"] >= 0.0]
    count = loud.groupby(["event_index", "phase_type"]).size().unstack(fill_value=0)
    count = count.reindex(index=truth["event_index"], columns=["P", "S"], fill_value=0)
    return (count.to_numpy() >= 0.5 * num_channels).all(axis=1)


def match_either_side(events: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Match listed with true events, each at its place or at its mirror image, whichever is nearer."""
    mirrored = events.copy()
    if "mirror_longitude" in events.columns:
        swap = events["mirror_longitude"].notna()
        for axis in ("longitude", "latitude", "depth_km"):
            mirrored.loc[swap, axis] = events.loc[swap, f"mirror_{axis}"]
    both = pd.concat([events, mirrored], ignore_index=True)
    pairs = match_events(both, truth, time_tolerance_s=3.0, distance_tolerance_km=15.0)
    pairs["event_row"] %= max(len(events), 1)
    pairs["misfit"] = pairs["epicentre_km"].fillna(15.0) + pairs["time_s"].abs()
    return pairs.sort_values("misfit").drop_duplicates("event_row").sort_values("event_row")


def measure(events: pd.DataFrame, truth: pd.DataFrame, clear: np.ndarray) -> dict[str, Any]:
    """Count right events and found ones, and hold errors against the stated uncertainties."""
    quality = events["quality"] if "quality" in events.columns else pd.Series("", index=events.index)
    pairs = match_either_side(events, truth)
    error = pairs["epicentre_km"].to_numpy()
    listed = events.iloc[pairs["event_row"]]
    axes = listed["horizontal_uncertainty_km"].to_numpy()
    inside = _in_ellipse(listed, truth.iloc[pairs["reference_row"]], error)
    known = np.isfinite(error) & np.isfinite(axes)
    return {
        "events": len(events),
        "with position": int(events["longitude"].notna().sum()),
        "right": len(pairs) / max(len(events), 1),
        "right of A-C": _share_right(pairs, quality.isin(["A", "B", "C"]).to_numpy()),
        "clear": int(clear.sum()),
        "found": float(np.isin(np.flatnonzero(clear), pairs["reference_row"]).mean())
        if clear.any()
        else np.nan,
        "epicentre km": float(np.nanmedian(error)) if known.any() else np.nan,
        "distance km": float(np.nanmedian(pairs["source_distance_km"])) if len(pairs) else np.nan,
        "in ellipse": float(inside[known].mean()) if known.any() else np.nan,
        "within 3 sigma": float((error[known] <= 3.0 * axes[known]).mean()) if known.any() else np.nan,
        "classes": " ".join(
            f"{name}{number}" for name, number in quality.value_counts().sort_index().items()
        ),
    }


def _share_right(pairs: pd.DataFrame, chosen: np.ndarray) -> float:
    return float(chosen[pairs["event_row"]].sum() / chosen.sum()) if chosen.any() else np.nan


def _in_ellipse(events: pd.DataFrame, truth: pd.DataFrame, error_km: np.ndarray) -> np.ndarray:
    """Whether the true epicentre lies in the stated 68 % ellipse (at the nearer of the two places)."""
    from pyproj import Geod

    geod = Geod(ellps="WGS84")
    azimuth = np.zeros(len(events))
    best = np.full(len(events), np.inf)
    target = truth[["longitude", "latitude"]].to_numpy(np.float64)
    for prefix in ("", "mirror_"):
        if f"{prefix}longitude" not in events.columns:
            continue
        place = events[[f"{prefix}longitude", f"{prefix}latitude"]].to_numpy(np.float64)
        known = np.isfinite(place).all(axis=1)
        forward, _, away = (np.full(len(events), np.inf) for _ in range(3))
        if known.any():
            forward[known], _, away[known] = geod.inv(*place[known].T, *target[known].T)
        azimuth = np.where(away < best, forward, azimuth)
        best = np.minimum(best, away)
    angle = np.deg2rad(azimuth - events["ellipse_azimuth_deg"].to_numpy())
    along, across = error_km * np.cos(angle), error_km * np.sin(angle)
    inside = (along / events["ellipse_major_km"]) ** 2 + (across / events["ellipse_minor_km"]) ** 2 <= 1.0
    return inside.to_numpy()


def run(name: str, seed: int, cache: Path, duration_s: float, variants: list[str]) -> list[dict[str, Any]]:
    """Associate one cable's picks in every way, and measure each."""
    folder = prepare(name, seed, cache, duration_s)
    config = settings_of(name, duration_s)
    picks, channels = read_picks(folder / "picks.parquet"), read_channels(folder / "channels.csv")
    truth, arrivals = read_events(folder / "truth_events.csv"), read_picks(folder / "truth_picks.parquet")
    truth = truth[truth["event_index"].isin(arrivals["event_index"])].reset_index(drop=True)
    clear = clearly_seen(truth, arrivals, len(channels))
    below = {"receivers_below_sea_level": True} if (channels["elevation_m"] < -50.0).all() else {}
    stated: Mapping[str, dict[str, Any]] = {
        "nothing": {},
        "coarse layers": {"layers": coarse_layers(config)},
        "true layers": {"layers": layers_of(config)},
    }
    rows = []
    for variant in variants:
        before = time.process_time()
        result = associate(picks, channels, AssociationConfig(**stated[variant], **below))
        cpu = time.process_time() - before
        row = {"cable": name, "seed": seed, "stated": variant, "picks": len(picks)}
        rows.append(row | measure(result.events, truth, clear) | {"CPU-s": cpu})
        write_table(result.events, folder / f"events_{variant.replace(' ', '_')}.parquet")
        write_table(result.picks, folder / f"picks_{variant.replace(' ', '_')}.parquet")
    return rows


def main() -> None:
    """Print a table of all cables and ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="Folder for recordings and picks.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="Seeds of the recordings.")
    parser.add_argument("--cables", nargs="+", choices=list(CABLES), default=list(CABLES))
    parser.add_argument(
        "--stated", nargs="+", default=["nothing", "coarse layers", "true layers"], help="What is stated."
    )
    parser.add_argument("--only-make", action="store_true", help="Make recordings and picks, and stop.")
    parser.add_argument("--quick", action="store_true", help="One small cable, ninety seconds.")
    arguments = parser.parse_args()
    cables, duration_s = arguments.cables, DURATION_S
    if arguments.quick:
        cables, duration_s = ["slow ground"], 90.0
    if arguments.only_make:
        for seed in arguments.seeds:
            for name in cables:
                print(prepare(name, seed, arguments.cache, duration_s), flush=True)
        return
    rows = [
        row
        for name in cables
        for seed in arguments.seeds
        for row in run(name, seed, arguments.cache, duration_s, arguments.stated)
    ]
    table = pd.DataFrame(rows)
    print(table.to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    main()
