"""Copy the deployed image to another repository by its digest, then move the channel tag to it.

The image gets a tag of its own there too, the one in deployment.json or else `sha256-<12 hex of the digest>`: when the
channel tag moves on, an image without a tag would fall to the repository's lifecycle rules while it may still run.

Everything goes along byte by byte: the index, the image of each platform, attestations, referrers such as signatures.
What is there already is not copied again; the tag moves last, when all of it has arrived. Images that are delivered
with it go first, each under a tag that names this image's digest, by which the next pipeline finds them: it cannot mix
what was not tested together. Reads deployment.json.
Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, TARGET_REPOSITORY (name), TARGET_REGISTRY (account id), TARGET_REGION,
TARGET_ROLE_ARN (empty: own role), CHANNEL_TAG, and of the images that are delivered with the application's
FURTHER_IMAGES (JSON object: the name of each, and its repository) and FURTHER_DIGESTS (`name=digest`, with spaces).
"""

from __future__ import annotations

import json
from typing import Any

from jobs import delivered, further_images, job, registry, registry_api
from jobs.registry_api import Registry


def copy_blob(source: Registry, target: Registry, blob: dict[str, Any]) -> None:
    """Copy a layer or a configuration unless it is there."""
    digest = str(blob["digest"])
    if blob.get("urls") or target.has(f"blobs/{digest}"):  # a layer with addresses of its own lives elsewhere
        return
    job.say(f"    {digest[:19]} {int(blob.get('size', 0)) / 1e6:.1f} MB")
    registry_api.patiently(
        f"{digest} could not be copied to {target.where.uri}", lambda: target.fetch_blob(source, digest)
    )


def copy_image(source: Registry, target: Registry, digest: str) -> None:
    """Copy a manifest with all it names, and what refers to it."""
    if target.has(f"manifests/{digest}"):
        job.say(f"{digest[:19]} is there already")
    else:
        manifest = source.manifest(digest)
        document = json.loads(manifest[0])
        for child in document.get("manifests", []):
            copy_image(source, target, str(child["digest"]))
        job.say(f"{digest[:19]} {manifest[1]}")
        for blob in [*filter(None, [document.get("config")]), *document.get("layers", [])]:
            copy_blob(source, target, blob)
        target.put(digest, manifest)
    for referrer in source.referrers(digest):
        copy_image(source, target, referrer)


def other_account(role: str) -> dict[str, str]:
    """The environment in which the AWS CLI acts by the other account's role; nothing to add for the own role."""
    if not role:
        return {}
    command = ("sts", "assume-role", "--role-arn", role, "--role-session-name", "ecs-delivery-promotion")
    found = job.aws("Take the role of the other account", *command)["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": job.secret(found["SecretAccessKey"]),
        "AWS_SESSION_TOKEN": job.secret(found["SessionToken"]),
    }


def promote(image: registry.Image, goal: Registry, tags: tuple[str, ...], env: dict[str, str]) -> None:
    """Copy an image and put these tags on the copy, in their order; the first one is the copy's own for good."""
    (source, digest), target = image, goal.where
    there = {tag: registry.digest_of(target, f"imageTag={tag}", env) for tag in tags}
    if there[tags[0]] not in (None, digest):
        job.fail(
            f"{target.uri}:{tags[0]} is {there[tags[0]]}, this delivery promotes {digest}.\n"
            "The tag of an image never changes: build a new commit, or take that tag away by hand."
        )
    missing = [tag for tag in tags if there[tag] != digest]
    if not missing:
        job.say("The tags are on this image already: nothing to promote.")
    else:
        job.say(f"Copy {source.uri}@{digest} to {target.uri}")
        here = Registry(source, registry_api.token("source", source.region(), {})[0])
        copy_image(here, goal, digest)
        for tag in missing:
            goal.put(tag, here.manifest(digest))
            arrived = registry.digest_of(target, f"imageTag={tag}", env)
            if arrived != digest:
                job.fail(f"{target.uri}:{tag} is {arrived} after the copy, not {digest}: another run moved it.")
    job.say(f"{target.uri}: {' and '.join(tags)} {'are' if len(tags) > 1 else 'is'} {digest}")


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    name, channel = job.require("TARGET_REPOSITORY"), job.require("CHANNEL_TAG")
    account, region = job.optional("TARGET_REGISTRY"), job.optional("TARGET_REGION")
    own = delivered.read_json("deployment.json", "tag")["tag"]
    image = delivered.image()
    digest = image.digest
    if own in ("", channel):
        own = f"sha256-{digest[7:19]}"
    env = other_account(job.optional("TARGET_ROLE_ARN"))
    key, host = registry_api.token("target", ["--region", region] if region else [], env)
    target = registry.Repository(host, name)
    if account and account not in target.options() and "--registry-id" in target.options():
        job.fail(f"the role acts in the registry {host}, and the image is to go to account {account}: see promotion.")

    for beside, other in further_images.delivered().items():
        place = registry.Repository(host, further_images.name_beside(name, beside))
        promote(other, Registry(place, key), (further_images.tag_beside(digest),), env)
    promote(image, Registry(target, key), (own, channel), env)
    job.export(PROMOTED_IMAGE_URI=f"{target.uri}@{digest}")
