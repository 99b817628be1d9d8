"""What an ECR repository is called and lets others do, whether a stack makes it or only refers to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pulumi

from components.foundation.account import AwsAccount
from components.foundation.iam import Statement

_IN_ECR: Final = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<name>[^:@]+)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """One repository, wherever it was made, and the permissions it can grant.

    Attributes:
        name: ``shop-prod``.
        arn: Its ARN.
        uri: Registry and name, without tag: ``123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop-prod``.
    """

    name: str
    arn: pulumi.Output[str]
    uri: pulumi.Output[str]

    def pull(self) -> Statement:
        """Permission to read images and what is known of them."""
        return pull_images([self])

    def describe(self) -> Statement:
        """Permission to read what is known of images."""
        return Statement(sid="DescribeImages", actions=("ecr:DescribeImages",), resources=(self.arn,))

    def push(self) -> Statement:
        """Permission to add images and tags; deleting is nobody's job."""
        return push_images([self])

    def pushed_by(self, role_arn: pulumi.Output[str]) -> Pusher:
        """Return the role of a job as one that pushes into this repository."""
        return Pusher(self.name, role_arn)


@dataclass(frozen=True, slots=True)
class Pusher:
    """A role that puts images, tags or signatures into a repository.

    Attributes:
        repository: The repository's name.
        role_arn: The role.
    """

    repository: str
    role_arn: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class PullThroughCache:
    """The repositories that ECR makes by itself for what is fetched through it from another registry.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html

    Attributes:
        arn: Pattern for the ARNs of these repositories.
        uri: What stands before the other registry's names: registry and prefix.
    """

    arn: pulumi.Output[str]
    uri: pulumi.Output[str]

    def pull(self) -> Statement:
        """Permission to fetch images, the first time from the other registry.

        https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html
        """
        return Statement(
            sid="PullThroughCache",
            actions=(
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:BatchImportUpstreamImage",
                "ecr:CreateRepository",
                "ecr:GetDownloadUrlForLayer",
            ),
            resources=(self.arn,),
        )


def pull_through_cache(prefix: str, account: AwsAccount) -> PullThroughCache:
    """What a pull-through cache rule of this account and region gives; the rule itself is somebody else's."""
    return PullThroughCache(arn=account.arn("ecr", f"repository/{prefix}/*"), uri=account.image(prefix))


def existing_repository(
    name: str, account: AwsAccount, *, account_id: str | None = None, region: str | None = None
) -> Repository:
    """A repository that something else made; its ARN and address follow from its name."""
    arn = account.arn("ecr", f"repository/{name}", region=region, account_id=account_id)
    uri = account.image(name, region=region, account_id=account_id)
    return Repository(name=name, arn=arn, uri=uri)


def named_repository(name: str, account: AwsAccount) -> Repository:
    """A repository by its name in this account and region, or by its whole address."""
    elsewhere = _IN_ECR.fullmatch(name)
    if elsewhere is None:
        return existing_repository(name, account)
    return existing_repository(elsewhere["name"], account, account_id=elsewhere["account"], region=elsewhere["region"])


BUILD_TOOLS: Final = "build-tools"
"""The repository beside the application's with what builds fetch of Docker Hub themselves."""


def repository_beside(repository: str, image: str) -> str:
    """Return the name of the repository of an image that is built or delivered beside the application's.

    Args:
        repository: Name of the application's repository, in the same registry.
        image: Name of the image.
    """
    return f"{repository}-{image}"


def pull_images(repositories: Iterable[Repository]) -> Statement:
    """Permission to read images of several repositories, and what is known of them."""
    return Statement(
        sid="PullImage",
        actions=(
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:DescribeImages",
            "ecr:GetDownloadUrlForLayer",
        ),
        resources=tuple(repository.arn for repository in repositories),
    )


def push_images(repositories: Iterable[Repository]) -> Statement:
    """Permission to add images and tags to several repositories."""
    return Statement(
        sid="PushImage",
        actions=(
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:CompleteLayerUpload",
            "ecr:DescribeImages",
            "ecr:GetDownloadUrlForLayer",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
        ),
        resources=tuple(repository.arn for repository in repositories),
    )


def read_scan_findings(repositories: Iterable[Repository]) -> tuple[Statement, ...]:
    """Permission to read what scans of images have found, by Amazon ECR itself or by Amazon Inspector.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-enhanced-iam.html
    """
    return (
        Statement(
            sid="ReadScanFindings",
            actions=("ecr:DescribeImageScanFindings",),
            resources=tuple(repository.arn for repository in repositories),
        ),
        Statement(
            sid="ReadFindingsOfInspector",
            actions=("inspector2:ListAccountPermissions", "inspector2:ListCoverage", "inspector2:ListFindings"),
            resources=("*",),
        ),
    )


def pull_all(sid: str, repositories: Iterable[Repository]) -> Statement:
    """Permission to fetch images of several repositories, in one statement."""
    return Statement(
        sid=sid,
        actions=("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
        resources=tuple(repository.arn for repository in repositories),
    )


def repositories_of(images: Iterable[str], account: AwsAccount) -> tuple[Repository, ...]:
    """The repositories of images that are in Amazon ECR; one of another registry, ECR Public included, has none.

    Args:
        images: Their references, as a task definition has them.
        account: The account of the stack, which knows the partition.
    """
    found = {match[0]: match for image in sorted(images) if (match := _IN_ECR.match(image))}
    return tuple(
        existing_repository(each["name"], account, account_id=each["account"], region=each["region"])
        for each in found.values()
    )


def registry_login() -> Statement:
    """Permission to ask for a registry token; what the token may do is decided per repository."""
    return Statement(sid="LogInToRegistry", actions=("ecr:GetAuthorizationToken",), resources=("*",))
