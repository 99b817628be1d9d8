"""The files in the artifacts of every deployed pipeline: what an action opens is what an earlier action has written.

Variables, namespaces and artifacts are checked by `components.pipeline.model`, and what a buildspec declares, reads and
exports by `components.jobs.buildspec`. Which files an action opens stands in the rendered pipeline and in the jobs.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from job_scripts import files, texts
from mocked import Graph
from summary import graph_names, program

from components.jobs.buildspec import FOLDER, Buildspec, is_of_the_application, jobs_of, load_buildspec

SOURCE_FILES = {"CodeStarSourceConnection": ("**/*",), "S3": ("**/*",), "ECR": ("imageDetail.json",)}
"""What a source action writes: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference.html."""

Stages = list[dict[str, Any]]


@cache
def opened(job: str) -> frozenset[str]:
    """The files of artifacts that a job opens by name."""
    known = {file for path in FOLDER.glob("*.yml") for file in written(path.stem)}
    return frozenset(files(job, "read_json") | (texts(job) & known)) - written(job)


def written(job: str) -> frozenset[str]:
    """The files that a job writes by name."""
    return frozenset(files(job, "write_json"))


def jobs_in(graph: Graph) -> Mapping[str, tuple[str, ...]]:
    """The jobs of each CodeBuild project, by the project's name, in the order in which its builds run them."""
    specs = {item.inputs["name"]: item.inputs["source"]["buildspec"] for item in graph.of("Project")}
    return {name: jobs_of(text) for name, text in specs.items() if not is_of_the_application(text)}


def named(action: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Artifact and file that a deploy action opens, by its configuration and AWS's defaults."""
    given = action["configuration"]
    if action["provider"] == "ECS":
        yield action["inputArtifacts"][0], given.get("FileName", "imagedefinitions.json")
    if action["provider"] == "CodeDeployToECS":
        for key, default in (("TaskDefinitionTemplate", "taskdef.json"), ("AppSpecTemplate", "appspec.yaml")):
            yield given[f"{key}Artifact"], given.get(f"{key}Path", default)
        yield from ((value, "imageDetail.json") for key, value in given.items() if key.endswith("ArtifactName"))


def problems(
    stages: Stages, jobs: Mapping[str, tuple[str, ...]], spec_of: Callable[[str], Buildspec] = load_buildspec
) -> list[str]:
    """Each file that an action opens and that no artifact it reads holds."""
    found, held = list[str](), dict[str, tuple[str, ...]]()
    for action in (item for stage in stages for item in sorted(stage["actions"], key=lambda item: item["runOrder"])):
        run = jobs.get(action["configuration"].get("ProjectName", ""), ())
        inputs, outputs = action.get("inputArtifacts", []), action.get("outputArtifacts", [])
        # A job opens relative names in its primary source, which comes first, and where the job before it has written.
        before = [frozenset(file for job in run[:number] for file in written(job)) for number in range(len(run))]
        opens = (file for job, there in zip(run, before, strict=True) for file in sorted(opened(job) - there))
        for artifact, file in [*named(action), *((inputs[0], file) for file in opens)]:
            files = held.get(artifact, ()) if artifact in inputs else ()
            if file not in files and "**/*" not in files:
                found.append(f"{action['name']} opens {file}, {artifact} holds {', '.join(files) or 'nothing'}")
        held |= dict.fromkeys(outputs, SOURCE_FILES.get(action["provider"], ()))
        for artifact, job in zip(outputs, run, strict=len(run) > 1):
            held[artifact] = files = spec_of(job).artifact_files
            if not (files and set(files) <= {*written(job), "**/*"}):
                found.append(
                    f"{action['name']} writes {', '.join(sorted(written(job)))}, {artifact} {', '.join(files)}"
                )
    return found


@pytest.mark.parametrize("name", graph_names())
def test_in_every_stack_each_action_finds_the_files_it_opens(name: str) -> None:
    graph = program(name)
    assert problems(graph.pipeline["stages"], jobs_in(graph)) == []


def test_the_files_that_jobs_open_are_found_in_their_scripts() -> None:
    """By a call of `read_json`, and what a release attaches."""
    assert opened("tag-image") == {"deployment.json"}
    assert opened("create-github-release") == written("prepare-deployment") >= {"taskdef.json", "appspec.yaml"}


@pytest.mark.parametrize(
    ("stack", "action", "change", "said"),
    [
        ("everything-on", "TagImage", {"inputArtifacts": ["Image"]}, "TagImage opens deployment.json, Image holds ima"),
        ("everything-on", "DeployService", {"AppSpecTemplatePath": "a.yml"}, "DeployService opens a.yml, Deployment h"),
        ("everything-on", "DeployService", {"AppSpecTemplateArtifact": "Image"}, "DeployService opens appspec.yaml, I"),
        ("everything-on", "DeployService", {"Image1ArtifactName": "Image"}, "DeployService opens imageDetail.json, I"),
        ("everything-on", "TagImage", {"outputArtifacts": ["More"]}, "TagImage writes , More "),
        ("classic", "DeployService", {"FileName": "images.json"}, "DeployService opens images.json, Deployment holds"),
        ("ecr-source", "BuildImage", {"inputArtifacts": ["Source"]}, "BuildImage opens imageDetail.json, Source holds"),
    ],
)
def test_a_file_that_is_not_there_is_named(stack: str, action: str, change: dict[str, Any], said: str) -> None:
    stages: Stages = copy.deepcopy(program(stack).pipeline["stages"])
    (changed,) = (item for stage in stages for item in stage["actions"] if item["name"] == action)
    into = changed if next(iter(change)).endswith("Artifacts") else changed["configuration"]
    into.update(change)
    assert [problem for problem in problems(stages, jobs_in(program(stack))) if problem.startswith(said)]


@pytest.mark.parametrize("file", sorted(load_buildspec("prepare-deployment").artifact_files))
def test_a_file_that_a_buildspec_leaves_out_is_missed(file: str) -> None:
    def without(job: str) -> Buildspec:
        spec = copy.copy(load_buildspec(job))
        object.__setattr__(spec, "artifact_files", tuple(item for item in spec.artifact_files if item != file))
        return spec

    graph = program("everything-on")
    found = problems(graph.pipeline["stages"], jobs_in(graph), without)
    assert any(re.match(rf"\w+ opens {file}, Deployment holds ", problem) for problem in found), json.dumps(found)
