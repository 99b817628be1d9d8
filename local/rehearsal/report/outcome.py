"""What a rehearsal came to, in one line: delivered or stopped, where and why."""

from __future__ import annotations

from dataclasses import dataclass

from local.rehearsal.pipeline.execution import Status
from local.rehearsal.report.model import Attempt, Pipeline, Rehearsal, Run
from local.rehearsal.report.words import duration

_VERSIONS = ("DEPLOYED_VERSION", "IMAGE_VERSION", "VERSION_TAG")
"""Variables that name the delivered version, the best first."""
_IDENTITIES = ("CommitId", "VersionId", "IMAGE_DIGEST", "ImageDigest")
"""Variables that tell what was delivered where it has no version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a rehearsal came to.

    Attributes:
        succeeded: Whether all that was to run did, to its end.
        place: What it came to without the reason, such as ``Stopped in dev / Deploy / DeployService``.
        reason: Why, in a line; empty when it succeeded.
        version: What was delivered, or was to be.
        stopped: The actions that failed, with their pipeline and run.
    """

    succeeded: bool
    place: str
    version: str
    reason: str = ""
    stopped: tuple[tuple[Pipeline, Run, Attempt], ...] = ()

    @property
    def headline(self) -> str:
        """It in one line."""
        return f"{self.place}: {self.reason}" if self.reason else self.place


def outcome(rehearsal: Rehearsal) -> Outcome:
    """Return what a rehearsal came to."""
    version = _version(rehearsal)
    delivered: Pipeline | None = None
    for pipeline in rehearsal.pipelines:
        run = pipeline.latest
        if run is None:
            return _never_started(rehearsal, pipeline, delivered, version)
        if run.status != Status.SUCCEEDED:
            return _stopped(pipeline, run, version)
        if any(
            _has_deployed(run, action.name) for stage in pipeline.stages for action in stage.actions if action.deploys
        ):
            delivered = pipeline
    took = duration(rehearsal.seconds)
    if delivered:
        place = f"Delivered {version} to {delivered.stack} in {took}"
    else:
        ran = rehearsal.pipelines[-1] if rehearsal.pipelines else None
        place = f"Ran {ran.stack} up to {ran.latest.stage} in {took}" if ran and ran.latest else "Nothing was run"
    return Outcome(succeeded=bool(rehearsal.pipelines), place=place, version=version)


def _has_deployed(run: Run, action: str) -> bool:
    last = run.last(action)
    return last is not None and last.status == Status.SUCCEEDED


def _never_started(rehearsal: Rehearsal, pipeline: Pipeline, delivered: Pipeline | None, version: str) -> Outcome:
    before = f"Delivered {version} to {delivered.stack} in {duration(rehearsal.seconds)}, but " if delivered else ""
    return Outcome(succeeded=False, place=f"{before}{pipeline.stack} was never started", version=version)


def _stopped(pipeline: Pipeline, run: Run, version: str) -> Outcome:
    # A job beside a deployment knows more of it than the service that was told to stop.
    failed = tuple(sorted(run.failed, key=lambda attempt: not attempt.says_why))
    where = " / ".join(part for part in (pipeline.stack, run.stage, failed[0].action if failed else "") if part)
    words = {
        Status.FAILED: "Stopped in",
        Status.STOPPED: "Stopped by hand in",
        Status.SUPERSEDED: "Superseded by a newer run in",
        Status.IN_PROGRESS: "Not finished in",
    }
    why = failed[0].reason if failed else run.reason
    return Outcome(
        succeeded=False,
        place=f"{words[run.status]} {where}",
        version=version,
        reason=why,
        stopped=tuple((pipeline, run, attempt) for attempt in failed),
    )


def _version(rehearsal: Rehearsal) -> str:
    """The version of the last pipeline that knows one; otherwise the start of a commit or digest."""
    found = [
        {name.rpartition(".")[2]: value for name, value in run.variables.items() if value}
        for pipeline in reversed(rehearsal.pipelines)
        if (run := pipeline.latest)
    ]
    for name in _VERSIONS:
        for variables in found:
            if name in variables:
                return _short(variables[name])
    for name in _IDENTITIES:
        for variables in found:
            if name in variables:
                return _short(variables[name])[:7]
    return "the application"


def _short(name: str) -> str:
    """A digest cut as people quote it, anything else as it is."""
    kind, _, digest = name.partition("sha256:")
    return digest[:12] if digest and not kind else name
