"""A feed gives the picks of the same samples in files, however its packets are cut and ordered."""

from __future__ import annotations

import json
import socket
import threading
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from phasenet_das import io
from phasenet_das.errors import ConfigError
from phasenet_das.io import Archive, open_archive
from phasenet_das.watch.feed import Spool, open_feed, receive, remove_old
from phasenet_das.watch.seedlink import JoinedChannels
from phasenet_das.watch.zeromq import read_message, zeromq_feed
from tests.documented_code import PAGES, blocks
from tests.picking.small_pickers import assert_same_picks, small_picker

START = np.datetime64("2024-05-06T23:59:48", "ns")
NOISE = np.random.default_rng(9).standard_normal((16, 3000)).astype(np.float32)


def _patch(first: int, end: int, **other: object) -> object:
    """Samples of the noise at 100 Hz."""
    facts = {"station_id": "CABLE", "unit": "strain / s", "distance_m": 10.0 * np.arange(16), **other}
    return io.make_patch(
        NOISE[:, first:end], start_time=START + np.timedelta64(first * 10, "ms"), dt_s=0.01, **facts
    )


def _whole(folder: Path) -> Archive:
    return open_archive(str(folder))


def test_irregular_packets_a_gap_a_duplicate_and_one_out_of_order(tmp_path: Path) -> None:
    edges = [0, 37, 38, 250, 251, 700, 1010, 1300, 1450]
    packets = [_patch(a, b) for a, b in pairwise(edges)]
    after = [_patch(a, b) for a, b in ((1700, 1900), (1900, 2600), (2600, 3000))]
    packets = [*packets[:2], packets[3], packets[2], *packets[4:], packets[-1], *after]
    packets.insert(-1, _patch(520, 600))  # was written long ago
    packets.insert(-1, packets.pop(5))  # 1010 s come after 3000 s
    receive(packets, Spool(tmp_path / "spool", file_s=3.0))
    io.write_quakeflow(_patch(0, 1450), tmp_path / "files" / "a.h5")
    io.write_quakeflow(_patch(1700, 3000), tmp_path / "files" / "b.h5")
    spooled, filed = _whole(tmp_path / "spool"), _whole(tmp_path / "files")
    assert [one.num_samples for one in spooled.recordings] == [1450, 1300]
    assert len(list((tmp_path / "spool").glob("2024-05-0[67]/*.h5"))) > 6
    picker = small_picker()
    assert_same_picks(picker.pick(filed), picker.pick(spooled))


