"""Every policy document of a graph, judged by parliament."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache

import pytest
from planted_faults import NOTHING, Fault
from policies import Finding, actions, findings, policies
from stack_graphs import NAMES, described

from components.foundation.iam import UNSCOPED
from local.aws_models import service_model

NEWER_THAN_PARLIAMENT: Mapping[str, tuple[str, str]] = {
    "ecs:ContinueServiceDeployment": ("ecs", "ContinueServiceDeployment"),
    "ecs:StopServiceDeployment": ("ecs", "StopServiceDeployment"),
}
"""Actions that parliament's list lacks -> the operation in AWS's own service model that proves there is one."""

EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("CREDENTIALS_EXPOSURE", "ecr:getauthorizationtoken"): (
        "an image job signs in to the registry; what the token is good for is granted per repository"
    ),
    ("CREDENTIALS_EXPOSURE", "sts:assumerole"): (
        "what a trust policy is there to allow; the one role policy with it names the promotion role"
    ),
    ("MALFORMED", "DenyPushOfOthers: Statement contains neither Resource nor NotResource"): (
        "a policy of a repository is about that repository, and has no Resource in any of AWS's examples: "
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html"
    ),
    (
        "MISMATCHED_TYPE",
        "EncryptLogsOfThisAccount: Type mismatch: ArnLike requires a value of type Arn but given String",
    ): (
        "the encryption context of CloudWatch Logs is an ARN, and AWS documents the condition this way: "
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"
    ),
    ("PERMISSIONS_MANAGEMENT_ACTIONS", "ec2:createnetworkinterfacepermission"): (
        "a build in a VPC hands its network interface to CodeBuild; the condition holds it to that and to the subnets"
    ),
    ("PERMISSIONS_MANAGEMENT_ACTIONS", "iam:passrole"): (
        "who registers a task definition hands over its roles; iam.py holds it to those roles and to ECS tasks"
    ),
    ("PERMISSIONS_MANAGEMENT_ACTIONS", "kms:*"): (
        "AWS's default key policy: without it nobody could ever change the key again"
    ),
    ("PERMISSIONS_MANAGEMENT_ACTIONS", "s3:putobjectacl"): (
        "CodePipeline stores a source with an access control list, which the bucket takes and does not heed"
    ),
    ("RESOURCE_MISMATCH", "AccountDecidesByIam: kms:*"): (
        "AWS's default key policy names kms:*, of which some actions concern no key"
    ),
    ("RESOURCE_MISMATCH", "PullThroughCache: ecr:BatchImportUpstreamImage *"): (
        "granted on the cache's repositories, as AWS documents it: "
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html"
    ),
    ("RESOURCE_MISMATCH", "ShiftTraffic: elasticloadbalancing:ModifyListener *:listener/net/*"): (
        "parliament wants every kind of listener named; traffic is shifted on an application load balancer"
    ),
    ("RESOURCE_MISMATCH", "ShiftTrafficOfRules: elasticloadbalancing:ModifyRule *:listener-rule/net/*"): (
        "parliament wants every kind of rule named; traffic is shifted on an application load balancer"
    ),
    **{
        ("RESOURCE_STAR", f"*: {action}"): f"components/foundation/iam.py says why, and names {source}"
        for action, source in UNSCOPED.items()
        # Its list says of this one that it can be allowed on * only.
        if action != "ecs:CreateTaskSet"
    },
}
"""Issue and subject (``*`` for any text) of a finding that stays -> why."""

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
PUSH_IMAGE = ("policy", "Statement", {"Sid": "PushImage"})

FAULTS: Mapping[str, Fault] = {
    "an action nobody knows": Fault(
        type=ROLE_POLICY,
        name="build-image-policy",
        at=(*PUSH_IMAGE, "Action"),
        value=["ecr:PutImages"],
        finding="UNKNOWN_ACTION: PushImage: Unknown action ecr:PutImages",
    ),
    "a service nobody knows": Fault(
        type=ROLE_POLICY,
        name="build-image-policy",
        at=(*PUSH_IMAGE, "Action"),
        value=["ecs3:PutImage"],
        finding="UNKNOWN_PREFIX: PushImage: Unknown prefix ecs3",
    ),
    "an action on a bucket that is for its objects": Fault(
        type=ROLE_POLICY,
        name="build-image-policy",
        at=("policy", "Statement", {"Sid": "ReadArtifacts"}, "Resource"),
        value=["arn:aws:s3:::shop"],
        finding="RESOURCE_MISMATCH: ReadArtifacts: s3:GetObject arn:*:s3:::*/*",
    ),
    "an action on a repository that is for the registry": Fault(
        type=ROLE_POLICY,
        name="build-image-policy",
        at=("policy", "Statement", {"Sid": "LogInToRegistry"}, "Resource"),
        value=["arn:aws:ecr:eu-west-1:123456789012:repository/shop"],
        finding="RESOURCE_MISMATCH: LogInToRegistry: ecr:GetAuthorizationToken *",
    ),
    "the old service's action on the new service's connection": Fault(
        type=ROLE_POLICY,
        name="delivery-policy",
        at=("policy", "Statement", {"Sid": "UseConnectionByOldName"}, "Resource"),
        value=["arn:aws:codeconnections:eu-west-1:123456789012:connection/1"],
        finding="RESOURCE_MISMATCH: UseConnectionByOldName: codestar-connections:UseConnection",
    ),
    "every role to pass on": Fault(
        type=ROLE_POLICY,
        name="delivery-policy",
        at=("policy", "Statement", {"Sid": "PassTaskRoles"}, "Resource"),
        value="*",
        finding="RESOURCE_STAR: PassTaskRoles: iam:PassRole",
    ),
    "a way to more permissions": Fault(
        type=ROLE_POLICY,
        name="build-image-policy",
        at=PUSH_IMAGE,
        value={
            "Effect": "Allow",
            "Action": "iam:CreatePolicyVersion",
            "Resource": "arn:aws:iam::123456789012:policy/shop",
        },
        finding="PRIVILEGE_ESCALATION: iam:createpolicyversion",
    ),
    "an ARN with too few parts": Fault(
        type=ROLE_POLICY,
        name="build-image-policy",
        at=(*PUSH_IMAGE, "Resource"),
        value=["arn:aws:ecr:repository/shop"],
        finding="INVALID_ARN: PushImage: Does not have 6 parts",
    ),
    "an effect that is none": Fault(
        type=ROLE_POLICY,
        name="build-image-policy",
        at=(*PUSH_IMAGE, "Effect"),
        value="Permit",
        finding="MALFORMED: PushImage: Unknown Effect",
    ),
    "two reasons of one name": Fault(
        type=ROLE_POLICY,
        name="build-image-policy",
        at=(*PUSH_IMAGE, "Sid"),
        value="WriteLog",
        finding="DUPLICATE_SID: Duplicate Statement Id 'WriteLog'",
    ),
    "an operator that is none": Fault(
        type=BUCKET_POLICY,
        at=("policy", "Statement", {"Sid": "DenyPlainHttp"}, "Condition"),
        value={"StringIs": {"aws:SecureTransport": "false"}},
        finding="UNKNOWN_OPERATOR: DenyPlainHttp: StringIs",
    ),
    "a condition the action does not have": Fault(
        type=BUCKET_POLICY,
        at=("policy", "Statement", {"Sid": "DenyPlainHttp"}, "Condition"),
        value={"StringEquals": {"s3:Transport": "plain"}},
        finding="UNKNOWN_CONDITION_FOR_ACTION: DenyPlainHttp: Unknown condition s3:Transport",
    ),
    "a policy of no version": Fault(type=BUCKET_POLICY, at=("policy", "Version"), value=NOTHING, finding="NO_VERSION"),
    "a principal that is none": Fault(
        type="aws:kms/keyPolicy:KeyPolicy",
        at=("policy", "Statement", {"Sid": "AccountDecidesByIam"}, "Principal"),
        value={"AWS": "root"},
        finding="UNKNOWN_PRINCIPAL",
    ),
    "a role that everybody may be": Fault(
        type="aws:iam/role:Role",
        at=("assumeRolePolicy", "Statement", 0, "NotPrincipal"),
        value={"AWS": "*"},
        finding="MALFORMED: AssumedByService: Statement contains both Principal and NotPrincipal",
    ),
}


@cache
def found_in(name: str) -> tuple[Finding, ...]:
    return tuple(
        finding for policy in policies(described(name)) for finding in findings(policy, unknown=NEWER_THAN_PARLIAMENT)
    )


def exceptions_for(finding: Finding) -> set[tuple[str, str]]:
    return {key for key in EXCEPTIONS if key[0] == finding.issue and fnmatchcase(finding.subject, key[1])}


@pytest.mark.parametrize("name", NAMES)
def test_parliament_has_nothing_against_any_policy(name: str) -> None:
    found = [str(finding) for finding in found_in(name) if not exceptions_for(finding)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=" ".join)
def test_an_exception_is_still_needed(exception: tuple[str, str]) -> None:
    assert any(exception in exceptions_for(finding) for name in NAMES for finding in found_in(name))


@pytest.mark.parametrize(("action", "operation"), NEWER_THAN_PARLIAMENT.items(), ids=NEWER_THAN_PARLIAMENT)
def test_what_parliament_does_not_know_yet_is_an_action_of_aws(action: str, operation: tuple[str, str]) -> None:
    service, name = operation
    assert action == f"{service}:{name}"
    assert name in service_model(service).operation_names


@pytest.mark.parametrize("action", NEWER_THAN_PARLIAMENT)
def test_parliament_still_does_not_know_it(action: str) -> None:
    concerned = [
        policy
        for name in NAMES
        for policy in policies(described(name))
        if any(action in actions(statement) for statement in policy.document["Statement"])
    ]
    assert any("UNKNOWN_ACTION" in str(finding) for policy in concerned for finding in findings(policy)), action


def test_every_role_key_and_bucket_of_a_graph_is_judged() -> None:
    """One document from each resource that carries one, so that a renamed input cannot hide it."""
    of_others = ("aws:kms/keyPolicy:KeyPolicy", "aws:ecr/repositoryPolicy:RepositoryPolicy")
    types = ("aws:iam/role:Role", ROLE_POLICY, BUCKET_POLICY, *of_others)
    carriers = [item["name"] for item in described("everything-on") if item["type"] in types]
    judged = [policy.origin.rpartition(".")[0] for policy in policies(described("everything-on"))]
    assert sorted(judged) == sorted(carriers)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    graph = fault.planted(described(fault.graph))
    unharmed = {policy.origin: policy for policy in policies(described(fault.graph))}
    (harmed,) = (policy for policy in policies(graph) if policy != unharmed[policy.origin])
    found = findings(harmed, unknown=NEWER_THAN_PARLIAMENT)
    assert [finding for finding in found if fault.finding in str(finding) and not exceptions_for(finding)], found
