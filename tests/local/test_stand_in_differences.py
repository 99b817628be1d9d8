"""Changes are told property by property."""

from __future__ import annotations

import pytest

from local.engine.providers.differences import Difference, differences
from local.engine.providers.protocol import UNKNOWN, Value


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [Difference("a", "UPDATE")]),
        ({}, {"a": 1}, [Difference("a", "ADD")]),
        ({"a": 1}, {}, [Difference("a", "DELETE")]),
        ({"a": None}, {}, []),
        ({"a": None}, {"a": 1}, [Difference("a", "ADD")]),
        ({"a": 1}, {"a": UNKNOWN}, [Difference("a", "UPDATE")]),
        ({"a": 1}, {"a": True}, [Difference("a", "UPDATE")]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [Difference("a.c", "UPDATE")]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, [Difference("a[1]", "UPDATE"), Difference("a[2]", "ADD")]),
        ({"a": [1, 2]}, {"a": [1]}, [Difference("a[1]", "DELETE")]),
        ({"a": [{"b": {"c": 1}}]}, {"a": [{"b": {"c": 2}}]}, [Difference("a[0].b.c", "UPDATE")]),
        ({"a": {"x.y": 1}}, {"a": {"x.y": 2}}, [Difference('a["x.y"]', "UPDATE")]),
        ({"a": {'q"': 1}}, {"a": {'q"': 2}}, [Difference('a["q\\""]', "UPDATE")]),
        ({"a": "x"}, {"a": ["x"]}, [Difference("a", "UPDATE")]),
        ({"__defaults": ["x"]}, {"__defaults": []}, []),
    ],
)
def test_the_innermost_properties_that_differ_are_named(
    old: dict[str, Value], new: dict[str, Value], expected: list[Difference]
) -> None:
    assert differences(old, new) == expected


@pytest.mark.parametrize("path", ["a", "a.b", "a[0].b", 'a["x.y"]'])
def test_a_difference_knows_the_input_it_belongs_to(path: str) -> None:
    assert Difference(path, "UPDATE").top == "a"
