"""Tests: what a deployed service must pass before its image goes any further."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.images.repository import registry_login
from components.jobs.build_project import CHROME, image_builder
from components.jobs.buildspec import FOLDER
from components.pipeline.model import Action, Artifact, Category, Variable, scheduled
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
    """Lighthouse against the deployed service and, where a smoke-test image is built, that image against it."""

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
        lighthouse = args.tests.lighthouse
        budgets = lighthouse.budgets.scores(plain_http=args.plain_http)
        runs = Variable(
            name="LIGHTHOUSE_RUNS",
            default=str(lighthouse.runs),
            description="Lighthouse runs per page; the median counts. More runs, steadier scores.",
        )
        project = self.project(
            "run-lighthouse",
            description="Measures the deployed pages and holds the median against the budgets",
            machine=CHROME,
            variables={
                "SERVICE_URL": service_url,
                "LIGHTHOUSE_PACKAGE": self._stored("package.json"),
                "LIGHTHOUSE_LOCK": self._stored("package-lock.json"),
                "LIGHTHOUSE_PATHS": json.dumps(list(lighthouse.paths)),
                "LIGHTHOUSE_BUDGETS": json.dumps(budgets, sort_keys=True),
            },
            statements=[
                context.artifacts.read("ReadLighthousePackage", KEYS["package.json"]),
                context.artifacts.read("ReadLighthouseLock", KEYS["package-lock.json"]),
            ],
            timeout_minutes=args.tests.timeout_minutes,
        )
        actions: list[Action] = [
            project.action(
                "RunLighthouse",
                category=Category.TEST,
                reads=(Artifact.DEPLOYMENT,),
                writes=(Artifact.LIGHTHOUSE_REPORT,),
                environment={runs.name: runs.reference},
                variables=(runs,),
            )
        ]
        self.grants = (project.start(),)
        if context.registry.smoke_test is not None:
            smoke_test = self.project(
                "run-smoke-test",
                description="Runs the smoke-test image against the deployed service",
                machine=image_builder(architecture=context.application.architecture, size="small"),
                variables={"SERVICE_URL": service_url},
                statements=[context.registry.smoke_test.pull(), registry_login()],
                timeout_minutes=args.tests.timeout_minutes,
            )
            actions.append(
                smoke_test.action("RunSmokeTest", category=Category.TEST, reads=(Artifact.SMOKE_TEST_IMAGE,))
            )
            self.grants += (smoke_test.start(),)
        self.actions = scheduled(actions, parallel_jobs=context.parallel_jobs)
        self.register_outputs({"actions": [action.name for action in self.actions]})

    @classmethod
    def wanted(cls, section: TestsSection, shared: SharedFacts) -> TestsStageArgs | None:
        """On with ``tests.enabled``."""
        return TestsStageArgs(tests=section, plain_http=shared.plain_http) if section.enabled else None

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
