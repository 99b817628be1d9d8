"""The topic: encrypted, open to this stack's alarms alone, and who gets its messages."""

from __future__ import annotations

import json
from typing import Any

from mocked import Graph
from published import stack
from summary import program

KEY = "arn:aws:kms:eu-west-1:123456789012:key/shop-encryption-key-id"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:shop-dev-notifications"
GIVEN = "arn:aws:sns:eu-west-1:123456789012:deliveries"
ALARMS = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop-dev-*"
OF_THIS_STACK = {"StringEquals": {"aws:SourceAccount": "123456789012"}, "ArnLike": {"aws:SourceArn": ALARMS}}


def statements(graph: Graph, kind: str) -> dict[str, dict[str, Any]]:
    return {item["Sid"]: item for item in json.loads(graph.one(kind).inputs["policy"])["Statement"]}


def test_the_topic_is_encrypted_with_the_key_of_the_stack_which_cloudwatch_may_use_for_its_alarms() -> None:
    graph = stack()
    assert graph.one("aws:sns/topic:Topic").inputs["kmsMasterKeyId"] == KEY
    policy = statements(graph, "KeyPolicy")
    assert policy["EncryptAlarmsOfThisStack"] == {
        "Sid": "EncryptAlarmsOfThisStack",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": OF_THIS_STACK,
    }


def test_the_topic_takes_alarms_of_this_stack_and_nothing_unencrypted() -> None:
    assert statements(stack(), "TopicPolicy") == {
        "PublishEncryptedOnly": {
            "Sid": "PublishEncryptedOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": TOPIC,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        "PublishAlarmsOfThisStack": {
            "Sid": "PublishAlarmsOfThisStack",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": TOPIC,
            "Condition": OF_THIS_STACK,
        },
    }


def test_alarms_tell_when_they_fire_and_when_they_are_over_and_wait_for_the_policies() -> None:
    graph = stack()
    alarms = graph.of("MetricAlarm")
    assert len(alarms) == 3
    for alarm in alarms:
        assert alarm.inputs["name"].startswith("shop-dev-")
        assert (alarm.inputs["alarmActions"], alarm.inputs["okActions"]) == ([TOPIC], [TOPIC])
        assert {graph.one("TopicPolicy").urn, graph.one("KeyPolicy").urn} <= set(alarm.dependencies)


def test_where_nobody_wants_to_know_of_alarms_cloudwatch_may_nothing() -> None:
    graph = stack("failed")
    assert set(statements(graph, "TopicPolicy")) == {"PublishEncryptedOnly"}
    assert "EncryptAlarmsOfThisStack" not in statements(graph, "KeyPolicy")
    assert [alarm for alarm in graph.of("MetricAlarm") if "alarmActions" in alarm.inputs] == []


def test_a_topic_that_is_given_is_used_as_it_is_with_its_key() -> None:
    graph = program("everything-on")
    assert graph.of("aws:sns/topic:Topic") == []
    assert graph.of("aws:sns/topicPolicy:TopicPolicy") == []
    assert graph.exports["notificationTopicArn"] == GIVEN
    policy = graph.policy("shop-messenger-policy")
    assert policy["PublishMessages"]["Resource"] == [GIVEN]
    assert policy["EncryptMessages"]["Resource"] == [
        "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c-4b5a-4697-8877-665544332211"
    ]


def test_a_topic_that_is_given_without_a_key_needs_none() -> None:
    assert "EncryptMessages" not in stack("failed", topicArn=GIVEN).policy("shop-messenger-policy")
    alarmed = stack("alarm", topicArn=GIVEN)
    assert {alarm.inputs["alarmActions"][0] for alarm in alarmed.of("MetricAlarm")} == {GIVEN}
    assert "EncryptAlarmsOfThisStack" not in statements(alarmed, "KeyPolicy")
    notes = [note for note in alarmed.exports["nextSteps"] if GIVEN in note]
    admits = "lets the roles of the functions publish, and cloudwatch.amazonaws.com for the alarms"
    assert notes == [f"See that the policy of {GIVEN} {admits}: docs/operations.md."]


def test_an_address_is_a_subscription_of_its_own_that_its_owner_confirms() -> None:
    graph = program("everything-on")
    made = graph.one("aws:sns/topicSubscription:TopicSubscription")
    assert made.inputs == {"topic": GIVEN, "protocol": "email", "endpoint": "shop-team@example.com"}
    assert made.name.endswith("-shop-team@example.com")  # another one beside it leaves it as it is
    assert [note for note in graph.exports["nextSteps"] if "Confirm the subscription in the e-mail" in note]


def test_channels_get_messages_and_may_do_nothing() -> None:
    """What is allowed is what role and guardrail allow both, and the role has no policy.

    https://docs.aws.amazon.com/chatbot/latest/adminguide/understanding-permissions.html
    """
    graph = program("everything-on")
    role = graph.one("Role", "shop-notifications-chat-role")
    assert not [policy for policy in graph.of("RolePolicy") if policy.inputs["role"] == role.outputs["name"]]
    for kind in ("SlackChannelConfiguration", "TeamsChannelConfiguration"):
        made = graph.one(kind).inputs
        assert made["snsTopicArns"] == [GIVEN]
        assert made["iamRoleArn"] == role.outputs["arn"]
        assert made["guardrailPolicyArns"] == ["arn:aws:iam::aws:policy/AWSDenyAll"]
    told = [note for note in graph.exports["nextSteps"] if note.startswith("Authorize ")]
    assert [note.split(" once")[0] for note in told] == ["Authorize Slack", "Authorize Microsoft Teams"]


def test_a_topic_that_nobody_hears_of_is_told() -> None:
    (note,) = [note for note in stack().exports["nextSteps"] if "Subscribe to the topic" in note]
    assert note.endswith(
        f"aws sns subscribe --topic-arn {TOPIC} --protocol email --notification-endpoint team@example.com "
        "--region eu-west-1"
    )
