"""Files that travel between actions: chosen as the buildspec says, zipped, and unpacked again; and test reports.

Source: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html, ``artifacts`` and ``reports``. What
it leaves open is as in the logs people show: a path that matches nothing is skipped, and only when none is left the
phase fails with "no matching artifact paths found" (aws-samples/amazon-ecs-fargate-cdk-cicd#13).

A symbolic link becomes what it leads to, since no buildspec here enables them. File modes do not travel: "codebuild
does not preserve permissions" (https://github.com/cdklabs/aws-delivlib/pull/25), and neither does CodePipeline
(`local.rehearsal.codebuild.source_action`). No job here needs them.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from local.rehearsal.codebuild.model import Report

_EVERYTHING = "**/*"
_OUTCOMES = ("failure", "error", "skipped")


class NoMatch(Exception):  # noqa: N818 - what CodeBuild says, for the phase to fail with
    """There is nothing where the buildspec says that something is."""


class LeadsOut(Exception):  # noqa: N818 - why the source cannot be unpacked
    """A zip that names a file outside of the folder that it is unpacked in."""


class UnreadableReport(Exception):  # noqa: N818 - what CodeBuild says, for the phase to fail with
    """A file that is no report of its format."""


def chosen(root: Path, rules: Mapping[str, Any], note: Callable[[str], None], what: str) -> dict[str, Path]:
    """Return the files that ``files`` and ``base-directory`` choose: path in the zip -> file.

    Args:
        root: The build's source folder.
        rules: The buildspec's ``artifacts``, or one of its ``reports``.
        note: Writes to the log.
        what: What is looked for: ``artifact`` or ``report``.

    Raises:
        NoMatch: The base directory is not there, or no file of any of the paths.
    """
    base = root / rules.get("base-directory", ".")
    if not base.is_dir():
        raise NoMatch(f"no matching base directory path found for {rules['base-directory']}")
    there = {path: file for path, file in _files(base) if file.is_file()}
    found: dict[str, Path] = {}
    for path in rules["files"]:
        matching = there if path == _EVERYTHING else {path: there[path]} if path in there else {}
        if not matching:
            note(f"Skipping invalid file path {path}")
        found |= matching
    if not found:
        raise NoMatch(f"no matching {what} paths found")
    return found


def pack(files: Mapping[str, Path], target: Path) -> Path:
    """Zip files, by their paths in the zip."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        for path, file in sorted(files.items()):
            packed.write(file, path)
    return target


def unpack(source: Path, folder: Path) -> Path:
    """Unpack an artifact; a folder stands for one that an earlier build has packed of it.

    Raises:
        LeadsOut: It names a file outside of the folder. Python would put that inside, under another name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        files = {path: file for path, file in _files(source) if file.is_file()}
        packed = pack(files, folder.parent / f"{folder.name}.zip")
        unpack(packed, folder)
        packed.unlink()
        return folder
    with zipfile.ZipFile(source) as packed_files:
        for name in packed_files.namelist():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise LeadsOut(f"{source.name} holds {name!r}, which leads out of the folder that it is unpacked in")
        packed_files.extractall(folder)
    return folder


def names_in(packed: Path) -> list[str]:
    """Return the paths in a zip, sorted."""
    with zipfile.ZipFile(packed) as files:
        return sorted(files.namelist())


def read_junit(files: Iterable[tuple[str, Path]]) -> Report:
    """Return the test cases of JUnit XML files; what a suite says of itself is not asked.

    Source: https://docs.aws.amazon.com/codebuild/latest/userguide/test-reporting.html.

    Raises:
        UnreadableReport: A file is no XML, or holds no test suite.
    """
    cases: list[tuple[str, str]] = []
    for name, file in files:
        try:
            root = ET.parse(file).getroot()  # noqa: S314 - the build itself wrote it
        except ET.ParseError as error:
            raise UnreadableReport(f"{name} is no XML: {error}") from None
        if root.tag not in {"testsuites", "testsuite"}:
            raise UnreadableReport(f"{name} is no JUnit XML: it begins with <{root.tag}>")
        cases += [_case(case) for case in root.iter("testcase")]
    count = {outcome: sum(case[0] == outcome for case in cases) for outcome in _OUTCOMES}
    return Report(
        tests=len(cases),
        failures=count["failure"],
        errors=count["error"],
        failing=tuple(text for outcome, text in cases if outcome in {"failure", "error"}),
    )


def _case(case: ET.Element) -> tuple[str, str]:
    """Outcome (empty when it passed), and name with message, of a test case."""
    name = " ".join(filter(None, (case.get("classname"), case.get("name"))))
    for outcome in _OUTCOMES:
        told = case.find(outcome)
        if told is not None:
            return outcome, f"{name}: {told.get('message') or (told.text or '').strip()}"
    return "", name


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for here, folders, files in os.walk(folder):
        links = [name for name in folders if Path(here, name).is_symlink()]
        for name in sorted([*files, *links]):
            file = Path(here, name)
            yield str(file.relative_to(folder)), file
