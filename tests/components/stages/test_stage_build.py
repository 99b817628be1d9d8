"""Build: an image from a commit, or the record of a pushed one; the smoke test beside it; then what is deployed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import yaml
from samples import (
    BUCKET,
    CONNECTION,
    GITHUB,
    LOGIN,
    REGISTRY,
    TAGS,
    TEMPLATE,
    USES_CONNECTION,
    BuiltStage,
    arn,
    build_stage,
    image_repository,
    pull_statement,
    push_statement,
    shop,
    start_statement,
)

from components.engines import ENGINES, Placement
from components.engines.target import TakeOver
from components.hosting.task_definition_template import KEY as TEMPLATE_KEY
from components.jobs.buildspec import jobs_of, load_buildspec
from components.pipeline.model import (
    FURTHER_IMAGES,
    Action,
    Artifact,
    Category,
    ExecutionMode,
    GitTrigger,
    PipelineModel,
    Provider,
    StageModel,
    environment_variables,
    validate,
)
from components.settings import Settings
from components.settings.names import IMAGE_NAME_CHARACTERS
from components.settings.rules import REPOSITORY_CHARACTERS
from components.settings.sections.containers import MOST_CONTAINERS
from components.stages.build import BuildStage, BuildStageArgs
from components.stages.verification import VerificationArgs
from components.stages.wanted import args_of
from local.aws_models import service_model

COMMIT = {
    "COMMIT_ID": "#{Source.CommitId}",
    "COMMIT_DATE": "#{Source.AuthorDate}",
    "BRANCH": "#{Source.BranchName}",
}
IMAGE_EXPORTS = ("IMAGE_DIGEST", "IMAGE_URI", "IMAGE_VERSION")
DEPLOYMENT_EXPORTS = ("DEPLOYED_COMMIT", "DEPLOYED_VERSION", "FURTHER_DIGESTS")
BUILD_IMAGE = Action(
    name="BuildImage",
    category=Category.BUILD,
    provider=Provider.CODEBUILD,
    machine="ARM/Small",
    configuration={"ProjectName": "shop-dev-build-image"},
    environment=COMMIT,
    reads=(Artifact.SOURCE,),
    writes=(Artifact.IMAGE, Artifact.DEPLOYMENT),
    namespace="BuildImage",
    exports=(*DEPLOYMENT_EXPORTS, *IMAGE_EXPORTS),
)
BUILD_IMAGE_ALONE = replace(BUILD_IMAGE, writes=(Artifact.IMAGE,), exports=IMAGE_EXPORTS)
BUILD_SMOKE_TEST = Action(
    name="BuildSmokeTestImage",
    category=Category.BUILD,
    provider=Provider.CODEBUILD,
    machine="ARM/Medium",
    configuration={"ProjectName": "shop-dev-build-smoke-test-image"},
    environment=COMMIT,
    reads=(Artifact.SOURCE,),
    writes=(Artifact.SMOKE_TEST_IMAGE,),
    run_order=1,
    namespace="BuildSmokeTestImage",
    exports=IMAGE_EXPORTS,
)
PREPARE = Action(
    name="PrepareDeployment",
    category=Category.BUILD,
    provider=Provider.CODEBUILD,
    machine="ARM Lambda/1GB",
    configuration={"ProjectName": "shop-dev-prepare-deployment"},
    environment={"IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}"},
    reads=(Artifact.IMAGE,),
    writes=(Artifact.DEPLOYMENT,),
    run_order=2,
    namespace="PrepareDeployment",
    exports=DEPLOYMENT_EXPORTS,
)
VERIFY = Action(
    name="VerifyImage",
    category=Category.BUILD,
    provider=Provider.CODEBUILD,
    machine="ARM Lambda/1GB",
    configuration={"ProjectName": "shop-dev-verify-image"},
    environment={"IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}"},
    reads=(Artifact.IMAGE,),
    run_order=2,
)
CODE = Action(
    name="Source",
    category=Category.SOURCE,
    provider=Provider.CONNECTION,
    configuration={"ConnectionArn": CONNECTION, "FullRepositoryId": "example/shop", "BranchName": "main"},
    writes=(Artifact.SOURCE,),
    namespace="Source",
    trigger=GitTrigger(branch="main"),
)
READ_TEMPLATE = {
    "Sid": "ReadTaskDefinitionTemplate",
    "Effect": "Allow",
    "Action": ["s3:GetObject"],
    "Resource": [f"arn:aws:s3:::{BUCKET}/{TEMPLATE_KEY}"],
}
THE_DEPLOYMENT = {
    "TASK_DEFINITION_TEMPLATE": TEMPLATE,
    "CONTAINER_NAME": "shop",
    "CONTAINER_PORT": "8080",
    "APPSPEC": "",
    "IMAGE_ONLY": "false",
    "CLUSTER": "shop-cluster",
    "SERVICE": "shop-service",
    "RELEASED": "false",
    "TAG_PREFIX": "",
    "EXISTING": "false",
}
"""What the job is told that prepares it."""
SMOKE_TEST = {"smokeTest": {"enabled": True}}
PUSHED = {"ecr": {"repository": "shop-prod", "tag": "promoted"}}
ON_BASE = {"github": GITHUB, "ecr": {"repository": "base", "tag": "stable"}}


TOOLS = "shop-dev-build-tools"
PUSH_APP, PUSH_SMOKE_TEST = push_statement("shop-dev", TOOLS), push_statement("shop-dev-smoke-test", TOOLS)


@cache
def from_code() -> BuiltStage:
    return build_stage(BuildStage, shop())


@cache
def classic() -> BuiltStage:
    """Where the deployment is prepared by an action of its own."""
    return build_stage(BuildStage, shop(deploy={"engine": "ecsAction"}))


@cache
def with_smoke_test() -> BuiltStage:
    return build_stage(BuildStage, shop(build=SMOKE_TEST))


@cache
def from_image() -> BuiltStage:
    return build_stage(BuildStage, shop(source=PUSHED))


@cache
def on_base_image() -> BuiltStage:
    return build_stage(BuildStage, shop(source=ON_BASE, build=SMOKE_TEST))


@cache
def by_way_of_a_cache() -> BuiltStage:
    return build_stage(BuildStage, shop(build={**SMOKE_TEST, "dockerHubCache": "docker-hub"}))


# From code


def test_code_becomes_an_image_and_then_a_deployment() -> None:
    """In one build: the time that another machine takes to start is a part of every delivery."""
    assert from_code().actions == (BUILD_IMAGE,)
    assert from_code().grants == [start_statement("build-image")]
    assert from_code().jobs == ["build-image"]
    text = from_code().project("build-image").inputs["source"]["buildspec"]
    assert jobs_of(text) == ("build-image", "prepare-deployment")
    assert yaml.safe_load(text)["artifacts"] == {
        "secondary-artifacts": {
            "Image": {"files": ["image.json"]},
            "Deployment": {"files": list(load_buildspec("prepare-deployment").artifact_files)},
        }
    }


@pytest.mark.parametrize("source", [{"github": GITHUB}, PUSHED], ids=["code", "image"])
@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        pytest.param({"deploy": {"engine": "ecsAction"}}, {}, id="the action of ECS"),
        pytest.param({}, {"take_over": TakeOver(file=None, agreed=False)}, id="a service that exists"),
        pytest.param(
            {
                "application": {"name": "shop", "containers": {"nginx": {"image": "build/nginx"}}},
                "hosting": {"loadBalancer": {"plainHttp": True}},
            },
            {},
            id="images beside the application's",
        ),
    ],
)
def test_an_action_of_its_own_prepares_what_the_build_of_the_image_cannot_know(
    source: dict[str, Any], settings: dict[str, Any], arguments: dict[str, Any]
) -> None:
    images = {} if "ecr" in source else {"build": {"images": {"nginx": {"dockerfile": "nginx/Dockerfile"}}}}
    further = images if "application" in settings else {}
    built = build_stage(BuildStage, shop(source=source, **settings, **further), **arguments)
    image, prepare = (next(one for one in built.actions if one.name == name) for name in ("BuildImage", PREPARE.name))
    assert (image.writes, prepare.reads, prepare.writes) == (
        (Artifact.IMAGE,),
        (Artifact.IMAGE,),
        (Artifact.DEPLOYMENT,),
    )
    assert image.run_order < prepare.run_order
    first = "build-image" if "github" in source else "record-image"
    text = built.project(first).inputs["source"]["buildspec"]
    assert jobs_of(text) == (first,)
    assert not {*THE_DEPLOYMENT} & {*built.variables(first)}
    assert "ReadTaskDefinitionTemplate" not in str(built.statements(first))


def test_builds_keep_copies_of_their_tools_where_they_may_push() -> None:
    """One repository for all of them, and nothing more than the image's own has."""
    assert from_code().variables("build-image")["BUILD_TOOLS_REPOSITORY_URI"] == f"{REGISTRY}/shop-dev-build-tools"
    (push,) = [statement for statement in from_code().statements("build-image") if statement["Sid"] == "PushImage"]
    assert push["Resource"] == [arn("ecr", "repository/shop-dev"), arn("ecr", "repository/shop-dev-build-tools")]


