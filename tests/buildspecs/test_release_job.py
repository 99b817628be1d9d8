"""The job that publishes a GitHub release: it really runs, against a GitHub on loopback that keeps state."""

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fake_tools import DIGEST, OTHER_DIGEST, Machine, Reply, Request, WebServer, deployment, module, serving

COMMIT = "0123abc" + "0" * 33
OTHER_COMMIT = "fedcba9" + "0" * 33
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
        self.refusals: dict[str, list[Reply]] = {}
        self.messages: list[str] = []

    def add_release(
        self, tag: str, *, draft: bool, target: str = COMMIT, assets: dict[str, tuple[str, bytes]] | None = None
    ) -> dict[str, Any]:
        """A release that is there already; its assets by name, with state and content."""
        number = len(self.releases) + 1
        url = f"https://github.example/releases/{number}"
        made = {"id": number, "tag_name": tag, "draft": draft, "target_commitish": target, "html_url": url}
        made |= {"upload_url": f"{self.url}/uploads/{number}/assets{{?name,label}}", "assets": []}
        self.releases.append(made)
        for name, (state, content) in (assets or {}).items():
            self.add_asset(made, name, state, content)
        return made

    def add_asset(self, release: dict[str, Any], name: str, state: str, content: bytes) -> None:
        """A file of a release."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}" if state == "uploaded" else None
        number = release["id"] * 100 + len(release["assets"])
        release["assets"].append({"id": number, "name": name, "state": state, "size": len(content), "digest": digest})

    def refuse(self, words: str, *replies: Reply) -> None:
        """Answer requests that hold these words so, one after the other; the last one stands for all further ones."""
        self.refusals[words] = list(replies)

    def reply(self, request: Request) -> Reply:
        for words, replies in self.refusals.items():
            if words in str(request):
                refusal = replies[0] if len(replies) == 1 else replies.pop(0)
                if refusal.status:
                    return refusal
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return self._json(401, {"message": "Bad credentials"})
        assert request.headers["user-agent"] == "ecs-delivery"
        parts = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path.startswith("/uploads/"):
            release = self._by_id(parts.path.split("/")[2])
            if query["name"] in [asset["name"] for asset in release["assets"]]:
                return self._json(422, {"message": "Validation Failed", "errors": [{"code": "already_exists"}]})
            self.contents[query["name"]] = request.body
            self.add_asset(release, query["name"], "uploaded", request.body)
            return self._json(201, {})
        return self._repository(request, parts.path.removeprefix(f"{ROOT}/"), query)

    def _by_id(self, number: str) -> dict[str, Any]:
        return next(release for release in self.releases if release["id"] == int(number))

    def _repository(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        steps = path.split("/")
        if request.method == "GET":
            return self._shown(steps, query)
        return self._changed(request.method, steps, json.loads(request.body or b"{}"))

    def _shown(self, steps: list[str], query: dict[str, str]) -> Reply:
        match steps:
            case ["commits", "tags", tag]:
                sha = self.tags.get(tag)
                return self._json(200, {"sha": sha}) if sha else self._json(422, {"message": "No commit found for SHA"})
            case ["releases"]:
                first, size = (int(query["page"]) - 1) * int(query["per_page"]), int(query["per_page"])
                return self._json(200, self.releases[first : first + size])
            case ["releases", "latest"]:
                found = [release for release in self.releases if not release["draft"]]
                return self._json(200, found[-1]) if found else self._json(404, {"message": "Not Found"})
            case ["compare", between]:
                assert between == f"v1.2.2...{COMMIT}"
                commits = [{"sha": f"{n:040x}", "commit": {"message": text}} for n, text in enumerate(self.messages)]
                return self._json(200, {"commits": commits})
            case ["releases", number, "assets"]:
                return self._json(200, self._by_id(number)["assets"])
        raise AssertionError(steps)

    def _changed(self, method: str, steps: list[str], data: dict[str, Any]) -> Reply:
        match method, steps:
            case "DELETE", ["releases", "assets", number]:
                for release in self.releases:
                    release["assets"] = [item for item in release["assets"] if item["id"] != int(number)]
                return Reply(204)
            case "DELETE", ["releases", number]:
                self.releases.remove(self._by_id(number))
                return Reply(204)
            case "POST", ["releases", "generate-notes"]:
                return self._json(200, {"name": data["tag_name"], "body": "**Full Changelog**"})
            case "POST", ["releases"]:
                assert data["draft"] is True, "a draft first: else the world sees a release without its files"
                made = self.add_release(data["tag_name"], draft=True, target=data["target_commitish"])
                made.update(body=data["body"], name=data["name"])
                return self._json(201, made)
            case "PATCH", ["releases", number]:
                release = self._by_id(number)
                release.update(data)
                self.tags.setdefault(release["tag_name"], data["target_commitish"])
                return self._json(200, release)
        raise AssertionError(method, steps)

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


def writes(github: GitHub) -> list[str]:
    """The requests that change something, without their queries."""
    return [str(request).split("?")[0] for request in github.requests if request.method != "GET"]


def test_a_release_is_drafted_filled_and_published(machine: Machine, github: GitHub) -> None:
    code, said = release(machine, github)

    assert code == 0, said
    (made,) = github.releases
    assert (made["tag_name"], made["draft"], made["prerelease"]) == ("v1.2.3", False, False)
    assert github.tags == {"v1.2.3": COMMIT}
    assert {name: json.loads(content)["what"] for name, content in github.contents.items()} == {
        name: name for name in FILES
    }
    assert machine.exports == f"export RELEASE_URL={made['html_url']}\n"
    assert writes(github) == [
        f"POST {ROOT}/releases/generate-notes",
        f"POST {ROOT}/releases",
        *["POST /uploads/1/assets"] * len(FILES),
        f"PATCH {ROOT}/releases/1",
    ]


def test_the_notes_are_githubs_own_and_the_commits_since_the_last_release(machine: Machine, github: GitHub) -> None:
    github.add_release("v1.2.2", draft=False)
    github.messages = ["Fix the cart", "$(whoami) `id` \"'\nand a body\n", ""]

    code, said = release(machine, github)

    assert code == 0, said
    assert github.releases[1]["body"].splitlines() == [
        "**Full Changelog**",
        "",
        "## Commits since v1.2.2",
        "*  (0000000)",
        "* $(whoami) `id` \"' (0000000)",
        "* Fix the cart (0000000)",
    ]
    assert machine.calls == [], "notes are data and never a command"


def test_notes_longer_than_github_takes_are_cut(machine: Machine, github: GitHub) -> None:
    github.add_release("v1.2.2", draft=False)
    github.messages = ["long " * 1000] * 30

    release(machine, github)

    assert len(github.releases[1]["body"]) == 120_000


def test_a_prerelease_is_marked_as_one(machine: Machine, github: GitHub) -> None:
    release(machine, github, PRERELEASE="true")

    assert github.releases[0]["prerelease"] is True


def whole(machine: Machine, *names: str) -> dict[str, tuple[str, bytes]]:
    """These files as they are when they are attached."""
    return {name: ("uploaded", (machine.folder / name).read_bytes()) for name in names}


def test_a_second_run_publishes_nothing_twice(machine: Machine, github: GitHub) -> None:
    github.add_release("v1.2.3", draft=False, assets=whole(machine, *FILES))
    github.tags["v1.2.3"] = COMMIT

    code, said = release(machine, github)

    assert code == 0, said
    assert "v1.2.3 was published by an earlier run" in said
    assert writes(github) == []


def test_a_release_that_a_person_has_published_gets_its_files(machine: Machine, github: GitHub) -> None:
    """Such as one whose tag started the pipeline. What is public already is not replaced."""
    github.add_release("v1.2.3", draft=False, target="main", assets={"taskdef.json": ("uploaded", b"another")})

    code, said = release(machine, github)

    assert code == 0, said
    assert sorted(github.contents) == sorted(set(FILES) - {"taskdef.json"})
    assert set(writes(github)) == {"POST /uploads/1/assets"}


def test_a_run_that_stopped_half_way_is_taken_up(machine: Machine, github: GitHub) -> None:
    """Two files are whole, but one of them is of an earlier image; one is a broken upload, the others are missing."""
    there = whole(machine, "taskdef.json", "imageDetail.json")
    broken = ("starter", (machine.folder / "appspec.yaml").read_bytes())
    there["imageDetail.json"] = ("uploaded", there["imageDetail.json"][1].replace(b"aaa", b"bbb"))
    github.add_release("v1.2.2", draft=False)
    github.add_release("v1.2.3", draft=True, assets={**there, "appspec.yaml": broken})

    code, said = release(machine, github)

    assert code == 0, said
    assert len(github.releases) == 2
    assert github.releases[1]["draft"] is False
    assert sorted(github.contents) == sorted(set(FILES) - {"taskdef.json"})
    assert [str(request) for request in github.requests if request.method == "DELETE"] == [
        f"DELETE {ROOT}/releases/assets/202",
        f"DELETE {ROOT}/releases/assets/201",
    ]


def test_a_file_without_a_digest_is_judged_by_its_size(machine: Machine, github: GitHub) -> None:
    """GitHub Enterprise Server gives no digest before 3.18."""
    made = github.add_release("v1.2.3", draft=True, assets=whole(machine, *FILES))
    for asset in made["assets"]:
        asset["digest"] = None
    made["assets"][0]["size"] += 1

    code, said = release(machine, github)

    assert code == 0, said
    assert list(github.contents) == [FILES[0]]


def test_of_two_drafts_the_older_one_is_published_and_the_other_deleted(machine: Machine, github: GitHub) -> None:
    github.add_release("v1.2.3", draft=True)
    github.add_release("v1.2.3", draft=True)

    code, said = release(machine, github)

    assert code == 0, said
    assert [(made["id"], made["draft"]) for made in github.releases] == [(1, False)]


def test_a_draft_that_an_earlier_delivery_left_is_not_taken_for_this_one(machine: Machine, github: GitHub) -> None:
    """Its notes end at another commit."""
    github.add_release("v1.2.3", draft=True, target=OTHER_COMMIT)

    code, said = release(machine, github)

    assert code == 0, said
    (made,) = github.releases
    assert (made["target_commitish"], made["body"]) == (COMMIT, "**Full Changelog**")


def test_a_draft_that_a_person_has_prepared_is_published_with_its_own_notes(machine: Machine, github: GitHub) -> None:
    github.add_release("v1.2.3", draft=True, target="main").update(body="What we are proud of")
    github.add_release("v1.2.3", draft=True, target="main").update(body="Another idea")

    code, said = release(machine, github)

    assert code == 0, said
    assert [(made["body"], made["draft"]) for made in github.releases] == [
        ("What we are proud of", False),
        ("Another idea", True),
    ]
    assert github.tags == {"v1.2.3": COMMIT}


def test_a_draft_whose_making_was_not_answered_is_not_made_again(machine: Machine, github: GitHub) -> None:
    class LosesTheAnswer(GitHub):
        def reply(self, request: Request) -> Reply:
            answer = super().reply(request)
            return Reply(502) if str(request) == f"POST {ROOT}/releases" else answer

    github = LosesTheAnswer()
    code, said = release(machine, github)

    assert code == 0, said
    assert len(github.releases) == 1
    assert writes(github).count(f"POST {ROOT}/releases") == 1


def test_an_upload_that_breaks_is_done_again(machine: Machine, github: GitHub) -> None:
    github.refuse("name=taskdef.json", Reply(502), Reply(0))

    code, said = release(machine, github)

    assert code == 0, said
    assert sorted(github.contents) == sorted(FILES)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (
            f"POST {ROOT}/releases",
            "GitHub lists no draft release of v1.2.3 that this job could publish. GitHub answers 422 to POST http",
        ),
        (
            "name=taskdef.json",
            "FAILED: taskdef.json could not be attached to the release v1.2.3. GitHub answers 422 to POST http",
        ),
    ],
)
def test_what_github_does_not_take_is_named_with_the_reason(machine: Machine, refused: str, message: str) -> None:
    class Refusing(GitHub):
        def reply(self, request: Request) -> Reply:
            if str(request).endswith(refused):
                return Reply(422, b'{"message": "Validation Failed", "errors": ["target_commitish is invalid"]}')
            return super().reply(request)

    code, said = release(machine, Refusing())

    assert code == 1
    assert message in said
    assert "target_commitish is invalid" in said.splitlines()[-1]


def test_a_draft_behind_many_releases_is_found(machine: Machine, github: GitHub) -> None:
    for number in range(100):
        github.add_release(f"v0.0.{number}", draft=False)
    github.add_release("v1.2.3", draft=True)

    code, said = release(machine, github)

    assert code == 0, said
    assert len(github.releases) == 101


def test_a_version_that_another_commit_has_is_refused(machine: Machine, github: GitHub) -> None:
    github.tags["v1.2.3"] = OTHER_COMMIT

    code, said = release(machine, github)

    assert code == 1
    assert f"the tag v1.2.3 of example/shop is on commit {OTHER_COMMIT}, this delivery deployed {COMMIT}" in said
    assert github.releases == []


@pytest.mark.parametrize(
    ("refused", "status", "message"),
    [
        ("/releases?", 401, "GitHub answers 401"),
        (f"POST {ROOT}/releases", 403, "the token needs Contents: read and write on this repository"),
        ("/releases?", 404, "no such repository, or the token may not see it"),
        ("PATCH", 422, 'it refuses this. It says: {"message": "tag_name: already_exists"}'),
        ("/releases?", 418, "GitHub answers 418"),
    ],
)
def test_a_refusal_is_explained(machine: Machine, github: GitHub, refused: str, status: int, message: str) -> None:
    github.refuse(refused, Reply(status, b'{"message": "tag_name: already_exists"}'))

    code, said = release(machine, github)

    assert code == 1
    assert message in said.splitlines()[-1]
    assert "Traceback" not in said


def test_a_refusal_without_a_word_is_explained_too(machine: Machine, github: GitHub) -> None:
    github.refuse("/releases?", Reply(404))

    code, said = release(machine, github)

    assert code == 1
    assert "It says: nothing" in said


def test_who_asks_too_much_waits_as_long_as_github_wants(machine: Machine, github: GitHub) -> None:
    github.refuse(f"POST {ROOT}/releases", Reply(403, b"{}", {"Retry-After": "1"}), Reply(0))

    code, said = release(machine, github)

    assert code == 0, said
    assert "    403; trying again in 1 s" in said


def test_a_bad_token_is_explained_and_not_shown(machine: Machine, github: GitHub) -> None:
    code, said = release(machine, github, GITHUB_TOKEN="expired-token")  # noqa: S106 - made up

    assert code == 1
    assert "the token is invalid or has expired: renew it in Secrets Manager" in said
    assert "expired-token" not in said


def test_the_token_is_masked_in_what_github_says(machine: Machine, github: GitHub) -> None:
    github.refuse("/releases?", Reply(403, f"who is {TOKEN}?".encode()))

    code, said = release(machine, github)

    assert code == 1
    assert "It says: who is ***?" in said


def test_the_token_is_in_no_log(machine: Machine, github: GitHub) -> None:
    _, said = release(machine, github)

    assert TOKEN not in said


@pytest.mark.parametrize(
    ("changes", "variables", "message"),
    [
        ({"commit": ""}, {}, "does not say its commit"),
        ({"version": ""}, {}, "does not say its version"),
        ({"digest": OTHER_DIGEST}, {}, f"deployment.json is about {OTHER_DIGEST}, the pipeline delivers {DIGEST}"),
        ({}, {"PRERELEASE": "yes"}, "PRERELEASE must be true or false, got 'yes'"),
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


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long the job has waited, without any waiting."""
    seconds: list[int] = []
    monkeypatch.setattr(module("web").time, "sleep", seconds.append)
    return seconds


