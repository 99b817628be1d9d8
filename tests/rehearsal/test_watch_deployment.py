"""The job that watches what CodeDeploy deploys: executed, under the policies of its own role."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from delivered_stack import Builder, DeliveredStack, artifact, new_version
from mocked import REGION
from rehearsing import in_this_process

from local.rehearsal.aws_services import AwsServices
from local.rehearsal.code_deploy import BlueGreen, CodeDeploy, Traffic
from local.rehearsal.code_pipeline import CodePipeline
from local.rehearsal.codebuild import Result
from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.emulated import Caller, Emulated, serving
from local.rehearsal.logs import Logs
from local.rehearsal.pipeline import ActionRun, Status
from local.rehearsal.resources import values_of

RUN = str(uuid.uuid4())
READ_ONLY = (
    "a container writes to its read-only root file system: use /tmp, name the path in writablePaths, or set "
    "readOnlyRootFilesystem to false, below application or the container"
)
ENDPOINTS = ("ECS", "CODEDEPLOY", "CODEPIPELINE", "CLOUDWATCH_LOGS")


CHECKED = {"testTraffic": {"http": [{"path": "/healthz"}]}}


@cache
def planned(*, checked: bool = False) -> DeliveredStack:
    """A stack that CodeDeploy deploys, with static files around it, or with a version that has to answer first."""
    return DeliveredStack("dev", {"deploy": CHECKED}) if checked else DeliveredStack("everything-on")


class Deployment:
    """A run of the pipeline that has come to its deployment, with everything the job can ask of AWS."""

    def __init__(self, stack: DeliveredStack, builder: Builder, folder: Path, *, pace: int) -> None:
        self.stack, self.builder, self._folder = stack, builder, folder
        self.ecs = Ecs(region=REGION, pace=pace)
        self.stack.serve(self.ecs)
        given = self.stack.variables("WatchDeployment")
        self.service = self.ecs.service(given["SERVICE"], given["CLUSTER"])
        group = self.stack.deployed.action("DeployService").configuration
        waits = next(values_of(self.stack.graph, "aws:codedeploy/deploymentGroup:DeploymentGroup"), {})
        ready = waits.get("blueGreenDeploymentConfig", {}).get("deploymentReadyOption", {})
        self.code_deploy = CodeDeploy(
            self.ecs,
            self.service,
            application=group["ApplicationName"],
            group=group["DeploymentGroupName"],
            traffic=Traffic(ready_minutes=ready.get("waitTimeInMinutes")),
        )
        self.pipeline = CodePipeline(given["PIPELINE"], region=REGION)
        self.logs = Logs(self.ecs)
        self.url, self._number = "", 0
        self.image = str(self.stack.image()["uri"])
        definition = self.stack.whole
        definition["containerDefinitions"][0]["image"] = self.image
        self.definition = definition
        self.action: ActionRun | None = None
        self.checked_at: dict[str, str] = {}

    @property
    def emulated(self) -> tuple[Emulated, ...]:
        """The services that the job asks."""
        return self.ecs, self.code_deploy, self.pipeline, self.logs

    def begin(self, behaviour: Behaviour = Behaviour.HEALTHY, *, deploys: bool = True) -> ActionRun:
        """Start both actions, as CodePipeline does, and have the first one deploy.

        Args:
            behaviour: What becomes of the new tasks.
            deploys: Whether the action comes to start a deployment.
        """
        self.ecs.behaviours[self.image] = behaviour
        action, _ = self.pipeline.begin(RUN, "DeployService", "WatchDeployment")
        self.action = action
        if deploys:
            registered = self.ecs.owner("RegisterTaskDefinition", **self.definition)["taskDefinition"]
            made = self.code_deploy.deploy(registered["taskDefinitionArn"], lambda ended: _ends(action, ended))
            action.external_id = made.identity
        return action

    def watch(self, *, without: str = "", **variables: str) -> Result:
        """Run the job."""
        for service in self.emulated:
            service.policies = self.builder.policies("WatchDeployment", without=without)
        self._number += 1
        inputs = {"Deployment": artifact(self._folder / f"deployment-{self._number}", taskdef_json=self.definition)}
        return self.builder.run(
            "WatchDeployment",
            inputs,
            execution=RUN,
            without=without,
            variables=variables,
            **{f"AWS_ENDPOINT_URL_{name}": self.url for name in ENDPOINTS},
        )

    @property
    def newest(self) -> BlueGreen:
        """The newest deployment."""
        return self.code_deploy.deployments[-1]

    def settle(self) -> None:
        """Let everything that goes on come to its end."""
        for _ in range(100):
            next(self.service.course, None)


def _ends(action: ActionRun, ended: BlueGreen) -> None:
    """What CodePipeline makes of a deployment that has ended."""
    if ended.status == "Succeeded":
        action.end(Status.SUCCEEDED)
    else:
        action.end(Status.FAILED, error=f"Deployment {ended.identity} failed")


Begin = Callable[..., Deployment]


@pytest.fixture
def ready(aws: AwsServices, warm_aws_cli: Path, tmp_path: Path) -> Iterator[Begin]:
    """Make everything ready for a deployment; it is on the network until the test ends."""
    open_servers = []

    def make(*, pace: int = 6, checked: bool = False) -> Deployment:
        stack = planned(checked=checked)
        made = Deployment(stack, Builder(stack, aws, warm_aws_cli, tmp_path / "machine"), tmp_path, pace=pace)
        server = serving(*made.emulated)
        made.url = server.__enter__()
        open_servers.append(server)
        return made

    yield make
    for server in open_servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize("shown", [True, False], ids=["id shown", "id not shown"])
def test_a_healthy_deployment_is_watched_until_its_tasks_are_healthy_and_no_longer(ready: Begin, shown: bool) -> None:
    """Whether CodePipeline shows the deployment's ID while it goes on is not documented."""
    deployment = ready(pace=1)
    deployment.pipeline.shows_external_ids = shown
    deployment.begin()

    result = deployment.watch()

    assert result.succeeded, result.log
    made = deployment.newest
    assert made.status == "InProgress", "it does not wait for the old tasks to end"
    assert f"{made.identity}: 0 of 2 tasks running, 0 failed" in result.log
    assert f"{made.identity}: the new tasks are healthy, CodeDeploy moves the traffic" in result.log
    assert re.search(r"\(service shop, taskSet ecs-svc/\d+\) has started 1 tasks: \(task ", result.log)
    deployment.settle()
    assert made.status == "Succeeded"
    assert deployment.code_deploy.calls == []


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        (Behaviour.READ_ONLY, READ_ONLY),
        (Behaviour.CRASH, "the program ended with exit code 1: the last lines of its log say why"),
        (Behaviour.CANNOT_PULL, "the image is not in the registry: build it again"),
        (Behaviour.UNHEALTHY, "the health check was answered 503: application.healthCheckPath must answer 2xx or 3xx"),
        (Behaviour.OUT_OF_MEMORY, "a container needs more memory than it has: raise application.memory"),
        (
            Behaviour.WRONG_PROCESSOR,
            "the image is for another processor than the task: application.architecture must be the image's",
        ),
    ],
)
def test_a_deployment_whose_tasks_keep_stopping_is_stopped_and_the_log_says_why(
    ready: Begin, behaviour: Behaviour, why: str
) -> None:
    deployment = ready()
    action = deployment.begin(behaviour)

    result = deployment.watch()

    assert not result.succeeded
    made = deployment.newest
    assert re.search(
        f"FAILED: the deployment {made.identity} is stopped and rolled back: [3-9] of its tasks failed, "
        f"because {re.escape(why)}\\. The previous version keeps serving\\.\n",
        result.log,
    ), result.log
    assert (made.status, made.rolled_back, action.status) == ("Stopped", True, "Failed")
    deployment.settle()
    assert deployment.service.running == [f"{deployment.stack.running['family']}:1"], "users have the old version"
    assert len(deployment.service.task_sets) == 1


