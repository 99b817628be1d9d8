"""Whether the actions of a deployed pipeline fit together: variables, artifacts, and the files in these.

All is derived from what is deployed: the pipeline's definition, the buildspecs' texts, and the bundle of the jobs that
these fetch.
Only what AWS documents is written down here: which variables a source offers, and which files a deploy action reads by
default (https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference.html).
"""

from __future__ import annotations

import ast
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.jobs.buildspec import with_imports
from local.rehearsal.codebuild.artifacts import matches
from local.rehearsal.deployed import Action, Deployed, Project
from local.rehearsal.emulated.access import Need, allows

_OFFERED: Mapping[str, frozenset[str]] = {
    "CodeStarSourceConnection": frozenset(
        {"AuthorDate", "BranchName", "CommitId", "CommitMessage", "ConnectionArn", "FullRepositoryName"}
    ),
    # Not ImageTag: it is not set when a run is pinned to a digest.
    "ECR": frozenset({"RegistryId", "RepositoryName", "ImageDigest", "ImageURI"}),
}
_SOURCE_FILES: Mapping[str, tuple[str, ...]] = {"CodeStarSourceConnection": ("**/*",), "ECR": ("imageDetail.json",)}
_JOB = re.compile(r'python3 "\$JOBS_DIR/jobs\.pyz" ([a-z-]+)')
_READERS = ("require", "optional", "prefixed")
_USED = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_GIVEN = re.compile(r"(CODEBUILD|AWS)_[A-Z0-9_]+|HOME|LC_ALL|PATH|PWD|PYENV_VERSION|JOBS_DIR")


@dataclass(frozen=True, slots=True)
class _Job:
    """A project's buildspec, seen as what goes in and what comes out."""

    declared: frozenset[str]
    read: frozenset[str]
    texts: frozenset[str]
    """Every text that stands in its scripts."""
    opened: frozenset[str]
    """What its scripts read as artifacts by name."""
    written: frozenset[str]
    exported: tuple[str, ...]
    artifacts: Mapping[str, Any]

    @classmethod
    def of(cls, project: Project, bundle: zipfile.ZipFile) -> _Job:
        """What the buildspec's text and the scripts say."""
        spec = project.spec
        env = spec.get("env", {})
        commands = [command for phase in spec["phases"].values() for command in phase.get("commands", [])]
        plain = " ".join(commands)
        nodes = [node for job in _JOB.findall(plain) for node in _nodes(bundle, job)]
        return cls(
            declared=frozenset(
                name for key in ("variables", "parameter-store", "secrets-manager") for name in env.get(key, {})
            ),
            read=frozenset({*_arguments(nodes, *_READERS), *_USED.findall(plain)}),
            texts=frozenset(
                node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ),
            opened=frozenset(_arguments(nodes, "read_json")),
            written=frozenset(_arguments(nodes, "write_json")),
            exported=tuple(env.get("exported-variables", ())),
            artifacts=spec.get("artifacts", {}),
        )

    def files(self, artifact: str) -> tuple[str, ...]:
        """The files of one output."""
        rules = self.artifacts.get("secondary-artifacts", {}).get(artifact, self.artifacts)
        return tuple(rules.get("files", ()))


