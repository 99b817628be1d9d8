"""What cannot be done to a stack that is deployed, refused before the engine stops with an error of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.settings import Settings
from components.settings.reader.stack_file import lines_of
from local.engine.effects import engine_of
from local.errors import Refusal

_PIPELINE, _SERVICE = "aws:codepipeline/pipeline:Pipeline", "aws:ecs/service:Service"
_GROUP, _PROJECT = "aws:lb/targetGroup:TargetGroup", "aws:codebuild/project:Project"
_PROTECTED = re.compile(r'resource "([^"]+)" cannot be (?:deleted|replaced)\s+because it is protected')
_PAGE = "docs/hosting.md#another-engine-for-a-service-that-runs"


def refuse(
    graph: Sequence[Mapping[str, Any]], settings: Settings, *, stack: str, file: Path, region: str | None
) -> None:
    """Refuse another name, region or way to deploy than those of what is deployed.

    Args:
        graph: The deployed resources, as :meth:`local.engine.stack.LocalStack.graph` returns them.
        settings: The stack file.
        stack: The stack's name.
        file: The stack file.
        region: Its ``aws:region``.

    Raises:
        Refusal: It says something else than what is deployed, with the way that works.
    """
    lines = lines_of(file)
    problems = [
        f"{file.name}:{lines[path]}: {words}" if path in lines else f"{file.name}: {words}"
        for path, words in _problems(graph, settings, stack, region)
    ]
    if problems:
        here = (
            f"Nothing was changed. To look at this file as a stack of its own: make preview STACK=<new stack> "
            f"STACK_FILE={file}. To start anew on this machine: make destroy STACK={stack}."
        )
        raise Refusal("\n".join([*problems, here]))


def protected(messages: Sequence[str], file: Path, stack: str) -> str | None:
    """Return what to say in place of the engine's advice to unprotect one resource in the state; else ``None``.

    What is protected there is protected by the stack file, and with it what users and the next run need.
    """
    names = sorted({urn.rpartition("::")[2] for text in messages for urn in _PROTECTED.findall(text)})
    if not names:
        return None
    return (
        f"{file.name}: this edit would delete {', '.join(names)}, which retention.protect protects, and nothing was "
        "changed — put the old value back; or, if they may go with all that is in them, write protect: false below "
        f"ecs-delivery:retention, pulumi up --stack {stack} with that alone, and make the edit then"
    )


def _problems(
    graph: Sequence[Mapping[str, Any]], settings: Settings, stack: str, region: str | None
) -> Iterator[tuple[tuple[str, ...], str]]:
    pipeline = next((item for item in graph if item["type"] == _PIPELINE), None)
    if pipeline is None:
        return
    name, wanted = pipeline["inputs"]["name"], settings.application.prefix_in(stack)
    there = str(pipeline["outputs"].get("arn", "")).split(":")[3:4]
    another = (
        "make another stack: copy the file to Pulumi.<new stack>.yaml with the new value, pulumi up, let it deliver, "
        "point the DNS record at its load balancer; then take the old one away: retention.protect: false in its file, "
        f"pulumi up --stack {stack}, pulumi destroy --stack {stack}"
    )
    if name != wanted:
        words = (
            f"ecs-delivery:application.name: names everything that is made, and a deployed stack keeps it: {name} is "
            f"deployed, the file says {wanted} — put the old name back, or {another}"
        )
        yield ("application", "name"), words
    if there and region and there[0] != region:
        words = (
            f"aws:region: is where everything is, and a deployed stack stays there: it is in {there[0]}, the file says "
            f"{region} — put the old region back, or {another}"
        )
        yield ("aws:region",), words
    old, new = _deployed(graph), _wanted(settings)
    if old and new and old != new and name == wanted:
        words = (
            f"ecs-delivery:deploy: is no mere setting of a service that runs: it is deployed by {_said(old)}, the file "
            f"says {_said(new)} — put the old value back, or {another}; or in place, as {_PAGE} says"
        )
        yield ("deploy", "engine" if old[0] != new[0] else "strategy"), words


def _deployed(graph: Sequence[Mapping[str, Any]]) -> tuple[str, bool] | None:
    """The engine of the service that is deployed, and whether it has two target groups; nothing of a foreign one."""
    if not any(item["type"] == _SERVICE for item in graph):
        return None
    projects = [item["name"] for item in graph if item["type"] == _PROJECT]
    return engine_of(projects), any(item["type"] == _GROUP and item["name"].endswith("-green") for item in graph)


def _wanted(settings: Settings) -> tuple[str, bool] | None:
    """The same of the stack file."""
    if settings.hosting.existing is not None:
        return None
    return settings.deploy.engine, settings.deploy.rollout.shifts_traffic and settings.hosting.is_balanced


def _said(way: tuple[str, bool]) -> str:
    engine, two = way
    return f"{engine} with {'two target groups' if two else 'tasks that replace each other'}"
