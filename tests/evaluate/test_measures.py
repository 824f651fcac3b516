"""Measures that need no truth: shares counted by hand, delays that are known, and what the shell prints."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phasenet_das import io
from phasenet_das.cli import main
from phasenet_das.errors import ConfigError, TableError
from phasenet_das.evaluate import (
    CorrelationWindow,
    MeasuredStage,
    measure_catalog,
    sample_differential_times,
    summarize_differential_times,
)
from phasenet_das.evaluate.measures import improves, measures_table
from phasenet_das.io.archive import open_archive
from phasenet_das.io.recording import Recording, recording_of_array
from phasenet_das.tables import write_table
from tests.tables_at_hand import START, graded_events, graded_picks, pick_table

DT_S, CHANNELS, EVENTS = 0.01, 48, 3


def _wavelets(num_channels: int, moveout_s: float) -> np.ndarray:
    """The same random wavelet on each channel, `moveout_s` later on the next one (channel, 4 s)."""
    frequency = np.fft.rfftfreq(400, DT_S)
    rng = np.random.default_rng(1)
    spectrum = rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency))
    spectrum *= (frequency > 2) & (frequency < 12)
    delay = np.exp(-2j * np.pi * frequency * moveout_s * np.arange(num_channels)[:, None])
    wavelet: np.ndarray = np.fft.irfft(spectrum * delay, 400)
    return wavelet


def _recorded() -> tuple[Recording, pd.DataFrame]:
    """P and S of three events on 48 channels, with the true picks."""
    data = 1e-4 * np.random.default_rng(2).standard_normal((CHANNELS, 6000)).astype(np.float32)
    tables = []
    for event in range(EVENTS):
        for phase, late_s, moveout_s in (("P", 0.0, 0.002), ("S", 6.0, 0.004)):
            onset_s = 6.0 + 17.0 * event + late_s
            first = round((onset_s - 1.0) / DT_S)
            data[:, first : first + 400] += _wavelets(CHANNELS, moveout_s)
            seconds = onset_s + moveout_s * np.arange(CHANNELS)
            tables.append(pick_table(np.arange(CHANNELS), seconds, phase, event=event))
    recording = recording_of_array(
        data,
        start_time=np.datetime64(START.tz_localize(None)),
        dt_s=DT_S,
        channel_index=np.arange(CHANNELS),
        station_id="C",
    )
    return recording, pd.concat(tables, ignore_index=True)


def _later(picks: pd.DataFrame, seconds: np.ndarray) -> pd.DataFrame:
    return picks.assign(phase_time=picks["phase_time"] + pd.to_timedelta(np.rint(seconds * 1e9), unit="ns"))


def test_true_picks_differ_as_their_waveforms_do() -> None:
    recording, picks = _recorded()
    table = summarize_differential_times(sample_differential_times([recording], picks))
    assert table["phase"].tolist() == ["P", "S"]
    assert (table["num_kept"] == EVENTS * (CHANNELS - 1)).all()
    assert (table[["mean_s", "std_s"]].abs() < 0.05 * DT_S).all(axis=None)


def test_known_errors_of_picks_are_what_is_measured() -> None:
    recording, picks = _recorded()
    even = picks["channel_index"].to_numpy() % 2 == 0
    of_s = (picks["phase_type"] == "S").to_numpy()
    late = np.where(of_s, np.where(even, 0.03, -0.03), 0.005 * picks["channel_index"])
    pairs = sample_differential_times([recording], _later(picks, late))
    table = summarize_differential_times(pairs).set_index("phase")
    assert table.loc["P", "mean_s"] == pytest.approx(0.005, abs=0.05 * DT_S)
    assert table.loc["P", "std_s"] < 0.05 * DT_S
    assert table.loc["S", "std_s"] == pytest.approx(0.06, rel=0.02)


def test_only_picks_of_one_event_are_paired_and_order_does_not_show() -> None:
    recording, picks = _recorded()
    free = picks.assign(event_index=-1, phase_time=picks["phase_time"] + pd.Timedelta(seconds=0.2))
    whole = sample_differential_times([recording], picks)
    mixed = pd.concat([free, picks]).sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(sample_differential_times([recording], mixed), whole)
    parts = [recording.narrow(np.arange(CHANNELS), slice(0, 2650))]
    parts += [recording.narrow(np.arange(CHANNELS), slice(2650, 6000))]
    cut = sample_differential_times(parts, picks)
    assert len(cut) == len(whole) - 0
    np.testing.assert_allclose(cut["residual_s"], whole["residual_s"], atol=0.02 * DT_S)


def test_recordings_whose_clocks_differ_a_little_are_measured_apart() -> None:
    recording, picks = _recorded()
    first = recording.narrow(np.arange(CHANNELS), slice(0, 2650))
    second = recording.narrow(np.arange(CHANNELS), slice(2650, 6000))
    drifted = Recording(**{**vars(second), "dt_s": DT_S * (1 + 3e-6)})
    pairs = sample_differential_times([first, drifted], picks)
    assert len(pairs) == 2 * EVENTS * (CHANNELS - 1)
    assert pairs["residual_s"].abs().max() < 0.05 * DT_S


def test_a_sample_is_bounded_and_follows_its_seed() -> None:
    recording, picks = _recorded()
    loaded: list[tuple[int, int]] = []

    def count(channels: slice, samples: slice) -> np.ndarray:
        loaded.append((channels.stop - channels.start, samples.stop - samples.start))
        return recording.read_block(channels, samples)

    watched = [Recording(**{**vars(recording), "read_block": count})]
    few = sample_differential_times(watched, picks, max_spans=2, seed=3)
    assert len(few) == 2 * 2 * 15
    assert len(loaded) == 2
    assert max(channels for channels, _ in loaded) == 16
    assert max(samples for _, samples in loaded) < 1500
    pd.testing.assert_frame_equal(few, sample_differential_times([recording], picks, max_spans=2, seed=3))
    others = [sample_differential_times([recording], picks, max_spans=2, seed=k) for k in range(4)]
    assert len({tuple(one["channel_1"]) + tuple(one["event_1"]) for one in others}) > 1


def test_numbers_of_channels_may_have_steps_and_rates_may_be_low() -> None:
    recording, picks = _recorded()
    every_third = Recording(**{**vars(recording), "channel_index": 3 * np.arange(CHANNELS)})
    pairs = sample_differential_times([every_third], picks.assign(channel_index=3 * picks["channel_index"]))
    assert len(pairs) == 2 * EVENTS * (CHANNELS - 1)
    assert (pairs["channel_2"] - pairs["channel_1"] == 3).all()
    slow = recording_of_array(
        recording.load()[:, ::4],
        start_time=recording.start_time,
        dt_s=4 * DT_S,
        channel_index=recording.channel_index,
        station_id="C",
    )
    assert sample_differential_times([slow], picks)["kept"].mean() > 0.9


def test_what_cannot_be_compared_is_named() -> None:
    recording, picks = _recorded()
    with pytest.raises(TableError, match=r"picks of events on D and 1 recordings of C"):
        sample_differential_times([recording], picks.assign(station_id="D"))
    with pytest.raises(TableError, match="found 0 picks of events"):
        sample_differential_times([recording], picks.assign(event_index=-1))
    with pytest.raises(ConfigError, match="common_mode"):
        sample_differential_times([recording], picks, CorrelationWindow(common_mode=True))


def _stage(name: str = "final", num_kept: int = 9, **columns: object) -> MeasuredStage:
    """Twelve P and eight S picks; the first `num_kept` P, and six S, belong to two events."""
    event = np.r_[np.where(np.arange(12) < num_kept, 0, -1), np.where(np.arange(8) < 6, 1, -1)]
    phase = np.repeat(["P", "S"], [12, 8])
    picks = pick_table(np.r_[np.arange(12), np.arange(8)], 5.0, phase, event=event, reason="", **columns)
    return MeasuredStage(name, "teacher", picks, pd.DataFrame({"event_index": [0, 1]}))


def test_shares_are_those_counted_by_hand() -> None:
    found = measure_catalog([_stage()])["stages"][0]
    assert found["num_events"] == 2
    counts = {row["phase"]: (row["num_associated"], row["num_picks"], row["share"]) for row in found["picks"]}
    assert counts == {"P": (9, 12, 0.75), "S": (6, 8, 0.75), "all": (15, 20, 0.75)}
    assert (found["classes"], found["renamed"], found["groups"]) == (None, None, None)
    assert found["differential_times"] == []


def test_classes_renamed_picks_and_groups_are_counted_where_they_are_known() -> None:
    stage = MeasuredStage("final", "", graded_picks(), graded_events())
    measures = measure_catalog([stage])
    found = measures["stages"][0]
    assert found["classes"] == {"A": 1, "B": 1, "C": 1, "D": 2}
    assert found["renamed"] == {"num_picks": 20, "share": 0.01}
    assert found["groups"] == {"num_groups": 1, "num_picks": 40, "share": 40 / 2040}
    header, rows = measures_table(measures)
    assert header == ["Measure", "final", "Paper"]
    words = {row[0]: row[1] for row in rows}
    assert words["Events of class A, B, C, D"] == "1, 1, 1, 2"
    assert words["Picks in groups without an event"] == "2 % (40) in 1"
    text = " ".join(measures["judgements"])
    assert "5 events, 2 of them of class A or B" in text
    assert "1 group of picks in line" in text
    assert "1 % of the picks of events for the other phase. The picker tells P from S" in text


def test_unknown_measures_have_no_row_and_stages_a_column_each() -> None:
    header, rows = measures_table(measure_catalog([_stage("round1", 0), _stage("final", 12)]))
    assert header[1:3] == ["round1: teacher", "final: teacher"]
    words = {row[0]: row[1:] for row in rows}
    assert list(words) == [
        "Events",
        "P picks that associate",
        "S picks that associate",
        "All picks that associate",
    ]
    assert words["P picks that associate"][:2] == ["0 % of 12", "100 % of 12"]
    assert "89-92 %" in words["P picks that associate"][2]


@pytest.mark.parametrize(
    ("num_kept", "words"),
    [
        (12, "90 % of the picks associate, as many as those of PhaseNet-DAS in the paper (89-92 %)"),
        (10, "more than those of PhaseNet in the paper (59-69 %) and fewer than those of PhaseNet-DAS"),
        (6, "60 % of the picks associate, as many as those of PhaseNet in the paper (59-69 %): expect"),
        (2, "40 % of the picks associate, fewer than those of PhaseNet in the paper"),
    ],
)
def test_the_share_is_judged_by_the_paper(num_kept: int, words: str) -> None:
    assert words in " ".join(measure_catalog([_stage(num_kept=num_kept)])["judgements"])


@pytest.mark.parametrize(
    ("scatter_s", "drift_s", "words"),
    [
        (0.0, 0.0, "P times follow the waveforms as closely as in the paper: spread"),
        (0.06, 0.0, "P times scatter more than in the paper: spread"),
        (0.0, 0.01, "P times drift along the cable against the waveforms: mean 10 ms (paper: 1.0 ms)"),
    ],
)
def test_times_are_judged_by_the_paper(scatter_s: float, drift_s: float, words: str) -> None:
    recording, picks = _recorded()
    error = np.where(picks["channel_index"] % 2, 1, -1) * scatter_s + drift_s * picks["channel_index"]
    stage = MeasuredStage("final", "", _later(picks, error), graded_events(), [recording])
    text = " ".join(measure_catalog([stage])["judgements"])
    assert words in text
    assert "on the 100 % of the pairs that have similar waveforms" in text


def test_times_are_those_of_the_phase_that_the_event_took() -> None:
    recording, picks = _recorded()
    swapped = picks.assign(associated_phase=picks["phase_type"], phase_type="P")
    stage = MeasuredStage("final", "", swapped, graded_events(), [recording])
    found = measure_catalog([stage])["stages"][0]
    assert [row["num_pairs"] for row in found["differential_times"]] == 2 * [EVENTS * (CHANNELS - 1)]
    assert found["renamed"]["share"] == 0.5


def _measures(share: float, number: int, std_s: float = 0.05, num_kept: int = 100) -> dict:
    """Measures of a stage as `improves` reads them."""
    picks = {"share": share, "num_associated": number}
    times = [{"phase": phase, "std_s": std_s, "num_kept": num_kept} for phase in ("P", "S")]
    return {"stage": "round2", "picker": "student", "picks": [picks], "differential_times": times}


@pytest.mark.parametrize(
    ("new", "better", "words"),
    [
        (_measures(0.81, 950, 0.055), True, "81.0 % of its picks associate instead of 80.0 %, 950 picks"),
        (_measures(0.80, 2000), False, "80.0 % of its picks associate instead of 80.0 %."),
        (_measures(0.90, 949), False, "worse than the student: 949 picks associate instead of 1,000."),
        (_measures(0.90, 1000, 0.056), False, "P times scatter by 56 ms instead of 50 ms, S times"),
        (_measures(0.90, 1000, 0.5, num_kept=29), True, "1,000 picks associate instead of 1,000."),
    ],
)
def test_a_stage_is_better_by_share_number_and_scatter(new: dict, better: bool, words: str) -> None:
    found, sentence = improves(new, _measures(0.80, 1000))
    assert found is better
    assert words in sentence


def test_a_stage_that_is_worse_than_the_one_before_does_not_make_the_catalog() -> None:
    stages = [
        _stage("round1", 6),
        replace(_stage("round2", 12), picker="student of round 1", before="round1", makes_catalog=True),
        replace(_stage("final", 9), picker="student of round 2", before="round2"),
    ]
    measures = measure_catalog(stages)
    assert measures["catalog"] == "round2"
    assert [(one["stage"], one["before"], one["better"]) for one in measures["verdicts"]] == [
        ("round2", "round1", True),
        ("final", "round2", False),
    ]
    assert measures["judgements"][1].startswith("90 % of the picks associate")
    last = measures["judgements"][-1]
    assert last.startswith("The student of round 2 is worse than the student of round 1: 75.0 % of its picks")
    assert last.endswith("The student of round 1 makes the catalog.")


@pytest.mark.parametrize(
    ("num_kept", "changed"), [(12, "helped"), (9, "changed little"), (6, "did not help")]
)
def test_what_the_training_added_is_told(num_kept: int, changed: str) -> None:
    stages = [
        _stage("round1", 0),
        replace(_stage("start", 9), picker="start weights (phasenet-das)"),
        replace(_stage("final", num_kept), picker="student", before="round1"),
    ]
    first, second = measure_catalog(stages)["judgements"][-2:]
    share = {12: 90, 9: 75, 6: 60}[num_kept]
    assert first == (
        f"Training: {share} % of the picks of the student associate, 75 % of the picks of the start weights "
        "(phasenet-das), 30 % of the picks of the teacher."
    )
    assert second == f"In the same order: 2, 2 and 2 events. By these measures, training {changed}."


def test_picks_that_were_not_associated_are_refused() -> None:
    bare = pick_table(np.arange(5), 5.0)
    with pytest.raises(TableError, match="final: no pick has an event"):
        measure_catalog([MeasuredStage("final", "", bare, graded_events())])
    nothing = MeasuredStage("final", "", bare.iloc[:0], graded_events().iloc[:0])
    assert "There are no picks." in measure_catalog([nothing])["judgements"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording, a pick table with events, and a folder as `associate` writes it."""
    out = tmp_path_factory.mktemp("measures")
    recording, picks = _recorded()
    patch = io.make_patch(
        recording.load(), start_time=str(START.tz_localize(None)), dt_s=DT_S, station_id="C"
    )
    (out / "raw").mkdir()
    io.write_quakeflow(patch, out / "raw" / "record.h5")
    write_table(picks, out / "picks.parquet")
    write_table(picks, out / "catalog" / "picks.parquet")
    write_table(graded_events(), out / "catalog" / "events.parquet")
    write_table(pick_table(np.arange(5), 5.0), out / "bare.parquet")
    return out


