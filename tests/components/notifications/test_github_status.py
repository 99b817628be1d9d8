"""What GitHub shows of a run, by the events that AWS publishes: the function runs against a GitHub that keeps state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.session  # type: ignore[import-untyped]  # ships no types
import pytest
from asked import Aws, action, run
from published import EARLIER, EVENT, RUN, STAGE, changed

from components.notifications import github_status
from components.notifications.github_status import NotShownError, RefusedError
from local.rehearsal.github import DROP, Answer, GitHub, Repository, Wish, rate_limited
from local.rehearsal.github.statuses import Deployment
from local.rehearsal.tools import missing

TOKEN = "github_pat_made-up"  # noqa: S105 - made up
CONTEXT = "ecs-delivery/shop-prod"
SERVICE = "https://shop.example.com"
PAGE = f"https://us-east-1.console.aws.amazon.com/codesuite/codepipeline/pipelines/myPipeline/executions/{RUN}"
LATER = "fedcba98-4321-8765-dcba-876543210fed"
ROOT = "/repos/example/shop"
Event = Mapping[str, Any]


@pytest.fixture
def github() -> Iterator[GitHub]:
    """Held against GitHub's description, where npm can fetch that."""
    with GitHub(described=not missing(["github"])) as github:
        github.token(TOKEN, **{"example/shop": "statuses deployments"})
        yield github
    assert github.violations == []


@pytest.fixture
def shop(github: GitHub) -> Repository:
    repository = github.repository("example/shop")
    for message in ("Begin", "Sell tea", "Sell coffee"):
        repository.commit(message)
    return repository


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that it would have waited."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


def stage(name: str, state: str, of: str = RUN) -> Event:
    return changed(STAGE, stage=name, state=state, **{"execution-id": of})


def ended(state: str, of: str = RUN) -> Event:
    return changed(EVENT, state=state, **{"execution-id": of})


@dataclass
class Delivery:
    """A run of the pipeline, as CodePipeline has it, and the function that shows it."""

    github: GitHub
    commit: str
    identity: str = RUN
    status: str = "InProgress"
    failed: str = ""
    before: list[dict[str, Any]] = field(default_factory=list)
    after: list[dict[str, Any]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=lambda: {"DEPLOYED_VERSION": "1.2.0"})
    environment: dict[str, str] = field(default_factory=dict)
    aws: Aws = field(default_factory=lambda: Aws(secret=TOKEN))
    log: list[str] = field(default_factory=list)

    def hear(self, *events: Event) -> Delivery:
        """Have the function called with these events."""
        source = action("Source", stage="Source", at=1, variables={"CommitId": self.commit})
        prepared = action("Prepare", at=2, variables=self.variables)
        failed = [action(self.failed, "Failed", stage="Deploy", at=3)] if self.failed else []
        self.aws.actions = [source, prepared, *failed]
        own = run(self.status, self.identity) if self.status else None
        self.aws.runs = [*self.after, *([own] if own else []), *self.before]
        environment = {
            "ENVIRONMENT": "prod",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_REPOSITORY": "example/shop",
            "TOKEN_SECRET": "shop/token",
            "CONTEXT": CONTEXT,
            "DEPLOY_STAGE": "Deploy",
            "GITHUB_ENVIRONMENT": "prod",
            "ENVIRONMENT_URL": SERVICE,
            **self.environment,
        }
        given = {name: value for name, value in environment.items() if value}
        for event in events:
            github_status.report(dict(event), given, self.aws.client, self.log.append)
        return self

    def succeed(self, of: str = RUN) -> Delivery:
        """Have the function called with all events of a run that succeeds."""
        self.hear(stage("Build", "STARTED", of), stage("Deploy", "STARTED", of), stage("Deploy", "SUCCEEDED", of))
        self.status = "Succeeded"
        return self.hear(ended("SUCCEEDED", of))


def states(shop: Repository, commit: str) -> list[str]:
    """What the commit has shown, the oldest first."""
    return [status.state for status in shop.board.of(commit, CONTEXT)]


def said(deployment: Deployment) -> list[str]:
    return [status["state"] for status in deployment.statuses]


def newest(shop: Repository) -> str:
    return shop.commits[-1].sha


