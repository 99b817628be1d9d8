"""One stack of the repository, ready to run its deployment jobs: pipeline and policies from the program's own graph."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from mocked import REGION, build_program
from one_by_one import one_by_one
from rehearsing import hurried, with_variables
from summary import stack_files

from components.settings import load_stack_file
from local.loopback import serving_http
from local.rehearsal.aws_services import ACCOUNT, AwsServices
from local.rehearsal.codebuild import BuildHost, Result, put_python, run_build
from local.rehearsal.deployed import Deployed
from local.rehearsal.ecs import Ecs
from local.rehearsal.hosting.existing import plain_hosting
from local.rehearsal.resources import values_of

COMMIT = "0123abc"


@contextmanager
def new_version(status: int) -> Iterator[tuple[str, list[str]]]:
    """What test traffic reaches, answering with this status: its address, and the paths that it was asked for."""
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving_http(Answers) as url:
        yield url, asked


class DeliveredStack:
    """A deployed stack; its builds run under the policies of their own roles.

    Attributes:
        deployed: The pipeline.
        graph: The resources.
    """

    def __init__(
        self, name: str, changes: Mapping[str, Mapping[str, object]] | None = None, *, as_deployed: bool = False
    ) -> None:
        """Plan it.

        Args:
            name: One of the repository's stack files.
            changes: Section -> keys to set in it; a key without a value is taken away.
            as_deployed: Whether a build runs all of its jobs, and not one alone.
        """
        values: dict[str, Any] = dict(load_stack_file(stack_files()[name]))
        for section, keys in (changes or {}).items():
            whole = {**values.get(f"ecs-delivery:{section}", {}), **keys}
            values[f"ecs-delivery:{section}"] = {key: value for key, value in whole.items() if value is not None}
        planned = [resource.as_dict() for resource in build_program(values, stack_name=name)]
        self.graph = planned if as_deployed else one_by_one(planned)
        self.deployed = Deployed.of(self.graph)

    def variables(self, project: str) -> dict[str, str]:
        """What the CodeBuild project of an action sets."""
        return {variable.name: variable.value for variable in self.deployed.project(project).variables}

    @property
    def _prepares(self) -> dict[str, str]:
        """What the project sets that prepares the deployment."""
        names = (action.name for action in self.deployed.actions if "Deployment" in action.outputs)
        return self.variables(next(names))

    @property
    def template(self) -> dict[str, Any]:
        """The task definition's template as the program stores it."""
        key = self._prepares["TASK_DEFINITION_TEMPLATE"].split("/", 3)[3]
        stored = (
            resource["inputs"] for resource in self.graph if resource["type"] == "aws:s3/bucketObjectv2:BucketObjectv2"
        )
        template: dict[str, Any] = json.loads(next(found["content"] for found in stored if found["key"] == key))
        return template

    @property
    def running(self) -> dict[str, Any]:
        """What the service runs before the first deployment; of one that exists, a definition of another family."""
        existing = self.variables("PrepareDeployment")["EXISTING"] == "true"
        return plain_hosting(self.graph).definition if existing else self.template

    @property
    def whole(self) -> dict[str, Any]:
        """What a deployment registers, but for the image."""
        return {**self.running, "family": self.template["family"]}

    def revision(self, number: int) -> str:
        """The name of a revision that a deployment registers: of the first, the second and so on."""
        family = self.template["family"]
        return f"{family}:{number + (self.running['family'] == family)}"

    @property
    def _shifting(self) -> list[str]:
        """The role that ECS moves traffic with, where the stack makes it."""
        roles = (found for found in self.graph if found["type"] == "aws:iam/role:Role")
        return [found["outputs"]["arn"] for found in roles if found["name"].endswith("-shift-role")]

    @property
    def repository(self) -> str:
        """Where the app image is kept."""
        return self.variables("BuildImage")["IMAGE_REPOSITORY_URI"]

    def image(self, version: str = "1.2.3", **changes: object) -> dict[str, object]:
        """An image.json as the build leaves it."""
        digest = f"sha256:{hashlib.sha256(manifest(version)).hexdigest()}"
        return {
            "repository": self.repository,
            "digest": digest,
            "uri": f"{self.repository}@{digest}",
            "tag": f"{COMMIT}-{version}",
            "commit": COMMIT,
            "version": version,
            "source": "https://github.com/example/shop",
            "created": "2026-01-31T12:00:00+00:00",
            **changes,
        }

    def push(self, aws: AwsServices, version: str = "1.2.3", *tags: str) -> None:
        """Put the image of this version into the registry, with its own tag and others."""
        ecr, name = client(aws, "ecr"), self.repository.partition("/")[2]
        with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(repositoryName=name)
        for tag in (f"{COMMIT}-{version}", *tags):
            with suppress(ecr.exceptions.ImageAlreadyExistsException):
                ecr.put_image(repositoryName=name, imageManifest=manifest(version).decode(), imageTag=tag)

    def store(self, aws: AwsServices, template: object = None) -> None:
        """Store the template where the program does; a text as it is, anything else as JSON."""
        _, _, bucket, key = self._prepares["TASK_DEFINITION_TEMPLATE"].split("/", 3)
        s3, content = client(aws, "s3"), self.template if template is None else template
        make_bucket(aws, bucket)
        body = content if isinstance(content, str) else json.dumps(content)
        s3.put_object(Bucket=bucket, Key=key, Body=body.encode())

    def serve(
        self,
        ecs: Ecs,
        *,
        definition: Mapping[str, Any] | None = None,
        reached: tuple[str, int] | None = None,
        **service: object,
    ) -> None:
        """Have the service run its first definition: the template with an image of somebody else.

        Args:
            ecs: Where.
            definition: Another one, as it is.
            reached: The container and the port that the load balancer sends traffic to; by default the application's.
            service: More parameters of CreateService.
        """
        prepare = self.variables("PrepareDeployment")
        first = json.loads(json.dumps(definition or self.running))
        for container in () if definition else first["containerDefinitions"]:
            container["image"] = "public.ecr.aws/docker/library/busybox:1"
        deploy = self.deployed.action("DeployService")
        by_ecs = deploy.provider != "CodeDeployToECS"
        deploys = self.variables("DeployService") if deploy.project else {}
        breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}} if by_ecs else {}
        configuration = {**breaker, **json.loads(deploys.get("DEPLOYMENT_CONFIGURATION", "{}"))}
        configuration.pop("lifecycleHooks", None)  # only the job's deployments have them
        balancer: dict[str, Any] = {
            "targetGroupArn": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/blue/1",
            "containerName": (reached or (prepare["CONTAINER_NAME"],))[0],
            "containerPort": reached[1] if reached else int(prepare["CONTAINER_PORT"]),
        }
        if configuration.get("strategy", "ROLLING") != "ROLLING":
            balancer["advancedConfiguration"] = {
                "alternateTargetGroupArn": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/green/2",
                "productionListenerRule": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener-rule/app/s/1/2/3",
                "roleArn": next(iter(self._shifting), f"arn:aws:iam::{ACCOUNT}:role/shift"),
            }
        made = next(values_of(self.graph, "aws:ecs/service:Service"), {})
        strategy = [{**item, "weight": int(item["weight"])} for item in made.get("capacityProviderStrategies") or ()]
        launch = "FARGATE" if "FARGATE" in first.get("requiresCompatibilities", ()) else "EC2"
        given = {
            "loadBalancers": [balancer],
            "deploymentConfiguration": configuration,
            **({"capacityProviderStrategy": strategy} if strategy else {"launchType": launch}),
            "deploymentController": {"type": "ECS" if by_ecs else "CODE_DEPLOY"},
            **service,
        }
        providers = ["FARGATE", "FARGATE_SPOT"]
        ecs.owner("CreateCluster", clusterName=prepare["CLUSTER"], capacityProviders=providers)
        ecs.owner("RegisterTaskDefinition", **first)
        ecs.owner(
            "CreateService",
            cluster=prepare["CLUSTER"],
            serviceName=prepare["SERVICE"],
            taskDefinition=first["family"],
            desiredCount=2,
            **{key: value for key, value in given.items() if value is not None},
        )
        if by_ecs and given["deploymentController"] == {"type": "ECS"}:
            ecs.settle(ecs.service(prepare["SERVICE"], prepare["CLUSTER"]))


