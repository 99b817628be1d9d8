"""What the last lines of a job that fails say: what users have now, and where docs/oncall.md says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

PAGE = "docs/oncall.md"


class Entry(Enum):
    """An entry of the page, by its heading's address."""

    ROLLED_BACK = "rolled-back-by-itself"
    STOPPED = "a-run-has-stopped"
    VERSION_TAKEN = "the-version-is-taken"
    RELEASE = "the-release-is-half-done"
    TOKEN = "the-token-has-expired"  # noqa: S105 - a heading
    RUNS_NOW = "what-runs-now"

    @property
    def address(self) -> str:
        """Where it stands."""
        return f"{PAGE}#{self.value}"


NOT_DEPLOYED = "Nothing was deployed: the version that runs keeps serving."
DEPLOYED = "The new version serves already."
BACK = "The previous version keeps serving."
EITHER = "Users may have either version until the deployment has come to its end."
HERE_ONLY = "What this run has deployed serves here; nothing goes on to the next environment."
AS_IT_IS = "What serves stays as it is: this run goes no further."
WITHOUT = "The deployment goes on without this job."
SENTENCES = (NOT_DEPLOYED, DEPLOYED, BACK, EITHER, HERE_ONLY, AS_IT_IS, WITHOUT)


class Stands(NamedTuple):
    """How things stand when a job fails.

    Attributes:
        entry: The entry for whoever reads its log.
        users: What users have now: a sentence, or the sentence for each value of `variable`.
        settings: The keys of the stack file that decide about it, and after a semicolon files of the application.
        variable: The job's variable that says where in the run it is.
    """

    entry: Entry
    users: str | Mapping[str, str]
    settings: str
    variable: str = ""

    def sentence(self, value: str) -> str:
        """What users have now; what is neither says that nothing is certain."""
        return self.users if isinstance(self.users, str) else self.users.get(value, EITHER)


JOBS: Mapping[str, Stands] = {
    "build-image": Stands(Entry.STOPPED, NOT_DEPLOYED, "build; the Dockerfile"),
    "record-image": Stands(Entry.STOPPED, NOT_DEPLOYED, "source.ecr"),
    "prepare-deployment": Stands(Entry.STOPPED, NOT_DEPLOYED, "application, build.version"),
    "review-deployment": Stands(Entry.STOPPED, NOT_DEPLOYED, "deploy.approval"),
    "extract-static-files": Stands(Entry.STOPPED, NOT_DEPLOYED, "deploy.staticFiles"),
    # Before the promotion where the image is built, before the deployment where it comes from a registry.
    "sign-image": Stands(Entry.STOPPED, AS_IT_IS, "verification.signature"),
    "verify-image": Stands(Entry.STOPPED, AS_IT_IS, "verification"),
    "verify-signature": Stands(Entry.STOPPED, AS_IT_IS, "verification.signature"),
    "run-task": Stands(
        Entry.STOPPED, {"before": NOT_DEPLOYED, "after": DEPLOYED}, "deploy.before, deploy.after", "WHEN"
    ),
    "upload-static-files": Stands(
        Entry.STOPPED, {"publish": NOT_DEPLOYED, "prune": DEPLOYED}, "deploy.staticFiles", "PHASE"
    ),
    "sync-static-files": Stands(
        Entry.STOPPED, {"publish": NOT_DEPLOYED, "prune": DEPLOYED}, "deploy.staticFiles", "PHASE"
    ),
    "deploy-ecs": Stands(Entry.ROLLED_BACK, NOT_DEPLOYED, "deploy, application"),  # until it has begun to deploy
    "watch-deployment": Stands(Entry.ROLLED_BACK, WITHOUT, "application, deploy.testTraffic"),
    "run-smoke-test": Stands(
        Entry.STOPPED, DEPLOYED, "build.smokeTest, tests.smokeTestTask; the smoke test's Dockerfile"
    ),
    "run-lighthouse": Stands(Entry.STOPPED, DEPLOYED, "tests.lighthouse"),
    "run-http-checks": Stands(Entry.STOPPED, DEPLOYED, "tests.http"),
    "promote-image": Stands(Entry.STOPPED, HERE_ONLY, "promotion"),
    "tag-image": Stands(Entry.RELEASE, DEPLOYED, "build.version, release"),
    "create-github-release": Stands(Entry.RELEASE, DEPLOYED, "release.github"),
}
"""Every job; a failure that says more of itself goes before."""
