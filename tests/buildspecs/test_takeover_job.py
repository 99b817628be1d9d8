"""Preparing the deployment of a service that exists: each branch of what is kept, refused and asked about.

tests/rehearsal/test_takeover.py executes the same with the permissions of the job's role, up to the deployment's end.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from fake_tools import DIGEST, REPOSITORY, Machine, image
from taken_over import REACHED, REGISTERED, WINDOWS, container_of, variables_of

ARN = "arn:aws:ecs:eu-west-1:123456789012:task-definition/legacy:7"
URI = f"{REPOSITORY}@{DIGEST}"
ORDERS = "x-ray-daemon"
SET = "pulumi config set --stack dev --path 'ecs-delivery:"
REMOVE = "pulumi config rm --stack dev --path 'ecs-delivery:"
VARIABLES = {
    "TASK_DEFINITION_TEMPLATE": "s3://artifacts/shop/stated.json",
    "APPSPEC": "",
    "IMAGE_ONLY": "false",
    "EXISTING": "true",
    "TASK_DEFINITION_FILE": "",
    "STACK": "dev",
    "TAKE_OVER": "false",
    "CONTROLLER": "ECS",
    "CLUSTER": "main",
    "SERVICE": "shop",
    "IMAGE_REPOSITORY_URI": REPOSITORY,
    "IMAGE_DIGEST": DIGEST,
    "RELEASED": "false",
    "TAG_PREFIX": "",
}
Document = dict[str, Any]
Prepare = Callable[..., CompletedProcess[str]]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with an image to deploy."""
    machine = Machine(tmp_path)
    machine.file("image.json", image())
    return machine


@pytest.fixture
def prepare(machine: Machine) -> Prepare:
    """Prepare the deployment of a service that runs one of the task definitions."""

    def run(
        name: str,
        *,
        stated: Document | None = None,
        definition: Document | None = None,
        service: Document | None = None,
        arn: str = ARN,
        **variables: str,
    ) -> CompletedProcess[str]:
        running = definition or REGISTERED[name]
        roles = {key: running[key] for key in ("executionRoleArn", "taskRoleArn") if key in running}
        container = {"name": container_of(name), **(stated or {}).pop("container", {})}
        template = {
            "family": "shop-dev",
            **roles,
            "containerDefinitions": [container],
            **(stated or {}),
        }
        said = {"taskDefinition": arn, "launchType": launch_type(running), "loadBalancers": balancers(name)}
        tags = running.get("tags", [])
        described = {key: value for key, value in running.items() if key != "tags"}
        own = {"taskDefinitionArn": arn, "revision": 7, "status": "ACTIVE", "ipcMode": None}
        machine.answer("aws s3 cp", template)
        machine.answer("aws ecs register-task-definition --generate-cli-skeleton", {"taskDefinition": {}})
        machine.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": DIGEST}]})
        machine.answer(
            "aws ecs describe-services --cluster main --services shop", {"services": [{**said, **(service or {})}]}
        )
        machine.answer(
            f"aws ecs describe-task-definition --task-definition {arn} --include TAGS",
            {"taskDefinition": {**own, **described}, "tags": tags},
        )
        return machine.run("prepare_deployment", **{**VARIABLES, **variables_of(name), **variables})

    return run


def launch_type(definition: Document) -> str:
    """What ECS can start it on; a task definition that names nothing is for instances."""
    return str(definition.get("requiresCompatibilities", ["EC2"])[0])


def balancers(name: str) -> list[Document]:
    """The load balancers of the service, as ECS describes them."""
    if name not in REACHED:
        return []
    container, port = REACHED[name]
    return [{"targetGroupArn": "arn:tg", "containerName": container, "containerPort": port}]


def changed(name: str, container: Document | None = None, **task: object) -> Document:
    """One of the task definitions, edited; None takes a key away."""
    made = {**copy.deepcopy(REGISTERED[name]), **task}
    own = next(part for part in made["containerDefinitions"] if part["name"] == container_of(name))
    own |= container or {}
    return {key: value for key, value in made.items() if value is not None}