class Builder:
    """The machine on which CodeBuild would run the builds of one stack."""

    def __init__(self, stack: DeliveredStack, aws: AwsServices, cli: Path, folder: Path) -> None:
        self._stack, self._aws, self._folder = stack, aws, folder
        self._bin = folder / "bin"
        self._bin.mkdir(parents=True)
        put_python(self._bin)
        self._path = f"{cli}:{self._bin}:/usr/bin:/bin"
        self._number = 0

    def run(
        self,
        action: str,
        inputs: Mapping[str, Path],
        *,
        digest: str = "",
        execution: str = "",
        without: str = "",
        variables: Mapping[str, str] | None = None,
        **environment: str,
    ) -> Result:
        """Run the build of an action under the policies of its role.

        Args:
            action: The action's name.
            inputs: A folder or zip for each of its input artifacts.
            digest: What the build of the image exported.
            execution: The ID of the pipeline's execution.
            without: A permission that the role shall not have.
            variables: Project variables that differ.
            environment: What the machine has beside AWS, such as AWS_ENDPOINT_URL_ECS.
        """
        known = dict.fromkeys(self._stack.deployed.action(action).references, digest)
        known |= {"codepipeline.PipelineExecutionId": execution}
        build = hurried(self._aws, self._stack.deployed.build(action, inputs, known))
        build = with_variables(build, **(variables or {}))
        role = self.credentials(action, without=without)
        place = BuildHost(environment={"PATH": self._path, **role, **environment}, region=REGION)
        self._number += 1
        return run_build(build, place, self._folder / f"{self._number}-{action}")

    def credentials(self, action: str, *, without: str = "") -> dict[str, str]:
        """What a build of this action finds AWS and itself by."""
        role = self._stack.deployed.project(action).role
        return assumed(self._aws, role, json.dumps(self.policies(action, without=without)))

    def policies(self, action: str, *, without: str = "") -> list[dict[str, Any]]:
        """The policies of an action's role, less one permission of what its job needs beside its scripts."""
        return less(self._stack.deployed.policies(action), without)


