"""What nobody can bring back: what is deleted with what it holds, and what has kept it from being deleted."""

from __future__ import annotations

import csv
import functools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.engine.effects import When, effects
from local.engine.outcome import Step
from local.engine.values import SECRET, UNKNOWN
from local.report.findings import Finding, Section, code, listed
from local.report.preview import Preview, lost_protection
from local.report.values import NOTHING, at, parsed

TABLE = Path(__file__).with_name("state.tsv")
_NEVER = float("inf")
_NAMES = ("name", "bucket", "arn", "id", "keyId")
_TARGETS = ("bucket", "repository", "keyId", "arn", "topic")
"""Inputs by which a resource says what it is about."""
_HISTORY = ("its log lines", "its test reports", "its history")
"""What only tells of the past."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of resource.

    Attributes:
        called: What people call it.
        loses: What is lost with it; empty for nothing that is not made again.
        source: The page on which AWS says so.
    """

    called: str
    loses: str
    source: str


@functools.cache
def kinds() -> Mapping[str, Kind]:
    """Return what is known of each type of resource."""
    lines = (line for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {
        row["type"]: Kind(row["called"], row["loses"].removeprefix("-"), row["source"])
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    }


def called(step: Step) -> str:
    """Return what people call a resource, with its name."""
    kind = kinds().get(step.type)
    return f"{kind.called if kind else code(step.type)} {code(step.name)}"


def losses(preview: Preview) -> Iterator[Finding]:
    """Yield what cannot be undone, what keeps data before what only tells of the past."""
    changes = [step for step in preview.changes if step.is_of_aws]
    for effect in effects(preview.steps):
        if effect.when is When.NOT_IN_PLACE:
            yield Finding(Section.LOSS, f"Not possible in place: {effect.words}")
    yield from _open_secrets(changes)
    gone = list(_gone(changes))
    yield from (finding for finding, is_history in gone if not is_history)
    protections = [called(step) for step in changes if lost_protection(step)]
    if protections:
        yield Finding(
            Section.LOSS,
            f"The protection of the {protections[0]}{_and_more(protections)} is taken away: whatever deletes or "
            f"replaces {'them' if protections[1:] else 'it'} is refused no more.",
            details=tuple(f"The {name} is protected no more." for name in protections[1:]),
            destroys=True,
        )
    yield from _unprotected(preview, changes)
    yield from (finding for finding, is_history in gone if is_history)


def _unprotected(preview: Preview, changes: Sequence[Step]) -> Iterator[Finding]:
    """What is kept for less long, or less well, the same of several resources in one sentence."""
    kept = names_of(step for step in preview.steps if step.old and step.new and not step.is_replacement)
    found: dict[str, list[str]] = defaultdict(list)
    for step in changes:
        # What is said of a bucket that is made or deleted along with it protects nothing that stays.
        if step.op not in {"create", "delete"} or is_about(step, kept):
            for words in dict.fromkeys(_weaker(step)):
                found[words].append(called(step))
    for words, names in found.items():
        details = tuple(words.format(name=name) for name in names) if names[1:] else ()
        yield Finding(Section.LOSS, words.format(name=f"{names[0]}{_and_more(names)}"), details, destroys=True)


def _and_more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if names[1:] else ""


def _gone(changes: Sequence[Step]) -> Iterator[tuple[Finding, bool]]:
    """What is deleted with what it holds, one sentence for each type, and whether that only tells of the past."""
    several: dict[tuple[str, bool], list[Step]] = defaultdict(list)
    for step in changes:
        kind = kinds().get(step.type)
        if (step.op == "delete" or step.is_replacement) and not (kind and not kind.loses):
            retained = bool(step.old and step.old.retained and not step.is_replacement)
            several[step.type, retained].append(step)
    created = [step for step in changes if step.op == "create"]
    for (kind_of, retained), steps in several.items():
        kind = kinds().get(kind_of, Kind(code(kind_of), "whatever it holds", ""))
        is_history = kind.loses.startswith(_HISTORY)
        details = tuple(_sentence(step, kind, created) for step in steps) if steps[1:] else ()
        names, what = listed([step.name for step in steps]), kind.loses.replace("its ", "their ", 1)
        if retained:
            words = f"The {kind.called} {names} stays in the account with {kind.loses}, and the stack knows it no more."
        elif steps[1:]:
            words = f"{len(steps)} {_plural(kind.called)} are deleted with {what}: {names}."
        else:
            words = _sentence(steps[0], kind, created)
        yield Finding(Section.LOSS, words, () if retained else details, destroys=not retained), is_history


def _plural(called_so: str) -> str:
    return (
        f"{called_so[:-1]}ies"
        if called_so.endswith("y") and called_so[-2] not in "aeiou"
        else (f"{called_so}es" if called_so.endswith("s") else f"{called_so}s")
    )


def _sentence(step: Step, kind: Kind, created: Sequence[Step]) -> str:
    name = f"{kind.called} {code(step.name)}"
    if step.is_replacement:
        why = f" because of {', '.join(map(code, step.replaced_by))}" if step.replaced_by else ""
        return f"The {name} is replaced{why}: the old one is deleted with {kind.loses}."
    new = next((each for each in created if each.type == step.type and _essence(each) == _essence(step)), None)
    renamed = f"; {code(new.name)} is made in its place: where it is only renamed, it needs an alias" if new else ""
    return f"The {name} is deleted with {kind.loses}{renamed}."


def _essence(step: Step) -> Mapping[str, Any]:
    """What a resource is asked to be, without its names."""
    state = step.old or step.new
    inputs = state.inputs if state else {}
    return {key: value for key, value in inputs.items() if not isinstance(value, str) or step.name not in value}


# Protection that is taken away: each yields a sentence where less is kept than before.


def names_of(steps: Iterable[Step]) -> set[str]:
    """Return the names, ids and ARNs by which resources are spoken of."""
    return {
        str(value)
        for step in steps
        for state in (step.old, step.new)
        if state
        for value in (state.id, *(source.get(name) for source in (state.inputs, state.outputs) for name in _NAMES))
        if value and value != UNKNOWN
    }


def is_about(step: Step, names: AbstractSet[str]) -> bool:
    """Return whether a resource is about one of those that have these names."""
    state = step.new or step.old
    return bool(state and {str(value) for name, value in state.inputs.items() if name in _TARGETS} & names)


def _weaker(step: Step) -> Iterator[str]:
    old = step.old.inputs if step.old else {}
    new = step.new.inputs if step.new else {}
    kind = kinds().get(step.type)
    if (step.is_replacement and kind and kind.loses) or (step.op == "delete" and step.type not in _BY_ITSELF):
        return
    for rule in _RULES:
        if rule.type.search(step.type) and (step.old or rule.of_new):
            yield from rule.weaker(old, new)


_Inputs = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Rule:
    type: re.Pattern[str]
    weaker: Callable[[_Inputs, _Inputs], Iterator[str]]
    of_new: bool = False
    """Whether one that is made beside what is there already counts, too."""


def _switched_off(path: str, words: str) -> Callable[[_Inputs, _Inputs], Iterator[str]]:
    def weaker(old: _Inputs, new: _Inputs) -> Iterator[str]:
        if at(old, path) in {True, "true"} and at(new, path) not in {True, "true"}:
            yield words

    return weaker


def _switched_on(path: str, words: str) -> Callable[[_Inputs, _Inputs], Iterator[str]]:
    def weaker(old: _Inputs, new: _Inputs) -> Iterator[str]:
        if at(new, path) is True and at(old, path) is not True:
            yield words

    return weaker


def _less(path: str, words: str, *, always: object = None) -> Callable[[_Inputs, _Inputs], Iterator[str]]:
    """Where a number gets lower; ``always`` is the value that means for ever."""

    def weaker(old: _Inputs, new: _Inputs) -> Iterator[str]:
        before, after = (_NEVER if value in (None, always) else value for value in (at(old, path), at(new, path)))
        if isinstance(after, int) and after < before:
            yield f"{words}: {code(before if before != _NEVER else 'for ever')} → {code(after)} days."

    return weaker


def _no_versions(old: _Inputs, new: _Inputs) -> Iterator[str]:
    if at(old, "versioningConfiguration.status") == "Enabled" != at(new, "versioningConfiguration.status"):
        yield "Versioning is switched off ({name}): what is overwritten or deleted is gone."


def _objects_expire(old: _Inputs, new: _Inputs) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html."""
    before = {rule.get("id"): rule for rule in old.get("rules") or [] if rule.get("status") == "Enabled"}
    for rule in new.get("rules") or []:
        if rule.get("status") != "Enabled":
            continue
        for path, what in (
            ("expiration.days", "Objects are deleted"),
            ("noncurrentVersionExpiration.noncurrentDays", "Overwritten and deleted objects are gone"),
        ):
            was = at(before.get(rule.get("id"), {}), path)
            now = at(rule, path)
            if isinstance(now, int) and now < (was or _NEVER):
                yield f"{what} sooner ({{name}}): {code(f'{was} days' if was else 'never')} → {code(f'{now} days')}."


def _images_expire(old: _Inputs, new: _Inputs) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html."""
    before = {rule.get("rulePriority"): rule for rule in (parsed(old.get("policy")) or {}).get("rules", [])}
    for rule in (parsed(new.get("policy")) or {}).get("rules", []):
        was = at(before.get(rule.get("rulePriority"), {}), "selection.countNumber")
        now = at(rule, "selection.countNumber")
        if isinstance(now, int) and now < (was or _NEVER):
            about = rule.get("description") or f"rule {rule.get('rulePriority')}"
            about = str(about).replace("{", "(").replace("}", ")")
            yield f"Fewer images are kept ({{name}}, {code(about)}): {code(was or 'all')} → {code(now)}."


def _tags_can_move(old: _Inputs, new: _Inputs) -> Iterator[str]:
    before, after = str(old.get("imageTagMutability", "")), str(new.get("imageTagMutability") or "MUTABLE")
    if before.startswith("IMMUTABLE") and not after.startswith("IMMUTABLE"):
        yield "Tags of images can be moved ({name}): what a tag names today it may not name tomorrow."


def _no_key(old: _Inputs, new: _Inputs) -> Iterator[str]:
    if old.get("kmsKeyId") and not new.get("kmsKeyId"):
        yield "The {name} is encrypted with no key of its own any more."


_PUBLIC = "The {name} keeps out the public no more: "
_RULES = (
    _Rule(
        re.compile(":LoadBalancer$"),
        _switched_off("enableDeletionProtection", "The {name} loses its deletion protection."),
    ),
    _Rule(re.compile("^aws:"), _switched_off("deletionProtection", "The {name} loses its deletion protection.")),
    _Rule(re.compile("^aws:"), _switched_off("deletionProtectionEnabled", "The {name} loses its deletion protection.")),
    _Rule(re.compile("^aws:"), _switched_on("forceDestroy", "The {name} may be deleted with all that is in it.")),
    _Rule(re.compile("^aws:"), _switched_on("forceDelete", "The {name} may be deleted with all that is in it.")),
    _Rule(re.compile("^aws:"), _switched_on("skipFinalSnapshot", "The {name} is deleted without a last snapshot.")),
    _Rule(re.compile("^aws:"), _less("backupRetentionPeriod", "Backups of the {name} are kept less long")),
    _Rule(
        re.compile(":LogGroup$"),
        _less("retentionInDays", "Log lines are deleted sooner ({name})", always=0),
    ),
    _Rule(re.compile(":LogGroup$"), _no_key),
    _Rule(re.compile("kms/key:Key$"), _less("deletionWindowInDays", "The {name} is lost sooner once it is deleted")),
    _Rule(re.compile("kms/key:Key$"), _switched_off("enableKeyRotation", "The {name} is rotated no more.")),
    _Rule(re.compile(":BucketVersioning$"), _no_versions),
    _Rule(re.compile(":BucketLifecycleConfiguration$"), _objects_expire, of_new=True),
    _Rule(re.compile("ecr/lifecyclePolicy:"), _images_expire, of_new=True),
    _Rule(re.compile("ecr/repository:Repository$"), _tags_can_move),
    *(
        _Rule(re.compile(":BucketPublicAccessBlock$"), _switched_off(name, f"{_PUBLIC}{code(name)} is off."))
        for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    ),
)
_BY_ITSELF = (
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
)
"""What protects another resource, which stays when it is deleted."""


# Secrets that become plain text.


def _open_secrets(changes: Sequence[Step]) -> Iterator[Finding]:
    for step in changes:
        if step.old and step.new:
            for name, words in _opened(step.old.inputs, step.new.inputs):
                yield Finding(
                    Section.LOSS,
                    f"{code(name)} was a secret and becomes plain text ({called(step)}): {words}",
                    destroys=False,
                    broadens=True,
                )


def _opened(old: _Inputs, new: _Inputs) -> Iterator[tuple[str, str]]:
    yield from ((path, "whoever may read the stack's state can read it.") for path in _no_secrets(old, new))
    variables = [
        {each.get("name"): each for each in at(inputs, "environment.environmentVariables") or []}
        for inputs in (old, new)
    ]
    for name, variable in variables[1].items():
        before = variables[0].get(name, {}).get("type", "PLAINTEXT")
        if before != "PLAINTEXT" and variable.get("type", "PLAINTEXT") == "PLAINTEXT":
            yield name, "it stands in the project, and whoever may look at that can read it."
    definitions = [parsed(inputs.get("content")) for inputs in (old, new)]
    containers = [
        {each.get("name"): each for each in (definition or {}).get("containerDefinitions", [])}
        if isinstance(definition, dict)
        else {}
        for definition in definitions
    ]
    for name, container in containers[1].items():
        secrets = {each["name"] for each in containers[0].get(name, {}).get("secrets") or []}
        for variable in container.get("environment") or []:
            if variable["name"] in secrets:
                yield variable["name"], "it stands in the task definition, which whoever may look at ECS can read."


def _no_secrets(old: Any, new: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON
    """The places where a secret has been, and something else is."""
    if old == SECRET and new not in (SECRET, None):
        yield path or NOTHING
    elif isinstance(old, dict) and isinstance(new, dict):
        for name in old:
            yield from _no_secrets(old[name], new.get(name), f"{path}.{name}" if path else name)
    elif isinstance(old, list) and isinstance(new, list):
        for number, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from _no_secrets(before, after, f"{path}[{number}]")
