"""Names of images, as a Dockerfile and a registry's address have them.

Source: https://github.com/distribution/reference (grammar, and what the short names of Docker Hub stand for).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

DOCKER_HUB = "docker.io"
_MIRRORS = re.compile(r"public\.ecr\.aws|\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(
    r"(?:(?P<host>localhost(?::\d+)?|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?|[A-Za-z0-9-]+:\d+)/)?"
    rf"(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, order=True, slots=True)
class ImageName:
    """The full name of an image.

    Attributes:
        host: The registry, with a port if one is named; ``docker.io`` for Docker Hub.
        repository: The repository in it.
        tag: The tag; ``latest`` when neither tag nor digest is named.
        digest: The digest, or empty.
    """

    host: str
    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the full name for a name as people write it; ``None`` when it is no name of an image."""
        found = _NAME.fullmatch(text)
        if found is None:
            return None
        host, repository, digest = found["host"] or DOCKER_HUB, found["repository"], found["digest"] or ""
        if host == "index.docker.io":
            host = DOCKER_HUB
        if host == DOCKER_HUB and "/" not in repository:
            repository = f"library/{repository}"
        return cls(host.lower(), repository, found["tag"] or ("" if digest else "latest"), digest)

    @property
    def official(self) -> ImageName:
        """One of Docker Hub's own images, for a name under which a mirror has it.

        Sources: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html (a prefix of the
        account's own), https://docs.aws.amazon.com/AmazonECR/latest/public/public-registries.html (``docker``).
        """
        if _MIRRORS.fullmatch(self.host) and (found := re.fullmatch(r"[^/]+/(library/[^/]+)", self.repository)):
            return replace(self, host=DOCKER_HUB, repository=found[1])
        return self

    @property
    def reference(self) -> str:
        """What a registry is asked for: the digest where there is one."""
        return self.digest or self.tag

    @property
    def address(self) -> str:
        """Host and repository."""
        return f"{self.host}/{self.repository}"

    def __str__(self) -> str:
        """The name as people write it."""
        address = self.address.removeprefix(f"{DOCKER_HUB}/").removeprefix("library/")
        return "".join([address, f":{self.tag}" if self.tag else "", f"@{self.digest}" if self.digest else ""])
