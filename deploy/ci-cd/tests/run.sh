#!/usr/bin/env bash
# Runs the scripts of ../scripts for real: against backends that are stand-ins (backend.py), behind the
# real nginx, and in a cluster that is a stand-in (kubectl beside this). Each case says what it shows.
#
#   run.sh
#
# Needs python3, curl, jq, nginx, wrk and kubectl. Nothing outlives it. Called by `cargo xtask deploy-check`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
scripts=$here/../scripts
work=$(mktemp -d)
pids=()
cases=0

finish() {
    status=$?
    trap - EXIT
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    if [ -r "$work/nginx.pid" ]; then kill -QUIT "$(cat "$work/nginx.pid")" 2>/dev/null || true; fi
    for slot in blue green; do
        if [ -r "$work/$slot.pid" ]; then kill "$(cat "$work/$slot.pid")" 2>/dev/null || true; fi
    done
    [ "$status" -eq 0 ] || { echo "--- the last case's output:"; tail -n 40 "$work/out" 2>/dev/null || true; }
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

# holds NAME EXPECTED-STATUS COMMAND…: the command ends so
holds() {
    local name=$1 wanted=$2 status=0
    shift 2
    "$@" >"$work/out" 2>&1 || status=$?
    if [ "$status" -ne "$wanted" ]; then
        echo "FAIL  $name: exit $status, wanted $wanted"
        exit 1
    fi
    cases=$((cases + 1))
    echo "ok    $name"
}
says() { grep -qE "$1" "$work/out" || { echo "FAIL  it does not say /$1/"; exit 1; }; }
is() { [ "$1" = "$2" ] || { echo "FAIL  '$1' is not '$2'"; exit 1; }; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
await() {
    for _ in $(seq 1 100); do
        curl --silent --output /dev/null "$1" && return
        sleep 0.05
    done
    echo "FAIL  $1 does not answer"
    exit 1
}
backend() { # NAME PORT: a stand-in whose faults are files in $work/NAME
    mkdir -p "$work/$1"
    python3 "$here/backend.py" "$2" "$work/$1" "$1" &
    pids+=($!)
    await "http://127.0.0.1:$2/health/live"
}

# ------------------------------------------------------------------------- smoke tests, health check
one=$(free_port)
backend one "$one"
address=http://127.0.0.1:$one
holds "seven smoke tests pass on a backend that is well" 0 "$scripts/smoke-tests.sh" "$address"
says '7 of 7 passed'
holds "the build is held against the commit that is expected" 1 env EXPECT_COMMIT=abc "$scripts/smoke-tests.sh" "$address"
says '6 of 7 passed'
touch "$work/one/broken-redis"
holds "one server away is one failed test" 1 "$scripts/smoke-tests.sh" "$address"
says 'FAIL +redis'
holds "a server that is missed is named, also when it is not needed to serve" 1 "$scripts/health-check.sh" "$address"
says 'it serves, but without redis$'
rm "$work/one/broken-redis"
holds "a wrong call is told apart from a failure" 2 "$scripts/smoke-tests.sh"
holds "a backend that is ready is asked ten times" 0 "$scripts/health-check.sh" "$address"
says '10 requests answered'
touch "$work/one/unready"
(sleep 1.2; rm "$work/one/unready") &
holds "a backend that becomes ready is waited for" 0 env PAUSE_SECONDS=0.5 "$scripts/health-check.sh" "$address"
says 'ready at try [2-9]'
touch "$work/one/unready"
holds "a backend that never becomes ready is given up" 1 env TRIES=3 PAUSE_SECONDS=0.1 "$scripts/health-check.sh" "$address"
says 'not ready after 3 tries .*; away: none of its servers$'
rm "$work/one/unready"
touch "$work/one/slow"
holds "a backend that is slow does not pass" 1 "$scripts/health-check.sh" "$address"
says 'more than 1000'
rm "$work/one/slow"
holds "a place nobody knows is refused" 1 "$scripts/smoke-tests.sh" nowhere

# ------------------------------------------------------------------------- blue and green behind nginx
blue=$(free_port)
green=$(free_port)
door=$(free_port)
mkdir -p "$work/blue" "$work/green" "$work/upstreams"
cat >"$work/start" <<START
#!/bin/sh
python3 "$here/backend.py" "\${2##*:}" "$work/\$1" "\$1" >/dev/null 2>&1 &
echo \$! >"$work/\$1.pid"
START
cat >"$work/stop" <<STOP
#!/bin/sh
kill "\$(cat "$work/\$1.pid")" && rm "$work/\$1.pid"
STOP
chmod +x "$work/start" "$work/stop"
"$work/start" blue "127.0.0.1:$blue"
await "http://127.0.0.1:$blue/health/live"
sed "s/backend:3000/127.0.0.1:$blue/" "$here/../../docker/nginx/upstreams/backend.conf" >"$work/upstreams/backend.conf"
cat >"$work/nginx.conf" <<NGINX
pid $work/nginx.pid;
error_log $work/nginx.log;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
    uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
    include $work/upstreams/*.conf;
    server {
        listen 127.0.0.1:$door;
        location / {
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Request-Id \$request_id;
        }
    }
}
NGINX
nginx -c "$work/nginx.conf"
await "http://127.0.0.1:$door/health/live"
export UPSTREAM_FILE=$work/upstreams/backend.conf BLUE=127.0.0.1:$blue GREEN=127.0.0.1:$green
export START=$work/start STOP=$work/stop RELOAD="nginx -c $work/nginx.conf -s reload" PUBLIC=http://127.0.0.1:$door
export WATCH_SECONDS=3 WATCH_PAUSE_SECONDS=0.2 DRAIN_SECONDS=1 PAUSE_SECONDS=0.2
serving() { curl --silent "http://127.0.0.1:$door/api/version" | grep -o '"commit":"[a-z]*"' | cut -d'"' -f4; }

# somebody asks all the while
(
    failed=0
    asked=0
    while [ ! -e "$work/enough" ]; do
        status=$(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:$door/api/version" || true)
        asked=$((asked + 1))
        [ "$status" = 200 ] || failed=$((failed + 1))
    done
    echo "$asked $failed" >"$work/asked"
) &
load=$!
pids+=("$load")

is "$(serving)" blue
holds "a good build takes over and the old one is ended" 0 "$scripts/deploy-blue-green.sh" nginx
says 'green serves'
is "$(serving)" green
is "$(test -e "$work/blue.pid" && echo there || echo gone)" gone

touch "$work/blue/unready"
holds "a build that never becomes ready is not switched to" 1 env TRIES=3 "$scripts/deploy-blue-green.sh" nginx
is "$(serving)" green
is "$(grep -c ROLLBACK "$work/out" || true)" 0
rm "$work/blue/unready"

touch "$work/blue/broken-redis"
holds "a build that fails a smoke test is not switched to" 1 "$scripts/deploy-blue-green.sh" nginx
is "$(serving)" green
rm "$work/blue/broken-redis"
touch "$work/enough"
wait "$load"
read -r asked failed <"$work/asked"
is "$failed" 0
[ "$asked" -gt 50 ] || { echo "FAIL  only $asked requests were made meanwhile"; exit 1; }
echo "ok    $asked requests were made meanwhile and none failed"
cases=$((cases + 1))

exec 8>"$work/upstreams/.switch.lock"
flock 8
holds "a second switch at the same time is refused" 1 "$scripts/deploy-blue-green.sh" nginx
says 'another switch .* nothing was changed'
exec 8>&-
is "$(serving)" green

touch "$work/blue/bad-when-public"
holds "a build that goes bad after the switch is taken back" 1 "$scripts/deploy-blue-green.sh" nginx
says 'ROLLBACK: green serves again'
is "$(serving)" green
is "$(test -e "$work/blue.pid" && echo there || echo gone)" gone
rm "$work/blue/bad-when-public"
holds "and the next good one takes over" 0 "$scripts/deploy-blue-green.sh" nginx
is "$(serving)" blue

# ------------------------------------------------------------------------- blue and green in a cluster
CLUSTER=$work/cluster
REAL_KUBECTL=$(command -v kubectl)
mkdir -p "$CLUSTER"
export CLUSTER REAL_KUBECTL BACKEND_PORT=$one PATH=$here:$PATH
export TAG=r1 REGISTRY=registry.example PUBLIC=$address WATCH_SECONDS=1
echo -n blue >"$CLUSTER/slot"
echo 'Complete ' >"$CLUSTER/job"
holds "in a cluster: migrated, brought up with as many pods, switched, the old one emptied" 0 "$scripts/deploy-blue-green.sh" kubernetes
is "$(cat "$CLUSTER/slot")" green
order=$(grep -oE '^--namespace microcrop (get job|apply .*(shared|slot|later)\.yml|scale [^ ]* --replicas [0-9]*|patch service)' "$CLUSTER/calls" |
    sed -E 's/^--namespace microcrop //; s#apply .*/##; s#deployment/microcrop-backend-##' | uniq | tr '\n' ',')
is "$(test -e "$CLUSTER/lock" && echo held || echo free)" free
is "$order" "get job,shared.yml,get job,slot.yml,scale green --replicas 5,patch service,later.yml,scale blue --replicas 0,"

touch "$work/one/unready"
holds "in a cluster: a build that is not well is emptied, the Service stays" 1 env TRIES=2 "$scripts/deploy-blue-green.sh" kubernetes
is "$(cat "$CLUSTER/slot")" green
rm "$work/one/unready"
# the stand-in's Job fails again and again while this file is there
touch "$CLUSTER/bad-migration"
echo 'Failed ' >"$CLUSTER/job"
holds "in a cluster: nothing is brought up when the migration fails" 1 "$scripts/deploy-blue-green.sh" kubernetes
says 'the migration failed'
is "$(cat "$CLUSTER/slot")" green

rm "$CLUSTER/bad-migration"
: >"$CLUSTER/calls"
holds "in a cluster: the same release, given again, has its migration anew" 0 "$scripts/deploy-blue-green.sh" kubernetes
is "$(grep -c 'delete job/microcrop-migrate-r1$' "$CLUSTER/calls")" 1
is "$(cat "$CLUSTER/slot")" blue
echo -n green >"$CLUSTER/slot"
: >"$CLUSTER/calls"
touch "$CLUSTER/away"
holds "in a cluster: nothing is changed when it does not say who serves" 1 "$scripts/deploy-blue-green.sh" kubernetes
says 'nothing was changed'
is "$(grep -cE ' (apply|scale|patch) ' "$CLUSTER/calls" || true)" 0
rm "$CLUSTER/away"
touch "$CLUSTER/stuck"
holds "in a cluster: a switch that can be made neither way leaves both running" 1 "$scripts/deploy-blue-green.sh" kubernetes
says 'THE ROLLBACK FAILED: green and blue are both left running'
is "$(grep -c 'replicas 0' "$CLUSTER/calls" || true)" 0
rm "$CLUSTER/stuck"
# whoever is first holds it until the end
touch "$CLUSTER/lock"
: >"$CLUSTER/calls"
holds "in a cluster: two releases at once are refused, and who holds it is said" 1 "$scripts/deploy-blue-green.sh" kubernetes
says 'it is with somebody; .*delete lease deployment'
is "$(grep -cE ' (apply|scale|patch|delete) ' "$CLUSTER/calls" || true)" 0
rm "$CLUSTER/lock"
touch "$CLUSTER/broken-workers"
holds "in a cluster: workers that do not come up take the backend back with them" 1 "$scripts/deploy-blue-green.sh" kubernetes
is "$(cat "$CLUSTER/slot")" green
is "$(grep -c 'rollout undo deployment/microcrop-data-processor --to-revision 7$' "$CLUSTER/calls")" 1
rm "$CLUSTER/broken-workers"
holds "a tag that is missing is a wrong call" 2 env TAG= "$scripts/deploy-blue-green.sh" kubernetes

# ------------------------------------------------------------------------- rolling
: >"$CLUSTER/calls"
holds "production, which has two slots, is not rolled" 1 "$scripts/deploy-rolling.sh" production r1
says 'deploy-blue-green.sh'
is "$(wc -l <"$CLUSTER/calls")" 0
# nobody answers at the public address of staging: no proxy, no name
holds "a release that is not well is rolled back to what was there, and no further" 1 \
    env TRIES=1 PAUSE_SECONDS=0.1 https_proxy=http://127.0.0.1:9 "$scripts/deploy-rolling.sh" staging r1
says 'microcrop-workers was not there before'
is "$(grep -c 'rollout undo .* --to-revision 7$' "$CLUSTER/calls")" 2

"$scripts/render.sh" "$here/../../kubernetes/overlays/production/blue" r1 >"$work/rendered"
is "$(grep -cE 'image: microcrop/' "$work/rendered" || true)" 0
is "$(grep -cE 'image: registry.example/microcrop/backend:r1$' "$work/rendered" | awk '{ print ($1 > 0) }')" 1
holds "the manifests name this release's images" 0 true

# ------------------------------------------------------------------------- images
export IMAGES=$work/images
mkdir -p "$IMAGES" "$work/bin"
cp "$here/docker" "$work/bin/docker"
build() { env PATH="$work/bin:$PATH" PUSH=yes TAG=r1 REGISTRY=registry.example DIGESTS="$work/digests" "$scripts/build.sh"; }
wanted=$(grep -cvE '^(#|$)' "$here/../../docker/images.tsv")
touch "$IMAGES/broken"
holds "a push that breaks off fails" 1 build
rm "$IMAGES/broken" "$work/digests"
holds "repeated, it sends what is missing and names every digest" 0 build
is "$(wc -l <"$work/digests")" "$wanted"
is "$(sort "$IMAGES/built" | uniq | wc -l)" "$wanted"
is "$(sort -u "$work/digests" | wc -l)" "$wanted"
holds "an image that nobody builds is refused by name" 1 env PATH="$work/bin:$PATH" "$scripts/build.sh" microcrop/bakend
says 'bakend'

# ------------------------------------------------------------------------- the broker's nodes
join() { PEER=127.0.0.1 TRIES=1 PAUSE_SECONDS=0 DATA=$work/broker "$@" bash "$here/../../kubernetes/services/rabbitmq/join.sh"; }
mkdir -p "$work/broker/rabbit@rabbitmq-1"
holds "the broker's first node waits for nobody" 0 join env POD_NAME=rabbitmq-0 PORT=1
holds "a node without data does not begin while the first one does not serve" 1 join env POD_NAME=rabbitmq-1 PORT=1
holds "a node without data begins when the first one serves" 0 join env POD_NAME=rabbitmq-1 PORT="$one"
touch "$work/broker/rabbit@rabbitmq-1/schema.DAT"
holds "a node with data waits for nobody" 0 join env POD_NAME=rabbitmq-1 PORT=1

# ------------------------------------------------------------------------- autoscaling
printf 'backend-hpa-green 3 3 3 20\nbackend-hpa-green 3 6 3 20\nbackend-hpa-green 6 6 3 20\nbackend-hpa-green 3 3 3 20\n' >"$CLUSTER/autoscaler"
# the load lasts until the cluster has said all it has to say
(while [ -s "$CLUSTER/autoscaler" ] && [ "$(wc -l <"$CLUSTER/autoscaler")" -gt 1 ]; do sleep 0.1; done) &
holds "an autoscaler that rises and falls is seen to" 0 env LOAD_PID=$! WATCH_SECONDS=60 PAUSE_SECONDS=0.3 "$scripts/check-autoscaling.sh" backend
says 'rose from 3 to 6'
printf 'backend-hpa-green 3 3 3 20\n' >"$CLUSTER/autoscaler"
sleep 0.6 &
holds "one that never rises is told of" 1 env LOAD_PID=$! WATCH_SECONDS=60 PAUSE_SECONDS=0.2 "$scripts/check-autoscaling.sh" backend

# ------------------------------------------------------------------------- load
load=$here/../load/load.sh
# the loader itself is meant, not the machine, which may have other work
export SCALE=0.1 SECONDS_LONG=3 REACHED_PERCENT=40 P99_MS=3000
holds "the load of farmers reaches its rate and is answered" 0 "$load" ussd "$address/api/ussd/token"
says 'reached [0-9.]+ of 50 a second.* 0 wrong, 0 told'
touch "$work/one/busy"
holds "farmers who are told to come back are counted as a miss" 1 "$load" ussd "$address/api/ussd/token"
rm "$work/one/busy"
holds "answers of the wrong kind are counted as a miss" 1 "$load" webhooks "$address/api/nowhere"
holds "a steady stream of requests reaches its rate" 0 env SECONDS_LONG=5 SCALE=0.3 "$load" api "$address/api/version"
production=$(sed -n 's/^PUBLIC_BASE_URL=//p' "$here/../../kubernetes/overlays/production/config/config.env")
holds "production is never loaded" 1 "$load" ussd "$production/api/ussd/token"
says 'that is production'

echo "$cases cases hold"
