"""What starts a pipeline when an image arrives: the right events, and only those, pinned to their digest."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pulumi
import pytest
from mocked import Graph, build
from samples import TAGS, arn, foundation

from components.pipeline.image_push_trigger import DIGEST as REVISION
from components.pipeline.image_push_trigger import ImagePushTriggerRule, arrival_of, event_pattern
from components.pipeline.model import ImagePushTrigger
from components.pipeline.start_rule import StartRuleArgs

TRIGGER = ImagePushTrigger(repository="shop-prod", tag="promoted")
PIPELINE = arn("codepipeline", "shop-prod-pipeline")
DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# The shape of a completed push: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html
PUSH: Mapping[str, Any] = {
    "version": "0",
    "id": "5f0c1d9e-2b0a-4c0f-9d43-6a0a5c6a7b11",
    "detail-type": "ECR Image Action",
    "source": "aws.ecr",
    "account": "123456789012",
    "time": "2026-03-02T09:41:07Z",
    "region": "eu-west-1",
    # Empty in every event of a push, so a rule that matches by ARN never fires (aws-cdk#29225).
    "resources": [],
    "detail": {
        "result": "SUCCESS",
        "repository-name": "shop-prod",
        "image-digest": DIGEST,
        "action-type": "PUSH",
        "image-tag": "promoted",
    },
}


def event(**changes: str) -> dict[str, Any]:
    """The push with some details changed; `without_tag` takes the tag away."""
    changed = copy.deepcopy(dict(PUSH))
    for key, value in changes.items():
        changed["detail"][key.replace("_", "-")] = value
    return changed


def matches(pattern: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """EventBridge's rule for patterns of literal lists: every key is there, with one of the values listed.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
    """
    return all(
        key in given and (matches(wanted, given[key]) if isinstance(wanted, Mapping) else given[key] in wanted)
        for key, wanted in pattern.items()
    )


@cache
def rule() -> Graph:
    def program() -> None:
        ImagePushTriggerRule(
            "trigger",
            StartRuleArgs(
                foundation=foundation(prefix="shop-prod"),
                pipeline_name="shop-prod-pipeline",
                pipeline_arn=pulumi.Output.from_input(PIPELINE),
                source_action="SourceImage",
                occasion=arrival_of(TRIGGER),
            ),
        )

    return build(program)


def the_pattern() -> dict[str, Any]:
    """The pattern as AWS gets it."""
    return dict(json.loads(rule().one("EventRule").inputs["eventPattern"]))


# Which events


def test_the_push_of_the_watched_tag_starts_the_pipeline() -> None:
    assert matches(the_pattern(), PUSH)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(event(image_tag="latest"), id="another tag"),
        pytest.param(event(image_tag="promoted-2"), id="a tag that starts like it"),
        pytest.param(event(repository_name="shop-dev"), id="another repository"),
        pytest.param(event(repository_name="team/shop-prod"), id="a repository that ends like it"),
        pytest.param(event(result="FAILURE"), id="a push that failed"),
        pytest.param(event(action_type="DELETE"), id="the deletion of the image"),
        pytest.param({**PUSH, "detail-type": "ECR Image Scan"}, id="a scan"),
        pytest.param({**PUSH, "source": "com.example.ecr"}, id="somebody else's event"),
        pytest.param(
            {**PUSH, "detail": {key: value for key, value in PUSH["detail"].items() if key != "image-tag"}},
            id="a push without tag",
        ),
    ],
)
def test_no_other_event_starts_the_pipeline(other: dict[str, Any]) -> None:
    """The repository also gets layers, versions and scans; each extra run would deploy again."""
    assert not matches(the_pattern(), other)


def test_the_pattern_matches_by_name_and_never_by_arn() -> None:
    assert the_pattern() == event_pattern(TRIGGER)
    assert event_pattern(TRIGGER) == {
        "source": ["aws.ecr"],
        "detail-type": ["ECR Image Action"],
        "detail": {
            "action-type": ["PUSH"],
            "result": ["SUCCESS"],
            "repository-name": ["shop-prod"],
            "image-tag": ["promoted"],
        },
    }


# What happens then


def test_the_run_is_pinned_to_the_digest_of_the_event() -> None:
    """A second push moves the tag before the run has looked at it; the run would then deploy the later image twice."""
    target = rule().one("EventTarget").inputs
    assert target["inputTransformer"]["inputPaths"] == {"digest": "$.detail.image-digest"}
    # EventBridge reads the path in the event and writes the value over the name in angle brackets.
    found = PUSH
    for step in target["inputTransformer"]["inputPaths"]["digest"].removeprefix("$.").split("."):
        found = found[step]
    request = json.loads(target["inputTransformer"]["inputTemplate"].replace("<digest>", str(found)))
    assert request == {
        "sourceRevisions": [{"actionName": "SourceImage", "revisionType": "IMAGE_DIGEST", "revisionValue": DIGEST}]
    }


def test_the_request_names_the_source_action_it_is_told() -> None:
    assert json.loads(REVISION.start_request("Base"))["sourceRevisions"][0]["actionName"] == "Base"


def test_rule_and_target_are_what_eventbridge_needs() -> None:
    graph = rule()
    assert graph.one("EventRule").inputs == {
        "name": "shop-prod-pipeline-image-push",
        "description": "shop-prod:promoted was pushed: start shop-prod-pipeline",
        "eventPattern": json.dumps(event_pattern(TRIGGER)),
        "tags": TAGS,
    }
    assert graph.one("EventTarget").inputs == {
        "rule": "shop-prod-pipeline-image-push",
        "arn": PIPELINE,
        "roleArn": graph.one("Role").outputs["arn"],
        "inputTransformer": {
            "inputPaths": {"digest": "$.detail.image-digest"},
            "inputTemplate": REVISION.start_request("SourceImage"),
        },
    }


def test_the_rule_may_start_this_pipeline_and_nothing_else() -> None:
    graph = rule()
    policy = graph.one("RolePolicy").inputs
    assert policy["role"] == graph.one("Role").outputs["name"]
    assert json.loads(policy["policy"])["Statement"] == [
        {
            "Sid": "StartPipeline",
            "Effect": "Allow",
            "Action": ["codepipeline:StartPipelineExecution"],
            "Resource": [PIPELINE],
        }
    ]


def test_only_this_rule_may_take_the_role() -> None:
    role = rule().one("Role").inputs
    assert role["description"] == "Starts the pipeline shop-prod-pipeline"
    assert role["tags"] == TAGS
    assert json.loads(role["assumeRolePolicy"])["Statement"] == [
        {
            "Sid": "AssumedByService",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEqualsIfExists": {"aws:SourceAccount": "123456789012"},
                "ArnEqualsIfExists": {"aws:SourceArn": arn("events", "rule/shop-prod-pipeline-image-push")},
            },
        }
    ]


def test_everything_belongs_to_the_component() -> None:
    component = rule().one("ecs-delivery:index:ImagePushTriggerRule")
    assert sorted(item.type.split(":")[-1] for item in rule().children(component)) == [
        "EventRule",
        "EventTarget",
        "Role",
        "RolePolicy",
    ]
    assert rule().registered_outputs[component.urn] == {}
