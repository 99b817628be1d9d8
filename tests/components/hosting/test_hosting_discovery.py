"""How other services find this one: Service Connect, the DNS name, and who may reach the tasks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from made_hosting import Made, made
from samples import shop

from components.engines import ENGINES
from components.hosting.discovery import port_names
from components.hosting.task_definition import TaskSurroundings, task_definition
from components.settings import SettingsError

ECS = {"engine": "ecs"}
NAMESPACE = "aws:servicediscovery/httpNamespace:HttpNamespace"
REGISTRY = "aws:servicediscovery/service:Service"
CONNECT = {"endpoints": {"shop": {"port": 80, "appProtocol": "http"}}}
NGINX = {"nginx": {"image": "public.ecr.aws/nginx/nginx:1.27", "port": 8081}}


def connect(built: Made) -> dict[str, Any]:
    """What the deployments say."""
    found: list[dict[str, Any]] = []
    assert built.hosting.service_connect is not None
    said: Any = built.hosting.service_connect
    said.apply(found.append) if hasattr(said, "apply") else found.append(dict(said))
    return found[0]


def test_without_it_the_deployments_take_it_away_and_nothing_is_made() -> None:
    """ECS keeps what it is not told."""
    built = made(deploy=ECS)
    assert built.hosting.service_connect == {"enabled": False}
    assert not built.graph.of(NAMESPACE)
    assert not built.hosting.port_names


def test_a_namespace_is_made_that_outlives_the_stack() -> None:
    namespace = made({"serviceConnect": CONNECT}, deploy=ECS).one(NAMESPACE)
    assert namespace.inputs["name"] == "shop-dev"
    assert namespace.retain_on_delete


def test_nothing_is_deployed_before_the_namespace_is_there() -> None:
    assert len(made({"serviceConnect": CONNECT}, deploy=ECS).hosting.ready) == len(made(deploy=ECS).hosting.ready) + 1


def test_a_namespace_that_exists_is_named() -> None:
    built = made({"serviceConnect": {"namespace": "inner"}}, deploy=ECS)
    assert not built.graph.of(NAMESPACE)


def test_the_service_itself_is_made_without_it() -> None:
    """What it starts with has no port of that name; and what deployments have written is not undone."""
    service = made({"serviceConnect": CONNECT}, deploy=ECS).one("aws:ecs/service:Service")
    assert "serviceConnectConfiguration" not in service.inputs
    assert "serviceConnectConfiguration" in service.ignore_changes


def test_a_port_has_the_name_of_its_endpoint_in_the_task_definition() -> None:
    settings = shop(
        deploy=ECS,
        application={"name": "shop", "containers": NGINX},
        hosting={
            "loadBalancer": {"plainHttp": True},
            "serviceConnect": {"endpoints": {"shop": {"appProtocol": "grpc"}, "web": {"container": "nginx"}}},
        },
    )
    names = port_names(settings.application, settings.hosting.service_connect)
    surroundings = TaskSurroundings(
        family="shop",
        execution_role_arn="role",
        task_role_arn=None,
        log_group="/ecs/shop",
        region="eu-west-1",
        parameters_arn="",
        tags={},
        port_names=names,
    )
    definition: dict[str, Any] = task_definition(settings.application, surroundings)
    mappings = [part["portMappings"][0] for part in definition["containerDefinitions"]]
    assert mappings == [
        {"containerPort": 8080, "hostPort": 8080, "protocol": "tcp", "name": "shop", "appProtocol": "grpc"},
        {"containerPort": 8081, "hostPort": 8081, "protocol": "tcp", "name": "web"},
    ]


@pytest.mark.parametrize("engine", [name for name, engine in ENGINES.items() if not engine.connects])
def test_an_engine_that_does_not_ship_both_together_cannot_set_it(engine: str) -> None:
    with pytest.raises(SettingsError, match="serviceConnect: has an effect only with engine ecs"):
        made({"serviceConnect": CONNECT}, deploy={"engine": engine})


def test_a_service_that_only_calls_may_move_traffic() -> None:
    built = made({"serviceConnect": {"namespace": "inner"}}, deploy={**ECS, "strategy": "blueGreen"})
    assert built.hosting.service_connect is not None


def test_the_tasks_have_a_name_in_a_private_zone_of_the_network() -> None:
    built = made({"serviceRegistry": {"namespace": "shop.internal", "ttlSeconds": 5}}, deploy=ECS)
    zone = built.one("aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace").inputs
    assert (zone["name"], zone["vpc"]) == ("shop.internal", built.one("awsx:ec2:Vpc").outputs["vpcId"])
    registry = built.one(REGISTRY)
    assert registry.inputs["name"] == "shop"
    assert registry.inputs["dnsConfig"]["dnsRecords"] == [{"type": "A", "ttl": 5.0}]
    assert registry.inputs["healthCheckCustomConfig"] == {"failureThreshold": 1.0}
    assert registry.inputs["forceDestroy"] is True
    assert built.service["serviceRegistries"] == {"registryArn": registry.outputs["arn"]}


def test_a_namespace_that_holds_the_names_of_others_is_protected() -> None:
    built = made({"serviceRegistry": {"namespace": "shop.internal"}}, protect=True, deploy=ECS)
    assert built.one("aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace").protect


def test_a_name_in_a_namespace_that_exists() -> None:
    registry = {"namespaceId": "ns-0123456789abcdef", "name": "orders"}
    built = made({"serviceRegistry": registry}, deploy={"engine": "ecsAction"})
    assert not built.graph.of("aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace")
    assert built.one(REGISTRY).inputs["dnsConfig"]["namespaceId"] == "ns-0123456789abcdef"
    assert built.one(REGISTRY).inputs["name"] == "orders"


def test_named_security_groups_reach_the_tasks_beside_the_load_balancer() -> None:
    built = made({"service": {"allowedSecurityGroups": ["sg-0a1b2c3d4e5f67890"]}})
    rules = built.graph.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    into_tasks = {
        rule.inputs["referencedSecurityGroupId"]: (rule.inputs["fromPort"], rule.inputs["toPort"])
        for rule in rules
        if rule.name.startswith("hosting-groups-tasks-")
    }
    assert into_tasks["sg-0a1b2c3d4e5f67890"] == (1, 65535)
    assert len(into_tasks) == 2
    assert json.dumps(sorted(rule.name for rule in rules)).count("from-sg-0a1b2c3d4e5f67890") == 1
