"""What the stand-in of GitHub keeps: repositories with commits, tags and releases, and tokens with permissions."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TIME = "2026-01-31T12:00:00Z"
"""When everything happens; nothing that is looked at here depends on the time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One commit of a straight history.

    Attributes:
        sha: as Git would name it.
        message: all of it.
        pull: title of the pull request it came by, if any.
    """

    sha: str
    message: str
    pull: str = ""


@dataclass(kw_only=True, slots=True)
class Asset:
    """A file of a release.

    Attributes:
        id: GitHub's number of it.
        name: its file name.
        content: the bytes.
        state: `uploaded`, or `starter` while (and after) an upload that did not end well.
    """

    id: int
    name: str
    content: bytes = b""
    state: str = "starter"


@dataclass(kw_only=True, slots=True)
class Release:
    """A release, published or not.

    Attributes:
        id: GitHub's number of it.
        tag: name of its tag, which a draft need not have yet.
        target: what the tag is made on.
        name: its title.
        body: its notes.
        draft: whether only those may see it who can write.
        prerelease: whether it is marked as one.
        assets: its files by number.
        unlisted: how many more lists it is missing from.
    """

    id: int
    tag: str
    target: str
    name: str = ""
    body: str = ""
    draft: bool = True
    prerelease: bool = False
    assets: dict[int, Asset] = field(default_factory=dict)
    unlisted: int = 0

    @property
    def files(self) -> dict[str, bytes]:
        """The whole files by name."""
        return {asset.name: asset.content for asset in self.assets.values() if asset.state == "uploaded"}


class Repository:
    """One repository.

    Attributes:
        name: `owner/name`.
        private: whether those without a permission get to know that it exists.
        commits: its history, oldest first.
        tags: the commit of each tag.
        releases: its releases by number, in the order they were made.
        listing_lag: how many lists a release is missing from after it was made: GitHub's are not always up to date
            (cli/cli issue 6599).
    """

    def __init__(self, name: str, *, private: bool = True) -> None:
        self.name = name
        self.private = private
        self.listing_lag = 0
        self.commits: list[Commit] = []
        self.tags: dict[str, str] = {}
        self.releases: dict[int, Release] = {}
        self._numbers = itertools.count(1001)

    def commit(self, message: str, *, pull: str = "") -> str:
        """Add a commit to the history; returns its name."""
        sha = hashlib.sha1(f"{len(self.commits)}{message}".encode(), usedforsecurity=False).hexdigest()
        self.commits.append(Commit(sha=sha, message=message, pull=pull))
        return sha

    def release(self, tag: str, target: str, **more: Any) -> Release:  # noqa: ANN401 - the fields of Release
        """Add a release; a published one brings its tag."""
        made = Release(id=next(self._numbers), tag=tag, target=target, **more)
        self.releases[made.id] = made
        if not made.draft:
            self.tags.setdefault(tag, target)
        return made

    def asset(self, release: Release, name: str, content: bytes = b"", state: str = "starter") -> Asset:
        """Add a file to a release."""
        made = Asset(id=next(self._numbers), name=name, content=content, state=state)
        release.assets[made.id] = made
        return made

    def published(self, tag: str) -> Release | None:
        """The published release of a tag."""
        return next((item for item in self.releases.values() if item.tag == tag and not item.draft), None)

    @property
    def latest(self) -> Release | None:
        """The newest release that is published and no pre-release."""
        found = [item for item in self.releases.values() if not item.draft and not item.prerelease]
        return found[-1] if found else None

    def resolve(self, reference: str) -> Commit | None:
        """The commit that a name stands for: `tags/NAME`, `heads/main`, a tag or (the beginning of) a commit."""
        kind, _, name = reference.partition("/")
        if kind == "tags":
            wanted = self.tags.get(name, "")
        elif reference in ("main", "heads/main"):
            return self.commits[-1] if self.commits else None
        else:
            wanted = self.tags.get(reference, reference)
        return next((item for item in self.commits if len(wanted) >= 7 and item.sha.startswith(wanted)), None)

    def between(self, base: Commit | None, head: Commit) -> list[Commit]:
        """The commits after `base` up to `head`, oldest first."""
        first = self.commits.index(base) + 1 if base else 0
        return self.commits[first : self.commits.index(head) + 1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """How things are shown in answers, with every field that GitHub's own description of its API asks for.

    Attributes:
        api: address of the API.
        uploads: address that files are sent to.
        repository: what it is about.
    """

    api: str
    uploads: str
    repository: Repository

    @property
    def _api(self) -> str:
        return f"{self.api}/repos/{self.repository.name}"

    @property
    def page(self) -> str:
        """Where people look at the repository."""
        return f"https://github.com/{self.repository.name}"

    def release(self, release: Release) -> dict[str, Any]:
        """A release."""
        url = f"{self._api}/releases/{release.id}"
        # A draft has no tag yet, so its page is named by chance.
        shown_as = f"untagged-{hashlib.sha256(url.encode()).hexdigest()[:20]}" if release.draft else release.tag
        ball = None if release.draft else f"{self._api}/tarball/{release.tag}"
        return {
            "url": url,
            "assets_url": f"{url}/assets",
            "upload_url": f"{self.uploads}/repos/{self.repository.name}/releases/{release.id}/assets{{?name,label}}",
            "html_url": f"{self.page}/releases/tag/{shown_as}",
            "tarball_url": ball,
            "zipball_url": ball,
            "id": release.id,
            "node_id": f"RE_{release.id}",
            "author": _user(self.api),
            "tag_name": release.tag,
            "target_commitish": release.target,
            "name": release.name,
            "body": release.body,
            "draft": release.draft,
            "prerelease": release.prerelease,
            "created_at": TIME,
            "published_at": None if release.draft else TIME,
            "assets": [self.asset(asset) for asset in release.assets.values()],
        }

    def asset(self, asset: Asset) -> dict[str, Any]:
        """A file of a release."""
        whole = asset.state == "uploaded"
        return {
            "url": f"{self._api}/releases/assets/{asset.id}",
            "browser_download_url": f"{self.page}/releases/download/{asset.id}/{asset.name}",
            "id": asset.id,
            "node_id": f"RA_{asset.id}",
            "name": asset.name,
            "label": "",
            "state": asset.state,
            "content_type": "application/octet-stream",
            "size": len(asset.content),
            "digest": f"sha256:{hashlib.sha256(asset.content).hexdigest()}" if whole else None,
            "download_count": 0,
            "created_at": TIME,
            "updated_at": TIME,
            "uploader": _user(self.api),
        }

    def commit(self, commit: Commit) -> dict[str, Any]:
        """A commit."""
        url = f"{self._api}/commits/{commit.sha}"
        person = {"name": "Octo Cat", "email": "octocat@example.com", "date": TIME}
        return {
            "url": url,
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "html_url": f"{self.page}/commit/{commit.sha}",
            "comments_url": f"{url}/comments",
            "commit": {
                "url": f"{self._api}/git/commits/{commit.sha}",
                "author": person,
                "committer": person,
                "message": commit.message,
                "tree": {"sha": commit.sha, "url": f"{self._api}/git/trees/{commit.sha}"},
                "comment_count": 0,
            },
            "author": _user(self.api),
            "committer": _user(self.api),
            "parents": [],
        }

    def comparison(self, base: Commit, head: Commit) -> dict[str, Any]:
        """What lies between two commits; of very many the newest 250, as without a page number."""
        commits = self.repository.between(base, head)
        url = f"{self._api}/compare/{base.sha}...{head.sha}"
        return {
            "url": url,
            "html_url": f"{self.page}/compare/{base.sha}...{head.sha}",
            "permalink_url": f"{self.page}/compare/{base.sha}...{head.sha}",
            "diff_url": f"{self.page}/compare/{base.sha}...{head.sha}.diff",
            "patch_url": f"{self.page}/compare/{base.sha}...{head.sha}.patch",
            "base_commit": self.commit(base),
            "merge_base_commit": self.commit(base),
            "status": "ahead" if commits else "identical",
            "ahead_by": len(commits),
            "behind_by": 0,
            "total_commits": len(commits),
            "commits": [self.commit(item) for item in commits[-250:]],
        }

    def notes(self, tag: str, head: Commit, previous: str) -> dict[str, Any]:
        """Generated notes: the pull requests since the last release, and nothing of commits without one."""
        base = self.repository.resolve(f"tags/{previous}") if previous else None
        pulls = [item.pull for item in self.repository.between(base, head) if item.pull]
        listed = [f"* {title} by @octocat in {self.page}/pull/{n}" for n, title in enumerate(pulls, 1)]
        changes = f"{self.page}/compare/{previous}...{tag}" if previous else f"{self.page}/commits/{tag}"
        heading = ["## What's Changed", *listed, ""] if listed else []
        return {"name": tag, "body": "\n".join([*heading, "", f"**Full Changelog**: {changes}"])}


def _user(api: str) -> Mapping[str, Any]:
    url = f"{api}/users/octocat"
    lists = ("events", "followers", "following", "gists", "organizations", "received_events", "repos", "starred")
    return {
        **{f"{part}_url": f"{url}/{part}" for part in (*lists, "subscriptions")},
        "login": "octocat",
        "id": 1,
        "node_id": "U_1",
        "avatar_url": "https://avatars.githubusercontent.com/u/1",
        "gravatar_id": "",
        "url": url,
        "html_url": "https://github.com/octocat",
        "type": "User",
        "site_admin": False,
    }
