"""What every stage is: settings in, actions and grants out.

It knows no neighbour, no position and no toggle but its own.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pulumi

from components.foundation.artifact_bucket import ArtifactBucket
from components.foundation.foundation import Foundation
from components.foundation.iam import Statement
from components.hosting import DeploymentTarget
from components.images.registry import Registry
from components.jobs.build_project import BuildProject, BuildProjectArgs, Machine
from components.jobs.buildspec import load_buildspec
from components.jobs.bundle import JobBundle
from components.pipeline.connection import Connection
from components.pipeline.model import Action, StageModel
from components.settings import ApplicationSection, Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class StageContext:
    """What a stage may rely on, whichever other stages there are.

    Attributes:
        name: Starts every Pulumi name, for example ``shop``.
        foundation: What everything is made with.
        application: The stack file's ``application``.
        artifacts: The artifact bucket.
        jobs: The scripts of all jobs.
        connection: How the code is reached; ``None`` without code.
        registry: The stack's repositories.
        hosting: What is deployed into.
        task_definition: ``s3://`` address of the task definition's template.
        quick: What short jobs run on.
        transfer: What jobs run on that move many bytes or files.
        parallel_jobs: Whether builds on one machine type may run at the same time.
    """

    name: str
    foundation: Foundation
    application: ApplicationSection
    artifacts: ArtifactBucket
    jobs: JobBundle
    connection: Connection | None
    registry: Registry
    hosting: DeploymentTarget
    task_definition: pulumi.Output[str]
    quick: Machine
    transfer: Machine
    parallel_jobs: bool

    @property
    def full_clone(self) -> Connection | None:
        """The connection through which jobs clone the code; ``None`` when they get an archive, or there is none."""
        return self.connection if self.connection and self.connection.full_clone else None


class Jobs(pulumi.ComponentResource):
    """A component that makes build projects.

    A subclass sets :attr:`TYPE`.
    """

    TYPE: ClassVar[str]
    """The Pulumi type token; never changed without an alias."""

    def __init__(self, name: str, context: StageContext, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name = name
        self._context = context

    def project(
        self,
        job: str,
        *,
        description: str,
        machine: Machine,
        buildspec: str | None = None,
        variables: Mapping[str, pulumi.Input[str]] | None = None,
        secrets: Mapping[str, str] | None = None,
        statements: Sequence[Statement] = (),
        timeout_minutes: int = 30,
        role_name: str | None = None,
        reads_code: bool = False,
    ) -> BuildProject:
        """One build project, named ``<prefix>-<job>`` in AWS.

        Args:
            job: Kebab-case name of the job; also the buildspec's, unless ``buildspec`` names another.
            description: One sentence for the console.
            machine: What it runs on.
            buildspec: File in ``buildspecs/`` without its ending.
            variables: Plain values for variables the buildspec declares.
            secrets: Variable -> Secrets Manager secret.
            statements: What the job may do.
            timeout_minutes: Build timeout in minutes.
            role_name: The role's name in AWS, where another account must be able to name it.
            reads_code: Whether it reads the artifact ``Source``: with a full clone, the job then may clone.
        """
        context = self._context
        clone = context.full_clone if reads_code else None
        return BuildProject(
            f"{context.name}-{job}",
            BuildProjectArgs(
                foundation=context.foundation,
                project_name=f"{context.foundation.prefix}-{job}",
                description=description,
                buildspec=load_buildspec(buildspec or job, clones=clone is not None),
                machine=machine,
                artifacts=context.artifacts,
                jobs=context.jobs,
                variables={**(variables or {}), **(clone.clone_variables() if clone else {})},
                secrets=secrets or {},
                statements=[*statements, *(clone.clone() if clone else ())],
                timeout_minutes=timeout_minutes,
                role_name=role_name,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )


class Stage(Jobs):
    """One stage of the pipeline.

    A subclass sets :attr:`TYPE` and :attr:`NAME`, says in :meth:`wanted` when it exists, and in its
    constructor makes its projects and sets :attr:`actions` and :attr:`grants`.
    """

    NAME: ClassVar[str]
    """The stage's name in the pipeline."""

    actions: tuple[Action, ...]
    """What the stage does."""
    grants: tuple[Statement, ...]
    """What the pipeline's role needs for these actions."""
    notes: tuple[pulumi.Input[str], ...] = ()
    """What a person has to do before the stage can work; shown as ``nextSteps``."""

    def __init__(self, name: str, args: Any, context: StageContext, opts: pulumi.ResourceOptions | None = None) -> None:  # noqa: ANN401, ARG002 - each stage has its own args, named in its own constructor
        super().__init__(name, context, opts)

    @classmethod
    @abstractmethod
    def wanted(cls, settings: Settings) -> object | None:
        """The stage's arguments, read from its own section; ``None`` when the stack file leaves the stage off."""

    @classmethod
    def slug(cls) -> str:
        """The stage's name in kebab case, for Pulumi names."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.NAME).lower()

    @property
    def model(self) -> StageModel:
        """The stage as the pipeline sees it."""
        return StageModel(name=self.NAME, actions=self.actions)
