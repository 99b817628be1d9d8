"""Commands are complete and can be pasted."""

from __future__ import annotations

import pulumi
from samples import resolved

from components.foundation.commands import aws_command


def test_a_command_has_its_options_and_its_region() -> None:
    command = resolved(
        lambda: aws_command("codepipeline", "get-pipeline", region="eu-west-1", name=pulumi.Output.from_input("shop"))
    )
    assert command == "aws codepipeline get-pipeline --name shop --region eu-west-1"


def test_a_value_is_quoted_where_the_shell_would_take_it_apart() -> None:
    command = resolved(lambda: aws_command("s3api", "list-buckets", region="eu-west-1", query="Buckets[?Name=='a b']"))
    assert command == """aws s3api list-buckets --query 'Buckets[?Name=='"'"'a b'"'"']' --region eu-west-1"""


def test_an_option_is_spelt_as_the_aws_cli_spells_it() -> None:
    command = resolved(lambda: aws_command("x", "y", region="eu-west-1", quota_code="L-0"))
    assert command == "aws x y --quota-code L-0 --region eu-west-1"
