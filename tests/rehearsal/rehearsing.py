"""What the tests that execute jobs share: the tools they need, AWS on this machine, and a machine with Docker."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from mocked import REGION

from components.jobs.buildspec import FOLDER
from components.jobs.bundle import key_of, pack
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.codebuild import Build
from local.rehearsal.job_sandbox import JobSandbox

Need = Callable[..., None]
"""How a test says which tools it cannot do without."""


@pytest.fixture(scope="session")
def aws(need: Need) -> Iterator[AwsServices]:
    """AWS with IAM enforced, on loopback; each test makes what it needs under names of its own."""
    need("ministack")
    with AwsServices() as services:
        yield services


@pytest.fixture(scope="session")
def sandbox(need: Need) -> Iterator[JobSandbox]:
    """A machine with a Docker engine, and Amazon ECR under its real names."""
    need("namespaces", "docker", "builder", "ministack", "aws")
    with JobSandbox() as sandbox:
        yield sandbox


def in_this_process(
    monkeypatch: pytest.MonkeyPatch, script: str, variables: Mapping[str, str], *, seconds: int, waits: str = ""
) -> Callable[[], None]:
    """Return what runs a job's script in this process, where a minute can be made short.

    Args:
        monkeypatch: Undoes what this changes.
        script: The script's name without ``.py``.
        variables: The job's environment variables.
        seconds: How far the job's clock has moved each time it is looked at.
        waits: The module of the jobs in which it waits; the script itself when left out.
    """
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [f"{script}.py"])
    job = importlib.import_module(f"jobs.{script}")
    elapsed = itertools.count(0, seconds)
    # The job's own clock: servers and subprocesses of this process go by the real one.
    clock = SimpleNamespace(monotonic=lambda: next(elapsed), sleep=lambda _seconds: None, time=time.time)
    monkeypatch.setattr(importlib.import_module(f"jobs.{waits or script}"), "time", clock)
    main: Callable[[], None] = job.main
    return main


def hurried(aws: AwsServices, build: Build) -> Build:
    """Return a build that finds its scripts, which pause for a twentieth of the time: emulators need no patience."""
    if build.is_of_the_application:  # it has no such scripts
        return build
    bundle = {item.name: item.value for item in build.project_variables}["JOBS_BUNDLE"]
    bucket = urlsplit(bundle).netloc
    key = _stored(aws, bucket)
    return with_variables(build, JOBS_BUNDLE=f"s3://{bucket}/{key}", JOBS_SHA256=Path(key).stem)


def at_any_speed(graph: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the graph without its budget of performance: Lighthouse measures the machine, and tests keep it busy."""
    projects = (each["inputs"] for each in graph if each["type"] == "aws:codebuild/project:Project")
    variables = (variable for each in projects for variable in each["environment"]["environmentVariables"])
    (budgets,) = (variable for variable in variables if variable["name"] == "LIGHTHOUSE_BUDGETS")
    budgets["value"] = json.dumps({**json.loads(budgets["value"]), "performance": 0})
    return graph


def with_variables(build: Build, **variables: str) -> Build:
    """Return a build whose project sets these variables to other values."""
    return build.with_variables(variables)


@lru_cache
def _stored(aws: AwsServices, bucket: str) -> str:
    """The key of the hurried scripts, which are put where `pulumi up` puts the bundle."""
    bundle = pack(edit=lambda text: text.replace("time.sleep(", "time.sleep(0.05 * "))
    s3 = aws.client("s3", region=REGION)
    if bucket not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key=key_of(bundle), Body=bundle)
    return key_of(bundle)
