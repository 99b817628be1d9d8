"""Publish a GitHub release of the deployed commit: a draft, then its files, then public.

Attaches deployment.json and the other deployment artifacts. The notes are what GitHub generates, and the commits since
the last release; a draft that a person has prepared keeps its own.
Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, GITHUB_REPOSITORY (owner/name), GITHUB_TOKEN (secret; needs "Contents:
read and write" and "Workflows: read and write" on that repository), TAG_PREFIX (may be empty), PRERELEASE (true or
false), GITHUB_API_URL.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import urllib.parse
from pathlib import Path
from typing import Any

from jobs import delivered, job, oncall, version_tag, web

ASSETS = ("deployment.json", "taskdef.json", "appspec.yaml", "imageDetail.json", "imagedefinitions.json")
PAGE = 100
MEANINGS = {
    401: "the token is invalid or has expired: renew it in Secrets Manager",
    403: "the token needs Contents: read and write and Workflows: read and write on this repository, or its rate limit "
    "is reached: then retry later",
    429: "the rate limit of the token is reached: retry later",
    404: "no such repository, or the token may not see it: check release.github and the token's repository access",
}
OTHER_WORKFLOWS = (
    "the files in .github/workflows of this commit differ from those of the default branch, and for such a release "
    "GitHub wants a token with Workflows: read and write, beside Contents: read and write. Another try does not help"
)
"""https://github.com/cli/cli/issues/9514, https://github.com/softprops/action-gh-release/issues/411"""
ACCEPTED = "x-accepted-github-permissions"
Release = dict[str, Any]


