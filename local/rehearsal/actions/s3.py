"""Amazon S3, CodePipeline's source action for code that was uploaded.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # ships no types

from local.rehearsal.account import Account
from local.rehearsal.emulated import Need
from local.rehearsal.pipeline.action import ActionContext, ActionFailed, Completed

_OF_THE_OBJECT = ("GetObject", "GetObjectVersion", "GetObjectTagging", "GetObjectVersionTagging")
_OF_THE_BUCKET = ("GetBucketVersioning", "GetBucketAcl", "GetBucketLocation")


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Source:
    """S3 in one account."""

    account: Account

    def run(self, context: ActionContext) -> Completed:
        """Hand on an object as it was uploaded: the version the run was started with, or the newest."""
        bucket, key = context.configuration["S3Bucket"], context.configuration["S3ObjectKey"]
        arn = f"arn:aws:s3:::{bucket}"
        context.demand(
            *(Need(f"s3:{action}", arn) for action in _OF_THE_BUCKET),
            *(Need(f"s3:{action}", f"{arn}/{key}") for action in _OF_THE_OBJECT),
        )
        s3 = self.account.client("s3")
        try:
            versioning = s3.get_bucket_versioning(Bucket=bucket).get("Status")
            found: dict[str, Any] = s3.get_object(
                Bucket=bucket, Key=key, **({"VersionId": context.revision} if context.revision else {})
            )
        except (BotoCoreError, ClientError) as error:
            raise ActionFailed(f"s3://{bucket}/{key} cannot be had: {error}") from None
        if versioning != "Enabled":
            raise ActionFailed(f"The bucket {bucket} is not configured for versioning.")
        context.folder.mkdir(parents=True)
        name, version = context.action.outputs[0], found["VersionId"]
        fetched = context.folder / f"{name}.zip"
        fetched.write_bytes(found["Body"].read())
        context.say(f"s3://{bucket}/{key} at {version}")
        return Completed(
            summary=f"{key} in the version {version}",
            variables={"BucketName": bucket, "ETag": found["ETag"].strip('"'), "ObjectKey": key, "VersionId": version},
            artifacts=context.keep(name, fetched),
        )
