"""Services that exist are taken over: the jobs are executed, and what they register is compared with what ran."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from delivered_stack import Builder, DeliveredStack, unzipped
from taken_over import FOLDER, REACHED, REGISTERED, WINDOWS, container_of, variables_of
from test_deployments import Delivery

from local.rehearsal.aws_services import AwsServices
from local.rehearsal.ecs.state import Service
from local.rehearsal.emulated import serving

NAMED = {"cluster": "shop", "service": "shop", "executionRole": "shop-execution", "taskRole": "shop-task"}
TakeOver = Callable[..., Delivery]


@cache
def stack(engine: str = "ecs", existing: str = "{}", application: str = "{}") -> DeliveredStack:
    """A stack that names a service; what differs is JSON."""
    listening = {"loadBalancer": "shop", "listeners": {"production": 80}, "targetGroups": ["blue", "green"]}
    named = {**NAMED, **(listening if engine == "codeDeploy" else {}), **json.loads(existing)}
    changes: dict[str, dict[str, object]] = {
        "deploy": {"engine": engine},
        "hosting": {"existing": {key: value for key, value in named.items() if value is not None}},
        "application": json.loads(application),
    }
    return DeliveredStack("existing-hosting", changes)


@pytest.fixture
def take_over(aws: AwsServices, warm_aws_cli: Path, tmp_path: Path) -> Iterator[TakeOver]:
    """Make a service that runs one of the task definitions, and the stack that takes it over."""

    def ready(name: str, plan: DeliveredStack | None = None, **served: Any) -> Delivery:  # noqa: ANN401 - JSON
        found = plan or stack()
        found.push(aws)
        found.store(aws, stated_for(found, name))
        reached = {"reached": REACHED[name]} if name in REACHED else {}
        definition = {"definition": REGISTERED[name], **reached, **served}
        if name not in REACHED:
            definition["loadBalancers"] = []
        builder = Builder(found, aws, warm_aws_cli, tmp_path / "machine")
        made = Delivery(found, builder, tmp_path, pace=20, **definition)
        made.url = ends.enter_context(serving(made.ecs, made.logs))
        return made

    with ExitStack() as ends:
        yield ready


def stated_for(plan: DeliveredStack, name: str) -> dict[str, Any]:
    """What the program stores for the stack, if its container were that of the task definition."""
    stored = plan.template
    stored["containerDefinitions"][0]["name"] = container_of(name)
    return stored


def described(delivery: Delivery, arn: str) -> dict[str, Any]:
    """A revision without what names it, and its tags."""
    found = delivery.ecs.owner("DescribeTaskDefinition", taskDefinition=arn, include=["TAGS"])
    own = ("taskDefinitionArn", "revision", "registeredAt", "registeredBy", "family")
    return {**{key: value for key, value in found["taskDefinition"].items() if key not in own}, "tags": found["tags"]}


def image_of(delivery: Delivery, definition: dict[str, Any], name: str) -> dict[str, Any]:
    """A description with the delivered image in the one container, and without the login of another registry."""
    changed: dict[str, Any] = json.loads(json.dumps(definition))
    for part in changed["containerDefinitions"]:
        if part["name"] == container_of(name):
            part["image"] = delivery.image["uri"]
            part.pop("repositoryCredentials", None)
    return changed


@pytest.mark.parametrize("name", [name for name in REGISTERED if name != WINDOWS])
def test_a_service_that_is_taken_over_loses_nothing(take_over: TakeOver, name: str) -> None:
    """What is registered is what ran, with another image in the one container: executed, up to the deployment's end."""
    without_roles = '{"executionRole": null, "taskRole": null}' if "taskRoleArn" not in REGISTERED[name] else "{}"
    delivery = take_over(name, stack(existing=without_roles))
    before = delivery.service.definition["taskDefinitionArn"]

    prepared = delivery.prepare(**variables_of(name))

    assert prepared.succeeded, prepared.log
    result = delivery.deploy(prepared.artifacts["Deployment"])
    assert result.succeeded, result.log
    after = delivery.service.definition["taskDefinitionArn"]
    assert after.rpartition("/")[2] == f"{delivery.stack.template['family']}:1"
    assert described(delivery, after) == image_of(delivery, described(delivery, before), name)
    (asked,) = delivery.called("UpdateService")
    assert "deploymentConfiguration" not in asked, "the service keeps its own"


