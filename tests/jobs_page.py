"""The generated part of docs/jobs.md: what each job takes, gives and may do.

`python tests/jobs_page.py` writes it anew, from the buildspecs and from the graphs of the stack files.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "jobs.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"

if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from summary import program, stack_files  # noqa: E402 - the path is set just above when run as a script

from components.jobs.buildspec import FOLDER, Buildspec, job_of, load_buildspec  # noqa: E402 - see above
from local.rehearsal.deployed import Deployed, Project  # noqa: E402 - see above

JOBS = tuple(sorted(path.stem for path in FOLDER.glob("*.yml")))
# Every job has these; they are told once.
COMMON = ("ReadJobs", "ExchangeArtifacts", "FindArtifactBucket", "UseArtifactKey", "WriteLog")


@dataclass(frozen=True, slots=True)
class Use:
    """One job as a stack file's pipeline uses it.

    Attributes:
        stack: The stack file's name.
        project: The CodeBuild project.
        reads: Its input artifacts.
        by_action: The variables that the pipeline's action sets, with their value or reference.
        statements: What its role allows beyond what every job's does.
    """

    stack: str
    project: Project
    reads: tuple[str, ...]
    by_action: Mapping[str, str]
    statements: tuple[Mapping[str, Any], ...]


@cache
def deployed(stack: str) -> Deployed:
    """The pipeline of one of the repository's stack files."""
    return Deployed.of([item.as_dict() for item in program(stack)])


def uses(job: str) -> list[Use]:
    """Every project of every stack file that runs the job; the stack file with the most in it comes first."""
    found = []
    for stack in sorted(stack_files(), key=lambda name: (name != "everything-on", name)):
        pipeline = deployed(stack)
        for action in pipeline.actions:
            if not action.project or not runs(pipeline.project(action.name), job):
                continue
            statements = [one for policy in pipeline.policies(action.name) for one in policy["Statement"]]
            found.append(
                Use(
                    stack,
                    pipeline.project(action.name),
                    action.inputs,
                    {item.name: item.value for item in action.environment},
                    tuple(one for one in statements if one["Sid"] not in COMMON),
                )
            )
    return found


def runs(project: Project, job: str) -> bool:
    """Whether the project's buildspec is this job's."""
    return job_of(project.buildspec) == job


def page() -> Iterator[str]:
    """The lines between the marks."""
    yield "| Job | Purpose | Input artifacts | Output | Exported variables |"
    yield "|---|---|---|---|---|"
    for job in JOBS:
        spec, used = load_buildspec(job), uses(job)
        reads = sorted({artifact for use in used for artifact in use.reads})
        cells = [f"[{job}](#{job})", purpose(job), listed(reads), listed(written(spec)), listed(spec.exported)]
        yield f"| {' | '.join(cells)} |"
    for job in JOBS:
        yield ""
        yield from chapter(job)


def chapter(job: str) -> Iterator[str]:
    """Variables and permissions of one job."""
    spec, used = load_buildspec(job), uses(job)
    example = used[0]
    yield f"### {job}"
    yield ""
    yield purpose(job)
    yield ""
    yield "| Variable | Default | Set by | Example |"
    yield "|---|---|---|---|"
    by_project = {item.name: item.value for item in example.project.variables}
    for name in (*spec.variables, *spec.secrets):
        value, origin = "", "its default"
        if name in example.by_action:
            value, origin = example.by_action[name], "the pipeline"
        elif name in by_project:
            value, origin = by_project[name], "Secrets Manager" if name in spec.secrets else "the project"
        yield f"| `{name}` | {code(spec.variables.get(name, ''))} | {origin} | {code(value)} |"
    yield ""
    yield f"Permissions in the stack file `{example.stack}`, in addition to the common ones:"
    yield ""
    if not example.statements:
        yield "- none"
    for statement in example.statements:
        yield f"- {allowed(statement)}"
    others = {
        statement["Sid"]: use.stack
        for use in reversed(used)
        for statement in use.statements
        if statement["Sid"] not in {one["Sid"] for one in example.statements}
    }
    for sid, stack in sorted(others.items()):
        (statement,) = (one for use in used if use.stack == stack for one in use.statements if one["Sid"] == sid)
        yield f"- in `{stack}` {allowed(statement)}"


def allowed(statement: Mapping[str, Any]) -> str:
    """A statement in one line."""
    actions, resources = listed(statement["Action"]), listed(statement["Resource"])
    return f"{statement['Sid']}: {actions} on {resources}{condition(statement)}"


def condition(statement: Mapping[str, Any]) -> str:
    """The statement's conditions in words."""
    parts = [
        f"{key} {operator} {listed(value)}"
        for operator, keys in statement.get("Condition", {}).items()
        for key, value in keys.items()
    ]
    return f", if {' and '.join(parts)}" if parts else ""


def purpose(job: str) -> str:
    """The buildspec's first line."""
    first = (FOLDER / f"{job}.yml").read_text(encoding="utf-8").splitlines()[0]
    return re.sub(r" Outputs?: .*", "", first.removeprefix("# "))


def written(spec: Buildspec) -> tuple[str, ...]:
    """The files of the output artifact, and the test report."""
    return (*spec.artifact_files, *(f"report {name}" for name in spec.reports))


def listed(values: object) -> str:
    """A list as code, or nothing."""
    entries = [values] if isinstance(values, str) else list(values) if isinstance(values, (list, tuple)) else [values]
    return ", ".join(code(str(entry)) for entry in entries)


def code(text: str) -> str:
    """The text as code that may stand in a table; nothing for an empty one."""
    return "`{}`".format(text.replace("|", "\\|")) if text else ""


def completed(text: str) -> str:
    """The page with its generated part written anew."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return "\n".join([f"{before}{BEGIN}", *page(), f"{END}{after}"])


def main() -> None:
    """Write the page."""
    PAGE.write_text(completed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
