"""Every stack file of the repository on the real engine: plan, deploy, plan again, edit, destroy."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from account_page import recount, told
from summary import stack_files

from components.jobs import buildspec
from components.jobs import bundle as job_bundle
from components.jobs.bundle import key_of, pack
from local.engine.outcome import Outcome
from local.engine.stack import EngineFailure, LocalStack
from local.engine.values import UNKNOWN

pytestmark = pytest.mark.engine

STATEFUL = {"aws:kms/key:Key", "aws:s3/bucket:Bucket", "aws:ecr/repository:Repository"}

Config = dict[str, Any]


def names(outcome: Outcome, op: str) -> set[str]:
    """The names of the custom resources that one kind of step touches."""
    return {step.name for step in outcome.changes if step.op == op and not step.type.startswith("ecs-delivery:")}


class Deployed:
    """A deployed stack, and what an edit of its stack file would do to it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.file = stack_files()[name]
        self.folder = folder
        self.stack = LocalStack(name, stack_file=self.file, state_dir=folder / "state")

    @cached_property
    def planned(self) -> Outcome:
        """Its first plan, made before it is deployed."""
        return self.stack.preview()

    @cached_property
    def graph(self) -> list[dict[str, Any]]:
        """Its resources; no test changes what is deployed."""
        return self.stack.graph()

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """Its outputs, which belong to the stack itself."""
        (stack,) = (resource for resource in self.graph if resource["type"] == "pulumi:pulumi:Stack")
        outputs: dict[str, Any] = stack["outputs"]
        return outputs

    @cached_property
    def unedited(self) -> Outcome:
        """The plan of the stack with its file as it is."""
        return self.stack.preview()

    def edited(self, edit: Callable[[Config], None]) -> Outcome:
        """Plan the stack with its file edited; the file in the repository stays as it is."""
        stack = self._with(edit)
        as_it_is, edited = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (self.file, stack.stack_file))
        return self.unedited if edited == as_it_is else stack.preview()

    def unprotect(self) -> None:
        """Do what a person does who really means to delete a protected stack."""
        self._with(lambda config: config["retention"].update(protect=False)).up()

    def _with(self, edit: Callable[[Config], None]) -> LocalStack:
        content = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        config = {key.removeprefix("ecs-delivery:"): value for key, value in content["config"].items()}
        edit(config)
        content["config"] = {key if ":" in key else f"ecs-delivery:{key}": value for key, value in config.items()}
        file = self.folder / self.file.name
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        return LocalStack(self.name, stack_file=file, state_dir=self.folder / "state")


@pytest.fixture(scope="module", params=list(stack_files()))
def deployed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Each stack in turn: planned, deployed, later destroyed; what happens on the way is tested here, too."""
    made = Deployed(request.param, tmp_path_factory.mktemp(request.param))
    planned = made.planned
    assert {step.op for step in planned.steps} == {"create"}
    done = made.stack.up()
    assert {step.urn for step in done.changes} == {step.urn for step in planned.changes}, "up does what preview said"
    yield made
    if any(resource["protect"] for resource in made.graph):
        with pytest.raises(EngineFailure, match="protect"):
            made.stack.destroy()
        made.unprotect()
    gone = made.stack.destroy()
    assert {step.op for step in gone.steps} == {"delete"}
    assert not made.stack.exists


def test_a_second_preview_finds_nothing_to_change(deployed: Deployed) -> None:
    assert deployed.unedited.changes == ()


def test_what_is_deployed_has_a_pipeline_that_can_be_opened(deployed: Deployed) -> None:
    outputs = deployed.outputs
    assert outputs["pipelineName"] == f"shop-{deployed.name}"
    assert outputs["pipelineUrl"].startswith("https://eu-west-1.console.aws.amazon.com/codesuite/codepipeline/")
    assert isinstance(outputs["nextSteps"], list)


@pytest.mark.parametrize("deployed", ["dev"], indirect=True)
def test_the_first_preview_says_what_the_account_must_allow_and_which_commands_follow(deployed: Deployed) -> None:
    """The region is known from the stack file, so all but what is named after something new is complete."""
    outputs = deployed.planned.outputs
    assert len(outputs["accountNeeds"]) == 2
    assert outputs["nextSteps"].count(UNKNOWN) == 1  # the check of the connection, whose ARN only AWS knows
    assert outputs["nextSteps"][3].endswith("start-pipeline-execution --name shop-dev --region eu-west-1")


def test_everything_that_is_wrong_with_a_stack_file_is_said_at_once_and_in_its_own_words(tmp_path: Path) -> None:
    """Pulumi itself checks nothing of it: what is missing, empty, misspelt or of the wrong kind reaches the program."""
    file = tmp_path / "Pulumi.dev.yaml"
    sections = {"application": {"name": "shop", "port": 99999}, "hosting": "large", "tests": {}, "relase": {}}
    content = {"config": {f"ecs-delivery:{name}": section for name, section in sections.items()}}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(EngineFailure) as refused:
        LocalStack("dev", stack_file=file, state_dir=tmp_path / "state").preview()
    said = str(refused.value).splitlines()
    assert [line.partition(": is ")[0].partition(": must ")[0] for line in said] == [
        f"Pulumi.dev.yaml: ecs-delivery:{key}" for key in ("relase", "application.port", "source", "hosting")
    ]


def test_a_stack_says_what_it_takes_of_the_account(deployed: Deployed) -> None:
    """NAT gateways and their addresses, too, which no mock knows."""
    assert told(deployed.outputs["accountNeeds"]) == recount(deployed.graph)


def test_an_edit_of_environment_and_image_settings_changes_just_that(deployed: Deployed) -> None:
    """The environment ships by the template: the pipeline's structure stays, so a stage can still be rolled back."""
    source = yaml.safe_load(deployed.file.read_text(encoding="utf-8"))["config"]["ecs-delivery:source"]
    built = set(source) != {"ecr"}

    def edit(config: Config) -> None:
        config["application"].setdefault("environment", {})["LOG_LEVEL"] = "warning"
        if built:
            config.setdefault("build", {})["dockerfile"] = "docker/other.Dockerfile"
        else:
            config["source"]["ecr"]["tag"] = "other"

    outcome = deployed.edited(edit)
    watching = {"shop-delivery-on-image-push-rule", "shop-delivery-pipeline"}
    if not built and deployed.name in ("prod", "django-worker"):
        watching.add("shop-registry-source-repository")  # made here: the tag that may move is another one
    image = {"shop-build-image-project"} if built else watching
    assert names(outcome, "update") == {"shop-task-definition-object", *image}
    assert {step.op for step in outcome.changes} == {"update"}


