"""Every job that reads artifacts, under attack: whoever may write one decides nothing, reads nothing, breaks nothing.

Which jobs read what is not listed here: it is what their buildspecs, their scripts and the actions of the stack files
declare, so that a new job is attacked as soon as it is there.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_tools import DIGEST, OTHER_DIGEST, REPOSITORY, Machine, deployment, image, module
from job_scripts import calls, files

from components.jobs.buildspec import FOLDER, load_buildspec

JOBS = sorted(path.stem for path in FOLDER.glob("*.yml"))
FOREIGN = "evil.example.com/shop"
OTHER_ACCOUNT = "210987654321.dkr.ecr.eu-west-1.amazonaws.com/shop"
OTHER_REPOSITORY = f"{REPOSITORY}-other"
SECRET = "hidden-credential"  # noqa: S105 - made up
TASK_DEFINITION = {
    "family": "shop",
    "networkMode": "awsvpc",
    "requiresCompatibilities": ["FARGATE"],
    "cpu": "256",
    "memory": "512",
    "containerDefinitions": [
        {"name": "shop", "image": f"{REPOSITORY}@{DIGEST}", "portMappings": [{"containerPort": 8080}]}
    ],
}
WHOLE: dict[str, dict[str, Any]] = {
    "image.json": image(),
    "deployment.json": deployment(),
    "taskdef.json": TASK_DEFINITION,
    "imageDetail.json": {"ImageDigest": DIGEST, "RepositoryName": "shop", "ImageURI": f"{REPOSITORY}@{DIGEST}"},
}
"""What each file of an artifact holds when all is well; a job that reads another one fails these tests."""
VALUES = {
    "IMAGE_REPOSITORY_URI": REPOSITORY,
    "IMAGE_DIGEST": DIGEST,
    **dict.fromkeys(
        ("APPSPEC", "CAPACITY_PROVIDER_STRATEGY", "SERVICE_CONNECT", "USERS_TARGET_GROUP", "TEST_HEADERS", "TEST_URL"),
        "",
    ),
    **dict.fromkeys(("BASE_IMAGE_REPOSITORY_URI", "DOCKER_HUB_CACHE_URI", "TASK_DEFINITION_FILE"), ""),
    "COMMAND": '["migrate"]',
    "FURTHER_DIGESTS": "",
    "FURTHER_IMAGES": "",
    "CONTAINER_NAME": "shop",
    "CONTAINER_PORT": "8080",
    "GITHUB_API_URL": "https://api.example.com",
    "GITHUB_REPOSITORY": "example/shop",
    "HTTP_CHECKS": "[]",
    "MINUTES": "1",
    "PHASE": "publish",
    "PLATFORM": "linux/arm64",
    "RECORDS": "s3://artifacts/_tasks/before",
    "SERVICE_URL": "https://shop.example",
    "STATIC_FILES_PATH": "/srv/public",
    "TASK_DEFINITION_TEMPLATE": "s3://artifacts/_task-definition/shop.json",
    "TIMEOUT_MINUTES": "1",
    "WHEN": "before",
}
"""Variables whose form a job checks; any other one that a buildspec leaves open is filled with a word."""

OPENED = {job: sorted(files(job, "read_json") & WHOLE.keys()) for job in JOBS}
"""The files that each job opens as artifacts."""
HELD = {
    job: sorted(
        str(ast.literal_eval(call.args[0]))
        for call in calls(job, "read_json")
        if ast.unparse(call.func) == "delivered.read_json"
    )
    for job in JOBS
}
"""Those that it holds against the image that the pipeline delivers."""
TEXTS = module("delivered").TEXTS


def each(read: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Each job with each of the files that it reads."""
    return [(job, name) for job, names in read.items() for name in names]


def variables_of(job: str) -> dict[str, str]:
    """Each variable of a job, with a value of its form."""
    spec = load_buildspec(job)
    filled = {name: VALUES.get(name, default or "word") for name, default in spec.variables.items()}
    return {**filled, **dict.fromkeys(spec.secrets, SECRET)}


