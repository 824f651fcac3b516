"""Measure the association on made and shared cases: `python benchmarks/association.py [CASE...]`.

Each case runs in a process of its own, on one thread; the table gives events, precision and recall, errors
beside those of least squares on the true assignment, how often the 68 % ellipses hold the truth, CPU-seconds
and peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from association_cases import (  # noqa: E402
    EPOCH,
    VP_KM_S,
    VS_KM_S,
    Case,
    das_case,
    joint_case,
    network_case,
)
from scipy.optimize import least_squares, linear_sum_assignment  # noqa: E402

SHARED = Path(os.environ.get("PHASENET_DAS_SHARED", Path(__file__).parents[2] / "shared"))
FOLDER = SHARED / "bench" / "association"


def shared_case(name: str) -> Case:
    """Load one of the shared cases."""
    folder = FOLDER / name
    picks, stations = pd.read_csv(folder / "picks.csv.gz"), pd.read_csv(folder / "stations.csv")
    truth = pd.read_csv(folder / "truth.csv").rename(columns={"event_id": "event", "t": "t_s"})
    das = name.startswith("das")
    for table in (picks, stations):
        table["channel_index"] = table["station_id"].astype(int) if das else -1
        table["station_id"] = "CABLE" if das else table["station_id"].astype(str)
    picks["phase_time"] = EPOCH + pd.to_timedelta((picks.pop("t") * 1e9).round().astype("int64"), unit="ns")
    picks = picks.rename(columns={"event_id": "true_event", "phase_amp": "phase_amplitude"})
    settings = (das_case(0, num_events=2) if das else network_case(0, num_events=2)).settings
    return Case(name, picks, stations, truth, settings)


def ridgecrest() -> pd.DataFrame:
    """Give the stations of the shared network case."""
    return shared_case("scale_10k").stations


def noisy(seed: int, vscale: float = 1.0) -> Case:
    """Make the noisy network case: 50 events 10 s apart, 0.4 s noise, 40 % false picks."""
    return network_case(
        seed,
        num_events=50,
        spacing_s=10.0,
        noise_s=0.4,
        false_share=0.4,
        vscale=vscale,
        stations=ridgecrest(),
    )


CASES: dict[str, Callable[[int], Case]] = {
    "das_1000ch_20ev": lambda _: shared_case("das_1000ch_20ev"),
    "scale_10k": lambda _: shared_case("scale_10k"),
    "das": das_case,
    "network": lambda seed: network_case(seed, stations=ridgecrest()),
    "network_x10": lambda seed: network_case(seed, num_events=1800, stations=ridgecrest()),
    "network_x100": lambda seed: network_case(seed, num_events=18000, stations=ridgecrest()),
    "noisy": noisy,
    "das_300s": lambda seed: das_case(seed, span_s=300.0),
    "noisy_fast": lambda seed: noisy(seed, 1.1),
    "noisy_slow": lambda seed: noisy(seed, 0.9),
    "joint_both": lambda seed: joint_case(seed, use="both"),
    "joint_cable": lambda seed: joint_case(seed, use="cable"),
    "joint_network": lambda seed: joint_case(seed, use="network"),
}


def match(events: pd.DataFrame, truth: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Match found and true events one to one within 3 s and 15 km; also give epicentre errors (km)."""
    found_s = (events["time"] - EPOCH).dt.total_seconds().to_numpy()
    true_s = truth["t_s"].to_numpy()
    pairs = []
    order = np.argsort(true_s)
    first = np.searchsorted(true_s[order], found_s - 3.0)
    last = np.searchsorted(true_s[order], found_s + 3.0)
    xy, true_xy = events[["x_km", "y_km"]].to_numpy(), truth[["x_km", "y_km"]].to_numpy()
    for event, (lo, hi) in enumerate(zip(first, last, strict=True)):
        for candidate in order[lo:hi]:
            error = float(np.hypot(*(xy[event] - true_xy[candidate])))
            if error < 15.0:
                pairs.append((event, candidate, error + abs(found_s[event] - true_s[candidate])))
    if not pairs:
        return np.empty(0, int), np.empty(0, int), np.empty(0)
    a, b = (np.array(column, dtype=int) for column in list(zip(*pairs, strict=True))[:2])
    if len(events) * len(truth) < 10**7:
        cost = np.full((len(events), len(truth)), 1e6)
        cost[a, b] = [pair[2] for pair in pairs]
        a, b = linear_sum_assignment(cost)
        good = cost[a, b] < 1e5
        a, b = a[good], b[good]
    else:  # far more candidates than neighbours: nearest first
        rank = np.argsort([pair[2] for pair in pairs], kind="stable")
        a, b = a[rank], b[rank]
        keep = np.zeros(len(a), bool)
        used_a: set[int] = set()
        used_b: set[int] = set()
        for i, (event, candidate) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
            if event not in used_a and candidate not in used_b:
                keep[i] = True
                used_a.add(event)
                used_b.add(candidate)
        a, b = a[keep], b[keep]
    return a, b, np.hypot(*(xy[a] - true_xy[b]).T)


