"""The code as CodePipeline hands it over: complete a clone, and refuse what would be built green and wrong.

An archive of a commit has empty folders for submodules, pointers for Git LFS files, and text for symbolic links. A
clone (fullClone, in the section source of the stack file) lacks submodules and LFS files only, and these are fetched
here.

Variables, for a clone only: CONNECTION_ARN, CLONED_FROM (address of the Git provider), and CLONED_REPOSITORIES (JSON
list of names there, such as owner/name, the code's own first).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jobs import inputs, job

# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: a pointer has fewer bytes than this, and it begins so.
SMALL = 1024
POINTER = b"version https://git-lfs.github.com/spec/v1\n"
SHOWN = 5
CLONE = "fullClone: true, in the section source of the stack file (with source.s3: upload an archive that holds them)"


class Gaps(NamedTuple):
    """Paths that are not as they were committed: for certain, and by their looks."""

    submodules: list[str]
    pointers: list[str]
    links: list[str]


def is_clone() -> bool:
    """Whether the code is a clone."""
    return Path(".git").exists()


def complete(folder: str, excluded: Callable[[str], bool] | None = None, needs: str = "") -> None:
    """Have all of a folder, or end the job.

    `excluded` says which paths within the folder a .dockerignore leaves out; `needs` is one more path to have.
    """
    gaps = found(folder, excluded, needs)
    if is_clone():
        if gaps.submodules:
            command = ("git", *through_connection(), "submodule", "update", "--init", "--recursive", "--")
            why = "Clone submodules (of private repositories: see submodules, in the section source)"
            job.run(why, *command, *gaps.submodules, env={"GIT_TERMINAL_PROMPT": "0"})
            gaps = found(folder, excluded, needs)
        if gaps.pointers:
            fetch_large_files()
            gaps = found(folder, excluded, needs)
    elif gaps.links and excluded:
        job.say(f"NOTE: an archive has text for symbolic links; these look like it: {shown(gaps.links)}. Set {CLONE}.")
    if gaps.submodules:
        fix = "Name private ones under submodules, in the section source, and take stale ones out of .gitmodules"
        fail(f"submodules are empty: {shown(gaps.submodules)}", fix, excluded)
    if gaps.pointers:
        fix = "Git LFS files can be fetched from public repositories only"
        fail(f"Git LFS files are pointers without their content: {shown(gaps.pointers)}", fix, excluded)


def fail(what: str, fix: str, excluded: Callable[[str], bool] | None) -> None:
    """End the job for what is missing; the fix is that of a clone."""
    fix = fix if is_clone() else f"Set {CLONE}"
    job.fail(f"{what}. {fix}{', or list them in .dockerignore' if excluded else ''}.")


def shown(paths: list[str]) -> str:
    """Some of the paths, and how many more."""
    return ", ".join(paths[:SHOWN]) + (f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else "")


def lies_in(path: str, folder: str) -> bool:
    """Whether the path is the folder or below it."""
    return not os.path.relpath(path, folder).startswith("..")


def found(folder: str, excluded: Callable[[str], bool] | None, needs: str) -> Gaps:
    """Look through the folder."""
    gaps = Gaps([], [], [])

    def counts(path: str | Path) -> bool:
        return not (excluded and excluded(os.path.relpath(path, folder)))

    modules = Path(".gitmodules")
    text = job.content(str(modules)).decode(errors="replace") if modules.is_file() else ""
    for module in re.findall(r"^\s*path\s*=\s*(.+?)\s*$", text, re.MULTILINE):
        inside = lies_in(module, folder) and counts(module)
        needed = inside or lies_in(folder, module) or (needs and lies_in(needs, module))
        if needed and not (Path(module).is_dir() and any(Path(module).iterdir())):
            gaps.submodules.append(module)
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for path in (Path(here, name) for name in files):
            if path.is_symlink() or path.stat().st_size >= SMALL:
                continue
            content = path.read_bytes()
            pointer = content.startswith(POINTER)
            named = os.fsencode(here) + b"/" + content
            link = content and b"\n" not in content and os.path.exists(named)  # noqa: PTH110 - of any length and bytes
            if (pointer or link) and counts(path):
                (gaps.pointers if pointer else gaps.links).append(str(path))
    return gaps


def repositories() -> list[str]:
    """The code's own repository, and private ones of submodules; none outside of the pipeline."""
    return list(map(str, inputs.parsed("CLONED_REPOSITORIES", job.optional("CLONED_REPOSITORIES"), list)))


def through_connection() -> list[str]:
    """Options by which git reaches the private repositories of submodules through the connection.

    The address: https://docs.aws.amazon.com/eks/latest/userguide/argocd-configure-repositories.html, "CodeConnections".
    """
    private = repositories()[1:]
    if not private:
        return []
    _, _, service, region, account, connection = job.require("CONNECTION_ARN").split(":")
    server = job.require("CLONED_FROM")
    host = server.partition("://")[2]
    through = f"https://{service}.{region}.amazonaws.com/git-http/{account}/{region}/{connection.split('/')[1]}/"
    return [
        option
        for repository in private
        for origin in (f"{server}/", f"git@{host}:", f"ssh://git@{host}/")
        for option in ("-c", f"url.{through}{repository}.insteadOf={origin}{repository}")
    ]


def fetch_large_files() -> None:
    """Fetch Git LFS files: from where the clone is from, or from the Git provider as everybody may."""
    env = {"GIT_TERMINAL_PROMPT": "0"}
    job.run("Have git use Git LFS", "git", "lfs", "install", "--local", check=False, env=env)
    server = job.optional("CLONED_FROM")
    everybodys = [("-c", f"lfs.url={server}/{own}.git/info/lfs") for own in repositories()[:1]]
    for options in ((), *everybodys):
        done = job.run("Fetch Git LFS files", "git", *options, "lfs", "pull", check=False, env=env)
        if not done.code:
            return
        job.say(done.errors)
