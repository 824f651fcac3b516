"""How fast networks over (channel, time) run: core samples a CPU-second, memory, reach.

    python benchmarks/network_speed.py                     # the table of variants
    python benchmarks/network_speed.py --only default      # one row
    python benchmarks/network_speed.py --ways              # the default, run in several ways
    python benchmarks/network_speed.py --training          # a training step, in both precisions

Each row runs in a process of its own, one thread, and counts CPU time, so that other work on the machine
matters little. Only samples of the core count, those farther than the halo from the edges of the tile.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from phasenet_das.models import build_model
from phasenet_das.models.strips import StripNetwork
from phasenet_das.training.optimization import masked_loss_sum

TILE = (640, 13056)
LEVELS = [(2, 4), (2, 4), (2, 4), (2, 4)]
SHALLOW = [(2, 4), (2, 4), (2, 4), (2, 2)]
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no compression of amplitudes": {"compress": False},
    "step 2 x 2 to the coarsest level": {"strides": SHALLOW},
    "kernels 3 x 5 at the finest level": {"kernels": [(3, 5)] * 4},
    "kernels 3 x 7 at the two finest levels": {"kernels": [(3, 7), (3, 7), (3, 5), (3, 5)]},
    "square kernels 5 x 5": {"kernels": [(5, 5)] * 4},
    "one block a level": {"depths": (1, 1, 1, 1)},
    "three blocks at the coarsest level": {"depths": (1, 2, 2, 3)},
    "no block before the second level": {"depths": (0, 2, 2, 2)},
    "separable": {"separable": True},
    "separable, twice as wide at the finest level": {"separable": True, "widths": (32, 32, 64, 128)},
    "wider below: 16, 32, 96, 192": {"widths": (16, 32, 96, 192)},
    "24, 48, 96, 192": {"widths": (24, 48, 96, 192)},
    "32, 64, 96, 128": {"widths": (32, 64, 96, 128)},
    "stem (2, 2), then (2, 4) three times": {"strides": [(2, 2), (2, 4), (2, 4), (2, 4)]},
    "stem (1, 4), then (4, 4)": {"strides": [(1, 4), (4, 4), (2, 4), (2, 2)]},
    "stem (4, 4)": {"strides": [(4, 4), (2, 4), (2, 4), (1, 2)]},
    "stem (4, 4), twice as wide": {
        "strides": [(4, 4), (2, 4), (2, 4), (1, 2)],
        "widths": (32, 64, 96, 128),
    },
    "five levels, total stride (32, 256)": {
        "widths": (16, 32, 64, 128, 192),
        "strides": [*SHALLOW, (2, 2)],
        "kernels": [(3, 5), (3, 5), (3, 5), (3, 3), (3, 3)],
        "depths": (1, 1, 2, 1, 1),
    },
    "eqnet": {},
}
WAYS = {
    "strips of 64 rows": {},
    "strips of 16 rows": {"rows": 16},
    "one strip": {"rows": TILE[0]},
    "bfloat16": {"bfloat16": True},
    "bfloat16, one strip": {"bfloat16": True, "rows": TILE[0]},
    "layer by layer, as in training": {"layers": True},
    "memory kept by the allocator (MALLOC_... settings)": {"keep_memory": True},
    "all channels of a short array": {"tile": (512, 16384), "all_channels": True},
}
QUICK = {"tile": (512, 8192), "repeats": 1}
BATCH, QUICK_BATCH = (4, 96, 3072), (1, 32, 512)
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "64000000",
}


def main() -> None:
    """Measure every variant, or one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=VARIANTS, help="measure one variant")
    parser.add_argument("--ways", action="store_true", help="run the default in several ways")
    parser.add_argument("--training", action="store_true", help="time steps of the default's training")
    parser.add_argument("--quick", action="store_true", help="one pass over a small tile")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(json.loads(options.case))))
        return
    if options.training:
        print(training_table(QUICK_BATCH if options.quick else BATCH, repeats=1 if options.quick else 5))
        if not (options.only or options.ways):
            return
    if options.ways:
        cases = {name: {"variant": "default", **way} for name, way in WAYS.items()}
    else:
        cases = {name: {"variant": name} for name in ([options.only] if options.only else VARIANTS)}
    print(
        "| network | parameters | multiply-adds a sample | total stride | halo | core | "
        "million core samples a CPU-second | peak memory (MB) |\n|---|---|---|---|---|---|---|---|"
    )
    for name, case in cases.items():
        print(row(name, run({**case, **(QUICK if options.quick else {})})), flush=True)


