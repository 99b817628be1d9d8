"""Tests: what a deployed service must pass before its image goes any further."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.foundation.iam import Statement
from components.foundation.secret import SecretReference, read_all
from components.images.repository import Repository, registry_login
from components.jobs.build_project import CHROME, BuildProject, image_builder
from components.jobs.buildspec import FOLDER
from components.pipeline.model import Action, Artifact, Category, Variable, scheduled
from components.pipeline.variables import SMOKE_TEST_IMAGE
from components.settings import TestsSection
from components.stages.stage import SharedFacts, Stage, StageContext

KEYS = {"package.json": "_lighthouse/package.json", "package-lock.json": "_lighthouse/package-lock.json"}
"""What `npm ci` needs, and where no pipeline keeps artifacts (see the task definition's template). The lock names each
package of Lighthouse by the hash of its content; it is too long for an inline buildspec."""


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
        projects: list[tuple[BuildProject, Action]] = []
        if args.tests.lighthouse.enabled:
            projects.append(self._lighthouse())
        if args.tests.http:
            projects.append(self._http_checks())
        if context.registry.smoke_test is not None:
            projects.append(self._smoke_test(context.registry.smoke_test))
        self.grants = tuple(project.start() for project, _ in projects)
        actions = [action for _, action in projects]
        self.actions = scheduled(actions, parallel_jobs=context.parallel_jobs)
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

    def _lighthouse(self) -> tuple[BuildProject, Action]:
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
            machine=CHROME,
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
            timeout_minutes=args.tests.timeout_minutes,
        )
        action = project.action(
            "RunLighthouse",
            category=Category.TEST,
            environment={runs.name: runs.reference},
            variables=(runs,),
        )
        return project, action

    def _http_checks(self) -> tuple[BuildProject, Action]:
        tests = self._args.tests
        headers, secrets = self._headers
        project = self.project(
            "run-http-checks",
            description="Holds what the deployed service answers against what is expected",
            machine=self._context.quick,
            reads=(Artifact.DEPLOYMENT,),
            variables={"SERVICE_URL": self._service_url, "HTTP_CHECKS": tests.checks, **headers},
            statements=secrets,
            timeout_minutes=tests.timeout_minutes,
        )
        return project, project.action("RunHttpChecks", category=Category.TEST)

    def _smoke_test(self, repository: Repository) -> tuple[BuildProject, Action]:
        project = self.project(
            "run-smoke-test",
            description="Runs the smoke-test image against the deployed service",
            machine=image_builder(architecture=self._context.application.architecture, size="small"),
            reads=(Artifact.SMOKE_TEST_IMAGE,),
            variables={"IMAGE_REPOSITORY_URI": repository.uri, "SERVICE_URL": self._service_url},
            statements=[repository.pull(), registry_login()],
            timeout_minutes=self._args.tests.timeout_minutes,
        )
        return project, project.action("RunSmokeTest", category=Category.TEST, environment=SMOKE_TEST_IMAGE)

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
