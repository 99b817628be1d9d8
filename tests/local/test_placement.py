"""What tasks run on and where, as the emulators of ECS and CodeDeploy keep it through deployments and back."""

from __future__ import annotations

from typing import Any

import pytest
from task_definitions import NEW, definition

from local.rehearsal.code_deploy import BlueGreen, CodeDeploy
from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.ecs.state import Service
from local.rehearsal.emulated import Refused

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
ON_DEMAND = [{"capacityProvider": "FARGATE", "weight": 1, "base": 0}]
SPOT = [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]
PUBLIC = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"}}
PRIVATE = {"awsvpcConfiguration": {"subnets": ["subnet-2"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}}
NETWORKS = ({"subnet-1": "vpc-1", "subnet-2": "vpc-1", "subnet-3": "vpc-2"}, {"sg-1": "vpc-1"})
WHERE = {"cluster": "main", "service": "shop"}


@pytest.fixture
def ecs() -> Ecs:
    made = Ecs(networks=NETWORKS)
    made.owner("CreateCluster", clusterName="main", capacityProviders=["FARGATE", "FARGATE_SPOT"])
    made.owner("RegisterTaskDefinition", **definition())
    made.owner("RegisterTaskDefinition", **definition(NEW))
    return made


def create(ecs: Ecs, controller: str = "ECS", **given: object) -> Service:
    ecs.owner(
        "CreateService",
        cluster="main",
        serviceName="shop",
        taskDefinition="shop:1",
        desiredCount=1,
        deploymentController={"type": controller},
        **{"networkConfiguration": PUBLIC, **given},
    )
    service = ecs.service("shop", "main")
    if controller == "ECS":
        ecs.settle(service)
    return service


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"launchType": "FARGATE", "capacityProviderStrategy": SPOT}, "both a launch type and capacity provider str"),
        ({"capacityProviderStrategy": [{"capacityProvider": "OTHER"}]}, "'OTHER' is not associated with the cluster"),
        ({"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}, "must have a weight value greater than zer"),
        (
            {"capacityProviderStrategy": [{**SPOT[0], "base": 1}, {**ON_DEMAND[0], "base": 1}]},
            "Only one capacity provider in a capacity provider strategy can have a base",
        ),
        ({"capacityProviderStrategy": SPOT * 21}, "cannot contain more than 20 providers"),
        ({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-9"]}}}, "InvalidSubnetID.NotFound"),
        (
            {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-9"]}}},
            "InvalidGroup.NotFound",
        ),
        (
            {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-3"], "securityGroups": ["sg-1"]}}},
            "in different VPCs: vpc-1, vpc-2",
        ),
    ],
)
def test_a_place_that_is_none_is_refused(ecs: Ecs, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        create(ecs, **given)


def test_another_strategy_needs_a_forced_deployment_and_goes_with_it(ecs: Ecs) -> None:
    service = create(ecs, capacityProviderStrategy=ON_DEMAND)
    with pytest.raises(Refused, match="you must force a new deployment"):
        ecs.owner("UpdateService", **WHERE, capacityProviderStrategy=SPOT, taskDefinition="shop:2")
    ecs.owner("UpdateService", **WHERE, capacityProviderStrategy=ON_DEMAND)
    assert len(service.deployments) == 1, "the same is no deployment"

    ecs.owner("UpdateService", **WHERE, capacityProviderStrategy=SPOT, forceNewDeployment=True)
    assert ecs.settle(service).status == "SUCCESSFUL"
    assert service.view()["capacityProviderStrategy"] == SPOT
    (task,) = (task for task in service.tasks if task.status == "RUNNING")
    assert task.view(service.cluster)["capacityProviderName"] == "FARGATE_SPOT"


def test_another_network_is_a_deployment_by_itself(ecs: Ecs) -> None:
    service = create(ecs, launchType="FARGATE")
    ecs.owner("UpdateService", **WHERE, networkConfiguration=PRIVATE)
    assert len(service.deployments) == 2
    assert service.view()["networkConfiguration"] == PRIVATE
    ecs.owner("UpdateService", **WHERE, enableExecuteCommand=True, enableECSManagedTags=True)
    assert len(service.deployments) == 2


def test_a_roll_back_goes_back_to_the_capacity_providers(ecs: Ecs) -> None:
    service = create(ecs, capacityProviderStrategy=ON_DEMAND, deploymentConfiguration=BREAKER)
    ecs.behaviours[NEW] = Behaviour.CRASH
    ecs.owner("UpdateService", **WHERE, taskDefinition="shop:2", capacityProviderStrategy=SPOT, forceNewDeployment=True)
    assert service.view()["capacityProviderStrategy"] == SPOT
    assert ecs.settle(service).status == "ROLLBACK_SUCCESSFUL"
    assert service.view()["capacityProviderStrategy"] == ON_DEMAND


# CodeDeploy


def deployed(ecs: Ecs, placed: dict[str, Any], *, on: Service | None = None) -> tuple[Service, BlueGreen]:
    service = on or create(ecs, "CODE_DEPLOY", launchType="FARGATE")
    code_deploy = CodeDeploy(ecs, service, application="shop", group="prod")
    made = code_deploy.deploy("shop:2", lambda _: None, placed)
    for _ in range(20):
        next(service.course, None)
    return service, made


def test_the_task_set_is_where_the_appspec_says_and_then_the_service(ecs: Ecs) -> None:
    service, made = deployed(ecs, {"networkConfiguration": PRIVATE, "capacityProviderStrategy": SPOT})
    assert made.status == "Succeeded"
    (task_set,) = service.view()["taskSets"]
    for view in (task_set, service.view()):
        assert view["networkConfiguration"] == PRIVATE
        assert view["capacityProviderStrategy"] == SPOT
        assert "launchType" not in view


def test_an_appspec_without_them_keeps_the_network_and_drops_the_strategy(ecs: Ecs) -> None:
    service, _ = deployed(ecs, {"networkConfiguration": PRIVATE, "capacityProviderStrategy": SPOT})
    deployed(ecs, {}, on=service)
    (task_set,) = service.view()["taskSets"]
    assert task_set["networkConfiguration"] == PRIVATE
    assert task_set["launchType"] == "FARGATE"
    assert "capacityProviderStrategy" not in task_set


def test_a_deployment_to_where_nothing_is_fails_in_ecss_words_and_leaves_what_serves(ecs: Ecs) -> None:
    nowhere = {"awsvpcConfiguration": {**PRIVATE["awsvpcConfiguration"], "subnets": ["subnet-9"]}}
    service, made = deployed(ecs, {"networkConfiguration": nowhere})
    assert (made.status, made.error["code"]) == ("Failed", "ECS_UPDATE_ERROR")
    assert "subnet-9" in made.error["message"]
    assert [task_set["status"] for task_set in service.view()["taskSets"]] == ["PRIMARY"]
    assert service.running == ["shop:1"]


def test_a_deployment_that_is_stopped_leaves_the_service_where_it_was(ecs: Ecs) -> None:
    service = create(ecs, "CODE_DEPLOY", launchType="FARGATE")
    code_deploy = CodeDeploy(ecs, service, application="shop", group="prod")
    ecs.behaviours[NEW] = Behaviour.SLOW
    made = code_deploy.deploy("shop:2", lambda _: None, {"capacityProviderStrategy": SPOT})
    for _ in range(5):
        next(service.course, None)
    code_deploy.owner("StopDeployment", deploymentId=made.identity)
    for _ in range(5):
        next(service.course, None)
    assert service.view()["launchType"] == "FARGATE"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"enableExecuteCommand": True}, "Unable to update enableExecuteCommand"),
        ({"forceNewDeployment": True}, "Cannot force a new deployment"),
        ({"networkConfiguration": PRIVATE}, "Unable to update network parameters"),
        ({"capacityProviderStrategy": SPOT, "forceNewDeployment": True}, "Cannot force a new deployment"),
    ],
)
def test_the_service_takes_nothing_of_a_task_set(ecs: Ecs, given: dict[str, Any], said: str) -> None:
    create(ecs, "CODE_DEPLOY", launchType="FARGATE")
    with pytest.raises(Refused, match=f"{said} on services with a CODE_DEPLOY deployment controller"):
        ecs.owner("UpdateService", **WHERE, **given)
    ecs.owner("UpdateService", **WHERE, desiredCount=3, enableECSManagedTags=True)
