"""What a job makes of the code it is handed: what is missing is fetched or named, before anything is built."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from fake_tools import Machine, module
from test_image_jobs import BUILD, pushes

CONNECTION = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0f0f0f0f-1234-4abc-8def-0123456789ab"
THROUGH = "https://codeconnections.eu-west-1.amazonaws.com/git-http/123456789012/eu-west-1/" + CONNECTION[-36:]
CLONED = {
    "CONNECTION_ARN": CONNECTION,
    "CLONED_FROM": "https://github.com",
    "CLONED_REPOSITORIES": json.dumps(["example/shop", "example/fonts"]),
}
MODULES = '[submodule "lib"]\n\tpath = vendor/lib\n\turl = https://github.com/example/lib.git\n'
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4000000\n"
UPLOAD = {"PHASE": "publish", "FILES_PATH": "public", "BUCKET": "shop-static"}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a source to build, an empty repository and a working builder."""
    machine = Machine(tmp_path)
    machine.file("Dockerfile", "FROM scratch\n")
    pushes(machine)
    return machine


def clone(machine: Machine) -> Machine:
    """The same, with a clone for a source."""
    machine.file(".git/HEAD", "0" * 40)
    return machine


def refusal(machine: Machine, script: str = "build_image", variables: Mapping[str, str] = BUILD) -> str:
    """How the job ends that must not build or publish anything."""
    result = machine.run(script, **variables)
    assert result.returncode == 1, result.stdout + result.stderr
    assert not machine.called("docker") + machine.called("aws")
    said, _, where = result.stderr.strip().partition("\nNothing was deployed: the version that runs keeps serving.\n")
    settings = "build; the Dockerfile" if script == "build_image" else "deploy.staticFiles"
    assert where == f"What to do: docs/oncall.md#a-run-has-stopped; its settings: {settings}"
    return said


# An archive


@pytest.mark.parametrize("there", ["an empty folder", "nothing"])
def test_an_empty_submodule_fails_by_name_with_the_fix(machine: Machine, there: str) -> None:
    """CodePipeline's archive has none (aws/aws-cdk#11399), and COPY takes an empty folder for what it says."""
    machine.file(".gitmodules", MODULES + '[submodule "full"]\n\tpath = full\n')
    machine.file("full/file", "here")
    if there == "an empty folder":
        (machine.folder / "vendor" / "lib").mkdir(parents=True)

    assert refusal(machine) == (
        "FAILED: submodules are empty: vendor/lib. Set fullClone: true, in the section source of the stack file "
        "(with source.s3: upload an archive that holds them), or list them in .dockerignore."
    )


def test_pointers_of_git_lfs_fail_by_name_and_count(machine: Machine) -> None:
    for number in range(7):
        machine.file(f"assets/{number}.bin", POINTER)

    names = ", ".join(f"assets/{number}.bin" for number in range(5))
    said = refusal(machine)
    listed = re.fullmatch(r"FAILED: Git LFS files are pointers without their content: (.*) and 2 more\. Set .*", said)
    assert listed
    assert set(listed[1].split(", ")) < {f"assets/{number}.bin" for number in range(7)}
    assert len(listed[1]) == len(names)
    assert said.endswith("upload an archive that holds them), or list them in .dockerignore.")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("big.txt", POINTER + "x" * 1024, id="longer than a pointer may be"),
        pytest.param("doc.md", f"A pointer is: {POINTER}", id="a text about pointers"),
        pytest.param("vendor/.git/pointer", POINTER, id="of git's own"),
    ],
)
def test_what_is_no_pointer_is_built(machine: Machine, name: str, content: str) -> None:
    machine.file(name, content)
    assert machine.run("build_image", **BUILD).returncode == 0


def test_a_link_is_not_followed(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "pointer").write_text(POINTER)
    (machine.folder / "link").symlink_to(tmp_path / "pointer")
    (machine.folder / "dangling").symlink_to("nowhere")
    assert machine.run("build_image", **BUILD).returncode == 0


