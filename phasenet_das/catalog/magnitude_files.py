"""What `phasenet-das magnitude` does, from files to files: calibrate a scale, give a catalog magnitudes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from phasenet_das.catalog.association import write_catalog
from phasenet_das.catalog.magnitude import (
    MagnitudeScale,
    calibrate_magnitude,
    check_strain_rate,
    estimate_magnitudes,
    read_magnitude_scale,
)
from phasenet_das.config import ReportSettings
from phasenet_das.errors import TableError, UnitError
from phasenet_das.tables import (
    EVENT_COLUMNS,
    PICK_COLUMNS,
    atomic_path,
    conform,
    read_events,
    read_metadata,
    read_picks,
    write_table,
)
from phasenet_das.tables.channels import load_channel_file, only_station
from phasenet_das.tables.provenance import file_hash, provenance


def calibrate_catalog(
    folder: str | Path,
    reference: str | Path,
    output: str | Path,
    channels: str | Path | None = None,
    *,
    amplitude_unit: str | None = None,
    figure: str | Path | None = None,
    **options: Any,  # noqa: ANN401 - of calibrate_magnitude
) -> MagnitudeScale:
    """Fit a magnitude scale to a catalog on disk, and write it."""
    from phasenet_das.evaluate import read_reference

    events, picks, placed = _read(folder, channels)
    scale = calibrate_magnitude(
        events,
        picks,
        read_reference(reference),
        placed,
        amplitude_unit=_unit(folder, amplitude_unit),
        **options,
    )
    names = [reference, *_tables(folder), *([] if channels is None else [channels])]
    scale.write(output, provenance(inputs=names))
    if figure is not None:
        _draw(scale, Path(figure))
    return scale


def add_magnitudes(
    folder: str | Path,
    scale: str | Path,
    output: str | Path,
    channels: str | Path | None = None,
    *,
    amplitude_unit: str | None = None,
    settings: ReportSettings | None = None,
) -> pd.DataFrame:
    """Write a catalog again, with magnitudes."""
    events, picks, placed = _read(folder, channels)
    check_strain_rate(_unit(folder, amplitude_unit))
    sized = estimate_magnitudes(events, picks, read_magnitude_scale(scale), placed)
    output = Path(output)
    # All that the tables said of themselves stays; the scale is added.
    facts = read_metadata(Path(folder) / "events.parquet")
    facts |= {"magnitude_scale": str(scale), "magnitude_scale_hash": file_hash(scale)}
    if output.resolve() != Path(folder).resolve():
        own = read_metadata(Path(folder) / "picks.parquet")
        write_table(conform(picks, PICK_COLUMNS, "picks"), output / "picks.parquet", own)
    write_table(conform(sized, EVENT_COLUMNS, "events"), output / "events.parquet", facts)
    write_catalog(sized, picks, output, placed, settings, facts)
    return sized


def _tables(folder: str | Path) -> list[Path]:
    return [Path(folder) / "events.parquet", Path(folder) / "picks.parquet"]


def _read(
    folder: str | Path, channels: str | Path | None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]:
    for path in _tables(folder):
        if not path.exists():
            raise TableError(
                f"{folder} holds no {path.name}. Make it with: phasenet-das associate picks.parquet "
                f"--channels channels.csv -o {folder}"
            )
    events, picks = (
        read(path) for read, path in zip((read_events, read_picks), _tables(folder), strict=True)
    )
    return events, picks, load_channel_file(channels, only_station(picks))


def _unit(folder: str | Path, stated: str | None) -> str:
    path = Path(folder) / "picks.parquet"
    unit = stated or read_metadata(path).get("amplitude_unit")
    if not unit:
        raise UnitError(
            f"{path} does not say the unit of its amplitudes. State it: --amplitude-unit 'strain / s'."
        )
    return str(unit)


def _draw(scale: MagnitudeScale, path: Path) -> None:
    from matplotlib.figure import Figure

    from phasenet_das.plot import magnitude_residuals

    figure = Figure(figsize=(4.2, 4.0), layout="constrained")
    magnitude_residuals(scale.residuals, ax=figure.subplots())
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
