"""The variables that actions leave for later ones: the words that stages share, besides the artifacts."""

from __future__ import annotations

from collections.abc import Mapping

from components.pipeline.model import variable

SOURCE = "Source"
"""Namespace of the code: ``#{Source.CommitId}``."""
SOURCE_IMAGE = "SourceImage"
"""Namespace of the pushed image: ``#{SourceImage.ImageDigest}``."""
BUILD_IMAGE = "BuildImage"
"""Namespace of the app image that was built or verified: ``#{BuildImage.IMAGE_DIGEST}``."""

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
