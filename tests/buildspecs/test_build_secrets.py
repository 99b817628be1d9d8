"""What a build is given that nobody else may see: each job really runs, against stand-ins of aws and docker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_tools import REPOSITORY, Machine
from test_image_jobs import BUILD, pushes

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop/build-AbCdEf"
LOGIN = {"username": "robot", "password": "pass-phrase"}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a source to build, an empty repository and a working builder."""
    machine = Machine(tmp_path)
    machine.file("Dockerfile", "FROM scratch\nRUN --mount=type=secret,id=NPM_TOKEN,required npm ci\n")
    return machine


def keeps(machine: Machine, name: str, value: object) -> None:
    """Let Secrets Manager hold a value."""
    text = value if isinstance(value, str) else json.dumps(value)
    machine.answer(f"aws secretsmanager get-secret-value --secret-id {name}", {"SecretString": text})


def test_secrets_are_mounted_as_files_and_stand_nowhere_else(machine: Machine) -> None:
    keeps(machine, "shop/npm-token", "npm_in-clear")
    keeps(machine, ARN, {"key": "line one\nab\nline two"})
    keeps(machine, "shop/pin", "x9?z")
    wanted = {"NPM_TOKEN": "shop/npm-token", "deploy.key": f"{ARN}:key", "PIN": "shop/pin"}
    machine.answer("docker buildx build", "got npm_in-clear\ngot line two of ab\ngot x9?z\n", code=1)
    pushes(machine)

    result = machine.run("build_image", **{**BUILD, "BUILD_MOUNTS": json.dumps(wanted)})

    (build,) = machine.called("docker buildx build")
    given = [dict(part.split("=", 1) for part in option.split(",")) for option in build.after("--secret")]
    assert [option["id"] for option in given] == ["NPM_TOKEN", "deploy.key", "PIN"]
    assert not any(Path(option["src"]).exists() for option in given), "they go with the build"
    assert machine.called(f"--secret-id {ARN}")[0].after("--region") == ["eu-central-1"]
    assert "got ***\ngot *** of ab\ngot ***\n" in result.stdout
    said = json.dumps([result.stdout, result.stderr, [str(call) for call in machine.calls]])
    for part in ("npm_in-clear", "line one", "line two", "x9?z"):
        assert part not in said
    assert all("npm_in-clear" not in call.env.values() for call in machine.calls)


def test_a_secret_that_the_dockerfile_mounts_and_nobody_names_is_said(machine: Machine) -> None:
    machine.file(
        "Dockerfile",
        "FROM scratch\nRUN --mount=type=cache,id=a --mount=id=B,type=secret x\nRUN --mount=type=secret,id=C y\n",
    )
    keeps(machine, "shop/b", "in-clear")
    pushes(machine)
    result = machine.run("build_image", **{**BUILD, "BUILD_MOUNTS": json.dumps({"B": "shop/b"})})
    assert result.returncode == 0, result.stderr
    assert "Dockerfile mounts secrets that build.secrets does not name: C.\n" in result.stdout


def test_base_images_are_fetched_with_a_login_to_their_registries(machine: Machine) -> None:
    other = "210987654321.dkr.ecr.eu-central-1.amazonaws.com"
    bases = [f"{REPOSITORY.partition('/')[0]}/base/python", f"{other}/base/nginx"]
    pushes(machine)
    result = machine.run("build_image", **{**BUILD, "BASE_REPOSITORIES": json.dumps(bases)})
    assert result.returncode == 0, result.stderr
    assert [call.words[-1] for call in machine.called("docker login")] == [REPOSITORY.partition("/")[0], other]
    assert machine.called("get-login-password")[1].after("--region") == ["eu-central-1"]


def test_another_registry_is_signed_in_to_by_standard_input(machine: Machine) -> None:
    keeps(machine, "shop/docker-hub", LOGIN)
    pushes(machine)
    result = machine.run("build_image", **{**BUILD, "REGISTRY_LOGINS": '{"docker.io": "shop/docker-hub"}'})
    assert result.returncode == 0, result.stderr
    (login,) = machine.called("docker login --username robot")
    assert (login.words[-1], login.stdin) == ("docker.io", "pass-phrase")
    assert "pass-phrase" not in json.dumps([result.stdout, result.stderr, [str(call) for call in machine.calls]])


@pytest.mark.parametrize(
    ("variables", "value", "message"),
    [
        ({"BUILD_MOUNTS": '{"A": "shop/a:token"}'}, "in-clear", "the secret shop/a is not a JSON object."),
        ({"BUILD_MOUNTS": '{"A": "shop/a:token"}'}, {"x": "y"}, "the secret shop/a has no text under the key 'token'"),
        ({"BUILD_MOUNTS": '{"A": "shop/a"}'}, "", "the secret shop/a holds bytes or nothing; a build needs a text."),
        ({"REGISTRY_LOGINS": '{"ghcr.io": "shop/a"}'}, ["in-clear"], "the secret shop/a is not a JSON object."),
        (
            {"REGISTRY_LOGINS": '{"ghcr.io": "shop/a"}'},
            {"username": "robot", "token": "in-clear"},
            "the secret shop/a must be JSON with username and password, for ghcr.io: see build.registryLogins.",
        ),
    ],
)
def test_a_secret_of_another_form_is_named_and_not_shown(
    machine: Machine, variables: dict[str, str], value: object, message: str
) -> None:
    keeps(machine, "shop/a", value)
    pushes(machine)
    result = machine.run("build_image", **{**BUILD, **variables})
    assert result.returncode == 1
    assert message in result.stderr
    assert "in-clear" not in result.stdout + result.stderr
    assert machine.called("docker buildx build") == []
