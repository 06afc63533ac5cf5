-- A login of one role for a week: does what microcrop_app may, owns nothing, goes round no policy, so
-- every process accepts it (shared/store/src/login.rs). Vault fills in what is in double braces.
create role "{{name}}" login password '{{password}}' valid until '{{expiration}}'
    nosuperuser nocreatedb nocreaterole noreplication nobypassrls in role microcrop_app;
