"""A whole delivery with a person's yes, a migration before the deployment and a check after it.

The stack is the repository's own dev stack, without tests and promotion; its commands look at files of the commit.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_documented_commands import commands

from components.settings import load_stack_file
from local.rehearsal import aws_cli
from local.rehearsal.application import Source
from local.rehearsal.arguments import EXAMPLE
from local.rehearsal.base_images import builds_of, needed, provide
from local.rehearsal.deployed import Deployed
from local.rehearsal.emulated.access import RolePolicies
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.hosting import Pace, Visitor
from local.rehearsal.pipeline import Execution, Status
from local.rehearsal.rehearsal import Options, Rehearsal

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rehearsal commands")]

_FAILS_WITH = (
    "import pathlib, sys; print('{0} at', open('VERSION').read()); sys.exit(pathlib.Path('shop/{0}').exists())"
)
MIGRATE, WARM = (["python", "-c", _FAILS_WITH.format(name)] for name in ("migration", "warming"))
CHANGES: Mapping[str, Any] = {
    "tests": {"enabled": False},
    "build": {"smokeTest": {"enabled": False}},
    "promotion": {"enabled": False},
    "deploy": {
        "engine": "ecs",
        "approval": {"enabled": True, "timeoutMinutes": 30},
        "before": {"command": MIGRATE, "timeoutMinutes": 5},
        "after": {"command": WARM, "timeoutMinutes": 5},
    },
}


class Delivery:
    """A rehearsal of one stack.

    Attributes:
        rehearsal: The stack.
        source: The application.
        visitor: Who asks the service all the time.
        asked: What people were asked.
        answer: What they say.
    """

    rehearsal: Rehearsal
    visitor: Visitor

    def __init__(self, source: Source) -> None:
        self.source = source
        self.asked: list[str] = []
        self.answer: bool | None = True

    def decide(self, _name: str, about: str, _seconds: float) -> bool | None:
        self.asked.append(about)
        return self.answer

    def push(self, text: str, *, broken: str = "", mended: str = "") -> Execution:
        """Push a commit whose command fails, or does no more, and wait for the end of its run."""
        (self.source.folder / "public" / "text.txt").write_text(text)
        if broken:
            (self.source.folder / "shop" / broken).write_text("")
        if mended:
            (self.source.folder / "shop" / mended).unlink()
        self.source = self.source.changed(text)
        execution = self.rehearsal.push("dev", self.source)
        self.rehearsal.wait()
        return execution

    def retry(self, execution: Execution) -> None:
        """Retry what has failed."""
        self.rehearsal.stacks["dev"].runner.retry(execution)
        self.rehearsal.wait()

    @property
    def exit_codes(self) -> list[tuple[str, int | None]]:
        """The family and the exit code of each task that a command has run in, the oldest first."""
        tasks = self.rehearsal.stacks["dev"].hosting.ecs.standalone("shop-dev")
        return [(task.definition["family"], task.exit_code) for task in tasks]

    def answering(self) -> str:
        """The version that answers now."""
        return self.visitor.ask().version


@pytest.fixture(scope="module")
def delivery(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy")
    folder: Path = tmp_path_factory.mktemp("commands")
    file = folder / "Pulumi.dev.yaml"
    changes = {f"ecs-delivery:{section}": values for section, values in CHANGES.items()}
    file.write_text(yaml.safe_dump({"config": {**load_stack_file(ROOT / "Pulumi.dev.yaml"), **changes}}))
    graphs = {"dev": deployed_graph("dev", file)}
    made = Delivery(Source.of(EXAMPLE, folder / "source", branch="main"))
    images = provide(needed(made.source.folder, builds_of(*map(Deployed.of, graphs.values()))), network=False)
    options = Options(graphs=graphs, images=images, decide=made.decide, pace=Pace(waits=0.002, least_grace=60))
    with Rehearsal(options, lambda *_: None) as made.rehearsal:
        hosting = made.rehearsal.stacks["dev"].hosting
        hosting.await_first()
        with hosting.visitor() as made.visitor:
            yield made


def action(execution: Execution, name: str) -> Any:  # noqa: ANN401 - an ActionRun
    """The last time that an action was carried out."""
    return [run for run in execution.actions if run.action.name == name][-1]


def test_a_delivery_migrates_first_and_checks_last(delivery: Delivery) -> None:
    execution = delivery.push("one")
    assert execution.status == Status.SUCCEEDED, [(run.action.name, run.error) for run in execution.actions]
    names = [run.action.name for run in execution.actions]
    assert names[-5:] == [
        "ReviewDeployment",
        "ApproveDeployment",
        "RunBeforeDeployment",
        "DeployService",
        "RunAfterDeployment",
    ]
    assert "  | migration at 1." in "\n".join(action(execution, "RunBeforeDeployment").log)
    assert delivery.exit_codes == [("shop-dev_before", 0), ("shop-dev_after", 0)]
    (asked,) = delivery.asked
    digest = execution.variables["BuildImage.IMAGE_DIGEST"]
    assert digest in asked
    assert "#{" not in asked
    assert len(asked) <= 1000
    assert "Commits: not known" in asked


def test_a_migration_that_fails_stops_the_delivery_and_the_old_version_serves(delivery: Delivery) -> None:
    before = delivery.answering()

    execution = delivery.push("two", broken="migration")

    assert execution.status == Status.FAILED
    failed = action(execution, "RunBeforeDeployment")
    assert "has failed: the program ended with exit code 1" in failed.error
    assert "Nothing was deployed: the version that runs keeps serving." in failed.error
    assert "DeployService" not in [run.action.name for run in execution.actions]
    assert delivery.answering() == before

    delivery.retry(execution)
    assert execution.status == Status.FAILED
    assert delivery.exit_codes[2:] == [("shop-dev_before", 1)] * 2
    assert len(delivery.asked) == 2, "a retry of what has failed asks nobody again"


def test_the_approval_says_what_is_replaced(delivery: Delivery) -> None:
    execution = delivery.push("three", mended="migration")
    assert execution.status == Status.SUCCEEDED, [(run.action.name, run.error) for run in execution.actions]
    assert "nothing besides the image" in delivery.asked[-1]
    assert f"...{delivery.source.commit}" in delivery.asked[-1]
    assert "https://github.com/example/shop/compare/" in delivery.asked[-1]


def test_the_same_image_again_runs_no_command_again(delivery: Delivery) -> None:
    ran = len(delivery.exit_codes)
    delivery.rehearsal.stacks["dev"].runner.start("a person")
    delivery.rehearsal.wait()
    execution = delivery.rehearsal.stacks["dev"].runner.executions[-1]
    assert execution.status == Status.SUCCEEDED
    for name in ("RunBeforeDeployment", "RunAfterDeployment"):
        assert "it is not run again" in "\n".join(action(execution, name).log)
    assert len(delivery.exit_codes) == ran


def test_a_check_that_fails_afterwards_fails_the_run_although_the_new_version_serves(delivery: Delivery) -> None:
    before = delivery.answering()
    execution = delivery.push("four", broken="warming")
    assert execution.status == Status.FAILED
    assert "The new version serves already." in action(execution, "RunAfterDeployment").error
    assert delivery.answering() != before


def test_a_deployment_that_is_not_approved_does_nothing(delivery: Delivery) -> None:
    delivery.answer, before, ran = False, delivery.answering(), len(delivery.exit_codes)
    execution = delivery.push("five", mended="warming")
    assert action(execution, "ApproveDeployment").error == "The approval was rejected."
    assert (delivery.answering(), len(delivery.exit_codes)) == (before, ran)


@pytest.fixture(scope="module")
def types(delivery: Delivery) -> Callable[..., str]:
    """Pastes a command of docs/oncall.md for dev, in the account of the rehearsal; returns what it prints."""
    stack = delivery.rehearsal.stacks["dev"]
    may = {"Effect": "Allow", "Action": ["ecs:*", "codepipeline:*"], "Resource": "*"}
    stack.account.roles["on-call"] = RolePolicies([{"Version": "2012-10-17", "Statement": [may]}])
    given = stack.account.credentials("on-call")

    def types(command: str, refusal: str = "", **names: str) -> str:
        for name, value in {"shop-prod": "shop-dev", **names}.items():
            command = re.sub(rf"\b{name}\b", value, command)
        done = subprocess.run(
            [*delivery.rehearsal.sandbox.enter, "/bin/sh", "-ec", command],
            env={**given, **stack.endpoints, "PATH": f"{aws_cli.command().parent}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == (not refusal), done.stderr
        assert refusal in done.stderr
        return done.stdout

    return types


def test_a_person_at_night_sees_what_runs(delivery: Delivery, types: Callable[..., str]) -> None:
    """A task of a service is not stopped by hand here: the request is well-formed, and finds the task."""
    runs_now, _ = commands("What runs now")
    listed, stop = commands("Restart the tasks")
    served = next(
        run
        for run in reversed(delivery.rehearsal.stacks["dev"].runner.executions)
        if (deployed := run.last("DeployService")) and deployed.status == Status.SUCCEEDED
    )
    now = types(runs_now).split()
    assert now[0] == "RUNNING"
    assert now[1].endswith(served.variables["BuildImage.IMAGE_DIGEST"])

    task = types(listed).split()[0]
    types(stop, refusal="a service's task is not stopped by hand here", TASK=task)


def test_a_person_at_night_holds_the_pipeline_and_lets_it_go_on(delivery: Delivery, types: Callable[..., str]) -> None:
    delivery.answer = True
    hold, let_in, _ = commands("Hold prod, or stop a run")
    (start,) = commands("Ship an edit now")
    runner = delivery.rehearsal.stacks["dev"].runner
    types(hold)
    types(start)
    execution = runner.executions[-1]
    last = [each.name for each in runner.deployed.actions if each.stage == "Build"][-1]
    deadline = time.monotonic() + 120
    while not (prepared := execution.last(last)) or prepared.status == Status.IN_PROGRESS:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert not runner.wait(execution, seconds=2)
    assert (execution.stage, prepared.status) == ("Build", Status.SUCCEEDED)
    types(let_in)
    delivery.rehearsal.wait()
    assert execution.stage == "Deploy"


def test_a_person_at_night_goes_back_to_an_earlier_version(delivery: Delivery, types: Callable[..., str]) -> None:
    runner = delivery.rehearsal.stacks["dev"].runner
    listed, back, _ = commands("Go back to an earlier version")
    first = runner.executions[0]
    assert [first.identity, "Succeeded"] in [line.split()[:2] for line in types(listed).splitlines()]
    types(back, RUN=first.identity)
    delivery.rehearsal.wait()
    execution = runner.executions[-1]
    assert (execution.kind, execution.status) == ("ROLLBACK", Status.SUCCEEDED), [
        (run.action.name, run.error) for run in execution.actions
    ]
    assert first.variables["BuildImage.IMAGE_DIGEST"] in types(commands("What runs now")[0])


def test_users_notice_nothing(delivery: Delivery) -> None:
    assert delivery.visitor.failed == []
