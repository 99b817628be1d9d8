"""Deploy: three engines, one way in: the deployment goes in, the service moves."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from samples import (
    EXECUTION_ROLE,
    REGISTRY,
    TAGS,
    BuiltStage,
    arn,
    build_stage,
    register_statements,
    shop,
    start_statement,
)

from components.engines import ENGINES, Placement
from components.engines.deployment_configuration import deployment_configuration
from components.engines.deployment_group import DeploymentGroup
from components.engines.engine import minutes_to_decide
from components.engines.target import TakeOver
from components.pipeline.model import Action, Artifact, Category, Provider
from components.stages.deploy import DeployStage, DeployStageArgs
from components.stages.wanted import args_of

TAKEN_OVER = TakeOver(file=None, agreed=False)
SERVICE = arn("ecs", "service/shop-cluster/shop-service")
REVISIONS = arn("ecs", "task-definition/shop-dev:*")
REGISTER = register_statements(REVISIONS)
READ_TASK_DEFINITION = {
    "Sid": "ReadTaskDefinition",
    "Effect": "Allow",
    "Action": ["ecs:DescribeTaskDefinition"],
    "Resource": ["*"],
}
READ_SERVICE = {"Sid": "ReadService", "Effect": "Allow", "Action": ["ecs:DescribeServices"], "Resource": [SERVICE]}
UPDATE_SERVICE = {"Sid": "UpdateService", "Effect": "Allow", "Action": ["ecs:UpdateService"], "Resource": [SERVICE]}
READ_TASKS = [
    {
        "Sid": "ListTasks",
        "Effect": "Allow",
        "Action": ["ecs:ListTasks"],
        "Resource": ["*"],
        "Condition": {"ArnEquals": {"ecs:cluster": arn("ecs", "cluster/shop-cluster")}},
    },
    {
        "Sid": "ReadTasks",
        "Effect": "Allow",
        "Action": ["ecs:DescribeTasks"],
        "Resource": [arn("ecs", "task/shop-cluster/*")],
    },
]
READ_LOG = {
    "Sid": "ReadApplicationLog",
    "Effect": "Allow",
    "Action": ["logs:GetLogEvents"],
    "Resource": [arn("logs", "log-group:/ecs/shop-dev:log-stream:shop/*")],
}
CODE_DEPLOY = ("Application", "DeploymentGroup", "DeploymentConfig")
WATCH = Action(
    name="WatchDeployment",
    category=Category.BUILD,
    provider=Provider.CODEBUILD,
    configuration={"ProjectName": "shop-dev-watch-deployment"},
    environment={"PIPELINE_EXECUTION_ID": "#{codepipeline.PipelineExecutionId}"},
    reads=(Artifact.DEPLOYMENT,),
    machine="ARM Lambda/4GB",
)


def deploy(**settings: object) -> BuiltStage:
    return build_stage(DeployStage, shop(deploy=settings))


@cache
def with_code_deploy() -> BuiltStage:
    return deploy()


@cache
def with_ecs() -> BuiltStage:
    return deploy(engine="ecs")


@cache
def with_ecs_action() -> BuiltStage:
    return deploy(engine="ecsAction")


def configuration(**settings: object) -> dict[str, Any]:
    return deployment_configuration(shop(deploy={"engine": "ecs", **settings}).deploy.rollout)


CHECKED = {"http": [{"path": "/healthz"}], "headers": {"X-Token": "shop/token"}}


def with_test_traffic(strategy: str, **settings: object) -> BuiltStage:
    deploy = {"engine": "ecs", "strategy": strategy, **settings}
    hosting = {"loadBalancer": {"plainHttp": True}}
    return build_stage(DeployStage, shop(hosting=hosting, deploy=deploy), test_url="http://shop.example.com:8080")


@pytest.mark.parametrize("strategy", ["blueGreen", "canary", "linear"])
def test_a_version_that_has_to_answer_first_waits_for_the_word_of_its_job(strategy: str) -> None:
    """Whatever becomes of the job, users keep the old version until it has said so."""
    built = with_test_traffic(strategy, testTraffic=CHECKED)
    variables = built.variables("deploy-ecs")
    assert json.loads(variables["DEPLOYMENT_CONFIGURATION"])["lifecycleHooks"] == [
        {
            "targetType": "PAUSE",
            "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"],
            "timeoutConfiguration": {"timeoutInMinutes": 15, "action": "ROLLBACK"},
        }
    ]
    assert variables["TEST_URL"] == "http://shop.example.com:8080"
    assert [check["path"] for check in json.loads(variables["HTTP_CHECKS"])] == ["/healthz"]
    assert json.loads(variables["TEST_HEADERS"]) == {"X-Token": "shop/token"}
    statements = {item["Sid"]: item for item in built.statements("deploy-ecs")}
    assert statements["ContinueDeployment"]["Action"] == ["ecs:ContinueServiceDeployment"]
    assert "*" not in statements["ContinueDeployment"]["Resource"]
    assert statements["ReadTestHeaders"]["Resource"] == [arn("secretsmanager", "secret:shop/token-??????")]


@pytest.mark.parametrize("strategy", ["blueGreen", "canary", "linear", "rolling"])
def test_without_such_checks_a_deployment_waits_for_nobody(strategy: str) -> None:
    """ECS keeps a hook until it is told that there is none."""
    built = with_test_traffic(strategy)
    configuration = json.loads(built.variables("deploy-ecs")["DEPLOYMENT_CONFIGURATION"])
    assert configuration.get("lifecycleHooks") == (None if strategy == "rolling" else [])
    assert "TEST_URL" not in built.variables("deploy-ecs")
    assert not {"ContinueDeployment", "ReadTestHeaders"} & {item["Sid"] for item in built.statements("deploy-ecs")}


def test_checks_of_test_traffic_need_its_address() -> None:
    deploy = {"engine": "ecs", "strategy": "blueGreen", "testTraffic": CHECKED}
    settings = shop(hosting={"loadBalancer": {"plainHttp": True}}, deploy=deploy)
    with pytest.raises(ValueError, match="checks of test traffic need the address of the test listener"):
        build_stage(DeployStage, settings, test_url=None)


# CodeDeploy


def test_codedeploy_gets_task_definition_and_appspec_from_the_deployment() -> None:
    """Both come from here, so an edit of environment or size ships with the image (aws-cdk#14437)."""
    assert with_code_deploy().actions == (
        Action(
            name="DeployService",
            category=Category.DEPLOY,
            provider=Provider.CODEDEPLOY_TO_ECS,
            configuration={
                "ApplicationName": "shop-dev",
                "DeploymentGroupName": "shop-dev",
                "TaskDefinitionTemplateArtifact": "Deployment",
                "TaskDefinitionTemplatePath": "taskdef.json",
                "AppSpecTemplateArtifact": "Deployment",
                "AppSpecTemplatePath": "appspec.yaml",
            },
            reads=(Artifact.DEPLOYMENT,),
        ),
        WATCH,
    )


def test_the_pipeline_registers_the_revision_and_codedeploy_does_the_rest() -> None:
    assert with_code_deploy().grants == [
        {
            "Sid": "CreateDeployment",
            "Effect": "Allow",
            "Action": ["codedeploy:CreateDeployment", "codedeploy:GetDeployment"],
            "Resource": [arn("codedeploy", "deploymentgroup:shop-dev/shop-dev")],
        },
        {
            "Sid": "RegisterAppSpec",
            "Effect": "Allow",
            "Action": [
                "codedeploy:GetApplication",
                "codedeploy:GetApplicationRevision",
                "codedeploy:RegisterApplicationRevision",
            ],
            "Resource": [arn("codedeploy", "application:shop-dev"), arn("codedeploy", "application:shop-dev/*")],
        },
        {
            "Sid": "ReadDeploymentConfiguration",
            "Effect": "Allow",
            "Action": ["codedeploy:GetDeploymentConfig"],
            "Resource": [arn("codedeploy", "deploymentconfig:CodeDeployDefault.ECSAllAtOnce")],
        },
        *REGISTER,
        start_statement("watch-deployment"),
    ]


def test_the_pipeline_itself_cannot_touch_a_codedeploy_service() -> None:
    """ECS refuses UpdateService there, and a pipeline that could try would be the service's second writer."""
    assert "ecs:UpdateService" not in json.dumps(with_code_deploy().grants)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        pytest.param({}, "CodeDeployDefault.ECSAllAtOnce", id="by default"),
        pytest.param({"strategy": "allAtOnce"}, "CodeDeployDefault.ECSAllAtOnce", id="at once"),
        pytest.param({"strategy": "canary"}, "CodeDeployDefault.ECSCanary10Percent5Minutes", id="canary"),
        pytest.param(
            {"strategy": "linear", "step": {"percent": 10, "intervalMinutes": 3}},
            "CodeDeployDefault.ECSLinear10PercentEvery3Minutes",
            id="linear as AWS has it",
        ),
        pytest.param(
            {"strategy": "linear", "step": {"percent": 25, "intervalMinutes": 4}},
            "shop-dev-linear-25-4",
            id="linear of our own",
        ),
    ],
)
def test_codedeploy_shifts_traffic_as_the_stack_file_says(settings: Mapping[str, object], name: str) -> None:
    group = deploy(**settings).graph.one("DeploymentGroup")
    assert group.inputs["deploymentConfigName"] == name


