"""What Amazon S3 asks for beside the permission for an object itself, as the stand-in for AWS has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types

from local.rehearsal.aws_services import REGION, AwsServices

BUCKET = "shop-artifacts"
KEY = f"arn:aws:kms:{REGION}:123456789012:key/0a1b2c3d"


def allowing(actions: list[str], resource: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]}


@pytest.fixture(scope="module")
def aws(need: Callable[..., None]) -> Iterator[AwsServices]:
    """A bucket with one object, encrypted with a key."""
    need("ministack")
    with AwsServices() as services:
        s3 = services.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}}
        s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
        s3.put_object(Bucket=BUCKET, Key="shop/Image/a", Body=b"there")
        yield services


def asked(aws: AwsServices, do: Callable[[Any], object], *policies: dict[str, Any]) -> str:
    """The code of the refusal; empty when there is none."""
    try:
        do(aws.client_as(aws.as_role("build", policies, region=REGION), "s3"))
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


OBJECTS = allowing(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{BUCKET}/shop/Image/*")
LISTING = allowing(["s3:ListBucket"], f"arn:aws:s3:::{BUCKET}")
DECRYPT, ENCRYPT = allowing(["kms:Decrypt"], KEY), allowing(["kms:GenerateDataKey"], KEY)


@pytest.mark.parametrize(
    ("policies", "code"), [((OBJECTS, DECRYPT), "AccessDenied"), ((OBJECTS, DECRYPT, LISTING), "NoSuchKey")]
)
def test_who_may_not_list_is_not_told_that_an_object_is_missing(
    aws: AwsServices, policies: tuple[dict[str, Any], ...], code: str
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html."""
    assert asked(aws, lambda s3: s3.get_object(Bucket=BUCKET, Key="shop/Image/gone"), *policies) == code


@pytest.mark.parametrize(
    ("policies", "code"), [((OBJECTS,), "AccessDenied"), ((OBJECTS, ENCRYPT), "AccessDenied"), ((OBJECTS, DECRYPT), "")]
)
def test_who_reads_an_encrypted_object_must_be_able_to_decrypt(
    aws: AwsServices, policies: tuple[dict[str, Any], ...], code: str
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html."""
    assert asked(aws, lambda s3: s3.get_object(Bucket=BUCKET, Key="shop/Image/a"), *policies) == code


@pytest.mark.parametrize(
    ("policies", "code"), [((OBJECTS,), "AccessDenied"), ((OBJECTS, DECRYPT), "AccessDenied"), ((OBJECTS, ENCRYPT), "")]
)
def test_who_stores_an_encrypted_object_must_be_able_to_encrypt(
    aws: AwsServices, policies: tuple[dict[str, Any], ...], code: str
) -> None:
    assert asked(aws, lambda s3: s3.put_object(Bucket=BUCKET, Key="shop/Image/b", Body=b"x"), *policies) == code


def test_no_other_artifact_is_reached(aws: AwsServices) -> None:
    everything_but = (OBJECTS, LISTING, DECRYPT, ENCRYPT)
    for key in ("shop/Deployment/a", "shop/Images/a", "other/Image/a"):
        assert asked(aws, lambda s3, key=key: s3.get_object(Bucket=BUCKET, Key=key), *everything_but) == "AccessDenied"  # type: ignore[misc]
        assert asked(aws, lambda s3, key=key: s3.put_object(Bucket=BUCKET, Key=key), *everything_but) == "AccessDenied"  # type: ignore[misc]
