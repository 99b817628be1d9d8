"""From Pulumi's configuration to settings: text, prefixes, encryption, sections nobody knows."""

import json
from collections.abc import Iterator
from pathlib import Path

import pulumi
import pytest
from pulumi.runtime.config import CONFIG, set_all_config

from components.settings import SettingsError, load_settings, read_settings
from components.settings.reader.load import _own_file
from components.settings.reader.messages import as_yaml

APPLICATION = {"name": "shop"}
SOURCE = {"github": {"repository": "example/shop"}}
HOSTING = {"existing": {"cluster": "shop", "service": "shop", "executionRole": "shop-execution"}}
SECTIONS: dict[str, object] = {
    "application": APPLICATION,
    "source": SOURCE,
    "hosting": HOSTING,
    "deploy": {"engine": "ecs"},
}


def lines(values: dict[str, object], stack: str = "dev", secret_keys: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(SettingsError) as error:
        load_settings(values, stack=stack, secret_keys=secret_keys)
    return list(error.value.lines)


@pytest.fixture
def configuration() -> Iterator[None]:
    """Put Pulumi's configuration back after a test that sets it."""
    token = CONFIG.set({})
    yield
    CONFIG.reset(token)
    set_all_config(CONFIG.get(), [])


def test_objects_and_their_json_text_and_prefixed_keys_are_the_same() -> None:
    plain = load_settings(SECTIONS, stack="dev")
    assert (
        load_settings({f"ecs-delivery:{key}": json.dumps(value) for key, value in SECTIONS.items()}, stack="dev")
        == plain
    )


def test_keys_of_other_packages_are_passed_over() -> None:
    assert load_settings({**SECTIONS, "aws:region": "eu-west-1", "datadog:site": "eu"}, stack="dev")


@pytest.mark.parametrize(
    ("stack", "prefix"), [("dev", "shop-dev"), ("shop-dev", "shop-dev"), ("shopdev", "shop-shopdev")]
)
def test_a_clone_that_serves_several_applications_names_nothing_twice(stack: str, prefix: str) -> None:
    assert load_settings(SECTIONS, stack=stack).application.prefix_in(stack) == prefix


@pytest.mark.parametrize("stack", ["Prod", "feature_x", "a--b", "v1.2", "x" * 28])
def test_a_stack_whose_name_aws_would_refuse_somewhere_is_refused(stack: str) -> None:
    [line] = lines(SECTIONS, stack=stack)
    assert line == (
        f'Pulumi.{stack}.yaml: ecs-delivery:application.name: does not go with the stack\'s name "{stack}": everything '
        "is named after both, so beside shop a stack's name must be 1 to 27 lower-case letters, digits and single "
        f"hyphens — pulumi stack rename --stack {stack} <new name>"
    )


def test_application_and_stack_may_take_32_characters_together() -> None:
    assert load_settings(SECTIONS, stack="x" * 27)


@pytest.mark.parametrize("secret_keys", [("release",), ("ecs-delivery:release",)])
def test_an_encrypted_section_is_refused_and_nothing_of_it_is_told(secret_keys: tuple[str, ...]) -> None:
    values = {**SECTIONS, "release": '{"github": {"tokenSecret": 5, "hunter2": 1}}'}
    [line] = lines(values, secret_keys=secret_keys)
    assert line == (
        "Pulumi.dev.yaml: ecs-delivery:release: must not be encrypted: it holds names and sizes, never a secret, and "
        "is shown in previews — edit the file: write the section in clear, and keep secrets in Secrets Manager"
    )


def test_problems_come_in_the_order_of_the_sections_and_unknown_sections_first() -> None:
    values: dict[str, object] = {
        "zoo": {},
        "retention": {"images": 0},
        "application": {"name": "shop", "port": 0},
        "alarm": {},
    }
    keys = [line.split(":")[2].strip().split(" ")[0] for line in lines(values)]
    assert keys == [
        "alarm",
        "zoo",
        "application.port",
        "source",
        "hosting.loadBalancer.certificateArn",
        "retention.images",
    ]


def test_a_misspelt_section_does_not_count_as_missing_or_as_left_out() -> None:
    [line] = lines({"aplication": APPLICATION, **{key: SECTIONS[key] for key in ("source", "hosting", "deploy")}})
    assert "did you mean application?" in line
    [line] = lines({**SECTIONS, "tests": {"enabled": True}, "hosting": None, "hostings": HOSTING})
    assert "did you mean hosting?" in line


def test_rules_between_sections_are_silent_about_a_section_that_is_wrong_itself() -> None:
    values = {**SECTIONS, "source": {"github": {"repository": "shop"}}, "build": {"smokeTest": {"enabled": True}}}
    [line] = lines(values)
    assert line.startswith("Pulumi.dev.yaml: ecs-delivery:source.github.repository: must be")


@pytest.mark.parametrize("tasks_in", ["public", "private"])
def test_a_smoke_test_alone_may_test_a_service_behind_an_internal_load_balancer(tasks_in: str) -> None:
    """It runs beside the service, with a way out of the network or without."""
    values = {
        **SECTIONS,
        "build": {"smokeTest": {"enabled": True}},
        "hosting": {"loadBalancer": {"plainHttp": True, "internal": True}, "network": {"taskSubnets": tasks_in}},
        "tests": {"enabled": True, "lighthouse": {"enabled": False}},
    }
    assert load_settings(values, stack="dev").tests.enabled


@pytest.mark.usefixtures("configuration")
def test_the_program_reads_the_stack_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "get_stack", lambda: "prod")
    set_all_config({f"ecs-delivery:{key}": json.dumps(value) for key, value in SECTIONS.items()}, [])
    assert read_settings().application.name == "shop"


