"""What every taggable resource carries."""

from __future__ import annotations

from typing import cast

import pytest

from components.foundation.tags import standard_tags


def test_tags_say_what_it_belongs_to_and_what_made_it() -> None:
    assert dict(standard_tags(application="shop", environment="dev")) == {
        "Application": "shop",
        "Environment": "dev",
        "ManagedBy": "ecs-delivery",
    }


def test_tags_cannot_be_changed_by_whom_they_are_handed_to() -> None:
    """One mapping is shared by every resource: a change in one place would show in all the others."""
    tags = cast("dict[str, str]", standard_tags(application="shop", environment="dev"))
    with pytest.raises(TypeError):
        tags["Owner"] = "me"
