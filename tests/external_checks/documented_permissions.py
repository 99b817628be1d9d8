"""What AWS's own pages say a role needs, for each thing that a role of this program is used for.

Every row is one statement of one page: granted as AWS prints it, granted on less with what shows that this works, or
not granted with the reason. The pages were read in November 2026; what they print is written down here by hand, since
AWS publishes no form of them that a program could read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from aws_requests import Described

from components.jobs.buildspec import is_of_the_application

_CODEPIPELINE = "https://docs.aws.amazon.com/codepipeline/latest/userguide"
_CODEBUILD = "https://docs.aws.amazon.com/codebuild/latest/userguide"
_ECS = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide"
_ECR = "https://docs.aws.amazon.com/AmazonECR/latest/userguide"
_LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg"
_SNS = "https://docs.aws.amazon.com/sns/latest/dg"
_VPC = "https://docs.aws.amazon.com/vpc/latest/userguide"
_MANAGED = "https://docs.aws.amazon.com/aws-managed-policy/latest/reference"

_ACCESS_POINT = "arn:aws:elasticfilesystem:<region>:<account>:access-point/<id>"

Condition = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Permission:
    """One statement of AWS's example.

    A word in angle brackets stands for one name, one that ends in ``path`` for a name that may hold slashes.

    Attributes:
        actions: IAM actions as AWS prints them.
        aws: The resources of AWS's example.
        aws_condition: Its condition.
        ours: The resources this program grants the actions on, where they differ.
        condition: The condition this program sets, where it differs.
        proof: Why less than AWS's example works: a page, a policy of AWS or a report, with what it shows.
        absent: Why the actions are not granted.
    """

    actions: tuple[str, ...]
    aws: tuple[str, ...]
    aws_condition: Condition = field(default_factory=dict)
    ours: tuple[str, ...] = ()
    condition: Condition | None = None
    proof: str = ""
    absent: str = ""

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources this program grants the actions on."""
        return self.ours or self.aws

    @property
    def conditions(self) -> Condition:
        """The condition this program sets."""
        return self.aws_condition if self.condition is None else self.condition

    @property
    def differs(self) -> bool:
        """Whether this program grants something else than AWS's example."""
        return bool(self.absent) or bool(self.ours) or self.condition is not None


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """One thing that a role is used for.

    Attributes:
        name: In AWS's words.
        page: Where AWS says what it needs.
        applies: Whether a role is used for it.
        permissions: What the page names.
    """

    name: str
    page: str
    applies: Callable[[Role], bool]
    permissions: tuple[Permission, ...]


@dataclass(frozen=True)
class Role:
    """One role of a graph.

    Attributes:
        name: The resource's name.
        arn: Its ARN.
        service: The service that assumes it; empty for a role of named principals.
        trust: The one statement of its trust policy.
        statements: The statements of its policies.
        graph: All resources.
    """

    name: str
    arn: str
    service: str
    trust: Mapping[str, Any]
    statements: tuple[Mapping[str, Any], ...]
    graph: Sequence[Described]

    @cached_property
    def providers(self) -> frozenset[str]:
        """The providers of the pipeline's actions; for another role, nothing."""
        if self.service != "codepipeline":
            return frozenset()
        (pipeline,) = (item for item in self.graph if item["type"] == "aws:codepipeline/pipeline:Pipeline")
        actions = [action for stage in pipeline["inputs"]["stages"] for action in stage["actions"]]
        notifies = any("NotificationArn" in action["configuration"] for action in actions)
        return frozenset({action["provider"] for action in actions} - ({"Manual"} if not notifies else set()))

    @cached_property
    def project(self) -> Mapping[str, Any]:
        """The inputs of the build project that runs under the role; empty for another role."""
        projects = (item["inputs"] for item in self.graph if item["type"] == "aws:codebuild/project:Project")
        return next((item for item in projects if item["serviceRole"] == self.arn), {})

    def grants(self, action: str) -> list[tuple[tuple[str, ...], Condition]]:
        """Resources and condition of each statement that allows an action."""
        return [
            (tuple(listed(statement["Resource"])), statement.get("Condition", {}))
            for statement in self.statements
            if action in listed(statement["Action"])
        ]


def roles(graph: Sequence[Described]) -> Iterator[Role]:
    """Yield every role of a graph with its policies."""
    policies: dict[str, list[Mapping[str, Any]]] = {}
    for item in graph:
        if item["type"] == "aws:iam/rolePolicy:RolePolicy":
            policies.setdefault(item["inputs"]["role"], []).extend(json.loads(item["inputs"]["policy"])["Statement"])
    for item in graph:
        if item["type"] == "aws:iam/role:Role":
            (trust,) = json.loads(item["inputs"]["assumeRolePolicy"])["Statement"]
            service = trust["Principal"].get("Service", "").removesuffix(".amazonaws.com")
            yield Role(
                item["name"],
                item["outputs"]["arn"],
                service,
                trust,
                tuple(policies.get(item["outputs"]["name"], ())),
                graph,
            )


def problems(role: Role, purpose: Purpose) -> Iterator[str]:
    """Yield where a role differs from what the table says it grants for a purpose."""
    for permission in purpose.permissions:
        for action in permission.actions:
            found = role.grants(action)
            where = f"{role.name}: {action} ({purpose.page})"
            if permission.absent:
                if found:
                    yield f"{where}: granted, and the table says that it is not: {permission.absent}"
            elif not found:
                yield f"{where}: not granted; AWS's page names it"
            elif not any(_same(resources, condition, permission) for resources, condition in found):
                wanted = f"{permission.resources} {dict(permission.conditions)}"
                yield f"{where}: granted on {found}, the table says {wanted}"


