"""Read bad files of other people's making, and vendor files against their own headers.

    python benchmarks/vendor_files.py                      # the situations of the tests, made small
    python benchmarks/vendor_files.py ../shared/data/vendor_formats

The headers are read here with h5py and struct alone, never through the readers of the package.
"""

from __future__ import annotations

import argparse
import struct
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from phasenet_das.catalog import export_catalog
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io.archive import Archive, archive_of_source
from phasenet_das.io.metadata import UserMetadata
from phasenet_das.io.patch import parse_unit
from tests import tables_at_hand
from tests.io.bad_files import KINDS, SITUATIONS, Right, Situation
from tests.io.vendor_files import START

Facts = dict[str, Any]
_WIDTHS = {"rate_hz": 1e-6, "first_m": 0.01, "last_m": 0.1}
_NAMES = ("rate_hz", "start", "end", "first_m", "last_m", "unit")
_LONGEST = 90
_SECOND = np.timedelta64(1, "s")


def _text(value: Any) -> str:  # noqa: ANN401 - an HDF5 value
    value = np.ravel(value[()] if isinstance(value, h5py.Dataset) else value)[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _number(value: Any) -> float:  # noqa: ANN401 - an HDF5 value
    return float(_text(value))


def _ns(seconds: float) -> np.datetime64:
    return np.datetime64(round(seconds * 1e6), "us").astype("datetime64[ns]")


def _span(start: np.datetime64, rate_hz: float, count: int) -> Facts:
    return {
        "rate_hz": rate_hz,
        "start": start,
        "end": start + np.timedelta64(round(count / rate_hz * 1e9), "ns"),
    }


def _line(first_m: float, step_m: float, count: int) -> Facts:
    return {"first_m": first_m, "last_m": first_m + step_m * (count - 1)}


def _gdr(file: h5py.File) -> Facts:
    head, stamps = file["DasMetadata/Interrogator/Acquisition"].attrs, file["DasRawData/DasTimeArray"]
    start, step_m = np.datetime64(int(stamps[0]), "ns"), _number(head["SpatialSamplingInterval"])
    return {
        **_span(start, _number(head["AcquisitionSampleRate"]), len(stamps)),
        **_line(0.0, step_m, int(_number(head["NumberOfChannels"]))),
        "unit": "none" if _text(head["UnitOfMeasure"]) == "NaN" else _text(head["UnitOfMeasure"]),
    }


def _terra15(file: h5py.File) -> Facts:
    stamps = file["data_product/gps_time"][:]
    rate_hz = (len(stamps) - 1) / (stamps[-1] - stamps[0])
    attrs = file.attrs
    return {
        **_span(_ns(float(stamps[0])), rate_hz, len(stamps)),
        **_line(float(attrs["sensing_range_start"]), float(attrs["dx"]), int(attrs["nx"])),
        "unit": _text(attrs["data_product_units"]),
    }


def _silixa(file: h5py.File) -> Facts:
    attrs, count = file["Acoustic"].attrs, len(file["Acoustic"])
    start = pd.to_datetime(_text(attrs["GPSTimeStamp"]).replace(" (UTC)", ""), dayfirst=True)
    ends = {"first_m": _number(attrs["Start Distance (m)"]), "last_m": _number(attrs["Stop Distance (m)"])}
    return {
        **_span(start.to_datetime64(), _number(attrs["SamplingFrequency[Hz]"]), count),
        **ends,
        "unit": "none",
    }


def _ap_sensing(file: h5py.File) -> Facts:
    server, (count, channels) = file["ProcessingServer"], file["DAS"].shape
    start = np.datetime64(_text(file["Metadata/Timestamp"]).rstrip("Z"), "ns")
    along = _line(_number(file["DAQ/PositionStart"]), _number(server["SpatialSampling"]), channels)
    return {**_span(start, _number(server["DataRate"]), count), **along, "unit": "none"}


def _optodas(file: h5py.File) -> Facts:
    head, count = file["header"], len(file["data"])
    metres = file["cableSpec/sensorDistances"][:]
    numbers = head["channels"][:] // (len(head["phiOffs"]) and 5)
    return {
        **_span(_ns(_number(head["time"])), 1 / _number(head["dt"]), count),
        "first_m": float(metres[numbers[0]]),
        "last_m": float(metres[numbers[-1]]),
        "unit": _text(head["unit"]),
    }


def _prodml(file: h5py.File) -> Facts:
    node, attrs = file["Acquisition/Raw[0]"], file["Acquisition"].attrs
    stamps, step_m = node["RawDataTime"], _number(attrs["SpatialSamplingInterval"])
    along = _line(_number(attrs["StartLocusIndex"]) * step_m, step_m, int(attrs["NumberOfLoci"]))
    span = _span(np.datetime64(int(stamps[0]), "us"), _number(node.attrs["OutputDataRate"]), len(stamps))
    if _text(attrs["MeasurementStartTime"]).startswith("1970"):
        span |= {"start": "1970: unknown", "end": "unknown"}
    return {**span, **along, "unit": _text(node.attrs["RawDataUnit"])}


def _febus(file: h5py.File) -> Facts:
    source = next(iter(next(iter(file.values())).values()))
    zone = source["Zone1"]
    name, data = next(iter(zone.items()))
    stamps = np.ravel(source["time"][:])
    blocks, in_block, channels = data.shape
    step_m = float(zone.attrs["Spacing"][0])
    first_m = float(zone.attrs["Origin"][0]) + float(zone.attrs["Extent"][0]) * step_m
    span = _span(_ns(float(stamps[0])), _number(zone.attrs["SamplingRate"]), blocks * in_block)
    if "PSD" in name:
        span = {"rate_hz": "spectra", "start": _ns(float(stamps[0])), "end": "spectra"}
    return {**span, **_line(first_m, step_m, channels), "unit": name}


def _febus_t1(file: h5py.File) -> Facts:
    stamps, metres = np.ravel(file["Data/Time"][:]), file["Data/Distance"][:]
    rate_hz = (len(stamps) - 1) / (stamps[-1] - stamps[0]) if len(stamps) > 1 else "one reading"
    times = {"start": _ns(float(stamps[0])), "end": _ns(float(stamps[-1]))}
    return {
        "rate_hz": rate_hz,
        **times,
        "first_m": metres[0],
        "last_m": metres[-1],
        "unit": _text(file.attrs["measurement"]),
    }


def _xdas(file: h5py.File) -> Facts:
    times, last = file["time_values"], int(file["time_indices"][-1])
    start = np.datetime64(_text(times.attrs["units"]).split("since ")[1].replace(" ", "T"), "ns")
    rate_hz = 1000 * last / (int(times[-1]) - int(times[0]))
    metres = file["distance_values"]
    return {**_span(start, rate_hz, last + 1), "first_m": metres[0], "last_m": metres[-1], "unit": "none"}


_HDF5: dict[str, Callable[[h5py.File], Facts]] = {
    "DasMetadata": _gdr,
    "data_product": _terra15,
    "Acoustic": _silixa,
    "ProcessingServer": _ap_sensing,
    "acqSpec": _optodas,
    "Acquisition": _prodml,
    "Parameters": _febus_t1,
    "__values__": _xdas,
}


def _sentek(path: Path) -> Facts:
    head = np.fromfile(path, "<f4", 6)
    channels, count = int(head[0]), int(head[1])
    metres = np.fromfile(path, "<f4", channels, offset=24)
    stamp = path.stem.split("_")[1]
    start = np.datetime64(
        f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[8:10]}:{stamp[10:12]}:{stamp[12:14]}.{stamp[14:]}",
        "ns",
    )
    return {
        **_span(start, 1e6 / float(head[2]), count),
        "first_m": metres[0],
        "last_m": metres[-1],
        "unit": "none",
    }


