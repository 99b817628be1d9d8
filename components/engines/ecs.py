"""``ecs``: a job of ours registers the task definition, updates the service and follows what ECS makes of it."""

from __future__ import annotations

import json

import pulumi

from components.engines.deployment_configuration import NO_ALARMS, deployment_configuration, pause, stated_configuration
from components.engines.engine import (
    DEPLOY_ACTION,
    MINUTES_TO_ROLL_BACK,
    NAMED_BY_TASK_DEFINITION,
    SERVICE_CONNECT,
    WRITTEN_BY_DEPLOYMENTS,
    Deployment,
    Engine,
    TrafficSwitch,
)
from components.engines.new_version_checks import checks_of
from components.foundation.iam import Statement
from components.jobs.build_project import Wait
from components.pipeline.model import Action, Artifact
from components.pipeline.variables import DELIVERED_IMAGE


def _deploy(deployment: Deployment) -> tuple[tuple[Action, ...], tuple[Statement, ...]]:
    target, rollout = deployment.target, deployment.rollout
    if target.take_over is None:
        configuration = {"alarms": NO_ALARMS, **deployment_configuration(rollout), **pause(rollout)}
    else:  # a service that exists keeps what the stack file does not state
        configuration = stated_configuration(rollout)
    checked, statements = checks_of(deployment)
    wait = Wait.on(
        deployment.context.waiting,
        stated=rollout.timeout_minutes if "timeout_minutes" in rollout.stated else None,
        takes=deployment.minutes_of_ecs,
        otherwise=rollout.timeout_minutes,
        to_end=MINUTES_TO_ROLL_BACK,
    )
    project = deployment.stage.project(
        "deploy-ecs",
        description="Registers the task definition, updates the service and follows the deployment",
        machine=wait.machine,
        reads=(Artifact.DEPLOYMENT,),
        variables={
            "CLUSTER": target.cluster,
            "SERVICE": target.service,
            "DEPLOYMENT_CONFIGURATION": json.dumps(configuration, sort_keys=True),
            "CAPACITY_PROVIDER_STRATEGY": json.dumps(target.placement.strategy) if target.placement else "",
            "SERVICE_CONNECT": pulumi.Output.json_dumps(target.service_connect, sort_keys=True)
            if target.service_connect
            else "",
            "USERS_TARGET_GROUP": target.users_target_group or "",
            "LOG_GROUP": target.log_group,
            "TIMEOUT_MINUTES": str(wait.minutes),
            **checked,
        },
        statements=[
            *target.register_task_definitions(),
            target.read_service(),
            target.read_task_definitions(),
            target.update_service(),
            *target.pass_infrastructure_role(),
            *target.follow_deployments(),
            *target.read_tasks(),
            target.read_log(deployment.container),
            *statements,
            *([target.continue_deployments()] if rollout.test_traffic else []),
        ],
        timeout_minutes=wait.timeout_minutes,
    )
    action = project.action(DEPLOY_ACTION, environment=DELIVERED_IMAGE)
    return (action,), (project.start(),)


ECS = Engine(
    name="ecs",
    moved_by="ECS itself",
    strategies=("rolling", "blueGreen", "canary", "linear"),
    timeout_minutes=60,
    # A CodeBuild action gets 8 hours, less 3 minutes to roll back and 7 to start the build.
    # https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
    longest_timeout_minutes=470,
    options=frozenset({"bake_minutes", "timeout_minutes", "alarms", "test_traffic"}),
    old_tasks_stay="bake_minutes",
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LinearConfiguration.html
    smallest_linear_percent=3,
    longest_interval_minutes=1440,
    controller="ECS",
    traffic_switch=TrafficSwitch.RULES,
    writes=(*WRITTEN_BY_DEPLOYMENTS, *NAMED_BY_TASK_DEFINITION, "alarms", SERVICE_CONNECT),
    # ECS's own deployments with two target groups let them change places.
    writes_when_shifting=(
        "loadBalancers[0].targetGroupArn",
        "loadBalancers[0].advancedConfiguration.alternateTargetGroupArn",
    ),
    deploy=_deploy,
)
