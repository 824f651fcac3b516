"""Settings of the picking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from phasenet_das.config.section import WEIGHTS, ConfigSection, unit

_WEIGHTS = "Network: a bundled model, seisbench:NAME, or a folder of weights."
_Rate = float | tuple[float, ...] | Literal["native", "model", "octaves"] | None


class PickSettings(ConfigSection):
    """Picking of the catalog. If the run trains a student, the student replaces the weights."""

    renamed: ClassVar[Mapping[str, str]] = {"stack_channels": "'average_channels'"}

    weights: str = Field("phasenet-das", description=_WEIGHTS, json_schema_extra=WEIGHTS)
    weights_sha256: str | None = Field(None, description="Required digest of the weight file.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "float32",
        description="Numbers that the network multiplies. bfloat16 takes about a third less time on "
        "CPUs with AMX or AVX-512 BF16. Most scores then differ by less than 0.03. auto is bfloat16 on "
        "processors with hardware for it (these CPUs, GPUs since 2020), and float32 elsewhere.",
    )
    min_score: float = Field(0.3, gt=0, lt=1, description="Smallest score of a pick.")
    min_score_p: float | None = Field(
        None, gt=0, lt=1, description="Smallest score of a P pick, if it differs."
    )
    min_score_s: float | None = Field(
        None, gt=0, lt=1, description="Smallest score of an S pick, if it differs."
    )
    faint_score: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Also list picks down to this score. They change no other pick. `associate --min-score` "
        "skips them. `windows --faint` uses them to find noise.",
    )
    min_separation_s: float = Field(
        0.5,
        gt=0,
        description="Minimum time between two picks of the same phase on one channel. Of closer picks, the "
        "one with the higher score is kept. In seconds of the model's time axis.",
        json_schema_extra=unit("s"),
    )
    rate: _Rate = Field(
        None,
        description="Sampling rates of the data for the network: one number or several, 'model' (the rate of "
        "the training), 'native' (the rate of the recording) or 'octaves' (several rates, each half of the "
        "previous one). If empty, octaves for PhaseNet-DAS and model for single-channel networks. At another "
        "rate than that of the training, time runs slower or faster for the network. Pick times stay true.",
        json_schema_extra=unit("Hz"),
    )
    component: Literal["all", "E", "N", "Z"] = Field(
        "all", description="Components of a three-component network that receive the channel."
    )
    common_mode: Literal["median"] | None = Field(
        None, description="Subtract the median over all channels from each sample."
    )
    average_channels: int | None = Field(
        None,
        ge=1,
        description="Number of neighbouring channels to average. Every channel receives the scores of its "
        "average. If empty, 1 for single-channel networks. For PhaseNet-DAS, the channels within half a "
        "gauge length, or within 12.5 m at 100 Hz (more at lower rates).",
    )
    to_strain_rate: bool = Field(False, description="Differentiate strain in time, for recordings of strain.")
    bandpass_hz: tuple[float, float] | None = Field(
        None,
        description="Corners of a linear-phase band-pass filter, without delay. The filter smears sharp "
        "onsets to both sides by about 1 / width.",
        json_schema_extra=unit("Hz"),
    )
    batch_size: int = Field(48, ge=1, description="Windows of a forward pass. Changes speed and memory only.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        rates = self.rate if isinstance(self.rate, tuple) else (self.rate,)
        if not rates or any(isinstance(rate, float) and rate <= 0 for rate in rates):
            raise ValueError(
                f"rate: found {self.rate}, expected positive numbers, 'native', 'model', 'octaves' or nothing"
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
    """Picking of the labels of the first round. Without training, this section is not used."""

    weights: str = Field("phasenet", description=_WEIGHTS, json_schema_extra=WEIGHTS)
    rate: _Rate = Field(
        "octaves",
        description="Sampling rates of the data for the network, as in `pick`. Several rates make better "
        "labels, above all of distant events, whose waves are too long for a network of 100 Hz.",
        json_schema_extra=unit("Hz"),
    )
