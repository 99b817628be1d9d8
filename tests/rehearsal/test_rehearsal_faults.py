"""Every action of dev and prod fails in the middle, again and again, and the delivery completes all the same.

One commit is delivered. Each action is struck by a refused call, then by a lost network, then by a crash, and the
failed run is retried each time. Meanwhile somebody asks both services.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from faults import Fault, Faults, crash, lost, refusal
from hosted import await_
from rehearsing import at_any_speed
from summary import built_in_turn

from local.npm import npm_cache
from local.rehearsal.application import Source
from local.rehearsal.arguments import EXAMPLE
from local.rehearsal.base_images import builds_of, needed, provide
from local.rehearsal.deployed import Deployed
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.hosting import Pace, Visitor
from local.rehearsal.pipeline import Execution, PipelineRunner, Status
from local.rehearsal.rehearsal import OnceSteady, Options, Rehearsal, Stack

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rehearsal faults")]

DEV, PROD = "shop-dev", "shop-prod"
DIED = "The rehearsal itself failed: MachineDied()"
WITH_DEPLOYMENT = Fault(kind="", says=("DeployService has failed: ",))
"""What becomes of the job that watches, when what it watches is struck."""


def building(repository: str) -> tuple[Fault, ...]:
    """What strikes the build of an image; the crash when the image is there already."""
    return (
        refusal("ecr:PutImage", f"repository/{repository}"),
        lost("docker buildx create*", registry=True),
        crash("docker buildx build*"),
    )


def verifying(repository: str) -> tuple[Fault, ...]:
    """What strikes the verification of an image."""
    return (
        refusal("ecr:DescribeImages", f"repository/{repository}"),
        lost("aws ecr get-authorization-token*"),
        crash("aws ecr describe-images*"),
    )


PREPARING = crash("aws s3 cp*template.json*")
"""What strikes the preparation of the deployment, which the build that knows the image does."""
FAULTS: dict[tuple[str, str], tuple[Fault, ...]] = {
    (DEV, "Source"): (
        refusal("codeconnections:UseConnection", "connection/"),
        lost("", "s3:PutObject", "Could not connect"),
        crash("example/shop at", DIED),
    ),
    (DEV, "BuildImage"): (*building("shop-dev"), PREPARING),
    (DEV, "BuildSmokeTestImage"): building("shop-dev-smoke-test"),
    (DEV, "DeployService"): (
        refusal("codedeploy:CreateDeployment", "deploymentgroup:shop-dev/shop-dev"),
        lost("", "s3:GetObject", "Could not connect"),
        crash("Started the deployment", DIED),
    ),
    (DEV, "WatchDeployment"): (
        WITH_DEPLOYMENT,
        WITH_DEPLOYMENT,
        crash("aws codepipeline list-action-executions*"),
        refusal("ecs:DescribeServices", "service/shop-dev/shop-dev", fails=False),
    ),
    (DEV, "RunSmokeTest"): (
        refusal("ecs:RunTask", "task-definition/shop-dev_smoke-test:1"),
        lost("aws ecs run-task*"),
        crash("aws ecs describe-tasks*"),
    ),
    (DEV, "RunLighthouse"): (
        refusal("s3:GetObject", "arn:aws:s3:::"),
        lost("aws s3 cp*package.json*"),
        crash("aws s3 cp*package-lock.json*"),
    ),
    (DEV, "VerifyImage"): verifying("shop-dev"),
    (DEV, "PromoteImage"): (
        refusal("ecr:PutImage", "repository/shop-prod"),
        lost("aws ecr describe-images*promoted*"),
        crash("aws ecr get-authorization-token*"),
    ),
    (PROD, "SourceImage"): (
        refusal("ecr:DescribeImages", "repository/shop-prod"),
        lost("", "s3:PutObject", "Could not connect"),
        crash("shop-prod at", DIED),
    ),
    (PROD, "BuildImage"): (
        refusal("ecr:BatchGetImage", "repository/shop-prod"),
        lost("aws ecr batch-get-image*"),
        crash("aws ecr get-download-url-for-layer*"),
        refusal("ecr:DescribeImages", "repository/shop-prod"),
        PREPARING,
    ),
    (PROD, "VerifyImage"): verifying("shop-prod"),
    (PROD, "DeployService"): (
        refusal("ecs:RegisterTaskDefinition", "on resource: *"),
        lost("", "s3:GetObject", "Could not connect"),
        crash("Started the deployment", DIED),
    ),
    (PROD, "WatchDeployment"): (
        WITH_DEPLOYMENT,
        WITH_DEPLOYMENT,
        crash("aws codepipeline list-action-executions*"),
        Fault(
            kind="lost network",
            after="aws codepipeline list-action-executions*",
            until="Could not connect",
            says=("Could not connect",),
            fails=False,
        ),
    ),
    (PROD, "TagImage"): (
        refusal("ecr:PutImage", "repository/shop-prod"),
        lost("aws ecr describe-images*"),
        crash("aws ecr put-image*"),
    ),
    (PROD, "CreateGitHubRelease"): (
        refusal("secretsmanager:GetSecretValue", "secret:shop/github-token"),
        lost("POST /repos/example/shop/releases", "Connection refused"),
        crash("PATCH /repos/example/shop/releases/*"),
    ),
}


@dataclass
class Delivery:
    """A commit that has come to its release all the same.

    Attributes:
        rehearsal: Both stacks.
        source: The commit.
        visitors: Who has asked the services.
        answered: The version that answered after each failure, and the one that was deployed last before.
    """

    rehearsal: Rehearsal
    source: Source
    visitors: dict[str, Visitor]
    answered: list[tuple[str, str]] = field(default_factory=list)

    def run(self, pipeline: str) -> Execution:
        """The one run of a pipeline."""
        (found,) = [
            run for stack in self.stacks if stack.deployed.pipeline == pipeline for run in stack.runner.executions
        ]
        return found

    @property
    def stacks(self) -> list[Stack]:
        return list(self.rehearsal.stacks.values())

    def deliver(self) -> None:
        """Push the commit, and retry what fails until nothing does."""
        self.rehearsal.push("dev", self.source, variables={"LIGHTHOUSE_RUNS": "1"})
        most = sum(map(len, FAULTS.values()))
        for _ in range(most):
            self.rehearsal.wait()
            failed = [
                (stack, run) for stack in self.stacks for run in stack.runner.executions if run.status == Status.FAILED
            ]
            if not failed:
                return
            for stack, run in failed:
                deployments = stack.hosting.code_deploy.deployments if stack.hosting.code_deploy else []
                await_(lambda made=deployments: all(each.status not in ("Created", "InProgress") for each in made))  # type: ignore[misc]
                done = [each.definition for each in deployments if each.status == "Succeeded"]
                last = (
                    done[-1]["taskDefinitionArn"].rpartition("/")[2]
                    if done
                    else f"{stack.deployed.pipeline}-bootstrap:1"
                )
                self.answered.append((self.visitors[stack.name].ask().version, last))
                stack.runner.retry(run)
        raise AssertionError([(run.reason, run.actions[-1].error) for _, run in failed])


@pytest.fixture(scope="module")
def delivery(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy", "chromium", "lighthouse")
    graphs = {name: deployed_graph(name, ROOT / f"Pulumi.{name}.yaml") for name in ("dev", "prod")}
    built_in_turn(at_any_speed(graphs["dev"]))  # both builds would lose the one registry at the same time
    source = Source.of(EXAMPLE, tmp_path_factory.mktemp("faults") / "application", branch="main")
    cache = npm_cache("lighthouse", ROOT / "buildspecs" / "lighthouse")
    options = Options(
        graphs=graphs,
        images=provide(needed(source.folder, builds_of(*map(Deployed.of, graphs.values()))), network=False),
        decide=lambda *_: True,
        pace=Pace(waits=0.002, least_grace=60),
        environment={"npm_config_cache": str(cache), "npm_config_prefer_offline": "true"},
    )
    faults = Faults(FAULTS)

    def runner(deployed: Deployed, providers: dict[str, OnceSteady], *more: object) -> PipelineRunner:
        struck = {name: replace(each, provider=faults.struck(each.provider)) for name, each in providers.items()}
        return PipelineRunner(deployed, struck, *more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("local.rehearsal.rehearsal.PipelineRunner", runner)
        with Rehearsal(options, lambda *_: None) as rehearsal, faults.striking(rehearsal):
            stacks = rehearsal.stacks
            for stack in stacks.values():
                stack.hosting.await_first()
            with stacks["dev"].hosting.visitor() as dev, stacks["prod"].hosting.visitor() as prod:
                made = Delivery(rehearsal, source, {"dev": dev, "prod": prod})
                made.deliver()
                yield made


def test_every_action_is_struck(delivery: Delivery) -> None:
    there = {(stack.deployed.pipeline, action.name) for stack in delivery.stacks for action in stack.deployed.actions}
    assert there == FAULTS.keys()


@pytest.mark.parametrize(
    ("pipeline", "action", "number"),
    [
        pytest.param(*where, number, id=f"{' '.join(where)} {number + 1} {fault.kind}")
        for where, faults in FAULTS.items()
        for number, fault in enumerate(faults)
    ],
)
def test_what_strikes_an_action_is_said(delivery: Delivery, pipeline: str, action: str, number: int) -> None:
    fault = FAULTS[pipeline, action][number]
    run = [run for run in delivery.run(pipeline).actions if run.action.name == action][number]
    deployed = next(stack.deployed for stack in delivery.stacks if stack.deployed.pipeline == pipeline)
    role = deployed.project(action).role if run.action.project else deployed.role
    assert run.status == (Status.FAILED if fault.fails else Status.SUCCEEDED)
    said = run.error if fault.fails else "\n".join(run.log)
    for part in fault.says:
        assert part.format(role=role) in said
    assert "watches no longer" not in said


def test_each_retry_goes_on_with_what_has_failed(delivery: Delivery) -> None:
    for pipeline in (DEV, PROD):
        run = delivery.run(pipeline)
        assert run.status == Status.SUCCEEDED
        expected = {
            action: sum(each.fails for each in faults) + 1 for (of, action), faults in FAULTS.items() if of == pipeline
        }
        assert {action: [each.action.name for each in run.actions].count(action) for action in expected} == expected


def test_the_version_before_answers_all_the_time(delivery: Delivery) -> None:
    assert [visitor.failed for visitor in delivery.visitors.values()] == [[], []]
    assert delivery.answered == [(last, last) for _, last in delivery.answered]
    for name, visitor in delivery.visitors.items():
        assert visitor.versions == [f"shop-{name}-bootstrap:1", f"shop-{name}:1", f"shop-{name}:2"]


def test_there_is_one_image_one_tag_and_one_release(delivery: Delivery) -> None:
    digest = delivery.run(DEV).variables["BuildImage.IMAGE_DIGEST"]
    version = delivery.run(DEV).variables["BuildImage.IMAGE_VERSION"]
    commit = delivery.source.commit
    ecr = delivery.rehearsal.stacks["dev"].account.client("ecr")
    tags = {
        name: {
            tag: image["imageDigest"]
            for image in ecr.describe_images(repositoryName=name)["imageDetails"]
            for tag in image.get("imageTags", ())
        }
        for name in ("shop-dev", "shop-dev-smoke-test", "shop-prod")
    }
    for name, known in tags.items():
        assert len([tag for tag in known if tag.startswith(commit)]) == 1, name
    assert {known for tag, known in tags["shop-dev"].items() if tag.startswith(commit)} == {digest}
    assert set(tags["shop-prod"].values()) == {digest}
    assert set(tags["shop-prod"]) - {tag for tag in tags["shop-prod"] if tag.startswith(commit)} == {
        "promoted",
        f"v{version}",
    }
    repository = delivery.rehearsal.github.repositories["example/shop"]
    (release,) = repository.releases.values()
    assert (release.draft, release.target, release.tag) == (False, commit, f"v{version}")
    assert json.loads(release.files["deployment.json"])["digest"] == digest
