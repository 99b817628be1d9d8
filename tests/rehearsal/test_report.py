"""What is shown of a rehearsal: its outcome, JSON that can be read again, JUnit XML, and the text of the page."""

from __future__ import annotations

import dataclasses
import errno
import importlib
import json
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import hand_made
import pytest
from hand_made import BEGAN, SCENES, Played, deployed

from components.jobs.buildspec import FOLDER
from local.errors import Refusal
from local.rehearsal.codebuild.artifacts import read_junit
from local.rehearsal.pipeline import Status
from local.rehearsal.report.collect import collect, look_into
from local.rehearsal.report.junit import junit
from local.rehearsal.report.model import Artifact, Rehearsal, Traffic
from local.rehearsal.report.outcome import outcome
from local.rehearsal.report.page import MOST_LINES, page
from local.rehearsal.report.saved import as_json, load, summary
from local.rehearsal.report.words import clock, duration, is_trouble, number, plain, size
from local.rehearsal.report.write import write

HEADLINES = {
    "delivered": "Delivered 1.2.0 to prod in 1 min 49 s",
    "failed": f"Stopped in dev / Deploy / DeployService: {hand_made.DEPLOYMENT_FAILED.splitlines()[0]}",
    "retried": "Delivered 1.2.0 to dev in 1 min 2 s",
    "superseded": "Delivered 1.2.0 to dev in 1 min 17 s",
    "rejected": "Stopped in everything-on / Promote / ApprovePromotion: The approval was rejected.",
    "slow page": "Stopped in dev / Test / RunLighthouse: budgets missed",
}


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Rehearsal]:
    """Each rehearsal with its name."""
    return request.param, SCENES[request.param](tmp_path)


def test_the_headline_says_what_was_delivered_or_where_it_stopped_and_why(scene: tuple[str, Rehearsal]) -> None:
    name, rehearsal = scene
    came_to = outcome(rehearsal)
    assert came_to.headline == HEADLINES[name]
    assert came_to.succeeded == came_to.headline.startswith("Delivered")


