"""What ships with the next run: the task definition, and the jobs that run new code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from local.engine.effects import UNKNOWN as UNKNOWN_EFFECT
from local.engine.effects import When, effects
from local.engine.outcome import Step
from local.engine.values import UNKNOWN
from local.report.findings import UNKNOWN_BEFORE_UP, Finding, Section, code, listed
from local.report.preview import Preview
from local.report.values import at, changed, differences, parsed

_PROJECT, _FUNCTION = "aws:codebuild/project:Project", "aws:lambda/function:Function"
_OBJECT, _TASK_DEFINITION = "aws:s3/bucketObjectv2:BucketObjectv2", "aws:ecs/taskDefinition:TaskDefinition"
_BUNDLE = "JOBS_SHA256"
"""The variable that names the scripts of a job; see docs/jobs.md."""
_CODE = "environment.environmentVariables.JOBS_"
_MOST = 3
_NOTICED = (When.REPLACED, When.REMOVED, When.AT_ONCE)


def users(preview: Preview) -> Iterator[Finding]:
    """Yield what users notice, in the words of docs/configuration.md, and what ECS deploys by itself."""
    found = [effect for effect in effects(preview.steps) if effect.words and effect.when in _NOTICED]
    for effect in found:
        # What no rule speaks of is named by the names of resources, which are not our words.
        unknown, _, about = effect.words.partition(UNKNOWN_EFFECT)
        words = f"{UNKNOWN_EFFECT} {code(about.strip().rstrip('.'))}." if about and not unknown else effect.words
        yield Finding(Section.USERS, words, destroys=effect.when is When.REMOVED)
    if not any(effect.words.startswith("ECS deploys") for effect in found):
        for deployment in preview.deployments:
            yield Finding(Section.USERS, f"ECS deploys at once, beside the pipeline: {code(deployment)}.")


def next_run(preview: Preview) -> Iterator[Finding]:
    """Yield what the next run brings."""
    for step in preview.changes:
        if step.old and step.new:
            yield from _template(step)
    # New code of jobs is said in a line of its own, and no new setting.
    settings = [replace(step, op="same") if _is_code(step) else step for step in preview.steps]
    for effect in effects(settings):
        if effect.words and effect.when is When.NEXT_RUN:
            yield Finding(Section.NEXT_RUN, effect.words)


def _template(step: Step) -> Iterator[Finding]:
    """What is different in the task definition that the pipeline fills in."""
    assert step.old is not None  # noqa: S101 - asked for where it is called
    assert step.new is not None  # noqa: S101 - as above
    if step.type != _OBJECT or '"containerDefinitions"' not in str(step.old.inputs.get("content")):
        return
    if step.new.inputs.get("content") == UNKNOWN:
        yield Finding(Section.NEXT_RUN, f"The task definition changes; how is {UNKNOWN_BEFORE_UP}.")
        return
    old, new = (_definition(parsed(state.inputs.get("content")) or {}) for state in (step.old, step.new))
    found = [changed(path, was, now) for path, was, now in differences(old, new)]
    if found:
        more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
        words = f"The task definition: {', '.join(found[:_MOST])}{more}."
        yield Finding(Section.NEXT_RUN, words, tuple(found) if len(found) > _MOST else ())


def _definition(content: Mapping[str, Any]) -> dict[str, Any]:
    """A task definition with its containers by their names, on the level of what is said of the task."""
    rest = {key: value for key, value in content.items() if key != "containerDefinitions"}
    return {**rest, **{each["name"]: each for each in content.get("containerDefinitions", [])}}


def jobs(preview: Preview) -> Iterator[Finding]:
    """Yield which jobs run new code, in one line for all."""
    names = [_job(step) for step in preview.changes if step.old and step.new and _has_new_code(step)]
    if names:
        verb = "jobs run" if names[1:] else "job runs"
        words = f"{len(names)} {verb} new code: {listed(names, 6)}."
        yield Finding(Section.JOBS, words, tuple(code(name) for name in names) if len(names) > 6 else ())


def _is_code(step: Step) -> bool:
    """Whether code is all that changes: the scripts of the jobs, and the project that names them."""
    if step.type == _OBJECT and step.name.endswith("-jobs-object"):
        return True
    if step.type != _PROJECT or step.op != "update" or not step.old or not step.new:
        return False
    paths = {path for path, _, _ in differences(step.old.inputs, step.new.inputs)}
    return all(path == "source.buildspec" or path.startswith(_CODE) for path in paths)


def _job(step: Step) -> str:
    inputs = step.new.inputs if step.new else {}
    return str(inputs.get("name") or step.name)


def _has_new_code(step: Step) -> bool:
    assert step.old is not None  # noqa: S101 - asked for where it is called
    assert step.new is not None  # noqa: S101 - as above
    old, new = step.old.inputs, step.new.inputs
    if step.type == _FUNCTION:
        return any(old.get(name) != new.get(name) for name in ("code", "imageUri", "s3Key", "sourceCodeHash"))
    return step.type == _PROJECT and (_code(old) != _code(new))


def _code(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    variables = at(inputs, "environment.environmentVariables") or []
    bundle = sorted(str(each.get("value")) for each in variables if each.get("name") == _BUNDLE)
    return (at(inputs, "source.buildspec"), bundle)
