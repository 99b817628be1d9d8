"""The version as a tag of the image: it stays on one image for good."""

from __future__ import annotations

import re
from typing import Any

from jobs import job, oncall, registry

COMMIT = re.compile(r"[0-9a-f]{7,64}")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def of(image: dict[str, Any]) -> str:
    """`<TAG_PREFIX><version>` for what image.json or deployment.json says; ends the job when it cannot be released."""
    if not image["version"]:
        job.fail(
            f"{image['repository']}@{image['digest']} has no version: "
            "its label org.opencontainers.image.version is missing."
        )
    if image["commit"] and not COMMIT.fullmatch(image["commit"]):
        job.fail(
            f"{image['repository']}@{image['digest']} was built of {image['commit']}, which is no commit, and a GitHub "
            "release is made of one: its code was not taken from a Git repository (source.s3 in the stack file that "
            "builds it). Set release.enabled to false in this one."
        )
    tag = f"{job.optional('TAG_PREFIX')}{image['version']}"
    if not TAG.fullmatch(tag):
        job.fail(f"{tag!r} is no image tag: letters, digits, _ . - are allowed, 128 at most, no . or - at the start.")
    return tag


def is_on(repository: registry.Repository, digest: str, tag: str) -> bool:
    """Whether the tag is on this image already; ends the job when it is on another."""
    there = registry.digest_of(repository, f"imageTag={tag}")
    if there not in (None, digest):
        job.fail(
            f"the version {tag} in {repository.uri} is the image {there}, and this delivery brings {digest}.\n"
            "A released version never changes: raise the version where build.version of the stack that builds says, in "
            "the file VERSION unless it says otherwise, and deliver again.",
            entry=oncall.Entry.VERSION_TAKEN,
        )
    return there == digest