def test_with_a_cache_of_docker_hub_there_is_no_repository_of_tools() -> None:
    assert "BUILD_TOOLS_REPOSITORY_URI" not in by_way_of_a_cache().variables("build-image")
    assert "build-tools" not in str(by_way_of_a_cache().statements("build-image"))


@pytest.mark.parametrize(("build", "compression"), [({}, "gzip"), ({"compression": "zstd"}, "zstd")])
def test_all_images_are_compressed_alike(build: dict[str, object], compression: str) -> None:
    stage = build_stage(BuildStage, shop(build={**SMOKE_TEST, **build}))
    for job in ("build-image", "build-smoke-test-image"):
        assert stage.variables(job)["COMPRESSION"] == compression


@pytest.mark.parametrize("job", ["build-image", "build-smoke-test-image"])
def test_the_build_tools_come_through_a_cache_of_docker_hub_when_one_is_named(job: str) -> None:
    assert by_way_of_a_cache().variables(job)["DOCKER_HUB_CACHE_URI"] == f"{REGISTRY}/docker-hub"
    assert {
        "Sid": "PullThroughCache",
        "Effect": "Allow",
        "Action": [
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:BatchImportUpstreamImage",
            "ecr:CreateRepository",
            "ecr:GetDownloadUrlForLayer",
        ],
        "Resource": [arn("ecr", "repository/docker-hub/*")],
    } in by_way_of_a_cache().statements(job)


PRIVATE: dict[str, Any] = {
    **SMOKE_TEST,
    "secrets": {"NPM_TOKEN": "shop/build:npm", "PIP": "shop/build"},
    "baseRepositories": ["base/python", "210987654321.dkr.ecr.eu-central-1.amazonaws.com/base/nginx"],
    "registryLogins": {"docker.io": arn("secretsmanager", "secret:hub-AbCdEf")},
}


@cache
def with_secrets() -> BuiltStage:
    return build_stage(BuildStage, shop(build=PRIVATE))