def registered(machine: Machine) -> Document:
    """What is to be registered."""
    return dict(machine.json("taskdef.json"))


@pytest.mark.parametrize("name", [name for name in REGISTERED if name != WINDOWS])
def test_what_runs_is_kept_but_for_the_image(machine: Machine, prepare: Prepare, name: str) -> None:
    result = prepare(name)

    assert result.returncode == 0, result.stderr
    expected = {**copy.deepcopy(REGISTERED[name]), "family": "shop-dev"}
    for part in expected["containerDefinitions"]:
        if part["name"] == container_of(name):
            part["image"] = URI
            part.pop("repositoryCredentials", None)
    assert registered(machine) == expected
    assert machine.json("imagedefinitions.json") == [{"name": container_of(name), "imageUri": URI}]
    assert f"its image of {container_of(name)!r} is replaced, all else is kept" in result.stdout


def test_users_may_reach_another_container(machine: Machine, prepare: Prepare) -> None:
    result = prepare("proxy-in-front")
    assert result.returncode == 0, result.stderr
    assert "users reach port 80 of 'nginx'; the image that is delivered is that of 'django'" in result.stdout
    (resource,) = machine.json("appspec.yaml")["Resources"]
    properties = resource["TargetService"]["Properties"]
    assert properties["LoadBalancerInfo"] == {"ContainerName": "nginx", "ContainerPort": 80}


def test_an_unsaid_processor_of_instances_is_not_checked_and_the_log_says_so(prepare: Prepare) -> None:
    result = prepare("docker-volumes", definition=changed("docker-volumes", runtimePlatform=None))
    assert result.returncode == 0, result.stderr
    assert "names no processor: whether the instances are X86_64, as the image is, is not checked" in result.stdout


TASK_SET = {
    "status": "PRIMARY",
    "taskDefinition": ARN,
    "loadBalancers": balancers(ORDERS),
    "platformVersion": "1.4.0",
    "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": "DISABLED"}},
}
BY_CODE_DEPLOY = {"deploymentController": {"type": "CODE_DEPLOY"}, "taskDefinition": "", "launchType": ""}


@pytest.mark.parametrize(
    ("capacity", "strategy"),
    [
        ({"launchType": "FARGATE"}, None),
        (
            {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 2, "base": 1}]},
            [{"CapacityProvider": "FARGATE_SPOT", "Weight": 2, "Base": 1}],
        ),
        (
            {"capacityProviderStrategy": [{"capacityProvider": "instances-of-mine", "weight": 1}]},
            [{"CapacityProvider": "instances-of-mine", "Weight": 1}],
        ),
    ],
    ids=["launch type", "Fargate Spot", "instances"],
)
def test_codedeploy_is_told_where_the_task_set_runs(
    machine: Machine, prepare: Prepare, capacity: Document, strategy: object
) -> None:
    older = {**TASK_SET, "status": "ACTIVE", "platformVersion": "1.3.0"}
    sets = {**BY_CODE_DEPLOY, "taskSets": [older, {**TASK_SET, **capacity}]}

    result = prepare(ORDERS, service=sets, CONTROLLER="CODE_DEPLOY")

    assert result.returncode == 0, result.stderr
    (resource,) = machine.json("appspec.yaml")["Resources"]
    properties = resource["TargetService"]["Properties"]
    assert properties.get("CapacityProviderStrategy") == strategy
    assert properties["PlatformVersion"] == "1.4.0"
    assert properties["NetworkConfiguration"] == {
        "AwsvpcConfiguration": {"Subnets": ["subnet-1"], "AssignPublicIp": "DISABLED"}
    }


FILE = changed(ORDERS, {"image": "<IMAGE1_NAME>"}, cpu="1024", memory="2048")


