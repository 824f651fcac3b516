"""Train the bundled PhaseNet-DAS, on windows that are simulated meanwhile.

    python benchmarks/bundled_training.py --shared ../shared --minutes 8 --out results/bundled_training

Processes on the CPU simulate windows (training_store.py) and draw plans of batches. The GPU, or a CPU, makes
the batches (training_batches.py) and trains on them. Windows that were simulated before are taken in too.
The learning rate follows the clock: a warm-up, then a cosine that ends with the time given. A run that was
stopped goes on from its last round. Events that are held out for judging are listed in
benchmarks/held_out.yaml. The windows that exist when a batch is drawn depend on the machine, so two runs
differ.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from training_batches import CHANNELS, DT_S, SAMPLES, SIGMA_S, WINDOW_S, Batch, BatchMaker, Known, PlanSource
from training_store import load_windows, makers

from phasenet_das.config import AugmentSettings
from phasenet_das.models import load_weights, save_weights
from phasenet_das.models.phasenet_das import PhaseNetDAS
from phasenet_das.picking.prefetch import prefetch
from phasenet_das.training.optimization import MovingAverage, masked_loss_sum

AUGMENT = AugmentSettings(
    stretch_time=2.0, stretch_space=3.0, average_channels=8, few_channels=0.4, add_event=0.3, added_events=2,
    add_event_ratio_db=20.0, noise=0.5, snr_min_db=-8.0, snr_max_db=30.0, lower_rate=0.1, missing_ends=0.2,
    amplitude_dex=0.2, hidden=0.05, phase_ratio=0.0,
)  # fmt: skip
BENT, QUIET = 0.25, 0.08  # shares of the pieces
WARMUP = 0.03  # of the time
SHAPES: dict[str, dict[str, Any]] = {"lean": {}, "wide": {"widths": (16, 32, 96, 192)}}


def main() -> None:
    """Train the networks asked for on the same batches."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--noise", type=Path, help="noise that was read before (.npz)")
    parser.add_argument("--out", type=Path, default=Path("results/bundled_training"))
    parser.add_argument("--store", type=Path, default=Path("results/training_store"))
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["lean"])
    parser.add_argument(
        "--start",
        nargs="*",
        default=[],
        metavar="SHAPE=WEIGHTS",
        help="model folder or bundled network to start from",
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--wait", type=float, default=30.0, help="seconds of simulation before the training")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--makers", type=int, default=12, help="processes that simulate")
    parser.add_argument("--round", type=int, default=200, help="batches after which new windows are taken in")
    parser.add_argument("--planners", type=int, default=3, help="processes that draw plans")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    given = ["--shared", str(options.shared), *(["--noise", str(options.noise)] if options.noise else [])]
    with makers(options.store, options.makers, given) as started:
        starts = dict(item.split("=") for item in options.start)
        learners = [
            Learner.of(name, starts.get(name), options.rate, options.device) for name in options.shapes
        ]
        time.sleep(options.wait)
        while not any(options.store.glob("*.pkl")):
            if all(process.poll() is not None for process in started):
                raise SystemExit("error: no window was simulated. The messages above say why.")
            time.sleep(0.1)
        train(learners, options)


