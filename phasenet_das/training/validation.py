"""Validation on a fixed set: loss, and picks held against the labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import nn

from phasenet_das.config import TrainSettings
from phasenet_das.evaluate.calibration import fit_calibration, scored_residuals
from phasenet_das.matching import match_picks
from phasenet_das.models.calibration import PickCalibration
from phasenet_das.picking.peaks import find_peaks, sub_sample_offset
from phasenet_das.simulate.seeds import generator
from phasenet_das.training.dataset import Key, TrainingSamples
from phasenet_das.training.ddp import World, sum_over_ranks
from phasenet_das.training.optimization import masked_loss_sum
from phasenet_das.training.sample import PHASES, Sample
from phasenet_das.training.targets import make_mask, make_targets

_SEPARATION_S = 0.5
_FAINT_SCORE = 0.05  # a calibration covers picks below any sensible threshold


@torch.inference_mode()
def validate(
    model: nn.Module, samples: TrainingSamples, settings: TrainSettings, world: World
) -> dict[str, float]:
    """Score a network on the fixed validation samples, shared out over the ranks."""
    numbers = _numbers(samples, settings)[world.rank :: world.size]
    sums = np.zeros(2)
    truth, picks = [_table(0, [])], [_table(0, [])]
    for number in numbers:
        sample = samples.sample(Key(0, number))
        mask = make_mask(sample, settings.data.label_sigma_s, settings.data.mask_guard_s)
        scores, loss = _score(model, sample, mask, settings, world)
        sums += (loss, mask.sum())
        truth.append(_table(number, true_picks(sample, mask)))
        picks.append(_table(number, found_picks(scores, mask, settings.min_score, sample.dt_s)))
    tolerance = {"P": settings.tolerance_p_s, "S": settings.tolerance_s_s}
    counts = _count(pd.concat(picks), pd.concat(truth), tolerance)
    both = np.concatenate([sums, counts.ravel()])
    device = world.device if world.on_cuda else "cpu"
    total = sum_over_ranks(torch.from_numpy(both).to(device), world).cpu().numpy()
    return _metrics(total[0] / max(total[1], 1), total[2:].reshape(counts.shape))


@torch.inference_mode()
def calibrate(
    model: nn.Module, samples: TrainingSamples, settings: TrainSettings, world: World
) -> PickCalibration:
    """Measure on the fixed validation samples what the scores of a network are worth."""
    tables = []
    for number in _numbers(samples, settings):
        sample = samples.sample(Key(0, number))
        mask = make_mask(sample, settings.data.label_sigma_s, settings.data.mask_guard_s)
        scores = _score(model, sample, mask, settings, world)[0]
        found = _table(number, found_picks(scores, mask, _FAINT_SCORE, sample.dt_s))
        found["phase_score"] = _scores_at(scores, found, sample.dt_s)
        true = _table(number, true_picks(sample, mask))
        tables.append(
            scored_residuals(found, true, {"P": settings.tolerance_p_s, "S": settings.tolerance_s_s})
        )
    if not tables:
        return PickCalibration({})
    table = pd.concat(tables, ignore_index=True)
    table["residual_samples"] = table["residual_s"] * settings.data.sampling_rate_hz
    return fit_calibration(table, source="validation samples of the training")


def _numbers(samples: TrainingSamples, settings: TrainSettings) -> list[int]:
    """Choose the fixed samples: of all sources, so that windows of noise are among them."""
    order = generator(settings.seed, "validation order").permutation(len(samples))
    return [int(number) for number in np.sort(order[: settings.validation_samples])]


def _scores_at(scores: np.ndarray, picks: pd.DataFrame, dt_s: float) -> np.ndarray:
    sample = np.rint(picks["phase_time"].to_numpy("datetime64[ns]").astype(np.int64) * 1e-9 / dt_s)
    code = 1 + (picks["phase_type"] == "S").to_numpy().astype(int)
    values: np.ndarray = scores[code, picks["channel_index"].to_numpy(), sample.astype(int)]
    return values


def _score(
    model: nn.Module, sample: Sample, mask: np.ndarray, settings: TrainSettings, world: World
) -> tuple[np.ndarray, float]:
    logits = model(torch.from_numpy(sample.data[None, None]).to(world.device)).float()
    targets = torch.from_numpy(make_targets(sample, settings.data.label_sigma_s)[None])
    tensors = (targets.to(world.device), torch.from_numpy(mask[None]).to(world.device))
    loss = masked_loss_sum(logits, *tensors, settings.phase_weights)
    return torch.softmax(logits[0], dim=0).cpu().numpy(), float(loss)


def true_picks(sample: Sample, mask: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """List the labels that count.

    `mask` (channel, time).
    """
    found = []
    for code, phase in enumerate(PHASES):
        times = sample.arrivals[:, code]
        event, row = np.nonzero(np.isfinite(times) & (times >= 0) & (times <= mask.shape[1] - 1))
        where = times[event, row]
        trusted = mask[row, np.rint(where).astype(np.int64)] > 0
        found.append((phase, row[trusted], where[trusted] * sample.dt_s))
    return found


def found_picks(
    scores: np.ndarray, mask: np.ndarray, min_score: float, dt_s: float
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Pick a sample where labels can be trusted.

    `scores` (3, channel, time), `mask` (channel, time).
    """
    found = []
    for phase, score in zip(PHASES, scores[1:], strict=True):
        row, sample = find_peaks(score, min_score, max(1, round(_SEPARATION_S / dt_s)))
        trusted = mask[row, sample] > 0
        row, sample = row[trusted], sample[trusted]
        found.append((phase, row, (sample + sub_sample_offset(score, row, sample)) * dt_s))
    return found


