"""The stand-in for the `awsx` provider: `awsx:ec2:Vpc`, with the children the real component has.

The real one is a program of its own. What is rebuilt here is its shape: which resources, their names, parents and
dependencies, for a VPC as this program asks for one, with a public and a private subnet in each zone whose addresses
are given. A graph tested against it says how this program uses a VPC, not that the real component makes one. Whatever
is not rebuilt is refused by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
from google.protobuf import empty_pb2  # type: ignore[import-untyped]  # protobuf ships no types

from local.engine.providers.checks import Problem, problems, suggest
from local.engine.providers.protocol import (
    UNKNOWN,
    Value,
    from_struct,
    plain,
    plugin_pb2,
    provider_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
    to_struct,
)
from local.engine.providers.protocol import provider_pb2 as pb
from local.engine.providers.sdk_types import Sdk
from local.engine.providers.server import Context, refuse

_VPC = "awsx:ec2:Vpc"
_ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"
_PASSED_ON = ("cidrBlock", "enableDnsHostnames", "enableDnsSupport")
_REBUILT = frozenset({*_PASSED_ON, "natGateways", "numberOfAvailabilityZones", "subnetSpecs", "subnetStrategy", "tags"})
_KINDS = ("Public", "Private")
"""In the order that subnets are made in: a NAT gateway must be there before the route to it."""
_STRATEGIES = ("None", "Single", "OnePerAz")


class AwsxStandIn(provider_pb2_grpc.ResourceProviderServicer):
    """Serves `awsx:ec2:Vpc`.

    Args:
        sdk: the types of pulumi-awsx.
        version: the version of pulumi-awsx it stands for.
        aws_version: the version of the aws provider its children are made with.
    """

    def __init__(self, sdk: Sdk, version: str, aws_version: str) -> None:
        self._sdk = sdk
        self._version = version
        self._aws_version = aws_version

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:
        """Tell the version."""
        return plugin_pb2.PluginInfo(version=self._version)

    def CheckConfig(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """Take any configuration: awsx has none of its own."""
        return pb.CheckResponse(inputs=request.news)

    def Configure(self, request: pb.ConfigureRequest, context: Context) -> pb.ConfigureResponse:
        """Say what is understood."""
        return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Construct(self, request: pb.ConstructRequest, context: Context) -> pb.ConstructResponse:
        """Make a VPC component and its children."""
        if request.type != _VPC:
            hint = suggest(request.type, {_VPC, *self._sdk.resource_tokens})
            refuse(context, f"{request.type}: the local stand-in for awsx makes {_VPC} only{hint}")
        try:
            return self._construct(request)
        except ValueError as error:
            refuse(context, f"{request.type} resource {request.name!r} has a problem: {error}")

    def _construct(self, request: pb.ConstructRequest) -> pb.ConstructResponse:
        given = {key: plain(value) for key, value in from_struct(request.inputs).items() if value is not None}
        found = problems(self._sdk, self._sdk.resource(_VPC).inputs, given)
        found += found or list(_problems(given))
        if found:
            raise ValueError("; ".join(f"`{problem.path}` {problem.reason}" for problem in found))
        with grpc.insecure_channel(request.monitorEndpoint) as channel:
            monitor = resource_pb2_grpc.ResourceMonitorStub(channel)
            return Vpc(monitor, request, given, self._aws_version).build()


def _problems(given: Mapping[str, Value]) -> Iterator[Problem]:
    """What is not rebuilt, of what the SDK allows."""
    yield from (Problem(name, "is not rebuilt by the local stand-in") for name in sorted({*given} - _REBUILT))
    strategy, zones = _strategy(given), given.get("numberOfAvailabilityZones")
    if strategy not in _STRATEGIES:
        yield Problem("natGateways.strategy", f"must be one of {', '.join(_STRATEGIES)}, got {strategy!r}")
    if {kind: len(blocks) for kind, blocks in _blocks(given).items()} != dict.fromkeys(_KINDS, zones):
        yield Problem("subnetSpecs", "must be Public and Private, each with a cidrBlock for every zone, here")


def _strategy(given: Mapping[str, Value]) -> Value:
    wanted = given.get("natGateways")
    return wanted.get("strategy") if isinstance(wanted, dict) and wanted.keys() == {"strategy"} else None


def _blocks(given: Mapping[str, Value]) -> dict[str, list[str]]:
    """The addresses of the subnets by kind, zone by zone; those of a kind that asks for more are left out."""
    specs = given.get("subnetSpecs")
    return {
        str(spec["type"]): [str(block) for block in blocks]
        for spec in (specs if isinstance(specs, list) else [])
        if isinstance(spec, dict) and spec.keys() == {"type", "cidrBlocks"}
        for blocks in [spec["cidrBlocks"]]
        if isinstance(blocks, list)
    }


@dataclass(frozen=True, slots=True)
class _Made:
    """A child that has been registered."""

    urn: str
    id: str

    @property
    def reference(self) -> Value:
        """How the protocol names it in another resource's properties."""
        return {"4dabf18193072939515e22adb298388d": "5cf8f73096256a8f31e491e813e4eb8e", "urn": self.urn, "id": self.id}


