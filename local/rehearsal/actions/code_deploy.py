"""CodePipeline's action that has CodeDeploy deploy to Amazon ECS.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECSbluegreen.html
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass

from local.rehearsal.app_spec import AppSpecProblem, task_set_of
from local.rehearsal.code_deploy import BlueGreen, CodeDeploy
from local.rehearsal.ecs import Ecs
from local.rehearsal.emulated import Need, Refused
from local.rehearsal.pipeline.action import ActionContext, ActionFailed, Completed

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeDeployToEcs:
    """CodeDeploy and the service that it deploys."""

    ecs: Ecs
    code_deploy: CodeDeploy

    def run(self, context: ActionContext) -> Completed:
        """Register the task definition of the artifact, deploy it, and wait until that is over."""
        self._demand(context)
        given = context.configuration
        definition = json.loads(
            context.read(
                given["TaskDefinitionTemplateArtifact"], given.get("TaskDefinitionTemplatePath", "taskdef.json")
            )
        )
        app_spec = context.read(given["AppSpecTemplateArtifact"], given.get("AppSpecTemplatePath", "appspec.yaml"))
        try:
            placed = task_set_of(app_spec, definition)
        except AppSpecProblem as problem:
            raise ActionFailed(f"The AppSpec file is not valid: {problem}.") from None
        over = threading.Event()
        try:
            registered = self.ecs.call("RegisterTaskDefinition", definition, context.by)["taskDefinition"]
            revision = registered["taskDefinitionArn"]
            context.say(f"Registered {revision.rpartition('/')[2]}")
            made = self.code_deploy.deploy(revision, lambda _made: over.set(), placed)
        except Refused as refused:
            raise ActionFailed(f"{refused.code}: {refused.message}") from None
        context.known_as(made.identity)
        context.say(f"Started the deployment {made.identity}")
        while not over.wait(_LOOK_SECONDS):
            if context.stop.is_set():
                with contextlib.suppress(Refused):  # it has just ended
                    self.code_deploy.owner("StopDeployment", deploymentId=made.identity, autoRollbackEnabled=True)
        return _outcome(context, made)

    @staticmethod
    def _demand(context: ActionContext) -> None:
        """What CodePipeline asks of its role beside the task definition.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html
        """
        application, group = (context.configuration[key] for key in ("ApplicationName", "DeploymentGroupName"))
        prefix = f"arn:aws:codedeploy:{context.store.region}:{context.store.account}"
        context.demand(
            Need("codedeploy:GetApplication", f"{prefix}:application:{application}"),
            Need("codedeploy:RegisterApplicationRevision", f"{prefix}:application:{application}"),
            Need("codedeploy:GetApplicationRevision", f"{prefix}:application:{application}"),
            Need("codedeploy:CreateDeployment", f"{prefix}:deploymentgroup:{application}/{group}"),
            Need("codedeploy:GetDeployment", f"{prefix}:deploymentgroup:{application}/{group}"),
        )


def _outcome(context: ActionContext, made: BlueGreen) -> Completed:
    context.say(f"The deployment {made.identity} is {made.status}")
    if made.status != "Succeeded":
        raise ActionFailed(f"{made.error.get('code', made.status)}: {made.error.get('message', '')}".strip())
    return Completed(summary=f"deployment {made.identity} succeeded", variables={"DeploymentId": made.identity})
