"""The delivery pipeline as plain values: what AWS CodePipeline will be asked for, before anything is made.

Pure: no resource is created here and nothing of the AWS provider is imported, so that the wiring of
every combination of stages can be checked in microseconds. ``delivery_pipeline`` renders these values.

Limits come from the CodePipeline user guide, "Quotas in AWS CodePipeline" and "Action structure reference"
(https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Artifact(StrEnum):
    """What travels between actions, named by what it is and never by which stage made it.

    CodePipeline stores an artifact under the first ten characters of its name, so these differ there too.
    """

    SOURCE = "Source"
    """The application's code: of one commit, or as it was uploaded."""
    SOURCE_IMAGE = "SourceImage"
    """``imageDetail.json`` of an image that was pushed to ECR."""
    IMAGE = "Image"
    """``image.json``: repository, digest, commit and version of the application's image."""
    SMOKE_TEST_IMAGE = "SmokeTestImage"
    """``image.json`` of the image that tests a deployed service."""
    FURTHER_IMAGE_1 = "Image1"
    """``image.json`` of an image that is delivered with the application's, for one of the task's further containers."""
    FURTHER_IMAGE_2 = "Image2"
    FURTHER_IMAGE_3 = "Image3"
    FURTHER_IMAGE_4 = "Image4"
    FURTHER_IMAGE_5 = "Image5"
    FURTHER_IMAGE_6 = "Image6"
    FURTHER_IMAGE_7 = "Image7"
    FURTHER_IMAGE_8 = "Image8"
    FURTHER_IMAGE_9 = "Image9"
    STATIC_FILES = "StaticFiles"
    """Files taken out of the application's image."""
    DEPLOYMENT = "Deployment"
    """Task definition, appspec, image definitions and ``deployment.json``."""
    LIGHTHOUSE_REPORT = "LighthouseReport"
    """The HTML and JSON reports of the Lighthouse runs."""


FURTHER_IMAGES = tuple(artifact for artifact in Artifact if re.fullmatch(r"Image\d", artifact))
"""One for each container that a task may have beside the application's own."""


class Category(StrEnum):
    """CodePipeline's action categories that this program uses."""

    SOURCE = "Source"
    BUILD = "Build"
    TEST = "Test"
    DEPLOY = "Deploy"
    APPROVAL = "Approval"


class Provider(StrEnum):
    """The services that carry out an action."""

    CONNECTION = "CodeStarSourceConnection"
    ECR = "ECR"
    S3 = "S3"
    CODEBUILD = "CodeBuild"
    CODEDEPLOY_TO_ECS = "CodeDeployToECS"
    ECS = "ECS"
    MANUAL = "Manual"


class ExecutionMode(StrEnum):
    """What happens when a run starts while another is still going."""

    SUPERSEDED = "SUPERSEDED"
    QUEUED = "QUEUED"
    PARALLEL = "PARALLEL"


