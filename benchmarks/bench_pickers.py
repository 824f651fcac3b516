"""Judge pickers on bench-v1 or bench-v2 and on the real records: `python benchmarks/bench_pickers.py`.

Makes the test set (kept in a cache folder), picks it with the networks named, with STA/LTA and
with AIC, and prints Markdown tables. Where the real records are at hand, the same pickers are held against
their picks by eye, and the networks' picks against waveform cross-correlation.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import matplotlib as mpl  # noqa: E402

mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from bench_kinds import KINDS  # noqa: E402
from bench_recordings import (  # noqa: E402
    SNR_EDGES_DB,
    VERSIONS,
    bench_parts,
    make_part,
    truth_digest,
)
from control_points import compare_with_control_points, interpolate_control_points  # noqa: E402
from trigger_pickers import TriggerPicker  # noqa: E402

from phasenet_das import io  # noqa: E402
from phasenet_das.config import PickSettings  # noqa: E402
from phasenet_das.evaluate import (  # noqa: E402
    CorrelationWindow,
    PickEvaluation,
    compare_differential_times,
    evaluate_picks,
    summarize_differential_times,
)
from phasenet_das.evaluate.report import (  # noqa: E402  # noqa: E402
    differential_time_histogram,
    differential_times_markdown,
    markdown,
    recall_by_bin,
)
from phasenet_das.matching import match_picks  # noqa: E402
from phasenet_das.picking import load_picker  # noqa: E402
from phasenet_das.simulate import measure_snr_db  # noqa: E402
from phasenet_das.tables import read_picks  # noqa: E402
from phasenet_das.text import json_records  # noqa: E402

START = "2000-01-01T00:00:00"  # SAFOD and FORGE files do not tell theirs
REAL = {
    "brady_porotomo_20160321_M4.3.h5": "distant",
    "safod_20170630_M2.46.h5": "well",
    "forge_7832_eq03.h5": "micro",
    "forge_7832_eq10.h5": "micro",
}
PINNED: dict[str, Any] = {}
WINDOWS = {
    "distant": CorrelationWindow(0.5, 2.0, 0.5, (1.0, 8.0)),
    "well": CorrelationWindow(0.1, 0.3, 0.1, (5.0, 60.0)),
    "micro": CorrelationWindow(0.01, 0.04, 0.01, (20.0, 300.0), common_mode=True),
}
# Windows of the signal-to-noise ratio on the real records, s: those of FORGE hold 0.03 s before P.
SNR_WINDOW_S = dict.fromkeys(KINDS, 1.0) | {"micro": 0.03, "glacier": 0.1}
SEEN_DB = -5.0  # a waveform shows arrivals from here on
CLARITY = """\
Recall of the first network at the tolerance of the eye picks, and the signal-to-noise ratio that can be
measured on real records (5, 25, 50, 75, 95 %, in windows of 1 s, for `micro` 0.03 s). The simulated
distant events must be clearer than those of Brady to be found as often.
"""
CLASSICAL = {"STA/LTA": "sta_lta", "AIC": "aic"}


class Case(NamedTuple):
    """A recording to pick, with its truth."""

    kind: str
    patch: Any
    station: str
    truth: pd.DataFrame


def cases(split: str, cache: Path, version: str = "bench-v1", kinds: Sequence[str] = ()) -> Iterator[Case]:
    """Read each recording of a split; events are numbered on from one to the next."""
    offset = 0
    for part in bench_parts(split, version):
        if kinds and part.kind not in kinds:
            continue
        folder = make_part(part, cache)
        truth = read_picks(folder / "truth_picks.parquet")
        truth["event_index"] += offset
        offset = int(truth["event_index"].max()) + 1
        patch = io.read(next((folder / "data").glob("*.h5")))
        yield Case(part.kind, patch, part.config.cable.station_id, truth)


def pickers(names: list[str], kind: str, loaded: dict[str, Any]) -> dict[str, Any]:
    """Give every picker by name; networks are loaded before, classical ones are set for the kind."""
    assert set(names) == set(loaded)
    return loaded | {name: TriggerPicker(method, KINDS[kind].triggers) for name, method in CLASSICAL.items()}


def settings_for(picker: Any, kind: str) -> PickSettings:  # noqa: ANN401
    """Give the settings of a kind; networks of neighbouring channels choose their rates by their own rule.

    Where `PINNED` names a rate or a number of averaged neighbours, these networks take it. Networks of single
    channels take ``octaves`` alone.
    """
    settings = KINDS[kind].pick
    weights = getattr(picker, "weights", None)
    if weights is None:
        return settings
    if weights.sees_scales:
        return settings.model_copy(update={"rate": None, **PINNED})
    return KINDS[kind].pick_in_octaves() if PINNED.get("rate") == "octaves" else settings


def measured_snr(patch: Any, kind: str, row: pd.Series, seconds: pd.Series, phase: pd.Series) -> pd.DataFrame:  # noqa: ANN401
    """Measure how clear arrivals are, as it can be done on real records too."""
    data, dt_s = io.get_data(patch), io.get_dt_s(patch)
    if KINDS[kind].pick.common_mode == "median":
        data = data - np.median(data, axis=0)
    window = np.full(len(row), round(SNR_WINDOW_S[kind] / dt_s))
    snr_db = measure_snr_db(data, row.to_numpy(), seconds.to_numpy() / dt_s, window)
    return pd.DataFrame({"kind": kind, "phase": phase.to_numpy(), "snr_db": snr_db})


class Outcome(NamedTuple):
    """Evaluations by picker and kind, at the benchmark's tolerance and at that of the eye picks."""

    strict: dict[tuple[str, str], PickEvaluation]
    wide: dict[tuple[str, str], pd.DataFrame]
    misnamed: dict[tuple[str, str], pd.Series]  # share of the arrivals of each phase
    snr: pd.DataFrame
    cpu_s: dict[str, float]


