"""What people are told of runs of a deployed stack: the function under its own role, asking emulators, to its topic."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from told_runs import edited, stack, without_data

from local.errors import Refusal
from local.rehearsal.account import Account
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.notifications import Notifications, PublishRefusedError, Topic
from local.rehearsal.pipeline.execution import ActionRun, Execution
from local.rehearsal.resources import Graph, policies_of, values_of

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rehearsed notifications")]

TOPIC = "arn:aws:sns:eu-west-1:123456789012:shop-prod-notifications"


@pytest.fixture(scope="module")
def graph(need: Any) -> Graph:  # noqa: ANN401 - a fixture
    need("ministack")
    return deployed_graph("prod", ROOT / "Pulumi.prod.yaml")


def test_a_run_that_fails_and_the_next_one_that_succeeds_are_told_and_a_third_one_is_not(
    aws: AwsServices, graph: Graph
) -> None:
    made = stack(aws, graph)
    made.run(fails="BuildImage", says="the tag v1.2.0 is on another image.")
    made.run(version="1.2.1")
    made.run(version="1.2.2")
    failed, again = made.messages
    assert failed.title == "shop in prod: the delivery failed"
    assert "\nReason: the tag v1.2.0 is on another image.\n" in failed.text
    assert "\nAction: Build/BuildImage\n" in failed.text
    assert again.title == "shop in prod: the delivery succeeds again"
    assert "\nVersion: 1.2.1\n" in again.text


def test_an_approval_is_told_before_anybody_decides(aws: AwsServices) -> None:
    asking = deployed_graph("everything-on", ROOT / "examples" / "Pulumi.everything-on.yaml")
    made = stack(aws, asking)
    action = next(action for action in made.deployed.actions if action.category == "Approval")
    execution = Execution(number=1, trigger="Push")
    waiting = ActionRun(execution.identity, action, configuration={"CustomData": "Deploy 1.2.0?"})
    made.pipeline.remember(waiting, execution)
    for _ in range(3):  # it is heard of each time that something of it changes
        made.notifications.hear(made.deployed.pipeline, execution, waiting)
    (told,) = made.messages
    assert told.title == "shop in everything-on: a person has to approve"
    assert "\nQuestion: Deploy 1.2.0?\n" in told.text


@pytest.mark.parametrize("sid", ["FollowRuns", "ReadLastWordsOfBuilds"])
def test_without_a_permission_to_look_up_the_message_says_less(aws: AwsServices, graph: Graph, sid: str) -> None:
    made = stack(aws, edited(graph, sid))
    made.run(fails="BuildImage", says="the tag is taken.")
    (told,) = made.messages
    assert told.title == "shop in prod: the delivery failed"
    assert "the tag is taken." not in told.text


@pytest.mark.parametrize(
    ("sid", "action"), [("PublishMessages", "sns:Publish"), ("EncryptMessages", "kms:GenerateDataKey")]
)
def test_without_a_permission_to_publish_nobody_is_told(aws: AwsServices, graph: Graph, sid: str, action: str) -> None:
    made = stack(aws, edited(graph, sid))
    made.run(fails="BuildImage")
    (told,) = made.messages
    assert told.title == "A message could not be sent"
    assert f"not authorized to perform {action} on" in told.text


def test_another_version_of_the_function_is_refused(aws: AwsServices, graph: Graph) -> None:
    other = copy.deepcopy(list(graph))
    (function,) = (item for item in other if item["type"] == "aws:lambda/function:Function")
    function["inputs"]["code"]["assets"]["notifications/run.py"]["hash"] = "0" * 64
    with pytest.raises(Refusal, match="is another one than this program's"):
        Notifications("prod", other, Account(aws, without_data(graph)), ())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"Subject": "x" * 100}, "Subject"),
        ({"Subject": "two\nlines"}, "Subject"),
        ({"Subject": "Grüße"}, "Subject"),
        ({"Message": json.dumps({"https": "x"})}, "No default entry"),
        ({"Message": json.dumps({"default": "x" * 262_144})}, "Message too long"),
        ({"TopicArn": f"{TOPIC}-2"}, "NotFound"),
        ({"Text": "x"}, "Unknown parameter"),
    ],
)
def test_the_topic_takes_what_sns_takes(graph: Graph, change: dict[str, str], why: str) -> None:
    (function,) = values_of(graph, "aws:lambda/function:Function")
    policies = policies_of(graph)[function["role"].rpartition("/")[2]]
    (key,) = values_of(graph, "aws:kms/key:Key")
    topic = Topic(arn=TOPIC, key=key["arn"], policies=policies)
    given = {"TopicArn": TOPIC, "MessageStructure": "json", "Subject": "x", "Message": json.dumps({"default": "x"})}
    assert topic.publish(**given)["MessageId"]
    with pytest.raises(PublishRefusedError, match=why):
        topic.publish(**{**given, **change})
