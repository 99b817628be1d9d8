"""Test reports, counted by their test cases.

Sources: https://docs.aws.amazon.com/codebuild/latest/userguide/test-reporting.html, and
https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html, ``reports``.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from local.rehearsal.codebuild.model import Report

DEFAULT_FORMAT = "JUNITXML"
_OUTCOMES = ("failure", "error", "skipped")


class UnreadableReport(Exception):  # noqa: N818 - what CodeBuild says, for the phase to fail with
    """A file that is no report of its format."""


def read_junit(files: Iterable[tuple[str, Path]]) -> Report:
    """The test cases of JUnit XML files; what a suite says of itself is not asked.

    Raises:
        UnreadableReport: a file is no XML, or holds no test suite.
    """
    read = 0
    cases: list[tuple[str, str, str]] = []
    for name, file in files:
        read += 1
        try:
            root = ET.parse(file).getroot()  # noqa: S314 - the build itself wrote it
        except ET.ParseError as error:
            raise UnreadableReport(f"{name} is no XML: {error}") from None
        if root.tag not in {"testsuites", "testsuite"}:
            raise UnreadableReport(f"{name} is no JUnit XML: it begins with <{root.tag}>")
        cases += [_case(case) for case in root.iter("testcase")]
    count = {outcome: sum(case[0] == outcome for case in cases) for outcome in _OUTCOMES}
    return Report(
        files=read,
        tests=len(cases),
        failures=count["failure"],
        errors=count["error"],
        skipped=count["skipped"],
        failing=tuple(f"{name}: {message}" for outcome, name, message in cases if outcome in {"failure", "error"}),
    )


def _case(case: ET.Element) -> tuple[str, str, str]:
    """Outcome (empty when it passed), name and message of a test case."""
    name = " ".join(filter(None, (case.get("classname"), case.get("name"))))
    for outcome in _OUTCOMES:
        told = case.find(outcome)
        if told is not None:
            return outcome, name, told.get("message") or (told.text or "").strip()
    return "", name, ""
