"""No file in a job's working folder chooses what runs the job: each job, out of its buildspec, in a folder with all.

The jobs that build images, publish static files and audit pages also do their whole work among such files, in
`tests/rehearsal`.
"""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import yaml
from fake_tools import Machine
from foreign_files import imported, put_foreign_files
from samples import BUNDLE_VARIABLES

from components.jobs.buildspec import FOLDER, load_buildspec
from components.jobs.bundle import pack
from local.rehearsal.codebuild import Build, BuildHost, Variable, put_python, run_build

BUNDLE = [Variable(name=name, value=value) for name, value in BUNDLE_VARIABLES.items()]
NAMES = sorted(path.stem for path in FOLDER.glob("*.yml"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    put_python(made.bin)
    put_foreign_files(made.folder)
    made.offer_jobs(pack())
    made.publish()
    return made


def log_of(name: str, machine: Machine, *variables: Variable) -> str:
    """What a job prints that has none of its variables."""
    build = Build(
        project=name,
        buildspec=load_buildspec(name).text,
        inputs={"Source": machine.folder},
        project_variables=(*BUNDLE, *variables),
    )
    place = BuildHost(environment={"PATH": f"{machine.bin}:/usr/bin:/bin"})
    result = run_build(build, place, machine.folder.parent / "run")
    assert not imported(machine.folder.parent / "run" / "src")
    return result.log


@pytest.mark.parametrize("name", NAMES)
def test_no_file_of_the_application_chooses_what_runs_a_job(name: str, machine: Machine) -> None:
    """The job gets as far as the check of its variables, with the machine's own Python."""
    log = log_of(name, machine)
    assert f"\nPython {platform.python_version()}" in log, log
    assert "FAILED: the environment variable" in log or "FAILED: PHASE must be" in log, log
    assert "exit status 2" in log, log


def test_without_its_variable_a_job_would_run_with_the_applications_python(machine: Machine) -> None:
    """What the test above is worth: the shim obeys the file where no buildspec prevents it."""
    log = log_of("tag-image", machine, Variable(name="PYENV_VERSION", value=""))
    assert "pyenv: version `9.9.9' is not installed" in log, log


@pytest.mark.parametrize("name", NAMES)
def test_each_buildspec_sets_interpreter_and_locale(name: str) -> None:
    variables = yaml.safe_load(load_buildspec(name).text)["env"]["variables"]
    assert (variables["PYENV_VERSION"], variables["LC_ALL"]) == ("system", "C.UTF-8")
