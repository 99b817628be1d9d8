"""Runs a deployed pipeline: stage after stage, the actions of a stage by their run orders, each under its role.

Sources: https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html (runs, execution modes),
https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-retry.html,
https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html and
https://docs.aws.amazon.com/codepipeline/latest/userguide/transitions.html.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.errors import Refusal
from local.rehearsal.deployed import Action, Deployed, Plan
from local.rehearsal.pipeline.action import ActionContext, ActionFailed, ActionProvider
from local.rehearsal.pipeline.execution import ActionRun, Execution, Status
from local.rehearsal.pipeline.store import ArtifactStore, StoreRefused

Watcher = Callable[[Execution, ActionRun | None], None]
"""Called when a run, or one of its actions, has changed."""


class RollbackRefused(Refusal):
    """A stage that cannot go back to a run.

    Attributes:
        code: The error of the API.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PipelineRunner:
    """One deployed pipeline that can be started.

    Attributes:
        deployed: The pipeline.
        version: Its version, which an edit of the pipeline raises.
        store: Its artifact bucket.
        executions: All its runs, the oldest first.
        fault: What went wrong with a run that is nothing of the pipeline's, such as what its watcher raised.
    """

    def __init__(
        self,
        deployed: Deployed,
        providers: Mapping[str, ActionProvider],
        store: ArtifactStore,
        folder: Path,
        watch: Watcher = lambda _execution, _run: None,
    ) -> None:
        """Describe it.

        Args:
            deployed: The pipeline.
            providers: Who carries out actions, by the provider's name in the pipeline's definition.
            store: Its artifact bucket.
            folder: For everything that its actions make.
            watch: Hears of every change, in the thread that makes it.

        Raises:
            Refusal: There is nobody for a provider that the pipeline names.
        """
        missing = sorted({action.provider for action in deployed.actions} - providers.keys())
        if missing:
            raise Refusal(f"{deployed.pipeline}: nobody here carries out actions of {', '.join(missing)}")
        self.deployed = deployed
        self.version = 1
        self.executions: list[Execution] = []
        self.store = store
        self._providers, self._folder, self._watch = providers, folder, watch
        self._doors = _Doors(deployed.execution_mode)
        self._threads: dict[str, threading.Thread] = {}
        self._attempts = itertools.count(1)
        self.fault: Exception | None = None

    def start(
        self,
        trigger: str,
        revisions: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        *,
        until: str = "",
    ) -> Execution:
        """Start a run; it goes on in threads of its own.

        Args:
            trigger: What starts it, in words.
            revisions: Source action -> the revision to take instead of the newest.
            variables: Pipeline variables that differ from their defaults, by name.
            until: The stage or the action after which it ends; by default the last.

        Raises:
            Refusal: The pipeline has no such variable, source action, stage or action.
        """
        plan = self.deployed.up_to(until)
        given = {f"variables.{name}": value for name, value in (variables or {}).items()}
        unknown = sorted(given.keys() - self.deployed.variables.keys())
        sources = {action.name for action in self.deployed.actions if action.category == "Source"}
        unknown += sorted((revisions or {}).keys() - sources)
        if unknown:
            raise Refusal(f"{self.deployed.pipeline} has no {', '.join(unknown)}")
        number = len(self.executions) + 1
        execution = Execution(number=number, trigger=trigger, revisions=dict(revisions or {}), version=self.version)
        execution.variables = {
            **self.deployed.variables,
            **given,
            "codepipeline.PipelineExecutionId": execution.identity,
        }
        self.executions.append(execution)
        return self._go(execution, plan)

    def retry(self, execution: Execution) -> Execution:
        """Run the failed actions of a failed run's stage again, and go on from there.

        Raises:
            Refusal: The run has not failed, or a newer one has been in that stage since.
        """
        if execution.status not in (Status.FAILED, Status.STOPPED):
            raise Refusal(f"run {execution.number} is {execution.status}: only a failed run can be retried")
        newer = self._doors.newest(execution.stage)
        if newer > execution.number:
            raise Refusal(f"run {execution.number} cannot be retried: run {newer} has been in stage {execution.stage}")
        plan = list(self.deployed.stages.items())
        failed = next(number for number, (stage, _) in enumerate(plan) if stage == execution.stage)
        execution.status, execution.ended, execution.reason = Status.IN_PROGRESS, None, ""
        execution.stop_requested.clear()
        return self._go(execution, plan[failed:])

    def roll_back(self, stage: str, target: Execution) -> Execution:
        """Run one stage again with the artifacts and variables of an earlier run that succeeded in it.

        What is refused: https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html,
        https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html and
        https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_RollbackStage.html. Which of two errors an
        edit of the pipeline gives is not documented.

        Raises:
            RollbackRefused: That run did not, there is no such stage, or AWS refuses it otherwise.
        """
        if stage not in self.deployed.stages:
            raise RollbackRefused("StageNotFoundException", f"{self.deployed.pipeline} has no stage {stage}")
        if reason := self._reason_not_to_roll_back(stage, target):
            raise RollbackRefused("UnableToRollbackStageException", reason)
        trigger = f"Rollback of {stage} to run {target.number}"
        execution = Execution(
            number=len(self.executions) + 1,
            trigger=trigger,
            kind="ROLLBACK",
            target=target.identity,
            version=self.version,
        )
        execution.variables = {**target.variables, "codepipeline.PipelineExecutionId": execution.identity}
        execution.artifacts = dict(target.artifacts)
        self.executions.append(execution)
        return self._go(execution, [(stage, self.deployed.stages[stage])])

    def _reason_not_to_roll_back(self, stage: str, target: Execution) -> str:
        actions = [action for group in self.deployed.stages[stage] for action in group]
        ends = {last and last.status for last in (target.last(action.name) for action in actions)}
        run, now = f"run {target.number}", self.version
        reasons = {
            f"{stage} is a source stage, which cannot be rolled back": any(
                action.category == "Source" for action in actions
            ),
            "stage rollback is not available in execution mode PARALLEL": self.deployed.execution_mode == "PARALLEL",
            f"{run} is a rollback itself: go back to the run that it went back to": target.kind == "ROLLBACK",
            f"{run} did not succeed in stage {stage}: there is nothing to go back to": ends != {Status.SUCCEEDED},
            f"{run} is of version {target.version} of the pipeline, which is {now} now": target.version != now,
            f"stage {stage} is currently running": self._doors.is_busy(stage),
        }
        return next((reason for reason, holds in reasons.items() if holds), "")

    def hold(self, stage: str) -> None:
        """Let no run into a stage any more; those that are inside go on, and those that come wait.

        Whether this holds up a rollback of the stage, too, is not documented: here it does.
        """
        self._doors.hold(stage)

    def release(self, stage: str) -> None:
        """Let runs into a stage again."""
        self._doors.release(stage)

    def is_held(self, stage: str) -> bool:
        """Whether runs wait before a stage until it is released."""
        return self._doors.is_held(stage)

    def waiting(self, stage: str) -> list[Execution]:
        """Return the runs that wait before a stage, the oldest first."""
        return self._doors.waiting(stage)

    def stop(self, execution: Execution) -> None:
        """Let a run end; actions that go on are told to."""
        execution.stop_requested.set()
        self._doors.look_again()

    def wait(self, execution: Execution, seconds: float | None = None) -> bool:
        """Wait until a run has ended; False when it has not within so many seconds."""
        thread = self._threads[execution.identity]
        thread.join(seconds)
        return not thread.is_alive()

    def _go(self, execution: Execution, plan: Plan) -> Execution:
        execution.plan = plan
        thread = threading.Thread(target=self._run, args=(execution,), name=f"run {execution.number}")
        self._threads[execution.identity] = thread
        thread.start()
        return execution

    def _run(self, execution: Execution) -> None:
        try:
            self._run_stages(execution)
        except Exception as error:  # noqa: BLE001 - whoever waits for the run must not wait for ever
            self.fault = error
            execution.end(Status.FAILED, f"the rehearsal itself failed: {error!r}")

    def _run_stages(self, execution: Execution) -> None:
        for stage, groups in execution.plan:
            if not self._doors.enter(stage, execution):
                stopped = execution.stop_requested.is_set()
                execution.end(Status.STOPPED if stopped else Status.SUPERSEDED, f"before stage {stage}")
                break
            execution.stage, execution.stages[stage] = stage, Status.IN_PROGRESS
            self._watch(execution, None)
            try:
                failed = self._run_stage(execution, groups)
            finally:
                self._doors.leave(stage, execution)
            execution.stages[stage] = Status.SUCCEEDED
            if failed:
                status = Status.STOPPED if execution.stop_requested.is_set() else Status.FAILED
                execution.stages[stage] = status
                execution.end(status, f"{', '.join(failed)} failed")
                break
        else:
            execution.end(Status.SUCCEEDED)
        self._watch(execution, None)

    def _run_stage(self, execution: Execution, groups: Sequence[Sequence[Action]]) -> list[str]:
        """Run the actions that have not succeeded in this run yet; returns the names of those that failed."""
        for group in groups:
            open_ = [action for action in group if not _succeeded(execution, action)]
            with ThreadPoolExecutor(max_workers=max(1, len(open_))) as threads:
                runs = list(threads.map(lambda action: self._run_action(execution, action), open_))
            failed = [run.action.name for run in runs if run.status != Status.SUCCEEDED]
            if failed or execution.stop_requested.is_set():
                return failed or ["the run was stopped; no action"]
        return []

    def _run_action(self, execution: Execution, action: Action) -> ActionRun:
        run = ActionRun(execution.identity, action)
        with contextlib.suppress(Refusal):  # it fails of that when it is carried out
            run.configuration = action.resolved(execution.variables)
        execution.actions.append(run)
        self._watch(execution, run)
        try:
            self._carry_out(execution, run)
        except ActionFailed as failure:
            run.artifacts = failure.artifacts
            run.end(Status.FAILED, error=str(failure))
        except (StoreRefused, Refusal) as refused:
            run.end(Status.FAILED, error=str(refused))
        except Exception as error:  # noqa: BLE001 - a fault of the rehearsal must be told from one of the delivery, and not be lost
            run.end(Status.FAILED, error=f"The rehearsal itself failed: {error!r}\n{traceback.format_exc()}")
        self._watch(execution, run)
        return run

    def _carry_out(self, execution: Execution, run: ActionRun) -> None:
        action = run.action
        missing = [name for name in action.inputs if name not in execution.artifacts]
        if missing:
            raise ActionFailed(f"There is no artifact {', '.join(missing)} in this run.")
        context = ActionContext(
            deployed=self.deployed,
            run=run,
            configuration=action.resolved(execution.variables),
            variables=dict(execution.variables),
            revision=execution.revisions.get(action.name, ""),
            artifacts={name: execution.artifacts[name] for name in action.inputs},
            to_come=execution.to_come(action),
            store=self.store,
            policies=self.deployed.policies_of(self.deployed.role),
            folder=self._folder / f"{next(self._attempts)}-{action.name}",
            stop=execution.stop_requested,
            changed=lambda: self._watch(execution, run),
        )
        completed = self._providers[action.provider].run(context)
        missing = [name for name in action.outputs if name not in completed.artifacts]
        if missing:
            raise ActionFailed(f"The action has not made its output artifact {', '.join(missing)}.")
        run.variables, run.artifacts = dict(completed.variables), dict(completed.artifacts)
        execution.artifacts.update(completed.artifacts)
        if action.namespace:
            execution.variables |= {f"{action.namespace}.{name}": value for name, value in run.variables.items()}
        run.end(Status.SUCCEEDED, summary=completed.summary)


