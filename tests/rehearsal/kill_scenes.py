"""What the jobs are killed in the midst of: for each a backend in a state of its own, and what must hold of it."""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from delivered_stack import DeliveredStack
from killing import Machine
from one_by_one import one_by_one
from rehearsing import hurried, with_variables
from summary import program

from local.loopback import serving_http
from local.rehearsal import images
from local.rehearsal.aws_services import ACCOUNT, AwsServices
from local.rehearsal.code_deploy import CodeDeploy
from local.rehearsal.code_pipeline import CodePipeline
from local.rehearsal.codebuild import Build, Result, Secrets, Variable, names_in, unpack
from local.rehearsal.deployed import Deployed
from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.emulated import serving
from local.rehearsal.github import GitHub
from local.rehearsal.images import RegistryClient
from local.rehearsal.job_sandbox import JobSandbox
from local.rehearsal.logs import Logs
from local.rehearsal.pipeline import Status

REGION = "eu-west-1"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
COMMIT = "0123abc"
VERSION = "1.2.3"
TAG = f"v{VERSION}"
BUILT = f"{COMMIT}-1"
FILES = ("appspec.yaml", "deployment.json", "imageDetail.json", "imagedefinitions.json", "taskdef.json")


@lru_cache
def deployed(stack: str) -> Deployed:
    """The pipeline of one stack file; with everything on, but for a clone of the code, which no scene is about."""
    if stack == "everything-on":
        return DeliveredStack(stack, {"source": {"github": {"repository": "example/shop"}}}).deployed
    return Deployed.of(one_by_one(resource.as_dict() for resource in program(stack)))


@lru_cache
def image(version: str = VERSION) -> images.Image:
    """The image of a version, in an index as a build makes it."""
    labels = {"revision": COMMIT, "version": version, "source": "https://github.com/example/shop", "created": "2026"}
    named = {f"org.opencontainers.image.{key}": value for key, value in labels.items()}
    app = images.image(images.layer({"srv/app": images.Entry(version.encode())}), architecture="arm64", labels=named)
    return images.index((app, {"platform": {"os": "linux", "architecture": "arm64"}}))


@lru_cache
def signature() -> images.Image:
    """What refers to the image; one blob is all of it, since the image already is more than one."""
    return images.artifact(image(), "application/vnd.example.signature", b"{}")


@lru_cache
def owned(aws: AwsServices) -> tuple[Any, Any, RegistryClient]:
    """The account's owner at ECR, at S3 and at the registry."""
    ecr, s3 = (aws.client(service, region=REGION) for service in ("ecr", "s3"))
    return ecr, s3, RegistryClient(aws, ACCOUNT, REGION)


def fresh(what: str) -> str:
    """A name that nothing has yet."""
    return f"{what}-{uuid.uuid4().hex[:12]}"


