"""The stack file's JSON Schema, so that editors complete and check it."""

import json
from typing import Any

from components.settings.names import REGION
from components.settings.reader.messages import REGION_KEY
from components.settings.reader.stack_file import PREFIX
from components.settings.root import Settings

_REGION = {"type": "string", "pattern": REGION, "description": "Region everything is made in."}


def stack_file_schema() -> str:
    """Return the schema of a whole stack file as JSON text.

    Keys of other packages (`aws:region`) may stand beside ours; an unknown section of ours may not.
    """
    settings = _plain(Settings.model_json_schema(by_alias=True))
    sections = {PREFIX + name: section for name, section in settings["properties"].items()}
    config = {
        "type": "object",
        "properties": {REGION_KEY: _REGION, **sections},
        "propertyNames": {"anyOf": [{"not": {"pattern": f"^{PREFIX}"}}, {"enum": list(sections)}]},
        "required": [PREFIX + name for name in settings["required"]],
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of ecs-delivery",
        "type": "object",
        "properties": {"config": config},
        "required": ["config"],
        "$defs": settings["$defs"],
    }
    return json.dumps(schema, indent=2) + "\n"


def _plain(schema: Any) -> Any:  # noqa: ANN401 - a piece of JSON
    """Return a schema without what only repeats it: titles made from names, and defaults that are whole sections."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _plain(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and isinstance(value, dict))
    }
