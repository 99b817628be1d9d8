"""`make rollback`: the stage that deploys goes back to an earlier version, and AWS's own rules hold for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rehearsed_pipeline import Held, Rehearsed

from local.__main__ import main
from local.rehearsal.code_pipeline import CodePipeline
from local.rehearsal.emulated import Caller, Refused, serving
from local.rehearsal.pipeline import ActionContext, ActionFailed, Completed, Execution, Status
from local.rollback import command

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECTION = OPERATIONS.split("\n## Go back to an earlier version\n")[1].split("\n## ")[0]
DOCUMENTED: dict[str, Any] = json.loads(re.findall(r"```json\n(.*?)```", SECTION, re.DOTALL)[0])
"""The policy of whoever goes back."""
NOBODY = "00000000-0000-0000-0000-000000000000"


def commit(number: int) -> str:
    return f"{number:x}c0ffee" + "0" * 32


class Prod:
    """A pipeline that runs here and is asked over the network; version 2026.11.N is what its Nth run delivers."""

    def __init__(self, folder: Path, stack: str = "prod", mode: str = "QUEUED") -> None:
        self.delivery = Rehearsed(folder, stack, mode, watch=lambda execution, run: self.api.remember(run, execution))
        self.api = CodePipeline(self.delivery.deployed.pipeline)
        self.api.runner = self.runner = self.delivery.runner
        self.same_image: set[int] = set()
        for action in self.delivery.deployed.actions:
            if action.category in ("Source", "Build"):
                self.delivery.actions.work[action.name] = self._make

    def _make(self, context: ActionContext) -> Completed:
        number = next(run.number for run in self.runner.executions if run.identity == context.run.execution)
        digest = f"sha256:{number - (number in self.same_image):064x}"
        left = {"CommitId": commit(number), "AuthorDate": "now", "BranchName": "main", "DEPLOYED_VERSION": ""}
        left |= {"IMAGE_DIGEST": digest, "ImageDigest": digest, "IMAGE_VERSION": f"2026.11.{number}"}
        return Completed(variables=left, artifacts={name: f"{name}/{number}" for name in context.action.outputs})

    def deliver(self, times: int = 1) -> Execution:
        for _ in range(times):
            execution = self.delivery.run()
        return execution

    @property
    def serving(self) -> str:
        """The version whose artifacts were deployed last."""
        key = self.delivery.actions.contexts["DeployService"].artifacts["Deployment"]
        return f"2026.11.{key.partition('/')[2]}"

    @property
    def last(self) -> Execution:
        return self.runner.executions[-1]


def fail(_context: ActionContext) -> Completed:
    raise ActionFailed("no task is healthy")


@contextmanager
def asked_by_the_command(made: Prod, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the command ask this pipeline, and nobody else, with the policy of the docs."""
    monkeypatch.setattr(command, "_PAUSE", 0.01)
    policy = json.dumps(DOCUMENTED).replace("shop-prod", made.delivery.deployed.pipeline)
    made.api.policies = [json.loads(policy)]
    with serving(made.api, caller_of=lambda _key: Caller("on-call", made.api.policies)) as address:
        given = {"ENDPOINT_URL_CODEPIPELINE": address, "ACCESS_KEY_ID": "AKIA", "SECRET_ACCESS_KEY": "made-up"}
        for name, value in {**given, "CONFIG_FILE": "/dev/null", "MAX_ATTEMPTS": "1"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        yield
    for work in made.delivery.actions.work.values():
        if isinstance(work, Held):
            work.release(*made.runner.executions)
    for execution in made.runner.executions:
        made.runner.stop(execution)


@pytest.fixture
def prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Prod]:
    made = Prod(tmp_path)
    with asked_by_the_command(made, monkeypatch):
        yield made


def go_back(*more: str, stack: str = "prod") -> int:
    return main(["rollback", "--stack", stack, "--yes", *more])


