"""What `python -m local rehearse` takes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from local.errors import Refusal
from local.rehearsal.breaking import BREAKS
from local.rehearsal.running_definition import read_definition

_ROOT = Path(__file__).parents[2]
EXAMPLE = _ROOT / "examples" / "app"
REPORTS = _ROOT / ".local" / "rehearsal"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    command.add_argument("--app", type=Path, default=EXAMPLE, metavar="FOLDER", help="default: examples/app")
    command.add_argument(
        "--stack", action="append", metavar="NAME", help="dev or prod alone; by default dev, and prod that it starts"
    )
    command.add_argument(
        "--stack-file",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="other settings of a stack; NAME= may be left out with one --stack",
    )
    command.add_argument(
        "--until", default="", metavar="NAME", help="end after this stage or action; prod/NAME for one of prod"
    )
    part = command.add_mutually_exclusive_group()
    part.add_argument("--fresh", action="store_true", help="run everything, also what has not changed")
    part.add_argument(
        "--retry", action="store_true", help="continue the last rehearsal: run what did not succeed, and what follows"
    )
    part.add_argument(
        "--from", dest="begin", default="", metavar="NAME", help="take what comes before from earlier rehearsals"
    )
    part.add_argument("--only", default="", metavar="NAME", help="run this stage or action, and nothing else")
    command.add_argument(
        "--variable",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="a variable of the first pipeline, such as LIGHTHOUSE_RUNS=1",
    )
    command.add_argument("--list", action="store_true", help="print stages and actions, and run nothing")
    command.add_argument("--graph", action="store_true", help="draw the pipelines as a page, and run nothing")
    command.add_argument(
        "--break", dest="fault", choices=tuple(BREAKS), help="put a fault into a copy of the application"
    )
    command.add_argument("--approve", action="store_true", help="say yes to each manual approval")
    command.add_argument("--shell", action="store_true", help="open a shell in a job that has failed")
    command.add_argument("--watch", action="store_true", help="rehearse again whenever a file changes, until Ctrl-C")
    command.add_argument("--keep", action="store_true", help="leave the services running at the end, until Ctrl-C")
    command.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a base image: what `docker save` wrote, or a folder of such files",
    )
    command.add_argument(
        "--network", action="store_true", help="fetch base images, and let RUN lines reach this machine's network"
    )
    command.add_argument(
        "--secrets",
        type=Path,
        metavar="FILE",
        help="values of the secrets that containers read: NAME=VALUE lines, or JSON",
    )
    command.add_argument(
        "--running-task-definition",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="what a service of hosting.existing runs, as `aws ecs describe-task-definition` prints it",
    )
    command.add_argument("--report", type=Path, default=REPORTS, metavar="FOLDER", help="default: .local/rehearsal")
    command.add_argument("--verbose", action="store_true", help="print every line of every log")
    command.add_argument("--json", action="store_true", help="print what came of it as JSON, and nothing else")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def stack_files(options: argparse.Namespace) -> dict[str, Path]:
    """Return the settings of each stack that is rehearsed, in the order in which a change travels.

    Raises:
        Refusal: A file is given, and it is not said of which stack, or of one that is not rehearsed.
    """
    files = {name: _ROOT / f"Pulumi.{name}.yaml" for name in _names(options)}
    return {**files, **_by_stack(options, "--stack-file", options.stack_file)}


def running_definitions(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return what the services of stacks run before the rehearsal, for those that it is given for.

    Raises:
        Refusal: A file is given, and it is not said of which stack, or it is no task definition.
    """
    option = "--running-task-definition"
    return {
        name: read_definition(file)
        for name, file in _by_stack(options, option, options.running_task_definition).items()
    }


def _names(options: argparse.Namespace) -> list[str]:
    """The stacks that are rehearsed."""
    return options.stack or ["dev", "prod"]


def _by_stack(options: argparse.Namespace, option: str, values: list[str]) -> dict[str, Path]:
    """The files of an option by their stacks.

    Raises:
        Refusal: It is not said of which stack, or of one that is not rehearsed.
    """
    names, files = _names(options), dict[str, Path]()
    for given in values:
        name, named, file = given.partition("=")
        if not named:
            if len(options.stack or ()) != 1:
                raise Refusal(f"{option} {given} does not say of which stack: {option} NAME={given}")
            name, file = names[0], given
        if name not in names:
            raise Refusal(
                f"{option} {given}: {name} is not rehearsed, but {', '.join(names)}; name them all with --stack"
            )
        files[name] = Path(file).resolve()
    return files
