#!/usr/bin/env bash
# Puts a new build beside the one that serves, looks at it, moves everybody over, watches, and goes
# back by itself if that was a mistake. Nobody's request is lost: the old one serves until the new one
# has proven itself, and finishes what it has begun.
#
#   deploy-blue-green.sh kubernetes        production, in the cluster of the current kubectl context
#   deploy-blue-green.sh nginx             one machine: two backends behind an nginx
#
# Steps of both: find the slot that does not serve · bring it up with the new build · health-check.sh
# and smoke-tests.sh against it alone · switch · watch for WATCH_SECONDS (120) · end the old one, or
# switch back. A second run at the same time is refused. Exit 0 when the new build serves, 1 when the
# old one does (again), 2 on a wrong call.
#
# kubernetes: the Service `backend-service` selects a slot by microcrop.io/slot.
#   TAG               of the images, needed; REGISTRY in front of their names (…amazonaws.com)
#   OVERLAY           deploy/kubernetes/overlays/production; has the folders blue/ and green/
#   NAMESPACE         microcrop
#   PUBLIC            environment or address that is watched; default the overlay's
#   PROMETHEUS        address of Prometheus; if given, its error rate is watched too (5 %, as HighErrorRate)
# nginx:
#   UPSTREAM_FILE     the file with `server HOST:PORT` that nginx includes; the old slot is in it as the
#                     new one's `backup` until it is ended
#   BLUE, GREEN       HOST:PORT of the two slots
#   START, STOP       commands that start and stop a slot; they are given its name and HOST:PORT
#   RELOAD            command that makes nginx read its files again; default `nginx -s reload`
#   PUBLIC            address of nginx
#   DRAIN_SECONDS     30: how long the old nginx workers may finish what they had begun
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/ci-cd/scripts/place.sh
. "$here/place.sh"

usage() {
    sed -n '2,32s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
[ $# -eq 1 ] || usage

watch_seconds=${WATCH_SECONDS:-120}
watch_pause=${WATCH_PAUSE_SECONDS:-2}
# bad answers in a row that mean it: one may be the network's
bad_max=${WATCH_BAD_MAX:-3}

# given NAME WORDS: the setting is there
given() {
    [ -n "${!1:-}" ] || {
        printf 'error: %s: %s\n' "$1" "$2" >&2
        exit 2
    }
}
for number in "$watch_seconds" "$bad_max" "${DRAIN_SECONDS:-30}"; do
    [[ $number =~ ^[0-9]{1,6}$ ]] || {
        printf "error: WATCH_SECONDS, WATCH_BAD_MAX and DRAIN_SECONDS are whole numbers, not '%s'\n" "$number" >&2
        exit 2
    }
done

# beside the backend
others=(microcrop-data-processor microcrop-workers)

other() { if [ "$1" = blue ]; then echo green; else echo blue; fi; }

# ----------------------------------------------------------------------------------- kubernetes
kubernetes_check() {
    need kubectl curl
    given TAG "the tag of the images is needed"
    overlay=${OVERLAY:-$root/deploy/kubernetes/overlays/production}
    if ! [ -d "$overlay/blue" ] || ! [ -d "$overlay/green" ]; then
        die "$overlay has no folders blue and green"
    fi
    public=${PUBLIC:-$(basename "$overlay")}
}
kubernetes_lock() { lock; }
kubernetes_active() {
    kubectl --namespace "$namespace" get service backend-service \
        --ignore-not-found --output jsonpath='{.spec.selector.microcrop\.io/slot}'
}
kubernetes_start() {
    local slot=$1 replicas=3 serving
    local own=("Deployment/microcrop-backend-$slot" "HorizontalPodAutoscaler/backend-hpa-$slot")
    local later=("${others[@]/#/Deployment/}")
    if [ -n "$active" ]; then
        # as many as serve now, or the new one would begin by being too few
        serving=$(kubectl --namespace "$namespace" get deployment "microcrop-backend-$active" --output jsonpath='{.spec.replicas}' 2>/dev/null || true)
        if [ -n "$serving" ] && [ "$serving" -gt "$replicas" ]; then replicas=$serving; fi
    fi
    "$here/render.sh" "$overlay/$slot" "$TAG" >"$work/all.yml"
    # what everybody shares first: settings, policies, the migration of this release (forward only, and
    # compatible with the build that still serves). Not backend-service: where it points is the switch
    documents drop "$work/all.yml" "${own[@]}" "${later[@]}" Service/backend-service >"$work/shared.yml"
    documents keep "$work/all.yml" "${own[@]}" >"$work/slot.yml"
    documents keep "$work/all.yml" Service/backend-service >"$work/service.yml"
    documents keep "$work/all.yml" "${later[@]}" >"$work/later.yml"
    "$here/migrate.sh" kubernetes "$work/shared.yml"
    kubectl --namespace "$namespace" apply --filename "$work/slot.yml"
    kubectl --namespace "$namespace" scale "deployment/microcrop-backend-$slot" --replicas "$replicas"
    kubectl --namespace "$namespace" rollout status "deployment/microcrop-backend-$slot" --timeout 300s
}
kubernetes_place() { echo "$1"; }
kubernetes_switch() {
    kubectl --namespace "$namespace" patch service backend-service --type merge \
        --patch "{\"spec\":{\"selector\":{\"microcrop.io/slot\":\"$1\"}}}"
}
kubernetes_first() {
    kubectl --namespace "$namespace" apply --filename "$work/service.yml"
}
# whatever does not answer people rolls by itself, one pod at a time; last, because what it writes may
# be readable to the new backend only
kubernetes_rest() {
    local deployment
    remember "${others[@]}"
    rest=yes
    kubectl --namespace "$namespace" apply --filename "$work/later.yml"
    for deployment in "${others[@]}"; do
        kubectl --namespace "$namespace" rollout status "deployment/$deployment" --timeout 600s
    done
}
kubernetes_stop() {
    # none, not gone: the next release finds it, and its autoscaler rests while there are none
    kubectl --namespace "$namespace" scale "deployment/microcrop-backend-$1" --replicas 0
}
kubernetes_bad() {
    [ -n "${PROMETHEUS:-}" ] || return 1
    local answer
    answer=$(curl --silent --max-time 5 --get "$PROMETHEUS/api/v1/query" --data-urlencode \
        'query=sum(rate(http_requests_total{status=~"5.."}[1m])) / sum(rate(http_requests_total[1m])) > 0.05') || return 1
    case $answer in *'"result":[]'*) return 1 ;; *'"status":"success"'*) say "more than 5 % of requests fail" ;; *) return 1 ;; esac
}

