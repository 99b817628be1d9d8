"""Account, region and partition are read off an ARN, so that no round trip asks for them."""

from __future__ import annotations

import pulumi
import pytest
from mocked import build
from samples import resolved

from components.foundation.account import AwsAccount

PLACES = [("aws", "eu-west-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")]


def account(partition: str = "aws", region: str = "eu-west-1") -> AwsAccount:
    return AwsAccount(pulumi.Output.from_input(f"arn:{partition}:kms:{region}:123456789012:key/abc"))


@pytest.mark.parametrize(("partition", "region"), PLACES)
def test_an_arn_tells_region_and_account(partition: str, region: str) -> None:
    def facts() -> list[pulumi.Output[str]]:
        here = account(partition, region)
        return [here.region, here.id]

    assert resolved(facts) == [region, "123456789012"]


def test_an_arn_whose_resource_holds_colons_tells_them_too() -> None:
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/shop:*"
    assert resolved(lambda: AwsAccount(pulumi.Output.from_input(arn)).id) == "123456789012"


def test_nothing_is_asked_of_aws() -> None:
    """`getCallerIdentity` and its like are round trips at every preview, and need credentials for it."""
    assert build(lambda: account().arn("ecr", "repository/shop")).invokes == []


@pytest.mark.parametrize(("partition", "region"), PLACES)
def test_the_arn_of_a_resource_follows_from_its_name(partition: str, region: str) -> None:
    made = resolved(lambda: account(partition, region).arn("ecr", "repository/shop"))
    assert made == f"arn:{partition}:ecr:{region}:123456789012:repository/shop"


def test_a_resource_may_be_elsewhere() -> None:
    made = resolved(lambda: account().arn("ecr", "repository/shop", region="us-east-1", account_id="210987654321"))
    assert made == "arn:aws:ecr:us-east-1:210987654321:repository/shop"


def test_a_service_that_names_no_region_or_account_gets_none() -> None:
    assert resolved(lambda: account().arn("s3", "shop-static", region="", account_id="")) == "arn:aws:s3:::shop-static"
    assert resolved(lambda: account().arn("iam", "root", region="")) == "arn:aws:iam::123456789012:root"


def test_a_role_given_by_name_becomes_an_arn_without_region() -> None:
    assert resolved(lambda: account("aws-cn", "cn-north-1").role_arn("shop-task")) == (
        "arn:aws-cn:iam::123456789012:role/shop-task"
    )


def test_a_role_given_by_arn_stays_as_it_is() -> None:
    other = "arn:aws:iam::210987654321:role/deep/shop-task"
    assert resolved(lambda: account().role_arn(other)) == other


@pytest.mark.parametrize(
    ("partition", "region", "address"),
    [
        ("aws", "eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop"),
        ("aws-cn", "cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/shop"),
        ("aws-us-gov", "us-gov-west-1", "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/shop"),
    ],
)
def test_a_repository_has_the_registrys_host_name_of_its_partition(partition: str, region: str, address: str) -> None:
    assert resolved(lambda: account(partition, region).image("shop")) == address


def test_a_repository_of_another_registry_has_its_account_and_region() -> None:
    made = resolved(lambda: account().image("team/shop", account_id="210987654321", region="us-east-1"))
    assert made == "210987654321.dkr.ecr.us-east-1.amazonaws.com/team/shop"


def test_a_service_that_answers_per_region_is_named_with_it() -> None:
    assert resolved(lambda: account().service_principal("logs")) == "logs.eu-west-1.amazonaws.com"
