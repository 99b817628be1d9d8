"""Edits of stack files and of the program, each planned by the real engine: the first sentence that is said of it."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path

import change_report_page
import pulumi
import pytest
from change_report_page import Deployed
from pulumi import automation
from reviewed_edits import EDITS, Program

from local.__main__ import main
from local.engine import stack as engine
from local.engine.stack import EngineFailure, LocalStack
from local.errors import Refusal
from local.report import model
from local.report.arguments import OPTIONS
from local.report.findings import BROADENS, DESTROYS
from local.report.markdown import MOST, MOST_CHARACTERS, MOST_LINES, markdown
from local.report.preview import Preview, of_outcome, read

PAGE = (change_report_page.ROOT / "docs" / "change-report.md").read_text(encoding="utf-8")
pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("change report")]

FIRST: Mapping[str, tuple[str, list[str]]] = {
    "nothing": (
        "No changes.",
        [],
    ),
    "a size": (
        "The task definition: memory `1024` → `2048`.",
        [],
    ),
    "the port": (
        ("The task definition: shop.portMappings.8080 is removed, shop.portMappings.3000 is added."),
        [],
    ),
    "another secret": (
        (
            "Tasks of the running version start with the new permissions, too: they cannot read a secret that is "
            "no longer named, so let a run follow."
        ),
        [BROADENS],
    ),
    "the count of tasks": (
        "The number of tasks moves into the new limits.",
        [],
    ),
    "the name": (
        (
            "Not possible in place: Names and region are part of every resource: everything is made anew, and "
            "the old is deleted with its images, artifacts and logs. Make a second stack, let it deliver, point "
            "the DNS record at it, and destroy this one."
        ),
        [DESTROYS, BROADENS],
    ),
    "days of artifacts": (
        "Objects are deleted sooner (bucket's lifecycle `shop-artifacts-lifecycle`): `14 days` → `10 days`.",
        [DESTROYS],
    ),
    "images that are kept": (
        (
            "Fewer images are kept (lifecycle policy `shop-registry-source-lifecycle`, `Keep the newest 50 "
            "tagged images`): `100` → `50`."
        ),
        [DESTROYS],
    ),
    "no tests": (
        "The report group `shop-run-lighthouse-lighthouse` is deleted with its test reports.",
        [DESTROYS, BROADENS],
    ),
    "another branch": (
        (
            "Something else starts the pipeline: push (Source) of branches `next`, files not `docs/**` and "
            "`*.md` (so far branches `main`)."
        ),
        [BROADENS],
    ),
    "a release": (
        "The repository takes images of these roles alone.",
        [BROADENS],
    ),
    "no release": (
        "2 log groups are deleted with their log lines: `shop-create-github-release-logs` and `shop-tag-image-logs`.",
        [DESTROYS],
    ),
    "another repository to promote to": (
        (
            "`shop-promote-image-role` may now `ecr:BatchCheckLayerAvailability`, `ecr:BatchGetImage`, "
            "`ecr:CompleteLayerUpload` and 5 more on `arn:aws:ecr:eu-west-1:123456789012:repository/store-prod`: "
            "instead of `arn:aws:ecr:eu-west-1:123456789012:repository/shop-prod` (statement `PushImage`)."
        ),
        [BROADENS],
    ),
    "no notifications": (
        "The topic `shop-notifications-topic` is deleted with whatever has been subscribed to it otherwise.",
        [DESTROYS],
    ),
    "a canary": (
        (
            "`shop-delivery-role` may now `codedeploy:GetDeploymentConfig` on "
            "`arn:aws:codedeploy:eu-west-1:123456789012:deploymentconfig:CodeDeployDefault.ECSCanary10Percent5Minutes`"
            ": "
            "instead of `arn:aws:codedeploy:eu-west-1:123456789012:deploymentconfig:shop-live-linear-20-3` "
            "(statement `ReadDeploymentConfiguration`)."
        ),
        [BROADENS],
    ),
    "no alarms": (
        "No alarm rolls a deployment back any more.",
        [],
    ),
    "runs that overtake": (
        "`executionMode` `QUEUED` → `SUPERSEDED`.",
        [],
    ),
    "no proof of where images come from": (
        "The log group `shop-verify-image-logs` is deleted with its log lines.",
        [DESTROYS, BROADENS],
    ),
    "a shell in the tasks": (
        "ECS Exec of a service that runs with CodeDeploy is switched on by hand: docs/hosting.md has the command.",
        [BROADENS],
    ),
    "https": (
        "Users are answered over HTTPS; connections that are open end, and for seconds nothing answers on port 80.",
        [BROADENS],
    ),
    "a size that there is not": (
        (
            "The preview failed: Pulumi.live.yaml: ecs-delivery:application.memory: must be 1024, 2048, 3072 or "
            "4096 (MiB) with cpu 512, got 2000 — pulumi config set --stack live --path "
            "'ecs-delivery:application.memory' 2048"
        ),
        [],
    ),
    "a renamed resource": (
        (
            "The bucket `shop-artifacts-bucket` is deleted with its objects; `shop-artifact-store` is made in "
            "its place: where it is only renamed, it needs an alias."
        ),
        [DESTROYS, BROADENS],
    ),
    "a removed condition": (
        (
            "`shop-delivery-role` may now `codeconnections:UseConnection` on "
            "`arn:aws:codeconnections:eu-west-1:123456789012:connection/1188bbbd-702c-4b45-9e84-602e59fc0e82`: "
            "the condition on `codeconnections:FullRepositoryId` is taken away (statement `UseConnection`)."
        ),
        [BROADENS],
    ),
    "a wildcard in a resource": (
        (
            "`shop-promote-image-role` may now `ecr:BatchCheckLayerAvailability`, `ecr:BatchGetImage`, "
            "`ecr:DescribeImages` and 1 more on `*`: instead of "
            "`arn:aws:ecr:eu-west-1:123456789012:repository/shop-live` (statement `PullImage`)."
        ),
        [BROADENS],
    ),
    "a shortened retention": (
        "Log lines are deleted sooner (log group `shop-build-image-logs` and 10 more): `90` → `30` days.",
        [DESTROYS],
    ),
    "a widened trust": (
        (
            "`arn:aws:iam::210987654321:root` may now assume the role `shop-build-image-role`: so far "
            "`codebuild.amazonaws.com` alone."
        ),
        [BROADENS],
    ),
    "protection that is off": (
        (
            "The protection of the bucket `shop-artifacts-access-logs-bucket` and 25 more is taken away: "
            "whatever deletes or replaces them is refused no more."
        ),
        [DESTROYS],
    ),
    "a widened trigger": (
        "More starts the pipeline: push (Source) of branches `main` (so far files not `docs/**` and `*.md`).",
        [BROADENS],
    ),
    "a stage before the tests": (
        "`PromoteImage` now comes before `RunLighthouse`.",
        [BROADENS],
    ),
    "a removed approval": (
        (
            "The approval `ApprovePromotion` is removed: `PromoteImage`, `TagImage` and `CreateGitHubRelease` no "
            "longer wait for it."
        ),
        [BROADENS],
    ),
    "a secret in plain text": (
        (
            "`DATABASE_URL` was a secret and becomes plain text (object `shop-task-definition-object`): it "
            "stands in the task definition, which whoever may look at ECS can read."
        ),
        [BROADENS],
    ),
    "a secret of a job in plain text": (
        (
            "`GITHUB_TOKEN` was a secret and becomes plain text (build project "
            "`shop-create-github-release-project`): it stands in the project, and whoever may look at that can "
            "read it."
        ),
        [BROADENS],
    ),
    "statements in another order": (
        "Nothing that users notice: 1 to update, 150 unchanged.",
        [],
    ),
    "a denial that is gone": (
        (
            "Everybody is no longer denied `s3:*` on `arn:aws:s3:::shop-artifacts-bucket-1aa7514` and "
            "`arn:aws:s3:::shop-artifacts-bucket-1aa7514/*`: nothing else denies it (bucket policy "
            "`shop-artifacts-policy`, statement `DenyPlainHttp`)."
        ),
        [BROADENS],
    ),
    "a policy of AWS's": (
        (
            "`shop-build-image-role` gets `arn:aws:iam::aws:policy/AdministratorAccess`, which is not of this "
            "stack: what it allows cannot be told."
        ),
        [BROADENS],
    ),
    "a bucket that may be public": (
        (
            "The bucket's public access block `shop-artifacts-public-access` keeps out the public no more: "
            "`blockPublicPolicy` is off."
        ),
        [DESTROYS],
    ),
    "versions that are not kept": (
        (
            "Versioning is switched off (bucket's versioning `shop-artifacts-versioning`): what is overwritten "
            "or deleted is gone."
        ),
        [DESTROYS],
    ),
    "tags that can move": (
        (
            "Tags of images can be moved (image repository `shop-registry-app-repository`): what a tag names "
            "today it may not name tomorrow."
        ),
        [DESTROYS],
    ),
    "a topic for everybody": (
        (
            "Everybody may now `sns:Subscribe` on `*`: nothing allowed it before (topic policy "
            "`shop-notifications-topic-policy`, statement `All`)."
        ),
        [BROADENS],
    ),
    "a function that anybody's rule may call": (
        (
            "`events.amazonaws.com` may now `lambda:InvokeFunction` on `shop-live-messenger`: the condition on "
            "`AWS:SourceArn` is taken away (permission `shop-messenger-run-permission`, statement "
            "`shop-messenger-run-permission-f7b5b44`)."
        ),
        [BROADENS],
    ),
    "a script of the jobs": (
        (
            "9 jobs run new code: `shop-live-build-image`, `shop-live-build-smoke-test-image`, "
            "`shop-live-create-github-release`, `shop-live-promote-image`, `shop-live-run-lighthouse`, "
            "`shop-live-run-smoke-test` and 3 more."
        ),
        [],
    ),
}
"""What is said first of each edit, and its labels."""


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return Deployed(tmp_path_factory.mktemp("stacks"))


@pytest.fixture
def edit_program(monkeypatch: pytest.MonkeyPatch) -> Callable[[Program], None]:
    """Have each resource pass an edit before the engine sees it."""
    original = pulumi.Resource.__init__

    def use(program: Program) -> None:
        def init(self: pulumi.Resource, t: str, name: str, *rest: object, **more: object) -> None:
            custom, props, *others = [*rest, None][:2] + list(rest[2:])
            values = props if isinstance(props, dict) else {} if props is None else vars(props)
            original(self, t, program(t, name, values) or name, custom, props, *others, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(pulumi.Resource, "__init__", init)

    return use


def reported(name: str, stack: LocalStack) -> model.StackReport:
    try:
        return model.of(of_outcome(name, stack.preview()))
    except EngineFailure as failure:
        return model.of(Preview(name, problems=failure.messages))


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_reported_by_what_matters_most(
    name: str, stacks: Deployed, edit_program: Callable[[Program], None]
) -> None:
    edit = EDITS[name]
    if edit.program:
        edit_program(edit.program)
    report = reported(edit.stack, stacks.edited(edit.stack, edit.sets))
    assert (report.first, report.labels) == FIRST[name]
    comment = markdown(model.Report((report,)))
    screen = comment.partition("<details>")[0]
    assert screen.count("\n") <= MOST_LINES
    assert len(screen) <= MOST_CHARACTERS
    assert len(comment) <= MOST


def test_forty_edits_are_tried_and_ten_that_fool_reviewers() -> None:
    assert len(EDITS) == len(FIRST) >= 40
    assert sum(edit.fools for edit in EDITS.values()) >= 10


def test_a_pull_request_that_releases_widens_and_grows_is_told_in_one_comment(stacks: Deployed) -> None:
    """`python -m tests.generate report` writes the golden page."""
    comment = markdown(change_report_page.report(stacks))
    assert comment == change_report_page.GOLDEN.read_text(encoding="utf-8")


class Digests:
    """Takes what `pulumi preview --json` prints, of the same run that the engine's events tell of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
        self.text = ""
        original = engine._Stack._run_pulumi_cmd_sync

        def run(stack: engine._Stack, args: list[str], *_: object) -> automation.CommandResult:
            printed: list[str] = []
            try:
                return original(stack, [*args, *options], printed.append)
            finally:
                self.text = "\n".join(printed)

        monkeypatch.setattr(engine._Stack, "_run_pulumi_cmd_sync", run)


