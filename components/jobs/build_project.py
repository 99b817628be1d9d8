"""One CodeBuild project: its own role, its own log group, a buildspec that no commit can change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

import pulumi
from pulumi_aws import cloudwatch, codebuild, iam

from components.foundation.account import AwsAccount
from components.foundation.artifact_bucket import ArtifactBucket
from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document, service_trust
from components.jobs.buildspec import Buildspec
from components.jobs.bundle import JobBundle
from components.pipeline.model import Action, Artifact, Category, Provider, Variable


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What a build runs on.

    Attributes:
        environment_type: CodeBuild's environment type, for example ``ARM_CONTAINER``.
        image: One of the images AWS keeps for CodeBuild.
        compute_type: CodeBuild's compute type.
        builds_images: Whether the build needs a Docker daemon, hence privileged mode.
        fleet: ARN of the reserved capacity fleet whose machines take the builds; ``None`` for machines on demand.
        keeps_layers: Whether the machine keeps the data of its Docker daemon between builds.
    """

    environment_type: str
    image: str
    compute_type: str
    builds_images: bool = False
    fleet: pulumi.Input[str] | None = None
    keeps_layers: bool = False

    @property
    def is_lambda(self) -> bool:
        """Lambda machines start in seconds, take no timeout and end after `LAMBDA_MINUTES` at the latest."""
        return "LAMBDA" in self.environment_type

    def at_most(self, minutes: int) -> int:
        """Return how long a job may take here that takes as long as it takes: a Lambda machine allows less."""
        return min(minutes, LAMBDA_MINUTES) if self.is_lambda else minutes

    def allows(self, minutes: int) -> bool:
        """Return whether a build may take so long here."""
        return self.at_most(minutes) == minutes

    def with_memory(self, gigabytes: int) -> Machine:
        """Return the same with so much memory where it is a Lambda machine; other sizes have other quotas.

        Args:
            gigabytes: 1, 2, 4, 8 or 10.
        """
        return replace(self, compute_type=f"BUILD_LAMBDA_{gigabytes}GB") if self.is_lambda else self

    @property
    def type(self) -> str:
        """The machine type as CodeBuild's quotas name it, for example ``ARM/Small``.

        https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
        """
        size = self.compute_type.rpartition("_")[2]
        return f"{_PLATFORM_NAMES[self.environment_type]}/{_SIZE_NAMES.get(size, size)}"


_PLATFORM_NAMES: Mapping[str, str] = {
    "ARM_CONTAINER": "ARM",
    "ARM_LAMBDA_CONTAINER": "ARM Lambda",
    "LINUX_CONTAINER": "Linux",
}
_SIZE_NAMES: Mapping[str, str] = {"SMALL": "Small", "MEDIUM": "Medium", "LARGE": "Large", "XLARGE": "XLarge"}


_IMAGES = "aws/codebuild/"
"""AWS's own images are named below this. Their Dockerfiles are in https://github.com/aws/aws-codebuild-docker-images,
whose README lists those that AWS maintains. The newest of each kind is used, since AWS maintains it longest; on EC2 the
older ones differ in nothing that a job uses: Docker 28, buildx 0.32, Node.js 22, and the AWS CLI of the day the image
was built. An image for Lambda is hardly ever built again (issue 766 there).
"""


def image_builder(*, architecture: str, size: str) -> Machine:
    """A machine of the application's own architecture with a Docker daemon.

    Args:
        architecture: ``arm64`` or ``x86_64``.
        size: ``small``, ``medium``, ``large`` or ``xlarge``.
    """
    compute = f"BUILD_GENERAL1_{size.upper()}"
    if architecture == "arm64":
        return Machine(
            environment_type="ARM_CONTAINER",
            image=f"{_IMAGES}amazonlinux-aarch64-standard:4.0",
            compute_type=compute,
            builds_images=True,
        )
    return Machine(
        environment_type="LINUX_CONTAINER",
        image=f"{_IMAGES}amazonlinux-x86_64-standard:6.0",
        compute_type=compute,
        builds_images=True,
    )


