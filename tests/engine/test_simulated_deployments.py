"""A deployment writes into what Pulumi made: the state edited as CodeDeploy, ECS and the scaling leave it.

What is edited is what `pulumi refresh` would read back, inputs and outputs alike. A preview must find nothing to
change then, whichever engine deployed and however; and a switch of the engine must say what it replaces.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from live_stack import LiveStack, State

from local.engine.stack import EngineFailure, LocalStack

pytestmark = pytest.mark.engine

SERVICE = "aws:ecs/service:Service"
LISTENER = "aws:lb/listener:Listener"
RULE = "aws:lb/listenerRule:ListenerRule"
GROUP = "aws:lb/targetGroup:TargetGroup"

DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "codeDeploy all at once": {"engine": "codeDeploy"},
    "codeDeploy linear": {"engine": "codeDeploy", "strategy": "linear"},
    "ecs rolling": {"engine": "ecs"},
    "ecs blue/green": {"engine": "ecs", "strategy": "blueGreen"},
    "ecs canary": {"engine": "ecs", "strategy": "canary"},
    "ecs linear": {"engine": "ecs", "strategy": "linear"},
    "the Amazon ECS action": {"engine": "ecsAction"},
}


class Deployed(LiveStack):
    """A stack whose file says how it deploys."""

    def stack(self, deploy: dict[str, Any]) -> LocalStack:
        """The stack with another way to deploy in its file."""
        return self.with_config(self.config(deploy, service={"scaling": {"maximum": 9}}))


Deploy = Callable[[dict[str, Any]], Deployed]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    """What is deployed by `up`, once for each way to deploy; not to be changed."""

    @cache
    def up(way: str) -> Deployed:
        deployed = Deployed(tmp_path_factory.mktemp("first"))
        deployed.stack(DEPLOYMENTS[way]).up()
        return deployed

    return lambda deploy: up(next(way for way, given in DEPLOYMENTS.items() if given == deploy))


@pytest.fixture
def up(first: Deploy, tmp_path: Path) -> Deploy:
    """Deploys a stack of the test's own: a copy of the first of its kind."""
    return lambda deploy: Deployed(shutil.copytree(first(deploy).folder, tmp_path / "deployed"))


def of(state: State, type_: str) -> State:
    return [resource for resource in state if resource["type"] == type_]


def both(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """What the program said and what AWS answered: a refresh writes both."""
    return [resource["inputs"], resource["outputs"]]


def groups(state: State) -> tuple[str, str]:
    """ARNs of the first target group and of the second, or the first again."""
    arns = [resource["outputs"]["arn"] for resource in sorted(of(state, GROUP), key=lambda item: str(item["urn"]))]
    return arns[0], arns[-1]


def a_new_task_definition(state: State) -> None:
    """Every deployment."""
    for values in both(of(state, SERVICE)[0]):
        values["taskDefinition"] = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop-live:7"


def another_count(state: State) -> None:
    """The scaling."""
    for values in both(of(state, SERVICE)[0]):
        values["desiredCount"] = 5


def the_other_target_group_at_the_service(state: State) -> None:
    """A deployment between two target groups."""
    blue, green = groups(state)
    for values in both(of(state, SERVICE)[0]):
        (balancer,) = values["loadBalancers"]
        balancer["targetGroupArn"] = green
        if "advancedConfiguration" in balancer:
            balancer["advancedConfiguration"]["alternateTargetGroupArn"] = blue


def nothing_but_the_task_set_of_code_deploy(state: State) -> None:
    """A service with task sets shows neither network nor launch type of its own; the strategy is its last AppSpec's."""
    for values in both(of(state, SERVICE)[0]):
        values.pop("networkConfiguration")
        values["launchType"] = ""
        values["capacityProviderStrategies"] = [{"capacityProvider": "FARGATE", "weight": 1}]


def another_capacity_provider(state: State) -> None:
    """What the last run brought; the stack file says another one since, or the run was another commit's."""
    for values in both(of(state, SERVICE)[0]):
        values["capacityProviderStrategies"] = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]


