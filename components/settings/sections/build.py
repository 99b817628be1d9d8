"""Section `build`: how the image is made."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from components.images.repository import BUILD_TOOLS
from components.settings.names import (
    EcrRepository,
    FleetArn,
    ImageName,
    RegistryHost,
    RelativePath,
    Secret,
    SecretValue,
    SecurityGroupId,
    SourceRepository,
    SubnetId,
    VpcId,
)
from components.settings.secrets import appeal, secret_in_clear, secret_itself
from components.settings.section import Constraint, Problem, Section
from components.settings.sections.container import PublicName

ArgumentName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,254}$"),
    Constraint("the name of a build argument: letters, digits and _, not starting with a digit"),
]

SecretId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$"),
    Constraint("the id of a secret of the build: letters, digits, _ . and -, starting with a letter or _"),
]
"""https://docs.docker.com/build/building/secrets/"""

TargetName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"),
    Constraint("the name of a stage of the Dockerfile: letters, digits, _ . and -"),
]

ARGUMENTS_CHARACTERS: Final = 4000
"""CodeBuild takes about 5,500 characters of environment variables; the rest is for the program's own.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
"""


class VersionSection(Section):
    """Where the version of a build comes from."""

    origin: Literal["commit", "file"] = Field(
        default="commit",
        validation_alias="from",
        serialization_alias="from",
        description="`commit` makes the version from the commit's date and id, with `source.s3` from the id of the "
        "object's version; `file` reads it from a file.",
        examples=["file"],
    )
    path: RelativePath = Field(
        default="VERSION", description="File whose first line is the version, with `from: file`.", examples=["VERSION"]
    )


class SmokeTestSection(Section):
    """A second image, built beside the application's, that tests the deployed service."""

    enabled: bool = Field(
        default=False, description="Whether a smoke-test image is built, and run when `tests` are on.", examples=[True]
    )
    dockerfile: RelativePath = Field(
        default="smoke/Dockerfile", description="Dockerfile of the smoke test.", examples=["smoke/Dockerfile"]
    )
    context: RelativePath = Field(default=".", description="Directory the smoke test is built from.", examples=["."])


class ImageSection(Section):
    """An image that is built beside the application's, from the same commit, and delivered with it."""

    dockerfile: RelativePath = Field(description="Its Dockerfile.", examples=["nginx/Dockerfile"])
    context: RelativePath = Field(default=".", description="Directory it is built from.", examples=["nginx"])
    target: TargetName | None = Field(
        default=None, description="Stage of its Dockerfile to build; the last one when left out.", examples=["runtime"]
    )
    args: dict[ArgumentName, str] = Field(
        default={}, description="Build arguments of its own; nothing secret.", examples=[{"NGINX_VERSION": "1.27"}]
    )


CheckName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=20),
    Constraint("up to 20 lower-case letters, digits and single hyphens, starting with a letter"),
]


class CheckSection(Section):
    """A build of the application's own, beside the image's, that may do nothing of the delivery."""

    buildspec: RelativePath = Field(
        description="The buildspec, a file of the application's repository.", examples=["ci/unit-tests.yml"]
    )
    image: bool = Field(
        default=False,
        description="Whether it runs after the image is built and may pull it; `IMAGE_URI` is its address.",
        examples=[True],
    )
    docker: bool = Field(
        default=False,
        description="Whether it may start containers, for which CodeBuild runs it in privileged mode.",
        examples=[True],
    )
    compute: Literal["small", "medium", "large", "xlarge"] = Field(
        default="small", description="Size of its machine, as `build.compute`.", examples=["medium"]
    )
    timeout_minutes: int = Field(
        default=30,
        ge=5,
        le=480,  # as a build's
        description="Longest time it may take.",
        examples=[15],
    )


class BuildNetworkSection(Section):
    """A VPC that builds run in."""

    vpc_id: VpcId = Field(description="The VPC, of the stack's region.", examples=["vpc-0a1b2c3d4e5f67890"])
    subnets: tuple[SubnetId, ...] = Field(
        min_length=1,
        max_length=16,  # https://docs.aws.amazon.com/codebuild/latest/APIReference/API_VpcConfig.html
        description="Private subnets of it, with a way to the internet by a NAT gateway: builds get no public address.",
        examples=[["subnet-0a1b2c3d4e5f67892", "subnet-0a1b2c3d4e5f67893"]],
    )
    security_groups: tuple[SecurityGroupId, ...] = Field(
        min_length=1,
        max_length=5,  # https://docs.aws.amazon.com/codebuild/latest/APIReference/API_VpcConfig.html
        description="Security groups of the builds, which those of a database or a package server let in.",
        examples=[["sg-0a1b2c3d4e5f67890"]],
    )