@pytest.mark.usefixtures("configuration")
def test_the_program_refuses_sections_nobody_knows_and_encrypted_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "get_stack", lambda: "prod")
    values = {f"ecs-delivery:{key}": json.dumps(value) for key, value in SECTIONS.items()}
    set_all_config({**values, "ecs-delivery:notes": "{}", "ecs-delivery:build": "{}"}, ["ecs-delivery:build"])
    with pytest.raises(SettingsError) as error:
        read_settings()
    first, second = error.value.lines
    assert first.startswith("Pulumi.prod.yaml: ecs-delivery:notes: is not a known section")
    assert second.startswith("Pulumi.prod.yaml: ecs-delivery:build: must not be encrypted")


@pytest.mark.usefixtures("configuration")
def test_the_program_reads_the_configuration_of_its_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi's language host hands the configuration over in PULUMI_CONFIG."""
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    monkeypatch.setenv(
        "PULUMI_CONFIG", json.dumps({f"ecs-delivery:{key}": json.dumps(SECTIONS[key]) for key in SECTIONS})
    )
    assert read_settings().deploy.engine == "ecs"


def test_the_error_is_one_pulumi_prints_without_a_traceback() -> None:
    assert issubclass(SettingsError, pulumi.RunError)


@pytest.mark.parametrize(
    ("written", "given", "own"),
    [
        ("{aws:region: eu-west-1, ecs-delivery:a: {x: 1}}", ["eu-west-1", '{"x":1}'], True),
        ("{aws:region: eu-west-1, ecs-delivery:a: {x: 1}}", ["eu-west-1", '{"x":2}'], False),
        ("{aws:region: eu-west-1, ecs-delivery:a: {x: 1}}", ["eu-west-1", "{x"], False),
        ("{ecs-delivery:a: {secure: v1}}", ["eu-west-1", "opened"], True),
        ("[", [], False),
        (None, [], False),
    ],
    ids=["same", "another value", "no JSON", "encrypted", "no YAML", "no file"],
)
def test_lines_are_those_of_the_file_that_the_configuration_comes_from(
    written: str | None, given: list[str], own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--config-file` Pulumi reads another one, and does not say which."""
    monkeypatch.chdir(tmp_path)
    if written is not None:
        Path("Pulumi.dev.yaml").write_text(f"config: {written}\n")
    values = dict(zip(("aws:region", "ecs-delivery:a"), given, strict=False))
    assert _own_file("dev", values) == (Path("Pulumi.dev.yaml") if own else None)


def test_a_number_that_is_text_is_put_right_by_an_edit() -> None:
    """The CLI would make a number of it."""
    promotion = {"enabled": True, "repository": "shop-prod", "accountId": " 210987654321 "}
    with pytest.raises(SettingsError) as refused:
        load_settings({**SECTIONS, "promotion": promotion}, stack="dev")
    told = next(line for line in refused.value.lines if "promotion.accountId" in line)
    assert told.endswith('write accountId: "210987654321"')


def test_a_mapping_is_written_on_one_line() -> None:
    assert as_yaml({"include": ["src/**"], "depth": 2}) == "{include: [src/**], depth: 2}"


def test_a_release_whose_tag_is_not_watched_starts_no_run() -> None:
    watched = {"repository": "shop-prod", "create": True, "tagPattern": "promoted-*"}
    release = {"enabled": True, "github": {"repository": "example/shop", "tokenSecret": "shop/github-token"}}
    provenance = {"source": "https://github.com/example/shop", "pipeline": "shop-dev"}
    sections = {**SECTIONS, "source": {"ecr": watched}, "release": release, "verification": {"provenance": provenance}}
    assert load_settings(sections, stack="prod").release.enabled
