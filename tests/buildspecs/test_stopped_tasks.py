"""Why tasks stopped: each cause is found in what Amazon ECS, a load balancer or an application really says."""

import sys
from pathlib import Path
from typing import Any

import pytest
from fake_tools import Machine, module

GROUP = "/ecs/shop-dev"
DEFINITION: dict[str, Any] = {
    "containerDefinitions": [
        {
            "name": "shop",
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": GROUP, "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "web"},
            },
        }
    ]
}
PULL = "CannotPullContainerError: pull image manifest has been retried {} time(s): {}"
ASM = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable "
    "to retrieve secret from asm: service call has been retried 1 time(s): {}"
)
REFERENCE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop@sha256:0f0f"
NOT_THERE = PULL.format(1, f"failed to resolve ref {REFERENCE}: not found")
GROUP_ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/shop-green/8e6d68f88cd88d12"
ELB = f"Task failed ELB health checks in (target-group {GROUP_ARN})"
EXITED = "Essential container in task exited"


def task(reason: str, *, code: int | None = None, container: str = "", **more: object) -> dict[str, Any]:
    """A stopped task as ECS describes it."""
    part: dict[str, Any] = {"name": "shop", "lastStatus": "STOPPED"}
    part |= {} if code is None else {"exitCode": code}
    part |= {"reason": container} if container else {}
    stopped = {"stopCode": "EssentialContainerExited" if reason == EXITED else "ServiceSchedulerInitiated"}
    arn = f"arn:aws:ecs:eu-west-1:123456789012:task/shop-dev/{more.pop('identity', '1')}"
    return {"taskArn": arn, "stoppedReason": reason, "containers": [part], **stopped, **more}


