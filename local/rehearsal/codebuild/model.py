"""A build and what comes of it, in CodeBuild's words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from local.errors import Refusal

VARIABLE_TYPES = ("PLAINTEXT", "PARAMETER_STORE", "SECRETS_MANAGER")


class BuildspecProblem(Refusal):
    """CodeBuild would refuse the buildspec; the message has one line for each problem, with its place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """An environment variable of a project or of a build.

    Attributes:
        name: Its name.
        value: The value itself, or where it is kept.
        type: ``PLAINTEXT``, ``PARAMETER_STORE`` or ``SECRETS_MANAGER``.
    """

    name: str
    value: str
    type: str = "PLAINTEXT"


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """What is to be built.

    Attributes:
        project: The CodeBuild project's name.
        buildspec: YAML text, as the project holds it.
        inputs: Input artifact -> a zip of an earlier build, or a folder that stands for one; the first is the primary
            source. Of a source action's artifact it is a repository, which is archived, or the JSON file of a clone
            reference.
        code: The input artifacts that a source action makes.
        outputs: Output artifacts: one is the buildspec's ``artifacts``, several are its ``secondary-artifacts``.
        project_variables: The project's environment variables.
        overrides: What the pipeline's action sets, stronger than the project's.
        pipeline: The pipeline that starts the build.
        timeout_minutes: CodeBuild ends the build after so long.
        image: The build image that CODEBUILD_BUILD_IMAGE names; what is in it comes from the place.
        source_version: What CODEBUILD_RESOLVED_SOURCE_VERSION says; with a clone the commit.
    """

    project: str
    buildspec: str
    inputs: Mapping[str, Path]
    code: Collection[str] = ()
    outputs: tuple[str, ...] = ()
    project_variables: tuple[Variable, ...] = ()
    overrides: tuple[Variable, ...] = ()
    pipeline: str = ""
    timeout_minutes: float = 60
    image: str = ""
    source_version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The machine a build runs on.

    Attributes:
        environment: PATH, endpoints, credentials and the like; nothing else is inherited.
        enter: What each command is started with, such as ``nsenter`` and its options.
        region: The region the build believes to be in.
        account: The account the build believes to be in.
    """

    environment: Mapping[str, str]
    enter: tuple[str, ...] = ()
    region: str = "eu-central-1"
    account: str = "123456789012"


class Secrets(Protocol):
    """How CodeBuild reads the variables that are kept elsewhere."""

    def parameters(self, names: Collection[str]) -> Mapping[str, str]:
        """The decrypted values of these parameters, by name; those that are not there are left out."""
        ...

    def secret(self, secret_id: str, stage: str, version: str) -> str:
        """The text of a secret; ``stage`` and ``version`` may be empty. LookupError when it cannot be had."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A phase that has run.

    Attributes:
        name: CodeBuild's name of it, such as ``PRE_BUILD`` or ``UPLOAD_ARTIFACTS``.
        status: ``SUCCEEDED``, ``FAILED`` or ``TIMED_OUT``.
        seconds: How long it took.
        message: Why it failed.
    """

    name: str
    status: str
    seconds: float
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The figures of a test report.

    Attributes:
        files: How many files it was read from.
        tests: Test cases in all.
        failures: Those that failed.
        errors: Those that ended in an error.
        skipped: Those that were left out.
        failing: ``<class> <name>: <message>`` of each that failed or ended in an error.
    """

    files: int
    tests: int
    failures: int
    errors: int
    skipped: int
    failing: tuple[str, ...]


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
    """

    succeeded: bool
    phases: tuple[Phase, ...]
    exported: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    log: str = ""

    def phase(self, name: str) -> Phase | None:
        """The phase of this name, when it has run."""
        return next((phase for phase in self.phases if phase.name == name), None)
