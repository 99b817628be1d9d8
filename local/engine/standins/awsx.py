"""The stand-in for the `awsx` provider: `awsx:ec2:Vpc`, with the children the real component has.

The real one is a program of its own. What is rebuilt here is its shape: which resources, their names, parents and
dependencies, and the addresses of its default layout. A graph tested against it says how this program uses a VPC,
not that the real component makes one. Whatever is not rebuilt is refused by name.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from local.engine.standins.checks import Problem, problems, suggest
from local.engine.standins.sdk_types import Sdk
from local.engine.standins.server import refuse, serve
from local.engine.standins.subnets import Subnet, SubnetKind, lay_out
from local.engine.standins.wire import (
    UNKNOWN,
    from_struct,
    plain,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
    to_struct,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf import empty_pb2  # type: ignore[import-untyped]  # protobuf ships no types

    from local.engine.standins.wire import Value

_VPC = "awsx:ec2:Vpc"
_ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"
_REBUILT = frozenset(
    {
        "availabilityZoneNames",
        "cidrBlock",
        "enableDnsHostnames",
        "enableDnsSupport",
        "instanceTenancy",
        "natGateways",
        "numberOfAvailabilityZones",
        "region",
        "subnetSpecs",
        "subnetStrategy",
        "tags",
    }
)
_PASSED_ON = ("enableDnsHostnames", "enableDnsSupport", "instanceTenancy")
_EVERYWHERE = "0.0.0.0/0"


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

    def GetPluginInfo(  # noqa: N802 - named by the protocol
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        """Tell the version."""
        del request, context
        return plugin_pb2.PluginInfo(version=self._version)

    def CheckConfig(  # noqa: N802 - named by the protocol
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Take any configuration: awsx has none of its own."""
        del context
        return provider_pb2.CheckResponse(inputs=request.news)

    def Configure(  # noqa: N802 - named by the protocol
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Say what is understood."""
        del request, context
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Construct(  # noqa: N802 - named by the protocol
        self, request: provider_pb2.ConstructRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConstructResponse:
        """Make a VPC component and its children."""
        if request.type != _VPC:
            hint = suggest(request.type, {_VPC, *self._sdk.resource_tokens})
            refuse(context, f"{request.type}: the local stand-in for awsx makes {_VPC} only{hint}")
        try:
            return self._construct(request)
        except ValueError as error:
            refuse(context, f"{request.type} resource {request.name!r} has a problem: {error}")

    def _construct(self, request: provider_pb2.ConstructRequest) -> provider_pb2.ConstructResponse:
        given = {key: plain(value) for key, value in from_struct(request.inputs).items() if value is not None}
        found = problems(self._sdk, self._sdk.resource(_VPC).inputs, given)
        found += [Problem(name, "is not rebuilt by the local stand-in") for name in sorted({*given} - _REBUILT)]
        if found:
            raise ValueError("; ".join(f"`{problem.path}` {problem.reason}" for problem in found))
        with grpc.insecure_channel(request.monitorEndpoint) as channel:
            monitor = resource_pb2_grpc.ResourceMonitorStub(channel)
            return _Vpc(monitor, request, given, self._aws_version).build()


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
class _Vpc:
    """One VPC being built."""

    monitor: resource_pb2_grpc.ResourceMonitorStub
    request: provider_pb2.ConstructRequest
    given: Mapping[str, Value]
    aws_version: str
    made: dict[str, list[_Made]] = field(default_factory=dict)

    def build(self) -> provider_pb2.ConstructResponse:
        """Register the component and everything below it."""
        name, tags = self.request.name, _object(self.given.get("tags"))
        shared: dict[str, Value] = {"Name": name, **tags}
        block = _text(self.given.get("cidrBlock")) or "10.0.0.0/16"
        zones = self._zones()
        gateways, allocations = self._nat_gateways(len(zones))
        subnets = lay_out(name, block, len(zones), self._kinds())
        if gateways and not any(subnet.kind.type == "Public" for subnet in subnets):
            raise ValueError(
                "NAT gateways need a public subnet in each availability zone: set natGateways.strategy None"
            )

        component = self._register_component()
        passed_on = {key: self.given[key] for key in _PASSED_ON if key in self.given}
        vpc = self._child("vpc", "aws:ec2/vpc:Vpc", name, component, {"cidrBlock": block, **passed_on, "tags": shared})
        internet = self._child(
            "internetGateway",
            "aws:ec2/internetGateway:InternetGateway",
            name,
            vpc.urn,
            {"vpcId": vpc.id, "tags": shared},
        )
        for subnet in subnets:
            self._subnet(subnet, vpc, internet, zones, shared, tags, gateways, allocations)
        return self._finish(component, vpc, internet, subnets)

    def _subnet(
        self,
        subnet: Subnet,
        vpc: _Made,
        internet: _Made,
        zones: Sequence[str],
        shared: Mapping[str, Value],
        tags: Mapping[str, Value],
        gateways: int,
        allocations: Sequence[str],
    ) -> None:
        """Register a subnet with its route table and, if it is public, its NAT gateway."""
        kind = subnet.kind
        is_public = kind.type == "Public"
        labels: dict[str, Value] = {**shared, "Name": subnet.name, "SubnetType": kind.type}
        made = self._child(
            "subnets",
            "aws:ec2/subnet:Subnet",
            subnet.name,
            vpc.urn,
            {
                "vpcId": vpc.id,
                "availabilityZone": zones[subnet.zone],
                "mapPublicIpOnLaunch": is_public,
                "cidrBlock": subnet.block,
                "tags": {**shared, **(kind.tags or {}), "Name": subnet.name, "SubnetType": kind.type},
            },
        )
        self.made.setdefault(kind.type, []).append(made)
        table = self._child(
            "routeTables",
            "aws:ec2/routeTable:RouteTable",
            subnet.name,
            made.urn,
            {"vpcId": vpc.id, "tags": labels},
        )
        self._child(
            "routeTableAssociations",
            "aws:ec2/routeTableAssociation:RouteTableAssociation",
            subnet.name,
            table.urn,
            {"routeTableId": table.id, "subnetId": made.id},
        )
        if is_public and subnet.zone < gateways and len(self.made.get("natGateways", [])) <= subnet.zone:
            self._nat_gateway(f"{self.request.name}-{subnet.zone + 1}", made, tags, allocations[subnet.zone :][:1])
        route: dict[str, Value] = {}
        if is_public:
            route = {"gatewayId": internet.id}
        elif kind.type == "Private" and gateways:
            route = {"natGatewayId": self.made["natGateways"][min(subnet.zone, gateways - 1)].id}
        if route:
            route |= {"routeTableId": table.id, "destinationCidrBlock": _EVERYWHERE}
            self._child("routes", "aws:ec2/route:Route", subnet.name, table.urn, route)

    def _nat_gateway(self, name: str, subnet: _Made, tags: Mapping[str, Value], allocation: Sequence[str]) -> None:
        labels: dict[str, Value] = {**tags, "Name": name}
        if not allocation:
            address = self._child("eips", "aws:ec2/eip:Eip", name, subnet.urn, {"tags": labels})
            allocation = (address.id,)
        self._child(
            "natGateways",
            "aws:ec2/natGateway:NatGateway",
            name,
            subnet.urn,
            {"subnetId": subnet.id, "allocationId": allocation[0], "tags": labels},
        )

    def _finish(
        self, component: str, vpc: _Made, internet: _Made, subnets: Sequence[Subnet]
    ) -> provider_pb2.ConstructResponse:
        """Register the component's outputs."""
        state: dict[str, Value] = {
            "vpcId": vpc.id,
            "vpc": vpc.reference,
            "internetGateway": internet.reference,
            "vpcEndpoints": [],
            "subnetLayout": [
                {"type": kind.type, "cidrMask": int(subnet.block.rpartition("/")[2])}
                for subnet in subnets
                for kind in (subnet.kind,)
                if subnet.zone == 0
            ],
        }
        for output in ("subnets", "routeTables", "routeTableAssociations", "routes", "natGateways", "eips"):
            state[output] = [made.reference for made in self.made.get(output, [])]
        for kind_name in ("Public", "Private", "Isolated"):
            of_kind = self.made.get(kind_name, [])
            state[f"{kind_name.lower()}SubnetIds"] = [made.id for made in of_kind]
            state[f"{kind_name.lower()}Subnets"] = [made.reference for made in of_kind]
        outputs = to_struct(state)
        self.monitor.RegisterResourceOutputs(
            resource_pb2.RegisterResourceOutputsRequest(urn=component, outputs=outputs)
        )
        everything = sorted({made.urn for group in self.made.values() for made in group})
        dependencies = provider_pb2.ConstructResponse.PropertyDependencies(urns=everything)
        return provider_pb2.ConstructResponse(
            urn=component, state=outputs, stateDependencies=dict.fromkeys(state, dependencies)
        )

    def _register_component(self) -> str:
        request = resource_pb2.RegisterResourceRequest(
            type=_VPC,
            name=self.request.name,
            parent=self.request.parent,
            object=to_struct({}),
            dependencies=self.request.dependencies,
            aliases=self.request.aliases,
            aliasSpecs=True,
            acceptSecrets=True,
            providers=self.request.providers,
        )
        if self.request.HasField("protect"):
            request.protect = self.request.protect
        urn: str = self.monitor.RegisterResource(request).urn
        return urn

    def _child(self, group: str, token: str, name: str, parent: str, inputs: dict[str, Value]) -> _Made:
        """Register one resource that depends on its parent, and note it under a name of the component's outputs."""
        region = self.given.get("region")
        request = resource_pb2.RegisterResourceRequest(
            type=token,
            name=name,
            parent=parent,
            custom=True,
            object=to_struct({**inputs, **({"region": region} if region else {})}),
            dependencies=[parent] if self.made else [],
            provider=self.request.providers.get("aws", ""),
            version=self.aws_version,
            acceptSecrets=True,
            supportsPartialValues=True,
        )
        if self.request.HasField("protect"):
            request.protect = self.request.protect
        answer = self.monitor.RegisterResource(request)
        made = _Made(answer.urn, answer.id or UNKNOWN)
        self.made.setdefault(group, []).append(made)
        return made

    def _zones(self) -> list[str]:
        """Names of the availability zones to use: those given, else the region's first ones."""
        names = _texts(self.given.get("availabilityZoneNames"))
        number = self.given.get("numberOfAvailabilityZones")
        if names and number:
            raise ValueError("only one of `availabilityZoneNames` and `numberOfAvailabilityZones` may be given")
        if names:
            return names
        wanted = int(number) if isinstance(number, int | float) else 3
        answer = self.monitor.Invoke(
            resource_pb2.ResourceInvokeRequest(
                tok=_ZONES,
                args=to_struct({}),
                provider=self.request.providers.get("aws", ""),
                version=self.aws_version,
            )
        )
        there = _texts(from_struct(getattr(answer, "return")).get("names"))
        if wanted > len(there):
            raise ValueError(f"`numberOfAvailabilityZones` must be at most {len(there)} here, got {wanted}")
        return there[:wanted]

    def _nat_gateways(self, zones: int) -> tuple[int, list[str]]:
        """How many NAT gateways, and the addresses given for them."""
        wanted = _object(self.given.get("natGateways"))
        strategy = _text(wanted.get("strategy")) or "OnePerAz"
        counts = {"None": 0, "Single": 1, "OnePerAz": zones}
        if strategy not in counts:
            raise ValueError(f"`natGateways.strategy` must be one of {', '.join(counts)}, got {strategy!r}")
        allocations = _texts(wanted.get("elasticIpAllocationIds"))
        if allocations and len(allocations) != counts[strategy]:
            raise ValueError(
                f"`natGateways.elasticIpAllocationIds` must have {counts[strategy]} items for {strategy}, "
                f"got {len(allocations)}"
            )
        return counts[strategy], allocations

    def _kinds(self) -> list[SubnetKind] | None:
        """The kinds of subnets asked for, if any are."""
        specs = self.given.get("subnetSpecs")
        if not isinstance(specs, list):
            return None
        kinds = []
        for index, item in enumerate(specs):
            spec = _object(item)
            kind = _text(spec.get("type"))
            if kind not in {"Public", "Private", "Isolated"}:
                raise ValueError(f"`subnetSpecs[{index}].type` must be Public, Private or Isolated, got {kind!r}")
            if spec.keys() - {"type", "name", "cidrMask", "cidrBlocks", "tags"}:
                raise ValueError(f"`subnetSpecs[{index}]`: only type, name, cidrMask, cidrBlocks and tags are rebuilt")
            mask = spec.get("cidrMask")
            prefix = int(mask) if isinstance(mask, int | float) else None
            tags = {key: _text(value) for key, value in _object(spec.get("tags")).items()}
            blocks = tuple(_texts(spec.get("cidrBlocks")))
            kinds.append(SubnetKind(kind, _text(spec.get("name")), prefix, tags, blocks))
        return kinds


def _object(value: Value) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Value) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def main(version: str) -> None:
    """Serve the stand-in for pulumi-awsx of this version."""
    serve(AwsxStandIn(Sdk("pulumi_awsx"), version, importlib.metadata.version("pulumi-aws")))
