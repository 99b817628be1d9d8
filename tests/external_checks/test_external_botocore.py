"""The requests a graph stands for, judged by AWS's own service models as botocore ships them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from aws_requests import ACTIONS, CALLS, DIGEST, NoRequestError, Request, is_made_in_aws, requests_of
from aws_shapes import judged, problems
from botocore.session import get_session  # type: ignore[import-untyped]  # ships no types
from planted_faults import NOTHING, Fault
from rewriting import Places
from stack_graphs import NAMES, described, input_paths

from components.engines import ENGINES
from components.engines.deployment_configuration import deployment_configuration, pause
from components.settings.names import REGION
from components.settings.sections.deploy import DeploySection

PIPELINE = "aws:codepipeline/pipeline:Pipeline"
PROJECT = "aws:codebuild/project:Project"
BUILD_IMAGE = ("stages", {"name": "Build"}, "actions", {"name": "BuildImage"})

FAULTS: Mapping[str, Fault] = {
    "a provider nobody knows": Fault(
        type=PIPELINE, at=(*BUILD_IMAGE, "provider"), value="CodeBuildd", finding="CodeBuildd has no row"
    ),
    "a build of no project": Fault(
        type=PIPELINE,
        at=(*BUILD_IMAGE, "configuration", "ProjectName"),
        value=NOTHING,
        finding='StartBuild: Missing required parameter in input: "projectName"',
    ),
    "a configuration key the service does not have": Fault(
        type=PIPELINE,
        at=(*BUILD_IMAGE, "configuration", "Projectname"),
        value="shop",
        finding='Unknown parameter in input: "Projectname"',
    ),
    "a variable of a type CodeBuild does not have": Fault(
        type=PIPELINE,
        at=(*BUILD_IMAGE, "configuration", "EnvironmentVariables", {"name": "COMMIT_ID"}, "type"),
        value="SECRET",
        finding="'SECRET' is none of PLAINTEXT",
    ),
    "a pipeline's name that is too long": Fault(
        type=PIPELINE, at=("name",), value="p" * 101, finding="name: 101 characters, more than 100"
    ),
    "a pipeline's name with a blank": Fault(
        type=PIPELINE, at=("name",), value="the shop", finding="'the shop' does not match [A-Za-z0-9.@"
    ),
    "an order that is no number": Fault(
        type=PIPELINE,
        at=(*BUILD_IMAGE, "runOrder"),
        value="first",
        finding="runOrder, value: first, type: <class 'str'>",
    ),
    "a timeout beyond what an action may take": Fault(
        type=PIPELINE, at=(*BUILD_IMAGE, "timeoutInMinutes"), value=86401, finding="86401 is more than 86400"
    ),
    "a timeout below it": Fault(
        type=PIPELINE, at=(*BUILD_IMAGE, "timeoutInMinutes"), value=4, finding="timeoutInMinutes, value: 4, valid min"
    ),
    "more branches than a trigger may name": Fault(
        type=PIPELINE,
        at=("triggers", 0, "gitConfiguration", "pushes", 0, "branches", "includes"),
        value=[f"branch-{number}" for number in range(9)],
        finding="includes: 9 entries, more than 8",
    ),
    "a machine CodeBuild does not have": Fault(
        type=PROJECT,
        at=("environment", "computeType"),
        value="BUILD_TINY",
        finding="'BUILD_TINY' is none of BUILD_GENERAL1_SMALL",
    ),
    "an environment CodeBuild does not have": Fault(
        type=PROJECT, at=("environment", "type"), value="LINUX", finding="'LINUX' is none of"
    ),
    "an input AWS does not know": Fault(
        type=PROJECT, at=("encryptionkey",), value="k", finding='Unknown parameter in input: "encryptionkey"'
    ),
    "a project without a role": Fault(
        type=PROJECT,
        at=("serviceRole",),
        value=NOTHING,
        finding='CreateProject: Missing required parameter in input: "serviceRole"',
    ),
    "tags that may or may not change": Fault(
        type="aws:ecr/repository:Repository",
        at=("imageTagMutability",),
        value="SOMETIMES",
        finding="'SOMETIMES' is none of MUTABLE",
    ),
    "a deployment style in other words": Fault(
        type="aws:codedeploy/deploymentGroup:DeploymentGroup",
        at=("deploymentStyle", "deploymentType"),
        value="BLUEGREEN",
        finding="'BLUEGREEN' is none of IN_PLACE, BLUE_GREEN",
    ),
    "a connection to another spelling of GitHub": Fault(
        type="aws:codeconnections/connection:Connection",
        at=("providerType",),
        value="Github",
        finding="'Github' is none of",
        graph="dev",
    ),
    "an architecture ECS does not have": Fault(
        type="aws:s3/bucketObjectv2:BucketObjectv2",
        name="-task-definition-object",
        at=("content", "runtimePlatform", "cpuArchitecture"),
        value="AMD64",
        finding="RegisterTaskDefinition.runtimePlatform.cpuArchitecture: 'AMD64' is none of",
        graph="dev",
    ),
    "a task definition without containers": Fault(
        type="aws:s3/bucketObjectv2:BucketObjectv2",
        name="-task-definition-object",
        at=("content", "containerDefinitions"),
        value=NOTHING,
        finding='RegisterTaskDefinition: Missing required parameter in input: "containerDefinitions"',
    ),
    "a strategy ECS does not have": Fault(
        type=PROJECT,
        name="deploy-ecs-project",
        at=(
            *("environment", "environmentVariables", {"name": "DEPLOYMENT_CONFIGURATION"}, "value"),
            "strategy",
        ),
        value="CAUTIOUS",
        finding="UpdateService.deploymentConfiguration.strategy: 'CAUTIOUS' is none of",
        graph="ecs-native",
    ),
    "a revision of a kind CodePipeline does not have": Fault(
        type="aws:cloudwatch/eventTarget:EventTarget",
        name="-on-image-push-target",
        at=("inputTransformer", "inputTemplate", "sourceRevisions", 0, "revisionType"),
        value="DIGEST",
        finding="StartPipelineExecution.sourceRevisions[0].revisionType: 'DIGEST' is none of",
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_aws_would_accept_every_request_of_a_graph(name: str) -> None:
    found = judged(described(name))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    found = judged([fault.resource(described(fault.graph))])
    assert [problem for problem in found if fault.finding in problem], found


@pytest.mark.parametrize("strategy", ENGINES["ecs"].strategies)
def test_ecs_would_accept_every_strategy(strategy: str) -> None:
    decided = {"test_traffic": {"http": ({"path": "/"},)}} if strategy != "rolling" else {}
    rollout = DeploySection.model_validate(
        {"engine": "ecs", "strategy": strategy, "alarms": ("shop-errors",), **decided}
    ).rollout
    configuration = {**deployment_configuration(rollout), **pause(rollout)}
    request = Request(
        origin=strategy,
        service="ecs",
        operation="UpdateService",
        params={"service": "shop", "deploymentConfiguration": configuration},
    )
    assert problems(request) == []


def test_every_region_of_aws_is_a_region_of_a_stack_file() -> None:
    partitions = get_session().get_component("data_loader").load_data("endpoints")["partitions"]
    regions = [region for partition in partitions for region in partition["regions"]]
    assert len(regions) > 30
    assert [region for region in regions if not re.search(REGION, region)] == []


def test_a_pushed_image_starts_a_run_of_exactly_that_image() -> None:
    (start,) = (item for item in requests_of(described("prod")) if item.operation == "StartPipelineExecution")
    assert start.params == {
        "name": "shop-prod",
        "sourceRevisions": [{"actionName": "SourceImage", "revisionType": "IMAGE_DIGEST", "revisionValue": DIGEST}],
    }


def test_an_upload_starts_a_run_of_exactly_that_version() -> None:
    (start,) = (item for item in requests_of(described("s3-source")) if item.operation == "StartPipelineExecution")
    assert start.params == {
        "name": "shop-s3-source",
        "sourceRevisions": [{"actionName": "Source", "revisionType": "S3_OBJECT_VERSION_ID", "revisionValue": DIGEST}],
    }


def test_a_resource_type_without_a_request_is_refused_by_name() -> None:
    unknown = {"type": "aws:sqs/queue:Queue", "name": "shop-queue", "custom": True, "inputs": {}, "outputs": {}}
    with pytest.raises(NoRequestError, match=r"aws:sqs/queue:Queue \(shop-queue\) has no row in .*aws_requests.py"):
        list(requests_of([unknown]))


def test_components_and_pulumis_own_resources_ask_nothing_of_aws() -> None:
    component = {"type": "ecs-delivery:index:Delivery", "name": "shop", "custom": False}
    provider = {"type": "pulumi:providers:aws", "name": "default", "custom": True}
    assert list(requests_of([component, provider])) == []


def test_every_row_has_a_resource_that_needs_it() -> None:
    used = {resource["type"] for name in NAMES for resource in described(name) if is_made_in_aws(resource)}
    assert set(CALLS) - used == set()


def test_every_place_has_an_input_that_needs_it() -> None:
    places: dict[str, Places] = {
        type_: {path: place for call in calls for path, place in call.places.items()} for type_, calls in CALLS.items()
    }
    assert {(type_, path) for type_, below in places.items() for path in below} - input_paths() == set()


def test_every_action_provider_and_place_is_used() -> None:
    actions: list[Mapping[str, Any]] = [
        action
        for name in NAMES
        for resource in described(name)
        if resource["type"] == PIPELINE
        for stage in resource["inputs"]["stages"]
        for action in stage["actions"]
    ]
    used = {(action["provider"], key) for action in actions for key in action.get("configuration", {})}
    assert {(provider, key) for provider, call in ACTIONS.items() for key in call.places} - used == set()
