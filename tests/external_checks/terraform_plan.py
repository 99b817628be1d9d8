"""A graph as Terraform writes a plan, for checks made for those.

The resources of pulumi-aws are those of Terraform's AWS provider: names of types and properties follow a rule, but for
the types of :data:`TYPES`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edits import VPC, children_of
from mocked import Graph, Resource
from rewriting import whole

TYPES: Mapping[str, str] = {
    "aws:codedeploy/application:Application": "aws_codedeploy_app",
    "aws:codepipeline/pipeline:Pipeline": "aws_codepipeline",
    "aws:lb/loadBalancer:LoadBalancer": "aws_lb",
    "aws:s3/bucketObjectv2:BucketObjectv2": "aws_s3_object",
}
"""Terraform's type where the rule makes another one."""
_PREFIXES: Mapping[str, str] = {"ec2": "", "servicediscovery": "service_discovery_"}
"""Terraform's word for a service where it is another one, or none."""
_MAPS = frozenset({"configuration", "dimensions", "options", "tags", "variables"})
"""Properties whose keys are the user's own words; every other object is a block, and so in a list."""


@dataclass(frozen=True)
class _Planned:
    """A resource of a plan.

    Attributes:
        type: Terraform's type.
        name: Its name in the plan.
        values: Pulumi's inputs.
        known_by: What other resources name it by.
    """

    type: str
    name: str
    values: Mapping[str, Any]
    known_by: frozenset[str]

    @property
    def address(self) -> str:
        """What the plan calls it."""
        return f"{self.type}.{self.name}"


def plan(graph: Graph) -> dict[str, Any]:
    """The plan that would make the graph."""
    planned = [each for resource in graph for each in _planned(resource)]
    known = {text: each.address for each in planned for text in each.known_by}
    configured, values, changes = [], [], []
    for each in planned:
        it = {"address": each.address, "mode": "managed", "type": each.type, "name": each.name}
        provider = {"provider_name": "registry.terraform.io/hashicorp/aws"}
        written = _block(each.values)
        links = {_snake(key): _references(value, known) for key, value in each.values.items()}
        configured.append(
            it
            | {
                "provider_config_key": "aws",
                "expressions": {key: {"references": found} for key, found in links.items() if found},
                "schema_version": 0,
            }
        )
        values.append(it | provider | {"schema_version": 0, "values": written})
        change = {"actions": ["create"], "before": None, "after": written, "after_unknown": {}}
        changes.append(it | provider | {"change": change})
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {"root_module": {"resources": values}},
        "resource_changes": changes,
        "configuration": {"root_module": {"resources": configured}},
    }


def terraform_type(token: str) -> str:
    """Terraform's type of a resource: ``aws:s3/bucketPolicy:BucketPolicy`` is ``aws_s3_bucket_policy``."""
    service, _, kind = token.removeprefix("aws:").partition(":")[0].partition("/")
    return TYPES.get(token) or f"aws_{_PREFIXES.get(service, f'{service}_')}{_snake(kind)}"


def _planned(resource: Resource) -> Iterator[_Planned]:
    if resource.type == VPC:
        yield from _network(resource)
    elif resource.custom and not resource.type.startswith("pulumi:"):
        outputs = resource.outputs
        names = {resource.id, *(outputs.get(key, "") for key in ("arn", "bucket", "dnsName", "keyId"))}
        names |= {outputs["name"]} if resource.type == "aws:iam/role:Role" else set()
        # The settings of a bucket or a key, which are resources of their own, have its name, too.
        own = names - {value for value in resource.inputs.values() if isinstance(value, str)} - {""}
        yield _Planned(terraform_type(resource.type), _name(resource.name), resource.inputs, frozenset(own))


def _network(component: Resource) -> Iterator[_Planned]:
    """What awsx makes for a VPC, by the ids under which the rest of the graph knows it."""
    for identity, child in children_of(component).items():
        kind = terraform_type(child.type)
        known = {identity} | ({component.outputs["vpcId"]} if kind == "aws_vpc" else set())
        if kind == "aws_subnet":
            for subnets in ("publicSubnetIds", "privateSubnetIds"):
                spec = subnets.removesuffix("SubnetIds").capitalize()
                blocks = next(s["cidrBlocks"] for s in component.inputs["subnetSpecs"] if s["type"] == spec)
                known |= {
                    i for i, b in zip(component.outputs[subnets], blocks, strict=True) if b == child.inputs["cidrBlock"]
                }
        yield _Planned(kind, _name(child.name), child.inputs, frozenset(known))


def _block(values: Mapping[str, Any]) -> dict[str, Any]:
    """Properties as Terraform writes them."""
    written: dict[str, Any] = {}
    for key, value in values.items():
        name = _snake(key)
        if isinstance(value, Mapping):
            written[name] = whole(value) if key in _MAPS else [_block(value)]
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            written[_singular(name)] = [_block(item) for item in value]
        elif isinstance(value, (str, int, float, list)) or value is None:
            written[name] = whole(value)
    return written


def _references(value: Any, known: Mapping[str, str]) -> list[str]:  # noqa: ANN401 - any JSON value
    """The resources that a property names, wherever in it."""
    if isinstance(value, Mapping):
        return [found for item in value.values() for found in _references(item, known)]
    if isinstance(value, list):
        return [found for item in value for found in _references(item, known)]
    address = known.get(value.removesuffix(":*")) if isinstance(value, str) else None
    return [f"{address}.id", address] if address else []


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _singular(name: str) -> str:
    if name.endswith("ies"):
        return f"{name.removesuffix('ies')}y"
    return name.removesuffix("es") if name.endswith("ses") else name.removesuffix("s")


def _name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)