@pytest.mark.parametrize(("job", "mounts"), [("build-image", True), ("build-smoke-test-image", False)])
def test_a_build_may_read_its_own_secrets_and_its_base_images(job: str, mounts: bool) -> None:
    """https://docs.aws.amazon.com/AmazonECR/latest/userguide/security_iam_id-based-policy-examples.html"""
    variables, statements = with_secrets().variables(job), with_secrets().statements(job)
    assert json.loads(variables.get("BUILD_MOUNTS", "{}")) == (PRIVATE["secrets"] if mounts else {})
    assert json.loads(variables["REGISTRY_LOGINS"]) == PRIVATE["registryLogins"]
    assert json.loads(variables["BASE_REPOSITORIES"]) == [f"{REGISTRY}/base/python", PRIVATE["baseRepositories"][1]]
    by_sid = {statement["Sid"]: statement for statement in statements}
    assert by_sid["ReadBuildSecrets"]["Action"] == ["secretsmanager:GetSecretValue"]
    own = [arn("secretsmanager", "secret:shop/build-??????")] if mounts else []
    assert by_sid["ReadBuildSecrets"]["Resource"] == [*own, arn("secretsmanager", "secret:hub-AbCdEf")]
    assert by_sid["PullBaseImages"]["Resource"] == [
        arn("ecr", "repository/base/python"),
        "arn:aws:ecr:eu-central-1:210987654321:repository/base/nginx",
    ]


def test_a_build_that_names_no_secrets_may_read_none() -> None:
    variables, statements = from_code().variables("build-image"), from_code().statements("build-image")
    assert not {"BUILD_MOUNTS", "REGISTRY_LOGINS", "BASE_REPOSITORIES"} & set(variables)
    assert not {"ReadBuildSecrets", "PullBaseImages"} & {statement["Sid"] for statement in statements}


CHECKS: dict[str, dict[str, Any]] = {
    "unit-tests": {"buildspec": "ci/unit.yml", "compute": "medium"},
    "licenses": {"buildspec": "ci/licenses.yml", "image": True, "docker": True, "timeoutMinutes": 10},
}


@cache
def with_checks() -> BuiltStage:
    return build_stage(BuildStage, shop(build={"checks": CHECKS}))


def test_a_check_is_a_build_of_the_code_beside_the_image() -> None:
    checks = {action.name: action for action in with_checks().actions if action.name.startswith("Check")}
    assert {name: (action.category, action.reads, action.writes) for name, action in checks.items()} == {
        "CheckLicenses": (Category.TEST, (Artifact.SOURCE,), ()),
        "CheckUnitTests": (Category.TEST, (Artifact.SOURCE,), ()),
    }
    assert checks["CheckLicenses"].environment == {"IMAGE_URI": "#{BuildImage.IMAGE_URI}"}
    assert (checks["CheckLicenses"].run_order, checks["CheckUnitTests"].run_order) == (2, 1), "one needs the image"
    assert [name for name in CHECKS if start_statement(f"check-{name}") not in with_checks().grants] == []


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_runs_the_applications_own_buildspec_and_may_do_nothing_of_the_delivery(name: str) -> None:
    """It reads the code, writes its log and its reports; the image, where it is asked to look at that."""
    check, with_image = CHECKS[name], "image" in CHECKS[name]
    project = with_checks().project(f"check-{name}").inputs
    assert project["source"] == {"type": "CODEPIPELINE", "buildspec": check["buildspec"]}
    assert project["environment"]["privilegedMode"] == with_image
    allowed = {action for one in with_checks().policy(f"check-{name}") for action in one["Action"]}
    pulls = {
        *("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"),
        "ecr:GetAuthorizationToken",
    }
    assert allowed - (pulls if with_image else set()) == {
        *("codebuild:BatchPutTestCases", "codebuild:CreateReport", "codebuild:CreateReportGroup"),
        *("codebuild:UpdateReport", "kms:Decrypt", "kms:DescribeKey", "logs:CreateLogStream", "logs:PutLogEvents"),
        *("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetObject", "s3:GetObjectVersion"),
    }
    by_sid = {one["Sid"]: one["Resource"] for one in with_checks().policy(f"check-{name}")}
    assert by_sid["ReadArtifacts"] == [f"arn:aws:s3:::{BUCKET}/shop-dev/Source/*"]
    assert by_sid["WriteReports"] == [arn("codebuild", f"report-group/shop-dev-check-{name}-*")]
    assert "JOBS_BUNDLE" not in with_checks().variables(f"check-{name}")


NETWORK = {
    "vpcId": "vpc-0a1b2c3d4e5f67890",
    "subnets": ["subnet-0a1b2c3d4e5f67892", "subnet-0a1b2c3d4e5f67893"],
    "securityGroups": ["sg-0a1b2c3d4e5f67890"],
}


def test_what_builds_and_checks_the_code_runs_in_the_vpc_and_the_other_jobs_do_not() -> None:
    """What AWS's example grants, for this VPC alone, whoever owns it."""
    verification = {"scan": {"enabled": True}}
    built = build_stage(
        BuildStage, shop(build={**SMOKE_TEST, "checks": CHECKS, "network": NETWORK}, verification=verification)
    )
    inside = [job for job in built.jobs if "vpcConfig" in built.project(job).inputs]
    assert inside == [job for job in built.jobs if job != "verify-image"]
    for job in inside:
        assert built.project(job).inputs["vpcConfig"] == {
            "vpcId": NETWORK["vpcId"],
            "subnets": NETWORK["subnets"],
            "securityGroupIds": NETWORK["securityGroups"],
        }
        joining = {item["Sid"]: item for item in built.statements(job) if item["Action"][0].startswith("ec2:")}
        assert set(joining) == {"FindNetwork", "MakeNetworkInterface", "AttachNetworkInterface"}
        assert joining["MakeNetworkInterface"]["Condition"] == {
            "ArnLikeIfExists": {"ec2:Vpc": "arn:aws:ec2:eu-west-1:*:vpc/vpc-0a1b2c3d4e5f67890"}
        }
        assert joining["AttachNetworkInterface"]["Resource"] == [arn("ec2", "network-interface/*")]
        assert joining["AttachNetworkInterface"]["Condition"] == {
            "StringEquals": {"ec2:AuthorizedService": "codebuild.amazonaws.com"},
            "ArnLike": {"ec2:Subnet": [f"arn:aws:ec2:eu-west-1:*:subnet/{subnet}" for subnet in NETWORK["subnets"]]},
        }
    assert "ec2" not in str(built.policy("verify-image"))