@dataclass
class Learner:
    """A network, its moving average and its optimizer."""

    name: str
    model: nn.Module
    average: MovingAverage
    optimizer: torch.optim.Optimizer
    highest: float

    @classmethod
    def of(cls, name: str, start: str | None, rate: float, device: str) -> Learner:
        """Make a network of random weights, or of those of a file."""
        torch.manual_seed(0)
        model = PhaseNetDAS(**SHAPES[name])
        if start is not None:
            model.load_state_dict(load_weights(start).model.state_dict())
            rate = 0.5 * rate
        model = model.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=rate, weight_decay=0.01, fused=device.startswith("cuda")
        )
        return cls(name, model, MovingAverage(model, 0.999), optimizer, rate)

    def step(self, batch: Batch, share: float, number: int) -> torch.Tensor:
        """Take one step when `share` of the time has passed; returns the loss."""
        warm = min(1.0, (share + 1e-6) / WARMUP)
        rate = self.highest * warm * (0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        data = batch.data.contiguous(memory_format=torch.channels_last)
        with torch.autocast(data.device.type, dtype=torch.bfloat16):
            logits = self.model(data)
        loss = masked_loss_sum(logits, batch.targets, batch.mask, (1.0, 1.0, 1.0)) / batch.mask.sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.model, number)
        return loss.detach()

    def save(self, folder: Path, samples: int) -> None:
        """Write the averaged weights as a model folder, not calibrated yet (calibration.py)."""
        save_weights(
            folder,
            self.average.model,
            architecture="phasenet-das",
            model_args=self.average.model.model_args,  # type: ignore[arg-type]
            sampling_rate_hz=1 / DT_S,
            phases="NPS",
            component_order="1",
            normalization="moving",
            window_samples=round(WINDOW_S / DT_S),
            provenance={
                "license": "MIT",
                "package": "phasenet-das",
                "data": "Windows of benchmarks/training_store.py, with every true arrival.",
                "rates": "octaves",
                "label_sigma_s": SIGMA_S,
                "num_channels": CHANNELS,
                "num_samples": SAMPLES,
                "samples": samples,
                "trained_rate_hz": [50.0, 2000.0],
                "trained_dx_m": [1.0, 50.0],
                "settings": {"shape": self.name, "augment": AUGMENT.model_dump()},
            },
        )

    def state(self) -> dict[str, Any]:
        """Give what a run goes on from."""
        parts = {"model": self.model, "average": self.average.model, "optimizer": self.optimizer}
        return {name: part.state_dict() for name, part in parts.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


def train(learners: list[Learner], options: argparse.Namespace) -> None:
    """Train until the time is over, and save the averaged weights two thirds on the way and at the end."""
    maker, known, taken = BatchMaker(options.device), list[Known](), set[Path]()
    number, spent = resume(learners, options)
    first, seconds = time.monotonic() - spent, options.minutes * 60
    halfway = spent / seconds > 2 / 3
    torch.backends.cudnn.benchmark = True
    with (options.out / "log.csv").open("a" if number else "w", newline="") as stream:
        log = csv.writer(stream)
        if not number:
            log.writerow(["batch", "seconds", "windows", *(learner.name for learner in learners)])
        while time.monotonic() - first < seconds:
            take_in(options.store, maker, known, taken)
            for batch in batches(known, maker, options, number):
                share = (time.monotonic() - first) / seconds
                losses = [learner.step(batch, share, number) for learner in learners]
                number += 1
                if number in (1, 10) or number % 50 == 0:
                    row = [
                        number,
                        round(time.monotonic() - first, 1),
                        len(known),
                        *(f"{x:.5f}" for x in losses),
                    ]
                    log.writerow(row)
                    stream.flush()
                    print(*row, flush=True)
                if not halfway and share > 2 / 3:
                    halfway = True
                    for learner in learners:
                        learner.save(options.out / f"{learner.name}-two-thirds", number * options.batch_size)
                if share >= 1:
                    break
            keep(learners, options, number, time.monotonic() - first)
    for learner in learners:
        learner.save(options.out / learner.name, number * options.batch_size)
    print(Counter(window.kind for window in known), f"{number * options.batch_size} samples")


def keep(learners: list[Learner], options: argparse.Namespace, number: int, spent: float) -> None:
    """Keep the state of all networks after a round."""
    states = {learner.name: learner.state() for learner in learners}
    part = options.out / "state.part"
    torch.save({"number": number, "seconds": spent, "learners": states}, part)
    part.replace(options.out / "state.pt")


def resume(learners: list[Learner], options: argparse.Namespace) -> tuple[int, float]:
    """Go on from the last round of a run that was stopped: batches made, and seconds trained."""
    path = options.out / "state.pt"
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, map_location=options.device, weights_only=True)
    for learner in learners:
        learner.restore(state["learners"][learner.name])
    return state["number"], state["seconds"]


def batches(known: list[Known], maker: BatchMaker, options: argparse.Namespace, number: int) -> Any:  # noqa: ANN401
    """Make the batches of a round."""
    source = PlanSource(
        known,
        AUGMENT,
        batch_size=options.batch_size,
        seed=7,
        first=number,
        count=options.round,
        bent=BENT,
        quiet=QUIET,
    )
    loader = DataLoader(
        source,
        batch_size=None,
        num_workers=options.planners,
        prefetch_factor=4 if options.planners else None,
        collate_fn=_as_it_is,
        multiprocessing_context="fork" if options.planners else None,
    )
    return prefetch(map(maker, loader))


def _as_it_is(plan: Any) -> Any:  # noqa: ANN401
    return plan


def take_in(store: Path, maker: BatchMaker, known: list[Known], taken: set[Path]) -> None:
    """Take the windows in that have been simulated since."""
    for path in sorted(set(store.glob("*.pkl")) - taken):
        taken.add(path)
        for window in load_windows(path):
            maker.add(window.data, window.live)
            known.append(Known(window.kind, window.arrivals, window.live, window.data.shape[1]))


if __name__ == "__main__":
    main()
