"""The requests to AWS that a graph stands for: the provider's when the stack is made, and those of later runs.

A table row says which operation a resource type becomes and where its inputs go; what the row does not mention keeps
its name and is judged by the service model. Resources are dictionaries as :meth:`mocked.Resource.as_dict` gives them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rewriting import (
    Case,
    Place,
    Places,
    as_it_is,
    in_list,
    named,
    pairs,
    pascal,
    pulumi_only,
    put,
    rewrite,
    the_only_one,
    unchanged,
)

from components.hosting.task_definition import IMAGE_PLACEHOLDER

Described = Mapping[str, Any]
"""One resource: ``type``, ``name``, ``inputs``, ``outputs`` and more."""

DIGEST = "sha256:" + "0123456789abcdef" * 4
"""Stands for the image's digest, which only a run knows."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call of an AWS API.

    Attributes:
        origin: What asks for it, for messages.
        service: The service's name in botocore.
        operation: The operation's name.
        params: Its parameters.
    """

    origin: str
    service: str
    operation: str
    params: Mapping[str, Any]


def _nothing(_resource: Described) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Call:
    """How a resource becomes a request.

    Attributes:
        service: The service's name in botocore.
        operation: The operation's name.
        case: How the operation spells the name of an input that no place is given for.
        places: Where the other inputs go, by their path.
        takes: The inputs this request carries; ``None`` for all that no other request of the type takes.
        under: The member that holds every input without a place.
        adds: What the provider fills in by itself, such as a generated name: member -> value.
        finish: The last touch, where a member is a list of what Pulumi has one of.
    """

    service: str
    operation: str
    case: Case = as_it_is
    places: Places = field(default_factory=dict)
    takes: frozenset[str] | None = None
    under: str = ""
    adds: Callable[[Described], dict[str, Any]] = _nothing
    finish: Callable[[dict[str, Any]], dict[str, Any]] = unchanged


def _to(member: str) -> Place:
    return Place(to=member)


def _tags(member: str, key: str, value: str) -> Place:
    return Place(to=member, change=pairs(key, value), free=True)


_LOWER_TAGS = {"tags": _tags("tags", "key", "value")}
_UPPER_TAGS = {"tags": _tags("Tags", "Key", "Value")}
_MIXED_TAGS = {"tags": _tags("tags", "Key", "Value")}

_GENERATED_SUFFIX = "-1a2b3c4"
"""Pulumi's own: what it adds to a logical name where none is given."""

_DELETES = pulumi_only("what Pulumi does with the content before it deletes the resource")


def _bucket_setting(operation: str, under: str, places: Places | None = None) -> tuple[Call, ...]:
    return (
        Call(
            service="s3",
            operation=operation,
            case=pascal,
            under=under,
            places={"bucket": _to("Bucket"), **(places or {})},
        ),
    )


def _tag_specification(resource_type: str) -> dict[str, Place]:
    return {
        "tags": Place(
            to="TagSpecifications",
            change=lambda tags: [{"ResourceType": resource_type, "Tags": pairs("Key", "Value")(tags)}],
            free=True,
        )
    }


def _attribute(key: str) -> Place:
    """An attribute of Elastic Load Balancing, whose values are all text."""
    return Place(to="", change=lambda value: {key: str(value).lower()})


