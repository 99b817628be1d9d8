"""Every key of the stack file, edited: what becomes of the resources by the facts of AWS's provider, with no engine."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pulumi
from mocked import Graph, Resource, build_program

from components.settings.reader.shapes import Shape, leaves
from components.settings.reader.stack_file import PREFIX
from components.settings.root import Settings
from components.settings.sections.build import BuildSection
from local.engine.outcome import State, Step
from local.engine.providers import changes
from local.engine.providers.awsx import Vpc
from local.engine.providers.protocol import from_struct, to_struct
from local.engine.providers.protocol import provider_pb2 as pb

Config = dict[str, Any]
Values = Mapping[str, Any]
VPC = "awsx:ec2:Vpc"

ENGINES: Mapping[str, Values] = {
    "codeDeploy": {"deploy.engine": "codeDeploy"},
    "ecs rolling": {"deploy.engine": "ecs"},
    "ecs blueGreen": {"deploy.engine": "ecs", "deploy.strategy": "blueGreen"},
    "ecsAction": {"deploy.engine": "ecsAction"},
}
"""How the stacks deploy whose files are edited."""
BY_ENGINE = ("application", "deploy", "hosting")
"""Sections whose edits are tried with each of them; the others say nothing of what runs."""

STACK: Values = {
    "application.name": "shop",
    "source.github.repository": "example/shop",
    "hosting.loadBalancer.plainHttp": True,
}
"""The stack file that is edited."""
STAGES: Values = {
    "build.smokeTest.enabled": True,
    "tests.enabled": True,
    "tests.lighthouse.budgets.bestPractices": 75,
    "promotion": {"enabled": True, "repository": "shop-prod", "approval": {"enabled": True}},
    "release": {"enabled": True, "github": {"tokenSecret": "shop/github-token"}},
}
"""What it says besides where stages are edited."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A value that is tried.

    Attributes:
        value: What the key is set to.
        base: What the stack file says otherwise beforehand.
        along: What has to be edited together with it.
        engines: The engines it is tried with; all of them where nothing is said.
    """

    value: object
    base: Values = field(default_factory=dict)
    along: Values = field(default_factory=dict)
    engines: tuple[str, ...] = ()


_SHIFTING = ("codeDeploy", "ecs blueGreen")
_ROLLING = ("ecs rolling", "ecsAction")
_CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f-1234-4abc-8def-0123456789ab"
_WEB_ACL = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/shop/0f0f0f0f-1234-4abc-8def-0123456789ab"
_EXISTING: Values = {
    "hosting.loadBalancer": None,
    "hosting.existing": {
        "cluster": "shop",
        "service": "shop",
        "executionRole": "shop-execution",
        "loadBalancer": "shop",
        "listeners": {"production": 80},
        "targetGroups": ["shop-blue", "shop-green"],
    },
}
_WITH_A_GROUP: Values = {
    "hosting.loadBalancer": None,
    "hosting.existing": {
        "cluster": "shop",
        "service": "shop",
        "deploymentGroup": {"application": "shop", "name": "shop-production"},
    },
}
_OWN_NETWORK = {
    "vpcId": "vpc-0a1b2c3d4e5f67890",
    "publicSubnets": ["subnet-0a1b2c3d4e5f67890", "subnet-0a1b2c3d4e5f67891"],
    "privateSubnets": ["subnet-0a1b2c3d4e5f67892", "subnet-0a1b2c3d4e5f67893"],
}
_IN_OWN_NETWORK: Values = {"hosting.network.existing": _OWN_NETWORK}
_LISTENER = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/shared/0123456789abcdef/012345678"
_SHARED: Values = {
    **_IN_OWN_NETWORK,
    "hosting.loadBalancer": {
        "existing": {
            "listenerArn": f"{_LISTENER}0",
            "securityGroup": "sg-0a1b2c3d4e5f67890",
            "priority": 100,
            "hosts": ["shop.example.com"],
        }
    },
}
_BY_NAME: Values = {
    **_SHARED,
    "hosting.loadBalancer.existing.listenerArn": None,
    "hosting.loadBalancer.existing.loadBalancer": "shared",
    "hosting.loadBalancer.existing.port": 443,
}
_SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-database-AbCdEf"  # noqa: S105 - names one

_CONNECTED: Values = {"hosting.serviceConnect": {"endpoints": {"shop": {"port": 80}}}}
_REGISTERED: Values = {"hosting.serviceRegistry": {"namespace": "shop.internal"}}
_MIGRATION = {"command": ["bin/rails", "db:migrate"]}
_UPLOADED = {"enabled": True, "bucket": "shop-static", "upload": {"path": "public"}}
_SYNCED = {"enabled": True, "bucket": "shop-static", "sync": {"bucket": "shop-assets"}}


def _of_files(value: object, along: Values | None = None) -> Tried:
    return Tried(value, {"deploy.staticFiles": _UPLOADED}, along or {}, ("codeDeploy",))


def _of_existing(value: object, along: Values | None = None) -> Tried:
    return Tried(value, _EXISTING, along or {}, ("codeDeploy",))


def _of_check(value: object) -> Tried:
    return Tried(value, {"application.healthCheck": {"command": ["CMD", "/srv/check"]}})


_ROUTER = {"image": "public.ecr.aws/aws-observability/aws-for-fluent-bit:3", "firelens": {"type": "fluentbit"}}
_ROUTED: Values = {
    "application.containers": {"router": _ROUTER},
    "application.logs": {"driver": "awsfirelens", "options": {"Name": "stdout"}},
}
_MOUNTED: Values = {"application.mounts": {"uploads": {"path": "/srv/uploads"}}}
_EFS = {
    "fileSystemId": "fs-0a1b2c3d4e5f67890",
    "accessPointId": "fsap-0a1b2c3d4e5f67890",
    "securityGroupId": "sg-0a1b2c3d4e5f67890",
}
_HOST = "arn:aws:codeconnections:eu-west-1:123456789012:host/git-0f0f0f0f"
_OTHER_PROVIDERS = {"gitlab": "example/shops/shop", "bitbucket": "example/shop"}


def _elsewhere(provider: str, **keys: object) -> Values:
    """The code with another provider than GitHub, which has the releases all the same."""
    return {
        "source": {provider: {"repository": _OTHER_PROVIDERS[provider], **keys}},
        "release.github.repository": "example/mirror",
    }


def _on_a_server(provider: str) -> Values:
    """The code on a server of one's own."""
    return {f"source.{provider}.url": "https://git.example.com", f"source.{provider}.hostArn": _HOST}


