"""The stack files in `examples/` that have an application of their kind: each is delivered, and looked at.

All of them at once, on one machine. The images are built from the Dockerfiles as they are; what these install
comes from PyPI, npm and Maven, as their lock files say. PostgreSQL and Redis, which are no part of a delivery, run
beside them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from hosted import await_, fetched, on

from components.settings.sections.container import TEMPORARY
from local.rehearsal.application import Source
from local.rehearsal.base_images import builds_of, debian, needed, needed_by_tasks, provide
from local.rehearsal.deployed import Deployed
from local.rehearsal.engine_api import EngineApi
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.hosting import Pace, Secrets, Visitor
from local.rehearsal.images import Entry, archive, image, layer
from local.rehearsal.job_sandbox import BRIDGE
from local.rehearsal.pipeline import Execution, Status
from local.rehearsal.rehearsal import Options, Rehearsal
from local.rehearsal.report.terminal import Lines

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("examples")]

EXAMPLES = ROOT / "examples"
KINDS = sorted(
    folder.name for folder in EXAMPLES.iterdir() if folder.name != "app" and (folder / "Dockerfile").is_file()
)
STARTED_BY = {"django-worker": "django"}
"""Stacks that deliver an image of another one's."""
WITHOUT_AN_APPLICATION = {
    "classic": "the pipeline's own action for Amazon ECS",
    "ecr-source": "an image that somebody else builds",
    "ecs-blue-green": "traffic that ECS shifts, and hosting in words",
    "ecs-native": "traffic that ECS shifts on a service that exists",
    "everything-on": "every section; no application needs them all",
    "existing-hosting": "a service that exists",
    "existing-network": "a network that exists",
    "inner-service": "a service that others call, see test_discovery",
    "s3-source": "code that is uploaded, see test_rehearsal",
    "shared-listener": "a load balancer that exists",
}
"""Stack files that show a choice of the delivery, and which: tests of their own run them."""
SECRETS = {
    "/shop/prod/DATABASE_URL": f"postgres://postgres@{BRIDGE}/postgres",
    "/shop/prod/SECRET_KEY": "of-this-test-alone-and-of-no-other-0123456789-abcdefghij",
    "/shop/prod/REDIS_URL": f"redis://{BRIDGE}/0",
    "/store/prod/DATABASE_URL": f"postgres://postgres@{BRIDGE}/store",
    "/store/prod/SECRET_KEY_BASE": "of-this-test-alone-and-of-no-other-0123456789-abcdefghij",
}
SECRETS |= {
    "arn:aws:s3:::shop-configuration/prod.env": "GREETING=hello",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:collector-AbCdEf": "key-of-the-collector",
}
POSTGRES = f"""
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
initdb --auth=trust /tmp/data > /dev/null
echo host all all all trust >> /tmp/data/pg_hba.conf
(until createdb --host=/tmp store 2> /dev/null; do sleep 0.1; done) &
exec postgres -D /tmp/data -c listen_addresses={BRIDGE} -c unix_socket_directories=/tmp
"""
DATABASES = {
    "postgres": (debian.POSTGRESQL, POSTGRES),
    "redis": (debian.REDIS, f"exec redis-server --bind {BRIDGE} --protected-mode no --save ''"),
}


