"""The versions that a pipeline has deployed: which serves, and which can be gone back to.

What AWS lets a stage go back to: https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from local.errors import Refusal
from local.rehearsal.report.words import moment
from local.rollback.pipeline import Json, UserPipeline

STAGE = "Deploy"
LISTED = 10
"""How many versions are shown."""
LOOKED_AT = 100
"""How many runs are looked at for a version that is named: each is a request."""
SHORTEST_COMMIT = 7
_IMAGE = "BuildImage"
"""The namespace of the application's image, built or not: other images have digests, too."""
_REVISIONS = {
    "ECR": ("IMAGE_DIGEST", "ImageDigest"),
    "CodeStarSourceConnection": ("COMMIT_ID", "CommitId"),
    "S3": ("S3_OBJECT_VERSION_ID", "VersionId"),
}
"""Source -> the type of its revision, and the variable that holds it.

https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-trigger-source-overrides.html
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """What one run has delivered.

    Attributes:
        run: The run's ID.
        name: The version; the run's ID where no action has left it.
        commit: The commit; empty where nobody says it.
        digest: The image's; empty where nobody says it.
        started: When the run began.
        pipeline: The pipeline's version at that time.
        deployed: Whether it has succeeded in the stage that deploys.
        sources: Source action, type of its revision, revision.
    """

    run: str
    name: str
    commit: str
    digest: str
    started: datetime
    pipeline: int
    deployed: bool
    sources: tuple[tuple[str, str, str], ...]

    @classmethod
    def of(cls, run: Json, actions: Iterable[Json]) -> Version:
        """Read it off a run's summary and the executions of its actions, the newest first."""
        known = list(actions)

        def variable(name: str, namespace: str = "") -> str:
            left = (
                action.get("output", {}).get("outputVariables", {})
                for action in known
                if namespace in ("", action["input"].get("namespace"))
            )
            return next((str(variables[name]) for variables in left if variables.get(name)), "")

        return cls(
            run=run["pipelineExecutionId"],
            name=variable("DEPLOYED_VERSION") or variable("IMAGE_VERSION", _IMAGE) or run["pipelineExecutionId"],
            commit=variable("CommitId") or variable("DEPLOYED_COMMIT"),
            digest=variable("IMAGE_DIGEST", _IMAGE),
            started=run["startTime"],
            pipeline=max((action.get("pipelineVersion", 0) for action in known), default=0),
            deployed=set(_last(known).values()) == {"Succeeded"},
            sources=tuple(dict.fromkeys(_sources(known))),
        )

    def is_called(self, given: str) -> bool:
        """Whether somebody means it: by its name, its run, or its commit, of which seven characters do."""
        by_commit = len(given) >= SHORTEST_COMMIT and self.commit.startswith(given)
        return given in (self.name, self.run) or by_commit

    def __str__(self) -> str:
        commit = f"commit {self.commit[:SHORTEST_COMMIT]}, " if self.commit else ""
        return f"{self.name} ({commit}run {self.run} of {moment(self.started.timestamp())})"


