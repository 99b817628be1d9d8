"""What `make preview` prints: the page of a stack that is new, and of an edit; in a terminal as in a pipe."""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from local import __main__ as command_line
from local.engine.outcome import State, Step
from local.engine.providers.catalogue import KINDS as CATALOGUE
from local.engine.stack import LocalStack
from local.estimates import estimate
from local.estimates.words import short
from local.new.arguments import add_arguments
from local.new.command import run as write_new
from local.refusals import protected
from local.report.kinds import KINDS, WIRING, dangers, kind_of
from local.report.preview import Preview

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
ANSWERS = [
    "--repository",
    "acme/store",
    "--branch",
    "master",
    "--port",
    "3000",
    "--health-path",
    "/",
    "--certificate",
    "none",
]


class Clone:
    """A clone for which `make new` has written the stack files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Pulumi.yaml", "__main__.py"):
            shutil.copy(ROOT / name, folder)
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        write_new(parser.parse_args(ANSWERS), folder=folder)

    def edit(self, edits: Callable[[dict[str, dict[str, object]]], object]) -> None:
        """Edit the file of prod, which stays so for one command."""
        file = self.folder / "Pulumi.prod.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        edits(content["config"])
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


class Session:
    """What the commands of a day print."""

    def __init__(self, clone: Clone) -> None:
        self._clone = clone
        self._written = (clone.folder / "Pulumi.prod.yaml").read_bytes()
        self.in_terminal = self._terminal("preview", "--stack", "prod")
        self.first, _ = self("preview")
        self.tree, _ = self("preview", "--all")
        self("up")
        deployed = LocalStack("prod", project_dir=clone.folder).graph()
        self.bill = short(estimate(deployed, region="eu-west-1"))[2].partition(": ")[2]
        self.same, _ = self("preview")
        self.edited, _ = self("preview", edits=_edit)
        self.values, _ = self("preview", "--diff", edits=_edit)
        self.kept = self("preview", edits=_drop_repository)[1]
        self.refused = {name: self("preview", edits=edits)[1] for name, edits in IMPOSSIBLE.items()}

    def __call__(
        self, *arguments: str, edits: Callable[[dict[str, dict[str, object]]], object] | None = None
    ) -> tuple[str, str]:
        """Type a command about prod, with its file edited meanwhile."""
        if edits:
            self._clone.edit(edits)
        printed, told = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdout", printed)
            patch.setattr("sys.stderr", told)
            patch.setattr(command_line, "ROOT", self._clone.folder)
            command_line.main([arguments[0], "--stack", "prod", *arguments[1:]])
        (self._clone.folder / "Pulumi.prod.yaml").write_bytes(self._written)
        return printed.getvalue(), told.getvalue()

    def _terminal(self, *arguments: str) -> str:
        """Type a command in a terminal, and return all that it shows."""
        master, slave = os.openpty()
        shown: list[bytes] = []

        def read() -> None:
            while True:
                try:
                    shown.append(os.read(master, 65536))
                except OSError:  # the other end is closed
                    return

        reader = threading.Thread(target=read)
        reader.start()
        with pytest.MonkeyPatch.context() as patch, os.fdopen(slave, "w", encoding="utf-8") as terminal:
            patch.setattr("sys.stdout", terminal)
            patch.setattr("sys.stderr", terminal)
            patch.setattr(command_line, "ROOT", self._clone.folder)
            command_line.main([*arguments])
        reader.join()
        os.close(master)
        return b"".join(shown).decode()


def _edit(config: dict[str, dict[str, object]]) -> None:
    config["ecs-delivery:application"]["memory"] = 2048
    config["ecs-delivery:application"]["environment"] = {"LOG_LEVEL": "debug"}
    del config["ecs-delivery:application"]["desiredCount"]


def _drop_repository(config: dict[str, dict[str, object]]) -> None:
    config["ecs-delivery:source"]["ecr"] = {"repository": "store-prod", "tag": "promoted"}


IMPOSSIBLE: dict[str, Callable[[dict[str, dict[str, object]]], object]] = {
    "name": lambda config: config["ecs-delivery:application"].update(name="shop"),
    "region": lambda config: config.update({"aws:region": "eu-central-1"}),  # type: ignore[dict-item] # no section
    "engine": lambda config: config["ecs-delivery:deploy"].update(engine="ecs"),
    "strategy": lambda config: config.update({"ecs-delivery:deploy": {"engine": "ecs", "strategy": "rolling"}}),
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return Session(Clone(tmp_path_factory.mktemp("clone")))


def test_a_new_stack_is_told_on_a_page(session: Session) -> None:
    lines = session.first.splitlines()
    assert lines[2] == "store, prod: nothing is deployed yet (eu-west-1, Pulumi.prod.yaml)"
    rows = {line[2:11].strip(): line[11:] for line in lines[3 : lines.index("", 3)]}
    assert rows == {
        "starts": "when an image in store-prod gets the tag promoted; one run after the other",
        "Build": "build image, verify image",
        "Deploy": "CodeDeploy, linear, 20 % each 3 min; alarms roll it back",
        "runs": "2 tasks of 0.5 vCPU and 1 GB, arm64, in public subnets; http",
    }
    assert f"  a month: {session.bill}" in session.first
    assert re.search(r" \d+ resources: (\d+ [a-z, ]+, )+\d+ images ", " ".join(session.first.split()))
    assert "     aws codepipeline start-pipeline-execution --name store-prod --region eu-west-1\n" in session.first
    assert len(lines) <= 45
    assert max(len(line) for line in lines if "  aws " not in line) <= 120


def test_a_terminal_shows_the_same(session: Session) -> None:
    shown = re.sub(r"\r\x1b\[K(Planning … \d+ s)?", "", session.in_terminal).replace("\r\n", "\n")
    assert re.search(r"\r\x1b\[KPlanning … \d+ s\r", session.in_terminal)
    in_seconds = re.compile(r"in [\d.]+ s")
    assert in_seconds.sub("", shown) == in_seconds.sub("", session.first)


def test_the_tree_is_there_for_whoever_asks(session: Session) -> None:
    assert "└─ " in session.tree
    assert "└─ " not in session.first


def test_without_an_edit_there_is_nothing_to_say(session: Session) -> None:
    assert session.same.splitlines()[2:4] == ["store, prod: no changes", ""]


def test_an_edit_is_told_by_what_was_edited_and_what_users_feel(session: Session) -> None:
    lines = session.edited.splitlines()
    assert lines[2:6] == [
        "store, prod: 3 changes of Pulumi.prod.yaml",
        "  application.memory                 1024 -> 2048",
        "  application.environment.LOG_LEVEL  left out -> debug",
        "  application.desiredCount           2 -> 2 (default)",
    ]
    assert "Ships with the next run:" in lines
    at = lines.index("Running tasks keep what they have until the next run. To ship it now:")
    assert lines[at + 1 : at + 3] == [
        "  pulumi up --stack prod",
        "  aws codepipeline start-pipeline-execution --name store-prod --region eu-west-1",
    ]
    assert "  changed     BucketObjectv2 store-task-definition-object: content" in lines
    assert "└─ " not in session.edited


def test_every_value_is_there_for_whoever_asks(session: Session) -> None:
    assert "2048" in session.values
    assert "[diff" in session.values or "~ aws:s3/bucketObjectv2" in session.values or "content" in session.values


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "name",
            r"Pulumi\.prod\.yaml:\d+: ecs-delivery:application\.name: .* store-prod is deployed, .* shop-prod — ",
        ),
        ("region", r"Pulumi\.prod\.yaml:\d+: aws:region: .* it is in eu-west-1, the file says eu-central-1 — "),
        (
            "engine",
            r"Pulumi\.prod\.yaml:\d+: ecs-delivery:deploy: .* by codeDeploy with two target groups, the file says ecs ",
        ),
        (
            "strategy",
            r"Pulumi\.prod\.yaml:\d+: ecs-delivery:deploy: .* the file says ecs with tasks that replace each other — ",
        ),
    ],
)
def test_what_cannot_be_done_to_a_deployed_stack_is_refused_with_the_way_that_works(
    session: Session, name: str, said: str
) -> None:
    problem, way_out = session.refused[name].splitlines()
    assert re.match(said, problem)
    assert "put the old" in problem
    assert "pulumi destroy --stack prod" in problem
    assert way_out.endswith("To start anew on this machine: make destroy STACK=prod.")
    page, _, anchor = "docs/hosting.md#another-engine-for-a-service-that-runs".partition("#")
    assert (page in problem) == (name in {"engine", "strategy"})
    headings = re.findall(r"^## (.*)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_what_is_protected_is_named_by_the_key_that_protects_it(session: Session) -> None:
    assert session.kept.startswith(
        "Pulumi.prod.yaml: this edit would delete store-registry-source-repository, which retention.protect"
    )
    assert "urn:" not in session.kept
    assert "pulumi state unprotect" not in session.kept
    assert protected(["something else is wrong"], Path("Pulumi.prod.yaml"), "prod") is None


def step(token: str, op: str, before: str, after: str = "") -> Step:
    old = State(inputs={"name": before})
    return Step(op, f"urn::{before}", token, before, old=old, new=State(inputs={"name": after or before}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            step("aws:ecs/service:Service", "replace", "shop-dev"),
            "the service shop-dev is deleted and made again: users",
        ),
        (
            step("aws:lb/loadBalancer:LoadBalancer", "delete", "shop-dev"),
            "the load balancer shop-dev is deleted: its DNS",
        ),
        (
            step("aws:ecr/repository:Repository", "replace", "shop"),
            "data: the repository shop with its images is deleted and",
        ),
        (step("aws:s3/bucket:Bucket", "delete", "b"), "data: the bucket b with what is in it is deleted"),
        (step("aws:kms/key:Key", "delete", "k"), "data: the key k, without which nobody reads"),
        (step("aws:codepipeline/pipeline:Pipeline", "replace", "a", "b"), "names: the pipeline a becomes b; "),
    ],
)
def test_the_four_sorts_of_danger_are_words(given: Step, said: str) -> None:
    [danger] = dangers(Preview("dev", (given,)))
    assert danger.startswith(said)


@pytest.mark.parametrize(
    "given",
    [
        step("aws:ecs/service:Service", "update", "shop-dev"),
        step("aws:s3/bucket:Bucket", "create", "b"),
        step("aws:codepipeline/pipeline:Pipeline", "replace", "a", "a"),
        step("aws:iam/role:Role", "replace", "a", "b"),
    ],
)
def test_other_changes_are_no_danger(given: Step) -> None:
    assert list(dangers(Preview("dev", (given,)))) == []


def test_every_type_that_can_be_made_is_counted_somewhere() -> None:
    assert [token for token in CATALOGUE if kind_of(token) not in KINDS] == []
    assert set(CATALOGUE) >= WIRING
