"""What sends messages: called by the events of one pipeline, with permissions for that pipeline alone."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from published import APPROVAL, EVENT, PIPELINE, changed, matches, stack
from summary import program

from components.notifications.event_function import RUN
from components.notifications.messenger import FUNCTION, STATES, approval_pattern, end_pattern
from components.notifications.status_reporter import STATUS_FUNCTION
from components.pipeline.model import Action, Category, ExecutionMode, PipelineModel, Provider, StageModel
from components.settings.sections.notifications import Happening

FAILED: tuple[Happening, ...] = ("failed",)
WAITS: tuple[Happening, ...] = ("approval",)
ASKED = Action(name="Approve", category=Category.APPROVAL, provider=Provider.MANUAL, configuration={})


def pipeline(*actions: Action) -> PipelineModel:
    stage = StageModel(name="Promote", actions=actions)
    return PipelineModel(name=PIPELINE, execution_mode=ExecutionMode.QUEUED, stages=(stage,))


@pytest.mark.parametrize(
    ("wanted", "states"),
    [
        (("failed",), {"FAILED"}),
        (("rolledBack",), {"FAILED", "SUCCEEDED"}),
        (("stopped",), {"STOPPED"}),
        (("recovered",), {"SUCCEEDED"}),
        (tuple(STATES), {"FAILED", "STOPPED", "SUCCEEDED"}),
    ],
)
def test_the_function_is_called_by_ends_of_runs_that_can_mean_what_is_wanted(
    wanted: tuple[Happening, ...], states: set[str]
) -> None:
    """States: https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html."""
    pattern = end_pattern(PIPELINE, wanted)
    assert pattern is not None
    every = ("STARTED", "SUCCEEDED", "RESUMED", "FAILED", "STOPPED", "STOPPING", "CANCELED", "SUPERSEDED")
    assert {state for state in every if matches(pattern, changed(EVENT, state=state))} == states


def test_another_pipelines_runs_call_nobody() -> None:
    pattern = end_pattern(PIPELINE, FAILED)
    assert pattern is not None
    assert matches(pattern, changed(EVENT, state="FAILED"))
    assert not matches(pattern, changed(EVENT, state="FAILED", pipeline="yourPipeline"))
    assert not matches(pattern, {**changed(EVENT, state="FAILED"), "source": "aws.codebuild"})


def test_an_approval_calls_the_function_when_it_begins_to_wait() -> None:
    pattern = approval_pattern(pipeline(ASKED), WAITS)
    assert pattern is not None
    assert matches(pattern, APPROVAL)
    assert not matches(pattern, changed(APPROVAL, state="SUCCEEDED"))
    assert not matches(pattern, changed(APPROVAL, type={**APPROVAL["detail"]["type"], "category": "Build"}))
    assert not matches(pattern, changed(APPROVAL, pipeline="yourPipeline"))


def test_nothing_is_listened_to_that_nobody_wants_to_know() -> None:
    assert end_pattern(PIPELINE, WAITS) is None
    assert approval_pattern(pipeline(ASKED), FAILED) is None
    assert approval_pattern(pipeline(), WAITS) is None
    assert stack("alarm").of("aws:lambda/function:Function") == []
    assert [rule.inputs["name"] for rule in stack("failed").of("EventRule")] == ["shop-dev-run-message"]
    assert [rule.inputs["name"] for rule in stack("approval").of("EventRule")] == ["shop-dev-approval-message"]


def test_only_its_rules_may_call_the_function_and_the_targets_wait_for_that() -> None:
    graph = stack("failed", "approval")
    function = graph.one("aws:lambda/function:Function")
    rules = {rule.inputs["name"]: rule for rule in graph.of("EventRule")}
    assert len(rules) == 2
    permissions = {
        item.inputs["sourceArn"]: (item.inputs["principal"], item.inputs["action"])
        for item in graph.of("aws:lambda/permission:Permission")
    }
    only = ("events.amazonaws.com", "lambda:InvokeFunction")
    assert permissions == {f"arn:aws:events:eu-west-1:123456789012:rule/{name}": only for name in rules}
    for target in graph.of("EventTarget"):
        assert target.inputs["arn"] == function.outputs["arn"]
        assert [urn for urn in target.dependencies if "Permission" in urn]


def test_the_role_may_read_this_pipeline_and_the_words_of_its_builds_and_publish_and_nothing_else() -> None:
    policy = stack("failed").policy("shop-messenger-policy")
    place = "eu-west-1:123456789012"
    assert {sid: statement["Action"] for sid, statement in policy.items()} == {
        "PublishMessages": ["sns:Publish"],
        "EncryptMessages": ["kms:Decrypt", "kms:GenerateDataKey"],
        "FollowRuns": ["codepipeline:ListActionExecutions", "codepipeline:ListPipelineExecutions"],
        "ReadLastWordsOfBuilds": ["logs:GetLogEvents"],
        "ReadDeployments": ["codedeploy:GetDeployment"],
        "WriteLog": ["logs:CreateLogStream", "logs:PutLogEvents"],
    }
    assert policy["PublishMessages"]["Resource"] == [f"arn:aws:sns:{place}:shop-dev-notifications"]
    assert policy["FollowRuns"]["Resource"] == [f"arn:aws:codepipeline:{place}:shop-dev"]
    assert policy["ReadDeployments"]["Resource"] == [f"arn:aws:codedeploy:{place}:deploymentgroup:shop-dev/shop-dev"]
    assert policy["WriteLog"]["Resource"] == [f"arn:aws:logs:{place}:log-group:/aws/lambda/shop-dev-messenger:*"]
    projects = {item.inputs["name"] for item in stack("failed").of("Project")}
    assert set(policy["ReadLastWordsOfBuilds"]["Resource"]) == {
        f"arn:aws:logs:{place}:log-group:/aws/codebuild/{name}:log-stream:*" for name in projects
    }


def test_the_function_is_its_file_and_what_all_know_of_a_run_and_nothing_else() -> None:
    function = stack().one("aws:lambda/function:Function").inputs
    assets = {name: asset.text for name, asset in function["code"].assets.items()}
    assert assets == {f"notifications/{file.name}": file.read_text(encoding="utf-8") for file in (FUNCTION, RUN)}
    assert function["handler"] == "notifications.function.handler"
    assert (function["runtime"], function["architectures"]) == ("python3.14", ["arm64"])
    assert function["loggingConfig"]["logGroup"] == stack().one("LogGroup", "shop-messenger-logs").inputs["name"]
    assert function["environment"]["variables"] == {
        "APPLICATION": "shop",
        "ENVIRONMENT": "dev",
        "KINDS": "alarm,approval,failed,recovered,rolledBack,stopped",
        "TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:shop-dev-notifications",
    }


@pytest.mark.parametrize("file", [FUNCTION, STATUS_FUNCTION, RUN], ids=lambda file: file.stem)
def test_a_file_needs_nothing_that_lambda_lacks(file: Path) -> None:
    """Python's own and botocore: https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imports |= {f"{'.' * node.level}{node.module}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    own = {".run"} if file != RUN else set()
    others = {name for name in imports - own if name.split(".")[0] not in sys.stdlib_module_names}
    assert others == ({"botocore.session"} if file != RUN else set())
    assert own <= imports


@pytest.mark.parametrize("file", [FUNCTION, STATUS_FUNCTION], ids=lambda file: file.stem)
def test_what_is_packed_starts_as_lambda_starts_it(file: Path, tmp_path: Path) -> None:
    """By the handler's name, with nothing else of this program: https://docs.aws.amazon.com/lambda/latest/dg/python-handler.html."""
    for part in (file, RUN):
        packed = tmp_path / "notifications" / part.name
        packed.parent.mkdir(exist_ok=True)
        packed.write_text(part.read_text(encoding="utf-8"), encoding="utf-8")
    code = f"from notifications.{file.stem} import handler; print(handler.__name__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("handler\n", "")


def test_nothing_is_there_where_the_section_is_off() -> None:
    kinds = {item.type.split("/")[0] for item in program("dev")}
    assert not kinds & {"aws:lambda", "aws:sns", "aws:chatbot"}


def test_every_pattern_is_one_that_eventbridge_reads() -> None:
    for rule in program("everything-on").of("EventRule"):
        pattern = json.loads(rule.inputs["eventPattern"])
        assert set(pattern) == {"source", "detail-type", "detail"}
        assert (
            len(rule.inputs["eventPattern"]) <= 4096
        )  # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
