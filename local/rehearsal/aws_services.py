"""AWS as far as the jobs call it: a process on loopback that answers by the account's own IAM policies.

What answers is ministack in `local.rehearsal.aws_server`. It checks signatures and evaluates policies by action,
resource and condition, so that a job under its project's real policies fails here where it would fail on AWS.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from local.aws_models import botocore_session
from local.rehearsal.registry_names import USED_PATH
from local.rehearsal.starting import await_ready

ACCOUNT = "123456789012"
REGION = "eu-central-1"
_ROOT = Path(__file__).parents[2]
_SESSION = re.compile(r"arn:aws:sts::\d{12}:assumed-role/([^/]+)/.*")


class AwsServices:
    """AWS on this machine, for as long as the `with` block lasts.

    Attributes:
        endpoint: where it answers, for `AWS_ENDPOINT_URL`.
    """

    def __init__(
        self,
        *,
        prefix: Sequence[str] = (),
        certificate: Path | None = None,
        repositories: Path | None = None,
        authority: Path | None = None,
    ) -> None:
        """Describe it; `with` starts it.

        Args:
            prefix: a command that runs the process somewhere else, such as in another network namespace. The socket
                of `endpoint` is made here and stays here.
            certificate: PEM file with certificate and key; then it also answers HTTPS on 127.0.0.1:443 where it runs,
                and at `endpoint`'s port there.
            repositories: the folder with the Git repositories that `local.rehearsal.git_hosting` serves.
            authority: the folder with the certificate and the key of the authority that AWS Signer belongs to.
        """
        self._prefix = tuple(prefix)
        self._certificate = certificate
        self._repositories = repositories
        self._authority = authority
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._log = tempfile.NamedTemporaryFile(prefix="aws-services-", suffix=".log")  # noqa: SIM115 - for as long as the process
        self._process: subprocess.Popen[bytes] | None = None
        self._session: Any = None
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._lock, self._starting = threading.Lock(), threading.Lock()
        self._ready = False

    def __enter__(self) -> Self:
        """Start the process. Requests wait by themselves until it answers, and a client is had only then."""
        command = [sys.executable, "-m", "local.rehearsal.aws_server", "--bind", f"fd://{self._socket.fileno()}"]
        if self._certificate:
            secure = ("--secure-bind", "127.0.0.1:443", "--certificate", str(self._certificate))
            command += ["--bind", f"127.0.0.1:{self.port}", *secure]
        if self._repositories:
            command += ["--repositories", str(self._repositories)]
        if self._authority:
            command += ["--authority", str(self._authority)]
        self._process = subprocess.Popen(
            [*self._prefix, *command],
            env={
                "PYTHONPATH": str(_ROOT),  # a folder to start in would be lost on the way into other namespaces
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/"),
                "AUTH": "true",
                "MINISTACK_ACCOUNT_ID": ACCOUNT,
                "MINISTACK_REGION": REGION,
                "MINISTACK_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(self.port),
                "LOG_LEVEL": "WARNING",
                # Listeners of services that nothing here uses.
                "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0",
            },
            stdin=subprocess.PIPE,  # it ends when this end of the pipe is closed, however this process ends
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            pass_fds=(self._socket.fileno(),),
        )
        self._socket.close()
        return self

    def used(self) -> dict[str, set[tuple[str, str]]]:
        """Return what each role was allowed so far: actions, and the resources that they were meant for."""
        used: dict[str, set[tuple[str, str]]] = {}
        with urllib.request.urlopen(f"{self.endpoint}{USED_PATH}", timeout=10) as answer:  # noqa: S310 - as above
            for principal, action, resource in json.loads(answer.read()):
                if session := _SESSION.fullmatch(principal):
                    used.setdefault(session[1], set()).add((action, resource))
        return used

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2):  # noqa: S310 - loopback
                return True
        except OSError:
            return False

    def __exit__(self, *_: object) -> None:
        """End the process."""
        if self._process is not None:
            try:
                self._process.communicate(timeout=10)  # closes its standard input, at which it ends
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()

    def client(self, service: str, *, account: str = ACCOUNT, region: str = REGION) -> Any:  # noqa: ANN401 - made at run time
        """A client of an AWS service, as the account's root: for preparing and for looking, not for jobs."""
        # ministack takes an account's number for its root user.
        return self._client(service, region, {"aws_access_key_id": account, "aws_secret_access_key": "test"})

    def client_as(self, environment: Mapping[str, str], service: str) -> Any:  # noqa: ANN401 - made at run time
        """A client of an AWS service for whoever has these environment variables, see `as_role`."""
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        return self._client(service, environment["AWS_REGION"], {name: environment[name.upper()] for name in names})

    def _client(self, service: str, region: str, credentials: Mapping[str, str]) -> Any:  # noqa: ANN401 - as above
        key = (service, region, credentials["aws_access_key_id"])
        with self._lock:  # a session is no thing for several threads, the clients it makes are
            self._session = self._session or botocore_session()  # only now: the process starts meanwhile
            if key not in self._clients:
                self._clients[key] = self._session.create_client(
                    service, region_name=region, endpoint_url=self.endpoint, **credentials
                )
        self._await_ready()  # making the first client takes as long as the process takes to start
        return self._clients[key]

    def _await_ready(self) -> None:
        """Wait until it answers.

        Raises:
            RuntimeError: It has ended before.
        """
        with self._starting:
            if self._process is not None and not self._ready:
                await_ready(self._process, "The stand-in for AWS", self._answers, Path(self._log.name))
                self._ready = True

    def environment(self, *, region: str = REGION) -> dict[str, str]:
        """The variables by which the AWS CLI finds this and nothing else; no credentials."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
        }

    def as_role(
        self,
        name: str,
        policies: Sequence[Mapping[str, Any]],
        *,
        account: str = ACCOUNT,
        region: str = REGION,
    ) -> dict[str, str]:
        """The variables of somebody who has assumed a role of this name with exactly these policies."""
        self.make_role(name, policies, account=account)
        arn = f"arn:aws:iam::{account}:role/{name}"
        answer = self.client("sts", account=account).assume_role(RoleArn=arn, RoleSessionName="rehearsal")
        given = answer["Credentials"]
        return {
            **self.environment(region=region),
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }

    def make_role(
        self,
        name: str,
        policies: Sequence[Mapping[str, Any]],
        *,
        account: str = ACCOUNT,
        trust: Mapping[str, Any] | None = None,
    ) -> str:
        """Make a role, or give the role of this name these policies; returns its ARN.

        Args:
            name: its name.
            policies: its policy documents, of which it has no other.
            account: the account it belongs to.
            trust: the document that says who may assume it; without one its account's root, for `as_role`.
        """
        iam = self.client("iam", account=account)
        root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
        trust = trust or {"Version": "2012-10-17", "Statement": [root]}
        try:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        except iam.exceptions.EntityAlreadyExistsException:
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
        # Somebody may be at work under the role: what stays allowed is never taken away meanwhile.
        named = {f"policy-{number}": json.dumps(policy) for number, policy in enumerate(policies)}
        for each, document in named.items():
            iam.put_role_policy(RoleName=name, PolicyName=each, PolicyDocument=document)
        for old in set(iam.list_role_policies(RoleName=name)["PolicyNames"]) - named.keys():
            iam.delete_role_policy(RoleName=name, PolicyName=old)
        return f"arn:aws:iam::{account}:role/{name}"
