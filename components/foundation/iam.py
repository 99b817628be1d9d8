"""IAM policies from statements that say why they are there, and that refuse to be broad or to demand too much.

Pure: statements are values, a policy document is one JSON text. Every rule is checked where the
statement is written, so that a mistake never reaches AWS:

- no action with ``*``,
- no resource ``*`` unless AWS offers no narrower one, or nothing shows that the narrower one works,
- no ``iam:PassRole`` without the condition that names the services it may be passed to,
- no condition on a key that AWS may leave out of the request, unless the operator then lets it pass (``...IfExists``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

import pulumi

Conditions: TypeAlias = Mapping[str, Mapping[str, pulumi.Input[str] | Sequence[pulumi.Input[str]]]]
"""Operator -> condition key -> value or values, as IAM's ``Condition`` element."""

_REFERENCE = "https://docs.aws.amazon.com/service-authorization/latest/reference/"
_MANAGED = "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/"
_ECS = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/"
_ACCESS_POINTS = "https://docs.aws.amazon.com/efs/latest/ug/access-points-iam-policy.html"
_CODEPIPELINE = "https://docs.aws.amazon.com/codepipeline/latest/userguide/"

_BUILDS_IN_A_VPC = (
    "https://docs.aws.amazon.com/codebuild/latest/userguide/"
    "auth-and-access-control-iam-identity-based-access-control.html"
)

UNSCOPEABLE: Mapping[str, str] = MappingProxyType(
    {
        # CodeDeploy's own guide names the deployment group, and is wrong (awsdocs/aws-codedeploy-user-guide#18).
        "codedeploy:ContinueDeployment": f"{_REFERENCE}list_awscodedeploy.html",
        "codedeploy:StopDeployment": f"{_REFERENCE}list_awscodedeploy.html",
        "ec2:DescribeDhcpOptions": f"{_REFERENCE}list_amazonec2.html",
        "ec2:DescribeNetworkInterfaces": f"{_REFERENCE}list_amazonec2.html",
        "ec2:DescribeSecurityGroups": f"{_REFERENCE}list_amazonec2.html",
        "ec2:DescribeSubnets": f"{_REFERENCE}list_amazonec2.html",
        "ec2:DescribeVpcs": f"{_REFERENCE}list_amazonec2.html",
        "ecr:GetAuthorizationToken": f"{_REFERENCE}list_amazonelasticcontainerregistry.html",
        "ecs:DescribeTaskDefinition": f"{_REFERENCE}list_amazonelasticcontainerservice.html",
        "elasticloadbalancing:DescribeListeners": f"{_REFERENCE}list_elasticloadbalancing.html",
        "elasticloadbalancing:DescribeRules": f"{_REFERENCE}list_elasticloadbalancing.html",
        "elasticloadbalancing:DescribeTargetGroups": f"{_REFERENCE}list_elasticloadbalancing.html",
        "elasticloadbalancing:DescribeTargetHealth": f"{_REFERENCE}list_elasticloadbalancing.html",
        "inspector2:ListAccountPermissions": f"{_REFERENCE}list_amazoninspector2.html",
        "inspector2:ListCoverage": f"{_REFERENCE}list_amazoninspector2.html",
        "inspector2:ListFindings": f"{_REFERENCE}list_amazoninspector2.html",
        "logs:DescribeLogGroups": f"{_REFERENCE}list_amazoncloudwatchlogs.html",
        "ssmmessages:CreateControlChannel": f"{_REFERENCE}list_amazonmessagegatewayservice.html",
        "ssmmessages:CreateDataChannel": f"{_REFERENCE}list_amazonmessagegatewayservice.html",
        "ssmmessages:OpenControlChannel": f"{_REFERENCE}list_amazonmessagegatewayservice.html",
        "ssmmessages:OpenDataChannel": f"{_REFERENCE}list_amazonmessagegatewayservice.html",
    }
)
"""Actions that IAM can only allow on ``*``, each with the page that says so."""