def _table(number: int, found: list[tuple[str, np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Make a pick table in which each sample is a station."""
    phases = [np.full(len(row), phase) for phase, row, _ in found]
    seconds = np.concatenate([np.empty(0), *(time for _, _, time in found)])
    return pd.DataFrame(
        {
            "station_id": pd.Series(np.full(len(seconds), str(number)), dtype="str"),
            "channel_index": np.concatenate([np.empty(0, np.int64), *(row for _, row, _ in found)]),
            "phase_type": pd.Series(np.concatenate([np.empty(0, "U1"), *phases]), dtype="str"),
            "phase_time": pd.to_datetime((seconds * 1e9).astype(np.int64), unit="ns", utc=True),
        }
    )


def _count(picks: pd.DataFrame, truth: pd.DataFrame, tolerance_s: dict[str, float]) -> np.ndarray:
    """Count by phase, shape (2, count): what can be summed over ranks."""
    picks, truth = picks.reset_index(drop=True), truth.reset_index(drop=True)
    pairs = match_picks(picks, truth, tolerance_s)
    phase_of_pair = truth["phase_type"].to_numpy()[pairs["truth_row"]]
    rows = []
    for phase in PHASES:
        residual = pairs["residual_s"].to_numpy()[phase_of_pair == phase]
        numbers = ((truth["phase_type"] == phase).sum(), (picks["phase_type"] == phase).sum(), len(residual))
        rows.append([*numbers, residual.sum(), np.abs(residual).sum(), np.square(residual).sum()])
    return np.array(rows, np.float64)


def _metrics(loss: float, counts: np.ndarray) -> dict[str, float]:
    out: dict[str, float] = {"loss": float(loss)}
    for phase, row in zip(PHASES, counts, strict=True):
        for name, value in _phase_metrics(*row).items():
            out[f"{phase.lower()}_{name}"] = value
    known = [out[name] for name in ("p_f1", "s_f1") if not np.isnan(out[name])]
    out["f1"] = float(np.mean(known)) if known else float("nan")
    return out


def _phase_metrics(
    truth: float, picks: float, matched: float, residual: float, absolute: float, squared: float
) -> dict[str, float]:
    def share(part: float, whole: float) -> float:
        return float(part / whole) if whole else float("nan")

    bias = share(residual, matched)
    return {
        "precision": share(matched, picks),
        "recall": share(matched, truth),
        "f1": share(2 * matched, truth + picks),
        "bias_s": bias,
        "std_s": float(np.sqrt(max(share(squared, matched) - bias**2, 0.0))) if matched else float("nan"),
        "mae_s": share(absolute, matched),
    }
