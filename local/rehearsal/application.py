"""The user's application, as a source action finds it: one commit of a repository. Nothing of the user's is touched.

What is not committed yet is committed in a copy, so that it can be tried: what Git tracks and what it does not ignore.
A folder that is no Git repository of its own, such as one within a larger repository, becomes one in the copy.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from local.errors import Refusal
from local.rehearsal import git_hosting
from local.rehearsal.codebuild import CloneReference
from local.rehearsal.codebuild.source_action import archive
from local.rehearsal.job_sandbox import JobSandbox

_NOBODY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "ecs-delivery rehearsal"), ("EMAIL", "rehearsal@localhost"))
}
_LISTED = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
_LARGE_FILES = ("filter.lfs.clean=git-lfs clean -- %f", "filter.lfs.smudge=", "filter.lfs.required=true")
_WITH_A_PROVIDER = re.compile(
    rf"(?:{'|'.join(map(re.escape, git_hosting.PROVIDERS))})[:/]([\w.-]+(?:/[\w.-]+)*/[\w.-]+?)(?:\.git)?/?$"
)
_AS_COMMITTED = ("filter.lfs.smudge=", "filter.lfs.process=", "filter.lfs.required=false", "core.symlinks=true")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One commit of an application.

    Attributes:
        folder: A repository of the rehearsal's own, with the commit checked out.
        commit: The commit's ID.
        message: Its message.
        author: Who made it.
        date: When, in UTC, by ISO 8601.
        branch: The branch it is on.
        origin: Where it is from, in words.
        submodules: The repositories of Git providers that are checked out in it, by their names there.
    """

    folder: Path
    commit: str
    message: str
    author: str
    date: str
    branch: str
    origin: str
    submodules: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, application: Path, folder: Path, *, branch: str = "") -> Self:
        """Take over the application.

        Args:
            application: Its folder.
            folder: Where its repository is made; nothing is there yet.
            branch: The branch that the commit is to be on; by default that of the application, or ``main``.

        Raises:
            Refusal: There is no such folder, or nothing in it.
        """
        if not application.is_dir():
            raise Refusal(f"{application} is no folder: the folder of an application is wanted, with its Dockerfile")
        application = application.resolve()
        head = _head(application)
        own = branch or _branch(application, head) or "main"
        if head:
            _clone(application, folder)
            _take_large_files(application, folder)
            _git(folder, "checkout", "--quiet", "-B", own, head)
            changed = bool(_ask(application, "status", "--porcelain", "--untracked-files=normal"))
            origin = f"{application}: commit {head[:7]}"
        else:
            folder.mkdir(parents=True)
            _git(folder, "init", "--quiet", "--initial-branch", own)
            changed, origin = True, f"{application}: the folder's files"
        if changed:
            _commit_from(application, folder, tracked=bool(head))
            origin += " and what is not committed yet" if head else ""
        return replace(cls._at_head(folder, own, origin), submodules=_submodules(application) if head else {})

    def changed(self, what: str) -> Self:
        """Return the same with the files of its folder as they are now, committed.

        Args:
            what: The commit's message.
        """
        _git(self.folder, "add", "--all", "--force")
        _git(self.folder, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", what, at=self.date)
        changed = self._at_head(self.folder, self.branch, f"{self.origin}, changed: {what}")
        return replace(changed, submodules=self.submodules)

    def archive(self, target: Path) -> Path:
        """Write the artifact of a source action with the output artifact format ``CODE_ZIP``."""
        return archive(self.folder, target)

    def publish(self, sandbox: JobSandbox, repository: str) -> None:
        """Put it where connections serve it, under a name such as ``owner/name``, and its submodules for all."""
        sandbox.publish(self.folder, repository)
        for name, folder in self.submodules.items():
            sandbox.publish(folder, name, public=True)

    def reference(self, sandbox: JobSandbox, repository: str, connection_arn: str) -> Path:
        """Write the artifact of a source action with ``CODEBUILD_CLONE_REF``, of what was published."""
        written = sandbox.clone_reference(repository, connection_arn, self.branch)
        found = CloneReference.read(written)
        return replace(found, commit=self.commit).write(written)

    @property
    def variables(self) -> dict[str, str]:
        """What a source action of a connection says of the commit.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html#reference-variables-list-configured
        """
        return {
            "CommitId": self.commit,
            "CommitMessage": self.message,
            "AuthorDate": self.date,
            "AuthorDisplayName": self.author,
            "BranchName": self.branch,
        }

    @property
    def changed_paths(self) -> tuple[str, ...]:
        """The files that its last commit changed; all of them if it is the first one."""
        said = _git(self.folder, "show", "--format=", "--name-only", "--first-parent", "-m", "-z", "HEAD")
        return tuple(path for path in said.split("\0") if path)

    @property
    def history(self) -> tuple[tuple[str, str], ...]:
        """The ID and the message of each commit of the straight history, the oldest first."""
        said = _git(self.folder, "log", "--first-parent", "--reverse", "--format=%H%x00%B%x01")
        commits = (entry.strip().split("\0", 1) for entry in said.split("\x01") if entry.strip())
        return tuple((commit, message.strip()) for commit, message in commits)

    @classmethod
    def _at_head(cls, folder: Path, branch: str, origin: str) -> Self:
        said = _git(folder, "log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%H%x00%an%x00%ad%x00%B")
        commit, author, date, message = said.split("\0", 3)
        return cls(
            folder=folder,
            commit=commit,
            message=message.strip(),
            author=author,
            date=date,
            branch=branch,
            origin=origin,
        )


def _head(application: Path) -> str:
    """The commit of a repository that the folder is the top of; empty when it is none, or has no commit."""
    if not (application / ".git").exists():
        return ""
    return _ask(application, "rev-parse", "--verify", "--quiet", "HEAD", fails=True).strip()


def _branch(application: Path, head: str) -> str:
    return _ask(application, "symbolic-ref", "--quiet", "--short", "HEAD", fails=True).strip() if head else ""


def _clone(application: Path, folder: Path) -> None:
    """Clone the repository, without a link to any of its files: Git touches what it shares."""
    clone = ("clone", "--quiet", "--no-checkout", "--no-hardlinks", str(application), str(folder))
    with tempfile.NamedTemporaryFile("w", suffix=".gitconfig") as trusting:
        # What serves the clone does not see the settings of who asks for it.
        trusting.write(f'[safe]\ndirectory = "{application}"\ndirectory = "{application / ".git"}"\n')
        trusting.flush()
        _run(folder.parent, application, *clone, config=trusting.name)


def _submodules(application: Path) -> dict[str, Path]:
    """The submodules that are checked out, by the names that their repositories have with Git providers."""
    listed = _ask(application, "config", "--file", ".gitmodules", "--null", "--get-regexp", "", fails=True)
    values = dict(entry.split("\n", 1) for entry in listed.split("\0") if "\n" in entry)
    urls = ((key.removesuffix(".url"), url) for key, url in values.items() if key.endswith(".url"))
    known = ((key, _WITH_A_PROVIDER.search(url)) for key, url in urls)
    folders = {found[1]: application / values.get(f"{key}.path", "") for key, found in known if found}
    return {name: folder for name, folder in folders.items() if (folder / ".git").exists() and folder != application}


def _commit_from(application: Path, folder: Path, *, tracked: bool) -> None:
    """Commit the application's files as they are, in the repository of the rehearsal."""
    files = _files(application, folder)
    if not files and not tracked:
        raise Refusal(f"{application} has no files: the folder of an application is wanted, with its Dockerfile")
    here = (f"--git-dir={folder / '.git'}", f"--work-tree={application}")
    large = _large_files_settings(application, files)
    if tracked:
        _run(application, application, *large, *here, "add", "--update", ".")
    paths = "\0".join(files)
    add = ("--literal-pathspecs", "add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul")
    if files:
        _run(application, application, *large, *here, *add, given=paths)
    message = f"What is not committed yet in {application.name}" if tracked else f"The folder {application.name}"
    at = _newest(application, files)  # the same files make the same commit each time
    _git(folder, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", message, at=at)
    _git(folder, "reset", "--quiet", "--hard")
    _git(folder, "clean", "--quiet", "--force", "-d", "-x")  # files that are deleted, and were checked out


def files_of(folder: Path) -> list[str]:
    """Return the files below a folder that Git tracks or would add; none where there is no repository."""
    return _names(_ask(folder, *_LISTED, "--", ".", fails=True))


def _names(listed: str) -> list[str]:
    return list(dict.fromkeys(name for name in listed.split("\0") if name))


def _files(application: Path, folder: Path) -> list[str]:
    """The files that Git tracks or would add, below the application's folder."""
    names = files_of(application)
    if not names:  # no repository, or all of it is ignored by the one around it
        own = (f"--git-dir={folder / '.git'}", f"--work-tree={application}")
        names = _names(_ask(application, *own, *_LISTED))
    # A tracked file may be deleted, and a folder that is a repository of its own is a submodule, or nobody's.
    return [name for name in names if os.path.lexists(application / name)]


def _newest(application: Path, files: Sequence[str]) -> str:
    """When one of the files has last been changed."""
    seconds = max((int((application / name).lstat().st_mtime) for name in files), default=0)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _large_files_settings(application: Path, files: Sequence[str]) -> tuple[str, ...]:
    """The settings with which Git keeps what is for Git LFS out of the commit."""
    attributes = [application / name for name in files if Path(name).name == ".gitattributes"]
    if not any("filter=lfs" in file.read_text(errors="replace") for file in attributes):
        return ()
    if shutil.which("git-lfs") is None:
        raise Refusal(f"{application} keeps files in Git LFS and has uncommitted ones: install git-lfs, or commit them")
    return tuple(word for setting in _LARGE_FILES for word in ("-c", setting))


def _take_large_files(application: Path, folder: Path) -> None:
    """Take what the repository has of Git LFS, by links where that is possible."""
    common = _ask(application, "rev-parse", "--path-format=absolute", "--git-common-dir").strip()
    stored = Path(common) / "lfs" / "objects"
    if stored.is_dir():
        shutil.copytree(stored, folder / ".git" / "lfs" / "objects", copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _git(folder: Path, *words: str, at: str = "") -> str:
    """Run git in the rehearsal's own repository, as it comes."""
    settings = [word for setting in _AS_COMMITTED for word in ("-c", setting)]
    return _run(folder, folder, *settings, *words, at=at)


def _ask(application: Path, *words: str, fails: bool = False) -> str:
    """Ask git about the user's repository, as the user has configured it; nothing is written, not even its index."""
    return _run(application, application, *words, config=None, fails=fails)


def _run(
    folder: Path,
    trusted: Path,
    *words: str,
    given: str = "",
    config: str | None = os.devnull,
    fails: bool = False,
    at: str = "",
) -> str:
    """Run git.

    Args:
        folder: Where.
        trusted: The repository that may be another user's.
        words: Its arguments.
        given: Its standard input.
        config: The user's configuration, which it goes by together with the machine's where this is ``None``.
        fails: Whether it may fail; it has then said nothing.
        at: The date of a commit, instead of now.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CONFIG_HOME") if name in os.environ}
    alone = {"GIT_CONFIG_GLOBAL": config, "GIT_CONFIG_NOSYSTEM": "1"} if config else {}
    dates = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at} if at else {}
    safe = [word for path in (trusted, trusted / ".git") for word in ("-c", f"safe.directory={path}")]
    done = subprocess.run(
        ["git", *safe, *words],
        cwd=folder,
        input=given,
        env={**kept, **alone, **_NOBODY, **dates, "GIT_OPTIONAL_LOCKS": "0", "TZ": "UTC"},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
    if done.returncode:
        if fails:
            return ""
        raise Refusal(f"{trusted}: git {' '.join(words[-2:])} failed and said: {done.stderr.strip()}")
    return done.stdout