def refusal(job: str, machine: Machine, **changes: str) -> str:
    """What a job says that ends before it has done anything: a sentence, which gives nothing away."""
    result = machine.run(job.replace("-", "_"), **{**variables_of(job), **changes})
    said = result.stdout + result.stderr
    assert result.returncode == 1, said
    assert "Traceback" not in said
    assert SECRET not in said
    assert machine.calls == [], "nothing is done before the artifacts are read"
    _, failed, sentence = result.stderr.partition("\nFAILED: ")
    assert failed, said
    return sentence


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with whole artifacts, outside of whose folder lies what a build's machine must not give away."""
    machine = Machine(tmp_path)
    for name, content in WHOLE.items():
        machine.file(name, content)
    (tmp_path / "secret").write_text(json.dumps({**deployment(), **TASK_DEFINITION, "password": SECRET}))
    return machine


def test_each_job_that_reads_artifacts_is_attacked() -> None:
    """A file that no attack is made on is one that `WHOLE` lacks; what a job itself has written is none."""
    written = {name for job in JOBS for name in load_buildspec(job).artifact_files if name.endswith(".json")}
    read = {name for job in JOBS for name in files(job, "read_json")}

    assert read <= WHOLE.keys()
    assert {"image.json", "deployment.json", "taskdef.json"} <= read & written


def test_each_job_holds_what_it_reads_of_the_image_against_the_one_that_is_delivered() -> None:
    """One that stops doing so would drop out of the attacks, and all of them would pass."""
    about = ("image.json", "deployment.json")
    assert {job: [name for name in names if name in about] for job, names in OPENED.items()} == HELD


OPENS = {
    "ZipFile",
    "copyfile",
    "glob",
    "iterdir",
    "listdir",
    "open",
    "read_bytes",
    "read_text",
    "rglob",
    "scandir",
    "walk",
}
"""Functions of Python that open a file or a folder, by any object they are called of."""
OPENED_OTHERWISE = {
    "build_image": "what buildx has written about the image",
    "checkout": "test_no_file_of_the_code_gives_the_builds_machine_away_or_ends_it_without_a_sentence",
    "create_github_release": "its files, which job.content has opened before",
    "extract_static_files": "the folder that image_folder has filled",
    "image_folder": "tests/buildspecs/test_extract_static_files_job.py",
    "job": "content, by which all others open what artifacts hold",
    "notation": "the sources that came with it, and certificates of its machine",
    "run_lighthouse": "what Lighthouse has written",
    "source_tree": "tests/buildspecs/test_source_tree.py",
    "static_files": "test_no_link_publishes_a_file_of_the_builds_machine",
    "tested": "an address, and no file",
}
"""Modules of the jobs that open something themselves: what it is, or where it is attacked."""


def opened_in(module_file: Path) -> bool:
    """Whether a module of the jobs opens files or folders without ``job.content``, ``job.text`` and what uses them."""
    called = (node.func for node in ast.walk(ast.parse(module_file.read_text())) if isinstance(node, ast.Call))
    return bool(OPENS & {ast.unparse(function).rpartition(".")[2] for function in called})


def test_a_module_that_opens_files_itself_says_where_that_is_attacked() -> None:
    """A job that is added, and reads an artifact or the code past ``job``, is not in the attacks until it is here."""
    assert {path.stem for path in (FOLDER / "jobs").glob("*.py") if opened_in(path)} == OPENED_OTHERWISE.keys()
    for place in OPENED_OTHERWISE.values():
        assert " " in place or place in globals() or (FOLDER.parent / place).is_file(), place


Put = Callable[[Path], None]


def bytes_of(content: bytes) -> Put:
    """Put these bytes in place of a file."""

    def put(path: Path) -> None:
        path.write_bytes(content)

    return put


def linked(target: str) -> Put:
    """Put a link in place of a file; the target may name it."""

    def put(path: Path) -> None:
        path.unlink()
        path.symlink_to(target.format(name=path.name))

    return put


def folder(path: Path) -> None:
    """Put a folder in place of a file."""
    path.unlink()
    path.mkdir()


FILES: dict[str, tuple[Put, str]] = {
    "a link out of the artifact": (linked("../secret"), "leads out of the input artifact"),
    "a path with two dots": (linked("sub/../../secret"), "leads out of the input artifact"),
    "a link to the environment": (linked("/proc/self/environ"), "leads out of the input artifact"),
    "a link to itself": (linked("{name}"), "the input artifact"),
    "not UTF-8": (bytes_of(b'{"digest": "\xff"}'), "is not UTF-8"),
    "not JSON": (bytes_of(b"<html>"), "is not JSON"),
    "a deep nest": (bytes_of(b"[" * 100_000), "is not JSON"),
    "a long number": (bytes_of(b'{"digest": ' + b"9" * 5_000 + b"}"), ""),
    "no object": (bytes_of(b"[]"), "lacks"),
    "a huge file": (bytes_of(b" " * (2 * 1024 * 1024)), "has more than 1,048,576 bytes"),
    "a folder": (folder, "is no file"),
    "no file": (Path.unlink, "is not in the input artifact"),
}
"""Attacks on a file, and what is said of it."""


