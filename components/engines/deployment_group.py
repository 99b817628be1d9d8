"""A deployment group of CodeDeploy, made here or named, and the permissions to deploy with it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.foundation.account import AwsAccount
from components.foundation.iam import Statement


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploymentGroup:
    """What deploys one service.

    Attributes:
        application: Name of its application.
        name: Its own name.
        configuration: Name of its deployment configuration; ``*`` where it is not known.
    """

    application: str
    name: str
    configuration: str = "*"

    def arn(self, account: AwsAccount) -> pulumi.Output[str]:
        """Return the group's ARN in the account where it is."""
        return account.arn("codedeploy", f"deploymentgroup:{self.application}/{self.name}")

    def deploy(self, account: AwsAccount) -> tuple[Statement, ...]:
        """Return the permission to start a deployment and to follow it."""
        return (
            Statement(
                sid="CreateDeployment",
                actions=("codedeploy:CreateDeployment", "codedeploy:GetDeployment"),
                resources=(self.arn(account),),
            ),
            Statement(
                sid="RegisterAppSpec",
                actions=(
                    "codedeploy:GetApplication",
                    "codedeploy:GetApplicationRevision",
                    "codedeploy:RegisterApplicationRevision",
                ),
                # Both forms stand in AWS's own policy for the action:
                # https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECSbluegreen.html
                resources=(
                    account.arn("codedeploy", f"application:{self.application}"),
                    account.arn("codedeploy", f"application:{self.application}/*"),
                ),
            ),
            Statement(
                sid="ReadDeploymentConfiguration",
                actions=("codedeploy:GetDeploymentConfig",),
                resources=(account.arn("codedeploy", f"deploymentconfig:{self.configuration}"),),
            ),
        )

    def stop(self, account: AwsAccount) -> tuple[Statement, ...]:
        """Return the permission to stop a deployment, and to ask why one has failed.

        AWS offers no resource for ``StopDeployment``: whoever has it may stop every deployment of the account.
        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodedeploy.html
        """
        return (
            Statement(sid="StopDeployment", actions=("codedeploy:StopDeployment",), resources=("*",)),
            Statement(sid="ReadDeployment", actions=("codedeploy:GetDeployment",), resources=(self.arn(account),)),
        )


CONTINUE_DEPLOYMENTS = Statement(sid="ContinueDeployment", actions=("codedeploy:ContinueDeployment",), resources=("*",))
"""Permission to have a deployment that waits for a word shift the traffic; AWS offers no resource for it either."""
