"""Headers of binary formats whose samples dascore reads: TDMS of Silixa, and Sintela."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from phasenet_das.errors import DataFormatError
from phasenet_das.io.formats.stated import Stated, interval_of_rate, silixa

_LEAD_IN = 28
_TEXT, _STAMP = 0x20, 0x44
_VALUES = {1: "b", 2: "h", 3: "i", 4: "q", 5: "B", 6: "H", 7: "I", 8: "Q", 9: "f", 10: "d", 0x21: "?"}
_SINTELA = np.dtype(
    [
        ("mark", "<u4"),
        ("size", "<u4"),
        ("version", "<u4"),
        ("counted", "<u8"),
        ("start_ns", "<u8"),
        ("channels", "<u4"),
        ("samples", "<u4"),
        ("rate_hz", "<f4"),
    ]
)
_FLOAT_BYTES = 4
_RATE_DIGITS = 7


def check_segments(path: Path) -> None:
    """Refuse TDMS of several segments, which dascore joins wrongly."""
    with path.open("rb") as file:
        _, _, _, next_segment, _ = struct.unpack("<4siiQQ", file.read(_LEAD_IN))
    if next_segment + _LEAD_IN < path.stat().st_size:
        raise DataFormatError(
            f"{path}: found a second segment after {next_segment + _LEAD_IN} bytes. Expected one. "
            "Defragment the file, or write a file for each segment."
        )


def tdms(path: Path, num_channels: int) -> Stated:
    """Read the properties of a TDMS file."""
    with path.open("rb") as file:
        file.seek(_LEAD_IN + 4)
        _text(file)
        file.seek(4, 1)
        return silixa(dict(_property(file) for _ in range(_integer(file))), num_channels)


def _integer(file: BinaryIO) -> int:
    return int(struct.unpack("<i", file.read(4))[0])


def _text(file: BinaryIO) -> str:
    return file.read(_integer(file)).decode(errors="replace")


def _property(file: BinaryIO) -> tuple[str, Any]:
    name, kind = _text(file), _integer(file)
    if kind == _TEXT:
        return name, _text(file)
    if kind == _STAMP:
        return name, file.read(16)
    layout = "<" + _VALUES[kind]
    return name, struct.unpack(layout, file.read(struct.calcsize(layout)))[0]


def sintela(path: Path) -> Stated:
    """Read the header of every packet: its start, and how many samples came before."""
    first = np.fromfile(path, _SINTELA, 1)[0]
    size = int(first["size"]) + int(first["channels"]) * int(first["samples"]) * _FLOAT_BYTES
    packet = np.dtype([("head", _SINTELA), ("rest", f"V{size - _SINTELA.itemsize}")])
    heads = np.memmap(path, packet, "r", 0, (path.stat().st_size // size,))["head"]
    same = (heads["channels"] == first["channels"]) & (heads["samples"] == first["samples"])
    if not same.all() or (heads["rate_hz"] != first["rate_hz"]).any():
        raise DataFormatError(
            f"{path}: the channels, samples or rate of its packets change at packet {int(np.argmin(same))}. "
            "Expected packets of one kind. Cut the file there."
        )
    rate_hz = float(f"{float(first['rate_hz']):.{_RATE_DIGITS}g}")  # float32 has no more digits
    return Stated(
        stamps=np.array(heads["start_ns"]).astype("datetime64[ns]"),
        each=int(first["samples"]),
        intervals_s={"sample_rate": interval_of_rate(rate_hz)},
    )