# ----------------------------------------------------------------------------------- nginx
nginx_check() {
    need curl sed flock
    given UPSTREAM_FILE "the file nginx includes is needed"
    given BLUE "HOST:PORT of blue is needed"
    given GREEN "HOST:PORT of green is needed"
    given START "the command that starts a slot is needed"
    given STOP "the command that stops a slot is needed"
    given PUBLIC "the address of nginx is needed"
    local address
    for address in "$BLUE" "$GREEN"; do
        [[ $address =~ ^[][A-Za-z0-9._:-]+:[0-9]+$ ]] || die "'$address' is no HOST:PORT"
    done
    [ "$BLUE" != "$GREEN" ] || die "BLUE and GREEN are one address"
    # somebody must serve, or which of the two may be replaced could not be known
    grep -qE '^[[:space:]]*server[[:space:]]' "$UPSTREAM_FILE" || die "$UPSTREAM_FILE holds no server"
    public=$PUBLIC
    reload=${RELOAD:-nginx -s reload}
}
nginx_lock() {
    # 9 is kept from what is started below, which would hold it as long as it lives
    exec 9>"$(dirname "$UPSTREAM_FILE")/.switch.lock"
    flock --nonblock 9 || die "another switch of $UPSTREAM_FILE is under way; nothing was changed"
}
nginx_address() { if [ "$1" = blue ]; then echo "$BLUE"; else echo "$GREEN"; fi; }
nginx_active() {
    local slot
    for slot in blue green; do
        # not the one that only stands in: nginx_point says when it does
        if grep -vE '[[:space:]]backup;' "$UPSTREAM_FILE" |
            grep -qE "^[[:space:]]*server[[:space:]]+$(nginx_address "$slot" | sed 's/\./\\./g')[ ;]"; then
            echo "$slot"
            return
        fi
    done
}
nginx_start() { bash -c "$START \"\$@\"" start "$1" "$(nginx_address "$1")" 9>&-; }
nginx_place() { echo "http://$(nginx_address "$1")"; }
# nginx_point SLOT [STAND-IN]: everybody goes to SLOT; whoever cannot reach it, to STAND-IN
nginx_point() {
    local draft address
    address=$(nginx_address "$1")
    # beside it, then renamed over it: nginx never reads half a file
    draft=$(mktemp "$(dirname "$UPSTREAM_FILE")/.switch.XXXXXX") || return 1
    sed -E -e '/^[[:space:]]*server[[:space:]].*[[:space:]]backup;/d' \
        -e "s/^([[:space:]]*)server[[:space:]]+[^ ;]+(.*)$/\1server $address\2${2:+\n\1server $(nginx_address "$2") backup;}/" \
        "$UPSTREAM_FILE" >"$draft" &&
        # a full disk must not leave nginx without a server; a rollback runs where `set -e` does not
        grep -qF "server $address" "$draft" && chmod --reference "$UPSTREAM_FILE" "$draft" && mv "$draft" "$UPSTREAM_FILE" || {
        rm -f "$draft"
        say "$UPSTREAM_FILE could not be written; it is as it was"
        return 1
    }
    bash -c "$reload" 9>&-
}
nginx_switch() {
    # while the new one is watched, the old one stands in: if the new one dies, only what it was
    # answering is lost, and the watch below asks it past nginx
    if [ -n "$active" ] && [ "$1" != "$active" ]; then nginx_point "$1" "$active"; else nginx_point "$1"; fi
}
nginx_first() { nginx_switch "$idle"; }
nginx_rest() { :; }
nginx_stop() {
    if grep -qE '[[:space:]]backup;' "$UPSTREAM_FILE"; then nginx_point "$(nginx_active)" || return 1; fi
    # the workers of before the reload finish their answers first; they hold connections to it
    sleep "${DRAIN_SECONDS:-30}"
    bash -c "$STOP \"\$@\"" stop "$1" "$(nginx_address "$1")" 9>&-
}
nginx_bad() {
    [ "$(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' "$(nginx_place "$idle")/health/ready")" != 200 ] || return 1
    say "$idle does not answer for itself"
}

