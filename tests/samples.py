"""What the components are tried on: one small application, and one stage at a time on the strict engine."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pulumi
from mocked import ACCOUNT, REGION, Graph, Resource, build

from components.foundation.artifact_bucket import ArtifactBucket
from components.foundation.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document
from components.hosting import DeploymentTarget
from components.images.registry import Registry
from components.jobs.build_project import quick_machine, transfer_machine, waiting_machine
from components.jobs.bundle import JobBundle, key_of, pack
from components.pipeline.connection import connection_of
from components.pipeline.model import Action
from components.settings import Settings, load_settings
from components.stages import Stage, StageContext
from components.stages.wanted import args_of, connection_args, registry_args

TAGS = {"Application": "shop", "Environment": "dev", "ManagedBy": "ecs-delivery"}
CONNECTION = f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/0f0f0f0f-1234-4abc-8def-0123456789ab"
GITHUB = {"repository": "example/shop", "connectionArn": CONNECTION}
BUILT_BY_DEV = {"source": "https://github.com/example/shop", "pipeline": "shop-dev"}
"""Who builds the images of a stack that has them from ECR, as its stack file has to say."""
TEMPLATE = "s3://templates/shop.json"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/encryption-key-id"
BUCKET = "artifacts-bucket-1a2b3c4"
BUNDLE_KEY = key_of(pack())
BUNDLE_VARIABLES = {"JOBS_BUNDLE": f"s3://{BUCKET}/{BUNDLE_KEY}", "JOBS_SHA256": Path(BUNDLE_KEY).stem}
"""How a project finds and verifies the scripts of its job."""
EVERY_VARIABLE = ("CODEBUILD_CONFIG_AUTO_DISCOVER", *BUNDLE_VARIABLES)
"""What every project sets."""
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
LISTENERS = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/shop/50dc6c495c0c9188"
PRODUCTION = f"{LISTENERS}/f2f7dc8efc522ab2"
TEST = f"{LISTENERS}/0467ef3c8400ae65"
EXECUTION_ROLE = f"arn:aws:iam::{ACCOUNT}:role/shop-execution"
TASK_ROLE = f"arn:aws:iam::{ACCOUNT}:role/shop-task"
USES_CONNECTION = ["UseConnection", "UseConnectionByOldName"]
"""What a build may do that clones; the tests of the connection hold it in full."""
STANDARD_SIDS = ("ReadJobs", "ReadArtifacts", "WriteArtifacts", "FindArtifactBucket", "UseArtifactKey", "WriteLog")
"""What every build may do; the tests of the build project hold each of them in full."""


def arn(service: str, resource: str) -> str:
    """The ARN of a regional resource of the tests' account."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def image_repository(name: str) -> str:
    """The ARN of an ECR repository of the tests' account."""
    return arn("ecr", f"repository/{name}")


def shop(**sections: object) -> Settings:
    """The settings of a small application; sections are given as the stack file writes them, without prefix."""
    file: dict[str, Any] = {
        "application": {"name": "shop"},
        "source": {"github": GITHUB},
        "hosting": {
            "existing": {
                "cluster": "shop-cluster",
                "service": "shop-service",
                "executionRole": "shop-execution",
                "loadBalancer": "shop",
                "listeners": {"production": 443},
                "targetGroups": ["shop-blue", "shop-green"],
                "serviceUrl": "https://shop.example.com",
            }
        },
    }
    given = {**file, **sections}
    if set(given["source"]) == {"ecr"}:
        given.setdefault("verification", {"provenance": BUILT_BY_DEV})
    return load_settings(given, stack="dev")


def foundation(**changes: Any) -> Foundation:  # noqa: ANN401 - whatever fields the foundation has
    """What everything of the application is made with; made inside a builder."""
    prefix, protect = changes.get("prefix", "shop-dev"), changes.get("protect", False)
    key = EncryptionKey("encryption", EncryptionKeyArgs(prefix=prefix, protect=protect, tags=TAGS))
    base = Foundation(
        stack="dev",
        prefix=prefix,
        region=key.account.region,
        key=key,
        tags=TAGS,
        log_days=365,
        artifact_days=30,
        images=100,
        protect=protect,
    )
    return dataclasses.replace(base, **changes)


