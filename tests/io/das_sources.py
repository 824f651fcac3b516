"""One small recording, offered through every kind of source that the readers take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

FIRST_CHANNEL = 40
START = np.datetime64("2023-04-05T06:07:08.250000000", "ns")
DT_S = 0.004
DX_M = 2.5


def _waves() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((7, 60)).astype(np.float32)


@dataclass(frozen=True)
class Truth:
    """What a source holds, whatever its form: 7 channels of 60 samples, all values different."""

    data: np.ndarray = field(default_factory=_waves)
    start: np.datetime64 = START
    dt_s: float = DT_S
    first_channel: int = FIRST_CHANNEL
    dx_m: float | None = DX_M
    unit: str = "m/s"
    station_id: str = "XX"

    @property
    def channels(self) -> np.ndarray:
        return self.first_channel + np.arange(len(self.data))

    @property
    def times(self) -> np.ndarray:
        step = np.timedelta64(round(self.dt_s * 1e9), "ns")
        return self.start + step * np.arange(self.data.shape[1])

    @property
    def distance_m(self) -> np.ndarray:
        if self.dx_m is None:
            return np.full(len(self.data), np.nan)
        return self.channels * self.dx_m


@dataclass(frozen=True)
class Source:
    """A source, the statements it needs, and what must come out."""

    source: Any
    truth: Truth
    stated: dict[str, Any] = field(default_factory=dict)


Builder = Callable[[Path], Source]


def write_h5(path: Path, data: np.ndarray, name: str = "data", **attrs: Any) -> Path:
    """Write one dataset with attributes."""
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=data).attrs.update(attrs)
    return path


ATTRS: dict[str, Any] = {
    "begin_time": "2023-04-05T06:07:08.250+00:00",
    "end_time": "2023-04-05T06:07:08.490+00:00",
    "dt_s": DT_S,
    "dx_m": DX_M,
    "unit": "m/s",
    "first_channel": FIRST_CHANNEL,
    "station_id": "XX",
}


def quakeflow(tmp: Path) -> Source:
    return Source(write_h5(tmp / "a.h5", _waves(), **ATTRS), Truth())


def quakeflow_rate(tmp: Path) -> Source:
    attrs = {**ATTRS, "start_time": ATTRS["begin_time"], "sampling_rate_hz": 1 / DT_S}
    for name in ("begin_time", "end_time", "dt_s"):
        del attrs[name]
    return Source(str(write_h5(tmp / "b.h5", _waves(), **attrs)), Truth())


def quakeflow_time_first_dims(tmp: Path) -> Source:
    return Source(write_h5(tmp / "c.h5", _waves().T, **ATTRS, dims="time,channel"), Truth())


def quakeflow_time_first_counts(tmp: Path) -> Source:
    return Source(write_h5(tmp / "d.h5", _waves().T, **ATTRS, nt=60, nch=7), Truth())


def quakeflow_time_first_span(tmp: Path) -> Source:
    return Source(write_h5(tmp / "e.h5", _waves().T, **ATTRS), Truth())


def quakeflow_int16(tmp: Path) -> Source:
    data = np.rint(_waves() * 1000).astype(np.int16)
    return Source(write_h5(tmp / "f.h5", data, **ATTRS), Truth(data=data))


def plain_h5(tmp: Path) -> Source:
    stated = {"start_time": str(START), "dt_s": DT_S, "dx_m": DX_M, "unit": "m/s"}
    stated |= {"station_id": "XX", "first_channel": FIRST_CHANNEL}
    return Source(write_h5(tmp / "g.h5", _waves()), Truth(), stated)


def written_quakeflow(tmp: Path) -> Source:
    from phasenet_das.io import write_quakeflow

    return Source(write_quakeflow(own_patch(), tmp / "h.h5"), Truth())


def own_patch() -> Any:
    from phasenet_das.io import make_patch

    truth = Truth()
    return make_patch(
        truth.data,
        start_time=START,
        dt_s=DT_S,
        channel_index=truth.channels,
        distance_m=truth.distance_m,
        station_id="XX",
        unit="m/s",
    )


def patch(_: Path) -> Source:
    return Source(own_patch(), Truth())


def patch_time_first(_: Path) -> Source:
    import dascore

    truth = Truth()
    coords = {"time": truth.times, "distance": truth.distance_m}
    foreign = dascore.Patch(
        data=truth.data.T.copy(),
        coords=coords,
        dims=("time", "distance"),
        attrs={"station": "XX", "data_units": "m/s"},
    )
    return Source(foreign, Truth(unit="meter / second"), {"first_channel": FIRST_CHANNEL})


def patch_channel_dim(_: Path) -> Source:
    import dascore

    truth = Truth(dx_m=None, unit="unknown", station_id="DAS")  # nobody names the cable
    coords = {"time": truth.times, "channel": truth.channels}
    return Source(dascore.Patch(data=truth.data, coords=coords, dims=("channel", "time")), truth)


def dasdae(tmp: Path) -> Source:
    path = tmp / "i.h5"
    patch_time_first(tmp).source.io.write(path, "dasdae")
    return Source(path, Truth(unit="meter / second"), {"first_channel": FIRST_CHANNEL})


def make_stream(truth: Truth | None = None, prefix: str = "") -> Any:
    import obspy

    truth = truth or Truth()
    traces = []
    for number, row in zip(truth.channels, truth.data, strict=True):
        header = {
            "network": "XX",
            "station": f"{prefix}{number:05d}"[:5],
            "channel": "HSF",
            "delta": truth.dt_s,
        }
        header["starttime"] = obspy.UTCDateTime(ns=int(truth.start.astype(np.int64)))
        traces.append(obspy.Trace(row.copy(), header=header))
    return obspy.Stream(traces)


def stream(_: Path) -> Source:
    return Source(make_stream(), Truth(unit="m/s"), {"unit": "m/s", "dx_m": DX_M})


def stream_shuffled_with_distance(_: Path) -> Source:
    found = make_stream()
    for trace in found:
        trace.stats.distance = int(trace.stats.station) * DX_M
    found.traces = [found.traces[k] for k in (3, 0, 6, 1, 5, 2, 4)]
    return Source(found, Truth(unit="unknown"))


def stream_in_pieces(_: Path) -> Source:
    import obspy

    found = make_stream()
    cut = found[0].stats.starttime + 20 * DT_S
    pieces = found.slice(endtime=cut - DT_S) + found.slice(starttime=cut)
    assert len(pieces) == 14
    return Source(obspy.Stream(pieces[::-1]), Truth(), {"unit": "m/s", "dx_m": DX_M})


def miniseed(tmp: Path) -> Source:
    path = tmp / "j.mseed"
    make_stream().write(str(path), format="MSEED", reclen=512)
    return Source(path, Truth(), {"unit": "m/s", "dx_m": DX_M})


def _xarray(truth: Truth) -> Any:
    import xarray

    coords = {
        "time": truth.times,
        "distance": truth.distance_m,
        "channel_index": ("distance", truth.channels),
    }
    attrs = {"unit": "m/s", "station_id": "XX"}
    return xarray.DataArray(truth.data, coords, ("distance", "time"), attrs=attrs)


def xarray_distance(_: Path) -> Source:
    return Source(_xarray(Truth()), Truth())


def xarray_time_first(_: Path) -> Source:
    return Source(_xarray(Truth()).transpose("time", "distance"), Truth())


def xarray_channel(_: Path) -> Source:
    import xarray

    truth = Truth(dx_m=None)
    coords = {"time": truth.times, "channel": truth.channels}
    found = xarray.DataArray(truth.data, coords, ("channel", "time"), attrs={"units": "m/s"})
    return Source(found, truth, {"station_id": "XX"})


def _xdas(time_first: bool) -> Any:
    xdas = pytest.importorskip("xdas")
    truth = Truth()
    last = len(truth.times) - 1
    time = {"tie_indices": [0, last], "tie_values": truth.times[[0, last]]}
    if time_first:
        return xdas.DataArray(truth.data.T.copy(), {"time": time, "distance": truth.distance_m})
    return xdas.DataArray(truth.data, {"distance": truth.distance_m, "time": time})


_XDAS_STATED = {"unit": "m/s", "station_id": "XX", "first_channel": FIRST_CHANNEL}


def xdas_array(_: Path) -> Source:
    return Source(_xdas(time_first=False), Truth(), _XDAS_STATED)


def xdas_time_first(_: Path) -> Source:
    return Source(_xdas(time_first=True), Truth(), _XDAS_STATED)


def xdas_file(tmp: Path) -> Source:
    path = tmp / "k.nc"
    _xdas(time_first=True).to_netcdf(str(path))
    return Source(path, Truth(), _XDAS_STATED)


def daspy_section(_: Path) -> Source:
    daspy = pytest.importorskip("daspy")
    truth = Truth()
    start = daspy.DASDateTime.fromisoformat("2023-04-05T06:07:08.250000+00:00")
    section = daspy.Section(
        truth.data.astype(np.float64),
        dx=DX_M,
        fs=1 / DT_S,
        start_channel=FIRST_CHANNEL,
        start_distance=FIRST_CHANNEL * DX_M,
        start_time=start,
        data_type="velocity",
    )
    return Source(section, Truth(unit="velocity"), {"station_id": "XX"})


BUILDERS: tuple[Builder, ...] = (
    *(
        quakeflow,
        quakeflow_rate,
        quakeflow_time_first_dims,
        quakeflow_time_first_counts,
        quakeflow_time_first_span,
    ),
    *(quakeflow_int16, plain_h5, written_quakeflow, patch, patch_time_first, patch_channel_dim, dasdae),
    *(stream, stream_shuffled_with_distance, stream_in_pieces, miniseed),
    *(
        xarray_distance,
        xarray_time_first,
        xarray_channel,
        xdas_array,
        xdas_time_first,
        xdas_file,
        daspy_section,
    ),
)
