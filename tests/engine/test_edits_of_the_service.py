"""Edits of what the service is made with, in an account that refuses what ECS refuses and deploys when ECS does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from live_stack import ENGINES, SERVICE, Config, LiveStack, deployed

from local.engine.outcome import Outcome
from local.engine.stack import EngineFailure

pytestmark = pytest.mark.engine

TARGETS = "aws:lb/targetGroup:TargetGroup"
DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
PROJECT, POLICY = "aws:codebuild/project:Project", "aws:iam/rolePolicy:RolePolicy"
BY_ECS_ROLLING = ["ecs rolling", "ecsAction"]
BY_ECS = [engine for engine in ENGINES if engine != "codeDeploy"]
SPOT = {"service": {"capacityProvider": "fargateSpot"}}
EXEC = {"service": {"exec": True}}
GRACE = {"loadBalancer": {"plainHttp": True, "healthCheck": {"gracePeriodSeconds": 90}}}
LISTENERS = {
    "a": {"port": 9001, "container": "admin"},
    "b": {"port": 9002},
}
"""Further listeners of two containers."""
NAT = {"network": {"natGateways": "single"}}


class Live(LiveStack):
    """A stack whose service has its first deployment behind it, of an application that a shell can be opened in."""

    def values(self, deploy: dict[str, Any], **hosting: object) -> Config:
        values = self.config(deploy, **hosting)
        values["ecs-delivery:application"]["readOnlyRootFilesystem"] = False
        return values

    def edit(self, engine: str, **hosting: object) -> Outcome:
        """Deploy it with more in its hosting; a preview finds nothing left to change then."""
        values = self.values(ENGINES[engine], **hosting)
        outcome = self.with_config(values).up()
        assert self.with_config(values).preview().changes == ()
        return outcome

    def inputs(self, engine: str, token: str, name: str = "") -> Any:  # noqa: ANN401 - a resource's
        graph = self.with_config(self.values(ENGINES[engine])).graph()
        (found,) = (each for each in graph if each["type"] == token and name in each["name"])
        return found["inputs"]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A stack of each engine, before its first deployment; not to be changed."""

    @cache
    def up(engine: str) -> Path:
        made = Live(tmp_path_factory.mktemp("first"))
        made.edit(engine)
        return made.folder

    return up


@pytest.fixture
def live(first: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Live]:
    """A stack of the test's own."""

    def made(engine: str) -> Live:
        stack = Live(shutil.copytree(first(engine), tmp_path / "live"))
        stack.rewrite(deployed)
        return stack

    return made


def changed(outcome: Outcome, token: str) -> list[str]:
    return [step.name for step in outcome.changes if step.type == token]


@pytest.mark.parametrize("engine", BY_ECS)
@pytest.mark.parametrize("hosting", [GRACE, EXEC, {"alarms": {"enabled": False}}], ids=["grace", "exec", "alarms"])
def test_an_edit_that_ecs_can_make_without_a_deployment_starts_none(
    engine: str, hosting: dict[str, Any], live: Callable[[str], Live]
) -> None:
    """It would be one that the pipeline does not follow, and that ends the one it does."""
    assert live(engine).edit(engine, **hosting).deployments == ()


def test_another_bake_time_is_no_deployment(live: Callable[[str], Live]) -> None:
    stack = live("ecs blue/green")
    values = stack.values({**ENGINES["ecs blue/green"], "bakeMinutes": 7})
    outcome = stack.with_config(values).up()
    assert (changed(outcome, SERVICE), outcome.deployments) == (["shop-hosting-service-service"], ())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_capacity_provider_ships_with_the_next_run_and_replaces_nothing(
    engine: str, live: Callable[[str], Live]
) -> None:
    outcome = live(engine).edit(engine, **SPOT)
    assert (changed(outcome, SERVICE), outcome.deployments) == ([], ())
    jobs = {"codeDeploy": "build-image", "ecsAction": "prepare-deployment"}  # the image's build prepares, too
    assert changed(outcome, PROJECT) == [f"shop-{jobs.get(engine, 'deploy-ecs')}-project"]
    assert not [step for step in outcome.changes if "replace" in step.op or step.op == "delete"]


def test_another_network_ships_with_the_next_run_of_code_deploy(live: Callable[[str], Live]) -> None:
    stack = live("codeDeploy")
    before = stack.inputs("codeDeploy", PROJECT, "build-image")
    outcome = stack.edit("codeDeploy", **NAT)
    assert (changed(outcome, SERVICE), outcome.deployments) == ([], ())
    after = stack.inputs("codeDeploy", PROJECT, "build-image")
    were, are = (network(project) for project in (before, after))
    assert (were["AssignPublicIp"], are["AssignPublicIp"]) == ("ENABLED", "DISABLED")
    assert not set(were["Subnets"]) & set(are["Subnets"])


def network(project: dict[str, Any]) -> dict[str, Any]:
    variables = {each["name"]: each["value"] for each in project["environment"]["environmentVariables"]}
    found: dict[str, Any] = json.loads(variables["APPSPEC"])["NetworkConfiguration"]["AwsvpcConfiguration"]
    return found


@pytest.mark.parametrize("engine", BY_ECS)
def test_another_network_is_a_deployment_of_ecs_as_the_page_says(engine: str, live: Callable[[str], Live]) -> None:
    outcome = live(engine).edit(engine, **NAT)
    assert outcome.deployments == ("shop-hosting-service-service, for networkConfiguration",)