def test_at_least_twelve_task_definitions_are_taken_over() -> None:
    assert len(REGISTERED) - 1 >= 12
    assert {name for name in REGISTERED if f"| `{name}` |" not in (FOLDER / "README.md").read_text()} == set()


def test_the_login_of_another_registry_ends_with_the_image_and_the_log_says_so(take_over: TakeOver) -> None:
    """It is no change that anybody has to agree to: with it, no task could pull the image."""
    name = "secrets-and-private-registry"
    prepared = take_over(name).prepare(**variables_of(name))

    assert prepared.succeeded, prepared.log
    assert "'billing' loses its repositoryCredentials: Amazon ECR" in prepared.log
    assert "its image of 'billing' is replaced, all else is kept" in prepared.log
    definition = json.loads(unzipped(prepared.artifacts["Deployment"])["taskdef.json"])
    assert [part["name"] for part in definition["containerDefinitions"] if "repositoryCredentials" in part] == [
        "migrations"
    ]


def test_the_amazon_ecs_action_cannot_take_the_login_away(take_over: TakeOver) -> None:
    name = "secrets-and-private-registry"
    result = take_over(name).prepare(**{**variables_of(name), "IMAGE_ONLY": "true"})
    assert not result.succeeded
    assert "shop pulls the image of 'billing' with repositoryCredentials, which the Amazon ECS action" in result.log
    assert "pulumi config set --stack existing-hosting --path 'ecs-delivery:deploy.engine' ecs\n" in result.log


def test_no_secret_in_clear_of_what_runs_is_shown(take_over: TakeOver) -> None:
    name = "secrets-and-private-registry"
    prepared = take_over(name).prepare(**variables_of(name))
    assert prepared.succeeded, prepared.log
    assert "in-clear" not in prepared.log
    assert "in-clear" not in unzipped(prepared.artifacts["Deployment"])["deployment.json"]


def test_the_second_delivery_builds_on_the_first(take_over: TakeOver) -> None:
    """Then the family is the stack's own, and nothing has to be agreed to any more."""
    name = "datadog-agent"
    delivery = take_over(name)
    prepared = delivery.prepare(**variables_of(name))
    assert delivery.deploy(prepared.artifacts["Deployment"]).succeeded
    first = described(delivery, delivery.service.definition["taskDefinitionArn"])

    again = delivery.prepare(**variables_of(name))

    assert again.succeeded, again.log
    definition = json.loads(unzipped(again.artifacts["Deployment"])["taskdef.json"])
    registered = delivery.ecs.owner("RegisterTaskDefinition", **definition)["taskDefinition"]
    assert described(delivery, registered["taskDefinitionArn"]) == first


def test_a_role_that_the_tasks_do_not_have_is_a_change_like_others(take_over: TakeOver) -> None:
    result = take_over("docker-volumes").prepare(**variables_of("docker-volumes"))
    assert not result.succeeded
    assert '  - taskRoleArn: running nothing, wanted "arn:aws:iam::123456789012:role/shop-task"\n' in result.log
    assert "  pulumi config rm --stack existing-hosting --path 'ecs-delivery:hosting.existing.taskRole'\n" in result.log


STATED = '{"environment": {"NODE_ENV": "staging", "LOG_LEVEL": "debug"}, "cpu": 1024, "memory": 2048}'