FLEET = "arn:aws:codebuild:eu-west-1:123456789012:fleet/builders:0f0f0f0f-1234-4abc-8def-0123456789ab"


def on_a_fleet(**fleet: object) -> BuiltStage:
    return build_stage(BuildStage, shop(build={**SMOKE_TEST, "checks": CHECKS, "compute": "medium", "fleet": fleet}))


@pytest.mark.parametrize(
    ("fleet", "capacity", "overflow"), [({}, 1, "QUEUE"), ({"capacity": 2, "overflow": "onDemand"}, 2, "ON_DEMAND")]
)
def test_images_are_built_on_the_fleet_and_nothing_else_is(
    fleet: dict[str, object], capacity: int, overflow: str
) -> None:
    built = on_a_fleet(**fleet)
    made = built.graph.one("Fleet")
    assert made.inputs == {
        "name": "shop-dev-fleet",
        "baseCapacity": capacity,
        "computeType": "BUILD_GENERAL1_MEDIUM",
        "environmentType": "ARM_CONTAINER",
        "overflowBehavior": overflow,
        "tags": TAGS,
    }
    inside = {job for job in built.jobs if "fleet" in built.project(job).inputs["environment"]}
    assert inside == {"build-image", "build-smoke-test-image"}
    for job in inside:
        assert built.project(job).inputs["environment"]["fleet"] == {"fleetArn": made.outputs["arn"]}
        assert built.project(job).inputs["environment"]["privilegedMode"] is True
    assert {job for job in built.jobs if "cache" in built.project(job).inputs} == inside


def test_a_fleet_changes_neither_what_builds_may_do_nor_when_they_run() -> None:
    built = build_stage(BuildStage, shop(build={**SMOKE_TEST, "fleet": {}}))
    assert built.actions == with_smoke_test().actions
    assert built.grants == with_smoke_test().grants
    for job in ("build-image", "build-smoke-test-image"):
        assert built.statements(job) == with_smoke_test().statements(job)
        assert built.variables(job) == with_smoke_test().variables(job)
    assert with_smoke_test().graph.of("Fleet") == []


def test_a_fleet_that_exists_is_used_and_none_is_made() -> None:
    built = on_a_fleet(arn=FLEET)
    assert built.graph.of("Fleet") == []
    assert built.project("build-image").inputs["environment"]["fleet"] == {"fleetArn": FLEET}


@pytest.mark.parametrize("kept", [True, False])
def test_layers_are_kept_on_the_fleet_where_they_are_kept_at_all(kept: bool) -> None:
    """AWS recommends it: https://docs.aws.amazon.com/codebuild/latest/userguide/fleets.html#fleets.best-practices"""
    built = build_stage(BuildStage, shop(build={"fleet": {}, "cache": kept}))
    expected = {"type": "LOCAL", "modes": ["LOCAL_DOCKER_LAYER_CACHE"]} if kept else None
    assert built.project("build-image").inputs.get("cache") == expected


def test_the_image_job_is_told_everything_by_variables() -> None:
    assert from_code().variables("build-image") == {
        **THE_DEPLOYMENT,
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "DOCKERFILE": "Dockerfile",
        "BUILD_CONTEXT": ".",
        "BUILD_TARGET": "",
        "BUILD_ARGS": "{}",
        "PLATFORM": "linux/arm64",
        "CACHE": "true",
        "COMPRESSION": "gzip",
        "BUILD_TOOLS_REPOSITORY_URI": f"{REGISTRY}/shop-dev-build-tools",
        "VERSION_FROM": "commit",
        "VERSION_PATH": "VERSION",
        "SOURCE_URL": "https://github.com/example/shop",
        "BUILDER_ID": arn("codebuild", "project/shop-dev-build-image"),
    }


def test_what_the_stack_file_says_of_the_build_reaches_the_job() -> None:
    built = build_stage(
        BuildStage,
        shop(
            application={"name": "shop", "architecture": "x86_64"},
            build={
                "dockerfile": "docker/Dockerfile",
                "context": "app",
                "target": "runtime",
                "args": {"NODE_VERSION": "22", "BASE": "slim"},
                "compute": "large",
                "cache": False,
                "timeoutMinutes": 45,
                "version": {"from": "file", "path": "app/VERSION"},
            },
        ),
    )
    assert built.variables("build-image") == {
        **THE_DEPLOYMENT,
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "DOCKERFILE": "docker/Dockerfile",
        "BUILD_CONTEXT": "app",
        "BUILD_TARGET": "runtime",
        "BUILD_ARGS": json.dumps({"BASE": "slim", "NODE_VERSION": "22"}),
        "PLATFORM": "linux/amd64",
        "CACHE": "false",
        "COMPRESSION": "gzip",
        "BUILD_TOOLS_REPOSITORY_URI": f"{REGISTRY}/shop-dev-build-tools",
        "VERSION_FROM": "file",
        "VERSION_PATH": "app/VERSION",
        "SOURCE_URL": "https://github.com/example/shop",
        "BUILDER_ID": arn("codebuild", "project/shop-dev-build-image"),
    }
    assert built.machine("build-image") == (
        "LINUX_CONTAINER",
        "aws/codebuild/amazonlinux-x86_64-standard:6.0",
        "BUILD_GENERAL1_LARGE",
    )
    assert built.project("build-image").inputs["buildTimeout"] == 45


def test_an_image_is_built_on_the_applications_own_architecture() -> None:
    assert from_code().machine("build-image") == (
        "ARM_CONTAINER",
        "aws/codebuild/amazonlinux-aarch64-standard:4.0",
        "BUILD_GENERAL1_SMALL",
    )


def test_the_image_job_may_push_into_its_repository_and_that_of_the_tools_alone() -> None:
    assert from_code().statements("build-image") == [PUSH_APP, LOGIN, READ_TEMPLATE]
    assert classic().statements("build-image") == [PUSH_APP, LOGIN]


