"""The job that publishes a GitHub release: it really runs, against the GitHub on loopback that keeps state."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from fake_tools import DIGEST, OTHER_DIGEST, REPOSITORY, Machine, Reply, Request, WebServer, deployment, module, serving

from local.rehearsal.github import BROKEN, DROP, Answer, GitHub, Release, Repository, Wish, rate_limited
from local.rehearsal.tools import missing

TOKEN = "github_pat_made-up"  # noqa: S105 - made up
RELEASE = {
    "IMAGE_REPOSITORY_URI": REPOSITORY,
    "IMAGE_DIGEST": DIGEST,
    "GITHUB_REPOSITORY": "example/shop",
    "GITHUB_TOKEN": TOKEN,
    "TAG_PREFIX": "v",
    "PRERELEASE": "false",
}
ROOT = "/repos/example/shop"
TAG = "v1.2.3"
FILES = ("deployment.json", "taskdef.json", "appspec.yaml", "imageDetail.json", "imagedefinitions.json")
NASTY = """Fix $(touch pwned) `touch pwned` "it's" \\n %s ${HOME} <b>&amp;</b>; exit 1

* a second line
EOF
END_OF_SCRIPT"""


@pytest.fixture
def github() -> Iterator[GitHub]:
    """Held against GitHub's description, where npm can fetch that."""
    with GitHub(described=not missing(["github"])) as github:
        github.token(TOKEN, **{"example/shop": "write"})
        yield github
    assert github.violations == []


@pytest.fixture
def shop(github: GitHub) -> Repository:
    """A repository with an earlier release; its last commit is the one that was deployed."""
    repository = github.repository("example/shop")
    repository.commit("Begin")
    repository.release("v1.2.2", repository.commit("Release"), draft=False)
    repository.commit(NASTY)
    repository.commit("Merge", pull="Sell shoes, too")
    return repository


@pytest.fixture
def machine(tmp_path: Path, shop: Repository) -> Machine:
    machine = Machine(tmp_path)
    machine.pace = 0.05  # this GitHub needs no patience
    for name in FILES:
        machine.file(name, deployment(commit=shop.commits[-1].sha, what=name))
    return machine


def release(machine: Machine, github: GitHub, **changes: str) -> tuple[int, str]:
    """Run the job; its exit code and what it said."""
    result = machine.run("create_github_release", GITHUB_API_URL=github.url, **{**RELEASE, **changes})
    return result.returncode, result.stdout + result.stderr


def released(machine: Machine, github: GitHub, **changes: str) -> str:
    """Run the job, which ends with one public release of the tag, whole, and no draft of ours beside it."""
    code, said = release(machine, github, **changes)
    assert code == 0, said
    shop = github.repository("example/shop")
    made = found(shop)
    assert made.files == {name: (machine.folder / name).read_bytes() for name in FILES}
    assert len(made.assets) == len(FILES)
    assert shop.tags[TAG] == shop.commits[-1].sha
    assert machine.exports == f"export RELEASE_URL=https://github.com/example/shop/releases/tag/{TAG}\n"
    assert machine.calls == [], "what commits say is data and never a command"
    return said


def found(shop: Repository) -> Release:
    """The one release of the tag that is public."""
    (made,) = (item for item in shop.releases.values() if item.tag == TAG and not item.draft)
    return made


def writes(github: GitHub) -> list[str]:
    """The requests that change something."""
    return [request for request in github.requests if not request.startswith("GET ")]


def wish(github: GitHub, request: str, *wishes: Wish) -> None:
    """Have requests that begin so answered otherwise, one by one; the last wish stands for all further ones."""
    waiting = list(wishes)

    def watch(_number: int, method: str, path: str, *, when: str) -> Wish:
        if when != "before" or not f"{method} {path}".startswith(request):
            return None
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    github.on_request(watch)


def there(machine: Machine, shop: Repository, made: Release, *names: str) -> None:
    """Attach these files to a release as the job does."""
    for name in names:
        shop.asset(made, name, (machine.folder / name).read_bytes(), "uploaded")


def test_a_release_is_drafted_filled_and_published(machine: Machine, github: GitHub, shop: Repository) -> None:
    released(machine, github)

    (number,) = (item.id for item in shop.releases.values() if item.tag == TAG)
    assert not found(shop).prerelease
    assert writes(github) == [
        f"POST {ROOT}/releases/generate-notes",
        f"POST {ROOT}/releases",
        *[f"POST {ROOT}/releases/{number}/assets"] * len(FILES),
        f"PATCH {ROOT}/releases/{number}",
    ], "a draft first: else the world sees a release without its files"


