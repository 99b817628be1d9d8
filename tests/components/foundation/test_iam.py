"""Statements refuse to be broad, and documents say what IAM expects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest
from samples import resolved

from components.foundation.iam import (
    ALWAYS_SENT,
    UNSCOPEABLE,
    UNSCOPED,
    PolicyError,
    Statement,
    policy_document,
    resource_policy,
    role_trust,
    service_trust,
    united,
)

IMAGES = "arn:aws:ecr:eu-west-1:123456789012:repository/shop"
ROLE = "arn:aws:iam::123456789012:role/shop-execution"
PASSED = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


def document(make: Callable[[], pulumi.Output[str]]) -> dict[str, Any]:
    return dict(json.loads(resolved(make)))


def statement(
    *,
    sid: str = "PullImage",
    actions: tuple[str, ...] = ("ecr:BatchGetImage",),
    resources: tuple[pulumi.Input[str], ...] = (IMAGES,),
    conditions: Mapping[str, Mapping[str, str]] | None = None,
) -> Statement:
    return Statement(sid=sid, actions=actions, resources=resources, conditions=conditions or {})


# Refusals


@pytest.mark.parametrize("sid", ["pull the image", "Pull-Image", "", "P" * 101, "Pull\n"])
def test_a_reason_in_anything_but_letters_and_digits_is_refused(sid: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        statement(sid=sid)
    assert str(refusal.value) == f"statement {sid!r}: a sid holds only letters and digits; name the reason in words"


@pytest.mark.parametrize(
    ("actions", "resources"), [((), (IMAGES,)), (("ecr:BatchGetImage",), ())], ids=["no action", "no resource"]
)
def test_a_statement_without_action_or_resource_is_refused(
    actions: tuple[str, ...], resources: tuple[str, ...]
) -> None:
    with pytest.raises(PolicyError) as refusal:
        statement(actions=actions, resources=resources)
    assert str(refusal.value) == "statement PullImage: name at least one action and one resource"


@pytest.mark.parametrize(
    "action", ["*", "ecr:*", "ecr:Get*", "ecr:GetImag?", "ecr", "ecr:", ":GetImage", "ecr:Get Image"]
)
def test_an_action_that_is_not_spelled_out_is_refused(action: str) -> None:
    """Pipelines that came with `ec2:*` or `codepipeline:*` were never narrowed; here they cannot be written."""
    with pytest.raises(PolicyError) as refusal:
        statement(actions=("ecr:BatchGetImage", action))
    assert str(refusal.value) == f"statement PullImage: action {action!r}: spell out 'service:Action', no wildcard"


@pytest.mark.parametrize(
    "everything",
    [
        "*",
        "**",
        "?*",
        "arn:*",
        "arn:aws:*",
        "arn:aws:s3:::*",
        "arn:aws:s3:::**",
        "arn:*:s3:::shop",
        "arn:aws:*:::shop",
        "",
    ],
)
def test_every_resource_is_refused_for_an_action_that_can_be_narrowed(everything: str) -> None:
    """There is more than one way to write "everything"; a scope needs a partition, a service and part of a name."""
    with pytest.raises(PolicyError) as refusal:
        statement(resources=(IMAGES, everything))
    assert str(refusal.value) == (
        f"statement PullImage: ecr:BatchGetImage on {everything!r}: name the ARNs it needs, or, if AWS offers no "
        "resource for it, add it to UNSCOPEABLE with the page that says so"
    )


@pytest.mark.parametrize(
    "some",
    [
        "arn:aws:ecs:eu-west-1:123456789012:task-set/shop/shop/*",
        "arn:aws:s3:::shop-static/public/*",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/github-??????",
        "arn:aws-cn:cloudfront::123456789012:distribution/E1",
    ],
)
def test_a_wildcard_behind_a_name_is_a_scope(some: str) -> None:
    assert statement(resources=(some,)).resources == (some,)


def test_one_action_that_can_be_narrowed_spoils_a_statement_on_every_resource() -> None:
    with pytest.raises(PolicyError, match=r"ecr:PutImage on '\*'"):
        statement(actions=("ecr:GetAuthorizationToken", "ecr:PutImage"), resources=("*",))


@pytest.mark.parametrize("action", sorted({**UNSCOPEABLE, **UNSCOPED}))
def test_an_action_that_aws_cannot_narrow_is_allowed_on_every_resource(action: str) -> None:
    assert statement(actions=(action,), resources=("*",)).resources == ("*",)


def test_the_list_of_actions_aws_cannot_narrow_is_short_and_says_where_aws_says_so() -> None:
    """Adding to it is a decision for a review, hence the full list here."""
    page = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_"
    assert dict(UNSCOPEABLE) == {
        "codedeploy:ContinueDeployment": f"{page}awscodedeploy.html",
        "codedeploy:StopDeployment": f"{page}awscodedeploy.html",
        "ec2:DescribeDhcpOptions": f"{page}amazonec2.html",
        "ec2:DescribeNetworkInterfaces": f"{page}amazonec2.html",
        "ec2:DescribeSecurityGroups": f"{page}amazonec2.html",
        "ec2:DescribeSubnets": f"{page}amazonec2.html",
        "ec2:DescribeVpcs": f"{page}amazonec2.html",
        "ecr:GetAuthorizationToken": f"{page}amazonelasticcontainerregistry.html",
        "ecs:DescribeTaskDefinition": f"{page}amazonelasticcontainerservice.html",
        "elasticloadbalancing:DescribeListeners": f"{page}elasticloadbalancing.html",
        "elasticloadbalancing:DescribeRules": f"{page}elasticloadbalancing.html",
        "elasticloadbalancing:DescribeTargetGroups": f"{page}elasticloadbalancing.html",
        "elasticloadbalancing:DescribeTargetHealth": f"{page}elasticloadbalancing.html",
        "inspector2:ListAccountPermissions": f"{page}amazoninspector2.html",
        "inspector2:ListCoverage": f"{page}amazoninspector2.html",
        "inspector2:ListFindings": f"{page}amazoninspector2.html",
        "logs:DescribeLogGroups": f"{page}amazoncloudwatchlogs.html",
        "ssmmessages:CreateControlChannel": f"{page}amazonmessagegatewayservice.html",
        "ssmmessages:CreateDataChannel": f"{page}amazonmessagegatewayservice.html",
        "ssmmessages:OpenControlChannel": f"{page}amazonmessagegatewayservice.html",
        "ssmmessages:OpenDataChannel": f"{page}amazonmessagegatewayservice.html",
    }


def test_the_list_of_what_is_not_scoped_names_aws_s_policy_or_a_report() -> None:
    """It is longer than least privilege wants, so adding to it is a decision for a review, too."""
    assert sorted(UNSCOPED) == [
        "cloudwatch:DescribeAlarms",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ecs:CreateTaskSet",
        "ecs:DeleteTaskSet",
        "ecs:ListTasks",
        "ecs:RegisterTaskDefinition",
        "ecs:UpdateServicePrimaryTaskSet",
        "signer:GetRevocationStatus",
    ]
    assert all(source.startswith("https://") for source in UNSCOPED.values())


@pytest.mark.parametrize("operator", ["StringEquals", "StringLike", "ArnEquals", "Bool", "ForAnyValue:StringEquals"])
def test_a_condition_on_a_key_that_a_request_may_lack_is_refused(operator: str) -> None:
    """CodePipeline's first use of a connection names no repository (cloudposse/terraform-aws-ecs-codepipeline#75)."""
    with pytest.raises(PolicyError) as refusal:
        statement(conditions={operator: {"ecr:ResourceTag/Team": "shop"}})
    assert str(refusal.value) == (
        f"statement PullImage: {operator} ecr:ResourceTag/Team: a request of ecr:BatchGetImage without "
        f"ecr:ResourceTag/Team is refused; write {operator}IfExists, or, if every request has it, add it to "
        "ALWAYS_SENT with what shows that"
    )


