"""The user's application as a source action finds it, whatever its folder is, and faults that are put into a copy."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from local.errors import Refusal
from local.rehearsal.application import Source
from local.rehearsal.breaking import BREAKS, break_app
from local.rehearsal.codebuild import unpack

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "app"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"


def git(folder: Path, *words: str) -> str:
    """Run git as somebody."""
    people = {f"GIT_{who}_{what}": "somebody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    times = {f"GIT_{who}_DATE": "2026-01-31T13:00:00+01:00" for who in ("AUTHOR", "COMMITTER")}
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    environment = {"PATH": os.environ["PATH"], **alone, **people, **times}
    return subprocess.run(
        ["git", *words], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A repository on a branch, with a commit."""
    code = tmp_path / "shop"
    (code / "src").mkdir(parents=True)
    (code / "Dockerfile").write_text("FROM scratch\n")
    (code / "src" / "app.py").write_text("print(1)\n")
    (code / "gone.txt").write_text("x\n")
    (code / ".gitignore").write_text("*.log\n")
    (code / "link").symlink_to("src/app.py")
    git(code, "init", "--quiet", "--initial-branch", "trunk")
    git(code, "add", "--all")
    git(code, "commit", "--quiet", "--message", "Sell apples\n\nand pears")
    return code


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Each file below a folder, with when it was changed."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, b"" if path.is_symlink() else path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def handed_over(source: Source, folder: Path) -> dict[str, str]:
    """The files of the artifact."""
    unpacked = unpack(source.archive(folder / "code.zip"), folder / "unpacked")
    return {str(path.relative_to(unpacked)): path.read_text() for path in sorted(unpacked.rglob("*")) if path.is_file()}


def test_a_commit_is_taken_as_it_is(code: Path, tmp_path: Path) -> None:
    before = everything(code)
    source = Source.of(code, tmp_path / "source")
    assert source.commit == git(code, "rev-parse", "HEAD")
    assert source.origin == f"{code}: commit {source.commit[:7]}"
    assert source.variables == {
        "CommitId": source.commit,
        "CommitMessage": "Sell apples\n\nand pears",
        "AuthorDate": "2026-01-31T12:00:00Z",
        "AuthorDisplayName": "somebody",
        "BranchName": "trunk",
    }
    assert handed_over(source, tmp_path) == {
        ".gitignore": "*.log\n",
        "Dockerfile": "FROM scratch\n",
        "gone.txt": "x\n",
        "link": "src/app.py",
        "src/app.py": "print(1)\n",
    }
    assert (source.folder / "link").is_symlink()
    assert everything(code) == before


def test_what_is_not_committed_is_taken_too_and_the_repository_is_not_touched(code: Path, tmp_path: Path) -> None:
    first = git(code, "rev-parse", "HEAD")
    (code / "src" / "app.py").write_text("print(2)\n")
    (code / "gone.txt").unlink()
    (code / "new [1] grüße.txt").write_text("new\n")
    (code / "staged.txt").write_text("staged\n")
    git(code, "add", "staged.txt")
    (code / "error.log").write_text("ignored\n")
    (code / ".git" / "info" / "exclude").write_text("secret\n")
    (code / "secret").write_text("excluded\n")
    before = everything(code)
    source = Source.of(code, tmp_path / "source", branch="main")
    assert everything(code) == before
    assert git(source.folder, "rev-parse", "HEAD^", "HEAD").splitlines() == [first, source.commit]
    assert source.origin == f"{code}: commit {first[:7]} and what is not committed yet"
    assert (source.branch, source.message) == ("main", "What is not committed yet in shop")
    assert handed_over(source, tmp_path) == {
        ".gitignore": "*.log\n",
        "Dockerfile": "FROM scratch\n",
        "link": "src/app.py",
        "new [1] grüße.txt": "new\n",
        "src/app.py": "print(2)\n",
        "staged.txt": "staged\n",
    }
    assert git(source.folder, "status", "--porcelain") == ""


def test_what_the_user_has_git_ignore_everywhere_is_ignored(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / ".gitconfig").write_text("[core]\nexcludesFile = ~/ignored\n")
    (tmp_path / "ignored").write_text(".DS_Store\n")
    (code / ".DS_Store").write_text("x")
    (code / "new.txt").write_text("x")
    names = set(handed_over(Source.of(code, tmp_path / "source"), tmp_path))
    assert "new.txt" in names
    assert ".DS_Store" not in names


@pytest.mark.parametrize("kind", ["folder", "without a commit", "within another repository", "ignored there"])
def test_a_folder_that_is_no_repository_of_its_own_becomes_one(code: Path, tmp_path: Path, kind: str) -> None:
    application = code
    if kind == "folder":
        shutil.rmtree(code / ".git")
    elif kind == "without a commit":
        shutil.rmtree(code / ".git")
        git(code, "init", "--quiet")
    else:
        shutil.rmtree(code / ".git")
        git(tmp_path, "init", "--quiet")
        (tmp_path / ".gitignore").write_text("shop/\n" if kind == "ignored there" else "*.log\n")
        git(tmp_path, "add", "--all")
    (application / "error.log").write_text("ignored\n")
    before = everything(tmp_path)
    source = Source.of(application, tmp_path / "source")
    kept = {name: found for name, found in everything(tmp_path).items() if not name.startswith("source/")}
    assert kept == before
    assert set(handed_over(source, tmp_path)) == {".gitignore", "Dockerfile", "gone.txt", "link", "src/app.py"}
    assert (source.branch, source.message) == ("main", "The folder shop")
    assert git(source.folder, "rev-list", "--count", "HEAD") == "1"


