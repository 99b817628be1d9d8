"""Publish a GitHub release of the deployed commit: a draft, then its files, then public.

A rerun goes on where the last run stopped. Reads deployment.json and attaches it with the other deployment artifacts;
GitHub writes the notes from the commits since the last release.
Variables: IMAGE_DIGEST, GITHUB_REPOSITORY (owner/name), GITHUB_TOKEN (secret; needs "Contents: read and write" on that
repository), TAG_PREFIX (may be empty), PRERELEASE (true or false), GITHUB_API_URL.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from pathlib import Path
from typing import Any, NoReturn

import delivered
import job
import web

ASSETS = ("deployment.json", "taskdef.json", "appspec.yaml", "imageDetail.json", "imagedefinitions.json")
PAGE = 100
MEANINGS = {
    401: "the token is not valid (any more): renew it in Secrets Manager",
    403: "the token may not do this, or too much was asked: it needs Contents: read and write on this repository",
    404: "no such repository, or the token may not see it: check release.github and the token's repository access",
    422: "GitHub refuses the request as given",
}


class GitHub:
    """The REST API for one repository."""

    def __init__(self, api: str, repository: str, token: str) -> None:
        self.repository, self._root = repository, f"{api.rstrip('/')}/repos/{repository}"
        self._headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {job.secret(token)}",
            "User-Agent": "ecs-delivery",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def ask(self, method: str, path: str, data: object = None, *, absent: bool = False) -> Any:  # noqa: ANN401 - JSON
        """Ask and return the JSON; None for "not there" if `absent` allows it; ends the job on any other refusal."""
        body = None if data is None else json.dumps(data).encode()
        return self._send(method, f"{self._root}/{path}", body, "application/json", absent=absent)

    def upload(self, address: str, path: Path) -> None:
        """Attach a file to the release whose upload address this is."""
        url = f"{address.partition('{')[0]}?{urllib.parse.urlencode({'name': path.name})}"
        self._send("POST", url, path.read_bytes(), "application/octet-stream", absent=False)

    def _send(self, method: str, url: str, body: bytes | None, content_type: str, *, absent: bool) -> Any:  # noqa: ANN401 - JSON
        job.say(f"==> {method} {url}")
        headers = self._headers if body is None else {**self._headers, "Content-Type": content_type}
        answer = web.ask(method, url, headers, body)
        if 200 <= answer.status < 300:
            return answer.json()
        # 422 is what GitHub answers for a commit or a tag it does not have.
        if absent and answer.status in (404, 422):
            return None
        return self._refused(method, url, answer)

    def _refused(self, method: str, url: str, answer: web.Answer) -> NoReturn:
        said = answer.json() if isinstance(answer.json(), dict) else {}
        details = "; ".join(
            str(error.get("message") or f"{error.get('field')}: {error.get('code')}")
            if isinstance(error, dict)
            else str(error)
            for error in said.get("errors", [])
        )
        meaning = MEANINGS.get(answer.status, "an answer nobody expected")
        text = ". ".join(part for part in (str(said.get("message", "")), details) if part)
        job.fail(f"GitHub answers {answer.status} to {method} {url}: {meaning}. It says: {text or 'nothing'}")

    def release(self, tag: str) -> dict[str, Any] | None:
        """The release of this tag, a draft too (which is not to be had by its tag); None when there is none."""
        page = 1
        while True:
            found: list[dict[str, Any]] = self.ask("GET", f"releases?per_page={PAGE}&page={page}")
            for release in found:
                if release["tag_name"] == tag:
                    return release
            if len(found) < PAGE:
                return None
            page += 1

    def check_tag(self, tag: str, commit: str) -> None:
        """End the job when the tag is there and on another commit."""
        there = self.ask("GET", f"commits/{urllib.parse.quote(f'tags/{tag}')}", absent=True)
        if there and there["sha"] != commit:
            job.fail(
                f"the tag {tag} of {self.repository} is on commit {there['sha']}, this delivery deployed {commit}.\n"
                "A released version never changes: raise the version and deliver again."
            )

    def draft(self, tag: str, commit: str, *, prerelease: bool) -> dict[str, Any]:
        """A new draft with notes from the commits since the last release."""
        wanted = {"tag_name": tag, "target_commitish": commit}
        notes = self.ask("POST", "releases/generate-notes", wanted)
        data = {**wanted, "name": notes["name"], "body": notes["body"], "draft": True, "prerelease": prerelease}
        made: dict[str, Any] = self.ask("POST", "releases", data)
        return made

    def attach(self, release: dict[str, Any], path: Path) -> None:
        """Attach a file unless it is there; a broken upload of an earlier run is replaced."""
        for asset in release.get("assets", []):
            if asset["name"] == path.name:
                if asset.get("state") == "uploaded" and asset.get("size") == path.stat().st_size:
                    job.say(f"{path.name} is attached already")
                    return
                self.ask("DELETE", f"releases/assets/{asset['id']}")
        self.upload(str(release["upload_url"]), path)


def main() -> None:
    """Do the job."""
    job.start(__doc__)
    repository, token = job.require("GITHUB_REPOSITORY"), job.require("GITHUB_TOKEN")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        job.fail(f"GITHUB_REPOSITORY must be owner/name, got {repository!r}.", job.MISUSED)
    github = GitHub(job.require("GITHUB_API_URL"), repository, token)
    deployment = delivered.read_json("deployment.json", "commit", "version", "image")
    commit, version = deployment["commit"], deployment["version"]
    if not commit or not version:
        job.fail(
            f"{deployment['image']} does not say its {'version' if commit else 'commit'}: its labels "
            "org.opencontainers.image.revision and .version are missing."
        )
    tag = f"{job.optional('TAG_PREFIX')}{version}"
    files = [path for path in map(Path, ASSETS) if path.is_file()]

    github.check_tag(tag, commit)
    release = github.release(tag)
    if release is None:
        release = github.draft(tag, commit, prerelease=job.require("PRERELEASE") == "true")
    if release["draft"]:
        for path in files:
            github.attach(release, path)
        published = {"draft": False, "tag_name": tag, "target_commitish": commit}
        release = github.ask("PATCH", f"releases/{release['id']}", published)
        github.check_tag(tag, commit)
    else:
        job.say(f"{tag} was published by an earlier run")
    url = str(release["html_url"])
    job.say(f"{tag} is published: {url}")
    job.export(RELEASE_URL=url)


if __name__ == "__main__":
    main()
