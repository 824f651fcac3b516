"""Pick a recording: from any source that can be read to scores and to a pick table."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from phasenet_das import io
from phasenet_das.config import PickSettings
from phasenet_das.errors import ConfigError, DeviceError
from phasenet_das.models.zoo import Weights, load_weights
from phasenet_das.picking.assemble import block_picks, channel_scores, pick_amplitudes, pick_table
from phasenet_das.picking.conditioning import Conditioned, condition
from phasenet_das.picking.filters import TimeGrid
from phasenet_das.picking.prepared import prepare
from phasenet_das.picking.scorers import PHASES, make_scorer
from phasenet_das.tables import empty_picks

if TYPE_CHECKING:
    import dascore
    import xarray

__all__ = ["Picker", "load_picker"]

log = logging.getLogger(__name__)


def load_picker(
    weights: str | Path = "seisbench:original", *, device: str = "auto", sha256: str | None = None
) -> Picker:
    """Load a network as a picker.

    Parameters
    ----------
    weights : str or pathlib.Path
        Bundled model, ``seisbench:NAME``, or a folder of weights.
    device : str
        ``auto`` (a GPU when there is one), ``cpu``, ``cuda`` or ``cuda:N``.
    sha256 : str, optional
        Digest that the weight file must have.

    Returns
    -------
    Picker
        Ready to pick.

    Raises
    ------
    WeightsError
        The weights are missing, damaged or of another architecture.
    DeviceError
        The device is not there.
    """
    return Picker(load_weights(weights, sha256=sha256), device=device)


class Picker:
    """A network that picks recordings; its architecture decides how scores are computed.

    Parameters
    ----------
    weights : Weights
        The network and how it wants its input.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Attributes
    ----------
    model : torch.nn.Module
        The network as loaded, for training and inspection.
    weights : Weights
        Its name, sampling rate, phases and provenance.
    """

    def __init__(self, weights: Weights, *, device: str = "auto") -> None:
        self.weights = weights
        self.model = weights.model
        self.device = _find_device(device)
        self._scorer = make_scorer(weights, self.device)

    def annotate(self, source: Any, settings: PickSettings | None = None, **options: Any) -> xarray.DataArray:  # noqa: ANN401
        """Compute the probabilities of noise, P and S at every sample.

        Parameters
        ----------
        source : dascore.Patch, str, pathlib.Path, obspy.Stream or xarray.DataArray
            Anything :func:`phasenet_das.io.read` takes.
        settings : PickSettings, optional
            How to pick; the defaults when left out.
        **options
            Single settings, such as ``rate="native"``; they override `settings`.

        Returns
        -------
        xarray.DataArray, dims (phase, channel, time), float32
            Coordinates ``phase`` (N, P, S), ``channel`` (number on the interrogator), ``distance``
            (m) and ``time`` (true times, whatever the rate). The classes sum to one. Dead channels
            and missing samples are noise. Held in memory whole: 12 bytes a sample.

        Raises
        ------
        ConfigError
            An option is unknown or out of range.
        """
        import xarray

        choice = _settings(settings, options)
        patch = io.read(source)
        index = io.get_channel_index(patch)
        usable, ready = _condition(patch, choice)
        prepared = prepare(ready, _grid(patch), index[usable], choice, self.weights.sampling_rate_hz)
        grid = prepared.grid
        scores = np.zeros((len(PHASES), len(index), grid.num_samples), dtype=np.float32)
        scores[0] = 1.0
        for block in self._scorer.blocks(prepared, context=0):
            span = slice(block.first + block.core[0], block.first + block.core[1])
            scores[:, usable[block.rows], span] = channel_scores(block)
        times = grid.times_ns(np.arange(grid.num_samples)).astype("datetime64[ns]")
        return xarray.DataArray(
            scores,
            dims=("phase", "channel", "time"),
            coords={
                "phase": list(PHASES),
                "channel": index,
                "distance": ("channel", io.get_distance_m(patch)),
                "time": times,
            },
            attrs={"weights_id": self.weights.weights_id, "station_id": io.get_station_id(patch)},
        )

    def pick(
        self,
        source: Any,  # noqa: ANN401
        settings: PickSettings | None = None,
        *,
        station_id: str | None = None,
        progress: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> pd.DataFrame:
        """Pick P and S arrivals on every channel.

        Parameters
        ----------
        source : dascore.Patch, str, pathlib.Path, obspy.Stream or xarray.DataArray
            Anything :func:`phasenet_das.io.read` takes.
        settings : PickSettings, optional
            How to pick; the defaults when left out.
        station_id : str, optional
            Name of the cable; else the recording's own.
        progress : bool
            Show a progress bar.
        **options
            Single settings, such as ``min_score=0.5``; they override `settings`.

        Returns
        -------
        pandas.DataFrame
            The pick table (``phasenet_das.tables.PICK_COLUMNS``), sorted by time, channel and phase.
            ``attrs`` holds ``amplitude_unit``, ``weights_id`` and the channels that were left out.

        Raises
        ------
        ConfigError
            An option is unknown or out of range, or the recording has no station name.
        """
        choice = _settings(settings, options)
        patch = io.read(source)
        station = station_id or io.get_station_id(patch)
        if not station:
            raise ConfigError("pick: the recording does not name its cable; say station_id= (--station-id).")
        index, grid = io.get_channel_index(patch), _grid(patch)
        usable, ready = _condition(patch, choice)
        separation = max(1, round(choice.min_separation_s * self.weights.sampling_rate_hz))
        prepared = prepare(ready, grid, index[usable], choice, self.weights.sampling_rate_hz)
        parts = [
            block_picks(block, choice.thresholds(), separation)
            for block in self._scorer.blocks(prepared, context=separation + 1, progress=progress)
        ]
        table = empty_picks()
        if parts:
            picks = pd.concat(parts, ignore_index=True)
            picks["phase_amplitude"] = pick_amplitudes(picks, ready.data, grid)
            table = pick_table(picks, station, index[usable], io.get_distance_m(patch)[usable])
        table.attrs = {
            "amplitude_unit": ready.unit,
            "weights_id": self.weights.weights_id,
            "dead_channels": np.delete(index, usable).tolist(),
        }
        return table


def _condition(patch: dascore.Patch, settings: PickSettings) -> tuple[np.ndarray, Conditioned]:
    """Condition the channels that are alive, and say which rows of the patch they are."""
    status = io.get_channel_status(patch)
    usable = np.nonzero(status != "dead")[0]
    if len(usable) < len(status):
        log.warning("%d of %d channels are dead and are not picked", len(status) - len(usable), len(status))
    data = io.get_data(patch)
    data = data if len(usable) == len(status) else data[usable]
    return usable, condition(data, io.get_dt_s(patch), io.get_unit(patch), settings)


def _grid(patch: dascore.Patch) -> TimeGrid:
    times = io.get_times(patch).astype("datetime64[ns]")
    return TimeGrid(int(times[0].astype(np.int64)), io.get_dt_s(patch), len(times))


def _find_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device '{name}': expected auto, cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device '{name}': found {torch.cuda.device_count()} GPU(s); use device='auto' or 'cpu'."
        )
    return device


def _settings(settings: PickSettings | None, options: dict[str, Any]) -> PickSettings:
    if not options:
        return settings or PickSettings()
    given = settings.model_dump(exclude_unset=True) if settings else {}
    return PickSettings(**{**given, **options})
