"""A graph whose builds run one job each: what tests of single jobs plan with.

In the program the build that knows the image prepares the deployment, too. That build as it is:
`tests/buildspecs/test_two_jobs_in_a_build.py`, `tests/rehearsal/test_images.py` and the rehearsals.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from components.jobs.buildspec import jobs_in, load_buildspec
from components.pipeline.model import environment_variables, variable

PROJECT = "aws:codebuild/project:Project"
PIPELINE = "aws:codepipeline/pipeline:Pipeline"
ACTION = "PrepareDeployment"


def one_by_one(resources: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the resources with a project and an action for each job of a build that has two."""
    graph = [copy.deepcopy(dict(resource)) for resource in resources]
    stages = [stage for item in graph if item["type"] == PIPELINE for stage in item["inputs"]["stages"]]
    for project in [item for item in graph if item["type"] == PROJECT]:
        text, name = project["inputs"]["source"]["buildspec"], project["inputs"]["name"]
        jobs = jobs_in(text.splitlines())
        if len(jobs) != 2:
            continue
        second = copy.deepcopy(project)
        second["name"] = second["inputs"]["name"] = f"{name.removesuffix(jobs[0])}{jobs[1]}"
        _narrow(project["inputs"], jobs[0], clones="git-credential-helper" in text)
        _narrow(second["inputs"], jobs[1])
        graph.append(second)
        for stage in stages:
            runs = [action for action in stage["actions"] if action["configuration"].get("ProjectName") == name]
            stage["actions"] += [_split(action, second["name"]) for action in runs]
    return graph


def _narrow(given: dict[str, Any], job: str, *, clones: bool = False) -> None:
    """Leave a project what a job of it needs; the role stays that of the whole build."""
    spec, environment = load_buildspec(job, clones=clones), given["environment"]
    kept = {*spec.variables, *spec.secrets, "JOBS_BUNDLE", "JOBS_SHA256", "AWS_DEFAULT_REGION"}
    variables = [item for item in environment["environmentVariables"] if item["name"] in kept]
    given["source"] = {**given["source"], "buildspec": spec.text}
    given["environment"] = {**environment, "environmentVariables": variables}


def _split(action: dict[str, Any], project: str) -> dict[str, Any]:
    """Leave an action its first artifact; return the one behind it, which makes the second of it."""
    first, second = action["outputArtifacts"]
    action["outputArtifacts"] = [first]
    digest = environment_variables({"IMAGE_DIGEST": variable(action["name"], "IMAGE_DIGEST")})
    return {
        **action,
        "name": ACTION,
        "namespace": ACTION,
        "runOrder": action["runOrder"] + 1,
        "inputArtifacts": [first],
        "outputArtifacts": [second],
        "configuration": {"ProjectName": project, "EnvironmentVariables": digest},
    }
