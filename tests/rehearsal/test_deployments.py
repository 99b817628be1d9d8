"""The jobs that prepare a deployment and deploy by ECS itself: executed, under the policies of their own roles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore import xform_name  # type: ignore[import-untyped]  # ships no types
from delivered_stack import Builder, DeliveredStack, artifact, new_version, unzipped
from jsonschema import Draft202012Validator
from mocked import ACCOUNT, REGION
from rehearsing import in_this_process

from components.jobs.buildspec import load_buildspec
from local.aws_models import service_model
from local.rehearsal.app_spec import task_set_of
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.codebuild import Result
from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.emulated import Refused, serving
from local.rehearsal.emulated.model import request_problems
from local.rehearsal.logs import Logs
from local.rehearsal.resources import values_of

ECS_NATIVE = "ecs-native"
MADE = "ecs-blue-green"
ECS_COMMANDS = [xform_name(name, "-") for name in service_model("ecs").operation_names]
FILES = ["appspec.yaml", "deployment.json", "imageDetail.json", "imagedefinitions.json", "taskdef.json"]
# User guide of CodePipeline and CodeDeploy: "appspec file for an Amazon ECS deployment".
APPSPEC = {
    "type": "object",
    "required": ["version", "Resources"],
    "properties": {
        "version": {"const": 0.0},
        "Hooks": {"type": "array"},
        "Resources": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["TargetService"],
                "additionalProperties": False,
                "properties": {
                    "TargetService": {
                        "type": "object",
                        "required": ["Type", "Properties"],
                        "additionalProperties": False,
                        "properties": {
                            "Type": {"const": "AWS::ECS::Service"},
                            "Properties": {
                                "type": "object",
                                "required": ["TaskDefinition", "LoadBalancerInfo"],
                                "additionalProperties": False,
                                "properties": {
                                    # CodePipeline puts the ARN of the revision here.
                                    "TaskDefinition": {"const": "<TASK_DEFINITION>"},
                                    "LoadBalancerInfo": {
                                        "type": "object",
                                        "required": ["ContainerName", "ContainerPort"],
                                        "additionalProperties": False,
                                        "properties": {
                                            "ContainerName": {"type": "string"},
                                            "ContainerPort": {"type": "integer"},
                                        },
                                    },
                                    "PlatformVersion": {"type": "string"},
                                    "NetworkConfiguration": {
                                        "type": "object",
                                        "required": ["AwsvpcConfiguration"],
                                        "additionalProperties": False,
                                        "properties": {
                                            "AwsvpcConfiguration": {
                                                "type": "object",
                                                # "All or none of the settings must be specified."
                                                "required": ["Subnets", "SecurityGroups", "AssignPublicIp"],
                                                "additionalProperties": False,
                                                "properties": {
                                                    "Subnets": {"$ref": "#/$defs/names"},
                                                    "SecurityGroups": {"$ref": "#/$defs/names"},
                                                    "AssignPublicIp": {"enum": ["ENABLED", "DISABLED"]},
                                                },
                                            }
                                        },
                                    },
                                    "CapacityProviderStrategy": {
                                        "type": "array",
                                        "minItems": 1,
                                        "items": {
                                            "type": "object",
                                            "required": ["CapacityProvider"],
                                            "additionalProperties": False,
                                            "properties": {
                                                "CapacityProvider": {"type": "string"},
                                                "Base": {"type": "integer"},
                                                "Weight": {"type": "integer"},
                                            },
                                        },
                                    },
                                },
                            },
                        },
                    }
                },
            },
        },
    },
    "additionalProperties": False,
    "$defs": {"names": {"type": "array", "minItems": 1, "items": {"type": "string"}}},
}


class Delivery:
    """One stack with an ECS that runs its service, and an image of version 1.2.3 to deliver."""

    def __init__(self, stack: DeliveredStack, builder: Builder, folder: Path, *, pace: int, **served: Any) -> None:  # noqa: ANN401 - as DeliveredStack.serve takes them
        self.stack, self.builder, self.ecs = stack, builder, Ecs(region=REGION, pace=pace)
        self.logs = Logs(self.ecs)
        from_commit = bool(stack.variables("PrepareDeployment").get("TASK_DEFINITION_FILE"))
        self.image = {**stack.image(), **({"taskDefinition": stack.running} if from_commit else {})}
        self.digest = str(self.image["digest"])
        self._folder, self._builds, self.url = folder, 0, ""
        stack.serve(self.ecs, **served)
        prepared = stack.variables("PrepareDeployment")
        self.service = self.ecs.service(prepared["SERVICE"], prepared["CLUSTER"])

    def prepare(self, image: object = None, *, digest: str = "", without: str = "", **variables: str) -> Result:
        """Run the job that prepares the deployment."""
        self._builds += 1
        inputs = {"Image": artifact(self._folder / f"image-{self._builds}", image_json=image or self.image)}
        self.ecs.policies = self.builder.policies("PrepareDeployment", without=without)
        return self.builder.run(
            "PrepareDeployment",
            inputs,
            digest=digest or self.digest,
            without=without,
            variables=variables,
            AWS_ENDPOINT_URL_ECS=self.url,
        )

    def deploy(self, prepared: Path, *, without: str = "", **variables: str) -> Result:
        """Run the job that deploys."""
        self.ecs.policies = self.logs.policies = self.builder.policies("DeployService", without=without)
        return self.builder.run(
            "DeployService",
            {"Deployment": prepared},
            digest=self.digest,
            without=without,
            variables=variables,
            AWS_ENDPOINT_URL_ECS=self.url,
            AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=self.url,
        )

    def behaves(self, behaviour: Behaviour) -> None:
        """What becomes of the new version."""
        self.ecs.behaviours[str(self.image["uri"])] = behaviour

    def called(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of each request of this kind."""
        return [call.parameters for call in self.ecs.calls if call.operation == operation]


