"""Rehearsals made by hand, as the runner leaves them: delivered, failed, retried, superseded, rejected."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from summary import program

from local.rehearsal.deployed import Action, Deployed
from local.rehearsal.pipeline import ActionRun, Execution, Status
from local.rehearsal.report.collect import Rehearsed, collect
from local.rehearsal.report.model import BaseImage, Emulated, Permission, Phase, Rehearsal, Sample, Traffic

BEGAN = 1_795_900_000.0
COMMIT = "5e1f0c9a7d3b2e4f60718293a4b5c6d7e8f90123"
DIGEST = "sha256:9b1e4c7a2d5f8036b1c4e7a90d2f5836c1e4b7a90d2f5836c1e4b7a90d2f5836"
REPORT = (
    "<!doctype html><html lang=en><title>Audit</title><h1>Audited</h1>"
    "<img alt='' src='http://127.0.0.1:9/pixel.png' onerror=\"parent.postMessage('audited', '*')\">"
)

_SECONDS = {"BuildImage": 18.7, "BuildSmokeTestImage": 6.1, "DeployService": 21.8}
VARIABLES = {
    "Source": {
        "CommitId": COMMIT,
        "AuthorDate": "2026-11-28T20:00:00Z",
        "BranchName": "main",
        "CommitMessage": 'Prices <are> "right" & rounded',
    },
    "SourceImage": {"ImageDigest": DIGEST, "RepositoryName": "shop-prod", "ImageTag": "promoted"},
    "BuildImage": {
        "IMAGE_DIGEST": DIGEST,
        "IMAGE_VERSION": "1.2.0",
        "IMAGE_URI": f"shop-dev@{DIGEST}",
        "DEPLOYED_VERSION": "1.2.0",
    },
    "BuildSmokeTestImage": {"IMAGE_DIGEST": DIGEST},
    "TagImage": {"VERSION_TAG": "v1.2.0"},
    "CreateGitHubRelease": {"RELEASE_URL": "https://github.com/example/shop/releases/tag/v1.2.0"},
}
_SUMMARIES = {
    "Source": "5e1f0c9 Prices are right & rounded",
    "SourceImage": f"shop-prod:promoted is {DIGEST[:19]}",
    "BuildImage": f"shop-dev@{DIGEST[:19]} is pushed",
    "DeployService": "all traffic goes to the new tasks",
    "RunSmokeTest": "4 checks passed",
}
_LOGS = {
    "RunLighthouse": (
        "ok   http://shop.test/ performance: 97, at least 80 wanted",
        "ok   http://shop.test/ accessibility: 100, at least 90 wanted",
        "ok   http://shop.test/ best-practices: 92.5, at least 90 wanted",
        "ok   http://shop.test/cart performance: 84.5, at least 80 wanted",
        "ok   http://shop.test/cart accessibility: 95, at least 90 wanted",
        "ok   http://shop.test/cart best-practices: 100, at least 90 wanted",
    ),
    "RunSmokeTest": ("GET /healthz 200", "GET / 200", "GET /cart 200", "POST /cart 201", "4 checks passed"),
}
CONTAINER = "[Container] 2026/11/28 23:06:40.000000 "


@cache
def deployed(stack: str) -> Deployed:
    """The pipeline of one of the repository's stack files."""
    return Deployed.of([resource.as_dict() for resource in program(stack)])


@dataclass
class Played:
    """A pipeline whose actions take as long as somebody says, one after the other or side by side.

    Attributes:
        stack: The stack file's name.
        folder: For its artifacts.
        now: The time, which goes on with each action.
    """

    stack: str
    folder: Path
    now: float = BEGAN
    executions: list[Execution] = field(default_factory=list)
    reused: set[str] = field(default_factory=set)

    def start(self, trigger: str) -> Execution:
        """Start a run."""
        execution = Execution(number=len(self.executions) + 1, trigger=trigger, started=self.now)
        execution.variables = dict(deployed(self.stack).variables)
        self.executions.append(execution)
        return execution

    def play(
        self, execution: Execution, *, fails: Mapping[str, str] | None = None, begin: str = "", until: str = ""
    ) -> Execution:
        """Run its actions; one of those in ``fails`` fails for that reason, and ends the run."""
        stages = list(deployed(self.stack).stages.items())
        names = [name for name, _ in stages]
        for name, groups in stages[names.index(begin) if begin else 0 :]:
            execution.stage = name
            for group in groups:
                open_ = [
                    action
                    for action in group
                    if (last := execution.last(action.name)) is None or last.status != Status.SUCCEEDED
                ]
                runs = [self._act(execution, action, (fails or {}).get(action.name, "")) for action in open_]
                self.now = max((run.ended or self.now for run in runs), default=self.now)
                failed = [run.action.name for run in runs if run.status != Status.SUCCEEDED]
                if failed:
                    return self._end(execution, Status.FAILED, f"{', '.join(failed)} failed")
            if name == until:
                return self._end(execution, Status.SUPERSEDED, f"before stage {names[names.index(name) + 1]}")
        return self._end(execution, Status.SUCCEEDED)

    def _end(self, execution: Execution, status: Status, reason: str = "") -> Execution:
        execution.end(status, reason)
        execution.ended = self.now
        return execution

    def _act(self, execution: Execution, action: Action, error: str) -> ActionRun:
        run = ActionRun(execution.identity, action, started=self.now)
        run.external_id = f"d-{action.name[:3].upper()}4XR2" if action.category == "Deploy" else f"{action.project}:7f"
        run.log.extend(log_of(action, error))
        execution.actions.append(run)
        run.end(
            Status.FAILED if error else Status.SUCCEEDED,
            summary="" if error else _SUMMARIES.get(action.name, ""),
            error=error,
        )
        run.ended = self.now + _SECONDS.get(action.name, 3.2)
        if not error:
            run.variables = dict(VARIABLES.get(action.name, {}))
            execution.variables |= {f"{action.namespace}.{name}": value for name, value in run.variables.items()}
            run.artifacts = {name: self._artifact(name) for name in action.outputs}
        return run

    def _artifact(self, name: str) -> str:
        key = f"{self.stack}-{name}-k3y"
        with zipfile.ZipFile(self.folder / key, "w") as archive:
            for file, text in files_of(name).items():
                archive.writestr(file, text)
        return key

    def get(self, key: str) -> Path | None:
        """Return an artifact's file."""
        return self.folder / key

    @property
    def rehearsed(self) -> Rehearsed:
        """It, as the report takes it."""
        return Rehearsed(
            stack=self.stack,
            deployed=deployed(self.stack),
            executions=self.executions,
            artifact=self.get,
            reused=self.reused,
            service_url=f"http://shop-{self.stack}.eu-west-1.elb.amazonaws.com",
        )


