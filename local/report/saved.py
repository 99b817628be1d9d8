"""The report as JSON, for whoever makes something else of it: labels, a check, a message."""

from __future__ import annotations

import json

from local.report.model import Report, StackReport


def as_json(report: Report) -> str:
    """Return the report as JSON text."""
    content = {
        "labels": report.labels,
        "exitCode": report.exit_code,
        "stacks": [_stack(stack) for stack in report.stacks],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _stack(report: StackReport) -> dict[str, object]:
    return {
        "stack": report.stack,
        "failed": report.failed,
        "problems": list(report.preview.problems),
        "changes": len(report.preview.changes),
        "summary": "" if report.failed else report.sums,
        "first": report.first,
        "labels": report.labels,
        "findings": [
            {
                "section": finding.section.value,
                "words": finding.words,
                "details": list(finding.details),
                "destroys": finding.destroys,
                "broadens": finding.broadens,
            }
            for finding in report.findings
        ],
    }