def test_the_log_holds_the_last_lines_of_the_application_and_how_to_see_more(ready: Begin) -> None:
    deployment = ready()
    deployment.begin(Behaviour.READ_ONLY)

    log = deployment.watch().log

    assert "  | OSError: [Errno 30] Read-only file system: '/srv/cache'\n" in log
    assert f"More: aws logs tail {deployment.stack.variables('WatchDeployment')['LOG_GROUP']} --since 30m" in log


def test_fewer_failures_than_set_off_the_circuit_breaker_stop_nothing(ready: Begin) -> None:
    """Half of the desired tasks, and three at least; then the tasks stay."""
    deployment = ready(pace=4)
    deployment.service.desired = 12
    action = deployment.begin(Behaviour.CRASH)
    look = deployment.ecs.call

    def calm(operation: str, parameters: dict[str, Any], by: Caller | None = None) -> dict[str, Any]:
        failed = [task for task in deployment.service.tasks if task.stop_code]
        if len(failed) >= 4:
            deployment.service.course = healthy(deployment)
        return look(operation, parameters, by)

    deployment.ecs.call = calm  # type: ignore[method-assign] # a service that changes its mind

    result = deployment.watch()

    assert result.succeeded, result.log
    assert re.search("[45] failed", result.log)
    assert action.status == "InProgress"


