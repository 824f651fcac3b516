"""Distillation: a small PhaseNet learns what another picker says of single traces, and what is true of them.

The other picker's probabilities are computed once, over whole traces, and kept. The target is a mean of the
true labels and of these probabilities (Hinton et al. 2015, section 2, at temperature one). Truth corrects the
other picker. The other picker says how clear an arrival is, and knows events that nobody labelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from phasenet_das.config import TrainSettings
from phasenet_das.errors import ConfigError, DataFormatError, WeightsError
from phasenet_das.models.phasenet import PhaseNet
from phasenet_das.models.weights import Weights
from phasenet_das.picking.windows import window_scores
from phasenet_das.simulate.seeds import generator
from phasenet_das.tables import atomic_path
from phasenet_das.training.checkpoint import initial_model
from phasenet_das.training.dataset import Key, TrainingSamples, normalize
from phasenet_das.training.ddp import find_world
from phasenet_das.training.loop import Trainer, TrainingResult
from phasenet_das.training.sample import PHASES, Sample
from phasenet_das.training.targets import make_targets

_ANCHORED = 0.6  # share of windows that are laid around an arrival, where the trace has one
_BATCH = 48


@dataclass(frozen=True)
class TraceSet:
    """Traces of one kind, each by itself.

    Attributes
    ----------
    data : numpy.ndarray, shape (trace, time), float16
        Any amplitude that float16 holds; a dead trace is zero.
    scores : numpy.ndarray, shape (trace, 2, time), float16
        Probabilities of P and S that the teacher gives.
    arrivals : numpy.ndarray, shape (trace, event, 2), float64
        True P and S, in samples; infinite where there is none.
    share : float
        How often traces of this kind are drawn, relative to others.
    truth_share : float
        Share of the true labels in the targets, from 0 to 1. The rest is the teacher's.
    """

    data: np.ndarray
    scores: np.ndarray
    arrivals: np.ndarray
    share: float = 1.0
    truth_share: float = 0.5

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        count, samples = self.data.shape
        scores, arrivals = self.scores.shape, self.arrivals.shape
        if scores != (count, len(PHASES), samples) or arrivals[::2] != (count, len(PHASES)):
            raise DataFormatError(
                f"traces: data {self.data.shape}, scores {scores}, arrivals {arrivals}; expected "
                "(trace, time), (trace, 2, time), (trace, event, 2)."
            )
        if not 0 <= self.truth_share <= 1:
            raise ConfigError(f"truth_share: found {self.truth_share}, expected a number from 0 to 1.")


def teacher_scores(teacher: Weights, data: np.ndarray) -> np.ndarray:
    """Let a PhaseNet score traces, each fed to all of its components, as the picker does it.

    `data` (trace, time). Returns (trace, 2, time) float16.
    """
    if not isinstance(teacher.model, PhaseNet):
        raise WeightsError(f"{teacher.name}: a {teacher.architecture}, expected a phasenet to learn from.")
    network, components = teacher.model.fused(), len(teacher.component_order)
    classes = [teacher.phases.index(phase) for phase in PHASES]
    with torch.inference_mode():
        scores = window_scores(
            torch.from_numpy(np.array(data, np.float32)),
            lambda x: network(x.expand(-1, components, -1)),
            window=teacher.window_samples,
            normalization=teacher.normalization,
            first_index=0,
            batch_size=_BATCH,
        )
    return scores[classes].transpose(0, 1).numpy().astype(np.float16)


def save_traces(traces: TraceSet, path: str | Path) -> Path:
    """Write traces whole or not at all."""
    path = Path(path)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, data=traces.data, scores=traces.scores, arrivals=traces.arrivals)
    return path


def load_traces(path: str | Path, share: float = 1.0, truth_share: float = 0.5) -> TraceSet:
    """Read traces."""
    try:
        with np.load(path) as file:
            return TraceSet(file["data"], file["scores"], file["arrivals"], share, truth_share)
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise DataFormatError(f"{path}: cannot be read as traces ({error!r}); make it anew.") from error


class DistillationSamples(TrainingSamples):
    """Samples whose channels are windows of unrelated traces, with mixed targets."""

    def __init__(
        self,
        sets: Sequence[TraceSet],
        settings: TrainSettings,
        *,
        varied: bool = True,
    ) -> None:
        super().__init__([], settings, varied=varied)
        lengths = {one.data.shape[1] for one in sets}
        if len(lengths) > 1 or min(lengths, default=settings.data.num_samples) < settings.data.num_samples:
            raise ConfigError(
                f"traces of {sorted(lengths)} samples: expected one length of "
                f"{settings.data.num_samples} (data.num_samples) or more."
            )
        self.sets = list(sets)
        shares = np.array([one.share for one in sets], float)
        self._weights = shares / max(shares.sum(), 1e-12)

    def __len__(self) -> int:
        """Count the samples in which each trace has room once."""
        return ceil(sum(len(one.data) for one in self.sets) / self.settings.data.num_channels)

    def sample(self, key: Key) -> Sample:
        """Draw the windows of one sample."""
        return self._windows(key)[0]

    def __getitem__(self, key: Key) -> tuple[Key, Tensor, Tensor, Tensor]:
        """Make the tensors of one sample: key, data (1, channel, time), targets (3, ...), mask."""
        sample, scores, truth_share = self._windows(key)
        targets = make_targets(sample, self.settings.data.label_sigma_s)[:3]
        targets[1:] = truth_share * targets[1:] + (1 - truth_share) * scores
        targets[0] = np.maximum(1 - targets[1:].sum(axis=0), 0)
        mask = np.broadcast_to(sample.live[:, None], sample.data.shape).astype(np.float32)
        return key, torch.from_numpy(sample.data[None]), torch.from_numpy(targets), torch.from_numpy(mask)

    def _windows(self, key: Key) -> tuple[Sample, np.ndarray, np.ndarray]:
        """Draw windows, the teacher's scores (2, channel, time), and the share of truth (channel, 1)."""
        data = self.settings.data
        rng = generator(self.settings.seed, "traces" if self.varied else "validation traces", *key)
        kinds = rng.choice(len(self.sets), data.num_channels, p=self._weights)
        windows = [_window(self.sets[kind], data.num_samples, rng) for kind in kinds]
        events = max(len(arrivals) for _, _, arrivals in windows)
        values = np.stack([piece for piece, _, _ in windows]).astype(np.float32)
        scores = np.stack([score for _, score, _ in windows], axis=1).astype(np.float32)
        arrivals = np.full((events, len(PHASES), data.num_channels), np.inf)
        for channel, (_, _, times) in enumerate(windows):
            arrivals[: len(times), :, channel] = times
        if self.varied:
            values *= rng.choice(np.array([-1, 1], np.float32), (data.num_channels, 1))
        sample = Sample.of(values, arrivals, 1.0 / data.sampling_rate_hz)
        truth_share = np.array([self.sets[kind].truth_share for kind in kinds], np.float32)
        return normalize(sample, data), scores, truth_share[:, None]


