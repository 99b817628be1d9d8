"""Verify the images of this run before they go any further: who built them, of what, and what their scans have found.

The provenance that BuildKit attached to each image has to name the build project, the repository and the commit that
are expected, and to agree with the image's labels, with its tags in the registry and with image.json. An image that was
built for another commit has to be of the source tree and the recipe that this run has built, as image.json has them.
Its scan has to be done, and to have found no more than passes. Changes nothing, and starts no scan.
Reads image.json. Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, PLATFORM (linux/arm64 or linux/amd64), of the images
that are delivered with the application's FURTHER_IMAGES (JSON object: the name of each, and its repository) and
FURTHER_DIGESTS (`name=digest`, with spaces). Of the provenance BUILDER_ID (the ARN of the build project; empty: it is
not read), FURTHER_BUILDER_IDS (JSON object: the name of each further image, and that of its builder), SOURCE_URL, and
of code that is built in the same run COMMIT_ID, or of uploaded code OBJECT_VERSION. Of the scan SCAN_RULES (JSON
object: the most findings of each severity under `maximum`, and under `allow` by name, until when a finding passes and
for which reason; empty: no scan is waited for) and SCAN_MINUTES.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jobs import (
    delivered,
    further_images,
    image_labels,
    inputs,
    job,
    provenance,
    registry,
    registry_api,
    scan_findings,
)

BUILT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64}|s3-.+)-[0-9a-f]{8}")
"""A tag that a build puts on an image."""
BUILD = (
    "An image that an earlier version has built, or another pipeline, is built anew when the pipeline that builds it "
    "is started again; see docs/operations.md. What is expected is said by verification.provenance in the stack file."
)


UPDATE = (
    "A newer base image or package often has the fix. Until there is one, a finding may pass for a time by "
    "verification.scan.allow in the stack file, with the reason."
)


def builders(names: list[str]) -> dict[str, str]:
    """The builders of the images of these names; that of the application's has the empty one."""
    further = inputs.parsed("FURTHER_BUILDER_IDS", job.optional("FURTHER_BUILDER_IDS"), dict)
    if set(further) != set(names):
        job.fail(f"FURTHER_BUILDER_IDS must name the builder of {', '.join(sorted(names)) or 'no image'}.", job.MISUSED)
    return {"": job.require("BUILDER_ID"), **{name: str(further[name]) for name in names}}


def tags_of(image: registry.Image) -> list[str]:
    """The tags of an image in its repository."""
    found = job.aws(
        f"Look for the tags of {image.digest[:19]}",
        *("ecr", "describe-images", *image.repository.options(), "--image-ids", f"imageDigest={image.digest}"),
    )
    return [str(tag) for tag in found["imageDetails"][0].get("imageTags") or []]


def misbuilt(images: dict[str, registry.Image], token: str, description: dict[str, Any]) -> Iterator[str]:
    """Say what of these images' provenance is not as expected; `description` is image.json."""
    built_here = job.optional("COMMIT_ID") or job.optional("OBJECT_VERSION")
    revision, platform = built_here, job.require("PLATFORM")
    expected_builders = builders([name for name in images if name])
    for name, image in images.items():
        found = provenance.read(registry_api.Registry(image.repository, token), image, platform)
        # The further images are of the same tree as the application's, each by a recipe of its own.
        tree = description["tree"] if not name else description["tree"].partition("-")[0]
        expected = provenance.Expected(expected_builders[name], job.require("SOURCE_URL"), revision, tree)
        wrong = list(provenance.differences(found, expected))
        all_tags = tags_of(image)
        tags = [tag for tag in all_tags if BUILT.fullmatch(tag)]
        trees = [tag for tag in all_tags if tag.startswith(image_labels.TREE_TAG)]
        if any(tag != found.tag for tag in tags) or (built_here and not tags):
            wrong.append(f"its tag is {', '.join(tags) or 'missing'}; by its provenance it is {found.tag}")
        if any(tag != f"{image_labels.TREE_TAG}{found.tree}" for tag in trees):
            wrong.append(f"its tag is {', '.join(trees)}; by its provenance its source tree is {found.tree or 'none'}")
        if not name:
            said = {"commit": found.revision, "source": expected.source, "tag": found.tag}
            given = {key: description[key] for key in said}
            wrong += [
                f"image.json names the {key} {given[key] or '-'}, the provenance {said[key]}"
                for key in said
                if given[key] != said[key] and not (key == "tag" and not given[key])
            ]
            revision = revision or found.revision  # what is delivered together is of one commit
        if not wrong:
            job.say(f"{image.uri}: built by {found.builder} of {expected.source} at {found.revision}, {found.tag}")
            if found.afterwards:
                job.say(f"It was built of {found.built_of}, whose source tree and recipe are the same: {found.tree}")
        yield from (f"{image.uri}: {each}" for each in wrong)


def vulnerable(images: dict[str, registry.Image], token: str) -> Iterator[str]:
    """Say what the scans of these images have found that does not pass."""
    given = inputs.parsed("SCAN_RULES", job.require("SCAN_RULES"), dict)
    rules, platform = scan_findings.Rules(given["maximum"], given["allow"]), job.require("PLATFORM")
    pauses = scan_findings.pauses(inputs.number("SCAN_MINUTES", job.require("SCAN_MINUTES")))
    for image in images.values():
        scanned = provenance.runnable(registry_api.Registry(image.repository, token), image, platform)
        yield from (f"{image.uri}: {each}" for each in scan_findings.problems(scanned, rules, pauses))


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    description = delivered.read_json("image.json", "commit", "source", "tag", "tree")
    images = {"": delivered.image(), **further_images.delivered()}
    token = registry_api.token("images'", images[""].repository.region(), {})[0]
    checks = {
        ("the provenance of what is delivered is not as expected", BUILD): misbuilt(images, token, description)
        if job.optional("BUILDER_ID")
        else (),
        ("the scan of what is delivered has found more than passes", UPDATE): vulnerable(images, token)
        if job.optional("SCAN_RULES")
        else (),
    }
    failed = []
    for (what, fix), found in checks.items():
        lines = "".join(f"\n  - {job.one_line(each)}" for each in found)
        failed += [f"{what}:{lines}\n{fix}"] if lines else []
    if failed:
        job.fail("\n".join(failed))
    job.say("Everything that is delivered is what it has to be.")
