"""A deployed pipeline whose actions do nothing, or what a test wants."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path

from summary import program

from local.rehearsal.deployed import Deployed
from local.rehearsal.pipeline import ActionContext, ArtifactStore, Completed, Execution, PipelineRunner
from local.rehearsal.pipeline.runner import Watcher
from local.rehearsal.pipeline.store import Access

Work = Callable[[ActionContext], Completed]

STORE = ArtifactStore(
    account="123456789012",
    region="eu-west-1",
    as_pipeline=Access(bucket="artifacts", pipeline="shop", role="role", client=None, key="key"),
)
"""Nothing is stored: the actions here only say under which key they would have."""


class Actions:
    """Carries out every action of a pipeline: makes what it is to make, or what a test wants."""

    def __init__(self) -> None:
        self.contexts: dict[str, ActionContext] = {}
        self.work: dict[str, Work] = {}

    def run(self, context: ActionContext) -> Completed:
        name = context.action.name
        self.contexts[name] = context
        if name in self.work:
            return self.work[name](context)
        return made(context)


def made(context: ActionContext) -> Completed:
    """What an action leaves that does all it should."""
    artifacts = {name: f"key/{name}/{context.run.identity}" for name in context.action.outputs}
    variables = {"CommitId": "0123abc", "AuthorDate": "now", "BranchName": "main", "IMAGE_DIGEST": "sha256:1"}
    return Completed(variables={**variables, "ImageDigest": "sha256:2"}, artifacts=artifacts)


class Rehearsed:
    """The pipeline of a stack file, whose actions do nothing."""

    def __init__(
        self, folder: Path, stack: str = "dev", mode: str = "SUPERSEDED", watch: Watcher = lambda _execution, _run: None
    ) -> None:
        graph = copy.deepcopy([resource.as_dict() for resource in program(stack)])
        next(item for item in graph if item["type"].endswith(":Pipeline"))["inputs"]["executionMode"] = mode
        self.deployed = Deployed.of(graph)
        self.actions = Actions()
        providers = {action.provider: self.actions for action in self.deployed.actions}
        self.runner = PipelineRunner(self.deployed, providers, STORE, folder, watch)

    def run(self) -> Execution:
        execution = self.runner.start("a person")
        assert self.runner.wait(execution, 10)
        return execution

    def held(self, action: str) -> Held:
        """Let an action wait."""
        held = Held()
        self.actions.work[action] = held
        return held


class Held:
    """An action that waits for the test, each run for itself."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self._changed = threading.Condition()
        self._released: set[str] = set()

    def __call__(self, context: ActionContext) -> Completed:
        execution = context.run.execution
        with self._changed:
            self.inside.append(execution)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: execution in self._released, 10)
        return made(context)

    def wait_for(self, *executions: Execution) -> None:
        with self._changed:
            wanted = {execution.identity for execution in executions}
            assert self._changed.wait_for(lambda: wanted <= set(self.inside), 10)

    def release(self, *executions: Execution) -> None:
        with self._changed:
            self._released |= {execution.identity for execution in executions}
            self._changed.notify_all()