@pytest.mark.parametrize("context", ["app", "app/inner"])
def test_what_is_outside_the_build_context_does_not_matter(machine: Machine, context: str) -> None:
    machine.file(".gitmodules", MODULES)
    machine.file("model.bin", POINTER)
    machine.file(f"{context}/file", "here")
    assert machine.run("build_image", **{**BUILD, "BUILD_CONTEXT": context}).returncode == 0


@pytest.mark.parametrize(
    "variables", [{"BUILD_CONTEXT": "vendor/lib/app"}, {"BUILD_CONTEXT": "app", "DOCKERFILE": "vendor/lib/Dockerfile"}]
)
def test_a_submodule_that_holds_context_or_dockerfile_is_needed(machine: Machine, variables: dict[str, str]) -> None:
    """Else the job would say that there is no Dockerfile, which sends its reader to another file."""
    machine.file("app/file", "here")
    machine.file(".gitmodules", MODULES)
    assert refusal(machine, variables={**BUILD, **variables}).startswith("FAILED: submodules are empty: vendor/lib.")


@pytest.mark.parametrize("file", [".dockerignore", "Dockerfile.dockerignore"])
def test_what_dockerignore_leaves_out_does_not_matter(machine: Machine, file: str) -> None:
    machine.file(file, "# not for the image\nvendor\n**/*.bin\n")
    machine.file(".gitmodules", MODULES)
    machine.file("assets/model.bin", POINTER)
    assert machine.run("build_image", **BUILD).returncode == 0


def test_the_dockerfiles_own_ignore_file_goes_first(machine: Machine) -> None:
    """Docker reads one of the two."""
    machine.file(".dockerignore", "assets\n")
    machine.file("Dockerfile.dockerignore", "docs\n")
    machine.file("assets/model.bin", POINTER)
    assert "assets/model.bin" in refusal(machine)


def test_what_looks_like_a_link_is_noted(machine: Machine) -> None:
    """An archive cannot tell a link from a text, so this is no failure (aws/aws-cdk#14520)."""
    machine.file("config/shared.conf", "port = 1\n")
    machine.file("app.conf", "config/shared.conf")
    machine.file("config/again.conf", "shared.conf")
    machine.file("word.txt", "nothing of that name")
    machine.file("line.txt", "config/shared.conf\n")
    machine.file("empty.txt", "")

    result = machine.run("build_image", **BUILD)
    assert result.returncode == 0
    (note,) = [line for line in result.stdout.splitlines() if line.startswith("NOTE")]
    named = re.search(
        r"these look like it: (.*)\. Set fullClone: true, in the section source of the stack file \(with source\.s3: ",
        note,
    )
    assert named
    assert set(named[1].split(", ")) == {"app.conf", "config/again.conf"}


def test_many_files_are_looked_through_in_seconds(machine: Machine) -> None:
    machine.file(".dockerignore", "**/*.log\nnode_modules\ndocs/**\n!docs/keep")
    for folder in range(100):
        (machine.folder / "src" / str(folder)).mkdir(parents=True)
        for file in range(100):
            (machine.folder / "src" / str(folder) / str(file)).write_text("small\n")

    checkout, dockerignore = module("checkout"), module("dockerignore")
    here = Path.cwd()
    os.chdir(machine.folder)
    try:
        started = os.times()
        gaps = checkout.found(".", dockerignore.excluded("Dockerfile", "."), "Dockerfile")
        ended = os.times()
    finally:
        os.chdir(here)
    assert gaps == ([], [], [])
    assert ended.user + ended.system - started.user - started.system < 10


# A clone


