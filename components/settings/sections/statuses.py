"""Section `statuses`: what GitHub shows of a run."""

from collections.abc import Iterator

from pydantic import Field

from components.settings.names import GithubEnvironment, GithubRepository, JsonKey, Secret, Url
from components.settings.secrets import secret_itself
from components.settings.section import Problem, Section


class StatusesSection(Section):
    """What GitHub shows of a run: a status of the commit, and a deployment to an environment."""

    enabled: bool = Field(default=False, description="Whether GitHub shows what becomes of runs.", examples=[True])
    commits: bool = Field(
        default=True,
        description="Whether the commit gets a status, `ecs-delivery/<application>-<stack>`: pending, success, "
        "failure, or error for a run that was stopped or overtaken.",
        examples=[False],
    )
    deployments: bool = Field(
        default=True,
        description="Whether each deployment is shown, with the address of the service.",
        examples=[False],
    )
    environment: GithubEnvironment | None = Field(
        default=None,
        description="GitHub environment that deployments are shown of; the stack's name when left out.",
        examples=["production"],
    )
    repository: GithubRepository | None = Field(
        default=None,
        description="Repository that has the commits; that of `source.github` when left out.",
        examples=["example/shop"],
    )
    url: Url | None = Field(
        default=None,
        description="Address of the GitHub Enterprise Server that has it, which the internet reaches; that of "
        "`source.github` when left out, else github.com.",
        examples=["https://git.example.com"],
    )
    token_secret: Secret | None = Field(
        default=None,
        description="Name or ARN of the Secrets Manager secret that holds a GitHub token of its own, with `Commit "
        "statuses: write` and `Deployments: write`, as far as they are shown.",
        examples=["shop/github-status-token"],
    )
    secret_key: JsonKey | None = Field(
        default=None,
        description="Key of the token when the secret holds JSON; the whole secret is the token when left out.",
        examples=["token"],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a token where the name of its secret belongs, and what is switched on without one, or for nothing."""
        if self.token_secret is not None:
            yield from secret_itself(self.token_secret, "token", "tokenSecret")
        if not self.enabled:
            return
        if self.token_secret is None:
            yield Problem(
                path=("tokenSecret",),
                message="is missing; GitHub takes a status from nobody without a token, which a secret in Secrets "
                "Manager holds",
                fix="edit the file: write tokenSecret: <name of the secret>",
            )
        if not self.commits and not self.deployments:
            yield Problem(
                path=("enabled",),
                message="must be false where neither commits nor deployments is true, because nothing is left to "
                "show, got true",
                fix="pulumi config set --path 'ecs-delivery:statuses.enabled' false",
            )
