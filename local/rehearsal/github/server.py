"""GitHub's server: repositories with commits, tags and releases, tokens with permissions, and the rules for releases.

What it answers has the fields that its clients here read.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal, NamedTuple, Self, TypeAlias

from local.loopback import serving_http
from local.rehearsal.github.answers import Answer, error, invalid
from local.rehearsal.github.description import Description, Operation, operation_of
from local.rehearsal.github.pulls import PULL_OPERATIONS, Pulls
from local.rehearsal.github.statuses import STATUS_OPERATIONS, Board

_API_VERSION = "2022-11-28"
_UPLOADS = "/uploads"
"""Where uploads.github.com begins, on the address of the API; it takes files and nothing else."""
_STORAGE = "/storage"
"""Where the archives of workflow runs are. The host is another one, and takes no token but the address's own."""
_WRITE = ("write", "workflows")
_UPLOAD = "POST releases/{release_id}/assets"

When = Literal["before", "after"]


class Order(Enum):
    """What the server is to do in place of an answer, as the result of a watcher."""

    DROP = "close the connection and say nothing: the client never hears of the request again"
    BROKEN = "before an upload, as if the storage behind GitHub failed: a file in state starter, and status 502"


DROP, BROKEN = Order.DROP, Order.BROKEN
Wish: TypeAlias = Answer | Order | None
"""What a watcher wants instead of what would happen anyhow."""
Watcher = Callable[..., Wish]
"""Called with the number of the request from 1, its method and its path, and `when`, before and after it is handled."""


class Commit(NamedTuple):
    """One commit of a straight history.

    Attributes:
        sha: Its name.
        message: Its message.
        pull: The title of its pull request, if any.
        edits_workflows: Whether it changes a file in `.github/workflows`.
    """

    sha: str
    message: str
    pull: str = ""
    edits_workflows: bool = False


@dataclass(kw_only=True, slots=True)
class Asset:
    """A file of a release; in state `starter` while, and after, an upload that did not end well."""

    id: int
    name: str
    content: bytes = b""
    state: str = "starter"
    digest: bool = True
    """Whether its digest is told: GitHub Enterprise Server tells none before 3.18."""


@dataclass(kw_only=True, slots=True)
class Release:
    """A release, published or not; `unlisted` is how many more lists it is missing from."""

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
    """One private repository.

    Attributes:
        name: `owner/name`.
        commits: its history, oldest first.
        tags: the commit of each tag.
        releases: its releases by number, in the order they were made.
        board: what it shows of commits and deployments.
        pulls: its pull requests, with comments, labels and runs of workflows.
        listing_lag: how many lists a release is missing from after it was made: GitHub's are not always up to date
            (cli/cli issue 6599).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.listing_lag = 0
        self.board = Board()
        self.pulls = Pulls(name)
        self.commits: list[Commit] = []
        self.tags: dict[str, str] = {}
        self.releases: dict[int, Release] = {}
        self._numbers = itertools.count(1001)

    def commit(self, message: str, *, pull: str = "", edits_workflows: bool = False) -> str:
        """Add a commit to the history; returns its name.

        Args:
            message: Its message.
            pull: The pull request that brought it.
            edits_workflows: Whether it changes a file in `.github/workflows`.
        """
        sha = hashlib.sha1(f"{len(self.commits)}{message}".encode(), usedforsecurity=False).hexdigest()
        self.commits.append(Commit(sha, message, pull, edits_workflows))
        return sha

    def has_other_workflows(self, commit: Commit) -> bool:
        """Return whether the workflows of a commit differ from those of the default branch."""
        return any(later.edits_workflows for later in self.commits[self.commits.index(commit) + 1 :])

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
        """Return the published release of a tag."""
        return next((item for item in self.releases.values() if item.tag == tag and not item.draft), None)

    @property
    def latest(self) -> Release | None:
        """The newest release that is published and no pre-release."""
        found = [item for item in self.releases.values() if not item.draft and not item.prerelease]
        return found[-1] if found else None

    def resolve(self, reference: str) -> Commit | None:
        """Return the commit that a name stands for: `tags/NAME`, `main`, a tag or a commit's name."""
        kind, _, name = reference.partition("/")
        if reference == "main":
            return self.commits[-1] if self.commits else None
        wanted = self.tags.get(name, "") if kind == "tags" else self.tags.get(reference, reference)
        return next((item for item in self.commits if item.sha == wanted), None)

    def between(self, base: Commit | None, head: Commit) -> list[Commit]:
        """Return the commits after `base` up to `head`, oldest first."""
        first = self.commits.index(base) + 1 if base else 0
        return self.commits[first : self.commits.index(head) + 1]


