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

import hashlib
import json
import urllib.request
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from jobs import delivered, further_images, job, registry, web

BLOB_TRIES = 3
BYTES = "application/octet-stream"
ACCEPT = ", ".join(registry.MEDIA_TYPES)


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
        if f"sha256:{hashlib.sha256(answer.body).hexdigest()}" != digest:
            job.fail(f"the registry {self.where.host} answered with something else than {digest}.")
        return answer.body, answer.headers.get("content-type") or json.loads(answer.body)["mediaType"]

    def put(self, reference: str, manifest: tuple[bytes, str]) -> None:
        """Store a manifest under its digest or a tag."""
        self.ask("PUT", f"manifests/{reference}", 201, body=manifest[0], Content_Type=manifest[1])

    def referrers(self, digest: str) -> list[str]:
        """The digests of what refers to this one; none where the registry does not keep track."""
        answer = self.ask("GET", f"referrers/{digest}", 200, 404)
        listed: dict[str, Any] = answer.json() if answer.status == 200 else {}
        return [str(entry["digest"]) for entry in listed.get("manifests") or []]

    def fetch_blob(self, source: Registry, digest: str) -> None:
        """Get a blob from the other repository; one of the same registry is to be mounted."""
        same_host = source.where.host == self.where.host
        query = urlencode({"mount": digest, "from": source.where.name} if same_host else {})
        begin = self.ask("POST", f"blobs/uploads/?{query}", 201, 202, body=b"", Content_Type=BYTES)
        if begin.status == 201:
            return
        place = self.own(begin.headers["location"])
        request = web.prepared("GET", f"{source.root}blobs/{digest}", source.authorization)
        with urllib.request.urlopen(request, timeout=300) as blob:  # noqa: S310 - see web.prepared
            stream = {"Content-Length": blob.headers["Content-Length"], "Content-Type": BYTES}
            patch = web.prepared("PATCH", place, {**self.authorization, **stream}, blob)
            with urllib.request.urlopen(patch, timeout=300) as answer:  # noqa: S310 - see web.prepared
                place = self.own(urljoin(place, answer.headers["Location"]))
        joint = "&" if "?" in place else "?"
        self.ask("PUT", f"{place}{joint}{urlencode({'digest': digest})}", 201, 404, body=b"", Content_Type=BYTES)


def copy_blob(source: Registry, target: Registry, blob: dict[str, Any]) -> None:
    """Copy a layer or a configuration unless it is there."""
    digest = str(blob["digest"])
    if blob.get("urls") or target.has(f"blobs/{digest}"):  # a layer with addresses of its own lives elsewhere
        return
    job.say(f"    {digest[:19]} {int(blob.get('size', 0)) / 1e6:.1f} MB")
    attempt = 1
    while True:
        try:
            target.fetch_blob(source, digest)
        except OSError as error:
            if attempt == BLOB_TRIES:
                said = error.read().decode() if isinstance(error, urllib.request.HTTPError) else ""
                job.fail(f"{digest} could not be copied to {target.where.uri}: {error} {said}")
            job.say(f"    {error}; trying again")
            attempt += 1
        else:
            return


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


def token(whose: str, region: list[str], env: dict[str, str]) -> tuple[str, str]:
    """What opens the registry of the account that `env` acts in, and that registry's host."""
    answer = job.aws(f"Get a token for the {whose} registry", "ecr", "get-authorization-token", *region, env=env)
    found = answer["authorizationData"][0]
    return job.secret(str(found["authorizationToken"])), urlsplit(found["proxyEndpoint"]).netloc


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


def promote(image: further_images.Image, goal: Registry, tags: tuple[str, ...], env: dict[str, str]) -> None:
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
        here = Registry(source, token("source", source.region(), {})[0])
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
    source, digest = delivered.repository(), delivered.digest()
    if own in ("", channel):
        own = f"sha256-{digest[7:19]}"
    image = further_images.Image(source, digest)
    env = other_account(job.optional("TARGET_ROLE_ARN"))
    key, host = token("target", ["--region", region] if region else [], env)
    target = registry.Repository(host, name)
    if account and account not in target.options() and "--registry-id" in target.options():
        job.fail(f"the role acts in the registry {host}, and the image is to go to account {account}: see promotion.")

    for beside, other in further_images.delivered().items():
        place = registry.Repository(host, further_images.name_beside(name, beside))
        promote(other, Registry(place, key), (further_images.tag_beside(digest),), env)
    promote(image, Registry(target, key), (own, channel), env)
    job.export(PROMOTED_IMAGE_URI=f"{target.uri}@{digest}")
