#!/usr/bin/env bash
# Changes one secret while the system runs: a new version in Vault, brought to the cluster, every
# process restarted in turn, and the version before put back if they do not come up.
#   rotate-secrets.sh [--dry-run] ENVIRONMENT NAMESPACE WHAT
# WHAT is one of
#   jwt        what signs tokens; whoever is signed in signs in again
#   callbacks  M-Pesa's callback token; answers that are on their way with the old one are found by
#              enquiry (docs/adr/0004). Africa's Talking's is changed by hand, because its dashboard is
#   rabbitmq   a new user of the broker beside the old one, which goes when nobody uses it
#   redis      ElastiCache's token (REPLICATION_GROUP), both good until everybody has the new one
#   database   new logins for every role; the old ones end by themselves
#   grafana    Grafana's first person
# Never rotated here, because rows depend on them: ENCRYPTION_KEY, PII_INDEX_KEY, PIN_PEPPER. Losing
# trust in one of those is an incident (deploy/security/README.md says what then).
# Needs vault (policy ENVIRONMENT-rotation), kubectl, openssl; redis also aws. Prints no secret.
set -euo pipefail

say() { printf 'rotate: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

dry=no
[ "${1:-}" != --dry-run ] || { dry=yes; shift; }
[ $# -eq 3 ] || die "rotate-secrets.sh [--dry-run] ENVIRONMENT NAMESPACE jwt|callbacks|rabbitmq|redis|database|grafana"
environment=$1 namespace=$2 what=$3
[[ $environment =~ ^(staging|production)$ ]] || die "secrets of \"$environment\" are not in Vault"
mount=$environment/microcrop
# longest a roll-out may take: 35 s to drain, three pods and more, one after the other
patience=${PATIENCE:-600s}

needs() { for tool in "$@"; do command -v "$tool" >/dev/null || die "$tool is not installed"; done; }
act() { if [ "$dry" = yes ]; then printf 'would: %s\n' "$*"; else "$@"; fi; }

fresh() { openssl rand -hex "$1"; }
version() { vault kv metadata get -mount="$mount" -format=json "$1" | sed -n 's/.*"current_version": *\([0-9]*\).*/\1/p'; }
# put KEY=VALUE…: values come by a file that only we can read, never by the command line
patch() {
    local entry=$1 file
    file=$(mktemp) || return 1
    # in a pipeline, so this is the end of the function's own process: no secret stays on the disk
    # shellcheck disable=SC2064 # the file of now
    trap "shred -u '$file' 2>/dev/null || rm -f '$file'" EXIT
    cat >"$file" || { say "no room for the new value; nothing was changed"; return 1; }
    if [ "$dry" = yes ]; then printf 'would: vault kv patch -mount=%s %s @(%s)\n' "$mount" "$entry" "$(sed -n 's/.*"\([A-Za-z_-]*\)": .*/\1/p' "$file" | paste -sd' ')"
    else vault kv patch -mount="$mount" "$entry" @"$file" >/dev/null; fi
}

# brings a Secret up to date now rather than within the hour
bring() {
    local secret=$1 in=$2 before after
    if [ "$dry" = yes ]; then printf 'would: bring %s/%s\n' "$in" "$secret"; return; fi
    before=$(kubectl get externalsecret "$secret" -n "$in" -o jsonpath='{.status.refreshTime}')
    kubectl annotate externalsecret "$secret" -n "$in" force-sync="$(date +%s)" --overwrite >/dev/null
    for _ in $(seq 60); do
        after=$(kubectl get externalsecret "$secret" -n "$in" -o jsonpath='{.status.refreshTime}')
        [ "$after" = "$before" ] || return 0
        sleep 1
    done
    say "$secret was not brought within a minute: kubectl describe externalsecret $secret -n $in"
    return 1
}
restart() {
    local in=$1 workload
    shift
    for workload in "$@"; do
        act kubectl rollout restart "$workload" -n "$in" || return 1
        act kubectl rollout status "$workload" -n "$in" --timeout="$patience" || return 1
    done
}
# the backend has one Deployment, or the one of each slot
backends() { kubectl get deployment -n "$namespace" -l app.kubernetes.io/name=backend -o name; }
everybody() { backends; printf '%s\n' deployment/microcrop-workers deployment/microcrop-data-processor; }

# rotate ENTRY NAMESPACE "SECRET…" "WORKLOAD…": after the entry was patched; goes back on failure
follow() {
    local entry=$1 in=$2 secrets=$3 workloads=$4 secret
    local -a list
    read -ra list <<<"$workloads"
    for secret in $secrets; do bring "$secret" "$in" || { back "$entry" "$in" "$secrets" "${list[@]}"; return 1; }; done
    restart "$in" "${list[@]}" || { back "$entry" "$in" "$secrets" "${list[@]}"; return 1; }
}
back() {
    local entry=$1 in=$2 secrets=$3 secret
    shift 3
    say "putting version $before of $entry back"
    act vault kv rollback -mount="$mount" -version="$before" "$entry" >/dev/null
    for secret in $secrets; do bring "$secret" "$in" || true; done
    restart "$in" "$@" || say "the processes do not come up with the version before either: look at them"
}

needs vault kubectl openssl
trap 'say "interrupted: Vault may hold a new $what (before: version ${before:-not asked yet}) that not every process has; run it again, or vault kv rollback"; exit 130' INT TERM
case $what in
jwt)
    before=$(version backend)
    printf '{"JWT_SECRET": "%s"}\n' "$(fresh 32)" | patch backend
    follow backend "$namespace" backend-secrets "$(backends | paste -sd' ')" || die "jwt is as it was"
    ;;
callbacks)
    before=$(version callbacks)
    printf '{"MPESA_CALLBACK_TOKEN": "%s"}\n' "$(fresh 16)" | patch callbacks
    # the backend must know the new token before the payout role gives it away
    follow callbacks "$namespace" "backend-secrets payout-secrets" \
        "$(backends | paste -sd' ') deployment/microcrop-workers" || die "callbacks are as they were"
    ;;
