"""The process that stands for AWS."""

from __future__ import annotations

from collections.abc import Callable

from local.rehearsal.aws_services import AwsServices

TALKING = ("/bin/sh", "-c", 'head -c 200000 /dev/zero | tr "\\0" "x" >&2; exec "$@"', "sh")
"""Says more than a pipe holds, 64 KiB, and becomes what follows."""


def test_it_answers_however_much_it_has_said(need: Callable[..., None]) -> None:
    """It writes a record of every connection that breaks off; once it waited for somebody to read them."""
    need("ministack")
    with AwsServices(prefix=TALKING) as aws:
        assert aws.client("ecr").describe_repositories()["repositories"] == []
