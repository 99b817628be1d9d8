"""A graph as a CloudFormation template, for checks made for those.

Settings that are resources of their own in Pulumi (a bucket's versioning, a role's policy) are properties in
CloudFormation, so a row of the table may be part of another row's resource.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pulumi
from aws_requests import DIGEST, Described, is_made_in_aws
from rewriting import (
    Place,
    Places,
    in_list,
    named,
    pairs,
    pascal,
    pulumi_only,
    put,
    rewrite,
    the_only_one,
)

from components.hosting.task_definition import IMAGE_PLACEHOLDER


@dataclass(frozen=True)
class Finding:
    """Something cfn-lint has against a template.

    Attributes:
        rule: Identifier of the rule.
        type: Type of the resource it is about; empty for the whole template.
        message: The rule's words, with the property in front.
    """

    rule: str
    type: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule} {self.type} {self.message}"


class NoTypeError(LookupError):
    """A resource type that the table does not know."""


def _nothing(_resource: Described) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Written:
    """How a resource is written in CloudFormation.

    Attributes:
        type: CloudFormation's resource type.
        places: Where inputs go that do not keep their name.
        part_of: For a property of another resource: the input that names the owner.
        under: The owner's property that holds what became of the inputs; ``[]`` behind it says that it is a list.
        adds: What the provider fills in by itself: property -> value.
    """

    type: str
    places: Places = field(default_factory=dict)
    part_of: str = ""
    under: str = ""
    adds: Callable[[Described], dict[str, Any]] = _nothing


def _to(member: str) -> Place:
    return Place(to=member)


def _document(member: str) -> Place:
    return Place(to=member, change=json.loads)


def _task_definition(content: str) -> Any:  # noqa: ANN401 - any JSON value
    options = Place(to="Options", free=True)
    definition = json.loads(content.replace(IMAGE_PLACEHOLDER, f"shop@{DIGEST}"))
    for part in definition["containerDefinitions"]:
        part.setdefault("image", f"shop@{DIGEST}")  # of a service that exists only what is stated is here
    places = {
        "containerDefinitions.logConfiguration.options": options,
        "containerDefinitions.firelensConfiguration.options": options,
        "volumes.efsVolumeConfiguration": _to("EFSVolumeConfiguration"),
        "volumes.efsVolumeConfiguration.fileSystemId": _to("FilesystemId"),
        "volumes.efsVolumeConfiguration.authorizationConfig.iam": _to("IAM"),
    }
    return rewrite(definition, case=pascal, places=places)


_TAGS = {"tags": Place(to="Tags", change=pairs("Key", "Value"), free=True)}
_DELETES = pulumi_only("what Pulumi does with the content before it deletes the resource")
_OWNER = pulumi_only("names the resource this is a property of")

_BUCKET = "AWS::S3::Bucket"
_ENCRYPTION_RULE = "rules.applyServerSideEncryptionByDefault"

_ELB = "AWS::ElasticLoadBalancingV2"


def _attribute(key: str) -> Callable[[Any], list[dict[str, str]]]:
    """An attribute of Elastic Load Balancing, whose values are all text."""
    return lambda value: [{"Key": key, "Value": str(value).lower()}]


def _load_balancer_attributes(resource: Described) -> dict[str, Any]:
    inputs, keys = resource["inputs"], _ATTRIBUTES
    attributes = [item for name, key in keys.items() if name in inputs for item in _attribute(key)(inputs[name])]
    if "accessLogs" in inputs:
        attributes += _attribute("access_logs.s3.enabled")(inputs["accessLogs"]["enabled"])
        attributes += [{"Key": "access_logs.s3.bucket", "Value": inputs["accessLogs"]["bucket"]}]
    return {"LoadBalancerAttributes": attributes}


_ATTRIBUTES: Mapping[str, str] = {
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "enableDeletionProtection": "deletion_protection.enabled",
    "idleTimeout": "idle_timeout.timeout_seconds",
}


def _target_group_attributes(resource: Described) -> dict[str, Any]:
    """The attributes, and the one member of the matcher that goes with the protocol's version."""
    inputs, sticky = resource["inputs"], resource["inputs"]["stickiness"]
    values = {
        "deregistration_delay.timeout_seconds": inputs["deregistrationDelay"],
        "slow_start.duration_seconds": inputs.get("slowStart"),
        "stickiness.enabled": sticky["enabled"],
        "stickiness.type": sticky["type"],
        "stickiness.lb_cookie.duration_seconds": sticky.get("cookieDuration"),
    }
    attributes = [item for key, value in values.items() if value is not None for item in _attribute(key)(value)]
    codes = "GrpcCode" if inputs.get("protocolVersion") == "GRPC" else "HttpCode"
    return {"TargetGroupAttributes": attributes, f"Matcher.{codes}": inputs["healthCheck"]["matcher"]}


