"""The jobs that publish static files: each really runs, against a stand-in of aws."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_tools import Call, Machine, module

UPLOAD = {
    "PHASE": "publish",
    "FILES_PATH": "public",
    "BUCKET": "shop-static",
    "PREFIX": "v2",
    "CLOUDFRONT_DISTRIBUTION_ID": "",
}
SYNC = {
    "PHASE": "publish",
    "SOURCE_BUCKET": "shop-assets",
    "SOURCE_PREFIX": "/v2/",
    "BUCKET": "shop-static",
    "PREFIX": "",
}
PRUNE = {"PHASE": "prune", "CLOUDFRONT_DISTRIBUTION_ID": "E123"}
PAGE = "no-cache"
FOREVER = "public, max-age=31536000, immutable"
SHORTLY = "public, max-age=300"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a site to publish to an empty bucket."""
    machine = Machine(tmp_path)
    for name in ("index.html", "about us/it's.html", "assets/app.3f2a91bc.js", "logo.svg", "fonts/a.woff2"):
        machine.file(f"public/{name}", name)
    return machine


def publishes(machine: Machine, there: list[list[object]] | None = None) -> None:
    """The bucket holds these keys and sizes, and takes everything."""
    machine.answer("aws s3api list-objects-v2", there if there is not None else "null")
    machine.answer("aws s3 cp")
    machine.answer("aws s3api delete-objects", {})


def uploads(machine: Machine) -> list[tuple[str, str]]:
    """Content type and cache control of each upload, in order."""
    calls = machine.called("aws s3 cp --content-type")
    return [(call.after("--content-type")[0], call.after("--cache-control")[0]) for call in calls]


def test_assets_go_before_pages_with_their_own_headers(machine: Machine) -> None:
    """A page that is out before its assets asks for what is not there yet."""
    publishes(machine)

    result = machine.run("upload_static_files", **UPLOAD)

    assert result.returncode == 0, result.stderr
    assert uploads(machine) == [
        ("text/javascript; charset=utf-8", FOREVER),
        ("font/woff2", SHORTLY),
        ("image/svg+xml", SHORTLY),
        ("text/html; charset=utf-8", PAGE),
    ]
    assert all(call.words[4] == "s3://shop-static/v2/" for call in machine.called("aws s3 cp"))


