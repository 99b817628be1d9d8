"""`python -m local rehearse`: the delivery of an application from a push to its release, on this machine."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from local.errors import Refusal
from local.rehearsal import tools
from local.rehearsal.arguments import stack_files
from local.rehearsal.graphs import PROGRAM, deployed_graph
from local.rehearsal.job_sandbox import machine_for
from local.rehearsal.temporary import everything_temporary_in, temporary_folder


def rehearse(options: argparse.Namespace, command: Sequence[str]) -> int:
    """Rehearse a delivery.

    Args:
        options: The command line, see `local.rehearsal.arguments`.
        command: The command line as it was given.

    Returns:
        0 when everything was delivered, 1 when it was not.

    Raises:
        Refusal: Something has to be put right first.
    """
    _check_together(options)
    if options.watch:
        from local.rehearsal.watching import again_and_again  # noqa: PLC0415 - only here, see below

        again = [word for word in sys.argv if word != "--watch"]
        again_and_again(
            [sys.executable, "-m", "local", *again[1:]], [options.app, *stack_files(options).values(), *PROGRAM]
        )
    with temporary_folder("rehearsal-") as made, everything_temporary_in(made.path):
        return _rehearse(options, command, made.path)


def _rehearse(options: argparse.Namespace, command: Sequence[str], folder: Path) -> int:
    """Rehearse a delivery, with all temporary files in a folder."""
    started = time.time()
    graphs = {name: deployed_graph(name, file) for name, file in stack_files(options).items()}
    with contextlib.ExitStack() as ends:
        sandbox = None
        if not (options.list or options.graph or tools.missing(tools.REHEARSAL)):
            sandbox = ends.enter_context(machine_for(graphs.values()))
        # Only now: the machine starts meanwhile, which takes as long as this import.
        from local.rehearsal.delivery import deliver, look  # noqa: PLC0415 - as above

        if options.list or options.graph:
            return look(options, graphs)
        return deliver(options, command, graphs, folder, started=started, sandbox=sandbox)


def _check_together(options: argparse.Namespace) -> None:
    """Refuse options that exclude each other.

    Raises:
        Refusal: Some do.
    """
    if options.only and options.until:
        raise Refusal("--only ends after what it names: leave out --until")
    if options.watch and (options.keep or options.shell):
        raise Refusal("--watch goes on by itself: leave out --keep and --shell, or --watch")
    if options.shell and not sys.stdin.isatty():
        raise Refusal("--shell opens a shell, which needs a terminal")
