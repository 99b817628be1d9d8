"""Blue/green deployments of one service: how traffic moves, what rolls back, what the role may touch."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pulumi
import pytest
from mocked import Graph, build
from samples import EXECUTION_ROLE, PRODUCTION, TAGS, TASK_ROLE, TEST, arn, foundation, hosting

from components.engines import Rollout, Strategy, TestTraffic
from components.engines.code_deploy_group import PREDEFINED, CodeDeploy, CodeDeployArgs
from components.foundation.iam import policy_document

ALL_AT_ONCE = Rollout(strategy="allAtOnce", termination_wait_minutes=5)
SERVICE = arn("ecs", "service/shop-cluster/shop-service")
RULES = PRODUCTION.replace(":listener/", ":listener-rule/") + "/*"
TEST_RULES = TEST.replace(":listener/", ":listener-rule/") + "/*"


def code_deploy(rollout: Rollout = ALL_AT_ONCE, **surroundings: object) -> Graph:
    def program() -> None:
        base = foundation()
        made = CodeDeploy(
            "deploy",
            CodeDeployArgs(
                foundation=base,
                target=hosting(base, **surroundings),
                rollout=rollout,
            ),
        )
        pulumi.export("deploy", policy_document(made.group.deploy(base.account)))
        pulumi.export("stop", policy_document(made.group.stop(base.account)))

    return build(program)


@cache
def plain() -> Graph:
    return code_deploy()


@cache
def with_alarms() -> Graph:
    return code_deploy(ALL_AT_ONCE.with_alarms(("shop-errors", "shop-latency")))


@cache
def without_test_listener() -> Graph:
    return code_deploy(test_listener_arn=None)


def group(graph: Graph) -> dict[str, Any]:
    return dict(graph.one("DeploymentGroup").inputs)


def statements(graph: Graph) -> list[dict[str, Any]]:
    return list(json.loads(graph.one("RolePolicy").inputs["policy"])["Statement"])


# The deployment group


def test_a_deployment_group_shifts_the_traffic_of_one_service() -> None:
    """No wait before the shift is given: CodeDeploy refuses minutes together with CONTINUE_DEPLOYMENT.

    The old tasks end, because for ECS there is no KEEP_ALIVE (terraform-provider-aws#23995).
    """
    assert group(plain()) == {
        "appName": "shop-dev",
        "deploymentGroupName": "shop-dev",
        "serviceRoleArn": plain().one("Role").outputs["arn"],
        "deploymentConfigName": "CodeDeployDefault.ECSAllAtOnce",
        "deploymentStyle": {"deploymentOption": "WITH_TRAFFIC_CONTROL", "deploymentType": "BLUE_GREEN"},
        "blueGreenDeploymentConfig": {
            "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5},
        },
        "ecsService": {"clusterName": "shop-cluster", "serviceName": "shop-service"},
        "loadBalancerInfo": {
            "targetGroupPairInfo": {
                "prodTrafficRoute": {"listenerArns": [PRODUCTION]},
                "testTrafficRoute": {"listenerArns": [TEST]},
                "targetGroups": [{"name": "shop-blue"}, {"name": "shop-green"}],
            }
        },
        "autoRollbackConfiguration": {
            "enabled": True,
            "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST"],
        },
        "tags": TAGS,
    }


def test_where_checks_decide_codedeploy_waits_for_the_word_and_stops_without_one() -> None:
    decided = replace(ALL_AT_ONCE, test_traffic=TestTraffic(checks="[]"))
    option = group(code_deploy(decided))["blueGreenDeploymentConfig"]["deploymentReadyOption"]
    assert option == {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 15}


def test_a_service_without_test_listener_has_no_test_route() -> None:
    pair = group(without_test_listener())["loadBalancerInfo"]["targetGroupPairInfo"]
    assert pair == {
        "prodTrafficRoute": {"listenerArns": [PRODUCTION]},
        "targetGroups": [{"name": "shop-blue"}, {"name": "shop-green"}],
    }


def test_an_alarm_stops_the_deployment_and_rolls_it_back() -> None:
    assert group(with_alarms())["alarmConfiguration"] == {"enabled": True, "alarms": ["shop-errors", "shop-latency"]}
    assert group(with_alarms())["autoRollbackConfiguration"] == {
        "enabled": True,
        "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST", "DEPLOYMENT_STOP_ON_ALARM"],
    }
    assert "alarmConfiguration" not in group(plain())


def test_the_application_is_for_ecs() -> None:
    assert plain().one("aws:codedeploy/application:Application").inputs == {
        "name": "shop-dev",
        "computePlatform": "ECS",
        "tags": TAGS,
    }


def test_the_group_waits_for_its_permissions() -> None:
    assert plain().one("RolePolicy").urn in plain().one("DeploymentGroup").dependencies


def test_a_service_without_production_listener_is_refused() -> None:
    with pytest.raises(ValueError, match="needs") as refusal:
        code_deploy(production_listener_arn=None)
    assert str(refusal.value) == "deploy: CodeDeploy needs a production listener and exactly two target groups"


@pytest.mark.parametrize("names", [(), ("blue",), ("blue", "green", "red")], ids=len)
def test_a_service_without_two_target_groups_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="needs") as refusal:
        code_deploy(target_groups=names)
    assert str(refusal.value) == "deploy: CodeDeploy needs a production listener and exactly two target groups"


# How traffic moves


@pytest.mark.parametrize(
    ("strategy", "percent", "minutes", "name"),
    [
        ("canary", 10, 5, "CodeDeployDefault.ECSCanary10Percent5Minutes"),
        ("canary", 10, 15, "CodeDeployDefault.ECSCanary10Percent15Minutes"),
        ("linear", 10, 1, "CodeDeployDefault.ECSLinear10PercentEvery1Minutes"),
        ("linear", 10, 3, "CodeDeployDefault.ECSLinear10PercentEvery3Minutes"),
    ],
)
def test_a_step_that_aws_offers_needs_no_configuration_of_ours(
    strategy: Strategy, percent: int, minutes: int, name: str
) -> None:
    """https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html."""
    graph = code_deploy(Rollout(strategy=strategy, percent=percent, interval_minutes=minutes))
    assert group(graph)["deploymentConfigName"] == name
    assert graph.of("DeploymentConfig") == []


def test_aws_offers_four_steps() -> None:
    assert len(PREDEFINED) == 4


@pytest.mark.parametrize(
    ("strategy", "percent", "minutes", "routing"),
    [
        ("canary", 20, 5, {"type": "TimeBasedCanary", "timeBasedCanary": {"interval": 5, "percentage": 20}}),
        ("linear", 10, 5, {"type": "TimeBasedLinear", "timeBasedLinear": {"interval": 5, "percentage": 10}}),
        # Strategy, percent and minutes all count: each of these is one away from what AWS offers.
        ("linear", 10, 15, {"type": "TimeBasedLinear", "timeBasedLinear": {"interval": 15, "percentage": 10}}),
        ("canary", 10, 3, {"type": "TimeBasedCanary", "timeBasedCanary": {"interval": 3, "percentage": 10}}),
    ],
)
def test_any_other_step_gets_a_configuration_named_after_it(
    strategy: Strategy, percent: int, minutes: int, routing: dict[str, object]
) -> None:
    """A configuration cannot be changed: under a fixed name, a new one could not be made while the old is in use."""
    graph = code_deploy(Rollout(strategy=strategy, percent=percent, interval_minutes=minutes))
    name = f"shop-dev-{strategy}-{percent}-{minutes}"
    assert graph.one("DeploymentConfig").inputs == {
        "deploymentConfigName": name,
        "computePlatform": "ECS",
        "trafficRoutingConfig": routing,
    }
    assert group(graph)["deploymentConfigName"] == name
    assert graph.one("DeploymentConfig").urn in graph.one("DeploymentGroup").dependencies
    grant = json.loads(graph.exports["deploy"])["Statement"][2]
    assert grant["Resource"] == [arn("codedeploy", f"deploymentconfig:{name}")]


# Permissions


def test_codedeploy_reaches_task_sets_its_listeners_and_its_two_roles() -> None:
    """AWS's managed policy AWSCodeDeployRoleForECS gives all of it on every resource, Lambda, SNS and S3 besides.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/codedeploy_IAM_role.html
    """
    assert statements(plain()) == [
        {"Sid": "ReadService", "Effect": "Allow", "Action": ["ecs:DescribeServices"], "Resource": [SERVICE]},
        {
            "Sid": "SwapTaskSets",
            "Effect": "Allow",
            "Action": ["ecs:CreateTaskSet", "ecs:DeleteTaskSet", "ecs:UpdateServicePrimaryTaskSet"],
            "Resource": ["*"],
        },
        {
            "Sid": "ReadLoadBalancer",
            "Effect": "Allow",
            "Action": [
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeRules",
                "elasticloadbalancing:DescribeTargetGroups",
            ],
            "Resource": ["*"],
        },
        {
            "Sid": "ShiftTraffic",
            "Effect": "Allow",
            "Action": ["elasticloadbalancing:ModifyListener"],
            "Resource": [PRODUCTION, TEST],
        },
        {
            "Sid": "ShiftTrafficOfRules",
            "Effect": "Allow",
            "Action": ["elasticloadbalancing:ModifyRule"],
            "Resource": [RULES, TEST_RULES],
        },
        {
            "Sid": "PassTaskRoles",
            "Effect": "Allow",
            "Action": ["iam:PassRole"],
            "Resource": [EXECUTION_ROLE, TASK_ROLE],
            "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        },
    ]


def test_without_test_listener_only_the_production_listener_may_change() -> None:
    granted = {item["Sid"]: item["Resource"] for item in statements(without_test_listener())}
    assert granted["ShiftTraffic"] == [PRODUCTION]
    assert granted["ShiftTrafficOfRules"] == [RULES]


def test_alarms_are_watched() -> None:
    """CloudWatch refuses DescribeAlarms on one alarm's ARN (aws-samples/amazon-cloudwatch-auto-alarms#1)."""
    assert statements(with_alarms())[:-1] == statements(plain())
    assert statements(with_alarms())[-1] == {
        "Sid": "WatchAlarms",
        "Effect": "Allow",
        "Action": ["cloudwatch:DescribeAlarms"],
        "Resource": ["*"],
    }


def test_only_this_deployment_group_may_take_the_role() -> None:
    """https://docs.aws.amazon.com/codedeploy/latest/userguide/security_confused_deputy.html."""
    role = plain().one("Role")
    assert role.inputs["description"] == "Shifts traffic of shop-dev"
    assert role.inputs["tags"] == TAGS
    assert json.loads(role.inputs["assumeRolePolicy"])["Statement"] == [
        {
            "Sid": "AssumedByService",
            "Effect": "Allow",
            "Principal": {"Service": "codedeploy.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": "123456789012"},
                "ArnEquals": {"aws:SourceArn": arn("codedeploy", "deploymentgroup:shop-dev/shop-dev")},
            },
        }
    ]


def test_who_deploys_may_start_this_groups_deployments_only() -> None:
    assert json.loads(plain().exports["deploy"])["Statement"] == [
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
    ]


def test_who_stops_a_deployment_may_stop_every_one_of_the_account() -> None:
    """AWS offers no resource for it, though CodeDeploy's guide names one (awsdocs/aws-codedeploy-user-guide#18)."""
    assert json.loads(plain().exports["stop"])["Statement"] == [
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


def test_application_and_group_are_what_the_component_offers() -> None:
    component = plain().one("ecs-delivery:index:CodeDeploy")
    assert plain().registered_outputs[component.urn] == {
        "applicationName": "shop-dev",
        "deploymentGroupName": "shop-dev",
    }
    assert sorted(item.type.split(":")[-1] for item in plain().children(component)) == [
        "Application",
        "DeploymentGroup",
        "Role",
        "RolePolicy",
    ]