CLONE_REFERENCE = "CODEBUILD_CLONE_REF"
"""The output artifact format with which a source action hands on where a repository is, and not what it holds.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class GitTrigger:
    """Starts the pipeline on a push to a branch, optionally only for some paths, or on a push of some tags.

    Attributes:
        branch: The one branch, unless there are patterns of branches.
        branches: Patterns of branches, one of which has to match.
        ignored_branches: Patterns of branches, none of which may match.
        paths: Patterns of changed files, one of which has to match.
        ignored_paths: Patterns of changed files whose change alone starts nothing.
        tags: Patterns of git tags, one of which has to match.
        ignored_tags: Patterns of git tags, none of which may match.
    """

    branch: str
    branches: tuple[str, ...] = ()
    ignored_branches: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    ignored_paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    ignored_tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePushTrigger:
    """Starts the pipeline when an image arrives under a tag, and pins the run to its digest.

    Attributes:
        repository: The repository's name.
        tag: The tag, or a pattern of tags in which ``*`` stands for any characters.
        arrives_by: ``push``, ``replication`` or ``pullThroughCache``.
    """

    repository: str
    tag: str
    arrives_by: str = "push"


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadTrigger:
    """Starts the pipeline when an object is uploaded, and pins the run to that version of it.

    Attributes:
        bucket: The bucket's name.
        object_key: The object's key.
    """

    bucket: str
    object_key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A pipeline variable: a value that a person may change when starting a run by hand.

    Attributes:
        name: Unique within the pipeline.
        default: The value of every other run; CodePipeline wants at least one character.
        description: One sentence for the console.
    """

    name: str
    default: str
    description: str

    @property
    def reference(self) -> str:
        """What an action writes to get the run's value."""
        return variable("variables", self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One action of a stage.

    Attributes:
        name: Unique within the pipeline, shown in the console.
        configuration: The provider's own keys; values may be Pulumi outputs.
        environment: For CodeBuild: variables set for this run, most often ``variable(...)`` references.
        reads: Input artifacts; the first is the action's primary source.
        writes: Output artifacts.
        run_order: Actions of a stage with the same number run at the same time.
        namespace: Makes the action's variables available to later actions.
        exports: For CodeBuild: the names which the build exports under ``namespace``.
        machine: For CodeBuild: the machine type that the build occupies, as CodeBuild's quotas name it, for example
            ``ARM/Small``.
        variables: The pipeline variables this action refers to.
        timeout_minutes: For approvals: how long a person may take; ``None`` leaves CodePipeline's seven days.
        trigger: For source actions: what starts the pipeline.
    """

    name: str
    category: Category
    provider: Provider
    configuration: Mapping[str, object]
    environment: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[Artifact, ...] = ()
    writes: tuple[Artifact, ...] = ()
    run_order: int = 1
    namespace: str | None = None
    exports: tuple[str, ...] = ()
    machine: str | None = None
    variables: tuple[Variable, ...] = ()
    timeout_minutes: int | None = None
    trigger: GitTrigger | ImagePushTrigger | UploadTrigger | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StageModel:
    """One stage: a name and the actions in it."""

    name: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineModel:
    """A whole pipeline.

    Attributes:
        name: Unique within the account and region.
        execution_mode: What happens when a run starts while another is still going.
        stages: In running order.
        parallel_jobs: Whether builds on one machine type may run at the same time within a run; a new AWS account
            allows one.
    """

    name: str
    execution_mode: ExecutionMode
    stages: tuple[StageModel, ...]
    parallel_jobs: bool = False

    @property
    def actions(self) -> tuple[Action, ...]:
        """Every action, stage by stage."""
        return tuple(action for stage in self.stages for action in stage.actions)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The pipeline variables that the actions refer to, in their order."""
        return tuple(dict.fromkeys(item for action in self.actions for item in action.variables))

    @property
    def builds_at_once(self) -> Counter[str]:
        """How many builds can run at the same time, by machine type, however many runs there are.

        A stage works on one run at a time, and different stages on different runs: while one commit is tested, the
        next one is built. In the execution mode ``PARALLEL`` runs do not wait for each other; the figures are then one
        run's. https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
        """
        most: Counter[str] = Counter()
        for stage in self.stages:
            in_stage: Counter[str] = Counter()
            for batch in _batches(stage):
                in_stage |= _builds(batch)
            most = most | in_stage if self.execution_mode is ExecutionMode.PARALLEL else most + in_stage
        return most


def variable(namespace: str, name: str) -> str:
    """A reference that CodePipeline replaces when the action starts, ``#{namespace.name}``."""
    return f"#{{{namespace}.{name}}}"


def environment_variables(environment: Mapping[str, str]) -> str:
    """The CodeBuild action's ``EnvironmentVariables``: a JSON list, in the order given.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeBuild.html
    """
    return json.dumps(
        [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in environment.items()],
        separators=(",", ":"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bounds:
    """What CodePipeline accepts of one provider (its "Action structure reference")."""

    category: tuple[Category, ...]
    reads: range
    writes: range
    required: frozenset[str]
    optional: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()


_BOUNDS: Mapping[Provider, _Bounds] = {
    Provider.CONNECTION: _Bounds(
        category=(Category.SOURCE,),
        reads=range(1),
        writes=range(1, 2),
        required=frozenset({"ConnectionArn", "FullRepositoryId", "BranchName"}),
        optional=frozenset({"OutputArtifactFormat", "DetectChanges"}),
        variables=frozenset(
            {"AuthorDate", "BranchName", "CommitId", "CommitMessage", "ConnectionArn", "FullRepositoryName"}
        ),
    ),
    Provider.ECR: _Bounds(
        category=(Category.SOURCE,),
        reads=range(1),
        writes=range(1, 2),
        required=frozenset({"RepositoryName"}),
        optional=frozenset({"ImageTag"}),
        # ImageTag is left out: CodePipeline does not set it when the run is pinned to a digest.
        variables=frozenset({"RegistryId", "RepositoryName", "ImageDigest", "ImageURI"}),
    ),
    Provider.S3: _Bounds(
        category=(Category.SOURCE,),
        reads=range(1),
        writes=range(1, 2),
        required=frozenset({"S3Bucket", "S3ObjectKey"}),
        optional=frozenset({"AllowOverrideForS3ObjectKey", "PollForSourceChanges"}),
        variables=frozenset({"BucketName", "ETag", "ObjectKey", "VersionId"}),
    ),
    Provider.CODEBUILD: _Bounds(
        category=(Category.BUILD, Category.TEST),
        reads=range(1, 6),
        writes=range(6),
        required=frozenset({"ProjectName"}),
        optional=frozenset({"PrimarySource"}),
    ),
    Provider.CODEDEPLOY_TO_ECS: _Bounds(
        category=(Category.DEPLOY,),
        reads=range(1, 6),
        writes=range(1),
        required=frozenset(
            {"ApplicationName", "DeploymentGroupName", "TaskDefinitionTemplateArtifact", "AppSpecTemplateArtifact"}
        ),
        optional=frozenset({"TaskDefinitionTemplatePath", "AppSpecTemplatePath"}),
    ),
    Provider.ECS: _Bounds(
        category=(Category.DEPLOY,),
        reads=range(1, 2),
        writes=range(1),
        required=frozenset({"ClusterName", "ServiceName"}),
        optional=frozenset({"FileName", "DeploymentTimeout"}),
    ),
    Provider.MANUAL: _Bounds(
        category=(Category.APPROVAL,),
        reads=range(1),
        writes=range(1),
        required=frozenset(),
        optional=frozenset({"NotificationArn", "CustomData", "ExternalEntityLink"}),
    ),
}

_NAME = re.compile(r"[A-Za-z0-9.@_-]{1,100}")
_NAMESPACE = _VARIABLE = re.compile(r"[A-Za-z0-9@_-]{1,100}")
_REFERENCE = re.compile(r"#\{(([^.}]*)\.?([^}]*))\}")
RUN = "#{codepipeline.PipelineExecutionId}"
"""A reference that CodePipeline replaces by the ID of the run, which every retry of it keeps.

https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
"""
_OFFERED_BY_CODEPIPELINE = frozenset({"PipelineExecutionId"})
_LONGEST_APPROVAL = 60 * 24 * 60
"""Minutes that a person may take."""
_MOST_CHARACTERS = 1000
"""The longest value of one configuration key (awsdocs/aws-codepipeline-user-guide#24)."""


def validate(pipeline: PipelineModel) -> list[str]:
    """Everything CodePipeline would refuse, or which could not work, as sentences; empty when it is sound.

    All problems are reported, in the order of the pipeline.
    """
    return [
        *_name_problems(pipeline),
        *_structure_problems(pipeline),
        *(problem for action in pipeline.actions for problem in _action_problems(action)),
        *(problem for action in pipeline.actions for problem in _configuration_problems(action)),
        *_artifact_problems(pipeline),
        *_variable_problems(pipeline),
        *_reference_problems(pipeline),
        *_machine_problems(pipeline),
    ]


def scheduled(actions: Iterable[Action], *, parallel_jobs: bool) -> tuple[Action, ...]:
    """Return the actions of a stage, each with the earliest run order it may have.

    An action runs after the ones whose artifacts or variables it uses. Unless ``parallel_jobs``, it also never runs
    beside another build on its machine type, because a new AWS account runs one at a time.

    Args:
        actions: In the order in which they take precedence; their own run orders are not looked at.
        parallel_jobs: Whether builds on one machine type may run at the same time.
    """
    placed: list[Action] = []
    for action in actions:
        spaces = {space for _, space, _ in _references(action)}
        order = 1 + max(
            (done.run_order for done in placed if {*done.writes} & {*action.reads} or done.namespace in spaces),
            default=0,
        )
        taken = {done.run_order for done in placed if action.machine is not None and done.machine == action.machine}
        while order in taken and not parallel_jobs:
            order += 1
        placed.append(replace(action, run_order=order))
    return tuple(placed)


def in_a_row(steps: Sequence[tuple[Action, ...]]) -> tuple[Action, ...]:
    """Return the actions of each step, which run side by side, with the run order of the step."""
    return tuple(replace(action, run_order=order) for order, step in enumerate(steps, 1) for action in step)


def _structure_problems(pipeline: PipelineModel) -> Iterator[str]:
    if len(pipeline.stages) < 2:
        yield f"a pipeline needs at least 2 stages, this one has {len(pipeline.stages)}"
    for index, stage in enumerate(pipeline.stages):
        if not 1 <= len(stage.actions) <= 50:
            yield f"stage {stage.name} has {len(stage.actions)} actions; allowed are 1 to 50"
        for action in stage.actions:
            if (action.category is Category.SOURCE) != (index == 0):
                yield f"action {action.name} in stage {stage.name}: the first stage holds the source actions only"
    if not any(action.trigger for action in pipeline.actions):
        yield "no source action has a trigger, so nothing but a person would ever start the pipeline"


def _name_problems(pipeline: PipelineModel) -> Iterator[str]:
    kinds = {
        "pipeline": [pipeline.name],
        "stage": [stage.name for stage in pipeline.stages],
        "action": [action.name for action in pipeline.actions],
    }
    for kind, names in kinds.items():
        for name, count in Counter(names).items():
            if count > 1:
                yield f"{kind} {name} occurs {count} times; {kind} names are unique in a pipeline"
            if not _NAME.fullmatch(name):
                yield f"{kind} name {name!r} may hold only letters, digits and . @ - _, at most 100 characters"


def _action_problems(action: Action) -> Iterator[str]:
    at = f"action {action.name}"
    bounds = _BOUNDS[action.provider]
    if action.category not in bounds.category:
        yield f"{at}: {action.provider} is no provider of category {action.category}"
    if len(action.reads) not in bounds.reads:
        yield f"{at}: reads {len(action.reads)} artifacts, {action.provider} takes {_span(bounds.reads)}"
    if len(action.writes) not in bounds.writes:
        yield f"{at}: writes {len(action.writes)} artifacts, {action.provider} makes {_span(bounds.writes)}"
    if not 1 <= action.run_order <= 999:
        yield f"{at}: run order {action.run_order} is not within 1 to 999"
    if action.timeout_minutes is not None:
        if action.provider is not Provider.MANUAL:
            yield f"{at}: CodePipeline takes a timeout for approvals only, not for {action.provider}"
        elif not 5 <= action.timeout_minutes <= _LONGEST_APPROVAL:
            yield f"{at}: timeout of {action.timeout_minutes} minutes is not within 5 to {_LONGEST_APPROVAL}"
    if action.trigger and action.category is not Category.SOURCE:
        yield f"{at}: only a source action has a trigger"


def _configuration_problems(action: Action) -> Iterator[str]:
    at = f"action {action.name}"
    bounds = _BOUNDS[action.provider]
    keys = set(action.configuration)
    known = bounds.required | bounds.optional
    yield from (f"{at}: {action.provider} needs the configuration key {key}" for key in sorted(bounds.required - keys))
    yield from (f"{at}: {action.provider} has no configuration key {key}" for key in sorted(keys - known))
    if len(action.reads) > 1 and action.provider is Provider.CODEBUILD and "PrimarySource" not in keys:
        yield f"{at}: a build with several input artifacts needs the configuration key PrimarySource"
    if action.environment and action.provider is not Provider.CODEBUILD:
        yield f"{at}: only CodeBuild actions take environment variables, this is {action.provider}"
    if (size := len(environment_variables(action.environment))) > _MOST_CHARACTERS:
        yield f"{at}: its environment variables take {size} characters, CodePipeline accepts {_MOST_CHARACTERS}"


def _span(bounds: range) -> str:
    return str(bounds.start) if len(bounds) == 1 else f"{bounds.start} to {bounds.stop - 1}"


def _artifact_problems(pipeline: PipelineModel) -> Iterator[str]:
    written: dict[Artifact, str] = {}
    for batch in _all_batches(pipeline):
        for action in batch:
            for artifact in action.reads:
                if artifact not in written:
                    yield f"action {action.name} reads the artifact {artifact}, which no earlier action writes"
        for action in batch:
            for artifact in action.writes:
                if artifact in written:
                    yield f"action {action.name} writes the artifact {artifact}, as {written[artifact]} does"
                written.setdefault(artifact, action.name)
    yield from _clone_problems(pipeline)


def _clone_problems(pipeline: PipelineModel) -> Iterator[str]:
    """Yield the readers of a clone reference that cannot clone.

    "Attempting to pass a Git URL reference to non-CodeBuild actions results in an error":
    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
    """
    references = {
        artifact
        for action in pipeline.actions
        if action.configuration.get("OutputArtifactFormat") == CLONE_REFERENCE
        for artifact in action.writes
    }
    for action in pipeline.actions:
        for artifact in action.reads:
            if artifact in references and action.provider is not Provider.CODEBUILD:
                yield (
                    f"action {action.name} reads the artifact {artifact}, which is the reference to a repository; "
                    f"only CodeBuild can clone it, this is {action.provider}"
                )


def _variable_problems(pipeline: PipelineModel) -> Iterator[str]:
    for name, count in Counter(item.name for item in pipeline.variables).items():
        if count > 1:
            yield f"variable {name} is described in {count} different ways"
    for item in pipeline.variables:
        if not _VARIABLE.fullmatch(item.name) or not item.default:
            yield f"variable {item.name!r} needs a default and a name of letters, digits and @ - _"
    if len(pipeline.variables) > 50:
        yield f"a pipeline has at most 50 variables, this one has {len(pipeline.variables)}"


def _reference_problems(pipeline: PipelineModel) -> Iterator[str]:
    offered = {
        "codepipeline": _OFFERED_BY_CODEPIPELINE,
        "variables": frozenset(item.name for item in pipeline.variables),
    }
    for batch in _all_batches(pipeline):
        for action in batch:
            for whole, space, name in _references(action):
                if space not in offered:
                    yield f"action {action.name} refers to #{{{whole}}}, which no earlier action offers"
                elif name not in offered[space]:
                    known = ", ".join(sorted(offered[space])) or "nothing"
                    yield f"action {action.name} refers to #{{{whole}}}; {space} offers {known}"
        for action in batch:
            if action.namespace is not None:
                yield from _namespace_problems(action.name, action.namespace, taken=action.namespace in offered)
                offered[action.namespace] = _BOUNDS[action.provider].variables | set(action.exports)
            elif action.exports:
                yield f"action {action.name} exports variables but has no namespace"


def _references(action: Action) -> list[tuple[str, str, str]]:
    texts = [*action.environment.values(), *(text for text in action.configuration.values() if isinstance(text, str))]
    return [found for text in texts for found in _REFERENCE.findall(text)]


def _namespace_problems(action: str, namespace: str, *, taken: bool) -> Iterator[str]:
    if taken:
        yield f"action {action}: namespace {namespace} is taken by an earlier action"
    if not _NAMESPACE.fullmatch(namespace):
        yield f"action {action}: namespace {namespace!r} may hold only letters, digits and @ - _"


def _machine_problems(pipeline: PipelineModel) -> Iterator[str]:
    for action in pipeline.actions:
        if (action.machine is not None) != (action.provider is Provider.CODEBUILD):
            yield f"action {action.name}: a CodeBuild action names its machine type, and no other action does"
    if pipeline.parallel_jobs:
        return
    for batch in _all_batches(pipeline):
        for machine, count in _builds(batch).items():
            if count > 1:
                names = ", ".join(action.name for action in batch if action.machine == machine)
                yield (
                    f"actions {names} would run at the same time on {machine}; a new AWS account runs 1 build at a "
                    "time on a machine type, so give them different run orders"
                )


def _builds(batch: Iterable[Action]) -> Counter[str]:
    return Counter(action.machine for action in batch if action.machine is not None)


def _batches(stage: StageModel) -> Iterator[tuple[Action, ...]]:
    """Yield the actions that run at the same time, in running order."""
    for order in sorted({action.run_order for action in stage.actions}):
        yield tuple(action for action in stage.actions if action.run_order == order)


def _all_batches(pipeline: PipelineModel) -> Iterator[tuple[Action, ...]]:
    for stage in pipeline.stages:
        yield from _batches(stage)
