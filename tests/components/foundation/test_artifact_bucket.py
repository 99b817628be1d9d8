"""The artifact bucket: private, encrypted with the stack's key, and only as large as its runs."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pulumi
import pytest
from mocked import Graph, build
from samples import BUCKET, KEY, TAGS, artifact_bucket, foundation

from components.foundation.artifact_bucket import ArtifactBucket, artifact_folder, artifact_prefix
from components.foundation.iam import policy_document

OBJECTS = f"arn:aws:s3:::{BUCKET}/*"


@cache
def bucket(*, protect: bool = False) -> Graph:
    return build(lambda: artifact_bucket(foundation(protect=protect)))


def inputs(type_: str) -> dict[str, Any]:
    return dict(bucket().one(type_).inputs)


def policy(type_: str) -> dict[str, dict[str, Any]]:
    document = json.loads(inputs(type_)["policy"])
    assert document["Version"] == "2012-10-17"
    return {statement["Sid"]: statement for statement in document["Statement"]}


def granted(bucket_of: ArtifactBucket) -> pulumi.Output[str]:
    return policy_document(bucket_of.read_write())


# Bucket


def test_the_bucket_is_private_in_all_four_ways() -> None:
    assert inputs("BucketPublicAccessBlock") == {
        "bucket": BUCKET,
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }


def test_requests_are_logged_into_a_bucket_that_takes_nothing_but_the_logs_of_this_one() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html"""
    graph = build(lambda: artifact_bucket(foundation(), access_logs=True))
    logs, logging = "artifacts-access-logs-bucket-1a2b3c4", graph.one("BucketLogging")
    assert logging.inputs == {"bucket": BUCKET, "targetBucket": logs, "targetPrefix": "artifacts/"}
    policy = graph.one("BucketPolicy", "artifacts-access-logs-policy")
    assert policy.urn in logging.dependencies
    deny, allow = json.loads(policy.inputs["policy"])["Statement"]
    assert (deny["Sid"], deny["Effect"]) == ("DenyPlainHttp", "Deny")
    assert allow == {
        "Sid": "AddAccessLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{logs}/artifacts/*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{BUCKET}"},
            "StringEquals": {"aws:SourceAccount": "123456789012"},
        },
    }
    (rule,) = graph.one("BucketServerSideEncryptionConfiguration", "artifacts-access-logs-encryption").inputs["rules"]
    assert rule == {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}, (
        "S3 writes logs under no other key"
    )
    (rule,) = graph.one("BucketLifecycleConfiguration", "artifacts-access-logs-lifecycle").inputs["rules"]
    assert rule["expiration"] == {"days": 365}


def test_no_requests_are_logged_unasked() -> None:
    assert bucket().of("BucketLogging") == []
    assert len(bucket().of("aws:s3/bucket:Bucket")) == 1


def test_access_control_lists_are_off() -> None:
    assert inputs("BucketOwnershipControls") == {
        "bucket": BUCKET,
        "rule": {"objectOwnership": "BucketOwnerEnforced"},
    }


def test_the_bucket_is_versioned() -> None:
    """CodePipeline's S3 and rollback actions refer to versions of an object."""
    assert inputs("BucketVersioning") == {"bucket": BUCKET, "versioningConfiguration": {"status": "Enabled"}}


def test_every_object_is_encrypted_with_the_key_of_the_stack() -> None:
    assert inputs("BucketServerSideEncryptionConfiguration") == {
        "bucket": BUCKET,
        "rules": [
            {
                "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY},
                "bucketKeyEnabled": True,
            }
        ],
    }


def test_artifacts_expire_and_the_task_definitions_template_does_not() -> None:
    """The template is read by every later run; expired, it would stop all deployments a month after the last `up`."""
    assert inputs("BucketLifecycleConfiguration") == {
        "bucket": BUCKET,
        "rules": [
            {
                "id": "expire-artifacts",
                "status": "Enabled",
                "filter": {"prefix": "shop-dev/"},
                "expiration": {"days": 30},
            },
            {
                "id": "expire-what-was-replaced",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "noncurrentVersionExpiration": {"noncurrentDays": 30},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 1},
            },
        ],
    }


@pytest.mark.parametrize(
    ("pipeline", "folder"),
    [("shop-dev", "shop-dev"), ("a" * 20, "a" * 20), ("customer-portal-staging", "customer-portal-stag")],
)
def test_the_folder_of_a_pipeline_is_the_start_of_its_name(pipeline: str, folder: str) -> None:
    """CodePipeline cuts the name at 20 characters; rules for the whole name would match nothing."""
    assert artifact_prefix(pipeline) == folder


def test_the_folder_of_a_long_name_is_the_one_that_expires_and_the_one_that_is_granted() -> None:
    def program() -> None:
        base = foundation(prefix="customer-portal-staging", artifact_days=7)
        pulumi.export("policy", granted(artifact_bucket(base)))

    graph = build(program)
    assert graph.one("BucketLifecycleConfiguration").inputs["rules"][0]["filter"] == {"prefix": "customer-portal-stag/"}
    exchange = json.loads(graph.exports["policy"])["Statement"][0]
    assert exchange["Resource"] == [f"arn:aws:s3:::{BUCKET}/customer-portal-stag/*"]


