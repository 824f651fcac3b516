"""Sentek: six numbers, distances, times and samples, all float32."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from phasenet_das.errors import DataFormatError
from phasenet_das.io.formats.stated import Stated, compare
from phasenet_das.io.patch import UNKNOWN_UNIT
from phasenet_das.io.recording import Recording, recording_of_header
from phasenet_das.io.time import parse_time

_HEAD = 6  # channels, samples, interval in µs, whether strain rate, trigger, decimation
_BYTES = 4
_NAME_TIME = re.compile(r"(?<!\d)(\d{8})(\d{6})(\d{3})?(?!\d)")
_ROUNDINGS = 2  # of float32, by which stamps are off: times of a day are told to 8 ms


def is_sentek(path: Path) -> bool:
    """Say whether a file has the ending, header and exact size of this format."""
    if path.suffix.lower() != ".das":
        return False
    head = np.fromfile(path, "<f4", _HEAD)
    if len(head) < _HEAD or not np.isfinite(head).all() or (head[:2] < 1).any() or (head[:2] % 1).any():
        return False
    return head[3] in (0, 1)


def open_sentek(path: Path) -> list[Recording]:
    """Describe a Sentek file; its start is in its name alone."""
    label, head = str(path), np.fromfile(path, "<f4", _HEAD)
    channels, samples = int(head[0]), int(head[1])
    expected = (_HEAD + channels + samples + channels * samples) * _BYTES
    if path.stat().st_size < expected:
        raise DataFormatError(
            f"{label}: the header promises {channels} channels of {samples} samples ({expected} bytes), "
            f"found {path.stat().st_size} bytes. It was probably cut short: copy it again."
        )
    distance_m = np.fromfile(path, "<f4", channels, offset=_HEAD * _BYTES).astype(np.float64)
    stamps_s = np.fromfile(path, "<f4", samples, offset=(_HEAD + channels) * _BYTES).astype(np.float64)
    start = _NAME_TIME.search(path.stem)
    iso = f"{start[1]}T{start[2]}.{start[3] or '0'}" if start else None
    note = (
        f"{label}: the start is that in the name of the file. Times inside count from {stamps_s[0]:.6g} s "
        "after an origin that nothing tells."
    )
    stamps = np.rint(stamps_s * 1e9).astype("datetime64[ns]")
    recording = recording_of_header(
        label,
        (channels, samples),
        partial(_read_block, path, (channels, samples)),
        format="Sentek 5",
        start_time=parse_time(iso),
        start_found=iso or "no time in the name of the file",
        dt_s=float(head[2]) * 1e-6,
        distance_m=distance_m,
        unit=UNKNOWN_UNIT,
        attrs={"data_type": "strain_rate" if head[3] else "strain"},
        warnings=(note,),
    )
    rounding_s = _ROUNDINGS * float(np.spacing(np.float32(np.abs(stamps_s).max())))
    return compare(recording, Stated(stamps=stamps, jitter_s=rounding_s))


def _read_block(path: Path, shape: tuple[int, int], channels: slice, samples: slice) -> np.ndarray:
    """Read a block of samples, which lie time after time, all channels together."""
    count, length = shape
    offset = (_HEAD + count + length) * _BYTES
    values = np.memmap(path, "<f4", "r", offset, (length, count))
    return np.array(values[samples, channels]).T