class Answering(WebServer):
    """Gives these answers, the last one again and again."""

    def __init__(self, *replies: Reply) -> None:
        super().__init__()
        self._replies = list(replies)

    def reply(self, request: Request) -> Reply:  # noqa: ARG002 - as its base
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


def test_a_server_in_trouble_is_asked_again(waits: list[int]) -> None:
    with serving(Answering(Reply(503), Reply(500), Reply(200, b"[]"))) as url:
        assert module("web").ask("GET", url, {}).json() == []
    assert waits == [1, 2]


def test_what_makes_something_is_asked_for_once(waits: list[int]) -> None:
    """After a 502 it may be there, and asking again would make a second one."""
    with serving(server := Answering(Reply(502), Reply(200))) as url:
        assert module("web").ask("POST", url, {}, b"{}", once=True).status == 502
    assert module("web").ask("POST", url, {}, b"{}", once=True).status == 0, "no answer is an unclear one, too"
    assert (len(server.requests), waits) == (1, [])


def test_who_was_refused_for_asking_too_much_asks_again_when_told_to(waits: list[int]) -> None:
    limited = [Reply(429, headers={"Retry-After": "30"}), Reply(403, headers={"Retry-After": "60"}), Reply(429)]
    with serving(Answering(*limited, Reply(200))) as url:
        assert module("web").ask("POST", url, {}, b"{}", once=True).status == 200
    assert waits == [30, 60, 3]


