"""Magnitudes from peak strain rate, calibrated on a reference catalog.

The scaling form is that of Yin et al. (2023, doi:10.1029/2023GL103045), for P and S apart:

    log10 E = a M + b log10 D + K

with E the peak strain rate after the pick, D the hypocentral distance in km, and a site term K for each
channel. Peak amplitudes of a fibre depend on its coupling, gauge length and direction, so there is no
scale without calibration: a, b and K come from events whose magnitude a reference catalog knows. Where these
are few or alike, a and b can be stated (from the paper, or from another cable) and only K is fitted.

This form was checked against the code that the authors published (`das_strain_scaling`): a regression of
log10(peak) on magnitude, log10(distance in km) and a constant for each site; for a new cable a and b are kept
and the constants fitted to some of its events. Their sites are groups of neighbouring channels, and a fit may
weigh large events more; here each channel is a site and all weigh the same. The values of a and b in the
paper could not be checked, so none are built in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from phasenet_das.catalog.association import write_catalog
from phasenet_das.catalog.reference import read_reference
from phasenet_das.config import ReportSettings
from phasenet_das.errors import ConfigError, TableError, UnitError
from phasenet_das.matching import geodesic_km, match_events
from phasenet_das.tables import (
    EVENT_COLUMNS,
    PICK_COLUMNS,
    atomic_path,
    conform,
    read_metadata,
    write_table,
)
from phasenet_das.tables.files import pick_tables, read_catalog
from phasenet_das.tables.provenance import file_hash, provenance

_SITE: Final = ["station_id", "channel_index", "phase_type"]
_STRAIN_RATE: Final = {"strain/s", "strain/second", "1/s", "1/second", "s^-1", "s**-1", "hertz"}  # no spaces
_MIN_DISTANCE_KM: Final = 0.1
_MIN_SPREAD: Final = 0.05  # in log10 of the distance and in magnitude, within the channels


@dataclass(frozen=True)
class MagnitudeScale:
    """A calibrated magnitude scale of one or several cables.

    Attributes
    ----------
    coefficients : pandas.DataFrame
        A row for each phase: ``phase_type, magnitude_slope`` (a), ``distance_slope`` (b), ``num_picks``.
    sites : pandas.DataFrame
        ``station_id, channel_index, phase_type, site_log10`` (K) and ``num_events`` behind it.
    residuals : pandas.DataFrame
        ``event_id, reference_magnitude, magnitude, residual`` of the events of the calibration, each
        estimated by a scale that was fitted without it.
    uncertainty : float
        Root mean square of these residuals: the standard error of a magnitude; NaN with a single event.
    magnitude_type : str or None
        Type of the reference's magnitudes, which the scale reproduces.
    """

    coefficients: pd.DataFrame
    sites: pd.DataFrame
    residuals: pd.DataFrame
    uncertainty: float
    magnitude_type: str | None = None

    def write(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> Path:
        """Write the scale as JSON.

        Parameters
        ----------
        path : str or pathlib.Path
            The file to write; :func:`read_magnitude_scale` reads it.
        """
        tables = {
            name: getattr(self, name).to_dict("list") for name in ("coefficients", "sites", "residuals")
        }
        uncertainty = self.uncertainty if np.isfinite(self.uncertainty) else None
        facts = {} if metadata is None else {"metadata": dict(metadata)}
        text = json.dumps(
            {**tables, "uncertainty": uncertainty, "magnitude_type": self.magnitude_type, **facts}, indent=1
        )
        with atomic_path(path) as temporary:
            temporary.write_text(text + "\n")
        return Path(path)


def read_magnitude_scale(path: str | Path) -> MagnitudeScale:
    """Read a scale that :meth:`MagnitudeScale.write` wrote.

    Raises
    ------
    TableError
        The file is not a magnitude scale.
    """
    try:
        content = json.loads(Path(path).read_text())
        tables = [pd.DataFrame(content[name]) for name in ("coefficients", "sites", "residuals")]
        uncertainty = content["uncertainty"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(
            f"{path}: not a magnitude scale ({error}). Write one with MagnitudeScale.write."
        ) from error
    return MagnitudeScale(
        coefficients=tables[0],
        sites=tables[1],
        residuals=tables[2],
        uncertainty=np.nan if uncertainty is None else float(uncertainty),
        magnitude_type=content["magnitude_type"],
    )


def check_strain_rate(unit: str) -> None:
    """Refuse amplitudes that are not strain rate."""
    if "".join(unit.split()).lower() not in _STRAIN_RATE:
        raise UnitError(
            f"amplitude_unit '{unit}': the scale is for strain rate ('strain / s'). Pick strain "
            "with --to-strain-rate, or state the unit with --unit when the file lacks it."
        )


def calibrate_magnitude(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    reference: pd.DataFrame,
    channels: pd.DataFrame | None = None,
    *,
    amplitude_unit: str,
    coefficients: Mapping[str, tuple[float, float]] | None = None,
    min_events: int = 3,
    time_tolerance_s: float = 3.0,
    distance_tolerance_km: float = 15.0,
    magnitude_type: str | None = None,
) -> MagnitudeScale:
    """Fit the scale to events whose magnitude a reference catalog knows.

    The fit is least squares with a free term for each channel and phase: amplitudes, magnitudes and distances
    are taken less their means over the events of the channel, which removes K; K is the mean of what is left.

    Parameters
    ----------
    events, picks : pandas.DataFrame
        Event table, and picks with ``event_index`` and ``phase_amplitude``.
    reference : pandas.DataFrame
        From :func:`phasenet_das.evaluate.read_reference`; its position and depth are used where it has them.
    channels : pandas.DataFrame, optional
        Channel table. Without it, or for events without position, ``source_distance_km`` stands for all
        channels, which suits sources far beyond the length of the cable.
    amplitude_unit : str
        Unit of ``phase_amplitude``, as in the metadata of the pick table; strain per second.
    coefficients : mapping of str to tuple of float, optional
        (a, b) by phase; both are fitted where a phase is not named.
    min_events : int, optional
        Fewest calibration events; a channel needs two of them for slopes, one for its site term.
    time_tolerance_s, distance_tolerance_km : float, optional
        See :func:`phasenet_das.evaluate.match_events`.
    magnitude_type : str, optional
        Type of the reference's magnitudes, such as ``ML``.

    Raises
    ------
    UnitError
        The amplitudes are not strain rate.
    ConfigError
        Too few events match, or they do not tell magnitude from distance.
    """
    check_strain_rate(amplitude_unit)
    known = _matched(events, reference, time_tolerance_s, distance_tolerance_km)
    if len(known) < min_events:
        raise ConfigError(
            f"magnitude: {len(known)} events match the reference within {time_tolerance_s:g} s and "
            f"{distance_tolerance_km:g} km, expected at least min_events = {min_events}. Widen the "
            "tolerances, or calibrate on a longer span."
        )
    data = _amplitudes(known, picks, channels)
    data = data.merge(known[["event_index", "event_id", "reference_magnitude"]], on="event_index")
    table, sites = _fit(data, dict(coefficients or {}))
    residuals = _leave_one_out(data, dict(coefficients or {}))
    spread = residuals["residual"].dropna()
    uncertainty = float(np.sqrt((spread**2).mean())) if len(spread) else np.nan
    return MagnitudeScale(table, sites, residuals, uncertainty, magnitude_type)


def estimate_magnitudes(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    scale: MagnitudeScale | None,
    channels: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Give events their magnitude: the median over channels, averaged over P and S.

    Parameters
    ----------
    events, picks : pandas.DataFrame
        Event table, and picks with ``event_index`` and ``phase_amplitude`` in strain per second.
    scale : MagnitudeScale or None
        The calibrated scale; without one no magnitude is given.

    Returns
    -------
    pandas.DataFrame
        `events` with ``magnitude, magnitude_uncertainty, num_magnitude_channels`` (and ``magnitude_type``).
        NaN where no channel of the event has a site term; as it was without a scale.
    """
    if scale is None:
        return events.copy()
    single = _pick_magnitudes(_amplitudes(events, picks, channels), scale.coefficients, scale.sites)
    found = _event_magnitudes(single)
    out = events.copy()
    out["magnitude"] = out["event_index"].map(found["magnitude"]).astype(float)
    out["magnitude_uncertainty"] = np.where(out["magnitude"].notna(), scale.uncertainty, np.nan)
    out["num_magnitude_channels"] = out["event_index"].map(found["num_channels"]).fillna(0).astype(int)
    if scale.magnitude_type is not None:
        out["magnitude_type"] = scale.magnitude_type
    return out


