"""CodePipeline's own Amazon ECS action, on the stand-in for Amazon ECS."""

from __future__ import annotations

import json
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from action_contexts import context
from task_definitions import NEW, definition

from local.rehearsal.actions.ecs import EcsAction
from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.pipeline.action import ActionContext, ActionFailed


@pytest.fixture
def ecs() -> Iterator[Ecs]:
    """A service whose first deployment has succeeded; its later ones go on by themselves."""
    made = Ecs()
    made.owner("CreateCluster", clusterName="main")
    made.owner("RegisterTaskDefinition", **definition())
    made.owner(
        "CreateService",
        cluster="main",
        serviceName="shop",
        taskDefinition="shop:1",
        launchType="FARGATE",
        deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
    )
    service, over = made.service("shop", "main"), threading.Event()
    made.settle(service)

    def go_on() -> None:
        while not over.wait(0.2):
            made.settle(service)

    thread = threading.Thread(target=go_on)
    thread.start()
    yield made
    over.set()
    thread.join()


def deploying(folder: Path, minutes: str = "60") -> ActionContext:
    """What the action works with: an artifact with the new image."""
    packed = folder / "Deployment.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("imagedefinitions.json", json.dumps([{"name": "shop", "imageUri": NEW}]))
    configuration = {"ClusterName": "main", "ServiceName": "shop", "DeploymentTimeout": minutes}
    return context(folder, configuration, inputs={"Deployment": packed})


def test_it_deploys_the_image_and_waits_for_the_end(ecs: Ecs, tmp_path: Path) -> None:
    began = time.monotonic()

    done = EcsAction(ecs=ecs).run(deploying(tmp_path))

    assert done.summary == "shop is stable"
    assert time.monotonic() - began >= 0.1, "it is not content with the deployment before"
    service = ecs.service("shop", "main")
    assert service.running == ["shop:2"]
    assert service.deployments[0].status == "SUCCESSFUL"


def test_a_deployment_that_is_rolled_back_is_no_success(ecs: Ecs, tmp_path: Path) -> None:
    ecs.behaviours[NEW] = Behaviour.CRASH

    with pytest.raises(ActionFailed, match="the circuit breaker threshold was exceeded"):
        EcsAction(ecs=ecs).run(deploying(tmp_path))


def test_one_that_takes_too_long_fails(ecs: Ecs, tmp_path: Path) -> None:
    ecs.behaviours[NEW] = Behaviour.SLOW

    with pytest.raises(ActionFailed, match="The service did not become stable within 5 minutes"):
        EcsAction(ecs=ecs, time_factor=0.001).run(deploying(tmp_path, "5"))
