"""The command ``phasenet-das evaluate``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phasenet_das.cli.options import Band, ConfigFile, DistanceTolerance, TimeTolerance, stating_recordings
from phasenet_das.cli.settings import override, read_settings, stated_facts
from phasenet_das.errors import ConfigError

if TYPE_CHECKING:
    from phasenet_das.evaluate import MeasuredStage
    from phasenet_das.evaluate.report import EvaluationReport


@stating_recordings
def evaluate(
    pick_tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PICKS",
            help="Pick table. To compare pickers, NAME=TABLE for each. With --label-free, also a folder.",
        ),
    ] = None,
    *,
    config: ConfigFile = None,
    truth: Annotated[Path | None, typer.Option(help="True picks, or a folder written by 'simulate'.")] = None,
    events: Annotated[Path | None, typer.Option(help="Event table, .csv or .parquet.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="True events or a catalog: CSV (also ComCat), QuakeML.")
    ] = None,
    waveforms: Annotated[
        list[str] | None, typer.Option(help="Recordings of the picks, for the cross-correlation.")
    ] = None,
    label_free: Annotated[
        bool, typer.Option("--label-free", help="Compute the measures that need no truth.")
    ] = False,
    coverage: Annotated[
        Path | None, typer.Option(help="Coverage table. Default: PICKS.coverage.csv, if it exists.")
    ] = None,
    tolerance_p_s: Annotated[
        float | None, typer.Option(help="Largest error of a right P pick, s.", min=0)
    ] = None,
    tolerance_s_s: Annotated[
        float | None, typer.Option(help="Largest error of a right S pick, s.", min=0)
    ] = None,
    time_tolerance_s: TimeTolerance = None,
    distance_tolerance_km: DistanceTolerance = None,
    bandpass_hz: Band = None,
    window_s: Annotated[
        tuple[float, float],
        typer.Option(help="Window of the waveform before and after a pick, s.", metavar="BEFORE AFTER"),
    ] = (0.5, 1.5),
    max_lag_s: Annotated[float, typer.Option(help="Largest lag of the cross-correlation, s.", min=0)] = 0.5,
    common_mode: Annotated[
        bool, typer.Option("--common-mode", help="Subtract the median over the channels.")
    ] = False,
    stated: dict[str, Any],
    json_: Annotated[Path | None, typer.Option("--json", help="JSON file for all numbers.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Folder for figures.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.", min=0)] = 0,
) -> None:
    """Compare picks and events with a truth, waveforms or a catalog.

    The section `evaluation` of --config names the truth, the reference and the tolerances.

    With --label-free, PICKS is a folder of 'associate' or of the workflow, or a pick table after association.

    Example: phasenet-das evaluate picks.parquet --truth truth_picks.parquet --json scores.json
    """
    from phasenet_das.evaluate import CorrelationWindow, report
    from phasenet_das.io.files import find_recordings

    base = read_settings(config)
    tables = _by_picker(pick_tables or [])
    cut = CorrelationWindow(*window_s, max_lag_s, bandpass_hz or (1.0, 15.0), common_mode)
    if label_free:
        compared = {"--truth": truth, "--events": events, "--reference": reference, "--figures": figures}
        excess = [name for name, value in compared.items() if value is not None]
        if excess or not tables:
            raise ConfigError(f"--label-free: expected PICKS without {excess[0] if excess else '--truth'}.")
        stages = _stages(tables, config, waveforms or [], stated)
        found = [report.evaluate_without_truth(stages, cut, seed=seed)]
        _write(found, [file for path in tables.values() for file in _pick_files(path)], json_, None)
        return
    picks = next(iter(tables.values()), None)
    settings = override(
        base.truth,
        picks=None if truth is None else str(truth),
        events=None if reference is None else str(reference),
        tolerance_p_s=tolerance_p_s,
        tolerance_s_s=tolerance_s_s,
        time_tolerance_s=time_tolerance_s,
        distance_tolerance_km=distance_tolerance_km,
    )
    if truth is not None and picks is None:
        raise ConfigError("--truth: name the pick table that is compared with it.")
    if reference is not None and events is None:
        raise ConfigError("--reference: name the event table that is compared with it with --events.")
    truth = None if settings.picks is None or picks is None else Path(settings.picks)
    reference = None if settings.events is None or events is None else Path(settings.events)
    _check_partners(picks, truth, waveforms, events, reference)
    found = []
    if picks is not None and truth is not None:
        limits = {"P": settings.tolerance_p_s, "S": settings.tolerance_s_s}
        options: dict[str, Any] = {"tolerance_s": limits, "coverage": coverage, "seed": seed}
        found.append(
            report.evaluate_pick_file(picks, truth, **options)
            if "" in tables
            else report.evaluate_pickers(tables, truth, **options)
        )
    if picks is not None and waveforms:
        sources = find_recordings(waveforms)
        facts = stated_facts(override(base.data, **stated))
        found.append(report.evaluate_pick_waveforms(picks, sources, cut, **facts))
    if events is not None and reference is not None:
        found.append(
            report.evaluate_event_file(
                events,
                reference,
                time_tolerance_s=settings.time_tolerance_s,
                distance_tolerance_km=settings.distance_tolerance_km,
                coverage=coverage,
                min_magnitude=settings.min_magnitude,
            )
        )
    inputs = [path for path in (*tables.values(), truth, events, reference) if path is not None]
    _write(found, inputs, json_, figures)


def _check_partners(
    picks: Path | None,
    truth: Path | None,
    waveforms: list[str] | None,
    events: Path | None,
    reference: Path | None,
) -> None:
    """Refuse a table that nothing is compared with, and no table at all."""
    if picks is not None and truth is None and not waveforms:
        raise ConfigError("PICKS: expected --truth or --waveforms to compare them with, or --label-free.")
    if events is not None and reference is None:
        raise ConfigError("--events: found no --reference. Name the catalog to compare with.")
    if picks is None and events is None:
        raise ConfigError("nothing to evaluate: name PICKS --truth TRUTH, or --events E --reference R.")


def _write(
    found: list[EvaluationReport], inputs: Iterable[Path], json_: Path | None, figures: Path | None
) -> None:
    from phasenet_das.evaluate.report import write_evaluations
    from phasenet_das.tables.provenance import provenance

    typer.echo("\n\n".join(one.text for one in found))
    facts = provenance(inputs=[path for path in inputs if path.is_file()])
    for path in write_evaluations(found, json_path=json_, figure_dir=figures, metadata=facts):
        typer.echo(f"-> {path}")


def _pick_files(path: Path) -> list[Path]:
    """List the pick tables of a results folder, those of its stages where the workflow wrote it."""
    if not path.is_dir():
        return [path]
    return sorted(path.glob("*/picks.parquet")) or [path / "picks.parquet"]


def _stages(
    tables: dict[str, Path], config: Path | None, waveforms: list[str], stated: dict[str, Any]
) -> Iterator[MeasuredStage]:
    """Read the stages of results folders, and folders and tables of one stage, one by one."""
    from phasenet_das.evaluate.measures import read_stage
    from phasenet_das.io.archive import open_archive
    from phasenet_das.io.files import find_recordings
    from phasenet_das.pipeline.measures import measured_stages

    before = ""
    data = override(read_settings(config).data, **stated)
    recordings = open_archive(find_recordings(waveforms), data).recordings if waveforms else ()
    for name, path in tables.items():
        if (path / "index" / "jobs.json").exists():
            if waveforms or name:
                raise ConfigError(
                    f"{path}: found a results folder of the workflow, which has its own stages and "
                    "recordings. Leave out --waveforms, and NAME= before the folder."
                )
            yield from measured_stages(read_settings(config or path / "config.yaml"), path)
        elif path.is_dir() and (path.parent / "index" / "jobs.json").exists() and not waveforms:
            settings = read_settings(config or path.parent / "config.yaml")
            yield from measured_stages(settings, path.parent, path.name)
        else:
            yield read_stage(name or path.stem, path, recordings, before)
            before = name


def _by_picker(tables: list[str]) -> dict[str, Path]:
    """Read TABLE, or NAME=TABLE of several pickers, as tables by name; a single table may have none."""
    if len(tables) == 1 and ("=" not in tables[0] or Path(tables[0]).exists()):
        return {"": Path(tables[0])}
    found = {}
    for table in tables:
        name, _, path = table.partition("=")
        if not name or not path or name in found:
            raise ConfigError(
                f"PICKS {table}: expected NAME=TABLE, with another name for each of several tables."
            )
        found[name] = Path(path)
    return found
