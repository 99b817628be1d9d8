"""``codeDeploy``: CodeDeploy starts the new tasks beside the old ones and turns the listeners to them."""

from __future__ import annotations

import math

import pulumi

from components.engines.code_deploy_group import CodeDeploy, CodeDeployArgs
from components.engines.deployment_group import CONTINUE_DEPLOYMENTS, DeploymentGroup
from components.engines.engine import (
    DEPLOY_ACTION,
    MINUTES_TO_ROLL_BACK,
    WRITTEN_BY_DEPLOYMENTS,
    Deployment,
    Engine,
    TrafficSwitch,
)
from components.engines.new_version_checks import checks_of
from components.foundation.iam import Statement
from components.jobs.build_project import LONG_RUNNING, BuildProject
from components.pipeline.delivery_pipeline import follow_run
from components.pipeline.model import RUN, Action, Artifact, Category, Provider

WATCH_ACTION = "WatchDeployment"
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


def _group(deployment: Deployment) -> tuple[DeploymentGroup, pulumi.Input[str], pulumi.Input[str]]:
    """The service's own deployment group, or one that is made for it; and the names that wait for it."""
    named = deployment.target.deployment_group
    if named is not None:
        return named, named.application, named.name
    made = CodeDeploy(
        f"{deployment.name}-code-deploy",
        CodeDeployArgs(foundation=deployment.context.foundation, target=deployment.target, rollout=deployment.rollout),
        opts=pulumi.ResourceOptions(parent=deployment.stage),
    )
    return made.group, made.application_name, made.deployment_group_name


def _deploy(deployment: Deployment) -> tuple[tuple[Action, ...], tuple[Statement, ...]]:
    group, application_name, group_name = _group(deployment)
    action = Action(
        name=DEPLOY_ACTION,
        category=Category.DEPLOY,
        provider=Provider.CODEDEPLOY_TO_ECS,
        configuration={
            "ApplicationName": application_name,
            "DeploymentGroupName": group_name,
            "TaskDefinitionTemplateArtifact": Artifact.DEPLOYMENT.value,
            "TaskDefinitionTemplatePath": "taskdef.json",
            "AppSpecTemplateArtifact": Artifact.DEPLOYMENT.value,
            "AppSpecTemplatePath": "appspec.yaml",
        },
        reads=(Artifact.DEPLOYMENT,),
    )
    watch = _watch(deployment, group)
    watching = watch.action(WATCH_ACTION, environment={"PIPELINE_EXECUTION_ID": RUN})
    grants = (*group.deploy(deployment.target.account), *deployment.target.register_task_definitions(), watch.start())
    return (action, watching), grants


def _watch(deployment: Deployment, group: DeploymentGroup) -> BuildProject:
    """Make the job that runs beside CodeDeploy's own action: that one says little, and gives up after an hour."""
    target, context = deployment.target, deployment.context
    prefix, grace = context.foundation.prefix, target.grace_period_seconds
    checked, statements = checks_of(deployment)
    checking = deployment.rollout.test_traffic.minutes if deployment.rollout.test_traffic else 0
    known = grace is not None and minutes_to_decide(deployment.desired_count, grace) + checking <= QUICK_MINUTES
    # It runs for minutes beside other jobs: a size that none of them has, and so a quota of its own.
    machine = context.quick.with_memory(4) if known else LONG_RUNNING
    minutes = QUICK_MINUTES if machine.is_lambda else CODE_DEPLOY_WAITS_MINUTES
    return deployment.stage.project(
        "watch-deployment",
        description="Shows what becomes of the new tasks, and stops a deployment whose tasks keep failing",
        machine=machine,
        reads=(Artifact.DEPLOYMENT,),
        variables={
            "PIPELINE": prefix,
            "DEPLOY_ACTION": DEPLOY_ACTION,
            "WATCH_ACTION": WATCH_ACTION,
            "CLUSTER": target.cluster,
            "SERVICE": target.service,
            "LOG_GROUP": target.log_group,
            "MINUTES": str(minutes),
            **checked,
        },
        statements=[
            follow_run(prefix, target.account),
            target.read_service(),
            *target.read_tasks(),
            target.read_log(deployment.container),
            *group.stop(target.account),
            *([CONTINUE_DEPLOYMENTS, *statements] if checked else []),
        ],
        timeout_minutes=minutes + MINUTES_TO_ROLL_BACK,
    )


CODE_DEPLOY = Engine(
    name="codeDeploy",
    moved_by="CodeDeploy",
    strategies=("allAtOnce", "canary", "linear"),
    # CodePipeline gives CodeDeploy five days and takes no other number.
    # https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
    timeout_minutes=5 * 24 * 60,
    longest_timeout_minutes=5 * 24 * 60,
    options=frozenset({"termination_wait_minutes", "alarms", "test_traffic"}),
    old_tasks_stay="termination_wait_minutes",
    # https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
    longest_shift_minutes=2880,
    controller="CODE_DEPLOY",
    traffic_switch=TrafficSwitch.LISTENERS,
    writes=(
        *WRITTEN_BY_DEPLOYMENTS,
        # What belongs to a task set: the service shows the one of the last deployment, and refuses it in an update.
        # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
        "loadBalancers",
        "networkConfiguration",
        "launchType",
        # No deployment writes it, but that page does not have it among what may be updated with this controller.
        "enableExecuteCommand",
    ),
    # https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
    one_at_a_time=True,
    deploy=_deploy,
)
