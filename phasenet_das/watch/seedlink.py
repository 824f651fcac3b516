"""Packets from a SeedLink server: records of single channels, joined to packets of all channels."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from phasenet_das.errors import ConfigError, SamplingError
from phasenet_das.io.formats.streams import from_stream, place_trace
from phasenet_das.io.patch import make_patch

if TYPE_CHECKING:
    from dascore import Patch
    from obspy import Trace

log = logging.getLogger(__name__)

_SHORTEST_NS = 1_000_000_000  # of a packet
_SILENCE_S = 300  # then the connection is made again


def seedlink_feed(address: str, streams: Sequence[str], wait_s: float) -> Iterator[Patch]:
    """Receive channels of a SeedLink server (``host:port``) for ever; a lost connection is made again.

    `streams` are ``NETWORK_STATION:SELECTOR``, one for each channel of the cable.
    """
    from obspy.clients.seedlink.client.seedlinkconnection import SeedLinkConnection
    from obspy.clients.seedlink.seedlinkexception import SeedLinkException
    from obspy.clients.seedlink.slpacket import SLPacket

    if not streams:
        raise ConfigError("SeedLink needs the channels to ask for: --streams NETWORK_STATION:SELECTOR.")
    connection = SeedLinkConnection(timeout=_SILENCE_S)
    connection.set_sl_address(address)
    connection.parse_stream_list(",".join(streams), None)
    joined = JoinedChannels([text.split(":")[0] for text in streams], wait_s)
    while True:
        try:
            packet = connection.collect()
        except SeedLinkException as error:
            log.warning("%s: %s: tried again in %d s", address, error.value, connection.get_net_delay())
            connection.disconnect()
            time.sleep(connection.get_net_delay())
            continue
        if isinstance(packet, SLPacket):
            yield from joined.add(packet.get_trace())
        else:
            log.warning("%s: the server ended the connection: it is made again", address)


class JoinedChannels:
    """Waits until all channels have come, and makes a packet of them.

    A channel that is later than `wait_s` behind the newest one is NaN, which is not picked.
    """

    def __init__(self, stations: Sequence[str], wait_s: float) -> None:
        self._traces: dict[str, list[Trace]] = {name: [] for name in stations}
        self._ends = dict.fromkeys(stations, np.iinfo(np.int64).min // 2)
        self._wait_ns = round(wait_s * 1e9)
        self._start_ns, self._dt_s = 0, 0.0

    def add(self, trace: Trace) -> Iterator[Patch]:
        """Take a record of one channel, and yield the packets that are complete."""
        stats = trace.stats
        name = f"{stats.network}_{stats.station}"
        if name not in self._traces:
            return
        if self._dt_s and abs(stats.delta / self._dt_s - 1) > 1e-6:
            raise SamplingError(
                f"{trace.id}: found a sampling interval of {stats.delta} s, expected {self._dt_s} s as on "
                "the other channels. Ask for channels of one rate."
            )
        newest, begin = max(self._ends.values()), stats.starttime.ns
        if begin - newest > self._wait_ns:  # the first record, or a gap in all channels
            if self._dt_s:
                yield from self._take(newest)
            self._start_ns, self._dt_s = begin, stats.delta
        self._traces[name].append(trace)
        self._ends[name] = max(self._ends[name], begin + round(stats.npts * stats.delta * 1e9))
        ready = max(min(self._ends.values()), max(self._ends.values()) - self._wait_ns)
        if ready - self._start_ns >= _SHORTEST_NS:
            yield from self._take(ready)

    def _take(self, end_ns: int) -> Iterator[Patch]:
        """Make a packet of what lies before a time."""
        from obspy import Stream, Trace

        start, dt_ns = self._start_ns, self._dt_s * 1e9
        count = int((end_ns - start) / dt_ns + 0.5)
        if count < 1:
            return
        self._start_ns = start + round(count * dt_ns)
        rows = []
        for name, traces in self._traces.items():
            row = np.full(count, np.nan, dtype=np.float32)
            for trace in traces:
                place_trace(trace, row, start, dt_ns)
            network, station = name.split("_", 1)
            rows.append(Trace(row, {"network": network, "station": station, "delta": self._dt_s}))
            self._traces[name] = [one for one in traces if one.stats.endtime.ns >= self._start_ns]
        (cable,) = from_stream(Stream(rows))
        yield make_patch(
            cable.read_block(slice(0, cable.num_channels), slice(0, count)),
            start_time=np.datetime64(start, "ns"),
            dt_s=self._dt_s,
            channel_index=cable.channel_index,
            station_id=cable.station_id,
        )
