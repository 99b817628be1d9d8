"""Several containers in one task: what the stack file says of each, as ECS will get it."""

from __future__ import annotations

from typing import Any

import pytest
from made_hosting import made
from test_task_definition import MAIL, SURROUNDINGS, definition

from components.hosting.task_definition import IMAGE_PLACEHOLDER

NGINX = {"image": "public.ecr.aws/nginx/nginx:1.27", "port": 80}
CHECK = {"command": ["CMD-SHELL", "curl -f http://localhost:8000/health || exit 1"]}


def containers(**settings: object) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for part in definition(**settings)["containerDefinitions"]}


def own(**settings: object) -> dict[str, Any]:
    return containers(**settings)["shop"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"entryPoint": ["/usr/bin/tini", "--"]}, {"entryPoint": ["/usr/bin/tini", "--"]}),
        ({"workingDirectory": "/srv"}, {"workingDirectory": "/srv"}),
        ({"stopTimeoutSeconds": 110}, {"stopTimeout": 110}),
        ({"initProcess": False}, {"linuxParameters": {"initProcessEnabled": False}}),
        (
            {"ulimits": {"nofile": {"soft": 4096, "hard": 65536}}},
            {"ulimits": [{"name": "nofile", "softLimit": 4096, "hardLimit": 65536}]},
        ),
        (
            {"healthCheck": {**CHECK, "startPeriodSeconds": 60}},
            {"healthCheck": {**CHECK, "interval": 30, "timeout": 5, "retries": 3, "startPeriod": 60}},
        ),
        (
            {"healthCheck": {**CHECK, "intervalSeconds": 5, "timeoutSeconds": 2, "retries": 10}},
            {"healthCheck": {**CHECK, "interval": 5, "timeout": 2, "retries": 10, "startPeriod": 0}},
        ),
    ],
    ids=lambda value: next(iter(value)),
)
def test_what_the_stack_file_says_of_the_container_is_in_its_definition(
    settings: dict[str, Any], says: dict[str, Any]
) -> None:
    """And in that of a further one: both are described alike."""
    plain = own()
    key = next(iter(says))
    assert key == "linuxParameters" or key not in plain, "ECS's own default is not repeated"
    assert {key: value for key, value in own(**settings).items() if value != plain.get(key)} == says
    further = containers(containers={"nginx": {**NGINX, **settings}})["nginx"]
    assert {key: further[key] for key in says} == says


def test_writable_paths_are_volumes_of_the_container_alone() -> None:
    made_of = definition(
        writablePaths=["/srv/cache"],
        containers={"nginx": {**NGINX, "writablePaths": ["/var/cache/nginx", "/var/run"]}},
    )
    mounted = {
        part["name"]: {mount["containerPath"]: mount["sourceVolume"] for mount in part["mountPoints"]}
        for part in made_of["containerDefinitions"]
    }
    assert mounted == {
        "shop": {"/tmp": "tmp", "/srv/cache": "shop-writable-1"},  # noqa: S108 - a path inside the container
        "nginx": {
            "/tmp": "nginx-tmp",  # noqa: S108 - a path inside the container
            "/var/cache/nginx": "nginx-writable-1",
            "/var/run": "nginx-writable-2",
        },
    }
    assert [volume["name"] for volume in made_of["volumes"]] == [
        volume for paths in mounted.values() for volume in paths.values()
    ]


def test_a_container_with_a_writable_root_has_no_volumes() -> None:
    made_of = definition(containers={"nginx": {**NGINX, "readOnlyRootFilesystem": False}})
    assert [volume["name"] for volume in made_of["volumes"]] == ["tmp"]
    assert "mountPoints" not in made_of["containerDefinitions"][1]


def test_a_further_container_gives_the_whole_definition() -> None:
    nginx = {**NGINX, "cpu": 64, "memory": 128, "memoryReservation": 64, "dependsOn": {"shop": "START"}}
    assert containers(containers={"nginx": nginx})["nginx"] == {
        "name": "nginx",
        "image": "public.ecr.aws/nginx/nginx:1.27",
        "essential": True,
        "portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}],
        "cpu": 64,
        "memory": 128,
        "memoryReservation": 64,
        "environment": [],
        "secrets": [],
        "readonlyRootFilesystem": True,
        "linuxParameters": {"initProcessEnabled": True},
        "logConfiguration": own()["logConfiguration"],
        "dependsOn": [{"containerName": "shop", "condition": "START"}],
        "mountPoints": [{"sourceVolume": "nginx-tmp", "containerPath": "/tmp", "readOnly": False}],  # noqa: S108 - a path inside the container
    }


def test_a_container_that_runs_first_has_the_image_that_is_delivered() -> None:
    made_of = containers(
        dependsOn={"migrate": "SUCCESS"},
        containers={"migrate": {"image": "build", "essential": False, "command": ["migrate"]}},
    )
    assert made_of["migrate"]["image"] == made_of["shop"]["image"] == IMAGE_PLACEHOLDER
    assert made_of["migrate"]["essential"] is False
    assert "portMappings" not in made_of["migrate"]
    assert made_of["shop"]["dependsOn"] == [{"containerName": "migrate", "condition": "SUCCESS"}]


def test_the_disk_is_ecss_own_unless_the_stack_file_names_a_size() -> None:
    assert "ephemeralStorage" not in definition()
    assert definition(ephemeralStorageGiB=50)["ephemeralStorage"] == {"sizeInGiB": 50}


def test_a_parameter_given_by_its_name_is_the_one_of_account_and_region() -> None:
    """ECS takes names, too, but the policy of the execution role and the comparison with what runs need the ARN."""
    assert own(secrets={"MAIL": "/shop/mail"})["secrets"] == [{"name": "MAIL", "valueFrom": MAIL}]
    assert SURROUNDINGS.parameters_arn in MAIL


SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-nginx-AbCdEf"  # noqa: S105 - names one
ECR = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/tools/otel"


def test_the_execution_role_may_start_all_containers() -> None:
    """It reads what each of them names, and pulls the images that are in Amazon ECR."""
    found = made(
        application={
            "name": "shop",
            "secrets": {"MAIL": "/shop/mail"},
            "containers": {
                "nginx": {**NGINX, "secrets": {"KEY": f"{SECRET}:key::"}},
                "otel": {"image": f"{ECR}:1"},
                "again": {"image": f"{ECR}@sha256:{'0' * 64}"},
            },
        }
    )
    statements = found.statements("roles-execution-policy")
    assert statements["ReadSecrets"]["Resource"] == [SECRET]
    assert statements["ReadParameters"]["Resource"] == [MAIL]
    assert statements["PullImage"]["Resource"] == [
        "arn:aws:ecr:eu-west-1:123456789012:repository/shop-dev",
        "arn:aws:ecr:eu-central-1:210987654321:repository/tools/otel",
    ]
