"""A plain hosting for a stack that deploys into one that exists: the names are the stack's, everything else is made up.

The service runs a task definition of another family, which is given, or made up: the container that the stack file
names, with what it states of it, and a sidecar. Its images are replaced by one that answers every request, and by one
that does nothing. What is not known here: the health check takes any answer below 500, the service has two tasks on
Fargate, it rolls back, and its test listener is at port 8080 or 8443.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from local.rehearsal.deployed import DeployedProblem
from local.rehearsal.resources import PIPELINE, PROJECT, Graph, place_of, values_of

GROUP = "aws:codedeploy/deploymentGroup:DeploymentGroup"
PREVIOUS = "ecs-delivery.invalid/previous:1"
"""The image that runs before the first deployment of the rehearsal."""
SIDECAR = "ecs-delivery.invalid/sidecar:1"
"""The image of the container beside it."""
_TASKS = 2
_BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
_NETWORK = {"subnets": ["subnet-0a1b2c3d4e5f67890"], "securityGroups": ["sg-0a1b2c3d4e5f67890"], "assignPublicIp": True}
"""Where the tasks of a service that exists may run: nothing here knows, and a service of awsvpc says it."""
_SHIFTING = ("BLUE_GREEN", "CANARY", "LINEAR")


class PlainHosting(NamedTuple):
    """A hosting for what a stack deploys.

    Attributes:
        resources: Its resources, in the form of a graph.
        definition: What the service runs before the first deployment, in the form of a registration.
    """

    resources: list[dict[str, Any]]
    definition: dict[str, Any]


def plain_hosting(graph: Graph, running: Mapping[str, Any] | None = None) -> PlainHosting:
    """Return a hosting for what a stack deploys.

    Args:
        graph: The stack's resources.
        running: The task definition that the service runs; by default one that is made up.

    Raises:
        DeployedProblem: The stack deploys nothing.
    """
    plain = _Plain(graph)
    definition = dict(running) if running else plain.made_up()
    return PlainHosting(list(plain.resources(definition)), definition)


class _Plain:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._variables: dict[str, str] = {}
        for found in values_of(graph, PROJECT):
            own = {item["name"]: item["value"] for item in found["environment"]["environmentVariables"]}
            self._variables = {**own, **self._variables}
        if "TASK_DEFINITION_TEMPLATE" not in self._variables:
            raise DeployedProblem("the stack deploys no service: there is nothing here to deploy to")
        self._region, self._account = place_of(graph)
        self._group = next(values_of(graph, GROUP), None) or _named_group(graph)
        self._configuration = {**_BREAKER, **json.loads(self._variables.get("DEPLOYMENT_CONFIGURATION", "{}"))}

    @property
    def _url(self) -> SplitResult:
        return urlsplit(self._variables.get("SERVICE_URL", "http://service.invalid"))

    @property
    def _by_rules(self) -> bool:
        return self._configuration.get("strategy") in _SHIFTING

    @property
    def _ports(self) -> tuple[int, int]:
        """The users' port and that for tests."""
        secure = self._url.scheme == "https"
        return self._url.port or (443 if secure else 80), 8443 if secure else 8080

    def resources(self, definition: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Each of them."""
        cluster, service = self._variables["CLUSTER"], self._variables["SERVICE"]
        if self._group and self._group not in values_of(self._graph, GROUP):
            yield _resource(GROUP, **self._group)
        yield _resource("aws:ecs/cluster:Cluster", name=cluster, arn=self._arn("ecs", f"cluster/{cluster}"))
        yield _resource("aws:lb/loadBalancer:LoadBalancer", dnsName=str(self._url.hostname))
        for arn, name in self._groups.items():
            check = {"path": "/", "matcher": "100-499", "interval": 10, "timeout": 5}
            check |= {"healthyThreshold": 2, "unhealthyThreshold": 2}
            yield _resource(
                "aws:lb/targetGroup:TargetGroup", arn=arn, name=name, healthCheck=check, deregistrationDelay=60
            )
        yield from self._listeners()
        on_instances = "FARGATE" not in definition.get("requiresCompatibilities", ())
        yield _resource(
            "aws:ecs/service:Service",
            arn=self._arn("ecs", f"service/{cluster}/{service}"),
            name=service,
            taskDefinition=self._arn("ecs", f"task-definition/{definition['family']}:1"),
            launchType="EC2" if on_instances else "FARGATE",
            desiredCount=_TASKS,
            deploymentController={"type": "CODE_DEPLOY" if self._group else "ECS"},
            loadBalancers=[self._balancer(definition)],
            deploymentConfiguration=self._configuration,
            **({"networkConfiguration": _NETWORK} if definition.get("networkMode") == "awsvpc" else {}),
            **{
                key: self._configuration[key]
                for key in ("deploymentCircuitBreaker", "alarms")
                if key in self._configuration
            },
        )

    def _arn(self, service: str, name: str) -> str:
        return f"arn:aws:{service}:{self._region}:{self._account}:{name}"

    def _of_balancer(self, name: str) -> str:
        return self._arn("elasticloadbalancing", name)

    @property
    def _groups(self) -> dict[str, str]:
        """The target groups' names by their ARNs."""
        if self._group:
            found = self._group["loadBalancerInfo"]["targetGroupPairInfo"]["targetGroups"]
            names = [group["name"] for group in found]
        else:
            names = ["blue", "green"] if self._by_rules else ["blue"]
        return {self._of_balancer(f"targetgroup/{name}/0123456789abcdef"): name for name in names}

    @property
    def _listener_arns(self) -> tuple[str, ...]:
        """The users' listener, and the one for tests where there is one."""
        if self._group:
            pair = self._group["loadBalancerInfo"]["targetGroupPairInfo"]
            routes = (pair["prodTrafficRoute"], pair.get("testTrafficRoute"))
            return tuple(str(route["listenerArns"][0]) for route in routes if route)
        names = ("production", "test") if self._by_rules else ("production",)
        return tuple(self._of_balancer(f"listener/app/existing/0123456789abcdef/{name}") for name in names)

    def _listeners(self) -> Iterator[dict[str, Any]]:
        first = next(iter(self._groups))
        for arn, port in zip(self._listener_arns, self._ports, strict=False):
            yield _resource(
                "aws:lb/listener:Listener",
                arn=arn,
                port=port,
                protocol=self._url.scheme.upper(),
                defaultActions=[{"type": "forward", "targetGroupArn": first}],
            )
            if self._by_rules:
                weights = [{"arn": group, "weight": 0 if number else 100} for number, group in enumerate(self._groups)]
                yield _resource(
                    "aws:lb/listenerRule:ListenerRule",
                    arn=_rule(arn),
                    listenerArn=arn,
                    priority=1,
                    conditions=[{"pathPattern": {"values": ["/*"]}}],
                    actions=[{"type": "forward", "forward": {"targetGroups": weights}}],
                )

    def _balancer(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        first, *others = self._groups
        name, port = _reached(definition, self._variables["CONTAINER_NAME"], int(self._variables["CONTAINER_PORT"]))
        made: dict[str, Any] = {"targetGroupArn": first, "containerName": name, "containerPort": port}
        if self._by_rules:
            production, test = self._listener_arns
            made["advancedConfiguration"] = {
                "alternateTargetGroupArn": others[0],
                "productionListenerRule": _rule(production),
                "testListenerRule": _rule(test),
                "roleArn": f"arn:aws:iam::{self._account}:role/existing",
            }
        return made

    def made_up(self) -> dict[str, Any]:
        """What the service may run: the stack file states nothing that differs."""
        key = self._variables["TASK_DEFINITION_TEMPLATE"].split("/", 3)[3]
        stored = values_of(self._graph, "aws:s3/bucketObjectv2:BucketObjectv2")
        stated: dict[str, Any] = json.loads(next(found["content"] for found in stored if found["key"] == key))
        port = int(self._variables["CONTAINER_PORT"])
        own: dict[str, Any] = {
            "image": PREVIOUS,
            "essential": True,
            "portMappings": [{"containerPort": port, "protocol": "tcp"}],
        }
        if self._variables.get("LOG_GROUP"):
            options = {"awslogs-group": self._variables["LOG_GROUP"], "awslogs-region": self._region}
            own["logConfiguration"] = {"logDriver": "awslogs", "options": {**options, "awslogs-stream-prefix": "app"}}
        processor = "ARM64" if self._variables["IMAGE_PLATFORM"] == "linux/arm64" else "X86_64"
        return {
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "runtimePlatform": {"cpuArchitecture": processor, "operatingSystemFamily": "LINUX"},
            **stated,
            "family": f"{self._variables['SERVICE']}-before",
            "tags": [{"key": "origin", "value": "existing"}],
            "containerDefinitions": [
                {**own, **stated["containerDefinitions"][0]},
                {"name": "sidecar", "image": SIDECAR, "essential": False, "environment": [], "secrets": []},
            ],
        }


def _reached(definition: Mapping[str, Any], container: str, port: int) -> tuple[str, int]:
    """Return the container and the port that users reach: the application's, or of a proxy in front of it the first.

    Raises:
        DeployedProblem: No container maps a port.
    """
    mapped = [
        (str(part["name"]), int(mapping["containerPort"]))
        for part in definition["containerDefinitions"]
        for mapping in part.get("portMappings", ())
    ]
    if not mapped:
        raise DeployedProblem("no container of the running task definition maps a port: nobody could reach the service")
    of_container = [each for each in mapped if each[0] == container]
    return (container, port) if (container, port) in mapped else (*of_container, *mapped)[0]


def _named_group(graph: Graph) -> dict[str, Any] | None:
    """A deployment group for the names of one that is there already: all at once, with a listener for tests."""
    actions = (
        action for found in values_of(graph, PIPELINE) for stage in found["stages"] for action in stage["actions"]
    )
    given = next((action["configuration"] for action in actions if action["provider"] == "CodeDeployToECS"), None)
    if given is None:
        return None
    region, account = place_of(graph)
    listener = f"arn:aws:elasticloadbalancing:{region}:{account}:listener/app/existing/0123456789abcdef"
    return {
        "appName": given["ApplicationName"],
        "deploymentGroupName": given["DeploymentGroupName"],
        "deploymentConfigName": "CodeDeployDefault.ECSAllAtOnce",
        "blueGreenDeploymentConfig": {"terminateBlueInstancesOnDeploymentSuccess": {"terminationWaitTimeInMinutes": 5}},
        "loadBalancerInfo": {
            "targetGroupPairInfo": {
                "prodTrafficRoute": {"listenerArns": [f"{listener}/production"]},
                "testTrafficRoute": {"listenerArns": [f"{listener}/test"]},
                "targetGroups": [{"name": "blue"}, {"name": "green"}],
            }
        },
    }


def _resource(kind: str, **values: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"type": kind, "inputs": values, "outputs": {}}


def _rule(listener: str) -> str:
    return f"{listener.replace(':listener/', ':listener-rule/')}/1"
