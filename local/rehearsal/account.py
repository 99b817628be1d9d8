"""An AWS account on this machine as a deployed stack has left it: made from the stack's own graph."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types

from local.errors import Refusal
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.emulated import Policies
from local.rehearsal.resources import Graph, place_of, policies_of, values_of


class Account:
    """The account of deployed stacks, made in the emulators.

    What it makes: roles with their policies, buckets with their policies and objects, image repositories, log groups.
    Encryption keys are not emulated, and neither is what a bucket's settings do by themselves, such as expiry.

    Attributes:
        identity: The account's number.
        region: The region of its stacks.
    """

    def __init__(self, services: AwsServices, graphs: Sequence[Graph]) -> None:
        """Make what the graphs declare.

        Raises:
            Refusal: An object of a graph is not on this machine any more.
        """
        self._services = services
        (place,) = {place_of(graph) for graph in graphs}
        self.region, self.identity = place
        self._policies: dict[str, tuple[dict[str, Any], ...]] = {}
        self._credentials: dict[str, dict[str, str]] = {}
        self._roles_by_key: dict[str, str] = {}
        self._lock = threading.Lock()
        for graph in graphs:
            self._make(graph)

    def client(self, service: str) -> Any:  # noqa: ANN401 - made at run time
        """A client of the account's root user, for preparing and for looking."""
        return self._services.client(service, account=self.identity, region=self.region)

    def client_as(self, role: str, service: str) -> Any:  # noqa: ANN401 - made at run time
        """A client of somebody who has assumed a role."""
        return self._services.client_as(self.credentials(role), service)

    def credentials(self, role: str) -> dict[str, str]:
        """The environment variables of somebody who has assumed a role."""
        with self._lock:
            if role not in self._credentials:
                given = self._services.as_role(
                    role, self._policies.get(role, ()), account=self.identity, region=self.region
                )
                self._credentials[role] = given
                self._roles_by_key[given["AWS_ACCESS_KEY_ID"]] = role
            return self._credentials[role]

    def policies_of(self, access_key: str) -> Policies:
        """The policies of whoever was given an access key; none for an unknown one."""
        return self._policies.get(self._roles_by_key.get(access_key, ""), ())

    def keep_secret(self, name_or_arn: str, text: str) -> None:
        """Keep a secret, if there is none of this name; one that is known by its ARN has that one."""
        name = name_or_arn.partition(":secret:")[2] or name_or_arn
        try:
            self.client("secretsmanager").create_secret(Name=name, SecretString=text, Description=name_or_arn)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceExistsException":
                raise

    def _make(self, graph: Graph) -> None:
        self._policies |= policies_of(graph)
        s3, ecr, logs = self.client("s3"), self.client("ecr"), self.client("logs")
        for bucket in values_of(graph, "aws:s3/bucket:Bucket"):
            s3.create_bucket(Bucket=bucket["bucket"], CreateBucketConfiguration={"LocationConstraint": self.region})
        for item in values_of(graph, "aws:s3/bucketObjectv2:BucketObjectv2"):
            s3.put_object(Bucket=item["bucket"], Key=item["key"], Body=_content(item))
        for policy in values_of(graph, "aws:s3/bucketPolicy:BucketPolicy"):
            s3.put_bucket_policy(Bucket=policy["bucket"], Policy=policy["policy"])
        for repository in values_of(graph, "aws:ecr/repository:Repository"):
            given = {"imageTagMutability": repository["imageTagMutability"]}
            if repository.get("imageTagMutabilityExclusionFilters"):
                given["imageTagMutabilityExclusionFilters"] = [
                    {"filter": each["filter"], "filterType": each["filterType"]}
                    for each in repository["imageTagMutabilityExclusionFilters"]
                ]
            ecr.create_repository(repositoryName=repository["name"], **given)
        for policy in values_of(graph, "aws:ecr/repositoryPolicy:RepositoryPolicy"):
            ecr.set_repository_policy(repositoryName=policy["repository"], policyText=policy["policy"])
        for group in values_of(graph, "aws:cloudwatch/logGroup:LogGroup"):
            logs.create_log_group(logGroupName=group["name"])


def _content(item: Mapping[str, Any]) -> bytes:
    """The bytes of an object: its text, or the file whose hash the state keeps."""
    if item.get("content") is not None:
        return str(item["content"]).encode()
    asset = item["source"]
    file = Path(asset.get("path") or "")
    content = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(content).hexdigest() != asset["hash"]:
        raise Refusal(f"{item['key']} was deployed from {file}, which is not there any more as it was")
    return content
