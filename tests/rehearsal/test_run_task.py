"""The job that runs a command before or after the service moves: executed, under the policies of its own role.

One test lets the task run as containers, beside a service that answers; in the others what becomes of it is scripted.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from delivered_stack import Builder, DeliveredStack, artifact, client, make_bucket
from hosted import running
from mocked import ACCOUNT, REGION
from rehearsing import in_this_process

from local.rehearsal.aws_services import AwsServices
from local.rehearsal.codebuild import Result
from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.ecs.state import Ending, Task
from local.rehearsal.emulated import allows, serving
from local.rehearsal.images import Entry, busybox, image, layer
from local.rehearsal.job_sandbox import JobSandbox
from local.rehearsal.logs import Logs

BEFORE, AFTER = "RunBeforeDeployment", "RunAfterDeployment"
MIGRATE = ["bin/rails", "db:migrate"]
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"}}
DONE = Ending("EssentialContainerExited", "Essential container in task exited", exit_code=0)
CHANGES = {"before": {"command": MIGRATE, "timeoutMinutes": 5}, "after": {"command": ["bin/rails", "cache:warm"]}}


@cache
def planned(name: str, changes: str = json.dumps(CHANGES)) -> DeliveredStack:
    """A stack with commands around its deployment."""
    return DeliveredStack(name, {"deploy": json.loads(changes)})


class Delivery:
    """One stack with an ECS that runs its service, and a version of the application to deliver."""

    def __init__(self, stack: DeliveredStack, builder: Builder, folder: Path, ecs: Ecs, aws: AwsServices) -> None:
        self.stack, self.builder, self.ecs, self.aws = stack, builder, ecs, aws
        self.logs = Logs(ecs)
        self._folder, self._builds, self.url = folder, 0, ""
        self.cluster = stack.variables(BEFORE)["CLUSTER"]
        bucket = stack.variables(BEFORE)["RECORDS"].split("/")[2]
        make_bucket(aws, bucket)
        self.forget()

    def forget(self) -> None:
        """Nothing has ever run."""
        s3, bucket = client(self.aws, "s3"), self.stack.variables(BEFORE)["RECORDS"].split("/")[2]
        for found in s3.list_objects_v2(Bucket=bucket, Prefix="_tasks/").get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=found["Key"])

    @property
    def records(self) -> dict[str, Any]:
        """What is kept of the commands, by the key."""
        s3, bucket = client(self.aws, "s3"), self.stack.variables(BEFORE)["RECORDS"].split("/")[2]
        found = s3.list_objects_v2(Bucket=bucket, Prefix="_tasks/").get("Contents", [])
        return {each["Key"]: json.load(s3.get_object(Bucket=bucket, Key=each["Key"])["Body"]) for each in found}

    @property
    def tasks(self) -> list[Task]:
        """The tasks that the jobs have run, the oldest first."""
        return self.ecs.standalone(self.cluster)

    def files(self, version: str = "1.2.3", **container: object) -> Path:
        """The artifact of a prepared deployment."""
        self._builds += 1
        delivered, definition = self.stack.image(version), self.stack.whole
        own = self.stack.variables("PrepareDeployment")["CONTAINER_NAME"]
        for part in definition["containerDefinitions"]:
            if part["name"] == own:
                part |= {"image": delivered["uri"], **container}
        deployment = {**delivered, "image": delivered["uri"], "container": own, "port": 8080, "environment": {}}
        folder = self._folder / f"deployment-{self._builds}"
        return artifact(folder, deployment_json=deployment, taskdef_json=definition)

    def run(
        self,
        action: str = BEFORE,
        files: Path | None = None,
        *,
        version: str = "1.2.3",
        digest: str = "",
        without: str = "",
        **given: str,
    ) -> Result:
        """Run the job."""
        self.ecs.policies = self.logs.policies = self.builder.policies(action, without=without)
        return self.builder.run(
            action,
            {"Deployment": files or self.files(version)},
            digest=digest or str(self.stack.image(version)["digest"]),
            without=without,
            variables=given,
            AWS_ENDPOINT_URL_ECS=self.url,
            AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=self.url,
        )

    def behaves(self, behaviour: Behaviour, command: list[str] = MIGRATE) -> None:
        """What becomes of the command."""
        self.ecs.behaviours[" ".join(command)] = behaviour

    def called(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of each request of this kind."""
        return [call.parameters for call in self.ecs.calls if call.operation == operation]

    def await_task(self, status: str) -> None:
        """Look at the newest task until it has a status."""
        deadline = time.monotonic() + 20
        while self.tasks[-1].status != status:
            assert time.monotonic() < deadline
            self.ecs.owner("DescribeTasks", cluster=self.cluster, tasks=[self.tasks[-1].arn])


