"""What starts a pipeline: filters of a push, and the rule that hears of images in ECR."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from mocked import build_program
from summary import program, stack_files

from components.settings import load_stack_file
from local.errors import Refusal
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.deployed import Deployed
from local.rehearsal.pipeline.triggers import (
    Arrivals,
    Push,
    push_event,
    reason_not_to_start,
    revisions_of,
    rules_of,
    upload_event,
)
from local.rehearsal.rehearsal import Rehearsal

ACCOUNT, REGION = "123456789012", "eu-west-1"


def graph(stack: str, **source: object) -> list[dict[str, Any]]:
    """The graph of a stack file, or of one with another source."""
    if not source:
        return [resource.as_dict() for resource in program(stack)]
    values = {**load_stack_file(stack_files()[stack]), "ecs-delivery:source": source}
    return [resource.as_dict() for resource in build_program(values, stack_name=stack)]


def started(stack: str, push: Push) -> bool:
    return not reason_not_to_start(Deployed.of(graph(stack)).triggers, push)


@pytest.mark.parametrize(
    ("push", "starts"),
    [
        (Push(branch="main", paths=("src/app.py",)), True),
        (Push(branch="main", paths=("docs/index.html", "src/app.py")), True),
        (Push(branch="main", paths=("docs/deep/index.html", "README.md")), False),
        (Push(branch="main", paths=("src/README.md",)), True),  # `*` does not cross a folder
        (Push(branch="topic", paths=("src/app.py",)), False),
        (Push(tag="v1.0.0"), False),
    ],
)
def test_a_push_starts_dev_as_its_stack_file_says(push: Push, starts: bool) -> None:
    assert started("dev", push) is starts


def test_a_pipeline_that_only_watches_images_is_not_started_by_code() -> None:
    assert reason_not_to_start(Deployed.of(graph("prod")).triggers, Push(branch="main")) == (
        "the pipeline has no trigger for a push"
    )


def filters(**wanted: dict[str, list[str]]) -> list[dict[str, Any]]:
    return [{"gitConfiguration": {"pushes": [wanted]}}]


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        # https://docs.aws.amazon.com/codepipeline/latest/userguide/syntax-glob.html
        ("*.java", "Main.java", True),
        ("*.java", "src/Main.java", False),
        ("*.{java,class}", "Main.class", True),
        ("*.{java,class}", "Main.py", False),
        ("foo.?", "foo.c", True),
        ("foo.?", "foo.", False),
        ("**", "a/b/c", True),
        ("directory/**", "directory/a/b", True),
        ("directory/*", "directory/a/b", False),
        ("release-v[0-9]", "release-v7", True),
        ("release-v[!0-9]", "release-v7", False),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("a.b", "axb", False),
    ],
)
def test_patterns_are_read_as_codepipeline_reads_them(pattern: str, text: str, matches: bool) -> None:
    triggers = filters(branches={"includes": [pattern]})
    assert (reason_not_to_start(triggers, Push(branch=text)) == "") is matches


def test_excluding_goes_before_including() -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-filter.html"""
    triggers = filters(branches={"includes": ["release/**"], "excludes": ["release/old/**"]})
    assert reason_not_to_start(triggers, Push(branch="release/2")) == ""
    assert reason_not_to_start(triggers, Push(branch="release/old/1")) == (
        'no branch of release/old/1 passes {"includes": ["release/**"], "excludes": ["release/old/**"]}'
    )


