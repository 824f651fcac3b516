"""Distillation: a PhaseNet learns the output of another PhaseNet on single traces, mixed with the truth.

The other network sees the very windows that the first one learns from. Many windows are mixtures of unrelated
traces. So the first network learns a function, and not only the answers to some records (Beyer et al. 2022,
arXiv:2106.05237). The target is a mean of the true labels and of the other network's probabilities (Hinton et
al. 2015, section 2, at temperature one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from phasenet_das.simulate.seeds import generator
from phasenet_das.tables import atomic_path
from phasenet_das.training.checkpoint import initial_model
from phasenet_das.training.dataset import Key, TrainingSamples, normalize
from phasenet_das.training.ddp import find_world
from phasenet_das.training.loop import Trainer, TrainingResult
from phasenet_das.training.sample import PHASES, Sample
from phasenet_das.training.targets import make_targets

_ANCHORED = 0.6  # share of windows that are laid around an arrival, where the trace has one
_MIXED = 0.5  # share of windows to which another one is added
_MIXTURE_DB = (-30.0, 6.0)  # rms of what is added, to that of the window
_TILTED = 0.3  # share of windows whose spectrum is tilted
_TILT_HZ = (0.5, 10.0)  # corner above which a tilt grows or falls


@dataclass(frozen=True)
class TraceSet:
    """Traces of one kind, each by itself.

    Attributes
    ----------
    data : numpy.ndarray, shape (trace, time), float16
        Any amplitude that float16 holds; a dead trace is zero.
    arrivals : numpy.ndarray, shape (trace, event, 2), float64
        True P and S, in samples; infinite where there is none.
    share : float
        How often traces of this kind are drawn, relative to others.
    truth_share : float
        Share of the true labels in the targets, from 0 to 1. The rest is the teacher's.
    """

    data: np.ndarray
    arrivals: np.ndarray
    share: float = 1.0
    truth_share: float = 0.5

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        arrivals = self.arrivals.shape
        if self.data.ndim != 2 or arrivals[::2] != (len(self.data), len(PHASES)):
            raise DataFormatError(
                f"traces: data {self.data.shape}, arrivals {arrivals}. Expected (trace, time) and "
                "(trace, event, 2)."
            )
        if not 0 <= self.truth_share <= 1:
            raise ConfigError(f"truth_share: found {self.truth_share}, expected a number from 0 to 1.")


class Teacher:
    """A PhaseNet that scores single windows, each fed to all of its components, as the picker does it."""

    def __init__(self, weights: Weights) -> None:
        if not isinstance(weights.model, PhaseNet):
            raise WeightsError(
                f"{weights.name}: a {weights.architecture}, expected a phasenet to learn from."
            )
        self._network, self._components = weights.model.fused(), len(weights.component_order)
        self._classes = [weights.phases.index(phase) for phase in PHASES]

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Score standardised windows (trace, time). Returns (2, trace, time) float32."""
        with torch.inference_mode():
            data = torch.from_numpy(windows)[:, None].expand(-1, self._components, -1)
            scores = self._network(data).softmax(dim=1)[:, self._classes]
        return scores.transpose(0, 1).numpy()


def save_traces(traces: TraceSet, path: str | Path) -> Path:
    """Write traces whole or not at all."""
    path = Path(path)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, data=traces.data, arrivals=traces.arrivals)
    return path


def load_traces(path: str | Path, share: float = 1.0, truth_share: float = 0.5) -> TraceSet:
    """Read traces."""
    try:
        with np.load(path) as file:
            return TraceSet(file["data"], file["arrivals"], share, truth_share)
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise DataFormatError(f"{path}: cannot be read as traces ({error!r}); make it anew.") from error


