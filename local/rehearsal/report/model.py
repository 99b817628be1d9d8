"""What is shown of a rehearsal: plain values, independent of how it was run.

The page, the JUnit file and the JSON are made of a :class:`Rehearsal` and nothing else, so that a page can be made
again from a saved JSON file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from local.rehearsal.hosting.visitor import is_failure
from local.rehearsal.pipeline.execution import Status

FORMAT: Literal[1] = 1
"""Counts up when a saved rehearsal of before could be misread."""
_LONGEST_REASON = 240
_LAST_WORDS = "FAILED: "
"""How a job begins what it ends with, see `buildspecs/jobs/job.py`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file of an artifact."""

    name: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """An output artifact of an action.

    Attributes:
        name: Its name in the pipeline.
        key: Where it is in the artifact bucket.
        size: Its bytes as it is stored; ``None`` when it was not looked into.
        files: What it holds, as far as it was looked into.
        left_out: How many more files it holds.
    """

    name: str
    key: str
    size: int | None = None
    files: tuple[File, ...] = ()
    left_out: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One action as one run has carried it out; an action that is retried has several.

    Attributes:
        identity: Unique among all attempts of the rehearsal.
        action: The action's name.
        stage: The stage it belongs to.
        number: Counts the attempts at this action in its run from 1.
        status: How far it is.
        started: When it began, in seconds of the epoch.
        ended: When it came to its end; ``None`` while it goes on.
        reused: Whether the result of an earlier rehearsal was taken, since nothing it depends on has changed.
        external_id: The provider's ID, such as that of a CodeDeploy deployment.
        summary: What came of it, in a line.
        error: Why it failed.
        variables: What it left for later actions, without its namespace.
        artifacts: What it left in the artifact bucket.
        log: Its lines, without control characters.
    """

    identity: str
    action: str
    stage: str
    number: int
    status: Status
    started: float
    ended: float | None
    reused: bool = False
    external_id: str = ""
    summary: str = ""
    error: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    log: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it took; 0 while it goes on."""
        return (self.ended or self.started) - self.started

    @property
    def says_why(self) -> bool:
        """Whether a job has ended it with words of its own."""
        return any(line.strip().startswith(_LAST_WORDS) for line in self.error.splitlines())

    @property
    def reason(self) -> str:
        """Why it failed, in a line: a job's own last words, otherwise the first line."""
        lines = [line.strip() for line in self.error.splitlines() if line.strip()]
        # Of a job that ends itself CodeBuild only says that a command has failed.
        own = [line.removeprefix(_LAST_WORDS).rstrip(":") for line in lines if line.startswith(_LAST_WORDS)]
        reason = (own[-1:] or lines[:1] or [""])[0]
        return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of a pipeline.

    Attributes:
        identity: Its ID, which every retry keeps.
        number: Counts the runs of the pipeline from 1; a run with a higher number is newer.
        trigger: What started it, in words.
        status: How far it is.
        stage: The stage it is in, or ended in.
        reason: Why it did not succeed.
        started: When it began, in seconds of the epoch.
        ended: When it came to its end; ``None`` while it goes on.
        revisions: Source action -> the revision that was asked for.
        variables: ``namespace.name`` -> value, at its end.
        attempts: Its actions in the order in which they began.
    """

    identity: str
    number: int
    trigger: str
    status: Status
    stage: str
    reason: str
    started: float
    ended: float | None
    revisions: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it took; 0 while it goes on."""
        return (self.ended or self.started) - self.started

    def last(self, action: str) -> Attempt | None:
        """Return the last attempt at an action."""
        return next((attempt for attempt in reversed(self.attempts) if attempt.action == action), None)

    def attempts_at(self, action: str) -> int:
        """Return how often an action was tried."""
        return sum(attempt.action == action for attempt in self.attempts)

    @property
    def failed(self) -> tuple[Attempt, ...]:
        """The actions whose last attempt failed, the earliest first."""
        return tuple(each for each in self.attempts if each.status == Status.FAILED and self.last(each.action) is each)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedAction:
    """An action as it is deployed."""

    name: str
    category: str
    provider: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def deploys(self) -> bool:
        """Whether a new version serves users when it has succeeded."""
        # The engine of ECS itself is driven by a job, which is a build to CodePipeline.
        return self.category == "Deploy" or self.name == "DeployService"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stage as it is deployed; the actions of a group run at the same time, the groups one after the other."""

    name: str
    groups: tuple[tuple[PlannedAction, ...], ...]

    @property
    def actions(self) -> tuple[PlannedAction, ...]:
        """All its actions in running order."""
        return tuple(action for group in self.groups for action in group)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """A deployed pipeline and its runs.

    Attributes:
        stack: The stack that it belongs to, such as ``dev``.
        name: Its name in AWS.
        execution_mode: What happens when a run starts while another goes on, such as ``QUEUED``.
        stages: Its stages in running order.
        runs: Its runs, the oldest first.
        service_url: Where the deployed service answers; empty when it is not known.
    """

    stack: str
    name: str
    execution_mode: str
    stages: tuple[Stage, ...]
    runs: tuple[Run, ...] = ()
    service_url: str = ""

    @property
    def latest(self) -> Run | None:
        """The newest run."""
        return max(self.runs, key=lambda run: run.number, default=None)

    def planned(self, action: str) -> PlannedAction | None:
        """Return an action as it is deployed."""
        return next((each for stage in self.stages for each in stage.actions if each.name == action), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Emulated:
    """A part that was emulated, and what that means."""

    name: str
    meaning: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImage:
    """An image that was not built here: its reference, and where it came from, in words."""

    reference: str
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One request of the client that asks all the time.

    Attributes:
        at: When it was answered or given up, in seconds of the epoch.
        status: The HTTP status; 0 when there was none.
        version: Which version answered; empty when that is not known.
        error: Why there was no answer.
    """

    at: float
    status: int
    version: str = ""
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether it has failed, see `is_failure`."""
        return is_failure(self.status)


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A phase of a deployment, such as ``10 % of the traffic``; it has not ended when ``ended`` is ``None``."""

    name: str
    started: float
    ended: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """What a client saw that asked the service all the time, and the phases of the deployment."""

    stack: str
    samples: tuple[Sample, ...]
    phases: tuple[Phase, ...] = ()

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return sum(sample.failed for sample in self.samples)


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """The median of one Lighthouse category on one page against its budget, both 0 to 100.

    Attributes:
        page: The page's address.
        category: Lighthouse's name of it, such as ``performance``.
        score: ``None`` when a run had none.
        budget: The lowest score that is allowed; ``None`` when there is no budget.
    """

    page: str
    category: str
    score: float | None
    budget: int | None

    @property
    def passed(self) -> bool:
        """Whether the budget is kept."""
        return self.budget is None or (self.score is not None and self.score >= self.budget)


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """An HTML document, packed: base64 of gzip of UTF-8."""

    title: str
    packed: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Lighthouse:
    """What Lighthouse found in one stack: scores, and the full report of each page's representative run."""

    stack: str
    runs: int
    scores: tuple[Score, ...]
    reports: tuple[Document, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeTest:
    """What the smoke test of one stack printed, and whether it passed."""

    stack: str
    passed: bool
    output: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Permission:
    """A permission that a role is granted.

    Attributes:
        role: The role's name.
        action: The IAM action.
        resource: The resource, which may hold wildcards.
        used: Whether the rehearsal needed it; ``None`` when what would need it is not emulated.
    """

    role: str
    action: str
    resource: str
    used: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What people would have been told of a stack: the title, and the text as e-mail has it."""

    stack: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsal:
    """A whole rehearsal.

    Attributes:
        application: What was delivered.
        started: When it began, in seconds of the epoch.
        ended: When it came to its end.
        pipelines: The pipelines that were to run, each started by what the one before it has promoted.
        command: The command line that started it.
        emulated: What was emulated.
        base_images: The images that were not built here.
        traffic: What a client saw, by stack.
        lighthouse: What Lighthouse found, by stack.
        smoke_tests: What the smoke tests printed, by stack.
        permissions: Permissions granted and used; ``None`` when that was not recorded.
        unproven: What a rehearsal does not prove, in sentences.
        messages: What people would have been told, the oldest first.
        format: The version of this description.
    """

    application: str
    started: float
    ended: float
    pipelines: tuple[Pipeline, ...]
    command: str = "make rehearse"
    emulated: tuple[Emulated, ...] = ()
    base_images: tuple[BaseImage, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    lighthouse: tuple[Lighthouse, ...] = ()
    smoke_tests: tuple[SmokeTest, ...] = ()
    permissions: tuple[Permission, ...] | None = None
    unproven: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    format: Literal[1] = FORMAT

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started

    @property
    def attempts(self) -> Iterator[tuple[Pipeline, Run, Attempt]]:
        """Every attempt at an action, with its pipeline and run."""
        for pipeline in self.pipelines:
            for run in pipeline.runs:
                for attempt in run.attempts:
                    yield pipeline, run, attempt