def size_beside(size: str) -> str:
    """Return a size that builds beside another one: a new account runs one build at a time on each machine type.

    https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html

    Args:
        size: As `image_builder` takes it.
    """
    return "medium" if size == "small" else "small"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """Where a job waits, and for how long: decided by its own time, which is known when the stack file is read.

    Attributes:
        machine: What it runs on.
        minutes: How long it waits at most.
        to_end: What it takes beyond that, to clear away and to say why.
    """

    machine: Machine
    minutes: int
    to_end: int

    @property
    def timeout_minutes(self) -> int:
        """The longest time of the job."""
        return self.minutes + self.to_end

    @classmethod
    def on(
        cls, machine: Machine, *, stated: int | None, takes: int | None = None, otherwise: int = 0, to_end: int
    ) -> Wait:
        """Place a job that waits: on this machine where it can end in time there, else on a long-running one.

        Args:
            machine: A Lambda machine, which starts in seconds and is billed by the second, where the region has that.
            stated: How long it waits at most, by the stack file; ``None`` where that does not say.
            takes: How long what it waits for takes by itself; ``None`` where nobody knows.
            otherwise: How long it waits when the stack file does not say and ``takes`` is too long for a Lambda
                machine; else it waits as long as one allows.
            to_end: What the job takes beyond that.
        """
        if stated is None:
            most = LAMBDA_MINUTES - to_end
            stated = most if machine.is_lambda and takes is not None and takes <= most else otherwise
        return cls(machine=machine if machine.allows(stated + to_end) else LONG_RUNNING, minutes=stated, to_end=to_end)


PLATFORMS: Mapping[str, str] = {"arm64": "linux/arm64", "x86_64": "linux/amd64"}
"""Architecture of the stack file -> platform of the image."""

LONG_RUNNING = Machine(
    environment_type="ARM_CONTAINER",
    image=f"{_IMAGES}amazonlinux-aarch64-standard:4.0",
    compute_type="BUILD_GENERAL1_SMALL",
)
"""For jobs that wait longer than Lambda allows."""

_LAMBDA = Machine(
    environment_type="ARM_LAMBDA_CONTAINER",
    image=f"{_IMAGES}amazonlinux-aarch64-lambda-standard:python3.13",
    compute_type="BUILD_LAMBDA_1GB",
)

LAMBDA_MINUTES: Final = 15
"""The longest time of a build on a Lambda machine.

It has no build timeout of its own, no privileged mode, no VPC and no file outside of ``/tmp`` either:
https://docs.aws.amazon.com/codebuild/latest/userguide/lambda.html#lambda.limitations
"""

LAMBDA_REGIONS = frozenset(
    {
        "ap-northeast-1",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "eu-central-1",
        "eu-west-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-2",
    }
)
"""Where CodeBuild offers Lambda machines with ARM processors.

https://docs.aws.amazon.com/codebuild/latest/userguide/lambda.html
"""


def quick_machine(region: str | None) -> Machine:
    """For jobs of seconds to minutes: no wait for a machine and billed by the second, where the region has that.

    Args:
        region: The stack's region, where it is known.
    """
    return _LAMBDA if region in LAMBDA_REGIONS else LONG_RUNNING


def transfer_machine(region: str | None) -> Machine:
    """For jobs that move many bytes or files within a region and are mostly short.

    A Lambda machine has 15 minutes, and a processor for each 1,769 MB of memory:
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html. A small file takes 6 ms of processor time
    (measured with the AWS CLI 2.38 on x86_64), so that 50,000 fit with room to spare; a GiB of an image takes 5 s, so
    that the network is the limit there.

    Args:
        region: The stack's region, where it is known.
    """
    return quick_machine(region).with_memory(2)


def waiting_machine(region: str | None) -> Machine:
    """For jobs that wait while a service moves: of a size, and so with a quota, that no other job has.

    Args:
        region: The stack's region, where it is known.
    """
    return quick_machine(region).with_memory(4)


