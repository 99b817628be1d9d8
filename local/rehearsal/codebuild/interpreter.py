"""``python3`` as CodeBuild's EC2 images have it: pyenv's shim.

Sources: https://github.com/pyenv/pyenv#understanding-python-version-selection (which Python a shim starts), and the
Dockerfiles in https://github.com/aws/aws-codebuild-docker-images (``/root/.pyenv/shims`` comes before other folders on
PATH). pyenv takes a version that is not installed for the system's Python in some releases and refuses it in others;
here it is refused, and so is every version but the system's.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

_SHIM = """#!/bin/bash
version=$PYENV_VERSION
folder=$PWD
while [ -z "$version" ]; do
  [ -f "$folder/.python-version" ] && read -r version < "$folder/.python-version"
  [ -n "$folder" ] || break
  folder=${{folder%/*}}
done
[ "${{version:-system}}" = system ] && exec {python} "$@"
echo "pyenv: version \\`$version' is not installed (set by PYENV_VERSION or .python-version)" >&2
exit 1
"""


def put_python(folder: Path) -> None:
    """Put ``python3`` into this folder: the Python that runs this program, without its packages."""
    command = folder / "python3"
    command.write_text(_SHIM.format(python=shlex.quote(str(Path(sys.executable).resolve()))), encoding="utf-8")
    command.chmod(0o755)
