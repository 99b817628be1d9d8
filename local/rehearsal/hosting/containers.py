"""The containers of one task, on a Docker engine: started as its task definition says, and ended as ECS ends them.

The words are those of https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html, what
the engine says behind them. Where this differs from AWS Fargate:

- There is no limit of processor time, and containers of one task share no limit of memory: each has its own, or all of
  the task's.
- Containers have no credentials and no metadata service, and reach nothing beyond the machine.
- A limit such as that of open files is at most this machine's own.
- They start one after the other, so that one waits for a dependency of another, too.
"""

from __future__ import annotations

import contextlib
import resource
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from local.rehearsal.ecs.state import Ending
from local.rehearsal.engine_api import EngineApi, EngineRefusal
from local.rehearsal.hosting import firelens
from local.rehearsal.hosting.secrets import MissingSecret

LABEL = "ecs-delivery.task"
HOLDER = "ecs-delivery.invalid/holder:1"
"""An image that does nothing: it holds the network of a task with several containers."""
_MEBIBYTE = 2**20
_SECOND = 10**9
_STOP_TIMEOUT = 30
_STEP = 0.1
_EXITED = "Essential container in task exited"
_OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
_UNHEALTHY = "Task failed container health checks"
_ASKED_TO_END = 143
"""128 and the number of SIGTERM."""


class Surroundings(Protocol):
    """What a task finds where it runs.

    Attributes:
        hosts: Names that it can call, as ``name:address``.
        name_servers: What it asks for other names.
    """

    hosts: tuple[str, ...]
    name_servers: tuple[str, ...]

    def secret(self, value_from: str) -> str:
        """The value behind ``valueFrom``.

        Raises:
            MissingSecret: It cannot be had.
        """

    def credentials(self, image: str) -> Mapping[str, str]:
        """What opens the registry of an image, as `EngineApi.pull` takes it."""

    def stands_in(self, image: str) -> str:
        """What stands for an image whose registry cannot be reached, as the engine knows it; empty for any other."""

    def environment(self, file: str) -> Mapping[str, str]:
        """The variables in a file in S3, by its ARN.

        Raises:
            MissingSecret: It cannot be had.
        """

    def file_system(self, volume: Mapping[str, Any]) -> str:
        """The engine's volume that stands for one of EFS, and outlives tasks."""

    def keep(self, name: str, text: str) -> str:
        """Keep a file of the task; returns where the engine finds it."""

    def write(self, container: str, line: str) -> None:
        """Keep what a container has written."""


class _Fault(Exception):  # noqa: N818 - an end of a task, not a fault of this program
    """A task does not start."""

    def __init__(self, reason: str, container: str = "") -> None:
        super().__init__(reason)
        self.reason, self.container = reason, container


