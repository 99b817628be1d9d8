"""What a stack costs a month, from the graph: what stands there, and what each run of the pipeline takes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from local.estimates.constants import price, value
from local.estimates.model import Line, Step, Timeline
from local.estimates.resources import Graph, first, is_known, number, parsed, values_of
from local.estimates.seconds import OF_A_FLEET, label_of, machine_of, reserved_machine

MINUTE = 60


class _Bill:
    """Writes lines with the prices of one region."""

    def __init__(self, region: str | None) -> None:
        self._region = region

    def line(
        self,
        what: str,
        quantity: float,
        unit: str,
        constant: str,
        *,
        key: str = "",
        arithmetic: str = "",
        assumed: bool = False,
    ) -> Line:
        """Return a line of the bill."""
        return Line(
            what=what,
            quantity=quantity,
            unit=unit,
            price=price(constant, self._region),
            region=self._region,
            key=key,
            arithmetic=arithmetic,
            assumed=assumed,
        )


def billed_minutes(seconds: float) -> int:
    """Return how many minutes are billed for a time, which CodePipeline and CodeBuild round up.

    https://aws.amazon.com/codepipeline/pricing/, https://aws.amazon.com/codebuild/pricing/
    """
    return math.ceil(round(seconds, 6) / MINUTE)


def beyond_free(quantity: float, free: float) -> float:
    """Return what is left of a quantity to pay for when a part of it is free."""
    return max(quantity - free, 0.0)


def pipeline_lines(graph: Graph, run: Timeline, runs: int, region: str | None) -> tuple[Line, ...]:
    """Return what the pipeline costs a month, at so many runs."""
    return tuple(_pipeline(graph, run, runs, _Bill(region)))


def hosting_lines(graph: Graph, run: Timeline, runs: int, region: str | None) -> tuple[Line, ...]:
    """Return what the service costs a month, with what deployments add to it."""
    return tuple(_hosting(graph, run, runs, _Bill(region)))


def _pipeline(graph: Graph, run: Timeline, runs: int, bill: _Bill) -> Iterator[Line]:
    paid = [step for step in run.steps if step.machine != "a person"]
    minutes = [billed_minutes(step.seconds) for step in paid]
    yield bill.line(
        "CodePipeline, action minutes",
        runs * sum(minutes),
        "minutes",
        "codepipeline.minute",
        arithmetic=f"{runs} runs of {sum(minutes)} minutes: {_listed(paid, minutes)}",
    )
    yield from _builds(graph, run, runs, bill)
    yield from _reserved(graph, bill)
    yield from _functions(graph, run, runs, bill)
    keys = len(list(values_of(graph, "kms/key:Key")))
    if keys:
        yield bill.line("KMS key", keys, "keys", "kms.key")
    repositories = len(list(values_of(graph, "ecr/repository:Repository")))
    if repositories:
        size = value("use.registry")
        yield bill.line(
            "ECR, images kept",
            repositories * size,
            "GB",
            "ecr.gb",
            key="retention.images",
            arithmetic=f"{repositories} of {size:g} GB each",
            assumed=True,
        )
    buckets = len(list(values_of(graph, "s3/bucket:Bucket")))
    if buckets:
        size = value("use.bucket")
        yield bill.line(
            "S3, artifacts and access logs",
            buckets * size,
            "GB",
            "s3.gb",
            key="retention.artifactDays",
            arithmetic=f"{buckets} of {size:g} GB each",
            assumed=True,
        )
    secrets = {name.split(":", 1)[0] for name in _secrets_of_builds(graph)}
    if secrets:
        yield bill.line("Secrets that builds read", len(secrets), "secrets", "secret.month")


def _listed(steps: Iterable[Step], minutes: Iterable[int]) -> str:
    return ", ".join(f"{step.action} {each}" for step, each in zip(steps, minutes, strict=True))


def _builds(graph: Graph, run: Timeline, runs: int, bill: _Bill) -> Iterator[Line]:
    """A line for each kind of machine."""
    pipeline = first(graph, "codepipeline/pipeline:Pipeline")
    projects = {item["name"]: item for item in values_of(graph, "codebuild/project:Project") if "name" in item}
    machines = {
        action["name"]: machine_of(projects.get((action.get("configuration") or {}).get("ProjectName", ""), {}))
        for stage in pipeline.get("stages") or ()
        for action in stage["actions"]
        if action["provider"] == "CodeBuild"
    }
    by_machine: dict[tuple[str, str, str], list[Step]] = {}
    for step in run.steps:
        if step.action in machines and not step.machine.endswith(OF_A_FLEET):
            by_machine.setdefault((*machines[step.action], step.machine), []).append(step)
    for (kind, size, label), steps in sorted(by_machine.items()):
        is_lambda = "LAMBDA" in kind
        # A build is billed from its submission to its end, by the minute on EC2 and by the second on Lambda; the first
        # second is CodePipeline's own.
        own = [step.seconds - value("time.action") for step in steps]
        amounts = [math.ceil(seconds) if is_lambda else billed_minutes(seconds) for seconds in own]
        unit = "seconds" if is_lambda else "minutes"
        yield bill.line(
            f"CodeBuild, {label}",
            runs * sum(amounts),
            unit,
            f"codebuild.{kind}.{size}",
            key="" if is_lambda else ", ".join(filter(None, (_KEYS_OF_JOBS.get(step.action) for step in steps))),
            arithmetic=f"{runs} runs of {sum(amounts)} {unit}: {_listed(steps, amounts)}",
        )


_KEYS_OF_JOBS = {"RunLighthouse": "tests.lighthouse.compute", "BuildImage": "build.compute"}


def _reserved(graph: Graph, bill: _Bill) -> Iterator[Line]:
    """Machines that wait are billed as long as they are there, and their builds are not.

    https://docs.aws.amazon.com/codebuild/latest/userguide/fleets.html
    """
    fleet = first(graph, "codebuild/fleet:Fleet")
    if fleet:
        kind, size = reserved_machine(fleet)
        count, hours = number(fleet.get("baseCapacity"), 1), value("use.hours")
        yield bill.line(
            f"CodeBuild, reserved capacity, {label_of(kind, size)}",
            count * hours * MINUTE,
            "minutes",
            f"codebuild.fleet.{kind}.{size}",
            key="build.fleet",
            arithmetic=f"{count:g} x {hours:g} hours, whether it builds or not",
        )


def _functions(graph: Graph, run: Timeline, runs: int, bill: _Bill) -> Iterator[Line]:
    """The functions that write messages and show runs: told when an action or a stage begins, and when it ends."""
    events = 2 * (len(run.steps) + len(run.stages) + 1)
    for function in values_of(graph, "lambda/function:Function"):
        memory = number(function.get("memorySize"), 128) / 1024
        kind = "ARM64" if "arm64" in (function.get("architectures") or ()) else "X86_64"
        name = "shows runs at GitHub" if "status" in str(function.get("name", "")) else "writes messages"
        yield bill.line(
            f"Lambda, the function that {name}",
            runs * events * value("use.function") * memory,
            "GB-seconds",
            f"lambda.{kind}.gb_second",
            key="statuses.enabled" if "GitHub" in name else "notifications.enabled",
            arithmetic=f"{runs} runs of {events} events of {value('use.function'):g} s with {memory:g} GB",
            assumed=True,
        )


def _secrets_of_builds(graph: Graph) -> Iterator[str]:
    for project in values_of(graph, "codebuild/project:Project"):
        for item in (project.get("environment") or {}).get("environmentVariables") or ():
            if item.get("type") == "SECRETS_MANAGER" and is_known(item.get("value")):
                yield str(item["value"])


def _hosting(graph: Graph, run: Timeline, runs: int, bill: _Bill) -> Iterator[Line]:
    hours = value("use.hours")
    yield from _tasks(graph, run, runs, bill, hours)
    yield from _balancer(graph, bill, hours)
    yield from _network(graph, bill, hours)
    yield from _observed(graph, bill)
    zones = len(list(values_of(graph, "servicediscovery/privateDnsNamespace:PrivateDnsNamespace")))
    if zones:
        yield bill.line(
            "Route 53, the zone of the namespace", zones, "zones", "zone.month", key="hosting.serviceRegistry"
        )
    secrets = {
        str(secret.get("valueFrom")) for container in _containers(graph) for secret in container.get("secrets") or ()
    }
    if secrets:
        yield bill.line("Secrets that tasks read", len(secrets), "secrets", "secret.month", key="application.secrets")


def _definition(graph: Graph) -> Mapping[str, Any]:
    """The task definition that the pipeline fills in; before it is known, the first one, which has the same size."""
    for stored in values_of(graph, "s3/bucketObjectv2:BucketObjectv2"):
        if '"containerDefinitions"' in str(stored.get("content", "")):
            found: Mapping[str, Any] = parsed(stored["content"])
            return found
    return first(graph, "ecs/taskDefinition:TaskDefinition")


def _containers(graph: Graph) -> list[Mapping[str, Any]]:
    containers = _definition(graph).get("containerDefinitions") or []
    return list(json.loads(containers) if isinstance(containers, str) else containers)


def _count(graph: Graph) -> float:
    """How many tasks run, at least where the number is scaled."""
    scaled, service = first(graph, "appautoscaling/target:Target"), first(graph, "ecs/service:Service")
    return number(scaled.get("minCapacity"), number(service.get("desiredCount"), 1))


def _tasks(graph: Graph, run: Timeline, runs: int, bill: _Bill, hours: float) -> Iterator[Line]:
    service, definition = first(graph, "ecs/service:Service"), _definition(graph)
    if not service or not definition:
        return
    placed = _placement(graph, service)
    scaled = first(graph, "appautoscaling/target:Target")
    count = _count(graph)
    tasks = f"{count:g} tasks{', the least that the scaling keeps,' if scaled else ''}"
    cpu, memory = number(definition.get("cpu"), 0) / 1024, number(definition.get("memory"), 0) / 1024
    kind = str((definition.get("runtimePlatform") or {}).get("cpuArchitecture", "X86_64"))
    name = f"Fargate {'ARM' if kind == 'ARM64' else 'x86'}"
    if placed.is_spot:
        name += ", at most, since Spot is up to 70 % less"  # https://aws.amazon.com/fargate/pricing/
    task_hours = count * hours
    for what, size, unit, constant, key in (
        ("processors", cpu, "vCPU-hours", "vcpu", "application.cpu"),
        ("memory", memory, "GB-hours", "gb", "application.memory"),
    ):
        yield bill.line(
            f"{name}, {what}",
            task_hours * size,
            unit,
            f"fargate.{kind}.{constant}",
            key=f"application.desiredCount, {key}",
            arithmetic=f"{tasks} x {hours:g} hours x {size:g}",
        )
    beside = _beside(run)
    if beside:
        extra = runs * count * beside / 3600
        for what, size, unit, constant in (
            ("processors", cpu, "vCPU-hours", "vcpu"),
            ("memory", memory, "GB-hours", "gb"),
        ):
            yield bill.line(
                f"{name}, {what} of a second version during deployments",
                extra * size,
                unit,
                f"fargate.{kind}.{constant}",
                key="deploy.terminationWaitMinutes",
                arithmetic=f"{runs} runs x {count:g} tasks x {beside:.0f} s x {size:g}",
            )
    if placed.is_public:
        yield bill.line(
            "Public IPv4 addresses of the tasks",
            task_hours,
            "hours",
            "ipv4.hour",
            key="hosting.network.taskSubnets",
            arithmetic=f"{tasks} x {hours:g} hours",
        )


class _Placement(NamedTuple):
    """Where tasks run: whether they have public addresses, and whether they are on spare capacity."""

    is_public: bool
    is_spot: bool


def _placement(graph: Graph, service: Mapping[str, Any]) -> _Placement:
    """Where the next deployment places tasks: with CodeDeploy its AppSpec says so, and the service follows it."""
    for project in values_of(graph, "codebuild/project:Project"):
        for item in (project.get("environment") or {}).get("environmentVariables") or ():
            told = parsed(item.get("value")) if item["name"] == "APPSPEC" else {}
            if "NetworkConfiguration" in told:
                addresses = told["NetworkConfiguration"].get("AwsvpcConfiguration", {}).get("AssignPublicIp")
                providers = [each.get("CapacityProvider") for each in told.get("CapacityProviderStrategy") or ()]
                return _Placement(addresses == "ENABLED", "FARGATE_SPOT" in providers)
    providers = [each.get("capacityProvider") for each in service.get("capacityProviderStrategies") or ()]
    public = (service.get("networkConfiguration") or {}).get("assignPublicIp") is True
    return _Placement(public, "FARGATE_SPOT" in providers)


def _beside(run: Timeline) -> float:
    """Seconds of a run in which the tasks of both versions are there."""
    for step in run.steps:
        parts = dict(step.parts)
        if "tasks start" in parts:
            begins = list(parts).index("tasks start")
            return sum(list(parts.values())[begins:])
    return 0.0


def _balancer(graph: Graph, bill: _Bill, hours: float) -> Iterator[Line]:
    balancers = list(values_of(graph, "lb/loadBalancer:LoadBalancer"))
    if not balancers:
        return
    yield bill.line(
        "Application Load Balancer",
        len(balancers) * hours,
        "hours",
        "alb.hour",
        key="hosting.loadBalancer",
        arithmetic=f"{len(balancers)} x {hours:g} hours",
    )
    units = value("use.lcu")
    yield bill.line(
        "Load balancer, capacity units",
        len(balancers) * hours * units,
        "LCU-hours",
        "alb.lcu",
        key="hosting.loadBalancer",
        arithmetic=f"{units:g} unit on average",
        assumed=True,
    )
    public = [item for item in balancers if item.get("internal") is not True]
    zones = _zones(graph)
    if public:
        yield bill.line(
            "Public IPv4 addresses of the load balancer",
            len(public) * zones * hours,
            "hours",
            "ipv4.hour",
            key="hosting.network.availabilityZones",
            arithmetic=f"one in each of {zones} zones x {hours:g} hours",
        )


def _zones(graph: Graph) -> int:
    """How many zones the network has; two, which a load balancer needs, where the graph does not tell."""
    for balancer in values_of(graph, "lb/loadBalancer:LoadBalancer"):
        if isinstance(balancer.get("subnets"), list) and balancer["subnets"]:
            return len(balancer["subnets"])
    subnets = len(list(values_of(graph, "ec2/subnet:Subnet")))
    return subnets // 2 or int(number(first(graph, "ec2:Vpc").get("numberOfAvailabilityZones"), 2))


def _network(graph: Graph, bill: _Bill, hours: float) -> Iterator[Line]:
    gateways = _gateways(graph)
    if gateways:
        key = "hosting.network.natGateways"
        yield bill.line(
            "NAT gateways",
            gateways * hours,
            "hours",
            "nat.hour",
            key=key,
            arithmetic=f"{gateways} x {hours:g} hours",
        )
        yield bill.line(
            "Public IPv4 addresses of the NAT gateways",
            gateways * hours,
            "hours",
            "ipv4.hour",
            key=key,
            arithmetic=f"{gateways} x {hours:g} hours",
        )
        yield bill.line(
            "NAT gateways, traffic",
            value("use.nat"),
            "GB",
            "nat.gb",
            key=key,
            arithmetic="both directions",
            assumed=True,
        )
    endpoints = [
        item for item in values_of(graph, "ec2/vpcEndpoint:VpcEndpoint") if item.get("vpcEndpointType") == "Interface"
    ]
    if endpoints:
        zones = _zones(graph)
        yield bill.line(
            "Interface endpoints",
            len(endpoints) * zones * hours,
            "hours",
            "endpoint.hour",
            key="hosting.network.taskSubnets",
            arithmetic=f"{len(endpoints)} x {zones} zones x {hours:g} hours",
        )


def _gateways(graph: Graph) -> int:
    """NAT gateways: the network's component says how many where its parts are not in the graph."""
    found = len(list(values_of(graph, "ec2/natGateway:NatGateway")))
    if found:
        return found
    asked = first(graph, "ec2:Vpc")
    strategy = str((asked.get("natGateways") or {}).get("strategy", "None"))
    return {"Single": 1, "OnePerAz": int(number(asked.get("numberOfAvailabilityZones"), 2))}.get(strategy, 0)