def problems(deployed: Deployed, bundle: bytes) -> list[str]:
    """Everything that does not fit together, a sentence each; empty when all does.

    Args:
        deployed: The pipeline.
        bundle: The archive of the jobs' scripts that its projects fetch.
    """
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        jobs = {name: _Job.of(project, archive) for name, project in deployed.projects.items()}
    made: dict[str, tuple[str, ...]] = {}
    offered: dict[str, frozenset[str]] = {
        "codepipeline": frozenset({"PipelineExecutionId"}),
        "variables": frozenset(name.partition(".")[2] for name in deployed.variables),
    }
    files = _files_of(deployed, jobs)
    known = {file for job in jobs.values() for file in job.written}
    digest = hashlib.sha256(bundle).hexdigest()
    found = [
        f"{name} wants a bundle with another hash"
        for name, project in deployed.projects.items()
        if {item.name: item.value for item in project.variables}.get("JOBS_SHA256") != digest
    ]
    for batch in _batches(deployed):
        for action in batch:
            at = f"action {action.name}"
            found += [
                f"{at} reads the artifact {name}, which no earlier action makes"
                for name in action.inputs
                if name not in made
            ]
            found += [f"{at}: {problem}" for problem in _reference_problems(action, offered)]
            found += [f"{at}: {problem}" for problem in _file_problems(action, jobs.get(action.project), made, known)]
            if action.project in jobs:
                found += [f"{at}: {problem}" for problem in _job_problems(deployed, action, jobs[action.project])]
                found += [f"{at}: {problem}" for problem in _report_problems(deployed, action)]
            found += [f"{at}: {problem}" for problem in _clone_problems(deployed, action)]
        for action in batch:
            made |= {name: files[name] for name in action.outputs}
            if action.namespace:
                job = jobs.get(action.project)
                offered[action.namespace] = frozenset(job.exported if job else _OFFERED.get(action.provider, ()))
    return list(dict.fromkeys(found))


def _nodes(bundle: zipfile.ZipFile, job: str) -> Iterator[ast.AST]:
    """Everything in a job's module and in those that it imports."""

    def read(module: str) -> str | None:
        path = f"jobs/{module}.py"
        return bundle.read(path).decode() if path in bundle.namelist() else None

    for text in with_imports(job.replace("-", "_"), read).values():
        yield from ast.walk(ast.parse(text))


def _batches(deployed: Deployed) -> Iterator[list[Action]]:
    """The actions that run at the same time, in running order."""
    batch: list[Action] = []
    for action in deployed.actions:
        if batch and (batch[0].stage, batch[0].run_order) != (action.stage, action.run_order):
            yield batch
            batch = []
        batch.append(action)
    yield batch


def _files_of(deployed: Deployed, jobs: Mapping[str, _Job]) -> dict[str, tuple[str, ...]]:
    """The files in each artifact, by its name."""
    return {
        name: jobs[action.project].files(name) if action.project in jobs else _SOURCE_FILES.get(action.provider, ())
        for action in deployed.actions
        for name in action.outputs
    }


def _reference_problems(action: Action, offered: Mapping[str, frozenset[str]]) -> Iterator[str]:
    for reference in action.references:
        space, _, name = reference.partition(".")
        if space not in offered:
            yield f"#{{{reference}}}: no earlier action has the namespace {space}"
        elif name not in offered[space]:
            yield f"#{{{reference}}}: {space} offers {', '.join(sorted(offered[space])) or 'nothing'}"


def _job_problems(deployed: Deployed, action: Action, job: _Job) -> Iterator[str]:
    project = deployed.projects[action.project]
    yield from _variable_problems(action, project, job)
    for output in action.outputs:
        for file in job.files(output):
            if "*" not in file and file not in job.written:
                yield f"{file} is to be in the artifact {output}, but nothing in {project.name} writes it"
        if not job.files(output):
            yield f"makes the artifact {output}, for which {project.name} has no files"


def _report_problems(deployed: Deployed, action: Action) -> Iterator[str]:
    """What a project's role lacks to write the report groups that its buildspec names.

    CodeBuild asks for the first permission of these even where the group is there:
    https://docs.aws.amazon.com/codebuild/latest/userguide/test-permissions.html.
    """
    project = deployed.projects[action.project]
    for report in project.spec.get("reports", {}):
        # A name alone stands for the group <project>-<name>; an ARN for another project's.
        group = f"{project.arn.replace(':project/', ':report-group/')}-{report}"
        for name in ("CreateReportGroup", "CreateReport", "UpdateReport", "BatchPutTestCases"):
            need = Need(f"codebuild:{name}", group)
            if not _may(deployed, action, need):
                yield f"writes the report group {group}, and {project.name} may not {need.action}"


