"""The edits of docs/configuration.md, made of a deployed stack with the real engine, where AWS's refusals hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pytest
from edits import ENGINES, STACK, Edit, changed, config, edits, planned, value_at
from live_stack import Config, LiveStack, deployed

from components.settings import SettingsError, load_settings, load_stack_file
from local.engine.effects import When, effects
from local.engine.outcome import Outcome, Step
from local.engine.stack import EngineFailure

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.engine

AT_A_TIME = 10
"""How many keys are edited before the next `pulumi up`: each takes a second."""
TRIED_ONCE = (
    "application.",
    "deploy.",
    "hosting.alarms",
    "hosting.loadBalancer",
    "hosting.network",
    "hosting.service",
    "retention",
)
"""Beginnings of the keys that are edited with CodeDeploy."""
NO_SECOND_GROUP = "`loadBalancers[0].advancedConfiguration.alternateTargetGroupArn` is required and missing"
"""What AWS's provider says of a service that is to have two target groups and has one; docs/hosting.md names it."""
DIFFERENT = (
    "application.containerName",
    "application.port",
    "deploy.",
    "hosting.alarms.enabled",
    "hosting.loadBalancer.certificateArn",
    "hosting.loadBalancer.testPort",
    "hosting.network",
    "hosting.service",
)
"""Beginnings of the keys whose edits are not the same with the other engines."""


class Edited(LiveStack):
    """A deployed stack whose file is edited.

    Attributes:
        content: The file's content.
    """

    def __init__(self, folder: Path, engine: str, content: Config | None = None) -> None:
        super().__init__(folder)
        self.content = content or config({**STACK, **ENGINES[engine]})
        self.with_config(self.content).up()
        self.rewrite(deployed)

    def refused(self, content: Config) -> list[str] | str:
        """What a preview of another content says is not possible in place, or fails with."""
        try:
            return words(When.NOT_IN_PLACE, self.with_config(content).preview().steps)
        except EngineFailure as failure:
            return failure.messages[0].rpartition(": ")[2]

    def up(self, content: Config) -> Outcome:
        """Deploy another content."""
        self.content = content
        return self.with_config(content).up()


def in_turns(engine: str) -> Iterator[list[Edit]]:
    """The edits of an engine, a few at a time; no key is edited twice at a time."""
    keys = TRIED_ONCE if engine == "codeDeploy" else DIFFERENT
    wanted = [edit for edit in edits() if edit.engine == engine and edit.key.startswith(keys)]
    wanted = [edit for edit in wanted if not re.search("existing|staticFiles", " ".join(edit.sets))]
    turns: dict[int, list[Edit]] = {}
    for _, of_key in groupby(wanted, lambda edit: edit.key):
        for number, edit in enumerate(of_key):
            turns.setdefault(number, []).append(edit)
    for turn in turns.values():
        yield from (turn[start : start + AT_A_TIME] for start in range(0, len(turn), AT_A_TIME))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_edit_that_is_possible_in_place_works_and_does_what_is_said(engine: str, tmp_path: Path) -> None:
    stack = Edited(tmp_path, engine)
    for turn in in_turns(engine):
        content = stack.content
        for edit in turn:
            after = edited(content, edit)
            if refused := words(When.NOT_IN_PLACE, planned(stack.content, after)):
                assert stack.refused(after) in (refused, NO_SECOND_GROUP), edit.key
            else:
                content = after
        said = [words(when, planned(stack.content, content)) for when in When]
        steps = stack.up(content).steps
        assert [words(when, steps) for when in When] == said, [edit.key for edit in turn]
    assert stack.with_config(stack.content).preview().changes == ()
    stack.with_config(stack.content).destroy()
    assert not stack.with_config(stack.content).exists


TWENTY = 20


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_stack_takes_twenty_edits_and_goes(name: str, tmp_path: Path) -> None:
    """What is protected is let go as README says."""
    stack = Edited(tmp_path, "codeDeploy", dict(load_stack_file(ROOT / f"Pulumi.{name}.yaml")))
    made = 0
    for edit in (edit for turn in in_turns("codeDeploy") for edit in turn):
        after = changed(stack.content, edit.sets)
        if made == TWENTY or not fits(after):
            continue
        steps = planned(stack.content, after)
        if words(When.NOT_IN_PLACE, steps) or all(step.op == "same" for step in steps):
            continue
        stack.content, made = after, made + 1
        if made % AT_A_TIME == 0:
            stack.up(stack.content)
    assert made == TWENTY
    stack.up(changed(stack.content, {"retention.protect": False}))
    stack.with_config(stack.content).destroy()
    assert not stack.with_config(stack.content).exists


def edited(content: Config, edit: Edit) -> Config:
    """The content with an edit; where that does not go together with what earlier edits have said, without these.

    But with the network and the protection as they are: not every way back is possible.
    """
    after = changed(content, edit.sets)
    if fits(after):
        return after
    kept = {path: value_at(content, path) for path in ("hosting.network", "retention")}
    return changed(config({**STACK, **ENGINES[edit.engine], **kept}), edit.sets)


def fits(content: Config) -> bool:
    """Whether a stack file with this content is right."""
    try:
        load_settings(content, stack="live")
    except SettingsError:
        return False
    return True


def words(when: When, steps: Sequence[Step]) -> list[str]:
    """What is said of steps under one heading."""
    return [effect.words for effect in effects(steps) if effect.when is when and effect.words]