def test_a_clone_gets_its_submodules_through_the_connection_where_the_stack_file_says_so(machine: Machine) -> None:
    clone(machine).file(".gitmodules", MODULES)
    machine.answer("git submodule update", files={str(machine.folder / "vendor/lib/file"): "here"})

    assert machine.run("build_image", **BUILD, **CLONED).returncode == 0
    (call,) = machine.called("git submodule")
    assert call.words[-5:] == ["update", "--init", "--recursive", "--", "vendor/lib"]
    assert call.after("-c") == [
        f"url.{THROUGH}/example/fonts.insteadOf={origin}example/fonts"
        for origin in ("https://github.com/", "git@github.com:", "ssh://git@github.com/")
    ]
    assert call.env["GIT_TERMINAL_PROMPT"] == "0"


def test_submodules_are_looked_for_on_the_server_that_the_clone_is_from(machine: Machine) -> None:
    clone(machine).file(".gitmodules", MODULES.replace("github.com", "git.example.com"))
    machine.answer("git submodule update", files={str(machine.folder / "vendor/lib/file"): "here"})
    own = {"CLONED_FROM": "https://git.example.com", "CLONED_REPOSITORIES": '["a/b/shop", "a/b/fonts"]'}

    assert machine.run("build_image", **BUILD, **{**CLONED, **own}).returncode == 0
    (call,) = machine.called("git submodule")
    assert call.after("-c") == [
        f"url.{THROUGH}/a/b/fonts.insteadOf={origin}a/b/fonts"
        for origin in ("https://git.example.com/", "git@git.example.com:", "ssh://git@git.example.com/")
    ]


def test_a_submodule_that_cannot_be_cloned_fails_with_gits_words_and_the_key(machine: Machine) -> None:
    clone(machine).file(".gitmodules", MODULES)
    machine.answer("git submodule update", code=128, errors="fatal: could not read Username for 'https://github.com'\n")

    said = refusal(machine, variables={**BUILD, **CLONED})
    assert "fatal: could not read Username for 'https://github.com'" in said
    assert "see submodules, in the section source" in said


def test_a_clone_fetches_large_files_from_its_origin(machine: Machine) -> None:
    clone(machine).file("model.bin", POINTER)
    machine.answer("git lfs install")
    machine.answer("git lfs pull", files={str(machine.folder / "model.bin"): "content"})

    assert machine.run("build_image", **BUILD, **CLONED).returncode == 0
    assert [call.words for call in machine.called("git")] == [
        ["git", "lfs", "install", "--local"],  # without it, git lfs pull fetches and leaves the pointers
        ["git", "lfs", "pull"],
    ]


def test_large_files_that_the_origin_does_not_have_come_from_the_provider(machine: Machine) -> None:
    clone(machine).file("model.bin", POINTER)
    machine.answer("git lfs pull", code=2, errors="batch response: 404\n", times=1)
    machine.answer("git lfs pull", files={str(machine.folder / "model.bin"): "content"})

    result = machine.run("build_image", **BUILD, **CLONED)
    assert result.returncode == 0
    assert "batch response: 404" in result.stdout
    assert machine.called("git lfs pull")[1].after("-c") == ["lfs.url=https://github.com/example/shop.git/info/lfs"]


def test_large_files_that_cannot_be_had_fail_by_name(machine: Machine) -> None:
    clone(machine).file("model.bin", POINTER)
    machine.answer("git lfs", code=1, errors="git: 'lfs' is not a git command.\n")

    assert refusal(machine, variables={**BUILD, **CLONED}) == (
        "FAILED: Git LFS files are pointers without their content: model.bin. "
        "Git LFS files can be fetched from public repositories only, or list them in .dockerignore."
    )


def test_a_developers_own_clone_is_completed_too(machine: Machine) -> None:
    """A job can be run by hand, where there is no connection."""
    clone(machine).file(".gitmodules", MODULES)
    machine.file("model.bin", POINTER)
    machine.answer("git submodule update", files={str(machine.folder / "vendor/lib/file"): "here"})
    machine.answer("git lfs pull", files={str(machine.folder / "model.bin"): "content"})
    result = machine.run("build_image", **BUILD)
    assert result.returncode == 0, result.stderr
    assert [call.after("-c") for call in machine.called("git")] == [[], [], []]


