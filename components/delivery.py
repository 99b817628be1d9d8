"""Delivery: settings -> hosting -> stages -> pipeline. One application in one environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pulumi

from components.foundation.account_needs import AccountNeeds
from components.foundation.artifact_bucket import ArtifactBucket
from components.foundation.commands import aws_command
from components.foundation.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.foundation.foundation import Foundation
from components.foundation.tags import standard_tags
from components.hosting import NewHostingArgs, hosting_of
from components.hosting.task_definition_template import TaskDefinitionTemplate, TaskDefinitionTemplateArgs
from components.images.registry import Registry, RegistryArgs, WatchedRepository
from components.jobs.build_project import quick_machine, transfer_machine
from components.jobs.bundle import JobBundle
from components.pipeline.connection import Connection, ConnectionArgs, connection_of
from components.pipeline.delivery_pipeline import DeliveryPipeline, DeliveryPipelineArgs
from components.pipeline.model import ExecutionMode, PipelineModel, builds_at_once
from components.settings import Settings
from components.settings.sections.source import GithubSection
from components.stages import STAGES, SharedFacts, Stage, StageContext
from components.stages.source import SourceStage
from components.stages.stage import ArgsT


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryArgs:
    """One application in one environment.

    Attributes:
        settings: The checked stack file.
        environment: The stack's name, for example ``dev``.
        region: ``aws:region`` of the stack file. ``None`` when it comes from elsewhere, such as ``AWS_REGION``: it is
            known only when deploying then, and jobs run on ordinary machines, since not every region has Lambda ones.
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
        foundation = self._foundation(name, args)
        artifacts = ArtifactBucket(f"{name}-artifacts", foundation, opts=child)
        registry = Registry(f"{name}-registry", registry_args(settings, foundation), opts=child)
        hosting = hosting_of(
            f"{name}-hosting",
            NewHostingArgs(
                foundation=foundation,
                application=settings.application,
                engine=settings.deploy.chosen_engine,
                rollout=settings.deploy.rollout,
                hosting=settings.hosting,
                repository=registry.app,
            ),
            opts=child,
        )
        template = TaskDefinitionTemplate(
            f"{name}-task-definition",
            TaskDefinitionTemplateArgs(
                foundation=foundation, application=settings.application, hosting=hosting, artifacts=artifacts
            ),
            opts=child,
        )
        context = StageContext(
            name=name,
            foundation=foundation,
            application=settings.application,
            artifacts=artifacts,
            jobs=JobBundle(f"{name}-jobs", artifacts, opts=child),
            connection=self._connection(name, settings.source.github, foundation),
            registry=registry,
            hosting=hosting,
            task_definition=template.uri,
            quick=quick_machine(args.region),
            transfer=transfer_machine(args.region),
            parallel_jobs=settings.pipeline.parallel_jobs,
        )
        stages = [
            stage(f"{name}-{stage.slug()}", wanted, context, child)
            for stage in STAGES
            if (wanted := args_of(stage, settings)) is not None
        ]
        model = PipelineModel(
            name=foundation.prefix,
            execution_mode=ExecutionMode[settings.pipeline.execution_mode.upper()],
            stages=tuple(stage.model for stage in stages),
            parallel_jobs=settings.pipeline.parallel_jobs,
        )
        pipeline = DeliveryPipeline(
            f"{name}-delivery",
            DeliveryPipelineArgs(
                foundation=foundation,
                model=model,
                grants=[statement for stage in stages for statement in stage.grants],
                artifacts=artifacts,
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
        notes = [
            *(note for stage in stages for note in stage.notes),
            *hosting.notes,
            *_quota_notes(needs, foundation.region),
        ]
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

    def _foundation(self, name: str, args: DeliveryArgs) -> Foundation:
        settings, retention = args.settings, args.settings.retention
        prefix = f"{settings.application.name}-{args.environment}"
        tags = standard_tags(application=settings.application.name, environment=args.environment)
        # It belonged to the artifact bucket once. Replaced, it would take everything with it that it encrypts.
        formerly = pulumi.create_urn(f"{name}-artifacts", ArtifactBucket.TYPE, parent=self), f"{name}-artifacts-key"
        key = EncryptionKey(
            f"{name}-encryption",
            EncryptionKeyArgs(prefix=prefix, protect=retention.protect, tags=tags, formerly=formerly),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return Foundation(
            prefix=prefix,
            region=args.region or key.account.region,
            key=key,
            tags=tags,
            log_days=retention.log_days,
            artifact_days=retention.artifact_days,
            images=retention.images,
            protect=retention.protect,
        )

    def _connection(self, name: str, github: GithubSection | None, foundation: Foundation) -> Connection | None:
        if github is None:
            return None
        # It belonged to the source stage before builds used it too. Replaced, it would wait for a handshake again.
        stage = pulumi.create_urn(f"{name}-{SourceStage.slug()}", SourceStage.TYPE, parent=self)
        return connection_of(
            f"{name}-source-connection",
            connection_args(github, foundation),
            opts=pulumi.ResourceOptions(parent=self, aliases=[pulumi.Alias(parent=stage)]),
        )


def args_of(stage: type[Stage[Any, ArgsT]], settings: Settings) -> ArgsT | None:
    """Return the arguments of a stage; ``None`` when the stack file leaves it off."""
    return stage.wanted(getattr(settings, stage.SECTION), shared_facts(settings))


def shared_facts(settings: Settings) -> SharedFacts:
    """Return what every stage may know of a stack file."""
    github, release = settings.source.github, settings.release
    return SharedFacts(
        repository=github.repository if github else None,
        engine=settings.deploy.chosen_engine,
        release_tag_prefix=release.tag_prefix if release.enabled else None,
        plain_http=settings.hosting.plain_http,
    )


def connection_args(github: GithubSection, foundation: Foundation) -> ConnectionArgs:
    """Return how a stack file's code is reached."""
    return ConnectionArgs(
        foundation=foundation,
        repository=github.repository,
        connection_arn=github.connection_arn,
        submodules=github.submodules,
        full_clone=github.full_clone,
    )


def registry_args(settings: Settings, foundation: Foundation) -> RegistryArgs:
    """Return which repositories a stack file asks for."""
    ecr = settings.source.ecr
    return RegistryArgs(
        foundation=foundation,
        build_into=settings.build.repository_for(foundation.prefix) if settings.has_code else None,
        smoke_test=settings.smoke_test_enabled,
        watched=WatchedRepository(name=ecr.repository, channel=ecr.tag, create=ecr.create, promoters=ecr.promoters)
        if ecr
        else None,
    )


def _quota_notes(needs: AccountNeeds, region: pulumi.Input[str]) -> list[pulumi.Output[str]]:
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
