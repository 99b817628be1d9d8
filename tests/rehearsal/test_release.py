"""The job that publishes a GitHub release: executed by its buildspec, under its role, against a GitHub on loopback.

The token comes out of Secrets Manager as on AWS. What the job does in which state of GitHub is tested in
`tests/buildspecs/test_release_job.py`, against the same GitHub.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from mocked import REGION
from rehearsing import hurried
from summary import program

from local.rehearsal.actions.code_build import secrets_of
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.codebuild import BuildHost, Result, Variable, put_python, run_build
from local.rehearsal.deployed import Deployed
from local.rehearsal.github import GitHub, Repository

ACTION = "CreateGitHubRelease"
REPOSITORY = "example/shop"
TOKEN = "github_pat_11MADEUP0-only.for~tests"  # noqa: S105 - made up
SECRET = "shop/github"  # noqa: S105 - a name
TAG = "v1.2.3"
DIGEST = f"sha256:{'a' * 64}"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop"
NASTY = """Fix $(touch pwned) `touch pwned` "it's"; touch pwned
EOF
touch pwned"""


@cache
def deployed() -> Deployed:
    return Deployed.of([resource.as_dict() for resource in program("everything-on")])


class Releasing:
    """A GitHub with one repository, the deployment artifacts, and the job."""

    def __init__(self, github: GitHub, aws: AwsServices, cli: Path, folder: Path) -> None:
        self.github, self._aws, self._folder = github, aws, folder
        self.repository: Repository = github.repository(REPOSITORY)
        github.token(TOKEN, **{REPOSITORY: "write"})
        self.repository.commit("Begin")
        self.repository.release("v1.2.2", self.repository.commit("Release"), draft=False)
        self.repository.commit(NASTY)
        self.commit = self.repository.commit("Merge", pull="Sell shoes, too")
        self._artifacts = folder / "deployment"
        self._artifacts.mkdir()
        self.files = self._written()
        python = folder / "bin"
        python.mkdir()
        put_python(python)
        self._path = f"{cli}:{python}:/usr/bin:/bin"
        self._runs = count()
        self._lock = threading.Lock()

    def _written(self) -> dict[str, bytes]:
        facts = {
            "commit": self.commit,
            "version": "1.2.3",
            "repository": ECR,
            "image": f"{ECR}@{DIGEST}",
            "digest": DIGEST,
        }
        texts = {
            "deployment.json": json.dumps(facts),
            "taskdef.json": '{"family": "gr\u00f6\u00dfer"}\n',
            "appspec.yaml": "version: 0.0\n",
            "imageDetail.json": "{}",
            "imagedefinitions.json": "[]",
        }
        for name, text in texts.items():
            (self._artifacts / name).write_bytes(text.encode())
        return {name: text.encode() for name, text in texts.items()}

    def run(self, *, without: str = "") -> Result:
        """Run the job, maybe without a permission."""
        with self._lock:
            number = next(self._runs)
            policies = json.loads(json.dumps(deployed().policies(ACTION)))
            for policy in policies:
                policy["Statement"] = [item for item in policy["Statement"] if without not in item["Action"]]
            credentials = self._aws.as_role(deployed().project(ACTION).role, policies, region=REGION)
            keep_secret(self._aws, TOKEN)
        build = deployed().build(
            ACTION, {"Deployment": self._artifacts}, dict.fromkeys(deployed().action(ACTION).references, DIGEST)
        )
        given = {
            "IMAGE_REPOSITORY_URI": ECR,
            "GITHUB_API_URL": self.github.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "PRERELEASE": "false",
        }
        kept = [item for item in build.overrides if item.name not in given]
        overrides = (*kept, *(Variable(name=name, value=value) for name, value in given.items()))
        place = BuildHost(environment={"PATH": self._path, **credentials}, region=REGION)
        folder = self._folder / f"run-{number}"
        result = run_build(
            hurried(self._aws, replace(build, overrides=overrides)),
            place,
            folder,
            secrets=secrets_of(lambda: self._aws.client_as(credentials, "secretsmanager")),
        )
        self.assert_nothing_holds(TOKEN, folder, result)
        return result

    @staticmethod
    def assert_nothing_holds(token: str, folder: Path, result: Result) -> None:
        """The token stands in nothing that is printed, handed on or left behind."""
        assert token not in repr(result)
        left = [path for path in folder.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
        # CodeBuild's own environment holds it, of course: here that is how commands hand variables on.
        assert [path for path in left if "shell" not in path.relative_to(folder).parts] == []

    def assert_published_once(self, result: Result) -> None:
        """One public release of the tag, whole, and no draft beside it."""
        assert result.succeeded, result.log
        (release,) = [item for item in self.repository.releases.values() if item.tag == TAG]
        assert not release.draft
        assert release.files == self.files
        assert len(release.assets) == len(self.files)
        assert self.repository.tags[TAG] == self.commit
        assert result.exported == {"RELEASE_URL": f"https://github.com/{REPOSITORY}/releases/tag/{TAG}"}


def keep_secret(aws: AwsServices, token: str) -> None:
    """Have this token in Secrets Manager, where the stack file says it is."""
    secrets = aws.client("secretsmanager", region=REGION)
    text = json.dumps({"token": token})
    try:
        secrets.create_secret(Name=SECRET, SecretString=text)
    except secrets.exceptions.ResourceExistsException:
        secrets.put_secret_value(SecretId=SECRET, SecretString=text)


@pytest.fixture
def releasing(need: Callable[..., None], aws: AwsServices, warm_aws_cli: Path, tmp_path: Path) -> Iterator[Releasing]:
    need("github")
    with GitHub() as github:
        yield Releasing(github, aws, warm_aws_cli, tmp_path)
    assert github.violations == []


def writes(github: GitHub) -> list[str]:
    """The requests that change something."""
    return [request for request in github.requests if not request.startswith("GET ")]


def test_a_release_is_published_with_its_files_on_the_deployed_commit(releasing: Releasing) -> None:
    result = releasing.run()

    releasing.assert_published_once(result)
    steps = [re.sub(r"\d{4,}", "N", request.removeprefix("POST ")) for request in writes(releasing.github)]
    root = f"/repos/{REPOSITORY}/releases"
    assert steps == [f"{root}/generate-notes", root, *[f"{root}/N/assets"] * 5, f"PATCH {root}/N"], "a draft first"
    assert list(releasing._folder.rglob("pwned*")) == [], "what a commit says is never run"
    assert not Path("pwned").exists()


def test_two_runs_at_once_end_with_one_release(releasing: Releasing) -> None:
    """Both find nothing and make a draft each: neither may look before the other has."""
    both_have_looked = threading.Barrier(2, timeout=30)
    made: list[int] = []

    def hold(number: int, method: str, path: str, *, when: str) -> None:
        if when == "before" and (method, path) == ("POST", f"/repos/{REPOSITORY}/releases"):
            made.append(number)
            both_have_looked.wait()

    releasing.github.on_request(hold)
    with ThreadPoolExecutor(2) as runs:
        started = [runs.submit(releasing.run) for _ in range(2)]
        results = [run.result() for run in started]

    assert len(made) == 2
    for result in results:
        releasing.assert_published_once(result)


def test_a_role_that_may_not_read_the_token_is_named_before_the_job_begins(releasing: Releasing) -> None:
    result = releasing.run(without="secretsmanager:GetSecretValue")

    assert not result.succeeded
    assert "not authorized to perform: secretsmanager:GetSecretValue" in result.phases[-1].message
    assert releasing.github.requests == []