def test_a_delivery_is_pending_then_deployed_then_a_success(github: GitHub, shop: Repository) -> None:
    commit = newest(shop)
    delivery = Delivery(github, commit).hear(stage("Build", "STARTED"))
    (pending,) = shop.board.statuses
    assert (pending.state, pending.context, pending.target_url) == (
        "pending",
        CONTEXT,
        f"{PAGE}/timeline?region=us-east-1",
    )
    assert pending.description == "The delivery to prod is running"
    assert shop.board.deployments == []
    delivery.hear(stage("Deploy", "STARTED"))
    (deployment,) = shop.board.deployments
    assert (deployment.sha, deployment.environment, deployment.state) == (commit, "prod", "in_progress")
    assert (deployment.description, deployment.task) == ("1.2.0 by myPipeline", "deploy")
    delivery.hear(stage("Deploy", "SUCCEEDED"))
    assert said(deployment) == ["in_progress", "success"]
    assert deployment.statuses[-1]["environment_url"] == SERVICE
    assert [status["log_url"] for status in deployment.statuses] == [f"{PAGE}/timeline?region=us-east-1"] * 2
    assert states(shop, commit) == ["pending"]
    delivery.status = "Succeeded"
    delivery.hear(ended("SUCCEEDED"))
    assert states(shop, commit) == ["pending", "success"]
    assert shop.board.statuses[-1].description == "1.2.0 is delivered to prod"


def test_a_delivery_that_fails_names_the_action_and_no_reason_that_anybody_could_read(
    github: GitHub, shop: Repository
) -> None:
    delivery = Delivery(github, newest(shop), failed="Deploy").hear(stage("Deploy", "STARTED"))
    delivery.status = "Failed"
    delivery.hear(stage("Deploy", "FAILED"), ended("FAILED"))
    assert states(shop, newest(shop)) == ["pending", "failure"]
    assert shop.board.statuses[-1].description == "Deploy/Deploy failed"
    (deployment,) = shop.board.deployments
    assert said(deployment) == ["in_progress", "failure"]
    assert deployment.statuses[-1]["description"] == "Deploy/Deploy failed"
    assert deployment.statuses[-1]["environment_url"] == ""
    assert "GetLogEvents" not in {operation for operation, _ in delivery.aws.calls}


