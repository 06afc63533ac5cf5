#!/usr/bin/env bash
# Before a node starts (server.yaml, `join`): one that has no data yet waits until the first one serves,
# and then finds a cluster to join. Gives up after five minutes; the kubelet tries again.
set -euo pipefail
first=rabbitmq-0
data=${DATA:-/var/lib/rabbitmq/mnesia} peer=${PEER:-$first.rabbitmq-nodes}

if [ "$POD_NAME" = "$first" ]; then echo "the first node waits for nobody"; exit 0; fi
# written when a node has made or joined a cluster, and not before
if compgen -G "$data/rabbit@*/schema.DAT" >/dev/null; then echo "$POD_NAME has data, so it has a cluster"; exit 0; fi
for _ in $(seq 1 "${TRIES:-60}"); do
    # shellcheck disable=SC2016 # the inner shell expands them
    if timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$peer" "${PORT:-5672}" 2>/dev/null; then
        echo "$peer serves"
        exit 0
    fi
    sleep "${PAUSE_SECONDS:-5}"
done
echo "$peer does not serve" >&2
exit 1