def _tdms(path: Path) -> Facts:
    content = path.read_bytes()

    def double(name: str) -> float:
        at = content.index(name.encode()) + len(name)
        kind = struct.unpack_from("<i", content, at)[0]
        return float(struct.unpack_from("<d" if kind == 10 else "<f", content, at + 4)[0])

    at = content.index(b"GPSTimeStamp") + len("GPSTimeStamp") + 4
    part, seconds = struct.unpack_from("<Qq", content, at)
    start = (
        np.datetime64("1904-01-01", "ns")
        + np.timedelta64(seconds, "s")
        + np.timedelta64(round(part / 2**64 * 1e6), "us")
    )
    first_m, last_m, rate_hz = map(
        double, ("Start Distance (m)", "Stop Distance (m)", "SamplingFrequency[Hz]")
    )
    channels = struct.unpack_from("<i", content, 28)[0] - 2
    count = (len(content) - struct.unpack_from("<Q", content, 20)[0] - 28) // channels // 2
    return {**_span(start, rate_hz, count), "first_m": first_m, "last_m": last_m, "unit": "none"}


def _segy(path: Path) -> Facts:
    head = path.read_bytes()[3200 : 3600 + 240]
    year, day, hour, minute, second = struct.unpack_from(">5h", head, 400 + 156)
    start = np.datetime64(f"{year}-01-01", "ns") + np.timedelta64(
        ((day - 1) * 24 + hour) * 3600 + minute * 60 + second, "s"
    )
    start += np.timedelta64(struct.unpack_from(">h", head, 400 + 108)[0], "ms")
    interval_us, count = struct.unpack_from(">H", head, 400 + 116)[0], struct.unpack_from(">H", head, 20)[0]
    return {**_span(start, 1e6 / interval_us, count), "first_m": np.nan, "last_m": np.nan, "unit": "none"}


