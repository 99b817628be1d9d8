"""What becomes of the pipeline: its stages and actions, what has to be passed, and what starts it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.engine.outcome import Step
from local.engine.values import UNKNOWN
from local.report.findings import UNKNOWN_BEFORE_UP, Finding, Section, code, listed
from local.report.globs import Patterns, covered
from local.report.losses import called
from local.report.preview import Preview
from local.report.values import changed, differences, parsed, shown

PIPELINE = "aws:codepipeline/pipeline:Pipeline"
_RULE, _TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"
_GATE = re.compile(r"Verify|Test|Check|Scan|Approv")
"""What stands in the name of an action that a run has to pass, where its category does not say so."""
DISARMED = (
    "Stage rollback is disarmed until the next successful run, since it goes back to runs of the same structure alone."
)
"""A stage "can only roll back to a previous execution if the previous execution was started in the current pipeline
structure version": https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action of a pipeline."""

    name: str
    stage: str
    order: tuple[int, int]
    """The number of its stage, and its run order in that."""
    values: Mapping[str, Any]

    @property
    def is_gate(self) -> bool:
        """Whether it is there to stop a run."""
        return self.values.get("category") in {"Approval", "Test"} or bool(_GATE.search(self.name))

    @property
    def is_guarded(self) -> bool:
        """Whether what it does is worth a gate before it: it brings a version further."""
        return not self.is_gate and self.values.get("category") != "Source"


def pipeline(preview: Preview) -> Iterator[Finding]:
    """Yield what becomes of the pipelines of a stack."""
    for step in preview.steps:
        if step.type == PIPELINE and step.old and step.new and step.op != "same":
            yield from _of_pipeline(step.old.inputs, step.new.inputs)
    yield from _rules(preview)


