"""Every setting of the workflow, with its default, unit and meaning: the only place they are written.

The JSON schema (``configs/schema.json``) and the commented default (``configs/default.yaml``) are
generated from these models by ``python -m phasenet_das.config``.
"""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import yaml
from pydantic import BaseModel, Field, model_validator
from pydantic.fields import FieldInfo

from gamma.config import AssociationConfig
from gamma.errors import nearest_name
from gamma.settings import Settings
from phasenet_das.errors import ConfigError

_NAME = r"^[A-Za-z0-9._-]+$"


class _Section(Settings):
    error_type: ClassVar[type[ValueError]] = ConfigError


def _unit(name: str) -> dict[str, Any]:
    return {"unit": name}


class DataSettings(_Section):
    """The recordings, and what their files do not say."""

    inputs: tuple[str, ...] = Field(
        (), description="Files, folders or glob patterns of recordings, relative to where the command is run."
    )
    alternatives: tuple[str, ...] = Field(
        (),
        description="Read instead when none of the inputs exists; 'daspy:example' is the Brady record that "
        "the package daspy-toolbox carries.",
    )
    station_id: str | None = Field(
        None,
        min_length=1,
        description="Name of the cable in all tables; empty for the name that the files give.",
        pattern=_NAME,
    )
    start_time: str | None = Field(
        None,
        description="Time of the first sample, ISO 8601, UTC unless it names a zone; only for files that "
        "do not say.",
    )
    dt_s: float | None = Field(
        None, gt=0, description="Sampling interval, for files that do not say.", json_schema_extra=_unit("s")
    )
    dx_m: float | None = Field(
        None, gt=0, description="Channel spacing, for files that do not say.", json_schema_extra=_unit("m")
    )
    unit: str | None = Field(None, description="Unit of the samples, for files that do not say.")
    first_channel: int | None = Field(
        None, ge=0, description="Interrogator's number of the first channel, for files that do not say."
    )
    channels: tuple[int, int] | None = Field(
        None, description="Range of channel numbers to use, half open: [first, last + 1]."
    )


