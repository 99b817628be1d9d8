"""What the tests that execute jobs share: the tools they need, AWS on this machine, and a machine with Docker."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.rehearsal.aws_cli import WarmAwsCli
from local.rehearsal.aws_services import AwsServices
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


@pytest.fixture(scope="session")
def warm_aws_cli(need: Need) -> Iterator[Path]:
    """The folder for the front of PATH whose `aws` answers at once."""
    need("aws")
    # Not below pytest's own folder: a socket's path is short.
    with tempfile.TemporaryDirectory(prefix="aws-cli-") as folder, WarmAwsCli(Path(folder)) as cli:
        yield cli.bin
