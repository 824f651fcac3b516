"""The command line ``phasenet-das``: one module a command."""

from phasenet_das.cli.application import app, main

__all__ = ["app", "main"]