@pytest.mark.parametrize(("job", "name"), each(OPENED))
@pytest.mark.parametrize("attack", FILES)
def test_a_file_that_is_none_of_an_artifact_ends_the_job_with_a_sentence(
    machine: Machine, job: str, name: str, attack: str
) -> None:
    put, message = FILES[attack]
    put(machine.folder / name)

    said = refusal(job, machine)

    assert said.startswith(name)
    assert message in said


PLACES = [FOREIGN, OTHER_ACCOUNT, f"{REPOSITORY}-other", f"{REPOSITORY}/../other", f"127.0.0.1:1/{REPOSITORY}"]


def image_at(uri: str) -> dict[str, object]:
    return {"uri": uri, "image": uri}


OTHER_IMAGES: dict[str, dict[str, object]] = {
    **{f"repository {place}": {"repository": place} for place in PLACES},
    **{f"all of {place}": {"repository": place, **image_at(f"{place}@{DIGEST}")} for place in PLACES},
    "another digest": {"digest": OTHER_DIGEST},
    "all of another digest": {"digest": OTHER_DIGEST, **image_at(f"{REPOSITORY}@{OTHER_DIGEST}")},
    "no digest": {"digest": "latest"},
    "a number": {"digest": 5},
    **{
        f"{key} is {given}": {key: given}
        for key in ("uri", "image")
        for given in (f"{REPOSITORY}:latest", f"{FOREIGN}@{DIGEST}", f"{REPOSITORY}@{OTHER_DIGEST}", "", None)
    },
}
"""What an artifact may say of the image, none of which is delivered."""


@pytest.mark.parametrize(("job", "name"), each(HELD))
@pytest.mark.parametrize("attack", OTHER_IMAGES)
def test_an_artifact_about_another_image_is_refused_before_anything_is_asked_or_run(
    machine: Machine, job: str, name: str, attack: str
) -> None:
    machine.file(name, {**WHOLE[name], **OTHER_IMAGES[attack]})

    said = refusal(job, machine)

    assert f"{name} is about " in said or f"in {name} must be a text" in said


UNSEEN: dict[str, object] = {
    "escape": "\x1b[2J",
    "line": "1\nexport IMAGE_DIGEST=x",
    "return": "1\rfine",
    "zero": "1\x00",
    "bidirectional": "1\u202egnp",
    "isolate": "1\u2066x\u2069",
    "no width": "1\u200b",
    "line separator": "1\u2028x",
    "half a character": "1\ud800",
    "long": "x" * 1001,
    "number": 5,
    "nothing": None,
    "list": ["1"],
}


@pytest.mark.parametrize(("job", "name"), each(HELD))
@pytest.mark.parametrize("attack", UNSEEN)
def test_no_text_of_an_artifact_that_cannot_be_seen_reaches_a_log_a_variable_or_a_release(
    machine: Machine, job: str, name: str, attack: str
) -> None:
    """https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing."""
    own = {key: UNSEEN[attack] for key in TEXTS if key in WHOLE[name] and key not in ("repository", "digest")}
    machine.file(name, {**WHOLE[name], **own})

    said = refusal(job, machine)

    assert f" in {name} must be a text" in said
    assert said.replace("\n", "").isprintable()


@pytest.mark.parametrize("key", TEXTS)
@pytest.mark.parametrize("attack", UNSEEN)
def test_each_text_is_looked_at(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str, attack: str
) -> None:
    machine.file("deployment.json", {**WHOLE["deployment.json"], key: UNSEEN[attack]})
    monkeypatch.chdir(machine.folder)
    for name in ("IMAGE_REPOSITORY_URI", "IMAGE_DIGEST"):
        monkeypatch.setenv(name, VALUES[name])

    with pytest.raises(SystemExit):
        module("delivered").read_json("deployment.json")

    assert f"FAILED: {key} in deployment.json must be a text" in capsys.readouterr().err


