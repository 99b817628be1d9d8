"""The program without an engine: every resource it registers, as plain values, for ordinary synchronous asserts.

Strict where Pulumi's own mocks are lenient: an unknown resource type or data source raises, a duplicate URN
raises, and parents, dependencies, protection and registered outputs are kept. Whatever the program
does has been drained before `build` returns.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import runpy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi.runtime import config, rpc, stack
from pulumi.runtime.mocks import MockCallArgs, MockEngine, MockMonitor, MockResourceArgs, Mocks, MockSettings
from pulumi.runtime.settings import ROOT, configure

from local.engine.lean import lean_run
from local.engine.providers import catalogue

REPOSITORY = Path(__file__).parent.parent
ACCOUNT = catalogue.ACCOUNT
REGION = "eu-west-1"


@dataclass(frozen=True)
class Resource:
    """One registered resource."""

    urn: str
    id: str
    type: str
    name: str
    custom: bool
    remote: bool
    parent: str | None
    dependencies: tuple[str, ...]
    property_dependencies: Mapping[str, tuple[str, ...]]
    protect: bool
    retain_on_delete: bool
    ignore_changes: tuple[str, ...]
    aliases: tuple[str, ...]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The shape in which graphs are handed to checks."""
        return {
            "urn": self.urn,
            "type": self.type,
            "name": self.name,
            "custom": self.custom,
            "parent": self.parent,
            "dependencies": list(self.dependencies),
            "protect": self.protect,
            "inputs": dict(self.inputs),
            "outputs": dict(self.outputs),
        }


@dataclass
class Graph:
    """Everything one run of the program registered."""

    resources: dict[str, Resource] = field(default_factory=dict)
    registered_outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    invokes: list[str] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.resources.values())

    def of(self, type_: str) -> list[Resource]:
        """Every resource of one type, by the last part of its token or the whole of it; sorted by name.

        In what order a program's resources are registered differs from run to run.
        """
        found = [item for item in self if type_ in {item.type, item.type.split(":")[-1]}]
        return sorted(found, key=lambda item: item.name)

    def one(self, type_: str, name: str | None = None) -> Resource:
        """The only resource of a type (and, if given, of a logical name)."""
        found = [item for item in self.of(type_) if name is None or item.name == name]
        assert len(found) == 1, f"{type_} {name or ''}: found {[item.name for item in found]}"
        return found[0]

    def children(self, parent: Resource) -> list[Resource]:
        """The direct children of a component."""
        return [item for item in self if item.parent == parent.urn]

    def policy(self, name: str) -> dict[str, dict[str, Any]]:
        """The statements of a role policy by sid."""
        return {item["Sid"]: item for item in json.loads(self.one("RolePolicy", name).inputs["policy"])["Statement"]}

    @property
    def pipeline(self) -> Mapping[str, Any]:
        """The inputs of the one pipeline."""
        return self.one("aws:codepipeline/pipeline:Pipeline").inputs

    @property
    def stages(self) -> dict[str, list[dict[str, Any]]]:
        """The pipeline's actions by stage name, in order."""
        return {item["name"]: item["actions"] for item in self.pipeline["stages"]}

    def action(self, name: str) -> dict[str, Any]:
        """One action of the pipeline."""
        return next(item for actions in self.stages.values() for item in actions if item["name"] == name)

    def variables(self, project: str) -> dict[str, str]:
        """The environment variables of a build project given by its name in AWS."""
        found = next(item for item in self.of("Project") if item.inputs["name"] == project)
        return {item["name"]: item["value"] for item in found.inputs["environment"]["environmentVariables"]}


def _former_urn(alias: Any, request: Any) -> str:  # noqa: ANN401 - messages of Pulumi's protocol
    """The URN an alias stands for: written out, or told by what differs from today's."""
    if alias.urn:
        return str(alias.urn)
    parent_kinds, _, _ = (alias.spec.parentUrn or request.parent).rpartition("::")
    return f"{parent_kinds}${request.type}::{alias.spec.name or request.name}"