def test_an_image_that_arrives_starts_prod_pinned_to_its_digest(need: Callable[..., None]) -> None:
    """The pattern is matched by an EventBridge that is none of ours."""
    need("ministack")
    (rule,) = rules_of(graph("prod"))
    roles = Deployed.of(graph("prod"))
    with AwsServices() as aws:
        events, ecr = (aws.client(service, region=REGION) for service in ("events", "ecr"))
        ecr.create_repository(repositoryName="shop-prod")
        arrivals = Arrivals(ecr, rule.repositories)
        assert arrivals.new() == []
        empty = json.dumps(
            {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
        )
        for tag in ("promoted", "1.0.0"):
            ecr.put_image(repositoryName="shop-prod", imageManifest=empty, imageTag=tag)
        arrived = arrivals.new()
        assert {tag for _, tag, _ in arrived} == {"promoted", "1.0.0"}
        assert arrivals.new() == []
        matched = [
            event
            for event in (push_event(ACCOUNT, REGION, *arrival) for arrival in arrived)
            if events.test_event_pattern(EventPattern=rule.pattern, Event=json.dumps(event))["Result"]
        ]
    ((_, _, digest),) = [arrival for arrival in arrived if arrival[1] == "promoted"]
    request = rule.request(matched[0], roles.policies_of(rule.role), account=ACCOUNT, region=REGION)
    assert len(matched) == 1
    assert request == {
        "sourceRevisions": [{"actionName": "SourceImage", "revisionType": "IMAGE_DIGEST", "revisionValue": digest}]
    }


def test_an_upload_starts_the_run_of_its_version_and_another_object_starts_none(need: Callable[..., None]) -> None:
    need("ministack")
    (rule,) = rules_of(graph("s3-source"))
    deployed = Deployed.of(graph("s3-source"))

    def uploaded(key: str) -> dict[str, Any]:
        described = {
            "key": key,
            "size": 5,
            "etag": "b1946ac92492d2347c6235b4d2611184",
            "version-id": "3sL4kqtJlcpXroDT",
        }
        return upload_event(ACCOUNT, REGION, "example-shop-uploads", described)

    with AwsServices() as aws:
        events = aws.client("events", region=REGION)
        matched = [
            key
            for key in ("builds/shop.zip", "builds/shop.zip.sig", "shop.zip")
            if events.test_event_pattern(EventPattern=rule.pattern, Event=json.dumps(uploaded(key)))["Result"]
        ]
    assert matched == ["builds/shop.zip"]
    assert rule.repositories == ()
    policies = deployed.policies_of(rule.role)
    request = rule.request(uploaded("builds/shop.zip"), policies, account=ACCOUNT, region=REGION)
    assert revisions_of(request, deployed) == {"Source": "3sL4kqtJlcpXroDT"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"revisionType": "COMMIT_ID"}, "Source of shop-s3-source takes S3_OBJECT_VERSION_ID, not COMMIT_ID"),
        ({"actionName": "SourceImage"}, "no action is called 'SourceImage'"),
    ],
)
def test_a_revision_that_an_action_does_not_take_is_refused(changed: dict[str, str], said: str) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_SourceRevisionOverride.html"""
    given = {"actionName": "Source", "revisionType": "S3_OBJECT_VERSION_ID", "revisionValue": "3sL4kqtJlcpXroDT"}
    with pytest.raises(Refusal, match=said):
        revisions_of({"sourceRevisions": [{**given, **changed}]}, Deployed.of(graph("s3-source")))


EVENT = push_event(ACCOUNT, REGION, "base/shop", "v1.2.3", "sha256:1")
CACHED = {
    "rule-version": "1",
    "sync-status": "SUCCESS",
    "ecr-repository-prefix": "base",
    "repository-name": "base/shop",
    "upstream-registry-url": "ghcr.io",
    "image-tag": "v1.2.3",
    "image-digest": "sha256:1",
}
REPLICATED = {**EVENT["detail"], "action-type": "REPLICATE", "source-account": "210987654321", "source-region": REGION}
EVENTS = {
    "push": EVENT,
    "replication": {**EVENT, "detail-type": "ECR Replication Action", "detail": REPLICATED},
    "pullThroughCache": {**EVENT, "detail-type": "ECR Pull Through Cache Action", "detail": CACHED},
}
"""As https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html has them."""
OTHERS = ({"image-tag": "1.2.3"}, {"repository-name": "base/other"}, {"result": "FAILED", "sync-status": "FAILED"})


def test_an_image_starts_the_pipeline_by_the_way_and_the_tags_that_the_stack_file_names(
    need: Callable[..., None],
) -> None:
    """The patterns are checked and matched by an EventBridge that is none of ours."""
    need("ministack")
    with AwsServices() as aws:
        events = aws.client("events", region=REGION)

        def started_by(ecr: dict[str, str], detail: dict[str, str]) -> list[str]:
            (rule,) = rules_of(graph("ecr-source", ecr={"repository": "base/shop", **ecr}))
            return [
                way
                for way, event in EVENTS.items()
                if events.test_event_pattern(
                    EventPattern=rule.pattern,
                    Event=json.dumps({**event, "detail": {**event["detail"], **detail}}),
                )["Result"]
            ]

        for way in EVENTS:
            for tags in ({"tagPattern": "v*"}, {"tagPattern": "v*.*.3"}, {"tag": "v1.2.3"}):
                assert started_by({**tags, "arrivesBy": way}, {}) == [way]
            for other in OTHERS:
                assert started_by({"tagPattern": "v*", "arrivesBy": way}, other) == []


def test_several_branches_start_a_pipeline_that_delivers_what_was_pushed() -> None:
    github = {
        "repository": "example/shop",
        "branches": {"include": ["main", "release/*"], "exclude": ["release/old-*"]},
    }
    triggers = Deployed.of(graph("worker", github=github)).triggers
    pushed = ("main", "release/2", "release/old-1", "topic")
    started = [branch for branch in pushed if not reason_not_to_start(triggers, Push(branch=branch))]
    assert started == ["main", "release/2"]


def test_a_rule_whose_role_may_not_start_the_pipeline_does_not() -> None:
    (rule,) = rules_of(graph("prod"))
    event = push_event(ACCOUNT, REGION, "shop-prod", "promoted", "sha256:1")
    with pytest.raises(Refusal, match="lacks codepipeline:StartPipelineExecution"):
        rule.request(event, (), account=ACCOUNT, region=REGION)


def test_a_pipeline_is_awaited_that_the_last_deed_of_another_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dev ends, and with it pushes an image, at the very moment at which somebody looks for new images."""

    def begin(stack: str) -> None:
        running[stack].executions.append(SimpleNamespace(ended=None))

    def look(rehearsal: Rehearsal) -> None:
        looks.append(len(looks))
        dev = rehearsal.stacks["dev"].runner.executions[0]
        if dev.ended is None:
            dev.ended = 1.0
        elif not running["prod"].executions:
            begin("prod")

    def end(execution: Any, seconds: float) -> bool:  # noqa: ANN401 - as above
        if seconds:
            execution.ended = 2.0
        return execution.ended is not None

    running = {name: SimpleNamespace(executions=[], wait=end) for name in ("dev", "prod")}
    looks: list[int] = []
    begin("dev")
    rehearsal: Any = Rehearsal.__new__(Rehearsal)
    rehearsal.stacks = {name: SimpleNamespace(runner=runner) for name, runner in running.items()}
    monkeypatch.setattr(Rehearsal, "_start_for_new_images", look)
    monkeypatch.setattr(Rehearsal, "_check", lambda _rehearsal: None)

    rehearsal.wait()

    assert [execution.ended for execution in running["prod"].executions] == [2.0]
