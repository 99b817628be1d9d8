"""Section `deploy`: how a new image takes over, and where static files go."""

import math
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from components.settings.names import AlarmName, Bucket, DistributionId, KeyPrefix, no_climbing
from components.settings.section import Must, Problem, Section, one_of

Engine = Literal["codeDeploy", "ecs", "ecsAction"]
Strategy = Literal["allAtOnce", "rolling", "blueGreen", "canary", "linear"]

STRATEGIES: Final[dict[Engine, tuple[Strategy, ...]]] = {
    "codeDeploy": ("allAtOnce", "canary", "linear"),
    "ecs": ("rolling", "blueGreen", "canary", "linear"),
    "ecsAction": ("rolling",),
}
"""What each engine offers; the first is its default."""

TIMEOUT_MINUTES: Final[dict[Engine, tuple[int, int]]] = {
    "codeDeploy": (5 * 24 * 60, 5 * 24 * 60),
    "ecs": (60, 470),
    "ecsAction": (30, 60),
}
"""Default and maximum of a deployment's time: a CodeDeploy action, a CodeBuild action, the Amazon ECS action.

CodePipeline gives CodeDeploy five days and takes no other number; CodeBuild gets 8 hours, less what the job keeps for
rolling back.

https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
"""

CODE_DEPLOY_SHIFT_MINUTES: Final = 2880
"""Longest time between CodeDeploy's first and last shift of traffic.

https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
"""

ECS_BAKE_MINUTES: Final = 1440
"""Longest wait of one step of ECS: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LinearConfiguration.html"""

ECS_LINEAR_PERCENT: Final = 3
"""Smallest step of ECS's linear strategy.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LinearConfiguration.html"""


FilesPath = Annotated[
    str,
    StringConstraints(pattern=r"^(/?[A-Za-z0-9_.@+-]+)+/?$", max_length=255),
    AfterValidator(no_climbing),
    Must("a directory of up to 255 characters, without blanks and without .."),
]


AFTER_SHIFT_MINUTES: Final = 5
"""Minutes that the old tasks stay after the shift: as long as the alarms of `hosting.alarms` need, as they come."""


class StepSection(Section):
    """How traffic moves with the strategies canary and linear."""

    percent: int = Field(
        default=10,
        ge=1,
        le=99,
        description="Share of the traffic of the first step (canary) or of each step (linear).",
        examples=[10],
    )
    interval_minutes: int = Field(default=5, ge=1, le=2880, description="Time between two steps.", examples=[5])


