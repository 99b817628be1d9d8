"""The actions of a pipeline, one provider at a time: what they hand on, and what stops them."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from action_contexts import EVERYTHING, ROLE, Artifacts, all_but, context
from summary import program
from task_definitions import NEW, definition

from local.rehearsal.actions.approval import Approval
from local.rehearsal.actions.code_build import CodeBuild, lacks_for_its_network
from local.rehearsal.actions.code_deploy import CodeDeployToEcs
from local.rehearsal.actions.connection import Connection
from local.rehearsal.actions.ecr import EcrSource
from local.rehearsal.actions.s3 import S3Source
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.code_deploy import CodeDeploy
from local.rehearsal.deployed import Deployed, Project
from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.emulated import RolePolicies
from local.rehearsal.pipeline.action import ActionContext, ActionFailed

CONNECTION = "arn:aws:codeconnections:eu-west-1:123456789012:connection/11111111-2222-4333-8444-555555555555"
APP_SPEC = """
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        LoadBalancerInfo: {ContainerName: shop, ContainerPort: 8080}
"""
ON_SPOT = APP_SPEC + "        CapacityProviderStrategy: [{CapacityProvider: FARGATE_SPOT, Weight: 1}]\n"


class Deploying:
    """A service that CodeDeploy deploys, and its deployments, which go on by themselves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ecs = Ecs()
        self.ecs.owner("CreateCluster", clusterName="main", capacityProviders=["FARGATE", "FARGATE_SPOT"])
        self.ecs.owner("RegisterTaskDefinition", **definition())
        self.ecs.owner(
            "CreateService",
            cluster="main",
            serviceName="shop",
            taskDefinition="shop:1",
            desiredCount=2,
            launchType="FARGATE",
            deploymentController={"type": "CODE_DEPLOY"},
            loadBalancers=[{"targetGroupArn": "blue", "containerName": "shop", "containerPort": 8080}],
        )
        self.service = self.ecs.service("shop", "main")
        self.code_deploy = CodeDeploy(self.ecs, self.service, application="shop", group="prod")

    def context(
        self,
        *,
        app_spec: str = APP_SPEC,
        leaves_out: str = "",
        policies: Sequence[Mapping[str, Any]] = (EVERYTHING,),
    ) -> ActionContext:
        packed = self.folder / "Deployment.zip"
        files = {"taskdef.json": json.dumps(definition(NEW)), "appspec.yaml": app_spec}
        with zipfile.ZipFile(packed, "w") as archive:
            for name, text in files.items():
                if name != leaves_out:
                    archive.writestr(name, text)
        configuration = {
            "ApplicationName": "shop",
            "DeploymentGroupName": "prod",
            "TaskDefinitionTemplateArtifact": "Deployment",
            "AppSpecTemplateArtifact": "Deployment",
        }
        return context(self.folder, configuration, inputs={"Deployment": packed}, policies=policies)

    def run(self, given: ActionContext) -> Any:  # noqa: ANN401 - what the action leaves
        return CodeDeployToEcs(ecs=self.ecs, code_deploy=self.code_deploy).run(given)


@pytest.fixture
def deploying(tmp_path: Path) -> Iterator[Deploying]:
    made, over = Deploying(tmp_path), threading.Event()

    def go_on() -> None:
        while not over.wait(0.02):
            made.ecs.owner("DescribeServices", cluster="main", services=["shop"])

    thread = threading.Thread(target=go_on)
    thread.start()
    yield made
    over.set()
    thread.join()


def test_codedeploy_deploys_the_definition_of_the_artifact(deploying: Deploying) -> None:
    given = deploying.context()
    done = deploying.run(given)
    (made,) = deploying.code_deploy.deployments
    assert done.variables == {"DeploymentId": made.identity}
    assert given.run.external_id == made.identity
    assert deploying.service.running == ["shop:2"]


@pytest.mark.parametrize(
    "action", ["codedeploy:CreateDeployment", "codedeploy:RegisterApplicationRevision", "codedeploy:GetDeployment"]
)
def test_a_missing_permission_is_named_with_its_resource_and_role(deploying: Deploying, action: str) -> None:
    with pytest.raises(ActionFailed) as caught:
        deploying.run(deploying.context(policies=all_but(action)))
    assert str(caught.value).startswith(f"The service role {ROLE} is not authorized to perform {action} on arn:aws:")
    assert deploying.code_deploy.deployments == []


def test_what_ecs_refuses_fails_the_action_in_its_words(deploying: Deploying) -> None:
    with pytest.raises(ActionFailed, match=r"AccessDeniedException: .*ecs:RegisterTaskDefinition"):
        deploying.run(deploying.context(policies=all_but("ecs:RegisterTaskDefinition")))


