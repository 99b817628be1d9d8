"""What the stand-in knows about AWS resource types beyond what the SDK's types say.

Two things the SDK does not tell: what a resource's ARN and id look like, and which outputs AWS derives from what. Which
changes AWS cannot make in place, `changes` says. The types are those that this program makes; the tests' mocks answer
by the same list.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.engine.providers.protocol import Value

ACCOUNT = "123456789012"
"""The account in which everything pretends to live that names no other; AWS's own example number."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one resource's invented outputs are made of; the same resource always gets the same ones.

    Attributes:
        seed: what makes it this resource and no other: its URN, or the name a lookup asks for.
        name: its physical name, empty if it has none.
        region: region it lives in.
        inputs: its inputs, free of secret wrappers.
        account: account it lives in.
    """

    seed: str
    name: str
    region: str
    inputs: Mapping[str, Value]
    account: str = ACCOUNT

    @property
    def partition(self) -> str:
        """`aws`, or the partition of a Chinese or US government region."""
        prefix = self.region.split("-")[0]
        if prefix == "cn":
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def domain(self) -> str:
        """The domain AWS services of this partition answer under."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    @property
    def uuid(self) -> str:
        """A well-formed random-looking UUID."""
        return str(uuid.UUID(bytes=hashlib.sha256(self.seed.encode()).digest()[:16], version=4))

    def hex(self, length: int) -> str:
        """That many hexadecimal digits."""
        return hashlib.sha256(self.seed.encode()).hexdigest()[:length]

    def text(self, name: str, default: str = "") -> str:
        """An input that is a string."""
        value = self.inputs.get(name)
        return value if isinstance(value, str) else default

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


class Document(NamedTuple):
    """The longest document that AWS accepts.

    Every character counts here. IAM leaves white space out of its counts, so that what passes here passes there.

    Attributes:
        input: the input that holds it.
        most: the most characters it may have, in UTF-8.
        error: how AWS's answer begins.
    """

    input: str
    most: int
    error: str


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known about one resource type.

    Attributes:
        arn: its ARN; `None` makes a well-formed one of no particular kind.
        identity: its id, by default its name.
        name: the input that names it and is invented when not given; empty if there is none.
        longest: the most characters such a name may have.
        computed: outputs AWS derives, by name.
        document: the limit of its document, if it has one.
    """

    arn: Callable[[Facts], str] | None = None
    identity: Callable[[Facts], str] = attrgetter("name")
    name: str = "name"
    longest: int = 255
    computed: Mapping[str, Callable[[Facts], Value]] = field(default_factory=dict)
    document: Document | None = None


def _of_bucket(document: Document | None = None) -> Kind:
    """A setting of a bucket, which goes by the bucket's name."""
    return Kind(identity=lambda f: f.text("bucket"), name="", document=document)


def _ec2(prefix: str, resource: str, *, name: str = "") -> Kind:
    """Something of EC2: its id is a prefix and 17 hexadecimal digits."""
    return Kind(
        arn=lambda f: f.arn("ec2", f"{resource}/{prefix}-{f.hex(17)}"),
        identity=lambda f: f"{prefix}-{f.hex(17)}",
        name=name,
    )


def _cloud_map(prefix: str, resource: str, **computed: Callable[[Facts], Value]) -> Kind:
    """Something of Cloud Map: its id is a prefix and 16 hexadecimal digits, and under another name another one."""

    def identity(facts: Facts) -> str:
        return f"{prefix}-{replace(facts, seed=facts.seed + facts.name).hex(16)}"

    return Kind(
        arn=lambda f: f.arn("servicediscovery", f"{resource}/{identity(f)}"),
        identity=identity,
        longest=1024,
        computed=computed,
    )


def _below(parent: str, old: str, new: str) -> Callable[[Facts], str]:
    """The ARN of something below a load balancer or listener: the parent's, another word in it, one more part."""

    def arn(facts: Facts) -> str:
        return f"{facts.text(parent).replace(f':{old}/', f':{new}/')}/{facts.hex(16)}"

    return arn


def _service_arn(facts: Facts) -> str:
    cluster = facts.text("cluster").rpartition("/")[2]
    return facts.arn("ecs", f"service/{cluster}/{facts.name}")