def test_without_a_version_the_one_before_comes_back_and_nothing_else_runs(
    prod: Prod, capsys: pytest.CaptureFixture[str]
) -> None:
    prod.deliver(3)
    assert go_back() == 0
    assert prod.serving == "2026.11.2"
    assert (prod.last.kind, prod.last.target) == ("ROLLBACK", prod.runner.executions[1].identity)
    assert {run.action.stage for run in prod.last.actions} == {"Deploy"}
    told = capsys.readouterr().out
    assert f"shop-prod serves 2026.11.3 (commit {commit(3)[:7]}, run {prod.runner.executions[2].identity} of" in told
    assert f"It goes back to 2026.11.2 (commit {commit(2)[:7]}, run {prod.runner.executions[1].identity} of" in told
    assert re.search(r"0:0\d  DeployService Succeeded\n", told)
    assert "2026.11.2 serves, 0:0" in told


@pytest.mark.parametrize(("stack", "provider"), [("worker", "CodeBuild"), ("classic", "ECS")], ids=["ecs", "ecsAction"])
def test_with_the_other_engines_the_one_before_comes_back_in_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str, provider: str
) -> None:
    made = Prod(tmp_path, stack)
    with asked_by_the_command(made, monkeypatch):
        made.deliver(3)
        file = ROOT / "examples" / f"Pulumi.{stack}.yaml"
        assert go_back("--stack-file", str(file), stack=stack) == 0
    assert made.serving == "2026.11.2"
    deploying = made.delivery.actions.contexts["DeployService"]
    assert deploying.action.provider == provider
    if provider == "CodeBuild":  # the job holds the artifact against the digest of its run
        assert f"sha256:{2:064x}" in deploying.configuration["EnvironmentVariables"]
    assert {run.action.stage for run in made.last.actions} == {"Deploy"}


@pytest.mark.parametrize("given", ["2026.11.1", commit(1), commit(1)[:7]], ids=["version", "commit", "short commit"])
def test_a_version_comes_back_by_its_name_or_its_commit(prod: Prod, given: str) -> None:
    prod.deliver(3)
    assert go_back("--version", given) == 0
    assert prod.serving == "2026.11.1"


def test_a_version_comes_back_by_its_run(prod: Prod) -> None:
    first = prod.deliver()
    prod.deliver(2)
    assert go_back("--version", first.identity) == 0
    assert prod.serving == "2026.11.1"


def test_once_more_means_further_back_and_never_the_version_that_was_left(prod: Prod) -> None:
    prod.deliver(3)
    assert [go_back(), prod.serving, go_back(), prod.serving] == [0, "2026.11.2", 0, "2026.11.1"]


def test_the_same_image_again_is_no_version_before(prod: Prod) -> None:
    prod.same_image = {3}
    prod.deliver(3)
    assert go_back() == 0
    assert prod.serving == "2026.11.1"


