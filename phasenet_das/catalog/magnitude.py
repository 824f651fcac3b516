"""Magnitudes from peak strain rate, calibrated on a reference catalog.

The scaling form is that of Yin et al. (2023, doi:10.1029/2023GL103045), for P and S apart:

    log10 E = a M + b log10 D + K

with E the peak strain rate after the pick, D the hypocentral distance in km, and a site term K for each
channel. Peak amplitudes of a fibre depend on its coupling, gauge length and direction, so there is no
scale without calibration: a, b and K come from events whose magnitude a reference catalog knows. Where these
are few or alike, a and b are those of the paper (``yin2023``) or are stated, and only K is fitted.

This form was checked against the code that the authors published (`das_strain_scaling`): a regression of
log10(peak) on magnitude, log10(distance in km) and a constant for each site; for a new cable a and b are kept
and the constants fitted to some of its events. Their sites are groups of neighbouring channels, and a fit may
weigh large events more; here each channel is a site and all weigh the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from phasenet_das.catalog.amplitudes import PEAK, SNR, measure_amplitudes, strain_rate_factor
from phasenet_das.catalog.association import write_catalog
from phasenet_das.catalog.magnitude_scale import (
    MagnitudeScale,
    is_named_scale,
    named_scale,
    read_magnitude_scale,
)
from phasenet_das.catalog.reference import REFERENCE_COLUMNS, read_reference
from phasenet_das.config import ReportSettings
from phasenet_das.errors import ConfigError, UnitError
from phasenet_das.io.recording import Recording
from phasenet_das.matching import geodesic_km, match_events
from phasenet_das.tables import (
    EVENT_COLUMNS,
    PICK_COLUMNS,
    atomic_path,
    conform,
    read_metadata,
    write_table,
)
from phasenet_das.tables.columns import associated_phase
from phasenet_das.tables.files import pick_tables, read_catalog
from phasenet_das.tables.provenance import file_hash, join_provenance, provenance

log = logging.getLogger(__name__)

_SITE: Final = ["station_id", "channel_index", "phase_type"]
MIN_SNR_DB: Final = 10.0
"""Smallest signal-to-noise ratio of an amplitude that was measured from records, dB."""
_MIN_DISTANCE_KM: Final = 0.1
_LIKELY: Final = (-4.0, 9.0)  # magnitudes outside are those of a wrong unit
_MIN_SPREAD: Final = 0.05  # in log10 of the distance and in magnitude, within the channels


def calibrate_magnitude(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    reference: pd.DataFrame,
    channels: pd.DataFrame | None = None,
    *,
    amplitude_unit: str | None = None,
    coefficients: Mapping[str, tuple[float, float]] | str | None = None,
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
        Event table, and picks with ``event_index``. With the columns of :func:`measure_amplitudes` the peaks
        of at least 10 dB are used, else ``phase_amplitude``, whose noise is not known.
    reference : pandas.DataFrame
        From :func:`phasenet_das.evaluate.read_reference`. Distances are those of `events`, so that the error
        of the locations is in the uncertainty of the scale.
    channels : pandas.DataFrame, optional
        Channel table. Without it, or for events without position, ``source_distance_km`` stands for all
        channels, which suits sources far beyond the length of the cable.
    amplitude_unit : str, optional
        Unit of ``phase_amplitude``, as in the metadata of the pick table: a strain rate. Not needed for
        measured peaks.
    coefficients : mapping of str to tuple of float, or str, optional
        (a, b) by phase, or the name of a scale (``yin2023``); both are fitted where a phase is not named.
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
    measured, given = PEAK in picks.columns, _given(coefficients)
    if not measured:
        picks = _in_strain_rate(picks, amplitude_unit)
    known = _matched(events, reference, time_tolerance_s, distance_tolerance_km)
    if len(known) < min_events:
        raise ConfigError(
            f"magnitude: {len(known)} events match the reference within {time_tolerance_s:g} s and "
            f"{distance_tolerance_km:g} km, expected at least min_events = {min_events}. Widen the "
            "tolerances, or calibrate on a longer span."
        )
    data = _amplitudes(known, picks, channels, measured=measured)
    data = data.merge(known[["event_index", "event_id", "reference_magnitude"]], on="event_index")
    table, sites = _fit(data, given)
    residuals = _leave_one_out(data, given)
    spread = residuals["residual"].dropna()
    uncertainty = float(np.sqrt((spread**2).mean())) if len(spread) else np.nan
    source = "records" if measured else "picks"
    return MagnitudeScale(table, sites, residuals, uncertainty, magnitude_type, source)


def estimate_magnitudes(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    scale: MagnitudeScale | None,
    channels: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Give events their magnitude: the median over channels, then the mean of P and S weighted by a².

    Parameters
    ----------
    events, picks : pandas.DataFrame
        Event table, and picks with ``event_index`` and the amplitudes of the scale: the columns of
        :func:`measure_amplitudes`, or ``phase_amplitude`` in strain per second. A named scale uses the
        measured ones where they are.
    scale : MagnitudeScale or None
        The scale; without one no magnitude is given.

    Returns
    -------
    pandas.DataFrame
        `events` with ``magnitude, magnitude_uncertainty, num_magnitude_channels``, and ``magnitude_type``
        where the scale has one.
        NaN where no channel of the event has a site term; as it was without a scale. The log warns of
        magnitudes below -4 or above 9, which come from a wrong unit.

    Raises
    ------
    ConfigError
        The scale was calibrated on peaks that `picks` does not have.
    """
    return events.copy() if scale is None else _estimated(events, picks, scale, channels, ["strain / s"])


