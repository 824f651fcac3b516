"""Sections made of seismometer records: exact arrivals, in any form the records come."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from phasenet_das.errors import ConfigError, DataFormatError, MissingMetadataError
from phasenet_das.simulate import Record, RecordSectionConfig, from_records, load_records


def impulses(p=900, s=1500, n=3000, dt_s=0.01):
    """One impulse at P on the vertical, one at S on the east: their places are seen to the sample."""
    data = np.zeros((3, n), np.float32)
    data[2, p] = data[0, s] = 1.0
    return Record(data, dt_s, p, s, "impulses")


@pytest.fixture
def clean(monkeypatch):
    """Sections without noise, scatter and tilt."""
    from phasenet_das.simulate import record_sections

    monkeypatch.setattr(
        record_sections.SectionNoise,
        "draw",
        lambda self, rng, vehicles: np.zeros((self._shape), np.float32),  # noqa: ARG005
    )
    return RecordSectionConfig(
        num_channels=32, num_samples=2048, lag_min_s=2.0, lag_max_s=6.0, scatterers=0, tilt=0.0, coda=0.0,
        converted=0.0, lone=0.0, noise_only=0.0, second_event=0.0, dead=0.0, ringing=0.0, coupling_dex=0.0,
        snr_min_db=0.0, snr_max_db=0.0,
    )  # fmt: skip


def test_impulses_arrive_where_the_section_says(clean):
    sections = from_records([impulses()], clean, seed=1)
    checked = 0
    for index in range(12):
        section = sections[index]
        for arrivals in (section.p_sample[0], section.s_sample[0]):
            inside = np.flatnonzero((arrivals > 40) & (arrivals < 2000))
            for channel in inside:
                near = slice(round(arrivals[channel]) - 30, round(arrivals[channel]) + 31)
                window = np.abs(section.data[channel, near])
                if window.max() < 0.05 * np.abs(section.data).max():
                    continue  # the weights of this channel leave next to nothing
                energy = window.astype(float) ** 2
                centre = (energy * np.arange(61)).sum() / energy.sum() + near.start
                assert abs(centre - arrivals[channel]) < 1.0
                checked += 1
    assert checked > 200


def test_lags_lie_in_the_range_asked_for():
    config = RecordSectionConfig(
        num_channels=16, num_samples=4096, lag_min_s=1.0, lag_max_s=8.0, noise_only=0.0, lone=0.0
    )
    sections = from_records([impulses()], config, seed=2)
    lags = np.concatenate([(s.s_sample - s.p_sample).ravel() for s in (sections[i] for i in range(40))])
    lags = lags[np.isfinite(lags)] * 0.01
    assert lags.min() > 0.6
    assert lags.max() < 12.5
    assert lags.max() / lags.min() > 4


def test_near_an_event_all_times_grow_with_distance(clean):
    config = clean.model_copy(update={"near": 1.0, "roughness": 0.0, "jitter_samples": 0.0, "loops": 0.0})
    sections = from_records([impulses()], config, seed=4)
    for section in (sections[index] for index in range(10)):
        p, lag = section.p_sample[0], section.s_sample[0] - section.p_sample[0]
        assert lag.min() > 0
        steep = np.abs(np.diff(p)) > 0.5
        ratio = (np.diff(lag) / np.where(steep, np.diff(p), 1.0))[steep]
        assert np.median(np.abs(ratio - 0.7)) < 0.21  # the ratio of velocities less one


def test_a_lone_wave_is_an_s_whose_p_came_long_before(clean):
    config = clean.model_copy(update={"lone": 1.0, "loops": 0.0})
    section = from_records([impulses()], config, seed=1)[0]
    assert section.p_sample.max() < -1e4
    arrivals = section.s_sample[0]
    inside = np.flatnonzero((arrivals > 40) & (arrivals < 2000))
    strongest = np.abs(section.data[inside]).argmax(axis=1)
    assert np.median(np.abs(strongest - arrivals[inside])) < 2


def test_a_loop_measures_one_place(clean):
    config = clean.model_copy(update={"loops": 1.0})
    section = from_records([impulses()], config, seed=2)[3]
    alike = (np.diff(section.data, axis=0) == 0).all(axis=1)
    assert alike.any()
    assert not np.diff(section.p_sample[0])[alike].any()


@pytest.mark.parametrize("seed", range(8))
def test_a_span_of_the_cable_rings_after_what_shakes_it(seed):
    """What is added follows its cause, dies away, and is nothing outside one span of neighbours."""
    from phasenet_das.simulate.record_sections import _ring

    still = np.zeros((200, 4096), np.float32)
    still[:, 1000] = 1.0
    data = still.copy()
    _ring(data, np.random.default_rng(seed))
    added = data - still
    assert np.abs(added).max() > 0
    assert not added[:, :1000].any()
    assert np.abs(added[:, -200:]).max() < 0.3 * np.abs(added).max()
    rings = np.abs(added).max(axis=1) > 0
    assert np.count_nonzero(np.diff(rings.astype(int))) <= 2


def test_a_section_is_the_same_in_any_order():
    records = [impulses(), impulses(p=700, s=1000)]
    one = from_records(records, seed=3)
    two = from_records(records, seed=3)
    late = two[7]
    iterator = iter(one)
    for _ in range(7):
        next(iterator)
    early = next(iterator)
    np.testing.assert_array_equal(early.data, late.data)
    np.testing.assert_array_equal(early.p_sample, late.p_sample)
    assert not np.array_equal(one[8].data, late.data)


def test_only_the_rows_asked_for_are_used(tmp_path):
    path = tmp_path / "records.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", data=np.random.default_rng(0).standard_normal((5, 3, 2000)))
        data.attrs["dt_s"] = 0.01
        file["itp"], file["its"] = np.full(5, 600), np.full(5, 900)
    sections = from_records(path, seed=1, rows=[1, 4])
    assert [record.name for record in sections.records] == ["records.h5:1", "records.h5:4"]


def test_streams_become_records():
    from obspy import Stream, Trace, UTCDateTime

    start = UTCDateTime(2024, 1, 1)
    header = {"starttime": start, "sampling_rate": 50.0}
    traces = [
        Trace(np.random.default_rng(i).standard_normal(1000), {**header, "channel": code})
        for i, code in enumerate(("HHZ", "HHN", "HHE"))
    ]
    (record,) = load_records([(Stream(traces), {"P": start + 4.01, "S": start + 9.0})])
    assert record.dt_s == pytest.approx(0.02)
    assert record.p_sample == pytest.approx(200.5)
    np.testing.assert_allclose(record.data[2], traces[0].data - traces[0].data.mean(), atol=1e-5)


def test_records_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(DataFormatError, match="order"):
        Record(np.ones((3, 100), np.float32), 0.01, 60.0, 50.0)
    with pytest.raises(DataFormatError, match="shape"):
        Record(np.ones((100, 3), np.float32), 0.01, 10.0, 50.0)
    with pytest.raises(ConfigError, match="no records"):
        from_records([], seed=1)
    with h5py.File(tmp_path / "no.h5", "w") as file:
        file["data"] = np.zeros((1, 3, 10))
    with pytest.raises(MissingMetadataError, match="itp"):
        load_records(tmp_path / "no.h5")


@pytest.mark.shared
def test_real_records_make_lively_sections(shared):
    sections = from_records(shared / "data/waveforms3c/phasenet_ncedc_154.h5", seed=1, rows=range(20))
    made = [sections[i] for i in range(12)]
    assert all(np.isfinite(section.data).all() for section in made)
    assert sum(np.isfinite(section.p_sample).sum() for section in made) > 500
    assert {len(section.records) for section in made} <= {0, 1, 2}
