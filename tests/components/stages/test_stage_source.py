"""Source: what a run starts from, and what starts it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import mocked
import pytest
from mocked import ACCOUNT
from samples import BUCKET, CONNECTION, GITHUB, TAGS, BuiltStage, arn, build_stage, image_repository, shop

from components.pipeline.model import Action, Artifact, Category, GitTrigger, ImagePushTrigger, Provider, UploadTrigger
from components.stages.build import BuildStage
from components.stages.source import SourceStage
from components.stages.wanted import args_of

OLD_CONNECTION = CONNECTION.replace("codeconnections", "codestar-connections")
IMAGE = {"repository": "shop-prod", "tag": "promoted"}
COMMIT = Action(
    name="Source",
    category=Category.SOURCE,
    provider=Provider.CONNECTION,
    configuration={
        "ConnectionArn": CONNECTION,
        "FullRepositoryId": "example/shop",
        "BranchName": "main",
        "OutputArtifactFormat": "CODE_ZIP",
        "DetectChanges": "false",
    },
    writes=(Artifact.SOURCE,),
    namespace="Source",
    trigger=GitTrigger(branch="main"),
)
PUSH = Action(
    name="SourceImage",
    category=Category.SOURCE,
    provider=Provider.ECR,
    configuration={"RepositoryName": "shop-prod", "ImageTag": "promoted"},
    writes=(Artifact.SOURCE_IMAGE,),
    namespace="SourceImage",
    trigger=ImagePushTrigger(repository="shop-prod", tag="promoted"),
)
USE_CONNECTION = [
    {
        "Sid": "UseConnection",
        "Effect": "Allow",
        "Action": ["codeconnections:UseConnection"],
        "Resource": [CONNECTION],
        "Condition": {"StringEqualsIfExists": {"codeconnections:FullRepositoryId": "example/shop"}},
    },
    {
        "Sid": "UseConnectionByOldName",
        "Effect": "Allow",
        "Action": ["codestar-connections:UseConnection"],
        "Resource": [OLD_CONNECTION],
        "Condition": {"StringEqualsIfExists": {"codestar-connections:FullRepositoryId": "example/shop"}},
    },
]
PUSHED = (
    "Check that example/shop has the branch main, because pushes to it start the pipeline; name another one in "
    "source.github.branch: git ls-remote --symref https://github.com/example/shop HEAD"
)


def available(connection: str, *, region: str = "eu-west-1") -> str:
    return (
        "Check that the connection is AVAILABLE, because no run gets past its source before: "
        f"aws codeconnections get-connection --connection-arn {connection} --query Connection.ConnectionStatus "
        f"--output text --region {region}"
    )


FIND_IMAGE = {
    "Sid": "FindSourceImage",
    "Effect": "Allow",
    "Action": ["ecr:DescribeImages"],
    "Resource": [image_repository("shop-prod")],
}


@cache
def from_code() -> BuiltStage:
    return build_stage(SourceStage, shop())


@cache
def from_image() -> BuiltStage:
    return build_stage(SourceStage, shop(source={"ecr": IMAGE}))


@cache
def from_both() -> BuiltStage:
    return build_stage(SourceStage, shop(source={"github": GITHUB, "ecr": IMAGE}))


@cache
def with_new_connection() -> BuiltStage:
    return build_stage(SourceStage, shop(source={"github": {"repository": "example/shop"}}))


# Code


def test_a_commit_starts_the_pipeline_by_the_explicit_trigger_alone() -> None:
    """Change detection beside a trigger would start two runs, and alone it started none at all (pulumi-aws#2167)."""
    assert from_code().actions == (COMMIT,)


def test_a_connection_is_used_for_one_repository_by_both_of_its_names() -> None:
    """It answers to either, by its age and by who asks (awslabs/landing-zone-accelerator-on-aws#828)."""
    assert from_code().grants == USE_CONNECTION


def test_a_connection_of_the_old_name_is_granted_by_both_names_too() -> None:
    built = build_stage(SourceStage, shop(source={"github": {**GITHUB, "connectionArn": OLD_CONNECTION}}))
    assert built.grants == USE_CONNECTION
    assert built.actions[0].configuration["ConnectionArn"] == OLD_CONNECTION


def test_a_connection_that_is_there_is_used_and_none_is_made() -> None:
    assert from_code().graph.of("Connection") == []
    assert from_code().registered == {"connectionArn": CONNECTION}


def test_without_a_connection_one_is_made_and_the_user_told_how_to_finish_it() -> None:
    """A connection is born PENDING, only a person can finish the handshake (aws/aws-sdk#408): say how."""
    built = with_new_connection()
    connection = built.graph.one("Connection")
    assert connection.inputs == {"name": "shop-dev", "providerType": "GitHub", "tags": TAGS}
    assert built.actions[0].configuration["ConnectionArn"] == connection.outputs["arn"]
    assert built.registered == {"connectionArn": connection.outputs["arn"]}
    console = "https://eu-west-1.console.aws.amazon.com/codesuite/settings/connections?region=eu-west-1"
    assert built.notes == [
        (
            f"Connect GitHub: open {console}, choose shop-dev and then 'Update pending connection'. "
            "The pipeline's first run, which starts by itself, fails before that."
        ),
        available(connection.outputs["arn"]),
        (
            "If a push starts nothing although the connection is AVAILABLE, register the trigger again, by saving the "
            "pipeline as it is: aws codepipeline get-pipeline --name shop-dev --query pipeline --output json "
            "--region eu-west-1 > shop-dev.json && "
            "aws codepipeline update-pipeline --pipeline file://shop-dev.json --region eu-west-1"
        ),
        "Start the next run: aws codepipeline start-pipeline-execution --name shop-dev --region eu-west-1",
        PUSHED,
    ]


def test_a_connection_that_is_there_is_to_be_looked_at() -> None:
    """Named in the stack file it may still be PENDING, and lie in another region."""
    assert from_code().notes == [available(CONNECTION), PUSHED]
    elsewhere = CONNECTION.replace("eu-west-1", "us-east-1")
    built = build_stage(SourceStage, shop(source={"github": {**GITHUB, "connectionArn": elsewhere}}))
    assert built.notes[0] == available(elsewhere, region="us-east-1")


@pytest.mark.parametrize(
    "github",
    [{"branch": "main"}, {"branches": {"include": ["main", "release/*"]}}, {"tags": {"include": ["v*"]}}],
    ids=["branch", "branches", "tags"],
)
def test_a_branch_is_to_be_checked_only_where_the_file_does_not_name_it(github: dict[str, object]) -> None:
    """A branch that is called master starts nothing while the file says main, and no log is written."""
    given = {key: value for key, value in GITHUB.items() if key != "branch"}
    assert build_stage(SourceStage, shop(source={"github": {**given, **github}})).notes == [available(CONNECTION)]


def test_a_handshake_that_is_done_is_no_step_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    available_now = {**mocked._OUTPUTS, "aws:codeconnections/connection:Connection": _available}
    monkeypatch.setattr(mocked, "_OUTPUTS", available_now)
    assert [note for note in with_new_connection.__wrapped__().notes if note is not None] == [PUSHED]


def _available(name: str, inputs: Mapping[str, object]) -> dict[str, object]:
    del name, inputs
    return {"connectionStatus": "AVAILABLE"}


@pytest.mark.parametrize(
    ("github", "trigger"),
    [
        pytest.param({"branch": "release"}, GitTrigger(branch="release"), id="another branch"),
        pytest.param(
            {"paths": {"include": ["src/**"], "exclude": ["src/docs/**"]}},
            GitTrigger(branch="main", paths=("src/**",), ignored_paths=("src/docs/**",)),
            id="paths",
        ),
        pytest.param(
            {"branches": {"include": ["main", "release/*"], "exclude": ["release/old-*"]}},
            GitTrigger(branch="main", branches=("main", "release/*"), ignored_branches=("release/old-*",)),
            id="branches",
        ),
        pytest.param(
            {"tags": {"include": ["v*"], "exclude": ["v0*"]}},
            GitTrigger(branch="main", tags=("v*",), ignored_tags=("v0*",)),
            id="tags",
        ),
    ],
)
def test_the_trigger_is_what_the_stack_file_says(github: dict[str, object], trigger: GitTrigger) -> None:
    (action,) = build_stage(SourceStage, shop(source={"github": {**GITHUB, **github}})).actions
    assert action.trigger == trigger
    assert action.configuration["BranchName"] == trigger.branch


def test_a_full_clone_hands_on_where_the_code_is() -> None:
    (action,) = build_stage(SourceStage, shop(source={"github": {**GITHUB, "fullClone": True}})).actions
    assert action.configuration == {**COMMIT.configuration, "OutputArtifactFormat": "CODEBUILD_CLONE_REF"}


@pytest.mark.parametrize(
    ("provider", "name", "repository"),
    [("gitlab", "GitLab", "example/shops/shop"), ("bitbucket", "Bitbucket", "example/shop")],
)
def test_code_of_another_provider_takes_the_same_way(provider: str, name: str, repository: str) -> None:
    source = {provider: {"repository": repository, "paths": {"exclude": ["docs/**"]}}}
    built = build_stage(SourceStage, shop(source=source))
    (action,) = built.actions
    assert action.configuration["FullRepositoryId"] == repository
    assert action.trigger == GitTrigger(branch="main", ignored_paths=("docs/**",))
    assert built.grants[0]["Condition"] == {"StringEqualsIfExists": {"codeconnections:FullRepositoryId": repository}}
    assert built.notes[0].startswith(f"Connect {name}: open https://eu-west-1.console.aws.amazon.com/codesuite/")
    assert built.notes[-1].startswith(f"Check that {repository} has the branch main, ")
    assert f"{repository} HEAD" in built.notes[-1]


def test_code_is_of_one_provider_and_the_image_says_which() -> None:
    source = {
        "gitlab": {"repository": "example/shops/shop", "url": "https://git.example.com", "connectionArn": CONNECTION}
    }
    variables = build_stage(BuildStage, shop(source=source)).variables("build-image")
    assert variables["SOURCE_URL"] == "https://git.example.com/example/shops/shop"


# Uploaded code

KMS_KEY = arn("kms", "key/0f0f0f0f-1234-4abc-8def-0123456789ab")
UPLOADED = {"bucket": "shop-uploads", "objectKey": "builds/shop.zip"}
OWN_ACCOUNT = {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}
FETCH = [
    {
        "Sid": "FetchUploadedCode",
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"],
        "Resource": ["arn:aws:s3:::shop-uploads/builds/shop.zip"],
        "Condition": OWN_ACCOUNT,
    },
    {
        "Sid": "FindUploadedCode",
        "Effect": "Allow",
        "Action": ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"],
        "Resource": ["arn:aws:s3:::shop-uploads"],
        "Condition": OWN_ACCOUNT,
    },
    {
        "Sid": "KeepTags",
        "Effect": "Allow",
        "Action": ["s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"],
        "Resource": [f"arn:aws:s3:::{BUCKET}/shop-dev/*"],
    },
]


@cache
def from_bucket() -> BuiltStage:
    return build_stage(SourceStage, shop(source={"s3": UPLOADED}))


def test_an_upload_starts_the_pipeline_by_the_rule_alone() -> None:
    """Polling beside a rule starts a second run: so AWS's page of the action."""
    assert from_bucket().actions == (
        Action(
            name="Source",
            category=Category.SOURCE,
            provider=Provider.S3,
            configuration={
                "S3Bucket": "shop-uploads",
                "S3ObjectKey": "builds/shop.zip",
                "PollForSourceChanges": "false",
            },
            writes=(Artifact.SOURCE,),
            namespace="Source",
            trigger=UploadTrigger(bucket="shop-uploads", object_key="builds/shop.zip"),
        ),
    )


def test_one_object_of_a_bucket_of_this_account_is_fetched() -> None:
    """A bucket of this name could be somebody else's: the name of one that was deleted is free for everybody."""
    assert from_bucket().grants == FETCH


def test_a_key_of_ones_own_is_granted_by_its_arn() -> None:
    built = build_stage(SourceStage, shop(source={"s3": {**UPLOADED, "kmsKeyArn": KMS_KEY}}))
    assert built.grants == [
        *FETCH,
        {"Sid": "DecryptUploadedCode", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": [KMS_KEY]},
    ]


def test_uploaded_code_has_nothing_of_a_connection() -> None:
    assert from_bucket().graph.of("Connection") == []
    assert from_bucket().registered == {}


def test_the_user_is_told_what_the_owner_of_the_bucket_has_to_do() -> None:
    """Nothing says why an upload starts nothing: the bucket sends no event, and no log is written."""
    versions, elsewhere, events, first = from_bucket().notes
    assert versions == (
        "Have shop-uploads keep the versions of its objects, without which no run gets past its source: aws s3api "
        "put-bucket-versioning --bucket shop-uploads --versioning-configuration Status=Enabled --region eu-west-1"
    )
    assert elsewhere == (
        "See what shop-uploads sends elsewhere, because the next command replaces all of it: aws s3api "
        "get-bucket-notification-configuration --bucket shop-uploads --region eu-west-1"
    )
    assert events == (
        "Have shop-uploads send its events to EventBridge, without which an upload starts nothing. If the command "
        "before has printed something, put EventBridgeConfiguration into that instead: aws s3api "
        "put-bucket-notification-configuration --bucket shop-uploads --notification-configuration "
        "'EventBridgeConfiguration={}' --region eu-west-1"
    )
    assert first == (
        "The first run, which starts by itself, fails while shop-uploads has no builds/shop.zip. Each upload of it "
        "starts a run; to start one of the newest by hand: aws codepipeline start-pipeline-execution --name shop-dev "
        "--region eu-west-1"
    )


def test_the_builds_of_uploaded_code_know_its_version_and_nothing_else_of_it() -> None:
    built = build_stage(BuildStage, shop(source={"s3": UPLOADED}, build={"smokeTest": {"enabled": True}}))
    images = [action for action in built.actions if action.name.startswith("Build")]
    assert [dict(action.environment) for action in images] == [{"OBJECT_VERSION": "#{Source.VersionId}"}] * 2
    assert built.variables("build-image")["SOURCE_URL"] == "s3://shop-uploads/builds/shop.zip"


def test_uploaded_code_can_stand_on_a_base_image() -> None:
    built = build_stage(SourceStage, shop(source={"s3": UPLOADED, "ecr": IMAGE}))
    assert [action.name for action in built.actions] == ["Source", "SourceImage"]
    assert built.grants == [*FETCH, FIND_IMAGE]


# Image


def test_a_pushed_image_starts_the_pipeline() -> None:
    assert from_image().actions == (PUSH,)


def test_an_image_source_reads_one_repository() -> None:
    assert from_image().grants == [FIND_IMAGE]


def test_an_image_source_has_nothing_of_github() -> None:
    assert from_image().graph.of("Connection") == []
    assert from_image().registered == {}


def test_the_user_is_told_that_the_first_run_needs_an_image() -> None:
    note = (
        "The first run, which starts by itself, fails while no image in shop-prod has the tag promoted. Each push of "
        "that tag starts a run; to start one by hand: "
        "aws codepipeline start-pipeline-execution --name shop-dev --region eu-west-1"
    )
    assert from_image().notes == [note]
    assert from_both().notes == [available(CONNECTION), PUSHED, note]


@pytest.mark.parametrize(
    ("ecr", "trigger", "words"),
    [
        pytest.param(
            {"tagPattern": "v*"},
            ImagePushTrigger(repository="shop-prod", tag="v*"),
            "Each push of a tag that matches v* starts a run",
            id="a pattern of tags",
        ),
        pytest.param(
            {"arrivesBy": "replication"},
            ImagePushTrigger(repository="shop-prod", tag="promoted", arrives_by="replication"),
            "Each replication of that tag, by a rule of the registry that the image comes from, starts a run",
            id="of another account or region",
        ),
        pytest.param(
            {"arrivesBy": "pullThroughCache"},
            ImagePushTrigger(repository="shop-prod", tag="promoted", arrives_by="pullThroughCache"),
            "Each pull through the cache that brings a new image of that tag starts a run",
            id="of another registry",
        ),
    ],
)
def test_an_image_starts_the_pipeline_as_the_stack_file_says(
    ecr: dict[str, object], trigger: ImagePushTrigger, words: str
) -> None:
    """A run that a person starts takes the image of the one tag, which is all that the source action can name."""
    built = build_stage(SourceStage, shop(source={"ecr": {**IMAGE, **ecr}}))
    (action,) = built.actions
    assert action.trigger == trigger
    assert action.configuration == PUSH.configuration
    assert words in built.notes[0]


def test_code_and_image_are_two_actions_of_one_stage() -> None:
    assert from_both().actions == (COMMIT, PUSH)
    assert from_both().grants == [*USE_CONNECTION, FIND_IMAGE]


def test_a_watched_repository_of_this_stack_is_granted_by_its_arn() -> None:
    built = build_stage(SourceStage, shop(source={"ecr": {**IMAGE, "create": True}}))
    assert built.grants == [FIND_IMAGE]
    made = built.graph.one("aws:ecr/repository:Repository")
    assert made.outputs["arn"] == arn("ecr", "repository/shop-prod")


def test_every_pipeline_has_a_source() -> None:
    settings = shop()
    assert args_of(SourceStage, settings) is settings.source
    assert (from_code().name, SourceStage.slug()) == ("Source", "source")