UNSCOPED: Mapping[str, str] = MappingProxyType(
    {
        # CloudWatch checks it against alarm:*, so that an alarm's own ARN is refused
        # (aws-samples/amazon-cloudwatch-auto-alarms#1), and against * for composite alarms.
        "cloudwatch:DescribeAlarms": (
            "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/permissions-reference-cw.html"
        ),
        # AWS's example for builds in a VPC; the statement holds them to one VPC.
        "ec2:CreateNetworkInterface": _BUILDS_IN_A_VPC,
        "ec2:DeleteNetworkInterface": _BUILDS_IN_A_VPC,
        "ecs:CreateTaskSet": f"{_MANAGED}AWSCodeDeployRoleForECS.html",
        "ecs:DeleteTaskSet": f"{_MANAGED}AWSCodeDeployRoleForECS.html",
        "ecs:UpdateServicePrimaryTaskSet": f"{_MANAGED}AWSCodeDeployRoleForECS.html",
        # IAM scopes it by container instance, and Fargate has none; ECS checks it against *.
        "ecs:ListTasks": "https://github.com/cdklabs/construct-hub/pull/1207",
        # IAM's table names the task definition since 2025; every refusal that is reported names *.
        "ecs:RegisterTaskDefinition": f"{_CODEPIPELINE}action-reference-ECS.html",
        # IAM's table asks for the profile and the job at once; AWS's own sample names neither.
        "signer:GetRevocationStatus": (
            "https://aws-samples.github.io/sample-eks-nitro-sandbox/confidential/signer-policy/iam/signer-verify-policy.json"
        ),
    }
)
"""Actions that are allowed on ``*`` although IAM's table can scope them, each with AWS's policy or a report.

Nothing shows a narrower ARN to work, and a refusal would stop every deployment. Others hold what they reach: a
registered task definition runs nothing, and only CodeDeploy, for one deployment group, assumes a role with task sets.
"""

ALWAYS_SENT: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        # Seen to work: without the condition the action lists every cluster's tasks.
        ("ecs:ListTasks", "ecs:cluster"): "https://github.com/cdklabs/construct-hub/pull/1207",
        # AWS's own example.
        ("ec2:CreateNetworkInterfacePermission", "ec2:AuthorizedService"): _BUILDS_IN_A_VPC,
        ("ec2:CreateNetworkInterfacePermission", "ec2:Subnet"): _BUILDS_IN_A_VPC,
        # AWS's own example for a cluster; StartTask and RunTask are about a task in one.
        ("ecs:RunTask", "ecs:cluster"): f"{_ECS}security_iam_id-based-policy-examples.html",
        # Of a task without the tag there is no key, and that it is refused then is what the condition is for.
        ("ecs:StopTask", "aws:ResourceTag/ecs-delivery-task"): (f"{_REFERENCE}list_amazonelasticcontainerservice.html"),
        # A mount through an access point sends it; one that does not is to be refused.
        ("elasticfilesystem:ClientMount", "elasticfilesystem:AccessPointArn"): _ACCESS_POINTS,
        ("elasticfilesystem:ClientWrite", "elasticfilesystem:AccessPointArn"): _ACCESS_POINTS,
        ("ecs:TagResource", "ecs:CreateAction"): f"{_CODEPIPELINE}action-reference-ECS.html",
        ("iam:PassRole", "iam:PassedToService"): (
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html"
        ),
        # AWS's own example for the source action: the account of the bucket is in every request of S3.
        **{
            (f"s3:{action}", "aws:ResourceAccount"): f"{_CODEPIPELINE}action-reference-S3.html"
            for action in (
                "GetBucketAcl",
                "GetBucketLocation",
                "GetBucketVersioning",
                "GetObject",
                "GetObjectTagging",
                "GetObjectVersion",
                "GetObjectVersionTagging",
            )
        },
        # The caller sends it, and the jobs always do.
        ("s3:ListBucket", "s3:prefix"): (
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html"
        ),
    }
)
"""Action and condition key that is in each of its requests, with what shows it.

Any other key may be missing, and a condition on it then refuses the request. CodePipeline, for one, first uses a
connection without naming a repository (cloudposse/terraform-aws-ecs-codepipeline#75).
"""

