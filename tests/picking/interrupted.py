"""Pick a folder in processes that end themselves without warning behind some chunks, and say how each ended.

python -m tests.picking.interrupted FOLDER OUTPUTS
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
ENDS = [(5, "written"), (4, "half"), (0, "merge")]


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


def main(folder: str, outputs: str) -> None:
    """Pick until each end, in a fork."""
    for chunks, where in ENDS:
        child = os.fork()
        if child == 0:
            kill_behind(chunks, where)
            pick_archive(
                small_picker(), [folder], Path(outputs) / f"{where}.parquet", data=DATA, continuous=SETTINGS
            )
            os._exit(0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
