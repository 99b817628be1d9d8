"""Real tasks behind a real proxy: what an emulated Amazon ECS runs its services with when they are to answer."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from local.rehearsal import images
from local.rehearsal.ecs.connect import port_of
from local.rehearsal.ecs.state import Ending, Revision, Service, Task
from local.rehearsal.engine_api import EngineApi, EngineRefusal
from local.rehearsal.hosting.alarms import Alarms
from local.rehearsal.hosting.containers import HOLDER, Containers
from local.rehearsal.hosting.load_balancer import Health, LoadBalancer
from local.rehearsal.hosting.namespaces import NAME_SERVER, Alias, Namespaces
from local.rehearsal.hosting.pace import Pace
from local.rehearsal.hosting.secrets import Secrets
from local.rehearsal.job_sandbox import JobSandbox
from local.rehearsal.registry_names import REGISTRY_HOST

_UNCHECKED = 40
"""Seconds that a task runs before it counts as healthy, where neither load balancer nor container has a health check.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html
"""
_WORST = ("unhealthy", "", "initial", "healthy")
"""States of a target, the worst first."""
_ENDS = 40.0
"""Seconds for the last tasks to end."""


class ContainerFleet:
    """Runs tasks as containers on a sandbox's Docker engine, and registers them with a load balancer, if there is one.

    Attributes:
        alarms_on: The CloudWatch alarms that are watched.
        written: Called with a task, a container's name and each line that it writes.
    """

    at_once = 100

    def __init__(
        self,
        sandbox: JobSandbox,
        balancer: LoadBalancer | None,
        *,
        region: str,
        pace: Pace,
        secrets: Secrets,
        logs: Path,
        alarms: Alarms | None = None,
        stand_ins: Mapping[str, Callable[[], images.Image]] | None = None,
        namespaces: Namespaces | None = None,
        registered_names: Mapping[str, str] | None = None,
    ) -> None:
        """Describe it.

        Args:
            sandbox: Where the containers run.
            balancer: What sends them traffic; ``None`` where nothing does.
            region: The service's region.
            pace: How fast time passes.
            secrets: What containers read, and what none of them shows.
            logs: The folder for a file with what each task has written.
            alarms: The CloudWatch alarms that deployments may watch.
            stand_ins: Make the images whose registry cannot be reached, by their names.
            namespaces: What services find each other by.
            registered_names: The DNS name of each service of Cloud Map, by its ARN.
        """
        self._namespaces = namespaces or Namespaces(lambda: sandbox.holder)
        self._registered_names = registered_names or {}
        self._engine = EngineApi(sandbox.docker_socket, sandbox.await_engine)
        self._sandbox, self._balancer, self._region, self._pace = sandbox, balancer, region, pace
        self._secrets, self._logs = secrets, logs
        self.alarms_on = alarms or Alarms((), pace)
        self.written: Callable[[Task, str, str], None] = lambda _task, _container, _line: None
        self._runs: dict[str, Containers] = {}
        self._since: dict[str, float] = {}
        self._stand_ins = {HOLDER: images.holder, **(stand_ins or {})}
        self._loading = threading.Lock()
        self._loaded: dict[str, str] = {}
        self._file_systems: set[str] = set()
        logs.mkdir(parents=True, exist_ok=True)

    # What the courses of deployments ask for.

    def connect(self, service: Service, revision: Revision) -> None:
        """Open the endpoints of a revision; its tasks can call those that are there by now.

        Raises:
            Refused: Another service has one of them.
        """
        connect = revision.connect if revision.connect.get("enabled") else {}
        namespace = str(connect.get("namespace", ""))
        wanted = {
            each.get("discoveryName", each["portName"]): _alias(each, namespace) for each in connect.get("services", ())
        }
        self._namespaces.claim(service.arn, namespace, wanted)
        revision.hosts = revision.hosts or (self._namespaces.hosts(namespace) if connect else ())

    def _register(self, service: Service, task: Task, address: str) -> None:
        """Let the endpoints and the DNS name of a service lead to a task."""
        for each in task.revision.connect.get("services", ()):
            name = each.get("discoveryName", each["portName"])
            target = (address, port_of(task.definition, each["portName"]))
            self._namespaces.register(service.arn, name, task.identity, target)
        for registry in task.revision.registries:
            if name := self._registered_names.get(registry, ""):
                self._namespaces.record(name, task.identity, address)

    def start(self, service: Service, task: Task) -> None:  # noqa: ARG002 - as the protocol has it
        """Begin to start a task's containers."""
        made = Containers(
            self._engine,
            f"task-{task.identity}",
            task.definition,
            _Surroundings(self, task),
            region=self._region,
            checks=self._pace.checks,
        )
        self._runs[task.arn] = made
        made.start()

    def look(self, service: Service, task: Task) -> None:
        """Take over what has become of a task's containers, and what the load balancer has found."""
        run = self._runs.get(task.arn)
        if run is None:
            return
        if task.stop_code:
            self._look_at_end(task, run)
        elif run.ending is not None:
            self._fail(service, task, run.ending)
        elif task.status == "PENDING" and run.running:
            task.run()
            self._since[task.arn] = time.monotonic()
            if self._balancer:
                for group, port in task.revision.targets:
                    self._balancer.register(group, task.identity, run.address, port)
        elif task.status == "RUNNING":
            self._look_at_health(service, task, run)

    def _look_at_health(self, service: Service, task: Task, run: Containers) -> None:
        group, port, health = self._health(task)
        ran = time.monotonic() - self._since[task.arn]
        counts = bool(group) or run.is_checked or ran >= _UNCHECKED * self._pace.grace
        task.healthy = run.healthy and counts and health.state == "healthy"
        if run.healthy:
            self._register(service, task, run.address)
        if health.state != "unhealthy" or ran < max(self._pace.least_grace, service.grace * self._pace.grace):
            return
        task_set = service.task_set(task)
        service.says(
            f"(task {task.identity}) (port {port}) is unhealthy in (target-group {group}) due to (reason "
            f"{health.reason}).",
            task_set,
        )
        self._fail(
            service,
            task,
            Ending("ServiceSchedulerInitiated", f"Task failed ELB health checks in (target-group {group})"),
        )

    def _health(self, task: Task) -> tuple[str, int, Health]:
        """What the load balancer has found of a task in the target group where it is worst.

        ECS says of one target group that a task is unhealthy there, and replaces it. That one of several is enough
        follows from that, and was not tried:
        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-unhealthy-event-messages.html
        """
        if self._balancer is None or not task.revision.targets:
            return "", 0, Health("healthy")
        found = [(group, port, self._balancer.health(group, task.identity)) for group, port in task.revision.targets]
        return min(found, key=lambda each: _WORST.index(each[2].state))

    def _look_at_end(self, task: Task, run: Containers) -> None:
        if run.removed and task.status != "STOPPED":
            known = Ending(task.stop_code, task.stopped_reason, task.exit_code, task.container_reason)
            task.exits = {part.name: (part.exit_code, part.reason) for part in run.parts}
            task.stop(run.final(known))
            del self._runs[task.arn]

    def _fail(self, service: Service, task: Task, why: Ending) -> None:
        task.failed = True
        self.stop(service, task, why)

    def stop(self, service: Service, task: Task, why: Ending) -> None:
        """Take a task out of its target group, then end its containers."""
        if task.stop_code:
            return
        task.healthy = False
        task.begin_to_stop(why)
        self._runs[task.arn].stop(lambda: self._deregister(service, task))

    def _deregister(self, service: Service, task: Task) -> None:
        self._namespaces.deregister(service.arn, task.identity)
        if self._balancer:
            for group, _ in task.revision.targets:  # AWS drains them at the same time
                self._balancer.deregister(group, task.identity)

    def route(self, place: str, weights: Mapping[str, float]) -> None:
        """Let a listener or a rule forward in these proportions."""
        if self._balancer:
            self._balancer.route(place, weights)

    def over(self, since: float, minutes: float) -> bool:
        """Whether a wait is over, which is shortened."""
        return time.monotonic() - since >= self._pace.seconds(minutes)

    def expired(self, since: float, minutes: float) -> bool:
        """Whether a job has had its time, which is not shortened."""
        return time.monotonic() - since >= 60 * minutes

    def alarms(self, service: Service, target: Task | None, names: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002 - as the protocol has it
        """Which of these alarms have gone off."""
        return self.alarms_on.gone_off(names)

    def refresh(self) -> None:
        """Read what the load balancer has found and counted."""
        if self._balancer:
            self._balancer.refresh()
            self.alarms_on.note(self._balancer)

    def close(self) -> None:
        """End all tasks at once."""
        for run in self._runs.values():
            run.kill()
        deadline = time.monotonic() + _ENDS
        while not all(run.removed for run in self._runs.values()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for name in self._file_systems:
            with contextlib.suppress(OSError, EngineRefusal):  # the engine has gone
                self._engine.ask("DELETE", f"/volumes/{name}?force=1")

    # What containers find.

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the machine's services, such as a load balancer's, as ``name:address``."""
        return self._sandbox.names

    def stands_in(self, image: str) -> str:
        """What stands for an image, which is loaded when it is first asked for; empty when nothing does.

        Its name is made of its content: other services have the same image answer at other ports.
        """
        if image not in self._stand_ins:
            return ""
        with self._loading:
            if image not in self._loaded:
                self._sandbox.await_engine()  # before the image is made: that takes from whatever else starts
                made = self._stand_ins[image]()
                name = f"ecs-delivery.invalid/stand-in:{made.digest.partition(':')[2][:12]}"
                self._engine.load(images.archive(made, name))
                self._loaded[image] = name
        return self._loaded[image]

    def environment(self, file: str) -> Mapping[str, str]:
        """The variables in a file in S3.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html
        """
        lines = (line.strip() for line in self._secrets.value(file).splitlines())
        pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
        return {name: value for name, sign, value in pairs if sign}

    def file_system(self, volume: Mapping[str, Any]) -> str:
        """A folder of the engine's for a file system of EFS, or for the directory of it that is mounted.

        An access point has a user and a directory of its own, so that every container may write there.
        """
        point = volume.get("authorizationConfig", {}).get("accessPointId", "")
        place = point or volume.get("rootDirectory", "").strip("/").replace("/", "-")
        name = "-".join(filter(None, ["efs", volume["fileSystemId"], place]))
        with self._loading:
            if name not in self._file_systems:
                self._engine.ask("POST", "/volumes/create", {"Name": name})
                self._file_systems.add(name)
                if point:
                    self._open(name)
        return name

    def _open(self, volume: str) -> None:
        """Let everybody write to a volume."""
        self._engine.load(images.archive(images.holder(), HOLDER))
        mount = {"Type": "volume", "Source": volume, "Target": "/efs"}
        wanted = {"Image": HOLDER, "Entrypoint": ["chmod", "1777", "/efs"], "HostConfig": {"Mounts": [mount]}}
        made = self._engine.ask("POST", "/containers/create", wanted)["Id"]
        self._engine.ask("POST", f"/containers/{made}/start")
        self._engine.ask("POST", f"/containers/{made}/wait")
        self._engine.ask("DELETE", f"/containers/{made}?force=1")

    def secret(self, value_from: str) -> str:
        """The value of a secret."""
        return self._secrets.value(value_from)

    def credentials(self, image: str) -> Mapping[str, str]:
        """What opens a registry of Amazon ECR: the account's root does, as its tasks' execution role."""
        found = REGISTRY_HOST.fullmatch(image.partition("/")[0])
        if found is None:
            return {}
        client = self._sandbox.registry(found[1], found[2])
        user, _, password = base64.b64decode(client.token).decode().partition(":")
        return {"username": user, "password": password, "serveraddress": client.host}

    def keep(self, task: Task, name: str, text: str) -> str:
        """Keep a file of a task; returns where the engine finds it."""
        file = self._logs / f"{task.identity}.{name}"
        file.write_text(text, encoding="utf-8")
        return str(file)

    def write(self, task: Task, container: str, line: str) -> None:
        """Keep a line that a container has written, without the secrets in it."""
        line = self._secrets.hide(line)
        with (self._logs / f"{task.identity}.log").open("a", encoding="utf-8") as file:
            file.write(f"{container} | {line}\n")
        self.written(task, container, line)


def _alias(service: Mapping[str, Any], namespace: str) -> Alias:
    """What clients call an endpoint."""
    alias = service["clientAliases"][0]
    name = service.get("discoveryName", service["portName"])
    return Alias(alias.get("dnsName", f"{name}.{namespace}"), int(alias["port"]))


class _Surroundings:
    """What one task finds."""

    def __init__(self, fleet: ContainerFleet, task: Task) -> None:
        self._fleet, self._task = fleet, task
        self.secret, self.credentials, self.stands_in = fleet.secret, fleet.credentials, fleet.stands_in
        self.environment, self.file_system = fleet.environment, fleet.file_system
        self.hosts = (*fleet.names, *task.revision.hosts)
        self.name_servers: tuple[str, ...] = (NAME_SERVER,)

    def keep(self, name: str, text: str) -> str:
        """Keep a file of the task; returns where the engine finds it."""
        return self._fleet.keep(self._task, name, text)

    def write(self, container: str, line: str) -> None:
        """Keep a line that a container of the task has written."""
        self._fleet.write(self._task, container, line)