def _estimated(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    scale: MagnitudeScale,
    channels: pd.DataFrame | None,
    units: Sequence[str],
) -> pd.DataFrame:
    """Give events their magnitude. `units` are those that the amplitudes had before they were converted."""
    data = _amplitudes(events, picks, channels, measured=_takes_peaks(scale, picks))
    single = _pick_magnitudes(data, scale.coefficients, scale.sites)
    found = _event_magnitudes(single)
    out = events.copy()
    out["magnitude"] = out["event_index"].map(found["magnitude"]).astype(float)
    _warn_of_unlikely(out, single, units)
    out["magnitude_uncertainty"] = np.where(out["magnitude"].notna(), scale.uncertainty, np.nan)
    out["num_magnitude_channels"] = out["event_index"].map(found["num_channels"]).fillna(0).astype(int)
    if scale.magnitude_type is None:
        return out.drop(columns="magnitude_type", errors="ignore")
    out["magnitude_type"] = scale.magnitude_type
    return out


def _warn_of_unlikely(events: pd.DataFrame, single: pd.DataFrame, units: Sequence[str]) -> None:
    """Warn of magnitudes that no earthquake has, or that no cable records."""
    low, high = _LIKELY
    strange = events[(events["magnitude"] < low) | (events["magnitude"] > high)]
    if strange.empty:
        return
    first = strange.iloc[0]
    peak = 10 ** single.loc[single["event_index"].isin(strange["event_index"]), "log_amplitude"].median()
    log.warning(
        "%d of %d magnitudes lie outside %g to %g, such as %.1f of event %s. The median peak of these events "
        "is %.2g strain / s, and the unit in use is '%s'. The unit is probably wrong: nanostrain taken for "
        "strain is a factor of 1e9, and unscaled numbers are no strain. Correct the unit of the recordings "
        "with patch.update_attrs(data_units='nanostrain / s') and phasenet_das.io.write_quakeflow, or "
        "state that of the pick table with amplitude_unit (--amplitude-unit).",
        len(strange),
        int(events["magnitude"].notna().sum()),
        low,
        high,
        first["magnitude"],
        first["event_id"],
        peak,
        "', '".join(units),
    )


def stated_event(events: pd.DataFrame, name: str, magnitude: float, time_tolerance_s: float) -> pd.DataFrame:
    """Make a reference catalog of one event: an ``event_id``, or the event nearest to an origin time."""
    row = events[events["event_id"] == name]
    if row.empty:
        time = pd.to_datetime(pd.Series(name, events.index), utc=True, errors="coerce", format="ISO8601")
        apart_s = (events["time"] - time).dt.total_seconds().abs()
        row = events.loc[apart_s[apart_s <= time_tolerance_s].nsmallest(1).index]
    if row.empty:
        raise ConfigError(
            f"event '{name}': found no event of this id or within {time_tolerance_s:g} s of this time, "
            "expected one of the catalog. Take its event_id from catalog.csv, or a time such as "
            "2024-01-01T00:00:12."
        )
    row = row.drop(columns="magnitude", errors="ignore")
    return row.assign(magnitude=magnitude)[list(REFERENCE_COLUMNS)]