def test_a_condition_that_lets_a_request_without_the_key_pass_is_allowed() -> None:
    condition = {"StringEqualsIfExists": {"ecr:ResourceTag/Team": "shop"}}
    assert statement(conditions=condition).conditions == condition


def test_a_key_that_every_request_of_an_action_has_is_one_of_that_action_only() -> None:
    listing = {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:eu-west-1:123456789012:cluster/shop"}}
    assert statement(actions=("ecs:ListTasks",), resources=("*",), conditions=listing).conditions == listing
    with pytest.raises(PolicyError, match="a request of ecs:DescribeTasks without ecs:cluster is refused"):
        statement(actions=("ecs:DescribeTasks",), conditions=listing)


def test_what_shows_that_a_key_is_always_sent_is_named() -> None:
    assert all(source.startswith("https://") for source in ALWAYS_SENT.values())


@pytest.mark.parametrize(
    "conditions",
    [
        pytest.param({}, id="no condition"),
        pytest.param({"StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}}, id="another condition"),
        # Without the key in the request, ...IfExists lets everything through.
        pytest.param(
            {"StringEqualsIfExists": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}, id="only if it exists"
        ),
        pytest.param({"StringLike": {"iam:PassedToService": "*"}}, id="any service"),
    ],
)
def test_passing_a_role_to_any_service_is_refused(conditions: Mapping[str, Mapping[str, str]]) -> None:
    """CDK grants PassRole on every role to this day (aws-cdk#8303): whoever edits a task could then become anyone."""
    with pytest.raises(PolicyError) as refusal:
        statement(sid="PassTaskRoles", actions=("iam:PassRole",), resources=(ROLE,), conditions=conditions)
    assert str(refusal.value) == (
        "statement PassTaskRoles: iam:PassRole needs the condition StringEquals iam:PassedToService, "
        "the service that may receive the role"
    )


@pytest.mark.parametrize("action", ["iam:passrole", "iam:PASSROLE", "iam:passRole"])
def test_passing_a_role_is_seen_however_it_is_spelled(action: str) -> None:
    """IAM reads action names without regard to case."""
    with pytest.raises(PolicyError, match="iam:PassRole needs the condition StringEquals iam:PassedToService"):
        statement(sid="PassTaskRoles", actions=(action,), resources=(ROLE,))


def test_passing_a_role_to_a_named_service_is_allowed() -> None:
    passing = statement(sid="PassTaskRoles", actions=("iam:PassRole",), resources=(ROLE,), conditions=PASSED)
    assert passing.conditions == PASSED


def test_passing_every_role_is_refused_even_to_a_named_service() -> None:
    with pytest.raises(PolicyError, match=r"statement PassTaskRoles: iam:PassRole on '\*': name the ARNs it needs"):
        statement(sid="PassTaskRoles", actions=("iam:PassRole",), resources=("*",), conditions=PASSED)


def test_two_statements_for_one_reason_are_refused() -> None:
    """IAM would refuse the policy minutes later, and the reader could not tell which of the two is needed."""
    with pytest.raises(PolicyError) as refusal:
        policy_document([statement(sid="B"), statement(sid="A"), statement(sid="A"), statement(sid="B"), statement()])
    assert str(refusal.value) == "statements share the sid A, B; give each its own reason"


def test_what_is_allowed_for_one_reason_stands_once_with_all_of_its_resources() -> None:
    narrowed = {"StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}}
    several = [
        statement(sid="A", resources=("arn:aws:s3:::a",)),
        statement(sid="A", resources=("arn:aws:s3:::b",), conditions=narrowed),
        statement(sid="B", resources=("arn:aws:s3:::a",)),
        statement(sid="A", resources=("arn:aws:s3:::c",)),
    ]
    found = [(made.sid, made.resources, bool(made.conditions)) for made in united(several)]
    assert found == [
        ("A", ("arn:aws:s3:::a", "arn:aws:s3:::c"), False),
        ("A", ("arn:aws:s3:::b",), True),
        ("B", ("arn:aws:s3:::a",), False),
    ]


# Documents


def test_a_statement_without_conditions_renders_none() -> None:
    assert statement().render() == {
        "Sid": "PullImage",
        "Effect": "Allow",
        "Action": ["ecr:BatchGetImage"],
        "Resource": [IMAGES],
    }


def test_a_policy_holds_its_statements_in_order_with_outputs_resolved() -> None:
    made = document(
        lambda: policy_document(
            [
                statement(resources=(pulumi.Output.from_input(IMAGES), f"{IMAGES}-smoke-test")),
                statement(sid="PassTaskRoles", actions=("iam:PassRole",), resources=(ROLE,), conditions=PASSED),
            ]
        )
    )
    assert made == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "PullImage",
                "Effect": "Allow",
                "Action": ["ecr:BatchGetImage"],
                "Resource": [IMAGES, f"{IMAGES}-smoke-test"],
            },
            {
                "Sid": "PassTaskRoles",
                "Effect": "Allow",
                "Action": ["iam:PassRole"],
                "Resource": [ROLE],
                "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            },
        ],
    }


def test_a_service_may_take_a_role_only_for_this_account() -> None:
    """Else another customer of the service could have it act under our role (the confused deputy).

    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    trust = document(
        lambda: service_trust("ecs-tasks.amazonaws.com", account_id=pulumi.Output.from_input("123456789012"))
    )
    assert trust == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AssumedByService",
                "Effect": "Allow",
                "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
            }
        ],
    }


def test_a_service_that_says_for_what_it_acts_may_take_the_role_for_that_alone() -> None:
    project = "arn:aws:codebuild:eu-west-1:123456789012:project/shop-dev-build-image"
    trust = document(lambda: service_trust("codebuild.amazonaws.com", account_id="123456789012", source_arn=project))
    assert trust["Statement"][0]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnEquals": {"aws:SourceArn": project},
    }


def test_a_service_that_may_not_say_for_whom_it_acts_is_refused_another_account_only() -> None:
    """No page says that CodePipeline sends aws:SourceAccount; demanded, it would stop CreatePipeline."""
    rule = "arn:aws:events:eu-west-1:123456789012:rule/shop"
    trust = document(lambda: service_trust("events.amazonaws.com", account_id="123456789012", source_arn=rule))
    assert trust["Statement"][0]["Condition"] == {
        "StringEqualsIfExists": {"aws:SourceAccount": "123456789012"},
        "ArnEqualsIfExists": {"aws:SourceArn": rule},
    }


def test_named_roles_of_other_accounts_may_take_a_role_before_they_exist() -> None:
    """Named as the principal, a role that is not there yet is refused by AWS, and one that is made anew is a stranger.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    dev, test = "arn:aws:iam::210987654321:role/shop-dev", "arn:aws:iam::210987654321:role/shop-test"
    other = "arn:aws:iam::111122223333:role/ci/shop"
    assert json.loads(role_trust([test, dev, other])) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AssumedByNamedRoles",
                "Effect": "Allow",
                "Principal": {"AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::210987654321:root"]},
                "Action": "sts:AssumeRole",
                "Condition": {"ArnEquals": {"aws:PrincipalArn": [other, dev, test]}},
            }
        ],
    }


