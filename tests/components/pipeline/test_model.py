"""What CodePipeline would refuse is refused here first, one sentence a problem."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest

from components.pipeline.model import (
    CLONE_REFERENCE,
    RUN,
    Action,
    Artifact,
    Category,
    ExecutionMode,
    GitTrigger,
    ImagePushTrigger,
    PipelineModel,
    Provider,
    StageModel,
    Variable,
    environment_variables,
    scheduled,
    validate,
    variable,
)

SOURCE = Action(
    name="Source",
    category=Category.SOURCE,
    provider=Provider.CONNECTION,
    configuration={"ConnectionArn": "arn:connection", "FullRepositoryId": "example/shop", "BranchName": "main"},
    writes=(Artifact.SOURCE,),
    namespace="Source",
    trigger=GitTrigger(branch="main"),
)
BUILD = Action(
    name="Build",
    category=Category.BUILD,
    provider=Provider.CODEBUILD,
    machine="ARM/Small",
    configuration={"ProjectName": "shop-build"},
    environment={"COMMIT": "#{Source.CommitId}"},
    reads=(Artifact.SOURCE,),
    writes=(Artifact.IMAGE,),
    namespace="Build",
    exports=("DIGEST",),
)
DEPLOY = Action(
    name="Deploy",
    category=Category.DEPLOY,
    provider=Provider.ECS,
    configuration={"ClusterName": "shop", "ServiceName": "shop"},
    reads=(Artifact.IMAGE,),
)
APPROVE = Action(
    name="Approve", category=Category.APPROVAL, provider=Provider.MANUAL, configuration={"CustomData": "Go on?"}
)
RUNS = Variable(name="RUNS", default="3", description="How often")


def change(action: Action, **changes: Any) -> Action:  # noqa: ANN401 - whatever fields an action has
    return dataclasses.replace(action, **changes)


def pipeline(
    *stages: Iterable[Action],
    name: str = "shop-dev",
    mode: ExecutionMode = ExecutionMode.QUEUED,
    parallel_jobs: bool = False,
) -> PipelineModel:
    """A pipeline whose stages are named like their first action, with `Stage` behind it."""
    named = [tuple(actions) for actions in stages]
    return PipelineModel(
        name=name,
        execution_mode=mode,
        stages=tuple(
            StageModel(name=f"{actions[0].name if actions else 'Empty'}Stage", actions=actions) for actions in named
        ),
        parallel_jobs=parallel_jobs,
    )


SOUND = pipeline([SOURCE], [BUILD], [DEPLOY])


def renamed(name: str) -> PipelineModel:
    """The sound pipeline, its build stage under another name."""
    source, build, deploy = SOUND.stages
    return dataclasses.replace(SOUND, stages=(source, dataclasses.replace(build, name=name), deploy))


def builds(count: int) -> list[Action]:
    """Builds that may run at the same time: each on a machine type of its own."""
    return [
        change(BUILD, name=f"Build{number}", writes=(), namespace=None, exports=(), machine=f"Machine/{number}")
        for number in range(count)
    ]


def variables(count: int) -> PipelineModel:
    items = tuple(Variable(name=f"V{number}", default="x", description="") for number in range(count))
    return pipeline([SOURCE], [change(BUILD, variables=items)])


def after_source(action: Action) -> PipelineModel:
    """A pipeline of the source and one action that may read everything the model knows."""
    names = [Artifact.SOURCE, Artifact.SOURCE_IMAGE, Artifact.IMAGE, Artifact.SMOKE_TEST_IMAGE, Artifact.STATIC_FILES]
    sources = [
        change(SOURCE, name=f"Source{number}", namespace=None, writes=(artifact,))
        for number, artifact in enumerate([*names, Artifact.LIGHTHOUSE_REPORT])
    ]
    return pipeline(sources, [action])


# A clone

CLONED = change(SOURCE, configuration={**SOURCE.configuration, "OutputArtifactFormat": CLONE_REFERENCE})


def test_builds_may_read_where_a_repository_is() -> None:
    test = change(BUILD, name="Test", category=Category.TEST, writes=(), namespace=None, exports=())
    assert validate(pipeline([CLONED], [BUILD], [test], [DEPLOY])) == []


@pytest.mark.parametrize("provider", [Provider.ECS, Provider.CODEDEPLOY_TO_ECS])
def test_nobody_but_builds_may_read_where_a_repository_is(provider: Provider) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html"""
    deploy = change(DEPLOY, provider=provider, reads=(Artifact.SOURCE,))
    said = (
        "action Deploy reads the artifact Source, which is the reference to a repository; "
        f"only CodeBuild can clone it, this is {provider}"
    )
    assert said in validate(pipeline([CLONED], [deploy]))
    assert said not in validate(pipeline([SOURCE], [deploy]))


