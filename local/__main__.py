"""The same program on this machine: `python -m local preview --stack dev`."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import dataclasses
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.engine.lean_sdk import lean_sdks
from local.engine.pulumi_cli import is_there
from local.engine.stand_ins import StandInsApart
from local.errors import Refusal
from local.estimates.estimate import RUNS
from local.new.arguments import add_arguments as add_new_arguments
from local.rehearsal.arguments import add_arguments, stack_files
from local.report.arguments import add_arguments as add_report_arguments
from local.rollback.arguments import add_arguments as add_rollback_arguments
from local.stack_file import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.engine.outcome import Outcome
    from local.engine.stack import LocalStack

ROOT = Path(__file__).parents[1]
_DONE = {"preview": "Planned", "up": "Deployed", "destroy": "Destroyed"}
_DOING = {"preview": "Planning", "up": "Deploying", "destroy": "Destroying"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name; by default this process's.

    Returns:
        0 if it worked, 1 if something was refused or failed, 3 if a tool is missing, 130 if it was interrupted; of
        `report` 3 also if what is reported asks for a second pair of eyes.
    """
    options = _parser().parse_args(arguments)
    try:
        with lean_sdks():
            exit_code = _run(options)
        sys.stdout.flush()
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return refusal.exit_code
    except (KeyboardInterrupt, EOFError):
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
        command = _about_a_stack(commands, name, help_text)
        command.add_argument("--json", action="store_true", help="print JSON and nothing else")
        if name in _DONE:
            command.add_argument("--diff", action="store_true", help="show every value that changes")
            about = "with --json, every resource before and after, as `report` reads them from a file"
            command.add_argument("--states", action="store_true", help=about)
        if name == "preview":
            command.add_argument("--all", action="store_true", help="show every resource that changes, and the outputs")
    _add_about_a_stack(commands)
    about = "write the stack files of a repository"
    add_new_arguments(commands.add_parser("new", help=about))
    about = "run the whole delivery of an application: pipelines, deployments, releases"
    rehearse = commands.add_parser("rehearse", help=about, description=f"{about[0].upper()}{about[1:]}.")
    add_arguments(rehearse)
    about = "tell what a preview means: losses, users, permissions, pipeline, time and money"
    add_report_arguments(commands.add_parser("report", help=about))
    about = "bring back a version that was deployed before, in your AWS account"
    add_rollback_arguments(_about_a_stack(commands, "rollback", about))
    for name, about in (
        ("engine", "say which pulumi is used, building it if there is none"),
        ("tools", "bring what executing the pipeline's jobs on this machine needs"),
    ):
        command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        if name == "tools":
            command.add_argument("--if-possible", action="store_true", help="go on without what cannot be brought here")
    return parser


def _about_a_stack(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: str
) -> argparse.ArgumentParser:
    """Add a command that is about one stack."""
    command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    command.add_argument("--stack", default="dev", help="the stack (default: dev)")
    command.add_argument("--stack-file", type=Path, metavar="FILE", help="its settings (default: Pulumi.STACK.yaml)")
    return command


def _add_about_a_stack(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands that tell something of a stack file without deploying it."""
    for name, about in (
        ("cost", "say what a stack takes, in time and money"),
        (
            "diagram",
            "draw a stack: its pipeline, its resources, and a page with what its roles may do and what it costs",
        ),
    ):
        command = _about_a_stack(commands, name, about)
        command.add_argument("--runs", type=_runs, default=RUNS, help=f"runs of the pipeline a month (default: {RUNS})")
        if name == "cost":
            command.add_argument("--json", action="store_true", help="print JSON and nothing else")
        else:
            command.add_argument(
                "--output", type=Path, metavar="FOLDER", help="where to (default: .local/diagrams/STACK)"
            )


def _runs(text: str) -> int:
    """A number of runs as the command line has it."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of runs a month, such as {RUNS}, got {text!r}")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    others = {
        "cost": _tell,
        "diagram": _tell,
        "engine": _say_engine,
        "new": _write_new,
        "rehearse": _rehearse,
        "report": _report,
        "rollback": _rollback,
        "tools": _bring_tools,
    }
    if options.command in others:
        return others[options.command](options)
    stack_file = _stack_file(options)
    if options.command in _DONE:
        _find(stack_file, given=options.stack_file is not None)
        if options.command != "preview" or not is_there():
            read(stack_file, options.stack)
    with contextlib.ExitStack() as ends:
        apart = ends.enter_context(StandInsApart()) if options.command == "preview" else None
        return _run_on(options, stack_file, apart)


def _run_on(options: argparse.Namespace, stack_file: Path, stand_ins: StandInsApart | None) -> int:
    """Run a command about a stack on the engine."""
    from local.engine.stack import LocalStack  # noqa: PLC0415 - a wrong stack file is told without waiting for it

    stack = LocalStack(options.stack, project_dir=ROOT, stack_file=stack_file, stand_ins=stand_ins)
    if options.command == "graph":
        return _print_deployed(stack, stack.graph(), as_json=True)
    if options.command == "outputs":
        return _print_deployed(stack, stack.outputs(), as_json=options.json)
    return _operate(stack, options)


