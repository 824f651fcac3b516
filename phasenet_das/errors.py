"""Typed errors: each is also a builtin, and says what was found, what was expected and how to correct it."""

from __future__ import annotations

__all__ = [
    "ChannelGeometryError",
    "ConfigError",
    "DataFormatError",
    "DeviceError",
    "HandoverError",
    "MissingMetadataError",
    "MissingPackageError",
    "PhaseNetDASError",
    "SamplingError",
    "TableError",
    "UnitError",
    "WeightsError",
]


class PhaseNetDASError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(ValueError, PhaseNetDASError):
    """A setting is unknown, out of range, or contradicts another."""


class DataFormatError(ValueError, PhaseNetDASError):
    """A file is truncated, is not DAS data, or holds data of an unusable shape."""


class MissingMetadataError(ValueError, PhaseNetDASError):
    """A file lacks something that must be known (start time, sampling interval) and nobody stated it."""


class SamplingError(ValueError, PhaseNetDASError):
    """The sampling interval is zero, negative or irregular, or cannot be brought to the rate asked for."""


class UnitError(ValueError, PhaseNetDASError):
    """A unit is unknown, or does not fit the operation asked for."""


class ChannelGeometryError(ValueError, PhaseNetDASError):
    """Channels lack coordinates, are named twice, or do not match the recording."""


class TableError(ValueError, PhaseNetDASError):
    """A pick, event, channel or coverage table lacks columns or holds values of the wrong kind."""


class OutputError(OSError, PhaseNetDASError):
    """No file can be written at a path."""


class WeightsError(ValueError, PhaseNetDASError):
    """Model weights are missing, damaged (sha256 differs) or of another architecture."""


class DeviceError(RuntimeError, PhaseNetDASError):
    """The compute device asked for is not there."""


class HandoverError(RuntimeError, PhaseNetDASError):
    """A command or a webhook did not take an event."""


class MissingPackageError(ImportError, PhaseNetDASError):
    """An optional package is needed for what was asked."""
