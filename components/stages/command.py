"""A command of the version that is deployed: one task beside the service, before or after the service moves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar, Literal

import pulumi

from components.engines.target import TASK_TAG
from components.foundation.iam import Statement
from components.jobs.build_project import Wait
from components.jobs.job_component import JobComponent
from components.pipeline.model import Action, Artifact
from components.pipeline.variables import DELIVERED_IMAGE
from components.settings.sections.deploy import CommandSection
from components.stages.stage import StageContext

MINUTES_TO_END = 5
"""What the job gets beyond the times of tasks: four to stop one, and one to say why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandTaskArgs:
    """What distinguishes one command from another.

    Attributes:
        when: Whether it runs before or after the service moves.
        command: The words that replace the command of the application's container.
        timeout_minutes: Longest time of the task.
    """

    when: Literal["before", "after"]
    command: tuple[str, ...]
    timeout_minutes: int

    @classmethod
    def wanted(cls, when: Literal["before", "after"], section: CommandSection | None) -> CommandTaskArgs | None:
        """On where the stack file has the section."""
        if section is None:
            return None
        return cls(when=when, command=section.command, timeout_minutes=section.timeout_minutes)


class CommandTask(JobComponent):
    """A job that runs one task of the task definition that is deployed, and waits for its exit code.

    The definition is registered in a family of its own. So no revision of the service's family is there that no service
    is meant to run, the tasks are found by their family, and the job may run nothing else.
    """

    TYPE: ClassVar[str] = "ecs-delivery:index:CommandTask"

    _context: StageContext

    action: Action
    """Runs the task."""
    start: Statement
    """What the pipeline's role needs for it."""

    def __init__(
        self, name: str, args: CommandTaskArgs, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, context, opts)
        target, artifacts = context.hosting, context.artifacts
        # No stack's family has an underscore, so this is the family of no other stack.
        family = f"{target.family}_{args.when}"
        records = f"_tasks/{args.when}"
        # The task of an earlier version may have to end first.
        wait = Wait.on(context.waiting, stated=2 * args.timeout_minutes, to_end=MINUTES_TO_END)
        project = self.project(
            f"run-{args.when}",
            buildspec="run-task",
            description=f"Runs one task of the new version {args.when} the service moves, and waits for its exit code",
            machine=wait.machine,
            reads=(Artifact.DEPLOYMENT,),
            variables={
                "WHEN": args.when,
                "CLUSTER": target.cluster,
                "SERVICE": target.service,
                "FAMILY": family,
                "TASK_TAG": TASK_TAG,
                "COMMAND": json.dumps(args.command),
                "LOG_GROUP": target.log_group,
                "RECORDS": pulumi.Output.concat("s3://", artifacts.name, "/", records),
                "TIMEOUT_MINUTES": str(args.timeout_minutes),
            },
            statements=[
                *target.register_task_definitions(family),
                target.read_service(),
                *target.run_tasks(family),
                *target.read_tasks(),
                target.read_log(context.application.container),
                *artifacts.keep("Records", records),
            ],
            timeout_minutes=wait.timeout_minutes,
        )
        self.action = project.action(f"Run{args.when.capitalize()}Deployment", environment=DELIVERED_IMAGE)
        self.start = project.start()
        self.register_outputs({"family": family})
