"""Promotion: the tested image goes on, by digest, here or into another account, with or without a person's yes."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest
from samples import (
    LOGIN,
    REGISTRY,
    BuiltStage,
    build_stage,
    image_repository,
    pull_statement,
    push_statement,
    shop,
    start_statement,
)

from components.pipeline.model import Action, Artifact, Category, Provider
from components.pipeline.variables import COMMIT
from components.stages.promotion import PromotionStage, PromotionStageArgs
from components.stages.verification import VerificationArgs
from components.stages.wanted import args_of

OTHER_ACCOUNT = "210987654321"
ROLE = f"arn:aws:iam::{OTHER_ACCOUNT}:role/shop-promote"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:approvals"
PROMOTE = Action(
    name="PromoteImage",
    category=Category.BUILD,
    provider=Provider.CODEBUILD,
    machine="ARM Lambda/2GB",
    configuration={"ProjectName": "shop-dev-promote-image"},
    environment={"IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}"},
    reads=(Artifact.DEPLOYMENT,),
    namespace="PromoteImage",
    exports=("PROMOTED_IMAGE_URI",),
    run_order=2,
)
STARTS = [start_statement("promote-image"), start_statement("verify-image")]


QUESTION = "Promote version #{BuildImage.IMAGE_VERSION} (#{BuildImage.IMAGE_DIGEST}) to shop-prod?"


def promotion(**settings: object) -> BuiltStage:
    return build_stage(PromotionStage, shop(promotion={"enabled": True, "repository": "shop-prod", **settings}))


@cache
def here() -> BuiltStage:
    return promotion()


@cache
def elsewhere() -> BuiltStage:
    return promotion(accountId=OTHER_ACCOUNT, roleArn=ROLE, region="us-east-1", tag="stable")


# In this account


def test_an_image_is_verified_and_then_promoted() -> None:
    verify, promote = here().actions
    assert (verify.name, verify.run_order) == ("VerifyImage", 1)
    assert promote == PROMOTE
    assert here().grants == STARTS


def test_an_image_that_has_to_prove_nothing_is_promoted_by_one_job() -> None:
    section = {"enabled": True, "repository": "shop-prod"}
    off = {"provenance": {"enabled": False}}
    built = build_stage(PromotionStage, shop(promotion=section, verification=off))
    assert built.actions == (replace(PROMOTE, run_order=1),)
    assert built.grants == [start_statement("promote-image")]


@pytest.mark.parametrize("settings", [{}, {"accountId": OTHER_ACCOUNT, "roleArn": ROLE}], ids=["own", "other account"])
def test_within_a_region_a_promotion_starts_at_once(settings: dict[str, str]) -> None:
    """Lambda's 15 minutes carry tens of GB there."""
    assert promotion(**settings).machine("promote-image")[::2] == ("ARM_LAMBDA_CONTAINER", "BUILD_LAMBDA_2GB")


def test_a_promotion_to_another_region_may_take_longer_than_lambda_allows() -> None:
    assert elsewhere().machine("promote-image")[0] == "ARM_CONTAINER"
    assert elsewhere().project("promote-image").inputs["buildTimeout"] == 120


def test_the_target_is_this_account_and_region_unless_others_are_named() -> None:
    assert here().variables("promote-image") == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "TARGET_REPOSITORY": "shop-prod",
        "TARGET_REGISTRY": "123456789012",
        "TARGET_REGION": "eu-west-1",
        "TARGET_ROLE_ARN": "",
        "CHANNEL_TAG": "promoted",
    }


def test_a_promotion_reads_one_repository_and_adds_to_the_other() -> None:
    assert here().statements("promote-image") == [
        pull_statement("shop-dev"),
        LOGIN,
        push_statement("shop-prod"),
    ]


def test_another_region_of_this_account_needs_no_role() -> None:
    built = promotion(region="us-east-1")
    assert built.variables("promote-image")["TARGET_REGION"] == "us-east-1"
    assert built.variables("promote-image")["TARGET_ROLE_ARN"] == ""
    granted = {item["Sid"]: item["Resource"] for item in built.statements("promote-image")}
    there = "arn:aws:ecr:us-east-1:123456789012:repository/shop-prod"
    assert granted["PushImage"] == [there]


def test_there_is_nothing_to_do_by_hand_in_ones_own_account() -> None:
    assert here().notes == []


MADE = {"loadBalancer": {"plainHttp": True}}
WITH_NGINX = {"name": "shop", "containers": {"nginx": {"image": "build/nginx"}}}
NGINX_IMAGE = {"images": {"nginx": {"dockerfile": "nginx/Dockerfile"}}}


