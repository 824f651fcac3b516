"""Training of the networks: labels, samples, augmentation, and a loop for one process or many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasenet_das.training.cutting import cut_windows
    from phasenet_das.training.loop import Trainer, TrainingResult, overfit_one_batch, train
    from phasenet_das.training.sample import Sample
    from phasenet_das.training.windows import TrainingWindow, find_windows, open_window, write_window

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

_HOMES = {
    "Sample": "sample",
    "Trainer": "loop",
    "TrainingResult": "loop",
    "overfit_one_batch": "loop",
    "train": "loop",
    "TrainingWindow": "windows",
    "cut_windows": "cutting",
    "find_windows": "windows",
    "open_window": "windows",
    "write_window": "windows",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public object
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
