"""The ECS task definition as the stack file describes it; the pipeline adds the image and nothing else.

Pure. The pipeline is the only writer of task definitions: what is rendered here is stored where its
prepare action reads it, so that a change of environment, secret or size ships with the next run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from components.settings import ApplicationSection

IMAGE_PLACEHOLDER = "<IMAGE>"
"""Stands where the prepare action writes the image's digest reference."""

CPU_ARCHITECTURES: Mapping[str, str] = {"arm64": "ARM64", "x86_64": "X86_64"}


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSurroundings:
    """What a task definition names of the account it runs in.

    Attributes:
        family: The task definition's family, one per stack.
        execution_role_arn: Pulls the image, reads the secrets, writes the log; ``None`` where there is none.
        task_role_arn: What the application itself may do; ``None`` for nothing.
        log_group: CloudWatch log group of the containers.
        region: Region of the log group.
        tags: Tags of the revision and its tasks.
    """

    family: str
    execution_role_arn: str | None
    task_role_arn: str | None
    log_group: str
    region: str
    tags: Mapping[str, str]


def task_definition(application: ApplicationSection, surroundings: TaskSurroundings) -> dict[str, object]:
    """The input of ECS's ``RegisterTaskDefinition``, with a placeholder for the image.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
    """
    container: dict[str, object] = {
        "name": application.container,
        "image": IMAGE_PLACEHOLDER,
        "essential": True,
        "portMappings": [{"containerPort": application.port, "hostPort": application.port, "protocol": "tcp"}],
        **_variables(application),
        "readonlyRootFilesystem": application.read_only_root_filesystem,
        # A process that ignores SIGTERM would otherwise hold up every deployment for 30 seconds.
        "linuxParameters": {"initProcessEnabled": True},
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": surroundings.log_group,
                "awslogs-region": surroundings.region,
                "awslogs-stream-prefix": application.container,
                # A stalled log must not stall the application.
                "mode": "non-blocking",
            },
        },
    }
    if application.user is not None:
        container["user"] = application.user
    if application.command:
        container["command"] = list(application.command)
    definition: dict[str, object] = {
        "family": surroundings.family,
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": str(application.cpu),
        "memory": str(application.memory),
        "runtimePlatform": {
            "cpuArchitecture": CPU_ARCHITECTURES[application.architecture],
            "operatingSystemFamily": "LINUX",
        },
        "executionRoleArn": surroundings.execution_role_arn,
        "containerDefinitions": [container],
        "tags": [{"key": key, "value": value} for key, value in sorted(surroundings.tags.items())],
    }
    if surroundings.task_role_arn is not None:
        definition["taskRoleArn"] = surroundings.task_role_arn
    if application.read_only_root_filesystem:
        # Most programs need somewhere to put a temporary file.
        container["mountPoints"] = [{"sourceVolume": "tmp", "containerPath": "/tmp", "readOnly": False}]  # noqa: S108 - a path inside the container
        definition["volumes"] = [{"name": "tmp", "host": {}}]
    return definition


def stated(application: ApplicationSection, surroundings: TaskSurroundings) -> dict[str, object]:
    """Return what the stack file states of the task definition of a service that exists, in the same form.

    The prepare action puts it into what the service runs. Name and port of the container, and the processor, say which
    one it is; the roles are those that may be passed.
    """
    given = application.model_fields_set
    container: dict[str, object] = {"name": application.container}
    container |= {key: value for key, value in _variables(application).items() if key in given}
    if "read_only_root_filesystem" in given:
        container["readonlyRootFilesystem"] = application.read_only_root_filesystem
    if application.user is not None:
        container["user"] = application.user
    if application.command:
        container["command"] = list(application.command)
    roles = {"executionRoleArn": surroundings.execution_role_arn, "taskRoleArn": surroundings.task_role_arn}
    return {
        "family": surroundings.family,
        **{role: arn for role, arn in roles.items() if arn is not None},
        **{size: str(getattr(application, size)) for size in ("cpu", "memory") if size in given},
        "containerDefinitions": [container],
    }


def _variables(application: ApplicationSection) -> dict[str, list[dict[str, str]]]:
    """The variables of the container, and those whose values ECS reads elsewhere."""
    return {
        "environment": [{"name": name, "value": value} for name, value in sorted(application.environment.items())],
        "secrets": [{"name": name, "valueFrom": arn} for name, arn in sorted(application.secrets.items())],
    }
