"""Versions that do not run, on hosting that runs for real: the previous one answers all the time, and ECS says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from delivered_stack import DeliveredStack
from hosted import Running, app, running
from rehearsing import Need

from local.rehearsal.images import Image
from local.rehearsal.job_sandbox import JobSandbox

SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:none-AbCdEf"  # noqa: S105 - a name


@pytest.fixture(autouse=True, scope="module")
def _tools(need: Need) -> None:
    need("namespaces", "docker", "haproxy")


@pytest.fixture(scope="module")
def served(sandbox: JobSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that ECS deploys by tasks that replace others; whatever fails leaves it as it was."""
    # Without the alarm on unhealthy tasks, which may go off before as many have failed as break the circuit.
    stack = DeliveredStack("existing-network", {"hosting": {"alarms": {"enabled": False}}})
    with running(sandbox, tmp_path_factory.mktemp("hosting"), stack) as made:
        yield made


@pytest.mark.parametrize(
    ("what", "changes", "exit_code", "words"),
    [
        (
            lambda: app("two"),
            {"entryPoint": ["sh", "-c"], "command": ["echo no database >&2; exit 3"]},
            3,
            ("Essential container in task exited", "no database"),
        ),
        (
            lambda: app("two", health=False),
            {},
            143,
            (
                "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:",
                "due to (reason Health checks failed with these codes: [404]).",
            ),
        ),
        (lambda: None, {}, None, ("CannotPullContainerError: ", "not found")),
        (
            lambda: app("two"),
            {"entryPoint": ["sh", "-c"], "command": ["tail /dev/zero"], "memory": 32},
            137,
            ("Essential container in task exited", "OutOfMemoryError: Container killed due to memory usage"),
        ),
        (
            lambda: app("two"),
            {"secrets": [{"name": "TOKEN", "valueFrom": SECRET}]},
            None,
            ("ResourceInitializationError: unable to pull secrets or registry auth: ", "unable to retrieve secret"),
        ),
        (
            lambda: app("two"),
            {"entryPoint": ["/srv/none"], "linuxParameters": {}},  # with an init process it is that one which fails
            None,
            ("CannotStartContainerError: Error response from daemon: ", "/srv/none"),
        ),
        (
            lambda: app("two"),
            {"healthCheck": {"command": ["CMD", "false"], "interval": 5, "retries": 2}},
            143,
            ("Task failed container health checks",),
        ),
    ],
    ids=["crash", "unhealthy", "no image", "out of memory", "no secret", "no command", "own health check"],
)
def test_a_version_that_does_not_run_is_rolled_back_and_nobody_notices(
    served: Running,
    what: Callable[[], Image | None],
    changes: dict[str, object],
    exit_code: int | None,
    words: tuple[str, ...],
) -> None:
    (first,) = served.visited()
    before = len(served.hosting.service.events)
    broken = what()
    uri = served.push(broken) if broken else f"{served.push(app('two')).partition('@')[0]}@sha256:{'0' * 64}"

    new = served.deploy(uri, **changes)

    assert served.settled() == "ROLLBACK_SUCCESSFUL"
    assert served.visited() == [first]
    # Its own health check keeps nobody from a task that the load balancer finds well.
    assert "healthCheck" in changes or served.visitor.versions == [first]
    deployment = served.hosting.service.deployments[0]
    assert "the circuit breaker threshold was exceeded" in deployment.reason
    tasks = served.stopped(new)
    failed = [task for task in tasks if not task["stoppedReason"].startswith("Scaling activity")]
    assert len(failed) >= deployment.failures >= 3
    assert {task["containers"][0].get("exitCode") for task in failed} == {exit_code}
    said = [task["stoppedReason"] for task in failed] + [task["containers"][0].get("reason", "") for task in failed]
    said += [event["message"] for event in served.hosting.service.events[:-before]]
    said += [line for task in failed if exit_code is not None for line in served.log(task)]
    for part in words:
        assert part in "\n".join(said)