def test_nobody_waits_for_an_hour(waits: list[int]) -> None:
    with serving(Answering(Reply(429, headers={"Retry-After": "3600"}))) as url:
        assert module("web").ask("GET", url, {}).status == 429
    assert waits == []


def test_a_refusal_for_good_is_not_asked_again(waits: list[int]) -> None:
    with serving(server := Answering(Reply(403))) as url:
        assert module("web").ask("GET", url, {}).status == 403
    assert (len(server.requests), waits) == (1, [])


def test_half_an_answer_is_none(waits: list[int]) -> None:
    with serving(Answering(Reply(200, b"[", {"Transfer-Encoding": "chunked"}), Reply(200, b"[]"))) as url:
        assert module("web").ask("GET", url, {}).body == b"[]"
    assert waits == [1]


def test_a_server_that_is_not_there_ends_the_job(waits: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    web = module("web")
    with serving(WebServer()) as url:
        pass

    with pytest.raises(SystemExit):
        web.ask("GET", url, {})
    with pytest.raises(SystemExit):
        web.ask("GET", "file:///etc/passwd", {})

    shown = capsys.readouterr().err
    assert f"GET {url}: " in shown
    assert "Connection refused" in shown
    assert "only http(s) addresses are asked, got 'file:///etc/passwd'" in shown
    assert waits == [1, 2, 3]


@pytest.mark.parametrize("token", ['{"token": "made-up"}', "made up", "made\nup", "m\u00e4de"])
def test_what_cannot_be_a_token_is_refused_and_not_shown(machine: Machine, github: GitHub, token: str) -> None:
    """Python would name it in full where it refuses to send it."""
    code, said = release(machine, github, GITHUB_TOKEN=token)

    assert code == 2
    assert (
        "GITHUB_TOKEN does not look like a token. If the secret is JSON, set release.github.secretKey to the key"
        in said
    )
    assert token not in said
    assert "Traceback" not in said
    assert github.requests == []
