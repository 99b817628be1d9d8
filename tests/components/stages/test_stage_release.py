"""Release: a version label on the deployed image first, a GitHub release of it then."""

from __future__ import annotations

import json
from functools import cache

import pytest
from samples import CONNECTION, REGISTRY, BuiltStage, arn, build_stage, image_repository, shop, start_statement

from components.pipeline.model import Action, Artifact, Category, Provider, Variable
from components.stages.release import ReleaseStage, ReleaseStageArgs
from components.stages.wanted import args_of

SECRET_ARN = arn("secretsmanager", "secret:shop/github-AbCdEf")
PUSHED = {"ecr": {"repository": "shop-prod", "tag": "promoted"}}
DIGEST = {"IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}"}
PRERELEASE = Variable(
    name="PRERELEASE",
    default="false",
    description="true marks the GitHub release of this run as a pre-release.",
)
TAG = Action(
    name="TagImage",
    category=Category.BUILD,
    provider=Provider.CODEBUILD,
    machine="ARM Lambda/1GB",
    configuration={"ProjectName": "shop-dev-tag-image"},
    environment=DIGEST,
    reads=(Artifact.DEPLOYMENT,),
    namespace="TagImage",
    exports=("VERSION_TAG",),
)
PUBLISH = Action(
    name="CreateGitHubRelease",
    category=Category.BUILD,
    provider=Provider.CODEBUILD,
    machine="ARM Lambda/1GB",
    configuration={"ProjectName": "shop-dev-create-github-release"},
    environment={**DIGEST, "PRERELEASE": "#{variables.PRERELEASE}"},
    reads=(Artifact.DEPLOYMENT,),
    run_order=2,
    namespace="CreateGitHubRelease",
    exports=("RELEASE_URL",),
    variables=(PRERELEASE,),
)


def release(source: object = None, *, tag_prefix: str = "v", **github: object) -> BuiltStage:
    sections = {"source": source} if source else {}
    section = {"enabled": True, "tagPrefix": tag_prefix, "github": {"tokenSecret": "shop/github", **github}}
    return build_stage(ReleaseStage, shop(release=section, **sections))


@cache
def plain() -> BuiltStage:
    return release()


def secrets(built: BuiltStage) -> list[dict[str, str]]:
    variables = built.project("create-github-release").inputs["environment"]["environmentVariables"]
    return [item for item in variables if item["type"] != "PLAINTEXT"]


def test_the_image_is_labelled_before_the_release_is_published() -> None:
    """Published first, a release could name an image that nobody can find by its version."""
    assert plain().actions == (TAG, PUBLISH)
    assert plain().grants == [start_statement("tag-image"), start_statement("create-github-release")]


def test_what_is_delivered_with_the_image_is_labelled_with_it() -> None:
    section = {"enabled": True, "github": {"tokenSecret": "shop/github", "repository": "example/shop"}}
    application = {"name": "shop", "containers": {"nginx": {"image": "build/nginx"}}}
    built = build_stage(
        ReleaseStage,
        shop(release=section, application=application, source=PUSHED, hosting={"loadBalancer": {"plainHttp": True}}),
    )
    assert built.actions[0].environment == {**DIGEST, "FURTHER_DIGESTS": "#{PrepareDeployment.FURTHER_DIGESTS}"}
    assert built.variables("tag-image") == {
        "TAG_PREFIX": "v",
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-prod",
        "FURTHER_IMAGES": json.dumps({"nginx": f"{REGISTRY}/shop-prod-nginx"}),
    }
    (label, *_) = built.statements("tag-image")
    assert label["Resource"] == [image_repository("shop-prod"), image_repository("shop-prod-nginx")]


def test_labelling_is_told_the_prefix_and_may_add_a_tag() -> None:
    """A label is the same manifest put again under another tag; no layer is pulled or pushed."""
    assert plain().variables("tag-image") == {"IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev", "TAG_PREFIX": "v"}
    assert plain().statements("tag-image") == [
        {
            "Sid": "LabelImage",
            "Effect": "Allow",
            "Action": ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:PutImage"],
            "Resource": [image_repository("shop-dev")],
        }
    ]


def test_a_watched_image_is_labelled_where_it_lies() -> None:
    built = release(PUSHED, repository="example/shop")
    assert built.statements("tag-image")[0]["Resource"] == [image_repository("shop-prod")]


def test_publishing_gets_the_token_by_reference_only() -> None:
    built = plain()
    assert built.variables("create-github-release") == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "GITHUB_REPOSITORY": "example/shop",
        "TAG_PREFIX": "v",
        "GITHUB_TOKEN": "shop/github",
    }
    assert secrets(built) == [{"name": "GITHUB_TOKEN", "value": "shop/github", "type": "SECRETS_MANAGER"}]


def test_a_token_inside_json_is_named_by_its_key() -> None:
    built = release(secretKey="token")
    assert secrets(built) == [{"name": "GITHUB_TOKEN", "value": "shop/github:token", "type": "SECRETS_MANAGER"}]


