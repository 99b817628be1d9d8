"""Cluster and service: made once, and from then on moved from version to version by the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import pulumi
from pulumi_aws import ecs

from components.engines import Engine, Placement, Rollout
from components.foundation.account_needs import FARGATE, FARGATE_SPOT, Need
from components.foundation.foundation import Foundation
from components.hosting.first_definition import FirstDefinitionArgs, first_definition_of
from components.hosting.infrastructure_role import InfrastructureRole, InfrastructureRoleArgs
from components.hosting.load_balancer import LoadBalancer
from components.hosting.own_deployments import own_deployments
from components.hosting.shared_listener import SharedListener
from components.hosting.task_roles import TaskRoles
from components.images.repository import Repository
from components.settings import ApplicationSection, HostingSection

WRITTEN_BY_SCALING: Final = ("desiredCount",)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceArgs:
    """What distinguishes one service from another.

    Attributes:
        foundation: What it is made with.
        application: The stack file's ``application``.
        engine: What deploys.
        rollout: How the service moves, and all alarms that roll it back.
        hosting: The stack file's ``hosting``.
        repository: Where the application's images come from.
        further: Where the images come from that are delivered with them, by their names.
        roles: The roles of its tasks.
        log_group: Name of the log group of its containers.
        placement: Where tasks run.
        balancer: The load balancer, where there is one.
        registry: ARN of the service of Cloud Map that tasks register with, where there is one.
        after: What must be there, beside load balancer and roles, before a task can start.
    """

    foundation: Foundation
    application: ApplicationSection
    engine: Engine
    rollout: Rollout
    hosting: HostingSection
    repository: Repository
    further: Mapping[str, Repository]
    roles: TaskRoles
    log_group: pulumi.Output[str]
    placement: Placement
    balancer: LoadBalancer | SharedListener | None
    registry: pulumi.Input[str] | None
    after: Sequence[pulumi.Resource]


class Service(pulumi.ComponentResource):
    """A cluster and one service on Fargate, which `pulumi up` does not wait for.

    ``ignore_changes`` names what a deployment or the scaling writes, and nothing else.
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:Service"

    service: ecs.Service
    """The service."""
    infrastructure_role_arn: pulumi.Output[str] | None = None
    """What ECS moves traffic with, where it does so."""
    needs: tuple[Need, ...]
    """What its tasks take of the account's quotas at most."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name, self._args = name, args
        self.needs = (_need(args),)
        child = pulumi.ResourceOptions(parent=self)
        balanced = args.hosting.load_balancer
        self._reached = args.application.reached(balanced.container)
        self._further = [
            args.application.reached(listener.container) for _, listener in sorted(balanced.listeners.items())
        ]
        settings, placement, by_ecs = args.hosting.service, args.placement, args.engine.deployed_by_ecs
        load_balancers, moved_by = self._load_balancers()
        first = first_definition_of(
            f"{name}-first-definition",
            FirstDefinitionArgs(
                foundation=args.foundation,
                application=args.application,
                engine=args.engine,
                exec=settings.exec,
                reached=(self._reached, *self._further),
                health_check=args.hosting.load_balancer.health_check,
                repository=args.repository,
                further=args.further,
                roles=args.roles,
                log_group=args.log_group,
            ),
            opts=child,
        )
        cluster = ecs.Cluster(
            f"{name}-cluster",
            name=args.foundation.prefix,
            settings=[ecs.ClusterSettingArgs(name="containerInsights", value=args.hosting.container_insights)],
            tags=args.foundation.tags,
            opts=child,
        )
        providers = ecs.ClusterCapacityProviders(
            f"{name}-capacity", cluster_name=cluster.name, capacity_providers=["FARGATE", "FARGATE_SPOT"], opts=child
        )
        self.service = ecs.Service(
            f"{name}-service",
            name=args.foundation.prefix,
            cluster=cluster.arn,
            task_definition=first.arn,
            desired_count=args.application.desired_count,
            deployment_controller=ecs.ServiceDeploymentControllerArgs(type=args.engine.controller),
            # With CodeDeploy the first deployment's AppSpec brings the capacity provider.
            launch_type=None if by_ecs else "FARGATE",
            capacity_provider_strategies=[
                ecs.ServiceCapacityProviderStrategyArgs(capacity_provider=placement.capacity_provider, weight=1)
            ]
            if by_ecs
            else None,
            network_configuration=ecs.ServiceNetworkConfigurationArgs(
                subnets=placement.subnets,
                security_groups=[placement.security_group],
                assign_public_ip=placement.public_ip,
            ),
            load_balancers=load_balancers,
            # None is ECS's own default, and may come together with the first load balancer.
            health_check_grace_period_seconds=args.hosting.load_balancer.health_check.grace_period_seconds or None
            if args.balancer
            else None,
            service_registries=ecs.ServiceServiceRegistriesArgs(registry_arn=args.registry) if args.registry else None,
            enable_execute_command=settings.exec,
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
            # The first image may be an hour away.
            wait_for_steady_state=False,
            tags=args.foundation.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.foundation.protect,
                depends_on=[
                    providers,
                    *(args.balancer.complete if args.balancer else ()),
                    *moved_by,
                    *args.roles.policies,
                    *args.after,
                ],
                ignore_changes=self._ignored,
            ),
            **own_deployments(args.engine, args.rollout),
        )
        self.register_outputs({"service": self.service.name, "cluster": cluster.name})

    @property
    def _ignored(self) -> list[str]:
        """What somebody else writes; without a load balancer none of it is about one.

        The grace period goes with it, and must not be sent: ECS refuses any to a service without a load balancer
        (https://github.com/hashicorp/terraform-provider-aws/issues/31104).
        """
        written = [*self._args.engine.written(self._args.rollout), *WRITTEN_BY_SCALING]
        if self._further:
            # Those of further listeners are the program's: ignored by their place in the list, the name and the port of
            # one that is taken away would become those of its neighbour.
            return [name.replace("loadBalancers[*]", "loadBalancers[0]") for name in written]
        if self._args.balancer is not None:
            return written
        return [*(name for name in written if not name.startswith("loadBalancers")), "healthCheckGracePeriodSeconds"]

    def _load_balancers(self) -> tuple[list[ecs.ServiceLoadBalancerArgs], tuple[pulumi.Resource, ...]]:
        """The target group or groups the service's tasks register with, and what must be there to move them."""
        args, balancer = self._args, self._args.balancer
        if balancer is None:
            return [], ()  # said, not left out: the paths that are ignored need a list when one comes
        first, *others = balancer.target_groups
        advanced: ecs.ServiceLoadBalancerAdvancedConfigurationArgs | None = None
        moved_by: tuple[pulumi.Resource, ...] = ()
        if isinstance(balancer, LoadBalancer) and balancer.production_rule and balancer.test_rule:
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
            moved_by, self.infrastructure_role_arn = (role.policy,), role.arn
        container = ecs.ServiceLoadBalancerArgs(
            container_name=self._reached[0],
            container_port=self._reached[1],
            target_group_arn=first.arn,
            advanced_configuration=advanced,
        )
        further = [
            ecs.ServiceLoadBalancerArgs(
                container_name=name, container_port=port, target_group_arn=listener.target_group.arn
            )
            for (name, port), listener in zip(self._further, balancer.further, strict=True)
        ]
        return [container, *further], moved_by


def _need(args: ServiceArgs) -> Need:
    """Return the vCPUs of the most tasks, twice: a deployment runs as many new ones beside them.

    CodeDeploy and ECS's strategies with two target groups make a second set of tasks; the rolling strategy goes up to
    ``maximumPercent``.
    """
    settings = args.hosting.service
    tasks = settings.scaling.most(args.application.desired_count)
    quota = FARGATE_SPOT if settings.capacity_provider == "fargateSpot" else FARGATE
    return Need(quota=quota, amount=args.rollout.maximum_percent / 100 * tasks * args.application.cpu / 1024)
