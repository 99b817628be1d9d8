"""The job that runs a command as one task: each really runs, against a stand-in of aws.

tests/rehearsal executes it as a whole.
"""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from fake_tools import DIGEST, OTHER_DIGEST, REPOSITORY, Machine, deployment, module

FAMILY = "shop-prod_before"
TASK = "arn:aws:ecs:eu-west-1:123456789012:task/main/1"
OTHER = "arn:aws:ecs:eu-west-1:123456789012:task/main/2"
REGISTERED = f"arn:aws:ecs:eu-west-1:123456789012:task-definition/{FAMILY}:3"
WORDS = ["bin/rails", "db:migrate"]
RUN: dict[str, str] = {
    "IMAGE_REPOSITORY_URI": REPOSITORY,
    "IMAGE_DIGEST": DIGEST,
    "WHEN": "before",
    "CLUSTER": "main",
    "SERVICE": "shop",
    "FAMILY": FAMILY,
    "TASK_TAG": "ecs-delivery-task",
    "COMMAND": json.dumps(WORDS),
    "LOG_GROUP": "/ecs/shop",
    "RECORDS": "s3://artifacts/_tasks/before",
    "TIMEOUT_MINUTES": "15",
}
CONTAINER: dict[str, Any] = {
    "name": "shop",
    "image": f"{REPOSITORY}@{DIGEST}",
    "environment": [{"name": "LOG_LEVEL", "value": "info"}],
    "logConfiguration": {"options": {"awslogs-group": "/ecs/shop", "awslogs-stream-prefix": "shop"}},
}
KEY = module("run_task").key_of(FAMILY, DIGEST, WORDS, CONTAINER)
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
SERVICE = {"status": "ACTIVE", "launchType": "FARGATE", "networkConfiguration": NETWORK}


def task(arn: str = TASK, *, attempt: int = 0, status: str = "STOPPED", code: int | None = 0, **more: object) -> Any:  # noqa: ANN401 - JSON
    """A task as ECS describes it; by default it has succeeded."""
    container: dict[str, Any] = {"name": "shop"} | ({"exitCode": code} if code is not None else {})
    ended = {"stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited"}
    return {
        "taskArn": arn,
        "createdAt": time.time(),
        "startedBy": f"{KEY}-{attempt}",
        "lastStatus": status,
        "containers": [container],
        **(ended if status == "STOPPED" else {}),
        **more,
    }