class UploadSection(Section):
    """Static files that come with the delivery."""

    origin: Literal["source", "image"] = Field(
        default="source",
        validation_alias="from",
        serialization_alias="from",
        description="`source` takes them from the repository, `image` from the built image.",
        examples=["image"],
    )
    path: FilesPath = Field(
        description="Directory of the files: relative in the repository, absolute in the image.", examples=["public"]
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a path that is of the other kind than its origin asks for."""
        absolute = self.path.startswith("/")
        if self.origin == "source" and absolute:
            yield Problem(
                path=("path",),
                wrong=f'must be a path inside the repository, without a leading / (from: source), got "{self.path}"',
                fix=f"pulumi config set --path 'ecs-delivery:deploy.staticFiles.upload.path' {self.path[1:]}",
            )
        if self.origin == "image" and not absolute:
            yield Problem(
                path=("path",),
                wrong=f'must be an absolute path inside the image, starting with / (from: image), got "{self.path}"',
                fix=f"pulumi config set --path 'ecs-delivery:deploy.staticFiles.upload.path' /app/{self.path}",
            )


class SyncSection(Section):
    """Static files that another bucket holds."""

    bucket: Bucket = Field(description="Bucket the files are copied from.", examples=["shop-assets"])
    prefix: KeyPrefix = Field(default="", description="Only keys that start like this.", examples=["v2/"])


class StaticFilesSection(Section):
    """Static files put into a bucket with each delivery: uploaded or synced."""

    enabled: bool = Field(default=False, description="Whether static files are delivered.", examples=[True])
    bucket: Bucket | None = Field(default=None, description="Bucket the files go to.", examples=["shop-static"])
    prefix: KeyPrefix = Field(default="", description="Start of their keys in that bucket.", examples=["shop/"])
    upload: UploadSection | None = Field(
        default=None, description="Files that come with the delivery.", examples=[{"path": "public"}]
    )
    sync: SyncSection | None = Field(
        default=None, description="Files of another bucket.", examples=[{"bucket": "shop-assets"}]
    )
    cloud_front_distribution_id: DistributionId | None = Field(
        default=None,
        description="CloudFront distribution whose cache is invalidated afterwards.",
        examples=["E1A2B3C4D5E6F7"],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a missing bucket, no or two origins of the files, and a sync that would read what it writes."""
        if self.enabled and self.bucket is None:
            yield Problem(
                path=("bucket",),
                wrong="is missing; static files need the bucket they go to",
                fix="pulumi config set --path 'ecs-delivery:deploy.staticFiles.bucket' shop-static",
            )
        if self.upload and self.sync:
            yield Problem(
                path=(),
                wrong="must have upload (files of the delivery) or sync (files of another bucket), got both",
                fix="edit the file: remove upload or sync",
            )
        elif self.enabled and not self.upload and not self.sync:
            yield Problem(
                path=(),
                wrong="must have upload (files of the delivery) or sync (files of another bucket), got neither",
                fix="pulumi config set --path 'ecs-delivery:deploy.staticFiles.upload.path' public",
            )
        if (
            self.sync
            and self.sync.bucket == self.bucket
            and (self.prefix.startswith(self.sync.prefix) or self.sync.prefix.startswith(self.prefix))
        ):
            yield Problem(
                path=("sync",),
                wrong=f"must read from elsewhere than it writes to, got {_place(self.bucket, self.sync.prefix)} "
                f"and {_place(self.bucket, self.prefix)}, which overlap",
                fix="pulumi config set --path 'ecs-delivery:deploy.staticFiles.sync.bucket' shop-assets",
            )


class DeploySection(Section):
    """How a new image takes over."""

    engine: Engine = Field(
        default="codeDeploy",
        description="Who shifts the traffic: CodeDeploy, ECS itself, or CodePipeline's own Amazon ECS action.",
        examples=["ecs"],
    )
    strategy: Strategy | None = Field(
        default=None,
        description="How the traffic shifts; when left out allAtOnce, rolling with engines `ecs` and `ecsAction`.",
        examples=["canary"],
    )
    step: StepSection | None = Field(
        default=None, description="Steps of canary and linear.", examples=[{"percent": 10, "intervalMinutes": 5}]
    )
    bake_minutes: int = Field(
        default=AFTER_SHIFT_MINUTES,
        ge=0,
        le=ECS_BAKE_MINUTES,
        description="Minutes that both versions run after the shift, with engine `ecs` and a strategy other than "
        "rolling; an alarm rolls back until they are over.",
        examples=[10],
    )
    termination_wait_minutes: int = Field(
        default=AFTER_SHIFT_MINUTES,
        ge=0,
        le=2880,  # https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_BlueInstanceTerminationOption.html
        description="Minutes that the old tasks stay after the shift, with engine `codeDeploy`; an alarm rolls back "
        "until they are over.",
        examples=[10],
    )
    timeout_minutes: int | None = Field(
        default=None,
        ge=5,
        le=470,
        description="Longest time a deployment may take, with engine `ecs` (60 when left out) or `ecsAction` (30, at "
        "most 60).",
        examples=[60],
    )
    alarms: tuple[AlarmName, ...] = Field(
        default=(),
        max_length=10,
        description="CloudWatch alarms that roll a deployment back.",
        examples=[["shop-errors"]],
    )
    static_files: StaticFilesSection = Field(
        default=StaticFilesSection(),
        description="Files put into a bucket with each delivery.",
        examples=[{"enabled": True, "bucket": "shop-static", "upload": {"path": "public"}}],
    )

    @property
    def effective_strategy(self) -> Strategy:
        """The strategy given, else the engine's default."""
        return self.strategy or STRATEGIES[self.engine][0]

    @property
    def effective_step(self) -> StepSection | None:
        """The steps given, else their defaults; None for a strategy without steps."""
        if self.effective_strategy in {"canary", "linear"}:
            return self.step or StepSection()
        return None

    @property
    def effective_timeout_minutes(self) -> int:
        """The timeout given, else the engine's default."""
        return self.timeout_minutes or TIMEOUT_MINUTES[self.engine][0]

    @property
    def shift_minutes(self) -> int:
        """Minutes the strategy waits between its first and its last shift of traffic.

        Canary waits once; linear waits after each step but the last.
        """
        step = self.effective_step
        if step is None:
            return 0
        waits = 1 if self.effective_strategy == "canary" else math.ceil(100 / step.percent) - 1
        return waits * step.interval_minutes

    @property
    def after_shift_minutes(self) -> int:
        """Minutes the old tasks stay after the last shift of traffic, which is as long as a way back is left."""
        if self.engine == "codeDeploy":
            return self.termination_wait_minutes
        return 0 if self.effective_strategy == "rolling" else self.bake_minutes

    def problems(self) -> Iterator[Problem]:
        """Yield what the engine does not offer and waiting that does not fit into the timeout."""
        offered = STRATEGIES[self.engine]
        if self.effective_strategy not in offered:
            yield Problem(
                path=("strategy",),
                wrong=f"must be {one_of(offered)} with engine {self.engine}, got {self.strategy}",
                fix=self._another_engine_or_strategy(),
            )
            return  # the rules below speak of the strategy
        yield from self._settings_without_effect()
        refused = tuple(self._steps_the_engine_refuses())
        yield from refused or self._waiting_that_does_not_fit()

    def _another_engine_or_strategy(self) -> str:
        """Say how to get the strategy that was asked for, from the engine that has it."""
        engine = next(engine for engine, offered in STRATEGIES.items() if self.effective_strategy in offered)
        return (
            f"pulumi config set --path 'ecs-delivery:deploy.engine' {engine}, or "
            f"pulumi config set --path 'ecs-delivery:deploy.strategy' {STRATEGIES[self.engine][0]}"
        )

    def _settings_without_effect(self) -> Iterator[Problem]:
        """Yield keys that were given but that this engine and strategy would pass over in silence."""
        strategy = self.effective_strategy
        bakes = self.engine == "ecs" and strategy != "rolling"
        without_effect = (
            ("step", "step", self.effective_step is None, "strategy canary or linear"),
            ("bake_minutes", "bakeMinutes", not bakes, "engine ecs and strategy blueGreen, canary or linear"),
            ("termination_wait_minutes", "terminationWaitMinutes", self.engine != "codeDeploy", "engine codeDeploy"),
            ("timeout_minutes", "timeoutMinutes", self.engine == "codeDeploy", "engine ecs or ecsAction"),
            ("alarms", "alarms", self.engine == "ecsAction", "engine codeDeploy or ecs"),
        )
        for field, key, ignored, needs in without_effect:
            if ignored and field in self.model_fields_set and getattr(self, field):
                yield Problem(
                    path=(key,),
                    wrong=f"has an effect only with {needs}, got engine {self.engine} with strategy {strategy}",
                    fix=f"pulumi config rm --path 'ecs-delivery:deploy.{key}'",
                )

    def _steps_the_engine_refuses(self) -> Iterator[Problem]:
        """Yield steps too small or waits too long for the engine."""
        step = self.effective_step
        if step is None:
            return
        if self.engine == "ecs" and self.strategy == "linear" and step.percent < ECS_LINEAR_PERCENT:
            yield Problem(
                path=("step", "percent"),
                wrong=f"must be between {ECS_LINEAR_PERCENT} and 99 with engine ecs and strategy linear, "
                f"got {step.percent}",
                fix="pulumi config set --path 'ecs-delivery:deploy.step.percent' 10",
            )
        if self.engine == "ecs" and step.interval_minutes > ECS_BAKE_MINUTES:
            yield Problem(
                path=("step", "intervalMinutes"),
                wrong=f"must be between 1 and {ECS_BAKE_MINUTES} with engine ecs, got {step.interval_minutes}",
                fix="pulumi config set --path 'ecs-delivery:deploy.step.intervalMinutes' 5",
            )
        if self.engine == "codeDeploy" and self.shift_minutes > CODE_DEPLOY_SHIFT_MINUTES:
            yield Problem(
                path=("step",),
                wrong=f"must shift all traffic within {CODE_DEPLOY_SHIFT_MINUTES} minutes with engine codeDeploy, "
                f"got {self.shift_minutes}",
                fix="pulumi config set --path 'ecs-delivery:deploy.step.intervalMinutes' 5",
            )

    def _waiting_that_does_not_fit(self) -> Iterator[Problem]:
        """Yield a timeout the engine does not allow, or one that the strategy's own waiting uses up."""
        timeout, longest = self.effective_timeout_minutes, TIMEOUT_MINUTES[self.engine][1]
        if timeout > longest:
            yield Problem(
                path=("timeoutMinutes",),
                wrong=f"must be between 5 and {longest} with engine {self.engine}, got {timeout}",
                fix=f"pulumi config set --path 'ecs-delivery:deploy.timeoutMinutes' {longest}",
            )
            return
        after = self.after_shift_minutes
        waiting = self.shift_minutes + after
        if waiting < timeout:
            return
        enough = waiting + 30
        yield Problem(
            path=("timeoutMinutes",),
            wrong=f"must be longer than the {waiting} minutes this deployment waits by itself "
            f"({self.shift_minutes} shifting traffic, {after} afterwards), got {timeout}",
            fix=f"pulumi config set --path 'ecs-delivery:deploy.timeoutMinutes' {enough}"
            if enough <= longest
            else f"edit the file: wait less, engine {self.engine} ends a deployment after {longest} minutes",
        )


def _place(bucket: str | None, prefix: str) -> str:
    """Say a bucket and a prefix the way S3 addresses are written."""
    return f"s3://{bucket}/{prefix}"
