"""The jobs that prepare a deployment and that deploy by ECS itself: each really runs, against a stand-in of aws."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from fake_tools import (
    DIGEST,
    NOT_THERE,
    OTHER_DIGEST,
    REPOSITORY,
    Machine,
    Reply,
    Request,
    WebServer,
    deployment,
    image,
    module,
    serving,
)

from local.aws_models import service_model

SERVICE = "arn:aws:ecs:eu-west-1:123456789012:service/main/shop"
RUNNING = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:7"
NEW = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:8"
DEPLOYMENT = "arn:aws:ecs:eu-west-1:123456789012:service-deployment/main/shop/new"
OLD_DEPLOYMENT = "arn:aws:ecs:eu-west-1:123456789012:service-deployment/main/shop/old"
TEMPLATE: dict[str, Any] = {
    "family": "shop",
    "networkMode": "awsvpc",
    "requiresCompatibilities": ["FARGATE"],
    "cpu": "256",
    "memory": "512",
    "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
    "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
    "containerDefinitions": [
        {
            "name": "shop",
            "essential": True,
            "readonlyRootFilesystem": True,
            "portMappings": [{"containerPort": 8080, "protocol": "tcp"}],
            "environment": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "GREETING", "value": 'it\'s "me"'}],
            "secrets": [
                {"name": "DATABASE_URL", "valueFrom": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db"}
            ],
            "healthCheck": {"command": ["CMD", "true"]},
            "mountPoints": [{"sourceVolume": "tmp", "containerPath": "/scratch", "readOnly": False}],
        }
    ],
    "volumes": [{"name": "tmp", "host": {}}],
    "tags": [{"key": "application", "value": "shop"}],
}
PREPARE = {
    "TASK_DEFINITION_TEMPLATE": "s3://artifacts/shop/taskdef template.json",
    "CONTAINER_NAME": "shop",
    "CONTAINER_PORT": "8080",
    "APPSPEC": "",
    "IMAGE_ONLY": "false",
    "EXISTING": "false",
    "CLUSTER": "main",
    "SERVICE": "shop",
    "IMAGE_REPOSITORY_URI": REPOSITORY,
    "IMAGE_DIGEST": DIGEST,
    "RELEASED": "false",
    "TAG_PREFIX": "",
}
UNHAPPY = (
    *("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"),
    *("STOP_REQUESTED", "STOPPED", "SOMETHING_NEW"),
)
DEPLOY = {
    "IMAGE_REPOSITORY_URI": REPOSITORY,
    "IMAGE_DIGEST": DIGEST,
    "CLUSTER": "main",
    "SERVICE": "shop",
    "DEPLOYMENT_CONFIGURATION": "{}",
    "CAPACITY_PROVIDER_STRATEGY": "",
    "SERVICE_CONNECT": "",
    "USERS_TARGET_GROUP": "",
    "LOG_GROUP": "/ecs/shop",
    "TIMEOUT_MINUTES": "30",
}


def edited(**container: object) -> dict[str, Any]:
    """The template with changes in its container."""
    return {**TEMPLATE, "containerDefinitions": [{**TEMPLATE["containerDefinitions"][0], **container}]}


def as_ecs_answers(definition: dict[str, Any]) -> dict[str, Any]:
    """A registered definition with what ECS adds by itself."""
    container = definition["containerDefinitions"][0]
    answered = {
        **container,
        "image": "shop:1",
        "cpu": 0,
        "mountPoints": [{"sourceVolume": "tmp", "containerPath": "/scratch"}],
        "volumesFrom": [],
        "systemControls": [],
        "environment": container["environment"][::-1],
        "portMappings": [{**mapping, "hostPort": mapping["containerPort"]} for mapping in container["portMappings"]],
        "healthCheck": {**container["healthCheck"], "interval": 30, "timeout": 5, "retries": 3},
    }
    return {
        **{key: value for key, value in definition.items() if key != "tags"},
        "containerDefinitions": [answered],
        "taskDefinitionArn": RUNNING,
        "revision": 7,
        "status": "ACTIVE",
        "placementConstraints": [],
        "compatibilities": ["EC2", "FARGATE"],
        "registeredAt": "2026-01-31T12:00:00Z",
        "registeredBy": "arn:aws:sts::123456789012:assumed-role/x",
        "enableFaultInjection": False,
    }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with an image to deploy."""
    machine = Machine(tmp_path)
    machine.file("image.json", image())
    return machine


def offers(machine: Machine, template: object = TEMPLATE) -> None:
    """The template is stored, the image is in the registry, ECS's model has nothing against the task definition."""
    machine.answer("aws s3 cp", template)
    machine.answer("aws ecs register-task-definition --generate-cli-skeleton", {"taskDefinition": {}})
    machine.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": DIGEST}]})


def test_all_five_artifacts_are_about_the_digest_that_was_built(machine: Machine) -> None:
    offers(machine)

    result = machine.run("prepare_deployment", **PREPARE)

    assert result.returncode == 0, result.stderr
    uri = f"{REPOSITORY}@{DIGEST}"
    assert machine.json("taskdef.json") == edited(image=uri)
    assert machine.json("imageDetail.json") == {"ImageURI": uri}
    assert machine.json("imagedefinitions.json") == [{"name": "shop", "imageUri": uri}]
    assert machine.json("appspec.yaml") == {
        "version": 0.0,
        "Resources": [
            {
                "TargetService": {
                    "Type": "AWS::ECS::Service",
                    "Properties": {
                        "TaskDefinition": "<TASK_DEFINITION>",
                        "LoadBalancerInfo": {"ContainerName": "shop", "ContainerPort": 8080},
                    },
                }
            }
        ],
    }
    assert machine.json("deployment.json") == {
        "container": "shop",
        "reached": "shop",
        "port": 8080,
        "environment": {"LOG_LEVEL": "info", "GREETING": 'it\'s "me"'},
        "image": uri,
        "repository": REPOSITORY,
        "digest": DIGEST,
        "tag": "0123abc-12345678",
        "commit": "0123abc",
        "version": "1.2.3",
        "source": "https://github.com/example/shop",
        "created": "2026-01-31T12:00:00+00:00",
    }
    assert (
        machine.exports == "export DEPLOYED_COMMIT=0123abc\nexport DEPLOYED_VERSION=1.2.3\nexport FURTHER_DIGESTS=''\n"
    )


NGINX = {"name": "nginx", "image": "nginx:1.27", "portMappings": [{"containerPort": 80, "protocol": "tcp"}]}
MIGRATE = {"name": "migrate", "image": "<IMAGE>", "essential": False}


def several() -> dict[str, Any]:
    """A template with a proxy, and with a container that takes the same image."""
    return {**TEMPLATE, "containerDefinitions": [MIGRATE, *TEMPLATE["containerDefinitions"], NGINX]}


OWN_NGINX = {**NGINX, "image": "<IMAGE:nginx>"}
FURTHER = {"FURTHER_IMAGES": json.dumps({"nginx": f"{REPOSITORY}-nginx"}), "FURTHER_DIGESTS": f"nginx={OTHER_DIGEST}"}


def with_own_nginx() -> dict[str, Any]:
    """A template with a container whose image is delivered with the application's."""
    return {**TEMPLATE, "containerDefinitions": [OWN_NGINX, *TEMPLATE["containerDefinitions"], MIGRATE]}


def test_each_container_gets_the_digest_of_its_own_image(machine: Machine) -> None:
    offers(machine, with_own_nginx())

    result = machine.run("prepare_deployment", **{**PREPARE, **FURTHER, "DELIVERY_ENVIRONMENT": "prod"})

    assert result.returncode == 0, result.stderr
    uri, nginx = f"{REPOSITORY}@{DIGEST}", f"{REPOSITORY}-nginx@{OTHER_DIGEST}"
    containers = {part["name"]: part for part in machine.json("taskdef.json")["containerDefinitions"]}
    assert {name: part["image"] for name, part in containers.items()} == {"nginx": nginx, "shop": uri, "migrate": uri}
    assert {name for name, part in containers.items() if "environment" in part} == {"shop", "migrate"}
    assert machine.json("imagedefinitions.json") == [
        {"name": "shop", "imageUri": uri},
        {"name": "nginx", "imageUri": nginx},
        {"name": "migrate", "imageUri": uri},
    ]
    said = machine.json("deployment.json")
    assert (said["image"], said["furtherImages"]) == (uri, {"nginx": nginx})
    assert machine.exports.splitlines()[1:] == [
        "export DEPLOYED_VERSION=1.2.3",
        f"export FURTHER_DIGESTS=nginx={OTHER_DIGEST}",
    ]
    asked = machine.called("aws ecr describe-images shop-nginx")
    assert len(asked) == 1, "ECR is asked for it as for the application's"


