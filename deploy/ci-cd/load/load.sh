#!/usr/bin/env bash
# The documents' targets as load, with a verdict.
#
#   load.sh ussd|sessions|api|webhooks URL
#
# ussd       500 hops a second by 500 farmers who press a key a second; URL is the callback's, with its
#            token: https://staging…/api/ussd/TOKEN
# sessions   10,000 farmers at once who press a key every 20 s: also 500 a second
# api        100 requests a second with a partner's key; URL of a route, AUTHORIZATION="Bearer …"
# webhooks   50 callbacks a second; URL of a callback with its token, BODY as the provider sends it
#
# SECONDS_LONG (60) is how long, SCALE (1) multiplies rate and connections: 0.1 on a laptop.
# Passes when at least REACHED_PERCENT (95) of the rate was reached, nothing was wrong, nothing was told to come back
# later, and 99 % were answered within P99_MS (ussd, sessions 500; api, webhooks 1000). The limits by
# address count one loader as one stranger: run it from an address in gateways.conf, or straight at
# the Service. Never against production: it makes sessions, and phones that do not exist.
# Run check-autoscaling.sh beside it. Needs wrk. Exit 1 when a target is missed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/ci-cd/scripts/place.sh
. "$here/../scripts/place.sh"

[ $# -eq 2 ] || {
    sed -n '2,19s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
need wrk awk
kind=$1
url=$2
long=${SECONDS_LONG:-60}
scale=${SCALE:-1}
production=$(public_address production || true)
[ -n "$production" ] || die "which address is production's is not known: deploy/kubernetes/overlays/production/config/config.env"
# the host decides, however else it is written
host() { sed -E 's#^[A-Za-z]+://##; s#[/?].*##; s#^.*@##; s#:[0-9]*$##; s#\.$##' <<<"$1" | tr '[:upper:]' '[:lower:]'; }
[ "$(host "$url")" != "$(host "$production")" ] || die "that is production"

p99_ms=${P99_MS:-1000}
case $kind in
    ussd) rate=500 connections=500 script=ussd.lua p99_ms=${P99_MS:-500} ;;
    sessions) rate=500 connections=10000 script=ussd.lua p99_ms=${P99_MS:-500} ;;
    api) rate=100 connections=100 script=plain.lua ;;
    webhooks) rate=50 connections=50 script=plain.lua METHOD=${METHOD:-POST} ;;
    *) die "load.sh ussd|sessions|api|webhooks URL" ;;
esac
[ "$kind" != webhooks ] || export METHOD
rate=$(awk -v rate="$rate" -v scale="$scale" 'BEGIN { printf "%d", rate * scale }')
connections=$(awk -v connections="$connections" -v scale="$scale" 'BEGIN { n = connections * scale; printf "%d", n < 2 ? 2 : n }')
PAUSE_MS=$(awk -v connections="$connections" -v rate="$rate" 'BEGIN { printf "%d", 1000 * connections / rate }')
# wrk runs two threads, which know nothing of each other
CONNECTIONS_A_THREAD=$((connections / 2))
FARMERS=$CONNECTIONS_A_THREAD
export PAUSE_MS FARMERS CONNECTIONS_A_THREAD

say "$kind: $connections connections, one request each $PAUSE_MS ms, $rate a second for $long s"
out=$(wrk --threads 2 --connections "$connections" --duration "${long}s" --timeout 10s --script "$here/$script" "$url")
echo "$out"
result=$(grep -o 'RESULT .*' <<<"$out") || die "wrk said nothing"
awk -v rate="$rate" -v p99="$p99_ms" -v share="${REACHED_PERCENT:-95}" '
    { for (i = 2; i <= NF; i++) { split($i, pair, "="); got[pair[1]] = pair[2] } }
    END {
        reached = got["requests"] / got["seconds"]
        printf "reached %.1f of %d a second, p99 %.1f ms of %d, %d errors, %d wrong, %d told to come back\n",
            reached, rate, got["p99_ms"], p99, got["errors"], got["wrong"], got["busy"]
        missed = reached < share / 100 * rate || got["p99_ms"] > p99 || got["errors"] + got["wrong"] + got["busy"] > 0
        exit missed
    }' <<<"$result" || die "the target of $kind was missed"
say "the target of $kind is held"