# The sound pipeline


def test_a_sound_pipeline_has_no_problems() -> None:
    assert validate(SOUND) == []


def test_a_pipeline_that_uses_everything_at_its_limits_has_no_problems() -> None:
    """The limits themselves are allowed: off-by-one would refuse what CodePipeline takes."""
    everything = pipeline(
        [
            SOURCE,
            Action(
                name="SourceImage",
                category=Category.SOURCE,
                provider=Provider.ECR,
                configuration={"RepositoryName": "base", "ImageTag": "stable"},
                writes=(Artifact.SOURCE_IMAGE,),
                namespace="SourceImage",
                trigger=ImagePushTrigger(repository="base", tag="stable"),
            ),
        ],
        [
            change(
                BUILD, environment={"DIGEST": "#{SourceImage.ImageDigest}", "RUNS": RUNS.reference}, variables=(RUNS,)
            ),
            change(
                BUILD,
                name="B" * 100,
                configuration={"ProjectName": "shop-deployment", "PrimarySource": "Image"},
                environment={"DIGEST": "#{Build.DIGEST}"},
                reads=(Artifact.IMAGE, Artifact.SOURCE),
                writes=(Artifact.DEPLOYMENT,),
                run_order=999,
                namespace="N" * 100,
            ),
        ],
        [
            change(APPROVE, timeout_minutes=60 * 24 * 60),
            change(DEPLOY, run_order=2),
            Action(
                name="Shift",
                category=Category.DEPLOY,
                provider=Provider.CODEDEPLOY_TO_ECS,
                configuration={
                    "ApplicationName": "shop",
                    "DeploymentGroupName": "shop",
                    "TaskDefinitionTemplateArtifact": "Deployment",
                    "TaskDefinitionTemplatePath": "taskdef.json",
                    "AppSpecTemplateArtifact": "Deployment",
                    "AppSpecTemplatePath": "appspec.yaml",
                },
                reads=(Artifact.DEPLOYMENT,),
                run_order=3,
            ),
        ],
        name="p" * 100,
    )
    assert validate(everything) == []


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(pipeline([SOURCE], builds(50)), id="50 actions in a stage"),
        pytest.param(variables(50), id="50 variables"),
        pytest.param(pipeline([change(SOURCE, run_order=1)], [BUILD]), id="run order 1"),
        pytest.param(renamed("a.b@c_d-1"), id="every character that a name may hold"),
    ],
)
def test_a_limit_itself_is_allowed(sound: PipelineModel) -> None:
    assert validate(sound) == []


# One problem each

STRUCTURE = [
    pytest.param(pipeline([SOURCE]), ["a pipeline needs at least 2 stages, this one has 1"], id="one stage"),
    pytest.param(
        pipeline(),
        [
            "a pipeline needs at least 2 stages, this one has 0",
            "no source action has a trigger, so nothing but a person would ever start the pipeline",
        ],
        id="no stage",
    ),
    pytest.param(
        pipeline([SOURCE], []), ["stage EmptyStage has 0 actions; allowed are 1 to 50"], id="a stage without actions"
    ),
    pytest.param(
        pipeline([SOURCE], builds(51)),
        ["stage Build0Stage has 51 actions; allowed are 1 to 50"],
        id="a stage with 51 actions",
    ),
    pytest.param(
        pipeline([SOURCE], [BUILD, change(SOURCE, name="Late", namespace=None, writes=(Artifact.SOURCE_IMAGE,))]),
        ["action Late in stage BuildStage: the first stage holds the source actions only"],
        id="a source in a later stage",
    ),
    pytest.param(
        pipeline([SOURCE, change(APPROVE, name="Early")], [BUILD]),
        ["action Early in stage SourceStage: the first stage holds the source actions only"],
        id="another action in the first stage",
    ),
    pytest.param(
        pipeline([change(SOURCE, trigger=None)], [BUILD]),
        ["no source action has a trigger, so nothing but a person would ever start the pipeline"],
        id="no trigger",
    ),
]

