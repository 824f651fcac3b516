"""Checkpoints: everything that a killed run needs to go on as if nothing had happened."""

from __future__ import annotations

import pickle
import signal
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from phasenet_das.config import TrainSettings
from phasenet_das.config.files import config_hash
from phasenet_das.errors import ConfigError, WeightsError
from phasenet_das.tables import atomic_path

# What may change between a run and its continuation, since it changes no number or is compared by itself.
_FREE = (
    "output", "device", "num_workers", "tensorboard", "log_every", "save_every", "license",
    "data_description", "trained_rate_hz", "trained_dx_m", "rates", "batch_size", "accumulate", "amp",
)  # fmt: skip


class StopSignal:
    """Context in which SIGTERM and SIGINT are noted, so that a run can save at the end of its step."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        self._before = {
            number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)
        }

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number


def run_identity(settings: TrainSettings, world_size: int, windows: str) -> dict[str, Any]:
    """Describe what a continued run must have in common with the one before; `windows`: their digest."""
    kept = {name: getattr(settings, name) for name in TrainSettings.model_fields if name not in _FREE}
    return {
        "settings": config_hash(TrainSettings(**kept)),
        "amp": settings.amp,
        "samples_per_step": settings.batch_size * settings.accumulate * world_size,
        "windows": windows,
    }


def check_same_run(found: dict[str, Any], expected: dict[str, Any], path: Path) -> None:
    """Refuse to continue a run with other settings, windows or labels."""
    found = {"windows": expected["windows"], **found}  # older checkpoints lack it
    differing = [name for name, value in expected.items() if found.get(name) != value]
    if differing:
        raise ConfigError(
            f"{path}: made by a run that differs in {' and '.join(differing)} (found {found}, expected "
            f"{expected}). Use its settings, windows and labels, or another output folder."
        )


def save_checkpoint(state: dict[str, Any], path: str | Path) -> Path:
    """Write a checkpoint whole or not at all."""
    path = Path(path)
    with atomic_path(path) as temporary:
        torch.save(state, temporary)
    return path


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU."""
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(f"{path}: a damaged checkpoint ({error}). Delete it to begin anew.") from error


def initial_model(settings: TrainSettings) -> nn.Module:
    """Build the network by name, with random weights by the seed or with given ones, which have a shape.

    Raises
    ------
    ConfigError
        The network of this architecture cannot be used with this normalisation, or `model_args` differ from
        the shape of the given weights.
    WeightsError
        The given weights are of another architecture, or their classes are not noise, P and S.
    """
    from phasenet_das.models.weights import build_model, load_weights

    if settings.weights is None:
        _check_normalization(settings)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            return build_model(settings.architecture, settings.model_args)
    weights = load_weights(settings.weights)
    if weights.architecture != settings.architecture:
        raise WeightsError(
            f"{settings.weights}: of architecture {weights.architecture}, expected {settings.architecture}. "
            "Set student.architecture."
        )
    _check_normalization(settings)
    own = getattr(weights.model, "model_args", {})
    others = [name for name, value in settings.model_args.items() if value != own.get(name)]
    if others:
        raise ConfigError(
            f"model_args: {', '.join(others)} differ from the shape of {settings.weights}. Leave them out."
        )
    if weights.phases != "NPS":
        raise WeightsError(
            f"{settings.weights}: found classes in the order {weights.phases}, expected NPS, that of the "
            "labels. Start from other weights, or from random ones (weights: null)."
        )
    return weights.model


def _check_normalization(settings: TrainSettings) -> None:
    from phasenet_das.models.weights import NORMALIZATIONS

    name, known = settings.data.normalization, NORMALIZATIONS.get(settings.architecture)
    if known and name not in known:
        raise ConfigError(
            f"student.data.normalization: found {name}, expected one that {settings.architecture} is used "
            f"with: {', '.join(known)}."
        )
