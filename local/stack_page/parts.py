"""A stack's resources by the component they belong to, and which component needs which."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from local.estimates.resources import Graph

_OPENED = ("ecs-delivery:index:Delivery", "ecs-delivery:hosting:MadeHosting")
"""Components whose own components are shown in their place."""
_OWN = "ecs-delivery:"
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ABBREVIATED = {
    "Ecs": "ECS",
    "Lb": "LB",
    "Dns": "DNS",
    "Iam": "IAM",
    "Kms": "KMS",
    "Ip": "IP",
    "Acl": "ACL",
    "Vpc": "VPC",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A component with what it is made of.

    Attributes:
        name: Its URN, which nobody reads.
        title: What it is, in words.
        kinds: The kinds of its resources in AWS with how many there are; first what it is there for, the most first.
        needs: The names of the parts it needs, without those that another of them needs already.
        layer: In which column it stands: to the right of those it needs.
    """

    name: str
    title: str
    kinds: tuple[tuple[str, int], ...]
    needs: tuple[str, ...]
    layer: int

    @property
    def count(self) -> int:
        """How many resources it is made of."""
        return sum(number for _, number in self.kinds)


def parts_of(graph: Graph) -> tuple[Part, ...]:
    """Return the parts of a stack, each behind those that it needs."""
    resources = {resource["urn"]: resource for resource in graph}
    owners = {urn: _owner(urn, resources) for urn in resources}
    needed: dict[str, set[str]] = {}
    kinds: dict[str, Counter[str]] = {}
    for urn, resource in resources.items():
        owner = owners[urn]
        if owner and resource["type"].startswith("aws:"):
            kinds.setdefault(owner, Counter())[_kind(resource["type"])] += 1
            needs = needed.setdefault(owner, set())
            needs.update(
                other
                for depended in resource.get("dependencies") or ()
                if (other := owners.get(depended)) and other != owner
            )
    order = list(_in_order(needed))
    # Of two that need each other, as a service and its alarms do, the first is drawn as needed by the second.
    needed = {name: needed[name] & set(order[:place]) for place, name in enumerate(order)}
    above = _above(order, needed)
    layers = _layers(order, needed)
    return tuple(
        Part(
            name=name,
            title=_title(resources[name]["type"], kinds[name]),
            kinds=tuple(
                sorted(kinds[name].items(), key=lambda item: (item[0].rpartition(" ")[2] in _MINOR, -item[1], item[0]))
            ),
            needs=tuple(
                other
                for other in order
                if other in needed[name] and not any(other in above[third] for third in needed[name])
            ),
            layer=layers[name],
        )
        for name in order
    )


def _owner(urn: str, resources: Mapping[str, Mapping[str, object]]) -> str:
    """The component that a resource is shown in: the outermost below those that are opened; empty outside of all."""
    owner = ""
    while urn in resources:
        kind = str(resources[urn]["type"])
        if kind in _OPENED:
            return owner or urn
        if kind.startswith(_OWN):
            owner = urn
        urn = str(resources[urn].get("parent") or "")
    return owner


def _in_order(needed: Mapping[str, set[str]]) -> Iterator[str]:
    """The parts, each behind what it needs; of those that need each other, the one that most others wait for first."""
    waiting = dict.fromkeys(needed)
    while waiting:
        open_needs = {name: needed[name] & waiting.keys() for name in waiting}
        ready = [name for name, missing in open_needs.items() if not missing]
        if not ready:
            wanted = Counter(other for missing in open_needs.values() for other in missing)
            ready = [min(waiting, key=lambda name: (len(open_needs[name]), -wanted[name]))]
        for name in ready:
            del waiting[name]
            yield name


