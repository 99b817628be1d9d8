"""`python -m local report`: the change report of one stack or of several."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from local.errors import Refusal
from local.report import model
from local.report.markdown import markdown
from local.report.page import page
from local.report.preview import Preview, of_outcome, read
from local.report.saved import as_json
from local.report.text import sections, tree
from local.stack_file import read as read_stack_file

ROOT = Path(__file__).parents[2]


def run(options: argparse.Namespace) -> int:
    """Write and print the report.

    Returns:
        The exit code of :attr:`local.report.model.Report.exit_code`.

    Raises:
        Refusal: A stack has no file, or a file is of a preview that was made otherwise.
    """
    report = model.Report(tuple(model.of(_preview(text)) for text in options.stacks))
    for file, content in ((options.markdown, markdown), (options.json, as_json), (options.page, page)):
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content(report), encoding="utf-8")
    for stack in report.stacks:
        print("\n".join(_lines(stack)), end="\n\n")
    if report.labels:
        print(f"Look twice: {', '.join(report.labels)}")
    return report.exit_code


def _lines(stack: model.StackReport) -> Sequence[str]:
    if stack.failed:
        return [f"{stack.stack}: the preview failed", *stack.preview.problems]
    if not stack.changes:
        return [f"{stack.stack}: no changes"]
    return [f"{stack.stack}: {stack.sums}", *sections(stack), "", *tree(stack.preview.steps)]


def _read(stack: str, file: Path) -> Preview:
    """Read a file, which a branch may have written otherwise than Pulumi does: that is a preview that failed."""
    try:
        return read(stack, file)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        problem = f"{file.name} is not what pulumi preview writes ({type(error).__name__}: {error})."
        return Preview(stack, problems=(problem,))


def _preview(text: str) -> Preview:
    stack, given, file = text.partition("=")
    if given:
        return _read(stack, Path(file))
    stack_file = ROOT / f"Pulumi.{stack}.yaml"
    if not stack_file.is_file():
        raise Refusal(
            f"{stack_file.name}: there is no such stack file - name a stack that has one, or the file of its preview: "
            f"{stack}=FILE"
        )
    read_stack_file(stack_file, stack)
    from local.engine.stack import EngineFailure, LocalStack  # noqa: PLC0415 - a file is read without the engine

    try:
        return of_outcome(stack, LocalStack(stack, project_dir=ROOT, stack_file=stack_file).preview())
    except EngineFailure as failure:
        return Preview(stack, problems=failure.messages)
