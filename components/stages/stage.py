"""What every stage is: its section of the stack file in, actions and grants out.

It imports no other stage, does not know its position, and reads of the stack file its own section and `SharedFacts`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

import pulumi

from components.engines import DeploymentTarget, Engine
from components.foundation.iam import Statement
from components.images.repository import Pusher
from components.jobs.job_component import JobComponent, JobContext
from components.pipeline.model import Action, StageModel
from components.settings import ApplicationSection
from components.settings.section import Section
from components.settings.sections.source import GithubSection
from components.settings.sections.verification import VerificationSection

SectionT = TypeVar("SectionT", bound=Section)
ArgsT = TypeVar("ArgsT")


@dataclass(frozen=True, kw_only=True, slots=True)
class StageContext(JobContext):
    """What a stage may rely on, whichever other stages there are.

    Attributes:
        application: The stack file's ``application``.
        hosting: What is deployed to.
        task_definition: ``s3://`` address of the task definition's template.
    """

    application: ApplicationSection
    hosting: DeploymentTarget
    task_definition: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedFacts:
    """What a stage may know of the stack file besides its own section.

    Attributes:
        source_url: Where the code comes from; ``None`` without code.
        revision: What a run knows of its code, for the jobs that build it; empty without code.
        github: How that is on GitHub or GitHub Enterprise Server; ``None`` where it is elsewhere.
        engine: How the service is deployed.
        release_tag_prefix: What the version's tag will start with; ``None`` when nothing is released.
        plain_http: Whether the service is reached without encryption.
        verification: What images have to prove before they go any further.
        verified_before: Whether they have to before the deployment or before the promotion; ``None`` for neither.
    """

    source_url: str | None
    revision: Mapping[str, str]
    github: GithubSection | None
    engine: Engine
    release_tag_prefix: str | None
    plain_http: bool
    verification: VerificationSection
    verified_before: Literal["deployment", "promotion"] | None


class Stage(JobComponent, Generic[SectionT, ArgsT]):
    """One stage of the pipeline.

    A subclass sets :attr:`TYPE`, :attr:`NAME` and :attr:`SECTION`, says in :meth:`wanted` when it exists, and in its
    constructor makes its projects and sets :attr:`actions` and :attr:`grants`, where a person must act :attr:`notes`,
    and where it pushes or tags images :attr:`pushers`.
    """

    NAME: ClassVar[str]
    """The stage's name in the pipeline."""
    SECTION: ClassVar[str]
    """The section of the stack file that is its own, a field of ``Settings``."""

    _context: StageContext

    actions: tuple[Action, ...]
    """What the stage does."""
    grants: tuple[Statement, ...]
    """What the pipeline's role needs for these actions."""
    notes: tuple[pulumi.Input[str | None], ...] = ()
    """What a person has to do before the stage can work; shown as ``nextSteps``."""
    pushers: tuple[Pusher, ...] = ()
    """The roles of its jobs that put images, tags or signatures into the stack's repositories."""

    def __init__(
        self,
        name: str,
        args: ArgsT,
        context: StageContext,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, context, opts)
        self._args = args

    @classmethod
    @abstractmethod
    def wanted(cls, section: SectionT, shared: SharedFacts) -> ArgsT | None:
        """The stage's arguments; ``None`` when the stack file leaves the stage off.

        The only place where the toggle of a stage is read.

        Args:
            section: The stage's own section.
            shared: What it may know besides.
        """

    @classmethod
    def slug(cls) -> str:
        """The stage's name in kebab case, for Pulumi names."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.NAME).lower()

    @property
    def model(self) -> StageModel:
        """The stage as the pipeline sees it."""
        return StageModel(name=self.NAME, actions=self.actions)
