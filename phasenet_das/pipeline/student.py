"""The training of a student on folders of windows, in as many processes as the settings say."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from phasenet_das.config import Config, StudentSettings, TrainDataSettings, write_config
from phasenet_das.errors import ConfigError, PhaseNetDASError
from phasenet_das.pipeline.lock import die_with_parent, note_process, wait_for
from phasenet_das.tables import atomic_path
from phasenet_das.tables.provenance import file_sha256

log = logging.getLogger(__name__)

_WINDOWS = (".h5", ".hdf5")
_ENDINGS = (*_WINDOWS, ".parquet", ".csv", ".safetensors")
_WRITTEN = (
    "train.yaml", "last.pt", "best.pt", "summary.json", "log.csv", "validation.csv", "training_curve.png",
    "model/model.safetensors", "model/config.json", "model/README.md", "tensorboard/events.out.tfevents.*",
)  # fmt: skip
"""Names of all that a training writes into its folder."""


def train_student(settings: StudentSettings, windows: Sequence[str | Path], folder: str | Path) -> Path:
    """Train on folders of windows, or resume the same training where it was interrupted.

    A training of other windows, labels or settings in the same folder is replaced. Other files stay.

    Raises
    ------
    ConfigError
        There is no window of an event, or `folder` holds files and was not made by this function.
    PhaseNetDASError
        The training failed.
    """
    folder = Path(folder)
    wait_for(folder / ".process")  # that of a run that was killed may still be saving
    filled = [str(path) for path in sorted(map(str, windows)) if _has_event(Path(path))]
    if not filled and not settings.data.windows:
        raise ConfigError(
            "no training window: association kept no event with P and S. Look at the picks and at "
            "association.json. "
            "A lower teacher.min_score may help, or velocities and distances of association that fit."
        )
    data = settings.data.model_copy(update={"windows": (*settings.data.windows, *filled)})
    chosen = settings.model_copy(update={"data": data, "output": str(folder), "recordings": {}})
    config, processes = Config(student=chosen), settings.processes
    start = [chosen.weights] if chosen.weights and Path(chosen.weights).is_dir() else []
    # Labels that the settings state are also those of the folders of windows.
    stated = _stated_files(data if data.labels else settings.data)
    _forget_another(folder, f"{chosen.model_dump_json()} {_digest([*filled, *start], stated)}")
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command += ["-m", "phasenet_das.training", "--config", str(write_config(config, folder / "train.yaml"))]
    log.info("training on %d folders of windows: %s", len(filled), " ".join(command))
    _run(command, folder / ".process")
    return folder / "model"


def _has_event(folder: Path) -> bool:
    """Whether a folder has a window of an event, not of noise alone."""
    from phasenet_das.training.windows import QUIET

    return any(QUIET not in path.name for path in folder.glob("*") if path.suffix in _WINDOWS)


def _stated_files(data: TrainDataSettings) -> list[Path]:
    """List the windows and the labels that the settings name, also those of validation."""
    from phasenet_das.training.windows import find_windows

    windows = find_windows(data.windows, data.labels) if data.windows else []
    windows += find_windows(data.validation_windows) if data.validation_windows else []
    return [path for window in windows for path in (window.path, window.labels)]


def _run(command: Sequence[str], marker: Path) -> None:
    """Run a training that saves and ends when this job, or the run that it belongs to, ends."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}  # sums in another order would give other weights
    process = subprocess.Popen(command, env=env, preexec_fn=die_with_parent)  # noqa: S603, PLW1509 - our own
    note_process(process.pid, marker)
    signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())  # noqa: ARG005
    code = process.wait()
    marker.unlink(missing_ok=True)
    if code:
        raise PhaseNetDASError(
            f"training ended with exit code {code}. Its messages are above. The same command "
            "resumes from the last checkpoint."
        )


def _digest(folders: Iterable[str], files: Iterable[Path]) -> str:
    """Digest of all windows and labels, and of the weights to start from, by name and content."""
    digest = hashlib.sha256()
    inside = [path for folder in folders for path in sorted(Path(folder).iterdir())]
    for path in dict.fromkeys([*(path for path in inside if path.suffix in _ENDINGS), *files]):
        digest.update(f"{path} {path.stat().st_size}".encode())
        digest.update(bytes.fromhex(file_sha256(path)))
    return digest.hexdigest()


def _forget_another(folder: Path, identity: str) -> None:
    """Remove what a training of other windows or settings wrote. Refuse a folder of anything else."""
    marker, text = folder / "made_of.txt", hashlib.sha256(identity.encode()).hexdigest()
    if marker.exists():
        if marker.read_text() == text:
            return
        log.info("%s: windows or settings are others than before: training anew", folder)
        for path in [path for name in _WRITTEN for path in folder.glob(name)]:
            path.unlink()
    else:  # Snakemake makes empty folders before a job
        other = next((path for path in folder.rglob("*") if not path.is_dir()), None)
        if other is not None:
            raise ConfigError(
                f"{folder}: holds other files, such as {other.relative_to(folder)}. Expected an empty or new "
                "folder, or that of a training with --windows. Choose another -o or student.output."
            )
    with atomic_path(marker) as temporary:  # last, so that an interrupted removal is repeated
        temporary.write_text(text)
