"""The model folder that every training ends with: weights, settings, and a card that says what they are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from phasenet_das.config import TrainSettings
from phasenet_das.models.calibration import PickCalibration
from phasenet_das.models.weights import load_weights, save_weights
from phasenet_das.tables import atomic_path
from phasenet_das.tables.provenance import provenance
from phasenet_das.text import number
from phasenet_das.training.summary import TrainingSummary

_COLUMNS = ("precision", "recall", "f1", "bias_s", "std_s")
_CARD = """---
license: {license}
library_name: phasenet-das
tags: [seismology, das, phase-picking]
---

# {architecture}

{size:,} parameters. Input: fibre channels, (batch, 1, channel, time) at {data.sampling_rate_hz:g} Hz,
normalisation {data.normalization}. Output: noise, P, S.

## Data

{description}

Samples of {data.num_channels} channels x {data.num_samples} samples. Labels have {data.label_sigma_s:g} s
standard deviation. Events of the validation set were not trained on.

## Training

{training}

## Validation

Fixed set of up to {settings.validation_samples} samples, threshold {settings.min_score:g}. Loss {loss:.4g}
nats per pixel.

| phase | tolerance (s) | precision | recall | F1 | bias (s) | std (s) |
|---|---|---|---|---|---|---|
{rows}

## Limits

Measured on data like those of the training only: look at picks on your own cable before relying on them.
Fine-tune with `student: {{weights: THIS_FOLDER}}`; see docs/training.md.
"""


def save_model(
    folder: str | Path,
    model: nn.Module,
    settings: TrainSettings,
    metrics: Mapping[str, float],
    facts: Mapping[str, Any],
    calibration: PickCalibration | None = None,
    summary: TrainingSummary | None = None,
) -> Path:
    """Write a trained network as a model folder."""
    data = settings.data
    folder = save_weights(
        folder,
        model,
        architecture=settings.architecture,
        model_args=getattr(model, "model_args", settings.model_args),
        sampling_rate_hz=data.sampling_rate_hz,
        phases="NPS",
        component_order="1",
        normalization=data.normalization,
        window_samples=_window_samples(settings),
        provenance={
            **provenance(settings=settings),
            "license": settings.license,
            "data": settings.data_description,
            "label_sigma_s": data.label_sigma_s,
            "rates": _rates(settings),
            "trained_rate_hz": settings.trained_rate_hz,
            "trained_dx_m": settings.trained_dx_m,
            "num_channels": data.num_channels,
            "num_samples": data.num_samples,
            "metrics": {name: None if math.isnan(value) else value for name, value in metrics.items()},
            **facts,
            **({} if summary is None else {"summary": asdict(summary)}),
        },
        calibration=calibration if calibration is not None and calibration.curves else None,
    )
    with atomic_path(folder / "README.md") as temporary:
        temporary.write_text(model_card(model, settings, metrics, facts, summary))
    return folder


def _rates(settings: TrainSettings) -> str:
    """Tell at which rates pickers show recordings to the network: at those that it was trained on."""
    if settings.rates is not None:
        return settings.rates
    known = settings.weights is not None and load_weights(settings.weights).sees_scales
    return "octaves" if known else "model"


def model_card(
    model: nn.Module,
    settings: TrainSettings,
    metrics: Mapping[str, float],
    facts: Mapping[str, Any],
    summary: TrainingSummary | None = None,
) -> str:
    """Write the model card."""
    data = settings.data
    size = sum(parameter.numel() for parameter in model.parameters())
    rows = [
        f"| {phase} | {tolerance:g} | "
        + " | ".join(
            number(metrics.get(f"{phase.lower()}_{name}", math.nan), ".3f", "-") for name in _COLUMNS
        )
        + " |"
        for phase, tolerance in (("P", settings.tolerance_p_s), ("S", settings.tolerance_s_s))
    ]
    start = f"Started from {settings.weights or 'random'} weights."
    if settings.weights and settings.start_share:
        start = f"{start} Their share in the result is {settings.start_share:g}."
    frozen = f" Not trained: {', '.join(settings.freeze)}." if settings.freeze else ""
    done = "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())
    loss = metrics.get("loss", float("nan"))
    described = settings.data_description or "Not described: set student.data_description."
    told = [] if summary is None else [summary.outcome(), *summary.advice]
    return _CARD.format(
        license=json.dumps(settings.license),
        architecture=settings.architecture,
        size=size,
        data=data,
        description=" ".join([described, *([summary.labels()] if summary else [])]).strip(),
        training=" ".join([f"{start}{frozen} {done}.", *told]).strip(),
        settings=settings,
        loss=loss,
        rows="\n".join(rows),
    )


def _window_samples(settings: TrainSettings) -> int:
    """Length that the network's amplitudes refer to: the moving window, or the whole sample."""
    data = settings.data
    moving = data.normalization.startswith("moving")
    return round(data.normalization_window_s * data.sampling_rate_hz) if moving else data.num_samples
