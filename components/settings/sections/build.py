"""Section `build`: how the image is made."""

import json
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from components.settings.names import EcrRepository, RelativePath
from components.settings.secrets import appeal, secret_in_clear
from components.settings.section import Constraint, Problem, Section
from components.settings.sections.container import PublicName

ArgumentName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,254}$"),
    Constraint("the name of a build argument: letters, digits and _, not starting with a digit"),
]

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
        description="`commit` makes the version from the commit's date and id, `file` reads it from a file.",
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
    compute: Literal["small", "medium", "large", "xlarge"] = Field(
        default="small",
        description="Size of the build machine; small has 4 GB of memory, medium 8, large 16, xlarge up to 72.",
        examples=["medium"],
    )
    cache: bool = Field(
        default=True, description="Whether image layers are kept in ECR between builds.", examples=[True]
    )
    docker_hub_cache: EcrRepository | None = Field(
        default=None,
        description="Prefix of an ECR pull-through cache rule for Docker Hub in the same account and region, through "
        "which builds fetch all images of Docker Hub, those that the Dockerfile names included. Recommended, since "
        "Docker Hub limits anonymous pulls; Docker Hub itself when left out.",
        examples=["docker-hub"],
    )
    timeout_minutes: int = Field(
        default=30,
        ge=5,
        le=480,  # a CodeBuild action of CodePipeline, https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
        description="Longest time a build may take.",
        examples=[30],
    )
    version: VersionSection = Field(
        default=VersionSection(), description="Where the version comes from.", examples=[{"from": "file"}]
    )
    smoke_test: SmokeTestSection = Field(
        default=SmokeTestSection(),
        description="An image that tests the deployed service.",
        examples=[{"enabled": True}],
    )

    def repository_for(self, prefix: str) -> str:
        """Return the name of the ECR repository made for the images; the prefix is `<application>-<stack>`."""
        return self.repository or prefix

    def problems(self) -> Iterator[Problem]:
        """Yield secrets in clear and arguments too long for CodeBuild."""
        for name, value in self.args.items():
            if secret_in_clear(name, value, self.not_secret):
                yield Problem(
                    path=("args", name),
                    message="looks like a secret in clear (value not shown), which the image's history would show",
                    fix=f"edit the file: remove {name} from args; application.secrets gives it to the container"
                    f"{appeal(name, value)}",
                )
        size = len(json.dumps(dict(self.args)))
        if size > ARGUMENTS_CHARACTERS:
            yield Problem(
                path=("args",),
                message=f"must fit into {ARGUMENTS_CHARACTERS} characters "
                f"(CodeBuild takes about 5500 of all variables together), got {size}",
                fix="edit the file: put long values into the Dockerfile or into a file of the repository",
            )
