"""Further listeners: other ports of the load balancer, each with a target group of the same tasks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from made_hosting import CERTIFICATE, Made, made

from components.hosting.bootstrap import BOOTSTRAP_IMAGE
from components.hosting.load_balancer import TLS_POLICY
from components.settings.sections.listeners import MOST_LISTENERS
from local.ecs_updates import documented

APPLICATION = {"name": "shop", "containers": {"admin": {"image": "public.ecr.aws/nginx/nginx:1.27", "port": 9000}}}
LISTENERS: dict[str, Any] = {
    "operations": {"port": 9443, "container": "admin", "healthCheckPath": "/ready"},
    "direct": {"port": 8443, "allowedCidrs": ["10.0.0.0/8"]},
}


def several(engine: str = "ecs", listeners: dict[str, Any] = LISTENERS, **balancer: object) -> Made:
    given = {"plainHttp": True, "listeners": listeners, **balancer}
    return made({"loadBalancer": given}, application=APPLICATION, deploy={"engine": engine})


def group(found: Made, name: str) -> Any:  # noqa: ANN401 - a resource's inputs
    return found.one("TargetGroup", f"load-balancer-{name}").inputs


@pytest.mark.parametrize("engine", ["ecs", "ecsAction"])
def test_the_tasks_register_with_the_target_group_of_each_listener(engine: str) -> None:
    found = several(engine)
    arns = {
        item.name.removeprefix("hosting-load-balancer-"): item.outputs["arn"]
        for item in found.graph.of("aws:lb/targetGroup:TargetGroup")
    }
    assert found.service["loadBalancers"] == [
        {"targetGroupArn": arns["blue"], "containerName": "shop", "containerPort": 8080},
        {"targetGroupArn": arns["to-direct"], "containerName": "shop", "containerPort": 8080},
        {"targetGroupArn": arns["to-operations"], "containerName": "admin", "containerPort": 9000},
    ]
    for role, port in (("to-direct", 8443), ("to-operations", 9443)):
        listener = found.listeners[role]
        assert (listener["port"], listener["protocol"]) == (port, "HTTP")
        assert listener["defaultActions"] == [{"type": "forward", "targetGroupArn": arns[role]}]


def test_ecs_refuses_a_target_group_that_no_listener_forwards_to() -> None:
    found = several()
    service = found.one("aws:ecs/service:Service")
    for role in ("to-direct", "to-operations"):
        assert found.one("Listener", f"load-balancer-{role}").urn in service.dependencies


def test_a_further_listener_is_as_secure_as_the_users() -> None:
    found = several(plainHttp=False, certificateArn=CERTIFICATE)
    listener = found.listeners["to-direct"]
    said = (listener["protocol"], listener["certificateArn"], listener["sslPolicy"])
    assert said == ("HTTPS", CERTIFICATE, TLS_POLICY)


def test_health_checks_are_those_of_the_first_target_group_but_for_what_is_about_its_protocol() -> None:
    check = {"matcher": "0", "port": 7000, "protocol": "HTTP", "intervalSeconds": 20, "timeoutSeconds": 7}
    found = several(
        plainHttp=False,
        certificateArn=CERTIFICATE,
        protocolVersion="GRPC",
        targetProtocol="HTTPS",
        deregistrationSeconds=44,
        healthCheck=check,
    )
    further, users = group(found, "to-operations"), group(found, "blue")
    assert (further["protocol"], further.get("protocolVersion"), further["deregistrationDelay"]) == ("HTTP", None, 44)
    assert further["healthCheck"] == {
        **{key: users["healthCheck"][key] for key in ("interval", "timeout", "healthyThreshold", "unhealthyThreshold")},
        "path": "/ready",
        "protocol": "HTTP",
        "matcher": "200-399",
    }
    assert group(found, "to-direct")["healthCheck"]["path"] == "/", "application.healthCheckPath"


def test_each_port_admits_its_own_addresses() -> None:
    found = several(allowedCidrs=["203.0.113.0/24"])
    rules = found.graph.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    admitted = {(rule.inputs["fromPort"], rule.inputs["cidrIpv4"]) for rule in rules if "cidrIpv4" in rule.inputs}
    assert admitted == {(80, "203.0.113.0/24"), (8443, "10.0.0.0/8"), (9443, "203.0.113.0/24")}


def test_what_waits_for_the_first_deployment_answers_in_every_container_that_is_reached() -> None:
    """ECS refuses a service whose task definition lacks one, and replaces tasks that fail one health check."""
    definition = several().one("aws:ecs/taskDefinition:TaskDefinition").inputs
    containers = {part["name"]: part for part in json.loads(definition["containerDefinitions"])}
    assert [*containers] == ["shop", "admin"]
    assert [part["image"] for part in containers.values()] == [BOOTSTRAP_IMAGE] * 2
    for name, port in (("shop", 8080), ("admin", 9000)):
        assert containers[name]["command"][3:] == [str(port)]
        assert [mapping["containerPort"] for mapping in containers[name]["portMappings"]] == [port]
        assert containers[name]["user"] == "65534:65534"


def test_each_of_them_answers_what_its_own_health_check_takes() -> None:
    """The matcher is the users' target group's; those of further listeners take 200 to 399."""
    definition = several(healthCheck={"matcher": "401"}).one("aws:ecs/taskDefinition:TaskDefinition").inputs
    codes = [part["command"][2] for part in json.loads(definition["containerDefinitions"])]
    assert ["self.send_response(401)" in code for code in codes] == [True, False]


def test_a_deployment_moves_the_users_container_and_the_program_the_others() -> None:
    """Ignored by place, what one that is taken away says would become its neighbour's."""
    ignored = several().one("aws:ecs/service:Service").ignore_changes
    paths = {path for path in ignored if path.startswith("loadBalancers")}
    assert paths == {"loadBalancers[0].containerName", "loadBalancers[0].containerPort"}
    assert (
        "loadBalancers[*].containerName" in made(deploy={"engine": "ecs"}).one("aws:ecs/service:Service").ignore_changes
    )


