"""The hosting of a stack that runs for real: no user meets a deployment that goes well, and alarms end others."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from delivered_stack import Builder, DeliveredStack, artifact
from hosted import PORT, app, await_, fetched, planned, running
from mocked import REGION
from rehearsing import Need

from local.rehearsal.codebuild import Result
from local.rehearsal.ecs.state import ONGOING
from local.rehearsal.emulated import serving
from local.rehearsal.hosting import Pace, Secrets
from local.rehearsal.images import Entry, busybox, image, layer
from local.rehearsal.job_sandbox import JobSandbox


@pytest.fixture(autouse=True)
def _tools(need: Need) -> None:
    need("namespaces", "docker", "haproxy")


@pytest.mark.parametrize(
    ("stack", "strategy", "engine"),
    [
        ("existing-network", "rolling", "ecs"),
        ("ecs-blue-green", "blueGreen", "ecs"),
        ("ecs-blue-green", "canary", "ecs"),
        ("ecs-blue-green", "linear", "ecs"),
        ("dev", "allAtOnce", "codeDeploy"),
        ("dev", "canary", "codeDeploy"),
        ("prod", "linear", "codeDeploy"),
        # These deploy to a service of somebody else.
        ("classic", "rolling", "ecsAction"),
        ("ecs-native", "canary", "ecs"),
        ("existing-hosting", "allAtOnce", "codeDeploy"),
    ],
)
def test_no_request_fails_while_a_version_is_deployed_and_the_one_before_comes_back(
    sandbox: JobSandbox, tmp_path: Path, stack: str, strategy: str, engine: str
) -> None:
    with running(sandbox, tmp_path, planned(stack, strategy, engine)) as served:
        (first,) = served.visited()

        new = served.deploy(served.push(app("two", port=served.port)))

        assert served.settled() in ("SUCCESSFUL", "Succeeded")
        assert served.visited() == [new]
        assert served.visitor.versions == [first, new]
        assert served.hosting.service.running == [new]
        shares = [visit.version for visit in served.visitor.visits]
        began, ended = shares.index(new), len(shares) - 1 - shares[::-1].index(first)
        both = began < ended
        assert both == (strategy in ("canary", "linear")) or strategy == "rolling", "step by step, or all at once"
        (ended_well, *_) = served.stopped(first)
        assert ended_well["stoppedReason"].startswith("Scaling activity initiated by deployment")

        served.move_to(first)
        await_(lambda: served.hosting.service.running == [first])
        assert served.visited() == [first]


def test_a_single_task_that_must_not_run_twice_ends_before_the_new_one_starts(
    sandbox: JobSandbox, tmp_path: Path
) -> None:
    one = DeliveredStack(
        "worker",
        {
            "application": {"desiredCount": 1},
            "hosting": {
                "loadBalancer": {"enabled": False},
                "service": {"minimumHealthyPercent": 0, "maximumPercent": 100},
            },
        },
    )
    with running(sandbox, tmp_path, one) as served:
        served.deploy(served.push(image(busybox(), Entrypoint=["sleep", "1000"])), command=[])
        most = 0
        while served.hosting.service.deployments[0].status in ONGOING:
            most = max(most, sum(task.status == "RUNNING" for task in list(served.hosting.service.tasks)))
            time.sleep(0.01)

        assert served.settled() == "SUCCESSFUL"
        assert most == 1


SLOW = b"""#!/bin/sh
sleep 2
printf 'Content-Type: text/plain\\r\\n\\r\\nat last'
"""


def test_a_request_in_flight_is_answered_before_its_task_ends(sandbox: JobSandbox, tmp_path: Path) -> None:
    """Each request takes two seconds, so that there is one whenever tasks are replaced."""
    with running(sandbox, tmp_path, planned("existing-network", "rolling", "ecs")) as served:
        slow = layer({"srv/cgi-bin/slow": Entry(SLOW, 0o755), "srv/index.html": Entry(b"well")})
        web = image(busybox(), slow, Entrypoint=["httpd", "-f", "-p", PORT, "-h", "/srv"])
        one = served.deploy(served.push(web))
        assert served.settled() == "SUCCESSFUL"

        with served.hosting.visitor("/cgi-bin/slow") as patient:
            await_(lambda: len(patient.visits) > 0)
            two = served.deploy(served.push(web), environment=[{"name": "VERSION", "value": "two"}])
            assert served.settled() == "SUCCESSFUL"
            await_(lambda: patient.versions == [one, two])

        assert patient.failed == []
        assert {visit.status for visit in patient.visits} == {200}
        assert served.visitor.failed == []


def test_a_version_that_begins_to_listen_late_gets_no_request_too_early(sandbox: JobSandbox, tmp_path: Path) -> None:
    """Its first health checks fail; the first one that it passes makes it healthy.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
    """
    seldom = Pace(waits=0.003, checks=0.2, grace=0.2, least_grace=20)
    with running(sandbox, tmp_path, planned("dev", "allAtOnce", "codeDeploy"), pace=seldom) as served:
        late = ["sh", "-c", f"sleep 3; exec httpd -f -p {served.port} -h /srv"]
        files = {name: Entry(b"late") for name in ("srv/index.html", "srv/healthz")}
        new = served.deploy(served.push(image(busybox(), layer(files), Entrypoint=late)))

        assert served.settled() == "Succeeded"
        assert served.visited() == [new]


def test_a_task_gets_what_its_definition_says(sandbox: JobSandbox, tmp_path: Path) -> None:
    """Two containers share a network; each has its own variables, user and file system."""
    script = (
        'echo "$GREETING $TOKEN ${#TOKEN} $(id -u) $(pwd) $(ulimit -n)"; touch /x 2>&1; touch /tmp/y && echo "written";'
        f" exec httpd -f -p {PORT} -h /srv"
    )
    secrets = {"arn:aws:secretsmanager:eu-west-1:123456789012:secret:token-AbCdEf": "sesame"}
    with running(sandbox, tmp_path, planned("existing-network", "rolling", "ecs"), secrets=Secrets(secrets)) as served:
        web = image(
            busybox(),
            layer({"srv/index.html": Entry(b"well"), "tmp/.keep": Entry()}),
            Volumes={"/tmp": {}},  # noqa: S108 - in the container
        )
        uri = served.push(web)
        beside = {
            "name": "beside",
            "image": uri,
            "essential": False,
            "command": ["wget", "-q", "-O", "-", f"http://127.0.0.1:{PORT}/"],
            "dependsOn": [{"containerName": "shop", "condition": "HEALTHY"}],
        }
        new = served.deploy(
            uri,
            beside,
            entryPoint=["sh", "-c"],
            command=[script],
            environment=[{"name": "GREETING", "value": "it's me"}],
            secrets=[{"name": "TOKEN", "valueFrom": next(iter(secrets))}],
            user="65534:65534",
            workingDirectory="/srv",
            readonlyRootFilesystem=True,
            ulimits=[{"name": "nofile", "softLimit": 777, "hardLimit": 777}],
            healthCheck={"command": ["CMD-SHELL", f"wget -q -O - http://127.0.0.1:{PORT}/"]},
        )

        assert served.settled() == "SUCCESSFUL"
        assert served.visited() == [new]
        (task, *_) = [task for task in served.hosting.service.tasks if task.fit]
        written = (tmp_path / "logs" / f"{task.identity}.log").read_text(encoding="utf-8").splitlines()
        assert "shop | it's me *** 6 65534 /srv 777" in written, "a secret is there, and is not shown"
        assert "shop | touch: /x: Read-only file system" in written
        assert "shop | written" in written
        assert "beside | well" in written, "it reaches the other one, and its end is not the task's"


def test_health_checks_are_requests_of_http_1_1_for_an_address(sandbox: JobSandbox, tmp_path: Path) -> None:
    """Some applications refuse HTTP/1.0, and some every name that they are not told of."""
    answer = r"""#!/bin/sh
