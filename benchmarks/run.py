"""Run all frozen benchmarks, one after the other, and write docs/benchmarks.md: `make bench`."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

FIGURE = Path("docs/figures/bench_v1_recall.jpg")
HEAD = """# How good are the picks and the events?

`make bench` (`python benchmarks/run.py`) writes this page. Do not edit it by hand. The pickers here are the
original PhaseNet and two classical ones. [How good is PhaseNet-DAS?](student.md) compares the bundled network
with them.
"""
PICKING = f"""## Picking: bench-v1

The recall of the original PhaseNet on bench-v1 is fitted, not measured afresh. Noise, magnitudes,
attenuation and the rate of events were set in several rounds, on the test set itself, until it found
about as many picks as on the real records.

bench-v1 are simulated recordings of four kinds, frozen in `benchmarks/bench_kinds.py`. Training,
validation and test set share neither cables nor events.

| kind | like | right P, S within (s) |
|---|---|---|
| `distant` | Brady: a trenched cable, events at 100-180 km | 0.1, 0.2 |
| `local` | a surface cable, events within 30 km, blasts, traffic | 0.1, 0.2 |
| `well` | SAFOD: a well at 250 Hz | 0.05, 0.1 |
| `micro` | FORGE: a well at 2 kHz | 0.02, 0.04 |

Every true pick counts, however weak. Matching is one to one, nearest first. Intervals come from drawing
events anew. The original PhaseNet sees wells on a slower time axis. STA/LTA and AIC do not know phases,
so the first trigger of a sequence is called P, the second S. Their settings were chosen on the
validation set of the surface cables. SNR is [definition
1](simulator.md#signal-to-noise-ratio-of-a-true-pick-definition-1): without filter, and for S against the
P coda. An S weaker than the coda is therefore in the lowest bin, but its shape may still be found.

**bench-v2** has these four kinds with twice as many recordings, and five kinds more: cables of 2 to 32
channels, an event every 7 s, the sea floor, a glacier, and 50 km of cable. It was frozen before any
network had picked it. The command is `python benchmarks/bench_pickers.py --version bench-v2`.

![Recall by signal-to-noise ratio]({FIGURE.relative_to("docs")})
"""
ASSOCIATION = """## Association

Synthetic pick tables with known events. `LSQ km` is the error of least squares on the true assignment. [How
accurate is the association?](gamma_accuracy.md) has more cases.
"""


def run(script: str, *arguments: str) -> str:
    """Run a benchmark and give what it printed."""
    begun, printed = time.perf_counter(), io.StringIO()
    sys.argv = [f"{script}.py", *arguments]
    with redirect_stdout(printed):
        importlib.import_module(script).main()
    print(f"{script}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    return printed.getvalue().strip()


def main() -> None:
    """Run the benchmarks and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", nargs="+", default=["seisbench:original"], metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument("--only", choices=("picking", "association"), help="run one of them, print it only")
    parser.add_argument("--quick", action="store_true", help="try the scripts out: the figures say nothing")
    options = parser.parse_args()
    shared = Path(os.environ.get("PHASENET_DAS_SHARED", "../shared"))
    folder = str(options.out.parent)
    bench = ["--weights", *options.weights, "--shared", str(shared), "--figure", str(FIGURE)]
    cases = ["das_1000ch_20ev", "scale_10k"] if (shared / "bench" / "association").is_dir() else ["das"]
    if options.quick:
        bench = ["--split", "quick", "--weights", "phasenet"]
        bench += [word for name in ("cache", "out", "shared") for word in (f"--{name}", folder)]
        cases = ["das", "--no-reference"]
    sections = []
    if options.only != "association":
        sections.append(f"{PICKING}\n{run('bench_pickers', *bench)}\n")
    if options.only != "picking":
        table = run("association", *cases).split("\n\n")[-1]
        sections.append(f"{ASSOCIATION}\n{table}\n")
    print("\n".join(sections))
    if options.only is None:
        options.out.write_text("\n".join([HEAD, *sections]))


if __name__ == "__main__":
    main()
