"""Deploy: the service moves to the new image, by one of three engines; static files around it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

import pulumi

from components.engines.code_deploy_group import CodeDeploy, CodeDeployArgs, TrafficShift
from components.engines.deployment_configuration import deployment_configuration
from components.foundation.iam import Statement
from components.jobs.build_project import PATIENT, BuildProject
from components.pipeline.delivery_pipeline import follow_run
from components.pipeline.model import RUN, Action, Artifact, Category, Provider
from components.settings import DeploySection, Settings
from components.settings.sections.deploy import Engine
from components.stages.stage import Stage, StageContext
from components.stages.static_files import StaticFiles, StaticFilesArgs
from components.stages.variables import DELIVERED_IMAGE

DEPLOY_ACTION = "DeployService"
WATCH_ACTION = "WatchDeployment"
MINUTES_TO_ROLL_BACK = 5
"""What a job gets beyond its own timeout, to roll the service back and to say why."""
QUICK_MINUTES = 12
"""How long a job on a Lambda machine, which ends after 15 minutes, may watch."""
CODE_DEPLOY_WAITS_MINUTES = 60
"""How long CodeDeploy waits for the new tasks to be healthy.

https://docs.aws.amazon.com/codedeploy/latest/userguide/troubleshooting-ecs.html
"""
MINUTES_TO_START = 2
"""What a task on Fargate takes until its health checks begin to count: a machine, the image, the first checks."""


def minutes_to_decide(desired_count: int, grace_period_seconds: int) -> int:
    """Return how long it takes until as many tasks have failed their health checks as stop a deployment.

    Three tasks at least, or half of them all; one that fails is started again. The rule is that of the deployment
    circuit breaker: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html

    Args:
        desired_count: Number of tasks that start side by side.
        grace_period_seconds: How long a starting task may fail its health checks.
    """
    rounds = math.ceil(max(3, desired_count / 2) / desired_count)
    return math.ceil(rounds * (MINUTES_TO_START + grace_period_seconds / 60))


class DeployStage(Stage):
    """Moves the service to the new task definition; the old one serves until the new one is healthy."""

    TYPE: ClassVar[str] = "ecs-delivery:stage:Deploy"
    NAME: ClassVar[str] = "Deploy"

    def __init__(
        self, name: str, args: DeploySection, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        engine: Mapping[Engine, Callable[[DeploySection], tuple[tuple[Action, ...], tuple[Statement, ...]]]] = {
            "codeDeploy": self._with_code_deploy,
            "ecs": self._with_ecs,
            "ecsAction": self._with_ecs_action,
        }
        deployed, grants = engine[args.engine](args)
        self.actions, self.grants = deployed, grants
        if (wanted := StaticFilesArgs.wanted(args.static_files)) is not None:
            files = StaticFiles(f"{name}-static-files", wanted, context, pulumi.ResourceOptions(parent=self))
            after = len(files.before) + 1
            moved = (replace(action, run_order=after) for action in deployed)
            self.actions = (*files.before, *moved, files.prune(after + 1))
            self.grants = (*files.grants, *grants)
        self.register_outputs({"engine": args.engine})

    @classmethod
    def wanted(cls, settings: Settings) -> DeploySection:
        """Every pipeline deploys."""
        return settings.deploy

    def _with_code_deploy(self, args: DeploySection) -> tuple[tuple[Action, ...], tuple[Statement, ...]]:
        context = self._context
        strategy, step = args.effective_strategy, args.effective_step
        code_deploy = CodeDeploy(
            f"{self._name}-code-deploy",
            CodeDeployArgs(
                foundation=context.foundation,
                hosting=context.hosting,
                shift=TrafficShift(strategy=strategy, percent=step.percent, interval_minutes=step.interval_minutes)
                if step
                else TrafficShift(strategy="allAtOnce"),
                termination_wait_minutes=args.termination_wait_minutes,
                alarms=(*args.alarms, *context.hosting.alarms),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        action = Action(
            name=DEPLOY_ACTION,
            category=Category.DEPLOY,
            provider=Provider.CODEDEPLOY_TO_ECS,
            configuration={
                "ApplicationName": code_deploy.application_name,
                "DeploymentGroupName": code_deploy.deployment_group_name,
                "TaskDefinitionTemplateArtifact": Artifact.DEPLOYMENT.value,
                "TaskDefinitionTemplatePath": "taskdef.json",
                "AppSpecTemplateArtifact": Artifact.DEPLOYMENT.value,
                "AppSpecTemplatePath": "appspec.yaml",
            },
            reads=(Artifact.DEPLOYMENT,),
        )
        watch = self._watch(code_deploy)
        watching = watch.action(WATCH_ACTION, reads=(Artifact.DEPLOYMENT,), environment={"PIPELINE_EXECUTION_ID": RUN})
        grants = (*code_deploy.deploy(), *context.hosting.register_task_definitions(), watch.start())
        return (action, watching), grants

    def _watch(self, code_deploy: CodeDeploy) -> BuildProject:
        """Make the job that runs beside CodeDeploy's own action: that one says little, and gives up after an hour."""
        context, hosting = self._context, self._context.hosting
        grace = hosting.grace_period_seconds
        known = grace is not None and minutes_to_decide(context.application.desired_count, grace) <= QUICK_MINUTES
        # It runs for minutes beside other jobs: a size that none of them has, and so a quota of its own.
        machine = context.quick.with_memory(4) if known else PATIENT
        minutes = QUICK_MINUTES if machine.is_lambda else CODE_DEPLOY_WAITS_MINUTES
        return self.project(
            "watch-deployment",
            description="Shows what becomes of the new tasks, and stops a deployment whose tasks keep failing",
            machine=machine,
            variables={
                "PIPELINE": context.foundation.prefix,
                "DEPLOY_ACTION": DEPLOY_ACTION,
                "WATCH_ACTION": WATCH_ACTION,
                "CLUSTER": hosting.cluster,
                "SERVICE": hosting.service,
                "LOG_GROUP": hosting.log_group,
                "MINUTES": str(minutes),
            },
            statements=[
                follow_run(context.foundation.prefix, hosting.account),
                hosting.read_service(),
                *hosting.read_tasks(),
                hosting.read_log(context.application.container),
                *code_deploy.stop(),
            ],
            timeout_minutes=minutes + MINUTES_TO_ROLL_BACK,
        )

    def _with_ecs(self, args: DeploySection) -> tuple[tuple[Action, ...], tuple[Statement, ...]]:
        hosting = self._context.hosting
        project: BuildProject = self.project(
            "deploy-ecs",
            description="Registers the task definition, updates the service and follows the deployment",
            machine=PATIENT,
            variables={
                "CLUSTER": hosting.cluster,
                "SERVICE": hosting.service,
                "DEPLOYMENT_CONFIGURATION": json.dumps(deployment_configuration(args, hosting.alarms), sort_keys=True),
                "LOG_GROUP": hosting.log_group,
                "TIMEOUT_MINUTES": str(args.effective_timeout_minutes),
            },
            statements=[
                *hosting.register_task_definitions(),
                hosting.read_service(),
                hosting.read_task_definitions(),
                hosting.update_service(),
                *hosting.follow_deployments(),
                *hosting.read_tasks(),
                hosting.read_log(self._context.application.container),
            ],
            timeout_minutes=args.effective_timeout_minutes + MINUTES_TO_ROLL_BACK,
        )
        action = project.action(DEPLOY_ACTION, reads=(Artifact.DEPLOYMENT,), environment=DELIVERED_IMAGE)
        return (action,), (project.start(),)

    def _with_ecs_action(self, args: DeploySection) -> tuple[tuple[Action, ...], tuple[Statement, ...]]:
        hosting = self._context.hosting
        minutes = args.effective_timeout_minutes
        action = Action(
            name=DEPLOY_ACTION,
            category=Category.DEPLOY,
            provider=Provider.ECS,
            configuration={
                "ClusterName": hosting.cluster,
                "ServiceName": hosting.service,
                "FileName": "imagedefinitions.json",
                "DeploymentTimeout": str(minutes),
            },
            reads=(Artifact.DEPLOYMENT,),
        )
        # https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECS.html
        grants = (
            hosting.read_service(),
            hosting.update_service(),
            hosting.read_task_definitions(),
            *hosting.read_tasks(),
            *hosting.register_task_definitions(),
        )
        return (action,), grants
