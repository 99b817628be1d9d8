"""The whole delivery: the example application through dev and prod, and commits that must not get there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rehearsing import at_any_speed

from local.npm import npm_cache
from local.rehearsal import aws_cli
from local.rehearsal.application import Source
from local.rehearsal.arguments import EXAMPLE
from local.rehearsal.base_images import builds_of, needed, provide
from local.rehearsal.breaking import break_app
from local.rehearsal.deployed import Deployed
from local.rehearsal.emulated.access import RolePolicies
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.hosting import Secrets, Visitor
from local.rehearsal.pipeline import Execution, Status
from local.rehearsal.rehearsal import Options, Rehearsal
from local.rehearsal.report.terminal import Lines

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rehearsal")]


class Delivery:
    """A rehearsal of dev and prod, to which commits are pushed; somebody asks both services all the time."""

    def __init__(
        self, rehearsal: Rehearsal, source: Source, visitors: dict[str, Visitor], shown: StringIO, folder: Path
    ) -> None:
        self.rehearsal, self.source, self.visitors = rehearsal, source, visitors
        self.shown, self._folder = shown, folder
        self._copies = 0

    def push(self, *faults: str, until: str = "") -> Execution:
        """Push the application, or a copy with faults, and wait until everything that comes of it has ended."""
        source = self.source
        if faults:
            self._copies += 1
            copy = self._folder / str(self._copies)
            subprocess.run(["git", "clone", "--quiet", str(source.folder), str(copy)], check=True)
            source = Source.of(copy, self._folder / f"{self._copies}-source", branch=source.branch)
            source = source.changed("; ".join(break_app(source.folder, fault) for fault in faults))
        execution = self.rehearsal.push("dev", source, variables={"LIGHTHOUSE_RUNS": "1"}, until=until)
        self.rehearsal.wait()
        return execution

    def runs(self, stack: str) -> list[Execution]:
        return self.rehearsal.stacks[stack].runner.executions

    def answering(self, stack: str) -> str:
        """The version that answers now."""
        return self.visitors[stack].ask().version


def reading_a_secret(graph: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same stack with a secret of its application, without which no task starts."""
    for resource in graph:
        template = resource["inputs"].get("content") or ""
        if '"containerDefinitions"' in template:
            definition = json.loads(template)
            definition["containerDefinitions"][0]["secrets"] = [{"name": "TOKEN", "valueFrom": "/shop/token"}]
            resource["inputs"]["content"] = json.dumps(definition)
    return graph


