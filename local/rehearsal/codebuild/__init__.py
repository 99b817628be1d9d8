"""What AWS CodeBuild does with a buildspec of this repository, on this machine and without a container."""

from local.rehearsal.codebuild.artifacts import names_in, unpack
from local.rehearsal.codebuild.document import BuildspecProblem
from local.rehearsal.codebuild.interpreter import put_python
from local.rehearsal.codebuild.model import Build, BuildHost, Phase, Report, Result, Scene, Secrets, Variable
from local.rehearsal.codebuild.runner import run_build, secret_and_key
from local.rehearsal.codebuild.source_action import CloneReference

__all__ = [
    "Build",
    "BuildHost",
    "BuildspecProblem",
    "CloneReference",
    "Phase",
    "Report",
    "Result",
    "Scene",
    "Secrets",
    "Variable",
    "names_in",
    "put_python",
    "run_build",
    "secret_and_key",
    "unpack",
]