def _say_engine(options: argparse.Namespace) -> int:
    from local.engine.pulumi_cli import find_pulumi  # noqa: PLC0415 - the rest takes time to import

    del options
    pulumi = find_pulumi()
    print(f"pulumi {pulumi.version} ({pulumi.path})")
    return 0


def _write_new(options: argparse.Namespace) -> int:
    from local.new.command import asker, run  # noqa: PLC0415 - as above

    return run(options, ask=asker())


def _report(options: argparse.Namespace) -> int:
    from local.report.command import run  # noqa: PLC0415 - as above

    return run(options)


def _bring_tools(options: argparse.Namespace) -> int:
    from local.rehearsal import tools  # noqa: PLC0415 - as above

    if options.if_possible:
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


def _rollback(options: argparse.Namespace) -> int:
    stack_file = _stack_file(options)
    _find(stack_file, given=options.stack_file is not None)
    from local.rollback.command import rollback  # noqa: PLC0415 - as above

    return rollback(options, stack_file)


def _tell(options: argparse.Namespace) -> int:
    """Estimate or draw what a stack file makes."""
    stack_file = _stack_file(options)
    _find(stack_file, given=options.stack_file is not None)
    read(stack_file, options.stack)
    from local.engine.stack import EngineFailure  # noqa: PLC0415 - as above

    try:
        if options.command == "cost":
            from local.estimates.command import cost  # noqa: PLC0415 - as above

            print(cost(options.stack, stack_file, runs=options.runs, json_wanted=options.json), end="")
        else:
            from local.stack_page.command import draw  # noqa: PLC0415 - as above

            folder = options.output or ROOT / ".local" / "diagrams" / options.stack
            for file in draw(options.stack, stack_file, folder, runs=options.runs):
                print(f"wrote {_shown(file)}")
    except EngineFailure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def _operate(stack: LocalStack, options: argparse.Namespace) -> int:
    """Preview, deploy or destroy, and tell about it."""
    from local.engine.stack import EngineFailure  # noqa: PLC0415 - as above
    from local.progress import progress  # noqa: PLC0415 - as above

    command, as_json = options.command, options.json
    if command == "destroy" and not stack.exists:
        print(f"Stack {stack.name} is not deployed on this machine: there is nothing to destroy.")
        return 0

    def begin() -> None:
        if command == "up" or (command == "preview" and not as_json):
            _refuse(stack)
        elif command == "preview":
            read(stack.stack_file, stack.name)
        if not as_json:
            about = f"pulumi {stack.pulumi.version}, stand-in AWS, no account"
            print(f"Stack {stack.name} of {_shown(stack.stack_file)}: {about}.\n", flush=True)

    started = time.monotonic()
    try:
        with progress(_DOING[command]):
            if command == "preview":
                outcome = stack.preview(diff=options.diff, check=begin)
            else:
                begin()
                outcome = getattr(stack, command)(diff=options.diff)
    except EngineFailure as failure:
        from local.refusals import protected  # noqa: PLC0415 - as above

        print(protected(failure.messages, stack.stack_file, stack.name) or failure, file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(_told(outcome, with_states=options.states), indent=2))
        return 0
    print(_described(stack, command, outcome, options), end="")
    print(f"{_DONE[command]} in {time.monotonic() - started:.1f} s. {_next_step(command, stack, outcome)}")
    return 0


def _stack_file(options: argparse.Namespace) -> Path:
    """The stack file that a command is about."""
    path: Path = options.stack_file or ROOT / f"Pulumi.{options.stack}.yaml"
    return path.resolve()


def _refuse(stack: LocalStack) -> None:
    """Refuse what cannot be done to what is deployed."""
    from local.refusals import refuse  # noqa: PLC0415 - as above

    values, settings = read(stack.stack_file, stack.name)
    region = values.get("aws:region")
    refuse(stack.graph(), settings, stack=stack.name, file=stack.stack_file, region=str(region) if region else None)


def _described(stack: LocalStack, command: str, outcome: Outcome, options: argparse.Namespace) -> str:
    """What was done or would be, as its page, as a tree, or with every value."""
    from local.engine.report import report  # noqa: PLC0415 - as above
    from local.report.pages import page  # noqa: PLC0415 - as above

    if options.diff:
        return f"{outcome.text}\n\n"
    if command != "preview" or options.all:
        return report(outcome, planned=command == "preview")
    now, settings = read(stack.stack_file, stack.name)
    return page(outcome, settings, stack=stack.name, file=_shown(stack.stack_file), now=now, deployed=stack.deployed())


def _told(outcome: Outcome, *, with_states: bool) -> dict[str, Any]:
    """An outcome as JSON, without what the engine printed, and but for `--states` without the resources themselves."""
    steps = outcome.steps if with_states else [dataclasses.replace(step, old=None, new=None) for step in outcome.steps]
    told = dataclasses.asdict(dataclasses.replace(outcome, steps=tuple(steps), text=""))
    left_out = set() if with_states else {"old", "new"}
    told["steps"] = [{key: value for key, value in step.items() if key not in left_out} for step in told["steps"]]
    del told["text"]
    return told


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
    # A short life with a thousand imports: collecting takes a tenth of it, another one at the end, and finds nothing.
    gc.disable()
    atexit.register(gc.freeze)
    sys.exit(main())
