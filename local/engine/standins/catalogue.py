"""What the stand-in knows about AWS resource types beyond what the SDK's types say.

Three things the SDK does not tell: what a resource's ARN and id look like, which outputs AWS derives from what, and
which changes it cannot make in place. The last list follows the `ForceNew` marks of the Terraform provider that
pulumi-aws is made from; it covers the types this project uses, and nothing follows from its silence about others.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.engine.standins.wire import Value

ACCOUNT = "123456789012"
"""The account everything pretends to live in; AWS's own example number."""

CREATED = "2025-01-01T00:00:00Z"
"""When everything pretends to have been made."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one resource's invented outputs are made of; the same resource always gets the same ones.

    Attributes:
        seed: what makes it this resource and no other: its URN, or the name a lookup asks for.
        name: its physical name, empty if it has none.
        region: region it lives in.
        inputs: its inputs, free of secret wrappers.
    """

    seed: str
    name: str
    region: str
    inputs: Mapping[str, Value]

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

    def last(self, name: str) -> str:
        """The name at the end of an input that is a name or an ARN; unknown stays unknown."""
        return self.text(name).rpartition("/")[2]

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{ACCOUNT}:{resource}"

    def iam(self, kind: str) -> str:
        """The ARN of something of IAM, which has no region."""
        return f"arn:{self.partition}:iam::{ACCOUNT}:{kind}{self.text('path', '/')}{self.name}"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known about one resource type.

    Attributes:
        arn: its ARN; `None` makes a well-formed one of no particular kind.
        identity: its id, by default its name.
        name: the input that names it and is invented when not given; empty if there is none.
        longest: the most characters such a name may have.
        computed: outputs AWS derives, by name.
        replaced_by: inputs whose change means a new resource.
    """

    arn: Callable[[Facts], str] | None = None
    identity: Callable[[Facts], str] = attrgetter("name")
    name: str = "name"
    longest: int = 255
    computed: Mapping[str, Callable[[Facts], Value]] = field(default_factory=dict)
    replaced_by: frozenset[str] = frozenset({"name", "namePrefix"})


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _of_bucket(replaced_by: str = "bucket expectedBucketOwner") -> Kind:
    """A setting of a bucket, which goes by the bucket's name."""
    return Kind(identity=lambda f: f.text("bucket"), name="", replaced_by=_words(replaced_by))


def _of_repository(replaced_by: str) -> Kind:
    """A setting of an image repository, which goes by the repository's name."""
    return Kind(identity=lambda f: f.text("repository"), name="", replaced_by=_words(replaced_by))


def _ec2(prefix: str, resource: str, replaced_by: str, *, name: str = "") -> Kind:
    """Something of EC2: its id is a prefix and 17 hexadecimal digits."""
    return Kind(
        arn=lambda f: f.arn("ec2", f"{resource}/{prefix}-{f.hex(17)}"),
        identity=lambda f: f"{prefix}-{f.hex(17)}",
        name=name,
        replaced_by=_words(replaced_by),
    )


def _connection(service: str) -> Kind:
    return Kind(
        arn=lambda f: f.arn(service, f"connection/{f.uuid}"),
        identity=lambda f: f.arn(service, f"connection/{f.uuid}"),
        longest=32,
        computed={"connectionStatus": lambda _: "PENDING"},
        replaced_by=_words("name hostArn providerType"),
    )


def _load_balancer_path(facts: Facts) -> str:
    kind = {"network": "net", "gateway": "gwy"}.get(facts.text("loadBalancerType"), "app")
    return f"{kind}/{facts.name}/{facts.hex(16)}"


def _below(parent: str, old: str, new: str) -> Callable[[Facts], str]:
    """The ARN of something below a load balancer or listener: the parent's, another word in it, one more part."""

    def arn(facts: Facts) -> str:
        return f"{facts.text(parent).replace(f':{old}/', f':{new}/')}/{facts.hex(16)}"

    return arn


