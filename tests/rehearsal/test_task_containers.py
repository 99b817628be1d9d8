"""Tasks of several containers, on hosting that runs for real: as the stack file describes them.

A proxy in front of the application, and a log router, are in the example behind-nginx: test_examples.py delivers it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from delivered_stack import DeliveredStack
from hosted import PORT, await_, fetched, running
from rehearsing import Need

from local.rehearsal.hosting import Secrets
from local.rehearsal.images import Entry, Image, busybox, image, layer
from local.rehearsal.job_sandbox import JobSandbox


@pytest.fixture(autouse=True)
def _tools(need: Need) -> None:
    need("namespaces", "docker", "haproxy")


def stack(application: dict[str, Any], **hosting: object) -> DeliveredStack:
    """A stack whose tasks are replaced by ECS itself, one after the other."""
    shares = {"minimumHealthyPercent": 100, "maximumPercent": 200}  # of one task, too
    section = {"alarms": {"enabled": False}, "service": shares, **hosting}
    return DeliveredStack("existing-network", {"application": application, "hosting": section})


def shell(**files: str) -> Image:
    """An image with these scripts in /srv, which every command of its containers can run."""
    scripts = {f"srv/{name}": Entry(text.encode(), 0o755) for name, text in files.items()}
    return image(busybox(), layer({**scripts, "srv/index.html": Entry(b"well")}))


_CAUSE = """
import json, sys
from jobs import stopped_tasks
tasks, definition = json.load(sys.stdin)
print(stopped_tasks.cause("\\n".join(line for task in tasks for line in stopped_tasks.lines_of(task, definition))))
"""


def cause_of(tasks: list[dict[str, Any]], definition: dict[str, Any]) -> str:
    """What the jobs say of why tasks have stopped."""
    folder = Path(__file__).parents[2] / "buildspecs"
    said = subprocess.run(
        [sys.executable, "-c", _CAUSE],
        cwd=folder,
        input=json.dumps([tasks, definition], default=str),
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.strip()


def written(folder: Path, task: str) -> list[str]:
    """What the containers of a task have written."""
    return (folder / "logs" / f"{task}.log").read_text(encoding="utf-8").splitlines()


def test_a_container_that_runs_first_prepares_what_the_application_needs(sandbox: JobSandbox, tmp_path: Path) -> None:
    described = {
        "name": "shop",
        "command": ["sh", "-c", f"echo started; exec httpd -f -p {PORT} -h /srv"],
        "dependsOn": {"prepare": "SUCCESS"},
        "containers": {
            "prepare": {"image": "build", "essential": False, "command": ["sh", "-c", "sleep 1; echo prepared"]}
        },
    }
    with running(sandbox, tmp_path, stack(described)) as served:
        new = served.deploy(served.push(shell()))

        assert served.settled() == "SUCCESSFUL"
        assert served.visited() == [new], "its end is not the task's"
        (task, *_) = [task for task in served.hosting.service.tasks if task.fit]
        assert written(tmp_path, task.identity) == ["prepare | prepared", "shop | started"]


@pytest.mark.parametrize(
    ("first", "changes", "cause", "said", "shop"),
    [
        (
            {"essential": False, "command": ["sh", "-c", "echo no such table >&2; exit 3"]},
            {"dependsOn": {"first": "SUCCESS"}},
            "the container first, which others wait for (dependsOn: SUCCESS), failed: ",
            "Essential container in task exited",
            {"exitCode": 143},
        ),
        (
            {
                "essential": False,
                "command": ["sleep", "100"],
                "healthCheck": {"command": ["CMD", "false"], "intervalSeconds": 5, "retries": 1},
            },
            {"dependsOn": {"first": "HEALTHY"}},
            "the container first, which others wait for (dependsOn: HEALTHY), did not become healthy: ",
            "Essential container in task exited",
            {"exitCode": 143},
        ),
        (
            {
                "command": ["sleep", "100"],
                "stopTimeoutSeconds": 2,
                "healthCheck": {"command": ["CMD", "false"], "intervalSeconds": 5, "retries": 1},
            },
            {},
            "a container's own health check failed: see its healthCheck",
            "Task failed container health checks",
            {},
        ),
        (
            {"command": ["sh", "-c", "exit 4"]},
            {},
            "the program ended with exit code 4: the last lines of its log say why",
            "Essential container in task exited",
            {},
        ),
    ],
    ids=["runs first and fails", "never healthy", "essential and unhealthy", "essential and ends"],
)
def test_a_further_container_that_fails_ends_the_task_which_says_why(
    sandbox: JobSandbox,
    tmp_path: Path,
    first: dict[str, Any],
    changes: dict[str, Any],
    cause: str,
    said: str,
    shop: dict[str, Any],
) -> None:
    described = {"name": "shop", **changes, "containers": {"first": {"image": "build", **first}}}
    planned = stack(described)
    with running(sandbox, tmp_path, planned) as served:
        (before,) = served.visited()

        new = served.deploy(served.push(shell()), command=["httpd", "-f", "-p", PORT, "-h", "/srv"])

        assert served.settled() == "ROLLBACK_SUCCESSFUL"
        assert served.visited() == [before]
        failed = [task for task in served.stopped(new) if task["stoppedReason"] == said]
        assert len(failed) >= 3
        parts = {part["name"]: part for part in failed[0]["containers"]}
        assert shop.items() <= parts["shop"].items()
        log = written(tmp_path, failed[0]["taskArn"].rpartition("/")[2]) if "no such table" in str(first) else []
        assert cause_of(failed, planned.whole).startswith(cause)
        assert log == (["first | no such table"] if "no such table" in str(first) else [])


def test_a_container_ends_after_those_that_depend_on_it(sandbox: JobSandbox, tmp_path: Path) -> None:
    """The dependencies of the start are those of the end, the other way round.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
    """
    ends = "trap 'sleep 1; echo %s ends; exit 0' TERM; while :; do sleep 0.1; done"
    described = {
        "name": "shop",
        "command": ["sh", "-c", f"httpd -p {PORT} -h /srv; {ends % 'shop'}"],
        "dependsOn": {"store": "START"},
        "containers": {"store": {"image": "build", "command": ["sh", "-c", ends % "store"]}},
    }
    with running(sandbox, tmp_path, stack(described)) as served:
        served.deploy(served.push(shell()))
        assert served.settled() == "SUCCESSFUL"
        (task, *_) = [task for task in served.hosting.service.tasks if task.fit]
        served.deploy(served.push(shell(more="")))
        assert served.settled() == "SUCCESSFUL"
        served.stopped("none")

    assert written(tmp_path, task.identity) == ["shop | shop ends", "store | store ends"]


def test_containers_share_volumes_and_file_systems_outlive_tasks(sandbox: JobSandbox, tmp_path: Path) -> None:
    """A file system's access point has a user of its own, so that one who is not root may write, too."""
    point = {"fileSystemId": "fs-0a1b2c3d4e5f67890", "accessPointId": "fsap-0a1b2c3d4e5f67890"}
    script = "cat /srv/given/list; cat /srv/files/* 2>&1; echo $VERSION >> /srv/files/seen"
    described = {
        "name": "shop",
        "desiredCount": 1,
        "command": ["sh", "-c", f"{script}; touch /srv/given/x 2>&1; exec httpd -f -p {PORT} -h /srv"],
        "dependsOn": {"prepare": "SUCCESS"},
        "user": "65534:65534",
        "mounts": {"given": {"path": "/srv/given", "readOnly": True}, "files": {"path": "/srv/files"}},
        "containers": {
            "prepare": {
                "image": "build",
                "essential": False,
                "command": ["sh", "-c", "echo a list > /srv/given/list"],
                "mounts": {"given": {"path": "/srv/given"}},
            }
        },
        "volumes": {"given": {}, "files": {"efs": point}},
    }
    with running(sandbox, tmp_path, stack(described)) as served:
        said = []
        for version in ("one", "two"):
            new = served.deploy(served.push(shell()), environment=[{"name": "VERSION", "value": version}])
            assert served.settled() == "SUCCESSFUL"
            (task,) = [task for task in served.hosting.service.tasks if task.fit]
            assert task.definition["taskDefinitionArn"].endswith(new)
            said.append(written(tmp_path, task.identity))

    lost = "shop | touch: /srv/given/x: Read-only file system"
    assert said == [
        ["shop | a list", "shop | cat: can't open '/srv/files/*': No such file or directory", lost],
        ["shop | a list", "shop | one", lost],
    ]


