"""The page of a stack that is not deployed yet: what it will do, where it runs, what it costs, what comes next."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from components.hosting.task_definition import CPU_ARCHITECTURES
from components.settings import Settings
from local.engine.values import UNKNOWN
from local.estimates import estimate
from local.estimates.words import short
from local.report.kinds import counted
from local.report.preview import Preview

_WIDTH = 100
_COMMAND = re.compile(r"(?P<words>.*?)(?::|,)? (?P<command>(?:aws [a-z0-9-]+ [a-z0-9-]+|pulumi [a-z]+) .*)$", re.DOTALL)
_QUOTA = "Quota "
"""How a request to AWS begins that only some accounts need."""
_ORDER = {
    "superseded": "a newer run overtakes one that waits",
    "queued": "one run after the other",
    "parallel": "runs side by side",
}


def first_time(
    preview: Preview, settings: Settings, *, region: str | None, next_steps: Sequence[object]
) -> Iterator[str]:
    """Yield the page's lines.

    Args:
        preview: A preview in which everything is made.
        settings: The stack file.
        region: Its ``aws:region``.
        next_steps: The output ``nextSteps``.
    """
    yield from _row("starts", _starts(settings))
    for name, actions in _stages(preview):
        yield from _row(name, _deployment(settings) if name == "Deploy" else ", ".join(actions))
    yield from _row("runs", _runs(settings))
    yield ""
    yield from short(estimate(_sized(preview, settings), region=region))
    yield ""
    yield from textwrap.wrap(f"{counted(preview.steps)} (ARGS=--all shows each)", _WIDTH, subsequent_indent="  ")
    steps = [step for step in next_steps if isinstance(step, str)]
    quotas = [step for step in steps if step.startswith(_QUOTA)]
    yield ""
    yield "You then, after pulumi up (its output nextSteps has these with every command):"
    yield from numbered([step for step in steps if step not in quotas and step != UNKNOWN])
    if UNKNOWN in steps:
        yield f"  and {steps.count(UNKNOWN)} more that name what is not made yet"
    if quotas:
        yield f"  In a new account {len(quotas)} quotas may be too small: docs/account.md."


def _sized(preview: Preview, settings: Settings) -> list[dict[str, Any]]:
    """The resources, with the size of the tasks, which a preview does not know before their roles are made."""
    application = settings.application
    size = {
        "cpu": str(application.cpu),
        "memory": str(application.memory),
        "runtimePlatform": {"cpuArchitecture": CPU_ARCHITECTURES[application.architecture]},
    }
    sized = "aws:ecs/taskDefinition:TaskDefinition"
    return [{**item, "inputs": {**item["inputs"], **size}} if item["type"] == sized else item for item in preview.after]


def numbered(steps: Sequence[str]) -> Iterator[str]:
    """Yield steps with their numbers; a command stands on a line of its own, whole."""
    for number, step in enumerate(steps, 1):
        found = _COMMAND.fullmatch(step)
        words, command = (found["words"], found["command"]) if found else (step, "")
        indent = f"  {number}. "
        yield from textwrap.wrap(
            f"{words}:" if command else words,
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=" " * len(indent),
            break_long_words=False,
            break_on_hyphens=False,
        )
        if command:
            yield f"{' ' * len(indent)}{command}"


def _row(name: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=f"  {name:<9}", subsequent_indent=" " * 11, break_on_hyphens=False
    )


def _starts(settings: Settings) -> str:
    source, order = settings.source, _ORDER[settings.pipeline.execution_mode]
    git = source.git
    if git is not None:
        if git.tags.include or git.tags.exclude:
            what = f"with each git tag of {git.repository} that source.{git.key()}.tags lets pass"
        elif git.branches.include or git.branches.exclude:
            what = f"with each push to a branch of {git.repository} that source.{git.key()}.branches lets pass"
        else:
            what = f"with each push to {git.branch} of {git.repository}"
        paths = [*git.paths.include, *(f"not {path}" for path in git.paths.exclude)]
        only = f" ({', '.join(paths)})" if paths else ""
        return f"{what}{only}; {order}"
    if source.s3 is not None:
        return f"with each upload of {source.s3.object_key} into {source.s3.bucket}; {order}"
    ecr = source.ecr
    if ecr is None:
        return order
    return f"when an image in {ecr.repository} gets the tag {ecr.tag_pattern or ecr.tag}; {order}"


def _stages(preview: Preview) -> Iterator[tuple[str, list[str]]]:
    """The pipeline's stages after its source, with what they do."""
    pipeline = next(item for item in preview.after if item["type"] == "aws:codepipeline/pipeline:Pipeline")
    for stage in pipeline["inputs"]["stages"][1:]:
        actions = sorted(stage["actions"], key=lambda action: int(action.get("runOrder") or 1))
        yield stage["name"], [_spoken(action["name"]) for action in actions]


def _spoken(name: str) -> str:
    """``BuildSmokeTestImage`` as people say it."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+", name.replace("GitHub", "Github"))
    return " ".join(words).lower().replace("github", "GitHub")


def _deployment(settings: Settings) -> str:
    deploy = settings.deploy
    who = {"codeDeploy": "CodeDeploy", "ecs": "ECS", "ecsAction": "CodePipeline's Amazon ECS action"}[deploy.engine]
    how = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", deploy.effective_strategy).lower()
    step = deploy.effective_step
    steps = f", {step.percent} % each {step.interval_minutes} min" if step and how == "linear" else ""
    first = f", {step.percent} % for {step.interval_minutes} min first" if step and how == "canary" else ""
    alarms = settings.hosting.alarms_made is not None or bool(deploy.alarms)
    back = "; alarms roll it back" if alarms and deploy.engine != "ecsAction" else ""
    extra = [
        *(["static files"] if deploy.static_files.enabled else []),
        *(["approval first"] if deploy.approval.enabled else []),
    ]
    with_these = f" ({', '.join(extra)})" if extra else ""
    return f"{who}, {how}{steps}{first}{back}{with_these}"


def _runs(settings: Settings) -> str:
    hosting, application = settings.hosting, settings.application
    if hosting.existing is not None:
        return f"in the service {hosting.existing.service} of the cluster {hosting.existing.cluster}, which exists"
    most = hosting.service.scaling.maximum
    tasks = f"{application.desired_count} to {most}" if most else str(application.desired_count)
    scheme = ("http" if hosting.plain_http else "https") if hosting.is_balanced else "no load balancer"
    subnets = "public" if hosting.network.tasks_in_public else "private"
    size = f"{application.cpu / 1024:g} vCPU and {application.memory / 1024:g} GB, {application.architecture}"
    return f"{tasks} tasks of {size}, in {subnets} subnets; {scheme}"
