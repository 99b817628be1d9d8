"""Load balancer: encrypted unless asked otherwise, quick to notice, and left alone where deployments write."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from made_hosting import CERTIFICATE, made
from mocked import build_program

from components.foundation.account_needs import LOAD_BALANCERS, LOAD_BALANCING_ROLE
from components.hosting.load_balancer import TLS_POLICY
from components.hosting.target_group import fitted

ECS_CANARY: dict[str, Any] = {"engine": "ecs", "strategy": "canary"}


def test_it_drops_what_is_malformed_and_writes_down_who_asked_for_what() -> None:
    found = made(protect=True)
    balancer = found.one("aws:lb/loadBalancer:LoadBalancer")
    assert {
        key: balancer.inputs[key]
        for key in ("dropInvalidHeaderFields", "desyncMitigationMode", "enableDeletionProtection", "accessLogs")
    } == {
        "dropInvalidHeaderFields": True,
        "desyncMitigationMode": "defensive",
        "enableDeletionProtection": True,
        "accessLogs": {"bucket": "hosting-access-logs-bucket-1a2b3c4", "enabled": True},
    }
    assert found.one("BucketPolicy", "access-logs-policy").urn in balancer.dependencies
    assert made().one("aws:lb/loadBalancer:LoadBalancer").inputs["enableDeletionProtection"] is False


def test_access_logs_come_from_load_balancers_of_this_account_and_end_after_the_log_days() -> None:
    found = made()
    bucket = "arn:aws:s3:::hosting-access-logs-bucket-1a2b3c4"
    deny, allow = json.loads(found.one("BucketPolicy", "access-logs-policy").inputs["policy"])["Statement"]
    assert (deny["Effect"], deny["Resource"]) == ("Deny", [bucket, f"{bucket}/*"])
    assert allow == {
        "Sid": "AddAccessLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"{bucket}/AWSLogs/123456789012/*",
    }
    (rule,) = found.one("BucketLifecycleConfiguration", "access-logs-lifecycle").inputs["rules"]
    assert rule["expiration"] == {"days": 365}


def test_access_logs_may_be_left_out() -> None:
    found = made({"loadBalancer": {"plainHttp": True, "accessLogs": False}})
    assert "accessLogs" not in found.one("aws:lb/loadBalancer:LoadBalancer").inputs
    assert [item.name for item in found.graph.of("aws:s3/bucket:Bucket")] == []


WEB_ACL = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/shop/0f0f0f0f-1234-4abc-8def-0123456789ab"


def test_a_web_acl_judges_the_requests_of_the_load_balancer() -> None:
    found = made({"loadBalancer": {"plainHttp": True, "webAclArn": WEB_ACL}})
    balancer = found.one("aws:lb/loadBalancer:LoadBalancer")
    assert found.one("WebAclAssociation").inputs == {"resourceArn": balancer.outputs["arn"], "webAclArn": WEB_ACL}
    assert made().graph.of("WebAclAssociation") == []


def test_with_a_certificate_plain_http_is_redirected() -> None:
    found = made({"loadBalancer": {"certificateArn": CERTIFICATE}})
    redirect = found.listeners["redirect"]
    assert (redirect["port"], redirect["protocol"]) == (80, "HTTP")
    assert redirect["defaultActions"] == [
        {"type": "redirect", "redirect": {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"}}
    ]
    for role, port in (("production", 443), ("test", 8443)):
        listener = found.listeners[role]
        assert (listener["port"], listener["protocol"], listener["sslPolicy"]) == (port, "HTTPS", TLS_POLICY)
        assert listener["certificateArn"] == CERTIFICATE


def test_nobody_is_served_by_a_version_of_tls_before_1_2() -> None:
    """The policy's name has the oldest version of TLS.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
    """
    found = made({"loadBalancer": {"certificateArn": CERTIFICATE}})
    for role in ("production", "test"):
        assert re.fullmatch(r"ELBSecurityPolicy-TLS13-1-[23]-[\w-]+", found.listeners[role]["sslPolicy"])


def test_plain_http_has_no_redirect_and_no_policy() -> None:
    found = made()
    assert set(found.listeners) == {"production", "test"}
    assert not {"sslPolicy", "certificateArn"} & set(found.listeners["production"])


@pytest.mark.parametrize(
    ("balancer", "url"),
    [
        ({"plainHttp": True}, "http://lb-shop-dev-1.eu-west-1.elb.amazonaws.com"),
        ({"plainHttp": True, "domainName": "shop.example.com"}, "http://shop.example.com"),
        ({"certificateArn": CERTIFICATE, "domainName": "shop.example.com"}, "https://shop.example.com"),
        ({"certificateArn": CERTIFICATE}, None),
    ],
)
def test_the_address_is_the_domain_or_the_load_balancers_own_name(balancer: dict[str, Any], url: str | None) -> None:
    """Its own name is in no certificate, so it is no address with one."""
    assert made({"loadBalancer": balancer}).graph.exports.get("url") == url


@pytest.mark.parametrize(
    ("balancer", "url"),
    [
        ({"plainHttp": True}, "http://lb-shop-dev-1.eu-west-1.elb.amazonaws.com:8080"),
        ({"certificateArn": CERTIFICATE, "domainName": "shop.example.com"}, "https://shop.example.com:8443"),
        ({"plainHttp": True, "domainName": "shop.example.com", "testPort": 9090}, "http://shop.example.com:9090"),
    ],
)
def test_jobs_reach_the_new_version_at_the_listener_for_tests(balancer: dict[str, Any], url: str) -> None:
    checked = {"engine": "ecs", "strategy": "blueGreen", "testTraffic": {"http": [{"path": "/"}]}}
    graph = build_program(
        {
            "aws:region": "eu-west-1",
            "ecs-delivery:application": {"name": "shop"},
            "ecs-delivery:source": {"github": {"repository": "example/shop"}},
            "ecs-delivery:hosting": {"loadBalancer": balancer},
            "ecs-delivery:deploy": checked,
        }
    )
    (job,) = (item for item in graph.of("aws:codebuild/project:Project") if item.name == "shop-deploy-ecs-project")
    variables = {item["name"]: item["value"] for item in job.inputs["environment"]["environmentVariables"]}
    assert variables["TEST_URL"] == url


def test_a_task_is_taken_for_healthy_or_not_within_ten_seconds() -> None:
    found = made(application={"name": "shop", "healthCheckPath": "/healthz"})
    for group in found.graph.of("TargetGroup"):
        assert group.inputs["healthCheck"] == {
            "path": "/healthz",
            "protocol": "HTTP",
            "matcher": "200-399",
            "interval": 5,
            "timeout": 2,
            "healthyThreshold": 2,
            "unhealthyThreshold": 2,
        }
        assert group.inputs["deregistrationDelay"] == 15
        assert group.inputs["targetType"] == "ip"


@pytest.mark.parametrize(
    ("deploy", "colours", "listeners", "rules"),
    [
        ({}, ["blue", "green"], ["production", "test"], []),
        ({"engine": "ecs"}, ["blue"], ["http"], []),
        ({"engine": "ecsAction"}, ["blue"], ["http"], []),
        (ECS_CANARY, ["blue", "green"], ["production", "test"], ["production-rule", "test-rule"]),
    ],
    ids=["codeDeploy", "ecs rolling", "ecsAction", "ecs canary"],
)
def test_an_engine_gets_the_target_groups_listeners_and_rules_it_moves(
    deploy: dict[str, Any], colours: list[str], listeners: list[str], rules: list[str]
) -> None:
    found = made(deploy=deploy)
    assert sorted(item.inputs["name"] for item in found.graph.of("TargetGroup")) == [f"shop-dev-{c}" for c in colours]
    assert sorted(found.listeners) == listeners
    assert {item.name for item in found.graph.of("ListenerRule")} == {f"hosting-load-balancer-{r}" for r in rules}
    assert found.graph.exports["targetGroups"] == [f"shop-dev-{c}" for c in colours]


def test_what_a_deployment_turns_to_other_tasks_is_never_turned_back() -> None:
    """Else the next `pulumi up` would send the users to the old target group (terraform-aws-alb#322)."""
    code_deploy = made().graph.of("aws:lb/listener:Listener")
    assert [item.ignore_changes for item in code_deploy] == [("defaultActions",), ("defaultActions",)]
    native = made(deploy=ECS_CANARY).graph
    assert [item.ignore_changes for item in native.of("ListenerRule")] == [("actions",), ("actions",)]
    assert [item.ignore_changes for item in native.of("aws:lb/listener:Listener")] == [(), ()]
    rolling = made({"loadBalancer": {"certificateArn": CERTIFICATE}}, deploy={"engine": "ecs"}).graph
    assert [item.ignore_changes for item in rolling.of("aws:lb/listener:Listener")] == [(), ()]


def test_a_redirect_is_never_ignored() -> None:
    found = made({"loadBalancer": {"certificateArn": CERTIFICATE}})
    assert found.graph.one("aws:lb/listener:Listener", "hosting-load-balancer-redirect").ignore_changes == ()


def test_rules_start_with_everything_on_the_first_target_group() -> None:
    for rule in made(deploy=ECS_CANARY).graph.of("ListenerRule"):
        assert rule.inputs["conditions"] == [{"pathPattern": {"values": ["/*"]}}]
        (action,) = rule.inputs["actions"]
        assert [group["weight"] for group in action["forward"]["targetGroups"]] == [100, 0]


SECURE = {"certificateArn": CERTIFICATE, "domainName": "shop.example.com"}


@pytest.mark.parametrize(
    ("balancer", "path", "group", "check"),
    [
        ({}, "/", {"protocol": "HTTP"}, {"path": "/", "protocol": "HTTP", "matcher": "200-399"}),
        ({"healthCheck": {"matcher": "200,401", "port": 9090}}, "/", {}, {"matcher": "200,401", "port": "9090"}),
        ({"targetProtocol": "HTTPS"}, "/", {"protocol": "HTTPS"}, {"protocol": "HTTPS"}),
        (
            {"targetProtocol": "HTTPS", "healthCheck": {"protocol": "HTTP"}},
            "/",
            {"protocol": "HTTPS"},
            {"protocol": "HTTP"},
        ),
        ({**SECURE, "protocolVersion": "HTTP2"}, "/", {"protocolVersion": "HTTP2"}, {"matcher": "200-399"}),
        (
            {**SECURE, "protocolVersion": "GRPC"},
            "/",
            {"protocolVersion": "GRPC"},
            {"path": "/AWS.ALB/healthcheck", "matcher": "12"},
        ),
        (
            {**SECURE, "protocolVersion": "GRPC"},
            "/grpc.health.v1.Health/Check",
            {},
            {"path": "/grpc.health.v1.Health/Check", "matcher": "0"},
        ),
        (
            {"stickinessSeconds": 60},
            "/",
            {"stickiness": {"type": "lb_cookie", "enabled": True, "cookieDuration": 60}},
            {},
        ),
        ({}, "/", {"stickiness": {"type": "lb_cookie", "enabled": False}}, {}),
        ({"slowStartSeconds": 30}, "/", {"slowStart": 30}, {}),
    ],
)
def test_tasks_are_spoken_to_and_judged_as_the_stack_file_says(
    balancer: dict[str, Any], path: str, group: dict[str, Any], check: dict[str, Any]
) -> None:
    section = {"loadBalancer": balancer if "certificateArn" in balancer else {"plainHttp": True, **balancer}}
    for made_group in made(section, application={"name": "shop", "healthCheckPath": path}).graph.of("TargetGroup"):
        assert made_group.inputs.items() >= group.items()
        assert made_group.inputs["healthCheck"].items() >= check.items()


def test_what_is_awss_default_is_not_said() -> None:
    """Else an upgrade would be a change of what is there."""
    found = made()
    assert "idleTimeout" not in found.one("aws:lb/loadBalancer:LoadBalancer").inputs
    for group in found.graph.of("TargetGroup"):
        assert not {"protocolVersion", "slowStart"} & set(group.inputs)
        assert "port" not in group.inputs["healthCheck"]
    other = made({"loadBalancer": {"plainHttp": True, "idleTimeoutSeconds": 300}})
    assert other.one("aws:lb/loadBalancer:LoadBalancer").inputs["idleTimeout"] == 300


@pytest.mark.parametrize("engine", ["ecs", "ecsAction"])
def test_with_one_target_group_each_port_has_a_listener_of_its_own(engine: str) -> None:
    """So the one of HTTPS can come and go; port 80 redirects only when it is there."""
    found = made({"loadBalancer": {"certificateArn": CERTIFICATE}}, deploy={"engine": engine})
    assert {role: (item["port"], item["protocol"]) for role, item in found.listeners.items()} == {
        "http": (80, "HTTP"),
        "https": (443, "HTTPS"),
    }
    http = found.one("aws:lb/listener:Listener", "load-balancer-http")
    assert http.inputs["defaultActions"][0]["type"] == "redirect"
    assert found.one("aws:lb/listener:Listener", "load-balancer-https").urn in http.dependencies
    (plain,) = made(deploy={"engine": engine}).listeners.values()
    assert plain["defaultActions"][0]["type"] == "forward"


@pytest.mark.parametrize("engine", ["ecs", "ecsAction"])
def test_a_service_without_load_balancer_has_nothing_of_one(engine: str) -> None:
    found = made({"loadBalancer": {"enabled": False}}, deploy={"engine": engine})
    kinds = {item.type for item in found.graph}
    assert not [kind for kind in kinds if kind.startswith(("aws:lb/", "aws:s3/", "aws:cloudwatch/metricAlarm"))]
    service = found.one("aws:ecs/service:Service")
    assert service.inputs["loadBalancers"] == []
    assert "healthCheckGracePeriodSeconds" not in service.inputs
    assert not [path for path in service.ignore_changes if path.startswith("loadBalancers")]
    assert "healthCheckGracePeriodSeconds" in service.ignore_changes, "ECS refuses it, whatever it was before"
    rules = found.graph.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert [item.name for item in rules] == [], "nobody reaches the tasks"
    assert len(found.graph.of("aws:ec2/securityGroup:SecurityGroup")) == 1
    target = found.hosting
    assert (target.service_url, target.load_balancer_dns_name, target.target_groups) == (None, None, ())
    assert (target.notes, target.alarms) == ((), ())
    assert not {need.quota for need in target.needs} & {LOAD_BALANCERS}
    assert LOAD_BALANCING_ROLE not in target.service_linked_roles


@pytest.mark.parametrize("name", ["shop-dev-blue", "a" * 32])
def test_a_name_that_fits_stays_as_it_is(name: str) -> None:
    assert fitted(name) == name


def test_a_name_that_is_too_long_is_cut_and_stays_apart_from_others() -> None:
    long = "a-name-of-24-characters1-staging"
    blue, green = fitted(f"{long}-blue"), fitted(f"{long}-green")
    assert blue != green
    assert max(len(blue), len(green)) <= 32
    assert blue.startswith("a-name-of-24-characters1-")


def test_the_dns_record_is_made_where_the_zone_is_named() -> None:
    """Then there is nothing left to do for a person."""
    zone = {"plainHttp": True, "domainName": "shop.example.com", "hostedZoneId": "Z0123456789ABCDEFGHIJ"}
    found = made({"loadBalancer": zone})
    record, balancer = found.one("aws:route53/record:Record"), found.one("aws:lb/loadBalancer:LoadBalancer")
    assert (record.inputs["zoneId"], record.inputs["name"], record.inputs["type"]) == (
        "Z0123456789ABCDEFGHIJ",
        "shop.example.com",
        "A",
    )
    assert record.inputs["aliases"] == [
        {
            "name": balancer.outputs["dnsName"],
            "zoneId": balancer.outputs["zoneId"],
            "evaluateTargetHealth": False,
        }
    ]
    assert found.hosting.notes == ()
    own = made({"loadBalancer": {"plainHttp": True, "domainName": "shop.example.com"}})
    assert own.graph.of("aws:route53/record:Record") == []
    assert len(own.hosting.notes) == 1
