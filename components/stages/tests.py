"""Tests: what a deployed service must pass before its image goes any further."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.foundation.iam import Statement
from components.foundation.secret import SecretReference, read_all
from components.hosting.smoke_test_task import SmokeTestTask, SmokeTestTaskArgs
from components.images.repository import Repository
from components.jobs.build_project import Wait, browser_machine
from components.jobs.buildspec import FOLDER
from components.pipeline.model import Action, Artifact, Category, Variable, scheduled
from components.pipeline.variables import SMOKE_TEST_IMAGE
from components.settings import TestsSection
from components.stages.stage import SharedFacts, Stage, StageContext

KEYS = {"package.json": "_lighthouse/package.json", "package-lock.json": "_lighthouse/package-lock.json"}
"""What `npm ci` needs, and where no pipeline keeps artifacts (see the task definition's template). The lock names each
package of Lighthouse by the hash of its content; it is too long for an inline buildspec."""

MINUTES_TO_END = 5
"""What the job of the smoke test gets beyond its task: two to stop one of an earlier run, two for its own, and one to
say why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestsStageArgs:
    """What the stage needs of the stack file.

    Attributes:
        tests: The section ``tests``.
        plain_http: Whether the service is reached without encryption.
    """

    tests: TestsSection
    plain_http: bool


class TestsStage(Stage[TestsSection, TestsStageArgs]):
    """Lighthouse and HTTP checks against the deployed service and, where one is built, the smoke-test image."""

    TYPE: ClassVar[str] = "ecs-delivery:stage:Tests"
    NAME: ClassVar[str] = "Test"
    SECTION: ClassVar[str] = "tests"

    def __init__(
        self, name: str, args: TestsStageArgs, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        service_url = context.hosting.service_url
        if service_url is None:
            raise ValueError(f"{name}: tests need the address of the service")
        self._service_url = service_url
        jobs: list[tuple[Statement, Action]] = []
        if args.tests.lighthouse.enabled:
            jobs.append(self._lighthouse())
        if args.tests.http:
            jobs.append(self._http_checks())
        if context.registry.smoke_test is not None:
            jobs.append(self._smoke_test(context.registry.smoke_test))
        self.grants = tuple(start for start, _ in jobs)
        self.actions = scheduled([action for _, action in jobs], parallel_jobs=context.parallel_jobs)
        self.register_outputs({"actions": [action.name for action in self.actions]})

    @classmethod
    def wanted(cls, section: TestsSection, shared: SharedFacts) -> TestsStageArgs | None:
        """On with ``tests.enabled``."""
        return TestsStageArgs(tests=section, plain_http=shared.plain_http) if section.enabled else None

    @property
    def _headers(self) -> tuple[dict[str, str], list[Statement]]:
        """What a job is told of the headers that it sends, and the permission to read them."""
        secrets = self._args.tests.headers
        if not secrets:
            return {}, []
        read = read_all(
            "ReadTestHeaders", map(SecretReference.parsed, secrets.values()), self._context.foundation.account
        )
        return {"TEST_HEADERS": json.dumps(dict(secrets), sort_keys=True)}, [read]

    def _lighthouse(self) -> tuple[Statement, Action]:
        args, artifacts = self._args, self._context.artifacts
        lighthouse = args.tests.lighthouse
        headers, secrets = self._headers
        runs = Variable(
            name="LIGHTHOUSE_RUNS",
            default=str(lighthouse.runs),
            description="Lighthouse runs per page; the median counts. More runs, steadier scores.",
        )
        project = self.project(
            "run-lighthouse",
            description="Measures the deployed pages and holds the median against the budgets",
            machine=browser_machine(lighthouse.compute),
            reads=(Artifact.DEPLOYMENT,),
            writes=(Artifact.LIGHTHOUSE_REPORT,),
            variables={
                "SERVICE_URL": self._service_url,
                "LIGHTHOUSE_PACKAGE": self._stored("package.json"),
                "LIGHTHOUSE_LOCK": self._stored("package-lock.json"),
                "LIGHTHOUSE_PATHS": json.dumps(list(lighthouse.paths)),
                "LIGHTHOUSE_DEVICES": json.dumps(list(lighthouse.devices)),
                "LIGHTHOUSE_BUDGETS": json.dumps(lighthouse.budgets.scores(plain_http=args.plain_http), sort_keys=True),
                **headers,
            },
            statements=[
                artifacts.read("ReadLighthousePackage", KEYS["package.json"]),
                artifacts.read("ReadLighthouseLock", KEYS["package-lock.json"]),
                *secrets,
            ],
            timeout_minutes=args.tests.minutes_of_lighthouse,
        )
        action = project.action(
            "RunLighthouse",
            category=Category.TEST,
            environment={runs.name: runs.reference},
            variables=(runs,),
        )
        return project.start(), action

    def _http_checks(self) -> tuple[Statement, Action]:
        tests = self._args.tests
        headers, secrets = self._headers
        project = self.project(
            "run-http-checks",
            description="Holds what the deployed service answers against what is expected",
            machine=self._context.quick,
            reads=(Artifact.DEPLOYMENT,),
            variables={"SERVICE_URL": self._service_url, "HTTP_CHECKS": tests.checks, **headers},
            statements=secrets,
        )
        return project.start(), project.action("RunHttpChecks", category=Category.TEST)

    def _smoke_test(self, repository: Repository) -> tuple[Statement, Action]:
        context, tests = self._context, self._args.tests
        # Of the sizes that the jobs beside it do not have, so that it waits for nobody's quota, the least.
        wait = Wait.on(context.transfer, stated=tests.minutes_of_smoke_test, to_end=MINUTES_TO_END)
        task = SmokeTestTask(
            f"{self._name}-smoke-test",
            SmokeTestTaskArgs(
                foundation=context.foundation,
                target=context.hosting,
                repository=repository,
                architecture=context.application.architecture,
                cpu=tests.smoke_test_task.cpu,
                memory=tests.smoke_test_task.memory,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        project = self.project(
            "run-smoke-test",
            description="Runs the smoke-test image as one task against the deployed service",
            machine=wait.machine,
            reads=(Artifact.SMOKE_TEST_IMAGE,),
            variables={
                "IMAGE_REPOSITORY_URI": repository.uri,
                "SERVICE_URL": self._service_url,
                "TIMEOUT_MINUTES": str(wait.minutes),
                **task.variables,
            },
            statements=task.statements,
            timeout_minutes=wait.timeout_minutes,
        )
        return project.start(), project.action("RunSmokeTest", category=Category.TEST, environment=SMOKE_TEST_IMAGE)

    def _stored(self, file: str) -> pulumi.Output[str]:
        """The ``s3://`` address of a file of ``buildspecs/lighthouse``, kept where the job can fetch it."""
        return self._context.artifacts.store(
            f"{self._name}-lighthouse-{file.removesuffix('.json')}",
            KEYS[file],
            # Not as text: the state, written after each step of an update, would hold all of it.
            pulumi.FileAsset(FOLDER / "lighthouse" / file),
            content_type="application/json",
            parent=self,
        )
