"""The actions of every deployed pipeline fit together, and it is seen when they do not."""

import copy
import json
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Any

import pytest
from summary import program, stack_files

from components.jobs.bundle import pack
from local.rehearsal.deployed import Deployed
from local.rehearsal.wiring import problems

Graph = list[dict[str, Any]]


@lru_cache
def deployed_graph(name: str) -> Graph:
    """The graph of one stack file."""
    return [resource.as_dict() for resource in program(name)]


def action(graph: Graph, name: str) -> dict[str, Any]:
    """One action as the pipeline's definition has it."""
    (pipeline,) = (resource for resource in graph if resource["type"].endswith(":Pipeline"))
    return next(item for stage in pipeline["inputs"]["stages"] for item in stage["actions"] if item["name"] == name)


def project(graph: Graph, job: str) -> dict[str, Any]:
    """The inputs of one build project."""
    inputs: dict[str, Any] = next(
        item["inputs"]
        for item in graph
        if item["type"].endswith(":Project") and item["inputs"]["name"].endswith(f"-{job}")
    )
    return inputs


def rewritten(graph: Graph, job: str, old: str, new: str) -> None:
    """Change the buildspec of a job."""
    source = project(graph, job)["source"]
    assert old in source["buildspec"]
    source["buildspec"] = source["buildspec"].replace(old, new)


def repacked(graph: Graph, old: str, new: str) -> bytes:
    """Change the scripts of the jobs; returns the bundle."""
    bundle = pack(edit=lambda text: text.replace(old, new))
    assert bundle != pack()
    for item in graph:
        if item["type"].endswith(":Project"):
            variables = item["inputs"]["environment"]["environmentVariables"]
            next(each for each in variables if each["name"] == "JOBS_SHA256")["value"] = sha256(bundle).hexdigest()
    return bundle


def replaced(graph: Graph, policy: str, old: str, new: str) -> None:
    """Change the policy of a role, everywhere."""
    (inputs,) = (item["inputs"] for item in graph if item["name"] == f"shop-{policy}")
    assert old in inputs["policy"]
    inputs["policy"] = inputs["policy"].replace(old, new)


def variable(graph: Graph, job: str, name: str) -> dict[str, Any]:
    """An environment variable of a project."""
    found: list[dict[str, Any]] = project(graph, job)["environment"]["environmentVariables"]
    return next(item for item in found if item["name"] == name)


def given(graph: Graph, name: str, value: object) -> None:
    """Set the EnvironmentVariables of an action."""
    action(graph, name)["configuration"]["EnvironmentVariables"] = json.dumps(value)


def without_the_image_that_code_deploy_puts_in(graph: Graph) -> None:
    """An action that names an image, and no file that says which."""
    action(graph, "DeployService")["configuration"].update(Image1ArtifactName="Deployment")
    rewritten(graph, "prepare-deployment", "  - imageDetail.json\n", "")


def without_what_the_ecs_action_reads_by_default(graph: Graph) -> None:
    """An action that names no file, and no file of the usual name."""
    del action(graph, "DeployService")["configuration"]["FileName"]
    rewritten(graph, "prepare-deployment", "  - imagedefinitions.json\n", "")


@pytest.mark.parametrize("name", stack_files())
def test_in_every_stack_each_action_finds_what_it_reads(name: str) -> None:
    assert problems(Deployed.of(deployed_graph(name)), pack()) == []


