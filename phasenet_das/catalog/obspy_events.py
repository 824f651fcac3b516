"""The catalog as ObsPy objects."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from phasenet_das.catalog.export.common import PreparedCatalog, prepare_catalog
from phasenet_das.catalog.export.thinning import MAX_PICKS_PER_PHASE
from phasenet_das.catalog.quality import describe_event, explain_flags, quality_rules
from phasenet_das.errors import TableError
from phasenet_das.tables.columns import located
from phasenet_das.text import coordinates, records

if TYPE_CHECKING:
    from obspy import UTCDateTime
    from obspy.core.event import (
        Arrival,
        Catalog,
        Comment,
        CreationInfo,
        Event,
        Magnitude,
        Origin,
        Pick,
        ResourceIdentifier,
    )


_ROOT: Final = "smi:local/phasenet-das"
_NOT_IN_A_RESOURCE_ID: Final = re.compile(r"[^A-Za-z0-9\-.*()_~'+?=,;/&]")
_NO_ORIGIN: Final = "No origin:"
_NO_ORIGIN_TEXT: Final = re.compile(
    rf"{_NO_ORIGIN} (?P<time>\S+ \S+) UTC"
    r"(?:.*, (?P<distance>[\d.]+)(?: ± [\d.]+)? km from the nearest channel)?"
)
_KM_PER_DEGREE: Final = 111.195  # of a great circle on a sphere of 6371 km
_ELLIPSE_SIGMA: Final = math.sqrt(-2 * math.log(1 - 0.6827))  # half-axis of the 68 % ellipse in sigma
_ELLIPSE: Final = ("ellipse_major_km", "ellipse_minor_km", "ellipse_azimuth_deg")


def to_obspy(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    channels: pd.DataFrame | None = None,
    *,
    max_picks_per_phase: int = MAX_PICKS_PER_PHASE,
    network: str = "XX",
    method_id: str | None = None,
    creation_info: Mapping[str, Any] | None = None,
) -> Catalog:
    """Make an ObsPy catalog of events, origins and the picks that belong to them.

    Equal arguments give an equal catalog: resource identifiers come from ``event_id`` and ``pick_id``,
    and no present time is written. An event without longitude and latitude gets its picks and a
    comment with its time and distance, but no origin, which QuakeML could not express. An origin of class D
    is not the preferred one. The class of an event is a comment. Arrivals carry the phase as which the event
    took the pick, picks that of the picker. Magnitudes are there only where the table holds a finite one.

    Parameters
    ----------
    events : pandas.DataFrame
        Event table. Optional columns: ``magnitude``, ``magnitude_type``, ``magnitude_uncertainty``; the
        half-axes ``ellipse_major_km`` and ``ellipse_minor_km`` of the 68 % ellipse and its
        ``ellipse_azimuth_deg`` (clockwise from north), ``mirror_longitude``, ``mirror_latitude``.
    picks : pandas.DataFrame
        Pick table; rows of no event in `events` are left out, the others thinned by
        :func:`phasenet_das.catalog.thin_picks`. The standard error of a pick is its column
        ``phase_time_uncertainty_s`` or else the rms residual of its event and phase.
    channels : pandas.DataFrame, optional
        Channel table; with it arrivals carry distance and azimuth.
    max_picks_per_phase : int, optional
        Most picks to keep for an event and phase on one cable.
    network : str, optional
        Network code of the cables (see :func:`phasenet_das.tables.station_codes`).
    method_id : str, optional
        What made the picks, such as the name of the weights.
    creation_info : mapping, optional
        Any of ``agency_id``, ``author``, ``version``, ``creation_time``.

    Raises
    ------
    ConfigError
        `max_picks_per_phase` is not positive.
    TableError
        A table lacks a column or holds a value that does not fit, or an ``event_id`` is repeated.
    ChannelGeometryError
        A receiver has no station code.
    """
    prepared = prepare_catalog(
        events, picks, channels, max_picks_per_phase=max_picks_per_phase, network=network
    )
    return obspy_catalog(prepared, method_id=method_id, creation_info=creation_info)


def obspy_catalog(
    catalog: PreparedCatalog, *, method_id: str | None = None, creation_info: Mapping[str, Any] | None = None
) -> Catalog:
    """Make the ObsPy catalog of prepared tables."""
    from obspy.core.event import Catalog

    ids = catalog.events["event_id"].map(lambda name: str(_resource_id("event", name)))
    if ids.duplicated().any():
        same = catalog.events.loc[ids == ids[ids.duplicated()].iloc[0], "event_id"].tolist()
        raise TableError(
            f"events: found event_id {same[0]!r} and {same[1]!r}, which QuakeML writes alike. Expected names "
            "that differ in letters, digits or one of -.*()_~'+?=,;/&."
        )
    total = catalog.all_picks["event_index"].value_counts()
    info = _creation_info(creation_info)
    method = None if method_id is None else _resource_id("method", method_id)
    made = [_event(row, own, method, info, total) for row, own in catalog.events_with_picks()]
    return Catalog(events=made, resource_id=_resource_id("catalog"), creation_info=info)


def _event(
    row: dict[str, Any],
    picks: pd.DataFrame,
    method: ResourceIdentifier | None,
    info: CreationInfo | None,
    total: pd.Series,
) -> Event:
    from obspy.core.event import Event

    name = str(row["event_id"])
    left_out = int(total.get(row["event_index"], 0)) - len(picks)
    comments = _comments(row, name, left_out)
    event = Event(resource_id=_resource_id("event", name), creation_info=info, comments=comments)
    rows = records(picks)
    event.picks = [_pick(record, method) for record in rows]
    if located(row):
        event.origins = [_origin(row, name, rows, info)]
        if row["quality"] != "D":
            event.preferred_origin_id = event.origins[0].resource_id.id
    magnitude = row.get("magnitude", math.nan)
    if _finite(magnitude):
        event.magnitudes = [_magnitude(row, name)]
        event.preferred_magnitude_id = event.magnitudes[0].resource_id.id
    return event


def _pick(record: dict[str, Any], method: ResourceIdentifier | None) -> Pick:
    from obspy.core.event import Comment, Pick, QuantityError, WaveformStreamID

    taken = []
    if record["phase_type"] != record["picked_phase"]:
        text = f"The event took this pick for {record['phase_type']}."
        taken = [Comment(text=text, resource_id=_resource_id("comment", f"pick/{record['pick_id']}"))]
    error = record["time_error_s"]
    return Pick(
        resource_id=_resource_id("pick", record["pick_id"]),
        time=_utc(record["phase_time"]),
        time_errors=QuantityError(uncertainty=_rounded(error, 6)) if _finite(error) else None,
        waveform_id=WaveformStreamID(
            network_code=record["network_code"],
            station_code=record["station_code"],
            location_code=record["location_code"] or None,
            channel_code=record["channel_code"] or None,
            resource_uri=_resource_id("receiver", f"{record['station_id']}/{record['channel_index']}"),
        ),
        phase_hint=record["picked_phase"],
        method_id=method,
        evaluation_mode="automatic",
        comments=taken,
    )


def _origin(
    row: dict[str, Any], name: str, records: list[dict[str, Any]], info: CreationInfo | None
) -> Origin:
    from obspy.core.event import Origin, OriginQuality, QuantityError

    east_km, north_km = _position_errors_km(row)
    km_per_degree_east = _KM_PER_DEGREE * max(math.cos(math.radians(row["latitude"])), 1e-6)
    return Origin(
        resource_id=_resource_id("origin", name),
        time=_utc(row["time"]),
        time_errors=QuantityError(uncertainty=_rounded(row["time_uncertainty_s"], 6)),
        longitude=_rounded(row["longitude"], 7),
        longitude_errors=QuantityError(uncertainty=_rounded(east_km / km_per_degree_east, 7)),
        latitude=_rounded(row["latitude"], 7),
        latitude_errors=QuantityError(uncertainty=_rounded(north_km / _KM_PER_DEGREE, 7)),
        depth=_rounded(row["depth_km"] * 1000, 2),
        depth_errors=QuantityError(uncertainty=_rounded(row["depth_uncertainty_km"] * 1000, 2)),
        depth_type="from location" if _finite(row["depth_km"]) else None,
        method_id=_resource_id("method", "gamma"),
        evaluation_mode="automatic",
        evaluation_status="preliminary",
        creation_info=info,
        origin_uncertainty=_origin_uncertainty(row),
        quality=OriginQuality(
            associated_phase_count=int(row["num_picks"]),
            used_phase_count=int(row["num_picks"]),
            associated_station_count=int(row["num_channels"]),
            used_station_count=int(row["num_channels"]),
            standard_error=_rounded(row["residual_rms_s"], 6),
            azimuthal_gap=_rounded(row["azimuthal_gap_deg"], 3),
        ),
        arrivals=[_arrival(record, row, name) for record in records],
    )


def _position_errors_km(row: dict[str, Any]) -> tuple[float, float]:
    """Give the standard errors to east and north, or the horizontal uncertainty as their bound."""
    if not _has_ellipse(row):
        return row["horizontal_uncertainty_km"], row["horizontal_uncertainty_km"]
    major, minor, azimuth = (row[column] for column in _ELLIPSE)
    sine, cosine = math.sin(math.radians(azimuth)), math.cos(math.radians(azimuth))
    return math.hypot(major * sine, minor * cosine) / _ELLIPSE_SIGMA, (
        math.hypot(major * cosine, minor * sine) / _ELLIPSE_SIGMA
    )


def _has_ellipse(row: dict[str, Any]) -> bool:
    return all(_finite(row.get(column)) for column in _ELLIPSE)


def _origin_uncertainty(row: dict[str, Any]) -> Any:  # noqa: ANN401 - ObsPy makes this class at run time
    from obspy.core.event import OriginUncertainty

    if _has_ellipse(row):
        major, minor, azimuth = (row[column] for column in _ELLIPSE)
        return OriginUncertainty(
            max_horizontal_uncertainty=_rounded(major * 1000, 2),
            min_horizontal_uncertainty=_rounded(minor * 1000, 2),
            azimuth_max_horizontal_uncertainty=_rounded(azimuth, 3),
            preferred_description="uncertainty ellipse",
            confidence_level=68.27,
        )
    if _finite(row["horizontal_uncertainty_km"]):
        return OriginUncertainty(
            horizontal_uncertainty=_rounded(row["horizontal_uncertainty_km"] * 1000, 2),
            preferred_description="horizontal uncertainty",
        )
    return None


def _arrival(record: dict[str, Any], row: dict[str, Any], name: str) -> Arrival:
    from obspy.core.event import Arrival
    from obspy.geodetics import gps2dist_azimuth

    distance = azimuth = None
    if _finite(record["longitude"]) and _finite(record["latitude"]):
        metres, azimuth, _ = gps2dist_azimuth(
            row["latitude"], row["longitude"], record["latitude"], record["longitude"]
        )
        distance = metres / 1000 / _KM_PER_DEGREE
    return Arrival(
        resource_id=_resource_id("arrival", f"{name}/{record['pick_id']}"),
        pick_id=_resource_id("pick", record["pick_id"]),
        phase=record["phase_type"],
        distance=_rounded(distance, 7),
        azimuth=_rounded(azimuth, 4),
        time_residual=_rounded(record["travel_time_residual_s"], 6),
        time_weight=_rounded(record["association_score"], 4),
    )


def _magnitude(row: dict[str, Any], name: str) -> Magnitude:
    from obspy.core.event import Magnitude, QuantityError

    kind = row.get("magnitude_type")  # NaN where other events of the table have one
    return Magnitude(
        resource_id=_resource_id("magnitude", name),
        mag=_rounded(row["magnitude"], 3),
        mag_errors=QuantityError(uncertainty=_rounded(row.get("magnitude_uncertainty"), 3)),
        magnitude_type=kind if isinstance(kind, str) and kind else None,
        origin_id=_resource_id("origin", name) if located(row) else None,
        evaluation_mode="automatic",
    )


def _comments(row: dict[str, Any], name: str, left_out: int) -> list[Comment]:
    from obspy.core.event import Comment

    texts = []
    if not located(row):
        texts.append(f"{_NO_ORIGIN} {describe_event(row)}")
    if row["quality"]:
        texts.append(f"quality {row['quality']}: {quality_rules().get(row['quality'], '')}".rstrip(": "))
    if row["num_renamed"]:
        texts.append(f"The event took {row['num_renamed']} picks for the other phase.")
    if row["location_quality"]:
        flags = "; ".join(explain_flags(row["location_quality"]))
        texts.append(f"location_quality {row['location_quality']}: {flags}")
    if _finite(row.get("mirror_longitude")) and _finite(row.get("mirror_latitude")):
        spread = row["horizontal_uncertainty_km"]
        mirror = coordinates(row["mirror_longitude"], row["mirror_latitude"], spread)
        texts.append(f"Mirror image across the cable, which fits as well: {mirror}")
    if left_out:
        texts.append(f"{left_out} more picks of neighbouring channels are in the pick table.")
    return [
        Comment(text=text, resource_id=_resource_id("comment", f"{name}/{number}"))
        for number, text in enumerate(texts)
    ]


def unplaced_origin(event: Event) -> tuple[pd.Timestamp, float] | None:
    """Read the time and distance of an event that :func:`to_obspy` could give no origin."""
    for comment in event.comments:
        found = _NO_ORIGIN_TEXT.match(comment.text or "")
        if found is not None:
            return pd.Timestamp(found["time"], tz="UTC"), float(found["distance"] or math.nan)
    return None


def _creation_info(values: Mapping[str, Any] | None) -> CreationInfo | None:
    from obspy import UTCDateTime
    from obspy.core.event import CreationInfo

    if values is None:
        return None
    fields = dict(values)
    if "creation_time" in fields:
        fields["creation_time"] = UTCDateTime(fields["creation_time"])
    return CreationInfo(**fields)


def _resource_id(kind: str, name: object = None) -> ResourceIdentifier:
    from obspy.core.event import ResourceIdentifier

    if kind in {"event", "method"} and isinstance(name, str) and name.startswith(("smi:", "quakeml:")):
        return ResourceIdentifier(id=name)
    tail = "" if name is None else "/" + _NOT_IN_A_RESOURCE_ID.sub("_", str(name))
    return ResourceIdentifier(id=f"{_ROOT}/{kind}{tail}")


def _utc(time: pd.Timestamp) -> UTCDateTime:
    """Convert a time to the microseconds that QuakeML holds."""
    from obspy import UTCDateTime

    return UTCDateTime(ns=int(time.as_unit("ns").round("us").value))


def _finite(value: Any) -> bool:  # noqa: ANN401
    return value is not None and math.isfinite(value)


def _rounded(value: Any, digits: int) -> float | None:  # noqa: ANN401
    """Round a number to what its unit deserves; None where it is unknown."""
    return round(float(value), digits) if _finite(value) else None
