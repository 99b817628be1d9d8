"""What shows runs on GitHub: called by the events of one pipeline, with a token that nobody else gets from here."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from mocked import Graph, build_program
from published import EVENT, PIPELINE, STACK, STAGE, changed, matches

from components.notifications.event_function import RUN, run_pattern
from components.notifications.status_reporter import BEGINS, ENDS, STATUS_FUNCTION, stage_pattern

TOKEN = "shop/github-status-token"  # noqa: S105 - the name of a secret
FUNCTION = "aws:lambda/function:Function"
PLACE = "eu-west-1:123456789012"


def shown(*, topic: bool = False, **status: bool | str) -> Graph:
    """A small stack that GitHub shows."""
    return _shown(topic, json.dumps(status))


@cache
def _shown(topic: bool, status: str) -> Graph:
    given = {"enabled": True, "tokenSecret": TOKEN, **json.loads(status)}
    told = {"ecs-delivery:notifications": {"enabled": True, "events": ["alarm"]}} if topic else {}
    return build_program({**STACK, "ecs-delivery:statuses": given, **told})


def called_by(graph: Graph, event: dict[str, Any]) -> list[str]:
    """The rules that an event of the stack's pipeline calls the function by."""
    own = changed(event, pipeline="shop-dev")
    rules = [rule.inputs for rule in graph.of("EventRule")]
    return [rule["name"] for rule in rules if matches(json.loads(rule["eventPattern"]), own)]


@pytest.mark.parametrize("state", ["STARTED", "SUCCEEDED", "RESUMED", "FAILED", "STOPPED", "STOPPING", "CANCELED"])
@pytest.mark.parametrize("stage", ["Build", "Deploy"])
def test_a_stage_calls_the_function_once_if_anything_is_to_be_shown_of_it(stage: str, state: str) -> None:
    """States: https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html."""
    event = changed(STAGE, stage=stage, state=state)
    begins, ends = state in BEGINS, stage == "Deploy" and state in ENDS
    assert len(called_by(shown(), event)) == (begins or ends)
    assert len(called_by(shown(commits=False), event)) == (stage == "Deploy" and (begins or ends))
    assert len(called_by(shown(deployments=False), event)) == begins


@pytest.mark.parametrize(
    "state", ["STARTED", "SUCCEEDED", "RESUMED", "FAILED", "STOPPED", "STOPPING", "CANCELED", "SUPERSEDED"]
)
def test_a_run_calls_the_function_when_it_has_ended(state: str) -> None:
    over = state in (*ENDS, "SUPERSEDED")
    assert len(called_by(shown(), changed(EVENT, state=state))) == over
    assert called_by(shown(commits=False), changed(EVENT, state=state)) == []


def test_another_pipelines_events_call_nobody() -> None:
    patterns = [stage_pattern(PIPELINE, BEGINS), run_pattern(PIPELINE, ENDS)]
    events = [STAGE, changed(EVENT, state="FAILED")]
    for pattern, event in zip(patterns, events, strict=True):
        assert matches(pattern, event)
        assert not matches(pattern, changed(event, pipeline="yourPipeline"))
        assert not matches(pattern, {**event, "source": "aws.codebuild"})
    assert not matches(patterns[1], changed(STAGE, state="FAILED"))


def test_the_role_may_read_the_token_and_follow_this_pipeline_and_nothing_else() -> None:
    policy = shown().policy("shop-github-status-policy")
    assert {sid: (statement["Action"], statement["Resource"]) for sid, statement in policy.items()} == {
        "ReadGitHubToken": (
            ["secretsmanager:GetSecretValue"],
            [f"arn:aws:secretsmanager:{PLACE}:secret:{TOKEN}-??????"],
        ),
        "FollowRuns": (
            ["codepipeline:ListActionExecutions", "codepipeline:ListPipelineExecutions"],
            [f"arn:aws:codepipeline:{PLACE}:shop-dev"],
        ),
        "WriteLog": (
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [f"arn:aws:logs:{PLACE}:log-group:/aws/lambda/shop-dev-github-status:*"],
        ),
    }