def log_of(action: Action, error: str) -> list[str]:
    """What an action writes."""
    own = list(_LOGS.get(action.name, [f"step {number} of {action.name}" for number in range(1, 13)]))
    if action.name == "RunLighthouse" and error:
        own[-2:] = [
            "FAIL http://shop.test/cart accessibility: 61, at least 90 wanted",
            "FAIL http://shop.test/cart best-practices: no score, at least 90 wanted",
        ]
    if action.name == "BuildImage":
        own += [f"#{step} [{step}/9] RUN make <target-{step}> && echo \x1b[32mdone\x1b[0m" for step in range(1, 10)]
        own += ["warning: 0 errors, 0 failed", "exporting\rexporting layers\rexporting layers done"]
    own += [f"ERROR: {error.splitlines()[0]}"] if error else []
    if not action.project:
        return own
    return [f"{CONTAINER}Entering phase BUILD", *own, f"{CONTAINER}Phase complete: BUILD"]


def files_of(artifact: str) -> dict[str, str]:
    """What an artifact holds."""
    if artifact != "LighthouseReport":
        return {f"{artifact.lower()}.json": "{}", "appspec.yaml": "version: 0.0\n" * 40, "<odd> name.txt": "x" * 2100}
    cart = "http://shop.test/cart"
    pages = {("http://shop.test/", "mobile"): 3, (cart, "mobile"): 3, (cart, "desktop"): 3}
    manifest: list[dict[str, Any]] = []
    files: dict[str, str] = {}
    for (page, device), runs in pages.items():
        for run in range(runs):
            name = f"{page.split('/')[-1] or 'root'}-{run}-{device}.report.html"
            files[name] = REPORT
            entry = {
                "url": page,
                "device": device,
                "isRepresentativeRun": run == 1,
                "htmlPath": f"/build/lighthouse-report/{name}",
            }
            manifest.append({**entry, "summary": {"performance": 0.97}})
    return {"manifest.json": json.dumps(manifest), **files}


def traffic(stack: str, begin: float, end: float, *, failing: int = 0) -> Traffic:
    """Requests during a canary deployment: 10 % of them go to the new version, then all."""
    first, second = begin + 0.35 * (end - begin), begin + 0.7 * (end - begin)
    samples: list[Sample] = []
    count = 900
    for number in range(count):
        at = begin - 2 + (end - begin + 4) * number / count
        new = at > second or (at > first and number % 10 == 0)
        broken = failing and second < at and number % 7 == 0 and sum(sample.failed for sample in samples) < failing
        status, error = (502, "") if broken and number % 2 else (0, "connection reset") if broken else (200, "")
        samples.append(Sample(at=at, status=status, version="" if broken else "1.2.0" if new else "1.1.0", error=error))
    phases = (
        Phase(name="New tasks start", started=begin, ended=first),
        Phase(name="10 % of the traffic", started=first, ended=second),
        Phase(name="All traffic", started=second, ended=end),
    )
    return Traffic(stack=stack, samples=tuple(samples), phases=phases)


