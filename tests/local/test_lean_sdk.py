"""What a run makes of the generated SDKs is what they have, and no more than it uses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = sorted(
    {
        name
        for file in (ROOT / "components").rglob("*.py")
        for names in re.findall(r"^from pulumi_aws import (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        for name in names.split(", ")
    }
)
"""What the program takes from pulumi_aws."""
IN_PARTS = "from local.engine.lean_sdk import lean_sdks; in_parts = lean_sdks(); in_parts.__enter__()"
DESCRIBED = """
import importlib, inspect, json, sys, types, warnings
from pulumi import _types
warnings.simplefilter("ignore")
def described(value):
    if not isinstance(value, type):
        return str(inspect.signature(value).parameters.keys()) if callable(value) else repr(value)
    found = [value.__module__, value.__qualname__, [base.__qualname__ for base in value.__mro__], sorted(
        name for name in vars(value) if name not in {"__doc__", "__annotations__", "__type_params__"}
    )]
    if _types.is_input_type(value):
        found += [_types.input_type_types(value), _types.input_type_py_to_pulumi_names(value)]
    elif _types.is_output_type(value):
        found += [_types.output_type_types(value)]
    elif hasattr(value, "register_outputs") or hasattr(value, "urn"):
        found += [_types.resource_types(value), _types.resource_py_to_pulumi_names(value)]
    return [str(each) for each in found]
whole = {}
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in sorted(json.loads(sys.stdin.readline())):
        part = importlib.import_module(f"{name}.{module}")
        for export in part.__all__:
            holder = part if module == "outputs" else package
            whole[f"{name}.{module}.{export}"] = described(getattr(holder, export))
print(json.dumps(whole))
"""


def python(code: str, *arguments: str, given: str = "") -> str:
    """Run Python with this repository, and return what it prints."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdk() -> Path:
    """The folder of pulumi_aws, found without importing it."""
    code = "import importlib.util; print(importlib.util.find_spec('pulumi_aws').origin)"
    return Path(python(code).strip()).parent


@pytest.mark.parametrize("service", SERVICES)
def test_every_name_of_a_service_stands_for_the_same(service: str, sdk: Path) -> None:
    """Its place, its bases, its members, and its types, in which it refers to others."""
    modules = [file.stem for file in (sdk / service).glob("*.py") if "\n__all__ = " in file.read_text(encoding="utf-8")]
    given = f"{json.dumps(modules)}\n"
    whole: dict[str, Any] = json.loads(python(DESCRIBED, f"pulumi_aws.{service}", given=given))
    parts = json.loads(python(f"{IN_PARTS}\n{DESCRIBED}", f"pulumi_aws.{service}", given=given))
    assert whole
    assert [name for name in whole if parts[name] != whole[name]] == []


def test_only_what_is_used_is_imported_and_made() -> None:
    code = (
        f"{IN_PARTS}\nimport sys; from pulumi_aws import ec2; ec2.SecurityGroup, ec2.SecurityGroupIngressArgs;"
        "inputs = vars(sys.modules['pulumi_aws.ec2._inputs']);"
        "print(sorted(name for name in sys.modules if name.startswith('pulumi_aws.ec2.')));"
        "print(sorted(name for name in inputs if name.endswith('Args') and not name.startswith('__make__')))"
    )
    assert python(code).splitlines() == [
        "['pulumi_aws.ec2._inputs', 'pulumi_aws.ec2.outputs', 'pulumi_aws.ec2.security_group']",
        "['SecurityGroupEgressArgs', 'SecurityGroupIngressArgs']",
    ]


def test_a_function_is_not_hidden_by_the_module_of_its_name() -> None:
    """Python sets a module as an attribute of its package when it is imported, in whatever way."""
    code = (
        "from pulumi_aws import ecr; ecr.Repository; import pulumi_aws.ecr.get_image;"
        "print(ecr.get_image.__class__, ecr.repository.__class__, ecr.outputs.__name__)"
    )
    assert (
        python(f"{IN_PARTS}\n{code}") == python(code) == "<class 'function'> <class 'module'> pulumi_aws.ecr.outputs\n"
    )


@pytest.mark.parametrize("module", ["pulumi_aws.ecr", "pulumi_aws.ecr._inputs"])
def test_a_name_that_is_not_there_is_told_as_by_python(module: str) -> None:
    code = f"import importlib; module = importlib.import_module('{module}')\n"
    code += "try:\n  module.Repositery\nexcept AttributeError as error: print(error)"
    told = python(f"{IN_PARTS}\n{code}")
    assert told == python(code) == f"module '{module}' has no attribute 'Repositery'\n"


def test_what_comes_afterwards_finds_everything_as_ever() -> None:
    """A test may run a program first, and read of the SDK what it will."""
    code = (
        "from local.engine.lean_sdk import lean_sdks\nwith lean_sdks():\n  from pulumi_aws import ecr; ecr.Repository\n"
        "from pulumi_aws.ecr.registry_policy import RegistryPolicy\n"
        "from pulumi_aws.ecr.replication_configuration import *\n"
        "print(ecr.RegistryPolicy is RegistryPolicy, ecr.ReplicationConfiguration is ReplicationConfiguration)"
    )
    assert python(code) == "True True\n"


def test_the_compiled_form_is_kept_apart_from_pythons_own(sdk: Path, tmp_path: Path) -> None:
    """What is compiled in parts is of no use to a program that runs under `pulumi` itself."""
    code = (
        f"import sys; sys.pycache_prefix = {str(tmp_path)!r}; sys.dont_write_bytecode = False\n"
        "from local.engine.lean_sdk import lean_sdks\nwith lean_sdks():\n  from pulumi_aws import kms; kms.Key\n"
        "import pulumi_aws.kms.alias"
    )
    python(code)
    folder = tmp_path / (sdk / "kms").relative_to("/")
    kept = {file.name.partition(".")[0]: ".lean-" in file.name for file in folder.iterdir()}
    assert kept["key"]
    assert not kept["alias"]


@pytest.mark.engine
def test_a_preview_makes_its_program_of_parts(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import local.__main__ as command, local.engine.stack as engine\n"
        f"engine.LocalStack.__init__.__kwdefaults__['state_dir'] = Path({str(tmp_path)!r})\n"
        "assert command.main(['preview', '--json']) == 0\n"
        "print('pulumi_aws.ec2' in sys.modules, 'pulumi_aws.ec2.ami' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "True False"