def _matched(
    events: pd.DataFrame, reference: pd.DataFrame, time_tolerance_s: float, distance_tolerance_km: float
) -> pd.DataFrame:
    """Events that the reference gives a magnitude, placed where it places them."""
    reference = reference[reference["magnitude"].notna()].reset_index(drop=True)
    pairs = match_events(
        events, reference, time_tolerance_s=time_tolerance_s, distance_tolerance_km=distance_tolerance_km
    )
    own = events.iloc[pairs["event_row"]].reset_index(drop=True)
    other = reference.iloc[pairs["reference_row"]].reset_index(drop=True)
    placed = other[["longitude", "latitude"]].notna().all(axis=1)
    for name in ("longitude", "latitude", "depth_km"):
        own[name] = other[name].where(placed & other[name].notna(), own[name])
    return own.assign(reference_magnitude=other["magnitude"])


def _amplitudes(events: pd.DataFrame, picks: pd.DataFrame, channels: pd.DataFrame | None) -> pd.DataFrame:
    """Log amplitude and log distance of every pick that has both."""
    table = picks[picks["event_index"].isin(events["event_index"])].reset_index(drop=True)
    place = ["event_index", "longitude", "latitude", "depth_km", "source_distance_km"]
    table = table[[*_SITE, "event_index", "phase_amplitude"]].merge(events[place], on="event_index")
    distance = _distance_km(table, channels)
    amplitude = table["phase_amplitude"].to_numpy(np.float64)
    good = (amplitude > 0) & np.isfinite(amplitude) & np.isfinite(distance)
    out = table.loc[good, [*_SITE, "event_index"]].reset_index(drop=True)
    out["log_amplitude"] = np.log10(amplitude[good])
    out["log_distance"] = np.log10(np.maximum(distance[good], _MIN_DISTANCE_KM))
    return out


