"""The start of a rehearsal: what is beside its first actions, and what becomes of them when it fails."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from summary import program

from local.rehearsal import images, tools
from local.rehearsal.application import Source
from local.rehearsal.arguments import EXAMPLE
from local.rehearsal.base_images import builds_of, needed, provide
from local.rehearsal.deployed import Deployed
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.hosting.fleet import ContainerFleet
from local.rehearsal.pipeline import Completed, Status
from local.rehearsal.rehearsal import OnceSteady, Options, Rehearsal

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rehearsal")]


def options(folder: Path) -> tuple[Source, Options]:
    """The example application, and dev to rehearse with it."""
    graph = deployed_graph("dev", ROOT / "Pulumi.dev.yaml")
    source = Source.of(EXAMPLE, folder / "application", branch="main")
    wanted = needed(source.folder, builds_of(Deployed.of(graph)))
    return source, Options(graphs={"dev": graph}, images=provide(wanted, network=False), decide=lambda *_: True)


def test_what_does_not_start_beside_the_first_actions_ends_them_and_says_why(
    need: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy")
    commands = tools.engine()
    failing = tmp_path / "dockerd"
    failing.write_text("#!/bin/sh\nsleep 1\necho no room on the device\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(tools, "engine", lambda: {**commands, "dockerd": str(failing)})
    source, wanted = options(tmp_path)

    with Rehearsal(wanted, lambda *_: None) as rehearsal:
        folder = rehearsal.sandbox.folder
        run = rehearsal.push("dev", source)
        assert rehearsal.stacks["dev"].runner.wait(run, 60)
        with pytest.raises(
            RuntimeError, match=r"^The Docker engine did not start\. It said:\nno room on the device\n$"
        ):
            rehearsal.wait()

    assert {action.action.name: action.status for action in run.actions} == {
        "Source": Status.SUCCEEDED,
        "BuildImage": Status.FAILED,
        "BuildSmokeTestImage": Status.FAILED,
    }
    assert run.actions[-1].error == "The rehearsal has not started as a whole."
    assert not folder.exists()


def test_a_start_that_fails_before_the_engine_is_started_waits_for_no_task(
    need: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is to start waits for the engine, and whoever ends the service for the task."""
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy")
    _, wanted = options(tmp_path)
    close, left = ContainerFleet.close, []

    def fails(*_: object) -> None:
        raise RuntimeError("no stack can be made")

    def closing(fleet: ContainerFleet) -> None:
        close(fleet)
        left.append([run.removed for run in fleet._runs.values()])

    monkeypatch.setattr("local.rehearsal.hosting.fleet._ENDS", 5)
    monkeypatch.setattr(ContainerFleet, "close", closing)
    monkeypatch.setattr(Rehearsal, "_stack", fails)
    with pytest.raises(RuntimeError, match=r"^no stack can be made$"), Rehearsal(wanted, lambda *_: None):
        pass
    assert left == [[True, True]]


@pytest.mark.parametrize(
    ("stack", "action", "order"),
    [
        ("dev", "Source", ["runs"]),
        ("dev", "BuildImage", ["runs"]),
        ("classic", "PrepareDeployment", ["awaited", "runs"]),
        ("dev", "DeployService", ["awaited", "runs"]),
        ("dev", "RunSmokeTest", ["awaited", "runs"]),
    ],
)
def test_what_asks_the_service_waits_for_its_first_tasks(stack: str, action: str, order: Sequence[str]) -> None:
    """Of the jobs before the deployment that is the one which compares with what runs."""
    seen = []

    class Provider:
        def run(self, _context: Any) -> Completed:  # noqa: ANN401 - a context made of its stage
            seen.append("runs")
            return Completed(summary="done")

    provider = OnceSteady(Provider(), lambda: seen.append("awaited"))
    deployed = Deployed.of([found.as_dict() for found in program(stack)])
    context: Any = SimpleNamespace(deployed=deployed, action=deployed.action(action))
    assert provider.run(context).summary == "done"
    assert seen == order


def test_the_kept_layer_of_buildkit_is_known_by_what_it_unpacks_to(need: Callable[..., None]) -> None:
    need("builder")
    images.buildkit(b"")
    _, _, kept, _ = images.buildkit(b"certificate").blobs
    (noted,) = tools.builder().bin.parent.glob("layer-*.diff-id")
    assert noted.read_text(encoding="ascii") == f"sha256:{hashlib.sha256(gzip.decompress(kept.content)).hexdigest()}"
    assert noted.with_suffix("").read_bytes() == kept.content
