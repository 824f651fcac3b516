"""The program: its commands, its messages and its exit codes."""

from __future__ import annotations

import errno
import logging
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from gamma.errors import GammaError
from phasenet_das.cli.associate import associate
from phasenet_das.cli.evaluate import evaluate
from phasenet_das.cli.export import export
from phasenet_das.cli.info import info
from phasenet_das.cli.init import init
from phasenet_das.cli.inspect import inspect
from phasenet_das.cli.jobs import jobs
from phasenet_das.cli.magnitude import magnitude_app
from phasenet_das.cli.options import Command
from phasenet_das.cli.pick import pick
from phasenet_das.cli.plot import plot_app
from phasenet_das.cli.receive import receive
from phasenet_das.cli.report import report
from phasenet_das.cli.run import run
from phasenet_das.cli.simulate import simulate
from phasenet_das.cli.train import train
from phasenet_das.cli.watch import watch
from phasenet_das.cli.weights import weights_app
from phasenet_das.cli.windows import windows
from phasenet_das.errors import PhaseNetDASError

app = typer.Typer(
    help="Pick DAS recordings, locate earthquakes, and train networks for your cable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    info,
    init,
    pick,
    watch,
    receive,
    associate,
    export,
    evaluate,
    inspect,
    report,
    simulate,
    windows,
    train,
):
    app.command(cls=Command)(_command)
app.command(cls=Command, context_settings={"allow_extra_args": True})(run)
app.command(cls=Command, hidden=True)(jobs)  # of the workflow's rules only
app.add_typer(weights_app, name="weights")
app.add_typer(magnitude_app, name="magnitude")
app.add_typer(plot_app, name="plot")

RUN_VARIABLE = "PHASENET_DAS_RUN"  # a run of the workflow names itself to its jobs
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _show_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"phasenet-das {version('phasenet-das')}")
        except PackageNotFoundError:
            typer.echo("phasenet-das (not installed)")
        raise typer.Exit


@app.callback()
def _common(
    *,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print progress messages.")] = False,
    version_: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version_
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("pint").setLevel(logging.ERROR)  # dascore's own units, redefined on purpose
    for name in ("phasenet_das", "gamma"):
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)
    if not verbose:  # dask sets its level itself, when it is imported, here and in the workers
        os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")


def main() -> None:
    """Run the command line; errors made on purpose are one message on stderr and exit code 1."""
    if RUN_VARIABLE in os.environ:
        from phasenet_das.pipeline.lock import end_with_the_run

        end_with_the_run()
    try:
        app()
    except (PhaseNetDASError, GammaError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            if error.filename is None:
                raise
            typer.echo(f"error: {error.filename}: {error.strerror}.", err=True)
            sys.exit(1)
        typer.echo(
            f"error: no room left to write ({error}). Make room, or choose another place with -o. Then run "
            "the same command again: it resumes.",
            err=True,
        )
        sys.exit(1)
