"""Pick a folder in a process of its own, which ends itself without warning behind some chunks.

python -m tests.picking.interrupted FOLDER OUTPUT CHUNKS WHERE
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from phasenet_das.config import ContinuousSettings, DataSettings
from phasenet_das.picking import pick_archive, store
from tests.picking.small_pickers import small_picker

SETTINGS = ContinuousSettings(chunk_s=6.0, chunk_channels=12)
DATA = DataSettings(station_id="CABLE")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_behind(chunks: int, where: str) -> None:
    """Arrange for the end: ``written`` behind a chunk, ``half`` amid the next, ``merge`` amid the table."""
    write = store.ChunkStore.write
    count = 0

    def counting(self, chunk):
        nonlocal count
        if count == chunks and where == "half":
            folder = self.folder / chunk.key[:2]
            folder.mkdir(exist_ok=True)
            (folder / f".{chunk.key}-1.tmp").write_bytes(b"PAR1 half a chunk")
            _kill()
        written = write(self, chunk)
        count += 1
        if count == chunks and where == "written":
            _kill()
        return written

    store.ChunkStore.write = counting
    if where == "merge":
        store.PickWriter.close = lambda self: _kill()  # noqa: ARG005


def main(folder: str, output: str, chunks: str, where: str) -> None:
    """Pick until the end."""
    kill_behind(int(chunks), where)
    pick_archive(small_picker(), [folder], Path(output), data=DATA, continuous=SETTINGS)


if __name__ == "__main__":
    main(*sys.argv[1:])
