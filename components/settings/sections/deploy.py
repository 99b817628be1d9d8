"""Section `deploy`: how a new image takes over, and where static files go."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic.alias_generators import to_camel

from components.engines import ENGINES, Engine, Rollout, Strategy, TestTraffic
from components.engines.engine import QUICK_MINUTES
from components.settings.names import AlarmName, Bucket, DistributionId, KeyPrefix, no_climbing
from components.settings.section import Constraint, Problem, Section, one_of
from components.settings.sections.approval import ApprovalSection
from components.settings.sections.container import CommandWord
from components.settings.sections.http_checks import AskingSection, HttpCheckSection

if TYPE_CHECKING:
    EngineName = str
else:
    EngineName = Literal[tuple(ENGINES)]
"""One of the engines there are."""


FilesPath = Annotated[
    str,
    StringConstraints(pattern=r"^(/?[A-Za-z0-9_.@+-]+)+/?$", max_length=255),
    AfterValidator(no_climbing),
    Constraint("a directory of up to 255 characters, without blanks and without .."),
]


AFTER_SHIFT_MINUTES: Final = 5
"""Minutes that the old tasks stay after the shift: as long as the alarms of `hosting.alarms` need, as they come."""


LONGEST_COMMAND_MINUTES: Final = 230
"""Half of what a build may take, less the time to stop a task: the command of an earlier version may have to end first.