def test_each_upload_gets_the_right_files(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    static_files, sent = module("static_files"), {}

    def look(_why: str, *command: str) -> None:
        staged = Path(command[3])
        sent[command[-3]] = {
            str(file.relative_to(staged)): file.read_text() for file in staged.rglob("*") if file.is_file()
        }

    monkeypatch.setattr(static_files.job, "run", look)
    folder = machine.folder / "public"

    static_files.upload(folder, ["index.html", "about us/it's.html"], "s3://b/", static_files.headers("index.html"))

    assert sent == {
        "text/html; charset=utf-8": {"index.html": "index.html", "about us/it's.html": "about us/it's.html"}
    }


def test_publishing_deletes_nothing_because_the_old_version_still_runs(machine: Machine) -> None:
    publishes(machine, [["v2/old page.html", 3], ["v2/index.html", 10]])

    result = machine.run("upload_static_files", **UPLOAD)

    assert result.returncode == 0, result.stderr
    assert machine.called("aws s3api delete-objects") == []
    assert "5 files, 0 of them there already" in result.stdout


@pytest.fixture
def deleted(machine: Machine) -> Callable[[], list[str]]:
    """What the job told S3 to delete: the stand-in keeps the request, which the job clears away."""
    kept = machine.folder / "deleted.json"
    machine.answer("aws s3api delete-objects", {}, keeps={"--delete": str(kept)})

    def keys() -> list[str]:
        return [entry["Key"] for entry in json.loads(kept.read_text())["Objects"]] if kept.exists() else []

    return keys


def test_pruning_deletes_what_is_gone_and_only_under_the_prefix(
    machine: Machine, deleted: Callable[[], list[str]]
) -> None:
    publishes(machine, [["v2/old page.html", 3], ["v2/index.html", 10]])

    result = machine.run("upload_static_files", **UPLOAD | PRUNE)

    assert result.returncode == 0, result.stderr
    assert machine.called("aws s3api list-objects-v2")[0].after("--prefix") == ["v2/"], "v2 must not cover v20"
    assert deleted() == ["v2/old page.html"]
    assert "1 deleted that are no longer in public" in result.stdout


def test_pruning_uploads_nothing_and_leaves_cloudfront_alone(machine: Machine) -> None:
    publishes(machine, [["v2/old page.html", 3]])

    result = machine.run("upload_static_files", **UPLOAD | PRUNE)

    assert result.returncode == 0, result.stderr
    assert [call.words[2] for call in machine.calls] == ["list-objects-v2", "delete-objects"]


def test_pruning_by_another_bucket_asks_for_its_keys_and_fetches_nothing(
    machine: Machine, deleted: Callable[[], list[str]]
) -> None:
    machine.answer("aws s3api list-objects-v2 shop-assets v2/", [["v2/index.html", 1], ["v2/a/b.css", 1]])
    publishes(machine, [["index.html", 1], ["a/b.css", 1], ["v2/index.html", 1], ["gone.txt", 1]])

    result = machine.run("sync_static_files", **SYNC | PRUNE)

    assert result.returncode == 0, result.stderr
    assert deleted() == ["gone.txt", "v2/index.html"]
    assert machine.called("aws s3 cp") == []


@pytest.mark.parametrize("held", ["null", [["v2/", 0]]], ids=["nothing", "a folder of the console"])
def test_an_empty_bucket_never_prunes_another(machine: Machine, held: object) -> None:
    machine.answer("aws s3api list-objects-v2 shop-assets", held)
    publishes(machine, [["index.html", 1]])

    result = machine.run("sync_static_files", **SYNC | PRUNE)

    assert result.returncode == 1
    assert "s3://shop-assets/v2/ holds no files: pruning by it would empty s3://shop-static/" in result.stderr
    assert machine.called("aws s3api delete-objects") == []


@pytest.mark.parametrize("phase", ["Prune", "all", ""])
@pytest.mark.parametrize("script", ["upload_static_files", "sync_static_files"])
def test_a_phase_that_there_is_not_is_refused(machine: Machine, script: str, phase: str) -> None:
    result = machine.run(script, **{**UPLOAD, **SYNC, "PHASE": phase})

    assert result.returncode == 2
    assert f"PHASE must be publish (before the service is deployed) or prune (after it), got {phase!r}" in result.stderr
    assert machine.calls == []


def test_exactly_the_keys_that_are_gone_are_deleted_a_thousand_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    static_files, asked = module("static_files"), []

    def look(_why: str, *command: str) -> dict[str, object]:
        asked.append(json.loads(Path(command[-1].removeprefix("file://")).read_text()))
        return {}

    monkeypatch.setattr(static_files.job, "aws", look)

    static_files.delete("shop-static", [f"v2/{number} ü" for number in range(1001)])

    assert [len(request["Objects"]) for request in asked] == [1000, 1]
    assert asked[1] == {"Objects": [{"Key": "v2/1000 ü"}], "Quiet": True}


def test_a_file_that_cannot_be_deleted_fails_the_job(machine: Machine) -> None:
    machine.answer("aws s3api delete-objects", {"Errors": [{"Key": "v2/old", "Code": "AccessDenied", "Message": "no"}]})
    publishes(machine, [["v2/old", 3]])

    result = machine.run("upload_static_files", **UPLOAD | PRUNE)

    assert result.returncode == 1
    assert "v2/old could not be deleted from shop-static: AccessDenied no" in result.stderr


def test_a_failing_upload_is_shown(machine: Machine) -> None:
    machine.answer("aws s3 cp no-cache", "upload failed: index.html\n", code=1)
    publishes(machine)

    result = machine.run("upload_static_files", **UPLOAD)

    assert result.returncode == 1
    assert "Upload 2 files of type text/html; charset=utf-8: `aws s3 cp" in result.stderr
    assert "  | upload failed: index.html" in result.stderr


def test_a_hashed_file_that_is_there_already_is_not_sent_again(machine: Machine) -> None:
    name = "assets/app.3f2a91bc.js"
    publishes(machine, [[f"v2/{name}", len(name)], ["v2/index.html", len("index.html")]])

    result = machine.run("upload_static_files", **UPLOAD)

    assert ("text/javascript; charset=utf-8", FOREVER) not in uploads(machine)
    assert ("text/html; charset=utf-8", PAGE) in uploads(machine), "a page of the same size may be another page"
    assert "1 of them there already" in result.stdout


def test_cloudfront_is_told_when_there_is_one(machine: Machine) -> None:
    publishes(machine)
    machine.answer("aws cloudfront create-invalidation", {"Invalidation": {"Id": "I1"}})

    machine.run("upload_static_files", **{**UPLOAD, "CLOUDFRONT_DISTRIBUTION_ID": "E123"})

    assert machine.calls[-1].words[1:] == [
        *("cloudfront", "create-invalidation", "--distribution-id", "E123", "--paths", "/*", "--output", "json")
    ]


@pytest.mark.parametrize(
    ("path", "message", "code"),
    [
        ("dist", "the input artifact has no folder 'dist'", 1),
        ("empty", "empty holds no files: ", 1),
        ("../tools", "FILES_PATH must be a folder within the input artifact, got '../tools'", 2),
        ("/etc", "FILES_PATH must be a folder within the input artifact, got '/etc'", 2),
    ],
)
@pytest.mark.parametrize("phase", ["publish", "prune"])
def test_a_folder_that_is_no_site_is_never_used(
    machine: Machine, path: str, message: str, code: int, phase: str
) -> None:
    (machine.folder / "empty").mkdir()

    result = machine.run("upload_static_files", **{**UPLOAD, "FILES_PATH": path, "PHASE": phase})

    assert result.returncode == code
    assert message in result.stderr
    assert machine.calls == []


@pytest.mark.parametrize(
    ("name", "cache_control", "content_type"),
    [
        ("index.html", PAGE, "text/html; charset=utf-8"),
        ("a/b.3f2a91bc.html", PAGE, "text/html; charset=utf-8"),
        ("sw.js", PAGE, "text/javascript; charset=utf-8"),
        ("app.webmanifest", PAGE, "application/manifest+json"),
        ("app.3f2a91bc.js", FOREVER, "text/javascript; charset=utf-8"),
        ("app.3f2a91bc.js.map", FOREVER, "application/json"),
        ("index-B4kQx_7z.css", FOREVER, "text/css; charset=utf-8"),
        ("main.0123456789abcdef0123.chunk.css", FOREVER, "text/css; charset=utf-8"),
        ("jquery-3.7.1.min.js", SHORTLY, "text/javascript; charset=utf-8"),
        ("photo-20260131.jpg", SHORTLY, "image/jpeg"),
        ("font-awesome5free.woff2", SHORTLY, "font/woff2"),
        ("facade-deadbeef.png", SHORTLY, "image/png"),
        ("README-Shopping.txt", SHORTLY, "text/plain; charset=utf-8"),
        ("module.wasm", SHORTLY, "application/wasm"),
        ("LICENSE", SHORTLY, "application/octet-stream"),
        ("logo.SVG", SHORTLY, "image/svg+xml"),
    ],
)
def test_headers_follow_the_name(name: str, cache_control: str, content_type: str) -> None:
    """What is taken for hashed stays a year in browsers: a date or a word must not pass for a hash."""
    found = module("static_files").headers(name)

    assert (found.cache_control, found.content_type) == (cache_control, content_type)


def fetches(machine: Machine) -> Call:
    (fetch,) = [call for call in machine.called("aws s3 cp") if call.words[3].startswith("s3://")]
    return fetch


def test_another_bucket_is_fetched_and_published_by_the_same_rules(machine: Machine) -> None:
    machine.answer(
        "aws s3 cp s3://shop-assets/v2/",
        files={"{s3://shop-assets/v2/}/index.html": "<p>", "{s3://shop-assets/v2/}/a.css": "a"},
    )
    publishes(machine, [["gone.txt", 1]])

    result = machine.run("sync_static_files", **SYNC)

    assert result.returncode == 0, result.stderr
    assert fetches(machine).words[3] == "s3://shop-assets/v2/"
    assert uploads(machine) == [("text/css; charset=utf-8", SHORTLY), ("text/html; charset=utf-8", PAGE)]
    assert machine.called("aws s3 cp")[-1].words[4] == "s3://shop-static/"
    assert machine.called("aws s3api delete-objects") == []


def test_the_history_of_a_full_clone_is_not_published(tmp_path: Path) -> None:
    for name in (".git/config", ".github/pages.html", "index.html", "sub/.git", "sub/logo.svg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert module("static_files").within(tmp_path, tmp_path) == [".github/pages.html", "index.html", "sub/logo.svg"]


def test_an_empty_source_is_not_published(machine: Machine) -> None:
    publishes(machine, [["index.html", 1]])

    result = machine.run("sync_static_files", **SYNC)

    assert result.returncode == 1
    assert "s3://shop-assets/v2/ holds no files: there is nothing to publish to s3://shop-static/" in result.stderr
    assert machine.called("aws s3api delete-objects") == []


@pytest.mark.parametrize(("source", "target"), [("", ""), ("v2", "v2"), ("v2", ""), ("", "v2")])
def test_a_bucket_is_not_copied_into_itself(machine: Machine, source: str, target: str) -> None:
    variables = {**SYNC, "SOURCE_BUCKET": "b", "SOURCE_PREFIX": source, "BUCKET": "b", "PREFIX": target}

    result = machine.run("sync_static_files", **variables)

    assert result.returncode == 2
    assert "overlap" in result.stderr
    assert machine.calls == []


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        ("app.3f2a91bc.js", 0),
        ("logo.svg", 1),
        ("answsw.js", 1),
        ("index.html", 2),
        ("app.webmanifest", 2),
        ("a/b.3f2a91bc.html", 2),
        ("sw.js", 3),
        ("app/service-worker.js", 3),
        ("serviceworker.mjs", 3),
        ("ngsw-worker.js", 3),
        ("firebase-messaging-sw.js", 3),
    ],
)
def test_what_refers_to_others_goes_after_them(name: str, turn: int) -> None:
    """A service worker fetches the pages and assets it names as soon as a browser sees that it has changed."""
    found = module("static_files").headers(name)

    assert found.turn == turn
    assert (found.cache_control == PAGE) == (turn > 1)