@pytest.mark.parametrize(
    ("reason", "container", "expected"),
    [
        pytest.param(
            PULL.format(7, "image Manifest does not contain descriptor matching platform 'linux/arm64'"),
            "",
            "for another processor",
            id="no manifest for the processor",
        ),
        pytest.param(NOT_THERE, NOT_THERE, "the image is not in the registry", id="image gone"),
        pytest.param(
            PULL.format(1, f"failed to resolve ref {REFERENCE}: unexpected status code 403 Forbidden"),
            "",
            "the execution role may not pull the image",
            id="pull forbidden",
        ),
        pytest.param(
            "Essential container in task exited\ncontainer migrate: exit code 1\ncontainer shop: exit code 143. "
            "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency "
            "[migrate(shop@sha256:0f) (STOPPED->RUNNING) - Exit: 1] for target [shop(shop@sha256:0f) (NONE->RUNNING)] "
            "as dependency did not exit successfully",
            "",
            "the container migrate, which others wait for (dependsOn: SUCCESS), failed",
            id="a container that runs first",
        ),
        pytest.param(
            "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency "
            "[cache(redis:8) (RUNNING->RUNNING)] for target [shop(shop:1) (NONE->RUNNING)] as dependency "
            "is not healthy",
            "",
            "the container cache, which others wait for (dependsOn: HEALTHY), did not become healthy",
            id="a container that others wait for",
        ),
        pytest.param(
            "Essential container in task exited",
            "s6-overlay-suexec: fatal: can only run as pid 1",
            "set application.initProcess to false",
            id="process 1",
        ),
        pytest.param(
            "CannotPullContainerError: Error response from daemon: pull access denied for shop, repository does not "
            "exist or may require 'docker login'",
            "",
            "the execution role may not pull the image",
            id="pull denied",
        ),
        pytest.param(
            PULL.format(
                5,
                "failed to resolve ref docker.io/library/nginx:latest: failed to do request: Head "
                '"https://registry-1.docker.io/v2/library/nginx/manifests/latest": dial tcp 44.205.64.79:443: '
                "i/o timeout",
            ),
            "",
            "the task cannot reach the registry or AWS",
            id="no way to the registry",
        ),
        pytest.param(
            "CannotPullContainerError: ref pull has been retried 5 time(s): failed to copy: httpReadSeeker: failed "
            "open: unexpected status code https://registry-1.docker.io/v2/library/nginx/manifests/sha256:0f: 429 Too "
            "Many Requests - Server message: toomanyrequests: You have reached your pull rate limit",
            "",
            "the registry limits pulls",
            id="rate limit",
        ),
        pytest.param("CannotPullContainerError: context canceled", "", "cannot reach the registry", id="canceled"),
        pytest.param("CannotPullContainerError: no space left", "", "the image cannot be pulled", id="another pull"),
        pytest.param(
            "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull registry auth "
            "from Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network "
            "configuration. RequestError: send request failed caused by: Post "
            '"https://api.ecr.eu-west-1.amazonaws.com/": dial tcp 10.0.0.1:443: i/o timeout',
            "",
            "the task cannot reach the registry or AWS",
            id="no way to ECR",
        ),
        pytest.param(
            ASM.format(
                "failed to fetch secret arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf from secrets "
                "manager: operation error Secrets Manager: GetSecretValue, https response error StatusCode: 400, "
                "api error AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/execution/1 is not "
                "authorized to perform: secretsmanager:GetSecretValue"
            ),
            "",
            "the execution role may not read a secret",
            id="secret denied",
        ),
        pytest.param(
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
            "failed: unable to retrieve secrets from ssm: service call has been retried 1 time(s): operation error "
            "SSM: GetParameters, https response error StatusCode: 400, api error AccessDeniedException: User: arn",
            "",
            "the execution role may not read a secret",
            id="parameter denied",
        ),
        pytest.param(
            ASM.format("retrieved secret from Secrets Manager did not contain json key DATABASE_URL"),
            "",
            "or the key named in it, does not exist",
            id="no such key",
        ),
        pytest.param(
            ASM.format(
                "failed to fetch secret arn:aws:secretsmanager:eu-west-1:123456789012:secret:db from secrets manager: "
                "ResourceNotFoundException: Secrets Manager can't find the specified secret."
            ),
            "",
            "a secret of application.secrets, or the key",
            id="no such secret",
        ),
        pytest.param(
            "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
            "failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not "
            "exist.",
            "",
            "the task cannot write its log",
            id="no log group",
        ),
        pytest.param(
            EXITED,
            "CannotStartContainerError: Error response from daemon: failed to create shim task: OCI runtime create "
            'failed: runc create failed: unable to start container process: exec: "serve": executable file not found '
            "in $PATH: unknown",
            "the container's command cannot be started",
            id="no such command",
        ),
        pytest.param(
            "Task failed container health checks", "", "a container's own health check failed", id="container"
        ),
        pytest.param(
            "OutOfMemoryError: Container killed due to memory usage", "", "needs more memory than it has", id="memory"
        ),
        pytest.param(
            EXITED,
            "OutOfMemoryError: Container killed due to memory usage",
            "raise application.memory",
            id="memory too",
        ),
        pytest.param(
            "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/shop' that was provided for this task. "
            "Please verify that the role being passed has the proper trust relationship and permissions",
            "",
            "its trust policy must name ecs-tasks.amazonaws.com",
            id="role",
        ),
        pytest.param(
            "Capacity is unavailable at this time. Please try again later or in a different availability zone",
            "",
            "no capacity, address or quota left",
            id="capacity",
        ),
        pytest.param(
            "Timeout waiting for network interface provisioning to complete.",
            "",
            "no capacity, address or quota left",
            id="interface",
        ),
    ],
)
def test_each_reason_that_ecs_gives_has_its_cause(machine: Machine, reason: str, container: str, expected: str) -> None:
    """Texts of AWS's "Stopped tasks error messages", and of public reports of them."""
    explained = module("stopped_tasks").explain([task(reason, container=container)], [], DEFINITION, GROUP)

    assert expected in explained.sentence
    assert machine.calls == [], "a container that did not run has no log"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, "the program ended by itself (exit code 0)"),
        (1, "the program ended with exit code 1: the last lines of its log say why"),
        (126, "the container's command cannot be started"),
        (127, "the container's command cannot be started"),
        (137, "a container was killed (exit code 137)"),
        (139, "a segmentation fault (exit code 139)"),
        (143, "the program was asked to end (SIGTERM, exit code 143)"),
    ],
)
def test_each_exit_code_has_its_cause(machine: Machine, code: int, expected: str) -> None:
    machine.answer("aws logs get-log-events", {"events": []})

    assert expected in explained(machine, [task(EXITED, code=code)]).sentence


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            'nginx: [emerg] mkdir() "/var/cache/nginx/client_temp" failed (30: Read-only file system)',
            "read-only root file system",
        ),
        (
            "OSError: [Errno 30] Read-only file system: '/app/cache'",
            "name the path in writablePaths, or set readOnlyRootFilesystem",
        ),
        ("Error: EROFS: read-only file system, mkdir '/app/.next/cache'", "read-only root file system"),
        ("Errno::EROFS: Read-only file system @ dir_s_mkdir - /app/tmp/pids", "read-only root file system"),
        ("exec /srv/app: exec format error", "for another processor"),
        ("standard_init_linux.go:228: exec user process caused: exec format error", "for another processor"),
        ("java.lang.OutOfMemoryError: Java heap space", "needs more memory"),
    ],
)
def test_what_only_the_application_s_log_says_is_found_there(machine: Machine, line: str, expected: str) -> None:
    machine.answer(
        f"aws logs get-log-events --log-group-name {GROUP} --log-stream-name web/shop/2",
        {"events": [{"message": "Starting\n"}, {"message": f"{line}\n"}]},
    )
    tasks = [task(EXITED, code=1, createdAt=2.5, identity="2"), task(EXITED, code=1, createdAt=1.5)]

    found = explained(machine, tasks)

    assert expected in found.sentence
    assert found.lines == [
        *(f"  - task 1: {EXITED}", "    container shop: exit code 1"),
        *(f"  - task 2: {EXITED}", "    container shop: exit code 1"),
        *("  The last lines of task 2:", "  | Starting", f"  | {line}"),
        f"More: aws logs tail {GROUP} --since 30m",
    ]


