"""The job that runs the smoke test as one task beside the service: executed, under the policies of its own role.

Two tests let the task run as a container, against a service that answers; in the others what becomes of it is scripted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from delivered_stack import Builder, DeliveredStack, artifact
from hosted import app, running
from mocked import ACCOUNT, REGION
from rehearsing import in_this_process

from components.jobs.buildspec import FOLDER
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.codebuild import Result
from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.ecs.state import Task
from local.rehearsal.emulated import allows, serving
from local.rehearsal.images import Image, busybox, image
from local.rehearsal.job_sandbox import JobSandbox
from local.rehearsal.logs import Logs

ACTION = "RunSmokeTest"
DIGEST = f"sha256:{'5' * 64}"
ON_FARGATE = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}}
ON: Mapping[str, Mapping[str, object]] = {"build": {"smokeTest": {"enabled": True}}, "tests": {"enabled": True}}
EXISTING = {"cluster": "shop", "service": "shop", "executionRole": "shop", "serviceUrl": "http://shop.example.com"}
STACKS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "dev": {},
    "everything-on": {},
    "ecs-native": ON,
    "classic": {**ON, "hosting": {"existing": EXISTING}},
}
"""A stack for each engine, of hosting made here and of hosting that exists."""


@cache
def planned(name: str) -> DeliveredStack:
    """A stack with a smoke test."""
    return DeliveredStack(name, STACKS[name])


class SmokeTest:
    """A stack with an ECS that runs its service, and a smoke-test image."""

    def __init__(self, stack: DeliveredStack, builder: Builder, folder: Path, ecs: Ecs, logs: Logs) -> None:
        self.stack, self.builder, self.ecs, self.logs = stack, builder, ecs, logs
        self._folder, self._builds, self.url = folder, 0, ""
        self.variables = stack.variables(ACTION)
        self.cluster = self.variables["CLUSTER"]
        self.repository = self.variables["IMAGE_REPOSITORY_URI"]

    @property
    def tasks(self) -> list[Task]:
        """The tasks that the job has run, the oldest first."""
        return self.ecs.standalone(self.cluster)

    def files(self, digest: str = DIGEST) -> Path:
        """The artifact of a built smoke-test image."""
        self._builds += 1
        uri = f"{self.repository}@{digest}"
        facts = {"repository": self.repository, "digest": digest, "uri": uri}
        return artifact(self._folder / f"image-{self._builds}", image_json=facts)

    def run(self, *, digest: str = DIGEST, without: str = "", **given: str) -> Result:
        """Run the job."""
        self.ecs.policies = self.logs.policies = self.builder.policies(ACTION, without=without)
        return self.builder.run(
            ACTION,
            {"SmokeTestImage": self.files(digest)},
            digest=digest,
            without=without,
            variables=given,
            AWS_ENDPOINT_URL_ECS=self.url,
            AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=self.url,
        )

    def environment(self, digest: str = DIGEST) -> dict[str, str]:
        """What the job's script finds when it is started without its machine."""
        self.ecs.policies = self.logs.policies = self.builder.policies(ACTION)
        place = {"PATH": self.builder._path, "AWS_DEFAULT_REGION": REGION, "IMAGE_DIGEST": digest}
        urls = {f"AWS_ENDPOINT_URL_{name}": self.url for name in ("ECS", "CLOUDWATCH_LOGS")}
        return {**self.variables, **self.builder.credentials(ACTION), **place, **urls}

    def behaves(self, behaviour: Behaviour) -> None:
        """What becomes of the task."""
        self.ecs.behaviours[f"{self.repository}@{DIGEST}"] = behaviour

    def called(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of each request of this kind."""
        return [call.parameters for call in self.ecs.calls if call.operation == operation]


Ready = Callable[..., SmokeTest]


@pytest.fixture
def ready(aws: AwsServices, warm_aws_cli: Path, tmp_path: Path) -> Iterator[Ready]:
    """Make ready what a stack tests; its ECS is on the network until the test ends."""

    def made(name: str = "dev", **served: Any) -> SmokeTest:  # noqa: ANN401 - as DeliveredStack.serve takes them
        stack, ecs = planned(name), Ecs(region=REGION, pace=1)
        stack.serve(ecs, **{"networkConfiguration": ON_FARGATE, **served})
        found = SmokeTest(stack, Builder(stack, aws, warm_aws_cli, tmp_path / "machine"), tmp_path, ecs, Logs(ecs))
        found.url = ends.enter_context(serving(ecs, found.logs))
        found.behaves(Behaviour.COMPLETES)
        return found

    with ExitStack() as ends:
        yield made


@pytest.mark.parametrize("stack", STACKS)
def test_one_task_runs_where_the_service_s_tasks_do(ready: Ready, stack: str) -> None:
    test = ready(stack)
    service = test.ecs.service(test.variables["SERVICE"], test.cluster)
    before = service.running

    result = test.run()

    assert result.succeeded, result.log
    (asked,) = test.called("RunTask")
    family = json.loads(test.variables["TASK_DEFINITION"])["family"]
    assert asked["taskDefinition"].endswith(f":task-definition/{family}:1")
    assert (asked["launchType"], asked["networkConfiguration"]) == ("FARGATE", ON_FARGATE)
    registered = test.ecs.owner("DescribeTaskDefinition", taskDefinition=family)["taskDefinition"]
    assert "taskRoleArn" not in registered
    (container,) = registered["containerDefinitions"]
    assert container["image"] == f"{test.repository}@{DIGEST}"
    assert container["environment"] == [{"name": "SERVICE_URL", "value": test.variables["SERVICE_URL"]}]
    (task,) = test.tasks
    assert task.status == "STOPPED"
    assert service.running == before
    assert f"The smoke test of {test.variables['SERVICE_URL']} passed, as task {task.identity}." in result.log


def test_it_fits_a_service_on_instances_without_networks_of_their_own(ready: Ready) -> None:
    test = ready("everything-on")
    definition = {**test.stack.running, "networkMode": "bridge", "requiresCompatibilities": ["EC2"]}
    for part in definition["containerDefinitions"]:
        part["image"] = "public.ecr.aws/docker/library/busybox:1"
    on_instances = Ecs(region=REGION, pace=1)
    test.stack.serve(on_instances, definition=definition)
    with serving(on_instances, Logs(on_instances)) as url:
        test.ecs, test.url, test.logs = on_instances, url, Logs(on_instances)
        test.behaves(Behaviour.COMPLETES)
        result = test.run()
    assert result.succeeded, result.log
    (asked,) = test.called("RunTask")
    assert asked["launchType"] == "EC2"
    assert "networkConfiguration" not in asked


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        pytest.param(Behaviour.CRASH, ("ended with code 1; its log is above", "KeyError"), id="its own fault"),
        pytest.param(Behaviour.CANNOT_PULL, ("the image is not in the registry", "it did not run"), id="no image"),
        pytest.param(Behaviour.OUT_OF_MEMORY, ("raise tests.smokeTestTask.memory", "exit code 137"), id="its memory"),
    ],
)
def test_one_that_fails_fails_the_run_and_says_why(ready: Ready, behaviour: Behaviour, says: tuple[str, ...]) -> None:
    test = ready()
    test.behaves(behaviour)
    result = test.run()
    assert not result.succeeded
    for text in (*says, "The new version serves already."):
        assert text in result.log
    assert [task.status for task in test.tasks] == ["STOPPED"]


def test_one_that_takes_too_long_is_stopped(
    ready: Ready, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    test = ready()
    test.behaves(Behaviour.HEALTHY)
    monkeypatch.chdir(test.files())
    monkeypatch.setattr(signal, "signal", lambda *_given: None)
    main = in_this_process(monkeypatch, "run_smoke_test", test.environment(), seconds=60, waits="standalone_task")

    with pytest.raises(SystemExit):
        main()

    (task,) = test.tasks
    assert (task.status, task.stop_code) == ("STOPPED", "UserInitiated")
    assert "took longer than 10 minutes (tests.timeoutMinutes) and was stopped" in capsys.readouterr().err


def ended_by(test: SmokeTest, number: signal.Signals) -> tuple[int, str]:
    """Send a signal to the job while it waits for its task; returns its exit code and its last words."""
    test.behaves(Behaviour.HEALTHY)
    with subprocess.Popen(
        [sys.executable, "-S", str(FOLDER), "run-smoke-test"],
        cwd=test.files(),
        env=test.environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while len(test.called("DescribeTasks")) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=60)
    return process.returncode, said


def test_a_job_that_is_asked_to_end_leaves_no_task_behind(ready: Ready) -> None:
    test = ready()
    code, said = ended_by(test, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert "the job was asked to end (SIGTERM)" in said
    assert [task.stop_code for task in test.tasks] == ["UserInitiated"]


def test_what_a_job_has_left_is_stopped_by_the_next(ready: Ready) -> None:
    """Its machine died."""
    test = ready()
    ended_by(test, signal.SIGKILL)
    (first,) = test.tasks
    assert first.status == "RUNNING"
    test.behaves(Behaviour.COMPLETES)

    result = test.run()

    assert result.succeeded, result.log
    assert first.stopped_reason == "A newer smoke test begins."
    assert [task.status for task in test.tasks] == ["STOPPED", "STOPPED"]


@pytest.mark.parametrize(
    "permission",
    [
        "ecs:RunTask",
        "iam:PassRole",
        "ecs:RegisterTaskDefinition",
        "ecs:TagResource",
        "ecs:ListTasks",
        "ecs:DescribeServices",
        "logs:GetLogEvents",
    ],
)
def test_a_permission_that_is_missing_is_named(ready: Ready, permission: str) -> None:
    """The log alone is worth no failure."""
    result = ready().run(without=permission)
    assert f"not authorized to perform: {permission}" in result.log
    assert result.succeeded == (permission == "logs:GetLogEvents")


def test_the_job_may_run_and_stop_no_other_task_than_its_own(ready: Ready) -> None:
    test = ready()
    assert test.run().succeeded
    (own,) = test.tasks
    service = test.ecs.service(test.variables["SERVICE"], test.cluster)
    policies = test.builder.policies(ACTION)

    def may(operation: str, **parameters: str) -> bool:
        needs = test.ecs.needs(operation, {"cluster": test.cluster, **parameters})
        return all(allows(policies, need, account=ACCOUNT, region=REGION) for need in needs)

    assert may("StopTask", task=own.arn)
    assert not may("StopTask", task=service.tasks[0].arn)
    assert may("RunTask", taskDefinition=own.definition["family"])
    assert not may("RunTask", taskDefinition=service.tasks[0].definition["family"])


def smoke(script: str) -> Image:
    """A smoke-test image."""
    return image(busybox(), Cmd=["/bin/sh", "-c", script])


@pytest.mark.parametrize("stack", ["dev", "classic"])
def test_it_runs_as_a_container_that_reaches_the_service_by_its_address(
    sandbox: JobSandbox, warm_aws_cli: Path, tmp_path: Path, stack: str
) -> None:
    """Its exit code is the job's, and what it prints is the job's log."""
    with running(sandbox, tmp_path / "hosting", planned(stack)) as service:
        hosting = service.hosting
        service.deploy(service.push(app("2.0")))
        assert service.settled() in ("Succeeded", "SUCCESSFUL")
        test = SmokeTest(
            planned(stack),
            Builder(planned(stack), sandbox.aws, warm_aws_cli, tmp_path / "machine"),
            tmp_path,
            hosting.ecs,
            hosting.logs,
        )
        name = test.repository.partition("/")[2]
        sandbox.repository(name, region=REGION)
        asks = 'found=$(wget -qO- "$SERVICE_URL/") && echo "it answers $found" && test "$found" ='
        good, bad = (sandbox.registry(region=REGION).push(name, smoke(f"{asks} {wanted}")) for wanted in ("2.0", "3.0"))
        with serving(*hosting.emulators) as test.url:
            passed, failed = test.run(digest=good), test.run(digest=bad)
    assert passed.succeeded, passed.log
    assert "  | it answers 2.0" in passed.log
    assert not failed.succeeded
    assert "  | it answers 2.0" in failed.log
    assert "ended with code 1; its log is above" in failed.log
    assert [task.exit_code for task in test.tasks] == [0, 1]
    identities = {task.identity for task in hosting.service.tasks}
    assert not identities & {task.identity for task in test.tasks}