NAMES = [
    pytest.param(
        dataclasses.replace(SOUND, name="shop dev"),
        ["pipeline name 'shop dev' may hold only letters, digits and . @ - _, at most 100 characters"],
        id="a pipeline name with a blank",
    ),
    pytest.param(
        dataclasses.replace(SOUND, name="p" * 101),
        [f"pipeline name '{'p' * 101}' may hold only letters, digits and . @ - _, at most 100 characters"],
        id="a pipeline name of 101 characters",
    ),
    pytest.param(
        dataclasses.replace(SOUND, name=""),
        ["pipeline name '' may hold only letters, digits and . @ - _, at most 100 characters"],
        id="no pipeline name",
    ),
    pytest.param(
        renamed("Build/Image"),
        ["stage name 'Build/Image' may hold only letters, digits and . @ - _, at most 100 characters"],
        id="a stage name with a slash",
    ),
    pytest.param(
        pipeline([SOURCE], [BUILD, change(APPROVE, name="Go on?")]),
        ["action name 'Go on?' may hold only letters, digits and . @ - _, at most 100 characters"],
        id="an action name with a question mark",
    ),
    pytest.param(
        renamed("SourceStage"),
        ["stage SourceStage occurs 2 times; stage names are unique in a pipeline"],
        id="two stages of one name",
    ),
    pytest.param(
        pipeline([SOURCE], [BUILD, APPROVE], [change(APPROVE, name="Build")], [DEPLOY, APPROVE]),
        [
            "stage BuildStage occurs 2 times; stage names are unique in a pipeline",
            "action Build occurs 2 times; action names are unique in a pipeline",
            "action Approve occurs 2 times; action names are unique in a pipeline",
        ],
        id="two actions of one name, in different stages too",
    ),
]

ACTIONS = [
    pytest.param(
        change(BUILD, category=Category.DEPLOY),
        ["action Build: CodeBuild is no provider of category Deploy"],
        id="a category the provider has not",
    ),
    pytest.param(change(BUILD, run_order=0), ["action Build: run order 0 is not within 1 to 999"], id="run order 0"),
    pytest.param(
        change(BUILD, run_order=1000), ["action Build: run order 1000 is not within 1 to 999"], id="run order 1000"
    ),
    pytest.param(
        change(BUILD, timeout_minutes=60),
        ["action Build: CodePipeline takes a timeout for approvals only, not for CodeBuild"],
        id="a timeout of a build",
    ),
    pytest.param(
        change(APPROVE, timeout_minutes=4),
        ["action Approve: timeout of 4 minutes is not within 5 to 86400"],
        id="an approval of 4 minutes",
    ),
    pytest.param(
        change(APPROVE, timeout_minutes=86401),
        ["action Approve: timeout of 86401 minutes is not within 5 to 86400"],
        id="an approval of more than 60 days",
    ),
    pytest.param(
        change(BUILD, trigger=GitTrigger(branch="main")),
        ["action Build: only a source action has a trigger"],
        id="a trigger of a build",
    ),
]

CONFIGURATION = [
    pytest.param(
        change(BUILD, configuration={}),
        ["action Build: CodeBuild needs the configuration key ProjectName"],
        id="a missing key",
    ),
    pytest.param(
        change(BUILD, configuration={"ProjectName": "shop", "Projekt": "shop", "Image": "x"}),
        [
            "action Build: CodeBuild has no configuration key Image",
            "action Build: CodeBuild has no configuration key Projekt",
        ],
        id="unknown keys, sorted",
    ),
    pytest.param(
        change(BUILD, reads=(Artifact.SOURCE, Artifact.STATIC_FILES), writes=(Artifact.DEPLOYMENT,)),
        ["action Build: a build with several input artifacts needs the configuration key PrimarySource"],
        id="two inputs without a primary one",
    ),
    pytest.param(
        change(APPROVE, environment={"A": "1"}),
        ["action Approve: only CodeBuild actions take environment variables, this is Manual"],
        id="environment variables of an approval",
    ),
]


@pytest.mark.parametrize(("broken", "problems"), [*STRUCTURE, *NAMES])
def test_each_problem_of_structure_and_names_has_its_sentence(broken: PipelineModel, problems: list[str]) -> None:
    assert validate(broken) == problems