class GitHub:
    """The REST API for one repository."""

    _refusal = ""

    def __init__(self, api: str, repository: str, token: str) -> None:
        self.repository, self._root = repository, f"{api.rstrip('/')}/repos/{repository}"
        self._headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "User-Agent": "ecs-delivery",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def ask(self, method: str, path: str, data: object = None, *, fine: tuple[int, ...] = ()) -> Any:  # noqa: ANN401 - JSON
        """Send a request and return the JSON of the response; None for a status that is `fine`.

        Any other refusal ends the job. Bytes are sent as a file. With web.UNCLEAR among the fine ones, the request is
        sent once: whoever makes something looks whether it is there before trying again.
        """
        url = path if "://" in path else f"{self._root}/{path}"
        body = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
        kind = "application/octet-stream" if body is data else "application/json"
        job.say(f"==> {method} {url}")
        headers = {**self._headers, "Content-Type": kind} if body is not None else self._headers
        answer = web.ask(method, url, headers, body, once=0 in fine)
        if 200 <= answer.status < 300:
            return answer.json()
        self._refusal = f"GitHub answers {answer.status} to {method} {url}"
        said = answer.body.decode(errors="replace")[:500] or "nothing"
        if answer.status not in fine:
            meaning = MEANINGS.get(answer.status, "it refuses this")
            if accepted := answer.headers.get(ACCEPTED, ""):
                meaning = OTHER_WORKFLOWS if answer.status == 403 and "workflows=write" in accepted else meaning
                said += f" (accepted: {accepted})"
            entry = oncall.Entry.TOKEN if answer.status == 401 else None
            job.fail(f"{self._refusal}: {meaning}. It says: {said}", entry=entry)
        self._refusal += f". It says: {said}"
        job.say(f"    {answer.status}")
        return None

    def releases(self, tag: str) -> list[Release]:
        """The releases of this tag: the published one, then drafts (not to be had by tag), oldest first."""
        found: list[Release] = []
        number = 1
        while True:
            page = self.ask("GET", f"releases?per_page={PAGE}&page={number}")
            found += [release for release in page if release["tag_name"] == tag]
            if len(page) < PAGE:
                return sorted(found, key=lambda release: (release["draft"], release["id"]))
            number += 1

    def check_tag(self, tag: str, commit: str) -> None:
        """End the job when the tag is there and on another commit."""
        there = self.ask("GET", f"commits/tags/{urllib.parse.quote(tag)}", fine=(404, 422))
        if there and there["sha"] != commit:
            job.fail(
                f"the tag {tag} of {self.repository} is on commit {there['sha']}, this delivery deployed {commit}.\n"
                "A released version never changes: raise the version where build.version of the stack that builds "
                "says, in the file VERSION unless it says otherwise, and deliver again.",
                entry=oncall.Entry.VERSION_TAKEN,
            )

    def notes(self, tag: str, commit: str) -> dict[str, str]:
        """Title and text: what GitHub makes of pull requests, then the commits, newest first."""
        written = self.ask("POST", "releases/generate-notes", {"tag_name": tag, "target_commitish": commit})
        lines = [written["body"]]
        last = self.ask("GET", "releases/latest", fine=(404,))
        if last:
            base = urllib.parse.quote(last["tag_name"])
            compared = self.ask("GET", f"compare/{base}...{commit}", fine=(404,)) or {"commits": []}
            lines += ["", f"## Commits since {last['tag_name']}"]
            for item in reversed(compared["commits"]):
                subject = job.cleaned(item["commit"]["message"].partition("\n")[0])
                lines.append(f"* {subject} ({item['sha'][:7]})")
        return {"name": written["name"], "body": "\n".join(lines)[:120_000]}  # GitHub takes 125,000 characters

    def release(self, tag: str, commit: str) -> Release:
        """The one release of this tag, if need be a new draft."""
        made: Release | None = None
        for attempt in range(web.TRIES):
            time.sleep(attempt)
            found = self.releases(tag)
            fitting = [item for item in found if not is_ours(item) or item["target_commitish"] == commit]
            if fitting:
                for other in found:
                    if is_ours(other) and other is not fitting[0]:
                        job.say("deleting another run's draft")
                        self.ask("DELETE", f"releases/{other['id']}", fine=(404,))
                return fitting[0]
            if not made:
                data = {**self.notes(tag, commit), "tag_name": tag, "target_commitish": commit, "draft": True}
                # GitHub lists a new draft only after a while, so it is looked for again; of the drafts that two runs
                # make at once, both take the older one. 422: the tag was published meanwhile.
                made = self.ask("POST", "releases", data, fine=(*web.UNCLEAR, 422))
        return made or job.fail(f"GitHub lists no draft release of {tag} that this job could publish. {self._refusal}")

    def attach(self, release: Release, files: list[Path]) -> None:
        """Attach these files; broken ones are replaced, and a draft's that differ."""
        address = str(release["upload_url"]).partition("{")[0]
        for attempt in range(web.TRIES):
            time.sleep(attempt // 2)
            listed = self.ask("GET", f"releases/{release['id']}/assets?per_page={PAGE}")
            there = {asset["name"]: asset for asset in listed}
            missing = [path for path in files if not _is_there(path, there.get(path.name), draft=release["draft"])]
            if not missing:
                return
            for path in missing:
                if path.name in there:
                    self.ask("DELETE", f"releases/assets/{there[path.name]['id']}", fine=(404,))
                # The next round looks at it again: it may be incomplete, or there is another run's (422).
                url = f"{address}?{urllib.parse.urlencode({'name': path.name})}"
                self.ask("POST", url, path.read_bytes(), fine=(*web.UNCLEAR, 404, 422))
        names = ", ".join(path.name for path in missing)
        job.fail(f"{names} could not be attached to the release {release['tag_name']}. {self._refusal}")


def is_ours(release: Release) -> bool:
    """Whether this job has made this draft: others aim theirs at a branch."""
    return bool(release["draft"] and re.fullmatch(r"[0-9a-f]{40}", release["target_commitish"]))


def _is_there(path: Path, asset: dict[str, Any] | None, *, draft: bool) -> bool:
    """Whether this file is attached; to what is published, one of this name."""
    if asset is None or asset.get("state") != "uploaded":
        return False
    content = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return not draft or (asset["size"] == len(content) and (asset.get("digest") or digest) == digest)


def main() -> None:
    """Do the job."""
    job.start(__doc__)
    repository, token = job.require("GITHUB_REPOSITORY"), job.secret(job.require("GITHUB_TOKEN"))
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        job.fail(f"GITHUB_REPOSITORY must be owner/name, got {repository!r}.", job.MISUSED)
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        job.fail(
            "GITHUB_TOKEN does not look like a token. If the secret is JSON, set release.github.secretKey to the key "
            "that holds the token.",
            job.MISUSED,
        )
    prerelease = job.require("PRERELEASE")
    if prerelease not in ("true", "false"):
        job.fail(f"PRERELEASE must be true or false, got {prerelease!r}.", job.MISUSED)
    github = GitHub(job.require("GITHUB_API_URL"), repository, token)
    deployment = delivered.read_json("deployment.json", "commit", "version", "image")
    commit, version = deployment["commit"], deployment["version"]
    if not commit or not version:
        job.fail(
            f"{deployment['image']} does not say its {'version' if commit else 'commit'}: its labels "
            "org.opencontainers.image.revision and .version are missing."
        )
    if not version_tag.COMMIT.fullmatch(commit):
        job.fail(f"{deployment['image']} says that its commit is {commit!r}, which is none.")
    tag = version_tag.of(deployment)
    files = [path for path in map(Path, ASSETS) if path.is_file()]
    for path in files:
        job.content(str(path))  # ends the job for a link that leads out of the artifact: it would be published

    github.check_tag(tag, commit)
    release = github.release(tag, commit)
    github.attach(release, files)
    if release["draft"]:
        data = {"draft": False, "tag_name": tag, "target_commitish": commit, "prerelease": prerelease == "true"}
        release = github.ask("PATCH", f"releases/{release['id']}", data)
        github.check_tag(tag, commit)
    else:
        job.say(f"{tag} was published by an earlier run")
    job.say(f"{tag} is published")
    job.export(RELEASE_URL=release["html_url"])
