"""Commands around the deployment: a job of its own, which may run and stop its own tasks and nothing else."""

from __future__ import annotations

import json
from functools import cache

import pytest
from samples import BUCKET, KEY, REGISTRY, BuiltStage, arn, build_stage, register_statements, shop, start_statement

from components.engines import ENGINES
from components.pipeline.model import Artifact
from components.settings.rules import OVERRIDE_CHARACTERS
from components.stages.deploy import DeployStage

BEFORE = {"command": ["bin/rails", "db:migrate"], "timeoutMinutes": 20}
AFTER = {"command": ["bin/rails", "cache:warm"]}
FILES = {"enabled": True, "bucket": "shop-static", "upload": {"from": "image", "path": "/srv/public"}}


@cache
def both() -> BuiltStage:
    return build_stage(DeployStage, shop(deploy={"before": BEFORE, "after": AFTER}))


def orders(built: BuiltStage) -> dict[str, int]:
    return {action.name: action.run_order for action in built.actions}


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_the_service_moves_between_the_two_whatever_moves_it(engine: str) -> None:
    built = build_stage(DeployStage, shop(deploy={"engine": engine, "before": BEFORE, "after": AFTER}))
    placed = orders(built)
    assert placed.pop("RunBeforeDeployment") == 1
    assert placed.pop("RunAfterDeployment") == 3
    assert set(placed.values()) == {2}


def test_static_files_are_published_first_and_pruned_last() -> None:
    """A command that fails afterwards leaves the files of both versions."""
    built = build_stage(DeployStage, shop(deploy={"before": BEFORE, "after": AFTER, "staticFiles": FILES}))
    assert orders(built) == {
        "ExtractStaticFiles": 1,
        "PublishStaticFiles": 2,
        "RunBeforeDeployment": 3,
        "DeployService": 4,
        "WatchDeployment": 4,
        "RunAfterDeployment": 5,
        "PruneStaticFiles": 6,
    }


def test_the_job_knows_its_command_its_family_and_its_time() -> None:
    assert both().variables("run-before") == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "WHEN": "before",
        "CLUSTER": "shop-cluster",
        "SERVICE": "shop-service",
        "FAMILY": "shop-dev_before",
        "TASK_TAG": "ecs-delivery-task",
        "COMMAND": '["bin/rails", "db:migrate"]',
        "LOG_GROUP": "/ecs/shop-dev",
        "RECORDS": f"s3://{BUCKET}/_tasks/before",
        "TIMEOUT_MINUTES": "20",
    }
    after = both().variables("run-after")
    assert (after["FAMILY"], after["COMMAND"]) == ("shop-dev_after", '["bin/rails", "cache:warm"]')
    assert after["RECORDS"] == f"s3://{BUCKET}/_tasks/after"


def test_the_job_may_wait_for_an_earlier_task_and_then_for_its_own() -> None:
    assert both().project("run-before").inputs["buildTimeout"] == 2 * 20 + 5
    assert both().machine("run-before")[0] == "ARM_CONTAINER"


@pytest.mark.parametrize(("minutes", "machine"), [(5, "ARM_LAMBDA_CONTAINER"), (6, "ARM_CONTAINER")])
def test_a_command_that_is_short_runs_on_a_machine_that_starts_at_once(minutes: int, machine: str) -> None:
    built = build_stage(DeployStage, shop(deploy={"before": {**BEFORE, "timeoutMinutes": minutes}}))
    assert built.machine("run-before")[0] == machine


def test_the_action_reads_the_deployment_of_the_delivered_image() -> None:
    (action,) = (action for action in both().actions if action.name == "RunBeforeDeployment")
    assert action.reads == (Artifact.DEPLOYMENT,)
    assert action.environment == {"IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}"}
    assert start_statement("run-before") in both().grants
    assert start_statement("run-after") in both().grants


def test_the_job_runs_tasks_of_its_own_family_and_stops_no_others() -> None:
    cluster, tasks = arn("ecs", "cluster/shop-cluster"), arn("ecs", "task/shop-cluster/*")
    revisions = arn("ecs", "task-definition/shop-dev_before:*")
    assert both().statements("run-before") == [
        *register_statements(revisions),
        {
            "Sid": "ReadService",
            "Effect": "Allow",
            "Action": ["ecs:DescribeServices"],
            "Resource": [arn("ecs", "service/shop-cluster/shop-service")],
        },
        {
            "Sid": "RunTask",
            "Effect": "Allow",
            "Action": ["ecs:RunTask"],
            "Resource": [revisions],
            "Condition": {"ArnEquals": {"ecs:cluster": cluster}},
        },
        {
            "Sid": "TagTask",
            "Effect": "Allow",
            "Action": ["ecs:TagResource"],
            "Resource": [tasks],
            "Condition": {"StringEquals": {"ecs:CreateAction": "RunTask"}},
        },
        {
            "Sid": "StopTask",
            "Effect": "Allow",
            "Action": ["ecs:StopTask"],
            "Resource": [tasks],
            "Condition": {"StringEquals": {"aws:ResourceTag/ecs-delivery-task": "shop-dev_before"}},
        },
        {
            "Sid": "ListTasks",
            "Effect": "Allow",
            "Action": ["ecs:ListTasks"],
            "Resource": ["*"],
            "Condition": {"ArnEquals": {"ecs:cluster": cluster}},
        },
        {"Sid": "ReadTasks", "Effect": "Allow", "Action": ["ecs:DescribeTasks"], "Resource": [tasks]},
        {
            "Sid": "ReadApplicationLog",
            "Effect": "Allow",
            "Action": ["logs:GetLogEvents"],
            "Resource": [arn("logs", "log-group:/ecs/shop-dev:log-stream:shop/*")],
        },
        {
            "Sid": "KeepRecords",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": [f"arn:aws:s3:::{BUCKET}/_tasks/before/*"],
        },
        {
            "Sid": "FindRecords",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{BUCKET}"],
            "Condition": {"StringLike": {"s3:prefix": "_tasks/before/*"}},
        },
        {"Sid": "EncryptRecords", "Effect": "Allow", "Action": ["kms:GenerateDataKey"], "Resource": [KEY]},
    ]


def test_without_a_command_there_is_no_job() -> None:
    built = build_stage(DeployStage, shop())
    assert [job for job in built.jobs if job.startswith("run-")] == []
    assert "RunTask" not in json.dumps(built.grants)


def test_the_records_are_kept_where_no_artifact_expires_and_no_other_job_writes() -> None:
    """A retry after months must still know that a migration has run."""
    assert both().variables("run-before")["RECORDS"].split("/", 3)[3].startswith("_")


@pytest.mark.parametrize("words", [1, 100])
def test_a_command_as_long_as_ecs_takes_it_is_accepted(words: int) -> None:
    """As ECS counts it: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html."""
    form = json.dumps({"containerOverrides": [{"name": "shop", "command": [""] * words}]})
    command = ["x" * (OVERRIDE_CHARACTERS - len(form) - words + 1), *["x"] * (words - 1)]
    assert shop(deploy={"before": {"command": command}}).deploy.before