@pytest.mark.parametrize("job", ["build-image", "build-smoke-test-image"])
def test_with_a_full_clone_each_image_job_may_clone_and_nothing_else_changes(job: str) -> None:
    github = {**GITHUB, "fullClone": True, "submodules": ["example/fonts"]}
    cloned = build_stage(BuildStage, shop(source={"github": github}, build=SMOKE_TEST))
    assert cloned.actions == with_smoke_test().actions
    assert cloned.grants == with_smoke_test().grants
    assert cloned.variables(job) == {
        **with_smoke_test().variables(job),
        "CONNECTION_ARN": CONNECTION,
        "CLONED_REPOSITORIES": '["example/shop", "example/fonts"]',
        "CLONED_FROM": "https://github.com",
    }
    before, added = with_smoke_test().statements(job), cloned.statements(job)[-2:]
    assert cloned.statements(job) == [*before, *added]
    assert [item["Sid"] for item in added] == USES_CONNECTION
    buildspecs = [built.project(job).inputs["source"]["buildspec"] for built in (cloned, with_smoke_test())]
    assert ["git-credential-helper: yes" in text for text in buildspecs] == [True, False]


def test_no_job_that_does_not_read_the_code_may_use_the_connection() -> None:
    github = {**GITHUB, "fullClone": True}
    cloned = build_stage(BuildStage, shop(source={"github": github}, deploy={"engine": "ecsAction"}))
    assert cloned.statements("prepare-deployment") == classic().statements("prepare-deployment")


# The smoke test beside it


def test_the_smoke_test_is_built_from_the_same_commit_beside_the_app_image() -> None:
    """A new account runs one build at a time on a machine type, so that theirs differ."""
    assert with_smoke_test().actions == (BUILD_IMAGE, BUILD_SMOKE_TEST)
    assert BUILD_IMAGE.run_order == BUILD_SMOKE_TEST.run_order
    assert with_smoke_test().grants == [start_statement("build-image"), start_statement("build-smoke-test-image")]


@pytest.mark.parametrize("compute", ["small", "medium", "large", "xlarge"])
def test_both_images_are_built_at_the_same_time_whatever_the_machine(compute: str) -> None:
    built = build_stage(BuildStage, shop(build={**SMOKE_TEST, "compute": compute}))
    first, second = built.actions
    assert first.run_order == second.run_order
    assert (first.name, second.name) == ("BuildImage", "BuildSmokeTestImage")
    assert first.machine != second.machine


def test_the_deployment_is_prepared_after_the_images_where_there_are_no_lambda_machines() -> None:
    """It takes the machine type that builds the application's image."""
    built = build_stage(BuildStage, shop(build=SMOKE_TEST, deploy={"engine": "ecsAction"}), region=None)
    assert [(action.run_order, action.machine) for action in built.actions] == [
        (1, "ARM/Small"),
        (1, "ARM/Medium"),
        (2, "ARM/Small"),
    ]


def test_the_smoke_test_has_its_own_dockerfile_and_repository() -> None:
    """Target and build arguments are the application's; its own Dockerfile need not know them."""
    assert with_smoke_test().variables("build-smoke-test-image") == {
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev-smoke-test",
        "DOCKERFILE": "smoke/Dockerfile",
        "BUILD_CONTEXT": ".",
        "PLATFORM": "linux/arm64",
        "CACHE": "true",
        "COMPRESSION": "gzip",
        "BUILD_TOOLS_REPOSITORY_URI": f"{REGISTRY}/shop-dev-build-tools",
        "VERSION_FROM": "commit",
        "VERSION_PATH": "VERSION",
        "SOURCE_URL": "https://github.com/example/shop",
        "BUILDER_ID": arn("codebuild", "project/shop-dev-build-smoke-test-image"),
    }
    assert with_smoke_test().statements("build-smoke-test-image") == [
        PUSH_SMOKE_TEST,
        LOGIN,
    ]


def test_both_images_are_built_by_the_same_job() -> None:
    sources = [
        with_smoke_test().project(job).inputs["source"]["buildspec"]
        for job in ("build-image", "build-smoke-test-image")
    ]
    assert list(map(jobs_of, sources)) == [("build-image", "prepare-deployment"), ("build-image",)]


def test_the_smoke_test_can_be_built_elsewhere_in_the_repository() -> None:
    smoke = {"enabled": True, "dockerfile": "checks/Dockerfile", "context": "checks"}
    variables = build_stage(BuildStage, shop(build={"smokeTest": smoke})).variables("build-smoke-test-image")
    assert (variables["DOCKERFILE"], variables["BUILD_CONTEXT"]) == ("checks/Dockerfile", "checks")


def test_without_smoke_test_nothing_of_it_is_there() -> None:
    assert [action.name for action in from_code().actions] == ["BuildImage"]
    assert [item.name for item in from_code().graph if "smoke" in item.name] == []


# Further images, delivered with the application's


MADE = {"loadBalancer": {"plainHttp": True}}
NGINX = {"image": "build/nginx", "port": 80}
LOG_ROUTER = {"image": "build/log-router"}
IMAGES = {
    "nginx": {"dockerfile": "nginx/Dockerfile", "context": "nginx", "target": "proxy", "args": {"NGINX": "1.27"}},
    "log-router": {"dockerfile": "router/Dockerfile"},
}
WITH_IMAGES: dict[str, Any] = {"name": "shop", "containers": {"nginx": NGINX, "router": LOG_ROUTER}}
BUILT_DIGESTS = "log-router=#{BuildLogRouterImage.IMAGE_DIGEST} nginx=#{BuildNginxImage.IMAGE_DIGEST}"


@cache
def with_images() -> BuiltStage:
    build = {
        **SMOKE_TEST,
        "images": IMAGES,
        "args": {"NODE": "22"},
        "secrets": {"NPM_TOKEN": "shop/npm"},
        "registryLogins": {"docker.io": "shop/docker-hub"},
        "baseRepositories": ["base/python"],
        "dockerHubCache": "docker-hub",
        "version": {"from": "file"},
        "cache": False,
    }
    return build_stage(
        BuildStage,
        shop(source=ON_BASE, application=WITH_IMAGES, build=build, pipeline={"parallelJobs": True}, hosting=MADE),
    )


