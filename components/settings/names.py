"""Types of the names AWS and Git providers give things, as strict as the service that would refuse them later.

Each type says in words what it must be (`Constraint`), for messages and the docs; `Reference` marks those that name
something kept elsewhere.
"""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from components.settings.section import Constraint, Reference

PARAMETER_LEVELS = 15
"""https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-hierarchies.html"""
_ARN = r"^arn:aws[a-z-]*"
_ECR_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
ECR_REPOSITORY = rf"^{_ECR_PART}(/{_ECR_PART})*$"


def no_climbing(path: str) -> str:
    """Return the path if none of its parts is `..`.

    Raises:
        ValueError: If one is.
    """
    if ".." in path.split("/"):
        raise ValueError(path)
    return path


def _bucket(name: str) -> str:
    """Return the bucket name if S3 would take it.

    Raises:
        ValueError: If it has adjacent dots, is an IP address or has a reserved start or end.
    """
    reserved = name.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or name.endswith(
        ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
    )
    if reserved or ".." in name or all(part.isdigit() for part in name.split(".")):
        raise ValueError(name)
    return name


AccountId = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{12}$"),
    Constraint("an AWS account id, 12 digits in quotes"),
    Reference(),
]

REGION = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$"
"""A region's name, eusc-de-east-1 the longest kind: a test holds it to every region that the AWS SDK knows."""

Region = Annotated[
    str,
    StringConstraints(pattern=REGION),
    Constraint("an AWS region such as eu-west-1"),
    Reference(),
]

EcrRepository = Annotated[
    str,
    StringConstraints(pattern=ECR_REPOSITORY, min_length=2, max_length=256),
    Constraint(
        "an ECR repository name: 2 to 256 lower-case letters, digits and separators . _ - /, without registry or tag"
    ),
    Reference(),
]
"""https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html"""

IMAGE_NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
IMAGE_NAME_CHARACTERS = 14
"""Of the longest, with which the role of its build has the 64 that IAM takes.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""


def image_name(name: str) -> str:
    """Return the name of a further image, if it is none that repository and build of another image have already.

    Raises:
        ValueError: If it is one of these, or too long.
    """
    if name in {"smoke-test", "build-tools"} or len(name) > IMAGE_NAME_CHARACTERS:
        raise ValueError(name)
    return name


ImageName = Annotated[
    str,
    StringConstraints(pattern=rf"^{IMAGE_NAME}$", max_length=IMAGE_NAME_CHARACTERS),
    AfterValidator(image_name),
    Constraint(
        f"up to {IMAGE_NAME_CHARACTERS} lower-case letters, digits and single hyphens, starting with a letter, and "
        "neither smoke-test nor build-tools"
    ),
]
"""An image that is built beside the application's: it names a repository, a build project and an action."""

ImageTag = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"),
    Constraint("an image tag: 1 to 128 letters, digits, . _ and -, not starting with . or -"),
    Reference(),
]
"""https://docs.docker.com/reference/cli/docker/image/tag/"""

ImageTagPattern = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z0-9_]\*?|\*[A-Za-z0-9._-])([A-Za-z0-9._-]\*?)*$|^\*$", max_length=128),
    Constraint("the pattern of an image tag: 1 to 128 letters, digits, . _ - and *, without two * in a row"),
    Reference(),
]
"""EventBridge reads * as any number of characters and takes no two in a row:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"""

RoleArn = Annotated[
    str,
    StringConstraints(pattern=rf"{_ARN}:iam::[0-9]{{12}}:role/[A-Za-z0-9_+=,.@/-]+$", max_length=600),
    Constraint("the ARN of an IAM role, arn:aws:iam::<account>:role/<name>"),
    Reference(),
]

Role = Annotated[
    str,
    StringConstraints(
        pattern=rf"^[A-Za-z0-9_+=,.@-]{{1,64}}$|{_ARN}:iam::[0-9]{{12}}:role/[A-Za-z0-9_+=,.@/-]+$",
        max_length=1024,
    ),
    Constraint("the name of an IAM role (up to 64 characters) or its ARN"),
    Reference(),
]
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

