"""How the jobs fit together: what each script does, held against what the actions of the stack files declare.

Nothing is listed here: a new job is held to all of it as soon as it has a buildspec.
"""

from __future__ import annotations

import ast
import itertools
import json
from collections.abc import Iterator

import pytest
from job_scripts import calls, files
from jobs_page import JOBS, Use, deployed, uses
from mocked import ACCOUNT, REGION
from samples import arn
from summary import graph_names, program

from components.jobs.buildspec import load_buildspec
from components.pipeline.model import Artifact
from components.pipeline.variables import BUILD_IMAGE, BUILD_SMOKE_TEST_IMAGE, DELIVERED_IMAGE, SMOKE_TEST_IMAGE
from local.rehearsal.emulated.access import Need, allows

pytestmark = pytest.mark.xdist_group("test_jobs_page.py")  # the same graphs, which are slow to make


FETCHED_BY_THE_JOB = ("BUILD_MOUNTS", "REGISTRY_LOGINS", "TEST_HEADERS")
"""Variables that name secrets, as many as the stack file has: a buildspec cannot declare each."""


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


def every_use() -> Iterator[tuple[str, Use]]:
    """Each job in each action that runs it."""
    return ((job, use) for job in JOBS for use in uses(job))


def is_beside_a_deployment(use: Use) -> bool:
    """Whether CodePipeline starts the action together with one that deploys."""
    for actions in program(use.stack).stages.values():
        orders = {item["runOrder"] for item in actions if item["name"] == use.action.name}
        if any(item["category"] == "Deploy" and item["runOrder"] in orders for item in actions):
            return True
    return False


@pytest.mark.parametrize("job", JOBS)
def test_a_stack_file_or_the_example_of_a_section_uses_each_job(job: str) -> None:
    assert uses(job)


def test_a_digest_comes_from_the_pipeline_wherever_a_job_asks_for_one() -> None:
    """An artifact could be rewritten by another job; a pipeline variable could not.

    Behind the job that knows the image, in one build, it is what that one exports, too, and the pipeline delivers.
    """
    for job, use in every_use():
        asks = "IMAGE_DIGEST" in load_buildspec(job).variables
        if use.place and asks:
            assert "IMAGE_DIGEST" in load_buildspec(use.build[0]).exported, use
            assert f"#{{{use.action.name}.IMAGE_DIGEST}}" == DELIVERED_IMAGE["IMAGE_DIGEST"], use
            assert use.by_action.get("IMAGE_DIGEST", "#{").startswith("#{"), use
            assert "IMAGE_DIGEST" not in {item.name for item in use.project.variables}, use
            assert holds_it_against_the_digest(job), use
            continue
        assert use.by_action.get("IMAGE_DIGEST", "").startswith("#{") == asks, use
        delivers = use.by_action.get("IMAGE_DIGEST") in (
            DELIVERED_IMAGE["IMAGE_DIGEST"],
            SMOKE_TEST_IMAGE["IMAGE_DIGEST"],
        )
        assert delivers == holds_it_against_the_digest(job), use


def test_each_job_that_holds_an_artifact_against_the_delivered_image_is_told_its_repository_by_its_project() -> None:
    """A repository that an artifact names would be asked with this account's token, and run from."""
    for job, use in every_use():
        if holds_it_against_the_digest(job):
            built_by = BUILD_SMOKE_TEST_IMAGE if Artifact.SMOKE_TEST_IMAGE in use.action.inputs else BUILD_IMAGE
            told, pushed_to = (
                {item.name: item.value for item in project.variables}["IMAGE_REPOSITORY_URI"]
                for project in (use.project, use.pipeline.project(built_by))
            )
            assert told == pushed_to, use


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
        plain = {item.name: item.value for item in use.project.variables if item.type == "PLAINTEXT"}
        fetched = [json.loads(plain.get(name, "{}")).values() for name in FETCHED_BY_THE_JOB]
        secrets = {secret_of(reference) for reference in (*references.values(), *itertools.chain(*fetched))}
        assert len(granted) == len(secrets), use
        policies = use.pipeline.policies(use.action.name)
        for secret in secrets:
            named = arn("secretsmanager", f"secret:{secret}-AbCdEf")
            need = Need("secretsmanager:GetSecretValue", secret if secret.startswith("arn:") else named)
            assert allows(policies, need, account=ACCOUNT, region=REGION), use


def folders(use: Use, action: str) -> set[str]:
    """The folders of the artifact bucket that a job may use so, below that of the pipeline."""
    found = [
        resource.partition(":::")[2].split("/")[1:]
        for statement in use.statements
        if action in statement["Action"]
        for resource in statement["Resource"]
        if resource.startswith("arn:aws:s3:::") and "artifacts-bucket" in resource
    ]
    return {"/".join(parts[1:]) for parts in found if parts and not parts[0].startswith("_")}


@pytest.mark.parametrize("job", JOBS)
def test_each_job_reads_the_artifacts_of_its_action_and_writes_that_of_its_action_and_lists_none(job: str) -> None:
    """Whoever takes over a build can change no other artifact of the run, and read none that it is not given."""
    for use in uses(job):
        assert folders(use, "s3:GetObject") == {f"{name[:10]}/*" for name in use.action.inputs}, use
        assert folders(use, "s3:PutObject") == {f"{name[:10]}/*" for name in use.action.outputs}, use
        listing = [one for one in use.statements if "s3:ListBucket" in one["Action"]]
        assert [one for one in listing if "Condition" not in one and "artifacts-bucket" in str(one["Resource"])] == []


@pytest.mark.parametrize("stack", graph_names())
def test_no_two_artifacts_of_a_pipeline_share_a_folder(stack: str) -> None:
    """CodePipeline cuts an artifact's name at ten characters: a permission for one would be one for the other."""
    names = {name for action in deployed(stack).actions for name in action.outputs}
    assert len({name[:10] for name in names}) == len(names)