def _clone_problems(deployed: Deployed, action: Action) -> Iterator[str]:
    """Why an action cannot read the reference to a repository that one of its input artifacts is.

    Only builds can; their role needs the connection, and their buildspec Git's credentials:
    https://docs.aws.amazon.com/codepipeline/latest/userguide/tutorials-github-gitclone.html. No page says whether
    builds on Lambda clone, so here they do not.
    """
    for artifact, source in deployed.clone_references.items():
        if artifact not in action.inputs:
            continue
        if action.project not in deployed.projects:
            yield f"reads {artifact}, the reference to a repository, which only CodeBuild can clone"
            continue
        project = deployed.projects[action.project]
        arn = source.configuration["ConnectionArn"]
        need = Need(
            f"{arn.split(':')[2]}:UseConnection",
            arn,
            {f"{arn.split(':')[2]}:FullRepositoryId": source.configuration["FullRepositoryId"]},
        )
        if not _may(deployed, action, need):
            yield f"reads {artifact}, the reference to a repository, and {project.name} may not use {arn}"
        if project.spec.get("env", {}).get("git-credential-helper") is not True:
            yield f"clones {artifact}, and the buildspec of {project.name} has no git-credential-helper: yes"
        if project.on_lambda:
            yield f"clones {artifact}, and {project.name} runs on Lambda"


def _may(deployed: Deployed, action: Action, need: Need) -> bool:
    """Whether the role that does an action's work has a permission on a resource whose ARN is complete."""
    _, _, _, region, account, _ = need.resource.split(":", 5)
    return allows(deployed.policies(action.name), need, account=account, region=region)


def _variable_problems(action: Action, project: Project, job: _Job) -> Iterator[str]:
    on_project = {item.name: item.type for item in project.variables}
    by_action = {item.name for item in action.environment}
    for name in _ours(by_action - job.declared - set(on_project)):
        yield f"sets {name}, which the buildspec of {project.name} does not declare"
    for name in _ours({*on_project, *by_action} - job.read):
        yield f"{name} is set, but nothing in {project.name} reads it"
    for name in _ours(job.declared - job.read):
        yield f"{name} is declared in {project.name}, but nothing there reads it"
    # What a script reads and the text does not declare is a secret: its reference is the project's business.
    for name in _ours(job.read - job.declared):
        if on_project.get(name) not in {"SECRETS_MANAGER", "PARAMETER_STORE"}:
            yield f"{name} is read, but neither declared in the buildspec nor set as a secret on {project.name}"


def _ours(names: Iterable[str]) -> list[str]:
    """The names that neither CodeBuild nor the shell sets."""
    return sorted(name for name in names if not _GIVEN.fullmatch(name))


def _file_problems(
    action: Action, job: _Job | None, made: Mapping[str, tuple[str, ...]], known: set[str]
) -> Iterator[str]:
    """Files that an action reads by name and that no artifact it reads holds."""
    wanted = list(_files_by_configuration(action))
    if job:
        wanted += [(None, file) for file in sorted(job.opened | (job.texts & known) - job.written)]
    for artifact, file in wanted:
        if artifact and artifact not in action.inputs:
            yield f"is to find {file} in the artifact {artifact}, which it does not read"
            continue
        # A job reads relative names in its primary source, which comes first.
        places = (artifact,) if artifact else action.inputs[:1]
        held = [pattern for place in places for pattern in made.get(place, ())]
        if not any(matches(pattern, file) for pattern in held):
            yield f"reads {file}, and {', '.join(places) or 'no artifact'} holds {', '.join(held) or 'nothing'}"


def _files_by_configuration(action: Action) -> Iterator[tuple[str | None, str]]:
    """Artifact and file that the configuration of a deploy action names, with AWS's defaults."""
    given = action.configuration
    if action.provider == "ECS":
        yield None, given.get("FileName", "imagedefinitions.json")
    if action.provider == "CodeDeployToECS":
        for key, default in (("TaskDefinitionTemplate", "taskdef.json"), ("AppSpecTemplate", "appspec.yaml")):
            yield given.get(f"{key}Artifact"), given.get(f"{key}Path", default)
        for number in range(1, 5):
            if f"Image{number}ArtifactName" in given:
                yield given[f"Image{number}ArtifactName"], "imageDetail.json"


def _arguments(nodes: list[ast.AST], *functions: str) -> set[str]:
    """The texts that are given to one of these functions as first argument."""
    return {
        node.args[0].value
        for node in nodes
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in functions
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }
