"""The stand-in for Amazon ECS: strict as its model, and deployments that go as AWS documents them."""

from __future__ import annotations

from typing import Any

import pytest
from task_definitions import NEW, definition

from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.ecs.state import ONGOING, Service
from local.rehearsal.emulated import Refused

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
SHIFT = {**BREAKER, "bakeTimeInMinutes": 5}
ADVANCED = {"alternateTargetGroupArn": "green", "productionListenerRule": "rule", "roleArn": "role"}
ROLE = "arn:aws:iam::123456789012:role/execution"
SHOP = {"cluster": "main", "service": "shop"}


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
        launchType="FARGATE",
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
        if found["status"] not in ONGOING:
            return seen
    return seen


def refused(ecs: Ecs, operation: str, **parameters: object) -> Refused:
    with pytest.raises(Refused) as answer:
        ecs.owner(operation, **parameters)
    return answer.value


INVALID: list[tuple[str, dict[str, Any], str]] = [
    # What the model does not know.
    ("DescribeServices", {"clusterr": "main"}, 'Unknown parameter in input: "clusterr"'),
    ("DescribeServices", {}, 'Missing required parameter in input: "services"'),
    ("DescribeServices", {"services": "shop"}, "Invalid type for parameter services"),
    ("DescribeServices", {"services": ["shop"], "include": ["EVERYTHING"]}, "'EVERYTHING' is none of TAGS"),
    ("UpdateService", {"desiredCount": True}, "UpdateService.desiredCount: True is no number"),
    # What does not fit the service.
    (
        "UpdateService",
        {"deploymentConfiguration": {"canaryConfiguration": {"canaryPercent": 5.0}}},
        "canaryConfiguration is only valid with the CANARY deployment strategy.",
    ),
    (
        "UpdateService",
        {"deploymentConfiguration": {"strategy": "BLUE_GREEN"}},
        "bakeTimeInMinutes is required with BLUE_GREEN.",
    ),
    (
        "UpdateService",
        {"deploymentConfiguration": {"strategy": "LINEAR", "bakeTimeInMinutes": 1}},
        "advancedConfiguration is required with LINEAR.",
    ),
    ("UpdateService", {"taskDefinition": "other-name"}, "The container shop does not exist in the task definition."),
    ("UpdateService", {"taskDefinition": "no-port"}, "The container shop did not have a container port 8080 defined."),
    ("UpdateService", {"service": "deployed", "taskDefinition": "shop:2"}, "Use AWS CodeDeploy to trigger a new depl"),
    # More than a page holds, and than one request may describe.
    ("ListServiceDeployments", {"maxResults": 101}, "maxResults 101 is not valid"),
    ("ListServiceDeployments", {"nextToken": "more"}, "nextToken 'more' or maxResults 20 is not valid"),
    ("ListTasks", {"cluster": "main", "maxResults": 0}, "maxResults 0 is not valid"),
    ("DescribeTasks", {"cluster": "main", "tasks": ["a"] * 101}, "Tasks cannot contain more than 100 elements."),
    ("DescribeServiceDeployments", {"serviceDeploymentArns": ["arn"] * 21}, "more than 20 elements"),
    ("DescribeServiceRevisions", {"serviceRevisionArns": ["arn"] * 21}, "more than 20 elements"),
]
NOWHERE = {"serviceDeploymentArn": "arn:a:ecs:r:1:service-deployment/main/shop/x"}


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "problem"),
    [
        *((operation, parameters, Ecs.INVALID, problem) for operation, parameters, problem in INVALID),
        ("UpdateService", {"service": "store"}, "ServiceNotFoundException", "Service not found."),
        ("UpdateService", {"cluster": "other"}, "ClusterNotFoundException", "Cluster not found."),
        ("UpdateService", {"taskDefinition": "shop:9"}, "ClientException", "TaskDefinition not found."),
        ("DescribeTaskDefinition", {"taskDefinition": "shop:9"}, "ClientException", "Unable to describe task"),
        ("StopServiceDeployment", NOWHERE, "ServiceDeploymentNotFoundException", "Service deployment not found."),
    ],
)
def test_what_ecs_would_refuse_is_refused(
    ecs: Ecs, operation: str, parameters: dict[str, Any], code: str, problem: str
) -> None:
    made = service(ecs)
    for family, name in (("other-name", "store"), ("no-port", "shop")):
        container = {"name": name, "image": "b"}
        ecs.owner("RegisterTaskDefinition", **definition(family=family, containerDefinitions=[container]))
    by_code_deploy = {"cluster": "main", "serviceName": "deployed", "taskDefinition": "shop:1"}
    ecs.owner("CreateService", **by_code_deploy, launchType="FARGATE", deploymentController={"type": "CODE_DEPLOY"})
    of_the_service = operation in ("UpdateService", "ListServiceDeployments")

    answer = refused(ecs, operation, **{**(SHOP if of_the_service else {}), **parameters})

    assert answer.code == code
    assert problem in answer.message
    assert len(made.deployments) == 1


