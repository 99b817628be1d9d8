"""Deploy: the service moves to the new image, by the stack file's engine; commands and static files around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.engines import Engine, Rollout
from components.engines.engine import Deployment
from components.pipeline.model import Action, in_a_row
from components.settings import DeploySection
from components.settings.sections.approval import ApprovalSection
from components.stages.command import CommandTask, CommandTaskArgs
from components.stages.review import DeploymentReview
from components.stages.stage import SharedFacts, Stage, StageContext
from components.stages.static_files import StaticFiles, StaticFilesArgs


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployStageArgs:
    """What the stage needs of the stack file.

    Attributes:
        engine: What deploys.
        rollout: How the service moves.
        approval: A person's yes before anything is done; ``None`` for none.
        before: The command that runs before it does; ``None`` for none.
        after: The command that runs when it has; ``None`` for none.
        static_files: What is published around it; ``None`` for nothing.
    """

    engine: Engine
    rollout: Rollout
    approval: ApprovalSection | None
    before: CommandTaskArgs | None
    after: CommandTaskArgs | None
    static_files: StaticFilesArgs | None


class DeployStage(Stage[DeploySection, DeployStageArgs]):
    """Moves the service to the new task definition; the old one serves until the new one is healthy."""

    TYPE: ClassVar[str] = "ecs-delivery:stage:Deploy"
    NAME: ClassVar[str] = "Deploy"
    SECTION: ClassVar[str] = "deploy"

    def __init__(
        self, name: str, args: DeployStageArgs, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        deployment = Deployment(
            name=name,
            stage=self,
            context=context,
            target=context.hosting,
            rollout=args.rollout.with_alarms(context.hosting.alarms).within(*context.hosting.healthy_percents),
            container=context.application.container,
            desired_count=context.application.desired_count,
        )
        deployed, grants = args.engine.deploy(deployment)
        child = pulumi.ResourceOptions(parent=self)
        steps: list[tuple[Action, ...]] = [deployed]
        for command in (args.before, args.after):
            if command is not None:
                task = CommandTask(f"{name}-{command.when}", command, context, child)
                steps.insert(0 if command is args.before else len(steps), (task.action,))
                grants += (task.start,)
        if args.static_files is not None:
            files = StaticFiles(f"{name}-static-files", args.static_files, context, child)
            steps = [*((action,) for action in files.publish), *steps, (files.prune,)]
            grants = (*files.grants, *grants)
        if args.approval is not None:
            review = DeploymentReview(f"{name}-review", args.approval, context, child)
            steps = [*review.steps, *steps]
            grants = (*review.grants, *grants)
        self.actions, self.grants = in_a_row(steps), grants
        self.register_outputs({"engine": args.engine.name})

    @classmethod
    def wanted(cls, section: DeploySection, shared: SharedFacts) -> DeployStageArgs:
        """Every pipeline deploys."""
        return DeployStageArgs(
            engine=shared.engine,
            rollout=section.rollout,
            approval=section.approval if section.approval.enabled else None,
            before=CommandTaskArgs.wanted("before", section.before),
            after=CommandTaskArgs.wanted("after", section.after),
            static_files=StaticFilesArgs.wanted(section.static_files),
        )
