"""A stack whose hosting runs for real, for the tests of what becomes of its deployments."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from delivered_stack import DeliveredStack
from mocked import REGION

from components.engines import ENGINES
from local.rehearsal.code_deploy import BlueGreen
from local.rehearsal.emulated import Refused
from local.rehearsal.hosting import Hosting, Pace, Secrets, Visitor, hosting_from_graph
from local.rehearsal.hosting.namespaces import Namespaces
from local.rehearsal.images import Entry, Image, busybox, image, layer
from local.rehearsal.job_sandbox import JobSandbox

PACE = Pace(waits=0.003, checks=0.04, grace=0.04, least_grace=5)
PORT = "8080"


def app(version: str, *, health: bool = True, port: str = PORT) -> Image:
    """A web server that answers with its version; without health all its answers are 404."""
    files = {"srv/index.html": Entry(version.encode()), "srv/healthz": Entry(b"well")} if health else {"srv/a": Entry()}
    return image(busybox(), layer(files), Entrypoint=["httpd", "-f", "-p", port, "-h", "/srv"])


class Running:
    """A stack whose service answers.

    Attributes:
        hosting: Its hosting.
        visitor: A client that asks all the time; without a load balancer it asks nobody.
    """

    def __init__(self, stack: DeliveredStack, sandbox: JobSandbox, hosting: Hosting, visitor: Visitor) -> None:
        self._stack, self._sandbox, self.hosting, self.visitor = stack, sandbox, hosting, visitor
        self.ended: list[BlueGreen] = []

    @property
    def port(self) -> str:
        """Where the load balancer looks for a task."""
        return str(self.hosting.service.load_balancers[0]["containerPort"])

    def register(self, uri: str, *beside: dict[str, object], **changes: object) -> str:
        """A revision of the stack's task definition with this image; returns its ARN."""
        definition = self._stack.whole
        definition["containerDefinitions"] += beside
        for taking in definition["containerDefinitions"]:
            if taking["image"] == "<IMAGE>":
                taking["image"] = uri
        container = definition["containerDefinitions"][0]
        container |= {"image": uri, "secrets": [], "stopTimeout": 2, **changes}
        answer = self.hosting.ecs.owner("RegisterTaskDefinition", **definition)
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def push(self, what: Image) -> str:
        """Put an image into the stack's repository; returns its reference by digest."""
        name = self._stack.repository.partition("/")[2]
        return f"{self._stack.repository}@{self._sandbox.registry(region=REGION).push(name, what)}"

    def deploy(self, uri: str, *beside: dict[str, object], **changes: object) -> str:
        """Deploy an image as the pipeline does; returns the revision's name.

        Args:
            uri: Its reference.
            beside: More containers of the task.
            changes: Of the application's container.
        """
        return self.move_to(self.register(uri, *beside, **changes))

    def move_to(self, revision: str) -> str:
        """Deploy a revision of the task definition as the pipeline does; returns its name."""
        if self.hosting.code_deploy is not None:
            self.hosting.code_deploy.deploy(revision, self.ended.append)
        else:
            service = self.hosting.service
            where = {"cluster": service.cluster.rpartition("/")[2], "service": service.name}
            said: dict[str, Any] = {}
            if self._stack.deployed.action("DeployService").project:  # CodePipeline's own action says nothing of it
                variables = self._stack.variables("DeployService")
                said = {"deploymentConfiguration": json.loads(variables["DEPLOYMENT_CONFIGURATION"])}
                if connect := variables["SERVICE_CONNECT"]:
                    said["serviceConnectConfiguration"] = json.loads(connect)
            self.hosting.ecs.owner("UpdateService", **where, **said, taskDefinition=revision)
        return revision.rpartition("/")[2]

    def settled(self) -> str:
        """Wait for the end of the newest deployment; returns its status."""
        await_(
            lambda: self._status() not in ("", "PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_REQUESTED")
        )
        return self._status()

    def _status(self) -> str:
        if self.hosting.code_deploy is not None:
            return self.ended[-1].status if self.ended else ""
        return self.hosting.service.deployments[0].status

    def visited(self) -> list[str]:
        """Ask for a little longer; returns the versions that have answered since, and checks that none has failed."""
        before = len(self.visitor.visits)
        await_(lambda: len(self.visitor.visits) > before + 10)
        assert not self.visitor.failed, self.visitor.failed[:3]
        return sorted({visit.version for visit in self.visitor.visits[before + 1 :]})

    def stopped(self, revision: str) -> list[dict[str, Any]]:
        """The stopped tasks of a revision as ECS describes them, the oldest first."""
        await_(lambda: not any(task.stop_code and not task.stopped for task in self.hosting.service.tasks))
        where = {"cluster": self.hosting.service.cluster.rpartition("/")[2]}
        ecs = self.hosting.ecs
        arns = ecs.owner("ListTasks", **where, desiredStatus="STOPPED")["taskArns"]
        found = ecs.owner("DescribeTasks", **where, tasks=arns)["tasks"]
        return [task for task in reversed(found) if task["taskDefinitionArn"].endswith(f"/{revision}")]

    def log(self, task: Mapping[str, Any]) -> list[str]:
        """What a task's first container has written, as CloudWatch Logs has it."""
        container = self._stack.whole["containerDefinitions"][0]
        options = container["logConfiguration"]["options"]
        stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task['taskArn'].rpartition('/')[2]}"
        where = {"logGroupName": options["awslogs-group"], "logStreamName": stream}
        try:
            events = self.hosting.logs.owner("GetLogEvents", **where)["events"]
        except Refused as refused:
            if refused.code != "ResourceNotFoundException":
                raise
            return []  # CloudWatch makes a stream with its first line
        return [event["message"] for event in events]