def test_a_policy_on_a_resource_is_taken_as_it_is() -> None:
    """There `*` means the resource itself, so the rules for statements of roles do not apply."""
    deny = {"Sid": "Deny", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [IMAGES]}
    assert document(lambda: resource_policy([{**deny, "Resource": [pulumi.Output.from_input(IMAGES)]}])) == {
        "Version": "2012-10-17",
        "Statement": [deny],
    }


def test_a_policy_of_plain_text_needs_nothing_to_wait_for() -> None:
    assert document(lambda: resource_policy([{"Resource": IMAGES}]))["Statement"] == [{"Resource": IMAGES}]


def test_outputs_are_written_where_they_stand_however_often() -> None:
    def program() -> pulumi.Output[str]:
        one, other = pulumi.Output.from_input("one"), pulumi.Output.from_input("other")
        return resource_policy([{"Resource": [other, one, other], "Condition": {"ArnEquals": {"aws:SourceArn": one}}}])

    assert document(program)["Statement"] == [
        {"Resource": ["other", "one", "other"], "Condition": {"ArnEquals": {"aws:SourceArn": "one"}}}
    ]


def test_what_is_neither_text_nor_an_output_cannot_become_policy() -> None:
    with pytest.raises(TypeError, match=r"a policy holds text, lists and outputs, not set: \{'s3:GetObject'\}"):
        resource_policy([{"Action": {"s3:GetObject"}}])
