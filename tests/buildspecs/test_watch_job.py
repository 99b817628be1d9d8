"""The job that watches what CodeDeploy deploys: what it makes of single answers.

tests/rehearsal executes it as a whole.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from fake_tools import Machine, module

NEW = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:8"
OLD = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:7"
DEPLOYMENT = "d-ABCDEF123"
WATCH = {
    "PIPELINE": "shop-prod",
    "PIPELINE_EXECUTION_ID": "1-2-3",
    "DEPLOY_ACTION": "DeployService",
    "WATCH_ACTION": "WatchDeployment",
    "CLUSTER": "main",
    "SERVICE": "shop",
    "LOG_GROUP": "/ecs/shop",
    "MINUTES": "12",
}
LIST_ACTIONS = "aws codepipeline list-action-executions --pipeline-name shop-prod --filter pipelineExecutionId=1-2-3"


def execution(action: str, status: str = "InProgress", started: object = 100.0, **result: object) -> dict[str, Any]:
    """One action as CodePipeline lists it."""
    return {
        "actionName": action,
        "startTime": started,
        "status": status,
        "output": {"executionResult": result},
    }


def listed(status: str = "InProgress", **result: object) -> dict[str, Any]:
    """Both actions of a run."""
    return {"actionExecutionDetails": [execution("WatchDeployment"), execution("DeployService", status, **result)]}


def task_set(**changes: object) -> dict[str, Any]:
    """The task set of the deployment, healthy."""
    return {
        "id": "ecs-svc/2",
        "externalId": DEPLOYMENT,
        "startedBy": "CODE_DEPLOY",
        "status": "ACTIVE",
        "createdAt": 110.0,
        "taskDefinition": NEW,
        "computedDesiredCount": 2,
        "runningCount": 2,
        "stabilityStatus": "STEADY_STATE",
        **changes,
    }


FIRST = task_set(id="ecs-svc/1", externalId="d-OLD", status="PRIMARY", createdAt=10.0, taskDefinition=OLD)
STARTING = task_set(runningCount=0, stabilityStatus="STABILIZING")


def service(*task_sets: dict[str, Any], events: list[dict[str, Any]] | None = None, desired: int = 2) -> dict[str, Any]:
    """The service."""
    return {"services": [{"desiredCount": desired, "taskSets": [FIRST, *task_sets], "events": events or []}]}


def stopped(number: int, *, revision: str = NEW, status: str = "STOPPED", **more: object) -> dict[str, Any]:
    """A task that has stopped or is stopping."""
    part: dict[str, Any] = {"name": "shop"} | ({"exitCode": 1} if status == "STOPPED" else {})
    return {
        "taskArn": f"task/main/{number}",
        "taskDefinitionArn": revision,
        "lastStatus": status,
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "containers": [part],
        **more,
    }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with the task definition of a deployment."""
    made = Machine(tmp_path)
    made.file("taskdef.json", {"containerDefinitions": [{"name": "shop"}]})
    return made


def goes_on(machine: Machine) -> None:
    """The action deploys; no task has stopped."""
    machine.answer(LIST_ACTIONS, listed())
    machine.answer("aws ecs list-tasks", {"taskArns": []})


def run(machine: Machine, **variables: str) -> "subprocess.CompletedProcess[str]":
    return machine.run("watch_deployment", **{**WATCH, **variables})