def running_now() -> Any:  # noqa: ANN401 - JSON
    """A task that was started just now."""
    return task(status="RUNNING", code=None)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a prepared deployment."""
    made = Machine(tmp_path)
    made.file("deployment.json", deployment())
    made.file("taskdef.json", {"family": "shop-prod", "cpu": "256", "containerDefinitions": [CONTAINER]})
    return made


def known(machine: Machine, record: dict[str, object] | None = None, **tasks: list[str]) -> None:
    """The record of the command, and the tasks of its family."""
    machine.answer("aws s3api list-objects-v2", {} if record is None else {"Contents": [{"Key": "record"}]})
    machine.answer("aws s3api get-object", {}, files={"record.json": json.dumps(record)})
    machine.answer("aws s3api put-object", {})
    for status in ("RUNNING", "STOPPED"):
        machine.answer(f"aws ecs list-tasks --desired-status {status}", {"taskArns": tasks.get(status.lower(), [])})


def starts(machine: Machine, answer: object = None, service: object = None) -> None:
    """ECS runs a task."""
    found = SERVICE if service is None else service
    machine.answer("aws ecs describe-services", {"services": [found] if found else []})
    machine.answer("aws ecs register-task-definition", {"taskDefinition": {"taskDefinitionArn": REGISTERED}})
    pending = task(status="PROVISIONING", code=None)
    machine.answer("aws ecs run-task", {"tasks": [pending], "failures": []} if answer is None else answer)


def writes(machine: Machine, *lines: str) -> None:
    """The command writes this."""
    machine.answer("aws logs get-log-events", {"events": [{"message": line} for line in lines]})


def run(machine: Machine, **variables: str) -> "subprocess.CompletedProcess[str]":
    return machine.run("run_task", **{**RUN, **variables})


def recorded(machine: Machine) -> list[Any]:
    """What the job has kept at last."""
    return [machine.json("record.json")] if machine.called("aws s3api put-object") else []


def test_the_task_runs_with_the_command_and_is_known_by_it(machine: Machine) -> None:
    known(machine)
    starts(machine)
    machine.answer("aws ecs describe-tasks", {"tasks": [running_now()]}, times=1)
    machine.answer("aws ecs describe-tasks", {"tasks": [task()]})
    writes(machine, "== 20260101 CreateOrders: migrated")

    result = run(machine)

    assert result.returncode == 0, result.stderr
    (call,) = machine.called("aws ecs run-task")
    (overrides,) = call.after("--overrides")
    assert json.loads(overrides) == {"containerOverrides": [{"name": "shop", "command": WORDS}]}
    assert call.after("--task-definition") == [REGISTERED]
    assert call.after("--client-token") == call.after("--started-by") == [f"{KEY}-0"]
    assert call.after("--tags") == [f"key=ecs-delivery-task,value={FAMILY}"]
    assert call.after("--launch-type") == ["FARGATE"]
    assert json.loads(call.after("--network-configuration")[0]) == NETWORK
    assert machine.json("task.json")["family"] == FAMILY
    (stream,) = machine.called("aws logs get-log-events")[0].after("--log-stream-name")
    assert stream == "shop/shop/1"
    lines = [line for line in result.stdout.splitlines() if not line.startswith(("==>", "    $", "Python "))]
    assert lines == [
        "task 1: PROVISIONING",
        "task 1: RUNNING",
        "The last lines of its log, at most 40:",
        "  | == 20260101 CreateOrders: migrated",
        "`bin/rails db:migrate` has succeeded, as task 1",
    ]
    assert recorded(machine) == [{"succeeded": True, "failures": 0, "task": TASK}]
    (kept,) = machine.called("aws s3api put-object")
    assert (kept.after("--bucket"), kept.after("--key")) == (["artifacts"], [f"_tasks/before/{KEY}.json"])


def test_what_the_record_calls_a_success_is_not_run_again(machine: Machine) -> None:
    known(machine, {"succeeded": True, "failures": 1, "task": TASK})
    result = run(machine)
    assert result.returncode == 0, result.stderr
    again = f"""echo '{{"failures": 2}}' | aws s3 cp - s3://artifacts/_tasks/before/{KEY}.json"""
    assert f"To have it run again: {again}" in result.stdout
    assert machine.called("aws ecs") == []


def test_what_a_person_has_run_again_is_another_attempt(machine: Machine) -> None:
    """ECS still lists the task that has succeeded, and would answer its token with it."""
    known(machine, {"failures": 1}, stopped=[OTHER])
    starts(machine)
    machine.answer("aws ecs describe-tasks", {"tasks": [task(OTHER)]}, times=1)
    machine.answer("aws ecs describe-tasks", {"tasks": [task(attempt=1)]})
    writes(machine)

    assert run(machine).returncode == 0
    assert machine.called("aws ecs run-task")[0].after("--client-token") == [f"{KEY}-1"]


def test_another_attempt_has_another_token(machine: Machine) -> None:
    """ECS answers the old one with the task that has failed."""
    known(machine, {"succeeded": False, "failures": 2, "task": OTHER}, stopped=[OTHER])
    starts(machine)
    machine.answer("aws ecs describe-tasks", {"tasks": [task(OTHER, attempt=1, code=1)]}, times=1)
    machine.answer("aws ecs describe-tasks", {"tasks": [task(attempt=2)]})
    writes(machine)

    assert run(machine).returncode == 0
    assert machine.called("aws ecs run-task")[0].after("--client-token") == [f"{KEY}-2"]


