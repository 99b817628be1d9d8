"""Service: what runs first, who writes what afterwards, and how it scales and deploys."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
from made_hosting import IMAGES, Made, first_definition, made

from components.engines.deployment_configuration import deployment_configuration
from components.hosting.bootstrap import BOOTSTRAP_IMAGE, SERVER
from components.hosting.task_definition import TaskSurroundings, task_definition
from components.settings import DeploySection

NATIVE: dict[str, dict[str, Any]] = {
    "blueGreen": {"engine": "ecs", "strategy": "blueGreen", "bakeMinutes": 5},
    "canary": {"engine": "ecs", "strategy": "canary", "step": {"percent": 20, "intervalMinutes": 3}},
    "linear": {"engine": "ecs", "strategy": "linear", "bakeMinutes": 8},
}


WRITABLE = {"name": "shop", "readOnlyRootFilesystem": False}
EVERY = ("taskDefinition", "capacityProviderStrategies", "desiredCount")
NAMED = ("loadBalancers[*].containerName", "loadBalancers[*].containerPort")


@pytest.mark.parametrize("deploy", [{}, {"engine": "ecs"}, {"engine": "ecsAction"}, *NATIVE.values()])
def test_no_update_of_the_service_is_a_deployment_beside_the_pipelines(deploy: dict[str, Any]) -> None:
    """AWS's provider would send ``forceNewDeployment`` with every one of them."""
    assert "forceNewDeployment" not in made(deploy=deploy).service


@pytest.mark.parametrize("value", ["disabled", "enhanced"])
def test_what_the_cluster_shows_can_be_chosen(value: str) -> None:
    (setting,) = made(hosting={"containerInsights": value}).one("aws:ecs/cluster:Cluster").inputs["settings"]
    assert setting == {"name": "containerInsights", "value": value}


def test_a_cluster_shows_its_metrics_and_takes_both_kinds_of_fargate() -> None:
    found = made()
    assert found.one("aws:ecs/cluster:Cluster").inputs["settings"] == [
        {"name": "containerInsights", "value": "enabled"}
    ]
    assert found.one("ClusterCapacityProviders").inputs["capacityProviders"] == ["FARGATE", "FARGATE_SPOT"]


@pytest.mark.parametrize(
    ("deploy", "ignored"),
    [
        ({}, (*EVERY, "loadBalancers", "networkConfiguration", "launchType", "enableExecuteCommand")),
        ({"engine": "ecs"}, (*EVERY, "alarms", *NAMED, "serviceConnectConfiguration")),
        ({"engine": "ecsAction"}, (*EVERY, "alarms", *NAMED)),
        *(
            (
                deploy,
                (
                    *EVERY,
                    "alarms",
                    *NAMED,
                    "serviceConnectConfiguration",
                    "loadBalancers[0].targetGroupArn",
                    "loadBalancers[0].advancedConfiguration.alternateTargetGroupArn",
                ),
            )
            for deploy in NATIVE.values()
        ),
    ],
    ids=["codeDeploy", "ecs rolling", "ecsAction", *NATIVE],
)
def test_what_a_deployment_or_the_scaling_writes_is_ignored_and_nothing_else(
    deploy: dict[str, Any], ignored: tuple[str, ...]
) -> None:
    """Task definition and capacity provider are the pipeline's, and the count is the scaling's.

    With CodeDeploy load balancers, network and launch type belong to the task set of the last deployment, and an
    update of the service is refused (pulumi-aws#1096, #3821), as one of ECS Exec may be. ECS's own deployments swap
    the two target groups.
    """
    assert set(made(deploy=deploy).one("aws:ecs/service:Service").ignore_changes) == set(ignored)


def test_pulumi_does_not_wait_for_a_state_that_only_the_pipeline_brings() -> None:
    assert made().service["waitForSteadyState"] is False


@pytest.mark.parametrize(
    ("deploy", "controller"), [({}, "CODE_DEPLOY"), ({"engine": "ecs"}, "ECS"), ({"engine": "ecsAction"}, "ECS")]
)
def test_the_deployment_controller_is_the_engines(deploy: dict[str, Any], controller: str) -> None:
    assert made(deploy=deploy).service["deploymentController"] == {"type": controller}


def test_code_deploys_service_is_made_with_the_launch_type() -> None:
    """The first deployment brings the capacity provider."""
    service = made({"service": {"capacityProvider": "fargateSpot"}}).service
    assert service["launchType"] == "FARGATE"
    assert not {"capacityProviderStrategies", "deploymentConfiguration", "deploymentCircuitBreaker", "alarms"} & set(
        service
    )