@pytest.mark.parametrize(
    ("stack", "edit", "said"),
    [
        pytest.param(
            "everything-on",
            lambda graph: given(graph, "TagImage", [{"name": "IMAGE", "value": "x"}]),
            "action TagImage: sets IMAGE, which the buildspec of shop-everything-on-tag-image does not declare",
            id="an undeclared variable",
        ),
        pytest.param(
            "everything-on",
            lambda graph: rewritten(graph, "tag-image", "    TAG_PREFIX: v", "    TAG_PREFIX: v\n    MORE: x"),
            "action TagImage: MORE is declared in shop-everything-on-tag-image, but nothing there reads it",
            id="a declared variable that nothing reads",
        ),
        pytest.param(
            "everything-on",
            lambda graph: variable(graph, "tag-image", "TAG_PREFIX").update(name="PREFIX"),
            "action TagImage: PREFIX is set, but nothing in shop-everything-on-tag-image reads it",
            id="a project's variable that nothing reads",
        ),
        pytest.param(
            "everything-on",
            lambda graph: variable(graph, "create-github-release", "GITHUB_TOKEN").update(type="PLAINTEXT"),
            "action CreateGitHubRelease: GITHUB_TOKEN is read, but neither declared in the buildspec nor set as a "
            "secret on shop-everything-on-create-github-release",
            id="a secret that the project sets in clear",
        ),
        pytest.param(
            "everything-on",
            lambda graph: given(graph, "TagImage", [{"name": "IMAGE_DIGEST", "value": "#{Build.IMAGE_DIGEST}"}]),
            "action TagImage: #{Build.IMAGE_DIGEST}: no earlier action has the namespace Build",
            id="an unknown namespace",
        ),
        pytest.param(
            "everything-on",
            lambda graph: given(graph, "TagImage", [{"name": "IMAGE_DIGEST", "value": "#{BuildImage.DIGEST}"}]),
            "action TagImage: #{BuildImage.DIGEST}: BuildImage offers IMAGE_DIGEST, IMAGE_URI, IMAGE_VERSION",
            id="a variable that the earlier action does not export",
        ),
        pytest.param(
            "everything-on",
            lambda graph: rewritten(graph, "build-image", "  - IMAGE_VERSION\n", ""),
            "action ApprovePromotion: #{BuildImage.IMAGE_VERSION}: BuildImage offers IMAGE_DIGEST, IMAGE_URI",
            id="a buildspec that does not export",
        ),
        pytest.param(
            "everything-on",
            lambda graph: given(graph, "BuildImage", [{"name": "COMMIT_ID", "value": "#{Source.Commit}"}]),
            "action BuildImage: #{Source.Commit}: Source offers AuthorDate, BranchName, CommitId, ",
            id="a variable that the source does not have",
        ),
        pytest.param(
            "everything-on",
            lambda graph: given(graph, "RunLighthouse", [{"name": "LIGHTHOUSE_RUNS", "value": "#{variables.RUNS}"}]),
            "action RunLighthouse: #{variables.RUNS}: variables offers LIGHTHOUSE_RUNS, PRERELEASE",
            id="a pipeline variable that there is not",
        ),
        pytest.param(
            "everything-on",
            lambda graph: action(graph, "PrepareDeployment").update(runOrder=1),
            "action PrepareDeployment reads the artifact Image, which no earlier action makes",
            id="an artifact that is made at the same time",
        ),
        pytest.param(
            "everything-on",
            lambda graph: action(graph, "TagImage").update(inputArtifacts=["Image"]),
            "action TagImage: reads deployment.json, and Image holds image.json",
            id="a file that is in another artifact",
        ),
        pytest.param(
            "everything-on",
            lambda graph: rewritten(graph, "prepare-deployment", "  - deployment.json\n", ""),
            "action TagImage: reads deployment.json, and Deployment holds taskdef.json, appspec.yaml, imageDetail.json",
            id="a file that the artifact lacks",
        ),
        pytest.param(
            "everything-on",
            lambda graph: rewritten(graph, "prepare-deployment", "  - imagedefinitions.json\n", ""),
            "action CreateGitHubRelease: reads imagedefinitions.json, and Deployment holds taskdef.json, appspec.yaml",
            id="a file that a release attaches",
        ),
        pytest.param(
            "everything-on",
            lambda graph: repacked(graph, 'write_json("image.json"', 'write_json("images.json"'),
            "action BuildImage: image.json is to be in the artifact Image, but nothing in "
            "shop-everything-on-build-image writes it",
            id="a file that nothing writes",
        ),
        pytest.param(
            "everything-on",
            lambda graph: action(graph, "TagImage").update(outputArtifacts=["More"]),
            "action TagImage: makes the artifact More, for which shop-everything-on-tag-image has no files",
            id="an artifact that nothing fills",
        ),
        pytest.param(
            "everything-on",
            lambda graph: action(graph, "DeployService")["configuration"].update(AppSpecTemplatePath="appspec.yml"),
            "action DeployService: reads appspec.yml, and Deployment holds taskdef.json, appspec.yaml",
            id="a file that CodeDeploy is to read",
        ),
        pytest.param(
            "everything-on",
            lambda graph: action(graph, "DeployService")["configuration"].update(AppSpecTemplateArtifact="Image"),
            "action DeployService: is to find appspec.yaml in the artifact Image, which it does not read",
            id="an artifact that CodeDeploy does not get",
        ),
        pytest.param(
            "everything-on",
            without_the_image_that_code_deploy_puts_in,
            "action DeployService: reads imageDetail.json, and Deployment holds taskdef.json, ",
            id="an image that CodeDeploy is to put in",
        ),
        pytest.param(
            "everything-on",
            lambda graph: action(graph, "DeployService")["inputArtifacts"].append("Source"),
            "action DeployService: reads Source, the reference to a repository, which only CodeBuild can clone",
            id="a clone reference that CodeDeploy is to read",
        ),
        pytest.param(
            "everything-on",
            lambda graph: replaced(graph, "build-image-policy", "codeconnections:UseConnection", "codeconnections:Get"),
            "action BuildImage: reads Source, the reference to a repository, and shop-everything-on-build-image may "
            "not use arn:aws:codeconnections:eu-west-1:123456789012:connection/8ce5a0c6-5f5d-4b5e-9a4e-0d4f3c2b1a09",
            id="a clone without the permission",
        ),
        pytest.param(
            "everything-on",
            lambda graph: replaced(graph, "build-image-policy", 'example/shop"', 'example/other"'),
            "action BuildImage: reads Source, the reference to a repository, and shop-everything-on-build-image may ",
            id="a clone with the permission for another repository",
        ),
        pytest.param(
            "everything-on",
            lambda graph: rewritten(graph, "build-image", "  git-credential-helper: yes\n", ""),
            "action BuildImage: clones Source, and the buildspec of shop-everything-on-build-image has no git-cred",
            id="a clone without credentials for git",
        ),
        pytest.param(
            "everything-on",
            lambda graph: project(graph, "build-image")["environment"].update(type="ARM_LAMBDA_CONTAINER"),
            "action BuildImage: clones Source, and shop-everything-on-build-image runs on Lambda",
            id="a clone on Lambda",
        ),
        pytest.param(
            "everything-on",
            lambda graph: replaced(graph, "run-lighthouse-policy", '"codebuild:CreateReportGroup", ', ""),
            "action RunLighthouse: writes the report group arn:aws:codebuild:eu-west-1:123456789012:report-group/"
            "shop-everything-on-run-lighthouse-lighthouse, and shop-everything-on-run-lighthouse may not codebuild:C",
            id="a report without the permission",
        ),
        pytest.param(
            "everything-on",
            lambda graph: variable(graph, "tag-image", "JOBS_SHA256").update(value="0" * 64),
            "shop-everything-on-tag-image wants a bundle with another hash",
            id="another bundle",
        ),
        pytest.param(
            "classic",
            without_what_the_ecs_action_reads_by_default,
            "action DeployService: reads imagedefinitions.json, and Deployment holds taskdef.json, ",
            id="a file that the ECS action reads by default",
        ),
        pytest.param(
            "ecr-source",
            lambda graph: repacked(graph, 'read_json("imageDetail.json"', 'read_json("imagedetail.json"'),
            "action BuildImage: reads imagedetail.json, and SourceImage holds imageDetail.json",
            id="a file that the source does not bring",
        ),
    ],
)
def test_what_does_not_fit_is_named(stack: str, edit: Callable[[Graph], object], said: str) -> None:
    graph = copy.deepcopy(deployed_graph(stack))
    bundle = edit(graph)

    found = problems(Deployed.of(graph), bundle if isinstance(bundle, bytes) else pack())
    assert any(problem.startswith(said) for problem in found), found
