"""The model becomes what CodePipeline takes, word for word, and a model that cannot work becomes nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import pulumi
import pytest
from mocked import Graph, build
from samples import BUCKET, CONNECTION, KEY, TAGS, arn, artifact_bucket, foundation

from components.foundation.iam import Statement
from components.pipeline.delivery_pipeline import DeliveryPipeline, DeliveryPipelineArgs, PipelineError
from components.pipeline.model import (
    Action,
    Artifact,
    Category,
    ExecutionMode,
    GitTrigger,
    ImagePushTrigger,
    PipelineModel,
    Provider,
    StageModel,
    Variable,
)

RUNS = Variable(name="RUNS", default="3", description="How often it is measured")
CODE = Action(
    name="Source",
    category=Category.SOURCE,
    provider=Provider.CONNECTION,
    configuration={"ConnectionArn": CONNECTION, "FullRepositoryId": "example/shop", "BranchName": "main"},
    writes=(Artifact.SOURCE,),
    namespace="Source",
    trigger=GitTrigger(branch="main"),
)
IMAGE = Action(
    name="SourceImage",
    category=Category.SOURCE,
    provider=Provider.ECR,
    configuration={"RepositoryName": "base", "ImageTag": "stable"},
    writes=(Artifact.SOURCE_IMAGE,),
    namespace="SourceImage",
    trigger=ImagePushTrigger(repository="base", tag="stable"),
)
BUILD = Action(
    name="Build",
    category=Category.BUILD,
    provider=Provider.CODEBUILD,
    machine="ARM/Small",
    configuration={"ProjectName": "shop-dev-build"},
    environment={"COMMIT": "#{Source.CommitId}", "RUNS": RUNS.reference},
    reads=(Artifact.SOURCE,),
    writes=(Artifact.IMAGE,),
    namespace="Build",
    exports=("DIGEST",),
    variables=(RUNS,),
)
APPROVE = Action(
    name="Approve",
    category=Category.APPROVAL,
    provider=Provider.MANUAL,
    configuration={},
    run_order=2,
    timeout_minutes=60,
)
START = Statement(sid="StartBuild", actions=("codebuild:StartBuild",), resources=(arn("codebuild", "project/shop"),))


def model(*sources: Action, mode: ExecutionMode = ExecutionMode.QUEUED) -> PipelineModel:
    return PipelineModel(
        name="shop-dev",
        execution_mode=mode,
        stages=(
            StageModel(name="Source", actions=sources or (CODE,)),
            StageModel(name="Build", actions=(BUILD, APPROVE)),
        ),
    )


def pipeline(what: PipelineModel, grants: Sequence[Statement] = ()) -> Graph:
    def program() -> None:
        base = foundation()
        made = DeliveryPipeline(
            "delivery",
            DeliveryPipelineArgs(foundation=base, model=what, grants=grants, artifacts=artifact_bucket(base)),
        )
        pulumi.export("arn", made.arn)

    return build(program)


@cache
def plain() -> Graph:
    return pipeline(model(), [START])


@cache
def from_image() -> Graph:
    only_image = dataclasses.replace(BUILD, reads=(Artifact.SOURCE_IMAGE,), environment={}, variables=())
    what = dataclasses.replace(
        model(IMAGE),
        stages=(StageModel(name="Source", actions=(IMAGE,)), StageModel(name="Build", actions=(only_image,))),
    )
    return pipeline(what)


def pushes(trigger: GitTrigger) -> list[dict[str, Any]]:
    (only,) = pipeline(model(dataclasses.replace(CODE, trigger=trigger))).pipeline["triggers"]
    assert only["providerType"] == "CodeStarSourceConnection"
    assert only["gitConfiguration"]["sourceActionName"] == "Source"
    return list(only["gitConfiguration"]["pushes"])


# The pipeline


def test_a_pipeline_is_what_its_model_says() -> None:
    assert plain().pipeline == {
        "name": "shop-dev",
        "pipelineType": "V2",
        "executionMode": "QUEUED",
        "roleArn": plain().one("Role").outputs["arn"],
        "artifactStores": [{"type": "S3", "location": BUCKET, "encryptionKey": {"type": "KMS", "id": KEY}}],
        "stages": [
            {
                "name": "Source",
                "actions": [
                    {
                        "name": "Source",
                        "category": "Source",
                        "owner": "AWS",
                        "provider": "CodeStarSourceConnection",
                        "version": "1",
                        "configuration": {
                            "ConnectionArn": CONNECTION,
                            "FullRepositoryId": "example/shop",
                            "BranchName": "main",
                        },
                        "inputArtifacts": [],
                        "outputArtifacts": ["Source"],
                        "runOrder": 1,
                        "namespace": "Source",
                    }
                ],
            },
            {
                "name": "Build",
                "actions": [
                    {
                        "name": "Build",
                        "category": "Build",
                        "owner": "AWS",
                        "provider": "CodeBuild",
                        "version": "1",
                        "configuration": {
                            "ProjectName": "shop-dev-build",
                            "EnvironmentVariables": (
                                '[{"name":"COMMIT","value":"#{Source.CommitId}","type":"PLAINTEXT"},'
                                '{"name":"RUNS","value":"#{variables.RUNS}","type":"PLAINTEXT"}]'
                            ),
                        },
                        "inputArtifacts": ["Source"],
                        "outputArtifacts": ["Image"],
                        "runOrder": 1,
                        "namespace": "Build",
                    },
                    {
                        "name": "Approve",
                        "category": "Approval",
                        "owner": "AWS",
                        "provider": "Manual",
                        "version": "1",
                        "configuration": {},
                        "inputArtifacts": [],
                        "outputArtifacts": [],
                        "runOrder": 2,
                        "timeoutInMinutes": 60,
                    },
                ],
            },
        ],
        "triggers": [
            {
                "providerType": "CodeStarSourceConnection",
                "gitConfiguration": {
                    "sourceActionName": "Source",
                    "pushes": [{"branches": {"includes": ["main"]}}],
                },
            }
        ],
        "variables": [{"name": "RUNS", "defaultValue": "3", "description": "How often it is measured"}],
        "tags": TAGS,
    }


@pytest.mark.parametrize("mode", list(ExecutionMode))
def test_runs_follow_each_other_as_the_model_says(mode: ExecutionMode) -> None:
    assert pipeline(model(mode=mode)).pipeline["executionMode"] == mode.value


def test_rendering_leaves_the_model_as_it_was() -> None:
    """The configuration is one mapping of the model; a rendered key in it would show up in the next pipeline."""
    pipeline(model())
    assert BUILD.configuration == {"ProjectName": "shop-dev-build"}


# Triggers


@pytest.mark.parametrize(
    ("trigger", "push"),
    [
        pytest.param(GitTrigger(branch="main"), {"branches": {"includes": ["main"]}}, id="a branch"),
        pytest.param(
            GitTrigger(branch="main", paths=("src/**", "Dockerfile")),
            {"branches": {"includes": ["main"]}, "filePaths": {"includes": ["src/**", "Dockerfile"]}},
            id="some paths of a branch",
        ),
        pytest.param(
            GitTrigger(branch="main", ignored_paths=("docs/**",)),
            {"branches": {"includes": ["main"]}, "filePaths": {"excludes": ["docs/**"]}},
            id="all but some paths",
        ),
        pytest.param(
            GitTrigger(branch="main", paths=("src/**",), ignored_paths=("src/docs/**",)),
            {
                "branches": {"includes": ["main"]},
                "filePaths": {"includes": ["src/**"], "excludes": ["src/docs/**"]},
            },
            id="paths and exceptions",
        ),
        pytest.param(
            GitTrigger(branch="main", tags=("v*",), ignored_tags=("v0*",)),
            {"tags": {"includes": ["v*"], "excludes": ["v0*"]}},
            id="tags and exceptions, without the branch",
        ),
        pytest.param(
            GitTrigger(branch="main", branches=("main", "release/*"), ignored_branches=("release/old-*",)),
            {"branches": {"includes": ["main", "release/*"], "excludes": ["release/old-*"]}},
            id="branches",
        ),
        pytest.param(
            GitTrigger(branch="main", ignored_branches=("draft/*",)),
            {"branches": {"excludes": ["draft/*"]}},
            id="all but some branches",
        ),
        pytest.param(GitTrigger(branch="main", tags=("v*",)), {"tags": {"includes": ["v*"]}}, id="tags"),
        pytest.param(
            GitTrigger(branch="main", ignored_tags=("v0*",)), {"tags": {"excludes": ["v0*"]}}, id="all but some tags"
        ),
    ],
)
def test_a_push_filter_holds_what_is_asked_for_and_no_empty_list(trigger: GitTrigger, push: dict[str, Any]) -> None:
    """Everything in one filter must be true at once: with branch and tags in it hardly any push would start the
    pipeline (terraform-provider-aws#43105). CodePipeline refuses an empty list."""
    assert pushes(trigger) == [push]


def test_a_code_source_makes_no_rule_for_images() -> None:
    for type_ in ("EventRule", "EventTarget", "ecs-delivery:index:ImagePushTriggerRule"):
        assert plain().of(type_) == []


def test_an_image_source_is_started_by_a_rule_and_by_no_git_trigger() -> None:
    """CodePipeline's ECR source notices nothing by itself (aws-cdk#10901)."""
    graph = from_image()
    assert graph.pipeline["triggers"] == []
    assert json.loads(graph.one("EventRule").inputs["eventPattern"])["detail"] == {
        "action-type": ["PUSH"],
        "result": ["SUCCESS"],
        "repository-name": ["base"],
        "image-tag": ["stable"],
    }
    target = graph.one("EventTarget").inputs
    assert target["arn"] == arn("codepipeline", "shop-dev")
    assert '"actionName": "SourceImage"' in target["inputTransformer"]["inputTemplate"]


def test_code_and_image_each_start_the_pipeline() -> None:
    graph = pipeline(model(CODE, IMAGE))
    assert [item["gitConfiguration"]["sourceActionName"] for item in graph.pipeline["triggers"]] == ["Source"]
    assert len(graph.of("EventRule")) == 1


# Role and order


def test_the_role_exchanges_artifacts_and_holds_what_the_stages_ask_for() -> None:
    statements = json.loads(plain().one("RolePolicy").inputs["policy"])["Statement"]
    assert [item["Sid"] for item in statements] == [
        "ExchangeArtifacts",
        "FindArtifactBucket",
        "UseArtifactKey",
        "StartBuild",
    ]
    assert statements[-1] == {
        "Sid": "StartBuild",
        "Effect": "Allow",
        "Action": ["codebuild:StartBuild"],
        "Resource": [arn("codebuild", "project/shop")],
    }


def test_codepipeline_may_take_the_role_for_this_account_only() -> None:
    role = plain().one("Role").inputs
    assert role["description"] == "Runs the pipeline shop-dev"
    assert role["tags"] == TAGS
    (trust,) = json.loads(role["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "codepipeline.amazonaws.com"}
    assert trust["Condition"] == {"StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}}


def test_the_pipeline_waits_for_its_permissions_and_for_the_buckets_policy() -> None:
    """It runs as soon as it is made; without its permissions by then, the first thing a user sees is a failed run."""
    waits_for = plain().one("Pipeline").dependencies
    assert plain().one("RolePolicy").urn in waits_for
    assert plain().one("BucketPolicy").urn in waits_for


def test_name_and_console_link_are_what_the_component_offers() -> None:
    component = plain().one("ecs-delivery:index:DeliveryPipeline")
    assert plain().registered_outputs[component.urn] == {
        "name": "shop-dev",
        "consoleUrl": (
            "https://eu-west-1.console.aws.amazon.com/codesuite/codepipeline/pipelines/shop-dev/view?region=eu-west-1"
        ),
    }
    assert plain().exports["arn"] == arn("codepipeline", "shop-dev")


# A model that cannot work


def test_a_model_that_cannot_work_is_refused_with_every_problem() -> None:
    broken = PipelineModel(
        name="shop dev",
        execution_mode=ExecutionMode.QUEUED,
        stages=(StageModel(name="Source", actions=(dataclasses.replace(CODE, trigger=None),)),),
    )
    with pytest.raises(PipelineError) as refusal:
        pipeline(broken)
    assert str(refusal.value).splitlines() == [
        "the pipeline shop dev cannot work:",
        "pipeline name 'shop dev' may hold only letters, digits and . @ - _, at most 100 characters",
        "a pipeline needs at least 2 stages, this one has 1",
        "no source action has a trigger, so nothing but a person would ever start the pipeline",
    ]


def test_a_refused_model_makes_nothing() -> None:
    """Refused halfway, it would leave a role behind."""
    made: list[str] = []

    def program() -> None:
        base = foundation()
        artifacts = artifact_bucket(base)
        what = dataclasses.replace(model(), stages=())
        args = DeliveryPipelineArgs(foundation=base, model=what, grants=(), artifacts=artifacts)
        with pytest.raises(PipelineError):
            DeliveryPipeline("delivery", args)
        made.append("refused")

    graph = build(program)
    assert made == ["refused"]
    assert graph.of("ecs-delivery:index:DeliveryPipeline") == []
    assert graph.of("Role") == []
    assert graph.of("Pipeline") == []