def test_waiting_and_alarms_reach_codedeploy() -> None:
    built = deploy(terminationWaitMinutes=15, alarms=["shop-errors"])
    group = built.graph.one("DeploymentGroup").inputs
    termination = group["blueGreenDeploymentConfig"]["terminateBlueInstancesOnDeploymentSuccess"]
    assert termination["terminationWaitTimeInMinutes"] == 15
    assert group["alarmConfiguration"] == {"enabled": True, "alarms": ["shop-errors"]}
    assert group["tags"] == TAGS


# The job beside CodeDeploy


def test_the_watching_job_knows_its_run_its_service_and_its_time() -> None:
    assert with_code_deploy().variables("watch-deployment") == {
        "PIPELINE": "shop-dev",
        "DEPLOY_ACTION": "DeployService",
        "WATCH_ACTION": "WatchDeployment",
        "CLUSTER": "shop-cluster",
        "SERVICE": "shop-service",
        "LOG_GROUP": "/ecs/shop-dev",
        "MINUTES": "12",
    }
    actions = with_code_deploy().actions
    assert [action.name for action in actions] == ["DeployService", "WatchDeployment"]
    assert len({action.run_order for action in actions}) == 1, "they run side by side"


def test_the_watching_job_gives_the_word_where_checks_decide() -> None:
    settings = shop(hosting={"loadBalancer": {"plainHttp": True}}, deploy={"testTraffic": CHECKED})
    built = build_stage(DeployStage, settings, test_url="http://shop.example.com:8080")
    variables = built.variables("watch-deployment")
    assert (variables["MINUTES"], variables["TEST_URL"]) == ("12", "http://shop.example.com:8080")
    assert [check["path"] for check in json.loads(variables["HTTP_CHECKS"])] == ["/healthz"]
    assert json.loads(variables["TEST_HEADERS"]) == {"X-Token": "shop/token"}
    statements = {item["Sid"]: item for item in built.statements("watch-deployment")}
    assert statements["ContinueDeployment"]["Action"] == ["codedeploy:ContinueDeployment"]
    assert statements["ReadTestHeaders"]["Resource"] == [arn("secretsmanager", "secret:shop/token-??????")]


