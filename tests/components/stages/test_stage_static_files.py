"""Static files: from the code, out of the image, or from another bucket, into a bucket, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest
from samples import (
    CONNECTION,
    GITHUB,
    LOGIN,
    REGISTRY,
    USES_CONNECTION,
    BuiltStage,
    Plan,
    built,
    context,
    pull_statement,
    shop,
    start_statement,
)

from components.pipeline.model import Action, Artifact, Category, Provider
from components.settings import Settings
from components.settings.sections.deploy import SyncSection, UploadSection
from components.stages.static_files import StaticFiles, StaticFilesArgs


def upload(name: str, phase: str, artifact: Artifact) -> Action:
    return Action(
        name=name,
        category=Category.BUILD,
        provider=Provider.CODEBUILD,
        machine="ARM Lambda/2GB",
        configuration={"ProjectName": "shop-dev-upload-static-files"},
        environment={"PHASE": phase},
        reads=(artifact,),
    )


LIST = {
    "Sid": "ListStaticFiles",
    "Effect": "Allow",
    "Action": ["s3:ListBucket"],
    "Resource": ["arn:aws:s3:::shop-static"],
}
WRITE = {
    "Sid": "WriteStaticFiles",
    "Effect": "Allow",
    "Action": ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject"],
    "Resource": ["arn:aws:s3:::shop-static/*"],
}


def wanted(**settings: object) -> StaticFilesArgs | None:
    return StaticFilesArgs.wanted(shop(deploy={"staticFiles": settings}).deploy.static_files)


def static_files(stack: Settings | None = None, **settings: object) -> BuiltStage:
    """Publishing, and pruning."""
    args = wanted(enabled=True, bucket="shop-static", **settings)
    assert args is not None

    def make() -> Plan:
        made = StaticFiles("files", args, context(stack or shop()))
        return Plan(made, "", (*made.publish, made.prune), made.grants)

    return built(make)


@cache
def from_source() -> BuiltStage:
    return static_files(upload={"path": "public"})


@cache
def from_image() -> BuiltStage:
    return static_files(upload={"from": "image", "path": "/srv/public"})


@cache
def from_bucket() -> BuiltStage:
    return static_files(sync={"bucket": "shop-assets"})


@cache
def with_prefixes() -> BuiltStage:
    return static_files(
        prefix="shop/", sync={"bucket": "shop-assets", "prefix": "v2/"}, cloudFrontDistributionId="E1A2B3C4D5E6F7"
    )


# Out of the code


def test_files_of_the_code_are_published_and_pruned_by_one_job() -> None:
    """Two jobs would need two roles that may do the same."""
    assert from_source().actions == (
        upload("PublishStaticFiles", "publish", Artifact.SOURCE),
        upload("PruneStaticFiles", "prune", Artifact.SOURCE),
    )
    assert from_source().grants == [start_statement("upload-static-files")]
    assert from_source().jobs == ["upload-static-files"]
    assert from_source().variables("upload-static-files") == {
        "BUCKET": "shop-static",
        "PREFIX": "",
        "FILES_PATH": "public",
        "CLOUDFRONT_DISTRIBUTION_ID": "",
    }


def test_an_upload_reaches_the_one_bucket() -> None:
    assert from_source().statements("upload-static-files") == [LIST, WRITE]


def test_files_of_a_clone_are_published_from_a_machine_that_is_known_to_clone() -> None:
    """Lambda machines have no Git LFS, and no page of AWS says that they clone at all."""
    settings = shop(source={"github": {**GITHUB, "fullClone": True}})
    cloned = static_files(settings, upload={"path": "public"})
    assert from_source().machine("upload-static-files")[0] == "ARM_LAMBDA_CONTAINER"
    assert cloned.machine("upload-static-files")[0] == "ARM_CONTAINER"
    assert cloned.variables("upload-static-files") == {
        **from_source().variables("upload-static-files"),
        "CONNECTION_ARN": CONNECTION,
        "CLONED_REPOSITORIES": '["example/shop"]',
        "CLONED_FROM": "https://github.com",
    }
    assert cloned.statements("upload-static-files")[:2] == [LIST, WRITE]
    assert [item["Sid"] for item in cloned.statements("upload-static-files")[2:]] == USES_CONNECTION


def test_files_that_are_not_of_the_code_need_no_clone() -> None:
    settings = shop(source={"github": {**GITHUB, "fullClone": True}})
    extracted = static_files(settings, upload={"from": "image", "path": "/srv/public"})
    assert extracted.machine("upload-static-files") == from_image().machine("upload-static-files")
    assert extracted.statements("upload-static-files") == from_image().statements("upload-static-files")


# Out of the image


def test_files_of_the_image_are_taken_out_first_and_uploaded_then() -> None:
    assert from_image().actions == (
        Action(
            name="ExtractStaticFiles",
            category=Category.BUILD,
            provider=Provider.CODEBUILD,
            machine="ARM Lambda/2GB",
            configuration={"ProjectName": "shop-dev-extract-static-files"},
            reads=(Artifact.IMAGE,),
            writes=(Artifact.STATIC_FILES,),
            environment={"IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}"},
        ),
        upload("PublishStaticFiles", "publish", Artifact.STATIC_FILES),
        upload("PruneStaticFiles", "prune", Artifact.STATIC_FILES),
    )
    assert from_image().grants == [start_statement("extract-static-files"), start_statement("upload-static-files")]


def test_taking_files_out_needs_the_image_and_no_docker_daemon() -> None:
    built = from_image()
    assert built.variables("extract-static-files") == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "STATIC_FILES_PATH": "/srv/public",
        "PLATFORM": "linux/arm64",
    }
    assert built.statements("extract-static-files") == [pull_statement("shop-dev"), LOGIN]
    assert built.machine("extract-static-files") == built.machine("upload-static-files")
    assert built.project("extract-static-files").inputs["environment"]["privilegedMode"] is False


def test_the_extracted_files_are_uploaded_as_they_lie() -> None:
    built = from_image()
    assert built.variables("upload-static-files")["FILES_PATH"] == "."
    assert built.machine("upload-static-files")[::2] == ("ARM_LAMBDA_CONTAINER", "BUILD_LAMBDA_2GB")


def test_the_one_that_uploads_cannot_read_images_and_the_one_that_extracts_cannot_write_files() -> None:
    assert from_image().statements("upload-static-files") == [LIST, WRITE]


# Out of another bucket


def test_files_of_another_bucket_are_copied_and_pruned() -> None:
    """The action needs an input by CodePipeline's rules; it takes the deployment and leaves it alone."""
    assert from_bucket().actions == tuple(
        Action(
            name=name,
            category=Category.BUILD,
            provider=Provider.CODEBUILD,
            machine="ARM/Small",
            configuration={"ProjectName": "shop-dev-sync-static-files"},
            environment={"PHASE": phase},
            reads=(Artifact.DEPLOYMENT,),
        )
        for name, phase in (("PublishStaticFiles", "publish"), ("PruneStaticFiles", "prune"))
    )
    assert from_bucket().grants == [start_statement("sync-static-files")]
    assert from_bucket().variables("sync-static-files") == {
        "BUCKET": "shop-static",
        "PREFIX": "",
        "SOURCE_BUCKET": "shop-assets",
        "SOURCE_PREFIX": "",
        "CLOUDFRONT_DISTRIBUTION_ID": "",
    }


