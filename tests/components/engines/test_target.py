"""What the stages may ask of a service, and the permissions that come with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pulumi
import pytest
from mocked import build
from samples import EXECUTION_ROLE, TASK_ROLE, arn, foundation, hosting, register_statements

from components.engines.target import TakeOver
from components.foundation.iam import Statement, policy_document
from components.hosting import DeploymentTarget

SERVICE = arn("ecs", "service/shop-cluster/shop-service")
REVISIONS = arn("ecs", "task-definition/shop-dev:*")
PASS_ROLES = {
    "Sid": "PassTaskRoles",
    "Effect": "Allow",
    "Action": ["iam:PassRole"],
    "Resource": [EXECUTION_ROLE, TASK_ROLE],
    "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
}


def granted(ask: Callable[[DeploymentTarget], Sequence[Statement]], **changes: object) -> list[dict[str, Any]]:
    def program() -> None:
        pulumi.export("policy", policy_document(ask(hosting(foundation(), **changes))))

    return list(json.loads(build(program).exports["policy"])["Statement"])


def test_a_service_is_known_by_its_long_arn() -> None:
    """The short form, without the cluster, cannot be used in a policy."""

    def program() -> None:
        facts = hosting(foundation())
        pulumi.export("service", facts.service_arn)
        pulumi.export("cluster", facts.cluster_arn)

    assert build(program).exports == {"service": SERVICE, "cluster": arn("ecs", "cluster/shop-cluster")}


def test_revisions_may_be_registered_with_the_tags_of_one_family_and_with_its_two_roles() -> None:
    """Without ecs:TagResource a registration with tags is denied (aws-cdk#25768)."""
    assert granted(DeploymentTarget.register_task_definitions) == register_statements(REVISIONS)


def test_roles_are_passed_to_tasks_and_to_nothing_else() -> None:
    """Tools still grant this on every role (aws-cdk#8303): who edits a task could then run it as an administrator."""
    assert granted(DeploymentTarget.pass_task_roles) == [PASS_ROLES]


def test_without_a_task_role_only_the_execution_role_is_passed() -> None:
    (passing,) = granted(DeploymentTarget.pass_task_roles, task_role_arn=None)
    assert passing["Resource"] == [EXECUTION_ROLE]


def test_without_any_role_none_is_passed() -> None:
    """Tasks on instances may have none: a statement without a resource would be refused."""
    assert granted(DeploymentTarget.pass_task_roles, task_role_arn=None, execution_role_arn=None) == []


def test_of_a_service_that_exists_the_whole_log_may_be_read() -> None:
    """What the names of its log streams begin with is known to its own task definition only."""
    taken_over = TakeOver(file=None, agreed=False)
    (statement,) = granted(lambda facts: [facts.read_log("shop")], take_over=taken_over)
    assert statement["Resource"] == [arn("logs", "log-group:/ecs/shop-dev:log-stream:*")]


def test_reading_and_updating_the_service_are_two_permissions_on_it() -> None:
    assert granted(lambda facts: [facts.read_service(), facts.update_service()]) == [
        {"Sid": "ReadService", "Effect": "Allow", "Action": ["ecs:DescribeServices"], "Resource": [SERVICE]},
        {"Sid": "UpdateService", "Effect": "Allow", "Action": ["ecs:UpdateService"], "Resource": [SERVICE]},
    ]


def test_task_definitions_can_only_be_read_on_every_resource() -> None:
    """AWS offers no resource for it; the definition holds references to secrets, never their values."""
    assert granted(lambda facts: [facts.read_task_definitions()]) == [
        {
            "Sid": "ReadTaskDefinition",
            "Effect": "Allow",
            "Action": ["ecs:DescribeTaskDefinition"],
            "Resource": ["*"],
        }
    ]


def test_deployments_of_this_service_may_be_followed_and_stopped() -> None:
    """The service is named beside the deployments: AWS checks one or the other, by action."""
    assert granted(DeploymentTarget.follow_deployments) == [
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
    ]


def test_tasks_may_be_looked_at_in_this_cluster_only() -> None:
    """ListTasks is scoped by container instance, of which Fargate has none, so the condition names the cluster."""
    assert granted(DeploymentTarget.read_tasks) == [
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


@pytest.mark.parametrize("group", ["/ecs/shop-dev", pulumi.Output.from_input("/ecs/shop-dev")], ids=["name", "output"])
def test_only_the_log_of_the_application_s_containers_may_be_read(group: pulumi.Input[str]) -> None:
    """GetLogEvents is scoped by the log stream, whose name begins with the prefix that the task definition gives.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
    """
    assert granted(lambda facts: [facts.read_log("shop")], log_group=group) == [
        {
            "Sid": "ReadApplicationLog",
            "Effect": "Allow",
            "Action": ["logs:GetLogEvents"],
            "Resource": [arn("logs", "log-group:/ecs/shop-dev:log-stream:shop/*")],
        }
    ]


def test_all_permissions_together_make_one_policy() -> None:
    """A sid twice would be refused, and a deploying job holds all of them."""
    everything = granted(
        lambda facts: [
            *facts.register_task_definitions(),
            facts.read_service(),
            facts.update_service(),
            facts.read_task_definitions(),
            *facts.follow_deployments(),
            *facts.read_tasks(),
            facts.read_log("shop"),
        ]
    )
    assert len(everything) == 12