class GeometrySettings(_Section):
    """Where the channels are."""

    path: str | None = Field(
        None,
        description="Channel table (CSV): channel_index, longitude, latitude, elevation_m[, station_id]"
        "[, status]. Without it sources get a distance but no position.",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Names in the file by our names, such as {channel_index: Channel, x_m: X, y_m: Y, "
        "elevation_m: Z}.",
    )
    crs: str | None = Field(
        None, description="Projection of x_m and y_m, such as EPSG:32611, when the file has no longitude."
    )
    skip_rows: int = Field(0, ge=0, description="Rows to skip below the header (such as a row of units).")
    optional: bool = Field(
        False, description="Go on without positions when the file does not exist, and say so in the report."
    )


class _WeightsSettings(_Section):
    """Which network picks, and where it runs."""

    weights: str = Field(
        "seisbench:original",
        description="Bundled model, seisbench:NAME, or a folder of weights.",
    )
    weights_sha256: str | None = Field(None, description="Digest that the weight file must have.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")


class StudentSettings(_Section):
    """How a network that the workflow has trained picks."""

    min_score: float = Field(0.3, gt=0, lt=1, description="Smallest probability of a pick.")
    min_score_p: float | None = Field(None, gt=0, lt=1, description="The same for P only.")
    min_score_s: float | None = Field(None, gt=0, lt=1, description="The same for S only.")
    min_separation_s: float = Field(
        0.5,
        gt=0,
        description="Of two picks of one phase on one channel closer than this the better stays; on the "
        "model's time axis.",
        json_schema_extra=_unit("s"),
    )
    rate: float | tuple[float, ...] | Literal["native", "model"] | None = Field(
        None,
        description="Sampling rates at which the network sees the data. Empty for the rule: networks of "
        "single channels see the rate they were trained at, PhaseNet-DAS several, each half of the one "
        "before; 'model' and 'native' for the network's and the recording's; or one number or more. "
        "Another rate than the network's is relabelled (time runs slower or faster for it); pick times "
        "are always true.",
        json_schema_extra=_unit("Hz"),
    )
    component: Literal["all", "E", "N", "Z"] = Field(
        "all", description="Components of a three-component network that each channel is fed to."
    )
    common_mode: Literal["median"] | None = Field(
        None, description="Subtract at each sample the median over all channels."
    )
    stack_channels: int | None = Field(
        None,
        ge=1,
        description="Average this many neighbouring channels; scores return to every channel. Empty for the "
        "rule: 1 for networks of single channels; for PhaseNet-DAS those within half a gauge length, or "
        "within 12.5 m at 100 Hz (more at lower rates).",
    )
    to_strain_rate: bool = Field(False, description="Differentiate strain in time.")
    bandpass_hz: tuple[float, float] | None = Field(
        None,
        description="Corners of a linear-phase band-pass filter, its delay removed; it smears sharp onsets "
        "to both sides by about 1 / width.",
        json_schema_extra=_unit("Hz"),
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
        """Give the smallest score of each phase.

        Returns
        -------
        dict
            ``{"P": ..., "S": ...}``.
        """
        return {
            "P": self.min_score if self.min_score_p is None else self.min_score_p,
            "S": self.min_score if self.min_score_s is None else self.min_score_s,
        }


class PickSettings(StudentSettings, _WeightsSettings):
    """How arrivals are picked: with given weights, which are the teacher's when a student is trained."""


class ContinuousSettings(_Section):
    """How much of a continuous recording is picked at a time: changes speed and memory, not picks."""

    shard_samples: int = Field(
        75_000_000,
        ge=100_000,
        description="Samples loaded at a time, 4 bytes each; memory is about 7 times that.",
    )
    shard_channels: int = Field(
        4096, ge=1, description="Largest block of channels, where the network does not need all of them."
    )
    shard_s: float | None = Field(
        None,
        gt=0,
        description="Length of a shard; empty for what shard_samples leaves room for, at most 600 s.",
        json_schema_extra=_unit("s"),
    )


class ReportSettings(_Section):
    """What the report and the catalog files hold."""

    title: str = Field("", description="Heading of the report; the run's name when empty.")
    network_code: str = Field(
        "XX", pattern=r"^[A-Z0-9]{1,8}$", description="FDSN network code in QuakeML and the other exports."
    )
    max_picks_per_phase: int = Field(
        40, ge=1, description="Picks per event, cable and phase kept in QuakeML, spread along the cable."
    )
    bandpass_hz: tuple[float, float] | None = Field(
        None,
        description="Band of the waveforms in the figures (not of the picking).",
        json_schema_extra=_unit("Hz"),
    )
    max_sections: int = Field(6, ge=0, description="Events whose records are drawn: those of most picks.")
    magnitude_scale: str | None = Field(
        None,
        description="Scale of `phasenet-das magnitude calibrate` (JSON): events get their magnitudes by it.",
    )


class TrainDataSettings(_Section):
    """What a network is trained on: windows cut from recordings, sections simulated on the fly, or both."""

    windows: tuple[str, ...] = Field(
        (), description="Training windows (quakeflow_das event files): files, folders or glob patterns."
    )
    labels: str | None = Field(
        None, description="Folder of the pick tables, named as the windows; beside the windows when empty."
    )
    validation_windows: tuple[str, ...] = Field(
        (), description="Windows to validate on; a share of the events of `windows` when empty."
    )
    validation_fraction: float = Field(
        0.1, ge=0, lt=1, description="Share of the events kept for validation; whole events, on all cables."
    )
    samples_per_window: int | None = Field(
        None,
        ge=1,
        description="Samples drawn from each window an epoch; when empty, as many as have room in it.",
    )
    anchored: float = Field(
        0.9, ge=0, le=1, description="Share of the samples cut so that they hold a pick; others lie anywhere."
    )
    same_event_s: float = Field(
        60.0,
        ge=0,
        description="Windows that come closer than this in time are taken for the same event.",
        json_schema_extra=_unit("s"),
    )
    records: str | None = Field(
        None, description="Labelled seismometer records (HDF5), of which fibre sections are simulated."
    )
    record_rows: tuple[int, ...] | None = Field(
        None, description="Rows of the records to train on; all but those of validation when empty."
    )
    validation_rows: tuple[int, ...] | None = Field(
        None, description="Rows of the records to validate on; a share of them when empty."
    )
    sections_per_epoch: int = Field(4096, ge=1, description="Simulated sections an epoch; each is new.")
    section: dict[str, float] = Field(
        default_factory=dict, description="Settings of the simulated sections, such as {snr_min_db: -5}."
    )
    noise: str | None = Field(None, description="Folder of recordings without events, to be mixed in.")
    num_channels: int = Field(128, ge=1, description="Channels of a sample.")
    num_samples: int = Field(2048, ge=16, description="Samples in time of a sample.")
    sampling_rate_hz: float = Field(
        100.0, gt=0, description="Rate that all data are brought to.", json_schema_extra=_unit("Hz")
    )
    normalization: Literal["moving", "moving-array", "std", "none"] = Field(
        "moving",
        description="Amplitudes as the network sees them: moving (mean and amplitude of each channel along "
        "time, as the picker does it), moving-array (one amplitude for all channels), std (each channel of a "
        "sample demeaned and divided by its standard deviation), or none (a network that does it itself).",
    )
    normalization_window_s: float = Field(
        20.0, gt=0, description="Length of the moving normalisation.", json_schema_extra=_unit("s")
    )
    label_sigma_s: float = Field(
        0.1, gt=0, description="Standard deviation of a label in time.", json_schema_extra=_unit("s")
    )
    mask_guard_s: float = Field(
        1.0,
        ge=0,
        description="What is left out of the loss on either side of a rejected pick, and around an event on "
        "channels where not both its phases were kept.",
        json_schema_extra=_unit("s"),
    )
    refine_channels: int = Field(
        0, ge=0, description="Smooth labels along the cable over this many channels to each side; 0 for not."
    )
    refine_max_residual_s: float = Field(
        0.3,
        gt=0,
        description="Labels farther than this from the smooth moveout are not trusted.",
        json_schema_extra=_unit("s"),
    )
    align_window_s: float = Field(
        0.0,
        ge=0,
        description="Then align labels by cross-correlation with the neighbours, over this time from the "
        "label on; 0 for not.",
        json_schema_extra=_unit("s"),
    )


class AugmentSettings(_Section):
    """How samples are varied: samples and picks move together."""

    stretch_time: float = Field(1.0, ge=1, description="Largest factor of stretching or squeezing in time.")
    stretch_space: float = Field(
        1.0, ge=1, description="Largest factor of stretching or squeezing the cable."
    )
    average: int = Field(
        1,
        ge=1,
        description="Largest number of neighbouring channels averaged, in pieces of windows: what a picker "
        "does with those closer than a gauge length.",
    )
    flip: float = Field(0.5, ge=0, le=1, description="Share of samples whose channels are reversed.")
    stack: float = Field(0.1, ge=0, le=1, description="Share of samples that a second event is added to.")
    stack_ratio_db: float = Field(
        10.0, ge=0, description="Most the two differ in amplitude.", json_schema_extra=_unit("dB")
    )
    noise: float = Field(0.3, ge=0, le=1, description="Share of samples that noise is added to.")
    snr_min_db: float = Field(
        -5.0,
        description="Smallest ratio of the sample's amplitude to the noise added.",
        json_schema_extra=_unit("dB"),
    )
    snr_max_db: float = Field(30.0, description="Largest such ratio.", json_schema_extra=_unit("dB"))
    dead: float = Field(0.02, ge=0, lt=1, description="Largest share of channels made dead: out of the loss.")
    hidden: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Largest share of a run of channels hidden from the network, labels kept.",
    )
    amplitude_dex: float = Field(0.1, ge=0, description="Largest scatter of log10 amplitude over channels.")
    reverse_polarity: float = Field(0.5, ge=0, le=1, description="Share of samples whose sign is reversed.")
    channel_polarity: float = Field(
        0.05, ge=0, le=1, description="Share of samples with a random sign on each channel."
    )
    lower_rate: float = Field(
        0.1, ge=0, le=1, description="Share of samples brought to a lower rate (down to half) and back."
    )
    missing_ends: float = Field(0.1, ge=0, le=1, description="Share of samples that begin late or end early.")

    @model_validator(mode="after")
    def _check(self) -> AugmentSettings:
        if self.snr_min_db > self.snr_max_db:
            raise ValueError(f"snr_min_db: found {self.snr_min_db}, above snr_max_db {self.snr_max_db}")
        return self


class TrainSettings(_Section):
    """How a network is trained."""

    output: str = Field("results/training", description="Folder of checkpoints, logs and the model.")
    data: TrainDataSettings = TrainDataSettings()
    augment: AugmentSettings = AugmentSettings()
    architecture: str = Field("phasenet-das", description="Name of the network's shape.")
    model_args: dict[str, Any] = Field(
        default_factory=dict, description="Arguments of the network; its defaults when empty."
    )
    weights: str | None = Field(
        None, description="Start from these weights (fine-tuning): a bundled model or a folder."
    )
    freeze: tuple[str, ...] = Field(
        (), description="Parts that stay as they are: first words of parameter names, such as encoder."
    )
    steps: int = Field(20_000, ge=1, description="Optimizer steps.")
    batch_size: int = Field(8, ge=1, description="Samples of one process at a time.")
    accumulate: int = Field(1, ge=1, description="Batches whose gradients are added up to one step.")
    learning_rate: float = Field(1e-3, gt=0, description="Highest learning rate.")
    final_learning_rate: float = Field(1e-5, ge=0, description="Learning rate at the end of the cosine.")
    warmup_steps: int = Field(500, ge=0, description="Steps of linear warm-up.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decay.")
    clip_norm: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    ema_decay: float = Field(
        0.999, ge=0, lt=1, description="Memory of the moving average of the weights, which is what is kept."
    )
    phase_weights: tuple[float, float, float] = Field(
        (1.0, 1.0, 1.0), description="Weights of noise, P and S in the loss."
    )
    amp: Literal["off", "bf16", "fp16"] = Field("off", description="Mixed precision, on CUDA only.")
    bf16_gradients: bool = Field(
        False, description="Exchange gradients between processes in bfloat16, on CUDA only."
    )
    device: str = Field("auto", description="auto, cpu or cuda.")
    num_workers: int = Field(
        2, ge=0, description="Processes that prepare samples, for each training process."
    )
    validate_every: int = Field(500, ge=1, description="Steps between validations.")
    validation_samples: int = Field(64, ge=1, description="Samples of the fixed validation set.")
    min_score: float = Field(0.3, gt=0, lt=1, description="Smallest probability of a pick in validation.")
    tolerance_p_s: float = Field(
        0.1, gt=0, description="Largest error of a right P in validation.", json_schema_extra=_unit("s")
    )
    tolerance_s_s: float = Field(
        0.2, gt=0, description="Largest error of a right S in validation.", json_schema_extra=_unit("s")
    )
    save_every: int = Field(500, ge=1, description="Steps between checkpoints.")
    log_every: int = Field(10, ge=1, description="Steps between lines of the log.")
    tensorboard: bool = Field(False, description="Also write a TensorBoard log (package tensorboard).")
    seed: int = Field(0, ge=0, description="Seed of everything that is drawn.")
    license: str = Field("unknown", description="Licence of the weights, for the model card.")
    trained_rate_hz: tuple[float, float] | None = Field(
        None,
        description="Rates of the recordings that the data stand for: outside, pickers warn.",
        json_schema_extra=_unit("Hz"),
    )
    trained_dx_m: tuple[float, float] | None = Field(
        None,
        description="Distances of neighbouring rows that the data stand for: outside, pickers warn.",
        json_schema_extra=_unit("m"),
    )
    data_description: str = Field("", description="What the training data are, for the model card.")


class CableSettings(_Section):
    """One cable of several."""

    data: DataSettings = DataSettings()
    channels: GeometrySettings = GeometrySettings()


class StationSettings(_Section):
    """Seismometers whose picks are associated together with those of the cables."""

    path: str | None = Field(
        None, description="Station table (CSV): station_id, longitude, latitude, elevation_m."
    )
    picks: tuple[str, ...] = Field(
        (),
        description="Pick tables of the seismometers, as PhaseNet writes them: station_id, phase_time, "
        "phase_type, phase_score.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.path is None) != (not self.picks):
            raise ValueError("path and picks go together: give both, or neither")
        return self


class ScatterSettings(_Section):
    """How the run is cut into jobs: with enough overlap neither picks nor, but for ties, events change."""

    block_s: float = Field(
        3600.0,
        ge=60,
        description="Length of the blocks of time that are picked, associated and labelled on their own; on "
        "multiples of it since 1970.",
        json_schema_extra=_unit("s"),
    )
    overlap_s: float = Field(
        150.0,
        ge=30,
        description="What a job sees beyond its block on either side; not shorter than the longest travel "
        "time, nor than what a pick depends on: 136 s for PhaseNet-DAS down to 50 Hz, 15 s for PhaseNet.",
        json_schema_extra=_unit("s"),
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.block_s % 1:
            raise ValueError(f"block_s: found {self.block_s:g}, expected whole seconds")
        if self.overlap_s > self.block_s:
            raise ValueError(f"overlap_s: found {self.overlap_s:g}, longer than block_s {self.block_s:g}")
        return self


class SelfTrainingSettings(_Section):
    """Whether a network is trained on what association keeps, and how often."""

    train: bool = Field(
        False, description="Train a student; without it the weights of `pick` go straight to a catalog."
    )
    rounds: int = Field(
        1,
        ge=1,
        description="Trainings: the first is on labels of the weights of `pick`, each further one on labels "
        "of the student before. How a student is trained says `train`.",
    )
    processes: int = Field(1, ge=1, description="Processes that train together; one for each GPU.")
    data: dict[str, DataSettings] = Field(
        default_factory=dict,
        description="Recordings to train on, continuous or cut around events, by the name of their cable; "
        "those of the catalog when empty.",
    )
    before_s: float = Field(
        10.0,
        ge=0,
        description="What a training window holds before an event's first pick.",
        json_schema_extra=_unit("s"),
    )
    after_s: float = Field(
        20.0,
        ge=0,
        description="What a training window holds after an event's last pick.",
        json_schema_extra=_unit("s"),
    )
    min_channel_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Events picked on a smaller share of a cable's channels give no training window of it.",
    )
    student: StudentSettings = StudentSettings()


class SimulateSettings(_Section):
    """Make the recordings by simulation first; then nothing needs to be at hand."""

    scenario: str | None = Field(
        None,
        description="easy, demo, swarm, urban, borehole, offshore or hard; empty for no simulation.",
    )
    seed: int = Field(0, ge=0, description="Seed of everything that is drawn.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Settings over the scenario's, such as {duration_s: 900}."
    )


class EvaluationSettings(_Section):
    """What the results are held against, where something is known."""

    picks: str | None = Field(
        None, description="Pick table of the truth; that of the simulation when there is one."
    )
    events: str | None = Field(
        None,
        description="True events, or a catalog of reference (CSV, also ComCat; QuakeML); those of the "
        "simulation when there is one.",
    )
    tolerance_p_s: float = Field(
        0.1, gt=0, description="Largest error of a right P.", json_schema_extra=_unit("s")
    )
    tolerance_s_s: float = Field(
        0.2, gt=0, description="Largest error of a right S.", json_schema_extra=_unit("s")
    )
    time_tolerance_s: float = Field(
        3.0, gt=0, description="Largest error of a right event's origin time.", json_schema_extra=_unit("s")
    )
    distance_tolerance_km: float = Field(
        15.0, gt=0, description="Largest error of a right event's epicentre.", json_schema_extra=_unit("km")
    )
    min_magnitude: float | None = Field(
        None, description="Recall is also given of events of this magnitude and above."
    )


class Config(_Section):
    """All settings of one run: files in, catalog out."""

    name: str = Field("demo", pattern=_NAME, description="Name of the run; results go to OUTPUT/NAME.")
    output: str = Field("results", description="Folder of the results.")
    data: DataSettings = DataSettings()
    channels: GeometrySettings = GeometrySettings()
    cables: dict[str, CableSettings] = Field(
        default_factory=dict,
        description="Several cables instead of `data` and `channels`: of each name its own two sections.",
    )
    stations: StationSettings = StationSettings()
    simulate: SimulateSettings = SimulateSettings()
    pick: PickSettings = PickSettings()
    continuous: ContinuousSettings = ContinuousSettings()
    association: AssociationConfig = AssociationConfig()
    scatter: ScatterSettings = ScatterSettings()
    self_training: SelfTrainingSettings = SelfTrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    report: ReportSettings = ReportSettings()
    train: TrainSettings = TrainSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.cables and self.data.inputs:
            raise ValueError("data: inputs: found beside `cables`, expected one of the two")
        if self.cables and self.simulate.scenario is not None:
            raise ValueError("cables: found beside `simulate`, which makes a single cable")
        for name in self.cables:
            if not re.fullmatch(_NAME, name):
                raise ValueError(f"cables: found '{name}', expected letters, digits, dot, dash, underscore")
        unknown = [name for name in self.self_training.data if name not in self.cable_settings()]
        if unknown:
            hint = nearest_name(unknown[0], self.cable_settings())
            raise ValueError(f"self_training: data: no cable '{unknown[0]}'.{hint}")
        return self

    def cable_settings(self) -> dict[str, CableSettings]:
        """Give the cables by name, with the name in their tables filled in.

        Returns
        -------
        dict of str to CableSettings
            The one cable of `data` and `channels` when there are no `cables`.
        """
        if self.cables:
            return {name: _named(cable, name) for name, cable in self.cables.items()}
        data, channels, simulated = self.data, self.channels, self.simulated
        if simulated is not None:
            data = data.model_copy(update={"inputs": (str(simulated / "data"),)})
            if channels.path is None:
                channels = channels.model_copy(update={"path": str(simulated / "channels.csv")})
        return {self.data.station_id or "cable": CableSettings(data=data, channels=channels)}

    @property
    def results(self) -> Path:
        """Folder of this run."""
        return Path(self.output, self.name)

    @property
    def simulated(self) -> Path | None:
        """Folder of the simulation; None when nothing is simulated."""
        return None if self.simulate.scenario is None else self.results / "simulated"

    @property
    def truth(self) -> EvaluationSettings:
        """What the results are held against, with the tables of the simulation filled in."""
        given, simulated = self.evaluation, self.simulated
        if simulated is None:
            return given
        own = {"picks": "truth_picks.parquet", "events": "truth_events.csv"}
        missing = {name: str(simulated / file) for name, file in own.items() if getattr(given, name) is None}
        return given.model_copy(update=missing)


def _named(cable: CableSettings, name: str) -> CableSettings:
    if cable.data.station_id is not None:
        return cable
    return cable.model_copy(update={"data": cable.data.model_copy(update={"station_id": name})})


def load_config(source: str | Path | Mapping[str, Any]) -> Config:
    """Load and validate the settings of a run.

    Parameters
    ----------
    source : str, pathlib.Path or mapping
        A YAML file, or what was read from one.

    Returns
    -------
    Config
        Frozen; what the source leaves out has its default.

    Raises
    ------
    ConfigError
        The file cannot be read, a key is unknown (the nearest right one is named), or a value is
        out of range.
    """
    if isinstance(source, Mapping):
        return Config(**source)
    values = read_yaml(source)
    try:
        return Config(**values)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of settings, not validated yet.

    Parameters
    ----------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    dict
        Its settings.

    Raises
    ------
    ConfigError
        The file cannot be read, or is not a mapping.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"{path}: no such file.")
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of settings, found {type(values).__name__}.")
    return values


def write_config(config: Config, path: str | Path) -> Path:
    """Write settings as YAML, each one, so that a result carries what made it.

    Parameters
    ----------
    config : Config
        The settings.
    path : str or pathlib.Path
        The file; :func:`load_config` reads it.

    Returns
    -------
    pathlib.Path
        The file written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    return path


def config_hash(settings: BaseModel) -> str:
    """Digest of settings: equal settings give equal hashes, whatever their order or defaults.

    Parameters
    ----------
    settings : pydantic.BaseModel
        A whole configuration or one section.

    Returns
    -------
    str
        12 hexadecimal digits.
    """
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def json_schema() -> str:
    """Write the JSON schema of :class:`Config`, for editors and the workflow.

    Returns
    -------
    str
        JSON, two spaces of indent.
    """
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def default_yaml() -> str:
    """Write every setting at its default, each under its description and unit.

    Returns
    -------
    str
        YAML whose first line names the schema, so that editors complete keys.
    """
    head = "# yaml-language-server: $schema=schema.json\n# Every setting at its default. Generated.\n"
    return head + "\n".join(_section_yaml(Config, 0)) + "\n"


def _section_yaml(model: type[BaseModel], depth: int) -> list[str]:
    indent, lines = "  " * depth, []
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            title = (info.annotation.__doc__ or "").strip().splitlines()[0]
            lines += [
                "",
                f"{indent}# {title}",
                f"{indent}{name}:",
                *_section_yaml(info.annotation, depth + 1),
            ]
        else:
            lines += [
                *_comment(info, indent),
                f"{indent}{name}: {_flow(info.get_default(call_default_factory=True))}",
            ]
    return lines


def _comment(info: FieldInfo, indent: str) -> list[str]:
    extra = info.json_schema_extra
    unit = f" [{extra['unit']}]" if isinstance(extra, dict) and "unit" in extra else ""
    return textwrap.wrap(
        f"{info.description}{unit}", 100, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )


def _flow(value: Any) -> str:  # noqa: ANN401 - any YAML scalar or list
    if isinstance(value, tuple):
        value = [item.model_dump() if isinstance(item, BaseModel) else item for item in value]
    return yaml.safe_dump(value, default_flow_style=True).replace("\n...", "").strip()


def _write_generated(folder: Path) -> None:
    (folder / "schema.json").write_text(json_schema())
    (folder / "default.yaml").write_text(default_yaml())


if __name__ == "__main__":
    _write_generated(Path(__file__).parents[1] / "configs")
