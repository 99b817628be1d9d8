"""Results as CodeBuild's report groups read them: https://docs.aws.amazon.com/codebuild/latest/userguide/test-reporting.html."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from jobs import job


class Case(NamedTuple):
    """What was looked at, under which name, what is wrong with it, and how long it took."""

    place: str
    name: str
    problem: str
    seconds: float = 0.0


def write(path: Path, suite_name: str, cases: list[Case]) -> None:
    """Write a suite of cases; secrets do not stand in it."""
    failures = sum(bool(case.problem) for case in cases)
    suite = ET.Element("testsuite", name=suite_name, tests=str(len(cases)), failures=str(failures))
    for case in cases:
        element = ET.SubElement(
            suite, "testcase", classname=job.masked(case.place), name=case.name, time=f"{case.seconds:g}"
        )
        if case.problem:
            ET.SubElement(element, "failure", message=job.masked(case.problem))
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
