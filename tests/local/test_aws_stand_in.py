"""The stand-in for the aws provider, asked what the engine asks, without an engine."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import cast

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import pytest
from local_provider import SDK, Context, Provider, Refused, Values
from summary import program, stack_files

from local.engine.providers.aws import AwsStandIn
from local.engine.providers.catalogue import ACCOUNT, KINDS, Document
from local.engine.providers.protocol import (
    UNKNOWN,
    Value,
    from_struct,
    is_unknown,
    provider_pb2,
    provider_pb2_grpc,
    to_struct,
)
from local.engine.providers.server import serving

SECRET: Value = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "hunter2"}

BUCKET = "aws:s3/bucket:Bucket"
ROLE = "aws:iam/role:Role"
LOGS = "aws:cloudwatch/logGroup:LogGroup"
REPOSITORY = "aws:ecr/repository:Repository"
SERVICE = "aws:ecs/service:Service"
TARGETS = "aws:lb/targetGroup:TargetGroup"
APPLICATION = "aws:codedeploy/application:Application"


@pytest.fixture
def provider() -> Provider:
    return Provider()


# What is refused.


@pytest.mark.parametrize("call", ["Check", "Diff", "Create", "Update", "Delete"])
def test_no_call_serves_an_unknown_type(provider: Provider, call: str) -> None:
    request = getattr(provider_pb2, f"{call}Request")(urn=provider.urn("aws:s3/bukket:Bucket", "x"))
    said = r"aws:s3/bukket:Bucket is not a resource type of pulumi-aws 7\.51\.1; did you mean"
    with pytest.raises(Refused, match=said):
        getattr(provider.standin, call)(request, provider.context)


@pytest.mark.parametrize(
    ("token", "inputs", "said"),
    [
        (LOGS, {"retentionInDays": SECRET}, "`retentionInDays` must be a whole number, got a string"),
        # Pulumi adds eight characters to a logical name.
        (TARGETS, {}, "`name` must have at most 32 characters, got 34 ('a-rather-long-service-name-613b29f')"),
    ],
    ids=["a secret of the wrong type", "a name longer than AWS takes"],
)
def test_what_aws_would_refuse_is_refused(provider: Provider, token: str, inputs: Values, said: str) -> None:
    assert provider.check(token, inputs, name="a-rather-long-service-name")[1] == [said]


@pytest.mark.parametrize(("token", "size"), [(token, kind.document) for token, kind in KINDS.items() if kind.document])
def test_a_document_that_is_too_long_is_refused(provider: Provider, token: str, size: Document) -> None:
    others = {name: "shop" for name in SDK.resource(token).inputs.required if name != size.input}
    longest, longer = "x" * (size.most - 2) + "\u00e4", "x" * (size.most - 1) + "\u00e4"
    assert provider.check(token, {**others, size.input: longest})[1] == []
    assert provider.check(token, {**others, size.input: longer})[1] == [
        f"`{size.input}` is too long: {size.error}: {size.most}, got {size.most + 1} characters"
    ]
    assert provider.check(token, {**others, size.input: UNKNOWN})[1] == []


def test_the_same_thing_made_twice_is_refused(provider: Provider) -> None:
    for name, said in (("one", []), ("one", []), ("two", ["`name` would make 'x' twice: 'one' is the same thing"])):
        assert provider.check(LOGS, {"name": "x"}, name=name)[1] == said
        assert provider.check(LOGS, {"name": UNKNOWN}, name=name)[1] == [], "who knows"


# The provider's own configuration.


def config_failures(config: Values) -> list[str]:
    request = provider_pb2.CheckRequest(news=to_struct(config))
    response = AwsStandIn(SDK, "7.51.1").CheckConfig(request, cast("grpc.ServicerContext", Context()))
    return [failure.reason for failure in response.failures]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        *(({"region": region}, "") for region in ("eu-west-1", "us-gov-west-1", "cn-north-1", UNKNOWN)),
        *(
            ({"region": region}, f"`region` must be a region such as eu-west-1, got {region!r}")
            for region in ("europe", "eu-west", "EU-WEST-1", "")
        ),
        # All but strings travels as JSON.
        ({"region": "eu-west-1", "defaultTags": '{"tags": {"team": "shop"}}', "maxRetries": "3"}, ""),
        (
            {"region": "eu-west-1", "defaultTags": '{"tag": {}}'},
            "`defaultTags.tag` is not a known property; did you mean `tags`?",
        ),
        ({"region": "eu-west-1", "allowedAccountIds": '["222222222222"]'}, ""),
        (
            {"region": "eu-west-1", "allowedAccountIds": '["2222"]'},
            "`allowedAccountIds` must name accounts by 12 digits in quotes, got '2222'",
        ),
        (
            {"region": "eu-west-1", "allowedAccountIds": "[222222222222]"},
            "`allowedAccountIds[0]` must be a string, got the number 2.22222e+11",
        ),
        ({"region": "eu-west-1", "regoin": "x"}, "`regoin` is not a known property; did you mean `region`?"),
    ],
)
def test_the_configuration_is_checked(config: Values, said: str) -> None:
    assert config_failures(config) == ([said] if said else [])


def test_another_region_replaces_everything() -> None:
    request = provider_pb2.DiffRequest(old_inputs=to_struct({"region": "a"}), news=to_struct({"region": "b"}))
    response = AwsStandIn(SDK, "7.51.1").DiffConfig(request, cast("grpc.ServicerContext", Context()))
    assert list(response.replaces) == ["region"]


# Names.


def test_a_name_that_is_made_up_is_always_the_same(provider: Provider) -> None:
    checked, _ = provider.check(ROLE, {"assumeRolePolicy": "{}"})
    assert Provider().check(ROLE, {"assumeRolePolicy": "{}"})[0] == checked
    assert provider.check(ROLE, {"assumeRolePolicy": "{}"}, name="other")[0]["name"] != checked["name"]


@pytest.mark.parametrize(
    ("token", "inputs", "olds", "name"),
    [
        (ROLE, {}, {}, "Shop-[0-9a-f]{7}"),
        (BUCKET, {}, {}, "shop-[0-9a-f]{7}"),
        (ROLE, {"name": "given"}, {}, "given"),
        (ROLE, {"namePrefix": "pre-"}, {}, "pre-[0-9a-f]{7}"),
        (ROLE, {}, {"name": "shop-0ldname"}, "shop-0ldname"),
        (ROLE, {"namePrefix": "new-"}, {"namePrefix": "old-", "name": "old-1234567"}, "new-[0-9a-f]{7}"),
        ("aws:kms/key:Key", {}, {}, "None"),
    ],
    ids=["as Pulumi's", "a bucket's", "given", "with a prefix", "as before", "with another prefix", "none"],
)
def test_a_resource_is_named_as_pulumi_would(
    provider: Provider, token: str, inputs: Values, olds: Values, name: str
) -> None:
    required: Values = {"assumeRolePolicy": "{}"} if token == ROLE else {}
    checked, _ = provider.check(token, {**required, **inputs}, name="Shop", olds=olds)
    assert re.fullmatch(name, str(checked.get("bucket" if token == BUCKET else "name")))


# Outputs.

BALANCER = f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:loadbalancer/app/shop/0123456789abcdef"
ARNS: dict[str, tuple[Values, str]] = {
    "aws:kms/key:Key": (
        {},
        "kms:{here}:key/[0-9a-f]{{8}}-[0-9a-f]{{4}}-4[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}",
    ),
    ROLE: ({"name": "build", "path": "/ci/", "assumeRolePolicy": "{}"}, "iam::{account}:role/ci/build"),
    "aws:lb/listener:Listener": (
        {"loadBalancerArn": BALANCER, "defaultActions": []},
        "elasticloadbalancing:{here}:listener/app/shop/0123456789abcdef/[0-9a-f]{{16}}",
    ),
    # A type nobody has reviewed.
    "aws:dynamodb/table:Table": ({"name": "orders"}, "dynamodb:{here}:[a-z]+/orders"),
}
"""Those that the golden files do not show."""


@pytest.mark.parametrize(("token", "inputs", "arn"), [(token, *row) for token, row in ARNS.items()], ids=list(ARNS))
def test_after_up_every_computed_output_is_there_and_the_arn_has_awss_form(
    provider: Provider, token: str, inputs: Values, arn: str
) -> None:
    """An output that is missing after `up` would reach the program as None."""
    identity, outputs = provider.made(token, inputs)
    assert re.fullmatch(f"arn:aws:{arn}".format(here=f"eu-west-1:{ACCOUNT}", account=ACCOUNT), str(outputs["arn"]))
    assert identity
    resource = SDK.resource(token)
    computed = {
        name
        for name, shape in resource.outputs.items()
        if name not in resource.inputs.properties and shape.kind not in {"any", "object"}
    }
    assert computed <= outputs.keys()
    assert not any(map(is_unknown, outputs.values()))


def test_an_elastic_ip_address_is_known_by_its_allocation(provider: Provider) -> None:
    """AWS's provider passes the one for the other, as does awsx."""
    identity, outputs = provider.made("aws:ec2/eip:Eip", {})
    assert outputs["allocationId"] == identity


