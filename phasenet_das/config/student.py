"""Settings of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from phasenet_das.config.data import DataSettings
from phasenet_das.config.section import PATH, WEIGHTS, ConfigSection, unit


class TrainDataSettings(ConfigSection):
    """Training data: windows of recordings, sections that are simulated on the fly, or both."""

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
        description="Folder of the pick tables, which have the names of the windows. If empty, the folder of "
        "the windows.",
        json_schema_extra=PATH,
    )
    validation_windows: tuple[str, ...] = Field(
        (),
        description="Windows for validation. If empty, a share of the events of `windows`.",
        json_schema_extra=PATH,
    )
    validation_fraction: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of the events for validation: whole events, on all cables. If empty, a tenth, and "
        "at least 2 if there are 4 events or more.",
    )
    samples_per_window: int | None = Field(
        None,
        ge=1,
        description="Samples of each window in an epoch. If empty, as many as fit into the window.",
    )
    anchored: float = Field(
        0.9, ge=0, le=1, description="Share of the samples that contain a pick. The others are cut anywhere."
    )
    same_event_s: float = Field(
        15.0,
        ge=0,
        description="Windows that are closer than this in time count as the same event.",
        json_schema_extra=unit("s"),
    )
    records: str | None = Field(
        None,
        description="Labelled seismometer records (HDF5), from which fibre sections are simulated.",
        json_schema_extra=PATH,
    )
    record_rows: tuple[int, ...] | None = Field(
        None, description="Rows of the records for training. If empty, all but those of validation."
    )
    validation_rows: tuple[int, ...] | None = Field(
        None, description="Rows of the records for validation. If empty, a share of the rows."
    )
    sections_per_epoch: int = Field(
        4096, ge=1, description="Simulated sections in an epoch. Each section is new."
    )
    section: dict[str, float] = Field(
        default_factory=dict, description="Settings of the simulated sections, such as {snr_min_db: -5}."
    )
    noise: str | None = Field(
        None, description="Folder of recordings without events, for added noise.", json_schema_extra=PATH
    )
    num_channels: int = Field(96, ge=1, description="Channels of a sample.")
    num_samples: int = Field(3072, ge=16, description="Samples in time of a sample.")
    sampling_rate_hz: float = Field(
        100.0,
        gt=0,
        description="Sampling rate to which all data are resampled.",
        json_schema_extra=unit("Hz"),
    )
    normalization: Literal["moving", "moving-array", "std", "none"] = Field(
        "moving",
        description="Normalisation of the input. moving: mean and amplitude of each channel along time, as "
        "in the picker. moving-array: one amplitude for all channels. std: each channel of a sample demeaned "
        "and divided by its standard deviation. none: the network normalises by itself.",
    )
    normalization_window_s: float = Field(
        20.0, gt=0, description="Window of the moving normalisation.", json_schema_extra=unit("s")
    )
    label_sigma_s: float = Field(
        0.1, gt=0, description="Standard deviation of a label in time.", json_schema_extra=unit("s")
    )
    mask_guard_s: float = Field(
        1.0,
        ge=0,
        description="Time that the loss ignores on either side of a rejected pick. Also the time around an "
        "event on channels without picks of both phases.",
        json_schema_extra=unit("s"),
    )
    quiet: float = Field(
        0.15,
        ge=0,
        lt=1,
        description="Share of the samples from windows of noise, if there are any.",
    )


class AugmentSettings(ConfigSection):
    """Variation of the samples. The picks move with the samples."""

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
        description="Largest number of neighbouring channels to average, in samples of windows. Pickers "
        "average channels closer than a gauge length.",
    )
    few_channels: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of samples with fewer channels, from one on. Below 16 channels, each channel is "
        "repeated, as pickers do with short cables.",
    )
    flip: float = Field(0.5, ge=0, le=1, description="Share of samples with reversed channels.")
    add_event: float = Field(0.3, ge=0, le=1, description="Share of samples with added events.")
    added_events: int = Field(1, ge=1, description="Largest number of added events.")
    add_event_ratio_db: float = Field(
        15.0,
        ge=0,
        description="Largest ratio of the amplitudes of two events.",
        json_schema_extra=unit("dB"),
    )
    phase_ratio: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of samples of one event with a changed ratio of the amplitudes of P and S.",
    )
    phase_ratio_db: float = Field(
        15.0,
        ge=0,
        description="Largest change of this ratio, in both directions.",
        json_schema_extra=unit("dB"),
    )
    noise: float = Field(0.5, ge=0, le=1, description="Share of samples with added noise.")
    own_noise: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Share of the added noise from windows of noise, if there are any. The rest is "
        "simulated, or from the recordings of `data.noise`.",
    )
    snr_min_db: float = Field(
        -10.0,
        description="Smallest ratio of the amplitude of a sample to the added noise.",
        json_schema_extra=unit("dB"),
    )
    snr_max_db: float = Field(20.0, description="Largest such ratio.", json_schema_extra=unit("dB"))
    dead: float = Field(
        0.02, ge=0, lt=1, description="Largest share of dead channels. They are left out of the loss."
    )
    hidden: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Largest share of the channels in a hidden run. The labels of a hidden run stay.",
    )
    amplitude_dex: float = Field(0.2, ge=0, description="Largest scatter of log10 amplitude over channels.")
    reverse_polarity: float = Field(0.5, ge=0, le=1, description="Share of samples with reversed sign.")
    channel_polarity: float = Field(
        0.05, ge=0, le=1, description="Share of samples with a random sign on each channel."
    )
    lower_rate: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of samples that are resampled to a lower rate (down to half) and back.",
    )
    missing_ends: float = Field(0.1, ge=0, le=1, description="Share of samples that begin late or end early.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.snr_min_db > self.snr_max_db:
            raise ValueError(f"snr_min_db: found {self.snr_min_db}, above snr_max_db {self.snr_max_db}")
        return self


class TrainSettings(ConfigSection):
    """Training of a network."""

    output: str = Field(
        "results/training",
        description="Folder of checkpoints, logs and the model. The workflow uses a folder of its own.",
        json_schema_extra=PATH,
    )
    data: TrainDataSettings = TrainDataSettings()
    augment: AugmentSettings = AugmentSettings()
    architecture: str = Field(
        "phasenet-das", description="Architecture of the network: phasenet-das, phasenet or eqnet."
    )
    model_args: dict[str, Any] = Field(
        default_factory=dict, description="Arguments of the network. If empty, its defaults."
    )
    weights: str | None = Field(
        None,
        description="Weights to start from (fine-tuning): a bundled model or a folder.",
        json_schema_extra=WEIGHTS,
    )
    freeze: tuple[str, ...] = Field(
        (), description="Parts of the network to freeze: first words of parameter names, such as encoder."
    )
    steps: int | None = Field(
        None,
        ge=1,
        description="Optimizer steps. If empty, 40 epochs from random weights (6,000 to 30,000 steps), and "
        "20 epochs from given weights (1,000 to 6,000 steps).",
    )
    batch_size: int = Field(4, ge=1, description="Samples in a batch of one process.")
    accumulate: int = Field(1, ge=1, description="Batches in a step. Their gradients are added.")
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="Highest learning rate. If empty, 2e-3 from random weights and 3e-4 from given weights.",
    )
    final_learning_rate: float | None = Field(
        None,
        ge=0,
        description="Learning rate at the end of the cosine. If empty, a hundredth of the highest.",
    )
    warmup_steps: int | None = Field(
        None,
        ge=0,
        description="Steps of the linear warm-up. If empty, a twentieth of the steps, at most 500.",
    )
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW.")
    clip_norm: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    ema_decay: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Memory of the moving average of the weights. If empty, the average remembers 3 % of the "
        "steps, 10 to 1,000.",
    )
    start_share: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Share of the weights that a training starts from (`weights`) in its result, which is a "
        "mean of the weights before and after. With 0, the result is the trained weights alone.",
    )
    phase_weights: tuple[float, float, float] = Field(
        (1.0, 1.0, 1.0), description="Weights of noise, P and S in the loss."
    )
    amp: Literal["auto", "off", "bf16", "fp16"] = Field(
        "auto",
        description="Mixed precision: bf16, fp16 (CUDA only), off or auto. auto is bf16 on processors with "
        "hardware for bf16 (GPUs since 2020, CPUs with AMX or AVX-512 BF16).",
    )
    bf16_gradients: bool = Field(
        False, description="Exchange gradients between processes in bfloat16 (CUDA only)."
    )
    device: str = Field("auto", description="auto, cpu or cuda.")
    num_workers: int = Field(
        2, ge=0, description="Processes that prepare samples, for each training process."
    )
    validate_every: int | None = Field(
        None, ge=1, description="Steps between validations. If empty, there are 10 validations."
    )
    validation_samples: int = Field(64, ge=1, description="Samples of the fixed validation set.")
    min_score: float = Field(0.3, gt=0, lt=1, description="Smallest score of a pick in validation.")
    tolerance_p_s: float = Field(
        0.1, gt=0, description="Largest error of a right P pick in validation.", json_schema_extra=unit("s")
    )
    tolerance_s_s: float = Field(
        0.2, gt=0, description="Largest error of a right S pick in validation.", json_schema_extra=unit("s")
    )
    save_every: int | None = Field(
        None,
        ge=1,
        description="Steps between checkpoints. If empty, as many as between validations, at most 500.",
    )
    log_every: int = Field(10, ge=1, description="Steps between lines of the log.")
    tensorboard: bool = Field(False, description="Also write a TensorBoard log (package tensorboard).")
    seed: int = Field(0, ge=0, description="Seed of all random numbers.")
    license: str = Field("unknown", description="Licence of the weights, for the model card.")
    rates: Literal["model", "octaves"] | None = Field(
        None,
        description="Sampling rates of pickers that use the network: model (the rate of its training), or "
        "octaves (several rates, each half of the previous one). If empty, model from random weights. "
        "Otherwise, the rates of the weights that it starts from.",
    )
    trained_rate_hz: tuple[float, float] | None = Field(
        None,
        description="Range of the sampling rates of the training data. Pickers warn outside this range.",
        json_schema_extra=unit("Hz"),
    )
    trained_dx_m: tuple[float, float] | None = Field(
        None,
        description="Range of the channel spacings of the training data. Pickers warn outside this range.",
        json_schema_extra=unit("m"),
    )
    data_description: str = Field("", description="Description of the training data, for the model card.")


class StudentSettings(TrainSettings):
    """Training of the student, if `rounds` is above 0, and by `phasenet-das train`."""

    renamed: ClassVar[Mapping[str, str]] = {
        "train": "'rounds' at the top of the file: 0 for no training",
        "rounds": "'rounds' at the top of the file: 0 for no training",
        "student": "'pick' at the top of the file",
    }

    processes: int = Field(1, ge=1, description="Processes of the training. Use one for each GPU.")
    recordings: dict[str, DataSettings] = Field(
        default_factory=dict,
        description="Recordings for labels and training, by the name of the cable. They may be continuous, "
        "or cut around events. If empty, the recordings of the catalog.",
    )
    before_s: float = Field(
        30.0,
        ge=0,
        description="Length of a training window before the first pick of an event.",
        json_schema_extra=unit("s"),
    )
    after_s: float = Field(
        40.0,
        ge=0,
        description="Length of a training window after the last pick of an event.",
        json_schema_extra=unit("s"),
    )
    min_channel_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Smallest share of the channels of a cable that have a pick of an event. With fewer, the "
        "event has no training window of that cable.",
    )
    complete_channels: int = Field(
        25,
        ge=0,
        description="Channels to each side along which labels are completed. With 0, labels are the picks.",
    )
    align_window_s: float = Field(
        0.0,
        ge=0,
        description="Length of the waveforms by which labels are aligned with their neighbours. With 0, "
        "labels are not aligned.",
        json_schema_extra=unit("s"),
    )
    quiet_score: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Smallest score of picks that a window of noise must not contain, if they are coherent.",
    )

    @model_validator(mode="after")
    def _check_alignment(self) -> Self:
        if self.align_window_s and not self.complete_channels:
            raise ValueError(
                f"align_window_s: found {self.align_window_s} without neighbours to compare with. Set "
                "complete_channels to 1 or more, or align_window_s to 0."
            )
        return self
