"""What the tests that execute jobs share: the tools they need, AWS on this machine, and a machine with Docker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from local.rehearsal.aws_services import AwsServices
from local.rehearsal.codebuild import Build
from local.rehearsal.world import World

Need = Callable[..., None]
"""How a test says which tools it cannot do without."""


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what runs on the world in one process: it is slow to make, and there are two processors."""
    for item in items:
        if "world" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("world"))


@pytest.fixture(scope="session")
def aws(need: Need) -> Iterator[AwsServices]:
    """AWS with IAM enforced, on loopback; each test makes what it needs under names of its own."""
    need("ministack")
    with AwsServices() as services:
        yield services


@pytest.fixture(scope="session")
def world(need: Need) -> Iterator[World]:
    """A machine with a Docker engine, and Amazon ECR under its real names."""
    need("namespaces", "docker", "builder", "ministack", "aws")
    with World() as world:
        yield world


def hurried(build: Build) -> Build:
    """Return a build whose scripts pause for a twentieth of the time: emulators need no patience."""
    return replace(build, buildspec=build.buildspec.replace("time.sleep(", "time.sleep(0.05 * "))
