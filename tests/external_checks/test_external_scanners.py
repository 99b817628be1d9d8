"""Every graph, judged by checkov, cdk-nag and cloudsplaining: what they find is mended, or says why it stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from mocked import Graph, build_program
from scanners import Found, checkov, cloudsplaining, nag, reasons
from stack_graphs import NAMES, described, graph
from terraform_plan import terraform_type

SCANNERS = ("checkov", "cdk-nag", "cloudsplaining")
MENDED = {
    ("checkov", "CKV2_AWS_11", "prod:aws_vpc."): "hosting.network.flowLogs",
    ("checkov", "CKV2_AWS_28", "ecs-blue-green:aws_lb."): "hosting.loadBalancer.webAclArn",
    ("checkov", "CKV_AWS_18", "prod:aws_s3_bucket.shop-artifacts-bucket"): "retention.artifactAccessLogs",
    ("checkov", "CKV_AWS_18", "everything-on:aws_s3_bucket.shop-artifacts-bucket"): "retention.artifactAccessLogs",
    ("cdk-nag", "AwsSolutions-S1", "prod:ShopArtifactsBucket"): "retention.artifactAccessLogs",
}
"""Findings that a key of the stack file mends: other stacks, which lack it, have them."""


@pytest.fixture(scope="module")
def found(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Found]]:
    need("cdk")
    graphs: dict[str, Graph] = {name: graph(name) for name in NAMES}
    return {
        "checkov": checkov(graphs, tmp_path_factory.mktemp("plans")),
        "cdk-nag": nag({name: described(name) for name in NAMES}, tmp_path_factory.mktemp("nag")),
        "cloudsplaining": cloudsplaining(graphs),
    }


@pytest.mark.parametrize("scanner", SCANNERS)
def test_what_a_scanner_finds_has_a_reason_to_stay(found: dict[str, list[Found]], scanner: str) -> None:
    """Mend it; what is to stay gets a row in scanner_reasons.tsv."""
    why = reasons()
    unexplained = [str(each) for each in found[scanner] if not any(reason.explains(each) for reason in why)]
    assert not unexplained, "\n".join(unexplained)


def test_every_reason_is_still_needed(found: dict[str, list[Found]]) -> None:
    every = [each for of_one in found.values() for each in of_one]
    assert [str(reason) for reason in reasons() if not any(map(reason.explains, every))] == []


def test_every_reason_is_of_one_scanner_and_a_sentence() -> None:
    for reason in reasons():
        assert reason.scanner in SCANNERS
        assert reason.reason[:1].isupper(), reason
        assert reason.reason.endswith(".") or "https://" in reason.reason, reason
    assert [row for row, times in Counter(map(str, reasons())).items() if times > 1] == []


@pytest.mark.parametrize("mended", MENDED, ids=" ".join)
def test_a_key_of_the_stack_file_mends_a_finding(found: dict[str, list[Found]], mended: tuple[str, str, str]) -> None:
    """So no row can excuse what prod has switched on."""
    scanner, check, where = mended
    same = [each for each in found[scanner] if each.check == check]
    assert [str(each) for each in same if each.where.startswith(where)] == []
    assert [each for each in same if each.where.partition(":")[2].startswith(where.partition(":")[2])], "elsewhere"


def test_a_fault_that_is_planted_is_found_by_each_scanner(
    need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A bucket that anybody may reach, under no key: its settings are gone from the graph."""
    need("cdk")
    small = {
        "ecs-delivery:application": {"name": "shop"},
        "ecs-delivery:source": {"github": {"repository": "example/shop"}},
        "ecs-delivery:hosting": {"loadBalancer": {"plainHttp": True}},
    }
    faulty = build_program(small)
    for kind in ("BucketPublicAccessBlock", "BucketServerSideEncryptionConfiguration", "BucketPolicy"):
        for item in faulty.of(kind):
            del faulty.resources[item.urn]
    policy = faulty.one("RolePolicy", "shop-build-image-policy")
    policy.inputs["policy"] = policy.inputs["policy"].replace('"ecr:PutImage"', '"iam:CreatePolicyVersion", "ecr:*"')  # type: ignore[index]  # a mapping that is a dict
    policy.inputs["policy"] = policy.inputs["policy"].replace('"Resource": [', '"Resource": ["*", ')  # type: ignore[index]  # likewise
    graphs = {"faulty": faulty}
    seen = [
        *checkov(graphs, tmp_path_factory.mktemp("plans")),
        *nag({"faulty": [item.as_dict() for item in faulty]}, tmp_path_factory.mktemp("nag")),
        *cloudsplaining(graphs),
    ]
    why = reasons()
    new = {(each.scanner, each.check) for each in seen if not any(reason.explains(each) for reason in why)}
    assert {
        ("checkov", "CKV2_AWS_6"),
        ("checkov", "CKV_AWS_145"),
        ("cdk-nag", "AwsSolutions-S10"),
        ("cdk-nag", "AwsSolutions-IAM5"),
        ("cloudsplaining", "service_wildcard"),
        ("cloudsplaining", "allows_privilege_escalation"),
    } <= new


@pytest.mark.parametrize(
    ("token", "type_"),
    [
        ("aws:s3/bucketPolicy:BucketPolicy", "aws_s3_bucket_policy"),
        ("aws:ec2/securityGroup:SecurityGroup", "aws_security_group"),
        ("aws:codepipeline/pipeline:Pipeline", "aws_codepipeline"),
        ("aws:servicediscovery/service:Service", "aws_service_discovery_service"),
        ("aws:wafv2/webAclAssociation:WebAclAssociation", "aws_wafv2_web_acl_association"),
    ],
)
def test_a_resource_is_of_terraform_s_type(token: str, type_: str) -> None:
    assert terraform_type(token) == type_