_IN_LIST = pulumi_only("one of the attributes, which are a list")


def _zip_file(code: pulumi.AssetArchive) -> dict[str, str]:
    """The first file of a function: CloudFormation takes one in the template, and more from a bucket only."""
    asset = next(iter(code.assets.values()))
    assert isinstance(asset, pulumi.StringAsset)
    return {"ZipFile": asset.text}


def _own_deployments(resource: Described) -> dict[str, Any]:
    """What Pulumi has beside ``deploymentConfiguration`` and CloudFormation in it."""
    places = {
        "alarms": "Alarms",
        "deploymentCircuitBreaker": "DeploymentCircuitBreaker",
        "deploymentMaximumPercent": "MaximumPercent",
        "deploymentMinimumHealthyPercent": "MinimumHealthyPercent",
    }
    inputs = resource["inputs"]
    return {
        f"DeploymentConfiguration.{member}": rewrite(inputs[name], case=pascal, places={})
        for name, member in places.items()
        if name in inputs
    }


_ADDED = pulumi_only("is put where it belongs afterwards")
_MINUTES = "deploymentConfiguration.bakeTimeInMinutes"
_LINEAR_MINUTES = "deploymentConfiguration.linearConfiguration.stepBakeTimeInMinutes"
_CANARY_MINUTES = "deploymentConfiguration.canaryConfiguration.canaryBakeTimeInMinutes"


def _group_rule(type_: str, group: str) -> Written:
    return Written(
        type=type_,
        places={
            "cidrIpv4": _to("CidrIp"),
            "referencedSecurityGroupId": _to(group),
            "securityGroupId": _to("GroupId"),
            "tags": pulumi_only("CloudFormation gives rules no tags"),
        },
    )


