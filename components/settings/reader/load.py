"""From the stack's configuration to `Settings`, or to everything that is wrong with it at once."""

import json
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any, cast

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from components.settings.names import Region
from components.settings.reader.errors import SettingsError
from components.settings.reader.messages import (
    REGION_KEY,
    closest,
    line,
    missing,
    not_json,
    problems_of,
    unknown_key,
    wrong_value,
)
from components.settings.reader.shapes import Shape, shape_of
from components.settings.reader.stack_file import PREFIX, StackFile, lines_of, load_stack_file
from components.settings.root import Settings
from components.settings.rules import RULES
from components.settings.secrets import secrets_in
from components.settings.section import Problem, Section

_REGION = shape_of(FieldInfo(annotation=Region, examples=["eu-west-1"]))
_ROOT = Shape(kind="section", words="a stack file", section=Settings)


def read_settings() -> Settings:
    """Return the settings of the stack that runs.

    Raises:
        SettingsError: With everything that is wrong, sections nobody knows included.
    """
    values = {**get_config_env(), **CONFIG.get()}
    secret_keys = {key for key in values if is_config_secret(key)}
    stack = pulumi.get_stack()
    return load_settings(values, stack=stack, secret_keys=secret_keys, file=_own_file(stack, values))


def _own_file(stack: str, values: Mapping[str, object]) -> Path | None:
    """Return the stack's file; None where the configuration comes from another one, as with ``--config-file``."""
    file = Path(f"Pulumi.{stack}.yaml")
    try:
        written = load_stack_file(file)
    except SettingsError:
        return None
    return file if all(_alike(values.get(key), value) for key, value in written.items()) else None


def _alike(given: object, written: object) -> bool:
    """Whether the configuration has what stands in a file; what is encrypted there is taken to be it."""
    if isinstance(written, Mapping) and written.keys() == {"secure"}:
        return True
    try:
        return _decoded(given) == written or str(given) == str(written)
    except json.JSONDecodeError:
        return False


def load_settings(
    values: Mapping[str, object],
    *,
    stack: str,
    secret_keys: Collection[str] = (),
    file: Path | None = None,
    has_commands: bool = True,
) -> Settings:
    """Return the settings that a stack's configuration holds.

    Args:
        values: The configuration by key, with or without `ecs-delivery:` in front; of other packages' keys only the
            form of `aws:region` is looked at. A section is an object, or its JSON text as Pulumi hands it to a program.
        stack: Name of the stack, for defaults and for the name of the file in messages.
        secret_keys: Keys of `values` that are encrypted in the stack file.
        file: The stack file, for the lines that messages name.
        has_commands: Whether ``pulumi config`` reaches that file; if not, messages say what to write in which line.

    Raises:
        SettingsError: With everything that is wrong.
    """
    given = {_name(key): value for key, value in values.items() if ":" not in _name(key)}
    encrypted = {_name(key) for key in secret_keys}
    right: dict[str, Section | None] = {}
    wrong_region = tuple(_region(values))
    problems = [
        *wrong_region,
        *_under_other_prefixes(values),
        *_unknown(given),
        *_sections(given, encrypted, right),
    ]
    told = {problem.path for problem in problems}
    problems += (problem for problem in _secrets(given, encrypted) if problem.path not in told)
    facts: dict[str, object] = {**right, "stack": stack, "region": None if wrong_region else values.get(REGION_KEY)}
    for rule in RULES:
        if facts.keys() >= (needs := signature(rule).parameters.keys()):
            problems += rule(**{name: facts[name] for name in needs})
    if problems:
        order = list(_ROOT.keys)
        problems.sort(key=lambda problem: order.index(name) if (name := problem.path[0]) in order else -1)
        place = StackFile(
            name=file.name if file else f"Pulumi.{stack}.yaml",
            stack=stack,
            lines=lines_of(file) if file else {},
            has_commands=has_commands,
        )
        raise SettingsError([line(place, problem) for problem in problems])
    return Settings.model_validate(right)


def _name(key: str) -> str:
    """Return the name of a section of ours; a key of another package keeps its colon."""
    return key.removeprefix(PREFIX)


def _region(values: Mapping[str, object]) -> Iterator[Problem]:
    """Yield a region that cannot be one: names and addresses of what is made hold it."""
    try:
        TypeAdapter(Region).validate_python(values.get(REGION_KEY, "eu-west-1"))
    except ValidationError as error:
        yield wrong_value((REGION_KEY,), _REGION, error.errors()[0])


def _under_other_prefixes(values: Mapping[str, object]) -> Iterator[Problem]:
    """Yield sections of ours under a prefix that nothing reads: what they protect would be unprotected in silence."""
    for key in sorted(values):
        prefix, colon, name = key.rpartition(":")
        alike = get_close_matches(prefix.lower(), [PREFIX.rstrip(":")], cutoff=0.8)
        if not colon or f"{prefix}:" == PREFIX or not (name in _ROOT.keys or alike):
            continue
        yield Problem(
            path=(key,),
            message=f"is read by nothing, did you mean {PREFIX}{name}?",
            fix=f"edit the file: rename {key} to {PREFIX}{name}",
        )


def _unknown(given: Mapping[str, object]) -> Iterator[Problem]:
    """Yield the sections nobody knows."""
    for name in sorted(given):
        if name not in _ROOT.keys:
            yield unknown_key((name,), _ROOT.keys, _ROOT)


def _secrets(given: Mapping[str, object], encrypted: Collection[str]) -> Iterator[Problem]:
    """Yield the secrets in clear of all sections, wherever they stand."""
    readable: dict[str, object] = {}
    for name in given.keys() - encrypted:
        try:
            readable[name] = _decoded(given[name])
        except json.JSONDecodeError:
            readable[name] = given[name]
    public = set(_declared_public(readable))
    for name in sorted(readable):
        yield from secrets_in((name,), readable[name], public)


def _declared_public(value: object) -> Iterator[str]:
    """Yield what lists named `notSecret` hold, in whatever depth."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            if key == "notSecret" and isinstance(below, list):
                yield from map(str, below)
            else:
                yield from _declared_public(below)


def _sections(
    given: Mapping[str, object], encrypted: Collection[str], right: dict[str, Section | None]
) -> Iterator[Problem]:
    """Yield what is wrong with each section on its own, and put the ones that are right into `right`."""
    meant = {closest(name, _ROOT.keys) for name in given if name not in _ROOT.keys}
    for name, shape in _ROOT.keys.items():
        value = given.get(name)
        if name in encrypted:
            yield Problem(
                path=(name,),
                message="must not be encrypted: it holds names and sizes, never a secret, and is shown in previews",
                fix="edit the file: write the section in clear, and keep secrets in Secrets Manager",
            )
            continue
        try:
            value = _decoded(value)
        except json.JSONDecodeError as error:
            yield not_json(name, error, shape)
            continue
        if value in (None, "", {}):
            if name in meant:
                continue  # it is there, misspelt
            if shape.required:
                yield missing((name,), shape)
            else:
                right[name] = shape.default
            continue
        model = cast("type[Section]", shape.section)  # everything below the root is a section
        try:
            right[name] = model.model_validate_json(json.dumps(value, default=str), by_alias=True, by_name=False)
        except ValidationError as error:
            yield from problems_of(error, name, shape, _ROOT)


def _decoded(value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return a section's value out of the JSON text Pulumi makes of it; a bare word stays what it is.

    Raises:
        json.JSONDecodeError: If the text begins like an object or a list and is none.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        if value.lstrip().startswith(("{", "[")):
            raise
        return value