def test_further_images_are_built_beside_the_applications_and_then_deployed_together() -> None:
    actions = {action.name: action for action in with_images().actions}
    assert [(action.run_order, name) for name, action in actions.items()] == [
        (1, "BuildImage"),
        (1, "BuildLogRouterImage"),
        (1, "BuildNginxImage"),
        (1, "BuildSmokeTestImage"),
        (2, "PrepareDeployment"),
    ]
    assert actions["BuildNginxImage"] == replace(
        BUILD_IMAGE_ALONE,
        name="BuildNginxImage",
        namespace="BuildNginxImage",
        configuration={"ProjectName": "shop-dev-build-nginx-image"},
        environment={**COMMIT, "BASE_IMAGE_DIGEST": "#{SourceImage.ImageDigest}"},
        writes=(Artifact.FURTHER_IMAGE_2,),
    )
    assert actions["PrepareDeployment"].environment == {**PREPARE.environment, "FURTHER_DIGESTS": BUILT_DIGESTS}
    assert actions["PrepareDeployment"].reads == (Artifact.IMAGE,)
    assert start_statement("build-log-router-image") in with_images().grants


def test_a_new_account_builds_them_one_after_the_other() -> None:
    built = build_stage(BuildStage, shop(application=WITH_IMAGES, build={"images": IMAGES}, hosting=MADE))
    assert [(action.run_order, action.name) for action in built.actions] == [
        (1, "BuildImage"),
        (2, "BuildLogRouterImage"),
        (3, "BuildNginxImage"),
        (4, "PrepareDeployment"),
    ]


def test_a_further_image_has_its_own_dockerfile_and_all_else_of_the_applications() -> None:
    own, further = with_images().variables("build-image"), with_images().variables("build-nginx-image")
    assert further == {
        **own,
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev-nginx",
        "DOCKERFILE": "nginx/Dockerfile",
        "BUILD_CONTEXT": "nginx",
        "BUILD_TARGET": "proxy",
        "BUILD_ARGS": '{"NGINX": "1.27"}',
        "BUILDER_ID": arn("codebuild", "project/shop-dev-build-nginx-image"),
    }
    assert {"BUILD_MOUNTS", "REGISTRY_LOGINS", "BASE_REPOSITORIES", "DOCKER_HUB_CACHE_URI"} < {*further}


def test_a_further_image_is_pushed_to_its_own_repository_alone() -> None:
    own, further = with_images().statements("build-image"), with_images().statements("build-nginx-image")
    assert (own[0], further[0]) == (push_statement("shop-dev"), push_statement("shop-dev-nginx"))
    assert own[1:] == further[1:]


def test_the_deployment_names_each_image_by_a_digest_that_it_may_look_up() -> None:
    uris = {name: f"{REGISTRY}/shop-dev-{name}" for name in ("log-router", "nginx")}
    assert with_images().variables("prepare-deployment")["FURTHER_IMAGES"] == json.dumps(uris)
    pull = with_images().statements("prepare-deployment")[0]
    assert pull["Resource"] == [image_repository(f"shop-dev{name}") for name in ("", "-log-router", "-nginx")]
    assert {**pull, "Resource": []} == {**pull_statement("shop-dev"), "Resource": []}


def test_of_a_pushed_image_what_belongs_to_it_is_found_and_nothing_is_built() -> None:
    built = build_stage(BuildStage, shop(source=PUSHED, application=WITH_IMAGES, hosting=MADE))
    assert built.jobs == ["prepare-deployment", "record-image", "verify-image"]
    uris = json.dumps({name: f"{REGISTRY}/shop-prod-{name}" for name in ("log-router", "nginx")})
    assert built.variables("record-image")["FURTHER_IMAGES"] == uris
    assert built.variables("prepare-deployment")["FURTHER_IMAGES"] == uris
    repositories = [image_repository(f"shop-prod{name}") for name in ("", "-log-router", "-nginx")]
    assert built.statements("record-image")[0]["Resource"] == repositories
    assert built.actions[1].environment == {
        **PREPARE.environment,
        "FURTHER_DIGESTS": "#{BuildImage.FURTHER_DIGESTS}",
    }


def test_names_of_the_longest_image_are_taken_by_aws() -> None:
    """Pulumi puts a hyphen and seven digits behind a role's name.

    https://www.pulumi.com/docs/iac/concepts/resources/names/#autonaming
    """
    longest = "n" * IMAGE_NAME_CHARACTERS
    application = {"name": "shop", "containers": {"nginx": {"image": f"build/{longest}"}}}
    build = {"images": {longest: {"dockerfile": "Dockerfile"}}}
    built = build_stage(BuildStage, shop(application=application, build=build, hosting=MADE))
    (role,) = (item.name for item in built.graph.of("aws:iam/role:Role") if longest in item.name)
    longest_name = Settings.model_json_schema()["$defs"]["ApplicationSection"]["properties"]["name"]["maxLength"]
    name = role.replace("shop", "s" * longest_name, 1)
    assert len(f"{name}-0123456") == service_model("iam").shape_for("roleNameType").metadata["max"]
    assert service_model("ecr").shape_for("RepositoryName").metadata["max"] == REPOSITORY_CHARACTERS