@pytest.mark.parametrize(
    ("region", "inputs", "arn", "domain"),
    [
        ("cn-north-1", {}, "arn:aws-cn:ecr:cn-north-1", "cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", {}, "arn:aws-us-gov:ecr:us-gov-west-1", "us-gov-west-1.amazonaws.com"),
        ("eu-west-1", {"region": "us-east-1"}, "arn:aws:ecr:us-east-1", "us-east-1.amazonaws.com"),
    ],
)
def test_another_region_or_partition_has_its_own_arns_and_domains(
    region: str, inputs: Values, arn: str, domain: str
) -> None:
    _, outputs = Provider(region).made(REPOSITORY, {"name": "shop", **inputs})
    assert outputs["region"] == inputs.get("region", region)
    assert outputs["arn"] == f"{arn}:{ACCOUNT}:repository/shop"
    assert outputs["repositoryUrl"] == f"{ACCOUNT}.dkr.ecr.{domain}/shop"


def test_a_preview_knows_inputs_and_tags_but_nothing_that_aws_makes_up(provider: Provider) -> None:
    inputs: Values = {"name": "x", "tags": {"team": "shop"}, "kmsKeyId": UNKNOWN}
    identity, outputs = provider.create(LOGS, inputs, preview=True)
    assert identity == ""
    assert outputs == {**inputs, "tagsAll": {"team": "shop"}, "region": "eu-west-1"}


