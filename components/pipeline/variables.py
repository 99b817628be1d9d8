"""The variables that actions leave for later ones: the words that stages share, besides the artifacts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from components.pipeline.model import variable

SOURCE = "Source"
"""Namespace of the code: ``#{Source.CommitId}``."""
SOURCE_IMAGE = "SourceImage"
"""Namespace of the pushed image: ``#{SourceImage.ImageDigest}``."""
BUILD_IMAGE = "BuildImage"
"""Namespace of the app image that was built or verified: ``#{BuildImage.IMAGE_DIGEST}``."""
PREPARE_DEPLOYMENT = "PrepareDeployment"
"""Namespace of the deployment's artifacts: ``#{PrepareDeployment.FURTHER_DIGESTS}``."""

BUILD_SMOKE_TEST_IMAGE = "BuildSmokeTestImage"
"""Namespace of the smoke-test image."""

COMMIT: Mapping[str, str] = {
    "COMMIT_ID": variable(SOURCE, "CommitId"),
    "COMMIT_DATE": variable(SOURCE, "AuthorDate"),
    "BRANCH": variable(SOURCE, "BranchName"),
}
"""For the jobs that build code of a Git repository: which commit it is."""

UPLOADED_OBJECT: Mapping[str, str] = {"OBJECT_VERSION": variable(SOURCE, "VersionId")}
"""For the jobs that build code out of a bucket: which version of the object it is, which is all that is known of it."""

DELIVERED_IMAGE: Mapping[str, str] = {"IMAGE_DIGEST": variable(BUILD_IMAGE, "IMAGE_DIGEST")}
"""For every job after the build: the digest this run delivers, from the pipeline itself, to hold artifacts against."""
SMOKE_TEST_IMAGE: Mapping[str, str] = {"IMAGE_DIGEST": variable(BUILD_SMOKE_TEST_IMAGE, "IMAGE_DIGEST")}
"""The same for the job that runs the smoke-test image."""

FURTHER_DIGESTS = "FURTHER_DIGESTS"
"""The variable with the digests of the images that are delivered with the application's: ``nginx=sha256:... ...``."""
DELIVERED_IMAGES: Mapping[str, str] = {
    **DELIVERED_IMAGE,
    FURTHER_DIGESTS: variable(PREPARE_DEPLOYMENT, FURTHER_DIGESTS),
}
"""The same as DELIVERED_IMAGE for a job that handles all of the images, where there are further ones."""


def delivered_images(further: Collection[str]) -> Mapping[str, str]:
    """Return the digests of this run for a job that handles all of the images.

    Args:
        further: The names of those that are delivered with the application's.
    """
    return DELIVERED_IMAGES if further else DELIVERED_IMAGE


def build_of(image: str) -> str:
    """Return the action that builds a further image, which is the namespace of what it exports.

    Args:
        image: Its name in the stack file.
    """
    return f"Build{''.join(word.capitalize() for word in image.split('-'))}Image"


def built_digests(images: Iterable[str]) -> str:
    """Return the digests of further images that are built in this run, as later actions get them.

    Args:
        images: Their names in the stack file.
    """
    return " ".join(f"{image}={variable(build_of(image), 'IMAGE_DIGEST')}" for image in images)