class History:
    """What a pipeline has deployed.

    Attributes:
        serving: The version that serves: of the newest run that has succeeded in the stage; ``None`` where none has.
    """

    def __init__(self, pipeline: UserPipeline) -> None:
        """Ask for the runs that have succeeded in the stage."""
        self._pipeline = pipeline
        self._known: dict[str, Version] = {}
        found = list(pipeline.runs(STAGE))
        self._standard = [run for run in found if run.get("executionType") != "ROLLBACK"]
        if found:
            self.serving: Version | None = self._version(self._delivered(found[0]))
        else:
            self.serving = next(self._impossible(), None)

    def candidates(self) -> Iterator[Version]:
        """Yield what can be gone back to, the newest first, the version that serves among it."""
        for run in self._standard:
            yield self._version(run)

    def before(self) -> Version:
        """Return the version that was delivered before the one that serves, and is another image.

        A version that was gone back from is newer than the one that serves, and is never taken.

        Raises:
            Refusal: There is none that AWS goes back to.
        """
        serving = self.serving
        if serving is not None:
            for version in islice(self.candidates(), LOOKED_AT):
                if version.started < serving.started and not _same(version, serving):
                    return version
        what = f"before {serving.name}" if serving else "here"
        name = self._pipeline.name
        raise Refusal(f"{name}: no version was deployed {what} that CodePipeline goes back to. {self._otherwise()}")

    def named(self, given: str) -> Version:
        """Return the newest version of this name, commit or run.

        Raises:
            Refusal: There is none that AWS goes back to; with why, and what there is.
        """
        for version in islice(self.candidates(), LOOKED_AT):
            if version.is_called(given):
                return version
        name, known = self._pipeline.name, ", ".join(each.name for each in islice(self.candidates(), LISTED)) or "none"
        elsewhere = next((each for each in self._impossible(deployed=False) if each.is_called(given)), None)
        if elsewhere is None:
            raise Refusal(
                f"{name}: no version {given} is among the last {LOOKED_AT} runs. "
                f"These can be gone back to: {known}. Give one of them, its commit, or the ID of its run."
            )
        raise Refusal(
            f"{name}: CodePipeline does not go back to {elsewhere}: {self._why_not(elsewhere)} "
            f"These can be gone back to: {known}.{other_way(self._pipeline, elsewhere)}"
        )

    def _why_not(self, version: Version) -> str:
        """Say it: https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html."""
        if not version.deployed:
            return f"its run did not succeed in stage {STAGE}."
        state = self._pipeline.ask("GetPipelineState", again=True, name=self._pipeline.name)
        edited = f"it was deployed by version {version.pipeline} of the pipeline, which was edited since"
        return f"{edited} and is version {state['pipelineVersion']} now."

    def _otherwise(self) -> str:
        serving = self.serving
        if serving is not None:
            for version in self._impossible():
                if version.started < serving.started and not _same(version, serving):
                    way = other_way(self._pipeline, version)
                    return f"The newest one before is {version}: {self._why_not(version)}{way}"
        return "Let the pipeline deliver the version that you want: revert the commit, or promote another image."

    def _impossible(self, *, deployed: bool = True) -> Iterator[Version]:
        """Yield what AWS does not go back to, the newest first; of that what was deployed, or all of it."""
        possible = {run["pipelineExecutionId"] for run in self._standard}
        for run in islice(self._pipeline.runs(), LOOKED_AT):
            if run["pipelineExecutionId"] not in possible and run.get("executionType") != "ROLLBACK":
                version = self._version(run)
                if version.deployed or not deployed:
                    yield version

    def _delivered(self, run: Json) -> Json:
        """Return the run that a rollback goes back to; another run is what it is."""
        target = run.get("rollbackMetadata", {}).get("rollbackTargetPipelineExecutionId")
        return next((each for each in self._standard if each["pipelineExecutionId"] == target), run)

    def _version(self, run: Json) -> Version:
        identity = run["pipelineExecutionId"]
        if identity not in self._known:
            self._known[identity] = Version.of(run, self._pipeline.actions(identity, again=bool(self._known)))
        return self._known[identity]


def other_way(pipeline: UserPipeline, version: Version) -> str:
    """Return how a version comes back that the stage cannot go back to; nothing where its sources are not known.

    The run begins anew, so that an image of Amazon ECR is verified and deployed again, and code is built again.
    """
    if not version.sources:
        return ""
    named = ("actionName", "revisionType", "revisionValue")
    given = [",".join(f"{key}={value}" for key, value in zip(named, source, strict=True)) for source in version.sources]
    words = ["aws", "codepipeline", "start-pipeline-execution", "--name", pipeline.name, "--source-revisions", *given]
    return (
        " A new run, with everything that the pipeline does before it deploys, brings it back: "
        f"{shlex.join([*words, '--region', pipeline.region])}"
    )


def _same(one: Version, other: Version) -> bool:
    return one.run == other.run or bool(one.digest and one.digest == other.digest)


def _sources(actions: Iterable[Json]) -> Iterator[tuple[str, str, str]]:
    for action in actions:
        kind, left = action["input"]["actionTypeId"], action.get("output", {}).get("outputVariables", {})
        revision, variable = _REVISIONS.get(kind["provider"], ("", ""))
        if kind["category"] == "Source" and left.get(variable):
            yield action["actionName"], revision, str(left[variable])


def _last(actions: Iterable[Json]) -> dict[str, str]:
    """Return how the last attempt at each action of the stage has ended; the newest come first."""
    last: dict[str, str] = {}
    for action in actions:
        if action["stageName"] == STAGE:
            last.setdefault(action["actionName"], action["status"])
    return last
