"""Train a student on nothing but its teacher's picks, then hold both against the truth.

    python benchmarks/self_training.py --seed 1 --json results/self_training.json

Simulates two hours of a cable that no network has seen. The teacher (the bundled one-channel PhaseNet) picks
them, association keeps the picks of events, and the student (PhaseNet-DAS, from random weights) is trained on
labels of the first ninety minutes. The student labels these minutes anew for a second round. Teacher, student
and, for comparison, the bundled PhaseNet-DAS then pick the last half hour, on which nothing was trained. The
truth is read after that, for the scores alone.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import pandas as pd  # noqa: E402
from catalog_trust import match_either_side  # noqa: E402

from gamma import AssociationResult  # noqa: E402
from phasenet_das import io  # noqa: E402
from phasenet_das.catalog import associate  # noqa: E402
from phasenet_das.config import DataSettings, PickSettings, TeacherSettings, TrainSettings  # noqa: E402
from phasenet_das.evaluate import evaluate_picks  # noqa: E402
from phasenet_das.evaluate.picks import TOLERANCE_S  # noqa: E402
from phasenet_das.matching import match_picks  # noqa: E402
from phasenet_das.models import load_weights  # noqa: E402
from phasenet_das.picking import load_picker  # noqa: E402
from phasenet_das.simulate import SimulationConfig, scenario, simulate  # noqa: E402
from phasenet_das.tables import read_channels, read_events, read_picks, write_table  # noqa: E402
from phasenet_das.tables.columns import associated_phase  # noqa: E402
from phasenet_das.training import cut_windows, train  # noqa: E402
from phasenet_das.training.windows import open_window  # noqa: E402

STATION = "SIM"
SCORE, FAINT_SCORE = 0.3, 0.1
SNR_EDGES_DB = (-60.0, -10.0, 0.0, 10.0, 20.0, 80.0)
WITHOUT = ("completion", "quiet windows", "added noise", "phase ratio", "long windows")


def cable(duration_s: float, num_channels: int = 200) -> SimulationConfig:
    """Give the settings of the recording: channels every 20 m, 75 local earthquakes an hour."""
    return scenario(
        "demo",
        duration_s=duration_s,
        file_length_s=60.0,
        cable={
            "num_channels": num_channels,
            "dx_m": 20.0,
            "gauge_length_m": 16.0,
            "azimuth_deg": 35.0,
            "num_bends": 4,
        },
        sources={
            "events_per_hour": 75.0,
            "magnitude_min": 1.3,
            "distance_max_km": 25.0,
            "distant_per_hour": 4.0,
            "blasts_per_hour": 2.0,
        },
    )


def pick(weights: str | Path, folder: Path, name: str, settings: PickSettings | None = None) -> pd.DataFrame:
    """Pick the recording, unless its picks are there already."""
    path = folder / f"{name}.picks.parquet"
    if not path.exists():
        picker = load_picker(str(weights))
        write_table(picker.pick(folder / "data", settings, station_id=STATION, min_score=FAINT_SCORE), path)
    return read_picks(path)


def associate_picks(picks: pd.DataFrame, folder: Path) -> AssociationResult:
    """Associate the picks of ordinary scores, with nothing stated but the channel table."""
    strong = picks[picks["phase_score"] >= SCORE].reset_index(drop=True)
    return associate(strong, read_channels(folder / "channels.csv"))


def settings_of(args: argparse.Namespace, windows: Path, output: Path, start: str | None) -> TrainSettings:
    """Give the settings of a training: the defaults, but for its length and for the parts left out."""
    # Weights that see several rates and averaged rows go on seeing them.
    sees_scales = start is not None and load_weights(start).sees_scales
    augment: dict[str, Any] = {"stretch_time": 2.0, "average_channels": 16} if sees_scales else {}
    data: dict[str, Any] = {"windows": [str(windows)]}
    if "added noise" in args.without:
        augment["noise"] = 0.0
    if "phase ratio" in args.without:
        augment["phase_ratio"] = 0.0
    if "quiet windows" in args.without:
        data["quiet"] = 0.0
        augment["own_noise"] = 0.0
    values: dict[str, Any] = {"data": data, "augment": augment, "output": str(output), "seed": args.seed}
    if args.quick:
        values |= {"steps": 6, "batch_size": 1, "validation_samples": 2}
        data |= {"num_channels": 32, "num_samples": 1024}
    elif args.steps:
        values["steps"] = args.steps
    return TrainSettings(**values, weights=start, num_workers=2)


def train_round(
    args: argparse.Namespace,
    folder: Path,
    labelled: AssociationResult,
    faint: pd.DataFrame,
    end: pd.Timestamp,
    *,
    number: int = 1,
    start: str | None = None,
    agreeing: pd.DataFrame | None = None,
) -> Path:
    """Cut windows of the labelled part of the recording, train on them, and give the model folder."""
    teacher = args.teacher.replace(":", "_")
    tag = "-".join([f"round{number}", teacher, *(name.replace(" ", "_") for name in args.without)])
    windows = folder / f"windows-{tag}"
    shutil.rmtree(windows, ignore_errors=True)
    windows.mkdir(parents=True)
    reach = {"before_s": 10.0, "after_s": 20.0} if "long windows" in args.without else {}
    written = cut_windows(
        io.open_archive([str(folder / "data")], DataSettings(station_id=STATION)),
        labelled.picks,
        labelled.events,
        windows,
        end=end - pd.Timedelta(minutes=1),  # most windows end before `end` then
        complete_channels=0 if "completion" in args.without else 25,
        faint=faint,
        agreeing=agreeing,
        **reach,
    )
    for path in written:
        if open_window(path).end_time > end.tz_localize(None).to_datetime64():
            path.unlink()  # the later part is for the scores alone
            path.with_suffix(".picks.parquet").unlink()
    start_name = "random" if start is None else Path(start).name
    labels = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(windows.glob("*.parquet"))))
    output = folder / f"training-{tag}-{start_name}-{labels.hexdigest()[:8]}"
    if args.only_labels:
        table = label_table(labelled.picks, windows, folder, end)
        raise SystemExit(table.to_markdown(index=False, floatfmt=".3f"))
    settings = settings_of(args, windows, output, start)
    return train(settings, progress=True).folder


def label_table(kept: pd.DataFrame, windows: Path, folder: Path, end: pd.Timestamp) -> pd.DataFrame:
    """Hold the picks of events, and the labels made of them, against the truth, by phase and certainty."""
    truth = read_picks(folder / "truth_picks.parquet")
    tables = [read_picks(path) for path in sorted(windows.glob("*.picks.parquet"))]
    labels = pd.concat(tables).drop_duplicates("pick_id")
    kept = kept.assign(phase_type=associated_phase(kept))
    chosen = {"picks of events": kept[kept["phase_time"] < end], "labels": labels}
    for low, high in itertools.pairwise([0.0, 0.25, 0.5, 0.75, 1.0]):
        inside = labels["label_confidence"].between(low, high, inclusive="right")
        chosen[f"labels of confidence {low:g} to {high:g}"] = labels[inside]
    return pd.DataFrame(
        row
        for name, table in chosen.items()
        for row in label_rows(name, table[table["event_index"] >= 0], truth)
    )


def label_rows(name: str, table: pd.DataFrame, truth: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Give precision, and the share of the true arrivals of labelled events, for each phase."""
    for phase, tolerance_s in TOLERANCE_S.items():
        mine = table[table["phase_type"] == phase].reset_index(drop=True)
        true = truth[truth["phase_type"] == phase].reset_index(drop=True)
        pairs = match_picks(mine, true, {phase: tolerance_s})
        events = true["event_index"].iloc[pairs["truth_row"]]
        wanted = int(true["event_index"].isin(events).sum())
        yield {
            "labels": name,
            "phase": phase,
            "number": len(mine),
            "right": len(pairs) / max(len(mine), 1),
            "share of the true": len(pairs) / max(wanted, 1),
        }


