"""Tasks that belong to no service: what RunTask starts and StopTask stops, and what ECS refuses of both.

Sources: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html and ECS_Idempotency.html beside it;
the words of refusals are those that users of Amazon ECS have published.
"""

from __future__ import annotations

import copy
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from local.rehearsal.ecs.definitions import check_launch_type
from local.rehearsal.ecs.fleet import Fleet
from local.rehearsal.ecs.placement import Placement
from local.rehearsal.ecs.state import Ending, Revision, Service, Task
from local.rehearsal.emulated import Json, Refused

CONTROLLER = "NONE"
"""Of what holds the tasks of a cluster that belong to no service."""
_REHEARSED = (
    *("capacityProviderStrategy", "clientToken", "cluster", "launchType", "networkConfiguration", "overrides"),
    *("platformVersion", "startedBy", "tags", "taskDefinition"),
)
_OVERRIDE_CHARACTERS = 8192
_STARTED_BY = re.compile(r"[A-Za-z0-9/_-]{1,128}")
_TOKEN = re.compile(r"[!-~]{1,64}")


class Standalone:
    """The tasks of all clusters that belong to no service.

    Attributes:
        holders: What holds those of a cluster, by its name; it looks like a service, and nobody can ask for it.
    """

    def __init__(self, arn: Callable[..., str], fleet: Callable[[], Fleet]) -> None:
        """Take what makes ARNs, and what says where tasks run."""
        self._arn, self._fleet = arn, fleet
        self.holders: dict[str, Service] = {}
        self._tokens: dict[tuple[str, str], tuple[Json, Task]] = {}

    def run(self, cluster: str, parameters: Json, definition: Json, placement: Placement) -> Task:
        """Start a task, or return the one that the same request has started.

        Raises:
            Refused: ECS refuses the request.
        """
        _check(parameters, definition, placement)
        token = (cluster, parameters.get("clientToken", secrets.token_hex(16)))
        if token in self._tokens:
            before, task = self._tokens[token]
            if before != parameters:
                raise Refused("ConflictException", "The provided clientToken is already in use with another request.")
            return task
        revision = Revision(
            self._arn("service-revision", cluster, "none"), overridden(definition, parameters), placement=placement
        )
        task = Task(
            self._arn("task", cluster, secrets.token_hex(16)),
            revision,
            "",
            started_by=parameters.get("startedBy", ""),
            tags={tag["key"]: tag.get("value", "") for tag in parameters.get("tags", ())},
        )
        self._tokens[token] = (copy.deepcopy(parameters), task)
        holder = self.holders.setdefault(
            cluster,
            Service(self._arn("service", cluster, ""), "", self._arn("cluster", cluster), {}, 0, {}, CONTROLLER),
        )
        holder.tasks.append(task)
        self._fleet().start(holder, task)
        return task

    def stop(self, service: Service, task: Task, reason: str) -> None:
        """Let a task end because somebody asks for it."""
        if not task.stop_code:
            code = 143 if task.status == "RUNNING" else None
            self._fleet().stop(service, task, Ending("UserInitiated", reason, exit_code=code))


def overridden(definition: Json, parameters: Mapping[str, Any]) -> Json:
    """Return a task definition with what a request overrides of its containers."""
    made = copy.deepcopy(definition)
    for override in parameters.get("overrides", {}).get("containerOverrides", ()):
        part = next(found for found in made["containerDefinitions"] if found["name"] == override["name"])
        part["command"] = override.get("command", part.get("command", []))
    return made


def _check(parameters: Json, definition: Json, placement: Placement) -> None:
    """Refuse what ECS refuses, and what is not rehearsed here."""
    if more := parameters.keys() - {*_REHEARSED}:
        raise Refused("UnsupportedFeatureException", f"{', '.join(sorted(more))} of RunTask is not rehearsed here")
    if not parameters.keys() & {"launchType", "capacityProviderStrategy"}:
        raise Refused("UnsupportedFeatureException", "a cluster's default strategy is not rehearsed here")
    _check_overrides(parameters.get("overrides", {}), definition)
    if "startedBy" in parameters and not _STARTED_BY.fullmatch(parameters["startedBy"]):
        raise _invalid("startedBy may hold up to 128 letters, digits, hyphens, slashes and underscores.")
    if "clientToken" in parameters and not _TOKEN.fullmatch(parameters["clientToken"]):
        raise _invalid("clientToken may hold up to 64 characters in the range of 33-126.")
    own = definition.get("networkMode") == "awsvpc"
    if own and not placement.network:
        raise _invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if placement.network and not own:
        raise _invalid("Network Configuration is not valid for the given networkMode of this task definition.")
    check_launch_type(definition, placement.view)


def _check_overrides(overrides: Json, definition: Json) -> None:
    """Refuse overrides of a container that is not there, or too long ones."""
    parts = overrides.get("containerOverrides", [])
    if overrides.keys() - {"containerOverrides"} or any(part.keys() - {"name", "command"} for part in parts):
        raise Refused("UnsupportedFeatureException", "of overrides the commands of containers are rehearsed here")
    names = [part["name"] for part in definition["containerDefinitions"]]
    for part in parts:
        if part.get("name") not in names:
            raise _invalid(f"Override for container named {part.get('name')} is not a container in the TaskDefinition.")
    if len(json.dumps(overrides)) > _OVERRIDE_CHARACTERS:
        raise _invalid(f"Container Overrides length must be at most {_OVERRIDE_CHARACTERS}")


def _invalid(message: str) -> Refused:
    return Refused("InvalidParameterException", message)