def shown_on_github(stack: str, folder: Path) -> Path:
    """The stack file, with GitHub showing what becomes of its runs."""
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    shown = "{ enabled: true, repository: example/shop, tokenSecret: shop/status-token }"
    file = folder / f"Pulumi.{stack}.yaml"
    file.write_text(f"{text}  ecs-delivery:statuses: {shown}\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def delivery(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    """Both stacks, and the application delivered once, from its push to its release."""
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy", "chromium", "lighthouse")
    folder = tmp_path_factory.mktemp("rehearsal")
    graphs = {name: reading_a_secret(deployed_graph(name, shown_on_github(name, folder))) for name in ("dev", "prod")}
    at_any_speed(graphs["dev"])
    (folder / "secrets").write_text("TOKEN=open-sesame\n")
    source = Source.of(EXAMPLE, folder / "application", branch="main")
    builds = builds_of(*map(Deployed.of, graphs.values()))
    cache = npm_cache("lighthouse", ROOT / "buildspecs" / "lighthouse")
    options = Options(
        graphs=graphs,
        images=provide(needed(source.folder, builds), network=False),
        decide=lambda *_: True,
        environment={"npm_config_cache": str(cache), "npm_config_prefer_offline": "true"},
        secrets=Secrets.of(graphs, folder / "secrets"),
    )
    shown = StringIO()
    with Rehearsal(options, Lines(shown).changed) as rehearsal:
        stacks = rehearsal.stacks
        with stacks["dev"].hosting.visitor() as dev, stacks["prod"].hosting.visitor() as prod:
            made = Delivery(rehearsal, source, {"dev": dev, "prod": prod}, shown, folder)
            made.push()
            yield made


def documented(language: str, holding: str = "") -> str:
    """The block of docs/operations.md that says how to go back and holds these words."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.split("\n## Go back to an earlier version\n")[1].split("\n## ")[0]
    (block,) = [text for text in re.findall(rf"```{language}\n(.*?)\n```", section, re.DOTALL) if holding in text]
    return str(block)


def errors(execution: Execution) -> dict[str, str]:
    """The actions that failed, and why."""
    return {run.action.name: run.error for run in execution.actions if run.status == Status.FAILED}


def test_a_commit_travels_from_its_push_to_its_release(delivery: Delivery) -> None:
    dev, prod = delivery.runs("dev")[0], delivery.runs("prod")[0]
    assert (dev.status, errors(dev)) == (Status.SUCCEEDED, {})
    assert (prod.status, errors(prod)) == (Status.SUCCEEDED, {})
    assert {run.action.name for run in dev.actions} == {
        action.name for action in delivery.rehearsal.stacks["dev"].deployed.actions
    }
    assert dev.trigger == "Push to main"
    assert prod.trigger == "Image shop-prod:promoted"
    digest = dev.variables["BuildImage.IMAGE_DIGEST"]
    assert prod.variables["SourceImage.ImageDigest"] == digest
    release = delivery.rehearsal.github.repositories["example/shop"].latest
    assert release
    assert release.target == delivery.source.commit
    assert json.loads(release.files["deployment.json"])["digest"] == digest


def test_github_shows_what_became_of_the_commit_in_both_environments(delivery: Delivery) -> None:
    board, commit = delivery.rehearsal.github.repositories["example/shop"].board, delivery.source.commit
    version = delivery.runs("prod")[0].variables["BuildImage.IMAGE_VERSION"]
    for name, stack in delivery.rehearsal.stacks.items():
        first, *_, last = board.of(commit, f"ecs-delivery/shop-{name}")
        assert (first.state, last.state) == ("pending", "success")
        assert last.description == f"{version} is delivered to {name}"
        assert f"/pipelines/shop-{name}/executions/{stack.runner.executions[0].identity}/" in str(last.target_url)
        deployment = next(each for each in board.deployments if each.environment == name)
        assert (deployment.sha, deployment.statuses[0]["state"]) == (commit, "in_progress")
        assert deployment.statuses[1]["state"] == "success"
        assert deployment.statuses[1]["environment_url"].startswith(f"http://lb-shop-{name}-")
    titles = {message.title for message in delivery.rehearsal.messages()}
    assert "GitHub shows example/shop" in titles
    assert "GitHub does not show what it should" not in titles


def test_the_readme_shows_what_will_be_seen(delivery: Delivery) -> None:
    def form(text: str) -> set[str]:
        """Its lines without times and names that differ from run to run."""
        return {re.sub(r"d-[A-Z0-9]+|[\d.:]+( min| s)?", "N", line) for line in text.splitlines()}

    (shown,) = re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    *lines, end = shown.splitlines()
    assert form("\n".join(lines)) <= form(delivery.shown.getvalue())
    assert end.startswith("Delivered ")


def test_users_of_both_services_notice_nothing(delivery: Delivery) -> None:
    for stack, visitor in delivery.visitors.items():
        assert visitor.failed == []
        assert visitor.versions[:2] == [f"shop-{stack}-bootstrap:1", f"shop-{stack}:1"]


def test_the_tasks_run_where_the_stack_files_say(delivery: Delivery) -> None:
    """By the AppSpec that the pipeline wrote: the services themselves were made with the launch type."""
    for stack in delivery.rehearsal.stacks.values():
        (task_set,) = stack.hosting.service.view()["taskSets"]
        network = task_set["networkConfiguration"]["awsvpcConfiguration"]
        assert task_set["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE", "weight": 1, "base": 0}]
        assert network["assignPublicIp"] == "ENABLED"
        assert len(network["subnets"]) == 2


