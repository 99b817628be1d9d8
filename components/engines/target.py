"""What is deployed to, wherever it comes from, and the permissions it can grant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.engines.deployment_group import DeploymentGroup
from components.foundation.account import AwsAccount
from components.foundation.account_needs import Need, ServiceLinkedRole
from components.foundation.iam import Statement

TASK_TAG = "ecs-delivery-task"
"""The tag of a task that a job runs beside the service; its value is the task's family."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where the tasks of a service made here run, as every deployment says it.

    Attributes:
        subnets: The subnets.
        security_group: The tasks' security group.
        public_ip: Whether a task gets a public IP address.
        capacity_provider: ECS's name of what runs them.
    """

    subnets: pulumi.Input[Sequence[str]]
    security_group: pulumi.Input[str]
    public_ip: bool
    capacity_provider: str

    @property
    def strategy(self) -> list[dict[str, object]]:
        """ECS's ``capacityProviderStrategy``."""
        return [{"capacityProvider": self.capacity_provider, "weight": 1}]

    def app_spec(self, *, network: bool) -> pulumi.Output[str]:
        """Return what an AppSpec says of it, as JSON; of the network all of it, or CodeDeploy takes none.

        Without a strategy a deployment takes the service off its capacity provider
        (https://github.com/aws/containers-roadmap/issues/1752).
        https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html

        Args:
            network: Whether deployments move the tasks to another network, too; else the service says it.
        """
        where = {
            "Subnets": self.subnets,
            "SecurityGroups": [self.security_group],
            "AssignPublicIp": "ENABLED" if self.public_ip else "DISABLED",
        }
        strategy = [{"CapacityProvider": self.capacity_provider, "Weight": 1}]
        properties: dict[str, object] = {"CapacityProviderStrategy": strategy}
        if network:
            properties["NetworkConfiguration"] = {"AwsvpcConfiguration": where}
        return pulumi.Output.json_dumps(properties, sort_keys=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class TakeOver:
    """How a service that exists is taken over.

    Attributes:
        file: The task definition of the application's repository that is the base; ``None`` for what the service runs.
        agreed: Whether the first deployment may change more of what runs than the image.
    """

    file: str | None
    agreed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploymentTarget:
    """One ECS service and its surroundings.

    Attributes:
        account: Where it runs.
        cluster: The cluster's name.
        service: The service's name.
        family: The task definition's family, one per stack.
        execution_role_arn: Pulls the image, reads secrets, writes the log; ``None`` where the tasks have none.
        task_role_arn: What the application may do; ``None`` for nothing.
        log_group: CloudWatch log group of the containers.
        reached: Name and port of the container that the load balancer reaches, of a service made here.
        take_over: How a service that exists is taken over; ``None`` for one that is made here.
        deployment_group: The deployment group of CodeDeploy that is there already, where there is one.
        target_groups: Names of the load balancer's target groups; two for CodeDeploy.
        users_target_group: ARN of the target group of the users' listener, where a service made here has further ones.
        listener_urls: Where the further listeners of a load balancer made here are reached, by their names.
        production_listener_arn: Listener that carries the users' traffic, where known.
        test_listener_arn: Listener for tests of the new version before users see it, where there is one.
        service_url: Where users reach the service, without a trailing slash, where known.
        test_url: Where jobs reach the new version before users do, where there is a listener for tests made here.
        grace_period_seconds: How long a starting task may fail its health checks, where known.
        deregistration_seconds: How long a task that leaves may finish its requests.
        healthy_percents: Shares of the tasks that stay healthy at least, and that may run at most, while a deployment
            replaces them.
        placement: Where its tasks run; ``None`` for a service that exists, which keeps its own.
        service_connect: ECS's ``serviceConnectConfiguration``; ``None`` for a service that keeps its own.
        port_names: What the port mappings of containers with an endpoint of Service Connect say besides.
        alarms: Names of the service's own CloudWatch alarms, which roll a deployment back.
        infrastructure_role_arn: What ECS moves traffic with, where it does so and the role was made here.
        ready: What must be made before anything can be deployed; nothing for a service that exists.
        load_balancer_dns_name: The load balancer's own name, of one made here.
        load_balancer_zone_id: The hosted zone of that name, for an alias record.
        needs: What it takes of the account's quotas; nothing for a service that exists.
        service_linked_roles: The roles that AWS services make for themselves to run it.
        notes: What a person has to do before users can reach it; shown as ``nextSteps``.
    """

    account: AwsAccount
    cluster: str
    service: str
    family: str
    execution_role_arn: pulumi.Output[str] | None
    task_role_arn: pulumi.Output[str] | None
    log_group: pulumi.Input[str]
    reached: tuple[str, int] | None = None
    take_over: TakeOver | None = None
    deployment_group: DeploymentGroup | None = None
    target_groups: tuple[pulumi.Input[str], ...] = ()
    users_target_group: pulumi.Output[str] | None = None
    listener_urls: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
    production_listener_arn: pulumi.Output[str] | None = None
    test_listener_arn: pulumi.Output[str] | None = None
    service_url: pulumi.Output[str] | None = None
    test_url: pulumi.Output[str] | None = None
    grace_period_seconds: int | None = None
    deregistration_seconds: int = 0
    healthy_percents: tuple[int, int] = (100, 200)
    placement: Placement | None = None
    service_connect: pulumi.Input[Mapping[str, object]] | None = None
    port_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()
    infrastructure_role_arn: pulumi.Output[str] | None = None
    ready: tuple[pulumi.Resource, ...] = ()
    load_balancer_dns_name: pulumi.Output[str] | None = None
    load_balancer_zone_id: pulumi.Output[str] | None = None
    needs: tuple[Need, ...] = ()
    service_linked_roles: tuple[ServiceLinkedRole, ...] = ()
    notes: tuple[pulumi.Input[str], ...] = ()

    @property
    def service_arn(self) -> pulumi.Output[str]:
        """The service's ARN, in the long form that names the cluster."""
        return self.account.arn("ecs", f"service/{self.cluster}/{self.service}")

    @property
    def cluster_arn(self) -> pulumi.Output[str]:
        """The cluster's ARN."""
        return self.account.arn("ecs", f"cluster/{self.cluster}")

    def register_task_definitions(self, family: str | None = None) -> tuple[Statement, ...]:
        """Return permission to add revisions of the task definition with its two roles.

        ``ecs:TagResource`` is needed because revisions are registered with tags (aws-cdk#25768), on the resource of
        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECS.html.

        Args:
            family: Their family, the stack's own when left out; ``*`` for one that is known when it runs.
        """
        return (
            self.add_revisions(),
            Statement(
                sid="TagTaskDefinition",
                actions=("ecs:TagResource",),
                resources=(self.account.arn("ecs", f"task-definition/{family or self.family}:*"),),
                conditions={"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}},
            ),
            *self.pass_task_roles(),
        )

    def add_revisions(self) -> Statement:
        """Permission to add revisions of task definitions, without roles and tags."""
        return Statement(sid="RegisterTaskDefinition", actions=("ecs:RegisterTaskDefinition",), resources=("*",))

    def pass_task_roles(self) -> tuple[Statement, ...]:
        """Return permission to hand the task definition's roles to ECS tasks, and to nothing else."""
        roles = tuple(role for role in (self.execution_role_arn, self.task_role_arn) if role is not None)
        return (pass_to_tasks(*roles),) if roles else ()

    def pass_infrastructure_role(self) -> tuple[Statement, ...]:
        """Return permission to hand ECS the role it moves traffic with: it is named in the service's load balancers.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AmazonECSInfrastructureRolePolicyForLoadBalancers.html
        """
        if self.infrastructure_role_arn is None:
            return ()
        return (
            Statement(
                sid="PassInfrastructureRole",
                actions=("iam:PassRole",),
                resources=(self.infrastructure_role_arn,),
                conditions={"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com"}},
            ),
        )

    def read_service(self) -> Statement:
        """Permission to look at the service."""
        return Statement(sid="ReadService", actions=("ecs:DescribeServices",), resources=(self.service_arn,))

    def update_service(self) -> Statement:
        """Permission to move the service to another revision."""
        return Statement(sid="UpdateService", actions=("ecs:UpdateService",), resources=(self.service_arn,))

    def read_task_definitions(self) -> Statement:
        """Permission to look at revisions of task definitions."""
        return Statement(sid="ReadTaskDefinition", actions=("ecs:DescribeTaskDefinition",), resources=("*",))

    def follow_deployments(self) -> tuple[Statement, ...]:
        """Permission to watch the service's deployments, and to roll one back that takes too long."""
        return (
            Statement(sid="ListDeployments", actions=("ecs:ListServiceDeployments",), resources=(self.service_arn,)),
            Statement(
                sid="FollowDeployment",
                actions=("ecs:DescribeServiceDeployments", "ecs:StopServiceDeployment"),
                resources=(
                    self.service_arn,
                    self.account.arn("ecs", f"service-deployment/{self.cluster}/{self.service}/*"),
                ),
            ),
            Statement(
                sid="ReadServiceRevisions",
                actions=("ecs:DescribeServiceRevisions",),
                resources=(
                    self.service_arn,
                    self.account.arn("ecs", f"service-revision/{self.cluster}/{self.service}/*"),
                ),
            ),
        )

    def continue_deployments(self) -> Statement:
        """Permission to let a deployment go on that is paused, or roll it back.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
        """
        return Statement(
            sid="ContinueDeployment",
            actions=("ecs:ContinueServiceDeployment",),
            resources=(
                self.service_arn,
                self.account.arn("ecs", f"service-deployment/{self.cluster}/{self.service}/*"),
            ),
        )

    def read_tasks(self) -> tuple[Statement, ...]:
        """Permission to find the service's tasks and the reasons why they stopped."""
        in_cluster = {"ArnEquals": {"ecs:cluster": self.cluster_arn}}
        return (
            Statement(sid="ListTasks", actions=("ecs:ListTasks",), resources=("*",), conditions=in_cluster),
            Statement(
                sid="ReadTasks",
                actions=("ecs:DescribeTasks",),
                resources=(self.account.arn("ecs", f"task/{self.cluster}/*"),),
            ),
        )

    def run_tasks(self, family: str) -> tuple[Statement, ...]:
        """Return permission to run tasks of a family in the cluster, beside the service, and to stop these alone.

        They are told from the service's tasks by a tag, which they get when they start:
        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html

        Args:
            family: The family of their task definition.
        """
        tasks = self.account.arn("ecs", f"task/{self.cluster}/*")
        return (
            Statement(
                sid="RunTask",
                actions=("ecs:RunTask",),
                resources=(self.account.arn("ecs", f"task-definition/{family}:*"),),
                conditions={"ArnEquals": {"ecs:cluster": self.cluster_arn}},
            ),
            Statement(
                sid="TagTask",
                actions=("ecs:TagResource",),
                resources=(tasks,),
                conditions={"StringEquals": {"ecs:CreateAction": "RunTask"}},
            ),
            Statement(
                sid="StopTask",
                actions=("ecs:StopTask",),
                resources=(tasks,),
                conditions={"StringEquals": {f"aws:ResourceTag/{TASK_TAG}": family}},
            ),
        )

    def read_log(self, stream_prefix: str) -> Statement:
        """Return the permission to read what the containers wrote, to say why one of them failed.

        CloudWatch Logs decrypts what it returns, so the key needs no statement:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html

        Args:
            stream_prefix: What the names of the containers' log streams begin with, in a definition made here.
        """
        return self.read_log_of(self.log_group, f"{stream_prefix}/*" if self.take_over is None else "*")

    def read_log_of(self, log_group: pulumi.Input[str], streams: str) -> Statement:
        """Return the permission to read the log streams of any log group, by a pattern of their names."""

        def named(group: str) -> pulumi.Output[str]:
            return self.account.arn("logs", f"log-group:{group}:log-stream:{streams}")

        resource: pulumi.Output[str] = pulumi.Output.from_input(log_group).apply(named)
        return Statement(sid="ReadApplicationLog", actions=("logs:GetLogEvents",), resources=(resource,))


def pass_to_tasks(*roles: pulumi.Input[str]) -> Statement:
    """Return permission to hand these roles to ECS tasks, and to nothing else.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html

    Args:
        roles: Their ARNs.
    """
    return Statement(
        sid="PassTaskRoles",
        actions=("iam:PassRole",),
        resources=roles,
        conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
    )
