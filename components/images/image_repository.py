"""An ECR repository that a stack makes: what it keeps, and who may promote images into it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_aws import ecr, iam

from components.foundation.foundation import Foundation
from components.foundation.iam import policy_document, resource_policy, role_trust
from components.images.repository import Repository, existing_repository, push_images, registry_login

BUILD_CACHE_TAGS = "buildcache*"
"""Layer caches are rewritten by every build, so these tags stay mutable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRepositoryArgs:
    """What distinguishes one image repository from another.

    Attributes:
        foundation: Key, tags, number of images to keep, and whether the repository is protected.
        repository_name: The name others push to and pull from.
        mutable_tags: Patterns of tags that may move; every other tag is immutable.
        promoters: Roles of other accounts that may promote images into this repository.
        promotion_role: Name of the role these assume.
        promoted_with: Names of the repositories whose images are promoted together with those of this one.
        holds_copies: Whether it holds nothing that could not be fetched again, so that it needs no protection.
    """

    foundation: Foundation
    repository_name: str
    mutable_tags: Sequence[str]
    promoters: Sequence[str] = ()
    promotion_role: str | None = None
    promoted_with: Sequence[str] = ()
    holds_copies: bool = False


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
        protect = foundation.protect and not args.holds_copies
        made = ecr.Repository(
            f"{name}-repository",
            name=args.repository_name,
            image_tag_mutability="IMMUTABLE_WITH_EXCLUSION" if args.mutable_tags else "IMMUTABLE",
            image_tag_mutability_exclusion_filters=[
                {"filter": pattern, "filter_type": "WILDCARD"} for pattern in args.mutable_tags
            ]
            or None,
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": foundation.key.arn}],
            force_delete=not protect,
            tags=foundation.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
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
            permissions_boundary=args.foundation.permissions_boundary,
            tags=args.foundation.tags,
            opts=child,
        )
        iam.RolePolicy(
            f"{name}-promotion-policy",
            role=role.name,
            policy=policy_document(
                [
                    push_images(
                        [
                            self.repository,
                            *(existing_repository(other, args.foundation.account) for other in args.promoted_with),
                        ]
                    ),
                    registry_login(),
                ]
            ),
            opts=child,
        )
        return role.arn


def push_of_others(
    name: str, repository: Repository, roles: Sequence[pulumi.Input[str]], *, parent: pulumi.Resource
) -> ecr.RepositoryPolicy:
    """Deny pushes into a repository to everybody but these roles, whatever their own policies allow.

    ``aws:PrincipalArn`` is the role's ARN for whoever has assumed it.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn

    Args:
        name: Pulumi's name of the policy.
        repository: The repository.
        roles: The ARNs of the roles.
        parent: The component that has made the repository.
    """
    statement = {
        "Sid": "DenyPushOfOthers",
        "Effect": "Deny",
        "Principal": "*",
        "Action": [
            "ecr:CompleteLayerUpload",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
        ],
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": list(roles)}},
    }
    return ecr.RepositoryPolicy(
        name,
        repository=repository.name,
        policy=resource_policy([statement]),
        opts=pulumi.ResourceOptions(parent=parent),
    )


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