@pytest.mark.parametrize(("broken", "problems"), [*ACTIONS, *CONFIGURATION])
def test_each_problem_of_an_action_has_its_sentence(broken: Action, problems: list[str]) -> None:
    first = change(SOURCE, name="Files", namespace=None, writes=(Artifact.STATIC_FILES,))
    assert validate(pipeline([SOURCE, first], [broken])) == problems


# What the providers take: the "Action structure reference" of the CodePipeline user guide, written down a second time.
PROVIDERS = [
    (Provider.CONNECTION, Category.SOURCE, (0, 0), (1, 1)),
    (Provider.ECR, Category.SOURCE, (0, 0), (1, 1)),
    (Provider.S3, Category.SOURCE, (0, 0), (1, 1)),
    (Provider.CODEBUILD, Category.BUILD, (1, 5), (0, 5)),
    (Provider.CODEBUILD, Category.TEST, (1, 5), (0, 5)),
    (Provider.CODEDEPLOY_TO_ECS, Category.DEPLOY, (1, 5), (0, 0)),
    (Provider.ECS, Category.DEPLOY, (1, 1), (0, 0)),
    (Provider.MANUAL, Category.APPROVAL, (0, 0), (0, 0)),
]
ANY = tuple(Artifact)


def problems_of(action: Action, word: str) -> list[str]:
    """The sentences on an action alone that speak of one thing."""
    return [line for line in validate(after_source(action)) if line.startswith(f"action {action.name}: {word}")]