@pytest.mark.parametrize(
    ("wanted", "failures"), [(0, 3), (1, 3), (2, 3), (6, 3), (7, 4), (12, 6), (399, 200), (400, 200), (5000, 200)]
)
def test_as_many_failures_stop_a_deployment_as_set_off_the_circuit_breaker(wanted: int, failures: int) -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html."""
    assert module("watch_deployment").threshold(wanted) == failures


@pytest.mark.parametrize("text", [1767225600.5, "2026-01-01T00:00:00.500000+00:00", "2026-01-01T01:00:00.500000+01:00"])
def test_times_are_read_as_either_version_of_the_aws_cli_writes_them(text: object) -> None:
    assert module("inputs").moment(text) == 1767225600.5


def test_a_task_set_that_has_no_tasks_yet_is_not_healthy(machine: Machine) -> None:
    """ECS computes the number of tasks a moment after CodeDeploy has made the task set, which is steady meanwhile."""
    goes_on(machine)
    machine.answer("aws ecs describe-services", service(task_set(computedDesiredCount=0, runningCount=0)), times=1)
    machine.answer("aws ecs describe-services", service(task_set()))

    result = run(machine)

    assert result.returncode == 0, result.stderr
    assert f"{DEPLOYMENT}: 0 of 0 tasks running, 0 failed\n" in result.stdout
    assert len(machine.called("aws ecs describe-services")) == 2


def test_a_service_that_shall_have_no_tasks_is_healthy_without(machine: Machine) -> None:
    goes_on(machine)
    machine.answer("aws ecs describe-services", service(task_set(computedDesiredCount=0, runningCount=0), desired=0))

    assert run(machine).returncode == 0
    assert len(machine.called("aws ecs describe-services")) == 1


def test_when_the_traffic_has_moved_there_is_nothing_to_watch(machine: Machine) -> None:
    goes_on(machine)
    moved = task_set(status="PRIMARY", stabilityStatus="STABILIZING", runningCount=1)
    machine.answer("aws ecs describe-services", service(moved))

    result = run(machine)

    assert result.returncode == 0
    assert "the new tasks are healthy, CodeDeploy moves the traffic" in result.stdout


def test_each_thing_is_shown_once_and_nothing_of_other_task_sets(machine: Machine) -> None:
    events = [
        {"id": "4", "createdAt": 130.0, "message": "(service shop, taskSet ecs-svc/2) has started 1 tasks"},
        {"id": "3", "createdAt": 120.0, "message": "(service shop, taskSet ecs-svc/1) has begun draining"},
        {"id": "2", "createdAt": 115.0, "message": "(service shop) was unable to place a task"},
        {"id": "1", "createdAt": 20.0, "message": "(service shop) has reached a steady state"},
    ]
    machine.answer(LIST_ACTIONS, listed())
    machine.answer("aws ecs describe-services", service(STARTING, events=events), times=2)
    machine.answer("aws ecs describe-services", service(task_set(), events=events))
    machine.answer("aws ecs list-tasks", {"taskArns": ["task/main/1", "task/main/2"]})
    machine.answer(
        "aws ecs describe-tasks task/main/1",
        {"tasks": [stopped(1, status="DEPROVISIONING"), stopped(2, revision=OLD)]},
        times=1,
    )
    machine.answer("aws ecs describe-tasks task/main/1", {"tasks": [stopped(1)]})

    result = run(machine)

    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if not line.startswith(("==>", "    $", "Python "))]
    assert lines == [
        "  (service shop) was unable to place a task",
        "  (service shop, taskSet ecs-svc/2) has started 1 tasks",
        f"{DEPLOYMENT}: 0 of 2 tasks running, 1 failed",
        "  task 1: Essential container in task exited",
        "    container shop: exit code 1",
        f"{DEPLOYMENT}: 2 of 2 tasks running, 1 failed",
        f"{DEPLOYMENT}: the new tasks are healthy, CodeDeploy moves the traffic",
    ]
    assert [call.words[-3:-2] for call in machine.called("aws ecs describe-tasks")] == [
        ["task/main/2"],
        ["task/main/1"],
    ]


def test_tasks_that_stop_for_no_fault_of_the_version_stop_no_deployment(machine: Machine) -> None:
    machine.answer(LIST_ACTIONS, listed())
    machine.answer("aws ecs describe-services", service(STARTING), times=1)
    machine.answer("aws ecs describe-services", service(task_set()))
    machine.answer("aws ecs list-tasks", {"taskArns": [f"task/main/{number}" for number in range(4)]})
    by_hand = [stopped(number, stopCode="UserInitiated") for number in range(4)]
    machine.answer("aws ecs describe-tasks", {"tasks": by_hand})

    assert run(machine).returncode == 0
    assert machine.called("aws deploy") == []


def test_a_deployment_of_somebody_else_is_not_stopped(machine: Machine) -> None:
    """The action itself fails then, since CodeDeploy takes one deployment of a group at a time."""
    before = task_set(externalId="d-SOMEBODY", createdAt=90.0, runningCount=0, stabilityStatus="STABILIZING")
    machine.answer(LIST_ACTIONS, listed(), times=2)
    machine.answer(LIST_ACTIONS, listed("Failed", errorDetails={"message": "already has an active Deployment"}))
    machine.answer("aws ecs describe-services", service(before))

    result = run(machine)

    assert result.returncode == 1
    assert result.stderr == (
        "\nFAILED: DeployService has failed: already has an active Deployment. The previous version keeps serving.\n"
        "What to do: docs/oncall.md#rolled-back-by-itself; its settings: application, deploy.testTraffic\n"
    )
    assert machine.called("aws deploy") == []


def test_the_deployment_is_the_one_that_codepipeline_names(machine: Machine) -> None:
    machine.answer(LIST_ACTIONS, listed(externalExecutionId=DEPLOYMENT))
    other = task_set(
        id="ecs-svc/9", externalId="d-OTHER", createdAt=105.0, runningCount=0, stabilityStatus="STABILIZING"
    )
    machine.answer("aws ecs describe-services", service(other, task_set()))
    machine.answer("aws ecs list-tasks", {"taskArns": []})

    result = run(machine)

    assert result.returncode == 0
    assert f"{DEPLOYMENT}: 2 of 2 tasks running" in result.stdout


THROTTLED = "An error occurred (ThrottlingException) when calling the operation: Rate exceeded"


@pytest.mark.parametrize("command", ["codepipeline list-action-executions", "ecs describe-services", "ecs list-tasks"])
def test_an_answer_that_is_missing_once_is_asked_for_again(machine: Machine, command: str) -> None:
    machine.answer(f"aws {command}", code=254, errors=THROTTLED, times=1)
    goes_on(machine)
    machine.answer("aws ecs describe-services", service(STARTING), times=1)
    machine.answer("aws ecs describe-services", service(task_set()))

    result = run(machine)

    assert result.returncode == 0, result.stderr
    assert f"ended with code 254: {THROTTLED}" in result.stdout
    assert "the new tasks are healthy" in result.stdout


@pytest.mark.parametrize(
    "answer",
    [
        {"actionExecutionDetails": [{}]},
        {"actionExecutionDetails": [execution("DeployService", started="yesterday")]},
        "no JSON",
        '["a list"]',
    ],
)
def test_an_answer_that_the_job_does_not_understand_fails_nothing(machine: Machine, answer: object) -> None:
    machine.answer(LIST_ACTIONS, answer)

    result = run(machine)

    assert result.returncode == 0
    assert "this job does not understand what AWS answers (" in result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("missing", ["DeployService", "WatchDeployment"])
def test_the_job_waits_for_both_actions_to_be_listed(machine: Machine, missing: str) -> None:
    both = [execution("WatchDeployment"), execution("DeployService", "Failed")]
    machine.answer(
        LIST_ACTIONS, {"actionExecutionDetails": [entry for entry in both if entry["actionName"] != missing]}, times=1
    )
    machine.answer(LIST_ACTIONS, {"actionExecutionDetails": [both[0], execution("DeployService", "Succeeded")]})

    result = run(machine)

    assert result.returncode == 0, result.stderr
    assert "waiting for the tasks of DeployService\nDeployService has succeeded\n" in result.stdout


def attempts(*before: dict[str, Any], now: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """What CodePipeline lists when something was retried 60 seconds later, in no order."""
    return {"actionExecutionDetails": [*now, execution("WatchDeployment", started=160.0), *before]}


def test_a_failure_of_the_attempt_before_is_not_this_one_s(machine: Machine) -> None:
    """CodePipeline may list the deploying action's new attempt a moment late."""
    before = (execution("WatchDeployment", "Failed"), execution("DeployService", "Failed"))
    machine.answer(LIST_ACTIONS, attempts(*before), times=1)
    machine.answer(LIST_ACTIONS, attempts(*before, now=(execution("DeployService", started=160.5),)))
    machine.answer("aws ecs describe-services", service(STARTING, task_set(createdAt=170.0, externalId="d-NEW")))
    machine.answer("aws ecs list-tasks", {"taskArns": []})

    result = run(machine)

    assert result.returncode == 0, result.stderr
    assert "waiting for the tasks of DeployService\n" in result.stdout
    assert "d-NEW: the new tasks are healthy" in result.stdout


