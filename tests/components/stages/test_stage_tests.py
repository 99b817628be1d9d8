"""Tests: what the deployed service must pass before its image goes any further."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samples import BUCKET, LOGIN, REGISTRY, TAGS, BuiltStage, arn, build_stage, pull_statement, shop, start_statement

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
    machine="Linux/Medium",
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
        "BUILD_GENERAL1_MEDIUM",
    )


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


def test_the_smoke_test_runs_its_own_image_on_the_applications_architecture() -> None:
    built = with_smoke_test()
    assert built.variables("run-smoke-test") == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev-smoke-test",
        "SERVICE_URL": "https://shop.example.com",
    }
    assert built.statements("run-smoke-test") == [pull_statement("shop-dev-smoke-test"), LOGIN]
    assert built.machine("run-smoke-test")[0] == "ARM_CONTAINER"
    assert built.project("run-smoke-test").inputs["environment"]["privilegedMode"] is True


def test_both_end_when_their_time_is_up() -> None:
    built = with_smoke_test()
    assert built.project("run-lighthouse").inputs["buildTimeout"] == 12
    assert built.project("run-smoke-test").inputs["buildTimeout"] == 12


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
    assert built.actions == (LIGHTHOUSE, HTTP_CHECKS, SMOKE_TEST)
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
