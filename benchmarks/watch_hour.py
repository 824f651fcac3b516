"""Watch an hour of simulated files, fed at 20 times their speed, while things go wrong.

Files come late, twice, damaged, half written or not at all, the clock of the interrogator drifts, and the
watch is killed. At the end, its tables are compared with those of one run over the same files, and its
revisions with them. Prints a Markdown table; exit code 1 when something is wrong. The simulated files of an
earlier run with the same options are used again.

python benchmarks/watch_hour.py --out results/hour --figure lag.png
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

import phasenet_das as pn
from phasenet_das.cli import app
from phasenet_das.io.archive import open_archive
from phasenet_das.matching import match_events
from phasenet_das.simulate import scenario, simulate
from phasenet_das.tables import read_catalog
from phasenet_das.watch import read_revisions

FILE_S, SEED = 10, 11
DRIFT_S = 1e-4  # of each file: 10 microseconds a second
_LARGEST_SHIFT = 0.5  # of an uncertainty
_LOOK_S, _PATIENCE_S = 0.1, 600.0
HOOK = "import json, sys; print(json.load(sys.stdin)['event_id'])"


@dataclass
class Fed:
    """What the watch did with the files that it got, over time."""

    number: list[int] = field(default_factory=list)  # of each file
    given_s: list[float] = field(default_factory=list)  # when it came
    times_s: list[float] = field(default_factory=list)  # of each look at the watch
    data_s: list[float] = field(default_factory=list)  # length of the data that had come
    picked_s: list[float] = field(default_factory=list)  # and had been picked
    memory_mb: list[float] = field(default_factory=list)
    kills: int = 0

    def look(self, watch: Watch, first: pd.Timestamp) -> float:
        """Note where the watch is, and return the length of the data that it has picked, s."""
        self.times_s.append(time.monotonic())
        self.data_s.append(FILE_S * (max(self.number, default=-1) + 1.0))
        self.picked_s.append(max((watch.picked_to() - first).total_seconds(), 0.0))
        self.memory_mb.append(watch.memory_mb())
        return self.picked_s[-1]

    @property
    def backlog_s(self) -> np.ndarray:
        """Length of the data that had come and were not in the tables, at each look, s."""
        return np.maximum(np.array(self.data_s) - np.array(self.picked_s), 0.0)

    @property
    def delays_s(self) -> np.ndarray:
        """Time of each file that came in order from its coming to the tables, s."""
        ends = FILE_S * (np.array(self.number) + 1.0)
        row = np.searchsorted(np.maximum.accumulate(self.picked_s), ends - 0.5)
        in_order = np.maximum.accumulate(ends) <= ends
        kept = in_order & (row < len(self.times_s)) & (ends > FILE_S)  # the first one waited for the start
        return np.array(self.times_s)[row[kept]] - np.array(self.given_s)[kept]


def make_files(out: Path, minutes: float, channels: int) -> tuple[list[Path], Path]:
    """Simulate a cable, and cut its recording into files of a drifting clock."""
    made, asked = out / "made.json", json.dumps([minutes, channels, SEED, FILE_S, DRIFT_S])
    if made.exists() and made.read_text() == asked:
        return sorted((out / "files").glob("*.h5")), out / "simulated" / "channels.csv"
    shutil.rmtree(out, ignore_errors=True)
    (out / "files").mkdir(parents=True)
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
    made.write_text(asked)
    return paths, out / "simulated" / "channels.csv"


def deliveries(files: list[Path], rng: np.random.Generator) -> Iterator[tuple[int, str, bytes]]:
    """Yield number, name and content of files as they come; a name comes again when it is completed."""
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
            yield number, name, content[: len(content) // 2]
        yield number, name, content[: len(content) // 3] if number == damaged else content
        if number == twice:
            yield number, f"copy-of-{name}", content


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

    def picked_to(self) -> pd.Timestamp:
        """Return the end of the data of the last pass."""
        found = re.findall(r"picked to (\S+ \S+) UTC", self._log.read_text())
        return pd.Timestamp(found[-1] if found else 0, tz="UTC")

    def memory_mb(self) -> float:
        """Return the memory of the process."""
        try:
            return psutil.Process(self._process.pid).memory_info().rss / 1e6
        except psutil.Error:
            return 0.0

    def kill(self) -> None:
        """Kill the process, and start it again."""
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    def stop(self) -> None:
        """End as a person does."""
        self._process.send_signal(2)
        self._process.wait()


def feed(out: Path, files: list[Path], channels: Path, kills: int, speed: float) -> Fed:
    """Give the files to a watch, whether it keeps up or not, kill it now and then, and wait for its end."""
    rng, fed = np.random.default_rng(SEED), Fed()
    (out / "incoming").mkdir()
    todo = list(deliveries(files, rng))
    killed_at = set(np.linspace(2, len(todo) - 2, kills).astype(int).tolist())
    (first,) = open_archive(str(files[0])).recordings
    zero = pd.Timestamp(first.start_ns, tz="UTC")
    watch, start = Watch(out, channels), time.monotonic()

    def wait_until(picked_s: float) -> None:
        give_up = time.monotonic() + _PATIENCE_S
        while fed.look(watch, zero) < picked_s - 0.5 and time.monotonic() < give_up:
            time.sleep(_LOOK_S)

    for place, (number, name, content) in enumerate(todo):
        due = start + place * FILE_S / speed
        while time.monotonic() < due:
            fed.look(watch, zero)
            time.sleep(_LOOK_S)
        temporary = out / f".{name}"
        temporary.write_bytes(content)
        temporary.replace(out / "incoming" / name)
        fed.number.append(number)
        fed.given_s.append(time.monotonic())
        if place == 0:
            wait_until(FILE_S)
            start = time.monotonic()  # the watch has started
        if place in killed_at:
            time.sleep(float(rng.uniform(0.0, FILE_S / speed)))
            watch.kill()
            fed.kills += 1
    wait_until(FILE_S * len(files))
    watch.stop()
    return fed


def run_batch(out: Path, channels: Path) -> None:
    """Pick and associate the folder in one run."""
    picks = out / "batch" / "picks.parquet"
    for words in (
        ["pick", str(out / "incoming"), "-o", str(picks), "--weights", "phasenet-das", "--station-id", "SIM"],
        ["associate", str(picks), "--channels", str(channels), "-o", str(out / "batch")],
    ):
        with redirect_stdout(None):
            app(words, standalone_mode=False)


def shift(out: Path) -> float:
    """Give the largest difference of origin times from those of one run, in their uncertainties."""
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
    """Draw what waits over time, and the lag of each revision that was handed over."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    times = np.array(fed.times_s) - fed.times_s[0]
    left.plot(times, fed.backlog_s / FILE_S)
    left.set(xlabel="seconds since the first file", ylabel="files that wait", ylim=(0, None))
    handed = table[table["handed_over_at"].notna()]
    minutes = (handed["time"] - table["time"].min()).dt.total_seconds() / 60
    right.plot(minutes, handed["latency_s"], "o", mfc="none")
    right.set(xlabel="minutes of data", ylabel="file to hook (s)", ylim=(0, None))
    figure.savefig(path, dpi=150)