def test_checks_that_take_longer_than_lambda_compute_allows_are_made_on_an_ec2_machine() -> None:
    slow = {"http": [{"path": f"/{number}", "withinMilliseconds": 10_000} for number in range(30)]}
    one = {"name": "shop", "desiredCount": 1}  # has to fail three times, one after the other
    settings = shop(application=one, hosting={"loadBalancer": {"plainHttp": True}}, deploy={"testTraffic": slow})
    built = build_stage(DeployStage, settings, test_url="http://shop.example.com:8080")
    assert built.variables("watch-deployment")["MINUTES"] == "60"
    assert not built.machine("watch-deployment")[0].endswith("LAMBDA_CONTAINER")


def test_the_watching_job_may_look_at_its_run_and_service_and_stop_a_deployment() -> None:
    assert with_code_deploy().statements("watch-deployment") == [
        {
            "Sid": "FollowRun",
            "Effect": "Allow",
            "Action": ["codepipeline:ListActionExecutions"],
            "Resource": [arn("codepipeline", "shop-dev")],
        },
        READ_SERVICE,
        *READ_TASKS,
        READ_LOG,
        {
            "Sid": "StopDeployment",
            "Effect": "Allow",
            "Action": ["codedeploy:StopDeployment"],
            "Resource": ["*"],
        },
        {
            "Sid": "ReadDeployment",
            "Effect": "Allow",
            "Action": ["codedeploy:GetDeployment"],
            "Resource": [arn("codedeploy", "deploymentgroup:shop-dev/shop-dev")],
        },
    ]


