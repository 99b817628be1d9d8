"""Checks the workflows, `python -m local.actionlint`; the first time it builds actionlint."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from local.errors import Refusal
from local.go_tool import GoTool, locked_version

_MODULE = Path(__file__).parent


def main() -> int:
    """Check the workflows of the repository, and the shell scripts in them if there is a shellcheck.

    Returns:
        0 if nothing was found, 1 if something was or actionlint could not be built, 3 if a tool is missing.
    """
    tool = GoTool(
        name="actionlint",
        version=locked_version(_MODULE, "github.com/rhysd/actionlint"),
        module=_MODULE,
        packages={"actionlint": "github.com/rhysd/actionlint/cmd/actionlint"},
        variables={},
        wait="half a minute",
    )
    try:
        tool.build()
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return refusal.exit_code
    shellcheck = shutil.which(Path(sys.executable).with_name("shellcheck")) or "shellcheck"
    return subprocess.run([tool.bin / "actionlint", f"-shellcheck={shellcheck}"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
