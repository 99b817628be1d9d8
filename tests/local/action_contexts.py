"""What an action of a pipeline works with, without a pipeline around it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from local.rehearsal.pipeline.action import ActionContext

EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
ROLE = "shop-delivery-role"


def all_but(action: str) -> list[dict[str, Any]]:
    """The policies of a role that may do everything but this."""
    return [EVERYTHING, {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}]


class Artifacts:
    """As much of an artifact bucket as an action uses."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self.kept: dict[str, bytes] = {}

    def get(self, key: str, _target: Path) -> Path:
        return self._files[key]

    def put(self, artifact: str, file: Path) -> str:
        self.kept[artifact] = file.read_bytes()
        return f"key-of-{artifact}"


def context(
    folder: Path,
    configuration: Mapping[str, str],
    *,
    inputs: Mapping[str, Path] | None = None,
    outputs: Sequence[str] = (),
    policies: Sequence[Mapping[str, Any]] = (EVERYTHING,),
    revision: str = "",
    minutes: float | None = None,
) -> ActionContext:
    """Return it.

    Args:
        folder: For the action's files.
        configuration: The provider's keys, references resolved.
        inputs: The file of each input artifact.
        outputs: The output artifacts.
        policies: Those of the pipeline's role.
        revision: What the run was started with.
        minutes: The action's own timeout.
    """
    action = SimpleNamespace(name="Action", outputs=tuple(outputs), timeout_minutes=minutes)
    run: Any = SimpleNamespace(log=[], external_id="", action=action)
    store: Any = SimpleNamespace(account="123456789012", region="eu-west-1", as_pipeline=Artifacts(inputs or {}))
    deployed: Any = SimpleNamespace(role=ROLE)
    return ActionContext(
        deployed=deployed,
        run=run,
        configuration=configuration,
        variables={},
        revision=revision,
        artifacts={name: name for name in inputs or {}},
        to_come=(),
        store=store,
        policies=policies,
        folder=folder / "action",
        stop=threading.Event(),
        changed=lambda: None,
    )
