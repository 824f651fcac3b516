"""Fault campaign: pick a small continuous record through the command line while everything goes wrong.

Every fault starts from the same record and must end in the table of an undisturbed run: nothing lost, nothing
doubled, nothing finished done again. Prints a Markdown table; exit code 1 when a fault gets through.

python benchmarks/fault_campaign.py
python benchmarks/fault_campaign.py disk worker
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import psutil
from fault_lab import (
    SEED,
    Ended,
    Harm,
    Hole,
    Lab,
    Outcome,
    compare,
    ended,
    make_record,
    run_reference,
    span_of,
    write_file,
)

from phasenet_das.tables import read_picks

_KILLS = 8


def wait_for_chunks(process: subprocess.Popen[str], lab: Lab, count: int) -> bool:
    """Wait until so many chunks are there; false when the process ends before."""
    while process.poll() is None:
        if len(lab.written()) >= count:
            return True
        time.sleep(0.05)
    return False


def sigkill(lab: Lab) -> Outcome:
    """Kill a run at instants from its start to the merge, again and again, until it is let through."""
    rng = np.random.default_rng(SEED)
    spread = (np.arange(_KILLS - 1) + rng.uniform(size=_KILLS - 1)) * lab.num_chunks / (_KILLS - 1)
    targets = [0, *map(int, spread), lab.num_chunks]
    before: dict[str, int] = {}
    hits, again = 0, 0
    for target in targets:
        process = lab.start()
        if not wait_for_chunks(process, lab, target):
            break
        time.sleep(float(rng.uniform(0.0, 3.0 if target == 0 else 0.2)))
        process.kill()
        code = ended(process).code
        hits += code == -signal.SIGKILL
        again += sum(lab.written().get(key) != at for key, at in before.items())
        before = lab.written()
    lab.let_an_hour_pass()
    run = lab.run()
    again += sum(lab.written().get(key) != at for key, at in before.items())
    found = lab.judge(run, f"killed {hits} times, run again each time", least=len(before))
    wrong = found.wrong or (f"{again} chunks written twice" if again else "")
    wrong = wrong or ("" if hits >= _KILLS else f"only {hits} kills hit")
    return replace(found, wrong=wrong)


def sigterm(lab: Lab) -> Outcome:
    """Stop a run with two worker processes half-way; none of them stays."""
    process = lab.start("--workers", "2")
    wait_for_chunks(process, lab, 40)
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    ended(process)
    before = lab.written()
    _, alive = psutil.wait_procs(children, timeout=20)
    found = lab.judge(lab.run("--workers", "2"), f"stopped at {len(before)} chunks", least=len(before))
    wrong = found.wrong or (f"{len(alive)} processes stay" if alive else "")
    return replace(found, wrong=wrong)


def lost_worker(lab: Lab) -> Outcome:
    """Kill a dask worker in mid-run."""
    process = lab.start("--workers", "2")
    wait_for_chunks(process, lab, 20)
    workers = [
        child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())
    ]
    workers[0].kill()
    run = ended(process)
    lab.let_an_hour_pass()
    run = lab.run() if run.code == 0 else run
    return lab.judge(run, f"one of {len(workers)} workers killed, the run continues", least=lab.num_chunks)


def full_disk(lab: Lab) -> Outcome:
    """Leave no room for more chunks; then make room."""
    lab.output.parent.mkdir()
    size = sum(path.stat().st_size for path in (lab.root / "reference").rglob("*.parquet"))
    mounted = os.geteuid() == 0 and mount(lab.output.parent, f"size={size // 2}")
    try:
        run = lab.run(limit=None if mounted else 4000)
        if mounted:
            mount(lab.output.parent, f"remount,size={4 * size}")
        return after_full(lab, run, "small disk, later larger" if mounted else "limit on the size of files")
    finally:
        if mounted:
            subprocess.run(["umount", str(lab.output.parent)], check=True)  # noqa: S603, S607


def mount(folder: Path, option: str) -> bool:
    """Mount or change a file system in memory; false where that is not allowed."""
    words = ["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(folder)]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0  # noqa: S603


def no_room_for_table(lab: Lab) -> Outcome:
    """Leave room for the chunks, none for the table."""
    largest = max(path.stat().st_size for path in (lab.root / "reference").rglob("??/*.parquet"))
    return after_full(lab, lab.reuse().run(limit=3 * largest), "limit on the size of files")


def after_full(lab: Lab, run: Ended, what: str) -> Outcome:
    """Judge the error, and the run after room was made."""
    before = lab.written()
    stopped = run.code == 1 and "error: no room" in run.text and "same command" in run.text
    found = lab.judge(lab.run(), f"{what}, stopped at {len(before)} chunks", least=len(before))
    wrong = found.wrong or ("" if stopped else f"no clear error: {run.text.strip()[-300:]}")
    return replace(found, wrong=wrong)


def _set(number: int, value: float, channels: slice, samples: slice) -> Harm:
    def harm(lab: Lab) -> None:
        with h5py.File(lab.file(number), "r+") as file:
            file["data"][channels, samples] = value

    return harm


def _rewrite(name: str, start_s: float, end_s: float, step: int = 1) -> Harm:
    def harm(lab: Lab) -> None:
        write_file(lab.raw / name, np.load(lab.root / "record.npy"), start_s, end_s, step=step)

    return harm


def _add_foreign(lab: Lab) -> None:
    for name, content in (("a.txt", b"notes"), ("b.csv", b"x,y\n1,2\n"), ("c.png", b"\x89PNG\r\n\x1a\n0")):
        (lab.raw / name).write_bytes(content)


def _add_without_start(lab: Lab) -> None:
    for name, start in (("98.h5", "1970-01-01T00:00:00"), ("99.h5", "")):
        with h5py.File(shutil.copy(lab.file(2), lab.raw / name), "r+") as file:
            holder = file if "begin_time" in file.attrs else file["data"]
            for key in ("begin_time", "end_time"):
                del holder.attrs[key]
            if start:
                holder.attrs["begin_time"] = start


def _open_for_writing(lab: Lab) -> None:
    lab.held.append(h5py.File(lab.file(11), "r+"))


def _close(lab: Lab) -> None:
    lab.held.pop().close()


def _take_away(lab: Lab) -> None:
    lab.file(7).rename(lab.folder / "later.h5")


def _bring(lab: Lab) -> None:
    (lab.folder / "later.h5").rename(lab.file(7))


def _damage_chunks(lab: Lab) -> None:
    for number, path in enumerate(sorted(lab.chunks.glob("??/*.parquet"))[:9]):
        content = bytearray(path.read_bytes())
        if number % 3 == 2:
            content[200:208] = bytes(8)
        path.write_bytes(content[: (len(content) // 2, 0, len(content))[number % 3]])


def _damage_index(lab: Lab) -> None:
    lab.run()  # so that there is one of these files
    path = lab.chunks / "index" / "continuous-index.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 64] = bytes(64)
    path.write_bytes(content)


@dataclass(frozen=True)
class Harmed:
    """A fault of files: `harm` before a run over the chunks of the undisturbed one, `mend` before another.

    `rows` of the coverage table are demanded: status and words. At most `again` chunks are picked again; None
    begins without any.
    """

    what: str
    harm: Harm
    again: int | None = 48
    hole: Hole | None = None
    rows: tuple[tuple[str, ...], ...] = ()
    mend: Harm | None = None

    def __call__(self, lab: Lab) -> Outcome:
        """Harm, run and compare; mend, run and compare."""
        if self.again is not None:
            lab.reuse()
        least = 0 if self.again is None else lab.num_chunks - self.again
        self.harm(lab)
        found = lab.judge(lab.run(), self.what, hole=self.hole, least=least)
        for status, *words in self.rows:
            found = lab.named(found, status, *words)
        if self.mend is None or found.wrong or found.lost or found.doubled:
            return found
        self.mend(lab)
        return lab.judge(lab.run(), self.what, least=least)


def other_settings(lab: Lab) -> Outcome:
    """Pick with another threshold over the chunks of a run."""
    run = lab.reuse().run("--min-score", "0.6")
    expected, found = read_picks(lab.root / "reference" / "picks.parquet"), read_picks(lab.output)
    lost, doubled, wrong = compare(expected[expected["phase_score"] >= 0.6], found, None)
    reused = run.reused[0]
    wrong = wrong or (f"{reused} chunks of other settings reused" if reused else "")
    return Outcome("all picked anew", lost, doubled, str(reused), wrong)


_GAP = ("gap", "30 s")
FAULTS: dict[str, Callable[[Lab], Outcome]] = {
    "SIGKILL at random instants": sigkill,
    "SIGTERM, two workers": sigterm,
    "a dask worker killed": lost_worker,
    "disk full, chunks": full_disk,
    "disk full, table": no_room_for_table,
    "truncated file": Harmed(
        "the file is skipped",
        lambda lab: os.truncate(lab.file(5), lab.file(5).stat().st_size * 6 // 10),
        hole=Hole(span_of(5)),
        rows=(("unreadable", "05.h5"), _GAP),
    ),
    "zero-byte file": Harmed(
        "the file is skipped",
        lambda lab: os.truncate(lab.file(3), 0),
        hole=Hole(span_of(3)),
        rows=(("unreadable", "03.h5"), _GAP),
    ),
    "file still being written": Harmed(
        "skipped, picked when closed",
        _open_for_writing,
        hole=Hole(span_of(11)),
        rows=(("unreadable", "11.h5", "still being written"),),
        mend=_close,
    ),
    "late file": Harmed(
        "a gap; closed by the second run", _take_away, hole=Hole(span_of(7)), rows=(_GAP,), mend=_bring
    ),
    "file under two names": Harmed(
        "the copy is not used",
        lambda lab: shutil.copy(lab.file(4), lab.raw / "99.h5"),
        again=0,
        rows=(("duplicate", "99.h5", "the same content"),),
    ),
    "file over halves of two others": Harmed(
        "each sample is used once", _rewrite("99.h5", 165.0, 195.0), rows=(("overlapped", "99.h5"),)
    ),
    "text, table, picture": Harmed(
        "skipped", _add_foreign, again=0, rows=(("skipped", "a.txt"), ("skipped", "c.png"))
    ),
    "files of 1970 and without start": Harmed(
        "skipped",
        _add_without_start,
        again=0,
        rows=(("unreadable", "98.h5", "1970"), ("unreadable", "99.h5")),
    ),
    "10 channels NaN for 6 s": Harmed(
        "not picked there",
        _set(4, np.nan, slice(20, 30), slice(1000, 1600)),
        again=None,
        hole=Hole((130.0, 136.0), (20, 30)),
        rows=(("skipped", "NaN"),),
    ),
    "5 channels zero for a file": Harmed(
        "not picked there",
        _set(4, 0.0, slice(40, 45), slice(None)),
        again=None,
        hole=Hole((120.0, 148.0), (40, 45)),  # whole blocks of 4 s
        rows=(("skipped", "one value only"),),
    ),
    "file at half the rate": Harmed(
        "picked as a segment of its own",
        _rewrite("06.h5", *span_of(6), step=2),
        hole=Hole(span_of(6), silent=False),
        rows=(("split", "06.h5", "interval"),),
    ),
    "chunks cut, emptied, overwritten": Harmed("9 chunks picked again", _damage_chunks, again=9),
    "index overwritten within": Harmed("rebuilt", _damage_index, again=0),
    "another threshold": other_settings,
}


def row(name: str, one: Outcome) -> str:
    """Format a row of the table."""
    failed = bool(one.wrong or one.lost or one.doubled)
    verdict = f"**failed** {one.wrong}" if failed else "passed"
    return f"| {name} | {one.what} | {one.lost} | {one.doubled} | {one.reused} | {verdict} |"


def campaign(root: Path, only: list[str]) -> bool:
    """Run the faults; true when all passed."""
    make_record(root)
    print(f"Undisturbed: {run_reference(root)} picks.\n")
    print("| fault | what happened | picks lost | doubled | chunks reused | verdict |")
    print("|---|---|---|---|---|---|")
    passed = True
    for name, fault in FAULTS.items():
        if not only or any(word in name for word in only):
            lab = Lab(root, name)
            line = row(name, fault(lab))
            passed &= line.endswith("passed |")
            print(line, flush=True)
            shutil.rmtree(lab.folder)
    return passed


def main() -> None:
    """Run the campaign in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("faults", nargs="*", help="words of the names of some; all by default")
    options = parser.parse_args()
    os.nice(5)
    with tempfile.TemporaryDirectory() as folder:
        if not campaign(Path(folder).resolve(), options.faults):
            sys.exit(1)


if __name__ == "__main__":
    main()