@dataclass(slots=True)
class Container:
    """One container of a task.

    Attributes:
        definition: Its part of the task definition.
        identity: The engine's ID; empty until it is made.
        exit_code: How it ended; ``None`` while it has not.
        reason: Why, if that is not said by the exit code.
    """

    definition: Mapping[str, Any]
    identity: str = ""
    exit_code: int | None = None
    reason: str = ""
    watched: list[threading.Thread] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name in the task definition."""
        return str(self.definition["name"])

    @property
    def essential(self) -> bool:
        """Whether the task ends with it."""
        return bool(self.definition.get("essential", True))


class Containers:
    """The containers of one task, from the pull of their images to their removal.

    Attributes:
        running: Whether all of them have started.
        address: Where the task is reached.
        ending: Why the task ends by itself, as soon as it does; its exit code and that container's reason are known.
        removed: Whether nothing of it is left.
        parts: The containers.
    """

    def __init__(
        self,
        engine: EngineApi,
        name: str,
        definition: Mapping[str, Any],
        surroundings: Surroundings,
        *,
        region: str,
        checks: float = 1.0,
    ) -> None:
        """Describe them; `start` starts them.

        Args:
            engine: Where they run.
            name: What tells the task apart.
            definition: The task definition.
            surroundings: What they find there.
            region: The region they run in.
            checks: By what the intervals of health checks are multiplied.
        """
        self._engine, self._name, self._definition = engine, name, definition
        self._surroundings, self._region, self._checks = surroundings, region, checks
        self.parts = [Container(part) for part in firelens.ordered(definition["containerDefinitions"])]
        self._router = firelens.router_of(definition["containerDefinitions"])
        self.running = self.removed = self._kill = False
        self.address = ""
        self.ending: Ending | None = None
        self._healthy: dict[str, bool] = {part.name: "healthCheck" not in part.definition for part in self.parts}
        self._sick: set[str] = set()
        self._holder = ""
        self._volumes: list[str] = []
        self._mounted: dict[str, str] = {}
        self._routing: list[dict[str, Any]] = []
        self._socket_folder = ""
        self._lock, self._removing = threading.Lock(), threading.Lock()
        self._to_end = threading.Event()
        self._begun: threading.Thread | None = None

    @property
    def is_checked(self) -> bool:
        """Whether one of its essential containers has a health check."""
        return any("healthCheck" in part.definition and part.essential for part in self.parts)

    @property
    def healthy(self) -> bool:
        """Whether every health check that an essential container makes of itself has passed.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/healthcheck.html
        """
        return all(self._healthy[part.name] for part in self.parts if part.essential)

    def start(self) -> None:
        """Start them, and come back at once."""
        self._begun = threading.Thread(target=self._start, name=f"task {self._name}", daemon=True)
        self._begun.start()

    def stop(self, first: Callable[[], None]) -> None:
        """End them and remove what is left of them, and come back at once.

        Args:
            first: What is to be done before any of them is asked to end.
        """
        threading.Thread(target=self._stop, args=(first,), name=f"end of task {self._name}", daemon=True).start()

    # How they start.

    def _start(self) -> None:
        try:
            environments = [self._environment(part) for part in self.parts]
            self._pull()
            self._make_volumes()
            network = self._network()
            for part, environment in zip(self.parts, environments, strict=True):
                self._create(part, environment, network)
            for part in _in_order(self.parts):
                if self._await_others(part):
                    self._run(part)
            self.address = self._address()
            self.running = True
        except _Fault as fault:
            for part in self.parts:
                part.reason = fault.reason if part.name == fault.container else part.reason
            self._end(Ending("TaskFailedToStart", fault.reason, container_reason=fault.reason))
        except Exception as error:  # noqa: BLE001 - it is the task's end, whatever it is
            self._end(Ending("TaskFailedToStart", f"InternalError: {error}"))

    def _environment(self, part: Container) -> list[str]:
        given = {"AWS_EXECUTION_ENV": "AWS_ECS_FARGATE", "AWS_REGION": self._region, "AWS_DEFAULT_REGION": self._region}
        stands_in = self._surroundings.stands_in(str(part.definition["image"]))
        for file in () if stands_in else part.definition.get("environmentFiles", ()):
            try:
                given = {**self._surroundings.environment(file["value"]), **given}  # the first file wins
            except MissingSecret as missing:
                raise _Fault(
                    "ResourceInitializationError: failed to download env files: file download command: non empty error "
                    f"stream: {missing}",
                    part.name,
                ) from missing
        given |= {item["name"]: item["value"] for item in part.definition.get("environment", ())}
        secrets = [(secret["name"], secret["valueFrom"]) for secret in part.definition.get("secrets", ())]
        if self._router and part.name == self._router["name"]:
            secrets += firelens.secret_variables([each.definition for each in self.parts])
        if self._router and firelens.is_routed(part.definition):
            given |= firelens.VARIABLES
        for name, value_from in () if stands_in else secrets:  # it has no use for them
            try:
                given[name] = self._surroundings.secret(value_from)
            except MissingSecret as missing:
                raise _Fault(
                    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
                    f"retrieval failed: unable to retrieve secret: {missing}",
                    part.name,
                ) from missing
        return [f"{name}={value}" for name, value in given.items()]

    def _pull(self) -> None:
        for part in self.parts:
            image = str(part.definition["image"])
            if self._surroundings.stands_in(image):
                continue
            try:
                self._engine.pull(image, self._surroundings.credentials(image))
            except EngineRefusal as refusal:
                raise _Fault(f"CannotPullContainerError: {refusal.message}", part.name) from refusal

    def _make_volumes(self) -> None:
        for volume in self._definition.get("volumes", ()):
            if "efsVolumeConfiguration" in volume:
                self._mounted[volume["name"]] = self._surroundings.file_system(volume["efsVolumeConfiguration"])
                continue
            name = f"{self._name}-{volume['name']}"
            self._engine.ask("POST", "/volumes/create", {"Name": name, "Labels": {LABEL: self._name}})
            self._mounted[volume["name"]] = name
            self._volumes.append(name)
        if self._router:
            self._make_routing()

    def _make_routing(self) -> None:
        """The folder of the router's socket, and its configuration."""
        task = self._name.removeprefix("task-")
        name = f"firelens-{task[:12]}"  # short: a socket is in it
        made = self._engine.ask("POST", "/volumes/create", {"Name": name, "Labels": {LABEL: self._name}})
        self._volumes.append(name)
        self._socket_folder = str(made["Mountpoint"])
        path, text = firelens.configuration([part.definition for part in self.parts], task)
        self._routing = [
            {"Type": "volume", "Source": name, "Target": firelens.SOCKET_FOLDER},
            {
                "Type": "bind",
                "Source": self._surroundings.keep("firelens.conf", text),
                "Target": path,
                "ReadOnly": True,
            },
        ]

    def _network(self) -> str:
        """What the containers get for a network: several share one, as tasks do with `awsvpc`."""
        if len(self.parts) == 1:
            return "bridge"
        wanted = {
            "Image": self._surroundings.stands_in(HOLDER),
            "Labels": {LABEL: self._name},
            "HostConfig": {"Init": True, **self._names},
        }
        self._holder = self._engine.ask("POST", f"/containers/create?name={self._name}-network", wanted)["Id"]
        self._engine.ask("POST", f"/containers/{self._holder}/start")
        return f"container:{self._holder}"

    @property
    def _names(self) -> dict[str, Any]:
        """What whoever has a network of its own is told of names."""
        return {"ExtraHosts": list(self._surroundings.hosts), "Dns": list(self._surroundings.name_servers)}

    def _create(self, part: Container, environment: Sequence[str], network: str) -> None:
        own = part.definition
        stands_in = self._surroundings.stands_in(str(own["image"]))
        image = stands_in or str(own["image"])
        wanted: dict[str, Any] = {
            "Image": image,
            "Env": list(environment),
            "Labels": {**own.get("dockerLabels", {}), LABEL: self._name},
            "StopTimeout": own.get("stopTimeout", _STOP_TIMEOUT),
            "HostConfig": self._host(own, image, network),
        }
        given = {} if stands_in else own  # of another image they make no sense
        self._healthy[part.name] |= bool(stands_in)
        for key, name in (
            ("command", "Cmd"),
            ("entryPoint", "Entrypoint"),
            ("user", "User"),
            ("workingDirectory", "WorkingDir"),
        ):
            if given.get(key):
                wanted[name] = given[key]
        if check := given.get("healthCheck"):
            wanted["Healthcheck"] = {
                "Test": check["command"],
                "Interval": self._nanoseconds(check.get("interval", 30)),
                "Timeout": check.get("timeout", 5) * _SECOND,
                "Retries": check.get("retries", 3),
                "StartPeriod": self._nanoseconds(check.get("startPeriod", 0)),
            }
        try:
            made = self._engine.ask("POST", f"/containers/create?name={self._name}-{part.name}", wanted)
        except EngineRefusal as refusal:
            raise _Fault(f"CannotCreateContainerError: Error response from daemon: {refusal.message}", part.name) from (
                refusal
            )
        part.identity = made["Id"]

    def _nanoseconds(self, seconds: float) -> int:
        return round(max(seconds * self._checks, 0.05) * _SECOND) if seconds else 0

    def _host(self, own: Mapping[str, Any], image: str, network: str) -> dict[str, Any]:
        """What a container gets of the machine."""
        linux = own.get("linuxParameters", {})
        sizes = [int(size) for size in (own.get("memory"), self._definition.get("memory")) if size]
        memory = min(sizes, default=0) * _MEBIBYTE
        kept = linux.get("capabilities", {})
        return {
            "NetworkMode": network,
            **({} if self._holder else self._names),
            "ReadonlyRootfs": bool(own.get("readonlyRootFilesystem")),
            "Memory": memory,
            "MemorySwap": memory,
            "Init": bool(linux.get("initProcessEnabled")),
            "CapAdd": kept.get("add", []),
            "CapDrop": kept.get("drop", []),
            "Ulimits": [
                {
                    "Name": limit["name"],
                    "Soft": _allowed(limit["name"], limit["softLimit"]),
                    "Hard": _allowed(limit["name"], limit["hardLimit"]),
                }
                for limit in own.get("ulimits", ())
            ],
            "Mounts": [
                *(self._mount(image, mount) for mount in own.get("mountPoints", ())),
                *(self._routing if self._router and own["name"] == self._router["name"] else ()),
            ],
            **({"LogConfig": self._log_driver(own)} if self._router and firelens.is_routed(own) else {}),
        }

    def _log_driver(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """The engine keeps what it hands on, so that it can be read here, too."""
        return firelens.log_driver(own, self._name.removeprefix("task-"), self._socket_folder)

    def _mount(self, image: str, mount: Mapping[str, Any]) -> dict[str, Any]:
        """An ephemeral volume: root's and empty, unless the image declares a volume at the same path.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html
        """
        path = mount["containerPath"]
        declared = self._engine.ask("GET", f"/images/{image}/json")["Config"].get("Volumes") or {}
        return {
            "Type": "volume",
            "Source": self._mounted[mount["sourceVolume"]],
            "Target": path,
            "ReadOnly": bool(mount.get("readOnly")),
            "VolumeOptions": {"NoCopy": path not in declared},
        }

    def _await_others(self, part: Container) -> bool:
        """Wait for what ``dependsOn`` asks of containers that have been started before; return whether it came.

        A container whose dependencies can never be met does not start: as if it had been asked to end.
        https://github.com/aws/amazon-ecs-agent/pull/3218
        """
        for condition in part.definition.get("dependsOn", ()):
            other = next(found for found in self.parts if found.name == condition["containerName"])
            wanted = condition["condition"]
            while not self._to_end.is_set() and not self._met(other, wanted):
                if problem := self._never(other, wanted):
                    part.exit_code, part.reason = _ASKED_TO_END, _unmet(other, part, problem)
                    if part.essential:
                        self._end(_exited(part))
                    return False
                time.sleep(_STEP)
        return not self._to_end.is_set()

    def _met(self, other: Container, wanted: str) -> bool:
        match wanted:
            case "HEALTHY":
                return self._healthy[other.name]
            case "COMPLETE":
                return other.exit_code is not None
            case "SUCCESS":
                return other.exit_code == 0
            case _:
                return bool(other.watched) or other.exit_code is not None

    def _never(self, other: Container, wanted: str) -> str:
        """Why a condition that is not met will never be; empty as long as it may."""
        if wanted == "SUCCESS" and other.exit_code:
            return "did not exit successfully"
        if wanted == "HEALTHY" and (other.exit_code is not None or other.name in self._sick):
            return "is not healthy"
        return ""

    def _run(self, part: Container) -> None:
        try:
            self._engine.ask("POST", f"/containers/{part.identity}/start")
        except EngineRefusal as refusal:
            raise _Fault(f"CannotStartContainerError: Error response from daemon: {refusal.message}", part.name) from (
                refusal
            )
        watchers = [self._read, self._await_end]
        if not self._healthy[part.name]:
            watchers.append(self._ask_health)
        for watcher in watchers:
            thread = threading.Thread(target=watcher, args=(part,), name=f"{self._name} {part.name}", daemon=True)
            thread.start()
            part.watched.append(thread)

    def _address(self) -> str:
        found = self._engine.ask("GET", f"/containers/{self._holder or self.parts[0].identity}/json")
        return str(found["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])

    # What is seen of them while they run.

    def _read(self, part: Container) -> None:
        rest = b""
        try:
            for piece in self._engine.log(part.identity):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._surroundings.write(part.name, line.decode(errors="replace").rstrip("\r"))
        except (OSError, EngineRefusal):
            pass  # the engine has gone
        if rest:
            self._surroundings.write(part.name, rest.decode(errors="replace"))

    def _await_end(self, part: Container) -> None:
        try:
            code = int(self._engine.ask("POST", f"/containers/{part.identity}/wait", timeout=None)["StatusCode"])
            state = self._engine.ask("GET", f"/containers/{part.identity}/json")["State"]
        except (OSError, EngineRefusal):
            return  # the engine has gone
        part.watched[0].join(timeout=2)  # what it has written last is known with its end
        part.reason = _OUT_OF_MEMORY if state.get("OOMKilled") else part.reason
        part.exit_code = code
        if part.essential:
            self._end(_exited(part))

    def _ask_health(self, part: Container) -> None:
        while part.exit_code is None:
            try:
                state = self._engine.ask("GET", f"/containers/{part.identity}/json")["State"]["Health"]["Status"]
            except (OSError, EngineRefusal):
                return  # it has gone
            self._healthy[part.name] = state == "healthy"
            if state == "unhealthy":
                self._sick.add(part.name)
                if part.essential:
                    self._end(Ending("ServiceSchedulerInitiated", _UNHEALTHY))
            time.sleep(_STEP)

    def _end(self, ending: Ending) -> None:
        with self._lock:
            if self.ending is None and not self._to_end.is_set():
                self.ending = ending

    # How they end.

    def kill(self) -> None:
        """End them at once and remove what is left of them, and come back at once."""
        self._kill = True
        self.stop(lambda: None)

    def _stop(self, first: Callable[[], None]) -> None:
        if self._begun is not None:
            self._to_end.set()
            self._begun.join()
        with contextlib.suppress(OSError, RuntimeError):  # the load balancer may have ended before
            first()
        ends: dict[str, threading.Thread] = {}
        for part in reversed(list(_in_order(self.parts))):  # what depends on another ends before it
            before = [ends[name] for name in self._dependents(part)]
            ends[part.name] = threading.Thread(target=self._stop_one, args=(part, before), daemon=True)
            ends[part.name].start()
        for thread in ends.values():
            thread.join()
        self._remove()
        self.removed = True

    def _dependents(self, part: Container) -> list[str]:
        """The containers that depend on this one."""
        return [
            other.name
            for other in self.parts
            if part.name in (condition["containerName"] for condition in other.definition.get("dependsOn", ()))
        ]

    def _stop_one(self, part: Container, before: Sequence[threading.Thread]) -> None:
        for thread in before:
            thread.join()
        if not part.identity:
            return
        try:
            timeout = 0 if self._kill else part.definition.get("stopTimeout", _STOP_TIMEOUT)
            self._engine.ask("POST", f"/containers/{part.identity}/stop?t={timeout}", timeout=timeout + _STOP_TIMEOUT)
        except (OSError, EngineRefusal):
            pass  # it never ran, or the engine has gone
        for thread in part.watched:
            thread.join(timeout=5)

    def _remove(self) -> None:
        paths = [f"/containers/{found}?force=1&v=1" for found in (*self._identities(), self._holder) if found]
        with self._removing:  # a removal that another has begun is refused, and not awaited
            for path in (*paths, *(f"/volumes/{volume}?force=1" for volume in self._volumes)):
                with contextlib.suppress(OSError, EngineRefusal):  # it has gone, or the engine has
                    self._engine.ask("DELETE", path)

    def _identities(self) -> Iterator[str]:
        yield from (part.identity for part in self.parts)

    def final(self, ending: Ending) -> Ending:
        """An ending with what is known when nothing runs any more."""
        ran = [part for part in self.parts if part.exit_code is not None]
        first = next((part for part in ran if part.essential), None)
        if ending.exit_code is not None or first is None:
            return ending
        return replace(ending, exit_code=first.exit_code, container_reason=ending.container_reason or first.reason)


def _allowed(limit: str, wanted: int) -> int:
    """A limit as far as this machine may set it."""
    own = resource.getrlimit(getattr(resource, f"RLIMIT_{limit.upper()}"))[1]
    return wanted if own == resource.RLIM_INFINITY else min(wanted, own)


def _exited(part: Container) -> Ending:
    """The end of a task whose essential container has ended."""
    return Ending("EssentialContainerExited", _EXITED, exit_code=part.exit_code, container_reason=part.reason)


def _unmet(other: Container, part: Container, problem: str) -> str:
    """Why a container does not start, in the words of ECS's agent."""
    ended = f" - Exit: {other.exit_code}" if other.exit_code is not None else ""
    return (
        "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency "
        f"[{other.name}({other.definition['image']}) (STOPPED->RUNNING){ended}] for target "
        f"[{part.name}({part.definition['image']}) (NONE->RUNNING)] as dependency {problem}"
    )


def _in_order(parts: Sequence[Container]) -> Iterator[Container]:
    """Each container after those it depends on."""
    left = list(parts)
    started: set[str] = set()
    while left:
        ready = [
            part
            for part in left
            if {condition["containerName"] for condition in part.definition.get("dependsOn", ())} <= started
        ]
        if not ready:
            names = ", ".join(part.name for part in left)
            raise _Fault(f"ResourceInitializationError: {names} depend on each other")
        yield ready[0]
        started.add(ready[0].name)
        left.remove(ready[0])
