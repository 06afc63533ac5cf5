#!/bin/bash
# Runs once, when the image makes its database: the login of the processes, which owns nothing (ADR
# 0015). Migrations make the same one where it is missing; here it also gets a password, the owner's,
# as `cargo xtask` expects of a server that is given to it.
set -euo pipefail
psql --set ON_ERROR_STOP=1 --set password="$POSTGRES_PASSWORD" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
create role microcrop_app login nosuperuser nocreatedb nocreaterole noreplication nobypassrls
    password :'password';
SQL