def browser_machine(size: str) -> Machine:
    """The image that carries Chrome and Node.js, which AWS offers for x86_64 only, and not for Lambda.

    Lighthouse wants two processors and 2 GB at least, and no functions as a service; 4 and 4 to 8 GB it recommends:
    https://github.com/GoogleChrome/lighthouse/blob/main/docs/variability.md#run-on-adequate-hardware. What a size has:
    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectEnvironment.html

    Args:
        size: ``small``, ``medium`` or ``large``.
    """
    return Machine(
        environment_type="LINUX_CONTAINER",
        image=f"{_IMAGES}standard:8.0",
        compute_type=f"BUILD_GENERAL1_{size.upper()}",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildNetwork:
    """The VPC that builds run in.

    Attributes:
        vpc_id: The VPC.
        subnets: Its subnets, in which builds have a network interface.
        security_groups: Of this network interface.
    """

    vpc_id: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]

    def join(self, account: AwsAccount) -> tuple[Statement, ...]:
        """Permission to have a network interface in the VPC, by AWS's example.

        https://docs.aws.amazon.com/codebuild/latest/userguide/auth-and-access-control-iam-identity-based-access-control.html

        The account of a VPC is left open, since its owner may have shared it. Where a request says nothing of a VPC it
        passes, as in the example.
        """
        of_vpc = {"ArnLikeIfExists": {"ec2:Vpc": account.arn("ec2", f"vpc/{self.vpc_id}", account_id="*")}}
        subnets = [account.arn("ec2", f"subnet/{subnet}", account_id="*") for subnet in self.subnets]
        return (
            Statement(
                sid="FindNetwork",
                actions=(
                    "ec2:DescribeDhcpOptions",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcs",
                ),
                resources=("*",),
            ),
            Statement(
                sid="MakeNetworkInterface",
                actions=("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"),
                resources=("*",),
                conditions=of_vpc,
            ),
            Statement(
                sid="AttachNetworkInterface",
                actions=("ec2:CreateNetworkInterfacePermission",),
                resources=(account.arn("ec2", "network-interface/*"),),
                conditions={
                    "StringEquals": {"ec2:AuthorizedService": "codebuild.amazonaws.com"},
                    "ArnLike": {"ec2:Subnet": subnets},
                },
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildProjectArgs:
    """What distinguishes one build project from another.

    Attributes:
        foundation: What the project is made with.
        project_name: The project's name in AWS; its log group is named after it.
        description: One sentence for the console.
        buildspec: What it does.
        machine: What it runs on.
        artifacts: Where its input comes from and its output goes.
        jobs: The scripts that the buildspec fetches; ``None`` for a buildspec of the application's repository.
        reads: The artifacts that its actions read, the primary one first; it may fetch no others.
        writes: The artifacts that its actions write; it may store no others.
        variables: Plain values for variables the buildspec declares.
        secrets: Variables filled from Secrets Manager by CodeBuild: variable -> secret name or ARN,
            with ``:json-key`` behind it where the secret is JSON.
        statements: What the job may do, besides exchanging artifacts and writing its log.
        timeout_minutes: The longest time of a build in minutes, which a Lambda machine has to allow; ``None`` for
            what the machine has by default.
        role_name: The role's name in AWS where another account must be able to name it; else Pulumi finds one.
        network: The VPC that builds run in; not for Lambda machines.
    """

    foundation: Foundation
    project_name: str
    description: str
    buildspec: Buildspec
    machine: Machine
    artifacts: ArtifactBucket
    jobs: JobBundle | None
    reads: tuple[Artifact, ...]
    writes: tuple[Artifact, ...]
    variables: Mapping[str, pulumi.Input[str]]
    statements: Sequence[Statement]
    timeout_minutes: int | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    role_name: str | None = None
    network: BuildNetwork | None = None


class BuildProject(pulumi.ComponentResource):
    """A CodeBuild project that CodePipeline starts.

    Raises:
        ValueError: When a variable is given that the buildspec does not declare, since it would be silently unused, or
            when a build may take longer than its Lambda machine allows, which would end it without a word.
    """

    TYPE: ClassVar[str] = "ecs-delivery:index:BuildProject"

    name: pulumi.Output[str]
    """The project's name."""
    arn: pulumi.Output[str]
    """The project's ARN."""
    role_arn: pulumi.Output[str]
    """The role its builds run under."""

    def __init__(self, name: str, args: BuildProjectArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        self._args = args
        self._refuse_undeclared({**args.variables, **args.secrets})
        self._refuse_other_artifacts()
        minutes = args.timeout_minutes or args.machine.at_most(30)
        if not args.machine.allows(minutes):
            raise ValueError(
                f"{args.project_name}: takes up to {minutes} minutes, and a Lambda machine allows {LAMBDA_MINUTES}; "
                "place it with Wait.on"
            )
        super().__init__(self.TYPE, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        account, tags = args.foundation.account, args.foundation.tags
        logs = args.foundation.log_group(f"{name}-logs", f"/aws/codebuild/{args.project_name}", self)
        role = iam.Role(
            f"{name}-role",
            name=args.role_name,
            description=f"Builds of {args.project_name}",
            assume_role_policy=service_trust(
                "codebuild.amazonaws.com",
                account_id=account.id,
                source_arn=account.arn("codebuild", f"project/{args.project_name}"),
            ),
            permissions_boundary=args.foundation.permissions_boundary,
            tags=tags,
            opts=child,
        )
        self.role_arn = role.arn
        policy = iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=policy_document(
                [
                    *args.statements,
                    *self._standard_statements(args, logs, self._report_groups(name)),
                    *(args.network.join(account) if args.network else ()),
                ]
            ),
            opts=child,
        )
        project = codebuild.Project(
            f"{name}-project",
            name=args.project_name,
            description=args.description,
            service_role=role.arn,
            source={"type": "CODEPIPELINE", "buildspec": args.buildspec.text},
            artifacts={"type": "CODEPIPELINE"},
            encryption_key=args.foundation.key.arn,
            environment=codebuild.ProjectEnvironmentArgs(
                type=args.machine.environment_type,
                image=args.machine.image,
                compute_type=args.machine.compute_type,
                privileged_mode=args.machine.builds_images,
                image_pull_credentials_type="CODEBUILD",
                environment_variables=_environment_variables(args),
                fleet=codebuild.ProjectEnvironmentFleetArgs(fleet_arn=args.machine.fleet)
                if args.machine.fleet is not None
                else None,
            ),
            # AWS recommends it on fleets: https://docs.aws.amazon.com/codebuild/latest/userguide/fleets.html
            cache=codebuild.ProjectCacheArgs(type="LOCAL", modes=["LOCAL_DOCKER_LAYER_CACHE"])
            if args.machine.keeps_layers
            else None,
            logs_config={"cloudwatch_logs": {"group_name": logs.name, "status": "ENABLED"}},
            vpc_config=codebuild.ProjectVpcConfigArgs(
                vpc_id=args.network.vpc_id,
                subnets=list(args.network.subnets),
                security_group_ids=list(args.network.security_groups),
            )
            if args.network
            else None,
            build_timeout=None if args.machine.is_lambda else minutes,
            tags=tags,
            # CodeBuild tries the role when the project is made (terraform-provider-aws#4233).
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.name = project.name
        self.arn = project.arn
        self.register_outputs({"name": self.name, "roleArn": self.role_arn})

    def action(
        self,
        name: str,
        *,
        category: Category = Category.BUILD,
        environment: Mapping[str, str] | None = None,
        variables: tuple[Variable, ...] = (),
        run_order: int = 1,
    ) -> Action:
        """The CodePipeline action that runs this project.

        Args:
            name: The action's name; also the namespace of what the build exports.
            category: ``BUILD`` or ``TEST``.
            environment: Variables of this run, see :class:`~components.pipeline.model.Action`.
            variables: Pipeline variables that ``environment`` refers to.
            run_order: See :class:`~components.pipeline.model.Action`.

        Raises:
            ValueError: When ``environment`` names a variable that the buildspec does not declare.
        """
        given, reads = environment or {}, self._args.reads
        self._refuse_undeclared(given)
        configuration: dict[str, object] = {"ProjectName": self.name}
        if len(reads) > 1:
            configuration["PrimarySource"] = reads[0].value
        exports = self._args.buildspec.exported
        return Action(
            name=name,
            category=category,
            provider=Provider.CODEBUILD,
            configuration=configuration,
            environment=given,
            reads=reads,
            writes=self._args.writes,
            run_order=run_order,
            namespace=name if exports else None,
            exports=exports,
            machine=self._args.machine.type,
            variables=variables,
        )

    def start(self) -> Statement:
        """Return permission to run a build of this project, to watch it, and to end it when the run is stopped."""
        return Statement(
            sid="StartBuilds",
            actions=("codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild"),
            resources=(self.arn,),
        )

    def _report_groups(self, name: str) -> tuple[pulumi.Output[str], ...]:
        """The report groups CodeBuild would make by itself, and leave behind, for the buildspec's ``reports``.

        It does make those of a buildspec of the application's, whose names only that knows.
        """
        if self._args.jobs is None:
            return (self._args.foundation.account.arn("codebuild", f"report-group/{self._args.project_name}-*"),)
        return tuple(
            codebuild.ReportGroup(
                f"{name}-{key}",
                name=f"{self._args.project_name}-{key}",
                type="TEST",
                export_config={"type": "NO_EXPORT"},
                delete_reports=True,
                tags=self._args.foundation.tags,
                opts=pulumi.ResourceOptions(parent=self),
            ).arn
            for key in self._args.buildspec.reports
        )

    def _refuse_other_artifacts(self) -> None:
        """Of several artifacts each is one of the buildspec's secondary ones, by its name."""
        buildspec, writes = self._args.buildspec, [artifact.value for artifact in self._args.writes]
        if sorted(buildspec.artifacts) != sorted(writes if len(writes) > 1 else ()):
            raise ValueError(
                f"{self._args.project_name}: buildspec {buildspec.name} has the secondary artifacts "
                f"{', '.join(buildspec.artifacts) or 'none'}, its actions write {', '.join(writes) or 'none'}; "
                "several artifacts need a job for each, and one is no secondary artifact"
            )

    def _refuse_undeclared(self, names: Iterable[str]) -> None:
        buildspec = self._args.buildspec
        unknown = sorted(set(names) - {*buildspec.variables, *buildspec.secrets})
        if unknown:
            raise ValueError(
                f"{self._args.project_name}: buildspec {buildspec.name} does not declare {', '.join(unknown)}; "
                "declare it under env.variables or drop it"
            )

    @staticmethod
    def _standard_statements(
        args: BuildProjectArgs, logs: cloudwatch.LogGroup, reports: tuple[pulumi.Output[str], ...]
    ) -> tuple[Statement, ...]:
        writes_reports = (
            Statement(
                sid="WriteReports",
                # https://docs.aws.amazon.com/codebuild/latest/userguide/test-permissions.html
                actions=(
                    "codebuild:BatchPutTestCases",
                    "codebuild:CreateReport",
                    # CodeBuild asks for the group a buildspec names, although it is there (aws-cdk#7367).
                    "codebuild:CreateReportGroup",
                    "codebuild:UpdateReport",
                ),
                resources=reports,
            )
            if reports
            else None
        )
        return (
            *((args.jobs.read(),) if args.jobs is not None else ()),
            *args.artifacts.exchange(reads=args.reads, writes=args.writes),
            Statement(
                sid="WriteLog",
                actions=("logs:CreateLogStream", "logs:PutLogEvents"),
                resources=(logs.arn.apply(lambda arn: f"{arn}:*"),),
            ),
            *((writes_reports,) if writes_reports else ()),
        )


def _environment_variables(args: BuildProjectArgs) -> list[codebuild.ProjectEnvironmentEnvironmentVariableArgs]:
    """Sorted, so that the order of the code never shows as a change."""
    plain = {
        **args.variables,
        **(args.jobs.variables if args.jobs is not None else {}),
        # AWS adds this one by itself, which would show as a change for ever (pulumi-aws#3844).
        "CODEBUILD_CONFIG_AUTO_DISCOVER": "false",
    }
    kinds: tuple[tuple[str, Mapping[str, pulumi.Input[str]]], ...] = (
        ("PLAINTEXT", plain),
        ("SECRETS_MANAGER", args.secrets),
    )
    return [
        codebuild.ProjectEnvironmentEnvironmentVariableArgs(name=name, value=value, type=kind)
        for kind, values in kinds
        for name, value in sorted(values.items())
    ]