@pytest.mark.parametrize(("wanted", "provider"), [("fargate", "FARGATE"), ("fargateSpot", "FARGATE_SPOT")])
def test_the_capacity_provider_is_the_users_choice(wanted: str, provider: str) -> None:
    found = made({"service": {"capacityProvider": wanted}}, deploy={"engine": "ecs"})
    strategy = [{"capacityProvider": provider, "weight": 1}]
    assert found.service["capacityProviderStrategies"] == strategy
    assert "launchType" not in found.service
    assert found.hosting.placement is not None
    assert found.hosting.placement.strategy == strategy


@pytest.mark.parametrize(
    ("network", "public"), [({}, True), ({"natGateways": "single"}, False), ({"taskSubnets": "private"}, False)]
)
def test_every_deployment_is_told_where_the_tasks_run(network: dict[str, Any], *, public: bool) -> None:
    """As the service is made; CodeDeploy takes all of the network or none of it."""
    found = made({"network": network, "service": {"capacityProvider": "fargateSpot"}})
    said = found.service["networkConfiguration"]
    assert json.loads(found.graph.exports["appSpec"]) == {
        "NetworkConfiguration": {
            "AwsvpcConfiguration": {
                "Subnets": said["subnets"],
                "SecurityGroups": said["securityGroups"],
                "AssignPublicIp": "ENABLED" if public else "DISABLED",
            }
        },
        "CapacityProviderStrategy": [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}],
    }
    assert said["assignPublicIp"] is public


@pytest.mark.parametrize("strategy", NATIVE)
def test_ecs_gets_both_target_groups_both_rules_and_a_role_to_move_traffic(strategy: str) -> None:
    found = made(deploy=NATIVE[strategy])
    groups = {item.inputs["name"]: item.outputs["arn"] for item in found.graph.of("TargetGroup")}
    rules = {item.name: item.outputs["arn"] for item in found.graph.of("ListenerRule")}
    role = found.one("aws:iam/role:Role", "service-shift-role")
    assert found.service["loadBalancers"] == [
        {
            "containerName": "shop",
            "containerPort": 8080,
            "targetGroupArn": groups["shop-dev-blue"],
            "advancedConfiguration": {
                "alternateTargetGroupArn": groups["shop-dev-green"],
                "productionListenerRule": rules["hosting-load-balancer-production-rule"],
                "testListenerRule": rules["hosting-load-balancer-test-rule"],
                "roleArn": role.outputs["arn"],
            },
        }
    ]
    statements = found.statements("service-shift-policy")
    assert set(statements["RegisterTasks"]["Resource"]) == set(groups.values())
    assert set(statements["ShiftTrafficOfRules"]["Resource"]) == set(rules.values())
    policy = found.one("RolePolicy", "service-shift-policy").urn
    assert policy in found.one("aws:ecs/service:Service").dependencies


@pytest.mark.parametrize("deploy", [{"engine": "ecs"}, *NATIVE.values()], ids=["rolling", *NATIVE])
def test_the_service_is_made_to_deploy_as_every_run_will_ask_for(deploy: dict[str, Any]) -> None:
    """Two descriptions that differ would undo each other, run after `pulumi up` after run."""
    found = made(deploy=deploy)
    asked: dict[str, Any] = deployment_configuration(DeploySection.model_validate(deploy).rollout)
    assert "alarms" not in found.service, "the runs' alone: AWS's provider could not take them away again"
    service = found.service
    said: dict[str, Any] = {
        "deploymentCircuitBreaker": service["deploymentCircuitBreaker"],
        "minimumHealthyPercent": service["deploymentMinimumHealthyPercent"],
        "maximumPercent": service["deploymentMaximumPercent"],
        **service["deploymentConfiguration"],
    }
    assert _numbers_as_text(said) == _numbers_as_text(asked)


