"""A person's yes before the deployment, with what it changes of what runs."""

from __future__ import annotations

from typing import ClassVar

import pulumi

from components.foundation.iam import Statement
from components.jobs.job_component import JobComponent
from components.pipeline.model import Action, Artifact, variable
from components.pipeline.variables import BUILD_IMAGE, DELIVERED_IMAGE
from components.settings.sections.approval import ApprovalSection
from components.stages.approval import ManualApproval
from components.stages.stage import StageContext

REVIEW = "ReviewDeployment"
"""The action that looks at what runs, and the namespace of what it exports."""


class DeploymentReview(JobComponent):
    """A job that says what the deployment changes, and the approval that asks with its words.

    The job is in the stage that deploys: a stage works on one run at a time, so that nothing of this pipeline moves the
    service between the review and the deployment. Nobody has to approve what cannot be deployed.
    """

    TYPE: ClassVar[str] = "ecs-delivery:index:DeploymentReview"

    _context: StageContext

    steps: tuple[tuple[Action, ...], ...]
    """What is done one after the other."""
    grants: tuple[Statement, ...]
    """What the pipeline's role needs for it."""

    def __init__(
        self, name: str, approval: ApprovalSection, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, context, opts)
        target = context.hosting
        project = self.project(
            "review-deployment",
            description="Says what a deployment changes of what runs, for the person who approves it",
            machine=context.quick,
            reads=(Artifact.DEPLOYMENT,),
            variables={"CLUSTER": target.cluster, "SERVICE": target.service},
            statements=[target.read_service(), target.read_task_definitions(), context.registry.app.describe()],
        )
        review = project.action(REVIEW, environment=DELIVERED_IMAGE)
        asking = ManualApproval(
            "ApproveDeployment",
            approval,
            question=(
                f"Deploy version {variable(BUILD_IMAGE, 'IMAGE_VERSION')} ({variable(BUILD_IMAGE, 'IMAGE_DIGEST')}) "
                f"to {target.service}? It replaces {variable(REVIEW, 'RUNNING')}. "
                f"Of the task definition it changes {variable(REVIEW, 'CHANGES')}. "
                f"Commits: {variable(REVIEW, 'COMMITS')}"
            ),
            link=variable(REVIEW, "REVIEW_URL"),
            sid="AskForDeployment",
        )
        self.steps = ((review,), *((action,) for action in asking.actions))
        self.grants = (project.start(), *asking.grants)
        self.register_outputs({"action": REVIEW})