def test_a_service_changes_its_controller_from_codedeploy_to_ecs_and_not_back(ecs: Ecs) -> None:
    """And not while CodeDeploy is deploying."""
    service(ecs)
    named = {"cluster": "main", "service": "deployed"}
    by_code_deploy = {"cluster": "main", "serviceName": "deployed", "taskDefinition": "shop:1", "launchType": "FARGATE"}
    ecs.owner("CreateService", **by_code_deploy, deploymentController={"type": "CODE_DEPLOY"})
    deployed = ecs.service("deployed", "main")
    runs = [task.arn for task in deployed.tasks]
    replacement = ecs.task_set(deployed, deployed.definition, "d-1")
    to_ecs = {**named, "deploymentController": {"type": "ECS"}}
    assert "in progress" in refused(ecs, "UpdateService", **to_ecs).message

    deployed.task_sets.remove(replacement)
    ecs.owner("UpdateService", **to_ecs)

    assert deployed.view()["deploymentController"] == {"type": "ECS"}
    assert "taskSets" not in deployed.view()
    assert [task.arn for task in deployed.tasks] == runs
    back = {**named, "deploymentController": {"type": "CODE_DEPLOY"}}
    assert refused(ecs, "UpdateService", **back).message == "Unable to update the deployment controller."


CHECK = {"healthCheck": {"command": ["CMD", "true"]}}
AFTER = {"containerName": "first", "condition": "SUCCESS"}


def beside(container: dict[str, Any] | None = None, **of_shop: object) -> dict[str, Any]:
    """Task definition with a second container."""
    own = {"name": "shop", "image": "a", "portMappings": [{"containerPort": 8080}], **of_shop}
    return definition(containerDefinitions=[own, {"name": "first", "image": "b", **(container or {})}])


ROUTER: dict[str, Any] = {"type": "fluentbit"}


