"""Where a container's log goes, and what collects it."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from components.settings.names import SecretSource
from components.settings.secrets import looks_like_a_secret
from components.settings.section import Constraint, Problem, Section

OptionName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,127}$"),
    Constraint("the name of an option of the log router, such as Name"),
]

BufferSize = Annotated[
    str,
    StringConstraints(pattern=r"^[1-9][0-9]{0,3}[km]$"),
    Constraint("a number of kilobytes or megabytes such as 25m"),
]
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html (max-buffer-size)"""

_OF_AWSLOGS = (
    ("mode", "mode"),
    ("buffer_size", "bufferSize"),
    ("date_time_format", "dateTimeFormat"),
    ("multiline_pattern", "multilinePattern"),
)


class LogsSection(Section):
    """How a container's output becomes log lines, and where they go.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html
    """

    driver: Literal["awslogs", "awsfirelens"] = Field(
        default="awslogs",
        description="`awslogs`: the log group of CloudWatch made here; `awsfirelens`: the container of the task that "
        "has `firelens`.",
        examples=["awsfirelens"],
    )
    mode: Literal["non-blocking", "blocking"] = Field(
        default="non-blocking",
        description="What happens when lines cannot be sent: `non-blocking` keeps them in a buffer, and drops without "
        "a sign what does not fit; `blocking` stops the program at its next line.",
        examples=["blocking"],
    )
    buffer_size: BufferSize = Field(
        default="25m",
        description="Size of the buffer of `non-blocking`; taken from the task's memory when it fills.",
        examples=["50m"],
    )
    date_time_format: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="Date, in strftime's format, that a new entry begins with; lines without it belong to the one "
        "before.",
        examples=["%Y-%m-%d"],
    )
    multiline_pattern: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="Regular expression that a new entry begins with, instead of `dateTimeFormat`.",
        examples=["^(INFO|WARN|ERROR)"],
    )
    options: dict[OptionName, str] = Field(
        default={},
        description="Options of the log router's output, with `awsfirelens`; nothing secret.",
        examples=[{"Name": "cloudwatch_logs", "log_group_name": "/shop/app", "region": "eu-west-1"}],
    )
    secret_options: dict[OptionName, SecretSource] = Field(
        default={},
        description="Options whose values ECS reads as it reads `secrets`, with `awsfirelens`.",
        examples=[{"apikey": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:datadog-AbCdEf"}],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield what the other driver takes, and keys that exclude each other."""
        yield from self._of_the_router() if self.driver == "awsfirelens" else self._of_awslogs()
        for name, value in self.options.items():
            if looks_like_a_secret(value):
                yield Problem(
                    path=("options", name),
                    message="looks like a secret in clear (value not shown), which the task definition would show",
                    fix=f"edit the file: remove {name} from options and add it to secretOptions with the secret's ARN",
                )
        for name in self.secret_options.keys() & self.options.keys():
            yield Problem(
                path=("secretOptions", name),
                message="is given in options too",
                fix=f"edit the file: keep {name} in one of the two",
            )

    def _of_the_router(self) -> Iterator[Problem]:
        """Yield keys of awslogs, and an output that is not named."""
        for field, key in _OF_AWSLOGS:
            if field in self.model_fields_set:
                yield Problem(
                    path=(key,),
                    message="has an effect only with driver awslogs; the log router has options of its own",
                    fix=f"edit the file: leave out {key}",
                )
        if "Name" not in self.options:
            yield Problem(
                path=("options", "Name"),
                message="is missing; it names the log router's output, such as cloudwatch_logs or datadog",
                fix="edit the file: write options: {Name: <output>}",
            )

    def _of_awslogs(self) -> Iterator[Problem]:
        """Yield options of a log router, and keys that exclude each other."""
        for key, said in (("options", self.options), ("secretOptions", self.secret_options)):
            if said:
                yield Problem(
                    path=(key,),
                    message="has an effect only with driver awsfirelens; awslogs has the keys beside it",
                    fix=f"edit the file: leave out {key}, or write it like driver: awsfirelens",
                )
        if self.date_time_format is not None and self.multiline_pattern is not None:
            yield Problem(
                path=("multilinePattern",),
                message="must not stand beside dateTimeFormat: awslogs takes one of the two",
                fix="edit the file: leave out one of the two",
            )
        if self.mode == "blocking" and "buffer_size" in self.model_fields_set:
            yield Problem(
                path=("bufferSize",),
                message="has an effect only with mode non-blocking, got blocking",
                fix="edit the file: leave it out",
            )


class FirelensSection(Section):
    """Makes a container the log router of the task.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_FirelensConfiguration.html
    """

    type: Literal["fluentbit", "fluentd"] = Field(description="What runs in the container.", examples=["fluentbit"])
    enable_ecs_log_metadata: bool = Field(
        default=True,
        description="Whether each entry names cluster, task and task definition.",
        examples=[False],
    )
    config_file: str | None = Field(
        default=None,
        pattern=r"^/[A-Za-z0-9_./-]+$",
        max_length=255,
        description="Configuration file in its image; Fargate takes none from S3.",
        examples=["/fluent-bit/configs/parse-json.conf"],
    )
