"""Files that travel between actions: chosen as the buildspec says, zipped, and unpacked again.

Source: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html, ``artifacts`` and ``reports``. What
it leaves open is as in the logs people show: a path that matches nothing is skipped, and only when none is left the
phase fails with "no matching artifact paths found" (aws-samples/amazon-ecs-fargate-cdk-cicd#13).

File modes do not travel: "codebuild does not preserve permissions" (https://github.com/cdklabs/aws-delivlib/pull/25),
and neither does CodePipeline (`local.rehearsal.codebuild.source_action`). No job here needs them.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


class NoMatch(Exception):  # noqa: N818 - what CodeBuild says, for the phase to fail with
    """There is nothing where the buildspec says that something is."""


def chosen(
    root: Path, rules: Mapping[str, Any], variables: Mapping[str, str], note: Callable[[str], None], what: str
) -> dict[str, Path]:
    """The files that ``files``, ``base-directory``, ``exclude-paths`` and ``discard-paths`` choose.

    Args:
        root: The build's source folder.
        rules: The buildspec's ``artifacts``, one of its ``secondary-artifacts``, or one of its ``reports``.
        variables: The environment, for ``$NAME`` in a path.
        note: Writes to the log.
        what: What is looked for: ``artifact`` or ``report``.

    Returns:
        path in the zip -> file.

    Raises:
        NoMatch: no folder matches the base directory, or no file any of the paths.
    """
    base = _filled(rules.get("base-directory", "."), variables)
    folders = [root] if base in {".", ""} else sorted(path for path in root.glob(base) if path.is_dir())
    if not folders:
        raise NoMatch(f"no matching base directory path found for {base}")
    excluded = rules.get("exclude-paths", [])
    left_out = [_pattern(item) for item in ([excluded] if isinstance(excluded, str) else excluded)]
    found: dict[str, Path] = {}
    for text in rules["files"]:
        path = _filled(text, variables)
        matching = dict(_matching(folders, _pattern(path), left_out))
        if not matching:
            note(f"Skipping invalid file path {path}")
        found |= matching
    if not found:
        raise NoMatch(f"no matching {what} paths found")
    if rules.get("discard-paths") in {True, "yes"}:
        return {path.rpartition("/")[2]: file for path, file in found.items()}
    return found


def pack(files: Mapping[str, Path], target: Path, *, keep_links: bool = False) -> Path:
    """Zip files; a symbolic link becomes what it leads to, unless it is to be kept and stays inside.

    That is the buildspec's ``enable-symlinks``, "no" by default: "all internal symbolic links in the source will be
    preserved" (https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html).

    Args:
        files: Path in the zip -> file.
        target: The zip to write.
        keep_links: Keep a symbolic link whose target is in the zip too.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    inside = {file.resolve() for file in files.values() if not file.is_symlink()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        for path, file in sorted(files.items()):
            if keep_links and file.is_symlink() and file.resolve() in inside:
                entry = zipfile.ZipInfo(path)
                entry.create_system = 3  # Unix, or the mode means nothing
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
                packed.writestr(entry, str(file.readlink()))
            else:
                packed.write(file, path)
    return target


def unpack(source: Path, folder: Path) -> Path:
    """Unpack an artifact; a folder stands for one that an earlier build has packed of it."""
    folder.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        packed = pack(
            {path: file for path, file in _files(source) if file.is_file()}, folder.parent / f"{folder.name}.zip"
        )
        unpack(packed, folder)
        packed.unlink()
        return folder
    with zipfile.ZipFile(source) as packed_files:
        for entry in packed_files.infolist():
            if stat.S_ISLNK(entry.external_attr >> 16):
                link = folder / entry.filename
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(packed_files.read(entry).decode())
            else:
                packed_files.extract(entry, folder)
    return folder


def matches(pattern: str, path: str) -> bool:
    """Whether a path of the buildspec's ``files`` means this file."""
    return bool(_pattern(pattern).fullmatch(path))


def names_in(packed: Path) -> list[str]:
    """The paths in a zip, sorted."""
    with zipfile.ZipFile(packed) as files:
        return sorted(files.namelist())


def _filled(path: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables.get(match[1], ""), path).removeprefix("./")


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for here, folders, files in os.walk(folder):
        folders.sort()
        links = [name for name in folders if Path(here, name).is_symlink()]
        for name in sorted([*files, *links]):
            file = Path(here, name)
            yield str(file.relative_to(folder)), file


def _matching(
    folders: Sequence[Path], wanted: re.Pattern[str], left_out: Sequence[re.Pattern[str]]
) -> Iterator[tuple[str, Path]]:
    for folder in folders:
        for path, file in _files(folder):
            if wanted.fullmatch(path) and file.is_file() and not any(pattern.fullmatch(path) for pattern in left_out):
                yield path, file


@lru_cache
def _pattern(text: str) -> re.Pattern[str]:
    """A path of the buildspec: ``*`` stays within a folder's name, ``**`` crosses folders."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(parts.get(part) or re.escape(part) for part in re.split(r"(\*\*/|\*\*|\*|\?)", text)))
