"""What `make preview` prints: the page of a stack that is new, or of an edit of one that is deployed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from components.settings import Settings
from local.engine.outcome import Outcome
from local.report import model
from local.report.file_changes import file_changes
from local.report.findings import Section
from local.report.first_time import first_time, numbered
from local.report.kinds import changed, dangers
from local.report.preview import Preview, of_outcome
from local.report.text import sections


def page(
    outcome: Outcome,
    settings: Settings,
    *,
    stack: str,
    file: str,
    now: Mapping[str, object],
    deployed: Mapping[str, object] | None,
) -> str:
    """Return the page.

    Args:
        outcome: The plan.
        settings: The stack file.
        stack: The stack's name.
        file: The stack file's name.
        now: What the stack file says.
        deployed: What it said when it was deployed; ``None`` where that is not known.

    Returns:
        lines without colour, each ended.
    """
    preview = of_outcome(stack, outcome)
    region = now.get("aws:region")
    name = f"{settings.application.name}, {settings.application.environment_of(stack)}"
    if preview.is_new:
        lines = [
            f"{name}: nothing is deployed yet ({region or 'region of AWS_REGION'}, {file})",
            *first_time(
                preview,
                settings,
                region=str(region) if region else None,
                next_steps=outcome.outputs.get("nextSteps", ()),
            ),
        ]
    else:
        lines = [f"{name}: {_headline(preview, file, now, deployed)}", *_edit(preview, outcome, now, deployed)]
    return "".join(f"{line}\n" for line in (*lines, ""))


def _headline(preview: Preview, file: str, now: Mapping[str, object], deployed: Mapping[str, object] | None) -> str:
    if not preview.changes:
        return "no changes"
    danger = "DANGER, " if list(dangers(preview)) else ""
    if deployed is None:
        return (
            f"{danger}changes, of {file} or of the program (what the file said when it was deployed is not known here)"
        )
    found = len(file_changes(deployed, now))
    if not found:
        return f"{danger}changes of the program; {file} says what it said"
    return f"{danger}{found} change{'s' if found > 1 else ''} of {file}"


def _edit(
    preview: Preview, outcome: Outcome, now: Mapping[str, object], deployed: Mapping[str, object] | None
) -> Iterator[str]:
    """What was changed, what users feel and when, the resources without their wiring, the command that ships it."""
    found = file_changes(deployed, now) if deployed is not None else []
    width = max((len(key) for key, _, _ in found), default=0)
    yield from (f"  {key:<{width}}  {old} -> {new}" for key, old, new in found)
    if not preview.changes:
        return
    for danger in dangers(preview):
        yield f"  DANGER, {danger}"
    report = model.of(preview)
    yield ""
    yield from sections(report)
    yield ""
    yield f"Resources: {report.sums}"
    yield from (f"  {line}" for line in changed(preview))
    if any(finding.section in {Section.NEXT_RUN, Section.JOBS} for finding in report.findings):
        pipeline, region = str(outcome.outputs.get("pipelineName")), now.get("aws:region")
        where = f" --region {shlex.quote(str(region))}" if region else ""
        yield ""
        yield "Running tasks keep what they have until the next run. To ship it now:"
        yield f"  pulumi up --stack {preview.stack}"
        yield f"  aws codepipeline start-pipeline-execution --name {shlex.quote(pipeline)}{where}"
    yield from _opened(preview, outcome)


def _opened(preview: Preview, outcome: Outcome) -> Iterator[str]:
    """The steps for a person that the edit adds to those of before."""
    before = {line for item in preview.before for line in item["outputs"].get("nextSteps", ()) if isinstance(line, str)}
    steps = [step for step in outcome.outputs.get("nextSteps", ()) if isinstance(step, str) and step not in before]
    if before and steps:
        yield ""
        yield "You then:"
        yield from numbered(steps)