def _observed(graph: Graph, bill: _Bill) -> Iterator[Line]:
    insights = Counter(
        item.get("value")
        for cluster in values_of(graph, "ecs/cluster:Cluster")
        for item in cluster.get("settings") or ()
    )
    if insights["enabled"]:
        yield bill.line(
            "CloudWatch, Container Insights",
            insights["enabled"] * value("use.insights"),
            "metrics",
            "metric.month",
            key="hosting.containerInsights",
            arithmetic="the metrics of a cluster with one service",
            assumed=True,
        )
    if insights["enhanced"]:
        tasks, parts = _count(graph), 1 + len(_containers(graph))
        metrics = insights["enhanced"] * value("use.insights") + tasks * parts * value("use.insights.part")
        yield bill.line(
            "CloudWatch, Container Insights with enhanced observability",
            metrics,
            "metrics",
            "insights.enhanced.metric",
            key="hosting.containerInsights",
            arithmetic=f"those of a cluster with one service, and of {tasks:g} tasks and their containers",
            assumed=True,
        )
    alarms = Counter(_metrics(alarm) for alarm in values_of(graph, "cloudwatch/metricAlarm:MetricAlarm"))
    if alarms:
        yield bill.line(
            "CloudWatch, alarms",
            sum(metrics * number_of for metrics, number_of in alarms.items()),
            "metrics",
            "alarm.metric",
            key="hosting.alarms",
            arithmetic=f"{sum(alarms.values())} alarms, by the metrics they read",
        )
    tracking = len(list(values_of(graph, "appautoscaling/policy:Policy")))
    if tracking:
        # "You pay only for ... Amazon CloudWatch monitoring fees": https://aws.amazon.com/autoscaling/pricing/
        yield bill.line(
            "CloudWatch, alarms of the scaling",
            tracking * value("use.tracking"),
            "metrics",
            "alarm.metric",
            key="hosting.service.scaling",
            arithmetic=f"{tracking} policies, {value('use.tracking'):g} each",
        )
    groups = len(list(values_of(graph, "cloudwatch/logGroup:LogGroup")))
    if groups:
        yield bill.line(
            "CloudWatch, logs written",
            value("use.logs"),
            "GB",
            "logs.gb",
            key="retention.logDays",
            arithmetic=f"{groups} log groups together",
            assumed=True,
        )


def _metrics(alarm: Mapping[str, Any]) -> int:
    """How many metrics an alarm reads, which it is billed by."""
    return sum(1 for query in alarm.get("metricQueries") or () if query.get("metric")) or 1