def _same(resources: Sequence[str], condition: Condition, permission: Permission) -> bool:
    """Whether a statement has the resources and the condition of the table."""
    patterns = [_pattern(text) for text in permission.resources]
    matched = [[bool(pattern.fullmatch(resource)) for resource in resources] for pattern in patterns]
    return (
        all(any(row) for row in matched)
        and all(any(row[column] for row in matched) for column in range(len(resources)))
        and _same_condition(condition, permission.conditions)
    )


def _same_condition(rendered: Condition, table: Condition) -> bool:
    flat = {(operator, key): value for operator, keys in rendered.items() for key, value in keys.items()}
    wanted = {(operator, key): value for operator, keys in table.items() for key, value in keys.items()}
    return flat.keys() == wanted.keys() and all(_pattern(wanted[at]).fullmatch(_text(flat[at])) for at in flat)


def _text(value: object) -> str:
    """A condition's value, or its values, as text."""
    return value if isinstance(value, str) else " and ".join(listed(value))


def _pattern(text: str) -> re.Pattern[str]:
    """A resource of the table as a regular expression."""
    parts = re.split(r"(<[^>]+>)", text)
    name, path = "[^:/*]+", "[^:*]+"
    return re.compile(
        "".join((path if part.endswith(" path>") else name) if part[:1] == "<" else re.escape(part) for part in parts)
    )


def listed(value: object) -> list[str]:
    """Return what a policy document gives as a text or as a list of texts as a list."""
    return [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]  # JSON: a list of texts


def _runs(*names: str) -> Callable[[Role], bool]:
    """Whether a role's builds are of one of these buildspecs."""
    return lambda role: any(role.project.get("name", "").endswith(f"-{name}") for name in names)


def by_service(service: str) -> Callable[[Role], bool]:
    """Return a check for the roles that a service assumes."""
    return lambda role: role.service == service


def _pipeline_with(provider: str) -> Callable[[Role], bool]:
    return lambda role: provider in role.providers


def _deploys_with_a_group(*, made: bool) -> Callable[[Role], bool]:
    """Whether a pipeline deploys with a deployment group that is made here, or with one that is there already."""

    def applies(role: Role) -> bool:
        there = any(item["type"] == "aws:codedeploy/deploymentGroup:DeploymentGroup" for item in role.graph)
        return "CodeDeployToECS" in role.providers and there is made

    return applies


def _ecs_action(*, made: bool) -> Callable[[Role], bool]:
    """Whether a pipeline deploys with the Amazon ECS action, to a service that is made here, or to one that exists."""

    def applies(role: Role) -> bool:
        there = any(item["type"] == "aws:ecs/service:Service" for item in role.graph)
        return "ECS" in role.providers and there is made

    return applies


def _variables(role: Role) -> dict[str, str]:
    """The type of each variable that the role's build project sets."""
    variables = role.project.get("environment", {}).get("environmentVariables", [])
    return {variable["name"]: variable.get("type", "PLAINTEXT") for variable in variables}


def _own(role: Role) -> bool:
    """Whether a role's builds run a buildspec of the application's repository."""
    buildspec = role.project.get("source", {}).get("buildspec", "")
    return bool(buildspec) and is_of_the_application(buildspec)


def _reports(role: Role) -> bool:
    return "\nreports:" in role.project.get("source", {}).get("buildspec", "")


def _group(role: Role) -> Mapping[str, Any]:
    """The inputs of the deployment group of a graph."""
    groups = (item["inputs"] for item in role.graph if item["type"] == "aws:codedeploy/deploymentGroup:DeploymentGroup")
    return next(groups)


def _starts_with(kind: str) -> Callable[[Role], bool]:
    """Whether a role of ECS tasks is the execution role, or the role of the application itself."""
    return lambda role: role.service == "ecs-tasks" and role.name.endswith(f"-{kind}")


def _states(sid: str) -> Callable[[Role], bool]:
    """Whether a role has a statement whose sid begins like this."""
    return lambda role: any(str(statement["Sid"]).startswith(sid) for statement in role.statements)


def _with_secrets_of(service: str) -> Callable[[Role], bool]:
    def applies(role: Role) -> bool:
        named = [item["inputs"] for item in role.graph if item["type"] == "aws:s3/bucketObjectv2:BucketObjectv2"]
        templates = [json.loads(item["content"]) for item in named if item.get("key", "").endswith("template.json")]
        parts = [part for item in templates for part in item["containerDefinitions"]]
        routed = [part.get("logConfiguration", {}).get("secretOptions", ()) for part in parts]
        secrets = [entry["valueFrom"] for part in parts for entry in part.get("secrets", ())]
        secrets += [entry["valueFrom"] for options in routed for entry in options]
        return _starts_with("roles-execution")(role) and any(f":{service}:" in arn for arn in secrets)

    return applies


def _use_connection(repository: str) -> tuple[Permission, ...]:
    """What AWS names for a connection, and the condition that refuses another repository.

    Args:
        repository: How the condition names the repository, or several.
    """
    return tuple(
        Permission(
            actions=(f"{service}:UseConnection",),
            aws=(f"arn:aws:{service}:<region>:<account>:connection/<id>",),
            condition={"StringEqualsIfExists": {f"{service}:FullRepositoryId": repository}},
            proof=(
                "Public pipelines refuse another repository in forms that a request without one passes, as this; "
                "a plain StringEquals failed: https://github.com/cloudposse/terraform-aws-ecs-codepipeline/pull/75"
            ),
        )
        for service in ("codeconnections", "codestar-connections")
    )