class DistillationSamples(TrainingSamples):
    """Samples whose channels are windows of unrelated traces and mixtures of them, with mixed targets."""

    def __init__(
        self,
        sets: Sequence[TraceSet],
        settings: TrainSettings,
        teacher: Callable[[np.ndarray], np.ndarray],
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
        self.sets, self.teacher = list(sets), teacher
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
        sample, truth_share = self._windows(key)
        scores = self.teacher(sample.data)
        targets = make_targets(sample, self.settings.data.label_sigma_s)[:3]
        targets[1:] = truth_share * targets[1:] + (1 - truth_share) * scores
        targets[0] = np.maximum(1 - targets[1:].sum(axis=0), 0)
        mask = np.broadcast_to(sample.live[:, None], sample.data.shape).astype(np.float32)
        return key, torch.from_numpy(sample.data[None]), torch.from_numpy(targets), torch.from_numpy(mask)

    def _windows(self, key: Key) -> tuple[Sample, np.ndarray]:
        """Draw windows, and the share of truth in their targets (channel, 1)."""
        data = self.settings.data
        rng = generator(self.settings.seed, "traces" if self.varied else "validation traces", *key)
        kinds = rng.choice(len(self.sets), data.num_channels, p=self._weights)
        windows = [self._window(self.sets[kind], rng) for kind in kinds]
        events = max(len(arrivals) for _, arrivals in windows)
        arrivals = np.full((events, len(PHASES), data.num_channels), np.inf)
        for channel, (_, times) in enumerate(windows):
            arrivals[: len(times), :, channel] = times
        values = np.stack([piece for piece, _ in windows])
        truth_share = np.array([self.sets[kind].truth_share for kind in kinds], np.float32)
        sample = normalize(Sample.of(values, arrivals, 1.0 / data.sampling_rate_hz), data)
        return sample, truth_share[:, None]

    def _window(self, traces: TraceSet, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Cut a window of a trace, and add one of any kind to it; samples, and arrivals (event, 2)."""
        settings = self.settings.data
        window, times = _cut(traces, settings.num_samples, rng)
        if not self.varied:
            return window, times
        if rng.random() < _MIXED:
            kind = int(rng.choice(len(self.sets), p=self._weights))
            other, others = _cut(self.sets[kind], settings.num_samples, rng)
            window = window + 10 ** (rng.uniform(*_MIXTURE_DB) / 20) * other
            times = np.concatenate([times, others])
        if rng.random() < _TILTED:
            window = _tilted(window, settings.sampling_rate_hz, rng)
        return window * rng.choice(np.array([-1, 1], np.float32)), times


def _cut(traces: TraceSet, num_samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cut a window of one trace: samples of unit rms, and arrivals (event, 2)."""
    row = int(rng.integers(len(traces.data)))
    times = traces.arrivals[row]
    room = traces.data.shape[1] - num_samples
    inside = times[(times >= 0) & (times < traces.data.shape[1])]
    if len(inside) and rng.random() < _ANCHORED:
        start = int(np.clip(rng.choice(inside) - rng.integers(num_samples), 0, room))
    else:
        start = int(rng.integers(room + 1))
    window = traces.data[row, start : start + num_samples].astype(np.float32)
    window -= window.mean()
    return window / max(float(window.std()), 1e-6), times - start


def _tilted(window: np.ndarray, rate_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Let a spectrum grow or fall above a corner, by up to a power of one of the frequency."""
    hertz = np.fft.rfftfreq(len(window), 1 / rate_hz)
    corner = np.exp(rng.uniform(*np.log(_TILT_HZ)))
    shape = (1 + hertz / corner) ** rng.uniform(-1, 1)
    tilted: np.ndarray = np.fft.irfft(np.fft.rfft(window) * shape, len(window)).astype(np.float32)
    return tilted


def distill(
    settings: TrainSettings,
    training: Sequence[TraceSet],
    validation: Sequence[TraceSet] = (),
    *,
    teacher: Weights,
    progress: bool = False,
) -> TrainingResult:
    """Train a one-channel network on traces, or go on where the same run was interrupted."""
    if settings.architecture != "phasenet":
        raise ConfigError(f"architecture: found {settings.architecture}, expected phasenet for distillation.")
    heard = Teacher(teacher)
    samples = DistillationSamples(training, settings, heard)
    if not len(samples):
        raise ConfigError("nothing to learn from: give at least one trace.")
    judged = DistillationSamples(validation, settings, heard, varied=False)
    trainer = Trainer(settings, initial_model(settings), samples, judged, find_world(settings.device))
    return trainer.run(progress=progress)