def less(policies: Iterable[Mapping[str, Any]], without: str) -> list[dict[str, Any]]:
    """The policies of a role, less one permission of what its job needs beside its scripts."""
    left = json.loads(json.dumps(list(policies)))
    for policy in left:
        for statement in policy["Statement"]:
            if statement["Sid"] != "ReadJobs":
                statement["Action"] = [name for name in statement["Action"] if name != without]
        policy["Statement"] = [statement for statement in policy["Statement"] if statement["Action"]]
    return [policy for policy in left if policy["Statement"]]


@cache
def client(aws: AwsServices, service: str) -> Any:  # noqa: ANN401 - made at run time
    """A client of the account's root; making one takes longer than what it then does."""
    return aws.client(service, region=REGION)


@cache
def assumed(aws: AwsServices, role: str, policies: str) -> dict[str, str]:
    """The variables of somebody who has assumed a role with these policies; stacks share the names of roles."""
    own = hashlib.sha256(policies.encode()).hexdigest()[:8]
    return aws.as_role(f"{role[-50:]}-{own}", json.loads(policies), region=REGION)


def make_bucket(aws: AwsServices, name: str) -> None:
    """A bucket of this name, if there is none."""
    s3 = client(aws, "s3")
    if name not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})


def manifest(version: str) -> bytes:
    """An image's manifest that is this version's own."""
    nothing = {"size": 2, "digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}"}
    content = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **nothing},
        "layers": [],
        "annotations": {"org.opencontainers.image.version": version},
    }
    return json.dumps(content).encode()


def artifact(folder: Path, **files: object) -> Path:
    """A folder with these files; `image_json` is image.json, and what is no text is written as JSON."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("_json", ".json")).write_text(text, encoding="utf-8")
    return folder


def unzipped(path: Path) -> dict[str, str]:
    """The files of an artifact."""
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name).decode() for name in opened.namelist()}