TEST_TRAFFIC = {"deploy": {"testTraffic": {"http": [{"path": "/healthz"}], "headers": {}}}}
Deliver = Callable[..., Delivery]
Prepared = Callable[[Delivery], Path]


@cache
def planned(name: str, changes: str = "null") -> DeliveredStack:
    """A stack with changes in its stack file, as JSON; nothing is checked at the test listener unless they say so."""
    said = json.loads(changes) or {}
    return DeliveredStack(name, {**said, "deploy": {"testTraffic": None, **said.get("deploy", {})}})


@pytest.fixture
def deliver(aws: AwsServices, warm_aws_cli: Path, tmp_path: Path) -> Iterator[Deliver]:
    """Make ready what a stack delivers; its ECS is on the network until the test ends."""

    def ready(
        name: str,
        changes: dict[str, dict[str, object]] | None = None,
        *,
        pace: int = 4,
        **served: Any,  # noqa: ANN401 - as DeliveredStack.serve takes them
    ) -> Delivery:
        stack = planned(name, json.dumps(changes))
        stack.push(aws)
        stack.store(aws)
        made = Delivery(stack, Builder(stack, aws, warm_aws_cli, tmp_path / "machine"), tmp_path, pace=pace, **served)
        made.url = ends.enter_context(serving(made.ecs, made.logs))
        return made

    with ExitStack() as ends:
        yield ready


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The artifact of a stack's prepared deployment; it is the same for every test."""
    done: dict[DeliveredStack, Path] = {}

    def artifact_of(delivery: Delivery) -> Path:
        if delivery.stack not in done:
            result = delivery.prepare()
            assert result.succeeded, result.log
            kept = tmp_path_factory.mktemp("prepared") / "deployment.zip"
            done[delivery.stack] = result.artifacts["Deployment"].rename(kept)
        return done[delivery.stack]

    return artifact_of


def placed(stack: DeliveredStack) -> dict[str, Any]:
    """What the service is made with, as a task set takes it; nothing of a service that exists."""
    services = list(values_of(stack.graph, "aws:ecs/service:Service"))
    if not services:
        return {}
    network = services[0]["networkConfiguration"]
    public = "ENABLED" if network["assignPublicIp"] else "DISABLED"
    return {
        "networkConfiguration": {"awsvpcConfiguration": {**network, "assignPublicIp": public}},
        "capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}],
    }


