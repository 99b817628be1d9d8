"""What the engine does with a stack, or would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class State:
    """A resource before or after a step.

    Attributes:
        inputs: what the program gives; `[known after up]` and `[secret]` stand in their places.
        outputs: what the provider makes of it.
        protected: whether Pulumi refuses to delete it.
        retained: whether it stays in the account when the program gives it no more.
        dependencies: the URNs it depends on, as far as that is told.
        id: its id in AWS; empty where it is not made yet.
    """

    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    protected: bool = False
    retained: bool = False
    dependencies: tuple[str, ...] = ()
    id: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What the engine does, or would do, with one resource.

    Attributes:
        op: `same`, `create`, `update`, `delete`, `replace`, `create-replacement`, `delete-replaced`, `read` ...
        urn: the resource.
        type: its type token.
        name: its logical name.
        parent: the URN of the component it belongs to; empty directly below the stack.
        changed: paths of the changed properties, such as `stages[0].name`.
        dropped: those of them that are given no more.
        replaced_by: inputs whose change makes it a new resource.
        old: the resource before; nothing where it is made.
        new: the resource afterwards; nothing where it is deleted.
    """

    op: str
    urn: str
    type: str
    name: str
    parent: str = ""
    changed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    replaced_by: tuple[str, ...] = ()
    old: State | None = field(default=None, repr=False)
    new: State | None = field(default=None, repr=False)

    @property
    def is_of_aws(self) -> bool:
        """Whether it is about something in AWS, and not about a component."""
        return self.type.startswith("aws:")

    @property
    def is_component(self) -> bool:
        """Whether it is about a component, which is nothing in AWS itself."""
        return self.type.startswith(("ecs-delivery:", "awsx:"))

    @property
    def is_replacement(self) -> bool:
        """Whether the resource is made anew."""
        return self.op in {"replace", "create-replacement", "delete-replaced"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a preview, up or destroy did or would do.

    Attributes:
        steps: every step but the stack's and the providers' own, in the engine's order.
        outputs: the stack's outputs; `UNKNOWN` and `SECRET` stand in their places.
        messages: warnings and notes, each once.
        deployments: which services ECS deploys because of it, beside the pipeline.
        text: what the engine printed.
    """

    steps: tuple[Step, ...]
    outputs: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()
    text: str = ""

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that change something."""
        return tuple(step for step in self.steps if step.op not in {"same", "read"})
