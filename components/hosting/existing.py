"""Hosting that somebody else made: named in the stack file, nothing of it is created or changed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_aws import cloudwatch, lb

from components.engines.target import DeploymentTarget
from components.foundation.artifact_bucket import ArtifactBucket
from components.settings.sections.hosting import ExistingSection


@dataclass(frozen=True, kw_only=True, slots=True)
class ExistingHostingArgs:
    """What is there already.

    Attributes:
        existing: The stack file's ``hosting.existing``.
        family: The task definition's family; also names the log group made when none is given.
        artifacts: Gives account and key.
        log_days: Log retention in days, of the log group that is made here for the containers.
        tags: Tags of the log group.
    """

    existing: ExistingSection
    family: str
    artifacts: ArtifactBucket
    log_days: int
    tags: Mapping[str, str]


class ExistingHosting(pulumi.ComponentResource):
    """Turns names into ARNs. Only listeners given by port are looked up: their ARNs do not follow from a name."""

    TYPE: ClassVar[str] = "ecs-delivery:hosting:ExistingHosting"

    hosting: DeploymentTarget
    """What the stages need to know."""

    def __init__(self, name: str, args: ExistingHostingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        existing = args.existing
        account = args.artifacts.account
        balancer = self._load_balancer(existing.load_balancer) if existing.load_balancer else None
        production = existing.listeners.production if existing.listeners else None
        test = existing.listeners.test if existing.listeners else None
        url = _url(existing, balancer)
        self.hosting = DeploymentTarget(
            account=account,
            cluster=existing.cluster,
            service=existing.service,
            family=args.family,
            execution_role_arn=account.role_arn(existing.execution_role),
            task_role_arn=account.role_arn(existing.task_role) if existing.task_role else None,
            log_group=existing.log_group or self._log_group(name, args),
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

    def _log_group(self, name: str, args: ExistingHostingArgs) -> pulumi.Output[str]:
        group = cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/ecs/{args.family}",
            retention_in_days=args.log_days,
            kms_key_id=args.artifacts.key_arn,
            tags=args.tags,
            # CloudWatch Logs tries the key at once, so the key's policy must be there.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.artifacts.key_policy]),
        )
        return group.name


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
