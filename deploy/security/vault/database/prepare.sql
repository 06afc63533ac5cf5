-- Run once by the server's administrator, before the first migration: the owner of all tables, who may
-- not log in, the processes' role, and the login by which Vault makes others. On RDS the administrator is the
-- owner already (terraform/modules/rds) and stays as it is.
--   psql "$ADMIN_DATABASE_URL" --set vault_password="$(openssl rand -hex 24)" --file prepare.sql
\set ON_ERROR_STOP on
select 'create role microcrop_owner nologin nosuperuser nocreatedb createrole noreplication nobypassrls'
    where not exists (select from pg_roles where rolname = 'microcrop_owner') \gexec
create role microcrop_app nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
create role vault_logins login nosuperuser nocreatedb createrole noreplication nobypassrls
    password :'vault_password';
grant microcrop_owner, microcrop_app to vault_logins with admin option;
grant pg_signal_backend to vault_logins;
select format('alter database %I owner to microcrop_owner', current_database()) \gexec
alter schema public owner to microcrop_owner;
