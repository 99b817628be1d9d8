"""Pull requests, their comments and labels, and the workflow runs of their commits with what those have left.

Rules that the description of the API does not say have their page beside them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from local.rehearsal.github.answers import Answer, error, invalid

MOST_CHARACTERS: Final = 65_536
"""Of a comment: https://github.com/danger/danger/issues/424."""
MOST_OF_A_LABEL: Final = 100
"""Characters of a label's description: https://docs.github.com/rest/issues/labels#create-a-label."""
BOT: Final = "github-actions[bot]"
"""Who writes with the token of a workflow: https://docs.github.com/en/actions/concepts/security/github_token."""

Json = dict[str, Any]


@dataclass(kw_only=True, slots=True)
class PullRequest:
    """A pull request.

    Attributes:
        number: Its number.
        sha: The newest commit of its branch.
        head: The repository and the branch that it comes from; of a fork, another repository.
        base: The branch that it is to go to.
        state: `open` or `closed`.
        labels: Names of its labels.
    """

    number: int
    sha: str
    head: tuple[str, str]
    base: str = "main"
    state: str = "open"
    labels: list[str] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class Comment:
    """A comment on a pull request."""

    id: int
    pull: int
    body: str
    author: str


@dataclass(kw_only=True, slots=True)
class Run:
    """A run of a workflow.

    Attributes:
        id: Its number; later runs have higher ones.
        path: The workflow's file.
        sha: The commit that it is of.
        event: What started it.
        status: `completed`, `in_progress`, `waiting` for a reviewer, ...
        conclusion: How it ended, `success`, `failure`, ...; None before that.
        artifacts: The archives that it has left, as zip files, by name.
        expired: Whether they are deleted already.
    """

    id: int
    path: str
    sha: str
    event: str
    status: str
    conclusion: str | None
    artifacts: dict[str, bytes] = field(default_factory=dict)
    expired: bool = False


