"""CodePipeline's own Amazon ECS action, on the stand-in for Amazon ECS."""

from __future__ import annotations

import json
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from action_contexts import EVERYTHING, all_but, context
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


def deploying(
    folder: Path, minutes: str = "60", policies: Sequence[Mapping[str, Any]] = (EVERYTHING,)
) -> ActionContext:
    """What the action works with: an artifact with the new image."""
    packed = folder / "Deployment.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("imagedefinitions.json", json.dumps([{"name": "shop", "imageUri": NEW}]))
    configuration = {"ClusterName": "main", "ServiceName": "shop", "DeploymentTimeout": minutes}
    return context(folder, configuration, inputs={"Deployment": packed}, policies=policies)


def test_it_deploys_the_image_and_waits_for_the_end(ecs: Ecs, tmp_path: Path) -> None:
    began = time.monotonic()

    done = EcsAction(ecs=ecs).run(deploying(tmp_path))

    assert done.summary == "shop is stable"
    assert time.monotonic() - began >= 0.1, "it is not content with the deployment before"
    service = ecs.service("shop", "main")
    assert service.running == ["shop:2"]
    assert service.deployments[0].status == "SUCCESSFUL"


def test_the_new_revision_has_the_family_and_the_tags_of_the_one_that_runs(ecs: Ecs, tmp_path: Path) -> None:
    """The pipeline's role needs ecs:TagResource for that, on the family that runs."""
    tags = [{"key": "team", "value": "orders"}]
    ecs.owner("RegisterTaskDefinition", **definition(family="legacy", tags=tags))
    ecs.owner("UpdateService", cluster="main", service="shop", taskDefinition="legacy:1")
    ecs.settle(ecs.service("shop", "main"))
    deploy = deploying(tmp_path)

    EcsAction(ecs=ecs).run(deploy)

    assert ecs.owner("DescribeTaskDefinition", taskDefinition="legacy:2", include=["TAGS"])["tags"] == tags
    assert ecs.service("shop", "main").running == ["legacy:2"]


def test_a_registration_with_tags_is_refused_without_the_permission_for_the_family(ecs: Ecs, tmp_path: Path) -> None:
    ecs.owner("RegisterTaskDefinition", **definition(family="legacy", tags=[{"key": "team", "value": "orders"}]))
    ecs.owner("UpdateService", cluster="main", service="shop", taskDefinition="legacy:1")
    ecs.settle(ecs.service("shop", "main"))

    with pytest.raises(ActionFailed, match="ecs:TagResource"):
        EcsAction(ecs=ecs).run(deploying(tmp_path, policies=all_but("ecs:TagResource")))


def test_a_deployment_that_is_rolled_back_is_no_success(ecs: Ecs, tmp_path: Path) -> None:
    ecs.behaviours[NEW] = Behaviour.CRASH

    with pytest.raises(ActionFailed, match="the circuit breaker threshold was exceeded"):
        EcsAction(ecs=ecs).run(deploying(tmp_path))


def test_one_that_takes_too_long_fails(ecs: Ecs, tmp_path: Path) -> None:
    ecs.behaviours[NEW] = Behaviour.SLOW

    with pytest.raises(ActionFailed, match="The service did not become stable within 5 minutes"):
        EcsAction(ecs=ecs, time_factor=0.001).run(deploying(tmp_path, "5"))
