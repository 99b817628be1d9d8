"""IAM policies from statements that say why they are there, and that refuse to be broad.

Pure: statements are values, a policy document is one JSON text. Every rule is checked where the
statement is written, so that a wildcard never reaches AWS:

- no action with ``*``,
- no resource ``*`` unless AWS offers no narrower one for the action,
- no ``iam:PassRole`` without saying to which service.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import pulumi

Conditions: TypeAlias = Mapping[str, Mapping[str, pulumi.Input[str] | Sequence[pulumi.Input[str]]]]
"""Operator -> condition key -> value or values, as IAM's ``Condition`` element."""

_REFERENCE = "https://docs.aws.amazon.com/service-authorization/latest/reference/"

UNSCOPEABLE: Mapping[str, str] = MappingProxyType(
    {
        # CodeDeploy's own guide names the deployment group, and is wrong (awsdocs/aws-codedeploy-user-guide#18).
        "codedeploy:StopDeployment": f"{_REFERENCE}list_awscodedeploy.html",
        "ecr:GetAuthorizationToken": f"{_REFERENCE}list_amazonelasticcontainerregistry.html",
        "ecs:CreateTaskSet": f"{_REFERENCE}list_amazonelasticcontainerservice.html",
        "ecs:DescribeTaskDefinition": f"{_REFERENCE}list_amazonelasticcontainerservice.html",
        # AWS scopes it by container instance, and Fargate has none.
        "ecs:ListTasks": f"{_REFERENCE}list_amazonelasticcontainerservice.html",
        "elasticloadbalancing:DescribeListeners": f"{_REFERENCE}list_elasticloadbalancing.html",
        "elasticloadbalancing:DescribeRules": f"{_REFERENCE}list_elasticloadbalancing.html",
        "elasticloadbalancing:DescribeTargetGroups": f"{_REFERENCE}list_elasticloadbalancing.html",
        "elasticloadbalancing:DescribeTargetHealth": f"{_REFERENCE}list_elasticloadbalancing.html",
        "ssmmessages:CreateControlChannel": f"{_REFERENCE}list_amazonmessagegatewayservice.html",
        "ssmmessages:CreateDataChannel": f"{_REFERENCE}list_amazonmessagegatewayservice.html",
        "ssmmessages:OpenControlChannel": f"{_REFERENCE}list_amazonmessagegatewayservice.html",
        "ssmmessages:OpenDataChannel": f"{_REFERENCE}list_amazonmessagegatewayservice.html",
    }
)
"""Actions that IAM can only allow on ``*``, each with where AWS says so."""

_SID = re.compile(r"[A-Za-z0-9]{1,100}")
_NARROW = re.compile(r"arn:[^:*?]+:[^:*?]+:[^:]*:[^:]*:(?![*?]*$)")
"""An ARN that names its partition, its service and at least a part of the resource."""
_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+")


class PolicyError(ValueError):
    """A statement is broader than this program allows. Names the statement, the action and the remedy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One permission of a role, with its reason as ``sid``.

    Attributes:
        sid: Why, in CamelCase words: ``PushImage``.
        actions: IAM actions, spelled out.
        resources: ARNs; each may be an output.
        conditions: IAM's ``Condition`` element.

    Raises:
        PolicyError: When the statement is broader than the module's rules allow.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[pulumi.Input[str], ...]
    conditions: Conditions = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _SID.fullmatch(self.sid):
            raise PolicyError(f"statement {self.sid!r}: a sid holds only letters and digits; name the reason in words")
        if not self.actions or not self.resources:
            raise PolicyError(f"statement {self.sid}: name at least one action and one resource")
        broad = [arn for arn in self.resources if isinstance(arn, str) and not _NARROW.match(arn)]
        for action in self.actions:
            if not _ACTION.fullmatch(action):
                raise PolicyError(f"statement {self.sid}: action {action!r}: spell out 'service:Action', no wildcard")
            if broad and action not in UNSCOPEABLE:
                raise PolicyError(
                    f"statement {self.sid}: {action} on {broad[0]!r}: name the ARNs it needs, or, if AWS offers no "
                    "resource for it, add it to UNSCOPEABLE with the page that says so"
                )
        # IAM reads action names without regard to case.
        passes_role = any(action.lower() == "iam:passrole" for action in self.actions)
        if passes_role and "iam:PassedToService" not in self.conditions.get("StringEquals", {}):
            raise PolicyError(
                f"statement {self.sid}: iam:PassRole needs the condition StringEquals iam:PassedToService, "
                "the service that may receive the role"
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
    service: str, *, account_id: pulumi.Input[str] | None, source_arn: pulumi.Input[str] | None = None
) -> pulumi.Output[str]:
    """A trust policy: one AWS service, acting for this account (and, where known, for one resource only).

    The conditions keep another customer's use of the service from borrowing the role
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html).

    Args:
        service: For example ``codebuild.amazonaws.com``.
        account_id: The account the service must act for; ``None`` where the service does not say.
        source_arn: The one resource the service must act for, where the service sends it.
    """
    conditions: dict[str, object] = {}
    if account_id is not None:
        conditions["StringEquals"] = {"aws:SourceAccount": account_id}
    if source_arn is not None:
        conditions["ArnEquals"] = {"aws:SourceArn": source_arn}
    return _document(
        [
            {
                "Sid": "AssumedByService",
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "sts:AssumeRole",
                **({"Condition": conditions} if conditions else {}),
            }
        ]
    )


def role_trust(role_arns: Sequence[str]) -> pulumi.Output[str]:
    """A trust policy for named roles of other accounts, which need not exist yet.

    As a principal AWS would refuse a role that is not there, and hold on to the id of one that is made anew.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    accounts = sorted({":".join([*arn.split(":")[:5], "root"]) for arn in role_arns})
    return _document(
        [
            {
                "Sid": "AssumedByNamedRoles",
                "Effect": "Allow",
                "Principal": {"AWS": accounts},
                "Action": "sts:AssumeRole",
                "Condition": {"ArnEquals": {"aws:PrincipalArn": sorted(role_arns)}},
            }
        ]
    )


def resource_policy(statements: Sequence[Mapping[str, object]]) -> pulumi.Output[str]:
    """The JSON of a policy that stands on a resource (bucket, key), where ``*`` means that resource."""
    return _document([dict(statement) for statement in statements])


def _document(statements: Sequence[dict[str, object]]) -> pulumi.Output[str]:
    """The JSON text, waiting for just the outputs in it; ``Output.json_dumps`` would make one of every string."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
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