def test_the_notes_are_githubs_own_and_the_commits_since_the_last_release(
    machine: Machine, github: GitHub, shop: Repository
) -> None:
    released(machine, github)

    made = found(shop)
    assert made.name == TAG
    assert "* Sell shoes, too by @octocat in https://github.com/example/shop/pull/1" in made.body
    assert "compare/v1.2.2...v1.2.3" in made.body
    names = [commit.sha[:7] for commit in shop.commits]
    assert made.body.partition("## Commits since v1.2.2\n")[2].splitlines() == [
        f"* Merge ({names[3]})",
        f"* {NASTY.splitlines()[0]} ({names[2]})",
    ], "newest first, and only since the last release"


def test_the_first_release_of_all_has_githubs_notes(machine: Machine, github: GitHub, shop: Repository) -> None:
    shop.releases.clear()
    shop.tags.clear()
    released(machine, github)

    assert "## Commits" not in found(shop).body
    assert "https://github.com/example/shop/commits/v1.2.3" in found(shop).body


def test_notes_longer_than_github_takes_are_cut(machine: Machine, github: GitHub, shop: Repository) -> None:
    shop.commits[2:2] = [
        commit._replace(message="long " * 1000, sha=f"{n:040x}") for n, commit in enumerate([shop.commits[0]] * 30)
    ]
    released(machine, github)

    assert len(found(shop).body) == 120_000


def test_a_prerelease_is_marked_as_one(machine: Machine, github: GitHub, shop: Repository) -> None:
    released(machine, github, PRERELEASE="true")

    assert found(shop).prerelease is True


def test_a_second_run_publishes_nothing_twice(machine: Machine, github: GitHub) -> None:
    released(machine, github)
    before = writes(github)

    assert "v1.2.3 was published by an earlier run" in released(machine, github)
    assert writes(github) == before


def test_a_release_that_a_person_has_published_gets_its_files(
    machine: Machine, github: GitHub, shop: Repository
) -> None:
    """Such as one whose tag started the pipeline. What is public already is not replaced."""
    made = shop.release(TAG, "main", draft=False)
    shop.tags[TAG] = shop.commits[-1].sha
    shop.asset(made, "taskdef.json", b"another", "uploaded")
    code, said = release(machine, github)

    assert code == 0, said
    assert sorted(made.files) == sorted(FILES)
    assert made.files["taskdef.json"] == b"another"
    assert set(writes(github)) == {f"POST {ROOT}/releases/{made.id}/assets"}


def test_a_run_that_stopped_half_way_is_taken_up(machine: Machine, github: GitHub, shop: Repository) -> None:
    """Two files are whole, but one of them is of an earlier image; one is a broken upload, the others are missing."""
    draft = shop.release(TAG, shop.commits[-1].sha, body="the notes of the first run")
    there(machine, shop, draft, "taskdef.json")
    (whole,) = draft.assets
    shop.asset(draft, "imageDetail.json", b"x" * len((machine.folder / "imageDetail.json").read_bytes()), "uploaded")
    shop.asset(draft, "appspec.yaml")
    released(machine, github)

    assert whole in found(shop).assets, "what is there need not be sent again"
    assert found(shop).body == "the notes of the first run"
    assert sum(request.startswith("DELETE ") for request in github.requests) == 2


def test_a_file_without_a_digest_is_judged_by_its_size(machine: Machine, github: GitHub, shop: Repository) -> None:
    """GitHub Enterprise Server gives no digest before 3.18."""
    draft = shop.release(TAG, shop.commits[-1].sha)
    there(machine, shop, draft, *FILES)
    for asset in draft.assets.values():
        asset.digest = False
    next(iter(draft.assets.values())).content += b" "
    released(machine, github)

    assert len([request for request in writes(github) if request.endswith("/assets")]) == 1


def test_the_drafts_that_other_runs_left_are_cleared_away(machine: Machine, github: GitHub, shop: Repository) -> None:
    """Two of the same commit, of which the older is taken; one of an earlier delivery, whose notes end elsewhere."""
    earlier, older, newer = (shop.release(TAG, shop.commits[number].sha) for number in (1, -1, -1))
    prepared = shop.release("v2.0.0", "main")
    released(machine, github)

    assert found(shop) is older
    assert not {earlier.id, newer.id} & set(shop.releases)
    assert prepared.id in shop.releases