def test_a_retry_of_the_job_alone_has_nothing_to_watch(machine: Machine) -> None:
    machine.answer(
        LIST_ACTIONS, attempts(execution("DeployService", "Succeeded"), execution("WatchDeployment", "Failed"))
    )

    result = run(machine)

    assert result.returncode == 0, result.stderr
    assert "DeployService has succeeded\n" in result.stdout


def test_three_failures_stop_the_deployment_and_roll_it_back(machine: Machine) -> None:
    goes_on_failing(machine)
    machine.answer("aws deploy stop-deployment", {"status": "Pending"})

    result = run(machine)

    assert result.returncode == 1
    (stop,) = machine.called("aws deploy")
    assert stop.words[2:6] == ["stop-deployment", "--deployment-id", DEPLOYMENT, "--auto-rollback-enabled"]
    assert (
        f"FAILED: the deployment {DEPLOYMENT} is stopped and rolled back: 3 of its tasks failed, because the program "
        "ended with exit code 1: the last lines of its log say why. The previous version keeps serving.\n"
    ) in result.stderr


def goes_on_failing(machine: Machine) -> None:
    """Three tasks of the deployment have stopped."""
    machine.answer(LIST_ACTIONS, listed())
    machine.answer("aws ecs describe-services", service(STARTING), times=1)
    machine.answer("aws ecs describe-services", service(task_set()))
    machine.answer("aws ecs list-tasks", {"taskArns": [f"task/main/{number}" for number in range(3)]})
    machine.answer("aws ecs describe-tasks", {"tasks": [stopped(number) for number in range(3)]})


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("DeploymentAlreadyCompletedException", False),
        ("AccessDeniedException", True),
    ],
)
def test_a_deployment_that_cannot_be_stopped_goes_on(machine: Machine, error: str, said: bool) -> None:
    goes_on_failing(machine)
    machine.answer("aws deploy stop-deployment", code=254, errors=f"An error occurred ({error}) when calling it: no")

    result = run(machine)

    assert result.returncode == 0, result.stderr
    assert ("3 of its tasks failed, and it cannot be stopped: " in result.stdout) == said
    assert "the new tasks are healthy" in result.stdout
    assert len(machine.called("aws deploy")) == 1