def efs(**configuration: object) -> dict[str, Any]:
    """Task definition with a file system."""
    return definition(volumes=[{"name": "files", "efsVolumeConfiguration": {"fileSystemId": "fs-1", **configuration}}])


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (definition(containerDefinitions=[{"name": f"n{i}", "image": "a"} for i in range(11)]), "10 containers"),
        (beside({"essential": False}, essential=False), "at least one essential container"),
        (beside(dependsOn=[{**AFTER, "condition": "HEALTHY"}]), "which has no health check"),
        (beside(dependsOn=[AFTER]), "with SUCCESS, which is essential"),
        (beside(dependsOn=[{**AFTER, "condition": "COMPLETE"}]), "with COMPLETE, which is essential"),
        (
            beside(
                {"dependsOn": [{"containerName": "shop", "condition": "START"}]},
                dependsOn=[{**AFTER, "condition": "START"}],
            ),
            "depend on each other",
        ),
        (beside(healthCheck={"command": ["CMD", "true"], "interval": 4}), "interval must be between 5 and 300"),
        (beside(healthCheck={"command": ["CMD", "true"], "startPeriod": 301}), "startPeriod must be between 0 and 300"),
        (beside(stopTimeout=121), "stopTimeout must be between 2 and 120"),
        (beside(ulimits=[{"name": "nproc", "softLimit": 1, "hardLimit": 1}]), "only supports the ulimit nofile"),
        (beside({"cpu": 200}, cpu=100), "total cpu of the containers"),
        (beside({"memory": 256}, memoryReservation=300), "total memory of the containers"),
        (beside({"memory": 513}), "total memory of the containers"),
        (definition(ephemeralStorage={"sizeInGiB": 20}), "between 21 and 200"),
        (beside(logConfiguration={"logDriver": "awsfirelens"}), "no other container has firelensConfiguration"),
        (beside(logConfiguration={"logDriver": "syslog"}), "does not support the log driver syslog"),
        (beside({"firelensConfiguration": ROUTER}, firelensConfiguration=ROUTER), "firelensConfiguration at most"),
        (beside({"firelensConfiguration": {**ROUTER, "options": {"config-file-type": "s3"}}}), "of its image only"),
        (beside(environmentFiles=[{"value": "arn:aws:s3:::b/k.txt", "type": "s3"}]), "extension .env"),
        (beside(environmentFiles=[{"value": "arn:aws:s3:::b/k.env", "type": "s3"}]), "'executionRoleArn'"),
        (efs(authorizationConfig={"accessPointId": "fsap-1"}), "transitEncryption must be ENABLED"),
        (efs(authorizationConfig={"iam": "ENABLED"}, transitEncryption="ENABLED"), "needs a task role"),
        (
            efs(authorizationConfig={"accessPointId": "a"}, transitEncryption="ENABLED", rootDirectory="/a"),
            "rootDirectory must be omitted",
        ),
    ],
)
def test_containers_that_do_not_fit_together_are_refused(ecs: Ecs, wanted: dict[str, Any], problem: str) -> None:
    assert problem in refused(ecs, "RegisterTaskDefinition", **wanted).message


@pytest.mark.parametrize(
    "wanted",
    [
        beside(CHECK, dependsOn=[{**AFTER, "condition": "HEALTHY"}]),
        beside({"essential": False}, dependsOn=[AFTER], stopTimeout=120),
        beside({"memory": 256, "cpu": 100}, memoryReservation=256, cpu=156),
        definition(ephemeralStorage={"sizeInGiB": 200}),
    ],
)
def test_containers_that_fit_together_are_taken(ecs: Ecs, wanted: dict[str, Any]) -> None:
    assert ecs.owner("RegisterTaskDefinition", **wanted)["taskDefinition"]["status"] == "ACTIVE"


