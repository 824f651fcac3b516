"""Names of tables on disk, checked before pandas is loaded."""

from __future__ import annotations

from pathlib import Path

from phasenet_das.errors import TableError


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
