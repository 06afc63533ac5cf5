#!/bin/bash
# What the published image of PostgreSQL does at its first start, as far as compose uses it: a database
# of POSTGRES_DB owned by POSTGRES_USER, then the scripts of /docker-entrypoint-initdb.d, then the
# command it was given. Never answers by TCP before all that is done.
set -euo pipefail
as_postgres=(setpriv --reuid postgres --regid postgres --init-groups --)
install -d -o postgres -g postgres -m 0700 "$PGDATA"
install -d -o postgres -g postgres -m 0775 /var/run/postgresql
cd "$PGDATA"
if [[ ! -s "$PGDATA/PG_VERSION" ]]; then
    # in a file that goes away again: another user's pipe cannot be opened by name
    password=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
    chown postgres: "$password"
    "${as_postgres[@]}" initdb --pgdata "$PGDATA" --username "$POSTGRES_USER" --encoding UTF8 \
        --locale C.UTF-8 --auth-local trust --auth-host scram-sha-256 --pwfile "$password" --no-sync
    rm -f "$password"
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    "${as_postgres[@]}" pg_ctl --pgdata "$PGDATA" --wait --options "-c listen_addresses=''" start
    [[ "$POSTGRES_DB" == postgres ]] || createdb --username "$POSTGRES_USER" --maintenance-db postgres "$POSTGRES_DB"
    for script in /docker-entrypoint-initdb.d/*.sh; do
        [[ ! -e "$script" ]] || bash "$script"
    done
    "${as_postgres[@]}" pg_ctl --pgdata "$PGDATA" --wait --mode fast stop
fi
exec "${as_postgres[@]}" "$@" -c "listen_addresses=*"
