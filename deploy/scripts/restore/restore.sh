#!/usr/bin/env bash
# Brings a backup back, part by part, and compares what came back with what was taken.
#
#   restore.sh PLACE [STAMP] [--only postgres,redis,kubernetes] [--replace]
#
#   PLACE      primary, dr, local, or the path of an archive; STAMP as list.sh says (latest)
#   --only     some parts; without it, all that the backup holds and that has somewhere to go
#   --replace  a database that already has tables is renamed to NAME_before_STAMP, not dropped; keys that
#              are in Redis already are overwritten. Without it both are refused
#
# Where to: DATABASE_URL (the owner's; the database is made if absent), REDIS_URL, NAMESPACE of the
# current kubectl context. Nothing of ours may run meanwhile (kubectl scale --replicas 0).
# Exit: 0 everything came back equal · 1 wrong call · 2 a part could not be brought back · 3 the backup
# is damaged · 6 it came back different. Prints a row a part with its seconds. Settings: ../lib.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/scripts/lib.sh
. "$here/../lib.sh"

usage() {
    sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
    exit 1
}
[ $# -ge 1 ] || usage
place=$1
shift
stamp=latest
only=
replace=no
while [ $# -gt 0 ]; do
    case $1 in
        --only) only=${2:-}; [ -n "$only" ] || usage; shift ;;
        --replace) replace=yes ;;
        -* | '') usage ;;
        *) [ "$stamp" = latest ] || usage; stamp=$1 ;;
    esac
    shift
done
case $place in -* | '') usage ;; esac
# a part that is misspelt would be a restore of nothing that ends well
for part in ${only//,/ }; do
    case $part in postgres | redis | kubernetes) ;; *) die 1 "--only knows postgres, redis, kubernetes; not '$part'" ;; esac
done
wanted() { [ -z "$only" ] || [[ ",$only," == *",$1,"* ]]; }

folder=$(mktemp -d)
server=
touched=
ended=no
finish() {
    local status=$?
    trap - EXIT
    # a signal may come while the last status was 0
    if [ "$status" -eq 0 ] && [ "$ended" = no ]; then status=143; fi
    if [ "$status" -ne 0 ] && [ -n "$touched" ]; then say "NOT FINISHED:$touched. Start nothing on it; repeat with --replace"; fi
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
began=$SECONDS
case $place in primary | dr | local) ;; *) stamp=- ;; esac
inside=$("$here/../backup/fetch.sh" "$place" "$stamp" "$folder")
stamp=$(jq -r .stamp "$inside/manifest.json")
# everything that would be refused is refused here, before the first part is touched
[ -z "$only" ] || for part in ${only//,/ }; do
    case $part in
        redis) [ -n "${REDIS_URL:-}" ] && [ -e "$inside/redis.rdb" ] || die 1 "redis is wanted, but REDIS_URL or its copy in this backup is missing" ;;
        kubernetes) [ -n "${NAMESPACE:-}" ] && [ -e "$inside/kubernetes.json" ] || die 1 "kubernetes is wanted, but NAMESPACE or its objects in this backup are missing" ;;
    esac
done
row() { printf '%-12s %4s s  %s\n' "$1" "$2" "$3"; }
row fetched "$((SECONDS - began))" "$(jq -r '"\(.environment) \(.stamp)"' "$inside/manifest.json"), checksums hold"

if wanted redis && [ -e "$inside/redis.rdb" ]; then
    if [ -n "${REDIS_URL:-}" ]; then
        need redis-server redis-cli
        to=(redis-cli -u "$REDIS_URL" --no-auth-warning)
        before=$("${to[@]}" dbsize 2>&1) || true
        [[ $before =~ ^[0-9]+$ ]] || die 2 "Redis does not answer; nothing was changed: $before"
        if [ "$before" -gt 0 ] && [ "$replace" = no ]; then
            die 1 "Redis holds $before keys; --replace overwrites those of the same name; nothing was changed"
        fi
    else
        say "this backup holds Redis, which is left out: REDIS_URL is not given"
    fi