@pytest.mark.parametrize("stack", ["dev", "everything-on", "ecs-native", "classic"])
def test_what_is_prepared_is_what_aws_reads(deliver: Deliver, stack: str) -> None:
    """For the engines codeDeploy, into a service made here and into one that exists, ecs and ecsAction."""
    delivery = deliver(stack)
    container = delivery.stack.variables("PrepareDeployment")["CONTAINER_NAME"]

    result = delivery.prepare()

    assert result.succeeded, result.log
    assert result.exported["DEPLOYED_VERSION"] == "1.2.3"
    assert result.exported["DEPLOYED_COMMIT"] == delivery.image["commit"]
    files = unzipped(result.artifacts["Deployment"])
    assert sorted(files) == FILES
    uri = delivery.image["uri"]
    definition = json.loads(files["taskdef.json"])
    expected = delivery.stack.whole
    expected["containerDefinitions"][0]["image"] = uri
    if "taskDefinition" not in delivery.image:
        for beside in expected["containerDefinitions"][1:]:
            beside["image"] = "public.ecr.aws/docker/library/busybox:1"
    described = delivery.ecs.owner("RegisterTaskDefinition", **{**expected, "family": "compared"})["taskDefinition"]
    ours = delivery.ecs.owner("RegisterTaskDefinition", **{**definition, "family": "compared"})["taskDefinition"]
    assert {key: ours[key] for key in expected if key != "tags"} == {
        key: described[key] for key in expected if key != "tags"
    }
    assert definition["tags"] == expected["tags"]
    assert request_problems("ecs", "RegisterTaskDefinition", definition) == []
    appspec = yaml.safe_load(files["appspec.yaml"])
    Draft202012Validator(APPSPEC).validate(appspec)
    target = appspec["Resources"][0]["TargetService"]["Properties"]
    assert target["LoadBalancerInfo"] == {"ContainerName": container, "ContainerPort": 8080}
    assert task_set_of(files["appspec.yaml"], definition) == placed(delivery.stack)
    assert json.loads(files["imageDetail.json"]) == {"ImageURI": uri}
    assert json.loads(files["imagedefinitions.json"]) == [{"name": container, "imageUri": uri}]
    facts = json.loads(files["deployment.json"])
    assert facts["digest"] == delivery.digest
    assert facts["environment"] == {
        item["name"]: item["value"]
        for item in delivery.stack.template["containerDefinitions"][0].get("environment", ())
    }
    assert "register-task-definition" not in [call.operation for call in delivery.ecs.calls], (
        "it checks, and calls nobody"
    )