def await_(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


@cache
def planned(name: str, strategy: str, engine: str) -> DeliveredStack:
    """A stack that deploys by this strategy."""
    deploy: dict[str, object] = {"engine": engine, "testTraffic": None}  # there is no job that would give the word
    if strategy != ENGINES[engine].strategies[0]:  # a deployment group that is there already has its own
        deploy["strategy"] = strategy
    if strategy in ("canary", "linear"):
        deploy["step"] = {"percent": 50 if strategy == "canary" else 40, "intervalMinutes": 20}
    return DeliveredStack(name, {"deploy": deploy})


@contextmanager
def running(
    sandbox: JobSandbox,
    folder: Path,
    stack: DeliveredStack,
    *,
    pace: Pace = PACE,
    secrets: Secrets | None = None,
    namespaces: Namespaces | None = None,
) -> Iterator[Running]:
    """Let a stack's service run, and see that nothing of it is left afterwards."""
    sandbox.repository(stack.repository.partition("/")[2], region=REGION)
    before = left_on(sandbox)  # other tests' builders may be there
    with ExitStack() as ends:
        given = hosting_from_graph(stack.graph, sandbox, folder, pace=pace, secrets=secrets, namespaces=namespaces)
        hosting = ends.enter_context(given)
        visitor = ends.enter_context(hosting.visitor()) if hosting.balancer else Visitor("http://nobody.example")
        yield Running(stack, sandbox, hosting, visitor)
    if namespaces is not None:
        return  # another stack may be there still
    assert left_on(sandbox) <= before
    assert "198.18." not in on(sandbox, "ip", "address")
    await_(lambda: "haproxy" not in on(sandbox, "ps", "-e", "-o", "args"), seconds=5)


def left_on(sandbox: JobSandbox) -> set[str]:
    """The containers and volumes of the engine."""
    said = (sandbox.docker(*words).stdout for words in (("ps", "--all", "--quiet"), ("volume", "ls", "--quiet")))
    return {line for text in said for line in text.splitlines()}


def on(sandbox: JobSandbox, *command: str) -> str:
    """What a command on the machine prints."""
    return subprocess.run([*sandbox.enter, *command], capture_output=True, text=True, check=True).stdout


_FETCH = """
import http.client, ssl, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
given = {"context": ssl.create_default_context(cafile=sys.argv[2])} if url.scheme == "https" else {}
connection = kind(url.netloc, timeout=10, **given)
connection.request("GET", url.path or "/")
answer = connection.getresponse()
print(answer.status, answer.headers.get("location", ""), answer.read().decode().strip())
"""


def fetched(sandbox: JobSandbox, url: str) -> str:
    """Status, location and body of what a program on the machine is answered."""
    return on(sandbox, sys.executable, "-c", _FETCH, url, str(sandbox.certificates)).strip()
