"""Delivery: settings -> hosting -> stages -> pipeline. One application in one environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.foundation.account_needs import AccountNeeds
from components.foundation.artifact_bucket import ArtifactBucket
from components.foundation.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.foundation.foundation import Foundation
from components.foundation.open_steps import open_steps
from components.foundation.tags import standard_tags
from components.hosting import NewHostingArgs, hosting_of
from components.hosting.task_definition_template import TaskDefinitionTemplate, TaskDefinitionTemplateArgs
from components.images.registry import Registry
from components.jobs.build_project import quick_machine, transfer_machine, waiting_machine
from components.jobs.bundle import JobBundle
from components.notifications import (
    Messenger,
    MessengerArgs,
    NotificationTopic,
    NotificationTopicArgs,
    StatusReporter,
    StatusReporterArgs,
)
from components.pipeline.connection import connection_of
from components.pipeline.delivery_pipeline import DeliveryPipeline, DeliveryPipelineArgs
from components.pipeline.model import ExecutionMode, PipelineModel
from components.settings import Settings
from components.stages import StageContext
from components.stages.deploy import DeployStage
from components.stages.source import SourceStage
from components.stages.wanted import wanted_of


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryArgs:
    """One application in one environment.

    Attributes:
        settings: The checked stack file.
        stack: The stack's name, for example ``dev``, or ``shop-dev`` where a clone serves several applications.
        region: ``aws:region`` of the stack file. ``None`` when it comes from elsewhere, such as ``AWS_REGION``: it is
            known only when deploying then, and jobs run on ordinary machines, since not every region has Lambda ones.
    """

    settings: Settings
    stack: str
    region: str | None = None

    @property
    def environment(self) -> str:
        """The environment, for example ``dev``."""
        return self.settings.application.environment_of(self.stack)


class Delivery(pulumi.ComponentResource):
    """Everything between a commit and the running service."""

    TYPE: ClassVar[str] = "ecs-delivery:index:Delivery"

    def __init__(self, name: str, args: DeliveryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        settings = args.settings
        foundation = self._foundation(name, args)
        wanted = wanted_of(settings, foundation)
        self._artifacts = artifacts = ArtifactBucket(
            f"{name}-artifacts", foundation, opts=child, access_logs=settings.retention.artifact_access_logs
        )
        self._registry = Registry(f"{name}-registry", wanted.registry, opts=child)
        self._topic = (
            NotificationTopic(
                f"{name}-notifications",
                NotificationTopicArgs(
                    foundation=foundation,
                    notifications=settings.notifications,
                    tells_of_alarms=settings.tells_of_alarms,
                ),
                opts=child,
            )
            if settings.notifications.enabled
            else None
        )
        self._hosting = hosting_of(
            f"{name}-hosting",
            NewHostingArgs(
                foundation=foundation,
                application=settings.application,
                engine=settings.deploy.chosen_engine,
                rollout=settings.deploy.rollout,
                hosting=settings.hosting,
                repository=self._registry.app,
                further=self._registry.further,
                alarm_topic=self._topic if settings.tells_of_alarms else None,
            ),
            opts=child,
        )
        template = TaskDefinitionTemplate(
            f"{name}-task-definition",
            TaskDefinitionTemplateArgs(
                foundation=foundation, application=settings.application, hosting=self._hosting, artifacts=artifacts
            ),
            opts=child,
        )
        context = StageContext(
            name=name,
            foundation=foundation,
            application=settings.application,
            artifacts=artifacts,
            jobs=JobBundle(f"{name}-jobs", artifacts, opts=child),
            connection=connection_of(f"{name}-source-connection", wanted.connection, opts=self._once_of_source(name))
            if wanted.connection
            else None,
            registry=self._registry,
            hosting=self._hosting,
            task_definition=template.uri,
            quick=quick_machine(args.region),
            transfer=transfer_machine(args.region),
            waiting=waiting_machine(args.region),
            parallel_jobs=settings.pipeline.parallel_jobs,
        )
        stages = [stage(f"{name}-{stage.slug()}", given, context, child) for stage, given in wanted.stages]
        model = PipelineModel(
            name=foundation.prefix,
            execution_mode=ExecutionMode[settings.pipeline.execution_mode.upper()],
            stages=tuple(stage.model for stage in stages),
            parallel_jobs=settings.pipeline.parallel_jobs,
        )
        reporter = (
            StatusReporter(
                f"{name}-github-status",
                StatusReporterArgs(
                    foundation=foundation,
                    environment=args.environment,
                    pipeline=model.name,
                    api_url=shown.api_url,
                    repository=shown.repository,
                    token=shown.token,
                    commit_status=shown.commit_status,
                    deploy_stage=DeployStage.NAME if shown.deployments else None,
                    github_environment=shown.environment or args.environment,
                    service_url=self._hosting.service_url,
                    topic=self._topic,
                ),
                opts=child,
            )
            if (shown := wanted.statuses)
            else None
        )
        self._needs = AccountNeeds(
            builds=model.builds_at_once,
            each_run=model.execution_mode is ExecutionMode.PARALLEL,
            hosting=self._hosting.needs,
            roles=self._hosting.service_linked_roles,
        )
        self._next_steps = open_steps(
            *(note for stage in stages for note in stage.notes),
            *self._hosting.notes,
            *self._registry.guard([pusher for stage in stages for pusher in stage.pushers]),
            *(self._topic.notes if self._topic else ()),
            *([reporter.note] if reporter else ()),
            *self._needs.requests(foundation.region),
        )
        self._pipeline = DeliveryPipeline(
            f"{name}-delivery",
            DeliveryPipelineArgs(
                foundation=foundation,
                model=model,
                grants=[statement for stage in stages for statement in stage.grants],
                artifacts=artifacts,
                after=self._hosting.ready,
            ),
            opts=child,
        )
        if self._topic:
            Messenger(
                f"{name}-messenger",
                MessengerArgs(
                    foundation=foundation,
                    application=settings.application.name,
                    environment=args.environment,
                    pipeline=model,
                    events=settings.notifications.events,
                    topic=self._topic,
                ),
                opts=child,
            )
        self.register_outputs(self.outputs)

    @property
    def outputs(self) -> dict[str, pulumi.Input[object]]:
        """What the stack exports, by name."""
        registry, hosting = self._registry, self._hosting
        outputs: dict[str, pulumi.Input[object] | None] = {
            "pipelineName": self._pipeline.name,
            "pipelineUrl": self._pipeline.console_url,
            "artifactBucket": self._artifacts.name,
            "repositoryUrl": registry.app.uri,
            "smokeTestRepositoryUrl": registry.smoke_test.uri if registry.smoke_test else None,
            "promotionRoleArn": registry.promotion_role_arn,
            "serviceUrl": hosting.service_url,
            "listenerUrls": dict(hosting.listener_urls) or None,
            "taskRoleArn": hosting.task_role_arn if hosting.take_over is None else None,
            "taskSecurityGroupId": hosting.placement.security_group if hosting.placement else None,
            "loadBalancerDnsName": hosting.load_balancer_dns_name,
            "loadBalancerZoneId": hosting.load_balancer_zone_id,
            "notificationTopicArn": self._topic.arn if self._topic else None,
            "accountNeeds": self._needs.lines,
            "nextSteps": self._next_steps,
        }
        return {key: value for key, value in outputs.items() if value is not None}

    def _foundation(self, name: str, args: DeliveryArgs) -> Foundation:
        settings, retention = args.settings, args.settings.retention
        prefix = settings.application.prefix_in(args.stack)
        tags = standard_tags(application=settings.application.name, environment=args.environment)
        # It belonged to the artifact bucket once. Replaced, it would take everything with it that it encrypts.
        formerly = pulumi.create_urn(f"{name}-artifacts", ArtifactBucket.TYPE, parent=self), f"{name}-artifacts-key"
        key = EncryptionKey(
            f"{name}-encryption",
            EncryptionKeyArgs(
                prefix=prefix,
                protect=retention.protect,
                tags=tags,
                formerly=formerly,
                encrypts_alarms=settings.tells_of_alarms and settings.notifications.topic_arn is None,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return Foundation(
            prefix=prefix,
            stack=args.stack,
            region=args.region or key.account.region,
            key=key,
            tags=tags,
            log_days=retention.log_days,
            artifact_days=retention.artifact_days,
            images=retention.images,
            protect=retention.protect,
            permissions_boundary=settings.pipeline.permissions_boundary,
        )

    def _once_of_source(self, name: str) -> pulumi.ResourceOptions:
        """Options of the connection, which belonged to the source stage before builds used it too.

        Replaced, it would wait for a handshake again.
        """
        stage = pulumi.create_urn(f"{name}-{SourceStage.slug()}", SourceStage.TYPE, parent=self)
        return pulumi.ResourceOptions(parent=self, aliases=[pulumi.Alias(parent=stage)])
