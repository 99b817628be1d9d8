"""What a run delivers is verified once: before it is deployed where it comes from ECR, else before it is promoted."""

from __future__ import annotations

import json
from functools import cache

import pytest
from samples import (
    GITHUB,
    LOGIN,
    REGISTRY,
    BuiltStage,
    arn,
    build_stage,
    image_repository,
    pull_statement,
    shop,
    start_statement,
)

from components.pipeline.model import Action, Artifact, Category, Provider
from components.settings import Settings
from components.stages.build import BuildStage
from components.stages.promotion import PromotionStage
from components.stages.wanted import args_of

MADE = {"loadBalancer": {"plainHttp": True}}
PROMOTION = {"enabled": True, "repository": "shop-prod"}
PUSHED = {"ecr": {"repository": "shop-prod", "tag": "promoted"}}
OFF = {"provenance": {"enabled": False}}
WITH_NGINX = {"name": "shop", "containers": {"nginx": {"image": "build/nginx"}}}
NGINX_IMAGE = {"images": {"nginx": {"dockerfile": "nginx/Dockerfile"}}}
SOURCE = "https://github.com/example/shop"
PIPELINE = "arn:aws:codepipeline:eu-central-1:210987654321:shop-dev"


@cache
def promoted() -> BuiltStage:
    return build_stage(PromotionStage, shop(promotion=PROMOTION))


@cache
def arrived() -> BuiltStage:
    return build_stage(BuildStage, shop(source=PUSHED))


@pytest.mark.parametrize(
    ("settings", "before"),
    [
        (shop(), None),
        (shop(promotion=PROMOTION), "promotion"),
        (shop(promotion=PROMOTION, verification=OFF), None),
        (shop(source=PUSHED), "deployment"),
        (shop(source=PUSHED, promotion={**PROMOTION, "repository": "shop-live"}), "deployment"),
        (shop(source=PUSHED, verification=OFF), None),
        (shop(source={"github": GITHUB, "ecr": {"repository": "base"}}), None),
    ],
)
def test_images_are_verified_once_a_run(settings: Settings, before: str | None) -> None:
    stages = {"deployment": BuildStage, "promotion": PromotionStage}
    args = {name: args_of(stage, settings) for name, stage in stages.items()}
    wanted = {name for name, each in args.items() if each is not None and each.verification is not None}
    assert wanted == ({before} if before else set())


def test_what_is_built_here_is_compared_with_this_run() -> None:
    """Its code is that of the stack file and of the run, its builder this stack's own."""
    assert promoted().actions[0] == Action(
        name="VerifyImage",
        category=Category.BUILD,
        provider=Provider.CODEBUILD,
        machine="ARM Lambda/1GB",
        configuration={"ProjectName": "shop-dev-verify-image"},
        environment={"IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}", "COMMIT_ID": "#{Source.CommitId}"},
        reads=(Artifact.IMAGE,),
    )
    assert promoted().variables("verify-image") == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "PLATFORM": "linux/arm64",
        "SOURCE_URL": SOURCE,
        "BUILDER_ID": arn("codebuild", "project/shop-dev-build-image"),
    }
    assert start_statement("verify-image") in promoted().grants


def test_uploaded_code_is_known_by_its_version() -> None:
    uploaded = {"s3": {"bucket": "shop-uploads", "objectKey": "shop.zip"}}
    built = build_stage(PromotionStage, shop(source=uploaded, promotion=PROMOTION))
    assert built.actions[0].environment["OBJECT_VERSION"] == "#{Source.VersionId}"
    assert built.variables("verify-image")["SOURCE_URL"] == "s3://shop-uploads/shop.zip"


def test_what_arrives_is_compared_with_the_stack_file() -> None:
    (verify,) = (action for action in arrived().actions if action.name == "VerifyImage")
    assert verify.environment == {"IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}"}
    variables = arrived().variables("verify-image")
    assert variables["IMAGE_REPOSITORY_URI"] == f"{REGISTRY}/shop-prod"
    assert variables["SOURCE_URL"] == SOURCE
    assert variables["BUILDER_ID"] == arn("codebuild", "project/shop-dev-build-image")


def test_a_pipeline_elsewhere_is_named_by_its_arn() -> None:
    verification = {"provenance": {"source": SOURCE, "pipeline": PIPELINE}}
    built = build_stage(BuildStage, shop(source=PUSHED, verification=verification))
    project = "arn:aws:codebuild:eu-central-1:210987654321:project/shop-dev-build-image"
    assert built.variables("verify-image")["BUILDER_ID"] == project