SigningProfileArn = Annotated[
    str,
    StringConstraints(
        pattern=r"^arn:aws:signer:[a-z]{2}(-[a-z]+)+-[0-9]:[0-9]{12}:/signing-profiles/[A-Za-z0-9_]{2,64}$"
    ),
    Constraint(
        "the ARN of a signing profile without its version, "
        "arn:aws:signer:<region>:<account>:/signing-profiles/<name>, as `aws signer list-signing-profiles` prints it"
    ),
    Reference(),
]
"""Of AWS's own partition alone, whose root certificate the jobs have: signatures do not cross partitions.

https://docs.aws.amazon.com/signer/latest/api/API_PutSigningProfile.html
https://docs.aws.amazon.com/signer/latest/developerguide/image-verification.html
"""

IamAction = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9-]+:[A-Za-z0-9]+$", max_length=128),
    Constraint("an IAM action spelled out, such as s3:GetObject, without a wildcard"),
]

PipelineNameOrArn = Annotated[
    str,
    StringConstraints(
        pattern=rf"{_ARN}:codepipeline:[a-z0-9-]+:[0-9]{{12}}:[A-Za-z0-9.@_-]{{1,100}}$|^[A-Za-z0-9.@_-]{{1,100}}$"
    ),
    Constraint("the name of a pipeline, or the ARN of one, arn:aws:codepipeline:<region>:<account>:<name>"),
    Reference(),
]
"""https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PipelineDeclaration.html"""

ResourceArn = Annotated[
    str,
    StringConstraints(pattern=rf"{_ARN}:[a-z0-9-]+:[^:\s]*:[^:\s]*:\S+$|^\*$", max_length=2048),
    Constraint("the ARN of a resource, or * for an action that AWS scopes to nothing"),
    Reference(),
]
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html"""

PolicyArn = Annotated[
    str,
    StringConstraints(pattern=rf"{_ARN}:iam::([0-9]{{12}}|aws):policy/[A-Za-z0-9_+=,.@/-]+$", max_length=600),
    Constraint("the ARN of an IAM policy, arn:aws:iam::<account>:policy/<name>"),
    Reference(),
]
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html"""

ConnectionArn = Annotated[
    str,
    StringConstraints(
        pattern=rf"{_ARN}:(codeconnections|codestar-connections):[a-z0-9-]+:[0-9]{{12}}:connection/[0-9a-f-]{{36}}$",
        max_length=256,
    ),
    Constraint("the ARN of a connection, arn:aws:codeconnections:<region>:<account>:connection/<id>"),
    Reference(),
]

FleetArn = Annotated[
    str,
    StringConstraints(
        pattern=rf"{_ARN}:codebuild:[a-z0-9-]+:[0-9]{{12}}:fleet/[A-Za-z0-9][A-Za-z0-9_-]{{1,127}}:[A-Za-z0-9-]{{1,64}}$"
    ),
    Constraint("the ARN of a compute fleet, arn:aws:codebuild:<region>:<account>:fleet/<name>:<id>"),
    Reference(),
]
"""https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CreateFleet.html"""

HostArn = Annotated[
    str,
    StringConstraints(
        pattern=rf"{_ARN}:(codeconnections|codestar-connections):[a-z0-9-]+:[0-9]{{12}}:host/[A-Za-z0-9_./-]+$",
        max_length=256,
    ),
    Constraint("the ARN of a host of CodeConnections, arn:aws:codeconnections:<region>:<account>:host/<name>-<id>"),
    Reference(),
]
"""https://docs.aws.amazon.com/codeconnections/latest/APIReference/API_CreateConnection.html"""

TopicArn = Annotated[
    str,
    StringConstraints(pattern=rf"{_ARN}:sns:[a-z0-9-]+:[0-9]{{12}}:[A-Za-z0-9_-]{{1,256}}$"),
    Constraint("the ARN of an SNS topic, arn:aws:sns:<region>:<account>:<name>"),
    Reference(),
]
"""An approval takes no first-in-first-out topic: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Approval.html"""

EmailAddress = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9](-*[A-Za-z0-9])*\.)+[A-Za-z]{2,63}$",
        max_length=254,
    ),
    Constraint("an e-mail address such as team@example.com"),
    Reference(),
]
"""https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1"""

KmsKeyArn = Annotated[
    str,
    StringConstraints(pattern=rf"{_ARN}:kms:[a-z0-9-]+:[0-9]{{12}}:key/(mrk-)?[0-9a-f-]{{32,36}}$"),
    Constraint("the ARN of a KMS key, arn:aws:kms:<region>:<account>:key/<id>, not of an alias"),
    Reference(),
]
"""An IAM policy names a key, and not its alias: https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html"""