def run_bench(names: list[str], read: Iterable[Case], loaded: dict[str, Any]) -> Outcome:
    """Evaluate every picker on every kind."""
    picks: dict[tuple[str, str], list[pd.DataFrame]] = {}
    truth: dict[str, list[pd.DataFrame]] = {}
    cpu_s: dict[str, float] = {}
    snr = []
    for case in read:
        truth.setdefault(case.kind, []).append(case.truth)
        begin = pd.Timestamp(io.get_times(case.patch)[0], tz="UTC")
        seconds = (case.truth["phase_time"] - begin).dt.total_seconds()
        row, phase = case.truth["channel_index"], case.truth["phase_type"]
        snr.append(measured_snr(case.patch, case.kind, row, seconds, phase))
        for name, picker in pickers(names, case.kind, loaded).items():
            begun = time.process_time()
            table = picker.pick(case.patch, settings_for(picker, case.kind), station_id=case.station)
            cpu_s[name] = cpu_s.get(name, 0.0) + time.process_time() - begun
            picks.setdefault((name, case.kind), []).append(table)
    strict, wide, wrong = {}, {}, {}
    for (name, kind), tables in picks.items():
        found, true = (pd.concat(parts, ignore_index=True) for parts in (tables, truth[kind]))
        strict[name, kind] = evaluate_picks(
            found, true, tolerance_s=KINDS[kind].tolerance_s, bins={"snr_db": SNR_EDGES_DB}
        )
        wrong[name, kind] = misnamed(found, true, KINDS[kind].tolerance_s)
        tolerance_s = KINDS[kind].eye_tolerance_s
        wide[name, kind] = evaluate_picks(found, true, tolerance_s=tolerance_s, num_bootstrap=0).table
    return Outcome(strict, wide, wrong, pd.concat(snr, ignore_index=True), cpu_s)


def misnamed(picks: pd.DataFrame, truth: pd.DataFrame, tolerance_s: dict[str, float]) -> pd.Series:
    """Give the share of the arrivals of each phase that are picked under the other name only."""
    swapped = picks.assign(phase_type=picks["phase_type"].map({"P": "S", "S": "P"}))
    right, other = (
        truth.reset_index(drop=True).index.isin(match_picks(table, truth, tolerance_s)["truth_row"])
        for table in (picks, swapped)
    )
    return pd.Series(other & ~right).groupby(truth["phase_type"].to_numpy()).mean()


def pool(evaluations: dict[tuple[str, str], PickEvaluation], name: str) -> pd.DataFrame:
    """Add the counts of all kinds up, phase by phase and bin by bin."""
    tables = [e.table for (picker, _), e in evaluations.items() if picker == name]
    keys = ["phase", "bin_by", "bin_low", "bin_high"]
    total = (
        pd.concat(tables)
        .groupby(keys, dropna=False, as_index=False)[["num_truth", "num_picks", "num_matched"]]
        .sum()
    )
    total["recall"] = total["num_matched"] / total["num_truth"].where(total["num_truth"] > 0)
    total["precision"] = (total["num_matched"] / total["num_picks"]).where(total["bin_by"] == "")
    total["f1"] = 2 * total["num_matched"] / (total["num_truth"] + total["num_picks"])
    return total


