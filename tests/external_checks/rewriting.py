"""Pulumi's inputs in the words of another interface: the AWS API or CloudFormation.

Most members have the same name there, but for the case of the first letter. A table of :class:`Place` says where the
others go, so that what has no place arrives under a name the other side does not know, and is refused by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Case = Callable[[str], str]


def as_it_is(name: str) -> str:
    """``roleArn`` stays ``roleArn``."""
    return name


def pascal(name: str) -> str:
    """``roleArn`` becomes ``RoleArn``."""
    return name[:1].upper() + name[1:]


def unchanged(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value as Pulumi has it."""
    return value


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one input goes.

    Attributes:
        to: Member of the request; dots lead into members of members. Empty: what it becomes is members itself.
            ``None``: nowhere, see ``reason``.
        change: What becomes of the value.
        free: Whether the keys below are the user's own words (tags, configuration) and stay as they are.
        reason: Why an input has no place in the request.
    """

    to: str | None = None
    change: Callable[[Any], Any] = unchanged
    free: bool = False
    reason: str = ""


def pulumi_only(reason: str) -> Place:
    """An input that tells Pulumi something and never reaches AWS."""
    return Place(reason=reason)


Places = Mapping[str, Place]
"""Path of an input (``stages.actions.provider``; lists add nothing to it) -> where it goes."""


def rewrite(value: Any, *, case: Case, places: Places, path: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """Put every input where it belongs.

    Args:
        value: Inputs as Pulumi sends them; whole numbers arrive as floats.
        case: Name of a member that no place is given for.
        places: Where the others go.
        path: Where in the inputs the value stands.
    """
    if isinstance(value, Mapping):
        written: dict[str, Any] = {}
        for key, item in value.items():
            below = f"{path}.{key}" if path else key
            place = places.get(below, Place(to=case(key)))
            if place.to is None:
                continue
            content = place.change(whole(item) if place.free else rewrite(item, case=case, places=places, path=below))
            if place.to:
                put(written, place.to, content)
            else:
                written.update(content)
        return written
    if isinstance(value, list):
        return [rewrite(item, case=case, places=places, path=path) for item in value]
    return whole(value)


def put(target: dict[str, Any], member: str, value: object) -> None:
    """Set a member; dots lead into members of members."""
    *way, last = member.split(".")
    for step in way:
        target = target.setdefault(step, {})
    target[last] = value


def whole(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value with whole numbers as integers: Pulumi's wire format knows floats only."""
    if isinstance(value, Mapping):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def pairs(key: str, value: str) -> Callable[[Mapping[str, str]], list[dict[str, str]]]:
    """Tags as a list of objects, with the given names of their members."""
    return lambda tags: [{key: name, value: content} for name, content in sorted(tags.items())]


def named(name: str) -> Callable[[Sequence[str]], list[dict[str, str]]]:
    """Each text as an object with one member."""
    return lambda texts: [{name: text} for text in texts]


def in_list(value: object) -> list[object]:
    """The value as the only one of a list."""
    return [value]


def the_only_one(values: Sequence[Any]) -> Any:  # noqa: ANN401 - any JSON value
    """The only value of a list."""
    (value,) = values
    return value
