"""The two servers of the stand-in, the API's and the one for uploads, and GitHub's rules for releases."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self, TypeAlias
from urllib.parse import urlsplit

from local.rehearsal.github.description import Description, Operation
from local.rehearsal.github.state import Commit, Release, Repository, Shown

_DOCUMENTATION = "https://docs.github.com/rest"
_API_VERSION = "2022-11-28"
_UPLOAD = "POST releases/{release_id}/assets"
_WRITES = {"POST", "PATCH", "DELETE"}

When = Literal["before", "after"]


class Answer(NamedTuple):
    """What is sent back.

    Attributes:
        status: the HTTP status.
        value: the JSON; None for no body.
        headers: more than the usual ones.
    """

    status: int
    value: object = None
    headers: Mapping[str, str] = {}


class Order(NamedTuple):
    """What the stand-in is to do in place of an answer."""

    what: str


DROP: Final = Order("close the connection and say nothing")
"""As the result of a watcher: the client never hears of the request again."""
BROKEN: Final = Order("break the upload: a file in state starter, and status 502")
"""As the result of a watcher before an upload: the storage behind GitHub fails."""

Wish: TypeAlias = Answer | Order | None
"""What a watcher wants instead of what would happen anyhow."""
Watcher = Callable[..., Wish]
"""Called with the number of the request from 1, its method and its path, and `when`, before and after it is handled."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it came.

    Attributes:
        number: its place in the order of arrival, from 1.
        method: as in `GET`.
        target: path and query.
        headers: by lower-case name.
        body: the bytes.
        operation: what it asks for.
    """

    number: int
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    operation: Operation


def rate_limited(*, status: Literal[403, 429] = 429, retry_after: int = 1) -> Answer:
    """What GitHub answers to somebody who asks too much, or makes too much, at once."""
    return _error(
        status,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        headers={"Retry-After": str(retry_after)},
    )


class GitHub:
    """GitHub on this machine, for as long as the `with` block lasts.

    Attributes:
        url: address of the API, as `https://api.github.com`.
        uploads_url: address that files are sent to, as `https://uploads.github.com`.
        repositories: by name.
        requests: every request, as `METHOD path`, in the order of arrival.
        violations: what requests and answers broke of GitHub's description; a test looks that there is nothing.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        self.violations: list[str] = []
        self._tokens: dict[str, Mapping[str, str]] = {}
        self._watchers: list[Watcher] = []
        self._lock = threading.RLock()
        self._description = Description.load()
        self._servers = [_server(self, uploads=False), _server(self, uploads=True)]
        self.url, self.uploads_url = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Start to answer."""
        for server in self._servers:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to answer."""
        for server in self._servers:
            server.shutdown()
        for thread in self._threads:
            thread.join()
        for server in self._servers:
            server.server_close()

    def repository(self, name: str, *, private: bool = True) -> Repository:
        """Make an empty repository."""
        made = Repository(name, private=private)
        self.repositories[name] = made
        return made

    def token(self, value: str, **access: str) -> None:
        """Make a token with these permissions: `token("...", **{"example/shop": "write"})`; the other one is `read`."""
        if not set(access.values()) <= {"read", "write"}:
            raise ValueError(f"a token may read or write a repository, got {access}")
        self._tokens[value] = access

    def on_request(self, watcher: Watcher) -> None:
        """Have every request shown to `watcher` before and after it is handled.

        It may return an :class:`Answer` to be given in place of GitHub's own, :data:`DROP` or :data:`BROKEN`.
        """
        self._watchers.append(watcher)

    def _shown_to_watchers(self, number: int, method: str, path: str, when: When) -> Wish:
        # All of them see it, and the first that wants something gets it.
        wishes = [watcher(number, method, path, when=when) for watcher in list(self._watchers)]
        return next((wish for wish in wishes if wish is not None), None)

    def handle(
        self, method: str, target: str, headers: Mapping[str, str], read: Callable[[], bytes], *, uploads: bool
    ) -> Answer | None:
        """The answer to a request; None when the connection is to be closed without one."""
        path = urlsplit(target).path
        with self._lock:
            self.requests.append(f"{method} {path}")
            number = len(self.requests)
        wish = self._shown_to_watchers(number, method, path, "before")
        if isinstance(wish, Answer):
            read()  # a connection closed on what was not read loses the answer, too
            return wish
        if wish is DROP:
            return None
        answer = self._answer(number, method, target, headers, read, uploads=uploads, broken=wish is BROKEN)
        wish = self._shown_to_watchers(number, method, path, "after")
        if wish is DROP:
            return None
        return wish if isinstance(wish, Answer) else answer

    def _answer(
        self,
        number: int,
        method: str,
        target: str,
        headers: Mapping[str, str],
        read: Callable[[], bytes],
        *,
        uploads: bool,
        broken: bool,
    ) -> Answer:
        operation = self._description.operation(method, target)
        if operation is None or uploads != (operation.name == _UPLOAD):
            host = "uploads" if uploads else "api"
            self.violations.append(f"{method} {target}: nothing of the kind on the host for {host}")
            read()
            return _error(404, "Not Found")
        request = Request(
            number=number,
            method=method,
            target=target,
            headers=headers,
            body=b"" if uploads else read(),
            operation=operation,
        )
        refusal = self._refused_at_the_door(request)
        if refusal:
            if uploads:
                read()
            return refusal
        repository = self.repositories["{owner}/{repo}".format_map(operation.values)]
        answer = _Rules(Shown(api=self.url, uploads=self.uploads_url, repository=repository), request, self._lock)
        given = answer.upload(read, broken=broken) if uploads else answer.given(can_write=self._can_write(request))
        self._check(operation, given)
        return given

    def _check(self, operation: Operation, answer: Answer) -> None:
        """GitHub's description lacks the state `starter`, which its own text describes."""
        text = json.dumps(answer.value).replace('"state": "starter"', '"state": "open"')
        problems = self._description.answer_problems(operation, answer.status, json.loads(text))
        self.violations += [f"{operation.name}, answer {answer.status}: {problem}" for problem in problems]

    def _refused_at_the_door(self, request: Request) -> Answer | None:
        """Who may come in, and with what."""
        refusal = self._refused_for_headers(request) or self._refused_for_permissions(request)
        if refusal:
            return refusal
        problems = self._description.request_problems(
            request.operation, request.headers.get("content-type", ""), request.body
        )
        if problems:
            self.violations += [f"{request.operation.name}: {problem}" for problem in problems]
            return _error(422, f"Invalid request.\n\n{'; '.join(problems)}")
        return None

    def _refused_for_headers(self, request: Request) -> Answer | None:
        """See https://docs.github.com/rest/using-the-rest-api/getting-started-with-the-rest-api."""
        if not request.headers.get("user-agent"):
            return _error(403, "Request forbidden by administrative rules. Please make sure it has a User-Agent header")
        version = request.headers.get("x-github-api-version", _API_VERSION)
        if version != _API_VERSION:
            return _error(400, f"{version} is not a supported version")
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() not in ("bearer", "token") or token not in self._tokens:
            return _error(401, "Bad credentials")
        return None

    def _refused_for_permissions(self, request: Request) -> Answer | None:
        """A private repository is not there for who may not read it."""
        name = "{owner}/{repo}".format_map(request.operation.values)
        token = request.headers["authorization"].partition(" ")[2]
        repository = self.repositories.get(name)
        if repository is None or (repository.private and name not in self._tokens[token]):
            return _error(404, "Not Found")
        if request.method in _WRITES and not self._can_write(request):
            return _error(403, "Resource not accessible by personal access token")
        return None

    def _can_write(self, request: Request) -> bool:
        token = request.headers["authorization"].partition(" ")[2]
        return self._tokens[token].get("{owner}/{repo}".format_map(request.operation.values)) == "write"