@pytest.mark.parametrize(
    ("tasks", "grace", "minutes"),
    [
        pytest.param(2, 60, 6, id="the defaults: two rounds of two tasks"),
        pytest.param(1, 60, 9, id="one task has to fail three times"),
        pytest.param(3, 60, 3, id="three tasks fail in one round"),
        pytest.param(500, 60, 3, id="half of many fail in one round, too"),
        pytest.param(2, 300, 14, id="a slow start"),
    ],
)
def test_tasks_that_fail_are_waited_for_as_long_as_the_circuit_breaker_would(
    tasks: int, grace: int, minutes: int
) -> None:
    assert minutes_to_decide(tasks, grace) == minutes


@pytest.mark.parametrize(
    ("grace", "machine", "minutes", "timeout"),
    [
        pytest.param(60, "ARM_LAMBDA_CONTAINER", "12", None, id="quick and cheap"),
        pytest.param(240, "ARM_LAMBDA_CONTAINER", "12", None, id="just quick enough"),
        pytest.param(300, "ARM_CONTAINER", "60", 63, id="longer than Lambda allows"),
        pytest.param(None, "ARM_CONTAINER", "60", 63, id="unknown, of a service that exists"),
    ],
)
def test_the_watching_job_runs_where_it_can_wait_long_enough(
    grace: int | None, machine: str, minutes: str, timeout: int | None
) -> None:
    """A Lambda machine is billed by the second and waits for no other build, and ends after 15 minutes."""
    built = build_stage(DeployStage, shop(), grace_period_seconds=grace)
    assert built.machine("watch-deployment")[0] == machine
    assert built.variables("watch-deployment")["MINUTES"] == minutes
    assert built.project("watch-deployment").inputs.get("buildTimeout") == timeout


@pytest.mark.parametrize("engine", ["ecs", "ecsAction"])
def test_only_codedeploy_is_watched(engine: str) -> None:
    assert "watch-deployment" not in deploy(engine=engine).jobs


def test_a_deployment_group_that_is_there_is_used_and_nothing_of_codedeploy_is_made() -> None:
    """AWS allows a service one deployment group (ECSServiceMappingLimitExceededException)."""
    built = build_stage(
        DeployStage,
        shop(),
        take_over=TAKEN_OVER,
        target_groups=(),
        production_listener_arn=None,
        deployment_group=DeploymentGroup(application="legacy", name="legacy-blue-green"),
    )
    assert [item.type for item in built.graph if "codedeploy" in item.type] == []
    given = built.actions[0].configuration
    assert (given["ApplicationName"], given["DeploymentGroupName"]) == ("legacy", "legacy-blue-green")
    group = arn("codedeploy", "deploymentgroup:legacy/legacy-blue-green")
    allowed = {item["Sid"]: item["Resource"] for item in built.grants}
    assert allowed["CreateDeployment"] == [group]
    assert allowed["RegisterAppSpec"] == [
        arn("codedeploy", "application:legacy"),
        arn("codedeploy", "application:legacy/*"),
    ]
    # Which configuration the group has is known to AWS only.
    assert allowed["ReadDeploymentConfiguration"] == [arn("codedeploy", "deploymentconfig:*")]
    watching = {item["Sid"]: item["Resource"] for item in built.statements("watch-deployment")}
    assert watching["ReadDeployment"] == [group]


# ECS itself


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, {}, id="nothing stated: the service keeps its own"),
        pytest.param(
            {"alarms": ["shop-errors"]},
            {"alarms": {"alarmNames": ["shop-errors"], "enable": True, "rollback": True}},
            id="alarms alone",
        ),
        pytest.param(
            {"alarms": []},
            {"alarms": {"alarmNames": [], "enable": False, "rollback": False}},
            id="no alarms, which takes away those that are there",
        ),
        pytest.param({"strategy": "rolling"}, {"strategy": "ROLLING"}, id="the strategy alone"),
        pytest.param(
            {"strategy": "blueGreen", "bakeMinutes": 10},
            {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 10},
            id="blue/green with the bake time that AWS wants with it",
        ),
        pytest.param({"timeoutMinutes": 90}, {}, id="a timeout is the job's"),
    ],
)
def test_a_service_that_exists_keeps_of_its_configuration_what_is_not_stated(
    settings: Mapping[str, object], expected: Mapping[str, object]
) -> None:
    built = build_stage(DeployStage, shop(deploy={"engine": "ecs", **settings}), take_over=TAKEN_OVER)
    assert json.loads(built.variables("deploy-ecs")["DEPLOYMENT_CONFIGURATION"]) == expected


