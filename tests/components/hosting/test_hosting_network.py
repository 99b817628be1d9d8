"""Network: subnets that stay where they are, who may talk to whom, the way to AWS without internet."""

from __future__ import annotations

import json
from typing import Any

import pytest
from made_hosting import CERTIFICATE, Made, made

from components.hosting.endpoints import service_name, services
from components.hosting.subnets import subnet_blocks


def vpc(found: Made) -> dict[str, Any]:
    return dict(found.one("awsx:ec2:Vpc").inputs)


def test_subnets_have_fixed_addresses_so_another_zone_moves_none() -> None:
    two, three = subnet_blocks("10.0.0.0/16", 2), subnet_blocks("10.0.0.0/16", 3)
    assert two == (["10.0.0.0/19", "10.0.32.0/19"], ["10.0.128.0/19", "10.0.160.0/19"])
    assert (three.private[:2], three.public[:2]) == two


def test_the_smallest_network_has_room_for_the_load_balancer() -> None:
    """AWS wants 8 free addresses and a /27 for a load balancer's subnet."""
    blocks = subnet_blocks("10.0.0.0/24", 3)
    assert blocks.public == ["10.0.0.128/27", "10.0.0.160/27", "10.0.0.192/27"]


def test_without_nat_gateways_tasks_run_in_public_subnets_with_a_public_ip() -> None:
    found = made()
    assert vpc(found)["natGateways"] == {"strategy": "None"}
    network = found.service["networkConfiguration"]
    assert network["assignPublicIp"] is True
    assert network["subnets"] == found.one("aws:lb/loadBalancer:LoadBalancer").inputs["subnets"]
    assert found.graph.of("VpcEndpoint") == []


@pytest.mark.parametrize(("wanted", "strategy"), [("single", "Single"), ("onePerAz", "OnePerAz")])
def test_with_nat_gateways_tasks_run_in_private_subnets(wanted: str, strategy: str) -> None:
    found = made({"network": {"natGateways": wanted, "availabilityZones": 3}})
    assert vpc(found)["natGateways"] == {"strategy": strategy}
    assert vpc(found)["numberOfAvailabilityZones"] == 3
    network = found.service["networkConfiguration"]
    assert network["assignPublicIp"] is False
    assert len(network["subnets"]) == 3
    assert not set(network["subnets"]) & set(found.one("aws:lb/loadBalancer:LoadBalancer").inputs["subnets"])
    assert found.graph.of("VpcEndpoint") == []


