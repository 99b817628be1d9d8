"""What an estimate says."""

from __future__ import annotations

from dataclasses import dataclass

from local.estimates.constants import EVERYWHERE, Constant

NOT_MEASURED = "modelled from published figures, not measured in an account"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """An action of the pipeline in time; actions that overlap run side by side.

    Attributes:
        stage: Its stage.
        action: Its name.
        start: Seconds since the commit, or since what else starts a run.
        seconds: How long it takes.
        machine: What it runs on, such as ``ARM small``, ``ARM Lambda 1GB``; empty for other actions.
        parts: What its time is made of: what, and how many seconds.
    """

    stage: str
    action: str
    start: float
    seconds: float
    machine: str
    parts: tuple[tuple[str, float], ...]

    @property
    def end(self) -> float:
        """When it ends."""
        return self.start + self.seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """A run of the pipeline.

    Attributes:
        steps: Its actions in the order of their starts.
        serving: Seconds until the new version answers the first user; ``None`` where the pipeline deploys nothing.
        all_traffic: Seconds until it answers all of them.
        rolled_back: Seconds that a rollback of the Deploy stage takes, until the older version answers all users again:
            https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html
        moved_back: Seconds until it does while its tasks still run; ``None`` where nothing keeps them.
    """

    steps: tuple[Step, ...]
    serving: float | None
    all_traffic: float | None
    rolled_back: float | None
    moved_back: float | None

    @property
    def run(self) -> float:
        """Seconds until the run ends."""
        return max((step.end for step in self.steps), default=0.0)

    @property
    def stages(self) -> tuple[tuple[str, float], ...]:
        """Seconds of each stage."""
        names = dict.fromkeys(step.stage for step in self.steps)
        return tuple((name, self._seconds(name)) for name in names)

    def _seconds(self, stage: str) -> float:
        own = [step for step in self.steps if step.stage == stage]
        return max(step.end for step in own) - min(step.start for step in own)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A part of the monthly bill.

    Attributes:
        what: What is paid for.
        quantity: How much of it in a month.
        unit: Of the quantity.
        price: Of one unit; ``None`` where no price was read.
        region: The stack's region.
        key: What decides about it in the stack file; empty where nothing does.
        arithmetic: How the quantity comes about.
        assumed: Whether the quantity is assumed, since nothing in the stack says it.
    """

    what: str
    quantity: float
    unit: str
    price: Constant | None
    region: str | None
    key: str = ""
    arithmetic: str = ""
    assumed: bool = False

    @property
    def amount(self) -> float | None:
        """Dollars a month; ``None`` where no price was read."""
        return None if self.price is None else self.quantity * self.price.value

    @property
    def remark(self) -> str:
        """What a reader has to know about the price, if anything."""
        if self.price is None:
            return f"no price was read for {self.region or 'this'}"
        if self.price.region not in {EVERYWHERE, self.region}:
            return f"at the price of {self.price.region}, none was read for {self.region or 'the region'}"
        return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """What is aimed at.

    Attributes:
        what: Of what.
        unit: ``s`` or ``USD``.
        value: The estimate.
        most: What it may be at most.
    """

    what: str
    unit: str
    value: float
    most: float

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.value <= self.most


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a stack takes, in time and money.

    Attributes:
        pipeline_name: The pipeline's name; empty in a graph without one.
        region: The stack's region, ``None`` when the graph does not tell.
        runs: Runs of the pipeline a month that are reckoned with.
        starts_from: What starts a run: ``commit``, ``image`` or ``archive``.
        on_demand: A run on the machines of the stack: what CodeBuild provisions for each build, unless it has a fleet.
        warm: The same run with ``build.fleet`` and a machine of it for each image that is built.
        built: The run of a commit whose source tree was built before, as the stack has its machines.
        built_warm: The same with ``build.fleet``.
        pipeline: The parts of the pipeline's bill.
        hosting: The parts of the service's bill.
        bars: What is aimed at.
    """

    pipeline_name: str
    region: str | None
    runs: int
    starts_from: str
    on_demand: Timeline
    warm: Timeline
    built: Timeline
    built_warm: Timeline
    pipeline: tuple[Line, ...]
    hosting: tuple[Line, ...]
    bars: tuple[Bar, ...]

    @property
    def pipeline_dollars(self) -> float:
        """Dollars a month for the pipeline, as far as there are prices."""
        return _sum(self.pipeline)

    @property
    def hosting_dollars(self) -> float:
        """Dollars a month for the service, as far as there are prices."""
        return _sum(self.hosting)

    @property
    def dollars(self) -> float:
        """Dollars a month for both."""
        return self.pipeline_dollars + self.hosting_dollars

    @property
    def lines(self) -> tuple[Line, ...]:
        """All parts of the bill."""
        return self.pipeline + self.hosting

    @property
    def unpriced(self) -> tuple[Line, ...]:
        """The parts for which no price was read: the sums are without them."""
        return tuple(line for line in self.lines if line.price is None)


def _sum(lines: tuple[Line, ...]) -> float:
    return sum(line.amount or 0.0 for line in lines)