SlackWorkspaceId = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Z]{1,255}$"),
    Constraint("the id of a Slack workspace such as T012ABCDEFG"),
    Reference(),
]
"""https://docs.aws.amazon.com/chatbot/latest/APIReference/API_CreateSlackChannelConfiguration.html"""

SlackChannelId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9]{1,255}$"),
    Constraint("the id of a Slack channel such as C012ABCDEFG, not its name"),
    Reference(),
]
"""https://docs.aws.amazon.com/chatbot/latest/APIReference/API_CreateSlackChannelConfiguration.html"""

TeamsChannelId = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9_=+/.,-]*%3[aA][A-Za-z0-9_=+/.,-]*%40[A-Za-z0-9_=+/.,-]*$", min_length=1, max_length=255
    ),
    Constraint("the id of a Teams channel as its link has it, such as 19%3ab6ef35dc%40thread.tacv2"),
    Reference(),
]
"""https://docs.aws.amazon.com/chatbot/latest/APIReference/API_CreateMicrosoftTeamsChannelConfiguration.html"""

Uuid = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"),
    Constraint("a UUID such as 0f1e2d3c-4b5a-4697-8877-665544332211"),
    Reference(),
]


def _parameter(source: str) -> str:
    """Return the source if it is an ARN, or a name that Parameter Store would take.

    Raises:
        ValueError: If it is a name with a reserved start or more than 15 levels.
    """
    levels = source.lower().split("/")[1:]
    if source.startswith("/") and (levels[0].startswith(("aws", "ssm")) or len(levels) > PARAMETER_LEVELS):
        raise ValueError(source)
    return source


SecretSource = Annotated[
    str,
    StringConstraints(
        pattern=rf"{_ARN}:(secretsmanager:[a-z0-9-]+:[0-9]{{12}}:secret:[A-Za-z0-9/_+=.@-]+(:[^:]*:[^:]*:[^:]*)?"
        r"|ssm:[a-z0-9-]+:[0-9]{12}:parameter/[A-Za-z0-9_./-]+)$"
        r"|^(/[A-Za-z0-9_.-]+)+$",
        max_length=2048,
    ),
    AfterValidator(_parameter),
    Constraint(
        "the ARN of a Secrets Manager secret (optionally with :<json key>:<stage>:<version>) or of a parameter, or the "
        "name of a parameter that begins with /"
    ),
    Reference(),
]
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specifying-sensitive-data.html

A name without a / could be the secret itself. Names of parameters: https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
"""

Secret = Annotated[
    str,
    StringConstraints(
        pattern=rf"^[A-Za-z0-9/_+=.@-]{{1,512}}$|{_ARN}:secretsmanager:[a-z0-9-]+:[0-9]{{12}}:secret:[A-Za-z0-9/_+=.@-]+$",
        max_length=600,
    ),
    Constraint("the name of a Secrets Manager secret or its ARN, never the secret itself"),
    Reference(),
]
"""https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html"""

SecretValue = Annotated[
    str,
    StringConstraints(
        pattern=rf"^([A-Za-z0-9/_+=.@-]{{1,512}}|{_ARN[1:]}:secretsmanager:[a-z0-9-]+:[0-9]{{12}}:secret:[A-Za-z0-9/_+=.@-]+)"
        r"(:[A-Za-z0-9_.-]{1,128})?$",
        max_length=730,
    ),
    Constraint(
        "the name of a Secrets Manager secret or its ARN, with :<json key> behind it where the secret is JSON, never "
        "the secret itself"
    ),
    Reference(),
]
"""https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html"""

SourceRepository = Annotated[
    str,
    StringConstraints(
        pattern=rf"^([0-9]{{12}}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/)?{ECR_REPOSITORY[1:]}", max_length=320
    ),
    Constraint(
        "the name of an ECR repository of this account and region, or "
        "<account>.dkr.ecr.<region>.amazonaws.com/<name>, without tag"
    ),
    Reference(),
]

RegistryHost = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(:[0-9]{1,5})?$"),
    Constraint("the host of a registry, such as docker.io or ghcr.io, without scheme or path"),
]

JsonKey = Annotated[
    str,
    StringConstraints(pattern=r"^[^:\s]{1,128}$"),
    Constraint("the name of a key inside the secret's JSON, without blanks and colons"),
    Reference(),
]

GithubRepository = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}$"),
    Constraint("a GitHub repository written owner/name, without https://"),
    Reference(),
]

GithubEnvironment = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]*$", max_length=255),
    Constraint("the name of a GitHub environment: up to 255 letters, digits, spaces and . _ / -"),
    Reference(),
]
"""https://docs.github.com/en/actions/how-tos/deploy/configure-and-manage-deployments/manage-environments"""

