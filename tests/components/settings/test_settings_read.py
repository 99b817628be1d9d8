"""Every key of the stack file is read by what the program makes: a key that nothing reads changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from summary import graph_names, program

from components.delivery import Delivery
from components.settings import Settings
from components.settings.reader.shapes import Shape, shape_of
from components.settings.section import Section

NO_SECRETS = {"application.notSecret", "application.containers.notSecret", "build.notSecret"}
"""What a user says of a value; what is made follows from other keys."""


def keys(shape: Shape, above: str = "") -> Iterator[tuple[str, type[Section], str]]:
    """Each key with the section that holds it and the name of its field there."""
    assert shape.section
    for name, field in shape.section.model_fields.items():
        path = f"{above}{field.validation_alias}"
        yield path, shape.section, name
        for nested in (shape_of(field), shape_of(field).item):
            if nested and nested.section:
                yield from keys(nested, f"{path}.")


def test_every_key_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the program makes one of the stacks; what checks the stack file before that does not count."""
    read = set[tuple[type[Section], str]]()
    begun = False

    def noted(section: Section, name: str) -> Any:  # noqa: ANN401 - whatever the attribute is
        if begun:
            read.add((type(section), name))
        return object.__getattribute__(section, name)

    delivery = Delivery.__init__

    def begin(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as Delivery takes them
        nonlocal begun
        begun = True
        delivery(*arguments, **options)

    monkeypatch.setattr(Section, "__getattribute__", noted, raising=False)
    monkeypatch.setattr(Delivery, "__init__", begin)
    for name in graph_names():
        program.__wrapped__(name)
        begun = False

    found = keys(Shape(kind="section", words="", section=Settings))
    unread = {path for path, section, name in found if (section, name) not in read}
    assert unread == NO_SECRETS