def test_where_jobs_may_run_side_by_side_it_takes_no_time_of_its_own() -> None:
    built = build_stage(BuildStage, shop(source=PUSHED, pipeline={"parallelJobs": True}))
    orders = {action.name: action.run_order for action in built.actions}
    assert orders == {"BuildImage": 1, "VerifyImage": 2}
    compared = build_stage(
        BuildStage, shop(source=PUSHED, pipeline={"parallelJobs": True}, deploy={"engine": "ecsAction"})
    )
    orders = {action.name: action.run_order for action in compared.actions}
    assert orders == {"BuildImage": 1, "PrepareDeployment": 2, "VerifyImage": 2}


def test_images_that_are_delivered_together_are_verified_together() -> None:
    built = build_stage(
        PromotionStage, shop(promotion=PROMOTION, application=WITH_NGINX, build=NGINX_IMAGE, hosting=MADE)
    )
    assert built.actions[0].environment["FURTHER_DIGESTS"] == "#{PrepareDeployment.FURTHER_DIGESTS}"
    variables = built.variables("verify-image")
    assert json.loads(variables["FURTHER_IMAGES"]) == {"nginx": f"{REGISTRY}/shop-dev-nginx"}
    builders = {"nginx": arn("codebuild", "project/shop-dev-build-nginx-image")}
    assert json.loads(variables["FURTHER_BUILDER_IDS"]) == builders
    pull = built.statements("verify-image")[0]
    assert pull["Resource"] == [image_repository("shop-dev"), image_repository("shop-dev-nginx")]


def test_it_reads_delivered_images_and_writes_nothing() -> None:
    assert promoted().statements("verify-image") == [pull_statement("shop-dev"), LOGIN]
    assert promoted().actions[0].writes == ()


SCAN = {
    "enabled": True,
    "maximum": {"high": 5, "low": 100},
    "allow": {"CVE-2026-1234": {"until": "2026-12-31", "reason": "no shell is started"}},
    "timeoutMinutes": 10,
}


def test_the_job_is_told_what_a_scan_may_find() -> None:
    built = build_stage(PromotionStage, shop(promotion=PROMOTION, verification={"scan": SCAN}))
    variables = built.variables("verify-image")
    assert json.loads(variables["SCAN_RULES"]) == {
        "maximum": {"CRITICAL": 0, "HIGH": 5, "LOW": 100},
        "allow": SCAN["allow"],
    }
    assert variables["SCAN_MINUTES"] == "10"
    assert variables["BUILDER_ID"]
    assert built.statements("verify-image")[2:] == [
        {
            "Sid": "ReadScanFindings",
            "Effect": "Allow",
            "Action": ["ecr:DescribeImageScanFindings"],
            "Resource": [image_repository("shop-dev")],
        },
        {
            "Sid": "ReadFindingsOfInspector",
            "Effect": "Allow",
            "Action": ["inspector2:ListAccountPermissions", "inspector2:ListCoverage", "inspector2:ListFindings"],
            "Resource": ["*"],
        },
    ]


def test_a_scan_can_be_all_that_is_looked_at() -> None:
    built = build_stage(BuildStage, shop(source=PUSHED, verification={**OFF, "scan": {"enabled": True}}))
    variables = built.variables("verify-image")
    assert json.loads(variables["SCAN_RULES"]) == {"maximum": {"CRITICAL": 0, "HIGH": 0}, "allow": {}}
    assert not {"BUILDER_ID", "SOURCE_URL", "FURTHER_BUILDER_IDS"} & {*variables}


def test_where_nothing_is_promoted_a_scan_decides_on_the_deployment() -> None:
    built = build_stage(BuildStage, shop(verification={"scan": {"enabled": True}}))
    assert built.jobs == ["build-image", "verify-image"]
    (verify,) = (action for action in built.actions if action.name == "VerifyImage")
    assert verify.environment["COMMIT_ID"] == "#{Source.CommitId}"


def test_a_job_has_room_for_all_that_may_be_allowed() -> None:
    """CodeBuild takes about 5,500 characters of environment variables."""
    names = {f"CVE-2026-{number:07}": {"until": "2026-12-31", "reason": "r" * 100} for number in range(20)}
    settings = shop(promotion=PROMOTION, verification={"scan": {"enabled": True, "allow": names}})
    assert len(settings.verification.scan.rules) < 4000


def test_images_of_nobody_are_not_verified_against_nothing() -> None:
    """The reader refuses such a stack file; who makes settings in Python is told, too."""
    settings = shop(source=PUSHED)
    nobody = settings.model_copy(update={"verification": type(settings.verification)()})
    with pytest.raises(ValueError, match=r"verification\.provenance, which names nobody"):
        args_of(BuildStage, nobody)
