"""The job that runs the smoke test as one task: each really runs, against a stand-in of aws.

tests/rehearsal executes it as a whole.
"""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from fake_tools import DIGEST, OTHER_DIGEST, REPOSITORY, Machine, image, module

FAMILY = "shop-dev_smoke-test"
TASK = "arn:aws:ecs:eu-west-1:123456789012:task/main/1"
LEFT = "arn:aws:ecs:eu-west-1:123456789012:task/main/2"
REGISTERED = f"arn:aws:ecs:eu-west-1:123456789012:task-definition/{FAMILY}:3"
URL = "https://shop.example.com"
LOG = {
    "awslogs-group": "/ecs/shop-dev/smoke-test",
    "awslogs-region": "eu-west-1",
    "awslogs-stream-prefix": "smoke-test",
}
STATED: dict[str, Any] = {
    "family": FAMILY,
    "cpu": "256",
    "memory": "512",
    "executionRoleArn": "arn:aws:iam::123456789012:role/shop-smoke-test",
    "containerDefinitions": [
        {"name": "smoke-test", "essential": True, "logConfiguration": {"logDriver": "awslogs", "options": LOG}}
    ],
}
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
FARGATE = {"status": "ACTIVE", "launchType": "FARGATE", "networkConfiguration": NETWORK}


