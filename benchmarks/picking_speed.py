"""How fast the teacher picks: channel-seconds per second, with half-overlapping windows.

python benchmarks/picking_speed.py --channels 1000 --minutes 5 --threads 2
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch

from phasenet_das import io
from phasenet_das.picking import load_picker


def main() -> None:
    """Pick generated noise and print the speed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", default="seisbench:original")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    samples = int(options.minutes * 6000)
    rng = np.random.default_rng(0)
    data = rng.standard_normal((options.channels, samples), dtype=np.float32)
    patch = io.make_patch(data, start_time="2024-01-01", dt_s=0.01, station_id="NOISE", unit="strain / s")
    picker = load_picker(options.weights)
    picker.pick(io.read(patch, channels=(0, 48)))  # warm up
    wall, cpu = time.perf_counter(), time.process_time()
    picks = picker.pick(patch)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    seconds = options.channels * samples / 100
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    what = f"{options.channels} channels x {samples / 100:g} s at 100 Hz, {options.threads} threads"
    print(f"{what}: {len(picks)} picks, wall {wall:.1f} s, CPU {cpu:.1f} s, peak {peak:,.0f} MB")
    print(f"{seconds / wall:,.0f} channel-seconds per second")


if __name__ == "__main__":
    main()