@pytest.mark.parametrize("deployed", ["dev"], indirect=True)
def test_a_preview_writes_nothing_to_the_state_so_that_a_branch_s_needs_to_read_it_only(deployed: Deployed) -> None:
    """docs/previews.md gives it no more."""

    def state() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in (deployed.folder / "state" / "state").rglob("*") if file.is_file()}

    before = state()
    assert any(file.name == "dev.json" for file in before)
    assert deployed.edited(lambda config: config["application"].update(cpu=1024, memory=2048)).changes
    assert state() == before


@pytest.mark.parametrize("deployed", ["dev", "prod"], indirect=True)
def test_no_edit_of_size_or_port_replaces_what_holds_state(deployed: Deployed) -> None:
    def edit(config: Config) -> None:
        config["application"].update(cpu=2048, memory=4096, port=9090, architecture="x86_64")
        config.setdefault("retention", {}).update(artifactDays=7, logDays=30, images=10)

    outcome = deployed.edited(edit)
    assert [step.name for step in outcome.changes if step.op == "delete"] == []
    # AWS has no request that changes a lifecycle policy; it holds no state.
    assert {step.type for step in outcome.changes if step.is_replacement} <= {"aws:ecr/lifecyclePolicy:LifecyclePolicy"}
    assert "shop-task-definition-object" in names(outcome, "update")