FLEET_REGIONS: Final = (
    "ap-northeast-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-central-1",
    "eu-west-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-2",
)
"""Where CodeBuild has reserved capacity for Linux, on both processors.

https://docs.aws.amazon.com/codebuild/latest/userguide/fleets.html
"""


class FleetSection(Section):
    """A reserved capacity fleet: machines that wait for builds, and cost as long as they do."""

    capacity: int = Field(
        default=1,
        ge=1,
        le=10,  # as many images as a stack builds; CodeBuild takes what the account's quota allows
        description="Machines that are always there, of the size that `compute` says; each builds one image at a time.",
        examples=[2],
    )
    overflow: Literal["queue", "onDemand"] = Field(
        default="queue",
        description="What becomes of a build that finds no machine free: `queue` has it wait for one, `onDemand` gives "
        "it a machine on demand, which is billed besides.",
        examples=["onDemand"],
    )
    arn: FleetArn | None = Field(
        default=None,
        description="ARN of a fleet that exists, of this account and of the stack's region, to build on instead of one "
        "of the stack's own; its machines have the processor of `application.architecture`.",
        examples=["arn:aws:codebuild:eu-west-1:123456789012:fleet/builders:0f0f0f0f-1234-4abc-8def-0123456789ab"],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield what a fleet that exists says itself."""
        for field in ("capacity", "overflow"):
            if self.arn is not None and field in self.model_fields_set:
                yield Problem(
                    path=(field,),
                    message="belongs to the fleet that arn names, which is used as it is",
                    fix=f"pulumi config rm --path 'ecs-delivery:build.fleet.{field}'",
                )


class BuildSection(Section):
    """How the image is made."""

    dockerfile: RelativePath = Field(
        default="Dockerfile", description="Dockerfile of the application.", examples=["Dockerfile"]
    )
    context: RelativePath = Field(default=".", description="Directory the image is built from.", examples=["."])
    target: TargetName | None = Field(
        default=None, description="Stage of the Dockerfile to build; the last one when left out.", examples=["runtime"]
    )
    args: dict[ArgumentName, str] = Field(
        default={}, description="Build arguments; nothing secret.", examples=[{"NODE_VERSION": "22"}]
    )
    not_secret: tuple[PublicName, ...] = Field(
        default=(),
        max_length=100,
        description="Names in `args` that look like those of secrets and are none, such as keys that browsers get.",
        examples=[["MAPS_API_KEY"]],
    )
    repository: EcrRepository | None = Field(
        default=None,
        description="ECR repository made for the images; `<application>-<stack>` when left out.",
        examples=["shop-dev"],
    )
    secrets: dict[SecretId, SecretValue] = Field(
        default={},
        max_length=20,
        description="Secrets of the application's build, such as a token for private packages: an id, and the Secrets "
        "Manager secret. The Dockerfile mounts one with `RUN --mount=type=secret,id=ID`; neither the image nor the log "
        "holds it, and another value builds no commit again.",
        examples=[{"NPM_TOKEN": "shop/npm-token"}],
    )
    base_repositories: tuple[SourceRepository, ...] = Field(
        default=(),
        max_length=20,
        description="ECR repositories of the images that the Dockerfiles name in `FROM` and `COPY --from`, of this "
        "account or of another one, whose repository policy has to admit this one.",
        examples=[["base/python", "210987654321.dkr.ecr.eu-west-1.amazonaws.com/base/nginx"]],
    )
    registry_logins: dict[RegistryHost, Secret] = Field(
        default={},
        max_length=10,
        description="Other registries that builds sign in to, such as `docker.io`: the host, and a Secrets Manager "
        "secret that holds JSON with `username` and `password`.",
        examples=[{"docker.io": "shop/docker-hub"}],
    )
    compute: Literal["small", "medium", "large", "xlarge"] = Field(
        default="small",
        description="Size of the build machine; small has 4 GB of memory, medium 8, large 16, xlarge up to 72.",
        examples=["medium"],
    )
    cache: bool = Field(
        default=True,
        description="Whether image layers are kept between builds: in ECR, and with `fleet` on its machines, too.",
        examples=[True],
    )
    fleet: FleetSection | None = Field(
        default=None,
        description="A reserved capacity fleet that images are built on: a build begins at once and finds its layers "
        "on the machine, which is billed around the clock; without one CodeBuild provisions a machine for each build.",
        examples=[{"capacity": 1}],
    )
    compression: Literal["gzip", "zstd"] = Field(
        default="gzip",
        description="What the layers of images are compressed with. Fargate unpacks zstd faster; "
        "docs/operations.md says what to consider before.",
        examples=["zstd"],
    )
    docker_hub_cache: EcrRepository | None = Field(
        default=None,
        description="Prefix of an ECR pull-through cache rule for Docker Hub in the same account and region, through "
        "which builds fetch all images of Docker Hub, those that the Dockerfile names included. Recommended, since "
        "Docker Hub limits anonymous pulls. Without one, Docker Hub itself, but for BuildKit and the SBOM generator: "
        "the first build copies them into a repository of the stack.",
        examples=["docker-hub"],
    )
    timeout_minutes: int = Field(
        default=30,
        ge=5,
        le=480,  # a CodeBuild action of CodePipeline, https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
        description="Longest time a build may take.",
        examples=[30],
    )
    network: BuildNetworkSection | None = Field(
        default=None,
        description="A VPC that the builds of images and the checks run in; without one they reach the internet alone.",
        examples=[
            {
                "vpcId": "vpc-0a1b2c3d4e5f67890",
                "subnets": ["subnet-0a1b2c3d4e5f67892", "subnet-0a1b2c3d4e5f67893"],
                "securityGroups": ["sg-0a1b2c3d4e5f67890"],
            }
        ],
    )
    version: VersionSection = Field(
        default=VersionSection(), description="Where the version comes from.", examples=[{"from": "file"}]
    )
    images: dict[ImageName, ImageSection] = Field(
        default={},
        description="Further images of the repository, such as an nginx of its own: a name, and its Dockerfile. A "
        "container of the task takes one with `image: build/NAME`. Each has an ECR repository, `<repository>-NAME`, "
        "and an action in the stage Build; version, secrets and registries are the application's.",
        examples=[{"nginx": {"dockerfile": "nginx/Dockerfile", "context": "nginx"}}],
    )
    smoke_test: SmokeTestSection = Field(
        default=SmokeTestSection(),
        description="An image that tests the deployed service.",
        examples=[{"enabled": True}],
    )

    checks: dict[CheckName, CheckSection] = Field(
        default={},
        max_length=10,
        description="Builds of the application's own, such as unit tests or a linter: a name, and its buildspec. Each "
        "is an action of the stage Build, so that nothing is deployed when one fails. It reads the run's "
        "artifacts, writes its log and its test reports, and has no other permission.",
        examples=[{"unit-tests": {"buildspec": "ci/unit-tests.yml"}}],
    )

    @property
    def own_image(self) -> ImageSection:
        """What the application's image is built from."""
        return ImageSection(dockerfile=self.dockerfile, context=self.context, target=self.target, args=self.args)

    @property
    def beside(self) -> tuple[str, ...]:
        """What has an ECR repository beside the application's, where there is code."""
        smoke_test = ("smoke-test",) if self.smoke_test.enabled else ()
        tools = (BUILD_TOOLS,) if self.docker_hub_cache is None else ()
        return (*self.images, *smoke_test, *tools)

    def repository_for(self, prefix: str) -> str:
        """Return the name of the ECR repository made for the images; the prefix is `<application>-<stack>`."""
        return self.repository or prefix

    def problems(self) -> Iterator[Problem]:
        """Yield secrets in clear and arguments too long for CodeBuild."""
        for path, args in self._arguments():
            yield from self._argument_problems(path, args)
        if self.fleet is not None and self.network is not None:
            # https://docs.aws.amazon.com/codebuild/latest/userguide/fleets.html
            yield Problem(
                path=("network",),
                message="must be left out with fleet: a fleet is connected to a VPC by itself, with a service role of "
                "its own, which is not made here",
                fix="pulumi config rm --path 'ecs-delivery:build.fleet', or edit the file: leave out network, and "
                "name a fleet of that VPC that exists as arn",
            )
        for key, secrets in (("secrets", self.secrets), ("registryLogins", self.registry_logins)):
            for name, secret in secrets.items():
                yield from secret_itself(secret, "secret", key, name)

    def _arguments(self) -> Iterator[tuple[tuple[str, ...], Mapping[str, str]]]:
        """Yield the build arguments of each image, with their path in the section."""
        yield ("args",), self.args
        for name, image in self.images.items():
            yield ("images", name, "args"), image.args

    def _argument_problems(self, path: tuple[str, ...], args: Mapping[str, str]) -> Iterator[Problem]:
        """Yield secrets in clear, and arguments too long for CodeBuild."""
        for name, value in args.items():
            if secret_in_clear(name, value, self.not_secret):
                yield Problem(
                    path=(*path, name),
                    message="looks like a secret in clear (value not shown), which the image's history would show",
                    fix=f"edit the file: remove {name} from args; build.secrets gives it to the build, and "
                    f"application.secrets to the container{appeal(name, value)}",
                )
        size = len(json.dumps(dict(args)))
        if size > ARGUMENTS_CHARACTERS:
            yield Problem(
                path=path,
                message=f"must fit into {ARGUMENTS_CHARACTERS} characters "
                f"(CodeBuild takes about 5500 of all variables together), got {size}",
                fix="edit the file: put long values into the Dockerfile or into a file of the repository",
            )