def _miniseed(path: Path) -> Facts:
    """Read start and rate of the first record; nothing states distance and unit."""
    head = path.read_bytes()[:48]
    year, day, hour, minute, second, _, tenths, _, factor, multiplier = struct.unpack_from(
        ">HHBBBBHHhh", head, 20
    )
    start = np.datetime64(f"{year}-01-01", "ns") + np.timedelta64(
        ((day - 1) * 24 + hour) * 3600 + minute * 60 + second, "s"
    )
    rate_hz = float(factor * multiplier if multiplier > 0 else -factor / multiplier)
    span = {
        "rate_hz": rate_hz,
        "start": start + np.timedelta64(tenths * 100, "us"),
        "end": "in other records",
    }
    return {**span, "first_m": np.nan, "last_m": np.nan, "unit": "none"}


_OTHERS = {".das": _sentek, ".tdms": _tdms, ".sgy": _segy, ".mseed": _miniseed}


def header_facts(path: Path) -> Facts:
    """Read what the headers of a file say, with nothing but h5py and struct."""
    if path.suffix in _OTHERS:
        return _OTHERS[path.suffix](path)
    with h5py.File(path, "r") as file:
        return next((read for name, read in _HDF5.items() if name in file), _febus)(file)


def reader_facts(archive: Archive) -> Facts:
    """Take the same from what the package reads."""
    first, last = archive.recordings[0], archive.recordings[-1]
    ends = {"first_m": first.distance_m[0], "last_m": first.distance_m[-1]}
    return {
        "rate_hz": 1 / first.dt_s,
        "start": first.start_time,
        "end": last.end_time,
        **ends,
        "unit": first.unit,
    }


def vendor_table(folder: Path) -> pd.DataFrame:
    """Compare every file of a folder with its own headers: a row a file, a cell a fact."""
    rows = []
    for path in sorted(item for item in folder.iterdir() if item.is_file() and item.suffix != ".md"):
        stated = header_facts(path)
        user = UserMetadata(start_time="2020-02-02" if "unknown" in str(stated["start"]) else None)
        try:
            found, refused = reader_facts(archive_of_source(path, user)), ""
        except PhaseNetDASError as error:
            found, refused = {}, "refused: " + str(error).removeprefix(f"{path}: ").split(". ")[0]
        cells = {name: _cell(name, stated[name], found.get(name)) for name in _NAMES}
        rows.append({"file": path.name, **cells, "remark": refused})
    return pd.DataFrame(rows)


def _cell(name: str, stated: Any, found: Any) -> str:  # noqa: ANN401 - a number, a time or text
    """Show what the header says, and what is read where that differs."""
    if found is None or _agree(name, stated, found):
        return _shown(stated)
    return f"{_shown(stated)} (read: {_shown(found)})"


def _shown(value: Any) -> str:  # noqa: ANN401 - as _cell
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[us]"))[11:]
    return f"{value:.8g}" if isinstance(value, float | np.floating) else str(value)


