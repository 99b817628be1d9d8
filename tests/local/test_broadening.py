"""What is broader, by what policies allow: examples of each element, and an evaluator of requests as a judge."""

from __future__ import annotations

import fnmatch
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.rehearsal.emulated.access import Need, allows
from local.report.globs import Patterns, covered
from local.report.policies import broader, narrower, statements

OBJECTS = "arn:aws:s3:::shop-uploads/*"


def policy(*several: dict[str, Any], **values: object) -> str:
    said = several or ({"Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [OBJECTS], **values},)
    return json.dumps({"Version": "2012-10-17", "Statement": list(said)})


def trust(principal: object, **values: object) -> str:
    return policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **values})


def when(operator: str, values: object, key: str = "aws:SourceAccount") -> dict[str, Any]:
    return {"Condition": {operator: {key: values}}}


SERVICE = {"Service": "codebuild.amazonaws.com"}
ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
BROADER: dict[str, tuple[str, str, str]] = {
    "an action more": (policy(), policy(Action=["s3:GetObject", "s3:PutObject"]), "an action more"),
    "a wildcard in an action": (policy(), policy(Action="s3:Get*"), "an action more"),
    "a resource more": (policy(), policy(Resource=[OBJECTS, "arn:aws:s3:::logs/*"]), "a resource more"),
    "a wildcard in a resource": (policy(), policy(Resource="arn:aws:s3:::shop-*"), f"instead of `{OBJECTS}`"),
    "all resources": (policy(), policy(Resource="*"), f"instead of `{OBJECTS}`"),
    "a question mark": (
        policy(Resource="arn:aws:s3:::shop1"),
        policy(Resource="arn:aws:s3:::shop?"),
        "instead of `arn:aws:s3:::shop1`",
    ),
    "all but an action": (policy(), policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": OBJECTS}), ""),
    "all but a resource": (
        policy(),
        policy({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::x"}),
        "",
    ),
    "an exception less": (
        policy({"Effect": "Allow", "NotAction": ["iam:*", "kms:*"], "Resource": "*"}),
        policy({"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"}),
        "",
    ),
    "a condition that is gone": (
        policy(**when("StringEquals", ACCOUNT)),
        policy(),
        "the condition on `aws:SourceAccount` is taken away",
    ),
    "another value of a condition": (
        policy(**when("StringEquals", ACCOUNT)),
        policy(**when("StringEquals", [ACCOUNT, "210987654321"])),
        "the condition on `aws:SourceAccount` takes `210987654321`, too",
    ),
    "a pattern instead of a value": (
        policy(**when("StringEquals", ACCOUNT)),
        policy(**when("StringLike", "1*")),
        "whether the condition on `aws:SourceAccount` is narrower cannot be told",
    ),
    "a wider pattern": (
        policy(**when("ArnLike", "arn:aws:codebuild:*:123456789012:project/shop", "aws:SourceArn")),
        policy(**when("ArnLike", "arn:aws:codebuild:*:*:project/*", "aws:SourceArn")),
        "the condition on `aws:SourceArn` takes `arn:aws:codebuild:*:*:project/*`, too",
    ),
    "a key that may be missing": (
        policy(**when("StringEquals", ACCOUNT)),
        policy(**when("StringEqualsIfExists", ACCOUNT)),
        "a request without `aws:SourceAccount` meets the condition, too",
    ),
    "a value less that is kept out": (
        policy(**when("StringNotEquals", ["a", "b"])),
        policy(**when("StringNotEquals", ["a"])),
        "the condition on `aws:SourceAccount` keeps `b` out no more",
    ),
    "another operator": (
        policy(**when("StringEquals", ACCOUNT)),
        policy(**when("StringNotEquals", ACCOUNT)),
        "whether the condition on `aws:SourceAccount` is narrower cannot be told",
    ),
    "a wider network": (
        policy(**when("IpAddress", "10.0.0.0/16", "aws:SourceIp")),
        policy(**when("IpAddress", "10.0.0.0/8", "aws:SourceIp")),
        "the condition on `aws:SourceIp` takes `10.0.0.0/8`, too",
    ),
    "a higher limit": (
        policy(**when("NumericLessThan", "10", "s3:max-keys")),
        policy(**when("NumericLessThan", "100", "s3:max-keys")),
        "the condition on `s3:max-keys` takes `100`, too",
    ),
    "any of the values instead of all": (
        policy(**when("ForAllValues:StringEquals", ["a"], "aws:TagKeys")),
        policy(**when("ForAnyValue:StringEquals", ["a"], "aws:TagKeys")),
        "whether the condition on `aws:TagKeys` is narrower cannot be told",
    ),
    "another service": (
        trust(SERVICE),
        trust({"Service": ["codebuild.amazonaws.com", "ec2.amazonaws.com"]}),
        "so far `codebuild.amazonaws.com` alone",
    ),
    "another account": (trust(SERVICE), trust({**SERVICE, "AWS": ACCOUNT}), "so far `codebuild.amazonaws.com` alone"),
    "everybody": (trust({"AWS": ROOT}), trust("*"), f"so far `{ROOT}` alone"),
    "a role of an account that may allow it itself": (
        trust({"AWS": ROOT}),
        trust({"AWS": [ROOT, f"arn:aws:iam::{ACCOUNT}:role/x"]}),
        f"so far `{ROOT}` alone",
    ),
    "all but fewer": (
        policy({"Effect": "Allow", "NotPrincipal": {"AWS": ["arn:a", "arn:b"]}, "Action": "s3:*", "Resource": "*"}),
        policy({"Effect": "Allow", "NotPrincipal": {"AWS": ["arn:a"]}, "Action": "s3:*", "Resource": "*"}),
        "so far `arn:a, arn:b` alone",
    ),
    "a denial less": (
        policy({"Sid": "No", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}),
        policy({"Sid": "Yes", "Effect": "Deny", "Action": "sqs:*", "Resource": "*"}),
        "nothing else denies it",
    ),
    "a denial with a condition": (
        policy({"Sid": "No", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}),
        policy({"Sid": "No", "Effect": "Deny", "Action": "s3:*", "Resource": "*", **when("Bool", "false", "k")}),
        "",
    ),
    "a statement that nothing was like": (
        policy(),
        policy({"Sid": "New", "Effect": "Allow", "Action": "iam:CreateUser", "Resource": "*"}),
        "nothing allowed it before",
    ),
}
NO_BROADER: dict[str, tuple[str, str]] = {
    "another order": (policy(Action=["s3:GetObject", "s3:PutObject"]), policy(Action=["s3:PutObject", "s3:GetObject"])),
    "another case of an action": (policy(), policy(Action="S3:getobject")),
    "another name": (policy(), policy(Sid="Other")),
    "a list of one": (policy(), policy(Action="s3:GetObject", Resource=OBJECTS)),
    "what a wildcard has allowed": (policy(Action="s3:*"), policy()),
    "what a wildcard in the middle has allowed": (
        policy(Resource="arn:aws:s3:::shop-*/public/*"),
        policy(Resource="arn:aws:s3:::shop-eu/public/css/*"),
    ),
    "two statements of one": (
        policy(Action=["s3:GetObject", "s3:PutObject"]),
        policy(
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": OBJECTS},
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": OBJECTS},
        ),
    ),
    "one statement of two with a value each": (
        policy(
            {"Effect": "Allow", "Action": "s3:*", "Resource": "*", **when("StringEquals", "a")},
            {"Effect": "Allow", "Action": "s3:*", "Resource": "*", **when("StringEquals", "b")},
        ),
        policy({"Effect": "Allow", "Action": "s3:*", "Resource": "*", **when("StringEquals", ["a", "b"])}),
    ),
    "a condition more": (policy(), policy(**when("StringEquals", ACCOUNT))),
    "a key in another case": (
        policy(**when("StringEquals", ACCOUNT)),
        policy(**when("StringEquals", ACCOUNT, "AWS:sourceaccount")),
    ),
    "a value less": (policy(**when("StringEquals", ["a", "b"])), policy(**when("StringEquals", ["a"]))),
    "a value instead of a pattern": (policy(**when("StringLike", "a*")), policy(**when("StringEquals", "ab"))),
    "a key that may no longer be missing": (
        policy(**when("StringEqualsIfExists", "a")),
        policy(**when("StringEquals", "a")),
    ),
    "a value more that is kept out": (
        policy(**when("StringNotEquals", ["a"])),
        policy(**when("StringNotEquals", ["a", "b"])),
    ),
    "a narrower network": (
        policy(**when("IpAddress", "10.0.0.0/8", "aws:SourceIp")),
        policy(**when("IpAddress", ["10.1.0.0/16", "10.2.0.0/16"], "aws:SourceIp")),
    ),
    "a lower limit": (
        policy(**when("NumericLessThanEquals", "10", "s3:max-keys")),
        policy(**when("NumericLessThanEquals", "5", "s3:max-keys")),
    ),
    "a truth in another form": (
        policy(**when("Bool", "true", "aws:SecureTransport")),
        policy(**when("Bool", values=True, key="aws:SecureTransport")),
    ),
    "an account by its root": (trust({"AWS": ACCOUNT}), trust({"AWS": ROOT})),
    "somebody instead of everybody": (trust("*"), trust({"AWS": f"arn:aws:iam::{ACCOUNT}:role/x"})),
    "an exception more": (
        policy({"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"}),
        policy({"Effect": "Allow", "NotAction": ["iam:*", "kms:*"], "Resource": "*"}),
    ),
    "an action that was not excepted": (
        policy({"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"}),
        policy({"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}),
    ),
    "what is denied all the same": (
        policy(),
        policy(
            {"Effect": "Allow", "Action": ["s3:GetObject", "iam:CreateUser"], "Resource": OBJECTS},
            {"Effect": "Deny", "Action": "iam:*", "Resource": "*"},
        ),
    ),
    "a denial more": (
        policy(),
        policy(*json.loads(policy())["Statement"], {"Effect": "Deny", "Action": "*", "Resource": "*"}),
    ),
    "a policy variable": (policy(Resource="arn:aws:s3:::home/*"), policy(Resource="arn:aws:s3:::home/${aws:username}")),
    "a star that is one": (policy(Resource="arn:aws:s3:::a?"), policy(Resource="arn:aws:s3:::a${*}")),
}


@pytest.mark.parametrize("name", BROADER)
def test_what_is_broader_is_found_with_the_reason(name: str) -> None:
    old, new, reason = BROADER[name]
    (excess,) = broader(statements(old), statements(new))
    assert not reason or excess.reasons == (reason,)


@pytest.mark.parametrize("name", NO_BROADER)
def test_what_allows_no_more_is_not_broader(name: str) -> None:
    old, new = NO_BROADER[name]
    assert list(broader(statements(old), statements(new))) == []


def test_what_is_narrower_is_broader_the_other_way_round() -> None:
    old, new, _ = BROADER["a wildcard in a resource"]
    assert [each.resources for each in narrower(statements(new), statements(old))] == [("arn:aws:s3:::shop-*",)]


@pytest.mark.parametrize("text", ["[]", "{}", '"Statement"'])
def test_a_text_that_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a policy document has a Statement"):
        statements(text)


def test_a_variable_is_no_character() -> None:
    """It stands for a text of any length."""
    assert not covered(Patterns(("a${aws:username}",)), [Patterns(("a?",))])
    assert not covered(Patterns(("a*",)), [Patterns(("a${aws:username}",))])


TEXTS = st.text("ab*?", max_size=6)
WORDS = ["".join(letters) for size in range(6) for letters in itertools.product("abc", repeat=size)]


@given(st.lists(TEXTS, min_size=1, max_size=3), st.lists(TEXTS, min_size=1, max_size=3), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=150, derandomize=True)
def test_patterns_cover_what_they_match(inner: list[str], outer: list[str], one: bool, other: bool) -> None:
    """Against the words that they match: Python's own matching knows both wildcards."""

    def matched(word: str, texts: list[str], negated: bool) -> bool:
        return any(fnmatch.fnmatchcase(word, text) for text in texts) != negated

    expected = all(matched(word, outer, other) for word in WORDS if matched(word, inner, one))
    answer = covered(Patterns(tuple(inner), one), [Patterns(tuple(outer), other)])
    # A word that tells them apart may be longer than those that are tried.
    assert answer == expected or (expected and not answer and max(map(len, inner + outer)) > 4)


ACTIONS = ["s3:GetObject", "s3:PutObject", "sqs:SendMessage"]
RESOURCES = ["arn:aws:s3:::a/1", "arn:aws:s3:::a/2", "arn:aws:s3:::b/1"]
CONDITIONS: list[dict[str, Any]] = [
    {},
    {"Condition": {"StringEquals": {"aws:RequestTag/team": ["x"]}}},
    {"Condition": {"StringEquals": {"aws:RequestTag/team": ["x", "y"]}}},
    {"Condition": {"StringNotEquals": {"aws:RequestTag/team": ["x"]}}},
    {"Condition": {"StringLike": {"aws:RequestTag/team": ["x*"]}}},
]
STATEMENTS = st.builds(
    lambda effect, actions, resources, condition: {
        "Effect": effect,
        "Action": actions,
        "Resource": resources,
        **condition,
    },
    st.sampled_from(["Allow", "Allow", "Allow", "Deny"]),
    st.lists(st.sampled_from([*ACTIONS, "s3:*", "s3:Get*", "*"]), min_size=1, max_size=2),
    st.lists(st.sampled_from([*RESOURCES, "arn:aws:s3:::a/*", "arn:aws:s3:::?/1", "*"]), min_size=1, max_size=2),
    st.sampled_from(CONDITIONS),
)


@given(st.lists(STATEMENTS, min_size=1, max_size=3), st.lists(STATEMENTS, min_size=1, max_size=3))
@settings(deadline=None, max_examples=120, derandomize=True)
def test_where_nothing_is_broader_no_request_is_allowed_more(old: list[Any], new: list[Any]) -> None:
    """Against the evaluator that the rehearsal's services ask."""
    if list(broader(statements({"Statement": old}), statements({"Statement": new}))):
        return
    before, after = ([{"Version": "2012-10-17", "Statement": each}] for each in (old, new))
    for action, resource, team in itertools.product(ACTIONS, RESOURCES, ["x", "y", "xy", ""]):
        need = Need(action, resource, {"aws:RequestTag/team": team} if team else {})
        if allows(after, need, account=ACCOUNT, region="eu-west-1"):
            assert allows(before, need, account=ACCOUNT, region="eu-west-1"), need