def seen_scores(table: pd.DataFrame, phase: str) -> tuple[int, float, float, float]:
    """Count the true arrivals that a waveform shows, and give precision, recall and F1 of these alone.

    Picks of arrivals that no waveform shows are neither right nor wrong.
    """
    mine = table[table["phase"] == phase]
    bins = mine[mine["bin_by"] == "snr_db"]
    seen = bins["bin_low"] >= SEEN_DB
    true, right = int(bins.loc[seen, "num_truth"].sum()), int(bins.loc[seen, "num_matched"].sum())
    picks = int(mine.loc[mine["bin_by"] == "", "num_picks"].iloc[0]) - int(
        bins.loc[~seen, "num_matched"].sum()
    )
    return true, right / max(picks, 1), right / max(true, 1), 2 * right / max(true + picks, 1)


def seen_table(evaluations: dict[tuple[str, str], PickEvaluation], names: list[str]) -> str:
    """Lay out the scores on arrivals that a waveform shows."""
    rows = []
    for name in names:
        tables = {kind: e.table for (picker, kind), e in evaluations.items() if picker == name}
        for kind, table in {**tables, "all": pool(evaluations, name)}.items():
            for phase in "PS":
                true, *scores = seen_scores(table, phase)
                rows.append([name, kind, phase, f"{true}", *(f"{score:.3f}" for score in scores)])
    return markdown(["picker", "kind", "phase", "true", "precision", "recall", "F1"], rows)


def scores_table(evaluations: dict[tuple[str, str], PickEvaluation], names: list[str]) -> str:
    """Lay out precision, recall, F1 and residuals of every picker on every kind, and of all kinds."""
    head = ["picker", "kind", "phase", "true", "precision", "recall (95 %)", "F1"]
    head += ["bias (s)", "std (s)", "MAE (s)"]
    rows = []
    for name in names:
        for kind in [kind for picker, kind in evaluations if picker == name]:
            table = evaluations[name, kind].table
            for r in table[table["bin_by"] == ""].to_dict("records"):
                recall = f"{r['recall']:.3f} ({r['recall_low']:.2f}-{r['recall_high']:.2f})"
                cells = [name, kind, r["phase"], f"{r['num_truth']}", f"{r['precision']:.3f}", recall]
                cells += [f"{r['f1']:.3f}", f"{r['bias_s']:+.4f}", f"{r['std_s']:.4f}", f"{r['mae_s']:.4f}"]
                rows.append(cells)
        pooled = pool(evaluations, name)
        rows += [
            [
                name,
                "all",
                r.phase,
                f"{r.num_truth}",
                f"{r.precision:.3f}",
                f"{r.recall:.3f}",
                f"{r.f1:.3f}",
                "",
                "",
                "",
            ]
            for r in pooled[pooled["bin_by"] == ""].itertuples()
        ]
    return markdown(head, rows)


def bins_table(evaluations: dict[tuple[str, str], PickEvaluation], names: list[str]) -> str:
    """Lay out recall by bins of signal-to-noise ratio, all kinds together."""
    pooled = {name: pool(evaluations, name).query("bin_by == 'snr_db'") for name in names}
    head = ["SNR (dB)", *(f"{phase} {name}" for phase in "PS" for name in ["true", *names])]
    rows = []
    for low, high in pairwise(SNR_EDGES_DB):
        label = (
            f"< {high:g}"
            if not np.isfinite(low)
            else f"≥ {low:g}"
            if not np.isfinite(high)
            else f"{low:g} to {high:g}"
        )
        cells = [label]
        for phase in "PS":
            one = [t[(t["phase"] == phase) & (t["bin_low"] == low)].iloc[0] for t in pooled.values()]
            cells += [
                f"{one[0]['num_truth']}",
                *(f"{r['recall']:.3f}" if r["num_truth"] else "" for r in one),
            ]
        rows.append(cells)
    return markdown(head, rows)