SENDS_SOURCE: Mapping[str, str] = MappingProxyType(
    {
        "codebuild.amazonaws.com": (
            "https://docs.aws.amazon.com/codebuild/latest/userguide/cross-service-confused-deputy-prevention.html"
        ),
        "codedeploy.amazonaws.com": (
            "https://docs.aws.amazon.com/codedeploy/latest/userguide/security_confused_deputy.html"
        ),
        "ecs-tasks.amazonaws.com": "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
        "vpc-flow-logs.amazonaws.com": "https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html",
    }
)
"""Services that AWS documents to say for whom they assume a role, each with the page.

Another service may say nothing: its role then refuses a wrong account, but does not demand to be told the right one.
"""

VERSION = "2012-10-17"
"""The version of the policy language, not of a policy."""

_SID = re.compile(r"[A-Za-z0-9]{1,100}")
_NARROW = re.compile(r"arn:[^:*?]+:[^:*?]+:[^:]*:[^:]*:(?![*?]*$)")
"""An ARN that names its partition, its service and at least a part of the resource."""
_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+")


class PolicyError(ValueError):
    """A statement is broader than this program allows, or demands what AWS does not send. Names the remedy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One permission of a role, with its reason as ``sid``.

    Attributes:
        sid: Why, in CamelCase words: ``PushImage``.
        actions: IAM actions, spelled out.
        resources: ARNs; each may be an output.
        conditions: IAM's ``Condition`` element.
        by_user: Whether the stack file states it: then its conditions are its own, on keys that nobody here knows.

    Raises:
        PolicyError: The statement is against a rule of this module.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[pulumi.Input[str], ...]
    conditions: Conditions = field(default_factory=dict)
    by_user: bool = False

    def __post_init__(self) -> None:
        if not _SID.fullmatch(self.sid):
            raise PolicyError(f"statement {self.sid!r}: a sid holds only letters and digits; name the reason in words")
        if not self.actions or not self.resources:
            raise PolicyError(f"statement {self.sid}: name at least one action and one resource")
        broad = [arn for arn in self.resources if isinstance(arn, str) and not _NARROW.match(arn)]
        for action in self.actions:
            if not _ACTION.fullmatch(action):
                raise PolicyError(f"statement {self.sid}: action {action!r}: spell out 'service:Action', no wildcard")
            if broad and action not in UNSCOPEABLE and action not in UNSCOPED:
                raise PolicyError(
                    f"statement {self.sid}: {action} on {broad[0]!r}: name the ARNs it needs, or, if AWS offers no "
                    "resource for it, add it to UNSCOPEABLE with the page that says so"
                )
            for operator, keys in () if self.by_user else self.conditions.items():
                self._check_condition(action, operator, keys)
        # IAM reads action names without regard to case.
        passes_role = any(action.lower() == "iam:passrole" for action in self.actions)
        if passes_role and "iam:PassedToService" not in self.conditions.get("StringEquals", {}):
            raise PolicyError(
                f"statement {self.sid}: iam:PassRole needs the condition StringEquals iam:PassedToService, "
                "the service that may receive the role"
            )

    def _check_condition(self, action: str, operator: str, keys: Iterable[str]) -> None:
        """Refuse a condition that a request without the key would not meet."""
        if operator.endswith("IfExists"):
            return
        for key in keys:
            if (action, key) not in ALWAYS_SENT:
                raise PolicyError(
                    f"statement {self.sid}: {operator} {key}: a request of {action} without {key} is refused; write "
                    f"{operator}IfExists, or, if every request has it, add it to ALWAYS_SENT with what shows that"
                )

    def render(self) -> dict[str, object]:
        """The statement as IAM writes it; values may be outputs."""
        rendered: dict[str, object] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources),
        }
        if self.conditions:
            rendered["Condition"] = {operator: dict(keys) for operator, keys in self.conditions.items()}
        return rendered


def united(statements: Iterable[Statement]) -> list[Statement]:
    """Return the statements, those that allow the same for the same reason as one over all of their resources.

    All inline policies of a role have 10,240 characters together:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    found: dict[tuple[str, ...], Statement] = {}
    for statement in statements:
        reason = (statement.sid, *statement.actions, repr(statement.conditions))
        before = found.get(reason)
        resources = (*(before.resources if before else ()), *statement.resources)
        found[reason] = replace(statement, resources=resources)
    return list(found.values())