def _above(order: Sequence[str], needed: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """All that a part needs, however far away."""
    above: dict[str, set[str]] = {}
    for name in order:
        above[name] = needed[name].union(*(above[other] for other in needed[name]))
    return above


def _title(kind: str, kinds: Counter[str]) -> str:
    """A part's title; what a component that is opened has of its own is called what it is."""
    own = min(kinds)
    return f"{own[0].upper()}{own[1:]}" if kind in _OPENED else title(kind)


def _layers(order: Sequence[str], needed: Mapping[str, set[str]]) -> dict[str, int]:
    """The layer of each part: shortly before the first that needs it, so that arrows stay short."""
    depths: dict[str, int] = {}
    for name in order:
        depths[name] = max((depths[other] + 1 for other in needed[name]), default=0)
    layers: dict[str, int] = {}
    for place in range(len(order) - 1, -1, -1):
        name = order[place]
        below = [layers[other] for other in order[place + 1 :] if name in needed[other]]
        layers[name] = min(below) - 1 if below else max(depths.values())
    for name in order:
        if not any(name in needed[other] for other in order):
            layers[name] = max((layers[other] + 1 for other in needed[name]), default=0)
    first = min(layers.values(), default=0)
    return {name: layer - first for name, layer in layers.items()}


def title(kind: str) -> str:
    """Return a component's type in words: ``Load balancer``, ``Build stage``."""
    _, group, name = kind.split(":")
    words = " ".join(_ABBREVIATED.get(word, word) for word in _CAMEL.split(name))
    text = words[0] + re.sub(r"\b[A-Z](?=[a-z])", lambda match: match[0].lower(), words[1:])
    return f"{text} stage" if group == "stage" else text


_KINDS = {
    "aws:appautoscaling/policy:Policy": "scaling policy",
    "aws:appautoscaling/scheduledAction:ScheduledAction": "scheduled scaling",
    "aws:appautoscaling/target:Target": "scaling target",
    "aws:codebuild/project:Project": "CodeBuild project",
    "aws:codeconnections/connection:Connection": "connection to the code",
    "aws:codedeploy/application:Application": "CodeDeploy application",
    "aws:ecr/repository:Repository": "ECR repository",
    "aws:ecs/cluster:Cluster": "ECS cluster",
    "aws:ecs/service:Service": "ECS service",
    "aws:kms/key:Key": "KMS key",
    "aws:lambda/function:Function": "Lambda function",
    "aws:s3/bucket:Bucket": "S3 bucket",
    "aws:sns/topic:Topic": "SNS topic",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "egress rule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "ingress rule",
}
"""Where the last word of a type alone says too little."""


_MINOR = ("association", "group", "policy", "role", "rule", "setting")
"""Last words of kinds that are there for others' sake."""


def _kind(token: str) -> str:
    """What AWS calls a resource, in words: ``security group``."""
    if token in _KINDS:
        return _KINDS[token]
    if token.startswith("aws:s3/bucket") and "Object" not in token:
        return "bucket setting"
    words = _CAMEL.split(token.rpartition(":")[2].removesuffix("v2"))
    return " ".join(word if word in {"ECS", "IAM"} else word.lower() for word in words)


def counted(kind: str, number: int) -> str:
    """Return a number of things: ``1 bucket``, ``2 bucket policies``."""
    what, to, rest = kind.partition(" to ")
    if number != 1 and not what.endswith("s"):
        what = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number} {what}{to}{rest}"


def mermaid(parts: Sequence[Part]) -> str:
    """Return the parts as a flowchart, an arrow from each to what is made with it; lines without a fence."""
    nodes = {part.name: f"p{place}" for place, part in enumerate(parts, 1)}
    lines = ["flowchart LR"]
    for part in parts:
        made = "<br/>".join(lines_of(part))
        lines.append(f'  {nodes[part.name]}["<b>{part.title}</b><br/>{made}"]')
    lines += [f"  {nodes[other]} --> {nodes[part.name]}" for part in parts for other in part.needs]
    return "\n".join(lines) + "\n"


_MOST_KINDS = 4


def lines_of(part: Part) -> list[str]:
    """Return what a part is made of, the most first, at most five lines."""
    shown = part.kinds if len(part.kinds) <= _MOST_KINDS + 1 else part.kinds[:_MOST_KINDS]
    lines = [counted(kind, number) for kind, number in shown]
    rest = part.count - sum(number for _, number in shown)
    return [*lines, f"and {rest} more"] if rest else lines
