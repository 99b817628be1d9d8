"""The emulators around a CodeDeploy deployment: as strict as AWS, and deployments that go as AWS documents them."""

from __future__ import annotations

from typing import Any

import pytest
from task_definitions import LOGS, NEW, definition

from local.rehearsal.code_deploy import BlueGreen, CodeDeploy, Traffic
from local.rehearsal.code_pipeline import CodePipeline
from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.emulated import Emulated, Refused
from local.rehearsal.logs import Logs


@pytest.fixture
def ecs() -> Ecs:
    """A service that CodeDeploy deploys; it runs two tasks of its first revision."""
    made = Ecs()
    made.owner("CreateCluster", clusterName="main")
    made.owner("RegisterTaskDefinition", **definition(container=LOGS))
    made.owner("RegisterTaskDefinition", **definition(NEW, LOGS))
    made.owner(
        "CreateService",
        cluster="main",
        serviceName="shop",
        taskDefinition="shop:1",
        launchType="FARGATE",
        desiredCount=2,
        deploymentController={"type": "CODE_DEPLOY"},
        loadBalancers=[{"targetGroupArn": "blue", "containerName": "shop", "containerPort": 8080}],
    )
    return made


@pytest.fixture
def code_deploy(ecs: Ecs) -> CodeDeploy:
    """Its deployment group."""
    return CodeDeploy(ecs, ecs.service("shop", "main"), application="shop", group="prod")


Services = dict[str, Emulated]


@pytest.fixture
def services(ecs: Ecs, code_deploy: CodeDeploy) -> Services:
    """The emulator of each operation."""
    return {name: one for one in (code_deploy, CodePipeline("shop-prod"), Logs(ecs)) for name in one.operations()}


def nobody(_ended: BlueGreen) -> None:
    """Nobody waits for its end."""


def look(ecs: Ecs) -> dict[str, Any]:
    answer: dict[str, Any] = ecs.owner("DescribeServices", cluster="main", services=["shop"])["services"][0]
    return answer


def sets(ecs: Ecs) -> list[tuple[str, str, int, int]]:
    """Status, stability, wanted and running tasks of each task set."""
    return [
        (entry["status"], entry["stabilityStatus"], entry["computedDesiredCount"], entry["runningCount"])
        for entry in look(ecs)["taskSets"]
    ]


def test_a_deployment_goes_from_one_task_set_to_the_other(ecs: Ecs, code_deploy: CodeDeploy) -> None:
    ended: list[str] = []
    made = code_deploy.deploy("shop:2", lambda deployment: ended.append(deployment.status))
    seen = [sets(ecs) for _ in range(10)]

    old = ("PRIMARY", "STEADY_STATE", 2, 2)
    assert [list(states) for states in dict.fromkeys(map(tuple, seen))] == [
        [old],
        [old, ("ACTIVE", "STEADY_STATE", 0, 0)],
        [old, ("ACTIVE", "STABILIZING", 2, 0)],
        [old, ("ACTIVE", "STABILIZING", 2, 1)],
        [old, ("ACTIVE", "STEADY_STATE", 2, 2)],
        [("ACTIVE", "STEADY_STATE", 2, 2), ("PRIMARY", "STEADY_STATE", 2, 2)],
        [("DRAINING", "STABILIZING", 0, 0), ("PRIMARY", "STEADY_STATE", 2, 2)],
    ]
    assert sets(ecs) == [old]
    assert (made.status, ended) == ("Succeeded", ["Succeeded"])
    assert ecs.service("shop", "main").running == ["shop:2"]


def test_how_a_container_ended_is_known_when_its_task_has_stopped(ecs: Ecs, code_deploy: CodeDeploy) -> None:
    ecs.behaviours[NEW] = Behaviour.CRASH
    code_deploy.deploy("shop:2", nobody)
    tasks: list[dict[str, Any]] = []
    for _ in range(10):
        look(ecs)
        arns = ecs.owner("ListTasks", cluster="main", serviceName="shop", desiredStatus="STOPPED")["taskArns"]
        tasks += ecs.owner("DescribeTasks", cluster="main", tasks=arns)["tasks"][:1] if arns else []

    stopping, *_, stopped = tasks
    assert (stopping["lastStatus"], stopping["stoppedReason"]) == (
        "DEPROVISIONING",
        "Essential container in task exited",
    )
    assert "exitCode" not in stopping["containers"][0]
    assert stopped["containers"][0]["exitCode"] == 1


