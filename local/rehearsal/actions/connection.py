"""A connection to a Git provider, CodePipeline's source action for code.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.rehearsal import git_hosting
from local.rehearsal.codebuild import CloneReference
from local.rehearsal.codebuild.source_action import CLONE_REFERENCE, archive
from local.rehearsal.emulated import Need
from local.rehearsal.pipeline.action import ActionContext, ActionFailed, Completed

_FORMAT = ("--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%H%x00%ad%x00%an%x00%ae%x00%B")


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """What a connection reaches.

    Attributes:
        repositories: The folder with ``NAME.git`` of each repository.
    """

    repositories: Path

    def run(self, context: ActionContext) -> Completed:
        """Hand on the code of a commit: the one the run was started with, or the branch's newest."""
        wanted = context.configuration
        repository, branch, arn = wanted["FullRepositoryId"], wanted["BranchName"], wanted["ConnectionArn"]
        service = arn.split(":")[2]
        context.demand(Need(f"{service}:UseConnection", arn, {f"{service}:FullRepositoryId": repository}))
        bare = self.repositories / f"{repository}.git"
        if not bare.is_dir():
            raise ActionFailed(f"No repository {repository} can be reached through the connection.")
        found = _git(bare, "log", "-1", *_FORMAT, context.revision or branch)
        if found is None:
            raise ActionFailed(f"The repository {repository} has no {context.revision or f'branch {branch}'}.")
        commit, date, author, address, message = found.split("\0", 4)
        context.say(f"{repository} at {commit[:7]}: {message.splitlines()[0]}")
        name = context.action.outputs[0]
        return Completed(
            summary=f"{commit[:7]} {message.splitlines()[0]}",
            variables={
                "AuthorDate": date,
                "AuthorDisplayName": author,
                "AuthorEmail": address,
                "BranchName": branch,
                "CommitId": commit,
                "CommitMessage": message.rstrip("\n"),
                "ConnectionArn": arn,
                "FullRepositoryName": repository,
            },
            artifacts=context.keep(name, self._artifact(context, bare, commit, name)),
        )

    @staticmethod
    def _artifact(context: ActionContext, bare: Path, commit: str, name: str) -> Path:
        context.folder.mkdir(parents=True)
        if context.configuration.get("OutputArtifactFormat") == CLONE_REFERENCE:
            repository = context.configuration["FullRepositoryId"]
            return CloneReference(
                repository=repository,
                url=git_hosting.address(context.configuration["ConnectionArn"], repository),
                commit=commit,
                branch=context.configuration["BranchName"],
            ).write(context.folder / f"{name}.json")
        tree = context.folder / "tree"
        _git(bare, "clone", "--quiet", "--no-checkout", str(bare), str(tree))
        _git(tree, "checkout", "--quiet", "--detach", commit)
        return archive(tree, context.folder / f"{name}.zip")


def _git(folder: Path, *words: str) -> str | None:
    """What git prints; ``None`` when it refuses."""
    done = subprocess.run(
        ["git", "-C", str(folder), "-c", "safe.directory=*", *words],
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "TZ": "UTC",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else None
