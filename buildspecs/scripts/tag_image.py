"""Put the version as a tag on the deployed image: a label on its digest, nothing is pulled or pushed.

Reads deployment.json. A tag that is on this image already is a success, on another image a failure.
Variables: TAG_PREFIX (may be empty).
"""

from __future__ import annotations

import re

import job
import manifests
import registry

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def main() -> None:
    """Do the job."""
    job.start(__doc__)
    deployment = job.read_json("deployment.json", "repository", "digest", "version")
    repository, digest = registry.repository(deployment["repository"]), deployment["digest"]
    registry.checked_digest(digest, "the digest in deployment.json")
    if not deployment["version"]:
        job.fail(f"{repository.uri}@{digest} has no version: its label org.opencontainers.image.version is missing.")
    tag = f"{job.optional('TAG_PREFIX')}{deployment['version']}"
    if not TAG.fullmatch(tag):
        job.fail(f"{tag!r} is no image tag: letters, digits, _ . - are allowed, 128 at most, no . or - at the start.")
    there = registry.digest_of(repository, f"imageTag={tag}")
    if there is None:
        manifests.put_tag(repository, digest, tag)
        there = registry.digest_of(repository, f"imageTag={tag}")
    if there != digest:
        job.fail(
            f"the version {tag} in {repository.uri} is the image {there}, and this delivery deployed {digest}.\n"
            "A released version never changes: raise the version and deliver again."
        )
    job.say(f"{repository.uri}:{tag} is {digest}")
    job.export(VERSION_TAG=tag)


if __name__ == "__main__":
    main()
