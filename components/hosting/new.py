"""Hosting made from nothing: network, load balancer, cluster, service, scaling, alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pulumi
from pulumi_aws import cloudwatch

from components.engines import DeploymentTarget, Engine, Rollout, TrafficSwitch
from components.foundation.account_needs import ECS_ROLE, LOAD_BALANCING_ROLE, SCALING_ROLE
from components.foundation.foundation import Foundation
from components.hosting.access_log_bucket import AccessLogBucket
from components.hosting.alarms import Alarms, AlarmsArgs
from components.hosting.bootstrap import bootstrap_definition, first_definition
from components.hosting.endpoints import Endpoints, EndpointsArgs
from components.hosting.load_balancer import LoadBalancer, LoadBalancerArgs
from components.hosting.network import Network, NetworkArgs
from components.hosting.scaling import Scaling, ScalingArgs
from components.hosting.security_groups import SecurityGroups, SecurityGroupsArgs
from components.hosting.service import Service, ServiceArgs
from components.hosting.task_definition import TaskSurroundings
from components.hosting.task_roles import TaskRoles, TaskRolesArgs
from components.images.repository import Repository
from components.settings import ApplicationSection, HostingSection
from components.settings.sections.hosting import HTTP_PORT


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
    """

    foundation: Foundation
    application: ApplicationSection
    engine: Engine
    rollout: Rollout
    hosting: HostingSection
    repository: Repository


