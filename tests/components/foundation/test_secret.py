"""Whoever needs a secret gets its reference, the permission and the next step from one value."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest
from samples import resolved

from components.foundation.account import AwsAccount
from components.foundation.iam import policy_document
from components.foundation.secret import SecretReference

ARN = "arn:aws:secretsmanager:eu-central-1:210987654321:secret:shop/hook-AbCdEf"


def allowed(secret: SecretReference) -> dict[str, Any]:
    def document() -> pulumi.Output[str]:
        account = AwsAccount(pulumi.Output.from_input("arn:aws:kms:eu-west-1:123456789012:key/abc"))
        return policy_document([secret.read("ReadHook", account)])

    (statement,) = json.loads(resolved(document))["Statement"]
    found: dict[str, Any] = statement
    return found


def kept(secret: SecretReference) -> str:
    made = resolved(lambda: secret.keep("address", description="the address of a web hook", region="eu-west-1"))
    assert isinstance(made, str)
    return made


@pytest.mark.parametrize("secret", ["shop/hook", ARN])
def test_codebuild_gets_the_key_behind_the_secret(secret: str) -> None:
    assert SecretReference(name_or_arn=secret).value_from == secret
    assert SecretReference(name_or_arn=secret, key="url").value_from == f"{secret}:url"


def test_a_secret_given_by_name_has_six_more_characters_in_its_arn() -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_iam-permissions.html."""
    assert allowed(SecretReference(name_or_arn="shop/hook", key="url")) == {
        "Sid": "ReadHook",
        "Effect": "Allow",
        "Action": ["secretsmanager:GetSecretValue"],
        "Resource": ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/hook-??????"],
    }


def test_a_secret_given_by_arn_is_granted_as_it_is() -> None:
    assert allowed(SecretReference(name_or_arn=ARN))["Resource"] == [ARN]


def test_a_secret_given_by_name_is_still_to_be_made() -> None:
    assert kept(SecretReference(name_or_arn="shop/hook")) == (
        "Keep the address of a web hook in Secrets Manager: write the address into the file address.txt, and delete "
        "the file after: aws secretsmanager create-secret --name shop/hook --secret-string file://address.txt "
        "--region eu-west-1"
    )


def test_a_secret_given_by_arn_exists_in_its_own_region() -> None:
    assert kept(SecretReference(name_or_arn=ARN, key="url")) == (
        "Keep the address of a web hook in Secrets Manager: write the address, as JSON under the key url, into the "
        "file address.txt, and delete the file after: aws secretsmanager put-secret-value --secret-id "
        f"{ARN} --secret-string file://address.txt --region eu-central-1"
    )
