"""What holds for every test."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one deployed stack, and of one test file, in one process: they share what is slow to make."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        deployed = callspec.params.get("deployed") if callspec else None
        item.add_marker(pytest.mark.xdist_group(f"{item.path.name}:{deployed}" if deployed else item.path.name))