@pytest.mark.parametrize(
    ("why", "expected"),
    [
        ("Health checks failed with these codes: [503]", "health check was answered 503"),
        ("Health checks failed with these codes: [404, 502]", "health check was answered 404, 502"),
        ("Request timed out", "health check got no answer"),
        ("Health checks failed", "health check got no answer"),
    ],
)
def test_the_answer_to_the_load_balancer_s_health_check_stands_in_the_events(
    machine: Machine, why: str, expected: str
) -> None:
    event = f"(service shop) (task 1) (port 8080) is unhealthy in (target-group {GROUP_ARN}) due to (reason {why})."
    machine.answer("aws logs get-log-events", {"events": []})

    found = explained(machine, [task(ELB, code=143)], ["(service shop) has started 1 tasks: (task 2).", event])

    assert expected in found.sentence
    assert f"  - {event}" in found.lines


def test_a_program_that_ends_is_not_blamed_on_the_health_check(machine: Machine) -> None:
    """The load balancer calls its task unhealthy, too."""
    event = f"(task 1) (port 8080) is unhealthy in (target-group {GROUP_ARN}) due to (reason Health checks failed)"
    machine.answer("aws logs get-log-events", {"events": []})

    assert "exit code 3" in explained(machine, [task(EXITED, code=3)], [event]).sentence


