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

DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
PROJECT, POLICY = "aws:codebuild/project:Project", "aws:iam/rolePolicy:RolePolicy"
BY_ECS = [engine for engine in ENGINES if engine != "codeDeploy"]
SPOT = {"service": {"capacityProvider": "fargateSpot"}}
EXEC = {"service": {"exec": True}}
GRACE = {"loadBalancer": {"plainHttp": True, "healthCheck": {"gracePeriodSeconds": 90}}}
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
    job = "deploy-ecs" if "ecs " in engine else "prepare-deployment"
    assert changed(outcome, PROJECT) == [f"shop-{job}-project"]
    assert not [step for step in outcome.changes if "replace" in step.op or step.op == "delete"]


def test_another_network_ships_with_the_next_run_of_code_deploy(live: Callable[[str], Live]) -> None:
    stack = live("codeDeploy")
    before = stack.inputs("codeDeploy", PROJECT, "prepare-deployment")
    outcome = stack.edit("codeDeploy", **NAT)
    assert (changed(outcome, SERVICE), outcome.deployments) == ([], ())
    after = stack.inputs("codeDeploy", PROJECT, "prepare-deployment")
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