def _attributes(*, of: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Attributes as the list of keys and values they are."""
    return lambda params: {
        of: params[of],
        "Attributes": [{"Key": key, "Value": value} for key, value in params.items() if key != of],
    }


def _access_logs(logs: Mapping[str, Any]) -> dict[str, str]:
    return {"access_logs.s3.enabled": str(logs["Enabled"]).lower(), "access_logs.s3.bucket": logs["Bucket"]}


def _matcher(params: dict[str, Any]) -> dict[str, Any]:
    """The codes of a health check are those of the protocol's version."""
    if params.get("ProtocolVersion") != "GRPC":
        return params
    return {**params, "Matcher": {"GrpcCode": params["Matcher"]["HttpCode"]}}


def _record_set(params: dict[str, Any]) -> dict[str, Any]:
    """A record that is made, as the one change of a batch."""
    record = {key: value for key, value in params.items() if key != "HostedZoneId"}
    changes = [{"Action": "CREATE", "ResourceRecordSet": record}]
    return {"HostedZoneId": params["HostedZoneId"], "ChangeBatch": {"Changes": changes}}


def _rule(operation: str) -> tuple[Call, ...]:
    """A rule of a security group, which the API takes as one permission of many."""

    def permission(params: dict[str, Any]) -> dict[str, Any]:
        said = {"Description": params["Description"]}
        ranges = [{"CidrIp": params["CidrIpv4"], **said}] if "CidrIpv4" in params else []
        groups = [{"GroupId": params["Group"], **said}] if "Group" in params else []
        kept = {key: params[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in params}
        return {
            "GroupId": params["GroupId"],
            "IpPermissions": [{**kept, "IpRanges": ranges, "UserIdGroupPairs": groups}],
            "TagSpecifications": params["TagSpecifications"],
        }

    places = {
        **_tag_specification("security-group-rule"),
        "securityGroupId": _to("GroupId"),
        "referencedSecurityGroupId": _to("Group"),
    }
    return (Call(service="ec2", operation=operation, case=pascal, places=places, finish=permission),)


def _one_deployment_configuration(params: dict[str, Any]) -> dict[str, Any]:
    """What Pulumi has beside ``deploymentConfiguration`` and the API in it."""
    within = ("deploymentCircuitBreaker", "maximumPercent", "minimumHealthyPercent")
    moved = {key: params.pop(key) for key in within if key in params}
    return {**params, "deploymentConfiguration": {**params.get("deploymentConfiguration", {}), **moved}}


_MINUTES = Place(to="bakeTimeInMinutes", change=int)
_ATTRIBUTES = frozenset(
    {"accessLogs", "desyncMitigationMode", "dropInvalidHeaderFields", "enableDeletionProtection", "idleTimeout"}
)

CALLS: Mapping[str, tuple[Call, ...]] = {
    "aws:appautoscaling/policy:Policy": (
        Call(
            service="application-autoscaling",
            operation="PutScalingPolicy",
            case=pascal,
            adds=lambda resource: {"PolicyName": f"{resource['name']}{_GENERATED_SUFFIX}"},
        ),
    ),
    "aws:appautoscaling/scheduledAction:ScheduledAction": (
        Call(
            service="application-autoscaling",
            operation="PutScheduledAction",
            case=pascal,
            places={"name": _to("ScheduledActionName")},
        ),
    ),
    "aws:appautoscaling/target:Target": (
        Call(
            service="application-autoscaling",
            operation="RegisterScalableTarget",
            case=pascal,
            places={"tags": Place(to="Tags", free=True)},
        ),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        Call(
            service="cloudwatch",
            operation="PutMetricAlarm",
            case=pascal,
            places={
                **_UPPER_TAGS,
                "name": _to("AlarmName"),
                "dimensions": _tags("Dimensions", "Name", "Value"),
                "okActions": _to("OKActions"),
                "evaluateLowSampleCountPercentiles": _to("EvaluateLowSampleCountPercentile"),
                "metricQueries": _to("Metrics"),
                "metricQueries.metric": _to("MetricStat"),
                "metricQueries.metric.dimensions": _tags("Metric.Dimensions", "Name", "Value"),
                "metricQueries.metric.metricName": _to("Metric.MetricName"),
                "metricQueries.metric.namespace": _to("Metric.Namespace"),
            },
        ),
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": (
        Call(
            service="ec2",
            operation="CreateTags",
            case=pascal,
            places={**_UPPER_TAGS, "vpcId": pulumi_only("finds the group, whose rules are taken away one by one")},
            adds=lambda _: {"Resources": ["sg-0a1b2c3d4e5f67890"]},
        ),
    ),
    "aws:ec2/securityGroup:SecurityGroup": (
        Call(
            service="ec2",
            operation="CreateSecurityGroup",
            case=pascal,
            places=_tag_specification("security-group"),
            adds=lambda resource: {"GroupName": f"{resource['name']}{_GENERATED_SUFFIX}"},
        ),
    ),
    "aws:ec2/flowLog:FlowLog": (
        Call(
            service="ec2",
            operation="CreateFlowLogs",
            case=pascal,
            places={
                **_tag_specification("vpc-flow-log"),
                "iamRoleArn": _to("DeliverLogsPermissionArn"),
                "vpcId": Place(to="ResourceIds", change=in_list),
            },
            adds=lambda _: {"ResourceType": "VPC"},
        ),
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (
        Call(service="ec2", operation="CreateVpcEndpoint", case=pascal, places=_tag_specification("vpc-endpoint")),
    ),
    "aws:ecs/cluster:Cluster": (
        Call(service="ecs", operation="CreateCluster", places={**_LOWER_TAGS, "name": _to("clusterName")}),
    ),
    "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": (
        Call(
            service="ecs",
            operation="PutClusterCapacityProviders",
            places={"clusterName": _to("cluster")},
            adds=lambda _: {"defaultCapacityProviderStrategy": []},
        ),
    ),
    "aws:ecs/service:Service": (
        Call(
            service="ecs",
            operation="CreateService",
            places={
                **_LOWER_TAGS,
                "name": _to("serviceName"),
                "capacityProviderStrategies": _to("capacityProviderStrategy"),
                "deploymentConfiguration.bakeTimeInMinutes": _MINUTES,
                "deploymentConfiguration.canaryConfiguration.canaryBakeTimeInMinutes": Place(
                    to="canaryBakeTimeInMinutes", change=int
                ),
                "deploymentConfiguration.linearConfiguration.stepBakeTimeInMinutes": Place(
                    to="stepBakeTimeInMinutes", change=int
                ),
                "deploymentMaximumPercent": _to("maximumPercent"),
                "deploymentMinimumHealthyPercent": _to("minimumHealthyPercent"),
                "enableEcsManagedTags": _to("enableECSManagedTags"),
                "networkConfiguration": _to("networkConfiguration.awsvpcConfiguration"),
                "networkConfiguration.assignPublicIp": Place(
                    to="assignPublicIp", change=lambda public: "ENABLED" if public else "DISABLED"
                ),
                "serviceRegistries": Place(to="serviceRegistries", change=in_list),
                "waitForSteadyState": pulumi_only("what Pulumi does after the request"),
            },
            finish=_one_deployment_configuration,
        ),
    ),
    "aws:ecs/taskDefinition:TaskDefinition": (
        Call(
            service="ecs",
            operation="RegisterTaskDefinition",
            places={**_LOWER_TAGS, "containerDefinitions": Place(to="containerDefinitions", change=json.loads)},
        ),
    ),
    "aws:lb/listener:Listener": (
        Call(
            service="elbv2",
            operation="CreateListener",
            case=pascal,
            places={
                **_UPPER_TAGS,
                "certificateArn": Place(to="Certificates", change=lambda arn: [{"CertificateArn": arn}]),
                "defaultActions.redirect": _to("RedirectConfig"),
            },
        ),
    ),
    "aws:lb/listenerRule:ListenerRule": (
        Call(
            service="elbv2",
            operation="CreateRule",
            case=pascal,
            places={
                **_UPPER_TAGS,
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
            },
        ),
    ),
    "aws:lb/loadBalancer:LoadBalancer": (
        Call(
            service="elbv2",
            operation="CreateLoadBalancer",
            case=pascal,
            places={
                **_UPPER_TAGS,
                "internal": Place(to="Scheme", change=lambda internal: "internal" if internal else "internet-facing"),
                "loadBalancerType": _to("Type"),
            },
        ),
        Call(
            service="elbv2",
            operation="ModifyLoadBalancerAttributes",
            case=pascal,
            takes=_ATTRIBUTES,
            places={
                "accessLogs": Place(to="", change=_access_logs),
                "desyncMitigationMode": _attribute("routing.http.desync_mitigation_mode"),
                "dropInvalidHeaderFields": _attribute("routing.http.drop_invalid_header_fields.enabled"),
                "enableDeletionProtection": _attribute("deletion_protection.enabled"),
                "idleTimeout": _attribute("idle_timeout.timeout_seconds"),
            },
            adds=lambda resource: {"LoadBalancerArn": resource["outputs"]["arn"]},
            finish=_attributes(of="LoadBalancerArn"),
        ),
    ),
    "aws:route53/record:Record": (
        Call(
            service="route53",
            operation="ChangeResourceRecordSets",
            case=pascal,
            places={
                "zoneId": _to("HostedZoneId"),
                "aliases": Place(to="AliasTarget", change=the_only_one),
                "aliases.name": _to("DNSName"),
                "aliases.zoneId": _to("HostedZoneId"),
            },
            finish=_record_set,
        ),
    ),
    "aws:servicediscovery/httpNamespace:HttpNamespace": (
        Call(service="servicediscovery", operation="CreateHttpNamespace", case=pascal, places=_UPPER_TAGS),
    ),
    "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace": (
        Call(service="servicediscovery", operation="CreatePrivateDnsNamespace", case=pascal, places=_UPPER_TAGS),
    ),
    "aws:servicediscovery/service:Service": (
        Call(
            service="servicediscovery",
            operation="CreateService",
            case=pascal,
            places={**_UPPER_TAGS, "dnsConfig.dnsRecords.ttl": _to("TTL"), "forceDestroy": _DELETES},
        ),
    ),
    "aws:lb/targetGroup:TargetGroup": (
        Call(
            service="elbv2",
            operation="CreateTargetGroup",
            case=pascal,
            places={
                **_UPPER_TAGS,
                "healthCheck": _to(""),
                "healthCheck.healthyThreshold": _to("HealthyThresholdCount"),
                "healthCheck.interval": _to("HealthCheckIntervalSeconds"),
                "healthCheck.matcher": _to("Matcher.HttpCode"),
                "healthCheck.path": _to("HealthCheckPath"),
                "healthCheck.port": _to("HealthCheckPort"),
                "healthCheck.protocol": _to("HealthCheckProtocol"),
                "healthCheck.timeout": _to("HealthCheckTimeoutSeconds"),
                "healthCheck.unhealthyThreshold": _to("UnhealthyThresholdCount"),
            },
            finish=_matcher,
        ),
        Call(
            service="elbv2",
            operation="ModifyTargetGroupAttributes",
            case=pascal,
            takes=frozenset({"deregistrationDelay", "slowStart", "stickiness"}),
            places={
                "deregistrationDelay": _attribute("deregistration_delay.timeout_seconds"),
                "slowStart": _attribute("slow_start.duration_seconds"),
                "stickiness": _to(""),
                "stickiness.cookieDuration": _attribute("stickiness.lb_cookie.duration_seconds"),
                "stickiness.enabled": _attribute("stickiness.enabled"),
                "stickiness.type": _attribute("stickiness.type"),
            },
            adds=lambda resource: {"TargetGroupArn": resource["outputs"]["arn"]},
            finish=_attributes(of="TargetGroupArn"),
        ),
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _rule("AuthorizeSecurityGroupEgress"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule("AuthorizeSecurityGroupIngress"),
    "aws:cloudwatch/eventRule:EventRule": (
        Call(service="events", operation="PutRule", case=pascal, places=_UPPER_TAGS),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": (
        Call(
            service="events",
            operation="PutTargets",
            case=pascal,
            places={
                "rule": _to("Rule"),
                "inputTransformer.inputPaths": Place(to="InputPathsMap", free=True),
            },
            under="Targets",
            adds=lambda resource: {"Targets.Id": f"{resource['name']}{_GENERATED_SUFFIX}"},
            finish=lambda params: {**params, "Targets": [params["Targets"]]},
        ),
    ),
    "aws:lambda/function:Function": (
        Call(
            service="lambda",
            operation="CreateFunction",
            case=pascal,
            places={
                "name": _to("FunctionName"),
                "tags": Place(to="Tags", free=True),
                "environment.variables": Place(to="Variables", free=True),
                "code": Place(to="Code", change=lambda _: {"ZipFile": b"code"}, free=True),
            },
        ),
    ),
    "aws:lambda/permission:Permission": (
        Call(
            service="lambda",
            operation="AddPermission",
            case=pascal,
            places={"function": _to("FunctionName")},
            adds=lambda resource: {"StatementId": f"{resource['name']}{_GENERATED_SUFFIX}"},
        ),
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": (
        Call(service="lambda", operation="PutFunctionEventInvokeConfig", case=pascal),
    ),
    "aws:sns/topic:Topic": (
        Call(
            service="sns",
            operation="CreateTopic",
            case=pascal,
            places={**_UPPER_TAGS, "kmsMasterKeyId": _to("Attributes.KmsMasterKeyId")},
        ),
    ),
    "aws:sns/topicPolicy:TopicPolicy": (
        Call(
            service="sns",
            operation="SetTopicAttributes",
            case=pascal,
            places={"arn": _to("TopicArn"), "policy": _to("AttributeValue")},
            adds=lambda _: {"AttributeName": "Policy"},
        ),
    ),
    "aws:sns/topicSubscription:TopicSubscription": (
        Call(service="sns", operation="Subscribe", case=pascal, places={"topic": _to("TopicArn")}),
    ),
    "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration": (
        Call(
            service="chatbot",
            operation="CreateSlackChannelConfiguration",
            case=pascal,
            places={"tags": Place(to="Tags", change=pairs("TagKey", "TagValue"), free=True)},
        ),
    ),
    "aws:chatbot/teamsChannelConfiguration:TeamsChannelConfiguration": (
        Call(
            service="chatbot",
            operation="CreateMicrosoftTeamsChannelConfiguration",
            case=pascal,
            places={"tags": Place(to="Tags", change=pairs("TagKey", "TagValue"), free=True)},
        ),
    ),
    "aws:cloudwatch/logGroup:LogGroup": (
        Call(
            service="logs",
            operation="CreateLogGroup",
            places={"name": _to("logGroupName"), "tags": Place(to="tags", free=True)},
        ),
        Call(
            service="logs",
            operation="PutRetentionPolicy",
            takes=frozenset({"retentionInDays"}),
            adds=lambda resource: {"logGroupName": resource["outputs"]["name"]},
        ),
    ),
    "aws:codebuild/fleet:Fleet": (Call(service="codebuild", operation="CreateFleet", places={**_LOWER_TAGS}),),
    "aws:codebuild/reportGroup:ReportGroup": (
        Call(
            service="codebuild",
            operation="CreateReportGroup",
            places={
                **_LOWER_TAGS,
                "deleteReports": pulumi_only("a parameter of DeleteReportGroup, sent when the group is deleted"),
                "exportConfig.type": _to("exportConfigType"),
            },
        ),
    ),
    "aws:codebuild/project:Project": (
        Call(
            service="codebuild",
            operation="CreateProject",
            places={
                **_LOWER_TAGS,
                "buildTimeout": _to("timeoutInMinutes"),
                "logsConfig.cloudwatchLogs": _to("cloudWatchLogs"),
            },
        ),
    ),
    "aws:codeconnections/connection:Connection": (
        Call(
            service="codeconnections",
            operation="CreateConnection",
            case=pascal,
            places={**_UPPER_TAGS, "name": _to("ConnectionName")},
        ),
    ),
    "aws:codedeploy/application:Application": (
        Call(
            service="codedeploy",
            operation="CreateApplication",
            places={**_MIXED_TAGS, "name": _to("applicationName")},
        ),
    ),
    "aws:codedeploy/deploymentConfig:DeploymentConfig": (
        Call(
            service="codedeploy",
            operation="CreateDeploymentConfig",
            places={
                "trafficRoutingConfig.timeBasedCanary.interval": _to("canaryInterval"),
                "trafficRoutingConfig.timeBasedCanary.percentage": _to("canaryPercentage"),
                "trafficRoutingConfig.timeBasedLinear.interval": _to("linearInterval"),
                "trafficRoutingConfig.timeBasedLinear.percentage": _to("linearPercentage"),
            },
        ),
    ),
    "aws:codedeploy/deploymentGroup:DeploymentGroup": (
        Call(
            service="codedeploy",
            operation="CreateDeploymentGroup",
            places={
                **_MIXED_TAGS,
                "appName": _to("applicationName"),
                "alarmConfiguration.alarms": Place(to="alarms", change=named("name")),
                "blueGreenDeploymentConfig": _to("blueGreenDeploymentConfiguration"),
                "ecsService": Place(to="ecsServices", change=in_list),
                "loadBalancerInfo.targetGroupPairInfo": Place(to="targetGroupPairInfoList", change=in_list),
            },
        ),
    ),
    "aws:codepipeline/pipeline:Pipeline": (
        Call(
            service="codepipeline",
            operation="CreatePipeline",
            under="pipeline",
            places={
                **_LOWER_TAGS,
                "artifactStores": Place(to="pipeline.artifactStore", change=the_only_one),
                "stages.actions.category": _to("actionTypeId.category"),
                "stages.actions.owner": _to("actionTypeId.owner"),
                "stages.actions.provider": _to("actionTypeId.provider"),
                "stages.actions.version": _to("actionTypeId.version"),
                "stages.actions.configuration": Place(to="configuration", free=True),
                "stages.actions.inputArtifacts": Place(to="inputArtifacts", change=named("name")),
                "stages.actions.outputArtifacts": Place(to="outputArtifacts", change=named("name")),
                "triggers.gitConfiguration.pushes": _to("push"),
            },
        ),
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": (
        Call(
            service="ecr",
            operation="PutLifecyclePolicy",
            places={"policy": _to("lifecyclePolicyText"), "repository": _to("repositoryName")},
        ),
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": (
        Call(
            service="ecr",
            operation="SetRepositoryPolicy",
            places={"policy": _to("policyText"), "repository": _to("repositoryName")},
        ),
    ),
    "aws:ecr/repository:Repository": (
        Call(
            service="ecr",
            operation="CreateRepository",
            places={
                **_MIXED_TAGS,
                "name": _to("repositoryName"),
                "encryptionConfigurations": Place(to="encryptionConfiguration", change=the_only_one),
                "forceDelete": _DELETES,
            },
        ),
    ),
    "aws:iam/role:Role": (
        Call(
            service="iam",
            operation="CreateRole",
            case=pascal,
            places={**_UPPER_TAGS, "assumeRolePolicy": _to("AssumeRolePolicyDocument"), "name": _to("RoleName")},
            adds=lambda resource: {"RoleName": resource["outputs"]["name"]},
        ),
    ),
    "aws:iam/rolePolicy:RolePolicy": (
        Call(
            service="iam",
            operation="PutRolePolicy",
            case=pascal,
            places={"policy": _to("PolicyDocument"), "role": _to("RoleName")},
            adds=lambda resource: {"PolicyName": f"{resource['name']}{_GENERATED_SUFFIX}"},
        ),
    ),
    "aws:kms/key:Key": (
        Call(
            service="kms",
            operation="CreateKey",
            case=pascal,
            places={
                "tags": _tags("Tags", "TagKey", "TagValue"),
                "enableKeyRotation": pulumi_only(
                    "chooses the request EnableKeyRotation, whose one parameter is the key"
                ),
            },
        ),
        Call(
            service="kms",
            operation="ScheduleKeyDeletion",
            case=pascal,
            places={"deletionWindowInDays": _to("PendingWindowInDays")},
            takes=frozenset({"deletionWindowInDays"}),
            adds=lambda resource: {"KeyId": resource["outputs"]["keyId"]},
        ),
    ),
    "aws:kms/keyPolicy:KeyPolicy": (Call(service="kms", operation="PutKeyPolicy", case=pascal),),
    "aws:s3/bucket:Bucket": (
        Call(
            service="s3",
            operation="CreateBucket",
            case=pascal,
            places={"forceDestroy": _DELETES},
            adds=lambda resource: {"Bucket": resource["outputs"]["bucket"]},
        ),
        Call(
            service="s3",
            operation="PutBucketTagging",
            places={"tags": _tags("Tagging.TagSet", "Key", "Value")},
            takes=frozenset({"tags"}),
            adds=lambda resource: {"Bucket": resource["outputs"]["bucket"]},
        ),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _bucket_setting(
        "PutBucketLifecycleConfiguration", "LifecycleConfiguration", {"rules.id": _to("ID")}
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": (
        Call(
            service="s3",
            operation="PutObject",
            case=pascal,
            places={
                "content": _to("Body"),
                "source": Place(to="Body", change=lambda asset: Path(asset.path).read_bytes()),
                "tags": Place(
                    to="Tagging",
                    change=lambda tags: "&".join(f"{key}={value}" for key, value in tags.items()),
                    free=True,
                ),
            },
        ),
    ),
    "aws:s3/bucketLogging:BucketLogging": _bucket_setting(
        "PutBucketLogging",
        "BucketLoggingStatus",
        {
            "targetBucket": _to("BucketLoggingStatus.LoggingEnabled.TargetBucket"),
            "targetPrefix": _to("BucketLoggingStatus.LoggingEnabled.TargetPrefix"),
        },
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _bucket_setting(
        "PutBucketOwnershipControls",
        "OwnershipControls",
        {"rule": Place(to="OwnershipControls.Rules", change=in_list)},
    ),
    "aws:s3/bucketPolicy:BucketPolicy": _bucket_setting("PutBucketPolicy", ""),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _bucket_setting(
        "PutPublicAccessBlock", "PublicAccessBlockConfiguration"
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _bucket_setting(
        "PutBucketEncryption",
        "ServerSideEncryptionConfiguration",
        {
            "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId": _to("KMSMasterKeyID"),
            "rules.applyServerSideEncryptionByDefault.sseAlgorithm": _to("SSEAlgorithm"),
        },
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _bucket_setting(
        "PutBucketVersioning", "", {"versioningConfiguration": _to("VersioningConfiguration")}
    ),
    "aws:wafv2/webAclAssociation:WebAclAssociation": (
        Call(
            service="wafv2",
            operation="AssociateWebACL",
            places={"resourceArn": _to("ResourceArn"), "webAclArn": _to("WebACLArn")},
        ),
    ),
}
"""Resource type -> the requests that make it. A type without a row is an error, never passed over."""


class NoRequestError(LookupError):
    """A resource type that the table does not know."""


def is_made_in_aws(resource: Described) -> bool:
    """Whether a resource is one of the AWS provider's, and not a component or Pulumi's own."""
    return bool(resource["custom"]) and not resource["type"].startswith("pulumi:")


def requests_of(graph: Iterable[Described]) -> Iterator[Request]:
    """Every request that making the graph and running its pipeline send."""
    resources = [resource for resource in graph if is_made_in_aws(resource)]
    for resource in resources:
        yield from making(resource)
        if resource["type"] in RUNNING:
            yield from RUNNING[resource["type"]](resource)


def making(resource: Described) -> Iterator[Request]:
    """The requests that make one resource.

    Raises:
        NoRequestError: When the table has no row for its type.
    """
    if resource["type"] not in CALLS:
        raise NoRequestError(
            f"{resource['type']} ({resource['name']}) has no row in tests/external_checks/aws_requests.py: "
            "say there which AWS requests it stands for"
        )
    calls = CALLS[resource["type"]]
    taken = frozenset[str]().union(*(call.takes or () for call in calls))
    for call in calls:
        inputs = {
            key: value
            for key, value in resource["inputs"].items()
            if (key not in taken if call.takes is None else key in call.takes)
        }
        if call.takes is None or inputs:
            yield _request(call, resource, inputs)


def _request(call: Call, resource: Described, inputs: Mapping[str, Any]) -> Request:
    top = {key: Place(to=f"{call.under}.{call.case(key)}") for key in inputs if call.under and key not in call.places}
    params = rewrite(inputs, case=call.case, places={**top, **call.places})
    for member, value in call.adds(resource).items():
        put(params, member, value)
    return Request(
        origin=f"{resource['type']} {resource['name']}",
        service=call.service,
        operation=call.operation,
        params=call.finish(params),
    )


def _starts_pipeline(target: Described) -> Iterator[Request]:
    """What EventBridge sends to CodePipeline, if anything, with the event's values filled in."""
    if "inputTransformer" not in target["inputs"]:  # it calls a function
        return
    template = target["inputs"]["inputTransformer"]["inputTemplate"]
    for name in target["inputs"]["inputTransformer"]["inputPaths"]:
        template = template.replace(f"<{name}>", DIGEST)
    yield Request(
        origin=f"input template of {target['name']}",
        service="codepipeline",
        operation="StartPipelineExecution",
        params={"name": target["inputs"]["arn"].split(":")[-1], **json.loads(template)},
    )


def _registers_task_definition(stored: Described) -> Iterator[Request]:
    """What the deploy action makes of the template, once it knows the image; other objects are files."""
    if "content" not in stored["inputs"]:
        return
    definition = json.loads(stored["inputs"]["content"].replace(IMAGE_PLACEHOLDER, f"shop@{DIGEST}"))
    yield Request(
        origin=f"content of {stored['name']}",
        service="ecs",
        operation="RegisterTaskDefinition",
        params=definition,
    )


def _updates_service(project: Described) -> Iterator[Request]:
    """What the job of the engine ``ecs`` sends, from its own variables."""
    variables = {
        variable["name"]: variable["value"] for variable in project["inputs"]["environment"]["environmentVariables"]
    }
    if "DEPLOYMENT_CONFIGURATION" in variables:
        strategy = json.loads(variables["CAPACITY_PROVIDER_STRATEGY"] or "[]")
        connect = json.loads(variables["SERVICE_CONNECT"] or "{}")
        yield Request(
            origin=f"variables of {project['name']}",
            service="ecs",
            operation="UpdateService",
            params={
                "cluster": variables["CLUSTER"],
                "service": variables["SERVICE"],
                "deploymentConfiguration": json.loads(variables["DEPLOYMENT_CONFIGURATION"]),
                **({"capacityProviderStrategy": strategy, "forceNewDeployment": True} if strategy else {}),
                **({"serviceConnectConfiguration": connect} if connect else {}),
            },
        )


def _runs_actions(pipeline: Described) -> Iterator[Request]:
    """What CodePipeline's actions send, as their configuration says it."""
    for stage in pipeline["inputs"]["stages"]:
        for action in stage["actions"]:
            origin = f"action {stage['name']}/{action['name']} of {pipeline['name']}"
            if action["provider"] not in ACTIONS:
                raise NoRequestError(
                    f"{origin}: the provider {action['provider']} has no row in tests/external_checks/aws_requests.py: "
                    "say there which AWS request its configuration stands for"
                )
            call = ACTIONS[action["provider"]]
            params = rewrite(action.get("configuration", {}), case=call.case, places=call.places)
            yield Request(origin=origin, service=call.service, operation=call.operation, params=params)


_ARTIFACT = pulumi_only("names an input artifact, or a file in one")
_CODEPIPELINE = pulumi_only("tells CodePipeline how, not the service what")

ACTIONS: Mapping[str, Call] = {
    "CodeBuild": Call(
        service="codebuild",
        operation="StartBuild",
        places={
            "ProjectName": _to("projectName"),
            "EnvironmentVariables": Place(to="environmentVariablesOverride", change=json.loads),
        },
    ),
    "CodeDeployToECS": Call(
        service="codedeploy",
        operation="CreateDeployment",
        places={
            "ApplicationName": _to("applicationName"),
            "DeploymentGroupName": _to("deploymentGroupName"),
            "AppSpecTemplateArtifact": _ARTIFACT,
            "AppSpecTemplatePath": _ARTIFACT,
            "TaskDefinitionTemplateArtifact": _ARTIFACT,
            "TaskDefinitionTemplatePath": _ARTIFACT,
        },
    ),
    "CodeStarSourceConnection": Call(
        # The public operation that names the same connection and repository.
        service="codeconnections",
        operation="CreateRepositoryLink",
        places={
            "FullRepositoryId": Place(
                to="", change=lambda name: dict(zip(("OwnerId", "RepositoryName"), name.rsplit("/", 1), strict=True))
            ),
            "BranchName": _CODEPIPELINE,
            "DetectChanges": _CODEPIPELINE,
            "OutputArtifactFormat": _CODEPIPELINE,
        },
    ),
    "ECR": Call(
        service="ecr",
        operation="DescribeImages",
        places={
            "RepositoryName": _to("repositoryName"),
            "ImageTag": Place(to="imageIds", change=lambda tag: [{"imageTag": tag}]),
        },
    ),
    "ECS": Call(
        service="ecs",
        operation="UpdateService",
        places={
            "ClusterName": _to("cluster"),
            "ServiceName": _to("service"),
            "DeploymentTimeout": _CODEPIPELINE,
            "FileName": _ARTIFACT,
        },
    ),
    "S3": Call(
        service="s3",
        operation="GetObject",
        case=pascal,
        places={
            "S3Bucket": _to("Bucket"),
            "S3ObjectKey": _to("Key"),
            "PollForSourceChanges": _CODEPIPELINE,
        },
    ),
    "Manual": Call(
        service="sns",
        operation="Publish",
        places={
            "CustomData": _to("Message"),
            "ExternalEntityLink": _CODEPIPELINE,
            "NotificationArn": _to("TopicArn"),
        },
    ),
}
"""Provider of an action -> the request its configuration stands for. A provider without a row is an error."""

RUNNING: Mapping[str, Callable[[Described], Iterator[Request]]] = {
    "aws:cloudwatch/eventTarget:EventTarget": _starts_pipeline,
    "aws:codebuild/project:Project": _updates_service,
    "aws:codepipeline/pipeline:Pipeline": _runs_actions,
    "aws:s3/bucketObjectv2:BucketObjectv2": _registers_task_definition,
}
"""Resource type -> the requests of later runs that stand written in its inputs."""