class NewHosting(pulumi.ComponentResource):
    """From an empty account to a service that answers, before the first image is built."""

    TYPE: ClassVar[str] = "ecs-delivery:hosting:MadeHosting"

    hosting: DeploymentTarget
    """What the stages need to know."""

    def __init__(self, name: str, args: NewHostingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        foundation, made = args.foundation, args.hosting
        network = Network(
            f"{name}-network",
            NetworkArgs(foundation=foundation, network=made.network, internal=made.load_balancer.internal),
            opts=self._child,
        )
        groups = SecurityGroups(
            f"{name}-groups",
            SecurityGroupsArgs(
                foundation=foundation,
                vpc_id=network.vpc_id,
                ports=self._ports,
                allowed_cidrs=made.load_balancer.allowed_cidrs,
            ),
            opts=self._child,
        )
        logs = foundation.log_group(f"{name}-logs", f"/ecs/{foundation.prefix}", self)
        roles = self._roles(logs)
        balancer = self._balancer(network, groups)
        alarms = self._alarms(balancer)
        endpoints = self._endpoints(network, groups)
        service = Service(
            f"{name}-service",
            ServiceArgs(
                foundation=foundation,
                application=args.application,
                engine=args.engine,
                rollout=args.rollout.with_alarms(alarms.names if alarms else ()),
                service=made.service,
                grace_period_seconds=made.load_balancer.health_check.grace_period_seconds,
                definition=self._first_definition(roles, logs),
                subnets=network.task_subnets,
                public_ip=made.network.tasks_in_public,
                security_group=groups.tasks,
                balancer=balancer,
                after=(*roles.policies, *endpoints, *(alarms.all if alarms else ())),
            ),
            opts=self._child,
        )
        self._scaling(service, balancer)
        self.hosting = DeploymentTarget(
            account=foundation.account,
            cluster=foundation.prefix,
            service=foundation.prefix,
            family=foundation.prefix,
            execution_role_arn=roles.execution_role_arn,
            task_role_arn=roles.task_role_arn,
            log_group=logs.name,
            target_groups=tuple(group.name for group in balancer.target_groups),
            production_listener_arn=balancer.production.arn,
            test_listener_arn=balancer.test.arn if balancer.test else None,
            service_url=balancer.url,
            grace_period_seconds=made.load_balancer.health_check.grace_period_seconds,
            alarms=alarms.names if alarms else (),
            ready=(service.service, *(alarms.all if alarms else ())),
            load_balancer_dns_name=balancer.dns_name,
            load_balancer_zone_id=balancer.zone_id,
            needs=(*service.needs, *balancer.needs, *network.needs),
            service_linked_roles=(ECS_ROLE, LOAD_BALANCING_ROLE, SCALING_ROLE),
            notes=balancer.notes,
        )
        self.register_outputs({"serviceUrl": balancer.url})

    @property
    def _shifts(self) -> bool:
        return self._args.rollout.shifts_traffic

    @property
    def _ports(self) -> list[int]:
        """Every port the load balancer listens on."""
        balancer = self._args.hosting.load_balancer
        ports = [balancer.production_port]
        if balancer.certificate_arn:
            ports.append(HTTP_PORT)
        if self._shifts:
            ports.append(balancer.effective_test_port)
        return ports

    def _roles(self, logs: cloudwatch.LogGroup) -> TaskRoles:
        args = self._args
        return TaskRoles(
            f"{self._name}-roles",
            TaskRolesArgs(
                foundation=args.foundation,
                repository=args.repository,
                log_group_arn=logs.arn,
                secrets=tuple(args.application.secrets.values()),
                task_role=args.hosting.service.task_role,
                exec=args.hosting.service.exec,
            ),
            opts=self._child,
        )

    def _balancer(self, network: Network, groups: SecurityGroups) -> LoadBalancer:
        args, logs = self._args, None
        if args.hosting.load_balancer.access_logs:
            logs = AccessLogBucket(f"{self._name}-access-logs", args.foundation, opts=self._child)
        return LoadBalancer(
            f"{self._name}-load-balancer",
            LoadBalancerArgs(
                foundation=args.foundation,
                load_balancer=args.hosting.load_balancer,
                health_check_path=args.application.health_check_path,
                vpc_id=network.vpc_id,
                subnets=network.balancer_subnets,
                security_group=groups.balancer,
                logs=logs,
                traffic_switch=args.engine.traffic_switch if self._shifts else TrafficSwitch.NOTHING,
            ),
            opts=self._child,
        )

    def _alarms(self, balancer: LoadBalancer) -> Alarms | None:
        settings = self._args.hosting.alarms
        if not settings.enabled:
            return None
        return Alarms(
            f"{self._name}-alarms",
            AlarmsArgs(foundation=self._args.foundation, alarms=settings, balancer=balancer),
            opts=self._child,
        )

    def _endpoints(self, network: Network, groups: SecurityGroups) -> tuple[pulumi.Resource, ...]:
        args = self._args
        if not args.hosting.network.needs_endpoints:
            return ()
        made = Endpoints(
            f"{self._name}-endpoints",
            EndpointsArgs(
                foundation=args.foundation,
                network=network,
                tasks=groups.tasks,
                secrets=tuple(args.application.secrets.values()),
                exec=args.hosting.service.exec,
            ),
            opts=self._child,
        )
        return tuple(made.all)

    def _first_definition(self, roles: TaskRoles, logs: cloudwatch.LogGroup) -> pulumi.Output[dict[str, Any]]:
        """What the service runs first: an answer to the health check, or what its engine can start from."""
        args, application = self._args, self._args.application
        from_template = args.engine.ships_image_only
        exec_ = args.hosting.service.exec

        def render(known: Mapping[str, str]) -> dict[str, Any]:
            surroundings = TaskSurroundings(
                family=args.foundation.prefix,
                execution_role_arn=known["execution_role_arn"],
                task_role_arn=known["task_role_arn"],
                log_group=known["log_group"],
                region=known["region"],
                tags=args.foundation.tags,
            )
            if from_template:
                return first_definition(application, surroundings, known["repository"])
            return bootstrap_definition(application, surroundings, exec_=exec_)

        return pulumi.Output.all(
            execution_role_arn=roles.execution_role_arn,
            task_role_arn=roles.task_role_arn,
            log_group=logs.name,
            region=args.foundation.account.region,
            repository=args.repository.uri,
        ).apply(render)

    def _scaling(self, service: Service, balancer: LoadBalancer) -> None:
        args = self._args
        Scaling(
            f"{self._name}-scaling",
            ScalingArgs(
                foundation=args.foundation,
                service=service.service,
                scaling=args.hosting.service.scaling,
                desired_count=args.application.desired_count,
                balancer=balancer,
            ),
            opts=self._child,
        )
