"""CodeDeploy for one ECS service: application, deployment group, the role it shifts traffic with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_aws import codedeploy, iam

from components.engines.deployment_group import DeploymentGroup
from components.engines.engine import WORD_MINUTES, Rollout
from components.engines.target import DeploymentTarget
from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document, service_trust

PREDEFINED: Mapping[tuple[str, int, int], str] = {
    ("canary", 10, 5): "CodeDeployDefault.ECSCanary10Percent5Minutes",
    ("canary", 10, 15): "CodeDeployDefault.ECSCanary10Percent15Minutes",
    ("linear", 10, 1): "CodeDeployDefault.ECSLinear10PercentEvery1Minutes",
    ("linear", 10, 3): "CodeDeployDefault.ECSLinear10PercentEvery3Minutes",
}
"""Strategy, percent and minutes of the configurations AWS offers, which need no resource of ours.

https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
"""

ROLLED_BACK = ("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST")
"""Events that roll a deployment back, whether or not there are alarms: it fails, or a person or a job stops it.

https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_AutoRollbackConfiguration.html
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeDeployArgs:
    """What distinguishes one deployment group from another.

    Attributes:
        foundation: What it is made with; its prefix names application, deployment group and configuration.
        target: The service, its listeners and its two target groups.
        rollout: How traffic moves, how long the old tasks stay, and the alarms that stop a deployment.
    """

    foundation: Foundation
    target: DeploymentTarget
    rollout: Rollout


