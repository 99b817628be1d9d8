#!/bin/sh
# What a job builds a command by. The network of the machine reaches no module proxy, and a build takes a minute: the
# command has been built of the same sources, which are compared, by the same Go modules, whose hashes they name.
case "$1" in
  version) echo "go version go1.26.1 linux (rehearsed: built before)"; exit ;;
  build) shift ;;
  *) echo "go $1 is not rehearsed" >&2; exit 2 ;;
esac
while [ $# -gt 1 ]; do
  case "$1" in
    -C) sources=$2; shift ;;
    -o) target=$2; shift ;;
  esac
  shift
done
diff -r "$REHEARSAL_SOURCES" "$sources" >&2 || exit 1
mkdir -p "$(dirname "$target")"
cp "$REHEARSAL_NOTATION/${1##*/}" "$target"