@pytest.mark.parametrize("deployed", ["dev"], indirect=True)
def test_a_changed_script_is_one_object_and_its_hash_in_each_project(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the object of before stays, since a build that is queued still fetches it."""
    bundle = pack(edit=lambda text: f"{text}# one comment more\n")
    (tmp_path / "jobs.pyz").write_bytes(bundle)
    monkeypatch.setattr(job_bundle, "_packed", lambda: (tmp_path / "jobs.pyz", key_of(bundle)))

    outcome = deployed.stack.preview()
    projects = {resource["name"] for resource in deployed.graph if resource["type"].endswith(":Project")}
    assert names(outcome, "update") == projects
    assert {step.name for step in outcome.changes if step.is_replacement} == {"shop-jobs-object"}
    changed = {path for step in outcome.changes if step.op == "update" for path in step.changed}
    assert all(re.fullmatch(r"environment\.environmentVariables\[\d+\]\.value", path) for path in changed), changed


@pytest.mark.parametrize("deployed", ["dev"], indirect=True)
def test_a_connection_of_the_source_stage_is_taken_over(deployed: Deployed, tmp_path: Path) -> None:
    """Where it was until builds used it too; a new one would be PENDING until a person confirms it."""
    stack = Deployed("dev", tmp_path).stack
    shutil.copytree(deployed.stack.state_dir, stack.state_dir)
    (file,) = stack.state_dir.glob("state/.pulumi/stacks/**/dev.json")
    state = json.loads(file.read_text(encoding="utf-8"))
    resources = state["checkpoint"]["latest"]["resources"]
    kinds = ("ecs-delivery:stage:Source", "aws:codeconnections/connection:Connection")
    source, connection = (next(item for item in resources if item["type"] == kind) for kind in kinds)
    before = f"{source['urn'].rpartition('::')[0]}${connection['type']}::shop-source-connection"
    after, connection["parent"] = connection["urn"], source["urn"]
    resources.remove(source)
    resources.insert(resources.index(connection), source)  # a parent stands before its child
    file.write_text(json.dumps(state).replace(after, before), encoding="utf-8")

    assert stack.preview().changes == ()


RELEASE = {"enabled": True, "github": {"repository": "example/shop", "tokenSecret": "shop/github-token"}}
OPTIONAL = re.compile(r"[:$]ecs-delivery:(stage:(Tests|Promotion|Release)|index:StaticFiles)\$")
"""Within the URN of what exists because of a section that may be left out."""


def jobs_in(urns: Iterable[str]) -> set[str]:
    """The jobs whose CodeBuild projects are among these."""
    kind = "aws:codebuild/project:Project"
    return {re.sub(r".*::shop-(.*)-project", r"\1", urn) for urn in urns if f"${kind}::" in urn}


def preparing(graph: Iterable[dict[str, Any]]) -> str:
    """The CodeBuild project that prepares deployments, beside the image or alone."""
    (found,) = (
        resource["name"]
        for resource in graph
        if resource["type"] == "aws:codebuild/project:Project"
        and "prepare-deployment" in buildspec.jobs_in(resource["inputs"]["source"]["buildspec"].splitlines())
    )
    return str(found)


def labelled_in(there: set[str]) -> set[str]:
    """The policies of repositories that name the role of the job which puts versions on images."""
    found = {name for name in there if re.fullmatch(r"shop-registry-(app|source|image-.+)-policy", name)}
    return found - ({"shop-registry-source-policy"} if "shop-registry-app-policy" in found else set())


def test_switching_release_on_creates_its_jobs_and_updates_the_pipeline(deployed: Deployed) -> None:
    sections = yaml.safe_load(deployed.file.read_text(encoding="utf-8"))["config"]
    before = "ecs-delivery:release" in sections
    if "s3" in sections["ecs-delivery:source"]:  # there is no commit to release
        with pytest.raises(EngineFailure, match=r"must be false with source\.s3"):
            deployed.edited(lambda config: config.setdefault("release", RELEASE))
        return
    outcome = deployed.edited(lambda config: config.setdefault("release", RELEASE))
    if before:
        assert outcome.changes == ()
        return
    created = [step.urn for step in outcome.changes if step.op == "create"]
    kinds = ("logs", "policy", "project", "role")
    assert jobs_in(created)
    assert names(outcome, "create") == {f"shop-{job}-{kind}" for job in jobs_in(created) for kind in kinds}
    assert [urn for urn in created if "ecs-delivery:stage:Release" not in urn] == []
    pipeline = {"shop-delivery-pipeline", "shop-delivery-policy"}
    guard = labelled_in({resource["name"] for resource in deployed.graph})
    assert names(outcome, "update") == {*pipeline, *guard, preparing(deployed.graph)}
    assert names(outcome, "delete") == set()


def test_switching_every_optional_stage_off_deletes_its_resources_and_keeps_state(deployed: Deployed) -> None:
    def edit(config: Config) -> None:
        for section in ("tests", "promotion", "release"):
            config.pop(section, None)
        config.get("deploy", {}).pop("staticFiles", None)

    graph = deployed.graph
    there = {resource["name"] for resource in graph}
    outcome = deployed.edited(edit)
    jobs = jobs_in(resource["urn"] for resource in graph if OPTIONAL.search(resource["urn"]))
    kinds = ("logs", "policy", "project", "role", "lighthouse", "http")
    expected = {f"shop-{job}-{kind}" for job in jobs for kind in kinds}
    expected |= {"shop-test-lighthouse-package", "shop-test-lighthouse-package-lock"}
    expected |= {f"shop-test-smoke-test-{kind}" for kind in ("execution", "execution-policy", "logs")}
    assert names(outcome, "delete") == expected & there
    updated = (
        {"shop-delivery-pipeline", "shop-delivery-policy"} | ({"shop-messenger-policy"} & there) if jobs else set()
    )
    if "tag-image" in jobs:
        updated.add(preparing(graph))
        updated |= labelled_in(there)
    assert names(outcome, "update") == updated
    assert [step.name for step in outcome.changes if step.type in STATEFUL or step.is_replacement] == []