@pytest.mark.parametrize(
    "stopped",
    [
        task("Scaling activity initiated by (deployment ecs-svc/1)"),
        task("Task stopped by person", stopCode="UserInitiated"),
        task("Your Spot Task was interrupted.", stopCode="SpotInterruption"),
        task("ECS is performing maintenance on the underlying infrastructure", stopCode="TerminationNotice"),
        {key: value for key, value in task("").items() if key != "stoppedReason"},
    ],
    ids=["scaled in", "by a person", "Spot", "maintenance", "not yet stopped"],
)
def test_a_task_that_stops_for_no_fault_of_its_version_says_nothing(stopped: dict[str, Any]) -> None:
    stopped_tasks = module("stopped_tasks")

    assert not stopped_tasks.failed(stopped)
    assert stopped_tasks.explain([stopped], [], DEFINITION, "") == (
        "",
        ["  - ECS names no stopped task of this version"],
    )


def test_a_cause_is_not_put_together_from_two_lines() -> None:
    assert module("stopped_tasks").cause("CannotPullContainerError: no space left\naccess denied") == (
        "the image cannot be pulled"
    )


@pytest.mark.parametrize(
    ("definition", "group"),
    [
        ({}, GROUP),
        ({"containerDefinitions": [{"name": "shop"}]}, GROUP),
        (DEFINITION, "/ecs/of-somebody-else"),
    ],
    ids=["no containers", "no log driver", "another group"],
)
def test_a_log_that_is_not_in_the_group_of_the_project_is_not_read(
    machine: Machine, definition: dict[str, Any], group: str
) -> None:
    explained(machine, [task(EXITED, code=1)], definition=definition, group=group)

    assert machine.calls == []


def test_a_log_that_cannot_be_read_takes_nothing_away(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.answer("aws logs", code=254, errors="An error occurred (AccessDeniedException) when calling GetLogEvents")

    found = explained(machine, [task(EXITED, code=1)])

    assert "exit code 1" in found.sentence
    assert "    ended with code 254: An error occurred (AccessDeniedException)" in capsys.readouterr().out


def test_a_container_that_wrote_nothing_has_no_log_and_that_is_no_fault(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.answer("aws logs", code=254, errors="An error occurred (ResourceNotFoundException) when calling it")

    explained(machine, [task(EXITED, code=1)])

    assert "ended with code" not in capsys.readouterr().out


def test_more_tasks_than_one_request_may_describe_are_described_in_several(machine: Machine) -> None:
    machine.answer("aws ecs describe-tasks", {"tasks": [{"taskArn": "a/1"}]})
    machine.publish()

    found = module("stopped_tasks").described("main", [f"task/{number}" for number in range(205)])

    assert len(found) == 3
    assert [len(call.words) - call.words.index("--tasks") - 3 for call in machine.calls] == [100, 100, 5]


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        (DEFINITION["containerDefinitions"][0]["logConfiguration"], True),
        ({"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/legacy"}}, False),
        ({"logDriver": "splunk", "options": {"splunk-url": "https://splunk.example.com"}}, False),
        ({"logDriver": "json-file"}, False),
        ({}, False),
    ],
)
def test_the_log_group_is_named_only_where_a_container_writes_to_it(
    machine: Machine, log: dict[str, Any], shown: bool
) -> None:
    """A service that is taken over logs to where it always has."""
    found = explained(
        machine,
        [task("Task failed container health checks")],
        definition={"containerDefinitions": [{"name": "shop", "logConfiguration": log}]},
    )
    assert (f"More: aws logs tail {GROUP} --since 30m" in found.lines) == shown


def explained(
    machine: Machine,
    tasks: list[dict[str, Any]],
    events: list[str] | None = None,
    *,
    definition: dict[str, Any] | None = None,
    group: str = GROUP,
) -> Any:  # noqa: ANN401 - a class of a script
    """What the module makes of it, on this machine."""
    machine.publish()
    return module("stopped_tasks").explain(tasks, events or [], DEFINITION if definition is None else definition, group)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose tools are those of this process."""
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:{Path(sys.executable).parent}")
    return made
