"""The artifact store: artifacts travel through the pipeline's bucket, under the role of whoever reads or writes them.

CodePipeline's keys are the pipeline's name cut at 20 characters, the artifact's cut at 10, and a name of their own.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # ships no types

_ALPHABET = string.ascii_letters + string.digits


class StoreRefused(Exception):  # noqa: N818 - an outcome
    """The bucket refuses what somebody wants of it, or cannot be reached."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """The artifact bucket, as one role sees it.

    Attributes:
        bucket: Its name.
        pipeline: The pipeline whose artifacts it holds.
        role: The role.
        client: An S3 client with the role's credentials.
        key: The ARN of the key that artifacts are encrypted with.
    """

    bucket: str
    pipeline: str
    role: str
    client: Any
    key: str

    def put(self, artifact: str, file: Path) -> str:
        """Store an artifact; returns its key.

        Raises:
            StoreRefused: The role may not, or the bucket cannot be reached.
        """
        name = "".join(secrets.choice(_ALPHABET) for _ in range(7))
        key = f"{self.pipeline[:20]}/{artifact[:10]}/{name}"
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.key}
        try:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=file.read_bytes(), **encryption)
        except (BotoCoreError, ClientError) as error:
            raise self._refused("s3:PutObject", key, error) from None
        return key

    def get(self, key: str, target: Path) -> Path:
        """Fetch an artifact into a file; returns the file.

        Raises:
            StoreRefused: The role may not, or the bucket cannot be reached.
        """
        try:
            content = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise self._refused("s3:GetObject", key, error) from None
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def _refused(self, action: str, key: str, error: Exception) -> StoreRefused:
        return StoreRefused(f"{self.role} cannot {action} on arn:aws:s3:::{self.bucket}/{key}: {error}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactStore:
    """The artifact bucket of one pipeline.

    Attributes:
        account: Whose it is.
        region: Where it is.
        as_pipeline: As the pipeline's role sees it.
    """

    account: str
    region: str
    as_pipeline: Access

    def as_role(self, role: str, client: Any) -> Access:  # noqa: ANN401 - made at run time
        """Return the bucket as another role sees it.

        Args:
            role: Its name.
            client: An S3 client with its credentials.
        """
        return replace(self.as_pipeline, role=role, client=client)