@pytest.mark.parametrize(
    ("family", "digest", "words", "changes", "same"),
    [
        pytest.param(FAMILY, DIGEST, WORDS, {"cpu": 256}, True, id="its size"),
        pytest.param("shop-prod_after", DIGEST, WORDS, {}, False, id="the other moment, or another stack"),
        pytest.param(FAMILY, OTHER_DIGEST, WORDS, {}, False, id="the image"),
        pytest.param(FAMILY, DIGEST, ["bin/rails", "db:seed"], {}, False, id="the command"),
        pytest.param(FAMILY, DIGEST, WORDS, {"environment": []}, False, id="the environment"),
        pytest.param(FAMILY, DIGEST, WORDS, {"secrets": [{"name": "A", "valueFrom": "b"}]}, False, id="a secret"),
        pytest.param(FAMILY, DIGEST, WORDS, {"environmentFiles": [{"value": "arn"}]}, False, id="a file"),
    ],
)
def test_what_a_command_works_on_tells_it_apart(
    family: str, digest: str, words: list[str], changes: dict[str, object], same: bool
) -> None:
    assert (module("run_task").key_of(family, digest, words, {**CONTAINER, **changes}) == KEY) is same


@pytest.mark.parametrize(
    ("service", "options"),
    [
        pytest.param({"launchType": "FARGATE"}, ["--launch-type", "FARGATE"], id="Fargate"),
        pytest.param(
            {
                "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
                "platformVersion": "1.4.0",
                "networkConfiguration": NETWORK,
            },
            [
                *("--launch-type", "FARGATE", "--platform-version", "1.4.0"),
                *("--network-configuration", json.dumps(NETWORK)),
            ],
            id="Fargate Spot: nothing ends the command half-way",
        ),
        pytest.param(
            {"capacityProviderStrategy": [{"capacityProvider": "own", "weight": 1}]},
            ["--capacity-provider-strategy", '[{"capacityProvider": "own", "weight": 1}]'],
            id="instances of a capacity provider",
        ),
        pytest.param({"launchType": "EXTERNAL"}, ["--launch-type", "EXTERNAL"], id="machines of one's own"),
        pytest.param({}, ["--launch-type", "EC2"], id="instances"),
        pytest.param(
            {
                "launchType": "EC2",
                "taskSets": [
                    {"status": "ACTIVE", "launchType": "EC2"},
                    {"status": "PRIMARY", "launchType": "FARGATE", "networkConfiguration": NETWORK},
                ],
            },
            ["--launch-type", "FARGATE", "--network-configuration", json.dumps(NETWORK)],
            id="CodeDeploy: the task set that serves",
        ),
    ],
)
def test_the_task_runs_where_those_of_the_service_do(service: dict[str, Any], options: list[str]) -> None:
    assert module("standalone_task").placement(service) == options