def test_what_is_delivered_with_the_image_is_promoted_with_it() -> None:
    """Beside the application's repository there, as it is here; the digests are those that were deployed."""
    section = {"enabled": True, "repository": "shop-prod"}
    built = build_stage(
        PromotionStage, shop(promotion=section, application=WITH_NGINX, build=NGINX_IMAGE, hosting=MADE)
    )
    assert built.actions[1].environment == {
        **PROMOTE.environment,
        "FURTHER_DIGESTS": "#{PrepareDeployment.FURTHER_DIGESTS}",
    }
    assert built.variables("promote-image")["FURTHER_IMAGES"] == json.dumps({"nginx": f"{REGISTRY}/shop-dev-nginx"})
    granted = {item["Sid"]: item["Resource"] for item in built.statements("promote-image")}
    assert granted["PullImage"] == [image_repository("shop-dev"), image_repository("shop-dev-nginx")]
    assert granted["PushImage"] == [image_repository("shop-prod"), image_repository("shop-prod-nginx")]


# Into another account


def test_another_account_is_entered_by_its_role_and_by_nothing_else() -> None:
    """What may be done there is that role's to say; no permission of ours reaches into the account."""
    assert elsewhere().variables("promote-image") == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "TARGET_REPOSITORY": "shop-prod",
        "TARGET_REGISTRY": OTHER_ACCOUNT,
        "TARGET_REGION": "us-east-1",
        "TARGET_ROLE_ARN": ROLE,
        "CHANNEL_TAG": "stable",
    }
    assert elsewhere().statements("promote-image") == [
        pull_statement("shop-dev"),
        LOGIN,
        {"Sid": "EnterTargetAccount", "Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": [ROLE]},
    ]


def test_the_other_stack_can_name_our_role_before_it_exists() -> None:
    """Each of the two stacks names a role of the other; neither could be the first if the names were drawn by lot."""
    for built in (elsewhere(), here()):
        (role,) = (each for each in built.graph.of("Role") if "promote" in each.name)
        assert role.inputs["name"] == "shop-dev-promote-image"


def test_the_user_is_told_how_the_other_account_lets_us_in() -> None:
    role = elsewhere().project("promote-image").inputs["serviceRole"]
    (note,) = elsewhere().notes
    assert note == (
        f"Let {role} into the other account: the stack that owns shop-prod names it under source.ecr.promoters, "
        f"which makes the role {ROLE}."
    )


# A person's yes


def test_with_approval_a_person_is_asked_first() -> None:
    """With version and digest, and a link to where that version can be looked at."""
    built = promotion(approval={"enabled": True, "timeoutMinutes": 120})
    verify, ask, promote = built.actions
    assert verify.name == "VerifyImage", "nobody is asked about an image that may not be promoted"
    assert ask == Action(
        name="ApprovePromotion",
        category=Category.APPROVAL,
        provider=Provider.MANUAL,
        configuration={"CustomData": QUESTION, "ExternalEntityLink": "https://shop.example.com"},
        timeout_minutes=120,
        run_order=2,
    )
    assert promote.run_order == 3
    assert set(map(str, built.grants)) == set(map(str, STARTS))


def test_a_service_nobody_can_find_is_not_linked() -> None:
    settings = shop(promotion={"enabled": True, "repository": "shop-prod", "approval": {"enabled": True}})
    ask = build_stage(PromotionStage, settings, service_url=None).actions[1]
    assert ask.configuration == {"CustomData": QUESTION}


def test_a_topic_is_told_when_an_approval_waits() -> None:
    built = promotion(approval={"enabled": True, "notifyTopicArn": TOPIC})
    assert built.actions[1].configuration == {
        "CustomData": QUESTION,
        "ExternalEntityLink": "https://shop.example.com",
        "NotificationArn": TOPIC,
    }
    assert built.grants == [
        start_statement("promote-image"),
        {"Sid": "AskForApproval", "Effect": "Allow", "Action": ["sns:Publish"], "Resource": [TOPIC]},
        start_statement("verify-image"),
    ]


def test_a_topic_of_an_approval_that_is_off_gets_nothing() -> None:
    built = promotion(approval={"enabled": False, "notifyTopicArn": TOPIC})
    assert built.actions[1:] == (PROMOTE,)
    assert built.grants == STARTS


# The stage


def test_the_toggle_decides() -> None:
    assert args_of(PromotionStage, shop()) is None
    assert args_of(PromotionStage, shop(promotion={"enabled": False, "repository": "shop-prod"})) is None
    settings = shop(promotion={"enabled": True, "repository": "shop-prod"})
    assert args_of(PromotionStage, settings) == PromotionStageArgs(
        promotion=settings.promotion,
        repository="shop-prod",
        verification=VerificationArgs(source_url="https://github.com/example/shop", pipeline=None, revision=COMMIT),
        signed_with=None,
    )


def test_an_image_of_the_watched_repository_can_be_promoted_further() -> None:
    settings = shop(
        source={"ecr": {"repository": "shop-test", "tag": "promoted"}},
        promotion={"enabled": True, "repository": "shop-prod"},
    )
    built = build_stage(PromotionStage, settings)
    assert built.statements("promote-image")[0] == pull_statement("shop-test")
    assert built.jobs == ["promote-image"], "it was verified before it was deployed"


def test_the_role_that_copies_is_what_the_stage_offers() -> None:
    assert here().name == "Promote"
    assert here().registered == {"roleArn": here().project("promote-image").inputs["serviceRole"]}
