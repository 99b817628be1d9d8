"""Tests: what the deployed service must pass before its image goes any further."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from mocked import Resource
from samples import (
    BUCKET,
    KEY,
    LOGIN,
    REGISTRY,
    TAGS,
    BuiltStage,
    arn,
    build_stage,
    register_statements,
    shop,
    start_statement,
)

from components.jobs.buildspec import FOLDER
from components.pipeline.model import Action, Artifact, Category, Provider, Variable
from components.stages.tests import TestsStage, TestsStageArgs
from components.stages.wanted import args_of

RUNS = Variable(
    name="LIGHTHOUSE_RUNS",
    default="3",
    description="Lighthouse runs per page; the median counts. More runs, steadier scores.",
)
LIGHTHOUSE = Action(
    name="RunLighthouse",
    category=Category.TEST,
    provider=Provider.CODEBUILD,
    machine="Linux/Small",
    configuration={"ProjectName": "shop-dev-run-lighthouse"},
    environment={"LIGHTHOUSE_RUNS": "#{variables.LIGHTHOUSE_RUNS}"},
    reads=(Artifact.DEPLOYMENT,),
    writes=(Artifact.LIGHTHOUSE_REPORT,),
    variables=(RUNS,),
)
SMOKE_TEST = Action(
    name="RunSmokeTest",
    category=Category.TEST,
    provider=Provider.CODEBUILD,
    machine="ARM/Small",
    configuration={"ProjectName": "shop-dev-run-smoke-test"},
    reads=(Artifact.SMOKE_TEST_IMAGE,),
    environment={"IMAGE_DIGEST": "#{BuildSmokeTestImage.IMAGE_DIGEST}"},
)
SMOKE = {"smokeTest": {"enabled": True}}


@cache
def plain() -> BuiltStage:
    return build_stage(TestsStage, shop(tests={"enabled": True}))


@cache
def with_smoke_test() -> BuiltStage:
    return build_stage(TestsStage, shop(tests={"enabled": True, "timeoutMinutes": 12}, build=SMOKE))


@cache
def by_default() -> BuiltStage:
    return build_stage(TestsStage, shop(tests={"enabled": True}, build=SMOKE))


def test_lighthouse_measures_the_deployed_service() -> None:
    assert plain().actions == (LIGHTHOUSE,)
    assert plain().grants == [start_statement("run-lighthouse")]


def test_lighthouse_knows_address_pages_and_budgets() -> None:
    assert plain().variables("run-lighthouse") == {
        "SERVICE_URL": "https://shop.example.com",
        "LIGHTHOUSE_PACKAGE": f"s3://{BUCKET}/_lighthouse/package.json",
        "LIGHTHOUSE_LOCK": f"s3://{BUCKET}/_lighthouse/package-lock.json",
        "LIGHTHOUSE_PATHS": '["/"]',
        "LIGHTHOUSE_DEVICES": '["mobile"]',
        "LIGHTHOUSE_BUDGETS": '{"accessibility": 90, "best-practices": 90, "performance": 80, "seo": 80}',
    }


def test_pages_budgets_and_runs_are_the_stack_files() -> None:
    """The number of runs is a variable of the pipeline: noisy pages want more of it, without a change of structure."""
    lighthouse = {"paths": ["/", "/cart"], "runs": 5, "budgets": {"performance": 60, "bestPractices": 95}}
    built = build_stage(TestsStage, shop(tests={"enabled": True, "lighthouse": lighthouse}))
    variables = built.variables("run-lighthouse")
    assert json.loads(variables["LIGHTHOUSE_PATHS"]) == ["/", "/cart"]
    assert json.loads(variables["LIGHTHOUSE_BUDGETS"]) == {
        "performance": 60,
        "accessibility": 90,
        "best-practices": 95,
        "seo": 80,
    }
    assert [item.default for item in built.actions[0].variables] == ["5"]


def test_lighthouse_runs_where_there_is_a_browser() -> None:
    assert plain().machine("run-lighthouse") == (
        "LINUX_CONTAINER",
        "aws/codebuild/standard:8.0",
        "BUILD_GENERAL1_SMALL",
    )


def test_lighthouse_gets_a_larger_machine_where_scores_need_one() -> None:
    built = build_stage(TestsStage, shop(tests={"enabled": True, "lighthouse": {"compute": "large"}}))
    assert built.machine("run-lighthouse")[2] == "BUILD_GENERAL1_LARGE"


def test_lighthouse_may_read_its_packages_write_its_report_and_nothing_else() -> None:
    assert plain().statements("run-lighthouse") == [
        {
            "Sid": "ReadLighthousePackage",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{BUCKET}/_lighthouse/package.json"],
        },
        {
            "Sid": "ReadLighthouseLock",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{BUCKET}/_lighthouse/package-lock.json"],
        },
        {
            "Sid": "WriteReports",
            "Effect": "Allow",
            "Action": [
                "codebuild:BatchPutTestCases",
                "codebuild:CreateReport",
                "codebuild:CreateReportGroup",
                "codebuild:UpdateReport",
            ],
            "Resource": [arn("codebuild", "report-group/shop-dev-run-lighthouse-lighthouse")],
        },
    ]


def test_lighthouse_and_all_it_needs_are_locked_and_stored_with_the_stack() -> None:
    """A commit to the application cannot change what is installed, and neither can a new version of a package."""
    graph = plain().graph
    stored = {item.inputs["key"]: item for item in graph.of("BucketObjectv2") if "_jobs/" not in item.inputs["key"]}
    assert {key: Path(item.inputs["source"].path) for key, item in stored.items()} == {
        f"_lighthouse/{name}": FOLDER / "lighthouse" / name for name in ("package.json", "package-lock.json")
    }
    for item in stored.values():
        assert (item.inputs["bucket"], item.inputs["contentType"]) == (BUCKET, "application/json")
        assert item.inputs["tags"] == TAGS
        assert graph.one("BucketPolicy").urn in item.dependencies


def test_the_packages_are_stored_before_the_job_that_reads_them() -> None:
    graph = plain().graph
    variables = plain().project("run-lighthouse").property_dependencies["environment"]
    assert {item.urn for item in graph.of("BucketObjectv2")} <= set(variables)


def test_the_packages_lie_where_no_pipeline_keeps_artifacts() -> None:
    """Artifacts expire and builds may write them; a pipeline's folder starts with a small letter."""
    assert [item.inputs["key"] for item in plain().graph.of("BucketObjectv2") if item.inputs["key"][0].islower()] == []


