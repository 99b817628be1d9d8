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
    names = [action.name for action in Deployed.of(graph).actions]

    deploying = ["ExtractStaticFiles", "PublishStaticFiles", "WatchDeployment", "DeployService", "PruneStaticFiles"]
    assert [name for name in names if name in deploying] == deploying


def test_a_build_is_the_projects_own_text_with_what_project_and_action_set(graph: list[dict[str, Any]]) -> None:
    build = Deployed.of(graph).build("BuildImage", {"Source": CODE}, COMMIT)

    assert build.project == "shop-everything-on-build-image"
    assert (dict(build.inputs), build.outputs) == ({"Source": CODE}, ("Image",))
    assert {item.name: item.value for item in build.overrides} == {
        "COMMIT_ID": "0123abc",
        "COMMIT_DATE": "2026-01-31T12:00:00Z",
        "BRANCH": "main",
        "BASE_IMAGE_DIGEST": "sha256:1",
    }
    assert build.timeout_minutes == 45
    assert Deployed.of(graph).project("TagImage").timeout_minutes == 15, "on Lambda"


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


def test_only_builds_have_a_role_other_than_the_pipelines(graph: list[dict[str, Any]]) -> None:
    job, action = (Deployed.of(graph).policies(name)[0]["Statement"] for name in ("TagImage", "DeployService"))

    assert "LabelImage" in {statement["Sid"] for statement in job}
    assert "StartBuilds" in {statement["Sid"] for statement in action}


def test_what_does_not_fit_is_named(graph: list[dict[str, Any]]) -> None:
    assert "no action is called 'TagImages'; there are ApproveDeployment, ApprovePromotion, BuildImage, " in problem(
        graph, "TagImages"
    )
    assert "DeployService runs no CodeBuild project that is deployed: " in problem(graph, "DeployService")
    assert "BuildImage reads Source, given is Code" in problem(graph, "BuildImage", {"Code": HERE})
    assert "TagImage refers to #{BuildImage.IMAGE_DIGEST}; there are values for Source.AuthorDate, " in (
        problem(graph, "TagImage", {"Deployment": HERE})
    )
    typed = json.dumps([{"name": "A", "value": "1", "type": "PARAMETER_STORE"}])
    action_in(graph, "TagImage")["configuration"]["EnvironmentVariables"] = typed
    assert "A: only variables of PLAINTEXT and SECRETS_MANAGER are emulated here" in (
        problem(graph, "TagImage", {"Deployment": HERE})
    )