def _window(
    traces: TraceSet, num_samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut a window of one trace: samples, scores (2, time) and arrivals (event, 2)."""
    row = int(rng.integers(len(traces.data)))
    times = traces.arrivals[row]
    room = traces.data.shape[1] - num_samples
    inside = times[(times >= 0) & (times < traces.data.shape[1])]
    if len(inside) and rng.random() < _ANCHORED:
        start = int(np.clip(rng.choice(inside) - rng.integers(num_samples), 0, room))
    else:
        start = int(rng.integers(room + 1))
    span = slice(start, start + num_samples)
    return traces.data[row, span], traces.scores[row, :, span], times - start


def distill(
    settings: TrainSettings,
    training: Sequence[TraceSet],
    validation: Sequence[TraceSet] = (),
    *,
    progress: bool = False,
) -> TrainingResult:
    """Train a one-channel network on traces, or go on where the same run was interrupted."""
    if settings.architecture != "phasenet":
        raise ConfigError(f"architecture: found {settings.architecture}, expected phasenet for distillation.")
    samples = DistillationSamples(training, settings)
    if not len(samples):
        raise ConfigError("nothing to learn from: give at least one trace.")
    judged = DistillationSamples(validation, settings, varied=False)
    trainer = Trainer(settings, initial_model(settings), samples, judged, find_world(settings.device))
    return trainer.run(progress=progress)