def test_a_copy_may_take_longer_than_a_lambda_machine_gives() -> None:
    assert from_bucket().machine("sync-static-files")[0] == "ARM_CONTAINER"
    assert from_bucket().project("sync-static-files").inputs["buildTimeout"] == 120
    assert from_bucket().project("sync-static-files").inputs["environment"]["privilegedMode"] is False


def test_a_copy_reads_one_bucket_and_writes_the_other() -> None:
    assert from_bucket().statements("sync-static-files") == [
        LIST,
        WRITE,
        {
            "Sid": "ListSourceBucket",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": ["arn:aws:s3:::shop-assets"],
        },
        {
            "Sid": "ReadSourceFiles",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::shop-assets/*"],
        },
    ]


# Prefixes and the cache in front


def test_prefixes_and_the_distribution_reach_the_job() -> None:
    assert with_prefixes().variables("sync-static-files") == {
        "BUCKET": "shop-static",
        "PREFIX": "shop/",
        "SOURCE_BUCKET": "shop-assets",
        "SOURCE_PREFIX": "v2/",
        "CLOUDFRONT_DISTRIBUTION_ID": "E1A2B3C4D5E6F7",
    }


def test_a_prefix_narrows_what_may_be_read_listed_and_written() -> None:
    """The bucket may hold other applications' files, and a sync deletes what it does not find in its origin."""
    assert with_prefixes().statements("sync-static-files") == [
        {**LIST, "Condition": {"StringLike": {"s3:prefix": "shop/*"}}},
        {**WRITE, "Resource": ["arn:aws:s3:::shop-static/shop/*"]},
        {
            "Sid": "InvalidateCache",
            "Effect": "Allow",
            "Action": ["cloudfront:CreateInvalidation"],
            "Resource": ["arn:aws:cloudfront::123456789012:distribution/E1A2B3C4D5E6F7"],
        },
        {
            "Sid": "ListSourceBucket",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": ["arn:aws:s3:::shop-assets"],
            "Condition": {"StringLike": {"s3:prefix": "v2/*"}},
        },
        {
            "Sid": "ReadSourceFiles",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::shop-assets/v2/*"],
        },
    ]


def test_a_prefix_without_slash_is_a_folder_too() -> None:
    """`v2` is not the start of `v20`: that folder belongs to somebody else, and a sync deletes."""
    built = static_files(prefix="v2", upload={"path": "public"})
    assert built.statements("upload-static-files") == [
        {**LIST, "Condition": {"StringLike": {"s3:prefix": "v2/*"}}},
        {**WRITE, "Resource": ["arn:aws:s3:::shop-static/v2/*"]},
    ]


# The toggle


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="left out"),
        pytest.param({"bucket": "shop-static", "upload": {"path": "public"}}, id="described, but off"),
    ],
)
def test_without_the_toggle_nothing_is_wanted(files: Mapping[str, object]) -> None:
    assert wanted(**files) is None


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ({"upload": {"path": "public"}}, UploadSection(path="public")),
        ({"sync": {"bucket": "shop-assets", "prefix": "v2/"}}, SyncSection(bucket="shop-assets", prefix="v2/")),
    ],
    ids=["upload", "sync"],
)
def test_with_the_toggle_bucket_and_origin_are_known(
    origin: Mapping[str, object], expected: UploadSection | SyncSection
) -> None:
    assert wanted(enabled=True, bucket="shop-static", prefix="shop/", **origin) == StaticFilesArgs(
        bucket="shop-static", prefix="shop/", origin=expected, distribution_id=None
    )


def test_the_bucket_is_what_the_component_offers() -> None:
    assert from_source().registered == {"bucket": "shop-static"}
    component = from_source().graph.one("ecs-delivery:index:StaticFiles")
    assert [item.name for item in from_source().graph.children(component)] == ["shop-upload-static-files"]
