"""What is said of a change, section by section: resources made by hand, before and afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from local.engine.outcome import State, Step
from local.engine.providers.catalogue import KINDS
from local.engine.values import SECRET, UNKNOWN
from local.report import model
from local.report.findings import BROADENS, DESTROYS, Section
from local.report.losses import kinds
from local.report.preview import Preview
from local.report.structure import DISARMED

Inputs = Mapping[str, Any]
ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
BUCKET, LIFECYCLE = "aws:s3/bucket:Bucket", "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
PIPELINE = "aws:codepipeline/pipeline:Pipeline"
PROJECT, OBJECT = "aws:codebuild/project:Project", "aws:s3/bucketObjectv2:BucketObjectv2"


def step(kind: str, name: str, old: Inputs | None, new: Inputs | None, op: str = "", **more: Any) -> Step:  # noqa: ANN401
    known = "same" if old == new else "create" if old is None else "delete" if new is None else "update"
    states = [None if inputs is None else State(inputs=inputs) for inputs in (old, new)]
    return Step(op or known, f"urn:{kind}::{name}", kind, name, old=states[0], new=states[1], **more)


KEPT = step(BUCKET, "shop-artifacts", {"bucket": "artifacts"}, {"bucket": "artifacts"})
"""A stack that is there."""


def said(*steps: Step, section: Section | None = None) -> list[str]:
    report = model.of(Preview("prod", steps=(KEPT, *steps)))
    return [each.words for each in report.findings if section in (None, each.section)]


def labels(*steps: Step) -> list[str]:
    return model.of(Preview("prod", steps=(KEPT, *steps))).labels


def policy(*actions: str, resource: str = "arn:aws:s3:::a/*", **values: object) -> str:
    statement = {"Sid": "S", "Effect": "Allow", "Action": list(actions), "Resource": resource, **values}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


# What cannot be undone.


def test_each_type_of_the_catalogue_is_said_to_hold_something_or_nothing() -> None:
    assert {kind for kind in kinds() if kind not in KINDS} == set()
    assert {kind for kind in KINDS if kind.startswith("aws:") and kind not in kinds()} == set()


def test_what_is_lost_with_a_type_is_said_by_a_page_of_aws() -> None:
    for kind in kinds().values():
        assert kind.source.startswith("https://docs.aws.amazon.com/") == bool(kind.loses)


@pytest.mark.parametrize("kind", sorted(kind for kind in kinds() if kinds()[kind].loses))
def test_what_holds_something_is_missed_when_it_is_deleted_or_replaced(kind: str) -> None:
    gone = step(kind, "it", {"name": "it"}, None)
    anew = step(kind, "it", {"name": "it"}, {"name": "other"}, "replace", replaced_by=("name",))
    loses = kinds()[kind].loses
    name = kinds()[kind].called
    assert f"The {name} `it` is deleted with {loses}." in said(gone, section=Section.LOSS)
    assert f"The {name} `it` is replaced because of `name`: the old one is deleted with {loses}." in said(anew)
    assert DESTROYS in labels(gone)
    assert DESTROYS in labels(anew)


def test_a_type_that_nobody_knows_may_hold_anything() -> None:
    gone = step("aws:rds/instance:Instance", "database", {"name": "it"}, None)
    assert said(gone, section=Section.LOSS) == [
        "The `aws:rds/instance:Instance` `database` is deleted with whatever it holds."
    ]


def test_what_stays_in_the_account_is_not_lost() -> None:
    gone = step(BUCKET, "logs", {"bucket": "logs"}, None)
    assert gone.old
    stays = replace(gone, old=replace(gone.old, retained=True))
    assert said(stays, section=Section.LOSS) == [
        "The bucket `logs` stays in the account with its objects, and the stack knows it no more."
    ]
    assert labels(stays) == []


RULES = "rules"
WEAKER: Mapping[str, tuple[str, Inputs, Inputs, str]] = {
    "a bucket that is emptied": (
        BUCKET,
        {},
        {"forceDestroy": True},
        "The bucket `it` may be deleted with all that is in it.",
    ),
    "images that are deleted": (
        "aws:ecr/repository:Repository",
        {},
        {"forceDelete": True},
        "The image repository `it` may be deleted with all that is in it.",
    ),
    "a load balancer": (
        "aws:lb/loadBalancer:LoadBalancer",
        {"enableDeletionProtection": True},
        {"enableDeletionProtection": False},
        "The load balancer `it` loses its deletion protection.",
    ),
    "a database": (
        "aws:rds/instance:Instance",
        {"deletionProtection": True},
        {},
        "The `aws:rds/instance:Instance` `it` loses its deletion protection.",
    ),
    "a table": (
        "aws:dynamodb/table:Table",
        {"deletionProtectionEnabled": True},
        {},
        "The `aws:dynamodb/table:Table` `it` loses its deletion protection.",
    ),
    "a last snapshot": (
        "aws:rds/instance:Instance",
        {},
        {"skipFinalSnapshot": True},
        "The `aws:rds/instance:Instance` `it` is deleted without a last snapshot.",
    ),
    "backups": (
        "aws:rds/instance:Instance",
        {"backupRetentionPeriod": 30},
        {"backupRetentionPeriod": 1},
        "Backups of the `aws:rds/instance:Instance` `it` are kept less long: `30` → `1` days.",
    ),
    "log lines that were kept for ever": (
        "aws:cloudwatch/logGroup:LogGroup",
        {"retentionInDays": 0},
        {"retentionInDays": 30},
        "Log lines are deleted sooner (log group `it`): `for ever` → `30` days.",
    ),
    "the key of log lines": (
        "aws:cloudwatch/logGroup:LogGroup",
        {"kmsKeyId": "arn"},
        {},
        "The log group `it` is encrypted with no key of its own any more.",
    ),
    "a key that is deleted sooner": (
        "aws:kms/key:Key",
        {"deletionWindowInDays": 30},
        {"deletionWindowInDays": 7},
        "The KMS key `it` is lost sooner once it is deleted: `30` → `7` days.",
    ),
    "a key that stays": (
        "aws:kms/key:Key",
        {"enableKeyRotation": True},
        {},
        "The KMS key `it` is rotated no more.",
    ),
    "versions": (
        "aws:s3/bucketVersioning:BucketVersioning",
        {"versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
        "Versioning is switched off (bucket's versioning `it`): what is overwritten or deleted is gone.",
    ),
    "tags": (
        "aws:ecr/repository:Repository",
        {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"},
        {},
        "Tags of images can be moved (image repository `it`): what a tag names today it may not name tomorrow.",
    ),
    "objects": (
        LIFECYCLE,
        {RULES: [{"id": "all", "status": "Enabled", "expiration": {"days": 90}}]},
        {RULES: [{"id": "all", "status": "Enabled", "expiration": {"days": 30}}]},
        "Objects are deleted sooner (bucket's lifecycle `it`): `90 days` → `30 days`.",
    ),
    "objects that were kept": (
        LIFECYCLE,
        {RULES: [{"id": "all", "status": "Disabled", "expiration": {"days": 30}}]},
        {RULES: [{"id": "all", "status": "Enabled", "expiration": {"days": 30}}]},
        "Objects are deleted sooner (bucket's lifecycle `it`): `never` → `30 days`.",
    ),
    "overwritten objects": (
        LIFECYCLE,
        {RULES: []},
        {RULES: [{"id": "old", "status": "Enabled", "noncurrentVersionExpiration": {"noncurrentDays": 1}}]},
        "Overwritten and deleted objects are gone sooner (bucket's lifecycle `it`): `never` → `1 days`.",
    ),
    "images": (
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        {"policy": json.dumps({"rules": [{"rulePriority": 1, "selection": {"countNumber": 100}}]})},
        {"policy": json.dumps({"rules": [{"rulePriority": 1, "selection": {"countNumber": 5}}]})},
        "Fewer images are kept (lifecycle policy `it`, `rule 1`): `100` → `5`.",
    ),
    **{
        name: (
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            {name: True},
            {name: False},
            f"The bucket's public access block `it` keeps out the public no more: `{name}` is off.",
        )
        for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    },
}


@pytest.mark.parametrize("name", WEAKER)
def test_what_is_kept_for_less_long_or_less_well_is_said(name: str) -> None:
    kind, old, new, words = WEAKER[name]
    assert said(step(kind, "it", old, new), section=Section.LOSS) == [words]
    assert DESTROYS in labels(step(kind, "it", old, new))
    assert said(step(kind, "it", new, old), section=Section.LOSS) == []


def test_what_protects_a_bucket_that_is_made_or_deleted_along_with_it_protects_nothing() -> None:
    rules = {RULES: [{"id": "all", "status": "Enabled", "expiration": {"days": 30}}]}
    versions = {"versioningConfiguration": {"status": "Enabled"}}
    made = step(LIFECYCLE, "new", None, {"bucket": "new", **rules})
    beside = step(LIFECYCLE, "new", None, {"bucket": "artifacts", **rules})
    gone = step("aws:s3/bucketVersioning:BucketVersioning", "old", {"bucket": "old", **versions}, None)
    stays = step("aws:s3/bucketVersioning:BucketVersioning", "old", {"bucket": "artifacts", **versions}, None)
    assert said(made, gone, section=Section.LOSS) == []
    assert len(said(beside, stays, section=Section.LOSS)) == 2


def test_protection_of_pulumis_that_is_taken_away_is_a_change() -> None:
    same = step(BUCKET, "data", {"bucket": "data"}, {"bucket": "data"})
    assert same.old
    open_now = replace(same, old=replace(same.old, protected=True))
    assert said(open_now) == [
        "The protection of the bucket `data` is taken away: whatever deletes or replaces it is refused no more."
    ]
    assert model.of(Preview("prod", steps=(open_now,))).changes


def test_secrets_that_become_plain_are_found_wherever_they_stand() -> None:
    variable = {"name": "TOKEN", "type": "SECRETS_MANAGER", "value": "shop/token"}
    plain = {"name": "TOKEN", "type": "PLAINTEXT", "value": "abc"}
    job = step(
        PROJECT,
        "job",
        {"environment": {"environmentVariables": [variable]}},
        {"environment": {"environmentVariables": [plain]}},
    )
    container: dict[str, Any] = {"name": "shop", "secrets": [{"name": "PASSWORD", "valueFrom": "arn"}]}
    definition = {"containerDefinitions": [container]}
    opened = {"containerDefinitions": [{"name": "shop", "environment": [{"name": "PASSWORD", "value": "x"}]}]}
    template = step(OBJECT, "template", {"content": json.dumps(definition)}, {"content": json.dumps(opened)})
    anything = step("aws:ssm/parameter:Parameter", "it", {"deep": [{"value": SECRET}]}, {"deep": [{"value": "x"}]})
    for each, name in ((job, "TOKEN"), (template, "PASSWORD"), (anything, "deep[0].value")):
        assert said(each)[0].startswith(f"`{name}` was a secret and becomes plain text")
        assert BROADENS in labels(each)


# Permissions.


ASSUMED = {
    "name": "job-1",
    "assumeRolePolicy": policy("sts:AssumeRole", Principal={"Service": "codebuild.amazonaws.com"}),
}


def role(**more: object) -> Inputs:
    return {**ASSUMED, **more}


def test_a_statement_that_moves_to_another_policy_of_the_role_is_no_change() -> None:
    steps = (
        step(ROLE, "job", role(), role()),
        step(ROLE_POLICY, "one", {"role": "job-1", "policy": policy("s3:GetObject")}, None),
        step(ROLE_POLICY, "two", None, {"role": "job-1", "policy": policy("s3:GetObject")}),
    )
    assert said(*steps, section=Section.PERMISSIONS) == []


def test_a_policy_that_is_not_known_is_neither_a_change_nor_hidden() -> None:
    before, after = {"role": "job-1", "policy": policy("s3:GetObject")}, {"role": "job-1", "policy": UNKNOWN}
    steps = (step(ROLE, "job", role(), role()), step(ROLE_POLICY, "job-policy", before, after))
    assert said(*steps) == [
        "The policies of `job` are not known before up, since they name what is made along with them."
    ]
    assert labels(*steps) == [BROADENS]
    known = step(ROLE_POLICY, "more", None, {"role": "job-1", "policy": policy("s3:PutObject")})
    assert "`job` may now `s3:PutObject`" in said(*steps, known)[0]


def test_a_new_role_is_one_line_and_its_permissions_are_folded() -> None:
    made = (
        step(ROLE, "job", None, role()),
        step(ROLE_POLICY, "policy", None, {"role": "job-1", "policy": policy("s3:GetObject")}),
    )
    (finding,) = model.of(Preview("prod", steps=(KEPT, *made))).findings
    assert finding.words == (
        "A new role: `job`, for `codebuild.amazonaws.com`; whatever it may do, nobody could before."
    )
    assert finding.details == ("`job` may `s3:GetObject` on `arn:aws:s3:::a/*`",)


def test_policies_that_are_kept_elsewhere_and_boundaries_are_said() -> None:
    admin, bound = "arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::123456789012:policy/bound"
    attached = step(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "a", None, {"role": "job-1", "policyArn": admin}
    )
    there = step(ROLE, "job", role(), role())
    assert said(there, attached, section=Section.PERMISSIONS) == [
        f"`job` gets `{admin}`, which is not of this stack: what it allows cannot be told."
    ]
    more = step(ROLE, "job", role(managedPolicyArns=[]), role(managedPolicyArns=[admin]))
    assert labels(more) == [BROADENS]
    free = step(ROLE, "job", role(permissionsBoundary=bound), role())
    assert said(free, section=Section.PERMISSIONS) == [f"`job` is no longer bound by `{bound}`."]
    other = step(ROLE, "job", role(permissionsBoundary=bound), role(permissionsBoundary=admin))
    assert "whether that is narrower cannot be told" in said(other)[0]
    assert labels(step(ROLE, "job", role(), role(permissionsBoundary=bound))) == []
    inline = step(ROLE, "job", role(), role(inlinePolicies=[{"name": "x", "policy": policy("s3:GetObject")}]))
    assert "`job` may now `s3:GetObject`" in said(inline)[0]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("aws:s3/bucketPolicy:BucketPolicy", "policy"),
        ("aws:kms/keyPolicy:KeyPolicy", "policy"),
        ("aws:kms/key:Key", "policy"),
        ("aws:sqs/queuePolicy:QueuePolicy", "policy"),
        ("aws:sns/topicPolicy:TopicPolicy", "policy"),
        ("aws:ecr/repositoryPolicy:RepositoryPolicy", "policy"),
        ("aws:secretsmanager/secretPolicy:SecretPolicy", "policy"),
        ("aws:opensearch/domain:Domain", "accessPolicies"),
    ],
)
def test_the_policy_of_any_resource_is_compared(kind: str, name: str) -> None:
    account, everybody = (policy("s3:GetObject", Principal={"AWS": each}) for each in ("123456789012", "*"))
    first = said(step(kind, "it", {name: account}, {name: everybody}), section=Section.PERMISSIONS)[0]
    assert first.startswith(
        "Everybody may now `s3:GetObject` on `arn:aws:s3:::a/*`: so far `arn:aws:iam::123456789012:root`"
    )
    unknown = step(kind, "it", {name: account}, {name: UNKNOWN})
    assert said(unknown, section=Section.PERMISSIONS)[0].startswith("The policies of `it` are not known before up")


def test_a_lifecycle_policy_is_none_of_iams() -> None:
    rules = {"policy": json.dumps({"rules": []})}
    unknown = step("aws:ecr/lifecyclePolicy:LifecyclePolicy", "it", rules, {"policy": UNKNOWN})
    assert said(unknown, section=Section.PERMISSIONS) == []


def test_what_is_narrowed_stands_in_a_section_of_its_own() -> None:
    both = {"role": "job-1", "policy": policy("s3:GetObject", "s3:PutObject")}
    steps = (
        step(ROLE, "job", role(), role()),
        step(ROLE_POLICY, "p", both, {"role": "job-1", "policy": policy("s3:GetObject")}),
    )
    assert said(*steps, section=Section.NARROWED) == [
        "`job` may no longer `s3:PutObject` on `arn:aws:s3:::a/*` (statement `S`)."
    ]
    assert labels(*steps) == []


def test_a_function_for_any_rule_is_a_broadening() -> None:
    given = {"action": "lambda:InvokeFunction", "function": "f", "principal": "events.amazonaws.com"}
    before = {**given, "sourceArn": "arn:aws:events:eu-west-1:123456789012:rule/a"}
    found = said(step("aws:lambda/permission:Permission", "it", before, given, "replace"))
    assert "the condition on `AWS:SourceArn` is taken away" in found[0]


def rule(source: str, port: int, protocol: str = "tcp", group: str = "sg-1") -> Inputs:
    return {"securityGroupId": group, "cidrIpv4": source, "ipProtocol": protocol, "fromPort": port, "toPort": port}


INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
PRIVATE = rule("10.0.0.0/8", 443)
ADMITS: Mapping[str, tuple[Inputs | None, Inputs, str]] = {
    "everybody": (
        PRIVATE,
        rule("0.0.0.0/0", 443),
        "Everybody may now reach `sg-1` on tcp 443: so far `10.0.0.0/8` on 443",
    ),
    "another port": (
        PRIVATE,
        rule("10.0.0.0/8", 22),
        "`10.0.0.0/8` may now reach `sg-1` on tcp 22: so far `10.0.0.0/8`",
    ),
    "every port": (PRIVATE, rule("10.0.0.0/8", -1, "-1"), "`10.0.0.0/8` may now reach `sg-1` on every port"),
    "a new rule": (None, rule("0.0.0.0/0", 22), "Everybody may now reach `sg-1` on tcp 22 (`it`)"),
    "a source that is not known": (PRIVATE, rule(UNKNOWN, 443), "Whom the rule `it` admits is not known before up."),
}


@pytest.mark.parametrize("name", ADMITS)
def test_a_rule_that_admits_more_is_a_broadening(name: str) -> None:
    old, new, words = ADMITS[name]
    there = step("aws:ec2/securityGroup:SecurityGroup", "group", {}, {})
    found = step(INGRESS, "it", old, new)
    assert said(there, found, section=Section.PERMISSIONS)[0].startswith(words)
    assert BROADENS in labels(there, found)


@pytest.mark.parametrize("new", [rule("10.1.0.0/16", 443), {**PRIVATE, "description": "another"}])
def test_a_rule_that_admits_no_more_is_none(new: Inputs) -> None:
    wide = step(INGRESS, "it", PRIVATE, PRIVATE)
    assert said(wide, step(INGRESS, "other", None, new), section=Section.PERMISSIONS) == []


@pytest.mark.parametrize(
    "unreadable",
    [
        step(ROLE_POLICY, "p", None, {"role": "r", "policy": '{"Statement": [{}]}'}),
        step(PIPELINE, "p", {"stages": [{"name": "a"}]}, {"stages": [{"actions": [3]}]}),
        step(LIFECYCLE, "l", {"rules": []}, {"rules": [3]}),
    ],
)
def test_values_that_cannot_be_read_are_said_to_be_and_hide_nothing_else(unreadable: Step) -> None:
    gone = step("aws:cloudwatch/logGroup:LogGroup", "gone", {"name": "gone"}, None)
    more = step(INGRESS, "it", None, rule("0.0.0.0/0", 22))
    found = said(gone, more, unreadable)
    assert any(words.startswith("What this does cannot be told") for words in found)
    assert any("may now reach" in words for words in found)
    assert labels(unreadable) == [DESTROYS, BROADENS]


# The pipeline.


def action(name: str, category: str = "Build", order: int = 1, **configuration: str) -> dict[str, Any]:
    providers = {"Source": "ECR", "Deploy": "ECS", "Approval": "Manual"}
    return {
        "name": name,
        "category": category,
        "provider": providers.get(category, "CodeBuild"),
        "runOrder": order,
        "configuration": {"ProjectName": name, **configuration},
    }


def of_stages(**stages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"stages": [{"name": name, "actions": list(actions)} for name, actions in stages.items()]}


SOURCE, DEPLOY = action("Source", "Source"), action("DeployService", "Deploy")
TEST, APPROVE, PROMOTE = action("RunTests", "Test"), action("Approve", "Approval"), action("PromoteImage", order=2)
BEFORE = of_stages(Source=[SOURCE], Deploy=[DEPLOY], Test=[TEST], Promote=[APPROVE, PROMOTE])
STRUCTURE: Mapping[str, tuple[Inputs, list[str], bool]] = {
    "a stage more": (
        of_stages(Source=[SOURCE], Deploy=[DEPLOY], Test=[TEST], Promote=[APPROVE, PROMOTE], Release=[action("Tag")]),
        ["The stage `Release` is added after `Promote`, with `Tag`."],
        False,
    ),
    "a stage less": (
        of_stages(Source=[SOURCE], Deploy=[DEPLOY], Test=[TEST]),
        ["The approval `Approve` is removed.", "The stage `Promote` is removed, with `Approve` and `PromoteImage`."],
        True,
    ),
    "no tests": (
        of_stages(Source=[SOURCE], Deploy=[DEPLOY], Promote=[APPROVE, PROMOTE]),
        [
            "The check `RunTests` is removed: `PromoteImage` no longer waits for it.",
            "The stage `Test` is removed, with `RunTests`.",
        ],
        True,
    ),
    "no approval": (
        of_stages(Source=[SOURCE], Deploy=[DEPLOY], Test=[TEST], Promote=[PROMOTE]),
        ["The approval `Approve` is removed: `PromoteImage` no longer waits for it."],
        True,
    ),
    "an approval that comes too late": (
        of_stages(Source=[SOURCE], Deploy=[DEPLOY], Test=[TEST], Promote=[{**APPROVE, "runOrder": 3}, PROMOTE]),
        ["`PromoteImage` now comes before `Approve`.", "`Approve` runs otherwise: runOrder `1` → `3`."],
        True,
    ),
    "tests that come too late": (
        of_stages(Source=[SOURCE], Deploy=[DEPLOY], Promote=[APPROVE, PROMOTE], Test=[TEST]),
        ["`PromoteImage` now comes before `RunTests`.", "The stage `Promote` is moved after `Deploy`."],
        True,
    ),
    "an action more": (
        of_stages(Source=[SOURCE], Deploy=[action("Files"), DEPLOY], Test=[TEST], Promote=[APPROVE, PROMOTE]),
        ["`Deploy` gets the action `Files`."],
        False,
    ),
    "an action elsewhere": (
        of_stages(Source=[SOURCE], Deploy=[DEPLOY, TEST], Test=[action("Other")], Promote=[APPROVE, PROMOTE]),
        ["`RunTests` is moved from the stage `Test` to `Deploy`.", "`Test` gets the action `Other`."],
        False,
    ),
    "another setting": (
        {**BEFORE, "executionMode": "QUEUED"},
        ["`executionMode` `QUEUED` is added."],
        False,
    ),
    "another setting of a stage": (
        {"stages": [*BEFORE["stages"][:3], {**BEFORE["stages"][3], "onFailure": {"result": "ROLLBACK"}}]},
        ["`Promote.onFailure` is added."],
        False,
    ),
}


@pytest.mark.parametrize("name", STRUCTURE)
def test_what_becomes_of_the_pipeline_is_said_by_names(name: str) -> None:
    after, words, broadens = STRUCTURE[name]
    found = step(PIPELINE, "pipeline", BEFORE, after)
    assert said(found, section=Section.PIPELINE) == [*words, DISARMED]
    assert (BROADENS in labels(found)) == broadens


def test_stages_that_are_not_known_are_said_to_be() -> None:
    found = step(PIPELINE, "pipeline", BEFORE, {"stages": UNKNOWN})
    assert said(found, section=Section.PIPELINE) == ["The stages of the pipeline are not known before up."]


def triggers(event: str = "pushes", **filters: object) -> dict[str, Any]:
    git = {"sourceActionName": "Source", event: [filters]}
    return {**BEFORE, "triggers": [{"gitConfiguration": git, "providerType": "CodeStarSourceConnection"}]}


MAIN = {"includes": ["main"]}
STARTS: Mapping[str, tuple[Inputs, Inputs, str]] = {
    "any branch": (triggers(branches=MAIN), triggers(branches={"includes": ["*"]}), "Something else|More"),
    "another branch more": (triggers(branches=MAIN), triggers(branches={"includes": ["main", "next"]}), "More"),
    "no filter of branches": (triggers(branches=MAIN), triggers(), "More starts the pipeline: every push"),
    "fewer files that are left out": (
        triggers(branches=MAIN, filePaths={"excludes": ["docs/**", "*.md"]}),
        triggers(branches=MAIN, filePaths={"excludes": ["docs/**"]}),
        "More",
    ),
    "pull requests, too": (triggers(branches=MAIN), triggers("pullRequests", events=["OPEN"]), "Something else"),
    "no trigger": (triggers(branches=MAIN), {**BEFORE, "triggers": []}, "The pipeline has no trigger any more"),
    "one that is not known": (triggers(branches=MAIN), {**BEFORE, "triggers": UNKNOWN}, "not known before up"),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_trigger_that_is_wider_is_a_broadening(name: str) -> None:
    before, after, words = STARTS[name]
    found = step(PIPELINE, "pipeline", before, after)
    assert any(word in said(found, section=Section.PIPELINE)[0] for word in words.split("|"))
    assert labels(found) == [BROADENS]


def test_a_trigger_that_is_narrower_is_none() -> None:
    found = step(PIPELINE, "pipeline", triggers(branches={"includes": ["*"]}), triggers(branches=MAIN))
    assert said(found, section=Section.PIPELINE)[0] == "Less starts the pipeline; it was push (Source) of branches `*`."
    assert labels(found) == []


def test_the_pattern_of_a_rule_that_starts_the_pipeline_is_compared() -> None:
    target = {"rule": "push", "arn": "arn:aws:codepipeline:eu-west-1:123456789012:shop"}
    start = step("aws:cloudwatch/eventTarget:EventTarget", "t", target, target)

    def rule(old: object, new: object) -> Step:
        was, now = (each if each == UNKNOWN else json.dumps(each) for each in (old, new))
        before, after = ({"name": "push", "eventPattern": each} for each in (was, now))
        return step("aws:cloudwatch/eventRule:EventRule", "r", before, after)

    one, two = {"detail": {"image-tag": ["promoted"]}}, {"detail": {"image-tag": ["promoted", "latest"]}}
    assert "More starts the pipeline: detail.image-tag" in said(start, rule(one, two))[0]
    assert "More starts the pipeline: detail.image-tag" in said(start, rule(one, {"detail": {}}))[0]
    assert "not known before up" in said(start, rule(one, UNKNOWN))[0]
    assert said(start, rule(two, one), section=Section.PIPELINE) == ["Less starts the pipeline (event rule `r`)."]
    assert said(rule(one, two), section=Section.PIPELINE) == []
    new = step("aws:cloudwatch/eventRule:EventRule", "r", None, {"name": "push", "eventPattern": "{}"})
    assert said(start, new, section=Section.PIPELINE) == ["More starts the pipeline: the new event rule `r`."]


# What ships.


def test_a_task_definition_is_compared_by_names() -> None:
    def definition(**container: object) -> Inputs:
        return {"content": json.dumps({"cpu": "256", "containerDefinitions": [{"name": "shop", **container}]})}

    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    found = step(
        OBJECT, "template", definition(environment=env), definition(environment=[env[1], {"name": "A", "value": "3"}])
    )
    assert said(found, section=Section.NEXT_RUN)[0] == "The task definition: shop.environment.A `1` → `3`."
    hidden = step(OBJECT, "template", definition(), {"content": UNKNOWN})
    assert said(hidden, section=Section.NEXT_RUN)[0] == "The task definition changes; how is not known before up."


def test_jobs_with_new_code_are_one_line() -> None:
    def project(name: str, **values: str) -> Step:
        variables = [{"name": key, "value": value} for key, value in values.items()]
        old = {"name": name, "environment": {"environmentVariables": [{"name": "JOBS_SHA256", "value": "old"}]}}
        return step(PROJECT, name, old, {"name": name, "environment": {"environmentVariables": variables}})

    function = step("aws:lambda/function:Function", "f", {"name": "f", "code": "1"}, {"name": "f", "code": "2"})
    steps = [project(f"job-{number}", JOBS_SHA256="new") for number in range(3)]
    assert said(*steps, function, section=Section.JOBS) == ["4 jobs run new code: `job-0`, `job-1`, `job-2` and `f`."]
    assert said(project("job", JOBS_SHA256="old", OTHER="x"), section=Section.JOBS) == []
