"""Publish files to a bucket, hashed assets first, pages last; or prune it of what is gone, only under the prefix.

The two are apart because the old version of the service asks for its files until the new one is deployed.
"""

from __future__ import annotations

import json
import mimetypes
import os
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

from jobs import job

# The name changes with the content: `app.3f2a91bc.js` (8 or more hex digits), `index-B4kQx_7z.css` (8 of base64).
# A date or a word must not pass for a hash: hex needs a letter and a digit, base64 both cases and a digit.
HASHED = re.compile(
    r"[._-](?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{8,64}\."
    r"|-(?=[^.]*[A-Z])(?=[^.]*[a-z])(?=[^.]*\d)[\w-]{8}\."
)
FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
SHORTLY = "public, max-age=300"
# What Python's own table may lack, depending on its version and the machine.
TYPES = {
    ".avif": "image/avif",
    ".js": "text/javascript",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
PAGES = ("text/html", "application/xhtml+xml", "application/manifest+json")
# It names pages and assets, and browsers fetch them as soon as they see that it is another one.
SERVICE_WORKER = re.compile(r"(?:.*[./-])?(?:sw|service-?worker|ngsw-worker)\.m?js")
PHASES = ("publish", "prune")
DELETED_AT_ONCE = 1000


class Headers(NamedTuple):
    """What a browser is told about a file, and when it is uploaded: before what refers to it.

    Turns: 0 what never changes, 1 what is overwritten, 2 pages, 3 service workers.
    """

    turn: int
    content_type: str
    cache_control: str


def headers(name: str) -> Headers:
    """The headers of a file, by its name."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a key of a bucket is not a path of this machine
    content_type = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if SERVICE_WORKER.fullmatch(name):
        turn, cache_control = 3, ASK_AGAIN
    elif content_type in PAGES:
        turn, cache_control = 2, ASK_AGAIN
    elif HASHED.search(name.rsplit("/", 1)[-1]):
        turn, cache_control = 0, FOREVER
    else:
        turn, cache_control = 1, SHORTLY
    typed = f"{content_type}; charset=utf-8" if content_type.startswith("text/") else content_type
    return Headers(turn, typed, cache_control)


def pruning() -> bool:
    """Whether PHASE asks to prune; ends the job when it says neither that nor publish."""
    phase = job.optional("PHASE")
    if phase not in PHASES:
        job.fail(
            f"PHASE must be publish (before the service is deployed) or prune (after it), got {phase!r}.", job.MISUSED
        )
    return phase == "prune"


def within(folder: Path, root: Path) -> list[str]:
    """The names of the files in a folder; ends the job when one is a link that leads out of `root`, which holds it all.

    It would publish a file of the build's machine: /proc/self/environ has the job's credentials in it. What Git keeps
    of a full clone is no file of the site: it has the whole history.
    """
    files = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts]
    for path in files:
        if root.resolve() not in path.resolve().parents:
            job.fail(f"{path.relative_to(folder)} is a link that leads out of the input artifact, to {path.resolve()}.")
    return sorted(str(path.relative_to(folder)) for path in files)


def prefixed(name: str) -> str:
    """The prefix variable as it stands before a key: empty, or ending in one slash, so that `v2` is not `v20`."""
    prefix = job.optional(name).strip("/")
    return f"{prefix}/" if prefix else ""


def listed(bucket: str, prefix: str) -> dict[str, int]:
    """The keys under the prefix and their sizes."""
    command = ("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", prefix)
    answer = job.aws(f"List s3://{bucket}/{prefix}", *command, "--query", "Contents[].[Key, Size]")
    return {str(key): int(size) for key, size in answer or []}


def upload(folder: Path, names: list[str], target: str, what: Headers) -> None:
    """Upload the files that share their headers, in one command: it gets a folder of links to them."""
    with tempfile.TemporaryDirectory() as staged:
        for name in names:
            place = Path(staged, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(folder / name)
        job.run(
            f"Upload {len(names)} files of type {what.content_type}",
            *("aws", "s3", "cp", staged, target, "--recursive", "--only-show-errors", "--no-guess-mime-type"),
            *("--content-type", what.content_type, "--cache-control", what.cache_control),
        )


def delete(bucket: str, keys: list[str]) -> None:
    """Delete these objects."""
    with tempfile.TemporaryDirectory() as folder:
        request = Path(folder, "delete.json")
        for first in range(0, len(keys), DELETED_AT_ONCE):
            part = keys[first : first + DELETED_AT_ONCE]
            request.write_text(json.dumps({"Objects": [{"Key": key} for key in part], "Quiet": True}), encoding="utf-8")
            command = ("s3api", "delete-objects", "--bucket", bucket, "--delete", f"file://{request}")
            answer = job.aws(f"Delete {len(part)} files that are gone", *command)
            if answer.get("Errors"):
                wrong = answer["Errors"][0]
                job.fail(
                    f"{wrong['Key']} could not be deleted from {bucket}: {wrong['Code']} {wrong.get('Message', '')}"
                )


def publish(folder: Path, root: Path, origin: str) -> None:
    """Upload the folder's files to BUCKET under PREFIX, and tell CloudFront; `origin` names the folder in messages."""
    bucket, prefix = job.require("BUCKET"), prefixed("PREFIX")
    names = within(folder, root)
    if not names:
        job.fail(f"{origin} holds no files: there is nothing to publish to s3://{bucket}/{prefix}.")
    there = listed(bucket, prefix)
    groups: dict[Headers, list[str]] = {}
    for name in names:
        what = headers(name)
        same = there.get(prefix + name) == (folder / name).stat().st_size
        if not (what.cache_control == FOREVER and same):
            groups.setdefault(what, []).append(name)
    for what in sorted(groups):
        upload(folder, groups[what], f"s3://{bucket}/{prefix}", what)
    unchanged = len(names) - sum(map(len, groups.values()))
    job.say(f"s3://{bucket}/{prefix}: {len(names)} files, {unchanged} of them there already")
    distribution = job.optional("CLOUDFRONT_DISTRIBUTION_ID")
    if distribution:
        command = ("cloudfront", "create-invalidation", "--distribution-id", distribution, "--paths", "/*")
        job.aws("Tell CloudFront", *command)


def prune(names: list[str], origin: str) -> None:
    """Delete from BUCKET under PREFIX what is not among the names that the origin holds."""
    bucket, prefix = job.require("BUCKET"), prefixed("PREFIX")
    if not names:
        job.fail(f"{origin} holds no files: pruning by it would empty s3://{bucket}/{prefix}.")
    gone = sorted(set(listed(bucket, prefix)) - {prefix + name for name in names})
    delete(bucket, gone)
    job.say(f"s3://{bucket}/{prefix}: {len(gone)} deleted that are no longer in {origin}")
