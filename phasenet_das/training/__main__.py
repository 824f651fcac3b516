"""Training from the command line, for launchers: ``torchrun ... -m phasenet_das.training --config FILE``."""

from __future__ import annotations

import argparse
import ctypes
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from gamma.errors import GammaError
from phasenet_das.config import load_config
from phasenet_das.errors import PhaseNetDASError

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of malloc.h
_FREED_BYTES = 2**30


def run(config: str | Path, *, overfit: bool = False) -> int:
    """Train by a file of settings, and say how it went."""
    settings = load_config(config).student
    from phasenet_das.training import overfit_one_batch, train  # torch, after what can fail early
    from phasenet_das.training.ddp import find_world

    _keep_freed_memory()
    # What was chosen is said before the hours it takes, without -v too.
    logging.getLogger("phasenet_das.training").setLevel(logging.INFO)
    if overfit:
        losses = overfit_one_batch(settings)
        _say(f"loss of one batch: {losses[0]:.4g} at first, {losses[-1]:.4g} after {len(losses)} steps")
        return 0
    result = train(settings, progress=True)
    if find_world(settings.device).is_first:
        end = "finished" if result.finished else "stopped by a signal and saved (the same command resumes)"
        scores = {name: round(value, 3) for name, value in result.metrics.items() if name.endswith("f1")}
        _say(f"{end} at step {result.step}, validation {scores} -> {result.folder}")
    return 0 if result.finished else 128 + result.signal_number


def _keep_freed_memory() -> None:
    """Let the C library keep what a step frees: fresh pages cost a tenth of a step on a CPU."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is not None and hasattr(library, "mallopt"):  # glibc: others lack it
        library.mallopt(_TRIM_THRESHOLD, _FREED_BYTES)
        library.mallopt(_MMAP_THRESHOLD, _FREED_BYTES)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and train."""
    parser = argparse.ArgumentParser(prog="python -m phasenet_das.training", description="Train a network.")
    parser.add_argument("--config", required=True, help="YAML of settings with a section student")
    parser.add_argument("--overfit-one-batch", action="store_true", help="only learn one batch by heart")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        return run(given.config, overfit=given.overfit_one_batch)
    except (PhaseNetDASError, GammaError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