def artifact_bucket(base: Foundation | None = None, *, access_logs: bool = False) -> ArtifactBucket:
    """The artifact bucket of the application; made inside a builder."""
    return ArtifactBucket("artifacts", base or foundation(), access_logs=access_logs)


def hosting(base: Foundation, **changes: Any) -> DeploymentTarget:  # noqa: ANN401 - whatever fields Hosting has
    """A service with two roles, two listeners and two target groups; made inside a builder."""
    facts = DeploymentTarget(
        account=base.account,
        cluster="shop-cluster",
        service="shop-service",
        family="shop-dev",
        execution_role_arn=pulumi.Output.from_input(EXECUTION_ROLE),
        task_role_arn=pulumi.Output.from_input(TASK_ROLE),
        log_group="/ecs/shop-dev",
        grace_period_seconds=60,
        target_groups=("shop-blue", "shop-green"),
        production_listener_arn=pulumi.Output.from_input(PRODUCTION),
        test_listener_arn=pulumi.Output.from_input(TEST),
        service_url=pulumi.Output.from_input("https://shop.example.com"),
    )
    return dataclasses.replace(facts, **changes)


def resolved(make: Callable[[], object]) -> Any:  # noqa: ANN401 - whatever an output holds
    """The plain value of an output, or of anything that holds outputs."""
    return build(lambda: pulumi.export("value", make())).exports["value"]


@dataclass(frozen=True)
class BuiltStage:
    """One stage that was built alone, every output in it resolved."""

    graph: Graph
    name: str
    actions: tuple[Action, ...]
    grants: list[dict[str, Any]]
    notes: list[str]
    registered: Mapping[str, Any]

    def project(self, job: str) -> Resource:
        """The CodeBuild project of a job."""
        return next(item for item in self.graph.of("Project") if item.inputs["name"] == f"shop-dev-{job}")

    @property
    def jobs(self) -> list[str]:
        """The jobs there are projects for, sorted."""
        return sorted(item.inputs["name"].removeprefix("shop-dev-") for item in self.graph.of("Project"))

    def machine(self, job: str) -> tuple[str, str, str]:
        """Type, image and size of what a job runs on."""
        environment = self.project(job).inputs["environment"]
        return environment["type"], environment["image"], environment["computeType"]

    def variables(self, job: str) -> dict[str, str]:
        """The job's own variables on its project."""
        given = self.graph.variables(f"shop-dev-{job}")
        return {name: value for name, value in given.items() if name not in EVERY_VARIABLE}

    def statements(self, job: str) -> list[dict[str, Any]]:
        """What a job may do besides what every build may."""
        return [item for item in self.policy(job) if item["Sid"] not in STANDARD_SIDS]

    def policy(self, job: str) -> list[dict[str, Any]]:
        """All that a job may do."""
        role = self.project(job).inputs["serviceRole"].split("/")[1]
        policy = next(item for item in self.graph.of("RolePolicy") if item.inputs["role"] == role)
        statements: list[dict[str, Any]] = json.loads(policy.inputs["policy"])["Statement"]
        return statements


def context(settings: Settings, *, region: str | None = REGION, **surroundings: object) -> StageContext:
    """What a stage may rely on; made inside a builder."""
    retention, git = settings.retention, settings.source.git
    base = foundation(log_days=retention.log_days, images=retention.images, **({"region": region} if region else {}))
    artifacts = artifact_bucket(base)
    return StageContext(
        name="shop",
        foundation=base,
        application=settings.application,
        artifacts=artifacts,
        jobs=JobBundle("jobs", artifacts),
        connection=connection_of("connection", connection_args(git, base)) if git else None,
        registry=Registry("registry", registry_args(settings, base)),
        hosting=hosting(base, **surroundings),
        task_definition=pulumi.Output.from_input(TEMPLATE),
        quick=quick_machine(region),
        transfer=transfer_machine(region),
        waiting=waiting_machine(region),
        parallel_jobs=settings.pipeline.parallel_jobs,
    )


