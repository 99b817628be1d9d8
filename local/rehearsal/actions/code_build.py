"""AWS CodeBuild: runs an action's project as it is deployed, under the project's own role."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # ships no types

from local.rehearsal.account import Account
from local.rehearsal.codebuild import BuildHost, Result, Scene, Secrets, run_build
from local.rehearsal.codebuild.source_action import CLONE_REFERENCE
from local.rehearsal.deployed import Project
from local.rehearsal.egress import hint
from local.rehearsal.emulated import Need, allows
from local.rehearsal.pipeline.action import ActionContext, ActionFailed, Completed

_LAST_LINES, _MOST_LINES = 10, 40
"""Lines of a job's log that tell why it failed."""


class Machines(Protocol):
    """Where builds run."""

    def place(self, project: Project, credentials: Mapping[str, str], *, region: str) -> BuildHost:
        """Return a new machine for a build of a project with these credentials."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeBuild:
    """CodeBuild in one account.

    Attributes:
        account: Whose projects are run.
        machines: Where builds run.
        differs: The project variables that differ here, by name; called with the project.
        scenes: Where builds that failed have ended, by the identity of the action's run.
    """

    account: Account
    machines: Machines
    differs: Callable[[Project], Mapping[str, str]] = lambda _project: {}
    scenes: dict[str, Scene] = field(default_factory=dict)

    def run(self, context: ActionContext) -> Completed:
        """Run the project of an action.

        The build fetches its input and stores its output under the project's role, as CodeBuild does:
        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeBuild.html
        """
        action, deployed = context.action, context.deployed
        project = deployed.project(action.name)
        arn = f"arn:aws:codebuild:{context.store.region}:{context.store.account}:project/{project.name}"
        context.demand(Need("codebuild:StartBuild", arn), Need("codebuild:BatchGetBuilds", arn))
        context.known_as(f"{project.name}:{context.run.identity}")
        if lacking := lacks_for_its_network(context, project):
            raise ActionFailed(
                f"PROVISIONING: VPC_CLIENT_ERROR: {project.role} is not authorized to perform {lacking}."
            )
        credentials = self.account.credentials(project.role)
        own = context.store.as_role(project.role, self.account.client_as(project.role, "s3"))
        inputs = {
            name: own.get(key, context.folder / "inputs" / f"{name}{self._suffix(context, name)}")
            for name, key in context.artifacts.items()
        }
        build = deployed.build(action.name, inputs, context.variables).with_variables(self.differs(project))
        result = run_build(
            build,
            self.machines.place(project, credentials, region=context.store.region),
            context.folder / "build",
            secrets=secrets_of(lambda: self.account.client_as(project.role, "secretsmanager")),
            listen=context.say,
        )
        artifacts = {name: own.put(name, file) for name, file in result.artifacts.items()}
        if not result.succeeded:
            if result.scene:
                self.scenes[context.run.identity] = result.scene
            raise ActionFailed(_reason(result), artifacts)
        return Completed(summary=_last_words(result), variables=result.exported, artifacts=artifacts)

    @staticmethod
    def _suffix(context: ActionContext, artifact: str) -> str:
        """A reference to a repository is JSON, every other artifact a zip."""
        made = next((action for action in context.deployed.actions if artifact in action.outputs), None)
        return ".json" if made and made.configuration.get("OutputArtifactFormat") == CLONE_REFERENCE else ".zip"


def lacks_for_its_network(context: ActionContext, project: Project) -> str:
    """Return the permission that the project's role lacks to run in its VPC; empty when it lacks none.

    Which ones: https://docs.aws.amazon.com/codebuild/latest/userguide/auth-and-access-control-iam-identity-based-access-control.html.
    The network itself is not emulated: nothing here knows what its routes and security groups let a build reach.
    """
    if not project.network:
        return ""
    where = f"arn:aws:ec2:{context.store.region}:{context.store.account}"
    of_vpc = {"ec2:Vpc": f"{where}:vpc/{project.network['vpcId']}"}
    finds = ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
    needs = [
        *(Need(f"ec2:Describe{kind}", "*") for kind in finds),
        *(Need("ec2:CreateNetworkInterface", f"{where}:subnet/{one}", of_vpc) for one in project.network["subnets"]),
        *(
            Need("ec2:CreateNetworkInterface", f"{where}:security-group/{one}", of_vpc)
            for one in project.network["securityGroupIds"]
        ),
        Need("ec2:CreateNetworkInterface", f"{where}:network-interface/*"),
        Need("ec2:DeleteNetworkInterface", f"{where}:network-interface/*", of_vpc),
        *(
            Need(
                "ec2:CreateNetworkInterfacePermission",
                f"{where}:network-interface/eni-0a1b2c3d4e5f67890",
                {"ec2:Subnet": f"{where}:subnet/{one}", "ec2:AuthorizedService": "codebuild.amazonaws.com"},
            )
            for one in project.network["subnets"]
        ),
    ]
    policies = context.deployed.policies_of(project.role)
    place = {"account": context.store.account, "region": context.store.region}
    return next((f"{need.action} on {need.resource}" for need in needs if not allows(policies, need, **place)), "")


def secrets_of(client: Callable[[], Any]) -> Secrets:
    """Secrets Manager, asked by the project's role.

    Args:
        client: Makes a client of the role, when there is a secret to ask for.
    """

    def secret(identifier: str) -> str:
        try:
            return str(client().get_secret_value(SecretId=identifier)["SecretString"])
        except (BotoCoreError, ClientError) as error:
            raise LookupError(str(error)) from None

    return secret


def _reason(result: Result) -> str:
    """Why a build failed: what its phase says, and what the job says last, or else the end of its log."""
    failed = next(phase for phase in result.phases if phase.status != "SUCCEEDED")
    lines = _own_lines(result)
    last = next((number for number, line in enumerate(lines) if line.startswith("FAILED: ")), -_LAST_LINES)
    said = [f"{failed.name}: {failed.message}".strip(), *lines[last:][:_MOST_LINES], hint(result.log)]
    return "\n".join(filter(None, said))


def _last_words(result: Result) -> str:
    """The last thing that a job says, beside the variables that it exports."""
    lines = (line for line in reversed(_own_lines(result)) if not line.startswith("export "))
    return next((line for line in lines if any(map(str.isalnum, line))), "")


def _own_lines(result: Result) -> list[str]:
    """What a job itself printed."""
    return [line for line in result.log.splitlines() if line.strip() and not line.startswith("[Container]")]