def test_what_may_be_a_secret_is_not_shown_wherever_it_stands(take_over: TakeOver) -> None:
    """The file says nothing of it, so all of it differs; what is no secret is shown."""
    running: dict[str, Any] = json.loads(json.dumps(REGISTERED["x-ray-daemon"]))
    running["containerDefinitions"][0] |= {
        "command": ["serve", "--password=in-clear"],
        "entryPoint": ["/bin/in-clear"],
        "environment": [{"name": "A.cpu", "value": "in-clear"}],
        "dockerLabels": {"com.example.memory": "in-clear"},
        "logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": "in-clear"}},
        "healthCheck": {"command": ["CMD-SHELL", "curl -H 'Authorization: in-clear' localhost"]},
        "stopTimeout": 7,
    }
    file = json.loads(json.dumps(REGISTERED["x-ray-daemon"]))
    delivery = take_over(
        "x-ray-daemon",
        stack(existing='{"taskDefinitionFile": "taskdef.json"}'),
        definition={**running, "cpu": "1024", "memory": "2048"},
    )

    result = delivery.prepare({**delivery.image, "taskDefinition": file}, **variables_of("x-ray-daemon"))

    assert not result.succeeded
    of_the_container = "  - containerDefinitions.orders."
    for line in (
        '  - cpu: running "1024", wanted',
        f"{of_the_container}stopTimeout: running 7, wanted",
        f"{of_the_container}command: running another value, wanted",
        f"{of_the_container}dockerLabels.com.example.memory: running another value, wanted nothing",
        f"{of_the_container}environment.A.cpu.value: running another value, wanted nothing",
        f"{of_the_container}logConfiguration.options.splunk-token: running another value, wanted nothing",
    ):
        assert line in result.log, result.log
    assert "in-clear" not in result.log


def test_the_first_run_stops_where_the_stack_file_would_change_what_runs(take_over: TakeOver) -> None:
    name = "datadog-agent"
    delivery = take_over(name, stack(application=STATED))

    result = delivery.prepare(**variables_of(name))

    assert not result.succeeded
    assert "the stack file would change what shop runs" in result.log
    for line in (
        '  - containerDefinitions.checkout.environment.LOG_LEVEL.value: running nothing, wanted "debug"\n',
        '  - containerDefinitions.checkout.environment.NODE_ENV.value: running another value, wanted "staging"\n',
        '  - cpu: running "512", wanted "1024"\n',
        '  - memory: running "1024", wanted "2048"\n',
        "  pulumi config set --stack existing-hosting --path 'ecs-delivery:hosting.existing.takeOver' true\n",
        "  pulumi config rm --stack existing-hosting --path 'ecs-delivery:application.environment.LOG_LEVEL'\n",
        "  pulumi config rm --stack existing-hosting --path 'ecs-delivery:application.cpu'\n",
    ):
        assert line in result.log, result.log
    assert delivery.called("RegisterTaskDefinition")[1:] == []


def test_a_family_that_had_the_stacks_name_before_is_asked_about_as_well(take_over: TakeOver) -> None:
    """Who called the service like the application has not agreed to anything by that."""
    name = "datadog-agent"
    plan = stack(application=STATED)
    delivery = take_over(name, plan, definition=changed(name, family=plan.template["family"]))
    result = delivery.prepare(**variables_of(name))
    assert not result.succeeded
    agree = "pulumi config set --stack existing-hosting --path 'ecs-delivery:hosting.existing.takeOver' true\n"
    assert agree in result.log


@pytest.mark.parametrize("family", ["", "legacy"])
def test_a_change_is_not_asked_about_where_the_pipeline_registered_what_runs(take_over: TakeOver, family: str) -> None:
    name = "datadog-agent"
    plan = stack(application=STATED)
    delivery = take_over(name, plan)
    made = json.loads(json.dumps(changed(name, family=family or plan.template["family"])))
    made["containerDefinitions"][0]["image"] = f"{delivery.image['repository']}@sha256:{'0' * 64}"
    registered = delivery.ecs.owner("RegisterTaskDefinition", **made)["taskDefinition"]["taskDefinitionArn"]
    delivery.ecs.owner("UpdateService", cluster="shop", service="shop", taskDefinition=registered)
    delivery.ecs.settle(delivery.service)

    result = delivery.prepare(**variables_of(name))

    assert result.succeeded == (not family), result.log


