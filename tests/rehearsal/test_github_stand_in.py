"""The stand-in of GitHub: the rules of GitHub's that the release job relies on, and how honest the stand-in is."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.errors import MissingTool, Refusal
from local.rehearsal.github import GitHub, Repository, description

WRITER = "writer"
RELEASES = "/repos/example/shop/releases"


@pytest.fixture
def github(need: Callable[..., None]) -> Iterator[GitHub]:
    need("github")
    with GitHub() as github:
        github.token(WRITER, **{"example/shop": "write"})
        yield github


@pytest.fixture
def shop(github: GitHub) -> Repository:
    repository = github.repository("example/shop")
    repository.commit("Begin")
    return repository


def ask(github: GitHub, method: str, path: str, data: object = None) -> tuple[int, Any]:
    """Send a request; bytes go to the host for uploads. Returns status and value of the answer."""
    upload = isinstance(data, bytes)
    body = data if isinstance(data, bytes) or data is None else json.dumps(data).encode()
    kind = {"Content-Type": "application/octet-stream" if upload else "application/json"} if body is not None else {}
    headers = {"Authorization": f"Bearer {WRITER}", "User-Agent": "tests", **kind}
    with closing(HTTPConnection(urlsplit(github.url).netloc)) as connection:
        connection.request(method, f"{'/uploads' if upload else ''}{path}", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")


def draft(github: GitHub, tag: str = "v1") -> int:
    """Make a draft; returns its number."""
    status, made = ask(github, "POST", RELEASES, {"tag_name": tag, "target_commitish": "main", "draft": True})
    assert status == HTTPStatus.CREATED, made
    return int(made["id"])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"tag_name": "v1", "draft": "true"}, "body.draft: 'true' is not of type 'boolean'"),
        ({"draft": True}, "body: 'tag_name' is a required property"),
        ({"tag_name": "v1", "tagname": "v1"}, "body.tagname is not described"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_a_body_that_github_does_not_describe_is_refused_and_remembered(
    github: GitHub, data: object, problem: str
) -> None:
    status, said = ask(github, "POST", RELEASES, data)
    assert (status, github.violations) == (422, [f"POST releases: {problem}"])
    assert problem in said["message"]


@pytest.mark.parametrize(
    ("method", "path", "data", "problem"),
    [
        ("GET", f"{RELEASES}?per_page=all", None, "parameter per_page: 'all' is not of type 'integer'"),
        ("GET", f"{RELEASES}?perpage=1", None, "query parameter perpage is not known"),
        ("GET", f"{RELEASES}/latest/x", None, "there is nothing of the kind on this host"),
        ("PUT", RELEASES, None, "there is nothing of the kind on this host"),
        ("POST", f"{RELEASES}/1001/assets?name=x", None, "there is nothing of the kind on this host"),
        ("POST", f"{RELEASES}/1001/assets", b"x", "query parameter name is missing"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_a_request_that_github_does_not_describe_is_remembered(
    github: GitHub, method: str, path: str, data: object, problem: str
) -> None:
    assert ask(github, method, path, data)[0] in (404, 422)
    (violation,) = github.violations
    assert problem in violation


def test_an_answer_that_github_does_not_describe_is_remembered(github: GitHub, shop: Repository) -> None:
    """So that the stand-in cannot drift away from what it stands for."""
    made = shop.release("v1", "main", draft=False)
    made.name = 7  # type: ignore[assignment]  # the fault
    ask(github, "GET", RELEASES)
    assert [re.sub(" under .*", "", line) for line in github.violations] == [
        "GET releases, answer 200: answer.0.name: 7 is not of type 'string'"
    ]


def test_a_draft_has_no_tag_until_it_is_published(github: GitHub, shop: Repository) -> None:
    number = draft(github)
    last = shop.commit("Later")
    assert shop.tags == {}
    assert ask(github, "GET", "/repos/example/shop/commits/tags/v1")[0] == HTTPStatus.UNPROCESSABLE_ENTITY
    assert ask(github, "GET", f"{RELEASES}/latest")[0] == HTTPStatus.NOT_FOUND

    _, said = ask(github, "PATCH", f"{RELEASES}/{number}", {"draft": False, "target_commitish": shop.commits[0].sha})

    assert said["html_url"] == "https://github.com/example/shop/releases/tag/v1"
    assert shop.tags == {"v1": shop.commits[0].sha} != {"v1": last}
    assert ask(github, "GET", f"{RELEASES}/latest")[1]["id"] == number
    assert github.violations == []


@pytest.mark.usefixtures("shop")
def test_there_may_be_several_drafts_of_a_tag_and_one_release(github: GitHub) -> None:
    first, second = draft(github), draft(github)
    assert ask(github, "PATCH", f"{RELEASES}/{first}", {"draft": False})[0] == HTTPStatus.OK
    for method, path in (("PATCH", f"{RELEASES}/{second}"), ("POST", RELEASES)):
        status, said = ask(github, method, path, {"draft": False, "tag_name": "v1"})
        assert status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert said["errors"] == [{"resource": "Release", "code": "already_exists", "field": "tag_name"}]


def test_a_file_is_there_once_and_byte_by_byte(github: GitHub, shop: Repository) -> None:
    number = draft(github)
    path = f"{RELEASES}/{number}/assets"
    content = bytes(range(256))
    status, said = ask(github, "POST", f"{path}?name=a.bin", content)
    assert (status, said["state"], said["size"]) == (201, "uploaded", 256)
    assert shop.releases[number].files == {"a.bin": content}
    _, again = ask(github, "POST", f"{path}?name=a.bin", b"other")
    assert again["errors"] == [{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}]
    deleted = [ask(github, "DELETE", f"{RELEASES}/assets/{said['id']}")[0] for _ in range(2)]
    assert deleted == [HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND]
    assert github.violations == []


def test_an_upload_that_is_cut_off_leaves_a_starter(github: GitHub, shop: Repository) -> None:
    number = draft(github)
    port = int(github.url.rpartition(":")[2])
    head = [
        f"POST /uploads{RELEASES}/{number}/assets?name=a.bin HTTP/1.1",
        *("Host: uploads", "User-Agent: tests", f"Authorization: Bearer {WRITER}", "Content-Length: 100"),
        "Content-Type: application/octet-stream",
    ]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall("\r\n".join([*head, "", "half of it"]).encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b"", "there is nobody to answer"
    (asset,) = ask(github, "GET", f"{RELEASES}/{number}/assets")[1]
    assert (asset["state"], asset["size"], asset["digest"]) == ("starter", 0, None)
    assert shop.releases[number].files == {}
    assert github.violations == []


def test_the_description_is_locked_by_its_content_and_not_by_an_address() -> None:
    text = (description.PACKAGE / "package-lock.json").read_text(encoding="utf-8")
    package = json.loads(text)["packages"]["node_modules/@octokit/openapi"]
    assert package["license"] == "MIT"
    assert package["integrity"].startswith("sha512-")
    assert "://" not in text


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with an empty cache, and a folder for its commands."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("elsewhere")
def test_without_npm_it_is_said_what_to_install() -> None:
    with pytest.raises(MissingTool, match="install Node"):
        description.Description.load()


def test_what_npm_says_when_it_fails_is_passed_on(elsewhere: Path) -> None:
    (elsewhere / "npm").write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    (elsewhere / "npm").chmod(0o755)
    with pytest.raises(Refusal, match="no network"):
        description.Description.load()
    assert list((elsewhere / "cache" / "ecs-delivery").iterdir()) == [], "nothing half-done is left"