@pytest.mark.parametrize(
    ("state", "status", "shown"),
    [
        ("STOPPED", "Stopped", "A person has stopped the run"),
        ("SUPERSEDED", "Superseded", "A newer run has overtaken this one"),
        ("CANCELED", "Cancelled", "The pipeline was changed during the run"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_a_run_that_does_not_come_to_its_end_is_an_error(
    github: GitHub, shop: Repository, state: str, status: str, shown: str, *, known: bool
) -> None:
    """Also where CodePipeline's API lags behind its events."""
    Delivery(github, newest(shop), status=status if known else "InProgress").hear(ended(state))
    (made,) = shop.board.statuses
    assert (made.state, made.description) == ("error", shown)
    assert shop.board.deployments == []


@pytest.mark.parametrize("state", ["STOPPED", "CANCELED"])
def test_a_deployment_that_is_stopped_is_an_error(github: GitHub, shop: Repository, state: str) -> None:
    Delivery(github, newest(shop)).hear(stage("Deploy", "STARTED"), stage("Deploy", state))
    assert said(shop.board.deployments[0]) == ["in_progress", "error"]


def test_events_that_come_again_change_nothing(github: GitHub, shop: Repository) -> None:
    delivery = Delivery(github, newest(shop)).succeed()
    events = (stage("Build", "STARTED"), stage("Deploy", "STARTED"), stage("Deploy", "SUCCEEDED"), ended("SUCCEEDED"))
    delivery.hear(*events, *reversed(events))
    assert states(shop, newest(shop)) == ["pending", "success"]
    assert [said(deployment) for deployment in shop.board.deployments] == [["in_progress", "success"]]
    assert "shows this already." in delivery.log[-1] or "success already." in delivery.log[-1]


def test_a_beginning_that_is_told_after_the_end_changes_nothing(github: GitHub, shop: Repository) -> None:
    delivery = Delivery(github, newest(shop), status="Failed", failed="Deploy")
    delivery.hear(ended("FAILED"), stage("Deploy", "FAILED"), stage("Build", "STARTED"), stage("Deploy", "STARTED"))
    assert states(shop, newest(shop)) == ["failure"]
    assert said(shop.board.deployments[0]) == ["failure"]


def test_a_stage_that_is_tried_again_goes_on_in_the_same_deployment(github: GitHub, shop: Repository) -> None:
    delivery = Delivery(github, newest(shop), status="Failed", failed="Deploy")
    delivery.hear(stage("Deploy", "STARTED"), stage("Deploy", "FAILED"), ended("FAILED"))
    delivery.status, delivery.failed = "InProgress", ""
    delivery.hear(stage("Deploy", "RESUMED"), stage("Deploy", "SUCCEEDED"), stage("Deploy", "FAILED"))
    delivery.status = "Succeeded"
    delivery.hear(ended("SUCCEEDED"), ended("FAILED"), stage("Deploy", "FAILED"))
    assert states(shop, newest(shop)) == ["failure", "pending", "success"]
    assert [said(each) for each in shop.board.deployments] == [["in_progress", "failure", "in_progress", "success"]]


def test_a_run_that_ends_while_it_is_shown_as_running_is_shown_as_ended(github: GitHub, shop: Repository) -> None:
    delivery = Delivery(github, newest(shop))

    def end(_number: int, method: str, path: str, *, when: str) -> Wish:
        if method == "POST" and path.startswith(f"{ROOT}/statuses/") and when == "after":
            delivery.aws.runs = [run("Succeeded")]
        return None

    github.on_request(end)
    delivery.hear(stage("Build", "STARTED"))
    assert states(shop, newest(shop)) == ["pending", "success"]


def test_a_run_says_nothing_of_a_commit_that_a_later_run_delivers_again(github: GitHub, shop: Repository) -> None:
    first, again = run("Superseded", RUN), run("Succeeded", LATER)
    Delivery(github, newest(shop), identity=LATER, status="Succeeded", before=[first]).hear(ended("SUCCEEDED", LATER))
    late = Delivery(github, newest(shop), status="Superseded", after=[again]).hear(ended("SUPERSEDED"))
    assert states(shop, newest(shop)) == ["success"]
    assert late.log[-1].endswith("shows a later run already.")
    Delivery(github, newest(shop), identity=LATER, status="Failed", before=[first]).hear(ended("FAILED", LATER))
    assert states(shop, newest(shop)) == ["success", "failure"]


def test_other_contexts_of_a_commit_are_nobodys_business(github: GitHub, shop: Repository) -> None:
    for context in ("ci", CONTEXT.upper(), "ecs-delivery/shop-dev"):
        shop.board.add_status(newest(shop), {"state": "failure", "context": context, "target_url": None})
    Delivery(github, newest(shop)).succeed()
    assert shop.board.newest(newest(shop))["ci"] == "failure"
    assert states(shop, newest(shop)) == ["failure", "pending", "success"]


@pytest.mark.parametrize("environment", ["prod", "production"])
def test_what_was_deployed_before_is_inactive_when_the_next_one_serves(
    github: GitHub, shop: Repository, environment: str
) -> None:
    """Also in an environment that GitHub takes for one of production, where it does nothing by itself."""
    there = {"GITHUB_ENVIRONMENT": environment}
    other = shop.board.deploy(
        newest(shop), {"ref": "main", "environment": environment, "payload": "by hand"}, is_newest=True
    )
    shop.board.add_deployment_status(other.value["id"], {"state": "success"})  # type: ignore[index]
    Delivery(github, shop.commits[0].sha, identity=EARLIER, environment=there).succeed(EARLIER)
    failing = Delivery(github, shop.commits[1].sha, identity=LATER, failed="Deploy", environment=there)
    failing.hear(stage("Deploy", "STARTED", LATER), stage("Deploy", "FAILED", LATER))
    by_hand, first, failed = shop.board.deployments
    assert (first.state, failed.state) == ("success", "failure")
    delivery = Delivery(github, newest(shop), environment=there).succeed()
    assert said(first) == ["in_progress", "success", "inactive"]
    assert (failed.state, by_hand.state) == ("failure", "success")
    assert shop.board.deployments[-1].state == "success"
    delivery.hear(stage("Deploy", "SUCCEEDED"))
    assert said(first) == ["in_progress", "success", "inactive"]


def test_a_success_that_is_told_again_does_not_bring_an_inactive_deployment_back(
    github: GitHub, shop: Repository
) -> None:
    first = Delivery(github, shop.commits[0].sha, identity=EARLIER).succeed(EARLIER)
    Delivery(github, newest(shop)).succeed()
    first.hear(stage("Deploy", "SUCCEEDED", EARLIER))
    assert [each.state for each in shop.board.deployments] == ["inactive", "success"]


def test_a_rollback_is_a_deployment_of_the_earlier_commit_and_no_delivery_of_it(
    github: GitHub, shop: Repository
) -> None:
    earlier = shop.commits[0].sha
    Delivery(github, newest(shop)).succeed()
    rolled = run("InProgress", LATER, executionType="ROLLBACK")
    rolled["rollbackMetadata"] = {"rollbackTargetPipelineExecutionId": EARLIER}
    delivery = Delivery(github, "", identity=LATER, status="", variables={}, after=[rolled])
    delivery.aws.by_run[EARLIER] = [action("Prepare", variables={"DEPLOYED_COMMIT": earlier})]
    delivery.hear(stage("Deploy", "STARTED", LATER), stage("Deploy", "SUCCEEDED", LATER), ended("SUCCEEDED", LATER))
    assert states(shop, earlier) == []
    before, now = shop.board.deployments
    assert (before.state, now.state, now.sha, now.description) == ("inactive", "success", earlier, "By myPipeline")


@pytest.mark.parametrize("commit", ["", "main", "0123abc", "../../../user", "D" * 40])
def test_without_a_commit_github_is_not_asked(github: GitHub, shop: Repository, commit: str) -> None:
    """It may come out of the image, and an artifact is data."""
    assert shop.name
    delivery = Delivery(github, "", variables={"DEPLOYED_COMMIT": commit}).hear(stage("Deploy", "STARTED"))
    assert github.requests == []
    assert delivery.log == [f"myPipeline knows of no commit in {RUN}, or not yet: {commit!r}."]
    assert "GetSecretValue" not in {operation for operation, _ in delivery.aws.calls}


def test_the_commit_of_a_delivered_image_is_what_it_says(github: GitHub, shop: Repository) -> None:
    Delivery(github, "", variables={"DEPLOYED_COMMIT": newest(shop)}).hear(stage("Deploy", "STARTED"))
    assert states(shop, newest(shop)) == ["pending"]


def test_each_is_shown_alone_with_a_token_for_it_alone(github: GitHub, shop: Repository) -> None:
    github.token("one", **{"example/shop": "statuses"})
    github.token("other", **{"example/shop": "deployments"})
    none = {"DEPLOY_STAGE": "", "GITHUB_ENVIRONMENT": "", "ENVIRONMENT_URL": ""}
    Delivery(github, newest(shop), environment=none, aws=Aws(secret="one")).succeed()  # noqa: S106 - made up
    assert (len(shop.board.statuses), len(shop.board.deployments)) == (2, 0)
    Delivery(github, newest(shop), environment={"CONTEXT": ""}, aws=Aws(secret="other")).succeed()  # noqa: S106 - made up
    assert (len(shop.board.statuses), len(shop.board.deployments)) == (2, 1)


def test_a_service_without_an_address_is_shown_without_one(github: GitHub, shop: Repository) -> None:
    Delivery(github, newest(shop), environment={"ENVIRONMENT_URL": ""}).succeed()
    assert shop.board.deployments[0].statuses[-1]["environment_url"] == ""


def test_words_are_cut_to_what_github_takes(github: GitHub, shop: Repository) -> None:
    Delivery(github, newest(shop), variables={"DEPLOYED_VERSION": "1.2.0-" + "x" * 140}).succeed()
    texts = [status.description for status in shop.board.statuses if status.state == "success"]
    texts += [shop.board.deployments[0].description, shop.board.deployments[0].statuses[-1]["description"]]
    assert [(len(text or ""), (text or "")[-1]) for text in texts] == [(140, "…")] * 3


@pytest.mark.parametrize(
    ("answer", "waited"),
    [
        (Answer(502, {"message": "Server Error"}), [2]),
        (DROP, [2]),
        (rate_limited(retry_after=7), [7]),
        (rate_limited(status=403, retry_after=1), [2]),
        (Answer(403, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0"}), [2]),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("part", ["statuses/", "deployments"])
def test_what_goes_wrong_once_is_tried_again_and_made_once(
    github: GitHub, shop: Repository, pauses: list[float], answer: Wish, waited: list[float], when: str, part: str
) -> None:
    wrong = iter([answer])

    def disturb(_number: int, method: str, path: str, *, when: str, at: str = when) -> Wish:
        return next(wrong, None) if method == "POST" and path.startswith(f"{ROOT}/{part}") and when == at else None

    github.on_request(disturb)
    delivery = Delivery(github, newest(shop)).hear(stage("Deploy", "STARTED"))
    assert states(shop, newest(shop)) == ["pending"]
    assert [said(deployment) for deployment in shop.board.deployments] == [["in_progress"]]
    assert pauses == waited
    assert [line for line in delivery.log if line.startswith("GitHub answers")]
    assert TOKEN not in "\n".join(delivery.log)


def test_of_two_deployments_that_were_made_at_once_the_older_one_counts(
    github: GitHub, shop: Repository, pauses: list[float]
) -> None:
    """The list does not show yet what was made by a request that nobody heard the answer to."""
    wrong = iter([DROP])

    def disturb(_number: int, method: str, path: str, *, when: str) -> Wish:
        if (method, path, when) == ("POST", f"{ROOT}/deployments", "after"):
            shop.board.listing_lag = 1
            return next(wrong, None)
        return None

    github.on_request(disturb)
    delivery = Delivery(github, newest(shop)).hear(stage("Deploy", "STARTED"))
    assert len(shop.board.deployments) == 2
    shop.board.listing_lag = 0
    delivery.hear(stage("Deploy", "SUCCEEDED"), stage("Deploy", "SUCCEEDED"))
    assert [said(each) for each in shop.board.deployments] == [["success"], ["in_progress", "inactive"]]
    assert pauses == [2]


def test_github_that_stays_away_is_given_up_for_lambda_to_try_again(
    github: GitHub, shop: Repository, pauses: list[float]
) -> None:
    github.on_request(lambda *_, **__: Answer(503, {"message": "No server is available"}))
    with pytest.raises(NotShownError, match="GitHub answers 503") as raised:
        Delivery(github, newest(shop)).hear(stage("Deploy", "STARTED"))
    assert pauses == list(github_status.PAUSES)
    assert str(raised.value).count("GitHub answers 503") == 2  # the status, and the deployment
    assert shop.board.statuses == []


def test_a_rate_limit_that_lasts_is_not_waited_for(github: GitHub, shop: Repository, pauses: list[float]) -> None:
    github.on_request(lambda *_, **__: rate_limited(retry_after=600))
    with pytest.raises(NotShownError, match="429"):
        Delivery(github, newest(shop)).hear(ended("STOPPED"))
    assert pauses == []
    assert shop.board.statuses == []


def test_github_that_is_not_there_is_said(github: GitHub, shop: Repository, pauses: list[float]) -> None:
    nowhere = {"GITHUB_API_URL": "http://127.0.0.1:1"}
    with pytest.raises(NotShownError, match="GitHub answers nothing to GET"):
        Delivery(github, newest(shop), environment=nowhere).hear(ended("STOPPED"))
    assert len(pauses) == len(github_status.PAUSES)


@pytest.mark.parametrize(
    ("token", "commit", "meaning"),
    [
        ("outdated", None, "the token is invalid or has expired: renew it in Secrets Manager. GitHub answers 401"),
        ("reader", None, "the token needs Commit statuses: read and write, and Deployments: read and write"),
        ("stranger", None, "no such repository, or the token may not see it: check statuses.repository"),
        (TOKEN, "0" * 40, "a commit that it does not know is in another repository than statuses.repository"),
    ],
)
def test_a_refusal_is_said_with_what_to_do(
    github: GitHub, shop: Repository, token: str, commit: str | None, meaning: str
) -> None:
    github.token("reader", **{"example/shop": "read"})
    github.token("stranger", **{"example/other": "statuses deployments"})
    delivery = Delivery(github, commit or newest(shop), aws=Aws(secret=token))
    with pytest.raises(NotShownError) as raised:
        delivery.hear(stage("Deploy", "STARTED"))
    assert meaning in str(raised.value)
    assert token not in str(raised.value) + "\n".join(delivery.log)


def test_a_deployment_is_shown_where_the_status_is_refused(github: GitHub, shop: Repository) -> None:
    github.token("deployer", **{"example/shop": "deployments"})
    with pytest.raises(NotShownError, match="Resource not accessible"):
        Delivery(github, newest(shop), aws=Aws(secret="deployer")).hear(stage("Deploy", "STARTED"))  # noqa: S106 - made up
    assert said(shop.board.deployments[0]) == ["in_progress"]


@pytest.mark.parametrize(
    ("secret", "key", "complaint"),
    [
        (
            json.dumps({"token": TOKEN}),
            "other",
            "The secret shop/token has no JSON key other: see statuses.secretKey",
        ),
        (TOKEN, "token", "The secret shop/token has no JSON key token"),
        (json.dumps([TOKEN]), "token", "The secret shop/token has no JSON key token"),
        (json.dumps({"token": TOKEN}), "", "does not look like a token; if it is JSON, set statuses.secretKey"),
        ("", "", "does not look like a token"),
    ],
)
def test_a_secret_without_a_token_is_said_and_not_shown(
    github: GitHub, shop: Repository, secret: str, key: str, complaint: str
) -> None:
    delivery = Delivery(github, newest(shop), environment={"TOKEN_KEY": key}, aws=Aws(secret=secret))
    with pytest.raises(RefusedError) as raised:
        delivery.hear(ended("STOPPED"))
    assert complaint in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert github.requests == []


def test_the_token_may_stand_in_json_and_end_with_a_line_break(github: GitHub, shop: Repository) -> None:
    secret = json.dumps({"token": f"{TOKEN}\n"})
    Delivery(github, newest(shop), environment={"TOKEN_KEY": "token"}, aws=Aws(secret=secret)).hear(ended("STOPPED"))
    Delivery(github, newest(shop), aws=Aws(secret=f"{TOKEN}\n")).hear(ended("STOPPED"))
    assert states(shop, newest(shop)) == ["error"]


@pytest.mark.parametrize("operation", ["ListActionExecutions", "ListPipelineExecutions", "GetSecretValue"])
def test_what_aws_refuses_fails_the_function_so_that_somebody_sees_it(
    github: GitHub, shop: Repository, operation: str
) -> None:
    with pytest.raises(PermissionError, match=operation):
        Delivery(github, newest(shop), aws=Aws(secret=TOKEN, refuses=(operation,))).hear(ended("STOPPED"))
    assert github.requests == []


@pytest.mark.parametrize("payload", ["by hand", "[1]", "", None, {"execution": RUN}])
def test_a_deployment_of_somebody_else_is_not_taken_for_ours(github: GitHub, shop: Repository, payload: object) -> None:
    data = {"ref": newest(shop), "environment": "prod", "auto_merge": False, "payload": payload}
    shop.board.deploy(newest(shop), data, is_newest=True)
    shop.board.deployments[0].payload = payload if payload is not None else ""
    Delivery(github, newest(shop)).succeed()
    assert [said(each) for each in shop.board.deployments] == [[], ["in_progress", "success"]]


def test_a_payload_that_comes_back_as_text_is_read(github: GitHub, shop: Repository) -> None:
    delivery = Delivery(github, newest(shop)).hear(stage("Deploy", "STARTED"))
    (deployment,) = shop.board.deployments
    deployment.payload = json.dumps(deployment.payload)
    delivery.hear(stage("Deploy", "SUCCEEDED"))
    assert [said(each) for each in shop.board.deployments] == [["in_progress", "success"]]


def test_lambda_calls_it_with_clients_of_its_own(
    github: GitHub, shop: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = Aws([action("Source", variables={"CommitId": newest(shop)})], [run("Stopped")], secret=TOKEN)

    class Session:
        create_client = staticmethod(aws.client)

    monkeypatch.setattr(botocore.session, "get_session", Session)
    environment = {"ENVIRONMENT": "prod", "GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "example/shop"}
    for name, value in {**environment, "TOKEN_SECRET": "shop/token", "CONTEXT": CONTEXT}.items():
        monkeypatch.setenv(name, value)
    github_status.handler(dict(ended("STOPPED")), object())
    assert states(shop, newest(shop)) == ["error"]
    assert capsys.readouterr().out == f"{newest(shop)} is error in {CONTEXT}: A person has stopped the run\n"
