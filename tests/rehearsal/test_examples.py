"""The stack files in `examples/` that have an application of their kind: each is delivered, and looked at.

All of them at once, on one machine. The images are built from the Dockerfiles as they are; what these install comes from
PyPI, npm and Maven, as their lock files say. PostgreSQL and Redis, which are no part of a delivery, run beside them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
from hosted import await_, on

from local.rehearsal.application import Source
from local.rehearsal.base_images import builds_of, needed, needed_by_tasks, provide
from local.rehearsal.base_images.debian import Packages
from local.rehearsal.deployed import Deployed
from local.rehearsal.engine_api import EngineApi
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.hosting import Secrets, Visitor
from local.rehearsal.images import Entry, archive, image, layer
from local.rehearsal.job_sandbox import BRIDGE
from local.rehearsal.pipeline import Execution, Status
from local.rehearsal.rehearsal import Options, Rehearsal
from local.rehearsal.report.terminal import Lines

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("examples")]

EXAMPLES = ROOT / "examples"
KINDS = ["behind-nginx","nginx","rails","grpc"]
STARTED_BY = {"django-worker": "django"}
"""Stacks that deliver an image of another one's."""
SECRETS = {
    "/shop/prod/DATABASE_URL": f"postgres://postgres@{BRIDGE}/postgres",
    "/shop/prod/SECRET_KEY": "of-this-test-alone-and-of-no-other-0123456789-abcdefghij",
    "/jobs/prod/REDIS_URL": f"redis://{BRIDGE}/0",
    "/store/prod/DATABASE_URL": f"postgres://postgres@{BRIDGE}/store",
    "/store/prod/SECRET_KEY_BASE": "of-this-test-alone-and-of-no-other-0123456789-abcdefghij",
}
SECRETS |= {
    "arn:aws:s3:::shop-configuration/prod.env": "GREETING=hello",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:collector-AbCdEf": "key-of-the-collector",
}
DATABASES = {
    "postgres": (
        Packages(("postgresql",), "95 MB"),
        "PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; initdb --auth=trust /tmp/data > /dev/null"
        " && echo host all all all trust >> /tmp/data/pg_hba.conf"
        " && (until createdb --host=/tmp store 2> /dev/null; do sleep 0.1; done; echo created) &"
        f" sleep 0.1; until [ -s /tmp/data/pg_hba.conf ] && grep -q 'host all all all' /tmp/data/pg_hba.conf; do sleep 0.1; done;"
        f" exec /usr/lib/postgresql/*/bin/postgres -D /tmp/data -c listen_addresses={BRIDGE} -c unix_socket_directories=/tmp",
    ),
    "redis": (Packages(("redis-server",), "3 MB"), f"exec redis-server --bind {BRIDGE} --protected-mode no --save ''"),
}


@dataclass
class Delivery:
    """The examples, each of which has been delivered once."""

    rehearsal: Rehearsal
    sources: dict[str, Source]
    visitors: dict[str, Visitor]
    folder: Path
    first: dict[str, Execution] = field(default_factory=dict)

    def push(self, name: str, source: Source | None = None) -> Execution:
        """Push an example, or a changed copy of it."""
        return self.rehearsal.push(name, source or self.sources[name])

    def changed(self, name: str, why: str, **files: str) -> Source:
        """A commit on top of an example, in which one text of each of these files is another."""


def test_each_is_delivered(delivery: Delivery) -> None:
    runs = {name: stack.runner.executions for name, stack in delivery.rehearsal.stacks.items()}
    assert {
        name: [(run.status, {each.action.name: each.error for each in run.actions if each.error}) for run in found]
        for name, found in runs.items()
    } == {name: [(Status.SUCCEEDED, {})] for name in runs}


def serve(rehearsal: Rehearsal) -> None:
    """Start the databases, on the machine's own network: the tasks reach them at its address."""
    engine = EngineApi(rehearsal.sandbox.docker_socket, rehearsal.sandbox.await_engine)
    for name, (packages, command) in DATABASES.items():
        own = layer({"etc/passwd": Entry(f"{name}:x:101:101::/tmp:/bin/sh\n".encode()), "tmp/.keep": Entry()})
        reference = f"{name}.example/database:1"
        engine.load(archive(image(packages.layer, own, User="101", Cmd=["sh", "-c", command]), reference))
        rehearsal.sandbox.docker("run", "--detach", "--network", "host", "--name", name, reference)


@pytest.fixture(scope="module")
def delivery(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    """All of them, delivered."""
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy")
    folder = tmp_path_factory.mktemp("examples")
    names = [*KINDS, *(name for name, first in STARTED_BY.items() if first in KINDS)]
    graphs = {name: deployed_graph(name, EXAMPLES / f"Pulumi.{name}.yaml") for name in names}
    sources = {name: Source.of(EXAMPLES / name, folder / "sources" / name, branch="main") for name in KINDS}
    mentions = [*needed_by_tasks(graphs)]
    for name in KINDS:
        mentions += needed(sources[name].folder, builds_of(Deployed.of(graphs[name])))
    (folder / "secrets").write_text(json.dumps(SECRETS))
    options = Options(
        graphs=graphs,
        images=provide(list({each.name: each for each in mentions}.values()), engine=False, network=False),
        decide=lambda *_: True,
        network=True,
        secrets=Secrets.of(graphs, folder / "secrets"),
    )
    shown = StringIO()
    with Rehearsal(options, Lines(sys.stderr).changed) as rehearsal:
        serve(rehearsal)
        visitors = {name: stack.hosting.visitor() for name, stack in rehearsal.stacks.items() if stack.hosting.balancer}
        made = Delivery(rehearsal, sources, visitors, folder)
        made.first = {name: made.push(name) for name in KINDS}
        rehearsal.wait()
        yield made