def test_tasks_that_fail_at_any_port_are_unhealthy() -> None:
    alarm = several().one("MetricAlarm", "alarms-unhealthy-hosts").inputs
    *metrics, result = alarm["metricQueries"]
    assert result["expression"] == "FILL(hosts0, 0) + FILL(hosts1, 0) + FILL(hosts2, 0)"
    names = {metric["metric"]["dimensions"]["TargetGroup"].split("/")[1] for metric in metrics}
    assert names == {"shop-dev-blue", "shop-dev-to-direct", "shop-dev-to-operations"}


def test_a_stack_that_is_protected_lets_a_further_listener_go() -> None:
    """A protected resource stops the update that takes its key out of the stack file."""
    found = made(
        {"loadBalancer": {"plainHttp": True, "listeners": {"direct": {"port": 8443}}}},
        protect=True,
        deploy={"engine": "ecs"},
    )
    groups = {item.name: item.protect for item in found.graph.of("aws:lb/targetGroup:TargetGroup")}
    assert groups == {"hosting-load-balancer-blue": True, "hosting-load-balancer-to-direct": False}


def test_where_they_are_reached_and_which_target_group_a_deployment_moves() -> None:
    found = several(domainName="shop.example.com")
    assert [*found.hosting.listener_urls] == ["direct", "operations"]
    assert found.hosting.users_target_group is not None
    assert made(deploy={"engine": "ecs"}).hosting.users_target_group is None


def test_a_service_registers_with_so_many_target_groups() -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/register-multiple-targetgroups.html."""
    assert MOST_LISTENERS + 1 == 5
    said = documented("loadBalancers")
    assert "For services that use rolling updates, you can add, update, or remove" in said
    assert "from a single target group to multiple target groups and from multiple target groups to a single" in said
