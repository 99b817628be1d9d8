"""What starts a pipeline when code is uploaded: the one object, and no other, pinned to its new version."""

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
from test_image_push_trigger import matches

from components.pipeline.model import UploadTrigger
from components.pipeline.start_rule import StartRuleArgs
from components.pipeline.upload_trigger import UploadTriggerRule, event_pattern, upload_of

TRIGGER = UploadTrigger(bucket="shop-uploads", object_key="builds/shop.zip")
PIPELINE = arn("codepipeline", "shop-dev")
VERSION = "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
UPLOAD: Mapping[str, Any] = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "123456789012",
    "time": "2026-03-02T09:41:07Z",
    "region": "eu-west-1",
    "resources": ["arn:aws:s3:::shop-uploads"],
    "detail": {
        "version": "0",
        "bucket": {"name": "shop-uploads"},
        "object": {
            "key": "builds/shop.zip",
            "size": 5,
            "etag": "b1946ac92492d2347c6235b4d2611184",
            "version-id": VERSION,
            "sequencer": "617f08299329d189",
        },
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "1.2.3.4",
        "reason": "PutObject",
    },
}


def event(part: str, **changes: str) -> dict[str, Any]:
    """The upload with some details of its bucket or its object changed."""
    changed = copy.deepcopy(dict(UPLOAD))
    changed["detail"][part] |= changes
    return changed


@cache
def rule() -> Graph:
    def program() -> None:
        UploadTriggerRule(
            "trigger",
            StartRuleArgs(
                foundation=foundation(),
                pipeline_name="shop-dev",
                pipeline_arn=pulumi.Output.from_input(PIPELINE),
                source_action="Source",
                occasion=upload_of(TRIGGER),
            ),
        )

    return build(program)


@pytest.mark.parametrize("reason", ["PutObject", "POST Object", "CopyObject", "CompleteMultipartUpload"])
def test_an_upload_starts_the_pipeline_however_it_was_made(reason: str) -> None:
    """A large archive comes in parts: a rule that names PutObject alone misses it."""
    given = {**UPLOAD, "detail": {**UPLOAD["detail"], "reason": reason}}
    assert matches(json.loads(rule().one("EventRule").inputs["eventPattern"]), given)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(event("object", key="shop.zip"), id="a key that ends like it"),
        pytest.param(event("object", key="builds/shop.zip.sig"), id="a key that starts like it"),
        pytest.param(event("bucket", name="shop-uploads-2"), id="another bucket"),
        pytest.param({**UPLOAD, "detail-type": "Object Deleted"}, id="the deletion of the object"),
        pytest.param({**UPLOAD, "detail-type": "Object Tags Added"}, id="tags of the object"),
        pytest.param({**UPLOAD, "source": "com.example.s3"}, id="somebody else's event"),
    ],
)
def test_no_other_event_starts_the_pipeline(other: dict[str, Any]) -> None:
    """Builds and signatures lie beside it in the bucket; each extra run would deploy again."""
    assert not matches(event_pattern(TRIGGER), other)


def test_the_run_is_pinned_to_the_version_of_the_event() -> None:
    """A second upload could come before the run has looked: both runs would then deploy the later one."""
    target = rule().one("EventTarget").inputs
    assert target["inputTransformer"]["inputPaths"] == {"version": "$.detail.object.version-id"}
    found: Any = UPLOAD
    for step in target["inputTransformer"]["inputPaths"]["version"].removeprefix("$.").split("."):
        found = found[step]
    assert json.loads(target["inputTransformer"]["inputTemplate"].replace("<version>", found)) == {
        "sourceRevisions": [{"actionName": "Source", "revisionType": "S3_OBJECT_VERSION_ID", "revisionValue": VERSION}]
    }


def test_rule_and_role_are_of_this_pipeline() -> None:
    graph = rule()
    assert graph.one("EventRule").inputs == {
        "name": "shop-dev-upload",
        "description": "builds/shop.zip was uploaded to shop-uploads: start shop-dev",
        "eventPattern": json.dumps(event_pattern(TRIGGER)),
        "tags": TAGS,
    }
    (statement,) = json.loads(graph.one("RolePolicy").inputs["policy"])["Statement"]
    assert (statement["Action"], statement["Resource"]) == (["codepipeline:StartPipelineExecution"], [PIPELINE])
    assert graph.one("EventTarget").inputs["roleArn"] == graph.one("Role").outputs["arn"]
    trust = json.loads(graph.one("Role").inputs["assumeRolePolicy"])["Statement"][0]
    assert arn("events", "rule/shop-dev-upload") in json.dumps(trust["Condition"])
