"""What CodePipeline remembers of a run: its actions, how they ended, which artifacts and variables they left."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from local.rehearsal.deployed import Action, Plan


class Status(StrEnum):
    """How far a run or an action is, in CodePipeline's words.

    https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PipelineExecution.html
    """

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"
    SUPERSEDED = "Superseded"


@dataclass(slots=True)
class ActionRun:
    """One action as one run has carried it out; an action that is retried has several.

    Attributes:
        execution: The ID of the run.
        action: The action as it is deployed.
        status: How far it is.
        external_id: The provider's ID, such as that of a CodeDeploy deployment.
        summary: What came of it, in a line.
        error: Why it failed.
        variables: What it left for later actions, without its namespace.
        artifacts: Output artifact -> its key in the artifact bucket, of what it stored.
        log: The lines it has written so far.
        reused: Whether an earlier rehearsal's result was taken.
        started: When it began, in seconds of the epoch.
        ended: When it came to its end; ``None`` while it goes on.
        configuration: The action's, with the values of the run.
    """

    execution: str
    action: Action
    status: Status = Status.IN_PROGRESS
    external_id: str = ""
    summary: str = ""
    error: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    reused: bool = False
    started: float = field(default_factory=time.time)
    ended: float | None = None
    configuration: dict[str, str] = field(default_factory=dict)
    identity: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return (self.ended or time.time()) - self.started

    def end(self, status: Status, *, summary: str = "", error: str = "") -> None:
        """Let it come to its end."""
        self.ended, self.status = time.time(), status
        self.summary, self.error = summary or self.summary, error


@dataclass(slots=True)
class Execution:
    """One run of a pipeline.

    Attributes:
        number: Counts the runs of this pipeline from 1; a run with a higher number is newer.
        trigger: What started it, in words.
        revisions: Source action -> the revision that was asked for; an action without one takes the newest.
        variables: ``namespace.name`` -> value: the pipeline's variables, and what its actions have left so far.
        artifacts: Artifact -> its key in the artifact bucket.
        actions: Its action runs in the order in which they began.
        status: How far it is.
        stage: The stage it is in, or ended in.
        reason: Why it did not succeed.
        plan: The stages with the actions that it is to run.
        kind: ``ROLLBACK`` for one that takes a stage back to an earlier run, else ``STANDARD``.
        target: The ID of that run; empty for another one.
        version: The pipeline's version when it started; every edit of the pipeline makes another.
        stages: The stages it has been in, and how far it is there, or how it left them.
        identity: Its ID, which every retry keeps.
    """

    number: int
    trigger: str
    revisions: Mapping[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    actions: list[ActionRun] = field(default_factory=list)
    status: Status = Status.IN_PROGRESS
    stage: str = ""
    reason: str = ""
    plan: Plan = ()
    kind: str = "STANDARD"
    target: str = ""
    version: int = 1
    stages: dict[str, Status] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    ended: float | None = None
    identity: str = field(default_factory=lambda: str(uuid.uuid4()))
    stop_requested: threading.Event = field(default_factory=threading.Event)

    def end(self, status: Status, reason: str = "") -> None:
        """Let it come to its end."""
        self.ended, self.status, self.reason = time.time(), status, reason

    def to_come(self, action: Action) -> tuple[Action, ...]:
        """Return what is planned beside an action and after it."""
        groups = [group for _, groups in self.plan for group in groups]
        here = next((number for number, group in enumerate(groups) if action in group), len(groups))
        return tuple(other for group in groups[here:] for other in group if other is not action)

    def last(self, action: str) -> ActionRun | None:
        """Return what the last attempt at an action came to."""
        return next((run for run in reversed(self.actions) if run.action.name == action), None)
