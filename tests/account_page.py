"""What a graph takes of an account's quotas, counted anew; and the generated part of docs/account.md.

The program says what it needs part by part. Here the resources themselves are counted, without asking the program.
`make golden` writes the page.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from summary import program

from components.foundation.account_needs import (
    ECS_ROLE,
    ELASTIC_IPS,
    FARGATE,
    FARGATE_SPOT,
    LOAD_BALANCERS,
    LOAD_BALANCING_ROLE,
    NAT_GATEWAYS,
    SCALING_ROLE,
    VPCS,
    Quota,
    builds,
)
from components.hosting.task_definition_template import KEY

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "account.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"

Resources = Sequence[Mapping[str, Any]]
PLATFORMS = {"ARM_CONTAINER": "ARM", "ARM_LAMBDA_CONTAINER": "ARM Lambda", "LINUX_CONTAINER": "Linux"}
SIZES = {
    "BUILD_GENERAL1_SMALL": "Small",
    "BUILD_GENERAL1_MEDIUM": "Medium",
    "BUILD_GENERAL1_LARGE": "Large",
    "BUILD_GENERAL1_XLARGE": "XLarge",
    "BUILD_LAMBDA_1GB": "1GB",
    "BUILD_LAMBDA_2GB": "2GB",
    "BUILD_LAMBDA_4GB": "4GB",
}
SETS_OF_TASKS = 2
"""That run while a deployment lasts: blue and green, or 200 percent of one."""


def recount(graph: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Count what a graph takes, by machine type of its builds and by name of the other quotas.

    Args:
        graph: Resources with ``type``, ``inputs`` and, of a service, everything that belongs to it; from the mocks or
            from the engine, which knows the children of a VPC.
    """
    resources = list(graph)
    taken = {**_builds(resources), **_tasks(resources), **_network(resources)}
    balancers = len(_of(resources, "aws:lb/loadBalancer:LoadBalancer"))
    return {name: amount for name, amount in {**taken, LOAD_BALANCERS.name: balancers}.items() if amount}


def told(lines: Sequence[str]) -> dict[str, float]:
    """Read the same numbers off the output ``accountNeeds``."""
    found = re.findall(r"([A-Z][\w/ -]*?) ([\d.]+)(?=,|\. A new account)", lines[0])
    numbers = {name: float(amount) for name, amount in found}
    for line in lines[1:]:
        for name, amount in re.findall(r"([A-Z][\w -]*?) ([\d.]+) \(\d+\)", line):
            numbers[name] = float(amount)
    return numbers


def _of(resources: Resources, token: str) -> list[Mapping[str, Any]]:
    return [item["inputs"] for item in resources if item["type"] == token]


def _builds(resources: Resources) -> Mapping[str, float]:
    """In each stage what runs at the same time there; of all stages together, since each has a run of its own."""
    machines = {
        project["name"]: "/".join(
            (PLATFORMS[project["environment"]["type"]], SIZES[project["environment"]["computeType"]])
        )
        for project in _of(resources, "aws:codebuild/project:Project")
    }
    (pipeline,) = _of(resources, "aws:codepipeline/pipeline:Pipeline")
    together: Counter[str] = Counter()
    for stage in pipeline["stages"]:
        batches: dict[int, Counter[str]] = defaultdict(Counter)
        for action in stage["actions"]:
            if action["provider"] == "CodeBuild":
                batches[int(action["runOrder"])][machines[action["configuration"]["ProjectName"]]] += 1
        most: Counter[str] = Counter()
        for batch in batches.values():
            most |= batch
        together = together | most if pipeline["executionMode"] == "PARALLEL" else together + most
    return together


def _tasks(resources: Resources) -> Mapping[str, float]:
    for service in _of(resources, "aws:ecs/service:Service"):
        # What every deployment registers; the definition that the service starts with is smaller.
        (template,) = (item for item in _of(resources, "aws:s3/bucketObjectv2:BucketObjectv2") if item["key"] == KEY)
        (target,) = _of(resources, "aws:appautoscaling/target:Target")
        providers = {item["capacityProvider"] for item in service.get("capacityProviderStrategies") or ()}
        quota = FARGATE_SPOT if providers == {"FARGATE_SPOT"} else FARGATE
        sets = service.get("deploymentMaximumPercent", 100 * SETS_OF_TASKS) / 100
        return {quota.name: sets * target["maxCapacity"] * int(json.loads(template["content"])["cpu"]) / 1024}
    return {}


def _network(resources: Resources) -> Mapping[str, float]:
    gateways = len(_of(resources, "aws:ec2/natGateway:NatGateway"))
    addresses = len(_of(resources, "aws:ec2/eip:Eip"))
    vpcs = _of(resources, "awsx:ec2:Vpc")
    if vpcs and not _of(resources, "aws:ec2/vpc:Vpc"):  # the mocks know no children of it
        zones = sum(vpc["numberOfAvailabilityZones"] for vpc in vpcs)
        gateways = addresses = {"None": 0, "Single": 1, "OnePerAz": zones}[vpcs[0]["natGateways"]["strategy"]]
    return {VPCS.name: len(vpcs), NAT_GATEWAYS.name: min(gateways, 1), ELASTIC_IPS.name: addresses}


def stack(name: str) -> dict[str, float]:
    """What one of the repository's stack files takes."""
    return recount([item.as_dict() for item in program(name)])


def quota_of(name: str) -> Quota:
    """The quota of a number that :func:`recount` gives."""
    others = (FARGATE, FARGATE_SPOT, LOAD_BALANCERS, VPCS, NAT_GATEWAYS, ELASTIC_IPS)
    return next((quota for quota in others if quota.name == name), None) or builds(name)


def page() -> Iterator[str]:
    """The generated lines."""
    dev, prod = stack("dev"), stack("prod")
    yield "| Quota | Code | A new account has | `dev` takes | `prod` takes | Together |"
    yield "|---|---|---|---|---|---|"
    for name in [*dev, *(name for name in prod if name not in dev)]:
        quota, of_dev, of_prod = quota_of(name), dev.get(name, 0), prod.get(name, 0)
        more = "**" if of_dev + of_prod > quota.default else ""
        yield (
            f"| {quota.name} | `{quota.service}` `{quota.code}` | {quota.default} | {of_dev:g} | {of_prod:g} "
            f"| {more}{of_dev + of_prod:g}{more} |"
        )
    yield ""
    yield "Service-linked roles:"
    yield ""
    yield "| Role | Made by the first | To make it beforehand |"
    yield "|---|---|---|"
    for role in (ECS_ROLE, LOAD_BALANCING_ROLE, SCALING_ROLE):
        yield (
            f"| `{role.name}` | `{role.made_by}` "
            f"| `aws iam create-service-linked-role --aws-service-name {role.principal}` |"
        )


def completed(text: str) -> str:
    """The page with its generated part written anew."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return "\n".join([f"{before}{BEGIN}", "", *page(), "", f"{END}{after}"])


def main() -> None:
    """Write the page."""
    PAGE.write_text(completed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")  # noqa: T201 - a command's output
