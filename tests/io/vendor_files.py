"""Small files as the vendors' software writes them, with every header a test may want to bend."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from obspy import Stream, Trace, UTCDateTime

START = np.datetime64("2023-04-05T06:07:08", "ns")
RATE_HZ = 250.0
CHANNELS, SAMPLES = 7, 600
ACQUISITION = "DasMetadata/Interrogator/Acquisition"

Stamped = Callable[[Path, np.ndarray], Path]  # writes a file whose samples have these stamps
Change = Callable[[Any], np.ndarray]  # of the values of a dataset, None where there is none


def change(path: Path, name: str, new: Change, **attrs: Any) -> Path:
    """Change the values of a dataset, which keeps its attributes and gets more, or add one."""
    with h5py.File(path, "a") as file:
        old = file.get(name)
        known, values = ({}, None) if old is None else (dict(old.attrs), old[()])
        file.pop(name, None)
        file[name] = new(values)
        file[name].attrs.update({**known, **attrs})
    return path


def waves(samples: int = SAMPLES, channels: int = CHANNELS) -> np.ndarray:
    """Samples (time, channel), all different, int16."""
    return (
        np.random.default_rng(7).permutation(samples * channels).reshape(samples, channels).astype(np.int16)
    )


def regular(samples: int = SAMPLES, rate_hz: float = RATE_HZ, start: np.datetime64 = START) -> np.ndarray:
    """Stamps of a clock without fault."""
    return start + np.rint(np.arange(samples) * 1e9 / rate_hz).astype("timedelta64[ns]")


def seconds(stamps: np.ndarray) -> np.ndarray:
    """Stamps as instruments of float64 store them."""
    return stamps.astype(np.int64) * 1e-9


def quakeflow(path: Path, stamps: np.ndarray) -> Path:
    """Our own layout, with a stamp for each sample beside the data."""
    with h5py.File(path, "w") as file:
        file["data"] = waves(len(stamps)).T
        file["data"].attrs.update(
            {"begin_time": str(stamps[0]), "dt_s": 1 / RATE_HZ, "dx_m": 2.0, "unit": "rad"}
        )
        file["timestamps"] = stamps.astype(np.int64)
    return path


def plain(path: Path, data: np.ndarray, **attrs: Any) -> Path:
    """Our own layout, with nothing but the attributes that are given."""
    with h5py.File(path, "w") as file:
        file["data"] = data
        file["data"].attrs.update(attrs)
    return path


def gdr(path: Path, stamps: np.ndarray, **acquisition: Any) -> Path:
    with h5py.File(path, "w") as file:
        meta = file.create_group("DasMetadata")
        meta.attrs.update({"MetadataStandard": "DAS-RCN v1.10", "RawDataStandard": "PRODML v2.2"})
        group = file.create_group(ACQUISITION)
        meta["Interrogator"].attrs["SerialNumber"] = "1"
        group.attrs.update(
            {
                "AcquisitionSampleRate": str(int(RATE_HZ)),
                "GaugeLength": "10",
                "GaugeLengthUnit": "m",
                "UnitOfMeasure": "rad",
                "SpatialSamplingInterval": "2.0",
                "SpatialSamplingIntervalUnit": "m",
                **acquisition,
            }
        )
        file["DasRawData/DasTimeArray"] = stamps.astype(np.int64).astype(np.uint64)
        file["DasRawData/RawData"] = waves(len(stamps))
        file["DasRawData/RawData"].attrs["DasDimensions"] = ["time step", "locus"]
    return path


def prodml(path: Path, stamps: np.ndarray, **changes: Any) -> Path:
    """PRODML of one raw record; `changes` are attributes of the stamps, or of the record (OutputDataRate)."""
    acquisition = {"PulseRate": 4000.0, "PulseWidth": 50.0, "schemaVersion": b"2.0", "uuid": b"u"}
    acquisition |= {"NumberOfLoci": CHANNELS, "StartLocusIndex": 20, "SpatialSamplingInterval": 2.0}
    acquisition |= {"SpatialSamplingIntervalUnit": b"m", "GaugeLength": 10.0, "GaugeLengthUnit": b"m"}
    ends = {"PartStartTime": str(stamps[0].astype("M8[us]")).encode() + b"+00:00"}
    ends |= {"PartEndTime": str(stamps[-1].astype("M8[us]")).encode() + b"+00:00"}
    with h5py.File(path, "w") as file:
        group = file.create_group("Acquisition")
        group.attrs.update(acquisition)
        node = group.create_group("Raw[0]")
        node.attrs.update({"RawDataUnit": b"rad", "OutputDataRate": changes.pop("OutputDataRate", RATE_HZ)})
        node["RawData"] = waves(len(stamps))
        node["RawData"].attrs["Dimensions"] = np.array([b"time", b"locus"])
        node["RawDataTime"] = stamps.astype("M8[us]").astype(np.int64)
        node["RawDataTime"].attrs.update({**ends, **changes})
    return path


def add_bands(path: Path, *, raw: bool) -> Path:
    """Put bands of energy into a PRODML file, beside the raw record or instead of it."""
    with h5py.File(path, "a") as file:
        node = file["Acquisition"].create_group("Processed/Fbe[0]")
        node.attrs.update({"NumberOfLoci": CHANNELS, "StartLocusIndex": 0, "Dimensions": [b"time", b"locus"]})
        node["FbeDataTime"] = file["Acquisition/Raw[0]/RawDataTime"][:]
        node["FbeDataTime"].attrs.update(dict(file["Acquisition/Raw[0]/RawDataTime"].attrs))
        for band in range(5):
            node[f"FbeData[{band}]"] = waves().astype(float) + band
        if not raw:
            del file["Acquisition/Raw[0]"]
    return path


def terra15(path: Path, stamps: np.ndarray, **changes: Any) -> Path:
    root = {"acoustic_bandwidth_end": 100.0, "amplifier_incoming_current": 1.0, "file_version": "5"}
    root |= {"file_start_computer_time": 0.0, "sensing_range_start": 30.0, "dx": 2.0, "nx": CHANNELS}
    root |= {"data_product": "velocity", "data_product_units": "m/s", "gauge_length": 10.0, **changes}
    with h5py.File(path, "w") as file:
        file.attrs.update(root)
        file["data_product/data"] = waves(len(stamps)).astype(np.float32)
        file["data_product/gps_time"] = seconds(stamps)
        file["data_product/posix_time"] = seconds(stamps)
    return path


def h5simple(path: Path, stamps: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["data"] = waves(len(stamps))
        file["timestamps"] = seconds(stamps)
        file["channels"] = np.arange(CHANNELS)
    return path


def uptech(path: Path, stamps: np.ndarray) -> Path:
    attrs = {"acquisition_frequency": RATE_HZ, "fiber_length": 100.0, "gauge_length": 10.0}
    attrs |= {"sampling_interval": 2.0, "spatial_resolution": 5.0}
    with h5py.File(path, "w") as file:
        file["Acquisition/StrainRate"] = waves(len(stamps)).astype(np.float32)
        file["Acquisition/StrainRate"].attrs.update(attrs)
        file["Acquisition/Time"] = seconds(stamps)
    return path


def silixa(path: Path, **changes: Any) -> Path:
    with h5py.File(path, "w") as file:
        file["Acoustic"] = waves()
        file["Acoustic"].attrs.update({**SILIXA, **changes})
    return path


SILIXA = {
    "GaugeLength": 10.0,
    "SamplingFrequency[Hz]": RATE_HZ,
    "Fibre Length Multiplier": 1.02,
    "Start Distance (m)": 12.5,
    "Stop Distance (m)": 12.5 + (CHANNELS - 1) * 2.04,
    "Fibre Length per Metre": 1.0,
    "GPSTimeStamp": "05/04/2023 06:07:08.000 (UTC)",
    "CPUTimeStamp": "05/04/2023 06:07:09.000 (UTC)",
    "Tags": "",
    "PulseWidth[ns]": 50.0,
    "MeasureLength[m]": 14.0,
    "StartPosition[m]": 242.0,
    "SpatialResolution[m]": 2.0,
    "SystemInfomation.Devices1.SerialNum": "1",
}


def tdms(path: Path, *, segments: int = 1, **changes: Any) -> Path:
    """TDMS of Silixa: lead-in, objects, properties of the group, interleaved samples."""
    properties = {**SILIXA, **changes}
    properties["GPSTimeStamp"] = _stamp(START)
    properties |= {"CPUTimeStamp": _stamp(START), "SystemInfomation.Devices0.SerialNum": "1"}
    names = b"".join(_property(name, value) for name, value in properties.items())
    head = struct.pack("<i", CHANNELS + 2) + _text(b"/") + struct.pack("<ii", -1, len(properties)) + names
    for channel in range(-1, CHANNELS):
        head += _text(b"/'Measurement'" + (b"" if channel < 0 else f"/'{channel}'".encode()))
        head += (
            struct.pack("<i", -1) + struct.pack("<i", 0)
            if channel < 0
            else struct.pack("<iiiQi", 20, 2, 1, SAMPLES, 0)
        )
    data = waves().tobytes()
    lead = struct.pack("<4siiQQ", b"TDSm", 46, 4713, len(head) + len(data), len(head))
    path.write_bytes((lead + head + data) * segments)
    return path


def _text(value: bytes) -> bytes:
    return struct.pack("<i", len(value)) + value


def _stamp(time: np.datetime64) -> bytes:
    since = int((time - np.datetime64("1904-01-01")) / np.timedelta64(1, "s"))
    return struct.pack("<Qq", 0, since)


def _property(name: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return _text(name.encode()) + struct.pack("<i", 0x44) + value
    if isinstance(value, str):
        return _text(name.encode()) + struct.pack("<i", 0x20) + _text(value.encode())
    return _text(name.encode()) + struct.pack("<id", 10, value)


def ap_sensing(path: Path, **changes: Any) -> Path:
    server = {"DataRate": RATE_HZ, "GaugeLength": 5.0, "RadiansToNanoStrain": 21.5, "DataType": b"PHASE_32"}
    server |= {"SpatialSampling": 1.5, "SpatialSamplingPoints": 3, **changes}
    daq = {"PositionStart": 100.0, "PositionEnd": 112.0, "SamplingInterval": 0.5, "SerialNumber": 1}
    meta = {
        "Timestamp": b"2023-04-05T06:07:08Z",
        "Timezone": server.pop("Timezone", b"UTC"),
        "TraceCount": SAMPLES,
    }
    with h5py.File(path, "w") as file:
        file.attrs.update({"AppVersion": "x", "FileVersion": [10], "OpticalChannelNumber": [1]})
        file["DAS"] = waves().astype(np.int32)
        file.create_group("Interrogator")
        for group, values in (("ProcessingServer", server), ("DAQ", daq), ("Metadata", meta)):
            for name, value in values.items():
                file[f"{group}/{name}"] = np.array([value])
    return path


def optodas(path: Path, **changes: Any) -> Path:
    header = {"channels": np.arange(10, 10 + CHANNELS), "dt": 1 / RATE_HZ, "dx": 2.0, "gaugeLength": 10.0}
    header |= {
        "time": float(START.astype(np.int64)) * 1e-9,
        "unit": b"rad/s",
        "instrument": b"a",
        "experiment": b"b",
    }
    header |= {"dimensionNames": [b"time", b"distance"], "dimensionUnits": [b"s", b"m"], "dataScale": 1.0}
    header |= {"missingSamples": np.empty(0), **changes}
    with h5py.File(path, "w") as file:
        for name in ("acqSpec", "cableSpec"):
            file.create_group(name)
        file["data"], file["fileVersion"] = waves().astype(np.float32), 8
        for name, value in header.items():
            file[f"header/{name}"] = value
        for k, (last, scale) in enumerate(((SAMPLES - 1, 1 / RATE_HZ), (CHANNELS - 1, 2.0))):
            file[f"header/dimensionRanges/dimension{k}/min"] = 0
            file[f"header/dimensionRanges/dimension{k}/max"] = last
            file[f"header/dimensionRanges/dimension{k}/unitScale"] = scale
    return path


def febus(path: Path, starts: np.ndarray, *, names: tuple[str, ...] = ("StrainRate",), **zone: Any) -> Path:
    """Febus A1 with blocks of 100 samples at 100 Hz; `starts` are stamps of the blocks."""
    attrs = {
        "Extent": [0, CHANNELS - 1, 100, 199, 0, 0],
        "Spacing": [2.0, 10.0, 1.0],
        "Origin": [0.0, 0.0, 0.0],
    }
    attrs |= {"GaugeLength": [10.0], "SamplingRate": [100.0], "Version": b"2.3.21", **zone}
    source = {"AmpliPower": [1.0], "Hostname": b"fa1", "WholeExtent": [0] * 6, "SamplingRate": [100.0]}
    with h5py.File(path, "w") as file:
        group = file.create_group("fa1-1/Source1")
        group.attrs.update(source)
        file["fa1-1/Source1/time"] = seconds(starts)
        node = group.create_group("Zone1")
        node.attrs.update({name: value for name, value in attrs.items() if value is not None})
        for name in names:
            node[name] = waves(len(starts) * 100).reshape(len(starts), 100, CHANNELS).astype(np.float32)
    return path


def febus_t1(path: Path, stamps: np.ndarray) -> Path:
    """Temperatures of a Febus T1."""
    with h5py.File(path, "w") as file:
        file["Data/Temperature"] = 20 + waves(len(stamps)).astype(float)
        file["Data/Distance"], file["Data/DistanceSignal"] = np.arange(CHANNELS) * 2.0, np.arange(9.0)
        file["Data/Time"] = seconds(stamps)[:, None]
    return path


def sentek(folder: Path, stamps: np.ndarray, name: str = "DASDMSShot00_20230405060708000.das") -> Path:
    """A Sentek file; times are float32 seconds since something."""
    past = 1000.0 + (stamps - stamps[0]).astype(np.int64) * 1e-9
    head = [CHANNELS, len(stamps), 1e6 / RATE_HZ, 1, 0, 1]
    parts = (head, np.arange(CHANNELS) * 1.9, past, waves(len(stamps)).ravel())
    np.concatenate([np.asarray(part, "<f4") for part in parts]).tofile(folder / name)
    return folder / name


def sintela(path: Path, starts: np.ndarray, samples: int = 50) -> Path:
    """Packets of a Sintela interrogator, of `samples` samples each."""
    fields = [("mark", "u4"), ("size", "u4"), ("version", "u4"), ("counted", "u8"), ("start", "u8")]
    fields += [("channels", "u4"), ("samples", "u4"), ("rate", "f4"), ("dx", "f4"), ("gauge", "f4")]
    fields += [("more", "u4", 6), ("flags", "u1", 6), ("unused", "u2"), ("offsets", "u2", 8)]
    kind = np.dtype([(name, f"<{what[0]}", *what[1:]) for name, *what in fields])
    values = waves(len(starts) * samples).astype("<f4").reshape(len(starts), -1)
    with path.open("wb") as file:
        for start, block in zip(starts, values, strict=True):
            head = np.zeros(1, kind)
            known = {"mark": 0x11223344, "size": kind.itemsize, "version": 3, "start": start.astype(np.int64)}
            known |= {"channels": CHANNELS, "samples": samples, "rate": RATE_HZ, "dx": 2.0, "gauge": 10.0}
            for name, value in known.items():
                head[name] = value
            head["more"][0, 2] = 1  # channel_step
            file.write(head.tobytes() + block.tobytes())
    return path


def segy(
    path: Path, records: list[dict[str, int]] | None = None, *, file_us: int = 4000, code: int = 5
) -> Path:
    """SEG-Y of one or more records, each of all channels; fields of the trace header by first byte from 1."""
    binary = np.zeros(400, "u1")
    for at, value in ((17, file_us), (21, SAMPLES), (25, code)):
        binary[at - 1 : at + 1] = np.frombuffer(struct.pack(">H", value), "u1")
    data = waves().T.astype(">f4" if code == 5 else ">i2")
    with path.open("wb") as file:
        file.write(b" " * 3200 + binary.tobytes())
        for number, changes in enumerate(records or [{}], start=1):
            for channel in range(CHANNELS):
                later = {"second": 9} if channel == changes.get("odd") else {}
                file.write(_trace_head(number, channel, changes | later) + data[channel].tobytes())
    return path


def miniseed(
    path: Path, *, networks: tuple[str, ...] = ("XX",), log: bool = False, floats: bool = False
) -> Path:
    """MiniSEED of a cable in each network, a trace a channel; half as floats, or beside a text."""
    stream = Stream()
    for network in networks:
        for channel, values in enumerate(waves().T):
            kind = np.float32 if floats and channel % 2 else np.int32
            stats = {"network": network, "station": f"{channel:05d}", "sampling_rate": RATE_HZ}
            stats |= {"starttime": UTCDateTime(str(START))}
            stream.append(Trace(values.astype(kind), stats))
    if log:
        text = np.frombuffer(b"the clock is locked", "S1")
        stream.append(Trace(text, {**stats, "station": "LOG", "channel": "LOG"}))
    stream.write(str(path), format="MSEED")
    return path


def _trace_head(number: int, channel: int, changes: dict[str, int]) -> bytes:
    known = {"record": number, "trace": channel + 1, "samples": SAMPLES, "us": 4000, "year": 2023, "day": 95}
    known |= {"hour": 6, "minute": 7, "second": 8, "base": 2, **changes}
    places = {
        "record": (9, "i"),
        "trace": (13, "i"),
        "delay": (109, "h"),
        "samples": (115, "H"),
        "us": (117, "H"),
    }
    places |= {
        name: (157 + 2 * k, "h") for k, name in enumerate(("year", "day", "hour", "minute", "second", "base"))
    }
    places |= {"scalar": (215, "h")}
    head = bytearray(240)
    for name, value in known.items():
        if name == "odd":
            continue
        struct.pack_into(f">{places[name][1]}", head, places[name][0] - 1, value)
    return bytes(head)