def test_roles_use_what_they_are_granted(delivery: Delivery) -> None:
    told = delivery.rehearsal.permissions()
    used = {(each.role.partition("-role-")[0], each.action) for each in told if each.used}
    assert {
        ("shop-build-image", "ecr:PutImage"),
        ("shop-dev-promote-image", "ecr:PutImage"),
        ("shop-delivery", "codedeploy:CreateDeployment"),
        ("shop-watch-deployment", "ecs:DescribeServices"),
        ("shop-create-github-release", "secretsmanager:GetSecretValue"),
        ("shop-delivery-on-image-push", "codepipeline:StartPipelineExecution"),
    } <= used
    assert {each.used for each in told if each.action.startswith("kms:")} == {None}


def test_the_same_commit_again_builds_and_releases_nothing_new(delivery: Delivery) -> None:
    images = (
        delivery.rehearsal.stacks["dev"]
        .account.client("ecr")
        .describe_images(repositoryName="shop-dev")["imageDetails"]
    )
    again = delivery.push(until="Deploy")
    assert (again.status, errors(again)) == (Status.SUCCEEDED, {})
    now = (
        delivery.rehearsal.stacks["dev"]
        .account.client("ecr")
        .describe_images(repositoryName="shop-dev")["imageDetails"]
    )
    assert {image["imageDigest"] for image in now} == {image["imageDigest"] for image in images}
    assert len(delivery.runs("prod")) == 1


@pytest.mark.parametrize(
    "reasons",
    [
        {"build": ("BuildImage", "no-such-option")},
        {"crash": ("WatchDeployment", "broken on purpose")},
        {"migration": ("WatchDeployment", 'the migration 001 products failed: near "TABEL": syntax error')},
        {"health": ("WatchDeployment", "health checks")},
        {"smoke": ("RunSmokeTest", "the smoke test of"), "lighthouse": ("RunLighthouse", "accessibility")},
    ],
    ids=", ".join,
)
def test_a_commit_with_a_fault_does_not_reach_prod(delivery: Delivery, reasons: dict[str, tuple[str, str]]) -> None:
    """Each says why; a deployment is given up by the job beside it, since CodeDeploy's own action says little."""
    before = {stack: delivery.answering(stack) for stack in delivery.visitors}
    runs = len(delivery.runs("prod"))

    execution = delivery.push(*reasons)

    assert execution.status == Status.FAILED
    for action, reason in reasons.values():
        assert reason in errors(execution)[action]
    shop, commit = delivery.rehearsal.github.repositories["example/shop"], execution.variables["Source.CommitId"]
    *_, shown = shop.board.of(commit, "ecs-delivery/shop-dev")
    assert shown.state == "failure"
    assert all(f"/{action}" in str(shown.description) for action, _ in reasons.values())
    assert len(delivery.runs("prod")) == runs
    assert delivery.answering("prod") == before["prod"]
    if "smoke" not in reasons:
        assert delivery.answering("dev") == before["dev"]
    assert [visitor.failed for visitor in delivery.visitors.values()] == [[], []]