def test_a_further_image_that_is_gone_is_named(machine: Machine) -> None:
    machine.answer("aws ecr describe-images shop-nginx", code=254, errors=NOT_THERE)
    offers(machine, with_own_nginx())

    result = machine.run("prepare_deployment", **{**PREPARE, **FURTHER})

    assert result.returncode == 1
    assert f"{REPOSITORY}-nginx@{OTHER_DIGEST} is no longer in the registry" in result.stderr
    assert sorted(path.name for path in machine.folder.iterdir()) == ["image.json"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"FURTHER_DIGESTS": ""}, "delivers no further images, the project has repositories for nginx"),
        ({"FURTHER_IMAGES": ""}, "delivers nginx, the project has repositories for none"),
        ({"FURTHER_DIGESTS": "nginx="}, "the digest of nginx in FURTHER_DIGESTS is not a digest"),
        ({"FURTHER_DIGESTS": "nginx=latest"}, "the digest of nginx in FURTHER_DIGESTS is not a digest"),
        ({"FURTHER_IMAGES": "", "FURTHER_DIGESTS": ""}, "has images for 'nginx' that this pipeline does not build"),
    ],
    ids=["no digest", "no repository", "empty", "a tag", "a template of another stack file"],
)
def test_what_does_not_fit_together_is_not_deployed(machine: Machine, changes: dict[str, str], message: str) -> None:
    """The stack file was edited between two actions of a run: project, template and pipeline change one by one."""
    offers(machine, with_own_nginx())

    result = machine.run("prepare_deployment", **{**PREPARE, **FURTHER, **changes})

    assert result.returncode == 1
    assert message in result.stderr
    assert sorted(path.name for path in machine.folder.iterdir()) == ["image.json"]


def test_a_version_that_a_further_image_of_another_commit_has_is_not_even_deployed(machine: Machine) -> None:
    found = {"imageDetails": [{"imageDigest": f"sha256:{'d' * 64}"}]}
    machine.answer("aws ecr describe-images shop-nginx imageTag=v1.2.3", found)
    machine.answer("aws ecr describe-images imageTag=v1.2.3", code=254, errors=NOT_THERE)
    offers(machine, with_own_nginx())

    result = machine.run("prepare_deployment", **{**PREPARE, **FURTHER, "RELEASED": "true", "TAG_PREFIX": "v"})

    assert result.returncode == 1
    assert f"v1.2.3 in {REPOSITORY}-nginx is the image sha256:{'d' * 64}" in result.stderr


def test_the_edit_by_hand_puts_every_image(machine: Machine) -> None:
    """What the message says is executed here: jq's program leaves no placeholder."""
    offers(machine, with_own_nginx())
    running = as_ecs_answers(TEMPLATE)
    machine.answer("aws ecs describe-services", {"services": [{"taskDefinition": RUNNING}]})
    machine.answer("aws ecs describe-task-definition", {"taskDefinition": running})

    result = machine.run("prepare_deployment", **{**PREPARE, **FURTHER, "IMAGE_ONLY": "true"})

    assert result.returncode == 1
    (line,) = (line for line in result.stderr.splitlines() if "| jq " in line)
    program = shlex.split(line)[shlex.split(line).index("jq") + 1]
    assert program == (
        f'(.containerDefinitions[]|select(.image=="<IMAGE>")).image="{REPOSITORY}@{DIGEST}"|'
        f'(.containerDefinitions[]|select(.image=="<IMAGE:nginx>")).image="{REPOSITORY}-nginx@{OTHER_DIGEST}"'
    )


def test_requests_reach_the_proxy_and_the_image_all_containers_that_take_it(machine: Machine) -> None:
    offers(machine, several())

    result = machine.run(
        "prepare_deployment", **{**PREPARE, "LOAD_BALANCER_CONTAINER": "nginx", "CONTAINER_PORT": "80"}
    )

    assert result.returncode == 0, result.stderr
    uri = f"{REPOSITORY}@{DIGEST}"
    images = {part["name"]: part["image"] for part in machine.json("taskdef.json")["containerDefinitions"]}
    assert images == {"migrate": uri, "shop": uri, "nginx": "nginx:1.27"}
    assert machine.json("imagedefinitions.json") == [{"name": name, "imageUri": uri} for name in ("shop", "migrate")]
    (resource,) = machine.json("appspec.yaml")["Resources"]
    reached = resource["TargetService"]["Properties"]["LoadBalancerInfo"]
    assert reached == {"ContainerName": "nginx", "ContainerPort": 80}
    said = machine.json("deployment.json")
    assert (said["container"], said["reached"], said["port"]) == ("shop", "nginx", 80)


def test_containers_know_what_is_delivered_where_the_stack_file_wants_it(machine: Machine) -> None:
    template = several()
    template["containerDefinitions"][0] = {**MIGRATE, "environment": [{"name": "DELIVERY_VERSION", "value": "mine"}]}
    offers(machine, template)

    result = machine.run("prepare_deployment", **{**PREPARE, "DELIVERY_ENVIRONMENT": "prod"})

    assert result.returncode == 0, result.stderr
    variables = {
        part["name"]: {entry["name"]: entry["value"] for entry in part.get("environment", [])}
        for part in machine.json("taskdef.json")["containerDefinitions"]
    }
    delivered = {"DELIVERY_COMMIT": "0123abc", "DELIVERY_ENVIRONMENT": "prod"}
    assert variables["migrate"] == {**delivered, "DELIVERY_VERSION": "mine"}
    assert {**delivered, "DELIVERY_VERSION": "1.2.3", "LOG_LEVEL": "info"}.items() <= variables["shop"].items()
    assert variables["nginx"] == {}
    names = [entry["name"] for entry in machine.json("taskdef.json")["containerDefinitions"][1]["environment"]]
    assert names == sorted(names)


def test_a_proxy_that_does_not_map_the_port_is_found_before_a_deployment(machine: Machine) -> None:
    offers(machine, several())

    result = machine.run("prepare_deployment", **{**PREPARE, "LOAD_BALANCER_CONTAINER": "nginx"})

    assert result.returncode == 1
    assert "container 'nginx' does not map port 8080; it maps 80" in result.stderr + result.stdout


@pytest.mark.parametrize(
    ("balancers", "moved"),
    [
        ([("shop", 8080)], [("nginx", 80)]),
        ([("nginx", 80)], []),
        ([("shop", 8080), ("nginx", 80)], []),
        ([("shop", 8080), ("gone", 1)], [("shop", 8080), ("nginx", 80)]),
        ([], []),
    ],
    ids=["another", "the same", "several", "one of several is gone", "none"],
)
def test_the_load_balancers_of_a_service_move_to_the_container_that_users_reach(
    balancers: list[tuple[str, int]], moved: list[tuple[str, int]]
) -> None:
    def said(pairs: list[tuple[str, int]]) -> list[dict[str, Any]]:
        return [{"targetGroupArn": "blue", "containerName": name, "containerPort": port} for name, port in pairs]

    found = module("deploy_ecs").reached({"loadBalancers": said(balancers)}, several(), "nginx", 80, "")

    assert found == said(moved)


SEVERAL: list[dict[str, Any]] = [
    {"targetGroupArn": "users", "containerName": "shop", "containerPort": 8080},
    {"targetGroupArn": "to-admin", "containerName": "shop", "containerPort": 8080},
]


def test_of_several_target_groups_only_the_users_one_moves() -> None:
    found = module("deploy_ecs").reached({"loadBalancers": SEVERAL}, several(), "nginx", 80, "users")
    assert found == [{**SEVERAL[0], "containerName": "nginx", "containerPort": 80}, SEVERAL[1]]
    assert module("deploy_ecs").reached({"loadBalancers": found}, several(), "nginx", 80, "users") == []


def test_a_further_listener_whose_container_is_gone_ends_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    """Moved to the users' container it would show one thing at two ports; ECS refuses it where it is."""
    balancers = [SEVERAL[0], {**SEVERAL[1], "containerName": "admin", "containerPort": 9000}]
    with pytest.raises(SystemExit):
        module("deploy_ecs").reached({"loadBalancers": balancers}, several(), "shop", 8080, "users")
    said = " ".join(capsys.readouterr())
    assert "leads to port 9000 of the container admin" in said
    assert "hosting.loadBalancer.listeners" in said


def test_the_template_is_fetched_by_an_argument_not_by_a_line_for_a_shell(machine: Machine) -> None:
    offers(machine)

    machine.run("prepare_deployment", **PREPARE)

    assert machine.called("aws s3 cp")[0].words == ["aws", "s3", "cp", PREPARE["TASK_DEFINITION_TEMPLATE"], "-"]