https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
"""


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
                message=f'must be a path inside the repository, without a leading / (from: source), got "{self.path}"',
                fix=f"pulumi config set --path 'ecs-delivery:deploy.staticFiles.upload.path' {self.path[1:]}",
            )
        if self.origin == "image" and not absolute:
            yield Problem(
                path=("path",),
                message=f'must be an absolute path inside the image, starting with / (from: image), got "{self.path}"',
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
                message="is missing; static files need the bucket they go to",
                fix="edit the file: write bucket: <bucket>",
            )
        if self.upload and self.sync:
            yield Problem(
                path=(),
                message="must have upload (files of the delivery) or sync (files of another bucket), got both",
                fix="edit the file: remove upload or sync",
            )
        elif self.enabled and not self.upload and not self.sync:
            yield Problem(
                path=(),
                message="must have upload (files of the delivery) or sync (files of another bucket), got neither",
                fix="edit the file: write upload: {path: <folder>} or sync: {bucket: <bucket>}",
            )
        if (
            self.sync
            and self.sync.bucket == self.bucket
            and (self.prefix.startswith(self.sync.prefix) or self.sync.prefix.startswith(self.prefix))
        ):
            yield Problem(
                path=("sync",),
                message=f"must read from elsewhere than it writes to, got {_place(self.bucket, self.sync.prefix)} "
                f"and {_place(self.bucket, self.prefix)}, which overlap",
                fix="edit the file: write bucket: <another bucket>",
            )


class CommandSection(Section):
    """A command that runs as one task of the version that is deployed, and has to succeed."""

    command: tuple[CommandWord, ...] = Field(
        min_length=1,
        max_length=100,
        description="Command of the application's container in that task, a list of words; the image's entry point "
        "stays. The exit code 0 is success.",
        examples=[["bin/rails", "db:migrate"]],
    )
    timeout_minutes: int = Field(
        default=15,
        ge=1,
        le=LONGEST_COMMAND_MINUTES,
        description="Longest time the task may take, its start included; it is stopped then, and the run fails.",
        examples=[15],
    )


class TestTrafficSection(AskingSection):
    """What the new version has to answer at the test listener before users get it."""

    SECTION: ClassVar[str] = "deploy.testTraffic"

    http: tuple[HttpCheckSection, ...] = Field(
        min_length=1,
        max_length=30,
        description="Requests whose answers are checked.",
        examples=[[{"path": "/healthz", "contains": '"status":"ok"'}]],
    )


def _with(option: str) -> str:
    """Return the engines with which an option has an effect, for descriptions."""
    return "engine " + " or ".join(f"`{engine.name}`" for engine in ENGINES.values() if option in engine.options)


def _needed(engine: Engine, option: str) -> str:
    """Return what a stack file has to say for an option to have an effect with this engine."""
    if "rolling" not in engine.strategies or option not in (engine.old_tasks_stay, "test_traffic"):
        return f"engine {engine.name}"
    *others, last = (name for name in engine.strategies if name != "rolling")
    return f"engine {engine.name} with strategy {', '.join(others)} or {last}"


class DeploySection(Section):
    """How a new image takes over."""

    engine: EngineName = Field(
        default=next(iter(ENGINES)),
        description="Who shifts the traffic: "
        + ", ".join(f"with `{engine.name}` {engine.moved_by}" for engine in ENGINES.values())
        + ".",
        examples=["ecs"],
    )
    strategy: Strategy | None = Field(
        default=None,
        description="How the traffic shifts; when left out "
        + ", ".join(f"{engine.strategies[0]} with engine `{engine.name}`" for engine in ENGINES.values())
        + ".",
        examples=["canary"],
    )
    step: StepSection | None = Field(
        default=None, description="Steps of canary and linear.", examples=[{"percent": 10, "intervalMinutes": 5}]
    )
    bake_minutes: int = Field(
        default=AFTER_SHIFT_MINUTES,
        ge=0,
        le=1440,  # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html
        description=f"Minutes that both versions run after the shift, with {_with('bake_minutes')} and a strategy "
        "other than rolling; an alarm rolls back until they are over.",
        examples=[10],
    )
    termination_wait_minutes: int = Field(
        default=AFTER_SHIFT_MINUTES,
        ge=0,
        le=2880,  # https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_BlueInstanceTerminationOption.html
        description=f"Minutes that the old tasks stay after the shift, with {_with('termination_wait_minutes')}; an "
        "alarm rolls back until they are over.",
        examples=[10],
    )
    timeout_minutes: int | None = Field(
        default=None,
        ge=5,
        le=max(engine.longest_timeout_minutes for engine in ENGINES.values() if "timeout_minutes" in engine.options),
        description="Longest time a deployment may take; when left out "
        + ", ".join(
            f"{engine.timeout_minutes} and at most {engine.longest_timeout_minutes} with engine `{engine.name}`"
            for engine in ENGINES.values()
            if "timeout_minutes" in engine.options
        )
        + f". A job that follows the deployment waits {QUICK_MINUTES} when left out, on a Lambda machine that starts "
        "in seconds, where starts, steps and bake time fit into that.",
        examples=[60],
    )
    alarms: tuple[AlarmName, ...] = Field(
        default=(),
        max_length=10,
        description="CloudWatch alarms that roll a deployment back.",
        examples=[["shop-errors"]],
    )
    test_traffic: TestTrafficSection | None = Field(
        default=None,
        description="What the new version has to answer at the test listener before users get it, with "
        f"{_with('test_traffic')} and a strategy other than rolling; else it is rolled back.",
        examples=[{"http": [{"path": "/healthz"}]}],
    )
    approval: ApprovalSection = Field(
        default=ApprovalSection(),
        description="A person's yes before the deployment, asked with what it changes.",
        examples=[{"enabled": True}],
    )
    before: CommandSection | None = Field(
        default=None,
        description="Command that runs before the service moves, such as the migration of a database.",
        examples=[{"command": ["bin/rails", "db:migrate"]}],
    )
    after: CommandSection | None = Field(
        default=None,
        description="Command that runs when the service has moved, such as one that warms a cache up.",
        examples=[{"command": ["bin/rails", "cache:warm"]}],
    )
    static_files: StaticFilesSection = Field(
        default=StaticFilesSection(),
        description="Files put into a bucket with each delivery.",
        examples=[{"enabled": True, "bucket": "shop-static", "upload": {"path": "public"}}],
    )

    @property
    def chosen_engine(self) -> Engine:
        """The engine."""
        return ENGINES[self.engine]

    @property
    def effective_strategy(self) -> Strategy:
        """The strategy given, else the engine's default."""
        return self.strategy or self.chosen_engine.strategies[0]

    @property
    def effective_step(self) -> StepSection | None:
        """The steps given, else their defaults; None for a strategy without steps."""
        if self.effective_strategy in {"canary", "linear"}:
            return self.step or StepSection()
        return None

    @property
    def effective_timeout_minutes(self) -> int:
        """The timeout given, else the engine's default."""
        return self.timeout_minutes or self.chosen_engine.timeout_minutes

    @property
    def rollout(self) -> Rollout:
        """How the service moves to a new version."""
        step = self.effective_step
        return Rollout(
            strategy=self.effective_strategy,
            percent=step.percent if step else 100,
            interval_minutes=step.interval_minutes if step else 0,
            bake_minutes=self.bake_minutes,
            termination_wait_minutes=self.termination_wait_minutes,
            timeout_minutes=self.effective_timeout_minutes,
            alarms=self.alarms,
            test_traffic=TestTraffic(
                checks=self.test_traffic.checks,
                headers=tuple(self.test_traffic.headers.items()),
                minutes=self.test_traffic.minutes,
            )
            if self.test_traffic
            else None,
            stated=frozenset(self.model_fields_set),
        )

    @property
    def shift_minutes(self) -> int:
        """Minutes the strategy waits between its first and its last shift of traffic."""
        return self.rollout.shift_minutes

    @property
    def after_shift_minutes(self) -> int:
        """Minutes the old tasks stay after the last shift of traffic, which is as long as a way back is left."""
        option = self.chosen_engine.old_tasks_stay
        return 0 if option is None or self.effective_strategy == "rolling" else getattr(self, option)

    def problems(self) -> Iterator[Problem]:
        """Yield what the engine does not offer and waiting that does not fit into the timeout."""
        offered = self.chosen_engine.strategies
        if self.effective_strategy not in offered:
            yield Problem(
                path=("strategy",),
                message=f"must be {one_of(offered)} with engine {self.engine}, got {self.strategy}",
                fix=self._another_engine_or_strategy(),
            )
            return  # the rules below speak of the strategy
        yield from self._settings_without_effect()
        refused = tuple(self._steps_the_engine_refuses())
        yield from refused or self._waiting_that_does_not_fit()

    def _another_engine_or_strategy(self) -> str:
        """Say how to get the strategy that was asked for, from the engine that has it."""
        engine = next(engine.name for engine in ENGINES.values() if self.effective_strategy in engine.strategies)
        return (
            f"pulumi config set --path 'ecs-delivery:deploy.engine' {engine}, or "
            f"pulumi config set --path 'ecs-delivery:deploy.strategy' {self.chosen_engine.strategies[0]}"
        )

    def _settings_without_effect(self) -> Iterator[Problem]:
        """Yield keys that were given but that this engine and strategy would pass over in silence."""
        strategy = self.effective_strategy
        needs = {"step": "strategy canary or linear"} if self.effective_step is None else {}
        for field in ("bake_minutes", "termination_wait_minutes", "timeout_minutes", "alarms", "test_traffic"):
            users = [engine for engine in ENGINES.values() if field in engine.options]
            shifts = field in (self.chosen_engine.old_tasks_stay, "test_traffic")
            if self.chosen_engine not in users or (shifts and strategy == "rolling"):
                needs[field] = " or ".join(_needed(engine, field) for engine in users)
        for field, what in needs.items():
            if field in self.model_fields_set and getattr(self, field):
                key = to_camel(field)
                yield Problem(
                    path=(key,),
                    message=f"has an effect only with {what}, got engine {self.engine} with strategy {strategy}",
                    fix=f"pulumi config rm --path 'ecs-delivery:deploy.{key}'",
                )

    def _steps_the_engine_refuses(self) -> Iterator[Problem]:
        """Yield steps too small or waits too long for the engine."""
        step, engine = self.effective_step, self.chosen_engine
        if step is None:
            return
        smallest, longest = engine.smallest_linear_percent, engine.longest_interval_minutes
        if self.strategy == "linear" and step.percent < smallest:
            yield Problem(
                path=("step", "percent"),
                message=f"must be between {smallest} and 99 with engine {engine.name} and strategy linear, "
                f"got {step.percent}",
                fix="pulumi config set --path 'ecs-delivery:deploy.step.percent' 10",
            )
        if step.interval_minutes > longest:
            yield Problem(
                path=("step", "intervalMinutes"),
                message=f"must be between 1 and {longest} with engine {engine.name}, got {step.interval_minutes}",
                fix="pulumi config set --path 'ecs-delivery:deploy.step.intervalMinutes' 5",
            )
        if engine.longest_shift_minutes is not None and self.shift_minutes > engine.longest_shift_minutes:
            yield Problem(
                path=("step",),
                message=f"must shift all traffic within {engine.longest_shift_minutes} minutes with engine "
                f"{engine.name}, got {self.shift_minutes}",
                fix="pulumi config set --path 'ecs-delivery:deploy.step.intervalMinutes' 5",
            )

    def _waiting_that_does_not_fit(self) -> Iterator[Problem]:
        """Yield a timeout the engine does not allow, or one that the strategy's own waiting uses up."""
        timeout, longest = self.effective_timeout_minutes, self.chosen_engine.longest_timeout_minutes
        if timeout > longest:
            yield Problem(
                path=("timeoutMinutes",),
                message=f"must be between 5 and {longest} with engine {self.engine}, got {timeout}",
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
            message=f"must be longer than the {waiting} minutes this deployment waits by itself "
            f"({self.shift_minutes} shifting traffic, {after} afterwards), got {timeout}",
            fix=f"pulumi config set --path 'ecs-delivery:deploy.timeoutMinutes' {enough}"
            if enough <= longest
            else f"edit the file: wait less, engine {self.engine} ends a deployment after {longest} minutes",
        )


def _place(bucket: str | None, prefix: str) -> str:
    """Say a bucket and a prefix the way S3 addresses are written."""
    return f"s3://{bucket}/{prefix}"
