"""The job that publishes a GitHub release: it really runs, against a GitHub on loopback that keeps state."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fake_tools import DIGEST, OTHER_DIGEST, Machine, Reply, Request, WebServer, deployment, module, serving

COMMIT = "0123abc"
TOKEN = "github_pat_made-up"  # noqa: S105 - made up
RELEASE = {
    "IMAGE_DIGEST": DIGEST,
    "GITHUB_REPOSITORY": "example/shop",
    "GITHUB_TOKEN": TOKEN,
    "TAG_PREFIX": "v",
    "PRERELEASE": "false",
}
ROOT = "/repos/example/shop"
FILES = ("deployment.json", "taskdef.json", "appspec.yaml", "imageDetail.json", "imagedefinitions.json")


class GitHub(WebServer):
    """The part of GitHub's REST API that a release needs, with its rules."""

    def __init__(self) -> None:
        super().__init__()
        self.releases: list[dict[str, Any]] = []
        self.tags: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}
        self.refusals: dict[str, Reply] = {}

    def add_release(self, tag: str, *, draft: bool, assets: dict[str, tuple[str, int]] | None = None) -> None:
        """A release that is there already; its assets by name, with state and size."""
        number = len(self.releases) + 1
        listed = [
            {"id": index, "name": name, "state": state, "size": size}
            for index, (name, (state, size)) in enumerate((assets or {}).items(), 100)
        ]
        url = f"https://github.example/releases/{number}"
        upload = f"{self.url}/uploads/{number}/assets{{?name,label}}"
        self.releases.append(
            {"id": number, "tag_name": tag, "draft": draft, "assets": listed, "html_url": url, "upload_url": upload}
        )

    def reply(self, request: Request) -> Reply:
        for words, refusal in self.refusals.items():
            if words in str(request):
                return refusal
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return self._json(401, {"message": "Bad credentials"})
        assert request.headers["user-agent"] == "ecs-delivery"
        parts = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path.startswith("/uploads/"):
            self.contents[query["name"]] = request.body
            return self._json(201, {})
        return self._repository(request, parts.path.removeprefix(f"{ROOT}/"), query)

    def _repository(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        data = json.loads(request.body or b"{}")
        if request.method == "GET" and path.startswith("commits/tags/"):
            sha = self.tags.get(path.removeprefix("commits/tags/"))
            return self._json(200, {"sha": sha}) if sha else self._json(422, {"message": "No commit found for SHA"})
        if request.method == "GET" and path == "releases":
            first, size = (int(query["page"]) - 1) * int(query["per_page"]), int(query["per_page"])
            return self._json(200, self.releases[first : first + size])
        if request.method == "DELETE":
            return Reply(204)
        if path == "releases/generate-notes":
            return self._json(200, {"name": data["tag_name"], "body": "* a `fix` by $(whoami)"})
        if request.method == "POST" and path == "releases":
            assert data["draft"] is True, "a draft first: else the world sees a release without its files"
            self.add_release(data["tag_name"], draft=True)
            self.releases[-1].update(body=data["body"], prerelease=data["prerelease"], target=data["target_commitish"])
            return self._json(201, self.releases[-1])
        assert request.method == "PATCH"
        release = self.releases[int(path.rpartition("/")[2]) - 1]
        release["draft"] = data["draft"]
        self.tags[release["tag_name"]] = data["target_commitish"]
        return self._json(200, release)

    @staticmethod
    def _json(status: int, data: object) -> Reply:
        return Reply(status, json.dumps(data).encode())


@pytest.fixture
def github() -> GitHub:
    return GitHub()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    for name in FILES:
        machine.file(name, deployment(commit=COMMIT, what=name))
    return machine


def release(machine: Machine, github: GitHub, **changes: str) -> tuple[int, str]:
    """Run the job; its exit code and what it said."""
    with serving(github) as url:
        for entry in github.releases:
            entry["upload_url"] = url + entry["upload_url"]
        result = machine.run("create_github_release", GITHUB_API_URL=url, **{**RELEASE, **changes})
    return result.returncode, result.stdout + result.stderr


def test_a_release_is_drafted_filled_and_published(machine: Machine, github: GitHub) -> None:
    code, said = release(machine, github)

    assert code == 0, said
    (made,) = github.releases
    assert (made["tag_name"], made["draft"], made["prerelease"], made["target"]) == ("v1.2.3", False, False, COMMIT)
    assert github.tags == {"v1.2.3": COMMIT}
    assert {name: json.loads(content)["what"] for name, content in github.contents.items()} == {
        name: name for name in FILES
    }
    assert machine.exports == f"export RELEASE_URL={made['html_url']}\n"
    writes = [str(request).split("?")[0] for request in github.requests if request.method != "GET"]
    assert writes == [
        f"POST {ROOT}/releases/generate-notes",
        f"POST {ROOT}/releases",
        *["POST /uploads/1/assets"] * len(FILES),
        f"PATCH {ROOT}/releases/1",
    ]


def test_notes_from_commits_are_data_and_never_a_command(machine: Machine, github: GitHub) -> None:
    code, said = release(machine, github)

    assert code == 0, said
    assert github.releases[0]["body"] == "* a `fix` by $(whoami)"
    assert machine.calls == []


def test_a_prerelease_is_marked_as_one(machine: Machine, github: GitHub) -> None:
    release(machine, github, PRERELEASE="true")

    assert github.releases[0]["prerelease"] is True


def test_a_second_run_publishes_nothing_twice(machine: Machine, github: GitHub) -> None:
    github.add_release("v1.2.3", draft=False)
    github.tags["v1.2.3"] = COMMIT

    code, said = release(machine, github)

    assert code == 0, said
    assert "v1.2.3 was published by an earlier run" in said
    assert [request for request in github.requests if request.method != "GET"] == []


def test_a_run_that_stopped_half_way_is_taken_up(machine: Machine, github: GitHub) -> None:
    """One file is whole, one is a broken upload, the others are missing."""
    size, broken = ((machine.folder / name).stat().st_size for name in ("taskdef.json", "appspec.yaml"))
    github.add_release("v1.2.2", draft=False)
    github.add_release(
        "v1.2.3", draft=True, assets={"taskdef.json": ("uploaded", size), "appspec.yaml": ("starter", broken)}
    )

    code, said = release(machine, github)

    assert code == 0, said
    assert len(github.releases) == 2
    assert github.releases[1]["draft"] is False
    assert sorted(github.contents) == sorted(set(FILES) - {"taskdef.json"})
    assert [str(request) for request in github.requests if request.method == "DELETE"] == [
        f"DELETE {ROOT}/releases/assets/101"
    ]


def test_a_draft_behind_many_releases_is_found(machine: Machine, github: GitHub) -> None:
    for number in range(100):
        github.add_release(f"v0.0.{number}", draft=False)
    github.add_release("v1.2.3", draft=True)

    code, said = release(machine, github)

    assert code == 0, said
    assert len(github.releases) == 101


def test_a_version_that_another_commit_has_is_refused(machine: Machine, github: GitHub) -> None:
    github.tags["v1.2.3"] = "fedcba9"

    code, said = release(machine, github)

    assert code == 1
    assert "the tag v1.2.3 of example/shop is on commit fedcba9, this delivery deployed 0123abc" in said
    assert github.releases == []


@pytest.mark.parametrize(
    ("refused", "status", "message"),
    [
        ("/releases?", 401, "GitHub answers 401"),
        ("POST /repos/example/shop/releases", 403, "it needs Contents: read and write"),
        ("/releases?", 404, "no such repository, or the token may not see it"),
        ("PATCH", 422, "It says: Validation Failed. tag_name: already_exists; too long"),
        ("/releases?", 418, "an answer nobody expected"),
    ],
)
def test_a_refusal_is_explained(machine: Machine, github: GitHub, refused: str, status: int, message: str) -> None:
    said_so = {"message": "Validation Failed", "errors": [{"field": "tag_name", "code": "already_exists"}, "too long"]}
    github.refusals[refused] = Reply(status, json.dumps(said_so).encode())

    code, said = release(machine, github)

    assert code == 1
    assert message in said
    assert "Traceback" not in said


def test_a_refusal_without_json_is_explained_too(machine: Machine, github: GitHub) -> None:
    github.refusals["/releases?"] = Reply(404, b"<html>")

    code, said = release(machine, github)

    assert code == 1
    assert "It says: nothing" in said


def test_a_bad_token_is_explained_and_not_shown(machine: Machine, github: GitHub) -> None:
    code, said = release(machine, github, GITHUB_TOKEN="expired-token")  # noqa: S106 - made up

    assert code == 1
    assert "the token is not valid (any more): renew it in Secrets Manager" in said
    assert "expired-token" not in said


def test_the_token_is_in_no_log(machine: Machine, github: GitHub) -> None:
    _, said = release(machine, github)

    assert TOKEN not in said


@pytest.mark.parametrize(
    ("changes", "variables", "message"),
    [
        ({"commit": ""}, {}, "does not say its commit"),
        ({"version": ""}, {}, "does not say its version"),
        ({"digest": OTHER_DIGEST}, {}, f"deployment.json is about {OTHER_DIGEST}, the pipeline delivers {DIGEST}"),
        ({}, {"GITHUB_REPOSITORY": "example/shop/x"}, "GITHUB_REPOSITORY must be owner/name, got 'example/shop/x'"),
    ],
)
def test_what_cannot_be_released_is_refused_before_github_is_asked(
    machine: Machine, github: GitHub, changes: dict[str, object], variables: dict[str, str], message: str
) -> None:
    machine.file("deployment.json", deployment(**changes))

    code, said = release(machine, github, **variables)

    assert code in (1, 2)
    assert message in said
    assert github.requests == []


def test_a_server_in_trouble_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    web = module("web")
    waits: list[int] = []
    monkeypatch.setattr(web.time, "sleep", waits.append)

    class Troubled(WebServer):
        def reply(self, request: Request) -> Reply:  # noqa: ARG002 - as its base
            return Reply(503 if len(self.requests) < 3 else 200, b"[]")

    with serving(Troubled()) as url:
        assert web.ask("GET", url, {}).status == 200
    assert waits == [1, 2]


def test_a_server_that_is_not_there_ends_the_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    web = module("web")
    monkeypatch.setattr(web.time, "sleep", lambda _seconds: None)
    with serving(WebServer()) as url:
        pass

    with pytest.raises(SystemExit):
        web.ask("GET", url, {})
    with pytest.raises(SystemExit):
        web.ask("GET", "file:///etc/passwd", {})

    shown = capsys.readouterr().err
    assert f"GET {url}: " in shown
    assert "only http(s) addresses are asked, got 'file:///etc/passwd'" in shown
