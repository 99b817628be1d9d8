"""The change report as comment, text, JSON and page: what is first, what is folded, and that nothing breaks out."""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_change_report_sections import BEFORE, DEPLOY, KEPT, PIPELINE, SOURCE, action, of_stages, step

from local.errors import Refusal
from local.report import arguments, command, model
from local.report.findings import BROADENS, DESTROYS, Finding, Section, code, listed
from local.report.markdown import MARKER, MOST, MOST_CHARACTERS, MOST_LINES, cut, markdown
from local.report.page import page
from local.report.picture import drawn
from local.report.preview import Preview, read
from local.report.saved import as_json
from local.report.text import sections, tree

CHANGED = step("aws:kms/key:Key", "key", {"description": "a"}, {"description": "b"}, changed=("description",))
EVIL = "x`</details><img src=x onerror=alert(1)>@everyone ![a](https://example.com) [b](https://example.com)\n# c"


def report(*findings: Finding, stack: str = "prod", steps: tuple[object, ...] = (KEPT, CHANGED)) -> model.StackReport:
    return model.StackReport(Preview(stack, steps=steps), findings)  # type: ignore[arg-type]


def comment(*stacks: model.StackReport) -> str:
    return markdown(model.Report(stacks))


def screen(text: str) -> str:
    return text.partition("<details>")[0]


SAME = report(stack="dev", steps=(KEPT,))
BROADER = Finding(Section.PERMISSIONS, "`a` may now `s3:GetObject` on `*`.", ("more of it",), broadens=True)
LOST = Finding(Section.LOSS, "The bucket `a` is deleted with its objects.", destroys=True)


def test_no_change_is_one_line() -> None:
    assert comment(SAME, report(steps=(KEPT,))) == f"{MARKER}\ndev and prod: no changes\n"


def test_one_comment_has_all_stacks_and_says_the_same_of_several_once() -> None:
    text = comment(SAME, report(BROADER), report(BROADER, LOST, stack="stage"))
    assert text.splitlines()[:2] == [MARKER, "### dev: no changes · prod: 1 to update · stage: 1 to update"]
    assert "- 🔑 **Permissions broadened** (prod and stage): `a` may now `s3:GetObject` on `*`." in text
    assert screen(text).index("Cannot be undone** (stage)") < screen(text).index("Permissions broadened")
    assert "Look twice: `pipeline/destroys` `pipeline/broadens`" in screen(text)


def test_what_the_screen_says_whole_is_not_folded_again() -> None:
    text = comment(report(LOST, BROADER))
    assert "<summary>Permissions broadened (1)</summary>" in text
    assert "<summary>Cannot be undone" not in text
    assert "- more of it" in text.partition("<details>")[2]


def test_the_labels_decide_what_the_command_ends_with() -> None:
    failed = model.of(Preview("dev", problems=("no",)))
    assert model.Report((report(LOST),)).labels == [DESTROYS]
    assert model.Report((report(BROADER), report(LOST))).labels == [DESTROYS, BROADENS]
    assert [model.Report(each).exit_code for each in ((SAME,), (failed, SAME), (failed, report(LOST)))] == [0, 1, 3]


def test_a_preview_that_failed_is_a_comment_with_its_problems() -> None:
    failed = model.of(Preview("dev", problems=("first problem\nline two", "second")))
    text = comment(failed, report(BROADER))
    assert text.splitlines()[1] == "### dev: the preview failed · prod: 1 to update"
    assert "- ❌ **The preview of dev failed:** first problem" in screen(text)
    assert "```text\nfirst problem\nline two\n```" in text
    assert json.loads(as_json(model.Report((failed,))))["stacks"][0]["problems"] == [
        "first problem\nline two",
        "second",
    ]
    assert "first problem" in page(model.Report((failed,)))


def test_nothing_that_the_branch_says_becomes_markup() -> None:
    """Names, values and messages are text of the branch that is previewed."""
    words = f"The bucket {code(EVIL)} is gone; <b>@team</b> [x](y) *z*."
    finding = Finding(Section.LOSS, words, (code(EVIL), EVIL))
    failed = model.of(Preview(EVIL, problems=(EVIL + "\n```\n# heading",)))
    evil = step("aws:s3/bucket:Bucket", EVIL, {"a": 1}, {"a": 2})
    text = comment(report(finding, steps=(KEPT, evil)), failed)
    outside = re.sub(r"(?s)(`{3,})text.*?\n\1\n|`[^`]*`", "", text)
    for mark in ("<img", "<b>", "@everyone", "@team", r"(?<!\\)\]\(", r"\n# "):
        assert not re.search(mark, outside), mark
    assert outside.count("</details>") == outside.count("<details>")
    shown = page(model.Report((report(finding, steps=(KEPT, evil)), failed)))
    assert "<img" not in shown
    assert "<b>@team" not in shown


