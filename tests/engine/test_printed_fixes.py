"""Each command that a message about a stack file prints, executed by the real CLI where another stack is selected."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.settings import SettingsError, load_settings, load_stack_file
from local.engine.pulumi_cli import find_pulumi

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "components" / "settings" / "malformed").glob("*.yaml"))
COMMAND = re.compile(
    r"pulumi config (?:set|rm) --stack dev (?:--path '(?:[^']|'\\\\'')+'|aws:region)(?: (?:'[^']*'|\S+?))?(?=, | |$)"
)


class Clone:
    """A clone in which prod is selected, and the stack dev is there, too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "Pulumi.dev.yaml"
        self._pulumi = str(find_pulumi().path)
        for name in ("Pulumi.yaml", "Pulumi.prod.yaml"):
            shutil.copy(ROOT / name, folder)
        (folder / "state").mkdir()
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "AWS_"))}
        self._environment |= {
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        self.run("pulumi stack init dev")
        self.run("pulumi stack init prod")

    def run(self, command: str) -> None:
        """Execute a command of the CLI."""
        program, *words = shlex.split(command)
        assert program == "pulumi"
        done = subprocess.run(
            [self._pulumi, *words, "--non-interactive"],
            cwd=self.folder,
            env=self._environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def others(self) -> dict[str, bytes]:
        """Return every file but the one of dev."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file() and path != self.file}

    def problems(self) -> dict[str, str]:
        """Return the line of each key that is wrong."""
        try:
            load_settings(load_stack_file(self.file), stack="dev", file=self.file)
        except SettingsError as error:
            return {f"{line.split(': ')[1]}: {line.split(': ')[2]}": line for line in error.lines}
        return {}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("clone"))


def commands(line: str) -> Iterator[str]:
    """Yield the commands of a message, each of which is a way out."""
    fix = line.partition(" — ")[2]
    found = COMMAND.findall(fix)
    assert len(found) == fix.count("pulumi config "), fix
    yield from found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_printed_command_mends_the_named_file_and_no_other(clone: Clone, file: Path) -> None:
    shutil.copy(file, clone.file)
    others, before = clone.others(), clone.problems()
    for key, line in before.items():
        for number, command in enumerate(commands(line)):
            if number:
                shutil.copy(file, clone.file)
            clone.run(command)
            assert key not in clone.problems(), command
            assert clone.others() == others
