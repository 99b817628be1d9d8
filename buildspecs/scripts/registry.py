"""Images in Amazon ECR: the names of repositories, the digests behind tags."""

from __future__ import annotations

import re
from typing import NamedTuple

import job

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ECR_HOST = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


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


def repository(uri: str) -> Repository:
    """The repository of `<host>/<name>`."""
    host, slash, name = uri.partition("/")
    if not slash or not name or "@" in name or ":" in name:
        job.fail(f"a repository is written <registry>/<name> without tag or digest, got {uri!r}.", job.MISUSED)
    return Repository(host, name)


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
