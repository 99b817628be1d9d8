"""Record an image that another pipeline made: check that it is there and fits, write image.json. Nothing is rebuilt.

Reads imageDetail.json of CodePipeline's ECR source.
The images that are delivered with it are found in their repositories by the tag that names its digest.
Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, PLATFORM (linux/arm64 or linux/amd64), FURTHER_IMAGES (JSON object: the
name of each image that is delivered with it, and its repository). It exports the digests of these as FURTHER_DIGESTS.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from typing import Any

from jobs import further_images, image_labels, job, registry


def labels_of(repository: registry.Repository, digest: str, platform: str) -> dict[str, str]:
    """The image's labels, and over them what its index says of the commit that it delivers.

    Ends the job when the image is for another platform, of an index if it is one.
    """
    document = json.loads(registry.manifest(repository, digest)[0])
    afterwards = image_labels.put_afterwards(document)
    if "manifests" in document:
        found = registry.of_platform(document, f"{repository.uri}@{digest}", platform)
        document = json.loads(registry.manifest(repository, found)[0])
    layer = str(document["config"]["digest"])
    answer = job.aws(
        "Ask where the image's configuration is stored",
        *("ecr", "get-download-url-for-layer", *repository.options(), "--layer-digest", layer),
    )
    try:
        # The address comes from ECR itself, signed for this one blob.
        with urllib.request.urlopen(answer["downloadUrl"], timeout=60) as response:  # noqa: S310 - see above
            text = response.read(job.MOST_BYTES + 1)
    except OSError as error:
        job.fail(f"the image's configuration could not be read from the registry: {error}")
    if f"sha256:{hashlib.sha256(text).hexdigest()}" != layer:
        job.fail(f"the registry answered with another configuration than {layer}, or it has more than 1 MiB.")
    config: dict[str, Any] = json.loads(text)
    made_for = f"{config.get('os')}/{config.get('architecture')}"
    if made_for != platform:
        job.fail(f"{repository.uri}@{digest} is for {made_for}, the tasks run on {platform}.")
    labels: dict[str, str] = config.get("config", {}).get("Labels") or {}
    return {**labels, **afterwards}


def images_beside(digest: str, platform: str) -> dict[str, str]:
    """The digests of the images that belong to the application's, by their names; ends the job when one is not there.

    They arrive before it, so that one that is missing now does not come any more.
    """
    tag, found = further_images.tag_beside(digest), dict[str, str]()
    for name, repository in further_images.repositories().items():
        beside = registry.digest_of(repository, f"imageTag={tag}")
        if not beside:
            job.fail(
                f"{repository.uri} has no image {tag}, which would belong to the image that has arrived.\n"
                f"Who delivers that one pushes the image {name} first, under this tag, as a promotion does: is {name} "
                "among the images of the stack that promotes?"
            )
        labels_of(repository, beside, platform)
        found[name] = beside
    return found


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    repository = registry.repository(job.require("IMAGE_REPOSITORY_URI"))
    digest = registry.checked_digest(job.require("IMAGE_DIGEST"), "IMAGE_DIGEST")
    platform = job.require("PLATFORM")
    detail = job.read_json("imageDetail.json", "ImageDigest", "RepositoryName")
    if (detail["ImageDigest"], detail["RepositoryName"]) != (digest, repository.name):
        given = f"{detail['RepositoryName']}@{detail['ImageDigest']}"
        job.fail(f"the source delivered {given}, the pipeline announced {repository.name}@{digest}.")
    labels = labels_of(repository, digest, platform)
    label = {
        name: job.one_line(str(labels.get(f"org.opencontainers.image.{name}", "")))
        for name in ("revision", "version", "source", "created")
    }
    image = {
        "repository": repository.uri,
        "digest": digest,
        "uri": f"{repository.uri}@{digest}",
        "tag": "",  # the source's tag moves on: it is no name of this image
        "tree": job.one_line(str(labels.get(image_labels.TREE, ""))),
        "commit": label["revision"],
        "version": label["version"],
        "source": label["source"],
        "created": label["created"],
    }
    beside = further_images.as_variable(images_beside(digest, platform))
    job.write_json("image.json", image)
    job.export(IMAGE_DIGEST=digest, IMAGE_URI=image["uri"], IMAGE_VERSION=label["version"], FURTHER_DIGESTS=beside)
