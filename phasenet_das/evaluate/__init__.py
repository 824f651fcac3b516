"""Judge picks and catalogs against truth, control points and references."""

from phasenet_das.evaluate.control_points import compare_with_control_points, interpolate_control_points

__all__ = ["compare_with_control_points", "interpolate_control_points"]