def _spread(values: Iterable[float]) -> str:
    median, high = np.quantile(np.asarray(list(values)), [0.5, 0.95])
    return f"{median:.1f}, {high:.1f}"


def main() -> None:
    """Run the hour, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for all files")
    parser.add_argument("--figure", type=Path, help="picture of the lag")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--channels", type=int, default=80)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--speed", type=float, default=20.0, help="seconds of data that come in a second")
    parser.add_argument("--quick", action="store_true", help="two minutes, 60 channels, one kill")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.minutes, chosen.channels, chosen.kills = 2.0, 60, 1
    files, channels = make_files(chosen.out, chosen.minutes, chosen.channels)
    (chosen.out / "watch.log").unlink(missing_ok=True)
    for name in ("incoming", "live", "batch"):
        shutil.rmtree(chosen.out / name, ignore_errors=True)
    fed = feed(chosen.out, files, channels, chosen.kills, chosen.speed)
    run_batch(chosen.out, channels)
    wrong = faults(chosen.out)
    table = read_revisions(chosen.out / "live" / "revisions.jsonl")
    halves = (max(part) for part in np.array_split(fed.memory_mb, 2))
    rows = {
        "files, events, revisions": f"{len(files)}, {table['event_id'].nunique()}, {len(table)}",
        "kills": fed.kills,
        "file to hook (s), median, 95 %": _spread(table.loc[table["handed_over_at"].notna(), "latency_s"]),
        "file to tables (s), median, 95 %": _spread(fed.delays_s),
        "data that wait (s), median, 95 %": _spread(fed.backlog_s),
        "time of the feed, until all was picked (s)": f"{fed.times_s[-1] - fed.times_s[0]:.0f}",
        "memory (MB), first and second half": ", ".join(f"{most:.0f}" for most in halves),
        "largest shift of an origin time, in its uncertainty": f"{shift(chosen.out):.3f}",
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
