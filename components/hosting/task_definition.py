"""The ECS task definition as the stack file describes it; the pipeline adds the image and nothing else.

Pure. The pipeline is the only writer of task definitions: what is rendered here is stored where its
prepare action reads it, so that a change of environment, secret or size ships with the next run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.settings import ApplicationSection
from components.settings.sections.container import TEMPORARY, ContainerSection
from components.settings.sections.containers import BUILT, FurtherContainerSection
from components.settings.sections.logs import FirelensSection, LogsSection
from components.settings.sections.volumes import TEMPORARY_VOLUME, EfsSection, VolumeSection

IMAGE_PLACEHOLDER = "<IMAGE>"
"""Stands where the prepare action writes the image's digest reference."""


def image_placeholder(name: str) -> str:
    """Return what stands where the prepare action writes the digest reference of a further image.

    Args:
        name: The image's name in the stack file.
    """
    return f"<IMAGE:{name}>"


def _image(container: FurtherContainerSection) -> str:
    """Return the image of a further container, or what stands for one that the pipeline delivers."""
    if container.image == BUILT:
        return IMAGE_PLACEHOLDER
    return container.image if container.built is None else image_placeholder(container.built)


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
        parameters_arn: What the ARNs of the account's parameters in Parameter Store begin with: ``...:parameter``.
        tags: Tags of the revision and its tasks.
        port_names: What the port mappings of containers with an endpoint of Service Connect say besides.
    """

    family: str
    execution_role_arn: str | None
    task_role_arn: str | None
    log_group: str
    region: str
    parameters_arn: str
    tags: Mapping[str, str]
    port_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def task_definition(application: ApplicationSection, surroundings: TaskSurroundings) -> dict[str, object]:
    """The input of ECS's ``RegisterTaskDefinition``, with a placeholder for the image.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
    """
    own = {
        "image": IMAGE_PLACEHOLDER,
        "essential": True,
        "portMappings": _ports(application.port, surroundings.port_names.get(application.container, {})),
    }
    containers = [_container(application.container, own, application, application, surroundings)]
    containers += [
        _container(
            name, _of_further(container, surroundings.port_names.get(name, {})), container, application, surroundings
        )
        for name, container in application.containers.items()
    ]
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
        "containerDefinitions": containers,
        "tags": [{"key": key, "value": value} for key, value in sorted(surroundings.tags.items())],
    }
    if surroundings.task_role_arn is not None:
        definition["taskRoleArn"] = surroundings.task_role_arn
    if application.ephemeral_storage_gib is not None:
        definition["ephemeralStorage"] = {"sizeInGiB": application.ephemeral_storage_gib}
    volumes: list[dict[str, object]] = [
        {"name": volume, "host": {}}
        for name, part in application.every_container.items()
        for volume in _writable(name, part)
    ]
    volumes += [_volume(name, volume.efs) for name, volume in application.volumes.items()]
    if volumes:
        definition["volumes"] = volumes
    return definition


def _container(
    name: str,
    of_its_kind: Mapping[str, object],
    container: ContainerSection,
    application: ApplicationSection,
    surroundings: TaskSurroundings,
) -> dict[str, object]:
    """A container definition.

    Args:
        name: Its name.
        of_its_kind: What differs between the application's own container and further ones.
        container: What the stack file says of it.
        application: The stack file's ``application``.
        surroundings: Log group and region.
    """
    made: dict[str, object] = {
        "name": name,
        **of_its_kind,
        **_variables(container, surroundings),
        "readonlyRootFilesystem": container.read_only_root_filesystem,
        # A process that ignores SIGTERM would otherwise hold up every deployment for 30 seconds.
        "linuxParameters": {"initProcessEnabled": container.init_process},
        "logConfiguration": _logs(container.logs, application.container, surroundings),
        **_where_said(container),
    }
    mounts = [
        {"sourceVolume": volume, "containerPath": path, "readOnly": False}
        for volume, path in _writable(name, container).items()
    ]
    mounts += [
        {
            "sourceVolume": volume,
            "containerPath": mount.path,
            "readOnly": mount.read_only or _only_read(application.volumes[volume]),
        }
        for volume, mount in container.mounts.items()
    ]
    if mounts:
        made["mountPoints"] = mounts
    return made


def _logs(logs: LogsSection, prefix: str, surroundings: TaskSurroundings) -> dict[str, object]:
    """The log configuration of a container.

    Args:
        logs: What the stack file says of it.
        prefix: What the names of the log streams of all containers of the task begin with; their own stand behind it.
        surroundings: Log group and region.
    """
    if logs.driver == "awsfirelens":
        routed: dict[str, object] = {"logDriver": logs.driver, "options": dict(logs.options)}
        if logs.secret_options:
            routed["secretOptions"] = [
                {"name": name, "valueFrom": _secret_arn(source, surroundings)}
                for name, source in sorted(logs.secret_options.items())
            ]
        return routed
    options = {
        "awslogs-group": surroundings.log_group,
        "awslogs-region": surroundings.region,
        "awslogs-stream-prefix": prefix,
        # A stalled log must not stall the application.
        "mode": logs.mode,
    }
    if logs.mode == "non-blocking":
        options["max-buffer-size"] = logs.buffer_size
    if logs.date_time_format is not None:
        options["awslogs-datetime-format"] = logs.date_time_format
    if logs.multiline_pattern is not None:
        options["awslogs-multiline-pattern"] = logs.multiline_pattern
    return {"logDriver": logs.driver, "options": options}


def _of_further(container: FurtherContainerSection, named: Mapping[str, str]) -> dict[str, object]:
    """What is said of further containers alone."""
    sizes = {"cpu": container.cpu, "memory": container.memory, "memoryReservation": container.memory_reservation}
    return {
        "image": _image(container),
        "essential": container.essential,
        **({"portMappings": _ports(container.port, named)} if container.port is not None else {}),
        **{key: size for key, size in sizes.items() if size is not None},
        **({"firelensConfiguration": _firelens(container.firelens)} if container.firelens is not None else {}),
    }


def _firelens(router: FirelensSection) -> dict[str, object]:
    """What makes a container the log router; on Fargate its configuration is a file of its image.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_FirelensConfiguration.html
    """
    options = {"enable-ecs-log-metadata": "true" if router.enable_ecs_log_metadata else "false"}
    if router.config_file is not None:
        options |= {"config-file-type": "file", "config-file-value": router.config_file}
    return {"type": router.type, "options": options}


def _volume(name: str, efs: EfsSection | None) -> dict[str, object]:
    """A volume of the task: one of EFS, which is reached encrypted, or an empty one."""
    if efs is None:
        return {"name": name, "host": {}}
    configuration: dict[str, object] = {"fileSystemId": efs.file_system_id, "transitEncryption": "ENABLED"}
    if efs.access_point_id is not None:
        configuration["authorizationConfig"] = {"accessPointId": efs.access_point_id, "iam": "ENABLED"}
    if efs.root_directory is not None:
        configuration["rootDirectory"] = efs.root_directory
    return {"name": name, "efsVolumeConfiguration": configuration}


def _only_read(volume: VolumeSection) -> bool:
    """Whether no container may write to a volume."""
    return volume.efs is not None and volume.efs.read_only


def _ports(port: int, named: Mapping[str, str]) -> list[dict[str, object]]:
    return [{"containerPort": port, "hostPort": port, "protocol": "tcp", **named}]


def _where_said(container: ContainerSection) -> dict[str, object]:
    """What a container definition has only where the stack file says it."""
    made: dict[str, object] = {}
    if container.user is not None:
        made["user"] = container.user
    for key, words in (("command", container.command), ("entryPoint", container.entry_point)):
        if words:
            made[key] = list(words)
    if container.working_directory is not None:
        made["workingDirectory"] = container.working_directory
    if container.stop_timeout_seconds is not None:
        made["stopTimeout"] = container.stop_timeout_seconds
    if (check := container.health_check) is not None:
        made["healthCheck"] = {
            "command": list(check.command),
            "interval": check.interval_seconds,
            "timeout": check.timeout_seconds,
            "retries": check.retries,
            # Off when left out, and ECS may not repeat a 0, which the comparison with what runs would take for an edit.
            **({"startPeriod": check.start_period_seconds} if check.start_period_seconds else {}),
        }
    if container.environment_files:
        made["environmentFiles"] = [{"value": file, "type": "s3"} for file in container.environment_files]
    if container.ulimits:
        made["ulimits"] = [
            {"name": name, "softLimit": limit.soft, "hardLimit": limit.hard}
            for name, limit in sorted(container.ulimits.items())
        ]
    if container.depends_on:
        made["dependsOn"] = [
            {"containerName": name, "condition": condition} for name, condition in sorted(container.depends_on.items())
        ]
    return made


def _writable(name: str, container: ContainerSection) -> dict[str, str]:
    """The volumes that a container with a read-only root filesystem writes to, with their paths.

    Volumes and not ``tmpfs``, which Fargate takes since January 2026: a volume is on the task's disk and takes none of
    its memory, and AWS documents to whom it belongs (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html).
    """
    if not container.read_only_root_filesystem:
        return {}
    # Most programs need somewhere to put a temporary file.
    further = isinstance(container, FurtherContainerSection)
    temporary = f"{name}-{TEMPORARY_VOLUME}" if further else TEMPORARY_VOLUME
    others = {f"{name}-writable-{number}": path for number, path in enumerate(container.writable_paths, 1)}
    return {temporary: TEMPORARY, **others}


def stated(application: ApplicationSection, surroundings: TaskSurroundings) -> dict[str, object]:
    """Return what the stack file states of the task definition of a service that exists, in the same form.

    The prepare action puts it into what the service runs. Name and port of the container, and the processor, say which
    one it is; the roles are those that may be passed.
    """
    given = application.model_fields_set
    container: dict[str, object] = {"name": application.container}
    container |= {key: value for key, value in _variables(application, surroundings).items() if key in given}
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


def _variables(container: ContainerSection, surroundings: TaskSurroundings) -> dict[str, list[dict[str, str]]]:
    """The variables of a container, and those whose values ECS reads elsewhere."""
    return {
        "environment": [{"name": name, "value": value} for name, value in sorted(container.environment.items())],
        "secrets": [
            {"name": name, "valueFrom": _secret_arn(source, surroundings)}
            for name, source in sorted(container.secrets.items())
        ],
    }


def _secret_arn(source: str, surroundings: TaskSurroundings) -> str:
    """The ARN of a secret, or of a parameter that the stack file gives by its name."""
    return source if source.startswith("arn:") else f"{surroundings.parameters_arn}{source}"
