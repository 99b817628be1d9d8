"""What a preview plans, read from this repository's own engine or from a file.

The file is that of ``pulumi preview --json``, or of ``python -m local preview --json --states``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.engine.messages import tidy, told
from local.engine.outcome import Outcome, State, Step
from local.engine.values import readable
from local.errors import Refusal
from local.report.arguments import OPTIONS

_DROPPED = ("delete", "delete-replace")
_LAST_LINES = 40


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be done with one stack.

    Attributes:
        stack: The stack.
        steps: One step for each resource, those that stay as they are included.
        problems: Why there is no preview; nothing where there is one.
        deployments: Which services ECS deploys because of it, beside the pipeline.
    """

    stack: str
    steps: tuple[Step, ...] = ()
    problems: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()

    @property
    def changes(self) -> list[Step]:
        """The steps that change something, protection included."""
        return [step for step in self.steps if step.op not in {"same", "read"} or lost_protection(step)]

    @property
    def is_new(self) -> bool:
        """Whether nothing of the stack is there yet."""
        return bool(self.steps) and all(step.op in {"create", "read"} for step in self.steps)

    @property
    def is_gone(self) -> bool:
        """Whether nothing of the stack is left afterwards."""
        return bool(self.steps) and all(step.op == "delete" for step in self.steps)

    @property
    def before(self) -> list[dict[str, Any]]:
        """The stack's resources as they are, in the form of ``python -m local graph``."""
        return [_resource(step, step.old) for step in self.steps if step.old]

    @property
    def after(self) -> list[dict[str, Any]]:
        """The stack's resources as they would be, in the same form; what is not known stands as such."""
        return [_resource(step, step.new) for step in self.steps if step.new]


def lost_protection(step: Step) -> bool:
    """Return whether Pulumi would let a resource be deleted that it protects now."""
    return bool(step.old and step.old.protected and step.new and not step.new.protected)


def _resource(step: Step, state: State) -> dict[str, Any]:
    return {
        "urn": step.urn,
        "type": step.type,
        "name": step.name,
        "custom": not step.is_component,
        "parent": step.parent,
        "dependencies": list(state.dependencies),
        "protect": state.protected,
        "inputs": dict(state.inputs),
        "outputs": dict(state.outputs),
    }


def of_outcome(stack: str, outcome: Outcome) -> Preview:
    """Return the preview that an engine of this machine has made."""
    return Preview(stack, steps=_sorted(merged(outcome.steps)), deployments=outcome.deployments)


def merged(steps: Iterable[Step]) -> dict[str, Step]:
    """Return one step for each resource: the three steps of a replacement are one thing to a reader."""
    found: dict[str, Step] = {}
    for step in steps:
        if step.op == "replace" or step.urn not in found:
            found[step.urn] = step
    return found


def _sorted(steps: Mapping[str, Step]) -> tuple[Step, ...]:
    """The steps by the names of the resources: the engine gives them in the order in which answers arrive."""
    return tuple(sorted(steps.values(), key=lambda step: (step.name, step.urn)))


def read(stack: str, file: Path) -> Preview:
    """Return the preview in a file.

    A file that is missing, empty or no JSON is what a preview leaves that failed before it planned anything: its last
    lines are the problem, and no reason to say nothing.

    Args:
        stack: The stack.
        file: The output of ``pulumi preview`` with :data:`OPTIONS`, or of ``python -m local preview --json --states``.

    Raises:
        Refusal: The file is of a preview that was made without them.
    """
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""
    if not text:
        return Preview(stack, problems=("There is no preview: the log of its job says why.",))
    try:
        digest = json.loads(text)
    except ValueError:
        return Preview(stack, problems=("\n".join(tidy(text).splitlines()[-_LAST_LINES:]),))
    if not isinstance(digest, dict):
        raise Refusal(f"{file}: holds JSON that is no preview - write it with: pulumi preview {OPTIONS} > {file}")
    if "deployments" in digest:
        return _of_own_engine(stack, digest)
    errors = [
        tidy(str(each.get("message", "")))
        for each in digest.get("diagnostics") or []
        if each.get("severity") == "error"
    ]
    if errors:
        return Preview(stack, problems=tuple(dict.fromkeys(told(errors))))
    found = digest.get("steps") or []
    unchanged = (digest.get("changeSummary") or {}).get("same", 0)
    if not found or (unchanged and not any(step["op"] == "same" and not _is_stack(step) for step in found)):
        raise Refusal(
            f"{file}: holds no resource that stays as it is, without which nothing can be compared - write it with: "
            f"pulumi preview {OPTIONS} > {file}"
        )
    return Preview(stack, steps=_sorted(merged(map(_step, filter(_is_resource, found)))))


def _of_own_engine(stack: str, digest: Mapping[str, Any]) -> Preview:
    """Return the preview that the engine of another machine has printed as JSON."""
    steps = [
        Step(**{**_tuples(each), "old": _told(each["old"]), "new": _told(each["new"])}) for each in digest["steps"]
    ]
    return Preview(stack, steps=tuple(merged(steps).values()), deployments=tuple(digest["deployments"]))


def _told(state: Mapping[str, Any] | None) -> State | None:
    return None if state is None else State(**_tuples(state))


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _is_stack(step: Mapping[str, Any]) -> bool:
    return "::pulumi:pulumi:Stack::" in step["urn"]


def _is_resource(step: Mapping[str, Any]) -> bool:
    return not _is_stack(step) and "pulumi:providers:" not in step["urn"]


def _step(told_of: Mapping[str, Any]) -> Step:
    old, new = told_of.get("oldState"), told_of.get("newState")
    state = new or old or {}
    diff = told_of.get("detailedDiff") or {}
    urn = str(told_of["urn"])
    return Step(
        op=str(told_of["op"]),
        urn=urn,
        type=str(state.get("type") or urn.split("::")[2].rpartition("$")[2]),
        name=urn.rpartition("::")[2],
        parent=str(state.get("parent") or ""),
        changed=tuple(diff or told_of.get("diffReasons") or ()),
        dropped=tuple(path for path, change in diff.items() if change.get("kind") in _DROPPED),
        replaced_by=tuple(told_of.get("replaceReasons") or ()),
        old=_state(old),
        new=_state(new),
    )


def _state(told_of: Mapping[str, Any] | None) -> State | None:
    if told_of is None:
        return None
    return State(
        inputs=readable(told_of.get("inputs") or {}),
        outputs=readable(told_of.get("outputs") or {}),
        protected=bool(told_of.get("protect")),
        retained=bool(told_of.get("retainOnDelete")),
        dependencies=tuple(told_of.get("dependencies") or ()),
        id=str(told_of.get("id") or ""),
    )