@pytest.mark.parametrize("agreed", [False, True])
def test_a_file_of_the_commit_is_the_base(machine: Machine, prepare: Prepare, agreed: bool) -> None:
    described = {"taskDefinition": {**FILE, "revision": 3, "tags": None}, "tags": [{"key": "aws:x", "value": "y"}]}
    machine.file("image.json", image(taskDefinition=described))

    result = prepare(ORDERS, TASK_DEFINITION_FILE="taskdef.json", TAKE_OVER=str(agreed).lower())

    assert (result.returncode == 0) == agreed, result.stderr
    shown = result.stdout if agreed else result.stderr
    assert '  - memory: running "1024", wanted "2048"' in shown
    if agreed:
        assert registered(machine)["memory"] == "2048"
        assert "tags" not in registered(machine)
    else:
        assert "write into taskdef.json what runs, or leave out hosting.existing.taskDefinitionFile" in result.stderr


def test_a_file_that_the_build_did_not_find_stops_the_run(prepare: Prepare) -> None:
    result = prepare(ORDERS, TASK_DEFINITION_FILE="taskdef.json")
    assert "image.json has no task definition of taskdef.json: run the pipeline from its first stage." in result.stderr


STATED = {"cpu": "1024", "container": {"environment": [{"name": "LOG_LEVEL", "value": "debug"}]}}
OURS = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop-dev:4"


@pytest.mark.parametrize(
    ("arn", "running_image", "variables", "asked"),
    [
        (ARN, URI, {}, True),
        (OURS, "registry.example.com/orders:1", {}, True),
        (OURS, URI, {}, False),
        (ARN, URI, {"TAKE_OVER": "true"}, False),
    ],
    ids=["another family", "another image", "delivered before", "agreed"],
)
def test_changes_ship_once_somebody_has_agreed(
    machine: Machine, prepare: Prepare, arn: str, running_image: str, variables: dict[str, str], asked: bool
) -> None:
    definition = changed(ORDERS, {"image": running_image})

    result = prepare(ORDERS, definition=definition, stated=copy.deepcopy(STATED), arn=arn, **variables)

    assert (result.returncode != 0) == asked, result.stderr
    for line in ("cpu: running", "environment.LOG_LEVEL.value: running"):
        assert line in (result.stderr if asked else result.stdout)
    if asked:
        assert f"  {SET}hosting.existing.takeOver' true\n" in result.stderr
        assert f"  {REMOVE}application.cpu'\n  {REMOVE}application.environment.LOG_LEVEL'\n" in result.stderr
    else:
        assert registered(machine)["cpu"] == "1024"


def test_the_amazon_ecs_action_changes_nothing_but_the_image(prepare: Prepare) -> None:
    result = prepare(ORDERS, stated=copy.deepcopy(STATED), IMAGE_ONLY="true", TAKE_OVER="true")
    assert "the Amazon ECS action ships nothing but the image, and the stack file would change" in result.stderr
    assert f"  {SET}deploy.engine' ecs\n" in result.stderr


def test_the_amazon_ecs_action_would_keep_the_login_of_another_registry(prepare: Prepare) -> None:
    result = prepare("secrets-and-private-registry", IMAGE_ONLY="true")
    assert "shop pulls the image of 'billing' with repositoryCredentials, which the Amazon ECS action" in result.stderr


