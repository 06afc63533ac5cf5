#!/usr/bin/env bash
# Seven questions that a backend which serves answers: alive, ready, which build, PostgreSQL, Redis,
# RabbitMQ, and whether the API refuses strangers in the way it promises.
#
#   smoke-tests.sh staging|production|blue|green|http://host:port
#
# EXPECT_COMMIT=…   the build must be of this commit
# Exit 0 when all seven hold, 1 when one does not, 2 on a wrong call. Changes nothing.
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

work=$(mktemp -d)
trap 'leave; rm -rf "$work"' EXIT
passed=0
failed=0

# ask NAME PATH STATUS [PATTERN]: the status, and the body matches
ask() {
    local name=$1 path=$2 wanted=$3 pattern=${4:-} status
    status=$(curl --silent --show-error --max-time 10 --output "$work/body" --write-out '%{http_code}' "$url$path" 2>"$work/error") || status=000
    if [ "$status" = "$wanted" ] && { [ -z "$pattern" ] || grep -qE "$pattern" "$work/body"; }; then
        printf 'ok    %-9s %s\n' "$name" "$path"
        passed=$((passed + 1))
    else
        printf 'FAIL  %-9s %s answered %s, wanted %s%s\n' "$name" "$path" "$status" "$wanted" "${pattern:+ with /$pattern/}"
        # a line of its own, also when the body ends without one
        printf '%s\n' "$(head -c 300 "$work/body" 2>/dev/null | tr -d '\0')" | sed 's/^/        /'
        sed 's/^/        /' "$work/error"
        failed=$((failed + 1))
    fi
    : >"$work/body"
}

say "smoke tests of $1 at $url"
ask alive /health/live 200 '"status":"ok"'
ask ready /health/ready 200 '"status":"ok"'
ask version /api/version 200 "\"commit\":\"${EXPECT_COMMIT:-}"
ask db /health/db 200 '"status":"ok"'
ask redis /health/redis 200 '"status":"ok"'
ask rabbitmq /health/rabbitmq 200 '"status":"ok"'
# a stranger gets a problem document, not a page, not data
ask api /api/v1/policies 401 '"status":401'

say "$passed of $((passed + failed)) passed"
[ "$failed" -eq 0 ]
