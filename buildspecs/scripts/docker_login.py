"""Sign docker in to Amazon ECR."""

from __future__ import annotations

import job
from registry import Repository


def login(*where: Repository) -> None:
    """Sign in to these repositories' registries; the password never appears on a command line or in the log."""
    for host, region in {repository.host: repository.region() for repository in where}.items():
        answer = job.run(f"Get a password for {host}", "aws", "ecr", "get-login-password", *region)
        password = job.secret(answer.output.strip())
        job.run(f"Sign in to {host}", "docker", "login", "--username", "AWS", "--password-stdin", host, stdin=password)
