"""What counts as a secret in clear, and that no key of the stack file asks for one."""

from typing import Annotated, get_args, get_origin

import pytest

from components.settings import Settings, secrets
from components.settings.reader.shapes import shape_of
from components.settings.secrets import looks_like_a_secret, names_a_secret, redacted, secret_in_clear, secrets_in
from components.settings.section import Reference, Section


@pytest.mark.parametrize(
    "name",
    [
        "PASSWORD",
        "DB_PASSWORD",
        "dbPassword",
        "PGPASSWORD",
        "db.password",
        "MYSQL_PASSWD",
        "KEY_PASSPHRASE",
        "TOKEN",
        "GITHUB_TOKEN",
        "githubToken",
        "CLIENT_SECRET",
        "SECRETS",
        "PRIVATE_KEY",
        "privateKeyPem",
        "API_KEY",
        "apikey",
        "STRIPE_API_KEY_2",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "GOOGLE_CREDENTIALS",
        "SECRET_KEY_BASE",
        "DB_PASS",
        "MYSQL_PWD",
        "SIGNING_KEY",
        "ENCRYPTION_KEY",
        "SESSION_KEY",
        "JWT",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "LOG_LEVEL",
        "KEY",
        "PRIMARY_KEY",
        "MAX_TOKENS",
        "TOKENIZERS_PARALLELISM",
        "SECRETARY",
        "PASSWORD_FILE",
        "DB_SECRET_ARN",
        "SECRET_NAME",
        "TOKEN_URL",
        "PASSWORD_MIN_LENGTH",
        "MONKEY_API",
        "PWD",
        "PASS",
        "BYPASS",
        "AUTH_HEADER",
    ],
)
def test_names_of_ordinary_settings_are_left_alone(name: str) -> None:
    assert not names_a_secret(name)


@pytest.mark.parametrize(
    "value",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "id=ASIAIOSFODNN7EXAMPLE;",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        "-----BEGIN PRIVATE KEY-----",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "github_pat_0123456789abcdefghij_ABCDEFGHIJ",
        "postgres://shop:hunter2@db:5432/shop",
        "mongodb+srv://shop:hunter2@cluster.example.com",
        "redis://:hunter2@cache:6379",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
        "Authorization: Basic c2hvcDpodW50ZXIyaHVudGVy",
        "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
        "glpat-a1B2c3D4e5F6g7H8i9J0",
        "https://hooks.slack.com/services/T0123456789/B0123456789/a1B2c3D4e5F6g7H8i9J0a1B2",
    ],
)
def test_values_that_are_secrets_are_known(value: str) -> None:
    assert looks_like_a_secret(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "info",
        "AKIA",
        "https://shop.example.com:8443/a@b",
        "postgres://db:5432/shop",
        "ghp_",
        "me@example.com",
        "postgres://shop:$PASSWORD@db/shop",
        "glpat-aaaaaaaaaaaaaaaaaaaa",
    ],
)
def test_ordinary_values_are_left_alone(value: str) -> None:
    assert not looks_like_a_secret(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORS_ALLOW_CREDENTIALS", "true"),
        ("ACCESS_TOKEN_EXPIRES_IN", "3600"),
        ("AWS_SECRET_PREFIX", "shop/prod"),
        ("AUTH_PASSWORD_ENABLED", "false"),
        ("RESET_PASSWORD_TIMEOUT", "900"),
        ("SECRETS_MANAGER_REGION", "eu-west-1"),
        ("TOKEN_LIFETIME", "1.5"),
        ("API_TOKEN", ""),
        ("NEXT_PUBLIC_MAPS_API_KEY", "example-public-key"),
        ("VITE_MAPBOX_ACCESS_TOKEN", "pk.example"),
        ("STRIPE_PUBLISHABLE_KEY", "pk_live_x"),
    ],
)
def test_a_variable_that_keeps_nothing_is_no_secret_whatever_it_is_called(name: str, value: str) -> None:
    assert not secret_in_clear(name, value)


def test_a_stack_file_may_say_that_a_variable_is_no_secret_but_not_of_what_nobody_may_see() -> None:
    assert secret_in_clear("API_TOKEN", "hunter2")
    assert not secret_in_clear("API_TOKEN", "hunter2", ["API_TOKEN"])
    assert secret_in_clear("API_TOKEN", "hunter2", ["OTHER"])
    assert secret_in_clear("VITE_DATABASE", "postgres://shop:hunter2@db/shop", ["VITE_DATABASE"])


