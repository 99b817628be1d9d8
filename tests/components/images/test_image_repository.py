"""ECR repositories: what a stack makes, what it only refers to, and who may do what with them."""

from __future__ import annotations

import json
from functools import cache

import pulumi
import pytest
from mocked import Graph, build
from samples import KEY, LOGIN, TAGS, foundation, pull_statement, push_statement, resolved

from components.foundation.account import AwsAccount
from components.foundation.iam import policy_document
from components.images.image_repository import ImageRepository, ImageRepositoryArgs, lifecycle_rules
from components.images.repository import existing_repository, registry_login

SHOP = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop-prod"
PROMOTER = "arn:aws:iam::210987654321:role/shop-dev-promote"


@cache
def repository(*, protect: bool = False, promoters: tuple[str, ...] = ()) -> Graph:
    def program() -> None:
        made = ImageRepository(
            "images",
            ImageRepositoryArgs(
                foundation=foundation(images=25, protect=protect),
                repository_name="shop-prod",
                mutable_tags=("promoted", "cache*"),
                promoters=promoters,
                promotion_role="shop-prod-promotion",
            ),
        )
        pulumi.export("pull", policy_document([made.repository.pull()]))
        pulumi.export("push", policy_document([made.repository.push()]))

    return build(program)


def existing(*, account_id: str | None = None, region: str | None = None) -> list[str]:
    def program() -> list[pulumi.Output[str]]:
        account = AwsAccount(pulumi.Output.from_input(KEY))
        found = existing_repository("shop-prod", account, account_id=account_id, region=region)
        return [found.arn, found.uri, pulumi.Output.from_input(found.name)]

    return list(resolved(program))


def test_tags_are_immutable_but_for_the_named_ones_and_images_are_scanned_and_encrypted() -> None:
    """A tag that can move makes yesterday's deployment impossible to repeat."""
    assert repository().one("aws:ecr/repository:Repository").inputs == {
        "name": "shop-prod",
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [
            {"filter": "promoted", "filterType": "WILDCARD"},
            {"filter": "cache*", "filterType": "WILDCARD"},
        ],
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": KEY}],
        "forceDelete": True,
        "tags": TAGS,
    }


@pytest.mark.parametrize("protect", [False, True], ids=["dev", "prod"])
def test_a_protected_repository_keeps_its_images_and_another_goes_with_them(*, protect: bool) -> None:
    made = repository(protect=protect).one("aws:ecr/repository:Repository")
    assert made.protect is protect
    assert made.inputs["forceDelete"] is not protect


def test_old_images_expire() -> None:
    """Untagged images by age, since a replaced cache or an abandoned push is of no use; tagged ones by number.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
    """
    policy = repository().one("LifecyclePolicy").inputs
    assert policy["repository"] == "shop-prod"
    assert json.loads(policy["policy"]) == lifecycle_rules(keep_images=25)
    assert lifecycle_rules(keep_images=25) == {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Untagged images: replaced caches and abandoned pushes",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 7,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 2,
                "description": "Keep the newest 25 tagged images",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPatternList": ["*"],
                    "countType": "imageCountMoreThan",
                    "countNumber": 25,
                },
                "action": {"type": "expire"},
            },
        ]
    }


def test_who_pulls_cannot_push_and_nobody_can_delete() -> None:
    graph = repository()
    assert json.loads(graph.exports["pull"])["Statement"] == [pull_statement("shop-prod")]
    assert json.loads(graph.exports["push"])["Statement"] == [push_statement("shop-prod")]
    assert "Delete" not in graph.exports["push"]


def test_logging_in_to_the_registry_gives_no_repository() -> None:
    """AWS offers no narrower resource for the token; what it opens is decided by the statements per repository."""
    assert json.loads(resolved(lambda: policy_document([registry_login()])))["Statement"] == [LOGIN]


def test_without_promoters_no_other_account_gets_a_role() -> None:
    graph = repository()
    assert graph.of("Role") == []
    assert graph.of("RolePolicy") == []
    component = graph.one("ecs-delivery:index:ImageRepository")
    assert graph.registered_outputs[component.urn] == {"repositoryUrl": SHOP}


def test_promoters_get_a_role_that_pushes_into_this_repository_alone() -> None:
    """With the role the other account reaches nothing else here: its own permissions end where it takes the role."""
    graph = repository(promoters=(PROMOTER,))
    role = graph.one("Role")
    assert json.loads(role.inputs["assumeRolePolicy"])["Statement"] == [
        {
            "Sid": "AssumedByNamedRoles",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::210987654321:root"]},
            "Action": "sts:AssumeRole",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": [PROMOTER]}},
        }
    ]
    assert role.inputs["name"] == "shop-prod-promotion"
    assert role.inputs["description"] == "Promotes images into shop-prod from another account"
    assert role.inputs["tags"] == TAGS
    policy = graph.one("RolePolicy").inputs
    assert policy["role"] == role.outputs["name"]
    assert json.loads(policy["policy"])["Statement"] == [push_statement("shop-prod"), LOGIN]
    component = graph.one("ecs-delivery:index:ImageRepository")
    assert graph.registered_outputs[component.urn] == {
        "repositoryUrl": SHOP,
        "promotionRoleArn": role.outputs["arn"],
    }


@pytest.mark.parametrize(
    ("account_id", "region", "arn", "uri"),
    [
        pytest.param(None, None, "arn:aws:ecr:eu-west-1:123456789012:repository/shop-prod", SHOP, id="here"),
        pytest.param(
            "210987654321",
            None,
            "arn:aws:ecr:eu-west-1:210987654321:repository/shop-prod",
            "210987654321.dkr.ecr.eu-west-1.amazonaws.com/shop-prod",
            id="in another account",
        ),
        pytest.param(
            None,
            "us-east-1",
            "arn:aws:ecr:us-east-1:123456789012:repository/shop-prod",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop-prod",
            id="in another region",
        ),
    ],
)
def test_a_repository_that_is_there_already_is_known_by_its_name(
    account_id: str | None, region: str | None, arn: str, uri: str
) -> None:
    assert existing(account_id=account_id, region=region) == [arn, uri, "shop-prod"]
