"""`python -m local rollback`: the stage that deploys goes back to an earlier version, and stays there."""

from __future__ import annotations

import argparse
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from local.errors import Refusal
from local.rehearsal.report.words import clock
from local.rollback.pipeline import ApiRefusal, Json, UserPipeline
from local.rollback.versions import LISTED, STAGE, History, Version, other_way

PAGE = "docs/operations.md#go-back-to-an-earlier-version"
_PAUSE = 2.0
"""Seconds between two looks at the run."""
_ENDED = ("Succeeded", "Failed", "Stopped", "Superseded", "Cancelled")
_RUNS = ("InProgress", "Stopping")
_NOT_IN_A_REASON = re.compile(r"[^a-zA-Z0-9!@ ().*?\-]")
"""What the reason of a disabled transition cannot have.

https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_DisableStageTransition.html
"""


def rollback(options: argparse.Namespace, stack_file: Path) -> int:
    """Go back.

    Args:
        options: What was typed.
        stack_file: The stack's settings, which say where its pipeline is.

    Returns:
        0 if the version serves, and newer ones wait unless they are not to; 1 if not.

    Raises:
        Refusal: Something has to be put right first; nothing was changed.
    """
    from components.settings import SettingsError, load_settings, load_stack_file  # noqa: PLC0415 - takes time

    try:
        values = load_stack_file(stack_file)
        settings = load_settings(values, stack=options.stack)
    except SettingsError as error:
        raise Refusal(str(error)) from None
    if settings.pipeline.execution_mode == "parallel":
        raise Refusal(
            f"Pulumi.{options.stack}.yaml: ecs-delivery:pipeline.executionMode is parallel, and CodePipeline goes back "
            "in no such pipeline. Deliver the version again, or set queued or superseded: "
            "https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html"
        )
    name = settings.application.prefix_in(options.stack)
    pipeline = UserPipeline(name, str(values.get("aws:region") or ""), show=_say)
    command = Command(pipeline, options.stack, settings.retention.artifact_days, ask=not options.yes)
    if options.list:
        return command.show()
    if options.resume:
        return command.resume()
    return command.go_back(options.version, hold=not options.no_hold)


