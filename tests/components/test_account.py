"""Account, region and partition are read off an ARN, so that no round trip asks for them."""

from __future__ import annotations

import pulumi
import pytest
from mocked import build
from samples import resolved

from components.account import AwsAccount


def account(partition: str = "aws", region: str = "eu-west-1") -> AwsAccount:
    return AwsAccount(pulumi.Output.from_input(f"arn:{partition}:kms:{region}:123456789012:key/abc"))


@pytest.mark.parametrize(
    ("partition", "region"), [("aws", "eu-west-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")]
)
def test_an_arn_tells_partition_region_and_account(partition: str, region: str) -> None:
    def facts() -> list[pulumi.Output[str]]:
        here = account(partition, region)
        return [here.partition, here.region, here.id]

    assert resolved(facts) == [partition, region, "123456789012"]


def test_nothing_is_asked_of_aws() -> None:
    """`getCallerIdentity` and its like are round trips at every preview, and need credentials for it."""
    assert build(lambda: account().arn("ecr", "repository/shop")).invokes == []


def test_the_arn_of_a_regional_resource_follows_from_its_name() -> None:
    made = resolved(lambda: account("aws-cn", "cn-north-1").arn("ecr", "repository/shop"))
    assert made == "arn:aws-cn:ecr:cn-north-1:123456789012:repository/shop"


def test_a_resource_may_be_an_output_and_in_another_region() -> None:
    made = resolved(lambda: account().arn("ecr", pulumi.Output.from_input("repository/shop"), region="us-east-1"))
    assert made == "arn:aws:ecr:us-east-1:123456789012:repository/shop"


def test_a_role_given_by_name_becomes_an_arn_without_region() -> None:
    assert resolved(lambda: account("aws-cn", "cn-north-1").role_arn("shop-task")) == (
        "arn:aws-cn:iam::123456789012:role/shop-task"
    )


def test_a_role_given_by_arn_stays_as_it_is() -> None:
    other = "arn:aws:iam::210987654321:role/deep/shop-task"
    assert resolved(lambda: account().role_arn(other)) == other


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
        ("aws-cn", "cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("aws-us-gov", "us-gov-west-1", "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"),
    ],
)
def test_the_registry_has_the_host_name_of_its_partition(partition: str, region: str, host: str) -> None:
    assert resolved(lambda: account(partition, region).registry()) == host


def test_another_registry_has_its_own_account_and_region() -> None:
    made = resolved(lambda: account().registry(pulumi.Output.from_input("210987654321"), "us-east-1"))
    assert made == "210987654321.dkr.ecr.us-east-1.amazonaws.com"
