"""From the graph of a deployed stack to builds that can be run."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from summary import program

from local.rehearsal.deployed import Deployed, DeployedProblem

HERE = Path("source")
CODE = Path("source.json")
"""This pipeline's source action hands on a clone reference."""
COMMIT = {
    "Source.CommitId": "0123abc",
    "Source.AuthorDate": "2026-01-31T12:00:00Z",
    "Source.BranchName": "main",
    "SourceImage.ImageDigest": "sha256:1",
}


@pytest.fixture(scope="module")
def everything_on() -> list[dict[str, Any]]:
    """What `python -m local graph` prints of the example with everything on."""
    return [resource.as_dict() for resource in program("everything-on")]


@pytest.fixture
def graph(everything_on: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, to be changed."""
    return copy.deepcopy(everything_on)


def action_in(graph: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """One action as the pipeline's definition has it."""
    (pipeline,) = (resource for resource in graph if resource["type"].endswith(":Pipeline"))
    stages = pipeline["inputs"]["stages"]
    return next(action for stage in stages for action in stage["actions"] if action["name"] == name)


def problem(graph: list[dict[str, Any]], action: str = "", inputs: dict[str, Path] | None = None) -> str:
    """What is said when a graph cannot be read, or an action of it not be run."""
    with pytest.raises(DeployedProblem) as caught:
        Deployed.of(graph).build(action, inputs or {}, COMMIT)
    return str(caught.value)


def test_the_actions_come_in_running_order(graph: list[dict[str, Any]]) -> None:
    (pipeline,) = (resource for resource in graph if resource["type"].endswith(":Pipeline"))
    for stage in pipeline["inputs"]["stages"]:
        stage["actions"].reverse()
    actions = [action for action in Deployed.of(graph).actions if action.stage == "Deploy"]

    assert [(action.run_order, action.name) for action in actions] == [
        (1, "ExtractStaticFiles"),
        (2, "PublishStaticFiles"),
        (3, "WatchDeployment"),
        (3, "DeployService"),
        (4, "PruneStaticFiles"),
    ]


def test_a_build_is_the_projects_own_text_with_what_project_and_action_set(graph: list[dict[str, Any]]) -> None:
    build = Deployed.of(graph).build("BuildImage", {"Source": CODE}, COMMIT)

    assert build.project == "shop-everything-on-build-image"
    assert 'jobs.pyz" build-image\n' in build.buildspec
    assert (dict(build.inputs), build.outputs) == ({"Source": CODE}, ("Image",))
    assert {item.name: item.value for item in build.overrides} == {
        "COMMIT_ID": "0123abc",
        "COMMIT_DATE": "2026-01-31T12:00:00Z",
        "BRANCH": "main",
        "BASE_IMAGE_DIGEST": "sha256:1",
    }
    assert "IMAGE_REPOSITORY_URI" in {item.name for item in build.project_variables}
    assert build.pipeline == "shop-everything-on"
    assert (build.timeout_minutes, build.image) == (45, "aws/codebuild/amazonlinux-x86_64-standard:6.0")


def test_the_code_is_given_in_the_format_in_which_the_source_action_hands_it_on(graph: list[dict[str, Any]]) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html"""
    assert Deployed.of(graph).build("BuildImage", {"Source": CODE}, COMMIT).code == {"Source"}
    assert problem(graph, "BuildImage", {"Source": HERE}) == (
        "action BuildImage reads Source: give the JSON file of a clone reference, not source"
    )
    action_in(graph, "Source")["configuration"]["OutputArtifactFormat"] = "CODE_ZIP"
    assert Deployed.of(graph).build("BuildImage", {"Source": HERE}, COMMIT).code == {"Source"}
    assert problem(graph, "BuildImage", {"Source": CODE}) == (
        "action BuildImage reads Source: give the code itself, not source.json"
    )


def test_what_a_build_has_made_is_no_code(graph: list[dict[str, Any]]) -> None:
    digest = {"BuildImage.IMAGE_DIGEST": "sha256:1"}
    assert Deployed.of(graph).build("TagImage", {"Deployment": HERE}, digest).code == set()


def test_a_secret_stays_a_reference_of_its_type(graph: list[dict[str, Any]]) -> None:
    variables = Deployed.of(graph).project("CreateGitHubRelease").variables

    assert [(item.name, item.value) for item in variables if item.type == "SECRETS_MANAGER"] == [
        ("GITHUB_TOKEN", "shop/github:token")
    ]


def test_a_value_may_hold_what_json_would_read_as_its_end(graph: list[dict[str, Any]]) -> None:
    message = 'revert "the \\ of it"\n#{Source.CommitId}'
    build = Deployed.of(graph).build("BuildImage", {"Source": CODE}, {**COMMIT, "Source.BranchName": message})

    assert {item.name: item.value for item in build.overrides}["BRANCH"] == message


def test_a_pipeline_variable_has_its_default_until_a_run_gives_another(graph: list[dict[str, Any]]) -> None:
    deployed = Deployed.of(graph)
    variables = {"BuildImage.IMAGE_DIGEST": "sha256:1"}

    def prerelease(**given: str) -> str:
        named = {key.replace("__", "."): value for key, value in given.items()}
        build = deployed.build("CreateGitHubRelease", {"Deployment": HERE}, {**variables, **named})
        return {item.name: item.value for item in build.overrides}["PRERELEASE"]

    assert prerelease() == "true"
    assert prerelease(variables__PRERELEASE="false") == "false"


def test_references_are_resolved_in_every_key_of_a_configuration(graph: list[dict[str, Any]]) -> None:
    values = {"BuildImage.IMAGE_DIGEST": "sha256:1", "BuildImage.IMAGE_VERSION": "1.2.3"}

    configuration = Deployed.of(graph).configuration("ApprovePromotion", values)
    assert configuration["CustomData"] == "Promote version 1.2.3 (sha256:1) to shop-prod?"


def test_the_primary_source_comes_first(graph: list[dict[str, Any]]) -> None:
    action = action_in(graph, "TagImage")
    action["inputArtifacts"] = ["Image", "Source", "Deployment"]
    action["configuration"]["PrimarySource"] = "Deployment"
    given = {"Image": HERE, "Source": CODE, "Deployment": HERE}

    build = Deployed.of(graph).build("TagImage", given, {"BuildImage.IMAGE_DIGEST": "sha256:1"})
    assert list(build.inputs) == ["Deployment", "Image", "Source"]


def test_a_job_has_the_policies_of_its_own_project_and_any_other_action_those_of_the_pipeline(
    graph: list[dict[str, Any]],
) -> None:
    deployed = Deployed.of(graph)

    def sids(name: str) -> set[str]:
        return {statement["Sid"] for document in deployed.policies(name) for statement in document["Statement"]}

    assert "LabelImage" in sids("TagImage")
    assert sids("TagImage") == sids("shop-everything-on-tag-image")
    assert "StartShopEverythingOnTagImage" in sids("DeployService") - sids("TagImage")


def test_a_build_without_a_timeout_of_its_own_has_codebuilds(graph: list[dict[str, Any]]) -> None:
    (project,) = (resource for resource in graph if resource["inputs"].get("name") == "shop-everything-on-build-image")
    project["inputs"]["buildTimeout"] = None
    assert Deployed.of(graph).project("BuildImage").timeout_minutes == 60
    project["inputs"]["environment"]["type"] = "ARM_LAMBDA_CONTAINER"
    assert Deployed.of(graph).project("BuildImage").timeout_minutes == 15


def test_what_is_missing_is_named(graph: list[dict[str, Any]]) -> None:
    digest = {"BuildImage.IMAGE_DIGEST": "sha256:1"}

    assert "no action 'TagImages'. Did you mean TagImage?" in problem(graph, "TagImages")
    assert "no action 'Nonsense'. There are: ApprovePromotion, BuildImage, " in problem(graph, "Nonsense")
    assert "DeployService runs no CodeBuild project" in problem(graph, "DeployService")
    assert "BuildImage reads the artifacts Source; missing: Source; not among them: Code" in problem(
        graph, "BuildImage", {"Code": HERE}
    )
    assert "BuildImage reads the artifacts Source; not among them: Code" in problem(
        graph, "BuildImage", {"Source": CODE, "Code": HERE}
    )
    assert "TagImage refers to #{BuildImage.IMAGE_DIGEST}, for which there is no value. There are values for: " in (
        problem(graph, "TagImage", {"Deployment": HERE})
    )
    with pytest.raises(DeployedProblem, match="no project and no action is called 'shop-tag'"):
        Deployed.of(graph).policies("shop-tag")
    with pytest.raises(DeployedProblem, match=r"ApprovePromotion refers to #\{BuildImage\.IMAGE_VERSION\}, for"):
        Deployed.of(graph).configuration("ApprovePromotion", digest)


def test_a_definition_that_codepipeline_refuses_is_refused(graph: list[dict[str, Any]]) -> None:
    action = action_in(graph, "TagImage")
    action["inputArtifacts"] = ["Deployment", "Image"]
    assert "PrimarySource must be one of them, got None" in problem(graph)
    action["inputArtifacts"] = ["Deployment"]

    action["configuration"]["EnvironmentVariables"] = "IMAGE_DIGEST=1"
    assert "TagImage: EnvironmentVariables must be a JSON list of objects" in problem(
        graph, "TagImage", {"Deployment": HERE}
    )
    action["configuration"]["EnvironmentVariables"] = json.dumps([{"name": "A", "value": "1", "type": "TEXT"}])
    assert "variable A must be a text of type PLAINTEXT, PARAMETER_STORE, SECRETS_MANAGER, got '1' of type 'TEXT'" in (
        problem(graph, "TagImage", {"Deployment": HERE})
    )

    action["configuration"]["ProjectName"] = "shop-everything-on-tag-imag"
    assert "TagImage runs the project 'shop-everything-on-tag-imag', which is not deployed. Did you mean" in problem(
        graph, "TagImage", {"Deployment": HERE}
    )
    assert "one pipeline, this graph has 0" in problem(
        [resource for resource in graph if not resource["type"].endswith(":Pipeline")]
    )