def test_a_task_with_as_many_images_as_it_may_have_containers_fits_into_a_pipeline() -> None:
    """As references, and as the digests that they stand for, whichever of the two CodePipeline counts."""
    names = [f"{'n' * 13}{number}" for number in range(1, MOST_CONTAINERS)]
    application = {"name": "shop", "containers": {name: {"image": f"build/{name}"} for name in names}}
    images = {name: {"dockerfile": "Dockerfile"} for name in names}
    built = build_stage(BuildStage, shop(application=application, build={"images": images}, hosting=MADE))
    prepare = built.actions[-1]
    assert prepare.name == "PrepareDeployment"
    digest = f"sha256:{'0' * 64}"
    resolved = {
        "IMAGE_DIGEST": digest,
        "FURTHER_DIGESTS": re.sub(r"#\{[^}]+\}", digest, prepare.environment["FURTHER_DIGESTS"]),
    }
    assert resolved["FURTHER_DIGESTS"].count(digest) == len(names) == len(FURTHER_IMAGES)
    assert len(environment_variables(resolved)) <= 1000
    stages = tuple(
        StageModel(name=name, actions=actions) for name, actions in (("Source", (CODE,)), ("B", built.actions))
    )
    model = PipelineModel(name="shop-dev", execution_mode=ExecutionMode.QUEUED, stages=stages)
    assert validate(model) == []
    assert len({artifact.value[:10] for artifact in Artifact}) == len(Artifact)


# From an image


def test_a_pushed_image_is_recorded_and_not_built_again() -> None:
    """What was tested is what is deployed: the digest of the push goes through unchanged."""
    assert from_image().actions == (
        Action(
            name="BuildImage",
            category=Category.BUILD,
            provider=Provider.CODEBUILD,
            machine="ARM Lambda/1GB",
            configuration={"ProjectName": "shop-dev-record-image"},
            environment={"IMAGE_DIGEST": "#{SourceImage.ImageDigest}"},
            reads=(Artifact.SOURCE_IMAGE,),
            writes=(Artifact.IMAGE, Artifact.DEPLOYMENT),
            namespace="BuildImage",
            exports=(*DEPLOYMENT_EXPORTS, *IMAGE_EXPORTS),
        ),
        VERIFY,
    )
    assert from_image().jobs == ["record-image", "verify-image"]
    text = from_image().project("record-image").inputs["source"]["buildspec"]
    assert jobs_of(text) == ("record-image", "prepare-deployment")


def test_recording_needs_no_docker_and_may_only_read() -> None:
    assert from_image().variables("record-image") == {
        **THE_DEPLOYMENT,
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-prod",
        "PLATFORM": "linux/arm64",
    }
    assert from_image().machine("record-image")[0] == "ARM_LAMBDA_CONTAINER"
    assert from_image().project("record-image").inputs["environment"]["privilegedMode"] is False
    assert from_image().statements("record-image") == [pull_statement("shop-prod"), READ_TEMPLATE]
    jobs = ("record-image", "verify-image")
    assert from_image().grants == [start_statement(job) for job in jobs]


# Both


def test_code_on_a_base_image_is_built_on_the_very_digest_that_was_pushed() -> None:
    built = on_base_image()
    assert built.actions[0].environment == {**COMMIT, "BASE_IMAGE_DIGEST": "#{SourceImage.ImageDigest}"}
    assert built.variables("build-image")["BASE_IMAGE_REPOSITORY_URI"] == f"{REGISTRY}/base"


def test_the_base_image_may_be_pulled_and_not_pushed() -> None:
    assert on_base_image().statements("build-image") == [
        PUSH_APP,
        LOGIN,
        pull_statement("base"),
        READ_TEMPLATE,
    ]


def test_the_smoke_test_does_not_stand_on_the_base_image() -> None:
    built = on_base_image()
    assert built.actions[1] == BUILD_SMOKE_TEST
    assert "BASE_IMAGE_REPOSITORY_URI" not in built.variables("build-smoke-test-image")
    assert built.statements("build-smoke-test-image") == [
        PUSH_SMOKE_TEST,
        LOGIN,
    ]


# The deployment


def test_the_deployment_is_prepared_for_the_digest_that_was_built() -> None:
    assert classic().actions == (BUILD_IMAGE_ALONE, PREPARE)
    assert classic().variables("prepare-deployment") == {
        **THE_DEPLOYMENT,
        "IMAGE_REPOSITORY_URI": f"{REGISTRY}/shop-dev",
        "IMAGE_ONLY": "true",
    }
    assert classic().machine("prepare-deployment")[0] == "ARM_LAMBDA_CONTAINER"


def test_the_appspec_says_where_the_tasks_of_a_service_made_here_run() -> None:
    """A service that exists keeps its own network and capacity provider."""
    placement = Placement(
        subnets=["subnet-1", "subnet-2"], security_group="sg-1", public_ip=False, capacity_provider="FARGATE_SPOT"
    )
    built = build_stage(BuildStage, shop(), placement=placement)
    assert json.loads(built.variables("build-image")["APPSPEC"]) == {
        "NetworkConfiguration": {
            "AwsvpcConfiguration": {
                "Subnets": ["subnet-1", "subnet-2"],
                "SecurityGroups": ["sg-1"],
                "AssignPublicIp": "DISABLED",
            }
        },
        "CapacityProviderStrategy": [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}],
    }


def test_what_will_be_released_is_checked_before_it_is_deployed() -> None:
    """A version that cannot become a tag would else be found out after the deployment."""
    released = {"enabled": True, "tagPrefix": "release-", "github": {"tokenSecret": "shop/github"}}
    variables = build_stage(BuildStage, shop(release=released)).variables("build-image")
    assert (variables["RELEASED"], variables["TAG_PREFIX"]) == ("true", "release-")


def test_container_name_and_port_are_the_applications() -> None:
    """A wrong container name in the deployment's files is found by AWS only after everything else (aws-cdk#8894)."""
    built = build_stage(BuildStage, shop(application={"name": "shop", "containerName": "web", "port": 3000}))
    variables = built.variables("build-image")
    assert (variables["CONTAINER_NAME"], variables["CONTAINER_PORT"]) == ("web", "3000")


