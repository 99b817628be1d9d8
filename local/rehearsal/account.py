"""An AWS account on this machine as a deployed stack has left it: made from the stack's own graph."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types

from local.errors import Refusal
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.emulated import Caller, RolePolicies
from local.rehearsal.pipeline.triggers import rules_of
from local.rehearsal.resources import PIPELINE, PROJECT, Graph, place_of, policies_of, repositories_elsewhere, values_of


class Account:
    """The account and region of a deployed stack, made in the emulators.

    What it makes: buckets with their policies and objects, image repositories, log groups, and the roles that other
    accounts may assume; every other role as soon as somebody acts by it. A bucket that code is uploaded to is somebody
    else's: it is made as its owner has to have it.
    Of an encryption key only the permission to use it is emulated, and nothing that a bucket's settings do by
    themselves, such as expiry.

    Attributes:
        identity: The account's number.
        region: The stack's region.
        roles: The policy documents of each role by its name.
    """

    def __init__(self, services: AwsServices, graph: Graph) -> None:
        """Make what the graph declares.

        Raises:
            Refusal: An object of a graph is not on this machine any more.
        """
        self._services = services
        self.region, self.identity = place_of(graph)
        self.roles: dict[str, RolePolicies] = {}
        self._credentials: dict[str, dict[str, str]] = {}
        self._roles_by_key: dict[str, str] = {}
        self._lock = threading.Lock()
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
                    role, self.roles.get(role, ()), account=self.identity, region=self.region
                )
                self._credentials[role] = given
                self._roles_by_key[given["AWS_ACCESS_KEY_ID"]] = role
            return self._credentials[role]

    def caller_of(self, access_key: str) -> Caller:
        """Whoever was given an access key; somebody without any permission for an unknown one."""
        role = self._roles_by_key.get(access_key, "")
        return Caller(role, self.roles.get(role, ()))

    def keep_secret(self, name_or_arn: str, text: str) -> None:
        """Keep a secret, if there is none of this name; one that is known by its ARN has that one."""
        name = name_or_arn.partition(":secret:")[2] or name_or_arn
        try:
            self.client("secretsmanager").create_secret(Name=name, SecretString=text, Description=name_or_arn)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceExistsException":
                raise

    def _make(self, graph: Graph) -> None:
        self.roles |= policies_of(graph)
        ecr, logs = self.client("ecr"), self.client("logs")
        self._make_buckets(graph)
        for repository in values_of(graph, "aws:ecr/repository:Repository"):
            given = {
                "imageTagMutability": repository["imageTagMutability"],
                "imageScanningConfiguration": {"scanOnPush": repository["imageScanningConfiguration"]["scanOnPush"]},
            }
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
        for role in values_of(graph, "aws:iam/role:Role"):
            trust = json.loads(role["assumeRolePolicy"])
            if any("AWS" in statement["Principal"] for statement in trust["Statement"]):
                policies = self.roles.get(role["name"], ())
                self._services.make_role(role["name"], policies, account=self.identity, trust=trust)

    def _make_buckets(self, graph: Graph) -> None:
        s3 = self.client("s3")
        for bucket in values_of(graph, "aws:s3/bucket:Bucket"):
            s3.create_bucket(Bucket=bucket["bucket"], **_location(self.region))
        for item in values_of(graph, "aws:s3/bucketObjectv2:BucketObjectv2"):
            s3.put_object(Bucket=item["bucket"], Key=item["key"], Body=_content(item))
        _encrypt(s3, graph)
        for policy in values_of(graph, "aws:s3/bucketPolicy:BucketPolicy"):
            s3.put_bucket_policy(Bucket=policy["bucket"], Policy=policy["policy"])
        for name in _uploaded_to(graph):
            s3.create_bucket(Bucket=name, **_location(self.region))
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
            s3.put_bucket_notification_configuration(
                Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
            )


def make_repositories_elsewhere(services: AwsServices, graphs: Sequence[Graph]) -> None:
    """Make the repositories that roles of these stacks push to and that are another stack's, with nothing in them."""
    for repository in repositories_elsewhere(graphs):
        ecr = services.client("ecr", account=repository.account, region=repository.region)
        ecr.create_repository(repositoryName=repository.name)


def make_signing_profile(services: AwsServices, arn: str) -> None:
    """Make the signing profile of this ARN, which no stack makes, if there is none."""
    *_, region, account, resource = arn.split(":")
    client = services.client("signer", account=account, region=region)
    try:
        client.put_signing_profile(profileName=resource.rpartition("/")[2], platformId="Notation-OCI-SHA384-ECDSA")
    except ClientError as error:
        if "already exists" not in error.response["Error"]["Message"]:
            raise


def check_places(graphs: Mapping[str, Graph]) -> None:
    """Refuse stacks that are not where they can be rehearsed, or not where another one looks for them.

    Args:
        graphs: The graph of each stack by its name.

    Raises:
        Refusal: So it is; with the keys of the stack files that say where.
    """
    for name, graph in graphs.items():
        region, _ = place_of(graph)
        if region.startswith(("cn-", "us-gov-")):
            raise Refusal(f"{name} is in {region}, whose names are others: rehearse it with another aws:region")
        for repository, target in _promotions(graph):
            for other, watching in graphs.items():
                there = place_of(watching)
                watched = {known for rule in rules_of(watching) for known in rule.repositories}
                if other != name and repository in watched and there != target:
                    raise Refusal(
                        f"{name} promotes into {repository} of {_words(target)}, and {other} watches that of "
                        f"{_words(there)}, so that it would never start. Say where {other} is, in its stack file:\n"
                        f'  aws:region: {target[0]}\n  aws:allowedAccountIds: ["{target[1]}"]\n'
                        f"or correct accountId and region below ecs-delivery:promotion in that of {name}."
                    )


def _uploaded_to(graph: Graph) -> Iterator[str]:
    """The buckets that the pipeline's source actions fetch code from."""
    for pipeline in values_of(graph, PIPELINE):
        for stage in pipeline["stages"]:
            for action in stage["actions"]:
                if action["provider"] == "S3":
                    yield action["configuration"]["S3Bucket"]


def _promotions(graph: Graph) -> Iterator[tuple[str, tuple[str, str]]]:
    """The repositories that a stack promotes into, with region and account."""
    for project in values_of(graph, PROJECT):
        given = {item["name"]: item["value"] for item in project["environment"]["environmentVariables"]}
        if "TARGET_REGISTRY" in given:
            yield given["TARGET_REPOSITORY"], (given["TARGET_REGION"], given["TARGET_REGISTRY"])


def _words(place: tuple[str, str]) -> str:
    return f"account {place[1]} in {place[0]}"


def _location(region: str) -> dict[str, Any]:
    """Where a bucket is made, which must not be said of us-east-1.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucketConfiguration.html
    """
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def _encrypt(s3: Any, graph: Graph) -> None:  # noqa: ANN401 - made at run time
    """Have the buckets encrypt with the keys that the graph gives them."""
    kind = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    for item in values_of(graph, kind):
        by_default = [rule["applyServerSideEncryptionByDefault"] for rule in item["rules"]]
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": {
                    "SSEAlgorithm": rule["sseAlgorithm"],
                    "KMSMasterKeyID": rule["kmsMasterKeyId"],
                }
            }
            for rule in by_default
            if rule.get("kmsMasterKeyId")
        ]
        if rules:
            s3.put_bucket_encryption(Bucket=item["bucket"], ServerSideEncryptionConfiguration={"Rules": rules})


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
