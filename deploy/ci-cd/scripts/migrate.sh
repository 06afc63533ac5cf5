#!/usr/bin/env bash
# Brings a database up to date before anything else is rolled out: migrations, products, wards.
# Forward only and compatible with the release before, so it may be repeated and needs no way back.
#
#   migrate.sh kubernetes MANIFESTS.yml    applies them, whose Job it waits for; give it what is
#                                          shared, and nothing that serves
#   migrate.sh local                       runs target/release/backend (BACKEND) by the environment's
#                                          DATABASE_URL or MIGRATE_DATABASE_URL
set -euo pipefail
# shellcheck source=deploy/ci-cd/scripts/place.sh
. "$(dirname "$0")/place.sh"

case ${1:-} in
    kubernetes)
        [ $# -eq 2 ] || die "migrate.sh kubernetes MANIFESTS.yml"
        need kubectl
        # the Job's name holds the tag, so a repeated release finds its own Job done
        job=$(sed -n 's/^  name: \(microcrop-migrate-.*\)$/job\/\1/p' "$2" | head -n 1)
        [ -n "$job" ] || die "the manifests hold no migration"
        state() { kubectl --namespace "$namespace" get "$job" --ignore-not-found --output jsonpath='{range .status.conditions[?(@.status=="True")]}{.type} {end}'; }
        # a Job that failed stays failed: the same release, given again, needs a new one
        case $(state) in *Failed*) kubectl --namespace "$namespace" delete "$job" ;; esac
        kubectl --namespace "$namespace" apply --filename "$2"
        say "waiting for $job"
        # either condition may come; waiting for `complete` alone would wait out a failure
        for _ in $(seq 1 "${MIGRATE_TRIES:-360}"); do
            case $(state) in
                *Complete*)
                    say "the database is up to date"
                    exit 0
                    ;;
                *Failed*)
                    kubectl --namespace "$namespace" logs "$job" --tail 50 || true
                    die "the migration failed; nothing else was changed"
                    ;;
            esac
            sleep 5
        done
        die "the migration did not end"
        ;;
    local)
        backend=${BACKEND:-$root/target/release/backend}
        [ -x "$backend" ] || die "$backend is not built"
        "$backend" check-config
        "$backend" migrate
        ;;
    *) die "migrate.sh kubernetes MANIFESTS.yml, or migrate.sh local" ;;
esac
