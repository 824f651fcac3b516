"""Batches that are drawn on a CPU and made on a GPU: windows lie in its memory, and are varied there.

A plan says everything that is random: which piece of which window, how it is stretched, averaged, bent,
mixed and scaled, and when the arrivals come. Processes draw plans, numbers only. The GPU cuts, resamples,
adds, normalises and labels whole batches, as `phasenet_das.training` does sample by sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from phasenet_das.config import AugmentSettings
from phasenet_das.picking.normalization import normalization_block
from phasenet_das.simulate.seeds import generator
from phasenet_das.training.augment import anchored_start, draw_channels, draw_stretch

CHANNELS, SAMPLES = 80, 4096
CONTEXT = 1000  # samples on either side that the normalisation sees
BLOCKS = 91
DT_S, WINDOW_S, SIGMA_S, GUARD_S = 0.01, 20.0, 0.1, 1.0
LENGTH = BLOCKS * normalization_block(DT_S, WINDOW_S)  # 6,097: context, sample, context, and one more
RESAMPLED = 6720  # samples of a Fourier transform: its ends, where it wraps around, are cut off
_MARGIN = (RESAMPLED - LENGTH) // 2
# A GPU plans the transform of each length once, which takes long: 49 lengths, from half to twice.
_LENGTHS = (40 * np.rint(RESAMPLED * 2.0 ** (np.arange(-24, 25) / 24) / 40)).astype(int)
_EVENTS = 16  # most events of a piece
_MOST_ADDED = 2
_REACH = 4.0  # standard deviations of a label
_HALF_BLOCKS, _LIMIT, _SILENT = 15, 100.0, 1e-6


@dataclass(frozen=True)
class Known:
    """What the processes that draw plans know about a window."""

    kind: str
    arrivals: np.ndarray  # (event, 2, channel) float32, samples
    live: np.ndarray  # (channel,) bool
    num_samples: int


@dataclass(frozen=True)
class Piece:
    """One piece of a window on the grid of a sample: (80, 6097)."""

    window: int
    rows: tuple[int, int]  # channels of the window
    average: int  # neighbours that are averaged
    low: np.ndarray  # (channel,) int64: averaged rows between which each channel lies
    high: np.ndarray
    part: np.ndarray  # (channel,) float32: place between them
    shift: np.ndarray  # (channel,) int64: samples of the window by which a channel is delayed
    first: int  # sample of the window that the transform begins with
    num_samples: int  # samples of the window in the transform
    arrivals: np.ndarray  # (16, 2, channel) float32, samples after the first of 6097; infinite for none
    live: np.ndarray  # (channel,) bool
    channels: int  # channels of the piece; the others of the sample are silent

    @property
    def factor(self) -> float:
        """Samples made of one of the window."""
        return RESAMPLED / self.num_samples


@dataclass(frozen=True)
class Plan:
    """Everything random of one batch of B samples."""

    pieces: list[Piece]  # B samples, then added events, then noise
    added: np.ndarray  # (n, 2) int64: sample and layer of each added event
    ratio_db: np.ndarray  # (n,) of added events
    noisy: np.ndarray  # (m,) int64: sample of each piece of noise
    snr_db: np.ndarray  # (m,)
    gain: np.ndarray  # (B, channel) float32
    shown: np.ndarray  # (B, channel) bool: not hidden
    live: np.ndarray  # (B, channel) bool: not killed
    span: np.ndarray  # (B, 2) int64: samples that the recording holds
    cutoff: np.ndarray  # (B,) share of the frequencies that a lower rate would leave; 2 for all
    shows: np.ndarray  # (B, channel) int64: channel that each row shows


class PlanSource(torch.utils.data.Dataset[Plan]):
    """Plans by number."""

    def __init__(
        self,
        windows: Sequence[Known],
        settings: AugmentSettings,
        *,
        batch_size: int,
        seed: int,
        first: int,
        count: int,
        bent: float,
        quiet: float,
    ) -> None:
        self.windows, self.settings, self.batch_size = list(windows), settings, batch_size
        self.seed, self.first, self.count, self.bent, self.quiet = seed, first, count, bent, quiet
        kinds = np.array([window.kind for window in windows])
        self._noise = np.flatnonzero(kinds == "noise")
        self._sections = np.flatnonzero(kinds == "section")
        others = np.unique(kinds[(kinds != "noise") & (kinds != "section")])
        self._recordings = [np.flatnonzero(kinds == kind) for kind in others]

    def __len__(self) -> int:
        """Count the batches."""
        return self.count

    def __getitem__(self, number: int) -> Plan:
        """Draw the plan of a batch."""
        if number >= self.count:
            raise IndexError(number)
        return self._draw(generator(self.seed, "plan", self.first + number))

    def _draw(self, rng: np.random.Generator) -> Plan:
        settings, size = self.settings, self.batch_size
        channels = [draw_channels(settings, CHANNELS, rng) for _ in range(size)]
        pieces = [self._piece(self._choose(rng), count, rng) for count in channels]
        added, extra = [], []
        for sample in np.flatnonzero(rng.random(size) < settings.add_event):
            for layer in range(int(rng.integers(_MOST_ADDED)) + 1):
                added.append((sample, layer))
                extra.append(self._piece(self._choose(rng, quiet=0.0), channels[sample], rng))
        noisy = np.flatnonzero(rng.random(size) < settings.noise) if len(self._noise) else np.empty(0, int)
        noise = [
            self._piece(int(rng.choice(self._noise)), channels[sample], rng, bent=False) for sample in noisy
        ]
        rows = np.arange(CHANNELS)
        gain = 10 ** (
            rng.uniform(0, settings.amplitude_dex, (size, 1)) * rng.standard_normal((size, CHANNELS))
        )
        gain *= np.where(rng.random((size, 1)) < settings.reverse_polarity, -1, 1)
        mixed = rng.random((size, 1)) < settings.channel_polarity
        gain *= np.where(mixed, rng.choice([-1.0, 1.0], (size, CHANNELS)), 1.0)
        hidden = (rng.uniform(0, settings.hidden, size) * channels).round()
        begin = rng.random(size) * (np.array(channels) - hidden + 1)
        shown = (rows < np.floor(begin)[:, None]) | (rows >= (np.floor(begin) + hidden)[:, None])
        missing = np.where(
            rng.random(size) < settings.missing_ends, rng.integers(round(0.75 * LENGTH) + 1, size=size), 0
        )
        at_start = (rng.random(size) * (missing + 1)).astype(np.int64)
        return Plan(
            pieces=pieces + extra + noise,
            added=np.array(added, np.int64).reshape(-1, 2),
            ratio_db=rng.uniform(-settings.add_event_ratio_db, settings.add_event_ratio_db, len(added)),
            noisy=noisy,
            snr_db=rng.uniform(settings.snr_min_db, settings.snr_max_db, len(noisy)),
            gain=gain.astype(np.float32),
            shown=shown,
            live=rng.random((size, CHANNELS)) >= rng.uniform(0, settings.dead, (size, 1)),
            span=np.stack([at_start, LENGTH - (missing - at_start)], axis=1),
            cutoff=np.where(rng.random(size) < settings.lower_rate, rng.uniform(0.5, 1.0, size), 2.0),
            shows=np.stack([_mirrored(count) for count in channels]),
        )

    def _choose(self, rng: np.random.Generator, quiet: float | None = None) -> int:
        """Choose a window: half of them sections, half recordings, each kind of which as often."""
        if len(self._noise) and rng.random() < (self.quiet if quiet is None else quiet):
            return int(rng.choice(self._noise))
        if self._recordings and (rng.random() < 0.5 or not len(self._sections)):
            return int(rng.choice(self._recordings[int(rng.integers(len(self._recordings)))]))
        return int(rng.choice(self._sections))

    def _piece(self, number: int, wanted: int, rng: np.random.Generator, *, bent: bool = True) -> Piece:
        window = self.windows[number]
        have = len(window.live)
        space, time, average = draw_stretch(self.settings, have, rng)
        length = _LENGTHS[np.abs(np.log(_LENGTHS * time / RESAMPLED)).argmin()]
        factor = RESAMPLED / length
        size = (int(np.ceil((wanted - 1) / space) + 1) * average, int(np.ceil(SAMPLES / factor)))
        anchors = window.arrivals if rng.random() < 0.9 else window.arrivals[:0]
        first = anchored_start(anchors, (have, window.num_samples), size, rng)
        rows = (max(first[0], 0), min(first[0] + size[0], have))
        count = (rows[1] - rows[0]) // average
        low, high, part = _places(count, space, round(min(first[0], 0) / average * space), wanted)
        if rng.random() < self.settings.flip:
            low, high, part = low[::-1], high[::-1], part[::-1]
        start = first[1] - round((CONTEXT + _MARGIN) / factor)
        shift = _bend(wanted, size[1], rng) if bent and rng.random() < self.bent else np.zeros(wanted, int)
        times, known = _averaged(window, slice(rows[0], rows[0] + count * average), average)
        times = _between(times, low, high, part)
        times = (times + shift - start) * factor - _MARGIN
        fill = CHANNELS - wanted
        return Piece(
            window=number,
            rows=(rows[0], rows[0] + count * average),
            average=average,
            low=np.pad(low, (0, fill)),
            high=np.pad(high, (0, fill)),
            part=np.pad(part, (0, fill)).astype(np.float32),
            shift=np.pad(shift, (0, fill)),
            first=start,
            num_samples=int(length),
            arrivals=np.pad(_nearest(times), ((0, 0), (0, 0), (0, fill)), constant_values=np.inf),
            live=np.pad(known[low] & known[high], (0, fill)),
            channels=wanted,
        )


def _places(count: int, space: float, first: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the rows between which the channels of a stretched cable lie; beyond its ends it runs back."""
    place = np.arange(round((count - 1) * space) + 1) / space
    low = np.minimum(place.astype(np.int64), count - 1)
    part = place - low
    if space <= 1:
        low, part = np.minimum(np.rint(place).astype(np.int64), count - 1), np.zeros(len(place))
    high = np.where(part > 0, np.minimum(low + 1, count - 1), low)
    row = np.arange(first, first + wanted) % (2 * len(place))
    row = np.where(row < len(place), row, 2 * len(place) - 1 - row)
    return low[row], high[row], part[row]