def test_a_clone_that_lacks_nothing_calls_nobody(machine: Machine) -> None:
    clone(machine).file("a", "b")
    machine.file("b", "a")
    result = machine.run("build_image", **BUILD, **CLONED)
    assert (result.returncode, machine.called("git")) == (0, [])
    assert "NOTE" not in result.stdout, "links of a clone are links"


def test_the_provenance_does_not_say_through_what_the_code_was_cloned(machine: Machine) -> None:
    """https://docs.docker.com/build/building/variables/#buildx_git_info"""
    clone(machine).run("build_image", **BUILD, **CLONED)
    (build,) = machine.called("docker buildx build")
    assert build.env["BUILDX_GIT_INFO"] == "false"


def test_the_image_of_a_clone_is_not_the_one_of_an_archive(machine: Machine, tmp_path: Path) -> None:
    """Who turns fullClone on for a commit that was built already must not be given the image without its links."""
    machine.run("build_image", **BUILD)
    (tmp_path / "second").mkdir()
    other = Machine(tmp_path / "second")
    other.file("Dockerfile", "FROM scratch\n")
    pushes(other)
    clone(other).run("build_image", **BUILD, **CLONED)

    tags = [built.json("image.json")["tag"].split("-") for built in (machine, other)]
    assert tags[0][0] == tags[1][0]
    assert tags[0][1] != tags[1][1]


# Static files


def test_static_files_are_held_to_the_same(machine: Machine) -> None:
    machine.file("public/video.mp4", POINTER)
    assert refusal(machine, "upload_static_files", UPLOAD) == (
        "FAILED: Git LFS files are pointers without their content: public/video.mp4. "
        "Set fullClone: true, in the section source of the stack file (with source.s3: upload an archive that holds "
        "them)."
    )


def test_static_files_of_a_submodule_are_held_to_the_same(machine: Machine) -> None:
    machine.file(".gitmodules", MODULES)
    said = refusal(machine, "upload_static_files", {**UPLOAD, "FILES_PATH": "vendor/lib/public"})
    assert said.startswith("FAILED: submodules are empty: vendor/lib. Set fullClone: true")


# .dockerignore


@pytest.mark.parametrize(
    ("rules", "path", "left_out"),
    [
        ("docs", "docs", True),
        ("docs", "docs/deep/page.md", True),
        ("docs", "documents", False),
        ("/docs/", "docs/page.md", True),
        ("docs", "src/docs/page.md", False),
        ("**/docs", "src/deep/docs/page.md", True),
        ("**/docs", "docs", True),
        ("**", "anything/at/all", True),
        ("src/**/*.bin", "src/model.bin", True),
        ("src/**/*.bin", "src/a/b/model.bin", True),
        ("*.bin", "model.bin", True),
        ("*.bin", "assets/model.bin", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a.c", "abc", False),
        ("[ab].bin", "a.bin", True),
        ("[ab].bin", "c.bin", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "aXb", False),
        ("a+(b)", "a+(b)", True),
        ("*\n!keep.bin", "keep.bin", False),
        ("*\n!keep.bin", "other.bin", True),
        ("*\n!keep\nkeep/x", "keep/x", True),
        ("*\n!keep\nkeep/x", "keep/y", False),
        ("# docs", "docs", False),
        ("  docs  ", "docs", True),
        ("\ufeffdocs", "docs", True),
        ("", "docs", False),
    ],
)
def test_dockerignore_is_read_as_docker_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str, path: str, *, left_out: bool
) -> None:
    """https://docs.docker.com/build/concepts/context/#dockerignore-files; the executed job holds it to BuildKit."""
    (tmp_path / ".dockerignore").write_text(rules, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert module("dockerignore").excluded("Dockerfile", ".")(path) is left_out