def task(arn: str = TASK, *, status: str = "STOPPED", code: int | None = 0, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A task as ECS describes it; by default it has passed."""
    container = {"name": "smoke-test"} | ({"exitCode": code} if code is not None else {})
    ended = {"stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited"}
    shared = {"taskArn": arn, "createdAt": time.time(), "lastStatus": status, "containers": [container]}
    return {**shared, **(ended if status == "STOPPED" else {}), **more}


def running(arn: str = TASK, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A task that was started just now."""
    return task(arn, status="RUNNING", code=None, **more)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a built smoke-test image, whose service runs on Fargate, and no task of an earlier run."""
    made = Machine(tmp_path)
    made.file("image.json", image())
    made.variables = {
        "IMAGE_REPOSITORY_URI": REPOSITORY,
        "IMAGE_DIGEST": DIGEST,
        "SERVICE_URL": URL,
        "CLUSTER": "main",
        "SERVICE": "shop",
        "TASK_DEFINITION": json.dumps(STATED),
        "TASK_TAG": "ecs-delivery-task",
        "TIMEOUT_MINUTES": "12",
    }
    return made


def starts(
    machine: Machine, *answers: dict[str, Any], service: object = None, left: tuple[str, ...] = (), log: str = ""
) -> None:
    """ECS runs a task, of which it says this, one answer after the other; the last one for good."""
    found = FARGATE if service is None else service
    machine.answer("aws ecs describe-services", {"services": [found] if found else []})
    machine.answer("aws ecs list-tasks --desired-status RUNNING", {"taskArns": list(left)})
    machine.answer("aws ecs list-tasks --desired-status STOPPED", {"taskArns": []})
    machine.answer("aws ecs register-task-definition", {"taskDefinition": {"taskDefinitionArn": REGISTERED}})
    machine.answer("aws ecs run-task", {"tasks": [task(status="PROVISIONING", code=None)], "failures": []})
    machine.answer("aws ecs stop-task", {"task": {}})
    machine.answer("aws logs get-log-events", {"events": [{"message": log}] if log else []})
    for answer in answers[:-1]:
        machine.answer("aws ecs describe-tasks", {"tasks": [answer]}, times=1)
    machine.answer("aws ecs describe-tasks", {"tasks": [answers[-1]]} if answers else {"tasks": []})


def run(machine: Machine, **variables: str) -> "subprocess.CompletedProcess[str]":
    return machine.run("run_smoke_test", **variables)


def test_one_task_of_the_delivered_image_gets_the_service_and_its_log_is_shown(machine: Machine) -> None:
    starts(machine, running(), task(), log="GET / 200")

    result = run(machine, SERVICE_URL="https://shop.example/it's")

    assert result.returncode == 0, result.stderr
    assert "  | GET / 200" in result.stdout
    assert result.stdout.splitlines()[-1] == "The smoke test of https://shop.example/it's passed, as task 1."
    definition = machine.json("task.json")
    (container,) = definition.pop("containerDefinitions")
    assert container == {
        **STATED["containerDefinitions"][0],
        "image": f"{REPOSITORY}@{DIGEST}",
        "environment": [{"name": "SERVICE_URL", "value": "https://shop.example/it's"}],
    }
    stated = {key: value for key, value in STATED.items() if key != "containerDefinitions"}
    assert definition == {**stated, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"]}
    (call,) = machine.called("aws ecs run-task")
    assert call.after("--task-definition") == [REGISTERED]
    assert call.after("--tags") == [f"key=ecs-delivery-task,value={FAMILY}"]
    assert call.after("--launch-type") == ["FARGATE"]
    assert json.loads(call.after("--network-configuration")[0]) == NETWORK
    assert machine.called("aws ecs stop-task") == []
    (stream,) = machine.called("aws logs get-log-events")[0].after("--log-stream-name")
    assert stream == "smoke-test/smoke-test/1"


@pytest.mark.parametrize(
    ("service", "mode", "runs_on"),
    [
        pytest.param({"launchType": "FARGATE", "networkConfiguration": NETWORK}, "awsvpc", "FARGATE", id="Fargate"),
        pytest.param(
            {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}], "networkConfiguration": NETWORK},
            "awsvpc",
            "FARGATE",
            id="Fargate Spot",
        ),
        pytest.param({"launchType": "EC2", "networkConfiguration": NETWORK}, "awsvpc", "EC2", id="instances"),
        pytest.param({"launchType": "EC2"}, "bridge", "EC2", id="instances without a network of their own"),
        pytest.param({"capacityProviderStrategy": [{"capacityProvider": "mine"}]}, "bridge", "EC2", id="a provider"),
        pytest.param({"launchType": "EXTERNAL"}, "bridge", "EXTERNAL", id="ECS Anywhere"),
    ],
)
def test_the_definition_fits_where_the_tasks_of_the_service_run(
    service: dict[str, Any], mode: str, runs_on: str
) -> None:
    made = module("run_smoke_test").definition_of(STATED, "image", URL, service)
    assert (made["networkMode"], made["requiresCompatibilities"]) == (mode, [runs_on])


def test_a_failing_smoke_test_fails_the_job_with_its_own_code(machine: Machine) -> None:
    starts(machine, task(code=42), log="GET / 500")
    result = run(machine)
    assert result.returncode == 42
    assert f"FAILED: the smoke test of {URL} ended with code 42; its log is above. The new version" in result.stderr
    assert "  | GET / 500" in result.stdout


OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


@pytest.mark.parametrize(
    ("end", "says"),
    [
        pytest.param(
            task(
                code=None,
                stopCode="TaskFailedToStart",
                stoppedReason="CannotPullContainerError: pull access denied, not authorized",
            ),
            "did not run to its end: the execution role may not pull the image",
            id="no image",
        ),
        pytest.param(
            task(containers=[{"name": "smoke-test", "exitCode": 137, "reason": OUT_OF_MEMORY}]),
            "a container needs more memory than it has: raise tests.smokeTestTask.memory",
            id="out of memory",
        ),
        pytest.param(
            task(code=0, stopCode="UserInitiated", stoppedReason="Stopped by hand"),
            "did not run to its end: Amazon ECS says why",
            id="stopped by a person",
        ),
        pytest.param(
            task(code=None, stopCode="InfrastructureHealth", stoppedReason="The host has gone"),
            "did not run to its end: Amazon ECS says why",
            id="nothing known",
        ),
    ],
)
def test_one_that_does_not_run_to_its_end_names_the_reason(machine: Machine, end: Any, says: str) -> None:  # noqa: ANN401 - JSON
    starts(machine, end)
    result = run(machine)
    assert result.returncode == 1
    assert says in result.stderr
    assert f"task 1: {end['stoppedReason']}" in result.stderr


def test_one_that_takes_too_long_is_stopped(machine: Machine) -> None:
    late = running(createdAt=time.time() - 13 * 60)
    starts(machine, late, task(code=0, stopCode="UserInitiated", stoppedReason="The smoke test took longer."))
    machine._rules = [
        {**rule, "output": json.dumps({"tasks": [late], "failures": []})} if "run-task" in rule["words"] else rule
        for rule in machine._rules
    ]
    result = run(machine)
    (call,) = machine.called("aws ecs stop-task")
    assert call.after("--task") == [TASK]
    assert call.after("--reason") == ["The smoke test took longer than 12 minutes."]
    assert result.returncode == 1
    assert (
        f"the smoke test of {URL} took longer than 12 minutes (tests.timeoutMinutes) and was stopped" in result.stderr
    )


def test_a_task_that_an_earlier_run_has_left_is_stopped_first(machine: Machine) -> None:
    """Two at a time could disturb each other, and nobody would ever stop it."""
    starts(machine, running(LEFT), task(LEFT, stopCode="UserInitiated"), task(), left=(LEFT,))
    result = run(machine)
    assert result.returncode == 0, result.stderr
    (call,) = machine.called("aws ecs stop-task")
    assert call.after("--task") == [LEFT]
    called = [" ".join(call.words[1:3]) for call in machine.calls]
    assert called.index("ecs stop-task") < called.index("ecs run-task")


def test_a_task_that_has_ended_is_left_alone(machine: Machine) -> None:
    starts(machine, task(LEFT), task(), left=(LEFT,))
    assert run(machine).returncode == 0
    assert machine.called("aws ecs stop-task") == []


def test_a_task_that_ecs_does_not_know_is_no_success_and_is_stopped(machine: Machine) -> None:
    machine.pace = 0.001
    starts(machine)
    result = run(machine)
    assert result.returncode == 1
    assert "nobody knows how it ended" in result.stderr
    assert machine.called("aws ecs stop-task")[0].after("--task") == [TASK]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_task_ends_with_its_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    job, standalone = module("run_smoke_test"), module("standalone_task")
    handlers: dict[int, Any] = {}
    stopped: list[str] = []
    monkeypatch.setattr(job.signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(standalone, "start", lambda *_given: running())
    monkeypatch.setattr(standalone, "follow", lambda *_given: handlers[number](number, None))
    monkeypatch.setattr(standalone, "stop", lambda _run, one, *_more: stopped.append(one["taskArn"]))
    with pytest.raises(SystemExit) as end:
        job.followed(None, REGISTERED, FARGATE)
    assert end.value.code == 128 + number
    assert stopped == [TASK]
    assert f"the job was asked to end ({number.name})" in capsys.readouterr().err


def test_without_its_service_nothing_runs(machine: Machine) -> None:
    starts(machine, service={"status": "INACTIVE"})
    result = run(machine)
    assert result.returncode == 1
    assert "the cluster main has no active service shop" in result.stderr
    assert machine.called("aws ecs run-task") == []


def test_a_task_that_is_not_started_names_the_reason(machine: Machine) -> None:
    machine.answer("aws ecs run-task", {"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY"}]})
    starts(machine, task())
    result = run(machine)
    assert result.returncode == 1
    assert "ECS starts no task: RESOURCE:MEMORY" in result.stderr


@pytest.mark.parametrize("command", ["aws ecs register-task-definition", "aws ecs run-task"])
def test_each_command_that_fails_ends_it_with_its_own_words(machine: Machine, command: str) -> None:
    refused = "An error occurred (AccessDeniedException) when calling the operation: not allowed"
    machine.answer(command, code=254, errors=refused)
    starts(machine, task())
    result = run(machine)
    assert result.returncode == 1
    assert f"`{command}` ended with code 254" in result.stderr
    assert f"  | {refused}" in result.stderr


def test_the_image_must_be_the_one_that_is_delivered(machine: Machine) -> None:
    machine.file("image.json", image(digest=OTHER_DIGEST))
    result = run(machine)
    assert result.returncode == 1
    assert machine.calls == []
