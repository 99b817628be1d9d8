"""The report in a terminal: the same sections, and the tree of what changes."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from local.engine.outcome import Step
from local.report.findings import Finding, Section
from local.report.model import StackReport, word
from local.report.preview import lost_protection, merged

_SIGNS = {"create": "+", "update": "~", "delete": "-", "replace": "+-", "same": "", "read": ">"}
_MOST_PATHS = 4
"""How many changed properties of one resource are named before the rest is counted."""
_WIDTH = 100


def sections(report: StackReport) -> Iterator[str]:
    """Yield the findings of a stack, in lines without colour; nothing of a stack that is new, or that is deleted."""
    preview = report.preview
    if preview.is_new or preview.is_gone or not report.changes:
        yield from (f"ECS deploys at once, beside the pipeline: {text}." for text in preview.deployments)
        return
    if not any(finding.section in (Section.USERS, Section.NEXT_RUN) for finding in report.findings):
        yield "Users notice nothing of it."
    for section in Section:
        of_it = [finding for finding in report.findings if finding.section is section]
        if of_it:
            yield f"{section.value}:"
        for finding in of_it:
            yield from _lines(finding)
    if report.labels:
        yield f"For a second pair of eyes: {', '.join(report.labels)}."


def _lines(finding: Finding) -> Iterator[str]:
    yield from textwrap.wrap(
        plain(finding.words), _WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def plain(words: str) -> str:
    """Return a sentence without the marks of code."""
    return words.replace("`", "")


def tree(steps: Iterable[Step]) -> list[str]:
    """Return the resources that change, below the components they belong to; a new component is one line."""
    all_of_them = merged(steps)
    shown = {urn for urn, step in all_of_them.items() if word(step) not in {"same", "read"} or lost_protection(step)}
    folded = _folded(all_of_them, shown)
    for urn in list(shown):
        while (urn := all_of_them[urn].parent) in all_of_them and urn not in shown:
            shown.add(urn)
    children: dict[str, list[str]] = defaultdict(list)
    for urn in sorted(shown, key=lambda urn: (all_of_them[urn].name, all_of_them[urn].type)):
        parent = all_of_them[urn].parent
        children[parent if parent in shown else ""].append(urn)
    rows = list(_rows(children, folded, "", ""))
    width = max((len(f"{lines}{all_of_them[urn].name}") for lines, urn in rows), default=0)
    found = []
    for lines, urn in rows:
        step = all_of_them[urn]
        more = f"{folded[urn]} resources" if urn in folded else _changes(step)
        text = f"{_SIGNS.get(word(step), '?'):>2}  {f'{lines}{step.name}':<{width}}  {_short(step.type)}  {more}"
        found.append(text.rstrip())
    return found


def _folded(steps: Mapping[str, Step], shown: set[str]) -> dict[str, int]:
    """The components that are made anew below one, with the number of resources in them."""
    inside: dict[str, int] = defaultdict(int)
    for urn in shown:
        above = steps[urn].parent
        while above in steps:
            inside[above] += not steps[urn].is_component
            above = steps[above].parent
    return {
        urn: count
        for urn, count in inside.items()
        if count > 1 and steps[urn].op == "create" and steps[urn].is_component and steps[urn].parent in steps
    }


def _rows(
    children: Mapping[str, Sequence[str]], folded: Mapping[str, int], parent: str, indent: str
) -> Iterator[tuple[str, str]]:
    below = children.get(parent, ())
    for index, urn in enumerate(below):
        is_last = index == len(below) - 1
        branch = "" if parent == "" else "└─ " if is_last else "├─ "
        yield f"{indent}{branch}", urn
        deeper = "" if parent == "" else "   " if is_last else "│  "
        if urn not in folded:
            yield from _rows(children, folded, urn, f"{indent}{deeper}")


def _short(token: str) -> str:
    """`aws:s3/bucket:Bucket` as people say it: `aws:s3:Bucket`."""
    package, _, rest = token.partition(":")
    module, _, name = rest.rpartition(":")
    return f"{package}:{module.partition('/')[0]}:{name}"


def _changes(step: Step) -> str:
    protection = ["protect"] if lost_protection(step) else []
    changed = [*step.changed, *protection]
    if step.op == "create" or not changed:
        return ""
    named = ", ".join(changed[:_MOST_PATHS])
    more = len(changed) - _MOST_PATHS
    because = (
        f"; a new one because of {', '.join(step.replaced_by)}" if step.is_replacement and step.replaced_by else ""
    )
    return f"[{named}{f' and {more} more' if more > 0 else ''}{because}]"