MANY = [step("aws:kms/key:Key", f"key-{'x' * 100}-{number}", {"a": 1}, {"a": 2}) for number in range(400)]
TEXTS = st.text("ab `<&@\n*", min_size=1, max_size=400)
FINDINGS = st.builds(
    Finding,
    st.sampled_from(Section),
    TEXTS.map(code),
    st.lists(TEXTS.map(code), max_size=3).map(lambda few: (*few, *few * 5)),
)
REPORTS = st.builds(
    lambda stack, findings, problems, count: model.StackReport(
        Preview(
            stack,
            steps=()
            if problems
            else (KEPT, *(step("aws:kms/key:Key", f"key-{n}", {"a": 1}, {"a": 2}) for n in range(count))),
            problems=tuple(problems),
        ),
        () if problems else tuple(findings),
    ),
    st.sampled_from(["dev", "prod", "a" * 100]),
    st.lists(FINDINGS, max_size=20).map(lambda few: few * 3),
    st.lists(TEXTS, max_size=2),
    st.sampled_from([1, 40, 400]),
)


@given(st.lists(REPORTS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=20, derandomize=True, phases=[Phase.generate])
def test_any_change_fits_a_screen_and_a_comment(reports: list[model.StackReport]) -> None:
    text = comment(*reports)
    assert len(screen(text)) <= MOST_CHARACTERS
    assert screen(text).count("\n") <= MOST_LINES
    assert len(text) <= MOST
    assert text.count("<details>") == text.count("</details>")
    assert all(line.count("`") % 2 == 0 for line in screen(text).splitlines() if not line.startswith("```"))


def test_what_does_not_fit_is_counted() -> None:
    many = [Finding(section, f"`role-{number}` may now {'x' * 400}.") for section in Section for number in range(40)]
    text = comment(report(*many), report(*many[::2], stack="stage"), model.of(Preview("dev", problems=("no",) * 9)))
    assert len(screen(text)) <= MOST_CHARACTERS
    assert screen(text).count("\n") <= MOST_LINES
    assert len(text) <= MOST
    assert all(section.value in screen(text) for section in Section if section is not Section.NARROWED)
    assert "more, below)" in screen(text)
    assert re.search(r"… and \d+ lines more: the page of the report has all of them.", text)


@pytest.mark.parametrize("length", range(8, 56))
def test_a_sentence_is_cut_without_leaving_code_open(length: int) -> None:
    short = cut("The role `shop-promote-image` &lt;may&gt; `do` it.", length)
    assert short.count("`") % 2 == 0
    assert len(short) <= length


def test_the_picture_marks_what_is_new_changed_and_removed() -> None:
    after = of_stages(Source=[SOURCE], Deploy=[{**DEPLOY, "runOrder": 2}], Release=[action("Tag")])
    text = comment(model.of(Preview("prod", steps=(step(PIPELINE, "p", BEFORE, after),))))
    chain = next(line for line in text.splitlines() if line.startswith("s0"))
    assert '"Source"] --> ' in chain
    assert '"Deploy (changed)"]:::changed' in chain
    assert '"Test (removed)"]:::removed' in chain
    assert '"Release (new)"]:::added' in chain
    assert text.count("```mermaid") == 2, "the stages on the screen, and the actions below"
    shown = page(model.Report((model.of(Preview("prod", steps=(step(PIPELINE, "p", BEFORE, after),))),)))
    assert 'class="action removed"' in shown
    assert "Stage Release (new)" in shown


def test_a_terminal_shows_the_same_sections_and_a_folded_tree() -> None:
    lines = list(sections(report(LOST, BROADER)))
    assert lines[1:] == [
        "Cannot be undone:",
        "  The bucket a is deleted with its objects.",
        "Permissions broadened:",
        "  a may now s3:GetObject on *.",
        "For a second pair of eyes: pipeline/destroys, pipeline/broadens.",
    ]
    top = step("ecs-delivery:index:Delivery", "shop", {}, {})
    box = step("ecs-delivery:stage:Release", "release", None, {}, parent=top.urn)
    inside = [step("aws:iam/role:Role", f"role-{number}", None, {}, parent=box.urn) for number in range(3)]
    assert tree((top, box, *inside)) == [
        "    shop        ecs-delivery:index:Delivery",
        " +  └─ release  ecs-delivery:stage:Release  3 resources",
    ]


def run(tmp_path: Path, *stacks: str) -> tuple[int, str, dict[str, object], str]:
    parser = argparse.ArgumentParser()
    arguments.add_arguments(parser)
    files = {name: tmp_path / "out" / name for name in ("markdown", "json", "page")}
    options = parser.parse_args([*stacks, *(f"--{name}={file}" for name, file in files.items())])
    ends_with = command.run(options)
    texts = [file.read_text(encoding="utf-8") for file in files.values()]
    return ends_with, texts[0], json.loads(texts[1]), texts[2]


def test_the_command_writes_its_files_whatever_the_previews_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prod.json").write_text("error: no stack named 'prod' found", encoding="utf-8")
    ends_with, text, content, shown = run(tmp_path, f"dev={tmp_path / 'dev.json'}", f"prod={tmp_path / 'prod.json'}")
    assert (ends_with, content["exitCode"], content["labels"]) == (1, 1, [])
    assert "There is no preview: the log of its job says why." in text
    assert "no stack named 'prod' found" in text
    assert "no stack named &#39;prod&#39; found" in shown
    assert "prod: the preview failed" in capsys.readouterr().out


def test_a_stack_without_a_file_is_refused() -> None:
    with pytest.raises(Refusal, match=r"Pulumi\.nowhere\.yaml: there is no such stack file"):
        command._preview("nowhere")


ONE_CHANGE = {"op": "update", "urn": "urn:pulumi:dev::ecs-delivery::aws:kms/key:Key::key"}
WITHOUT_WHAT_STAYS = json.dumps({"changeSummary": {"same": 3, "update": 1}, "steps": [ONE_CHANGE]})


@pytest.mark.parametrize("content", ["[]", '{"steps": []}', WITHOUT_WHAT_STAYS])
def test_a_file_that_is_no_preview_is_refused_with_the_command(content: str, tmp_path: Path) -> None:
    file = tmp_path / "dev.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(Refusal, match="pulumi preview --json --show-sames --non-interactive"):
        read("dev", file)


def test_a_file_that_pulumi_has_not_written_is_a_preview_that_failed(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text('{"steps": [{"urn": 3}], "changeSummary": {}}', encoding="utf-8")
    ends_with, text, _, _ = run(tmp_path, f"dev={tmp_path / 'dev.json'}")
    assert ends_with == 1
    assert "dev.json is not what pulumi preview writes" in text


def test_names_are_listed_with_how_many_more_there_are() -> None:
    assert listed(["a"]) == "`a`"
    assert listed(["a", "b"]) == "`a` and `b`"
    assert listed(["a", "b", "c", "d"]) == "`a`, `b`, `c` and 1 more"


def test_the_page_is_drawn_by_a_real_browser(need: Callable[..., None], tmp_path: Path) -> None:
    """One file: without network, without script, with the picture and every finding in it."""
    need("chromium")
    after = of_stages(Source=[SOURCE], Deploy=[DEPLOY], Release=[action("Tag")])
    stack = model.of(Preview("prod", steps=(KEPT, CHANGED, step(PIPELINE, "p", BEFORE, after))))
    file = tmp_path / "report.html"
    file.write_text(page(model.Report((stack,))), encoding="utf-8")
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
    offline = (
        "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={tmp_path / 'profile'}",
    )
    done = subprocess.run(
        ["chromium", *options, *offline, "--dump-dom", file.as_uri()], capture_output=True, text=True, check=True
    )
    assert "CONSOLE" not in done.stderr
    shown = html.unescape(re.sub(r"<[^>]+>", "", done.stdout))
    for finding in stack.findings:
        assert finding.words.replace("`", "") in shown
    assert done.stdout.count('class="action') == sum(len(each.boxes) for each in drawn(stack.preview)) > 0
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)|<script|@import""", file.read_text(encoding="utf-8"))
