"""What can be said of every container of a task: the application's own, and further ones."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from components.settings.names import ContainerPath, EnvironmentFile, SecretSource
from components.settings.secrets import appeal, secret_in_clear
from components.settings.section import Constraint, Problem, Reference, Section
from components.settings.sections.logs import LogsSection
from components.settings.yaml_dates import as_written

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

PublicName = Annotated[VariableName, Reference()]
"""A variable that holds no secret, whatever it is called."""


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

Condition = Literal["START", "COMPLETE", "SUCCESS", "HEALTHY"]
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html"""

TEMPORARY = "/tmp"  # noqa: S108 - a path inside the container
"""The path that is writable beside a read-only root filesystem whatever the stack file says."""


class ContainerCheckSection(Section):
    """A command in the container that says whether it is well; ECS ignores the HEALTHCHECK of a Dockerfile.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html
    """

    command: tuple[CommandWord, ...] = Field(
        min_length=2,
        max_length=100,
        description="CMD and the words of a command, or CMD-SHELL and one line for the container's shell; it ends with "
        "0 when the container is well. The image has to have the program.",
        examples=[["CMD-SHELL", "curl -f http://localhost:8080/healthz || exit 1"]],
    )
    interval_seconds: int = Field(
        default=30, ge=5, le=300, description="Time between two health checks.", examples=[10]
    )
    timeout_seconds: int = Field(
        default=5, ge=2, le=60, description="A command that takes longer has failed.", examples=[3]
    )
    retries: int = Field(
        default=3, ge=1, le=10, description="Consecutive failures that make the container unhealthy.", examples=[5]
    )
    start_period_seconds: int = Field(
        default=0, ge=0, le=300, description="Time after the start in which failures do not count.", examples=[60]
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a command that ECS would not run."""
        how, *words = self.command
        if how not in ("CMD", "CMD-SHELL") or (how == "CMD-SHELL" and len(words) > 1):
            yield Problem(
                path=("command",),
                message=f"must be CMD and the words of a command, or CMD-SHELL and one line, got {how} "
                f"and {len(words)} more",
                fix="edit the file: write command: [CMD-SHELL, <command>]",
            )


class LimitSection(Section):
    """A resource limit of the container's processes."""

    soft: int = Field(
        ge=1,
        le=1048576,  # the most that Linux grants, https://docs.kernel.org/admin-guide/sysctl/fs.html#nr-open
        description="Limit that a process starts with.",
        examples=[65536],
    )
    hard: int = Field(ge=1, le=1048576, description="Limit that a process may raise it to.", examples=[65536])

    def problems(self) -> Iterator[Problem]:
        """Yield a process that would start above what it may have."""
        if self.soft > self.hard:
            yield Problem(
                path=("soft",),
                message=f"must be at most hard ({self.hard}), got {self.soft}",
                fix=f"edit the file: write it like soft: {self.hard}",
            )


class MountSection(Section):
    """Where a container finds a volume of the task."""

    path: ContainerPath = Field(description="Path inside the container.", examples=["/srv/uploads"])
    read_only: bool = Field(default=False, description="Whether the container may only read there.", examples=[True])


class ContainerSection(Section):
    """What a container runs, what it finds, and what it may do."""

    environment: dict[VariableName, str] = Field(
        default={},
        description="Environment variables of the container; nothing secret.",
        examples=[{"LOG_LEVEL": "info"}],
    )
    secrets: dict[VariableName, SecretSource] = Field(
        default={},
        description="Environment variables whose values ECS reads from Secrets Manager (by ARN; "
        "`<ARN>:<json key>::` for one value of several) or Parameter Store (by ARN, or by a name that begins with /).",
        examples=[{"DATABASE_URL": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-database-AbCdEf"}],
    )
    not_secret: tuple[PublicName, ...] = Field(
        default=(),
        max_length=100,
        description="Names in `environment` that look like those of secrets and are none: everybody may see them.",
        examples=[["PASSWORD_POLICY"]],
    )
    environment_files: tuple[EnvironmentFile, ...] = Field(
        default=(),
        max_length=10,  # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
        description="Files in S3 with lines NAME=VALUE, read when a task starts; `environment` wins over them.",
        examples=[["arn:aws:s3:::shop-configuration/prod.env"]],
    )
    read_only_root_filesystem: bool = Field(
        default=True,
        description="Whether the container may write only to volumes. /tmp is one, and so is each of `writablePaths`; "
        "an image that does not run as root declares `VOLUME /tmp` to write there. Ordinary images such as nginx "
        "write elsewhere: name the paths, or say false.",
        examples=[True],
    )
    writable_paths: tuple[ContainerPath, ...] = Field(
        default=(),
        max_length=20,
        description="Paths beside /tmp that the container may write to although its root filesystem is read-only: "
        "empty volumes on the task's disk that belong to root, unless the image declares them by `VOLUME`.",
        examples=[["/var/cache/nginx", "/var/run"]],
    )
    mounts: dict[ContainerName, MountSection] = Field(
        default={},
        description="Volumes of `application.volumes` by their names, and where the container finds them.",
        examples=[{"uploads": {"path": "/srv/uploads"}}],
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
    entry_point: tuple[CommandWord, ...] = Field(
        default=(),
        max_length=100,
        description="Entry point that replaces the image's own, a list of words.",
        examples=[["/usr/bin/tini", "--"]],
    )
    working_directory: ContainerPath | None = Field(
        default=None,
        description="Directory the command runs in; what the image says when left out.",
        examples=["/srv"],
    )
    init_process: bool = Field(
        default=True,
        description="Whether ECS starts an init process that passes signals on and reaps children. False for images "
        "that bring their own and must be process 1, such as those with s6-overlay.",
        examples=[False],
    )
    stop_timeout_seconds: int | None = Field(
        default=None,
        ge=2,
        le=120,  # on Fargate: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
        description="Time the container has to end by itself before ECS kills it; 30 on Fargate when left out.",
        examples=[90],
    )
    health_check: ContainerCheckSection | None = Field(
        default=None,
        description="A command that ECS runs in the container; a task with an unhealthy essential container is "
        "replaced.",
        examples=[{"command": ["CMD-SHELL", "curl -f http://localhost:8080/healthz || exit 1"]}],
    )
    ulimits: dict[Literal["nofile"], LimitSection] = Field(
        default={},
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-resource-limits
        description="Resource limits by their names; on Fargate only nofile, open files, can be set.",
        examples=[{"nofile": {"soft": 65536, "hard": 65536}}],
    )
    depends_on: dict[ContainerName, Condition] = Field(
        default={},
        description="Containers of the task that this one waits for before it starts: until they have started "
        "(START), ended (COMPLETE), ended well (SUCCESS), or are healthy (HEALTHY).",
        examples=[{"migrate": "SUCCESS"}],
    )

    logs: LogsSection = Field(
        default=LogsSection(),
        description="How the container's output becomes log lines, and where they go.",
        examples=[{"bufferSize": "50m"}],
    )

    @property
    def every_secret(self) -> tuple[str, ...]:
        """All that ECS reads for the container from Secrets Manager and Parameter Store."""
        return (*self.secrets.values(), *self.logs.secret_options.values())

    def problems(self) -> Iterator[Problem]:
        """Yield secrets in clear, names given twice, and writable paths that are none."""
        for name, value in self.environment.items():
            if secret_in_clear(name, value, self.not_secret):
                yield Problem(
                    path=("environment", name),
                    message="looks like a secret in clear (value not shown), which the task definition would show",
                    fix="store it in Secrets Manager, then edit the file: "
                    f"remove {name} from environment and add it to secrets with the secret's ARN{appeal(name, value)}",
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
        yield from self._path_problems()

    def _path_problems(self) -> Iterator[Problem]:
        """Yield writable paths where everything can be written to, and those that are there already."""
        if self.writable_paths and not self.read_only_root_filesystem:
            yield Problem(
                path=("writablePaths",),
                message="has an effect only with readOnlyRootFilesystem true: every path can be written to without it",
                fix="edit the file: leave out one of the two",
            )
        for place, path in enumerate(self.writable_paths):
            if path == TEMPORARY or path in self.writable_paths[:place]:
                yield Problem(
                    path=("writablePaths", place),
                    message=f"must be another path, got {path}, which can be written to already",
                    fix="edit the file: leave it out",
                )
