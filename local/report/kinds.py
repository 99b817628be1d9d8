"""Resources as people count them, and the four sorts of danger in an edit: service, load balancer, data, names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from local.engine.outcome import Step
from local.report.preview import Preview

KINDS = {
    "pipeline": ("aws:codepipeline", "aws:codedeploy", "aws:codeconnections"),
    "jobs": ("aws:codebuild",),
    "service": ("aws:ecs", "aws:appautoscaling", "aws:servicediscovery"),
    "load balancer": ("aws:lb", "aws:route53", "aws:wafv2"),
    "network": ("aws:ec2", "aws:vpc"),
    "images": ("aws:ecr",),
    "buckets and key": ("aws:s3", "aws:kms"),
    "permissions": ("aws:iam",),
    "logs, alarms and rules": ("aws:cloudwatch",),
    "messages": ("aws:sns", "aws:lambda", "aws:chatbot"),
}
"""What a person calls the resources of a package of the SDK."""
WIRING = frozenset(
    {
        "aws:appautoscaling/target:Target",
        "aws:cloudwatch/eventTarget:EventTarget",
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "aws:ec2/route:Route",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
        "aws:iam/role:Role",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:kms/keyPolicy:KeyPolicy",
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        "aws:lambda/permission:Permission",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketLogging:BucketLogging",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:sns/topicPolicy:TopicPolicy",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "aws:wafv2/webAclAssociation:WebAclAssociation",
    }
)
"""What holds other resources together: it changes along with them, and is counted."""
_SERVICE, _BALANCER = "aws:ecs/service:Service", "aws:lb/loadBalancer:LoadBalancer"
_DATA = {
    "aws:ecr/repository:Repository": "the repository {} with its images",
    "aws:s3/bucket:Bucket": "the bucket {} with what is in it",
    "aws:kms/key:Key": "the key {}, without which nobody reads what it encrypts",
    "aws:cloudwatch/logGroup:LogGroup": "the log group {} with its lines",
}
_MOST = 12


def kind_of(token: str) -> str:
    """Return what a person calls a resource type."""
    package = token.partition("/")[0]
    return next((kind for kind, packages in KINDS.items() if package in packages), "others")


def counted(steps: Sequence[Step]) -> str:
    """Return how many resources of which kind there are: ``113 resources: 24 permissions, 13 network, ...``."""
    counts = Counter(kind_of(step.type) for step in steps if step.is_of_aws)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return f"{sum(counts.values())} resources: {kinds}"


def dangers(preview: Preview) -> Iterator[str]:
    """Yield what an edit takes away from users, in words: what is deleted, or deleted and made again."""
    for step in preview.changes:
        if not (step.is_replacement or step.op == "delete") or not step.is_of_aws:
            continue
        again = " and made again" if step.is_replacement else ""
        name = _name(step)
        if step.type == _SERVICE:
            yield f"the service {name} is deleted{again}: users get no answer meanwhile"
        elif step.type == _BALANCER:
            yield f"the load balancer {name} is deleted{again}: its DNS name answers no more"
        elif step.type in _DATA and not (step.old and step.old.retained):
            yield f"data: {_DATA[step.type].format(name)} is deleted{again}"
        elif step.is_replacement and step.new and _renamed(step):
            yield f"names: {_called(step)} {name} becomes {_name(step, after=True)}; who knows the old name misses it"


def _renamed(step: Step) -> bool:
    return _called(step) != "" and _name(step) != _name(step, after=True)


def _called(step: Step) -> str:
    """What others know by its name."""
    return {
        "aws:codepipeline/pipeline:Pipeline": "the pipeline",
        "aws:ecs/cluster:Cluster": "the cluster",
        "aws:sns/topic:Topic": "the topic",
        "aws:codedeploy/application:Application": "the application of CodeDeploy",
    }.get(step.type, "")


def _name(step: Step, *, after: bool = False) -> str:
    """The name in AWS, where the resource has one."""
    state = step.new if after else step.old
    inputs = state.inputs if state else {}
    return str(inputs.get("name") or inputs.get("bucket") or step.name)


def changed(preview: Preview) -> Iterator[str]:
    """Yield the resources that change, without their wiring, a line each."""
    words = {"create": "new", "update": "changed", "delete": "deleted", "replace": "made again"}
    steps = [step for step in preview.changes if step.is_of_aws]
    shown = [step for step in steps if step.type not in WIRING]
    for step in shown[:_MOST]:
        word = (
            words["replace" if step.is_replacement else step.op] if step.op in words or step.is_replacement else step.op
        )
        paths = dict.fromkeys(path.partition(".")[0].partition("[")[0] for path in step.changed)
        about = f": {', '.join(paths)}" if step.op == "update" and paths else ""
        yield f"{word:<10}  {step.type.rpartition(':')[2]} {step.name}{about}"
    rest, wiring = len(shown[_MOST:]), len(steps) - len(shown)
    more = [*([f"{rest} more"] if rest else []), *([f"{wiring} of their wiring"] if wiring else [])]
    if more:
        yield f"and {' and '.join(more)} (ARGS=--all shows each, ARGS=--diff every value)"