def test_once_agreed_only_what_is_stated_differs(take_over: TakeOver) -> None:
    name = "datadog-agent"
    delivery = take_over(name, stack(existing='{"takeOver": true}', application=STATED))
    before = described(delivery, delivery.service.definition["taskDefinitionArn"])

    prepared = delivery.prepare(**variables_of(name))

    assert prepared.succeeded, prepared.log
    assert '  - memory: running "1024", wanted "2048"\n' in prepared.log
    assert delivery.deploy(prepared.artifacts["Deployment"]).succeeded
    expected = image_of(delivery, before, name) | {"cpu": "1024", "memory": "2048"}
    expected["containerDefinitions"][0]["environment"] = [
        {"name": "DD_AGENT_HOST", "value": "localhost"},
        {"name": "LOG_LEVEL", "value": "debug"},
        {"name": "NODE_ENV", "value": "staging"},
    ]
    assert described(delivery, delivery.service.definition["taskDefinitionArn"]) == expected


@pytest.mark.parametrize("wrapped", [False, True], ids=["as it is registered", "as it is described"])
def test_a_file_of_the_commit_is_the_base_with_aws_s_placeholder(take_over: TakeOver, wrapped: bool) -> None:
    name = "x-ray-daemon"
    delivery = take_over(name, stack(existing='{"taskDefinitionFile": "taskdef.json", "takeOver": true}'))
    file: dict[str, Any] = json.loads(json.dumps({**REGISTERED[name], "cpu": "1024", "memory": "2048"}))
    file["containerDefinitions"][0]["image"] = "<IMAGE1_NAME>"
    if wrapped:
        own = {"taskDefinitionArn": "arn", "revision": 7, "status": "ACTIVE", "ipcMode": None}
        tags = [*file.pop("tags"), {"key": "aws:cloudformation:stack-name", "value": "legacy"}]
        file = {"taskDefinition": {**file, **own}, "tags": tags}

    prepared = delivery.prepare({**delivery.image, "taskDefinition": file}, **variables_of(name))

    assert prepared.succeeded, prepared.log
    assert "taskdef.json changes what shop runs" in prepared.log
    assert '  - memory: running "1024", wanted "2048"\n' in prepared.log
    assert delivery.deploy(prepared.artifacts["Deployment"]).succeeded
    after = described(delivery, delivery.service.definition["taskDefinitionArn"])
    assert after["tags"] == REGISTERED[name]["tags"]
    assert [part["image"] for part in after["containerDefinitions"]] == [
        delivery.image["uri"],
        "public.ecr.aws/xray/aws-xray-daemon:3.x",
    ]


def test_what_does_not_fit_is_told_at_once_before_anything_is_registered(take_over: TakeOver) -> None:
    delivery = take_over(WINDOWS)

    result = delivery.prepare(
        **{
            **variables_of(WINDOWS),
            "CONTROLLER": "CODE_DEPLOY",
            "IMAGE_PLATFORM": "linux/arm64",
            "CONTAINER_PORT": "8080",
        }
    )

    assert not result.succeeded
    fix = "pulumi config set --stack existing-hosting --path 'ecs-delivery:"
    base = "the running revision intranet:1"
    for problem in (
        f"shop has the deployment controller ECS, the engine needs CODE_DEPLOY: {fix}deploy.engine' ecs",
        f"{base} runs on WINDOWS_SERVER_2022_CORE, and this pipeline builds images for LINUX alone",
        f"the image is built for ARM64, {base} runs on X86_64: {fix}application.architecture' x86_64",
        f"the load balancer of shop sends traffic to port 80 of 'intranet', not to 8080: {fix}application.port' 80",
    ):
        assert f"  - {problem}\n" in result.log, result.log
    assert delivery.called("RegisterTaskDefinition")[1:] == []


def changed(name: str, **changes: object) -> dict[str, Any]:
    """One of the task definitions with other properties of the task."""
    return {**REGISTERED[name], **changes}


OTHER_ROLE = "arn:aws:iam::123456789012:role/service/orders"


