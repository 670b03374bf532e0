#!/bin/sh
# Activate whatever changed (deploy/gateway.json5, .env, docker-compose.yml or the version of the gateway) without losing
# a request: start new gateways beside the old ones, wait until they are ready, then stop the old ones, which finish
# their answers first. If the new ones do not become ready, they are removed, and the old ones serve on.
#
#   deploy/update.sh            with the image that is there
#   deploy/update.sh --build    with a new image of this folder
#
# For a while there are twice as many gateways, each with its memory.
set -eu
cd "$(dirname "$0")/.."

if [ "${1:-}" = --build ]; then
    docker compose build gateway
fi
old=$(docker compose ps --quiet gateway)
if [ -z "$old" ]; then
    echo "No gateway is running. Start with: docker compose up --build --detach" >&2
    exit 1
fi
count=$(echo "$old" | wc -l)

docker compose run --rm --no-deps --quiet-pull gateway check

new() { docker compose ps --all --quiet gateway | grep --invert-match --line-regexp --fixed-strings "$old" || true; }
if ! docker compose up --detach --no-deps --no-recreate --wait --wait-timeout 120 --scale gateway=$((2 * count)) gateway; then
    echo "The new gateways are not ready; their last output follows. The old ones serve on." >&2
    for container in $(new); do
        docker logs --tail 5 "$container" >&2 || true
    done
    docker rm --force $(new) >/dev/null
    exit 1
fi
docker stop $old >/dev/null # up to stop_grace_period
docker rm $old >/dev/null
echo "$count gateways replaced."
