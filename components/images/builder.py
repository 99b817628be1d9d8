"""Who builds images: the build projects of one pipeline, by whose ARNs an image's provenance names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi

from components.foundation.account import AwsAccount
from components.foundation.foundation import Foundation

BUILDER_ID: Final = "BUILDER_ID"
"""The variable of jobs that write or read the provenance of an image: the ARN of the project that builds it."""

APP_JOB: Final = "build-image"
"""The job that builds the application's image."""


def job_of(image: str) -> str:
    """Return the job that builds an image beside the application's.

    Args:
        image: Its name in the stack file.
    """
    return f"build-{image}-image"


@dataclass(frozen=True, kw_only=True, slots=True)
class Builder:
    """A pipeline that builds images.

    Attributes:
        account: This stack's own account, which knows the partition.
        pipeline: Its name, ``<application>-<stack>``, with which the names of its projects begin.
        region: Its region; ``None`` for this stack's.
        account_id: Its account; ``None`` for this stack's.
    """

    account: AwsAccount
    pipeline: str
    region: str | None = None
    account_id: str | None = None

    @classmethod
    def of(cls, foundation: Foundation, pipeline: str | None = None) -> Builder:
        """Return the pipeline that builds the images.

        Args:
            foundation: What everything of this stack is made with.
            pipeline: The name of a pipeline of this account or the ARN of any; this stack's own when left out.
        """
        name = pipeline or foundation.prefix
        if not name.startswith("arn:"):
            return cls(account=foundation.account, pipeline=name)
        *_, region, account_id, own_name = name.split(":")
        return cls(account=foundation.account, pipeline=own_name, region=region, account_id=account_id)

    def id(self, job: str) -> pulumi.Output[str]:
        """Return the ARN of the project of a job, by which the provenance names the builder."""
        project = f"project/{self.pipeline}-{job}"
        return self.account.arn("codebuild", project, region=self.region, account_id=self.account_id)