def artifact(folder: Path, files: Mapping[str, object]) -> Path:
    """A folder with these files; what is no text is written as JSON."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


class OnAws:
    """A scene whose backend is AWS: ECR and S3."""

    secrets: Secrets | None = None
    build: Build

    def __init__(self, aws: AwsServices, folder: Path, stack: str = "everything-on") -> None:
        self.aws, self.folder, self.deployed = aws, folder / fresh("scene"), deployed(stack)
        self.ecr, self.s3, self.registry = owned(aws)
        self.environment: Mapping[str, str] = {
            **aws.environment(region=REGION),
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def variables(self) -> Mapping[str, str]:
        """What the machine of a run has."""
        return self.environment

    def build_of(self, action: str, files: Mapping[str, object], **variables: str) -> Build:
        """The build of an action that delivers the image, with these files as its input; some variables changed."""
        said: dict[str, Any] = next(
            (content for content in files.values() if isinstance(content, dict) and "repository" in content), {}
        )
        known = dict.fromkeys(self.deployed.action(action).references, said.get("digest", image().digest))
        if said:  # each scene has a repository of its own
            variables = {"IMAGE_REPOSITORY_URI": said["repository"], **variables}
        known |= {"variables.PRERELEASE": "false", "variables.LIGHTHOUSE_RUNS": "1"}
        inputs = {name: artifact(self.folder / name, files) for name in self.deployed.action(action).inputs}
        return hurried(self.aws, with_variables(self.deployed.build(action, inputs, known), **variables))

    def repository(self, *tags: str, pushed: images.Image | None = None) -> str:
        """A new repository, maybe with an image under these tags; returns its URI."""
        name = fresh("shop")
        self.ecr.create_repository(repositoryName=name)
        if pushed:
            self.registry.push(name, pushed, *tags)
        return f"{REGISTRY}/{name}"

    def tags(self, uri: str) -> dict[str, str]:
        """The tags of a repository and what they are on."""
        details = self.ecr.describe_images(repositoryName=uri.partition("/")[2])["imageDetails"]
        assert len(details) == len({entry["imageDigest"] for entry in details}), "no image is there twice"
        return {tag: entry["imageDigest"] for entry in details for tag in entry.get("imageTags", [])}

    def bucket(self, files: Mapping[str, str]) -> str:
        """A new bucket with these files."""
        name = fresh("files")
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        for key, content in files.items():
            self.s3.put_object(Bucket=name, Key=key, Body=content.encode())
        return name

    def files(self, bucket: str) -> dict[str, str]:
        """What a bucket holds."""
        listed = self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {
            entry["Key"]: self.s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().decode()
            for entry in listed
        }


def image_json(uri: str) -> dict[str, str]:
    """What the build of the image leaves."""
    digest = image().digest
    facts = {"commit": COMMIT, "version": VERSION, "source": "https://github.com/example/shop", "created": "2026-01-31"}
    return {"repository": uri, "digest": digest, "uri": f"{uri}@{digest}", "tag": BUILT, **facts}


def deployment_json(uri: str, **more: object) -> dict[str, Any]:
    """What the preparation of the deployment leaves."""
    facts = image_json(uri)
    return {
        **facts,
        "image": facts["uri"],
        "container": "shop",
        "reached": "shop",
        "port": 8080,
        "environment": {},
        **more,
    }


class TagsImage(OnAws):
    """The version's tag on the digest."""

    def __init__(self, aws: AwsServices, folder: Path) -> None:
        super().__init__(aws, folder)
        self.uri = self.repository(BUILT, pushed=image())
        self.build = self.build_of("TagImage", {"deployment.json": deployment_json(self.uri)})

    def state(self) -> object:
        return self.tags(self.uri)

    def check_visible(self) -> None:
        assert set(self.tags(self.uri).values()) == {image().digest}

    def check_done(self, result: Result) -> None:
        assert self.tags(self.uri) == {BUILT: image().digest, TAG: image().digest}
        assert result.exported == {"VERSION_TAG": TAG}


class PreparesDeployment(OnAws):
    """Five files from the image and the template; AWS is asked and nothing there is changed."""

    def __init__(self, aws: AwsServices, folder: Path) -> None:
        super().__init__(aws, folder)
        self.uri = self.repository(BUILT, pushed=image())
        container = {"name": "shop", "image": "", "portMappings": [{"containerPort": 8080}], "environment": []}
        template = {
            "family": "shop",
            "containerDefinitions": [container],
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
        }
        bucket = self.bucket({"template.json": json.dumps(template)})
        self.build = self.build_of(
            "PrepareDeployment",
            {"image.json": image_json(self.uri)},
            TASK_DEFINITION_TEMPLATE=f"s3://{bucket}/template.json",
            CONTAINER_NAME="shop",
            CONTAINER_PORT="8080",
            EXISTING="false",
        )

    def state(self) -> object:
        return self.tags(self.uri)

    def check_visible(self) -> None:
        assert self.tags(self.uri) == {BUILT: image().digest}

    def check_done(self, result: Result) -> None:
        self.check_visible()
        assert names_in(result.artifacts["Deployment"]) == sorted(FILES)
        folder = unpack(result.artifacts["Deployment"], self.folder / fresh("prepared"))
        definition = json.loads((folder / "taskdef.json").read_text())
        assert definition["containerDefinitions"][0]["image"] == f"{self.uri}@{image().digest}"


