#!/usr/bin/env bash
# Prepares Vault for one environment; may be repeated. Run by an administrator of Vault:
#   VAULT_ADDR=… VAULT_TOKEN=… DATABASE_HOST=… configure.sh production microcrop https://KUBERNETES-API ca.crt
#   VAULT_DATABASE_PASSWORD (asked for if not set) is vault_logins', from database/prepare.sql; needed the first
#   time only, because Vault changes it at once to one that nobody else knows
# What it makes, all under the environment's name, so that one Vault can serve several:
#   ENVIRONMENT/microcrop   versions of secrets that are typed in     (policies/, options/secrets-vault)
#   ENVIRONMENT/database    logins of PostgreSQL made on demand       (database/)
#   ENVIRONMENT/kubernetes  who asks, told by the cluster             (roles.tsv)
# --print shows the commands and changes nothing.
set -euo pipefail
cd "$(dirname "$0")"

die() { printf 'configure: %s\n' "$*" >&2; exit 1; }

print=no
[ "${1:-}" != --print ] || { print=yes; shift; }
[ $# -eq 4 ] || die "configure.sh [--print] ENVIRONMENT NAMESPACE KUBERNETES_API CA_FILE"
environment=$1 namespace=$2 api=$3 authority=$4
[[ $environment =~ ^(development|staging|production)$ ]] || die "which environment is \"$environment\"?"
[ "$print" = yes ] || command -v vault >/dev/null || die "vault is not installed"

# how long a login of a process lives, and by when it is replaced (options/secrets-vault/logins.yaml: 72h)
login_ttl=168h

run() {
    if [ "$print" = yes ]; then printf 'vault'; printf ' %q' "$@"; printf '\n'; else vault "$@"; fi
}
# a mount that is there already is not an error
enable() {
    local kind=$1 path=$2
    shift 2
    local there
    if [ "$print" = no ]; then
        there=$(vault "$kind" list -format=json) || die "what Vault has of $kind cannot be listed"
        if grep -q "\"$path/\"" <<<"$there"; then return; fi
    fi
    run "$kind" enable -path="$path" "$@"
}
filled() { sed "s#ENVIRONMENT#$environment#g" "$1"; }

enable secrets "$environment/microcrop" -version=2 kv
enable secrets "$environment/database" database
enable auth "$environment/kubernetes" kubernetes

for policy in policies/*.hcl; do
    name=$environment-$(basename "$policy" .hcl)
    if [ "$print" = yes ]; then run policy write "$name" "$policy"; else filled "$policy" | vault policy write "$name" -; fi
done

# Vault asks that cluster with the token it is shown (options/secrets-vault/reviewer.yaml), never with one of the cluster
# it may run in itself
run write "auth/$environment/kubernetes/config" kubernetes_host="$api" kubernetes_ca_cert=@"$authority" disable_local_ca_jwt=true
while IFS=$'\t' read -r role where in_production; do
    case $role in '' | '#'*) continue ;; esac
    if [ "$environment" = production ] && [ "$in_production" != yes ]; then continue; fi
    bound=$namespace
    [ "$where" = app ] || bound=microcrop-monitoring
    # a token of ten minutes is enough to read, and is of no use afterwards
    run write "auth/$environment/kubernetes/role/$role" \
        bound_service_account_names="$role" bound_service_account_namespaces="$bound" \
        policies="$environment-$role" ttl=10m max_ttl=10m
done <roles.tsv

# address and name of the database, once, for Vault itself and for the processes' addresses
host=${DATABASE_HOST:-} port=${DATABASE_PORT:-5432} name=${DATABASE_NAME:-microcrop}
[ -n "$host" ] || [ "$print" = yes ] || die "where is the database? set DATABASE_HOST"
# whether Vault logs in to the database already; an answer that is neither yes nor no is a fault
knows_database() {
    local answer
    if answer=$(vault read "$environment/database/config/microcrop" 2>&1); then return 0; fi
    case $answer in *'No value found'*) return 1 ;; *) die "what Vault knows of the database cannot be read: $answer" ;; esac
}
known=no
if [ "$print" = no ] && knows_database; then
    known=yes
    cat >&2 <<KNOWN
configure: Vault has a password of vault_logins that only it knows, and keeps it; none is asked for. Should it be
  lost: alter role vault_logins password '…' on the database, vault delete $environment/database/config/microcrop, again.
KNOWN
elif [ "$print" = no ] && [ -z "${VAULT_DATABASE_PASSWORD:-}" ]; then
    read -rsp 'password of vault_logins: ' VAULT_DATABASE_PASSWORD && echo >&2
fi
[ "$print$known" != nono ] || [ -n "${VAULT_DATABASE_PASSWORD:-}" ] || die "an empty password: nothing was told to Vault about the database"
run kv put -mount="$environment/microcrop" database host="${host:-HOST}" port="$port" name="$name"
# shellcheck disable=SC2054 # the commas are within one word
database=("$environment/database/config/microcrop" plugin_name=postgresql-database-plugin username=vault_logins
    connection_url="postgresql://{{username}}:{{password}}@${host:-HOST}:$port/$name?sslmode=require"
    allowed_roles=backend,workers,data-processor,migrate,backup)
# the password by standard input: no process list shows it. What is not given, Vault keeps
if [ "$known" = yes ]; then vault write "${database[@]}"
elif [ "$print" = yes ]; then run write "${database[@]}" password=-
else printf %s "$VAULT_DATABASE_PASSWORD" | vault write "${database[@]}" password=-
fi
# from here on only Vault knows it
run write -f "$environment/database/rotate-root/microcrop"
# the nightly backup and a migration each need theirs for hours; refreshed every three days all the same
for role in backend workers data-processor migrate backup; do
    run write "$environment/database/roles/$role" db_name=microcrop \
        creation_statements=@"database/$role.sql" revocation_statements=@database/revoke.sql \
        default_ttl="$login_ttl" max_ttl="$login_ttl"
done

cat >&2 <<DONE
configure: $environment is prepared. Type in what only people know, once:
  vault kv put -mount=$environment/microcrop encryption @FILE    {"ENCRYPTION_KEY": "…", "PII_INDEX_KEY": "…"}
  and likewise, from files that only you can read:
  backend JWT_SECRET PIN_PEPPER · callbacks AT_CALLBACK_TOKEN MPESA_CALLBACK_TOKEN · redis REDIS_URL · rabbitmq RABBITMQ_URL
  rabbitmq-server, the three of rabbitmq-secrets · africastalking AT_USERNAME AT_API_KEY · weatherxm · pinata · swypt
  mpesa, all MPESA_ but the callback's token · backup SLACK_WEBHOOK_URL · grafana · alertmanager
  (what each is: deploy/kubernetes/base/secrets/secrets-template.yaml)
DONE