_OUT_OF_A_BUCKET: Values = {
    "source": {"s3": {"bucket": "shop-uploads", "objectKey": "shop.zip"}},
    "release.enabled": False,
}
_FROM_ECR: Values = {
    "source": {"ecr": {"repository": "shop-dev", "tag": "promoted"}},
    "build": None,
    "release.enabled": False,
    "verification.provenance": {"source": "https://github.com/example/shop", "pipeline": "shop-test"},
}
_BUILT_IN_A_VPC: Values = {"build.network": (BuildSection.model_fields["network"].examples or [{}])[0]}
_ON_A_FLEET: Values = {"build.fleet": {"capacity": 1}}
_FLEET = "arn:aws:codebuild:eu-west-1:123456789012:fleet/builders:0f0f0f0f-1234-4abc-8def-0123456789ab"
_TOLD: Values = {"notifications.enabled": True}
_TOLD_BY_MAIL: Values = {"notifications": {"enabled": True, "email": ["team@example.com"]}}
_TOLD_IN_SLACK: Values = {
    "notifications": {"enabled": True, "slack": {"workspaceId": "T012ABCDEFG", "channelId": "C012ABCDEFG"}}
}
_TEAM = "0f1e2d3c-4b5a-4697-8877-66554433221"
_TOLD_IN_TEAMS: Values = {
    "notifications": {
        "enabled": True,
        "teams": {"tenantId": f"{_TEAM}0", "teamId": f"{_TEAM}1", "channelId": "19%3a0a%40thread.tacv2"},
    }
}
_DELIVERIES = "arn:aws:sns:eu-west-1:123456789012:deliveries"
_POLICY = [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::shop-uploads/*"]}]
_OWN_NGINX: Values = {"application.containers": {"nginx": {"image": "build/nginx", "port": 80}}}
_WITH_NGINX: Values = {**_OWN_NGINX, "build.images": {"nginx": {"dockerfile": "nginx/Dockerfile"}}}
_PREPARES = {"image": "build", "essential": False, "command": ["prepare"]}
_FURTHER: Values = {"hosting.loadBalancer.listeners": {"direct": {"port": 9443}}}
_NGINX = {"image": "public.ecr.aws/nginx/nginx:1.27", "port": 80}

_SHOWN: Values = {"statuses": {"enabled": True, "tokenSecret": "shop/github-status-token"}}
"""In a stack whose code is on GitHub."""

TRIED: Mapping[str, Sequence[Tried]] = {
    "statuses.enabled": [
        Tried(True, along={"statuses.tokenSecret": "shop/github-status-token"}),
        Tried(False, base=_SHOWN),
        Tried(True, base=_TOLD, along={"statuses.tokenSecret": "shop/github-status-token"}),
    ],
    "statuses.commits": [Tried(False, base=_SHOWN)],
    "statuses.deployments": [Tried(False, base=_SHOWN)],
    "statuses.environment": [Tried("production", base=_SHOWN)],
    "statuses.repository": [Tried("example/store", base=_SHOWN)],
    "statuses.url": [Tried("https://git.example.com", base=_SHOWN)],
    "statuses.tokenSecret": [Tried("shop/other-token", base=_SHOWN)],
    "statuses.secretKey": [Tried("token", base=_SHOWN)],
    "notifications.enabled": [Tried(True), Tried(False, base=_TOLD_BY_MAIL)],
    "notifications.events": [Tried(["failed"], base=_TOLD)],
    "notifications.topicArn": [Tried(_DELIVERIES, base=_TOLD)],
    "notifications.topicKeyArn": [
        Tried(f"arn:aws:kms:eu-west-1:123456789012:key/{_TEAM}1", base={**_TOLD, "notifications.topicArn": _DELIVERIES})
    ],
    "notifications.email": [Tried(["team@example.com"], base=_TOLD), Tried([], base=_TOLD_BY_MAIL)],
    "notifications.slack.workspaceId": [Tried("T012ABCDEFH", base=_TOLD_IN_SLACK)],
    "notifications.slack.channelId": [Tried("C012ABCDEFH", base=_TOLD_IN_SLACK)],
    "notifications.teams.tenantId": [Tried(f"{_TEAM}2", base=_TOLD_IN_TEAMS)],
    "notifications.teams.teamId": [Tried(f"{_TEAM}2", base=_TOLD_IN_TEAMS)],
    "notifications.teams.channelId": [Tried("19%3a0b%40thread.tacv2", base=_TOLD_IN_TEAMS)],
    "application.name": [Tried("store")],
    "application.containerName": [Tried("web")],
    "application.port": [Tried(3000)],
    "application.cpu": [Tried(1024, along={"application.memory": 2048})],
    "application.environment": [
        Tried({"LOG_LEVEL": "debug"}),
        Tried({"LOG_LEVEL": "debug"}, base=_WITH_A_GROUP, engines=("codeDeploy",)),
    ],
    "application.memory": [Tried(4096, base={"application.cpu": 1024, "application.memory": 2048})],
    "application.architecture": [Tried("x86_64")],
    "application.desiredCount": [Tried(4)],
    "application.readOnlyRootFilesystem": [Tried(False)],
    "application.healthCheck.intervalSeconds": [_of_check(10)],
    "application.healthCheck.timeoutSeconds": [_of_check(3)],
    "application.healthCheck.retries": [_of_check(5)],
    "application.healthCheck.startPeriodSeconds": [_of_check(60)],
    "application.dependsOn": [
        Tried({"prepare": "SUCCESS"}, base={"application.containers": {"prepare": _PREPARES}}),
    ],
    "application.secrets": [
        Tried({"DATABASE_URL": _SECRET}),
        Tried({}, base={"application.secrets": {"DATABASE_URL": _SECRET}}),
    ],
    "source.github.repository": [Tried("example/store")],
    "source.github.branch": [Tried("next")],
    "source.github.submodules": [Tried(["example/shop-fonts"], base={"source.github.fullClone": True})],
    "source.github.url": [Tried("https://git.example.com", along={"source.github.hostArn": _HOST})],
    "source.github.hostArn": [Tried(f"{_HOST}2", base=_on_a_server("github"))],
    **{
        f"source.{provider}.{key}": tried
        for provider, name in _OTHER_PROVIDERS.items()
        for key, tried in {
            "repository": [Tried(f"{name}2", base=_elsewhere(provider))],
            "branch": [Tried("next", base=_elsewhere(provider))],
            "submodules": [Tried([f"{name}-fonts"], base=_elsewhere(provider, fullClone=True))],
            "url": [
                Tried("https://git.example.com", base=_elsewhere(provider), along={f"source.{provider}.hostArn": _HOST})
            ],
            "hostArn": [Tried(f"{_HOST}2", base={**_elsewhere(provider), **_on_a_server(provider)})],
        }.items()
    },
    "source.s3.bucket": [Tried("store-uploads", base=_OUT_OF_A_BUCKET)],
    "source.s3.objectKey": [Tried("store.zip", base=_OUT_OF_A_BUCKET)],
    "source.s3.kmsKeyArn": [
        Tried("arn:aws:kms:eu-west-1:123456789012:key/0f0f0f0f-1234-4abc-8def-0123456789ab", base=_OUT_OF_A_BUCKET)
    ],
    "source.ecr.repository": [Tried("platform/node")],
    "source.ecr.tag": [Tried("22", base={"source.ecr.repository": "platform/node"})],
    "source.ecr.tagPattern": [Tried("v*", base={"source.ecr.repository": "platform/node"})],
    "source.ecr.arrivesBy": [Tried("replication", base={"source.ecr.repository": "platform/node"})],
    "source.ecr.create": [
        Tried(True, base={"source.ecr.repository": "platform/node"}),
        Tried(False, base={"source.ecr.repository": "platform/node", "source.ecr.create": True}),
    ],
    "source.ecr.promoters": [
        Tried(
            ["arn:aws:iam::123456789012:role/shop-promote"],
            base={"source.ecr.repository": "platform/node", "source.ecr.create": True},
        ),
        Tried(
            [],
            base={
                "source.ecr.repository": "platform/node",
                "source.ecr.create": True,
                "source.ecr.promoters": ["shop-dev-promote-image"],
            },
        ),
    ],
    "build.dockerfile": [Tried("docker/Dockerfile")],
    "build.context": [Tried("app")],
    "build.images": [
        Tried({"nginx": {"dockerfile": "nginx/Dockerfile"}}, along=_OWN_NGINX),
        Tried({"nginx": {"dockerfile": "proxy/Dockerfile"}}, base=_WITH_NGINX),
        Tried({}, base=_WITH_NGINX, along={"application.containers": {}}),
    ],
    "build.network.vpcId": [Tried("vpc-0a1b2c3d4e5f67891", base=_BUILT_IN_A_VPC)],
    "build.network.subnets": [Tried(["subnet-0a1b2c3d4e5f67894"], base=_BUILT_IN_A_VPC)],
    "build.network.securityGroups": [Tried(["sg-0a1b2c3d4e5f67891"], base=_BUILT_IN_A_VPC)],
    "build.cache": [Tried(False), Tried(False, base=_ON_A_FLEET)],
    "build.fleet.capacity": [Tried(2, base=_ON_A_FLEET)],
    "build.fleet.overflow": [Tried("onDemand", base=_ON_A_FLEET)],
    "build.fleet.arn": [Tried(_FLEET), Tried(_FLEET, base=_ON_A_FLEET, along={"build.fleet.capacity": None})],
    "build.compression": [Tried("zstd")],
    "build.secrets": [Tried({"NPM_TOKEN": "shop/npm-token"})],
    "build.baseRepositories": [Tried(["base/python"])],
    "build.checks": [
        Tried({"unit-tests": {"buildspec": "ci/unit-tests.yml"}}),
        Tried({}, base={"build.checks": {"unit-tests": {"buildspec": "ci/unit-tests.yml"}}}),
    ],
    "pipeline.parallelJobs": [Tried(True, base={"build.checks": {"unit-tests": {"buildspec": "ci/unit-tests.yml"}}})],
    "build.registryLogins": [Tried({"docker.io": "shop/docker-hub"})],
    "build.timeoutMinutes": [Tried(45)],
    "build.version.path": [Tried("RELEASE", base={"build.version.from": "file"})],
    "build.smokeTest.enabled": [Tried(False), Tried(True, base={"build.smokeTest.enabled": False})],
    "build.smokeTest.dockerfile": [Tried("tests/Dockerfile")],
    "build.smokeTest.context": [Tried("tests")],
    "deploy.engine": [Tried("ecs", engines=("codeDeploy",)), Tried("codeDeploy", engines=("ecs rolling",))],
    "deploy.strategy": [
        Tried("canary", engines=_SHIFTING),
        Tried("blueGreen", engines=("ecs rolling",)),
    ],
    "deploy.step.percent": [Tried(20, base={"deploy.strategy": "canary"}, engines=_SHIFTING)],
    "deploy.step.intervalMinutes": [Tried(10, base={"deploy.strategy": "canary"}, engines=_SHIFTING)],
    "deploy.bakeMinutes": [Tried(10, engines=("ecs blueGreen",))],
    "deploy.terminationWaitMinutes": [Tried(10, engines=("codeDeploy",))],
    "deploy.timeoutMinutes": [Tried(45, engines=("ecs rolling", "ecs blueGreen", "ecsAction"))],
    "deploy.alarms": [Tried(["shop-errors"], engines=("codeDeploy", "ecs rolling", "ecs blueGreen"))],
    "deploy.approval.enabled": [Tried(True, engines=("codeDeploy",))],
    "deploy.approval.notifyTopicArn": [
        Tried(
            "arn:aws:sns:eu-west-1:123456789012:approvals",
            base={"deploy.approval": {"enabled": True}},
            engines=("codeDeploy",),
        )
    ],
    "deploy.approval.timeoutMinutes": [
        Tried(1440, base={"deploy.approval": {"enabled": True}}, engines=("codeDeploy",))
    ],
    "deploy.before.command": [
        Tried(["bin/rails", "db:migrate"]),
        Tried(["python", "manage.py", "migrate"], base={"deploy.before": _MIGRATION}, engines=("codeDeploy",)),
    ],
    "deploy.before.timeoutMinutes": [Tried(30, base={"deploy.before": _MIGRATION}, engines=("codeDeploy",))],
    "deploy.after.command": [Tried(["bin/rails", "cache:warm"], engines=("codeDeploy",))],
    "deploy.after.timeoutMinutes": [Tried(30, base={"deploy.after": _MIGRATION}, engines=("codeDeploy",))],
    "deploy.staticFiles.enabled": [
        Tried(True, base={"deploy.staticFiles": {**_UPLOADED, "enabled": False}}, engines=("codeDeploy",)),
        _of_files(False),
    ],
    "deploy.staticFiles.bucket": [_of_files("shop-files")],
    "deploy.staticFiles.prefix": [_of_files("shop/")],
    "deploy.staticFiles.upload.from": [_of_files("image", along={"deploy.staticFiles.upload.path": "/app/public"})],
    "deploy.staticFiles.upload.path": [_of_files("dist")],
    "deploy.staticFiles.sync.bucket": [_of_files("shop-assets", along={"deploy.staticFiles.upload": None})],
    "deploy.staticFiles.sync.prefix": [
        Tried("v2/", base={"deploy.staticFiles": _SYNCED}, engines=("codeDeploy",)),
    ],
    "deploy.staticFiles.cloudFrontDistributionId": [_of_files("E1A2B3C4D5E6F7")],
    "hosting.existing.cluster": [_of_existing("store")],
    "hosting.existing.service": [_of_existing("store")],
    "hosting.existing.executionRole": [_of_existing("store-execution")],
    "hosting.existing.taskRole": [_of_existing("shop-task")],
    "hosting.existing.taskDefinitionFile": [_of_existing("deploy/taskdef.json")],
    "hosting.existing.takeOver": [_of_existing(True)],
    "hosting.existing.deploymentGroup.application": [Tried("store", _WITH_A_GROUP, engines=("codeDeploy",))],
    "hosting.existing.deploymentGroup.name": [Tried("shop-green", _WITH_A_GROUP, engines=("codeDeploy",))],
    "hosting.existing.loadBalancer": [_of_existing("store")],
    "hosting.existing.listeners.production": [_of_existing(8000)],
    "hosting.existing.listeners.test": [_of_existing(8443)],
    "hosting.existing.targetGroups": [_of_existing(["store-blue", "store-green"])],
    "hosting.existing.serviceUrl": [_of_existing("https://shop.example.com", along={"tests.enabled": True})],
    "hosting.existing.logGroup": [_of_existing("/ecs/shop")],
    "hosting.serviceConnect.namespace": [
        Tried("shop", engines=("ecs rolling",)),
        Tried("inner", base={"hosting.serviceConnect.namespace": "shop"}, engines=("ecs rolling",)),
        Tried("shop", base=_CONNECTED, engines=("ecs rolling",)),
    ],
    "hosting.serviceConnect.endpoints": [
        Tried({"shop": {"port": 80}}, engines=("ecs rolling",)),
        Tried({"orders": {"port": 80}}, base=_CONNECTED, engines=("ecs rolling",)),
    ],
    "hosting.serviceRegistry.namespace": [
        Tried("shop.internal", engines=_ROLLING),
        Tried("inner.internal", base=_REGISTERED, engines=_ROLLING),
        Tried(None, base=_REGISTERED, engines=_ROLLING),
    ],
    "hosting.serviceRegistry.namespaceId": [
        Tried(
            "ns-0123456789abcdef",
            base=_REGISTERED,
            along={"hosting.serviceRegistry.namespace": None},
            engines=_ROLLING,
        ),
    ],
    "hosting.service.allowedSecurityGroups": [
        Tried(["sg-0a1b2c3d4e5f67890"]),
        Tried([], base={"hosting.service.allowedSecurityGroups": ["sg-0a1b2c3d4e5f67890"]}),
    ],
    "hosting.serviceRegistry.name": [Tried("orders", base=_REGISTERED, engines=_ROLLING)],
    "hosting.serviceRegistry.ttlSeconds": [Tried(60, base=_REGISTERED, engines=_ROLLING)],
    "hosting.network.natGateways": [Tried("single"), Tried("none", base={"hosting.network.natGateways": "single"})],
    "hosting.network.availabilityZones": [Tried(3), Tried(2, base={"hosting.network.availabilityZones": 3})],
    "hosting.network.taskSubnets": [
        Tried("private"),
        Tried("public", base={"hosting.network.taskSubnets": "private"}),
    ],
    "hosting.network.existing.vpcId": [
        Tried("vpc-0a1b2c3d4e5f67899", base=_IN_OWN_NETWORK),
    ],
    "hosting.network.existing.publicSubnets": [
        Tried(["subnet-0a1b2c3d4e5f67890", "subnet-0a1b2c3d4e5f67899"], base=_IN_OWN_NETWORK)
    ],
    "hosting.network.existing.privateSubnets": [
        Tried(["subnet-0a1b2c3d4e5f67892", "subnet-0a1b2c3d4e5f67899"], base=_IN_OWN_NETWORK)
    ],
    "hosting.loadBalancer.enabled": [
        Tried(False, along={"hosting.loadBalancer.plainHttp": None}, engines=_ROLLING),
        Tried(
            True,
            base={"hosting.loadBalancer": {"enabled": False}},
            along={"hosting.loadBalancer.plainHttp": True},
            engines=_ROLLING,
        ),
    ],
    "hosting.loadBalancer.existing.listenerArn": [
        Tried(f"{_LISTENER}1", base=_SHARED, engines=_ROLLING),
    ],
    "hosting.loadBalancer.existing.loadBalancer": [
        Tried("other", base=_BY_NAME, engines=_ROLLING),
    ],
    "hosting.loadBalancer.existing.port": [Tried(8443, base=_BY_NAME, engines=_ROLLING)],
    "hosting.loadBalancer.existing.securityGroup": [
        Tried("sg-0a1b2c3d4e5f67891", base=_SHARED, engines=_ROLLING),
    ],
    "hosting.loadBalancer.existing.priority": [Tried(200, base=_SHARED, engines=_ROLLING)],
    "hosting.loadBalancer.existing.hosts": [
        Tried(["store.example.com"], base=_SHARED, engines=_ROLLING),
        Tried(
            ["shop.example.com"],
            base=_IN_OWN_NETWORK,
            along={"hosting.loadBalancer": _SHARED["hosting.loadBalancer"]},
            engines=_ROLLING,
        ),
    ],
    "hosting.loadBalancer.existing.paths": [Tried(["/shop/*"], base=_SHARED, engines=_ROLLING)],
    "hosting.loadBalancer.existing.headers": [Tried({"X-Application": "shop"}, base=_SHARED, engines=_ROLLING)],
    "hosting.loadBalancer.internal": [
        Tried(True, base={"tests.enabled": False}),
        Tried(False, base={"tests.enabled": False, "hosting.loadBalancer.internal": True}),
    ],
    "hosting.loadBalancer.certificateArn": [
        Tried(
            _CERTIFICATE,
            along={"hosting.loadBalancer.plainHttp": None, "hosting.loadBalancer.domainName": "shop.example.com"},
        ),
        Tried(
            _CERTIFICATE,
            base=_FURTHER,
            along={"hosting.loadBalancer.plainHttp": None, "hosting.loadBalancer.domainName": "shop.example.com"},
            engines=_ROLLING,
        ),
        Tried(
            None,
            base={
                "hosting.loadBalancer": {"certificateArn": _CERTIFICATE, "domainName": "shop.example.com"},
            },
            along={"hosting.loadBalancer.plainHttp": True},
        ),
    ],
    "hosting.loadBalancer.plainHttp": [
        Tried(
            False,
            along={
                "hosting.loadBalancer.certificateArn": _CERTIFICATE,
                "hosting.loadBalancer.domainName": "shop.example.com",
            },
        )
    ],
    "application.healthCheck.command": [Tried(["CMD", "/srv/check"])],
    "application.logs.driver": [
        Tried(
            "awsfirelens",
            along={"application.containers": {"router": _ROUTER}, "application.logs.options": {"Name": "stdout"}},
        )
    ],
    "application.logs.options": [Tried({"Name": "null"}, base=_ROUTED)],
    "application.logs.secretOptions": [Tried({"apikey": _SECRET}, base=_ROUTED)],
    "application.mounts": [
        Tried({"uploads": {"path": "/srv/files"}}, base={**_MOUNTED, "application.volumes": {"uploads": {}}})
    ],
    "application.volumes": [
        Tried({"uploads": {}}, along=_MOUNTED),
        Tried({"uploads": {"efs": _EFS}}, base={**_MOUNTED, "application.volumes": {"uploads": {}}}),
        Tried({"uploads": {}}, base={**_MOUNTED, "application.volumes": {"uploads": {"efs": _EFS}}}),
    ],
    "application.notSecret": [Tried(["API_TOKEN"], along={"application.environment": {"API_TOKEN": "none"}})],
    "application.deliveryVariables": [Tried(True, engines=("codeDeploy", "ecs rolling"))],
    "build.notSecret": [Tried(["MAPS_API_KEY"], along={"build.args": {"MAPS_API_KEY": "public"}})],
    "hosting.service.taskRolePolicy": [
        Tried(_POLICY),
        Tried([], base={"hosting.service.taskRolePolicy": _POLICY}),
    ],
    "hosting.loadBalancer.container": [Tried("nginx", base={"application.containers": {"nginx": _NGINX}})],
    "hosting.loadBalancer.listeners": [
        Tried({"direct": {"port": 9443}}, engines=_ROLLING),
        Tried({"direct": {"port": 9444}}, base=_FURTHER, engines=_ROLLING),
        Tried(
            {"direct": {"port": 9443, "container": "nginx"}},
            base={**_FURTHER, "application.containers": {"nginx": _NGINX}},
            engines=_ROLLING,
        ),
        Tried({}, base=_FURTHER, engines=_ROLLING),
    ],
    "hosting.loadBalancer.domainName": [Tried("shop.example.com", base={"tests.enabled": True})],
    "hosting.loadBalancer.hostedZoneId": [
        Tried("Z0123456789ABCDEFGHIJ", base={"hosting.loadBalancer.domainName": "shop.example.com"}),
        Tried(
            None,
            base={
                "hosting.loadBalancer.domainName": "shop.example.com",
                "hosting.loadBalancer.hostedZoneId": "Z0123456789ABCDEFGHIJ",
            },
        ),
        Tried(
            "Z0123456789ABCDEFGHIK",
            base={
                "hosting.loadBalancer.domainName": "shop.example.com",
                "hosting.loadBalancer.hostedZoneId": "Z0123456789ABCDEFGHIJ",
            },
        ),
    ],
    "hosting.loadBalancer.testPort": [Tried(8443, engines=_SHIFTING)],
    "hosting.loadBalancer.accessLogs": [Tried(False), Tried(True, base={"hosting.loadBalancer.accessLogs": False})],
    "hosting.loadBalancer.testAllowedCidrs": [Tried(["203.0.113.0/24"], engines=_SHIFTING)],
    "hosting.loadBalancer.webAclArn": [
        Tried(_WEB_ACL),
        Tried(_WEB_ACL.replace("/shop/", "/strict/"), base={"hosting.loadBalancer.webAclArn": _WEB_ACL}),
        Tried(None, base={"hosting.loadBalancer.webAclArn": _WEB_ACL}),
    ],
    "hosting.network.flowLogs": [
        Tried("rejected"),
        Tried("all", base={"hosting.network.flowLogs": "rejected"}),
        Tried("none", base={"hosting.network.flowLogs": "rejected"}),
    ],
    # In this order, since edits are made in a row: Pulumi deletes nothing in the update that ends its protection.
    "retention.artifactAccessLogs": [Tried(False, base={"retention.artifactAccessLogs": True}), Tried(True)],
    "hosting.loadBalancer.protocolVersion": [
        Tried(
            "HTTP2",
            base={
                "hosting.loadBalancer": {"certificateArn": _CERTIFICATE, "domainName": "shop.example.com"},
                "tests.enabled": False,
            },
        )
    ],
    "hosting.loadBalancer.healthCheck.protocol": [Tried("HTTPS")],
    "hosting.loadBalancer.healthCheck.intervalSeconds": [Tried(10)],
    "hosting.loadBalancer.healthCheck.timeoutSeconds": [Tried(4)],
    "hosting.loadBalancer.healthCheck.healthyThreshold": [Tried(3)],
    "hosting.loadBalancer.healthCheck.gracePeriodSeconds": [Tried(90)],
    "hosting.service.exec": [Tried(True, base={"application.readOnlyRootFilesystem": False})],
    "hosting.service.scaling.minimum": [Tried(1, base={"hosting.service.scaling.maximum": 4})],
    "hosting.service.scaling.requestsPerTask": [Tried(1000, engines=_ROLLING)],
    "hosting.service.minimumHealthyPercent": [Tried(0, engines=_ROLLING)],
    "hosting.service.maximumPercent": [Tried(150, engines=_ROLLING)],
    "hosting.service.scaling.cpuPercent": [Tried(70)],
    "hosting.containerInsights": [Tried("disabled"), Tried("enhanced")],
    "hosting.alarms.enabled": [Tried(False), Tried(True, base={"hosting.alarms.enabled": False})],
    "hosting.alarms.errorPercent": [Tried(10)],
    "hosting.alarms.unhealthyHosts": [
        Tried(2, base={"application.desiredCount": 4, "hosting.service.scaling.minimum": 2})
    ],
    "hosting.alarms.minutes": [
        Tried(3, base={"deploy.terminationWaitMinutes": 6}, engines=("codeDeploy",)),
        Tried(3, engines=_ROLLING),
    ],
    "tests.enabled": [Tried(False), Tried(True, base={"tests.enabled": False})],
    "tests.lighthouse.budgets.performance": [Tried(70)],
    "tests.lighthouse.budgets.accessibility": [Tried(95)],
    "tests.lighthouse.budgets.bestPractices": [Tried(70)],
    "tests.lighthouse.budgets.seo": [Tried(70)],
    "deploy.testTraffic.http": [
        Tried([{"path": "/healthz"}], engines=("codeDeploy", "ecs blueGreen")),
    ],
    "deploy.testTraffic.headers": [
        Tried(
            {"X-Token": "shop/token"},
            base={"deploy.testTraffic": {"http": [{"path": "/healthz"}]}},
            engines=("codeDeploy", "ecs blueGreen"),
        )
    ],
    "tests.headers": [Tried({"Authorization": "shop/tests:authorization"})],
    "tests.lighthouse.enabled": [Tried(False, base={"tests.http": [{"path": "/healthz"}]})],
    "tests.lighthouse.devices": [Tried(["mobile", "desktop"])],
    "tests.lighthouse.runs": [Tried(5)],
    "tests.lighthouse.compute": [Tried("medium")],
    "tests.http": [Tried([{"path": "/healthz"}])],
    "tests.smokeTestTask.cpu": [Tried(512, along={"tests.smokeTestTask.memory": 1024})],
    "tests.smokeTestTask.memory": [Tried(1024)],
    "tests.timeoutMinutes": [Tried(45)],
    "verification.provenance.enabled": [Tried(False), Tried(True, base={"verification.provenance.enabled": False})],
    "verification.provenance.source": [Tried("https://github.com/example/store", base=_FROM_ECR)],
    "verification.provenance.pipeline": [
        Tried("store-dev", base=_FROM_ECR),
        Tried("arn:aws:codepipeline:eu-central-1:210987654321:shop-dev", base=_FROM_ECR),
    ],
    "verification.signature.signingProfile": [
        Tried("arn:aws:signer:eu-west-1:123456789012:/signing-profiles/shop_test"),
        Tried(
            "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/shop_test",
            base={
                **_FROM_ECR,
                "verification.signature.signingProfile": "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/shop",
            },
        ),
    ],
    "verification.scan.enabled": [Tried(True), Tried(False, base={"verification.scan.enabled": True})],
    **{
        f"verification.scan.{key}": [Tried(value, base={"verification.scan.enabled": True})]
        for key, value in {
            "maximum.critical": 1,
            "maximum.high": 5,
            "maximum.medium": 20,
            "maximum.low": 100,
            "maximum.undefined": 10,
            "allow": {"CVE-2026-1234": {"until": "2026-12-31", "reason": "the application starts no shell"}},
            "timeoutMinutes": 10,
        }.items()
    },
    "promotion.enabled": [Tried(False), Tried(True, base={"promotion.enabled": False})],
    "promotion.repository": [Tried("store-prod")],
    "promotion.accountId": [
        Tried("210987654321", along={"promotion.roleArn": "arn:aws:iam::210987654321:role/shop-promote"})
    ],
    "promotion.region": [Tried("eu-central-1")],
    "promotion.tag": [Tried("approved")],
    "promotion.roleArn": [
        Tried(
            "arn:aws:iam::210987654321:role/store-promote",
            base={
                "promotion.accountId": "210987654321",
                "promotion.roleArn": "arn:aws:iam::210987654321:role/shop-promote",
            },
        )
    ],
    "promotion.approval.enabled": [Tried(False)],
    "promotion.approval.timeoutMinutes": [Tried(1440)],
    "release.enabled": [Tried(False), Tried(True, base={"release.enabled": False})],
    "release.tagPrefix": [Tried("release-")],
    "release.github.repository": [Tried("example/releases")],
    "release.github.tokenSecret": [Tried("shop/releases")],
    "retention.protect": [Tried(True), Tried(False, base={"retention.protect": True})],
    "retention.artifactDays": [Tried(60)],
    "retention.logDays": [Tried(90)],
    "retention.images": [Tried(50)],
}
"""The values that are tried of a key; of any other the example of its description."""


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of a deployed stack's file.

    Attributes:
        key: The key, such as ``application.port``.
        engine: How the stack deploys, a name of :data:`ENGINES`.
        old: The key's value before; ``None`` where it is not there.
        new: The value afterwards; ``None`` where it is taken away.
        before: The file's content before.
        sets: What is set in it, by path; the base is, too, so that it can be set in another file.
    """

    key: str
    engine: str
    old: object
    new: object
    before: Config
    sets: Values

    @property
    def steps(self) -> list[Step]:
        """What a preview plans."""
        return planned(self.before, changed(self.before, self.sets))


def keys() -> dict[str, Shape]:
    """Every key of the stack file, by its path."""
    root = Shape(kind="section", words="", section=Settings)
    return {".".join(path): leaf for path, leaf in leaves(root)}


def edits() -> Iterator[Edit]:
    """Every edit that is tried."""
    for key, leaf in keys().items():
        for tried in TRIED.get(key) or [_example(key, leaf)]:
            for engine in tried.engines or (ENGINES if key.partition(".")[0] in BY_ENGINE else ["codeDeploy"]):
                yield _edit(key, engine, tried)


def _example(key: str, leaf: Shape) -> Tried:
    """The example of a key's description, or another value where the stack file that is edited has that one.

    Of a section that is off in that file, the section's own example is switched on beforehand.
    """
    section = key.partition(".")[0]
    known = {path.partition(".")[0] for path in (*STACK, *STAGES)} | {"deploy", "pipeline", "retention"}
    base: Values = {} if section in known else {section: (Settings.model_fields[section].examples or [{}])[0]}
    if section == "source" and (provider := key.split(".")[1]) in _OTHER_PROVIDERS:
        base = _elsewhere(provider)
    stages = {} if section in BY_ENGINE else STAGES
    before = value_at(config({**STACK, **stages, **base}), key)
    return Tried(leaf.example if leaf.example != before else _other(before), base)


def _other(value: object) -> object:
    """Another value of the same sort."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else f"{value}2"


def _edit(key: str, engine: str, tried: Tried) -> Edit:
    stages = {} if key.partition(".")[0] in BY_ENGINE else STAGES
    before = config({**STACK, **ENGINES[engine], **stages, **tried.base})
    leaf, old = keys()[key], value_at(before, key)
    default = None if leaf.required else leaf.default
    return Edit(
        key,
        engine,
        default if old is None else old,
        tried.value,
        before,
        {**tried.base, **tried.along, key: tried.value},
    )


def config(values: Values) -> Config:
    """A stack file's content.

    Args:
        values: What it says, by path; a later one is set in what an earlier one has set.
    """
    return changed({"aws:region": "eu-west-1"}, values)


def changed(content: Config, values: Values) -> Config:
    """A stack file's content with other values.

    Args:
        content: The content as it is.
        values: What is set, by path; ``None`` is taken away, and with the last key of an object that object.
    """
    new = copy.deepcopy(content)
    for path, value in values.items():
        section, *inner = path.split(".")
        *above, last = [f"{PREFIX}{section}", *inner]
        at = holder = new
        for key in above:
            holder, at = at, at.setdefault(key, {})
        if value is None:
            if at.pop(last, None) is not None and not at and len(above) > 1:
                del holder[above[-1]]
        else:
            at[last] = copy.deepcopy(value)
    return new


def value_at(content: Config, path: str) -> object:
    """What a stack file says at a path; ``None`` for nothing."""
    section, *inner = path.split(".")
    at: Any = content
    for key in [f"{PREFIX}{section}", *inner]:
        if not isinstance(at, dict) or key not in at:
            return None
        at = at[key]
    return at


_TOP = re.compile(r"[^.\[]+")
_GRAPHS: dict[str, Graph] = {}


def _graph(content: Config) -> Graph:
    """The program's graph; made once for each content."""
    key = repr(content)
    if key not in _GRAPHS:
        _GRAPHS[key] = build_program(content, stack_name="live")
    return _GRAPHS[key]


# What a preview plans.


def planned(before: Config, after: Config) -> list[Step]:
    """What a preview plans, as far as it follows from the program and the provider's facts.

    Args:
        before: The content of the file of the stack that is deployed.
        after: The content that it has now.
    """
    return list(_Planned(_graph(before), _graph(after)).steps())


@dataclass(frozen=True, slots=True)
class _Given:
    """A resource as the program gives it."""

    type: str
    name: str
    inputs: Values
    needs: Mapping[str, frozenset[str]]
    """What each input takes from, by URN."""
    ignored: frozenset[str] = frozenset()
    """The properties of which a change, or that of a part, is ignored."""
    in_part: frozenset[str] = frozenset()
    """Those of them whose parts are."""


class _Planned:
    """Compares two graphs of a program."""

    def __init__(self, before: Graph, after: Graph) -> None:
        self._before, self._after = _given(before), _given(after)
        self._replaced: set[str] = set()

    def steps(self) -> Iterator[Step]:
        """Every step; a resource that takes from one that is made anew changes, too."""
        plans: dict[str, tuple[str, tuple[str, ...]]] = {}
        while True:
            count = len(self._replaced)
            for urn in {**self._before, **self._after}:
                plans[urn] = self._plan(urn)
            if len(self._replaced) == count:
                break
        for urn, (op, changed) in plans.items():
            given = self._after.get(urn) or self._before[urn]
            kept = {name for name, value in given.inputs.items() if value is not None}
            dropped = tuple(name for name in changed if name not in kept)
            old, new = (State(found[urn].inputs) if urn in found else None for found in (self._before, self._after))
            yield Step(op, urn, given.type, given.name, changed=changed, dropped=dropped, old=old, new=new)

    def _plan(self, urn: str) -> tuple[str, tuple[str, ...]]:
        before, after = self._before.get(urn), self._after.get(urn)
        if before is None:
            return "create", ()
        if after is None:
            self._replaced.add(urn)
            return "delete", ()
        names = changes.changed(after.type, before.inputs, before.inputs, after.inputs)
        names |= {name for name, urns in after.needs.items() if urns & self._replaced}
        both = {name for name in after.in_part if before.inputs.get(name) and after.inputs.get(name)}
        # Of lists, what a deployment writes is in the first entry: the others are the program's.
        both -= {name for name in both if _others(before.inputs[name]) != _others(after.inputs[name])}
        names -= (after.ignored - after.in_part) | both  # where a list is empty on one side there is no part to ignore
        if changes.replacing(after.type, names, before.inputs, after.inputs):
            # What takes from the component takes from the VPC, its first child.
            self._replaced |= {urn, urn.removesuffix(f"$aws:ec2/vpc:Vpc::{after.name}")}
            return "replace", tuple(sorted(names))
        return ("update" if names else "same"), tuple(sorted(names))


def _others(value: object) -> list[Any]:
    """The entries of a list behind its first."""
    return value[1:] if isinstance(value, list) else []


def _given(graph: Graph) -> dict[str, _Given]:
    found = {}
    for item in graph:
        if item.type == VPC:
            found.update(children_of(item))
        elif item.custom:
            ignored = frozenset(_TOP.findall(name)[0] for name in item.ignore_changes)
            in_part = ignored - {*item.ignore_changes}
            needs = {name: frozenset(urns) for name, urns in item.property_dependencies.items()}
            found[item.urn] = _Given(item.type, item.name, _comparable(item.inputs), needs, ignored, in_part)
    return found


def _comparable(inputs: Values) -> Values:
    return {name: _asset(value) for name, value in inputs.items()}


def _asset(value: object) -> object:
    """An asset by what it is made from: two of them are never equal."""
    if isinstance(value, pulumi.AssetArchive):
        return {name: _asset(part) for name, part in value.assets.items()}
    return vars(value) if isinstance(value, pulumi.Asset | pulumi.Archive) else value


class _Children:
    """Takes the place of the engine while the local provider makes a VPC: keeps what is registered."""

    def __init__(self, component: str) -> None:
        self._component = component
        self.made: dict[str, _Given] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401, N802 - messages of Pulumi's protocol
        urn = f"{request.parent}${request.type}::{request.name}" if request.custom else self._component
        if request.custom:
            inputs = from_struct(request.object)
            needs = {name: frozenset({str(value)}) for name, value in inputs.items() if str(value) in self.made}
            self.made[urn] = _Given(request.type, request.name, inputs, needs)
        return SimpleNamespace(urn=urn, id=urn)

    def RegisterResourceOutputs(self, _request: Any) -> None:  # noqa: ANN401, N802 - as above
        """The outputs are the mocks' affair."""

    def Invoke(self, _request: Any) -> Any:  # noqa: ANN401, N802 - as above
        zones: Any = to_struct({"names": ["eu-west-1a", "eu-west-1b", "eu-west-1c"]})
        return SimpleNamespace(**{"return": zones})


def children_of(component: Resource) -> dict[str, _Given]:
    """What the local provider makes for a VPC."""
    engine: Any = _Children(component.urn)
    request = pb.ConstructRequest(name=component.name)
    Vpc(engine, request, dict(component.inputs), "").build()
    return {**engine.made}
