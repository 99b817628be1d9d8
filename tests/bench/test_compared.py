"""How the bench says what the two programs make."""

import pytest
from summary import program

from bench.compared import PARTS, REASONS, TYPES, compared
from bench.measure import BenchError

SAME = ["aws:s3/bucket:Bucket", "aws:s3/bucketVersioning:BucketVersioning", "ecs-delivery:index:Registry"]


def test_parts_and_components_are_no_resources_of_cloudformation() -> None:
    assert compared(SAME, ["AWS::S3::Bucket"]).startswith("1 resources of 1 types are the same here and there")


def test_what_one_of_them_has_more_of_is_told_with_the_reason() -> None:
    told = compared([*SAME, "aws:iam/role:Role"], ["AWS::S3::Bucket", "AWS::IAM::Role", "AWS::IAM::Role"])
    assert told.splitlines()[-1].split(maxsplit=3) == ["AWS::IAM::Role", "1", "2", REASONS["AWS::IAM::Role"]]


def test_a_twin_that_lacks_something_is_none() -> None:
    with pytest.raises(BenchError, match=r"AWS::S3::Bucket \(1 here, 0 there\)"):
        compared(SAME, [])


def test_every_type_of_the_dev_stack_has_its_type_in_cloudformation() -> None:
    """But for those of the network that awsx makes, which are not in this graph."""
    types = {made.type for made in program("dev") if made.type.startswith("aws:")}
    assert types <= {*TYPES, *PARTS}
