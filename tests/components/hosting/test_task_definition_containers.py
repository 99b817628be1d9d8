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


ROUTER = {"image": "public.ecr.aws/aws-observability/aws-for-fluent-bit:3", "firelens": {"type": "fluentbit"}}
ROUTED = {
    "driver": "awsfirelens",
    "options": {"Name": "datadog", "TLS": "on"},
    "secretOptions": {"apikey": SECRET},
}


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


FILES = {"fileSystemId": "fs-0a1b2c3d4e5f67890"}
POINT = {**FILES, "accessPointId": "fsap-0a1b2c3d4e5f67890"}
ENCRYPTED = {**FILES, "transitEncryption": "ENABLED"}


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
