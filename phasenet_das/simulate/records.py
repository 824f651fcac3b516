"""Labelled seismometer records, from the forms in which people hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from phasenet_das.errors import DataFormatError, MissingMetadataError, SamplingError


@dataclass(frozen=True)
class Record:
    """One labelled three-component record.

    Attributes
    ----------
    data : numpy.ndarray, shape (3, time), float32
        East, north, vertical; a missing component is zero.
    dt_s : float
        Sampling interval.
    p_sample, s_sample : float
        Arrivals, in samples after the start.
    name : str
        Where it comes from.
    """

    data: np.ndarray
    dt_s: float
    p_sample: float
    s_sample: float
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be used, rather than train on it."""
        if self.data.ndim != 2 or len(self.data) != 3:
            raise DataFormatError(f"record '{self.name}': expected shape (3, time), found {self.data.shape}.")
        if not self.dt_s > 0:
            raise SamplingError(f"record '{self.name}': the sampling interval is {self.dt_s} s.")
        if not 0 <= self.p_sample < self.s_sample < self.data.shape[1]:
            raise DataFormatError(
                f"record '{self.name}': P at sample {self.p_sample} and S at {self.s_sample} must lie in "
                f"this order within its {self.data.shape[1]} samples."
            )
        if not np.isfinite(self.data).all() or not self.data.any():
            raise DataFormatError(f"record '{self.name}': the data are not finite, or all zero.")


def load_records(source: Any, rows: Sequence[int] | None = None) -> list[Record]:  # noqa: ANN401
    """Load labelled records.

    Parameters
    ----------
    source : path, sequence or dataset
        An HDF5 file with ``data`` (record, component E/N/Z, time; attribute ``dt_s``), ``itp`` and ``its``;
        or a sequence of :class:`Record`; or a sequence of pairs of an ObsPy ``Stream`` and its picks
        ``{"P": UTCDateTime, "S": UTCDateTime}``; or a SeisBench ``WaveformDataset`` (its component order must
        be ``ENZ``).
    rows : sequence of int, optional
        Which of them to load; all without it.

    Returns
    -------
    list of Record
        SeisBench rows without both picks are left out.

    Raises
    ------
    MissingMetadataError
        The file lacks the sampling interval or the picks.
    DataFormatError
        A record cannot be used.
    """
    if isinstance(source, str | Path):
        return _from_hdf5(Path(source), rows)
    if hasattr(source, "get_waveforms"):
        return _from_seisbench(source, range(len(source)) if rows is None else rows)
    items = list(source)
    chosen = items if rows is None else [items[row] for row in rows]
    return [item if isinstance(item, Record) else _from_stream(*item) for item in chosen]


def _from_hdf5(path: Path, rows: Sequence[int] | None) -> list[Record]:
    with h5py.File(path) as file:
        missing = [name for name in ("data", "itp", "its") if name not in file]
        if missing:
            raise MissingMetadataError(
                f"{path}: no dataset {', '.join(missing)}. Found {', '.join(file)}. Expected data (record, "
                "component, time) and the samples of P and S in itp and its."
            )
        dt_s = file["data"].attrs.get("dt_s", file.attrs.get("dt_s"))
        if dt_s is None:
            raise MissingMetadataError(f"{path}: no attribute dt_s. Add the sampling interval in seconds.")
        p, s = file["itp"][:], file["its"][:]
        chosen: Iterable[int] = range(len(p)) if rows is None else rows
        return [
            Record(
                _no_mean(file["data"][row]), float(dt_s), float(p[row]), float(s[row]), f"{path.name}:{row}"
            )
            for row in chosen
        ]


def _no_mean(data: np.ndarray) -> np.ndarray:
    centred: np.ndarray = (data - data.mean(axis=1, keepdims=True)).astype(np.float32)
    return centred


def _from_stream(stream: Any, picks: Mapping[str, Any]) -> Record:  # noqa: ANN401
    """Put the traces of a stream on one time axis, by the last letter of their channel codes."""
    if not {"P", "S"} <= set(picks):
        raise MissingMetadataError(f"{stream}: expected picks P and S, found {', '.join(picks)}.")
    rates = {trace.stats.sampling_rate for trace in stream}
    if len(rates) != 1:
        raise SamplingError(f"{stream}: the traces have sampling rates {sorted(rates)} Hz. Expected one.")
    start = max(trace.stats.starttime for trace in stream)
    cut = stream.slice(starttime=start)
    length = min(len(trace) for trace in cut)
    data = np.zeros((3, length))
    for trace in cut:
        row = "ENZ".find({"1": "N", "2": "E"}.get(trace.stats.channel[-1], trace.stats.channel[-1]))
        if row >= 0:
            data[row] = trace.data[:length]
    rate = rates.pop()
    arrivals = {phase: float(picks[phase] - start) * rate for phase in "PS"}
    return Record(_no_mean(data), 1.0 / rate, arrivals["P"], arrivals["S"], stream[0].id)


def _from_seisbench(dataset: Any, rows: Iterable[int]) -> list[Record]:  # noqa: ANN401
    table, records = dataset.metadata, []
    names = {
        phase: [
            column
            for column in table.columns
            if column.startswith("trace_")
            and column.endswith("_arrival_sample")
            and f"_{phase}" in column.upper()
        ]
        for phase in "PS"
    }
    for row in rows:
        first = {phase: np.nanmin([*map(float, table.iloc[row][names[phase]]), np.inf]) for phase in "PS"}
        if not np.isfinite(list(first.values())).all():
            continue
        data = dataset.get_waveforms(row)
        dt_s = 1.0 / float(table.iloc[row]["trace_sampling_rate_hz"])
        records.append(Record(_no_mean(data), dt_s, first["P"], first["S"], str(row)))
    return records