def test_the_reason_is_that_of_the_job_that_knows_it(tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    fails = {
        "DeployService": "MANUAL_STOP: The deployment was stopped by a user.",
        "WatchDeployment": "BUILD: exit status 1\nFAILED: the deployment is stopped: its tasks end with exit code 1.\n",
    }
    dev.play(dev.start("push"), fails=fails)
    assert outcome(whole(dev)).headline == (
        "Stopped in dev / Deploy / WatchDeployment: the deployment is stopped: its tasks end with exit code 1."
    )


def test_the_reason_is_the_first_line_unless_the_job_ended_with_words_of_its_own(tmp_path: Path) -> None:
    error = "BUILD: exit status 1\n[Container] ...\nFAILED: the image is gone: pull it.\n"
    dev = Played("dev", tmp_path)
    dev.play(dev.start("push"), fails={"BuildImage": error})
    assert outcome(whole(dev)).reason == "the image is gone: pull it."


def test_a_reason_without_end_is_cut_where_there_is_one_line_for_it(tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    dev.play(dev.start("push"), fails={"BuildImage": "x" * 5000})
    assert outcome(whole(dev)).reason == "x" * 240 + "…"
    assert "x" * 5000 in page(whole(dev))


def test_a_pipeline_that_was_to_run_and_was_not_started_is_no_success(tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    dev.play(dev.start("push"))
    came_to = outcome(whole(dev, Played("prod", tmp_path)))
    assert (came_to.succeeded, came_to.headline) == (
        False,
        "Delivered 1.2.0 to dev in 53 s, but prod was never started",
    )


def test_a_run_that_goes_on_was_stopped_or_did_not_deploy_is_said_to_be_so(tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    execution = dev.play(dev.start("push"), until="Build")
    for status, begins in (
        (Status.IN_PROGRESS, "Not finished in dev / Build"),
        (Status.STOPPED, "Stopped by hand in dev / Build"),
        (Status.SUCCEEDED, "Ran dev up to Build in 22 s"),
    ):
        execution.status = status
        assert outcome(whole(dev)).headline.startswith(begins)


def test_a_delivery_without_a_version_is_named_by_its_commit_or_digest(tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    execution = dev.play(dev.start("push"))
    for name in ("BuildImage.IMAGE_VERSION", "BuildImage.DEPLOYED_VERSION"):
        execution.variables[name] = ""
    assert outcome(whole(dev)).version == "5e1f0c9"
    execution.variables["BuildImage.DEPLOYED_VERSION"] = hand_made.DIGEST
    assert outcome(whole(dev)).version == "9b1e4c7a2d5f"


def whole(*played: Played) -> Rehearsal:
    ended = max(each.now for each in played)
    return collect("shop", [each.rehearsed for each in played], started=BEGAN, ended=ended)


def test_a_saved_rehearsal_is_read_again_and_makes_the_same_page(scene: tuple[str, Rehearsal], tmp_path: Path) -> None:
    _, rehearsal = scene
    (tmp_path / "rehearsal.json").write_bytes(as_json(rehearsal))
    again = load(tmp_path / "rehearsal.json")
    assert again == rehearsal
    assert page(again) == page(rehearsal)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"application": "shop", "format": 2}', "started: Field required"),
        ("no JSON", "the file: Invalid JSON"),
    ],
)
def test_a_file_that_is_no_rehearsal_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(Refusal, match=re.escape(f"other.json is no rehearsal of format 1: {problem}")):
        load(tmp_path / "other.json")


def test_a_rehearsal_of_another_format_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rehearsal.json"
    file.write_text(as_json(hand_made.rejected(tmp_path)).decode().replace('"format": 1', '"format": 2'))
    with pytest.raises(Refusal, match="format"):
        load(file)


def test_page_json_and_junit_stand_beside_each_other(tmp_path: Path) -> None:
    rehearsal = hand_made.retried(tmp_path)
    folder = tmp_path / "new" / "report"
    written = write(rehearsal, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "rehearsal.html", "rehearsal.json"]
    assert written == folder / "rehearsal.html"
    assert written.read_text(encoding="utf-8") == page(load(folder / "rehearsal.json"))
    assert (folder / "junit.xml").read_bytes() == junit(rehearsal)


def test_a_page_that_cannot_be_made_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal = hand_made.retried(tmp_path)
    page_before = write(rehearsal, tmp_path / "report").read_bytes()

    def full(_path: Path, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write(hand_made.failed(tmp_path), tmp_path / "report")
    assert (tmp_path / "report" / "rehearsal.html").read_bytes() == page_before


def test_the_summary_has_every_attempt_and_figure(tmp_path: Path) -> None:
    told = json.loads(json.dumps(summary(hand_made.retried(tmp_path))))
    (stack,) = told["stacks"]
    tries = [each for each in stack["runs"][0]["actions"] if each["action"] == "RunSmokeTest"]
    assert [(each["attempt"], each["status"], each["error"]) for each in tries] == [
        (1, "Failed", "BUILD: exit code 1"),
        (2, "Succeeded", ""),
    ]
    assert (stack["requests"], stack["failed_requests"]) == (None, None)
    assert told["permissions"] == {"granted": 10, "used": 7}
    told = summary(hand_made.failed(tmp_path))
    assert [each["failed_requests"] for each in told["stacks"]] == [12, None]
    assert [len(each["runs"]) for each in told["stacks"]] == [1, 0]
    assert told["permissions"] is None


def test_the_summarys_keys_are_those_of_its_description(scene: tuple[str, Rehearsal]) -> None:
    described = importlib.import_module("local.rehearsal.report.saved").__doc__ or ""
    words = set(re.findall(r"\w+", described))

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*(keys(each) for each in value.values()))
        return set().union(*(keys(each) for each in value)) if isinstance(value, list) else set()

    assert keys(summary(scene[1])) - words == set()


# https://github.com/jenkinsci/xunit-plugin, junit-10.xsd: what each element may hold, and its attributes; the first of
# these it cannot be without.
SCHEMA: dict[str, tuple[set[str], list[str]]] = {
    "testsuites": ({"testsuite"}, ["name", "tests", "failures", "errors", "time"]),
    "testsuite": (
        {"testcase"},
        ["name", "tests", "failures", "errors", "skipped", "time", "timestamp"],
    ),
    "testcase": ({"failure", "error", "skipped"}, ["name", "classname", "time"]),
    "failure": (set(), ["message", "type"]),
    "error": (set(), ["message", "type"]),
    "skipped": (set(), ["message"]),
}


def test_the_junit_file_keeps_to_the_schema(scene: tuple[str, Rehearsal]) -> None:
    root = ET.fromstring(junit(scene[1]))  # noqa: S314 - our own
    for element in root.iter():
        children, attributes = SCHEMA[element.tag]
        assert {child.tag for child in element} <= children
        assert list(element.attrib) == attributes
        if "time" in element.attrib:
            assert re.fullmatch(r"\d+\.\d{3}", element.attrib["time"])
        if "timestamp" in element.attrib:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", element.attrib["timestamp"])
    for suite in root:
        for count, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[count]) == len(list(suite.iter(tag)))


def cases(rehearsal: Rehearsal, kind: str) -> dict[str, str]:
    """Class and name of the test cases with such an end, and its message."""
    root = ET.fromstring(junit(rehearsal))  # noqa: S314 - our own
    return {
        f"{case.get('classname')} {case.get('name')}": str(found.get("message"))
        for case in root.iter("testcase")
        for found in case.findall(kind)
    }


def test_a_failed_action_is_a_failure_with_its_log_and_what_was_not_reached_is_skipped(tmp_path: Path) -> None:
    rehearsal = hand_made.failed(tmp_path)
    assert cases(rehearsal, "failure") == {
        "dev.Deploy DeployService": "Deployment d-DEP4XR2 failed: the new tasks never became healthy.",
        "dev.Requests no request fails during the deployment": "12 of 900 requests failed",
    }
    assert cases(rehearsal, "skipped")["dev.Test RunSmokeTest"] == "not reached: the run is Failed DeployService failed"
    assert cases(rehearsal, "skipped")["prod DeployService"] == "shop-prod was never started"
    text = junit(rehearsal).decode()
    assert "step 12 of DeployService" in text
    assert "[500] &lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_each_attempt_is_a_case_and_so_is_each_budget(tmp_path: Path) -> None:
    assert cases(hand_made.retried(tmp_path), "failure") == {"dev.Test RunSmokeTest (attempt 1)": "BUILD: exit code 1"}
    missed = cases(hand_made.slow_page(tmp_path), "failure")
    assert missed["dev.Lighthouse http://shop.test/cart accessibility"] == "61, at least 90 wanted"
    assert missed["dev.Lighthouse http://shop.test/cart best-practices"] == "no score, at least 90 wanted"


def test_a_fault_of_the_rehearsal_is_an_error_and_no_failure_of_the_delivery(tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    dev.play(dev.start("push"), fails={"BuildImage": "The rehearsal itself failed:\nTraceback ..."})
    assert cases(whole(dev), "error") == {"dev.Build BuildImage": "The rehearsal itself failed:"}
    assert cases(whole(dev), "failure") == {}


def test_codebuild_would_read_the_junit_file(tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    file.write_bytes(junit(hand_made.slow_page(tmp_path)))
    report = read_junit([("junit.xml", file)])
    assert (report.failures, report.errors) == (3, 0)


def test_what_xml_cannot_hold_does_not_come_into_it(tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    execution = dev.play(dev.start("push"), fails={"BuildImage": "broken \x00\x1b[31mpipe\x1b[0m \ud800"})
    next(run for run in execution.actions if run.error).log += ["\x07bell", "two\nlines"]
    assert cases(whole(dev), "failure") == {"dev.Build BuildImage": "broken pipe"}
    assert "\nbell\ntwo\nlines</failure>" in junit(whole(dev)).decode()


def test_an_action_has_its_artifacts_with_their_files(tmp_path: Path) -> None:
    rehearsal = hand_made.delivered(tmp_path)
    build = rehearsal.pipelines[0].runs[0].last("BuildImage")
    assert build
    image, deployment = build.artifacts
    assert deployment.name == "Deployment"
    assert (image.name, image.key, [file.name for file in image.files]) == (
        "Image",
        "dev-Image-k3y",
        ["image.json", "appspec.yaml", "<odd> name.txt"],
    )
    assert image.size == (tmp_path / "dev-Image-k3y").stat().st_size


def test_an_artifact_that_cannot_be_had_is_no_zip_or_holds_very_much(tmp_path: Path) -> None:
    assert look_into("Image", "key", None) == Artifact(name="Image", key="key")
    reference = tmp_path / "Source.json"
    reference.write_text("{}")
    (file,) = look_into("Source", "key", reference).files
    assert (file.name, file.size) == ("Source.json", 2)
    with zipfile.ZipFile(tmp_path / "big.zip", "w") as archive:
        for each in range(700):
            archive.writestr(f"{each:03}.txt", "")
    big = look_into("Big", "key", tmp_path / "big.zip")
    assert (len(big.files), big.left_out) == (500, 200)


def test_scores_are_read_as_the_job_prints_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    lighthouse = importlib.import_module("jobs.run_lighthouse")
    score = lighthouse.Score
    printed = [
        score(str(lighthouse.Page("http://shop.test/", "desktop")), "performance", 99, 80),
        score("http://shop.test/", "performance", 92.5, 80),
        score("http://shop.test/", "best-practices", 40.0, 80),
        score("http://shop.test/a:b", "seo", None, 1),
    ]
    dev = Played("dev", tmp_path)
    execution = dev.play(dev.start("push"))
    run = execution.last("RunLighthouse")
    assert run
    run.log[:] = [str(each) for each in printed]
    (audit,) = whole(dev).lighthouse
    assert [(each.page, each.category, each.score, each.budget) for each in audit.scores] == printed
    assert [each.passed for each in audit.scores] == [each.passed for each in printed]


def test_the_full_report_of_each_pages_representative_run_is_kept(tmp_path: Path) -> None:
    (audit,) = hand_made.delivered(tmp_path).lighthouse
    assert (audit.runs, [report.title for report in audit.reports]) == (3, ["/", "/cart", "/cart (desktop)"])


def test_of_a_long_log_the_page_has_the_end_and_says_so(tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    execution = dev.play(dev.start("push"))
    execution.actions[1].log[:] = [f"line {each}." for each in range(1, MOST_LINES + 1235)]
    text = page(whole(dev))
    assert "The first 1,234 are left out: this page keeps the last 2,000 of each log." in text
    assert "line 1234." not in text
    assert '<span data-n="1235">line 1235.' in text
    assert "line 1." in json.dumps(dataclasses.asdict(whole(dev)))


def test_nothing_of_a_log_a_reason_or_a_name_is_taken_for_markup(tmp_path: Path) -> None:
    text = page(hand_made.failed(tmp_path)) + page(hand_made.delivered(tmp_path))
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;odd&gt; name.txt" in text
    assert "RUN make &lt;target-1&gt; &amp;&amp; echo done" in text


class Markup(HTMLParser):
    """What a page refers to, and how it is built."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.identities: list[str] = []
        self.labels: list[str] = []
        self.headings: list[int] = []
        self.unnamed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.references += [value for name, value in attrs if name in ("src", "href", "action", "data") and value]
        self.identities += [given["id"]] if "id" in given else []
        self.labels += [given[name] for name in ("aria-labelledby", "for") if name in given]
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        picture = tag in ("svg", "img", "iframe")
        if picture and given.get("aria-hidden") != "true" and not (given.get("aria-label") or given.get("alt")):
            self.unnamed.append(self.get_starttag_text() or tag)


def test_the_page_needs_nothing_else_and_its_parts_have_names(scene: tuple[str, Rehearsal]) -> None:
    text = page(scene[1])
    markup = Markup(text)
    assert {each for each in markup.references if not each.startswith("#")} == {"data:,"}
    assert len(markup.identities) == len(set(markup.identities))
    assert {each.removeprefix("#") for each in markup.references if each.startswith("#")} <= set(markup.identities)
    assert set(markup.labels) <= set(markup.identities)
    assert markup.unnamed == []
    assert markup.headings[0] == 1
    assert markup.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(markup.headings, markup.headings[1:], strict=False))
    assert not re.search(r"url\((?!#)|@import", text)
    assert "default-src 'none'" in text


def test_the_failed_action_stands_before_everything_else(tmp_path: Path) -> None:
    text = page(hand_made.failed(tmp_path))
    places = [text.index(each) for each in ("Why DeployService failed", "The last lines of its log", ">Pipelines</h2>")]
    assert places == sorted(places)


def test_no_failed_request_is_shown_as_zero(tmp_path: Path) -> None:
    assert page(hand_made.delivered(tmp_path)).count(">0 failed<") == 8  # dev and prod: heading, two pictures, legend
    assert "12 failed</span> of 900 requests" in page(hand_made.failed(tmp_path))


def test_what_was_not_recorded_is_said_not_to_be(tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    text = page(collect("shop", [dev.rehearsed], started=BEGAN, ended=BEGAN))
    for sentence in (
        "dev was never started",
        "No action has begun.",
        "Nobody asked the service",
        "Lighthouse was not run.",
        "Which permissions were used was not recorded.",
    ):
        assert sentence in text
    text = page(dataclasses.replace(whole(dev), traffic=(Traffic(stack="dev", samples=()),)))
    assert "No request was made." in text


def test_the_picture_has_a_box_for_every_action_and_an_arrow_for_the_promotion(tmp_path: Path) -> None:
    text = page(hand_made.delivered(tmp_path))
    names = [action.name for stack in ("dev", "prod") for action in deployed(stack).actions]
    assert re.findall(r'class="name" [^>]*>(\w+)</text>\s*<text class="took"', text) == names
    assert '<path class="promotion" ' in text
    assert "Image push: shop-prod:promoted" in text
    text = page(hand_made.failed(tmp_path))
    assert '<path class="promotion not" ' in text
    assert "not promoted" in text


def test_an_older_run_that_was_superseded_is_told_of_as_well(tmp_path: Path) -> None:
    text = page(hand_made.superseded(tmp_path))
    assert "run 2 of 2" in text
    assert "Started by: Push of 0ddba11 to main. Superseded before stage Deploy." in text


def test_a_log_line_is_shown_without_colours_and_control_characters() -> None:
    assert plain("\x1b[1;32mok\x1b[0m \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\") == "ok link"
    assert plain("10 %\r50 %\r\x1b[32m100 %\x1b[0m\r\x1b[K\r\n") == "100 %"
    assert plain("a\tb\x00\x07") == "a\tb"


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("ERROR: no such file", True),
        ("AccessDenied: access denied", True),
        ("is not authorized to perform s3:GetObject", True),
        ("Traceback (most recent call last):", True),
        ("0 errors, 0 failed", False),
        ("failures=0 without errors", False),
        ("1 failed, 0 errors", True),
        ("mirrored and terrorless", False),
    ],
)
def test_lines_that_may_say_what_went_wrong_are_found(line: str, *, trouble: bool) -> None:
    assert is_trouble(line) == trouble


def test_durations_sizes_and_numbers_are_written_as_people_write_them() -> None:
    assert [duration(each) for each in (0, 0.04, 9.94, 9.96, 59.6, 60, 102, 3600, 3780)] == (
        ["0.0 s", "0.0 s", "9.9 s", "10 s", "1 min", "1 min", "1 min 42 s", "1 h 0 min", "1 h 3 min"]
    )
    assert [size(each) for each in (0, 999, 1000, 34_000_000, 999_999, 1_500_000_000)] == (
        ["0 B", "999 B", "1.0 kB", "34 MB", "1.0 MB", "1.5 GB"]
    )
    assert [clock(each) for each in (0, 67.9, 3723)] == ["0:00", "1:07", "1:02:03"]
    assert [number(each) for each in (0, 12345, 92.5)] == ["0", "12,345", "92.5"]


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_colour_of_text_can_be_read_on_what_it_stands_on(scheme: int) -> None:
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5."""
    style = Path("local/rehearsal/report/templates/style.css")
    text = (Path(__file__).parents[2] / style).read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", text.split(":root {")[1 + scheme]))
    grounds: dict[str, tuple[str, ...]] = dict.fromkeys(
        ("ink", "soft", "link", "ok", "bad", "busy"), ("page", "card", "sunk")
    )
    grounds["bad"] += ("bad-wash",)
    grounds["busy"] += ("busy-wash",)
    grounds["soft"] += ("band", "band-other")
    for ink, below in grounds.items():
        for ground in below:
            dark, light = sorted(_luminance(colours[name]) for name in (ink, ground))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{ink} on {ground}"
