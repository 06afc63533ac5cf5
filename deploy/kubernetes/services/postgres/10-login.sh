#!/usr/bin/env bash
# Run once, when the data folder is made: the processes' login gets its password here, because the
# migrations make it without one (migrations/0011_partners.sql takes the role as it finds it).
set -euo pipefail
psql --no-psqlrc --set ON_ERROR_STOP=1 --set password="$APP_PASSWORD" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
create role microcrop_app login nosuperuser nocreatedb nocreaterole noreplication nobypassrls
    password :'password';
SQL
