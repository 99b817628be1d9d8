"""The same program on this machine: `python -m local preview --stack dev`."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.errors import Refusal
from local.rehearsal.arguments import add_arguments, stack_files
from local.stack_file import check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.engine.outcome import Outcome
    from local.engine.stack import LocalStack

ROOT = Path(__file__).parents[1]
_DONE = {"preview": "Planned", "up": "Deployed", "destroy": "Destroyed"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name; by default this process's.

    Returns:
        0 if it worked, 1 if something was refused or failed, 3 if a tool is missing, 130 if it was interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        exit_code = _run(options)
        sys.stdout.flush()
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return refusal.exit_code
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has had enough of it (`| head`); Python must not complain when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="Run this program with the real Pulumi engine and stand-in AWS: no account, nothing real is made.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_text in (
        ("preview", "show what up would do"),
        ("up", "deploy into a state kept on this machine"),
        ("destroy", "delete what up deployed, and that state"),
        ("outputs", "print the outputs of what is deployed"),
        ("graph", "print every deployed resource as JSON"),
    ):
        command = commands.add_parser(name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
        command.add_argument("--stack", default="dev", help="the stack (default: dev)")
        command.add_argument(
            "--stack-file", type=Path, metavar="FILE", help="its settings (default: Pulumi.STACK.yaml)"
        )
        command.add_argument("--json", action="store_true", help="print JSON and nothing else")
        if name in _DONE:
            command.add_argument("--diff", action="store_true", help="show every value that changes")
    about = "run the whole delivery of an application: pipelines, deployments, releases"
    rehearse = commands.add_parser("rehearse", help=about, description=f"{about[0].upper()}{about[1:]}.")
    add_arguments(rehearse)
    for name, about in (
        ("engine", "say which pulumi is used, building it if there is none"),
        ("tools", "bring what executing the pipeline's jobs on this machine needs"),
    ):
        command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        if name == "tools":
            command.add_argument("--if-possible", action="store_true", help="go on without what cannot be brought here")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.command == "engine":
        from local.engine.pulumi_cli import find_pulumi  # noqa: PLC0415 - the rest takes time to import

        pulumi = find_pulumi()
        print(f"pulumi {pulumi.version} ({pulumi.path})")
        return 0
    if options.command == "tools":
        return _bring_tools(if_possible=options.if_possible)
    if options.command == "rehearse":
        return _rehearse(options)
    stack_file = (options.stack_file or ROOT / f"Pulumi.{options.stack}.yaml").resolve()
    if options.command in _DONE:
        _find(stack_file, given=options.stack_file is not None)
        check(stack_file, options.stack)
    from local.engine.stack import LocalStack  # noqa: PLC0415 - a wrong stack file is told without waiting for it

    stack = LocalStack(options.stack, project_dir=ROOT, stack_file=stack_file)
    if options.command == "graph":
        return _print_deployed(stack, stack.graph(), as_json=True)
    if options.command == "outputs":
        return _print_deployed(stack, stack.outputs(), as_json=options.json)
    return _operate(stack, options.command, as_json=options.json, with_diff=options.diff)


def _bring_tools(*, if_possible: bool) -> int:
    from local.rehearsal import tools  # noqa: PLC0415 - as above

    if if_possible:
        tools.bring_if_possible()
        return 0
    tools.bring()
    print(f"Everything is there: {', '.join(sorted(tools.TOOLS))}. What is not locked has these versions:")
    print(tools.versions(), end="")
    return 0


def _rehearse(options: argparse.Namespace) -> int:
    for name, file in stack_files(options).items():
        _find(file, given=file != ROOT / f"Pulumi.{name}.yaml")
    from local.rehearsal.command import rehearse  # noqa: PLC0415 - as above

    return rehearse(options, ["make", "rehearse"])


def _operate(stack: LocalStack, command: str, *, as_json: bool, with_diff: bool) -> int:
    """Preview, deploy or destroy, and tell about it."""
    from local.engine.report import report  # noqa: PLC0415 - as above
    from local.engine.stack import EngineFailure  # noqa: PLC0415 - as above

    if command == "destroy" and not stack.exists:
        print(f"Stack {stack.name} is not deployed on this machine: there is nothing to destroy.")
        return 0
    if not as_json:
        about = f"pulumi {stack.pulumi.version}, stand-in AWS, no account"
        print(f"Stack {stack.name} of {_shown(stack.stack_file)}: {about}.\n", flush=True)
    started = time.monotonic()
    try:
        outcome = getattr(stack, command)(diff=with_diff)
    except EngineFailure as failure:
        print(failure, file=sys.stderr)
        return 1
    if as_json:
        told = {key: value for key, value in dataclasses.asdict(outcome).items() if key != "text"}
        print(json.dumps(told, indent=2))
        return 0
    print(f"{outcome.text}\n\n" if with_diff else report(outcome, planned=command == "preview"), end="")
    print(f"{_DONE[command]} in {time.monotonic() - started:.1f} s. {_next_step(command, stack, outcome)}")
    return 0


def _find(stack_file: Path, *, given: bool) -> None:
    """Refuse a stack that has no file."""
    if not stack_file.is_file() and not given:
        stacks = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))
        raise Refusal(
            f"{stack_file.name}: there is no such stack file. Stacks here: {', '.join(stacks) or 'none'} - "
            f"take one of them (STACK=...), or copy its file to {stack_file.name}."
        )


def _shown(path: Path) -> str:
    """A path as a person would write it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _next_step(command: str, stack: LocalStack, outcome: Outcome) -> str:
    own = stack.stack_file == ROOT / f"Pulumi.{stack.name}.yaml"
    options = f"STACK={stack.name}" if own else f"STACK={stack.name} STACK_FILE={_shown(stack.stack_file)}"
    if command == "preview":
        return f"To deploy it here: make up {options}" if outcome.changes else "No changes."
    if command == "up":
        return f"Its resources: make graph STACK={stack.name}; to remove it: make destroy {options}"
    return "Its state is gone from this machine."


def _print_deployed(stack: LocalStack, what: Any, *, as_json: bool) -> int:  # noqa: ANN401 - any JSON
    if not what:
        raise Refusal(f"Stack {stack.name} is not deployed on this machine: make up STACK={stack.name}")
    if as_json:
        print(json.dumps(what, indent=2))
        return 0
    width = max((len(key) for key in what), default=0)
    for key, value in what.items():
        text = value if isinstance(value, str) else json.dumps(value)
        print(f"{key:<{width}}  {text}")
    return 0


if __name__ == "__main__":
    gc.disable()  # a short life with a thousand imports: collecting takes a tenth of it and finds nothing
    sys.exit(main())
