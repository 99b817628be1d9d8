"""Deploy: the service moves to the new image, by the stack file's engine; static files around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pulumi

from components.engines import Engine, Rollout
from components.engines.engine import Deployment
from components.settings import DeploySection
from components.stages.stage import SharedFacts, Stage, StageContext
from components.stages.static_files import StaticFiles, StaticFilesArgs


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployStageArgs:
    """What the stage needs of the stack file.

    Attributes:
        engine: What deploys.
        rollout: How the service moves.
        static_files: What is published around it; ``None`` for nothing.
    """

    engine: Engine
    rollout: Rollout
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
        self.actions, self.grants = deployed, grants
        if args.static_files is not None:
            files = StaticFiles(f"{name}-static-files", args.static_files, context, pulumi.ResourceOptions(parent=self))
            after = len(files.before) + 1
            moved = (replace(action, run_order=after) for action in deployed)
            self.actions = (*files.before, *moved, files.prune(after + 1))
            self.grants = (*files.grants, *grants)
        self.register_outputs({"engine": args.engine.name})

    @classmethod
    def wanted(cls, section: DeploySection, shared: SharedFacts) -> DeployStageArgs:
        """Every pipeline deploys."""
        return DeployStageArgs(
            engine=shared.engine,
            rollout=section.rollout,
            static_files=StaticFilesArgs.wanted(section.static_files),
        )
