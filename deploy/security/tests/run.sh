#!/usr/bin/env bash
# rotate-secrets.sh and configure.sh against stand-ins for vault and kubectl: what they ask for, in which
# order, and that they go back when a roll-out fails. Called by `cargo xtask deploy-check`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
install -m 0755 "$here/vault" "$here/kubectl" "$work"
export PATH=$work:$PATH LOG=$work/log
count=0

rotate() { : >"$LOG"; "$here/../rotate-secrets.sh" "$@" >"$work/out" 2>&1; }
asked() { grep -qF -- "$1" "$LOG" || { printf 'not asked: %s\n' "$1" >&2; cat "$LOG" "$work/out" >&2; exit 1; }; }
not_asked() { if grep -qF -- "$1" "$LOG"; then printf 'asked: %s\n' "$1" >&2; exit 1; fi; }
# the second was asked after the first
after() {
    local first second
    first=$(grep -nF -- "$1" "$LOG" | head -n 1 | cut -d: -f1)
    second=$(grep -nF -- "$2" "$LOG" | head -n 1 | cut -d: -f1)
    [ -n "$first" ] && [ -n "$second" ] && [ "$first" -lt "$second" ] || { printf '%s is not before %s\n' "$1" "$2" >&2; exit 1; }
}
ok() { count=$((count + 1)); printf 'ok  %s\n' "$*"; }

rotate production microcrop jwt
asked 'given {"JWT_SECRET": "FRESH"}'
after 'kv patch' 'force-sync'
after 'force-sync' 'rollout restart deployment.apps/microcrop-backend-green'
ok "a new key is brought before the backend is restarted"

rotate production microcrop callbacks
after 'rollout restart deployment.apps/microcrop-backend-green' 'rollout restart deployment/microcrop-workers'
ok "the backend knows a callback token before it is given away"

rotate production microcrop rabbitmq
after 'add_user' 'kv patch'
after 'rollout status deployment/microcrop-data-processor' 'delete_user old'
# or a broker made anew would begin with a user that nobody has any more
after 'kv patch -mount=production/microcrop rabbitmq-server' 'delete_user old'
asked 'given {"RABBITMQ_DEFAULT_USER": "microcrop-'
not_asked 'change_password'
ok "the broker's old user goes when nobody uses it"

if BROKEN=1 rotate production microcrop jwt; then echo "a failed roll-out passed" >&2; exit 1; fi
asked 'kv rollback -mount=production/microcrop -version=4 backend'
ok "a failed roll-out puts the version before back"

for what in encryption pepper PIN_PEPPER; do
    if rotate production microcrop "$what"; then echo "$what was rotated" >&2; exit 1; fi
    [ ! -s "$LOG" ] || { cat "$LOG" >&2; exit 1; }
done
ok "what rows depend on is refused"

rotate --dry-run production microcrop jwt
not_asked 'kv patch'
not_asked 'rollout restart'
ok "a dry run changes nothing"

printed=$("$here/../vault/configure.sh" --print production microcrop https://kubernetes.example ca.crt 2>/dev/null)
[[ $printed == *'role/payout'* ]] && { echo "a role that is no service account" >&2; exit 1; }
[[ $printed == *'role/backend bound_service_account_names=backend bound_service_account_namespaces=microcrop '* ]]
[[ $printed != *'role/sandbox'* ]]
ok "production's Vault knows no sandbox"
configure() { : >"$LOG"; DATABASE_HOST=db.example "$here/../vault/configure.sh" production microcrop https://kubernetes.example ca.crt >"$work/out" 2>&1 </dev/null; }
VAULT_DATABASE_PASSWORD=once configure
asked 'password=-'
after 'password=-' 'rotate-root'
ok "the first time Vault is given a password and changes it"
KNOWN=1 configure
not_asked 'password=-'
asked 'connection_url=postgresql://{{username}}:{{password}}@db.example:5432/microcrop'
asked 'database/roles/backup'
grep -q 'none is asked for' "$work/out"
ok "a second time needs no password and renews the rest"
if configure; then echo "an empty password passed" >&2; exit 1; fi
not_asked 'rotate-root'
if SEALED=1 configure; then echo "a sealed Vault passed" >&2; exit 1; fi
not_asked 'password=-'
ok "no password, or a Vault that does not answer, changes no login"
printf 'rotation and Vault: %s cases\n' "$count"
