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
    for resource in [resource for resource in graph if resource["type"] == PROJECT]:
        given = resource["inputs"]
        jobs = jobs_in(given["source"]["buildspec"].splitlines())
        if len(jobs) != 2:
            continue
        clones = "git-credential-helper" in given["source"]["buildspec"]
        (action,) = (
            action
            for pipeline in graph
            if pipeline["type"] == PIPELINE
            for stage in pipeline["inputs"]["stages"]
            for action in stage["actions"]
            if action["configuration"].get("ProjectName") == given["name"]
        )
        second = copy.deepcopy(resource)
        second["name"] = second["inputs"]["name"] = f"{given['name'].removesuffix(jobs[0])}{jobs[1]}"
        _narrow(resource, jobs[0], clones=clones)
        _narrow(second, jobs[1])
        graph.append(second)
        _split(graph, action, second["inputs"]["name"])
    return graph


def _narrow(resource: dict[str, Any], job: str, *, clones: bool = False) -> None:
    """Leave a project what a job of it needs; the role stays that of the whole build."""
    spec = load_buildspec(job, clones=clones)
    for given in (resource["inputs"], resource["outputs"]):
        given["source"] = {**given["source"], "buildspec": spec.text}
        environment = given["environment"]
        kept = {*spec.variables, *spec.secrets, "JOBS_BUNDLE", "JOBS_SHA256", "AWS_DEFAULT_REGION"}
        variables = [item for item in environment["environmentVariables"] if item["name"] in kept]
        given["environment"] = {**environment, "environmentVariables": variables}


def _split(graph: list[dict[str, Any]], whole: Mapping[str, Any], project: str) -> None:
    """Put the second job's action behind the first one's."""
    for resource in graph:
        if resource["type"] != PIPELINE:
            continue
        for given in (resource["inputs"], resource["outputs"]):
            for stage in given["stages"]:
                for action in [item for item in stage["actions"] if item["name"] == whole["name"]]:
                    first, second = action["outputArtifacts"]
                    later = copy.deepcopy(action)
                    action["outputArtifacts"] = [first]
                    later |= {"name": ACTION, "namespace": ACTION, "runOrder": action["runOrder"] + 1}
                    later |= {"inputArtifacts": [first], "outputArtifacts": [second]}
                    digest = environment_variables({"IMAGE_DIGEST": variable(whole["name"], "IMAGE_DIGEST")})
                    later["configuration"] = {"ProjectName": project, "EnvironmentVariables": digest}
                    stage["actions"].append(later)