def _regional(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


_OUTPUTS: Mapping[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
    "aws:kms/key:Key": lambda name, _: {"keyId": f"{name}-id", "arn": _regional("kms", f"key/{name}-id")},
    "aws:s3/bucket:Bucket": lambda name, _: {"bucket": f"{name}-1a2b3c4", "arn": f"arn:aws:s3:::{name}-1a2b3c4"},
    "aws:iam/role:Role": lambda name, _: {
        "name": f"{name}-1a2b3c4",
        "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}-1a2b3c4",
    },
    "aws:lb/loadBalancer:LoadBalancer": lambda _, inputs: {
        "arn": _regional("elasticloadbalancing", f"loadbalancer/app/{inputs['name']}/0123456789abcdef"),
        "arnSuffix": f"app/{inputs['name']}/0123456789abcdef",
        "dnsName": f"{inputs['name']}-1.{REGION}.elb.amazonaws.com",
    },
    "aws:lb/listener:Listener": lambda _, inputs: {
        "arn": inputs["loadBalancerArn"].replace(":loadbalancer/", ":listener/") + f"/{int(inputs['port']):016x}"
    },
}
"""What is easier to read in a test than what the local provider makes up, which mocks answer otherwise."""


_IDENTIFIED = (
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "aws:servicediscovery/httpNamespace:HttpNamespace",
    "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace",
    "aws:servicediscovery/service:Service",
)
"""Types whose ARN ends with their id."""

_REMOTE: Mapping[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
    "awsx:ec2:Vpc": lambda name, inputs: {
        "vpcId": f"vpc-{_hex(name)}",
        "publicSubnetIds": [f"subnet-{_hex(block)}" for block in _subnets(inputs, "Public")],
        "privateSubnetIds": [f"subnet-{_hex(block)}" for block in _subnets(inputs, "Private")],
        "routeTables": [],
    },
}
"""The same for components of other packages, which run elsewhere."""


def _subnets(inputs: Mapping[str, Any], kind: str) -> list[str]:
    return next(spec["cidrBlocks"] for spec in inputs["subnetSpecs"] if spec["type"] == kind)


def _hex(seed: str) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()[:17]


class StrictEngine(Mocks):
    """Answers only what it knows."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ in _REMOTE:
            return None, _REMOTE[args.typ](args.name, args.inputs)
        if not args.custom:
            return None, dict(args.inputs)
        if args.typ not in catalogue.KINDS:
            raise KeyError(f"{args.typ} is not known: say in local/engine/providers/catalogue.py what AWS would answer")
        own = _OUTPUTS[args.typ](args.name, args.inputs) if args.typ in _OUTPUTS else {}
        outputs = {**args.inputs, **catalogue.computed(args.typ, args.name, args.inputs, REGION), **own}
        return outputs["arn"].rpartition("/")[2] if args.typ in _IDENTIFIED else f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        self._graph.invokes.append(args.token)
        match args.token:
            case "aws:lb/getLoadBalancer:getLoadBalancer":
                name = args.args["name"]
                arn = _regional("elasticloadbalancing", f"loadbalancer/app/{name}/0123456789abcdef")
                return {"arn": arn, "dnsName": f"{name}-1.{REGION}.elb.amazonaws.com"}, []
            case "aws:lb/getListener:getListener":
                balancer = args.args["loadBalancerArn"].split("loadbalancer/")[1]
                port = int(args.args["port"])
                return {"arn": _regional("elasticloadbalancing", f"listener/{balancer}/{port:016x}")}, []
        raise KeyError(f"{args.token} is not known to the tests: a data source is a round trip, do you need it?")


class RecordingMonitor(MockMonitor):
    """Keeps what Pulumi's mocks throw away, and refuses two resources of one URN."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(StrictEngine(graph))
        self._graph = graph

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401, N802 - as gRPC generates it
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]  # untyped in Pulumi
        if request.type == "pulumi:pulumi:Stack":
            return response
        assert response.urn not in self._graph.resources, f"two resources share the URN {response.urn}"
        self._graph.resources[response.urn] = Resource(
            urn=response.urn,
            id=response.id,
            type=request.type,
            name=request.name,
            custom=request.custom,
            remote=request.remote,
            parent=request.parent or None,
            dependencies=tuple(sorted(request.dependencies)),
            property_dependencies={
                key: tuple(sorted(value.urns)) for key, value in request.propertyDependencies.items()
            },
            protect=request.protect,
            retain_on_delete=request.retainOnDelete,
            ignore_changes=tuple(request.ignoreChanges),
            aliases=tuple(_former_urn(alias, request) for alias in request.aliases),
            inputs=rpc.deserialize_properties(request.object),
            outputs=rpc.deserialize_properties(response.object),
        )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: ANN401, N802 - as gRPC generates it
        outputs = rpc.deserialize_properties(request.outputs)
        if request.urn.split("::")[2] == "pulumi:pulumi:Stack":
            self._graph.exports = outputs
        else:
            assert request.urn not in self._graph.registered_outputs, f"outputs registered twice: {request.urn}"
            self._graph.registered_outputs[request.urn] = outputs
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]  # untyped in Pulumi


def build(
    builder: Callable[[], object],
    *,
    stack_name: str = "dev",
    values: Mapping[str, object] | None = None,
    preview: bool = False,
) -> Graph:
    """Run a builder as a Pulumi program and return what it registered.

    Args:
        builder: Makes resources; called inside the stack.
        stack_name: Name of the stack.
        values: Its configuration, ``package:key`` -> value, as the engine would hand it over.
        preview: Whether computed outputs are unknown, as before anything was made.
    """
    graph = Graph()
    monitor = RecordingMonitor(graph)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        ROOT.set(None)
        config.set_all_config(
            {key: item if isinstance(item, str) else json.dumps(item) for key, item in (values or {}).items()}, []
        )
        configure(
            MockSettings(  # type: ignore[no-untyped-call]  # untyped in Pulumi
                monitor=monitor,
                monitor_features=None,
                engine=MockEngine(None),
                project="ecs-delivery",
                stack=stack_name,
                dry_run=preview,
                organization="organization",
                callbacks=None,
            )
        )

        def program() -> None:
            builder()

        with lean_run():
            # An output that was made outside of this loop would be waited for without end.
            loop.run_until_complete(asyncio.wait_for(stack.run_in_stack(program), timeout=120))
    finally:
        loop.close()
        asyncio.set_event_loop(None)
        ROOT.set(None)
    return graph


def build_program(values: Mapping[str, object], *, stack_name: str = "dev", preview: bool = False) -> Graph:
    """Run the real ``__main__.py`` on a configuration."""

    def program() -> None:
        runpy.run_path(str(REPOSITORY / "__main__.py"), run_name="__main__")

    return build(program, stack_name=stack_name, values=values, preview=preview)
