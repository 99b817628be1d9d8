"""A task definition of the user's, which the service of a stack runs before its rehearsal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from local.errors import Refusal


def read_definition(file: Path) -> dict[str, Any]:
    """Return a task definition in the form of a registration.

    Args:
        file: As ``aws ecs describe-task-definition`` prints it, or as ``register-task-definition`` takes it.

    Raises:
        Refusal: It is none, and says why.
    """
    from local.aws_models import service_model  # noqa: PLC0415 - only for this option: it takes long
    from local.rehearsal.emulated.model import request_problems  # noqa: PLC0415 - as above

    try:
        described = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise Refusal(f"{file} is no task definition: {error}") from None
    inner = described.get("taskDefinition", described) if isinstance(described, dict) else None
    if not isinstance(inner, dict) or not inner.get("containerDefinitions"):
        raise Refusal(f"{file} is no task definition: it has no containerDefinitions")
    ecs = service_model("ecs")
    only_described = set(ecs.shape_for("TaskDefinition").members) - set(
        ecs.operation_model("RegisterTaskDefinition").input_shape.members
    )
    definition: dict[str, Any] = {key: value for key, value in inner.items() if key not in only_described}
    tags = described.get("tags") or definition.get("tags") or []
    definition = {**definition, "tags": [tag for tag in tags if not tag["key"].lower().startswith("aws:")]}
    definition = _without_nulls(definition)
    problems = request_problems("ecs", "RegisterTaskDefinition", definition)
    if problems:
        raise Refusal("\n  ".join([f"{file} is no task definition that Amazon ECS takes:", *problems]))
    return definition


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    """The value without what the console of Amazon ECS writes for nothing."""
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value
