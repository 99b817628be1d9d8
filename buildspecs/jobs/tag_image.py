"""Put the version as a tag on the deployed image: a label on its digest, nothing is pulled or pushed.

Reads deployment.json. A tag that is on this image already is a success, on another image a failure.
Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, TAG_PREFIX (may be empty).
"""

from __future__ import annotations

from jobs import delivered, job, registry, version_tag


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    deployment = delivered.read_json("deployment.json", "version")
    repository, digest = delivered.repository(), delivered.digest()
    tag = version_tag.of(deployment)
    if not version_tag.is_on(repository, digest, tag):
        registry.put_tag(repository, digest, tag)
        if not version_tag.is_on(repository, digest, tag):
            job.fail(f"{repository.uri} has no tag {tag} although it was just put on {digest}: somebody took it away.")
    job.say(f"{repository.uri}:{tag} is {digest}")
    job.export(VERSION_TAG=tag)