def test_a_draft_that_an_earlier_delivery_left_is_not_taken_for_this_one(
    machine: Machine, github: GitHub, shop: Repository
) -> None:
    """Its notes end at another commit."""
    shop.release(TAG, shop.commits[1].sha, body="old notes")
    released(machine, github)

    (made,) = (item for item in shop.releases.values() if item.tag == TAG)
    assert made.target == shop.commits[-1].sha
    assert "old notes" not in made.body


def test_a_draft_that_a_person_has_prepared_is_published_with_its_own_notes(
    machine: Machine, github: GitHub, shop: Repository
) -> None:
    ours, other = (shop.release(TAG, "main", body=text) for text in ("What we are proud of", "Another idea"))
    released(machine, github)

    assert (ours.body, ours.draft) == ("What we are proud of", False)
    assert (other.body, other.draft) == ("Another idea", True)


@pytest.mark.parametrize("lost", [DROP, Answer(502)], ids=["hangs up", "answers 502"])
def test_an_answer_that_is_lost_makes_nothing_twice(machine: Machine, github: GitHub, lost: Wish) -> None:
    """Each request that changes something is carried out, and the first time nobody is told."""
    told: set[tuple[str, str]] = set()

    def lose_each_answer_once(_number: int, method: str, path: str, *, when: str) -> Wish:
        if when == "after" and method != "GET" and (method, path) not in told:
            told.add((method, path))
            return lost
        return None

    github.on_request(lose_each_answer_once)
    released(machine, github)

    assert len(told) >= 4
    assert github.requests.count(f"POST {ROOT}/releases") == 1


@pytest.mark.parametrize("lag", [2, 100], ids=["for a while", "for good"])
def test_a_draft_that_github_does_not_list_is_not_made_twice(
    machine: Machine, github: GitHub, shop: Repository, lag: int
) -> None:
    shop.listing_lag = lag
    released(machine, github)

    assert github.requests.count(f"POST {ROOT}/releases") == 1


def test_an_upload_that_breaks_is_replaced(machine: Machine, github: GitHub, shop: Repository) -> None:
    number = len(shop.releases) + 1001
    wish(github, f"POST {ROOT}/releases/{number}/assets", BROKEN, None)
    released(machine, github)

    assert any(request.startswith("DELETE ") for request in github.requests)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (
            f"POST {ROOT}/releases",
            "GitHub lists no draft release of v1.2.3 that this job could publish. GitHub answers 422 to POST http",
        ),
        (
            f"POST {ROOT}/releases/1002/assets",
            f"FAILED: {', '.join(FILES)} could not be attached to the release v1.2.3. GitHub answers 422 to POST http",
        ),
    ],
)
def test_what_github_does_not_take_is_named_with_the_reason(
    machine: Machine, github: GitHub, refused: str, message: str
) -> None:
    answer = Answer(422, {"message": "Validation Failed", "errors": ["target_commitish is invalid"]})
    github.on_request(
        lambda _n, method, path, *, when: answer if when == "before" and f"{method} {path}" == refused else None
    )
    code, said = release(machine, github)

    assert code == 1
    assert message in said
    *_, reason, users, address = said.splitlines()
    assert "target_commitish is invalid" in reason
    assert users == "The new version serves already."
    assert address == "What to do: docs/oncall.md#the-release-is-half-done; its settings: release.github"


def test_a_draft_behind_many_releases_is_found(machine: Machine, github: GitHub, shop: Repository) -> None:
    draft = shop.release(TAG, shop.commits[-1].sha)
    for number in range(100):
        shop.release(f"v0.0.{number}", shop.commits[0].sha, draft=False)
    released(machine, github)

    assert found(shop) is draft


def test_a_version_that_another_commit_has_is_refused(machine: Machine, github: GitHub, shop: Repository) -> None:
    shop.tags[TAG] = shop.commits[1].sha
    code, said = release(machine, github)

    assert code == 1
    assert (
        f"the tag v1.2.3 of example/shop is on commit {shop.commits[1].sha}, this delivery deployed "
        f"{shop.commits[-1].sha}" in said
    )
    assert writes(github) == []


def test_a_commit_that_github_does_not_have_is_named(machine: Machine, github: GitHub, shop: Repository) -> None:
    """As when the code comes from another repository than the one of the releases."""
    shop.commits.pop()
    code, said = release(machine, github)

    assert code == 1
    assert "GitHub answers 422" in said
    assert "target_commitish" in said


