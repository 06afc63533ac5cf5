# shellcheck shell=bash
# Which deployment is meant, and how to reach it. Sourced by the scripts beside it, never run.
#
#   reach PLACE     sets `url`. PLACE is an address (http://…), an environment with a folder in
#                   deploy/kubernetes/overlays (its public address is in there), or `blue` or `green`:
#                   that slot of the cluster, reached through a forwarded port until the script ends
#   documents keep|drop FILE KIND/NAME…    the manifests of a rendered file that are, or are not, named
#   lock            nobody else deploys to the namespace until the script ends (`leave`)
#   remember, go_back DEPLOYMENT…          notes each one's revision; puts each back to the one noted

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
namespace=${NAMESPACE:-microcrop}
forwards=()
locked=no
declare -A before=()

say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*"; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || die "$program is not installed"
    done
}

# ends the forwarded ports this very script opened, and gives the lock back if it is this script's
leave() {
    local pid
    for pid in "${forwards[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    forwards=()
    if [ "$locked" = yes ]; then
        locked=no
        kubectl --namespace "$namespace" delete lease deployment --ignore-not-found >/dev/null ||
            say "the lock is still there: kubectl -n $namespace delete lease deployment"
    fi
}

# two at once would each take the other's slot for the idle one. An object can be made once only, so the
# cluster decides who was first
lock() {
    local refused
    refused=$(kubectl --namespace "$namespace" create --filename - 2>&1 <<LEASE
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata:
  name: deployment
spec:
  holderIdentity: "$(id -un) on $(uname -n), process $$${GITHUB_RUN_ID:+, run $GITHUB_RUN_ID}"
  acquireTime: "$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)"
LEASE
    ) || die "nobody else may deploy meanwhile, and that could not be had: $refused
$(kubectl --namespace "$namespace" get lease deployment --ignore-not-found \
        --output jsonpath='it is with {.spec.holderIdentity} since {.spec.acquireTime}; ended long ago: ' 2>/dev/null || true)kubectl -n $namespace delete lease deployment"
    locked=yes
}

remember() {
    local deployment
    for deployment in "$@"; do
        before[$deployment]=$(kubectl --namespace "$namespace" get deployment "$deployment" --ignore-not-found \
            --output jsonpath='{.metadata.annotations.deployment\.kubernetes\.io/revision}')
    done
}
# to what it was: one that a release did not reach must not go back one more
go_back() {
    local deployment
    for deployment in "$@"; do
        if [ -z "${before[$deployment]:-}" ]; then
            say "$deployment was not there before; it is left as it is"
            continue
        fi
        say "ROLLBACK: $deployment to revision ${before[$deployment]}"
        kubectl --namespace "$namespace" rollout undo "deployment/$deployment" --to-revision "${before[$deployment]}" ||
            say "$deployment COULD NOT BE ROLLED BACK: look at it"
    done
}

# the public address of an environment, from the one place it is written in
public_address() {
    [[ $1 =~ ^[a-z]+$ ]] || return 1
    local settings=$root/deploy/kubernetes/overlays/$1/config/config.env
    [ -r "$settings" ] || return 1
    sed -n 's/^PUBLIC_BASE_URL=//p' "$settings"
}

# forward SERVICE: a free port of this machine to port 80 of a Service; sets `url`
forward() {
    need kubectl
    local log line
    log=$(mktemp)
    kubectl --namespace "$namespace" port-forward "service/$1" :80 >"$log" 2>&1 &
    forwards+=($!)
    for _ in $(seq 1 50); do
        line=$(grep -o '127\.0\.0\.1:[0-9]*' "$log" | head -n 1 || true)
        if [ -n "$line" ]; then
            rm -f "$log"
            url=http://$line
            return 0
        fi
        kill -0 "${forwards[-1]}" 2>/dev/null || break
        sleep 0.2
    done
    cat "$log" >&2
    rm -f "$log"
    die "the service $1 of $namespace cannot be reached"
}

reach() {
    case $1 in
        http://* | https://*)
            # it is a host and maybe a port and a path: nothing that curl would read as more than one address
            [[ $1 =~ ^https?://[][A-Za-z0-9._:-]+(/[A-Za-z0-9._~/-]*)?$ ]] || die "'$1' is no address"
            url=${1%/}
            ;;
        blue | green) forward "backend-$1" ;;
        *)
            url=$(public_address "$1") || die "'$1' is neither an address, nor an environment, nor blue or green"
            [ -n "$url" ] || die "deploy/kubernetes/overlays/$1 names no PUBLIC_BASE_URL"
            ;;
    esac
}

# kustomize prints each object's fields in order, so `kind:` and `  name:` below `metadata:` are plain
documents() {
    local mode=$1 file=$2
    shift 2
    awk -v mode="$mode" -v names=" $* " '
        function flush() {
            if (text != "") {
                found = index(names, " " kind "/" name " ") > 0
                if ((mode == "keep") == found) printf "---\n%s", text
            }
            text = ""; kind = ""; name = ""; inside = 0
        }
        /^---$/ { flush(); next }
        { text = text $0 "\n" }
        /^[a-zA-Z]/ { inside = ($0 == "metadata:") }
        /^kind: / { kind = $2 }
        inside && /^  name: / && name == "" { name = $2 }
        END { flush() }' "$file"
}
