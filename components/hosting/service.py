"""Cluster and service: made once, and from then on moved from version to version by the pipeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pulumi
from pulumi_aws import ecs

from components.engines import Engine, Rollout
from components.engines.deployment_configuration import deployment_configuration
from components.foundation.account_needs import FARGATE, FARGATE_SPOT, Need
from components.foundation.foundation import Foundation
from components.hosting.infrastructure_role import InfrastructureRole, InfrastructureRoleArgs
from components.hosting.load_balancer import LoadBalancer
from components.settings import ApplicationSection
from components.settings.sections.hosting import ServiceSection

DURING_DEPLOYMENT: Final = 2
"""Sets of tasks that run while a deployment lasts."""

CAPACITY_PROVIDERS: Final = {"fargate": "FARGATE", "fargateSpot": "FARGATE_SPOT"}

WRITTEN_BY_SCALING: Final = ("desiredCount",)

BOOTSTRAP_IS_WRITTEN_ONCE: Final = ("containerDefinitions", "cpu", "memory", "runtimePlatform", "volumes")
"""A new revision of it would run nowhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceArgs:
    """What distinguishes one service from another.

    Attributes:
        foundation: What it is made with.
        application: The stack file's ``application``.
        engine: What deploys.
        rollout: How the service moves, and all alarms that roll it back.
        service: The stack file's ``hosting.service``.
        grace_period_seconds: Health check grace period in seconds.
        definition: What runs first, as ECS's ``RegisterTaskDefinition`` takes it.
        subnets: Where tasks run.
        public_ip: Whether tasks get a public IP.
        security_group: The tasks' security group.
        balancer: The load balancer.
        after: What must be there before a task can start.
    """

    foundation: Foundation
    application: ApplicationSection
    engine: Engine
    rollout: Rollout
    service: ServiceSection
    grace_period_seconds: int
    definition: pulumi.Output[dict[str, Any]]
    subnets: pulumi.Input[Sequence[str]]
    public_ip: bool
    security_group: pulumi.Input[str]
    balancer: LoadBalancer
    after: Sequence[pulumi.Resource]


