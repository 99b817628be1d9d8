"""A graph as a CloudFormation template, judged by cfn-lint with all its rules."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache

import pytest
from aws_requests import is_made_in_aws
from cloudformation import TYPES, Finding, NoTypeError, findings, template
from mocked import REGION
from planted_faults import NOTHING, Fault
from rewriting import Places
from stack_graphs import NAMES, described, input_paths
from summary import graph_names

EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("I4010", "*"): "asks for a description of the architecture in the template, and nobody reads this template",
}
"""Rule and resource type (``*`` for any) of a finding that stays -> why."""

PIPELINE = "aws:codepipeline/pipeline:Pipeline"
BUILD = ("stages", {"name": "Build"}, "actions")
BUILD_IMAGE = (*BUILD, {"name": "BuildImage"})

FAULTS: Mapping[str, Fault] = {
    "a pipeline of a type there is not": Fault(
        type=PIPELINE, at=("pipelineType",), value="V3", finding="E3030 AWS::CodePipeline::Pipeline"
    ),
    "a pipeline without a role": Fault(
        type=PIPELINE, at=("roleArn",), value=NOTHING, finding="'RoleArn' is a required property"
    ),
    "an input CloudFormation does not know": Fault(
        type=PIPELINE, at=("executionmode",), value="QUEUED", finding="'Executionmode' was unexpected"
    ),
    "an artifact that no action makes": Fault(
        type=PIPELINE, at=(*BUILD_IMAGE, "inputArtifacts"), value=["Sauce"], finding="E3701"
    ),
    "more artifacts than an action makes": Fault(
        type=PIPELINE,
        at=("stages", {"name": "Promote"}, "actions", {"name": "ApprovePromotion"}, "outputArtifacts"),
        value=["Approval"],
        finding="E3702",
    ),
    "a first stage that is no source": Fault(
        type=PIPELINE,
        at=("stages", {"name": "Source"}, "actions", {"name": "Source"}, "category"),
        value="Build",
        finding="E3700",
    ),
    "an artifact store without a bucket": Fault(
        type=PIPELINE, at=("artifactStores", 0, "location"), value=NOTHING, finding="'Location' is a required property"
    ),
    "an action's name with a blank": Fault(
        type=PIPELINE, at=(*BUILD_IMAGE, "name"), value="Build image", finding="E3031 AWS::CodePipeline::Pipeline"
    ),
    "two stages of one name": Fault(
        type=PIPELINE, at=("stages", {"name": "Build"}, "name"), value="Source", finding="E3"
    ),
    "a log kept for a time there is not": Fault(
        type="aws:cloudwatch/logGroup:LogGroup",
        at=("retentionInDays",),
        value=366,
        finding="E3030 AWS::Logs::LogGroup",
    ),
    "an encryption S3 does not have": Fault(
        type="aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        at=("rules", 0, "applyServerSideEncryptionByDefault", "sseAlgorithm"),
        value="aws:rot13",
        finding="E3030 AWS::S3::Bucket",
    ),
    "a lifecycle policy ECR would not read": Fault(
        type="aws:ecr/lifecyclePolicy:LifecyclePolicy", at=("policy",), value="", finding="AWS::ECR::Repository"
    ),
    "an action nobody knows": Fault(
        type="aws:iam/rolePolicy:RolePolicy",
        at=("policy", "Statement", 0, "Action"),
        value=["ecr:PutImages"],
        finding="W3037 AWS::IAM::Role",
    ),
    "an effect that is none": Fault(
        type="aws:iam/rolePolicy:RolePolicy",
        at=("policy", "Statement", 0, "Effect"),
        value="Permit",
        finding="E3510 AWS::IAM::Role",
    ),
    "a trust without a principal": Fault(
        type="aws:iam/role:Role",
        at=("assumeRolePolicy", "Statement", 0, "Principal"),
        value=NOTHING,
        finding="E3530 AWS::IAM::Role",
    ),
    "a size Fargate does not offer": Fault(
        type="aws:s3/bucketObjectv2:BucketObjectv2",
        name="-task-definition-object",
        at=("content", "memory"),
        value="131072",
        finding="E3047 AWS::ECS::TaskDefinition",
        graph="dev",
    ),
    "a log of no driver": Fault(
        type="aws:s3/bucketObjectv2:BucketObjectv2",
        name="-task-definition-object",
        at=("content", "containerDefinitions", 0, "logConfiguration", "logDriver"),
        value=NOTHING,
        finding="'LogDriver' is a required property",
        graph="dev",
    ),
    "a step of no size": Fault(
        type="aws:codedeploy/deploymentConfig:DeploymentConfig",
        at=("trafficRoutingConfig", "timeBasedLinear", "percentage"),
        value=NOTHING,
        finding="'LinearPercentage' is a required property",
    ),
}


@cache
def found_in(name: str) -> tuple[Finding, ...]:
    return tuple(findings(template(described(name)), region=REGION))


def exceptions_for(finding: Finding) -> set[tuple[str, str]]:
    return {key for key in EXCEPTIONS if key[0] == finding.rule and fnmatchcase(finding.type, key[1])}


@pytest.mark.parametrize("name", graph_names())
def test_cfn_lint_has_nothing_against_a_graph(name: str) -> None:
    found = [str(finding) for finding in found_in(name) if not exceptions_for(finding)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=" ".join)
def test_an_exception_is_still_needed(exception: tuple[str, str]) -> None:
    assert any(exception in exceptions_for(finding) for name in graph_names() for finding in found_in(name))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    good = template(described(fault.graph))
    faulty = template(fault.planted(described(fault.graph)))
    faulty["Resources"] = {
        name: resource for name, resource in faulty["Resources"].items() if resource != good["Resources"][name]
    }
    found = [str(finding) for finding in findings(faulty, region=REGION) if not exceptions_for(finding)]
    assert [finding for finding in found if fault.finding in finding], found


def test_a_resource_type_without_a_form_is_refused_by_name() -> None:
    unknown = {"type": "aws:sqs/queue:Queue", "name": "shop-queue", "custom": True, "inputs": {}, "outputs": {}}
    with pytest.raises(NoTypeError, match=r"aws:sqs/queue:Queue \(shop-queue\) has no row in .*cloudformation.py"):
        template([unknown])


def test_every_row_has_a_resource_that_needs_it() -> None:
    used = {resource["type"] for name in NAMES for resource in described(name) if is_made_in_aws(resource)}
    assert set(TYPES) - used == set()


def test_every_place_has_an_input_that_needs_it() -> None:
    places: dict[str, Places] = {type_: written.places for type_, written in TYPES.items()}
    assert {(type_, path) for type_, below in places.items() for path in below} - input_paths() == set()
