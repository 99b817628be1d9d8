"""The bundle of the jobs: the same bytes everywhere, under its hash, where no build can write."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pulumi
import pytest
from mocked import Graph, build
from samples import BUCKET, TAGS, artifact_bucket

from components.foundation.iam import policy_document
from components.jobs.buildspec import FOLDER
from components.jobs.bundle import PREFIX, JobBundle, key_of, pack


def bundle() -> Graph:
    def program() -> None:
        made = JobBundle("jobs", artifact_bucket())
        pulumi.export("policy", policy_document([made.read()]))

    return build(program)


def test_the_same_scripts_make_the_same_bytes_on_every_machine(tmp_path: Path) -> None:
    """Times, modes, line endings and the order of a folder are the machine's own."""
    copy = tmp_path / "copy"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__", "*.yml"))
    for number, path in enumerate(sorted(copy.rglob("*.py"), reverse=True)):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        path.chmod(0o700)
        os.utime(path, (number, number))

    assert pack(copy) == pack()


def test_a_changed_script_is_another_bundle(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "copy")
    with (tmp_path / "copy" / "jobs" / "web.py").open("a") as file:
        file.write("# one comment more\n")

    assert key_of(pack(tmp_path / "copy")) != key_of(pack())


def test_the_bundle_holds_the_jobs_and_what_they_build_and_nothing_else() -> None:
    built = [path.relative_to(FOLDER).as_posix() for path in (FOLDER / "notation").rglob("*") if path.is_file()]
    with zipfile.ZipFile(io.BytesIO(pack())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(
            ["__main__.py", *(f"jobs/{path.name}" for path in (FOLDER / "jobs").glob("*.py")), *built]
        )
        assert archive.read("jobs/web.py") == (FOLDER / "jobs" / "web.py").read_bytes()


@pytest.mark.parametrize("job", sorted(path.stem for path in FOLDER.glob("*.yml")))
def test_each_job_can_be_run_out_of_the_bundle(job: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.pyz").write_bytes(pack())
    command = [sys.executable, "-S", "jobs.pyz", job, "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {job} [-h]\n")


def test_it_is_stored_under_its_hash_and_earlier_ones_stay() -> None:
    """A build that is queued while the stack is updated fetches the one that its project named before."""
    stored = bundle().one("BucketObjectv2")
    source = Path(stored.inputs["source"].path)

    assert {key: value for key, value in stored.inputs.items() if key != "source"} == {
        "bucket": BUCKET,
        "key": f"_jobs/{hashlib.sha256(source.read_bytes()).hexdigest()}.pyz",
        "contentType": "application/zip",
        "tags": TAGS,
    }
    assert source.read_bytes() == pack()
    assert stored.retain_on_delete


def test_builds_may_read_it_and_never_write_it() -> None:
    """Artifacts are stored below the first 20 characters of the pipeline's name, which begins with a letter."""
    assert '"Resource": ["arn:aws:s3:::artifacts-bucket-1a2b3c4/_jobs/*"]' in bundle().exports["policy"]
    assert '"Action": ["s3:GetObject"]' in bundle().exports["policy"]
    assert not PREFIX[0].isalnum()
