"""The values of an application's secrets: what a file may hold, what is missing, and that nothing shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.errors import Refusal
from local.rehearsal.account import Account
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.hosting.secrets import MissingSecret, Secrets

SECRETS = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
SECRET = f"{SECRETS}shop/database-AbCdEf"
PARAMETER = "arn:aws:ssm:eu-west-1:123456789012:parameter/shop/url"
BARE = "arn:aws:ssm:eu-west-1:123456789012:parameter/url"


def graph(**secrets: str) -> list[dict[str, Any]]:
    """A stack whose pipeline fills in a task definition that reads these, by the variables' names."""
    container = {"name": "shop", "secrets": [{"name": name, "valueFrom": source} for name, source in secrets.items()]}
    stored = json.dumps({"family": "shop", "containerDefinitions": [container, {"name": "beside"}]})
    kind = "aws:s3/bucketObjectv2:BucketObjectv2"
    return [{"type": kind, "inputs": {"content": text}, "outputs": {}} for text in (None, "{}", stored)]


def given(folder: Path, text: str, **secrets: str) -> Secrets:
    file = folder / "values"
    file.write_text(text, encoding="utf-8")
    return Secrets.of({"dev": graph(**secrets)}, file)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (SECRET, SECRET),
        (SECRET, "shop/database-AbCdEf"),
        (SECRET, "shop/database"),
        (SECRET, "TOKEN"),
        (f"{SECRET}::AWSPREVIOUS:", SECRET),
        (PARAMETER, PARAMETER),
        (PARAMETER, "/shop/url"),
        (PARAMETER, "TOKEN"),
        ("/shop/url", "/shop/url"),
        (BARE, "url"),
    ],
)
def test_a_secret_is_given_by_its_name_its_arn_or_its_variable(tmp_path: Path, source: str, name: str) -> None:
    assert given(tmp_path, f"{name}=sesame\n", TOKEN=source).value(source) == "sesame"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f'{SECRET}={{"password": "sesame"}}', "sesame"),
        (json.dumps({"shop/database": {"password": "sesame", "user": "me"}}), "sesame"),
        (json.dumps({SECRET: '{"password": 7}'}), "7"),
        ("PASSWORD=sesame", "sesame"),
        (f"{SECRET}:password::=sesame", "sesame"),
    ],
    ids=["line", "object", "text of an object", "variable", "with the key"],
)
def test_a_key_of_a_secret_is_taken_out_of_its_json(tmp_path: Path, text: str, value: str) -> None:
    assert given(tmp_path, text, PASSWORD=f"{SECRET}:password::").value(f"{SECRET}:password::") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("# a comment\n\n  export A = sesame  # said aloud\n", "sesame"),
        ("A=open#sesame\r\nB=2\r\n", "open#sesame"),
        ("A='open \\n sesame'", "open \\n sesame"),
        ('A="open \\"sesame\\"\\n"\nB=2', 'open "sesame"\n'),
        ('A="-----BEGIN-----\nabc=\n-----END-----"\nB=2', "-----BEGIN-----\nabc=\n-----END-----"),
        ("A=postgres://me:x=y@db/shop?a=b", "postgres://me:x=y@db/shop?a=b"),
        ("\ufeffA=1\nA=sesame", "sesame"),
        ("A=", ""),
        ('{"A": "sesame", "B": 2}', "sesame"),
    ],
    ids=["comments", "windows", "plain", "quoted", "lines", "url", "last", "empty", "json"],
)
def test_a_file_is_read_as_others_read_it(tmp_path: Path, text: str, value: str) -> None:
    assert given(tmp_path, text, A="/a").value("/a") == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=1\nsesame\n", "values:2 is not NAME=VALUE; a value with blanks or several lines is in quotes"),
        ('A=1\n\nB="sesame\n', "values:3 is not NAME=VALUE"),
        ('{"A": "sesame", }', "values:1 is no JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_without_a_word_of_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Refusal) as refused:
        given(tmp_path, text, A="/a")
    assert said in str(refused.value)
    assert "sesame" not in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be read: No such file or directory"):
        Secrets.of({}, tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(Refusal, match="cannot be read: it is no text"):
        Secrets.of({}, tmp_path / "bytes")


def test_a_secret_without_the_named_key_is_refused_without_its_value(tmp_path: Path) -> None:
    for text in (f"{SECRET}=sesame", f'{SECRET}={{"user": "sesame"}}', f"{SECRET}=[1]"):
        with pytest.raises(Refusal, match="shop/database-AbCdEf is no JSON object with the key password") as refused:
            given(tmp_path, text, PASSWORD=f"{SECRET}:password::")
        assert "sesame" not in str(refused.value)


def test_all_that_is_missing_is_said_at_once_with_what_to_do(tmp_path: Path) -> None:
    stacks = {"dev": graph(A="/a", URL=PARAMETER), "prod": graph(A="/a", TOKEN=SECRET, B="/b")}
    (tmp_path / "values").write_text("B=1\nUNRELATED=2\n")
    with pytest.raises(Refusal) as refused:
        Secrets.of(stacks, tmp_path / "values")
    assert str(refused.value).splitlines()[:4] == [
        f"The application, its build or its tests read secrets, and {tmp_path}/values has no value for these:",
        "  A of dev and prod: /a",
        f"  URL of dev: {PARAMETER}",
        f"  TOKEN of prod: {SECRET}",
    ]
    with pytest.raises(Refusal, match=r"and none is given:\n.*\nWrite them into a file.* give it by --secrets FILE"):
        Secrets.of({"dev": graph(A="/a")}, None)


def test_nothing_is_asked_for_where_nothing_is_read() -> None:
    with pytest.raises(MissingSecret, match="failed to fetch secret /a: ResourceNotFoundException: "):
        Secrets.of({"dev": graph()}, None).value("/a")


def test_no_value_is_shown_nor_a_part_of_one(tmp_path: Path) -> None:
    text = json.dumps({"a": {"keys": ["open-sesame"], "n": {"x": "hush"}}, "b": "two\nlines", "c": "abc", "d": "open"})
    secrets = given(tmp_path, text, A="/a", B="/b", C="/c", D="/d")
    assert secrets.hide("open-sesame, hush: two lines") == "***, ***: two ***"
    assert secrets.hide(secrets.value("/a")) == "***"
    assert (
        secrets.hide("abc is too short to be told from other words") == "abc is too short to be told from other words"
    )
    assert "sesame" not in repr(secrets)


def test_a_fingerprint_changes_with_the_values_and_shows_none() -> None:
    one, other = Secrets({"a": "shibboleth"}), Secrets({"a": "sibboleth"})
    assert one.fingerprint == Secrets({"a": "shibboleth"}).fingerprint != other.fingerprint
    assert "bboleth" not in one.fingerprint
    assert Secrets().fingerprint == ""


@pytest.mark.parametrize(("known_as", "allowed"), [(SECRET, SECRET), ("shop/token", f"{SECRETS}shop/token-??????")])
def test_a_secret_of_a_job_is_read_under_a_role_that_may_read_its_arn(
    need: Callable[..., None], known_as: str, allowed: str
) -> None:
    """By its complete ARN, whose last six characters the policy has, too, or by the name in the stack file."""
    need("ministack")
    may = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": allowed}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    place = {"arn": "arn:aws:codepipeline:eu-west-1:123456789012:shop", "stages": []}
    deployed = [
        {"type": "aws:codepipeline/pipeline:Pipeline", "inputs": place, "outputs": {}},
        {"type": "aws:iam/rolePolicy:RolePolicy", "inputs": {"role": "release", "policy": policy}, "outputs": {}},
    ]
    with AwsServices() as aws:
        account = Account(aws, deployed)
        account.keep_secret(known_as, "sesame")
        account.keep_secret(known_as, "another")
        read = account.client_as("release", "secretsmanager").get_secret_value(SecretId=known_as)
        assert read["SecretString"] == "sesame"


@pytest.mark.parametrize("name", ["arn:aws:s3:::shop/conf/prod.env", "conf/prod.env", "prod.env"])
def test_files_with_variables_and_options_of_log_routers_are_given_like_secrets(tmp_path: Path, name: str) -> None:
    container = {
        "name": "shop",
        "environmentFiles": [{"value": "arn:aws:s3:::shop/conf/prod.env", "type": "s3"}],
        "logConfiguration": {"secretOptions": [{"name": "apikey", "valueFrom": SECRET}]},
    }
    content = json.dumps({"containerDefinitions": [container]})
    stored = {"type": "aws:s3/bucketObjectv2:BucketObjectv2", "inputs": {"content": content}, "outputs": {}}
    file = tmp_path / "values"
    file.write_text(json.dumps({name: "COLOR=green\n", "apikey": "sesame"}), encoding="utf-8")

    found = Secrets.of({"dev": [stored]}, file)

    assert found.value("arn:aws:s3:::shop/conf/prod.env") == "COLOR=green\n"
    assert found.value(SECRET) == "sesame"
