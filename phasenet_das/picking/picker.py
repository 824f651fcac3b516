"""Pick a recording: from any source that can be read to scores and to a pick table."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings
from phasenet_das.errors import ConfigError, DeviceError
from phasenet_das.models.precision import multiplies_bfloat16
from phasenet_das.models.weights import Weights, load_weights
from phasenet_das.picking.archive import open_recordings, select_range
from phasenet_das.picking.chunks import Chunk
from phasenet_das.picking.networks import PHASES, make_scorer
from phasenet_das.picking.peaks import channel_scores
from phasenet_das.picking.plan import ChunkPlan, ChunkSize
from phasenet_das.picking.request import check_device
from phasenet_das.picking.run import ChunkPicker, PickRun, pick_chunks
from phasenet_das.picking.store import MemoryStore, merge_chunks
from phasenet_das.tables.coverage import dead_throughout

if TYPE_CHECKING:
    from pathlib import Path

    import xarray

    from phasenet_das.io.recording import Recording


log = logging.getLogger(__name__)

_WHOLE = ChunkSize(channels=2**31, seconds=math.inf)
_ELSEWHERE = {
    "weights": "load_picker(weights)",
    "device": "load_picker(weights, device=...)",
    "weights_sha256": "load_picker(weights, sha256=...)",
    "P_threshold": "min_score_p=",
    "S_threshold": "min_score_s=",
    "threshold": "min_score=",
}


def load_picker(
    weights: str | Path = "phasenet-das", *, device: str = "auto", sha256: str | None = None
) -> Picker:
    """Load a network as a picker.

    Parameters
    ----------
    weights : str or pathlib.Path
        Bundled model (``phasenet-das``, ``phasenet``), ``seisbench:NAME``, or a folder of weights.
    device : str
        ``auto`` (a GPU when there is one), ``cpu``, ``cuda`` or ``cuda:N``.
    sha256 : str, optional
        Digest that the weight file must have.

    Raises
    ------
    WeightsError
        The weights are missing, damaged or of another architecture.
    DeviceError
        The device is unknown, or not there.
    """
    return Picker(load_weights(weights, sha256=sha256), device=device)


class Picker:
    """A network that picks recordings; its architecture decides how scores are computed.

    Parameters
    ----------
    weights : Weights
        The network and how it wants its input.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Attributes
    ----------
    model : torch.nn.Module
        The network as loaded, for training and inspection.
    weights : Weights
        Its name, sampling rate, phases and provenance.
    """

    def __init__(self, weights: Weights, *, device: str = "auto") -> None:
        self.weights = weights
        self.model = weights.model
        self.device = _find_device(device)
        self._scorer = make_scorer(weights, self.device)

    def pick(
        self,
        source: Any,  # noqa: ANN401
        settings: PickSettings | None = None,
        *,
        data: DataSettings | None = None,
        continuous: ContinuousSettings | None = None,
        start: Any = None,  # noqa: ANN401 - a time in any form
        end: Any = None,  # noqa: ANN401
        channel_range: tuple[int, int] | None = None,
        station_id: str | None = None,
        progress: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> pd.DataFrame:
        """Pick P and S arrivals on every channel; only the picks are held in memory.

        Parameters
        ----------
        source : str, pathlib.Path, sequence of them, Archive, Patch, Spool, Stream or DataArray
            Files, folders, or anything that :func:`phasenet_das.io.read` takes.
        settings : PickSettings, optional
            How to pick; the defaults when left out.
        data : DataSettings, optional
            What the recordings do not state.
        continuous : ContinuousSettings, optional
            How much at a time; changes speed and memory only.
        start, end : str, datetime, numpy.datetime64 or obspy.UTCDateTime, optional
            Time range, half open. The picks in it are those of the whole recording.
        channel_range : (int, int), optional
            Range of channel numbers, half open, with the same rule.
        station_id : str, optional
            Name of the cable; else the recordings' own, or that of their file or folder.
        progress : bool
            Show a progress bar.
        **options
            Single settings, such as ``min_score=0.5``; they override `settings`.

        Returns
        -------
        pandas.DataFrame
            The pick table (``phasenet_das.tables.PICK_COLUMNS``), sorted by time, channel and phase. It is
            the same however the recording is stored, cut or given. ``attrs`` holds ``amplitude_unit``,
            ``weights_id``, ``dead_channels`` (numbers that are dead on any cable) and ``coverage``, the rows
            of the coverage table.

        Raises
        ------
        ConfigError
            An option is unknown or out of range.
        PhaseNetDASError
            Nothing can be picked.
        """
        choice = _settings(settings, options)
        data, wanted = select_range(data, start, end, channel_range)
        recordings, left_out = open_recordings(source, data)
        worker = self.chunk_picker(choice, station_id)
        run = PickRun.of(worker, continuous, wanted=wanted)
        if continuous is None:
            run = replace(run, size=_size_of(recordings))
        store = MemoryStore()
        found = pick_chunks(run, recordings, store, progress=progress)
        table = merge_chunks(store, found.chunks, wanted)
        channels_of = {
            name: np.unique(np.concatenate([one.channel_index for one in own]))
            for name, own in _by_cable(recordings, worker).items()
        }
        numbers = np.unique(np.concatenate(list(channels_of.values())))
        dead = dead_throughout(found.infos, channels_of)
        if dead:
            log.warning("%d of %d channels are dead and are not picked", len(dead), len(numbers))
        table.attrs = {
            "amplitude_unit": found.amplitude_unit,
            "weights_id": self.weights.weights_id,
            "dead_channels": dead,
            # A table here would break pandas.concat, which compares attrs.
            "coverage": found.coverage(left_out).to_dict("records"),
        }
        return table

    def annotate(
        self,
        source: Any,  # noqa: ANN401
        settings: PickSettings | None = None,
        *,
        data: DataSettings | None = None,
        start: Any = None,  # noqa: ANN401 - a time in any form
        end: Any = None,  # noqa: ANN401
        channel_range: tuple[int, int] | None = None,
        station_id: str | None = None,
        **options: Any,  # noqa: ANN401
    ) -> list[xarray.DataArray]:
        """Compute the scores of noise, P and S whose peaks are the picks, at every rate that is used.

        Parameters
        ----------
        source, settings, data, start, end, channel_range, station_id, **options
            As for :meth:`pick`; the source must be one recording without a gap.

        Returns
        -------
        list of xarray.DataArray, dims (phase, channel, time), float32
            One array for each rate, the fastest first. Coordinates ``phase`` (N, P, S), ``channel`` (number
            on the interrogator), ``distance`` (m) and ``time`` (true times, whatever the rate); attributes
            ``rate_hz`` and ``average_channels``. The classes sum to one. Dead channels and missing samples
            are noise. The arrays are held in memory: 12 bytes a sample.

        Raises
        ------
        ConfigError
            An option is unknown or out of range, or the source is several recordings.

        Notes
        -----
        With one rate, each pick is a peak at its time and score. With several rates, the pick has the score
        of a peak at one rate and the time of the peak at the fastest rate that shows the arrival.
        """
        choice = _settings(settings, options)
        data, wanted = select_range(data, start, end, channel_range)
        recordings, _ = open_recordings(source, data)
        if len(recordings) != 1:
            raise ConfigError(
                f"annotate: found {len(recordings)} recordings, expected one without a gap. Pass one of them."
            )
        worker = self.chunk_picker(choice, station_id)
        run = replace(PickRun.of(worker, wanted=wanted, strict=True), size=_WHOLE)
        plans, _ = run.plans(recordings)
        return [self._scores(worker, plan) for plan in plans.values()]

    def chunk_picker(self, settings: PickSettings, station_id: str | None = None) -> ChunkPicker:
        """Return the steps by which chunks are picked; without `station_id` recordings name their cable."""
        return ChunkPicker(self.weights, self._scorer, self._resolved(settings), station_id)

    def used_settings(self, settings: PickSettings) -> PickSettings:
        """Return settings that name the weights, device and precision of this picker, for provenance."""
        weights = self.weights
        return self._resolved(settings).model_copy(
            update={"weights": weights.name, "weights_sha256": weights.sha256, "device": str(self.device)}
        )

    def _resolved(self, settings: PickSettings) -> PickSettings:
        """Name the precision that `auto` is on this device: the picks of a chunk depend on it."""
        if settings.precision != "auto":
            return settings
        precision = "bfloat16" if multiplies_bfloat16(self.device) else "float32"
        return settings.model_copy(update={"precision": precision})

    def _scores(self, worker: ChunkPicker, plan: ChunkPlan) -> xarray.DataArray:
        """Score the range of a plan, shape (phase, channel, time)."""
        import xarray

        recording, grid = plan.recording, plan.grid
        channels = plan.core_channels(plan.core_rows)
        times = grid.times_ns(np.arange(*plan.core))
        inside = np.nonzero(plan.wanted.holds_times(times))[0] + plan.core[0]
        if not len(inside):
            raise ConfigError(
                f"annotate: no sample in the range of time. The recording runs from {recording.start_time} "
                f"to {recording.end_time}."
            )
        low, high = int(inside[0]), int(inside[-1]) + 1
        chunk = worker.prepare(worker.load(Chunk(plan, (low, high), plan.core_rows)))
        scores = np.zeros((len(PHASES), len(recording.channel_index), high - low), dtype=np.float32)
        scores[0] = 1.0
        for one in self._scorer.scores(chunk, context=0):
            first, end = max(one.first + one.core[0], low), min(one.first + one.core[1], high)
            if first < end:
                kept = slice(first - one.first - one.core[0], end - one.first - one.core[0])
                positions = chunk.context.positions[one.rows]
                scores[:, positions, first - low : end - low] = channel_scores(one)[..., kept]
        return xarray.DataArray(
            scores[:, channels],
            dims=("phase", "channel", "time"),
            coords={
                "phase": list(PHASES),
                "channel": recording.channel_index[channels],
                "distance": ("channel", recording.distance_m[channels]),
                "time": grid.times_ns(np.arange(low, high)).astype("datetime64[ns]"),
            },
            name=f"scores at {plan.rate_hz:g} Hz",
            attrs={
                "rate_hz": plan.rate_hz,
                "average_channels": plan.average,
                "weights_id": self.weights.weights_id,
                "station_id": worker.station_id(recording),
            },
        )


def _by_cable(recordings: Sequence[Recording], worker: ChunkPicker) -> dict[str, list[Recording]]:
    cables: dict[str, list[Recording]] = {}
    for one in recordings:
        cables.setdefault(worker.station_id(one), []).append(one)
    return cables


def _size_of(recordings: Sequence[Recording]) -> ChunkSize:
    """Pick in one go what has room in memory anyway, for no sample is then seen twice."""
    size = ChunkSize()
    largest = max((one.num_samples * len(one.channel_index) for one in recordings), default=0)
    return _WHOLE if largest <= size.samples else size


def _find_device(name: str) -> torch.device:
    check_device(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device '{name}': found {torch.cuda.device_count()} GPU(s). Use device='auto' or 'cpu'."
        )
    return device


def _settings(settings: PickSettings | None, options: dict[str, Any]) -> PickSettings:
    for name, right in _ELSEWHERE.items():
        if name in options:
            raise ConfigError(f"pick: '{name}' is not an option of picking. Use {right}.")
    settings = settings or PickSettings()
    if not options:
        return settings
    return type(settings)(**{**settings.model_dump(exclude_unset=True), **options})
