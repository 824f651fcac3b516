"""Pick a folder in a process of its own, which ends itself without warning behind some parts.

python -m tests.picking.interrupted FOLDER OUTPUT PARTS WHERE
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from phasenet_das.config import ContinuousSettings, DataSettings
from phasenet_das.picking import merge as merge_module
from phasenet_das.picking import parts as parts_module
from phasenet_das.picking import pick_files
from tests.picking.small_pickers import small_picker

SETTINGS = ContinuousSettings(shard_s=6.0, shard_channels=12)
DATA = DataSettings(station_id="CABLE")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_behind(parts: int, where: str) -> None:
    """Arrange for the end: ``written`` behind a part, ``half`` amid the next, ``merge`` amid the table."""
    write = parts_module.PartStore.write
    count = 0

    def counting(self, key, picked):
        nonlocal count
        if count == parts and where == "half":
            folder = self.folder / key[:2]
            folder.mkdir(exist_ok=True)
            (folder / f".{key}-1.tmp").write_bytes(b"PAR1 half a part")
            _kill()
        part = write(self, key, picked)
        count += 1
        if count == parts and where == "written":
            _kill()
        return part

    parts_module.PartStore.write = counting
    if where == "merge":
        merge_module.PickWriter.close = lambda self: _kill()  # noqa: ARG005


def main(folder: str, output: str, parts: str, where: str) -> None:
    """Pick until the end."""
    kill_behind(int(parts), where)
    pick_files(small_picker(), [folder], Path(output), data=DATA, continuous=SETTINGS)


if __name__ == "__main__":
    main(*sys.argv[1:])