def test_default_tags_reach_tags_all() -> None:
    tagged = Provider(defaultTags='{"tags": {"team": "shop", "stage": "dev"}}')
    _, outputs = tagged.made(LOGS, {"tags": {"stage": "prod"}})
    assert outputs["tagsAll"] == {"team": "shop", "stage": "prod"}
    assert outputs["tags"] == {"stage": "prod"}


def test_a_secret_input_comes_back_as_a_secret(provider: Provider) -> None:
    _, outputs = provider.create(LOGS, {"name": "x", "kmsKeyId": SECRET})
    assert outputs["kmsKeyId"] == SECRET


def test_an_update_keeps_what_aws_made_up_and_drops_inputs_no_longer_given(provider: Provider) -> None:
    old: Values = {"name": "shop", "retentionInDays": 30.0, "kmsKeyId": "key"}
    identity, state = provider.create(LOGS, old)
    new: Values = {"name": "shop", "retentionInDays": 60.0}
    updated = provider.update(LOGS, state, old, new, identity)
    assert updated["arn"] == state["arn"]
    assert updated["retentionInDays"] == 60.0
    assert "kmsKeyId" not in updated


def test_the_catalogue_describes_nothing_that_the_program_never_makes() -> None:
    """The mocks of the tests refuse what it does not describe."""
    made = {item.type for name in stack_files() for item in program(name) if item.custom}
    by_awsx = {
        f"aws:ec2/{name[0].lower()}{name[1:]}:{name}"
        for name in ("Vpc", "Subnet", "InternetGateway", "RouteTable", "Route", "RouteTableAssociation", "Eip")
    }
    elsewhere = {"aws:ec2/natGateway:NatGateway", "aws:ec2/vpcEndpoint:VpcEndpoint"}  # no stack file here has endpoints
    assert KINDS.keys() - made == by_awsx | elsewhere


@pytest.mark.parametrize("token", KINDS)
def test_the_catalogue_speaks_of_properties_the_sdk_has(token: str) -> None:
    resource = SDK.resource(token)
    kind = KINDS[token]
    assert not kind.name or kind.name in resource.inputs.properties
    assert kind.computed.keys() <= resource.outputs.keys()


# Functions.


def test_a_listener_a_load_balancer_and_zones_are_found(provider: Provider) -> None:
    found, failures = provider.invoke("aws:lb/getListener:getListener", {"loadBalancerArn": BALANCER, "port": 443.0})
    assert (failures, found["port"]) == ([], 443.0)
    assert re.fullmatch(f"{BALANCER.replace(':loadbalancer/', ':listener/')}/[0-9a-f]{{16}}", str(found["arn"]))
    found, _ = provider.invoke("aws:lb/getLoadBalancer:getLoadBalancer", {"name": "shop"})
    assert re.fullmatch(f"{BALANCER.rpartition('/')[0]}/[0-9a-f]{{16}}", str(found["arn"]))
    assert re.fullmatch(r"shop-\d+\.eu-west-1\.elb\.amazonaws\.com", str(found["dnsName"]))
    found, _ = provider.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {})
    assert found["names"] == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]


def test_a_misspelt_argument_of_a_function_is_refused(provider: Provider) -> None:
    _, failures = provider.invoke("aws:lb/getListener:getListener", {"loadBalancer": "x"})
    assert failures == [
        "`loadBalancerArn` is required and missing",
        "`port` is required and missing",
        "`loadBalancer` is not a known property; did you mean `loadBalancerArn`?",
    ]


def test_each_connection_has_a_provider_of_its_own() -> None:
    """A change of the region has the engine configure two: the old one deletes what the new one does not make."""
    made = dict[str, Value]()
    with ExitStack() as stack:
        port = stack.enter_context(serving(lambda: AwsStandIn(SDK, "7.51.1")))
        regions = ("eu-west-1", "us-east-1")
        option = [("grpc.use_local_subchannel_pool", 1)]
        channels = [stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}", option)) for _ in regions]
        stubs = [provider_pb2_grpc.ResourceProviderStub(channel) for channel in channels]
        for region, stub in zip(regions, stubs, strict=True):
            stub.Configure(provider_pb2.ConfigureRequest(args=to_struct({"region": region})))
        request = provider_pb2.CreateRequest(urn=Provider.urn(LOGS, "shop"), properties=to_struct({"name": "shop"}))
        for region, stub in zip(regions, stubs, strict=True):
            made[region] = from_struct(stub.Create(request).properties)["arn"]
    assert made == {region: f"arn:aws:logs:{region}:{ACCOUNT}:log-group:shop" for region in regions}