Deliver = Callable[..., Delivery]


@pytest.fixture
def deliver(aws: AwsServices, warm_aws_cli: Path, tmp_path: Path) -> Iterator[Deliver]:
    """Make ready what a stack delivers; its ECS is on the network until the test ends."""

    def ready(name: str = "dev", **served: Any) -> Delivery:  # noqa: ANN401 - as DeliveredStack.serve takes them
        stack, ecs = planned(name), Ecs(region=REGION, pace=1)
        stack.serve(ecs, **{"networkConfiguration": NETWORK, **served})
        made = Delivery(stack, Builder(stack, aws, warm_aws_cli, tmp_path / "machine"), tmp_path, ecs, aws)
        made.url = ends.enter_context(serving(ecs, made.logs))
        made.behaves(Behaviour.COMPLETES)
        return made

    with ExitStack() as ends:
        yield ready


@pytest.mark.parametrize("stack", ["dev", "everything-on", "ecs-native", "classic"])
def test_one_task_of_the_new_definition_runs_where_the_service_s_tasks_do(deliver: Deliver, stack: str) -> None:
    """For the engines codeDeploy, into a service made here and into one that exists, ecs and ecsAction."""
    delivery = deliver(stack)
    service = delivery.ecs.service(delivery.stack.variables(BEFORE)["SERVICE"], delivery.cluster)
    before = service.running

    result = delivery.run()

    assert result.succeeded, result.log
    (asked,) = delivery.called("RunTask")
    family = delivery.stack.variables(BEFORE)["FAMILY"]
    container = delivery.stack.variables("PrepareDeployment")["CONTAINER_NAME"]
    assert asked["taskDefinition"].endswith(f":task-definition/{family}:1")
    assert asked["launchType"] == "FARGATE"
    assert asked["networkConfiguration"] == NETWORK
    assert asked["overrides"] == {"containerOverrides": [{"name": container, "command": MIGRATE}]}
    (task,) = delivery.tasks
    expected = json.loads((delivery.files() / "taskdef.json").read_text())
    registered = delivery.ecs.owner("DescribeTaskDefinition", taskDefinition=family)["taskDefinition"]
    assert {key: registered[key] for key in expected if key not in ("tags", "family", "containerDefinitions")} == {
        key: expected[key] for key in expected if key not in ("tags", "family", "containerDefinitions")
    }
    assert {part["image"] for part in registered["containerDefinitions"] if part["name"] == container} == {
        delivery.stack.image()["uri"]
    }
    assert service.running == before, "the old version serves"
    assert task not in service.tasks
    assert "It is done." in result.log
    assert f"`bin/rails db:migrate` has succeeded, as task {task.identity}" in result.log
    ((key, record),) = delivery.records.items()
    assert key.startswith("_tasks/before/")
    assert record == {"succeeded": True, "failures": 0, "task": task.arn}


def test_after_it_has_succeeded_it_is_not_run_again(deliver: Deliver) -> None:
    delivery = deliver()
    assert delivery.run().succeeded
    asked = len(delivery.ecs.calls)

    again = delivery.run()

    assert again.succeeded, again.log
    assert "it is not run again" in again.log
    assert len(delivery.ecs.calls) == asked, "ECS is not even asked"


def test_a_person_can_have_it_run_again(deliver: Deliver) -> None:
    """By the command that the log names, although ECS still knows the task that has succeeded."""
    delivery = deliver()
    assert delivery.run().succeeded
    (said,) = re.findall(r"""echo '(.*)' \| aws s3 cp - s3://([^/]+)/(\S+)""", delivery.run().log)
    content, bucket, key = said
    client(delivery.aws, "s3").put_object(Bucket=bucket, Key=key, Body=content.encode())

    again = delivery.run()

    assert again.succeeded, again.log
    assert len(delivery.tasks) == 2
    assert len({call["clientToken"] for call in delivery.called("RunTask")}) == 2


@pytest.mark.parametrize(
    ("version", "container"),
    [
        pytest.param("1.2.4", {}, id="another image"),
        pytest.param("1.2.3", {"environment": [{"name": "DATABASE", "value": "other"}]}, id="another database"),
    ],
)
def test_for_another_image_or_environment_it_is_run(
    deliver: Deliver, version: str, container: dict[str, object]
) -> None:
    delivery = deliver()
    assert delivery.run().succeeded
    assert delivery.run(files=delivery.files(version, **container), version=version).succeeded
    assert len(delivery.tasks) == 2


