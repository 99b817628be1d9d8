"""Hosting that somebody else made: named in the stack file, nothing of it is created or changed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_aws import lb

from components.engines.deployment_group import DeploymentGroup
from components.engines.target import DeploymentTarget, TakeOver
from components.foundation.foundation import Foundation
from components.settings.sections.existing_hosting import ExistingSection


@dataclass(frozen=True, kw_only=True, slots=True)
class ExistingHostingArgs:
    """What is there already.

    Attributes:
        foundation: What the log group is made with; its prefix names the task definition's family.
        existing: The stack file's ``hosting.existing``.
    """

    foundation: Foundation
    existing: ExistingSection


class ExistingHosting(pulumi.ComponentResource):
    """Turns names into ARNs. Only listeners given by port are looked up: their ARNs do not follow from a name."""

    TYPE: ClassVar[str] = "ecs-delivery:hosting:ExistingHosting"

    hosting: DeploymentTarget
    """What the stages need to know."""

    def __init__(self, name: str, args: ExistingHostingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        existing, foundation = args.existing, args.foundation
        account, family, group = foundation.account, foundation.prefix, existing.deployment_group
        balancer = self._load_balancer(existing.load_balancer) if existing.load_balancer else None
        production = existing.listeners.production if existing.listeners else None
        test = existing.listeners.test if existing.listeners else None
        url = _url(existing, balancer)
        self.hosting = DeploymentTarget(
            account=account,
            cluster=existing.cluster,
            service=existing.service,
            family=family,
            execution_role_arn=account.role_arn(existing.execution_role) if existing.execution_role else None,
            task_role_arn=account.role_arn(existing.task_role) if existing.task_role else None,
            log_group=existing.log_group
            # Tasks that are not this stack's may write to it.
            or foundation.log_group(f"{name}-logs", f"/ecs/{foundation.prefix}", self, retained=True).name,
            take_over=TakeOver(file=existing.task_definition_file, agreed=existing.take_over),
            deployment_group=DeploymentGroup(application=group.application, name=group.name) if group else None,
            target_groups=tuple(existing.target_groups),
            production_listener_arn=self._listener(balancer, production),
            test_listener_arn=self._listener(balancer, test),
            service_url=url,
        )
        self.register_outputs({"serviceUrl": url})

    def _load_balancer(self, name: str) -> pulumi.Output[lb.GetLoadBalancerResult]:
        return lb.get_load_balancer_output(name=name, opts=pulumi.InvokeOutputOptions(parent=self))

    def _listener(
        self, balancer: pulumi.Output[lb.GetLoadBalancerResult] | None, listener: int | str | None
    ) -> pulumi.Output[str] | None:
        """The ARN of a listener given as ARN, or as port of the load balancer."""
        if isinstance(listener, str):
            return pulumi.Output.from_input(listener)
        if balancer is None or listener is None:
            return None
        return lb.get_listener_output(
            load_balancer_arn=balancer.arn, port=listener, opts=pulumi.InvokeOutputOptions(parent=self)
        ).arn


def _url(
    existing: ExistingSection, balancer: pulumi.Output[lb.GetLoadBalancerResult] | None
) -> pulumi.Output[str] | None:
    """Where users reach the service: the address given, else the load balancer's own name if it takes plain HTTP."""
    if existing.service_url is not None:
        return pulumi.Output.from_input(existing.service_url.rstrip("/"))
    if balancer is None or not existing.plain_http:
        return None
    port = existing.listeners.production if existing.listeners else 80
    suffix = "" if port == 80 else f":{port}"
    return balancer.apply(lambda found: f"http://{found.dns_name}{suffix}")
