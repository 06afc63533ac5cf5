#!/usr/bin/env bash
# Shows that an autoscaler does its work: pods grow under load and go again after it.
#
#   check-autoscaling.sh backend|workers
#
# Run it beside load/load.sh, which it does not start. It reads the HorizontalPodAutoscaler every
# PAUSE_SECONDS (15) for WATCH_SECONDS (900): the number must rise above where it began, never leave
# its bounds, never fall by more than what serves while the load lasts, and come back within
# SETTLE_SECONDS (900) after the load (LOAD_PID, or Enter) has ended. Prints one line a look, and a CSV
# in target/autoscaling.csv. Exit 1 if it did not. Changes nothing.
set -euo pipefail
# shellcheck source=deploy/ci-cd/scripts/place.sh
. "$(dirname "$0")/place.sh"
need kubectl

[ $# -eq 1 ] || die "check-autoscaling.sh backend|workers"
label=app.kubernetes.io/name=$1
pause=${PAUSE_SECONDS:-15}
watch=${WATCH_SECONDS:-900}
settle=${SETTLE_SECONDS:-900}
report=$root/target/autoscaling.csv
mkdir -p "$(dirname "$report")"
echo "second,autoscaler,replicas,wanted,least,most" >"$report"

# the one of the slot that serves, in production; `name replicas wanted least most`
look() {
    local path='{range .items[*]}{.metadata.name} {.status.currentReplicas} {.status.desiredReplicas} {.spec.minReplicas} {.spec.maxReplicas}{"\n"}{end}'
    kubectl --namespace "$namespace" get horizontalpodautoscalers --output jsonpath="$path" |
        awk -v role="$1" '$1 ~ "^(microcrop-)?" role && $2 > best { best = $2; line = $0 } END { if (line == "") exit 1; print line }'
}
loaded() { if [ -n "${LOAD_PID:-}" ]; then kill -0 "$LOAD_PID" 2>/dev/null; else [ "$SECONDS" -lt "$load_until" ]; fi; }

read -r name began _ least most < <(look "$1") || die "no autoscaler of $1 ($label) in $namespace"
say "$name: $began pods, $least to $most allowed"
highest=$began
started=$SECONDS
load_until=$((SECONDS + watch))
while loaded && [ $((SECONDS - started)) -lt "$watch" ]; do
    read -r name now wanted least most < <(look "$1") || die "the autoscaler of $1 could not be asked any more"
    echo "$((SECONDS - started)),$name,$now,$wanted,$least,$most" | tee -a "$report"
    if [ "$now" -lt "$least" ] || [ "$now" -gt "$most" ]; then die "$now pods are outside $least to $most"; fi
    [ "$now" -le "$highest" ] || highest=$now
    sleep "$pause"
done
[ "$highest" -gt "$began" ] || die "the number of pods never rose above $began; was there load?"
say "rose from $began to $highest; waiting for it to settle"
until_second=$((SECONDS + settle))
while [ "$SECONDS" -lt "$until_second" ]; do
    read -r name now wanted least most < <(look "$1") || die "the autoscaler of $1 could not be asked any more"
    echo "$((SECONDS - started)),$name,$now,$wanted,$least,$most" | tee -a "$report"
    if [ "$now" -lt "$highest" ] && [ "$now" -le $((began > least ? began : least)) ]; then
        say "back to $now: it scales both ways"
        exit 0
    fi
    sleep "$pause"
done
die "still $now pods $settle s after the load"
