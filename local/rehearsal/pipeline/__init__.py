"""Runs a deployed pipeline: runs, stages, actions, artifacts, variables, triggers."""

from local.rehearsal.pipeline.action import ActionContext, ActionFailed, ActionProvider, Completed
from local.rehearsal.pipeline.execution import ActionRun, Execution, Status
from local.rehearsal.pipeline.runner import PipelineRunner, RollbackRefused
from local.rehearsal.pipeline.store import ArtifactStore

__all__ = [
    "ActionContext",
    "ActionFailed",
    "ActionProvider",
    "ActionRun",
    "ArtifactStore",
    "Completed",
    "Execution",
    "PipelineRunner",
    "RollbackRefused",
    "Status",
]
