"""``codeDeploy``: CodeDeploy starts the new tasks beside the old ones and turns the listeners to them."""

from __future__ import annotations

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
from components.jobs.build_project import BuildProject, Wait
from components.pipeline.delivery_pipeline import follow_run
from components.pipeline.model import RUN, Action, Artifact, Category, Provider

WATCH_ACTION = "WatchDeployment"
CODE_DEPLOY_WAITS_MINUTES = 60
"""How long CodeDeploy waits for the new tasks to be healthy.

https://docs.aws.amazon.com/codedeploy/latest/userguide/troubleshooting-ecs.html
"""


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
    prefix = context.foundation.prefix
    checked, statements = checks_of(deployment)
    wait = Wait.on(
        context.waiting,
        stated=None,
        takes=deployment.minutes_to_decide,
        otherwise=CODE_DEPLOY_WAITS_MINUTES,
        to_end=MINUTES_TO_ROLL_BACK,
    )
    return deployment.stage.project(
        "watch-deployment",
        description="Shows what becomes of the new tasks, and stops a deployment whose tasks keep failing",
        machine=wait.machine,
        reads=(Artifact.DEPLOYMENT,),
        variables={
            "PIPELINE": prefix,
            "DEPLOY_ACTION": DEPLOY_ACTION,
            "WATCH_ACTION": WATCH_ACTION,
            "CLUSTER": target.cluster,
            "SERVICE": target.service,
            "LOG_GROUP": target.log_group,
            "MINUTES": str(wait.minutes),
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
        timeout_minutes=wait.timeout_minutes,
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
