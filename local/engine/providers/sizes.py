"""How long the documents are that AWS accepts. A longer one is refused before anything is made.

Every character counts here. IAM leaves white space out of its counts, so that a document that passes here passes there:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.engine.providers.checks import Problem
from local.engine.providers.protocol import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local.engine.providers.protocol import Value


@dataclass(frozen=True, slots=True)
class Size:
    """The limit of one document.

    Attributes:
        input: the input that holds it.
        most: the most characters it may have, in UTF-8.
        error: how AWS's answer begins.
    """

    input: str
    most: int
    error: str


SIZES: Mapping[str, Size] = {
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: role trust policy length, and the
    # sum of a role's inline policies. Every role of this program has one.
    "aws:iam/role:Role": Size("assumeRolePolicy", 2048, "LimitExceeded: Cannot exceed quota for ACLSizePerRole"),
    "aws:iam/rolePolicy:RolePolicy": Size("policy", 10240, "LimitExceeded: Maximum policy size exceeded for the role"),
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
    "aws:s3/bucketPolicy:BucketPolicy": Size("policy", 20480, "PolicyTooLarge"),
    # https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
    "aws:kms/keyPolicy:KeyPolicy": Size("policy", 32768, "LimitExceededException"),
}
"""Resource type -> the limit of its document."""


def too_long(token: str, inputs: Mapping[str, Value]) -> Iterator[Problem]:
    """Yield a document that AWS would refuse for its length.

    Args:
        token: the resource's type.
        inputs: its inputs, free of secret wrappers.
    """
    size = SIZES.get(token)
    document = inputs.get(size.input) if size else None
    if size and isinstance(document, str) and document != UNKNOWN and (given := len(document.encode())) > size.most:
        yield Problem(size.input, f"is too long: {size.error}: {size.most}, got {given} characters")