def test_the_smoke_test_runs_at_the_same_time() -> None:
    assert with_smoke_test().actions == (LIGHTHOUSE, SMOKE_TEST)
    assert LIGHTHOUSE.run_order == SMOKE_TEST.run_order
    assert with_smoke_test().grants == [start_statement("run-lighthouse"), start_statement("run-smoke-test")]


FAMILY = "shop-dev_smoke-test"
SMOKE_TEST_LOG = "/ecs/shop-dev/smoke-test"


def test_the_smoke_test_is_a_task_beside_the_service() -> None:
    built = with_smoke_test()
    given = built.variables("run-smoke-test")
    definition = json.loads(given.pop("TASK_DEFINITION"))
    assert given == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev-smoke-test",
        "SERVICE_URL": "https://shop.example.com",
        "CLUSTER": "shop-cluster",
        "SERVICE": "shop-service",
        "TASK_TAG": "ecs-delivery-task",
        "TIMEOUT_MINUTES": "12",
    }
    options = {"awslogs-group": SMOKE_TEST_LOG, "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "smoke-test"}
    log = {"logDriver": "awslogs", "options": options}
    assert definition == {
        "family": FAMILY,
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": execution_role(built).outputs["arn"],
        "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
        "containerDefinitions": [{"name": "smoke-test", "essential": True, "stopTimeout": 30, "logConfiguration": log}],
    }


def execution_role(built: BuiltStage) -> Resource:
    """What ECS starts the smoke test with."""
    (role,) = (item for item in built.graph.of("aws:iam/role:Role") if item.name.endswith("-execution"))
    return role


def test_the_size_and_the_processor_of_its_task_can_be_chosen() -> None:
    tests = {"enabled": True, "smokeTestTask": {"cpu": 1024, "memory": 4096}}
    application = {"name": "shop", "architecture": "x86_64"}
    built = build_stage(TestsStage, shop(application=application, tests=tests, build=SMOKE))
    definition = json.loads(built.variables("run-smoke-test")["TASK_DEFINITION"])
    assert (definition["cpu"], definition["memory"]) == ("1024", "4096")
    assert definition["runtimePlatform"]["cpuArchitecture"] == "X86_64"


def test_what_a_commit_puts_into_the_smoke_test_runs_without_privileges() -> None:
    """No Docker daemon beside the job, no task role, and an execution role that ECS alone uses."""
    built = with_smoke_test()
    assert built.project("run-smoke-test").inputs["environment"]["privilegedMode"] is False
    assert "taskRoleArn" not in json.loads(built.variables("run-smoke-test")["TASK_DEFINITION"])
    role = execution_role(built)
    (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    (policy,) = (item for item in built.graph.of("RolePolicy") if item.name.endswith("-execution-policy"))
    assert json.loads(policy.inputs["policy"])["Statement"] == [
        LOGIN,
        {
            "Sid": "PullImage",
            "Effect": "Allow",
            "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Resource": [arn("ecr", "repository/shop-dev-smoke-test")],
        },
        {
            "Sid": "WriteLog",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [arn("logs", f"log-group:{SMOKE_TEST_LOG}:*")],
        },
    ]


def test_the_job_of_the_smoke_test_runs_and_stops_its_own_tasks_alone() -> None:
    cluster, tasks = arn("ecs", "cluster/shop-cluster"), arn("ecs", "task/shop-cluster/*")
    built = with_smoke_test()
    register, _, passing = register_statements("")
    assert built.statements("run-smoke-test") == [
        register,
        {**passing, "Resource": [execution_role(built).outputs["arn"]]},
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
            "Resource": [arn("ecs", f"task-definition/{FAMILY}:*")],
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
            "Condition": {"StringEquals": {"aws:ResourceTag/ecs-delivery-task": FAMILY}},
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
            "Resource": [arn("logs", f"log-group:{SMOKE_TEST_LOG}:log-stream:smoke-test/*")],
        },
    ]


def test_its_log_is_kept_and_encrypted_as_every_other() -> None:
    (log,) = (item for item in with_smoke_test().graph.of("LogGroup") if item.inputs["name"] == SMOKE_TEST_LOG)
    assert log.inputs["retentionInDays"]
    assert log.inputs["kmsKeyId"] == KEY


def test_both_end_when_their_time_is_up() -> None:
    """The job of the smoke test lasts longer than its task, which it has to stop."""
    built = with_smoke_test()
    assert built.project("run-lighthouse").inputs["buildTimeout"] == 12
    assert built.variables("run-smoke-test")["TIMEOUT_MINUTES"] == "12"
    assert built.project("run-smoke-test").inputs["buildTimeout"] == 17


def test_by_default_the_smoke_test_ends_within_the_time_of_a_machine_that_starts_at_once() -> None:
    """15 minutes, of which 5 are kept to stop tasks; Lighthouse keeps its half an hour."""
    built = by_default()
    assert built.variables("run-smoke-test")["TIMEOUT_MINUTES"] == "10"
    assert built.machine("run-smoke-test")[::2] == ("ARM_LAMBDA_CONTAINER", "BUILD_LAMBDA_2GB")
    assert "buildTimeout" not in built.project("run-smoke-test").inputs
    assert built.project("run-lighthouse").inputs["buildTimeout"] == 30


@pytest.mark.parametrize(
    ("region", "minutes", "machine", "timeout"),
    [
        pytest.param("eu-west-1", 10, "ARM_LAMBDA_CONTAINER", None, id="just fits"),
        pytest.param("eu-west-1", 11, "ARM_CONTAINER", 16, id="is a minute too long"),
        pytest.param("eu-west-3", 10, "ARM_CONTAINER", 15, id="no Lambda machines there"),
    ],
)
def test_the_job_of_the_smoke_test_runs_where_it_can_end_in_time(
    region: str, minutes: int, machine: str, timeout: int | None
) -> None:
    settings = shop(tests={"enabled": True, "timeoutMinutes": minutes}, build=SMOKE)
    built = build_stage(TestsStage, settings, region=region)
    assert built.machine("run-smoke-test")[0] == machine
    assert built.project("run-smoke-test").inputs.get("buildTimeout") == timeout


def test_no_two_tests_that_run_side_by_side_share_a_machine_type() -> None:
    """A new account runs one build at a time on each, and refuses the start of a second one."""
    tests = {"enabled": True, "http": [{"path": "/healthz"}]}
    built = build_stage(TestsStage, shop(tests=tests, build=SMOKE))
    machines = [action.machine for action in built.actions]
    assert machines == ["Linux/Small", "ARM Lambda/1GB", "ARM Lambda/2GB"]
    assert {action.run_order for action in built.actions} == {1}


def test_without_a_smoke_test_image_none_is_run() -> None:
    assert plain().jobs == ["run-lighthouse"]


def test_a_service_nobody_can_find_cannot_be_tested() -> None:
    with pytest.raises(ValueError, match="address") as refusal:
        build_stage(TestsStage, shop(tests={"enabled": True}), service_url=None)
    assert str(refusal.value) == "shop-test: tests need the address of the service"


HEADERS = {"Authorization": "shop/tests:authorization", "Cookie": "shop/tests:cookie"}
API = {"lighthouse": {"enabled": False}, "http": [{"path": "/healthz", "contains": "ok"}], "headers": HEADERS}
HTTP_CHECKS = Action(
    name="RunHttpChecks",
    category=Category.TEST,
    provider=Provider.CODEBUILD,
    machine="ARM Lambda/1GB",
    configuration={"ProjectName": "shop-dev-run-http-checks"},
    reads=(Artifact.DEPLOYMENT,),
)
READ_HEADERS = {
    "Sid": "ReadTestHeaders",
    "Effect": "Allow",
    "Action": ["secretsmanager:GetSecretValue"],
    "Resource": [arn("secretsmanager", "secret:shop/tests-??????")],
}


def test_an_api_is_asked_and_not_measured() -> None:
    built = build_stage(TestsStage, shop(tests={"enabled": True, **API}))
    assert built.actions == (HTTP_CHECKS,)
    assert built.grants == [start_statement("run-http-checks")]
    stored = [item.inputs["key"] for item in built.graph.of("BucketObjectv2")]
    assert [key for key in stored if "lighthouse" in key] == [], "nothing of Lighthouse is kept"
    variables = built.variables("run-http-checks")
    assert variables["SERVICE_URL"] == "https://shop.example.com"
    assert json.loads(variables["TEST_HEADERS"]) == HEADERS
    assert json.loads(variables["HTTP_CHECKS"]) == [
        {
            "method": "GET",
            "path": "/healthz",
            "status": 200,
            "headers": {},
            "contains": "ok",
            "withinMilliseconds": 5000,
        }
    ]


def test_the_secrets_of_headers_are_read_by_the_jobs_that_send_them() -> None:
    built = build_stage(TestsStage, shop(tests={"enabled": True, **API, "lighthouse": {}}, build=SMOKE))
    assert built.actions == (LIGHTHOUSE, HTTP_CHECKS, replace(SMOKE_TEST, machine="ARM Lambda/2GB"))
    for job in ("run-lighthouse", "run-http-checks"):
        assert READ_HEADERS in built.statements(job)
        assert json.loads(built.variables(job)["TEST_HEADERS"]) == HEADERS
    assert READ_HEADERS not in built.statements("run-smoke-test")
    assert "ReadTestHeaders" not in json.dumps(plain().statements("run-lighthouse"))


def test_pages_are_measured_as_the_devices_of_the_stack_file() -> None:
    lighthouse = {"devices": ["mobile", "desktop"]}
    built = build_stage(TestsStage, shop(tests={"enabled": True, "lighthouse": lighthouse}))
    assert json.loads(built.variables("run-lighthouse")["LIGHTHOUSE_DEVICES"]) == ["mobile", "desktop"]


def test_the_toggle_decides() -> None:
    assert args_of(TestsStage, shop()) is None
    assert args_of(TestsStage, shop(tests={"enabled": False, "lighthouse": {"runs": 5}})) is None
    settings = shop(tests={"enabled": True})
    assert args_of(TestsStage, settings) == TestsStageArgs(tests=settings.tests, plain_http=False)


MADE = {"loadBalancer": {"plainHttp": True}}
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f-1234-4abc-8def-0123456789ab"
ENCRYPTED = {"loadBalancer": {"certificateArn": CERTIFICATE, "domainName": "shop.example.com"}}
NAMED = {"cluster": "shop", "service": "shop", "executionRole": "shop-execution", "loadBalancer": "shop"}


@pytest.mark.parametrize(
    ("hosting", "best_practices"),
    [
        pytest.param(MADE, 75, id="plain HTTP"),
        pytest.param(ENCRYPTED, 90, id="a certificate"),
        pytest.param({"existing": {**NAMED, "serviceUrl": "http://shop.example.com"}}, 75, id="an address without it"),
        pytest.param({"existing": {**NAMED, "serviceUrl": "https://shop.example.com"}}, 90, id="an address with it"),
        pytest.param({"existing": NAMED}, 75, id="the load balancer's own name"),
    ],
)
def test_the_budget_of_best_practices_follows_the_encryption(hosting: dict[str, Any], best_practices: int) -> None:
    """Over plain HTTP no page gets 90."""
    deploy = {"engine": "ecs"}
    built = build_stage(TestsStage, shop(tests={"enabled": True}, hosting=hosting, deploy=deploy))
    assert json.loads(built.variables("run-lighthouse")["LIGHTHOUSE_BUDGETS"])["best-practices"] == best_practices


def test_the_stage_offers_what_it_runs() -> None:
    assert plain().name == "Test"
    assert plain().registered == {"actions": ["RunLighthouse"]}
    assert with_smoke_test().registered == {"actions": ["RunLighthouse", "RunSmokeTest"]}