@pytest.mark.parametrize(
    ("served", "variables", "problem"),
    [
        pytest.param(
            {"definition": changed("x-ray-daemon", taskRoleArn=OTHER_ROLE)},
            {},
            f"has the task role {OTHER_ROLE}, which the pipeline may pass only when the stack file names it "
            "in place of arn:aws:iam::123456789012:role/shop-task: "
            f"pulumi config set --stack existing-hosting --path 'ecs-delivery:hosting.existing.taskRole' {OTHER_ROLE}",
            id="a role that is not named",
        ),
        pytest.param(
            {"definition": {**changed("x-ray-daemon"), "runtimePlatform": {}}},
            {},
            "the image is built for ARM64, the running revision orders:1 runs on X86_64, "
            "as Fargate does when nothing is said: "
            "pulumi config set --stack existing-hosting --path 'ecs-delivery:application.architecture' x86_64",
            id="no processor said",
        ),
        pytest.param(
            {},
            {"CONTAINER_NAME": "shop"},
            "the running revision orders:1 has no container 'shop'; it has 'orders', 'xray-daemon': "
            "pulumi config set --stack existing-hosting --path 'ecs-delivery:application.containerName' orders",
            id="no such container",
        ),
        pytest.param(
            {"deploymentController": {"type": "EXTERNAL"}},
            {},
            "shop has the deployment controller EXTERNAL, the engine needs ECS: "
            "this program deploys services of the controllers ECS and CODE_DEPLOY",
            id="a controller of somebody else",
        ),
    ],
)
def test_a_service_that_cannot_be_taken_over_says_what_to_change(
    take_over: TakeOver, served: dict[str, Any], variables: dict[str, str], problem: str
) -> None:
    delivery = take_over("x-ray-daemon", **served)
    result = delivery.prepare(**{**variables_of("x-ray-daemon"), **variables})
    assert not result.succeeded
    assert problem in result.log, result.log
    assert delivery.called("RegisterTaskDefinition")[1:] == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tags": {"a": "b"}}, "tags, value: {'a': 'b'}, type: <class 'dict'>, valid types: <class 'list'>"),
        ({"tags": ["a"]}, "tags[0], value: a, type: <class 'str'>, valid types: <class 'dict'>"),
        (
            {"runtimePlatform": "LINUX"},
            "runtimePlatform, value: LINUX, type: <class 'str'>, valid types: <class 'dict'>",
        ),
        ({"containerDefinitions": {"name": "orders"}}, "containerDefinitions, value: {'name': 'orders'}"),
        ({"containerDefinitions": ["orders"]}, "containerDefinitions[0], value: orders"),
        ({"containerDefinitions": [{"name": "orders", "portMappings": {}}]}, "containerDefinitions[0].portMappings"),
        ({"requiresCompatibilities": "FARGATE"}, "requiresCompatibilities, value: FARGATE"),
    ],
    ids=str,
)
def test_a_file_of_another_shape_is_refused_by_its_keys(
    take_over: TakeOver, change: dict[str, Any], problem: str
) -> None:
    delivery = take_over("x-ray-daemon", stack(existing='{"taskDefinitionFile": "taskdef.json"}'))
    file = {**REGISTERED["x-ray-daemon"], **change}

    result = delivery.prepare({**delivery.image, "taskDefinition": file}, **variables_of("x-ray-daemon"))

    assert not result.succeeded
    assert (
        "Check taskdef.json, the task definition file of the commit: `aws ecs register-task-definition` ended"
        in result.log
    )
    assert f"Invalid type for parameter {problem}" in result.log, result.log
    assert "Traceback" not in result.log


