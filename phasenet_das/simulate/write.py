"""Files as an interrogator writes them, with the truth beside them."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from phasenet_das.errors import ChannelGeometryError, ConfigError
from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.simulate.faults import Faults
from phasenet_das.simulate.simulation import Simulation
from phasenet_das.simulate.truth import event_table, halo_samples, pick_table
from phasenet_das.tables import atomic_path, read_picks, write_channels, write_table


@dataclass(frozen=True)
class SimulationResult:
    """What was written.

    Attributes
    ----------
    folder : pathlib.Path
        The folder.
    files : list of pathlib.Path
        Data files in order of time.
    channels, events, picks : pathlib.Path
        Channel table, true events and true picks.
    num_events, num_picks : int
        Rows of the last two.
    """

    folder: Path
    files: list[Path]
    channels: Path
    events: Path
    picks: Path
    num_events: int
    num_picks: int


def simulate(
    config: SimulationConfig,
    out_dir: str | Path,
    *,
    seed: int,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationResult:
    """Write a simulated recording: data files, channel table and truth.

    Parameters
    ----------
    config : SimulationConfig
        Settings, for example from :func:`phasenet_das.simulate.scenario`.
    out_dir : str or pathlib.Path
        Folder to write to. Data go to ``data/*.h5``; beside them lie ``channels.csv``, ``truth_events.csv``,
        ``truth_picks.parquet`` and ``simulation.json`` (settings, seed, faults).
    seed : int
        Seed of everything that is drawn.
    workers : int
        Processes; the files do not depend on it.
    progress : callable, optional
        Called with the number of files done and of all files.

    Returns
    -------
    SimulationResult
        Paths and counts.

    Raises
    ------
    ConfigError
        A setting is out of range, or the folder holds files of another recording.
    ChannelGeometryError
        The channels file cannot be used, or its numbers are not consecutive.
    """
    folder = Path(out_dir)
    simulation = Simulation(config, seed)
    _refuse_holes(simulation.cable.channel_index, config.cable.channels_file)
    faults = Faults.plan(config, seed)
    spans = _file_spans(config)
    _refuse_others(folder / "data", simulation, faults)
    parts = folder / ".truth"
    parts.mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    if workers <= 1 or len(spans) == 1:
        for number, span in enumerate(spans):
            _write_file(simulation, faults, folder, number, span)
            if progress is not None:
                progress(number + 1, len(spans))
    else:
        _write_parallel(config, seed, folder, workers, len(spans), progress)
    return _write_truth(simulation, faults, folder, len(spans))


def _refuse_holes(channel_index: np.ndarray, channels_file: str | None) -> None:
    """Refuse numbers that the data files cannot state: their layout has the first one only."""
    holes = np.flatnonzero(np.diff(channel_index) != 1)
    if len(holes):
        before, after = channel_index[holes[0] : holes[0] + 2].tolist()
        raise ChannelGeometryError(
            f"{channels_file}: channel {after} follows channel {before}. The numbers must be consecutive, "
            "because a data file states its first number only. Add the channels between them, without "
            "coordinates where these are unknown, or number the channels anew."
        )


def _file_spans(config: SimulationConfig) -> list[tuple[int, int]]:
    step, total = config.samples_per_file, config.num_samples
    return [(start, min(step, total - start)) for start in range(0, total, step)]


def _refuse_others(folder: Path, simulation: Simulation, faults: Faults) -> None:
    """Files of another recording must not slip in among these."""
    planned = {
        _file_name(simulation, faults, low)
        for start, num in _file_spans(simulation.config)
        for low, _ in faults.recorded(start, start + num)
    }
    others = sorted(path.name for path in folder.glob("*.h5") if path.name not in planned)
    if others:
        raise ConfigError(
            f"{folder}: {len(others)} file(s) of another recording, first {others[0]}. Give an empty folder."
        )


def _stamp(simulation: Simulation, faults: Faults, sample: int) -> pd.Timestamp:
    """Time of a sample as the recording's own clock has it."""
    seconds = sample / simulation.config.sampling_rate_hz + faults.clock_error_s(sample)
    return simulation.start_time + pd.Timedelta(round(seconds * 1e9), "ns")


def _file_name(simulation: Simulation, faults: Faults, sample: int) -> str:
    stamp = _stamp(simulation, faults, sample)
    return f"{simulation.cable.station_id}_{stamp.strftime('%Y%m%dT%H%M%S')}_{stamp.microsecond:06d}.h5"


def _write_parallel(
    config: SimulationConfig,
    seed: int,
    folder: Path,
    workers: int,
    num_files: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Give each process a run of neighbouring files, so that few events are made twice."""
    runs = [run.tolist() for run in np.array_split(np.arange(num_files), workers) if len(run)]
    done = 0
    with ProcessPoolExecutor(len(runs), mp_context=get_context("spawn")) as pool:
        for count in pool.map(partial(_write_run, config, seed, folder), runs):
            done += count
            if progress is not None:
                progress(done, num_files)


def _write_run(config: SimulationConfig, seed: int, folder: Path, numbers: list[int]) -> int:
    simulation, faults = Simulation(config, seed), Faults.plan(config, seed)
    spans = _file_spans(config)
    for number in numbers:
        _write_file(simulation, faults, folder, number, spans[number])
    return len(numbers)


def _write_file(
    simulation: Simulation, faults: Faults, folder: Path, number: int, span: tuple[int, int]
) -> None:
    """Make one file's span once; write what the faults leave of it, and its picks."""
    start, num = span
    halo = halo_samples(simulation)
    data = simulation.samples(start - halo, num + halo)
    picks = pick_table(simulation, start, num, data)
    rate = simulation.config.sampling_rate_hz
    write_table(
        faults.apply_to_picks(picks, simulation.start_time), folder / ".truth" / f"{number:06d}.parquet"
    )
    for low, high in faults.recorded(start, start + num):
        path = folder / "data" / _file_name(simulation, faults, low)
        stated = 2 * rate if faults.has_wrong_metadata(number) else rate
        part = data[:, low - start + halo : high - start + halo]
        write_prodml(path, part, _stamp(simulation, faults, low), rate, simulation, stated_rate_hz=stated)


def _write_truth(simulation: Simulation, faults: Faults, folder: Path, num_files: int) -> SimulationResult:
    parts = folder / ".truth"
    tables = [read_picks(parts / f"{number:06d}.parquet") for number in range(num_files)]
    events, picks = event_table(simulation, pd.concat(tables, ignore_index=True))
    about = {
        "seed": simulation.seed,
        "config": simulation.config.model_dump(mode="json"),
        "faults": faults.describe(),
        "snr_definition": 1,
    }
    channels = write_channels(simulation.cable.table(simulation.dead), folder / "channels.csv")
    write_table(events, folder / "truth_events.csv")
    write_table(picks, folder / "truth_picks.parquet", about)
    with atomic_path(folder / "simulation.json") as temporary:
        temporary.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
    shutil.rmtree(parts)
    return SimulationResult(
        folder,
        sorted((folder / "data").glob("*.h5")),
        channels,
        folder / "truth_events.csv",
        folder / "truth_picks.parquet",
        len(events),
        len(picks),
    )


def write_prodml(
    path: str | Path,
    data: np.ndarray,
    start: pd.Timestamp,
    sampling_rate_hz: float,
    simulation: Simulation,
    *,
    stated_rate_hz: float | None = None,
) -> Path:
    """Write one file in the layout of PRODML 2.0 (Energistics).

    `data` (channel, time) float32.
    """
    cable = simulation.cable
    stamps_us = (
        start.value + np.rint(np.arange(data.shape[1]) * (1e9 / sampling_rate_hz)).astype(np.int64)
    ) // 1000
    first, last = (_iso(int(stamp)) for stamp in (stamps_us[0], stamps_us[-1]))
    identity = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{cable.station_id} {simulation.seed}"))
    rate = sampling_rate_hz if stated_rate_hz is None else stated_rate_hz
    index = int(cable.channel_index[0])
    shared = {"PartStartTime": first, "PartEndTime": last, "StartIndex": 0}
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        acquisition = file.create_group("Acquisition")
        acquisition.attrs.update(_texts(_acquisition_attributes(simulation, identity, first, rate)))
        raw = acquisition.create_group("Raw[0]")
        raw.attrs.update(
            _texts(
                {
                    "NumberOfLoci": cable.num_channels,
                    "OutputDataRate": rate,
                    "RawDataUnit": "1/s",
                    "RawDescription": "Strain rate",
                    "RawIndex": 0,
                    "StartLocusIndex": index,
                    "uuid": identity,
                }
            )
        )
        values = raw.create_dataset("RawData", data=np.ascontiguousarray(data.T), track_times=False)
        values.attrs.update(
            _texts({**shared, "Count": data.size, "Dimensions": np.array(["time", "locus"], "S5")})
        )
        times = raw.create_dataset("RawDataTime", data=stamps_us, track_times=False)
        times.attrs.update(_texts({**shared, "Count": data.shape[1], "StartTime": first}))
    return Path(path)


def _acquisition_attributes(
    simulation: Simulation, identity: str, first: str, rate_hz: float
) -> dict[str, object]:
    cable = simulation.cable
    return {
        "AcquisitionId": identity,
        "FacilityId": np.array([cable.station_id.encode()]),
        "GaugeLength": cable.gauge_length_m,
        "GaugeLengthUnit": "m",
        "MaximumFrequency": 0.5 * rate_hz,
        "MeasurementStartTime": first,
        "MinimumFrequency": 0.0,
        "NumberOfLoci": cable.num_channels,
        "PulseRate": 10 * rate_hz,
        "PulseWidth": 50.0,
        "PulseWidthUnit": "ns",
        "SpatialSamplingInterval": cable.dx_m,
        "SpatialSamplingIntervalUnit": "m",
        "StartLocusIndex": int(cable.channel_index[0]),
        "TriggeredMeasurement": 0,
        "VendorCode": "phasenet-das simulator",
        "schemaVersion": "2.0",
        "uuid": identity,
    }


def _texts(attributes: dict[str, object]) -> dict[str, object]:
    """PRODML stores text as bytes."""
    return {key: np.bytes_(value) if isinstance(value, str) else value for key, value in attributes.items()}


def _iso(stamp_us: int) -> str:
    return f"{np.datetime64(stamp_us, 'us')}+00:00"
