"""Images in Amazon ECR by its API, without pulling or pushing: repositories, digests, tags and manifests."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from jobs import job

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ECR_HOST = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")

MEDIA_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


class Repository(NamedTuple):
    """A repository by the host and the name that docker uses."""

    host: str
    name: str

    @property
    def uri(self) -> str:
        """What stands before `:tag` or `@digest`."""
        return f"{self.host}/{self.name}"

    def region(self) -> list[str]:
        """The AWS CLI's option for the region; nothing for a host that is not ECR's own."""
        ecr = _ECR_HOST.fullmatch(self.host)
        return ["--region", ecr[2]] if ecr else []

    def options(self) -> list[str]:
        """The AWS CLI's options that name this repository, with account and region of an ECR host."""
        ecr = _ECR_HOST.fullmatch(self.host)
        return ["--repository-name", self.name, *(["--registry-id", ecr[1]] if ecr else []), *self.region()]


class Image(NamedTuple):
    """An image by its repository and its digest."""

    repository: Repository
    digest: str

    @property
    def uri(self) -> str:
        """What a task definition names."""
        return f"{self.repository.uri}@{self.digest}"


def repository(uri: str) -> Repository:
    """The repository of `<host>/<name>`."""
    host, slash, name = uri.partition("/")
    if not slash or not name or "@" in name or ":" in name:
        job.fail(f"a repository is written <registry>/<name> without tag or digest, got {uri!r}.", job.MISUSED)
    return Repository(host, name)


def trusted(host: str) -> str:
    """The registry's host; ends the job when it is not Amazon ECR's, and not this machine: no token leaves for it.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
    """
    if not _ECR_HOST.fullmatch(host) and not is_this_machine(host):
        job.fail(f"{host} is no registry of Amazon ECR: a token of this account is not sent to it.")
    return host


def is_this_machine(host: str) -> bool:
    """Whether the host is this machine itself, which docker asks by plain HTTP."""
    return host.partition(":")[0] in ("127.0.0.1", "localhost")


def checked_digest(digest: str, where: str) -> str:
    """The digest itself; ends the job when it is not a sha256 digest."""
    if not DIGEST.fullmatch(digest):
        job.fail(f"{where} is not a digest (sha256: and 64 hex digits), got {digest!r}.")
    return digest


def digest_of(where: Repository, image_id: str, env: dict[str, str] | None = None) -> str | None:
    """The digest of `imageTag=...` or `imageDigest=...` as the registry knows it; None when there is no such image."""
    found = job.aws(
        f"Look for {image_id} in {where.name}",
        *("ecr", "describe-images", *where.options(), "--image-ids", image_id),
        absent="ImageNotFoundException",
        env=env,
    )
    return str(found["imageDetails"][0]["imageDigest"]) if found else None


def manifest(where: Repository, digest: str) -> tuple[str, str]:
    """The manifest's exact text and its media type; ends the job when the repository does not hold it."""
    answer = job.aws(
        f"Read the manifest of {digest[:19]}",
        *("ecr", "batch-get-image", *where.options(), "--image-ids", f"imageDigest={digest}"),
        *("--accepted-media-types", *MEDIA_TYPES),
    )
    if not answer["images"]:
        reasons = ", ".join(str(failure.get("failureReason")) for failure in answer.get("failures", []))
        job.fail(f"{where.uri} holds no image {digest}: {reasons or 'no reason given'}")
    text = str(answer["images"][0]["imageManifest"])
    return text, str(answer["images"][0].get("imageManifestMediaType") or json.loads(text)["mediaType"])


def of_platform(index: dict[str, Any], uri: str, platform: str) -> str:
    """The digest of an image index's image for a platform; ends the job when the index has none."""
    offered = {
        "{os}/{architecture}".format(**entry["platform"]): str(entry["digest"])
        for entry in index["manifests"]
        if entry.get("platform", {}).get("os", "unknown") != "unknown"  # attestations have no platform
    }
    if platform not in offered:
        job.fail(f"{uri} is for {', '.join(offered) or 'no platform'}, the tasks run on {platform}.")
    return offered[platform]


def put_tag(where: Repository, digest: str, tag: str) -> None:
    """Put a tag on an image that the repository holds."""
    text, media_type = manifest(where, digest)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "manifest.json")
        path.write_bytes(text.encode())
        job.aws(
            f"Put the tag {tag} on {digest[:19]} in {where.name}",
            *("ecr", "put-image", *where.options(), "--image-tag", tag, "--image-digest", digest),
            *("--image-manifest", f"file://{path}", "--image-manifest-media-type", media_type),
        )


def login(*where: Repository) -> None:
    """Sign in to these registries of Amazon ECR; the password never appears on a command line or in the log."""
    for host, region in {trusted(repository.host): repository.region() for repository in where}.items():
        answer = job.run(f"Get a password for {host}", "aws", "ecr", "get-login-password", *region)
        password = job.secret(answer.output.strip())
        job.run(f"Sign in to {host}", "docker", "login", "--username", "AWS", "--password-stdin", host, stdin=password)
