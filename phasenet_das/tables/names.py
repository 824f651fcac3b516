"""Names of tables on disk, checked before pandas is loaded."""

from __future__ import annotations

import os
from pathlib import Path

from phasenet_das.errors import OutputError, TableError


def check_table_name(path: str | Path) -> Path:
    """Refuse a name that is not one of a table.

    Raises
    ------
    TableError
        The ending is neither ``.parquet`` nor ``.csv``.
    """
    path = Path(path)
    if path.suffix not in (".parquet", ".csv"):
        raise TableError(f"{path}: expected a name that ends in .parquet or .csv, found '{path.suffix}'.")
    return path


def check_output(path: str | Path) -> Path:
    """Refuse a path at which no file can be written.

    Raises
    ------
    OutputError
        The path is a folder or a device, or lies in what is no folder or may not be changed.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        kind = "folder" if path.is_dir() else "device"
        raise OutputError(f"{path}: is a {kind}. Expected the name of a file. Choose another name.")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        kind = "you may not write in" if above.is_dir() else "a file bears the name of the folder"
        raise OutputError(f"{path}: {kind} {above}. Choose another folder.")
    return path