def _takes_peaks(scale: MagnitudeScale, picks: pd.DataFrame) -> bool:
    """Whether a scale is applied to measured peaks, not to the amplitudes of the pick table."""
    there = PEAK in picks.columns
    if scale.amplitudes == "records" and not there:
        raise ConfigError(
            "magnitude: the scale was calibrated on peaks measured from records, but the picks have none. "
            "State the records (--records, measure_amplitudes), or calibrate without them."
        )
    return there and scale.amplitudes != "picks"


def _given(coefficients: Mapping[str, tuple[float, float]] | str | None) -> dict[str, tuple[float, float]]:
    if isinstance(coefficients, str):
        return named_scale(coefficients).slopes()
    return dict(coefficients or {})


def _in_strain_rate(picks: pd.DataFrame, unit: str | None) -> pd.DataFrame:
    """Turn ``phase_amplitude`` into strain per second."""
    if unit is None:
        raise UnitError(
            "amplitude_unit: not stated. State the unit of phase_amplitude, such as 'strain / s'."
        )
    return picks.assign(phase_amplitude=picks["phase_amplitude"] * strain_rate_factor(unit))


def _matched(
    events: pd.DataFrame, reference: pd.DataFrame, time_tolerance_s: float, distance_tolerance_km: float
) -> pd.DataFrame:
    """Events that the reference gives a magnitude, at the distances that the scale will be applied to."""
    reference = reference[reference["magnitude"].notna()].reset_index(drop=True)
    pairs = match_events(
        events, reference, time_tolerance_s=time_tolerance_s, distance_tolerance_km=distance_tolerance_km
    )
    known = reference["magnitude"].iloc[pairs["reference_row"]]
    own = events.iloc[pairs["event_row"]].reset_index(drop=True)
    return own.assign(reference_magnitude=known.to_numpy())


