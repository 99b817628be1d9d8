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


# Several containers, their logs and their volumes.

NGINX = {"image": "public.ecr.aws/nginx/nginx:1.27", "port": 80}
CHECK = {"command": ["CMD-SHELL", "curl -f http://localhost:8000/health || exit 1"]}
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-nginx-AbCdEf"  # noqa: S105 - names one
ECR = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/tools/otel"
ROUTER = {"image": "public.ecr.aws/aws-observability/aws-for-fluent-bit:3", "firelens": {"type": "fluentbit"}}
ROUTED = {
    "driver": "awsfirelens",
    "options": {"Name": "datadog", "TLS": "on"},
    "secretOptions": {"apikey": SECRET},
}
FILES = {"fileSystemId": "fs-0a1b2c3d4e5f67890"}
POINT = {**FILES, "accessPointId": "fsap-0a1b2c3d4e5f67890"}
ENCRYPTED = {**FILES, "transitEncryption": "ENABLED"}


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
            {"healthCheck": {**CHECK, "interval": 5, "timeout": 2, "retries": 10}},
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


@pytest.mark.parametrize(
    ("logs", "options"),
    [
        ({}, {"mode": "non-blocking", "max-buffer-size": "25m"}),
        ({"bufferSize": "50m"}, {"mode": "non-blocking", "max-buffer-size": "50m"}),
        ({"mode": "blocking"}, {"mode": "blocking"}),
        (
            {"dateTimeFormat": "%Y-%m-%d"},
            {"mode": "non-blocking", "max-buffer-size": "25m", "awslogs-datetime-format": "%Y-%m-%d"},
        ),
        (
            {"multilinePattern": "^INFO"},
            {"mode": "non-blocking", "max-buffer-size": "25m", "awslogs-multiline-pattern": "^INFO"},
        ),
    ],
)
def test_a_log_goes_to_the_log_group_made_here(logs: dict[str, str], options: dict[str, str]) -> None:
    """AWS recommends 25m: of 10m, ECS's own, an application that writes much loses lines without a sign."""
    where = {"awslogs-group": "/ecs/shop-dev", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "shop"}
    assert own(logs=logs)["logConfiguration"] == {"logDriver": "awslogs", "options": {**where, **options}}


def test_a_log_router_is_a_container_of_the_task() -> None:
    made_of = containers(logs=ROUTED, containers={"router": ROUTER})
    assert made_of["shop"]["logConfiguration"] == {
        "logDriver": "awsfirelens",
        "options": {"Name": "datadog", "TLS": "on"},
        "secretOptions": [{"name": "apikey", "valueFrom": SECRET}],
    }
    assert made_of["router"]["firelensConfiguration"] == {
        "type": "fluentbit",
        "options": {"enable-ecs-log-metadata": "true"},
    }
    assert made_of["router"]["logConfiguration"]["logDriver"] == "awslogs"


def test_a_log_router_takes_a_file_of_its_image() -> None:
    router = {**ROUTER, "firelens": {"type": "fluentbit", "enableEcsLogMetadata": False, "configFile": "/own.conf"}}
    assert containers(logs=ROUTED, containers={"router": router})["router"]["firelensConfiguration"]["options"] == {
        "enable-ecs-log-metadata": "false",
        "config-file-type": "file",
        "config-file-value": "/own.conf",
    }


@pytest.mark.parametrize(
    ("efs", "configuration", "read_only"),
    [
        (FILES, ENCRYPTED, False),
        ({**FILES, "rootDirectory": "/shop", "readOnly": True}, {**ENCRYPTED, "rootDirectory": "/shop"}, True),
        (
            POINT,
            {**ENCRYPTED, "authorizationConfig": {"accessPointId": "fsap-0a1b2c3d4e5f67890", "iam": "ENABLED"}},
            False,
        ),
    ],
    ids=["a file system", "a directory of it", "an access point"],
)
def test_a_file_system_is_mounted_encrypted(
    efs: dict[str, Any], configuration: dict[str, Any], read_only: bool
) -> None:
    made_of = definition(mounts={"files": {"path": "/srv/files"}}, volumes={"files": {"efs": efs}})
    assert made_of["volumes"][1] == {"name": "files", "efsVolumeConfiguration": configuration}
    assert made_of["containerDefinitions"][0]["mountPoints"][1] == {
        "sourceVolume": "files",
        "containerPath": "/srv/files",
        "readOnly": read_only,
    }


def test_containers_share_a_volume_of_the_task() -> None:
    made_of = definition(
        mounts={"static": {"path": "/srv/static"}},
        containers={"nginx": {**NGINX, "mounts": {"static": {"path": "/www", "readOnly": True}}}},
        volumes={"static": {}},
    )
    assert [volume for volume in made_of["volumes"] if volume["name"] == "static"] == [{"name": "static", "host": {}}]
    assert [part["mountPoints"][-1] for part in made_of["containerDefinitions"]] == [
        {"sourceVolume": "static", "containerPath": "/srv/static", "readOnly": False},
        {"sourceVolume": "static", "containerPath": "/www", "readOnly": True},
    ]


def test_a_routed_log_needs_no_secrets() -> None:
    logs = {"driver": "awsfirelens", "options": {"Name": "stdout"}}
    assert containers(logs=logs, containers={"router": ROUTER})["shop"]["logConfiguration"] == {
        "logDriver": "awsfirelens",
        "options": {"Name": "stdout"},
    }


def test_files_with_variables_are_in_the_order_of_the_stack_file() -> None:
    files = ["arn:aws:s3:::shop-configuration/prod.env", "arn:aws:s3:::shop-configuration/all.env"]
    assert own(environmentFiles=files)["environmentFiles"] == [{"value": file, "type": "s3"} for file in files]