def test_a_container_reads_its_files_with_variables(sandbox: JobSandbox, tmp_path: Path) -> None:
    """What the stack file says wins over them, and the first file over the next."""
    files = [f"arn:aws:s3:::shop-configuration/{name}.env" for name in ("prod", "all")]
    texts = ["# of prod\nCOLOR=green = blue\nSIZE=1\n\n", "COLOR=red\nSHAPE=round\n"]
    described = {
        "name": "shop",
        "command": ["sh", "-c", f"echo ${{COLOR%e}} $SIZE ${{SHAPE#r}}; exec httpd -f -p {PORT} -h /srv"],
        "environmentFiles": files,
    }
    given = Secrets(dict(zip(files, texts, strict=True)))
    with running(sandbox, tmp_path, stack(described), secrets=given) as served:
        served.deploy(served.push(shell()), environment=[{"name": "SIZE", "value": "22"}])
        assert served.settled() == "SUCCESSFUL"
        (task, *_) = [task for task in served.hosting.service.tasks if task.fit]
        assert written(tmp_path, task.identity) == ["shop | green = blu 22 ound"]


def test_a_file_with_variables_that_is_not_there_keeps_the_task_from_starting(
    sandbox: JobSandbox, tmp_path: Path
) -> None:
    described = {"name": "shop", "environmentFiles": ["arn:aws:s3:::shop-configuration/none.env"]}
    with running(sandbox, tmp_path, stack(described)) as served:
        (before,) = served.visited()
        new = served.deploy(served.push(shell()), command=["httpd", "-f", "-p", PORT, "-h", "/srv"])

        assert served.settled() == "ROLLBACK_SUCCESSFUL"
        assert served.visited() == [before]
        assert {task["stoppedReason"].partition(":")[0] for task in served.stopped(new)} == {
            "ResourceInitializationError"
        }


