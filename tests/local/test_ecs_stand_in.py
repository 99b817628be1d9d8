"""The stand-in for Amazon ECS: strict as its model, and deployments that go as AWS documents them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import botocore.session  # type: ignore[import-untyped]  # ships no types
import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types
from task_definitions import NEW, definition

from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.ecs.state import Service
from local.rehearsal.emulated import Refused, serving
from local.rehearsal.emulated.model import service_model

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
SHIFT = {**BREAKER, "bakeTimeInMinutes": 5}
ADVANCED = {"alternateTargetGroupArn": "green", "productionListenerRule": "rule", "roleArn": "role"}
ROLE = "arn:aws:iam::123456789012:role/execution"


@pytest.fixture
def ecs() -> Ecs:
    """A cluster and two revisions: `old` and `new`."""
    made = Ecs()
    made.owner("CreateCluster", clusterName="main")
    made.owner("RegisterTaskDefinition", **definition())
    made.owner("RegisterTaskDefinition", **definition(NEW))
    return made


def service(ecs: Ecs, strategy: str = "ROLLING", *, desired: int = 2, **configuration: object) -> Service:
    """A service that runs the old revision."""
    shifting = strategy != "ROLLING"
    balancer = {"targetGroupArn": "blue", "containerName": "shop", "containerPort": 8080}
    ecs.owner(
        "CreateService",
        cluster="main",
        serviceName="shop",
        taskDefinition="shop:1",
        desiredCount=desired,
        deploymentConfiguration={"strategy": strategy, **(SHIFT if shifting else BREAKER), **configuration},
        loadBalancers=[{**balancer, **({"advancedConfiguration": ADVANCED} if shifting else {})}],
    )
    made = ecs.service("shop", "main")
    ecs.settle(made)
    return made


def update(ecs: Ecs, **changes: object) -> dict[str, Any]:
    return ecs.owner("UpdateService", cluster="main", service="shop", **{"taskDefinition": "shop:2", **changes})


def look(ecs: Ecs, arn: str) -> dict[str, Any]:
    found: dict[str, Any] = ecs.owner("DescribeServiceDeployments", serviceDeploymentArns=[arn])["serviceDeployments"][
        0
    ]
    return found


def course(ecs: Ecs, made: Service, most: int = 60) -> list[tuple[str, str, float]]:
    """Status, stage and production traffic at each look at the newest deployment until it is over."""
    seen, arn = list[tuple[str, str, float]](), made.deployments[0].arn
    for _ in range(most):
        found = look(ecs, arn)
        target = found["targetServiceRevision"]
        state = (found["status"], found.get("lifecycleStage", ""), target.get("requestedProductionTrafficWeight", 0.0))
        seen += [] if seen and seen[-1] == state else [state]
        if "finishedAt" in found or "stoppedAt" in found:
            return seen
    return seen


def refused(ecs: Ecs, operation: str, **parameters: object) -> Refused:
    with pytest.raises(Refused) as answer:
        ecs.owner(operation, **parameters)
    return answer.value


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"clusterr": "main"}, 'Unknown parameter in input: "clusterr"'),
        ({}, 'Missing required parameter in input: "services"'),
        ({"services": "shop"}, "Invalid type for parameter services"),
        ({"services": ["shop"], "include": ["EVERYTHING"]}, "'EVERYTHING' is none of TAGS"),
    ],
)
def test_a_request_that_the_model_does_not_know_is_refused(ecs: Ecs, parameters: dict[str, Any], problem: str) -> None:
    answer = refused(ecs, "DescribeServices", **parameters)

    assert answer.code == "InvalidParameterException"
    assert problem in answer.message


def test_a_boolean_is_no_number(ecs: Ecs) -> None:
    service(ecs)

    assert (
        "UpdateService.desiredCount: True is no number"
        in refused(ecs, "UpdateService", cluster="main", service="shop", desiredCount=True).message
    )


def test_an_answer_that_is_unlike_ecs_is_a_fault_of_the_stand_in(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> None:
    service(ecs)
    monkeypatch.setattr(Service, "view", lambda _self: {"serviceName": "shop", "health": "good"})

    with pytest.raises(AssertionError, match=r'Unknown parameter in services.0.: "health"'):
        ecs.owner("DescribeServices", cluster="main", services=["shop"])


@pytest.fixture
def client(ecs: Ecs) -> Iterator[Any]:
    """A client of the AWS SDK."""
    with serving(ecs) as url:
        session = botocore.session.Session()
        yield session.create_client(
            "ecs",
            region_name="eu-west-1",
            endpoint_url=url,
            aws_access_key_id="x",
            aws_secret_access_key="y",  # noqa: S106 - nobody's
        )


def test_the_sdk_reads_every_answer(ecs: Ecs, client: Any) -> None:  # noqa: ANN401 - made at run time
    made = service(ecs)
    client.register_task_definition(**definition(tags=[{"key": "a", "value": "b"}], executionRoleArn=ROLE))
    client.update_service(cluster="main", service="shop", taskDefinition="shop:3")
    (first, newest) = client.list_service_deployments(cluster="main", service="shop")["serviceDeployments"]
    found = client.describe_service_deployments(serviceDeploymentArns=[newest["serviceDeploymentArn"]])
    revision = client.describe_service_revisions(serviceRevisionArns=[newest["targetServiceRevisionArn"]])
    client.stop_service_deployment(serviceDeploymentArn=newest["serviceDeploymentArn"], stopType="ROLLBACK")
    tasks = client.list_tasks(cluster="main", serviceName="shop", desiredStatus="RUNNING")["taskArns"]

    assert found["serviceDeployments"][0]["status"] == "PENDING"
    assert found["serviceDeployments"][0]["createdAt"].year > 2000
    assert first["status"] == "SUCCESSFUL"
    assert revision["serviceRevisions"][0]["taskDefinition"].endswith(":task-definition/shop:3")
    assert client.describe_tasks(cluster="main", tasks=tasks)["tasks"][0]["lastStatus"] == "RUNNING"
    assert client.describe_task_definition(taskDefinition="shop")["taskDefinition"]["revision"] == 3
    assert client.describe_services(cluster="main", services=["shop"])["services"][0]["serviceArn"] == made.arn
    assert {call.operation for call in ecs.calls} <= set(service_model("ecs").operation_names)


def test_a_refusal_reaches_the_sdk_by_its_code(client: Any) -> None:  # noqa: ANN401 - made at run time
    with pytest.raises(ClientError, match="ServiceNotFoundException"):
        client.list_service_deployments(cluster="main", service="shop")
    with pytest.raises(ClientError, match=r"UnsupportedFeatureException.*RunTask is not rehearsed here"):
        client.run_task(taskDefinition="shop")


def test_another_protocol_is_refused(ecs: Ecs) -> None:
    with serving(ecs) as url, pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(url, data=b"{}", timeout=5)  # noqa: S310 - loopback

    assert answer.value.code == 400
    assert b"UnknownOperationException" in answer.value.read()
    answer.value.close()


@pytest.mark.parametrize(
    ("strategy", "configuration", "traffic"),
    [
        ("BLUE_GREEN", {}, [100.0]),
        ("CANARY", {"canaryConfiguration": {"canaryPercent": 10.0}}, [10.0, 100.0]),
        ("LINEAR", {"linearConfiguration": {"stepPercent": 40.0}}, [40.0, 80.0, 100.0]),
    ],
)
def test_a_shift_of_traffic_goes_through_the_stages_that_aws_lists(
    ecs: Ecs, strategy: str, configuration: dict[str, Any], traffic: list[float]
) -> None:
    made = service(ecs, strategy, **configuration)
    update(ecs)

    assert course(ecs, made) == [
        ("PENDING", "", 0.0),
        *(("IN_PROGRESS", stage, 0.0) for stage in ("PRE_SCALE_UP", "SCALE_UP", "POST_SCALE_UP")),
        *(("IN_PROGRESS", stage, 0.0) for stage in ("TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT")),
        *(("IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", weight) for weight in traffic),
        *(("IN_PROGRESS", stage, 100.0) for stage in ("POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP")),
        ("SUCCESSFUL", "CLEAN_UP", 100.0),
    ]
    assert made.running == ["shop:2"]


def test_a_rolling_deployment_replaces_task_by_task(ecs: Ecs) -> None:
    made = service(ecs)
    update(ecs)
    arn = made.deployments[0].arn
    running = []
    for _ in range(4):
        look(ecs, arn)
        running.append(made.running)

    assert running == [["shop:1", "shop:2"], ["shop:2"], ["shop:2"], ["shop:2"]]
    assert look(ecs, arn)["status"] == "SUCCESSFUL"
    assert made.events[0]["message"] == "(service shop) has reached a steady state."


@pytest.mark.parametrize(("desired", "failures"), [(2, 3), (10, 5)])
@pytest.mark.parametrize("strategy", ["ROLLING", "BLUE_GREEN"])
def test_the_circuit_breaker_rolls_back_after_as_many_failures_as_aws_documents(
    ecs: Ecs, strategy: str, desired: int, failures: int
) -> None:
    """Half of the desired tasks, and three at least."""
    ecs.behaviours[NEW] = Behaviour.CRASH
    made = service(ecs, strategy, desired=desired)
    update(ecs)

    statuses = [status for status, _, _ in course(ecs, made)]

    assert list(dict.fromkeys(statuses)) == ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]
    found = look(ecs, made.deployments[0].arn)
    assert found["deploymentCircuitBreaker"] == {"status": "TRIGGERED", "failureCount": failures, "threshold": failures}
    assert found["rollback"]["serviceRevisionArn"] == made.deployments[1].target.arn
    assert made.running == ["shop:1"]
    assert made.view()["taskDefinition"].endswith("shop:1")
    assert made.view()["runningCount"] == desired


@pytest.mark.parametrize(
    ("behaviour", "reason", "code"),
    [
        (Behaviour.CRASH, "Essential container in task exited", 1),
        (Behaviour.CANNOT_PULL, "CannotPullContainerError", None),
        (Behaviour.UNHEALTHY, "Task failed ELB health checks in (target-group blue)", 143),
    ],
)
def test_a_stopped_task_says_why(ecs: Ecs, behaviour: Behaviour, reason: str, code: int | None) -> None:
    ecs.behaviours[NEW] = behaviour
    ecs.settle(service(ecs))
    update(ecs)
    ecs.settle(ecs.service("shop", "main"))
    arns = ecs.owner("ListTasks", cluster="main", serviceName="shop", desiredStatus="STOPPED")["taskArns"]

    (task, *_) = ecs.owner("DescribeTasks", cluster="main", tasks=arns)["tasks"]

    assert task["stoppedReason"].startswith(reason)
    assert task["containers"][0].get("exitCode") == code


def test_an_alarm_rolls_back_what_runs_well(ecs: Ecs) -> None:
    ecs.behaviours[NEW] = Behaviour.ALARM
    made = service(ecs, "CANARY", alarms={"alarmNames": ["errors", "latency"], "enable": True, "rollback": True})
    update(ecs)

    assert course(ecs, made)[-1][0] == "ROLLBACK_SUCCESSFUL"
    assert look(ecs, made.deployments[0].arn)["alarms"]["triggeredAlarmNames"] == ["errors"]
    assert made.running == ["shop:1"]


def test_an_alarm_that_is_not_watched_stops_nothing(ecs: Ecs) -> None:
    ecs.behaviours[NEW] = Behaviour.ALARM
    made = service(ecs)
    update(ecs)

    assert ecs.settle(made).status == "SUCCESSFUL"


@pytest.mark.parametrize("behaviour", [Behaviour.CRASH, Behaviour.SLOW])
def test_without_a_circuit_breaker_a_deployment_goes_on_until_somebody_stops_it(ecs: Ecs, behaviour: Behaviour) -> None:
    ecs.behaviours[NEW] = behaviour
    made = service(ecs, deploymentCircuitBreaker={"enable": False, "rollback": False})
    update(ecs)
    assert course(ecs, made)[-1][0] == "IN_PROGRESS"
    arn = made.deployments[0].arn

    ecs.owner("StopServiceDeployment", serviceDeploymentArn=arn, stopType="ROLLBACK")

    assert [status for status, _, _ in course(ecs, made)] == [
        *("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL")
    ]
    assert made.running == ["shop:1"]
    assert refused(ecs, "StopServiceDeployment", serviceDeploymentArn=arn).code == "ConflictException"


def test_an_aborted_deployment_stops_where_it_is(ecs: Ecs) -> None:
    ecs.behaviours[NEW] = Behaviour.SLOW
    made = service(ecs)
    update(ecs)

    ecs.owner("StopServiceDeployment", serviceDeploymentArn=made.deployments[0].arn, stopType="ABORT")

    assert [status for status, _, _ in course(ecs, made)] == ["STOP_REQUESTED", "STOPPED"]


def test_there_is_no_way_back_from_the_first_deployment(ecs: Ecs) -> None:
    ecs.behaviours["registry.example.com/shop:old"] = Behaviour.CRASH

    made = service(ecs)

    assert made.deployments[0].status == "STOPPED"
    assert "the circuit breaker threshold was exceeded" in made.deployments[0].reason


def test_a_deployment_that_is_not_there_cannot_be_stopped(ecs: Ecs) -> None:
    answer = refused(ecs, "StopServiceDeployment", serviceDeploymentArn="arn:a:ecs:r:1:service-deployment/main/shop/x")

    assert answer.code == "ServiceDeploymentNotFoundException"


@pytest.mark.parametrize(
    ("changes", "deployments"),
    [
        ({"taskDefinition": "shop:1"}, 1),
        ({"taskDefinition": "shop:1", "desiredCount": 5}, 1),
        ({"taskDefinition": "shop:1", "deploymentConfiguration": {"maximumPercent": 150}}, 1),
        ({"taskDefinition": "shop:1", "forceNewDeployment": True}, 2),
        ({"taskDefinition": "shop:2"}, 2),
    ],
)
def test_only_what_aws_says_starts_a_deployment(ecs: Ecs, changes: dict[str, Any], deployments: int) -> None:
    """The model: desiredCount and deploymentConfiguration do not trigger a new service deployment."""
    made = service(ecs)

    update(ecs, **changes)

    assert len(made.deployments) == deployments


def test_a_forced_deployment_of_the_same_replaces_all_tasks(ecs: Ecs) -> None:
    made = service(ecs)
    before = {task.arn for task in made.tasks}

    update(ecs, taskDefinition="shop:1", forceNewDeployment=True)
    ecs.settle(made)

    assert {task.arn for task in made.tasks if task.status == "RUNNING"}.isdisjoint(before)
    assert made.view()["runningCount"] == 2


def test_another_deployment_takes_the_place_of_the_one_under_way(ecs: Ecs) -> None:
    ecs.behaviours[NEW] = Behaviour.SLOW
    made = service(ecs, "BLUE_GREEN")
    update(ecs)
    ours = made.deployments[0].arn
    look(ecs, ours)
    ecs.owner("RegisterTaskDefinition", **definition())

    update(ecs, taskDefinition="shop:3")

    assert [look(ecs, ours)["status"] for _ in range(2)] == ["STOP_REQUESTED", "STOPPED"]
    assert course(ecs, made)[1] == ("IN_PROGRESS", "RECONCILE_SERVICE", 0.0)
    assert made.running == ["shop:3"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"memory": "4096"}, "No Fargate configuration exists for given values."),
        ({"cpu": "300"}, "No Fargate configuration exists for given values."),
        ({"networkMode": "bridge"}, "Fargate only supports network mode 'awsvpc'."),
        ({"containerDefinitions": [{"name": "shop"}]}, "Container.image should not be null"),
        ({"containerDefinitions": [{"name": "a", "image": "b"}] * 2}, "Container names must be unique."),
        (
            {"containerDefinitions": [{"name": "a", "image": "b", "mountPoints": [{"sourceVolume": "tmp"}]}]},
            "Unknown volume 'tmp'.",
        ),
        (
            {"containerDefinitions": [{"name": "a", "image": "b", "secrets": [{"name": "A", "valueFrom": "b"}]}]},
            "you must also specify a value for 'executionRoleArn'",
        ),
    ],
)
def test_a_task_definition_that_ecs_would_refuse_is_refused(ecs: Ecs, changes: dict[str, Any], problem: str) -> None:
    answer = refused(ecs, "RegisterTaskDefinition", **definition(**changes))

    assert answer.code == "ClientException"
    assert problem in answer.message


def test_a_revision_has_what_ecs_adds(ecs: Ecs) -> None:
    check = {"command": ["CMD", "true"]}
    container = {"name": "a", "image": "b", "healthCheck": check, "portMappings": [{"containerPort": 1}]}

    made = ecs.owner("RegisterTaskDefinition", **definition(containerDefinitions=[container]))["taskDefinition"]

    (answered,) = made["containerDefinitions"]
    assert answered["portMappings"] == [{"containerPort": 1, "hostPort": 1, "protocol": "tcp"}]
    assert answered["healthCheck"] == {**check, "interval": 30, "timeout": 5, "retries": 3}
    assert (answered["cpu"], answered["essential"], answered["volumesFrom"]) == (0, True, [])
    assert made["taskDefinitionArn"].endswith(":task-definition/shop:3")
    assert refused(ecs, "DescribeTaskDefinition", taskDefinition="shop:9").code == "ClientException"


@pytest.mark.parametrize(
    ("changes", "code", "problem"),
    [
        ({"service": "store"}, "ServiceNotFoundException", "Service not found."),
        ({"cluster": "other"}, "ClusterNotFoundException", "Cluster not found."),
        ({"taskDefinition": "shop:9"}, "ClientException", "TaskDefinition not found."),
        (
            {"deploymentConfiguration": {"canaryConfiguration": {"canaryPercent": 5.0}}},
            "InvalidParameterException",
            "canaryConfiguration is only valid with the CANARY deployment strategy.",
        ),
        (
            {"deploymentConfiguration": {"strategy": "BLUE_GREEN"}},
            "InvalidParameterException",
            "bakeTimeInMinutes is required with BLUE_GREEN.",
        ),
        (
            {"deploymentConfiguration": {"strategy": "LINEAR", "bakeTimeInMinutes": 1}},
            "InvalidParameterException",
            "advancedConfiguration is required with LINEAR.",
        ),
    ],
)
def test_an_update_that_does_not_fit_the_service_is_refused(
    ecs: Ecs, changes: dict[str, Any], code: str, problem: str
) -> None:
    made = service(ecs)
    parameters = {"cluster": "main", "service": "shop", "taskDefinition": "shop:2", **changes}

    answer = refused(ecs, "UpdateService", **parameters)

    assert (answer.code, answer.message) == (code, problem)
    assert len(made.deployments) == 1


@pytest.mark.parametrize(
    ("container", "problem"),
    [
        ({"name": "store", "image": "b"}, "The container shop does not exist in the task definition."),
        ({"name": "shop", "image": "b"}, "The container shop did not have a container port 8080 defined."),
    ],
)
def test_the_load_balancers_container_must_be_in_the_new_revision(
    ecs: Ecs, container: dict[str, Any], problem: str
) -> None:
    service(ecs)
    ecs.owner("RegisterTaskDefinition", **definition(containerDefinitions=[container]))

    answer = refused(ecs, "UpdateService", cluster="main", service="shop", taskDefinition="shop:3")

    assert answer.message == problem


def test_a_service_of_code_deploy_is_not_updated_here(ecs: Ecs) -> None:
    controller = {"type": "CODE_DEPLOY"}
    ecs.owner(
        "CreateService", cluster="main", serviceName="shop", taskDefinition="shop:1", deploymentController=controller
    )

    answer = refused(ecs, "UpdateService", cluster="main", service="shop", taskDefinition="shop:2")

    assert "Use AWS CodeDeploy to trigger a new deployment." in answer.message


def test_what_is_not_there_is_listed_as_missing(ecs: Ecs) -> None:
    service(ecs)
    place = "arn:aws:ecs:eu-west-1:123456789012"

    for operation, parameters in (
        ("DescribeServices", {"cluster": "main", "services": ["store"]}),
        ("DescribeTasks", {"cluster": "main", "tasks": ["1"]}),
        ("DescribeServiceDeployments", {"serviceDeploymentArns": [f"{place}:service-deployment/main/shop/1"]}),
        ("DescribeServiceRevisions", {"serviceRevisionArns": [f"{place}:service-revision/main/shop/1"]}),
    ):
        (failure,) = ecs.owner(operation, **parameters)["failures"]
        assert failure["reason"] == "MISSING"


def test_deployments_are_listed_by_the_page_and_by_status_the_newest_last(ecs: Ecs) -> None:
    """AWS documents no order: a job that counts on the newest first must not get away with it here."""
    made = service(ecs)
    for _ in range(21):
        update(ecs, forceNewDeployment=True)
        ecs.settle(made)
    ecs.behaviours[NEW] = Behaviour.SLOW
    update(ecs, forceNewDeployment=True)
    place = {"cluster": "main", "service": "shop"}

    first = ecs.owner("ListServiceDeployments", **place)
    second = ecs.owner("ListServiceDeployments", **place, nextToken=first["nextToken"])
    pending = ecs.owner("ListServiceDeployments", **place, status=["PENDING"])["serviceDeployments"]

    listed = [entry["serviceDeploymentArn"] for page in (first, second) for entry in page["serviceDeployments"]]
    assert len(first["serviceDeployments"]) == 20
    assert "nextToken" not in second
    assert listed == [deployment.arn for deployment in reversed(made.deployments)]
    assert [entry["serviceDeploymentArn"] for entry in pending] == listed[-1:]


def test_tasks_are_listed_by_the_page(ecs: Ecs) -> None:
    service(ecs, desired=101)
    place = {"cluster": "main", "serviceName": "shop"}

    first = ecs.owner("ListTasks", **place)
    second = ecs.owner("ListTasks", **place, nextToken=first["nextToken"])

    assert [len(page["taskArns"]) for page in (first, second)] == [100, 1]
    assert "nextToken" not in second


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("ListServiceDeployments", {"service": "shop", "maxResults": 101}),
        ("ListServiceDeployments", {"service": "shop", "nextToken": "more"}),
        ("ListTasks", {"maxResults": 0}),
        ("DescribeTasks", {"tasks": ["a"] * 101}),
    ],
)
def test_more_than_a_page_holds_is_refused(ecs: Ecs, operation: str, parameters: dict[str, Any]) -> None:
    service(ecs)

    assert refused(ecs, operation, cluster="main", **parameters).code == "InvalidParameterException"


@pytest.mark.parametrize("what", ["Deployment", "Revision"])
def test_no_more_than_twenty_arns_are_described_at_once(ecs: Ecs, what: str) -> None:
    arns = {f"service{what}Arns": ["arn"] * 21}

    assert "more than 20 elements" in refused(ecs, f"DescribeService{what}s", **arns).message


SERVICE = "arn:aws:ecs:eu-west-1:123456789012:service/main/shop"
CLUSTER = {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:eu-west-1:123456789012:cluster/main"}}
OTHER_CLUSTER = {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:eu-west-1:123456789012:cluster/other"}}
TO_TASKS = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
TO_LAMBDA = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
UPDATE = ("UpdateService", {"cluster": "main", "service": "shop", "taskDefinition": "shop:2"})
LIST = ("ListTasks", {"cluster": "main"})
REGISTER = ("RegisterTaskDefinition", definition(executionRoleArn=ROLE))
REGISTERS: tuple[str, str, dict[str, Any]] = ("ecs:RegisterTaskDefinition", "*", {})
ONE_FAMILY: tuple[str, str, dict[str, Any]] = (
    "ecs:RegisterTaskDefinition",
    "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:*",
    {},
)


@pytest.mark.parametrize(
    ("request_", "statements", "denied"),
    [
        (UPDATE, [("ecs:UpdateService", SERVICE, {})], ""),
        (UPDATE, [("ecs:UpdateService", SERVICE, CLUSTER)], ""),
        (UPDATE, [("ecs:UpdateService", f"{SERVICE}s", {})], "ecs:UpdateService"),
        (UPDATE, [("ecs:DescribeServices", "*", {})], "ecs:UpdateService"),
        (LIST, [("ecs:ListTasks", "*", CLUSTER)], ""),
        (LIST, [("ecs:ListTasks", "*", OTHER_CLUSTER)], "ecs:ListTasks"),
        (REGISTER, [REGISTERS, ("iam:PassRole", ROLE, TO_TASKS)], ""),
        (REGISTER, [ONE_FAMILY, ("iam:PassRole", ROLE, TO_TASKS)], "ecs:RegisterTaskDefinition"),
        (REGISTER, [REGISTERS, ("iam:PassRole", ROLE, TO_LAMBDA)], "iam:PassRole"),
        (REGISTER, [REGISTERS, ("iam:PassRole", f"{ROLE}2", {})], "iam:PassRole"),
    ],
)
def test_the_callers_policies_decide(
    ecs: Ecs, request_: tuple[str, dict[str, Any]], statements: list[tuple[str, str, dict[str, Any]]], denied: str
) -> None:
    service(ecs)
    allowed = [
        {"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition}
        for action, resource, condition in statements
    ]
    ecs.policies = [{"Version": "2012-10-17", "Statement": allowed}]

    if denied:
        with pytest.raises(Refused, match=f"is not authorized to perform: {denied} on resource") as answer:
            ecs.call(*request_)
        assert answer.value.code == "AccessDeniedException"
    else:
        ecs.call(*request_)
    assert [call.operation for call in ecs.calls] == [request_[0]], "what the owner does is not recorded"