@dataclass
class Delivery:
    """The examples, each of which has been delivered once; somebody asks those with a load balancer all the time."""

    rehearsal: Rehearsal
    sources: dict[str, Source]
    visitors: dict[str, Visitor]
    folder: Path

    def changed(self, name: str, why: str, **files: str) -> Source:
        """A commit on top of an example with these files, whose names stand with two underlines for each slash."""
        source = Source.of(self.sources[name].folder, self.folder / why, branch="main")
        for file, text in files.items():
            (source.folder / f"{file.replace('__', '/')}.py").write_text(text, encoding="utf-8")
        return source.changed(why)

    def deliver(self, name: str, source: Source) -> Execution:
        """Push a commit, and wait for what comes of it."""
        execution = self.rehearsal.push(name, source)
        self.rehearsal.wait()
        return execution

    def asked(self, name: str, path: str = "/") -> tuple[Message, str]:
        """Headers and text of an answer through the load balancer."""
        hosting = self.rehearsal.stacks[name].hosting
        request = Request(f"{hosting.url}{path}", headers={"Host": hosting.names[0]})  # noqa: S310 - the test's own
        with urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return answer.headers, answer.read().decode()

    def written(self, name: str) -> list[str]:
        """What the containers of the tasks that run have written."""
        logs = self.rehearsal.sandbox.folder / "hosting" / name / "logs"
        tasks = [task.identity for task in self.rehearsal.stacks[name].hosting.service.tasks if task.fit]
        return [line for task in tasks for line in (logs / f"{task}.log").read_text(encoding="utf-8").splitlines()]

    def container(self, name: str) -> dict[str, Any]:
        """What the engine says of the application's container in one of the tasks that run."""
        service = self.rehearsal.stacks[name].hosting.service
        (task, *_) = [task for task in service.tasks if task.fit]
        own = f"task-{task.identity}-{task.definition['containerDefinitions'][0]['name']}"
        return dict(json.loads(self.rehearsal.sandbox.docker("inspect", own).stdout)[0])

    def redis(self, *words: str) -> str:
        """Ask the queue."""
        command = ("exec", "redis", "redis-cli", "-h", BRIDGE, *words)
        return self.rehearsal.sandbox.docker(*command).stdout.strip()


def serve(rehearsal: Rehearsal) -> None:
    """Start the databases, on the machine's own network: the tasks reach them at its address."""
    engine = EngineApi(rehearsal.sandbox.docker_socket, rehearsal.sandbox.await_engine)
    for name, (packages, command) in DATABASES.items():
        own = layer({"etc/passwd": Entry(f"{name}:x:101:101::/tmp:/bin/sh\n".encode()), "tmp/.keep": Entry()})
        reference = f"{name}.example/database:1"
        engine.load(archive(image(packages.layer, own, User="101", Cmd=["sh", "-euc", command]), reference))
        rehearsal.sandbox.docker("run", "--detach", "--network", "host", "--name", name, reference)


