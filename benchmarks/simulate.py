"""Speed of the simulator, and simulated records beside real ones.

    python benchmarks/simulate.py speed
    python benchmarks/simulate.py compare --real ../shared/data/das_events --figures results

The first simulates 10 minutes of 1,000 channels at 100 Hz and times training sections. The second takes the
Brady and SAFOD records from a folder, simulates a like cable and source (the defaults were adjusted on
these records, so this shows a fit, not an independent check), prints coherence along the cable,
signal-to-noise ratio and spectra, and draws both.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.signal import butter, sosfiltfilt, welch

from phasenet_das.simulate import Record, Simulation, SimulationConfig, from_records, scenario, simulate


@dataclass
class Panel:
    """One record, real or simulated, with its spans of noise, P and S (s)."""

    name: str
    data: np.ndarray
    dt_s: float
    band_hz: tuple[float, float]
    spans: dict[str, tuple[float, float]]

    def span(self, part: str) -> np.ndarray:
        """Cut one of the spans out of the data."""
        low, high = (round(edge / self.dt_s) for edge in self.spans[part])
        return self.data[:, low:high]


def speed(changes: dict[str, Any], count: int) -> None:
    """Time a whole recording and training sections."""
    config = scenario("demo", **changes)
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = simulate(config, folder, seed=1)
        print(f"demo: {config.duration_s:.0f} s x {config.cable.num_channels} channels at 100 Hz:", end=" ")
        print(
            f"{time.process_time() - begun:.1f} CPU-s, {result.num_events} events, {result.num_picks} picks"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    rng = np.random.default_rng(0)
    record = Record(rng.standard_normal((3, 9001)).astype(np.float32), 0.01, 3000.0, 3500.0)
    sections = from_records([record] * 8, seed=1)
    for index in range(20):
        sections[index]  # fills the tables of wave populations
    begun = time.process_time()
    for index in range(20, 20 + count):
        sections[index]
    print(
        f"from_records: {1000 / count * (time.process_time() - begun):.1f} CPU-ms for a section of 128 x 1536"
    )


def real_panel(path: Path, name: str, band_hz: tuple[float, float], spans: dict) -> Panel:
    """Read a real record."""
    with h5py.File(path) as file:
        data, dt_s = file["data"][:].astype(np.float32), float(file["data"].attrs["dt_s"])
    return Panel(name, data - data.mean(axis=1, keepdims=True), dt_s, band_hz, spans)


def simulated_panel(name: str, config: SimulationConfig, before_s: float, like: Panel, seed: int) -> Panel:
    """Cut the largest event of a simulated recording like a real record."""
    recording = Simulation(config, seed)
    index = int(recording.events["magnitude"].argmax())
    first = recording.event(index).origin_s + recording.arrivals[index].p_s.min()
    lag = float(np.median(recording.arrivals[index].s_s - recording.arrivals[index].p_s))
    length = like.data.shape[1] * like.dt_s
    data = recording.samples(round((first - before_s) / config.dt_s), round(length / config.dt_s))
    wide = min(0.6 * lag, 10.0)
    spans = {
        "noise": (0.0, 0.85 * before_s),
        "P": (before_s, before_s + wide),
        "S": (before_s + lag, before_s + lag + wide),
    }
    return Panel(name, data - data.mean(axis=1, keepdims=True), config.dt_s, like.band_hz, spans)


def panels(real: Path, seed: int) -> list[Panel]:
    """Put each real record beside a simulated one of a like cable and source."""
    brady = real_panel(
        real / "brady_porotomo_20160321_M4.3.h5",
        "Brady, M4.3 at 150 km",
        (0.8, 20.0),
        {"noise": (0, 8), "P": (8.3, 18), "S": (28, 38)},
    )
    safod = real_panel(
        real / "safod_20170630_M2.46.h5",
        "SAFOD, M2.5 at 12 km",
        (1.0, 100.0),
        {"noise": (0, 1.5), "P": (1.8, 2.6), "S": (3, 3.8)},
    )
    one_source = {"events_per_hour": 0.0, "blasts_per_hour": 0.0, "distant_per_hour": 0.0}
    trench = scenario(
        "demo",
        duration_s=120.0,
        cable={"num_channels": 500, "dx_m": 1.0, "max_bend_deg": 120.0, "num_slack_loops": 0},
        sources={
            **one_source,
            "distant_per_hour": 30.0,
            "distant_min_km": 140.0,
            "distant_max_km": 160.0,
            "distant_magnitude_min": 4.3,
            "distant_magnitude_max": 4.3,
        },
        waves={"slow_speed_m_s": 300.0},
        noise={
            "ambient_rms": 3e-7,
            "ambient_speed_m_s": 250.0,
            "ambient_low_hz": 7.0,
            "ambient_high_hz": 30.0,
        },
        traffic={"vehicles_per_hour": 0.0, "num_machines": 0},
    )
    well = scenario(
        "borehole",
        duration_s=60.0,
        sampling_rate_hz=250.0,
        cable={"num_channels": 800, "elevation_m": 660.0},
        sources={
            **one_source,
            "events_per_hour": 60.0,
            "magnitude_min": 2.46,
            "magnitude_max": 2.46,
            "distance_min_km": 4.0,
            "distance_max_km": 6.0,
            "depth_min_km": 9.5,
            "depth_max_km": 10.5,
        },
        noise={"optical_rms": 6e-7},
    )
    return [
        brady,
        simulated_panel("simulated surface cable", trench, 8.3, brady, seed),
        safod,
        simulated_panel("simulated well", well, 1.6, safod, seed),
    ]


def coherence(data: np.ndarray, dt_s: float, lags: tuple[int, ...] = (1, 4, 8, 16, 32)) -> list[float]:
    """Median correlation of channels some metres apart (both cables: 1 m spacing), 1-20 Hz."""
    data = sosfiltfilt(butter(4, (1.0, 20.0), "band", fs=1 / dt_s, output="sos"), data, axis=1)
    data = data[data.std(axis=1) > 0]
    data /= data.std(axis=1, keepdims=True)
    return [round(float(np.median((data[:-lag] * data[lag:]).mean(axis=1))), 2) for lag in lags]


def report(panel: Panel) -> None:
    """Print the figures of one record."""
    print(panel.name)
    noise = panel.span("noise").std(axis=1)
    live = noise > 0
    for part in panel.spans:
        data = panel.span(part)[live]
        rms = data.std(axis=1)
        ratio = np.percentile(20 * np.log10(rms / noise[live]), [5, 25, 50, 75, 95]).round(1)
        freqs, power = welch(data, 1 / panel.dt_s, nperseg=min(256, data.shape[1]), axis=1)
        peak = freqs[1:][np.median(power, axis=0)[1:].argmax()]
        jitter = np.median(np.abs(np.diff(np.log10(rms))))
        print(f"  {part:5s} correlation at 1, 4, 8, 16, 32 m {coherence(data, panel.dt_s)}", end="; ")
        print(f"rms to noise, dB {ratio.tolist()}; peak {peak:.1f} Hz; neighbour jitter {jitter:.3f} dex")


def draw(shown: list[Panel], path: Path) -> None:
    """Draw sections, traces and spectra of all records."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, len(shown), figsize=(5 * len(shown), 14))
    for column, panel in zip(axes.T, shown, strict=True):
        filter_ = butter(4, panel.band_hz, "band", fs=1 / panel.dt_s, output="sos")
        image = sosfiltfilt(filter_, panel.data, axis=1)
        image /= image.std(axis=1, keepdims=True) + 1e-30
        seconds = panel.data.shape[1] * panel.dt_s
        extent = (0, len(image), seconds, 0)
        column[0].imshow(image.T, aspect="auto", vmin=-2, vmax=2, cmap="seismic", extent=extent)
        column[0].set(title=panel.name, xlabel="Channel", ylabel="Time (s)")
        time_s = np.arange(panel.data.shape[1]) * panel.dt_s
        for row, trace in enumerate(panel.data[:: len(panel.data) // 30]):
            column[1].plot(time_s, row + 0.9 * trace / (np.abs(trace).max() + 1e-30), "k", lw=0.4)
        column[1].set(xlabel="Time (s)", ylabel="Every 30th of the cable")
        for part in panel.spans:
            data = panel.span(part)
            freqs, power = welch(data, 1 / panel.dt_s, nperseg=min(256, data.shape[1]), axis=1)
            column[2].loglog(freqs[1:], np.sqrt(np.median(power, axis=0))[1:], label=part)
        column[2].set(xlabel="Frequency (Hz)", ylabel="Amplitude spectral density")
        column[2].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=60, pil_kwargs={"quality": 80})


def draw_statistics(shown: list[Panel], path: Path) -> None:
    """Draw spectra, coherence along the cable and signal-to-noise ratios, real and simulated in one frame."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    lags = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64)
    colors = {"noise": "#7f7f7f", "P": "#0072b2", "S": "#d55e00"}
    pairs = list(zip(shown[::2], shown[1::2], strict=True))
    figure, axes = plt.subplots(3, len(pairs), figsize=(6 * len(pairs), 11), layout="constrained")
    for column, pair in zip(axes.T, pairs, strict=True):
        for panel, style in zip(pair, ("-", "--"), strict=True):
            noise = panel.span("noise").std(axis=1)
            for part, color in colors.items():
                data = panel.span(part)
                label = f"{part}, {'real' if style == '-' else 'simulated'}"
                look = {"color": color, "ls": style, "label": label}
                freqs, power = welch(data, 1 / panel.dt_s, nperseg=min(256, data.shape[1]), axis=1)
                spectrum = np.sqrt(np.median(power, axis=0))[1:]
                column[0].loglog(freqs[1:], spectrum / spectrum.max(), **look)
                column[1].semilogx(lags, coherence(data, panel.dt_s, lags), **look)
                if part != "noise":
                    ratio = np.sort(20 * np.log10(data.std(axis=1)[noise > 0] / noise[noise > 0]))
                    column[2].plot(ratio, np.linspace(0, 1, len(ratio)), **look)
        column[0].set(
            title=f"{pair[0].name}; {pair[1].name}", xlabel="Frequency (Hz)", ylabel="Spectrum / its peak"
        )
        column[0].set_ylim(1e-4, 2)
        column[1].set(xlabel="Separation along the cable (m)", ylabel="Correlation, 1 to 20 Hz")
        column[2].set(xlabel="Rms over noise (dB)", ylabel="Share of channels below")
        for panel_axes in column:
            panel_axes.legend(fontsize="small")
            panel_axes.grid(alpha=0.3)
    figure.savefig(path, dpi=70, pil_kwargs={"quality": 85})


def draw_scenarios(path: Path, seed: int) -> None:
    """Draw a span of every scenario with its true arrivals."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    names = ("demo", "swarm", "urban", "borehole", "offshore", "hard")
    figure, axes = plt.subplots(2, 3, figsize=(18, 13))
    for axis, name in zip(axes.flat, names, strict=True):
        config = scenario(name, duration_s=120.0)
        recording = Simulation(config, seed)
        rate, length = config.sampling_rate_hz, 40.0 if config.sampling_rate_hz < 200 else 10.0
        data = recording.samples(round(20 * rate), round(length * rate))
        band = (0.01 * rate, 0.25 * rate)
        image = sosfiltfilt(butter(4, band, "band", fs=rate, output="sos"), data, axis=1)
        image /= np.median(np.abs(image), axis=1, keepdims=True) + 1e-30
        extent = (0, len(image), 20 + length, 20)
        axis.imshow(image.T, aspect="auto", vmin=-5, vmax=5, cmap="seismic", extent=extent)
        for index, times in enumerate(recording.arrivals):
            origin = recording.event(index).origin_s
            axis.plot(origin + times.p_s, "k:", lw=0.8)
            axis.plot(origin + times.s_s, "g:", lw=0.8)
        axis.set(title=name, xlabel="Channel", ylabel="Time (s)", ylim=(20 + length, 20))
    figure.tight_layout()
    figure.savefig(path, dpi=60, pil_kwargs={"quality": 80})


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("speed", "compare", "scenarios"))
    parser.add_argument("--real", type=Path, help="folder of the real records")
    parser.add_argument("--figures", type=Path, default=Path(), help="folder for the figures")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="time a minute of 50 channels")
    options = parser.parse_args()
    if options.what == "speed":
        small = {"duration_s": 60.0, "cable": {"num_channels": 50}}
        speed(small if options.quick else {}, 5 if options.quick else 100)
    elif options.what == "scenarios":
        draw_scenarios(options.figures / "simulated_scenarios.jpg", options.seed)
    else:
        shown = panels(options.real, options.seed)
        for panel in shown:
            report(panel)
        draw(shown, options.figures / "simulated_and_real.jpg")
        draw_statistics(shown, options.figures / "simulated_statistics.jpg")


if __name__ == "__main__":
    main()
