"""A plain hosting for a stack that deploys into one that exists: the names are the stack's, everything else is made up.

The service runs the stack's own task definition with an image that answers every request. What the stack does not say
of the real one is not known here: its health check takes any answer below 500, it has two tasks, it rolls back, and its
test listener is at port 8080 or 8443.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from local.rehearsal.deployed import DeployedProblem
from local.rehearsal.resources import PROJECT, Graph, place_of, values_of

PREVIOUS = "ecs-delivery.invalid/previous:1"
"""The image that runs before the first deployment of the rehearsal."""
_TASKS = 2
_BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
_SHIFTING = ("BLUE_GREEN", "CANARY", "LINEAR")


def plain_hosting(graph: Graph) -> list[dict[str, Any]]:
    """The resources of a hosting for what a stack deploys, in the form of a graph.

    Raises:
        DeployedProblem: The stack deploys nothing.
    """
    return list(_Plain(graph).resources())


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
        self._group = next(values_of(graph, "aws:codedeploy/deploymentGroup:DeploymentGroup"), None)
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

    def resources(self) -> Iterator[dict[str, Any]]:
        """Each of them."""
        cluster, service = self._variables["CLUSTER"], self._variables["SERVICE"]
        yield _resource("aws:ecs/cluster:Cluster", name=cluster, arn=self._arn("ecs", f"cluster/{cluster}"))
        yield _resource("aws:lb/loadBalancer:LoadBalancer", dnsName=str(self._url.hostname))
        for arn, name in self._groups.items():
            check = {"path": "/", "matcher": "100-499", "interval": 10, "timeout": 5}
            check |= {"healthyThreshold": 2, "unhealthyThreshold": 2}
            yield _resource(
                "aws:lb/targetGroup:TargetGroup", arn=arn, name=name, healthCheck=check, deregistrationDelay=60
            )
        yield from self._listeners()
        template = self._template()
        family = template["family"]
        yield _resource(
            "aws:ecs/taskDefinition:TaskDefinition",
            **{**template, "containerDefinitions": json.dumps(template["containerDefinitions"])},
        )
        yield _resource(
            "aws:ecs/service:Service",
            arn=self._arn("ecs", f"service/{cluster}/{service}"),
            name=service,
            taskDefinition=self._arn("ecs", f"task-definition/{family}:1"),
            desiredCount=_TASKS,
            deploymentController={"type": "CODE_DEPLOY" if self._group else "ECS"},
            loadBalancers=[self._balancer()],
            deploymentConfiguration=self._configuration,
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

    def _balancer(self) -> dict[str, Any]:
        first, *others = self._groups
        made: dict[str, Any] = {
            "targetGroupArn": first,
            "containerName": self._variables["CONTAINER_NAME"],
            "containerPort": int(self._variables["CONTAINER_PORT"]),
        }
        if self._by_rules:
            production, test = self._listener_arns
            made["advancedConfiguration"] = {
                "alternateTargetGroupArn": others[0],
                "productionListenerRule": _rule(production),
                "testListenerRule": _rule(test),
                "roleArn": f"arn:aws:iam::{self._account}:role/existing",
            }
        return made

    def _template(self) -> dict[str, Any]:
        """The stack's own task definition, with the image that answers."""
        key = self._variables["TASK_DEFINITION_TEMPLATE"].split("/", 3)[3]
        stored = values_of(self._graph, "aws:s3/bucketObjectv2:BucketObjectv2")
        template: dict[str, Any] = json.loads(next(found["content"] for found in stored if found["key"] == key))
        for container in template["containerDefinitions"]:
            container["image"] = PREVIOUS
        return template


def _resource(kind: str, **values: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"type": kind, "inputs": values, "outputs": {}}


def _rule(listener: str) -> str:
    return f"{listener.replace(':listener/', ':listener-rule/')}/1"