def test_the_version_that_was_left_comes_back_by_no_run_until_it_is_let_in(
    prod: Prod, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever starts the run: a push, a person, a retry of what has failed."""
    prod.deliver(2)
    prod.delivery.actions.work["DeployService"] = fail
    failed = prod.deliver()
    del prod.delivery.actions.work["DeployService"]
    assert go_back() == 0
    assert "The last run of stage Deploy has failed." in capsys.readouterr().out
    assert prod.serving == "2026.11.1"

    with pytest.raises(Exception, match=f"run {failed.number} cannot be retried: run {prod.last.number} has been in"):
        prod.runner.retry(failed)
    newest = prod.runner.start("a person")
    while not prod.runner.waiting("Deploy"):
        assert not prod.runner.wait(newest, 0.01)
    assert not prod.runner.wait(newest, 0.2)
    assert prod.serving == "2026.11.1"

    assert go_back("--resume") == 0
    told = capsys.readouterr().out
    assert "shop-prod is held: Rolled back to 2026.11.1. Newer versions wait.\n" in told
    assert f"Run {newest.identity} waits, and is let in." in told
    assert prod.runner.wait(newest, 10)
    assert prod.serving == f"2026.11.{newest.number}"
    assert go_back("--resume") == 0
    assert capsys.readouterr().out.endswith("shop-prod is not held: the next run deploys.\n")


def test_the_next_run_deploys_when_nothing_is_to_wait(prod: Prod) -> None:
    prod.deliver(2)
    assert go_back("--no-hold") == 0
    prod.deliver()
    assert prod.serving == "2026.11.4"


def test_a_stage_that_is_held_goes_further_back_and_is_held_again(prod: Prod) -> None:
    prod.deliver(3)
    assert [go_back(), go_back(), prod.serving] == [0, 0, "2026.11.1"]
    assert prod.runner.is_held("Deploy")


def test_a_run_that_waits_before_a_held_stage_has_to_go_first(prod: Prod, capsys: pytest.CaptureFixture[str]) -> None:
    prod.deliver(3)
    go_back()
    newest = prod.runner.start("a person")
    while not prod.runner.waiting("Deploy"):
        assert not prod.runner.wait(newest, 0.01)
    assert go_back() == 1
    told = capsys.readouterr().err
    assert f"before it waits run {newest.identity}, which would be let in" in told
    assert f"stop-pipeline-execution --pipeline-name shop-prod --pipeline-execution-id {newest.identity}" in told
    assert prod.serving == "2026.11.2"


def test_what_can_be_gone_back_to_is_listed(prod: Prod, capsys: pytest.CaptureFixture[str]) -> None:
    prod.deliver(2)
    go_back()
    capsys.readouterr()
    assert go_back("--list") == 0
    first, second = prod.runner.executions[:2]
    rows = [re.split(r" {2,}", line) for line in capsys.readouterr().out.splitlines() if line.startswith("2026")]
    assert [(row[0], *row[2:]) for row in rows] == [
        ("2026.11.2", commit(2)[:7], second.identity),
        ("2026.11.1", commit(1)[:7], first.identity, "<- serves"),
    ]


def test_a_run_that_goes_on_or_failed_later_is_not_to_hand_on_what_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dev = Prod(tmp_path, "dev")
    with asked_by_the_command(dev, monkeypatch):
        dev.deliver(2)
        dev.delivery.actions.work["RunLighthouse"] = fail
        failed = dev.deliver()
        assert go_back(stack="dev") == 0
        assert f"Do not retry run {failed.identity}: its later stages would test" in capsys.readouterr().out
        go_back("--resume", stack="dev")
        held = dev.delivery.held("RunLighthouse")
        going = dev.runner.start("a person")
        held.wait_for(going)
        assert go_back(stack="dev") == 0
        told = capsys.readouterr().out
        assert f"Run {going.identity} goes on, and may hand 2026.11.5 on. Stop it: aws codepipeline stop-pip" in told
        held.release(going)
        assert dev.runner.wait(going, 10)


def test_a_deployment_that_fails_is_told_with_its_reason(prod: Prod, capsys: pytest.CaptureFixture[str]) -> None:
    prod.deliver(2)
    prod.delivery.actions.work["DeployService"] = fail
    assert go_back() == 1
    told = capsys.readouterr().out
    assert "DeployService Failed: no task is healthy\n" in told
    assert "2026.11.1 was not deployed as it should be. Where the deployment failed, the version before keeps" in told
    assert f"actionName=SourceImage,revisionType=IMAGE_DIGEST,revisionValue=sha256:{1:064x}" in told


def busy(prod: Prod) -> None:
    prod.deliver(2)
    held = prod.delivery.held("DeployService")
    held.wait_for(prod.runner.start("a person"))
    next(run for run in prod.last.actions if run.action.name == "DeployService").external_id = "d-ABC"


def edited(prod: Prod, *, delivered: int = 1) -> None:
    prod.deliver(2)
    prod.runner.version += 1
    for _ in range(delivered):
        prod.deliver()


def edited_after_a_failure(prod: Prod) -> None:
    prod.deliver(2)
    prod.delivery.actions.work["DeployService"] = fail
    prod.deliver()
    prod.runner.version += 1


def another_way(number: int) -> str:
    revision = f"actionName=SourceImage,revisionType=IMAGE_DIGEST,revisionValue=sha256:{number:064x}"
    return (
        f"aws codepipeline start-pipeline-execution --name shop-prod --source-revisions {revision} --region eu-west-1"
    )


@pytest.mark.parametrize(
    ("before", "given", "said"),
    [
        (lambda prod: prod.deliver(2), "2026.1.1", ["no version 2026.1.1 is among", "to: 2026.11.2, 2026.11.1."]),
        (lambda prod: prod.deliver(2), "2026.11.2", ["serves 2026.11.2 already"]),
        (lambda prod: prod.deliver(1), "", ["no version was deployed before 2026.11.1"]),
        (lambda _prod: None, "", ["no version was deployed here"]),
        (edited, "", ["was edited since and is version 2 now", another_way(2)]),
        (edited, "2026.11.2", ["deployed by version 1 of the pipeline", "gone back to: 2026.11.3.", another_way(2)]),
        (partial(edited, delivered=0), "", ["was edited since and is version 2 now", another_way(1)]),
        (edited_after_a_failure, "", ["before 2026.11.2 that", another_way(1)]),
        (busy, "", ["is in stage Deploy", "stop-deployment --auto-rollback-enabled", "--deployment-id d-ABC"]),
    ],
    ids=[
        "unknown",
        "serves",
        "the first",
        "none",
        "edited",
        "edited, named",
        "edited, not run",
        "edited, failed",
        "busy",
    ],
)
def test_what_cannot_be_gone_back_to_is_refused_with_the_way_out(
    prod: Prod, capsys: pytest.CaptureFixture[str], before: Callable[[Prod], None], given: str, said: list[str]
) -> None:
    before(prod)
    runs = len(prod.runner.executions)
    assert go_back(*(("--version", given) if given else ())) == 1
    told = capsys.readouterr().err
    assert [words for words in said if words not in told] == [], told
    assert len(prod.runner.executions) == runs
    assert not prod.runner.is_held("Deploy")


def test_a_run_that_did_not_deploy_is_named_as_such(prod: Prod, capsys: pytest.CaptureFixture[str]) -> None:
    prod.deliver()
    prod.delivery.actions.work["DeployService"] = fail
    prod.deliver()
    assert go_back("--version", "2026.11.2") == 1
    assert "its run did not succeed in stage Deploy." in capsys.readouterr().err


@pytest.mark.parametrize("action", [action for each in DOCUMENTED["Statement"] for action in each["Action"]])
def test_each_permission_of_the_docs_is_needed(prod: Prod, capsys: pytest.CaptureFixture[str], action: str) -> None:
    prod.deliver(2)
    without = json.loads(json.dumps(DOCUMENTED))
    for statement in without["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != action] or ["codepipeline:Nothing"]
    prod.api.policies = [without]
    ends = [go_back(), go_back("--resume")]
    assert 1 in ends
    assert action in capsys.readouterr().err


def test_nothing_is_done_where_nobody_can_be_asked(prod: Prod, capsys: pytest.CaptureFixture[str]) -> None:
    prod.deliver(2)
    assert main(["rollback", "--stack", "prod"]) == 1
    assert "give --yes" in capsys.readouterr().err
    assert prod.serving == "2026.11.2"


@pytest.mark.parametrize(("typed", "version"), [("y", "2026.11.1"), ("", "2026.11.2")])
def test_a_person_is_asked(prod: Prod, monkeypatch: pytest.MonkeyPatch, typed: str, version: str) -> None:
    prod.deliver(2)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _question: typed)
    assert main(["rollback", "--stack", "prod"]) == (0 if typed else 1)
    assert prod.serving == version


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_ENDPOINT_URL_CODEPIPELINE": "http://127.0.0.1:9"}, "Could not connect"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_EC2_METADATA_DISABLED": "true"}, "AWS_PROFILE"),
        ({"AWS_PROFILE": "nobody"}, "AWS_PROFILE"),
    ],
    ids=["no network", "no credentials", "no such profile"],
)
def test_without_aws_the_way_there_is_told(
    prod: Prod,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: Mapping[str, str],
    said: str,
) -> None:
    del prod
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert go_back() == 1
    assert said in capsys.readouterr().err


def test_the_stack_of_one_of_several_applications_has_the_pipeline_that_the_program_makes(prod: Prod) -> None:
    prod.deliver(2)
    assert go_back("--stack-file", str(ROOT / "Pulumi.prod.yaml"), stack="shop-prod") == 0
    assert (prod.last.kind, prod.serving) == ("ROLLBACK", "2026.11.1")


def test_a_pipeline_of_another_account_or_stack_is_told(
    prod: Prod, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prod.api, "_name", "shop-staging")
    assert go_back() == 1
    told = capsys.readouterr().err
    assert "does not include a pipeline with the name 'shop-prod'" in told
    assert "check the account (AWS_PROFILE)" in told


def test_a_pipeline_whose_runs_are_side_by_side_is_refused_before_it_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html"""
    text = (ROOT / "examples" / "Pulumi.worker.yaml").read_text(encoding="utf-8")
    file = tmp_path / "Pulumi.worker.yaml"
    file.write_text(f"{text}  ecs-delivery:pipeline: {{ executionMode: parallel }}\n", encoding="utf-8")
    assert go_back("--stack-file", str(file), stack="worker") == 1
    assert "executionMode is parallel, and CodePipeline goes back in no such pipeline" in capsys.readouterr().err


def test_a_long_history_is_read_to_its_end(prod: Prod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.rehearsal.code_pipeline._PAGE", 10)
    prod.deliver(12)
    assert go_back("--version", "2026.11.1") == 0
    assert prod.serving == "2026.11.1"


def test_make_hands_on_what_was_typed_and_no_variable_of_the_environment() -> None:
    command = ["make", "--dry-run", "--no-print-directory", "rollback", "STACK=prod", "ARGS=--list"]
    environment = {**os.environ, "VERSION": "of something else"}
    shown = [
        subprocess.run([*command, *more], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
        for more in ([], ["VERSION=2026.11.30-a28bd78"])
    ]
    assert [" ".join(text.splitlines()[-1].split()).partition("-m local ")[2] for text in shown] == [
        "rollback --stack prod --list",
        "rollback --version 2026.11.30-a28bd78 --stack prod --list",
    ]


# What the stand-in refuses is what AWS refuses.


@pytest.mark.parametrize(
    ("operation", "changes", "code"),
    [
        ("RollbackStage", {"stageName": "Deploi"}, "StageNotFoundException"),
        ("RollbackStage", {"stageName": "Source"}, "UnableToRollbackStageException"),
        ("RollbackStage", {"targetPipelineExecutionId": NOBODY}, "PipelineExecutionNotFoundException"),
        ("RollbackStage", {"pipelineName": "shop-dev"}, "PipelineNotFoundException"),
        ("DisableStageTransition", {"reason": "Rolled back: to 1"}, "ValidationException"),
        ("DisableStageTransition", {"stageName": "Deploi"}, "StageNotFoundException"),
        ("EnableStageTransition", {"transitionType": "inbound"}, "ValidationException"),
    ],
)
def test_the_stand_in_refuses_what_aws_refuses(
    prod: Prod, operation: str, changes: Mapping[str, str], code: str
) -> None:
    run = prod.deliver()
    given: dict[str, str] = {"pipelineName": "shop-prod", "stageName": "Deploy"}
    if operation == "RollbackStage":
        given["targetPipelineExecutionId"] = run.identity
    else:
        given["transitionType"] = "Inbound"
    if operation == "DisableStageTransition":
        given["reason"] = "Rolled back"
    with pytest.raises(Refused) as refused:
        prod.api.owner(operation, **{**given, **changes})
    assert refused.value.code.startswith(code)


def test_a_stage_goes_back_to_no_rollback_and_to_no_run_of_another_version(prod: Prod) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html"""
    first = prod.deliver()
    back = prod.runner.roll_back("Deploy", first)
    assert prod.runner.wait(back, 10)
    with pytest.raises(Exception, match=f"run {back.number} is a rollback itself"):
        prod.runner.roll_back("Deploy", back)
    where: dict[str, Any] = {"pipelineName": "shop-prod", "filter": {"succeededInStage": {"stageName": "Deploy"}}}
    listed = prod.api.owner("ListPipelineExecutions", **where)["pipelineExecutionSummaries"]
    assert [run["pipelineExecutionId"] for run in listed] == [back.identity, first.identity]
    prod.runner.version += 1
    with pytest.raises(Exception, match="run 1 is of version 1 of the pipeline, which is 2 now"):
        prod.runner.roll_back("Deploy", first)
    assert prod.api.owner("ListPipelineExecutions", **where)["pipelineExecutionSummaries"] == []
    assert prod.deliver().status == Status.SUCCEEDED


def test_no_stage_goes_back_while_it_runs(prod: Prod) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_RollbackStage.html"""
    first = prod.deliver()
    busy(prod)
    with pytest.raises(Exception, match="stage Deploy is currently running"):
        prod.runner.roll_back("Deploy", first)


def test_there_is_no_going_back_where_runs_are_side_by_side(tmp_path: Path) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html"""
    made = Prod(tmp_path, mode="PARALLEL")
    with pytest.raises(Exception, match="stage rollback is not available in execution mode PARALLEL"):
        made.runner.roll_back("Deploy", made.deliver())
