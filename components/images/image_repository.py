"""ECR repositories: those a stack owns and those it only refers to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_aws import ecr, iam

from components.foundation.account import AwsAccount
from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document, role_trust

BUILD_CACHE_TAGS = "buildcache*"
"""Layer caches are rewritten by every build, so these tags stay mutable."""


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
        return Statement(
            sid="PullImage",
            actions=(
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
            ),
            resources=(self.arn,),
        )

    def push(self) -> Statement:
        """Permission to add images and tags; deleting is nobody's job."""
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
            resources=(self.arn,),
        )


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


def registry_login() -> Statement:
    """Permission to ask for a registry token; what the token may do is decided per repository."""
    return Statement(sid="LogInToRegistry", actions=("ecr:GetAuthorizationToken",), resources=("*",))


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRepositoryArgs:
    """What distinguishes one image repository from another.

    Attributes:
        foundation: Key, tags, number of images to keep, and whether the repository is protected.
        repository_name: The name others push to and pull from.
        mutable_tags: Patterns of tags that may move; every other tag is immutable.
        promoters: Roles of other accounts that may promote images into this repository.
        promotion_role: Name of the role these assume.
    """

    foundation: Foundation
    repository_name: str
    mutable_tags: Sequence[str]
    promoters: Sequence[str] = ()
    promotion_role: str | None = None


class ImageRepository(pulumi.ComponentResource):
    """A private repository: immutable tags, scan on push, its own key, and a limit to what it keeps."""

    TYPE: ClassVar[str] = "ecs-delivery:index:ImageRepository"

    repository: Repository
    """The repository itself."""
    promotion_role_arn: pulumi.Output[str] | None
    """The role that other accounts assume to promote images, when there are promoters."""

    def __init__(self, name: str, args: ImageRepositoryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        foundation, child = args.foundation, pulumi.ResourceOptions(parent=self)
        made = ecr.Repository(
            f"{name}-repository",
            name=args.repository_name,
            image_tag_mutability="IMMUTABLE_WITH_EXCLUSION",
            image_tag_mutability_exclusion_filters=[
                {"filter": pattern, "filter_type": "WILDCARD"} for pattern in args.mutable_tags
            ],
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": foundation.key.arn}],
            force_delete=not foundation.protect,
            tags=foundation.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=foundation.protect),
        )
        self.repository = Repository(name=args.repository_name, arn=made.arn, uri=made.repository_url)
        ecr.LifecyclePolicy(
            f"{name}-lifecycle",
            repository=made.name,
            policy=json.dumps(lifecycle_rules(keep_images=foundation.images)),
            opts=child,
        )
        self.promotion_role_arn = self._promotion_role(name, args) if args.promoters else None
        self.register_outputs({"repositoryUrl": self.repository.uri, "promotionRoleArn": self.promotion_role_arn})

    def _promotion_role(self, name: str, args: ImageRepositoryArgs) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        role = iam.Role(
            f"{name}-promotion",
            name=args.promotion_role,
            description=f"Promotes images into {args.repository_name} from another account",
            assume_role_policy=role_trust(args.promoters),
            tags=args.foundation.tags,
            opts=child,
        )
        iam.RolePolicy(
            f"{name}-promotion-policy",
            role=role.name,
            policy=policy_document([self.repository.push(), registry_login()]),
            opts=child,
        )
        return role.arn


def lifecycle_rules(*, keep_images: int) -> dict[str, object]:
    """ECR's lifecycle policy: leftovers of builds go after a week, tagged images when there are too many.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
    """
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Untagged images: replaced caches and abandoned pushes",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 7,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 2,
                "description": f"Keep the newest {keep_images} tagged images",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPatternList": ["*"],
                    "countType": "imageCountMoreThan",
                    "countNumber": keep_images,
                },
                "action": {"type": "expire"},
            },
        ]
    }
