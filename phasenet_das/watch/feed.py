"""Live input: the packets of a feed become files of a folder, which the watch follows like any other.

A feed is an iterable of packets. A packet is a Patch of any length, as :func:`phasenet_das.io.make_patch`
makes it from a time and samples.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from phasenet_das.errors import ConfigError
from phasenet_das.io.formats.quakeflow import write_quakeflow
from phasenet_das.io.merge import merge
from phasenet_das.io.patch import (
    get_channel_index,
    get_distance_m,
    get_dt_s,
    get_station_id,
    get_times,
    get_unit,
    make_patch,
    spatial_first,
)

if TYPE_CHECKING:
    from dascore import Patch

    Feed: TypeAlias = Iterable[Patch]

log = logging.getLogger(__name__)

_SWEEP_EVERY = 60  # files


class Spool:
    """Writes packets as files: joined by the rule that joins files, each whole or not there.

    Packets may have any length, and come twice or in any order. A gap begins a new file.

    Parameters
    ----------
    folder : pathlib.Path
        Made when missing. The files of a day are in a folder of their own.
    station_id : str
        Name of the cable, for packets without one.
    file_s : float
        Length of a file, s. The last samples are written by :meth:`close`.
    keep_hours : float, optional
        Files are removed this long after they were written. None: they stay.
    """

    def __init__(
        self, folder: Path, *, station_id: str = "", file_s: float = 10.0, keep_hours: float | None = None
    ) -> None:
        self._folder, self._station_id, self._keep_hours = folder, station_id, keep_hours
        self._file_ns, self._num_files = round(file_s * 1e9), 0
        self._packets: list[Patch] = []
        self._cable: tuple[Any, ...] = ()
        self._span = np.iinfo(np.int64).max, np.iinfo(np.int64).min

    def __enter__(self) -> Self:
        """Return this spool, which is closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, packet: Patch) -> None:
        """Take a packet, and write the waiting ones when they fill a file."""
        cable = _cable_of(packet)
        if cable != self._cable:
            self.close()
        self._cable = cable
        self._packets.append(packet)
        start = _start_ns(packet)
        end = start + round(spatial_first(packet).shape[1] * get_dt_s(packet) * 1e9)
        self._span = min(self._span[0], start), max(self._span[1], end)
        if self._span[1] - self._span[0] >= self._file_ns:
            self.close()

    def close(self) -> None:
        """Write the packets that wait: a file for each gap-free piece."""
        packets = sorted(self._packets, key=_start_ns)
        if not packets:
            return
        counts = np.array([spatial_first(packet).shape[1] for packet in packets])
        dt_s = np.full(len(packets), get_dt_s(packets[0]))
        plan = merge(np.array([_start_ns(packet) for packet in packets]), counts, dt_s)
        for number in range(plan.recording.max() + 1):
            members = np.flatnonzero(plan.recording == number)
            self._write([packets[k] for k in members], plan.skipped[members])
        self._packets, self._span = [], (np.iinfo(np.int64).max, np.iinfo(np.int64).min)

    def _write(self, packets: list[Patch], skipped: np.ndarray) -> None:
        first = packets[0]
        patch = make_patch(
            np.concatenate([spatial_first(p)[:, n:] for p, n in zip(packets, skipped, strict=True)], axis=1),
            start_time=get_times(first)[skipped[0]],
            dt_s=get_dt_s(first),
            channel_index=get_channel_index(first),
            distance_m=get_distance_m(first),
            station_id=get_station_id(first) or self._station_id,
            unit=get_unit(first),
            attrs=dict(first.attrs.model_dump()),
        )
        moment = str(get_times(patch)[0].astype("datetime64[us]"))
        name = f"{get_station_id(patch)}_{moment.replace(':', '')}_{patch.shape[1]}.h5"
        write_quakeflow(patch, self._folder / moment[:10] / name)
        self._num_files += 1
        if self._keep_hours is not None and self._num_files % _SWEEP_EVERY == 1:
            remove_old(self._folder, self._keep_hours)


def receive(feed: Feed, spool: Spool) -> None:
    """Write the packets of a feed until it ends."""
    with spool:
        for packet in feed:
            spool.add(packet)


def open_feed(address: str, streams: Sequence[str] = (), wait_s: float = 10.0) -> Feed:
    """Open ``zmq://HOST:PORT`` or ``seedlink://HOST:PORT``; the last two arguments are those of SeedLink."""
    kind, found, place = address.partition("://")
    if kind == "zmq" and found:
        from phasenet_das.watch.zeromq import zeromq_feed

        return zeromq_feed(f"tcp://{place}")
    if kind == "seedlink" and found:
        from phasenet_das.watch.seedlink import seedlink_feed

        return seedlink_feed(place, streams, wait_s)
    raise ConfigError(
        f"{address}: not an address of a feed. Expected zmq://HOST:PORT or seedlink://HOST:PORT. For another "
        "protocol write a generator of packets, and pass it to phasenet_das.watch.receive()."
    )


def remove_old(folder: Path, keep_hours: float, now_s: float | None = None) -> None:
    """Remove the files of a spool that were written too long ago, and the folders that are then empty."""
    limit = (time.time() if now_s is None else now_s) - 3600 * keep_hours
    days = {path.parent for path in folder.glob("*/*.h5") if path.stat().st_mtime < limit}
    for day in sorted(days):
        for path in day.glob("*.h5"):
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)
        if not any(day.iterdir()):
            day.rmdir()
    if days:
        log.info("%s: files of %s removed after %g h", folder, sorted(day.name for day in days), keep_hours)


def _start_ns(packet: Patch) -> int:
    return int(packet.get_coord("time").min().astype("datetime64[ns]").astype(np.int64))


def _cable_of(packet: Patch) -> tuple[Any, ...]:
    """Say what packets of one file have in common."""
    numbers, distance_m = get_channel_index(packet), get_distance_m(packet)
    return get_dt_s(packet), get_unit(packet), get_station_id(packet), numbers.tobytes(), distance_m.tobytes()