ROLE = "arn:aws:iam::123456789012:role/service/orders"
REFUSED: dict[str, tuple[Document, str]] = {
    "controller": (
        {"service": BY_CODE_DEPLOY | {"taskSets": [TASK_SET]}},
        f"shop has the deployment controller CODE_DEPLOY, the engine needs ECS: {SET}deploy.engine' codeDeploy",
    ),
    "somebody else's controller": (
        {"service": {"deploymentController": {"type": "EXTERNAL"}}},
        "this program deploys services of the controllers ECS and CODE_DEPLOY",
    ),
    "no task set": ({"service": {"taskDefinition": ""}}, "shop has no primary task set: it serves nobody yet"),
    "container": (
        {"CONTAINER_NAME": "shop"},
        f"has no container 'shop'; it has 'orders', 'xray-daemon': {SET}application.containerName' orders",
    ),
    "launch type": (
        {"definition": changed(ORDERS, requiresCompatibilities=["EC2"]), "service": {"launchType": "FARGATE"}},
        "shop runs on FARGATE, the running revision legacy:7 is for EC2: add FARGATE to its requiresCompatibilities",
    ),
    "system": (
        {"definition": changed(ORDERS, runtimePlatform={"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"})},
        "runs on WINDOWS_SERVER_2022_CORE, and this pipeline builds images for LINUX alone",
    ),
    "processor": ({"IMAGE_PLATFORM": "linux/amd64"}, f"{SET}application.architecture' arm64"),
    "processor of Fargate": (
        {"definition": changed(ORDERS, runtimePlatform=None)},
        f"runs on X86_64, as Fargate does when nothing is said: {SET}application.architecture' x86_64",
    ),
    "unknown processor": (
        {"definition": changed(ORDERS, runtimePlatform={"cpuArchitecture": "RISCV"})},
        f"runs on RISCV: {SET}application.architecture' RISCV",
    ),
    "port": ({"CONTAINER_PORT": "9090"}, f"to port 8080 of 'orders', not to 9090: {SET}application.port' 8080"),
    "unmapped port": (
        {"definition": changed(ORDERS, {"portMappings": []})},
        "sends traffic to port 8080 of the container 'orders', which the running revision legacy:7 does not map",
    ),
    "role": (
        {"definition": changed(ORDERS, taskRoleArn=ROLE), "stated": {"taskRoleArn": f"{ROLE}-2"}},
        (
            f"has the task role {ROLE}, which the pipeline may pass only when the stack file names it in place of "
            f"{ROLE}-2: {SET}hosting.existing.taskRole' {ROLE}"
        ),
    ),
    "role that nothing names": (
        {"definition": changed(ORDERS, executionRoleArn=ROLE), "stated": {"executionRoleArn": None}},
        (
            f"the execution role {ROLE}, which the pipeline may pass only when the stack file names it: "
            f"{SET}hosting.existing.executionRole' {ROLE}"
        ),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_with_its_fix(machine: Machine, prepare: Prepare, what: str) -> None:
    given, problem = copy.deepcopy(REFUSED[what])

    result = prepare(ORDERS, **given)

    assert result.returncode != 0
    assert "the service cannot be taken over as it is, and nothing was registered:\n  - " in result.stderr
    assert problem in result.stderr
    assert not (machine.folder / "taskdef.json").exists()


def test_a_role_by_its_name_alone_is_the_one_that_is_named(prepare: Prepare) -> None:
    result = prepare(ORDERS, definition=changed(ORDERS, taskRoleArn="orders"), stated={"taskRoleArn": ROLE})
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("services", [[], [{"status": "INACTIVE"}]], ids=["none", "deleted"])
def test_a_service_that_is_not_there_is_named(machine: Machine, prepare: Prepare, services: list[Document]) -> None:
    machine.answer("aws ecs describe-services", {"services": services})
    result = prepare(ORDERS)
    assert "the cluster main has no active service shop." in result.stderr


@pytest.mark.parametrize(("said", "shown"), [("<IMAGE2_NAME>", "the placeholder <IMAGE2_NAME>"), ("", "no image")])
def test_a_container_whose_image_nobody_builds_is_named(
    machine: Machine, prepare: Prepare, said: str, shown: str
) -> None:
    file = copy.deepcopy(FILE)
    file["containerDefinitions"][1]["image"] = said
    machine.file("image.json", image(taskDefinition=file))

    result = prepare(ORDERS, TASK_DEFINITION_FILE="taskdef.json", TAKE_OVER="true")

    assert f"taskdef.json has {shown} for the container 'xray-daemon', and only the image of 'orders' is built" in (
        result.stderr
    )


def test_what_may_be_a_secret_is_not_shown(prepare: Prepare) -> None:
    running = changed(ORDERS, {"environment": [{"name": "LOG_LEVEL", "value": "in-clear"}]})
    result = prepare(ORDERS, definition=running, stated=copy.deepcopy(STATED))
    assert "environment.LOG_LEVEL.value: running another value, wanted" in result.stderr
    assert "in-clear" not in json.dumps([result.stdout, result.stderr])