def test_ecs_is_driven_by_a_job_of_ours() -> None:
    """CodePipeline's own action ends after an hour, and waits it out when the circuit breaker has long given up
    (containers-roadmap#1399)."""
    assert with_ecs().actions == (
        Action(
            name="DeployService",
            category=Category.BUILD,
            provider=Provider.CODEBUILD,
            machine="ARM Lambda/4GB",
            configuration={"ProjectName": "shop-dev-deploy-ecs"},
            environment={"IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}"},
            reads=(Artifact.DEPLOYMENT,),
            namespace="DeployService",
            exports=("SERVICE_DEPLOYMENT_ARN",),
        ),
    )
    assert with_ecs().grants == [start_statement("deploy-ecs")]


def test_the_job_knows_service_configuration_and_time() -> None:
    """The configuration is written in one order only: another would show as a change that is none."""
    variables = with_ecs().variables("deploy-ecs")
    said = {"alarms": {"alarmNames": [], "enable": False, "rollback": False}, **configuration()}
    assert variables.pop("DEPLOYMENT_CONFIGURATION") == json.dumps(said, sort_keys=True)
    assert variables == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "CLUSTER": "shop-cluster",
        "SERVICE": "shop-service",
        "CAPACITY_PROVIDER_STRATEGY": "",
        "SERVICE_CONNECT": "",
        "USERS_TARGET_GROUP": "",
        "LOG_GROUP": "/ecs/shop-dev",
        "TIMEOUT_MINUTES": "12",
    }


def test_the_job_moves_a_service_made_here_to_its_capacity_provider() -> None:
    placement = Placement(subnets=[], security_group="sg-1", public_ip=True, capacity_provider="FARGATE_SPOT")
    built = build_stage(DeployStage, shop(deploy={"engine": "ecs"}), placement=placement)
    assert json.loads(built.variables("deploy-ecs")["CAPACITY_PROVIDER_STRATEGY"]) == [
        {"capacityProvider": "FARGATE_SPOT", "weight": 1}
    ]


def test_the_job_says_service_connect_of_a_service_made_here() -> None:
    """In one order only, as the configuration."""
    connect = {"namespace": "shop", "enabled": True}
    built = build_stage(DeployStage, shop(deploy={"engine": "ecs"}), service_connect=connect)
    assert built.variables("deploy-ecs")["SERVICE_CONNECT"] == '{"enabled": true, "namespace": "shop"}'


def test_the_job_has_time_left_to_roll_back() -> None:
    """Ended by CodeBuild at its own timeout, it would leave the service halfway."""
    built = deploy(engine="ecs", timeoutMinutes=90)
    assert built.variables("deploy-ecs")["TIMEOUT_MINUTES"] == "90"
    assert built.project("deploy-ecs").inputs["buildTimeout"] == 93


STEPS = {"percent": 10, "intervalMinutes": 5}


@pytest.mark.parametrize(
    ("deploy", "target", "machine", "minutes"),
    [
        pytest.param({}, {}, "ARM_LAMBDA_CONTAINER", "12", id="rolling: 3 to start, 2 to stop; 6 until it has failed"),
        pytest.param({"strategy": "blueGreen"}, {}, "ARM_LAMBDA_CONTAINER", "12", id="blue/green: 5 more to bake"),
        pytest.param({"strategy": "blueGreen", "bakeMinutes": 7}, {}, "ARM_LAMBDA_CONTAINER", "12", id="just fits"),
        pytest.param({"strategy": "blueGreen", "bakeMinutes": 8}, {}, "ARM_CONTAINER", "60", id="a longer bake time"),
        pytest.param({"strategy": "canary", "step": STEPS}, {}, "ARM_CONTAINER", "60", id="canary: a step and a bake"),
        pytest.param(
            {"strategy": "linear", "step": {"percent": 50, "intervalMinutes": 1}, "bakeMinutes": 1},
            {},
            "ARM_LAMBDA_CONTAINER",
            "12",
            id="linear in two short steps",
        ),
        pytest.param({}, {"grace_period_seconds": 600}, "ARM_CONTAINER", "60", id="a slow start"),
        pytest.param({}, {"grace_period_seconds": None}, "ARM_CONTAINER", "60", id="unknown, of a service that exists"),
        pytest.param({}, {"deregistration_seconds": 600}, "ARM_CONTAINER", "60", id="long requests"),
        pytest.param({}, {"healthy_percents": (75, 100)}, "ARM_CONTAINER", "60", id="many goes"),
        pytest.param({"timeoutMinutes": 12}, {}, "ARM_LAMBDA_CONTAINER", "12", id="stated, and fits"),
        pytest.param({"timeoutMinutes": 13}, {}, "ARM_CONTAINER", "13", id="stated, and does not"),
        pytest.param({}, {"region": "eu-west-3"}, "ARM_CONTAINER", "60", id="no Lambda machines there"),
    ],
)
def test_the_job_runs_where_it_can_follow_the_deployment_to_its_end(
    deploy: Mapping[str, object], target: Mapping[str, Any], machine: str, minutes: str
) -> None:
    """Ended by CodeBuild, it would say nothing and roll nothing back: what decides is known when the file is read."""
    settings = shop(application={"name": "shop", "desiredCount": 4}, deploy={"engine": "ecs", **deploy})
    built = build_stage(DeployStage, settings, **target)
    assert (built.machine("deploy-ecs")[0], built.variables("deploy-ecs")["TIMEOUT_MINUTES"]) == (machine, minutes)