def test_another_size_of_the_task_does_not_run_it_again(deliver: Deliver) -> None:
    delivery = deliver()
    assert delivery.run().succeeded
    assert delivery.run(files=delivery.files(cpu=128)).succeeded
    assert len(delivery.tasks) == 1


def test_before_and_after_are_apart(deliver: Deliver) -> None:
    delivery = deliver()
    delivery.behaves(Behaviour.CRASH, ["bin/rails", "cache:warm"])
    assert delivery.run(BEFORE).succeeded

    result = delivery.run(AFTER)

    assert not result.succeeded
    assert "The new version serves already." in result.log
    families = [call["taskDefinition"].rpartition("/")[2] for call in delivery.called("RunTask")]
    assert families == ["shop-dev_before:1", "shop-dev_after:1"]


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        pytest.param(Behaviour.CRASH, ("ended with exit code 1", "KeyError: 'DATABASE_URL'"), id="its own fault"),
        pytest.param(Behaviour.CANNOT_PULL, ("the image is not in the registry", "it did not run"), id="no image"),
        pytest.param(Behaviour.OUT_OF_MEMORY, ("needs more memory than it has", "exit code 137"), id="out of memory"),
    ],
)
def test_one_that_fails_fails_the_run_and_says_why_and_a_retry_runs_it_again(
    deliver: Deliver, behaviour: Behaviour, says: tuple[str, ...]
) -> None:
    delivery = deliver()
    delivery.behaves(behaviour)

    result = delivery.run()

    assert not result.succeeded
    for text in (*says, "`bin/rails db:migrate` has failed", "Nothing was deployed: the version that runs keeps"):
        assert text in result.log
    (record,) = delivery.records.values()
    assert record == {"succeeded": False, "failures": 1, "task": delivery.tasks[0].arn}
    delivery.behaves(Behaviour.COMPLETES)
    assert delivery.run().succeeded
    assert len(delivery.tasks) == 2


