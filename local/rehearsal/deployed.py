"""From what a stack has deployed to builds that can be run: what a CodeBuild action makes of its project.

Sources: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeBuild.html (configuration),
https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html (namespaces, ``#{namespace.name}``;
an action with one that is not known fails).
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from components.jobs.buildspec import is_of_the_application
from local.errors import Refusal
from local.rehearsal.codebuild.model import VARIABLE_TYPES, Build, Variable
from local.rehearsal.codebuild.source_action import CLONE_REFERENCE
from local.rehearsal.emulated import Policies, RolePolicies
from local.rehearsal.resources import PIPELINE, PROJECT, Graph, policies_of, values_of

_REFERENCE = re.compile(r"#\{([^{}]*)\}")
_LAMBDA_TIMEOUT_MINUTES = 15
_CODE = ("CodeStarSourceConnection", "S3")
"""Providers whose source actions hand on code."""


class DeployedProblem(Refusal):
    """What was asked for is not in the deployed stack, or does not fit what is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One action of the deployed pipeline.

    Attributes:
        name: Its name.
        stage: The stage it belongs to.
        run_order: Actions of a stage with the same number run at the same time.
        category: What kind of action it is, such as ``Build``.
        provider: The service that carries it out.
        inputs: Names of the input artifacts.
        outputs: Names of the output artifacts.
        configuration: The provider's keys; references are not yet resolved.
        namespace: Where its variables can be referred to; empty when they cannot.
        timeout_minutes: How long a person may take to approve; ``None`` leaves AWS's seven days.
    """

    name: str
    stage: str
    run_order: int
    category: str
    provider: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    configuration: Mapping[str, str]
    namespace: str = ""
    timeout_minutes: float | None = None

    @property
    def project(self) -> str:
        """The CodeBuild project it runs; empty for other providers."""
        return self.configuration.get("ProjectName", "")

    @property
    def environment(self) -> tuple[Variable, ...]:
        """The variables it sets for the build; references are not yet resolved."""
        return tuple(_variable(item) for item in json.loads(self.configuration.get("EnvironmentVariables", "[]")))

    @property
    def references(self) -> tuple[str, ...]:
        """Each ``namespace.name`` that its configuration refers to."""
        found = (name for text in self.configuration.values() for name in _REFERENCE.findall(text))
        return tuple(dict.fromkeys(found))

    def resolved(self, known: Mapping[str, str]) -> dict[str, str]:
        """Return the configuration with each reference replaced by its value.

        Args:
            known: ``namespace.name`` -> value.

        Raises:
            DeployedProblem: A reference has no value; AWS fails the action then.
        """
        missing = [f"#{{{name}}}" for name in self.references if name not in known]
        if missing:
            given = ", ".join(sorted(known)) or "none"
            raise DeployedProblem(f"action {self.name} refers to {', '.join(missing)}; there are values for {given}")
        return {key: _filled(text, known) for key, text in self.configuration.items()}


Plan: TypeAlias = Sequence[tuple[str, Sequence[Sequence[Action]]]]
"""Stages with the groups of their actions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """One deployed CodeBuild project.

    Attributes:
        name: Its name in AWS.
        buildspec: Its YAML text.
        variables: The environment variables it sets.
        role: The name of the role its builds run under.
        timeout_minutes: CodeBuild ends a build after that many minutes.
        network: The VPC that its builds run in, as the project has it; empty without one.
    """

    name: str
    buildspec: str
    variables: tuple[Variable, ...]
    role: str
    timeout_minutes: float
    network: Mapping[str, Any] = field(default_factory=dict)

    @property
    def defaults(self) -> dict[str, str]:
        """The variables that its buildspec sets where the project does not; one in the source is read by the build."""
        if is_of_the_application(self.buildspec):
            return {}
        return dict(yaml.safe_load(self.buildspec).get("env", {}).get("variables", {}))


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """The pipeline of one deployed stack, its projects and their roles.

    Attributes:
        pipeline: The pipeline's name.
        execution_mode: What happens when a run starts while another goes on, such as ``QUEUED``.
        actions: Its actions in running order.
        projects: The CodeBuild projects by name.
        variables: The pipeline's variables and their defaults, ``variables.NAME`` -> value.
        triggers: What starts it on a push of code, as the pipeline's definition has it.
        artifact_bucket: The bucket of its artifact store.
        artifact_key: The ARN of the key that artifacts are encrypted with.
        role: The name of the pipeline's role.
        roles: The policy documents of each role of the stack by its name.
    """

    pipeline: str
    execution_mode: str
    actions: tuple[Action, ...]
    projects: Mapping[str, Project]
    variables: Mapping[str, str]
    triggers: tuple[Mapping[str, Any], ...]
    artifact_bucket: str
    artifact_key: str
    role: str
    roles: Mapping[str, RolePolicies]

    @classmethod
    def of(cls, graph: Graph) -> Deployed:
        """Return what the graph of a deployed stack holds, as `python -m local graph` prints it."""
        (pipeline,) = values_of(graph, PIPELINE)
        projects = [_project(values) for values in values_of(graph, PROJECT)]
        return cls(
            pipeline=pipeline["name"],
            execution_mode=pipeline["executionMode"],
            actions=tuple(_actions(pipeline)),
            projects={project.name: project for project in projects},
            variables={f"variables.{item['name']}": item["defaultValue"] for item in pipeline.get("variables") or ()},
            triggers=tuple(pipeline.get("triggers") or ()),
            artifact_bucket=pipeline["artifactStores"][0]["location"],
            artifact_key=pipeline["artifactStores"][0]["encryptionKey"]["id"],
            role=_role_name(pipeline["roleArn"]),
            roles=policies_of(graph),
        )

    @property
    def signing_profiles(self) -> frozenset[str]:
        """The ARNs of the profiles of AWS Signer that its jobs sign with, or verify signatures of."""
        variables = (variable for project in self.projects.values() for variable in project.variables)
        return frozenset(variable.value for variable in variables if variable.name == "SIGNING_PROFILE")

    @property
    def stages(self) -> Mapping[str, tuple[tuple[Action, ...], ...]]:
        """The actions of each stage in running order; those that stand together run at the same time."""
        stages: dict[str, list[tuple[Action, ...]]] = {}
        for (stage, _), together in itertools.groupby(self.actions, lambda action: (action.stage, action.run_order)):
            stages.setdefault(stage, []).append(tuple(together))
        return {stage: tuple(groups) for stage, groups in stages.items()}

    def up_to(self, name: str) -> Plan:
        """Return the stages with their actions, up to one of them, or to an action and those beside it.

        Args:
            name: The stage or the action; all of it when it is empty.

        Raises:
            DeployedProblem: There is none of this name.
        """
        plan: list[tuple[str, Sequence[Sequence[Action]]]] = []
        for stage, groups in self.stages.items():
            last = next(
                (number for number, group in enumerate(groups, 1) if name in [action.name for action in group]), None
            )
            plan.append((stage, groups[:last]))
            if last or stage == name:
                return plan
        if name:
            known = dict.fromkeys([*self.stages, *(action.name for action in self.actions)])
            raise DeployedProblem(f"{self.pipeline} has no {name}; there are {', '.join(known)}")
        return plan

    def action(self, name: str) -> Action:
        """Return the action of this name.

        Raises:
            DeployedProblem: There is none.
        """
        found = {action.name: action for action in self.actions}
        if name not in found:
            raise DeployedProblem(f"no action is called {name!r}; there are {', '.join(sorted(found))}")
        return found[name]

    def project(self, action_name: str) -> Project:
        """Return the CodeBuild project that the action of this name runs.

        Raises:
            DeployedProblem: There is no such action, or it runs none.
        """
        action = self.action(action_name)
        if action.project not in self.projects:
            raise DeployedProblem(f"action {action_name} runs no CodeBuild project that is deployed: {action.project}")
        return self.projects[action.project]

    def build(self, action_name: str, inputs: Mapping[str, Path], variables: Mapping[str, str]) -> Build:
        """Return what CodePipeline has CodeBuild do when it comes to this action.

        Args:
            action_name: An action whose provider is CodeBuild.
            inputs: A folder for each of its input artifacts, by the artifact's name; see :class:`Build`.
            variables: ``namespace.name`` -> value: what earlier actions exported, and pipeline variables that were
                given for this run; those that were not have their defaults.

        Raises:
            DeployedProblem: It is no such action, has other input artifacts, or one of another format, or a reference
                has no value.
        """
        action, project = self.action(action_name), self.project(action_name)
        if set(inputs) != set(action.inputs):
            raise DeployedProblem(
                f"action {action_name} reads {', '.join(action.inputs)}, given is {', '.join(inputs) or 'nothing'}"
            )
        known = {**self.variables, **variables}
        action.resolved(known)
        return Build(
            project=project.name,
            buildspec=project.buildspec,
            inputs=dict(inputs),
            code=self._code(action, inputs),
            outputs=action.outputs,
            project_variables=project.variables,
            # Filled in after the JSON has been read: a quote in a commit's message must not end a text.
            overrides=tuple(replace(item, value=_filled(item.value, known)) for item in action.environment),
            timeout_minutes=project.timeout_minutes,
        )

    def _code(self, action: Action, inputs: Mapping[str, Path]) -> frozenset[str]:
        """The inputs of an action that are the code, each given in the format in which its source action hands it on.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
        """
        sources = [source for source in self.actions if source.provider in _CODE]
        code = {name: source for source in sources for name in source.outputs if name in action.inputs}
        for name, source in code.items():
            is_reference = source.configuration.get("OutputArtifactFormat") == CLONE_REFERENCE
            if is_reference != (inputs[name].suffix == ".json"):
                wanted = "the JSON file of a clone reference" if is_reference else "the code itself"
                raise DeployedProblem(f"action {action.name} reads {name}: give {wanted}, not {inputs[name]}")
        return frozenset(code)

    def policies(self, action_name: str) -> Policies:
        """Return the policy documents of the role under which an action's work is done.

        A CodeBuild action's work is done under its project's role, any other's under the pipeline's.

        Raises:
            DeployedProblem: There is no such action.
        """
        return self.policies_of(self.project(action_name).role if self.action(action_name).project else self.role)

    def policies_of(self, role: str) -> Policies:
        """Return the policy documents of a role; none for one that is not the stack's."""
        return self.roles.get(role, ())