def test_the_job_may_move_this_service_and_follow_it() -> None:
    assert with_ecs().statements("deploy-ecs") == [
        *REGISTER,
        READ_SERVICE,
        READ_TASK_DEFINITION,
        UPDATE_SERVICE,
        {
            "Sid": "ListDeployments",
            "Effect": "Allow",
            "Action": ["ecs:ListServiceDeployments"],
            "Resource": [SERVICE],
        },
        {
            "Sid": "FollowDeployment",
            "Effect": "Allow",
            "Action": ["ecs:DescribeServiceDeployments", "ecs:StopServiceDeployment"],
            "Resource": [SERVICE, arn("ecs", "service-deployment/shop-cluster/shop-service/*")],
        },
        {
            "Sid": "ReadServiceRevisions",
            "Effect": "Allow",
            "Action": ["ecs:DescribeServiceRevisions"],
            "Resource": [SERVICE, arn("ecs", "service-revision/shop-cluster/shop-service/*")],
        },
        *READ_TASKS,
        READ_LOG,
    ]


SAFE = {
    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
    "minimumHealthyPercent": 100,
    "maximumPercent": 200,
}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, {"strategy": "ROLLING"}, id="rolling by default"),
        pytest.param({"strategy": "blueGreen"}, {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5}, id="blue/green"),
        pytest.param(
            {"strategy": "blueGreen", "bakeMinutes": 10},
            {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 10},
            id="blue/green with time to look",
        ),
        pytest.param(
            {"strategy": "canary", "step": {"percent": 20, "intervalMinutes": 7}},
            {
                "strategy": "CANARY",
                "bakeTimeInMinutes": 5,
                "canaryConfiguration": {"canaryPercent": 20, "canaryBakeTimeInMinutes": 7},
            },
            id="canary",
        ),
        pytest.param(
            {"strategy": "linear", "step": {"percent": 25, "intervalMinutes": 3}, "bakeMinutes": 5},
            {
                "strategy": "LINEAR",
                "bakeTimeInMinutes": 5,
                "linearConfiguration": {"stepPercent": 25, "stepBakeTimeInMinutes": 3},
            },
            id="linear",
        ),
        pytest.param(
            {"alarms": ["shop-errors"]},
            {"strategy": "ROLLING", "alarms": {"alarmNames": ["shop-errors"], "enable": True, "rollback": True}},
            id="with an alarm",
        ),
    ],
)
def test_every_strategy_becomes_the_configuration_ecs_documents(
    settings: Mapping[str, object], expected: Mapping[str, object]
) -> None:
    """Old tasks stay until as many new ones are healthy, and what fails is rolled back, whichever the strategy.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html
    """
    assert configuration(**settings) == {**SAFE, **expected}


# CodePipeline's own ECS action


def test_the_plain_ecs_action_gets_image_definitions() -> None:
    assert with_ecs_action().actions == (
        Action(
            name="DeployService",
            category=Category.DEPLOY,
            provider=Provider.ECS,
            configuration={
                "ClusterName": "shop-cluster",
                "ServiceName": "shop-service",
                "FileName": "imagedefinitions.json",
                "DeploymentTimeout": "30",
            },
            reads=(Artifact.DEPLOYMENT,),
        ),
    )
    assert with_ecs_action().jobs == []


