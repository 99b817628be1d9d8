"""Section `retention`: how long things are kept, and what survives `pulumi destroy`."""

from typing import Literal

from pydantic import Field

from components.settings.section import Section

LogDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""


class RetentionSection(Section):
    """How long things are kept, and what survives `pulumi destroy`."""

    protect: bool = Field(
        default=False,
        description="Whether service, load balancer, registry, buckets and key are protected from deletion; right for "
        "prod.",
        examples=[True],
    )
    artifact_days: int = Field(
        default=30, ge=1, le=3650, description="Days the artifacts of a run are kept.", examples=[30]
    )
    log_days: LogDays = Field(default=365, description="Days the logs of builds are kept.", examples=[365])
    artifact_access_logs: bool = Field(
        default=False,
        description="Whether every request to the artifact bucket is logged, into a bucket of its own, for `logDays`.",
        examples=[True],
    )
    images: int = Field(
        default=100, ge=1, le=1000, description="Number of images kept in each repository made here.", examples=[100]
    )