@dataclass(slots=True)
class Vpc:
    """One VPC being built.

    Attributes:
        monitor: What resources are registered with.
        request: What is to be built.
        given: Its inputs.
        aws_version: The version of the aws provider its children are made with.
        made: Children by the part of their type's token behind `aws:ec2/`, subnets by their kind.
    """

    monitor: resource_pb2_grpc.ResourceMonitorStub
    request: pb.ConstructRequest
    given: Mapping[str, Value]
    aws_version: str
    made: dict[str, list[_Made]] = field(default_factory=lambda: defaultdict(list))

    def build(self) -> pb.ConstructResponse:
        """Register the component and everything below it."""
        name, blocks = self.request.name, _blocks(self.given)
        zones = self._zones(len(blocks["Public"]))
        component = self._register(
            type=_VPC,
            name=name,
            parent=self.request.parent,
            dependencies=self.request.dependencies,
            aliases=self.request.aliases,
            aliasSpecs=True,
            providers=self.request.providers,
        ).urn
        inputs = {key: self.given[key] for key in _PASSED_ON if key in self.given}
        vpc = self._child("vpc:Vpc", name, component, {**inputs, "tags": self._tags(name)})
        inputs = {"vpcId": vpc.id, "tags": self._tags(name)}
        internet = self._child("internetGateway:InternetGateway", name, vpc.urn, inputs)
        for number, zone in enumerate(zones):
            for kind in _KINDS:
                inputs = {"vpcId": vpc.id, "availabilityZone": zone, "cidrBlock": blocks[kind][number]}
                self._subnet(kind, number, inputs, vpc, internet)
        return self._finish(component, vpc)

    def _subnet(self, kind: str, number: int, inputs: dict[str, Value], vpc: _Made, internet: _Made) -> None:
        """Register a subnet with its route table and, if it is public, its NAT gateway."""
        is_public = kind == "Public"
        gateways = {"None": 0, "Single": 1}.get(str(_strategy(self.given)), number + 1)
        name = f"{self.request.name}-{kind.lower()}-{number + 1}"
        tags = {**self._tags(name), "SubnetType": kind}
        inputs |= {"mapPublicIpOnLaunch": is_public, "tags": tags}
        subnet = self._child("subnet:Subnet", name, vpc.urn, inputs)
        self.made[kind].append(subnet)
        table = self._child("routeTable:RouteTable", name, subnet.urn, {"vpcId": vpc.id, "tags": tags})
        association: dict[str, Value] = {"routeTableId": table.id, "subnetId": subnet.id}
        self._child("routeTableAssociation:RouteTableAssociation", name, table.urn, association)
        if is_public and number < gateways:
            self._nat_gateway(f"{self.request.name}-{number + 1}", subnet)
        route: dict[str, Value] = {"routeTableId": table.id, "destinationCidrBlock": "0.0.0.0/0"}
        if is_public:
            self._child("route:Route", name, table.urn, {**route, "gatewayId": internet.id})
        elif gateways:
            through = self.made["natGateway:NatGateway"][min(number, gateways - 1)]
            self._child("route:Route", name, table.urn, {**route, "natGatewayId": through.id})

    def _nat_gateway(self, name: str, subnet: _Made) -> None:
        tags = self._tags(name)
        address = self._child("eip:Eip", name, subnet.urn, {"tags": tags})
        inputs: dict[str, Value] = {"subnetId": subnet.id, "allocationId": address.id, "tags": tags}
        self._child("natGateway:NatGateway", name, subnet.urn, inputs)

    def _tags(self, name: str) -> dict[str, Value]:
        tags = self.given.get("tags")
        return {**(tags if isinstance(tags, dict) else {}), "Name": name}

    def _finish(self, component: str, vpc: _Made) -> pb.ConstructResponse:
        """Register the outputs that the program reads."""
        state: dict[str, Value] = {
            "vpcId": vpc.id,
            "routeTables": [made.reference for made in self.made["routeTable:RouteTable"]],
            **{f"{kind.lower()}SubnetIds": [made.id for made in self.made[kind]] for kind in _KINDS},
        }
        outputs = to_struct(state)
        self.monitor.RegisterResourceOutputs(
            resource_pb2.RegisterResourceOutputsRequest(urn=component, outputs=outputs)
        )
        everything = sorted({made.urn for group in self.made.values() for made in group})
        dependencies = pb.ConstructResponse.PropertyDependencies(urns=everything)
        return pb.ConstructResponse(urn=component, state=outputs, stateDependencies=dict.fromkeys(state, dependencies))

    def _register(self, **settings: Any) -> Any:  # noqa: ANN401 - the messages of the protocol
        if self.request.HasField("protect"):
            settings["protect"] = self.request.protect
        return self.monitor.RegisterResource(resource_pb2.RegisterResourceRequest(acceptSecrets=True, **settings))

    def _child(self, kind: str, name: str, parent: str, inputs: dict[str, Value]) -> _Made:
        """Register a resource of EC2, which depends on its parent."""
        answer = self._register(
            type=f"aws:ec2/{kind}",
            name=name,
            parent=parent,
            custom=True,
            object=to_struct(inputs),
            dependencies=[parent] if self.made else [],
            provider=self.request.providers.get("aws", ""),
            version=self.aws_version,
            supportsPartialValues=True,
        )
        made = _Made(answer.urn, answer.id or UNKNOWN)
        self.made[kind].append(made)
        return made

    def _zones(self, wanted: int) -> list[str]:
        """The names of the region's first availability zones."""
        answer = self.monitor.Invoke(
            resource_pb2.ResourceInvokeRequest(
                tok=_ZONES,
                args=to_struct({}),
                provider=self.request.providers.get("aws", ""),
                version=self.aws_version,
            )
        )
        names = from_struct(getattr(answer, "return"))["names"]
        there = [str(name) for name in names] if isinstance(names, list) else []
        if wanted > len(there):
            raise ValueError(f"`numberOfAvailabilityZones` must be at most {len(there)} here, got {wanted}")
        return there[:wanted]