def _by_arn(arn: Callable[[Facts], str], **more: Any) -> Kind:  # noqa: ANN401 - the fields of Kind
    """Something that is known by its ARN."""
    return Kind(arn=arn, identity=arn, **more)


def _channel(kind: str) -> Kind:
    """A channel that Amazon Q Developer in chat applications knows, in every region."""

    def arn(facts: Facts) -> str:
        name = facts.text("configurationName")
        return f"arn:{facts.partition}:chatbot::{facts.account}:chat-configuration/{kind}/{name}"

    return Kind(identity=arn, name="", computed={"chatConfigurationArn": arn})


KINDS: Mapping[str, Kind] = {
    "aws:kms/key:Key": Kind(
        arn=lambda f: f.arn("kms", f"key/{f.uuid}"),
        identity=lambda f: f.uuid,
        name="",
        computed={"keyId": lambda f: f.uuid},
    ),
    "aws:kms/keyPolicy:KeyPolicy": Kind(
        identity=lambda f: f.text("keyId"),
        name="",
        # https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
        document=Document("policy", 32768, "LimitExceededException"),
    ),
    "aws:s3/bucket:Bucket": Kind(
        arn=lambda f: f"arn:{f.partition}:s3:::{f.name}",
        name="bucket",
        longest=63,
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _of_bucket(),
    "aws:s3/bucketLogging:BucketLogging": _of_bucket(),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _of_bucket(),
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
    "aws:s3/bucketPolicy:BucketPolicy": _of_bucket(Document("policy", 20480, "PolicyTooLarge")),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _of_bucket(),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _of_bucket(),
    "aws:s3/bucketVersioning:BucketVersioning": _of_bucket(),
    "aws:s3/bucketObjectv2:BucketObjectv2": Kind(
        arn=lambda f: f"arn:{f.partition}:s3:::{f.text('bucket')}/{f.text('key')}",
        identity=lambda f: f"{f.text('bucket')}/{f.text('key')}",
        name="",
    ),
    "aws:iam/role:Role": Kind(
        arn=lambda f: f"arn:{f.partition}:iam::{f.account}:role{f.text('path', '/')}{f.name}",
        longest=64,
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: role trust policy length, and the
        # sum of a role's inline policies. Every role of this program has one.
        document=Document("assumeRolePolicy", 2048, "LimitExceeded: Cannot exceed quota for ACLSizePerRole"),
    ),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        identity=lambda f: f"{f.text('role')}:{f.name}",
        longest=128,
        document=Document("policy", 10240, "LimitExceeded: Maximum policy size exceeded for the role"),
    ),
    "aws:lambda/function:Function": Kind(
        arn=lambda f: f.arn("lambda", f"function:{f.name}"),
        longest=64,
    ),
    "aws:lambda/permission:Permission": Kind(name="statementId", longest=100),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Kind(
        identity=lambda f: f.text("functionName"), name=""
    ),
    "aws:sns/topic:Topic": _by_arn(lambda f: f.arn("sns", f.name), longest=256),
    "aws:sns/topicPolicy:TopicPolicy": Kind(identity=lambda f: f.text("arn"), name=""),
    "aws:sns/topicSubscription:TopicSubscription": _by_arn(lambda f: f"{f.text('topic')}:{f.uuid}", name=""),
    "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration": _channel("slack-channel"),
    "aws:chatbot/teamsChannelConfiguration:TeamsChannelConfiguration": _channel("microsoft-teams-channel"),
    "aws:codebuild/project:Project": _by_arn(lambda f: f.arn("codebuild", f"project/{f.name}")),
    "aws:codebuild/fleet:Fleet": _by_arn(lambda f: f.arn("codebuild", f"fleet/{f.name}:{f.uuid}"), longest=128),
    "aws:codebuild/reportGroup:ReportGroup": _by_arn(
        lambda f: f.arn("codebuild", f"report-group/{f.name}"), longest=128
    ),
    "aws:codepipeline/pipeline:Pipeline": Kind(
        arn=lambda f: f.arn("codepipeline", f.name),
        longest=100,
    ),
    "aws:codedeploy/application:Application": Kind(
        arn=lambda f: f.arn("codedeploy", f"application:{f.name}"),
        identity=lambda f: f"{f.uuid}:{f.name}",
        longest=100,
    ),
    "aws:codedeploy/deploymentGroup:DeploymentGroup": Kind(
        arn=lambda f: f.arn("codedeploy", f"deploymentgroup:{f.text('appName')}/{f.text('deploymentGroupName')}"),
        identity=lambda f: f.uuid,
        name="",
    ),
    "aws:codedeploy/deploymentConfig:DeploymentConfig": Kind(
        arn=lambda f: f.arn("codedeploy", f"deploymentconfig:{f.name}"),
        name="deploymentConfigName",
        longest=100,
    ),
    "aws:codeconnections/connection:Connection": _by_arn(
        lambda f: f.arn("codeconnections", f"connection/{f.uuid}"),
        longest=32,
        computed={"connectionStatus": lambda _: "PENDING"},
    ),
    "aws:ecr/repository:Repository": Kind(
        arn=lambda f: f.arn("ecr", f"repository/{f.name}"),
        longest=256,
        computed={"repositoryUrl": lambda f: f"{f.account}.dkr.ecr.{f.region}.{f.domain}/{f.name}"},
    ),
    # AWS has no update of a lifecycle policy: putting another one is what the provider calls a replacement.
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Kind(identity=lambda f: f.text("repository"), name=""),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": Kind(
        identity=lambda f: f.text("repository"),
        name="",
        # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_SetRepositoryPolicy.html
        document=Document("policy", 10240, "InvalidParameterException"),
    ),
    "aws:cloudwatch/logGroup:LogGroup": Kind(
        arn=lambda f: f.arn("logs", f"log-group:{f.name}"),
        longest=512,
    ),
    "aws:cloudwatch/eventRule:EventRule": Kind(
        arn=lambda f: f.arn("events", "rule/" + "/".join(filter(None, (f.text("eventBusName"), f.name)))),
        longest=64,
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Kind(
        identity=lambda f: f"{f.text('rule')}-{f.text('targetId', f.hex(8))}",
        name="",
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Kind(
        arn=lambda f: f.arn("cloudwatch", f"alarm:{f.name}"),
    ),
    "aws:ecs/cluster:Cluster": _by_arn(lambda f: f.arn("ecs", f"cluster/{f.name}")),
    "aws:ecs/service:Service": _by_arn(_service_arn),
    "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": Kind(
        identity=lambda f: f.text("clusterName"), name=""
    ),
    "aws:appautoscaling/target:Target": Kind(
        arn=lambda f: f.arn("application-autoscaling", f"scalable-target/{f.hex(24)}"),
        identity=lambda f: f.text("resourceId"),
        name="",
    ),
    "aws:appautoscaling/policy:Policy": Kind(
        arn=lambda f: f.arn(
            "autoscaling",
            f"scalingPolicy:{f.uuid}:resource/{f.text('serviceNamespace')}/{f.text('resourceId')}:policyName/{f.name}",
        ),
    ),
    "aws:appautoscaling/scheduledAction:ScheduledAction": Kind(
        arn=lambda f: f.arn(
            "autoscaling",
            f"scheduledAction:{f.uuid}:resource/{f.text('serviceNamespace')}/{f.text('resourceId')}"
            f":scheduledActionName/{f.name}",
        ),
        identity=lambda f: f"{f.name}-{f.text('serviceNamespace')}-{f.text('resourceId')}",
    ),
    "aws:ecs/taskDefinition:TaskDefinition": Kind(
        arn=lambda f: f.arn("ecs", f"task-definition/{f.text('family')}:1"),
        identity=lambda f: f.text("family"),
        name="",
    ),
    "aws:lb/loadBalancer:LoadBalancer": _by_arn(
        lambda f: f.arn("elasticloadbalancing", f"loadbalancer/app/{f.name}/{f.hex(16)}"),
        longest=32,
        computed={
            "arnSuffix": lambda f: f"app/{f.name}/{f.hex(16)}",
            "dnsName": lambda f: f"{f.name}-{int(f.hex(8), 16)}.{f.region}.elb.{f.domain}",
            "zoneId": lambda _: "Z32O12XQLNTSW2",
        },
    ),
    "aws:lb/targetGroup:TargetGroup": _by_arn(
        lambda f: f.arn("elasticloadbalancing", f"targetgroup/{f.name}/{f.hex(16)}"),
        longest=32,
        computed={"arnSuffix": lambda f: f"targetgroup/{f.name}/{f.hex(16)}"},
    ),
    "aws:lb/listener:Listener": _by_arn(_below("loadBalancerArn", "loadbalancer", "listener"), name=""),
    "aws:lb/listenerRule:ListenerRule": _by_arn(_below("listenerArn", "listener", "listener-rule"), name=""),
    "aws:route53/record:Record": Kind(
        identity=lambda f: f"{f.text('zoneId')}_{f.text('name')}_{f.text('type')}",
        computed={"fqdn": lambda f: f.text("name")},
    ),
    "aws:ec2/vpc:Vpc": _ec2("vpc", "vpc"),
    "aws:ec2/subnet:Subnet": _ec2("subnet", "subnet"),
    "aws:ec2/internetGateway:InternetGateway": _ec2("igw", "internet-gateway"),
    "aws:ec2/routeTable:RouteTable": _ec2("rtb", "route-table"),
    "aws:ec2/route:Route": Kind(
        identity=lambda f: f"r-{f.text('routeTableId')}{f.hex(10)}",
        name="",
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _ec2("rtbassoc", "route-table"),
    "aws:ec2/eip:Eip": replace(
        _ec2("eipalloc", "elastic-ip"), computed={"allocationId": lambda f: f"eipalloc-{f.hex(17)}"}
    ),
    "aws:ec2/natGateway:NatGateway": _ec2("nat", "natgateway"),
    "aws:ec2/securityGroup:SecurityGroup": _ec2("sg", "security-group", name="name"),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _ec2("sg", "security-group"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _ec2("vpce", "vpc-endpoint"),
    "aws:ec2/flowLog:FlowLog": _ec2("fl", "vpc-flow-log"),
    # A load balancer has one web ACL, and is all that ends the association.
    "aws:wafv2/webAclAssociation:WebAclAssociation": Kind(identity=lambda f: f.text("resourceArn"), name=""),
    "aws:servicediscovery/httpNamespace:HttpNamespace": _cloud_map("ns", "namespace", httpName=lambda f: f.name),
    "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace": replace(
        _cloud_map("ns", "namespace", hostedZone=lambda f: f"Z{f.hex(20).upper()}"), longest=253
    ),
    "aws:servicediscovery/service:Service": replace(_cloud_map("srv", "service"), longest=127),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ec2("sgr", "security-group-rule"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _ec2("sgr", "security-group-rule"),
}
"""The reviewed types. Every other type of the SDK is served too, by `GENERIC`."""

GENERIC = Kind()
"""A type nobody has reviewed: named if it has an optional name, a new resource if that name changes."""


def computed(token: str, seed: str, inputs: Mapping[str, Any], region: str, account: str = ACCOUNT) -> dict[str, Value]:
    """Return the outputs of one of `KINDS` that AWS derives.

    Args:
        token: the resource's type.
        seed: what makes it this resource and no other.
        inputs: its inputs.
        region: the region it lives in.
        account: the account it lives in.
    """
    kind = KINDS[token]
    facts = Facts(seed, str(inputs.get(kind.name) or ""), region, inputs, account)
    arn: dict[str, Value] = {"arn": kind.arn(facts)} if kind.arn else {}
    return {**arn, **{output: rule(facts) for output, rule in kind.computed.items()}}


def invent(output: str, kind: str, token: str, facts: Facts) -> Value:
    """Return a value of the right type for an output nothing is known about.

    Args:
        output: the output's name.
        kind: its `Shape.kind`.
        token: the resource's type, for the service's name.
        facts: the resource.
    """
    if kind == "string" and output.lower().endswith("arn"):
        service = token.split(":")[1].partition("/")[0]
        return facts.arn(service, f"{output.lower().removesuffix('arn') or 'resource'}/{facts.name or facts.hex(17)}")
    invented: dict[str, Value] = {"boolean": False, "integer": 0, "number": 0, "list": [], "map": {}}
    return facts.hex(17) if kind == "string" else invented.get(kind)