@pytest.mark.parametrize(
    ("template", "variables", "message"),
    [
        ("{", {}, "the task definition's template is not JSON"),
        ("[]", {}, "lacks family, containerDefinitions"),
        ({**TEMPLATE, "family": "", "cpu": ""}, {}, "lacks family, cpu"),
        (TEMPLATE, {"CONTAINER_NAME": "shopp"}, "has no container 'shopp'; it has 'shop'"),
        (TEMPLATE, {"CONTAINER_PORT": "80"}, "container 'shop' does not map port 80; it maps 8080"),
        (edited(portMappings=[]), {}, "container 'shop' does not map port 8080; it maps none"),
        (TEMPLATE, {"CONTAINER_PORT": "http"}, "container 'shop' does not map port http; it maps 8080"),
        (TEMPLATE, {"IMAGE_DIGEST": "latest"}, "IMAGE_DIGEST is not a digest"),
        (
            TEMPLATE,
            {"IMAGE_DIGEST": OTHER_DIGEST},
            f"image.json is about {DIGEST}, the pipeline delivers {OTHER_DIGEST}",
        ),
        (TEMPLATE, {"TASK_DEFINITION_TEMPLATE": "taskdef.json"}, "must be an s3:// address"),
        (
            {**TEMPLATE, "containerDefinitions": [*TEMPLATE["containerDefinitions"], {"name": "proxy"}]},
            {},
            "the template gives no image for 'proxy'",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_written(
    machine: Machine, template: object, variables: dict[str, str], message: str
) -> None:
    offers(machine, template)

    result = machine.run("prepare_deployment", **{**PREPARE, **variables})

    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert sorted(path.name for path in machine.folder.iterdir()) == ["image.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (image(digest="latest"), "image.json is about latest, the pipeline delivers"),
        (
            image(uri=f"{REPOSITORY}:latest"),
            f"image.json is about {REPOSITORY}:latest, the pipeline delivers {REPOSITORY}@{DIGEST}",
        ),
        ({"digest": DIGEST}, "image.json lacks repository, uri, tag, commit, version, source, created"),
        ("[]", "image.json lacks"),
        ("<html>", "image.json is not JSON"),
    ],
    ids=["no digest", "tag instead of digest", "keys missing", "a list", "not JSON"],
)
def test_a_broken_image_description_is_refused(machine: Machine, content: object, message: str) -> None:
    machine.file("image.json", content)
    offers(machine)

    result = machine.run("prepare_deployment", **PREPARE)

    assert result.returncode == 1
    assert message in result.stderr


def test_an_image_that_left_the_registry_is_not_deployed(machine: Machine) -> None:
    machine.answer("aws ecr describe-images", code=254, errors=NOT_THERE)

    result = machine.run("prepare_deployment", **PREPARE)

    assert result.returncode == 1
    assert f"{REPOSITORY}@{DIGEST} is no longer in the registry" in result.stderr


RELEASE = {**PREPARE, "RELEASED": "true", "TAG_PREFIX": "v"}


@pytest.mark.parametrize("tagged", [True, False], ids=["on this image", "free"])
def test_a_version_that_can_be_released_is_deployed(machine: Machine, tagged: bool) -> None:
    found = {"output": {"imageDetails": [{"imageDigest": DIGEST}]}} if tagged else {"code": 254, "errors": NOT_THERE}
    machine.answer("aws ecr describe-images imageTag=v1.2.3", **found)
    offers(machine)

    result = machine.run("prepare_deployment", **RELEASE)

    assert result.returncode == 0, result.stderr
    assert len(machine.called("aws ecr describe-images imageTag=v1.2.3")) == 1
    assert machine.called("aws ecr put-image") == [], "the tag is put when the deployment has succeeded"


def test_a_version_that_another_image_has_is_not_even_deployed(machine: Machine) -> None:
    machine.answer("aws ecr describe-images imageTag=v1.2.3", {"imageDetails": [{"imageDigest": OTHER_DIGEST}]})
    offers(machine)

    result = machine.run("prepare_deployment", **RELEASE)

    assert result.returncode == 1
    assert f"v1.2.3 in {REPOSITORY} is the image {OTHER_DIGEST}, and this delivery brings {DIGEST}" in result.stderr
    assert "raise the version" in result.stderr
    assert sorted(path.name for path in machine.folder.iterdir()) == ["image.json"]


@pytest.mark.parametrize(
    ("changes", "prefix", "message"),
    [
        ({"version": ""}, "v", "has no version"),
        ({"version": "1+2"}, "v", "'v1+2' is no image tag"),
        (
            {"commit": "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY"},
            "v",
            "was built of 3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY, which is",
        ),
    ],
)
def test_a_version_that_cannot_be_a_tag_is_not_even_deployed(
    machine: Machine, changes: dict[str, object], prefix: str, message: str
) -> None:
    machine.file("image.json", image(**changes))
    offers(machine)

    result = machine.run("prepare_deployment", **{**RELEASE, "TAG_PREFIX": prefix})

    assert result.returncode == 1
    assert message in result.stderr
    assert sorted(path.name for path in machine.folder.iterdir()) == ["image.json"]


def test_a_deployment_that_is_not_released_needs_no_version(machine: Machine) -> None:
    machine.file("image.json", image(version=""))
    offers(machine)

    result = machine.run("prepare_deployment", **PREPARE)

    assert result.returncode == 0, result.stderr
    assert machine.called("aws ecr describe-images imageTag=") == []
    assert "export DEPLOYED_VERSION=0123abc-12345678\n" in machine.exports


PLACEMENT = {
    "NetworkConfiguration": {
        "AwsvpcConfiguration": {"Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"], "AssignPublicIp": "ENABLED"}
    },
    "CapacityProviderStrategy": [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}],
}
SPOT = [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]


def test_the_appspec_says_where_the_tasks_run(machine: Machine) -> None:
    offers(machine)

    result = machine.run("prepare_deployment", **{**PREPARE, "APPSPEC": json.dumps(PLACEMENT)})

    assert result.returncode == 0, result.stderr
    (resource,) = machine.json("appspec.yaml")["Resources"]
    assert resource["TargetService"]["Properties"] == {
        "TaskDefinition": "<TASK_DEFINITION>",
        "LoadBalancerInfo": {"ContainerName": "shop", "ContainerPort": 8080},
        **PLACEMENT,
    }


def test_an_appspec_that_is_no_object_is_named(machine: Machine) -> None:
    result = machine.run("prepare_deployment", **{**PREPARE, "APPSPEC": "[]"})

    assert result.returncode == 2
    assert "APPSPEC must be a JSON object, got []" in result.stderr


def runs(machine: Machine, definition: dict[str, Any], **service: object) -> None:
    """The service runs this definition."""
    machine.answer("aws ecs describe-services", {"services": [{"taskDefinition": RUNNING, **service}]})
    machine.answer(f"aws ecs describe-task-definition {RUNNING}", {"taskDefinition": as_ecs_answers(definition)})


def test_the_ecs_action_goes_on_when_only_the_image_differs(machine: Machine) -> None:
    offers(machine)
    runs(machine, TEMPLATE)

    result = machine.run("prepare_deployment", **{**PREPARE, "IMAGE_ONLY": "true"})

    assert result.returncode == 0, result.stderr
    assert machine.json("imagedefinitions.json")


def test_the_ecs_action_never_loses_an_edit(machine: Machine) -> None:
    """CodePipeline's Amazon ECS action takes the running definition and changes the image: other edits would vanish."""
    offers(machine, {**edited(environment=[{"name": "LOG_LEVEL", "value": "debug"}]), "memory": "1024"})
    runs(machine, TEMPLATE)

    result = machine.run("prepare_deployment", **{**PREPARE, "IMAGE_ONLY": "true"})

    assert result.returncode == 1
    of_environment = "  - containerDefinitions.shop.environment."
    assert f"{of_environment}GREETING.value: running another value, wanted nothing\n" in result.stderr
    assert f'{of_environment}LOG_LEVEL.value: running another value, wanted "debug"\n' in result.stderr
    assert '  - memory: running "512", wanted "1024"\n' in result.stderr
    assert "set deploy.engine to ecs or codeDeploy" in result.stderr
    assert "aws ecs register-task-definition --cli-input-json file://taskdef.json" in result.stderr
    assert not (machine.folder / "imagedefinitions.json").exists()