def healthy(deployment: Deployment) -> Iterator[None]:
    """From here on every task runs."""
    new = deployment.newest.task_set
    assert new
    while deployment.service.count(new.revision, "RUNNING") < new.desired:
        task = deployment.ecs.task(deployment.service, new.revision, new.identity)
        task.status = "RUNNING"
        deployment.service.tasks.append(task)
    new.steady = True
    yield


def test_a_deployment_that_fails_by_itself_fails_the_job_with_codedeploy_s_reason(ready: Begin) -> None:
    """So that a retry of what has failed runs both."""
    deployment = ready()
    deployment.begin(Behaviour.SLOW)
    alarm = "One or more alarms have been activated: <shop-errors>"
    deployment.code_deploy.fail(deployment.newest, "ALARM_ACTIVE", alarm)

    result = deployment.watch()

    assert not result.succeeded
    identity = deployment.newest.identity
    assert f"FAILED: DeployService has failed: Deployment {identity} failed {alarm}. The previous" in result.log


def test_an_action_that_starts_no_deployment_fails_the_job_with_its_reason(ready: Begin) -> None:
    deployment = ready()
    denied = "User: arn is not authorized to perform: ecs:RegisterTaskDefinition"
    deployment.begin(deploys=False).end(Status.FAILED, error=denied)

    result = deployment.watch()

    assert not result.succeeded
    assert f"FAILED: DeployService has failed: {denied}. The previous version keeps serving." in result.log
    assert deployment.code_deploy.calls == []


def test_a_retry_watches_its_own_deployment_and_not_the_one_before(ready: Begin) -> None:
    deployment = ready()
    deployment.begin(Behaviour.CANNOT_PULL)
    assert not deployment.watch().succeeded
    deployment.settle()
    for execution in deployment.pipeline.executions:
        execution.started -= 60
    deployment.ecs.pace = 1
    deployment.begin()

    result = deployment.watch()

    assert result.succeeded, result.log
    assert "0 failed" in result.log
    assert "CannotPull" not in result.log
    assert [made.status for made in deployment.code_deploy.deployments] == ["Stopped", "InProgress"]


def test_a_retry_of_the_job_alone_has_nothing_to_watch(ready: Begin) -> None:
    """CodeDeploy's action has succeeded, this one has failed, for want of a machine for example."""
    deployment = ready()
    deployment.begin().end(Status.SUCCEEDED)
    for execution in deployment.pipeline.executions:
        execution.started -= 600
    deployment.pipeline.begin(RUN, "WatchDeployment")

    result = deployment.watch()

    assert result.succeeded, result.log
    assert "DeployService has succeeded" in result.log
    assert deployment.ecs.calls == []


def test_a_failure_of_the_attempt_before_is_not_taken_for_this_one_s(
    ready: Begin, in_process: Callable[..., str]
) -> None:
    """CodePipeline may list the new attempt a moment late."""
    deployment = ready()
    deployment.begin(deploys=False).end(Status.FAILED, error="of yesterday")
    for execution in deployment.pipeline.executions:
        execution.started -= 60
    deployment.pipeline.begin(RUN, "WatchDeployment")

    printed = in_process(deployment)

    assert "waiting for the tasks of DeployService" in printed
    assert "of yesterday" not in printed


