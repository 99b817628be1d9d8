"""The Pulumi CLI as a workflow calls it, on this machine: the real one, with the local providers and state.

`pulumi preview --stack STACK ...` and `pulumi up --stack STACK ...`, in the folder of the program.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from local.engine import stack as engine

SCRIPT = '#!/bin/sh\nPYTHONPATH=. exec {python} {this} "$@"\n'
WANTED = {
    "preview": {"--json", "--show-sames", "--non-interactive"},
    "up": {"--yes", "--skip-preview", "--non-interactive"},
}


def install(folder: Path) -> None:
    """Put the command into a folder for PATH."""
    command = folder / "pulumi"
    command.write_text(SCRIPT.format(python=sys.executable, this=Path(__file__)), encoding="utf-8")
    command.chmod(0o755)


class _Printing(engine._Stack):
    """A stack whose preview prints what the CLI prints with these options."""

    def _run_pulumi_cmd_sync(self, args: list[str], *rest: Any) -> Any:  # noqa: ANN401 - the SDK's own
        is_preview = args[0] == "preview"
        result = super()._run_pulumi_cmd_sync([*args, *(["--json", "--show-sames"] if is_preview else [])], *rest)
        if is_preview:
            sys.stdout.write(result.stdout)
        return result


def main(arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    operation = arguments[0]
    stack = arguments[arguments.index("--stack") + 1]
    given = {each for each in arguments[1:] if each.startswith("-")} - {"--stack"}
    if given != WANTED[operation]:
        sys.stderr.write(f"pulumi {operation}: these options are not those of the workflows: {given}\n")
        return 255
    engine._Stack = _Printing  # type: ignore[misc]
    try:
        getattr(engine.LocalStack(stack, project_dir=Path.cwd()), operation)()
    except engine.EngineFailure as failure:
        sys.stderr.write(f"{failure}\n")
        return 255
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
