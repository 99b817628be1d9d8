"""The generated part of docs/jobs.md: what each job takes, gives and may do.

`make golden` writes it anew, from the buildspecs and from the graphs of the stack files and the sections' examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from summary import graph_names, program, stack_files

from components.jobs.buildspec import FOLDER, Buildspec, is_of_the_application, jobs_of, load_buildspec
from local.rehearsal.deployed import Action, Deployed, Project

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "jobs.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"

_FOLDER = 10
"""CodePipeline names an artifact's folder after so many of its first characters."""

JOBS = tuple(sorted(path.stem for path in FOLDER.glob("*.yml")))


@dataclass(frozen=True, slots=True)
class Use:
    """One job as a pipeline uses it.

    Attributes:
        stack: The graph's name, as in :func:`summary.graph_names`.
        action: The pipeline's action.
        build: The jobs that its build runs, one after the other.
        place: Which of them it is.
    """

    stack: str
    action: Action
    build: tuple[str, ...]
    place: int

    @property
    def pipeline(self) -> Deployed:
        """The pipeline."""
        return deployed(self.stack)

    @property
    def project(self) -> Project:
        """The CodeBuild project."""
        return self.pipeline.project(self.action.name)

    @property
    def by_action(self) -> Mapping[str, str]:
        """The variables that the action sets, with their value or reference."""
        return {item.name: item.value for item in self.action.environment}

    @property
    def reads(self) -> tuple[str, ...]:
        """The artifacts that it reads; of several in a build each but the first reads what the one before wrote."""
        return tuple(self.action.outputs[self.place - 1 : self.place] if self.place else self.action.inputs)

    @property
    def statements(self) -> tuple[Mapping[str, Any], ...]:
        """What the project's role allows."""
        return tuple(one for policy in self.pipeline.policies(self.action.name) for one in policy["Statement"])

    @property
    def own_statements(self) -> tuple[Mapping[str, Any], ...]:
        """The same without what only other jobs of its build have where they run alone, and without their artifacts."""
        if len(self.build) == 1:
            return self.statements
        job = self.build[self.place]
        others = frozenset[str]().union(*(alone(other) for other in self.build if other != job)) - alone(job)
        ending = f"/{self.action.outputs[self.place][:_FOLDER]}/*"
        return tuple(
            {**one, "Resource": [path for path in one["Resource"] if path.endswith(ending)]}
            if one["Sid"] == "WriteArtifacts"
            else one
            for one in self.statements
            if one["Sid"] not in others
        )


@cache
def deployed(stack: str) -> Deployed:
    """The pipeline of one of the graphs."""
    return Deployed.of([item.as_dict() for item in program(stack)])


def _jobs(buildspec: str) -> tuple[str, ...]:
    """The jobs of a project; none of one that runs a buildspec of the application's."""
    return () if is_of_the_application(buildspec) else jobs_of(buildspec)


@cache
def uses(job: str) -> list[Use]:
    """Every action that runs the job; the stack file with the most in it comes first, the sections' examples last."""
    return [
        Use(stack, action, build, build.index(job))
        for stack in sorted(graph_names(), key=lambda name: (name != "everything-on", name not in stack_files(), name))
        for action in deployed(stack).actions
        if action.project and job in (build := _jobs(deployed(stack).project(action.name).buildspec))
    ]


@cache
def alone(job: str) -> frozenset[str]:
    """The statements of the roles of the builds that run this job and no other."""
    return frozenset(one["Sid"] for use in uses(job) if len(use.build) == 1 for one in use.statements)


@cache
def common() -> frozenset[str]:
    """The statements that every job's role has; they are told once."""
    return frozenset.intersection(
        *(frozenset(one["Sid"] for one in use.statements) for job in JOBS for use in uses(job))
    )


def page() -> Iterator[str]:
    """The lines between the marks."""
    yield "| Job | Purpose | Input artifacts | Output | Exported variables |"
    yield "|---|---|---|---|---|"
    for job in JOBS:
        spec, used = load_buildspec(job), uses(job)
        reads = sorted({artifact for use in used for artifact in use.reads})
        cells = [f"[{job}](#{job})", spec.purpose, listed(reads), listed(written(spec)), listed(spec.exported)]
        yield f"| {' | '.join(cells)} |"
    for job in JOBS:
        yield ""
        yield from chapter(job)


def chapter(job: str) -> Iterator[str]:
    """Variables and permissions of one job."""
    spec, used = load_buildspec(job), uses(job)
    if not used:
        raise SystemExit(
            f"docs/jobs.md: nothing uses the job {job} - add its stage to STAGES in components/stages/__init__.py, "
            "and switch it on in the example of its section in components/settings/root.py"
        )
    example = used[0]
    yield f"### {job}"
    yield ""
    yield spec.purpose
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
    where = f"in the stack file `{example.stack}`" if example.stack in stack_files() else "with its section's example"
    yield f"Permissions {where}, in addition to the common ones:"
    yield ""
    if not own(example):
        yield "- none"
    for statement in own(example).values():
        yield f"- {allowed(statement)}"
    others = {sid: (use.stack, one) for use in reversed(used) for sid, one in own(use).items()}
    for sid, (stack, statement) in sorted(others.items()):
        if sid not in own(example):
            yield f"- in `{stack}` {allowed(statement)}"


def own(use: Use) -> dict[str, Mapping[str, Any]]:
    """What a job's role allows beyond what every job's does, by `Sid`."""
    return {one["Sid"]: one for one in use.own_statements if one["Sid"] not in common()}


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
