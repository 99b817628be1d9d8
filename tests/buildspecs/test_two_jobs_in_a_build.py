"""The build that knows the image prepares the deployment, too: its two jobs, in the folder of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_tools import DIGEST, OTHER_DIGEST, REPOSITORY, Machine
from samples import BUNDLE_VARIABLES

from components.jobs.buildspec import load_buildspec
from components.jobs.bundle import pack

TEXT = load_buildspec("build-image", "prepare-deployment", artifacts=("Image", "Deployment")).text
TEMPLATE: dict[str, Any] = {
    "family": "shop-dev",
    "networkMode": "awsvpc",
    "requiresCompatibilities": ["FARGATE"],
    "cpu": "256",
    "memory": "512",
    "containerDefinitions": [{"name": "shop", "image": "<IMAGE>", "portMappings": [{"containerPort": 8080}]}],
}
PROJECT = {
    "IMAGE_REPOSITORY_URI": REPOSITORY,
    "PLATFORM": "linux/arm64",
    "SOURCE_URL": "https://github.com/example/shop",
    "BUILDER_ID": "arn:aws:codebuild:eu-west-1:123456789012:project/shop-dev-build-image",
    "COMMIT_ID": "0123456789abcdef0123456789abcdef01234567",
    "COMMIT_DATE": "2026-01-31T12:00:00Z",
    "TASK_DEFINITION_TEMPLATE": "s3://artifacts/shop/template.json",
    "CONTAINER_NAME": "shop",
    "CONTAINER_PORT": "8080",
    **BUNDLE_VARIABLES,
}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with the code, whose image an earlier run has pushed."""
    machine = Machine(tmp_path)
    machine.file("Dockerfile", "FROM scratch\n")
    machine.offer_jobs(pack())
    machine.answer("aws s3 cp", TEMPLATE)
    machine.answer("aws ecs register-task-definition --generate-cli-skeleton", {"taskDefinition": {}})
    machine.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": DIGEST}]})
    return machine


def test_the_second_job_deploys_what_the_first_has_built(machine: Machine) -> None:
    result = machine.run_buildspec(TEXT, **PROJECT)

    assert result.returncode == 0, result.stderr
    uri = f"{REPOSITORY}@{DIGEST}"
    assert machine.json("image.json")["uri"] == uri
    assert machine.json("taskdef.json")["containerDefinitions"][0]["image"] == uri
    assert machine.json("deployment.json")["image"] == uri
    assert result.stdout.splitlines()[-6:] == [
        f"DEPLOYED_COMMIT={PROJECT['COMMIT_ID']}",
        "DEPLOYED_VERSION=2026.01.31-0123456",
        "FURTHER_DIGESTS=",
        f"IMAGE_DIGEST={DIGEST}",
        f"IMAGE_URI={uri}",
        "IMAGE_VERSION=2026.01.31-0123456",
    ]


def test_files_of_the_application_that_have_the_same_names_are_no_part_of_the_deployment(machine: Machine) -> None:
    """Whoever comes from another pipeline has them in the repository; a link would lead to what it names."""
    elsewhere = machine.folder.parent / "elsewhere"
    elsewhere.write_text("stays")
    machine.file("appspec.yaml", "version: 0.0\nResources: []\n")
    machine.file("image.json", {"digest": OTHER_DIGEST})
    (machine.folder / "taskdef.json").symlink_to(elsewhere)

    result = machine.run_buildspec(TEXT, **PROJECT)

    assert result.returncode == 0, result.stderr
    assert machine.json("appspec.yaml")["Resources"]
    assert machine.json("image.json")["digest"] == DIGEST
    assert not (machine.folder / "taskdef.json").is_symlink()
    assert elsewhere.read_text() == "stays"


def test_a_folder_that_has_the_name_of_a_file_of_the_deployment_is_named(machine: Machine) -> None:
    machine.file("taskdef.json/notes", "mine")

    result = machine.run_buildspec(TEXT, **PROJECT)

    assert result.returncode == 1
    assert "FAILED: taskdef.json is a folder of the input artifact, and a file that this job writes" in result.stderr
    assert "Traceback" not in result.stderr


def test_nothing_is_prepared_where_the_image_is_not_built(machine: Machine) -> None:
    (machine.folder / "Dockerfile").unlink()

    result = machine.run_buildspec(TEXT, **PROJECT)

    assert result.returncode == 1
    assert result.stderr.count("FAILED: ") == 1
    assert machine.called("aws s3 cp s3://artifacts/shop/template.json") == []
    assert not (machine.folder / "taskdef.json").exists()


def test_what_needs_no_answer_of_the_other_is_asked_side_by_side(machine: Machine) -> None:
    """Whether the image is there, by commit and by tree; the template, and whether the image is still there."""
    machine.run_buildspec(TEXT, **PROJECT)

    asked = [" ".join(call.words[1:3]) for call in machine.calls]
    assert asked[:3] == ["s3 cp", "ecr describe-images", "ecr describe-images"]
    assert sorted(asked[3:5]) == ["ecr describe-images", "s3 cp"]
    assert asked[5:] == ["ecs register-task-definition"]


def test_codebuild_takes_a_buildspec_of_this_length() -> None:
    """25,600 characters, which it does not document (aws/aws-cdk issue 30326)."""
    assert len(TEXT) < 5_000