def test_samples_are_kept_bit_by_bit_with_their_facts(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    data = rng.integers(-30000, 30000, (4, 500)).astype(np.int16)
    facts = {
        "dt_s": 1 / 300,
        "channel_index": [3, 5, 6, 9],
        "unit": "counts",
        "attrs": {"gauge_length_m": 7.5},
    }
    at = io.get_times(io.make_patch(data, start_time=START, **facts))
    edges = [0, 1, 90, 91, 333, 500]
    feed = [io.make_patch(data[:, a:b], start_time=at[a], **facts) for a, b in pairwise(edges)]
    receive(feed, Spool(tmp_path, station_id="NAMED", file_s=1.0))
    patch = io.read([str(path) for path in tmp_path.glob("*/*.h5")])
    assert patch.data.dtype == np.int16
    assert np.array_equal(patch.data, data)
    assert io.get_station_id(patch) == "NAMED"
    assert io.get_unit(patch) == "counts"
    assert io.get_channel_index(patch).tolist() == [3, 5, 6, 9]
    assert patch.attrs.gauge_length_m == 7.5
    assert io.get_dt_s(patch) == pytest.approx(1 / 300, rel=1e-12)


def test_another_cable_begins_another_file(tmp_path: Path) -> None:
    receive([_patch(0, 100), _patch(100, 200, unit="strain"), _patch(200, 300)], Spool(tmp_path))
    assert len(_whole(tmp_path).recordings) == 3


def test_old_files_are_removed_with_their_folders(tmp_path: Path) -> None:
    receive([_patch(0, 1000), _patch(1000, 2000)], Spool(tmp_path, file_s=10.0))
    _first, second = sorted(tmp_path.glob("*/*.h5"))
    written = second.stat().st_mtime
    remove_old(tmp_path, 1.0, written + 3599)
    assert second.exists()
    remove_old(tmp_path, 1.0, written + 3601)
    assert not list(tmp_path.iterdir())


def test_zeromq_messages_are_files(tmp_path: Path) -> None:
    zmq = pytest.importorskip("zmq")
    io.write_quakeflow(_patch(0, 100, station_id=""), tmp_path / "nameless.h5")
    message = (tmp_path / "nameless.h5").read_bytes()
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        feed = zeromq_feed(f"tcp://127.0.0.1:{port}")
        threading.Thread(target=_publish, args=(publisher, [b"no file", message]), daemon=True).start()
        packet = next(iter(feed))
        feed.close()
    assert np.array_equal(packet.data, NOISE[:, :100])
    assert io.get_station_id(packet) == ""


def _publish(publisher: object, messages: list[bytes]) -> None:
    publisher.recv()  # the subscription has come
    for message in messages:
        publisher.send_multipart([b"topic", message])


def test_packets_of_xdas_are_netcdf(tmp_path: Path) -> None:
    xdas = pytest.importorskip("xdas")
    time = {"tie_indices": [0, 99], "tie_values": [START, START + np.timedelta64(990, "ms")]}
    distance = {"tie_indices": [0, 15], "tie_values": [0.0, 150.0]}
    array = xdas.DataArray(NOISE[:, :100].T, {"time": time, "distance": distance})
    array.to_netcdf(str(tmp_path / "packet.nc"))
    packet = read_message((tmp_path / "packet.nc").read_bytes())
    assert np.array_equal(io.get_data(packet), NOISE[:, :100])
    assert io.get_times(packet)[0] == START


def test_unknown_addresses_are_named() -> None:
    with pytest.raises(ConfigError, match=r"tcp://host:1.*zmq://"):
        open_feed("tcp://host:1")
    with pytest.raises(ConfigError, match="--streams"):
        next(iter(open_feed("seedlink://127.0.0.1:1")))


def _record(channel: int, first: int, end: int) -> object:
    from obspy import Trace, UTCDateTime

    header = {"network": "XX", "station": f"{channel:05d}", "channel": "HSF", "sampling_rate": 100.0}
    trace = Trace(np.ascontiguousarray(NOISE[channel, first:end]), header)
    trace.stats.starttime = UTCDateTime(ns=int(START.astype(np.int64)) + first * 10_000_000)
    return trace


def test_channels_of_seedlink_are_joined_and_late_ones_are_missing() -> None:
    joined = JoinedChannels([f"XX_{channel:05d}" for channel in range(3)], wait_s=5.0)
    records = [(0, 0, 150), (1, 0, 90), (2, 0, 200), (1, 90, 400), (0, 150, 410), (0, 410, 1000)]
    packets = [packet for one in records for packet in joined.add(_record(*one))]
    packets += joined.add(_record(1, 2000, 2500))  # a gap in all channels
    data = np.concatenate([packet.data for packet in packets], axis=1)
    assert [io.get_times(packet)[0] for packet in packets[1:]] == [
        io.get_times(packet)[-1] + np.timedelta64(10, "ms") for packet in packets[:-1]
    ]
    present = np.isfinite(data)
    assert present.sum(axis=1).tolist() == [1000, 400, 200]
    assert np.array_equal(data[present], NOISE[:3, :1000][present])
    assert io.get_channel_index(packets[0]).tolist() == [0, 1, 2]
    assert io.get_station_id(packets[0]) == "XX"


def _serve_seedlink(server: socket.socket, records: list[bytes]) -> None:
    """Speak SeedLink 3 to one client: accept every command, then send records."""
    connection, _ = server.accept()
    commands = iter(lambda: b"".join(iter(lambda: connection.recv(1) or b"\r", b"\r")), b"END")
    for command in commands:
        hello = command == b"HELLO"
        connection.sendall(b"SeedLink v3.1 (test)\r\nhere\r\n" if hello else b"OK\r\n")
    for number, record in enumerate(records):
        connection.sendall(b"SL%06X" % number + record)


def test_a_seedlink_server_on_loopback() -> None:
    from io import BytesIO

    records = []
    for first in (0, 60, 120, 180):
        for channel in range(2):
            held = BytesIO()
            _record(channel, first, first + 60).write(held, format="MSEED", reclen=512, encoding="FLOAT32")
            records.append(held.getvalue())
    assert {len(record) for record in records} == {512}
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve_seedlink, args=(server, records), daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        feed = open_feed(f"seedlink://{address}", ["XX_00000:HSF", "XX_00001:HSF"])
        packets = list(islice(feed, 2))
    assert np.array_equal(np.concatenate([one.data for one in packets], axis=1), NOISE[:2, :240])


def test_the_feed_of_the_documentation_on_loopback(tmp_path: Path) -> None:
    page = next(page for page in PAGES if page.name == "control_room.md")
    code = next(block.text for block in blocks(page) if "def packets" in block.text)
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - of our own page
    ours, vendor = socket.socketpair()
    for first in range(0, 900, 300):
        head = {"channels": 16, "samples": 300, "start_time": str(START + np.timedelta64(first * 10, "ms"))}
        head |= {"dt_s": 0.01, "unit": "strain / s", "distance_m": list(range(16))}
        vendor.sendall(json.dumps(head).encode() + b"\n" + NOISE[:, first : first + 300].tobytes())
    vendor.close()
    with ours:
        receive(names["packets"](ours), Spool(tmp_path, file_s=4.0))
    assert np.array_equal(io.get_data(io.read(sorted(tmp_path.glob("*/*.h5")))), NOISE[:, :900])


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected tcp://HOST:PORT"):
        next(iter(zeromq_feed("tcp://bad")))
