"""Two images of one repository: built in one run, deployed by digest, promoted into another account, released."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from local.rehearsal.application import Source
from local.rehearsal.arguments import EXAMPLE
from local.rehearsal.base_images import builds_of, needed, provide
from local.rehearsal.deployed import Deployed
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.pipeline import Execution, Status
from local.rehearsal.rehearsal import Options, Rehearsal

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rehearsal")]

DEV, PROD = "111111111111", "222222222222"
FIRST = {"image": "build/catalogue", "essential": False, "memoryReservation": 64}
CHANGES = {
    "dev": {
        "aws:region": "eu-west-1",
        "aws:allowedAccountIds": [DEV],
        "ecs-delivery:build": {
            "images": {"catalogue": {"dockerfile": "catalogue/Dockerfile", "context": "catalogue"}},
        },
        "ecs-delivery:tests": {"enabled": False},
        "ecs-delivery:verification": {"scan": {"enabled": True}},
        "ecs-delivery:promotion": {
            "enabled": True,
            "repository": "shop-prod",
            "tag": "promoted",
            "accountId": PROD,
            "region": "us-east-1",
            "roleArn": f"arn:aws:iam::{PROD}:role/shop-prod-promotion",
        },
        "ecs-delivery:pipeline": {"parallelJobs": True},
    },
    "prod": {
        "aws:region": "us-east-1",
        "aws:allowedAccountIds": [PROD],
        "ecs-delivery:source": {
            "ecr": {
                "repository": "shop-prod",
                "tag": "promoted",
                "create": True,
                "promoters": [f"arn:aws:iam::{DEV}:role/shop-dev-promote-image"],
            }
        },
        "ecs-delivery:verification": {
            "provenance": {
                "source": "https://github.com/example/shop",
                "pipeline": f"arn:aws:codepipeline:eu-west-1:{DEV}:shop-dev",
            },
            "scan": {"enabled": True},
        },
        "ecs-delivery:deploy": {"engine": "ecsAction"},
    },
}
"""Of the repository's stack files; in both, the application starts when another image's container has ended well.

Dev is deployed by CodeDeploy with a task definition, prod by the pipeline's own action with imagedefinitions.json.
"""
DOCKERFILE = """\
ARG PYTHON=3.13-slim
FROM python:${PYTHON}
COPY goods /goods
USER 10001:10001
CMD ["python", "-c", "print(open('/goods').read())"]
"""


def stack_file(stack: str, folder: Path) -> Path:
    content = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
    content["config"] |= CHANGES[stack]
    application = content["config"]["ecs-delivery:application"]
    # One task of each version: nothing here is about how many there are, and each is a process of this machine.
    application |= {"containers": {"catalogue": FIRST}, "dependsOn": {"catalogue": "SUCCESS"}, "desiredCount": 1}
    content["config"]["ecs-delivery:hosting"].pop("service", None)
    made = folder / f"{stack}.yaml"
    made.write_text(yaml.safe_dump(content), encoding="utf-8")
    return made


@dataclass
class Delivered:
    """Two commits that travelled from dev to prod; the second changes nothing but the further image."""

    rehearsal: Rehearsal
    dev: list[Execution]

    @property
    def prod(self) -> list[Execution]:
        return list(self.rehearsal.stacks["prod"].runner.executions)

    def pair(self, number: int) -> tuple[str, str]:
        """The digests that were built together."""
        built = self.dev[number].variables
        return built["BuildImage.IMAGE_DIGEST"], built["BuildCatalogueImage.IMAGE_DIGEST"]

    def tags(self, stack: str, repository: str) -> dict[str, set[str]]:
        """The tags of each image of a repository that has any."""
        found = self.rehearsal.stacks[stack].account.client("ecr").describe_images(repositoryName=repository)
        return {each["imageDigest"]: {*each["imageTags"]} for each in found["imageDetails"] if each.get("imageTags")}


@pytest.fixture(scope="module")
def delivered(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy")
    folder = tmp_path_factory.mktemp("further-images")
    graphs = {name: deployed_graph(name, stack_file(name, folder)) for name in CHANGES}
    source = Source.of(EXAMPLE, folder / "application", branch="main")
    second = source.folder / "catalogue"
    second.mkdir()
    (second / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    images = provide(needed(source.folder, builds_of(*map(Deployed.of, graphs.values()))), network=False)
    with Rehearsal(Options(graphs=graphs, images=images, decide=lambda *_: True), lambda *_: None) as rehearsal:
        runs = []
        for goods in ("apples", "bread"):
            (second / "goods").write_text(goods, encoding="utf-8")
            source = source.changed(f"Sell {goods}")
            runs.append(rehearsal.push("dev", source))
            rehearsal.wait()
        yield Delivered(rehearsal, runs)


def test_every_run_succeeds(delivered: Delivered) -> None:
    runs = [*delivered.dev, *delivered.prod]
    assert [(run.action.name, run.error) for each in runs for run in each.actions if run.error] == []
    assert [run.status for run in runs] == [Status.SUCCEEDED] * 4


def test_each_commit_makes_a_pair_of_its_own(delivered: Delivered) -> None:
    """Also the image in which the second commit changes nothing: its labels name the commit."""
    digests = [digest for number in (0, 1) for digest in delivered.pair(number)]
    assert len({*digests}) == 4


@pytest.mark.parametrize("number", [0, 1], ids=["first", "second"])
def test_prod_deploys_what_was_tested_together(delivered: Delivered, number: int) -> None:
    own, further = delivered.pair(number)
    prod = delivered.prod[number].variables
    assert prod["SourceImage.ImageDigest"] == own
    assert prod["BuildImage.FURTHER_DIGESTS"] == prod["PrepareDeployment.FURTHER_DIGESTS"] == f"catalogue={further}"


@pytest.mark.parametrize(
    ("stack", "where"), [("dev", f"{DEV}.dkr.ecr.eu-west-1"), ("prod", f"{PROD}.dkr.ecr.us-east-1")]
)
def test_both_run_by_their_digests_and_one_after_the_other(delivered: Delivered, stack: str, where: str) -> None:
    own, further = delivered.pair(1)
    hosting = delivered.rehearsal.stacks[stack].hosting
    tasks = [task for task in hosting.service.tasks if task.fit]
    assert tasks
    for task in tasks:
        images = {part["name"]: part["image"] for part in task.definition["containerDefinitions"]}
        repository = f"{where}.amazonaws.com/shop-{stack}"
        assert images == {"shop": f"{repository}@{own}", "catalogue": f"{repository}-catalogue@{further}"}
        log = delivered.rehearsal.sandbox.folder / "hosting" / stack / "logs" / f"{task.identity}.log"
        assert "catalogue | bread" in log.read_text(encoding="utf-8").splitlines()


def test_in_prod_each_image_names_the_one_it_belongs_to_and_the_version(delivered: Delivered) -> None:
    """The tag of the pair is no more moved than any other: an older run finds what it was tested with."""
    version = {run.variables["TagImage.VERSION_TAG"] for run in delivered.prod}
    pairs = [delivered.pair(number) for number in (0, 1)]
    tags = delivered.tags("prod", "shop-prod-catalogue")
    own = delivered.tags("prod", "shop-prod")
    assert {*tags} == {further for _, further in pairs}
    for run, (image, further) in zip(delivered.prod, pairs, strict=True):
        released = run.variables["TagImage.VERSION_TAG"]
        assert tags[further] == {f"app-{image.removeprefix('sha256:')}", released}
        assert released in own[image]
    assert len(version) == 2
