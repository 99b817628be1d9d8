"""What a build is handed of the code: as CodePipeline makes it, whatever the repository holds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from local.errors import Refusal
from local.rehearsal.codebuild import Build, BuildHost, CloneReference, Result, names_in, run_build, unpack
from local.rehearsal.codebuild.source_action import archive

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4\n"
SPEC = "version: 0.2\nenv: {shell: bash}\nphases: {build: {commands: [ls -A]}}\n"
PLACE = BuildHost(environment={"PATH": "/usr/local/bin:/usr/bin:/bin"})


def git(folder: Path, *words: str) -> str:
    """Run git as somebody."""
    people = {f"GIT_{who}_{what}": "somebody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **people}
    return subprocess.run(
        ["git", *words], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with what an archive cannot hold."""
    code = tmp_path / "code"
    (code / "config").mkdir(parents=True)
    (code / "config" / "shared.conf").write_text("port = 1\n")
    (code / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (code / "run.sh").chmod(0o755)
    (code / "app.conf").symlink_to("config/shared.conf")
    (code / "folder").symlink_to("config")
    (code / "dangling").symlink_to("../.venv/lib/skills")
    (code / "outside").symlink_to("/etc/passwd")
    (code / "grüße größe.txt").write_text("hello\n")
    (code / "empty").mkdir()
    return code


@pytest.fixture
def repository(code: Path) -> Path:
    """The same as a Git repository, with a submodule and a file in Git LFS."""
    (code / "model.bin").write_text(POINTER)
    (code / ".gitattributes").write_text("*.bin filter=lfs -text\n/tests export-ignore\n")
    (code / ".gitignore").write_text("node_modules\n")
    (code / "tests").mkdir()
    (code / "tests" / "test.py").write_text("x\n")
    git(code, "init", "--quiet", "--initial-branch", "main")
    git(code, "add", "--all")
    git(code, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor/lib")
    git(code, "commit", "--quiet", "--message", "as it is")
    (code / "node_modules").mkdir()
    (code / "node_modules" / "ignored.js").write_text("x")
    (code / "new.txt").write_text("not added")
    (code / "run.sh").write_text("changed")
    return code


def unpacked(code: Path, folder: Path) -> Path:
    return unpack(archive(code, folder / "code.zip"), folder / "unpacked")


@pytest.mark.parametrize("kind", ["code", "repository"])
def test_a_link_is_a_text_no_file_is_executable_and_names_are_kept(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A link that leads nowhere was a traceback, one that leads out of the folder was packed with what is there."""
    there = unpacked(request.getfixturevalue(kind), tmp_path)
    assert {name: (there / name).read_text() for name in ("app.conf", "folder", "dangling", "outside")} == {
        "app.conf": "config/shared.conf",
        "folder": "config",
        "dangling": "../.venv/lib/skills",
        "outside": "/etc/passwd",
    }
    assert not [path for path in there.rglob("*") if path.is_symlink()]
    assert not (there / "run.sh").stat().st_mode & 0o111
    assert (there / "grüße größe.txt").read_text() == "hello\n"
    assert not (there / "empty").exists(), "git knows no empty folders"


def test_a_repository_is_its_last_commit(repository: Path, tmp_path: Path) -> None:
    names = names_in(archive(repository, tmp_path / "code.zip"))
    assert names == sorted(
        [
            *(".gitattributes", ".gitignore", "app.conf", "config/", "config/shared.conf", "dangling", "folder"),
            *("grüße größe.txt", "model.bin", "outside", "run.sh", "vendor/", "vendor/lib/"),
        ]
    )
    there = unpacked(repository, tmp_path / "again")
    assert (there / "run.sh").read_text() == "#!/bin/sh\necho ran\n"
    assert list((there / "vendor" / "lib").iterdir()) == []
    assert (there / "model.bin").read_text() == POINTER


def test_the_users_own_git_lfs_does_not_fill_the_archive(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a developer's machine git archive would call Git LFS for what an archive of AWS does not have."""
    config = tmp_path / "gitconfig"
    config.write_text('[filter "lfs"]\n\tsmudge = echo content of\n\trequired = true\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    git(repository, "config", "filter.lfs.smudge", "echo content of")
    assert (unpacked(repository, tmp_path) / "model.bin").read_text() == POINTER


def test_a_repository_of_another_user_is_read(repository: Path, tmp_path: Path) -> None:
    """Images are built by root, and the code is whoever's who calls it."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in (repository, *repository.rglob("*")):
        os.lchown(path, 12345, 12345)
    assert "run.sh" in names_in(archive(repository, tmp_path / "code.zip"))


def test_a_repository_without_a_commit_is_refused_with_gits_words(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "code")
    with pytest.raises(Refusal, match=r"a Git repository with a commit is wanted here\. git HEAD said: fatal: "):
        archive(tmp_path / "code", tmp_path / "code.zip")


@pytest.mark.parametrize("committed", [True, False])
def test_a_name_that_no_zip_can_hold_is_refused_by_name(code: Path, tmp_path: Path, *, committed: bool) -> None:
    Path(os.fsdecode(os.fsencode(code) + b"/caf\xe9")).write_text("x")
    if committed:
        git(code, "init", "--quiet")
        git(code, "add", "--all")
        git(code, "commit", "--quiet", "--message", "as it is")
    with pytest.raises(Refusal, match=r"the name b'caf\\xe9' is not UTF-8; rename the file"):
        archive(code, tmp_path / "code.zip")


def built(code: Path, folder: Path, spec: str = SPEC, source: str = "Source") -> Result:
    """A build that lists its source, or does something else with it."""
    build = Build(project="shop", buildspec=spec, inputs={"Source": code}, code={source})
    return run_build(build, PLACE, folder / "build")


def printed(result: Result) -> list[str]:
    return [line for line in result.log.splitlines() if not line.startswith("[Container]")]


def test_an_artifact_of_a_build_keeps_what_links_lead_to(code: Path, tmp_path: Path) -> None:
    """A link that leads nowhere matches no file."""
    result = built(code, tmp_path, source="")
    assert printed(result) == ["app.conf", "config", "grüße größe.txt", "outside", "run.sh"]


def test_a_clone_is_the_commit_of_the_run(repository: Path, tmp_path: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "later")
    reference = CloneReference(repository="example/shop", url=repository.as_uri(), commit=commit, branch="main")
    spec = (
        "version: 0.2\nenv: {shell: bash}\nphases: {build: {commands: ["
        "git rev-parse HEAD, git rev-list --count --all, test -L app.conf, test -x run.sh, "
        "git config --global credential.helper || echo none]}}\n"
    )
    result = built(reference.write(tmp_path / "reference.json"), tmp_path, spec)
    assert result.succeeded, result.log
    assert printed(result) == [commit, "2", "none"]


def test_git_has_credentials_where_the_buildspec_wants_them(code: Path, tmp_path: Path) -> None:
    """https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html, env/git-credential-helper."""
    command = "git config --get-all credential.helper"
    spec = SPEC.replace("bash", "bash, git-credential-helper: yes").replace("ls -A", command)
    assert printed(built(code, tmp_path, spec)) == ["!aws codecommit credential-helper $@"]


def test_a_clone_that_fails_fails_the_download_and_runs_nothing(tmp_path: Path) -> None:
    reference = CloneReference(repository="a/b", url=(tmp_path / "nowhere").as_uri(), commit="0" * 40, branch="main")
    result = built(reference.write(tmp_path / "reference.json"), tmp_path)
    assert [(phase.name, phase.status) for phase in result.phases] == [("DOWNLOAD_SOURCE", "FAILED")]
    assert result.phases[0].message.startswith("CLIENT_ERROR: cloning failed for primary source and source version 000")


@pytest.mark.parametrize("content", ["{}", "[]", "nothing"])
def test_a_file_that_is_no_reference_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "reference.json").write_text(content)
    with pytest.raises(Refusal, match=r"reference\.json is not the reference to a repository: "):
        built(tmp_path / "reference.json", tmp_path)


def test_a_zip_of_the_code_is_taken_as_it_is(repository: Path, tmp_path: Path) -> None:
    result = built(archive(repository, tmp_path / "code.zip"), tmp_path)
    assert "app.conf" in printed(result)