def rate_limited(*, status: Literal[403, 429] = 429, retry_after: int = 1) -> Answer:
    """Return what GitHub answers to somebody who asks too much, or makes too much, at once."""
    message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    return Answer(status, error(status, message).value, {"Retry-After": str(retry_after)})


class GitHub:
    """GitHub on this machine, for as long as the `with` block lasts.

    Attributes:
        url: address of the API, as `https://api.github.com`.
        url_here: the same for this process, where `listener` is in another network.
        repositories: by name.
        requests: every request, as `METHOD path`, in the order of arrival.
        violations: what requests and answers broke of GitHub's description; a test looks that there is nothing.
    """

    def __init__(self, *, described: bool = True, listener: socket.socket | None = None) -> None:
        """Describe it; `with` starts it.

        Args:
            described: whether requests and answers are held against GitHub's description, which npm must fetch once.
            listener: a socket on loopback that listens already; by default a free port.
        """
        self._listener = listener
        self.url = self.url_here = ""
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        self.violations: list[str] = []
        self.lock = threading.RLock()
        self._description = Description.load() if described else None
        self._tokens: dict[str, Mapping[str, str]] = {}
        self._watchers: list[Watcher] = []
        self._serving = ExitStack()

    def __enter__(self) -> Self:
        """Start to answer."""
        handler = _handler(self)
        self.url = self._serving.enter_context(serving_http(handler, listener=self._listener))
        self.url_here = self._serving.enter_context(serving_http(handler)) if self._listener else self.url
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to answer."""
        self._serving.close()

    def repository(self, name: str) -> Repository:
        """Make an empty repository."""
        return self.repositories.setdefault(name, Repository(name))

    def token(self, value: str, **access: str) -> None:
        """Make a token with these permissions, or give it more: `token("...", **{"example/shop": "write"})`.

        The others are `read`, `workflows`, which is to write both contents and workflows, `statuses`, `deployments`,
        `pulls`, which is to write to pull requests, and `actions`, to read runs of workflows; several stand in one
        text.
        """
        self._tokens[value] = {**self._tokens.get(value, {}), **access}

    def on_request(self, watcher: Watcher) -> None:
        """Have every request shown to `watcher` before and after it is handled.

        It may return an :class:`Answer` to be given in place of GitHub's own, :data:`DROP` or :data:`BROKEN`.
        """
        self._watchers.append(watcher)

    def _wished(self, number: int, method: str, path: str, when: When) -> Wish:
        # All of them see it, and the first that wants something gets it.
        wishes = [watcher(number, method, path, when=when) for watcher in list(self._watchers)]
        return next((wish for wish in wishes if wish is not None), None)

    def handle(self, method: str, target: str, headers: Mapping[str, str], read: Callable[[], bytes]) -> Answer | None:
        """Return the answer to a request; None when the connection is to be closed without one."""
        path = target.partition("?")[0].removeprefix(_UPLOADS)
        with self.lock:
            self.requests.append(f"{method} {path}")
            number = len(self.requests)
        wish = self._wished(number, method, path, "before")
        if isinstance(wish, Answer):
            read()  # a connection closed on what was not read loses the answer, too
            return wish
        if wish is DROP:
            return None
        answer = self._answer(method, target, headers, read, broken=wish is BROKEN)
        wish = self._wished(number, method, path, "after")
        if wish is DROP:
            return None
        return wish if isinstance(wish, Answer) else answer

    def _answer(
        self, method: str, target: str, headers: Mapping[str, str], read: Callable[[], bytes], *, broken: bool
    ) -> Answer:
        if target.startswith(f"{_STORAGE}/"):
            return self._archive(target.removeprefix(f"{_STORAGE}/"), headers)
        operation = operation_of(method, target.removeprefix(_UPLOADS), (*_OPERATIONS, _UPLOAD))
        if operation is None or (operation.name == _UPLOAD) != target.startswith(_UPLOADS):
            self.violations.append(f"{method} {target}: there is nothing of the kind on this host")
            read()
            return error(404, "Not Found")
        access = self._access(headers, operation)
        permitted = isinstance(access, str) and _permits(access, method, operation.name)
        body = b"" if operation.name == _UPLOAD and permitted else read()
        problems = self._problems(operation, headers.get("content-type", ""), body) if permitted else []
        if isinstance(access, Answer):
            return access
        if not permitted:
            return error(403, "Resource not accessible by personal access token")
        if problems:
            return error(422, f"Invalid request.\n\n{'; '.join(problems)}")
        repository = self.repositories[operation.repository]
        rules = _Rules(self, repository, operation, body, workflows="workflows" in access.split())
        given = rules.upload(read, broken=broken) if operation.name == _UPLOAD else rules.given()
        if self._description:
            # GitHub's description lacks the state `starter`, which its own text describes.
            text = json.dumps(given.value).replace('"state": "starter"', '"state": "open"')
            problems = self._description.answer_problems(operation, given.status, json.loads(text))
            self.violations += [f"{operation.name}, answer {given.status}: {problem}" for problem in problems]
        return given

    def _archive(self, name: str, headers: Mapping[str, str]) -> Answer:
        """The archive of a run; an address with its own signature refuses a token beside it.

        https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-requests-to-azure-storage
        """
        if "authorization" in headers:
            self.violations.append("the token was sent to the host of the archives")
            return error(400, "InvalidAuthenticationInfo")
        found = (repository.pulls.stored(name) for repository in self.repositories.values())
        content = next(filter(None, found), None)
        return Answer(200, content, {"Content-Type": "application/zip"}) if content else error(404, "Not Found")

    def _problems(self, operation: Operation, content_type: str, body: bytes) -> list[str]:
        problems = self._description.request_problems(operation, content_type, body) if self._description else []
        self.violations += [f"{operation.name}: {problem}" for problem in problems]
        return problems

    def _access(self, headers: Mapping[str, str], operation: Operation) -> Answer | str:
        """What a token allows on a repository, or why nothing; what may not be read is not there.

        See https://docs.github.com/rest/using-the-rest-api/getting-started-with-the-rest-api.
        """
        if not headers.get("user-agent"):
            return error(403, "Request forbidden by administrative rules. Please make sure it has a User-Agent header")
        version = headers.get("x-github-api-version", _API_VERSION)
        if version != _API_VERSION:
            return error(400, f"{version} is not a supported version")
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self._tokens:
            return error(401, "Bad credentials")
        name = operation.repository
        access = self._tokens[token].get(name) if name in self.repositories else None
        return access or error(404, "Not Found")


def _permits(access: str, method: str, operation: str) -> bool:
    """Whether a token with this access may do this."""
    words = access.split()
    special = {**STATUS_OPERATIONS, **PULL_OPERATIONS}
    if operation in special:
        return special[operation] in words
    return any(word in _WRITE for word in words) or (method == "GET" and "read" in words)


class _RefusedError(Exception):
    """A request breaks one of GitHub's rules; carries the answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Rules:
    """What each operation does to one repository."""

    def __init__(
        self, github: GitHub, repository: Repository, operation: Operation, body: bytes, *, workflows: bool
    ) -> None:
        self._workflows = workflows
        self._github, self._repository, self._operation, self._body = github, repository, operation, body
        self._api = f"{github.url}/repos/{repository.name}"
        self._page = f"https://github.com/{repository.name}"

    def given(self) -> Answer:
        """Do what is asked for, and answer."""
        with self._github.lock:
            try:
                return _OPERATIONS[self._operation.name](self)
            except _RefusedError as refused:
                return refused.answer

    def upload(self, read: Callable[[], bytes], *, broken: bool) -> Answer:
        """Take a file in; the release shows it as `starter` until the last byte is there."""
        name = self._operation.query["name"]
        with self._github.lock:
            release = self._repository.releases.get(int(self._operation.values["release_id"]))
            taken = release and any(item.name == name for item in release.assets.values())
            asset = self._repository.asset(release, name) if release and not taken else None
        content = read()  # an upload that stops here has left a file in state starter
        if broken:
            return error(502, "Server Error")
        with self._github.lock:
            if asset and release and asset.id in release.assets:
                asset.content, asset.state = content, "uploaded"
                return Answer(201, self._asset(asset))
        return invalid("ReleaseAsset", "name", "already_exists") if taken else error(404, "Not Found")

    @property
    def _data(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._body)
        return value

    def _release(self) -> Release:
        release = self._repository.releases.get(int(self._operation.values["release_id"]))
        if release is None:
            raise _RefusedError(error(404, "Not Found"))
        return release

    def _known(self, reference: str) -> Commit:
        commit = self._repository.resolve(reference)
        if commit is None:
            raise _RefusedError(invalid("Release", "target_commitish", "invalid"))
        return commit

    def commit(self) -> Answer:
        reference = self._operation.values["ref"]
        commit = self._repository.resolve(reference)
        if commit is None:
            return error(422, f"No commit found for SHA: {reference}")
        return Answer(200, self._shown_commit(commit))

    def comparison(self) -> Answer:
        """What lies between two commits; of very many the newest 250, as without a page number."""
        base, head = (self._repository.resolve(name) for name in self._operation.values["basehead"].split("..."))
        if base is None or head is None:
            return error(404, "Not Found")
        commits = self._repository.between(base, head)
        return Answer(200, {"commits": [self._shown_commit(item) for item in commits[-250:]]})

    def listed(self) -> Answer:
        """Newest first."""
        size, page = (int(self._operation.query.get(key, default)) for key, default in (("per_page", 30), ("page", 1)))
        found = []
        for item in reversed(self._repository.releases.values()):
            if item.unlisted:
                item.unlisted -= 1
            else:
                found.append(item)
        return Answer(200, [self._shown(item) for item in found[(page - 1) * size : page * size]])

    def latest(self) -> Answer:
        latest = self._repository.latest
        return Answer(200, self._shown(latest)) if latest else error(404, "Not Found")

    def make(self) -> Answer:
        data = self._data
        if self._repository.published(data["tag_name"]):
            return invalid("Release", "tag_name", "already_exists")
        target = data.get("target_commitish", "main")
        if self._repository.has_other_workflows(self._known(target)) and not self._workflows:
            return OTHER_WORKFLOWS
        more = {key: data[key] for key in ("name", "body", "prerelease") if key in data}
        made = self._repository.release(data["tag_name"], target, unlisted=self._repository.listing_lag, **more)
        if not data.get("draft", False):
            self._publish(made)
        return Answer(201, self._shown(made))

    def change(self) -> Answer:
        data, release = self._data, self._release()
        other = self._repository.published(data.get("tag_name", release.tag))
        if other is not None and other is not release and not data.get("draft", release.draft):
            return invalid("Release", "tag_name", "already_exists")
        self._known(data.get("target_commitish", release.target))
        names = {"tag_name": "tag", "target_commitish": "target"}
        for key in data.keys() & {"tag_name", "target_commitish", "name", "body", "prerelease"}:
            setattr(release, names.get(key, key), data[key])
        if release.draft and data.get("draft") is False:
            self._publish(release)
        return Answer(200, self._shown(release))

    def _publish(self, release: Release) -> None:
        """The tag is made where there is none yet; the target counts for nothing where there is one."""
        self._repository.tags.setdefault(release.tag, self._known(release.target).sha)
        release.draft = False

    def delete(self) -> Answer:
        del self._repository.releases[self._release().id]
        return Answer(204)

    def assets(self) -> Answer:
        return Answer(200, [self._asset(item) for item in self._release().assets.values()])

    def delete_asset(self) -> Answer:
        number = int(self._operation.values["asset_id"])
        holder = next((item for item in self._repository.releases.values() if number in item.assets), None)
        if holder is None:
            return error(404, "Not Found")
        del holder.assets[number]
        return Answer(204)

    def notes(self) -> Answer:
        """Generated notes: the pull requests since the last release, and nothing of commits without one."""
        data = self._data
        tag = data["tag_name"]
        head = self._repository.resolve(f"tags/{tag}") or self._known(data.get("target_commitish", "main"))
        previous = self._repository.latest.tag if self._repository.latest else ""
        base = self._repository.resolve(f"tags/{previous}") if previous else None
        pulls = [item.pull for item in self._repository.between(base, head) if item.pull]
        listed = [f"* {title} by @octocat in {self._page}/pull/{n}" for n, title in enumerate(pulls, 1)]
        changes = f"{self._page}/compare/{previous}...{tag}" if previous else f"{self._page}/commits/{tag}"
        heading = ["## What's Changed", *listed, ""] if listed else []
        return Answer(200, {"name": tag, "body": "\n".join([*heading, "", f"**Full Changelog**: {changes}"])})

    def add_status(self) -> Answer:
        sha = self._operation.values["sha"]
        commit = self._repository.resolve(sha)
        if commit is None or commit.sha != sha:
            return error(422, f"No commit found for SHA: {sha}")
        return self._repository.board.add_status(sha, self._data)

    def list_statuses(self) -> Answer:
        reference = self._operation.values["ref"]
        commit = self._repository.resolve(reference)
        if commit is None:
            return error(422, f"No commit found for SHA: {reference}")
        return self._repository.board.list_statuses(commit.sha, self._operation.query)

    def deploy(self) -> Answer:
        data = self._data
        commit = self._repository.resolve(data["ref"])
        if commit is None:
            return error(422, f"No ref found for: {data['ref']}")
        is_newest = commit == self._repository.commits[-1]
        return self._repository.board.deploy(commit.sha, data, is_newest=is_newest)

    def list_deployments(self) -> Answer:
        return self._repository.board.list_deployments(self._operation.query)

    def add_deployment_status(self) -> Answer:
        return self._repository.board.add_deployment_status(int(self._operation.values["deployment_id"]), self._data)

    def list_deployment_statuses(self) -> Answer:
        number = int(self._operation.values["deployment_id"])
        return self._repository.board.list_deployment_statuses(number, self._operation.query)

    def pulls(self) -> Answer:
        """Everything about pull requests, which knows its own rules."""
        pulls, values, query = self._repository.pulls, self._operation.values, self._operation.query
        # Another name of this machine stands for another host.
        storage = f"{self._github.url_here.replace('127.0.0.1', 'localhost')}{_STORAGE}"
        operations: Mapping[str, Callable[[], Answer]] = {
            "GET pulls": lambda: pulls.listed(query),
            "GET issues/{issue_number}/comments": lambda: pulls.list_comments(int(values["issue_number"]), query),
            "POST issues/{issue_number}/comments": lambda: pulls.add_comment(int(values["issue_number"]), self._data),
            "PATCH issues/comments/{comment_id}": lambda: pulls.edit_comment(int(values["comment_id"]), self._data),
            "DELETE issues/comments/{comment_id}": lambda: pulls.delete_comment(int(values["comment_id"])),
            "GET issues/{issue_number}/labels": lambda: pulls.list_labels(int(values["issue_number"]), query),
            "POST issues/{issue_number}/labels": lambda: pulls.add_labels(int(values["issue_number"]), self._data),
            "DELETE issues/{issue_number}/labels/{name}": lambda: pulls.remove_label(
                int(values["issue_number"]), values["name"]
            ),
            "GET labels/{name}": lambda: pulls.label(values["name"]),
            "POST labels": lambda: pulls.make_label(self._data),
            "GET actions/runs": lambda: pulls.list_runs(query),
            "GET actions/runs/{run_id}/artifacts": lambda: pulls.list_artifacts(int(values["run_id"]), query),
            "GET actions/artifacts/{artifact_id}/{archive_format}": lambda: pulls.archive(
                int(values["artifact_id"]), storage
            ),
        }
        return operations[self._operation.name]()

    # How things are shown.

    def _shown(self, release: Release) -> dict[str, Any]:
        url = f"{self._api}/releases/{release.id}"
        # A draft has no tag yet, so its page is named by chance.
        shown_as = f"untagged-{hashlib.sha256(url.encode()).hexdigest()[:20]}" if release.draft else release.tag
        uploads = self._api.replace(self._github.url, f"{self._github.url}{_UPLOADS}")
        return {
            "id": release.id,
            "upload_url": f"{uploads}/releases/{release.id}/assets{{?name,label}}",
            "html_url": f"{self._page}/releases/tag/{shown_as}",
            "tag_name": release.tag,
            "target_commitish": release.target,
            **{key: getattr(release, key) for key in ("name", "body", "draft", "prerelease")},
            "assets": [self._asset(asset) for asset in release.assets.values()],
        }

    def _asset(self, asset: Asset) -> dict[str, Any]:
        told = asset.state == "uploaded" and asset.digest
        return {
            "id": asset.id,
            "name": asset.name,
            "state": asset.state,
            "size": len(asset.content),
            "digest": f"sha256:{hashlib.sha256(asset.content).hexdigest()}" if told else None,
        }

    def _shown_commit(self, commit: Commit) -> dict[str, Any]:
        return {"sha": commit.sha, "commit": {"message": commit.message}}