class RecordsImage(OnAws):
    """What another pipeline has pushed, verified; AWS is asked and nothing there is changed."""

    def __init__(self, aws: AwsServices, folder: Path, proxy: Mapping[str, str]) -> None:
        super().__init__(aws, folder, "ecr-source")
        self.environment = {**self.environment, **proxy}
        self.uri = self.repository(BUILT, pushed=image())
        detail = {"ImageDigest": image().digest, "RepositoryName": self.uri.partition("/")[2]}
        self.build = self.build_of(
            "BuildImage", {"imageDetail.json": detail}, IMAGE_REPOSITORY_URI=self.uri, PLATFORM="linux/arm64"
        )

    def state(self) -> object:
        return self.tags(self.uri)

    def check_visible(self) -> None:
        assert self.tags(self.uri) == {BUILT: image().digest}

    def check_done(self, result: Result) -> None:
        self.check_visible()
        folder = unpack(result.artifacts["Image"], self.folder / fresh("recorded"))
        assert json.loads((folder / "image.json").read_text())["version"] == VERSION
        assert result.exported["IMAGE_DIGEST"] == image().digest


class PromotesImage(OnAws):
    """All of the image in the other repository, then the channel tag."""

    def __init__(self, aws: AwsServices, folder: Path, proxy: Mapping[str, str]) -> None:
        super().__init__(aws, folder)
        self.environment = {**self.environment, **proxy}
        source = self.repository(BUILT, pushed=image())
        self.registry.push(source.partition("/")[2], signature())
        self.uri = self.repository("release", pushed=image("1.2.2"))
        self.name = self.uri.partition("/")[2]
        self.build = self.build_of(
            "PromoteImage",
            {"deployment.json": deployment_json(source)},
            TARGET_REPOSITORY=self.name,
            TARGET_REGISTRY=ACCOUNT,
            TARGET_REGION=REGION,
            TARGET_ROLE_ARN="",
            CHANNEL_TAG="release",
        )

    def state(self) -> object:
        parts = (image(), *image().parts, signature())
        manifests = [self.registry.manifest(self.name, part.digest) is not None for part in parts]
        blobs = [self.registry.has_blob(self.name, blob.digest) for part in parts for blob in part.blobs]
        return self.tags(self.uri), manifests, blobs

    def check_visible(self) -> None:
        """Whoever follows a tag finds all of an image."""
        tags = self.tags(self.uri)
        assert tags["release"] in {image("1.2.2").digest, image().digest}
        if image().digest in tags.values():
            self.check_whole()

    def check_whole(self) -> None:
        """Every part of the image, byte for byte, and what refers to it."""
        for part in (image(), *image().parts, signature()):
            there = self.registry.manifest(self.name, part.digest)
            assert there == part.manifest.content, f"{part.digest} did not arrive as it is"
            assert all(self.registry.has_blob(self.name, blob.digest) for blob in part.blobs)
        assert self.registry.referrers(self.name, image().digest) == [signature().digest]

    def check_done(self, result: Result) -> None:
        assert self.tags(self.uri) == dict.fromkeys((BUILT, "release"), image().digest)
        self.check_whole()
        assert result.exported == {"PROMOTED_IMAGE_URI": f"{self.uri}@{image().digest}"}


def site(version: str) -> dict[str, str]:
    """Static files of a version: a page and what it shows."""
    name = f"app.{hashlib.sha256(version.encode()).hexdigest()[:8]}.js"
    return {"index.html": f"shows {name}", f"assets/{name}": version, "logo.svg": version}