def test_a_stopped_run_says_that_the_action_was_abandoned(machine: Machine) -> None:
    machine.answer(LIST_ACTIONS, listed("Abandoned"))
    machine.answer("aws ecs describe-services", service())

    result = run(machine)

    assert result.returncode == 1
    assert "FAILED: DeployService has failed: Abandoned" in result.stderr


def test_a_deployment_that_fails_by_itself_says_what_codedeploy_knows(machine: Machine) -> None:
    machine.answer(
        LIST_ACTIONS, listed("Failed", externalExecutionId=DEPLOYMENT, errorDetails={"message": "It failed."})
    )
    machine.answer("aws ecs describe-services", service())
    machine.answer(
        f"aws deploy get-deployment --deployment-id {DEPLOYMENT}",
        {"deploymentInfo": {"errorInformation": {"message": "The load balancer is gone."}}},
    )

    result = run(machine)

    assert result.returncode == 1
    assert "FAILED: DeployService has failed: It failed. The load balancer is gone." in result.stderr


def test_a_deployment_that_cannot_be_stopped_is_asked_to_stop_once(machine: Machine) -> None:
    machine.answer(LIST_ACTIONS, listed())
    machine.answer("aws ecs describe-services", service(STARTING), times=2)
    machine.answer("aws ecs describe-services", service(task_set()))
    machine.answer("aws ecs list-tasks", {"taskArns": [f"task/main/{number}" for number in range(3)]})
    machine.answer("aws ecs describe-tasks", {"tasks": [stopped(number) for number in range(3)]})
    machine.answer("aws deploy stop-deployment", code=254, errors="An error occurred (Throttling) when calling it: no")

    assert run(machine).returncode == 0
    assert len(machine.called("aws ecs describe-services")) == 3
    assert len(machine.called("aws deploy stop-deployment")) == 1