def _filled(text: str, known: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: known[match[1]], text)


def _role_name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _variable(item: Mapping[str, str]) -> Variable:
    if item["type"] not in VARIABLE_TYPES:
        raise DeployedProblem(f"{item['name']}: only variables of {' and '.join(VARIABLE_TYPES)} are emulated here")
    return Variable(name=item["name"], value=item["value"], type=item["type"])


def _project(values: Mapping[str, Any]) -> Project:
    environment = values["environment"]
    on_lambda = "LAMBDA" in environment["type"]
    return Project(
        name=values["name"],
        buildspec=values["source"]["buildspec"],
        variables=tuple(_variable(item) for item in environment["environmentVariables"]),
        role=_role_name(values["serviceRole"]),
        timeout_minutes=_LAMBDA_TIMEOUT_MINUTES if on_lambda else values["buildTimeout"],
        network=values.get("vpcConfig") or {},
    )


def _actions(pipeline: Mapping[str, Any]) -> Iterator[Action]:
    for stage in pipeline["stages"]:
        for item in sorted(stage["actions"], key=lambda item: item["runOrder"]):
            yield Action(
                name=item["name"],
                stage=stage["name"],
                run_order=item["runOrder"],
                category=item["category"],
                provider=item["provider"],
                inputs=tuple(item.get("inputArtifacts") or ()),
                outputs=tuple(item.get("outputArtifacts") or ()),
                configuration=item["configuration"],
                namespace=item.get("namespace") or "",
                timeout_minutes=item.get("timeoutInMinutes"),
            )