def _averaged(window: Known, rows: slice, average: int) -> tuple[np.ndarray, np.ndarray]:
    """Average the arrivals of neighbours; rows with a live channel are live."""
    live = window.live[rows].reshape(-1, average)
    times = window.arrivals[..., rows].reshape(-1, 2, len(live), average)
    known = np.isfinite(times) & live
    total = np.where(known, times, 0.0).sum(axis=-1, dtype=np.float64)
    count = known.sum(axis=-1)
    seen: np.ndarray = live.any(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.inf), seen


def _between(times: np.ndarray, low: np.ndarray, high: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Interpolate arrivals between two rows where both are known, else take the nearer one's."""
    before, after = times[..., low], times[..., high]
    both = np.isfinite(before) & np.isfinite(after)
    mean = np.where(both, before, 0) * (1 - part) + np.where(both, after, 0) * part
    return np.where(both, mean, np.where(part < 0.5, before, after))


def _nearest(times: np.ndarray) -> np.ndarray:
    """Keep the 16 events nearest to the middle, (16, 2, channel) float32; infinite for those that lack."""
    kept = np.full((_EVENTS, *times.shape[1:]), np.inf, np.float32)
    if times.size:
        away = np.abs(times - LENGTH / 2).min(axis=(1, 2))
        order = np.argsort(away, kind="stable")[:_EVENTS]
        kept[: len(order)] = times[order]
    return kept


def _bend(wanted: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw delays along the cable, (channel,) int64 samples: a hyperbola, steep or strongly curved."""
    place = np.arange(wanted) - rng.uniform(-0.5, 1.5) * wanted
    width = np.exp(rng.uniform(np.log(1.0), np.log(2.0 * wanted + 2)))
    slope = min(np.exp(rng.uniform(np.log(0.05), np.log(8.0))), 0.5 * samples / max(wanted, 1))
    delay = slope * np.hypot(place, width)
    return np.rint(delay - np.median(delay)).astype(np.int64)


def _mirrored(channels: int) -> np.ndarray:
    """Give the channel that each row shows: few are mirrored, as pickers do."""
    row = np.arange(CHANNELS) % (2 * channels)
    return np.where(row < channels, row, 2 * channels - 1 - row)


@dataclass(frozen=True)
class Batch:
    """Tensors of one batch."""

    data: Tensor  # (batch, 1, channel, time)
    targets: Tensor  # (batch, 3, channel, time)
    mask: Tensor  # (batch, channel, time)


class BatchMaker:
    """Makes batches of windows that lie in the memory of a device."""

    def __init__(self, device: str) -> None:
        self.device, self.windows = device, list[Tensor]()
        self._live = list[Tensor]()
        self._time = torch.arange(LENGTH, device=device)
        self._tapers = dict[int, Tensor]()

    def add(self, data: np.ndarray, live: np.ndarray) -> None:
        """Take a window in, (channel, time) float16."""
        self.windows.append(torch.from_numpy(data).to(self.device))
        self._live.append(torch.from_numpy(live).to(self.device))

    @torch.no_grad()
    def __call__(self, plan: Plan) -> Batch:
        """Make the batch of a plan."""
        device, size = self.device, len(plan.gain)
        pieces = plan.pieces
        low, high, part, shift, live, times = (
            _tensor(np.stack([getattr(piece, name) for piece in pieces]), device)
            for name in ("low", "high", "part", "shift", "live", "arrivals")
        )
        x = torch.zeros(len(pieces), CHANNELS, LENGTH, device=device)
        for each, piece in enumerate(pieces):
            rows = slice(piece.channels)
            x[each, rows] = self._cut(
                piece, low[each, rows], high[each, rows], part[each, rows], shift[each, rows]
            )
        x *= self._inside(pieces, shift)
        x *= live[..., None]
        mixture = _Mixture(x, live, times, _rms(x, live), size)
        mixture.add_events(plan.added, _tensor(plan.ratio_db, device))
        if (plan.cutoff < 1).any():
            mixture.x = _low_pass(mixture.x, _tensor(plan.cutoff, device))
        if len(plan.noisy):
            mixture.add_noise(_tensor(plan.noisy, device), _tensor(plan.snr_db, device))
        span = _tensor(plan.span, device)
        inside = (self._time >= span[:, :1]) & (self._time < span[:, 1:])
        gain = _tensor(plan.gain * plan.shown * plan.live, device)
        x = normalize(mixture.x * gain[..., None] * inside[:, None])[..., CONTEXT : CONTEXT + SAMPLES]
        events = _cut_off(mixture.events, span)
        targets, mask = label(events - CONTEXT, mixture.live & _tensor(plan.live, device))
        row = _tensor(plan.shows, device)
        targets = torch.stack([_rows(plane, row) for plane in targets.unbind(1)], 1)
        return Batch(_rows(x, row)[:, None], targets, _rows(mask, row))

    def _cut(self, piece: Piece, low: Tensor, high: Tensor, part: Tensor, shift: Tensor) -> Tensor:
        """Cut, average, stretch and bend the channels of one piece, (channel, 6097) float32."""
        window, average = self.windows[piece.window], piece.average
        begin = piece.first - int(piece.shift.max())
        end = piece.first + piece.num_samples - int(piece.shift.min())
        inside = slice(max(begin, 0), max(min(end, window.shape[1]), 0))
        if inside.start >= inside.stop:
            return torch.zeros(len(low), LENGTH, device=self.device)
        rows = slice(*piece.rows)
        x = window[rows, inside].float()
        if average > 1:
            count = self._live[piece.window][rows].view(-1, average).sum(1, keepdim=True).clamp_min(1)
            x = x.view(len(count), average, -1).sum(1) / count
        x = torch.lerp(x[low], x[high], part[:, None]) if piece.part.any() else x[low]
        x = torch.nn.functional.pad(x, (inside.start - begin, end - inside.stop))
        if piece.shift.any():
            column = torch.arange(piece.num_samples, device=self.device) - shift[:, None]
            x = x.gather(1, column + (piece.first - begin))
        spectrum = torch.fft.rfft(x)
        kept = min(spectrum.shape[1], RESAMPLED // 2 + 1)
        return torch.fft.irfft(spectrum[:, :kept] * self._taper(kept), RESAMPLED)[:, _MARGIN:][:, :LENGTH]

    def _taper(self, count: int) -> Tensor:
        """Fade the highest twentieth of the frequencies out, against ringing."""
        if count not in self._tapers:
            place = torch.arange(count, device=self.device)
            self._tapers[count] = ((count - place) / (0.05 * count)).clamp(0, 1)
        return self._tapers[count]

    def _inside(self, pieces: Sequence[Piece], shift: Tensor) -> Tensor:
        """Mark what lies within the windows: beyond, the transform left some ringing."""
        facts = [(1 / p.factor, p.first, self.windows[p.window].shape[1] - 1) for p in pieces]
        pace, first, last = _tensor(np.array(facts, np.float32).T[..., None], self.device)
        place = ((self._time + _MARGIN) * pace + first)[:, None] - shift[..., None]
        return (place >= 0) & (place <= last[..., None])


class _Mixture:
    """The samples of a batch while the pieces behind them, events and noise, are added."""

    def __init__(self, x: Tensor, live: Tensor, times: Tensor, level: Tensor, size: int) -> None:
        self.x, self.live = x[:size], live[:size].clone()  # (batch, channel, time), (batch, channel)
        self.events = times.new_full((size, 1 + _MOST_ADDED, *times.shape[1:]), torch.inf)
        self.events[:, 0] = times[:size]
        self.events = self.events.flatten(1, 2)  # (batch, event, 2, channel)
        self._pieces, self._live, self._times, self._level, self._next = x, live, times, level, size

    def add_events(self, added: np.ndarray, ratio_db: Tensor) -> None:
        """Add the pieces of events, layer by layer."""
        for layer in range(_MOST_ADDED):
            chosen = np.flatnonzero(added[:, 1] == layer)
            sample = _tensor(added[chosen, 0], self.x.device)
            piece = _tensor(chosen + self._next, self.x.device)
            ratio = 10 ** (ratio_db[chosen] / 20)
            gain = self._level[sample] / self._level[piece].clamp_min(1e-12) * ratio
            self.x[sample] += self._pieces[piece] * gain[:, None, None].float()
            self.live[sample] &= self._live[piece]
            self.events[sample, (layer + 1) * _EVENTS : (layer + 2) * _EVENTS] = self._times[piece]
        self._next += len(added)

    def add_noise(self, sample: Tensor, snr_db: Tensor) -> None:
        """Add the pieces of noise."""
        noise, level = self._pieces[self._next :], self._level[self._next :]
        wanted = _event_rms(self.x[sample], self.live[sample], self.events[sample])
        gain = wanted / level.clamp_min(1e-12) * 10 ** (-snr_db / 20)
        self.x[sample] += noise * gain[:, None, None].float() * self.live[sample][..., None]


def _tensor(values: np.ndarray, device: str | torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device, non_blocking=True)


def _rows(values: Tensor, row: Tensor) -> Tensor:
    """Take channels `row` (batch, channel) of values (batch, channel, time)."""
    return values.gather(1, row[..., None].expand(-1, -1, values.shape[-1]))


def _low_pass(x: Tensor, cutoff: Tensor) -> Tensor:
    """Take away the frequencies above a share of the highest one, `cutoff` (batch,)."""
    spectrum = torch.fft.rfft(x)
    share = torch.arange(spectrum.shape[-1], device=x.device) / spectrum.shape[-1]
    fade = ((cutoff[:, None] - share) / 0.05).clamp(0, 1).float()
    return torch.fft.irfft(spectrum * fade[:, None], x.shape[-1])


def _rms(x: Tensor, live: Tensor) -> Tensor:
    """Median over the live channels of the standard deviation, (batch,)."""
    variance = x.square().mean(-1) - x.mean(-1).square()  # faster than std
    spread = variance.clamp_min(0).sqrt().masked_fill(~live, torch.nan)
    return spread.nanmedian(1).values.nan_to_num(0.0)


def _event_rms(x: Tensor, live: Tensor, events: Tensor) -> Tensor:
    """Median over channels of the rms in the two seconds after the arrivals, (batch,)."""
    power = torch.nn.functional.pad(x.double().square().cumsum(-1), (1, 0))
    seen = (events >= 0) & (events < LENGTH) & live[:, None, None]
    begin = events.masked_fill(~seen, 0).long()
    end = (begin + round(2.0 / DT_S)).clamp_max(LENGTH)
    flat = [part.flatten(1, 2).transpose(1, 2) for part in (begin, end)]  # (batch, channel, arrival)
    energy = power.gather(2, flat[1]) - power.gather(2, flat[0])
    mean = (energy / (flat[1] - flat[0])).clamp_min(0).sqrt()
    mean = mean.masked_fill(~seen.flatten(1, 2).transpose(1, 2), torch.nan).flatten(1)
    found = mean.nanmedian(1).values
    return torch.where(found.isnan(), _rms(x, live).double(), found)


def _cut_off(events: Tensor, span: Tensor) -> Tensor:
    """Move arrivals out of what a recording that begins late or ends early does not hold to infinity."""
    first, last = span[:, 0].view(-1, 1, 1, 1), span[:, 1].view(-1, 1, 1, 1)
    away = torch.copysign(torch.full_like(events, torch.inf), events - first)
    return torch.where((events < first) | (events >= last), away, events)


def normalize(x: Tensor) -> Tensor:
    """Remove the moving mean and divide by the moving amplitude, as pickers do.

    `x` (batch, channel, 6097) float32. See `phasenet_das.picking.normalization`.
    """
    blocks = x.unflatten(-1, (BLOCKS, -1))
    high, low = blocks.amax(-1), blocks.amin(-1)
    weight = (high - low > _SILENT * torch.maximum(high.abs(), low.abs())).double()
    norm = _moving_sum(weight)

    def mean(values: Tensor) -> Tensor:
        total = _moving_sum(values.double() * weight)
        return torch.where(norm > 0, total / norm.clamp_min(1), 0.0).float()

    moved = x - _lines(mean(blocks.mean(-1)))
    scale = mean(moved.abs().unflatten(-1, (BLOCKS, -1)).mean(-1).sqrt()).square()
    lines = _lines(scale)
    return torch.where(lines > 0, moved / lines, 0.0).nan_to_num(0.0).clamp(-_LIMIT, _LIMIT)


def _moving_sum(values: Tensor) -> Tensor:
    """Sum 31 blocks around each."""
    total = torch.nn.functional.pad(values.cumsum(-1), (_HALF_BLOCKS + 1, 0))
    total = torch.cat([total, total[..., -1:].expand(*total.shape[:-1], _HALF_BLOCKS)], -1)
    return total[..., 2 * _HALF_BLOCKS + 1 :] - total[..., : -2 * _HALF_BLOCKS - 1]


def _lines(values: Tensor) -> Tensor:
    """Join the values of blocks by straight lines between the centres of the blocks."""
    return torch.nn.functional.interpolate(values, LENGTH, mode="linear", align_corners=False)


def label(events: Tensor, live: Tensor) -> tuple[Tensor, Tensor]:
    """Make targets and mask, as `phasenet_das.training.targets` does for arrivals that are all known.

    `events` (batch, event, 2, channel) samples. Returns (batch, 3, channel, time) and (batch, channel, time).
    """
    size, _, _, channels = events.shape
    reach = round(_REACH * SIGMA_S / DT_S)
    peaks = _spread(events, reach, SIGMA_S / DT_S, (2, channels))
    peaks = peaks / peaks.sum(1, keepdim=True).clamp_min(1)
    targets = torch.cat([(1 - peaks.sum(1, keepdim=True)).clamp_min(0), peaks], 1)
    p, s = events[:, :, :1], events[:, :, 1:]
    alone = torch.where(p < 0, s, torch.inf)  # a first arrival without a past looks like P
    guard = max(round(GUARD_S / DT_S), reach + 1)
    near = _spread(alone, guard, guard, (1, channels))[:, 0] > 0
    return targets, (live[..., None] & ~near).float().view(size, channels, SAMPLES)


def _spread(times: Tensor, reach: int, sigma: float, shape: tuple[int, int]) -> Tensor:
    """Draw a Gaussian of height one around each time, (batch, phase, channel, time); the largest counts."""
    drawn = torch.zeros(times.shape[0], *shape, SAMPLES, device=times.device)
    inside = times.isfinite() & (times > -reach) & (times < SAMPLES + reach)
    sample, _, phase, row = inside.nonzero(as_tuple=True)
    centre = times[inside]
    near = centre.round()[:, None] + torch.arange(-reach, reach + 1, device=times.device)
    value = torch.exp(-0.5 * ((near - centre[:, None]) / sigma).square())
    line = ((sample * shape[0] + phase) * shape[1] + row)[:, None] * SAMPLES
    kept = (near >= 0) & (near < SAMPLES)
    index = (line + near.clamp(0, SAMPLES - 1).long())[kept]
    drawn.view(-1).scatter_reduce_(0, index, value[kept], "amax")
    return drawn
