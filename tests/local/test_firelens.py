"""What FireLens makes of a task, in the words of Amazon ECS's own agent; and the program that stands for a router."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest

from local.rehearsal.base_images import log_router
from local.rehearsal.hosting import firelens

ROUTED: dict[str, Any] = {
    "name": "shop",
    "logConfiguration": {
        "logDriver": "awsfirelens",
        "options": {"Name": "datadog", "Host": "logs.example.com", "exclude-pattern": "^GET /healthz"},
        "secretOptions": [{"name": "apikey", "valueFrom": "arn:of-the-key"}],
    },
    "dependsOn": [{"containerName": "prepare", "condition": "SUCCESS"}],
}
PLAIN: dict[str, Any] = {"name": "prepare", "logConfiguration": {"logDriver": "awslogs"}}
ROUTER: dict[str, Any] = {
    "name": "router",
    "firelensConfiguration": {"type": "fluentbit"},
    "logConfiguration": {"logDriver": "awslogs"},
}
TASK = (PLAIN, ROUTED, ROUTER)


def test_a_task_without_a_router_is_as_it_is() -> None:
    assert firelens.ordered([PLAIN]) == [PLAIN]
    assert firelens.router_of([PLAIN]) is None


def test_who_is_routed_starts_after_the_router_beside_what_it_says_itself() -> None:
    plain, routed, router = firelens.ordered(TASK)
    assert (plain, router) == (PLAIN, ROUTER)
    assert routed["dependsOn"] == [*ROUTED["dependsOn"], {"containerName": "router", "condition": "START"}]


def test_the_engine_writes_to_the_routers_socket() -> None:
    """https://github.com/aws/amazon-ecs-agent/blob/master/agent/engine/docker_task_engine.go: the tag, the address."""
    driver = firelens.log_driver(ROUTED, "0123", "/data/socket")
    assert driver["Type"] == "fluentd"
    assert driver["Config"]["tag"] == "shop-firelens-0123"
    assert driver["Config"]["fluentd-address"] == "unix:///data/socket/fluent.sock"
    assert "fluentd-buffer-limit" not in driver["Config"]
    limited = {**ROUTED, "logConfiguration": {"options": {"log-driver-buffer-limit": "2097152"}}}
    assert firelens.log_driver(limited, "0", "/")["Config"]["fluentd-buffer-limit"] == "2097152"


def test_secret_options_reach_the_router_by_variables() -> None:
    """With the container's place in the task, since a hyphen of its name would break the variable's."""
    assert list(firelens.secret_variables(TASK)) == [("apikey_1", "arn:of-the-key")]


def test_fluent_bit_is_told_where_lines_go() -> None:
    path, text = firelens.configuration(TASK, "0123")
    assert path == "/fluent-bit/etc/fluent-bit.conf"
    assert text == (
        "[INPUT]\n    Name forward\n    unix_path /var/run/fluent.sock\n\n"
        "[INPUT]\n    Name forward\n    Listen 127.0.0.1\n    Port 24224\n\n"
        "[FILTER]\n    Name grep\n    Match shop-firelens-0123\n    Exclude log ^GET /healthz\n\n"
        "[OUTPUT]\n    Name datadog\n    Match shop-firelens-0123\n    Host logs.example.com\n    apikey ${apikey_1}\n"
    )


def test_fluentd_is_told_where_lines_go() -> None:
    options = {"@type": "s3", "include-pattern": "ERROR"}
    routed = {"name": "shop", "logConfiguration": {**ROUTED["logConfiguration"], "options": options}}
    router = {
        "name": "router",
        "firelensConfiguration": {"type": "fluentd", "options": {"config-file-value": "/own.conf"}},
    }
    path, text = firelens.configuration((routed, router), "0")
    assert path == "/fluentd/etc/fluent.conf"
    assert "<source>\n    @type unix\n    path /var/run/fluent.sock\n</source>" in text
    assert "@include /own.conf" in text
    assert "<filter shop-firelens-0>\n    @type grep\n    <regexp>\n        key log\n        pattern ERROR" in text
    assert "<match shop-firelens-0>\n    @type s3\n    apikey \"#{ENV['apikey_0']}\"\n</match>" in text


def test_a_file_of_the_router_may_say_it_all() -> None:
    """So does one whose container names no output: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/firelens-taskdef.html."""
    routed = {"name": "shop", "logConfiguration": {"logDriver": "awsfirelens"}}
    router = {**ROUTER, "firelensConfiguration": {"type": "fluentbit", "options": {"config-file-value": "/own.conf"}}}
    text = firelens.configuration((routed, router), "0")[1]
    assert "@INCLUDE /own.conf" in text
    assert "[OUTPUT]" not in text


@pytest.mark.parametrize(
    ("packed", "value"),
    [
        (b"\xc0", None),
        (b"\xc3", True),
        (b"\x07", 7),
        (b"\xff", -1),
        (b"\xcd\x01\x00", 256),
        (b"\xd3" + struct.pack(">q", -5), -5),
        (b"\xcb" + struct.pack(">d", 1.5), 1.5),
        (b"\xa3abc", "abc"),
        (b"\xd9\x03abc", "abc"),
        (b"\xda\x00\x03abc", "abc"),
        (b"\xc4\x03abc", "abc"),
        (b"\x92\x01\xa1b", [1, "b"]),
        (b"\xdc\x00\x02\x01\x02", [1, 2]),
        (b"\x81\xa1a\x01", {"a": 1}),
        (b"\xde\x00\x01\xa1a\x01", {"a": 1}),
        (b"\xdf\x00\x00\x00\x01\xa1a\x01", {"a": 1}),
        (b"\xd7\x00" + b"\x01" * 8, b"\x00" + b"\x01" * 8),
        (b"\xc7\x02\x00ab", b"\x00ab"),
    ],
)
def test_what_the_engine_sends_is_read(packed: bytes, value: Any) -> None:  # noqa: ANN401 - whatever was packed
    """https://github.com/msgpack/msgpack/blob/master/spec.md."""
    stream = io.BytesIO(packed + b"\x01")
    assert log_router.unpacked(stream) == value
    assert log_router.unpacked(stream) == 1, "all of it was read"


def test_lines_come_one_by_one_or_several_at_once() -> None:
    """https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1: message mode and forward mode."""
    record = b"\x81\xa3log\xa1x"
    one = b"\x94\xa1t\x01" + record + b"\x80"
    two = b"\x92\xa1t\x92\x92\x01" + record + b"\x92\x02" + record
    assert list(log_router.records(io.BytesIO(one + two))) == [("t", {"log": "x"})] * 3


def test_a_router_says_where_it_would_send_and_nothing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("apikey_1", "of-the-collector")
    sections = list(log_router.sections_of(firelens.configuration(TASK, "0")[1]))
    (output,) = [said for name, said in sections if name == "OUTPUT"]
    assert output["apikey"] == "of-the-collector"
    assert log_router.place_of(output) == "datadog logs.example.com"
