"""A person's yes before the deployment: first of all, with what the deployment changes."""

from __future__ import annotations

import dataclasses
from functools import cache

from samples import REGISTRY, BuiltStage, arn, build_stage, image_repository, shop, start_statement

from components.pipeline.model import Action, Artifact, Category, Provider
from components.stages.deploy import DeployStage

TOPIC = "arn:aws:sns:eu-west-1:123456789012:approvals"
BEFORE = {"command": ["bin/rails", "db:migrate"]}
FILES = {"enabled": True, "bucket": "shop-static", "upload": {"path": "public"}}
QUESTION = (
    "Deploy version #{BuildImage.IMAGE_VERSION} (#{BuildImage.IMAGE_DIGEST}) to shop-service? "
    "It replaces #{ReviewDeployment.RUNNING}. Of the task definition it changes #{ReviewDeployment.CHANGES}. "
    "Commits: #{ReviewDeployment.COMMITS}"
)


@cache
def approved(**approval: object) -> BuiltStage:
    return build_stage(DeployStage, shop(deploy={"approval": {"enabled": True, **approval}, "before": BEFORE}))


def test_nothing_is_done_before_a_person_says_yes() -> None:
    settings = shop(deploy={"approval": {"enabled": True}, "before": BEFORE, "staticFiles": FILES})
    orders = {action.name: action.run_order for action in build_stage(DeployStage, settings).actions}
    assert orders == {
        "ReviewDeployment": 1,
        "ApproveDeployment": 2,
        "PublishStaticFiles": 3,
        "RunBeforeDeployment": 4,
        "DeployService": 5,
        "WatchDeployment": 5,
        "PruneStaticFiles": 6,
    }


def test_the_person_is_told_what_is_replaced_and_what_changes() -> None:
    review, ask = approved().actions[:2]
    assert ask == Action(
        name="ApproveDeployment",
        category=Category.APPROVAL,
        provider=Provider.MANUAL,
        configuration={"CustomData": QUESTION, "ExternalEntityLink": "#{ReviewDeployment.REVIEW_URL}"},
        timeout_minutes=7 * 24 * 60,
        run_order=2,
    )
    assert (review.namespace, review.exports) == (
        "ReviewDeployment",
        ("RUNNING", "CHANGES", "COMMITS", "REVIEW_URL"),
    )
    assert review.reads == (Artifact.DEPLOYMENT,)


def test_the_question_has_room_for_the_longest_texts() -> None:
    """CodePipeline takes 1,000 characters: names of a service, tags of an image and what the job cuts off itself."""
    longest = {
        "shop-service": 255,
        "#{BuildImage.IMAGE_VERSION}": 128,
        "#{BuildImage.IMAGE_DIGEST}": len("sha256:") + 64,
        "#{ReviewDeployment.RUNNING}": 180,
        "#{ReviewDeployment.CHANGES}": len("1000 keys besides the image"),
        "#{ReviewDeployment.COMMITS}": 180,
    }
    asked = QUESTION
    for text, length in longest.items():
        asked = asked.replace(text, "x" * length)
    assert "#{" not in asked
    assert len(asked) <= 1000


def test_the_job_looks_at_what_runs_and_changes_nothing() -> None:
    assert approved().variables("review-deployment") == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "CLUSTER": "shop-cluster",
        "SERVICE": "shop-service",
    }
    assert approved().statements("review-deployment") == [
        {
            "Sid": "ReadService",
            "Effect": "Allow",
            "Action": ["ecs:DescribeServices"],
            "Resource": [arn("ecs", "service/shop-cluster/shop-service")],
        },
        {"Sid": "ReadTaskDefinition", "Effect": "Allow", "Action": ["ecs:DescribeTaskDefinition"], "Resource": ["*"]},
        {
            "Sid": "DescribeImages",
            "Effect": "Allow",
            "Action": ["ecr:DescribeImages"],
            "Resource": [image_repository("shop-dev")],
        },
    ]
    assert start_statement("review-deployment") in approved().grants


def test_a_topic_is_notified_when_the_approval_waits() -> None:
    built = approved(notifyTopicArn=TOPIC, timeoutMinutes=60)
    ask = built.actions[1]
    assert ask.configuration["NotificationArn"] == TOPIC
    assert ask.timeout_minutes == 60
    notify = {"Sid": "AskForDeployment", "Effect": "Allow", "Action": ["sns:Publish"], "Resource": [TOPIC]}
    assert notify in built.grants


def test_without_it_nobody_is_asked_and_no_job_is_there() -> None:
    built = build_stage(DeployStage, shop(deploy={"approval": {"enabled": False, "notifyTopicArn": TOPIC}}))
    plain = build_stage(DeployStage, shop())
    assert [dataclasses.replace(each, configuration={}) for each in built.actions] == [
        dataclasses.replace(each, configuration={}) for each in plain.actions
    ]
    assert built.grants == plain.grants
    assert "review-deployment" not in built.jobs
