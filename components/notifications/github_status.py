"""Show on GitHub what becomes of a run: what AWS Lambda runs, with ``run.py`` beside it.

The commit gets a status, and what is deployed a deployment to an environment. EventBridge calls `handler` when a stage
begins or ends, and when a run ends:
https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html.

An event may come more than once, and one that is tried again comes after later ones
(https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html), so what is shown follows what
CodePipeline says of the run, and is held against what GitHub shows already. The delivery itself knows nothing of it.
What goes wrong for a while is tried again here; after that Lambda tries twice more.

Python's standard library and botocore, which is part of Lambda's runtime:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .run import Json, Run

LONGEST = 140
"""Characters of a description: https://docs.github.com/en/rest/deployments/statuses#create-a-deployment-status, and of
a commit's status https://github.com/sclorg/testing-farm-as-github-action/pull/187."""
PAGE = 100
NOTHING_NEW = "already."
"""How the log ends of what needs not be written."""
PAUSES = (2, 10, 30, 90, 180)
"""Seconds before each further try, which together leave half of the function's time for the tries themselves."""
UNCLEAR = (0, 500, 502, 503, 504)
"""Statuses that say nothing of what has become of a request; 0 stands for none."""
MEANINGS = {
    401: "the token is invalid or has expired: renew it in Secrets Manager",
    403: "the token needs Commit statuses: read and write, and Deployments: read and write, on this repository",
    307: "the repository has moved: write its new name into statuses.repository",
    404: "no such repository, or the token may not see it: check statuses.repository and the token's repository access",
    422: "GitHub takes this for invalid; a commit that it does not know is in another repository than "
    "statuses.repository",
}
ENDS = {
    "SUCCEEDED": "Succeeded",
    "FAILED": "Failed",
    "STOPPED": "Stopped",
    "CANCELED": "Cancelled",
    "SUPERSEDED": "Superseded",
}
"""How a run ends: the state of its event, and the status that CodePipeline's API has for it.

https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PipelineExecutionSummary.html
"""


class TemporaryError(Exception):
    """GitHub does not answer, or not now; carries the seconds that it wants to be left alone."""

    def __init__(self, message: str, pause: int = 0) -> None:
        super().__init__(message)
        self.pause = pause


class RefusedError(Exception):
    """GitHub refuses, and will the next time."""


class NotShownError(Exception):
    """Something of a run is not shown."""


class Shown(NamedTuple):
    """What GitHub shows: a state of its own, and a line of words."""

    state: str
    words: str


class GitHub:
    """The REST API for one repository.

    Args:
        api: Where it is.
        repository: ``owner/name``.
        token: Whose permissions count; it is never printed.
    """

    def __init__(self, api: str, repository: str, token: str) -> None:
        self._root = f"{api.rstrip('/')}/repos/{repository}"
        self._headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": "ecs-delivery",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def ask(self, method: str, path: str, data: Json | None = None) -> Any:  # noqa: ANN401 - JSON
        """Send a request and return the JSON of the response.

        Raises:
            TemporaryError: Another try may help. What the request was to write may be there all the same.
            RefusedError: It does not.
        """
        url = f"{self._root}/{path}"
        request = urllib.request.Request(url, None if data is None else json.dumps(data).encode(), method=method)  # noqa: S310 - the program says where
        for name, value in self._headers.items():
            request.add_unredirected_header(name, value)
        status, headers, body = _answer(request)
        if 200 <= status < 300:
            return json.loads(body)
        said = body.decode(errors="replace")[:300]
        refusal = f"GitHub answers {status or 'nothing'} to {method} {url}. It says: {said}"
        if status in UNCLEAR or _asks_for_patience(status, headers):
            pause = headers.get("retry-after", "")
            raise TemporaryError(refusal, int(pause) if pause.isdigit() else 0)
        raise RefusedError(f"{MEANINGS.get(status, 'GitHub refuses this')}. {refusal}")