def test_an_earlier_version_comes_back_by_the_documented_commands(delivery: Delivery, tmp_path: Path) -> None:
    """Each is one run of one stage: nothing is built or tested, no request fails, and the next run waits."""

    def deployed() -> dict[str, Execution]:
        """The newest run that has deployed each image."""
        runs = [run for run in delivery.runs("dev") if run.stages.get("Deploy") == Status.SUCCEEDED]
        return {run.variables["BuildImage.IMAGE_DIGEST"]: run for run in runs if run.kind == "STANDARD"}

    if len(deployed()) < 2:
        delivery.push("smoke", until="Deploy")
    earlier, newest = list(deployed().values())[-2:]
    stack = delivery.rehearsal.stacks["dev"]
    stack.account.roles["on-call"] = RolePolicies([json.loads(documented("json").replace("shop-prod", "shop-dev"))])
    lines = documented("sh", "rollback-stage").replace("\\\n", "").replace("shop-prod", "shop-dev")
    by_hand, hold, let_in = lines.splitlines()
    environment = {**os.environ, **stack.account.credentials("on-call"), **stack.endpoints}
    environment |= {"PATH": f"{aws_cli.command().parent}:{environment['PATH']}", "PYTHONPATH": str(ROOT)}

    def typed(*words: str) -> str:
        words = (*delivery.rehearsal.sandbox.enter, *words)
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def back_at(target: Execution) -> Execution:
        delivery.rehearsal.wait()
        execution = delivery.runs("dev")[-1]
        assert (execution.status, execution.kind, execution.target) == ("Succeeded", "ROLLBACK", target.identity)
        assert {run.action.stage for run in execution.actions} == {"Deploy"}
        (revision,) = stack.hosting.service.running
        definition = stack.hosting.ecs.owner("DescribeTaskDefinition", taskDefinition=revision)["taskDefinition"]
        digest = target.variables["BuildImage.IMAGE_DIGEST"]
        assert digest in {item["image"].partition("@")[2] for item in definition["containerDefinitions"]}
        assert delivery.answering("dev").endswith(revision)
        assert [visitor.failed for visitor in delivery.visitors.values()] == [[], []]
        return execution

    typed("/bin/sh", "-ec", by_hand)
    back_at(earlier)
    typed("/bin/sh", "-ec", hold)
    version = newest.variables["BuildImage.IMAGE_VERSION"]
    file = shown_on_github("dev", tmp_path)
    command = (sys.executable, "-m", "local", "rollback", "--stack", "dev", "--stack-file", str(file), "--yes")
    told = typed(*command, "--version", version)
    back_at(newest)
    assert f"{version} serves, " in told
    assert stack.runner.is_held("Deploy")
    typed("/bin/sh", "-ec", let_in)
    assert not stack.runner.is_held("Deploy")


def test_a_pipeline_is_started_by_hand_when_the_push_does_not_start_it(delivery: Delivery, tmp_path: Path) -> None:
    source = Source.of(delivery.source.folder, tmp_path / "source", branch="main")
    (source.folder / "README.md").write_text("# Another text\n")
    execution = delivery.rehearsal.push("dev", source.changed("Only words"), until="Source")
    delivery.rehearsal.wait()
    assert execution.status == Status.SUCCEEDED
    assert execution.trigger.startswith("By hand, since the push does not start it: no changed file of README.md")


def test_a_squash_merge_of_what_was_built_is_delivered_without_a_build(delivery: Delivery, tmp_path: Path) -> None:
    """A new commit with the files of an older one: the same image is deployed, and released as the new commit."""
    built, released = delivery.runs("dev")[0], len(delivery.runs("prod"))
    copy = tmp_path / "merged"
    subprocess.run(["git", "clone", "--quiet", str(delivery.source.folder), str(copy)], check=True)
    source = Source.of(copy, tmp_path / "source", branch="main").changed("Merge of what was built")
    # The trigger looks at the files that a commit changes, and this one is told of by hand.
    dev = delivery.rehearsal.push("dev", source, variables={"LIGHTHOUSE_RUNS": "1"})
    delivery.rehearsal.wait()

    assert (dev.status, errors(dev)) == (Status.SUCCEEDED, {})
    ecr = delivery.rehearsal.stacks["dev"].account.client("ecr")
    image, first = (run.variables["BuildImage.IMAGE_DIGEST"] for run in (dev, built))
    ids = [{"imageDigest": digest} for digest in (image, first)]
    found = ecr.batch_get_image(repositoryName="shop-dev", imageIds=ids)["images"]
    indexes = {each["imageId"]["imageDigest"]: json.loads(each["imageManifest"]) for each in found}
    assert indexes[image]["manifests"] == indexes[first]["manifests"], "the same image and attestation, by digest"
    (build,) = (run for run in dev.actions if run.action.name == "BuildImage")
    assert any(line.startswith("Nothing is built: ") for line in build.log)
    (prod,) = delivery.runs("prod")[released:]
    assert (prod.status, errors(prod)) == (Status.SUCCEEDED, {})
    assert prod.variables["BuildImage.IMAGE_DIGEST"] == image
    release = delivery.rehearsal.github.repositories["example/shop"].latest
    assert release
    assert release.target == source.commit != delivery.source.commit
    assert release.tag.endswith(source.commit[:7])
