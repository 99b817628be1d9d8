"""Amazon ECR under its own names, for one process: a proxy that every HTTPS request of a job goes through.

It answers CONNECT with a certificate of its own, which the job is told to trust, and hands what comes through to the
AWS of this machine. Each request is a call that the job can be killed at.
"""

from __future__ import annotations

import http.client
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from killing import Machine

from local.loopback import serving_http
from local.rehearsal import tools
from local.rehearsal.aws_services import AwsServices

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@contextmanager
def counted_registry(machine: Machine, aws: AwsServices, folder: Path) -> Iterator[Mapping[str, str]]:
    """Serve as long as the block lasts; gives the variables by which a job's HTTPS requests come this way."""
    certificate = _certificate(folder, machine.region)
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trusted.load_cert_chain(certificate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:  # http.server's name
            self.send_response(200, "Connection established")
            self.end_headers()
            # From here on the same connection is read as the one that the job believes to have.
            self.connection = trusted.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
            self.close_connection = False

        def _forward(self) -> None:
            self.close_connection = True
            host = self.headers["Host"]
            handled = machine.on_call(f"{self.command} https://{host}{self.path.partition('?')[0]}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            there = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=60)
            there.request(self.command, self.path, body, dict(self.headers.items()))
            answer = there.getresponse()
            content = answer.read()
            there.close()
            if handled():
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value.replace("http://", "https://") if name == "location" else value)
            length = answer.headers["Content-Length"] if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _forward  # noqa: N815 - http.server's names

        def finish(self) -> None:
            super().finish()
            self.connection.close()

    with serving_http(Handler) as proxy:
        yield {"https_proxy": proxy, "SSL_CERT_FILE": str(certificate)}


def _certificate(folder: Path, region: str) -> Path:
    """A certificate and its key, for the registry and for where it keeps layers."""
    folder.mkdir(parents=True)
    names = f"subjectAltName=DNS:*.dkr.ecr.{region}.amazonaws.com,DNS:*.s3.{region}.amazonaws.com"
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    made = ("-keyout", "key.pem", "-out", "certificate.pem", "-subj", "/CN=rehearsal", "-addext", names)
    subprocess.run([tools.command("openssl"), "req", "-x509", *key, *made], cwd=folder, capture_output=True, check=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "certificate.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return both