def test_each_listener_reaches_its_own_container_and_a_task_has_to_be_well_for_all(
    sandbox: JobSandbox, tmp_path: Path
) -> None:
    """Two ports of the load balancer lead to two containers of a task; one that fails at either is no new version."""
    described = {
        "name": "shop",
        "command": ["httpd", "-f", "-p", PORT, "-h", "/srv"],
        "containers": {
            "admin": {"image": "build", "port": 9000, "command": ["httpd", "-f", "-p", "9000", "-h", "/srv/admin"]}
        },
    }
    listeners = {"admin": {"port": 9443, "container": "admin", "healthCheckPath": "/ready"}}
    planned = stack(described, loadBalancer={"plainHttp": True, "listeners": listeners})
    with running(sandbox, tmp_path, planned) as served:
        balancer = served.hosting.balancer
        assert balancer is not None

        def seen() -> list[str]:
            return [fetched(sandbox, f"http://{balancer.address}:{port}/") for port in (80, 9443)]

        assert [answer.split()[:2] for answer in seen()] == [["200", "Waiting"]] * 2
        well = shell(**{"admin/index.html": "for administrators", "admin/ready": "well"})
        new = served.deploy(served.push(well))
        assert served.settled() == "SUCCESSFUL"
        assert served.visited() == [new]
        await_(lambda: seen() == ["200  well", "200  for administrators"])

        broken = served.deploy(served.push(shell(**{"admin/index.html": "broken"})))
        assert served.settled() == "ROLLBACK_SUCCESSFUL"
        assert served.visited() == [new], "who is well for the users is not well for all"
        assert seen() == ["200  well", "200  for administrators"]
        assert ":targetgroup/shop-existing-network-to-admin/" in served.stopped(broken)[0]["stoppedReason"]