@pytest.mark.parametrize(
    ("refused", "status", "message"),
    [
        (f"PATCH {ROOT}", 422, 'it refuses this. It says: {"message": "tag_name: already_exists"}'),
        (f"GET {ROOT}/releases", 418, "GitHub answers 418"),
    ],
)
def test_a_refusal_is_explained(machine: Machine, github: GitHub, refused: str, status: int, message: str) -> None:
    wish(github, refused, Answer(status, {"message": "tag_name: already_exists"}))
    code, said = release(machine, github)

    assert code == 1
    *_, reason, users, address = said.splitlines()
    assert message in reason
    assert users == "The new version serves already."
    entry = "the-token-has-expired" if status == 401 else "the-release-is-half-done"
    assert address == f"What to do: docs/oncall.md#{entry}; its settings: release.github"
    assert "Traceback" not in said


def test_a_refusal_without_a_word_is_explained_too(machine: Machine, github: GitHub) -> None:
    wish(github, f"GET {ROOT}/releases", Answer(404))
    code, said = release(machine, github)

    assert code == 1
    assert "It says: nothing" in said


@pytest.mark.parametrize("status", [403, 429])
def test_who_asks_too_much_waits_as_long_as_github_wants(
    machine: Machine, github: GitHub, status: Literal[403, 429]
) -> None:
    wish(github, f"POST {ROOT}/releases", rate_limited(status=status), None)

    assert f"    {status}; trying again in 1 s" in released(machine, github)


@pytest.mark.parametrize(
    ("access", "repository", "message"),
    [
        ({}, "example/shop", "GitHub answers 404 to GET "),
        ({"example/shop": "read"}, "example/shop", "the token needs Contents: read and write and Workflows"),
        ({"example/shop": "write"}, "example/other", "no such repository, or the token may not see it"),
    ],
)
def test_what_a_token_may_not_do_is_explained(
    machine: Machine, github: GitHub, access: dict[str, str], repository: str, message: str
) -> None:
    github.token("github_pat_another", **access)
    code, said = release(machine, github, GITHUB_TOKEN="github_pat_another", GITHUB_REPOSITORY=repository)  # noqa: S106 - made up

    assert code == 1
    assert message in said


@pytest.mark.parametrize(("access", "code"), [("write", 1), ("workflows", 0)])
def test_a_commit_with_other_workflows_than_the_default_branch_needs_their_permission(
    machine: Machine, github: GitHub, access: str, code: int
) -> None:
    """Prod releases what dev built days ago, and somebody may have edited a workflow meanwhile."""
    github.repository("example/shop").commit("A new workflow", edits_workflows=True)
    github.token("github_pat_another", **{"example/shop": access})

    ended, said = release(machine, github, GITHUB_TOKEN="github_pat_another")  # noqa: S106 - made up

    assert ended == code, said
    assert ("the files in .github/workflows of this commit differ" in said) == bool(code)
    assert ("(accepted: contents=write; contents=write,workflows=write)" in said) == bool(code)


def test_a_bad_token_is_explained_and_not_shown(machine: Machine, github: GitHub) -> None:
    code, said = release(machine, github, GITHUB_TOKEN="expired-token")  # noqa: S106 - made up

    assert code == 1
    assert "GitHub answers 401" in said
    assert "the token is invalid or has expired: renew it in Secrets Manager" in said
    assert "expired-token" not in said


def test_the_token_is_masked_in_what_github_says(machine: Machine, github: GitHub) -> None:
    wish(github, f"GET {ROOT}/releases", Answer(403, f"who is {TOKEN}?"))
    code, said = release(machine, github)

    assert code == 1
    assert 'It says: "who is ***?"' in said


def test_the_token_is_in_no_log(machine: Machine, github: GitHub) -> None:
    assert TOKEN not in released(machine, github)


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


@pytest.mark.parametrize("commit", ["main", "../../other", "a" * 65, "0123ABC"])
def test_a_commit_that_is_none_is_not_asked_for(machine: Machine, github: GitHub, commit: str) -> None:
    machine.file("deployment.json", deployment(commit=commit))

    result = machine.run("create_github_release", **{**RELEASE, "GITHUB_API_URL": github.url})

    assert result.returncode == 1
    assert f"says that its commit is {commit!r}, which is none" in result.stderr


@pytest.mark.parametrize("name", module("create_github_release").ASSETS[1:])
def test_a_link_that_leads_out_of_the_artifact_is_not_published(machine: Machine, github: GitHub, name: str) -> None:
    machine.file("deployment.json", deployment())
    (machine.folder / name).unlink()
    (machine.folder / name).symlink_to("/proc/self/environ")

    result = machine.run("create_github_release", **{**RELEASE, "GITHUB_API_URL": github.url})

    assert result.returncode == 1
    assert f"{name} leads out of the input artifact" in result.stderr