def says(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


@pytest.mark.parametrize(("provider", "category", "reads", "writes"), PROVIDERS)
def test_a_provider_takes_as_many_artifacts_as_aws_says(
    provider: Provider, category: Category, reads: tuple[int, int], writes: tuple[int, int]
) -> None:
    action = Action(name="Tried", category=category, provider=provider, configuration={})
    for count in range(7):
        said = f"action Tried: reads {count} artifacts, {provider} takes {says(*reads)}"
        assert problems_of(change(action, reads=ANY[:count]), "reads") == (
            [] if reads[0] <= count <= reads[1] else [said]
        )
        said = f"action Tried: writes {count} artifacts, {provider} makes {says(*writes)}"
        assert problems_of(change(action, writes=ANY[:count]), "writes") == (
            [] if writes[0] <= count <= writes[1] else [said]
        )


@pytest.mark.parametrize("provider", [provider for provider in Provider if provider is not Provider.MANUAL])
def test_only_an_approval_takes_a_timeout(provider: Provider) -> None:
    """CodePipeline refuses it anywhere else; a build or a deployment ends by its own service's time.

    https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ActionDeclaration.html
    """
    category = next(item[1] for item in PROVIDERS if item[0] is provider)
    action = Action(name="Tried", category=category, provider=provider, configuration={}, timeout_minutes=60)
    assert problems_of(action, "CodePipeline takes") == [
        f"action Tried: CodePipeline takes a timeout for approvals only, not for {provider}"
    ]


@pytest.mark.parametrize("minutes", [5, 60 * 24 * 60])
def test_a_person_may_take_from_five_minutes_to_sixty_days(minutes: int) -> None:
    assert validate(pipeline([SOURCE], [change(APPROVE, timeout_minutes=minutes)])) == []


@pytest.mark.parametrize(
    ("provider", "category"), list(itertools.product(Provider, Category)), ids=lambda item: str(item.value)
)
def test_a_provider_belongs_to_the_categories_aws_gives_it(provider: Provider, category: Category) -> None:
    belongs = {(item[0], item[1]) for item in PROVIDERS}
    action = Action(name="Tried", category=category, provider=provider, configuration={})
    said = (
        [] if (provider, category) in belongs else [f"action Tried: {provider} is no provider of category {category}"]
    )
    assert problems_of(action, f"{provider} is no provider") == said


KEYS = [
    (
        Provider.CONNECTION,
        ["BranchName", "ConnectionArn", "FullRepositoryId"],
        ["DetectChanges", "OutputArtifactFormat"],
    ),
    (Provider.ECR, ["RepositoryName"], ["ImageTag"]),
    (Provider.S3, ["S3Bucket", "S3ObjectKey"], ["AllowOverrideForS3ObjectKey", "PollForSourceChanges"]),
    (Provider.CODEBUILD, ["ProjectName"], ["PrimarySource"]),
    (
        Provider.CODEDEPLOY_TO_ECS,
        ["AppSpecTemplateArtifact", "ApplicationName", "DeploymentGroupName", "TaskDefinitionTemplateArtifact"],
        ["AppSpecTemplatePath", "TaskDefinitionTemplatePath"],
    ),
    (Provider.ECS, ["ClusterName", "ServiceName"], ["DeploymentTimeout", "FileName"]),
    (Provider.MANUAL, [], ["CustomData", "ExternalEntityLink", "NotificationArn"]),
]


@pytest.mark.parametrize(("provider", "required", "optional"), KEYS, ids=[str(item[0].value) for item in KEYS])
def test_a_provider_takes_the_configuration_keys_aws_documents(
    provider: Provider, required: list[str], optional: list[str]
) -> None:
    action = Action(name="Tried", category=Category.BUILD, provider=provider, configuration={})
    assert problems_of(action, f"{provider} needs") == [
        f"action Tried: {provider} needs the configuration key {key}" for key in required
    ]
    complete = change(action, configuration=dict.fromkeys([*required, *optional, "Other"], "x"))
    assert problems_of(complete, f"{provider} needs") == []
    assert problems_of(complete, f"{provider} has no") == [f"action Tried: {provider} has no configuration key Other"]


def test_environment_variables_may_take_a_thousand_characters_and_not_one_more() -> None:
    """CodePipeline refuses a longer value of one configuration key (awsdocs/aws-codepipeline-user-guide#24)."""
    empty = len(environment_variables({"A": ""}))
    longest = change(BUILD, environment={"A": "x" * (1000 - empty)})
    assert validate(pipeline([SOURCE], [longest])) == []
    longer = change(BUILD, environment={"A": "x" * (1001 - empty)})
    assert validate(pipeline([SOURCE], [longer])) == [
        "action Build: its environment variables take 1001 characters, CodePipeline accepts 1000"
    ]


# Artifacts


def test_an_artifact_must_be_written_before_it_is_read() -> None:
    assert validate(pipeline([SOURCE], [DEPLOY], [BUILD])) == [
        "action Deploy reads the artifact Image, which no earlier action writes"
    ]


def test_an_action_of_the_same_run_order_is_not_earlier() -> None:
    """Both start at once, so one cannot wait for the other's artifact; a higher run order in the same stage can."""
    assert validate(pipeline([SOURCE], [BUILD, DEPLOY])) == [
        "action Deploy reads the artifact Image, which no earlier action writes"
    ]
    assert validate(pipeline([SOURCE], [change(DEPLOY, run_order=2), BUILD])) == []


def test_an_artifact_has_one_writer() -> None:
    again = change(BUILD, name="Again", namespace=None, exports=(), machine="Linux/Small")
    assert validate(pipeline([SOURCE], [BUILD, again], [change(again, name="Third")])) == [
        "action Again writes the artifact Image, as Build does",
        "action Third writes the artifact Image, as Build does",
    ]


def test_artifacts_differ_where_codepipeline_looks() -> None:
    """CodePipeline cuts the folder of an artifact at ten characters: two alike would overwrite each other."""
    assert len({artifact.value[:10] for artifact in Artifact}) == len(Artifact)


# Variables and references


def test_a_variable_described_in_two_ways_is_a_problem() -> None:
    first = change(BUILD, variables=(RUNS,))
    second = change(APPROVE, variables=(dataclasses.replace(RUNS, default="5"),))
    assert validate(pipeline([SOURCE], [first], [second])) == ["variable RUNS is described in 2 different ways"]


def test_a_variable_that_two_actions_use_is_one_variable() -> None:
    shared = pipeline([SOURCE], [change(BUILD, variables=(RUNS,))], [change(APPROVE, variables=(RUNS,))])
    assert shared.variables == (RUNS,)
    assert validate(shared) == []


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(dataclasses.replace(RUNS, name="NUMBER OF RUNS"), id="a blank in the name"),
        pytest.param(dataclasses.replace(RUNS, name="NUMBER.OF.RUNS"), id="a dot in the name"),
        pytest.param(dataclasses.replace(RUNS, name=""), id="no name"),
        pytest.param(dataclasses.replace(RUNS, default=""), id="no default"),
    ],
)
def test_a_variable_needs_a_name_and_a_default(item: Variable) -> None:
    """CodePipeline refuses a default of no characters, and a name with a dot could not be referred to."""
    assert validate(pipeline([SOURCE], [change(BUILD, variables=(item,))])) == [
        f"variable {item.name!r} needs a default and a name of letters, digits and @ - _"
    ]