@pytest.mark.parametrize(
    ("ended", "says"),
    [
        pytest.param(task(code=2), "has failed: the program ended with exit code 2", id="exit code"),
        pytest.param(
            task(code=0, stopCode="UserInitiated", stoppedReason="by hand"),
            "has failed: ",
            id="stopped by somebody, although its program ends with 0 then",
        ),
        pytest.param(
            task(code=None, stopCode="TaskFailedToStart", stoppedReason="CannotPullContainerError: x: not found"),
            "has failed: the image is not in the registry",
            id="no image",
        ),
        pytest.param(
            task(code=None, stopCode="TaskFailedToStart", stoppedReason="Something new"),
            "has failed: its container did not run",
            id="for an unknown reason",
        ),
        pytest.param(task(containers=[]), "has failed: its container did not run", id="no container"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_anything_but_its_own_exit_code_0_is_a_failure(machine: Machine, when: str, ended: Any, says: str) -> None:  # noqa: ANN401 - JSON
    known(machine)
    starts(machine)
    machine.answer("aws ecs describe-tasks", {"tasks": [ended]})
    writes(machine)

    result = run(machine, WHEN=when)

    assert result.returncode == 1
    assert f"`bin/rails db:migrate` {says}" in result.stderr
    assert module("run_task").STANDS[when] in result.stderr
    assert recorded(machine) == [{"succeeded": False, "failures": 1, "task": TASK}]


def test_a_task_that_still_runs_is_followed(machine: Machine) -> None:
    known(machine, running=[TASK])
    machine.answer("aws ecs describe-tasks", {"tasks": [running_now()]}, times=1)
    machine.answer("aws ecs describe-tasks", {"tasks": [task()]})
    writes(machine)

    result = run(machine)

    assert result.returncode == 0, result.stderr
    assert "task 1 has been started already: this run follows it" in result.stdout
    assert machine.called("aws ecs run-task") == []


def test_one_that_has_succeeded_while_nobody_looked_is_a_success(machine: Machine) -> None:
    known(machine, stopped=[TASK])
    machine.answer("aws ecs describe-tasks", {"tasks": [task()]})
    writes(machine)

    assert run(machine).returncode == 0
    assert machine.called("aws ecs run-task") == []
    assert recorded(machine) == [{"succeeded": True, "failures": 0, "task": TASK}]


def test_one_that_has_failed_while_nobody_looked_is_run_again(machine: Machine) -> None:
    known(machine, stopped=[OTHER])
    starts(machine)
    machine.answer("aws ecs describe-tasks", {"tasks": [task(OTHER, code=1)]}, times=1)
    machine.answer("aws ecs describe-tasks", {"tasks": [task(attempt=1)]})
    writes(machine)

    result = run(machine)

    assert result.returncode == 0, result.stderr
    assert "task 2 has failed while nobody looked: the command is run again" in result.stdout
    assert machine.called("aws ecs run-task")[0].after("--client-token") == [f"{KEY}-1"]


def test_tasks_of_other_versions_end_first(machine: Machine) -> None:
    known(machine, running=[OTHER])
    starts(machine)
    other = task(OTHER, status="RUNNING", code=None, startedBy="another-0")
    machine.answer("aws ecs describe-tasks", {"tasks": [other]}, times=3)
    machine.answer("aws ecs describe-tasks", {"tasks": [{**other, "lastStatus": "STOPPED"}]}, times=1)
    machine.answer("aws ecs describe-tasks", {"tasks": [task()]})
    writes(machine)

    result = run(machine)

    assert result.returncode == 0, result.stderr
    assert result.stdout.count("waiting for the end of 2, which an earlier run has started") == 1
    order = [" ".join(call.words[:3]) for call in machine.calls]
    assert order.index("aws ecs run-task") > order.index("aws ecs describe-tasks") + 6


@pytest.mark.parametrize(
    ("answer", "code", "errors", "says"),
    [
        pytest.param(
            {"tasks": [], "failures": [{"arn": "x", "reason": "Capacity is unavailable at this time."}]},
            0,
            "",
            "ECS starts no task: Capacity is unavailable at this time.",
            id="no capacity",
        ),
        pytest.param(
            "",
            254,
            "An error occurred (ConflictException) when calling the RunTask operation: in use",
            "If that was a moment ago, retry this action",
            id="started a moment ago",
        ),
        pytest.param(
            "",
            254,
            "An error occurred (AccessDeniedException) when calling the RunTask operation: no",
            "AccessDeniedException",
            id="not allowed",
        ),
    ],
)
def test_a_task_that_is_not_started_fails_the_run(
    machine: Machine, answer: object, code: int, errors: str, says: str
) -> None:
    known(machine)
    machine.answer("aws ecs run-task", answer, code=code, errors=errors)
    starts(machine)

    result = run(machine)

    assert result.returncode == 1
    assert says in result.stderr
    assert recorded(machine) == []


def test_without_its_service_nothing_runs(machine: Machine) -> None:
    known(machine)
    starts(machine, service={})
    result = run(machine)
    assert result.returncode == 1
    assert "the cluster main has no active service shop" in result.stderr


def test_a_container_that_is_not_essential_is_refused(machine: Machine) -> None:
    """Its task would run on, and a task without an essential container ends with the last of them."""
    machine.file("taskdef.json", {"family": "shop-prod", "containerDefinitions": [{**CONTAINER, "essential": False}]})
    result = run(machine)
    assert result.returncode == 1
    assert "the container 'shop' is not essential" in result.stderr
    assert machine.called("aws") == []


def test_the_image_must_be_the_one_that_is_delivered(machine: Machine) -> None:
    other = {**CONTAINER, "image": f"{REPOSITORY}@{OTHER_DIGEST}"}
    machine.file("taskdef.json", {"family": "shop-prod", "containerDefinitions": [other]})
    result = run(machine)
    assert result.returncode == 1
    assert f"the pipeline delivers {REPOSITORY}@{DIGEST}" in result.stderr


def test_a_task_that_is_not_visible_yet_is_waited_for(machine: Machine) -> None:
    known(machine)
    starts(machine)
    machine.answer("aws ecs describe-tasks", {"tasks": []}, times=3)
    machine.answer("aws ecs describe-tasks", {"tasks": [task()]})
    writes(machine)
    assert run(machine).returncode == 0


def test_a_task_that_ecs_does_not_know_is_no_success(machine: Machine) -> None:
    machine.pace = 0.001
    known(machine)
    starts(machine)
    machine.answer("aws ecs describe-tasks", {"tasks": []})
    result = run(machine)
    assert result.returncode == 1
    assert "nobody knows how it ended" in result.stderr
    assert recorded(machine) == []


COMMAND = module("run_task").Command(
    what="The command",
    stands="Nothing was deployed.",
    cluster="main",
    family=FAMILY,
    tag="ecs-delivery-task",
    container="shop",
    log_group="/ecs/shop",
    minutes=15,
    minutes_to_stop=4,
    words=WORDS,
    definition={},
    key=KEY,
)
LATE = time.time() - 16 * 60


@pytest.mark.parametrize(
    ("last", "says"),
    [
        pytest.param(
            task(code=0, stopCode="UserInitiated", stoppedReason="The command took longer than 15 minutes."),
            "took longer than 15 minutes and was stopped half-way",
            id="it ends",
        ),
        pytest.param(task(), "", id="it had just come to its end"),
    ],
)
def test_one_that_takes_too_long_is_stopped(machine: Machine, last: Any, says: str) -> None:  # noqa: ANN401 - JSON
    """Its time counts from its start, whichever run has started it."""
    known(machine, running=[TASK])
    machine.answer("aws ecs describe-tasks", {"tasks": [{**running_now(), "createdAt": LATE}]}, times=2)
    machine.answer("aws ecs describe-tasks", {"tasks": [last]})
    machine.answer("aws ecs stop-task", {"task": {}})
    writes(machine)

    result = run(machine)

    (call,) = machine.called("aws ecs stop-task")
    assert call.after("--task") == [TASK]
    assert call.after("--reason") == ["The command took longer than 15 minutes."]
    assert result.returncode == bool(says), result.stderr
    assert says in result.stderr


def test_one_that_does_not_stop_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = module("standalone_task")
    now = iter([0.0, *(1000.0 * step for step in range(1, 9))])
    monkeypatch.setattr(job.time, "monotonic", lambda: next(now))
    monkeypatch.setattr(job.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(job.job, "aws", lambda *_words, **_more: {"tasks": [running_now()]})
    with pytest.raises(SystemExit):
        job.follow(COMMAND, running_now())
    assert "task 1 was asked to stop, and has not stopped: it may still run" in capsys.readouterr().err


def test_an_earlier_one_that_does_not_end_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = module("run_task")
    now = iter([0.0, 1000.0])
    monkeypatch.setattr(job.time, "monotonic", lambda: next(now))
    with pytest.raises(SystemExit):
        job.await_others(COMMAND, [running_now()])
    assert "stop it, and retry: aws ecs stop-task --cluster main --task 1" in capsys.readouterr().err