@pytest.mark.parametrize("before", ["stopped", "done"])
def test_a_deployment_that_ends_when_it_is_to_be_stopped_counts_as_it_ended(ready: Begin, before: str) -> None:
    """CodeDeploy refuses to stop it then."""
    deployment = ready(pace=4)
    deployment.begin(Behaviour.CRASH)
    call = deployment.code_deploy.call

    def ended(operation: str, parameters: dict[str, Any], by: Caller | None = None) -> dict[str, Any]:
        if operation == "StopDeployment" and deployment.newest.status == "InProgress":
            deployment.newest.end(*(("Succeeded",) if before == "done" else ("Stopped", "MANUAL_STOP", "By a person")))
        return call(operation, parameters, by)

    deployment.code_deploy.call = ended  # type: ignore[method-assign] # somebody is faster

    result = deployment.watch()

    assert "DeploymentAlreadyCompletedException" not in result.log
    assert result.succeeded == (before == "done")
    assert ("DeployService has succeeded" if before == "done" else "By a person, because the program") in result.log


def test_the_job_ends_in_time_whatever_happens(ready: Begin, in_process: Callable[..., str]) -> None:
    """CodeBuild ends a build that takes longer than its project allows, and would fail the run."""
    deployment = ready()
    action = deployment.begin(Behaviour.SLOW)

    printed = in_process(deployment)

    assert "not decided after 60 minutes: this job watches no longer, the deployment goes on" in printed
    assert f"aws deploy stop-deployment --deployment-id {deployment.newest.identity} --auto-rollback-enabled" in printed
    assert action.status == "InProgress"


@pytest.mark.parametrize("status", [200, 503])
def test_users_get_a_version_when_it_answers_the_test_traffic(ready: Begin, status: int) -> None:
    deployment = ready(pace=1, checked=True)
    deployment.begin()

    with new_version(status) as (url, asked):
        result = deployment.watch(TEST_URL=url)

    assert asked == ["/healthz"], result.log
    assert result.succeeded is (status == 200), result.log
    made = deployment.newest
    failed = (
        f"FAILED: the deployment {made.identity} is stopped and rolled back: the new version does not answer as "
        "expected. The previous version keeps serving.\n  GET /healthz: it answers with status 503, 200 is expected\n"
    )
    assert (failed in result.log) is (status == 503), result.log
    assert (made.status, made.rolled_back) == (("InProgress", False) if status == 200 else ("Stopped", True))
    deployment.settle()
    old = f"{deployment.stack.running['family']}:1"
    assert made.status == ("Succeeded" if status == 200 else "Stopped")
    assert (deployment.service.running == [old]) is (status == 503), "users have the old version"


def test_without_a_word_codedeploy_goes_back_to_the_old_version(ready: Begin) -> None:
    """The job has died, or could not be started."""
    deployment = ready(pace=1, checked=True)
    deployment.begin()

    deployment.settle()

    assert (deployment.newest.status, deployment.newest.percent) == ("Stopped", 0)
    assert deployment.service.running == [f"{deployment.stack.running['family']}:1"]


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("codedeploy:ContinueDeployment", "Let users have it: `aws deploy continue-deployment` ended with code 254"),
        ("codedeploy:GetDeployment", "DeployService has failed: Deployment d-"),
        ("codedeploy:StopDeployment", "the new version does not answer as expected. The previous version keeps"),
    ],
)
def test_a_version_that_the_job_cannot_let_through_fails_it(
    ready: Begin, in_process: Callable[..., str], without: str, said: str
) -> None:
    deployment = ready(pace=1, checked=True)
    deployment.begin()

    with new_version(503 if without.endswith("StopDeployment") else 200) as (url, _):
        deployment.checked_at["TEST_URL"] = url
        printed = in_process(deployment, without=without, seconds=20, fails=True)

    assert "\nFAILED: " in printed
    assert said in printed
    deployment.settle()
    assert deployment.newest.status == "Stopped"


