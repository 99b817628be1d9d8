"""Section `application`: what runs, and how big."""

import json
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from components.settings.names import SecretArn, UrlPath
from components.settings.secrets import looks_like_a_secret, names_a_secret
from components.settings.section import Constraint, Problem, Section
from components.settings.yaml_dates import as_written

ApplicationName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z](-?[a-z0-9])*$", min_length=2, max_length=24),
    Constraint("2 to 24 lower-case letters, digits and single hyphens, starting with a letter"),
]
"""Short enough for every name made from it; load balancers and target groups have the tightest limit, 32 characters."""

ContainerName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,254}$"),
    Constraint("1 to 255 letters, digits, _ and -"),
]
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html"""

VariableName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,254}$"),
    Constraint("the name of a variable: letters, digits, _ . and -, starting with a letter or _"),
]


def _not_root(user: str) -> str:
    """Return the user if it is another one than root.

    Raises:
        ValueError: If it is root, by name or by number.
    """
    name = user.partition(":")[0]
    if name == "root" or not name.strip("0"):
        raise ValueError(user)
    return user


User = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9_][a-z0-9_.-]{0,31}(:[a-z0-9_][a-z0-9_.-]{0,31})?$"),
    AfterValidator(_not_root),
    Constraint("a user other than root, by name or number, with :group behind it if wanted"),
]
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html"""

CommandWord = Annotated[str, StringConstraints(min_length=1), Constraint("one word of the command, in quotes")]

FARGATE_MEMORY: Final = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}
"""Memory (MiB) Fargate offers for each size of CPU (units, 1024 = 1 vCPU).

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
"""

TASK_DEFINITION_BYTES: Final = 60 * 1024
"""ECS takes a task definition of 64 KiB; 4 KiB of it are kept for all that is not environment, secrets and command.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
"""


class ApplicationSection(Section):
    """What runs: the container, its size, its environment."""

    name: ApplicationName = Field(
        description="Name of the application; names everything made for it.", examples=["shop"]
    )
    container_name: ContainerName | None = Field(
        default=None,
        description="Name of the container in the task definition; the application's name when left out.",
        examples=["web"],
    )
    port: int = Field(default=8080, ge=1, le=65535, description="Port the container listens on.", examples=[8080])
    health_check_path: UrlPath = Field(
        default="/",
        description="Path that answers 2xx or 3xx when the application is well. An edit takes effect with `pulumi up`, "
        "for the version that runs, too: both have to answer it.",
        examples=["/healthz"],
    )
    cpu: Literal[256, 512, 1024, 2048, 4096, 8192, 16384] = Field(
        default=256, description="CPU units of a task; 1024 are one vCPU.", examples=[256]
    )
    memory: int = Field(
        default=512,
        ge=512,
        le=122880,
        description="Memory of a task in MiB; Fargate offers certain sizes for each `cpu`.",
        examples=[512],
    )
    architecture: Literal["arm64", "x86_64"] = Field(
        default="arm64", description="Processor of image, task and build machine.", examples=["arm64"]
    )
    desired_count: int = Field(
        default=2,
        ge=1,
        le=5000,  # tasks of one service, https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
        description="Number of tasks that run side by side.",
        examples=[2],
    )
    environment: dict[VariableName, str] = Field(
        default={},
        description="Environment variables of the container; nothing secret.",
        examples=[{"LOG_LEVEL": "info"}],
    )
    secrets: dict[VariableName, SecretArn] = Field(
        default={},
        description="Environment variables whose values ECS reads from Secrets Manager or Parameter Store.",
        examples=[{"DATABASE_URL": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-database-AbCdEf"}],
    )
    read_only_root_filesystem: bool = Field(
        default=True,
        description="Whether the container may write only to volumes. /tmp is one; an image that does not run as root "
        "declares `VOLUME /tmp` to write there.",
        examples=[True],
    )
    user: User | None = Field(
        default=None,
        description="User the container runs as, and never root; what the image says when left out.",
        examples=["1000:1000"],
    )
    command: tuple[CommandWord, ...] = Field(
        default=(),
        max_length=100,
        description="Command that replaces the image's own, a list of words.",
        examples=[["node", "server.js"]],
    )

    @property
    def container(self) -> str:
        """Name of the container in the task definition."""
        return self.container_name or self.name

    def problems(self) -> Iterator[Problem]:
        """Yield impossible sizes, secrets in clear, names given twice and a definition too long for ECS."""
        offered = FARGATE_MEMORY[self.cpu]
        if self.memory not in offered:
            nearest = min(offered, key=lambda size: abs(size - self.memory))
            yield Problem(
                path=("memory",),
                message=f"must be {_sizes(offered)} (MiB) with cpu {self.cpu}, got {self.memory}",
                fix=f"pulumi config set --path 'ecs-delivery:application.memory' {nearest}",
            )
        for name, value in self.environment.items():
            if names_a_secret(name) or looks_like_a_secret(value):
                yield Problem(
                    path=("environment", name),
                    message="looks like a secret in clear (value not shown), which the task definition would show",
                    fix="store it in Secrets Manager, then edit the file: "
                    f"remove {name} from environment and add it to secrets with the secret's ARN",
                )
            elif date := as_written(value):
                yield Problem(
                    path=("environment", name),
                    message=f'must be text, got a date without quotes, which arrives as "{value}"',
                    fix=f'edit the file: put it in quotes, like {name}: "{date}"',
                )
        for name in self.secrets.keys() & self.environment.keys():
            yield Problem(
                path=("secrets", name),
                message="is given in environment too, and ECS takes a name once",
                fix=f"edit the file: keep {name} in one of the two",
            )
        size = len(json.dumps([dict(self.environment), dict(self.secrets), self.command]))
        if size > TASK_DEFINITION_BYTES:
            yield Problem(
                path=("environment",),
                message=f"must fit into {TASK_DEFINITION_BYTES} bytes together with secrets and command "
                f"(ECS takes task definitions up to 64 KiB), got {size}",
                fix="edit the file: move long values to Parameter Store and name them in secrets",
            )


def _sizes(offered: tuple[int, ...]) -> str:
    """Say a list of sizes: all of a few, else the ends and the step."""
    if len(offered) <= 4:
        return f"{', '.join(map(str, offered[:-1]))} or {offered[-1]}"
    return f"between {offered[0]} and {offered[-1]} in steps of {offered[1] - offered[0]}"