def test_one_that_takes_too_long_is_stopped_and_is_no_success(
    deliver: Deliver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even though a program may end with exit code 0 when it is asked to."""
    delivery = deliver()
    delivery.behaves(Behaviour.HEALTHY)
    monkeypatch.chdir(delivery.files())
    delivery.ecs.policies = delivery.builder.policies(BEFORE)
    place = {"PATH": delivery.builder._path, "AWS_ENDPOINT_URL_ECS": delivery.url}
    place |= {"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": delivery.url, "AWS_DEFAULT_REGION": REGION}
    variables = {**delivery.stack.variables(BEFORE), "IMAGE_DIGEST": str(delivery.stack.image()["digest"])}
    main = in_this_process(
        monkeypatch,
        "run_task",
        {**variables, **delivery.builder.credentials(BEFORE), **place},
        seconds=60,
        waits="standalone_task",
    )

    with pytest.raises(SystemExit):
        main()

    (task,) = delivery.tasks
    assert (task.status, task.stop_code) == ("STOPPED", "UserInitiated")
    assert task.stopped_reason == "The command took longer than 5 minutes."
    assert "took longer than 5 minutes and was stopped half-way" in capsys.readouterr().err
    (record,) = delivery.records.values()
    assert not record["succeeded"]


def test_a_retry_follows_the_task_that_still_runs(deliver: Deliver) -> None:
    """Its run was cancelled, or the machine of the job died."""
    delivery = deliver()
    delivery.behaves(Behaviour.HEALTHY)
    files = delivery.files()
    started = delivery.run(files=files, without="ecs:DescribeTasks")
    assert not started.succeeded
    assert len(delivery.tasks) == 1

    delivery.await_task("RUNNING")
    delivery.ecs.fleet.stop(None, delivery.tasks[0], DONE)  # type: ignore[arg-type]  # scripted: no service is asked
    again = delivery.run(files=files)

    assert again.succeeded, again.log
    assert "has been started already: this run follows it" in again.log
    assert len(delivery.tasks) == 1


def test_a_retry_runs_one_again_that_has_failed_while_nobody_looked(deliver: Deliver) -> None:
    delivery = deliver()
    delivery.behaves(Behaviour.CRASH)
    files = delivery.files()
    assert not delivery.run(files=files, without="ecs:DescribeTasks").succeeded
    delivery.await_task("STOPPED")
    delivery.behaves(Behaviour.COMPLETES)

    again = delivery.run(files=files)

    assert again.succeeded, again.log
    assert "has failed while nobody looked: the command is run again" in again.log
    assert [task.exit_code for task in delivery.tasks] == [1, 0]


def test_the_task_of_an_earlier_version_ends_first(deliver: Deliver) -> None:
    delivery = deliver()
    delivery.behaves(Behaviour.SLOW)
    assert not delivery.run(without="ecs:DescribeTasks").succeeded
    delivery.behaves(Behaviour.COMPLETES)
    first = delivery.tasks[0]
    describe = delivery.ecs._describe_tasks

    def ends(parameters: dict[str, Any]) -> dict[str, Any]:
        answer = describe(parameters)
        if len(delivery.called("DescribeTasks")) == 4:
            delivery.ecs.fleet.stop(None, first, DONE)  # type: ignore[arg-type]  # as above
        return answer

    delivery.ecs._describe_tasks = ends  # type: ignore[method-assign]
    result = delivery.run(version="1.2.4")

    assert result.succeeded, result.log
    assert f"waiting for the end of {first.identity}" in result.log
    started = [call.operation for call in delivery.ecs.calls].index("RunTask", 3)
    assert started > 3


@pytest.mark.parametrize(
    ("permission", "says"),
    [
        ("ecs:RunTask", "not authorized to perform: ecs:RunTask"),
        ("iam:PassRole", "not authorized to perform: iam:PassRole"),
        ("ecs:RegisterTaskDefinition", "not authorized to perform: ecs:RegisterTaskDefinition"),
        ("ecs:TagResource", "not authorized to perform: ecs:TagResource"),
        ("ecs:ListTasks", "not authorized to perform: ecs:ListTasks"),
        ("ecs:DescribeServices", "not authorized to perform: ecs:DescribeServices"),
        ("logs:GetLogEvents", "not authorized to perform: logs:GetLogEvents"),
    ],
)
def test_a_permission_that_is_missing_is_named(deliver: Deliver, permission: str, says: str) -> None:
    """The log alone is worth no failure."""
    delivery = deliver()
    result = delivery.run(without=permission)
    assert says in result.log
    assert result.succeeded == (permission == "logs:GetLogEvents")


def test_the_job_may_stop_no_other_task_than_its_own(deliver: Deliver) -> None:
    delivery = deliver()
    assert delivery.run(BEFORE).succeeded
    assert delivery.run(AFTER, COMMAND=json.dumps(MIGRATE)).succeeded
    before, after = delivery.tasks
    policies = delivery.builder.policies(BEFORE)
    needs = {
        task.arn: delivery.ecs.needs("StopTask", {"cluster": delivery.cluster, "task": task.arn})
        for task in (before, after)
    }
    allowed = {
        arn: all(allows(policies, need, account=ACCOUNT, region=REGION) for need in each) for arn, each in needs.items()
    }
    assert allowed == {before.arn: True, after.arn: False}


def test_the_task_runs_as_a_container_beside_the_service_that_serves(
    sandbox: JobSandbox, warm_aws_cli: Path, tmp_path: Path
) -> None:
    """The command gets the image, the environment and the log of the application; its exit code comes back."""
    migrate = 'echo "migrating $STAGE" && test -f /srv/index.html'
    stack = planned("dev")
    with running(sandbox, tmp_path / "hosting", stack) as service, serving(*service.hosting.emulators) as url:
        before = service.visited()
        files = {"srv/index.html": Entry(b"2.0"), "srv/healthz": Entry(b"well")}
        uri = service.push(image(busybox(), layer(files), Cmd=["httpd", "-f", "-p", service.port, "-h", "/srv"]))
        delivery = Delivery(
            stack,
            Builder(stack, sandbox.aws, warm_aws_cli, tmp_path / "machine"),
            tmp_path,
            service.hosting.ecs,
            sandbox.aws,
        )
        delivery.url, delivery.logs = url, service.hosting.logs

        def run(command: str) -> Result:
            prepared = delivery.files(image=uri, secrets=[], environment=[{"name": "STAGE", "value": "dev"}])
            deployment = json.loads((prepared / "deployment.json").read_text())
            digest = uri.partition("@")[2]
            (prepared / "deployment.json").write_text(
                json.dumps({**deployment, "digest": digest, "uri": uri, "image": uri})
            )
            words = json.dumps(["/bin/sh", "-c", command])
            return delivery.run(files=prepared, digest=digest, COMMAND=words)

        good, bad = run(migrate), run("echo 'no such table' && exit 3")
        after = service.visited()

    assert good.succeeded, good.log
    assert "  | migrating dev" in good.log
    assert not bad.succeeded
    assert "has failed: the program ended with exit code 3" in bad.log
    assert "  | no such table" in bad.log
    assert before == after, "the old version serves, and nothing else"
    assert [task.exit_code for task in delivery.tasks] == [0, 3]
    assert all(
        task.arn.rpartition("/")[2] not in {each.identity for each in service.hosting.service.tasks}
        for task in delivery.tasks
    )