class CodeDeploy(pulumi.ComponentResource):
    """Blue/green deployments of one ECS service, rolled back by themselves on failure and on alarms.

    Raises:
        ValueError: When the target has no production listener or not exactly two target groups.
    """

    TYPE: ClassVar[str] = "ecs-delivery:index:CodeDeploy"

    application_name: pulumi.Output[str]
    """The CodeDeploy application."""
    deployment_group_name: pulumi.Output[str]
    """Its one deployment group."""
    group: DeploymentGroup
    """The group, for those who deploy with it."""

    def __init__(self, name: str, args: CodeDeployArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        target = args.target
        if target.production_listener_arn is None or len(target.target_groups) != 2:
            raise ValueError(f"{name}: CodeDeploy needs a production listener and exactly two target groups")
        super().__init__(self.TYPE, name, {}, opts)
        self._args = args
        prefix = args.foundation.prefix
        self.group = DeploymentGroup(application=prefix, name=prefix, configuration=self._configuration_name)
        child = pulumi.ResourceOptions(parent=self)

        application = codedeploy.Application(
            f"{name}-application",
            name=args.foundation.prefix,
            compute_platform="ECS",
            tags=args.foundation.tags,
            opts=child,
        )
        self.application_name = application.name
        role = iam.Role(
            f"{name}-role",
            description=f"Shifts traffic of {args.foundation.prefix}",
            assume_role_policy=service_trust(
                "codedeploy.amazonaws.com",
                account_id=target.account.id,
                # https://docs.aws.amazon.com/codedeploy/latest/userguide/security_confused_deputy.html
                source_arn=self.group.arn(target.account),
            ),
            permissions_boundary=args.foundation.permissions_boundary,
            tags=args.foundation.tags,
            opts=child,
        )
        policy = iam.RolePolicy(
            f"{name}-policy", role=role.name, policy=policy_document(self._statements()), opts=child
        )
        group = codedeploy.DeploymentGroup(
            f"{name}-group",
            app_name=application.name,
            deployment_group_name=args.foundation.prefix,
            service_role_arn=role.arn,
            deployment_config_name=self._configuration(name),
            deployment_style=codedeploy.DeploymentGroupDeploymentStyleArgs(
                deployment_option="WITH_TRAFFIC_CONTROL", deployment_type="BLUE_GREEN"
            ),
            blue_green_deployment_config=_blue_green(args.rollout),
            ecs_service=codedeploy.DeploymentGroupEcsServiceArgs(
                cluster_name=target.cluster, service_name=target.service
            ),
            load_balancer_info=_load_balancer(target, target.production_listener_arn),
            auto_rollback_configuration=codedeploy.DeploymentGroupAutoRollbackConfigurationArgs(
                enabled=True,
                events=[*ROLLED_BACK, *(["DEPLOYMENT_STOP_ON_ALARM"] if args.rollout.alarms else [])],
            ),
            alarm_configuration=codedeploy.DeploymentGroupAlarmConfigurationArgs(
                enabled=True, alarms=list(args.rollout.alarms)
            )
            if args.rollout.alarms
            else None,
            tags=args.foundation.tags,
            # CodeDeploy looks at the service and its target groups when the group is made.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, *target.ready]),
        )
        self.deployment_group_name = group.deployment_group_name
        self.register_outputs(
            {"applicationName": self.application_name, "deploymentGroupName": self.deployment_group_name}
        )

    @property
    def _configuration_name(self) -> str:
        rollout = self._args.rollout
        if rollout.strategy == "allAtOnce":
            return "CodeDeployDefault.ECSAllAtOnce"
        # A configuration cannot be changed: its name says what it is, so a new one is made before the old goes.
        own = f"{self._args.foundation.prefix}-{rollout.strategy}-{rollout.percent}-{rollout.interval_minutes}"
        return PREDEFINED.get((rollout.strategy, rollout.percent, rollout.interval_minutes), own)

    def _configuration(self, name: str) -> pulumi.Input[str]:
        rollout = self._args.rollout
        if self._configuration_name.startswith("CodeDeployDefault."):
            return self._configuration_name
        routing = codedeploy.DeploymentConfigTrafficRoutingConfigArgs(
            type="TimeBasedLinear",
            time_based_linear=codedeploy.DeploymentConfigTrafficRoutingConfigTimeBasedLinearArgs(
                interval=rollout.interval_minutes, percentage=rollout.percent
            ),
        )
        if rollout.strategy == "canary":
            routing = codedeploy.DeploymentConfigTrafficRoutingConfigArgs(
                type="TimeBasedCanary",
                time_based_canary=codedeploy.DeploymentConfigTrafficRoutingConfigTimeBasedCanaryArgs(
                    interval=rollout.interval_minutes, percentage=rollout.percent
                ),
            )
        return codedeploy.DeploymentConfig(
            f"{name}-configuration",
            deployment_config_name=self._configuration_name,
            compute_platform="ECS",
            traffic_routing_config=routing,
            opts=pulumi.ResourceOptions(parent=self),
        ).deployment_config_name

    def _statements(self) -> list[Statement]:
        """What CodeDeploy does in our name, narrowed from AWSCodeDeployRoleForECS to this one service.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/codedeploy_IAM_role.html
        """
        target = self._args.target
        listeners = tuple(arn for arn in (target.production_listener_arn, target.test_listener_arn) if arn)
        statements = [
            target.read_service(),
            Statement(
                sid="SwapTaskSets",
                actions=("ecs:CreateTaskSet", "ecs:DeleteTaskSet", "ecs:UpdateServicePrimaryTaskSet"),
                resources=("*",),
            ),
            Statement(
                sid="ReadLoadBalancer",
                actions=(
                    "elasticloadbalancing:DescribeListeners",
                    "elasticloadbalancing:DescribeRules",
                    "elasticloadbalancing:DescribeTargetGroups",
                ),
                resources=("*",),
            ),
            Statement(
                sid="ShiftTraffic",
                actions=("elasticloadbalancing:ModifyListener",),
                resources=listeners,
            ),
            Statement(
                sid="ShiftTrafficOfRules",
                actions=("elasticloadbalancing:ModifyRule",),
                resources=tuple(
                    arn.apply(lambda value: value.replace(":listener/", ":listener-rule/") + "/*") for arn in listeners
                ),
            ),
            *target.pass_task_roles(),
        ]
        if self._args.rollout.alarms:
            statements.append(Statement(sid="WatchAlarms", actions=("cloudwatch:DescribeAlarms",), resources=("*",)))
        return statements


def _blue_green(rollout: Rollout) -> codedeploy.DeploymentGroupBlueGreenDeploymentConfigArgs:
    """End the old tasks afterwards: ECS knows no KEEP_ALIVE (terraform-provider-aws#23995).

    Where checks decide, CodeDeploy waits for the word when test traffic reaches the new tasks, and stops without one;
    else it goes on by itself, and refuses minutes together with CONTINUE_DEPLOYMENT (terraform-provider-aws#9653).
    https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_codedeploy.EcsBlueGreenDeploymentConfig.html has both.
    """
    decided = rollout.test_traffic is not None
    return codedeploy.DeploymentGroupBlueGreenDeploymentConfigArgs(
        deployment_ready_option=codedeploy.DeploymentGroupBlueGreenDeploymentConfigDeploymentReadyOptionArgs(
            action_on_timeout="STOP_DEPLOYMENT" if decided else "CONTINUE_DEPLOYMENT",
            wait_time_in_minutes=WORD_MINUTES if decided else None,
        ),
        terminate_blue_instances_on_deployment_success=(
            codedeploy.DeploymentGroupBlueGreenDeploymentConfigTerminateBlueInstancesOnDeploymentSuccessArgs(
                action="TERMINATE", termination_wait_time_in_minutes=rollout.termination_wait_minutes
            )
        ),
    )


def _load_balancer(
    target: DeploymentTarget, production: pulumi.Output[str]
) -> codedeploy.DeploymentGroupLoadBalancerInfoArgs:
    return codedeploy.DeploymentGroupLoadBalancerInfoArgs(
        target_group_pair_info=codedeploy.DeploymentGroupLoadBalancerInfoTargetGroupPairInfoArgs(
            prod_traffic_route=codedeploy.DeploymentGroupLoadBalancerInfoTargetGroupPairInfoProdTrafficRouteArgs(
                listener_arns=[production]
            ),
            test_traffic_route=codedeploy.DeploymentGroupLoadBalancerInfoTargetGroupPairInfoTestTrafficRouteArgs(
                listener_arns=[target.test_listener_arn]
            )
            if target.test_listener_arn
            else None,
            target_groups=[
                codedeploy.DeploymentGroupLoadBalancerInfoTargetGroupPairInfoTargetGroupArgs(name=name)
                for name in target.target_groups
            ],
        )
    )
