"""Readers, one module a family of formats; each describes what a source holds without loading it."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasenet_das.errors import DataFormatError, PhaseNetDASError

if TYPE_CHECKING:
    from phasenet_das.io.recording import Recording

DASPY_EXAMPLE = "daspy:example"
_NAMED, _HEAD_BYTES = 5, 64
_HDF5_MARK = b"\x89HDF\r\n\x1a\n"


class NoRecordingError(DataFormatError):
    """A file is of no format of DAS data, as opposed to a damaged one."""


def open_source(source: Any) -> list[Recording]:  # noqa: ANN401 - a path or one of several packages' objects
    """Find the reader for a source, and describe its recordings without loading them."""
    if isinstance(source, str | os.PathLike):
        return _open_example() if str(source) == DASPY_EXAMPLE else _open_path(Path(source), False)
    if not is_object(source):
        raise DataFormatError(
            f"{type(source).__module__}.{type(source).__name__} is not a source of DAS data. Expected a "
            "path, a dascore Patch or Spool, an ObsPy Stream, an xarray or xdas DataArray, a DASPy Section, "
            "or a list of them. For an array use pn.io.make_patch()."
        )
    module, function = _OBJECTS[_key_of(source)]
    found: list[Recording] = getattr(import_module(f"{__name__}.{module}"), function)(source)
    return found


def read_headers(path: str | Path) -> list[Recording]:
    """Describe a file from its header alone, as quickly as it can be done correctly, without a loader."""
    if str(path) == DASPY_EXAMPLE:
        return _open_example()
    return _open_path(Path(path), True)


def is_object(source: Any) -> bool:  # noqa: ANN401
    """Say whether something is an object that holds DAS data, rather than a path or a list."""
    return _key_of(source) in _OBJECTS


def package_of(source: Any) -> str:  # noqa: ANN401
    """Name the package that an object is from, without importing it."""
    return type(source).__module__.split(".", maxsplit=1)[0]


def _key_of(source: Any) -> tuple[str, str]:  # noqa: ANN401
    """Name the package and class of an object, as `_OBJECTS` does."""
    package, name = package_of(source), type(source).__name__
    if package == "dascore" and name.endswith("Spool"):
        name = "Spool"
    return package, name


# Functions that open the objects of other packages, with their modules.
_OBJECTS = {
    ("dascore", "Patch"): ("patches", "from_patch"),
    ("dascore", "Spool"): ("patches", "from_spool"),
    ("daspy", "Section"): ("arrays", "from_section"),
    ("obspy", "Stream"): ("streams", "from_stream"),
    ("xarray", "DataArray"): ("arrays", "from_dataarray"),
    ("xdas", "DataArray"): ("arrays", "from_dataarray"),
}


def _open_example() -> list[Recording]:
    from phasenet_das.io.formats.arrays import daspy_example

    return daspy_example()


def _open_path(path: Path, headers_only: bool) -> list[Recording]:
    from phasenet_das.io.formats.axes import BROKEN_FILE

    _check_file(path)
    try:
        return _open_checked(path, headers_only)
    except PhaseNetDASError:
        raise
    except BROKEN_FILE as error:
        raise DataFormatError(
            f"{path}: its header cannot be read ({type(error).__name__}: {error}). Expected all that its "
            "format states. If the file was cut short, copy it again."
        ) from error


def _open_checked(path: Path, headers_only: bool) -> list[Recording]:
    import h5py

    from phasenet_das.io.formats.segy import is_segy, open_segy
    from phasenet_das.io.formats.sentek import is_sentek, open_sentek
    from phasenet_das.io.formats.streams import is_miniseed, open_miniseed
    from phasenet_das.io.formats.vendor import open_vendor

    for is_own, open_own in ((is_miniseed, open_miniseed), (is_sentek, open_sentek), (is_segy, open_segy)):
        if is_own(path):
            return open_own(path)
    hdf5 = _begins_as_hdf5(path) or h5py.is_hdf5(path)  # a user block may come first
    found = _open_own_hdf5(path) if hdf5 else None
    if found is None:
        found = open_vendor(path, headers_only=headers_only)
    if found is None and hdf5:
        found = _open_plain_hdf5(path)
    if found is None:
        raise NoRecordingError(
            f"{path}: found {_content(path, hdf5)}, which is not a format of DAS data that is read. Expected "
            "HDF5 with a dataset 'data' (channel, time), a format of dascore, miniSEED, SEG-Y or netCDF. For "
            "SAC, pass what obspy.read() returns. For an array, use pn.io.make_patch()."
        )
    return found


_CONTENTS = {
    b"version https://git-lfs": "a pointer of Git LFS (run 'git lfs pull')",
    b"\x1f\x8b": "a gzip archive (unpack it)",
    b"PK": "a zip or npz archive (unpack it)",
    b"\x93NUMPY": "a NumPy array",
    b"PAR1": "a Parquet table",
    b"<": "XML or HTML",
}


def _content(path: Path, hdf5: bool) -> str:
    """Name what a file holds that is no recording."""
    import h5py

    if hdf5:
        with h5py.File(path, "r") as file:
            names: list[str] = []
            file.visit(names.append)
        return f"HDF5 with {', '.join(names[:_NAMED]) or 'nothing in it'}"
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    known = next((words for mark, words in _CONTENTS.items() if head.startswith(mark)), "")
    return known or ("text" if head.isascii() and b"\0" not in head else "an unknown binary format")


def _begins_as_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_HDF5_MARK)) == _HDF5_MARK


def _open_own_hdf5(path: Path) -> list[Recording] | None:
    """Open the HDF5 layouts that dascore does not read, or does not read right."""
    import h5py

    from phasenet_das.io.formats.arrays import open_netcdf
    from phasenet_das.io.formats.febus import open_febus
    from phasenet_das.io.formats.prodml import open_prodml
    from phasenet_das.io.formats.quakeflow import is_quakeflow, open_quakeflow
    from phasenet_das.io.formats.stamped import open_gdr, open_uptech

    try:
        with h5py.File(path, "r") as file:
            if is_quakeflow(file):
                return open_quakeflow(path, file)
            for open_own in (open_prodml, open_febus, open_gdr, open_uptech):
                found = open_own(path, file)
                if found is not None:
                    return found
            is_netcdf = "_NCProperties" in file.attrs or "Conventions" in file.attrs
    except OSError as error:
        raise DataFormatError(
            f"{path}: damaged HDF5 file ({error}). It was probably cut short: copy it again."
        ) from error
    return open_netcdf(path) if is_netcdf else None


def _open_plain_hdf5(path: Path) -> list[Recording] | None:
    """Open HDF5 with a dataset ``data`` and no word about time: the caller has to state it."""
    import h5py

    from phasenet_das.io.formats.quakeflow import is_quakeflow, open_quakeflow

    with h5py.File(path, "r") as file:
        return open_quakeflow(path, file) if is_quakeflow(file, marked=False) else None


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataFormatError(f"{path}: is a folder, expected one file. Name a file inside it.")
    if not path.exists():
        raise DataFormatError(f"{path}: no such file. Check the path.")
    if path.stat().st_size == 0:
        raise DataFormatError(
            f"{path}: the file is empty (0 bytes). It was probably not copied: copy it again."
        )
