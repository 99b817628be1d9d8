"""No test is skipped silently: the run ends with what was skipped and the command that would bring what it needs.

Where NO_SKIPS is set, as in `.ci/run`, a skipped test fails.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)
_TOOL = re.compile(r"(?P<problem>\w+: .*?) \(bring it: (?P<cure>.*?)\)(?:; |$)")
"""As `local.rehearsal.tools.missing` says it, one after the other."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where NO_SKIPS is set."""
    report = yield
    return _judged(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped file into a failed one where NO_SKIPS is set."""
    report = yield
    return _judged(report)


def _judged(report: _Report) -> _Report:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("NO_SKIPS"):
        report.longrepr = f"{_reason(report)}\nNo test may be skipped here: NO_SKIPS is set."
        report.outcome = "failed"
    return report


@pytest.hookimpl(trylast=True)  # the last thing to be read
def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Say what was not run, why, and which command would change that."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    reasons: Counter[str] = Counter()
    cures: dict[str, None] = {}
    for report in skipped:
        tools = list(_TOOL.finditer(_reason(report)))
        reasons.update([tool["problem"] for tool in tools] or [_reason(report)])
        cures |= dict.fromkeys(tool["cure"] for tool in tools)
    terminalreporter.ensure_newline()
    terminalreporter.section(f"{len(skipped)} tests were not run on this machine", yellow=True)
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        terminalreporter.write_line(f"{count:>5}  {reason}")
    if cures:
        terminalreporter.write_line(f"To run them, bring what they need: {', then '.join(cures)}")


def _reason(report: Any) -> str:  # noqa: ANN401 - of a test or of a file
    """Return why something was skipped, in the words of who skipped it."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