@pytest.mark.parametrize("file", ["taskdef.json", "appspec.yaml"])
def test_an_artifact_without_its_file_fails_the_action(deploying: Deploying, file: str) -> None:
    with pytest.raises(ActionFailed, match=f"The artifact Deployment holds no {file}"):
        deploying.run(deploying.context(leaves_out=file))


def test_an_appspec_without_placeholder_fails_the_action(deploying: Deploying) -> None:
    with pytest.raises(ActionFailed, match="no placeholder <TASK_DEFINITION>"):
        deploying.run(deploying.context(app_spec=APP_SPEC.replace("<TASK_DEFINITION>", "shop:2")))


def test_the_task_set_is_made_as_the_appspec_says(deploying: Deploying) -> None:
    deploying.run(deploying.context(app_spec=ON_SPOT))
    (task_set,) = deploying.service.view()["taskSets"]
    assert task_set["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]
    assert "launchType" not in task_set


def test_a_run_that_is_stopped_stops_its_deployment_and_rolls_it_back(deploying: Deploying) -> None:
    deploying.ecs.behaviours[NEW] = Behaviour.SLOW
    given = deploying.context()
    given.stop.set()
    with pytest.raises(ActionFailed, match="MANUAL_STOP"):
        deploying.run(given)
    (made,) = deploying.code_deploy.deployments
    assert made.rolled_back
    assert deploying.service.running == ["shop:1"]


@pytest.mark.parametrize(
    ("decision", "reason"),
    [(True, ""), (False, "The approval was rejected."), (None, "Nobody has approved within 30 minutes.")],
)
def test_a_person_decides_about_an_approval(tmp_path: Path, decision: bool | None, reason: str) -> None:
    asked: list[tuple[str, str, float]] = []

    def decide(action: str, about: str, seconds: float) -> bool | None:
        asked.append((action, about, seconds))
        return decision

    given = context(tmp_path, {"CustomData": "Look at dev first."}, minutes=30)
    if reason:
        with pytest.raises(ActionFailed, match=reason):
            Approval(decide=decide).run(given)
    else:
        assert Approval(decide=decide).run(given).summary == "approved"
    assert asked == [("Action", "Look at dev first.", 1800.0)]


def test_an_approval_without_a_time_of_its_own_has_seven_days(tmp_path: Path) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html"""
    Approval(decide=lambda _action, _about, seconds: seconds == 7 * 24 * 3600).run(context(tmp_path, {}))


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    """A repository with two commits on its branch."""
    work = tmp_path / "work"
    work.mkdir()

    def git(*words: str) -> None:
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        subprocess.run(["git", *who, *words], cwd=work, check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch", "main")
    for text in ("first", "second"):
        (work / "page").write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--message", f"The {text} page\n\nWith more words.")
    git("clone", "--quiet", "--bare", ".", str(tmp_path / "example" / "shop.git"))
    return tmp_path


def source(folder: Path, **more: Any) -> ActionContext:  # noqa: ANN401 - as `context`
    configuration = {"FullRepositoryId": "example/shop", "BranchName": "main", "ConnectionArn": CONNECTION}
    return context(folder, {**configuration, **more.pop("configuration", {})}, outputs=["Source"], **more)


def kept(given: ActionContext) -> bytes:
    artifacts: Any = given.store.as_pipeline
    assert isinstance(artifacts, Artifacts)
    return artifacts.kept["Source"]


def test_a_connection_hands_on_the_newest_commit_of_the_branch(repositories: Path) -> None:
    given = source(repositories)
    done = Connection(repositories=repositories).run(given)
    with zipfile.ZipFile(io.BytesIO(kept(given))) as archive:
        assert archive.read("page") == b"second"
    assert done.artifacts == {"Source": "key-of-Source"}
    assert (done.variables["BranchName"], done.variables["FullRepositoryName"]) == ("main", "example/shop")
    assert done.variables["CommitMessage"] == "The second page\n\nWith more words."
    assert done.variables["AuthorDisplayName"] == "Ada"
    assert done.variables["AuthorDate"].endswith("Z")


def test_a_connection_hands_on_the_commit_that_a_run_was_started_with(repositories: Path) -> None:
    bare = repositories / "example" / "shop.git"
    found = subprocess.run(["git", "-C", str(bare), "rev-parse", "main~1"], capture_output=True, text=True, check=True)
    given = source(repositories, revision=found.stdout.strip())
    done = Connection(repositories=repositories).run(given)
    with zipfile.ZipFile(io.BytesIO(kept(given))) as archive:
        assert archive.read("page") == b"first"
    assert done.variables["CommitId"] == found.stdout.strip()


def test_a_connection_hands_on_a_reference_where_the_code_is_cloned(repositories: Path) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html"""
    given = source(repositories, configuration={"OutputArtifactFormat": "CODEBUILD_CLONE_REF"})
    done = Connection(repositories=repositories).run(given)
    reference = json.loads(kept(given))
    assert reference["CommitId"] == done.variables["CommitId"]
    assert reference["CloneUrl"].startswith("https://codeconnections.eu-west-1.amazonaws.com/git-http/123456789012/")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"configuration": {"FullRepositoryId": "example/other"}}, "No repository example/other can be reached"),
        ({"configuration": {"BranchName": "topic"}}, "The repository example/shop has no branch topic"),
        ({"revision": "f" * 40}, f"The repository example/shop has no {'f' * 40}"),
        (
            {"policies": all_but("codeconnections:UseConnection")},
            "not authorized to perform codeconnections:UseConnect",
        ),
    ],
    ids=["repository", "branch", "commit", "permission"],
)
def test_a_connection_says_what_it_cannot_reach(repositories: Path, more: dict[str, Any], reason: str) -> None:
    with pytest.raises(ActionFailed, match=reason):
        Connection(repositories=repositories).run(source(repositories, **more))