rabbitmq)
    before=$(version rabbitmq)
    user=microcrop-$(date -u +%Y%m%d%H%M)
    password=$(fresh 24)
    old=$(vault kv get -mount="$mount" -field=RABBITMQ_URL rabbitmq | sed -n 's#^amqps\{0,1\}://\([^:]*\):.*#\1#p')
    rabbit() { kubectl exec -i -n "$namespace" rabbitmq-0 -c rabbitmq -- rabbitmqctl "$@"; }
    if [ "$dry" = yes ]; then printf 'would: add the user %s to the broker\n' "$user"
    else
        # the password by standard input: no process list shows it
        printf %s "$password" | rabbit add_user "$user" >/dev/null
        rabbit set_permissions -p / "$user" '.*' '.*' '.*' >/dev/null
    fi
    printf '{"RABBITMQ_URL": "amqp://%s:%s@rabbitmq:5672/%%2f"}\n' "$user" "$password" | patch rabbitmq
    follow rabbitmq "$namespace" "backend-secrets workers-secrets data-processor-secrets" \
        "$(everybody | paste -sd' ')" || die "the broker's user is as it was; rabbitmqctl delete_user $user"
    # a broker that is lost and made anew begins with the user that everybody has
    printf '{"RABBITMQ_DEFAULT_USER": "%s", "RABBITMQ_DEFAULT_PASS": "%s"}\n' "$user" "$password" | patch rabbitmq-server
    bring rabbitmq-secrets "$namespace"
    if [ -n "$old" ] && [ "$old" != "$user" ]; then
        act kubectl exec -n "$namespace" rabbitmq-0 -c rabbitmq -- rabbitmqctl delete_user "$old"
    fi
    ;;
redis)
    needs aws
    group=${REPLICATION_GROUP:?which ElastiCache replication group}
    before=$(version redis)
    token=$(fresh 32)
    url=$(vault kv get -mount="$mount" -field=REDIS_URL redis)
    change() {
        act aws elasticache modify-replication-group --replication-group-id "$group" --apply-immediately \
            --auth-token-update-strategy "$1" --cli-input-json "file://$2" >/dev/null
        act aws elasticache wait replication-group-available --replication-group-id "$group"
    }
    input=$(mktemp) && chmod 600 "$input"
    trap 'rm -f "$input"' EXIT
    printf '{"AuthToken": "%s"}\n' "$token" >"$input"
    # both tokens are good …
    change ROTATE "$input"
    printf '{"REDIS_URL": "%s"}\n' "$(printf %s "$url" | sed "s#://[^@]*@#://:$token@#")" | patch redis
    follow redis "$namespace" "backend-secrets" "$(backends | paste -sd' ')" || die "both tokens are still good"
    # … until everybody has the new one
    change SET "$input"
    ;;
database)
    for secret in backend-secrets workers-secrets data-processor-secrets; do
        bring "$secret" "$namespace" || die "no new login: the processes keep theirs"
    done
    mapfile -t workloads < <(everybody)
    restart "$namespace" "${workloads[@]}" || die "the old logins are still good for days; look at the processes"
    say "the old logins end by themselves; at once: vault lease revoke -prefix $environment/database/creds/ROLE"
    ;;
grafana)
    before=$(version grafana)
    printf '{"admin-password": "%s"}\n' "$(fresh 24)" | patch grafana
    follow grafana microcrop-monitoring grafana-credentials statefulset/grafana || die "grafana is as it was"
    ;;
encryption | pepper | ENCRYPTION_KEY | PII_INDEX_KEY | PIN_PEPPER)
    die "rows depend on $what: changing it makes them unreadable. deploy/security/README.md says what to do instead" ;;
*)
    die "what is \"$what\"?" ;;
esac
if [ "$dry" = yes ]; then say "nothing was changed"; else say "$what of $environment is new"; fi