# Policies


def test_the_bucket_refuses_plain_http_other_accounts_and_other_keys() -> None:
    denied = policy("BucketPolicy")
    assert list(denied) == ["DenyPlainHttp", "DenyOtherAccounts", "DenyOtherKeys"]
    assert denied["DenyPlainHttp"] == {
        "Sid": "DenyPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{BUCKET}", OBJECTS],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    assert denied["DenyOtherAccounts"] == {
        "Sid": "DenyOtherAccounts",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{BUCKET}", OBJECTS],
        "Condition": {
            "StringNotEquals": {"aws:PrincipalAccount": "123456789012"},
            "Bool": {"aws:PrincipalIsAWSService": "false"},
        },
    }


def test_an_object_under_any_other_encryption_is_refused() -> None:
    """Without a header S3 takes the bucket's key. With one, whatever it says, the key must be named and be ours:
    a header that asks for AES256, or for KMS without a key, names none, and a `Not` operator matches what is missing.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    assert policy("BucketPolicy")["DenyOtherKeys"] == {
        "Sid": "DenyOtherKeys",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": [OBJECTS],
        "Condition": {
            "Null": {"s3:x-amz-server-side-encryption": "false"},
            "ArnNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": KEY},
        },
    }


def test_who_exchanges_artifacts_reaches_nothing_else_of_the_bucket() -> None:
    """Not the task definition's template either: a build that could rewrite it would choose the roles of the tasks."""
    graph = build(lambda: pulumi.export("policy", granted(artifact_bucket())))
    assert json.loads(graph.exports["policy"])["Statement"] == [
        {
            "Sid": "ExchangeArtifacts",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectAcl"],
            "Resource": [f"arn:aws:s3:::{BUCKET}/shop-dev/*"],
        },
        {
            "Sid": "FindArtifactBucket",
            "Effect": "Allow",
            "Action": ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{BUCKET}"],
        },
        {
            "Sid": "UseArtifactKey",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"],
            "Resource": [KEY],
        },
    ]


def test_one_object_outside_the_artifacts_can_be_granted_for_reading() -> None:
    def program() -> None:
        pulumi.export("policy", policy_document([artifact_bucket().read("ReadTemplate", "templates/a.json")]))

    assert json.loads(build(program).exports["policy"])["Statement"] == [
        {
            "Sid": "ReadTemplate",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{BUCKET}/templates/a.json"],
        }
    ]


@pytest.mark.parametrize(
    ("pipeline", "artifact", "folder"),
    [
        ("myPipeline", "SourceArtifact", "myPipeline/SourceArti"),
        ("CodeBuild-Python-Pip", "SourceArtifact", "CodeBuild-Python-Pip/SourceArti"),
        ("MySecondPipeline", "MyAppBuild", "MySecondPipeline/MyAppBuild"),
        ("customer-portal-staging", "Image", "customer-portal-stag/Image"),
    ],
)
def test_the_folder_of_an_artifact_is_as_in_the_examples_of_aws(pipeline: str, artifact: str, folder: str) -> None:
    """https://docs.aws.amazon.com/code-library/latest/ug/cli_2_codepipeline_code_examples.html, and of CodeBuild
    https://github.com/aws/aws-cli/blob/develop/awscli/examples/codebuild/batch-get-builds.rst.
    """
    assert artifact_folder(pipeline, artifact) == folder


def test_what_is_kept_outside_the_artifacts_is_found_in_its_own_folder_alone() -> None:
    """Without a permission to list, an object that is missing looks like one that is forbidden."""
    graph = build(lambda: pulumi.export("policy", policy_document(artifact_bucket().keep("Records", "_tasks/before"))))
    assert json.loads(graph.exports["policy"])["Statement"] == [
        {
            "Sid": "KeepRecords",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": [f"arn:aws:s3:::{BUCKET}/_tasks/before/*"],
        },
        {
            "Sid": "FindRecords",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{BUCKET}"],
            "Condition": {"StringLike": {"s3:prefix": "_tasks/before/*"}},
        },
        {"Sid": "EncryptRecords", "Effect": "Allow", "Action": ["kms:GenerateDataKey"], "Resource": [KEY]},
    ]


# Life and death


@pytest.mark.parametrize("protect", [False, True], ids=["dev", "prod"])
def test_a_bucket_is_kept_exactly_where_it_should_be(*, protect: bool) -> None:
    """A dev stack leaves nothing behind on destroy (aws-cdk#36624), a prod stack cannot lose what it holds."""
    made = bucket(protect=protect).one("Bucket")
    assert made.inputs == {"forceDestroy": not protect, "tags": TAGS}
    assert made.protect is protect


def test_the_policy_waits_for_the_access_block() -> None:
    """S3 refuses two changes of a bucket's access at the same moment."""
    graph = bucket()
    assert graph.one("BucketPublicAccessBlock").urn in graph.one("BucketPolicy").dependencies


def test_the_bucket_is_what_the_component_offers() -> None:
    graph = bucket()
    component = graph.one("ecs-delivery:index:ArtifactBucket")
    assert graph.registered_outputs[component.urn] == {"bucket": BUCKET}
    assert len(graph.children(component)) == 7
    assert graph.invokes == []