def test_ecr_hands_on_the_digest_of_the_tag_or_of_the_push(need: Callable[..., None], tmp_path: Path) -> None:
    """The tag may have moved since the push."""
    need("ministack")
    with AwsServices() as aws:
        ecr = aws.client("ecr", region="eu-west-1")
        ecr.create_repository(repositoryName="shop-prod")
        digests = []
        for version in ("1", "2"):
            manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
            text = json.dumps({**manifest, "annotations": {"version": version}})
            put = ecr.put_image(repositoryName="shop-prod", imageManifest=text, imageTag="promoted")
            digests.append(put["image"]["imageId"]["imageDigest"])
        account: Any = SimpleNamespace(identity="123456789012", region="eu-west-1", client=lambda _service: ecr)
        configuration = {"RepositoryName": "shop-prod", "ImageTag": "promoted"}
        for revision, digest in (("", digests[1]), (digests[0], digests[0])):
            given = context(
                tmp_path / (revision[-4:] or "newest"), configuration, outputs=["Source"], revision=revision
            )
            done = EcrSource(account=account).run(given)
            with zipfile.ZipFile(io.BytesIO(kept(given))) as archive:
                detail = json.loads(archive.read("imageDetail.json"))
            assert detail["ImageDigest"] == done.variables["ImageDigest"] == digest
            assert done.variables["ImageURI"].endswith(f"/shop-prod@{digest}")
            assert ("ImageTag" in done.variables) is (not revision)
        with pytest.raises(ActionFailed, match=r"ImageNotFoundException|does not exist"):
            EcrSource(account=account).run(context(tmp_path, {**configuration, "ImageTag": "gone"}, outputs=["Source"]))


# Uploaded code

UPLOADED = {"S3Bucket": "shop-uploads", "S3ObjectKey": "builds/shop.zip", "PollForSourceChanges": "false"}


