#!/bin/sh
# What a job calls: the real client. A builder gets the machine's own network, because Amazon ECR is on the machine here
# and beyond it on AWS; and a container name of its own, because a build on AWS has its machine for itself.
if [ "$1 $2" = "buildx create" ]; then
  shift 2
  set -- buildx create --node "$REHEARSAL_MACHINE" --driver-opt network=host "$@"
fi
# Containers know the names of the services here, which they would ask DNS for on AWS.
if [ "$1" = run ] && [ -f "$REHEARSAL_HOSTS" ]; then
  shift
  while read -r host; do
    set -- --add-host "$host" "$@"
  done < "$REHEARSAL_HOSTS"
  set -- run "$@"
fi
exec "$REHEARSAL_DOCKER" "$@"