# ----------------------------------------------------------------------------------- the steps
driver=$1
case $driver in kubernetes | nginx) ;; *) usage ;; esac
"${driver}_check"
work=$(mktemp -d)
switched=no
started=no
rest=no

finish() {
    local status=$?
    trap - EXIT INT TERM
    # first: what the new ones write may be readable to the new backend only
    if [ "$status" -ne 0 ] && [ "$rest" = yes ]; then go_back "${others[@]}"; fi
    if [ "$status" -ne 0 ] && [ "$switched" = yes ] && [ -n "$active" ]; then
        say "ROLLBACK: $active serves again"
        if ! "${driver}_switch" "$active"; then
            say "THE ROLLBACK FAILED: $active and $idle are both left running; point the backends at $active by hand, then end $idle"
            # whoever is still sent to it would be sent to nobody
            started=no
        fi
    fi
    if [ "$status" -ne 0 ] && [ "$started" = yes ] && [ -z "$active" ]; then
        say "$idle is left as it is: nobody served before it"
    elif [ "$status" -ne 0 ] && [ "$started" = yes ]; then
        say "ending $idle, which does not serve"
        "${driver}_stop" "$idle" || say "$idle could not be ended; it serves nobody"
    fi
    leave
    rm -rf "$work"
    [ "$status" -eq 0 ] || status=1
    exit "$status"
}
trap finish EXIT
trap 'exit 1' INT TERM

# an address nobody knows is found out here, not after the switch
reach "$public"
"${driver}_lock"
active=$("${driver}_active") || die "who serves could not be asked; nothing was changed"
case $active in blue | green | '') ;; *) die "the slot '$active' serves, which is neither blue nor green; nothing was changed" ;; esac
idle=$(other "${active:-green}")
say "serving: ${active:-nobody}; the new build goes to $idle"

started=yes
"${driver}_start" "$idle"
"$here/health-check.sh" "$("${driver}_place" "$idle")"
"$here/smoke-tests.sh" "$("${driver}_place" "$idle")"

if [ -z "$active" ]; then
    "${driver}_first"
else
    switched=yes
    "${driver}_switch" "$idle"
fi
say "switched to $idle; watching for $watch_seconds s"

bad=0
until_second=$((SECONDS + watch_seconds))
while [ "$SECONDS" -lt "$until_second" ]; do
    status=$(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' "$url/health/ready" || true)
    if [ "$status" != 200 ]; then
        bad=$((bad + 1))
        say "bad answer $bad of $bad_max: $status"
    elif "${driver}_bad"; then
        bad=$((bad + 1))
        say "bad answer $bad of $bad_max"
    else
        bad=0
    fi
    [ "$bad" -lt "$bad_max" ] || die "the new build does not do well"
    sleep "$watch_pause"
done
"$here/smoke-tests.sh" "$url"
"${driver}_rest"

# from here on there is no way back but another release
rest=no
switched=no
started=no
if [ -n "$active" ]; then
    say "ending $active"
    "${driver}_stop" "$active"
fi
say "$idle serves"