read -r _ _ version; host=; agent=
while read -r name value && [ "$value" ]; do
  case "$name" in [Hh]ost:) host=$value ;; [Uu]ser-[Aa]gent:) agent=$value ;; esac
done
echo "$version|$host|$agent" | tr -d '\r' >&2
printf 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
"""
    with running(sandbox, tmp_path, planned("existing-network", "rolling", "ecs")) as served:
        listening = ["nc", "-ll", "-p", str(PORT), "-e", "/bin/answer"]
        web = image(busybox(), layer({"bin/answer": Entry(answer.encode(), 0o755)}), Entrypoint=listening)
        served.deploy(served.push(web))
        assert served.settled() == "SUCCESSFUL"
        (task, *_) = [task for task in served.hosting.service.tasks if task.fit]
        written = (tmp_path / "logs" / f"{task.identity}.log").read_text(encoding="utf-8").splitlines()
    assert "shop | HTTP/1.1|10.0.0.10|ELB-HealthChecker/2.0" in written


def test_jobs_and_their_containers_reach_the_service_by_its_name(sandbox: JobSandbox, tmp_path: Path) -> None:
    patient = Pace(waits=0.1, checks=0.04, grace=0.04)
    with running(sandbox, tmp_path, planned("dev", "canary", "codeDeploy"), pace=patient) as served:
        url = f"http://{served.hosting.names[0]}"
        first = "200  Waiting for the first deployment."
        assert fetched(sandbox, url) == first
        uri = served.push(app("two"))
        served.deploy(uri)
        code_deploy = served.hosting.code_deploy
        assert code_deploy is not None
        await_(lambda: code_deploy.deployments[-1].percent == 50)

        docker = [*sandbox.enter, str(sandbox.folder / "bin" / "docker"), "run", "--rm"]
        host = sandbox.place({}).environment
        test = [*docker, "--entrypoint", "wget", uri, "-q", "-O", "-", f"{url}:8080"]
        seen = [subprocess.run(test, env=host, capture_output=True, text=True, check=True).stdout for _ in range(4)]
        assert seen == ["two"] * 4, "tests reach the new version alone"
        assert set(served.visited()) == {"shop-dev-bootstrap:1", "shop-dev:1"}

        code_deploy.owner("StopDeployment", deploymentId=code_deploy.deployments[-1].identity, autoRollbackEnabled=True)

        assert served.settled() == "Stopped"
        await_(lambda: served.hosting.service.running == ["shop-dev-bootstrap:1"])
        assert served.visited() == ["shop-dev-bootstrap:1"]
        assert fetched(sandbox, f"{url}:8080") == first


def test_jobs_on_the_machine_ask_the_emulators(sandbox: JobSandbox, tmp_path: Path) -> None:
    with (
        running(sandbox, tmp_path, planned("dev", "allAtOnce", "codeDeploy")) as served,
        serving(*served.hosting.emulators, listener=sandbox.listen()) as url,
    ):
        host = sandbox.place({"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}, region=REGION)
        ask = "aws ecs describe-services --cluster shop-dev --services shop-dev --region eu-west-1 --endpoint-url"
        environment = {**host.environment, "AWS_EC2_METADATA_DISABLED": "true"}
        command = [*host.enter, "sh", "-c", f"{ask} {url}"]
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

        assert json.loads(answer)["services"][0]["runningCount"] == 2


def test_a_service_with_a_certificate_is_reached_over_https(sandbox: JobSandbox, tmp_path: Path) -> None:
    certificate = "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d-0000-4000-8000-0a1b2c3d4e5f"
    name = "shop.example.com"
    balancer = {"certificateArn": certificate, "domainName": name}
    with running(sandbox, tmp_path, DeliveredStack("dev", {"hosting": {"loadBalancer": balancer}})) as served:
        assert served.visited() == ["shop-dev-bootstrap:1"], "from outside the machine plain HTTP leads there, too"

        assert fetched(sandbox, f"https://{name}") == "200  Waiting for the first deployment."
        assert fetched(sandbox, f"http://{name}/a") == f"301 https://{name}/a"


def test_a_task_that_ends_is_replaced(sandbox: JobSandbox, tmp_path: Path) -> None:
    with running(sandbox, tmp_path, planned("ecs-blue-green", "blueGreen", "ecs")) as served:
        ended, *others = [task.identity for task in served.hosting.service.tasks]

        sandbox.docker("kill", f"task-{ended}-shop")

        await_(
            lambda: (
                sum(task.fit for task in served.hosting.service.tasks) == 3 and len(served.hosting.service.tasks) == 4
            )
        )
        assert {task.identity for task in served.hosting.service.tasks if task.fit} > set(others)
        (task,) = served.stopped("shop-ecs-blue-green-bootstrap:1")
        assert task["stoppedReason"] == "Essential container in task exited"
        assert task["containers"][0]["exitCode"] == 137


ERRORS = b"""#!/bin/sh
printf 'Status: 503 Service Unavailable\\r\\nContent-Type: text/plain\\r\\n\\r\\nsorry'
"""


def test_a_version_that_errs_once_it_serves_is_rolled_back_by_its_alarm(sandbox: JobSandbox, tmp_path: Path) -> None:
    pace = Pace(waits=0.02, checks=0.04, grace=0.04)
    with running(sandbox, tmp_path, planned("ecs-blue-green", "blueGreen", "ecs"), pace=pace) as served:
        (first,) = served.visited()
        files = {"srv/cgi-bin/index.cgi": Entry(ERRORS, 0o755), "srv/healthz": Entry(b"well")}
        web = image(busybox(), layer(files), Entrypoint=["httpd", "-f", "-p", PORT, "-h", "/srv"])

        new = served.deploy(served.push(web))

        assert served.settled() == "ROLLBACK_SUCCESSFUL"
        deployment = served.hosting.service.deployments[0]
        assert deployment.triggered == ("shop-ecs-blue-green-errors",)
        assert "one or more alarms were triggered" in deployment.reason
        assert {(visit.status, visit.version) for visit in served.visitor.failed} == {(503, new)}
        served.visitor.visits.clear()
        assert served.visited() == [first]


def test_codedeploy_gives_up_tasks_that_never_become_healthy(sandbox: JobSandbox, tmp_path: Path) -> None:
    pace = Pace(waits=0.001, checks=0.04, grace=0.04, least_grace=5, least_patience=8)
    with running(sandbox, tmp_path, planned("dev", "allAtOnce", "codeDeploy"), pace=pace) as served:
        (first,) = served.visited()

        served.deploy(served.push(app("two", health=False)))

        assert served.settled() == "Failed"
        assert "waiting for the replacement task set to become healthy" in served.ended[0].error["message"]
        assert served.visited() == [first]
        await_(lambda: served.hosting.service.running == [first])
        assert [task_set.status for task_set in served.hosting.service.task_sets] == ["PRIMARY"]


def test_an_alarm_takes_codedeploy_back_after_the_shift(sandbox: JobSandbox, tmp_path: Path) -> None:
    pace = Pace(waits=0.02, checks=0.04, grace=0.04)
    with running(sandbox, tmp_path, planned("prod", "linear", "codeDeploy"), pace=pace) as served:
        (first,) = served.visited()
        new = served.deploy(served.push(app("two")))
        await_(lambda: new in served.visitor.versions)

        served.hosting.alarms.set_off("shop-prod-errors")

        assert served.settled() == "Failed"
        assert served.ended[0].error["code"] == "ALARM_ACTIVE"
        assert "<shop-prod-errors>" in served.ended[0].error["message"]
        await_(lambda: served.hosting.service.running == [first])
        assert served.visited() == [first]


def test_hosting_that_is_left_in_the_middle_leaves_nothing_behind(sandbox: JobSandbox, tmp_path: Path) -> None:
    """What is left is looked for where the hosting ends."""
    began = time.monotonic()
    with running(sandbox, tmp_path, planned("ecs-blue-green", "canary", "ecs")) as served:
        served.deploy(served.push(app("two")))
        await_(lambda: len(served.hosting.service.tasks) > 3)
        began = time.monotonic()

    assert time.monotonic() - began < 30


@pytest.mark.parametrize("engine", ["ecs", "ecsAction"])
def test_a_worker_is_deployed_without_a_load_balancer(sandbox: JobSandbox, tmp_path: Path, engine: str) -> None:
    """Whether its containers stay is all that is watched."""
    with running(sandbox, tmp_path, planned("worker", "rolling", engine)) as served:
        assert (served.hosting.balancer, served.hosting.names, served.hosting.url) == (None, [], "")
        works = served.push(image(busybox(), Entrypoint=["sleep", "1000"]))

        new = served.deploy(works, command=[])

        assert served.settled() == "SUCCESSFUL"
        assert served.hosting.service.running == [new]

        served.deploy(works, entryPoint=["/bin/nothing"], command=[])

        assert served.settled() == "ROLLBACK_SUCCESSFUL"
        await_(lambda: served.hosting.service.running == [new])


def test_the_deploying_job_follows_what_happens_and_says_why(
    sandbox: JobSandbox, warm_aws_cli: Path, tmp_path: Path
) -> None:
    stack = planned("ecs-blue-green", "blueGreen", "ecs")
    builder = Builder(stack, sandbox.aws, warm_aws_cli, tmp_path / "machine")
    with running(sandbox, tmp_path / "hosting", stack) as served, serving(*served.hosting.emulators) as url:
        (first,) = served.visited()
        uri = served.push(app("two"))

        def deploy(name: str, **changes: object) -> Result:
            definition = stack.template
            definition["containerDefinitions"][0] |= {"image": uri, "secrets": [], **changes}
            own = definition["containerDefinitions"][0]
            facts = {"container": own["name"], "reached": own["name"], "port": own["portMappings"][0]["containerPort"]}
            facts["repository"], _, facts["digest"] = uri.partition("@")
            prepared = artifact(tmp_path / name, deployment_json=facts, taskdef_json=definition)
            served.hosting.ecs.policies = served.hosting.logs.policies = builder.policies("DeployService")
            return builder.run(
                "DeployService",
                {"Deployment": prepared},
                digest=facts["digest"],
                AWS_ENDPOINT_URL_ECS=url,
                AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=url,
            )

        broken = deploy("broken", entryPoint=["sh", "-c"], command=["echo no database >&2; exit 3"])

        assert not broken.succeeded
        assert "the circuit breaker threshold was exceeded" in broken.log
        assert "The previous version keeps serving." in broken.log
        assert "The new tasks stopped: the program ended with exit code 3" in broken.log
        assert "| no database" in broken.log
        assert served.visitor.versions == [first]

        well = deploy("well")

        assert well.succeeded, well.log
        assert "PRODUCTION_TRAFFIC_SHIFT" in well.log or "BAKE_TIME" in well.log
        served.hosting.ecs.policies = None
        assert served.visited() == ["shop-ecs-blue-green:2"]
