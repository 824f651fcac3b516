"""Associate real moveouts: `python benchmarks/association_moveouts.py -o DIR`.

The P and S arrival curves of seven events on 4,500 channels in Cook Inlet, verified by people (uwfiberlab).
The cable's coordinates are not published with them: the array is taken for a point (origin time and distance
only), with a pick uncertainty of 0.8 s that stands for the moveout. Nine of ten channels pick, 0.05 s of
noise is added, and false picks as stated.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import matplotlib as mpl  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from gamma import AssociationConfig, associate  # noqa: E402

mpl.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

SHARED = Path(os.environ.get("PHASENET_DAS_SHARED", Path(__file__).parents[2] / "shared"))
EPOCH = pd.Timestamp("2023-01-01T00:00:00Z")
CONFIG = AssociationConfig(vp_km_s=6.0, vp_vs_ratio=1.75, pick_uncertainty_s=0.8)


def curves() -> np.ndarray:
    """Arrival times (s) of the verified events, shape (event, phase, channel)."""
    stored = np.load(SHARED / "data" / "picks" / "cook_inlet" / "cidas_95events_moveout.npz")
    chosen = stored["verified_both"]
    return np.stack([stored["t_p"][chosen], stored["t_s"][chosen]], axis=1).astype(np.float64)


def make_picks(arrivals: np.ndarray, false_share: float, seed: int) -> pd.DataFrame:
    """Thin, blur and overlay with false picks; `arrivals` is (event, phase, channel)."""
    rng = np.random.default_rng(seed)
    event, phase, channel = np.nonzero(rng.uniform(size=arrivals.shape) < 0.9)
    t = arrivals[event, phase, channel] + rng.normal(0.0, 0.05, len(event))
    number = round(false_share * len(t))
    t = np.concatenate([t, rng.uniform(arrivals.min() - 15.0, arrivals.max() + 15.0, number)])
    phase = np.concatenate([phase, rng.integers(0, 2, number)])
    channel = np.concatenate([channel, rng.integers(0, arrivals.shape[2], number)])
    return pd.DataFrame(
        {
            "station_id": "COOK",
            "channel_index": channel,
            "phase_time": EPOCH + pd.to_timedelta(t, unit="s"),
            "phase_type": np.array(["P", "S"])[phase],
            "phase_score": 0.5,
            "t_s": t,
            "true_event": np.concatenate([event, np.full(number, -1)]),
        }
    )


def report(name: str, picks: pd.DataFrame) -> pd.DataFrame:
    """Associate one set of picks and print how its events fared."""
    stations = pd.DataFrame({"station_id": "COOK", "channel_index": np.arange(4500)})
    stations[["longitude", "latitude", "elevation_m"]] = np.nan
    before = time.process_time()
    result = associate(picks, stations, CONFIG)
    cpu = time.process_time() - before
    found, table = len(result.events), result.picks
    kept = table["event_index"] >= 0
    true = table["true_event"] >= 0
    main = table[kept & true].groupby("event_index")["true_event"].agg(lambda owner: owner.mode().iloc[0])
    right = kept & true & (table["event_index"].map(main) == table["true_event"])
    distances = result.events["source_distance_km"].round(0).tolist()
    print(
        f"| {name} | {table['true_event'].max() + 1} | {found} | {right.sum() / max(kept.sum(), 1):.3f} "
        f"| {right.sum() / max(true.sum(), 1):.3f} | {cpu:.1f} | {distances} |"
    )
    return table


def draw(table: pd.DataFrame, path: Path) -> None:
    """Plot picks by channel and time, coloured by event, rejected ones grey."""
    figure, axis = plt.subplots(figsize=(14, 6))
    kept = table["event_index"] >= 0
    axis.scatter(table["t_s"][~kept], table["channel_index"][~kept], s=0.3, c="0.7")
    for phase, marker in (("P", "o"), ("S", "x")):
        chosen = table[kept & (table["phase_type"] == phase)]
        axis.scatter(
            chosen["t_s"],
            chosen["channel_index"],
            s=1,
            c=chosen["event_index"] % 10,
            cmap="tab10",
            marker=marker,
        )
    axis.set(xlabel="time (s)", ylabel="channel", title="Cook Inlet moveouts, colour: event, grey: rejected")
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    """Each event alone, with false picks, and all in one record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    arrivals = curves()
    print("| case | true | found | pick prec. | pick rec. | CPU-s | distance km |")
    print("|---|---|---|---|---|---|---|")
    for share in (0.0, 0.4):
        for event in range(len(arrivals)):
            report(f"event {event}, {share:.0%} false", make_picks(arrivals[event : event + 1], share, event))
    shifted = arrivals + 45.0 * np.arange(len(arrivals))[:, None, None]
    table = report("all seven, 45 s apart, 40% false", make_picks(shifted, 0.4, 1))
    draw(table, arguments.output / "cook_inlet.png")


if __name__ == "__main__":
    main()