@pytest.fixture
def watching(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a module of the jobs
    """The job as a module, in its folder; twenty seconds pass with each look."""
    monkeypatch.chdir(machine.folder)
    for name, value in WATCH.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_REGION", raising=False)
    job, times = module("watch_deployment"), iter(range(0, 10_000, 20))
    monkeypatch.setattr(job.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(job.time, "sleep", lambda _seconds: None)
    return job


def test_when_aws_does_not_answer_the_job_watches_no_longer(
    watching: Any,  # noqa: ANN401 - as the fixture
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = list[str]()

    def silent(why: str, *_command: str, again: bool) -> dict[str, Any]:
        asked.append(why if not again else f"{why} again")
        return {}

    monkeypatch.setattr(watching.stopped_tasks, "ask", silent)

    watching.Watch().follow()

    assert "AWS does not answer: this job watches no longer, the deployment goes on\n" in capsys.readouterr().out
    first = "Look at this run of the pipeline"
    assert asked == [first, *[f"{first} again"] * watching.PATIENCE]


@pytest.fixture
def waiting(watching: Any, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - as the fixture
    """The watch of a deployment that waits for its word; `status` is what CodeDeploy says, `failed` what the checks."""
    monkeypatch.setenv("TEST_URL", "http://shop.example.com:8080")
    monkeypatch.setenv("HTTP_CHECKS", "[]")
    watch = watching.Watch()
    watch.deployment, watch.status, watch.failed_checks, watch.calls = DEPLOYMENT, "Ready", [], []

    def ask(_why: str, *command: str, again: bool) -> dict[str, Any]:
        assert command[:2] == ("deploy", "get-deployment"), again
        return {"deploymentInfo": {"status": watch.status}}

    monkeypatch.setattr(watching.stopped_tasks, "ask", ask)
    monkeypatch.setattr(watching.http_checks, "run", lambda *_: [])
    monkeypatch.setattr(watching.http_checks, "failures", lambda _: watch.failed_checks)
    monkeypatch.setattr(watching.job, "aws", lambda _why, *command: watch.calls.append(command[1]))
    monkeypatch.setattr(watch, "action", lambda: {"status": "InProgress"})
    monkeypatch.setattr(watch, "task_set", lambda _: {**task_set(), "wanted": 2})
    return watch


def test_users_get_a_version_that_answers_when_test_traffic_reaches_it(waiting: Any) -> None:  # noqa: ANN401 - as the fixture
    waiting.status = "InProgress"
    assert waiting.step() is False, "test traffic has not reached it yet"
    assert waiting.calls == []
    waiting.status = "Ready"
    assert waiting.step() is True
    assert waiting.calls == ["continue-deployment"]


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "cannot be stopped"])
def test_a_version_that_does_not_answer_is_rolled_back(
    waiting: Any,  # noqa: ANN401 - as the fixture
    watching: Any,  # noqa: ANN401 - as the fixture
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    stopped: bool,
) -> None:
    waiting.failed_checks = ["  GET /healthz: it answers with status 503, 200 is expected"]
    result = watching.job.Result(0 if stopped else 254, "", "" if stopped else "AccessDenied")
    monkeypatch.setattr(watching.job, "run", lambda *_, **__: result)

    with pytest.raises(SystemExit):
        waiting.step()

    said = capsys.readouterr()
    assert "the new version does not answer as expected" in said.err
    assert "200 is expected\nWhat to do: docs/oncall.md#" in said.err
    assert ("cannot be stopped: AccessDenied" in said.out) is not stopped
    assert waiting.calls == []


def test_a_version_that_was_not_checked_is_not_let_through(
    watching: Any,  # noqa: ANN401 - as the fixture
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """CodeDeploy waits for the word, and nobody gives it."""
    monkeypatch.setenv("TEST_URL", "http://shop.example.com:8080")
    monkeypatch.setenv("HTTP_CHECKS", "[]")
    monkeypatch.setattr(watching.Watch, "step", lambda _self: 1 / 0)
    monkeypatch.setattr(watching.job, "start", lambda *_: None)

    with pytest.raises(SystemExit):
        watching.main()

    assert (
        "FAILED: this job does not understand what AWS answers (ZeroDivisionError: division by zero): the new version "
        "is not checked, and CodeDeploy stops when it has waited for the word. The previous version keeps serving.\n"
    ) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("deployment", "region", "advice"),
    [
        ("", "", ""),
        (DEPLOYMENT, "", f"aws deploy stop-deployment --deployment-id {DEPLOYMENT} --auto-rollback-enabled\n"),
        (DEPLOYMENT, "eu-west-1", f"{DEPLOYMENT} --auto-rollback-enabled --region eu-west-1\n"),
    ],
    ids=["not begun", "without a region", "with a region"],
)
def test_a_deployment_that_is_not_decided_in_time_goes_on_and_can_be_stopped_by_hand(
    watching: Any,  # noqa: ANN401 - as the fixture
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    deployment: str,
    region: str,
    advice: str,
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    monkeypatch.setattr(watching.Watch, "step", lambda _self: False)
    watch = watching.Watch()
    watch.deployment = deployment

    watch.follow()

    said = capsys.readouterr().out
    assert "not decided after 12 minutes: this job watches no longer, the deployment goes on\n" in said
    assert said.endswith(advice)
    assert ("stop-deployment" in said) == bool(deployment)
