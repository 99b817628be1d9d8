"""What CodePipeline's source action hands to a build, made of a repository on this machine.

With the output artifact format ``CODE_ZIP`` that is an archive of one commit, with ``CODEBUILD_CLONE_REF`` a JSON file
that says where the repository is:
https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html

What an archive does not hold:

- A symbolic link is "replaced with a textual representation of its target":
  https://github.com/aws/aws-cdk/pull/14520.
- A submodule is an empty folder: https://github.com/aws/copilot-cli/issues/2799,
  https://github.com/aws/aws-cdk/issues/11399.
- There is no ``.git``: https://github.com/thii/aws-codebuild-extras/issues/4.
- A file in Git LFS is its pointer, which is all that the commit holds of it:
  https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
- What is not committed is not there. Neither is here what ``.gitattributes`` marks with ``export-ignore``, as
  ``git archive`` has it (https://git-scm.com/docs/git-archive); no page of AWS says whether its archive does.
- No file is executable. Until the end of 2019 AWS's page said so of sources on GitHub ("a ZIP file process that does
  not preserve external attributes"), and users met it: https://github.com/DFE-Digital/teaching-vacancies/pull/48,
  https://github.com/wellcometrust/reach/pull/130. No page says that it has changed with connections.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from local.errors import Refusal

CLONE_REFERENCE = "CODEBUILD_CLONE_REF"
_AS_COMMITTED = ("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false")
"""An archive has what the commit has, whatever Git LFS does to files on this machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CloneReference:
    """The artifact of a source action with the output artifact format ``CODEBUILD_CLONE_REF``.

    AWS documents that it is "a JSON file that contains a URL reference to the repository", and not its keys. These are
    the ones that have been seen: https://github.com/thii/aws-codebuild-extras/issues/3.

    Attributes:
        repository: The repository's name, ``owner/name``.
        url: Where it is cloned from.
        commit: The commit of the run.
        branch: The branch that the commit was made on.
    """

    repository: str
    url: str
    commit: str
    branch: str

    def write(self, target: Path) -> Path:
        """Write the JSON file."""
        keys = {
            "FullRepositoryName": self.repository,
            "CloneUrl": self.url,
            "CommitId": self.commit,
            "BranchName": self.branch,
        }
        target.write_text(json.dumps(keys), encoding="utf-8")
        return target

    @classmethod
    def read(cls, source: Path) -> Self:
        """Read such a file.

        Raises:
            Refusal: It is another one.
        """
        try:
            keys = json.loads(source.read_text(encoding="utf-8"))
            return cls(
                repository=keys["FullRepositoryName"],
                url=keys["CloneUrl"],
                commit=keys["CommitId"],
                branch=keys["BranchName"],
            )
        except (ValueError, TypeError, KeyError) as error:
            raise Refusal(f"{source} is not the reference to a repository: {error!r}") from None


def archive(code: Path, target: Path) -> Path:
    """Write the archive of a repository's last commit, or of a folder that is no repository.

    Args:
        code: The repository's working tree; without a ``.git``, everything that is in the folder counts as committed.
        target: The zip to write.

    Raises:
        Refusal: Git cannot read the repository, it has no commit, or a name in it cannot stand in a zip.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        for path, content in _committed(code) if (code / ".git").exists() else _in_folder(code):
            try:
                packed.writestr(path, content)
            except UnicodeEncodeError:
                raise Refusal(f"{code}: the name {os.fsencode(path)!r} is not UTF-8; rename the file") from None
    return target


def _committed(code: Path) -> Iterator[tuple[str, bytes]]:
    """Paths and contents in the last commit; a folder's path ends in a slash."""
    with tempfile.TemporaryFile() as made:
        _git(code, *_AS_COMMITTED, "archive", "--format=tar", "HEAD", into=made)
        made.seek(0)
        with tarfile.open(fileobj=made) as opened:
            for entry in opened:
                if entry.isdir():
                    yield f"{entry.name}/", b""
                elif entry.issym():
                    yield entry.name, os.fsencode(entry.linkname)
                else:
                    file = opened.extractfile(entry)
                    yield entry.name, file.read() if file else b""


def _in_folder(code: Path) -> Iterator[tuple[str, bytes]]:
    """Paths and contents in a folder that is no repository, as if all of it were committed."""
    for here, folders, files in os.walk(code):
        links = [name for name in folders if Path(here, name).is_symlink()]
        for name in (*files, *links):
            file = Path(here, name)
            content = os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
            yield str(file.relative_to(code)), content


def _git(code: Path, *words: str, into: IO[bytes] | None = None) -> bytes:
    """Run git as it comes, without what its user has configured, and return what it prints.

    The repository may be another user's: images are built by root.
    """
    done = subprocess.run(
        ["git", "-c", f"safe.directory={code.resolve()}", *words],
        cwd=code,
        stdout=into or subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise Refusal(f"{code}: a Git repository with a commit is wanted here. git {words[-1]} said: {said}")
    return done.stdout or b""
