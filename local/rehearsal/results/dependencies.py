"""What the result of an action depends on: as long as none of it changes, the action would do again what it has done.

Left out is what only names a run, such as its ID. Secrets count by their names.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.jobs.buildspec import jobs_in
from local.rehearsal.base_images import build_of
from local.rehearsal.deployed import Action, Deployed, DeployedProblem, Project
from local.rehearsal.emulated import granted
from local.rehearsal.resources import Graph, values_of

_BUNDLE = frozenset({"JOBS_BUNDLE", "JOBS_SHA256"})
_THIS_RUN = "codepipeline.PipelineExecutionId"
_SERVICE_URL = "SERVICE_URL"
_DEPLOYING = ("CodeDeployToECS", "ECS")
_FOLLOWS_SERVICE = "ecs:DescribeServices"
_EMULATORS = Path(__file__).parents[1]
_HOSTING = re.compile(r"aws:(ecs|lb|alb|codedeploy|cloudwatch/metricAlarm|appautoscaling)[:/]")


def is_deployment(deployed: Deployed, action: Action) -> bool:
    """Whether an action changes what the service runs, or follows who does; what tests the service looks at it, too."""
    if not action.project:
        return action.provider in _DEPLOYING
    return not looks_at_service(deployed, action) and any(
        allowed == _FOLLOWS_SERVICE for allowed, _ in granted(deployed.policies(action.name))
    )


def looks_at_service(deployed: Deployed, action: Action) -> bool:
    """Whether an action sends requests to the deployed service."""
    given = [*action.environment]
    if action.project:
        given += deployed.project(action.name).variables
    return any(variable.name == _SERVICE_URL for variable in given)


class Dependencies:
    """What the results of one stack's actions depend on.

    An instance is a snapshot: what changes on disk later is not seen.
    """

    def __init__(
        self,
        graph: Graph,
        deployed: Deployed,
        base_images: Mapping[str, str],
        secrets: str = "",
        **settings: object,
    ) -> None:
        """Read it.

        Args:
            graph: The stack's resources.
            deployed: Its pipeline.
            base_images: Base image -> its digest.
            secrets: The fingerprint of what the application's containers read.
            settings: What else decides about every action.
        """
        self._deployed = deployed
        self._base_images = base_images
        self._everywhere = {"the rehearsal": _hash({"code": _emulators(), **settings})}
        self._hosting = _hash(
            [_in_any_order(each["inputs"] for each in graph if _HOSTING.match(each["type"])), secrets]
        )
        self._objects = {item["key"]: item for item in values_of(graph, "aws:s3/bucketObjectv2:BucketObjectv2")}

    def of(
        self, action: Action, variables: Mapping[str, str], digests: Mapping[str, str], revision: str = ""
    ) -> dict[str, str] | None:
        """Return the hash of each thing that an action's result depends on, by its name for people.

        Args:
            action: The action.
            variables: ``namespace.name`` -> value of all that is known in its run.
            digests: Artifact -> the hash of its content, of all that are known in its run.
            revision: What a source action is to take; empty for the newest.

        Returns:
            ``None`` when a variable or an input artifact is not known, or what is the newest.
        """
        known = {**variables, _THIS_RUN: "this run"}
        try:
            configuration = action.resolved(known)
        except DeployedProblem:
            return None
        if any(name not in digests for name in action.inputs) or (action.category == "Source" and not revision):
            return None
        parts = {**self._everywhere, "its configuration": _hash([action.provider, configuration, action.outputs])}
        if revision:
            parts["the revision"] = revision
        parts |= {f"the artifact {name}": digests[name] for name in action.inputs}
        if action.project:
            parts |= self._of_project(self._deployed.project(action.name))
        else:
            parts["the pipeline's role"] = _hash(_in_any_order(self._deployed.policies_of(self._deployed.role)))
        if self.looks_at_service(action) or self.is_deployment(action):
            parts["the service"] = self._hosting
        if self.looks_at_service(action):
            delivered = [name for each in self._deployed.actions if self.is_deployment(each) for name in each.inputs]
            parts["what is deployed"] = _hash([digests.get(name) for name in delivered])
        return parts

    def is_deployment(self, action: Action) -> bool:
        """Whether an action changes what the service runs, or follows who does."""
        return is_deployment(self._deployed, action)

    def looks_at_service(self, action: Action) -> bool:
        """Whether an action sends requests to the deployed service."""
        return looks_at_service(self._deployed, action)

    def _of_project(self, project: Project) -> dict[str, str]:
        variables = [asdict(item) for item in project.variables if item.name not in _BUNDLE]
        parts = {
            "its buildspec": _hash([project.buildspec, project.timeout_minutes]),
            "its project's variables": _hash(variables),
            "its role": _hash(_in_any_order(self._deployed.policies_of(project.role))),
        }
        named = [item for key, item in self._objects.items() if any(key in each["value"] for each in variables)]
        if named:
            parts["files of the stack"] = _hash(sorted(_content(item) for item in named))
        bundle = self._bundle(project)
        jobs = jobs_in(project.buildspec.splitlines())
        if bundle and jobs:
            parts["its script"] = _scripts(bundle, tuple(job.replace("-", "_") for job in jobs))
        if build_of(project):
            parts["base images"] = _hash(self._base_images)
        return parts

    def _bundle(self, project: Project) -> Path | None:
        """The file with the job scripts that a project fetches."""
        given = {item.name: item.value for item in project.variables}
        for key, item in self._objects.items():
            if given.get("JOBS_BUNDLE", "").endswith(key) and item.get("source"):
                return Path(item["source"]["path"])
        return None


def fingerprint(parts: Mapping[str, str]) -> str:
    """Return one name for all that a result depends on."""
    return _hash(parts)[:32]


def content_digest(file: Path) -> str:
    """Return a hash of what an artifact holds: of a zip its files, not when they were packed."""
    if not zipfile.is_zipfile(file):
        return hashlib.sha256(file.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    with zipfile.ZipFile(file) as archive:
        for item in sorted(archive.infolist(), key=lambda item: item.filename):
            held = hashlib.sha256(archive.read(item)).hexdigest()
            digest.update(f"{item.filename}\0{item.external_attr >> 16:o}\0{held}\n".encode())
    return digest.hexdigest()


def _in_any_order(values: Iterable[object]) -> list[str]:
    """The values as texts in one order: the engine lists resources in the order in which they came to be."""
    return sorted(json.dumps(value, sort_keys=True, default=str) for value in values)


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _content(item: Mapping[str, Any]) -> str:
    return str(item["source"]["hash"] if item.get("source") else item.get("content"))


@functools.cache
def _emulators() -> str:
    """A hash of the code that carries actions out."""
    files = sorted(path for path in _EMULATORS.rglob("*") if path.is_file() and path.suffix in {".py", ".sh"})
    held = (f"{path.relative_to(_EMULATORS)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    return hashlib.sha256("\n".join(held).encode()).hexdigest()


@functools.cache
def _scripts(bundle: Path, jobs: tuple[str, ...]) -> str:
    """A hash of the scripts that the jobs of a build are made of."""
    with zipfile.ZipFile(bundle) as archive:
        there = {name: archive.read(name) for name in archive.namelist()}
    wanted = [*(f"jobs/{job}.py" for job in jobs), "jobs/runner.py", "jobs/__init__.py", "__main__.py"]
    used = set[str]()
    while wanted:
        name = wanted.pop()
        if name in there and name not in used:
            used.add(name)
            wanted += _imported(there[name])
    held = (f"{name} {hashlib.sha256(there[name]).hexdigest()}" for name in sorted(used))
    return hashlib.sha256("\n".join(held).encode()).hexdigest()


def _imported(source: bytes) -> Iterator[str]:
    """What a module imports, as files that the bundle may have."""
    for node in ast.walk(ast.parse(source)):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (f"{module.replace('.', '/')}.py" for module in modules)