@pytest.mark.parametrize(
    ("variables", "change", "message"),
    [
        ({"CONTAINER_NAME": "shopp"}, {}, "the task definition has no container 'shopp'; it has 'shop'"),
        ({"CONTAINER_PORT": "80"}, {}, "container 'shop' does not map port 80; it maps 8080"),
        (
            {},
            {"portMappings": [{"containerPort": "8080"}]},
            "Invalid type for parameter containerDefinitions[0].portMappings[0].containerPort, value: 8080",
        ),
        ({}, {"memoryLimit": 512}, 'Unknown parameter in containerDefinitions[0]: "memoryLimit", must be one of'),
        ({}, {"environment": {"LOG_LEVEL": "info"}}, "Invalid type for parameter containerDefinitions[0].environment"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    deliver: Deliver, aws: AwsServices, variables: dict[str, str], change: dict[str, object], message: str
) -> None:
    delivery = deliver(MADE)
    template = delivery.stack.template
    template["containerDefinitions"][0].update(change)
    delivery.stack.store(aws, template)

    result = delivery.prepare(**variables)

    assert not result.succeeded
    assert message in result.log
    assert "Traceback" not in result.log


@pytest.mark.parametrize(
    ("template", "message"),
    [("{", "the task definition's template is not JSON"), ("[]", "lacks family, containerDefinitions, networkMode")],
)
def test_a_broken_template_is_named(deliver: Deliver, aws: AwsServices, template: str, message: str) -> None:
    delivery = deliver(MADE)
    delivery.stack.store(aws, template)

    result = delivery.prepare()

    assert not result.succeeded
    assert message in result.log


@pytest.mark.parametrize(
    ("without", "message"),
    [
        ("s3:GetObject", "Fetch the task definition's template: `aws s3 cp` ended with code 1"),
        ("ecr:DescribeImages", "(AccessDeniedException) when calling the DescribeImages operation"),
    ],
)
def test_a_permission_that_the_preparing_role_lacks_is_named(deliver: Deliver, without: str, message: str) -> None:
    result = deliver(ECS_NATIVE).prepare(without=without)

    assert not result.succeeded
    assert message in result.log
    assert "403" in result.log or without in result.log


def test_an_image_that_is_not_in_the_registry_is_not_deployed(deliver: Deliver) -> None:
    delivery = deliver(ECS_NATIVE)
    unknown = delivery.stack.image("9.9.9")

    result = delivery.prepare(unknown, digest=str(unknown["digest"]))

    assert not result.succeeded
    assert f"{unknown['uri']} is no longer in the registry" in result.log


def test_a_version_that_another_image_has_is_not_even_deployed(deliver: Deliver, aws: AwsServices) -> None:
    """The stack with everything on releases what it deploys."""
    delivery = deliver("everything-on")
    delivery.stack.push(aws, "other", "v2.0.0")
    delivery.stack.push(aws, "2.0.0")
    again = delivery.stack.image("2.0.0")

    result = delivery.prepare(again, digest=str(again["digest"]))

    assert not result.succeeded
    assert (
        f"the version v2.0.0 in {delivery.stack.repository} is the image {delivery.stack.image('other')['digest']}"
        in (result.log)
    )


def test_the_ecs_action_never_loses_an_edit(deliver: Deliver, aws: AwsServices) -> None:
    """It ships nothing but the image; everything else that the stack file states would silently stay behind."""
    delivery = deliver("classic")
    edited = delivery.stack.template
    edited["memory"] = "1024"
    edited["containerDefinitions"][0]["environment"] = [{"name": "GREETING", "value": 'it\'s "me"'}]
    delivery.stack.store(aws, edited)

    result = delivery.prepare()

    assert not result.succeeded
    assert (
        '  - containerDefinitions.shop.environment.GREETING.value: running nothing, wanted "it\'s \\"me\\""'
        in result.log
    )
    assert '  - memory: running "512", wanted "1024"' in result.log
    assert "set deploy.engine to ecs, which ships all of it" in result.log


ROLLING = {"deploy": {"strategy": "rolling", "bakeMinutes": 0}}
LINEAR = {"deploy": {"strategy": "linear", "step": {"percent": 25, "intervalMinutes": 5}}}


@pytest.mark.parametrize(
    ("stack", "changes", "pace", "seen"),
    [
        ("ecr-source", None, 1, "IN_PROGRESS, 1 of 2 tasks running"),
        ("ecs-blue-green", None, 5, "IN_PROGRESS, TEST_TRAFFIC_SHIFT, 2 of 2 tasks running, 0 % of the traffic"),
        ("ecs-native", None, 7, "IN_PROGRESS, PRODUCTION_TRAFFIC_SHIFT, 2 of 2 tasks running, 10 % of the traffic"),
        ("ecs-native", LINEAR, 7, "IN_PROGRESS, PRODUCTION_TRAFFIC_SHIFT, 2 of 2 tasks running, 25 % of the traffic"),
    ],
    ids=["rolling", "blueGreen", "canary", "linear"],
)
def test_each_strategy_is_followed_to_its_success(
    deliver: Deliver, prepared: Prepared, stack: str, changes: dict[str, dict[str, object]] | None, pace: int, seen: str
) -> None:
    delivery = deliver(stack, changes, pace=pace)

    result = delivery.deploy(prepared(delivery))

    assert result.succeeded, result.log
    newest = delivery.service.deployments[0]
    assert newest.status == "SUCCESSFUL"
    assert result.exported == {"SERVICE_DEPLOYMENT_ARN": newest.arn}
    assert delivery.service.running == [delivery.stack.revision(1)]
    (update,) = delivery.called("UpdateService")
    configuration = delivery.stack.variables("DeployService")["DEPLOYMENT_CONFIGURATION"]
    assert update["deploymentConfiguration"] == json.loads(configuration)
    assert "PENDING, " in result.log
    assert seen in result.log
    assert "SUCCESSFUL, " in result.log


@pytest.mark.parametrize(
    ("behaviour", "pace", "reasons"),
    [
        (
            Behaviour.CRASH,
            6,
            ("The new tasks stopped: the program ended with exit code 1", "| KeyError: 'DATABASE_URL'"),
        ),
        (
            Behaviour.READ_ONLY,
            6,
            ("The new tasks stopped: a container writes to its read-only", "| OSError: [Errno"),
        ),
        (Behaviour.OUT_OF_MEMORY, 6, ("The new tasks stopped: a container needs more memory than it has",)),
        (Behaviour.CANNOT_PULL, 100, ("CannotPullContainerError: pull image manifest", "not found")),
        (
            Behaviour.UNHEALTHY,
            6,
            ("Task failed ELB health checks in (target-group arn", "health check was answered 503"),
        ),
        (Behaviour.ALARM, 12, ("alarm shop-errors", "one or more alarms were triggered")),
    ],
)
def test_a_deployment_that_does_not_become_healthy_fails_with_the_reasons(
    deliver: Deliver, prepared: Prepared, behaviour: Behaviour, pace: int, reasons: tuple[str, ...]
) -> None:
    """The previous version keeps serving, and a rollback is no success, not even one that is complete."""
    delivery = deliver(ECS_NATIVE, pace=pace)
    delivery.behaves(behaviour)

    result = delivery.deploy(prepared(delivery))

    assert not result.succeeded
    assert "the deployment did not succeed: ROLLBACK_" in result.log
    for reason in reasons:
        assert reason in result.log
    assert len(delivery.called("DescribeServiceDeployments")) <= 3, "it fails as soon as ECS has given up"
    assert delivery.ecs.settle(delivery.service).status == "ROLLBACK_SUCCESSFUL"
    assert delivery.service.running == [f"{delivery.stack.running['family']}:1"]


@pytest.mark.parametrize("first", [True, False])
def test_what_waits_for_the_first_deployment_rolls_nothing_back_by_its_alarms(
    deliver: Deliver, prepared: Prepared, *, first: bool
) -> None:
    """It speaks plain HTTP/1.1: with gRPC or TLS to the task it is never healthy, which sets the alarms off."""
    running = planned(MADE).running
    family = f"{running['family']}{'-bootstrap' if first else ''}"
    definition = {**running, "family": family}
    for container in definition["containerDefinitions"]:
        container["image"] = "public.ecr.aws/docker/library/busybox:1"
    delivery = deliver(MADE, pace=1, definition=definition)
    delivery.behaves(Behaviour.ALARM)

    result = delivery.deploy(prepared(delivery))

    assert result.succeeded is first, result.log
    (update,) = delivery.called("UpdateService")
    assert update["deploymentConfiguration"]["alarms"]["enable"] is not first
    assert ("The first deployment of the service" in result.log) is first


def test_a_rolling_deployment_keeps_the_old_tasks_until_new_ones_are_well(deliver: Deliver, prepared: Prepared) -> None:
    delivery = deliver("ecr-source", pace=3)
    delivery.behaves(Behaviour.CRASH)

    result = delivery.deploy(prepared(delivery))

    assert not result.succeeded
    assert "the circuit breaker threshold was exceeded" in result.log
    assert delivery.service.running == [f"{delivery.stack.running['family']}:1"]


def test_a_deployment_that_another_one_replaces_is_no_success(
    deliver: Deliver, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = deliver(ECS_NATIVE, pace=1)
    artifact = prepared(delivery)
    call, service = delivery.ecs.call, delivery.service

    def interrupted(operation: str, parameters: dict[str, Any], policies: Any = None) -> dict[str, Any]:  # noqa: ANN401
        if operation == "DescribeServiceDeployments" and len(service.deployments) == 2:
            first = f"{delivery.stack.running['family']}:1"
            delivery.ecs.owner("UpdateService", cluster=service.cluster, service=service.name, taskDefinition=first)
        return call(operation, parameters, policies)

    monkeypatch.setattr(delivery.ecs, "call", interrupted)

    result = delivery.deploy(artifact)

    assert not result.succeeded
    assert "the deployment did not succeed: STOP" in result.log
    assert delivery.ecs.settle(service).status == "SUCCESSFUL", "the other one goes on"


def test_a_second_run_after_a_success_deploys_nothing(deliver: Deliver, prepared: Prepared) -> None:
    delivery = deliver("ecr-source", pace=9)
    artifact = prepared(delivery)
    first = delivery.deploy(artifact)

    second = delivery.deploy(artifact)

    assert second.succeeded, second.log
    assert second.exported == first.exported
    assert len(delivery.called("UpdateService")) == 1
    assert "nothing to deploy" in second.log


@pytest.mark.parametrize("again", [False, True], ids=["new", "done already"])
def test_a_deployment_is_found_whatever_the_service_has_gone_through(
    deliver: Deliver, prepared: Prepared, again: bool
) -> None:
    """ECS lists 20 deployments and a token for the rest, in no order that it documents."""
    delivery = deliver("ecr-source", pace=9)
    artifact = prepared(delivery)
    where = {"cluster": delivery.service.cluster, "service": delivery.service.name}
    for _ in range(120):
        delivery.ecs.owner("UpdateService", **where, forceNewDeployment=True)
        delivery.ecs.settle(delivery.service)
    if again:
        assert delivery.deploy(artifact).succeeded

    result = delivery.deploy(artifact)

    assert result.succeeded, result.log
    assert result.exported == {"SERVICE_DEPLOYMENT_ARN": delivery.service.deployments[0].arn}
    assert len(delivery.called("UpdateService")) == 1


def test_a_run_that_was_cut_off_is_taken_up_where_its_deployment_is(deliver: Deliver, prepared: Prepared) -> None:
    delivery = deliver("ecr-source", pace=1)
    artifact = prepared(delivery)
    cut = delivery.deploy(artifact, without="ecs:DescribeServiceDeployments")
    assert not cut.succeeded
    assert delivery.service.deployments[0].status == "PENDING"

    result = delivery.deploy(artifact)

    assert result.succeeded, result.log
    assert len(delivery.called("UpdateService")) == 1
    assert len(delivery.service.deployments) == 2


def test_a_run_after_a_failure_deploys_again(deliver: Deliver, prepared: Prepared) -> None:
    delivery = deliver("ecr-source", pace=9)
    artifact = prepared(delivery)
    delivery.behaves(Behaviour.CANNOT_PULL)
    assert not delivery.deploy(artifact).succeeded
    delivery.behaves(Behaviour.HEALTHY)

    result = delivery.deploy(artifact)

    assert result.succeeded, result.log
    assert delivery.service.running == [delivery.stack.revision(2)]


def test_another_capacity_provider_is_deployed_though_the_image_is_the_same(
    deliver: Deliver, prepared: Prepared
) -> None:
    """And once only: the next run of the same has nothing to do."""
    delivery = deliver("ecs-blue-green", pace=9)
    artifact = prepared(delivery)
    on_demand = [{"capacityProvider": "FARGATE", "weight": 1}]
    first = delivery.deploy(artifact, CAPACITY_PROVIDER_STRATEGY=json.dumps(on_demand))
    assert first.succeeded, first.log
    assert delivery.service.view()["capacityProviderStrategy"] == [{**on_demand[0], "base": 0}]

    moved = delivery.deploy(artifact)
    again = delivery.deploy(artifact)

    assert moved.succeeded, moved.log
    spot = {"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}
    assert delivery.service.view()["capacityProviderStrategy"] == [spot]
    assert again.succeeded, again.log
    assert "nothing to deploy" in again.log
    assert len(delivery.service.deployments) == 3


def listens_on_port_3000(delivery: Delivery, aws: AwsServices) -> Path:
    """The stack file is edited, and what is deployed is prepared."""
    edited = delivery.stack.template
    edited["containerDefinitions"][0]["portMappings"] = [{"containerPort": 3000, "hostPort": 3000, "protocol": "tcp"}]
    delivery.stack.store(aws, edited)
    result = delivery.prepare(CONTAINER_PORT="3000")
    assert result.succeeded, result.log
    return result.artifacts["Deployment"]


@pytest.mark.parametrize("changes", [None, ROLLING], ids=["blueGreen", "rolling"])
def test_another_port_ships_with_the_run(
    deliver: Deliver, prepared: Prepared, aws: AwsServices, changes: dict[str, dict[str, object]] | None
) -> None:
    delivery = deliver("ecs-blue-green", changes, pace=9)
    assert delivery.deploy(prepared(delivery)).succeeded
    name, before = delivery.service.reached

    result = delivery.deploy(listens_on_port_3000(delivery, aws))

    assert result.succeeded, result.log
    assert before != 3000
    assert delivery.service.reached == (name, 3000)
    first, second = delivery.called("UpdateService")
    assert "loadBalancers" not in first
    (balancer,) = second["loadBalancers"]
    assert balancer["containerPort"] == 3000


def test_another_port_is_taken_back_with_its_deployment(deliver: Deliver, prepared: Prepared, aws: AwsServices) -> None:
    delivery = deliver("ecs-blue-green", pace=9)
    assert delivery.deploy(prepared(delivery)).succeeded
    before = delivery.service.reached
    artifact = listens_on_port_3000(delivery, aws)
    delivery.ecs.behaviours[str(delivery.image["uri"])] = Behaviour.CRASH

    result = delivery.deploy(artifact)

    assert not result.succeeded
    assert delivery.service.deployments[0].status == "ROLLBACK_SUCCESSFUL"
    assert delivery.service.reached == before


def test_the_ecs_action_never_leaves_the_service_on_another_capacity_provider(deliver: Deliver) -> None:
    delivery = deliver("classic", {"hosting": {"existing": None, "loadBalancer": {"plainHttp": True}}})
    assert delivery.prepare().succeeded
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    edited = {"CapacityProviderStrategy": [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]}

    result = delivery.prepare(APPSPEC=json.dumps(edited))

    assert not result.succeeded
    assert "runs on FARGATE, not on FARGATE_SPOT as the stack file says" in result.log
    remedy = next(line.split() for line in result.log.splitlines() if "aws ecs update-service" in line)
    assert remedy[-2:] == ["--capacity-provider-strategy", "capacityProvider=FARGATE_SPOT,weight=1"]
    assert "--force-new-deployment" in remedy
    where = {"cluster": delivery.service.cluster, "service": delivery.service.name}
    delivery.ecs.owner("UpdateService", **where, forceNewDeployment=True, capacityProviderStrategy=strategy)
    assert delivery.prepare(APPSPEC=json.dumps(edited)).succeeded


def test_a_changed_environment_is_deployed_though_the_image_is_the_same(
    deliver: Deliver, prepared: Prepared, aws: AwsServices
) -> None:
    delivery = deliver("ecr-source", pace=9)
    assert delivery.deploy(prepared(delivery)).succeeded
    edited = delivery.stack.template
    edited["containerDefinitions"][0]["environment"] = [{"name": "LOG_LEVEL", "value": "debug"}]
    delivery.stack.store(aws, edited)

    result = delivery.deploy(delivery.prepare().artifacts["Deployment"])

    assert result.succeeded, result.log
    assert len(delivery.called("UpdateService")) == 2


@pytest.mark.parametrize(
    "without",
    [
        "ecs:DescribeServices",
        "ecs:RegisterTaskDefinition",
        "ecs:TagResource",
        "iam:PassRole",
        "ecs:DescribeTaskDefinition",
        "ecs:ListServiceDeployments",
        "ecs:UpdateService",
        "ecs:DescribeServiceRevisions",
        "ecs:DescribeServiceDeployments",
    ],
)
def test_a_permission_that_the_deploying_role_lacks_is_named(
    deliver: Deliver, prepared: Prepared, without: str
) -> None:
    delivery = deliver("ecr-source")

    result = delivery.deploy(prepared(delivery), without=without)

    assert not result.succeeded
    assert "AccessDeniedException" in result.log
    assert f"is not authorized to perform: {without} on resource" in result.log


@pytest.mark.parametrize("checked", [True, False], ids=["with checks", "without"])
def test_a_role_may_do_what_its_job_calls_and_nothing_else(deliver: Deliver, checked: bool) -> None:
    delivery = deliver("ecs-blue-green", TEST_TRAFFIC if checked else None)
    modules = load_buildspec("deploy-ecs").modules
    text = "".join(text for name, text in modules.items() if name != "oncall")  # which has the names of jobs
    calls = {name for name in ECS_COMMANDS if f'"{name}"' in text}
    if not checked:  # there is no pause then
        calls.remove("continue-service-deployment")
    # Registering hands roles and tags to the revision.
    needed = {f"ecs:{name.title().replace('-', '')}" for name in calls}
    needed |= {"ecs:TagResource", "iam:PassRole", "logs:GetLogEvents"}

    allowed = {
        action
        for policy in delivery.builder.policies("DeployService")
        for statement in policy["Statement"]
        for action in statement["Action"]
        if action.startswith(("ecs:", "iam:", "logs:Get"))
    }

    assert allowed == needed


@pytest.mark.parametrize("there", [True, False], ids=["inactive", "missing"])
def test_a_service_that_is_not_there_is_named(deliver: Deliver, prepared: Prepared, there: bool) -> None:
    delivery = deliver("ecr-source")
    artifact = prepared(delivery)
    if there:
        delivery.service.status = "INACTIVE"
    else:
        delivery.ecs._services.clear()

    result = delivery.deploy(artifact)

    assert not result.succeeded
    assert "the cluster shop has no active service shop" in result.log
    assert delivery.called("RegisterTaskDefinition") == []


@pytest.mark.parametrize("stack", ["ecs-native", "ecs-blue-green", "ecr-source"])
def test_the_job_gives_up_before_codebuild_ends_it(stack: str) -> None:
    """It needs time to ask for the rollback, and to say why."""
    of_the_job = int(planned(stack).variables("DeployService")["TIMEOUT_MINUTES"])

    assert planned(stack).deployed.project("DeployService").timeout_minutes >= of_the_job + 3


def test_a_deployment_that_takes_too_long_is_rolled_back(
    deliver: Deliver,
    prepared: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    warm_aws_cli: Path,
) -> None:
    delivery = deliver("ecr-source")
    delivery.behaves(Behaviour.SLOW)
    folder = tmp_path / "deployment"
    folder.mkdir()
    for name, text in unzipped(prepared(delivery)).items():
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    variables = {
        **delivery.stack.variables("DeployService"),
        **delivery.builder.credentials("DeployService"),
        "AWS_ENDPOINT_URL_ECS": delivery.url,
        "IMAGE_DIGEST": delivery.digest,
        "JOBS_DIR": str(tmp_path),
        "PATH": str(warm_aws_cli),
    }
    delivery.ecs.policies = delivery.builder.policies("DeployService")
    main = in_this_process(monkeypatch, "deploy_ecs", variables, seconds=600)

    with pytest.raises(SystemExit) as end:
        main()

    assert end.value.code == 1
    assert (
        "the deployment took longer than 60 minutes (deploy.timeoutMinutes); its last state: IN_PROGRESS"
        in capsys.readouterr().err
    )
    (stop,) = delivery.called("StopServiceDeployment")
    assert stop["stopType"] == "ROLLBACK"
    assert delivery.ecs.settle(delivery.service).status == "ROLLBACK_SUCCESSFUL"
    assert delivery.service.running == [f"{delivery.stack.running['family']}:1"]


@pytest.mark.parametrize("strategy", ["rolling", "blueGreen"])
def test_a_service_of_codedeploy_is_handed_to_ecs_before_its_first_deployment_by_ecs(
    deliver: Deliver, prepared: Prepared, strategy: str
) -> None:
    """docs/hosting.md, "Another engine for a service that runs": in place, by what the AWS CLI is asked for there."""
    group = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup"
    balancer = {"targetGroupArn": f"{group}/blue/1", "containerName": "shop", "containerPort": 8080}
    delivery = deliver(
        "dev",
        {"deploy": {"engine": "ecs", "strategy": strategy}},
        deploymentController={"type": "CODE_DEPLOY"},
        deploymentConfiguration={},
        launchType="FARGATE",
        capacityProviderStrategy=[],
        loadBalancers=[balancer],
    )
    before = delivery.service.definition["taskDefinitionArn"]
    deployment = prepared(delivery)

    refused = delivery.deploy(deployment)
    assert not refused.succeeded
    assert "is deployed by CODE_DEPLOY, not by ECS" in refused.log
    shifting = {
        "loadBalancers": [
            {
                **balancer,
                "advancedConfiguration": {
                    "alternateTargetGroupArn": f"{group}/green/2",
                    "productionListenerRule": f"{group.replace('targetgroup', 'listener-rule')}/app/s/1/2/3",
                    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/shift",
                },
            }
        ],
        "deploymentConfiguration": {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5},
    }
    delivery.ecs.owner(
        "UpdateService",
        cluster=delivery.service.cluster,
        service=delivery.service.name,
        deploymentController={"type": "ECS"},
        **(shifting if strategy == "blueGreen" else {}),
    )
    assert delivery.service.definition["taskDefinitionArn"] == before, "what runs goes on"

    result = delivery.deploy(deployment)

    assert result.succeeded, result.log
    assert delivery.service.group == (f"{group}/green/2" if strategy == "blueGreen" else f"{group}/blue/1")
    assert {task.definition["containerDefinitions"][0]["image"] for task in delivery.service.tasks if task.fit} == {
        delivery.image["uri"]
    }


@pytest.mark.parametrize("status", [200, 503])
def test_users_get_a_version_when_it_answers_the_test_traffic(
    deliver: Deliver, prepared: Prepared, status: int
) -> None:
    delivery = deliver(MADE, TEST_TRAFFIC, pace=1)
    with new_version(status) as (url, asked):
        result = delivery.deploy(prepared(delivery), TEST_URL=url)

    assert asked == ["/healthz"], result.log
    assert result.succeeded is (status == 200), result.log
    (given,) = delivery.called("ContinueServiceDeployment")
    assert given["action"] == ("CONTINUE" if status == 200 else "ROLLBACK")
    assert ("The new version does not answer as expected:\n  GET /healthz" in result.log) is (status == 503)
    ended = delivery.ecs.settle(delivery.service)
    assert ended.status == ("SUCCESSFUL" if status == 200 else "ROLLBACK_SUCCESSFUL")
    assert ended.traffic == (100 if status == 200 else 0), "users never got the version that is not well"
    assert delivery.service.configuration["lifecycleHooks"] == []


def test_without_a_word_the_old_version_stays(deliver: Deliver) -> None:
    """The job has died, or a person has stopped the run."""
    delivery = deliver(MADE, TEST_TRAFFIC, pace=1)
    configuration = json.loads(delivery.stack.variables("DeployService")["DEPLOYMENT_CONFIGURATION"])
    (hook,) = configuration["lifecycleHooks"]
    assert hook["timeoutConfiguration"]["action"] == "ROLLBACK"
    family = f"{delivery.stack.running['family']}:1"
    where = {"cluster": delivery.service.cluster, "service": delivery.service.name}
    delivery.ecs.settle(delivery.service)
    delivery.ecs.owner("UpdateService", **where, forceNewDeployment=True, deploymentConfiguration=configuration)

    ended = delivery.ecs.settle(delivery.service)

    assert (ended.status, ended.traffic) == ("ROLLBACK_SUCCESSFUL", 0)
    assert ended.hook["status"] == "TIMED_OUT"
    assert "a lifecycle hook timed out" in ended.reason
    assert delivery.service.running == [family] * len(delivery.service.running)


def test_the_stand_in_refuses_a_word_that_nobody_waits_for(deliver: Deliver) -> None:
    delivery = deliver(MADE, TEST_TRAFFIC, pace=1)
    newest = delivery.ecs.settle(delivery.service)
    for arn, code in ((newest.arn, "InvalidParameter"), (f"{newest.arn}x", "ServiceDeploymentNotFound")):
        with pytest.raises(Refused) as refused:
            delivery.ecs.owner("ContinueServiceDeployment", serviceDeploymentArn=arn, hookId="ecs-pause-1")
        assert refused.value.code == f"{code}Exception"
    hooks = {"lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["TEST_TRAFFIC_SHIFT"]}]}
    where = {"cluster": delivery.service.cluster, "service": delivery.service.name}
    with pytest.raises(Refused, match="only one PAUSE after the test traffic shift"):
        delivery.ecs.owner("UpdateService", **where, deploymentConfiguration=hooks)
