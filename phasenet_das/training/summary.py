"""Labels of a training, advice, and the student against its start: for the log, the card and the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from phasenet_das.config import TrainSettings
from phasenet_das.tables import atomic_path
from phasenet_das.tables.columns import associated_phase
from phasenet_das.text import number
from phasenet_das.training.labels import EXTRAPOLATED, INTERPOLATED
from phasenet_das.training.windows import TrainingWindow, read_labels

_FEW_EVENTS = 20
_FEW_STEPS = 3_000  # from random weights: below, each front still gets both names
SUMMARY = "summary.json"
_SCORES = ("f1", "p_f1", "s_f1")


@dataclass(frozen=True)
class LabelCounts:
    """Labels of training windows."""

    windows: int = 0
    quiet_windows: int = 0  # of noise, besides
    events: int = 0
    channels: int = 0
    p_labels: int = 0
    s_labels: int = 0
    completed_share: float = 0.0  # of the labels: those by interpolation and extrapolation along the cable
    mean_confidence: float = 1.0


def count_labels(windows: Sequence[TrainingWindow]) -> LabelCounts:
    """Count labels, events (a window without an event_id is an event of its own) and channels."""
    events = [window for window in windows if not window.quiet]
    channels: set[tuple[str, int]] = set()
    p_labels = s_labels = completed = 0
    confidence = 0.0
    for window in events:
        picks = read_labels(window.labels, window.station_id)
        labels = picks[picks["event_index"] >= 0]
        phases = associated_phase(labels)
        p_labels += int((phases == "P").sum())
        s_labels += int((phases == "S").sum())
        channels |= {(window.station_id, int(channel)) for channel in labels["channel_index"].unique()}
        # Tables of others lack these columns: all labels are picks then.
        if "label_kind" in labels:
            completed += int(labels["label_kind"].isin((INTERPOLATED, EXTRAPOLATED)).sum())
        confidence += float(labels["label_confidence"].sum()) if "label_confidence" in labels else len(labels)
    total = max(p_labels + s_labels, 1)
    return LabelCounts(
        windows=len(events),
        quiet_windows=len(windows) - len(events),
        events=len({window.event_id or str(window.path) for window in events}),
        channels=len(channels),
        p_labels=p_labels,
        s_labels=s_labels,
        completed_share=completed / total,
        mean_confidence=confidence / total,
    )


@dataclass(frozen=True)
class TrainingSummary:
    """What a training learned from, and what came of it.

    `start` and `student` hold the F1 in validation of the given weights and of those kept.
    """

    training: LabelCounts
    validation: LabelCounts
    advice: tuple[str, ...] = ()
    start: Mapping[str, float] = field(default_factory=dict)
    student: Mapping[str, float] = field(default_factory=dict)

    def labels(self) -> str:
        """Describe the labels; empty if all samples are simulated."""
        found = self.training
        if not found.windows:
            return ""
        channels = _few(found.channels, "channel")
        sentences = [
            f"The labels are {found.p_labels:,} P and {found.s_labels:,} S on {channels}.",
            f"They are of {_few(found.events, 'event')} in {_few(found.windows, 'window')}.",
            f"Completion along the cable made {found.completed_share:.0%} of them.",
            f"Their mean confidence is {found.mean_confidence:.2f}.",
        ]
        if found.quiet_windows:
            sentences.append(f"Noise fills {_few(found.quiet_windows, 'more window')}.")
        if held_out := self.validation.windows:
            sentences.append(
                f"Validation has {_few(held_out, 'other window')} of {_few(self.validation.events, 'event')}."
            )
        return " ".join(sentences)

    @property
    def is_better(self) -> bool:
        """Whether the student beats its start in validation."""
        return self.student["f1"] > self.start["f1"]

    def outcome(self) -> str:
        """Compare the student with its start; empty without one, or without validation."""
        if "f1" not in self.start or "f1" not in self.student:
            return ""
        before, after = (
            [number(scores.get(name, math.nan), ".2f", "unknown") for name in _SCORES[1:]]
            for scores in (self.start, self.student)
        )
        change = f"F1 of P {before[0]} → {after[0]}, of S {before[1]} → {after[1]}"
        if self.is_better:
            return f"The student against its start, on the held-out events: {change}."
        return f"The student is not better than its start on the held-out events: {change}."

    def finished(self, start: Mapping[str, float], student: Mapping[str, float]) -> TrainingSummary:
        """Add the validation of the start and of the student."""
        return replace(self, start=_scores(start), student=_scores(student))

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> TrainingSummary:
        """Read what :meth:`write` wrote."""
        found = json.loads(path.read_text())
        training, validation = (LabelCounts(**found[name]) for name in ("training", "validation"))
        return cls(training, validation, tuple(found["advice"]), found["start"], found["student"])


def _few(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _scores(metrics: Mapping[str, float]) -> dict[str, float]:
    known = {name: metrics.get(name, math.nan) for name in _SCORES}
    return {name: round(value, 4) for name, value in known.items() if math.isfinite(value)}


def advise(settings: TrainSettings, counts: LabelCounts, steps: int, *, validates: bool) -> tuple[str, ...]:
    """Say what makes a training doubtful, and how to improve it."""
    advice = []
    if counts.windows and counts.events < _FEW_EVENTS:
        advice.append(
            f"Only {_few(counts.events, 'event')} to learn from: the network may learn by heart. Label more "
            f"recordings. {_FEW_EVENTS} events are a fair start."
        )
    if settings.weights is None and steps < _FEW_STEPS:
        advice.append(
            f"Only {steps:,} steps from random weights: P and S may still be mixed, because phases are "
            f"learned late. Set steps to {_FEW_STEPS:,} or more, or start from weights."
        )
    if not validates:
        advice.append(
            "Nothing validates: the last weights are kept, and their quality is unknown. Label more events, "
            "or set validation_windows."
        )
    return tuple(advice)
