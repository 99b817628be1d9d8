"""Section `pipeline`: how runs follow each other, and the jobs of a run."""

from typing import Literal

from pydantic import Field

from components.settings.names import PolicyArn
from components.settings.section import Section


class PipelineSection(Section):
    """How runs of the pipeline follow each other, and the jobs of a run."""

    execution_mode: Literal["superseded", "queued", "parallel"] = Field(
        default="superseded",
        description="`superseded`: a newer run overtakes a waiting one, `queued`: one after the other, "
        "`parallel`: side by side.",
        examples=["queued"],
    )
    parallel_jobs: bool = Field(
        default=False,
        description="Whether jobs that do not need each other may run at the same time on one machine type. A new AWS "
        "account runs one build at a time on a machine type and fails the second, so raise its quotas first.",
        examples=[True],
    )
    permissions_boundary: PolicyArn | None = Field(
        default=None,
        description="Permissions boundary of every role that is made here, the tasks' included.",
        examples=["arn:aws:iam::123456789012:policy/developers"],
    )
