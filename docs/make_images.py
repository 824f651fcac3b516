"""Draw the figures of the documentation from a finished run of configs/brady.yaml.

make brady && python docs/make_images.py
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from phasenet_das import io, plot
from phasenet_das.config import PickSettings, load_config
from phasenet_das.io.files import find_recordings
from phasenet_das.picking.preprocess import condition
from phasenet_das.tables import read_picks

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Draw the Brady record with kept and rejected picks."""
    config = load_config(ROOT / "configs" / "brady.yaml")
    source = find_recordings(config.data.inputs, config.data.fallback_inputs)[0]
    patch = io.read(source, station_id=config.data.station_id, channels=config.data.channel_range)
    picks = read_picks(ROOT / config.output / config.name / "picks.parquet")
    shown = PickSettings(bandpass_hz=config.report.bandpass_hz)
    filtered = condition(io.get_data(patch), io.get_dt_s(patch), io.get_unit(patch), shown).data
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    plot.section(patch.update(data=filtered), picks, ax=figure.subplots(), title=config.report.title)
    figure.savefig(ROOT / "docs" / "images" / "brady.png", dpi=120)


if __name__ == "__main__":
    main()