def policy_document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """The JSON of an identity policy.

    Raises:
        PolicyError: When two statements share a sid, since the second would hide why the first is there.
    """
    sids = [statement.sid for statement in statements]
    twice = sorted({sid for sid in sids if sids.count(sid) > 1})
    if twice:
        raise PolicyError(f"statements share the sid {', '.join(twice)}; give each its own reason")
    return _document([statement.render() for statement in statements])


def service_trust(
    service: str, *, account_id: pulumi.Input[str], source_arn: pulumi.Input[str] | None = None
) -> pulumi.Output[str]:
    """Return a trust policy: one AWS service, acting for this account (and, where known, for one resource only).

    The conditions keep another customer's use of the service from borrowing the role
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html). A service that is not documented to send
    the keys is refused a wrong value, not a missing one.

    Args:
        service: For example ``codebuild.amazonaws.com``.
        account_id: The account the service must act for.
        source_arn: The one resource the service must act for, where it has one.
    """
    suffix = "" if service in SENDS_SOURCE else "IfExists"
    conditions: dict[str, object] = {f"StringEquals{suffix}": {"aws:SourceAccount": account_id}}
    if source_arn is not None:
        conditions[f"ArnEquals{suffix}"] = {"aws:SourceArn": source_arn}
    return _document(
        [
            {
                "Sid": "AssumedByService",
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "sts:AssumeRole",
                "Condition": conditions,
            }
        ]
    )


TRUST_CHARACTERS = 2048
"""The longest trust policy of a role, unless the account's quota was raised.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""


def role_trust(role_arns: Sequence[str]) -> str:
    """Return a trust policy for named roles of other accounts, which need not exist yet.

    As a principal AWS would refuse a role that is not there, and hold on to the id of one that is made anew.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    accounts = sorted({":".join([*arn.split(":")[:5], "root"]) for arn in role_arns})
    statement = {
        "Sid": "AssumedByNamedRoles",
        "Effect": "Allow",
        "Principal": {"AWS": accounts},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": sorted(role_arns)}},
    }
    return json.dumps({"Version": VERSION, "Statement": [statement]})


def resource_policy(statements: Sequence[Mapping[str, object]]) -> pulumi.Output[str]:
    """The JSON of a policy that stands on a resource (bucket, key), where ``*`` means that resource."""
    return _document([dict(statement) for statement in statements])


def _document(statements: Sequence[dict[str, object]]) -> pulumi.Output[str]:
    """The JSON text, waiting for just the outputs in it; ``Output.json_dumps`` would make one of every string."""
    document = {"Version": VERSION, "Statement": list(statements)}
    outputs: dict[int, pulumi.Output[object]] = {}

    def note(value: object) -> None:
        if not isinstance(value, pulumi.Output):
            raise TypeError(f"a policy holds text, lists and outputs, not {type(value).__name__}: {value!r}")
        outputs[id(value)] = value

    def write(values: Sequence[object]) -> str:
        known = dict(zip(outputs, values, strict=True))
        return json.dumps(document, default=lambda value: known[id(value)])

    json.dumps(document, default=note)
    return pulumi.Output.all(*outputs.values()).apply(write)
