"""How the jobs fit together: what each script does, held against what the actions of the stack files declare.

Nothing is listed here: a new job is held to all of it as soon as it has a buildspec.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

import pytest
from job_scripts import calls, files
from jobs_page import JOBS, Use, uses

from components.jobs.buildspec import FOLDER, job_of, load_buildspec
from components.pipeline.model import Artifact
from components.pipeline.variables import DELIVERED_IMAGE
from local.rehearsal.codebuild.artifacts import matches
from local.rehearsal.emulated.access import Need, allows

pytestmark = pytest.mark.xdist_group("test_jobs_page.py")  # the same graphs, which are slow to make
SOURCE_FILES: Mapping[str, tuple[str, ...]] = {"CodeStarSourceConnection": (), "ECR": ("imageDetail.json",)}
"""https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference.html; no job opens the code by name."""


def opened(job: str) -> set[str]:
    """The files that a job reads as artifacts, by name."""
    return files(job, "read_json")


def holds_it_against_the_digest(job: str) -> bool:
    """Whether what a job opens must be about the image that the pipeline delivers."""
    return any(ast.unparse(call.func).startswith("delivered.") for call in calls(job, "read_json"))


def secret_of(reference: str) -> str:
    """The name or the ARN in what CodeBuild takes for a secret, which may have a key of its JSON behind it."""
    parts = reference.split(":")
    return ":".join(parts[:7] if parts[0] == "arn" else parts[:1])


def held(use: Use) -> tuple[str, ...]:
    """The files of the artifact that an action reads first, which is the folder that its job works in."""
    (writer,) = (action for action in use.pipeline.actions if use.action.inputs[0] in action.outputs)
    if not writer.project:
        return SOURCE_FILES[writer.provider]
    return load_buildspec(job_of(use.pipeline.project(writer.project).buildspec)).artifact_files


def every_use() -> Iterator[tuple[str, Use]]:
    """Each job in each action that runs it."""
    return ((job, use) for job in JOBS for use in uses(job))


def is_beside_a_deployment(use: Use) -> bool:
    """Whether CodePipeline starts the action together with one that deploys."""
    same = [
        one for one in use.pipeline.actions if (one.stage, one.run_order) == (use.action.stage, use.action.run_order)
    ]
    return any(one.category == "Deploy" for one in same)


@pytest.mark.parametrize("job", JOBS)
def test_a_stack_file_of_the_repository_uses_each_job(job: str) -> None:
    assert uses(job)


@pytest.mark.parametrize("job", JOBS)
def test_each_action_makes_one_artifact_where_its_buildspec_has_files_and_none_else(job: str) -> None:
    wanted = 1 if load_buildspec(job).artifact_files else 0
    assert {len(use.action.outputs) for use in uses(job)} == {wanted}


@pytest.mark.parametrize("job", JOBS)
def test_each_file_that_a_job_opens_is_in_the_artifact_that_its_action_reads(job: str) -> None:
    for use in uses(job):
        missing = [name for name in opened(job) if not any(matches(pattern, name) for pattern in held(use))]
        assert missing == [], use


def test_the_release_attaches_exactly_the_artifact_that_it_reads() -> None:
    tree = ast.parse((FOLDER / "jobs" / "create_github_release.py").read_text(encoding="utf-8"))
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    assets = next(ast.literal_eval(node.value) for node in assigned if getattr(node.targets[0], "id", "") == "ASSETS")

    for use in uses("create-github-release"):
        assert set(assets) == set(held(use))


def test_a_digest_comes_from_the_pipeline_wherever_a_job_asks_for_one() -> None:
    """An artifact could be rewritten by another job; a pipeline variable could not."""
    for job, use in every_use():
        asks = "IMAGE_DIGEST" in load_buildspec(job).variables
        assert use.by_action.get("IMAGE_DIGEST", "").startswith("#{") == asks, use
        delivers = use.by_action.get("IMAGE_DIGEST") == DELIVERED_IMAGE["IMAGE_DIGEST"]
        assert delivers == holds_it_against_the_digest(job), use


def test_each_job_that_opens_what_is_deployed_holds_it_against_the_digest_that_the_pipeline_delivers() -> None:
    """But the one that runs beside CodePipeline's own deployment, and has only its messages from there."""
    opening = [(job, use) for job, use in every_use() if Artifact.DEPLOYMENT in use.action.inputs and opened(job)]
    acting = {job for job, use in opening if not is_beside_a_deployment(use)}

    assert acting
    assert [job for job in acting if not holds_it_against_the_digest(job)] == []


@pytest.mark.parametrize("job", JOBS)
def test_each_secret_is_set_by_reference_and_may_be_read_and_no_other_may(job: str) -> None:
    for use in uses(job):
        references = {item.name: item.value for item in use.project.variables if item.type != "PLAINTEXT"}
        assert set(references) == set(load_buildspec(job).secrets), use
        granted = [
            resource
            for statement in use.statements
            if "secretsmanager:GetSecretValue" in statement["Action"]
            for resource in statement["Resource"]
        ]
        secrets = {secret_of(reference) for reference in references.values()}
        assert len(granted) == len(secrets), use
        policies, (region, account) = use.pipeline.policies(use.project.name), use.project.arn.split(":")[3:5]
        for secret in secrets:
            named = f"arn:aws:secretsmanager:{region}:{account}:secret:{secret}-AbCdEf"
            need = Need("secretsmanager:GetSecretValue", secret if secret.startswith("arn:") else named)
            assert allows(policies, need, account=account, region=region), use
