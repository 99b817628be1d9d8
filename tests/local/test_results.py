"""An action is not run again while nothing that it depends on has changed; and it is when something has."""

from __future__ import annotations

import copy
import json
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from summary import program

from components.jobs.bundle import pack
from local.errors import Refusal
from local.rehearsal.base_images import Content, ImageStore
from local.rehearsal.deployed import Deployed
from local.rehearsal.images import image, layer
from local.rehearsal.pipeline import ActionContext, ActionFailed, ArtifactStore, Completed, Execution, PipelineRunner
from local.rehearsal.resources import Repository, pushed_to
from local.rehearsal.results import Dependencies, Pushes, ResultStore, Reuse, Wish
from local.rehearsal.results.kept import Result
from local.rehearsal.results.pushes import Pushed
from local.rehearsal.selection import place, up_to, wishes

COMMIT = "0123456789abcdef"
IMAGE = image(layer({}), Entrypoint=["/serve"])
ALWAYS = {"Source"}
DEPLOYMENT = {"DeployService", "WatchDeployment"}


class Bucket:
    """An artifact bucket in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock, self._count = folder, threading.Lock(), 0

    def put(self, artifact: str, file: Path) -> str:
        with self._lock:
            self._count += 1
            key = f"shop/{artifact[:10]}/{self._count}"
        (self._folder / key).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / key).write_bytes(file.read_bytes())
        return key

    def get(self, key: str, target: Path) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((self._folder / key).read_bytes())
        return target


class Registry(Pushes):
    """A registry in memory."""

    def __init__(self, store: ImageStore) -> None:
        self.store = store
        self.tags: dict[tuple[Repository, Content], set[str]] = {}

    def _images(self, repository: Repository) -> dict[Content, frozenset[str]]:
        return {content: frozenset(tags) for (where, content), tags in self.tags.items() if where == repository}

    def push(self, repository: Repository, *tags: str) -> None:
        self.tags.setdefault((repository, Content(IMAGE.digest, IMAGE.manifest.media_type)), set()).update(tags)

    def keep(self, pushed: Iterable[Pushed]) -> None:
        for _ in pushed:
            self.store.put(IMAGE)

    def put_back(self, pushed: Iterable[Pushed]) -> None:
        for each in pushed:
            self.tags.setdefault((each.repository, each.content), set()).update(each.tags)


class Machine:
    """Rehearsals of a stack file, one after another; actions do nothing but what they must leave."""

    def __init__(self, folder: Path, stack: str = "dev") -> None:
        self.folder, self.stack = folder, stack
        self.graph = _graph(stack, folder)
        self.application = folder / "application"
        self.kept = folder / "results"
        self.code = "the code"
        self.base_images = {"python:3": "sha256:1"}
        self.secrets = ""
        self.settings: dict[str, object] = {}
        self.fails: set[str] = set()
        self.ran: list[str] = []
        self.registry: Registry | None = None
        self.store: ResultStore | None = None
        self._count = 0

    @property
    def deployed(self) -> Deployed:
        return Deployed.of(self.graph)

    def results(self, commit: str = COMMIT) -> ResultStore:
        return ResultStore(self.application, commit, self.kept)

    def rehearse(
        self, wish: Wish | None = None, *, until: str = "", commit: str = COMMIT, revision: str = ""
    ) -> Execution:
        """Run the pipeline in an account without anything; `ran` holds the actions that were really run."""
        self._count += 1
        place = self.folder / str(self._count)
        self.ran = []
        self.store = self.results(commit)
        self.store.begin()
        self.registry = Registry(self.store.images)
        bucket: Any = Bucket(place / "bucket")
        with ThreadPoolExecutor(1) as writer:
            reuse = Reuse(
                self.stack,
                self.deployed,
                Dependencies(self.graph, self.deployed, self.base_images, self.secrets, **self.settings),
                self.store,
                self.registry,
                lambda _store, artifact, file: str(bucket.put(artifact, file)),
                wish or Wish(),
                writer,
            )
            providers = {action.provider: reuse.around(self) for action in self.deployed.actions}
            store = ArtifactStore(account="123456789012", region="eu-west-1", as_pipeline=bucket)
            runner = PipelineRunner(self.deployed, providers, store, place / "runs")
            revisions = {"SourceImage": revision} if revision else None
            execution = runner.start("a person", revisions, until=until)
            assert runner.wait(execution, 20)
        return execution

    def run(self, context: ActionContext) -> Completed:
        """Carry out an action."""
        name = context.action.name
        self.ran.append(name)
        context.say(f"{name} runs")
        if name in self.fails:
            raise ActionFailed("as the test wants")
        text = self.code if context.action.category == "Source" else f"what {name} makes"
        artifacts = {}
        for output in context.action.outputs:
            file = context.folder / "made" / f"{output}.zip"
            file.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr(zipfile.ZipInfo("file", time.localtime()[:6]), text)
            artifacts[output] = context.store.as_pipeline.put(output, file)
        assert self.registry
        for repository in pushed_to(self.deployed.policies(name)):
            self.registry.push(repository, name)
        variables = {
            "CommitId": COMMIT,
            "AuthorDate": "now",
            "BranchName": "main",
            "IMAGE_DIGEST": "sha256:1",
            "IMAGE_URI": "1",
            "IMAGE_VERSION": "1",
            **dict.fromkeys(("RUNNING", "CHANGES", "COMMITS", "REVIEW_URL"), "known"),
        }
        return Completed(summary=f"{name} is done", variables={**variables, "ImageDigest": "2"}, artifacts=artifacts)

    def all_but(self, *names: str) -> set[str]:
        return {action.name for action in self.deployed.actions} - set(names)


@pytest.fixture
def dev(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_is_done_twice(dev: Machine) -> None:
    first = dev.rehearse()
    assert set(dev.ran) == dev.all_but()
    assert dev.registry
    pushed = dict(dev.registry.tags)

    second = dev.rehearse()

    assert set(dev.ran) == ALWAYS
    assert (second.status, second.variables.keys()) == (first.status, first.variables.keys())
    assert second.artifacts.keys() == first.artifacts.keys()
    assert dev.registry.tags == pushed
    for run in second.actions:
        assert run.reused == (run.action.name not in ALWAYS)
        assert run.log[-1] == f"{run.action.name} runs"
        assert run.summary == f"{run.action.name} is done"


def test_what_is_put_back_is_what_was_made(dev: Machine, tmp_path: Path) -> None:
    dev.rehearse()
    execution = dev.rehearse()
    key = execution.artifacts["Deployment"]
    with zipfile.ZipFile(Bucket(tmp_path / "2" / "bucket").get(key, tmp_path / "again.zip")) as archive:
        assert archive.read("file") == b"what BuildImage makes"


def project(machine: Machine, action: str) -> dict[str, Any]:
    name = machine.deployed.project(action).name
    return next(
        item["inputs"] for item in machine.graph if item["inputs"].get("name") == name and "source" in item["inputs"]
    )


def another_buildspec(machine: Machine) -> None:
    found = project(machine, "RunSmokeTest")
    found["source"] = {**found["source"], "buildspec": f"{found['source']['buildspec']}\n# changed"}


def another_variable(machine: Machine) -> None:
    variables = project(machine, "PromoteImage")["environment"]["environmentVariables"]
    variables.append({"name": "NEW", "value": "1", "type": "PLAINTEXT"})


def another_role(machine: Machine) -> None:
    role = machine.deployed.project("BuildSmokeTestImage").role
    policy = next(
        item["inputs"] for item in machine.graph if item["inputs"].get("role") == role and "policy" in item["inputs"]
    )
    policy["policy"] = json.dumps({**json.loads(policy["policy"]), "Id": "changed"})


def another_script(name: str) -> Callable[[Machine], None]:
    def change(machine: Machine) -> None:
        for item in machine.graph:
            if item["inputs"].get("key", "").startswith("_jobs/"):
                file = Path(item["inputs"]["source"]["path"])
                changed = file.with_name(f"{name.replace('/', '-')}.pyz")
                with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w") as new:
                    for member in old.namelist():
                        new.writestr(
                            member, old.read(member) + (b"\n# changed" if member == f"jobs/{name}.py" else b"")
                        )
                item["inputs"]["source"] = {"path": str(changed), "hash": name}

    return change


def another_file(machine: Machine) -> None:
    item = next(item for item in machine.graph if item["inputs"].get("key") == "_task-definition/template.json")
    item["inputs"]["content"] += " "


def other_code(machine: Machine) -> None:
    machine.code = "other code"


def another_base_image(machine: Machine) -> None:
    machine.base_images = {"python:3": "sha256:2"}


def another_setting(machine: Machine) -> None:
    machine.settings = {"network": True}


def another_service(machine: Machine) -> None:
    group = next(item for item in machine.graph if item["type"].endswith(":TargetGroup"))
    group["inputs"]["deregistrationDelay"] = 1


def another_secret(machine: Machine) -> None:
    machine.secrets = "another"


@pytest.mark.parametrize(
    ("change", "run"),
    [
        (another_buildspec, {"RunSmokeTest", *DEPLOYMENT}),
        (another_variable, {"PromoteImage"}),
        (another_role, {"BuildSmokeTestImage"}),
        (another_script("promote_image"), {"PromoteImage"}),
        (another_script("prepare_deployment"), {"BuildImage"}),
        (another_script("task_definition"), {"BuildImage", *DEPLOYMENT}),
        (another_script("run_lighthouse"), {"RunLighthouse", *DEPLOYMENT}),
        (another_script("deploy_ecs"), set()),
        (another_file, {"BuildImage"}),
        (other_code, {"BuildImage", "BuildSmokeTestImage"}),
        (another_base_image, {"BuildImage", "BuildSmokeTestImage"}),
        (another_service, {"RunSmokeTest", "RunLighthouse", *DEPLOYMENT}),
        (another_secret, {"RunSmokeTest", "RunLighthouse", *DEPLOYMENT}),
        (another_setting, None),
    ],
    ids=lambda value: getattr(value, "__qualname__", "").split(".")[0],
)
def test_what_depends_on_a_change_is_run_again_and_nothing_else(
    dev: Machine, change: Callable[[Machine], None], run: set[str] | None
) -> None:
    """Jobs here make the same of other code, so that what follows them is as before."""
    dev.rehearse()
    change(dev)
    execution = dev.rehearse()
    assert set(dev.ran) == ALWAYS | (dev.all_but() if run is None else run)
    assert execution.status == "Succeeded"


def test_it_says_what_has_changed(dev: Machine) -> None:
    dev.rehearse()
    other_code(dev)
    execution = dev.rehearse()
    built = execution.last("BuildImage")
    assert built
    assert built.log[0] == "Changed since the last rehearsal: the artifact Source"
    again = dev.rehearse().last("BuildImage")
    assert again
    assert (again.reused, again.log) == (True, ["BuildImage runs"])


def test_an_id_of_the_run_is_no_change_and_neither_is_the_time_of_packing(dev: Machine) -> None:
    assert "#{codepipeline.PipelineExecutionId}" in json.dumps(
        [dict(each.configuration) for each in dev.deployed.actions]
    )
    dev.rehearse()
    dev.rehearse()
    assert set(dev.ran) == ALWAYS


def test_the_order_in_which_the_engine_lists_resources_is_no_change(dev: Machine) -> None:
    dev.rehearse()
    dev.graph.reverse()
    dev.rehearse()
    assert set(dev.ran) == ALWAYS


def test_a_service_that_somebody_looks_at_afterwards_is_deployed(dev: Machine) -> None:
    dev.rehearse()
    dev.rehearse(Wish(keeps_services=True))
    assert set(dev.ran) == ALWAYS | DEPLOYMENT


def test_an_image_that_has_arrived_counts_by_its_digest(tmp_path: Path) -> None:
    prod = Machine(tmp_path, "prod")
    prod.rehearse(revision="sha256:1")
    prod.rehearse(revision="sha256:1")
    assert prod.ran == []
    prod.code = "another image"
    prod.rehearse(revision="sha256:2")
    assert {"SourceImage", "BuildImage"} <= set(prod.ran)
    prod.rehearse()
    assert prod.ran == ["SourceImage"]  # nobody knows beforehand what is the newest


def test_a_deployment_counts_only_who_comes_after_it_in_this_run(dev: Machine) -> None:
    dev.rehearse(until="Deploy")
    dev.rehearse(until="Deploy")
    assert set(dev.ran) == ALWAYS
    dev.rehearse()
    assert set(dev.ran) == ALWAYS | DEPLOYMENT | {"RunSmokeTest", "RunLighthouse", "VerifyImage", "PromoteImage"}


def test_what_failed_is_run_again(dev: Machine) -> None:
    dev.fails = {"RunLighthouse"}
    assert dev.rehearse().status == "Failed"
    dev.fails = set()
    assert dev.rehearse().status == "Succeeded"
    assert set(dev.ran) == ALWAYS | DEPLOYMENT | {"RunLighthouse", "VerifyImage", "PromoteImage"}


def test_fresh_means_that_everything_runs(dev: Machine) -> None:
    dev.rehearse()
    dev.rehearse(Wish(fresh=True))
    assert set(dev.ran) == dev.all_but()


def wished(machine: Machine, commit: str = COMMIT, **options: Any) -> Wish:  # noqa: ANN401 - as `wishes`
    return wishes({machine.stack: machine.deployed}, machine.results(commit), **options)[machine.stack]


def test_a_retry_takes_what_has_succeeded_whatever_has_changed_since(dev: Machine) -> None:
    dev.rehearse()
    dev.fails = {"RunLighthouse"}
    dev.rehearse(wished(dev, begin="Test"))
    dev.fails = set()
    for name in ("build_image", "run_lighthouse"):
        another_script(name)(dev)
    dev.rehearse(wished(dev, retry=True))
    assert set(dev.ran) == ALWAYS | DEPLOYMENT | {"RunLighthouse"}


def test_a_retry_is_of_the_same_commit(dev: Machine) -> None:
    with pytest.raises(Refusal, match="there was none of 0123456"):
        wished(dev, retry=True)
    dev.rehearse()
    with pytest.raises(Refusal, match="there was none of abcdef0"):
        wished(dev, "abcdef0123", retry=True)


def test_from_takes_what_comes_before_and_runs_the_rest(dev: Machine) -> None:
    dev.rehearse()
    another_script("build_image")(dev)
    dev.rehearse(wished(dev, begin="RunLighthouse"))
    assert set(dev.ran) == ALWAYS | DEPLOYMENT | {"RunLighthouse", "VerifyImage", "PromoteImage"}
    dev.rehearse(wished(dev, begin="Promote"))
    assert set(dev.ran) == ALWAYS | {"VerifyImage", "PromoteImage"}


def test_only_runs_one_thing(tmp_path: Path) -> None:
    """Another action of its stage is before it."""
    machine = Machine(tmp_path, "classic")
    machine.rehearse()
    execution = machine.rehearse(wished(machine, only="PrepareDeployment"), until="PrepareDeployment")
    assert set(machine.ran) == ALWAYS | {"PrepareDeployment"}
    assert execution.status == "Succeeded"


def test_what_is_to_be_taken_must_be_there(dev: Machine) -> None:
    with pytest.raises(Refusal) as refused:
        wished(dev, only="PromoteImage")
    assert str(refused.value) == (
        "dev/BuildImage, dev/BuildSmokeTestImage, dev/RunLighthouse, dev/RunSmokeTest, dev/VerifyImage: "
        "there is no earlier result for commit 0123456. Rehearse once without --only"
    )


def test_a_stage_or_an_action_is_found_in_the_first_stack_that_has_it(dev: Machine, tmp_path: Path) -> None:
    plan = {"dev": dev.deployed, "prod": Machine(tmp_path / "prod", "prod").deployed}
    assert place(plan, "Deploy") == ("dev", "Deploy")
    assert place(plan, "prod/Deploy") == ("prod", "Deploy")
    assert place(plan, "TagImage")[0] == "prod"
    assert up_to(plan, "Deploy")[1] == {"dev": "Deploy"}
    assert list(up_to(plan, "Deploy")[0]) == ["dev"]
    assert list(up_to(plan, "TagImage")[0]) == ["dev", "prod"]
    with pytest.raises(Refusal, match="there is no stage or action Bild: dev has Source, Build"):
        place(plan, "Bild")
    with pytest.raises(Refusal, match="no stack staging is rehearsed here, only dev and prod"):
        place(plan, "staging/Build")


def test_from_a_stage_of_prod_takes_all_of_dev(dev: Machine, tmp_path: Path) -> None:
    plan = {"dev": dev.deployed, "prod": Machine(tmp_path / "prod", "prod").deployed}
    with pytest.raises(Refusal) as refused:
        wishes(plan, dev.results(), begin="prod/Deploy")
    assert "dev/PromoteImage" in str(refused.value)
    assert "prod/Deploy" not in str(refused.value)


def test_an_approval_is_asked_for_again_but_not_by_a_retry(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "everything-on")
    (approval,) = [action.name for action in machine.deployed.actions if action.provider == "Manual"][:1]
    machine.rehearse()
    machine.rehearse()
    assert approval in machine.ran
    machine.rehearse(wishes({"everything-on": machine.deployed}, machine.results(), retry=True)["everything-on"])
    assert approval not in machine.ran


def test_an_image_that_is_not_kept_any_more_is_built_again(dev: Machine) -> None:
    dev.rehearse()
    for blob in (dev.kept / "images" / "blobs" / "sha256").iterdir():
        blob.unlink()
    dev.rehearse()
    assert "BuildImage" in dev.ran
    assert DEPLOYMENT.isdisjoint(dev.ran)


def test_an_artifact_that_is_not_kept_any_more_is_made_again(dev: Machine) -> None:
    dev.rehearse()
    for artifact in dev.kept.glob("*/Deployment"):
        artifact.unlink()
    execution = dev.rehearse()
    assert set(dev.ran) == ALWAYS | {"BuildImage"}
    assert {"Image", "Deployment"} <= execution.artifacts.keys(), "both are of one build"


def test_a_result_that_cannot_be_kept_is_said_and_the_delivery_goes_on(
    dev: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ResultStore, "keep", full)
    assert dev.rehearse().status == "Succeeded"
    assert dev.store
    assert "The result of BuildImage is not kept for the next rehearsal: [Errno 28] No space left" in "\n".join(
        dev.store.problems
    )
    dev.rehearse()
    assert set(dev.ran) == dev.all_but()


def test_an_image_that_cannot_be_put_back_fails_its_action_as_one_that_ran(
    dev: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev.rehearse()

    def refuse(*_: object) -> None:
        raise RuntimeError("PUT manifests: 500")

    monkeypatch.setattr(Registry, "put_back", refuse)
    run = dev.rehearse().last("BuildImage")
    assert run
    assert (run.status, run.reused) == ("Failed", False)
    assert "PUT manifests: 500" in run.error


def test_results_and_images_that_nobody_has_used_for_long_are_deleted(
    dev: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev.rehearse()
    kept = sorted(path.parent for path in dev.kept.glob("*/result.json"))
    blobs = sorted((dev.kept / "images" / "blobs" / "sha256").iterdir())
    assert blobs
    for path in [*kept, *blobs]:
        os.utime(path, (0, 0))
    dev.results().tidy_up()
    assert [path for path in [*kept, *blobs] if not path.exists()] == []

    monkeypatch.setattr("local.rehearsal.results.kept._MOST_RESULTS", 0)
    dev.results().tidy_up()
    assert [path for path in [*kept, *blobs] if path.exists()] == []


def test_results_belong_to_one_application(dev: Machine) -> None:
    dev.rehearse()
    other = ResultStore(dev.folder / "other", COMMIT, dev.kept)
    assert other.of_commit("dev", "BuildImage") is None
    found = dev.results().of_commit("dev", "BuildImage")
    assert isinstance(found, Result)


def _graph(stack: str, folder: Path) -> list[dict[str, Any]]:
    """The graph of a stack file as a rehearsal has it: with files for its objects."""
    folder.mkdir(exist_ok=True)
    bundle = folder / "jobs.pyz"
    bundle.write_bytes(pack())
    graph = [{**resource.as_dict(), "inputs": _copied(resource.as_dict()["inputs"])} for resource in program(stack)]
    for item in graph:
        source: Mapping[str, Any] | None = item["inputs"].get("source")
        if item["type"].endswith(":BucketObjectv2") and source is not None:
            path = str(bundle) if item["inputs"]["key"].startswith("_jobs/") else str(source)
            item["inputs"]["source"] = {"path": path, "hash": path}
    return graph


def _copied(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if name == "source" and not isinstance(value, dict) else copy.deepcopy(value)
        for name, value in inputs.items()
    }
