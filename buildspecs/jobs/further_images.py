"""The images that are delivered with the application's: where each is says the project, which one says the pipeline.

The repository of each is in FURTHER_IMAGES, the digests of this run are in FURTHER_DIGESTS. From one environment to the
next an image goes under a tag that names the application's image, so that what was tested together stays together.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobs import inputs, job, registry


def repositories() -> dict[str, registry.Repository]:
    """The repository of each further image, by the image's name."""
    given = inputs.parsed("FURTHER_IMAGES", job.optional("FURTHER_IMAGES"), dict)
    return {str(name): registry.repository(str(uri)) for name, uri in given.items()}


def delivered() -> dict[str, registry.Image]:
    """The further images of this run, by their names; ends the job when one is missing, or is none of the project's."""
    where, digests = repositories(), dict[str, str]()
    for word in job.optional("FURTHER_DIGESTS").split():
        name, _, digest = word.partition("=")
        digests[name] = registry.checked_digest(digest, f"the digest of {name} in FURTHER_DIGESTS")
    if where.keys() != digests.keys():
        job.fail(
            f"the pipeline delivers {', '.join(sorted(digests)) or 'no further images'}, the project has repositories "
            f"for {', '.join(sorted(where)) or 'none'}: the stack file was changed meanwhile. Start the pipeline again."
        )
    return {name: registry.Image(where[name], digest) for name, digest in digests.items()}


def as_variable(digests: Mapping[str, str]) -> str:
    """The digests as FURTHER_DIGESTS has them, in which nothing has to be quoted."""
    return " ".join(f"{name}={digest}" for name, digest in digests.items())


def name_beside(repository: str, image: str) -> str:
    """The name of the repository of a further image, beside the application's of this name."""
    return f"{repository}-{image}"


def tag_beside(digest: str) -> str:
    """The tag of what belongs to the application's image of this digest.

    Not `sha256-<hex>`, which OCI's distribution specification keeps for what refers to an image of the same repository.
    https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
    """
    return f"app-{digest.removeprefix('sha256:')}"