def test_a_key_with_empty_parts_is_pruned_by_the_name_it_was_published_under(
    machine: Machine, deleted: Callable[[], list[str]]
) -> None:
    machine.answer("aws s3api list-objects-v2 shop-assets v2/", [["v2/a//b.css", 1], ["v2//c.css", 1]])
    publishes(machine, [["a/b.css", 1], ["c.css", 1], ["a//b.css", 1]])

    result = machine.run("sync_static_files", **SYNC | PRUNE)

    assert result.returncode == 0, result.stderr
    assert deleted() == ["a//b.css"]


REFUSED = "An error occurred (SlowDown) when calling the operation: Please reduce your request rate"


@pytest.mark.parametrize(
    ("script", "variables", "command"),
    [
        ("upload_static_files", UPLOAD, "s3api list-objects-v2"),
        ("upload_static_files", UPLOAD, "s3 cp"),
        ("upload_static_files", {**UPLOAD, "CLOUDFRONT_DISTRIBUTION_ID": "E1"}, "cloudfront create-invalidation"),
        ("upload_static_files", UPLOAD | PRUNE, "s3api list-objects-v2"),
        ("upload_static_files", UPLOAD | PRUNE, "s3api delete-objects"),
        ("sync_static_files", SYNC, "s3 cp"),
        ("sync_static_files", SYNC | PRUNE, "s3api list-objects-v2"),
    ],
)
def test_each_command_that_fails_ends_the_job_with_its_own_words(
    machine: Machine, script: str, variables: dict[str, str], command: str
) -> None:
    machine.answer(f"aws {command}", code=254, errors=REFUSED)
    publishes(machine, [["v2/old.html", 3]])

    result = machine.run(script, **variables)

    assert result.returncode == 1
    assert f"`aws {command}" in result.stderr
    assert "ended with code 254" in result.stderr
    assert f"  | {REFUSED}" in result.stderr
    assert machine.calls[-1].words[1:3] == command.split(), "nothing is done after it"


def test_every_command_is_in_the_log_as_it_could_be_typed(machine: Machine) -> None:
    """With a folder, a prefix and names of files that a shell would take apart."""
    machine.file('it\'s "new"/index page.html', "<p>")
    machine.file('it\'s "new"/a $HOME `b`.css', "a")
    publishes(machine)
    machine.answer("aws cloudfront create-invalidation", {})
    odd = {"FILES_PATH": 'it\'s "new"', "PREFIX": 'it\'s "v2"', "CLOUDFRONT_DISTRIBUTION_ID": "E1"}

    result = machine.run("upload_static_files", **{**UPLOAD, **odd})

    assert result.returncode == 0, result.stderr
    assert len(machine.calls) == 4
    for call in machine.calls:
        assert f"    $ {shlex.join(call.words)}\n" in result.stdout
    assert machine.called("aws s3 cp")[-1].words[4] == 's3://shop-static/it\'s "v2"/'
