"""What the README says is so."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from mocked import Graph, build_program

from components.engines import ENGINES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CONFIG: dict[str, Any] = next(
    yaml.safe_load(block)["config"] for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
)


def section(heading: str, page: str = README) -> str:
    return page.split(f"{heading}\n", 1)[1].split("\n## ", 1)[0].split("\n### ", 1)[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in more.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if nested else value
    return result


def test_every_make_target_that_is_named_exists() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    listed = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert named
    assert named <= set(re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE))


def test_the_commands_to_try_are_those_that_the_checks_run_on_a_new_machine() -> None:
    """Each brings what it needs; a rehearsal needs Debian and root, which one of the two machines is."""
    block = re.search(r"```sh\n(.*?)```", section("## Try it, without an AWS account"), re.DOTALL)
    assert block
    commands = [line.partition("#")[0].strip() for line in block[1].splitlines()]
    assert commands == ["make rehearse", "make preview", "make test"]
    checks = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8"))
    everything, first = ([step.get("run") for step in job["steps"]] for job in checks["jobs"].values())
    assert [command for command in first if command] == commands[1:]
    assert everything[-2:] == [".ci/run", commands[0]]


def test_the_stack_file_shown_makes_the_pipeline_it_promises() -> None:
    graph = build_program({key: value for key, value in CONFIG.items() if key != "aws:region"})
    assert list(graph.stages) == ["Source", "Build", "Deploy", "Promote"]


WANTED = {
    "Lighthouse against every deployment": "RunLighthouse",
    "A smoke-test image that runs against it, too": "RunSmokeTest",
    "Images promoted to prod": "PromoteImage",
    "Manual approval of each promotion": "ApprovePromotion",
    "A version tag and a GitHub release": "CreateGitHubRelease",
    "Static files in a bucket": "PublishStaticFiles",
}


OTHERWISE: dict[str, Callable[[Graph], bool]] = {
    "HTTPS": lambda graph: graph.exports["serviceUrl"] == "https://shop.example.com",
    "A service that exists": lambda graph: graph.of("aws:ecs/service:Service") == [],
    "Deletion protection of service, load balancer, registry, buckets and key": lambda graph: any(
        item.protect for item in graph
    ),
}
"""What is not an action of the pipeline."""


@pytest.mark.parametrize("row", rows(section("## Change it")), ids=lambda row: row[0])
def test_what_to_write_for_what_you_want_works(row: list[str]) -> None:
    want, write = row
    base = CONFIG
    if want == "A smoke-test image that runs against it, too":
        base = merged(base, {"ecs-delivery:tests": {"enabled": True}})
    given = {f"ecs-delivery:{key}": value for key, value in yaml.safe_load(write.strip("`")).items()}
    # Where the application runs is one choice or the other.
    base = {key: value for key, value in base.items() if key != "ecs-delivery:hosting" or key not in given}
    graph = build_program(merged(base, given))
    actions = {action["name"] for items in graph.stages.values() for action in items}
    if want in WANTED:
        assert WANTED[want] in actions
    else:
        assert OTHERWISE[want](graph)


def test_the_table_of_engines_lists_every_engine_with_its_strategies() -> None:
    table = {row[0].strip("`"): re.findall(r"`(\w+)`", row[2]) for row in rows(section("## How it works"))}
    assert table == {engine.name: list(engine.strategies) for engine in ENGINES.values()}


PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
}
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(page)}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_page_or_a_heading_leads_there(page: str) -> None:
    for target, _, anchor in re.findall(r"\]\(([^():#]*)(#([\w-]+))?\)", PAGES[page]):
        path = str((ROOT / page).parent.joinpath(target).resolve().relative_to(ROOT)) if target else page
        assert (ROOT / path).exists(), target
        if anchor:
            assert anchor in anchors(PAGES[path]), f"{target}#{anchor}"


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) <= 150


def test_every_file_and_folder_that_is_named_exists() -> None:
    named = re.findall(r"`((?:[\w.]+/)*[\w.]+\.(?:py|yaml|yml|json)|[\w.]+/(?:[\w.]+/)*)`", README)
    assert named
    assert [name for name in named if not (ROOT / name).exists() and not list(ROOT.rglob(name.strip("/")))] == []


def test_the_roles_of_a_promotion_into_another_account_have_the_names_that_are_written_down() -> None:
    """Each side names the other's role before it exists."""
    dev_role, prod_role = re.findall(r"role/(shop-[a-z-]+)", section("## Prod in another account", OPERATIONS))
    account = {"accountId": "210987654321", "roleArn": f"arn:aws:iam::210987654321:role/{prod_role}"}
    dev = build_program(merged(CONFIG, {"ecs-delivery:promotion": account}))
    assert [role.inputs.get("name") for role in dev.of("aws:iam/role:Role") if role.inputs.get("name")] == [dev_role]
    source = {"repository": "shop-prod", "create": True, "promoters": [f"arn:aws:iam::123456789012:role/{dev_role}"]}
    pipeline = re.findall(r"arn:aws:codepipeline:<region>:<dev account>:([a-z-]+)", OPERATIONS)
    built = {
        "source": "https://github.com/example/shop",
        "pipeline": f"arn:aws:codepipeline:eu-west-1:123456789012:{pipeline[0]}",
    }
    prod = {
        **CONFIG,
        "ecs-delivery:source": {"ecr": source},
        "ecs-delivery:verification": {"provenance": built},
        "ecs-delivery:promotion": {},
    }
    graph = build_program(prod, stack_name="prod")
    assert [role.inputs["name"] for role in graph.of("aws:iam/role:Role") if role.inputs.get("name")] == [prod_role]


def test_the_licence_is_the_one_that_is_named() -> None:
    assert "Apache-2.0" in section("## Licence")
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