def test_code_deploys_service_is_given_what_ecs_takes_of_it_and_nothing_else(live: Callable[[str], Live]) -> None:
    stack = live("codeDeploy")
    outcome = stack.edit("codeDeploy", **GRACE, **EXEC)
    (step,) = (step for step in outcome.changes if step.type == SERVICE)
    assert (step.op, step.changed) == ("update", ("healthCheckGracePeriodSeconds",))


@pytest.mark.parametrize("engine", ENGINES)
def test_exec_leaves_the_first_task_definition_and_opens_the_roles(engine: str, live: Callable[[str], Live]) -> None:
    stack = live(engine)
    outcome = stack.edit(engine, **EXEC)
    assert changed(outcome, DEFINITION) == []
    assert "shop-hosting-roles-task-policy" in changed(outcome, POLICY)
    assert changed(outcome, SERVICE) == ([] if engine == "codeDeploy" else ["shop-hosting-service-service"])


def test_ecs_refuses_exec_before_the_first_deployment_as_the_page_says(
    first: Callable[[str], Path], tmp_path: Path
) -> None:
    """The tasks that wait for it have no role."""
    stack = Live(shutil.copytree(first("ecs rolling"), tmp_path / "live"))
    with pytest.raises(EngineFailure, match="a valid taskRoleArn is not being used"):
        stack.edit("ecs rolling", **EXEC)


def balanced(*names: str) -> dict[str, Any]:
    return {"loadBalancer": {"plainHttp": True, "listeners": {name: LISTENERS[name] for name in names}}}


class Several(Live):
    """A stack whose application has a second container with a port."""

    def values(self, deploy: dict[str, Any], **hosting: object) -> Config:
        values = super().values(deploy, **hosting)
        values["ecs-delivery:application"]["containers"] = {
            "admin": {"image": "public.ecr.aws/nginx/nginx:1.27", "port": 9000}
        }
        return values

    def reached(self, engine: str, *names: str) -> list[tuple[str, str, int]]:
        """What the service's load balancers reach: target group, container and port."""
        graph = self.with_config(self.values(ENGINES[engine], **balanced(*names))).graph()
        groups = {each["outputs"]["arn"]: each["name"] for each in graph if each["type"] == TARGETS}
        (service,) = (each for each in graph if each["type"] == SERVICE)
        return [
            (groups[each["targetGroupArn"]].rpartition("balancer-")[2], each["containerName"], each["containerPort"])
            for each in service["outputs"]["loadBalancers"]
        ]


@pytest.mark.parametrize("engine", BY_ECS_ROLLING)
def test_further_listeners_come_and_go_while_the_others_stay_where_they_lead(engine: str, tmp_path: Path) -> None:
    """The engine ignores by the place in a list what a deployment writes: a neighbour must not inherit it."""
    stack = Several(tmp_path)
    assert [step.op for step in stack.edit(engine, **balanced("a", "b")).changes if step.type == SERVICE] == ["create"]
    users, to_a, to_b = ("blue", "shop", 8080), ("to-a", "admin", 9000), ("to-b", "shop", 8080)
    assert stack.reached(engine, "a", "b") == [users, to_a, to_b]
    stack.rewrite(deployed)
    for names, found in ((("b",), [users, to_b]), ((), [users]), (("a",), [users, to_a])):
        outcome = stack.edit(engine, **balanced(*names))
        assert outcome.deployments == ("shop-hosting-service-service, for loadBalancers",)
        assert stack.reached(engine, *names) == found
        assert not [step for step in outcome.changes if "replace" in step.op]


def test_a_container_that_does_not_run_yet_is_refused_as_ecs_does(tmp_path: Path) -> None:
    """What waits for the first deployment has what was reached when it was made."""
    stack = Several(tmp_path)
    stack.edit("ecs rolling")
    with pytest.raises(EngineFailure, match="The container admin does not exist in the task definition"):
        stack.edit("ecs rolling", **balanced("a"))
    stack.rewrite(deployed)
    assert stack.edit("ecs rolling", **balanced("a")).deployments == (
        "shop-hosting-service-service, for loadBalancers",
    )


def test_the_users_container_is_a_deployments_beside_further_listeners(tmp_path: Path) -> None:
    stack = Several(tmp_path)
    stack.edit("ecs rolling", **balanced("a"))
    users = {"loadBalancer": {**balanced("a")["loadBalancer"], "container": "admin"}}
    outcome = stack.edit("ecs rolling", **users)
    assert (changed(outcome, SERVICE), outcome.deployments) == ([], ())


def test_a_load_balancer_comes_with_its_further_listeners(tmp_path: Path) -> None:
    """Without a grace period, which ECS does not take together with the first load balancer."""
    stack = Several(tmp_path)
    stack.edit("ecs rolling", loadBalancer={"enabled": False})
    stack.rewrite(deployed)
    given = balanced("a", "b")["loadBalancer"]
    stack.edit("ecs rolling", loadBalancer={**given, "healthCheck": {"gracePeriodSeconds": 0}})
    assert stack.reached("ecs rolling", "a", "b") == [
        ("blue", "shop", 8080),
        ("to-a", "admin", 9000),
        ("to-b", "shop", 8080),
    ]