@pytest.mark.parametrize(
    "value",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN PRIVATE KEY-----",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "github_pat_0123456789abcdefghij_ABCDEFGHIJ",
        "postgres://shop:hunter2@db/shop",
        "Bearer 0123456789abcdefghij",
    ],
)
def test_what_nobody_may_see_is_a_secret_whatever_the_stack_file_says(value: str) -> None:
    """The published rules know some of them as well, and those a stack file may overrule."""
    assert secret_in_clear("A", value, ["A"])


def test_the_published_rules_are_read_when_they_are_needed() -> None:
    secrets._published.cache_clear()
    assert looks_like_a_secret("glpat-a1B2c3D4e5F6g7H8i9J0")


WEB_KEY = "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"
"""A Google API key, which maps in browsers need."""


def test_a_key_that_browsers_get_is_no_secret_where_its_name_or_the_file_says_so() -> None:
    assert secret_in_clear("MAPS", WEB_KEY)
    assert not secret_in_clear("NEXT_PUBLIC_MAPS", WEB_KEY)
    assert not secret_in_clear("MAPS", WEB_KEY, ["MAPS"])


@pytest.mark.parametrize(
    "value",
    [
        ["app", "--token", "$TOKEN"],
        ["app", "--password-file=/run/secrets/password"],
        ["app", "--token", "--verbose"],
        ["app", "--verbose", "token"],
        "curl -f http://localhost:8080/healthz?token=${TOKEN}",
        "/search?page=2",
        {"paths": [f"/maps?key={WEB_KEY}"]},
    ],
)
def test_what_only_names_a_secret_is_none(value: object) -> None:
    assert list(secrets_in(("application",), value, {"paths"})) == []


@pytest.mark.parametrize(
    "value",
    [
        ["app", "--token", "hunter2"],
        ["app", "--token=hunter2"],
        "DB_PASS=hunter2 app",
        "/healthz?verbose=1&token=hunter2",
        {"glpat-a1B2c3D4e5F6g7H8i9J0": "x"},
        {"paths": [f"/maps?key={WEB_KEY}"]},
        {"paths": ["/?at=redis://:hunter2@cache"]},
    ],
)
def test_a_secret_is_found_wherever_it_stands_and_is_not_repeated(value: object) -> None:
    (found,) = secrets_in(("application",), value, ())
    assert "hunter2" not in f"{found}"
    assert "glpat" not in f"{found}"
    assert WEB_KEY not in f"{found}"


def test_nothing_that_looks_like_a_secret_stays_in_a_text() -> None:
    text = "got glpat-a1B2c3D4e5F6g7H8i9J0 and postgres://shop:hunter2@db/shop, not arn:aws:iam::123456789012:role/shop"
    assert redacted(text) == "got (not shown) and (not shown)db/shop, not arn:aws:iam::123456789012:role/shop"


def marks(annotation: object, metadata: list[object]) -> list[object]:
    """Return every mark of an annotation, at any depth."""
    found = list(metadata)
    if get_origin(annotation) is Annotated:
        found += get_args(annotation)[1:]
    for argument in get_args(annotation):
        found += marks(argument, [])
    return found


def fields_that_ask_for_a_secret(section: type[Section]) -> list[str]:
    found = []
    for name, field in section.model_fields.items():
        below = shape_of(field).section
        if below is not None:
            found += fields_that_ask_for_a_secret(below)
        smells = any(word in name for word in ("token", "password", "secret", "key", "credential"))
        if smells and not any(isinstance(mark, Reference) for mark in marks(field.annotation, field.metadata)):
            found.append(f"{section.__name__}.{name}")
    return found


def test_no_key_of_the_stack_file_asks_for_a_secret_itself() -> None:
    assert fields_that_ask_for_a_secret(Settings) == []


def test_a_key_that_asked_for_a_secret_would_be_found() -> None:
    class Careless(Section):
        api_token: str
        passwords: dict[str, str]

    assert fields_that_ask_for_a_secret(Careless) == ["Careless.api_token", "Careless.passwords"]