def test_a_pipeline_has_fifty_variables_at_most() -> None:
    assert validate(variables(51)) == ["a pipeline has at most 50 variables, this one has 51"]


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("#{Test.RESULT}", "action Build refers to #{Test.RESULT}, which no earlier action offers"),
        (
            "#{Source.Commit}",
            (
                "action Build refers to #{Source.Commit}; Source offers "
                "AuthorDate, BranchName, CommitId, CommitMessage, ConnectionArn, FullRepositoryName"
            ),
        ),
        ("#{Build}", "action Build refers to #{Build}, which no earlier action offers"),
        (
            "#{codepipeline.ExecutionId}",
            "action Build refers to #{codepipeline.ExecutionId}; codepipeline offers PipelineExecutionId",
        ),
        ("#{variables.RUNS}", "action Build refers to #{variables.RUNS}; variables offers nothing"),
        (
            "v#{Source.CommitId}-#{Build.DIGEST}",
            "action Build refers to #{Build.DIGEST}, which no earlier action offers",
        ),
    ],
)
def test_a_reference_must_name_what_an_earlier_action_offers(reference: str, problem: str) -> None:
    assert validate(pipeline([SOURCE], [change(BUILD, environment={"A": reference})])) == [problem]


def test_every_action_may_name_its_run() -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html."""
    assert RUN == "#{codepipeline.PipelineExecutionId}"
    assert validate(pipeline([SOURCE], [change(BUILD, environment={"A": RUN})])) == []


def test_a_run_pinned_to_a_digest_offers_no_tag() -> None:
    """CodePipeline leaves ImageTag unset when a run starts with a revision override, as ours always do."""
    image = Action(
        name="SourceImage",
        category=Category.SOURCE,
        provider=Provider.ECR,
        configuration={"RepositoryName": "base"},
        writes=(Artifact.SOURCE,),
        namespace="SourceImage",
        trigger=ImagePushTrigger(repository="base", tag="stable"),
    )
    tagged = change(BUILD, environment={"TAG": "#{SourceImage.ImageTag}"})
    assert validate(pipeline([image], [tagged])) == [
        (
            "action Build refers to #{SourceImage.ImageTag}; "
            "SourceImage offers ImageDigest, ImageURI, RegistryId, RepositoryName"
        )
    ]


def test_a_build_offers_what_it_exports_and_nothing_else() -> None:
    asks = change(APPROVE, configuration={"CustomData": "Promote #{Build.DIGEST} of #{Build.COMMIT}?"})
    assert validate(pipeline([SOURCE], [BUILD], [asks])) == [
        "action Approve refers to #{Build.COMMIT}; Build offers DIGEST"
    ]


def test_an_action_of_the_same_run_order_offers_nothing_yet() -> None:
    asks = change(APPROVE, configuration={"CustomData": "#{Build.DIGEST}"})
    assert validate(pipeline([SOURCE], [BUILD, asks])) == [
        "action Approve refers to #{Build.DIGEST}, which no earlier action offers"
    ]
    assert validate(pipeline([SOURCE], [BUILD, change(asks, run_order=2)])) == []


def test_a_value_that_is_not_text_yet_is_not_searched_for_references() -> None:
    """Configuration may hold Pulumi outputs, whose text is not known while the model is checked."""
    assert validate(pipeline([SOURCE], [change(BUILD, configuration={"ProjectName": object()})])) == []


def test_what_is_exported_needs_a_namespace() -> None:
    assert validate(pipeline([SOURCE], [change(BUILD, namespace=None)])) == [
        "action Build exports variables but has no namespace"
    ]


@pytest.mark.parametrize("namespace", ["Source", "variables"])
def test_a_namespace_is_taken_once(namespace: str) -> None:
    """`variables` belongs to the pipeline's own variables."""
    assert validate(pipeline([SOURCE], [change(BUILD, namespace=namespace)])) == [
        f"action Build: namespace {namespace} is taken by an earlier action"
    ]


@pytest.mark.parametrize("namespace", ["Build.Image", "Build Image", "", "n" * 101])
def test_a_namespace_holds_no_dot_and_no_blank(namespace: str) -> None:
    assert validate(pipeline([SOURCE], [change(BUILD, namespace=namespace)])) == [
        f"action Build: namespace {namespace!r} may hold only letters, digits and @ - _"
    ]


# All at once


