"""Every statement of every role, judged by IAM's own table of actions, resource types and condition keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from iam_reference import known, problems, resource_types, table_key
from planted_faults import Fault
from policies import Policy, policies
from stack_graphs import NAMES, described

from components.foundation.iam import ALWAYS_SENT, UNSCOPEABLE, UNSCOPED

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
PIPELINE = "delivery-policy"
USE_CONNECTION = ("policy", "Statement", {"Sid": "UseConnection"})

FAULTS: Mapping[str, Fault] = {
    "an action nobody knows": Fault(
        type=ROLE_POLICY,
        name=PIPELINE,
        at=(*USE_CONNECTION, "Action"),
        value=["codeconnections:UseConnections"],
        finding="UseConnection: codeconnections:UseConnections: there is no such action",
    ),
    "a condition on a key of another service": Fault(
        type=ROLE_POLICY,
        name=PIPELINE,
        at=(*USE_CONNECTION, "Condition"),
        value={"StringEqualsIfExists": {"codestar-connections:FullRepositoryId": "example/shop"}},
        finding="UseConnection: codeconnections:UseConnection: no request of it carries "
        "codestar-connections:FullRepositoryId",
    ),
    "a resource of another type": Fault(
        type=ROLE_POLICY,
        name=PIPELINE,
        at=(*USE_CONNECTION, "Resource"),
        value=["arn:aws:codeconnections:eu-west-1:123456789012:host/shop"],
        finding="host/shop is no Connection",
    ),
    "everything, where one thing could be named": Fault(
        type=ROLE_POLICY,
        name=PIPELINE,
        at=(*USE_CONNECTION, "Resource"),
        value="*",
        finding="UseConnection: codeconnections:UseConnection: it can be allowed on Connection instead of *",
    ),
    "one thing, where IAM knows everything only": Fault(
        type=ROLE_POLICY,
        name="build-image-policy",
        at=("policy", "Statement", {"Sid": "LogInToRegistry"}, "Resource"),
        value=["arn:aws:ecr:eu-west-1:123456789012:repository/shop"],
        finding="ecr:GetAuthorizationToken: it can be allowed on * only",
    ),
    "a key that only another type of resource has": Fault(
        type=ROLE_POLICY,
        name="deploy-code-deploy-policy",
        at=("policy", "Statement", {"Sid": "SwapTaskSets"}, "Condition"),
        value={"StringEquals": {"ecs:container-name": "shop"}},
        finding="ecs:CreateTaskSet: no request of it carries ecs:container-name",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _table(need: Callable[..., None]) -> None:
    need("iam-data")


def _found(policy: Policy) -> list[str]:
    statements = [statement for statement in policy.document["Statement"] if "Principal" not in statement]
    return [f"{policy.origin}: {text}" for statement in statements for text in problems(statement, UNSCOPED)]


@pytest.mark.parametrize("name", NAMES)
def test_iam_knows_every_action_on_its_resources_under_its_conditions(name: str) -> None:
    found = [text for policy in policies(described(name)) for text in _found(policy)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("action", UNSCOPEABLE)
def test_what_iam_cannot_scope_has_no_resource_type(action: str) -> None:
    assert resource_types(action) == []


@pytest.mark.parametrize("action", UNSCOPED)
def test_what_is_not_scoped_could_be(action: str) -> None:
    """Otherwise it belongs to what IAM cannot scope."""
    assert resource_types(action)


@pytest.mark.parametrize(("action", "key"), ALWAYS_SENT, ids=" ".join)
def test_a_key_that_is_always_sent_is_one_of_the_action(action: str, key: str) -> None:
    entry = known(action)
    assert entry is not None
    of_resources = [name for kind in entry["resourceTypes"] for name in kind["conditionKeys"]]
    in_table = {*entry["conditionKeys"], *of_resources}
    # A global key stands in no service's table; this one S3 has by a name of its own, too.
    in_table |= {"aws:ResourceAccount"} if "s3:ResourceAccount" in in_table else set()
    assert table_key(key) in in_table


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    graph = fault.planted(described(fault.graph))
    found = [text for policy in policies(graph) for text in _found(policy)]
    assert [text for text in found if fault.finding in text], found
