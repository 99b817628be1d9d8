"""From pipelines that have run to what is shown of them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.rehearsal import deployed
from local.rehearsal.deployed import Deployed
from local.rehearsal.pipeline.execution import ActionRun, Execution, Status
from local.rehearsal.report.lighthouse import lighthouse_of
from local.rehearsal.report.model import (
    Artifact,
    Attempt,
    BaseImage,
    Emulated,
    File,
    Message,
    Permission,
    Pipeline,
    PlannedAction,
    Rehearsal,
    Run,
    SmokeTest,
    Stage,
    Traffic,
)
from local.rehearsal.report.words import plain

_MOST_FILES = 500
"""More files of one artifact are counted and not named."""
_SMOKE_TEST = "RunSmokeTest"
_LIGHTHOUSE = "RunLighthouse"


def _not_there(_key: str) -> Path | None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsed:
    """A pipeline that has run, or was to.

    Attributes:
        stack: The stack that it belongs to, such as ``dev``.
        deployed: The pipeline.
        executions: Its runs, the oldest first.
        artifact: Returns an artifact's file by its key in the bucket; ``None`` when it cannot be had.
        reused: The identities of the action runs whose result an earlier rehearsal had.
        service_url: Where the deployed service answers.
    """

    stack: str
    deployed: Deployed
    executions: Sequence[Execution]
    artifact: Callable[[str], Path | None] = _not_there
    reused: Collection[str] = ()
    service_url: str = ""


def collect(
    application: str,
    rehearsed: Sequence[Rehearsed],
    *,
    started: float,
    ended: float,
    command: str = "make rehearse",
    emulated: Iterable[Emulated] = (),
    base_images: Iterable[BaseImage] = (),
    traffic: Iterable[Traffic] = (),
    permissions: Iterable[Permission] | None = None,
    unproven: Iterable[str] = (),
    messages: Iterable[Message] = (),
) -> Rehearsal:
    """Return what is shown of a rehearsal.

    Args:
        application: What was delivered.
        rehearsed: The pipelines that were to run, each started by what the one before it has promoted.
        started: When it began, in seconds of the epoch.
        ended: When it came to its end.
        command: The command line that started it.
        emulated: What was emulated, and what that means.
        base_images: The images that were not built here.
        traffic: What a client saw, by stack.
        permissions: Permissions granted and used; ``None`` when that was not recorded.
        unproven: What a rehearsal does not prove, in sentences.
        messages: What people would have been told, the oldest first.
    """
    pipelines = tuple(_pipeline(each) for each in rehearsed)
    return Rehearsal(
        application=application,
        started=started,
        ended=ended,
        command=command,
        pipelines=pipelines,
        emulated=tuple(emulated),
        base_images=tuple(base_images),
        traffic=tuple(traffic),
        lighthouse=tuple(
            lighthouse_of(pipeline.stack, attempt, each.artifact)
            for each, pipeline in zip(rehearsed, pipelines, strict=True)
            for attempt in _last(pipeline, _LIGHTHOUSE)
        ),
        smoke_tests=tuple(
            SmokeTest(
                stack=pipeline.stack,
                passed=attempt.status == Status.SUCCEEDED,
                output=tuple(line for line in attempt.log if not line.startswith("[Container]")),
            )
            for pipeline in pipelines
            for attempt in _last(pipeline, _SMOKE_TEST)
        ),
        permissions=None if permissions is None else tuple(permissions),
        unproven=tuple(unproven),
        messages=tuple(messages),
    )


def _last(pipeline: Pipeline, action: str) -> Iterator[Attempt]:
    """The last attempt at an action in the newest run that has come to it."""
    for run in reversed(pipeline.runs):
        if attempt := run.last(action):
            yield attempt
            return


def _pipeline(each: Rehearsed) -> Pipeline:
    return Pipeline(
        stack=each.stack,
        name=each.deployed.pipeline,
        execution_mode=each.deployed.execution_mode,
        stages=tuple(
            Stage(name=name, groups=tuple(tuple(_planned(action) for action in group) for group in groups))
            for name, groups in each.deployed.stages.items()
        ),
        runs=tuple(_run(each, execution) for execution in each.executions),
        service_url=each.service_url,
    )


def _planned(action: deployed.Action) -> PlannedAction:
    return PlannedAction(
        name=action.name,
        category=action.category,
        provider=action.provider,
        inputs=action.inputs,
        outputs=action.outputs,
    )


def _run(each: Rehearsed, execution: Execution) -> Run:
    actions = list(execution.actions)  # the run may go on
    return Run(
        identity=execution.identity,
        number=execution.number,
        trigger=execution.trigger,
        status=execution.status,
        stage=execution.stage,
        reason=plain(execution.reason),
        started=execution.started,
        ended=execution.ended,
        revisions=dict(execution.revisions),
        variables={name: plain(value) for name, value in execution.variables.items()},
        attempts=tuple(_attempt(each, actions, run) for run in actions),
    )


def _attempt(each: Rehearsed, actions: Sequence[ActionRun], run: ActionRun) -> Attempt:
    same = [other for other in actions if other.action.name == run.action.name]
    number = next(count for count, other in enumerate(same, 1) if other is run)
    return Attempt(
        identity=run.identity,
        action=run.action.name,
        stage=run.action.stage,
        number=number,
        status=run.status,
        started=run.started,
        ended=run.ended,
        reused=run.identity in each.reused,
        external_id=run.external_id,
        summary=plain(run.summary),
        error="\n".join(plain(line) for line in run.error.splitlines()),
        variables={name: plain(value) for name, value in run.variables.items()},
        artifacts=_artifacts(run.artifacts, each.artifact),
        log=tuple(plain(line) for entry in list(run.log) for line in entry.splitlines() or ("",)),
    )


def _artifacts(keys: Mapping[str, str], artifact: Callable[[str], Path | None]) -> tuple[Artifact, ...]:
    return tuple(look_into(name, key, artifact(key)) for name, key in keys.items())


def look_into(name: str, key: str, file: Path | None) -> Artifact:
    """Return what an artifact holds, as far as its file is there."""
    if file is None:
        return Artifact(name=name, key=key)
    size = file.stat().st_size
    if not zipfile.is_zipfile(file):
        return Artifact(name=name, key=key, size=size, files=(File(name=file.name, size=size),))
    with zipfile.ZipFile(file) as archive:
        files = [File(name=item.filename, size=item.file_size) for item in archive.infolist() if not item.is_dir()]
    return Artifact(
        name=name,
        key=key,
        size=size,
        files=tuple(files[:_MOST_FILES]),
        left_out=max(0, len(files) - _MOST_FILES),
    )
