#!/bin/sh
# Checks the workflows with actionlint, which is installed once per version into the user's cache directory.
set -eu

version=v1.7.8
folder="${XDG_CACHE_HOME:-${HOME:?HOME or XDG_CACHE_HOME must name a directory}/.cache}/ecs-delivery/actionlint-$version"

if [ ! -x "$folder/actionlint" ]; then
  if ! command -v go >/dev/null 2>&1; then
    echo "Checking the workflows needs Go: sudo apt-get install golang-go (or https://go.dev/dl)" >&2
    exit 3
  fi
  echo "Installing actionlint $version, once." >&2
  GOFLAGS='' GOBIN="$folder" go install "github.com/rhysd/actionlint/cmd/actionlint@$version"
fi
exec "$folder/actionlint" "$@"
