"""A repository over its registry's HTTP API: manifests and layers byte by byte, no Docker daemon is needed.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md, which Amazon ECR follows:
https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html#registry_auth_http
"""

from __future__ import annotations

import hashlib
import http.client
import json
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from jobs import job, registry, web

BLOB_TRIES = 3
BYTES = "application/octet-stream"
ACCEPT = ", ".join(registry.MEDIA_TYPES)
T = TypeVar("T")


class Registry:
    """One repository over the registry's HTTP API."""

    def __init__(self, where: registry.Repository, token: str) -> None:
        scheme = "http" if registry.is_this_machine(registry.trusted(where.host)) else "https"
        self.where, self.root = where, f"{scheme}://{where.host}/v2/{where.name}/"
        self.authorization = {"Authorization": f"Basic {token}"}

    def ask(self, method: str, path: str, *allowed: int, body: bytes | None = None, **headers: str) -> web.Answer:
        """Ask; ends the job on a status that is not allowed."""
        url = self.own(path)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = web.ask(method, url, {**self.authorization, **named}, body)
        if answer.status not in allowed:
            text = answer.body.decode(errors="replace")[:500]
            job.fail(f"{method} {url}: the registry answers {answer.status}. {text}")
        return answer

    def own(self, path: str) -> str:
        """The address of a path, or of what the registry has answered with; no other host gets its token."""
        url = urljoin(self.root, path)
        if urlsplit(url)[:2] != urlsplit(self.root)[:2]:
            job.fail(f"the registry {self.where.host} leads to {url}, which is another host: the token is not sent.")
        return url

    def has(self, path: str) -> bool:
        """Whether a blob or a manifest is there."""
        return self.ask("HEAD", path, 200, 404, Accept=ACCEPT).status == 200

    def manifest(self, digest: str) -> tuple[bytes, str]:
        """A manifest's exact bytes, held against its digest, and its media type."""
        answer = self.ask("GET", f"manifests/{digest}", 200, Accept=ACCEPT)
        return self._held(answer.body, digest), answer.headers.get("content-type") or json.loads(answer.body)[
            "mediaType"
        ]

    def put(self, reference: str, manifest: tuple[bytes, str]) -> None:
        """Store a manifest under its digest or a tag."""
        self.ask("PUT", f"manifests/{reference}", 201, body=manifest[0], Content_Type=manifest[1])

    def referrers(self, digest: str) -> list[str]:
        """The digests of what refers to this one; none where the registry does not keep track."""
        answer = self.ask("GET", f"referrers/{digest}", 200, 404)
        listed: dict[str, Any] = answer.json() if answer.status == 200 else {}
        return [str(entry["digest"]) for entry in listed.get("manifests") or []]

    def blob(self, digest: str) -> http.client.HTTPResponse:
        """A blob as it comes and not verified; the place that the registry leads to gets no token."""
        request = web.prepared("GET", f"{self.root}blobs/{digest}", self.authorization)
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=300)  # noqa: S310 - see web.prepared
        return answer

    def content(self, digest: str, most: int) -> bytes:
        """A blob of at most so many bytes, held against its digest; ends the job when it is another, or larger."""

        def once() -> bytes:
            with self.blob(digest) as answer:
                return bytes(answer.read(most + 1))

        found = patiently(f"{digest} could not be read from {self.where.uri}", once)
        if len(found) > most:
            job.fail(
                f"{digest} of {self.where.uri} has more than {most:,} bytes, which is the most that is read of it."
            )
        return self._held(found, digest)

    def _held(self, content: bytes, digest: str) -> bytes:
        """What the registry has answered with; ends the job when it is not what the digest names."""
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            job.fail(f"the registry {self.where.host} answered with something else than {digest}.")
        return content

    def fetch_blob(self, source: Registry, digest: str) -> None:
        """Get a blob from the other repository; one of the same registry is to be mounted."""
        same_host = source.where.host == self.where.host
        query = urlencode({"mount": digest, "from": source.where.name} if same_host else {})
        begin = self.ask("POST", f"blobs/uploads/?{query}", 201, 202, body=b"", Content_Type=BYTES)
        if begin.status == 201:
            return
        place = self.own(begin.headers["location"])
        with source.blob(digest) as blob:
            stream = {"Content-Length": blob.headers["Content-Length"], "Content-Type": BYTES}
            patch = web.prepared("PATCH", place, {**self.authorization, **stream}, blob)
            with urllib.request.urlopen(patch, timeout=300) as answer:  # noqa: S310 - see web.prepared
                place = self.own(urljoin(place, answer.headers["Location"]))
        joint = "&" if "?" in place else "?"
        self.ask("PUT", f"{place}{joint}{urlencode({'digest': digest})}", 201, 404, body=b"", Content_Type=BYTES)


def token(whose: str, region: list[str], env: dict[str, str]) -> tuple[str, str]:
    """What opens the registry of the account that `env` acts in, and that registry's host."""
    answer = job.aws(f"Get a token for the {whose} registry", "ecr", "get-authorization-token", *region, env=env)
    found = answer["authorizationData"][0]
    return job.secret(str(found["authorizationToken"])), urlsplit(found["proxyEndpoint"]).netloc


def patiently(otherwise: str, move: Callable[[], T]) -> T:
    """What moving a blob gives, tried up to three times; ends the job with `otherwise` and the reason."""
    attempt = 1
    while True:
        try:
            return move()
        except (OSError, http.client.HTTPException) as error:
            if attempt == BLOB_TRIES:
                said = error.read().decode() if isinstance(error, urllib.request.HTTPError) else ""
                job.fail(f"{otherwise}: {error} {said}")
            job.say(f"    {error}; trying again")
            attempt += 1
