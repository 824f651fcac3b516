"""Whether samples are of waves: by the name of their dataset, their unit and their rate."""

from __future__ import annotations

import re
from functools import lru_cache

from phasenet_das.errors import DataFormatError, SamplingError, UnitError
from phasenet_das.io.patch import parse_unit

SLOWEST_HZ = 1.0
_ROUNDING = 1e-6
_NO_WAVES = re.compile(
    r"psd|spectr|fbe|band.?energy|energy.?band|fft|temperature|stokes|intensity|attenuation|backscatter|otdr|"
    r"dts|dss\b|botdr|brillouin|static|power|decibel|(?<![a-z])dBm?(?![a-z])",
    re.IGNORECASE,
)
_BARE = re.compile(r"^\s*(°|deg|degrees?[ _]?)?\s*[CFK]\s*$|celsius|fahrenheit|kelvin", re.IGNORECASE)
_NOT_SEISMIC = ("temperature", "power", "energy")  # dimensions of pint
# A power or an energy holds a mass: dascore need not be loaded to parse a unit of these words.
_MASSLESS = re.compile(
    r"unknown|counts?|[kmun]?m|[mu]?s|m?rad|(milli|micro|nano)?(strain|meter|second|radian)s?"
)
_INSIST = (
    "If the samples are of waves all the same, set any_quantity (--any-quantity, or data.any_quantity in "
    "--config)."
)


def no_waves(name: str) -> bool:
    """Say whether a name is that of spectra, energies, temperatures and the like."""
    return _NO_WAVES.search(name) is not None


def refuse_no_waves(label: str, name: str) -> None:
    """Refuse a dataset whose name says that its values are no samples of waves."""
    if no_waves(name):
        raise DataFormatError(
            f"{label}: found {name!r}. Expected samples of waves (strain, strain rate, phase or velocity): "
            "spectra, band energies, powers and temperatures are not read."
        )


def check_rate(dt_s: float) -> None:
    """Refuse an interval longer than that of any seismic record."""
    if dt_s > (1 + _ROUNDING) / SLOWEST_HZ:
        raise SamplingError(
            f"found one sample in {dt_s:.6g} s. Expected {SLOWEST_HZ:g} Hz or more: slower records are of "
            f"temperature or static strain. {_INSIST}"
        )


@lru_cache(maxsize=256)
def quantity_of_unit(unit: str) -> str:
    """Name what a unit measures if that is nothing seismic, empty otherwise."""
    if _BARE.search(unit):
        return "temperature"
    if no_waves(unit):
        return "a spectrum, an energy or a power"
    if all(map(_MASSLESS.fullmatch, re.findall(r"[^\W\d]+", unit))):
        return ""
    known = parse_unit(unit)
    if known is None:
        return ""
    if known.check("[capacitance]"):
        return "temperature (°F reads as farad)"
    return next((name for name in _NOT_SEISMIC if known.check(f"[{name}]")), "")


def check_unit(unit: str) -> None:
    """Refuse a unit of temperature or power."""
    found = quantity_of_unit(unit)
    if found:
        raise UnitError(
            f"found the unit {unit!r}, which is of {found}. Expected one of strain, strain rate, phase, "
            f"velocity or counts. {_INSIST}"
        )
