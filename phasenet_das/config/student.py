"""Settings of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from phasenet_das.config.data import DataSettings
from phasenet_das.config.section import PATH, WEIGHTS, ConfigSection, unit


class TrainDataSettings(ConfigSection):
    """The training data: windows cut from recordings, sections simulated on the fly, or both."""

    renamed: ClassVar[Mapping[str, str]] = {
        "refine_channels": "'student.complete_channels', which acts when windows are cut",
        "refine_max_residual_s": "'student.complete_channels', which acts when windows are cut",
        "align_window_s": "'student.align_window_s', which acts when windows are cut",
    }

    windows: tuple[str, ...] = Field(
        (),
        description="Training windows (quakeflow_das event files): files, folders or glob patterns.",
        json_schema_extra=PATH,
    )
    labels: str | None = Field(
        None,
        description="Folder of the pick tables, named as the windows; beside the windows when empty.",
        json_schema_extra=PATH,
    )
    validation_windows: tuple[str, ...] = Field(
        (),
        description="Windows to validate on; a share of the events of `windows` when empty.",
        json_schema_extra=PATH,
    )
    validation_fraction: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of the events kept for validation: whole events, on all cables. When empty, a "
        "tenth, and of 4 and more at least 2.",
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
        json_schema_extra=unit("s"),
    )
    records: str | None = Field(
        None,
        description="Labelled seismometer records (HDF5), of which fibre sections are simulated.",
        json_schema_extra=PATH,
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
    noise: str | None = Field(
        None, description="Folder of recordings without events, to be mixed in.", json_schema_extra=PATH
    )
    num_channels: int = Field(96, ge=1, description="Channels of a sample.")
    num_samples: int = Field(3072, ge=16, description="Samples in time of a sample.")
    sampling_rate_hz: float = Field(
        100.0, gt=0, description="Rate that all data are brought to.", json_schema_extra=unit("Hz")
    )
    normalization: Literal["moving", "moving-array", "std", "none"] = Field(
        "moving",
        description="Amplitudes as the network sees them: moving (mean and amplitude of each channel along "
        "time, as the picker does it), moving-array (one amplitude for all channels), std (each channel of a "
        "sample demeaned and divided by its standard deviation), or none (a network that does it itself).",
    )
    normalization_window_s: float = Field(
        20.0, gt=0, description="Length of the moving normalisation.", json_schema_extra=unit("s")
    )
    label_sigma_s: float = Field(
        0.1, gt=0, description="Standard deviation of a label in time.", json_schema_extra=unit("s")
    )
    mask_guard_s: float = Field(
        1.0,
        ge=0,
        description="Time that the loss ignores on either side of a rejected pick, and around an event on "
        "channels where not both its phases were kept.",
        json_schema_extra=unit("s"),
    )
    quiet: float = Field(
        0.15,
        ge=0,
        lt=1,
        description="Share of the samples that are of windows of noise, where there are any.",
    )


class AugmentSettings(ConfigSection):
    """How samples are varied: samples and picks move together."""

    renamed: ClassVar[Mapping[str, str]] = {
        "average": "'average_channels'",
        "stack": "'add_event'",
        "stack_ratio_db": "'add_event_ratio_db'",
    }

    stretch_time: float = Field(2.0, ge=1, description="Largest factor of stretching or squeezing in time.")
    stretch_space: float = Field(
        1.5, ge=1, description="Largest factor of stretching or squeezing the cable."
    )
    average_channels: int = Field(
        1,
        ge=1,
        description="Largest number of neighbouring channels averaged, in samples of windows, as a picker "
        "averages those closer than a gauge length.",
    )
    flip: float = Field(0.5, ge=0, le=1, description="Share of samples whose channels are reversed.")
    add_event: float = Field(0.3, ge=0, le=1, description="Share of samples that a second event is added to.")
    add_event_ratio_db: float = Field(
        15.0, ge=0, description="Largest ratio of the two amplitudes.", json_schema_extra=unit("dB")
    )
    noise: float = Field(0.5, ge=0, le=1, description="Share of samples that noise is added to.")
    own_noise: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Share of the noise added that comes from windows of noise, where there are any; the "
        "rest is simulated, or of the recordings of `data.noise`.",
    )
    snr_min_db: float = Field(
        -10.0,
        description="Smallest ratio of the sample's amplitude to the noise added.",
        json_schema_extra=unit("dB"),
    )
    snr_max_db: float = Field(20.0, description="Largest such ratio.", json_schema_extra=unit("dB"))
    dead: float = Field(0.02, ge=0, lt=1, description="Largest share of channels made dead: out of the loss.")
    hidden: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Largest share of a run of channels hidden from the network, labels kept.",
    )
    amplitude_dex: float = Field(0.2, ge=0, description="Largest scatter of log10 amplitude over channels.")
    reverse_polarity: float = Field(0.5, ge=0, le=1, description="Share of samples whose sign is reversed.")
    channel_polarity: float = Field(
        0.05, ge=0, le=1, description="Share of samples with a random sign on each channel."
    )
    lower_rate: float = Field(
        0.1, ge=0, le=1, description="Share of samples brought to a lower rate (down to half) and back."
    )
    missing_ends: float = Field(0.1, ge=0, le=1, description="Share of samples that begin late or end early.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.snr_min_db > self.snr_max_db:
            raise ValueError(f"snr_min_db: found {self.snr_min_db}, above snr_max_db {self.snr_max_db}")
        return self


class TrainSettings(ConfigSection):
    """How a network is trained."""

    output: str = Field(
        "results/training",
        description="Folder of checkpoints, logs and the model. The workflow uses its own.",
        json_schema_extra=PATH,
    )
    data: TrainDataSettings = TrainDataSettings()
    augment: AugmentSettings = AugmentSettings()
    architecture: str = Field("phasenet-das", description="Name of the network's shape.")
    model_args: dict[str, Any] = Field(
        default_factory=dict, description="Arguments of the network; its defaults when empty."
    )
    weights: str | None = Field(
        None,
        description="Start from these weights (fine-tuning): a bundled model or a folder.",
        json_schema_extra=WEIGHTS,
    )
    freeze: tuple[str, ...] = Field(
        (), description="Parts that stay as they are: first words of parameter names, such as encoder."
    )
    steps: int | None = Field(
        None,
        ge=1,
        description="Optimizer steps. When empty, 40 epochs from random weights (6,000 to 30,000 steps), 20 "
        "from given ones (1,000 to 6,000).",
    )
    batch_size: int = Field(4, ge=1, description="Samples of one process at a time.")
    accumulate: int = Field(1, ge=1, description="Batches whose gradients are added up to one step.")
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="Highest learning rate. When empty, 2e-3 for random and 3e-4 for given weights.",
    )
    final_learning_rate: float | None = Field(
        None,
        ge=0,
        description="Learning rate at the end of the cosine. When empty, a hundredth of the highest.",
    )
    warmup_steps: int | None = Field(
        None,
        ge=0,
        description="Steps of linear warm-up. When empty, a twentieth of the steps, at most 500.",
    )
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decay.")
    clip_norm: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    ema_decay: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Memory of the moving average of the weights. The average is kept. When empty, the "
        "average remembers 3 % of the steps, 10 to 1,000.",
    )
    phase_weights: tuple[float, float, float] = Field(
        (1.0, 1.0, 1.0), description="Weights of noise, P and S in the loss."
    )
    amp: Literal["auto", "off", "bf16", "fp16"] = Field(
        "auto",
        description="Mixed precision: bf16, fp16 (CUDA only), off, or auto: bf16 on processors that multiply "
        "it by themselves (GPUs since 2020, CPUs with AMX).",
    )
    bf16_gradients: bool = Field(
        False, description="Exchange gradients between processes in bfloat16, on CUDA only."
    )
    device: str = Field("auto", description="auto, cpu or cuda.")
    num_workers: int = Field(
        2, ge=0, description="Processes that prepare samples, for each training process."
    )
    validate_every: int | None = Field(
        None, ge=1, description="Steps between validations. When empty, there are 10."
    )
    validation_samples: int = Field(64, ge=1, description="Samples of the fixed validation set.")
    min_score: float = Field(0.3, gt=0, lt=1, description="Smallest probability of a pick in validation.")
    tolerance_p_s: float = Field(
        0.1, gt=0, description="Largest error of a right P in validation.", json_schema_extra=unit("s")
    )
    tolerance_s_s: float = Field(
        0.2, gt=0, description="Largest error of a right S in validation.", json_schema_extra=unit("s")
    )
    save_every: int | None = Field(
        None,
        ge=1,
        description="Steps between checkpoints. When empty, as many as between validations, at most 500.",
    )
    log_every: int = Field(10, ge=1, description="Steps between lines of the log.")
    tensorboard: bool = Field(False, description="Also write a TensorBoard log (package tensorboard).")
    seed: int = Field(0, ge=0, description="Seed of everything that is drawn.")
    license: str = Field("unknown", description="Licence of the weights, for the model card.")
    rates: Literal["model", "octaves"] | None = Field(
        None,
        description="Rates at which pickers show recordings to the network: model (that of its training), or "
        "octaves (several, by the rule of rates). When empty: model for random weights, else as the weights "
        "that it starts from.",
    )
    trained_rate_hz: tuple[float, float] | None = Field(
        None,
        description="Rates of the recordings that the data stand for: outside, pickers warn.",
        json_schema_extra=unit("Hz"),
    )
    trained_dx_m: tuple[float, float] | None = Field(
        None,
        description="Distances of neighbouring rows that the data stand for: outside, pickers warn.",
        json_schema_extra=unit("m"),
    )
    data_description: str = Field("", description="What the training data are, for the model card.")


class StudentSettings(TrainSettings):
    """How the student is trained when `rounds` is above 0, and by `phasenet-das train`."""

    renamed: ClassVar[Mapping[str, str]] = {
        "train": "'rounds' at the top of the file: 0 for no training",
        "rounds": "'rounds' at the top of the file: 0 for no training",
        "student": "'pick' at the top of the file",
    }

    processes: int = Field(1, ge=1, description="Processes that train together; one for each GPU.")
    recordings: dict[str, DataSettings] = Field(
        default_factory=dict,
        description="Recordings to label and train on, continuous or cut around events, by the name of their "
        "cable; those of the catalog when empty.",
    )
    before_s: float = Field(
        10.0,
        ge=0,
        description="Length of a training window before an event's first pick.",
        json_schema_extra=unit("s"),
    )
    after_s: float = Field(
        20.0,
        ge=0,
        description="Length of a training window after an event's last pick.",
        json_schema_extra=unit("s"),
    )
    min_channel_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Smallest share of a cable's channels with a pick of an event. Events with fewer give no "
        "training window of that cable.",
    )
    complete_channels: int = Field(
        25,
        ge=0,
        description="Channels to each side along which labels are completed; 0 leaves picks as they are.",
    )
    align_window_s: float = Field(
        0.0,
        ge=0,
        description="Then labels are moved so that waveforms of this length agree with the neighbours'; 0 "
        "for not.",
        json_schema_extra=unit("s"),
    )
    quiet_score: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Windows of noise hold no coherent picks down to this score.",
    )

    @model_validator(mode="after")
    def _check_alignment(self) -> Self:
        if self.align_window_s and not self.complete_channels:
            raise ValueError(
                f"align_window_s: found {self.align_window_s} without neighbours to compare with. Set "
                "complete_channels to 1 or more, or align_window_s to 0."
            )
        return self