def test_the_plain_ecs_action_tags_the_family_that_a_service_taken_over_runs() -> None:
    """It registers the next revision of what runs, with its tags: in a family that this program does not know."""
    built = build_stage(DeployStage, shop(deploy={"engine": "ecsAction"}), take_over=TAKEN_OVER)
    tagging = next(granted for granted in built.grants if granted["Sid"] == "TagTaskDefinition")
    assert tagging["Resource"] == [arn("ecs", "task-definition/*:*")]
    assert tagging["Condition"] == {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}}


def test_the_plain_ecs_action_waits_as_long_as_the_stack_file_says() -> None:
    built = deploy(engine="ecsAction", timeoutMinutes=60)
    assert built.actions[0].configuration["DeploymentTimeout"] == "60"


def test_the_plain_ecs_action_needs_what_aws_lists_narrowed_to_this_service() -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECS.html."""
    assert with_ecs_action().grants == [
        READ_SERVICE,
        UPDATE_SERVICE,
        READ_TASK_DEFINITION,
        *READ_TASKS,
        *REGISTER,
    ]


# Static files around it


FILES = {"enabled": True, "bucket": "shop-static", "upload": {"path": "public"}}


@pytest.mark.parametrize("engine", ["codeDeploy", "ecs", "ecsAction"])
def test_static_files_are_published_before_the_service_moves_and_pruned_after(engine: str) -> None:
    """Whichever version is running finds its files; a deployment that fails leaves those of both."""
    built = deploy(engine=engine, staticFiles=FILES)
    assert [(action.run_order, action.name) for action in built.actions] == [
        (1, "PublishStaticFiles"),
        (2, "DeployService"),
        *([(2, "WatchDeployment")] if engine == "codeDeploy" else []),
        (3, "PruneStaticFiles"),
    ]


def test_files_out_of_the_image_are_extracted_before_they_are_published() -> None:
    files = {**FILES, "upload": {"from": "image", "path": "/srv/public"}}
    assert [(action.run_order, action.name) for action in deploy(staticFiles=files).actions] == [
        (1, "ExtractStaticFiles"),
        (2, "PublishStaticFiles"),
        (3, "DeployService"),
        (3, "WatchDeployment"),
        (4, "PruneStaticFiles"),
    ]


def test_static_files_change_nothing_else_of_the_deployment() -> None:
    built = deploy(staticFiles=FILES)
    assert built.actions[1] == dataclasses.replace(with_code_deploy().actions[0], run_order=2)
    assert built.actions[2] == dataclasses.replace(WATCH, run_order=2)
    assert built.grants == [start_statement("upload-static-files"), *with_code_deploy().grants]
    part = built.graph.one("ecs-delivery:index:StaticFiles")
    assert (part.name, part.parent) == ("shop-deploy-static-files", built.graph.one("ecs-delivery:stage:Deploy").urn)


def test_without_static_files_nothing_of_them_is_there() -> None:
    assert with_code_deploy().graph.of("ecs-delivery:index:StaticFiles") == []
    assert with_code_deploy().jobs == ["watch-deployment"]


# The stage


@pytest.mark.parametrize("engine", ["ecs", "ecsAction"])
def test_without_codedeploy_nothing_of_it_is_made(engine: str) -> None:
    """The deployment group would hold on to the service."""
    graph = deploy(engine=engine).graph
    for type_ in CODE_DEPLOY:
        assert graph.of(type_) == []


def test_a_service_without_task_role_passes_only_its_execution_role() -> None:
    built = build_stage(DeployStage, shop(deploy={"engine": "ecsAction"}), task_role_arn=None)
    (passing,) = [item for item in built.grants if item["Sid"] == "PassTaskRoles"]
    assert passing["Resource"] == [EXECUTION_ROLE]


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_every_pipeline_deploys_by_the_engine_it_names(engine: str) -> None:
    settings = shop(deploy={"engine": engine})
    assert args_of(DeployStage, settings) == DeployStageArgs(
        engine=ENGINES[engine],
        rollout=settings.deploy.rollout,
        approval=None,
        before=None,
        after=None,
        static_files=None,
    )
    built = build_stage(DeployStage, settings)
    assert (built.name, built.registered) == ("Deploy", {"engine": engine})
