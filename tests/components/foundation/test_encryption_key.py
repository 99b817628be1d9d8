"""The key: whose it is, who may use it, and how long it outlives its stack."""

from __future__ import annotations

import json
from functools import cache

import pulumi
import pytest
from mocked import Graph, build
from samples import KEY, TAGS, foundation

from components.foundation.encryption_key import EncryptionKey, EncryptionKeyArgs

ROOT = "arn:aws:iam::123456789012:root"


@cache
def key(*, protect: bool = False) -> Graph:
    return build(lambda: foundation(protect=protect).key)


def test_the_key_belongs_to_the_account_and_to_its_logs() -> None:
    """Without the first statement nobody could change the key again; without the second no log group could use it.

    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    assert json.loads(key().one("KeyPolicy").inputs["policy"])["Statement"] == [
        {
            "Sid": "AccountDecidesByIam",
            "Effect": "Allow",
            "Principal": {"AWS": ROOT},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "EncryptLogsOfThisAccount",
            "Effect": "Allow",
            "Principal": {"Service": "logs.eu-west-1.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            "Resource": "*",
            "Condition": {
                "ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-west-1:123456789012:log-group:*"}
            },
        },
    ]


@pytest.mark.parametrize(("protect", "window"), [(False, 7), (True, 30)], ids=["dev", "prod"])
def test_a_key_is_kept_exactly_where_it_should_be(*, protect: bool, window: int) -> None:
    """A dev stack leaves nothing behind on destroy (aws-cdk#36624), a prod stack cannot lose what it encrypted."""
    made = key(protect=protect).one("Key")
    assert made.inputs == {
        "description": "Artifacts, images and logs of the pipeline shop-dev",
        "enableKeyRotation": True,
        "deletionWindowInDays": window,
        "tags": TAGS,
    }
    assert made.protect is protect


def test_the_key_is_what_the_component_offers() -> None:
    component = key().one("ecs-delivery:index:EncryptionKey")
    assert key().registered_outputs[component.urn] == {"arn": KEY}
    assert len(key().children(component)) == 2


def test_a_key_that_belonged_to_another_component_is_the_same_key() -> None:
    """Replaced, it would take everything with it that it encrypts."""
    parent = "urn:pulumi:dev::ecs-delivery::ecs-delivery:index:Delivery$ecs-delivery:index:ArtifactBucket::artifacts"
    args = EncryptionKeyArgs(prefix="shop-dev", protect=False, tags=TAGS, formerly=(parent, "artifacts-key"))
    graph = build(lambda: EncryptionKey("encryption", args))
    old = parent.replace("::artifacts", "")
    assert graph.one("Key").aliases == (f"{old}$aws:kms/key:Key::artifacts-key",)
    assert graph.one("KeyPolicy").aliases == (f"{old}$aws:kms/keyPolicy:KeyPolicy::artifacts-key-policy",)


def test_a_log_group_has_the_retention_and_waits_for_the_policy_of_the_key() -> None:
    """CloudWatch Logs tries the key at once."""
    graph = build(
        lambda: foundation(log_days=90).log_group("logs", "/ecs/shop", pulumi.ComponentResource("a:b:C", "c"))
    )
    made = graph.one("LogGroup")
    assert made.inputs == {"name": "/ecs/shop", "retentionInDays": 90, "kmsKeyId": KEY, "tags": TAGS}
    assert graph.one("KeyPolicy").urn in made.dependencies