SETS = {**change_report_page.PULL_REQUEST, "retention.protect": False, "hosting.service.scaling.maximum": 3}


def test_the_file_of_pulumi_preview_says_what_the_engine_says(
    stacks: Deployed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken = Digests(monkeypatch, "--json", "--show-sames")
    told = reported("prod", stacks.edited("prod", SETS))
    file = tmp_path / "prod.json"
    file.write_text(taken.text, encoding="utf-8")
    assert model.of(read("prod", file)).findings == told.findings != ()
    digest = json.loads(taken.text)
    digest["steps"] = [step for step in digest["steps"] if step["op"] != "same"]
    file.write_text(json.dumps(digest), encoding="utf-8")
    with pytest.raises(Refusal, match="--show-sames"):
        read("prod", file)


def test_the_commands_of_the_page_work_as_they_stand_there(
    stacks: Deployed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """docs/change-report.md: on the stacks that are deployed here, and on a file of the real engine's."""
    local, preview, reporting = re.findall(r"^(?:python -m local|pulumi) .*", PAGE, re.MULTILINE)
    taken = Digests(monkeypatch, "--json", "--show-sames")
    edits = {"dev": {}, "prod": change_report_page.PULL_REQUEST}
    monkeypatch.setattr(engine, "LocalStack", lambda name, **_: stacks.edited(name, edits[name]))
    monkeypatch.chdir(tmp_path)
    assert main(local.split()[3:]) == 3
    shown = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "dev: no changes; prod: " in shown
    assert preview == f"pulumi preview --stack prod {OPTIONS} > prod.json"
    (tmp_path / "prod.json").write_text(taken.text, encoding="utf-8")
    assert main(reporting.split()[3:]) == 3
    assert {file.name for file in tmp_path.iterdir()} == {"prod.json", "comment.md", "report.json", "report.html"}
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["labels"] == [BROADENS]


def test_the_file_of_a_preview_that_failed_says_why(
    stacks: Deployed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken = Digests(monkeypatch, "--json", "--show-sames")

    def as_pulumi_runs_it(program: engine._Program) -> None:
        program.preparing.join()
        runpy.run_path(str(program._file), run_name="__main__")

    monkeypatch.setattr(engine._Program, "__call__", as_pulumi_runs_it)
    told = reported("prod", stacks.edited("prod", {"application.memory": 2000}))
    file = tmp_path / "prod.json"
    file.write_text(taken.text, encoding="utf-8")
    assert told.failed
    assert "must be 1024, 2048, 3072 or 4096" in read("prod", file).problems[0]
    assert markdown(model.Report((model.of(read("prod", file)),))).count("must be 1024, 2048, 3072 or 4096") == 1
