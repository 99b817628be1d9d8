"""From what a stack has deployed to a service that answers: cluster, service, load balancer and CodeDeploy's group.

Read is the graph, as `python -m local graph` prints it; nothing is described a second time.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from local.rehearsal import images
from local.rehearsal.code_deploy import CodeDeploy, Traffic
from local.rehearsal.deployed import DeployedProblem
from local.rehearsal.ecs import Ecs
from local.rehearsal.ecs.state import ONGOING, Service
from local.rehearsal.emulated import Emulated
from local.rehearsal.hosting.alarms import Alarms, alarms_from
from local.rehearsal.hosting.existing import plain_hosting
from local.rehearsal.hosting.fleet import ContainerFleet
from local.rehearsal.hosting.load_balancer import SERVED_BY, Forward, Listener, LoadBalancer, TargetGroup
from local.rehearsal.hosting.namespaces import Namespaces
from local.rehearsal.hosting.pace import Pace
from local.rehearsal.hosting.secrets import Secrets
from local.rehearsal.hosting.visitor import Visitor
from local.rehearsal.job_sandbox import JobSandbox
from local.rehearsal.logs import Logs
from local.rehearsal.resources import PROJECT, Graph, place_in, values_of

_SERVICE = "aws:ecs/service:Service"
_CLUSTER = "aws:ecs/cluster:Cluster"
_PROVIDERS = "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders"
_SUBNET, _SECURITY_GROUP = "aws:ec2/subnet:Subnet", "aws:ec2/securityGroup:SecurityGroup"
_DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
_BALANCER = "aws:lb/loadBalancer:LoadBalancer"
_GROUP = "aws:lb/targetGroup:TargetGroup"
_LISTENER = "aws:lb/listener:Listener"
_RULE = "aws:lb/listenerRule:ListenerRule"
_RECORD = "aws:route53/record:Record"
_HTTP_NAMESPACE = "aws:servicediscovery/httpNamespace:HttpNamespace"
_DNS_NAMESPACE = "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace"
_REGISTRY = "aws:servicediscovery/service:Service"
_DEPLOYMENT_GROUP = "aws:codedeploy/deploymentGroup:DeploymentGroup"
_DEPLOYMENT_CONFIG = "aws:codedeploy/deploymentConfig:DeploymentConfig"
_OWN_FIRST_DEFINITION = "-bootstrap"
"""How the family of the definition ends that a service runs before its first deployment."""
_ADDRESSES = itertools.count(1)
"""Load balancers get addresses that nothing else has: those that RFC 2544 keeps for measuring."""
_PREDEFINED = re.compile(r"CodeDeployDefault\.ECS(Canary|Linear)(\d+)Percent(?:Every)?(\d+)Minutes")
_CODE_DEPLOY_PATIENCE = 60.0
"""Minutes: https://docs.aws.amazon.com/codedeploy/latest/userguide/troubleshooting-ecs.html"""
_TO_START = 60.0


