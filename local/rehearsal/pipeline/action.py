"""What a provider of actions is, and what it works with: the narrow interface between the runner and all services."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from local.rehearsal.deployed import Action, Deployed
from local.rehearsal.emulated import Caller, Need, allows
from local.rehearsal.pipeline.execution import ActionRun
from local.rehearsal.pipeline.store import ArtifactStore


class ActionFailed(Exception):  # noqa: N818 - an outcome
    """Why an action failed, in the words that CodePipeline would show.

    Attributes:
        artifacts: Output artifact -> its key, of what it has stored all the same; no later action gets it.
    """

    def __init__(self, reason: str, artifacts: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.artifacts = dict(artifacts or {})


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """What a successful action leaves.

    Attributes:
        summary: What came of it, in a line.
        variables: Variables for later actions, without the action's namespace.
        artifacts: Output artifact -> its key in the artifact bucket.
    """

    summary: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionContext:
    """What one action of one run works with.

    Attributes:
        deployed: The pipeline.
        run: The action's own record.
        configuration: The provider's keys, references resolved.
        variables: ``namespace.name`` -> value of all that is known in this run.
        revision: The revision that the run was started with, for a source action; empty for the newest.
        artifacts: Input artifact -> its key in the artifact bucket.
        to_come: The actions beside it and after it in this run.
        store: The artifact bucket.
        policies: The policies of the pipeline's role.
        folder: For the action's files; new.
        stop: Set when the run is to stop.
        changed: Called when the record has changed in a way that somebody may want to see.
    """

    deployed: Deployed
    run: ActionRun
    configuration: Mapping[str, str]
    variables: Mapping[str, str]
    revision: str
    artifacts: Mapping[str, str]
    to_come: Sequence[Action]
    store: ArtifactStore
    policies: Sequence[Mapping[str, Any]]
    folder: Path
    stop: threading.Event
    changed: Callable[[], None]

    @property
    def action(self) -> Action:
        """The action."""
        return self.run.action

    @property
    def by(self) -> Caller:
        """The pipeline's role, as it makes requests."""
        return Caller(self.deployed.role, self.policies)

    def say(self, line: str) -> None:
        """Add a line to the action's log."""
        self.run.log.append(line)
        self.changed()

    def known_as(self, external_id: str) -> None:
        """Keep the provider's ID, by which others follow the action."""
        self.run.external_id = external_id
        self.changed()

    def demand(self, *needs: Need) -> None:
        """Do nothing if the pipeline's role has these permissions.

        Raises:
            ActionFailed: It lacks one, which is named with action, resource and role.
        """
        for need in needs:
            if not allows(self.policies, need, account=self.store.account, region=self.store.region):
                raise ActionFailed(
                    f"The service role {self.deployed.role} is not authorized to perform {need.action} on "
                    f"{need.resource}."
                )

    def fetch(self, artifact: str) -> Path:
        """Return an input artifact, fetched under the pipeline's role."""
        return self.store.as_pipeline.get(self.artifacts[artifact], self.folder / f"{artifact}.zip")

    def read(self, artifact: str, path: str) -> str:
        """Return the text of a file in an input artifact.

        Raises:
            ActionFailed: The artifact has no such file.
        """
        packed = self.folder / f"{artifact}.zip"
        with zipfile.ZipFile(packed if packed.exists() else self.fetch(artifact)) as archive:
            if path not in archive.namelist():
                raise ActionFailed(f"The artifact {artifact} holds no {path}.")
            return archive.read(path).decode()

    def keep(self, artifact: str, file: Path) -> dict[str, str]:
        """Store an output artifact under the pipeline's role; returns its key by its name."""
        return {artifact: self.store.as_pipeline.put(artifact, file)}


class ActionProvider(Protocol):
    """A service that carries out actions."""

    def run(self, context: ActionContext) -> Completed:
        """Carry out one action, and return when it is over.

        Raises:
            ActionFailed: It failed.
        """