_TAGGING = ("s3:PutObjectTagging", "s3:GetObjectTagging", "s3:GetObjectVersionTagging")
_OWN_ACCOUNT = {"StringEquals": {"aws:ResourceAccount": "<account>"}}
_TO_TASKS = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
_OWN_FOLDER = (
    "CodePipeline keeps a pipeline's artifacts under the first 20 characters of its name: "
    "https://github.com/awsdocs/aws-cloudformation-user-guide/pull/733"
)
_ARTIFACTS_FOLDER = (
    "Below that, it cuts an artifact's name at 10 characters, as in myPipeline/SourceArti of AWS's examples: "
    "https://docs.aws.amazon.com/code-library/latest/ug/cli_2_codepipeline_code_examples.html"
)
_USES_OF_KEY = (
    "Storing an object needs kms:GenerateDataKey, reading it or storing it in parts kms:Decrypt: "
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"
)
_PASSES_TO_TASKS = (
    f"AmazonECS_FullAccess passes the roles of tasks to this service alone: {_MANAGED}/AmazonECS_FullAccess.html"
)
_ONE_SERVICE = (
    "AWS's own example scopes both by the service's ARN, here of one cluster: "
    f"{_CODEPIPELINE}/action-reference-ECS.html"
)
_CDK = "The AWS CDK grants its action these very ARNs: https://github.com/aws/aws-cdk, aws-codepipeline-actions"
_PASS_ROLES = Permission(
    actions=("iam:PassRole",),
    aws=("arn:aws:iam::<account>:role/<execution role path>", "arn:aws:iam::<account>:role/<task role path>"),
    aws_condition={"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com, ecs-tasks.amazonaws.com"}},
    condition=_TO_TASKS,
    proof=_PASSES_TO_TASKS,
)
_CODE_DEPLOY_ACTION = (
    Permission(
        actions=("codedeploy:CreateDeployment", "codedeploy:GetDeployment"),
        aws=("arn:aws:codedeploy:<region>:<account>:deploymentgroup:<application>/*",),
        ours=("arn:aws:codedeploy:<region>:<account>:deploymentgroup:<application>/<group>",),
        proof=_CDK,
    ),
    Permission(
        actions=(
            "codedeploy:GetApplication",
            "codedeploy:GetApplicationRevision",
            "codedeploy:RegisterApplicationRevision",
        ),
        aws=(
            "arn:aws:codedeploy:<region>:<account>:application:<application>",
            "arn:aws:codedeploy:<region>:<account>:application:<application>/*",
        ),
    ),
)
_ANY_CONFIGURATION = Permission(
    actions=("codedeploy:GetDeploymentConfig",),
    aws=("arn:aws:codedeploy:<region>:<account>:deploymentconfig:*",),
)
_ECS_ACTION = (
    Permission(actions=("ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition"), aws=("*",)),
    Permission(
        actions=("ecs:DescribeServices", "ecs:UpdateService"),
        aws=("arn:aws:ecs:<region>:<account>:service/<cluster>/*",),
        ours=("arn:aws:ecs:<region>:<account>:service/<cluster>/<service>",),
        proof=_ONE_SERVICE,
    ),
)
_TAG_TASK_DEFINITION = Permission(
    actions=("ecs:TagResource",),
    aws=("arn:aws:ecs:<region>:<account>:task-definition/<family>:*",),
    aws_condition={"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}},
)


def _stores(role: Role) -> bool:
    """Whether a build has output artifacts."""
    return _states("WriteArtifacts")(role)


def _puts(role: Role) -> bool:
    """Whether a build stores objects, in the artifact bucket or in another one."""
    return any("s3:PutObject" in statement["Action"] for statement in role.statements)


def _execution_role(role: str, name: str, *, log: str) -> Purpose:
    """What AWS's managed policy lets an execution role do, and ours of one log group.

    Args:
        role: What it is, for messages.
        name: How its name begins.
        log: The log group.
    """
    return Purpose(
        name=f"Amazon ECS: {role}",
        page=f"{_MANAGED}/AmazonECSTaskExecutionRolePolicy.html",
        applies=_starts_with(name),
        permissions=(
            Permission(actions=("ecr:GetAuthorizationToken",), aws=("*",)),
            Permission(
                actions=("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"),
                aws=("*",),
                ours=("arn:aws:ecr:<region>:<account>:repository/<repository path>",),
                proof=f"Amazon ECR's own examples scope them by the repository: {_ECR}/repository-policy-examples.html",
            ),
            Permission(
                actions=("logs:CreateLogStream", "logs:PutLogEvents"),
                aws=("*",),
                ours=(f"arn:aws:logs:<region>:<account>:log-group:{log}:*",),
                proof="The AWS CDK grants an execution role its log group this way (LogGroup.grantWrite).",
            ),
        ),
    )


PURPOSES: tuple[Purpose, ...] = (
    Purpose(
        name="Lambda: log of a function",
        page=f"{_LAMBDA}/lambda-intro-execution-role.html",
        applies=by_service("lambda"),
        permissions=(
            Permission(
                actions=("logs:CreateLogStream", "logs:PutLogEvents"),
                aws=("*",),
                ours=("arn:aws:logs:<region>:<account>:log-group:<group path>:*",),
                proof=(
                    "CloudWatch Logs takes both on one log group, as AWS's own example for builds grants them: "
                    f"{_CODEBUILD}/setting-up-service-role.html"
                ),
            ),
            Permission(
                actions=("logs:CreateLogGroup",), aws=("*",), absent="The log group is made here, before the function."
            ),
        ),
    ),
    Purpose(
        name="VPC flow logs: CloudWatch Logs",
        page=f"{_VPC}/flow-logs-iam-role.html",
        applies=by_service("vpc-flow-logs"),
        permissions=(
            Permission(
                actions=("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
                aws=("*",),
                ours=("arn:aws:logs:<region>:<account>:log-group:<group path>:*",),
                proof=(
                    "The AWS CDK grants the role of a flow log these three actions on its log group, and nothing else "
                    "of CloudWatch Logs: https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/aws-ec2/lib/vpc-flow-logs.ts"
                ),
            ),
            Permission(
                actions=("logs:CreateLogGroup", "logs:DescribeLogGroups"),
                aws=("*",),
                absent="The log group is made here, before the flow log, and is to stay away when it is destroyed.",
            ),
        ),
    ),
    Purpose(
        name="Lambda: record of an invocation that failed, to a topic",
        page=f"{_LAMBDA}/invocation-async-retain-records.html",
        applies=lambda role: _states("ReadGitHubToken")(role) and _states("PublishMessages")(role),
        permissions=(Permission(actions=("sns:Publish",), aws=("arn:aws:sns:<region>:<account>:<topic>",)),),
    ),
    Purpose(
        name="SNS: messages for an encrypted topic",
        page=f"{_SNS}/sns-key-management.html",
        applies=_states("EncryptMessages"),
        permissions=(
            Permission(actions=("sns:Publish",), aws=("arn:aws:sns:<region>:<account>:<topic>",)),
            Permission(
                actions=("kms:Decrypt", "kms:GenerateDataKey"), aws=("arn:aws:kms:<region>:<account>:key/<key>",)
            ),
        ),
    ),
    Purpose(
        name="CodePipeline: artifact store",
        page=f"{_CODEPIPELINE}/how-to-custom-role.html",
        applies=by_service("codepipeline"),
        permissions=(
            Permission(
                actions=("s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"),
                aws=("arn:aws:s3:::<bucket>",),
            ),
            Permission(
                actions=("s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:GetObjectVersion"),
                aws=("arn:aws:s3:::<bucket>/*",),
                ours=("arn:aws:s3:::<bucket>/<pipeline>/*",),
                proof=_OWN_FOLDER,
            ),
        ),
    ),
    Purpose(
        name="CodePipeline: artifact store, with a source action that fetches no objects",
        page=f"{_CODEPIPELINE}/how-to-custom-role.html",
        applies=lambda role: by_service("codepipeline")(role) and "S3" not in role.providers,
        permissions=(
            Permission(
                actions=_TAGGING,
                aws=("arn:aws:s3:::<bucket>/*",),
                absent="The page asks for them when objects of an S3 source have tags; no source of these is in S3.",
            ),
        ),
    ),
    Purpose(
        name="CodePipeline: artifact store, with a source action that fetches objects, which may have tags",
        page=f"{_CODEPIPELINE}/how-to-custom-role.html",
        applies=_pipeline_with("S3"),
        permissions=(
            Permission(
                actions=_TAGGING,
                aws=("arn:aws:s3:::<bucket>/*",),
                ours=("arn:aws:s3:::<bucket>/<pipeline>/*",),
                proof=_OWN_FOLDER,
            ),
        ),
    ),
    Purpose(
        name="CodePipeline: artifact store with a customer managed key",
        page=f"{_CODEPIPELINE}/pipelines-create-cross-account.html",
        applies=by_service("codepipeline"),
        permissions=(
            Permission(
                actions=("kms:DescribeKey", "kms:GenerateDataKey", "kms:Encrypt", "kms:Decrypt"),
                aws=("arn:aws:kms:<region>:<account>:key/<key>",),
            ),
            Permission(
                actions=("kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKeyWithoutPlaintext"),
                aws=("arn:aws:kms:<region>:<account>:key/<key>",),
                absent=_USES_OF_KEY,
            ),
        ),
    ),
    Purpose(
        name="CodePipeline: source action of a connection",
        page=f"{_CODEPIPELINE}/action-reference-CodestarConnectionSource.html",
        applies=_pipeline_with("CodeStarSourceConnection"),
        permissions=_use_connection("<repository path>"),
    ),
    Purpose(
        name="CodePipeline: Amazon ECR source action",
        page=f"{_CODEPIPELINE}/action-reference-ECR.html",
        applies=_pipeline_with("ECR"),
        permissions=(
            Permission(
                actions=("ecr:DescribeImages",),
                aws=("arn:aws:ecr:<region>:<account>:repository/<repository path>",),
            ),
        ),
    ),
    Purpose(
        name="CodePipeline: Amazon S3 source action",
        page=f"{_CODEPIPELINE}/action-reference-S3.html",
        applies=_pipeline_with("S3"),
        permissions=(
            Permission(
                actions=("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
                aws=("arn:aws:s3:::<bucket>", "arn:aws:s3:::<bucket>/*"),
                aws_condition=_OWN_ACCOUNT,
                ours=("arn:aws:s3:::<bucket>/<object path>",),
                condition=_OWN_ACCOUNT,
                proof=(
                    "The AWS CDK grants its action the one object (aws-cdk#15304), and IAM's table has these actions "
                    "for objects alone: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html"
                ),
            ),
            Permission(
                actions=("s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"),
                aws=("arn:aws:s3:::<bucket>", "arn:aws:s3:::<bucket>/*"),
                aws_condition=_OWN_ACCOUNT,
                ours=("arn:aws:s3:::<bucket>",),
                condition=_OWN_ACCOUNT,
                proof=(
                    "IAM's table has these actions for buckets alone: "
                    "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html"
                ),
            ),
        ),
    ),
    Purpose(
        name="CodePipeline: Amazon S3 source action, of objects under a customer managed key",
        page="https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html",
        applies=_states("DecryptUploadedCode"),
        permissions=(
            Permission(
                actions=("kms:Decrypt",),
                aws=("arn:aws:kms:<region>:<account>:key/<key>",),
            ),
        ),
    ),
    Purpose(
        name="CodePipeline: CodeBuild action",
        page=f"{_CODEPIPELINE}/action-reference-CodeBuild.html",
        applies=_pipeline_with("CodeBuild"),
        permissions=(
            Permission(
                actions=("codebuild:BatchGetBuilds", "codebuild:StartBuild"),
                aws=("arn:aws:codebuild:<region>:<account>:project/<project>",),
            ),
            Permission(
                actions=("codebuild:BatchGetBuildBatches", "codebuild:StartBuildBatch"),
                aws=("arn:aws:codebuild:<region>:<account>:project/<project>",),
                absent="No action runs a batch build.",
            ),
        ),
    ),
    Purpose(
        name="CodePipeline: CodeDeploy to Amazon ECS action",
        page=f"{_CODEPIPELINE}/action-reference-ECSbluegreen.html",
        applies=_deploys_with_a_group(made=True),
        permissions=(
            *_CODE_DEPLOY_ACTION,
            replace(
                _ANY_CONFIGURATION,
                ours=("arn:aws:codedeploy:<region>:<account>:deploymentconfig:<configuration>",),
                proof=_CDK,
            ),
            Permission(actions=("ecs:RegisterTaskDefinition",), aws=("*",)),
            _TAG_TASK_DEFINITION,
            _PASS_ROLES,
        ),
    ),
    Purpose(
        name="CodePipeline: CodeDeploy to Amazon ECS action, with a deployment group that is there",
        page=f"{_CODEPIPELINE}/action-reference-ECSbluegreen.html",
        applies=_deploys_with_a_group(made=False),
        permissions=(
            *_CODE_DEPLOY_ACTION,
            _ANY_CONFIGURATION,
            Permission(actions=("ecs:RegisterTaskDefinition",), aws=("*",)),
            _TAG_TASK_DEFINITION,
            _PASS_ROLES,
        ),
    ),
    Purpose(
        name="CodePipeline: Amazon ECS action",
        page=f"{_CODEPIPELINE}/action-reference-ECS.html",
        applies=_ecs_action(made=True),
        permissions=(*_ECS_ACTION, _TAG_TASK_DEFINITION, _PASS_ROLES),
    ),
    Purpose(
        name="CodePipeline: Amazon ECS action, with a service that exists",
        page=f"{_CODEPIPELINE}/action-reference-ECS.html",
        applies=_ecs_action(made=False),
        permissions=(
            *_ECS_ACTION,
            replace(
                _TAG_TASK_DEFINITION,
                ours=("arn:aws:ecs:<region>:<account>:task-definition/*:*",),
                proof="wider than AWS's example: the family is that of what runs, which nobody knows before",
            ),
            _PASS_ROLES,
        ),
    ),
    Purpose(
        name="CodePipeline: manual approval that notifies a topic",
        page=f"{_CODEPIPELINE}/approvals-service-role-permissions.html",
        applies=_pipeline_with("Manual"),
        permissions=(
            Permission(
                actions=("sns:Publish",),
                aws=("*",),
                ours=("arn:aws:sns:<region>:<account>:<topic>",),
                proof=(
                    "Amazon SNS's own examples scope it by the topic: "
                    "https://docs.aws.amazon.com/sns/latest/dg/sns-using-identity-based-policies.html"
                ),
            ),
        ),
    ),
    Purpose(
        name="CodeBuild: service role",
        page=f"{_CODEBUILD}/setting-up-service-role.html",
        applies=by_service("codebuild"),
        permissions=(
            Permission(
                actions=("logs:CreateLogStream", "logs:PutLogEvents"),
                aws=("*",),
                ours=("arn:aws:logs:<region>:<account>:log-group:/aws/codebuild/<project>:*",),
                proof="The AWS CDK grants a project with a log group of its own this ARN (LogGroup.grantWrite).",
            ),
            Permission(actions=("logs:CreateLogGroup",), aws=("*",), absent="The program makes the log group."),
            Permission(actions=("codecommit:GitPull",), aws=("*",), absent="No source is in CodeCommit."),
            Permission(
                actions=("s3:GetObject", "s3:GetObjectVersion"),
                aws=("*",),
                ours=("arn:aws:s3:::<bucket>/<pipeline>/<artifact>/*",),
                proof=_ARTIFACTS_FOLDER,
            ),
            Permission(
                actions=("s3:GetBucketAcl", "s3:GetBucketLocation"),
                aws=("*",),
                ours=("arn:aws:s3:::<bucket>",),
                proof=f"AWS's policy for CodePipeline scopes them so: {_CODEPIPELINE}/how-to-custom-role.html",
            ),
        ),
    ),
    Purpose(
        name="CodeBuild: output artifacts",
        page=f"{_CODEBUILD}/setting-up-service-role.html",
        applies=_stores,
        permissions=(
            Permission(
                actions=("s3:PutObject",),
                aws=("*",),
                ours=("arn:aws:s3:::<bucket>/<pipeline>/<artifact>/*",),
                proof=_ARTIFACTS_FOLDER,
            ),
        ),
    ),
    Purpose(
        name="CodeBuild: a build without output artifacts",
        page=f"{_CODEBUILD}/setting-up-service-role.html",
        applies=lambda role: role.service == "codebuild" and not _puts(role),
        permissions=(
            Permission(
                actions=("s3:PutObject",),
                aws=("*",),
                absent=(
                    "It stores no object. The AWS CDK grants a build without outputs reading alone: "
                    "https://github.com/aws/aws-cdk, aws-codepipeline-actions/lib/codebuild/build-action.ts"
                ),
            ),
        ),
    ),
    Purpose(
        name="CodeBuild: input artifacts under a customer managed key",
        page=f"{_CODEBUILD}/setting-up-kms.html",
        applies=by_service("codebuild"),
        permissions=(
            Permission(actions=("kms:Decrypt", "kms:DescribeKey"), aws=("arn:aws:kms:<region>:<account>:key/<key>",)),
            Permission(
                actions=("kms:ReEncryptFrom", "kms:ReEncryptTo"),
                aws=("arn:aws:kms:<region>:<account>:key/<key>",),
                absent=_USES_OF_KEY,
            ),
        ),
    ),
    Purpose(
        name="CodeBuild: output artifacts under a customer managed key",
        page=f"{_CODEBUILD}/setting-up-kms.html",
        applies=_stores,
        permissions=(
            Permission(
                actions=("kms:Encrypt", "kms:GenerateDataKey"), aws=("arn:aws:kms:<region>:<account>:key/<key>",)
            ),
        ),
    ),
    Purpose(
        name="CodeBuild: full clone through a connection",
        page=f"{_CODEPIPELINE}/troubleshooting.html#codebuild-role-connections",
        applies=lambda role: "CONNECTION_ARN" in _variables(role),
        permissions=_use_connection("<repositories path>"),
    ),
    Purpose(
        name="CodeBuild: builds in a VPC",
        page=f"{_CODEBUILD}/auth-and-access-control-iam-identity-based-access-control.html",
        applies=lambda role: "vpcConfig" in role.project,
        permissions=(
            Permission(
                actions=(
                    "ec2:DescribeDhcpOptions",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeVpcs",
                ),
                aws=("*",),
            ),
            Permission(
                actions=("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"),
                aws=("*",),
                condition={"ArnLikeIfExists": {"ec2:Vpc": "arn:aws:ec2:<region>:*:vpc/<id>"}},
                proof=(
                    "Where a request says of which VPC it is, another one is refused; the keys: "
                    "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html"
                ),
            ),
            Permission(
                actions=("ec2:CreateNetworkInterfacePermission",),
                aws=("arn:aws:ec2:<region>:<account>:network-interface/*",),
                aws_condition={
                    "StringEquals": {"ec2:AuthorizedService": "codebuild.amazonaws.com"},
                    "ArnEquals": {"ec2:Subnet": "arn:aws:ec2:<region>:<account>:subnet/<id>"},
                },
                condition={
                    "StringEquals": {"ec2:AuthorizedService": "codebuild.amazonaws.com"},
                    "ArnLike": {"ec2:Subnet": " and ".join(["arn:aws:ec2:<region>:*:subnet/<id>"] * 2)},
                },
                proof="A subnet that another account shares has that account in its ARN.",
            ),
        ),
    ),
    Purpose(
        name="CodeBuild: test report",
        page=f"{_CODEBUILD}/test-permissions.html",
        applies=_reports,
        permissions=(
            Permission(
                actions=(
                    "codebuild:CreateReportGroup",
                    "codebuild:CreateReport",
                    "codebuild:UpdateReport",
                    "codebuild:BatchPutTestCases",
                ),
                aws=("arn:aws:codebuild:<region>:<account>:report-group/<group>",),
            ),
        ),
    ),
    Purpose(
        name="CodeBuild: test report of a build of the application's own",
        page=f"{_CODEBUILD}/test-permissions.html",
        applies=_own,
        permissions=(
            Permission(
                actions=(
                    "codebuild:CreateReportGroup",
                    "codebuild:CreateReport",
                    "codebuild:UpdateReport",
                    "codebuild:BatchPutTestCases",
                ),
                aws=("arn:aws:codebuild:<region>:<account>:report-group/<group>",),
                ours=("arn:aws:codebuild:<region>:<account>:report-group/<project>-*",),
                proof=(
                    "A group that a buildspec names is called <project>-<name>: "
                    f"{_CODEBUILD}/test-report-group-naming.html"
                ),
            ),
        ),
    ),
    Purpose(
        name="CodeBuild: variable from Secrets Manager",
        page=f"{_CODEBUILD}/build-spec-ref.html",
        applies=lambda role: "SECRETS_MANAGER" in _variables(role).values(),
        permissions=(
            Permission(
                actions=("secretsmanager:GetSecretValue",),
                aws=("arn:aws:secretsmanager:<region>:<account>:secret:/CodeBuild/*",),
                ours=("arn:aws:secretsmanager:<region>:<account>:secret:<secret path>",),
                proof=(
                    "The ARN of one secret, with AWS's wildcard for the six characters behind a name: "
                    "https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_examples.html"
                ),
            ),
        ),
    ),
    Purpose(
        name="Amazon ECS: run tasks of a family in one cluster",
        page=f"{_ECS}/security_iam_id-based-policy-examples.html",
        applies=_runs("run-before", "run-after", "run-smoke-test"),
        permissions=(
            Permission(
                actions=("ecs:RunTask",),
                aws=("arn:aws:ecs:<region>:<account>:task-definition/<family>:*",),
                aws_condition={"ArnEquals": {"ecs:cluster": "arn:aws:ecs:<region>:<account>:cluster/<cluster>"}},
            ),
        ),
    ),
    Purpose(
        name="Amazon ECS: tags of a task and of a task definition",
        page=f"{_ECS}/supported-iam-actions-tagging.html",
        applies=_runs("run-before", "run-after", "run-smoke-test"),
        permissions=(
            Permission(
                actions=("ecs:TagResource",),
                aws=("*",),
                aws_condition={"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition, RunTask and others"}},
                ours=("arn:aws:ecs:<region>:<account>:task/<cluster>/*",),
                condition={"StringEquals": {"ecs:CreateAction": "RunTask"}},
                proof=(
                    "The ARN of what is tagged, by the resource types of ecs:TagResource: "
                    "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html"
                ),
            ),
        ),
    ),
    Purpose(
        name="Amazon ECR: push an image",
        page=f"{_ECR}/image-push-iam.html",
        applies=_runs("build-image", "build-smoke-test-image"),
        permissions=(
            Permission(
                actions=(
                    "ecr:CompleteLayerUpload",
                    "ecr:UploadLayerPart",
                    "ecr:InitiateLayerUpload",
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:PutImage",
                    "ecr:BatchGetImage",
                ),
                aws=("arn:aws:ecr:<region>:<account>:repository/<repository path>",),
            ),
            Permission(actions=("ecr:GetAuthorizationToken",), aws=("*",)),
        ),
    ),
    Purpose(
        name="Amazon ECR: pull-through cache",
        page=f"{_ECR}/pull-through-cache-iam.html",
        applies=lambda role: "DOCKER_HUB_CACHE_URI" in _variables(role),
        permissions=(
            Permission(
                actions=("ecr:BatchImportUpstreamImage", "ecr:CreateRepository"),
                aws=("arn:aws:ecr:<region>:<account>:repository/<prefix>/*",),
            ),
        ),
    ),
    Purpose(
        name="Amazon ECR: push a promoted image, from this account or from another",
        page=f"{_ECR}/image-push-iam.html",
        applies=lambda role: role.service == "" or (_runs("promote-image")(role) and bool(role.grants("ecr:PutImage"))),
        permissions=(
            Permission(
                actions=(
                    "ecr:CompleteLayerUpload",
                    "ecr:UploadLayerPart",
                    "ecr:InitiateLayerUpload",
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:PutImage",
                    "ecr:BatchGetImage",
                ),
                aws=("arn:aws:ecr:<region>:<account>:repository/<repository path>",),
            ),
            Permission(actions=("ecr:GetAuthorizationToken",), aws=("*",)),
        ),
    ),
    Purpose(
        name="Amazon ECR: read what scans have found, by Amazon Inspector too",
        page=f"{_ECR}/image-scanning-enhanced-iam.html",
        applies=lambda role: "SCAN_RULES" in _variables(role),
        permissions=(
            Permission(
                actions=("inspector2:ListFindings", "inspector2:ListAccountPermissions", "inspector2:ListCoverage"),
                aws=("*",),
            ),
        ),
    ),
    Purpose(
        name="CodeDeploy: service role for Amazon ECS",
        page=f"{_MANAGED}/AWSCodeDeployRoleForECS.html",
        applies=by_service("codedeploy"),
        permissions=(
            Permission(
                actions=("ecs:CreateTaskSet", "ecs:DeleteTaskSet", "ecs:UpdateServicePrimaryTaskSet"), aws=("*",)
            ),
            Permission(
                actions=("ecs:DescribeServices",),
                aws=("*",),
                ours=("arn:aws:ecs:<region>:<account>:service/<cluster>/<service>",),
                proof=_ONE_SERVICE,
            ),
            Permission(
                actions=(
                    "elasticloadbalancing:DescribeListeners",
                    "elasticloadbalancing:DescribeRules",
                    "elasticloadbalancing:DescribeTargetGroups",
                ),
                aws=("*",),
            ),
            Permission(
                actions=("elasticloadbalancing:ModifyListener",),
                aws=("*",),
                ours=("arn:aws:elasticloadbalancing:<region>:<account>:listener/app/<name>/<id>/<id>",),
                proof=(
                    "AWS's policy for ECS's own deployments scopes them by listener and rule: "
                    f"{_MANAGED}/AmazonECSInfrastructureRolePolicyForLoadBalancers.html"
                ),
            ),
            Permission(
                actions=("elasticloadbalancing:ModifyRule",),
                aws=("*",),
                ours=("arn:aws:elasticloadbalancing:<region>:<account>:listener-rule/app/<name>/<id>/<id>/*",),
                proof="As elasticloadbalancing:ModifyListener.",
            ),
            Permission(
                actions=("iam:PassRole",),
                aws=("*",),
                aws_condition={"StringLike": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
                ours=_PASS_ROLES.aws,
                condition=_TO_TASKS,
                proof="The two roles of the task definition that is deployed; iam:PassRole is always scoped by roles.",
            ),
            Permission(
                actions=("lambda:InvokeFunction", "sns:Publish"),
                aws=("*",),
                absent="No AppSpec names a hook, no deployment group notifies a topic.",
            ),
            Permission(
                actions=("s3:GetObject", "s3:GetObjectVersion"),
                aws=("*",),
                absent=(
                    "CodePipeline's action hands over the AppSpec itself. AWS's policy could not read it from the "
                    "artifact store anyway: it has no kms:Decrypt, and pipelines of the AWS CDK work with it and a "
                    "customer managed key: https://github.com/aws/aws-cdk, aws-codepipeline-actions"
                ),
            ),
        ),
    ),
    Purpose(
        name="CodeDeploy: service role of a deployment group with alarms",
        page=f"{_MANAGED}/AWSCodeDeployRoleForECS.html",
        applies=lambda role: role.service == "codedeploy" and _group(role).get("alarmConfiguration") is not None,
        permissions=(Permission(actions=("cloudwatch:DescribeAlarms",), aws=("*",)),),
    ),
    Purpose(
        name="Amazon ECS: infrastructure role for load balancers",
        page=f"{_MANAGED}/AmazonECSInfrastructureRolePolicyForLoadBalancers.html",
        applies=by_service("ecs"),
        permissions=(
            Permission(
                actions=(
                    "elasticloadbalancing:DescribeListeners",
                    "elasticloadbalancing:DescribeRules",
                    "elasticloadbalancing:DescribeTargetGroups",
                    "elasticloadbalancing:DescribeTargetHealth",
                ),
                aws=("*",),
            ),
            Permission(
                actions=("elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"),
                aws=("arn:aws:elasticloadbalancing:*:*:targetgroup/*/*",),
                ours=("arn:aws:elasticloadbalancing:<region>:<account>:targetgroup/<name>/<id>",),
                proof="The same resource type, with the names of the service's own target groups.",
            ),
            Permission(
                actions=("elasticloadbalancing:ModifyListener",),
                aws=("arn:aws:elasticloadbalancing:*:*:listener/app/*/*/*",),
                ours=("arn:aws:elasticloadbalancing:<region>:<account>:listener/app/<name>/<id>/<id>",),
                proof="The same resource type, with the names of the service's own listeners.",
            ),
            Permission(
                actions=("elasticloadbalancing:ModifyRule",),
                aws=("arn:aws:elasticloadbalancing:*:*:listener-rule/app/*/*/*/*",),
                ours=("arn:aws:elasticloadbalancing:<region>:<account>:listener-rule/app/<name>/<id>/<id>/<id>",),
                proof="The same resource type, with the names of the service's own rules.",
            ),
        ),
    ),
    Purpose(
        name="EventBridge: start the pipeline",
        page=f"{_CODEPIPELINE}/create-cwe-ecr-source-cli.html",
        applies=by_service("events"),
        permissions=(
            Permission(
                actions=("codepipeline:StartPipelineExecution",),
                aws=("arn:aws:codepipeline:<region>:<account>:<pipeline>",),
            ),
        ),
    ),
    _execution_role("task execution role", "roles-execution", log="/ecs/<service>"),
    _execution_role("execution role of the smoke test", "smoke-test-execution", log="/ecs/<service>/<container>"),
    Purpose(
        name="Amazon ECS: task execution role that reads Secrets Manager",
        page=f"{_ECS}/task_execution_IAM_role.html",
        applies=_with_secrets_of("secretsmanager"),
        permissions=(
            Permission(
                actions=("secretsmanager:GetSecretValue",),
                aws=("arn:aws:secretsmanager:<region>:<account>:secret:<secret path>",),
            ),
            Permission(
                actions=("kms:Decrypt",),
                aws=("arn:aws:kms:<region>:<account>:key/<key>",),
                absent="The page asks for it when a secret has a key of its own; such a key's policy admits the role.",
            ),
        ),
    ),
    Purpose(
        name="Amazon ECS: task execution role that reads Parameter Store",
        page=f"{_ECS}/task_execution_IAM_role.html",
        applies=_with_secrets_of("ssm"),
        permissions=(
            Permission(
                actions=("ssm:GetParameters",),
                aws=("arn:aws:ssm:<region>:<account>:parameter/<parameter path>",),
            ),
        ),
    ),
    Purpose(
        name="Amazon ECS: task execution role that reads environment files",
        page=f"{_ECS}/task_execution_IAM_role.html",
        applies=_states("ReadEnvironmentFiles"),
        permissions=(
            Permission(actions=("s3:GetObject",), aws=("arn:aws:s3:::<bucket>/<key path>",)),
            Permission(actions=("s3:GetBucketLocation",), aws=("arn:aws:s3:::<bucket>",)),
        ),
    ),
    Purpose(
        name="Amazon EFS: mount through an access point",
        page="https://docs.aws.amazon.com/efs/latest/ug/access-points-iam-policy.html",
        applies=_states("Mount"),
        permissions=(
            Permission(
                actions=("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"),
                aws=("arn:aws:elasticfilesystem:<region>:<account>:file-system/<file system>",),
                aws_condition={"StringEquals": {"elasticfilesystem:AccessPointArn": _ACCESS_POINT}},
                condition={"ArnEquals": {"elasticfilesystem:AccessPointArn": _ACCESS_POINT}},
                proof="The key is an ARN, which ArnEquals is for: "
                "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html",
            ),
        ),
    ),
    Purpose(
        name="Amazon ECS: task role with ECS Exec",
        page=f"{_ECS}/task-iam-roles.html",
        applies=_states("OpenShell"),
        permissions=(
            Permission(
                actions=(
                    "ssmmessages:CreateControlChannel",
                    "ssmmessages:CreateDataChannel",
                    "ssmmessages:OpenControlChannel",
                    "ssmmessages:OpenDataChannel",
                    "logs:DescribeLogGroups",
                ),
                aws=("*",),
            ),
            Permission(
                actions=("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
                aws=("arn:aws:logs:<region>:<account>:log-group:<group path>:*",),
            ),
        ),
    ),
)
"""Everything that roles of this program are used for."""