def run_real(
    names: list[str], folder: Path, out: Path, loaded: dict[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Hold pickers against the eye picks of the real records, and networks against their waveforms.

    Also say how clear the arrivals of the real records are.
    """
    control = pd.read_csv(folder / "eye_picks.csv")
    rows, checks, snr = [], [], []
    for file, kind in REAL.items():
        patch = io.read(folder / file, start_time=None if kind == "distant" else START, station_id="REAL")
        start, first = pd.Timestamp(io.get_times(patch)[0], tz="UTC"), int(io.get_channel_index(patch)[0])
        points = control[control["file"] == file]
        eye = interpolate_control_points(points)
        snr.append(measured_snr(patch, kind, eye["channel"], eye["time_s"], eye["phase"]))
        for name, picker in pickers(names, kind, loaded).items():
            picks = picker.pick(patch, settings_for(picker, kind))
            table = compare_with_control_points(picks, points, start, first_channel=first)
            rows.append(table.assign(record=file.removesuffix(".h5"), kind=kind, picker=name))
            if name in names:
                checks += waveform_check(patch, picks, file.removesuffix(".h5"), name, WINDOWS[kind], out)
    real, found, clarity = (pd.concat(parts, ignore_index=True) for parts in (rows, checks, snr))
    return real, found, clarity


def waveform_check(
    patch: Any,  # noqa: ANN401 - a dascore.Patch
    picks: pd.DataFrame,
    record: str,
    name: str,
    window: CorrelationWindow,
    out: Path,
) -> list[pd.DataFrame]:
    """Compare differential times of channels 1 and 10 apart, and draw the latter."""
    found = []
    for step in (1, 10):
        pairs = compare_differential_times([patch], picks, window, channel_step=step)
        table = summarize_differential_times(pairs)
        table.insert(0, "channels apart", step)
        table.insert(0, "picker", name)
        table.insert(0, "record", record)
        found.append(table)
    axes = differential_time_histogram(pairs)
    axes.figure.savefig(
        out / f"differential_times_{record}_{name.replace(':', '_').replace('/', '_')}.png", dpi=130
    )
    plt.close(axes.figure)
    return found


def real_table(real: pd.DataFrame) -> str:
    """Lay out how pickers meet the eye picks."""
    head = [
        "record",
        "phase",
        "picker",
        "channels",
        "right",
        "picked",
        "false picks",
        "median (s)",
        "spread (s)",
    ]
    rows = [
        [
            r.record,
            r.phase,
            r.picker,
            f"{r.num_channels}",
            f"{r.share_right:.3f}",
            f"{r.share_picked:.3f}",
            f"{r.num_false}",
            f"{r.median_residual_s:+.4f}" if r.share_right else "",
            f"{r.spread_s:.4f}" if r.share_right else "",
        ]
        for r in real.sort_values(["record", "phase"], kind="stable").itertuples()
    ]
    return markdown(head, rows)


def clarity_table(outcome: Outcome, real: pd.DataFrame, real_snr: pd.DataFrame, name: str) -> str:
    """Set recall and clarity on the benchmark beside those on the real records."""
    rows = []
    for kind in real["kind"].unique():
        mine = real[(real["kind"] == kind) & (real["picker"] == name)]
        for phase, group in mine.groupby("phase"):
            share = float(np.average(group["share_right"], weights=group["num_channels"]))
            table = outcome.wide[name, kind]
            on_bench = float(table.loc[table["phase"] == phase, "recall"].iloc[0])
            tolerance = KINDS[kind].eye_tolerance_s[str(phase)]
            cells = [kind, ", ".join(group["record"]), str(phase), f"{tolerance:g}"]
            cells += [f"{share:.3f}", f"{on_bench:.3f}", f"{on_bench - share:+.3f}"]
            rows.append([*cells, *(_percentiles(t, kind, str(phase)) for t in (real_snr, outcome.snr))])
    head = ["kind", "like", "phase", "tolerance (s)", "real", "simulated", "difference"]
    return markdown([*head, "SNR real (dB)", "SNR simulated (dB)"], rows)


def _percentiles(snr: pd.DataFrame, kind: str, phase: str) -> str:
    values = snr.loc[(snr["kind"] == kind) & (snr["phase"] == phase), "snr_db"].dropna()
    return ", ".join(f"{value:.0f}" for value in np.percentile(values, [5, 25, 50, 75, 95]))


def draw(evaluations: dict[tuple[str, str], PickEvaluation], names: list[str], path: Path) -> None:
    """Draw recall by signal-to-noise ratio, all kinds together."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained", sharey=True)
    for ax, phase in zip(axes, "PS", strict=True):
        pooled = {name: pool(evaluations, name) for name in names}
        recall_by_bin({name: t[t["phase"] == phase] for name, t in pooled.items()}, "snr_db", ax=ax)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--weights",
        nargs="+",
        default=["seisbench:original"],
        metavar="NAME",
        help="weights, or LABEL=WEIGHTS to show them under another name",
    )
    parser.add_argument("--version", default="bench-v1", choices=list(VERSIONS))
    parser.add_argument("--split", default="test", choices=("test", "validation", "quick"))
    parser.add_argument("--kinds", nargs="+", default=[], metavar="KIND", help="all by default")
    parser.add_argument(
        "--rate",
        type=lambda text: text if text == "octaves" else float(text),
        help="one rate for networks that see several, Hz, or octaves for those of single channels",
    )
    parser.add_argument("--average-channels", type=int, help="channels that these average")
    parser.add_argument("--cache", type=Path, default=Path("results/bench"))
    parser.add_argument(
        "--out", type=Path, default=Path("results/bench_pickers"), help="folder for JSON and figures"
    )
    parser.add_argument("--figure", type=Path, help="figure of recall by signal-to-noise ratio")
    parser.add_argument(
        "--shared", type=Path, default=Path(os.environ.get("PHASENET_DAS_SHARED", "../shared"))
    )
    return parser.parse_args()


