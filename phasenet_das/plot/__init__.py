"""Figures of records, picks and catalogs: each function draws on an Axes and returns it.

Without ``ax`` a new pyplot figure is made. P and S are told apart by hue and by lightness, so that
they stay apart for the colour-blind and in grey print.
"""

from phasenet_das.plot.curves import magnitude_frequency, magnitude_residuals, reliability, training_curves
from phasenet_das.plot.maps import depth_section, map_view
from phasenet_das.plot.picks import pick_section, residuals, score_histogram
from phasenet_das.plot.style import PHASE_COLORS
from phasenet_das.plot.timeline import timeline
from phasenet_das.plot.waveforms import record_section, scores, section

__all__ = [
    "PHASE_COLORS",
    "depth_section",
    "magnitude_frequency",
    "magnitude_residuals",
    "map_view",
    "pick_section",
    "record_section",
    "reliability",
    "residuals",
    "score_histogram",
    "scores",
    "section",
    "timeline",
    "training_curves",
]
