"""A rule on a listener that exists: one target group, who may reach the tasks, and figures of this service alone."""

from __future__ import annotations

from typing import Any

import pytest
from made_hosting import Made, made

LISTENER = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/shared/0123456789abcdef/0123456789abcdee"
NETWORK = {
    "existing": {
        "vpcId": "vpc-0a1b2c3d4e5f67890",
        "privateSubnets": ["subnet-0a1b2c3d4e5f67892", "subnet-0a1b2c3d4e5f67893"],
    }
}
RULE: dict[str, Any] = {
    "listenerArn": LISTENER,
    "securityGroup": "sg-0a1b2c3d4e5f67890",
    "priority": 120,
    "hosts": ["shop.example.com"],
}


def shared(engine: str = "ecs", service: dict[str, Any] | None = None, **balancer: object) -> Made:
    section = {"network": NETWORK, "loadBalancer": {"existing": RULE, **balancer}, "service": service or {}}
    return made(section, deploy={"engine": engine})


@pytest.mark.parametrize("engine", ["ecs", "ecsAction"])
def test_nothing_is_made_of_a_load_balancer_but_a_target_group_and_a_rule(engine: str) -> None:
    found = shared(engine)
    kinds = {item.type for item in found.graph if item.type.startswith(("aws:lb/", "aws:s3/", "aws:route53/"))}
    assert kinds == {"aws:lb/targetGroup:TargetGroup", "aws:lb/listenerRule:ListenerRule"}
    rule, group = found.one("ListenerRule"), found.one("TargetGroup")
    assert (rule.inputs["listenerArn"], rule.inputs["priority"]) == (LISTENER, 120)
    assert rule.inputs["actions"] == [{"type": "forward", "targetGroupArn": group.outputs["arn"]}]
    service = found.one("aws:ecs/service:Service")
    assert service.inputs["loadBalancers"][0]["targetGroupArn"] == group.outputs["arn"]
    assert rule.urn in service.dependencies, "ECS refuses a target group that no listener forwards to"


def test_a_listener_given_by_its_port_is_looked_up() -> None:
    """The rule, the figures and the alarms are of what is found."""
    by_port = {key: value for key, value in RULE.items() if key != "listenerArn"}
    found = shared(existing={**by_port, "loadBalancer": "shared", "port": 443})
    assert sorted(found.graph.invokes) == ["aws:lb/getListener:getListener", "aws:lb/getLoadBalancer:getLoadBalancer"]
    listener = found.one("ListenerRule").inputs["listenerArn"]
    assert listener.endswith(f":listener/app/shared/0123456789abcdef/{443:016x}")
    dimensions = found.one("MetricAlarm", "alarms-latency").inputs["dimensions"]
    assert dimensions["LoadBalancer"] == "app/shared/0123456789abcdef"


def test_a_listener_given_by_its_arn_is_not_asked_for() -> None:
    assert not shared().graph.invokes


def test_the_rule_is_for_hosts_paths_and_headers_together() -> None:
    found = shared(existing={**RULE, "paths": ["/shop/*"], "headers": {"X-Audience": "public"}})
    assert found.one("ListenerRule").inputs["conditions"] == [
        {"hostHeader": {"values": ["shop.example.com"]}},
        {"pathPattern": {"values": ["/shop/*"]}},
        {"httpHeader": {"httpHeaderName": "X-Audience", "values": ["public"]}},
    ]


def test_the_security_group_of_that_load_balancer_alone_reaches_the_tasks() -> None:
    found = shared()
    (rule,) = found.graph.of("SecurityGroupIngressRule")
    assert rule.inputs["referencedSecurityGroupId"] == "sg-0a1b2c3d4e5f67890"
    assert [item.name for item in found.graph.of("SecurityGroupEgressRule")] == ["hosting-groups-tasks-out"]


def test_figures_are_those_of_the_services_own_target_group() -> None:
    """What the load balancer answers itself may be another application's affair."""
    found = shared(service={"scaling": {"requestsPerTask": 600}})
    group = found.one("TargetGroup").outputs["arnSuffix"]
    mine = {"LoadBalancer": "app/shared/0123456789abcdef", "TargetGroup": group}
    alarms = {item.name: item.inputs for item in found.graph.of("MetricAlarm")}
    assert alarms["hosting-alarms-latency"]["dimensions"] == mine
    queries = alarms["hosting-alarms-errors"]["metricQueries"]
    metrics = [query["metric"] for query in queries if "metric" in query]
    assert {metric["metricName"] for metric in metrics} == {"RequestCount", "HTTPCode_Target_5XX_Count"}
    assert all(metric["dimensions"] == mine for metric in metrics)
    policy = found.one("aws:appautoscaling/policy:Policy", "scaling-requests")
    tracking = policy.inputs["targetTrackingScalingPolicyConfiguration"]
    label = tracking["predefinedMetricSpecification"]["resourceLabel"]
    assert label == f"app/shared/0123456789abcdef/{group}"


@pytest.mark.parametrize(
    ("hosts", "plain", "url"),
    [
        (["shop.example.com"], False, "https://shop.example.com"),
        (["shop.example.com"], True, "http://shop.example.com"),
        (["*.example.com", "shop.example.com"], False, None),
        ([], False, None),
    ],
)
def test_the_address_is_the_first_host(hosts: list[str], *, plain: bool, url: str | None) -> None:
    found = shared(existing={**RULE, "hosts": hosts, "paths": ["/shop"]}, plainHttp=plain)
    assert found.graph.exports.get("url") == url
    assert (found.hosting.load_balancer_dns_name, found.hosting.notes) == (None, ())
