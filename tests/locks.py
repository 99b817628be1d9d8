"""The lock files as packages, extras and markers, and whether a lock holds everything that its packages require."""

from __future__ import annotations

import functools
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = {"requirements.txt": (), "requirements-dev.txt": ("test", "lint", "checks", "rehearsal")}
"""The extras of `pyproject.toml` that each lock file covers."""

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_PLATFORMS = {
    "Linux x86_64": {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    "Linux aarch64": {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
    "macOS arm64": {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
    "macOS x86_64": {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "x86_64"},
    "Windows": {"sys_platform": "win32", "platform_system": "Windows", "platform_machine": "AMD64", "os_name": "nt"},
}
MACHINES = {
    f"Python {python} on {platform}": {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "python_full_version": f"{python}.4",
        "python_version": python,
        **values,
    }
    for python in PYTHONS
    for platform, values in _PLATFORMS.items()
}
"""The values of environment markers on every machine that the locks are for."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One line of a lock file.

    Attributes:
        name: Name of the package, normalized.
        version: The only version that the line allows.
        extras: Extras that are installed with it.
        line: The requirement as it is written, without hashes.
    """

    name: str
    version: str
    extras: frozenset[str]
    line: str

    def applies(self, machine: Mapping[str, str]) -> bool:
        """Return whether the line is for this machine."""
        marker = _parsed(self.line).marker
        return marker is None or marker.evaluate(dict(machine))


_parsed = functools.cache(Requirement)


def read_lock(text: str) -> list[Locked]:
    """Read a lock file, refusing a line that leaves the version open."""
    lines = re.findall(r"^([^\s#-][^\\\n]*?)\s*\\?$", text, re.MULTILINE)
    return [_locked(line) for line in lines]


def _locked(line: str) -> Locked:
    requirement = Requirement(line)
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator != "==" or specifiers[0].version.endswith("*"):
        raise ValueError(f"not locked to one version: {line}")
    name = canonicalize_name(requirement.name)
    return Locked(name, specifiers[0].version, frozenset(requirement.extras), line)


def declared(extras: Iterable[str]) -> list[str]:
    """Return what `pyproject.toml` itself requires, with these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements: list[str] = [*project["dependencies"]]
    for extra in extras:
        requirements += project["optional-dependencies"][extra]
    return requirements


def unmet(
    lock: Iterable[Locked],
    roots: Iterable[str],
    requirements_of: Callable[[Locked], Iterable[str]],
    machine: Mapping[str, str],
) -> Iterator[str]:
    """Yield each requirement that a lock does not meet on one machine.

    Args:
        lock: The lines of the lock file.
        roots: What the project itself requires.
        requirements_of: The requirements of a locked package, as its metadata has them.
        machine: Values of the environment markers.
    """
    lines = [line for line in lock if line.applies(machine)]
    found = {line.name: line for line in lines}
    twice = sorted(name for name, count in Counter(line.name for line in lines).items() if count > 1)
    if twice:
        yield f"locked to more than one version: {', '.join(twice)}"
    wanted = [("the project", requirement, frozenset[str]()) for requirement in roots]
    wanted += [(line.name, requirement, line.extras) for line in lines for requirement in requirements_of(line)]
    for of, text, extras in wanted:
        requirement = _parsed(text)
        marker = requirement.marker
        if marker and not any(marker.evaluate({**machine, "extra": extra}) for extra in ("", *extras)):
            continue
        line = found.get(canonicalize_name(requirement.name))
        if line is None:
            yield f"{of} requires {text}, which is not locked"
        elif not requirement.specifier.contains(line.version, prereleases=True):
            yield f"{of} requires {text}, and {line.version} is locked"
        elif not requirement.extras <= line.extras:
            yield f"{of} requires {text}, and the lock has no such extra: {line.line}"
