"""A deployed pipeline is run as CodePipeline runs it: order, artifacts, variables, execution modes, retry, rollback."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from rehearsed_pipeline import STORE, Rehearsed, made

from local.errors import Refusal
from local.rehearsal.pipeline import ActionContext, ActionFailed, Completed, PipelineRunner, Status


@pytest.fixture
def dev(tmp_path: Path) -> Rehearsed:
    return Rehearsed(tmp_path)


@pytest.fixture
def classic(tmp_path: Path) -> Rehearsed:
    """In its stage Build one action follows another."""
    return Rehearsed(tmp_path, "classic")


def test_all_actions_run_and_hand_on_artifacts_and_variables(dev: Rehearsed) -> None:
    execution = dev.run()

    assert execution.status == Status.SUCCEEDED
    assert execution.actions[0].action.name == "Source"
    assert {run.action.name for run in execution.actions} == {action.name for action in dev.deployed.actions}
    build = dev.actions.contexts["BuildImage"]
    assert build.artifacts == {"Source": execution.artifacts["Source"]}
    assert '"value":"0123abc"' in build.configuration["EnvironmentVariables"]
    assert execution.variables["BuildImage.IMAGE_DIGEST"] == "sha256:1"
    assert execution.variables["variables.LIGHTHOUSE_RUNS"] == "3"


def test_actions_of_one_run_order_run_at_the_same_time(dev: Rehearsed) -> None:
    together = threading.Barrier(2)

    def meet(context: ActionContext) -> Completed:
        together.wait(10)
        return made(context)

    dev.actions.work = {"DeployService": meet, "WatchDeployment": meet}
    assert dev.run().status == Status.SUCCEEDED


def test_an_action_waits_for_those_of_a_lower_run_order(classic: Rehearsed) -> None:
    held = classic.held("BuildImage")
    execution = classic.runner.start("a person")
    held.wait_for(execution)
    assert "PrepareDeployment" not in classic.actions.contexts
    held.release(execution)
    assert classic.runner.wait(execution, 10)
    assert "PrepareDeployment" in classic.actions.contexts


def fail(_context: ActionContext) -> Completed:
    raise ActionFailed("no such image")


def test_a_failed_action_ends_the_run_once_those_beside_it_are_done(dev: Rehearsed) -> None:
    dev.actions.work["DeployService"] = fail
    execution = dev.run()

    assert (execution.status, execution.stage, execution.reason) == (Status.FAILED, "Deploy", "DeployService failed")
    failed, watched = execution.last("DeployService"), execution.last("WatchDeployment")
    assert failed
    assert failed.error == "no such image"
    assert watched
    assert watched.status == Status.SUCCEEDED
    assert execution.last("RunLighthouse") is None


def test_what_a_failed_action_has_stored_is_its_own_and_nobody_gets_it(dev: Rehearsed) -> None:
    def miss(_context: ActionContext) -> Completed:
        raise ActionFailed("budgets missed", {"LighthouseReport": "key"})

    dev.actions.work["RunLighthouse"] = miss
    execution = dev.run()
    run = execution.last("RunLighthouse")
    assert run
    assert run.artifacts == {"LighthouseReport": "key"}
    assert "LighthouseReport" not in execution.artifacts


@pytest.mark.parametrize(
    ("made", "missing"), [((), "Image, Deployment"), (("Image",), "Deployment"), (("Deployment",), "Image")]
)
def test_an_action_that_leaves_out_one_of_its_artifacts_fails(
    dev: Rehearsed, made: tuple[str, ...], missing: str
) -> None:
    dev.actions.work["BuildImage"] = lambda _context: Completed(artifacts=dict.fromkeys(made, "key"))
    execution = dev.run()
    run = execution.last("BuildImage")
    assert run
    assert run.error == f"The action has not made its output artifact {missing}."
    assert execution.artifacts.keys().isdisjoint(made)


def test_a_variable_that_nobody_left_fails_the_action(dev: Rehearsed) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html"""
    dev.actions.work["Source"] = lambda context: Completed(artifacts={"Source": context.run.identity})
    run = dev.run().last("BuildImage")
    assert run
    assert run.status == Status.FAILED
    assert "#{Source.CommitId}" in run.error


