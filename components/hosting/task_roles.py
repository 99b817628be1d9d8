"""The roles of the service: one that starts tasks, one the application itself has, one ECS moves traffic with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import pulumi
from pulumi_aws import iam

from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document, service_trust
from components.foundation.secret import store_of
from components.images.repository import Repository, pull_all, registry_login, repositories_of
from components.settings.sections.volumes import EfsSection

SHELL = (
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html#ecs-exec-required-iam-permissions"""

READ: Final = {
    "secretsmanager": ("ReadSecrets", "secretsmanager:GetSecretValue"),
    "ssm": ("ReadParameters", "ssm:GetParameters"),
}
"""What reading a secret takes, by the service that keeps it.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRolesArgs:
    """What distinguishes the roles of one service from another's.

    Attributes:
        foundation: What they are made with.
        repositories: Where the images that the pipeline delivers come from.
        log_group_arn: Where the containers log to.
        secrets: The secrets by their ARNs, and the parameters by name or ARN, that the task definition reads.
        images: The images of further containers.
        environment_files: ARNs of the files in S3 with variables of the containers.
        file_systems: The file systems of EFS that are mounted, by the names of their volumes.
        statements: What the stack file lets the application do.
        task_role: Name or ARN of a role that exists; ``None`` for the one made here.
        exec: Whether a person may open a shell in a task.
    """

    foundation: Foundation
    repositories: Sequence[Repository]
    log_group_arn: pulumi.Output[str]
    secrets: Sequence[str]
    images: Sequence[str]
    environment_files: Sequence[str]
    file_systems: Mapping[str, EfsSection]
    statements: Sequence[Statement]
    task_role: str | None
    exec: bool


class TaskRoles(pulumi.ComponentResource):
    """An execution role with what the task definition names, and a task role that may do nothing yet."""

    TYPE: ClassVar[str] = "ecs-delivery:hosting:TaskRoles"

    execution_role_arn: pulumi.Output[str]
    """Pulls the image, reads the secrets, writes the log."""
    task_role_arn: pulumi.Output[str]
    """What the application may do."""
    policies: Sequence[pulumi.Resource]
    """What must be there before a task can start."""

    def __init__(self, name: str, args: TaskRolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        foundation, account = args.foundation, args.foundation.account
        starting, shell = _starting(args), _shell(args)
        execution = task_role(f"{name}-execution", f"Starts the tasks of {foundation.prefix}", foundation, self)
        self.execution_role_arn = execution.arn
        policies = [
            iam.RolePolicy(
                f"{name}-execution-policy", role=execution.name, policy=policy_document(starting), opts=child
            )
        ]
        # It stays when the stack file names another: the tasks that run have it until the next deployment.
        task = task_role(f"{name}-task", f"What {foundation.prefix} itself may do", foundation, self)
        self.task_role_arn = task.arn if args.task_role is None else account.role_arn(args.task_role)
        if args.exec and args.task_role is None:
            policies.append(
                iam.RolePolicy(f"{name}-task-policy", role=task.name, policy=policy_document(shell), opts=child)
            )
        for what, statements in (("mounts", _mounting(args)), ("own-policy", args.statements)):
            if statements and args.task_role is None:
                policy = policy_document(statements)
                policies.append(iam.RolePolicy(f"{name}-task-{what}", role=task.name, policy=policy, opts=child))
        self.policies = tuple(policies)
        self.register_outputs({"executionRoleArn": self.execution_role_arn, "taskRoleArn": self.task_role_arn})


def task_role(name: str, description: str, foundation: Foundation, parent: pulumi.Resource) -> iam.Role:
    """Make a role that ECS assumes for tasks of this account, and that may do nothing yet.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    """
    account = foundation.account
    return iam.Role(
        name,
        description=description,
        assume_role_policy=service_trust(
            "ecs-tasks.amazonaws.com", account_id=account.id, source_arn=account.arn("ecs", "*")
        ),
        permissions_boundary=foundation.permissions_boundary,
        tags=foundation.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def pull_and_log(repositories: Iterable[Repository], log_group_arn: pulumi.Output[str]) -> list[Statement]:
    """Return what an execution role takes at least: the images of a task, and the log of the ``awslogs`` driver.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
    """
    return [
        registry_login(),
        pull_all("PullImage", repositories),
        Statement(
            sid="WriteLog",
            actions=("logs:CreateLogStream", "logs:PutLogEvents"),
            resources=(log_group_arn.apply(lambda arn: f"{arn}:*"),),
        ),
    ]


def _shell(args: TaskRolesArgs) -> list[Statement]:
    """Return permission to open a shell, and to keep what is typed there in the containers' log group.

    ECS Exec logs a session where the task definition's ``awslogs`` driver logs, unless the cluster says otherwise.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html#ecs-exec-required-iam-permissions
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html#ecs-exec-logging
    """
    return [
        Statement(sid="OpenShell", actions=SHELL, resources=("*",)),
        Statement(sid="FindSessionLog", actions=("logs:DescribeLogGroups",), resources=("*",)),
        Statement(
            sid="WriteSessionLog",
            actions=("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
            resources=(args.log_group_arn.apply(lambda arn: f"{arn}:*"),),
        ),
    ]


def _mounting(args: TaskRolesArgs) -> list[Statement]:
    """Return permission to mount file systems through their access points; without one EFS asks for no permission.

    https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html
    """
    account = args.foundation.account
    return [
        Statement(
            sid=f"Mount{''.join(word.capitalize() for word in re.findall('[A-Za-z0-9]+', volume))}",
            actions=("elasticfilesystem:ClientMount", *(() if efs.read_only else ("elasticfilesystem:ClientWrite",))),
            resources=(account.arn("elasticfilesystem", f"file-system/{efs.file_system_id}"),),
            conditions={
                "ArnEquals": {
                    "elasticfilesystem:AccessPointArn": account.arn(
                        "elasticfilesystem", f"access-point/{efs.access_point_id}"
                    )
                }
            },
        )
        for volume, efs in args.file_systems.items()
        if efs.access_point_id is not None
    ]


def _starting(args: TaskRolesArgs) -> list[Statement]:
    """Return what starting a task takes: its image, its log, its secrets."""
    account = args.foundation.account
    statements = pull_and_log((*args.repositories, *repositories_of(args.images, account)), args.log_group_arn)
    for kind, (sid, action) in READ.items():
        named = sorted({_whole(source) for source in args.secrets if store_of(source) == kind})
        if named:
            arns = tuple(account.parameter_arn(source) for source in named)
            statements.append(Statement(sid=sid, actions=(action,), resources=arns))
    if args.environment_files:
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
        files = tuple(sorted(set(args.environment_files)))
        buckets = tuple(sorted({file.partition("/")[0] for file in files}))
        statements += [
            Statement(sid="ReadEnvironmentFiles", actions=("s3:GetObject",), resources=files),
            Statement(sid="FindEnvironmentFiles", actions=("s3:GetBucketLocation",), resources=buckets),
        ]
    return statements


def _whole(source: str) -> str:
    """The ARN of a whole secret: what ECS takes may name a key, a stage and a version behind it."""
    return ":".join(source.split(":")[:7])