def run(case: dict[str, Any]) -> dict[str, Any]:
    """Measure a case in a fresh process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if case.get("keep_memory"):
        environment |= KEEP_MEMORY
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Run one network over noise and count."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    eqnet = case["variant"] == "eqnet"
    model = build_model("eqnet" if eqnet else "phasenet-das", VARIANTS[case["variant"]]).eval()
    halo = (0, 0) if eqnet else model.halo
    tile = tuple(case.get("tile", (1024, 4096) if eqnet else TILE))
    sides = (0 if case.get("all_channels") else halo[0], halo[1])
    core = tuple((side, size - side) for side, size in zip(sides, tile, strict=True))
    data = torch.randn(tile)
    if eqnet or case.get("layers"):
        network, dtype = model.fused(), torch.bfloat16

        def score() -> None:
            with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=bool(case.get("bfloat16"))):
                torch.softmax(network(data[None, None]), dim=1)
    else:
        strips = StripNetwork(model, torch.device("cpu"), bfloat16=bool(case.get("bfloat16")))

        def score() -> None:
            for _ in strips(data.split(case.get("rows", 64)), tile, core):
                pass

    score()
    seconds = min(cpu_seconds(score) for _ in range(case.get("repeats", 5)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    samples = (core[0][1] - core[0][0]) * (core[1][1] - core[1][0])
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "macs": multiply_adds(model, (1024, 2048) if eqnet else TILE),
        "stride": list(model.stride),
        "halo": "windows" if eqnet else list(halo),
        "core": samples / (tile[0] * tile[1]),
        "speed": samples / seconds / 1e6,
        "peak": peak,
    }


def training_table(batch: tuple[int, int, int], repeats: int) -> str:
    """Time forward and backward of a batch (sample, channel, time), with the loss, without the optimizer."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    items, channels, samples = batch
    model = build_model("phasenet-das").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    data = torch.randn(items, 1, channels, samples).contiguous(memory_format=torch.channels_last)
    targets, mask = torch.softmax(torch.randn(items, 3, channels, samples), 1), torch.ones(batch)
    lines = ["| numbers | CPU-seconds of a step |", "|---|---|"]
    for name, half in (("float32", False), ("bfloat16", True)):

        def step(half: bool = half) -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                logits = model(data)
            masked_loss_sum(logits, targets, mask, (1.0, 1.0, 1.0)).backward()

        step()
        lines.append(f"| {name} | {min(cpu_seconds(step) for _ in range(repeats)):.3f} |")
    return "\n".join(lines)


def cpu_seconds(score: Callable[[], None]) -> float:
    """Time one pass."""
    start = time.process_time()
    score()
    return time.process_time() - start


def multiply_adds(model: nn.Module, tile: tuple[int, ...]) -> float:
    """Count the multiply-adds of all convolutions for each sample of a tile (halo and core alike)."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        transposed = isinstance(layer, nn.ConvTranspose2d)
        positions = (inputs[0] if transposed else output)[0, 0].numel()
        total += positions * layer.weight.numel()

    hooks = [
        layer.register_forward_hook(count)
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    with torch.device("meta"):
        data = torch.zeros(1, 1, *tile)
    model.to("meta")(data)
    for hook in hooks:
        hook.remove()
    return total / (tile[0] * tile[1])


def row(name: str, found: dict[str, Any]) -> str:
    """Write a row of the table."""
    return (
        f"| {name} | {found['parameters'] / 1e6:.2f} M | {found['macs']:,.0f} | {found['stride']} | "
        f"{found['halo']} | {found['core']:.2f} | {found['speed']:.1f} | {found['peak']:,.0f} |"
    )


if __name__ == "__main__":
    main()