def _numbers_as_text(value: Any) -> Any:  # noqa: ANN401 - any piece of JSON
    if isinstance(value, dict):
        return {key: _numbers_as_text(item) for key, item in value.items()}
    return str(int(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


def test_the_ecs_action_has_the_circuit_breaker_and_knows_no_alarms() -> None:
    found = made(deploy={"engine": "ecsAction"})
    assert found.service["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert "alarms" not in found.service
    assert len(found.graph.of("MetricAlarm")) == 3


def test_a_shell_is_opened_only_where_it_is_asked_for() -> None:
    off, on = made(), made({"service": {"exec": True}}, application=WRITABLE)
    assert off.service["enableExecuteCommand"] is False
    assert [item.name for item in off.graph.of("RolePolicy")] == ["hosting-roles-execution-policy"]
    assert on.service["enableExecuteCommand"] is True
    assert {sid: item["Resource"] for sid, item in on.statements("roles-task-policy").items()} == {
        "OpenShell": ["*"],
        "FindSessionLog": ["*"],
        "WriteSessionLog": ["arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/shop-dev:*"],
    }


def test_tasks_may_read_their_secrets_pull_their_image_and_write_their_log() -> None:
    secrets = {
        "A": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/a-AbCdEf:url::",
        "B": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/a-AbCdEf:user::",
        "C": "arn:aws:ssm:eu-west-1:123456789012:parameter/shop/c",
    }
    found = made(application={"name": "shop", "secrets": secrets})
    scopes = {sid: item["Resource"] for sid, item in found.statements("roles-execution-policy").items()}
    assert scopes == {
        "LogInToRegistry": ["*"],
        "PullImage": ["arn:aws:ecr:eu-west-1:123456789012:repository/shop-dev"],
        "WriteLog": ["arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/shop-dev:*"],
        "ReadSecrets": ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/a-AbCdEf"],
        "ReadParameters": ["arn:aws:ssm:eu-west-1:123456789012:parameter/shop/c"],
    }
    for role in ("roles-execution", "roles-task"):
        trust = json.loads(found.one("aws:iam/role:Role", role).inputs["assumeRolePolicy"])["Statement"][0]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "123456789012"},
            "ArnEquals": {"aws:SourceArn": "arn:aws:ecs:eu-west-1:123456789012:*"},
        }


def test_a_task_role_of_ones_own_is_taken_as_it_is() -> None:
    found = made({"service": {"taskRole": "shop-task", "exec": True}}, application=WRITABLE)
    assert found.graph.exports["roles"][1] == "arn:aws:iam::123456789012:role/shop-task"
    (own,) = (item for item in found.graph.of("aws:iam/role:Role") if item.name == "hosting-roles-task")
    assert own.urn in found.graph.resources, "the tasks that run have it until the next deployment"
    assert [item.name for item in found.graph.of("RolePolicy") if "task-policy" in item.name] == []


# --- what runs first ------------------------------------------------------------------------------------------------


def test_the_first_tasks_answer_the_health_check_without_the_applications_secrets() -> None:
    secrets = {"DATABASE_URL": "arn:aws:ssm:eu-west-1:123456789012:parameter/shop"}
    found = made(
        application={
            "name": "shop",
            "containerName": "web",
            "port": 3000,
            "secrets": secrets,
            "cpu": 1024,
            "memory": 2048,
        }
    )
    definition = found.one("aws:ecs/taskDefinition:TaskDefinition").inputs
    container = first_definition(found)
    assert (definition["family"], definition["cpu"], definition["memory"]) == ("shop-dev-bootstrap", "256", "512")
    assert "taskRoleArn" not in definition
    assert (container["name"], container["image"], container["command"][-1]) == ("web", BOOTSTRAP_IMAGE, "3000")
    assert (container["secrets"], container["environment"]) == ([], [])
    assert container["portMappings"][0]["containerPort"] == 3000


@pytest.mark.parametrize(("matcher", "status"), [(None, 200), ("200-399", 200), ("200-301", 200), ("401,403", 401)])
def test_the_first_tasks_answer_what_the_health_check_takes(matcher: str | None, status: int) -> None:
    check = {} if matcher is None else {"healthCheck": {"matcher": matcher}}
    container = first_definition(made({"loadBalancer": {"plainHttp": True, **check}}))
    assert f"self.send_response({status})" in container["command"][2]


def test_with_exec_the_first_tasks_have_a_role_since_ecs_refuses_the_service_without() -> None:
    found = made({"service": {"exec": True}}, application=WRITABLE)
    assert ":role/" in found.one("aws:ecs/taskDefinition:TaskDefinition").inputs["taskRoleArn"]


@pytest.mark.parametrize(("port", "user"), [(8080, "65534:65534"), (80, None)])
def test_the_first_tasks_write_nothing_and_are_nobody_where_the_port_allows_it(port: int, user: str | None) -> None:
    container = first_definition(made(application={"name": "shop", "port": port}))
    assert container["readonlyRootFilesystem"] is True
    assert container.get("user") == user


@pytest.mark.parametrize(("architecture", "processor"), [("arm64", "ARM64"), ("x86_64", "X86_64")])
def test_the_first_tasks_run_on_the_applications_processor(architecture: str, processor: str) -> None:
    definition = made(application={"name": "shop", "architecture": architecture}).one(
        "aws:ecs/taskDefinition:TaskDefinition"
    )
    assert definition.inputs["runtimePlatform"]["cpuArchitecture"] == processor


def test_no_edit_writes_another_revision_of_what_runs_first() -> None:
    definition = made().one("aws:ecs/taskDefinition:TaskDefinition")
    assert {"containerDefinitions", "cpu", "memory", "runtimePlatform"} <= set(definition.ignore_changes)


@pytest.mark.parametrize("path", ["/", "/healthz", "/a/b?deep=1"])
def test_the_bootstrap_program_answers_any_path_on_its_port(path: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = SERVER.replace('("", int', '("127.0.0.1", int')
    assert server != SERVER
    with subprocess.Popen([sys.executable, "-c", server, str(port)]) as running:
        try:
            assert _status(port, path) == 200
        finally:
            running.terminate()
            assert running.wait(timeout=10) == 0, "it leaves when it is asked to"


def _status(port: int, path: str) -> int:
    for _ in range(100):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except ConnectionRefusedError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise TimeoutError("the bootstrap program does not listen")


@pytest.mark.parametrize("deploy", [{}, {"engine": "ecs"}, {"engine": "ecsAction"}])
def test_requests_reach_the_container_that_the_stack_file_names(deploy: dict[str, Any]) -> None:
    """What runs before the first deployment listens there, too, or the service would have no healthy task."""
    nginx = {"image": "public.ecr.aws/nginx/nginx:1.27", "port": 80}
    application = {"name": "shop", "containers": {"nginx": nginx}, "ephemeralStorageGiB": 50}
    found = made({"loadBalancer": {"plainHttp": True, "container": "nginx"}}, deploy=deploy, application=application)
    (balancer,) = found.service["loadBalancers"]
    assert (balancer["containerName"], balancer["containerPort"]) == ("nginx", 80)
    definition = found.one("aws:ecs/taskDefinition:TaskDefinition").inputs
    ports = {
        part["name"]: [mapping["containerPort"] for mapping in part["portMappings"]]
        for part in json.loads(definition["containerDefinitions"])
    }
    whole = deploy.get("engine") == "ecsAction"
    assert ports == ({"shop": [8080], "nginx": [80]} if whole else {"nginx": [80]})
    assert definition.get("ephemeralStorage") == ({"sizeInGib": 50} if whole else None)
    assert found.hosting.reached == ("nginx", 80)


def test_the_ecs_action_leaves_the_images_of_other_registries() -> None:
    """Those of the pipeline's own are in no repository yet, either."""
    containers = {
        "nginx": {"image": "nginx:1.27"},
        "migrate": {"image": "build", "essential": False},
        "cache": {"image": "build/cache"},
    }
    application = {"name": "shop", "containers": containers}
    build = {"images": {"cache": {"dockerfile": "cache/Dockerfile"}}}
    found = made(deploy={"engine": "ecsAction"}, application=application, build=build)
    definition = found.one("aws:ecs/taskDefinition:TaskDefinition").inputs
    images = {part["name"]: part["image"] for part in json.loads(definition["containerDefinitions"])}
    none_yet = f"{IMAGES}:none-yet"
    assert images == {
        "shop": none_yet,
        "nginx": "nginx:1.27",
        "migrate": none_yet,
        "cache": f"{IMAGES}-cache:none-yet",
    }


def test_the_ecs_action_starts_from_the_applications_own_definition() -> None:
    """Its action changes nothing but the image, and the prepare job compares everything else."""
    application = {"name": "shop", "environment": {"LOG_LEVEL": "info"}}
    found = made(deploy={"engine": "ecsAction"}, application=application)
    definition = found.one("aws:ecs/taskDefinition:TaskDefinition").inputs
    container = first_definition(found)
    assert definition["family"] == "shop-dev"
    assert container.pop("image") == f"{IMAGES}:none-yet"
    assert container == _rendered(found, application)


def _rendered(found: Made, application: dict[str, Any]) -> dict[str, Any]:
    from components.settings import ApplicationSection  # noqa: PLC0415 - used here only

    execution, task = found.graph.exports["roles"]
    surroundings = TaskSurroundings(
        family="shop-dev",
        execution_role_arn=execution,
        task_role_arn=task,
        log_group="/ecs/shop-dev",
        region="eu-west-1",
        parameters_arn="arn:aws:ssm:eu-west-1:123456789012:parameter",
        tags={},
    )
    rendered: dict[str, Any] = task_definition(ApplicationSection.model_validate(application), surroundings)
    (container,) = rendered["containerDefinitions"]
    container.pop("image")
    return dict(container)


# --- scaling --------------------------------------------------------------------------------------------------------


def test_a_service_scales_by_cpu_between_its_count_and_twice_of_it() -> None:
    found = made(application={"name": "shop", "desiredCount": 3})
    target = found.one("aws:appautoscaling/target:Target")
    assert (target.inputs["minCapacity"], target.inputs["maxCapacity"]) == (3, 6)
    assert target.inputs["resourceId"] == "service/shop-dev/shop-dev"
    assert found.one("aws:ecs/service:Service").urn in target.dependencies
    (policy,) = found.graph.of("aws:appautoscaling/policy:Policy")
    tracking = policy.inputs["targetTrackingScalingPolicyConfiguration"]
    assert tracking["targetValue"] == 60
    assert tracking["predefinedMetricSpecification"] == {"predefinedMetricType": "ECSServiceAverageCPUUtilization"}


def test_a_service_scales_by_requests_where_it_is_asked_for() -> None:
    found = made({"service": {"scaling": {"requestsPerTask": 600}}}, deploy={"engine": "ecs"})
    policies = {item.name: item.inputs for item in found.graph.of("aws:appautoscaling/policy:Policy")}
    assert set(policies) == {"hosting-scaling-cpu", "hosting-scaling-requests"}
    metric = policies["hosting-scaling-requests"]["targetTrackingScalingPolicyConfiguration"][
        "predefinedMetricSpecification"
    ]
    group = found.one("TargetGroup").outputs["arnSuffix"]
    assert metric == {
        "predefinedMetricType": "ALBRequestCountPerTarget",
        "resourceLabel": f"app/lb-shop-dev/0123456789abcdef/{group}",
    }


def test_a_service_scales_by_memory_where_it_is_asked_for() -> None:
    found = made({"service": {"scaling": {"memoryPercent": 70}}})
    policies = {item.name: item.inputs for item in found.graph.of("aws:appautoscaling/policy:Policy")}
    assert set(policies) == {"hosting-scaling-cpu", "hosting-scaling-memory"}
    tracking = policies["hosting-scaling-memory"]["targetTrackingScalingPolicyConfiguration"]
    assert tracking["targetValue"] == 70
    assert tracking["predefinedMetricSpecification"] == {"predefinedMetricType": "ECSServiceAverageMemoryUtilization"}


def test_at_certain_times_other_limits_apply() -> None:
    morning = {"expression": "cron(0 7 ? * MON-FRI *)", "timeZone": "Europe/Berlin", "minimum": 3}
    night = {"expression": "cron(0 22 * * ? *)", "minimum": 0, "maximum": 0}
    found = made({"service": {"scaling": {"schedule": {"morning": morning, "night": night}}}})
    actions = {item.inputs["name"]: item.inputs for item in found.graph.of("ScheduledAction")}
    assert {name: (action["schedule"], action["timezone"]) for name, action in actions.items()} == {
        "morning": ("cron(0 7 ? * MON-FRI *)", "Europe/Berlin"),
        "night": ("cron(0 22 * * ? *)", "UTC"),
    }
    assert actions["morning"]["scalableTargetAction"] == {"minCapacity": 3}
    assert actions["night"]["scalableTargetAction"] == {"minCapacity": 0, "maxCapacity": 0}
    assert {action["resourceId"] for action in actions.values()} == {"service/shop-dev/shop-dev"}


@pytest.mark.parametrize("engine", ["ecs", "ecsAction"])
def test_the_shares_of_a_deployment_are_the_stack_files(engine: str) -> None:
    """A single task that must not run twice is stopped before the new one starts."""
    shares = {"minimumHealthyPercent": 0, "maximumPercent": 100}
    found = made({"service": shares}, application={"name": "shop", "desiredCount": 1}, deploy={"engine": engine})
    assert found.service["deploymentMinimumHealthyPercent"] == 0
    assert found.service["deploymentMaximumPercent"] == 100
    assert found.hosting.healthy_percents == (0, 100)