def _agree(name: str, one: Any, other: Any) -> bool:  # noqa: ANN401 - as _cell
    if name == "unit":
        return bool(one == "none" and other == "unknown") or parse_unit(one) == parse_unit(other)
    if isinstance(one, str):
        return False
    if isinstance(one, np.datetime64):
        return bool(abs(one - other) <= np.timedelta64(1, "us"))
    return bool(np.isnan(one) and np.isnan(other)) or abs(one - other) <= _WIDTHS[name] * (
        one if name == "rate_hz" else 1
    )


def situation_table(folder: Path, situations: tuple[Situation, ...] = SITUATIONS) -> pd.DataFrame:
    """Make each situation and say what comes out; formats that give the same share a row."""
    rows = []
    for number, situation in enumerate(situations):
        own = folder / str(number)
        own.mkdir()
        path = situation.make(own)
        try:
            archive = archive_of_source(path, UserMetadata(**situation.stated))
            out, right = _out(archive), _is_right(archive, situation.right)
        except PhaseNetDASError as error:
            out = "refused: " + str(error).removeprefix(f"{path}: ").split(". ")[0]
            right = bool(situation.right.refused)
        kind, _, words = situation.name.rpartition(": ")
        rows.append((situation.kind, kind or words, words, out[:_LONGEST], "yes" if right else "NO"))
    table = pd.DataFrame(rows, columns=["kind", "format", "situation", "comes out", "right"])
    same = ["kind", "situation", "comes out", "right"]
    return (
        table.groupby(same, sort=False)["format"].agg(", ".join).reset_index()[["kind", "format", *same[1:]]]
    )


def _out(archive: Archive) -> str:
    few = archive.recordings[:2]
    shown = "; ".join(
        f"{float((item.start_time - START) / _SECOND):+.2f} s {item.num_samples} samples" for item in few
    )
    more = f" and {len(archive.recordings) - len(few)} more" if len(archive.recordings) > len(few) else ""
    counts = archive.coverage["status"].value_counts()
    left = "".join(f", {count} {status}" for status, count in counts.items())
    warned = ", warned" if any(item.warnings for item in archive.recordings) else ""
    return f"{1 / few[0].dt_s:g} Hz: {shown}{more}{left}{warned}"


def _is_right(archive: Archive, right: Right) -> bool:
    rates = {round(item.dt_s / right.dt_s, 5) for item in archive.recordings} == {1.0}
    joined = len(archive.recordings) in (len(right.spans), len(right.spans) - 1)  # overlaps are joined
    said = any(right.warned in note for item in archive.recordings for note in item.warnings)
    return rates and joined and not right.refused and (said or not right.warned)


def narrow_fields(folder: Path) -> list[str]:
    """Export values that are too wide, and collect what is said."""
    channels = tables_at_hand.catalog_channels()
    lines = []
    wide = {"magnitude": -2.3, "horizontal_uncertainty_km": 180.0, "depth_km": 1234.5}
    for column, value in wide.items():
        events = tables_at_hand.catalog_events()
        events[column] = events.get(column, pd.Series(0.0, events.index)).where(events.index > 0, value)
        for name in ("hypoinverse", "nordic"):
            done = export_catalog(events, tables_at_hand.catalog_picks(), folder / name, name, channels)
            lines += [f"8 {name}: {line}" for line in done.misfits.lines()]
    return lines


def main(arguments: list[str] | None = None) -> Mapping[str, pd.DataFrame]:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", nargs="?", type=Path, help="vendor files to hold against their headers")
    parser.add_argument("--kind", type=int, choices=sorted(KINDS), help="situations of one kind only")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    chosen = tuple(item for item in SITUATIONS if options.kind in (None, item.kind))
    tables: dict[str, pd.DataFrame] = {}
    with pd.option_context("display.width", 240, "display.max_colwidth", None, "display.max_rows", None):
        with tempfile.TemporaryDirectory() as made:
            for kind, words in KINDS.items():
                print(kind, words)
            if chosen:
                tables["situations"] = situation_table(Path(made), chosen)
                print(tables["situations"].to_string(index=False))
            if options.kind in (None, 8):
                print("\n".join(narrow_fields(Path(made))))
        if options.folder:
            tables["vendor"] = vendor_table(options.folder)
            print(tables["vendor"].to_string(index=False))
    return tables


if __name__ == "__main__":
    main()