class Hosting:
    """A stack's hosting, for as long as the `with` block lasts.

    Attributes:
        ecs: Amazon ECS, whose tasks are containers.
        logs: CloudWatch Logs with what they write.
        service: The service.
        code_deploy: CodeDeploy, when it deploys the service.
        balancer: The load balancer, where the service has one.
        alarms: The CloudWatch alarms that roll deployments back.
        fault: What went wrong here, so that no deployment goes on; not what went wrong with one.
    """

    ecs: Ecs
    logs: Logs
    service: Service
    code_deploy: CodeDeploy | None = None
    balancer: LoadBalancer | None = None
    alarms: Alarms

    def __init__(
        self,
        graph: Graph,
        sandbox: JobSandbox,
        folder: Path,
        *,
        pace: Pace,
        secrets: Secrets,
        wait: bool,
        running: Mapping[str, Any] | None,
        namespaces: Namespaces | None,
    ) -> None:
        self._namespaces = namespaces
        self._existing = not any(resource["type"] == _SERVICE for resource in graph)
        plain = plain_hosting(graph, running) if self._existing else None
        if plain:
            graph = [*graph, *plain.resources]
        self._graph, self._sandbox, self._folder, self._pace = graph, sandbox, folder, pace
        self._declared = _one(graph, _SERVICE)
        self._region, self._account = place_in(self._declared["arn"])
        self._first = plain.definition if plain else _definition(_one(graph, _DEFINITION))
        self._waits = bool(plain) or self._first["family"].endswith(_OWN_FIRST_DEFINITION)
        groups = [_target_group(found) for found in _all(graph, _GROUP)]
        # What waits for the first deployment speaks plain HTTP/1.1.
        self._answers = self._waits and not any(one.secure_check or one.version != "HTTP1" for one in groups)
        self._secrets = secrets
        self._wait, self._ends = wait, ExitStack()
        self._over = threading.Event()
        self.fault = ""
        if self._declared["loadBalancers"]:
            self.balancer = self._load_balancer()

    def _load_balancer(self) -> LoadBalancer:
        """The load balancer that the graph declares."""
        listeners, certificate = listeners_of(self._graph), None
        if any(listener.secure for listener in listeners):
            certificate = self._sandbox.certificate(f"service-{next(_ADDRESSES)}", self.names)
        address = _address()
        return LoadBalancer(
            enter=self._sandbox.enter,
            folder=self._sandbox.folder / f"balancer-{address}",  # short: a socket is in it
            address=address,
            listeners=listeners,
            groups=[_target_group(found) for found in _all(self._graph, _GROUP)],
            idle=next((int(found.get("idleTimeout", 60)) for found in _all(self._graph, _BALANCER)), 60),
            certificate=certificate,
            checks=self._pace.checks,
        )

    @property
    def names(self) -> list[str]:
        """The names by which jobs reach the service; none without a load balancer."""
        if not self._declared["loadBalancers"]:
            return []
        urls = [
            item["value"]
            for project in _all(self._graph, PROJECT)
            for item in project["environment"]["environmentVariables"]
            if item["name"] == "SERVICE_URL"
        ]
        records = [found["name"] for found in _all(self._graph, _RECORD)]
        own = [found["dnsName"] for found in _all(self._graph, _BALANCER)]
        rules = [host for found in _all(self._graph, _RULE) for host in _conditions(found)[1].get("host", ())]
        hosts = [
            *own,
            *(host for host in rules if not {"*", "?"} & {*host}),
            *records,
            *(urlsplit(url).hostname for url in urls),
        ]
        return list(dict.fromkeys(str(host) for host in hosts if host))

    @property
    def url(self) -> str:
        """Where the service is reached from outside the sandbox, over plain HTTP; empty without a load balancer."""
        return self.balancer.url if self.balancer else ""

    def __enter__(self) -> Self:
        """Start everything; a service with a first definition of its own answers then."""
        with ExitStack() as ends:
            if self.balancer:
                ends.enter_context(self.balancer)
                for name in self.names:
                    self._sandbox.name(name, self.balancer.address)
            if self._namespaces is None:
                self._namespaces = ends.enter_context(Namespaces(lambda: self._sandbox.holder))
            for found in _all(self._graph, _HTTP_NAMESPACE):
                self._namespaces.made(found["name"], found["arn"])
            self.alarms = Alarms(tuple(alarms_from(self._graph)), self._pace)
            self._fleet = ContainerFleet(
                self._sandbox,
                self.balancer,
                region=self._region,
                pace=self._pace,
                secrets=self._secrets,
                logs=self._folder / "logs",
                alarms=self.alarms,
                stand_ins=self._stand_ins if self._waits else {},
                namespaces=self._namespaces,
                registered_names=_registered_names(self._graph),
            )
            ends.callback(self._fleet.close)
            ends.callback(self._sandbox.give_up)  # before that: a task may wait for an engine that is not started
            self.ecs = Ecs(
                account=self._account,
                region=self._region,
                pace=0,
                fleet=self._fleet,
                networks=None if self._existing else _networks(self._graph),
            )
            self._fleet.written = lambda task, container, line: self.ecs.log(task, [line], container)
            self.logs = Logs(self.ecs)
            self._create()
            ticker = threading.Thread(target=self._tick, name="deployments", daemon=True)
            ticker.start()
            ends.callback(ticker.join)
            ends.callback(self._over.set)
            if self._wait:
                self.await_first()
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything.

        Raises:
            RuntimeError: Something went wrong here, and nothing else was said yet.
        """
        self._ends.close()
        if self.fault and error is None:
            raise RuntimeError(f"the hosting went wrong:\n{self.fault}")

    @property
    def _stand_ins(self) -> dict[str, Callable[[], images.Image]]:
        """What runs before the first deployment: it answers where the load balancer looks, or does nothing."""
        checked = {port for found in _all(self._graph, _GROUP) if (port := _target_group(found).port)}
        reached = {
            part["image"]: [
                int(each["containerPort"])
                for each in self._declared["loadBalancers"]
                if each["containerName"] in _names_with(self._first, part["image"])
            ]
            for part in self._first["containerDefinitions"]
        }
        return {
            image: partial(images.waiting, *dict.fromkeys((*ports, *sorted(checked)))) if ports else images.holder
            for image, ports in reached.items()
        }

    @property
    def emulators(self) -> tuple[Emulated, ...]:
        """What answers the pipeline's jobs, for `local.rehearsal.emulated.serving`."""
        return (self.ecs, self.logs, *([self.code_deploy] if self.code_deploy else []))

    def await_first(self) -> None:
        """Wait until a service with a first definition of its own is steady.

        Raises:
            RuntimeError: It does not become so.
        """
        if self._answers and not self.await_steady():
            raise RuntimeError(f"the service does not start; it said: {self.service.events[:5]} {self.fault}")

    def await_steady(self, seconds: float = _TO_START) -> bool:
        """Wait until as many tasks as desired are well and nothing is deployed; returns whether that is so."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.fault and not self._over.is_set():
            if self.steady:
                return True
            time.sleep(0.05)
        return False

    @property
    def steady(self) -> bool:
        """Whether as many tasks as desired are well and nothing is deployed."""
        with self.ecs.lock:
            fit = sum(task.fit for task in self.service.tasks)
            moving = self.service.controller == "ECS" and self.service.deployments[0].status in ONGOING
            return fit == self.service.desired and not moving

    def version(self, target: str) -> str:
        """The task definition of a task, as family:revision; the load balancer's header names its task."""
        found = (task for task in self.service.tasks if task.identity == target)
        arns = [task.definition["taskDefinitionArn"] for task in found]
        return str(arns[0]).rpartition("/")[2] if arns else ""

    def visitor(self, path: str = "/", *, every: float = 0.05) -> Visitor:
        """A client that asks the users' listener all the time, and knows which version answers.

        It begins when the service is steady for the first time, if it has a first definition of its own.
        """
        header = SERVED_BY.lower()
        return Visitor(
            self.url,
            path,
            every=every,
            host=self.names[0],
            version=lambda headers, _body: self.version(headers.get(header, "")),
            begins=lambda: self.steady or not self._answers,
        )

    def _tick(self) -> None:
        try:
            if self.balancer:
                self.balancer.await_ready()
            while not self._over.wait(self._pace.tick):
                self._fleet.refresh()
                self.ecs.advance()
        except Exception:  # noqa: BLE001 - whoever waits for a deployment must not wait for ever
            self.fault = traceback.format_exc()

    def _create(self) -> None:
        """Make in the emulators what the graph declares."""
        declared, (_, _, name) = self._declared, self._declared["arn"].rpartition(":")[2].split("/")
        cluster = _one(self._graph, _CLUSTER)["name"]
        providers = [name for found in _all(self._graph, _PROVIDERS) for name in found["capacityProviders"]]
        self.ecs.owner("CreateCluster", clusterName=cluster, capacityProviders=providers)
        registered = self.ecs.owner("RegisterTaskDefinition", **self._first)["taskDefinition"]
        self.ecs.owner(
            "CreateService",
            cluster=cluster,
            serviceName=name,
            taskDefinition=registered["taskDefinitionArn"],
            desiredCount=declared["desiredCount"],
            deploymentController=declared["deploymentController"],
            deploymentConfiguration=_configuration(declared),
            loadBalancers=declared["loadBalancers"],
            **{key: declared[key] for key in ("healthCheckGracePeriodSeconds",) if key in declared},
            **({"serviceRegistries": [declared["serviceRegistries"]]} if declared.get("serviceRegistries") else {}),
            **_placed(declared),
        )
        self.service = self.ecs.service(name, cluster)
        groups = list(_all(self._graph, _DEPLOYMENT_GROUP))
        if groups:
            self.code_deploy = CodeDeploy(
                self.ecs,
                self.service,
                application=groups[0]["appName"],
                group=groups[0]["deploymentGroupName"],
                traffic=_traffic(self._graph, groups[0], self._pace),
            )


