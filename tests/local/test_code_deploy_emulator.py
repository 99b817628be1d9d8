"""The emulators around a CodeDeploy deployment: as strict as AWS, and deployments that go as AWS documents them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session  # type: ignore[import-untyped]  # ships no types
import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types
from task_definitions import LOGS, NEW, definition

from local.rehearsal.code_deploy import BlueGreen, CodeDeploy
from local.rehearsal.code_pipeline import CodePipeline
from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.emulated import Emulated, Refused, serving
from local.rehearsal.logs import Logs

GROUP = "arn:aws:codedeploy:eu-west-1:123456789012:deploymentgroup:shop/prod"


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
        desiredCount=2,
        deploymentController={"type": "CODE_DEPLOY"},
        loadBalancers=[{"targetGroupArn": "blue", "containerName": "shop", "containerPort": 8080}],
    )
    return made


@pytest.fixture
def code_deploy(ecs: Ecs) -> CodeDeploy:
    """Its deployment group."""
    return CodeDeploy(ecs, ecs.service("shop", "main"), application="shop", group="prod")


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


def test_a_task_set_names_the_deployment_that_made_it(ecs: Ecs, code_deploy: CodeDeploy) -> None:
    made = code_deploy.deploy("shop:2", nobody)
    ecs.pace = 3
    look(ecs)
    first, second = look(ecs)["taskSets"]

    assert (second["startedBy"], second["externalId"]) == ("CODE_DEPLOY", made.identity)
    assert second["taskDefinition"].endswith("shop:2")
    assert "startedBy" not in first


@pytest.mark.parametrize("behaviour", [Behaviour.CRASH, Behaviour.CANNOT_PULL, Behaviour.UNHEALTHY])
def test_tasks_that_fail_are_started_again_until_somebody_stops_the_deployment(
    ecs: Ecs, code_deploy: CodeDeploy, behaviour: Behaviour
) -> None:
    ecs.behaviours[NEW] = behaviour
    made = code_deploy.deploy("shop:2", nobody)
    ecs.pace = 100
    look(ecs)
    failed = ecs.owner("ListTasks", cluster="main", serviceName="shop", desiredStatus="STOPPED")["taskArns"]
    assert len(failed) > 20
    assert made.status == "InProgress"

    answer = code_deploy.owner("StopDeployment", deploymentId=made.identity, autoRollbackEnabled=True)
    look(ecs)

    assert answer["status"] == "Pending"
    assert (made.status, made.rolled_back) == ("Stopped", True)
    assert [entry["status"] for entry in look(ecs)["taskSets"]] == ["PRIMARY"]
    assert ecs.service("shop", "main").running == ["shop:1"]


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


def refused(service: Emulated, operation: str, **parameters: object) -> Refused:
    with pytest.raises(Refused) as answer:
        service.owner(operation, **parameters)
    return answer.value


def test_a_group_has_one_deployment_at_a_time(code_deploy: CodeDeploy) -> None:
    code_deploy.deploy("shop:2", nobody)

    with pytest.raises(Refused) as answer:
        code_deploy.deploy("shop:2", nobody)

    assert answer.value.code == "DeploymentLimitExceededException"


def test_a_deployment_that_has_ended_cannot_be_stopped(code_deploy: CodeDeploy) -> None:
    made = code_deploy.deploy("shop:2", nobody)
    code_deploy.fail(made, "ALARM_ACTIVE", "One or more alarms have been activated")

    assert refused(code_deploy, "StopDeployment", deploymentId=made.identity).code == (
        "DeploymentAlreadyCompletedException"
    )
    info = code_deploy.owner("GetDeployment", deploymentId=made.identity)["deploymentInfo"]
    assert (info["status"], info["errorInformation"]["code"]) == ("Failed", "ALARM_ACTIVE")


@pytest.mark.parametrize("operation", ["GetDeployment", "StopDeployment"])
@pytest.mark.parametrize(
    ("identity", "code"), [("d-UNKNOWN", "DeploymentDoesNotExistException"), ("one", "InvalidDeploymentIdException")]
)
def test_a_deployment_that_is_not_there_is_refused(
    code_deploy: CodeDeploy, operation: str, identity: str, code: str
) -> None:
    assert refused(code_deploy, operation, deploymentId=identity).code == code


def test_the_pipeline_shows_what_became_of_an_action() -> None:
    pipeline = CodePipeline("shop-prod")
    first, second = pipeline.begin("1", "DeployService", "WatchDeployment")
    pipeline.begin("2", "DeployService")
    first.external_id = "d-1"
    second.end("Failed", "for a reason")

    def listed(**parameters: object) -> list[dict[str, Any]]:
        answer = pipeline.owner("ListActionExecutions", pipelineName="shop-prod", **parameters)
        return list(answer["actionExecutionDetails"])

    watched, deployed = listed(filter={"pipelineExecutionId": "1"})
    assert len(listed()) == 3
    assert (deployed["status"], deployed["output"]["executionResult"]) == ("InProgress", {"externalExecutionId": "d-1"})
    assert watched["output"]["executionResult"]["errorDetails"]["message"] == "for a reason"
    pipeline.shows_external_ids = False
    assert listed(filter={"pipelineExecutionId": "1"})[1]["output"]["executionResult"] == {}
    assert refused(pipeline, "ListActionExecutions", pipelineName="shop").code == "PipelineNotFoundException"


def test_the_latest_lines_of_a_log_are_read_from_its_stream(ecs: Ecs) -> None:
    task = ecs.service("shop", "main").tasks[0]
    ecs.log(task, [f"line {number}" for number in range(20)])
    logs = Logs(ecs)
    stream = {"logGroupName": "/ecs/shop", "logStreamName": f"shop/shop/{task.identity}"}

    assert [event["message"] for event in logs.owner("GetLogEvents", **stream, limit=2)["events"]] == [
        "line 18",
        "line 19",
    ]
    assert len(logs.owner("GetLogEvents", **stream)["events"]) == 20
    for missing in ({"logGroupName": "/ecs/other"}, {"logStreamName": "shop/shop/none"}):
        assert refused(logs, "GetLogEvents", **{**stream, **missing}).code == "ResourceNotFoundException"


@pytest.fixture
def clients(ecs: Ecs, code_deploy: CodeDeploy) -> Iterator[Any]:
    """Makes clients of the AWS SDK."""
    with serving(ecs, code_deploy, CodePipeline("shop-prod"), Logs(ecs)) as url:
        session = botocore.session.Session()
        yield lambda service: session.create_client(
            service,
            region_name="eu-west-1",
            endpoint_url=url,
            aws_access_key_id="x",
            aws_secret_access_key="y",  # noqa: S106 - nobody's
        )


def test_the_sdk_reads_every_answer(code_deploy: CodeDeploy, clients: Any) -> None:  # noqa: ANN401 - made at run time
    made = code_deploy.deploy("shop:2", nobody)

    assert clients("codedeploy").get_deployment(deploymentId=made.identity)["deploymentInfo"]["createTime"].year > 2000
    assert clients("codedeploy").stop_deployment(deploymentId=made.identity)["status"] == "Pending"
    assert clients("codepipeline").list_action_executions(pipelineName="shop-prod")["actionExecutionDetails"] == []
    assert clients("ecs").describe_services(cluster="main", services=["shop"])["services"][0]["taskSets"]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        clients("logs").get_log_events(logGroupName="none", logStreamName="none")


@pytest.mark.parametrize(
    ("operation", "parameters", "resource", "action"),
    [
        ("GetDeployment", {"deploymentId": "d-1"}, GROUP, "codedeploy:GetDeployment"),
        ("StopDeployment", {"deploymentId": "d-1"}, GROUP, ""),
        ("StopDeployment", {"deploymentId": "d-1"}, "*", "codedeploy:StopDeployment"),
        (
            "ListActionExecutions",
            {"pipelineName": "shop-prod"},
            "arn:aws:codepipeline:eu-west-1:123456789012:other",
            "",
        ),
        (
            "ListActionExecutions",
            {"pipelineName": "shop-prod"},
            "arn:aws:codepipeline:eu-west-1:123456789012:shop-prod",
            "codepipeline:ListActionExecutions",
        ),
        (
            "GetLogEvents",
            {"logGroupName": "/ecs/shop", "logStreamName": "shop/shop/1"},
            "arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/shop:log-stream:shop/*",
            "logs:GetLogEvents",
        ),
        (
            "GetLogEvents",
            {"logGroupName": "/ecs/shop", "logStreamName": "proxy/proxy/1"},
            "arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/shop:log-stream:shop/*",
            "",
        ),
    ],
)
def test_the_callers_policies_decide(
    ecs: Ecs, code_deploy: CodeDeploy, operation: str, parameters: dict[str, Any], resource: str, action: str
) -> None:
    """No resource narrows StopDeployment."""
    services: tuple[Emulated, ...] = (code_deploy, CodePipeline("shop-prod"), Logs(ecs))
    service = next(one for one in services if operation in one.operations())
    statement = {"Effect": "Allow", "Action": f"{service.SERVICE}:{operation}", "Resource": resource}
    service.policies = [{"Version": "2012-10-17", "Statement": [statement]}]

    try:
        service.call(operation, parameters)
        code = ""
    except Refused as refusal:
        code = refusal.code

    assert (code == "AccessDeniedException") == (action == "")
