"""What makes build projects: a stage, or a part of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import pulumi

from components.foundation.artifact_bucket import ArtifactBucket
from components.foundation.foundation import Foundation
from components.foundation.iam import Statement
from components.images.registry import Registry
from components.jobs.build_project import BuildNetwork, BuildProject, BuildProjectArgs, Machine
from components.jobs.buildspec import Buildspec, load_buildspec, of_the_application
from components.jobs.bundle import JobBundle
from components.pipeline.connection import Connection
from components.pipeline.model import Artifact

_REPOSITORY: Final = "IMAGE_REPOSITORY_URI"
"""The repository that a job holds artifacts against and sends tokens to: its project names it, never an artifact."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobContext:
    """What every job of a stack is made with.

    Attributes:
        name: Starts every Pulumi name, for example ``shop``.
        foundation: What everything is made with.
        artifacts: The artifact bucket.
        jobs: The scripts of all jobs.
        registry: The stack's repositories.
        connection: How the code is reached; ``None`` without code.
        quick: What short jobs run on.
        transfer: What jobs run on that move many bytes or files.
        waiting: What the jobs of the stage that deploys run on, one after the other, that wait for something; see
            :class:`~components.jobs.build_project.Wait`. No other job has this size, and so their quota is their own.
        parallel_jobs: Whether builds on one machine type may run at the same time.
    """

    name: str
    foundation: Foundation
    artifacts: ArtifactBucket
    jobs: JobBundle
    registry: Registry
    connection: Connection | None
    quick: Machine
    transfer: Machine
    waiting: Machine
    parallel_jobs: bool

    @property
    def full_clone(self) -> Connection | None:
        """The connection through which jobs clone the code; ``None`` when they get an archive, or there is none."""
        return self.connection if self.connection and self.connection.full_clone else None


class JobComponent(pulumi.ComponentResource):
    """A component that makes build projects.

    A subclass sets :attr:`TYPE`.
    """

    TYPE: ClassVar[str]
    """The Pulumi type token; never changed without an alias."""

    def __init__(self, name: str, context: JobContext, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name = name
        self._context = context

    def project(
        self,
        job: str,
        *,
        description: str,
        machine: Machine,
        reads: tuple[Artifact, ...],
        writes: tuple[Artifact, ...] = (),
        buildspec: str | None = None,
        then: str | None = None,
        variables: Mapping[str, pulumi.Input[str]] | None = None,
        secrets: Mapping[str, str] | None = None,
        statements: Sequence[Statement] = (),
        timeout_minutes: int | None = None,
        role_name: str | None = None,
        network: BuildNetwork | None = None,
    ) -> BuildProject:
        """One build project, named ``<prefix>-<job>`` in AWS.

        Args:
            job: Kebab-case name of the job; also the buildspec's, unless ``buildspec`` names another.
            description: One sentence for the console.
            machine: What it runs on.
            reads: The artifacts that its actions read, the primary one first.
            writes: The artifacts that they write.
            buildspec: File in ``buildspecs/`` without its ending.
            then: The one of the job that the same build does next, which writes the second artifact.
            variables: Plain values for variables the buildspec declares; ``IMAGE_REPOSITORY_URI`` is the repository of
                the application's image unless it is given.
            secrets: Variable -> Secrets Manager secret.
            statements: What the job may do.
            timeout_minutes: The longest time of a build in minutes; the machine's default when left out.
            role_name: The role's name in AWS, where another account must be able to name it.
            network: The VPC that it runs in.
        """
        clone = self._context.full_clone if Artifact.SOURCE in reads else None
        written = tuple(artifact.value for artifact in writes) if then else ()
        names = (buildspec or job, *((then,) if then else ()))
        loaded = load_buildspec(*names, artifacts=written, clones=clone is not None)
        image = {_REPOSITORY: self._context.registry.app.uri} if _REPOSITORY in loaded.variables else {}
        return self._made(
            job,
            loaded,
            jobs=self._context.jobs,
            description=description,
            machine=machine,
            reads=reads,
            writes=writes,
            variables={**image, **(variables or {}), **(clone.clone_variables() if clone else {})},
            secrets=secrets or {},
            statements=[*statements, *(clone.clone() if clone else ())],
            timeout_minutes=timeout_minutes,
            role_name=role_name,
            network=network,
        )

    def own_project(
        self,
        job: str,
        buildspec: str,
        *,
        description: str,
        machine: Machine,
        variables: Mapping[str, str],
        statements: Sequence[Statement] = (),
        timeout_minutes: int | None = None,
        network: BuildNetwork | None = None,
    ) -> BuildProject:
        """One build project with a buildspec of the application's repository: any commit may change what it does.

        Args:
            job: Kebab-case name of the job.
            buildspec: Path of the buildspec in the application's repository.
            description: One sentence for the console.
            machine: What it runs on.
            variables: What it is told, with defaults.
            statements: What it may do besides reading the code.
            timeout_minutes: The longest time of a build in minutes; the machine's default when left out.
            network: The VPC that it runs in.
        """
        clone = self._context.full_clone
        return self._made(
            job,
            of_the_application(buildspec, variables=variables),
            jobs=None,
            description=description,
            machine=machine,
            reads=(Artifact.SOURCE,),
            writes=(),
            variables={},
            secrets={},
            statements=[*statements, *(clone.clone() if clone else ())],
            timeout_minutes=timeout_minutes,
            network=network,
        )

    def _made(
        self,
        job: str,
        buildspec: Buildspec,
        *,
        jobs: JobBundle | None,
        description: str,
        machine: Machine,
        reads: tuple[Artifact, ...],
        writes: tuple[Artifact, ...],
        variables: Mapping[str, pulumi.Input[str]],
        secrets: Mapping[str, str],
        statements: Sequence[Statement],
        timeout_minutes: int | None,
        network: BuildNetwork | None,
        role_name: str | None = None,
    ) -> BuildProject:
        context = self._context
        return BuildProject(
            f"{context.name}-{job}",
            BuildProjectArgs(
                foundation=context.foundation,
                project_name=f"{context.foundation.prefix}-{job}",
                description=description,
                buildspec=buildspec,
                machine=machine,
                reads=reads,
                writes=writes,
                artifacts=context.artifacts,
                jobs=jobs,
                variables=variables,
                secrets=secrets,
                statements=statements,
                timeout_minutes=timeout_minutes,
                role_name=role_name,
                network=network,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