def test_a_secret_given_by_name_has_six_more_characters_in_its_arn() -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_iam-permissions.html."""
    assert plain().statements("create-github-release") == [
        {
            "Sid": "ReadGitHubToken",
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue"],
            "Resource": [arn("secretsmanager", "secret:shop/github-??????")],
        }
    ]


def test_a_secret_given_by_arn_is_granted_as_it_is() -> None:
    built = release(tokenSecret=SECRET_ARN)
    assert built.statements("create-github-release")[0]["Resource"] == [SECRET_ARN]
    assert secrets(built)[0]["value"] == SECRET_ARN


def test_the_release_may_be_made_elsewhere_with_another_prefix() -> None:
    built = release(tag_prefix="release-", repository="example/releases")
    assert built.variables("create-github-release")["GITHUB_REPOSITORY"] == "example/releases"
    assert built.variables("create-github-release")["TAG_PREFIX"] == "release-"
    assert built.variables("tag-image")["TAG_PREFIX"] == "release-"


@pytest.mark.parametrize(("prerelease", "default"), [(False, "false"), (True, "true")])
def test_a_run_may_be_a_pre_release(*, prerelease: bool, default: str) -> None:
    (variable,) = release(prerelease=prerelease).actions[1].variables
    assert variable.default == default


KEEP = "Keep a fine-grained token for example/shop (Contents and Workflows: read and write) in Secrets Manager: "
BY_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop/github-AbCdEf"


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        pytest.param(
            {},
            "write the token into the file token.txt, and delete the file after: aws secretsmanager create-secret "
            "--name shop/github --secret-string file://token.txt --region eu-west-1",
            id="a secret by its name",
        ),
        pytest.param(
            {"tokenSecret": BY_ARN},
            "write the token into the file token.txt, and delete the file after: aws secretsmanager put-secret-value "
            f"--secret-id {BY_ARN} --secret-string file://token.txt --region eu-central-1",
            id="a secret by its ARN exists",
        ),
        pytest.param(
            {"secretKey": "token"},
            "write the token, as JSON under the key token, into the file token.txt, and delete the file after: "
            "aws secretsmanager create-secret --name shop/github --secret-string file://token.txt --region eu-west-1",
            id="in JSON",
        ),
    ],
)
def test_the_user_is_told_which_token_to_keep_where(changes: dict[str, str], note: str) -> None:
    assert release(**changes).notes == [f"{KEEP}{note}"]


def test_neither_job_needs_docker() -> None:
    for job in ("tag-image", "create-github-release"):
        assert plain().machine(job)[0] == "ARM_LAMBDA_CONTAINER"


def test_the_toggle_decides() -> None:
    assert args_of(ReleaseStage, shop()) is None
    assert args_of(ReleaseStage, shop(release={"enabled": False, "github": {"tokenSecret": "shop/github"}})) is None


def test_the_repository_is_the_codes_own_unless_another_is_named() -> None:
    settings = shop(release={"enabled": True, "github": {"tokenSecret": "shop/github"}})
    assert settings.release.github is not None
    assert args_of(ReleaseStage, settings) == ReleaseStageArgs(
        tag_prefix="v", github=settings.release.github, repository="example/shop", server_url=None
    )


SERVER = {"url": "https://git.example.com/", "connectionArn": CONNECTION}


@pytest.mark.parametrize(
    ("source", "release"),
    [
        pytest.param({"github": {"repository": "example/shop", **SERVER}}, {}, id="the code's"),
        pytest.param(
            {"ecr": {"repository": "shop-prod"}},
            {"repository": "example/shop", "url": "https://git.example.com"},
            id="named for an image that was promoted",
        ),
    ],
)
def test_a_release_on_github_enterprise_server_is_made_by_its_api(
    source: dict[str, object], release: dict[str, object]
) -> None:
    """https://docs.github.com/en/enterprise-server@3.16/rest/using-the-rest-api/getting-started-with-the-rest-api."""
    built = build_stage(
        ReleaseStage,
        shop(source=source, release={"enabled": True, "github": {"tokenSecret": "shop/github", **release}}),
    )
    variables = built.variables("create-github-release")
    assert variables["GITHUB_API_URL"] == "https://git.example.com/api/v3"
    assert variables["GITHUB_REPOSITORY"] == "example/shop"


def test_code_elsewhere_is_released_in_the_repository_on_github_that_is_named() -> None:
    source = {
        "gitlab": {"repository": "example/shops/shop", "url": "https://git.example.com", "connectionArn": CONNECTION}
    }
    release = {"enabled": True, "github": {"tokenSecret": "shop/github", "repository": "example/mirror"}}
    variables = build_stage(ReleaseStage, shop(source=source, release=release)).variables("create-github-release")
    assert variables["GITHUB_REPOSITORY"] == "example/mirror"
    assert "GITHUB_API_URL" not in variables


def test_the_stage_offers_what_it_runs() -> None:
    assert plain().name == "Release"
    assert plain().registered == {"actions": ["TagImage", "CreateGitHubRelease"]}
    assert plain().jobs == ["create-github-release", "tag-image"]