@pytest.mark.parametrize("placement", [PLACEMENT, {}], ids=["made here", "keeps its own"])
def test_the_ecs_action_goes_on_when_the_service_is_where_it_is_to_be(
    machine: Machine, placement: dict[str, Any]
) -> None:
    offers(machine)
    runs(machine, TEMPLATE, capacityProviderStrategy=SPOT)

    result = machine.run("prepare_deployment", **{**PREPARE, "IMAGE_ONLY": "true", "APPSPEC": json.dumps(placement)})

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("running", "said"), [({}, "none"), ({"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}, "FARGATE")]
)
def test_the_ecs_action_never_leaves_a_service_on_another_capacity_provider(
    machine: Machine, running: dict[str, object], said: str
) -> None:
    offers(machine)
    runs(machine, TEMPLATE, **running)

    result = machine.run("prepare_deployment", **{**PREPARE, "IMAGE_ONLY": "true", "APPSPEC": json.dumps(PLACEMENT)})

    assert result.returncode == 1
    assert f"shop runs on {said}, not on FARGATE_SPOT as the stack file says" in result.stderr
    assert (
        "  aws ecs update-service --cluster main --service shop --force-new-deployment "
        "--capacity-provider-strategy capacityProvider=FARGATE_SPOT,weight=1\n"
    ) in result.stderr
    assert not (machine.folder / "appspec.yaml").exists()


def test_a_service_that_is_not_there_is_named(machine: Machine) -> None:
    offers(machine)
    machine.answer("aws ecs describe-services", {"services": []})

    result = machine.run("prepare_deployment", **{**PREPARE, "IMAGE_ONLY": "true"})

    assert result.returncode == 1
    assert "the cluster main has no service shop" in result.stderr


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"secrets": []}, "containerDefinitions.shop.secrets.DATABASE_URL"),
        ({"readonlyRootFilesystem": False}, "containerDefinitions.shop.readonlyRootFilesystem"),
        ({"essential": False}, "containerDefinitions.shop.essential"),
        ({"portMappings": [{"containerPort": 8081}]}, "containerDefinitions.shop.portMappings.8080"),
        ({"healthCheck": {"command": ["CMD", "true"], "retries": 5}}, "containerDefinitions.shop.healthCheck.retries"),
        ({"command": ["serve"]}, "containerDefinitions.shop.command"),
        ({"mountPoints": []}, "containerDefinitions.shop.mountPoints./scratch"),
        ({"name": "store"}, "containerDefinitions.shop"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_each_kind_of_edit_is_a_difference(change: dict[str, object], place: str) -> None:
    running = as_ecs_answers(TEMPLATE)

    found = [str(each) for each in module("task_definition").differences(running, edited(**change), "shop")]

    assert any(line.startswith(place) for line in found)


def test_a_volume_that_is_gone_is_a_difference() -> None:
    found = [
        str(each)
        for each in module("task_definition").differences(as_ecs_answers(TEMPLATE), {**TEMPLATE, "volumes": []}, "shop")
    ]

    assert found == ["volumes.tmp: running there, wanted nothing"]


def test_what_ecs_says_of_a_revision_is_what_it_takes_in_no_registration() -> None:
    """A property that AWS adds to both is kept; one that it only describes would be refused by the AWS CLI, loudly."""
    ecs = service_model("ecs")
    takes = ecs.operation_model("RegisterTaskDefinition").input_shape.members
    says = ecs.shape_for("TaskDefinition").members
    assert set(module("task_definition").OF_A_REVISION) == set(says) - set(takes)


def test_a_port_that_is_mapped_for_two_protocols_is_compared_for_both() -> None:
    both = [{"containerPort": 8080, "protocol": "tcp"}, {"containerPort": 8080, "protocol": "udp"}]
    running, wanted = edited(portMappings=both), edited(portMappings=both[:1])
    found = [str(each) for each in module("task_definition").differences(running, wanted, "shop")]
    assert [line.rpartition(": ")[2] for line in found] == [
        "running 8080, wanted nothing",
        'running "udp", wanted nothing',
    ]


@pytest.mark.parametrize(("network", "host"), [("awsvpc", 8080), ("host", 8080), ("bridge", 0), (None, 0)])
def test_a_host_port_that_is_not_given_is_what_ecs_makes_of_it(network: str | None, host: int) -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html"""
    mapped = {"containerPort": 8080, "hostPort": host, "protocol": "tcp"}
    running = {**edited(portMappings=[mapped]), "networkMode": network}
    wanted = {**edited(portMappings=[{"containerPort": 8080}]), "networkMode": network}
    assert module("task_definition").differences(running, wanted, "shop") == []


@pytest.mark.parametrize(
    ("before", "stated", "after"),
    [
        ({"environment": {"A": "1", "B": "2"}}, {"environment": {"B": "3"}}, {"environment": {"A": "1", "B": "3"}}),
        (
            {"environment": {"KEY": "1"}, "secrets": {}},
            {"secrets": {"KEY": "arn"}},
            {"environment": {}, "secrets": {"KEY": "arn"}},
        ),
        ({"secrets": {"KEY": "arn"}}, {"environment": {"KEY": "1"}}, {"secrets": {}, "environment": {"KEY": "1"}}),
    ],
    ids=["beside those that are there", "a variable becomes a secret", "a secret becomes a variable"],
)
def test_a_variable_that_is_stated_takes_the_place_of_its_name_alone(
    before: dict[str, dict[str, str]], stated: dict[str, dict[str, str]], after: dict[str, dict[str, str]]
) -> None:
    """ECS refuses a name in both lists."""

    def part(lists: dict[str, dict[str, str]]) -> dict[str, Any]:
        values = {"environment": "value", "secrets": "valueFrom"}
        named = {
            key: [{"name": name, values[key]: text} for name, text in entries.items()] for key, entries in lists.items()
        }
        return {"containerDefinitions": [{"name": "shop", **named}]}

    assert module("task_definition").with_stated(part(before), part(stated), "shop") == part(after)


def test_the_image_of_another_container_is_a_difference() -> None:
    proxy = {"name": "proxy", "image": "proxy:1"}
    wanted = {**TEMPLATE, "containerDefinitions": [*TEMPLATE["containerDefinitions"], proxy]}
    running = as_ecs_answers(TEMPLATE)
    running["containerDefinitions"].append({**proxy, "image": "proxy:2"})

    found = [str(each) for each in module("task_definition").differences(running, wanted, "shop")]

    assert found == ['containerDefinitions.proxy.image: running "proxy:2", wanted "proxy:1"']


def service(**changes: object) -> dict[str, object]:
    return {
        "services": [{"serviceArn": SERVICE, "status": "ACTIVE", "taskDefinition": RUNNING, "events": [], **changes}]
    }


def state(status: str, **more: object) -> dict[str, Any]:
    target = {"arn": "revision/8", "requestedTaskCount": 2, "runningTaskCount": 1}
    return {"serviceDeployments": [{"status": status, "targetServiceRevision": target, **more}]}


def entry(arn: str, status: str, created: float, revision: str = "revision/8") -> dict[str, object]:
    """A deployment as it is listed."""
    return {"serviceDeploymentArn": arn, "status": status, "createdAt": created, "targetServiceRevisionArn": revision}


OLD = entry(OLD_DEPLOYMENT, "SUCCESSFUL", 1.5, "revision/7")


def registers(machine: Machine, runs: dict[str, Any]) -> None:
    """ECS takes the task definition; the service runs this one."""
    registered = {**as_ecs_answers(edited()), "taskDefinitionArn": NEW, "revision": 8}
    registered["containerDefinitions"][0]["image"] = f"{REPOSITORY}@{DIGEST}"
    machine.answer("aws ecs register-task-definition", {"taskDefinition": registered})
    machine.answer(f"aws ecs describe-task-definition {RUNNING}", {"taskDefinition": runs})


@pytest.fixture
def deploying(machine: Machine) -> Machine:
    """A machine where a service is ready to be updated; what becomes of the deployment is up to the test."""
    machine.file("deployment.json", deployment())
    machine.file("taskdef.json", edited(image=f"{REPOSITORY}@{DIGEST}"))
    registers(machine, as_ecs_answers(edited(command=["serve"])))
    machine.answer("aws ecs update-service", {"service": {}})
    machine.answer("aws ecs list-service-deployments", {"serviceDeployments": [OLD]}, times=1)
    new = entry(DEPLOYMENT, "PENDING", 2.5)
    machine.answer("aws ecs list-service-deployments", {"serviceDeployments": [new, OLD]})
    machine.answer("aws ecs describe-service-revisions", {"serviceRevisions": [{"taskDefinition": NEW}]})
    return machine


def test_a_deployment_is_followed_to_its_success(deploying: Machine) -> None:
    deploying.answer("aws ecs describe-services", service())
    deploying.answer("aws ecs describe-service-deployments", state("SUCCESSFUL", lifecycleStage="CLEAN_UP"))
    configuration = json.dumps({"strategy": "CANARY", "bakeTimeInMinutes": 5})

    result = deploying.run("deploy_ecs", **{**DEPLOY, "DEPLOYMENT_CONFIGURATION": configuration})

    assert result.returncode == 0, result.stderr
    assert "SUCCESSFUL, CLEAN_UP, 1 of 2 tasks running" in result.stdout
    assert deploying.exports == f"export SERVICE_DEPLOYMENT_ARN={DEPLOYMENT}\n"
    (update,) = deploying.called("aws ecs update-service")
    assert update.after("--task-definition") == [NEW]
    assert update.after("--deployment-configuration") == [configuration]
    assert [call.words[2] for call in deploying.calls[:5]] == [
        *("describe-services", "register-task-definition", "describe-task-definition"),
        *("list-service-deployments", "update-service"),
    ]


@pytest.mark.parametrize("first", [True, False])
def test_no_alarm_rolls_the_first_deployment_of_a_service_back(deploying: Machine, *, first: bool) -> None:
    """What waits for it has a family of its own, and may not be healthy at all."""
    running = RUNNING.replace("/shop:", "/shop-bootstrap:") if first else RUNNING
    deploying.answer(
        f"aws ecs describe-task-definition {running}", {"taskDefinition": as_ecs_answers(edited(command=[]))}
    )
    deploying.answer("aws ecs describe-services", service(taskDefinition=running))
    deploying.answer("aws ecs describe-service-deployments", state("SUCCESSFUL"))
    alarms = {"alarmNames": ["shop-errors"], "enable": True, "rollback": True}

    result = deploying.run("deploy_ecs", **{**DEPLOY, "DEPLOYMENT_CONFIGURATION": json.dumps({"alarms": alarms})})

    assert result.returncode == 0, result.stderr
    (update,) = deploying.called("aws ecs update-service")
    said = json.loads(update.after("--deployment-configuration")[0])["alarms"]
    assert said == ({"alarmNames": [], "enable": False, "rollback": False} if first else alarms)


STRATEGY = json.dumps([{"capacityProvider": "FARGATE_SPOT", "weight": 1}])


@pytest.mark.parametrize(
    ("running", "moves"),
    [([], True), ([{"capacityProvider": "FARGATE"}], True), (SPOT, False)],
    ids=["from a launch type", "from another one", "stays"],
)
def test_a_service_is_moved_to_its_capacity_provider_once(
    deploying: Machine, running: list[dict[str, object]], *, moves: bool
) -> None:
    """ECS takes it with a forced deployment only, and a deployment that moves nothing says nothing of it."""
    deploying.answer("aws ecs describe-services", service(**({"capacityProviderStrategy": running} if running else {})))
    deploying.answer("aws ecs describe-service-deployments", state("SUCCESSFUL"))

    result = deploying.run("deploy_ecs", **{**DEPLOY, "CAPACITY_PROVIDER_STRATEGY": STRATEGY})

    assert result.returncode == 0, result.stderr
    (update,) = deploying.called("aws ecs update-service")
    assert update.after("--capacity-provider-strategy") == ([STRATEGY] if moves else [])
    assert ("--force-new-deployment" in update.words) is moves


ENDPOINT = {"portName": "shop", "discoveryName": "shop", "clientAliases": [{"port": 80, "dnsName": "shop"}]}
CONNECT: dict[str, Any] = {"enabled": True, "namespace": "shop", "services": [ENDPOINT]}


def deployed_with(connect: dict[str, Any] | None) -> dict[str, Any]:
    """The service as ECS answers it; only its deployments say what they are connected to."""
    old = {"status": "ACTIVE", "serviceConnectConfiguration": {"enabled": True, "namespace": "old"}}
    newest = {"status": "PRIMARY", **({"serviceConnectConfiguration": connect} if connect else {})}
    return service(deployments=[old, newest])


@pytest.mark.parametrize(
    ("known", "wanted", "joins"),
    [
        (None, CONNECT, True),
        ({"enabled": False}, CONNECT, True),
        ({**CONNECT, "services": [{**ENDPOINT, "clientAliases": [{"port": 81, "dnsName": "shop"}]}]}, CONNECT, True),
        ({**CONNECT, "services": [ENDPOINT, {**ENDPOINT, "portName": "other"}]}, CONNECT, True),
        ({**CONNECT, "accessLogConfiguration": {"format": "TEXT"}}, CONNECT, False),
        (CONNECT, {"enabled": True, "namespace": "shop"}, True),
        (CONNECT, {"enabled": False}, True),
        (None, {"enabled": False}, False),
        (CONNECT, {}, False),
    ],
    ids=["joins", "joins again", "port", "one less", "says more", "only calls", "leaves", "stays out", "keeps its own"],
)
def test_a_deployment_says_service_connect_where_the_service_has_another(
    deploying: Machine, known: dict[str, Any] | None, wanted: dict[str, Any], *, joins: bool
) -> None:
    deploying.answer("aws ecs describe-services", deployed_with(known))
    deploying.answer("aws ecs describe-service-deployments", state("SUCCESSFUL"))
    said = json.dumps(wanted) if wanted else ""

    result = deploying.run("deploy_ecs", **{**DEPLOY, "SERVICE_CONNECT": said})

    assert result.returncode == 0, result.stderr
    (update,) = deploying.called("aws ecs update-service")
    assert update.after("--service-connect-configuration") == ([said] if joins else [])


def test_a_rollback_fails_the_job_with_the_reasons_of_the_stopped_tasks(deploying: Machine) -> None:
    log = {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/shop", "awslogs-stream-prefix": "shop"}}
    deploying.file("taskdef.json", edited(image=f"{REPOSITORY}@{DIGEST}", logConfiguration=log))
    deploying.answer("aws logs get-log-events", {"events": []})
    events = [{"message": "(service shop) is unable to place a task"}]
    deploying.answer("aws ecs describe-services", service(events=events))
    rollback = {"reason": "Service deployment rolled back because the circuit breaker threshold was exceeded"}
    deploying.answer("aws ecs describe-service-deployments", state("ROLLBACK_IN_PROGRESS", rollback=rollback))
    deploying.answer("aws ecs list-tasks --desired-status STOPPED", {"taskArns": ["task/main/1", "task/main/2"]})
    tasks = [
        {
            "taskArn": "arn:aws:ecs:eu-west-1:123456789012:task/main/1",
            "taskDefinitionArn": NEW,
            "stoppedReason": "Essential container in task exited",
            "containers": [
                {"name": "shop", "exitCode": 137, "reason": "OutOfMemoryError: container killed"},
                {"name": "log", "exitCode": 0},
            ],
        },
        {"taskArn": "task/main/2", "taskDefinitionArn": RUNNING, "stoppedReason": "Scaling activity", "containers": []},
    ]
    deploying.answer("aws ecs describe-tasks", {"tasks": tasks})

    result = deploying.run("deploy_ecs", **DEPLOY)

    assert result.returncode == 1
    assert "the deployment did not succeed: ROLLBACK_IN_PROGRESS" in result.stderr
    assert "circuit breaker threshold was exceeded. The previous version keeps serving.\n" in result.stderr
    assert (
        "The new tasks stopped: a container needs more memory than it has: raise application.memory.\n"
        "  - task 1: Essential container in task exited\n"
        "    container shop: exit code 137. OutOfMemoryError: container killed\n"
    ) in result.stderr
    more = "More: aws logs tail /ecs/shop --since 30m\n"
    assert result.stderr.endswith(
        f"{more}What to do: docs/oncall.md#rolled-back-by-itself; its settings: deploy, application\n"
    )
    assert "is unable to place a task" in result.stderr
    assert "Scaling activity" not in result.stderr, "a task of the old revision stops because it is replaced"


@pytest.mark.parametrize(
    ("status", "done", "failed"),
    [
        ("PENDING", False, False),
        ("IN_PROGRESS", False, False),
        ("SUCCESSFUL", True, False),
        *((status, False, True) for status in UNHAPPY),
    ],
)
def test_a_rollback_is_never_taken_for_a_success(status: str, *, done: bool, failed: bool) -> None:
    """All that ECS's service model lists, and whatever it may learn."""
    found = module("deploy_ecs").deployment_state({"status": status})

    assert (found.done, found.failed) == (done, failed)


def test_a_deployment_of_somebody_else_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    job, looked_at = module("deploy_ecs"), []
    revision = {"taskDefinition": RUNNING}

    def answer(_why: str, *command: str) -> dict[str, Any]:
        looked_at.append(command[-1])
        return {"serviceRevisions": [revision]}

    monkeypatch.setattr(job.Service, "deployments", lambda *_, **__: [entry(DEPLOYMENT, "PENDING", 2.5), OLD])
    monkeypatch.setattr(job.job, "aws", answer)
    service = job.Service("main", "shop")

    assert job.started(service, [OLD], NEW, again=False) == ""
    revision["taskDefinition"] = NEW
    assert job.started(service, [OLD], NEW, again=False) == DEPLOYMENT
    assert looked_at == ["revision/8", "revision/8"], "what was there before the update is not worth a question"


def test_a_deployment_whose_revision_is_not_there_yet_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    job = module("deploy_ecs")
    monkeypatch.setattr(job.Service, "deployments", lambda *_, **__: [entry(DEPLOYMENT, "PENDING", 2.5)])
    monkeypatch.setattr(job.job, "aws", lambda *_: {"serviceRevisions": [], "failures": [{"reason": "MISSING"}]})

    assert job.started(job.Service("main", "shop"), [], NEW, again=False) == ""


def same_is_served(machine: Machine, *listed: dict[str, object]) -> None:
    """The service is asked for what the job would deploy, and these are its deployments."""
    machine.file("deployment.json", deployment())
    machine.file("taskdef.json", edited(image=f"{REPOSITORY}@{DIGEST}"))
    asked = {**as_ecs_answers(edited()), "registeredAt": "2025-12-31T12:00:00Z"}
    asked["containerDefinitions"][0]["image"] = f"{REPOSITORY}@{DIGEST}"
    asked["containerDefinitions"][0]["environment"].reverse()
    registers(machine, asked)
    machine.answer("aws ecs describe-services", service())
    machine.answer("aws ecs list-service-deployments", {"serviceDeployments": [*listed]})


@pytest.mark.parametrize("newest", ["SUCCESSFUL", "IN_PROGRESS", "PENDING"])
def test_what_is_served_or_on_its_way_already_is_not_deployed_again(machine: Machine, newest: str) -> None:
    """Somebody retries the stage: the newest deployment counts, wherever it stands in the list."""
    same_is_served(machine, entry(OLD_DEPLOYMENT, "ROLLBACK_SUCCESSFUL", 1.5), entry(DEPLOYMENT, newest, 2.5))
    machine.answer("aws ecs describe-service-deployments", state("SUCCESSFUL"))

    result = machine.run("deploy_ecs", **DEPLOY)

    assert result.returncode == 0, result.stderr
    assert machine.called("aws ecs update-service") == []
    assert machine.called("aws ecs describe-service-deployments")[0].words[-3] == DEPLOYMENT
    assert f"{RUNNING} says the same: nothing to deploy, and no task is restarted" in result.stdout
    assert machine.exports == f"export SERVICE_DEPLOYMENT_ARN={DEPLOYMENT}\n"


def test_what_is_served_on_another_capacity_provider_is_deployed(machine: Machine) -> None:
    """Only the stack file was edited: no new image, and the same task definition."""
    same_is_served(machine, entry(DEPLOYMENT, "SUCCESSFUL", 2.5))
    machine.answer("aws ecs update-service", code=255, errors="enough")

    machine.run("deploy_ecs", **{**DEPLOY, "CAPACITY_PROVIDER_STRATEGY": STRATEGY})

    (update,) = machine.called("aws ecs update-service")
    assert update.after("--capacity-provider-strategy") == [STRATEGY]


@pytest.mark.parametrize("newest", [status for status in UNHAPPY if status != "SOMETHING_NEW"])
def test_what_has_failed_is_deployed_again(machine: Machine, newest: str) -> None:
    same_is_served(machine, entry(OLD_DEPLOYMENT, "SUCCESSFUL", 1.5), entry(DEPLOYMENT, newest, 2.5))
    machine.answer("aws ecs update-service", code=255, errors="enough")

    result = machine.run("deploy_ecs", **DEPLOY)

    assert result.returncode == 1
    assert machine.called("aws ecs update-service")[0].after("--task-definition") == [NEW]


def test_a_service_without_a_history_is_deployed_to(machine: Machine) -> None:
    """ECS forgets deployments after 90 days."""
    same_is_served(machine)
    machine.answer("aws ecs update-service", code=255, errors="enough")

    machine.run("deploy_ecs", **DEPLOY)

    assert len(machine.called("aws ecs update-service")) == 1


@pytest.mark.parametrize(
    "change",
    [
        {
            "environment": [
                {"name": "LOG_LEVEL", "value": "debug"},
                TEMPLATE["containerDefinitions"][0]["environment"][1],
            ]
        },
        {"command": ["b", "a"]},
        {"command": None},
        {"image": f"{REPOSITORY}@{OTHER_DIGEST}"},
    ],
    ids=["environment", "order of the command's words", "no command", "image"],
)
def test_two_revisions_that_differ_are_not_the_same(change: dict[str, object]) -> None:
    same = module("deploy_ecs").same
    one = as_ecs_answers(edited(command=["a", "b"]))
    other = as_ecs_answers(edited(command=["a", "b"]))
    other["containerDefinitions"][0].update(change)

    assert same(one, {**one, "revision": 8, "taskDefinitionArn": NEW, "registeredBy": "me"})
    assert not same(one, other)
    assert not same(one, {**one, "memory": "1024"})
    assert not same({**one, "taskRoleArn": "arn"}, one)
    assert not same(one, {**one, "taskRoleArn": "arn"})


def version() -> Any:  # noqa: ANN401 - a class of a script
    """What is deployed."""
    return module("deploy_ecs").Version(NEW, {"containerDefinitions": []}, "")


@pytest.fixture
def following(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Ten seconds pass with each look; gives what ECS is asked beside looks."""
    job, asked = module("deploy_ecs"), list[tuple[str, ...]]()
    times = iter(range(0, 10_000, 20))
    monkeypatch.setattr(job.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(job.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(job, "started", lambda *_, **__: DEPLOYMENT)
    monkeypatch.setattr(job, "described", lambda *_, **__: state("IN_PROGRESS")["serviceDeployments"][0])
    monkeypatch.setattr(job.stopped_tasks, "ask", lambda *_, **__: {})

    def ask(_why: str, *command: str, **_options: object) -> dict[str, Any]:
        asked.append(command)
        return {}

    monkeypatch.setattr(job.job, "aws", ask)
    return asked


def test_a_deployment_that_takes_too_long_is_rolled_back(
    following: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    job = module("deploy_ecs")

    with pytest.raises(SystemExit) as end:
        job.follow(job.Service("main", "shop"), version(), [], "", 1, job.Decision(""))

    assert end.value.code == 1
    assert following == [
        ("ecs", "stop-service-deployment", "--service-deployment-arn", DEPLOYMENT, "--stop-type", "ROLLBACK")
    ]
    shown = capsys.readouterr()
    assert (
        "took longer than 1 minutes (deploy.timeoutMinutes); its last state: IN_PROGRESS, 1 of 2 tasks running"
        in shown.err
    )
    progress = [line for line in shown.out.splitlines() if line.startswith("IN_PROGRESS")]
    assert len(progress) == 1, "a state is worth a line when it changes"


def test_a_deployment_that_ecs_never_starts_is_not_rolled_back(
    following: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = module("deploy_ecs")
    monkeypatch.setattr(job, "started", lambda *_, **__: "")

    with pytest.raises(SystemExit):
        job.follow(job.Service("main", "shop"), version(), [], "", 1, job.Decision(""))

    assert following == []
    assert (
        "took longer than 1 minutes (deploy.timeoutMinutes); its last state: waiting for ECS to start"
        in capsys.readouterr().err
    )


def test_all_deployments_are_looked_through_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    job, asked = module("deploy_ecs"), list[tuple[str, ...]]()

    def pages(_why: str, *command: str, **_options: object) -> dict[str, Any]:
        asked.append(command)
        return {"serviceDeployments": [OLD], **({"nextToken": "more"} if len(asked) == 1 else {})}

    monkeypatch.setattr(job.job, "aws", pages)

    assert job.Service("main", "shop").deployments() == [OLD, OLD]
    assert [command[-2:] for command in asked] == [("--max-results", "100"), ("--next-token", "more")]


@pytest.mark.parametrize(("status", "ended"), [("SUCCESSFUL", ""), ("STOPPED", "its last state: STOPPED")])
@pytest.mark.usefixtures("following")
def test_a_deployment_that_ends_when_it_shall_be_rolled_back_counts_as_it_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: str, ended: str
) -> None:
    """ECS answers a request to stop it with a conflict."""
    job = module("deploy_ecs")
    now = ["IN_PROGRESS"]

    def conflict(_why: str, *_command: str, absent: str) -> None:
        assert absent == "ConflictException"
        now[0] = status

    monkeypatch.setattr(job, "described", lambda *_, **__: state(now[0])["serviceDeployments"][0])
    monkeypatch.setattr(job.job, "aws", conflict)

    if ended:
        with pytest.raises(SystemExit):
            job.follow(job.Service("main", "shop"), version(), [], DEPLOYMENT, 1, job.Decision(""))
        assert ended in capsys.readouterr().err
    else:
        assert job.follow(job.Service("main", "shop"), version(), [], DEPLOYMENT, 1, job.Decision("")) == DEPLOYMENT


@pytest.mark.usefixtures("following")
def test_it_looks_often_at_first_and_every_ten_seconds_later(monkeypatch: pytest.MonkeyPatch) -> None:
    job, pauses = module("deploy_ecs"), list[float]()
    monkeypatch.setattr(job.time, "sleep", pauses.append)

    with pytest.raises(SystemExit):
        job.follow(job.Service("main", "shop"), version(), [], "", 5, job.Decision(""))

    assert pauses[:3] == [1.0, 1.5, 2.25]
    assert max(pauses) == 10
    assert pauses == sorted(pauses)


def test_a_deployment_that_ecs_does_not_know_is_named(deploying: Machine) -> None:
    deploying.answer("aws ecs describe-services", service())
    missing = {"serviceDeployments": [], "failures": [{"arn": DEPLOYMENT, "reason": "MISSING"}]}
    deploying.answer("aws ecs describe-service-deployments", missing)

    result = deploying.run("deploy_ecs", **DEPLOY)

    assert result.returncode == 1
    assert f"ECS does not know its deployment {DEPLOYMENT}" in result.stderr
    assert "MISSING" in result.stderr


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"services": []}, "the cluster main has no active service shop"),
        (service(status="DRAINING"), "the cluster main has no active service shop"),
        (service(deploymentController={"type": "CODE_DEPLOY"}), "shop is deployed by CODE_DEPLOY, not by ECS"),
    ],
)
def test_a_service_that_cannot_be_deployed_to_is_refused_first(
    deploying: Machine, answer: dict[str, object], message: str
) -> None:
    deploying.answer("aws ecs describe-services", answer)

    result = deploying.run("deploy_ecs", **DEPLOY)

    assert result.returncode == 1
    assert message in result.stderr
    assert deploying.called("aws ecs register-task-definition") == []


@pytest.mark.parametrize(
    ("facts", "container", "message"),
    [
        ({"digest": OTHER_DIGEST}, {}, f"deployment.json is about {OTHER_DIGEST}, the pipeline delivers {DIGEST}"),
        ({"digest": "latest"}, {}, "deployment.json is about latest, the pipeline delivers"),
        (
            {},
            {"image": f"{REPOSITORY}@{OTHER_DIGEST}"},
            f"the container 'shop' the image {REPOSITORY}@{OTHER_DIGEST}, the pipeline delivers {REPOSITORY}@{DIGEST}",
        ),
        ({}, {"image": f"{REPOSITORY}:latest"}, f"the container 'shop' the image {REPOSITORY}:latest"),
        ({}, {"image": DIGEST}, f"the container 'shop' the image {DIGEST}, the pipeline delivers"),
        ({"container": "store"}, {}, "the container 'store' the image None"),
    ],
    ids=["another deployment", "no digest", "another image", "a tag", "no repository", "another container"],
)
def test_nothing_but_what_the_pipeline_delivers_is_deployed(
    deploying: Machine, facts: dict[str, object], container: dict[str, str], message: str
) -> None:
    deploying.file("deployment.json", deployment(**facts))
    deploying.file("taskdef.json", edited(**{"image": f"{REPOSITORY}@{DIGEST}", **container}))

    result = deploying.run("deploy_ecs", **DEPLOY)

    assert result.returncode == 1
    assert message in result.stderr
    assert deploying.calls == []


def test_progress_shows_traffic_and_failed_tasks() -> None:
    target = {"requestedTaskCount": 2, "runningTaskCount": 2, "requestedProductionTrafficWeight": 10.0}
    found = module("deploy_ecs").deployment_state(
        {
            "status": "IN_PROGRESS",
            "lifecycleStage": "PRODUCTION_TRAFFIC_SHIFT",
            "targetServiceRevision": target,
            "deploymentCircuitBreaker": {"failureCount": 3},
        }
    )

    assert (
        found.line == "IN_PROGRESS, PRODUCTION_TRAFFIC_SHIFT, 2 of 2 tasks running, 10 % of the traffic, 3 tasks failed"
    )
    assert not found.done
    assert not found.failed


def test_progress_names_the_alarm_that_went_off() -> None:
    found = module("deploy_ecs").deployment_state(
        {"status": "ROLLBACK_IN_PROGRESS", "alarms": {"triggeredAlarmNames": ["it's slow", "errors"]}}
    )

    assert found.line == "ROLLBACK_IN_PROGRESS, 0 of 0 tasks running, alarm it's slow and errors"


def test_the_task_definition_is_held_against_ecs_s_model_before_the_rest_is_written(machine: Machine) -> None:
    invalid = 'Parameter validation failed:\nUnknown parameter in input: "memoryy", must be one of: memory'
    machine.answer("aws ecs register-task-definition --generate-cli-skeleton", code=252, errors=invalid)
    offers(machine)

    result = machine.run("prepare_deployment", **PREPARE)

    assert result.returncode == 1
    assert "Check the task definition: `aws ecs register-task-definition` ended with code 252" in result.stderr
    assert '  | Unknown parameter in input: "memoryy", must be one of: memory' in result.stderr
    assert "it is asked for: it is too old, or the parameter is misspelt. The jobs" in result.stderr
    assert sorted(path.name for path in machine.folder.iterdir()) == ["image.json", "taskdef.json"]
    (check,) = machine.called("aws ecs register-task-definition")
    assert check.after("--generate-cli-skeleton") == ["output"], "the AWS CLI then calls nobody"
    assert check.after("--cli-input-json") == ["file://taskdef.json"]


NO_SUCH_OPERATION = """
usage: aws [options] <command> <subcommand> [<subcommand> ...] [parameters]

aws: error: argument operation: Invalid choice, valid choices are:

""" + "\n".join(f"list-{number}s | describe-{number}" for number in range(30))
"""As AWS CLI 2.9.19 says it; what it does not know stands above its last lines."""
NEW_WORDS = "aws: [ERROR]: An error occurred (ParamValidation): argument operation: Found invalid choice '{}'"
"""As AWS CLI 2.34 says it."""
NO_SUCH_PARAMETER = """
Parameter validation failed:
Unknown parameter in deploymentConfiguration: "strategy", must be one of: deploymentCircuitBreaker, maximumPercent"""


@pytest.mark.parametrize(
    ("script", "command", "code", "errors"),
    [
        ("deploy_ecs", "ecs list-service-deployments", 252, NO_SUCH_OPERATION),
        ("deploy_ecs", "ecs list-service-deployments", 2, NO_SUCH_OPERATION),
        ("deploy_ecs", "ecs list-service-deployments", 252, NEW_WORDS.format("list-service-deployments")),
        ("deploy_ecs", "ecs update-service", 252, NO_SUCH_PARAMETER),
        ("deploy_ecs", "ecs list-service-deployments", 252, "Unknown options: --max-results, 100"),
        ("prepare_deployment", "ecs register-task-definition", 255, NO_SUCH_PARAMETER),
    ],
)
def test_an_aws_cli_that_is_too_old_is_named_as_such(
    machine: Machine, script: str, command: str, code: int, errors: str
) -> None:
    machine.answer(f"aws {command}", code=code, errors=errors)
    offers(machine)
    stops(machine)

    result = machine.run(script, **PREPARE, **{key: value for key, value in DEPLOY.items() if key not in PREPARE})

    assert result.returncode == 1
    assert f"`aws {command}` ended with code {code}" in result.stderr
    assert "This AWS CLI, aws 1.2.3, does not know what it is asked for: it is too old" in result.stderr
    assert "The jobs need 2.31.24 or later" in result.stderr


def test_an_aws_cli_that_is_refused_by_aws_is_not_called_too_old(machine: Machine) -> None:
    failing(machine, "ecs describe-services")

    result = machine.run("deploy_ecs", **DEPLOY)

    assert "too old" not in result.stderr


REFUSED = "An error occurred (ThrottlingException) when calling the operation: Rate exceeded"


def failing(machine: Machine, command: str) -> None:
    """The command fails, whatever else is answered."""
    machine.answer(f"aws {command}", code=254, errors=REFUSED)


@pytest.mark.parametrize(
    "command",
    [
        "ecr describe-images",
        "s3 cp",
        "ecs describe-services",
        "ecs describe-task-definition",
        "ecs register-task-definition",
    ],
)
def test_each_command_of_the_preparation_that_fails_ends_it_with_its_own_words(machine: Machine, command: str) -> None:
    failing(machine, command)
    offers(machine)
    runs(machine, TEMPLATE)

    result = machine.run("prepare_deployment", **{**PREPARE, "IMAGE_ONLY": "true"})

    assert result.returncode == 1
    assert f"`aws {command}` ended with code 254" in result.stderr
    assert f"  | {REFUSED}" in result.stderr
    beside = 2 if command in {"s3 cp", "ecr describe-images"} else 1  # these two are called at once
    assert command.split() in [call.words[1:3] for call in machine.calls[-beside:]], "nothing is done after it"
    assert not (machine.folder / "deployment.json").exists()


def stops(machine: Machine) -> None:
    """A deployment that is started and then stopped."""
    machine.file("deployment.json", deployment())
    machine.file("taskdef.json", edited(image=f"{REPOSITORY}@{DIGEST}"))
    registers(machine, as_ecs_answers(TEMPLATE))
    machine.answer("aws ecs describe-services", service())
    machine.answer("aws ecs update-service", {"service": {}})
    machine.answer("aws ecs list-service-deployments", {"serviceDeployments": [OLD]}, times=1)
    machine.answer("aws ecs list-service-deployments", {"serviceDeployments": [entry(DEPLOYMENT, "PENDING", 2.5)]})
    machine.answer("aws ecs describe-service-revisions", {"serviceRevisions": [{"taskDefinition": NEW}]})
    machine.answer("aws ecs describe-service-deployments", state("STOPPED"))


@pytest.mark.parametrize(
    "command",
    [
        *("ecs describe-services", "ecs register-task-definition", "ecs describe-task-definition"),
        *("ecs list-service-deployments", "ecs update-service", "ecs describe-service-revisions"),
        "ecs describe-service-deployments",
    ],
)
def test_each_command_of_the_deployment_that_fails_ends_it_with_its_own_words(machine: Machine, command: str) -> None:
    failing(machine, command)
    stops(machine)
    machine.answer("aws ecs list-tasks", {"taskArns": ["task/main/1"]})

    result = machine.run("deploy_ecs", **DEPLOY)

    assert result.returncode == 1
    assert f"`aws {command}` ended with code 254" in result.stderr
    assert f"  | {REFUSED}" in result.stderr
    assert machine.calls[-1].words[1:3] == command.split(), "nothing is done after it"


@pytest.mark.parametrize("command", ["ecs list-tasks", "ecs describe-tasks", "logs get-log-events"])
def test_the_failure_is_reported_though_its_reasons_cannot_be_had(machine: Machine, command: str) -> None:
    failing(machine, command)
    stops(machine)
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/shop", "awslogs-stream-prefix": "shop"}}
    machine.file("taskdef.json", edited(image=f"{REPOSITORY}@{DIGEST}", logConfiguration=logs))
    machine.answer("aws ecs list-tasks", {"taskArns": ["task/main/1"]})
    part = {"name": "shop", "exitCode": 1}
    machine.answer(
        "aws ecs describe-tasks",
        {"tasks": [{"taskArn": "1", "taskDefinitionArn": NEW, "stoppedReason": "It ended", "containers": [part]}]},
    )

    result = machine.run("deploy_ecs", **DEPLOY)

    assert result.returncode == 1
    assert "the deployment did not succeed: STOPPED" in result.stderr
    assert f"    ended with code 254: {REFUSED}" in result.stdout
    assert ("exit code 1" in result.stderr) == (command == "logs get-log-events")


@pytest.mark.parametrize("script", ["prepare_deployment", "deploy_ecs"])
def test_every_command_is_in_the_log_as_it_could_be_typed(deploying: Machine, script: str) -> None:
    offers(deploying)
    deploying.answer("aws ecs describe-services", service())
    deploying.answer("aws ecs describe-service-deployments", state("SUCCESSFUL"))

    result = deploying.run(script, **PREPARE, **{key: value for key, value in DEPLOY.items() if key not in PREPARE})

    assert result.returncode == 0, result.stderr
    assert deploying.calls
    for call in deploying.calls:
        assert f"    $ {shlex.join(call.words)}\n" in result.stdout


CHECK = {"method": "GET", "path": "/", "status": 200, "headers": {}, "contains": "", "withinMilliseconds": 5000}
HOOK = {"hookId": "ecs-pause-1", "targetType": "PAUSE", "status": "AWAITING_ACTION"}
CHECKED = {"HTTP_CHECKS": json.dumps([CHECK]), "TEST_HEADERS": '{"X-Token": "shop/token"}'}


class NewVersion(WebServer):
    """What test traffic reaches."""

    status = 200

    def reply(self, request: Request) -> Reply:
        return Reply(self.status if request.headers.get("x-token") == "open-sesame" else 401)


@pytest.mark.parametrize(
    ("status", "word", "end"), [(200, "CONTINUE", "SUCCESSFUL"), (503, "ROLLBACK", "ROLLBACK_REQUESTED")]
)
def test_users_get_a_version_that_answers_as_expected_and_no_other(
    deploying: Machine, status: int, word: str, end: str
) -> None:
    deploying.answer("aws secretsmanager get-secret-value", {"SecretString": "open-sesame"})
    deploying.answer("aws ecs continue-service-deployment", {"serviceDeploymentArn": DEPLOYMENT})
    deploying.answer("aws ecs describe-services", service())
    stage = "POST_TEST_TRAFFIC_SHIFT"
    paused = state("IN_PROGRESS", serviceDeploymentArn=DEPLOYMENT, lifecycleStage=stage, lifecycleHookDetails=[HOOK])
    deploying.answer("aws ecs describe-service-deployments", paused, times=1)
    deploying.answer(
        "aws ecs describe-service-deployments", state(end, lifecycleHookDetails=[{**HOOK, "status": "OVER"}])
    )
    deploying.answer("aws ecs list-tasks --desired-status STOPPED", {"taskArns": []})
    version = NewVersion()
    version.status = status

    with serving(version) as url:
        result = deploying.run("deploy_ecs", **{**DEPLOY, **CHECKED, "TEST_URL": url})

    (given,) = deploying.called("aws ecs continue-service-deployment")
    assert given.after("--action") == [word]
    assert (given.after("--hook-id"), given.after("--service-deployment-arn")) == (["ecs-pause-1"], [DEPLOYMENT])
    assert result.returncode == (0 if status == 200 else 1), result.stderr
    assert ("The new version does not answer as expected:\n  GET /: it answers with status 503" in result.stderr) is (
        status == 503
    )
    assert "open-sesame" not in result.stdout + result.stderr
    *_, update = deploying.called("aws ecs update-service")
    assert update.after("--deployment-configuration") == ['{"lifecycleHooks": []}'], "no later deployment waits"
    assert "--task-definition" not in update.words


def test_a_pause_of_somebody_else_is_left_to_them(deploying: Machine) -> None:
    deploying.answer("aws ecs describe-services", service())
    paused = state("IN_PROGRESS", lifecycleStage="POST_TEST_TRAFFIC_SHIFT", lifecycleHookDetails=[HOOK])
    deploying.answer("aws ecs describe-service-deployments", paused, times=1)
    deploying.answer("aws ecs describe-service-deployments", state("SUCCESSFUL"))

    assert deploying.run("deploy_ecs", **DEPLOY).returncode == 0
    assert deploying.called("aws ecs continue-service-deployment") == []
    assert len(deploying.called("aws ecs update-service")) == 1


def test_nothing_is_deployed_whose_checks_cannot_be_made(deploying: Machine) -> None:
    deploying.answer("aws secretsmanager get-secret-value", {"SecretString": "two\nlines"})
    result = deploying.run("deploy_ecs", **{**DEPLOY, **CHECKED, "TEST_URL": "http://127.0.0.1:1"})
    assert result.returncode == 1
    assert "cannot be the header X-Token" in result.stderr
    assert deploying.called("aws ecs update-service") == []


def test_a_pause_that_stays_is_said(deploying: Machine) -> None:
    deploying.answer("aws secretsmanager get-secret-value", {"SecretString": "open-sesame"})
    deploying.answer("aws ecs describe-services", service())
    deploying._rules[:0] = [
        {
            "words": ["aws", "ecs", "update-service", '{"lifecycleHooks": []}'],
            "output": "",
            "errors": "An error occurred (ServerException)",
            "code": 255,
            "files": {},
            "keeps": {},
            "times": 1,
        }
    ]
    deploying.answer("aws ecs describe-service-deployments", state("SUCCESSFUL"))
    result = deploying.run("deploy_ecs", **{**DEPLOY, **CHECKED, "TEST_URL": "http://127.0.0.1:1"})
    assert result.returncode == 0, result.stderr
    assert "the service keeps its pause: the next run of the pipeline takes it away" in result.stdout
