"""The comment on a pull request that switches the release on, widens a permission and changes a size.

`tests/golden/change-report.md`, made by the real engine; `python -m tests.generate report` writes it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edits import changed

from components.settings import load_stack_file
from local.engine.stack import LocalStack
from local.report import model
from local.report.preview import of_outcome

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden" / "change-report.md"
sys.path.append(str(Path(__file__).with_name("engine")))

from live_stack import LiveStack, deployed  # noqa: E402 - the path is set just above
from reviewed_edits import BASES, RELEASE, uploads  # noqa: E402

PULL_REQUEST: Mapping[str, Any] = {
    "application.memory": 2048,
    "hosting.service.taskRolePolicy": uploads("arn:aws:s3:::shop-*"),
    "release": RELEASE,
}
"""What it edits in prod's file; dev's it leaves as it is."""


class Deployed:
    """The two stacks of the repository, deployed once; each edit is planned on what is deployed.

    Args:
        folder: Where their files and states are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._stacks = {}
        for name, values in BASES.items():
            (folder / name).mkdir()
            stack = LiveStack(folder / name)
            content = changed(dict(load_stack_file(ROOT / f"Pulumi.{name}.yaml")), values)
            stack.with_config(content).up()
            stack.rewrite(deployed)
            self._stacks[name] = (stack, content)

    def edited(self, name: str, sets: Mapping[str, Any]) -> LocalStack:
        """Return the stack with an edited file."""
        stack, content = self._stacks[name]
        return stack.with_config(changed(content, sets))


def report(stacks: Deployed) -> model.Report:
    """Return the report of the pull request."""
    edits: Mapping[str, Mapping[str, Any]] = {"dev": {}, "prod": PULL_REQUEST}
    previews = [of_outcome(name, stacks.edited(name, sets).preview()) for name, sets in edits.items()]
    return model.Report(tuple(map(model.of, previews)))


def main() -> None:
    """Write the comment."""
    from local.report.markdown import markdown  # noqa: PLC0415 - the page is one of several that are written

    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(markdown(report(Deployed(Path(folder)))), encoding="utf-8")
