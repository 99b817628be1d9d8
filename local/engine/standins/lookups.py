"""Answers to the functions (data sources) the stand-in knows: the account, the region, and things looked up by name.

A lookup answers as if whatever is asked for existed. A function that is not listed here is refused: an invented
answer to an unforeseen question would make a preview look better founded than it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.engine.standins.catalogue import ACCOUNT, KINDS, Facts, invent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.engine.standins.sdk_types import FunctionType
    from local.engine.standins.wire import Value

    Answer = Callable[[Facts], dict[str, Value]]


def _identity(facts: Facts) -> dict[str, Value]:
    caller = "assumed-role/ecs-delivery-local/stand-in"
    arn = f"arn:{facts.partition}:sts::{ACCOUNT}:{caller}"
    return {"accountId": ACCOUNT, "arn": arn, "userId": "AROASTANDINSTANDIN000:stand-in", "id": ACCOUNT}


def _region(facts: Facts) -> dict[str, Value]:
    region = facts.text("region") or facts.text("name") or facts.region
    endpoint = f"ec2.{region}.{facts.domain}"
    return {"id": region, "name": region, "region": region, "endpoint": endpoint, "description": region}


def _partition(facts: Facts) -> dict[str, Value]:
    reverse = ".".join(reversed(facts.domain.split(".")))
    return {
        "id": facts.partition,
        "partition": facts.partition,
        "dnsSuffix": facts.domain,
        "reverseDnsPrefix": reverse,
    }


def _zones(facts: Facts) -> dict[str, Value]:
    return {
        "id": facts.region,
        "names": [f"{facts.region}{letter}" for letter in "abc"],
        "zoneIds": [f"{facts.region.replace('-', '')}-az{number}" for number in (1, 2, 3)],
        "groupNames": [facts.region],
    }


def _subnets(facts: Facts) -> dict[str, Value]:
    return {"id": facts.region, "ids": [f"subnet-{facts.hex(16)}{digit}" for digit in "123"]}


def _existing(token: str, *keys: str) -> Answer:
    """Something looked up that a resource type of the catalogue describes.

    Args:
        token: that resource type.
        keys: arguments that may hold its name, ARN or id.
    """
    kind = KINDS[token]

    def answer(facts: Facts) -> dict[str, Value]:
        given = next((facts.text(key) for key in keys if facts.text(key)), "")
        name = given.rpartition("/")[2] if given.startswith("arn:") else given
        about = Facts(given or facts.seed, name, facts.region, facts.inputs)
        answers: dict[str, Value] = {output: rule(about) for output, rule in kind.computed.items()}
        if kind.arn:
            answers["arn"] = given if given.startswith("arn:") else kind.arn(about)
        answers["id"] = kind.identity(about)
        return answers

    return answer


ANSWERS: Mapping[str, Answer] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _identity,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getRegion:getRegion": _region,
    "aws:ec2/getSecurityGroup:getSecurityGroup": _existing("aws:ec2/securityGroup:SecurityGroup", "id", "name"),
    "aws:ec2/getSubnet:getSubnet": _existing("aws:ec2/subnet:Subnet", "id"),
    "aws:ec2/getSubnets:getSubnets": _subnets,
    "aws:ec2/getVpc:getVpc": _existing("aws:ec2/vpc:Vpc", "id"),
    "aws:ecr/getRepository:getRepository": _existing("aws:ecr/repository:Repository", "name"),
    "aws:ecs/getCluster:getCluster": _existing("aws:ecs/cluster:Cluster", "clusterName"),
    "aws:ecs/getService:getService": _existing("aws:ecs/service:Service", "serviceName"),
    "aws:iam/getRole:getRole": _existing("aws:iam/role:Role", "name"),
    "aws:lb/getListener:getListener": _existing("aws:lb/listener:Listener", "arn"),
    "aws:lb/getLoadBalancer:getLoadBalancer": _existing("aws:lb/loadBalancer:LoadBalancer", "arn", "name"),
    "aws:lb/getTargetGroup:getTargetGroup": _existing("aws:lb/targetGroup:TargetGroup", "arn", "name"),
    "aws:s3/getBucket:getBucket": _existing("aws:s3/bucket:Bucket", "bucket"),
}
"""Every function the stand-in answers."""


def answer(function: FunctionType, arguments: Mapping[str, Value], region: str) -> dict[str, Value]:
    """Answer a function of `ANSWERS`, completely: a result with holes would read as "known after the update".

    Args:
        function: the function's type.
        arguments: what was asked, already held against that type.
        region: the provider's region.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    facts = Facts(f"{function.token} {sorted(given.items(), key=str)}", "", region, given)
    answers = {**ANSWERS[function.token](facts), **given}
    return {
        output: answers[output] if output in answers else invent(output, shape.kind, function.token, facts)
        for output, shape in function.results.items()
    }