def archived(text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Dockerfile", text)
    return packed.getvalue()


def test_an_upload_is_handed_on_in_the_version_of_the_run_or_else_the_newest(tmp_path: Path) -> None:
    with AwsServices() as aws:
        account: Any = SimpleNamespace(client=lambda service: aws.client(service, region="eu-west-1"))
        s3 = account.client("s3")
        s3.create_bucket(Bucket="shop-uploads", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        source = S3Source(account=account)

        def run(folder: str, **given: Any) -> tuple[Mapping[str, str], bytes]:  # noqa: ANN401 - the context's
            made = context(tmp_path / folder, UPLOADED, outputs=["Source"], **given)
            return source.run(made).variables, kept(made)

        with pytest.raises(ActionFailed, match=r"s3://shop-uploads/builds/shop\.zip cannot be had: .*NoSuchKey"):
            run("none")
        s3.put_object(Bucket="shop-uploads", Key="builds/shop.zip", Body=archived("FROM zero"))
        with pytest.raises(ActionFailed, match="The bucket shop-uploads is not configured for versioning"):
            run("without versions")
        s3.put_bucket_versioning(Bucket="shop-uploads", VersioningConfiguration={"Status": "Enabled"})
        first, second = (
            s3.put_object(Bucket="shop-uploads", Key="builds/shop.zip", Body=archived(text))
            for text in ("FROM one", "FROM two")
        )
        for revision, wanted, text in ((first["VersionId"], first, "FROM one"), ("", second, "FROM two")):
            variables, content = run(f"version {revision}", revision=revision)
            assert variables == {
                "BucketName": "shop-uploads",
                "ETag": wanted["ETag"].strip('"'),
                "ObjectKey": "builds/shop.zip",
                "VersionId": wanted["VersionId"],
            }
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                assert archive.read("Dockerfile").decode() == text
        with pytest.raises(ActionFailed, match="cannot be had"):
            run("gone", revision="00000000-0000-4000-8000-000000000000")


@pytest.mark.parametrize(
    "action",
    [
        f"s3:{name}"
        for name in (
            "GetBucketAcl",
            "GetBucketLocation",
            "GetBucketVersioning",
            "GetObject",
            "GetObjectTagging",
            "GetObjectVersion",
            "GetObjectVersionTagging",
        )
    ],
)
def test_each_permission_of_aws_s_page_is_asked_for(tmp_path: Path, action: str) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html."""
    with pytest.raises(ActionFailed, match=rf"is not authorized to perform {action} on arn:aws:s3:::shop-uploads"):
        S3Source(account=SimpleNamespace()).run(  # type: ignore[arg-type]  # it is refused before it asks S3
            context(tmp_path, UPLOADED, outputs=["Source"], policies=all_but(action))
        )


def test_the_role_of_the_stack_file_may_fetch_what_it_names_and_no_other_object(tmp_path: Path) -> None:
    deployed = Deployed.of([resource.as_dict() for resource in program("s3-source")])
    (action,) = (each for each in deployed.actions if each.provider == "S3")
    policies = deployed.policies_of(deployed.role)
    with AwsServices() as aws:
        account: Any = SimpleNamespace(client=lambda service: aws.client(service, region="eu-west-1"))
        for changed, said in (({}, "cannot be had"), ({"S3ObjectKey": "builds/other.zip"}, "s3:GetObject on arn")):
            given = context(tmp_path, {**action.configuration, **changed}, outputs=["Source"], policies=policies)
            with pytest.raises(ActionFailed, match=said):
                S3Source(account=account).run(given)


# A build in a VPC


def building(
    folder: Path, action: str = "BuildImage", *, lacking: str = "", **network: object
) -> tuple[ActionContext, Project]:
    """The context of a build of the stack file with everything on, and its project."""
    deployed = Deployed.of([resource.as_dict() for resource in program("everything-on")])
    project = deployed.project(action)
    if lacking:
        policies = RolePolicies([*deployed.policies_of(project.role), all_but(lacking)[1]])
        deployed = dataclasses.replace(deployed, roles={**deployed.roles, project.role: policies})
    project = dataclasses.replace(project, network={**project.network, **network})
    run: Any = SimpleNamespace(log=[], external_id="", identity="1", action=deployed.action(action))
    return dataclasses.replace(context(folder, {}), deployed=deployed, run=run), project


@pytest.mark.parametrize("action", ["BuildImage", "BuildSmokeTestImage", "CheckUnitTests", "CheckLicenses"])
def test_a_build_in_a_vpc_has_what_it_needs_to_join_it(tmp_path: Path, action: str) -> None:
    made, project = building(tmp_path, action)
    assert project.network["vpcId"] == "vpc-0a1b2c3d4e5f67890"
    assert lacks_for_its_network(made, project) == ""


@pytest.mark.parametrize(
    "permission",
    [
        "ec2:CreateNetworkInterface",
        "ec2:CreateNetworkInterfacePermission",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
    ],
)
def test_a_build_whose_role_may_not_join_the_vpc_does_not_begin(tmp_path: Path, permission: str) -> None:
    made, _ = building(tmp_path, lacking=permission)
    code_build = CodeBuild(account=None, machines=None)  # type: ignore[arg-type]  # neither is reached
    with pytest.raises(ActionFailed, match=f"VPC_CLIENT_ERROR: .* is not authorized to perform {permission} on "):
        code_build.run(made)


def test_the_role_of_a_build_joins_its_own_vpc_and_subnets_alone(tmp_path: Path) -> None:
    made, other = building(tmp_path, vpcId="vpc-00000000000000000")
    assert lacks_for_its_network(made, other).startswith("ec2:CreateNetworkInterface on ")
    made, other = building(tmp_path, subnets=["subnet-00000000000000000"])
    assert lacks_for_its_network(made, other).startswith("ec2:CreateNetworkInterfacePermission on ")


def test_a_job_that_stays_outside_of_the_vpc_needs_nothing_of_it(tmp_path: Path) -> None:
    made, project = building(tmp_path, "PrepareDeployment", lacking="ec2:*")
    assert not project.network
    assert lacks_for_its_network(made, project) == ""