def test_a_fault_of_the_rehearsal_is_told_from_one_of_the_delivery(dev: Rehearsed) -> None:
    def break_(_context: ActionContext) -> Completed:
        raise ZeroDivisionError

    dev.actions.work["BuildImage"] = break_
    run = dev.run().last("BuildImage")
    assert run
    assert run.error.startswith("The rehearsal itself failed: ZeroDivisionError()\nTraceback")


@pytest.mark.parametrize("calls", [0, 1, 2, 3], ids=["stage", "action", "end of an action", "next action"])
def test_a_run_whose_watcher_fails_has_an_end(calls: int, tmp_path: Path) -> None:
    """Such as one that writes to somebody who does not read any more."""
    dev, seen = Rehearsed(tmp_path), []

    def watch(*change: object) -> None:
        seen.append(change)
        if len(seen) > calls:
            raise BrokenPipeError

    runner = PipelineRunner(
        dev.deployed, {action.provider: dev.actions for action in dev.deployed.actions}, STORE, tmp_path, watch
    )
    execution = runner.start("a person")
    assert runner.wait(execution, 10)
    assert execution.status == Status.FAILED
    assert execution.ended is not None
    assert isinstance(runner.fault, BrokenPipeError)


def test_a_retry_runs_what_failed_and_goes_on_with_the_same_run(dev: Rehearsed) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-retry.html"""
    dev.actions.work["DeployService"] = fail
    execution = dev.run()
    identity, built = execution.identity, execution.artifacts["Image"]
    del dev.actions.work["DeployService"]

    dev.runner.retry(execution)
    assert dev.runner.wait(execution, 10)

    assert (execution.status, execution.identity, execution.artifacts["Image"]) == (Status.SUCCEEDED, identity, built)
    attempts = [run.action.name for run in execution.actions]
    assert (attempts.count("DeployService"), attempts.count("WatchDeployment"), attempts.count("BuildImage")) == (
        2,
        1,
        1,
    )


def test_only_a_failed_run_that_is_the_newest_in_its_stage_can_be_retried(dev: Rehearsed) -> None:
    with pytest.raises(Refusal, match="run 1 is Succeeded: only a failed run can be retried"):
        dev.runner.retry(dev.run())
    dev.actions.work["DeployService"] = fail
    failed = dev.run()
    dev.run()
    with pytest.raises(Refusal, match="run 2 cannot be retried: run 3 has been in stage Deploy"):
        dev.runner.retry(failed)


def test_a_stage_goes_back_to_what_an_earlier_run_deployed(dev: Rehearsed) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html"""
    good, _newer = dev.run(), dev.run()
    back = dev.runner.roll_back("Deploy", good)
    assert dev.runner.wait(back, 10)

    assert {run.action.name for run in back.actions} == {"DeployService", "WatchDeployment"}
    assert dev.actions.contexts["DeployService"].artifacts["Deployment"] == good.artifacts["Deployment"]
    assert back.identity != good.identity


def test_there_is_no_going_back_to_a_run_that_did_not_succeed_there(dev: Rehearsed) -> None:
    dev.actions.work["DeployService"] = fail
    with pytest.raises(Refusal, match="did not succeed in stage Deploy"):
        dev.runner.roll_back("Deploy", dev.run())