def test_an_answer_that_is_unlike_ecs_is_a_fault_of_the_stand_in(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> None:
    service(ecs)
    monkeypatch.setattr(Service, "view", lambda _self: {"serviceName": "shop", "health": "good"})

    with pytest.raises(AssertionError, match=r'Unknown parameter in services.0.: "health"'):
        ecs.owner("DescribeServices", cluster="main", services=["shop"])


def test_an_operation_that_no_job_calls_is_refused(ecs: Ecs) -> None:
    with pytest.raises(Refused, match="StartTask is not rehearsed here; there are: ContinueServiceDeployment, "):
        ecs.call("StartTask", {"taskDefinition": "shop", "containerInstances": []})


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


def test_an_image_of_ecr_is_not_pulled_with_the_login_of_another_registry(ecs: Ecs) -> None:
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop@sha256:0f0f"
    login = {
        "repositoryCredentials": {"credentialsParameter": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x"}
    }
    made = service(ecs, "ROLLING")
    ecs.owner("RegisterTaskDefinition", **definition(image, login))
    ecs.owner("UpdateService", **SHOP, taskDefinition="shop:3")

    assert ecs.settle(made).status == "ROLLBACK_SUCCESSFUL"
    assert {task.stopped_reason.split(":")[0] for task in made.tasks if task.failed} == {"CannotPullContainerError"}


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


def test_an_alarm_that_is_not_watched_stops_nothing(ecs: Ecs) -> None:
    ecs.behaviours[NEW] = Behaviour.ALARM
    made = service(ecs)
    update(ecs)

    assert ecs.settle(made).status == "SUCCESSFUL"


def test_without_a_circuit_breaker_a_deployment_goes_on_until_somebody_stops_it(ecs: Ecs) -> None:
    ecs.behaviours[NEW] = Behaviour.CRASH
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


def test_a_failure_without_a_rollback_stops_the_deployment(ecs: Ecs) -> None:
    ecs.behaviours[NEW] = Behaviour.CRASH
    made = service(ecs, deploymentCircuitBreaker={"enable": True, "rollback": False})
    update(ecs)

    assert ecs.settle(made).status == "STOPPED"
    assert "the circuit breaker threshold was exceeded" in made.deployments[0].reason


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


@pytest.mark.parametrize(
    ("changes", "container", "problem"),
    [
        ({"memory": "4096"}, {}, "No Fargate configuration exists for given values."),
        ({"cpu": "300"}, {}, "No Fargate configuration exists for given values."),
        ({"networkMode": "bridge"}, {}, "Fargate only supports network mode 'awsvpc'."),
        ({"containerDefinitions": [{"name": "shop"}]}, {}, "Container.image should not be null"),
        ({"containerDefinitions": [{"name": "a", "image": "b"}] * 2}, {}, "Container names must be unique."),
        ({}, {"mountPoints": [{"sourceVolume": "tmp"}]}, "Unknown volume 'tmp'."),
        ({}, {"secrets": [{"name": "A", "valueFrom": "b"}]}, "you must also specify a value for 'executionRoleArn'"),
    ],
)
def test_a_task_definition_that_ecs_would_refuse_is_refused(
    ecs: Ecs, changes: dict[str, Any], container: dict[str, Any], problem: str
) -> None:
    answer = refused(ecs, "RegisterTaskDefinition", **definition(container=container, **changes))

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


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("DescribeServices", {"cluster": "main", "services": ["store"]}),
        ("DescribeTasks", {"cluster": "main", "tasks": ["1"]}),
        ("DescribeServiceDeployments", {"serviceDeploymentArns": ["arn:aws:ecs:r:1:service-deployment/main/shop/1"]}),
        ("DescribeServiceRevisions", {"serviceRevisionArns": ["arn:aws:ecs:r:1:service-revision/main/shop/1"]}),
    ],
)
def test_what_is_not_there_is_listed_as_missing(ecs: Ecs, operation: str, parameters: dict[str, Any]) -> None:
    service(ecs)

    (failure,) = ecs.owner(operation, **parameters)["failures"]
    assert failure["reason"] == "MISSING"


def test_deployments_are_listed_the_newest_last(ecs: Ecs) -> None:
    """AWS documents no order: a job that counts on the newest first must not get away with it here."""
    made = service(ecs)
    update(ecs)

    listed = ecs.owner("ListServiceDeployments", cluster="main", service="shop")["serviceDeployments"]

    assert [entry["serviceDeploymentArn"] for entry in listed] == [one.arn for one in reversed(made.deployments)]


SERVICE = "arn:aws:ecs:eu-west-1:123456789012:service/main/shop"
UPDATE = ("UpdateService", {**SHOP, "taskDefinition": "shop:2"})
LIST = ("ListTasks", {"cluster": "main"})
REGISTER = ("RegisterTaskDefinition", definition(executionRoleArn=ROLE))
PASSED = "iam:PassedToService"
Granted = tuple[str, str, dict[str, str]]
EVERY_FAMILY: Granted = ("ecs:RegisterTaskDefinition", "*", {})
ONE_FAMILY: Granted = (EVERY_FAMILY[0], "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:*", {})


def in_cluster(name: str) -> dict[str, str]:
    return {"ecs:cluster": f"arn:aws:ecs:eu-west-1:123456789012:cluster/{name}"}


