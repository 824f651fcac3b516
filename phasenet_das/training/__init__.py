"""Training of the networks: labels, samples, augmentation, and a loop for one process or many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.training.cutter import cut_windows
    from phasenet_das.training.loop import Trainer, TrainingResult, overfit_one_batch, train
    from phasenet_das.training.sample import Sample
    from phasenet_das.training.windows import (
        TrainingWindow,
        find_windows,
        open_window,
        write_window,
    )

__all__ = [
    "Sample",
    "Trainer",
    "TrainingResult",
    "TrainingWindow",
    "cut_windows",
    "find_windows",
    "open_window",
    "overfit_one_batch",
    "train",
    "write_window",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".loop": "Trainer TrainingResult overfit_one_batch train",
        ".cutter": "cut_windows",
        ".sample": "Sample",
        ".windows": "TrainingWindow find_windows open_window write_window",
    },
)
