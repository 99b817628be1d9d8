"""Code that a CI elsewhere uploads: the example application as a zip in a bucket, delivered by the upload alone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from urllib.request import urlopen

import pytest

from local.rehearsal.application import Source
from local.rehearsal.arguments import EXAMPLE
from local.rehearsal.base_images import builds_of, needed, provide
from local.rehearsal.deployed import Deployed
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.pipeline import Execution, Status
from local.rehearsal.rehearsal import Options, Rehearsal
from local.rehearsal.report.terminal import Lines

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rehearsal")]

NAME = "s3-source"
BUCKET, KEY = "example-shop-uploads", "builds/shop.zip"


class Uploading:
    """A rehearsal of the stack file, and the application that is uploaded."""

    def __init__(self, rehearsal: Rehearsal, source: Source) -> None:
        self.rehearsal, self.source = rehearsal, source
        self.stack = rehearsal.stacks[NAME]
        self.s3 = self.stack.account.client("s3")

    def upload(self, source: Source, *, until: str = "") -> Execution:
        execution = self.rehearsal.push(NAME, source, until=until)
        self.rehearsal.wait()
        return execution

    def newest(self) -> str:
        """The version of the object that was uploaded last."""
        return str(self.s3.head_object(Bucket=BUCKET, Key=KEY)["VersionId"])


@pytest.fixture(scope="module")
def uploading(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploading]:
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy")
    graph = deployed_graph(NAME, ROOT / "examples" / f"Pulumi.{NAME}.yaml")
    source = Source.of(EXAMPLE, tmp_path_factory.mktemp("uploaded") / "application")
    options = Options(
        graphs={NAME: graph},
        images=provide(needed(source.folder, builds_of(Deployed.of(graph))), network=False),
        decide=lambda *_: True,
    )
    with Rehearsal(options, Lines(StringIO()).changed) as rehearsal:
        yield Uploading(rehearsal, source)


def test_an_upload_is_built_and_delivered_by_its_version(uploading: Uploading) -> None:
    """The bucket tells EventBridge, the rule starts the run, and the run takes what was uploaded."""
    run = uploading.upload(uploading.source)
    assert (run.status, [each.error for each in run.actions if each.error]) == (Status.SUCCEEDED, [])
    assert run.trigger == f"Upload of s3://{BUCKET}/{KEY}"
    version = uploading.newest()
    assert run.revisions == {"Source": version}
    assert run.variables["Source.VersionId"] == version
    released = (EXAMPLE / "VERSION").read_text().strip()
    assert run.variables["BuildImage.IMAGE_VERSION"] == released
    (image,) = uploading.stack.account.client("ecr").describe_images(
        repositoryName=f"shop-{NAME}", imageIds=[{"imageDigest": run.variables["BuildImage.IMAGE_DIGEST"]}]
    )["imageDetails"]
    assert [tag for tag in image["imageTags"] if re.fullmatch(rf"s3-{version}-[0-9a-f]{{8}}", tag)]
    with urlopen(uploading.stack.hosting.url) as page:  # noqa: S310 - loopback
        assert page.headers["X-Version"] == released


def test_a_run_keeps_to_its_upload_when_another_one_comes_meanwhile(uploading: Uploading, tmp_path: Path) -> None:
    first = uploading.rehearsal.push(NAME, uploading.source, until="Source")
    earlier = uploading.newest()
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "--quiet", str(uploading.source.folder), str(copy)], check=True)
    (copy / "VERSION").write_text("9.9.9\n")
    second = uploading.upload(Source.of(copy, tmp_path / "changed"), until="BuildImage")
    assert uploading.newest() != earlier
    assert [run.variables["Source.VersionId"] for run in (first, second)] == [earlier, uploading.newest()]
    assert second.variables["BuildImage.IMAGE_VERSION"] == "9.9.9"


def test_an_archive_without_a_dockerfile_at_its_top_is_named(uploading: Uploading, tmp_path: Path) -> None:
    """The folder around it is in the zip, too: what a CI packs most often instead."""
    inner = tmp_path / "wrapped" / "shop"
    inner.mkdir(parents=True)
    (inner / "Dockerfile").write_text("FROM scratch\n")
    run = uploading.upload(Source.of(tmp_path / "wrapped", tmp_path / "application"))
    assert (run.status, run.stage) == (Status.FAILED, "Build")
    last = run.last("BuildImage")
    assert last
    assert "the source has no Dockerfile 'Dockerfile'" in last.error


def test_nothing_starts_where_the_owner_has_the_bucket_send_no_events(uploading: Uploading) -> None:
    """What nextSteps asks for: without it an upload lies there, and a person has to start the run."""
    uploading.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    try:
        run = uploading.upload(uploading.source, until="Source")
    finally:
        uploading.s3.put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    assert run.trigger == f"By hand, since no rule matches the upload of s3://{BUCKET}/{KEY}"
    assert (run.revisions, run.variables["Source.VersionId"]) == ({}, uploading.newest())
