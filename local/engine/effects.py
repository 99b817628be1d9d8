"""When an edit of the stack file takes effect, and what it does to users: said of the steps that the engine plans.

The facts are in ``effects.tsv``, a rule for each kind of step; ``docs/configuration.md`` and every preview say it in
these words.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from components.jobs.buildspec import jobs_in, load_buildspec
from local.engine.outcome import State, Step

TABLE = Path(__file__).with_name("effects.tsv")
UNKNOWN = "It is not known what this does:"
_TOP = re.compile(r"[^.\[]*")
_OPERATIONS = {"create": "+", "delete": "-", "update": "~", "replace": "+-"}
_SERVICE = "aws:ecs/service:Service"
_PROJECT = "aws:codebuild/project:Project"
_REPOSITORY, _REPOSITORY_POLICY = "aws:ecr/repository:Repository", "aws:ecr/repositoryPolicy:RepositoryPolicy"
_PIPELINE = "aws:codepipeline/pipeline:Pipeline"
_ENVIRONMENT = "environment"


class When(Enum):
    """When an edit takes effect; the first of several is what counts."""

    NOT_IN_PLACE = "not possible in place"
    REPLACED = "replaced"
    REMOVED = "removed"
    AT_ONCE = "at once"
    NEXT_RUN = "with the next run"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a step does to users.

    Attributes:
        when: When it does.
        words: What it does, in sentences; empty where nobody notices.
        source: The page on which AWS says so; empty where it follows from the program.
    """

    when: When
    words: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said of a kind of step.

    Attributes:
        type: The type of the resource.
        name: What its name has in it.
        operation: ``+`` create, ``-`` delete, ``~`` update or ``+-`` replace, or several of them; empty for all.
        property: What is updated, with a hyphen before it where it is given no more, and after a plus sign what else is
            updated together with it; empty for all. What only a further job of a build reads is
            ``environment of`` that job.
        stack: What has to be true of the stack afterwards: its engine, and ``existing`` where the service is not its
            own; empty for all.
        effect: What is said.
    """

    type: str
    name: re.Pattern[str]
    operation: str
    property: str
    stack: str
    effect: Effect

    def is_about(self, step: Step, operation: str, changed: str, stack: AbstractSet[str]) -> bool:
        """Whether this is said of a step.

        Args:
            step: The step.
            operation: Its operation.
            changed: One of the properties that it updates.
            stack: What is true of the stack afterwards.
        """
        name, *others = self.property.split("+")
        return (
            step.type == self.type
            and (not self.operation or operation in self.operation.split())
            and name in ("", changed, changed.lstrip("-"))
            and {*others} <= {_TOP.findall(path)[0] for path in step.changed}
            and stack >= set(self.stack.split())
            and bool(self.name.search(step.name))
        )


def effects(steps: Sequence[Step]) -> list[Effect]:
    """Return what the steps do, the weightiest first, each effect once; nothing for a stack that is new.

    Where something is not possible in place, all else is of no interest.

    Args:
        steps: All that the engine plans or did, steps that change nothing included: they tell how the stack deploys.
    """
    if not any(step.type == _PIPELINE and step.op != "create" for step in steps):
        return []
    order = list(When)
    places = {rule: place for place, rule in enumerate(rules())}
    sort = sorted(
        rules_of(steps), key=lambda rule: (order.index(rule.effect.when), places.get(rule, -1), rule.effect.words)
    )
    found = list(dict.fromkeys(rule.effect for rule in sort))
    return found[:1] if found and found[0].when is When.NOT_IN_PLACE else found


def rules_of(steps: Sequence[Step]) -> set[Rule]:
    """Return the rules that the steps follow.

    Args:
        steps: As :func:`effects` takes them.
    """
    stack = _facts(steps)
    gone = {step.parent for step in steps if step.type == _REPOSITORY and step.op == "delete"}
    return {
        rule
        for step in steps
        if step.type != _REPOSITORY_POLICY or step.parent not in gone  # nobody pushes into what is not there
        for rule in _of(step, stack)
    }


def _of(step: Step, stack: AbstractSet[str]) -> Iterator[Rule]:
    operation = "+-" if step.is_replacement else _OPERATIONS.get(step.op)
    if operation is None or not step.is_of_aws:
        return
    for name in _properties(step) if operation == "~" else [""]:
        rule = next((rule for rule in rules() if rule.is_about(step, operation, name, stack)), None)
        yield rule or _unknown(step, operation, name)


def _unknown(step: Step, operation: str, changed: str) -> Rule:
    about = f" ({changed})" if changed else ""
    words = f"{UNKNOWN} {operation} {step.type} {step.name}{about}."
    return Rule(step.type, _TOP, operation, changed, "", Effect(When.AT_ONCE, words))


def _properties(step: Step) -> list[str]:
    """The changed properties, of a path the first part; a hyphen is before one that is given no more."""
    found = {("-" if path in step.dropped else "") + _TOP.findall(path)[0] for path in step.changed}
    if step.type == _PROJECT and _ENVIRONMENT in found and step.old and step.new:
        found = found - {_ENVIRONMENT} | set(_by_job(step.old, step.new))
    return sorted(found)


def _by_job(old: State, new: State) -> Iterator[str]:
    """What changes of a project's environment: variables of a further job of its build are told from all else."""
    jobs = jobs_in((new.inputs.get("source") or {}).get("buildspec", "").splitlines())
    declared = {job: {*load_buildspec(job).variables} for job in jobs}
    (before, machine), (after, other_machine) = _environment(old), _environment(new)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    further = {job: found for job in jobs[1:] if (found := changed & declared[job])}
    yield from (f"{_ENVIRONMENT} of {job}" for job in further)
    left = changed.difference(*further.values()) | changed.intersection(*(declared[job] for job in jobs[:1]))
    if left or machine != other_machine or not further:
        yield _ENVIRONMENT


def _environment(project: State) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variables of a build project by name, and what its environment is otherwise."""
    given = project.inputs.get(_ENVIRONMENT)
    whole = dict(given) if isinstance(given, Mapping) else {}
    listed = whole.pop("environmentVariables", None)
    return {item["name"]: item for item in listed} if isinstance(listed, list) else {}, whole


def engine_of(projects: Sequence[str]) -> str:
    """Return how a stack deploys, by the names of its build projects in the program."""
    ends = {"-watch-deployment-project": "codeDeploy", "-deploy-ecs-project": "ecs"}
    return next((engine for end, engine in ends.items() for name in projects if name.endswith(end)), "ecsAction")


def _facts(steps: Iterable[Step]) -> set[str]:
    """What is true of the stack afterwards: how it deploys, and whether the service is there without it."""
    there = [step for step in steps if step.op != "delete"]
    projects = [step.name for step in there if step.type == _PROJECT]
    engine = engine_of(projects)
    return {engine} if any(step.type == _SERVICE for step in there) else {engine, "existing"}


@functools.cache
def rules() -> tuple[Rule, ...]:
    """Return every rule, the weightiest first."""
    lines = (line for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return tuple(
        Rule(
            row["type"],
            re.compile(row["name"]),
            row["operation"],
            row["property"],
            row["stack"],
            Effect(When(row["when"]), row["words"], row["source"]),
        )
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    )