def _distance_km(table: pd.DataFrame, channels: pd.DataFrame | None) -> np.ndarray:
    """Hypocentral distance, or that of the nearest channel where a position is missing."""
    fallback = table["source_distance_km"].to_numpy(np.float64)
    if channels is None:
        return fallback
    receiver = ["station_id", "channel_index"]
    placed = table[receiver].merge(
        channels[[*receiver, "longitude", "latitude", "elevation_m"]], on=receiver, how="left"
    )
    across = geodesic_km(table, placed)
    vertical = table["depth_km"].fillna(0.0) + placed["elevation_m"].fillna(0.0) / 1000
    distance = np.hypot(across, vertical.to_numpy(np.float64))
    chosen: np.ndarray = np.where(np.isfinite(across), distance, fallback)
    return chosen


def _fit(data: pd.DataFrame, given: dict[str, tuple[float, float]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit a and b of each phase, and K of each channel."""
    rows, sites = [], []
    for phase, group in data.groupby("phase_type"):
        slopes = given.get(str(phase)) or _slopes(group, str(phase))
        left = (
            group["log_amplitude"]
            - slopes[0] * group["reference_magnitude"]
            - slopes[1] * group["log_distance"]
        )
        terms = left.groupby([group[name] for name in _SITE]).agg(["mean", "size"]).reset_index()
        sites.append(terms.rename(columns={"mean": "site_log10", "size": "num_events"}))
        rows.append((phase, *slopes, len(group)))
    if not rows:
        raise ConfigError(
            "magnitude: no pick of the matched events has an amplitude and a distance. Pick with "
            "amplitudes, and give the channel table."
        )
    table = pd.DataFrame(rows, columns=["phase_type", "magnitude_slope", "distance_slope", "num_picks"])
    return table, pd.concat(sites, ignore_index=True)


def _slopes(group: pd.DataFrame, phase: str) -> tuple[float, float]:
    """Regress within channels (a fixed-effects regression), which removes their site terms."""
    columns = group[["log_amplitude", "reference_magnitude", "log_distance"]]
    within = (columns - columns.groupby([group[name] for name in _SITE]).transform("mean")).to_numpy()
    design, response = within[:, 1:], within[:, 0]
    singular = np.linalg.svd(design, compute_uv=False) / np.sqrt(max(len(design), 1))
    if len(design) < 3 or singular[-1] < _MIN_SPREAD:
        raise ConfigError(
            f"magnitude: the {phase} picks of the calibration events do not tell magnitude from distance "
            f"(they are too few or too alike). State "
            f"coefficients={{'{phase}': (a, b)}}, such as those of Yin et al. (2023)."
        )
    a, b = np.linalg.lstsq(design, response, rcond=None)[0]
    if a <= 0:
        raise ConfigError(
            f"magnitude: {phase} amplitudes fall with magnitude (a = {a:.2f}); the matches or the amplitudes "
            f"are wrong. Look at them, or state coefficients={{'{phase}': (a, b)}}."
        )
    return float(a), float(b)


def _leave_one_out(data: pd.DataFrame, given: dict[str, tuple[float, float]]) -> pd.DataFrame:
    """Estimate each event by a scale fitted to the others."""
    rows = []
    for index, own in data.groupby("event_index"):
        event_id, truth = own["event_id"].iloc[0], float(own["reference_magnitude"].iloc[0])
        others = data[data["event_index"] != index]
        magnitude = np.nan
        try:
            table, sites = _fit(others, given)
        except ConfigError:  # the others alone do not make a scale
            table = None
        if table is not None:
            found = _event_magnitudes(_pick_magnitudes(own, table, sites))["magnitude"]
            magnitude = float(found.iloc[0]) if len(found) else np.nan
        rows.append((event_id, truth, magnitude, magnitude - truth))
    return pd.DataFrame(rows, columns=["event_id", "reference_magnitude", "magnitude", "residual"])


def _pick_magnitudes(data: pd.DataFrame, table: pd.DataFrame, sites: pd.DataFrame) -> pd.DataFrame:
    """Magnitude that each amplitude means; picks of channels without a site term are left out."""
    joined = data.merge(sites[[*_SITE, "site_log10"]], on=_SITE).merge(table, on="phase_type")
    level = joined["log_amplitude"] - joined["distance_slope"] * joined["log_distance"] - joined["site_log10"]
    return joined.assign(magnitude=level / joined["magnitude_slope"])


def _event_magnitudes(single: pd.DataFrame) -> pd.DataFrame:
    by_phase = single.groupby(["event_index", "phase_type"])["magnitude"].median()
    receivers = (
        single.drop_duplicates(["event_index", "station_id", "channel_index"]).groupby("event_index").size()
    )
    return pd.DataFrame({"magnitude": by_phase.groupby("event_index").mean(), "num_channels": receivers})


def calibrate_catalog(
    folder: str | Path,
    reference: str | Path,
    output: str | Path,
    channels: pd.DataFrame | None = None,
    *,
    tables: Sequence[str | Path] = (),
    amplitude_unit: str | None = None,
    figure: str | Path | None = None,
    **options: Any,  # noqa: ANN401 - of calibrate_magnitude
) -> MagnitudeScale:
    """Fit a magnitude scale to a catalog on disk, and write it with the hashes of the channel `tables`."""
    events, picks = read_catalog(folder)
    scale = calibrate_magnitude(
        events,
        picks,
        read_reference(reference),
        channels,
        amplitude_unit=_unit(folder, amplitude_unit),
        **options,
    )
    names = [reference, Path(folder) / "events.parquet", *pick_tables(folder)]
    scale.write(output, provenance(inputs=[*names, *tables]))
    if figure is not None:
        _draw(scale, Path(figure))
    return scale


def add_magnitudes(
    folder: str | Path,
    scale: str | Path,
    output: str | Path,
    channels: pd.DataFrame | None = None,
    *,
    amplitude_unit: str | None = None,
    settings: ReportSettings | None = None,
) -> pd.DataFrame:
    """Write a catalog again, with magnitudes."""
    events, picks = read_catalog(folder)
    check_strain_rate(_unit(folder, amplitude_unit))
    sized = estimate_magnitudes(events, picks, read_magnitude_scale(scale), channels)
    output = Path(output)
    # All that the tables said of themselves stays; the scale is added.
    facts = read_metadata(Path(folder) / "events.parquet")
    facts |= {"magnitude_scale": str(scale), "magnitude_scale_hash": file_hash(scale)}
    if output.resolve() != Path(folder).resolve():
        own = read_metadata(pick_tables(folder)[0])
        write_table(conform(picks, PICK_COLUMNS, "picks"), output / "picks.parquet", own)
    write_table(conform(sized, EVENT_COLUMNS, "events"), output / "events.parquet", facts)
    write_catalog(sized, picks, output, channels, settings, facts)
    return sized


def _unit(folder: str | Path, stated: str | None) -> str:
    path = pick_tables(folder)[0]
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