GitlabProject = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_.-]*(/[A-Za-z0-9_.][A-Za-z0-9_.-]*){1,21}$", max_length=1000),
    Constraint("a GitLab project with all of its groups, written group/project or group/subgroup/project"),
    Reference(),
]
"""The whole path is CodePipeline's ``FullRepositoryId``: https://github.com/aws/aws-cdk/issues/27504. GitLab nests
groups up to 20 deep: https://docs.gitlab.com/user/group/subgroups/. A value of CodePipeline has 1,000 characters:
https://github.com/awsdocs/aws-codepipeline-user-guide/issues/24
"""

BitbucketRepository = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,62}/[A-Za-z0-9._-]{1,62}$"),
    Constraint("a Bitbucket repository written workspace/repository, without https://"),
    Reference(),
]

Branch = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][^\s~^:?*\[\\]*$", max_length=255),
    Constraint("the name of one branch, up to 255 characters, without blanks and wildcards"),
    Reference(),
]

TriggerPattern = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    Constraint("a pattern of 1 to 255 characters"),
]
"""https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_GitFilePathFilterCriteria.html"""

EcsName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,255}$"),
    Constraint("a name of 1 to 255 letters, digits, _ and -, not an ARN"),
    Reference(),
]
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html"""

CodeDeployName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._+=,@-]{1,100}$"),
    Constraint("a name of 1 to 100 letters, digits and . _ + = , @ -"),
    Reference(),
]
"""Of an application or a deployment group: https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html"""

LoadBalancerName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9](-*[A-Za-z0-9]){0,31}$", max_length=32),
    Constraint("a name of 1 to 32 letters, digits and hyphens, with no hyphen at either end, not an ARN"),
    Reference(),
]
"""Of a load balancer or a target group: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html"""

ListenerArn = Annotated[
    str,
    StringConstraints(
        pattern=rf"{_ARN}:elasticloadbalancing:[a-z0-9-]+:[0-9]{{12}}:listener/app/[A-Za-z0-9-]+/[0-9a-f]+/[0-9a-f]+$"
    ),
    Constraint("the ARN of a listener of an Application Load Balancer"),
    Reference(),
]

SecurityGroupId = Annotated[
    str,
    StringConstraints(pattern=r"^sg-[0-9a-f]{8,17}$"),
    Constraint("the id of a security group such as sg-0a1b2c3d4e5f67890"),
    Reference(),
]

LogGroupName = Annotated[
    str,
    StringConstraints(pattern=r"^[._/#A-Za-z0-9-]{1,512}$"),
    Constraint("a log group name: 1 to 512 letters, digits and . _ / # -"),
    Reference(),
]

AlarmName = Annotated[
    str,
    StringConstraints(pattern=r"^[^,\s]([^,]{0,253}[^,\s])?$"),
    Constraint("the name of a CloudWatch alarm, 1 to 255 characters without commas"),
    Reference(),
]
"""ECS takes the names as one comma-separated text: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentAlarms.html"""

Bucket = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"),
    AfterValidator(_bucket),
    Constraint("an S3 bucket name: 3 to 63 lower-case letters, digits, . and -, without s3://"),
    Reference(),
]
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""

ObjectKey = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9!_.'()-][A-Za-z0-9!_.'()/-]{0,511}$"),
    Constraint("the key of an object: 1 to 512 letters, digits and ! _ . ' ( ) / -, not starting with /"),
    Reference(),
]
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html (characters that need no encoding)"""