def _succeeded(execution: Execution, action: Action) -> bool:
    last = execution.last(action.name)
    return last is not None and last.status == Status.SUCCEEDED


class _Doors:
    """Lets runs into stages, one at a time and as the execution mode says.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html: in mode ``SUPERSEDED`` a run
    that waits is replaced by a newer one that arrives; in mode ``QUEUED`` runs wait in the order in which they came; in
    mode ``PARALLEL`` nobody waits. Nobody enters a stage whose inbound transition is disabled.
    """

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._changed = threading.Condition()
        self._inside: dict[str, Execution] = {}
        self._waiting: dict[str, list[Execution]] = {}
        self._newest: dict[str, int] = {}
        self._held: set[str] = set()

    def is_busy(self, stage: str) -> bool:
        """Whether a run is in a stage."""
        return stage in self._inside

    def is_held(self, stage: str) -> bool:
        """Whether nobody enters a stage."""
        return stage in self._held

    def hold(self, stage: str) -> None:
        """Let nobody enter a stage."""
        self._held.add(stage)

    def release(self, stage: str) -> None:
        """Let runs enter a stage again."""
        self._held.discard(stage)
        self.look_again()

    def waiting(self, stage: str) -> list[Execution]:
        """Return those that wait to enter a stage."""
        with self._changed:
            return list(self._waiting.get(stage, ()))

    def newest(self, stage: str) -> int:
        """Return the number of the newest run that has been in a stage; 0 when there was none."""
        return self._newest.get(stage, 0)

    def enter(self, stage: str, execution: Execution) -> bool:
        """Wait for a stage to be free; False when a newer run has taken this one's place, or it is to stop."""
        with self._changed:
            waiting = self._waiting.setdefault(stage, [])
            waiting.append(execution)
            waiting.sort(key=lambda one: one.number)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_decided(stage, execution))
            waiting.remove(execution)
            enters = not self._is_overtaken(stage, execution) and not execution.stop_requested.is_set()
            if enters and self._mode != "PARALLEL":
                self._inside[stage] = execution
            if enters:
                self._newest[stage] = max(self.newest(stage), execution.number)
            self._changed.notify_all()
            return enters

    def leave(self, stage: str, execution: Execution) -> None:
        """Make room for the next one."""
        with self._changed:
            if self._inside.get(stage) is execution:
                del self._inside[stage]
            self._changed.notify_all()

    def look_again(self) -> None:
        """Have those who wait notice that they are to stop."""
        with self._changed:
            self._changed.notify_all()

    def _is_overtaken(self, stage: str, execution: Execution) -> bool:
        waiting = self._waiting[stage]
        return self._mode == "SUPERSEDED" and any(other.number > execution.number for other in waiting)

    def _is_decided(self, stage: str, execution: Execution) -> bool:
        if execution.stop_requested.is_set() or self._is_overtaken(stage, execution):
            return True
        if stage in self._held:
            return False
        return self._mode == "PARALLEL" or (stage not in self._inside and self._waiting[stage][0] is execution)
