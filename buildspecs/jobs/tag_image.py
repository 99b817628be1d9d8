"""Put the version as a tag on the deployed images: a label on each digest, nothing is pulled or pushed.

Reads deployment.json. A tag that is on this image already is a success, on another image a failure.
Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, TAG_PREFIX (may be empty), and of the images that are delivered with the
application's FURTHER_IMAGES (JSON object: the name of each, and its repository) and FURTHER_DIGESTS (`name=digest`,
with spaces).
"""

from __future__ import annotations

from jobs import delivered, further_images, job, registry, version_tag


def put(image: registry.Image, tag: str) -> None:
    """Put the tag on an image, unless it is there."""
    repository, digest = image
    if not version_tag.is_on(repository, digest, tag):
        registry.put_tag(repository, digest, tag)
        if not version_tag.is_on(repository, digest, tag):
            job.fail(f"{repository.uri} has no tag {tag} although it was just put on {digest}: somebody took it away.")
    job.say(f"{repository.uri}:{tag} is {digest}")


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    deployment = delivered.read_json("deployment.json", "version", "commit")
    tag = version_tag.of(deployment)
    # The application's last: a version of it that has the tag is complete.
    for image in (*further_images.delivered().values(), delivered.image()):
        put(image, tag)
    job.export(VERSION_TAG=tag)