@pytest.mark.parametrize(
    ("request_", "statements", "denied"),
    [
        (UPDATE, [("ecs:UpdateService", SERVICE, in_cluster("main"))], ""),
        (UPDATE, [("ecs:UpdateService", f"{SERVICE}s", {})], "ecs:UpdateService"),
        (UPDATE, [("ecs:DescribeServices", "*", {})], "ecs:UpdateService"),
        (LIST, [("ecs:ListTasks", "*", in_cluster("main"))], ""),
        (LIST, [("ecs:ListTasks", "*", in_cluster("other"))], "ecs:ListTasks"),
        (REGISTER, [EVERY_FAMILY, ("iam:PassRole", ROLE, {PASSED: "ecs-tasks.amazonaws.com"})], ""),
        (REGISTER, [ONE_FAMILY, ("iam:PassRole", ROLE, {})], "ecs:RegisterTaskDefinition"),
        (REGISTER, [EVERY_FAMILY, ("iam:PassRole", ROLE, {PASSED: "lambda.amazonaws.com"})], "iam:PassRole"),
        (REGISTER, [EVERY_FAMILY, ("iam:PassRole", f"{ROLE}2", {})], "iam:PassRole"),
    ],
)
def test_the_callers_policies_decide(
    ecs: Ecs, request_: tuple[str, dict[str, Any]], statements: list[Granted], denied: str
) -> None:
    service(ecs)
    allowed = [
        {"Effect": "Allow", "Action": action, "Resource": resource, "Condition": {"StringEquals": condition}}
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


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tags": [{"key": "AWS:cloudformation:stack-name", "value": "legacy"}]}, "uses the reserved prefix aws:"),
        (
            {
                "executionRoleArn": ROLE,
                "container": {
                    "environment": [{"name": "KEY", "value": "1"}],
                    "secrets": [{"name": "KEY", "valueFrom": "/shop/key"}],
                },
            },
            "The secret name must be unique",
        ),
        ({"container": {"dependsOn": [{"containerName": "proxy", "condition": "START"}]}}, "Unknown container 'proxy'"),
        (
            {"networkMode": "bridge", "requiresCompatibilities": ["EC2"], "memory": None},
            "At least one of 'memory' or 'memoryReservation' must be specified.",
        ),
    ],
    ids=["a tag of AWS", "a variable twice", "a container that is not there", "no memory"],
)
def test_a_registration_that_ecs_refuses_is_refused(ecs: Ecs, changes: dict[str, Any], problem: str) -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html"""
    wanted = {key: value for key, value in definition(**changes).items() if value is not None}
    assert problem in refused(ecs, "RegisterTaskDefinition", **wanted).message


def test_tags_are_described_when_they_are_asked_for(ecs: Ecs) -> None:
    tags = [{"key": "team", "value": "shop"}]
    ecs.owner("RegisterTaskDefinition", **definition(family="tagged", tags=tags))
    assert ecs.owner("DescribeTaskDefinition", taskDefinition="tagged", include=["TAGS"])["tags"] == tags
    assert "tags" not in ecs.owner("DescribeTaskDefinition", taskDefinition="tagged")


def test_a_service_on_fargate_refuses_a_definition_for_instances(ecs: Ecs) -> None:
    container = {"name": "shop", "image": "b", "memory": 128, "portMappings": [{"containerPort": 8080}]}
    for_instances = {"networkMode": "bridge", "requiresCompatibilities": ["EC2"], "containerDefinitions": [container]}
    registered = ecs.owner("RegisterTaskDefinition", family="instances", **for_instances)["taskDefinition"]
    assert registered["containerDefinitions"][0]["portMappings"] == [
        {"containerPort": 8080, "hostPort": 0, "protocol": "tcp"}
    ]
    on_spot = {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
    ecs.owner("CreateCluster", clusterName="main", capacityProviders=["FARGATE_SPOT"])
    for launch in ({"launchType": "FARGATE"}, on_spot):
        given = {"cluster": "main", "serviceName": "other", "taskDefinition": "instances", "desiredCount": 1}
        answer = refused(ecs, "CreateService", **given, **launch)
        assert answer.message == "Task definition does not support launch_type FARGATE."
    ecs.owner("CreateService", cluster="main", serviceName="on-fargate", taskDefinition="shop:1", launchType="FARGATE")
    changed = {"cluster": "main", "service": "on-fargate", "taskDefinition": "instances"}
    assert "launch_type FARGATE" in refused(ecs, "UpdateService", **changed).message
    (found,) = ecs.owner("DescribeServices", cluster="main", services=["on-fargate"])["services"]
    assert found["launchType"] == "FARGATE"


# Tasks that belong to no service

PLACED: dict[str, Any] = {
    "cluster": "main",
    "taskDefinition": "shop:2",
    "launchType": "FARGATE",
    "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
}


def overriding(*words: str, name: str = "shop") -> dict[str, Any]:
    return {"overrides": {"containerOverrides": [{"name": name, "command": list(words)}]}}


def statuses(ecs: Ecs, arn: str, most: int = 6) -> list[str]:
    """What becomes of a task, a look at a time."""
    found = (ecs.owner("DescribeTasks", cluster="main", tasks=[arn])["tasks"][0]["lastStatus"] for _ in range(most))
    return list(dict.fromkeys(found))


def test_a_task_runs_with_its_own_command_and_is_none_of_the_service_s(ecs: Ecs) -> None:
    made = service(ecs)
    ecs.behaviours["bin/rails db:migrate"] = Behaviour.COMPLETES

    answer = ecs.owner("RunTask", **PLACED, **overriding("bin/rails", "db:migrate"), startedBy="me")

    (task,) = answer["tasks"]
    assert task["startedBy"] == "me"
    assert statuses(ecs, task["taskArn"]) == ["PENDING", "RUNNING", "DEPROVISIONING", "STOPPED"]
    (ended,) = ecs.owner("DescribeTasks", cluster="main", tasks=[task["taskArn"]])["tasks"]
    assert (ended["stopCode"], ended["containers"][0]["exitCode"]) == ("EssentialContainerExited", 0)
    assert len(made.tasks) == 2
    of_the_service = ecs.owner("ListTasks", cluster="main", serviceName="shop", desiredStatus="STOPPED")["taskArns"]
    of_the_family = ecs.owner("ListTasks", cluster="main", family="shop", desiredStatus="STOPPED")["taskArns"]
    assert task["taskArn"] in of_the_family
    assert task["taskArn"] not in of_the_service


def test_a_task_that_is_stopped_by_hand_says_so(ecs: Ecs) -> None:
    (task,) = ecs.owner("RunTask", **PLACED)["tasks"]
    assert statuses(ecs, task["taskArn"]) == ["PENDING", "RUNNING"]
    for _ in range(2):
        ecs.owner("StopTask", cluster="main", task=task["taskArn"], reason="too long")
    (ended,) = ecs.owner("DescribeTasks", cluster="main", tasks=[task["taskArn"]])["tasks"]
    assert (ended["stopCode"], ended["stoppedReason"]) == ("UserInitiated", "too long")
    assert ended["containers"][0]["exitCode"] == 143


def test_the_same_request_starts_no_second_task_and_another_one_is_a_conflict(ecs: Ecs) -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html."""
    first = ecs.owner("RunTask", **PLACED, clientToken="once")["tasks"][0]["taskArn"]
    assert ecs.owner("RunTask", **PLACED, clientToken="once")["tasks"][0]["taskArn"] == first
    answer = refused(ecs, "RunTask", **{**PLACED, "taskDefinition": "shop:1"}, clientToken="once")
    assert answer.code == "ConflictException"
    assert len(ecs.standalone("main")) == 1


