"""A stack with hosting made from nothing, in a folder of its own: its file can be edited, and its state."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from local.engine.stack import LocalStack

State = list[dict[str, Any]]
Config = dict[str, Any]
SERVICE = "aws:ecs/service:Service"
ENGINES: dict[str, dict[str, Any]] = {
    "codeDeploy": {"engine": "codeDeploy"},
    "ecs rolling": {"engine": "ecs"},
    "ecs blue/green": {"engine": "ecs", "strategy": "blueGreen"},
    "ecsAction": {"engine": "ecsAction"},
}
"""What a stack file says of each way to deploy."""


class LiveStack:
    """The stack, for as many `up`s as a test wants.

    Attributes:
        folder: Where its file and its state are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def config(deploy: dict[str, Any], **hosting: object) -> Config:
        """The values of its file.

        Args:
            deploy: How it deploys.
            hosting: More of its hosting.
        """
        return {
            "aws:region": "eu-west-1",
            "ecs-delivery:application": {"name": "shop"},
            "ecs-delivery:source": {"github": {"repository": "example/shop"}},
            "ecs-delivery:deploy": deploy,
            "ecs-delivery:hosting": {"loadBalancer": {"plainHttp": True}, **hosting},
        }

    def with_config(self, config: Config) -> LocalStack:
        """The stack with these values in its file."""
        file = self.folder / "Pulumi.live.yaml"
        file.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
        return LocalStack("live", stack_file=file, state_dir=self.folder / "state")

    def rewrite(self, *edits: Callable[[State], None]) -> None:
        """Edit the state, in the file that the engine keeps it in, as a refresh leaves it."""
        (file,) = self.folder.glob("state/state/.pulumi/stacks/**/live.json")
        state = json.loads(file.read_text(encoding="utf-8"))
        for edit in edits:
            edit(state["checkpoint"]["latest"]["resources"])
        file.write_text(json.dumps(state), encoding="utf-8")


def deployed(resources: State) -> None:
    """The pipeline has brought its first version: what runs is a revision that Pulumi does not know."""
    for found in resources:
        if found["type"] == SERVICE:
            for values in (found["inputs"], found["outputs"]):
                values["taskDefinition"] = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop-live:7"
