"""No two builds of a run take one machine type at a time: every stage, in every form a stack file can give it.

What runs at the same time is in one stage, so the forms of each stage cover every combination of toggles and engines.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pytest
from mocked import REGION
from samples import GITHUB, build_stage, shop

from components.engines import ENGINES
from components.settings import Settings
from components.stages import STAGES, Stage

PUSHED = {"repository": "shop-prod", "tag": "promoted"}
SOURCES: dict[str, dict[str, Any]] = {
    "code": {"github": GITHUB},
    "image": {"ecr": PUSHED},
    "both": {"github": GITHUB, "ecr": PUSHED},
}
FILES: dict[str, dict[str, Any]] = {
    "none": {},
    "source": {"enabled": True, "bucket": "shop-static", "upload": {"path": "public"}},
    "image": {"enabled": True, "bucket": "shop-static", "upload": {"from": "image", "path": "/app/public"}},
    "sync": {"enabled": True, "bucket": "shop-static", "sync": {"bucket": "shop-assets"}},
}
HERE = {"enabled": True, "repository": "shop-prod"}
PROMOTIONS: tuple[dict[str, Any], ...] = (
    HERE,
    {**HERE, "approval": {"enabled": True}},
    {**HERE, "region": "eu-central-1"},
    {**HERE, "accountId": "210987654321", "roleArn": "arn:aws:iam::210987654321:role/shop-promote"},
)
REGIONS = (REGION, None)
"""With Lambda machines, and without."""


class Form(NamedTuple):
    """A stage and the sections of the stack file that give it this form."""

    stage: str
    region: str | None
    sections: dict[str, Any]


def forms() -> Iterator[Form]:
    """Every form of every stage."""
    application = ({"name": "shop", "architecture": name} for name in ("arm64", "x86_64"))
    for own, region in itertools.product(application, REGIONS):
        for source, smoke, compute in itertools.product(SOURCES.values(), (False, True), ("small", "medium")):
            if smoke and "github" not in source:
                continue
            if compute == "medium" and not smoke:
                continue  # one image is built, whatever the machine
            build = {"smokeTest": {"enabled": smoke}, "compute": compute}
            yield Form("Build", region, {"application": own, "source": source, "build": build})
        for engine, files in itertools.product(ENGINES, FILES.values()):
            deploy = {"engine": engine, **({"staticFiles": files} if files else {})}
            yield Form("Deploy", region, {"application": own, "deploy": deploy})
        for smoke in (False, True):
            build = {"smokeTest": {"enabled": smoke}}
            yield Form("Test", region, {"application": own, "build": build, "tests": {"enabled": True}})
        for promotion in PROMOTIONS:
            yield Form("Promote", region, {"application": own, "promotion": promotion})


def plain_forms(others: Iterable[str]) -> Iterator[Form]:
    """The stages that have one form, as the schema's examples switch them on."""
    for stage in STAGES:
        if stage.NAME not in {"Source", *others}:
            for region, example in itertools.product(REGIONS, Settings.model_fields[stage.SECTION].examples or ()):
                yield Form(stage.NAME, region, {stage.SECTION: example})


FORMS = list(forms())
FORMS += plain_forms({form.stage for form in FORMS})
BY_NAME: dict[str, type[Stage[Any, Any]]] = {stage.NAME: stage for stage in STAGES}


def most_at_once(form: Form, *, parallel_jobs: bool = False) -> int:
    settings = shop(**form.sections, pipeline={"parallelJobs": parallel_jobs})
    batches: dict[int, Counter[str]] = defaultdict(Counter)
    for action in build_stage(BY_NAME[form.stage], settings, region=form.region).actions:
        if action.machine is not None:
            batches[action.run_order][action.machine] += 1
    return max((count for batch in batches.values() for count in batch.values()), default=0)


@pytest.mark.parametrize("stage", sorted({form.stage for form in FORMS}))
def test_a_run_never_takes_a_machine_type_twice(stage: str) -> None:
    for form in (form for form in FORMS if form.stage == stage):
        assert most_at_once(form) <= 1, form


def test_parallel_jobs_take_it_twice() -> None:
    """Otherwise the test above could not see anything."""
    form = Form("Build", REGION, {"build": {"checks": {"lint": {"buildspec": "lint.yml"}}}})
    assert (most_at_once(form), most_at_once(form, parallel_jobs=True)) == (1, 2)
