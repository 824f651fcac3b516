"""The command ``phasenet-das pick``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phasenet_das.cli.options import (
    Cable,
    ChannelRange,
    ConfigFile,
    Device,
    End,
    Headers,
    MinScore,
    MinScoreP,
    MinScoreS,
    OptionalInputs,
    Precision,
    Start,
    Weights,
    Workers,
    parse_range,
    parse_rate,
    stating_recordings,
)
from phasenet_das.cli.settings import chosen_cable, chosen_inputs, override, read_settings, training_data

if TYPE_CHECKING:
    from phasenet_das.picking import PickReport


@stating_recordings
def pick(
    inputs: OptionalInputs = None,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Pick table to write, .parquet or .csv.")],
    config: ConfigFile = None,
    cable: Cable = None,
    teacher: Annotated[
        bool, typer.Option("--teacher", help="Use the section `teacher` of --config, not `pick`.")
    ] = False,
    training: Annotated[
        bool, typer.Option("--training", help="Pick the recordings of the section `student` of --config.")
    ] = False,
    weights: Weights = None,
    min_score: MinScore = None,
    min_score_p: MinScoreP = None,
    min_score_s: MinScoreS = None,
    faint_score: Annotated[
        float | None, typer.Option(help="Also list picks down to this score. They change no other pick.")
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            help="Sampling rate for the network: 'native', 'model', 'octaves', or Hz, such as 100 or 100,50."
        ),
    ] = None,
    average_channels: Annotated[
        int | None, typer.Option(help="Number of neighbouring channels to average.")
    ] = None,
    common_mode: Annotated[
        str | None, typer.Option(help="'median': subtract the median over the channels.")
    ] = None,
    to_strain_rate: Annotated[
        bool | None, typer.Option("--to-strain-rate", help="Differentiate strain in time.")
    ] = None,
    stated: dict[str, Any],
    start: Start = None,
    end: End = None,
    channel_range: ChannelRange = None,
    channel_step: Annotated[int, typer.Option(help="Pick every Nth channel number.", min=1)] = 1,
    device: Device = None,
    precision: Precision = None,
    index: Headers = None,
    workers: Workers = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler.")] = None,
    resume: Annotated[bool, typer.Option(help="Resume an interrupted run.")] = True,
    keep_chunks: Annotated[bool, typer.Option(help="Keep the finished chunks for a later run.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad recording.")] = False,
) -> None:
    """Pick P and S arrivals on every channel of recordings.

    Files and folders may be of any length. Writes the pick table, and NAME.coverage.csv with the spans that
    were examined. If the run is interrupted, repeat the command and it resumes. The finished chunks are in
    OUTPUT.chunks.

    Example: phasenet-das pick recordings/ -o picks.parquet --station-id BRADY --workers 4
    """
    from phasenet_das.models.names import check_weights_name
    from phasenet_das.picking.request import check_request

    base = read_settings(config)
    section = base.teacher if teacher else base.pick
    own = training_data(base, cable) if training else chosen_cable(base, cable).data
    data = partial(override, own, **stated)
    settings = partial(
        override,
        section,
        weights=weights,
        min_score=min_score,
        min_score_p=min_score_p,
        min_score_s=min_score_s,
        faint_score=faint_score,
        average_channels=average_channels,
        common_mode=common_mode,
        to_strain_rate=to_strain_rate,
        device=device,
        precision=precision,
    )
    check_request(
        inputs or (),
        output,
        start=start,
        end=end,
        further=[
            lambda: inputs or chosen_inputs(None, own),
            lambda: check_weights_name("--weights", weights or section.weights),
            lambda: parse_range(channel_range),
            lambda: parse_rate(rate),
            data,
            settings,
        ],
    )
    from phasenet_das.picking import RunOptions, load_picker, pick_archive  # torch, after all checks

    choice = settings(rate=parse_rate(rate))
    sha256 = None if weights else choice.weights_sha256
    report = pick_archive(
        load_picker(choice.weights, device=choice.device, sha256=sha256),
        chosen_inputs(inputs, own),
        output,
        data=data(),
        settings=choice,
        continuous=base.continuous,
        start=start,
        end=end,
        channel_range=parse_range(channel_range),
        channel_step=channel_step,
        options=RunOptions(workers, scheduler, resume, keep_chunks, strict),
        index=index,
        progress=True,
    )
    _tell(report, output)


def _tell(report: PickReport, output: Path) -> None:
    """Say how many picks there are, and which recordings are missing. Fails if no sample could be read."""
    picks, reused = report.summary, f" ({report.reused} of {report.num_chunks} chunks were there)"
    typer.echo(
        f"{picks.num_picks} picks ({picks.by_phase.get('P', 0)} P, {picks.by_phase.get('S', 0)} S) on "
        f"{len(picks.channels)} channels -> {output}{reused if report.reused else ''}"
    )
    left_out = report.coverage[report.coverage["status"].isin(["unreadable", "skipped"])]["source"]
    if len(left_out):
        typer.echo(
            f"{left_out.nunique()} recordings were left out, or a part of them. See the coverage table "
            f"{output.with_suffix('.coverage.csv')}.",
            err=True,
        )
    status = set(report.coverage["status"])
    if "unreadable" in status and "examined" not in status:
        typer.echo("error: no sample could be read, so nothing was picked.", err=True)
        raise typer.Exit(1)