def test_private_tasks_without_nat_gateways_get_endpoints_that_only_they_may_use() -> None:
    secrets = {"A": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf"}
    found = made({"network": {"taskSubnets": "private"}}, application={"name": "shop", "secrets": secrets})
    endpoints = {item.inputs["serviceName"]: item.inputs for item in found.graph.of("VpcEndpoint")}
    prefix = "com.amazonaws.eu-west-1"
    assert set(endpoints) == {f"{prefix}.{name}" for name in ("ecr.api", "ecr.dkr", "logs", "secretsmanager", "s3")}
    assert endpoints[f"{prefix}.s3"]["vpcEndpointType"] == "Gateway"
    assert "subnetIds" not in endpoints[f"{prefix}.s3"]
    interface = endpoints[f"{prefix}.logs"]
    assert (interface["vpcEndpointType"], interface["privateDnsEnabled"]) == ("Interface", True)
    assert interface["subnetIds"] == found.service["networkConfiguration"]["subnets"]
    rule = found.one("SecurityGroupIngressRule", "endpoints-in").inputs
    tasks = found.one("SecurityGroup", "groups-tasks").id
    assert (rule["referencedSecurityGroupId"], rule["fromPort"], rule["toPort"]) == (tasks, 443, 443)
    service = found.one("aws:ecs/service:Service")
    assert {item.urn for item in found.graph.of("VpcEndpoint")} <= set(service.dependencies), "tasks start after them"


def test_an_endpoint_is_made_for_each_kind_of_secret_and_for_shells() -> None:
    always = ("ecr.api", "ecr.dkr", "logs")
    assert services((), exec_=False) == always
    assert services(("arn:aws:ssm:eu-west-1:123456789012:parameter/a",), exec_=True) == (*always, "ssm", "ssmmessages")


def test_endpoints_in_china_are_called_otherwise() -> None:
    assert service_name("cn-north-1", "ecr.api") == "cn.com.amazonaws.cn-north-1.ecr.api"
    assert service_name("cn-north-1", "s3") == "com.amazonaws.cn-north-1.s3"


@pytest.mark.parametrize(
    ("balancer", "deploy", "admitted"),
    [
        ({}, {}, set()),
        ({"testAllowedCidrs": ["203.0.113.0/24"]}, {}, {"203.0.113.0/24"}),
        ({}, {"testTraffic": {"http": [{"path": "/"}]}}, {"10.0.0.0/8"}),
        ({"testAllowedCidrs": ["203.0.113.0/24"]}, {"testTraffic": {"http": [{"path": "/"}]}}, {"203.0.113.0/24"}),
    ],
)
def test_a_version_that_nobody_has_checked_is_seen_by_those_alone_who_check_it(
    balancer: dict[str, Any], deploy: dict[str, Any], admitted: set[str]
) -> None:
    """A job of `testTraffic` asks from AWS's addresses, as users do; else nothing of ours asks the test listener."""
    found = made({"loadBalancer": {"plainHttp": True, "allowedCidrs": ["10.0.0.0/8"], **balancer}}, deploy=deploy)
    rules = [item.inputs for item in found.graph.of("SecurityGroupIngressRule")]
    assert found.listeners["test"]["port"] == 8080
    assert {rule["cidrIpv4"] for rule in rules if rule["fromPort"] == 8080} == admitted
    assert {rule["cidrIpv4"] for rule in rules if rule["fromPort"] == 80} == {"10.0.0.0/8"}


@pytest.mark.parametrize(("wanted", "traffic"), [("rejected", "REJECT"), ("all", "ALL")])
def test_connections_are_logged_where_the_file_asks_for_it(wanted: str, traffic: str) -> None:
    found = made({"network": {"flowLogs": wanted}})
    log, logs = found.one("FlowLog"), found.one("LogGroup", "network-flow-logs-group")
    role = found.one("aws:iam/role:Role", "network-flow-logs-role")
    assert {key: log.inputs[key] for key in ("vpcId", "trafficType", "logDestination", "iamRoleArn")} == {
        "vpcId": found.one("awsx:ec2:Vpc").outputs["vpcId"],
        "trafficType": traffic,
        "logDestination": logs.outputs["arn"],
        "iamRoleArn": role.outputs["arn"],
    }
    assert (logs.inputs["name"], logs.inputs["retentionInDays"]) == ("/vpc/shop-dev", 365)
    assert logs.inputs["kmsKeyId"]
    assert found.one("RolePolicy", "network-flow-logs-policy").urn in log.dependencies


def test_the_role_of_flow_logs_writes_one_log_group_and_makes_none() -> None:
    """One that is deleted with the stack would come back with the last records."""
    found = made({"network": {"flowLogs": "all"}})
    logs = found.one("LogGroup", "network-flow-logs-group")
    (statement,) = found.statements("network-flow-logs-policy").values()
    assert statement["Action"] == ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    assert statement["Resource"] == [logs.outputs["arn"] + ":*"]
    trust = json.loads(found.one("aws:iam/role:Role", "network-flow-logs-role").inputs["assumeRolePolicy"])
    (assumed,) = trust["Statement"]
    assert assumed["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnEquals": {"aws:SourceArn": "arn:aws:ec2:eu-west-1:123456789012:vpc-flow-log/*"},
    }


def test_no_connections_are_logged_unasked() -> None:
    assert made().graph.of("FlowLog") == []


EXISTING = {
    "vpcId": "vpc-0a1b2c3d",
    "publicSubnets": ["subnet-0a1b2c3d", "subnet-0a1b2c3e"],
    "privateSubnets": ["subnet-1a1b2c3d", "subnet-1a1b2c3e"],
}


def test_in_a_vpc_that_exists_nothing_is_made_but_security_groups() -> None:
    found = made({"network": {"existing": EXISTING}})
    ec2 = {item.type for item in found.graph if item.type.startswith(("aws:ec2/", "awsx:", "aws:vpc/"))}
    assert ec2 == {
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    }
    assert found.one("aws:lb/loadBalancer:LoadBalancer").inputs["subnets"] == EXISTING["publicSubnets"]
    assert found.service["networkConfiguration"]["subnets"] == EXISTING["privateSubnets"]
    assert {item.inputs["vpcId"] for item in found.graph.of("SecurityGroup")} == {"vpc-0a1b2c3d"}


@pytest.mark.parametrize("existing", [None, EXISTING])
def test_an_internal_load_balancer_stands_in_private_subnets(existing: dict[str, Any] | None) -> None:
    network = {"network": {"existing": existing}} if existing else {}
    found = made({**network, "loadBalancer": {"plainHttp": True, "internal": True}})
    balancer = found.one("aws:lb/loadBalancer:LoadBalancer").inputs
    private = existing["privateSubnets"] if existing else found.one("awsx:ec2:Vpc").outputs["privateSubnetIds"]
    assert (balancer["internal"], balancer["subnets"]) == (True, private)


def test_users_reach_the_load_balancer_and_the_load_balancer_alone_reaches_tasks() -> None:
    found = made({"loadBalancer": {"certificateArn": CERTIFICATE, "allowedCidrs": ["203.0.113.0/24", "10.0.0.0/8"]}})
    rules = [item.inputs for item in found.graph.of("SecurityGroupIngressRule")]
    users = {(rule["fromPort"], rule["toPort"], rule["cidrIpv4"]) for rule in rules if "cidrIpv4" in rule}
    assert users == {(port, port, cidr) for port in (80, 443) for cidr in ("203.0.113.0/24", "10.0.0.0/8")}
    balancer = found.one("SecurityGroup", "groups-balancer").id
    assert {rule["securityGroupId"] for rule in rules if "cidrIpv4" in rule} == {balancer}
    (tasks,) = [rule for rule in rules if "cidrIpv4" not in rule]
    assert tasks["securityGroupId"] == found.one("SecurityGroup", "groups-tasks").id
    assert tasks["referencedSecurityGroupId"] == balancer


def test_the_default_security_group_lets_nothing_through() -> None:
    group = made().one("DefaultSecurityGroup").inputs
    assert not {"ingress", "egress"} & set(group)
