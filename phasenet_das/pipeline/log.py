"""Logging of a workflow job: everything into the job's own log file, and on the console."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gamma.errors import GammaError
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.pipeline.lock import end_with_the_run


@contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Log a block of work, and end the process with one message when an error was made on purpose."""
    end_with_the_run()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.FileHandler(path, mode="w"), logging.StreamHandler(sys.stderr)]
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(message)s", handlers=handlers, force=True
    )
    logging.captureWarnings(True)
    logging.getLogger("pint").setLevel(logging.ERROR)  # dascore's own units, redefined on purpose
    for name in ("phasenet_das", "gamma"):
        logging.getLogger(name).setLevel(logging.INFO)
    try:
        yield
    except (PhaseNetDASError, GammaError) as error:
        logging.getLogger(__name__).error("%s: %s", type(error).__name__, error)
        raise SystemExit(1) from None
