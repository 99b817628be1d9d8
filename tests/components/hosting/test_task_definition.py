"""The task definition as ECS will get it, but for the image."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from samples import shop

from components.hosting.task_definition import CPU_ARCHITECTURES, IMAGE_PLACEHOLDER, TaskSurroundings, task_definition
from components.settings import ApplicationSection

SURROUNDINGS = TaskSurroundings(
    family="shop-dev",
    execution_role_arn="arn:aws:iam::123456789012:role/shop-execution",
    task_role_arn="arn:aws:iam::123456789012:role/shop-task",
    log_group="/ecs/shop-dev",
    region="eu-west-1",
    parameters_arn="arn:aws:ssm:eu-west-1:123456789012:parameter",
    tags={"ManagedBy": "ecs-delivery", "Application": "shop"},
)
DATABASE = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-database-AbCdEf"
MAIL = "arn:aws:ssm:eu-west-1:123456789012:parameter/shop/mail"


def application(**settings: object) -> ApplicationSection:
    made_here = {"loadBalancer": {"plainHttp": True}}
    return shop(application={"name": "shop", **settings}, hosting=made_here).application


def container(**settings: object) -> dict[str, Any]:
    (only,) = definition(**settings)["containerDefinitions"]
    return dict(only)


def definition(**settings: object) -> dict[str, Any]:
    return task_definition(application(**settings), SURROUNDINGS)


def test_a_small_application_gives_the_whole_definition() -> None:
    assert definition() == {
        "family": "shop-dev",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
        "executionRoleArn": "arn:aws:iam::123456789012:role/shop-execution",
        "taskRoleArn": "arn:aws:iam::123456789012:role/shop-task",
        "volumes": [{"name": "tmp", "host": {}}],
        "containerDefinitions": [
            {
                "name": "shop",
                "image": "<IMAGE>",
                "essential": True,
                "portMappings": [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}],
                "environment": [],
                "secrets": [],
                "readonlyRootFilesystem": True,
                "linuxParameters": {"initProcessEnabled": True},
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {
                        "awslogs-group": "/ecs/shop-dev",
                        "awslogs-region": "eu-west-1",
                        "awslogs-stream-prefix": "shop",
                        "mode": "non-blocking",
                        "max-buffer-size": "25m",
                    },
                },
                "mountPoints": [{"sourceVolume": "tmp", "containerPath": "/tmp", "readOnly": False}],  # noqa: S108 - a path inside the container
            }
        ],
        "tags": [{"key": "Application", "value": "shop"}, {"key": "ManagedBy", "value": "ecs-delivery"}],
    }


def test_everything_the_stack_file_says_is_in_the_definition() -> None:
    """It is the only place a change of environment, secret or size can come from (aws-cdk#26983)."""
    made = definition(
        containerName="web",
        port=3000,
        cpu=1024,
        memory=2048,
        architecture="x86_64",
        environment={"LOG_LEVEL": "info", "CURRENCY": "EUR"},
        secrets={"DATABASE_URL": DATABASE, "MAIL": MAIL},
        command=["node", "server.js"],
        readOnlyRootFilesystem=False,
    )
    (only,) = made["containerDefinitions"]
    assert (made["cpu"], made["memory"]) == ("1024", "2048")
    assert made["runtimePlatform"] == {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}
    assert only["name"] == "web"
    assert only["logConfiguration"]["options"]["awslogs-stream-prefix"] == "web"
    assert only["portMappings"] == [{"containerPort": 3000, "hostPort": 3000, "protocol": "tcp"}]
    assert only["environment"] == [{"name": "CURRENCY", "value": "EUR"}, {"name": "LOG_LEVEL", "value": "info"}]
    assert only["secrets"] == [{"name": "DATABASE_URL", "valueFrom": DATABASE}, {"name": "MAIL", "valueFrom": MAIL}]
    assert only["command"] == ["node", "server.js"]
    assert only["readonlyRootFilesystem"] is False


def test_the_order_of_the_stack_file_does_not_show() -> None:
    """Else moving a line would ship a new revision that changes nothing."""
    one = definition(environment={"A": "1", "B": "2"}, secrets={"C": DATABASE, "D": MAIL})
    other = definition(environment={"B": "2", "A": "1"}, secrets={"D": MAIL, "C": DATABASE})
    assert json.dumps(one) == json.dumps(other)


def test_an_application_without_command_keeps_the_command_of_its_image() -> None:
    assert "command" not in container()


def test_a_writable_root_needs_no_volume_for_temporary_files() -> None:
    made = definition(readOnlyRootFilesystem=False)
    assert "volumes" not in made
    assert "mountPoints" not in made["containerDefinitions"][0]


def test_an_application_that_needs_nothing_of_aws_has_no_task_role() -> None:
    made = task_definition(application(), dataclasses.replace(SURROUNDINGS, task_role_arn=None))
    assert "taskRoleArn" not in made


def test_the_image_is_left_to_the_pipeline() -> None:
    """CodeDeploy's templates know the same placeholder, `<NAME>`; the prepare action writes the digest there."""
    assert container()["image"] == IMAGE_PLACEHOLDER == "<IMAGE>"


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_each_architecture_of_the_stack_file_has_its_name_in_ecs(architecture: str) -> None:
    made = definition(architecture=architecture)
    assert made["runtimePlatform"]["cpuArchitecture"] == CPU_ARCHITECTURES[architecture] == architecture.upper()


def test_a_definition_is_json() -> None:
    assert json.loads(json.dumps(definition())) == definition()


def test_the_container_runs_as_the_user_the_stack_file_names_and_else_as_the_image_says() -> None:
    def container(**settings: object) -> dict[str, Any]:
        definition: dict[str, Any] = task_definition(application(**settings), SURROUNDINGS)
        return dict(definition["containerDefinitions"][0])

    assert container(user="1000:1000")["user"] == "1000:1000"
    assert "user" not in container()