@pytest.mark.parametrize(
    ("changes", "code", "problem"),
    [
        ({"cluster": "other"}, "ClusterNotFoundException", "Cluster not found."),
        ({"taskDefinition": "shop:9"}, "ClientException", "TaskDefinition not found."),
        ({"networkConfiguration": {}}, Ecs.INVALID, "Network Configuration must be provided when networkMode 'awsvpc'"),
        ({"taskDefinition": "bridge:1"}, Ecs.INVALID, "Network Configuration is not valid for the given networkMode"),
        (
            {"taskDefinition": "bridge:1", "networkConfiguration": {}},
            Ecs.INVALID,
            "Task definition does not support launch_type FARGATE.",
        ),
        (overriding("a", name="web"), Ecs.INVALID, "Override for container named web is not a container"),
        (overriding("x" * 8192), Ecs.INVALID, "Container Overrides length must be at most 8192"),
        ({"startedBy": "x" * 129}, Ecs.INVALID, "startedBy may hold up to 128"),
        ({"startedBy": "me@home"}, Ecs.INVALID, "startedBy may hold up to 128"),
        ({"clientToken": "x" * 65}, Ecs.INVALID, "clientToken may hold up to 64"),
        ({"capacityProviderStrategy": [{"capacityProvider": "own"}]}, Ecs.INVALID, "both a launch type and capacity"),
        ({"count": 2}, "UnsupportedFeatureException", "count of RunTask is not rehearsed here"),
        ({"launchType": None}, "UnsupportedFeatureException", "a cluster's default strategy is not rehearsed here"),
        (
            {"overrides": {"cpu": "512"}},
            "UnsupportedFeatureException",
            "of overrides the commands of containers are rehearsed here",
        ),
    ],
)
def test_a_task_that_ecs_would_not_run_is_refused(ecs: Ecs, changes: dict[str, Any], code: str, problem: str) -> None:
    bridge = definition(family="bridge", networkMode="bridge", requiresCompatibilities=["EC2"])
    ecs.owner("RegisterTaskDefinition", **bridge)
    given = {key: value for key, value in {**PLACED, **changes}.items() if value is not None}
    answer = refused(ecs, "RunTask", **given)
    assert answer.code == code
    assert problem in answer.message
    assert ecs.standalone("main") == []


