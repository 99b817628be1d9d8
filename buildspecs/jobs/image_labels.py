"""What a build writes on an image, and what its provenance repeats: source, commit, recipe and source tree.

An image that was built of the same tree before is not built again for another commit. Its index is written once more
then, with the new commit and version as annotations: the image, its layers and its provenance stay as they are.
https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md, "annotations"
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

OCI = "org.opencontainers.image."
"""https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md#pre-defined-annotation-keys"""
REVISION = f"{OCI}revision"
SOURCE = f"{OCI}source"
RECIPE = "ecs-delivery.recipe"
"""The fingerprint of all that makes the image beside the code: the end of its tag."""
A_RECIPE = re.compile(r"[0-9a-f]{8}")
TREE = "ecs-delivery.tree"
"""What the image is by: the digest of its source tree, and a fingerprint of what else makes it."""
A_TREE = re.compile(r"[0-9a-f]{64}-[0-9a-f]{8}")
TREE_TAG = "tree-"
"""How the tag begins by which an image is found again for another commit; what follows is the label TREE."""


def tag_of(revision: str, source: str) -> str:
    """How the tag of an image begins that was built of a commit, or of a version of an uploaded object.

    The version is an opaque text, of which nothing else is promised:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
    """
    if not source.startswith("s3://"):
        return revision
    fits = re.fullmatch(r"[A-Za-z0-9._-]{1,100}", revision)
    return f"s3-{revision if fits else hashlib.sha256(revision.encode()).hexdigest()}"


def put_afterwards(index: dict[str, Any]) -> dict[str, str]:
    """What an index says of the commit that it delivers, where the image was built for another one; else nothing.

    Annotations of other tools are none of these: they come without a recipe.
    """
    annotations = index.get("annotations")
    found = annotations if isinstance(annotations, dict) and RECIPE in annotations else {}
    return {name: value for name, value in found.items() if isinstance(value, str)}