EMULATED = (
    Emulated(
        name="AWS APIs",
        meaning="S3, IAM, ECR, Secrets Manager and others answer on loopback; every role's own policies are enforced.",
    ),
    Emulated(
        name="CodeDeploy", meaning="Traffic is shifted as the strategy says, with waits shortened to a twentieth."
    ),
    Emulated(name="Load balancer", meaning="HAProxy stands for it, with its listeners, target groups and weights."),
    Emulated(name="GitHub", meaning="Commits, tags and releases go to a server on loopback with GitHub's description."),
)
BASE_IMAGES = (
    BaseImage(reference="docker.io/library/python:3.13-slim", origin="the internet, through the builder's mirror"),
    BaseImage(reference="docker.io/library/busybox:1.37", origin="an offline stand-in: busybox of this machine"),
)
UNPROVEN = (
    "That the account's quotas and service control policies allow what the stack creates.",
    "That AWS's network lets the tasks reach what they need.",
    "How long a deployment takes on AWS: waits were shortened.",
)


def permissions() -> tuple[Permission, ...]:
    """What two roles may do."""
    bucket = "arn:aws:s3:::shop-dev-artifacts/shop-dev/*"
    return tuple(
        Permission(role=role, action=action, resource=resource, used=used)
        for role in ("shop-delivery-role", "shop-build-image-role")
        for action, resource, used in (
            ("s3:GetObject", bucket, True),
            ("s3:PutObject", bucket, True),
            ("kms:Decrypt", "arn:aws:kms:eu-west-1:123456789012:key/6a0c9d1e", True),
            (
                "ecr:BatchGetImage",
                "arn:aws:ecr:eu-west-1:123456789012:repository/shop-dev",
                role != "shop-delivery-role",
            ),
            ("logs:CreateLogStream", "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/codebuild/shop-dev:*", False),
        )
    )


def _whole(played: Sequence[Played], seen: Sequence[Traffic] = (), **more: Any) -> Rehearsal:  # noqa: ANN401 - as collect
    return collect(
        "shop",
        [each.rehearsed for each in played],
        started=BEGAN - 1.4,
        ended=max(each.now for each in played) + 0.3,
        emulated=EMULATED,
        base_images=BASE_IMAGES,
        traffic=seen,
        unproven=UNPROVEN,
        **{"permissions": permissions(), **more},
    )


def _deployment(played: Played) -> tuple[float, float]:
    run = next(run for run in reversed(played.executions[-1].actions) if run.action.name == "DeployService")
    return run.started, run.ended or played.now


def delivered(folder: Path) -> Rehearsal:
    """Dev, and prod started by what dev has promoted."""
    dev = Played("dev", folder)
    dev.play(dev.start("Push of 5e1f0c9 to main"))
    prod = Played("prod", folder, dev.now + 0.4)
    prod.play(prod.start("Image push: shop-prod:promoted"))
    prod.reused |= {run.identity for run in prod.executions[0].actions if run.action.name == "VerifyImage"}
    return _whole([dev, prod], [traffic(each.stack, *_deployment(each)) for each in (dev, prod)])


DEPLOYMENT_FAILED = (
    "Deployment d-DEP4XR2 failed: the new tasks never became healthy.\n"
    "shop: Health checks failed with these codes: [500] <script>alert(1)</script>"
)


def failed(folder: Path) -> Rehearsal:
    """Dev stops in its deployment; prod is never started."""
    dev = Played("dev", folder)
    dev.play(dev.start("Push of 5e1f0c9 to main"), fails={"DeployService": DEPLOYMENT_FAILED})
    return _whole(
        [dev, Played("prod", folder, dev.now)], [traffic("dev", *_deployment(dev), failing=12)], permissions=None
    )


def retried(folder: Path) -> Rehearsal:
    """The smoke test fails, and passes when its stage is tried again."""
    dev = Played("dev", folder)
    execution = dev.play(dev.start("Push of 5e1f0c9 to main"), fails={"RunSmokeTest": "BUILD: exit code 1"})
    dev.now += 4
    dev.play(execution, begin="Test")
    return _whole([dev])


def superseded(folder: Path) -> Rehearsal:
    """A newer run takes the place of one that waits."""
    dev = Played("dev", folder)
    dev.play(dev.start("Push of 0ddba11 to main"), until="Build")
    dev.play(dev.start("Push of 5e1f0c9 to main"))
    return _whole([dev])


def rejected(folder: Path) -> Rehearsal:
    """Somebody says no before the image is promoted."""
    everything = Played("everything-on", folder)
    fails = {"ApprovePromotion": "The approval was rejected."}
    everything.play(everything.start("Push of 5e1f0c9 to main"), fails=fails)
    return _whole([everything])


def slow_page(folder: Path) -> Rehearsal:
    """A page misses its budgets."""
    dev = Played("dev", folder)
    missed = "BUILD: exit status 1\nFAILED: budgets missed:\n  FAIL http://shop.test/cart accessibility: 61"
    dev.play(dev.start("Push of 5e1f0c9 to main"), fails={"RunLighthouse": missed})
    return _whole([dev], [traffic("dev", *_deployment(dev))])


SCENES: dict[str, Callable[[Path], Rehearsal]] = {
    "delivered": delivered,
    "failed": failed,
    "retried": retried,
    "superseded": superseded,
    "rejected": rejected,
    "slow page": slow_page,
}