def hosting_from_graph(
    graph: Graph,
    sandbox: JobSandbox,
    folder: Path,
    *,
    pace: Pace | None = None,
    secrets: Secrets | None = None,
    wait: bool = True,
    running: Mapping[str, Any] | None = None,
    namespaces: Namespaces | None = None,
) -> Hosting:
    """The hosting that a stack has deployed, or a plain one for names of another's; `with` starts it.

    Args:
        graph: The stack's resources, as `python -m local graph` prints them.
        sandbox: Where its containers and its load balancer run.
        folder: Where logs and configuration may be.
        pace: How fast time passes.
        secrets: What containers read.
        wait: Whether `with` goes on only when the service answers; else see `Hosting.await_first`.
        running: What a service that exists runs, in the form of a registration; by default something made up.
        namespaces: What services of several stacks find each other by; of its own unless it is given.

    Raises:
        DeployedProblem: The stack deploys nothing, or into something that is not rehearsed here.
    """
    return Hosting(
        graph,
        sandbox,
        folder,
        pace=pace or Pace(),
        secrets=secrets or Secrets(),
        wait=wait,
        running=running,
        namespaces=namespaces,
    )


# How the graph is read.


def _all(graph: Graph, kind: str) -> Iterator[dict[str, Any]]:
    """What is known of each resource of a kind: what it was asked for, and what came of it."""
    for values in values_of(graph, kind):
        yield _whole(values)


