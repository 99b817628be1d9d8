"""``ecsAction``: CodePipeline's own Amazon ECS action, which puts the new image into the running task definition."""

from __future__ import annotations

from components.engines.engine import (
    DEPLOY_ACTION,
    NAMED_BY_TASK_DEFINITION,
    WRITTEN_BY_DEPLOYMENTS,
    Deployment,
    Engine,
    TrafficSwitch,
)
from components.foundation.iam import Statement
from components.pipeline.model import Action, Artifact, Category, Provider


def _deploy(deployment: Deployment) -> tuple[tuple[Action, ...], tuple[Statement, ...]]:
    target = deployment.target
    action = Action(
        name=DEPLOY_ACTION,
        category=Category.DEPLOY,
        provider=Provider.ECS,
        configuration={
            "ClusterName": target.cluster,
            "ServiceName": target.service,
            "FileName": "imagedefinitions.json",
            "DeploymentTimeout": str(deployment.rollout.timeout_minutes),
        },
        reads=(Artifact.DEPLOYMENT,),
    )
    # https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECS.html
    grants = (
        target.read_service(),
        target.update_service(),
        target.read_task_definitions(),
        *target.read_tasks(),
        *target.register_task_definitions(None if target.take_over is None else "*"),
    )
    return (action,), grants


ECS_ACTION = Engine(
    name="ecsAction",
    moved_by="CodePipeline's own Amazon ECS action",
    strategies=("rolling",),
    # https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
    timeout_minutes=30,
    longest_timeout_minutes=60,
    options=frozenset({"timeout_minutes"}),
    controller="ECS",
    traffic_switch=TrafficSwitch.NOTHING,
    # The alarms: those that another engine has left; AWS's provider cannot take them away (own_deployments).
    writes=(*WRITTEN_BY_DEPLOYMENTS, *NAMED_BY_TASK_DEFINITION, "alarms"),
    ships_image_only=True,
    deploy=_deploy,
)