def _asks_for_patience(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a rate limit is reached: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api."""
    return status == 429 or (
        status == 403 and ("retry-after" in headers or headers.get("x-ratelimit-remaining") == "0")
    )


def _answer(request: urllib.request.Request) -> tuple[int, dict[str, str], bytes]:
    try:
        try:
            response = urllib.request.urlopen(request, timeout=20)  # noqa: S310 - the program says where
        except urllib.error.HTTPError as error:
            response = error
        with response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return response.status, headers, response.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, {}, repr(error).encode()


class Reporter:
    """Shows one run on GitHub.

    Args:
        run: The run.
        github: Where it is shown.
        environment: The function's variables.
        say: Writes a line of the log.
    """

    def __init__(self, run: Run, github: GitHub, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._run, self._github, self._environment, self._say = run, github, environment, say

    @property
    def reports(self) -> tuple[Callable[[], None], ...]:
        """What is to be shown of this event; each looks before it writes, and can be tried again as a whole."""
        shown = status_of(self._run, self._environment["ENVIRONMENT"])
        state = deployment_of(self._run, self._environment.get("DEPLOY_STAGE", ""))
        found: list[Callable[[], None]] = []
        if shown and "CONTEXT" in self._environment:
            found.append(lambda: self._show_status(shown))
        if state:
            found.append(lambda: self._show_deployment(state))
        return tuple(found)

    def _show_status(self, shown: Shown) -> None:
        """Give the commit its status, unless it has it, or that of a later run.

        https://docs.github.com/en/rest/commits/statuses
        """
        commit, context = self._run.commit, self._environment["CONTEXT"]
        wanted = {
            "state": shown.state,
            "description": _cut(shown.words),
            "target_url": self._run.url,
            "context": context,
        }
        statuses = self._github.ask("GET", f"commits/{commit}/statuses?per_page={PAGE}")
        there: Json = next((status for status in statuses if status["context"].lower() == context.lower()), {})
        if self._is_of_a_later_run(str(there.get("target_url"))):
            self._say(f"{commit} shows a later run {NOTHING_NEW}")
        elif all(there.get(key) == value for key, value in wanted.items()):
            self._say(f"{commit} shows this {NOTHING_NEW}")
        else:
            self._github.ask("POST", f"statuses/{commit}", wanted)
            self._say(f"{commit} is {shown.state} in {context}: {shown.words}")

    def _is_of_a_later_run(self, url: str) -> bool:
        other = re.search(r"/executions/([0-9a-f-]{36})/", url)
        return other is not None and self._run.is_before(other[1])

    def _show_deployment(self, shown: Shown) -> None:
        """Give the run's deployment its state, unless it has it or a later one; what served before is inactive then.

        https://docs.github.com/en/rest/deployments/statuses
        """
        deployment = self._deployment()
        state = self._state(deployment)
        # A stage begins once, and succeeds once: what is told of it after that is late.
        late = state in ("success", "inactive") or (state and self._run.detail["state"] == "STARTED")
        if late or state == shown.state:
            self._say(f"The deployment {deployment['id']} is {state} {NOTHING_NEW}")
        else:
            self._add_state(deployment, shown)
        if shown.state == "success" and state != "inactive":
            self._retire(deployment)

    def _deployment(self) -> Json:
        """The deployment of this run, if need be a new one; of those that two functions made at once, the older one."""
        run, commit = self._run, self._run.commit
        payload = {"pipeline": run.pipeline, "execution": run.identity}
        found = self._deployments(sha=commit)
        ours = [deployment for deployment in found if _payload(deployment) == payload]
        if not ours:
            data = {
                "ref": commit,
                "task": "deploy",
                "environment": self._environment["GITHUB_ENVIRONMENT"],
                "description": _cut(f"{run.version} by {run.pipeline}" if run.version else f"By {run.pipeline}"),
                "payload": payload,
                # It says what happens, and asks for nothing: neither a merge nor the status that is still to come.
                "auto_merge": False,
                "required_contexts": [],
            }
            ours = [self._github.ask("POST", "deployments", data)]
            self._say(f"The deployment {ours[0]['id']} is made.")
        first, *others = sorted(ours, key=lambda deployment: int(deployment["id"]))
        for other in others:
            if self._state(other) != "inactive":
                self._add_state(other, Shown("inactive", "The same as another deployment"))
        return dict(first)

    def _deployments(self, **of: str) -> list[Json]:
        query = {"environment": self._environment["GITHUB_ENVIRONMENT"], "task": "deploy", **of, "per_page": str(PAGE)}
        return list(self._github.ask("GET", f"deployments?{urllib.parse.urlencode(query)}"))

    def _state(self, deployment: Json) -> str:
        """The newest state of a deployment; empty if nothing has been said of it yet."""
        statuses = self._github.ask("GET", f"deployments/{deployment['id']}/statuses?per_page={PAGE}")
        return str(max(statuses, key=lambda status: int(status["id"]))["state"]) if statuses else ""

    def _add_state(self, deployment: Json, shown: Shown) -> None:
        url = self._environment.get("ENVIRONMENT_URL", "")
        data = {
            "state": shown.state,
            "description": _cut(shown.words),
            "log_url": self._run.url,
            **({"environment_url": url} if url and shown.state == "success" else {}),
            # It would take the deployments of other pipelines to the environment, too, and none to a production one.
            "auto_inactive": False,
        }
        self._github.ask("POST", f"deployments/{deployment['id']}/statuses", data)
        self._say(f"The deployment {deployment['id']} is {shown.state}: {shown.words}")

    def _retire(self, deployment: Json) -> None:
        """Mark as inactive what this pipeline has deployed before: its newest success, which took the ones before."""
        for other in sorted(self._deployments(), key=lambda each: int(each["id"]), reverse=True):
            if int(other["id"]) >= int(deployment["id"]) or _payload(other).get("pipeline") != self._run.pipeline:
                continue
            state = self._state(other)
            if state == "success":
                self._add_state(other, Shown("inactive", "Another version is deployed"))
            if state in ("success", "inactive"):
                return


def status_of(run: Run, environment: str) -> Shown | None:
    """Return the status of the commit; nothing for a rollback, which delivers no commit.

    Args:
        run: The run.
        environment: The stack's name.
    """
    if run.is_rollback:
        return None
    known = str(run.summary.get("status", ""))
    over = known if known in ENDS.values() else "" if "stage" in run.detail else ENDS[run.detail["state"]]
    states = {
        "Succeeded": Shown("success", f"{run.version or 'The commit'} is delivered to {environment}"),
        "Failed": Shown("failure", f"{run.failed_names or 'The delivery'} failed"),
        "Stopped": Shown("error", "A person has stopped the run"),
        "Superseded": Shown("error", "A newer run has overtaken this one"),
        "Cancelled": Shown("error", "The pipeline was changed during the run"),
    }
    return states.get(over, Shown("pending", f"The delivery to {environment} is running"))


def deployment_of(run: Run, deploys: str) -> Shown | None:
    """Return the state of the deployment; nothing for another stage than the one that deploys.

    Args:
        run: The run.
        deploys: The name of that stage; empty where no deployments are shown.
    """
    if not deploys or run.detail.get("stage") != deploys:
        return None
    known, state = run.summary.get("status"), run.detail["state"]
    if state == "SUCCEEDED" or known == "Succeeded":  # a later attempt may have succeeded meanwhile
        return Shown("success", run.version or "Deployed")
    if state == "FAILED":
        return Shown("failure", f"{run.failed_names or 'The deployment'} failed")
    if state in ENDS:
        return Shown("error", "The deployment was stopped")
    return Shown("in_progress", "The deployment is running")


def report(
    event: Json, environment: Mapping[str, str], client: Callable[[str], Any], say: Callable[[str], None]
) -> None:
    """Show on GitHub what an event means.

    Args:
        event: What EventBridge hands in.
        environment: ``ENVIRONMENT`` (the stack's name), ``GITHUB_API_URL``, ``GITHUB_REPOSITORY``, ``TOKEN_SECRET``
            (its name or ARN), ``TOKEN_KEY`` (where the secret is JSON), ``CONTEXT`` (of commit statuses, if any are
            given), ``DEPLOY_STAGE`` (the stage that deploys, if deployments are shown), ``GITHUB_ENVIRONMENT`` (what
            it deploys to), ``ENVIRONMENT_URL`` (where that is reached, if anywhere).
        client: Makes the client of a service.
        say: Writes a line of the log.

    Raises:
        NotShownError: GitHub refuses, or does not answer, with all that it has said.
    """

    def ask(service: str, operation: str, **parameters: object) -> Json:
        return dict(getattr(client(service), operation)(**parameters))

    run = Run(event, ask)
    if not re.fullmatch(r"[0-9a-f]{40}", run.commit):
        say(f"{run.pipeline} knows of no commit in {run.identity}, or not yet: {run.commit!r}.")
        return
    github = GitHub(environment["GITHUB_API_URL"], environment["GITHUB_REPOSITORY"], _token(environment, client))
    _show(Reporter(run, github, environment, say).reports, say)
    # It may have ended while this was written, and the end of it may have been told before.
    later = Run(event, ask)
    if run.summary.get("status") != later.summary.get("status"):
        _show(Reporter(later, github, environment, say).reports, say)


def _show(reports: tuple[Callable[[], None], ...], say: Callable[[str], None]) -> None:
    """Do each, also where another one fails."""
    pauses = iter(PAUSES)
    errors: list[Exception] = []
    for each in reports:
        try:
            _until_it_is_clear(each, pauses, say)
        except (RefusedError, TemporaryError) as error:
            say(f"{error}")
            errors.append(error)
    if errors:
        raise NotShownError(f"GitHub does not show this run. {' '.join(map(str, errors))}")


def _until_it_is_clear(each: Callable[[], None], pauses: Any, say: Callable[[str], None]) -> None:  # noqa: ANN401 - an iterator
    while True:
        try:
            each()
        except TemporaryError as error:
            pause = next(pauses, None)
            if pause is None or error.pause > PAUSES[-1]:
                raise
            say(f"{error}")
            time.sleep(max(pause, error.pause))
        else:
            return


def _token(environment: Mapping[str, str], client: Callable[[str], Any]) -> str:
    """Return the token.

    Raises:
        RefusedError: The secret holds something else; it is not shown.
    """
    secret, key = environment["TOKEN_SECRET"], environment.get("TOKEN_KEY", "")
    text = client("secretsmanager").get_secret_value(SecretId=secret).get("SecretString", "")
    try:
        token = str(json.loads(text)[key] if key else text).strip()
    except (ValueError, KeyError, TypeError):
        raise RefusedError(f"The secret {secret} has no JSON key {key}: see statuses.secretKey") from None
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        raise RefusedError(
            f"What the secret {secret} holds does not look like a token; if it is JSON, set statuses.secretKey to "
            "the key that holds the token"
        )
    return token


def _payload(deployment: Json) -> Json:
    """What the deployment's maker has noted: JSON, or a text of whatever kind."""
    payload = deployment.get("payload")
    try:
        payload = json.loads(payload) if isinstance(payload, str) else payload
    except ValueError:
        return {}
    return payload if isinstance(payload, dict) else {}


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def handler(event: Json, _context: object) -> None:
    """What Lambda calls."""
    import botocore.session  # type: ignore[import-untyped]  # noqa: PLC0415 - ships no types; `components` needs none of it

    report(event, os.environ, botocore.session.get_session().create_client, print)
