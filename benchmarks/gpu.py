"""Compare PhaseNet-DAS on a GPU with the same network on a CPU, and time it.

    python benchmarks/gpu.py --device cuda

Prints, for each precision, the largest difference of a probability and the samples a second of inference.
"""

from __future__ import annotations

import argparse
import time

import torch

from phasenet_das.models import load_weights

CHECKED = (1, 1, 256, 4096)
REPEATS = 10


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--channels", type=int, default=4096)
    options = parser.parse_args()
    model = load_weights("phasenet-das").model.eval().fused()
    torch.manual_seed(0)
    data = torch.randn(CHECKED) * torch.logspace(-1, 1, CHECKED[2]).view(-1, 1)
    with torch.no_grad():
        wanted = model(data).softmax(1)
    model = model.to(options.device)
    print("| precision | largest difference | million samples a second |\n|---|---|---|")
    for name, half, tf32 in (("float32", False, False), ("TF32", False, True), ("bfloat16", True, True)):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        with torch.no_grad(), torch.autocast(options.device, torch.bfloat16, enabled=half):
            found = model(data.to(options.device)).float().softmax(1).cpu()
            difference = float((found - wanted).abs().max())
            speed = rate(model, options.device, options.channels)
            print(f"| {name} | {difference:.1e} | {speed / 1e6:.0f} |", flush=True)


def rate(model: torch.nn.Module, device: str, channels: int) -> float:
    """Time inference, samples a second."""
    x = torch.randn(1, 1, channels, 8192, device=device).contiguous(memory_format=torch.channels_last)
    for _ in range(3):
        model(x)
    begin = _now(device)
    for _ in range(REPEATS):
        model(x)
    return REPEATS * x.numel() / (_now(device) - begin)


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
