"""Where the AWS CLI v2 of the tests comes from; the warm one is tested with what it calls, in `tests/rehearsal`."""

from __future__ import annotations

import hashlib
import io
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from local.errors import MissingTool, Refusal
from local.rehearsal import aws_cli

AWS = "#!/bin/sh\necho aws-cli/{version} Python/3.14.8 Linux/6\n"


def package(folder: Path, version: str = "2.99.1") -> Path:
    """A package as AWS publishes it: a Lambda layer in an npm package in a wheel."""
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        for name, mode, content in (
            (f"awscli/v2/{version}/dist/aws", stat.S_IFREG | 0o755, AWS.format(version=version)),
            (f"awscli/v2/{version}/dist/awscli/data/cli.json", stat.S_IFREG | 0o644, "{}"),
            ("awscli/v2/current", stat.S_IFLNK | 0o777, f"/usr/local/aws-cli/v2/{version}"),
            ("awscli/aws", stat.S_IFLNK | 0o777, f"/opt/awscli/v2/{version}/bin/aws"),
        ):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
    npm = io.BytesIO()
    with tarfile.open(fileobj=npm, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/lib/layer.zip")
        member.size = len(layer.getvalue())
        archive.addfile(member, io.BytesIO(layer.getvalue()))
    made = folder / "aws_cdk_asset_awscli_v2-9.0.1-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("aws_cdk/asset_awscli_v2/_jsii/asset-awscli-v2@9.0.1.jsii.tgz", npm.getvalue())
        for name, content in (
            ("METADATA", "Name: aws-cdk.asset-awscli-v2\nVersion: 9.0.1"),
            ("WHEEL", "Wheel-Version: 1.0"),
        ):
            archive.writestr(f"aws_cdk_asset_awscli_v2-9.0.1.dist-info/{name}", f"{content}\n")
    return made


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of an empty cache, whose package index is a folder; the pin is the package in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(aws_cli, "PIN", tmp_path / "pin.txt")
    monkeypatch.setattr(aws_cli, "can_be_brought", lambda: True)
    return package(folder)


def pin(digest: str) -> None:
    aws_cli.PIN.write_text(f"aws-cdk-asset-awscli-v2==9.0.1 --hash=sha256:{digest}\n")


def test_the_pinned_package_is_fetched_unpacked_and_its_version_printed(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pin(hashlib.sha256(index.read_bytes()).hexdigest())
    assert aws_cli.problem().endswith("/cache/ecs-delivery/aws-cli-asset-9.0.1 does not hold it")
    aws_cli.bring()
    said = capsys.readouterr().err
    assert f"AWS CLI 2.99.1: {aws_cli.command()}\n" in said
    assert aws_cli.problem() == ""
    assert aws_cli.version() == "2.99.1"
    done = subprocess.run([aws_cli.command(), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("aws-cli/2.99.1 ")
    unpacked = aws_cli.command().parents[3]
    files = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if not path.is_dir()}
    assert files == {"v2/2.99.1/dist/aws", "v2/2.99.1/dist/awscli/data/cli.json"}, "no link that leads elsewhere"
    index.unlink()
    aws_cli.bring()
    assert capsys.readouterr().err == f"AWS CLI 2.99.1: {aws_cli.command()}\n", "what is here is not fetched again"


def test_a_package_of_another_hash_is_refused(index: Path) -> None:
    pin("0" * 64)
    with pytest.raises(Refusal, match=r"The AWS CLI v2 could not be fetched\. pip said:\n(?s:.*)HASHES"):
        aws_cli.bring()
    assert index.is_file()
    assert not list(aws_cli._folder().parent.glob("aws-cli-asset-9.0.1*/**/aws"))


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("", "version 2 is packaged for Linux on x86_64 only, and there is none on PATH"),
        ("1.46.3", "version 2 is packaged for Linux on x86_64 only, and {aws} is aws-cli/1.46.3"),
        ("2.30.0", ""),
    ],
)
@pytest.mark.usefixtures("index")
def test_elsewhere_the_one_on_path_serves_if_it_is_version_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, said: str
) -> None:
    pin("0" * 64)
    monkeypatch.setattr(aws_cli, "can_be_brought", lambda: False)
    aws = tmp_path / "bin" / "aws"
    aws.parent.mkdir()
    monkeypatch.setenv("PATH", str(aws.parent))
    if version:
        aws.write_text(AWS.format(version=version))
        aws.chmod(0o755)
    assert aws_cli.problem() == said.format(aws=aws)
    if said:
        with pytest.raises(MissingTool, match="There is no AWS CLI v2"):
            aws_cli.command()
    else:
        assert (aws_cli.command(), aws_cli.version()) == (aws, "2.30.0")
