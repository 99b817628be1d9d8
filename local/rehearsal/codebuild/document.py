"""Reads a buildspec, and refuses by name what is not emulated here.

Source of the format: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from local.errors import Refusal

_EMULATED = {
    "": "version env phases reports artifacts",
    "env": "shell git-credential-helper variables exported-variables",
    "phases": "install pre_build build post_build",
    r"phases\.[^.]+": "runtime-versions commands",
    r"reports\.[^.]+": "files file-format base-directory",
    "artifacts": "files base-directory secondary-artifacts",
    r"artifacts\.secondary-artifacts\.[^.]+": "files base-directory",
}
"""The keys of each mapping, by the pattern of its place."""
_VALUES = {
    "version": 0.2,
    "env.shell": "bash",
    "env.git-credential-helper": True,
    r"reports\.[^.]+\.file-format": "JUNITXML",
}
"""The only value that is emulated, by the pattern of its place."""
_TEXTS = re.compile(
    r"env\.variables\.\w+|phases\.\w+\.commands\.\d+|(artifacts|artifacts\.secondary-artifacts\..+|reports\..+)\.files\.\d+"
)


class BuildspecProblem(Refusal):
    """A buildspec that CodeBuild would refuse, or that asks for what is not emulated; a line for each problem."""


def read_document(text: str, name: str) -> dict[str, Any]:
    """Return the buildspec of this text.

    Args:
        text: YAML, as the CodeBuild project holds it.
        name: What messages call it.

    Raises:
        BuildspecProblem: It is no YAML, or holds what is not emulated.
    """
    try:
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise BuildspecProblem(f"{name}: YAML_FILE_ERROR: {error}") from None
    if found := list(_problems(document, "")):
        raise BuildspecProblem("\n".join(f"{name}: {problem}" for problem in found))
    checked: dict[str, Any] = document
    return checked


def _problems(value: object, place: str) -> Iterator[str]:
    keys = next((keys.split() for pattern, keys in _EMULATED.items() if re.fullmatch(pattern, place)), None)
    only = next((value for pattern, value in _VALUES.items() if re.fullmatch(pattern, place)), value)
    if keys and not isinstance(value, dict):
        yield f"{place or 'the file'}: must be a mapping, got {value!r}"
    elif value != only:
        yield f"{place}: only {only} is emulated here, got {value!r}"
    elif _TEXTS.fullmatch(place) and not isinstance(value, str):
        yield f"{place}: must be a text, YAML reads it as {value!r}"
    elif isinstance(value, dict):
        for key, item in value.items():
            if keys and key not in keys:
                yield f"{place or 'the file'}: {key!r} is not emulated here; there are {', '.join(keys)}"
            else:
                yield from _problems(item, f"{place}.{key}".removeprefix("."))
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _problems(item, f"{place}.{number}")
