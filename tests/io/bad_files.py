"""Files of others that went wrong in silence, made small, with the right reading of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.io import vendor_files as made
from tests.io.vendor_files import CHANNELS, RATE_HZ, SAMPLES, START, regular, waves

KINDS = {
    1: "a gap or clock step inside one file",
    2: "header read wrongly",
    3: "distance",
    4: "what the data is",
    5: "not seismic at all",
    6: "end times and rates that disagree",
    7: "SEG-Y",
    8: "fields too narrow for the value",
    9: "several kinds of traces in one file",
}


@dataclass(frozen=True)
class Right:
    """The right reading: recordings as (seconds after START, samples), or words of the refusal."""

    spans: tuple[tuple[float, int], ...] = ((0.0, SAMPLES),)
    dt_s: float = 1 / RATE_HZ
    distance_m: tuple[float, float] | None = None
    unit: str | None = None
    refused: str = ""
    warned: str = ""


@dataclass(frozen=True)
class Situation:
    """One bad file: `make(folder)` writes it, `stated` is what the user says of it."""

    kind: int
    name: str
    make: Callable[[Path], Path]
    right: Right = field(default_factory=Right)
    stated: dict[str, Any] = field(default_factory=dict)


def shifted(seconds: float, first: int = SAMPLES // 2, end: int | None = None) -> np.ndarray:
    """Stamps of which some are off by seconds."""
    stamps = regular()
    stamps[first:end] += np.timedelta64(round(seconds * 1e9), "ns")
    return stamps


def _twice_back() -> np.ndarray:
    """Stamps of a clock that is set back by 0.2 s after 200 samples, and by 0.4 s after 400."""
    return regular() - np.repeat([0, 200, 600], 200) * np.timedelta64(1, "ms")


def jittered() -> np.ndarray:
    """Stamps that a slow computer wrote: each off by a tenth of a sample."""
    noise = np.clip(np.random.default_rng(3).normal(0, 0.05, SAMPLES), -0.1, 0.1)
    noise[[0, -1]] = 0
    return regular() + np.rint(noise * 1e9 / RATE_HZ).astype("timedelta64[ns]")


_HALF = SAMPLES // 2
_HALF_S = _HALF / RATE_HZ
_GAP = Right(((0.0, _HALF), (_HALF_S + 30, _HALF)))
_SHORT_GAP = Right(((0.0, _HALF), (_HALF_S + 0.02, _HALF)))
_STEP_BACK = Right(((0.0, _HALF), (_HALF_S - 0.5, _HALF)))
_FAR_BACK = Right(((0.0, _HALF), (_HALF_S - 2.0, _HALF)))
_TWICE_BACK = Right(((0.0, 200), (0.6, 200), (1.0, 200)))
_STAMPED: dict[str, made.Stamped] = {
    "quakeflow_das": made.quakeflow,
    "GDR": made.gdr,
    "PRODML": made.prodml,
    "Terra15": made.terra15,
    "H5Simple": made.h5simple,
    "Uptech": made.uptech,
}


def case(
    kind: int,
    name: str,
    right: Right,
    write: Callable[..., Path],
    /,
    *values: Any,
    file: str = "a.h5",
    stated: dict[str, Any] | None = None,
    **more: Any,
) -> Situation:
    """Make a situation of what `write(path, *values, **more)` writes."""
    return Situation(kind, name, lambda folder: write(folder / file, *values, **more), right, stated or {})


def _of_stamps() -> Iterator[Situation]:
    """Gaps and steps of the clock, for every format with a stamp for each sample."""
    cases = (
        ("half the stamps 30 s later", shifted(30.0), _GAP),
        ("half the stamps 5 samples later", shifted(0.02), _SHORT_GAP),
        ("the clock steps back by 0.5 s", shifted(-0.5), _STEP_BACK),
        ("the clock steps back by 2 s", shifted(-2.0), _FAR_BACK),
        ("the clock steps back twice", _twice_back(), _TWICE_BACK),
        ("one stamp off by 1 s", shifted(1.0, 100, 101), Right()),
        ("stamps that jitter", jittered(), Right()),
    )
    for name, write in _STAMPED.items():
        for words, stamps, right in cases:
            yield case(1, f"{name}: {words}", right, write, stamps)
    slow = START + np.rint(np.arange(SAMPLES) * 1e9 / RATE_HZ * (1 + 2e-4)).astype("timedelta64[ns]")
    yield case(1, "GDR: the clock is slow by 2e-4", Right(dt_s=0.0040008), made.gdr, slow)
    yield case(1, "Sentek: half the times 30 s later", _GAP, made.sentek, shifted(30.0), file="")
    yield case(1, "Sentek: the clock steps back", _STEP_BACK, made.sentek, shifted(-0.5), file="")


def _blocks(apart_s: float = 1.0, count: int = 8, late_s: float = 0.0) -> np.ndarray:
    starts = START + np.arange(count) * np.timedelta64(round(apart_s * 1e9), "ns")
    starts[count // 2 :] += np.timedelta64(round(late_s * 1e9), "ns")
    return starts


def _of_blocks() -> Iterator[Situation]:
    """Gaps between blocks of samples with one stamp each."""
    gap, apart = Right(((0, 400), (34, 400)), 0.01), Right(tuple((30.0 * k, 100) for k in range(8)), 0.01)
    yield case(1, "Febus: 30 s between blocks", gap, made.febus, _blocks(late_s=30.0))
    yield case(1, "Febus: all blocks 30 s apart", apart, made.febus, _blocks(30.0))
    yield case(1, "Febus: the same, BlockRate 1 s", apart, made.febus, _blocks(30.0), BlockRate=[1000])
    back = Right(((0.0, 400), (1.0, 400)), 0.01)
    yield case(1, "Febus: the clock steps back by 3 s", back, made.febus, _blocks(late_s=-3.0))
    late = _blocks() + (np.arange(8) % 2) * np.timedelta64(13, "ms")
    yield case(1, "Febus: stamps late by turns", Right(((0, 800),), 0.01), made.febus, late)
    whole = {"Extent": [0, 6, 0, 99, 0, 0]}
    overlap = Right(((0.25, 400),), 0.01)
    yield case(1, "Febus: 100% overlap", overlap, made.febus, _blocks(0.5), **whole, BlockOverlap=[100])
    told = Right(((0, 800),), 0.01, warned="samples are used")
    yield case(1, "Febus: no overlap by the stamps", told, made.febus, _blocks(), **whole, Version=None)
    packets = Right(((0.0, 300), (3.2, 300)))
    yield case(1, "Sintela: 2 s between packets", packets, made.sintela, _blocks(0.2, 12, 2.0), file="a.raw")
    back = Right(((0.0, 300), (0.7, 300)))
    yield case(1, "Sintela: the clock steps back", back, made.sintela, _blocks(0.2, 12, -0.5), file="a.raw")


_STAMPS = {  # where each format has them
    "GDR": "DasRawData/DasTimeArray",
    "H5Simple": "timestamps",
    "Uptech": "Acquisition/Time",
    "quakeflow_das": "timestamps",
}
_DATA = {"GDR": "DasRawData/RawData", "H5Simple": "data", "Uptech": "Acquisition/StrainRate"}
_DATA |= {"quakeflow_das": "data", "PRODML": "Acquisition/Raw[0]/RawData", "Silixa": "Acoustic"}


def changed(path: Path, write: Callable[[Path], Path], name: str, change: made.Change, **attrs: Any) -> Path:
    """Write a file and change one of its datasets, and its attributes."""
    return made.change(write(path), name, change, **attrs)


def _of_units() -> Iterator[Situation]:
    """Stamps in other units, with holes, or without a date."""
    ns = regular().astype(np.int64)
    holes = np.where(np.isin(np.arange(SAMPLES), (7, 300, 301)), np.nan, ns * 1e-9)
    dates = {"ms": ns // 10**6, "µs": ns // 1000, "ns": ns, "s": ns * 1e-9, "s with NaN": holes}
    dates |= {"ns, big-endian": ns.astype(">i8")}
    for name, place in _STAMPS.items():
        write = partial(_STAMPED[name], stamps=regular())
        for words, stamps in dates.items():
            yield case(
                1, f"{name}: stamps in {words}", Right(), changed, write, place, lambda _, to=stamps: to
            )
        yield case(
            1, f"{name}: a stamp too few", _SHORT[name], changed, write, place, lambda stamps: stamps[:-1]
        )
    start = {"start_time": str(START)}
    for words, stamps in {
        "counts of samples": np.arange(SAMPLES),
        "seconds of a run": ns * 1e-9 - ns[0] * 1e-9,
    }.items():
        for name in ("GDR", "Uptech"):
            write = partial(_STAMPED[name], stamps=regular())
            yield case(
                1,
                f"{name}: stamps are {words}",
                Right(),
                changed,
                write,
                _STAMPS[name],
                lambda _, to=stamps: to,
                stated=start,
            )
    raw = "Acquisition/Raw[0]/RawDataTime"
    counted = partial(made.prodml, stamps=regular())
    yield case(1, "PRODML: stamps are counts", Right(), changed, counted, raw, lambda _: np.arange(SAMPLES))
    zeros = partial(made.febus, starts=_blocks())
    half = Right(((0.0, 600),), 0.01, warned="left out")
    unfilled = lambda stamps: np.append(stamps[:6], [0, 0])  # noqa: E731
    yield case(1, "Febus: blocks without stamps", half, changed, zeros, "fa1-1/Source1/time", unfilled)
    back = Right(refused="increasing stamps")
    yield case(1, "Febus: stamps run back", back, made.febus, _blocks()[::-1].copy())


_SHORT = dict.fromkeys(_STAMPS, Right(refused="599 usable times"))
_SHORT |= {"quakeflow_das": Right(warned="599 usable times"), "H5Simple": Right(refused="interval")}


def _of_axes() -> Iterator[Situation]:
    """Data of the other order of axes than the layout or an attribute says."""
    turned = Right(warned="The number is used")
    for name in ("GDR", "H5Simple", "PRODML", "Uptech", "quakeflow_das"):
        write = partial(_STAMPED[name], stamps=regular())
        right = Right() if name == "H5Simple" else turned
        yield case(2, f"{name}: axes reversed", right, changed, write, _DATA[name], np.transpose)
    refused = Right(refused="fits the reverse")
    square = {"begin_time": str(START), "end_time": str(regular()[-1]), "dt_s": 1 / RATE_HZ}
    for name, channels in (("as the layout", SAMPLES - 1), ("time first", SAMPLES + 1)):
        data = np.zeros((channels, SAMPLES), np.int16)
        write = partial(made.plain, data=data if name == "as the layout" else data.T, **square)
        yield case(2, f"quakeflow_das: nearly square, {name}", Right(), write)
    samples = Right(warned="nt is not used")
    yield case(2, "quakeflow_das: another nt", samples, made.plain, waves().T, **square, nt=500)
    yield case(2, "Silixa: axes reversed", refused, changed, made.silixa, "Acoustic", np.transpose)
    iso = {"GPSTimeStamp": "2023-04-05T06:07:08.000"}
    yield case(2, "Silixa: start in ISO 8601", Right(), made.silixa, **iso)
    rate = {"SamplingFrequency[Hz]": 0.0}
    yield case(2, "Silixa: no rate", Right(refused="Silixa_H5"), made.silixa, **rate)
    yield case(2, "TDMS: no rate", Right(refused="TDMS"), made.tdms, file="a.tdms", **rate)


def _of_channels() -> Iterator[Situation]:
    """Numbers and distances of channels that cannot be."""
    write = partial(made.quakeflow, stamps=regular())

    def numbered(name: str, right: Right, dataset: str, values: Any) -> Situation:
        return case(3, f"quakeflow_das: {name}", right, changed, write, dataset, lambda _: np.asarray(values))

    yield numbered("a number too few", Right(refused="6 channel numbers"), "channel_index", range(6))
    yield numbered("a distance too few", Right(refused="6 distances"), "distance_m", np.arange(6.0))
    yield numbered("numbers below 0", Right(warned="counted from 0"), "channel_index", range(-3, 4))
    yield numbered("all at one place", Right(warned="at 5 m"), "distance_m", np.full(CHANNELS, 5.0))
    yield numbered("counted backwards", Right(), "channel_index", range(6, -1, -1))
    few = Right(refused="6 channels")
    yield case(3, "OptoDAS: a number too few", few, made.optodas, channels=np.arange(10, 16))
    feet = {"SpatialSamplingInterval": "100", "SpatialSamplingIntervalUnit": "ft"}
    yield case(3, "GDR: spacing in feet", Right(distance_m=(0, 182.88)), made.gdr, regular(), **feet)


def _of_headers() -> Iterator[Situation]:
    """Headers that a reader takes for others, and distances."""
    sentek, silixa = Right(distance_m=(0.0, 11.4)), Right(distance_m=(12.5, 24.74))
    yield case(2, "Sentek: all of it", sentek, made.sentek, regular(), file="")
    start = {"start_time": str(START)}
    yield case(
        2, "Sentek: no time in its name", sentek, made.sentek, regular(), "a.das", file="", stated=start
    )
    lacking = Right(refused="header cannot be read.*Origin")
    yield case(2, "Febus: no Origin", lacking, made.febus, _blocks(), Origin=None)
    two = Right(refused="second segment")
    yield case(2, "TDMS: two segments", two, made.tdms, file="a.tdms", segments=2)
    local = Right(refused="timezones")
    yield case(2, "AP Sensing: local time", local, made.ap_sensing, Timezone=b"CET")
    yield case(3, "Silixa HDF5: start of the cable", silixa, made.silixa)
    yield case(3, "TDMS: start of the cable", silixa, made.tdms, file="a.tdms")
    other = Right(distance_m=(12.5, 24.74), warned="Stop Distance")
    yield case(3, "Silixa: another cable's end", other, made.silixa, **{"Stop Distance (m)": 900.0})
    yield case(3, "AP Sensing: the digitiser's end", Right(distance_m=(100.0, 109.0)), made.ap_sensing)


def _bands(path: Path, raw: bool) -> Path:
    return made.add_bands(made.prodml(path, regular()), raw=raw)


def _of_contents() -> Iterator[Situation]:
    """Values that are no samples of waves, or of another quantity than the reader says."""
    psd = "PSD [dB re 1 nStrain|sqrt(Hz)]"
    whole = ((0.0, 800),)
    strain = Right(whole, 0.01, unit="nanostrain")
    yield case(4, "Febus: strain", strain, made.febus, _blocks(), names=("Strain [nStrain]",))
    yield case(4, "Febus: spectra in dB", Right(refused="PSD"), made.febus, _blocks(), names=(psd,))
    both = Right(whole, 0.01, warned="PSD")
    yield case(4, "Febus: spectra and strain rate", both, made.febus, _blocks(), names=("StrainRate", psd))
    yield case(4, "PRODML: band energies", Right(refused=r"FbeData\[0\]"), _bands, False)
    yield case(4, "PRODML: raw and band energies", Right(warned="FbeData"), _bands, True)
    energy = Right(refused="'FBE_32'")
    yield case(4, "AP Sensing: band energies", energy, made.ap_sensing, DataType=b"FBE_32")
    spectrum = Right(refused="Power spectral density")
    yield case(4, "OptoDAS: spectra", spectrum, made.optodas, name=b"Power spectral density")
    refused, slow = Right(refused="any-quantity"), START + np.arange(5) * np.timedelta64(20, "s")
    yield case(5, "Febus T1: temperature", refused, made.febus_t1, slow)
    insisted = Right(((0.0, 5),), 20.0, unit="degree_Celsius")
    yield case(
        5, "Febus T1: temperature, insisted", insisted, made.febus_t1, slow, stated={"any_quantity": True}
    )
    yield case(
        5, "GDR: one sample in 61 s", refused, made.gdr, START + np.arange(9) * np.timedelta64(61, "s")
    )
    for unit in ("°C", "degF", "°F", "Kelvin", "W", "dBm"):
        yield case(5, f"GDR: in {unit}", refused, made.gdr, regular(), UnitOfMeasure=unit)


def _of_ends() -> Iterator[Situation]:
    """Starts, ends and rates that contradict the stamps or each other."""

    def prodml(name: str, right: Right, **changes: Any) -> Situation:
        return case(6, f"PRODML: {name}", right, made.prodml, regular(), **changes)

    late = Right(warned="PartEndTime")
    yield prodml("PartEndTime 2 s late", late, PartEndTime=b"2023-04-05T06:07:12.396+00:00")
    yield prodml("PartEndTime 1 s early", late, PartEndTime=b"2023-04-05T06:07:09.396+00:00")
    yield prodml("PartEndTime of the next sample", Right(), PartEndTime=b"2023-04-05T06:07:10.400+00:00")
    yield prodml("OutputDataRate of the pulses", Right(warned="stamps"), OutputDataRate=4000.0)
    yield prodml("PartStartTime in another zone", Right(), PartStartTime=b"2023-04-05T08:07:08+02:00")
    yield prodml(
        "PartStartTime an hour off",
        Right(warned="the start is stated"),
        PartStartTime=b"2023-04-05T07:07:08Z",
    )
    yield case(6, "OptoDAS: two intervals", Right(refused="contradicts itself"), made.optodas, dt=0.002)
    lost = Right(warned="missingSamples")
    yield case(6, "OptoDAS: lost samples", lost, made.optodas, missingSamples=np.arange(3))
    rate = Right(warned="stamps")
    yield case(6, "GDR: another rate", rate, made.gdr, regular(), AcquisitionSampleRate="1000")


def _of_segy() -> Iterator[Situation]:
    def segy(name: str, right: Right, *records: dict[str, int], **more: int) -> Situation:
        return case(7, f"SEG-Y: {name}", right, made.segy, list(records), file="a.sgy", **more)

    yield segy("DelayRecordingTime 500 ms", Right(((0.5, SAMPLES),)), {"delay": 500})
    yield segy("a delay of tenths of ms", Right(((0.05, SAMPLES),)), {"delay": 500, "scalar": -10})
    yield segy("two records", Right(((0.0, SAMPLES), (12.0, SAMPLES))), {}, {"second": 20})
    yield segy("two records by delay", Right(((0.0, SAMPLES), (2.6, SAMPLES))), {}, {"delay": 2600})
    yield segy("two records that overlap", Right(((0.0, SAMPLES), (1.4, SAMPLES))), {}, {"delay": 1400})
    yield segy("two records of one time", Right(refused="same time"), {}, {})
    yield segy("two records of one number", Right(refused="same time"), {"record": 1}, {"record": 1})
    yield segy("two intervals", Right(refused="Expected one interval"), {}, file_us=2000)
    yield segy("the interval in one header only", Right(), {"us": 0})
    yield segy("times are local", Right(warned="local time"), {"base": 1})
    yield segy("16-bit integers", Right(), {}, code=3)
    yield segy("a format that is not read", Right(refused="sample format 4"), {}, code=4)
    yield segy("a day that is none", Right(refused="day 400"), {"day": 400})
    delayed = Right(((0.5, SAMPLES),))
    yield case(7, "SEG-Y: another ending", delayed, made.segy, [{"delay": 500}], file="a.dat")
    yield segy("one trace starts later", Right(refused="one start"), {"odd": 3})


def _of_streams() -> Iterator[Situation]:
    """MiniSEED of several encodings and texts."""

    def miniseed(name: str, right: Right, **traces: Any) -> Situation:
        return case(9, f"miniSEED: {name}", right, made.miniseed, file="a.mseed", **traces)

    yield miniseed("with a log", Right(), log=True)
    yield miniseed("numbers of two kinds", Right(), floats=True)


SITUATIONS = (
    *_of_stamps(),
    *_of_blocks(),
    *_of_headers(),
    *_of_contents(),
    *_of_ends(),
    *_of_segy(),
    *_of_units(),
    *_of_axes(),
    *_of_channels(),
    *_of_streams(),
)