class Command:
    """What is done with one pipeline."""

    def __init__(self, pipeline: UserPipeline, stack: str, artifact_days: int, *, ask: bool) -> None:
        """Describe it.

        Args:
            pipeline: The pipeline.
            stack: The stack's name.
            artifact_days: Days after which artifacts are deleted.
            ask: Whether somebody is asked before anything is changed.
        """
        self._pipeline, self._stack, self._days, self._ask = pipeline, stack, artifact_days, ask
        self._door: Json = {"pipelineName": pipeline.name, "stageName": STAGE, "transitionType": "Inbound"}

    def show(self) -> int:
        """Print what can be gone back to."""
        history = History(self._pipeline)
        serving = history.serving.run if history.serving else ""
        if history.serving is not None:
            _say(f"{self._pipeline.name} serves {history.serving}.")
        _say("Of the pipeline's current version: version, begin of its run, commit, run.")
        for version in islice(history.candidates(), LISTED):
            commit, serves = version.commit[:7] or "-", "  <- serves" if version.run == serving else ""
            _say(f"{version.name:<28} {version.started:%Y-%m-%d %H:%M %Z}  {commit:<7}  {version.run}{serves}")
        return 0

    def go_back(self, given: str, *, hold: bool) -> int:
        """Go back to a version, or to the one before, and follow the run to its end."""
        state = self._pipeline.stage(STAGE)
        latest: Json = state.get("latestExecution", {})
        if latest.get("status") in _RUNS:
            raise Refusal(self._busy(latest["pipelineExecutionId"]))
        history = History(self._pipeline)
        target = history.named(given) if given else history.before()
        was_held = not state.get("inboundTransitionState", {}).get("enabled", True)
        if was_held:
            self._refuse_those_who_wait(state)
        self._announce(target, history.serving, str(latest.get("status", "")))
        self._confirm("Go back")
        started = time.monotonic()
        if was_held:
            self._pipeline.ask("EnableStageTransition", **self._door)
        run = self._roll_back(target)
        is_held = hold and self._hold(run, target)
        succeeded = self._follow(run, started)
        if succeeded:
            _say(f"{target.name} serves, {clock(time.monotonic() - started)} after the request.")
        else:
            failed = "was not deployed as it should be. Where the deployment failed, the version before keeps serving."
            _say(f"{target.name} {failed}{other_way(self._pipeline, target)}")
        if is_held:
            _say(f"Newer versions wait before stage {STAGE} until you let them in: {self._to_resume}")
        if history.serving is not None:
            self._warn_of(history.serving)
        return 0 if succeeded and is_held == hold else 1

    def resume(self) -> int:
        """Let newer versions in again."""
        state = self._pipeline.stage(STAGE)
        transition = state.get("inboundTransitionState", {})
        if transition.get("enabled", True):
            _say(f"{self._pipeline.name} is not held: the next run deploys.")
            return 0
        _say(f"{self._pipeline.name} is held: {transition.get('disabledReason', 'no reason is given')}")
        waiting = _waiting(state)
        for run in waiting:
            _say(f"Run {run} waits, and is let in.")
        self._confirm("Let newer versions in")
        self._pipeline.ask("EnableStageTransition", **self._door)
        _say(f"The {'run that waits' if waiting else 'next run'} deploys: {self._pipeline.url}")
        return 0

    @property
    def _to_resume(self) -> str:
        line = self._pipeline.line("EnableStageTransition", **self._door)
        return f"make rollback STACK={self._stack} ARGS=--resume, or\n    {line}"

    def _announce(self, target: Version, serving: Version | None, last: str) -> None:
        name = self._pipeline.name
        if last == "Failed":
            _say(f"The last run of stage {STAGE} has failed.")
        if serving is not None and serving.run == target.run:
            raise Refusal(f"{name} serves {target.name} already: there is nothing to go back to.")
        if serving is not None:
            _say(f"{name} serves {serving}.")
        _say(f"It goes back to {target}: stage {STAGE} runs again with what that run has left, an approval included.")
        if datetime.now(UTC) - target.started > timedelta(days=self._days):
            _say(f"That run is older than retention.artifactDays ({self._days}): what it has left may be gone.")

    def _roll_back(self, target: Version) -> str:
        asked: Json = {"pipelineName": self._pipeline.name, "stageName": STAGE, "targetPipelineExecutionId": target.run}
        try:
            return str(self._pipeline.ask("RollbackStage", **asked)["pipelineExecutionId"])
        except ApiRefusal as refused:
            if refused.code not in ("UnableToRollbackStageException", "PipelineExecutionOutdatedException"):
                raise
            raise Refusal(f"{refused}{other_way(self._pipeline, target)}") from None

    def _hold(self, run: str, target: Version) -> bool:
        """Let no other run in, as soon as this one is in the stage: before that, it might be held up itself."""
        while self._status(run) not in _ENDED:
            if self._pipeline.stage(STAGE, again=True).get("latestExecution", {}).get("pipelineExecutionId") == run:
                break
            time.sleep(_PAUSE)
        reason = _NOT_IN_A_REASON.sub("-", f"Rolled back to {target.name}. Newer versions wait.")
        try:
            self._pipeline.ask("DisableStageTransition", **self._door, reason=reason)
        except Refusal as refused:
            _say(f"{refused}\nThe next run deploys over the version that comes back.", error=True)
            return False
        return True

    def _follow(self, run: str, started: float) -> bool:
        """Show what the run does until it has ended; returns whether it has succeeded."""
        shown: dict[str, str] = {}
        try:
            while True:
                status = self._status(run)
                for action in reversed(self._pipeline.actions(run, again=True)):
                    if shown.get(action["actionExecutionId"]) != action["status"]:
                        shown[action["actionExecutionId"]] = action["status"]
                        _say(f"{clock(time.monotonic() - started):>7}  {self._told(action)}")
                if status in _ENDED:
                    return status == "Succeeded"
                time.sleep(_PAUSE)
        except (KeyboardInterrupt, Refusal):
            _say(f"Run {run} goes on in AWS: {self._pipeline.url}", error=True)
            raise

    def _told(self, action: Json) -> str:
        name, status = action["actionName"], action["status"]
        said = action.get("output", {}).get("executionResult", {}).get("errorDetails", {}).get("message", "")
        if status == "InProgress" and action["input"]["actionTypeId"]["category"] == "Approval":
            return f"{name} waits for a person: {self._pipeline.url}"
        return f"{name} {status}{f': {said}' if said else ''}"

    def _status(self, run: str) -> str:
        asked: Json = {"pipelineName": self._pipeline.name, "pipelineExecutionId": run}
        answer = self._pipeline.ask("GetPipelineExecution", again=True, **asked)
        return str(answer["pipelineExecution"]["status"])

    def _warn_of(self, left: Version) -> None:
        """Say what else a run can do that was gone back from: its later stages know nothing of the rollback."""
        status = self._status(left.run)
        if status in _RUNS:
            _say(f"Run {left.run} goes on, and may hand {left.name} on. Stop it: {self._to_stop(left.run)}")
        elif status in ("Failed", "Stopped"):
            _say(
                f"Do not retry run {left.run}: its later stages would test the version that serves now, "
                f"and then promote or release {left.name}."
            )

    def _refuse_those_who_wait(self, state: Json) -> None:
        """The stage has to be opened for the rollback: whether AWS lets one into a held stage is not documented."""
        if waiting := _waiting(state):
            stops = "".join(f"\n    {self._to_stop(run)}" for run in waiting)
            raise Refusal(
                f"{self._pipeline.name}: stage {STAGE} is held, and before it waits run {', '.join(waiting)}, "
                f"which would be let in with the version that comes back. Stop it first:{stops}"
            )

    def _to_stop(self, run: str) -> str:
        asked: Json = {"pipelineName": self._pipeline.name, "pipelineExecutionId": run}
        return self._pipeline.line("StopPipelineExecution", **asked)

    def _busy(self, run: str) -> str:
        deployments = [
            str(action.get("output", {}).get("executionResult", {}).get("externalExecutionId", ""))
            for action in self._pipeline.actions(run)
            if action["status"] == "InProgress" and action["input"]["actionTypeId"]["provider"] == "CodeDeployToECS"
        ]
        stop = f"aws deploy stop-deployment --auto-rollback-enabled --region {self._pipeline.region} --deployment-id"
        line = next((f": {stop} {each}" for each in deployments if each), f", as {PAGE} says")
        return (
            f"{self._pipeline.name}: run {run} is in stage {STAGE}, and CodePipeline goes back in no stage that runs. "
            "Wait for its end, or stop its deployment, which leaves users with the version that it was to "
            f"replace{line}"
        )

    def _confirm(self, question: str) -> None:
        if not self._ask:
            return
        if not sys.stdin.isatty():
            raise Refusal("Nobody is here to be asked. To go on without, give --yes, with make as ARGS=--yes.")
        if input(f"{question}? [y/N] ").strip().lower() not in ("y", "yes"):
            raise Refusal("Nothing was changed.")


def _waiting(state: Json) -> list[str]:
    """The runs that wait before a stage: the API has one field for one, and another one for all."""
    one = [state["inboundExecution"]] if "inboundExecution" in state else []
    return [str(run["pipelineExecutionId"]) for run in state.get("inboundExecutions") or one]


def _say(text: str, *, error: bool = False) -> None:
    print(text, file=sys.stderr if error else sys.stdout, flush=True)
