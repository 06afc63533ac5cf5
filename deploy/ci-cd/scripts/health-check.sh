#!/usr/bin/env bash
# Waits until a backend can serve, then asks it ten times in a row.
#
#   health-check.sh staging|production|blue|green|http://host:port
#
# 30 tries, 2 s apart, for /health/ready; then ten requests, of which every one must be answered 200
# within SLOWEST_MS (1000). TRIES, PAUSE_SECONDS and REQUESTS change the numbers. A server that the
# backend misses fails it by name, also Redis and RabbitMQ, without which the house serves but is not well.
# Exit 0, 1 when it is not well, 2 on a wrong call. Changes nothing.
set -euo pipefail
# shellcheck source=deploy/ci-cd/scripts/place.sh
. "$(dirname "$0")/place.sh"

[ $# -eq 1 ] || {
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
need curl
trap leave EXIT
reach "$1"

tries=${TRIES:-30}
pause=${PAUSE_SECONDS:-2}
requests=${REQUESTS:-10}
slowest_ms=${SLOWEST_MS:-1000}
# none would be a check of nothing
for number in "$tries" "$requests" "$slowest_ms"; do
    [[ $number =~ ^[1-9][0-9]{0,5}$ ]] || {
        echo "error: TRIES, REQUESTS and SLOWEST_MS are whole numbers from 1; not '$number'" >&2
        exit 2
    }
done

# what the backend says of its servers, as " redis rabbitmq"; nothing when all answer
away() {
    local server status
    for server in db redis rabbitmq; do
        status=$(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' "$url/health/$server" || true)
        [ "$status" = 200 ] || printf ' %s' "$server"
    done
}

for try in $(seq 1 "$tries"); do
    status=$(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' "$url/health/ready" || true)
    if [ "$status" = 200 ]; then
        say "ready at try $try of $tries"
        break
    fi
    [ "$try" -lt "$tries" ] || die "not ready after $tries tries $pause s apart; the last answer was $status; away:$(away | grep . || echo ' none of its servers')"
    sleep "$pause"
done

worst=0
for request in $(seq 1 "$requests"); do
    read -r status seconds < <(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code} %{time_total}\n' "$url/api/version" || echo '000 5')
    ms=$(awk -v seconds="$seconds" 'BEGIN { printf "%d", seconds * 1000 }')
    [ "$status" = 200 ] || die "request $request of $requests was answered $status"
    [ "$ms" -le "$slowest_ms" ] || die "request $request of $requests took $ms ms, more than $slowest_ms"
    [ "$ms" -le "$worst" ] || worst=$ms
done
say "$requests requests answered, the slowest in $worst ms"
missed=$(away)
[ -z "$missed" ] || die "it serves, but without$missed"
