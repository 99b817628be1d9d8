"""Dev and prod in two accounts and regions: what is promoted from one starts the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from delivered_stack import DeliveredStack
from mocked import REGION

from local.errors import Refusal
from local.rehearsal.account import check_places
from local.rehearsal.application import Source
from local.rehearsal.arguments import EXAMPLE
from local.rehearsal.aws_services import ACCOUNT
from local.rehearsal.base_images import builds_of, needed, provide
from local.rehearsal.deployed import Deployed
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.pipeline import Status
from local.rehearsal.rehearsal import Options, Rehearsal
from local.rehearsal.resources import place_of

DEV, PROD = "111111111111", "222222222222"
CHANGES = {
    "dev": {
        "  aws:region: eu-west-1\n": f'  aws:region: eu-west-1\n  aws:allowedAccountIds: ["{DEV}"]\n',
        "    repository: shop-prod #": f'    accountId: "{PROD}"\n    region: us-east-1\n'
        f"    roleArn: arn:aws:iam::{PROD}:role/shop-prod-promotion\n    repository: shop-prod #",
        "ecs-delivery:tests:\n    enabled: true": "ecs-delivery:tests:\n    enabled: false",
    },
    "prod": {
        "  aws:region: eu-west-1\n": f'  aws:region: us-east-1\n  aws:allowedAccountIds: ["{PROD}"]\n',
        "promoters: [shop-dev-promote-image] #": f'promoters: ["arn:aws:iam::{DEV}:role/shop-dev-promote-image"] #',
        "pipeline: shop-dev #": f"pipeline: arn:aws:codepipeline:eu-west-1:{DEV}:shop-dev #",
        "ecs-delivery:release:\n    enabled: true": "ecs-delivery:release:\n    enabled: false",
    },
}
"""Of the repository's stack files, as docs/operations.md has it ("Prod in another account")."""


def stack_file(stack: str, folder: Path) -> Path:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    for before, after in CHANGES[stack].items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    made = folder / f"{stack}.yaml"
    made.write_text(text, encoding="utf-8")
    return made


@pytest.mark.engine
@pytest.mark.xdist_group("rehearsal")
def test_an_image_that_is_promoted_into_another_account_starts_prod_there(
    need: Callable[..., None], tmp_path: Path
) -> None:
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy")
    graphs = {name: deployed_graph(name, stack_file(name, tmp_path)) for name in CHANGES}
    assert [place_of(graph) for graph in graphs.values()] == [("eu-west-1", DEV), ("us-east-1", PROD)]
    source = Source.of(EXAMPLE, tmp_path / "application", branch="main")
    images = provide(needed(source.folder, builds_of(*map(Deployed.of, graphs.values()))), network=False)
    with Rehearsal(Options(graphs=graphs, images=images, decide=lambda *_: True), lambda *_: None) as rehearsal:
        dev = rehearsal.push("dev", source)
        rehearsal.wait()
        (prod,) = rehearsal.stacks["prod"].runner.executions

    assert [(run.action.name, run.error) for run in dev.actions if run.error] == []
    assert [(run.action.name, run.error) for run in prod.actions if run.error] == []
    assert (dev.status, prod.status) == (Status.SUCCEEDED, Status.SUCCEEDED)
    assert prod.trigger == "Image shop-prod:promoted"
    digest = dev.variables["BuildImage.IMAGE_DIGEST"]
    assert prod.variables["SourceImage.ImageURI"] == f"{PROD}.dkr.ecr.us-east-1.amazonaws.com/shop-prod@{digest}"
    assert dev.variables["BuildImage.IMAGE_URI"].startswith(f"{DEV}.dkr.ecr.eu-west-1.amazonaws.com/shop-dev")


def test_a_promotion_to_where_nobody_watches_is_refused_with_the_keys_to_set() -> None:
    elsewhere = {"accountId": PROD, "roleArn": f"arn:aws:iam::{PROD}:role/shop-prod-promotion", "region": "us-east-1"}
    graphs = {"dev": DeliveredStack("dev", {"promotion": elsewhere}).graph, "prod": DeliveredStack("prod").graph}
    with pytest.raises(Refusal) as refused:
        check_places(graphs)
    assert str(refused.value) == (
        f"dev promotes into shop-prod of account {PROD} in us-east-1, and prod watches that of account {ACCOUNT} in "
        f"{REGION}, so that it would never start. Say where prod is, in its stack file:\n"
        f'  aws:region: us-east-1\n  aws:allowedAccountIds: ["{PROD}"]\n'
        "or correct accountId and region below ecs-delivery:promotion in that of dev."
    )
    check_places({"dev": graphs["dev"]})
    check_places({"dev": DeliveredStack("dev").graph, "prod": graphs["prod"]})
