"""The roles, the ways and the first definition of what tasks with several containers and storage need."""

from __future__ import annotations

from typing import Any

import pytest
from made_hosting import made
from test_task_definition import ECR, FILES, MAIL, NGINX, POINT, SECRET, definition, own


def test_the_execution_role_may_start_all_containers() -> None:
    """It reads what each of them names, and pulls the images that are in Amazon ECR."""
    found = made(
        application={
            "name": "shop",
            "secrets": {"MAIL": "/shop/mail"},
            "containers": {
                "nginx": {**NGINX, "secrets": {"KEY": f"{SECRET}:key::"}},
                "otel": {"image": f"{ECR}:1"},
                "cache": {"image": "build/cache"},
                "again": {"image": f"{ECR}@sha256:{'0' * 64}"},
            },
        },
        build={"images": {"cache": {"dockerfile": "cache/Dockerfile"}}},
    )
    statements = found.statements("roles-execution-policy")
    assert statements["ReadSecrets"]["Resource"] == [SECRET]
    assert statements["ReadParameters"]["Resource"] == [MAIL]
    assert statements["PullImage"]["Resource"] == [
        "arn:aws:ecr:eu-west-1:123456789012:repository/shop-dev",
        "arn:aws:ecr:eu-west-1:123456789012:repository/shop-dev-cache",
        "arn:aws:ecr:eu-central-1:210987654321:repository/tools/otel",
    ]


def with_files(hosting: dict[str, Any] | None = None, **efs: object) -> Any:  # noqa: ANN401 - as `made`
    application = {
        "name": "shop",
        "mounts": {"up-loads": {"path": "/srv/files"}},
        "volumes": {"up-loads": {"efs": {**POINT, **efs}}},
    }
    return made(hosting, application=application)


@pytest.mark.parametrize("read_only", [True, False])
def test_the_task_role_made_here_may_mount_the_access_point_and_nothing_else(read_only: bool) -> None:
    found = with_files(readOnly=read_only)
    write = [] if read_only else ["elasticfilesystem:ClientWrite"]
    assert found.statements("roles-task-mounts") == {
        "MountUpLoads": {
            "Sid": "MountUpLoads",
            "Effect": "Allow",
            "Action": ["elasticfilesystem:ClientMount", *write],
            "Resource": ["arn:aws:elasticfilesystem:eu-west-1:123456789012:file-system/fs-0a1b2c3d4e5f67890"],
            "Condition": {
                "ArnEquals": {
                    "elasticfilesystem:AccessPointArn": "arn:aws:elasticfilesystem:eu-west-1:123456789012:"
                    "access-point/fsap-0a1b2c3d4e5f67890"
                }
            },
        }
    }


@pytest.mark.parametrize("efs", [POINT, {**FILES, "rootDirectory": "/shop"}, None], ids=["point", "directory", "none"])
def test_the_ecs_action_starts_with_the_volumes_of_the_application(efs: dict[str, str] | None) -> None:
    volume = {"efs": efs} if efs else {}
    application = {"name": "shop", "mounts": {"files": {"path": "/srv"}}, "volumes": {"files": volume}}
    found = made(deploy={"engine": "ecsAction"}, application=application)
    (_, files) = found.one("aws:ecs/taskDefinition:TaskDefinition").inputs["volumes"]
    (_, described) = definition(mounts=application["mounts"], volumes=application["volumes"])["volumes"]
    described.pop("host", None)
    assert files == described


def test_a_role_that_is_named_gets_no_permissions() -> None:
    found = with_files({"service": {"taskRole": "shop-task"}})
    assert [item.name for item in found.graph.of("RolePolicy") if "-task-" in item.name] == []


def test_the_way_to_a_file_system_is_opened_where_its_group_is_named_and_else_said() -> None:
    group = "sg-0a1b2c3d4e5f67890"
    opened, closed = with_files(securityGroupId=group), with_files()
    (rule,) = [
        item.inputs
        for item in opened.graph.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
        if item.inputs["securityGroupId"] == group
    ]
    assert (rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (2049, 2049, "tcp")
    assert rule["referencedSecurityGroupId"] == opened.service["networkConfiguration"]["securityGroups"][0]
    assert len(opened.hosting.notes) + 1 == len(closed.hosting.notes), "it says what to open"


def test_the_execution_role_may_read_files_with_variables() -> None:
    files = ["arn:aws:s3:::shop-configuration/prod/shop.env", "arn:aws:s3:::shop-configuration/all.env"]
    nginx = {**NGINX, "environmentFiles": files[1:]}
    found = made(application={"name": "shop", "environmentFiles": files, "containers": {"nginx": nginx}})
    statements = found.statements("roles-execution-policy")
    assert statements["ReadEnvironmentFiles"]["Resource"] == sorted(files)
    assert statements["FindEnvironmentFiles"]["Action"] == ["s3:GetBucketLocation"]
    assert statements["FindEnvironmentFiles"]["Resource"] == ["arn:aws:s3:::shop-configuration"]
    assert own(environmentFiles=files)["environmentFiles"] == [{"value": file, "type": "s3"} for file in files]


def test_the_application_may_do_what_the_stack_file_says() -> None:
    condition = {"StringEquals": {"aws:ResourceTag/Application": "shop"}}
    policy = [
        {"actions": ["s3:GetObject", "s3:PutObject"], "resources": ["arn:aws:s3:::shop-uploads/*"]},
        {
            "actions": ["sqs:SendMessage"],
            "resources": ["arn:aws:sqs:eu-west-1:123456789012:shop"],
            "conditions": condition,
        },
    ]
    found = made({"service": {"taskRolePolicy": policy}})
    assert list(found.statements("roles-task-own-policy").values()) == [
        {
            "Sid": "Application1",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": ["arn:aws:s3:::shop-uploads/*"],
        },
        {
            "Sid": "Application2",
            "Effect": "Allow",
            "Action": ["sqs:SendMessage"],
            "Resource": ["arn:aws:sqs:eu-west-1:123456789012:shop"],
            "Condition": condition,
        },
    ]