@pytest.fixture
def in_process(
    monkeypatch: pytest.MonkeyPatch, warm_aws_cli: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run the job in this process, where a minute can be made short; gives what it printed."""

    def run(deployment: Deployment, *, without: str = "", seconds: int = 1200, fails: bool = False) -> str:
        """Each look takes so many seconds."""
        monkeypatch.chdir(artifact(tmp_path / "here", taskdef_json=deployment.definition))
        variables: Mapping[str, str] = {
            **deployment.stack.variables("WatchDeployment"),
            **deployment.builder.credentials("WatchDeployment", without=without),
            **{f"AWS_ENDPOINT_URL_{name}": deployment.url for name in ENDPOINTS},
            "PIPELINE_EXECUTION_ID": RUN,
            "PATH": str(warm_aws_cli),
            **deployment.checked_at,
        }
        for service in deployment.emulated:
            service.policies = deployment.builder.policies("WatchDeployment", without=without)
        main = in_this_process(monkeypatch, "watch_deployment", variables, seconds=seconds)
        with pytest.raises(SystemExit) if fails else contextlib.nullcontext():
            main()
        return "".join(capsys.readouterr())

    return run


@pytest.mark.parametrize(
    "without",
    [
        "codepipeline:ListActionExecutions",
        "ecs:DescribeServices",
        "ecs:ListTasks",
    ],
)
def test_a_permission_that_the_role_lacks_never_fails_a_deployment_that_succeeds(
    ready: Begin, in_process: Callable[..., str], without: str
) -> None:
    deployment = ready(pace=1)
    deployment.begin()

    assert f"not authorized to perform: {without}" in in_process(deployment, without=without, seconds=500)

    deployment.settle()
    assert deployment.newest.status == "Succeeded"


@pytest.mark.parametrize(
    ("without", "seconds", "said"),
    [
        ("codedeploy:StopDeployment", 600, " of its tasks failed, and it cannot be stopped: "),
        ("ecs:DescribeTasks", 600, "not authorized to perform: ecs:DescribeTasks"),
        (
            "codepipeline:ListActionExecutions",
            250,
            "AWS does not answer: this job watches no longer, the deployment goes on",
        ),
    ],
)
def test_what_the_job_cannot_do_is_in_its_log(
    ready: Begin, in_process: Callable[..., str], without: str, seconds: int, said: str
) -> None:
    deployment = ready()
    deployment.begin(Behaviour.CRASH)

    assert said in in_process(deployment, without=without, seconds=seconds)


@pytest.mark.parametrize("checked", [False, True])
def test_a_role_may_do_what_its_job_calls_and_nothing_else(*, checked: bool) -> None:
    used = {
        *(["codedeploy:ContinueDeployment"] if checked else []),
        "codedeploy:GetDeployment",
        "codedeploy:StopDeployment",
        "codepipeline:ListActionExecutions",
        "ecs:DescribeServices",
        "ecs:DescribeTasks",
        "ecs:ListTasks",
        "logs:GetLogEvents",
    }
    granted = {
        action
        for policy in planned(checked=checked).deployed.policies("WatchDeployment")
        for statement in policy["Statement"]
        for action in statement["Action"]
        if not action.startswith(("s3:", "kms:")) and statement["Sid"] != "WriteLog"
    }

    assert granted == used


@pytest.mark.parametrize(
    ("without", "behaviour", "alarm"),
    [
        ("logs:GetLogEvents", Behaviour.CRASH, ""),
        ("codedeploy:GetDeployment", Behaviour.SLOW, "One or more alarms have been activated: <shop-errors>"),
    ],
)
def test_a_reason_that_may_not_be_read_is_missing_and_the_job_fails_all_the_same(
    ready: Begin, in_process: Callable[..., str], without: str, behaviour: Behaviour, alarm: str
) -> None:
    deployment = ready()
    deployment.begin(behaviour)
    if alarm:
        deployment.code_deploy.fail(deployment.newest, "ALARM_ACTIVE", alarm)

    printed = in_process(deployment, without=without, seconds=10, fails=True)

    assert f"not authorized to perform: {without}" in printed
    assert "\nFAILED: " in printed