@pytest.mark.parametrize(
    ("controller", "problem"),
    [
        ("EXTERNAL", "this program deploys services of the controllers ECS and CODE_DEPLOY"),
        ("CODE_DEPLOY", "shop has no primary task set: it serves nobody yet"),
    ],
)
def test_a_service_without_a_task_set_that_serves_is_refused(
    take_over: TakeOver, monkeypatch: pytest.MonkeyPatch, controller: str, problem: str
) -> None:
    """ECS says no task definition of such a service: CreateService takes none with the controller EXTERNAL.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
    """
    delivery = take_over("x-ray-daemon")
    view = Service.view

    def without(service: Service) -> dict[str, Any]:
        said = {key: value for key, value in view(service).items() if key not in ("taskDefinition", "taskSets")}
        return {**said, "deploymentController": {"type": controller}, "taskSets": []}

    monkeypatch.setattr(Service, "view", without)

    result = delivery.prepare(**{**variables_of("x-ray-daemon"), "CONTROLLER": "CODE_DEPLOY"})

    assert not result.succeeded
    assert problem in result.log, result.log
    assert ("no primary task set" in result.log) == (controller == "CODE_DEPLOY"), "one reason is enough"
    assert "Traceback" not in result.log


def test_a_placeholder_that_nobody_fills_is_named(take_over: TakeOver) -> None:
    delivery = take_over("x-ray-daemon", stack(existing='{"taskDefinitionFile": "taskdef.json"}'))
    file = json.loads(json.dumps(REGISTERED["x-ray-daemon"]))
    file["containerDefinitions"][1]["image"] = "<IMAGE2_NAME>"
    file["requiresCompatibilities"] = ["EC2"]

    result = delivery.prepare({**delivery.image, "taskDefinition": file}, **variables_of("x-ray-daemon"))

    assert not result.succeeded
    has = "taskdef.json has the placeholder <IMAGE2_NAME> for the container 'xray-daemon'"
    assert f"{has}, and only the image of 'orders' is built" in result.log
    assert "shop runs on FARGATE, taskdef.json is for EC2: add FARGATE to its requiresCompatibilities" in result.log


def test_a_deployment_of_codedeploy_is_told_where_the_task_set_runs(take_over: TakeOver) -> None:
    """Without it CodeDeploy would take the service off its capacity providers (containers-roadmap#1752)."""
    network = {"subnets": ["subnet-0a1b2c3d"], "securityGroups": ["sg-0a1b2c3d"], "assignPublicIp": "DISABLED"}
    name = "proxy-in-front"
    delivery = take_over(
        name,
        stack("codeDeploy"),
        launchType=None,
        capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 2, "base": 1}],
        platformVersion="1.4.0",
        networkConfiguration={"awsvpcConfiguration": network},
    )

    prepared = delivery.prepare(**variables_of(name))

    assert prepared.succeeded, prepared.log
    assert "users reach port 80 of 'nginx'; the image that is delivered is that of 'django'" in prepared.log
    appspec = yaml.safe_load(unzipped(prepared.artifacts["Deployment"])["appspec.yaml"])
    assert appspec["Resources"][0]["TargetService"]["Properties"] == {
        "TaskDefinition": "<TASK_DEFINITION>",
        "LoadBalancerInfo": {"ContainerName": "nginx", "ContainerPort": 80},
        "CapacityProviderStrategy": [{"CapacityProvider": "FARGATE_SPOT", "Weight": 2, "Base": 1}],
        "PlatformVersion": "1.4.0",
        "NetworkConfiguration": {
            "AwsvpcConfiguration": {
                "Subnets": ["subnet-0a1b2c3d"],
                "SecurityGroups": ["sg-0a1b2c3d"],
                "AssignPublicIp": "DISABLED",
            }
        },
    }


def test_the_appspec_says_what_the_task_set_says_and_nothing_of_the_service(
    take_over: TakeOver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service keeps what it was made with, and a deployment of CodeDeploy may have put its tasks elsewhere."""
    name = "proxy-in-front"
    delivery = take_over(name, stack("codeDeploy"))
    view = Service.view
    own = {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}], "platformVersion": "1.3.0"}
    monkeypatch.setattr(Service, "view", lambda service: {**view(service), **own})

    prepared = delivery.prepare(**variables_of(name))

    assert prepared.succeeded, prepared.log
    appspec = yaml.safe_load(unzipped(prepared.artifacts["Deployment"])["appspec.yaml"])
    properties = appspec["Resources"][0]["TargetService"]["Properties"]
    assert not {"CapacityProviderStrategy", "PlatformVersion"} & set(properties)