def all_traffic_on_the_other_target_group(state: State) -> None:
    """CodeDeploy at the listeners, ECS at their rules; the unused group stays with weight 0."""
    blue, green = groups(state)
    weighted = [{"arn": green, "weight": 100}, {"arn": blue, "weight": 0}]
    for resource in of(state, RULE):
        for values in both(resource):
            values["actions"] = [{"type": "forward", "forward": {"targetGroups": weighted}}]
    if not of(state, RULE):
        for resource in of(state, LISTENER):
            for values in both(resource):
                values["defaultActions"] = [{"type": "forward", "forward": {"targetGroups": weighted}}]


def written_by(deploy: dict[str, Any]) -> list[Callable[[State], None]]:
    edits: list[Callable[[State], None]] = [a_new_task_definition, another_capacity_provider, another_count]
    if deploy["engine"] == "codeDeploy":
        edits.append(nothing_but_the_task_set_of_code_deploy)
    if deploy["engine"] == "codeDeploy" or "strategy" in deploy:
        edits += [the_other_target_group_at_the_service, all_traffic_on_the_other_target_group]
    return edits


@pytest.mark.parametrize("deploy", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_a_preview_after_a_deployment_finds_nothing_to_change(deploy: dict[str, Any], up: Deploy) -> None:
    deployed = up(deploy)
    deployed.rewrite(*written_by(deploy))
    assert deployed.stack(deploy).preview().changes == ()


def test_what_a_deployment_does_not_write_is_put_back(up: Deploy) -> None:
    """Else the tests above would pass with everything ignored, or with an edit that went nowhere."""

    def by_hand(state: State) -> None:
        for values in both(of(state, SERVICE)[0]):
            values["enableEcsManagedTags"] = False
            values["healthCheckGracePeriodSeconds"] = 5

    deploy = DEPLOYMENTS["codeDeploy all at once"]
    deployed = up(deploy)
    deployed.rewrite(*written_by(deploy), by_hand)
    (step,) = deployed.stack(deploy).preview().changes
    assert (step.op, step.type) == ("update", SERVICE)
    assert set(step.changed) == {"enableEcsManagedTags", "healthCheckGracePeriodSeconds"}


def test_a_switch_of_the_engine_changes_the_service_at_once(up: Deploy) -> None:
    """docs/hosting.md says how to do it with care; this is what the preview says to someone who did not look."""
    before, after = DEPLOYMENTS["codeDeploy all at once"], DEPLOYMENTS["ecs rolling"]
    deployed = up(before)
    deployed.rewrite(*written_by(before))
    outcome = deployed.stack(after).preview()
    (service,) = (step for step in outcome.changes if step.type == SERVICE)
    assert (service.op, service.replaced_by) == ("update", ())
    assert "deploymentController" in {change.partition(".")[0] for change in service.changed}
    deleted = {step.name for step in outcome.changes if step.op == "delete" and step.type in {GROUP, LISTENER}}
    assert deleted == {"shop-hosting-load-balancer-green", "shop-hosting-load-balancer-test"}


def test_a_switch_from_rolling_to_two_target_groups_stops_before_anything_is_changed(up: Deploy) -> None:
    """What is ignored at the service is missing there; docs/hosting.md says what comes first."""
    deployed = up(DEPLOYMENTS["ecs rolling"])
    with pytest.raises(EngineFailure, match="alternateTargetGroupArn"):
        deployed.stack(DEPLOYMENTS["ecs blue/green"]).preview()


def test_a_switch_that_was_made_at_the_service_first_replaces_nothing_of_it(up: Deploy) -> None:
    """The way without downtime: `aws ecs update-service`, then a refresh, then the stack file."""

    def at_the_service(state: State) -> None:
        service = of(state, SERVICE)[0]
        blue, _ = groups(state)
        subnets = ["subnet-0a1b2c3d4e5f67890"]
        for values in both(service):
            values["deploymentController"] = {"type": "ECS"}
            values["capacityProviderStrategies"] = [{"capacityProvider": "FARGATE", "weight": 1}]
            values.pop("launchType", None)
            values["networkConfiguration"] = {"subnets": subnets}
            values["loadBalancers"] = [{"containerName": "shop", "containerPort": 8080, "targetGroupArn": blue}]

    before, after = DEPLOYMENTS["codeDeploy all at once"], DEPLOYMENTS["ecs rolling"]
    deployed = up(before)
    deployed.rewrite(a_new_task_definition, at_the_service)
    steps = {step.name: step for step in deployed.stack(after).preview().changes}
    assert steps["shop-hosting-service-service"].op == "update"