def _run(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> int:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["phasenet-das", "evaluate", *arguments])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_the_shell_measures_a_folder_twice_alike(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["catalog", "--label-free", "--waveforms", "raw", "--json"]
    assert _run(monkeypatch, folder, *arguments, "one.json") == 0
    printed = capsys.readouterr().out
    assert "| P differential times, spread " in printed
    assert "5 events, 2 of them of class A or B" in printed
    assert _run(monkeypatch, folder, *arguments, "two.json") == 0
    assert (folder / "one.json").read_bytes() == (folder / "two.json").read_bytes()
    (stage,) = json.loads((folder / "one.json").read_text())["stages"]
    assert stage["stage"] == "catalog"
    assert [row["num_kept"] for row in stage["differential_times"]] == 2 * [EVENTS * (CHANNELS - 1)]
    direct = measure_catalog(
        [
            MeasuredStage(
                "catalog", "", _recorded()[1], graded_events(), open_archive(folder / "raw").recordings
            )
        ]
    )
    assert direct["stages"][0]["differential_times"] == stage["differential_times"]


def test_a_station_id_names_the_recordings(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture
) -> None:
    renamed = _recorded()[1].assign(station_id="NORTH")
    write_table(renamed, folder / "north.parquet")
    arguments = ["north.parquet", "--label-free", "--waveforms", "raw"]
    assert _run(monkeypatch, folder, *arguments) == 0
    assert "by --station-id" in capsys.readouterr().out
    assert _run(monkeypatch, folder, *arguments, "--station-id", "NORTH") == 0
    assert "P times follow the waveforms" in capsys.readouterr().out


def test_the_shell_measures_tables_by_name(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert _run(monkeypatch, folder, "teacher=picks.parquet", "student=catalog", "--label-free") == 0
    printed = capsys.readouterr().out
    assert "| teacher " in printed
    assert "The first stage (teacher) had 3." in printed
    assert "no recordings were given" in printed
    assert "The student is worse than the teacher: 100.0 % of its picks associate" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label-free"], "expected PICKS"),
        (["picks.parquet", "--label-free", "--truth", "picks.parquet"], "PICKS without --truth"),
        (["bare.parquet", "--label-free"], "phasenet-das associate"),
        (["picks.parquet", "--label-free", "--common-mode", "--waveforms", "raw"], "common_mode"),
    ],
)
def test_errors_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    capsys: pytest.CaptureFixture,
    arguments: list[str],
    message: str,
) -> None:
    assert _run(monkeypatch, folder, *arguments) == 1
    assert message in " ".join(capsys.readouterr().err.split())