KeyPrefix = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z0-9!_.'()-][A-Za-z0-9!_.'()/-]{0,511})?$"),
    Constraint("a key prefix of up to 512 letters, digits and ! _ . ' ( ) / -, not starting with /"),
    Reference(),
]
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html (characters that need no encoding)"""

DistributionId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z0-9]{8,32}$"),
    Constraint("the id of a CloudFront distribution such as E1A2B3C4D5E6F7"),
    Reference(),
]

RelativePath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.@+-][A-Za-z0-9_.@+/-]*$", max_length=255),
    AfterValidator(no_climbing),
    Constraint("a path inside the repository, up to 255 characters, without a leading /, blanks and .."),
]


def _range(block: str) -> str:
    """Let a range of addresses pass.

    Raises:
        ValueError: If it is none.
    """
    ipaddress.IPv4Network(block)
    return block


AddressRange = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9.]+/[0-9]+$"),
    AfterValidator(_range),
    Constraint("a range of IPv4 addresses such as 203.0.113.0/24"),
]

UrlPath = Annotated[
    str,
    StringConstraints(pattern=r"^/[!-~]*$", max_length=1024),
    Constraint("a path that starts with /, up to 1024 characters without blanks"),
]
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html (HealthCheckPath)"""

Url = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[!-~]*)?$"),
    Constraint("an address that starts with http:// or https://, without a user name or password"),
]

CertificateArn = Annotated[
    str,
    StringConstraints(pattern=rf"{_ARN}:acm:[a-z0-9-]+:[0-9]{{12}}:certificate/[A-Za-z0-9-]+$"),
    Constraint("the ARN of a certificate, arn:aws:acm:<region>:<account>:certificate/<id>"),
    Reference(),
]
"""https://docs.aws.amazon.com/acm/latest/APIReference/API_CertificateDetail.html"""

WebAclArn = Annotated[
    str,
    StringConstraints(
        pattern=rf"{_ARN}:wafv2:[a-z0-9-]+:[0-9]{{12}}:regional/webacl/[A-Za-z0-9_-]{{1,128}}/[0-9a-f-]{{36}}$"
    ),
    Constraint(
        "the ARN of a regional web ACL of AWS WAF, arn:aws:wafv2:<region>:<account>:regional/webacl/<name>/<id>, not "
        "one of CloudFront or AWS WAF Classic"
    ),
    Reference(),
]
"""https://docs.aws.amazon.com/waf/latest/APIReference/API_AssociateWebACL.html"""

DomainName = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z0-9](-*[a-z0-9]){0,62}\.)+[a-z](-*[a-z0-9]){1,62}$", max_length=253),
    Constraint("a domain name in lower case such as shop.example.com, without https:// and port"),
    Reference(),
]

ContainerPath = Annotated[
    str,
    StringConstraints(pattern=r"^(/[A-Za-z0-9_.@+-]+)+$", max_length=255),
    AfterValidator(no_climbing),
    Constraint("a path inside the container such as /var/cache, not / itself, without a trailing / and without .."),
]

EnvironmentFile = Annotated[
    str,
    StringConstraints(pattern=rf"{_ARN}:s3:::[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]/[^\s*?]+\.env$", max_length=1024),
    Constraint("the ARN of an object in S3 that ends with .env, such as arn:aws:s3:::shop-configuration/prod.env"),
    Reference(),
]
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html"""

HostedZoneId = Annotated[
    str,
    StringConstraints(pattern=r"^Z[A-Z0-9]{1,31}$"),
    Constraint("the id of a hosted zone such as Z0123456789ABCDEFGHIJ"),
    Reference(),
]
"""https://docs.aws.amazon.com/Route53/latest/APIReference/API_HostedZone.html"""

NamespaceId = Annotated[
    str,
    StringConstraints(pattern=r"^ns-[a-z0-9]{1,61}$"),
    Constraint("the id of a namespace of Cloud Map such as ns-0123456789abcdef"),
    Reference(),
]
"""https://docs.aws.amazon.com/cloud-map/latest/api/API_Namespace.html"""

VpcId = Annotated[
    str,
    StringConstraints(pattern=r"^vpc-[0-9a-f]{8,17}$"),
    Constraint("the id of a VPC such as vpc-0a1b2c3d4e5f67890"),
    Reference(),
]

SubnetId = Annotated[
    str,
    StringConstraints(pattern=r"^subnet-[0-9a-f]{8,17}$"),
    Constraint("the id of a subnet such as subnet-0a1b2c3d4e5f67890"),
    Reference(),
]