@pytest.mark.parametrize(
    ("operation", "parameters", "code"),
    [
        ("GetDeployment", {"deploymentId": "d-UNKNOWN"}, "DeploymentDoesNotExistException"),
        ("StopDeployment", {"deploymentId": "d-UNKNOWN"}, "DeploymentDoesNotExistException"),
        ("GetDeployment", {"deploymentId": "one"}, "InvalidDeploymentIdException"),
        ("ListActionExecutions", {"pipelineName": "shop"}, "PipelineNotFoundException"),
        ("GetLogEvents", {"logGroupName": "/ecs/other", "logStreamName": "a"}, "ResourceNotFoundException"),
        ("GetLogEvents", {"logGroupName": "/ecs/shop", "logStreamName": "a"}, "ResourceNotFoundException"),
    ],
)
def test_what_is_not_there_is_refused(
    services: Services, operation: str, parameters: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refused) as answer:
        services[operation].owner(operation, **parameters)

    assert answer.value.code == code


def test_an_empty_line_of_a_log_is_no_event(ecs: Ecs) -> None:
    """A stack trace has some; the driver sends none of them, and CloudWatch Logs would take none."""
    ecs.logs["/ecs/shop"] = {"shop/a": ["one", "", "two", ""]}
    logs = Logs(ecs)
    events = logs.owner("GetLogEvents", logGroupName="/ecs/shop", logStreamName="shop/a", limit=2)["events"]
    assert [event["message"] for event in events] == ["one", "two"]


def test_a_word_is_refused_that_no_deployment_waits_for(ecs: Ecs, code_deploy: CodeDeploy) -> None:
    """https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_ContinueDeployment.html."""
    made = code_deploy.deploy("shop:2", nobody)

    def refusal(kind: str = "READY_WAIT") -> str:
        with pytest.raises(Refused) as answer:
            code_deploy.owner("ContinueDeployment", deploymentId=made.identity, deploymentWaitType=kind)
        return answer.value.code

    assert refusal() == "DeploymentIsNotInReadyStateException"
    while made.status != "Succeeded":
        look(ecs)
    assert refusal() == "DeploymentAlreadyCompletedException"


def test_a_deployment_waits_for_the_word_with_test_traffic_on_the_new_tasks(ecs: Ecs) -> None:
    service = ecs.service("shop", "main")
    waiting = CodeDeploy(ecs, service, application="shop", group="prod", traffic=Traffic(ready_minutes=15))
    made = waiting.deploy("shop:2", nobody)
    while made.status != "Ready":
        look(ecs)
    with pytest.raises(Refused) as answer:
        waiting.owner("ContinueDeployment", deploymentId=made.identity, deploymentWaitType="TERMINATION_WAIT")
    assert answer.value.code == "DeploymentIsNotInReadyStateException"
    assert made.percent == 0, "users have the old version"
    assert waiting.owner("ContinueDeployment", deploymentId=made.identity) == {}
    while made.status != "Succeeded":
        look(ecs)
    assert service.running == ["shop:2"]


def test_a_group_has_one_deployment_at_a_time(code_deploy: CodeDeploy) -> None:
    code_deploy.deploy("shop:2", nobody)

    with pytest.raises(Refused) as answer:
        code_deploy.deploy("shop:2", nobody)

    assert answer.value.code == "DeploymentLimitExceededException"


AWS = "arn:aws:{}:eu-west-1:123456789012:{}"
STREAMS = AWS.format("logs", "log-group:/ecs/shop:log-stream:shop/*")


@pytest.mark.parametrize(
    ("operation", "parameters", "resource", "allowed"),
    [
        ("StopDeployment", {"deploymentId": "d-1"}, AWS.format("codedeploy", "deploymentgroup:shop/prod"), False),
        ("ContinueDeployment", {"deploymentId": "d-1"}, AWS.format("codedeploy", "deploymentgroup:shop/prod"), False),
        ("ListActionExecutions", {"pipelineName": "shop-prod"}, AWS.format("codepipeline", "other"), False),
        ("GetLogEvents", {"logGroupName": "/ecs/shop", "logStreamName": "shop/shop/1"}, STREAMS, True),
        ("GetLogEvents", {"logGroupName": "/ecs/shop", "logStreamName": "proxy/proxy/1"}, STREAMS, False),
    ],
)
def test_the_callers_policies_decide(
    services: Services, operation: str, parameters: dict[str, Any], resource: str, *, allowed: bool
) -> None:
    """No resource narrows StopDeployment or ContinueDeployment."""
    service = services[operation]
    statement = {"Effect": "Allow", "Action": f"{service.SERVICE}:{operation}", "Resource": resource}
    service.policies = [{"Version": "2012-10-17", "Statement": [statement]}]

    with pytest.raises(Refused) as answer:
        service.call(operation, parameters)

    assert (answer.value.code != "AccessDeniedException") is allowed