def stages(inputs: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the stages of a pipeline; none where they are not known."""
    found = (inputs or {}).get("stages") or []
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def actions(inputs: Mapping[str, Any]) -> dict[str, Action]:
    """Return the actions of a pipeline by their names, in the order of the stages."""
    return {
        f"{stage['name']}/{action['name']}": Action(
            action["name"], stage["name"], (number, int(action.get("runOrder") or 1)), action
        )
        for number, stage in enumerate(stages(inputs))
        for action in stage.get("actions") or []
    }


def _of_pipeline(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Finding]:
    if not stages(new):
        yield Finding(Section.PIPELINE, f"The stages of the pipeline are {UNKNOWN_BEFORE_UP}.", broadens=True)
        return
    yield from _gates(actions(old), actions(new))
    yield from _triggers(old, new)
    yield from _stages(old, new)
    yield from _actions(actions(old), actions(new))
    for path, was, now in _settings(old, new):
        yield Finding(Section.PIPELINE, f"{changed(code(path), was, now)}.")
    yield Finding(Section.PIPELINE, DISARMED)


def _gates(old: Mapping[str, Action], new: Mapping[str, Action]) -> Iterator[Finding]:
    """What had to be passed before something else, and has not to be any more."""
    before, after = ({action.name: action for action in several.values()} for several in (old, new))
    for name, gate in before.items():
        if not gate.is_gate:
            continue
        guarded = [each.name for each in before.values() if each.is_guarded and each.order > gate.order]
        now = after.get(name)
        open_now = [each for each in guarded if each in after and (now is None or after[each].order < now.order)]
        if now is None:
            behind = f": {listed(open_now)} no longer wait{'' if open_now[1:] else 's'} for it" if open_now else ""
            kind = "The approval" if gate.values.get("category") == "Approval" else "The check"
            yield Finding(Section.PIPELINE, f"{kind} {code(name)} is removed{behind}.", broadens=True)
        elif open_now:
            yield Finding(
                Section.PIPELINE,
                f"{listed(open_now)} now come{'' if open_now[1:] else 's'} before {code(name)}.",
                broadens=True,
            )


def _stages(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Finding]:
    before, after = ([str(stage["name"]) for stage in stages(inputs)] for inputs in (old, new))
    for name in after:
        if name not in before:
            place = after.index(name)
            where = f"after {code(after[place - 1])}" if place else "as the first"
            of_it = [action.name for action in actions(new).values() if action.stage == name]
            yield Finding(Section.PIPELINE, f"The stage {code(name)} is added {where}, with {listed(of_it)}.")
    for name in before:
        if name not in after:
            of_it = [action.name for action in actions(old).values() if action.stage == name]
            yield Finding(Section.PIPELINE, f"The stage {code(name)} is removed, with {listed(of_it)}.")
    for name in moved_stages(before, after):
        place = after.index(name)
        where = f"after {code(after[place - 1])}" if place else "to the front"
        yield Finding(Section.PIPELINE, f"The stage {code(name)} is moved {where}.")


def moved_stages(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return what has to be taken out for the rest of what both have to stand in the same order."""
    old, new = ([name for name in names if name in before and name in after] for names in (before, after))
    blocks = difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_matching_blocks()
    stay = {old[block.a + number] for block in blocks for number in range(block.size)}
    return [name for name in new if name not in stay]


def _actions(old: Mapping[str, Action], new: Mapping[str, Action]) -> Iterator[Finding]:
    stage_names = [{action.stage for action in several.values()} for several in (old, new)]
    both = stage_names[0] & stage_names[1]
    where = [{action.name: action for action in several.values()} for several in (old, new)]
    for key, action in new.items():
        was = where[0].get(action.name)
        if key not in old and was and was.stage != action.stage and f"{was.stage}/{action.name}" not in new:
            words = f"{code(action.name)} is moved from the stage {code(was.stage)} to {code(action.stage)}."
            yield Finding(Section.PIPELINE, words)
        elif key not in old and action.stage in both:
            yield Finding(Section.PIPELINE, f"{code(action.stage)} gets the action {code(action.name)}.")
    for key, action in old.items():
        if key not in new and action.stage in both and action.name not in where[1] and not action.is_gate:
            yield Finding(Section.PIPELINE, f"{code(action.stage)} loses the action {code(action.name)}.")
    for key, action in new.items():
        if key in old:
            yield from _action(old[key], action)


def _action(old: Action, new: Action) -> Iterator[Finding]:
    found = []
    for path, was, now in differences(_open(old.values), _open(new.values)):
        found.append(changed(path.removeprefix("configuration."), was, now))
    if found:
        more = f" and {len(found) - 2} more" if found[2:] else ""
        words = f"{code(new.name)} runs otherwise: {', '.join(found[:2])}{more}."
        yield Finding(Section.PIPELINE, words, tuple(found) if found[2:] else ())


def _open(values: Mapping[str, Any]) -> dict[str, Any]:
    """An action's values, with the variables that stand in a text."""
    configuration = values.get("configuration")
    if not isinstance(configuration, Mapping):
        return dict(values)
    opened = {
        name: parsed(value) if str(value).startswith("[") and parsed(value) else value
        for name, value in configuration.items()
    }
    return {**values, "configuration": opened}


def _settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    names = ("executionMode", "variables", "pipelineType", "artifactStores")
    yield from differences({name: old.get(name) for name in names}, {name: new.get(name) for name in names})
    for before in stages(old):
        after = next((stage for stage in stages(new) if stage["name"] == before["name"]), None)
        if after:
            was_so, is_so = (
                {key: value for key, value in stage.items() if key not in ("name", "actions")}
                for stage in (before, after)
            )
            for path, was, now in differences(was_so, is_so):
                yield f"{before['name']}.{path}", was, now


# What starts it.


def _triggers(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Finding]:
    """The filters of https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-triggers.html, by globs."""
    before, after = (inputs.get("triggers") or [] for inputs in (old, new))
    if before == after:
        return
    if UNKNOWN in str(after):
        yield Finding(Section.PIPELINE, f"What starts the pipeline is {UNKNOWN_BEFORE_UP}.", broadens=True)
        return
    if before and not after:
        yield Finding(
            Section.PIPELINE,
            "The pipeline has no trigger any more: every change that a source action detects starts it.",
            broadens=True,
        )
        return
    were, are = list(_filters(before)), list(_filters(after))
    wider = [each for each in are if not any(_within(each, other) for other in were)]
    for each in wider:
        nearest = next((other for other in were if other.event == each.event), None)
        why = f" ({'; '.join(_wider(each, nearest))})" if nearest else ""
        other = (
            "Something else" if were and not any(_within(old_one, one) for old_one in were for one in are) else "More"
        )
        yield Finding(Section.PIPELINE, f"{other} starts the pipeline: {each.words}{why}.", broadens=True)
    for each in were:
        if each not in are and not wider:
            yield Finding(Section.PIPELINE, f"Less starts the pipeline; it was {each.words}.")


@dataclass(frozen=True, slots=True)
class _Filter:
    """A filter of a trigger: what has to be so for an event to start the pipeline."""

    event: str
    parts: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    """Of branches, file paths and tags, which are included and which excluded."""

    @property
    def words(self) -> str:
        """The filter in words."""
        told = [_asked(*part) for part in self.parts]
        return f"{self.event} of {', '.join(told)}" if told else f"every {self.event}"


def _asked(name: str, included: Sequence[str], excluded: Sequence[str]) -> str:
    sides = [listed(included)] if included else []
    sides += [f"not {listed(excluded)}"] if excluded else []
    return f"{name} {' but '.join(sides)}"


def _filters(triggers: Sequence[Any]) -> Iterator[_Filter]:
    for trigger in triggers:
        git = trigger.get("gitConfiguration") or {}
        source = git.get("sourceActionName", "")
        for name, event in (("pushes", f"push ({source})"), ("pullRequests", f"pull request ({source})")):
            for each in git.get(name) or []:
                kinds = {"branches": "branches", "filePaths": "files", "tags": "tags", "events": "events"}
                parts = []
                for key, word in kinds.items():
                    said = each.get(key)
                    if isinstance(said, Mapping):
                        included, excluded = (tuple(said.get(part) or ()) for part in ("includes", "excludes"))
                        parts.append((word, included, excluded))
                    elif said:
                        parts.append((word, tuple(said), ()))
                yield _Filter(event, tuple(parts))


def _within(inner: _Filter, outer: _Filter) -> bool:
    return inner.event == outer.event and not list(_wider(inner, outer))


def _wider(new: _Filter, old: _Filter) -> Iterator[str]:
    """Why a filter lets more pass than another."""
    now = {name: (included, excluded) for name, included, excluded in new.parts}
    for name, included, excluded in old.parts:
        included_now, excluded_now = now.get(name, ((), ()))
        if (included and not (included_now and covered(Patterns(included_now), [Patterns(included)]))) or not covered(
            Patterns(excluded), [Patterns(excluded_now)]
        ):
            yield f"so far {_asked(name, included, excluded)}"


def _rules(preview: Preview) -> Iterator[Finding]:
    """Rules of EventBridge that start a pipeline.

    What a pattern matches: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html.
    """
    starting = {
        state.inputs.get("rule")
        for step in preview.steps
        if step.type == _TARGET and (state := step.new) and ":codepipeline:" in str(state.inputs.get("arn"))
    }
    for step in preview.steps:
        if step.type != _RULE or not step.new or step.op == "same" or step.new.inputs.get("name") not in starting:
            continue
        was, now = (parsed(state.inputs.get("eventPattern")) if state else None for state in (step.old, step.new))
        if now is None and step.new.inputs.get("eventPattern") == UNKNOWN:
            words = f"What starts the pipeline is {UNKNOWN_BEFORE_UP} ({called(step)})."
            yield Finding(Section.PIPELINE, words, broadens=True)
        elif step.old is None and not preview.is_new:
            yield Finding(Section.PIPELINE, f"More starts the pipeline: the new {called(step)}.", broadens=True)
        elif was is not None and was != now:
            yield from _pattern(step, was, now or {})


def _pattern(step: Step, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Finding]:
    found = [
        (path, before, after)
        for path, before, after in _values(was, now)
        if after is None or not _is_part(after, before)
    ]
    told = ", ".join(f"{path} {code(shown(before))} → {code(shown(after))}" for path, before, after in found)
    if found:
        yield Finding(Section.PIPELINE, f"More starts the pipeline: {told} ({called(step)}).", broadens=True)
    else:
        yield Finding(Section.PIPELINE, f"Less starts the pipeline ({called(step)}).")


def _values(was: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    for name, before in was.items():
        after, place = now.get(name), f"{path}.{name}" if path else name
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _values(before, after, place)
        elif before != after:
            yield place, before, after


def _is_part(inner: object, outer: object) -> bool:
    return isinstance(inner, list) and isinstance(outer, list) and all(each in outer for each in inner)