def test_all_problems_are_told_at_once_in_the_order_of_the_pipeline() -> None:
    """One at a time would cost a run of the program for each."""
    broken = PipelineModel(
        name="shop dev",
        execution_mode=ExecutionMode.SUPERSEDED,
        stages=(
            StageModel(name="Source", actions=(change(SOURCE, trigger=None, timeout_minutes=1),)),
            StageModel(
                name="Source",
                actions=(
                    change(
                        BUILD,
                        name="Build!",
                        configuration={"Projekt": "shop"},
                        environment={"A": "#{Nowhere.X}"},
                        reads=(Artifact.DEPLOYMENT,),
                        writes=(Artifact.SOURCE,),
                        namespace=None,
                        variables=(dataclasses.replace(RUNS, default=""),),
                    ),
                ),
            ),
        ),
    )
    assert validate(broken) == [
        "pipeline name 'shop dev' may hold only letters, digits and . @ - _, at most 100 characters",
        "stage Source occurs 2 times; stage names are unique in a pipeline",
        "action name 'Build!' may hold only letters, digits and . @ - _, at most 100 characters",
        "no source action has a trigger, so nothing but a person would ever start the pipeline",
        "action Source: CodePipeline takes a timeout for approvals only, not for CodeStarSourceConnection",
        "action Build!: CodeBuild needs the configuration key ProjectName",
        "action Build!: CodeBuild has no configuration key Projekt",
        "action Build! reads the artifact Deployment, which no earlier action writes",
        "action Build! writes the artifact Source, as Source does",
        "variable 'RUNS' needs a default and a name of letters, digits and @ - _",
        "action Build! refers to #{Nowhere.X}, which no earlier action offers",
        "action Build! exports variables but has no namespace",
    ]


# Machines

ON_LAMBDA = change(BUILD, name="OnLambda", writes=(), namespace=None, exports=(), machine="ARM Lambda/1GB")
BESIDE = change(BUILD, name="Beside", writes=(), namespace=None, exports=())
READER = change(DEPLOY, name="Reader")
USER = change(APPROVE, name="User", configuration={"CustomData": "#{Build.DIGEST}"})


def test_builds_on_one_machine_type_do_not_run_at_the_same_time() -> None:
    """A new account fails the second one: "Cannot have more than 1 builds in queue for the account"."""
    assert validate(pipeline([SOURCE], [BUILD, BESIDE, ON_LAMBDA])) == [
        (
            "actions Build, Beside would run at the same time on ARM/Small; a new AWS account runs 1 build at a time "
            "on a machine type, so give them different run orders"
        )
    ]
    assert validate(pipeline([SOURCE], [BUILD, change(BESIDE, run_order=2), ON_LAMBDA])) == []


def test_they_may_where_the_stack_file_says_that_the_account_allows_it() -> None:
    assert validate(pipeline([SOURCE], [BUILD, BESIDE], parallel_jobs=True)) == []


@pytest.mark.parametrize("action", [change(BUILD, machine=None), change(DEPLOY, machine="ARM/Small")])
def test_builds_and_only_builds_name_their_machine_type(action: Action) -> None:
    """Without it nobody could say whether two of them may run at the same time."""
    assert problems_of(change(action, name="Tried", exports=(), namespace=None), "a CodeBuild") == [
        "action Tried: a CodeBuild action names its machine type, and no other action does"
    ]


def orders(*actions: Action, parallel_jobs: bool = False) -> dict[str, int]:
    return {action.name: action.run_order for action in scheduled(actions, parallel_jobs=parallel_jobs)}


def test_an_action_is_scheduled_after_what_it_needs_and_beside_everything_else() -> None:
    assert orders(BUILD, ON_LAMBDA, READER, USER) == {"Build": 1, "OnLambda": 1, "Reader": 2, "User": 2}


def test_a_build_waits_for_its_machine_type() -> None:
    assert orders(BUILD, BESIDE, ON_LAMBDA) == {"Build": 1, "Beside": 2, "OnLambda": 1}
    assert orders(BUILD, change(BESIDE, reads=(Artifact.IMAGE,))) == {"Build": 1, "Beside": 2}
    assert orders(BUILD, BESIDE, ON_LAMBDA, parallel_jobs=True) == {"Build": 1, "Beside": 1, "OnLambda": 1}


