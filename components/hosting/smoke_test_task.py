"""The task that runs the smoke-test image beside the service: its definition, its log, and what a job needs for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import pulumi
from pulumi_aws import iam

from components.engines.target import TASK_TAG, DeploymentTarget, pass_to_tasks
from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document
from components.hosting.task_definition import CPU_ARCHITECTURES
from components.hosting.task_roles import pull_and_log, task_role
from components.images.repository import Repository

CONTAINER: Final = "smoke-test"
STOP_SECONDS: Final = 30
"""What its container gets to end when it is stopped: Fargate's own figure, said because the job waits for that.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeTestTaskArgs:
    """What distinguishes one task from another.

    Attributes:
        foundation: What it is made with; its prefix begins the names.
        target: The service that it runs beside.
        repository: Where its image is built into.
        architecture: The processor of its image: ``arm64`` or ``x86_64``.
        cpu: CPU units.
        memory: MiB.
    """

    foundation: Foundation
    target: DeploymentTarget
    repository: Repository
    architecture: str
    cpu: int
    memory: int


class SmokeTestTask(pulumi.ComponentResource):
    """What a commit puts into the smoke-test image runs as this task, without a Docker daemon's privileged mode.

    It has no task role, so that its container holds no credentials; its execution role is used by ECS alone.
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:SmokeTestTask"

    variables: Mapping[str, pulumi.Input[str]]
    """What the job is told of it."""
    statements: tuple[Statement, ...]
    """What the job needs to run it."""

    def __init__(self, name: str, args: SmokeTestTaskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        target, prefix = args.target, args.foundation.prefix
        # No stack's family has an underscore, so this is the family of no other stack.
        family = f"{prefix}_{CONTAINER}"
        log = args.foundation.log_group(f"{name}-logs", f"/ecs/{prefix}/{CONTAINER}", self)
        role = task_role(f"{name}-execution", f"Starts the smoke test of {prefix}", args.foundation, self)
        iam.RolePolicy(
            f"{name}-execution-policy",
            role=role.name,
            policy=policy_document(pull_and_log((args.repository,), log.arn)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.variables = {
            "CLUSTER": target.cluster,
            "SERVICE": target.service,
            "TASK_DEFINITION": _definition(family, args, log.name, role.arn),
            "TASK_TAG": TASK_TAG,
        }
        self.statements = (
            target.add_revisions(),
            pass_to_tasks(role.arn),
            target.read_service(),
            *target.run_tasks(family),
            *target.read_tasks(),
            target.read_log_of(log.name, f"{CONTAINER}/*"),
        )
        self.register_outputs({"family": family})


def _definition(
    family: str, args: SmokeTestTaskArgs, log_group: pulumi.Input[str], role: pulumi.Input[str]
) -> pulumi.Output[str]:
    """Render the task definition but for what the job adds: the image, and what the service's place demands."""
    options = {
        "awslogs-group": log_group,
        "awslogs-region": args.foundation.account.region,
        "awslogs-stream-prefix": CONTAINER,
    }
    container = {
        "name": CONTAINER,
        "essential": True,
        "stopTimeout": STOP_SECONDS,
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }
    return pulumi.Output.json_dumps(
        {
            "family": family,
            "cpu": str(args.cpu),
            "memory": str(args.memory),
            "executionRoleArn": role,
            "runtimePlatform": {
                "cpuArchitecture": CPU_ARCHITECTURES[args.architecture],
                "operatingSystemFamily": "LINUX",
            },
            "containerDefinitions": [container],
        },
        sort_keys=True,
    )
