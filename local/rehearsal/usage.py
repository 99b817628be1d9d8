"""Which permissions a rehearsal used, of those that are granted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from ministack.core.iam_evaluator import fnmatch_iam, fnmatch_iam_cs  # type: ignore[import-untyped]  # ships no types

from local.rehearsal.emulated import Policies, granted
from local.rehearsal.report.model import Permission

NOT_EMULATED = (
    "kms:*",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "codebuild:*",
    "codedeploy:GetDeploymentConfig",
    "s3:GetBucketAcl",
    "s3:GetBucketLocation",
    "s3:GetBucketVersioning",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:PutObjectAcl",
)
"""What CodePipeline and CodeBuild themselves do under a role, and their emulators do not: encrypting, writing logs,
keeping test reports, looking at the artifact bucket."""


def permissions(
    roles: Mapping[str, Policies], used: Mapping[str, AbstractSet[tuple[str, str]]]
) -> Iterator[Permission]:
    """Yield the permissions of each role that was at work.

    Args:
        roles: The policy documents of each role.
        used: The actions that each role was allowed, with the resources that they were meant for.
    """
    for role, policies in roles.items():
        if not used.get(role):
            continue
        for action, pattern in dict.fromkeys(granted(policies)):
            was_used = any(_covers(action, pattern, *each) for each in used[role])
            told = was_used or not any(fnmatch_iam(action, each) for each in NOT_EMULATED)
            yield Permission(role=role, action=action, resource=pattern, used=was_used if told else None)


def _covers(action: str, pattern: str, asked: str, resource: str) -> bool:
    return bool(fnmatch_iam(asked, action) and fnmatch_iam_cs(resource, pattern))