class StaticFiles(OnAws):
    """New files beside the old ones; or the old ones pruned. Nothing outside of the prefix is touched."""

    def __init__(self, aws: AwsServices, folder: Path, *, phase: str, origin: str) -> None:
        super().__init__(aws, folder, {"upload": "everything-on", "sync": "ecs-native"}[origin])
        self.phase = phase
        before = {**site("old"), **(site("new") if phase == "prune" else {})}
        there = {f"shop/{name}": content for name, content in before.items()}
        self.bucket_name = self.bucket({**there, "shopping/index.html": "another's", "index.html": "another's"})
        action = "PublishStaticFiles" if phase == "publish" else "PruneStaticFiles"
        target = {"BUCKET": self.bucket_name, "PREFIX": "shop", "CLOUDFRONT_DISTRIBUTION_ID": ""}
        if origin == "upload":
            self.build = self.build_of(action, site("new"), **target)
        else:
            source = self.bucket({f"release/{name}": content for name, content in site("new").items()})
            self.build = self.build_of(action, {}, SOURCE_BUCKET=source, SOURCE_PREFIX="release", **target)

    def state(self) -> object:
        return self.files(self.bucket_name)

    def check_visible(self) -> None:
        """A page that is there shows files that are there; others' files are as they were."""
        files = self.files(self.bucket_name)
        assert files["shopping/index.html"] == files["index.html"] == "another's"
        shown = files["shop/index.html"].removeprefix("shows ")
        assert f"shop/assets/{shown}" in files
        if self.phase == "publish":
            assert {f"shop/{name}" for name in site("old")} <= set(files), "the old version still runs"

    def check_done(self, result: Result) -> None:
        assert result.succeeded
        self.check_visible()
        kept = site("old") if self.phase == "publish" else {}
        expected = {f"shop/{name}": content for name, content in {**kept, **site("new")}.items()}
        assert {key: text for key, text in self.files(self.bucket_name).items() if key.startswith("shop/")} == expected


class DeploysToEcs(OnAws):
    """One deployment of the new revision."""

    def __init__(self, aws: AwsServices, folder: Path, servers: ExitStack) -> None:
        super().__init__(aws, folder, "ecs-native")
        stack = ecs_stack()
        self.ecs = Ecs(region=REGION, pace=20)
        stack.serve(self.ecs)
        self.environment = {**self.environment, "AWS_ENDPOINT_URL_ECS": servers.enter_context(serving(self.ecs))}
        project = stack.variables("DeployService")
        self.service = self.ecs.service(project["SERVICE"], project["CLUSTER"])
        self.first = self.service.running
        container = stack.variables("PrepareDeployment")["CONTAINER_NAME"]
        uri = f"{stack.repository}@{image().digest}"
        definition = json.loads(json.dumps(stack.whole))
        for part in definition["containerDefinitions"]:
            part["image"] = uri
        self.uri = uri
        deployment = deployment_json(stack.repository, container=container)
        self.build = self.build_of("DeployService", {"deployment.json": deployment, "taskdef.json": definition})

    def state(self) -> object:
        newest = self.service.deployments[0]
        running = len(self.service.running)
        return len(self.service.deployments), newest.status, newest.stage, newest.traffic, running

    def check_visible(self) -> None:
        assert self.service.running, "somebody serves all the time"
        assert len(self.service.deployments) <= 2

    def check_done(self, result: Result) -> None:
        assert len(self.service.deployments) == 2, "one deployment beside the first"
        newest = self.service.deployments[0]
        assert newest.status == "SUCCESSFUL"
        assert result.exported == {"SERVICE_DEPLOYMENT_ARN": newest.arn}
        assert self.service.running != self.first
        (running,) = {task.revision.definition["taskDefinitionArn"] for task in self.service.tasks if not task.stopped}
        answer = self.ecs.owner("DescribeTaskDefinition", taskDefinition=running)["taskDefinition"]
        assert {part["image"] for part in answer["containerDefinitions"]} == {self.uri}


@lru_cache
def ecs_stack() -> DeliveredStack:
    """The stack whose service ECS itself deploys."""
    return DeliveredStack("ecs-native")