@pytest.fixture(scope="module")
def delivery(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    """All of them, delivered."""
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy", "base-images")
    folder = tmp_path_factory.mktemp("examples")
    graphs = {name: deployed_graph(name, EXAMPLES / f"Pulumi.{name}.yaml") for name in (*KINDS, *STARTED_BY)}
    sources = {name: Source.of(EXAMPLES / name, folder / "sources" / name, branch="main") for name in KINDS}
    mentions = needed_by_tasks(graphs)
    for name, source in sources.items():
        mentions += needed(source.folder, builds_of(Deployed.of(graphs[name])))
    (folder / "secrets").write_text(json.dumps(SECRETS))
    options = Options(
        graphs=graphs,
        images=provide(list({each.name: each for each in mentions}.values()), engine=False, network=False),
        decide=lambda *_: True,
        network=True,
        pace=Pace(grace=0.25, least_grace=240, least_patience=900),  # all start on one machine at the same time
        secrets=Secrets.of(graphs, folder / "secrets"),
    )
    with Rehearsal(options, Lines(sys.stderr).changed) as rehearsal, ExitStack() as ends:
        serve(rehearsal)
        hostings = {name: stack.hosting for name, stack in rehearsal.stacks.items()}
        visitors = {
            name: ends.enter_context(hosting.visitor(every=0.5))
            for name, hosting in hostings.items()
            if hosting.balancer
        }
        for name, source in sources.items():
            rehearsal.push(name, source)
        rehearsal.wait()
        yield Delivery(rehearsal, sources, visitors, folder)


def test_each_example_with_an_application_is_here() -> None:
    """What is in none of these has no application of its own: its stack file shows a choice of the delivery."""
    stacks = {file.stem.removeprefix("Pulumi.") for file in EXAMPLES.glob("Pulumi.*.yaml")}
    assert {*KINDS, *STARTED_BY, *WITHOUT_AN_APPLICATION} == stacks
    assert not {*KINDS, *STARTED_BY} & {*WITHOUT_AN_APPLICATION}


def test_each_is_delivered(delivery: Delivery) -> None:
    runs = {name: stack.runner.executions for name, stack in delivery.rehearsal.stacks.items()}
    assert {
        name: [(run.status, {each.action.name: each.error for each in run.actions if each.error}) for run in found]
        for name, found in runs.items()
    } == {name: [(Status.SUCCEEDED, {})] for name in runs}


@pytest.mark.parametrize("name", sorted({*KINDS} - {"grpc", "worker"}))
def test_users_notice_nothing(delivery: Delivery, name: str) -> None:
    visitor = delivery.visitors[name]
    assert visitor.failed == []
    assert len(visitor.versions) == 2, "what waits for the first deployment, and the application"


@pytest.mark.parametrize("name", sorted({*KINDS, *STARTED_BY}))
def test_what_runs_is_not_root_and_writes_where_it_may(delivery: Delivery, name: str) -> None:
    container = delivery.container(name)
    assert container["HostConfig"]["ReadonlyRootfs"] is True
    assert container["Config"]["User"] == ("" if name == "nginx" else "1000:1000")  # nginx's workers are not root
    assert TEMPORARY in {mount["Destination"] for mount in container["Mounts"]}


def test_nginx_serves_its_files(delivery: Delivery) -> None:
    headers, text = delivery.asked("nginx")
    assert "Fresh today" in text
    assert headers["Cache-Control"] == "public, max-age=60"
    assert delivery.asked("nginx", "/healthz")[1] == "ok\n"
    written = {mount["Destination"] for mount in delivery.container("nginx")["Mounts"]}
    assert {"/var/cache/nginx", "/var/run"} <= written


def test_what_django_takes_its_worker_packs(delivery: Delivery) -> None:
    """Both use the table that the migration has made, and the worker has the image that was deployed before."""
    delivery.asked("django", "/order/apples")
    await_(lambda: json.loads(delivery.asked("django")[1]) == {"apples": True})
    await_(lambda: "shop | packed apples" in delivery.written("django-worker"))
    (web,) = delivery.rehearsal.stacks["django"].runner.executions
    (worker,) = delivery.rehearsal.stacks["django-worker"].runner.executions
    assert worker.variables["SourceImage.ImageDigest"] == web.variables["BuildImage.IMAGE_DIGEST"]
    steps = [run.action.name for run in web.actions]
    assert steps.index("RunBeforeDeployment") < steps.index("DeployService")


def test_rails_has_migrated_and_writes_to_its_paths(delivery: Delivery) -> None:
    assert json.loads(delivery.asked("rails")[1]) == ["Apples", "Bread"]


def test_spring_boot_has_the_memory_of_its_task_and_all_the_time_to_start(delivery: Delivery) -> None:
    said = json.loads(delivery.asked("spring-boot")[1])
    assert said["megabytes"] in range(1400, 1600), "three quarters of 2 GiB, less what the collector keeps"
    assert any("Started Shop in" in line for line in delivery.written("spring-boot"))


def test_browsers_get_the_build_argument_of_nextjs(delivery: Delivery) -> None:
    """In the page, and in the script that makes it anew in the browser."""
    _, page = delivery.asked("nextjs")
    assert 'data-key="every-browser-sees-it"' in page
    scripts = re.findall(r'src="(/_next/static/[^"]+\.js)"', page)
    assert any("every-browser-sees-it" in delivery.asked("nextjs", script)[1] for script in scripts)


def test_a_worker_ends_what_it_has_begun(delivery: Delivery) -> None:
    """Nobody reaches it, and what it does when its task is stopped is done to the end."""
    hosting = delivery.rehearsal.stacks["worker"].hosting
    assert hosting.balancer is None
    assert delivery.container("worker")["Config"]["StopTimeout"] == 120

    delivery.redis("rpush", "jobs", "mail:25")
    await_(lambda: "shop | mail:25 begins" in delivery.written("worker"))
    logs = delivery.rehearsal.sandbox.folder / "hosting" / "worker" / "logs"
    (log,) = (file for file in logs.glob("*.log") if "mail:25" in file.read_text(encoding="utf-8"))
    (task,) = (task for task in hosting.service.tasks if task.identity == log.stem)
    where = {"cluster": hosting.service.cluster.rpartition("/")[2], "service": hosting.service.name}
    first = hosting.service.tasks[0].definition["taskDefinitionArn"]
    hosting.ecs.owner("UpdateService", **where, taskDefinition=first)
    await_(lambda: bool(task.stop_code))
    assert "is done" not in log.read_text(encoding="utf-8"), "it is asked to end while it works"
    await_(lambda: task.stopped)

    assert log.read_text(encoding="utf-8").splitlines()[-2:] == ["shop | mail:25 is done", "shop | ended"]
    assert delivery.redis("lrange", "jobs:done", "0", "-1") == "mail:25"
    assert task.exit_code == 0


def test_requests_pass_nginx_and_lines_pass_the_log_router(delivery: Delivery) -> None:
    headers, text = delivery.asked("behind-nginx", "/cart")
    assert headers["Server"].startswith("nginx")
    assert "Fresh today" in text
    assert delivery.asked("behind-nginx", "/static/shop.css")[1] == "h1 { color: green }\n"

    def routed() -> bool:
        """By the application's own word, with where the router would send it."""
        sent = r"log-router \| cloudwatch_logs /shop/requests app-: \S+ GET /cart for .+"
        return any(re.fullmatch(sent, line) for line in delivery.written("behind-nginx"))

    await_(routed)
    assert not any("key-of-the-collector" in line for line in delivery.written("behind-nginx"))


CALL = """
import grpc, sys
trusted = grpc.ssl_channel_credentials(open(sys.argv[2], "rb").read())
with grpc.secure_channel(sys.argv[1], trusted) as channel:
    print(channel.unary_unary("/orders.Orders/Place")(b"\\n\\x06apples\\x10\\x03", timeout=20))
    try:
        channel.unary_unary("/orders.Orders/Nothing")(b"", timeout=20)
    except grpc.RpcError as error:
        print(error.code().name)
"""


def test_a_grpc_service_is_called_by_its_name_through_the_load_balancer(delivery: Delivery) -> None:
    """Its health is what its own method says; a client that speaks HTTP/1.1 is turned away."""
    sandbox, hosting = delivery.rehearsal.sandbox, delivery.rehearsal.stacks["grpc"].hosting
    name = "orders.example.com"
    assert name in hosting.names
    said = on(sandbox, sys.executable, "-c", CALL, f"{name}:443", str(sandbox.certificates))
    assert said.splitlines() == [repr(b"\n\n3 x apples"), "UNIMPLEMENTED"]
    assert fetched(sandbox, f"https://{name}/").startswith("464")


BAD = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_orders")]
    operations = [migrations.RunSQL("ALTER TABEL shop_order ADD weight integer")]
"""


def test_a_migration_that_fails_leaves_the_version_that_serves(delivery: Delivery) -> None:
    """The last of these tests: the worker's stack is not started, and users notice nothing."""
    visitor, before = delivery.visitors["django"], delivery.visitors["django"].ask().version

    execution = delivery.deliver("django", delivery.changed("django", "bad", shop__migrations__0002_weight=BAD))

    assert execution.status == Status.FAILED
    (failed,) = [run for run in execution.actions if run.status == Status.FAILED]
    assert failed.action.name == "RunBeforeDeployment"
    assert any('syntax error at or near "TABEL"' in line for line in failed.log)
    assert visitor.ask().version == before
    assert visitor.failed == []
    assert len(delivery.rehearsal.stacks["django-worker"].runner.executions) == 1
