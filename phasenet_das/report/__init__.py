"""One self-contained HTML page on a catalog, or on a run of the workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.report.page import write_report
    from phasenet_das.report.run import write_run_report
    from phasenet_das.report.run_chapters import Training

__all__ = ["Training", "write_report", "write_run_report"]

__getattr__ = lazy_names(
    __name__,
    {
        ".page": "write_report",
        ".run": "write_run_report",
        ".run_chapters": "Training",
    },
)