CONTAINERS: dict[str, tuple[object, str]] = {
    "no list": ("shop", "has no list containerDefinitions"),
    "an object": ({"shop": {}}, "has no list containerDefinitions"),
    "empty": ([], "has no list containerDefinitions"),
    "texts": (["shop"], "has no list containerDefinitions"),
}
IMAGES: dict[str, tuple[object, str]] = {
    given: ([{"name": "shop", "image": given}], f"gives the container 'shop' the image {given}")
    for given in (f"{FOREIGN}@{DIGEST}", f"{OTHER_ACCOUNT}@{DIGEST}", f"{REPOSITORY}@{OTHER_DIGEST}", f"{REPOSITORY}:1")
} | {
    "a list": ([{"name": ["shop"], "image": f"{REPOSITORY}@{DIGEST}"}], "gives the container 'shop' the image None"),
}


TAKE = [job for job in JOBS if "taskdef.json" in OPENED[job]]


@pytest.mark.parametrize(
    ("job", "attack"),
    [
        *((job, attack) for job in TAKE for attack in CONTAINERS),
        # One takes messages from it, and runs nothing.
        *((job, attack) for job in TAKE for attack in IMAGES if HELD[job]),
    ],
)
def test_a_task_definition_of_other_images_is_neither_deployed_nor_run(machine: Machine, job: str, attack: str) -> None:
    containers, message = {**CONTAINERS, **IMAGES}[attack]
    machine.file("taskdef.json", {**TASK_DEFINITION, "containerDefinitions": containers})

    assert message in refusal(job, machine)


# What the application's repository brings


BUILD = {
    **dict.fromkeys(("COMMIT_ID", "BRANCH", "SOURCE_URL"), "0123abc"),
    "COMMIT_DATE": "2026-01-31T12:00:00Z",
    "VERSION_FROM": "file",
    "TASK_DEFINITION_FILE": "ecs/task.json",
    "CLONED_REPOSITORIES": "[]",
}


@pytest.fixture
def source(machine: Machine) -> Machine:
    """A machine with the code of an application."""
    machine.file("VERSION", "1.2.3\n")
    machine.file("Dockerfile", "FROM scratch\n")
    machine.file("ecs/task.json", TASK_DEFINITION)
    machine.file("public/index.html", "<p>")
    return machine


@pytest.mark.parametrize("path", ["VERSION", "ecs/task.json", "Dockerfile", ".dockerignore", ".gitmodules"])
@pytest.mark.parametrize(
    "attack", ["a link out of the artifact", "a link to the environment", "not UTF-8", "a huge file", "a deep nest"]
)
def test_no_file_of_the_code_gives_the_builds_machine_away_or_ends_it_without_a_sentence(
    source: Machine, path: str, attack: str
) -> None:
    file = source.file(path, "")
    if path == "ecs/task.json" and attack == "a link out of the artifact":
        linked("../../secret")(file)
    else:
        FILES[attack][0](file)
    source.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": DIGEST}]})

    result = source.run(
        "build_image", **{**variables_of("build-image"), **BUILD, "BUILD_CONTEXT": ".", "BUILD_ARGS": "{}"}
    )

    assert "Traceback" not in result.stderr
    assert SECRET not in result.stdout + result.stderr + "".join(
        written.read_text() for written in [source.folder / "image.json"] if result.returncode == 0
    )
    names = {"Dockerfile", ".dockerignore", ".gitmodules"} - ({".dockerignore"} if attack == "a deep nest" else set())
    lenient = path in names and attack in ("not UTF-8", "a deep nest")  # bytes like others, to Docker and to git
    assert (result.returncode == 0) is lenient, result.stderr
    assert lenient or "FAILED: " in result.stderr


@pytest.mark.parametrize("target", ["../../secret", "/proc/self/environ"])
@pytest.mark.parametrize("phase", ["publish", "prune"])
def test_no_link_publishes_a_file_of_the_builds_machine(source: Machine, target: str, phase: str) -> None:
    (source.folder / "public" / "env.txt").symlink_to(target)

    said = refusal("upload-static-files", source, FILES_PATH="public", PHASE=phase, CLONED_REPOSITORIES="[]")

    assert said.startswith("env.txt is a link that leads out of the input artifact")