class _RefusedError(Exception):
    """A request breaks one of GitHub's rules; carries the answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Rules:
    """What each operation does to one repository."""

    def __init__(self, shown: Shown, request: Request, lock: threading.RLock) -> None:
        self._shown = shown
        self._repository = shown.repository
        self._request = request
        self._lock = lock

    def given(self, *, can_write: bool) -> Answer:
        """Do what is asked for, and answer."""
        operation = self._request.operation
        does: Mapping[str, Callable[[], Answer]] = {
            "GET commits/{ref}": self._commit,
            "GET compare/{basehead}": self._comparison,
            "GET releases": partial(self._listed, drafts=can_write),
            "POST releases": self._make,
            "POST releases/generate-notes": self._notes,
            "GET releases/latest": self._latest,
            "GET releases/{release_id}": partial(self._one, drafts=can_write),
            "PATCH releases/{release_id}": self._change,
            "DELETE releases/{release_id}": self._delete,
            "GET releases/{release_id}/assets": self._assets,
            "DELETE releases/assets/{asset_id}": self._delete_asset,
        }
        with self._lock:
            try:
                return does[operation.name]()
            except _RefusedError as refused:
                return refused.answer

    def upload(self, read: Callable[[], bytes], *, broken: bool) -> Answer:
        """Take a file in; the release shows it as `starter` until the last byte is there."""
        name = self._request.operation.query["name"]
        with self._lock:
            try:
                release = self._release()
            except _RefusedError as refused:
                read()
                return refused.answer
            taken = any(item.name == name for item in release.assets.values())
            asset = None if taken else self._repository.asset(release, name)
        content = read()  # an upload that stops here has left a file in state starter
        if asset is None:
            return _invalid("ReleaseAsset", "name", "already_exists")
        if broken:
            return _error(502, "Server Error")
        with self._lock:
            if asset.id not in release.assets:
                return _error(404, "Not Found")  # somebody has deleted it meanwhile
            asset.content, asset.state = content, "uploaded"
            return Answer(201, self._shown.asset(asset))

    @property
    def _data(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._request.body)
        return value

    def _release(self) -> Release:
        release = self._repository.releases.get(int(self._request.operation.values["release_id"]))
        if release is None:
            raise _RefusedError(_error(404, "Not Found"))
        return release

    def _known(self, reference: str, field_: str) -> Commit:
        commit = self._repository.resolve(reference)
        if commit is None:
            raise _RefusedError(_invalid("Release", field_, "invalid"))
        return commit

    def _commit(self) -> Answer:
        reference = self._request.operation.values["ref"]
        commit = self._repository.resolve(reference)
        if commit is None:
            return _error(422, f"No commit found for SHA: {reference}")
        return Answer(200, self._shown.commit(commit))

    def _comparison(self) -> Answer:
        base, _, head = self._request.operation.values["basehead"].partition("...")
        found = self._repository.resolve(base), self._repository.resolve(head)
        if found[0] is None or found[1] is None:
            return _error(404, "Not Found")
        return Answer(200, self._shown.comparison(found[0], found[1]))

    def _listed(self, *, drafts: bool) -> Answer:
        """Newest first; "only users with push access will receive listings for draft releases"."""
        size = min(int(self._request.operation.query.get("per_page", "30")), 100)
        first = (int(self._request.operation.query.get("page", "1")) - 1) * size
        found = []
        for item in reversed(self._repository.releases.values()):
            if item.unlisted:
                item.unlisted -= 1
            elif drafts or not item.draft:
                found.append(item)
        return Answer(200, [self._shown.release(item) for item in found[first : first + size]])

    def _latest(self) -> Answer:
        latest = self._repository.latest
        return Answer(200, self._shown.release(latest)) if latest else _error(404, "Not Found")

    def _one(self, *, drafts: bool) -> Answer:
        release = self._release()
        if release.draft and not drafts:
            return _error(404, "Not Found")
        return Answer(200, self._shown.release(release))

    def _make(self) -> Answer:
        data = self._data
        if self._repository.published(data["tag_name"]):
            return _invalid("Release", "tag_name", "already_exists")
        target = data.get("target_commitish", "main")
        self._known(target, "target_commitish")
        made = self._repository.release(
            data["tag_name"],
            target,
            name=data.get("name", ""),
            body=data.get("body", ""),
            prerelease=data.get("prerelease", False),
            unlisted=self._repository.listing_lag,
        )
        if not data.get("draft", False):
            self._publish(made)
        return Answer(201, self._shown.release(made))

    def _change(self) -> Answer:
        data, release = self._data, self._release()
        other = self._repository.published(data.get("tag_name", release.tag))
        if other is not None and other is not release and not data.get("draft", release.draft):
            return _invalid("Release", "tag_name", "already_exists")
        self._known(data.get("target_commitish", release.target), "target_commitish")
        release.tag = data.get("tag_name", release.tag)
        release.target = data.get("target_commitish", release.target)
        release.name = data.get("name", release.name)
        release.body = data.get("body", release.body)
        release.prerelease = data.get("prerelease", release.prerelease)
        if release.draft and data.get("draft") is False:
            self._publish(release)
        return Answer(200, self._shown.release(release))

    def _publish(self, release: Release) -> None:
        """The tag is made where there is none yet; the target counts for nothing where there is one."""
        self._repository.tags.setdefault(release.tag, self._known(release.target, "target_commitish").sha)
        release.draft = False

    def _delete(self) -> Answer:
        del self._repository.releases[self._release().id]
        return Answer(204)

    def _assets(self) -> Answer:
        return Answer(200, [self._shown.asset(item) for item in self._release().assets.values()])

    def _delete_asset(self) -> Answer:
        number = int(self._request.operation.values["asset_id"])
        holder = next((item for item in self._repository.releases.values() if number in item.assets), None)
        if holder is None:
            return _error(404, "Not Found")
        del holder.assets[number]
        return Answer(204)

    def _notes(self) -> Answer:
        data = self._data
        known = self._repository.resolve(f"tags/{data['tag_name']}")
        head = known or self._known(data.get("target_commitish", "main"), "target_commitish")
        latest = self._repository.latest
        previous = data.get("previous_tag_name") or (latest.tag if latest else "")
        return Answer(200, self._shown.notes(data["tag_name"], head, previous))


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    value = {"message": message, "documentation_url": _DOCUMENTATION, "status": str(status)}
    return Answer(status, value, headers or {})


def _invalid(resource: str, field_: str, code: str) -> Answer:
    errors = [{"resource": resource, "code": code, "field": field_}]
    return Answer(422, {"message": "Validation Failed", "errors": errors, "documentation_url": _DOCUMENTATION})


class _Cut(Exception):  # noqa: N818 - no error of ours
    """The client has gone before it had said everything."""


def _server(github: GitHub, *, uploads: bool) -> ThreadingHTTPServer:
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
            try:
                answer = github.handle(self.command, self.path, headers, read, uploads=uploads)
                self._send(answer)
            except (_Cut, ConnectionError):
                self.close_connection = True

        def _send(self, answer: Answer | None) -> None:
            # Whoever is not answered, or answered before all was read, gets no second turn on this connection.
            self.close_connection = True
            if answer is None:
                return
            body = b"" if answer.value is None else json.dumps(answer.value).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json; charset=utf-8", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = _serve  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Keep quiet: a test looks at `requests`."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)