_OPERATIONS: Mapping[str, Callable[[_Rules], Answer]] = {
    "GET commits/{ref}": _Rules.commit,
    "GET compare/{basehead}": _Rules.comparison,
    "GET releases": _Rules.listed,
    "POST releases": _Rules.make,
    "POST releases/generate-notes": _Rules.notes,
    "GET releases/latest": _Rules.latest,
    "PATCH releases/{release_id}": _Rules.change,
    "DELETE releases/{release_id}": _Rules.delete,
    "GET releases/{release_id}/assets": _Rules.assets,
    "DELETE releases/assets/{asset_id}": _Rules.delete_asset,
    "POST statuses/{sha}": _Rules.add_status,
    "GET commits/{ref}/statuses": _Rules.list_statuses,
    "POST deployments": _Rules.deploy,
    "GET deployments": _Rules.list_deployments,
    "POST deployments/{deployment_id}/statuses": _Rules.add_deployment_status,
    "GET deployments/{deployment_id}/statuses": _Rules.list_deployment_statuses,
    **dict.fromkeys(PULL_OPERATIONS, _Rules.pulls),
}
"""What is answered beside uploads: method, and path behind the repository."""


OTHER_WORKFLOWS = error(403, "Resource not accessible by personal access token")._replace(
    headers={"X-Accepted-GitHub-Permissions": "contents=write; contents=write,workflows=write"}
)
"""The answer to a release of a commit whose workflows differ from the default branch's, without their permission.

https://github.com/softprops/action-gh-release/issues/411, https://github.com/cli/cli/issues/9514
"""


class _Cut(Exception):  # noqa: N818 - no error of ours
    """The client has gone before it had said everything."""


def _handler(github: GitHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)

            def read() -> bytes:
                content = self.rfile.read(length)
                if len(content) < length:
                    raise _Cut
                return content

            headers = {name.lower(): value for name, value in self.headers.items()}
            # Whoever is not answered, or answered before all was read, gets no second turn on this connection.
            self.close_connection = True
            try:
                answer = github.handle(self.command, self.path, headers, read)
                if answer is not None:
                    self._send(answer)
            except (_Cut, ConnectionError):
                return

        def _send(self, answer: Answer) -> None:
            body = answer.value if isinstance(answer.value, bytes) else b""
            if answer.value is not None and not body:
                body = json.dumps(answer.value).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json; charset=utf-8", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = _serve  # noqa: N815 - http.server's names

    return Handler
