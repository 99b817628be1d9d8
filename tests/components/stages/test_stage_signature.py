"""Images are signed where they are built, by the one role that may, and verified before they go any further."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from mocked import build_program
from samples import (
    LOGIN,
    PUSH,
    REGISTRY,
    BuiltStage,
    arn,
    build_stage,
    image_repository,
    pull_statement,
    push_statement,
    shop,
    start_statement,
)
from summary import stack_files

from components.pipeline.model import Action, Artifact, Category, Provider
from components.settings import load_stack_file
from components.stages.build import BuildStage
from components.stages.promotion import PromotionStage
from local.rehearsal.resources import policies_of

PROFILE = arn("signer", "/signing-profiles/shop_dev")
SIGNED = {"signature": {"signingProfile": PROFILE}}
PROMOTION = {"enabled": True, "repository": "shop-prod"}
MADE = {"loadBalancer": {"plainHttp": True}}
PUSHED = {"ecr": {"repository": "shop-prod", "tag": "promoted"}}
PROVENANCE = {"source": "https://github.com/example/shop", "pipeline": "shop-dev"}
REVOCATIONS = {
    "Sid": "ReadRevocations",
    "Effect": "Allow",
    "Action": ["signer:GetRevocationStatus"],
    "Resource": ["*"],
}
SIGN = {"Sid": "SignImage", "Effect": "Allow", "Action": ["signer:SignPayload"], "Resource": [PROFILE]}


@cache
def built() -> BuiltStage:
    return build_stage(BuildStage, shop(promotion=PROMOTION, verification=SIGNED))


@cache
def promoted() -> BuiltStage:
    return build_stage(PromotionStage, shop(promotion=PROMOTION, verification=SIGNED))


@cache
def arrived() -> BuiltStage:
    return build_stage(BuildStage, shop(source=PUSHED, verification={**SIGNED, "provenance": PROVENANCE}))


def action(name: str, job: str, run_order: int) -> Action:
    return Action(
        name=name,
        category=Category.BUILD,
        provider=Provider.CODEBUILD,
        machine="ARM/Small",
        configuration={"ProjectName": f"shop-dev-{job}"},
        environment={"IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}"},
        reads=(Artifact.IMAGE,),
        run_order=run_order,
    )


def test_nothing_is_signed_or_verified_unless_the_stack_file_names_a_profile() -> None:
    stages = [build_stage(stage, shop(promotion=PROMOTION)) for stage in (BuildStage, PromotionStage)]
    assert not [each.name for stage in stages for each in stage.actions if "Sign" in each.name]


def test_what_is_built_here_is_signed_after_the_build() -> None:
    assert built().actions[-1] == action("SignImage", "sign-image", 2)
    assert start_statement("sign-image") in built().grants
    assert built().variables("sign-image") == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "SIGNING_PROFILE": PROFILE,
    }


def test_who_signs_may_sign_with_this_profile_and_push_beside_the_image_and_nothing_else() -> None:
    assert built().statements("sign-image") == [
        pull_statement("shop-dev"),
        LOGIN,
        REVOCATIONS,
        SIGN,
        push_statement("shop-dev"),
    ]


def test_what_was_signed_here_is_verified_before_it_is_promoted() -> None:
    """After the provenance, which takes no minute; before anybody is asked."""
    approval = {**PROMOTION, "approval": {"enabled": True}}
    asked = build_stage(PromotionStage, shop(promotion=approval, verification=SIGNED))
    assert [(each.name, each.run_order) for each in asked.actions] == [
        ("VerifyImage", 1),
        ("VerifySignature", 2),
        ("ApprovePromotion", 3),
        ("PromoteImage", 4),
    ]
    assert asked.actions[1] == action("VerifySignature", "verify-signature", 2)


@pytest.mark.parametrize("stage", [promoted, arrived])
def test_who_verifies_may_change_nothing(stage: Callable[[], BuiltStage]) -> None:
    repository = "shop-dev" if stage is promoted else "shop-prod"
    found = stage()
    assert found.statements("verify-signature") == [pull_statement(repository), LOGIN, REVOCATIONS]
    assert start_statement("verify-signature") in found.grants


def test_an_image_from_ecr_is_verified_before_it_is_deployed_and_not_signed() -> None:
    about = [each.name for each in arrived().actions if "Sign" in each.name]
    assert about == ["VerifySignature"]
    again = build_stage(
        PromotionStage,
        shop(
            source=PUSHED,
            promotion={**PROMOTION, "repository": "shop-live"},
            verification={**SIGNED, "provenance": PROVENANCE},
        ),
    )
    assert "VerifySignature" not in [each.name for each in again.actions]


def test_further_images_are_signed_with_it() -> None:
    nginx = {"application": {"name": "shop", "containers": {"nginx": {"image": "build/nginx"}}}}
    images = {"images": {"nginx": {"dockerfile": "nginx/Dockerfile"}}}
    both = build_stage(BuildStage, shop(**nginx, build=images, hosting=MADE, verification=SIGNED))
    signed = next(each for each in both.actions if each.name == "SignImage")
    assert signed.environment == {
        "IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}",
        "FURTHER_DIGESTS": "nginx=#{BuildNginxImage.IMAGE_DIGEST}",
    }
    pushed = next(each for each in both.statements("sign-image") if each["Sid"] == "PushImage")
    assert pushed["Action"] == PUSH
    assert pushed["Resource"] == [image_repository("shop-dev"), image_repository("shop-dev-nginx")]


@pytest.mark.parametrize("name", sorted(stack_files()))
def test_no_role_but_that_of_the_signing_job_may_sign(name: str) -> None:
    """Whoever runs code of the repository would sign what that says."""
    values: dict[str, Any] = dict(load_stack_file(stack_files()[name]))
    section = dict(values.get("ecs-delivery:verification", {}))
    values["ecs-delivery:verification"] = {**section, **SIGNED}
    graph = [resource.as_dict() for resource in build_program(values, stack_name=name)]
    may = {role for role, policies in policies_of(graph).items() if "signer:SignPayload" in json.dumps(policies)}
    assert all(role.endswith("sign-image") or "sign-image-role" in role for role in may)
    builds = "github" in values["ecs-delivery:source"] or any(
        kind in values["ecs-delivery:source"] for kind in ("gitlab", "bitbucket", "s3")
    )
    assert len(may) == builds
