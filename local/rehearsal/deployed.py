"""From what a stack has deployed to builds that can be run: what a CodeBuild action makes of its project.

Sources: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeBuild.html (configuration,
several input artifacts), https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
(namespaces, ``#{namespace.name}``; an action with one that is not known fails).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from local.errors import Refusal
from local.rehearsal.codebuild.model import VARIABLE_TYPES, Build, Variable
from local.rehearsal.codebuild.source_action import CLONE_REFERENCE

_PIPELINE = "aws:codepipeline/pipeline:Pipeline"
_PROJECT = "aws:codebuild/project:Project"
_ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
_REFERENCE = re.compile(r"#\{([^{}]*)\}")
_DEFAULT_TIMEOUT_MINUTES = 60
"""CodeBuild's own, for a project that says nothing."""
_LAMBDA_TIMEOUT_MINUTES = 15


class DeployedProblem(Refusal):
    """What was asked for is not in the deployed stack, or does not fit what is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One action of the deployed pipeline.

    Attributes:
        name: Its name.
        stage: The stage it belongs to.
        category: ``Source``, ``Build``, ``Test``, ``Deploy`` or ``Approval``.
        provider: The service that carries it out.
        run_order: Actions of a stage with the same number run at the same time.
        namespace: Where later actions find its variables; empty for none.
        inputs: Names of the input artifacts; for a build the primary source first.
        outputs: Names of the output artifacts.
        configuration: The provider's keys; references are not yet resolved.
    """

    name: str
    stage: str
    category: str
    provider: str
    run_order: int
    namespace: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    configuration: Mapping[str, str]

    @property
    def project(self) -> str:
        """The CodeBuild project it runs; empty for other providers."""
        return self.configuration.get("ProjectName", "") if self.provider == "CodeBuild" else ""

    @property
    def environment(self) -> tuple[Variable, ...]:
        """The variables it sets for the build; references are not yet resolved."""
        text = self.configuration.get("EnvironmentVariables", "[]")
        try:
            entries = json.loads(text)
            found = tuple(
                Variable(name=entry["name"], value=entry["value"], type=entry.get("type", "PLAINTEXT"))
                for entry in entries
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            raise DeployedProblem(
                f"action {self.name}: EnvironmentVariables must be a JSON list of objects with name, value and type, "
                f"got {text}"
            ) from None
        for item in found:
            if not isinstance(item.value, str) or item.type not in VARIABLE_TYPES:
                raise DeployedProblem(
                    f"action {self.name}: the variable {item.name} must be a text of type {', '.join(VARIABLE_TYPES)}, "
                    f"got {item.value!r} of type {item.type!r}"
                )
        return found

    @property
    def references(self) -> tuple[str, ...]:
        """Each ``namespace.name`` that its configuration refers to."""
        found = (name for text in self.configuration.values() for name in _REFERENCE.findall(text))
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """One deployed CodeBuild project.

    Attributes:
        name: Its name in AWS.
        arn: Its ARN.
        buildspec: Its YAML text.
        variables: The environment variables it sets.
        role: The name of the role its builds run under.
        timeout_minutes: CodeBuild ends a build after so long.
        image: The image its builds run in.
        on_lambda: Whether they run on AWS Lambda.
    """

    name: str
    arn: str
    buildspec: str
    variables: tuple[Variable, ...]
    role: str
    timeout_minutes: float
    image: str
    on_lambda: bool

    @property
    def spec(self) -> dict[str, Any]:
        """The buildspec, read."""
        spec: dict[str, Any] = yaml.load(self.buildspec, Loader=yaml.CSafeLoader)
        return spec


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """The pipeline of one deployed stack, its projects and their roles.

    Attributes:
        pipeline: The pipeline's name.
        actions: Its actions in running order.
        projects: The CodeBuild projects by name.
        variables: The pipeline's variables and their defaults, ``variables.NAME`` -> value.
        role: The name of the pipeline's role.
    """

    pipeline: str
    actions: tuple[Action, ...]
    projects: Mapping[str, Project]
    variables: Mapping[str, str]
    role: str
    _policies: Mapping[str, tuple[dict[str, Any], ...]]

    @classmethod
    def of(cls, graph: Sequence[Mapping[str, Any]]) -> Deployed:
        """What the graph of a deployed stack holds, as `python -m local graph` prints it.

        Raises:
            DeployedProblem: there is no pipeline in it, or more than one.
        """
        pipelines = [_values(resource) for resource in graph if resource["type"] == _PIPELINE]
        if len(pipelines) != 1:
            raise DeployedProblem(f"a deployed stack has one pipeline, this graph has {len(pipelines)}")
        (pipeline,) = pipelines
        policies: dict[str, tuple[dict[str, Any], ...]] = {}
        for resource in graph:
            if resource["type"] == _ROLE_POLICY:
                values = _values(resource)
                policies[values["role"]] = (*policies.get(values["role"], ()), json.loads(values["policy"]))
        projects = [_project(_values(resource)) for resource in graph if resource["type"] == _PROJECT]
        return cls(
            pipeline=pipeline["name"],
            actions=tuple(_actions(pipeline)),
            projects={project.name: project for project in projects},
            variables={
                f"variables.{item['name']}": item["defaultValue"]
                for item in pipeline.get("variables") or ()
                if "defaultValue" in item
            },
            role=_role_name(pipeline["roleArn"]),
            _policies=policies,
        )

    def action(self, name: str) -> Action:
        """The action of this name.

        Raises:
            DeployedProblem: there is none.
        """
        found = {action.name: action for action in self.actions}
        if name not in found:
            raise DeployedProblem(f"the pipeline {self.pipeline} has no action {name!r}{_instead(name, found)}")
        return found[name]

    def project(self, name: str) -> Project:
        """The CodeBuild project of this name, or the one that the action of this name runs.

        Raises:
            DeployedProblem: there is none.
        """
        wanted = next((action.project for action in self.actions if action.name == name), name)
        if wanted not in self.projects:
            if wanted == name:
                known = [*self.projects, *(action.name for action in self.actions if action.project)]
                raise DeployedProblem(f"no project and no action is called {name!r}{_instead(name, known)}")
            given = f"runs the project {wanted!r}, which is not deployed" if wanted else "runs no CodeBuild project"
            raise DeployedProblem(f"action {name} {given}{_instead(wanted, self.projects)}")
        return self.projects[wanted]

    def configuration(self, action_name: str, variables: Mapping[str, str]) -> dict[str, str]:
        """An action's configuration with every ``#{namespace.name}`` replaced.

        Args:
            action_name: The action.
            variables: ``namespace.name`` -> value: what earlier actions exported, and pipeline variables that were
                given for this run; those that were not have their defaults.

        Raises:
            DeployedProblem: there is no such action, or no value for a reference.
        """
        known = self._known(action_name, variables)
        return {key: _filled(text, known) for key, text in self.action(action_name).configuration.items()}

    def build(self, action_name: str, inputs: Mapping[str, Path], variables: Mapping[str, str]) -> Build:
        """What CodePipeline has CodeBuild do when it comes to this action.

        Args:
            action_name: An action whose provider is CodeBuild.
            inputs: A folder for each of its input artifacts, by the artifact's name; see :class:`Build`.
            variables: See :meth:`configuration`.

        Raises:
            DeployedProblem: it is no such action, an input artifact is missing or of another format, or a reference
                has no value.
        """
        action, project = self.action(action_name), self.project(action_name)
        missing = [name for name in action.inputs if name not in inputs]
        unknown = [name for name in inputs if name not in action.inputs]
        if missing or unknown:
            raise DeployedProblem(
                f"action {action_name} reads the artifacts {', '.join(action.inputs) or '(none)'}; "
                + "; ".join(
                    f"{text}: {', '.join(names)}"
                    for text, names in (("missing", missing), ("not among them", unknown))
                    if names
                )
            )
        known = self._known(action_name, variables)
        return Build(
            project=project.name,
            buildspec=project.buildspec,
            inputs={name: inputs[name] for name in action.inputs},
            code=self._code(action, inputs),
            outputs=action.outputs,
            project_variables=project.variables,
            # Filled in after the JSON has been read: a quote in a commit's message must not end a text.
            overrides=tuple(replace(item, value=_filled(item.value, known)) for item in action.environment),
            pipeline=self.pipeline,
            timeout_minutes=project.timeout_minutes,
            image=project.image,
        )

    def _code(self, action: Action, inputs: Mapping[str, Path]) -> frozenset[str]:
        """The inputs of an action that are the code, each given in the format in which its source action hands it on.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
        """
        code = {name for name in action.inputs for source in self._code_sources if name in source.outputs}
        for name in sorted(code):
            is_reference = name in self.clone_references
            if is_reference != (inputs[name].suffix == ".json"):
                wanted = "the JSON file of a clone reference" if is_reference else "the code itself"
                raise DeployedProblem(f"action {action.name} reads {name}: give {wanted}, not {inputs[name]}")
        return frozenset(code)

    @property
    def _code_sources(self) -> tuple[Action, ...]:
        return tuple(action for action in self.actions if action.provider == "CodeStarSourceConnection")

    @property
    def clone_references(self) -> Mapping[str, Action]:
        """The artifacts that refer to a repository, each with the source action that makes it."""
        return {
            name: action
            for action in self._code_sources
            if action.configuration.get("OutputArtifactFormat") == CLONE_REFERENCE
            for name in action.outputs
        }

    def _known(self, action_name: str, variables: Mapping[str, str]) -> dict[str, str]:
        """Every value there is, when that is all the action refers to."""
        known = {**self.variables, **variables}
        missing = [f"#{{{name}}}" for name in self.action(action_name).references if name not in known]
        if missing:
            raise DeployedProblem(
                f"action {action_name} refers to {', '.join(missing)}, for which there is no value. "
                f"There are values for: {', '.join(sorted(known)) or 'nothing'}"
            )
        return known

    def policies(self, project_or_action: str) -> tuple[dict[str, Any], ...]:
        """The policy documents of the role under which an action's or a project's work is done.

        A CodeBuild action's work is done under its project's role, any other's under the pipeline's.

        Raises:
            DeployedProblem: there is no such project or action.
        """
        others = {action.name for action in self.actions if not action.project}
        role = self.role if project_or_action in others else self.project(project_or_action).role
        return self._policies.get(role, ())


def _filled(text: str, known: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: known[match[1]], text)


def _values(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a resource: what it was asked for, and what came of it."""
    return {**(resource.get("outputs") or {}), **resource["inputs"]}


def _role_name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _instead(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f". Did you mean {near[0]}?" if near else f". There are: {', '.join(sorted(known)) or 'none'}"


def _project(values: Mapping[str, Any]) -> Project:
    environment = values["environment"]
    on_lambda = "LAMBDA" in environment["type"]
    default = _LAMBDA_TIMEOUT_MINUTES if on_lambda else _DEFAULT_TIMEOUT_MINUTES
    return Project(
        name=values["name"],
        arn=values["arn"],
        buildspec=values["source"].get("buildspec", ""),
        variables=tuple(
            Variable(name=item["name"], value=item["value"], type=item.get("type") or "PLAINTEXT")
            for item in environment.get("environmentVariables") or ()
        ),
        role=_role_name(values["serviceRole"]),
        timeout_minutes=default if on_lambda else values.get("buildTimeout") or default,
        image=environment["image"],
        on_lambda=on_lambda,
    )


def _actions(pipeline: Mapping[str, Any]) -> Iterator[Action]:
    for stage in pipeline["stages"]:
        in_order = sorted(stage["actions"], key=lambda item: item.get("runOrder") or 1)
        for item in in_order:
            configuration = item.get("configuration") or {}
            yield Action(
                name=item["name"],
                stage=stage["name"],
                category=item["category"],
                provider=item["provider"],
                run_order=item.get("runOrder") or 1,
                namespace=item.get("namespace") or "",
                inputs=_primary_first(item["name"], tuple(item.get("inputArtifacts") or ()), configuration),
                outputs=tuple(item.get("outputArtifacts") or ()),
                configuration=configuration,
            )


def _primary_first(action: str, inputs: tuple[str, ...], configuration: Mapping[str, str]) -> tuple[str, ...]:
    """The input artifacts with the primary source first; with several, CodePipeline wants it named."""
    if "ProjectName" not in configuration or len(inputs) < 2:
        return inputs
    primary = configuration.get("PrimarySource")
    if primary not in inputs:
        raise DeployedProblem(
            f"action {action} reads {', '.join(inputs)}: its PrimarySource must be one of them, got {primary!r}"
        )
    return (primary, *(name for name in inputs if name != primary))
