"""Packets from a ZeroMQ publisher. A message holds the bytes of a recording file."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from phasenet_das.errors import ConfigError, MissingPackageError, PhaseNetDASError
from phasenet_das.io.read import read

if TYPE_CHECKING:
    from dascore import Patch

log = logging.getLogger(__name__)

_CALLED = "packet"
"""Name of the file of a message, after which a cable without a name would be called."""


def zeromq_feed(address: str) -> Iterator[Patch]:
    """Receive the messages of a publisher (``tcp://host:port``) for ever.

    The last part of a message is a file of any format that :func:`phasenet_das.read` reads, such as HDF5 of
    :func:`phasenet_das.io.write_quakeflow`, or the netCDF that xdas publishes.
    """
    if find_spec("zmq") is None:
        raise MissingPackageError(
            f"zmq {address}: needs the package pyzmq: pip install 'phasenet-das[live]'."
        )
    import zmq

    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.RCVHWM, 0)  # messages wait here, none is dropped
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            raise ConfigError(f"zmq {address}: {error}, expected tcp://HOST:PORT.") from error
        while True:
            message = socket.recv_multipart()[-1]
            try:
                yield read_message(message)
            except PhaseNetDASError as error:
                log.error("%s: a message of %d bytes is left out: %s", address, len(message), error)


def read_message(message: bytes) -> Patch:
    """Read the bytes of a recording file; a cable without a name stays without one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, _CALLED)
        path.write_bytes(message)
        patch = read(path)
    if patch.attrs.station_id == _CALLED:
        patch = patch.update_attrs(station_id="")
    return patch
