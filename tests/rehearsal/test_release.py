"""The job that publishes a GitHub release: executed by its buildspec, under its role, against a GitHub on loopback.

The token comes out of Secrets Manager as on AWS. The stand-in of GitHub holds every request against GitHub's own
description of its API.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import botocore.session  # type: ignore[import-untyped]  # ships no types
import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types
from mocked import REGION
from rehearsing import hurried
from summary import program

from local.rehearsal.aws_services import AwsServices
from local.rehearsal.codebuild import Place, Result, Secrets, Variable, put_python, run_build
from local.rehearsal.deployed import Deployed
from local.rehearsal.github import BROKEN, DROP, Answer, GitHub, Repository, Wish, rate_limited

ACTION = "CreateGitHubRelease"
REPOSITORY = "example/shop"
TOKEN = "github_pat_11MADEUP0-only.for~tests"  # noqa: S105 - made up
SECRET = "shop/github"  # noqa: S105 - a name
TAG = "v1.2.3"
DIGEST = f"sha256:{'a' * 64}"
NASTY = """Fix $(touch pwned) `touch pwned` "it's" \\n %s ${HOME} <b>&amp;</b>; exit 1

* a second line
EOF
END_OF_SCRIPT"""


@cache
def deployed() -> Deployed:
    return Deployed.of([resource.as_dict() for resource in program("everything-on")])


def secrets_of(environment: Mapping[str, str]) -> Secrets:
    """Secrets Manager, as CodeBuild asks it: by the project's role."""
    client = botocore.session.Session().create_client(
        "secretsmanager",
        region_name=environment["AWS_REGION"],
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=environment["AWS_SESSION_TOKEN"],
    )

    def secret(secret_id: str) -> str:
        try:
            return str(client.get_secret_value(SecretId=secret_id)["SecretString"])
        except ClientError as error:
            raise LookupError(str(error)) from None

    return secret


class Releasing:
    """A GitHub with one repository, the deployment artifacts, and the job."""

    def __init__(self, github: GitHub, aws: AwsServices, cli: Path, folder: Path) -> None:
        self.github, self._aws, self._folder = github, aws, folder
        self.repository: Repository = github.repository(REPOSITORY)
        github.token(TOKEN, **{REPOSITORY: "write"})
        self.repository.commit("Begin")
        self.first = self.repository.commit("Release")
        self.repository.release("v1.2.2", self.first, draft=False)
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
        facts = {"commit": self.commit, "version": "1.2.3", "image": f"shop@{DIGEST}", "digest": DIGEST}
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

    def run(self, *, token: str = TOKEN, without: str = "", **variables: str) -> Result:
        """Run the job, maybe without a permission; variables are set as the pipeline's action does."""
        with self._lock:
            number = next(self._runs)
            policies = json.loads(json.dumps(deployed().policies(ACTION)))
            for policy in policies:
                policy["Statement"] = [item for item in policy["Statement"] if without not in item["Action"]]
            credentials = self._aws.as_role(deployed().project(ACTION).role, policies, region=REGION)
            keep_secret(self._aws, token)
        build = deployed().build(
            ACTION, {"Deployment": self._artifacts}, dict.fromkeys(deployed().action(ACTION).references, DIGEST)
        )
        given = {"GITHUB_API_URL": self.github.url, "GITHUB_REPOSITORY": REPOSITORY, "PRERELEASE": "false", **variables}
        kept = [item for item in build.overrides if item.name not in given]
        overrides = (*kept, *(Variable(name=name, value=value) for name, value in given.items()))
        place = Place(environment={"PATH": self._path, **credentials}, region=REGION)
        folder = self._folder / f"run-{number}"
        result = run_build(
            hurried(self._aws, replace(build, overrides=overrides)), place, folder, secrets=secrets_of(credentials)
        )
        self.assert_nothing_holds(token, folder, result)
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


def test_the_notes_name_pull_requests_and_commits_as_they_were_written(releasing: Releasing) -> None:
    releasing.run()

    (release,) = [item for item in releasing.repository.releases.values() if item.tag == TAG]
    assert release.name == TAG
    assert "* Sell shoes, too by @octocat in https://github.com/example/shop/pull/1" in release.body
    assert "compare/v1.2.2...v1.2.3" in release.body
    heading, *commits = release.body.partition("## Commits since v1.2.2")[2].splitlines()
    assert heading == ""
    subjects = [line.rpartition(" (")[0] for line in commits]
    assert subjects == ["* Merge", f"* {NASTY.splitlines()[0]}"], "newest first, and only since the last release"


def test_what_a_commit_says_is_never_run(releasing: Releasing) -> None:
    result = releasing.run()

    assert result.succeeded, result.log
    assert list(releasing._folder.rglob("pwned*")) == []
    assert not Path("pwned").exists()


def test_the_first_release_of_all_has_githubs_notes(releasing: Releasing) -> None:
    releasing.repository.releases.clear()
    releasing.repository.tags.clear()

    releasing.assert_published_once(releasing.run())

    (release,) = releasing.repository.releases.values()
    assert "## Commits" not in release.body
    assert "https://github.com/example/shop/commits/v1.2.3" in release.body


def test_a_second_run_changes_nothing(releasing: Releasing) -> None:
    releasing.run()
    before = writes(releasing.github)

    result = releasing.run()

    releasing.assert_published_once(result)
    assert writes(releasing.github) == before
    assert f"{TAG} was published by an earlier run" in result.log