def score(result: AssociationResult, folder: Path, after: pd.Timestamp) -> dict[str, Any]:
    """Hold the picks and events of the later part against the truth."""
    truth = read_picks(folder / "truth_picks.parquet")
    origins = read_events(folder / "truth_events.csv")
    origins = origins[origins["event_index"].isin(truth["event_index"]) & (origins["time"] >= after)]
    picks = result.picks[result.picks["phase_time"] >= after].reset_index(drop=True)
    events = result.events[result.events["time"] >= after].reset_index(drop=True)
    truth = truth[truth["phase_time"] >= after].reset_index(drop=True)
    table = evaluate_picks(picks, truth, bins={"snr_db": SNR_EDGES_DB}, num_bootstrap=0).table
    found = match_either_side(events, origins.reset_index(drop=True))
    return {
        **{phase: phase_scores(table[table["phase"] == phase]) for phase in ("P", "S")},
        "num_picks": len(picks),
        "share_associated": float((picks["event_index"] >= 0).mean()),
        "events": len(events),
        "events_found": len(found),
        "events_true": len(origins),
    }


def phase_scores(table: pd.DataFrame) -> dict[str, Any]:
    """Give the scores of a phase, the spread of its times, and recall by signal-to-noise ratio."""
    whole, bins = table[table["bin_by"] == ""].iloc[0], table[table["bin_by"] == "snr_db"]
    names = (f"{low:g} to {high:g} dB" for low, high in zip(bins["bin_low"], bins["bin_high"], strict=True))
    return {
        **{name: float(whole[name]) for name in ("precision", "recall", "f1", "bias_s", "std_s")},
        "recall_by_snr": dict(zip(names, bins["recall"].astype(float), strict=True)),
    }


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Run the experiment, and give the scores of each picker by name."""
    minutes, labelled = (3.0, 2.0) if args.quick else (120.0, 90.0)
    config = cable(60.0 * minutes, 48 if args.quick else 200)
    folder = args.cache / f"cable-{args.seed}-{minutes:.0f}"
    if not (folder / "channels.csv").exists():
        simulate(config, folder, seed=args.seed, workers=2)
    end = pd.Timestamp(config.start_time, tz="UTC") + pd.Timedelta(minutes=labelled)
    name = f"teacher-{args.teacher.replace(':', '_')}"
    picks = {"teacher": pick(args.teacher, folder, name, TeacherSettings())}
    results = {"teacher": associate_picks(picks["teacher"], folder)}
    # Six steps from random weights make picks everywhere, which take long to associate.
    labeller, start, agreeing = "teacher", "phasenet-das" if args.quick else args.start, None
    for number in range(1, args.rounds + 1):
        model = train_round(
            args,
            folder,
            results[labeller],
            picks[labeller],
            end,
            number=number,
            start=start,
            agreeing=agreeing,
        )
        name = "student" if number == args.rounds else f"student of round {number}"
        picks[name] = pick(model, folder, model.parent.name)
        results[name] = associate_picks(picks[name], folder)
        agreeing, labeller, start = results[labeller].picks, name, str(model)
    picks["bundled"] = pick("phasenet-das", folder, "bundled")
    results["bundled"] = associate_picks(picks["bundled"], folder)
    return {name: score(result, folder, end) for name, result in results.items()}


def rows(scores: dict[str, Any]) -> pd.DataFrame:
    """Lay out the scores, a row for each picker."""
    return pd.DataFrame(
        {
            "picker": name,
            **{
                f"{phase} precision, recall, F1": ", ".join(
                    f"{one[phase][measure]:.3f}" for measure in ("precision", "recall", "f1")
                )
                for phase in ("P", "S")
            },
            "picks that associate": f"{one['share_associated']:.2f} of {one['num_picks']}",
            "events": f"{one['events_found']} right of {one['events']}, {one['events_true']} true",
        }
        for name, one in scores.items()
    )


def main() -> None:
    """Run the experiment and print its scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, required=True, help="seed of the cable and of the training")
    parser.add_argument("--json", type=Path, help="file for the scores")
    parser.add_argument("--cache", type=Path, default=Path("results/self_training"))
    parser.add_argument("--teacher", default="phasenet", help="weights of the teacher")
    parser.add_argument("--start", help="weights that the student starts from; random ones without")
    parser.add_argument("--rounds", type=int, default=2, help="the last student gives the scores")
    parser.add_argument("--steps", type=int, help="steps of a training; as many as the data ask for without")
    parser.add_argument("--without", nargs="+", default=[], choices=WITHOUT, help="parts to leave out")
    parser.add_argument("--only-labels", action="store_true", help="print how right the labels are, and end")
    parser.add_argument("--quick", action="store_true", help="try the script out on three minutes")
    args = parser.parse_args()
    began = time.monotonic()
    scores = run(args)
    print(rows(scores).to_markdown(index=False))
    for phase in ("P", "S"):
        recall = pd.DataFrame({name: one[phase]["recall_by_snr"] for name, one in scores.items()})
        print(f"\nRecall of {phase} by signal-to-noise ratio\n{recall.to_markdown(floatfmt='.3f')}")
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"seed": args.seed, **scores}, indent=2))


if __name__ == "__main__":
    main()
