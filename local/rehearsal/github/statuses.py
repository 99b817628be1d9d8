"""What GitHub shows of commits and of deployments: the statuses that somebody gives them.

Sources: https://docs.github.com/en/rest/commits/statuses, https://docs.github.com/en/rest/deployments/deployments and
https://docs.github.com/en/rest/deployments/statuses; where a merge would be tried, or a status check has not
succeeded, a deployment is refused here, since the program must ask for neither. That a description has 140 characters
at most is said of deployments, and holds for commits as well (https://github.com/sclorg/testing-farm-as-github-action/pull/187).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from local.rehearsal.github.answers import Answer, error, invalid

MOST_CHARACTERS: Final = 140
MOST_STATUSES: Final = 1000
"""Of a commit and a context."""

Json = dict[str, Any]


@dataclass(kw_only=True, slots=True)
class CommitStatus:
    """One status of a commit."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None


@dataclass(kw_only=True, slots=True)
class Deployment:
    """A deployment, with what has been said of it, the oldest first."""

    id: int
    sha: str
    ref: str
    task: str
    environment: str
    description: str | None
    payload: object
    production: bool
    statuses: list[Json] = field(default_factory=list)

    @property
    def state(self) -> str:
        """The newest state; empty before the first."""
        return str(self.statuses[-1]["state"]) if self.statuses else ""


class Board:
    """What one repository shows.

    Attributes:
        statuses: Of all commits, the oldest first.
        deployments: All deployments, the oldest first.
        listing_lag: From how many more lists of deployments the newest one is missing.
    """

    def __init__(self) -> None:
        self.statuses: list[CommitStatus] = []
        self.deployments: list[Deployment] = []
        self.listing_lag = 0
        self._numbers = itertools.count(1)

    def of(self, sha: str, context: str) -> list[CommitStatus]:
        """Return the statuses of a commit in a context, the oldest first."""
        return [each for each in self.statuses if each.sha == sha and each.context.lower() == context.lower()]

    def newest(self, sha: str) -> dict[str, str]:
        """Return the state of each context of a commit."""
        return {each.context: each.state for each in self.statuses if each.sha == sha}

    def add_status(self, sha: str, data: Json) -> Answer:
        """Give a commit a status."""
        context = data.get("context", "default")
        if refusal := _too_long("Status", data):
            return refusal
        if len(self.of(sha, context)) >= MOST_STATUSES:
            return invalid(
                "Status", "sha", "custom", "This SHA and context has reached the maximum number of statuses."
            )
        made = CommitStatus(
            id=next(self._numbers),
            sha=sha,
            state=data["state"],
            context=context,
            description=data.get("description"),
            target_url=data.get("target_url"),
        )
        self.statuses.append(made)
        return Answer(201, _shown(made))

    def list_statuses(self, sha: str, query: Mapping[str, str]) -> Answer:
        """Return the statuses of a commit, the newest first."""
        return Answer(200, _page([_shown(each) for each in reversed(self.statuses) if each.sha == sha], query))

    def deploy(self, sha: str, data: Json, *, is_newest: bool) -> Answer:
        """Make a deployment of a commit.

        Args:
            sha: The commit.
            data: The request.
            is_newest: Whether the default branch has nothing that the commit lacks.
        """
        if data.get("auto_merge", True) and not is_newest:
            return error(409, f"Conflict merging main into {data['ref']}.")
        states = self.newest(sha)
        failing = [name for name in data.get("required_contexts", states) if states.get(name) != "success"]
        if failing:
            return error(409, f"Conflict: Commit status checks failed for {data['ref']}.")
        environment = data.get("environment", "production")
        made = Deployment(
            id=next(self._numbers),
            sha=sha,
            ref=data["ref"],
            task=data.get("task", "deploy"),
            environment=environment,
            description=data.get("description", ""),
            payload=data.get("payload", ""),
            production=data.get("production_environment", environment == "production"),
        )
        self.deployments.append(made)
        return Answer(201, _shown_deployment(made))

    def list_deployments(self, query: Mapping[str, str]) -> Answer:
        """Return deployments, the newest first."""
        listed = self.deployments
        if self.listing_lag:
            self.listing_lag, listed = self.listing_lag - 1, listed[:-1]
        wanted = {key: query[key] for key in ("sha", "ref", "task", "environment") if key in query}
        found = [
            _shown_deployment(each)
            for each in reversed(listed)
            if all(getattr(each, key) == value for key, value in wanted.items())
        ]
        return Answer(200, _page(found, query))

    def add_deployment_status(self, number: int, data: Json) -> Answer:
        """Say something of a deployment; of a success, older ones become inactive unless the request says not to."""
        deployment = self.deployment(number)
        if deployment is None:
            return error(404, "Not Found")
        if refusal := _too_long("DeploymentStatus", data):
            return refusal
        made = self._say(deployment, data)
        if data["state"] == "success" and data.get("auto_inactive", True):
            for other in self._replaced_by(deployment):
                self._say(other, {"state": "inactive"})
        return Answer(201, made)

    def list_deployment_statuses(self, number: int, query: Mapping[str, str]) -> Answer:
        """Return what has been said of a deployment, the newest first."""
        deployment = self.deployment(number)
        return Answer(200, _page(deployment.statuses[::-1], query)) if deployment else error(404, "Not Found")

    def deployment(self, number: int) -> Deployment | None:
        """Return a deployment by its number."""
        return next((each for each in self.deployments if each.id == number), None)

    def _say(self, deployment: Deployment, data: Json) -> Json:
        url = data.get("log_url", data.get("target_url", ""))
        made = {
            "id": next(self._numbers),
            "state": data["state"],
            "description": data.get("description", ""),
            "environment": data.get("environment", deployment.environment),
            "log_url": url,
            "target_url": url,
            "environment_url": data.get("environment_url", ""),
        }
        deployment.statuses.append(made)
        return made

    def _replaced_by(self, deployment: Deployment) -> Iterator[Deployment]:
        for other in self.deployments:
            same = other.environment == deployment.environment and not other.production
            if other.id < deployment.id and same and other.state == "success":
                yield other


STATUS_OPERATIONS: Final[Mapping[str, str]] = {
    "POST statuses/{sha}": "statuses",
    "GET commits/{ref}/statuses": "statuses",
    "POST deployments": "deployments",
    "GET deployments": "deployments",
    "POST deployments/{deployment_id}/statuses": "deployments",
    "GET deployments/{deployment_id}/statuses": "deployments",
}
"""What is answered here, and the permission that a token needs for it, to read or to write.

https://docs.github.com/en/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens
"""


def _too_long(resource: str, data: Json) -> Answer | None:
    if len(data.get("description") or "") > MOST_CHARACTERS:
        message = f"description is too long (maximum is {MOST_CHARACTERS} characters)"
        return invalid(resource, "description", "custom", message)
    return None


def _page(found: list[Json], query: Mapping[str, str]) -> list[Json]:
    size, page = (int(query.get(key, default)) for key, default in (("per_page", 30), ("page", 1)))
    return found[(page - 1) * size : page * size]


def _shown(status: CommitStatus) -> Json:
    return {
        "id": status.id,
        "state": status.state,
        "context": status.context,
        "description": status.description,
        "target_url": status.target_url,
    }


def _shown_deployment(deployment: Deployment) -> Json:
    return {
        "id": deployment.id,
        "sha": deployment.sha,
        "ref": deployment.ref,
        "task": deployment.task,
        "environment": deployment.environment,
        "description": deployment.description,
        "payload": deployment.payload,
        "production_environment": deployment.production,
    }