fi

# ------------------------------------------------------------------------------------ PostgreSQL
if wanted postgres; then
    need psql pg_restore jq
    [ -n "${DATABASE_URL:-}" ] || die 1 "DATABASE_URL is missing"
    started=$SECONDS
    # postgres://user:password@host:port/NAME?options, and the same server's own database
    name=$(sed -E 's#^[a-z]+://[^/]+/([^?]+).*#\1#' <<<"$DATABASE_URL")
    [[ $name =~ ^[a-z_][a-z0-9_]*$ ]] || die 1 "DATABASE_URL names no database"
    server_url=$(sed -E "s#^([a-z]+://[^/]+)/[^?]+#\1/postgres#" <<<"$DATABASE_URL")
    [[ $DATABASE_URL =~ ^postgres(ql)?:// ]] || die 1 "DATABASE_URL is no postgres:// address"
    pg_restore --list "$inside/postgres.dump" >/dev/null || die 3 "the dump cannot be read; nothing was changed"
    ask() { psql "$1" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --command "$2"; }

    there=$(ask "$server_url" "select 1 from pg_database where datname = '$name'") || die 2 "the server of DATABASE_URL does not answer"
    if [ -n "$there" ]; then
        tables=$(ask "$DATABASE_URL" "select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'") ||
            die 2 "$name cannot be looked at"
        if [ "$tables" -gt 0 ]; then
            [ "$replace" = yes ] || die 1 "$name already has $tables tables; --replace renames it and begins anew"
            # a second try finds the name of the first one taken; PostgreSQL would cut a name after 63 letters
            free=${name:0:36}_before_$(tr '[:upper:]' '[:lower:]' <<<"$stamp")
            old=$free
            for try in 2 3 4 5 6 7 8 9; do
                taken=$(ask "$server_url" "select 1 from pg_database where datname = '$old'") || die 2 "the server's databases cannot be listed"
                [ -n "$taken" ] || break
                old=${free}_$try
            done
            # who is still connected would keep it, and would write into the past
            ask "$server_url" "select pg_terminate_backend(pid) from pg_stat_activity where datname = '$name' and pid <> pg_backend_pid()" >/dev/null
            ask "$server_url" "alter database \"$name\" rename to \"$old\"" || die 2 "$name could not be renamed to $old"
            say "$name is now $old"
            touched=" what was there is the database $old;"
            ask "$server_url" "create database \"$name\"" || die 2 "$name could not be made"
        fi
    else
        ask "$server_url" "create database \"$name\"" || die 2 "$name could not be made"
    fi
    touched+=" the database $name holds only a part"
    # roles that are missing, as they were, without passwords: those come from the secrets' owner
    # (migrations, Vault). A role that is there is left as it is
    if [ -e "$inside/roles.sql" ]; then
        have=" $(ask "$server_url" "select string_agg(rolname, ' ') from pg_roles") " || die 2 "the roles cannot be listed"
        while read -r role; do
            [[ $have != *" $role "* ]] || continue
            ask "$server_url" "create role \"$role\"" || die 2 "the role $role could not be made"
            # what it may: every ALTER ROLE of the dump, except what only a superuser may give
            sed -nE "/^ALTER ROLE \"?$role\"? WITH /{/ SUPERUSER/!p}" "$inside/roles.sql" | while read -r line; do
                ask "$server_url" "$line" || true
            done
            say "made the role $role, without a password"
        done < <(sed -nE 's/^CREATE ROLE "?([a-z_][a-z0-9_]*)"?;$/\1/p' "$inside/roles.sql")
        # who is a member of whom; granting twice is a notice
        # (sed and not grep: a server without memberships is no failure)
        sed -nE '/^GRANT /{s/ GRANTED BY [^;]*//;p}' "$inside/roles.sql" | while read -r line; do
            ask "$server_url" "$line" 2>/dev/null || true
        done
    fi
    pg_restore --dbname "$DATABASE_URL" --exit-on-error --jobs "${RESTORE_JOBS:-4}" "$inside/postgres.dump" || die 2 "pg_restore failed"
    ask "$DATABASE_URL" analyze >/dev/null || die 2 "what came back could not be analysed"
    got=$(ask "$DATABASE_URL" "$(counts_sql)") || die 2 "what came back could not be counted"
    touched=" the database $name is not what the backup says"
    if ! diff <(jq -S '{tables, ledger}' "$inside/manifest.json") <(jq -S . <<<"$got") >"$folder/differences"; then
        head -n 20 "$folder/differences" >&2
        die 6 "rows or books differ from those of the backup"
    fi
    jq -e '[.ledger[] | select(.debits != .credits)] == []' <<<"$got" >/dev/null || die 6 "the ledger does not balance"
    touched=
    row postgres "$((SECONDS - started))" "$(jq -r '"\(.tables | length) tables, \([.tables[]] | add) rows, books equal"' <<<"$got")"
fi

# ------------------------------------------------------------------------------------ Redis
# A file of Redis can only be read by a Redis that starts with it, and the one to be filled may be
# somebody else's: so one is started here on the file, and its keys are carried over.
if wanted redis && [ -e "$inside/redis.rdb" ] && [ -n "${REDIS_URL:-}" ]; then
    started=$SECONDS
    socket=$folder/redis.sock
    redis-server --port 0 --unixsocket "$socket" --dir "$inside" --dbfilename redis.rdb --save '' --appendonly no >"$folder/redis.log" 2>&1 &
    server=$!
    from=(redis-cli -s "$socket")
    for _ in $(seq 1 600); do
        [ "$("${from[@]}" ping 2>/dev/null)" != PONG ] || break
        kill -0 "$server" 2>/dev/null || { cat "$folder/redis.log" >&2; die 2 "Redis could not read the copy"; }
        sleep 0.1
    done
    held=$("${from[@]}" dbsize) || die 2 "the Redis on the copy does not answer: $(tail -n 1 "$folder/redis.log")"
    # which database of the server: the number in the address
    number=$(sed -nE 's#^rediss?://[^/]+/([0-9]+).*#\1#p' <<<"$REDIS_URL")
    "${from[@]}" -n "${number:-0}" --scan >"$folder/keys" || die 2 "the keys of the copy could not be read"
    touched=" Redis holds only some of the keys"
    carried=0
    while IFS= read -r key; do
        left=$("${from[@]}" -n "${number:-0}" pttl "$key")
        # it may have run out meanwhile; -1 is for ever
        case $left in -2) continue ;; -1) left=0 ;; esac
        "${to[@]}" del "$key" >/dev/null
        # the value is bytes; redis-cli ends its answer by a line feed that is not of it
        "${from[@]}" -n "${number:-0}" --raw dump "$key" | head -c -1 | "${to[@]}" -x restore "$key" "$left" >"$folder/said"
        grep -qx OK "$folder/said" || die 2 "a key of Redis was not taken: $(cat "$folder/said")"
        carried=$((carried + 1))
    done <"$folder/keys"
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
    touched=
    row redis "$((SECONDS - started))" "$carried keys of $held carried over"
fi

# ------------------------------------------------------------------------------------ Kubernetes
if wanted kubernetes && [ -e "$inside/kubernetes.json" ] && [ -n "${NAMESPACE:-}" ]; then
    need kubectl
    started=$SECONDS
    touched=" some of the objects of $NAMESPACE may be applied"
    kubectl --namespace "$NAMESPACE" apply --filename "$inside/kubernetes.json" >"$folder/applied" || die 2 "the cluster did not take the objects"
    row kubernetes "$((SECONDS - started))" "$(wc -l <"$folder/applied") objects"
fi

touched=
ended=yes
row all "$((SECONDS - began))" "RTO is 1800 s"
tell "restore of $environment $stamp from $place took $((SECONDS - began)) s"