def test_a_run_that_stopped_half_way_is_taken_up(releasing: Releasing) -> None:
    """As an earlier run left it: one file whole, one of another image, one cut off."""
    draft = releasing.repository.release(TAG, releasing.commit, body="the notes of the first run")
    whole = releasing.repository.asset(draft, "taskdef.json", releasing.files["taskdef.json"], "uploaded")
    releasing.repository.asset(draft, "deployment.json", b"x" * len(releasing.files["deployment.json"]), "uploaded")
    releasing.repository.asset(draft, "appspec.yaml")

    releasing.assert_published_once(releasing.run())

    assert whole.id in draft.assets, "what is there need not be sent again"
    assert draft.body == "the notes of the first run"


def test_the_drafts_that_other_runs_left_are_cleared_away(releasing: Releasing) -> None:
    """Two of the same commit, one of an earlier delivery; what a person has prepared for later stays."""
    for commit in (releasing.first, releasing.commit, releasing.commit):
        releasing.repository.release(TAG, commit)
    prepared = releasing.repository.release("v2.0.0", "main")

    releasing.assert_published_once(releasing.run())

    assert prepared.id in releasing.repository.releases


def test_an_upload_that_breaks_is_replaced(releasing: Releasing) -> None:
    broken: list[str] = []

    def break_first_upload(_number: int, method: str, path: str, *, when: str) -> Wish:
        if when == "before" and method == "POST" and path.endswith("/assets") and not broken:
            broken.append(path)
            return BROKEN
        return None

    releasing.github.on_request(break_first_upload)

    releasing.assert_published_once(releasing.run())

    assert any(request.startswith("DELETE ") for request in releasing.github.requests)


@pytest.mark.parametrize("lost", [DROP, Answer(502)], ids=["hangs up", "answers 502"])
def test_an_answer_that_is_lost_makes_nothing_twice(releasing: Releasing, lost: Wish) -> None:
    """Each request that changes something is carried out, and the first time nobody is told."""
    told: set[tuple[str, str]] = set()

    def lose_each_answer_once(_number: int, method: str, path: str, *, when: str) -> Wish:
        if when == "after" and method != "GET" and (method, path) not in told:
            told.add((method, path))
            return lost
        return None

    releasing.github.on_request(lose_each_answer_once)

    releasing.assert_published_once(releasing.run())

    assert len(told) >= 4
    made = f"POST /repos/{REPOSITORY}/releases"
    assert releasing.github.requests.count(made) == 1


@pytest.mark.parametrize("lag", [2, 100], ids=["for a while", "for good"])
def test_a_draft_that_github_does_not_list_is_not_made_twice(releasing: Releasing, lag: int) -> None:
    releasing.repository.listing_lag = lag

    releasing.assert_published_once(releasing.run())

    assert releasing.github.requests.count(f"POST /repos/{REPOSITORY}/releases") == 1


@pytest.mark.parametrize("status", [403, 429])
def test_who_asks_too_much_waits_as_long_as_github_wants(releasing: Releasing, status: Any) -> None:  # noqa: ANN401 - a literal
    limits = iter([rate_limited(status=status, retry_after=1)])

    def limit_once(_number: int, method: str, _path: str, *, when: str) -> Wish:
        return next(limits, None) if when == "before" and method == "POST" else None

    releasing.github.on_request(limit_once)
    result = releasing.run()

    releasing.assert_published_once(result)
    assert f"    {status}; trying again in 1 s" in result.log


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


def test_a_version_that_another_commit_has_is_named(releasing: Releasing) -> None:
    releasing.repository.tags[TAG] = releasing.first

    result = releasing.run()

    assert not result.succeeded
    assert f"the tag {TAG} of {REPOSITORY} is on commit {releasing.first}, " in result.log
    assert f"this delivery deployed {releasing.commit}." in result.log
    assert writes(releasing.github) == []


def test_a_token_that_has_expired_is_named(releasing: Releasing) -> None:
    result = releasing.run(token="github_pat_expired-in-spring")  # noqa: S106 - made up

    assert not result.succeeded
    assert "GitHub answers 401" in result.log
    assert "the token is invalid or has expired: renew it in Secrets Manager" in result.log


def test_a_token_that_may_only_read_is_named(releasing: Releasing) -> None:
    releasing.github.token("github_pat_reader-of-shop", **{REPOSITORY: "read"})

    result = releasing.run(token="github_pat_reader-of-shop")  # noqa: S106 - made up

    assert not result.succeeded
    assert "GitHub answers 403" in result.log
    assert "the token needs Contents: read and write on this repository" in result.log


def test_a_repository_that_the_token_may_not_see_is_named(releasing: Releasing) -> None:
    releasing.github.repository("example/hidden").commit("Begin")

    result = releasing.run(GITHUB_REPOSITORY="example/hidden")

    assert not result.succeeded
    assert "GitHub answers 404" in result.log
    assert "no such repository, or the token may not see it" in result.log


def test_a_commit_that_github_does_not_have_is_named(releasing: Releasing) -> None:
    """As when the code comes from another repository than the one of the releases."""
    releasing.repository.commits.pop()

    result = releasing.run()

    assert not result.succeeded
    assert "GitHub answers 422" in result.log
    assert "target_commitish" in result.log


def test_a_role_that_may_not_read_the_token_is_named_before_the_job_begins(releasing: Releasing) -> None:
    result = releasing.run(without="secretsmanager:GetSecretValue")

    assert not result.succeeded
    assert "not authorized to perform: secretsmanager:GetSecretValue" in result.phases[-1].message
    assert releasing.github.requests == []