def main() -> None:
    """Run the benchmark, print its tables, and write its numbers."""
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    PINNED.update(
        {name: getattr(options, name) for name in ("rate", "average_channels") if getattr(options, name)}
    )
    labelled = [name.rpartition("=") for name in options.weights]
    loaded = {label or name: load_picker(name) for label, _, name in labelled}
    networks = list(loaded)
    read = cases(options.split, options.cache, options.version, options.kinds)
    outcome = run_bench(networks, read, loaded)
    facts: dict[str, Any] = {
        "benchmark": options.version,
        "truth": {
            part.name: truth_digest(make_part(part, options.cache))
            for part in bench_parts(options.split, options.version)
            if not options.kinds or part.kind in options.kinds
        },
        "cpu_s": outcome.cpu_s,
        "scores": {f"{name} {kind}": json_records(e.table) for (name, kind), e in outcome.strict.items()},
    }
    print_simulated(outcome, [*networks, *CLASSICAL], f"{options.version}, {options.split} set")
    draw(outcome.strict, [*networks, *CLASSICAL], options.figure or options.out / "recall_by_snr.png")
    folder = options.shared / "data" / "das_events"
    if folder.is_dir() and not options.kinds:
        real, checks, real_snr = run_real(networks, folder, options.out, loaded)
        facts |= {"real": json_records(real), "waveforms": json_records(checks)}
        print(
            f"### Real records, against picks by eye (three times their uncertainty)\n\n{real_table(real)}\n"
        )
        print(f"### Is the benchmark as hard as the real records?\n\n{CLARITY}")
        print(f"{clarity_table(outcome, real, real_snr, networks[0])}\n")
        print("### Real records, differential times of picks less those of waveforms\n")
        print(f"{differential_times_markdown(checks)}\n")
    else:
        reason = "only some kinds were asked for" if options.kinds else f"they are not at hand ({folder})"
        print(f"The tables of the real records are left out, because {reason}.\n")
    (options.out / f"{options.version}.json").write_text(json.dumps(facts, indent=2) + "\n")


def print_simulated(outcome: Outcome, names: list[str], title: str) -> None:
    """Print the scores of pickers on the simulated recordings."""
    print(f"### {title}\n\n{scores_table(outcome.strict, names)}\n")
    print(f"### Arrivals above {SEEN_DB:g} dB\n\n{seen_table(outcome.strict, names)}\n")
    rows = [
        (name, kind, *(f"{shares.get(phase, np.nan):.3f}" for phase in "PS"))
        for (name, kind), shares in outcome.misnamed.items()
    ]
    table = markdown(["picker", "kind", "P", "S"], rows)
    print(f"### Arrivals picked under the other name only\n\n{table}\n")
    seconds = ", ".join(f"{name} {value:.0f}" for name, value in outcome.cpu_s.items())
    print(f"CPU-seconds for picking: {seconds}.\n")
    print(f"### Recall by signal-to-noise ratio, all kinds together\n\n{bins_table(outcome.strict, names)}\n")


if __name__ == "__main__":
    main()
