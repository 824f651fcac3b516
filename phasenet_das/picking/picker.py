"""Pick a recording: from any source that can be read to scores and to a pick table."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from phasenet_das import io
from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings
from phasenet_das.errors import DeviceError
from phasenet_das.io.recording import Recording, recording_of_patch
from phasenet_das.models.weights import Weights, load_weights
from phasenet_das.picking.assemble import channel_scores
from phasenet_das.picking.findings import dead_throughout
from phasenet_das.picking.merge import join_scales
from phasenet_das.picking.scorers import PHASES, make_scorer
from phasenet_das.picking.shards import ShardSize
from phasenet_das.picking.work import ShardPicker

if TYPE_CHECKING:
    import xarray


log = logging.getLogger(__name__)


def load_picker(
    weights: str | Path = "seisbench:original", *, device: str = "auto", sha256: str | None = None
) -> Picker:
    """Load a network as a picker.

    Parameters
    ----------
    weights : str or pathlib.Path
        Bundled model, ``seisbench:NAME``, or a folder of weights.
    device : str
        ``auto`` (a GPU when there is one), ``cpu``, ``cuda`` or ``cuda:N``.
    sha256 : str, optional
        Digest that the weight file must have.

    Returns
    -------
    Picker
        Ready to pick.

    Raises
    ------
    WeightsError
        The weights are missing, damaged or of another architecture.
    DeviceError
        The device is not there.
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

    def annotate(self, source: Any, settings: PickSettings | None = None, **options: Any) -> xarray.DataArray:  # noqa: ANN401
        """Compute the probabilities of noise, P and S at every sample, at the fastest of the scales.

        Parameters
        ----------
        source : dascore.Patch, str, pathlib.Path, obspy.Stream or xarray.DataArray
            Anything :func:`phasenet_das.io.read` takes.
        settings : PickSettings, optional
            How to pick; the defaults when left out.
        **options
            Single settings, such as ``rate="native"``; they override `settings`.

        Returns
        -------
        xarray.DataArray, dims (phase, channel, time), float32
            Coordinates ``phase`` (N, P, S), ``channel`` (number on the interrogator), ``distance``
            (m) and ``time`` (true times, whatever the rate). The classes sum to one. Dead channels
            and missing samples are noise. Held in memory whole: 12 bytes a sample.

        Raises
        ------
        ConfigError
            An option is unknown or out of range.
        """
        import xarray

        choice = _settings(settings, options)
        patch = io.read(source)
        worker = self.shard_picker(choice, io.get_station_id(patch) or "unnamed")
        plan = worker.plans(recording_of_patch(patch), ShardSize())[0]
        ready = worker.prepare(worker.load(plan, plan.whole))
        grid, index = plan.grid, io.get_channel_index(patch)
        scores = np.zeros((len(PHASES), len(index), grid.num_samples), dtype=np.float32)
        scores[0] = 1.0
        for block in self._scorer.blocks(ready.piece, context=0):
            span = slice(block.first + block.core[0], block.first + block.core[1])
            scores[:, block.rows, span] = channel_scores(block)
        times = grid.times_ns(np.arange(grid.num_samples)).astype("datetime64[ns]")
        return xarray.DataArray(
            scores,
            dims=("phase", "channel", "time"),
            coords={
                "phase": list(PHASES),
                "channel": index,
                "distance": ("channel", io.get_distance_m(patch)),
                "time": times,
            },
            attrs={"weights_id": self.weights.weights_id, "station_id": io.get_station_id(patch)},
        )

    def pick(
        self,
        source: Any,  # noqa: ANN401
        settings: PickSettings | None = None,
        *,
        station_id: str | None = None,
        progress: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> pd.DataFrame:
        """Pick P and S arrivals on every channel.

        Parameters
        ----------
        source : dascore.Patch, str, pathlib.Path, obspy.Stream or xarray.DataArray
            Anything :func:`phasenet_das.io.read` takes.
        settings : PickSettings, optional
            How to pick; the defaults when left out.
        station_id : str, optional
            Name of the cable; else the recording's own.
        progress : bool
            Show a progress bar.
        **options
            Single settings, such as ``min_score=0.5``; they override `settings`.

        Returns
        -------
        pandas.DataFrame
            The pick table (``phasenet_das.tables.PICK_COLUMNS``), sorted by time, channel and phase.
            ``attrs`` holds ``amplitude_unit``, ``weights_id`` and the channels that were left out.

        Raises
        ------
        ConfigError
            An option is unknown or out of range, or the recording has no station name.
        """
        choice = _settings(settings, options)
        record = recording_of_patch(io.read(source))
        worker = self.shard_picker(choice, station_id)
        station = worker.station_id(record)
        plans = worker.plans(record, _size_of_patch(record))
        shards = [(plan, shard) for plan in plans for shard in plan.shards()]
        picked = [worker.pick(*one) for one in tqdm(shards, "picking", unit="shard", disable=not progress)]
        facts = [one.facts for one in picked]
        dead = dead_throughout(facts, record.channel_index)
        if dead:
            count = len(record.channel_index)
            log.warning("%s: %d of %d channels are dead and are not picked", station, len(dead), count)
        table = join_scales(picked)
        table.attrs = {
            "amplitude_unit": facts[0].unit,
            "weights_id": self.weights.weights_id,
            "dead_channels": dead,
        }
        return table

    def shard_picker(self, settings: PickSettings, station_id: str | None = None) -> ShardPicker:
        """Give the steps by which shards of records are picked.

        Parameters
        ----------
        settings : PickSettings
            How to pick.
        station_id : str, optional
            Name of the cable; else the record's own.

        Returns
        -------
        ShardPicker
        """
        return ShardPicker(self.weights, self._scorer, settings, station_id)

    def pick_continuous(
        self,
        source: Any,  # noqa: ANN401
        settings: PickSettings | None = None,
        *,
        data: DataSettings | None = None,
        continuous: ContinuousSettings | None = None,
        station_id: str | None = None,
        parts: str | Path | None = None,
        progress: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> pd.DataFrame:
        """Pick continuous recordings of any length; only the picks are held in memory.

        Parameters
        ----------
        source : str, pathlib.Path, sequence of them, Archive, Recording, sequence of Recording, or Patch
            Files and folders, or what :func:`phasenet_das.io.archive.open_archive` makes of them.
        settings : PickSettings, optional
            How to pick; the defaults when left out.
        data : DataSettings, optional
            What the files do not say.
        continuous : ContinuousSettings, optional
            How much at a time.
        station_id : str, optional
            Name of the cable; else the recordings' own.
        parts : str or pathlib.Path, optional
            Folder for finished shards, from which an interrupted call goes on; a temporary one by default.
        progress : bool
            Show a progress bar.
        **options
            Single settings, such as ``min_score=0.5``; they override `settings`.

        Returns
        -------
        pandas.DataFrame
            The pick table, as from :meth:`pick`: any cut into files or shards gives the same rows.
            ``attrs`` holds ``amplitude_unit``, ``weights_id`` and ``coverage``, the coverage table.

        Raises
        ------
        PhaseNetDASError
            No recording can be picked.
        """
        from phasenet_das.picking.continuous import ContinuousRun, pick_parts
        from phasenet_das.picking.merge import merge_parts
        from phasenet_das.picking.parts import PartStore

        records, left_out = _records(source, data)
        worker = self.shard_picker(_settings(settings, options), station_id)
        run = ContinuousRun.of(worker, continuous)
        with tempfile.TemporaryDirectory() as temporary:
            store = PartStore(Path(parts or temporary))
            found = pick_parts(run, records, store, progress=progress)
            table = merge_parts(store, found.parts)
        table.attrs = {
            "amplitude_unit": found.amplitude_unit,
            "weights_id": self.weights.weights_id,
            "coverage": found.coverage(left_out),
        }
        return table


def _records(source: Any, data: DataSettings | None) -> tuple[Sequence[Recording], list[pd.DataFrame]]:  # noqa: ANN401
    """Give the unbroken records of a source, and the coverage rows of what is in none."""
    from phasenet_das.io.archive import Archive, open_archive

    if isinstance(source, str | Path):
        source = [source]
    if isinstance(source, list | tuple) and all(isinstance(item, str | Path) for item in source):
        source = open_archive(source, data or DataSettings())
    if isinstance(source, Archive):
        return source.recordings, [source.coverage]
    if isinstance(source, list | tuple):
        return source, []
    return [source if isinstance(source, Recording) else recording_of_patch(io.read(source))], []


def _size_of_patch(record: Recording) -> ShardSize:
    """Pick in one go what has room in memory anyway, for no sample is then seen twice."""
    size = ShardSize()
    small = record.num_samples * len(record.channel_index) <= size.samples
    return ShardSize(channels=2**31, seconds=math.inf) if small else size


def _find_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device '{name}': expected auto, cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device '{name}': found {torch.cuda.device_count()} GPU(s); use device='auto' or 'cpu'."
        )
    return device


def _settings(settings: PickSettings | None, options: dict[str, Any]) -> PickSettings:
    if not options:
        return settings or PickSettings()
    given = settings.model_dump(exclude_unset=True) if settings else {}
    return PickSettings(**{**given, **options})
