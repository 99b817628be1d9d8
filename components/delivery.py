"""Delivery: settings -> hosting -> stages -> pipeline. One application in one environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.foundation.account_needs import AccountNeeds
from components.foundation.artifact_bucket import ArtifactBucket, ArtifactBucketArgs
from components.foundation.commands import aws_command
from components.foundation.tags import standard_tags
from components.hosting import NewHostingArgs, hosting_of
from components.hosting.task_definition_template import TaskDefinitionTemplate, TaskDefinitionTemplateArgs
from components.images.registry import Registry, RegistryArgs
from components.jobs.build_project import quick_machine, transfer_machine
from components.jobs.bundle import JobBundle, JobBundleArgs
from components.pipeline.connection import connection_of
from components.pipeline.delivery_pipeline import DeliveryPipeline, DeliveryPipelineArgs
from components.pipeline.model import ExecutionMode, PipelineModel, builds_at_once
from components.settings import Settings
from components.stages import STAGES, StageContext
from components.stages.source import SourceStage


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryArgs:
    """One application in one environment.

    Attributes:
        settings: The checked stack file.
        environment: The stack's name, for example ``dev``.
        region: ``aws:region``; ``None`` when it comes from elsewhere, so that nothing here may depend on it.
    """

    settings: Settings
    environment: str
    region: str | None = None


class Delivery(pulumi.ComponentResource):
    """Everything between a commit and the running service."""

    TYPE: ClassVar[str] = "ecs-delivery:index:Delivery"

    outputs: dict[str, pulumi.Input[object]]
    """What the stack exports, by name."""

    def __init__(self, name: str, args: DeliveryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        settings = args.settings
        prefix = f"{settings.application.name}-{args.environment}"
        tags = standard_tags(application=settings.application.name, environment=args.environment)
        artifacts = ArtifactBucket(
            f"{name}-artifacts",
            ArtifactBucketArgs(
                pipeline_name=prefix,
                expire_after_days=settings.retention.artifact_days,
                protect=settings.retention.protect,
                tags=tags,
            ),
            opts=child,
        )
        registry = Registry(
            f"{name}-registry",
            RegistryArgs(settings=settings, prefix=prefix, artifacts=artifacts, tags=tags),
            opts=child,
        )
        connection = None
        if settings.source.github is not None:
            called = f"{name}-source-connection"
            before = [self._connection_in_the_source_stage(called, name)]
            opts_of_connection = pulumi.ResourceOptions(parent=self, aliases=before)
            connection = connection_of(
                called, settings.source.github, prefix=prefix, tags=tags, opts=opts_of_connection
            )
        hosting = hosting_of(
            f"{name}-hosting",
            NewHostingArgs(settings=settings, prefix=prefix, artifacts=artifacts, repository=registry.app, tags=tags),
            opts=child,
        )
        template = TaskDefinitionTemplate(
            f"{name}-task-definition",
            TaskDefinitionTemplateArgs(
                application=settings.application, hosting=hosting, artifacts=artifacts, tags=tags
            ),
            opts=child,
        )
        region = args.region or artifacts.account.region
        context = StageContext(
            name=name,
            prefix=prefix,
            application=settings.application,
            artifacts=artifacts,
            jobs=JobBundle(f"{name}-jobs", JobBundleArgs(artifacts=artifacts, tags=tags), opts=child),
            connection=connection,
            registry=registry,
            hosting=hosting,
            task_definition=template.uri,
            region=region,
            quick=quick_machine(args.region),
            transfer=transfer_machine(args.region),
            parallel_jobs=settings.pipeline.parallel_jobs,
            log_days=settings.retention.log_days,
            tags=tags,
        )
        stages = [
            stage(f"{name}-{stage.slug()}", wanted, context, child)
            for stage in STAGES
            if (wanted := stage.wanted(settings)) is not None
        ]
        model = PipelineModel(
            name=prefix,
            execution_mode=ExecutionMode[settings.pipeline.execution_mode.upper()],
            stages=tuple(stage.model for stage in stages),
            parallel_jobs=settings.pipeline.parallel_jobs,
        )
        pipeline = DeliveryPipeline(
            f"{name}-delivery",
            DeliveryPipelineArgs(
                model=model,
                grants=[statement for stage in stages for statement in stage.grants],
                artifacts=artifacts,
                tags=tags,
                after=hosting.ready,
            ),
            opts=child,
        )
        needs = AccountNeeds(
            builds=builds_at_once(model),
            each_run=model.execution_mode is ExecutionMode.PARALLEL,
            hosting=hosting.needs,
            roles=hosting.service_linked_roles,
        )
        notes = [*(note for stage in stages for note in stage.notes), *hosting.notes, *_requests(needs, region)]
        outputs: dict[str, pulumi.Input[object] | None] = {
            "pipelineName": pipeline.name,
            "pipelineUrl": pipeline.console_url,
            "artifactBucket": artifacts.name,
            "repositoryUrl": registry.app.uri,
            "smokeTestRepositoryUrl": registry.smoke_test.uri if registry.smoke_test else None,
            "promotionRoleArn": registry.promotion_role_arn,
            "serviceUrl": hosting.service_url,
            "loadBalancerDnsName": hosting.load_balancer_dns_name,
            "loadBalancerZoneId": hosting.load_balancer_zone_id,
            "accountNeeds": needs.lines,
            "nextSteps": notes,
        }
        self.outputs = {key: value for key, value in outputs.items() if value is not None}
        self.register_outputs(self.outputs)

    def _connection_in_the_source_stage(self, connection: str, name: str) -> pulumi.Output[str]:
        """Where the connection was before builds used it too; replaced, it would wait for a handshake again."""
        stage = pulumi.create_urn(f"{name}-{SourceStage.slug()}", SourceStage.TYPE, parent=self)
        return pulumi.create_urn(connection, "aws:codeconnections/connection:Connection", parent=stage)


def _requests(needs: AccountNeeds, region: pulumi.Input[str]) -> list[pulumi.Output[str]]:
    """Return how to raise each quota of which a new account has too little, for two stacks like this one."""
    return [
        pulumi.Output.concat(
            f"Quota {need.quota.name}: a new account has {need.quota.default}, this stack takes up to "
            f"{need.amount:g}, two stacks like it {need.desired}. Where you need more than the account has, ask AWS: ",
            aws_command(
                "service-quotas",
                "request-service-quota-increase",
                region=region,
                service_code=need.quota.service,
                quota_code=need.quota.code,
                desired_value=str(need.desired),
            ),
        )
        for need in needs.needs
        if need.asks
    ]