def _amplitudes(
    events: pd.DataFrame, picks: pd.DataFrame, channels: pd.DataFrame | None, *, measured: bool
) -> pd.DataFrame:
    """Log amplitude and log distance of every pick that has both."""
    picks = picks.reset_index(drop=True)
    used = picks["event_index"].isin(events["event_index"])
    if measured:
        used &= picks[SNR] >= MIN_SNR_DB
    name = PEAK if measured else "phase_amplitude"
    table = picks[used].assign(phase_type=associated_phase(picks)).reset_index(drop=True)
    place = ["event_index", "longitude", "latitude", "depth_km", "source_distance_km"]
    table = table[[*_SITE, "event_index", name]].merge(events[place], on="event_index")
    distance = _distance_km(table, channels)
    amplitude = table[name].to_numpy(np.float64)
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
            f"amplitudes, and give the channel table. Peaks measured from records need {MIN_SNR_DB:g} dB."
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
            f"coefficients={{'{phase}': (a, b)}}, or take those of Yin et al. (2023): --scale yin2023."
        )
    a, b = np.linalg.lstsq(design, response, rcond=None)[0]
    if a <= 0:
        raise ConfigError(
            f"magnitude: {phase} amplitudes fall with magnitude (a = {a:.2f}). The matches or the amplitudes "
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
    """Magnitude that each amplitude means; picks of channels without a site term are not used."""
    joined = data.merge(sites[[*_SITE, "site_log10"]], on=_SITE, how="left")
    joined = joined.merge(table, on="phase_type", suffixes=("", "_elsewhere"))
    site = joined["site_log10"]
    if "site_log10_elsewhere" in joined:
        site = site.fillna(joined["site_log10_elsewhere"])
    level = joined["log_amplitude"] - joined["distance_slope"] * joined["log_distance"] - site
    return joined.assign(magnitude=level / joined["magnitude_slope"]).dropna(subset="magnitude")


def _event_magnitudes(single: pd.DataFrame) -> pd.DataFrame:
    """Median over channels; then the least-squares magnitude of both phases, whose log E scatter alike."""
    by_phase = single.groupby(["event_index", "phase_type"])[["magnitude", "magnitude_slope"]].median()
    weight = by_phase["magnitude_slope"] ** 2
    sums = pd.DataFrame({"level": weight * by_phase["magnitude"], "weight": weight})
    sums = sums.groupby("event_index").sum()
    receivers = (
        single.drop_duplicates(["event_index", "station_id", "channel_index"]).groupby("event_index").size()
    )
    return pd.DataFrame({"magnitude": sums["level"] / sums["weight"], "num_channels": receivers})


def calibrate_catalog(
    folder: str | Path,
    reference: str | Path | tuple[str, float],
    output: str | Path,
    channels: pd.DataFrame | None = None,
    *,
    recordings: Iterable[Recording] = (),
    tables: Sequence[str | Path] = (),
    amplitude_unit: str | None = None,
    figure: str | Path | None = None,
    **options: Any,  # noqa: ANN401 - of calibrate_magnitude
) -> MagnitudeScale:
    """Fit a magnitude scale to a catalog on disk, and write it with the hashes of the channel `tables`.

    `reference` is a catalog, or the name and magnitude of one event.
    """
    events, picks = read_catalog(folder)
    picks = _with_peaks(events, picks, recordings)
    if isinstance(reference, tuple):
        known, files = stated_event(events, *reference, options["time_tolerance_s"]), []
    else:
        known, files = read_reference(reference), [reference]
    unit = None if PEAK in picks.columns else _unit(folder, amplitude_unit)
    scale = calibrate_magnitude(events, picks, known, channels, amplitude_unit=unit, **options)
    names = [*files, Path(folder) / "events.parquet", *pick_tables(folder)]
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
    recordings: Iterable[Recording] = (),
    amplitude_unit: str | None = None,
    settings: ReportSettings | None = None,
) -> tuple[pd.DataFrame, str]:
    """Write a catalog again, with magnitudes. Returns the events, and the amplitudes used in a word."""
    events, picks = read_catalog(folder)
    known, recordings = read_magnitude_scale(scale), list(recordings)
    if known.amplitudes != "picks":
        picks = _with_peaks(events, picks, recordings)
    measured = _takes_peaks(known, picks)
    if measured:
        ready, units = picks, sorted({one.unit for one in recordings}) or ["strain / s"]
    else:
        unit = _unit(folder, amplitude_unit)
        ready, units = _in_strain_rate(picks, unit), [unit]
    sized = _estimated(events, ready, known, channels, units)
    output, amplitudes = Path(output), "records" if measured else "picks"
    # All that the tables said of themselves stays; the scale is added.
    facts = read_metadata(Path(folder) / "events.parquet")
    facts |= {"magnitude_scale": str(scale), "magnitude_amplitudes": amplitudes}
    if not is_named_scale(scale):
        facts["magnitude_scale_hash"] = file_hash(scale)
    if measured or output.resolve() != Path(folder).resolve():
        said = {str(path): read_metadata(path) for path in pick_tables(folder)}
        own = next(iter(said.values())) if len(said) == 1 else join_provenance(said)
        write_table(conform(picks, PICK_COLUMNS, "picks"), output / "picks.parquet", own)
    write_table(conform(sized, EVENT_COLUMNS, "events"), output / "events.parquet", facts)
    write_catalog(sized, picks, output, channels, settings, facts)
    return sized, amplitudes


def _with_peaks(events: pd.DataFrame, picks: pd.DataFrame, recordings: Iterable[Recording]) -> pd.DataFrame:
    recordings = list(recordings)
    return measure_amplitudes(events, picks, recordings) if recordings else picks


def _unit(folder: str | Path, stated: str | None) -> str:
    if stated:
        return stated
    units = {path: str(read_metadata(path).get("amplitude_unit") or "") for path in pick_tables(folder)}
    silent = next((path for path, unit in units.items() if not unit), None)
    if silent is not None:
        raise UnitError(
            f"{silent} does not say the unit of its amplitudes. State it: --amplitude-unit 'strain / s'."
        )
    found = sorted(set(units.values()))
    if len(found) > 1:
        raise UnitError(
            f"{folder}: its pick tables have amplitudes in several units ({', '.join(found)}), expected one. "
            "Measure the peaks from the recordings (--records), or pick the files of one unit again."
        )
    return found[0]


def _draw(scale: MagnitudeScale, path: Path) -> None:
    from matplotlib.figure import Figure

    from phasenet_das.plot import magnitude_residuals

    figure = Figure(figsize=(4.2, 4.0), layout="constrained")
    magnitude_residuals(scale.residuals, ax=figure.subplots())
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
