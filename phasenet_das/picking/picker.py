"""Pick a recording: from any source that can be read to scores and to a pick table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from phasenet_das import io
from phasenet_das.config import PickSettings
from phasenet_das.errors import ConfigError, DeviceError, SamplingError
from phasenet_das.models.phasenet import PhaseNet
from phasenet_das.models.zoo import Weights, load_weights
from phasenet_das.picking.assemble import ScoredChannels, block_picks, channel_scores, pick_table
from phasenet_das.picking.conditioning import Conditioned, condition, stack_groups
from phasenet_das.picking.filters import TimeGrid, rational_ratio, resample
from phasenet_das.picking.windows import window_scores

if TYPE_CHECKING:
    import dascore
    import xarray

__all__ = ["Picker", "load_picker"]

log = logging.getLogger(__name__)

_BLOCK_SAMPLES = 4_000_000
_PHASES = ("N", "P", "S")


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
    """A network that picks recordings channel by channel.

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
        assert isinstance(weights.model, PhaseNet)  # noqa: S101 - the only architecture so far
        self._fused = weights.model.fused().to(self.device)

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
        blocks = self._blocks(ready, _grid(patch), index[usable], choice, progress=False)
        parts = [(usable[block.rows], channel_scores(block), block.grid) for block in blocks]
        grid = parts[0][2]
        scores = np.zeros((len(_PHASES), len(index), grid.num_samples), dtype=np.float32)
        scores[0] = 1.0
        for rows, values, _ in parts:
            scores[:, rows] = values
        times = grid.times_ns(np.arange(grid.num_samples)).astype("datetime64[ns]")
        return xarray.DataArray(
            scores,
            dims=("phase", "channel", "time"),
            coords={
                "phase": list(_PHASES),
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
        parts = [
            block_picks(block, ready.data, grid, choice.thresholds(), separation)
            for block in self._blocks(ready, grid, index[usable], choice, progress=progress)
        ]
        table = pick_table(
            pd.concat(parts, ignore_index=True), station, index[usable], io.get_distance_m(patch)[usable]
        )
        table.attrs = {
            "amplitude_unit": ready.unit,
            "weights_id": self.weights.weights_id,
            "dead_channels": np.delete(index, usable).tolist(),
        }
        return table

    def _blocks(
        self,
        ready: Conditioned,
        grid: TimeGrid,
        channel_index: np.ndarray,
        settings: PickSettings,
        *,
        progress: bool,
    ) -> Iterator[ScoredChannels]:
        """Score the recording some channels at a time, so that memory does not grow with the cable."""
        rate = self._network_rate(settings, grid)
        group, count = stack_groups(channel_index, settings.stack_channels)
        network = self._network(settings)
        per_group = grid.num_samples * max(1.0, rate * grid.dt_s) * settings.stack_channels
        size = max(1, int(_BLOCK_SAMPLES / per_group))
        for first in tqdm(range(0, len(count), size), desc="picking", unit="block", disable=not progress):
            rows = np.nonzero((group >= first) & (group < first + size))[0]
            stacked = _stack(ready.data[rows], group[rows] - first, count[first : first + size])
            resampled, new_grid = resample(stacked, grid, rate)
            scores = self._scores(resampled, new_grid, network, settings.batch_size)
            missing = None if ready.missing is None else _missing_on(ready.missing[rows], grid, new_grid)
            yield ScoredChannels(scores, new_grid, rows, group[rows] - first, missing)

    def _scores(
        self, data: np.ndarray, grid: TimeGrid, network: Callable[[Tensor], Tensor], batch_size: int
    ) -> np.ndarray:
        """Probabilities of N, P and S, shape (3, channel, time)."""
        with torch.inference_mode():
            scores = window_scores(
                torch.from_numpy(data).to(self.device),
                network,
                window=self.weights.window_samples,
                normalization=self.weights.normalization,
                first_index=grid.first_index,
                batch_size=batch_size,
            )
            return scores[[self.weights.phases.index(phase) for phase in _PHASES]].cpu().numpy()

    def _network_rate(self, settings: PickSettings, grid: TimeGrid) -> float:
        """Give the sampling rate of the network's input in true time, Hz."""
        native = 1.0 / grid.dt_s
        wanted = settings.rate
        if wanted is None:
            wanted = self.weights.sampling_rate_hz
        rate = native if wanted == "native" else float(wanted)
        if rational_ratio(native, rate) != (1, 1):
            log.info("resampling %g Hz to %g Hz", native, rate)
        if grid.num_samples < 3:
            raise SamplingError(
                f"a record of {grid.num_samples} sample(s) cannot be picked; expected at least 3."
            )
        return rate

    def _network(self, settings: PickSettings) -> Callable[[Tensor], Tensor]:
        """Feed each fibre channel to the components that the settings name."""
        order = self.weights.component_order
        if settings.component == "all" or len(order) == 1:
            return lambda x: self._fused(x.expand(-1, len(order), -1))
        position = order.index(settings.component)

        def one_component(x: Tensor) -> Tensor:
            full = x.new_zeros((x.shape[0], len(order), x.shape[-1]))
            full[:, position] = x[:, 0]
            logits: Tensor = self._fused(full)
            return logits

        return one_component


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


def _stack(data: np.ndarray, group: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Average the channels of each group; channels are sorted by group or there is one in each."""
    if len(count) == len(data):
        out = np.empty_like(data)
        out[group] = data
        return out
    order = np.argsort(group, kind="stable")
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    sums: np.ndarray = np.add.reduceat(data[order], first, axis=0)
    return sums / count[:, None].astype(np.float32)


def _missing_on(missing: np.ndarray, grid: TimeGrid, new_grid: TimeGrid) -> np.ndarray:
    """Carry the mask of missing samples to another grid, by the nearest sample."""
    offset = (new_grid.start_ns - grid.start_ns) * 1e-9
    times = offset + np.arange(new_grid.num_samples) * new_grid.dt_s
    return missing[:, np.clip(np.rint(times / grid.dt_s).astype(np.int64), 0, grid.num_samples - 1)]