class Plan(NamedTuple):
    """What a stage, or a part of one, plans; its outputs may still be unknown."""

    component: pulumi.ComponentResource
    name: str
    actions: Sequence[Action]
    grants: Sequence[Statement]
    notes: Sequence[pulumi.Input[str | None]] = ()


def built(make: Callable[[], Plan]) -> BuiltStage:
    """Make a stage, or a part of one, inside the engine and resolve what it plans."""
    plans: list[Plan] = []

    def program() -> None:
        plan = make()
        plans.append(plan)
        pulumi.export("urn", plan.component.urn)
        pulumi.export("configurations", [dict(action.configuration) for action in plan.actions])
        pulumi.export("grants", [policy_document([grant]) for grant in plan.grants])
        pulumi.export("notes", list(plan.notes))

    graph = build(program)
    (plan,) = plans
    return BuiltStage(
        graph=graph,
        name=plan.name,
        actions=tuple(
            dataclasses.replace(action, configuration=configuration)
            for action, configuration in zip(plan.actions, graph.exports["configurations"], strict=True)
        ),
        grants=[json.loads(grant)["Statement"][0] for grant in graph.exports["grants"]],
        notes=graph.exports["notes"],
        registered=graph.registered_outputs[graph.exports["urn"]],
    )


def build_stage(
    stage: type[Stage[Any, Any]], settings: Settings, *, region: str | None = REGION, **surroundings: object
) -> BuiltStage:
    """Build one stage and nothing around it but what its context promises.

    Args:
        stage: The stage's class.
        settings: The whole stack file; the stage must want to exist.
        region: The stack's region, as far as the program knows it before anything is made.
        surroundings: Fields of the hosting that differ from the usual.
    """

    def make() -> Plan:
        made = stage(f"shop-{stage.slug()}", args_of(stage, settings), context(settings, region=region, **surroundings))
        return Plan(made, made.model.name, made.model.actions, made.grants, made.notes)

    return built(make)


def register_statements(revisions: str) -> list[dict[str, Any]]:
    """What a job may do that registers these revisions of a task definition, with the roles of the tasks."""
    return [
        {
            "Sid": "RegisterTaskDefinition",
            "Effect": "Allow",
            "Action": ["ecs:RegisterTaskDefinition"],
            "Resource": ["*"],
        },
        {
            "Sid": "TagTaskDefinition",
            "Effect": "Allow",
            "Action": ["ecs:TagResource"],
            "Resource": [revisions],
            "Condition": {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}},
        },
        {
            "Sid": "PassTaskRoles",
            "Effect": "Allow",
            "Action": ["iam:PassRole"],
            "Resource": [EXECUTION_ROLE, TASK_ROLE],
            "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        },
    ]


def start_statement(job: str) -> dict[str, Any]:
    """What lets the pipeline run a job."""
    return {
        "Sid": "StartBuilds",
        "Effect": "Allow",
        "Action": ["codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild"],
        "Resource": [arn("codebuild", f"project/shop-dev-{job}")],
    }


PULL = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
]
PUSH = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]
LOGIN = {
    "Sid": "LogInToRegistry",
    "Effect": "Allow",
    "Action": ["ecr:GetAuthorizationToken"],
    "Resource": ["*"],
}


def pull_statement(repository: str) -> dict[str, Any]:
    """What lets a job read images of one repository."""
    return {"Sid": "PullImage", "Effect": "Allow", "Action": PULL, "Resource": [image_repository(repository)]}


def push_statement(*repositories: str) -> dict[str, Any]:
    """What lets a job add images to these repositories."""
    resources = list(map(image_repository, repositories))
    return {"Sid": "PushImage", "Effect": "Allow", "Action": PUSH, "Resource": resources}
