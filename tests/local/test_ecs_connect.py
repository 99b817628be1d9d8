"""What the stand-in for Amazon ECS refuses of Service Connect and registries, and what it remembers of them."""

from __future__ import annotations

from typing import Any

import pytest
from task_definitions import definition

from local.rehearsal.ecs import Ecs
from local.rehearsal.ecs.state import Service
from local.rehearsal.emulated import Refused

REGISTRY = "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-0123456789abcdef"
ENDPOINT: dict[str, Any] = {
    "portName": "web",
    "discoveryName": "web",
    "clientAliases": [{"port": 80, "dnsName": "web"}],
}
CONNECT: dict[str, Any] = {"enabled": True, "namespace": "shop", "services": [ENDPOINT]}
SHOP = {"cluster": "main", "service": "shop"}


def named(**changes: object) -> dict[str, Any]:
    """A definition whose port has a name."""
    made = definition()
    made["containerDefinitions"][0]["portMappings"] = [{"containerPort": 8080, "name": "web", **changes}]
    return made


@pytest.fixture
def ecs() -> Ecs:
    """A cluster, and the revisions without a name, with one, and with one of another protocol."""
    made = Ecs()
    made.owner("CreateCluster", clusterName="main")
    for each in (definition(), named(), named(appProtocol="http")):
        made.owner("RegisterTaskDefinition", **each)
    return made


def service(ecs: Ecs, **given: object) -> Service:
    """A service that runs the first revision, unless another one is given."""
    wanted = {"taskDefinition": "shop:1", "launchType": "FARGATE", "desiredCount": 1, **given}
    ecs.owner("CreateService", cluster="main", serviceName="shop", **wanted)
    made = ecs.service("shop", "main")
    if made.controller == "ECS":
        ecs.settle(made)
    return made


def update(ecs: Ecs, connect: dict[str, Any], revision: int = 2) -> None:
    ecs.owner("UpdateService", **SHOP, taskDefinition=f"shop:{revision}", serviceConnectConfiguration=connect)


def test_a_deployment_connects_a_service_with_the_definition_that_names_its_port(ecs: Ecs) -> None:
    made = service(ecs)
    update(ecs, CONNECT)
    ecs.settle(made)
    (primary,) = ecs.owner("DescribeServices", cluster="main", services=["shop"])["services"][0]["deployments"]
    assert (primary["status"], primary["serviceConnectConfiguration"]) == ("PRIMARY", CONNECT)
    arn = made.deployments[0].target.arn
    (revision,) = ecs.owner("DescribeServiceRevisions", serviceRevisionArns=[arn])["serviceRevisions"]
    assert revision["serviceConnectConfiguration"] == CONNECT


def test_what_is_not_said_stays(ecs: Ecs) -> None:
    made = service(ecs, taskDefinition="shop:2", serviceConnectConfiguration=CONNECT)
    ecs.owner("UpdateService", **SHOP, taskDefinition="shop:2", forceNewDeployment=True)
    assert made.connect == CONNECT


@pytest.mark.parametrize(
    ("connect", "said"),
    [
        ({"enabled": True, "services": [ENDPOINT]}, "namespace is required"),
        ({**CONNECT, "services": [{**ENDPOINT, "portName": "other"}]}, "port name other is not"),
        ({**CONNECT, "services": [{"portName": "web", "clientAliases": []}]}, "one client alias"),
        ({**CONNECT, "services": [{**ENDPOINT, "discoveryName": "Web"}]}, "not a valid name"),
        ({**CONNECT, "services": [{**ENDPOINT, "clientAliases": [{"port": 80, "dnsName": "-web"}]}]}, "not a valid"),
        ({**CONNECT, "services": [ENDPOINT, ENDPOINT]}, "must be unique"),
    ],
)
def test_a_configuration_that_ecs_does_not_take_is_refused(ecs: Ecs, connect: dict[str, Any], said: str) -> None:
    service(ecs)
    with pytest.raises(Refused, match=said):
        update(ecs, connect)


def test_a_port_needs_its_name_in_what_is_deployed(ecs: Ecs) -> None:
    service(ecs)
    with pytest.raises(Refused, match="port name web is not in the task definition"):
        update(ecs, CONNECT, revision=1)


def test_the_protocol_of_an_endpoint_cannot_be_changed(ecs: Ecs) -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html"""
    service(ecs, taskDefinition="shop:2", serviceConnectConfiguration=CONNECT)
    with pytest.raises(Refused, match="appProtocol of web cannot be changed"):
        update(ecs, CONNECT, revision=3)
    update(ecs, {"enabled": False}, revision=3)


def test_containers_must_leave_memory_to_the_proxy(ecs: Ecs) -> None:
    full = named()
    full["containerDefinitions"][0]["memory"] = int(full["memory"])
    ecs.owner("RegisterTaskDefinition", **full)
    service(ecs)
    with pytest.raises(Refused, match="task memory must be greater"):
        update(ecs, CONNECT, revision=4)


def test_code_deploy_takes_no_service_connect(ecs: Ecs) -> None:
    """https://github.com/aws/amazon-ecs-service-connect-agent/issues/74"""
    controller = {"type": "CODE_DEPLOY"}
    with pytest.raises(Refused, match="not supported with the deployment controller CODE_DEPLOY"):
        service(ecs, taskDefinition="shop:2", serviceConnectConfiguration=CONNECT, deploymentController=controller)


def test_a_service_has_one_registry_and_says_no_port_of_a_records(ecs: Ecs) -> None:
    for registries in ([{"registryArn": REGISTRY}] * 2, [{"registryArn": REGISTRY, "port": 8080}]):
        with pytest.raises(Refused, match="registr"):
            service(ecs, serviceRegistries=registries)
    made = service(ecs, serviceRegistries=[{"registryArn": REGISTRY}])
    assert made.view()["serviceRegistries"] == [{"registryArn": REGISTRY}]
    assert list(made.deployments[0].target.registries) == [REGISTRY]
    ecs.owner("UpdateService", **SHOP, serviceRegistries=[])
    assert list(made.deployments[0].target.registries) == []
