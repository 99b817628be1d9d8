"""The task definition that a new service starts with; from the first deployment on the pipeline writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws import ecs

from components.engines import Engine
from components.foundation.foundation import Foundation
from components.hosting.bootstrap import first_definition
from components.hosting.task_definition import IMAGE_PLACEHOLDER, TaskSurroundings, image_placeholder
from components.hosting.task_roles import TaskRoles
from components.images.repository import Repository
from components.settings import ApplicationSection
from components.settings.sections.load_balancer import HealthCheckSection

BOOTSTRAP_IS_WRITTEN_ONCE: Final = (
    "containerDefinitions",
    "cpu",
    "ephemeralStorage",
    "memory",
    "runtimePlatform",
    "taskRoleArn",
    "volumes",
)
"""A new revision of it would run nowhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstDefinitionArgs:
    """What the first task definition of a service is rendered from.

    Attributes:
        foundation: What it is made with; its prefix names the family.
        application: The stack file's ``application``.
        engine: What deploys.
        exec: Whether a person may open a shell in a task.
        reached: Name and port of each container that the load balancer reaches, the one of the users first.
        health_check: What the load balancer asks the tasks, and takes for an answer.
        repository: Where the application's images come from.
        further: Where the images come from that are delivered with them, by their names.
        roles: The roles of the tasks.
        log_group: Name of the log group of the containers.
    """

    foundation: Foundation
    application: ApplicationSection
    engine: Engine
    exec: bool
    reached: Sequence[tuple[str, int]]
    health_check: HealthCheckSection
    repository: Repository
    further: Mapping[str, Repository]
    roles: TaskRoles
    log_group: pulumi.Output[str]


def first_definition_of(
    name: str, args: FirstDefinitionArgs, opts: pulumi.ResourceOptions | None = None
) -> ecs.TaskDefinition:
    """Make what a service runs until the pipeline's first deployment.

    Args:
        name: Its Pulumi name.
        args: What it is rendered from.
        opts: Its options, but for what Pulumi is to ignore.
    """
    foundation = args.foundation
    images = {IMAGE_PLACEHOLDER: args.repository}
    images |= {image_placeholder(name): repository for name, repository in args.further.items()}

    def render(known: Mapping[str, str]) -> dict[str, Any]:
        surroundings = TaskSurroundings(
            family=foundation.prefix,
            execution_role_arn=known["execution_role_arn"],
            task_role_arn=known["task_role_arn"],
            log_group=known["log_group"],
            region=known["region"],
            parameters_arn=known["parameters_arn"],
            tags=foundation.tags,
        )
        return first_definition(
            args.application,
            surroundings,
            repositories={image: known[image] for image in images} if args.engine.ships_image_only else None,
            exec_=args.exec,
            reached=args.reached,
            health_check=args.health_check,
        )

    definition = pulumi.Output.all(
        execution_role_arn=args.roles.execution_role_arn,
        task_role_arn=args.roles.task_role_arn,
        log_group=args.log_group,
        region=foundation.account.region,
        parameters_arn=foundation.account.arn("ssm", "parameter"),
        **{image: repository.uri for image, repository in images.items()},
    ).apply(render)
    return ecs.TaskDefinition(
        name,
        family=definition["family"],
        requires_compatibilities=["FARGATE"],
        network_mode="awsvpc",
        cpu=definition["cpu"],
        memory=definition["memory"],
        runtime_platform=ecs.TaskDefinitionRuntimePlatformArgs(
            cpu_architecture=definition["runtimePlatform"]["cpuArchitecture"],
            operating_system_family="LINUX",
        ),
        execution_role_arn=definition["executionRoleArn"],
        task_role_arn=definition.apply(lambda known: known.get("taskRoleArn")),
        container_definitions=definition.apply(lambda known: json.dumps(known["containerDefinitions"])),
        ephemeral_storage=definition.apply(_disk),
        volumes=definition.apply(lambda known: [_volume(volume) for volume in known.get("volumes", [])]),
        tags=foundation.tags,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=list(BOOTSTRAP_IS_WRITTEN_ONCE))),
    )


def _volume(volume: Mapping[str, Any]) -> ecs.TaskDefinitionVolumeArgs:
    """A volume as AWS's provider takes it."""
    efs = volume.get("efsVolumeConfiguration")
    if efs is None:
        return ecs.TaskDefinitionVolumeArgs(name=volume["name"])
    access = efs.get("authorizationConfig")
    return ecs.TaskDefinitionVolumeArgs(
        name=volume["name"],
        efs_volume_configuration=ecs.TaskDefinitionVolumeEfsVolumeConfigurationArgs(
            file_system_id=efs["fileSystemId"],
            root_directory=efs.get("rootDirectory"),
            transit_encryption=efs["transitEncryption"],
            authorization_config=ecs.TaskDefinitionVolumeEfsVolumeConfigurationAuthorizationConfigArgs(
                access_point_id=access["accessPointId"], iam=access["iam"]
            )
            if access
            else None,
        ),
    )


def _disk(definition: Mapping[str, Any]) -> ecs.TaskDefinitionEphemeralStorageArgs | None:
    disk = definition.get("ephemeralStorage")
    return ecs.TaskDefinitionEphemeralStorageArgs(size_in_gib=disk["sizeInGiB"]) if disk else None