def _one(graph: Graph, kind: str) -> dict[str, Any]:
    found = next(_all(graph, kind), None)
    if found is None:
        raise DeployedProblem(f"the stack has deployed no {kind}: there is nothing here to deploy to")
    return found


def _whole(value: Any) -> Any:  # noqa: ANN401 - JSON
    """The same with whole numbers where Pulumi has numbers of its one kind, and without what is not given."""
    match value:
        case dict():
            return {key: _whole(part) for key, part in value.items() if part is not None}
        case list():
            return [_whole(part) for part in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _address() -> str:
    number = next(_ADDRESSES)
    return f"198.18.{number // 250}.{number % 250 + 1}"


def _definition(declared: Mapping[str, Any]) -> dict[str, Any]:
    """A task definition as RegisterTaskDefinition takes it."""
    kept = ("family", "networkMode", "cpu", "memory", "requiresCompatibilities", "executionRoleArn", "taskRoleArn")
    platform, disk = declared.get("runtimePlatform"), declared.get("ephemeralStorage")
    return {
        **{key: declared[key] for key in kept if declared.get(key)},
        **({"runtimePlatform": platform} if platform else {}),
        **({"ephemeralStorage": {"sizeInGiB": int(disk["sizeInGib"])}} if disk else {}),
        "containerDefinitions": json.loads(declared["containerDefinitions"]),
        "volumes": [
            {key: volume[key] for key in ("name", "efsVolumeConfiguration") if volume.get(key)}
            for volume in declared.get("volumes", ())
        ],
    }


def _names_with(definition: Mapping[str, Any], image: str) -> list[str]:
    """The containers of a task definition that have an image."""
    return [part["name"] for part in definition["containerDefinitions"] if part["image"] == image]


def _registered_names(graph: Graph) -> dict[str, str]:
    """The DNS name of each service of Cloud Map in a namespace that is made here; of others the domain is not known."""
    domains = {found["arn"].rpartition("/")[2]: found["name"] for found in _all(graph, _DNS_NAMESPACE)}
    found = [(each, domains.get(each["dnsConfig"]["namespaceId"])) for each in _all(graph, _REGISTRY)]
    return {each["arn"]: f"{each['name']}.{domain}" for each, domain in found if domain}


def _placed(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Where a service's tasks run, as CreateService takes it."""
    made = {key: declared[key] for key in ("launchType",) if declared.get(key)}
    if declared.get("capacityProviderStrategies"):
        made["capacityProviderStrategy"] = declared["capacityProviderStrategies"]
    if "networkConfiguration" in declared:
        network = declared["networkConfiguration"]
        public = "ENABLED" if network.get("assignPublicIp") else "DISABLED"
        made["networkConfiguration"] = {"awsvpcConfiguration": {**network, "assignPublicIp": public}}
    return made


def _networks(graph: Graph) -> tuple[dict[str, str], dict[str, str]]:
    """The VPC of each subnet and of each security group; subnets that the stack file names are where the groups are."""

    def of(kind: str) -> dict[str, str]:
        return {found["arn"].rpartition("/")[2]: str(found["vpcId"]) for found in _all(graph, kind)}

    groups, subnets = of(_SECURITY_GROUP), of(_SUBNET)
    if not subnets:
        named = _one(graph, _SERVICE).get("networkConfiguration", {}).get("subnets", [])
        subnets = dict.fromkeys(named, next(iter(groups.values()), ""))
    return subnets, groups


def _configuration(declared: Mapping[str, Any]) -> dict[str, Any]:
    """A service's deployment configuration as CreateService takes it, of Pulumi's several properties."""
    own = dict(declared.get("deploymentConfiguration", {}))
    made: dict[str, Any] = {}
    for key, name in (
        ("deploymentCircuitBreaker", "deploymentCircuitBreaker"),
        ("deploymentMinimumHealthyPercent", "minimumHealthyPercent"),
        ("deploymentMaximumPercent", "maximumPercent"),
        ("alarms", "alarms"),
    ):
        if key in declared:
            made[name] = declared[key]
    if "strategy" in own:
        made["strategy"] = own["strategy"]
    if "bakeTimeInMinutes" in own:
        made["bakeTimeInMinutes"] = int(own["bakeTimeInMinutes"])
    for key in ("canaryConfiguration", "linearConfiguration"):
        if key in own:
            made[key] = {
                name: int(value) if name.endswith("Minutes") else float(value) for name, value in own[key].items()
            }
    return made


def _target_group(declared: Mapping[str, Any]) -> TargetGroup:
    check, sticky = declared.get("healthCheck", {}), declared.get("stickiness", {})
    port = str(check.get("port", "traffic-port"))
    return TargetGroup(
        arn=declared["arn"],
        name=declared["name"],
        path=check.get("path", "/"),
        port=0 if port == "traffic-port" else int(port),
        secure=declared.get("protocol") == "HTTPS",
        secure_check=check.get("protocol", "HTTP") == "HTTPS",
        version=declared.get("protocolVersion", "HTTP1"),
        sticky=int(sticky.get("cookieDuration", 86400)) if sticky.get("enabled") else 0,
        matcher=str(check.get("matcher", "200")),
        interval=float(check.get("interval", 30)),
        timeout=float(check.get("timeout", 5)),
        healthy=int(check.get("healthyThreshold", 5)),
        unhealthy=int(check.get("unhealthyThreshold", 2)),
        delay=float(declared.get("deregistrationDelay", 300)),
    )


def listeners_of(graph: Graph) -> list[Listener]:
    """All listeners, the users' first; a graph has no order.

    Of a listener that is not in the graph nothing is known but its rule: other requests are answered with 404.
    """
    rules = sorted(_all(graph, _RULE), key=lambda rule: int(rule["priority"]))
    users = _users_listener(graph, rules)
    made = []
    for declared in _all(graph, _LISTENER):
        own = [rule for rule in rules if rule["listenerArn"] == declared["arn"]]
        forwards = (
            *(_forward(rule["arn"], rule["actions"][0], *_conditions(rule)) for rule in own),
            _forward(declared["arn"], declared["defaultActions"][0]),
        )
        made.append(Listener(port=int(declared["port"]), forwards=forwards, secure=declared["protocol"] == "HTTPS"))
    known = {listener.arn for listener in made}
    for rule in (rule for rule in rules if rule["listenerArn"] not in known):
        other = Forward(arn=rule["listenerArn"], status=404)
        made.append(Listener(port=80, forwards=(_forward(rule["arn"], rule["actions"][0], *_conditions(rule)), other)))
    return sorted(made, key=lambda listener: (listener.arn != users, bool(listener.forwards[-1].redirect)))


def _users_listener(graph: Graph, rules: Sequence[Mapping[str, Any]]) -> str:
    """The ARN of the listener that leads to the service's first target group; empty where a rule does."""
    for group in _all(graph, _DEPLOYMENT_GROUP):
        return str(group["loadBalancerInfo"]["targetGroupPairInfo"]["prodTrafficRoute"]["listenerArns"][0])
    first = _one(graph, _SERVICE)["loadBalancers"][0]
    advanced = first.get("advancedConfiguration", {})
    moving = [str(rule["listenerArn"]) for rule in rules if rule["arn"] == advanced.get("productionListenerRule")]
    leading = [
        str(listener["arn"])
        for listener in _all(graph, _LISTENER)
        if not advanced and listener["defaultActions"][0].get("targetGroupArn") == first["targetGroupArn"]
    ]
    return next(iter([*moving, *leading]), "")


def _forward(
    arn: str,
    action: Mapping[str, Any],
    paths: tuple[str, ...] = (),
    headers: Mapping[str, tuple[str, ...]] | None = None,
) -> Forward:
    made = partial(Forward, arn=arn, paths=paths, headers=headers or {})
    if action["type"] == "redirect":
        return made(redirect=action["redirect"]["protocol"].lower())
    if "targetGroupArn" in action:
        return made(weights={action["targetGroupArn"]: 100.0})
    groups = action["forward"]["targetGroups"]
    return made(weights={group["arn"]: float(group.get("weight", 1)) for group in groups})


def _conditions(rule: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The paths of a rule, and the patterns of headers."""
    paths: tuple[str, ...] = ()
    headers: dict[str, tuple[str, ...]] = {}
    for condition in rule["conditions"]:
        match condition:
            case {"pathPattern": found}:
                paths = (*paths, *found["values"])
            case {"hostHeader": found}:
                headers["host"] = tuple(found["values"])
            case {"httpHeader": found}:
                headers[found["httpHeaderName"]] = tuple(found["values"])
            case _:
                raise DeployedProblem(f"the listener rule {rule['arn']} has conditions that are not rehearsed here")
    return paths, headers


def _traffic(graph: Graph, group: Mapping[str, Any], pace: Pace) -> Traffic:
    """How a deployment group of CodeDeploy shifts traffic."""
    pair = group["loadBalancerInfo"]["targetGroupPairInfo"]
    by_name = {found["name"]: found["arn"] for found in _all(graph, _GROUP)}
    first, second = (by_name[found["name"]] for found in pair["targetGroups"])
    blue_green = group["blueGreenDeploymentConfig"]
    ready = blue_green.get("deploymentReadyOption", {})
    return Traffic(
        groups=(first, second),
        production=pair["prodTrafficRoute"]["listenerArns"][0],
        test=(pair.get("testTrafficRoute") or {}).get("listenerArns", [""])[0],
        steps=traffic_steps(graph, group["deploymentConfigName"]),
        ready_minutes=float(ready.get("waitTimeInMinutes", 0))
        if ready.get("actionOnTimeout") == "STOP_DEPLOYMENT"
        else None,
        termination_minutes=float(
            blue_green["terminateBlueInstancesOnDeploymentSuccess"].get("terminationWaitTimeInMinutes", 0)
        ),
        alarms=tuple((group.get("alarmConfiguration") or {}).get("alarms", ())),
        patience_minutes=pace.patience(_CODE_DEPLOY_PATIENCE),
    )


def traffic_steps(graph: Graph, name: str) -> tuple[tuple[float, float], ...]:
    """Percent of the traffic, and the minutes after it, of a deployment configuration."""
    if predefined := _PREDEFINED.fullmatch(name):
        return _shifts(predefined[1] == "Linear", float(predefined[2]), float(predefined[3]))
    for found in _all(graph, _DEPLOYMENT_CONFIG):
        routing = found.get("trafficRoutingConfig", {})
        if found["deploymentConfigName"] == name:
            linear = "timeBasedLinear" in routing
            own = routing.get("timeBasedLinear") or routing.get("timeBasedCanary") or {"percentage": 100, "interval": 0}
            return _shifts(linear, float(own["percentage"]), float(own["interval"]))
    return ((100.0, 0.0),)


def _shifts(linear: bool, percent: float, minutes: float) -> tuple[tuple[float, float], ...]:
    count = -(-100 // int(percent)) - 1 if linear else int(percent < 100)
    return (*((percent * number, minutes) for number in range(1, count + 1)), (100.0, 0.0))
