#!/bin/sh
# Makes .venv with everything requirements-dev.txt locks. `make` runs it when that file, this one or .venv has changed.
set -eu

cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

# PYTHON chooses; otherwise the first one that is recent enough.
python=
for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
  if command -v "$candidate" >/dev/null 2>&1 &&
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  found=$("${PYTHON:-python3}" --version 2>&1 || true)
  say "This project needs Python 3.11 or newer; here is: ${found:-none}."
  say "Install it, then repeat the command:"
  say "  sudo apt-get install python3 python3-venv   (Debian 12 or newer; elsewhere https://www.python.org/downloads)"
  exit 3
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  say "$python cannot make virtual environments: Debian keeps that in a package of its own."
  say "Install it, then repeat the command:"
  say "  sudo apt-get install python3-venv"
  exit 3
fi

# Anew, so that nothing stays of an earlier lock.
say "Making .venv with $("$python" --version)."
# Through a link it would empty the environment of another checkout.
[ ! -L .venv ] || rm .venv
"$python" -m venv --clear .venv
say "Installing the packages of requirements-dev.txt into .venv; the first time this takes about a minute."
# The lock file names every package with the hash of its files, so nothing is left to resolve: a resolver would look for
# newer releases. A package that is built on this machine would fetch build tools that nobody locked. Python compiles what
# it imports; to compile all that is installed would take most of the time.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-compile \
  --no-deps --only-binary :all: --require-hashes --requirement requirements-dev.txt
if ! problems=$(.venv/bin/python -m pip --disable-pip-version-check check); then
  say "The packages that requirements-dev.txt names do not fit together:"
  say "$problems"
  say "requirements-dev.txt is not complete; its head has the command that writes it."
  exit 1
fi
touch .venv/.installed
