"""The log of a watch: a line for each finding, with its time, as text or as JSON."""

from __future__ import annotations

import json
import logging
import time


class _TextLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_with_times(as_json: bool) -> None:
    """Write the log lines of this process with their UTC times, and those of the watch at level INFO."""
    logging.getLogger("phasenet_das.watch").setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:  # that of the command, no other
            handler.setFormatter(_JsonLines() if as_json else _TextLines())
