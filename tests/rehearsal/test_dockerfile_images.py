"""The images that the program finds in a Dockerfile are those that BuildKit fetches for it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dockerfiles import CASES, Case
from mocked import REGION

from local.rehearsal import images
from local.rehearsal.base_images import ImageName, ImageStore, Provided, Provision
from local.rehearsal.codebuild import BuildHost
from local.rehearsal.job_sandbox import JobSandbox


@pytest.fixture(scope="module")
def builder(sandbox: JobSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """BuildKit with every image of the cases, whose content is busybox."""
    store = ImageStore(tmp_path_factory.mktemp("images"))
    busybox, frontend = (store.put(image) for image in (images.image(images.busybox()), images.dockerfile_frontend()))
    names = {ImageName.parse(name) for case in CASES.values() for name in case.images}
    provided = [
        Provided(name, frontend if name.repository == "docker/dockerfile" else busybox, "") for name in names if name
    ]
    with sandbox.serving_images(Provision(tuple(provided), store)) as variables:
        place = sandbox.place({}, region=REGION)
        create = ["docker", "buildx", "create", "--name", "cases", "--driver", "docker-container", "--bootstrap"]
        create += ["--driver-opt", f"image={variables['BUILDKIT_IMAGE']}"]
        subprocess.run([*place.enter, *create], env=dict(place.environment), capture_output=True, check=True)
        yield Builder(place, tmp_path_factory.mktemp("cases"))


class Builder:
    """BuildKit, asked what it fetches for a Dockerfile."""

    def __init__(self, place: BuildHost, folder: Path) -> None:
        self._place, self._folder = place, folder

    def fetched(self, case: Case) -> set[str]:
        """The images whose metadata it has loaded, however the build has ended."""
        (self._folder / "Dockerfile").write_text(case.text)
        command = ["docker", "buildx", "build", "--builder", "cases", "--progress", "plain", "--no-cache"]
        command += ["--platform", "linux/arm64", *(["--target", case.target] if case.target else [])]
        done = subprocess.run(
            [*self._place.enter, *command, str(self._folder)],
            env=dict(self._place.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        said = re.findall(r"(?:load metadata for |resolve image config for docker-image://)(\S+)", done.stderr)
        return {str(name) for text in said if (name := ImageName.parse(text))}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_buildkit_fetches_what_is_found(builder: Builder, case: Case) -> None:
    expected = set(case.images)
    if "example/frontend:latest" in expected:
        expected -= {"alpine:latest"}  # which that frontend would name, and busybox is none
    assert builder.fetched(case) == expected
