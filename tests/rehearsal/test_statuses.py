"""What GitHub shows of runs of a deployed stack: the function under its own role, called by the stack's own rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from told_runs import HandMadeRuns, edited, stack

from local.rehearsal.aws_services import AwsServices
from local.rehearsal.github import GitHub, Repository
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.pipeline.execution import Execution
from local.rehearsal.resources import Graph

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rehearsed notifications")]

TOKEN = "made-up-token"  # noqa: S105 - made up
CONTEXT = "ecs-delivery/shop-everything-on"


@pytest.fixture(scope="module")
def graph(need: Any) -> Graph:  # noqa: ANN401 - a fixture
    need("ministack", "github")
    return deployed_graph("everything-on", ROOT / "examples" / "Pulumi.everything-on.yaml")


@dataclass
class Shown:
    """The stack, and the repository that shows its runs."""

    made: HandMadeRuns
    shop: Repository

    @property
    def commit(self) -> str:
        return self.shop.commits[-1].sha

    def states(self, commit: str) -> list[tuple[str, str | None]]:
        return [(status.state, status.description) for status in self.shop.board.of(commit, CONTEXT)]

    @property
    def deployments(self) -> list[list[str]]:
        return [[status["state"] for status in each.statuses] for each in self.shop.board.deployments]

    @property
    def complaints(self) -> list[str]:
        return [
            message.text for message in self.made.messages if message.title == "GitHub does not show what it should"
        ]


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as github:
        github.token(TOKEN, **{"example/shop": "statuses deployments"})
        yield github
    assert github.violations == []


@pytest.fixture
def shown(aws: AwsServices, graph: Graph, github: GitHub) -> Shown:
    return show(aws, graph, github)


def show(aws: AwsServices, graph: Graph, github: GitHub) -> Shown:
    made = stack(aws, graph, "everything-on", github.url)
    made.account.keep_secret("shop/github-status", f'{{"token": "{TOKEN}"}}')
    shop = github.repository("example/shop")
    shop.commit("Sell tea")
    return Shown(made, shop)


def test_a_delivery_is_shown_from_its_first_job_to_its_end(shown: Shown) -> None:
    shown.made.run(version="1.2.0", commit=shown.commit)
    assert shown.states(shown.commit) == [
        ("pending", "The delivery to everything-on is running"),
        ("success", "1.2.0 is delivered to everything-on"),
    ]
    (deployment,) = shown.shop.board.deployments
    assert (deployment.environment, deployment.sha) == ("production", shown.commit)
    assert shown.deployments == [["in_progress", "success"]]
    assert deployment.statuses[-1]["environment_url"] == "https://shop.example.com"
    assert "/pipelines/shop-everything-on/executions/" in deployment.statuses[-1]["log_url"]
    shown.shop.commit("Sell coffee")
    shown.made.run(version="1.3.0", commit=shown.commit)
    assert shown.deployments == [["in_progress", "success", "inactive"], ["in_progress", "success"]]
    assert shown.complaints == []


def test_a_delivery_that_fails_names_the_action_and_goes_on_when_it_is_retried(shown: Shown) -> None:
    failed = shown.made.run(fails="DeployService", says="a word that is nobody's business", commit=shown.commit)
    assert shown.states(shown.commit)[1:] == [("failure", "Deploy/DeployService failed")]
    assert shown.deployments == [["in_progress", "failure"]]
    rest = [stage for stage in shown.made.deployed.stages if stage not in ("Source", "Build")]
    shown.made.go_on(failed, stages=rest)
    assert [state for state, _ in shown.states(shown.commit)] == ["pending", "failure", "pending", "success"]
    assert shown.deployments == [["in_progress", "failure", "in_progress", "success"]]


def test_a_failure_before_the_deployment_shows_none(shown: Shown) -> None:
    shown.made.run(fails="BuildImage", commit=shown.commit)
    assert shown.states(shown.commit)[1:] == [("failure", "Build/BuildImage failed")]
    assert shown.deployments == []


def test_a_run_that_is_overtaken_is_shown_so(shown: Shown) -> None:
    shown.made.run(until="Deploy", commit=shown.commit)
    assert shown.states(shown.commit)[1:] == [("error", "A newer run has overtaken this one")]
    assert shown.deployments == []


def test_a_stage_that_is_rolled_back_is_a_deployment_of_what_serves_again(shown: Shown) -> None:
    first, before = shown.made.run(version="1.2.0", commit=shown.commit), shown.commit
    shown.shop.commit("Sell coffee")
    shown.made.run(version="1.3.0", commit=shown.commit)
    rollback = Execution(number=3, trigger="Rollback", kind="ROLLBACK", target=first.identity)
    shown.made.go_on(rollback, stages=["Deploy"])
    assert [each.state for each in shown.shop.board.deployments] == ["inactive", "inactive", "success"]
    assert shown.shop.board.deployments[-1].sha == before
    assert [state for state, _ in shown.states(before)] == ["pending", "success"]


def test_events_that_come_again_change_nothing(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    notifications, events = shown.made.notifications, list[dict[str, Any]]()
    call = notifications.call

    def twice(event: dict[str, Any]) -> None:
        events.append(event)
        call(event)
        call(event)

    monkeypatch.setattr(notifications, "call", twice)
    shown.made.run(commit=shown.commit)
    for event in events:
        call(event)
    assert [state for state, _ in shown.states(shown.commit)] == ["pending", "success"]
    assert shown.deployments == [["in_progress", "success"]]


@pytest.mark.parametrize("sid", ["ReadGitHubToken", "FollowRuns"])
def test_without_a_permission_github_shows_nothing_and_the_run_goes_on(
    aws: AwsServices, graph: Graph, github: GitHub, sid: str
) -> None:
    shown = show(aws, edited(graph, sid), github)
    assert shown.made.run(commit=shown.commit).status == "Succeeded"
    assert shown.states(shown.commit) == []
    assert github.requests == []
    assert all("not authorized" in each or "AccessDenied" in each for each in shown.complaints)
    assert shown.complaints