@pytest.mark.parametrize("topic", [False, True])
def test_nobody_else_may_read_the_token(*, topic: bool) -> None:
    graph = shown(topic=topic)
    readers = [item.name for item in graph.of("RolePolicy") if TOKEN in item.inputs["policy"]]
    assert readers == ["shop-github-status-policy"]


def test_what_could_not_be_shown_goes_to_the_topic_if_there_is_one() -> None:
    """Lambda looks whether the role may publish when it is told of the topic, so the policy is there first.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    kind = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
    assert shown().of(kind) == []
    graph = shown(topic=True)
    made = graph.one(kind)
    topic = f"arn:aws:sns:{PLACE}:shop-dev-notifications"
    assert made.inputs["functionName"] == "shop-dev-github-status"
    assert made.inputs["destinationConfig"] == {"onFailure": {"destination": topic}}
    assert [urn for urn in made.dependencies if urn.endswith("::shop-github-status-policy")]
    policy = graph.policy("shop-github-status-policy")
    assert policy["PublishMessages"]["Resource"] == [topic]
    assert policy["EncryptMessages"]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]


def test_the_function_is_its_file_and_what_all_know_of_a_run_and_nothing_else() -> None:
    function = shown().one(FUNCTION).inputs
    assets = {name: asset.text for name, asset in function["code"].assets.items()}
    assert assets == {f"notifications/{file.name}": file.read_text(encoding="utf-8") for file in (STATUS_FUNCTION, RUN)}
    assert function["handler"] == "notifications.github_status.handler"
    assert function["loggingConfig"]["logGroup"] == "/aws/lambda/shop-dev-github-status"
    assert function["environment"]["variables"] == {
        "ENVIRONMENT": "dev",
        "GITHUB_API_URL": "https://api.github.com",
        "GITHUB_REPOSITORY": "example/shop",
        "TOKEN_SECRET": TOKEN,
        "CONTEXT": "ecs-delivery/shop-dev",
        "DEPLOY_STAGE": "Deploy",
        "GITHUB_ENVIRONMENT": "dev",
        "ENVIRONMENT_URL": shown().exports["serviceUrl"],
    }


def test_each_key_reaches_the_function() -> None:
    def environment(**status: bool | str) -> dict[str, str]:
        found: dict[str, str] = shown(topic=False, **status).one(FUNCTION).inputs["environment"]["variables"]
        return found

    assert environment(secretKey="value")["TOKEN_KEY"] == "value"  # noqa: S105 - the name of a key
    assert environment(environment="production")["GITHUB_ENVIRONMENT"] == "production"
    assert environment(repository="example/other")["GITHUB_REPOSITORY"] == "example/other"
    assert environment(url="https://git.example.com/")["GITHUB_API_URL"] == "https://git.example.com/api/v3"
    assert "CONTEXT" not in environment(commits=False)
    assert not {"DEPLOY_STAGE", "GITHUB_ENVIRONMENT", "ENVIRONMENT_URL"} & environment(deployments=False).keys()


@pytest.mark.parametrize(
    ("off", "permissions"),
    [
        ({}, "Commit statuses and Deployments: read and write"),
        ({"deployments": False}, "Commit statuses: read and write"),
        ({"commits": False}, "Deployments: read and write"),
    ],
)
def test_a_person_is_told_what_token_is_needed(off: dict[str, bool], permissions: str) -> None:
    """https://docs.github.com/en/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens."""
    (note,) = [note for note in shown(**off).exports["nextSteps"] if "fine-grained token" in note]
    assert f"a fine-grained token for example/shop ({permissions})" in note
    assert f"--name {TOKEN}" in note


def test_nothing_is_there_where_the_section_is_off() -> None:
    graph = build_program({**STACK, "ecs-delivery:statuses": {"enabled": False, "tokenSecret": TOKEN}})
    assert graph.of(FUNCTION) == []
    assert not [note for note in graph.exports["nextSteps"] if TOKEN in note]