class Pulls:
    """What one repository has of these.

    Attributes:
        requests: Pull requests, the oldest first.
        comments: Comments of all of them, the oldest first.
        labels: The labels of the repository with their descriptions.
        runs: Runs of workflows, the oldest first.
    """

    def __init__(self, repository: str) -> None:
        self._repository = repository
        self.requests: list[PullRequest] = []
        self.comments: list[Comment] = []
        self.labels: dict[str, Json] = {}
        self.runs: list[Run] = []
        self._numbers = itertools.count(1)

    def open(self, sha: str, *, branch: str = "edit", fork: str = "", base: str = "main") -> PullRequest:
        """Open a pull request, from a branch of this repository or of a fork."""
        made = PullRequest(number=next(self._numbers), sha=sha, head=(fork or self._repository, branch), base=base)
        self.requests.append(made)
        return made

    def comment(self, pull: int, body: str, author: str = BOT) -> Comment:
        """Add a comment."""
        made = Comment(id=next(self._numbers), pull=pull, body=body, author=author)
        self.comments.append(made)
        return made

    def run(
        self,
        path: str,
        sha: str,
        *,
        event: str = "pull_request",
        status: str = "completed",
        conclusion: str | None = "success",
        artifacts: Mapping[str, bytes] | None = None,
    ) -> Run:
        """Add a run of a workflow."""
        made = Run(
            id=next(self._numbers),
            path=path,
            sha=sha,
            event=event,
            status=status,
            conclusion=conclusion if status == "completed" else None,
            artifacts=dict(artifacts or {}),
        )
        self.runs.append(made)
        return made

    def stored(self, name: str) -> bytes | None:
        """The archive behind an address that :meth:`archive` has led to."""
        return next((content for run in self.runs for content in run.artifacts.values() if _key(content) == name), None)

    # What is asked for.

    def listed(self, query: Mapping[str, str]) -> Answer:
        """Return the pull requests, the newest first.

        `head` is `user:branch`, which several forks of one owner may have:
        https://docs.github.com/rest/pulls/pulls#list-pull-requests.
        """
        state, head, base = query.get("state", "open"), query.get("head", ""), query.get("base", "")
        found = [
            self._shown(each)
            for each in reversed(self.requests)
            if state in {"all", each.state}
            and (":" not in head or head == f"{each.head[0].partition('/')[0]}:{each.head[1]}")
            and base in {"", each.base}
        ]
        return Answer(200, _page(found, query))

    def list_comments(self, number: int, query: Mapping[str, str]) -> Answer:
        """Return the comments of a pull request, the oldest first."""
        if not self._request(number):
            return error(404, "Not Found")
        return Answer(200, _page([_comment(each) for each in self.comments if each.pull == number], query))

    def add_comment(self, number: int, data: Json) -> Answer:
        """Comment on a pull request."""
        if not self._request(number):
            return error(404, "Not Found")
        return _unacceptable(data["body"]) or Answer(201, _comment(self.comment(number, data["body"])))

    def edit_comment(self, number: int, data: Json) -> Answer:
        """Give a comment another text."""
        found = self._comment(number)
        if found is None:
            return error(404, "Not Found")
        if refusal := _unacceptable(data["body"]):
            return refusal
        found.body = data["body"]
        return Answer(200, _comment(found))

    def delete_comment(self, number: int) -> Answer:
        """Take a comment away."""
        found = self._comment(number)
        if found is None:
            return error(404, "Not Found")
        self.comments.remove(found)
        return Answer(204)

    def list_labels(self, number: int, query: Mapping[str, str]) -> Answer:
        """Return the labels of a pull request."""
        request = self._request(number)
        return Answer(200, _page(self._labels(request), query)) if request else error(404, "Not Found")

    def add_labels(self, number: int, data: Json) -> Answer:
        """Give a pull request labels that the repository has: whether GitHub would make others is not documented."""
        request = self._request(number)
        if request is None or not set(data["labels"]) <= set(self.labels):
            return error(404, "Not Found")
        for name in data["labels"]:
            if name not in request.labels:
                request.labels.append(name)
        return Answer(200, self._labels(request))

    def remove_label(self, number: int, name: str) -> Answer:
        """Take a label off a pull request."""
        request = self._request(number)
        if request is None or name not in request.labels:
            return error(404, "Label does not exist")
        request.labels.remove(name)
        return Answer(200, self._labels(request))

    def label(self, name: str) -> Answer:
        """Return a label of the repository."""
        return Answer(200, self.labels[name]) if name in self.labels else error(404, "Not Found")

    def make_label(self, data: Json) -> Answer:
        """Add a label to the repository."""
        if data["name"] in self.labels:
            return invalid("Label", "name", "already_exists")
        if len(data.get("description") or "") > MOST_OF_A_LABEL:
            return invalid("Label", "description", "too_long")
        made = {"name": data["name"], "color": data.get("color", "ededed"), "description": data.get("description")}
        self.labels[data["name"]] = made
        return Answer(201, made)

    def list_runs(self, query: Mapping[str, str]) -> Answer:
        """Return runs of workflows, the newest first."""
        found = [
            {
                "id": each.id,
                "path": each.path,
                "head_sha": each.sha,
                "event": each.event,
                "status": each.status,
                "conclusion": each.conclusion,
                "html_url": f"https://github.com/{self._repository}/actions/runs/{each.id}",
            }
            for each in reversed(self.runs)
            if query.get("head_sha", each.sha) == each.sha and query.get("event", each.event) == each.event
        ]
        return Answer(200, {"total_count": len(found), "workflow_runs": _page(found, query)})

    def list_artifacts(self, number: int, query: Mapping[str, str]) -> Answer:
        """Return what a run has left."""
        run = next((each for each in self.runs if each.id == number), None)
        if run is None:
            return error(404, "Not Found")
        found = [
            {"id": _number(run, name), "name": name, "size_in_bytes": len(content), "expired": run.expired}
            for name, content in run.artifacts.items()
        ]
        return Answer(200, {"total_count": len(found), "artifacts": _page(found, query)})

    def archive(self, number: int, storage: str) -> Answer:
        """Lead to an archive, whose address is good for a minute and needs no token.

        https://docs.github.com/rest/actions/artifacts#download-an-artifact
        """
        for run in self.runs:
            for name, content in run.artifacts.items():
                if _number(run, name) == number:
                    if run.expired:
                        return error(410, "Artifact has expired")
                    return Answer(302, None, {"Location": f"{storage}/{_key(content)}"})
        return error(404, "Not Found")

    def _request(self, number: int) -> PullRequest | None:
        return next((each for each in self.requests if each.number == number), None)

    def _comment(self, number: int) -> Comment | None:
        return next((each for each in self.comments if each.id == number), None)

    def _labels(self, request: PullRequest) -> list[Json]:
        return [self.labels[name] for name in request.labels]

    def _shown(self, request: PullRequest) -> Json:
        repository, branch = request.head
        return {
            "number": request.number,
            "state": request.state,
            "head": {"sha": request.sha, "ref": branch, "repo": {"full_name": repository}},
            "base": {"ref": request.base, "repo": {"full_name": self._repository}},
        }


PULL_OPERATIONS: Final[Mapping[str, str]] = {
    "GET pulls": "pulls",
    "GET issues/{issue_number}/comments": "pulls",
    "POST issues/{issue_number}/comments": "pulls",
    "PATCH issues/comments/{comment_id}": "pulls",
    "DELETE issues/comments/{comment_id}": "pulls",
    "GET issues/{issue_number}/labels": "pulls",
    "POST issues/{issue_number}/labels": "pulls",
    "DELETE issues/{issue_number}/labels/{name}": "pulls",
    "GET labels/{name}": "pulls",
    "POST labels": "pulls",
    "GET actions/runs": "actions",
    "GET actions/runs/{run_id}/artifacts": "actions",
    "GET actions/artifacts/{artifact_id}/{archive_format}": "actions",
}
"""What is answered here, and the permission that a token needs for it: `pulls` to write, `actions` to read.

https://docs.github.com/en/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens
"""


def _unacceptable(body: str) -> Answer | None:
    if not body.strip():
        return invalid("IssueComment", "body", "missing_field")
    if len(body) > MOST_CHARACTERS:
        return invalid("IssueComment", "body", "custom", f"body is too long (maximum is {MOST_CHARACTERS} characters)")
    return None


def _page(found: list[Json], query: Mapping[str, str]) -> list[Json]:
    size, page = (int(query.get(key, default)) for key, default in (("per_page", 30), ("page", 1)))
    return found[(page - 1) * size : page * size]


def _comment(comment: Comment) -> Json:
    is_bot = comment.author.endswith("[bot]")
    return {
        "id": comment.id,
        "body": comment.body,
        "user": {"login": comment.author, "type": "Bot" if is_bot else "User"},
    }


def _key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _number(run: Run, name: str) -> int:
    return run.id * 1000 + list(run.artifacts).index(name)