def test_a_proxy_that_users_reach_is_named_beside_the_container_that_is_delivered() -> None:
    built = build_stage(BuildStage, shop(), reached=("nginx", 80))
    variables = built.variables("build-image")
    assert (variables["CONTAINER_NAME"], variables["CONTAINER_PORT"]) == ("shop", "80")
    assert variables["LOAD_BALANCER_CONTAINER"] == "nginx"
    assert "LOAD_BALANCER_CONTAINER" not in build_stage(BuildStage, shop()).variables("build-image")


def test_what_is_delivered_is_said_to_containers_where_the_stack_file_wants_it() -> None:
    hosting = {"loadBalancer": {"plainHttp": True}}
    for said, wanted in (({}, None), ({"deliveryVariables": True}, "dev")):
        built = build_stage(BuildStage, shop(hosting=hosting, application={"name": "shop", **said}))
        assert built.variables("build-image").get("DELIVERY_ENVIRONMENT") == wanted


@pytest.mark.parametrize("engine", ["codeDeploy", "ecs"])
def test_preparing_reads_the_template_and_what_is_known_of_the_image(engine: str) -> None:
    """A build of code may look up the image that it pushes; see the statement."""
    built = build_stage(BuildStage, shop(deploy={"engine": engine}, source=PUSHED))
    assert built.variables("record-image")["IMAGE_ONLY"] == "false"
    assert built.statements("record-image") == [pull_statement("shop-prod"), READ_TEMPLATE]
    assert "ecr:DescribeImages" in PUSH_APP["Action"]


def test_for_the_plain_ecs_action_preparing_also_compares_with_the_service() -> None:
    """That action takes over the definition in use, so an edit of environment or size must fail here or be lost."""
    assert classic().variables("prepare-deployment")["IMAGE_ONLY"] == "true"
    assert classic().statements("prepare-deployment") == [
        pull_statement("shop-dev"),
        READ_TEMPLATE,
        {
            "Sid": "ReadService",
            "Effect": "Allow",
            "Action": ["ecs:DescribeServices"],
            "Resource": [arn("ecs", "service/shop-cluster/shop-service")],
        },
        {
            "Sid": "ReadTaskDefinition",
            "Effect": "Allow",
            "Action": ["ecs:DescribeTaskDefinition"],
            "Resource": ["*"],
        },
    ]


@pytest.mark.parametrize(
    ("take_over", "file"),
    [
        pytest.param(TakeOver(file=None, agreed=False), "", id="what runs is the base"),
        pytest.param(TakeOver(file="deploy/taskdef.json", agreed=True), "deploy/taskdef.json", id="a file is the base"),
    ],
)
@pytest.mark.parametrize(("engine", "controller"), [("codeDeploy", "CODE_DEPLOY"), ("ecs", "ECS")])
def test_of_a_service_that_exists_the_job_knows_what_it_has_to_be(
    take_over: TakeOver, file: str, engine: str, controller: str
) -> None:
    """The file comes with the image: the job that prepares the deployment does not see the code."""
    application = {"name": "shop", "architecture": "x86_64"}
    built = build_stage(BuildStage, shop(deploy={"engine": engine}, application=application), take_over=take_over)
    variables = built.variables("prepare-deployment")
    assert {key: variables[key] for key in ("EXISTING", "STACK", "TASK_DEFINITION_FILE", "TAKE_OVER")} == {
        "EXISTING": "true",
        "STACK": "dev",
        "TASK_DEFINITION_FILE": file,
        "TAKE_OVER": json.dumps(take_over.agreed),
    }
    assert (variables["CONTROLLER"], variables["IMAGE_PLATFORM"]) == (controller, "linux/amd64")
    assert built.variables("build-image").get("TASK_DEFINITION_FILE", "") == file
    assert [item["Sid"] for item in built.statements("prepare-deployment")][-2:] == [
        "ReadService",
        "ReadTaskDefinition",
    ]


def test_the_task_definition_comes_with_the_application_s_image_alone() -> None:
    take_over = TakeOver(file="deploy/taskdef.json", agreed=False)
    built = build_stage(BuildStage, shop(build=SMOKE_TEST), take_over=take_over)
    assert "TASK_DEFINITION_FILE" not in built.variables("build-smoke-test-image")


# The stage


def test_every_pipeline_builds_and_the_stage_reads_only_what_it_needs() -> None:
    settings = shop()
    assert args_of(BuildStage, settings) == BuildStageArgs(
        build=settings.build,
        engine=ENGINES["codeDeploy"],
        source_url="https://github.com/example/shop",
        revision=COMMIT,
        release_tag_prefix=None,
        verification=None,
        signs_with=None,
        signed_with=None,
    )
    release = {"enabled": True, "github": {"tokenSecret": "shop/github", "repository": "example/shop"}}
    pushed = shop(source=PUSHED, release=release)
    assert args_of(BuildStage, pushed) == BuildStageArgs(
        build=pushed.build,
        engine=ENGINES["codeDeploy"],
        source_url=None,
        revision={},
        release_tag_prefix="v",
        verification=VerificationArgs(source_url="https://github.com/example/shop", pipeline="shop-dev", revision={}),
        signs_with=None,
        signed_with=None,
    )


def test_projects_are_named_after_stack_and_job_and_belong_to_the_stage() -> None:
    built = classic()
    stage = built.graph.one("ecs-delivery:stage:Build")
    projects = built.graph.of("ecs-delivery:index:BuildProject")
    assert {item.parent for item in projects} == {stage.urn}
    assert sorted(item.name for item in projects) == ["shop-build-image", "shop-prepare-deployment"]
    assert built.name == "Build"
    assert built.registered == {"projects": ["shop-dev-build-image", "shop-dev-prepare-deployment"]}
    for job in built.jobs:
        assert built.project(job).inputs["tags"] == TAGS


def test_logs_of_every_job_are_kept_as_long_as_the_stack_file_says() -> None:
    built = build_stage(BuildStage, shop(retention={"logDays": 14}))
    assert {item.inputs["retentionInDays"] for item in built.graph.of("LogGroup")} == {14}