def test_superseded_means_that_the_newest_run_goes_on(tmp_path: Path) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html"""
    dev = Rehearsed(tmp_path, mode="SUPERSEDED")
    held = dev.held("BuildImage")
    first = dev.runner.start("first")
    held.wait_for(first)
    second = dev.runner.start("second")
    _until(lambda: second.stage == "Source" and second.last("Source") is not None)
    third = dev.runner.start("third")
    assert dev.runner.wait(second, 10)

    assert (second.status, second.reason) == (Status.SUPERSEDED, "before stage Build")
    held.release(first, third)
    assert dev.runner.wait(first, 10)
    assert dev.runner.wait(third, 10)
    assert (first.status, third.status) == (Status.SUCCEEDED, Status.SUCCEEDED)


def test_queued_means_that_runs_follow_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    dev = Rehearsed(tmp_path, mode="QUEUED")
    held = dev.held("BuildImage")
    runs = [dev.runner.start(str(number)) for number in range(3)]
    held.release(*runs)
    for run in runs:
        assert dev.runner.wait(run, 10)

    assert held.inside == [run.identity for run in runs]
    assert {run.status for run in runs} == {Status.SUCCEEDED}


def test_parallel_means_that_nobody_waits(tmp_path: Path) -> None:
    dev = Rehearsed(tmp_path, mode="PARALLEL")
    held = dev.held("BuildImage")
    runs = [dev.runner.start(str(number)) for number in range(3)]
    held.wait_for(*runs)
    held.release(*runs)
    assert all(dev.runner.wait(run, 10) for run in runs)


def test_a_run_that_is_stopped_ends_and_does_not_go_on(classic: Rehearsed) -> None:
    held = classic.held("BuildImage")
    execution = classic.runner.start("a person")
    held.wait_for(execution)
    classic.runner.stop(execution)
    held.release(execution)
    assert classic.runner.wait(execution, 10)
    assert execution.status == Status.STOPPED
    assert execution.last("PrepareDeployment") is None


def test_a_run_that_waits_can_be_stopped_too(tmp_path: Path) -> None:
    dev = Rehearsed(tmp_path, mode="QUEUED")
    held = dev.held("BuildImage")
    first, second = dev.runner.start("first"), dev.runner.start("second")
    held.wait_for(first)
    dev.runner.stop(second)
    assert dev.runner.wait(second, 10)
    assert second.status == Status.STOPPED
    held.release(first)
    assert dev.runner.wait(first, 10)


@pytest.mark.parametrize(
    ("stack", "until", "last"),
    [
        ("classic", "Build", {"PrepareDeployment"}),
        ("classic", "BuildImage", {"BuildImage"}),
        ("dev", "BuildImage", {"BuildImage", "BuildSmokeTestImage"}),
        ("dev", "Source", {"Source"}),
    ],
)
def test_a_run_can_end_after_a_stage_or_an_action(tmp_path: Path, stack: str, until: str, last: set[str]) -> None:
    rehearsed = Rehearsed(tmp_path, stack)
    execution = rehearsed.runner.start("a person", until=until)
    assert rehearsed.runner.wait(execution, 10)
    names = [run.action.name for run in execution.actions]
    assert (execution.status, set(names[-len(last) :])) == (Status.SUCCEEDED, last)


def test_a_run_ends_after_nothing_that_is_not_there(dev: Rehearsed) -> None:
    with pytest.raises(
        Refusal, match="shop-dev has no Bild; there are Source, Build, Deploy, Test, Promote, BuildImage,"
    ):
        dev.runner.start("a person", until="Bild")


def test_what_the_pipeline_has_not_cannot_be_given(dev: Rehearsed) -> None:
    with pytest.raises(Refusal, match=r"shop-dev has no variables\.RUNS, Sauce"):
        dev.runner.start("a person", revisions={"Sauce": "main"}, variables={"RUNS": "1"})


def test_a_provider_that_nobody_stands_for_is_named_at_once(dev: Rehearsed, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="shop-dev: nobody here carries out actions of CodeBuild, CodeDeployToECS"):
        PipelineRunner(dev.deployed, {"CodeStarSourceConnection": dev.actions}, STORE, tmp_path)


def _until(condition: Callable[[], bool]) -> None:
    wait = threading.Event()
    for _ in range(1000):
        if condition():
            return
        wait.wait(0.01)
    raise AssertionError