def test_a_task_that_is_not_there_or_a_service_s_is_not_stopped(ecs: Ecs) -> None:
    made = service(ecs)
    assert refused(ecs, "StopTask", cluster="main", task="none").code == Ecs.INVALID
    answer = refused(ecs, "StopTask", cluster="main", task=made.tasks[0].arn)
    assert answer.code == "UnsupportedFeatureException"


def test_tasks_are_not_found_by_who_has_started_them(ecs: Ecs) -> None:
    """ECS takes no other filter beside it, and would list the running ones alone."""
    answer = refused(ecs, "ListTasks", cluster="main", startedBy="me")
    assert answer.code == "UnsupportedFeatureException"


def test_running_a_task_needs_its_revision_its_roles_and_its_tags(ecs: Ecs) -> None:
    roles: dict[str, Any] = {"executionRoleArn": ROLE, "taskRoleArn": f"{ROLE}-task"}
    ecs.owner("RegisterTaskDefinition", **definition(**roles))
    tags = [{"key": "ecs-delivery-task", "value": "shop"}]
    needs = ecs.needs("RunTask", {**PLACED, "taskDefinition": "shop", "tags": tags})
    assert [(need.action, need.resource.rpartition(":")[2]) for need in needs] == [
        ("ecs:RunTask", "3"),
        ("iam:PassRole", "role/execution"),
        ("iam:PassRole", "role/execution-task"),
        ("ecs:TagResource", "task/main/0"),
    ]
    (task,) = ecs.owner("RunTask", **PLACED, tags=tags)["tasks"]
    (need,) = ecs.needs("StopTask", {"cluster": "main", "task": task["taskArn"]})
    assert need.context["aws:ResourceTag/ecs-delivery-task"] == "shop"


@pytest.mark.parametrize(
    ("desired", "least", "most", "fewest", "greatest"),
    [(2, 100, 200, 2, 4), (4, 50, 100, 2, 4), (1, 0, 100, 0, 1), (2, 50, 150, 1, 3)],
)
def test_a_rolling_deployment_keeps_between_the_shares_of_its_tasks(
    ecs: Ecs, desired: int, least: int, most: int, fewest: int, greatest: int
) -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html."""
    made = service(ecs, desired=desired, minimumHealthyPercent=least, maximumPercent=most)
    update(ecs)
    fit, there = [], []
    while made.deployments[0].status in ONGOING:
        look(ecs, made.deployments[0].arn)
        alive = [task for task in made.tasks if task.status != "STOPPED"]
        fit.append(sum(task.fit for task in alive))
        there.append(len(alive))
    assert made.deployments[0].status == "SUCCESSFUL"
    assert made.running == ["shop:2"]
    assert min(fit) >= fewest
    assert max(there) <= greatest