TYPES: Mapping[str, Written] = {
    "aws:appautoscaling/policy:Policy": Written(
        type="AWS::ApplicationAutoScaling::ScalingPolicy", adds=lambda resource: {"PolicyName": resource["name"]}
    ),
    "aws:appautoscaling/scheduledAction:ScheduledAction": Written(
        type="AWS::ApplicationAutoScaling::ScalableTarget",
        part_of="resourceId",
        under="ScheduledActions[]",
        places={
            "name": _to("ScheduledActionName"),
            **dict.fromkeys(("resourceId", "scalableDimension", "serviceNamespace"), _OWNER),
        },
    ),
    "aws:appautoscaling/target:Target": Written(
        type="AWS::ApplicationAutoScaling::ScalableTarget",
        places={"tags": pulumi_only("CloudFormation gives scalable targets no tags")},
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Written(
        type="AWS::CloudWatch::Alarm",
        places={
            **_TAGS,
            "name": _to("AlarmName"),
            "dimensions": Place(to="Dimensions", change=pairs("Name", "Value"), free=True),
            "okActions": _to("OKActions"),
            "evaluateLowSampleCountPercentiles": _to("EvaluateLowSampleCountPercentile"),
            "metricQueries": _to("Metrics"),
            "metricQueries.metric": _to("MetricStat"),
            "metricQueries.metric.dimensions": Place(to="Metric.Dimensions", change=pairs("Name", "Value"), free=True),
            "metricQueries.metric.metricName": _to("Metric.MetricName"),
            "metricQueries.metric.namespace": _to("Metric.Namespace"),
        },
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Written(
        # CloudFormation adopts nothing that exists; a group of one's own has the same properties.
        type="AWS::EC2::SecurityGroup",
        places=_TAGS,
        adds=lambda _: {"GroupDescription": "default VPC security group"},
    ),
    "aws:ec2/securityGroup:SecurityGroup": Written(
        type="AWS::EC2::SecurityGroup", places={**_TAGS, "description": _to("GroupDescription")}
    ),
    "aws:ec2/flowLog:FlowLog": Written(
        type="AWS::EC2::FlowLog",
        places={**_TAGS, "iamRoleArn": _to("DeliverLogsPermissionArn"), "vpcId": _to("ResourceId")},
        adds=lambda _: {"ResourceType": "VPC"},
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Written(type="AWS::EC2::VPCEndpoint", places=_TAGS),
    "aws:ecs/cluster:Cluster": Written(
        type="AWS::ECS::Cluster", places={**_TAGS, "name": _to("ClusterName"), "settings": _to("ClusterSettings")}
    ),
    "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": Written(
        type="AWS::ECS::Cluster", part_of="clusterName", places={"clusterName": _OWNER}
    ),
    "aws:ecs/service:Service": Written(
        type="AWS::ECS::Service",
        places={
            **_TAGS,
            "name": _to("ServiceName"),
            "capacityProviderStrategies": _to("CapacityProviderStrategy"),
            _MINUTES: Place(to="BakeTimeInMinutes", change=int),
            _CANARY_MINUTES: Place(to="CanaryBakeTimeInMinutes", change=int),
            _LINEAR_MINUTES: Place(to="StepBakeTimeInMinutes", change=int),
            "deploymentCircuitBreaker": _ADDED,
            "deploymentMaximumPercent": _ADDED,
            "deploymentMinimumHealthyPercent": _ADDED,
            "enableEcsManagedTags": _to("EnableECSManagedTags"),
            "networkConfiguration": _to("NetworkConfiguration.AwsvpcConfiguration"),
            "networkConfiguration.assignPublicIp": Place(
                to="AssignPublicIp", change=lambda public: "ENABLED" if public else "DISABLED"
            ),
            "serviceRegistries": Place(to="ServiceRegistries", change=in_list),
            "waitForSteadyState": pulumi_only("what Pulumi does after the request"),
        },
        adds=_own_deployments,
    ),
    "aws:ecs/taskDefinition:TaskDefinition": Written(
        type="AWS::ECS::TaskDefinition",
        places={
            **_TAGS,
            "containerDefinitions": Place(
                to="ContainerDefinitions",
                change=lambda text: rewrite(
                    json.loads(text), case=pascal, places={"logConfiguration.options": Place(to="Options", free=True)}
                ),
            ),
        },
    ),
    "aws:lb/listener:Listener": Written(
        type=f"{_ELB}::Listener",
        places={
            "certificateArn": Place(to="Certificates", change=lambda arn: [{"CertificateArn": arn}]),
            "defaultActions.redirect": _to("RedirectConfig"),
            "tags": pulumi_only("CloudFormation gives listeners no tags"),
        },
    ),
    "aws:lb/listenerRule:ListenerRule": Written(
        type=f"{_ELB}::ListenerRule",
        places={
            "actions.forward": _to("ForwardConfig"),
            "actions.forward.targetGroups.arn": _to("TargetGroupArn"),
            "conditions.hostHeader": Place(
                to="", change=lambda hosts: {"Field": "host-header", "HostHeaderConfig": hosts}
            ),
            "conditions.httpHeader": Place(
                to="", change=lambda header: {"Field": "http-header", "HttpHeaderConfig": header}
            ),
            "conditions.pathPattern": Place(
                to="", change=lambda pattern: {"Field": "path-pattern", "PathPatternConfig": pattern}
            ),
            "tags": pulumi_only("CloudFormation gives listener rules no tags"),
        },
    ),
    "aws:lb/loadBalancer:LoadBalancer": Written(
        type=f"{_ELB}::LoadBalancer",
        places={
            **_TAGS,
            "accessLogs": _IN_LIST,
            "desyncMitigationMode": _IN_LIST,
            "dropInvalidHeaderFields": _IN_LIST,
            "enableDeletionProtection": _IN_LIST,
            "idleTimeout": _IN_LIST,
            "internal": Place(to="Scheme", change=lambda internal: "internal" if internal else "internet-facing"),
            "loadBalancerType": _to("Type"),
        },
        adds=_load_balancer_attributes,
    ),
    "aws:lb/targetGroup:TargetGroup": Written(
        type=f"{_ELB}::TargetGroup",
        places={
            **_TAGS,
            **dict.fromkeys(("deregistrationDelay", "slowStart", "stickiness"), _IN_LIST),
            "healthCheck": _to(""),
            "healthCheck.healthyThreshold": _to("HealthyThresholdCount"),
            "healthCheck.interval": _to("HealthCheckIntervalSeconds"),
            "healthCheck.matcher": _ADDED,
            "healthCheck.path": _to("HealthCheckPath"),
            "healthCheck.port": _to("HealthCheckPort"),
            "healthCheck.protocol": _to("HealthCheckProtocol"),
            "healthCheck.timeout": _to("HealthCheckTimeoutSeconds"),
            "healthCheck.unhealthyThreshold": _to("UnhealthyThresholdCount"),
        },
        adds=_target_group_attributes,
    ),
    "aws:route53/record:Record": Written(
        type="AWS::Route53::RecordSet",
        places={
            "zoneId": _to("HostedZoneId"),
            "aliases": Place(to="AliasTarget", change=the_only_one),
            "aliases.name": _to("DNSName"),
            "aliases.zoneId": _to("HostedZoneId"),
        },
    ),
    "aws:servicediscovery/httpNamespace:HttpNamespace": Written(
        type="AWS::ServiceDiscovery::HttpNamespace", places=_TAGS
    ),
    "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace": Written(
        type="AWS::ServiceDiscovery::PrivateDnsNamespace", places=_TAGS
    ),
    "aws:servicediscovery/service:Service": Written(
        type="AWS::ServiceDiscovery::Service",
        places={**_TAGS, "dnsConfig.dnsRecords.ttl": _to("TTL"), "forceDestroy": _DELETES},
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _group_rule(
        "AWS::EC2::SecurityGroupEgress", "DestinationSecurityGroupId"
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _group_rule(
        "AWS::EC2::SecurityGroupIngress", "SourceSecurityGroupId"
    ),
    "aws:cloudwatch/eventRule:EventRule": Written(
        type="AWS::Events::Rule", places={**_TAGS, "eventPattern": _document("EventPattern")}
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Written(
        type="AWS::Events::Rule",
        part_of="rule",
        under="Targets[]",
        places={"rule": _OWNER, "inputTransformer.inputPaths": Place(to="InputPathsMap", free=True)},
        adds=lambda resource: {"Id": resource["name"]},
    ),
    "aws:lambda/function:Function": Written(
        type="AWS::Lambda::Function",
        places={**_TAGS, "name": _to("FunctionName"), "code": Place(to="Code", change=_zip_file)},
    ),
    "aws:lambda/permission:Permission": Written(
        type="AWS::Lambda::Permission", places={"function": _to("FunctionName")}
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Written(
        type="AWS::Lambda::EventInvokeConfig", adds=lambda _: {"Qualifier": "$LATEST"}
    ),
    "aws:sns/topic:Topic": Written(type="AWS::SNS::Topic", places={**_TAGS, "name": _to("TopicName")}),
    "aws:sns/topicPolicy:TopicPolicy": Written(
        type="AWS::SNS::TopicPolicy",
        places={"arn": Place(to="Topics", change=in_list), "policy": _document("PolicyDocument")},
    ),
    "aws:sns/topicSubscription:TopicSubscription": Written(
        type="AWS::SNS::Subscription", places={"topic": _to("TopicArn")}
    ),
    "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration": Written(
        type="AWS::Chatbot::SlackChannelConfiguration",
        places={
            **_TAGS,
            "guardrailPolicyArns": _to("GuardrailPolicies"),
            "slackTeamId": _to("SlackWorkspaceId"),
        },
    ),
    "aws:chatbot/teamsChannelConfiguration:TeamsChannelConfiguration": Written(
        type="AWS::Chatbot::MicrosoftTeamsChannelConfiguration",
        places={
            **_TAGS,
            "channelId": _to("TeamsChannelId"),
            "guardrailPolicyArns": _to("GuardrailPolicies"),
            "tenantId": _to("TeamsTenantId"),
        },
    ),
    "aws:cloudwatch/logGroup:LogGroup": Written(
        type="AWS::Logs::LogGroup", places={**_TAGS, "name": _to("LogGroupName")}
    ),
    "aws:codebuild/fleet:Fleet": Written(type="AWS::CodeBuild::Fleet", places={**_TAGS}),
    "aws:codebuild/reportGroup:ReportGroup": Written(
        type="AWS::CodeBuild::ReportGroup", places={**_TAGS, "exportConfig.type": _to("ExportConfigType")}
    ),
    "aws:codebuild/project:Project": Written(
        type="AWS::CodeBuild::Project",
        places={
            **_TAGS,
            "buildTimeout": _to("TimeoutInMinutes"),
            "logsConfig.cloudwatchLogs": _to("CloudWatchLogs"),
            "source.buildspec": _to("BuildSpec"),
        },
    ),
    "aws:codeconnections/connection:Connection": Written(
        type="AWS::CodeConnections::Connection", places={**_TAGS, "name": _to("ConnectionName")}
    ),
    "aws:codedeploy/application:Application": Written(
        type="AWS::CodeDeploy::Application", places={**_TAGS, "name": _to("ApplicationName")}
    ),
    "aws:codedeploy/deploymentConfig:DeploymentConfig": Written(
        type="AWS::CodeDeploy::DeploymentConfig",
        places={
            "trafficRoutingConfig.timeBasedCanary.interval": _to("CanaryInterval"),
            "trafficRoutingConfig.timeBasedCanary.percentage": _to("CanaryPercentage"),
            "trafficRoutingConfig.timeBasedLinear.interval": _to("LinearInterval"),
            "trafficRoutingConfig.timeBasedLinear.percentage": _to("LinearPercentage"),
        },
    ),
    "aws:codedeploy/deploymentGroup:DeploymentGroup": Written(
        type="AWS::CodeDeploy::DeploymentGroup",
        places={
            **_TAGS,
            "appName": _to("ApplicationName"),
            "alarmConfiguration.alarms": Place(to="Alarms", change=named("Name")),
            "blueGreenDeploymentConfig": _to("BlueGreenDeploymentConfiguration"),
            "ecsService": Place(to="ECSServices", change=in_list),
            "loadBalancerInfo.targetGroupPairInfo": Place(to="TargetGroupPairInfoList", change=in_list),
        },
    ),
    "aws:codepipeline/pipeline:Pipeline": Written(
        type="AWS::CodePipeline::Pipeline",
        places={
            **_TAGS,
            "artifactStores": Place(to="ArtifactStore", change=the_only_one),
            "stages.actions.category": _to("ActionTypeId.Category"),
            "stages.actions.owner": _to("ActionTypeId.Owner"),
            "stages.actions.provider": _to("ActionTypeId.Provider"),
            "stages.actions.version": _to("ActionTypeId.Version"),
            "stages.actions.configuration": Place(to="Configuration", free=True),
            "stages.actions.inputArtifacts": Place(to="InputArtifacts", change=named("Name")),
            "stages.actions.outputArtifacts": Place(to="OutputArtifacts", change=named("Name")),
            "triggers.gitConfiguration.pushes": _to("Push"),
        },
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Written(
        type="AWS::ECR::Repository",
        part_of="repository",
        places={"repository": _OWNER, "policy": _to("LifecyclePolicy.LifecyclePolicyText")},
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": Written(
        type="AWS::ECR::Repository",
        part_of="repository",
        places={"repository": _OWNER, "policy": _document("RepositoryPolicyText")},
    ),
    "aws:ecr/repository:Repository": Written(
        type="AWS::ECR::Repository",
        places={
            **_TAGS,
            "name": _to("RepositoryName"),
            "encryptionConfigurations": Place(to="EncryptionConfiguration", change=the_only_one),
            "imageTagMutabilityExclusionFilters.filter": _to("ImageTagMutabilityExclusionFilterValue"),
            "imageTagMutabilityExclusionFilters.filterType": _to("ImageTagMutabilityExclusionFilterType"),
            "forceDelete": _to("EmptyOnDelete"),
        },
    ),
    "aws:iam/role:Role": Written(
        type="AWS::IAM::Role",
        places={**_TAGS, "assumeRolePolicy": _document("AssumeRolePolicyDocument"), "name": _to("RoleName")},
        adds=lambda resource: {"RoleName": resource["outputs"]["name"]},
    ),
    "aws:iam/rolePolicy:RolePolicy": Written(
        type="AWS::IAM::Role",
        part_of="role",
        under="Policies[]",
        places={"role": _OWNER, "policy": _document("PolicyDocument")},
        adds=lambda resource: {"PolicyName": resource["name"]},
    ),
    "aws:kms/key:Key": Written(
        type="AWS::KMS::Key", places={**_TAGS, "deletionWindowInDays": _to("PendingWindowInDays")}
    ),
    "aws:kms/keyPolicy:KeyPolicy": Written(
        type="AWS::KMS::Key", part_of="keyId", places={"keyId": _OWNER, "policy": _document("KeyPolicy")}
    ),
    "aws:s3/bucket:Bucket": Written(
        type=_BUCKET,
        places={**_TAGS, "forceDestroy": _DELETES},
        adds=lambda resource: {"BucketName": resource["outputs"]["bucket"]},
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Written(
        type=_BUCKET,
        part_of="bucket",
        under="LifecycleConfiguration",
        places={
            "bucket": _OWNER,
            "rules.expiration": Place(to="ExpirationInDays", change=lambda expiration: expiration["Days"]),
            "rules.filter": Place(to="Prefix", change=lambda filter_: filter_["Prefix"]),
        },
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": Written(
        # CloudFormation makes no objects; what the pipeline makes of this one has a type.
        type="AWS::ECS::TaskDefinition",
        places={
            "content": Place(to="", change=_task_definition),
            **dict.fromkeys(("bucket", "contentType", "key", "tags"), pulumi_only("where and how the object is kept")),
        },
    ),
    "aws:s3/bucketLogging:BucketLogging": Written(
        type=_BUCKET,
        part_of="bucket",
        under="LoggingConfiguration",
        places={
            "bucket": _OWNER,
            "targetBucket": _to("DestinationBucketName"),
            "targetPrefix": _to("LogFilePrefix"),
        },
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Written(
        type=_BUCKET,
        part_of="bucket",
        places={"bucket": _OWNER, "rule": Place(to="OwnershipControls.Rules", change=in_list)},
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Written(
        type="AWS::S3::BucketPolicy", places={"policy": _document("PolicyDocument")}
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Written(
        type=_BUCKET, part_of="bucket", under="PublicAccessBlockConfiguration", places={"bucket": _OWNER}
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Written(
        type=_BUCKET,
        part_of="bucket",
        under="BucketEncryption",
        places={
            "bucket": _OWNER,
            "rules": _to("ServerSideEncryptionConfiguration"),
            f"{_ENCRYPTION_RULE}": _to("ServerSideEncryptionByDefault"),
            f"{_ENCRYPTION_RULE}.kmsMasterKeyId": _to("KMSMasterKeyID"),
            f"{_ENCRYPTION_RULE}.sseAlgorithm": _to("SSEAlgorithm"),
        },
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Written(type=_BUCKET, part_of="bucket", places={"bucket": _OWNER}),
    "aws:wafv2/webAclAssociation:WebAclAssociation": Written(
        type="AWS::WAFv2::WebACLAssociation", places={"webAclArn": _to("WebACLArn")}
    ),
}
"""Resource type -> its form in CloudFormation. A type without a row is an error, never passed over."""


def _is_file(resource: Described) -> bool:
    """Whether a resource is an object kept as it is; CloudFormation makes none, and none of its types is inside."""
    return resource["type"] == "aws:s3/bucketObjectv2:BucketObjectv2" and "source" in resource["inputs"]


def template(graph: Iterable[Described]) -> dict[str, Any]:
    """The template that would make the graph.

    Raises:
        NoTypeError: When the table lacks the rows of some types; names them all.
    """
    resources = [resource for resource in graph if is_made_in_aws(resource) and not _is_file(resource)]
    if unknown := [f"{item['type']} ({item['name']})" for item in resources if item["type"] not in TYPES]:
        raise NoTypeError(
            f"{', '.join(unknown)} has no row in tests/external_checks/cloudformation.py: "
            "say there what CloudFormation calls it"
        )
    made: dict[str, dict[str, Any]] = {}
    owners: dict[tuple[str, str], dict[str, Any]] = {}
    parts: list[tuple[Described, Written]] = []
    for resource in resources:
        written = TYPES[resource["type"]]
        if written.part_of:
            parts.append((resource, written))
        else:
            properties = _properties(resource, written)
            kept = "Retain" if resource["protect"] else "Delete"
            made[_logical_id(resource["name"])] = {
                "Type": written.type,
                "DeletionPolicy": kept,
                "UpdateReplacePolicy": kept,
                "Properties": properties,
            }
            for identity in ("bucket", "keyId", "name", "resourceId"):
                owners[written.type, resource["outputs"].get(identity, "")] = properties
    for resource, written in parts:
        owner = owners[written.type, resource["inputs"][written.part_of]]
        _add(owner, written.under, _properties(resource, written))
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": made}


def findings(written: Mapping[str, Any], *, region: str) -> list[Finding]:
    """What cfn-lint finds with all its rules, informational and experimental ones too."""
    # It takes a second to import, in each process of the tests: here it is the one that lints.
    from cfnlint.api import lint  # type: ignore[import-untyped]  # noqa: PLC0415 - as above; it ships no types
    from cfnlint.config import ManualArgs  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise

    config = ManualArgs(regions=[region], include_checks=["I"], include_experimental=True)
    found = []
    for match in lint(json.dumps(written), rules=_rules(), config=config):
        path = [str(step) for step in match.path]
        resource = written["Resources"].get(path[1]) if path[:1] == ["Resources"] and len(path) > 1 else None
        found.append(
            Finding(match.rule.id, resource["Type"] if resource else "", f"{'/'.join(path[1:])}: {match.message}")
        )
    return found


@cache
def _rules() -> Any:  # noqa: ANN401 - cfn-lint has no types
    from cfnlint.core import get_rules  # type: ignore[import-untyped]  # noqa: PLC0415 - as in findings()

    return get_rules([], [], ["E", "W", "I"], include_experimental=True)


def _properties(resource: Described, written: Written) -> dict[str, Any]:
    properties: dict[str, Any] = rewrite(resource["inputs"], case=pascal, places=written.places)
    for member, value in written.adds(resource).items():
        put(properties, member, value)
    return properties


def _add(owner: dict[str, Any], under: str, part: dict[str, Any]) -> None:
    if under.endswith("[]"):
        owner.setdefault(under.removesuffix("[]"), []).append(part)
    elif under:
        owner[under] = part
    else:
        owner.update(part)


def _logical_id(name: str) -> str:
    return "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", name))
