"""Watch an hour of simulated files, fed as fast as they are picked, while things go wrong.

Files come late, twice, damaged, half written or not at all, the clock of the interrogator drifts, and the
watch is killed. At the end, its tables are compared with those of one run over the same files, and its
revisions with them. Prints a Markdown table; exit code 1 when something is wrong.

python benchmarks/watch_hour.py --out results/hour --figure lag.png
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

import phasenet_das as pn
from phasenet_das.io.archive import open_archive
from phasenet_das.matching import match_events
from phasenet_das.simulate import scenario, simulate
from phasenet_das.tables import read_catalog
from phasenet_das.watch import read_revisions

FILE_S, SEED = 10, 11
DRIFT_S = 1e-4  # of each file: 10 microseconds a second
_LARGEST_SHIFT = 0.5  # of an uncertainty
HOOK = "import json, sys; print(json.load(sys.stdin)['event_id'])"


@dataclass
class Fed:
    """What the watch did with each file that it got."""

    seconds: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    kills: int = 0


def make_files(out: Path, minutes: float, channels: int) -> tuple[list[Path], Path]:
    """Simulate a cable, and cut its recording into files of a drifting clock."""
    wanted = scenario(
        "easy",
        duration_s=60.0 * minutes,
        cable={"num_channels": channels, "dx_m": 25.0, "num_bends": 3, "max_bend_deg": 80.0},
        sources={"events_per_hour": 60.0, "magnitude_min": 2.0, "distance_max_km": 15.0},
    )
    simulate(wanted, out / "simulated", seed=SEED)
    archive = open_archive(str(out / "simulated" / "data"))
    data = np.concatenate([recording.load() for recording in archive.recordings], axis=1)
    first = archive.recordings[0]
    length, paths = round(FILE_S / first.dt_s), []
    (out / "files").mkdir()
    for number in range(data.shape[1] // length):
        begin = first.start_ns + round((number * FILE_S + number * DRIFT_S) * 1e9)
        patch = pn.io.make_patch(
            data[:, number * length : (number + 1) * length],
            start_time=np.datetime64(begin, "ns"),
            dt_s=first.dt_s,
            channel_index=first.channel_index,
            distance_m=first.distance_m,
            station_id="SIM",
            unit=first.unit,
        )
        paths.append(out / "files" / f"{number:04d}.h5")
        pn.io.write_quakeflow(patch, paths[-1])
    return paths, out / "simulated" / "channels.csv"


def deliveries(files: list[Path], rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents in the order in which they come; a name comes again when it is completed."""
    order = list(range(len(files)))
    fates = rng.choice(order[3:-3], min(5, len(files) - 6), replace=False).tolist()
    late, missing, twice, damaged, half = fates
    order.remove(late)
    order.insert(order.index(max(one for one in order if one <= late + 5)) + 1, late)
    for number in order:
        name, content = files[number].name, files[number].read_bytes()
        if number == missing:
            continue
        if number == half:
            yield name, content[: len(content) // 2]
        yield name, content[: len(content) // 3] if number == damaged else content
        if number == twice:
            yield f"copy-of-{name}", content


class Watch:
    """The command in a process of its own."""

    def __init__(self, out: Path, channels: Path) -> None:
        self._log = out / "watch.log"
        hook = out / "hook.py"
        hook.write_text(HOOK)
        options = f"--settle-s 0 --poll-s 0.1 --final-after-s 60 --channels {channels}"
        options += " --weights phasenet-das --station-id SIM"
        self._command = [
            *(
                sys.executable,
                "-m",
                "phasenet_das.cli",
                "watch",
                str(out / "incoming"),
                "-o",
                str(out / "live"),
            ),
            *options.split(),
            *("--on-event", f"{sys.executable} {hook}"),
        ]
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log)  # noqa: S603 - our own command

    def passes(self) -> int:
        """Count the passes that ended, with and without picks."""
        text = self._log.read_text()
        return text.count("picked to ") + text.count("nothing picked in this pass")

    def wait(self, passes: int, fed: Fed) -> None:
        """Wait for the end of a pass, and note the memory."""
        while self.passes() <= passes and self._process.poll() is None:
            with contextlib.suppress(psutil.Error):
                memory = psutil.Process(self._process.pid).memory_info().rss / 1e6
                fed.memory_mb = max(fed.memory_mb, memory)
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill the process, and start it again."""
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    def stop(self) -> None:
        """End as a person does."""
        self._process.send_signal(2)
        self._process.wait()


def feed(out: Path, files: list[Path], channels: Path, kills: int) -> Fed:
    """Give the files to a watch one by one, and kill it now and then."""
    rng, fed = np.random.default_rng(SEED), Fed()
    (out / "incoming").mkdir()
    todo = list(deliveries(files, rng))
    killed_at = set(np.linspace(2, len(todo) - 2, kills).astype(int).tolist())
    watch = Watch(out, channels)
    for number, (name, content) in enumerate(todo):
        before = watch.passes()
        temporary = out / f".{name}"
        temporary.write_bytes(content)
        temporary.replace(out / "incoming" / name)
        start = time.monotonic()
        if number in killed_at:
            time.sleep(float(rng.uniform(0.0, 2.0)))
            watch.kill()
            fed.kills += 1
        watch.wait(before, fed)
        fed.seconds.append(time.monotonic() - start)
    watch.stop()
    return fed


def run_batch(out: Path, channels: Path) -> None:
    """Pick and associate the folder in one run."""
    base = [sys.executable, "-m", "phasenet_das.cli"]
    picks = out / "batch" / "picks.parquet"
    for words in (
        ["pick", str(out / "incoming"), "-o", str(picks), "--weights", "phasenet-das", "--station-id", "SIM"],
        ["associate", str(picks), "--channels", str(channels), "-o", str(out / "batch")],
    ):
        subprocess.run([*base, *words], check=True, capture_output=True)  # noqa: S603 - our own command


def shift(out: Path) -> float:
    """Give the largest difference of origin times from those of one run, in their uncertainties.

    Pick times differ by up to 2e-6 s with the chunks. A velocity that is estimated of few picks makes more of
    it.
    """
    events, wanted = (read_catalog(out / name)[0] for name in ("live", "batch"))
    apart_s = (events["time"] - wanted["time"]).dt.total_seconds().abs()
    return float((apart_s / wanted["time_uncertainty_s"]).max())


def faults(out: Path) -> list[str]:
    """List what is wrong with the tables and the revisions of the watch."""
    (events, picks), (wanted, wanted_picks) = (read_catalog(out / name) for name in ("live", "batch"))
    found = []
    if len(events) != len(wanted) or set(picks["pick_id"]) != set(wanted_picks["pick_id"]):
        return [
            f"{len(events)} events and {len(picks)} picks, one run has {len(wanted)} and {len(wanted_picks)}"
        ]
    pairs = picks.merge(wanted_picks, on="pick_id")
    if (pairs["event_index_x"] != pairs["event_index_y"]).any():
        found.append("picks belong to other events than in one run")
    if shift(out) > _LARGEST_SHIFT:
        found.append("an origin time differs from that of one run")
    table = read_revisions(out / "live" / "revisions.jsonl")
    last = table.drop_duplicates("event_id", keep="last")
    if set(last.loc[last["status"] != "cancelled", "event_id"]) != set(events["event_id"]):
        found.append("the last revisions are not the events of the table")
    for name, row in table.groupby("event_id")["revision"]:
        if row.tolist() != list(range(1, len(row) + 1)):
            found.append(f"{name} has the revisions {row.tolist()}")
    first = table.drop_duplicates("event_id")
    pairs = match_events(first, events, time_tolerance_s=2.0, distance_tolerance_km=50.0)
    ids = first["event_id"].to_numpy()[pairs["event_row"]]
    renamed = ids != events["event_id"].to_numpy()[pairs["reference_row"]]
    found += [f"{name} has another id at the end" for name in ids[renamed]]
    if not table["change"].str.len().all():
        found.append("a revision has no explanation")
    return found


def draw(fed: Fed, table: pd.DataFrame, path: Path) -> None:
    """Draw the lag of each file and of each revision."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
    axes.plot(np.arange(len(fed.seconds)) * FILE_S / 60, fed.seconds, ".-", label="file to tables")
    begin = table["time"].min() if len(table) else pd.NaT
    minutes = (table["time"] - begin).dt.total_seconds() / 60
    axes.plot(minutes, table["latency_s"], "o", mfc="none", label="file to hook, each revision")
    axes.set(xlabel="minutes of data", ylabel="lag (s)", ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run the hour, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for all files; emptied")
    parser.add_argument("--figure", type=Path, help="picture of the lag")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--channels", type=int, default=80)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="two minutes, 60 channels, one kill")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.minutes, chosen.channels, chosen.kills = 2.0, 60, 1
    shutil.rmtree(chosen.out, ignore_errors=True)
    chosen.out.mkdir(parents=True)
    files, channels = make_files(chosen.out, chosen.minutes, chosen.channels)
    fed = feed(chosen.out, files, channels, chosen.kills)
    run_batch(chosen.out, channels)
    wrong = faults(chosen.out)
    table = read_revisions(chosen.out / "live" / "revisions.jsonl")
    sent = table.loc[table["handed_over_at"].notna(), "latency_s"]
    rows = {
        "files, events, revisions": f"{len(files)}, {table['event_id'].nunique()}, {len(table)}",
        "kills": fed.kills,
        "latency from file to hook (s), median, 95 %": " , ".join(
            f"{value:.1f}" for value in sent.quantile([0.5, 0.95])
        ),
        "file to tables (s), median, longest": f"{np.median(fed.seconds):.1f}, {max(fed.seconds):.1f}",
        "memory (MB)": f"{fed.memory_mb:.0f}",
        "largest shift of an origin time, in its uncertainty": f"{shift(chosen.out):.2f}",
        "faults": "; ".join(wrong) or "none",
    }
    print("| | |\n|---|---|")
    print("\n".join(f"| {name} | {value} |" for name, value in rows.items()))
    if chosen.figure is not None:
        draw(fed, table, chosen.figure)
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
