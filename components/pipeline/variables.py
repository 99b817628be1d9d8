"""The variables that actions leave for later ones: the words that stages share, besides the artifacts."""

from __future__ import annotations

from collections.abc import Mapping

from components.pipeline.model import variable

SOURCE = "Source"
"""Namespace of the commit: ``#{Source.CommitId}``."""
SOURCE_IMAGE = "SourceImage"
"""Namespace of the pushed image: ``#{SourceImage.ImageDigest}``."""
BUILD_IMAGE = "BuildImage"
"""Namespace of the app image that was built or verified: ``#{BuildImage.IMAGE_DIGEST}``."""

BUILD_SMOKE_TEST_IMAGE = "BuildSmokeTestImage"
"""Namespace of the smoke-test image."""

DELIVERED_IMAGE: Mapping[str, str] = {"IMAGE_DIGEST": variable(BUILD_IMAGE, "IMAGE_DIGEST")}
"""For every job after the build: the digest this run delivers, from the pipeline itself, to hold artifacts against."""
SMOKE_TEST_IMAGE: Mapping[str, str] = {"IMAGE_DIGEST": variable(BUILD_SMOKE_TEST_IMAGE, "IMAGE_DIGEST")}
"""The same for the job that runs the smoke-test image."""
