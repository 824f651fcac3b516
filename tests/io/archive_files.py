"""One known record, cut into files in any way; and a small PRODML writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.io.das_sources import write_h5

START = np.datetime64("2024-01-01T00:00:00", "ns")
START_NS = int(START.astype(np.int64))
DT_S = 0.01
NUM_CHANNELS, NUM_SAMPLES = 6, 400
RECORD = np.random.default_rng(5).standard_normal((NUM_CHANNELS, NUM_SAMPLES)).astype(np.float32)


def sample_time(sample: int, dt_s: float = DT_S) -> np.datetime64:
    time: np.datetime64 = START + np.timedelta64(round(sample * dt_s * 1e9), "ns")
    return time


def write_part(path: Path, first: int, end: int, *, record: np.ndarray = RECORD, **changes: Any) -> Path:
    """Write samples ``[first, end)`` of the record in the quakeflow_das layout; `changes` are attributes."""
    attrs: dict[str, Any] = {
        "begin_time": str(sample_time(first)),
        "dt_s": DT_S,
        "dx_m": 10.0,
        "station_id": "A",
        "unit": "m/s",
        "dims": "channel,time",
    }
    path.parent.mkdir(exist_ok=True)
    return write_h5(path, record[:, first:end], **{**attrs, **changes})


def write_prodml(path: Path, data: np.ndarray, *, start: np.datetime64 = START, **changes: Any) -> Path:
    """Write an array (time, locus) with stamps at 200 Hz as PRODML; `changes` are attributes."""
    stamps = (start + np.arange(len(data)) * np.timedelta64(5, "ms")).astype("datetime64[us]")
    acquisition = {"PulseRate": 2000.0, "PulseWidth": 50.0, "schemaVersion": b"2.0", "uuid": b"u"}
    acquisition |= {"NumberOfLoci": data.shape[1], "StartLocusIndex": 20, "SpatialSamplingInterval": 2.0}
    acquisition |= {"SpatialSamplingIntervalUnit": b"m", "GaugeLength": 10.0, "GaugeLengthUnit": b"m"}
    ends = {"PartStartTime": stamps[0], "PartEndTime": stamps[-1]}
    ends = {name: str(stamp).encode() + b"+00:00" for name, stamp in ends.items()}
    with h5py.File(path, "w") as file:
        group = file.create_group("Acquisition")
        group.attrs.update(acquisition)
        node = group.create_group("Raw[0]")
        node.attrs["RawDataUnit"] = b"rad"
        node.create_dataset("RawData", data=data).attrs["Dimensions"] = np.array([b"time", b"locus"])
        node.create_dataset("RawDataTime", data=stamps.astype(np.int64)).attrs.update({**ends, **changes})
    return path
