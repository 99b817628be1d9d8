"""The task definition, or what the stack file states of that of a service that exists, for the prepare action."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.foundation.artifact_bucket import ArtifactBucket
from components.foundation.foundation import Foundation
from components.hosting import DeploymentTarget
from components.hosting.task_definition import TaskSurroundings, stated, task_definition
from components.settings import ApplicationSection

KEY = "_task-definition/template.json"
"""Where no pipeline keeps artifacts, since no name starts like this: artifacts expire, and builds may write them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskDefinitionTemplateArgs:
    """What the template is rendered from.

    Attributes:
        foundation: Region, and tags of the tasks.
        application: The stack file's ``application``.
        hosting: Roles, log group and names of ports.
        artifacts: The bucket it is kept in: an object has no size limit that a task definition could reach.
    """

    foundation: Foundation
    application: ApplicationSection
    hosting: DeploymentTarget
    artifacts: ArtifactBucket


class TaskDefinitionTemplate(pulumi.ComponentResource):
    """One object in the artifact bucket; a change of it ships with the next run."""

    TYPE: ClassVar[str] = "ecs-delivery:index:TaskDefinitionTemplate"

    uri: pulumi.Output[str]
    """``s3://`` address of the template."""

    def __init__(self, name: str, args: TaskDefinitionTemplateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        hosting, foundation = args.hosting, args.foundation

        form = task_definition if hosting.take_over is None else stated

        def render(known: Mapping[str, str | None]) -> str:
            surroundings = TaskSurroundings(
                family=hosting.family,
                execution_role_arn=known["execution_role_arn"],
                task_role_arn=known["task_role_arn"],
                log_group=str(known["log_group"]),
                region=str(known["region"]),
                parameters_arn=str(known["parameters_arn"]),
                tags=foundation.tags,
                port_names=hosting.port_names,
            )
            return json.dumps(form(args.application, surroundings), indent=2) + "\n"

        content = pulumi.Output.all(
            execution_role_arn=hosting.execution_role_arn,
            task_role_arn=hosting.task_role_arn,
            log_group=hosting.log_group,
            region=foundation.account.region,
            parameters_arn=foundation.account.arn("ssm", "parameter"),
        ).apply(render)
        self.uri = args.artifacts.store(f"{name}-object", KEY, content, content_type="application/json", parent=self)
        self.register_outputs({"uri": self.uri})