def test_the_example_is_a_folder_of_its_own(tmp_path: Path) -> None:
    source = Source.of(EXAMPLE, tmp_path / "source")
    files = handed_over(source, tmp_path)
    assert {"Dockerfile", "smoke/Dockerfile", "VERSION", "shop/server.py"} <= set(files)
    assert not [name for name in files if "__pycache__" in name or name.startswith(("components", ".git/"))]


def test_large_files_stay_pointers(need: Callable[..., None], code: Path, tmp_path: Path) -> None:
    """A commit holds the pointer; the large file itself is taken along for a clone."""
    need("git-lfs")
    content, changed = b"weights " * 100, b"better weights"
    oid = hashlib.sha256(content).hexdigest()
    (code / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (code / "model.bin").write_text(POINTER.format(oid=oid, size=len(content)))
    git(code, "add", "--all")
    git(code, "commit", "--quiet", "--message", "a model")
    stored = code / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    stored.parent.mkdir(parents=True)
    stored.write_bytes(content)
    (code / "model.bin").write_bytes(content)  # as a checkout with Git LFS leaves it
    (code / "second.bin").write_bytes(changed)
    before = everything(code)
    source = Source.of(code, tmp_path / "source")
    files = handed_over(source, tmp_path)
    new = hashlib.sha256(changed).hexdigest()
    assert files["model.bin"] == POINTER.format(oid=oid, size=len(content))
    assert files["second.bin"] == POINTER.format(oid=new, size=len(changed))
    objects = source.folder / ".git" / "lfs" / "objects"
    assert {path.name for path in objects.rglob("*") if path.is_file()} == {oid, new}
    assert everything(code) == before


def test_submodules_that_are_checked_out_are_taken_along(code: Path, tmp_path: Path) -> None:
    """A clone fetches them from GitHub, where the rehearsal has what is checked out here."""
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "--quiet")
    (library / "lib.py").write_text("x")
    git(library, "add", "--all")
    git(library, "commit", "--quiet", "--message", "a library")
    for name in ("one lib", "two", "elsewhere"):
        git(code, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), f"vendor/{name}")
    modules = ("config", "--file", ".gitmodules")
    for name, url in (("one lib", "https://github.com/example/lib.git"), ("two", "git@github.com:example/two.js")):
        git(code, *modules, f"submodule.vendor/{name}.url", url)
    git(code, *modules, "submodule.gone.url", "https://github.com/example/gone")
    git(code, *modules, "submodule.gone.path", "vendor/gone")
    source = Source.of(code, tmp_path / "source")
    assert source.submodules == {
        "example/lib": code / "vendor" / "one lib",
        "example/two.js": code / "vendor" / "two",
    }
    assert source.changed("something").submodules == source.submodules
    assert (source.folder / "vendor" / "one lib").is_dir()


def test_a_repository_of_another_user_is_read(need: Callable[..., None], code: Path, tmp_path: Path) -> None:
    need("namespaces")  # for root, who alone may give files away
    for path in (code, *code.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    (code / "new.txt").write_text("x")
    source = Source.of(code, tmp_path / "source")
    assert "new.txt" in handed_over(source, tmp_path)


def test_what_is_no_application_is_said(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"missing is no folder: the folder of an application is wanted"):
        Source.of(tmp_path / "missing", tmp_path / "source")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refusal, match=r"empty has no files: the folder of an application is wanted"):
        Source.of(tmp_path / "empty", tmp_path / "source")


# Faults.


@pytest.mark.parametrize("what", list(BREAKS))
def test_a_fault_changes_the_copy_alone(tmp_path: Path, what: str) -> None:
    """What each does is in tests/rehearsal/test_application.py."""
    source = Source.of(EXAMPLE, tmp_path / "source")
    words = break_app(source.folder, what)
    broken = source.changed(words)
    assert broken.message == words
    assert git(source.folder, "diff", "--name-only", source.commit, broken.commit)
    assert git(source.folder, "status", "--porcelain") == ""
    again = Source.of(EXAMPLE, tmp_path / "again").folder / "shop"
    there = {name for name in everything(EXAMPLE / "shop") if "__pycache__" not in name}
    assert {name for name in everything(again) if "__pycache__" not in name} == there


@pytest.mark.parametrize(
    ("what", "file"), [("build", "docker/Dockerfile"), ("crash", "docker/Dockerfile"), ("smoke", "test/Dockerfile")]
)
def test_some_faults_fit_any_application(tmp_path: Path, what: str, file: str) -> None:
    for name in ("docker/Dockerfile", "test/Dockerfile"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("FROM scratch")
    break_app(tmp_path, what, dockerfile="docker/Dockerfile", smoke="test/Dockerfile")
    changed = {
        name for name in ("docker/Dockerfile", "test/Dockerfile") if (tmp_path / name).read_text() != "FROM scratch"
    }
    assert changed == {file}


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("health", "this fault is put into the code of examples/app"),
        ("lighthouse", "this fault is put into the code of examples/app"),
        ("build", "the application has no Dockerfile to put the fault into"),
        ("smoke", "the application has no Dockerfile to put the fault into"),
        ("nonsense", "there is no fault 'nonsense'; there are build, health, lighthouse, smoke, crash, migration"),
    ],
)
def test_a_fault_that_does_not_fit_is_refused(tmp_path: Path, what: str, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        break_app(tmp_path, what)