def test_a_build_takes_the_first_place_that_is_free() -> None:
    late = change(BESIDE, name="Late", reads=(Artifact.IMAGE,), machine="Linux/Small")
    assert orders(BUILD, change(late, name="Later", machine="ARM/Small"), late, change(late, name="Last")) == {
        "Build": 1,
        "Later": 2,
        "Late": 2,
        "Last": 3,
    }
    assert orders(BUILD, late, change(BESIDE, name="First", machine="Linux/Small")) == {
        "Build": 1,
        "Late": 2,
        "First": 1,
    }


def test_people_and_deployments_take_no_machine() -> None:
    assert orders(DEPLOY, change(DEPLOY, name="Other"), APPROVE) == {"Deploy": 1, "Other": 1, "Approve": 1}


def test_what_is_scheduled_is_sound_whatever_the_machines() -> None:
    machines = ("ARM/Small", "ARM Lambda/1GB", "Linux/Medium")
    for choice in itertools.product(machines, repeat=3):
        for parallel_jobs in (False, True):
            build, beside, reader = (
                change(action, machine=machine)
                for action, machine in zip(
                    (BUILD, BESIDE, change(ON_LAMBDA, reads=(Artifact.IMAGE,))), choice, strict=True
                )
            )
            actions = scheduled((build, beside, reader), parallel_jobs=parallel_jobs)
            assert validate(pipeline([SOURCE], actions, parallel_jobs=parallel_jobs)) == []


def test_a_stage_builds_for_one_run_while_the_next_stage_builds_for_the_run_before() -> None:
    """So a pipeline needs more machines than its busiest moment of one run."""
    tested = change(BESIDE, name="Tested", category=Category.TEST)
    busy = pipeline([SOURCE], [BUILD, change(BESIDE, run_order=2), ON_LAMBDA], [tested])
    assert busy.builds_at_once == {"ARM/Small": 2, "ARM Lambda/1GB": 1}
    assert pipeline([SOURCE], [BUILD, BESIDE], [tested], parallel_jobs=True).builds_at_once == {"ARM/Small": 3}


def test_runs_side_by_side_have_no_common_number() -> None:
    """What is left to say is what each of them takes."""
    tested = change(BESIDE, name="Tested", category=Category.TEST)
    stages = ([SOURCE], [BUILD, change(ON_LAMBDA, run_order=2)], [tested])
    assert pipeline(*stages, mode=ExecutionMode.PARALLEL).builds_at_once == {"ARM/Small": 1, "ARM Lambda/1GB": 1}


# Values


def test_the_words_are_codepipelines_own() -> None:
    """They go to AWS as they are; the connection's provider keeps its old name under the new service's as well."""
    assert {provider.name: provider.value for provider in Provider} == {
        "CONNECTION": "CodeStarSourceConnection",
        "ECR": "ECR",
        "S3": "S3",
        "CODEBUILD": "CodeBuild",
        "CODEDEPLOY_TO_ECS": "CodeDeployToECS",
        "ECS": "ECS",
        "MANUAL": "Manual",
    }
    assert [category.value for category in Category] == ["Source", "Build", "Test", "Deploy", "Approval"]
    assert [mode.value for mode in ExecutionMode] == ["SUPERSEDED", "QUEUED", "PARALLEL"]


def test_artifacts_keep_their_names() -> None:
    """Buildspecs find an artifact by its name, in CODEBUILD_SRC_DIR_<name>."""
    assert [artifact.value for artifact in Artifact] == [
        "Source",
        "SourceImage",
        "Image",
        "SmokeTestImage",
        *(f"Image{number}" for number in range(1, 10)),
        "StaticFiles",
        "Deployment",
        "LighthouseReport",
    ]


def test_a_reference_is_written_as_codepipeline_reads_it() -> None:
    assert variable("Source", "CommitId") == "#{Source.CommitId}"
    assert RUNS.reference == "#{variables.RUNS}"


def test_environment_variables_are_a_json_list_in_the_order_given() -> None:
    """CodePipeline wants the list as one text, and its order must not change: that would be a new structure."""
    text = environment_variables({"B": "2", "A": 'say "hi"'})
    assert json.loads(text) == [
        {"name": "B", "value": "2", "type": "PLAINTEXT"},
        {"name": "A", "value": 'say "hi"', "type": "PLAINTEXT"},
    ]
    assert text.startswith('[{"name":"B","value":"2","type":"PLAINTEXT"},')


def test_a_pipeline_knows_its_actions_stage_by_stage() -> None:
    assert SOUND.actions == (SOURCE, BUILD, DEPLOY)
    assert SOUND.variables == ()