def reference_errors(case: Case, limit: int = 200) -> np.ndarray:
    """Epicentre errors (km) of least squares on the true assignment, started at the truth, in the box."""
    settings = case.settings
    lower = [-np.inf, *(settings[k][0] for k in ("x_range_km", "y_range_km", "depth_range_km"))]
    upper = [np.inf, *(settings[k][1] for k in ("x_range_km", "y_range_km", "depth_range_km"))]
    keys = ["station_id", "channel_index"]
    picks = case.picks.merge(case.stations[[*keys, "x_km", "y_km", "z_km"]], on=keys)
    t = (picks["phase_time"] - EPOCH).dt.total_seconds().to_numpy()
    slowness = np.where(picks["phase_type"] == "P", 1.0 / VP_KM_S, 1.0 / VS_KM_S)
    receiver = picks[["x_km", "y_km", "z_km"]].to_numpy()
    errors = []
    for row in case.truth.head(limit).itertuples():
        mine = (picks["true_event"] == row.event).to_numpy()

        def misfit(theta: np.ndarray, mine: np.ndarray = mine) -> np.ndarray:
            distance = np.linalg.norm(theta[1:] - receiver[mine], axis=1)
            return t[mine] - theta[0] - distance * slowness[mine]

        start = np.clip([row.t_s, row.x_km, row.y_km, row.z_km], lower, upper)
        best = least_squares(misfit, start, bounds=(lower, upper), x_scale=[1.0, 5.0, 5.0, 5.0])
        errors.append(np.hypot(best.x[1] - row.x_km, best.x[2] - row.y_km))
    return np.array(errors)


def coverage(events: pd.DataFrame, truth: pd.DataFrame, a: np.ndarray, b: np.ndarray) -> float:
    """Share of matched events whose 68 % horizontal ellipse holds the truth."""
    if "ellipse_major_km" not in events.columns or len(a) == 0:
        return float("nan")
    matched = events.iloc[a]
    offset = truth[["x_km", "y_km"]].to_numpy()[b] - matched[["x_km", "y_km"]].to_numpy()
    azimuth = np.deg2rad(matched["ellipse_azimuth_deg"].to_numpy())
    along = offset[:, 0] * np.sin(azimuth) + offset[:, 1] * np.cos(azimuth)
    across = offset[:, 0] * np.cos(azimuth) - offset[:, 1] * np.sin(azimuth)
    ratio = (along / matched["ellipse_major_km"]) ** 2 + (across / matched["ellipse_minor_km"]) ** 2
    return float((ratio <= 1.0).mean())


def measure(case: Case, with_reference: bool, workers: int) -> dict[str, float]:
    """Associate one case and score it against the truth."""
    import resource

    import gamma.fit  # noqa: F401 - imported here, so that the time of its import is not measured
    from gamma import AssociationConfig, associate

    config = AssociationConfig(**case.settings)
    before = _cpu_seconds()
    started = time.perf_counter()
    result = associate(case.picks, case.stations, config, workers=workers)
    cpu, wall = _cpu_seconds() - before, time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    a, b, errors = match(result.events, case.truth)
    translate = np.full(len(result.events) + 1, -2)
    translate[a] = case.truth["event"].to_numpy()[b]
    given = result.picks["event_index"].to_numpy()
    true = case.picks["true_event"].to_numpy()
    right = (given >= 0) & (translate[given] == true)
    out = {
        "picks": len(case.picks),
        "true": len(case.truth),
        "found": len(result.events),
        "precision": len(a) / max(len(result.events), 1),
        "recall": len(a) / len(case.truth),
        "error_km": float(np.median(errors)) if len(errors) else float("nan"),
        "pick_precision": right.sum() / max((given >= 0).sum(), 1),
        "pick_recall": right.sum() / max((true >= 0).sum(), 1),
        "coverage": coverage(result.events, case.truth, a, b),
        "stated_km": float(result.events["horizontal_uncertainty_km"].median()),
        "cpu_s": cpu,
        "wall_s": wall,
        "peak_mb": peak,
    }
    if with_reference:
        out["reference_km"] = float(np.median(reference_errors(case)))
    return {key: float(value) for key, value in out.items()}


def _cpu_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def run_apart(name: str, seed: int, reference: bool, workers: int) -> dict[str, float]:
    """Measure one case in a new process."""
    command = [sys.executable, __file__, "--one", name, "--seeds", str(seed), "--workers", str(workers)]
    command += [] if reference else ["--no-reference"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"{name} seed {seed}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def markdown(rows: list[tuple[str, int, dict[str, float]]]) -> str:
    """Lay results out as a Markdown table."""
    head = (
        "| case | seed | picks | true | found | ev. prec. | ev. rec. | error km | LSQ km | stated km "
        "| 68 % holds | pick prec. | pick rec. | CPU-s | peak MB |"
    )
    lines = [head, "|---|" + "---|" * (head.count("|") - 2)]
    for name, seed, r in rows:
        cells = [name, f"{seed}", *(f"{r[key]:.0f}" for key in ("picks", "true", "found"))]
        cells += [
            f"{r.get(key, float('nan')):.3f}" for key in ("precision", "recall", "error_km", "reference_km")
        ]
        cells += [f"{r['stated_km']:.3f}", f"{r['coverage']:.2f}", f"{r['pick_precision']:.4f}"]
        cells += [f"{r['pick_recall']:.4f}", f"{r['cpu_s']:.1f}", f"{r['peak_mb']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the cases named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=["das_1000ch_20ev", "scale_10k"], metavar="CASE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--no-reference", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    reference = not arguments.no_reference
    if arguments.one:
        case = CASES[arguments.one](arguments.seeds[0])
        print(json.dumps(measure(case, reference, arguments.workers)))
        return
    rows = []
    for name in arguments.cases:
        for seed in arguments.seeds:
            rows.append((name, seed, run_apart(name, seed, reference, arguments.workers)))
            print(markdown(rows[-1:]).splitlines()[-1], flush=True)
    print("\n" + markdown(rows))


if __name__ == "__main__":
    main()
