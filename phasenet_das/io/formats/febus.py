"""Febus A1: strain rate in blocks that may overlap, each with a time stamp."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from phasenet_das.errors import DataFormatError, SamplingError
from phasenet_das.io.formats.stated import (
    Stated,
    compare,
    interval_of_rate,
    number_of,
    stamps_of,
    text_of,
    written,
)
from phasenet_das.io.patch import UNKNOWN_UNIT, parse_unit, unit_text
from phasenet_das.io.quantity import no_waves, refuse_no_waves
from phasenet_das.io.recording import Recording, recording_of_header

_SOURCE_MARKS = {"AmpliPower", "Hostname", "WholeExtent", "SamplingRate"}
_HIGHEST_HZ = 1e6  # a higher SamplingRate is that of the digitiser
_BLOCK_JITTER = 0.05  # of a block, by which stamps may be late or early
_SAME_INTERVAL = 1e-4
_DEFAULT_OVERLAP = 100  # percent
_UNIT = re.compile(r"\[(.+)\]")
_RATE_NAME = re.compile(r"strain.?rate|^sr([_ ]|$)", re.IGNORECASE)


def open_febus(path: Path, file: h5py.File) -> list[Recording] | None:
    """Describe a Febus file, None for a file of another kind."""
    sources = [(group, name) for group in file.values() if isinstance(group, h5py.Group) for name in group]
    if not sources or not all(name.startswith("Source") for _, name in sources):
        return None
    if not all(set(group[name].attrs) >= _SOURCE_MARKS for group, name in sources):
        return None
    found: list[tuple[h5py.Group, h5py.Dataset]] = []
    left_out: list[tuple[h5py.Group, h5py.Dataset]] = []
    for zone, data in _datasets(file):
        (left_out if no_waves(data.name) or data.ndim != 3 else found).append((zone, data))
    if not found:
        for _, data in left_out:
            refuse_no_waves(str(path), data.name.lstrip("/"))
        names = ", ".join(data.name.lstrip("/") for _, data in left_out) or "no dataset"
        raise DataFormatError(f"{path}: found {names}. Expected blocks of samples (block, time, channel).")
    notes = tuple(
        f"{path}: {data.name.lstrip('/')} is not read: it holds no samples." for _, data in left_out
    )
    parts = [_zone(path, zone, data, notes) for zone, data in found]
    return [recording for part in parts for recording in part]


def _datasets(file: h5py.File) -> Iterator[tuple[h5py.Group, h5py.Dataset]]:
    for group in file.values():
        for source in group.values():
            for zone in source.values():
                if isinstance(zone, h5py.Group):
                    yield from ((zone, item) for item in zone.values() if isinstance(item, h5py.Dataset))


def _zone(path: Path, zone: h5py.Group, data: h5py.Dataset, notes: tuple[str, ...]) -> list[Recording]:
    label, attrs = str(path), zone.attrs
    expected, in_block, channels = data.shape
    stamps = stamps_of(zone.parent["time"][()])[:expected]
    stamps = stamps[: written(stamps)]
    blocks, found = len(stamps), zone.parent["time"].size
    if not blocks or found < expected:
        raise SamplingError(
            f"{label}: found {blocks} usable time stamps for {expected} blocks of {data.name}. Expected one "
            "for each block. If the file was cut short, copy it again."
        )
    if blocks < expected:
        notes = (
            *notes,
            f"{label}: the last {expected - blocks} of {expected} blocks have no time. They are left out.",
        )
    origin, spacing, extent = (
        np.ravel(attrs[name]).astype(float) for name in ("Origin", "Spacing", "Extent")
    )
    promised = int(extent[1] - extent[0]) + 1
    if promised != channels:
        notes = (*notes, f"{label}: Extent has {promised} channels, {data.name} has {channels}.")
    dt_s, more = _interval(attrs, spacing[1] * 1e-3, label)
    kept, said = _kept(attrs, stamps, in_block, dt_s, extent[2] != 0, label)
    first = (in_block - kept) // 2
    offset_ns = round((origin[1] * 1e-3 + first * dt_s) * 1e9)
    recording = recording_of_header(
        label,
        (channels, blocks * kept),
        partial(_read_blocks, path, data.name, first, kept),
        dtype=data.dtype,
        format=f"Febus {text_of(attrs.get('Version', '1')).split('.')[0]}",
        dt_s=dt_s,
        distance_m=origin[0] + (extent[0] + np.arange(channels)) * spacing[0],
        unit=_unit(data.name.rsplit("/", 1)[-1]),
        attrs={"gauge_length": number_of(attrs.get("GaugeLength", "")), "gauge_length_units": "m"},
        warnings=(*notes, *more, *said),
    )
    stated = Stated(
        stamps=stamps + np.timedelta64(offset_ns, "ns"),
        each=kept,
        jitter_s=_BLOCK_JITTER * kept * dt_s,
        intervals_s={"Spacing": dt_s},
    )
    return compare(recording, stated)


def _interval(attrs: h5py.AttributeManager, spaced_s: float, label: str) -> tuple[float, tuple[str, ...]]:
    """Choose between rate and spacing of samples; files with a version have a rounded, right spacing."""
    rate_hz = number_of(attrs.get("SamplingRate", ""))
    by_rate_s = interval_of_rate(rate_hz) if rate_hz < _HIGHEST_HZ else float("nan")
    if not spaced_s > 0 and np.isnan(by_rate_s):
        raise SamplingError(
            f"{label}: found neither SamplingRate nor Spacing. Expected the sampling interval."
        )
    if np.isnan(by_rate_s):
        return spaced_s, ()
    if not spaced_s > 0 or abs(by_rate_s / spaced_s - 1) < _SAME_INTERVAL:
        return by_rate_s, ()
    name, dt_s = ("Spacing", spaced_s) if "Version" in attrs else ("SamplingRate", by_rate_s)
    note = (
        f"{label}: the header contradicts itself: SamplingRate {by_rate_s:.9g} s, Spacing {spaced_s:.9g} s. "
        f"{name} is used."
    )
    return dt_s, (note,)


def _kept(
    attrs: h5py.AttributeManager, stamps: np.ndarray, in_block: int, dt_s: float, trimmed: bool, label: str
) -> tuple[int, tuple[str, ...]]:
    """Return how many samples of a block are its own, the rest being those of its neighbours."""
    overlap = attrs.get("Overlap", attrs.get("BlockOverlap"))
    percent = _DEFAULT_OVERLAP if overlap is None else number_of(overlap)
    by_overlap = in_block if trimmed else max(round(in_block / (1 + percent / 100)), 1)
    rate_hz = number_of(attrs.get("BlockRate", "")) / 1000
    apart_s = 1 / rate_hz if rate_hz > 0 else float("nan")
    if np.isnan(apart_s) and len(stamps) > 1:
        apart_s = float(np.median(np.diff(stamps) / np.timedelta64(1, "ns"))) * 1e-9
    if np.isnan(apart_s):
        return by_overlap, ()
    own = apart_s / dt_s
    if round(own) < 1:
        raise SamplingError(
            f"{label}: blocks are {apart_s:.4g} s apart by their time stamps. Expected increasing stamps. "
            "Sort the blocks, or correct the stamps."
        )
    if abs(own - by_overlap) <= max(1, _BLOCK_JITTER * by_overlap):
        return (round(own) if trimmed and round(own) <= in_block else by_overlap), ()
    if own < in_block * (1 - _BLOCK_JITTER):
        kept = round(own)
    else:
        kept = in_block if overlap is None or own < in_block * (1 + _BLOCK_JITTER) else by_overlap
    if kept == by_overlap:  # the blocks lie apart: gaps
        return kept, ()
    note = (
        f"{label}: an overlap of {percent:g}% leaves {by_overlap} samples of a block, but blocks are "
        f"{apart_s:.4g} s ({own:.5g} samples) apart. {kept} samples are used."
    )
    return kept, (note,)


def _unit(name: str) -> str:
    """Read the unit from the name of a dataset, such as StrainRate [nStrain|s]."""
    found = _UNIT.search(name)
    if found is None:
        return "nanostrain / second" if _RATE_NAME.search(name) else UNKNOWN_UNIT
    text = found[1].replace("|", "/")
    known = parse_unit(re.sub(r"\bnStrain\b", "nanostrain", text))
    return text if known is None else unit_text(known)


def _read_blocks(path: Path, name: str, first: int, kept: int, channels: slice, samples: slice) -> np.ndarray:
    """Read samples that are counted over the kept samples of all blocks, channels first."""
    low, high = samples.start // kept, -(-samples.stop // kept)
    with h5py.File(path, "r") as file:
        blocks = file[name][low:high, first : first + kept, channels]
    rows: np.ndarray = blocks.reshape(-1, blocks.shape[2])[samples.start - low * kept :]
    return rows[: samples.stop - samples.start].T
