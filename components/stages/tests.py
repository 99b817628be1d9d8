"""Tests: what a deployed service must pass before its image goes any further."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.build_project import BROWSER, image_builder
from components.image_repository import registry_login
from components.pipeline_model import Artifact, Category, Variable
from components.settings import Settings, Tests
from components.stages.stage import Stage, StageContext


@dataclass(frozen=True, kw_only=True, slots=True)
class TestsStageArgs:
    """What the stage needs of the stack file.

    Attributes:
        tests: The section ``tests``.
    """

    __test__ = False  # not a test, though pytest would think so by its name

    tests: Tests


class TestsStage(Stage):
    """Lighthouse against the deployed service and, at the same time, the smoke-test image when there is one."""

    __test__ = False  # not a test, though pytest would think so by its name

    TYPE: ClassVar[str] = "ecs-delivery:stage:Tests"
    NAME: ClassVar[str] = "Test"

    def __init__(
        self, name: str, args: TestsStageArgs, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        service_url = context.hosting.service_url
        if service_url is None:
            raise ValueError(f"{name}: tests need the address of the service")
        lighthouse = args.tests.lighthouse
        budgets = {key.replace("_", "-"): score for key, score in lighthouse.budgets.model_dump().items()}
        runs = Variable(
            name="LIGHTHOUSE_RUNS",
            default=str(lighthouse.runs),
            description="Lighthouse runs per page; the median counts. More runs, steadier scores.",
        )
        project = self.project(
            "run-lighthouse",
            description="Measures the deployed pages and holds the median against the budgets",
            machine=BROWSER,
            variables={
                "SERVICE_URL": service_url,
                "LIGHTHOUSE_PATHS": json.dumps(list(lighthouse.paths)),
                "LIGHTHOUSE_BUDGETS": json.dumps(budgets, sort_keys=True),
            },
            timeout_minutes=args.tests.timeout_minutes,
        )
        self.actions = (
            project.action(
                "RunLighthouse",
                category=Category.TEST,
                reads=(Artifact.DEPLOYMENT,),
                writes=(Artifact.LIGHTHOUSE_REPORT,),
                environment={runs.name: runs.reference},
                variables=(runs,),
            ),
        )
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
            self.actions += (
                smoke_test.action("RunSmokeTest", category=Category.TEST, reads=(Artifact.SMOKE_TEST_IMAGE,)),
            )
            self.grants += (smoke_test.start(),)
        self.register_outputs({"actions": [action.name for action in self.actions]})

    @classmethod
    def wanted(cls, settings: Settings) -> TestsStageArgs | None:
        """On with ``tests.enabled``."""
        return TestsStageArgs(tests=settings.tests) if settings.tests.enabled else None
