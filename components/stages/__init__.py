"""The pipeline's table of contents: every stage there is, in running order."""

from typing import Any

from components.stages.build import BuildStage
from components.stages.deploy import DeployStage
from components.stages.promotion import PromotionStage
from components.stages.release import ReleaseStage
from components.stages.source import SourceStage
from components.stages.stage import SharedFacts, Stage, StageContext
from components.stages.tests import TestsStage

STAGES: tuple[type[Stage[Any, Any]], ...] = (
    SourceStage,
    BuildStage,
    DeployStage,
    TestsStage,
    PromotionStage,
    ReleaseStage,
)

__all__ = ["STAGES", "SharedFacts", "Stage", "StageContext"]
