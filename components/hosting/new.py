"""Hosting made from nothing: network, load balancer, cluster, service, scaling, alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Final

import pulumi

from components.engines import DeploymentTarget, Engine, Placement, Rollout, TrafficSwitch
from components.foundation.access_log_bucket import AccessLogBucket, of_load_balancers
from components.foundation.account_needs import ECS_ROLE, LOAD_BALANCING_ROLE, SCALING_ROLE
from components.foundation.foundation import Foundation
from components.hosting.alarms import AlarmsArgs, alarms_of
from components.hosting.discovery import (
    OFF,
    ServiceConnect,
    ServiceConnectArgs,
    ServiceRegistry,
    ServiceRegistryArgs,
    port_names,
)
from components.hosting.endpoints import EndpointsArgs, endpoints_of
from components.hosting.load_balancer import LoadBalancer, LoadBalancerArgs
from components.hosting.network import Network, NetworkArgs
from components.hosting.scaling import Scaling, ScalingArgs
from components.hosting.security_groups import NFS, SecurityGroups, SecurityGroupsArgs
from components.hosting.service import Service, ServiceArgs
from components.hosting.shared_listener import SharedListener, SharedListenerArgs
from components.hosting.task_roles import TaskRoles, TaskRolesArgs
from components.images.repository import Repository
from components.notifications import NotificationTopic
from components.settings import ApplicationSection, HostingSection

CAPACITY_PROVIDERS: Final = {"fargate": "FARGATE", "fargateSpot": "FARGATE_SPOT"}


@dataclass(frozen=True, kw_only=True, slots=True)
class NewHostingArgs:
    """What one application in one environment runs in.

    Attributes:
        foundation: What it is made with.
        application: The stack file's ``application``.
        engine: What deploys.
        rollout: How the service moves; the alarms made here roll it back, too.
        hosting: The stack file's ``hosting``.
        repository: Where the application's images come from.
        further: Where the images come from that are delivered with them, by their names.
        alarm_topic: Where alarms are published; ``None`` for nowhere.
    """

    foundation: Foundation
    application: ApplicationSection
    engine: Engine
    rollout: Rollout
    hosting: HostingSection
    repository: Repository
    further: Mapping[str, Repository]
    alarm_topic: NotificationTopic | None = None


class NewHosting(pulumi.ComponentResource):
    """From an empty account to a service that answers, before the first image is built."""

    TYPE: ClassVar[str] = "ecs-delivery:hosting:MadeHosting"

    def __init__(self, name: str, args: NewHostingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._args = args
        child = pulumi.ResourceOptions(parent=self)
        foundation, application, made = args.foundation, args.application, args.hosting
        containers = application.every_container.values()
        secrets = tuple(dict.fromkeys(source for part in containers for source in part.every_secret))
        file_systems = {name: volume.efs for name, volume in application.volumes.items() if volume.efs is not None}
        opened = {efs.security_group_id for efs in file_systems.values() if efs.security_group_id is not None}
        self._network = Network(
            f"{name}-network",
            NetworkArgs(foundation=foundation, network=made.network, internal=made.load_balancer.internal),
            opts=child,
        )
        groups = SecurityGroups(
            f"{name}-groups",
            SecurityGroupsArgs(
                foundation=foundation,
                vpc_id=self._network.vpc_id,
                ports=made.load_balancer.ports(
                    for_tests=args.rollout.shifts_traffic, asked=args.rollout.test_traffic is not None
                ),
                existing=made.load_balancer.existing.security_group if made.load_balancer.existing else None,
                file_systems=sorted(opened),
                callers=made.service.allowed_security_groups,
            ),
            opts=child,
        )
        self._to_open = [
            groups.tasks.apply(partial(_to_open, efs.file_system_id))
            for efs in file_systems.values()
            if efs.security_group_id is None
        ]
        self._logs = foundation.log_group(f"{name}-logs", f"/ecs/{foundation.prefix}", self)
        self._roles = TaskRoles(
            f"{name}-roles",
            TaskRolesArgs(
                foundation=foundation,
                repositories=(args.repository, *args.further.values()),
                log_group_arn=self._logs.arn,
                secrets=secrets,
                images=tuple(part.image for part in application.containers.values()),
                environment_files=tuple(file for part in containers for file in part.environment_files),
                file_systems=file_systems,
                statements=tuple(
                    stated.statement(f"Application{number}")
                    for number, stated in enumerate(made.service.task_role_policy, 1)
                ),
                task_role=made.service.task_role,
                exec=made.service.exec,
            ),
            opts=child,
        )
        self._balancer = balancer = self._load_balancer(f"{name}-load-balancer", groups.balancer)
        watched = (
            AlarmsArgs(
                foundation=foundation,
                alarms=made.alarms_made,
                balancer=balancer,
                topic=args.alarm_topic,
            )
            if made.alarms_made and balancer
            else None
        )
        self._alarms = alarms_of(f"{name}-alarms", watched, opts=child)
        endpoints = endpoints_of(
            f"{name}-endpoints",
            EndpointsArgs(
                foundation=foundation,
                network=self._network,
                tasks=groups.tasks,
                secrets=secrets,
                exec=made.service.exec,
            ),
            opts=child,
        )
        self._placement = Placement(
            subnets=self._network.task_subnets,
            security_group=groups.tasks,
            public_ip=made.network.tasks_in_public,
            capacity_provider=CAPACITY_PROVIDERS[made.service.capacity_provider],
        )
        self._connect = (
            ServiceConnect(
                f"{name}-connect",
                ServiceConnectArgs(
                    foundation=foundation,
                    application=application,
                    settings=made.service_connect,
                    log_group=self._logs.name,
                ),
                opts=child,
            )
            if made.service_connect
            else None
        )
        registry = (
            ServiceRegistry(
                f"{name}-registry",
                ServiceRegistryArgs(
                    foundation=foundation,
                    name=application.name,
                    settings=made.service_registry,
                    vpc_id=self._network.vpc_id,
                ),
                opts=child,
            )
            if made.service_registry
            else None
        )
        self._service = Service(
            f"{name}-service",
            ServiceArgs(
                foundation=foundation,
                application=application,
                engine=args.engine,
                rollout=args.rollout.with_alarms(self._alarms.names).within(*made.service.healthy_percents),
                hosting=made,
                repository=args.repository,
                further=args.further,
                roles=self._roles,
                log_group=self._logs.name,
                placement=self._placement,
                balancer=balancer,
                registry=registry.arn if registry else None,
                after=(*endpoints, *groups.reaching, *self._alarms.all),
            ),
            opts=child,
        )
        Scaling(
            f"{name}-scaling",
            ScalingArgs(
                foundation=foundation,
                service=self._service.service,
                scaling=made.service.scaling,
                desired_count=application.desired_count,
                balancer=balancer,
            ),
            opts=child,
        )
        self.register_outputs({"serviceUrl": balancer.url if balancer else None})

    def _load_balancer(
        self, name: str, security_group: pulumi.Output[str] | None
    ) -> LoadBalancer | SharedListener | None:
        """Make the load balancer, or a rule on the listener of one that exists, unless the service has none."""
        args, settings = self._args, self._args.hosting.load_balancer
        if settings.existing is not None:
            return SharedListener(
                name,
                SharedListenerArgs(
                    foundation=args.foundation,
                    load_balancer=settings,
                    existing=settings.existing,
                    health_check_path=args.application.health_check_path,
                    vpc_id=self._network.vpc_id,
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
        if security_group is None:
            return None
        child = pulumi.ResourceOptions(parent=self)
        logs = f"{name.removesuffix('-load-balancer')}-access-logs"
        return LoadBalancer(
            name,
            LoadBalancerArgs(
                foundation=args.foundation,
                load_balancer=settings,
                health_check_path=args.application.health_check_path,
                vpc_id=self._network.vpc_id,
                subnets=self._network.balancer_subnets,
                security_group=security_group,
                logs=AccessLogBucket(logs, of_load_balancers(args.foundation), opts=child)
                if settings.access_logs
                else None,
                traffic_switch=args.engine.traffic_switch if args.rollout.shifts_traffic else TrafficSwitch.NOTHING,
            ),
            opts=child,
        )

    @property
    def hosting(self) -> DeploymentTarget:
        """What the stages need to know."""
        foundation, balancer = self._args.foundation, self._balancer
        target = DeploymentTarget(
            account=foundation.account,
            cluster=foundation.prefix,
            service=foundation.prefix,
            family=foundation.prefix,
            execution_role_arn=self._roles.execution_role_arn,
            task_role_arn=self._roles.task_role_arn,
            log_group=self._logs.name,
            reached=self._args.application.reached(self._args.hosting.load_balancer.container),
            healthy_percents=self._args.hosting.service.healthy_percents,
            deregistration_seconds=self._args.hosting.load_balancer.deregistration_seconds,
            grace_period_seconds=self._args.hosting.load_balancer.health_check.grace_period_seconds,
            placement=self._placement,
            service_connect=self._connect.configuration if self._connect else OFF,
            port_names=port_names(self._args.application, self._args.hosting.service_connect),
            infrastructure_role_arn=self._service.infrastructure_role_arn,
            alarms=self._alarms.names,
            ready=(self._service.service, *self._alarms.all, *(self._connect.ready if self._connect else ())),
            needs=(*self._service.needs, *self._network.needs),
            service_linked_roles=(ECS_ROLE, SCALING_ROLE),
            notes=tuple(self._to_open),
        )
        if balancer is None:
            return target
        target = replace(
            target,
            target_groups=tuple(group.name for group in balancer.target_groups),
            service_url=balancer.url,
            users_target_group=balancer.target_groups[0].arn if balancer.further else None,
            service_linked_roles=(ECS_ROLE, LOAD_BALANCING_ROLE, SCALING_ROLE),
        )
        if isinstance(balancer, SharedListener):
            return target
        return replace(
            target,
            production_listener_arn=balancer.production.arn,
            test_listener_arn=balancer.test.arn if balancer.test else None,
            test_url=balancer.test_url,
            listener_urls=balancer.further_urls,
            load_balancer_dns_name=balancer.dns_name,
            load_balancer_zone_id=balancer.zone_id,
            needs=(*self._service.needs, *balancer.needs, *self._network.needs),
            notes=(*balancer.notes, *self._to_open),
        )


def _to_open(file_system: str, tasks: str) -> str:
    """Say what a person has to do before tasks can mount a file system."""
    return (
        f"Let the tasks mount {file_system}: open TCP port {NFS} of its mount targets' security group to {tasks}, "
        "or name that group as securityGroupId of the volume."
    )