def _service_arn(facts: Facts) -> str:
    cluster = facts.last("cluster") or facts.last("clusterArn") or "default"
    return facts.arn("ecs", f"service/{cluster}/{facts.name}")


def _balancer(arn: Callable[[Facts], str], replaced_by: str, **computed: Callable[[Facts], Value]) -> Kind:
    """A load balancer or target group: named within 32 characters, known by its ARN."""
    return Kind(arn=arn, identity=arn, longest=32, computed=computed, replaced_by=_words(replaced_by))


_TASK_DEFINITION = """
    family containerDefinitions cpu memory networkMode executionRoleArn taskRoleArn requiresCompatibilities
    runtimePlatform ephemeralStorage volumes placementConstraints proxyConfiguration pidMode ipcMode
"""

KINDS: Mapping[str, Kind] = {
    "aws:kms/key:Key": Kind(
        arn=lambda f: f.arn("kms", f"key/{f.uuid}"),
        identity=lambda f: f.uuid,
        name="",
        computed={"keyId": lambda f: f.uuid},
        replaced_by=_words("customKeyStoreId customerMasterKeySpec keyUsage multiRegion xksKeyId"),
    ),
    "aws:kms/keyPolicy:KeyPolicy": Kind(identity=lambda f: f.text("keyId"), name="", replaced_by=_words("keyId")),
    "aws:kms/alias:Alias": Kind(
        arn=lambda f: f.arn("kms", f.name),
        computed={"targetKeyArn": lambda f: f.arn("kms", f"key/{f.last('targetKeyId')}")},
    ),
    "aws:s3/bucket:Bucket": Kind(
        arn=lambda f: f"arn:{f.partition}:s3:::{f.name}",
        name="bucket",
        longest=63,
        computed={
            "bucketDomainName": lambda f: f"{f.name}.s3.{f.domain}",
            "bucketRegionalDomainName": lambda f: f"{f.name}.s3.{f.region}.{f.domain}",
            "bucketRegion": attrgetter("region"),
            "hostedZoneId": lambda _: "Z1BKCTXD74EZPE",
        },
        replaced_by=_words("bucket bucketPrefix bucketNamespace objectLockEnabled"),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _of_bucket(),
    "aws:s3/bucketNotification:BucketNotification": _of_bucket("bucket"),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _of_bucket("bucket"),
    "aws:s3/bucketPolicy:BucketPolicy": _of_bucket("bucket"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _of_bucket("bucket"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _of_bucket(),
    "aws:s3/bucketVersioning:BucketVersioning": _of_bucket(),
    "aws:s3/bucketObject:BucketObject": Kind(
        arn=lambda f: f"arn:{f.partition}:s3:::{f.text('bucket')}/{f.text('key')}",
        identity=lambda f: f"{f.text('bucket')}/{f.text('key')}",
        name="",
        replaced_by=_words("bucket key"),
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": Kind(
        arn=lambda f: f"arn:{f.partition}:s3:::{f.text('bucket')}/{f.text('key')}",
        identity=lambda f: f"{f.text('bucket')}/{f.text('key')}",
        name="",
        replaced_by=_words("bucket key"),
    ),
    "aws:iam/role:Role": Kind(
        arn=lambda f: f.iam("role"),
        longest=64,
        computed={"uniqueId": lambda f: f"AROA{f.hex(17).upper()}"},
        replaced_by=_words("name namePrefix path"),
    ),
    "aws:iam/policy:Policy": Kind(
        arn=lambda f: f.iam("policy"),
        identity=lambda f: f.iam("policy"),
        longest=128,
        computed={"policyId": lambda f: f"ANPA{f.hex(17).upper()}"},
        replaced_by=_words("name namePrefix path description"),
    ),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        identity=lambda f: f"{f.text('role')}:{f.name}",
        longest=128,
        replaced_by=_words("name namePrefix role"),
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Kind(
        identity=lambda f: f"{f.text('role')}/{f.text('policyArn')}",
        name="",
        replaced_by=_words("role policyArn"),
    ),
    "aws:codebuild/project:Project": Kind(
        arn=lambda f: f.arn("codebuild", f"project/{f.name}"),
        identity=lambda f: f.arn("codebuild", f"project/{f.name}"),
        replaced_by=_words("name"),
    ),
    "aws:codebuild/reportGroup:ReportGroup": Kind(
        arn=lambda f: f.arn("codebuild", f"report-group/{f.name}"),
        identity=lambda f: f.arn("codebuild", f"report-group/{f.name}"),
        longest=128,
        replaced_by=_words("name type"),
    ),
    "aws:codepipeline/pipeline:Pipeline": Kind(
        arn=lambda f: f.arn("codepipeline", f.name),
        longest=100,
        replaced_by=_words("name"),
    ),
    "aws:codedeploy/application:Application": Kind(
        arn=lambda f: f.arn("codedeploy", f"application:{f.name}"),
        identity=lambda f: f"{f.uuid}:{f.name}",
        longest=100,
        computed={"applicationId": lambda f: f.uuid},
        replaced_by=_words("computePlatform"),
    ),
    "aws:codedeploy/deploymentGroup:DeploymentGroup": Kind(
        arn=lambda f: f.arn("codedeploy", f"deploymentgroup:{f.text('appName')}/{f.text('deploymentGroupName')}"),
        identity=lambda f: f.uuid,
        name="",
        computed={"deploymentGroupId": lambda f: f.uuid, "computePlatform": lambda _: "ECS"},
        replaced_by=_words("appName"),
    ),
    "aws:codedeploy/deploymentConfig:DeploymentConfig": Kind(
        arn=lambda f: f.arn("codedeploy", f"deploymentconfig:{f.name}"),
        name="deploymentConfigName",
        longest=100,
        computed={"deploymentConfigId": lambda f: f.uuid},
        replaced_by=_words("deploymentConfigName computePlatform minimumHealthyHosts trafficRoutingConfig zonalConfig"),
    ),
    "aws:codeconnections/connection:Connection": _connection("codeconnections"),
    "aws:codestarconnections/connection:Connection": _connection("codestar-connections"),
    "aws:codestarnotifications/notificationRule:NotificationRule": Kind(
        arn=lambda f: f.arn("codestar-notifications", f"notificationrule/{f.hex(40)}"),
        identity=lambda f: f.arn("codestar-notifications", f"notificationrule/{f.hex(40)}"),
        longest=64,
        replaced_by=_words("resource"),
    ),
    "aws:ecr/repository:Repository": Kind(
        arn=lambda f: f.arn("ecr", f"repository/{f.name}"),
        longest=256,
        computed={
            "registryId": lambda _: ACCOUNT,
            "repositoryUrl": lambda f: f"{ACCOUNT}.dkr.ecr.{f.region}.{f.domain}/{f.name}",
        },
        replaced_by=_words("name encryptionConfigurations"),
    ),
    # AWS has no update of a lifecycle policy: putting another one is what the provider calls a replacement.
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": _of_repository("repository policy"),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": _of_repository("repository"),
    "aws:cloudwatch/logGroup:LogGroup": Kind(
        arn=lambda f: f.arn("logs", f"log-group:{f.name}"),
        longest=512,
        replaced_by=_words("name namePrefix logGroupClass"),
    ),
    "aws:cloudwatch/eventRule:EventRule": Kind(
        arn=lambda f: f.arn("events", "rule/" + "/".join(filter(None, (f.text("eventBusName"), f.name)))),
        longest=64,
        replaced_by=_words("name namePrefix eventBusName"),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Kind(
        identity=lambda f: f"{f.text('rule')}-{f.text('targetId', f.hex(8))}",
        name="",
        replaced_by=_words("rule eventBusName targetId"),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Kind(
        arn=lambda f: f.arn("cloudwatch", f"alarm:{f.name}"),
        replaced_by=_words("name"),
    ),
    "aws:ecs/cluster:Cluster": Kind(
        arn=lambda f: f.arn("ecs", f"cluster/{f.name}"),
        identity=lambda f: f.arn("ecs", f"cluster/{f.name}"),
        replaced_by=_words("name"),
    ),
    "aws:ecs/service:Service": Kind(
        arn=_service_arn,
        identity=_service_arn,
        replaced_by=_words("name cluster deploymentController launchType schedulingStrategy iamRole"),
    ),
    "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": Kind(
        identity=lambda f: f.text("clusterName"), name="", replaced_by=_words("clusterName")
    ),
    "aws:appautoscaling/target:Target": Kind(
        arn=lambda f: f.arn("application-autoscaling", f"scalable-target/{f.hex(24)}"),
        identity=lambda f: f.text("resourceId"),
        name="",
        replaced_by=_words("resourceId scalableDimension serviceNamespace"),
    ),
    "aws:appautoscaling/policy:Policy": Kind(
        arn=lambda f: f.arn(
            "autoscaling",
            f"scalingPolicy:{f.uuid}:resource/{f.text('serviceNamespace')}/{f.text('resourceId')}:policyName/{f.name}",
        ),
        computed={"alarmArns": lambda _: []},
        replaced_by=_words("name resourceId scalableDimension serviceNamespace"),
    ),
    "aws:ecs/taskDefinition:TaskDefinition": Kind(
        arn=lambda f: f.arn("ecs", f"task-definition/{f.text('family')}:1"),
        identity=lambda f: f.text("family"),
        name="",
        computed={
            "arnWithoutRevision": lambda f: f.arn("ecs", f"task-definition/{f.text('family')}"),
            "revision": lambda _: 1,
        },
        replaced_by=_words(_TASK_DEFINITION),
    ),
    "aws:lb/loadBalancer:LoadBalancer": _balancer(
        lambda f: f.arn("elasticloadbalancing", f"loadbalancer/{_load_balancer_path(f)}"),
        "name namePrefix internal loadBalancerType customerOwnedIpv4Pool",
        arnSuffix=_load_balancer_path,
        dnsName=lambda f: f"{f.name}-{int(f.hex(8), 16)}.{f.region}.elb.{f.domain}",
        zoneId=lambda _: "Z32O12XQLNTSW2",
    ),
    "aws:lb/targetGroup:TargetGroup": _balancer(
        lambda f: f.arn("elasticloadbalancing", f"targetgroup/{f.name}/{f.hex(16)}"),
        "name namePrefix port protocol protocolVersion targetType vpcId ipAddressType",
        arnSuffix=lambda f: f"targetgroup/{f.name}/{f.hex(16)}",
    ),
    "aws:lb/listener:Listener": Kind(
        arn=_below("loadBalancerArn", "loadbalancer", "listener"),
        identity=_below("loadBalancerArn", "loadbalancer", "listener"),
        name="",
        replaced_by=_words("loadBalancerArn"),
    ),
    "aws:lb/listenerRule:ListenerRule": Kind(
        arn=_below("listenerArn", "listener", "listener-rule"),
        identity=_below("listenerArn", "listener", "listener-rule"),
        name="",
        replaced_by=_words("listenerArn"),
    ),
    "aws:ec2/vpc:Vpc": _ec2("vpc", "vpc", "cidrBlock ipv4IpamPoolId ipv4NetmaskLength"),
    "aws:ec2/subnet:Subnet": _ec2("subnet", "subnet", "vpcId cidrBlock availabilityZone availabilityZoneId"),
    "aws:ec2/internetGateway:InternetGateway": _ec2("igw", "internet-gateway", ""),
    "aws:ec2/routeTable:RouteTable": _ec2("rtb", "route-table", "vpcId"),
    "aws:ec2/route:Route": Kind(
        identity=lambda f: f"r-{f.text('routeTableId')}{f.hex(10)}",
        name="",
        replaced_by=_words("routeTableId destinationCidrBlock destinationIpv6CidrBlock destinationPrefixListId"),
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _ec2("rtbassoc", "route-table", "subnetId gatewayId"),
    "aws:ec2/eip:Eip": _ec2("eipalloc", "elastic-ip", "domain address customerOwnedIpv4Pool"),
    "aws:ec2/natGateway:NatGateway": _ec2("nat", "natgateway", "allocationId subnetId connectivityType"),
    "aws:ec2/securityGroup:SecurityGroup": _ec2(
        "sg", "security-group", "name namePrefix description vpcId", name="name"
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Kind(
        arn=lambda f: f.arn("ec2", f"security-group/sg-{f.hex(17)}"),
        identity=lambda f: f"sg-{f.hex(17)}",
        name="",
        computed={"name": lambda _: "default", "description": lambda _: "default VPC security group"},
        replaced_by=_words("vpcId"),
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _ec2("vpce", "vpc-endpoint", "vpcId serviceName vpcEndpointType"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ec2("sgr", "security-group-rule", "securityGroupId"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _ec2("sgr", "security-group-rule", "securityGroupId"),
    "aws:sns/topic:Topic": Kind(
        arn=lambda f: f.arn("sns", f.name),
        identity=lambda f: f.arn("sns", f.name),
        longest=256,
        computed={"owner": lambda _: ACCOUNT},
        replaced_by=_words("name namePrefix fifoTopic"),
    ),
    "aws:sns/topicPolicy:TopicPolicy": Kind(
        identity=lambda f: f.text("arn"),
        name="",
        computed={"owner": lambda _: ACCOUNT},
        replaced_by=_words("arn"),
    ),
    "aws:sns/topicSubscription:TopicSubscription": Kind(
        arn=lambda f: f"{f.text('topic')}:{f.uuid}",
        identity=lambda f: f"{f.text('topic')}:{f.uuid}",
        name="",
        replaced_by=_words("topic protocol endpoint"),
    ),
    "aws:secretsmanager/secret:Secret": Kind(
        arn=lambda f: f.arn("secretsmanager", f"secret:{f.name}-{f.hex(6)}"),
        identity=lambda f: f.arn("secretsmanager", f"secret:{f.name}-{f.hex(6)}"),
        longest=512,
    ),
    "aws:ssm/parameter:Parameter": Kind(
        arn=lambda f: f.arn("ssm", f"parameter/{f.name.lstrip('/')}"),
        replaced_by=_words("name"),
    ),
}
"""The reviewed types. Every other type of the SDK is served too, by `GENERIC`."""

GENERIC = Kind()
"""A type nobody has reviewed: named if it has an optional name, a new resource if that name changes."""


def invent(output: str, kind: str, token: str, facts: Facts) -> Value:
    """A believable value for an output nothing is known about.

    Args:
        output: the output's name.
        kind: its `Shape.kind`.
        token: the resource's type, for the service's name.
        facts: the resource.
    """
    service = token.split(":")[1].partition("/")[0]
    match kind:
        case "boolean":
            return False
        case "integer" | "number":
            return 0
        case "list":
            return []
        case "map":
            return {}
        case "string":
            return _text(output, service, facts)
        case _:
            return None


def _text(output: str, service: str, facts: Facts) -> str:
    lowered = output.lower()
    if lowered.endswith("arn"):
        return facts.arn(service, f"{lowered.removesuffix('arn') or 'resource'}/{facts.name or facts.hex(17)}")
    if lowered in {"ownerid", "accountid", "owneraccountid", "registryid"}:
        return ACCOUNT
    if lowered.endswith(("date", "time", "createdat", "updatedat")):
        return CREATED
    host = f"{facts.hex(12)}.{service}.{facts.region}.{facts.domain}"
    if lowered.endswith(("url", "uri")):
        return f"https://{host}"
    if lowered.endswith(("endpoint", "domainname", "dnsname", "domain")):
        return host
    return facts.hex(17)