class WatchesDeployment(OnAws):
    """A deployment that goes well, whatever becomes of whoever watches it."""

    def __init__(self, aws: AwsServices, folder: Path, servers: ExitStack) -> None:
        super().__init__(aws, folder)
        stack = code_deploy_stack()
        self.ecs = Ecs(region=REGION, pace=20)
        stack.serve(self.ecs)
        given = stack.variables("WatchDeployment")
        service = self.ecs.service(given["SERVICE"], given["CLUSTER"])
        group = stack.deployed.action("DeployService").configuration
        self.code_deploy = CodeDeploy(
            self.ecs, service, application=group["ApplicationName"], group=group["DeploymentGroupName"]
        )
        pipeline = CodePipeline(given["PIPELINE"], region=REGION)
        url = servers.enter_context(serving(self.ecs, self.code_deploy, pipeline, Logs(self.ecs)))
        names = ("ECS", "CODEDEPLOY", "CODEPIPELINE", "CLOUDWATCH_LOGS")
        self.environment = {**self.environment, **{f"AWS_ENDPOINT_URL_{name}": url for name in names}}
        definition = json.loads(json.dumps(stack.whole))
        for part in definition["containerDefinitions"]:
            part["image"] = f"{stack.repository}@{image().digest}"
        self.build = self.build_of("WatchDeployment", {"taskdef.json": definition})
        (run,) = (item.value for item in self.build.overrides if item.name == "PIPELINE_EXECUTION_ID")
        action, _ = pipeline.begin(run, "DeployService", "WatchDeployment")
        revision = self.ecs.owner("RegisterTaskDefinition", **definition)["taskDefinition"]["taskDefinitionArn"]
        self.deployment = self.code_deploy.deploy(revision, lambda ended: action.end(Status(ended.status)))

    def state(self) -> object:
        return self.deployment.status

    def check_visible(self) -> None:
        assert self.deployment.status in ("Created", "InProgress", "Succeeded")

    def check_done(self, _result: Result) -> None:
        assert self.deployment.status == "Succeeded"
        assert self.code_deploy.calls == [], "nobody stops it"


@lru_cache
def code_deploy_stack() -> DeliveredStack:
    """The stack whose service CodeDeploy deploys."""
    return DeliveredStack("everything-on")


