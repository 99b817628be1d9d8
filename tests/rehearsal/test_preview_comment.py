"""The comment on a pull request: the workflow's own step against GitHub's stand-in, which holds it to GitHub's API."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.rehearsal.github import GitHub, rate_limited
from local.rehearsal.github.pulls import MOST_CHARACTERS, PullRequest, Pulls
from local.report.markdown import MARKER

ROOT = Path(__file__).parents[2]
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/comment.yml").read_text(encoding="utf-8"))
TOKEN = "of the workflow"  # noqa: S105 - the stand-in's
NAME = "example/infrastructure"
SHA = "0123456789abcdef0123456789abcdef01234567"
PREVIEW, PROD = ".github/workflows/preview.yml", ".github/workflows/preview-prod.yml"


@pytest.fixture(scope="module")
def running(need: Callable[..., None]) -> Iterator[GitHub]:
    need("github")
    with GitHub() as github:
        github.token(TOKEN, **{NAME: "pulls actions"})
        yield github


@pytest.fixture
def github(running: GitHub) -> Iterator[GitHub]:
    running.repositories.clear()
    running.repository(NAME)
    yield running
    assert running.violations == []


@pytest.fixture
def pulls(github: GitHub) -> Pulls:
    return github.repositories[NAME].pulls


@pytest.fixture
def pull(pulls: Pulls) -> PullRequest:
    return pulls.open(SHA)


@pytest.fixture
def comment(github: GitHub, tmp_path: Path) -> Callable[..., str]:
    """Runs the step, as GitHub runs it when a workflow has ended; returns what it printed."""

    def run(sha: str = SHA, head: str = NAME, branch: str = "edit", code: int = 0) -> str:
        event = {
            "head_sha": sha,
            "head_branch": branch,
            "head_repository": {"full_name": head, "owner": {"login": head.partition("/")[0]}},
        }
        file = tmp_path / "event.json"
        file.write_text(json.dumps({"workflow_run": event}), encoding="utf-8")
        last = WORKFLOW["jobs"]["comment"]["steps"][-1]
        assert last["env"] == {"GH_TOKEN": "${{ github.token }}"}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", last["run"]],
            cwd=ROOT,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "GH_TOKEN": TOKEN,
                "GITHUB_API_URL": github.url,
                "GITHUB_EVENT_PATH": str(file),
                "GITHUB_REPOSITORY": NAME,
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run


def archive(content: bytes, name: str = "preview.json") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, content)
    return made.getvalue()


def step(name: str, type_: str, op: str, old: object = None, new: object = None) -> dict[str, Any]:
    """A step as `python -m local preview --json --states` prints it."""
    urn = f"urn:pulumi:dev::ecs-delivery::{type_}::{name}"
    states = {"old": {"inputs": old} if old else None, "new": {"inputs": new} if new else None}
    return {"op": op, "urn": urn, "type": type_, "name": name, "changed": ["name"] if op == "update" else [], **states}


def preview(*steps: dict[str, Any]) -> bytes:
    same = step("topic", "aws:sns/topic:Topic", "same", {"name": "topic"}, {"name": "topic"})
    return archive(json.dumps({"steps": [same, *steps], "deployments": []}).encode())


def renamed(name: str) -> bytes:
    """A preview whose report has this name in it."""
    return preview(step(name, "aws:sns/topic:Topic", "create", None, {"name": name}))


QUIET = preview()
LOSS = preview(step("registry", "aws:ecr/repository:Repository", "delete", {"name": "shop"}))


def policy(action: str) -> dict[str, str]:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return {"role": "job", "policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}


BROADER = preview(step("job", "aws:iam/rolePolicy:RolePolicy", "update", policy("s3:GetObject"), policy("s3:*")))


def test_the_first_previews_make_the_comment_and_the_next_edit_it(
    pulls: Pulls, pull: PullRequest, comment: Callable[..., str], github: GitHub
) -> None:
    """Of dev and of prod, which waits for its reviewers, there is the same comment, whole after each of them."""
    both = {"local-dev": renamed("dev-alone"), "local-prod": renamed("prod-alone")}
    pulls.run(PREVIEW, SHA, artifacts={**both, "aws-dev": renamed("dev-in-aws")})
    waiting = pulls.run(PROD, SHA, status="waiting")
    comment()
    (first,) = pulls.comments
    assert first.pull == pull.number
    marker, title, _, note = first.body.splitlines()[:4]
    assert marker == MARKER
    assert title == "### dev and prod: 1 to create"
    assert note.startswith("**prod**: what the program alone says, before and after; the preview in AWS is waiting for")
    assert f"`preview-prod`: [run](https://github.com/{NAME}/actions/runs/{waiting.id})." in note
    assert "dev-in-aws" in first.body
    assert "prod-alone" in first.body
    assert "dev-alone" not in first.body

    waiting.status, waiting.conclusion = "completed", "success"
    waiting.artifacts["aws-prod"] = renamed("prod-in-aws")
    comment()
    (second,) = pulls.comments
    assert second.id == first.id
    assert "prod-in-aws" in second.body
    assert "waiting" not in second.body

    asked = len(github.requests)
    comment()
    assert all(request.startswith("GET ") for request in github.requests[asked:]), "what is there is not written again"


def test_a_fork_and_a_repository_without_an_account_have_the_comment_too(
    pulls: Pulls, comment: Callable[..., str]
) -> None:
    pull = pulls.open(SHA, fork="somebody/infrastructure", branch="main")
    pulls.run(PREVIEW, SHA, artifacts={"local-dev": renamed("one"), "local-prod": QUIET})
    pulls.run(PROD, SHA, conclusion="skipped")
    comment(head="somebody/infrastructure", branch="main")
    (made,) = pulls.comments
    assert made.pull == pull.number
    assert made.body.count("; there is no preview in an AWS account.") == 2


def test_one_line_says_that_nothing_changes(pulls: Pulls, pull: PullRequest, comment: Callable[..., str]) -> None:
    pulls.comment(pull.number, f"{MARKER}\n### Much\n\nMore.")
    pulls.run(PREVIEW, SHA, artifacts={"aws-dev": QUIET})
    pulls.run(PROD, SHA, artifacts={"aws-prod": QUIET})
    comment()
    (made,) = pulls.comments
    marker, line, empty, footer = made.body.splitlines()
    assert (marker, empty) == (MARKER, "")
    assert "o changes" in line
    assert footer.startswith("<sub>Of 0123456789ab: [preview-prod]")


def test_what_is_not_ours_stays_and_what_there_is_twice_goes(
    pulls: Pulls, pull: PullRequest, comment: Callable[..., str]
) -> None:
    """The author counts, too: whoever begins a comment like ours has not written ours."""
    theirs = [pulls.comment(pull.number, f"{MARKER} mine", "mallory"), pulls.comment(pull.number, "Another bot's.")]
    for number in range(120):
        pulls.comment(pull.number, f"Comment {number}", "octocat")
    ours = [pulls.comment(pull.number, f"{MARKER} old"), pulls.comment(pull.number, f"{MARKER} at the same time")]
    pulls.run(PREVIEW, SHA, artifacts={"local-dev": renamed("one"), "local-prod": QUIET})
    comment()
    assert [each for each in theirs if each not in pulls.comments] == []
    assert "1 to create" in ours[0].body
    assert ours[1] not in pulls.comments


def test_a_preview_that_failed_says_why(pulls: Pulls, pull: PullRequest, comment: Callable[..., str]) -> None:
    refused = archive(b"Pulumi.dev.yaml: ecs-delivery:application.port: must be 1 to 65535")
    pulls.run(PREVIEW, SHA, conclusion="failure", artifacts={"local-dev": refused})
    pulls.run(PROD, SHA, conclusion="failure")
    pull.labels.append("pipeline/broadens")
    pulls.make_label({"name": "pipeline/broadens"})
    comment()
    (made,) = pulls.comments
    assert "ecs-delivery:application.port: must be 1 to 65535" in made.body
    assert "**prod**: what the program alone says, before and after; the preview in AWS ended with failure" in made.body
    assert "There is no preview" in made.body
    assert pull.labels == ["pipeline/broadens"], "what is not known takes no label away"


def test_labels_follow_the_report(pulls: Pulls, pull: PullRequest, comment: Callable[..., str]) -> None:
    run = pulls.run(PREVIEW, SHA, artifacts={"local-dev": LOSS, "local-prod": LOSS})
    pull.labels.append("their-own")
    pulls.make_label({"name": "their-own"})
    comment()
    assert pull.labels == ["their-own", "pipeline/destroys"]
    assert pulls.labels["pipeline/destroys"]["color"] == "b60205"

    run.artifacts = {"local-dev": BROADER, "local-prod": QUIET}
    comment()
    assert pull.labels == ["their-own", "pipeline/broadens"]


@pytest.mark.parametrize(
    ("newest", "head"),
    [("f" * 40, NAME), (SHA, "example/another")],
    ids=["a newer commit", "a branch of the same name"],
)
def test_a_run_comments_on_no_other_pull_request(
    pulls: Pulls, comment: Callable[..., str], newest: str, head: str
) -> None:
    """Which one is meant says the commit, and never an artifact: somebody could name the pull request of another."""
    pulls.open(newest, fork=head)
    pulls.run(
        PREVIEW, SHA, artifacts={"local-dev": QUIET, "local-prod": QUIET, "pull-request": archive(b"1", "number")}
    )
    assert "No open pull request has 0123456789" in comment()
    assert pulls.comments == []


@pytest.mark.usefixtures("pull")
def test_what_a_branch_calls_things_reaches_nobody(pulls: Pulls, comment: Callable[..., str]) -> None:
    attack = f"{MARKER} @example/admins ![](https://attacker.example/a.png) <img src=x> \u202e \x1b[2J ``` </details>"
    pulls.run(PREVIEW, SHA, artifacts={"local-dev": renamed(attack), "local-prod": archive(attack.encode())})
    comment()
    body = pulls.comments[0].body.removeprefix(MARKER)
    in_code = re.compile(r"(?ms)^(`{3,})\w*\n.*?^\1$|`[^`\n]*`")
    outside = in_code.sub("", body)
    assert not re.search(r"<!--|<img|!\[|@(?=\w)", outside)
    assert not re.search("[\x00-\x08\x1b\u202e]", body)
    assert outside.count("<details>") == outside.count("</details>")


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (b"no archive", "There is no preview"),
        (archive(b"{}", "another.json"), "There is no preview"),
        (archive(b" " * (32 * 1024 * 1024 + 1)), "There is no preview"),
        (archive(b'{"steps": [1], "deployments": []}'), "### dev: the preview failed"),
        (archive(b"[" * 100_000), "**The previews could not be read**"),
        (preview(*(step(f"t{n}", "aws:sns/topic:Topic", "create", None, {"name": "x"}) for n in range(3000))), "3000"),
    ],
    ids=["no archive", "another file", "a file too large", "another form", "nested", "long"],
)
def test_what_is_broken_or_large_costs_the_comment_nothing_else(
    pulls: Pulls, pull: PullRequest, comment: Callable[..., str], left: bytes, said: str
) -> None:
    pulls.run(PREVIEW, SHA, artifacts={"local-dev": left, "local-prod": renamed("one")})
    comment()
    (made,) = pulls.comments
    assert made.pull == pull.number
    assert said in made.body
    assert made.body.startswith(f"{MARKER}\n")
    assert len(made.body) < MOST_CHARACTERS / 2


@pytest.mark.usefixtures("pull")
def test_an_archive_that_is_too_large_or_gone_is_not_fetched(
    github: GitHub, pulls: Pulls, comment: Callable[..., str]
) -> None:
    asked = len(github.requests)
    run = pulls.run(PREVIEW, SHA, artifacts={"local-dev": b"x" * (9 * 1024 * 1024)})
    comment()
    assert "There is no preview" in pulls.comments[0].body
    run.artifacts, run.expired = {"local-dev": QUIET}, True
    comment()
    assert not [request for request in github.requests[asked:] if request.endswith("/zip")]


@pytest.mark.usefixtures("pull")
def test_the_report_is_made_without_the_token(
    pulls: Pulls, comment: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a branch has left is read by much code, of which a fault must not cost the token."""
    pulls.run(PREVIEW, SHA, artifacts={"local-dev": QUIET, "local-prod": QUIET})
    seen = tmp_path / "seen"
    look = f"open({str(seen)!r}, 'w').write(str('GH_TOKEN' in os.environ))"
    text = f"import os, sys\nif 'report' in sys.orig_argv: {look}\n"
    (tmp_path / "sitecustomize.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    comment()
    assert seen.read_text(encoding="utf-8") == "False"


@pytest.mark.usefixtures("pull")
def test_it_waits_when_github_is_busy_and_says_what_it_was_refused(
    github: GitHub, pulls: Pulls, comment: Callable[..., str]
) -> None:
    pulls.run(PREVIEW, SHA, artifacts={"local-dev": QUIET, "local-prod": QUIET})
    busy = iter([rate_limited(), rate_limited(status=403)])
    github.on_request(
        lambda _n, method, _path, when: next(busy, None) if method == "GET" and when == "before" else None
    )
    comment()
    assert len(pulls.comments) == 1
    github.on_request(
        lambda _n, method, _path, when: rate_limited() if method == "PATCH" and when == "before" else None
    )
    pulls.comments[0].body = f"{MARKER} old"
    assert "::error::PATCH issues/comments/" in comment(code=1)


def test_the_job_that_writes_runs_nothing_of_the_branch() -> None:
    assert WORKFLOW["permissions"] == {}
    assert WORKFLOW[True] == {"workflow_run": {"workflows": ["preview", "preview of prod"], "types": ["completed"]}}
    (job,) = WORKFLOW["jobs"].values()
    assert job["if"] == "github.event.workflow_run.event == 'pull_request'"
    assert job["permissions"] == {"actions": "read", "contents": "read", "pull-requests": "write"}
    checkout, install, script = job["steps"]
    assert checkout["uses"].startswith("actions/checkout@")
    assert checkout["with"] == {"persist-credentials": False}, "of this event, the default branch is checked out"
    assert install == {"run": "make install"}
    assert script["run"] == ".venv/bin/python .github/scripts/comment.py"