class Service(pulumi.ComponentResource):
    """A cluster with Container Insights and one service on Fargate, which `pulumi up` does not wait for.

    ``ignore_changes`` names what a deployment or the scaling writes, and nothing else.
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:Service"

    service: ecs.Service
    """The service."""
    needs: tuple[Need, ...]
    """What its tasks take of the account's quotas at most."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name, self._args = name, args
        self.needs = (_need(args),)
        child = pulumi.ResourceOptions(parent=self)
        cluster = ecs.Cluster(
            f"{name}-cluster",
            name=args.foundation.prefix,
            settings=[ecs.ClusterSettingArgs(name="containerInsights", value="enabled")],
            tags=args.foundation.tags,
            opts=child,
        )
        providers = ecs.ClusterCapacityProviders(
            f"{name}-capacity", cluster_name=cluster.name, capacity_providers=["FARGATE", "FARGATE_SPOT"], opts=child
        )
        load_balancers, moved_by = self._load_balancers()
        by_ecs = args.engine.deployed_by_ecs
        self.service = ecs.Service(
            f"{name}-service",
            name=args.foundation.prefix,
            cluster=cluster.arn,
            task_definition=self._first(name).arn,
            desired_count=args.application.desired_count,
            deployment_controller=ecs.ServiceDeploymentControllerArgs(type=args.engine.controller),
            # CodeDeploy's deployments know the launch type only (containers-roadmap#1752).
            launch_type=None if by_ecs else "FARGATE",
            capacity_provider_strategies=[
                ecs.ServiceCapacityProviderStrategyArgs(
                    capacity_provider=CAPACITY_PROVIDERS[args.service.capacity_provider], weight=1
                )
            ]
            if by_ecs
            else None,
            network_configuration=ecs.ServiceNetworkConfigurationArgs(
                subnets=args.subnets, security_groups=[args.security_group], assign_public_ip=args.public_ip
            ),
            load_balancers=load_balancers,
            health_check_grace_period_seconds=args.grace_period_seconds,
            # The provider takes no other way to change the capacity provider.
            force_new_deployment=True if by_ecs else None,
            enable_execute_command=args.service.exec,
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
            # The first image may be an hour away.
            wait_for_steady_state=False,
            tags=args.foundation.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[providers, *args.balancer.complete, *moved_by, *args.after],
                ignore_changes=[*args.engine.written(args.rollout), *WRITTEN_BY_SCALING],
            ),
            **(self._own_deployments() if by_ecs else {}),
        )
        self.register_outputs({"service": self.service.name, "cluster": cluster.name})

    def _first(self, name: str) -> ecs.TaskDefinition:
        """What runs until the pipeline's first deployment."""
        definition = self._args.definition
        return ecs.TaskDefinition(
            f"{name}-first-definition",
            family=definition["family"],
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=definition["cpu"],
            memory=definition["memory"],
            runtime_platform=ecs.TaskDefinitionRuntimePlatformArgs(
                cpu_architecture=definition["runtimePlatform"]["cpuArchitecture"],
                operating_system_family="LINUX",
            ),
            execution_role_arn=definition["executionRoleArn"],
            task_role_arn=definition.apply(lambda known: known.get("taskRoleArn")),
            container_definitions=definition.apply(lambda known: json.dumps(known["containerDefinitions"])),
            volumes=definition.apply(lambda known: [{"name": volume["name"]} for volume in known.get("volumes", [])]),
            tags=self._args.foundation.tags,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=list(BOOTSTRAP_IS_WRITTEN_ONCE)),
        )

    def _load_balancers(self) -> tuple[list[ecs.ServiceLoadBalancerArgs], tuple[pulumi.Resource, ...]]:
        """The target group or groups the service's tasks register with, and what must be there to move them."""
        args, balancer = self._args, self._args.balancer
        first, *others = balancer.target_groups
        advanced: ecs.ServiceLoadBalancerAdvancedConfigurationArgs | None = None
        moved_by: tuple[pulumi.Resource, ...] = ()
        if balancer.production_rule is not None and balancer.test_rule is not None:
            role = InfrastructureRole(
                f"{self._name}-shift",
                InfrastructureRoleArgs(foundation=args.foundation, balancer=balancer),
                opts=pulumi.ResourceOptions(parent=self),
            )
            advanced = ecs.ServiceLoadBalancerAdvancedConfigurationArgs(
                alternate_target_group_arn=others[0].arn,
                production_listener_rule=balancer.production_rule.arn,
                test_listener_rule=balancer.test_rule.arn,
                role_arn=role.arn,
            )
            moved_by = (role.policy,)
        container = ecs.ServiceLoadBalancerArgs(
            container_name=args.application.container,
            container_port=args.application.port,
            target_group_arn=first.arn,
            advanced_configuration=advanced,
        )
        return [container], moved_by

    def _own_deployments(self) -> dict[str, Any]:
        """How ECS deploys, said as the pipeline's job says it with every deployment."""
        args = self._args
        said: dict[str, Any] = deployment_configuration(args.rollout)
        canary, linear = said.get("canaryConfiguration"), said.get("linearConfiguration")
        own: dict[str, Any] = {
            "deployment_circuit_breaker": said["deploymentCircuitBreaker"],
            "deployment_minimum_healthy_percent": said["minimumHealthyPercent"],
            "deployment_maximum_percent": said["maximumPercent"],
            "deployment_configuration": ecs.ServiceDeploymentConfigurationArgs(
                strategy=said["strategy"],
                # The provider takes text.
                bake_time_in_minutes=str(said["bakeTimeInMinutes"]) if "bakeTimeInMinutes" in said else None,
                canary_configuration=ecs.ServiceDeploymentConfigurationCanaryConfigurationArgs(
                    canary_percent=canary["canaryPercent"],
                    canary_bake_time_in_minutes=str(canary["canaryBakeTimeInMinutes"]),
                )
                if canary
                else None,
                linear_configuration=ecs.ServiceDeploymentConfigurationLinearConfigurationArgs(
                    step_percent=linear["stepPercent"],
                    step_bake_time_in_minutes=str(linear["stepBakeTimeInMinutes"]),
                )
                if linear
                else None,
            ),
        }
        # Deployments of an engine that knows no alarms have the circuit breaker alone.
        if args.engine.watches_alarms and "alarms" in said:
            own["alarms"] = ecs.ServiceAlarmsArgs(alarm_names=said["alarms"]["alarmNames"], enable=True, rollback=True)
        return own


def _need(args: ServiceArgs) -> Need:
    """Return the vCPUs of the most tasks, twice: a deployment runs as many new ones beside them.

    CodeDeploy and ECS's strategies with two target groups make a second set of tasks; the rolling strategy goes up to
    ``maximumPercent``, 200.
    """
    tasks = args.service.scaling.effective_maximum(args.application.desired_count)
    quota = FARGATE_SPOT if args.service.capacity_provider == "fargateSpot" else FARGATE
    return Need(quota=quota, amount=DURING_DEPLOYMENT * tasks * args.application.cpu / 1024)