class BesideTheService(OnAws):
    """A task beside the service of the stack that CodeDeploy deploys."""

    def __init__(self, aws: AwsServices, folder: Path, servers: ExitStack) -> None:
        super().__init__(aws, folder)
        self.stack, self.ecs = code_deploy_stack(), Ecs(region=REGION)
        network = {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
        self.stack.serve(self.ecs, networkConfiguration={"awsvpcConfiguration": network})
        url = servers.enter_context(serving(self.ecs, Logs(self.ecs)))
        names = ("ECS", "CLOUDWATCH_LOGS")
        self.environment = {**self.environment, **{f"AWS_ENDPOINT_URL_{name}": url for name in names}}


class RunsCommand(BesideTheService):
    """A migration beside the service: it runs once, whoever waits for it, and its record says so."""

    def __init__(self, aws: AwsServices, folder: Path, servers: ExitStack) -> None:
        super().__init__(aws, folder, servers)
        stack = self.stack
        given = stack.variables("RunBeforeDeployment")
        self.cluster = given["CLUSTER"]
        self.service = self.ecs.service(given["SERVICE"], self.cluster)
        self.ecs.behaviours[" ".join(json.loads(given["COMMAND"]))] = Behaviour.COMPLETES
        self.kept = self.bucket({})
        container = stack.variables("PrepareDeployment")["CONTAINER_NAME"]
        definition = json.loads(json.dumps(stack.whole))
        for part in definition["containerDefinitions"]:
            part["image"] = f"{stack.repository}@{image().digest}"
        deployment = deployment_json(stack.repository, container=container)
        files = {"deployment.json": deployment, "taskdef.json": definition}
        self.build = self.build_of("RunBeforeDeployment", files, RECORDS=f"s3://{self.kept}/_tasks/before")

    def records(self) -> list[Any]:
        """What is kept of the commands."""
        return [json.loads(content) for content in self.files(self.kept).values()]

    def state(self) -> object:
        statuses = [task.status for task in self.ecs.standalone(self.cluster)]
        return statuses, [record["succeeded"] for record in self.records()]

    def check_visible(self) -> None:
        assert len(self.ecs.standalone(self.cluster)) <= 1, "at most once"
        assert len(self.service.running) == 1, "the old version serves"

    def check_done(self, _result: Result) -> None:
        (task,) = self.ecs.standalone(self.cluster)
        assert (task.status, task.exit_code) == ("STOPPED", 0)
        assert self.records() == [{"succeeded": True, "failures": 0, "task": task.arn}]


class RunsSmokeTest(BesideTheService):
    """A smoke test beside the service: one at a time, and none is left when it has ended."""

    def __init__(self, aws: AwsServices, folder: Path, servers: ExitStack) -> None:
        super().__init__(aws, folder, servers)
        given = self.stack.variables("RunSmokeTest")
        self.cluster = given["CLUSTER"]
        facts = {"repository": given["IMAGE_REPOSITORY_URI"], "digest": image().digest}
        facts["uri"] = f"{facts['repository']}@{facts['digest']}"
        self.ecs.behaviours[facts["uri"]] = Behaviour.COMPLETES
        self.build = self.build_of("RunSmokeTest", {"image.json": facts})

    def state(self) -> object:
        return [task.status for task in self.ecs.standalone(self.cluster)]

    def check_visible(self) -> None:
        running = [task for task in self.ecs.standalone(self.cluster) if task.status != "STOPPED"]
        assert len(running) <= 1, "one at a time"

    def check_done(self, _result: Result) -> None:
        tasks = self.ecs.standalone(self.cluster)
        assert tasks[-1].exit_code == 0
        assert {task.status for task in tasks} == {"STOPPED"}, "none is left"


class ReviewsDeployment(OnAws):
    """What a deployment changes; nothing is changed anywhere."""

    def __init__(self, aws: AwsServices, folder: Path, servers: ExitStack) -> None:
        super().__init__(aws, folder)
        stack = code_deploy_stack()
        self.ecs = Ecs(region=REGION)
        stack.serve(self.ecs)
        self.environment = {**self.environment, "AWS_ENDPOINT_URL_ECS": servers.enter_context(serving(self.ecs))}
        container = stack.variables("PrepareDeployment")["CONTAINER_NAME"]
        definition = json.loads(json.dumps(stack.whole))
        for part in definition["containerDefinitions"]:
            part["image"] = f"{stack.repository}@{image().digest}"
        deployment = deployment_json(stack.repository, container=container)
        self.build = self.build_of("ReviewDeployment", {"deployment.json": deployment, "taskdef.json": definition})

    def state(self) -> object:
        """Nothing is changed."""

    def check_visible(self) -> None:
        """There is nothing to see."""

    def check_done(self, result: Result) -> None:
        assert result.exported["RUNNING"] == "public.ecr.aws/docker/library/busybox:1"
        assert result.exported["CHANGES"].endswith(" besides the image")


def vault(secret_id: str) -> str:
    """Secrets Manager with the token for GitHub."""
    assert secret_id == "shop/github"  # noqa: S105 - a name
    return '{"token": "github-token"}'


class CreatesRelease(OnAws):
    """One published release with all its files, and nothing of it before."""

    def __init__(self, aws: AwsServices, folder: Path, github: GitHub) -> None:
        super().__init__(aws, folder)
        self.secrets = vault
        name = f"example/{fresh('shop')}"
        self.repository_there = github.repository(name)
        self.commits = [self.repository_there.commit(message) for message in ("first", "fix: it's $(fixed)", "last")]
        self.repository_there.release("v1.2.2", self.commits[0], draft=False)
        github.token("github-token", **{name: "write"})
        deployment = deployment_json(f"{REGISTRY}/shop", commit=self.commits[1])
        self.given = {
            "deployment.json": deployment,
            **{file: {"file": file} for file in FILES if file != "deployment.json"},
        }
        self.build = self.build_of(
            "CreateGitHubRelease", self.given, GITHUB_REPOSITORY=name, GITHUB_API_URL=github.url, TAG_PREFIX="v"
        )

    def published(self) -> list[Any]:
        """The releases of the version that everybody can see."""
        return [item for item in self.repository_there.releases.values() if item.tag == TAG and not item.draft]

    def state(self) -> object:
        releases = [
            (item.tag, item.draft, sorted((asset.name, asset.state) for asset in item.assets.values()))
            for item in self.repository_there.releases.values()
        ]
        return releases, dict(self.repository_there.tags)

    def check_visible(self) -> None:
        """A release that can be seen has all its files."""
        for release in self.published():
            assert sorted(release.files) == sorted(FILES)
        assert set(self.repository_there.tags) <= {"v1.2.2", TAG}

    def check_done(self, result: Result) -> None:
        assert [item.tag for item in self.repository_there.releases.values()] == ["v1.2.2", TAG], "no draft is left"
        (release,) = self.published()
        assert {name: json.loads(content) for name, content in release.files.items()} == self.given
        assert len(release.assets) == len(FILES)
        assert self.repository_there.tags[TAG] == self.commits[1]
        assert result.exported["RELEASE_URL"].endswith(TAG)
        assert "github-token" not in result.log


NPM = """#!/bin/sh
# npm ci --prefix FOLDER ...
mkdir -p "$3/node_modules/.bin" && cp '{lhci}' "$3/node_modules/.bin/lhci"
"""
LHCI = """#!{python} -S
import json, sys
config = json.load(open(sys.argv[2].partition("=")[2]))["ci"]
if sys.argv[1] == "upload":
    folder = config["upload"]["outputDir"]
    runs = [dict(url=url, summary=dict(performance=1, accessibility=1, seo=1)) for url in config["collect"]["url"]]
    for number, run in enumerate(runs):
        run["summary"]["best-practices"] = 1
        run["jsonPath"] = folder + f"/{{number}}.json"
        json.dump(dict(requestedUrl=run["url"]), open(run["jsonPath"], "w"))
    json.dump(runs, open(folder + "/manifest.json", "w"))
"""


def lighthouse_tools(machine: Machine, folder: Path) -> None:
    """Stand-ins of npm and Lighthouse: the real ones take their time, and what is killed is the job."""
    folder.mkdir()
    wrapped = folder / "wrapped"
    for name, text in (("lhci", LHCI.format(python=sys.executable)), ("npm", NPM.format(lhci=wrapped))):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    machine.wrap("lhci", str(folder / "lhci"), at=wrapped)
    machine.wrap("npm", str(folder / "npm"))


class RunsLighthouse(OnAws):
    """An audit; nothing is changed anywhere."""

    def __init__(self, aws: AwsServices, folder: Path, service_url: str) -> None:
        super().__init__(aws, folder)
        bucket = self.bucket({"package.json": "{}", "package-lock.json": "{}"})
        self.build = self.build_of(
            "RunLighthouse",
            {"deployment.json": "{}"},
            SERVICE_URL=service_url,
            TEST_HEADERS="{}",
            LIGHTHOUSE_PATHS='["/"]',
            LIGHTHOUSE_PACKAGE=f"s3://{bucket}/package.json",
            LIGHTHOUSE_LOCK=f"s3://{bucket}/package-lock.json",
        )

    def state(self) -> object:
        """Nothing is changed."""

    def check_visible(self) -> None:
        """There is nothing to see."""

    def check_done(self, result: Result) -> None:
        assert result.reports["lighthouse"].tests > 0
        assert result.reports["lighthouse"].failing == ()
        assert "manifest.json" in names_in(result.artifacts["LighthouseReport"])


@contextmanager
def page(machine: Machine) -> Iterator[str]:
    """A service with a page; each request for it is a call that the job can be killed at."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            handled = machine.on_call(f"GET {self.path}")
            if not handled():
                self.send_response(200)
                self.end_headers()

    with serving_http(Handler) as address:
        yield address


class OnWorld(OnAws):
    """A scene on the machine with a Docker engine: every run is on a new one, with a home and logins of its own."""

    def __init__(self, sandbox: JobSandbox, folder: Path) -> None:
        super().__init__(sandbox.aws, folder)
        self.sandbox = sandbox

    def variables(self) -> Mapping[str, str]:
        return self.sandbox.place(self.environment, region=REGION).environment


@lru_cache
def small_linux() -> images.Image:
    """Something to build on and to run."""
    return images.image(images.busybox())


class BuildsImage(OnWorld):
    """One image, under the tags of its commit and of its source tree."""

    def __init__(self, sandbox: JobSandbox, folder: Path) -> None:
        super().__init__(sandbox, folder)
        self.uri, base = self.repository(), self.repository("22", pushed=small_linux())
        self.build = self.build_of(
            "BuildImage",
            {
                "Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY page /page\n",
                "page": "hello",
                "VERSION": VERSION,
            },
            IMAGE_REPOSITORY_URI=self.uri,
            BASE_IMAGE_REPOSITORY_URI=base,
            DOCKERFILE="Dockerfile",
            BUILD_CONTEXT=".",
            BUILD_TARGET="",
            BUILD_ARGS="{}",
            PLATFORM="linux/amd64",
            BUILD_MOUNTS="{}",
            REGISTRY_LOGINS="{}",
            **sandbox.docker_hub(REGION),
        )
        told = {
            "COMMIT_ID": "a" * 40,
            "COMMIT_DATE": "2026-01-31T12:00:00Z",
            "BRANCH": "main",
            "BASE_IMAGE_DIGEST": small_linux().digest,
        }
        overrides = tuple(Variable(name=name, value=value) for name, value in told.items())
        self.build = replace(self.build, overrides=overrides)

    def built(self) -> dict[str, str]:
        """The tags of images; the cache is none."""
        return {tag: digest for tag, digest in self.tags(self.uri).items() if tag != "buildcache"}

    def state(self) -> object:
        """Only what kinds of tags there are: digests differ by the time in the provenance, tags by the base's name."""
        return sorted(tag.partition("-")[0] for tag in self.tags(self.uri))

    def check_visible(self) -> None:
        """What has a tag is whole: the registry holds all parts of it."""
        name = self.uri.partition("/")[2]
        for digest in self.built().values():
            for part in self.registry.json(name, digest)["manifests"]:
                document = self.registry.json(name, part["digest"])
                assert all(self.registry.has_blob(name, blob["digest"]) for blob in document["layers"])

    def check_done(self, result: Result) -> None:
        self.check_visible()
        (by_commit, digest), (by_tree, found) = sorted(self.built().items())
        assert by_commit.startswith(f"{'a' * 40}-")
        assert by_tree.startswith("tree-")
        name = self.uri.partition("/")[2]
        # A run that finds the image of its tree stores the index once more, with its commit.
        assert self.registry.json(name, digest)["manifests"] == self.registry.json(name, found)["manifests"]
        assert result.exported["IMAGE_DIGEST"] == digest
        folder = unpack(result.artifacts["Image"], self.folder / fresh("built"))
        assert json.loads((folder / "image.json").read_text())["uri"] == f"{self.uri}@{digest}"


class ExtractsStaticFiles(OnWorld):
    """A folder out of the image; nothing is changed anywhere."""

    def __init__(self, sandbox: JobSandbox, folder: Path) -> None:
        super().__init__(sandbox, folder)
        files = images.layer({"srv/public/index.html": images.Entry(b"hello"), "srv/secret": images.Entry(b"no")})
        pushed = images.image(files)
        uri = self.repository(BUILT, pushed=pushed)
        facts = {"repository": uri, "uri": f"{uri}@{pushed.digest}", "digest": pushed.digest}
        self.build = self.build_of(
            "ExtractStaticFiles", {"image.json": facts}, STATIC_FILES_PATH="/srv/public", PLATFORM="linux/amd64"
        )

    def state(self) -> object:
        """Nothing is changed."""

    def check_visible(self) -> None:
        """There is nothing to see."""

    def check_done(self, result: Result) -> None:
        assert names_in(result.artifacts["StaticFiles"]) == ["index.html"]
