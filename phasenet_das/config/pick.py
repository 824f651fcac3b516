"""Settings of the picking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from phasenet_das.config.section import WEIGHTS, ConfigSection, unit

_WEIGHTS = "Bundled model, seisbench:NAME, or a folder of weights."


class PickSettings(ConfigSection):
    """How arrivals of the catalog are picked. A student that the run trains replaces the weights."""

    renamed: ClassVar[Mapping[str, str]] = {"stack_channels": "'average_channels'"}

    weights: str = Field("phasenet-das", description=_WEIGHTS, json_schema_extra=WEIGHTS)
    weights_sha256: str | None = Field(None, description="Digest that the weight file must have.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    min_score: float = Field(0.3, gt=0, lt=1, description="Smallest probability of a pick.")
    min_score_p: float | None = Field(None, gt=0, lt=1, description="The same for P only.")
    min_score_s: float | None = Field(None, gt=0, lt=1, description="The same for S only.")
    faint_score: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="List picks down to this probability as well. They change no other pick. `associate "
        "--min-score` skips them, `windows --faint` finds noise where not even they are.",
    )
    min_separation_s: float = Field(
        0.5,
        gt=0,
        description="Minimum time between two picks of the same phase on one channel. Of closer picks, the "
        "one with the higher score is kept. In seconds of the model's time axis.",
        json_schema_extra=unit("s"),
    )
    rate: float | tuple[float, ...] | Literal["native", "model"] | None = Field(
        None,
        description="Sampling rates at which the network sees the data: one number or several, 'model' for "
        "the rate of the training, 'native' for the rate of the recording. Empty for the rule: networks of "
        "single channels see the rate of their training, PhaseNet-DAS several, each half of the one "
        "before. At another rate than that of the training, time runs slower or faster for the network. "
        "Pick times are always true.",
        json_schema_extra=unit("Hz"),
    )
    component: Literal["all", "E", "N", "Z"] = Field(
        "all", description="Components of a three-component network that each channel is fed to."
    )
    common_mode: Literal["median"] | None = Field(
        None, description="Subtract at each sample the median over all channels."
    )
    average_channels: int | None = Field(
        None,
        ge=1,
        description="Average this many neighbouring channels; scores return to every channel. Empty for the "
        "rule: 1 for networks of single channels; for PhaseNet-DAS those within half a gauge length, or "
        "within 12.5 m at 100 Hz (more at lower rates).",
    )
    to_strain_rate: bool = Field(False, description="Differentiate strain in time.")
    bandpass_hz: tuple[float, float] | None = Field(
        None,
        description="Corners of a linear-phase band-pass filter, its delay removed. The filter smears sharp "
        "onsets to both sides by about 1 / width.",
        json_schema_extra=unit("Hz"),
    )
    batch_size: int = Field(48, ge=1, description="Windows a forward pass; changes speed and memory only.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        rates = self.rate if isinstance(self.rate, tuple) else (self.rate,)
        if not rates or any(isinstance(rate, float) and rate <= 0 for rate in rates):
            raise ValueError(
                f"rate: found {self.rate}, expected positive numbers, 'native', 'model' or nothing"
            )
        if self.bandpass_hz is not None and not 0 < self.bandpass_hz[0] < self.bandpass_hz[1]:
            raise ValueError(f"bandpass_hz: found {list(self.bandpass_hz)}, expected 0 < low < high")
        return self

    def thresholds(self) -> dict[str, float]:
        """Return the smallest score of P and of S, by phase."""
        return {
            "P": self.min_score if self.min_score_p is None else self.min_score_p,
            "S": self.min_score if self.min_score_s is None else self.min_score_s,
        }

    def listed_down_to(self) -> dict[str, float]:
        """Return the smallest score of P and of S that is listed, with the faint ones."""
        faint = 1.0 if self.faint_score is None else self.faint_score
        return {phase: min(score, faint) for phase, score in self.thresholds().items()}


class TeacherSettings(PickSettings):
    """How the arrivals are picked that label the first round of training; not read without training."""

    weights: str = Field("phasenet", description=_WEIGHTS, json_schema_extra=WEIGHTS)
