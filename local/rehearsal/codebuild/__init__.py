"""What AWS CodeBuild does with a buildspec, on this machine and without a container."""

from local.rehearsal.codebuild.artifacts import names_in, unpack
from local.rehearsal.codebuild.model import (
    Build,
    BuildspecProblem,
    Phase,
    Place,
    Report,
    Result,
    Secrets,
    Variable,
)
from local.rehearsal.codebuild.runner import run_build
from local.rehearsal.codebuild.source_action import CloneReference

__all__ = [
    "Build",
    "BuildspecProblem",
    "CloneReference",
    "Phase",
    "Place",
    "Report",
    "Result",
    "Secrets",
    "Variable",
    "names_in",
    "run_build",
    "unpack",
]
