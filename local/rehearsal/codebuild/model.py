"""A build and what comes of it, in CodeBuild's words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from components.jobs.buildspec import is_of_the_application

VARIABLE_TYPES = ("PLAINTEXT", "SECRETS_MANAGER")

Secrets: TypeAlias = Callable[[str], str]
"""How CodeBuild reads a secret: its text, by its name or ARN. Raises LookupError when it cannot be had."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """An environment variable of a project or of a build.

    Attributes:
        name: Its name.
        value: The value itself, or where it is kept.
        type: ``PLAINTEXT`` or ``SECRETS_MANAGER``.
    """

    name: str
    value: str
    type: str = "PLAINTEXT"


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """What is to be built.

    Attributes:
        project: The CodeBuild project's name.
        buildspec: YAML text, as the project holds it, or the path of a file in the source.
        inputs: The input artifact -> a zip of an earlier build, or a folder that stands for one. Of a source action's
            artifact it is a repository, which is archived, or the JSON file of a clone reference.
        code: The input artifacts that a source action makes.
        outputs: The output artifacts.
        project_variables: The project's environment variables.
        overrides: What the pipeline's action sets, stronger than the project's.
        timeout_minutes: CodeBuild ends the build after that many minutes.
    """

    project: str
    buildspec: str
    inputs: Mapping[str, Path]
    code: Collection[str] = ()
    outputs: tuple[str, ...] = ()
    project_variables: tuple[Variable, ...] = ()
    overrides: tuple[Variable, ...] = ()
    timeout_minutes: float = 60

    @property
    def is_of_the_application(self) -> bool:
        """Whether the buildspec is a file of the source."""
        return is_of_the_application(self.buildspec)

    def with_variables(self, variables: Mapping[str, str]) -> Build:
        """Return the build with a project that sets these variables to other values."""
        kept = [item for item in self.project_variables if item.name not in variables]
        changed = [Variable(name=name, value=value) for name, value in variables.items()]
        return replace(self, project_variables=(*kept, *changed))


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildHost:
    """The machine a build runs on.

    Attributes:
        environment: PATH, endpoints, credentials and the like; nothing else is inherited.
        enter: What each command is started with, such as ``nsenter`` and its options.
        region: The region the build believes to be in.
    """

    environment: Mapping[str, str]
    enter: tuple[str, ...] = ()
    region: str = "eu-central-1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A phase that has run.

    Attributes:
        name: CodeBuild's name of it, such as ``BUILD`` or ``UPLOAD_ARTIFACTS``.
        status: ``SUCCEEDED``, ``FAILED`` or ``TIMED_OUT``.
        message: Why it failed.
    """

    name: str
    status: str
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The figures of a test report.

    Attributes:
        tests: Test cases in all.
        failures: Those that failed.
        errors: Those that ended in an error.
        failing: ``<class> <name>: <message>`` of each that failed or ended in an error.
    """

    tests: int
    failures: int
    errors: int
    failing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Where the commands of a build have ended.

    Attributes:
        enter: What a command is started with there.
        environment: The variables that the next command would have seen, secrets among them.
        folder: Its working folder.
    """

    enter: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    folder: str


@dataclass(kw_only=True, slots=True)
class Result:
    """What came of a build.

    Attributes:
        succeeded: Whether every phase did.
        phases: The phases that ran, in order.
        exported: The variables for the pipeline.
        artifacts: Output artifact -> its zip.
        reports: Report group's name in the buildspec -> report.
        log: All that was printed, secrets masked.
        scene: Where its commands have ended; ``None`` when it did not come to any.
    """

    succeeded: bool
    phases: tuple[Phase, ...]
    exported: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    log: str = ""
    scene: Scene | None = None