def test_a_link_to_another_file_of_the_code_is_published(source: Machine) -> None:
    source.file("assets/logo.svg", "<svg>")
    (source.folder / "public" / "logo.svg").symlink_to("../assets/logo.svg")
    source.answer("aws")

    result = source.run(
        "upload_static_files",
        **{**variables_of("upload-static-files"), "FILES_PATH": "public", "CLONED_REPOSITORIES": "[]"},
    )

    assert result.returncode == 0, result.stderr
    assert "2 files" in result.stdout


# What an image brings


def test_the_labels_of_an_image_are_written_down_as_one_line_that_can_be_seen(machine: Machine, tmp_path: Path) -> None:
    labels = {"version": "1\u202e\x1b[2J\nx", "revision": "y" * 2_000, "source": ["a", "list"]}
    named = {f"org.opencontainers.image.{name}": value for name, value in labels.items()}
    config = json.dumps({"os": "linux", "architecture": "arm64", "config": {"Labels": named}}).encode()
    (tmp_path / "config").write_bytes(config)
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    manifest = {"imageManifest": json.dumps({"config": {"digest": digest}}), "imageManifestMediaType": "application/x"}
    machine.answer("aws ecr batch-get-image", {"images": [manifest]})
    machine.answer("aws ecr get-download-url-for-layer", {"downloadUrl": f"file://{tmp_path}/config"})

    result = machine.run("record_image", **variables_of("record-image"))

    assert result.returncode == 0, result.stderr
    recorded = machine.json("image.json")
    assert recorded["version"] == r"1\u202e\x1b[2J\nx"
    assert len(recorded["commit"]) == module("job").MOST_CHARACTERS
    assert all(isinstance(value, str) and value.isprintable() for value in recorded.values())


def test_a_configuration_that_is_not_the_images_is_refused(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("{}")
    manifest = {"imageManifest": json.dumps({"config": {"digest": DIGEST}}), "imageManifestMediaType": "application/x"}
    machine.answer("aws ecr batch-get-image", {"images": [manifest]})
    machine.answer("aws ecr get-download-url-for-layer", {"downloadUrl": f"file://{tmp_path}/config"})

    result = machine.run("record_image", **variables_of("record-image"))

    assert result.returncode == 1
    assert f"the registry answered with another configuration than {DIGEST}" in result.stderr


# Where tokens go


HOSTS = ["evil.example.com", "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example", "127.0.0.1.evil.example:80"]


@pytest.mark.parametrize("job", [job for job in JOBS if calls(job, "login") or calls(job, "token")])
@pytest.mark.parametrize("host", HOSTS)
def test_no_token_leaves_for_a_host_that_is_none_of_amazon_ecr(machine: Machine, job: str, host: str) -> None:
    """Even where a project names it: a token opens every registry that the job's role may use."""
    elsewhere = f"{host}/shop"
    for name in ("image.json", "deployment.json"):
        same = {"repository": elsewhere, "uri": f"{elsewhere}@{DIGEST}", "image": f"{elsewhere}@{DIGEST}"}
        machine.file(name, {**WHOLE[name], **same})
    machine.file("Dockerfile", "FROM scratch\n")
    here = {"authorizationToken": "dG9rZW4=", "proxyEndpoint": "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}
    machine.answer("aws ecr get-authorization-token", {"authorizationData": [here]})
    machine.answer("aws ecr describe-images", code=254, errors="(ImageNotFoundException)")

    commit = {key: value for key, value in {**BUILD, "VERSION_FROM": "commit"}.items() if key in variables_of(job)}
    given = {**variables_of(job), **commit, "TASK_DEFINITION_FILE": "", "BUILD_CONTEXT": ".", "BUILD_ARGS": "{}"}
    given |= {"TARGET_REGISTRY": "", "TARGET_REGION": "", "TARGET_ROLE_ARN": "", "IMAGE_REPOSITORY_URI": elsewhere}
    given |= {"SIGNING_PROFILE": "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/shop"}
    given |= {key: default for key, default in load_buildspec(job).variables.items() if default.startswith(("{", "["))}
    result = machine.run(job.replace("-", "_"), **given)

    assert result.returncode == 1
    assert f"{host} is no registry of Amazon ECR" in result.stderr
    assert machine.called("docker login") + machine.called("aws ecr get-login-password") == []
